"""The runs that a study asks for: where each lies, how far it has come, and what it has cost."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.study import START, Study
from lipgan_colab.files import written_whole
from lipgan_colab.models.weights import EXPORT
from lipgan_colab.training.runs import LOG, exported_step, read_log
from lipgan_colab.training.step import TrainConfig

COST = "cost.json"

Place = tuple[str, int]  # an arm (or START) and a seed


@dataclass(frozen=True)
class StudyRun:
    """A run, whether it is there or not.

    Attributes:
        arm: "base", a name of the study, or START.
        seed: which of the study's.
        config: how it is trained.
        folder: of the training.
        judged: folder of what is found out about it.
        export: its generator.
    """

    arm: str
    seed: int
    config: TrainConfig
    folder: Path
    judged: Path
    export: Path

    @property
    def place(self) -> Place:
        """What it is known by."""
        return self.arm, self.seed

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}"


def runs_of(study: Study, out: Path, steps: Mapping[str, int]) -> dict[Place, StudyRun]:
    """All runs of a study: the shared beginnings, where it has them, then every arm with a seed before the next seed.

    Args:
        study: what is asked.
        out: folder of all that comes of it.
        steps: of the base and each arm.
    """
    starts = [(START, seed) for seed in study.seeds] if study.start is not None else []
    places = starts + [(arm, seed) for seed in study.seeds for arm in study.names]
    return {place: _run_of(study, out, place, steps.get(place[0], 0)) for place in places}


def _run_of(study: Study, out: Path, place: Place, steps: int) -> StudyRun:
    arm, seed = place
    folder, judged = (out / of / arm / f"seed-{seed}" for of in ("runs", "judged"))
    return StudyRun(arm, seed, study.config(arm, seed, steps), folder, judged, folder / EXPORT)


def reached(export: Path) -> int:
    """The step of an export; 0 where there is none that is whole."""
    try:
        return exported_step(export)
    except InputError:
        return 0


def last_step(run: Path) -> int:
    """How far a run's folder has come, by its export or else by its log."""
    with suppress(ValueError, KeyError, IndexError):
        return reached(run / EXPORT) or int(read_log(run / LOG)[-1]["step"])
    return 0


def is_trained(run: StudyRun) -> bool:
    """Whether it has come to its end."""
    return reached(run.export) == run.config.steps


def add_cost(run: Path, seconds: float, steps: int) -> None:
    """Note in a run's folder what a session's part of it has taken."""
    before = read_json(run / COST)
    if steps > 0:
        told = {"seconds": before.get("seconds", 0) + seconds, "steps": before.get("steps", 0) + steps}
        with written_whole(run / COST) as unfinished:
            unfinished.write_text(json.dumps(told), encoding="utf-8")


def cost(run: Path, steps: int) -> float:
    """What a run has cost: by what was noted of it (a session that was killed notes nothing), or else by its log."""
    noted = read_json(run / COST)
    if noted.get("steps"):
        return noted["seconds"] * steps / noted["steps"]
    with suppress(ValueError, KeyError, IndexError):
        return 60 * float(read_log(run / LOG)[-1]["minutes"])
    return 0.0


def read_json(path: Path) -> dict:
    """{} where there is none that can be read."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}
