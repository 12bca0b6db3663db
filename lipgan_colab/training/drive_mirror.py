"""Copies a run's files to the folder that lasts (Drive), in the background, until they are there whole.

Drive is slow, fills up, loses its connection, and reports writes as done that are not. So a file is copied under a new
name, read back, compared, and only then renamed; what fails is tried again, with longer and longer pauses, as long as
the process lives. Nothing here ever raises into the training or holds it up.
"""

import contextlib
import errno
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tqdm.auto import tqdm

from lipgan_colab.files import part_name
from lipgan_colab.training.checkpoint import (
    KEEP,
    NAME,
    Checkpoint,
    clear_unfinished,
    discard,
    find_checkpoints,
    new_digest,
    prune,
)
from lipgan_colab.training.lease import Lease, TakenOver

CHUNK = 4 << 20  # bytes
LARGE = 1 << 20  # bytes; from here on a file is worth keeping out of Drive's bin
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 120.0  # seconds between tries, doubled after each failure
NICENESS = 10  # a tenth of a core against a thread that is busy


class Stopped(Exception):
    """The copy was given up because the mirror is being closed."""


def give_way() -> None:
    """Let this thread take only what processor time the training leaves over."""
    with contextlib.suppress(AttributeError, OSError):  # only Linux has priorities for single threads
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)


def copy_whole(
    source: Path, target: Path, stop: threading.Event | None = None, check: Callable[[], None] = lambda: None
) -> None:
    """Copy a file so that `target` is there whole or not at all, and reads back as what was written.

    Args:
        source, target: the files.
        stop: gives the copy up when it is set.
        check: called before the copy gets its name; what it raises is raised.

    Raises:
        OSError: it could not be written, or reads back differently.
        FileNotFoundError: there is no `source` (any more).
        Stopped: `stop` was set.
    """
    with source.open("rb") as reading:
        target.parent.mkdir(exist_ok=True)  # not what is above: an unmounted Drive's mount point must stay empty
        unfinished = part_name(target)
        try:
            with unfinished.open("wb") as writing:
                written, size = _pass_on(reading, stop, writing.write)
                writing.flush()
                os.fsync(writing.fileno())
            with unfinished.open("rb") as back:
                _forget_cached(back.fileno())
                if _pass_on(back, stop) != (written, size):
                    raise OSError(errno.EIO, f"{target.name} reads back differently from what was written")
            check()
            if size >= LARGE:  # replacing a file moves the old one to Drive's bin
                with contextlib.suppress(FileNotFoundError):
                    os.truncate(target, 0)
            os.replace(unfinished, target)
            if target.stat().st_size != size:
                raise OSError(errno.EIO, f"{target.name} was cut short")
        except BaseException:
            with contextlib.suppress(OSError):  # what went wrong is raised already
                discard(unfinished)
            raise


