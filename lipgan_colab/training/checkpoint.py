"""The checkpoint file: written whole, named after its own digest, and believed only where the two agree.

    step-00012400-6f1ed002ab559585.pt      step, and the file's XXH3 digest

The digest in the name needs no second file that could get lost, travels with every copy, and tells a copy that was cut
short, or half of whose blocks never arrived, from a whole one. It is of 64 bits and guards against damage, not against
forgers; SHA-256 would take seconds of the processor's time for each checkpoint, and XXH3 takes a tenth of one.
"""

import contextlib
import errno
import hashlib
import io
import os
import re
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import xxhash

from lipgan_colab.errors import InputError, reason_of
from lipgan_colab.files import is_abandoned, is_part_of, part_name
from lipgan_colab.models.state_dict import read_plain
from lipgan_colab.training.lease import Holder

FORMAT = 1  # of what is in the file; those without a number are of before there was one, and are read like 1
KEEP = 2  # checkpoints in a folder: the newest, and one more in case it is damaged
NAME = re.compile(r"step-(\d{8,})-([0-9a-f]{16})\.pt")
LASTING_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOTDIR}  # no time mends these
PATIENCE = (1, 2, 4, 8)  # seconds between tries to read a folder that errs
BEGIN_ANEW = (  # what to do where no checkpoint is whole
    "put back an earlier copy of its checkpoints, if there is one, or choose another run folder "
    "(start it from this one to begin with its weights)"
)


class DamagedCheckpoint(ValueError):
    """A checkpoint file whose bytes are not those that were written."""


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint file, whole or not."""

    path: Path
    step: int
    digest: str


def new_digest() -> xxhash.xxh3_64:
    """What files are compared by."""
    return xxhash.xxh3_64()


def find_checkpoints(folder: str | Path) -> list[Checkpoint]:
    """The checkpoint files of a folder, newest first; none where there is no folder.

    Raises:
        OSError: the folder cannot be listed.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    matches = [match for name in names if (match := NAME.fullmatch(name))]
    found = [Checkpoint(Path(folder, m[0]), int(m[1]), m[2]) for m in matches]
    return sorted(found, key=lambda c: (c.step, c.path.name), reverse=True)


class _DigestedFile:
    """Digests what is written, so that the digest is of what was meant and not of what the disk made of it."""

    def __init__(self, file):
        self.file, self.digest = file, new_digest()

    def write(self, data) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def write_checkpoint(folder: str | Path, step: int, state: dict) -> Checkpoint:
    """Write a checkpoint whole or not at all.

    Args:
        folder: the run's checkpoints folder; made if missing.
        step: how many steps have been done.
        state: tensors, numbers, texts, and dicts and lists of them.

    Raises:
        OSError: the disk is full, or fails.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = part_name(folder / f"step-{step:08d}")
    try:
        with unfinished.open("wb") as file:
            digested = _DigestedFile(file)
            try:
                torch.save({"format": FORMAT, **state}, digested)
            except RuntimeError as error:  # how torch's writer passes on what the disk said
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None
            file.flush()
            os.fsync(file.fileno())
        digest = digested.digest.hexdigest()
        path = folder / f"step-{step:08d}-{digest}.pt"
        os.replace(unfinished, path)
        _sync_folder(folder)
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong is raised already
            discard(unfinished)
        raise
    return Checkpoint(path, step, digest)


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut, where the file system can."""
    with contextlib.suppress(OSError):  # some network file systems cannot sync folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_checkpoint(checkpoint: Checkpoint) -> dict:
    """The state in a checkpoint file, in the host's memory; the file is read once. Only tensors and plain data are
    unpickled.

    Raises:
        DamagedCheckpoint: the file is not what was written.
        InputError: a newer version wrote it.
        OSError: it cannot be read.
    """
    data = checkpoint.path.read_bytes()
    digest = new_digest()
    digest.update(data)
    if digest.hexdigest() != checkpoint.digest:
        raise DamagedCheckpoint(f"{checkpoint.path}: damaged, its bytes are not those that were written")
    try:
        state = read_plain(io.BytesIO(data))
        written_as = state.pop("format", FORMAT)
    except Exception as error:  # a crafted pickle can make torch raise anything
        raise DamagedCheckpoint(f"{checkpoint.path}: not a checkpoint ({reason_of(error)})") from error
    if written_as != FORMAT:
        raise InputError(
            f"{checkpoint.path}: written by a newer version (format {written_as}, and this one reads {FORMAT}); "
            "update lipgan_colab"
        )
    return state


