"""Files that are there whole or not at all."""

import errno
import hashlib
import os
import platform
import re
import secrets
import stat
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from safetensors import SafetensorError, safe_open

from lipgan_colab.errors import InputError

ABANDONED = 24 * 3600  # seconds: a part of another machine's that has not grown for so long is nobody's any more
LONGEST_NAME, LONGEST_ENDING = 255, 16  # bytes, on all usual disks; of .safetensors and the like
JOINERS = "\u200c\u200d"  # what holds the letters before and after it together
VIRAMA = 9  # the combining class of the sign that makes one of two letters in India's scripts
SKIN_TONES = range(0x1F3FB, 0x1F400)  # they colour the emoji before them
PART = re.compile(r"\..+\.(?:([0-9a-f]{8})-)?(\d+)(?:-[0-9a-f]{8})?\.part")  # once they had the process's number alone


class NotWritten(InputError, OSError):
    """A file could not be written; the message says which, why, and what to do. `errno` is what the disk said."""


def not_written(path: str | Path, error: BaseException, what: str = "not written") -> NotWritten:
    """The `NotWritten` that tells of `error`, met while `path` was written."""
    found = re.search(r"os error (\d+)", str(error))  # how safetensors passes on what the disk said
    number = int(found[1]) if found else getattr(error, "errno", None)
    reason = os.strerror(number) if number else str(error)
    cure = "make room there, or choose another place"
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        cure = "choose another place"
    if number in (errno.EEXIST, errno.ENOTDIR):
        reason, cure = "a file of that name is in the way", "choose another place"
    if number == errno.EISDIR:
        reason, cure = "there is a folder of that name", "choose another name"
    if number == errno.ENAMETOOLONG:
        cure = f"give it a shorter name, of at most {LONGEST_NAME} bytes"
    told = NotWritten(f"{path}: {what} ({reason}); {cure}")
    told.errno, told.strerror = number, reason
    return told


def check_folder(path: str | Path, cure: str) -> None:
    """InputError where there is no such folder; `cure` is what to do, for a person."""
    if not os.path.isdir(path):
        why = "this is a file" if os.path.exists(path) else "there is no such folder"
        raise InputError(f"{path}: {why}; {cure}")


def make_folder(path: str | Path) -> Path:
    """The folder, made if it is missing, with those above it. NotWritten where there can be none."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(path, error, "the folder cannot be made") from error
    return Path(path)


def fitting(path: str | Path, extra: str = "") -> Path:
    """The path with as much of its name as a file's name can have, and its ending.

    Args:
        path: its name is perhaps made of others, and too long.
        extra: what comes between the name and its ending, and is kept whole.
    """
    path = Path(path)
    ending = path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_ENDING else ""
    stem, end = path.name.removesuffix(ending), f"{extra}{ending}"
    return path.with_name(shortened(stem, LONGEST_NAME - len(os.fsencode(end))) + end)


def shortened(text: str, most: int) -> str:
    """The beginning of a text that has at most so many bytes in a file's name, cut between two letters: neither within
    one nor between one and its accents."""
    end = len(text)
    while end and len(os.fsencode(text[:end])) > most:
        end -= 1
    while 0 < end < len(text) and _belong_together(text[end - 1], text[end]):
        end -= 1
    return text[:end]


def _belong_together(before: str, after: str) -> bool:
    joined = before in JOINERS or after in JOINERS or unicodedata.combining(before) == VIRAMA
    return joined or ord(after) in SKIN_TONES or unicodedata.category(after).startswith("M")


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_tensors(path: str | Path, framework: str = "np") -> safe_open:
    """A .safetensors file, as safe_open opens it, which takes no path that is not UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with Path(path).open("rb") as file:  # what is open is looked at in memory, and needs no path any more
            return safe_open(f"/dev/fd/{file.fileno()}", framework)
    return safe_open(path, framework)


def part_name(path: str | Path) -> Path:
    """A name beside `path` that nobody else writes under: no other machine, process or thread, now or later."""
    path = Path(path)
    return path.parent / f"{_stem(path.name)}{machine()}-{os.getpid()}-{secrets.token_hex(4)}.part"


def _stem(name: str) -> str:
    return f".{name[:50]}."  # the part's name is longer, and a letter has up to four bytes


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A name beside `path` to write a file under; it becomes `path` when the block ends well, and is gone when not.

    The folder is made if it is missing. What is on disk under `path` stays until the new file is complete, so a
    reader, a killed process or a second writer never sees or leaves half of it. What killed processes left of this
    file is removed.

    Raises:
        NotWritten: the disk is full or fails, or there can be no such file. (An InputError, and an OSError.)
    """
    path = Path(path)
    unfinished = part_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_abandoned(path.parent, path.name)
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())  # or a crash could leave the new name with nothing in it
        unfinished.chmod(0o644)  # safetensors lets nobody else read what it writes
        os.replace(unfinished, path)
    except NotWritten:
        raise
    except (OSError, SafetensorError) as error:
        if isinstance(error, InputError):
            raise
        raise not_written(path, error) from error
    finally:
        _remove(unfinished)


def check_place(path: str | Path) -> None:
    """Make sure that a file can be written at `path`, by making and removing a part there, and that it can have this
    name: for before long work.

    Raises:
        NotWritten: there can be no such file.
    """
    path = Path(path)
    part = part_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(path.stat().st_mode):  # which also raises where the name is too long
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        part.write_bytes(b"\0")
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        _remove(part)


def clear_abandoned(folder: str | Path, name: str | None = None) -> None:
    """Remove the parts (of the file `name`, or of all files) that nobody goes on writing: those of dead processes of
    this machine, and those of other machines after a day."""
    for part in abandoned_parts(folder, name):
        _remove(part)


def abandoned_parts(folder: str | Path, name: str | None = None) -> list[Path]:
    """What `clear_abandoned` removes, for whoever can go on with it; [] where there is no such folder."""
    parts = Path(folder).glob(".*.part")
    return [part for part in parts if (name is None or part.name.startswith(_stem(name))) and is_abandoned(part)]


def is_part_of(part: Path, on: str, pid: int) -> bool:
    """Whether a part was made by this process of the machine `on`."""
    made_by = PART.fullmatch(part.name)
    return made_by is not None and (made_by[1], int(made_by[2])) == (on, pid)


def is_abandoned(part: Path) -> bool:
    """Whether nobody goes on writing a part: a file under a `part_name`."""
    made_by = PART.fullmatch(part.name)
    if made_by is None:
        return False
    if made_by[1] == machine():
        return not is_alive(int(made_by[2]))
    try:
        return time.time() - part.stat().st_mtime > ABANDONED
    except OSError:
        return False


def is_alive(pid: int) -> bool:
    """Whether there is such a process on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


@cache
def machine() -> str:
    """What tells this machine, or this container, since it was last started, from all others."""
    told = [platform.node()]
    with suppress(OSError):
        told.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        told.append(os.readlink("/proc/self/ns/pid"))  # containers of one host number their processes on their own
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:8]


def _remove(path: Path) -> None:
    with suppress(OSError):  # it is cleared away later
        path.unlink(missing_ok=True)
