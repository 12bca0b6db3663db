"""What judges sent back: read, and refused where it cannot be what a judge saw and said.

Files come from strangers, by mail and by messengers. Whatever is in them, reading goes on with the next one.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from lipgan_colab.errors import InputError, reading
from lipgan_colab.evaluation.judges.key import ANSWERS_FORMAT, KEY, PAIRS, POINTS, SIDES, TRUTH, Key, Trial

ENDINGS = (".json", ".txt")
MOST_BYTES = 1_000_000  # a hundred trials with two questions each are 20 000
BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # what editors put before a text
JUDGE = re.compile(r"[0-9a-f]{32}")
MOST_PLAYS = 10_000
MOST_SECONDS = 1e7  # four months: a page may be left open
SHORTEST = 0.95  # of its films' length: a player may end a film a little early
LIKE = 0.5  # a file of which more than this is another's, to the tenth of a second, is a copy of it
FEWEST_ALIKE = 3  # answers; fewer can be alike by chance where a file has more of them
NO_ANSWERS = "it is no file of answers, or is damaged"
CURE = "ask the judge to send it again"


@dataclass(frozen=True)
class Answer:
    """An answer to one question about one trial.

    Attributes:
        trial: index into the judge's form.
        question: one of the study's.
        answer: one of SIDES of a pair; of POINTS on a scale.
        seconds: from when the trial was shown until it was given.
        plays: how often each film of the trial was seen to its end.
    """

    trial: int
    question: str
    answer: str | int
    seconds: float
    plays: tuple[int, ...]


@dataclass(frozen=True)
class Judge:
    """What one person answered.

    Attributes:
        path: the file.
        id: as the page drew it; it tells nothing of the person, and is not shown.
        form: index into the key's forms.
        answers: by trial and question, at least one.
    """

    path: Path
    id: str
    form: int
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Refused:
    """A file that is not counted, and why, in plain words."""

    path: Path
    why: str


def read_answers(paths: Sequence[str | Path], key: Key) -> tuple[list[Judge], list[Refused]]:
    """The answers to a study, judge by judge, in the order of their ids: it is the same in whichever order the files
    are found, and tells nothing of their names.

    Args:
        paths: files, and folders of such (.json and .txt below them; others are passed over).
        key: the study's.
    """
    judges, refused, seen = [], [], set()
    for path in _files(paths):
        try:
            place = path.resolve()
            if place in seen:
                raise InputError("the same file is given twice; it is counted once")
            seen.add(place)
            judges.append(_judge(path, key))
        except (InputError, OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            refused.append(Refused(path, str(error).removeprefix(f"{path}: ")))
    kept, copies = _without_copies(judges)
    return sorted(kept, key=lambda judge: judge.id), refused + copies


def _files(paths: Sequence[str | Path]) -> Iterator[Path]:
    for path in map(Path, paths):
        try:
            below = sorted(one for one in path.rglob("*") if _may_be_answers(one)) if path.is_dir() else [path]
        except OSError:
            below = [path]  # which then says why it cannot be read
        yield from below


def _may_be_answers(path: Path) -> bool:
    """Whether a file of a folder is looked into."""
    return path.suffix.lower() in ENDINGS and path.name != KEY and not path.is_dir()


def _judge(path: Path, key: Key) -> Judge:
    """Raises InputError where it cannot be counted."""
    with reading(path, NO_ANSWERS, CURE):
        told = _parsed(_text(path))
        if not isinstance(told, dict) or told.get("format") != ANSWERS_FORMAT:
            raise InputError(f"{NO_ANSWERS}: its format is not {ANSWERS_FORMAT}")
        if told.get("study") != key.study:
            raise InputError("these are answers to another study")
        if told.get("consent") is not True:
            raise InputError("without consent: the judge did not agree that the answers are used")
        form, judge, answers = (told[field] for field in ("form", "judge", "answers"))
        if not _whole(form) or not 0 <= form < len(key.forms):
            raise InputError(f"damaged: the study has no form {str(form)[:20]}")
        if not isinstance(judge, str) or not JUDGE.fullmatch(judge):
            raise InputError("damaged: the judge's number is none that the page draws")
        if not isinstance(answers, list):
            raise InputError("damaged: its answers are no list")
        if not answers:
            raise InputError("empty: not one question was answered")
        read = [_answer(one, key.forms[form], key) for one in answers]
        if len({(one.trial, one.question) for one in read}) < len(read):
            raise InputError("damaged: a question is answered twice, and it is not known which answer counts")
        _check_times(read, key.forms[form], key)
    return Judge(path, judge, form, tuple(sorted(read, key=lambda a: (a.trial, key.questions.index(a.question)))))


def _text(path: Path) -> str:
    if not path.exists():
        raise InputError("there is no such file")
    if not path.is_file():
        raise InputError("it is no file")  # reading from a pipe would wait for ever
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"damaged: it is larger than {MOST_BYTES / 1e6:g} MB, which no answers are")
    data = path.read_bytes()
    text = data.decode(next((coding for mark, coding in BOMS.items() if data.startswith(mark)), "utf-8"))
    text = text.replace("\ufeff", "").replace("\xa0", " ")  # what messengers make of blanks
    return text[max(text.find("{"), 0) : text.rfind("}") + 1]  # a mail has words around it


def _parsed(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_number)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # in words that are not the judge's
        raise InputError(f"{NO_ANSWERS}; {CURE}") from error


def _no_number(name: str) -> NoReturn:
    raise InputError(f"damaged: {name} is no number")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _answer(told: object, form: Sequence[Trial], key: Key) -> Answer:
    if not isinstance(told, dict):
        raise InputError("damaged: one of its answers is none")
    trial, question, answer, seconds, plays = (told[f] for f in ("trial", "question", "answer", "seconds", "plays"))
    if not _whole(trial) or not 0 <= trial < len(form):
        raise InputError(f"damaged: its form has no trial {str(trial)[:20]}")
    if not isinstance(question, str) or question not in key.questions:
        raise InputError(f"damaged: the study does not ask {str(question)[:40]!r}")
    fits = isinstance(answer, str) and answer in SIDES if key.method == PAIRS else _whole(answer) and answer in POINTS
    if not fits:
        raise InputError(f"damaged: {str(answer)[:20]!r} is no answer to trial {trial}")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MOST_SECONDS:
        raise InputError(f"damaged: trial {trial} took {str(seconds)[:20]} seconds")
    films = len(form[trial].films)
    if not isinstance(plays, list) or len(plays) != films or not all(_whole(n) and 0 <= n <= MOST_PLAYS for n in plays):
        raise InputError(f"damaged: it does not say how often each film of trial {trial} was seen")
    return Answer(trial, question, answer, float(seconds), tuple(plays))


def _check_times(answers: Sequence[Answer], form: Sequence[Trial], key: Key) -> None:
    """Raises InputError where films were judged that cannot have been seen. The page lets nobody do that, so one such
    answer is enough: the others were not given on it either."""
    for one in answers:
        length = sum(key.films[film].seconds for film in form[one.trial].films)
        if min(one.plays) == 0:
            raise InputError(f"not from the study's page: trial {one.trial} was answered before all of it was seen")
        if one.seconds < SHORTEST * length:
            raise InputError(
                f"not from the study's page: trial {one.trial} was answered after {one.seconds:.1f} s, and its films "
                f"last {length:.1f} s"
            )


def _without_copies(judges: Sequence[Judge]) -> tuple[list[Judge], list[Refused]]:
    """Of each judge the file with the most answers, of equal ones the first; and what became of the others."""
    kept: dict[str, Judge] = {}
    given: dict[int, list[tuple[Judge, frozenset[Answer]]]] = {}  # by form; how often a film was seen does not matter
    refused = []
    for judge in sorted(judges, key=lambda one: -len(one.answers)):  # sorted keeps the order of equal ones
        own, others = frozenset(replace(one, plays=()) for one in judge.answers), given.setdefault(judge.form, [])
        same = kept.get(judge.id)
        copied = next((one for one, theirs in others if _alike(theirs, own)), None)
        if same is not None:
            what = "no more" if len(same.answers) == len(judge.answers) else "fewer"
            refused.append(Refused(judge.path, f"the same judge as {same.path.name}, with {what} answers"))
        elif copied is not None:
            why = f"a copy of {copied.path.name} under another judge's number: the same answers at the same seconds"
            refused.append(Refused(judge.path, why))
        else:
            kept[judge.id] = judge
            others.append((judge, own))
    return list(kept.values()), refused


def _alike(answers: frozenset[Answer], fewer: frozenset[Answer]) -> bool:
    same = len(answers & fewer)
    return same == len(fewer) or (same >= FEWEST_ALIKE and same > LIKE * len(fewer))


@dataclass(frozen=True)
class Choice:
    """Who was preferred to whom: an answer to a pair that is no check.

    Attributes:
        judge: index into the judges.
        side: on which the preferred one was.
    """

    judge: int
    clip: str
    question: str
    preferred: str
    other: str
    side: str


@dataclass(frozen=True)
class Rating:
    """An answer on the scale about a film that is no bad one. `judge` is an index into the judges; `anchor` says that
    the film is a true one which is shown beside the checks."""

    judge: int
    clip: str
    question: str
    system: str
    points: float
    anchor: bool


def choices(judges: Sequence[Judge], key: Key) -> list[Choice]:
    """All answers to pairs that are no checks, by judge, trial and question."""
    found = []
    for number, judge in enumerate(judges):
        for one in judge.answers:
            trial = key.forms[judge.form][one.trial]
            if not trial.check:
                left, right = (key.films[film] for film in trial.films)
                preferred, other = (left, right) if one.answer == SIDES[0] else (right, left)
                found.append(Choice(number, left.clip, one.question, preferred.system, other.system, str(one.answer)))
    return found


def ratings(judges: Sequence[Judge], key: Key) -> list[Rating]:
    """All points given to the systems, and to true films, by judge, trial and question."""
    found = []
    for number, judge in enumerate(judges):
        for one in judge.answers:
            trial = key.forms[judge.form][one.trial]
            film = key.films[trial.films[0]]
            if film.system in (*key.systems, TRUTH):
                anchor = bool(trial.check)
                found.append(Rating(number, film.clip, one.question, film.system, int(one.answer), anchor))
    return found