def is_whole(checkpoint: Checkpoint) -> bool:
    """Whether the bytes of a checkpoint file are those that were written.

    Raises:
        OSError: it cannot be read.
    """
    with checkpoint.path.open("rb") as file:
        return hashlib.file_digest(file, new_digest).hexdigest() == checkpoint.digest


def load_newest_checkpoint(
    *folders: str | Path, say: Callable[[str], None] | None = None, patience: Sequence[float] = PATIENCE
) -> tuple[Checkpoint, dict] | None:
    """The newest checkpoint in any of the folders that verifies, and its state; None where there is none at all.

    A damaged one is reported and passed over. What errs is tried again.

    Args:
        folders: of equally new checkpoints, the one in the folder named first is taken.
        say: takes one line for a person; None: a warning.
        patience: seconds between tries to read what errs.

    Raises:
        InputError: a folder or the newest checkpoint does not answer, and what would be gone on from may be older than
            what is there; or there are checkpoints, and none is whole. To begin anew, or from an older one, would in
            the end overwrite what may still be saved. Or it was written by a newer version.
    """
    say = say or (lambda line: warnings.warn(line, stacklevel=3))
    found = []
    for folder in folders:
        try:
            found += patiently(lambda f=folder: find_checkpoints(f), patience)
        except OSError as error:
            raise _no_answer(folder, error) from error
    damaged = unread = None
    for checkpoint in sorted(found, key=lambda c: c.step, reverse=True):  # stable: the first folder's comes first
        if unread is not None and checkpoint.step < unread[0].step:
            break
        try:
            return checkpoint, patiently(lambda c=checkpoint: read_checkpoint(c), patience)
        except DamagedCheckpoint as error:
            damaged = error
            say(f"{error}; going on with an older one or another place")
        except OSError as error:
            unread = unread or (checkpoint, error)
    if unread is not None:
        raise _no_answer(unread[0].path, unread[1]) from unread[1]
    if damaged is not None:
        raise InputError(
            f"{folders[-1]}: nothing there that can be resumed from, and the run is not begun anew over it "
            f"({damaged}); {BEGIN_ANEW}"
        )
    return None


def _no_answer(path: str | Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: cannot be read ({error.strerror or error}), and the run does not go on from what may be an older "
        "state; mount the disk again"
    )


def patiently(work: Callable, pauses: Sequence[float]):
    """What `work` returns, tried again after each pause while it raises an OSError that may pass by itself."""
    for pause in pauses:
        try:
            return work()
        except OSError as error:
            if error.errno in LASTING_TROUBLE:
                raise
            time.sleep(pause)
    return work()


def discard(path: Path, truncate: bool = True) -> None:
    """Delete a file, emptied before: Drive keeps what is deleted in its bin, and the bin counts against the quota.

    `truncate=False` is for where somebody may still be reading the file.
    """
    if truncate:
        with contextlib.suppress(FileNotFoundError):
            os.truncate(path, 0)
    path.unlink(missing_ok=True)


def prune(folder: Path, newest: Checkpoint, keep: int = KEEP, truncate: bool = True) -> list[Checkpoint]:
    """Keep `keep` checkpoints of a folder: the one just written and the newest before it.

    Those of later steps were passed over when the run was resumed, because they were damaged, and go as well; or
    another session has written them, and then they are whole, and stay: returns these. A process that is killed here
    leaves at most one that is emptied but still there, older than those kept; the next call deletes it.

    Raises:
        OSError: the disk fails.
    """
    others = [c for c in find_checkpoints(folder) if c.path.name != newest.path.name]
    earlier = [c for c in others if c.step <= newest.step]
    later = {c: is_whole(c) for c in others if c.step > newest.step}
    for checkpoint in [c for c, whole in later.items() if not whole] + earlier[max(0, keep - 1) :]:
        discard(checkpoint.path, truncate)
    return [c for c, whole in later.items() if whole]


def clear_unfinished(folder: Path, truncate: bool = True, dead: Holder | None = None) -> None:
    """Remove the parts in a folder that nobody goes on writing (see `files.is_abandoned`), and those of a dead session.

    Raises:
        OSError: the disk fails.
    """
    for part in folder.glob(".*.part"):
        if is_abandoned(part) or (dead is not None and is_part_of(part, dead.machine, dead.pid)):
            discard(part, truncate)
