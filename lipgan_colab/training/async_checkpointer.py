"""Saves a run while it goes on: the training waits for the copy out of the device's memory, and for nothing else.

A thread writes that copy to the local disk, checksummed; another (drive_mirror.py) brings the file to Drive.
"""

import copy
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lipgan_colab.training.checkpoint import KEEP, Checkpoint, clear_unfinished, prune, write_checkpoint
from lipgan_colab.training.drive_mirror import Mirror, give_way

CHECKPOINTS = "checkpoints"  # the folder's name in a run


class Snapshot:
    """Copies of a state in the host's memory, in buffers that are kept: new memory costs more than the copying."""

    def __init__(self):
        self._buffers: dict[tuple, Tensor] = {}

    def take(self, state: dict) -> dict:
        """The state as it is now. Valid until the next call."""
        taken = self._copy(state, ())
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # the copies to pinned memory are under way until here
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
        export: called in the background with the saved state and after it was written, to make what goes along with a
            checkpoint; returns the names below `local` of the files that it wrote.
        say: takes one line for a person.
    """

    def __init__(
        self,
        run: Path,
        local: Path,
        export: Callable[[dict], list[str]] = lambda state: [],
        say: Callable[[str], None] = tqdm.write,
    ):
        self.local, self.export, self.say = local, export, say
        self.mirror = Mirror(local, run, say) if local != run else None
        self.written: Checkpoint | None = None  # the last one on the local disk
        self._snapshot = Snapshot()
        self._thread = ThreadPoolExecutor(1, "checkpointer", initializer=give_way)
        self._writing: Future | None = None
        self._others: list[Future] = []
        self._warned_of_space = False
        clear_unfinished(self.folder, truncate=False)

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
        self._others.append(self._thread.submit(self._do, lambda: self._put(*self.export(state)), ()))
        if self.mirror is not None:
            files = [p for p in self.local.rglob("*.*") if p.is_file() and p.parent != self.folder]
            self.mirror.put(*(str(p.relative_to(self.local)) for p in files if p.name[0] != "."), missing=True)

    def save(self, step: int, state: dict, wait: bool = False) -> bool:
        """Have a state written; returns when it may be changed again, with `wait` when it is written.

        Returns:
            Whether it is being written: not while the one before still is (unless `wait`).

        Raises:
            Exception: whatever went wrong with the one before, other than the disk.
        """
        if self._writing is not None:
            if not wait and not self._writing.done():
                return False
            self._writing.result()
        self._others = [work for work in self._others if not work.done() or work.result()]
        if self.written is not None and self.written.step == step:
            return True
        if wait:  # behind whatever the thread is still at: two exports at once would write into one file
            self._thread.submit(self._write, step, state).result()
        else:
            self._writing = self._thread.submit(self._write, step, self._snapshot.take(state))
        return True

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

    def later(self, work: Callable[[], object], *names: str) -> None:
        """Do something in the background that writes these files, named from `local`, and have them copied to `run`.
        A disk that does not take them is reported, no more."""
        self._others.append(self._thread.submit(self._do, work, names))

    def _do(self, work: Callable[[], object], names: tuple[str, ...]) -> None:
        try:
            work()
            self._put(*names)
        except OSError as error:
            self.say(f"{self.local}: {', '.join(names)} not written ({error.strerror or error}); training goes on")

    def _put(self, *names: str) -> None:
        if self.mirror is not None:
            self.mirror.put(*names)

    def _write(self, step: int, state: dict) -> None:
        try:
            self.written = write_checkpoint(self.folder, step, state)
            # Nothing is emptied that the mirror may still be copying.
            prune(self.folder, self.written, KEEP, truncate=self.mirror is None)
            self._warn_of_space()
            self._mirror(self.written)
            self._put(*self.export(state))
        except OSError as error:
            self.say(
                f"step {step} was NOT saved in {self.folder}: {error.strerror or error}. "
                "Training goes on, and tries again next time; make room on that disk"
            )

    def _warn_of_space(self) -> None:
        """Say so once before the disk is full: the next checkpoint is written before an older one is deleted."""
        free, size = shutil.disk_usage(self.folder).free, self.written.path.stat().st_size
        if free < 2 * size and not self._warned_of_space:
            self.say(f"{self.folder}: nearly full, {free / 1e9:.1f} GB free for checkpoints of {size / 1e9:.1f} GB")
        self._warned_of_space = free < 2 * size

    def _mirror(self, checkpoint: Checkpoint) -> None:
        self._put(f"{CHECKPOINTS}/{checkpoint.path.name}")
