"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A name beside `path` to write a file under; it becomes `path` when the block ends well, and is gone when not.

    The folder is made if it is missing. What is on disk under `path` stays until the new file is complete, so a
    reader, a killed process or a second writer never sees or leaves half of it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())  # or a crash could leave the new name with nothing in it
        unfinished.chmod(0o644)  # safetensors lets nobody else read what it writes
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