def _pass_on(file, stop: threading.Event | None, write: Callable = lambda chunk: None) -> tuple[str, int]:
    """Read a file to its end, handing every chunk on; returns its digest and size."""
    digest, size = new_digest(), 0
    while chunk := file.read(CHUNK):
        if stop is not None and stop.is_set():
            raise Stopped
        digest.update(chunk)
        write(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def _forget_cached(descriptor: int) -> None:
    """Ask the system to read from the disk itself, not what it remembers having written."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):  # it is only a wish
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


class Mirror:
    """A thread that keeps `lasting` as `local` is, for the files that it is told of.

    Args:
        local: folder on this machine's own disk.
        lasting: the folder that the same names are copied to. It must be there: it is not made, because an unmounted
            Drive's folder would then come to lie on this machine's disk.
        say: takes one line for a person.
        lease: the right to write there; None: nobody else does.

    Attributes:
        reached: the checkpoint that arrived last and when (seconds of time.time()), or None.
        trouble: what is wrong with the lasting folder, or None.
    """

    def __init__(
        self,
        local: Path,
        lasting: Path,
        say: Callable[[str], None] = tqdm.write,
        lease: Lease | None = None,
    ):
        self.local, self.lasting, self.say = local, lasting, say
        self._check = lease.check if lease is not None else lambda: None
        self._dead = lease.predecessor if lease is not None else None
        self.reached: tuple[Checkpoint, float] | None = None
        self.trouble: str | None = None
        self._pending: dict[str, int] = {}  # name below `local`: the number of the request
        self._requests = 0
        self._if_missing: set[str] = set()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._full = self._warned_of_space = False
        self._told_of: set[str] = set()
        # A daemon: a Drive that never answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._thread.start()

    def put(self, *names: str, missing: bool = False) -> None:
        """Have these files, named from `local`, copied as they are now or later; with `missing`, if not there yet."""
        with self._changed:
            for name in names:
                self._requests += 1
                self._pending[name] = self._requests
                (self._if_missing.add if missing else self._if_missing.discard)(name)
            self._changed.notify_all()

    def flush(self, seconds: float) -> list[str]:
        """Wait until everything has arrived, but not longer than `seconds`; returns the names of what has not."""
        with self._changed:
            self._changed.wait_for(lambda: not self._pending, seconds)
            return sorted(self._pending)

    def close(self) -> None:
        """End the thread after what it is doing at this moment. What has not arrived stays in `local`."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout=1)  # it may hang in a call to a Drive that does not answer

    def _work(self) -> None:
        give_way()
        pause, cleared = FIRST_PAUSE, False
        while (work := self._next()) is not None:
            name, request = work
            try:
                self._check()
                if not cleared:
                    for folder in (self.lasting, self.lasting / "checkpoints", self.lasting / "previews"):
                        clear_unfinished(folder, dead=self._dead)
                    cleared = True
                self._copy(name)
            except Stopped:
                return
            except OSError as error:
                self._report(error)
                self._stop.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if self.trouble:
                self.say(f"{self.lasting}: works again; catching up")
            self.trouble, self._full, pause = None, False, FIRST_PAUSE
            self._done(name, request)

    def _next(self) -> tuple[str, int] | None:
        """What to copy now: the newest checkpoint first, then the rest in the order of the requests."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._stop.is_set())
            if self._stop.is_set():
                return None
            return min(self._pending.items(), key=lambda item: _turn(*item))

    def _done(self, name: str, request: int) -> None:
        with self._changed:
            if self._pending.get(name) == request:  # otherwise it has changed meanwhile
                del self._pending[name]
            self._changed.notify_all()

    def _copy(self, name: str) -> None:
        source, target = self.local / name, self.lasting / name
        match = NAME.fullmatch(source.name)
        checkpoint = Checkpoint(target, int(match[1]), match[2]) if match else None
        try:
            if name in self._if_missing and target.exists() and target.stat().st_size == source.stat().st_size:
                return
            if checkpoint is not None:
                self._make_room(source.stat().st_size, checkpoint)
            copy_whole(source, target, self._stop, self._check)
        except FileNotFoundError:
            if source.exists():
                raise
            return  # pruned meanwhile: a newer checkpoint is waiting
        if checkpoint is None:
            return
        # After trouble an older one can come after the newest; to prune by it would delete the newest.
        if self.reached is None or self.reached[0].step <= checkpoint.step:
            self.reached = (checkpoint, time.time())
        self._check()
        for later in prune(target.parent, self.reached[0], KEEP):
            self._tell_of_later(later)
        self._warn_of_space(target)

    def _make_room(self, size: int, coming: Checkpoint) -> None:
        """Where there is no room for one more checkpoint, keep only the newest that is there.

        That one stays even then: it is the only one that would survive the session.
        """
        if not self._full and shutil.disk_usage(self.lasting).free > size:
            return
        earlier = [c for c in find_checkpoints(coming.path.parent) if c.step < coming.step]
        for checkpoint in earlier[1:]:
            discard(checkpoint.path)

    def _tell_of_later(self, later: Checkpoint) -> None:
        """Say so once: another session got further, and the next one goes on from there."""
        if later.path.name not in self._told_of:
            self.say(f"{later.path}: another session got further; it is kept, and resumed from next time")
        self._told_of.add(later.path.name)

    def _warn_of_space(self, target: Path) -> None:
        """Say so before the disk is full: the next checkpoint is written before an older one is deleted."""
        free, size = shutil.disk_usage(target.parent).free, target.stat().st_size
        if free < 2 * size and not self._warned_of_space:
            self.say(
                f"{self.lasting}: nearly full, {free / 1e9:.1f} GB are free and a checkpoint takes {size / 1e9:.1f}; "
                "delete something there and empty the bin"
            )
        self._warned_of_space = free < 2 * size

    def _report(self, error: OSError) -> None:
        self._full = error.errno in (errno.ENOSPC, errno.EDQUOT)  # whatever it says about its free space
        trouble = f"{error.strerror or error} (errno {error.errno})"
        if isinstance(error, TakenOver):
            trouble = "another session has taken this run over"  # its step, which the error tells, moves on
        if trouble != self.trouble:
            advice = "delete something there and empty the bin" if self._full else "trying on"
            self.say(f"{self.lasting}: {trouble}; {advice}. Training goes on; checkpoints are kept in {self.local}")
        self.trouble = trouble


def _turn(name: str, request: int) -> tuple:
    match = NAME.fullmatch(Path(name).name)
    return (0, -int(match[1])) if match else (1, request)
