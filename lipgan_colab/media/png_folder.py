"""A film as a folder of PNG pictures and a sound.wav: there whole or not at all, like a file."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lipgan_colab.errors import InputError
from lipgan_colab.files import NotWritten, abandoned_parts, not_written, part_name

SOUND = "sound.wav"
OWN_FILES = re.compile(r"frame-\d{6,}\.png|sound\.wav")
COMPRESSION = 2  # of 9: the usual 6 takes three times as long and makes the files a fifth smaller


def frame_name(n: int) -> str:
    """The name of picture n, counted from 0."""
    return f"frame-{n:06d}.png"


def write_pngs(folder: Path, frames: Iterable[np.ndarray], said: Mapping[str, str]) -> None:
    """Write RGB pictures into a folder that is there; each says `said`: PNG's keywords and their texts."""
    text = PngInfo()
    for keyword, value in said.items():
        text.add_itxt(keyword, value)
    for n, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / frame_name(n), compress_level=COMPRESSION, pnginfo=text)


@contextmanager
def folder_written_whole(path: str | Path) -> Iterator[Path]:
    """An empty folder beside `path` to write into; it becomes `path` when the block ends well, and is gone when not.

    An older film of that name is replaced. What killed processes left of it is removed.

    Raises:
        InputError: there is a file, or a folder of other things, under this name.
        NotWritten: the disk is full or fails.
    """
    path = Path(path)
    check_free(path)
    unfinished = part_name(path)
    try:
        unfinished.mkdir(parents=True)
        for part in abandoned_parts(path.parent, path.name):
            shutil.rmtree(part, ignore_errors=True)
        yield unfinished
        for file in unfinished.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())  # or a crash could leave the new name with nothing in it
        _put(unfinished, path)
    except OSError as error:
        if isinstance(error, NotWritten):
            raise
        raise not_written(path, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def check_free(path: str | Path) -> None:
    """Raises InputError where a folder of pictures cannot take this name without anything else being lost."""
    path = Path(path)
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise InputError(f"{path}: there is a file of this name, and PNG pictures need a folder; give another name")
    if any(not OWN_FILES.fullmatch(file.name) for file in path.iterdir()):
        raise InputError(f"{path}: this folder holds other things than pictures made here; give another name")


def _put(folder: Path, path: Path) -> None:
    """Let a folder take a name; what has it goes only then."""
    older = part_name(path)
    with suppress(FileNotFoundError):
        os.replace(path, older)
    try:
        os.replace(folder, path)
    except OSError:
        with suppress(OSError):
            os.replace(older, path)
        raise
    shutil.rmtree(older, ignore_errors=True)
