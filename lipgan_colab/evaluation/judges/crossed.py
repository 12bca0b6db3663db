"""How sure a mean over answers is, where both the judges and the clips of a study are a few of many.

Answers are not independent: one judge likes a system more than another does, and on one clip it does better than on
another. An answer is meant for other people and for other clips, so both count as drawn by chance, as two crossed
factors (see comparison.py, which does the same with seeds and speakers). Here hardly anybody answers everything, so
the variances are those of sums (Cameron, Gelbach and Miller 2011), which need no full table:

- over judges, V_j: from the sums of each judge's deviations; over clips, V_c, likewise;
- both hold what is of neither, V_i, which is taken off once: V = V_j + V_c - V_i, and never less than what answers
  that were independent would have: a few sums can be equal by chance.

Each has its own degrees of freedom (V by Satterthwaite 1946), and an interval is as wide as the widest of them asks.
A share's interval is Wilson's (1927) with the variances in place of the binomial one, so that it stays within 0 and 1.

What was measured (benchmarks/judges.py: 5, 10 and 20 judges, 12 and 24 clips; judges and clips that differ not at all,
by .5 or by 1 logit; shares of .5, .6 and .75), how often 95 % intervals held:

- Clopper and Pearson's, which takes answers as independent: 95 to 97 % where nothing differs, else 90 down to 55 %;
- a bootstrap of judges and clips (the pigeonhole bootstrap, Owen 2007): 93 to 100 %; where nothing differs it is half
  again as wide, and with few judges who differ much it is the narrowest;
- Student's interval with the variances of comparison.py: 92 to 99 %, and with 5 judges a tenth wider than this one;
- this one: 94 to 99 %. Of studies without a preference 0 to 6 % told one, mostly 3 to 5.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

SURE = 0.05  # the chance that an interval does not hold the truth


@dataclass(frozen=True)
class Spread:
    """Variances of an estimate, and their degrees of freedom; arrays of one shape (…).

    Attributes:
        variances: (parts, …), of which each alone is a reason to doubt.
        freedom: (parts, …), at least 1.
        judges, clips: (…), how many gave the answers, and on how many.
    """

    variances: np.ndarray
    freedom: np.ndarray
    judges: np.ndarray
    clips: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Whether anything can be said of other judges and other clips: of two or more of both."""
        return (self.judges > 1) & (self.clips > 1)

    def reach(self, sure: float = SURE) -> np.ndarray:
        """Half of the interval's width, (…); nan where nothing can be said."""
        half = np.max(np.sqrt(self.variances) * -special.stdtrit(self.freedom, sure / 2), axis=0)
        return np.where(self.known, half, np.nan)

    def chance(self, distance: np.ndarray | float) -> np.ndarray:
        """How probable it is to be so far from the truth, or farther, (…); nan where nothing can be said."""
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.nan_to_num(np.abs(distance) / np.sqrt(self.variances), nan=0.0)
        return np.where(self.known, np.max(2 * special.stdtr(self.freedom, -far), axis=0), np.nan)


def spread(deviations: np.ndarray, there: np.ndarray, independent: np.ndarray | float) -> Spread:
    """The spread of an estimate that is a sum over answers.

    Args:
        deviations: (…, judges, clips), by how much each cell's answers move the estimate from where it is (of a mean:
            the sum of the answers minus the mean, over the number of all answers).
        there: bool (…, judges, clips), which cells have answers.
        independent: (…), the variance if all answers were independent.
    """
    judges, clips = (there.any(axis=axis).sum(axis=-1) for axis in (-1, -2))
    squares = (
        np.square(deviations.sum(axis=-1)).sum(axis=-1),
        np.square(deviations.sum(axis=-2)).sum(axis=-1),
        np.square(deviations).sum(axis=(-2, -1)),
    )
    return spread_of_squares(*squares, judges, clips, there.sum(axis=(-2, -1)), independent)


