"""Who says what from when to when."""

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from lipgan_colab.corpora.lists import COMMENT, read_lines
from lipgan_colab.errors import InputError
from lipgan_colab.faces.following import Person

# A moment of a film: seconds; "m:ss", "h:mm:ss", both with a fraction of a second if need be; the number of a frame,
# "300f"; None where it is not said.
Time = float | str | None
CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d+)?|[.,]\d+)")
FRAME = re.compile(r"(\d+) ?f")
TIMES = "seconds (12.5), m:ss (1:05.2), or the number of a frame (300f)"

COLUMNS = ("person", "from", "to", "speech")  # of a list of turns, in this order where it has no line that names them
CURE = f"give a text file with a line for each turn: {', '.join(COLUMNS)}"


@dataclass(frozen=True)
class Turn:
    """What one person says at one time.

    Attributes:
        speech: any file with sound.
        person: who says it; as of `GenerateOptions.person`.
        from_, to, speech_at: when; as of `GenerateOptions`.
        listed: where a list says so; "" where none does.
    """

    speech: str | Path
    person: Person = "largest"
    from_: Time = None
    to: Time = None
    speech_at: Time = None
    listed: str = ""

    def __post_init__(self):
        check_person(self.person)
        for name in ("from_", "to", "speech_at"):
            check_time(name, getattr(self, name))

    @property
    def name(self) -> str:
        """What a person knows it by."""
        return self.listed or str(self.speech)


def seconds_of(time: float | str, fps: Fraction) -> Fraction:
    """A moment in seconds, in a film of so many frames a second."""
    if isinstance(time, int | float):
        return Fraction(time)
    text = time.strip()
    frame, clock = FRAME.fullmatch(text), CLOCK.fullmatch(text)
    if frame:
        return int(frame[1]) / fps
    hours, minutes, seconds = clock.groups()
    return Fraction(seconds.replace(",", ".")) + 60 * int(minutes or 0) + 3600 * int(hours or 0)


def check_time(name: str, time: Time) -> None:
    """Raises InputError where the option of this name is no moment."""
    if isinstance(time, str):
        text = time.strip()
        is_moment = FRAME.fullmatch(text) or CLOCK.fullmatch(text)
    else:
        is_moment = time is None or (math.isfinite(time) and time >= 0)
    if not is_moment:
        raise InputError(f"`{name}` {time!r}: give {TIMES}")


def check_person(person: Person) -> None:
    """Raises InputError where nobody can be meant."""
    if isinstance(person, str):
        meant = person == "largest"
    elif isinstance(person, int):
        meant = person >= 0
    else:
        meant = len(person) == 2 and all(math.isfinite(x) for x in person)
    if not meant:
        raise InputError(f"`person` {person!r}: largest, a number from the left from 0, or a point (x, y)")


def person_named(text: str) -> Person:
    """Who is meant by "largest", a number, or "x,y"; InputError where nobody is."""
    text = text.strip()
    try:
        if text in ("", "largest"):
            person = "largest"
        elif re.search(r"[, ]", text):
            x, y = re.split(r"[, ]+", text)
            person = float(x), float(y)
        else:
            person = int(text)
    except ValueError:
        person = text
    check_person(person)
    return person


def read_turns(path: str | Path) -> list[Turn]:
    """The turns in a list: a text file with a line for each, of its person, from when, to when, and the file with the
    speech, between commas, semicolons or tabs. Empty is not said. Files are looked for beside the list.

    Its first line may name the columns, which then stand in any order, and others with them. Empty lines, and what
    begins with #, are for people.

    Raises:
        InputError: it is no such list; the message says which line is wrong.
    """
    turns, columns = [], None
    for number, cells in _rows(path):
        names = [cell.strip().lower() for cell in cells]
        if columns is None:
            columns = COLUMNS
            if "speech" in names:
                columns = tuple(names)
                continue
        said = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
        if len(cells) > len(columns) or not said.get("speech"):
            raise InputError(f"{path}: line {number} is no turn; {CURE}")
        try:
            person, from_, to = person_named(said.get("person", "")), said.get("from") or None, said.get("to") or None
            turns.append(Turn(beside(path, said["speech"]), person, from_, to, listed=f"{path}: line {number}"))
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error.line}") from error
    if not turns:
        raise InputError(f"{path}: there is no turn in this list; {CURE}")
    return turns


def _rows(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """The lines of a table, with their numbers, taken apart."""
    lines = [(number, line) for number, line in read_lines(path, CURE) if not line.lstrip().startswith(COMMENT)]
    delimiter = next((sign for sign in ("\t", ";") if any(sign in line for _, line in lines)), ",")
    for number, line in lines:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
        if any(cell.strip() for cell in cells):
            yield number, cells


def beside(path: str | Path, name: str) -> Path:
    """A file that a list names: beside the list, or where the work is done; in quotes or without."""
    bare = name.strip("\"'")
    places = (Path(path).parent / name, Path(name), Path(path).parent / bare, Path(bare))
    return next((place for place in places if place.exists()), Path(name))
