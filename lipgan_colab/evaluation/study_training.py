"""A run of a study is trained, by the ordinary `train`, from where it was to its end."""

from dataclasses import dataclass, replace
from pathlib import Path

from tqdm.auto import tqdm

from lipgan_colab.evaluation.arm_costs import clock
from lipgan_colab.evaluation.stopping import Stopped, seconds_left
from lipgan_colab.evaluation.study_material import Material
from lipgan_colab.evaluation.study_runs import StudyRun, add_cost, is_trained, last_step, reached
from lipgan_colab.training.train import train

LINES, MEASUREMENTS = 20, 10  # of a run's log, and how often it is measured by what is held out


@dataclass(frozen=True)
class Means:
    """What a session has to train with.

    Attributes:
        precision: as of `train`.
        workers: loader processes, as of `train`.
        deadline: of time.monotonic, when to stop and save; None: not before the end.
    """

    precision: str
    workers: int | None
    deadline: float | None


def train_run(run: StudyRun, material: Material, means: Means, start_from: Path | str | None) -> StudyRun:
    """Train a run to its end, unless that is done; the run as it then is, whose export may lie elsewhere.

    Raises:
        InputError: it cannot be trained.
        InUse: another session trains it.
        NotWritten: the disk takes no more.
        Stopped: before its end; what it was is saved.
    """
    if is_trained(run):
        return run
    config, study = run.config, material.study
    before, begun = last_step(run.folder), clock(material.device)
    tqdm.write(f"{run}: {config.steps} steps")
    left = seconds_left(means.deadline)
    try:
        export = train(
            study.shards,
            run.folder,
            config,
            material.device,
            start_from,
            means.workers,
            log_every=-(-config.steps // LINES),
            preview_every=-(-config.steps // MEASUREMENTS),
            max_hours=None if left is None else left / 3600,
            precision=means.precision,
            sync_expert=study.sync_expert if config.sync_weight else None,
        )
    except KeyboardInterrupt:
        raise Stopped(f"in {run}") from None
    step = reached(export)
    add_cost(run.folder, clock(material.device) - begun, step - before)
    if step < config.steps:
        raise Stopped(f"in {run}, after step {step} of {config.steps}")
    return replace(run, export=export)
