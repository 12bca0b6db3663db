"""Who is preferred: shares of each two systems, and the strengths of more than two.

A share's interval and its verdict are those of crossed.py: for other judges and other clips. Beside it stands Clopper
and Pearson's, which takes every answer for another person's on another clip, and is too narrow for that.

Strengths are Bradley and Terry's (1952): the odds that one is preferred to another are exp of the difference of theirs.
They lie around 0, so that 1 / (1 + exp(-strength)) is the chance to be preferred to an average system.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import special, stats

from lipgan_colab.evaluation.comparison import holm
from lipgan_colab.evaluation.judges.answers import Choice
from lipgan_colab.evaluation.judges.crossed import Share, in_cells, share_of, spread

PREFERRED, CANNOT_TELL = "preferred", "cannot tell yet"
# Of the squares of strengths, taken off the log-likelihood: as if they were normal, with a standard deviation of 4,
# which weighs a fortieth of ten answers. One who always wins stays finite, and something can be said: of 120 of 120
# answers the share's interval is .97 to 1 (with .001 it is .09 to 1).
RIDGE = 0.03
MOST_STEPS, NEAR_ENOUGH = 100, 1e-10  # of Newton's method
ROUNDING = 1e-12  # of the log-likelihood


@dataclass(frozen=True)
class Preference:
    """Two systems by one question.

    Attributes:
        first, second: the systems, in the study's order.
        wins: how often the first one was preferred.
        answers: to this pair.
        share: wins / answers; nan without answers.
        low, high: its 95 % interval for other judges and clips; nan with one judge or one clip, when nobody knows.
        exact_low, exact_high: the same if all answers were independent.
        p: how probable so one-sided answers are where nobody prefers either, not corrected; nan likewise.
        told: whether it is told, corrected for all comparisons of the study (Holm 1979).
        judges, clips: how many it is of.
        judges_differ, clips_differ: standard deviations of the share from judge to judge and from clip to clip, beyond
            what chance does; nan with one.
    """

    question: str
    first: str
    second: str
    wins: int
    answers: int
    share: float
    low: float
    high: float
    exact_low: float
    exact_high: float
    p: float
    told: bool
    judges: int
    clips: int
    judges_differ: float
    clips_differ: float

    @property
    def verdict(self) -> str:
        """PREFERRED or CANNOT_TELL."""
        return PREFERRED if self.told else CANNOT_TELL

    @property
    def favourite(self) -> str:
        """Who was preferred more often; "" where both were as often."""
        return "" if 2 * self.wins == self.answers else self.first if 2 * self.wins > self.answers else self.second


@dataclass(frozen=True)
class Strength:
    """A system among all, by one question.

    Attributes:
        strength: Bradley and Terry's, in logits above the average system; nan where the system was never compared.
        share: the chance to be preferred to an average system.
        low, high: the share's 95 % interval for other judges and clips; nan where nobody knows.
        wins, answers: how often it was preferred, of all in which it was one of the two.
        among: with whom it can be compared, itself as well: all that are linked by answers.
    """

    question: str
    system: str
    strength: float
    share: float
    low: float
    high: float
    wins: int
    answers: int
    among: tuple[str, ...]


def preferences(chosen: Sequence[Choice], systems: Sequence[str], questions: Sequence[str]) -> list[Preference]:
    """Each two systems by each question, by question and in the order of the systems."""
    found = [
        _preference(
            [c for c in chosen if c.question == question and {c.preferred, c.other} == set(pair)], question, pair
        )
        for question in questions
        for pair in combinations(systems, 2)
    ]
    told = holm(np.array([one.p for one in found]))
    return [replace(one, told=bool(yes)) for one, yes in zip(found, told, strict=True)]


def _preference(own: Sequence[Choice], question: str, pair: tuple[str, str]) -> Preference:
    won = [c.preferred == pair[0] for c in own]
    found = share_of(*in_cells([c.judge for c in own], [c.clip for c in own], won))
    exact = (np.nan, np.nan)
    if own:
        exact = stats.binomtest(sum(won), len(own)).proportion_ci(method="exact")
    counts = (sum(won), len(own))
    numbers = [float(part) for part in (found.share, found.low, found.high, *exact, found.p)]
    people = (int(found.spread.judges), int(found.spread.clips))
    return Preference(question, *pair, *counts, *numbers, False, *people, *_differ(found))


def _differ(found: Share) -> tuple[float, float]:
    """Standard deviations over judges and over clips, by the moments: what variances exceed those of chance."""
    if not found.spread.known:
        return float("nan"), float("nan")
    single = found.share * (1 - found.share) / np.maximum(found.answers, 1)
    beyond = (found.spread.variances[:2] - 1).clip(0) * single
    judges, clips = np.sqrt(beyond * (found.spread.judges, found.spread.clips))
    return float(judges), float(clips)


def strengths(chosen: Sequence[Choice], systems: Sequence[str], questions: Sequence[str]) -> list[Strength]:
    """Each system among all by each question; those that no answers link are not compared."""
    found = []
    for question in questions:
        own = [c for c in chosen if c.question == question and {c.preferred, c.other} <= set(systems)]
        by_system = {}
        for group in linked(own, systems):
            inside = [c for c in own if c.preferred in group]
            by_system |= {one.system: one for one in _strengths(inside, question, group)}
        found += [by_system[system] for system in systems]
    return found


def linked(chosen: Sequence[Choice], systems: Sequence[str]) -> list[tuple[str, ...]]:
    """Groups of systems that answers link, directly or by others; of different groups nothing can be compared."""
    groups = {system: {system} for system in systems}
    for one in chosen:
        a, b = groups[one.preferred], groups[one.other]
        if a is not b:
            a |= b
            groups.update(dict.fromkeys(b, a))
    return list(dict.fromkeys(tuple(s for s in systems if s in groups[system]) for system in systems))


def _strengths(own: Sequence[Choice], question: str, group: tuple[str, ...]) -> list[Strength]:
    wins = {system: sum(c.preferred == system for c in own) for system in group}
    answers = {system: sum(system in (c.preferred, c.other) for c in own) for system in group}
    if len(group) == 1:
        nothing = [float("nan")] * 4
        return [Strength(question, group[0], *nothing, wins[group[0]], answers[group[0]], group)]
    places = {system: number for number, system in enumerate(group)}
    pairs = np.array([(places[c.preferred], places[c.other]) for c in own])
    logits = bradley_terry(len(group), pairs)
    half = _half_widths(own, pairs, logits)
    ends = [special.expit(part) for part in (logits, logits - half, logits + half)]
    return [
        Strength(question, system, float(logits[n]), *(float(e[n]) for e in ends), wins[system], answers[system], group)
        for n, system in enumerate(group)
    ]


def bradley_terry(systems: int, pairs: np.ndarray, ridge: float = RIDGE) -> np.ndarray:
    """Strengths (systems,), around 0 (the ridge sees to that), by Newton's method.

    Args:
        systems: how many.
        pairs: whole numbers (answers, 2), the preferred one and the other.
        ridge: how much the sum of their squares is worth, in the log-likelihood; above 0.
    """
    found = np.zeros(systems)
    value = _penalised(found, pairs, ridge)
    for _ in range(MOST_STEPS):
        slope, curve = _derivatives(found, pairs, ridge)
        step = np.linalg.solve(curve, slope)
        while (new := _penalised(found + step, pairs, ridge)) < value - ROUNDING * abs(value):
            step /= 2  # where one nearly always wins, Newton's step may be far too long
        found, value = found + step, new
        if np.abs(step).max() < NEAR_ENOUGH:
            break
    return found


def _penalised(strengths: np.ndarray, pairs: np.ndarray, ridge: float) -> float:
    return float(-np.logaddexp(0, -_gap(strengths, pairs)).sum() - ridge * np.square(strengths).sum())


def _gap(strengths: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return strengths[pairs[:, 0]] - strengths[pairs[:, 1]]


def _design(systems: int, pairs: np.ndarray) -> np.ndarray:
    """(answers, systems): 1 of the preferred one, -1 of the other."""
    return np.eye(systems)[pairs[:, 0]] - np.eye(systems)[pairs[:, 1]]


def _derivatives(strengths: np.ndarray, pairs: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Of the log-likelihood: its slope, and minus its second derivatives."""
    design, likely = _design(len(strengths), pairs), special.expit(_gap(strengths, pairs))
    curve = (design * (likely * (1 - likely))[:, None]).T @ design
    return design.T @ (1 - likely) - 2 * ridge * strengths, curve + 2 * ridge * np.eye(len(strengths))


def _half_widths(own: Sequence[Choice], pairs: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Half of each strength's 95 % interval: every answer moves the strengths by the inverse of the second derivatives
    times its own slope, and these movements are what crossed.py asks for."""
    curve = _derivatives(logits, pairs, RIDGE)[1]
    centred = np.eye(len(logits)) - 1 / len(logits)
    inverse = centred @ np.linalg.inv(curve) @ centred
    moved = (_design(len(logits), pairs) * (1 - special.expit(_gap(logits, pairs)))[:, None]) @ inverse
    where = [c.judge for c in own], [c.clip for c in own]
    cells = np.stack([in_cells(*where, column)[0] for column in moved.T])
    there = np.broadcast_to(in_cells(*where, np.ones(len(own)))[1] > 0, cells.shape)
    return spread(cells, there, np.diag(inverse)).reach()
