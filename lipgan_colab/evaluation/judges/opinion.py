"""Mean opinion scores: how many points a system gets on a scale from 1 to 5, and by how much two systems differ.

Points are ranks rather than lengths, and their mean is usual all the same (ITU-T P.910 and P.1401). Intervals are
Student's, with the variances of crossed.py: for other judges and other clips. A difference's interval knows that the
same judges and the same clips are on both sides, and is narrower than those of the two means suggest. Some judges give
more points than others whatever they see, and hardly any two see the same films: from differences that is taken off
(the subject bias of ITU-T P.913), and where it cannot be told from the systems it is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from lipgan_colab.evaluation.comparison import holm
from lipgan_colab.evaluation.judges.answers import Rating
from lipgan_colab.evaluation.judges.crossed import Spread, in_cells, spread
from lipgan_colab.evaluation.judges.key import POINTS
from lipgan_colab.evaluation.judges.preference import CANNOT_TELL

BETTER = "better"
ROUNDED = 1 / 12  # variance of an opinion that is rounded to a whole point: where all points are equal, it is not seen


@dataclass(frozen=True)
class Opinion:
    """A system's points by one question.

    Attributes:
        mean: from 1 to 5; nan without ratings.
        low, high: its 95 % interval for other judges and clips; nan with one judge or one clip, when nobody knows.
        ratings, judges, clips: how many it is of.
        anchor: whether these are true films that were shown beside the checks: to look at, not to compare.
    """

    question: str
    system: str
    mean: float
    low: float
    high: float
    ratings: int
    judges: int
    clips: int
    anchor: bool = False


@dataclass(frozen=True)
class OpinionDifference:
    """Two systems by one question.

    Attributes:
        first, second: the systems, in the study's order.
        difference: points of the first one minus those of the second; nan where one has none.
        low, high, p, judges, clips: as of `preference.Preference`; of the difference.
        ratings: of both.
        told: whether it is told from 0, corrected for all comparisons of the study (Holm 1979).
        more_judges: (variance over judges, all other variance), by which more judges are reckoned.
    """

    question: str
    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    told: bool
    judges: int
    clips: int
    ratings: int
    more_judges: tuple[float, float]

    @property
    def verdict(self) -> str:
        """BETTER or CANNOT_TELL."""
        return BETTER if self.told else CANNOT_TELL

    @property
    def favourite(self) -> str:
        """Who has more points; "" where both have as many."""
        return "" if not self.difference else self.first if self.difference > 0 else self.second


def opinions(given: Sequence[Rating], systems: Sequence[str], questions: Sequence[str]) -> list[Opinion]:
    """Each system's points by each question, then those of the true films beside the checks, where there are."""
    found = []
    for question in questions:
        own = [one for one in given if one.question == question]
        found += [_opinion([r for r in own if r.system == s and not r.anchor], question, s) for s in systems]
        anchors = [one for one in own if one.anchor]
        if anchors:
            found.append(_opinion(anchors, question, anchors[0].system, anchor=True))
    return found


def _opinion(own: Sequence[Rating], question: str, system: str, anchor: bool = False) -> Opinion:
    if not own:
        return Opinion(question, system, *[float("nan")] * 3, 0, 0, 0, anchor)
    mean, moved = _moved(own)
    found = _spread(own, moved, ROUNDED / len(own))
    half = float(found.reach())
    low, high = max(mean - half, POINTS[0]), min(mean + half, POINTS[-1])
    low, high = (low, high) if np.isfinite(half) else (half, half)
    return Opinion(question, system, mean, low, high, len(own), int(found.judges), int(found.clips), anchor)


def _moved(own: Sequence[Rating]) -> tuple[float, np.ndarray]:
    """The mean, and by how much each rating moves it."""
    points = np.array([one.points for one in own], float)
    return float(points.mean()), (points - points.mean()) / len(own)


def _spread(own: Sequence[Rating], moved: np.ndarray, rounding: float) -> Spread:
    sums, counts = in_cells([r.judge for r in own], [r.clip for r in own], moved)
    return spread(sums, counts > 0, max(np.square(moved).sum(), rounding))


def opinion_differences(
    given: Sequence[Rating], systems: Sequence[str], questions: Sequence[str]
) -> list[OpinionDifference]:
    """Each two systems by each question, by question and in the order of the systems."""
    found = []
    for question in questions:
        own, widened = _without_bias([one for one in given if one.question == question])
        for pair in combinations(systems, 2):
            parts = [[one for one in own if one.system == system and not one.anchor] for system in pair]
            found.append(_difference(*parts, question, pair, widened))
    told = holm(np.array([one.p for one in found]))
    return [replace(one, told=bool(yes)) for one, yes in zip(found, told, strict=True)]


def _without_bias(own: Sequence[Rating]) -> tuple[list[Rating], float]:
    """The ratings less what their judges give more than others to the same systems (least squares), and how much wider
    intervals get because that was estimated from them. As they are where it cannot be told: nobody rated two systems.
    """
    judges, of_judge = np.unique([one.judge for one in own], return_inverse=True)
    systems, of_system = np.unique([one.system for one in own], return_inverse=True)
    freedom = len(judges) + len(systems) - 1
    shown = np.concatenate([np.eye(len(judges))[of_judge], np.eye(len(systems))[of_system]], axis=1)
    if not own or len(own) <= freedom or np.linalg.matrix_rank(shown) < freedom:
        return list(own), 1.0
    points = np.array([one.points for one in own], float)
    bias = np.linalg.lstsq(shown, points, rcond=None)[0][: len(judges)]
    fair = np.round(points - (bias - bias.mean())[of_judge], 9)  # a trace of a difference would be taken for one
    return [replace(one, points=float(p)) for one, p in zip(own, fair, strict=True)], (
        len(own) / (len(own) - freedom)
    ) ** 0.5


def _difference(
    a: Sequence[Rating], b: Sequence[Rating], question: str, pair: tuple[str, str], widened: float
) -> OpinionDifference:
    if not a or not b:
        return OpinionDifference(question, *pair, *[float("nan")] * 4, False, 0, 0, len(a) + len(b), (np.nan, np.nan))
    (mean_a, moved_a), (mean_b, moved_b) = _moved(a), _moved(b)
    rounding = ROUNDED / len(a) + ROUNDED / len(b)
    found = _spread([*a, *b], widened * np.concatenate([moved_a, -moved_b]), rounding)
    difference, half = mean_a - mean_b, float(found.reach())
    vj, _, both = found.variances
    p = float(found.chance(difference)) if difference else 1.0 if found.known else float("nan")
    counts = (int(found.judges), int(found.clips), len(a) + len(b))
    ends = (difference - half, difference + half)
    return OpinionDifference(question, *pair, difference, *ends, p, False, *counts, (float(vj), float(both - vj)))
