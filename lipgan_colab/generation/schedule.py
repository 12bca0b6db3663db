"""Which frames of a result somebody speaks in, and which are left as they were."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from lipgan_colab.errors import InputError
from lipgan_colab.faces.following import Person
from lipgan_colab.generation.turns import Turn, seconds_of

LEAST_UNHEARD = 0.6  # frames; less is nothing but rounding
RAMP = 3  # frames over which a mouth goes over from what was filmed to what is said, and back


@dataclass(frozen=True)
class Stretch:
    """When one turn is spoken, in frames of the result.

    Attributes:
        turn: its number.
        person: who speaks.
        first, end: the frames from the one up to the other, not included, are dubbed.
        begins: with which of them the speech begins.
        unheard: seconds of the speech that there is no room for.
    """

    turn: int
    person: Person
    first: int
    end: int
    begins: int
    unheard: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """What happens when in a result.

    Attributes:
        frames: how many it has, as far as is known before a film is read to its end.
        first: the first that is made; all of those after it are.
        stretches: one a turn, in their order, but for those that come later than what is made.
        keeps_film: whether it is the film, as long as that, with its own sound where nobody is dubbed.
    """

    frames: int
    first: int
    stretches: list[Stretch]
    keeps_film: bool

    @property
    def dubbed(self) -> list[tuple[int, int]]:
        """From which frame up to which other somebody is dubbed."""
        return merged((one.first, one.end) for one in self.stretches)


def scheduled(
    turns: Sequence[Turn], seconds: Sequence[float], fps: Fraction, film: float | None, keep_length: str
) -> Schedule:
    """When each turn is spoken.

    Args:
        turns: what is asked for.
        seconds: how long the speech of each is.
        fps: frames a second of the result.
        film: how long the film is, in seconds; None for a photo.
        keep_length: of `GenerateOptions`.

    Raises:
        InputError: a turn has no time, or lies outside of the film, or one person speaks twice at once.
    """
    keeps_film = film is not None and (says_when(turns) or keep_length == "film")
    if keeps_film:
        last = round(film * fps)
    else:
        last = max(_end(turn, lasts, fps) for turn, lasts in zip(turns, seconds, strict=True))
    whole = not says_when(turns)
    both = enumerate(zip(turns, seconds, strict=True))
    stretches = [_stretch(n, turn, lasts, fps, last, whole) for n, (turn, lasts) in both]
    _check_overlaps(stretches, fps)
    return Schedule(last, 0, stretches, keeps_film)


def says_when(turns: Sequence[Turn]) -> bool:
    """Whether any turn says when it is spoken."""
    return any(time is not None for turn in turns for time in (turn.from_, turn.to, turn.speech_at))


def _frame(time: float | str | None, fps: Fraction, otherwise: int) -> int:
    """The frame that begins nearest to a moment, of two the later one; another where it is not said."""
    return otherwise if time is None else math.floor(seconds_of(time, fps) * fps + Fraction(1, 2))


def _begins(turn: Turn, fps: Fraction) -> tuple[int, int]:
    """With which frame a turn begins, and with which its speech."""
    first = _frame(turn.from_, fps, 0 if turn.to is not None else _frame(turn.speech_at, fps, 0))
    return first, _frame(turn.speech_at, fps, first)


def _end(turn: Turn, seconds: float, fps: Fraction) -> int:
    """Up to which frame a turn goes if nothing ends before."""
    return _frame(turn.to, fps, _begins(turn, fps)[1] + max(1, round(seconds * fps)))


def _stretch(number: int, turn: Turn, seconds: float, fps: Fraction, last: int, whole: bool) -> Stretch:
    """When a turn is spoken, in a result of `last` frames, all of which it has if it is `whole`."""
    first, begins = _begins(turn, fps)
    end = last if whole else min(last, _end(turn, seconds, fps))
    for name in ("from_", "speech_at"):
        if _frame(getattr(turn, name), fps, 0) >= last:
            ends = f"it ends after {float(last / fps):.2f} s"
            raise InputError(f"`{name}` {getattr(turn, name)} of {turn.name} is not in the film: {ends}")
    if begins < first:
        raise InputError(f"{turn.name}: `speech_at` {turn.speech_at} comes before `from_` {turn.from_}")
    if end <= begins:
        what = f"it would begin at {float(begins / fps):g} s and end at {float(end / fps):g} s"
        raise InputError(f"{turn.name}: no time to speak in ({what}); give a `to` that comes later")
    unheard = seconds - float((end - begins) / fps)
    return Stretch(number, turn.person, first, end, begins, unheard if unheard * fps > LEAST_UNHEARD else 0.0)


def _check_overlaps(stretches: Sequence[Stretch], fps: Fraction) -> None:
    """Raises InputError where somebody is to say two things at once."""
    ordered = sorted(stretches, key=lambda one: one.first)
    for n, one in enumerate(ordered):
        for other in ordered[n + 1 :]:
            if other.person == one.person and other.first < one.end:
                when = f"{float(other.first / fps):g}-{float(min(one.end, other.end) / fps):g} s"
                cure = "give each turn its own `person`, or another time"
                raise InputError(f"`person={one.person}` has two turns at once ({when}); {cure}")


def shortened(schedule: Schedule, seconds: float, fps: Fraction) -> Schedule:
    """The schedule of so many seconds from the first word on, and no longer than somebody is dubbed."""
    first = min(one.begins for one in schedule.stretches)
    end = min(schedule.dubbed[-1][1], first + max(1, round(seconds * fps)))
    stretches = [replace(one, end=min(one.end, end)) for one in schedule.stretches if one.begins < end]
    return replace(schedule, frames=end, first=first, stretches=stretches)


def merged(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Intervals [first, end) in order, those that touch as one."""
    found: list[tuple[int, int]] = []
    for first, end in sorted(intervals):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((first, end))
    return found


def is_within(number: int, intervals: Iterable[tuple[int, int]]) -> bool:
    """Whether a frame lies in one of some intervals [first, end)."""
    return any(first <= number < end for first, end in intervals)


def strength(number: int, intervals: Sequence[tuple[int, int]], frames: int) -> float:
    """How far a mouth does what is said in a frame, 0 to 1: it goes over at the ends of the intervals in which it is
    changed, but for the result's own."""
    for first, end in intervals:
        if first <= number < end:
            since = RAMP + 1 if first == 0 else number - first + 1
            until = RAMP + 1 if end == frames else end - number
            return min(1.0, since / (RAMP + 1), until / (RAMP + 1))
    return 0.0
