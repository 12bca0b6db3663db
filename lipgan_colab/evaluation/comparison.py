"""Which differences between a study's arms and its base can be told from chance, with two to five seeds and few people.

What is compared is paired: the same seed, the same clip. A seed's training and a person are both drawn by chance, and
an answer is meant for other trainings and other people, so both count as units: every speaker counts alike, by the mean
of their clips (where there is one speaker, or none is known, the clips are the units, and the answer is for them).

The bootstrap over seeds and clips that is usual here is far too narrow with so few units: in simulations its 95 %
intervals held in 30 to 85 % of cases where speakers or seeds matter, drawing speakers, n - 1 of n (Rao and Wu 1988), in
65 to 95 %. The variance that a bootstrap of a mean estimates is known without drawing, and with it Student's quantiles
hold (94 to 98 %, 99 % where neither matters, 88 to 92 % of one arm that a few people like far more than the others):

- over seeds, V_s = var(means of seeds) / S. Three seeds give no good variance; those of all arms together do. It is the
  larger one of the arm's own and of the arms' usual one, which has more degrees of freedom. From three arms on that is
  their median (in proportion to the mean, and with fewer degrees of freedom): of ten arms two that are ten times as
  unsteady make the others' intervals 1.4 times as wide, and by a mean 2.8 times;
- over units, V_g = var(means of units) / G;
- both share what is of neither, V_i, which is taken off once: V = max(V_s, V_g, V_s + V_g - V_i), as in an analysis of
  variance of two crossed factors, and never less than either. Degrees of freedom: Satterthwaite (1946).

An interval is as wide as V tells, and at least as V_s and V_g alone do with their own degrees of freedom: with two
seeds Satterthwaite's are too many in the tails, where the correction looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lipgan_colab.evaluation.arm_results import Score

SURE = 0.05  # the chance of one false difference or more among all comparisons of a table (Holm 1979)
COMMON = 0.25  # correlation of two arms' variances over seeds: half of each difference is the same base's
MEDIANS_WORTH = 0.6  # of the degrees of freedom that a mean of the variances has
CANNOT_TELL = "cannot tell"

# What is good: "more", "less", or nearer to what the true clip has, which is 1. See measures.MEASURES.
GOOD = {
    **dict.fromkeys(("correlation", "high_passed", "closures", "sound", "expert_c", "lse_c"), "more"),
    **dict.fromkeys(("psnr", "psnr_whole", "psnr_lips", "ssim", "ssim_whole", "ssim_lips"), "more"),
    **dict.fromkeys(("false_closures", "lmd", "lmd_pixels", "silence", "one_sided"), "less"),
    **dict.fromkeys(("expert_d", "lse_d", "unseen"), "less"),
    **dict.fromkeys(("range", "sharpness", "teeth", "chin", "cheeks", "shimmer"), "as the truth"),
}


@dataclass(frozen=True)
class Difference:
    """An arm against the base, by one measure, over the pairs (same seed, same clip) that have it.

    Attributes:
        arm, measure: what is compared.
        mean, base_mean: over seeds and speakers, of the pairs; nan where there is none.
        difference: mean - base_mean.
        low, high: its 95 % interval, not corrected; nan where nothing can be said. With one seed it tells of speakers
            alone, with one unit of seeds alone.
        told: whether it differs from zero after the correction for all comparisons of the table. Never with one seed,
            or one unit: then nobody knows what chance does.
        p: the probability of so large a difference by chance, not corrected; nan where it cannot be told.
        seeds, units, clips: how many it is of; units are speakers, or clips where there is one speaker.
    """

    arm: str
    measure: str
    mean: float
    base_mean: float
    difference: float
    low: float
    high: float
    told: bool
    p: float
    seeds: int
    units: int
    clips: int


def verdict(found: Difference) -> str:
    """ "better", "worse", "differs" or CANNOT_TELL."""
    return _direction(found) if found.told else CANNOT_TELL


def leaning(found: Difference) -> str:
    """What a difference would be called if it were the only comparison, and is not because of the others; else "".

    Where nothing has any effect, one comparison in twenty leans.
    """
    alone = np.isfinite(found.p) and not found.low <= 0 <= found.high
    return _direction(found) if alone and not found.told else ""


def _direction(found: Difference) -> str:
    """ "better", "worse" or "differs".

    Where the truth has 1, better is nearer to it: the whole interval lies between the base and as far beyond 1. Where
    it does not lie wholly on either side of that, and where it is not known what is good, a difference is no more.
    """
    good = GOOD.get(found.measure)
    if good is None:
        return "differs"
    if good != "as the truth":
        return "better" if (found.difference > 0) == (good == "more") else "worse"
    missing = 1 - found.base_mean
    ends = sorted((np.sign(missing) * found.low, np.sign(missing) * found.high))
    if found.difference * missing > 0 and ends[1] < 2 * abs(missing):
        return "better"
    return "worse" if found.difference * missing <= 0 or ends[0] > 2 * abs(missing) else "differs"


def mean(scores: Sequence[Score], arm: str, measure: str) -> float:
    """An arm's mean of a measure, every seed and speaker counting alike; nan where it has none."""
    own = [score for score in scores if score.arm == arm]
    if not own:
        return float("nan")
    table = _Table(own, [arm], [measure])
    return float(_mean(_cells(table.values, table.units), (-2, -1)).item())


