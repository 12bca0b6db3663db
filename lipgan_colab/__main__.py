"""The command line: python -m lipgan_colab VERB."""

import sys

from lipgan_colab.cli.verbs import main

if __name__ == "__main__":
    sys.exit(main())
