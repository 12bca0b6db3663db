"""Does it help: every arm of a study trained with every seed, all judged by the same clips, and compared on one page.

Everything is trained by the ordinary `train` and judged as by the ordinary `evaluate`, in a folder of this kind:

    runs/start/seed-0/    the beginning that all arms share, where the study has one
    runs/ARM/seed-0/      a run
    judged/ARM/seed-0/    what `evaluate` writes, shown.png for the page, and judged.json: which export was judged
    costs.json            what a step of each arm takes, where the budget is of seconds
    ablation.md           the page, and what it shows: ablation.csv, pictures
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from tqdm.auto import tqdm

from lipgan_colab.device import describe
from lipgan_colab.errors import InputError, check_range, counted, lasting
from lipgan_colab.evaluation.ablation_page import PAGE, write_page
from lipgan_colab.evaluation.arm_costs import COSTS
from lipgan_colab.evaluation.arm_results import ArmRun
from lipgan_colab.evaluation.comparison import compare
from lipgan_colab.evaluation.stopping import Stopped, terms_interrupt
from lipgan_colab.evaluation.study import BASE, START, arms_of, read_study
from lipgan_colab.evaluation.study_about import about, in_short
from lipgan_colab.evaluation.study_judging import (
    has_true_crops,
    is_judged,
    judge_run,
    mend_true_crops,
    true_clips,
    true_crops,
)
from lipgan_colab.evaluation.study_material import Material, gather
from lipgan_colab.evaluation.study_results import scores_of, told_run
from lipgan_colab.evaluation.study_runs import Place, StudyRun, runs_of
from lipgan_colab.evaluation.study_steps import check_begun, costs_of, steps_of
from lipgan_colab.evaluation.study_training import Means, train_run
from lipgan_colab.evaluation.study_waiting import Waiting, wait_for_costs
from lipgan_colab.evaluation.true_clips import TrueClips
from lipgan_colab.files import NotWritten, check_place, make_folder
from lipgan_colab.shards.preprocess import place_among
from lipgan_colab.shards.workers import MOST_WORKERS
from lipgan_colab.training.async_checkpointer import CHECKPOINTS
from lipgan_colab.training.lease import InUse
from lipgan_colab.training.runs import CONFIG
from lipgan_colab.training.train import training_device


@dataclass(frozen=True)
class Ablation:
    """What came out.

    Attributes:
        folder: that holds it all.
        page: None where nothing can be compared yet.
        runs: all that the study asks for, with those that are missing.
        told: lines for a person: what was found.
        stopped: how to go on, where it was stopped.
    """

    folder: Path
    page: Path | None
    runs: list[ArmRun]
    told: list[str]
    stopped: str = ""

    def __str__(self) -> str:
        missing = [f"missing {run.arm}, seed {run.seed}: {run.missing}" for run in self.runs if run.missing]
        page = [f"page: {self.page}"] if self.page else []
        return "\n".join([*self.told, *missing, *page, *filter(None, [self.stopped])])


@dataclass(frozen=True)
class Plan:
    """What a study will take: by arm (START with them) the steps of a run, and its seconds of computing."""

    title: str
    steps: dict[str, int]
    seconds: dict[str, float]
    seeds: int
    device: str

    def __str__(self) -> str:
        width = max(map(len, self.steps))
        lines = [self.title or "a study", f"on {self.device}; that each run is judged comes on top"]
        for arm, steps in self.steps.items():
            every = f"{counted(self.seeds, 'time')} {steps} steps, {self.seconds[arm] / steps:.3g} s each"
            lines.append(f"{arm:{width}}  {every}: {lasting(self.seconds[arm] * self.seeds)}")
        return "\n".join([*lines, f"{'all':{width}}  {lasting(sum(self.seconds.values()) * self.seeds)}"])


def ablate(
    study: str | Path,
    out: str | Path,
    device: str | torch.device | None = None,
    rank: int | None = None,
    world_size: int | None = None,
    workers: int | None = None,
    max_hours: float | None = None,
    precision: str = "auto",
) -> Ablation:
    """Train every arm of a study with every seed, judge them all, and write a page that compares them; the same call
    again goes on where it stopped.

    The page is written anew after each run. A run that fails is told, listed there, and tried again by the next call.

    Args:
        study: the study's file (see `evaluation.study`).
        out: folder that gets the runs, what was judged, and the page.
        device: cuda, cuda:1, mps, cpu; None takes the GPU where there is one, and a Colab without one is refused.
        rank: which of several machines, or GPUs, that share `out` this is, from 0; each takes its own part of the runs.
            None takes 0.
        world_size: how many share the work. None takes 1.
        workers: loader processes; None takes what the device needs.
        max_hours: stop and save after so long, before the session's end does it.
        precision: float32, bfloat16, float16, or auto: the one that is fast on the device.

    Raises:
        InputError: the study says something that cannot be done, or `out` holds runs of another one, or cannot be
            written; or all of the runs failed.
    """
    check_range("max_hours", max_hours, 0)
    check_range("workers", workers, 0, MOST_WORKERS)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "ablate: torchrun shares batches, and a study shares runs; start one for each GPU, with `rank` and `device`"
        )
    rank, world_size = place_among(rank, world_size)
    _check_out(out)
    material = gather(read_study(study), Path(os.path.abspath(out)), training_device(device))
    means = Means(precision, workers, None if max_hours is None else time.monotonic() + 3600 * max_hours)
    made, stopped = _Made({}, {}, {}), ""
    with tempfile.TemporaryDirectory(prefix="lipgan-truth-") as kept, terms_interrupt():
        truth = cache(lambda: true_clips(material, Path(kept)))
        try:
            _prepare(made, material, means, rank)
            own = _asked(made)[rank::world_size]
            mend_true_crops(material.out, own)
            _work(own, made, material, means, truth)
        except (Stopped, KeyboardInterrupt) as stop:
            stopped = f"stopped {stop or 'between two runs'}; run the same again to go on"  # told with the rest
    return _written(made, material, stopped)


def plan(
    study: str | Path,
    out: str | Path,
    device: str | torch.device | None = None,
    precision: str = "auto",
) -> Plan:
    """What a study will take; trains nothing but the few steps by which it is timed, which `out`/costs.json keeps.

    Raises:
        InputError: as `ablate`.
    """
    _check_out(out)
    material = gather(read_study(study), Path(os.path.abspath(out)), training_device(device))
    make_folder(material.out)
    asked = material.study
    arms = arms_of(asked, start=True)
    costs = costs_of(material, arms, precision)
    given = steps_of(material, precision)
    steps = {name: asked.config(name, 0, given.get(name, 0)).steps for name in arms}
    seconds = {name: steps[name] * costs[name] for name in arms}
    return Plan(asked.title, steps, seconds, len(asked.seeds), describe(material.device))


def _check_out(out: str | Path) -> None:
    """InputError where the folder for a study is something else's."""
    for pattern, what in (("shard-*.safetensors", "shards"), (CONFIG, "a run"), (CHECKPOINTS, "a run")):
        if next(Path(out).glob(pattern), None) is not None:
            raise InputError(f"{out}: this folder holds {what}; give the study (`out`) one of its own")