def compare(scores: Sequence[Score], base: str = "base", measures: Sequence[str] = ()) -> list[Difference]:
    """All arms against the base by all measures, in the order of the scores' arms and of the measures.

    Args:
        scores: of the base and of the arms; in whichever order, the numbers are the same to the last digit.
        base: the arm to compare with.
        measures: which; empty takes all that the scores have.
    """
    measures = list(measures) or list(dict.fromkeys(name for score in scores for name in score.values))
    arms = [arm for arm in dict.fromkeys(score.arm for score in scores) if arm != base]
    if not arms or not measures:
        return []
    order = [base, *sorted(arms)]
    table = _Table(scores, order, measures)
    values, others = table.values[1:], np.broadcast_to(table.values[:1], table.values[1:].shape)
    pairs = np.isfinite(values) & np.isfinite(others)
    own, base_cells = (_cells(np.where(pairs, part, np.nan), table.units) for part in (values, others))
    cells = own - base_cells
    low, high, p = intervals(cells)
    told = holm(p)
    means, base_means = _mean(own, (-2, -1)), _mean(base_cells, (-2, -1))
    return [
        Difference(
            arm,
            measure,
            float(means[a, m]),
            float(base_means[a, m]),
            float(_mean(cells, (-2, -1))[a, m]),
            float(low[a, m]),
            float(high[a, m]),
            bool(told[a, m]),
            float(p[a, m]),
            *(int(np.isfinite(cells[a, m]).any(axis=axis).sum()) for axis in (1, 0)),
            int(pairs[a, m].any(axis=0).sum()),
        )
        for arm in arms
        for a in [order.index(arm) - 1]
        for m, measure in enumerate(measures)
    ]


