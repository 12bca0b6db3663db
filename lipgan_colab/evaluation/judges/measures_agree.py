"""Which measures say what people say: of each two films that were judged, does a measure prefer the same one?

Measures compare a film with the truth, and most of them cannot but prefer the truth itself (its landmark distance is 0
by definition). Pairs with the truth therefore flatter; a measure is judged by the pairs without it.

Beside a measure stands how often one judge says the same as another of the same pair: a measure that reaches it is as
good as one more judge. It is no hard limit. If a part p of all people prefer one film, two of them agree in
p^2 + (1 - p)^2 of cases, and what always names the favourite agrees in p of them, which is more.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from lipgan_colab.errors import InputError, reading
from lipgan_colab.evaluation.comparison import GOOD
from lipgan_colab.evaluation.judges.answers import Choice, Rating
from lipgan_colab.evaluation.judges.crossed import SURE
from lipgan_colab.evaluation.judges.key import TRUTH

DRAWS = 1000  # of the bootstrap over clips
FEWEST_CLIPS = 5  # for an interval: of fewer a bootstrap tells too little
FEWEST_FILMS = 4  # for a rank correlation

Measured = dict[tuple[str, str], dict[str, float]]  # measures of a film, by its clip and system


@dataclass(frozen=True)
class MeasureAgrees:
    """How well a measure goes with people by a question.

    Attributes:
        with_truth: whether pairs (films) with the truth are among them.
        agrees: of pairs, in which share of the answers the measure prefers the same film; on a scale, Spearman's rank
            correlation of its goodness with the films' mean points. nan where there is nothing.
        low, high: its 95 % interval for other clips; nan with fewer than FEWEST_CLIPS.
        answers: (films, on a scale) that it is of.
        left_out: answers (films) of which the measure is not known, or the same of both films.
        clips: how many it is of.
    """

    question: str
    measure: str
    with_truth: bool
    agrees: float
    low: float
    high: float
    answers: int
    left_out: int
    clips: int


def read_measures(path: Path) -> Measured:
    """Columns clip and system, and a column for each measure; what is empty or no number is not known: nan.

    Raises:
        InputError: there is no such file, or it is none of measures.
    """
    with reading(path, "its measures cannot be read", "without them all else is counted"):
        if path.is_file() and path.stat().st_size > 100e6:
            raise InputError("far too large")
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        rows = csv.DictReader(text.splitlines())
        if not {"clip", "system"} <= set(rows.fieldnames or ()):
            raise InputError("it has no columns clip and system")
        names = [name for name in rows.fieldnames or () if name in GOOD]
        return {(row["clip"], row["system"]): {name: _number(row[name]) for name in names} for row in rows}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def goodness(measure: str, value: float) -> float:
    """A measure's value, so that more is better; see `comparison.GOOD`."""
    good = GOOD[measure]
    return value if good == "more" else -value if good == "less" else -abs(value - 1)


def measures_agree(chosen: Sequence[Choice], measured: Measured, questions: Sequence[str]) -> list[MeasureAgrees]:
    """How well each measure goes with the answers to pairs: by question and measure, with the truth's pairs and
    without them; a measure that is known of no film is left out."""
    return [
        _of_pairs([c for c in chosen if c.question == question], measured, question, measure, with_truth)
        for question in questions
        for measure in _known(measured)
        for with_truth in (False, True)
    ]


def _known(measured: Measured) -> list[str]:
    names = dict.fromkeys(name for values in measured.values() for name in values)
    return [name for name in names if any(not np.isnan(values[name]) for values in measured.values())]


def _of_pairs(
    own: Sequence[Choice], measured: Measured, question: str, measure: str, with_truth: bool
) -> MeasureAgrees:
    kept = [c for c in own if with_truth or TRUTH not in (c.preferred, c.other)]
    same, clips = [], []
    for one in kept:
        better, worse = (
            goodness(measure, measured.get((one.clip, system), {}).get(measure, float("nan")))
            for system in (one.preferred, one.other)
        )
        if better > worse or better < worse:  # neither where one is nan
            same.append(float(better > worse))
            clips.append(one.clip)
    share, low, high = _by_clips(np.array(same), clips)
    return MeasureAgrees(
        question, measure, with_truth, share, low, high, len(same), len(kept) - len(same), len(set(clips))
    )


def _by_clips(same: np.ndarray, clips: Sequence[str]) -> tuple[float, float, float]:
    """A share and its interval by a bootstrap of the clips."""
    if not len(same):
        return (float("nan"),) * 3
    names = list(dict.fromkeys(clips))
    places = np.array([names.index(clip) for clip in clips])
    hits, counts = np.bincount(places, same), np.bincount(places)
    share = float(same.mean())
    if len(names) < FEWEST_CLIPS:
        return share, float("nan"), float("nan")
    draws = _draws(len(names))
    low, high = np.quantile((draws @ hits) / (draws @ counts), (SURE / 2, 1 - SURE / 2))
    return share, float(low), float(high)


