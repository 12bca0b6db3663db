"""Count what judges sent back: who is preferred, how sure that is, who looked, and which measures say the same."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from lipgan_colab.errors import InputError, counted
from lipgan_colab.evaluation.judges.answers import Judge, Refused, choices, ratings, read_answers
from lipgan_colab.evaluation.judges.attention import Attention, asked_of_anybody, attention
from lipgan_colab.evaluation.judges.counted import DATA, PAGE, Counted, findings, more_of, side_bias
from lipgan_colab.evaluation.judges.counted_page import write_page
from lipgan_colab.evaluation.judges.key import MEASURED, PAIRS, SIDES, Key, read_key
from lipgan_colab.evaluation.judges.measures_agree import (
    MeasureAgrees,
    judges_agree,
    measures_agree,
    measures_correlate,
    one_judge_correlates,
    read_measures,
)
from lipgan_colab.files import make_folder, written_whole

COLUMNS = ("judge", "form", "trial", "clip", "left", "right", "check", "question", "answer", "seconds", "passed")


def count_answers(study: str | Path, answers: Sequence[str | Path], out: str | Path | None = None) -> Counted:
    """What the answers to a study tell: a page (counted.html), and a table of all answers (counted.csv).

    Args:
        study: the folder that `judge make` wrote, or its key.json.
        answers: files that judges sent back, and folders of such.
        out: folder for the page and the table; without it, the folder counted in the study's.

    Raises:
        InputError: the study cannot be read, no file can be counted, or nothing be written.
    """
    key = read_key(study)
    folder = Path(study) if Path(study).is_dir() else Path(study).parent
    judges, refused = read_answers(answers, key)
    if not judges:
        raise InputError(_none_counts(refused))
    out = make_folder(folder / "counted" if out is None else out)
    seen = attention(judges, key)
    passed = [judge for judge, one in zip(judges, seen, strict=True) if one.passed]
    measures, why, another = _measures(folder / MEASURED, passed, key)
    told = findings(passed, key)
    found = Counted(
        out,
        key,
        judges,
        seen,
        asked_of_anybody(key),
        refused,
        told,
        findings(judges, key),
        side_bias(passed, key),
        measures,
        why,
        more_of(told),
        another,
    )
    _write_csv(out / DATA, judges, seen, key)
    write_page(out / PAGE, found)
    return found


def _none_counts(refused: Sequence[Refused]) -> str:
    if not refused:
        return "no answers: there is no .json or .txt among what was given; name the judges' files, or their folder"
    first = refused[0]
    others = f" ({counted(len(refused) - 1, 'other')} not either)" if len(refused) > 1 else ""
    return f"{first.path}: {first.why}{others}; no file can be counted"


def _measures(path: Path, judges: Sequence[Judge], key: Key) -> tuple[list[MeasureAgrees], str, dict[str, float]]:
    """How well measures go with the judges; why that is not known, or ""; and how well another judge does."""
    if not path.exists():
        return [], f"{MEASURED} is not beside the study's key, so they are not compared with people", {}
    try:
        measured = read_measures(path)
    except InputError as error:
        return [], str(error).removeprefix(f"{path}: "), {}
    if key.method == PAIRS:
        chosen = choices(judges, key)
        found = measures_agree(chosen, measured, key.questions)
        another = {question: judges_agree(chosen, question, with_truth=False) for question in key.questions}
    else:
        given = [one for one in ratings(judges, key) if not one.anchor]
        found = measures_correlate(given, measured, key.questions)
        another = {question: one_judge_correlates(given, question, with_truth=False) for question in key.questions}
    if not any(math.isfinite(one.agrees) for one in found):
        return [], f"{MEASURED} has no measures of the films that were judged", {}
    return found, "", another


def _write_csv(path: Path, judges: Sequence[Judge], seen: Sequence[Attention], key: Key) -> None:
    """A line for each answer, checks as well. Judges are numbers."""
    with (
        written_whole(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, (judge, one) in enumerate(zip(judges, seen, strict=True), 1):
            for answer in judge.answers:
                trial = key.forms[judge.form][answer.trial]
                films = [key.films[film] for film in trial.films]
                shown = [film.system for film in films] if key.method == PAIRS else [films[0].system, ""]
                said = shown[SIDES.index(str(answer.answer))] if key.method == PAIRS else answer.answer
                place = (number, judge.form, answer.trial, films[0].clip)
                seconds, yes = f"{answer.seconds:g}", "yes" if one.passed else "no"
                writer.writerow((*place, *shown, trial.check, answer.question, said, seconds, yes))
