"""What a run's folder tells: how the run was begun, how it went (log.csv), and where it stands."""

import csv
import io
import json
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from lipgan_colab.errors import InputError, counted, reading
from lipgan_colab.files import check_folder, is_alive, machine, not_written, open_tensors, written_whole
from lipgan_colab.models.lipgan import FACE_SIZE
from lipgan_colab.shards.dataset import LipSyncDataset
from lipgan_colab.training.async_checkpointer import CHECKPOINTS
from lipgan_colab.training.checkpoint import BEGIN_ANEW, Checkpoint, clear_unfinished, find_checkpoints, is_whole
from lipgan_colab.training.how_trained import LOG, read_log
from lipgan_colab.training.lease import Lease, read_holder
from lipgan_colab.training.step import TrainConfig

CONFIG = "config.json"
LOG_FIELDS = (
    *("step", "samples", "minutes", "samples_per_second", "gpu_gb", "learning_rate", "l1", "weighted_l1"),
    *("edges", "adversarial", "disc_synced", "disc_unsynced", "disc_fake", "grad_norm", "skipped"),
    *("quality", "quality_judge"),  # new ones go to the end: a run that goes on has lines of before
    *("sync", "sync_counts", "held_out_l1", "held_out_sync", "learnt_l1", "learnt_sync"),
    *("quality_features", "lip_quality", "lip_quality_judge", "lip_quality_features"),
)
TOLD = ("l1", "loss", "follows", "others", "range")  # of the columns, by `status`; see train_motion for the latter
MAY_CHANGE = {"steps"}  # configuration fields that a resumed run may have different
# Fields that came later, and what a run did before there was such a field: what that run still has to do.
BEFORE_THERE_WAS = {
    **{"clip": 0.0, "balance": 0.0, "edge_weight": 0.0, "most_channels": None, "quality_weight": 0.0},
    **{"sync_weight": 0.0, "sync_runs": 2, "sync_bound": 0.75},
    **{"references": "any", "held_out": "none", "lip_quality_weight": 0.0, "feature_weight": 0.0},
    **{"face_size": FACE_SIZE, "blocks": "residual"},
}


def read_config(run: Path) -> dict | None:
    """A run's config.json; None where there is none, or none that can be read (each checkpoint has it as well)."""
    try:
        about = json.loads((run / CONFIG).read_bytes())
        if not isinstance(about, dict):
            raise ValueError("it holds no fields")
        return about
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        warnings.warn(f"{run / CONFIG}: cannot be read ({error}); going by the checkpoints", stacklevel=2)
        return None


def exported_step(export: Path) -> int:
    """After which step a run's generator.safetensors was written. InputError where there is none that is whole."""
    with reading(export, "no export of a run", "train until its next checkpoint"), open_tensors(export) as file:
        return int(json.loads(file.metadata()["about"])["step"])


def write_config(run: Path, about: dict) -> None:
    """Write a run's config.json."""
    with written_whole(run / CONFIG) as unfinished:
        unfinished.write_text(json.dumps(about, indent=1), encoding="utf-8")


def describe_run(config: TrainConfig, dataset: LipSyncDataset) -> dict:
    """What is written down about how a run was begun: its configuration, and which clips it learns from."""
    return {**asdict(config), "clips": dataset.fingerprint}


