"""Who writes into a run's folder: one session at a time, on disks (Drive) that know no locks.

A session writes down who it is, and a counter that a thread moves every half minute. Another may begin where there is
no such note, where its process is known to be dead, where the counter stands still for a minute and a half, or where a
person says so. The clocks of two machines are never compared.
"""

import contextlib
import errno
import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from tqdm.auto import tqdm

from lipgan_colab.errors import InputError
from lipgan_colab.files import is_alive, machine

LEASE = "lease.json"
RENEWED_EVERY = 30.0  # seconds
SILENT = 90.0  # seconds without a sign of life, after which a session counts as dead
LISTENING = 1.0  # seconds between two looks
INSISTING = 10  # times that a session which takes over writes its note


@dataclass(frozen=True)
class Holder:
    """The session that writes into a folder.

    Attributes:
        token: tells it from all others.
        host, pid: where it runs.
        machine: of `files.machine`.
        since: when it began, by its own clock, for people.
        counter: moves as long as it lives.
        step: of the training, when it was last heard of.
        heard: when that was, by its own clock, for people.
    """

    token: str
    host: str
    pid: int
    machine: str
    since: str
    counter: int = 0
    step: int = 0
    heard: str = ""

    def __str__(self) -> str:
        return f"{self.host} (process {self.pid}), since {self.since}, last heard of at {self.heard} (step {self.step})"


class TakenOver(OSError):
    """Another session writes into the folder now; the message says which."""


class InUse(InputError):
    """Another session is at work in the folder; the message says which."""


class DamagedLease(OSError):
    """The note is half written at this moment, or was damaged."""


def read_holder(folder: str | Path) -> Holder | None:
    """The session that holds a folder; None where none does.

    Raises:
        DamagedLease: what is there tells nothing.
        OSError: the folder does not answer.
    """
    try:
        text = Path(folder, LEASE).read_bytes()
    except FileNotFoundError:
        os.stat(folder)  # a folder that is away does not say that nobody holds it
        return None
    try:
        holder = Holder(**json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedLease(errno.EIO, f"{LEASE} is damaged") from error
    if any(type(getattr(holder, field.name)) is not field.type for field in fields(holder)):
        raise DamagedLease(errno.EIO, f"{LEASE} is damaged")
    return holder


class Lease:
    """This session's right to write into a folder, which a thread renews until `release`.

    Args:
        folder: must be there.
        take_over: take it from whoever has it.
        say: takes one line for a person.

    Attributes:
        predecessor: the session before, if it is dead and did not give the folder back.
        step: of the training, to tell others.

    Raises:
        InUse: another session is at work there: which machine, since when, when last heard of.
        OSError: the folder does not answer, or takes no file.
    """

    def __init__(self, folder: Path, take_over: bool = False, say: Callable[[str], None] = tqdm.write):
        self.folder, self.say, self.step = folder, say, 0
        self._me = Holder(secrets.token_hex(8), platform.node(), os.getpid(), machine(), _now())
        self._turn = threading.Lock()
        self._ended = threading.Event()
        self.predecessor = None if take_over else _wait_until_free(folder, say)
        self._begin()
        if take_over:
            self._insist()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    @property
    def token(self) -> str:
        """What tells this session from all others."""
        return self._me.token

    def check(self) -> None:
        """To be called before anything in the folder is written, renamed or deleted.

        Raises:
            TakenOver: it is another session's now.
            OSError: the folder does not answer.
        """
        holder = read_holder(self.folder)
        if holder is not None and holder.token != self.token:
            raise TakenOver(errno.EPERM, f"another session has taken this run over: {holder}")

    def release(self) -> None:
        """Give the folder back; where it does not answer, the silence will tell."""
        self._ended.set()
        self._thread.join(timeout=1)  # it may hang in a call to a Drive that does not answer
        if not self._thread.is_alive():
            with contextlib.suppress(OSError):
                self.check()
                os.unlink(self.folder / LEASE)

    def _begin(self) -> None:
        new = not (self.folder / LEASE).exists()
        try:
            self._write()
        except OSError:
            if new:  # an empty note would keep the next one waiting
                with contextlib.suppress(OSError):
                    os.unlink(self.folder / LEASE)
            raise

    def _insist(self) -> None:
        """The other may have been about to renew its note, and have written over this one: it looks first each time."""
        for _ in range(INSISTING):
            time.sleep(LISTENING)
            try:
                return self.check()
            except (TakenOver, DamagedLease):
                self._write()

    def _write(self) -> None:
        """In place: to replace the file twice a minute would fill Drive's bin."""
        self._me = replace(self._me, counter=self._me.counter + 1, step=self.step, heard=_now())
        descriptor = os.open(self.folder / LEASE, os.O_WRONLY | os.O_CREAT, 0o644)
        with open(descriptor, "wb") as file:
            file.write(json.dumps(asdict(self._me)).encode())
            file.truncate()
            file.flush()
            os.fsync(descriptor)

    def _renew(self) -> None:
        other: _Listener | None = None  # to whoever has taken the folder over
        while not self._ended.wait(RENEWED_EVERY):
            with contextlib.suppress(OSError):  # silent itself while the folder does not answer
                if other is None:
                    try:
                        self.check()
                    except DamagedLease:
                        pass  # a disk that lost a part of what was written; it is written anew
                    except TakenOver as error:
                        other = _Listener(self.folder)
                        self.say(f"{self.folder}: {error.strerror}. Nothing more is written there")
                        continue
                elif not other.is_silent():
                    continue
                self._write()
                if other is not None:
                    other = None
                    self.say(f"{self.folder}: the other session has ended, and this one writes there again")


class _Listener:
    """Tells by its counter whether the session that holds a folder lives.

    Attributes:
        holder: the session, as far as is known.
        moved: whether its counter has.
    """

    def __init__(self, folder: Path):
        self.folder, self.holder, self.moved = folder, None, False
        self._last: Holder | str | None = None
        self._since = 0.0

    def is_silent(self) -> bool:
        """Whether nobody holds the folder, or one who is dead, or has not been heard of for long. Looks once."""
        try:
            seen = self.holder = read_holder(self.folder)
        except DamagedLease as error:
            seen = str(error)
        if seen is None or (isinstance(seen, Holder) and _is_dead(seen)):
            return True
        now = time.monotonic()
        if seen != self._last:
            self.moved = self._last is not None
            self._last, self._since = seen, now
        return now - self._since > SILENT


def _is_dead(holder: Holder) -> bool:
    """Whether a session is known to be. One of this very process is: whoever asks has taken its place."""
    return holder.machine == machine() and (holder.pid == os.getpid() or not is_alive(holder.pid))


def _wait_until_free(folder: Path, say: Callable[[str], None]) -> Holder | None:
    """Returns when nobody is at work in a folder: the dead session that left it, if there is one."""
    listener = _Listener(folder)
    told = False
    while not listener.is_silent():
        if listener.moved and listener.holder is not None:
            raise InUse(
                f"{folder}: another session trains this run: {listener.holder}. Stop it there, or take the run over "
                "(`take_over`)"
            )
        if not told:
            by = listener.holder or "another session"
            say(f"{folder}: was in use by {by}; waiting up to {SILENT:.0f} s for a sign that it still is")
            told = True
        time.sleep(LISTENING)
    return listener.holder


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
