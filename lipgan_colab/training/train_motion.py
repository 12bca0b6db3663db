"""Teach a network what a mouth does while its owner speaks (models/motion.py): some minutes on one core.

It learns from many voices that all say what the clips say (speech/variation.py), because how a clip's own voice sounds
must not matter. How well it does is told by people whom it has not learnt from.
"""

import copy
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lipgan_colab.device import pick_device
from lipgan_colab.errors import InputError, check_range
from lipgan_colab.files import not_written
from lipgan_colab.memory import keep_freed_memory
from lipgan_colab.models.motion import MotionConfig
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.weights import EXPORT, save_network
from lipgan_colab.training.async_checkpointer import CHECKPOINTS
from lipgan_colab.training.checkpoint import load_newest_checkpoint, prune, write_checkpoint
from lipgan_colab.training.lease import Lease, TakenOver
from lipgan_colab.training.motion_data import Measures, Motions, MotionTrainConfig, measure
from lipgan_colab.training.previews import CURVES, write_curves
from lipgan_colab.training.recorder import no_failure, random_state, restore_random_state
from lipgan_colab.training.runs import LOG, Log, check_config, held_run, read_config, read_log, write_config
from lipgan_colab.training.step import learning_rate_factor
from lipgan_colab.training.train import stop_when_asked, undisturbed

LAST = "last.safetensors"  # the weights as they are now; EXPORT has the best ones
COLUMNS = (  # of log.csv
    *("step", "samples", "minutes", "samples_per_second", "learning_rate", "loss", "velocity"),
    *("follows", "others", "range"),
)
WEIGHT_DECAY = 0.02
SHOWN_EVERY, MEASURED_EVERY = 10, 25  # steps; a line of the log is written when it is measured
SMOOTHING = 0.5  # how much of the smoothed measure each new one is


def train_motion(
    shards: str | Path,
    run: str | Path,
    config: MotionTrainConfig = MotionTrainConfig(),  # noqa: B008 (it is frozen)
    device: str | torch.device | None = None,
    save_minutes: float = 2,
    take_over: bool = False,
) -> Path:
    """Teach a motion network; the same call again goes on where it stopped. Returns the path of its weights.

    Args:
        shards: folder of shards that have mesh and voice.
        run: folder of the run: config.json, checkpoints/, log.csv, curves.png, generator.safetensors (the weights that
            did best), last.safetensors.
        config: how.
        device: cuda, cuda:1, mps, cpu; None takes the GPU where there is one.
        save_minutes: time between checkpoints; one is also written at the end and on interrupt.
        take_over: go on with a run although another session is at work on it; that one then ends.

    Raises:
        InputError: no usable shards, the run was begun with another configuration or other shards, another session is
            at work on it, or the disk takes nothing.
    """
    check_range("save_minutes", save_minutes, 0)
    keep_freed_memory()
    run, device = Path(run), pick_device(device)
    form = MotionConfig(channels=config.channels, dropout=config.dropout)
    motions = Motions(shards, config, form.components)
    about = {"what": "motion", **asdict(config), "clips": motions.fingerprint}  # as of describe_run
    torch.manual_seed(config.seed)
    learner = _Learner(motions, form, device)
    with held_run(run, take_over) as lease, stop_when_asked() as asked:
        session = _Session(run, about, motions, learner, lease)
        session.resume()
        whole = session.saved is None or not (run / EXPORT).exists()
        try:
            with tqdm(total=config.steps, initial=learner.step, unit="step", desc="motion") as progress:
                while learner.step < config.steps:
                    whole = False
                    session.log.add(learner.learn(*motions.batch(learner.step)))
                    whole = True
                    progress.update()
                    last = bool(asked) or learner.step == config.steps
                    if learner.step % MEASURED_EVERY == 0 or learner.step == config.steps:
                        session.measure(progress)
                    if asked:
                        tqdm.write(f"stopped after step {learner.step}, as asked; run the same again to go on")
                        break
                    if not last and time.monotonic() - session.saved_at > save_minutes * 60:
                        session.save()
            if asked:
                no_failure(progress)
        finally:
            if whole:  # half an update is not worth saving
                with undisturbed():
                    session.save()
    return run / EXPORT


@dataclass
class _Best:
    """The weights that did best so far by the smoothed measure, and how well they did by themselves."""

    step: int = 0
    smoothed: float = -math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)