def spread_of_squares(by_judge, by_clip, by_cell, judges, clips, cells, independent) -> Spread:
    """The same where the sums are known already.

    Args:
        by_judge, by_clip, by_cell: (…), sums of the squares of each judge's, clip's and cell's summed deviations.
        judges, clips, cells: (…), how many there are.
        independent: as of `spread`.
    """
    counts = (judges, clips, cells)
    vj, vc, vi = (
        s * n / np.maximum(np.asarray(n) - 1, 1) for s, n in zip((by_judge, by_clip, by_cell), counts, strict=True)
    )
    fj, fc = (np.maximum(np.asarray(n) - 1.0, 1) for n in (judges, clips))
    with np.errstate(divide="ignore", invalid="ignore"):
        joint = np.where(vj + vc > 0, (vj + vc) ** 2 / (vj**2 / fj + vc**2 / fc), np.minimum(fj, fc))
    variances = np.broadcast_arrays(vj, vc, np.maximum(vj + vc - vi, independent))
    shape = variances[0].shape
    freedom = [np.broadcast_to(part, shape) for part in (fj, fc, joint)]
    return Spread(np.stack(variances), np.stack(freedom), *(np.broadcast_to(n, shape) for n in (judges, clips)))


@dataclass(frozen=True)
class Share:
    """A share of answers, arrays of one shape (…).

    Attributes:
        share: nan where there is no answer.
        low, high: its 95 % interval; nan where nothing can be said of other judges and clips.
        p: how probable so one-sided a share is if nobody prefers anything; nan likewise.
        spread: in units of the variance that independent answers would have.
        answers: how many.
    """

    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    spread: Spread
    answers: np.ndarray


def share_of(hits: np.ndarray, counts: np.ndarray) -> Share:
    """A share of answers, as the file's head says.

    Where all answers are the same, how much judges differ is not seen: the interval is Wilson's with the quantile of
    Student's distribution for the fewer of judges and clips.

    Args:
        hits, counts: (…, judges, clips), how many answers of each cell are such, and how many there are.
    """
    answers = counts.sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits.sum(axis=(-2, -1)) / answers
    middle = np.nan_to_num(share, nan=0.5)
    deviations = (hits - middle[..., None, None] * counts) / np.maximum(answers, 1)[..., None, None]
    single = middle * (1 - middle) / np.maximum(answers, 1)
    return of_spread(share, answers, spread(deviations, counts > 0, single))


def of_spread(share: np.ndarray, answers: np.ndarray, plain: Spread) -> Share:
    """A share with its interval.

    Args:
        share, answers: as of `Share`.
        plain: of the share; its variances are divided by those of independent answers.
    """
    count = np.maximum(answers, 1)
    middle = np.nan_to_num(share, nan=0.5)
    single = middle * (1 - middle) / count
    some = single > 0
    relative = Spread(
        np.where(some, plain.variances / np.where(some, single, 1), 1), plain.freedom, plain.judges, plain.clips
    )
    square = relative.reach() ** 2 / count
    centre = (middle + square / 2) / (1 + square)
    half = np.sqrt(square * (middle * (1 - middle) + square / 4)) / (1 + square)
    p = relative.chance((middle - 0.5) / np.sqrt(0.25 / count))
    low, high = np.maximum(centre - half, 0), np.minimum(centre + half, 1)
    return Share(share, low, high, p, relative, answers)


def in_cells(
    judges: Sequence[Hashable], clips: Sequence[Hashable], values: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the values of each judge and clip, and how many they are of: two arrays (judges, clips)."""
    rows, columns = (np.unique(_places(some), return_inverse=True)[1] for some in (judges, clips))
    shape = (rows.max(initial=-1) + 1, columns.max(initial=-1) + 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (rows, columns), np.asarray(values, float))
    np.add.at(counts, (rows, columns), 1)
    return sums, counts


def _places(some: Sequence[Hashable]) -> np.ndarray:
    numbers = {one: number for number, one in enumerate(dict.fromkeys(some))}
    return np.array([numbers[one] for one in some], int)