@contextmanager
def held_run(run: Path, take_over: bool) -> Iterator[Lease]:
    """This session's right to write into the run's folder, which is made."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        lease = Lease(run, take_over)
    except OSError as error:
        raise not_written(run, error) from error
    try:
        clear_unfinished(run / CHECKPOINTS, dead=lease.predecessor)
        yield lease
    finally:
        lease.release()


def check_config(run: Path, before: dict, now: dict, cure: str | None = None) -> None:
    """Compare how a run was begun with how it is to go on (both of `describe_run`). `cure` is what to do about it.

    Raises:
        InputError: names the fields that differ, and what to do; or a newer version began the run.
    """
    if not before:
        return
    if before.get("what") != now.get("what"):
        raise InputError(f"{run}: a run of another kind of network; choose another run folder")
    before = BEFORE_THERE_WAS | before
    unknown = [name for name in before if name not in now and name not in BEFORE_THERE_WAS]
    if unknown:
        raise InputError(
            f"{run}: begun by a newer version, which has {unknown[0]}; update lipgan_colab to go on with it"
        )
    changed = [n for n, value in now.items() if n in before and before[n] != value and n not in MAY_CHANGE]
    if not changed:
        return
    differences = ", ".join(f"`{n}` was {before[n]} and is {now[n]}" for n in changed)
    clips = " (the shards were made of other clips)" if "clips" in changed else ""
    begins_anew = "start it from this one to begin with its weights"
    cure = cure or f"set it back to go on, or choose another run folder ({begins_anew})"
    raise InputError(f"{run}: begun with another configuration: {differences}{clips}; {cure}")


@dataclass
class Log:
    """log.csv: the losses' means since the line before, one line every so many steps.

    All of it is also part of every checkpoint, so that a resumed run's log has no line twice and none missing.
    A disk that cannot be written to costs lines of the file only until it can be again.
    """

    path: Path | None  # None: of the processes only the first writes
    columns: Sequence[str] = LOG_FIELDS
    lines: list[str] = field(default_factory=list)
    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, Tensor] = field(default_factory=dict)
    complete: bool = False  # whether the file holds all of the lines

    def state(self) -> dict:
        """The log as plain data."""
        return {"lines": "".join(self.lines), "sums": dict(self.sums), "counts": dict(self.counts)}

    def load(self, state: dict, device: torch.device) -> None:
        """Go on from a state."""
        self.lines = state["lines"].splitlines(keepends=True)
        self.sums = {name: value.float().to(device) for name, value in state["sums"].items()}
        self.counts = {
            n: torch.as_tensor(count, dtype=torch.float32, device=device) for n, count in state["counts"].items()
        }

    def start(self) -> None:
        """Write the file anew, with all lines so far."""
        with written_whole(self.path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(self.columns)
            file.writelines(self.lines)
        self.complete = True

    def add(self, reported: dict[str, Tensor]) -> None:
        """Count in what a step reported, but for the losses of one that was skipped; does not wait for the device,
        which may have no float64."""
        skipped = reported.get("skipped")
        for name, value in reported.items():
            value = value.detach().float()
            counts = torch.ones_like(value)
            if skipped is not None and name != "skipped":
                counts = 1 - skipped.float()
                value = torch.where(counts > 0, value, 0)
            self.sums[name] = self.sums.get(name, 0) + value
            self.counts[name] = self.counts.get(name, 0) + counts

    def write(self, **columns) -> dict[str, float]:
        """End a line; returns the means in it (and the sum of `skipped`).

        A line that the disk does not take is written later.
        """
        counts = {name: float(count) for name, count in self.counts.items()}
        means = {name: float(total) / counts[name] for name, total in self.sums.items() if counts[name]}
        if "skipped" in means:
            means["skipped"] *= counts["skipped"]  # a number of steps
        self.sums.clear()
        self.counts.clear()
        text = io.StringIO(newline="")
        row = {**columns, **{name: f"{value:.6f}" for name, value in means.items()}}
        csv.DictWriter(text, self.columns, restval="").writerow(row)
        self.lines.append(text.getvalue())
        self._append(text.getvalue())
        return means

    def _append(self, line: str) -> None:
        if self.path is None:
            return
        try:
            if not self.complete or not self.path.exists():
                return self.start()
            # Not synced: that could wait for a checkpoint under way.
            with self.path.open("a", newline="", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            self.complete = False
            warnings.warn(
                f"{self.path}: {error.strerror or error}; the line follows when it can be written", stacklevel=3
            )


def ago(seconds: float) -> str:
    """A time span in words."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return counted(int(seconds // size), unit)
    return "less than a minute"


