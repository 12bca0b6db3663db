"""What a study has found out: its runs, and every judged clip's measures (ablation.csv), as plain data."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipgan_colab.errors import reading
from lipgan_colab.files import written_whole

ABOUT = ("arm", "seed", "clip", "speaker")  # the columns before the measures


@dataclass(frozen=True)
class ArmRun:
    """A run that a study asks for, whether it is there or not.

    Attributes:
        arm: "base", or a name of the study.
        changes: the arm's fields that differ from the base.
        steps, samples: that it has been trained for; 0 where it has not begun.
        seconds: what that cost, on a CPU of its processors' time, on a GPU of the clock's.
        log: its log.csv.
        frames: PNG of rows of crops, a row for each shown clip, as they are generated; the same clips, frames and size
            in all runs. None where there is none.
        missing: why it is not there, not finished or not judged, in a few words; empty where all is well.
        skipped: why clips of it could not be judged, by their ids.
    """

    arm: str
    seed: int
    changes: dict[str, Any]
    steps: int
    samples: int
    seconds: float
    log: Path
    frames: Path | None
    missing: str = ""
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """The measures of a clip as one run generates it.

    Attributes:
        arm, seed: which run.
        clip, speaker: which clip, and who speaks in it.
        values: by the measures' names (`measures.MEASURES`); nan where one cannot be told.
    """

    arm: str
    seed: int
    clip: str
    speaker: str
    values: dict[str, float]


def write_results(path: str | Path, scores: Sequence[Score]) -> None:
    """A CSV file of all scores, a line each, to the last digit.

    Raises:
        NotWritten: there can be no such file.
    """
    measures = dict.fromkeys(name for score in scores for name in score.values)
    with (
        written_whole(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,  # names need not be text
    ):
        writer = csv.writer(file)
        writer.writerow([*ABOUT, *measures])
        for score in scores:
            values = [float(score.values[name]) if name in score.values else "" for name in measures]
            writer.writerow([score.arm, score.seed, score.clip, score.speaker, *values])


def read_results(path: str | Path) -> list[Score]:
    """The scores that `write_results` wrote; names that are no text stay as they are written there.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    path = Path(path)
    with (
        reading(path, "no results of a study", "let ablate write it again"),
        path.open(newline="", encoding="utf-8") as file,
    ):
        return [_score(row) for row in csv.DictReader(file)]


def _score(row: dict[str, str]) -> Score:
    arm, seed, clip, speaker = (row.pop(name) for name in ABOUT)
    return Score(arm, int(seed), clip, speaker, {name: float(value) for name, value in row.items() if value != ""})