def _draws(clips: int) -> np.ndarray:
    """How often each clip is in each draw of the bootstrap, (DRAWS, clips)."""
    return np.random.default_rng(0).multinomial(clips, np.full(clips, 1 / clips), DRAWS)


def judges_agree(chosen: Sequence[Choice], question: str, with_truth: bool) -> float:
    """How often one judge prefers the same film as another one of the same pair; nan where no two judged one."""
    votes: dict[tuple, dict[str, int]] = {}
    for one in chosen:
        pair = tuple(sorted((one.preferred, one.other)))
        if one.question == question and (with_truth or TRUTH not in pair):
            of_pair = votes.setdefault((one.clip, *pair), dict.fromkeys(pair, 0))
            of_pair[one.preferred] += 1
    same = sum(n * (n - 1) for of_pair in votes.values() for n in of_pair.values())
    both = sum(n * (n - 1) for n in (sum(of_pair.values()) for of_pair in votes.values()))
    return same / both if both else float("nan")


def measures_correlate(given: Sequence[Rating], measured: Measured, questions: Sequence[str]) -> list[MeasureAgrees]:
    """The same of points: the rank correlation of each measure with the films' mean points."""
    return [
        _of_films([r for r in given if r.question == question], measured, question, measure, with_truth)
        for question in questions
        for measure in _known(measured)
        for with_truth in (False, True)
    ]


def _of_films(
    own: Sequence[Rating], measured: Measured, question: str, measure: str, with_truth: bool
) -> MeasureAgrees:
    points = _points(own, with_truth)
    films = [film for film in points if not np.isnan(measured.get(film, {}).get(measure, float("nan")))]
    means = np.array([np.mean(points[film]) for film in films])
    good = np.array([goodness(measure, measured[film][measure]) for film in films])
    clips = [film[0] for film in films]
    names = list(dict.fromkeys(clips))
    found, low, high = _rank_correlation(good, means), float("nan"), float("nan")
    if len(names) >= FEWEST_CLIPS and np.isfinite(found):
        weights = _draws(len(names))[:, [names.index(clip) for clip in clips]]
        some = _weighted_correlation(stats.rankdata(good), stats.rankdata(means), weights)
        low, high = (float(part) for part in np.nanquantile(some, (SURE / 2, 1 - SURE / 2)))
    return MeasureAgrees(
        question, measure, with_truth, found, low, high, len(films), len(points) - len(films), len(names)
    )


def _points(own: Sequence[Rating], with_truth: bool) -> dict[tuple[str, str], list[int]]:
    """All points of each film."""
    points: dict[tuple[str, str], list[int]] = {}
    for one in own:
        if with_truth or one.system != TRUTH:
            points.setdefault((one.clip, one.system), []).append(one.points)
    return points


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; nan of few films, or where nothing varies."""
    if len(a) < FEWEST_FILMS or (a == a[0]).all() or (b == b[0]).all():
        return float("nan")
    return float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])


def _weighted_correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of each draw (draws,), with how often it has each film (draws, films); ranks stay those of all films."""
    share = weights / weights.sum(axis=1, keepdims=True)
    a, b = a - share @ a[:, None], b - share @ b[:, None]
    products = ((share * x * y).sum(axis=1) for x, y in ((a, b), (a, a), (b, b)))
    together, first, second = products
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(first * second > 0, together / np.sqrt(first * second), np.nan)


def one_judge_correlates(given: Sequence[Rating], question: str, with_truth: bool) -> float:
    """How well one judge's points go with the mean of the others' over the same films: the mean rank correlation of
    the judges, nan where there are too few films in common."""
    own = [r for r in given if r.question == question and (with_truth or r.system != TRUTH)]
    found = []
    for judge in sorted({r.judge for r in own}):
        mine = _points([r for r in own if r.judge == judge], True)
        others = _points([r for r in own if r.judge != judge], True)
        films = [film for film in mine if film in others]
        means = [np.array([np.mean(some[film]) for film in films]) for some in (mine, others)]
        found.append(_rank_correlation(*means))
    known = [one for one in found if np.isfinite(one)]
    return float(np.mean(known)) if known else float("nan")


def best(found: Sequence[MeasureAgrees], question: str) -> list[MeasureAgrees]:
    """The measures by a question, those that go best with people first: without the truth, which decides; where no
    pair is without it, none."""
    own = [one for one in found if one.question == question and not one.with_truth and np.isfinite(one.agrees)]
    return sorted(own, key=lambda one: -one.agrees)
