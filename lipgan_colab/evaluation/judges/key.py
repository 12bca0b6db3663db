"""What a study of people asks, and which film is whose: the key, which the judges never see.

key.json    the study, and for each of its films by whom it was made
answers     what one judge's page sends back; it names places in the study, and nothing else
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lipgan_colab.errors import InputError, reading
from lipgan_colab.files import written_whole

KEY = "key.json"
MEASURED = "measures.csv"  # beside it: columns clip and system, and a column for each measure
FORMAT = "lipgan_colab/judge-study/1"
ANSWERS_FORMAT = "lipgan_colab/judge-answers/1"

PAIRS, SCALE = METHODS = ("pairs", "scale")
SIDES = ("left", "right")
POINTS = (1, 2, 3, 4, 5)  # bad, poor, fair, good, excellent (ITU-T P.910, absolute category rating)
QUESTIONS = ("sync", "natural")  # their words are in page/texts.json
TRUTH = "truth"
LATE, STILL = CHECKS = ("late", "still")  # what is shown beside the truth to see who looks: 8 frames late; one frame
ANSWERED_BY = {LATE: ("sync",), STILL: QUESTIONS}  # by which answers a check is passed or not


@dataclass(frozen=True)
class ShownFilm:
    """A film of a study.

    Attributes:
        clip: id of the clip that it shows.
        system: whose it is: one of the study's systems, TRUTH, or of CHECKS what was done to the truth.
        seconds: how long it lasts.
    """

    clip: str
    system: str
    seconds: float


@dataclass(frozen=True)
class Trial:
    """What is shown at a time.

    Attributes:
        films: ids of the films: (left, right) of a pair, or the one that is rated.
        check: "" or, where it shows whether a judge looks and listens, which of CHECKS; TRUTH for a true film that is
            rated beside those.
    """

    films: tuple[str, ...]
    check: str = ""


@dataclass(frozen=True)
class Key:
    """A study.

    Attributes:
        study: its id; answers name it.
        title: for a person.
        method: PAIRS or SCALE.
        questions: of QUESTIONS, those that are asked of every trial; of checks as well, so that they look like all
            others, though only ANSWERED_BY can be held against a judge.
        systems: who is compared; TRUTH may be one of them.
        films: all films by their ids, which tell nothing.
        forms: what each judge is shown, one form a judge; after the last one the first one is next.
    """

    study: str
    title: str
    method: str
    questions: tuple[str, ...]
    systems: tuple[str, ...]
    films: dict[str, ShownFilm]
    forms: tuple[tuple[Trial, ...], ...]


def write_key(path: str | Path, key: Key) -> None:
    """key.json, whole or not at all."""
    text = json.dumps({"format": FORMAT} | asdict(key), indent=1, ensure_ascii=True)
    with written_whole(path) as unfinished:
        unfinished.write_text(text, encoding="ascii")


def read_key(path: str | Path) -> Key:
    """The key of a study: a file, or the folder that `judge make` wrote.

    Raises:
        InputError: it cannot be read, or is none.
    """
    path = Path(path)
    path = path / KEY if path.is_dir() else path
    with reading(path, "this is no study's key", f"name the folder of `judge make`, or its {KEY}"):
        told = json.loads(path.read_text(encoding="utf-8"))
        if told.get("format") != FORMAT:
            raise InputError(f"its format is {str(told.get('format'))[:60]!r}, not {FORMAT}")
        films = {name: ShownFilm(**film) for name, film in told["films"].items()}
        forms = tuple(tuple(Trial(tuple(t["films"]), t["check"]) for t in form) for form in told["forms"])
        names = {field: told[field] for field in ("study", "title", "method")}
        names |= {field: tuple(told[field]) for field in ("questions", "systems")}
        key = Key(**names, films=films, forms=forms)
        _check(key)
        return key


def _check(key: Key) -> None:
    """InputError where a study asks or shows what is not there."""
    strange = [question for question in key.questions if question not in QUESTIONS]
    if key.method not in METHODS or strange:
        raise InputError(f"it asks for {strange[0] if strange else key.method!r}, which this version does not know")
    shown = {name for form in key.forms for trial in form for name in trial.films}
    if not key.forms or not shown <= key.films.keys():
        raise InputError("it shows films that it does not list")
