"""Stands in for google.colab, as far as the package and its notebooks use it. COLAB_STAND_IN names its folder:

drive/          where Drive is mounted, through a file system like Drive's (bad_drive.py)
of_drive/       what Drive really holds
disk/           the machine's own disk
answers.json    what comes of the next mounts: "yes", "declined", "timeout" or "policy"; then always "yes"
disconnect      when this file appears, Drive does not answer for some calls
secrets.json    {name: value}, null for one that this notebook may not read
uploads/        what the person uploads when asked
"""