@dataclass(frozen=True)
class _Made:
    """How far a session is: what it fills as it goes.

    Attributes:
        runs: all of the study, the shared beginnings first; none before it is known how long they are.
        failed: why a run could not be made.
        in_use: what was said of a run that another session is at work on, since it was last waited for.
    """

    runs: dict[Place, StudyRun]
    failed: dict[Place, str]
    in_use: dict[Place, InUse]


def _asked(made: _Made) -> list[StudyRun]:
    """The runs that are compared: all but the shared beginnings."""
    return [run for run in made.runs.values() if run.arm != START]


def _prepare(made: _Made, material: Material, means: Means, rank: int) -> None:
    """Find out each arm's steps, and whether what is there belongs to the study."""
    study = material.study
    check_place(material.out / PAGE)
    if study.budget == "seconds" and rank:
        wait_for_costs(material.out / COSTS, arms_of(study), means.deadline)
    made.runs.update(runs_of(study, material.out, steps_of(material, means.precision)))
    for run in made.runs.values():
        check_begun(run, material)


def _work(
    runs: Sequence[StudyRun], made: _Made, material: Material, means: Means, truth: Callable[[], TrueClips]
) -> None:
    """Train and judge these, in this order but for those that other sessions are at work on."""
    waiting = Waiting(means.deadline)
    with tqdm(total=len(runs), unit="run", desc="study") as progress:
        left = [run.place for run in runs]
        while left:
            made.in_use.clear()
            todo, left = left, []
            for place in todo:
                progress.set_postfix_str(str(made.runs[place]))
                try:
                    new = _make(place, made, material, means, truth)
                except InUse:
                    left.append(place)
                    continue
                except NotWritten:
                    raise
                except InputError as error:
                    made.failed[place], new = str(error), True
                    tqdm.write(f"failed: {made.runs[place]}: {error}")
                if new:
                    _written(made, material)
                progress.update()
            if len(left) == len(todo):
                waiting.wait({made.runs[place].folder: error for place, error in made.in_use.items()})
    if runs and all(run.place in made.failed for run in runs):
        first = next(iter(made.failed.values()))
        raise InputError(f"{material.study.path}: none of its runs could be made ({first})")


def _make(place: Place, made: _Made, material: Material, means: Means, truth: Callable[[], TrueClips]) -> bool:
    """Train and judge a run; False where that was done. InUse where another session is at work on it."""
    if is_judged(made.runs[place], material):
        return False
    start_from = material.study.start_from
    if material.study.start is not None:
        begun = (START, place[1])
        if begun in made.in_use:
            raise made.in_use[begun]
        if begun in made.failed:
            raise InputError(f"what it starts from failed: {made.failed[begun]}")
        _train(begun, made, material, means, None)
        start_from = made.runs[begun].export
    _train(place, made, material, means, start_from)
    try:
        judge_run(made.runs[place], material, truth)
    except KeyboardInterrupt:
        raise Stopped(f"while {made.runs[place]} was judged") from None
    return True


def _train(place: Place, made: _Made, material: Material, means: Means, start_from: Path | str | None) -> None:
    """Train a run, and note where its export lies, or why there is none: other arms may start from it."""
    try:
        made.runs[place] = train_run(made.runs[place], material, means, start_from)
    except InUse as error:
        made.in_use[place] = error
        raise
    except NotWritten:
        raise
    except InputError as error:
        made.failed[place] = str(error)
        raise


def _written(made: _Made, material: Material, stopped: str = "") -> Ablation:
    """Write the page of all that is whole, whoever has made it."""
    study, out, asked = material.study, material.out, _asked(made)
    runs, scores = [], []
    for run in asked:
        whole = is_judged(run, material)
        runs.append(told_run(run, study, whole, made.failed.get(run.place)))
        scores += scores_of(run) if whole else []
    if not scores:
        return Ablation(out, None, runs, ["nothing is judged yet"], stopped)
    shown, title = true_crops(out) if has_true_crops(out) else None, study.title or "A study"
    page = write_page(out, title, about(material, asked), scores, runs, shown, study.measures, BASE)
    return Ablation(out, page, runs, in_short(compare(scores, BASE, study.measures)), stopped)
