"""Do judges agree? Krippendorff's alpha, and how often two of them say the same.

alpha = 1 - D_o / D_e (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"): D_o is how much two judges of
the same unit differ, D_e how much any two answers do. 1 is perfect agreement, 0 what chance gives; below 0 they
disagree more than chance would. It bears missing answers, any number of judges, and nominal, ordinal or interval data.

Where everybody nearly always prefers the same system, there is little for chance to differ in, and alpha is low though
two judges mostly say the same: it asks whether they agree on which clips are the exceptions. So both are told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lipgan_colab.evaluation.judges.answers import Choice, Rating
from lipgan_colab.evaluation.judges.crossed import SURE

DRAWS = 1000  # of the bootstrap over units
FEWEST_UNITS = 5  # for an interval

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]  # values (V,) and how often each is used (V,): (V, V)


@dataclass(frozen=True)
class Agreement:
    """How much the judges agree on a question.

    Attributes:
        alpha: nan where nobody can say: nothing varies, or no unit has two answers.
        low, high: its 95 % interval for other units, by a bootstrap; nan where there are fewer than FEWEST_UNITS.
        same: in which share of pairs of judges of the same unit both said the same; nan where there is none.
        units: how many have two answers or more.
        unit: what they are: "pair of films" or "film".
        why: what is to be said where alpha is nan; else "".
    """

    question: str
    alpha: float
    low: float
    high: float
    same: float
    units: int
    unit: str
    why: str


def nominal(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Squared distances of names: 1 of any two."""
    return 1.0 - np.eye(len(values))


def ordinal(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Squared distances of ranks: by how many answers lie between them, half of those at either end counted."""
    places = np.cumsum(used) - used / 2
    return (places[:, None] - places[None]) ** 2


def interval(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Squared distances of numbers."""
    return (values[:, None] - values[None]) ** 2.0


def alpha(table: np.ndarray, distance: Distance = nominal, strata: Sequence[int] | None = None) -> float:
    """Krippendorff's alpha; nan where nothing varies, or no unit has two values.

    Args:
        table: numbers (coders, units), nan where a coder gave none.
        distance: nominal, ordinal or interval.
        strata: (units,), what is expected by chance is counted within each of them; None takes all as one. Units of
            different pairs of systems are such: that A is preferred to B by chance says nothing of C and D.
    """
    values, counts = _counts(table)
    chosen = np.zeros(counts.shape[0], int) if strata is None else np.asarray(strata)
    weights = np.ones((1, counts.shape[0]))
    return float(_alphas(values, counts, distance, chosen, weights)[0])


def _counts(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values that are used (V,), and how often in each unit (units, V)."""
    values = np.unique(table[np.isfinite(table)])
    return values, (np.asarray(table)[..., None] == values).sum(axis=0).astype(float)


def _alphas(values, counts, distance: Distance, strata: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """alpha (draws,), with how often each draw has each unit, (draws, units)."""
    size = counts.sum(axis=1)
    paired = size > 1
    counts, size, strata, weights = counts[paired], size[paired], strata[paired], weights[:, paired]
    observed, expected = np.zeros(len(weights)), np.zeros(len(weights))
    if not len(counts):
        return np.full(len(weights), np.nan)
    for stratum in np.unique(strata):
        own = strata == stratum
        pairs = counts[own, :, None] * counts[own, None, :] - counts[own, :, None] * np.eye(len(values))
        pairs /= (size[own] - 1)[:, None, None]
        met = np.einsum("du,uvw->dvw", weights[:, own], pairs)  # the coincidence matrix of each draw
        used = met.sum(axis=2)
        apart = np.stack([distance(values, one) for one in used]) if distance is ordinal else distance(values, used[0])
        by_chance = used[:, :, None] * used[:, None, :] / np.maximum(used.sum(axis=1) - 1, 1)[:, None, None]
        observed += (met * apart).sum(axis=(1, 2))
        expected += (by_chance * apart).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - observed / expected, np.nan)


def agreement_of_choices(chosen: Sequence[Choice], questions: Sequence[str]) -> list[Agreement]:
    """How much judges agree on who is preferred. A unit is a clip and two systems, whichever was left."""
    found = []
    for question in questions:
        own = [one for one in chosen if one.question == question]
        pairs = [tuple(sorted((one.preferred, one.other))) for one in own]
        rows = [(c.judge, (c.clip, *pair), float(c.preferred == pair[0])) for c, pair in zip(own, pairs, strict=True)]
        found.append(_agreement(question, rows, nominal, "pair of films", lambda unit: unit[1:]))
    return found


def agreement_of_ratings(given: Sequence[Rating], questions: Sequence[str]) -> list[Agreement]:
    """How much judges agree on points. A unit is a film; points are ranks."""
    return [
        _agreement(
            q, [(r.judge, (r.clip, r.system), float(r.points)) for r in given if r.question == q], ordinal, "film"
        )
        for q in questions
    ]


def _agreement(question: str, rows, distance: Distance, kind: str, stratum: Callable = lambda unit: None) -> Agreement:
    """Args: rows of (judge, unit, value); `stratum` says of which stratum a unit is."""
    judges = {judge: number for number, judge in enumerate(sorted({row[0] for row in rows}))}
    units = {unit: number for number, unit in enumerate(sorted({row[1] for row in rows}))}
    table = np.full((len(judges), len(units)), np.nan)
    for judge, unit, value in rows:
        table[judges[judge], units[unit]] = value
    places = {name: number for number, name in enumerate(dict.fromkeys(map(stratum, units)))}
    strata = np.array([places[stratum(unit)] for unit in units], int)
    values, counts = _counts(table)
    paired = counts.sum(axis=1) > 1
    count = int(paired.sum())
    found = float(_alphas(values, counts, distance, strata, np.ones((1, len(units))))[0])
    low = high = np.nan
    if count >= FEWEST_UNITS and np.isfinite(found):
        draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), DRAWS).astype(float)
        alphas = _alphas(values, counts[paired], distance, strata[paired], draws)
        if np.isfinite(alphas).mean() > 1 - SURE:
            low, high = np.nanquantile(alphas, (SURE / 2, 1 - SURE / 2))
    size = counts.sum(axis=1)
    of_two = (size * (size - 1)).sum()
    same = float((counts * (counts - 1)).sum() / of_two) if of_two else float("nan")
    why = "" if np.isfinite(found) else "all said the same everywhere" if count else "nothing was judged by two judges"
    return Agreement(question, found, float(low), float(high), same, count, kind, why)
