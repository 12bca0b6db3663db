"""Drive as a file system (see bad_drive.py) that disconnects once: for some calls after the file `disconnect` appears.

python drive_server.py FOLDER MOUNT_POINT DISCONNECT
"""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from bad_drive import serve

CALLS = 6  # that fail; with its pauses the mirror needs some seconds for them


class DisconnectsOnce(list):
    """The faults that are due whenever they are looked at."""

    def __init__(self, asked_for: Path):
        super().__init__()
        self.asked_for, self.failed = asked_for, 0

    def __iter__(self) -> Iterator[tuple]:
        if self.failed < CALLS and self.asked_for.exists():
            self.failed += 1
            return iter([("enotconn", 0, None)])
        return iter([])


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], DisconnectsOnce(Path(sys.argv[3])))
