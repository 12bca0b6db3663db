"""What the page is told of a study's runs, by the files that they and their judgements have left."""

import csv

from lipgan_colab.evaluation.arm_results import ArmRun, Score
from lipgan_colab.evaluation.measures import MEASURES
from lipgan_colab.evaluation.study import Study
from lipgan_colab.evaluation.study_judging import CLIPS, SHOWN, skipped_clips
from lipgan_colab.evaluation.study_material import NOBODY
from lipgan_colab.evaluation.study_runs import StudyRun, cost, last_step
from lipgan_colab.training.runs import LOG


def told_run(run: StudyRun, study: Study, whole: bool, failed: str | None) -> ArmRun:
    """A run as the page shows it.

    Args:
        run: which.
        study: that asks for it.
        whole: whether it is trained and judged.
        failed: why it could not be made, where this session has tried.
    """
    steps = last_step(run.folder)
    return ArmRun(
        run.arm,
        run.seed,
        dict(study.arms.get(run.arm, {})),
        steps,
        steps * run.config.batch_size,
        cost(run.folder, steps),
        run.folder / LOG,
        run.judged / SHOWN if whole else None,
        "" if whole else failed or _lacks(run, steps),
        skipped_clips(run) if whole else {},
    )


def _lacks(run: StudyRun, steps: int) -> str:
    if not steps:
        return "not begun"
    return "not judged" if steps == run.config.steps else "not finished"


def scores_of(run: StudyRun) -> list[Score]:
    """A judged run's: from the file, whether it has been written now or long ago: its digits are those of the page."""
    with (run.judged / CLIPS).open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["variant"] == "generated"]
    return [
        Score(*run.place, line["id"], _name(line["speaker"]), {name: float(line[name]) for name in MEASURES})
        for line in lines
    ]


def _name(speaker: str) -> str:
    return "" if speaker in NOBODY else speaker