def status(run: str | Path, local: str | Path | None = None) -> str:
    """Where a run stands, when it was last saved and where, and whether it can be resumed: a few lines for a person.

    Args:
        run: the run's folder.
        local: its folder on this machine's own disk, if that is another: the one that train was given.

    Raises:
        InputError: there is no run.
    """
    run = Path(run)
    if local is None or not os.path.isdir(local):
        check_folder(run, "give the folder that train was given")
    places = [Path(local)] if local is not None and os.path.abspath(local) != os.path.abspath(run) else []
    places.append(run)
    about = next(filter(None, map(read_config, places)), None)
    found = {place: _checkpoints(place) for place in places}
    if about is None and not any(found.values()):
        raise InputError(f"{run}: no run here (neither {CONFIG} nor checkpoints); give the folder that train was given")
    steps = (about or {}).get("steps")
    lines = [f"run      {run}", *_progress(about or {}, max((read_log(p / LOG) for p in places), key=len))]
    resumable = None
    for place in places:
        for checkpoint in found[place]:
            whole, text = _judge(checkpoint)
            if whole and (resumable is None or checkpoint.step > resumable.step):
                resumable = checkpoint
            lines.append(f"saved    {text} in {checkpoint.path.parent}")
    lines += _held(run)
    if resumable is not None and isinstance(steps, int) and resumable.step >= steps:
        lines.append(f"resume   done, at step {resumable.step} of {steps}; the same command with more steps goes on")
    elif resumable is not None:
        lines.append(f"resume   yes: the same train command goes on from step {resumable.step}")
    elif any(found.values()):
        lines.append(f"resume   no: none of its checkpoints is whole; {BEGIN_ANEW}")
    else:
        lines.append("resume   nothing saved yet: the same train command begins at step 0")
    return "\n".join(lines)


def _held(run: Path) -> list[str]:
    try:
        holder = read_holder(run)
    except OSError:
        return []
    if holder is None:
        return []
    dead = holder.machine == machine() and not is_alive(holder.pid)
    return [f"session  {'none; one ended without a word: ' if dead else ''}{holder}"]


def _checkpoints(place: Path) -> list[Checkpoint]:
    try:
        return find_checkpoints(place / CHECKPOINTS)
    except OSError as error:
        raise InputError(f"{place}: cannot be read ({error.strerror or error}); mount the disk again") from error


def _progress(about: dict, log: Sequence[dict[str, str]]) -> list[str]:
    if not log:
        return ["at       nothing in its log yet"]
    try:
        return _told_by(about, log[-1])
    except Exception:  # a line that was cut short, or anything else that was edited
        return [f"at       the last line of its {LOG} cannot be read"]


def _told_by(about: dict, last: dict[str, str]) -> list[str]:
    steps = about.get("steps")
    step, rate = int(last["step"]), float(last["samples_per_second"])
    of = f" of {steps} ({step / steps:.0%})" if steps else ""
    lines = [
        f"at       step {step}{of}, {counted(last['samples'], 'sample')}, "
        f"{_duration(float(last['minutes']))} of training; {told_losses(last)}"
    ]
    if steps and rate > 0:
        left = max(0, steps - step) * about.get("batch_size", 0) / rate
        lines.append(f"speed    {rate:.1f} samples/s" + (f"; {ago(left)} to go" if left else "; done"))
    return lines


def _duration(minutes: float) -> str:
    return f"{minutes / 60:.1f} hours" if minutes >= 60 else counted(f"{minutes:.0f}", "minute")


def told_losses(line: dict[str, str]) -> str:
    """What a line of log.csv tells of how good the network is: those of TOLD that it has."""
    return ", ".join(f"{name} {float(line[name]):.4f}" for name in TOLD if line.get(name)) or "no loss yet"


def _judge(checkpoint: Checkpoint) -> tuple[bool, str]:
    try:
        about = checkpoint.path.stat()
        whole = is_whole(checkpoint)
    except OSError as error:
        return False, f"step {checkpoint.step}, UNREADABLE ({error.strerror or error}),"
    text = "whole" if whole else "DAMAGED"
    return (
        whole,
        f"step {checkpoint.step}, {ago(time.time() - about.st_mtime)} ago, {about.st_size / 1e6:.0f} MB, {text},",
    )