class _Learner:
    """The network, and what changes it."""

    def __init__(self, motions: Motions, form: MotionConfig, device: torch.device):
        self.config, self.device, self.step = motions.config, device, 0
        self.network = MotionNetwork(form).to(device).train()
        self.network.basis.copy_(torch.from_numpy(motions.basis))
        self.network.spread.copy_(torch.from_numpy(motions.spread))
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), self.config.learning_rate, weight_decay=WEIGHT_DECAY
        )

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        config = self.config
        return config.learning_rate * learning_rate_factor(self.step, config.steps, config.warmup)

    def learn(self, heard: Tensor, answers: Tensor) -> dict[str, Tensor]:
        """One update; returns the losses, in square centimetres: of the whole mesh, and of its movement from one answer
        to the next."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        # The basis is orthonormal, so that an error of components is the mesh's.
        off = self.network(heard.to(self.device)) - answers.to(self.device)
        loss = off.square().sum(dim=1).mean()
        velocity = off.diff(dim=2).square().sum(dim=1).mean()
        self.optimizer.zero_grad(set_to_none=True)
        (loss + self.config.velocity_weight * velocity).backward()
        self.optimizer.step()
        self.step += 1
        return {"loss": loss.detach(), "velocity": velocity.detach()}

    def state(self) -> dict:
        """All of it as plain data."""
        return {
            "step": self.step,
            "random": random_state(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load(self, state: dict) -> None:
        """Go on from a `state`."""
        self.step = state["step"]
        restore_random_state(state["random"])
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


class _Session:
    """What is written while a learner learns: log, checkpoints, weights."""

    def __init__(self, run: Path, about: dict, motions: Motions, learner: _Learner, lease: Lease):
        self.run, self.about, self.motions, self.learner, self.lease = run, about, motions, learner, lease
        self.log = Log(run / LOG, COLUMNS)
        self.best = _Best()
        self.smoothed: float | None = None
        self.saved: int | None = None  # the step that was saved last
        self._began = self.saved_at = self._line_at = time.monotonic()
        self._before = 0.0  # minutes of training in former sessions

    def resume(self) -> None:
        """Put everything where the run's newest checkpoint has it, and begin to write.

        Raises:
            InputError: the run was begun in another way, or nothing can be written.
        """
        cure = "set it back to go on, or choose another run folder"
        check_config(self.run, read_config(self.run) or {}, self.about, cure)
        resumed = load_newest_checkpoint(self.run / CHECKPOINTS, say=tqdm.write)
        if resumed is not None:
            try:
                check_config(self.run, resumed[1]["about"], self.about, cure)
                self._load(resumed[1])
            except (KeyError, TypeError, RuntimeError) as error:
                reason = str(error).splitlines()[-1].strip()
                raise InputError(
                    f"{self.run}: its checkpoint is not one of mouth motion of this version ({reason})"
                ) from error
            tqdm.write(f"going on from step {self.learner.step} ({resumed[0].path.parent})")
        try:
            write_config(self.run, self.about)
            self.log.start()
        except OSError as error:
            raise not_written(self.run, error) from error
        self._line_step = self.learner.step

    def _load(self, state: dict) -> None:
        self.learner.load(state["learner"])
        self.best = _Best(**state["best"])
        self.smoothed, self._before = state["smoothed"], state["minutes"]
        self.log.load(state["log"], self.learner.device)
        self.saved = self.learner.step

    def _minutes(self) -> float:
        return self._before + (time.monotonic() - self._began) / 60

    def measure(self, progress: tqdm) -> None:
        """Measure the network, keep its weights where they are the best so far, and end a line of the log."""
        learner, config = self.learner, self.learner.config
        found = measure(learner.network.eval(), self.motions.held_out)
        learner.network.train()
        self._keep(found)
        now = time.monotonic()
        speed = (learner.step - self._line_step) * config.batch_size / max(1e-9, now - self._line_at)
        self._line_at, self._line_step = now, learner.step
        shown = {name: f"{value:.3f}" for name, value in asdict(found).items() if math.isfinite(value)}
        means = self.log.write(
            step=learner.step,
            samples=learner.step * config.batch_size,
            minutes=f"{self._minutes():.2f}",
            samples_per_second=f"{speed:.1f}",
            learning_rate=f"{learner.rate:.2e}",
            **shown,
        )
        progress.set_postfix({"loss": f"{means['loss']:.3f}", **shown})

    def _keep(self, found: Measures) -> None:
        if math.isfinite(found.follows):
            before = found.follows if self.smoothed is None else self.smoothed
            self.smoothed = before + SMOOTHING * (found.follows - before)
            if self.smoothed <= self.best.smoothed:
                return
        weights = {name: value.detach().clone() for name, value in self.learner.network.state_dict().items()}
        measures = {name: round(value, 4) for name, value in asdict(found).items() if math.isfinite(value)}
        smoothed = -math.inf if self.smoothed is None else self.smoothed
        self.best = _Best(self.learner.step, smoothed, weights, measures)

    def save(self) -> None:
        """Write a checkpoint and the weights.

        Raises:
            InputError: another session has taken the run over, or the disk takes nothing.
        """
        step = self.lease.step = self.learner.step
        state = {
            "step": step,
            "minutes": self._minutes(),
            "about": self.about,
            "learner": self.learner.state(),
            "best": vars(self.best),
            "smoothed": self.smoothed,
            "log": self.log.state(),
        }
        try:
            written = write_checkpoint(self.run / CHECKPOINTS, step, state)
            self.lease.check()
            prune(self.run / CHECKPOINTS, written)
            self._export()
            write_curves(self.run / CURVES, read_log(self.run / LOG))
        except TakenOver as error:
            raise InputError(f"{self.run}: {error.strerror}. This one ends at step {step}, which is saved") from error
        except OSError as error:
            raise not_written(self.run, error) from error
        self.saved, self.saved_at = step, time.monotonic()

    def _export(self) -> None:
        last = self.learner.network
        save_network(self.run / LAST, last, self._about_weights(self.learner.step, {}), half=True)
        best = copy.deepcopy(last)
        if self.best.weights:  # else nothing has been measured yet
            best.load_state_dict(self.best.weights)
        step = self.best.step if self.best.weights else self.learner.step
        save_network(self.run / EXPORT, best, self._about_weights(step, self.best.measures), half=True)

    def _about_weights(self, step: int, measures: dict) -> dict:
        what = "mouth motion from speech, for any face"
        clips = len(self.motions.learnt)
        return {"what": what, "step": step, "clips": clips, "corpora": self.motions.licences, "measures": measures}
