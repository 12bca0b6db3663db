"""How sure a mean over answers is, where both the judges and the clips of a study are a few of many.

Answers are not independent: one judge likes a system more than another does, and on one clip it does better than on
another. An answer is meant for other people and for other clips, so both count as drawn by chance, as two crossed
factors (see comparison.py, which does the same with seeds and speakers). Here hardly anybody answers everything, so
the variances are those of sums (Cameron, Gelbach and Miller 2011), which need no full table:

- over judges, V_j: from the sums of each judge's deviations; over clips, V_c, likewise;
- both hold what is of neither, V_i, which is taken off once: V = V_j + V_c - V_i;
- never less than V_m, what answers that were independent would have: few sums can be equal by chance.

Each part has its own degrees of freedom (V by Satterthwaite 1946), and an interval is as wide as the widest part asks.
"""

from collections.abc import Sequence
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
        judges, clips: (…), how many gave the answers.
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
        half = np.max(np.sqrt(self.variances) * student(sure / 2, self.freedom), axis=0)
        return np.where(self.known, half, np.nan)

    def chance(self, distance: np.ndarray) -> np.ndarray:
        """How probable so large a distance from the truth is, (…), either way; nan where nothing can be said."""
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.abs(distance) / np.sqrt(self.variances)
        p = np.max(2 * special.stdtr(self.freedom, -np.where(np.isnan(far), 0, far)), axis=0)
        return np.where(self.known, p, np.nan)


def student(tail: float, freedom: np.ndarray) -> np.ndarray:
    """Student's quantile that is exceeded with probability `tail`."""
    return -special.stdtrit(freedom, tail)


def spread(deviations: np.ndarray, there: np.ndarray, independent: np.ndarray) -> Spread:
    """The spread of an estimate that is a sum over answers.

    Args:
        deviations: (…, judges, clips), by how much the answers in each cell move the estimate off its expectation (of
            a mean: the sum of answers minus the mean, over the number of all answers).
        there: bool (…, judges, clips), which cells have answers.
        independent: (…), the variance if all answers were independent.
    """
    answers = there.sum(axis=(-2, -1))
    judges, clips = (there.any(axis=axis).sum(axis=-1) for axis in (-1, -2))
    per_judge, per_clip = deviations.sum(axis=-1), deviations.sum(axis=-2)
    vj, vc, vi = (
        _sample(np.square(part).sum(axis=axes), count)
        for part, axes, count in ((per_judge, -1, judges), (per_clip, -1, clips), (deviations, (-2, -1), answers))
    )
    return _parts(vj, vc, vi, independent, judges, clips)


def _sample(squares: np.ndarray, count: np.ndarray) -> np.ndarray:
    return squares * count / np.maximum(count - 1, 1)


def _parts(vj, vc, vi, independent, judges, clips) -> Spread:
    fj, fc = np.maximum(judges - 1, 1), np.maximum(clips - 1, 1)
    both = np.maximum(vj + vc - vi, independent)
    with np.errstate(divide="ignore", invalid="ignore"):
        joint = np.where(vj + vc > 0, (vj + vc) ** 2 / (vj**2 / fj + vc**2 / fc), np.minimum(fj, fc))
    variances = np.stack(np.broadcast_arrays(vj, vc, both))
    return Spread(variances, np.stack(np.broadcast_arrays(fj, fc, joint)).astype(float), judges, clips)


