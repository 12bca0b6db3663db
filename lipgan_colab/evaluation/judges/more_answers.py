"""How many answers it takes until a preference is told: before a study, and after one that cannot tell yet.

It is a simulation. Each study in it has judges who all see the same clips, each clip once; whom a judge prefers on a
clip is drawn with odds that are the same for all, times those of the judge, times those of the clip (in logits, normal
with the standard deviations that are asked for). A study tells when its verdict does, that of preference.py. It assumes
that the next judges are like these, that all answer everything, and that the preference is what it is said to be: after
a study that is the share that was seen, which is itself uncertain. Take the number as a rough one.

More judges do not help against too few clips: where clips differ, the same ones leave the same doubt.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from lipgan_colab.errors import check_range
from lipgan_colab.evaluation.judges.crossed import SURE, of_spread, spread_of_squares
from lipgan_colab.evaluation.judges.opinion import OpinionDifference
from lipgan_colab.evaluation.judges.preference import Preference

TOLD_IN = 0.8  # of the studies (the power that is usual)
STUDIES = 500
MOST_JUDGES = 1000
MORE_THAN_MOST = MOST_JUDGES + 1  # what is returned where so many do not do
LEAST_LEANING = 0.02  # of a share beside 1/2: below it no number is worth saying
MOST_DIFFER = 2.0  # logits; more cannot be told from few answers
BLOCK = 64  # judges that are drawn at a time
MOST_CLIPS = 60  # that are simulated: with more the numbers hardly change


def judges_needed(
    pairs: int,
    share: float = 0.6,
    judges_differ: float = 0.5,
    clips_differ: float = 0.5,
    seed: int = 0,
    comparisons: int = 1,
) -> int:
    """How many judges it takes until a true preference is told in TOLD_IN of simulated studies; MORE_THAN_MOST where
    MOST_JUDGES do not do.

    Args:
        pairs: that each judge answers, each of another clip, at least 2.
        share: of all answers by all people on all clips, for the one that is preferred.
        judges_differ: standard deviation from judge to judge, in logits.
        clips_differ: from clip to clip, likewise.
        seed: of the simulation.
        comparisons: of which this is one: the first of Holm's steps, which is the hardest, is asked of it.

    Raises:
        InputError: a number is out of its range.
    """
    check_range("pairs", pairs, 2)
    check_range("share", share, 0.0, 1.0)
    check_range("judges_differ", judges_differ, 0.0, 10.0)
    check_range("clips_differ", clips_differ, 0.0, 10.0)
    check_range("comparisons", comparisons, 1)
    if abs(share - 0.5) < LEAST_LEANING:
        return MORE_THAN_MOST
    studies = _Studies(min(pairs, MOST_CLIPS), max(share, 1 - share), judges_differ, clips_differ, seed)
    sure = SURE / comparisons
    few, enough = 1, 2
    while studies.told(enough, sure) < TOLD_IN:
        if enough >= MOST_JUDGES:
            return MORE_THAN_MOST
        few, enough = enough, min(2 * enough, MOST_JUDGES)
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if studies.told(middle, sure) >= TOLD_IN else (middle, enough)
    return enough


class _Studies:
    """Simulated studies, of which the first judges can be taken; judges are drawn when they are asked for."""

    def __init__(self, clips: int, share: float, judges_differ: float, clips_differ: float, seed: int):
        self._rng = np.random.default_rng(seed)
        self._differ = judges_differ
        level = _level(min(share, 1 - 1e-6), float(np.hypot(judges_differ, clips_differ)))
        self._clips = level + clips_differ * self._rng.normal(size=(STUDIES, 1, clips))
        self._answers = np.empty((STUDIES, 0, clips), bool)

    def told(self, judges: int, sure: float) -> float:
        """The share of studies with so many judges that tell, and tell the right one."""
        while self._answers.shape[1] < judges:
            own = self._differ * self._rng.normal(size=(STUDIES, BLOCK, 1))
            likely = special.expit((own + self._clips).astype(np.float32))
            new = self._rng.random(likely.shape, np.float32) < likely
            self._answers = np.concatenate([self._answers, new], axis=1)
        answers = self._answers[:, :judges]
        clips, count = answers.shape[2], judges * answers.shape[2]
        by_judge, by_clip = answers.sum(axis=2), answers.sum(axis=1)
        share = by_clip.sum(axis=1) / count
        single = share * (1 - share) / count
        squares = (
            np.square(by_judge / count - share[:, None] / judges).sum(axis=1),
            np.square(by_clip / count - share[:, None] / clips).sum(axis=1),
        )
        found = of_spread(
            share, np.full(STUDIES, count), spread_of_squares(*squares, single, judges, clips, count, single)
        )
        return float(np.mean((found.p <= sure) & (share > 0.5)))


def _level(share: float, differ: float) -> float:
    """The logit around which others lie so that a share comes out, on average over normal ones."""
    places, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    return optimize.brentq(lambda middle: special.expit(middle + differ * places) @ weights - share, -40, 40)


@dataclass(frozen=True)
class More:
    """What a comparison that cannot be told yet takes.

    Attributes:
        judges: more of them, if each answers as much as those did; None where it is not known.
        answers: that they give to this comparison; None likewise.
        why: one line, in words.
    """

    judges: int | None
    answers: int | None
    why: str


def more_for_preference(found: Preference, comparisons: int = 1) -> More:
    """How much more a pair takes, if the share and the differences of judges and clips are as they were seen."""
    if not np.isfinite(found.p):
        return _unknown(found.judges, found.clips)
    if abs(found.share - 0.5) < LEAST_LEANING:
        return More(None, None, "both were chosen nearly as often; if that is so, no number of answers will tell")
    steep = max(found.share * (1 - found.share), 0.05)  # of the logistic curve: from shares to logits
    differ = [min(part / steep, MOST_DIFFER) for part in (found.judges_differ, found.clips_differ)]
    each = found.answers / found.judges
    needed = judges_needed(max(round(each), 2), found.share, *differ, comparisons=comparisons)
    return _more(needed, found.judges, each, found.clips)


def more_for_difference(found: OpinionDifference, comparisons: int = 1) -> More:
    """How much more a difference of points takes; reckoned rather than simulated, from the variances that were seen."""
    if not np.isfinite(found.p):
        return _unknown(found.judges, found.clips)
    of_judges, rest = found.more_judges
    judges = np.arange(2, MOST_JUDGES + 1)
    error = np.sqrt((of_judges * found.judges) / judges + max(rest, 0))
    reach = stats.t.isf(SURE / comparisons / 2, min(found.clips, MOST_JUDGES) - 1) + stats.norm.isf(1 - TOLD_IN)
    enough = judges[np.abs(found.difference) >= reach * error]
    needed = int(enough[0]) if len(enough) else MORE_THAN_MOST
    return _more(needed, found.judges, found.ratings / found.judges, found.clips)


def _unknown(judges: int, clips: int) -> More:
    if judges < 1:
        return More(None, None, "nobody has answered it")
    one = "one judge" if judges < 2 else "one clip"
    return More(None, None, f"it is of {one} alone: how much others differ is not known")


def _more(needed: int, judges: int, each: float, clips: int) -> More:
    if needed >= MORE_THAN_MOST:
        why = f"not even {MOST_JUDGES} judges would tell it with these {clips} clips, if it is as it looks"
        return More(None, None, f"{why}; more clips would help more than more judges")
    more = max(needed - judges, 1)
    answers = max(round(more * each), 1)
    why = f"about {answers} more answers (by {more} more judges) would tell it in 4 of 5 such studies"
    return More(more, answers, f"{why}, if it is as it looks")


def said_of(needed: int) -> str:
    """A number of judges for a person."""
    return f"more than {MOST_JUDGES} judges" if needed >= MORE_THAN_MOST else f"{needed} judges"
