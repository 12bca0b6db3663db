"""What a training writes while it goes on: its log, pictures, checkpoints and exported generator.

Of several processes only the first one writes.
"""

import contextlib
import time
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lipgan_colab.errors import InputError, counted
from lipgan_colab.models.generators import build_generator
from lipgan_colab.models.interface import PAINTED_REFERENCES
from lipgan_colab.models.lipgan import GeneratorConfig
from lipgan_colab.models.weights import EXPORT, SYNC_EXPERT, save_generator
from lipgan_colab.training.async_checkpointer import CHECKPOINTS, AsyncCheckpointer
from lipgan_colab.training.checkpoint import PATIENCE, load_newest_checkpoint, patiently
from lipgan_colab.training.lease import Lease
from lipgan_colab.training.previews import CURVES, preview, write_curves, write_picture
from lipgan_colab.training.runs import CONFIG, LOG, Log, ago, check_config, read_config, read_log, write_config
from lipgan_colab.training.step import Networks

SOONEST, GROWTH, RAREST = 4.0, 1 / 3, 300.0  # of pictures by time: seconds, of the time since the start, seconds
LINE_AFTER = 10.0  # seconds, of lines by time
STATE = ("step", "minutes", "about", "random", "log", "networks")  # what a checkpoint holds


class Recorder:
    """The writing side of a training.

    Args:
        run: the run's folder, which lasts.
        local: the run's folder on this machine's own disk; may be `run` itself.
        about: `runs.describe_run` of how the run is to go on.
        save_minutes: time between checkpoints.
        active: False in all processes but the first: nothing is read or written.
        take_over: go on though another session holds the run.
        watched: pictures and lines come by time, and no bar is shown: somebody shows what is written.
    """

    def __init__(
        self,
        run: Path,
        local: Path,
        about: dict,
        save_minutes: float,
        active: bool = True,
        take_over: bool = False,
        watched: bool = False,
    ):
        self.run, self.local, self.about, self.save_minutes, self.active = run, local, about, save_minutes, active
        self.log = Log(local / LOG if active else None)
        self.minutes = 0.0  # of training, in all sessions
        self._take_over, self._watched = take_over, watched
        self._made: list[Path] = []  # folders that were not there
        self._leases: dict[Path, Lease] = {}
        self._checkpointer: AsyncCheckpointer | None = None
        self._progress: tqdm | None = None
        self._checkpoint = None
        self._warned = 0.0
        self._measured: dict[str, float] = {}

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *exception) -> None:
        """End the threads, and give the run back to others."""
        if self._checkpointer is not None:
            self._checkpointer.close()
        for lease in self._leases.values():
            lease.release()
        for folder in self._made:
            with contextlib.suppress(OSError):
                folder.rmdir()  # nothing was written: what was refused leaves nothing behind

    def resume(self) -> dict | None:
        """The state of the run's newest whole checkpoint; None for a new run, whose folder is made.

        Raises:
            InputError: the run was begun in another way, another session is at work on it, its folder does not answer,
                or there are only checkpoints that cannot be loaded.
        """
        if not self.active:
            return None
        for folder in (self.run, self.local):
            if folder.is_file():
                raise InputError(f"{folder}: this is a file; choose another folder")
        self._made = [folder for folder in (self.local, self.run) if not folder.exists()]
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            self.local.mkdir(parents=True, exist_ok=True)
            if self.local.samefile(self.run):  # by whatever link: nothing is copied onto itself, nor held twice
                self.local = self.run
            for folder in dict.fromkeys((self.local, self.run)):
                self._leases[folder] = patiently(lambda f=folder: Lease(f, self._take_over, self.say), PATIENCE)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(
                f"{self.run}: cannot be made or reached ({reason}); choose another folder, or mount its disk again"
            ) from error
        for folder in dict.fromkeys((self.local, self.run)):
            check_config(self.run, read_config(folder) or {}, self.about)
        folders = dict.fromkeys((self.local / CHECKPOINTS, self.run / CHECKPOINTS))
        self._checkpoint, state = load_newest_checkpoint(*folders, say=tqdm.write, patience=PATIENCE) or (None, None)
        if state is not None:
            lacking = [name for name in STATE if name not in state]
            if lacking:
                raise InputError(f"{self._checkpoint.path}: no checkpoint of a run, it lacks {lacking[0]}")
            check_config(self.run, state["about"], self.about)
        return state

    def start(self, step: int, steps: int, device: torch.device, state: dict | None) -> None:
        """Begin to record, or go on from a state."""
        self.minutes = self._before = 0.0
        if state is not None:
            self.log.load(state["log"], device)
            self.minutes = self._before = state["minutes"]
        hidden = self._watched or not self.active
        self._progress = tqdm(total=steps, initial=step, unit="step", desc="train", disable=hidden)
        self._started = self._saved = self._logged = self._look_at = time.monotonic()
        self._logged_step = step
        if not self.active:
            return
        write_config(self.local, self.about)
        self.log.start()
        self._checkpointer = AsyncCheckpointer(self.run, self.local, self._export, self.say, self._leases)
        self._checkpointer.later(lambda folder: None, CONFIG)
        if self._checkpoint is not None:
            self.say(f"going on from step {step} ({self._checkpoint.path.parent})")
            self._checkpointer.resumed_from(self._checkpoint, state)

    def say(self, line: str) -> None:
        """Show a line to the person."""
        if self.active:
            tqdm.write(line)

    def count(self, reported: dict[str, Tensor]) -> None:
        """Count in what a step reported."""
        self.log.add(reported)
        self.minutes = self._before + (time.monotonic() - self._started) / 60
        self._progress.update()

    def picture_due(self) -> bool:
        """Whether it is time for one who watches to see a picture: soon after the start, and then rarer."""
        now = time.monotonic()
        if not (self.active and now >= self._look_at):
            return False
        self._look_at = now + min(RAREST, max(SOONEST, (now - self._started) * GROWTH))
        return True

    def line_due(self) -> bool:
        """Whether it is time for one who watches to read a line."""
        return self.active and time.monotonic() - self._logged >= LINE_AFTER

    def line(self, step: int, batch_size: int, learning_rate: float, device: torch.device) -> None:
        """End a line of the log, and show it."""
        self._stand_aside()
        now = time.monotonic()
        rate = (step - self._logged_step) * batch_size / max(1e-9, now - self._logged)
        memory = f"{torch.cuda.max_memory_allocated(device) / 1e9:.2f}" if device.type == "cuda" else ""
        means = self.log.write(
            step=step,
            samples=step * batch_size,
            minutes=f"{self.minutes:.2f}",
            samples_per_second=f"{rate:.1f}",
            gpu_gb=memory,
            learning_rate=f"{learning_rate:.2e}",
            **{name: f"{value:.6f}" for name, value in self._measured.items()},
        )
        self._measured.clear()
        self._logged, self._logged_step = now, step
        if self.active:
            shown = {name: f"{means[name]:.4f}" for name in ("l1", "disc_synced", "adversarial") if name in means}
            self._progress.set_postfix({**shown, "samples/s": f"{rate:.0f}", **self._where_saved()})

    def measured(self, found: dict[str, float]) -> None:
        """Put what was measured into the next line of the log."""
        if self.active:
            self._measured |= found

    def picture(self, step: int, networks: Networks, shown: dict[str, Tensor]) -> None:
        """Make a preview of these samples, and draw the log's curves."""
        if not self.active:
            return
        name = f"previews/step-{step:08d}.png"
        faces = preview(networks.average, shown)
        self._checkpointer.later(lambda folder: write_picture(folder / name, faces), name)
        self._checkpointer.later(lambda folder: write_curves(folder / CURVES, read_log(folder / LOG)), CURVES)

    def save_in_time(self, step: int, networks: Networks) -> None:
        """Save when it is time to."""
        due = time.monotonic() - self._saved >= self.save_minutes * 60
        if self.active and due and self.save(step, networks):
            self._saved = time.monotonic()

    def save(self, step: int, networks: Networks) -> bool:
        """Begin to save the state after `step` steps; returns whether (see `AsyncCheckpointer.save`)."""
        return self.active and self._checkpointer.save(step, self._state(step, networks))

    def save_last(self, step: int, networks: Networks) -> None:
        """Save the state after `step` steps, and wait for it (see `AsyncCheckpointer.save_last`)."""
        if self.active:
            self._checkpointer.save_last(step, self._state(step, networks))

    def _state(self, step: int, networks: Networks) -> dict:
        for lease in self._leases.values():
            lease.step = step
        return {
            "step": step,
            "minutes": self.minutes,
            "about": self.about,
            "random": random_state(),
            "log": self.log.state(),
            "networks": networks.state(),
        }

    def _stand_aside(self) -> None:
        """Follow the checkpointer where it goes when another session has taken the run over."""
        if not self.active:
            return
        self._checkpointer.stand_aside()
        log = self._checkpointer.local / LOG
        if log != self.log.path:
            self.log.path, self.log.complete = log, False

    def finish(self, seconds: float, stopped: bool = False) -> Path:
        """Wait for the disk, and at most `seconds` for Drive. Returns the folder that holds the run whole.

        Args:
            seconds: see above.
            stopped: before its end, as somebody wished.
        """
        self._progress.close()
        if stopped:
            no_failure(self._progress)
        if not self.active:
            return self.run
        missing = self._checkpointer.finish(seconds)
        if (aside := self._checkpointer.local) != self.local:  # the run is another session's now, or its disk is full
            cure = "to go on from it, give it as the run"
            if self._checkpointer.full:
                cure = "make room, and run the same again"
            if self._checkpointer.full and aside != self.run:
                cure = f"that folder does not last: make room, copy what is in it to {self.run}, and run the same again"
            self.say(f"this session's end is saved in {aside}; {cure}")
            return aside
        if missing:
            self.say(
                f"{counted(len(missing), 'file')} NOT in {self.run} yet ({', '.join(missing[:3])}, …), but in "
                f"{self.local}; run the same again while this machine lives"
            )
        return self.local if missing else self.run

    def last_saved(self) -> str:
        """Which step was saved last, in words."""
        written = self._checkpointer.written if self._checkpointer is not None else None
        return f"step {written.step}" if written else "nothing"

    def _where_saved(self) -> dict[str, str]:
        """The watchdog: what was saved last, and when it reached Drive; says so loudly when that is long ago."""
        if self._checkpointer.mirror is None:
            written = self._checkpointer.written
            return {"saved": f"step {written.step}"} if written else {}
        mirror, now = self._checkpointer.mirror, time.time()
        since = mirror.reached[1] if mirror.reached else now - (time.monotonic() - self._started)
        if now - max(since, self._warned) > 3 * 60 * self.save_minutes + 60:
            self._warned = now
            self.say(f"for {ago(now - since)} no checkpoint has reached {self.run} ({mirror.trouble or 'it is slow'})")
        return {"on Drive": f"{ago(now - since)} ago" if mirror.reached else "not yet"}

    def _export(self, state: dict, folder: Path) -> list[str]:
        """Write generator.safetensors from a saved state into a folder; runs in the background."""
        config = self.about
        with torch.device("meta"):  # no memory of its own: it is given the saved tensors
            shape = GeneratorConfig(
                config["width"], config["speech"], config["blocks"], config["most_channels"], config["face_size"]
            )
            average = build_generator(shape)
        average.load_state_dict(state["networks"]["average"], assign=True)
        samples = state["step"] * config["batch_size"]
        about = {"step": state["step"], "samples": samples, PAINTED_REFERENCES: config["augment"] > 0}
        about |= {SYNC_EXPERT: state["networks"]["pleased"]} if state["networks"]["pleased"] else {}
        save_generator(folder / EXPORT, average, about)
        if folder != self.local:
            write_config(folder, self.about)
        return [EXPORT, LOG]


def no_failure(progress: tqdm) -> None:
    """Say so of a closed bar that did not come to its end: notebooks paint it red."""
    if hasattr(progress, "container"):
        progress.display(bar_style="info", check_delay=False)


def random_state() -> dict:
    """The states of PyTorch's random number generators; samples and coins need none."""
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict) -> None:
    """Go on from a `random_state`, on as many GPUs as there are now."""
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available():
        for number, generator in enumerate(state["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(generator, number)
