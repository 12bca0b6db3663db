"""Train on Colab from a terminal, and go on with the same run: see headless.md.

colab exec -s lipgan -f docs/colab_train.py --timeout 86400
"""

import subprocess
import sys
from pathlib import Path

SHARDS, RUN = "tiny_sample", "first"  # names in MyDrive/lipgan/shards and MyDrive/lipgan/runs
SETTINGS = "--width 0.5 --batch-size 32 --steps 100000 --max-hours 10"
DRIVE = "/content/drive/MyDrive"  # where `colab drivemount` puts it
REPOSITORY, VERSION = "https://github.com/lipgan-colab/lipgan_colab", "v0.1.0"
CODE = Path("lipgan_colab").resolve()


def run(*command):
    """Run a command, and print what it says while it says it."""
    words = [str(word) for word in command]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=CODE.parent) as done:
        for line in done.stdout:
            print(line, end="", flush=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit status {done.returncode}")


if not Path(DRIVE, "lipgan", "shards", SHARDS).is_dir():
    raise SystemExit(f"no shards {SHARDS} in {DRIVE}/lipgan/shards; mount Drive first: colab drivemount -s lipgan")
if not (CODE / "lipgan_colab" / "__init__.py").is_file():
    run("git", "clone", "-q", "--depth", "1", "--branch", VERSION, REPOSITORY, CODE)
run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "-r", CODE / "requirements-colab.txt")
sys.path.insert(0, str(CODE))

from lipgan_colab.workspace import open_workspace  # noqa: E402

workspace = open_workspace("lipgan", DRIVE)
shards = workspace.stage(SHARDS)
sys.stdout.flush()
CODE = CODE / "lipgan_colab"  # `run` works in the folder above: the package's own
run(sys.executable, "-m", "lipgan_colab", "train", "--shards", shards, "--run", workspace.runs / RUN, *SETTINGS.split())
