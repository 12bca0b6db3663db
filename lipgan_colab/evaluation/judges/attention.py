"""Who looked and listened: the checks, whose answer nobody misses who does.

A pair that is a check shows the truth beside itself 8 frames late, or beside one still frame. A judge passes with so
many right answers that somebody who tosses a coin has them at most one time in nine: of six checks, the usual number,
one may be missed. With three or fewer even all right is likelier than that (one in eight); then all must be right, and
the checks catch fewer.

On a scale a check is one bad film, and is right if it got fewer points than the judge's true films have on average.
Somebody who gives points blindly is right less often than a coin, about .4 for all five points alike, since equal
points are not fewer: the rule is then a little stricter than it says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lipgan_colab.evaluation.judges.answers import Judge
from lipgan_colab.evaluation.judges.key import ANSWERED_BY, PAIRS, SIDES, TRUTH, Key

BY_COIN = 1 / 9  # the most likely that a coin may pass


@dataclass(frozen=True)
class Attention:
    """How a judge did in the checks.

    Attributes:
        right: how many answers were.
        asked: how many the judge's form has; a question that was not answered is not right.
        needed: how many pass.
    """

    right: int
    asked: int
    needed: int

    @property
    def passed(self) -> bool:
        """Whether the judge counts; also where nothing was asked."""
        return self.right >= self.needed


def least(asked: int) -> int:
    """How many of so many checks must be right, so that a coin passes at most BY_COIN times; all where it cannot be."""
    some = np.arange(asked + 1)
    enough = some[stats.binom.sf(some - 1, asked, 0.5) <= BY_COIN]
    return int(enough[0]) if len(enough) else asked


def attention(judges: Sequence[Judge], key: Key) -> list[Attention]:
    """How each judge did. A form without checks asks nothing, and whoever had it passes."""
    return [_of(judge, key) for judge in judges]


def asked_of_anybody(key: Key) -> bool:
    """Whether a study has checks at all."""
    return any(_questions(key, trial.check) for form in key.forms for trial in form)


def _questions(key: Key, check: str) -> list[str]:
    return [question for question in ANSWERED_BY.get(check, ()) if question in key.questions]


def _of(judge: Judge, key: Key) -> Attention:
    form = key.forms[judge.form]
    given = {(one.trial, one.question): one.answer for one in judge.answers}
    checks = [(number, question) for number, trial in enumerate(form) for question in _questions(key, trial.check)]
    right = _right_pair if key.method == PAIRS else _right_points
    return Attention(sum(right(given, form, key, *check) for check in checks), len(checks), least(len(checks)))


def _right_pair(given, form, key: Key, trial: int, question: str) -> bool:
    systems = [key.films[film].system for film in form[trial].films]
    return TRUTH in systems and given.get((trial, question)) == SIDES[systems.index(TRUTH)]


def _right_points(given, form, key: Key, trial: int, question: str) -> bool:
    true = [
        points
        for (number, asked), points in given.items()
        if asked == question and key.films[form[number].films[0]].system == TRUTH
    ]
    points = given.get((trial, question))
    return points is not None and bool(true) and points < sum(true) / len(true)