def intervals(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends of the mean's 95 % interval and its p, each (arms, measures), as the file's head says.

    Args:
        cells: paired differences (arms, measures, seeds, units), nan where there is none.
    """
    known = np.isfinite(cells)
    by_seed, by_unit, centre = _mean(cells, -1), _mean(cells, -2), _mean(cells, (-2, -1))
    seeds, units = (np.isfinite(part).sum(axis=-1) for part in (by_seed, by_unit))
    own, over_units = _variance(by_seed), _variance(by_unit) / np.maximum(units, 1)
    usual, freedom = _usual(own, seeds)
    over_seeds = np.where(seeds > 1, np.maximum(own, usual), np.nan) / np.maximum(seeds, 1)
    rest = cells - by_seed[..., None] - by_unit[..., None, :] + centre[..., None, None]
    left = ((seeds - 1) * (units - 1)).clip(1) * known.sum(axis=(-2, -1)).clip(1)
    shared = np.where(known, rest, 0) ** 2
    vs, vg = np.nan_to_num(over_seeds), np.nan_to_num(over_units)
    both = np.maximum(np.maximum(vs, vg), vs + vg - shared.sum(axis=(-2, -1)) / left)
    enough = np.maximum(units - 1, 1)
    many = np.where(seeds > 1, np.maximum(freedom, 1), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        joint = np.where(vs + vg > 0, (vs + vg) ** 2 / (vs**2 / many + vg**2 / enough), enough)
    parts = ((vs, many), (vg, enough), (both, joint))
    half = np.max([np.sqrt(v) * stats.t.isf(SURE / 2, df) for v, df in parts], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = np.max([2 * stats.t.sf(np.abs(centre) / np.sqrt(v), df) for v, df in parts], axis=0)
    half = np.where((seeds > 1) | (units > 1), half, np.nan)
    p = np.where(centre == 0, 1, p)
    return centre - half, centre + half, np.where((seeds > 1) & (units > 1), p, np.nan)


def _usual(variances: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The variance over seeds that arms usually have, and its degrees of freedom, each (measures,).

    Args:
        variances: of each arm (arms, measures), nan where there is one seed.
        seeds: that it is of.
    """
    some = (seeds > 1).sum(axis=0)
    freedom = (seeds - 1).clip(0).sum(axis=0) / (1 + COMMON * (some - 1).clip(0))
    few = some < 3  # of one or two the median is the mean
    shares = variances / np.where(few, 1, stats.chi2.median(np.maximum(seeds - 1, 1)) / np.maximum(seeds - 1, 1))
    middle = np.ma.median(np.ma.masked_invalid(shares), axis=0).filled(np.nan)
    return middle, np.where(few, freedom, MEDIANS_WORTH * freedom)


def holm(p: np.ndarray, sure: float = SURE) -> np.ndarray:
    """Which of many hypotheses can be rejected so that none of them is wrongly with probability 1 - sure: the smallest
    p is compared with sure / k, the next one with sure / (k - 1), until one is larger (Holm 1979). nan never is, and
    is not counted."""
    told = np.zeros(p.shape, bool)
    order = np.argsort(p, axis=None)[: np.isfinite(p).sum()]
    left = np.arange(len(order), 0, -1)
    told.flat[order] = np.logical_and.accumulate(p.flat[order] * left <= sure)
    return told


class _Table:
    """The scores as numbers: `values` (arms, measures, seeds, clips), nan where there is none; `units` (clips,), whose
    each clip is."""

    def __init__(self, scores: Sequence[Score], arms: Sequence[str], measures: Sequence[str]):
        seeds = {seed: s for s, seed in enumerate(sorted({score.seed for score in scores}))}
        clips = {clip: c for c, clip in enumerate(sorted({score.clip for score in scores}))}
        places = {arm: a for a, arm in enumerate(arms)}
        self.values = np.full((len(arms), len(measures), len(seeds), len(clips)), np.nan)
        whose = dict.fromkeys(clips, "")
        for score in scores:
            whose[score.clip] = score.speaker
            row = [score.values.get(measure, np.nan) for measure in measures]
            self.values[places[score.arm], :, seeds[score.seed], clips[score.clip]] = row
        people = [("speaker", speaker) if speaker else ("clip", clip) for clip, speaker in whose.items()]
        if len(set(people)) == 1:
            people = list(clips)
        self.units = np.unique(np.array([str(who) for who in people]), return_inverse=True)[1]


def _cells(values: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(…, clips) to (…, units): means of each unit's clips."""
    return np.stack([_mean(values[..., units == unit], -1) for unit in range(units.max(initial=-1) + 1)], axis=-1)


def _mean(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Of those that are known; nan where none is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(axis=axis) / known.sum(axis=axis)


def _variance(values: np.ndarray) -> np.ndarray:
    """Of a sample along the last axis; nan where it has not two."""
    known = np.isfinite(values)
    squares = np.where(known, values - _mean(values, -1)[..., None], 0) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return squares.sum(axis=-1) / np.where(known.sum(axis=-1) > 1, known.sum(axis=-1) - 1, np.nan)
