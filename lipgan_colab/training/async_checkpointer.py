"""Saves a run while it goes on: the training waits for the copy out of the device's memory, and for nothing else.

A thread writes that copy to the local disk, checksummed; another (drive_mirror.py) brings the file to Drive.
"""

import contextlib
import copy
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lipgan_colab.device import synchronize
from lipgan_colab.errors import InputError
from lipgan_colab.training.checkpoint import KEEP, Checkpoint, clear_unfinished, prune, write_checkpoint
from lipgan_colab.training.drive_mirror import Mirror, give_way
from lipgan_colab.training.lease import LEASE, Lease, TakenOver

CHECKPOINTS = "checkpoints"  # the folder's name in a run
GOES_ON = ". Training goes on, and tries again next time; make room on that disk"


class Snapshot:
    """Copies of a state in the host's memory, in buffers that are kept: new memory costs more than the copying."""

    def __init__(self):
        self._buffers: dict[tuple, Tensor] = {}

    def take(self, state: dict) -> dict:
        """The state as it is now. Valid until the next call."""
        taken = self._copy(state, ())
        synchronize()  # the copies are under way until here
        return taken

    def _copy(self, value, path: tuple):
        if isinstance(value, dict):
            return {key: self._copy(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._copy(item, (*path, n)) for n, item in enumerate(value)]
        if not isinstance(value, Tensor):
            return copy.deepcopy(value)
        buffer = self._buffers.get(path)
        if buffer is None or buffer.shape != value.shape or buffer.dtype != value.dtype:
            buffer = torch.empty_like(value, device="cpu", pin_memory=value.is_cuda, requires_grad=False)
            self._buffers[path] = buffer
        return buffer.copy_(value.detach(), non_blocking=True)


class AsyncCheckpointer:
    """Writes checkpoints into `local` and, where that is another folder, has them copied into `run`.

    Args:
        run: the run's folder, which lasts.
        local: the run's folder on this machine's own disk; may be `run` itself.
        export: called in the background with the saved state and the folder that it was written into, to make what
            goes along with a checkpoint; returns the names below the folder of the files that it wrote.
        say: takes one line for a person.
        leases: of `run` and `local`; none: nobody else writes there.

    Attributes:
        local: where everything is written: another folder beside it once another session has taken it over, or, at the
            end, where it could not be written to.
        written: the last checkpoint on the local disk.
        full: whether the end could not be saved where it belongs.
    """

    def __init__(
        self,
        run: Path,
        local: Path,
        export: Callable[[dict, Path], list[str]] = lambda state, folder: [],
        say: Callable[[str], None] = tqdm.write,
        leases: Mapping[Path, Lease] = {},
    ):
        self.run, self.local, self.export, self.say, self.leases = run, local, export, say, leases
        self.mirror = Mirror(local, run, say, leases.get(run)) if local != run else None
        self.written: Checkpoint | None = None
        self.full = False
        self._snapshot = Snapshot()
        self._thread = ThreadPoolExecutor(1, "checkpointer", initializer=give_way)
        self._moving = threading.Lock()  # the training's thread and the checkpointer's look
        self._writing: Future | None = None
        self._others: list[Future] = []
        self._exported = -1  # the step whose export is written
        self._warned_of_space = False
        dead = leases[local].predecessor if local in leases else None
        with contextlib.suppress(OSError):  # what is left over goes next time
            for folder in (self.folder, local, local / "previews"):
                clear_unfinished(folder, truncate=False, dead=dead)

    @property
    def folder(self) -> Path:
        """Where the checkpoints are written."""
        return self.local / CHECKPOINTS

    def resumed_from(self, checkpoint: Checkpoint, state: dict) -> None:
        """Tell where the run goes on from, so that the same step is not saved again, and catch up with what the session
        before did not bring to an end."""
        if checkpoint.path.parent == self.folder:
            self.written = checkpoint
            self._mirror(checkpoint)
        self._others.append(self._thread.submit(self._export, state))
        if self.mirror is not None:
            files = [p for p in self.local.rglob("*.*") if p.is_file() and p.parent != self.folder]
            kept = [p for p in files if p.name[0] != "." and p.name != LEASE]
            self.mirror.put(*(str(p.relative_to(self.local)) for p in kept), missing=True)

    def save(self, step: int, state: dict) -> bool:
        """Have a state written; returns when it may be changed again.

        Returns:
            Whether it is being written: not while the one before still is.

        Raises:
            Exception: whatever went wrong with the one before, other than the disk.
        """
        if self._writing is not None:
            if not self._writing.done():
                return False
            self._writing.result()
        self._others = [work for work in self._others if not work.done() or work.result()]
        if self.written is None or self.written.step != step:
            self._writing = self._thread.submit(self._write, step, self._snapshot.take(state))
        return True

    def save_last(self, step: int, state: dict) -> None:
        """Write a state whole, whatever went wrong before: in another place where it cannot be here.

        Raises:
            InputError: it could not be written anywhere.
            Exception: whatever went wrong with the one before, other than the disk.
        """
        earlier = self._writing.exception() if self._writing is not None else None
        places = [place for place in (self.run, self._spare_folder()) if place != self.local]
        # In the thread, behind whatever it is still at: two exports at once would write into one file.
        while not self._thread.submit(self._write, step, state, "").result():
            if not places:
                raise InputError(f"step {step} is NOT saved: no disk takes it (see above); make room, and run it again")
            self._move_to(places.pop(0))
            self.full = True
        if earlier is not None:
            raise earlier

    def finish(self, seconds: float) -> list[str]:
        """Wait for the disk, and at most `seconds` for Drive; returns the names of what has not arrived there."""
        try:
            for work in (self._writing, *self._others):
                if work is not None:
                    work.result()
            return self.mirror.flush(seconds) if self.mirror is not None else []
        finally:
            self.close()

    def close(self) -> None:
        """End the threads; what has not reached Drive is on the local disk."""
        self._thread.shutdown()
        if self.mirror is not None:
            self.mirror.close()

    def later(self, work: Callable[[Path], object], *names: str) -> None:
        """Do something in the background that writes these files into the folder that it is called with, and have them
        copied to `run`. A disk that does not take them is reported, no more."""
        self._others.append(self._thread.submit(self._do, work, names))

    def stand_aside(self) -> None:
        """To be called before anything is written: where another session has taken the folder over, `local` becomes one
        beside it."""
        with self._moving:
            lease = self.leases.get(self.local)
            try:
                if lease is not None:
                    lease.check()
            except TakenOver as error:
                aside = self.local.with_name(f"{self.local.name}-{lease.token[:8]}")
                self.say(f"{self.local}: {error.strerror}. This one goes on in {aside}, a run of its own from here on")
                self._move_to(aside)
                for held in self.leases.values():
                    held.release()  # for good: what is written from here on is another run's
                if self.mirror is not None:
                    self.mirror.close()
                    self.mirror = None
            except OSError:
                pass  # whoever writes will find out

    def _move_to(self, folder: Path) -> None:
        self.local, self.written, self._exported = folder, None, -1

    def _spare_folder(self) -> Path:
        """Where the end is saved when neither the run's folder nor the local one can be written to."""
        return Path(tempfile.gettempdir(), f"lipgan-{self.run.name}-{secrets.token_hex(4)}")

    def _do(self, work: Callable[[Path], object], names: tuple[str, ...]) -> bool:
        self.stand_aside()
        try:
            work(self.local)
        except OSError as error:
            self.say(f"{self.local}: {', '.join(names)} not written ({error.strerror or error}); training goes on")
            return False
        self._put(*names)
        return True

    def _put(self, *names: str) -> None:
        if self.mirror is not None and self.mirror.local == self.local:
            self.mirror.put(*names)

    def _write(self, step: int, state: dict, then: str = GOES_ON) -> bool:
        """Write a checkpoint and what goes along with it; returns whether all is on the disk now. `then` is what comes
        of it where it is not."""
        self.stand_aside()
        try:
            if self.written is None or self.written.step != step:
                self.written = write_checkpoint(self.folder, step, state)
        except OSError as error:
            self.say(f"step {step} was NOT saved in {self.folder}: {error.strerror or error}{then}")
            return False
        with contextlib.suppress(OSError):  # what is left over goes next time
            self._prune()
            self._warn_of_space()
        self._mirror(self.written)
        return self._exported == step or self._export(state)

    def _prune(self) -> None:
        if self.local in self.leases:
            self.leases[self.local].check()
        # Nothing is emptied that the mirror may still be copying.
        prune(self.folder, self.written, KEEP, truncate=self.mirror is None)

    def _export(self, state: dict) -> bool:
        exported = []
        if not self._do(lambda folder: exported.extend(self.export(state, folder)), ("the generator",)):
            return False
        self._put(*exported)
        self._exported = state.get("step", -1)
        return True

    def _warn_of_space(self) -> None:
        """Say so once before the disk is full: the next checkpoint is written before an older one is deleted."""
        free, size = shutil.disk_usage(self.folder).free, self.written.path.stat().st_size
        if free < 2 * size and not self._warned_of_space:
            self.say(f"{self.folder}: nearly full, {free / 1e9:.1f} GB free for checkpoints of {size / 1e9:.1f} GB")
        self._warned_of_space = free < 2 * size

    def _mirror(self, checkpoint: Checkpoint) -> None:
        self._put(f"{CHECKPOINTS}/{checkpoint.path.name}")
