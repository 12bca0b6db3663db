"""How many judges it takes."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import special

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.judges.answers import Choice, Rating
from lipgan_colab.evaluation.judges.crossed import share_of
from lipgan_colab.evaluation.judges.more_answers import (
    MORE_THAN_MOST,
    judges_needed,
    more_for_difference,
    more_for_preference,
    said_of,
)
from lipgan_colab.evaluation.judges.opinion import opinion_differences
from lipgan_colab.evaluation.judges.preference import preferences


def test_as_many_judges_tell_it_four_times_of_five():
    """Other studies than those that were simulated, by the same verdict."""
    judges = judges_needed(20, 0.65, judges_differ=0.5, clips_differ=0.5)
    rng = np.random.default_rng(1)
    level = 0.66 + 0.5 * (rng.normal(size=(2000, judges, 1)) + rng.normal(size=(2000, 1, 20)))  # .65 on average
    likely = special.expit(level)
    assert likely.mean() == pytest.approx(0.65, abs=0.01)
    found = share_of((rng.random(likely.shape) < likely) * 1.0, np.ones(likely.shape))
    assert 0.74 <= np.mean((found.p <= 0.05) & (found.share > 0.5)) <= 0.9


def test_harder_studies_need_more_judges():
    usual = judges_needed(24)
    assert 10 < usual < 60
    assert judges_needed(24, 0.7) < usual < judges_needed(24, 0.57)
    assert judges_needed(48) < usual < judges_needed(18)
    assert judges_needed(24, judges_differ=0, clips_differ=0) < usual < judges_needed(24, judges_differ=1)
    assert usual < judges_needed(24, comparisons=6)
    assert usual == judges_needed(24, 0.4) == judges_needed(24)  # it does not matter who is preferred


def test_what_no_number_of_judges_tells_is_said():
    assert judges_needed(6, 0.55, clips_differ=1.0) == judges_needed(24, 0.5) == MORE_THAN_MOST
    assert said_of(MORE_THAN_MOST) == "more than 1000 judges" and said_of(12) == "12 judges"


def test_certain_and_impossible_numbers():
    assert judges_needed(24, 1.0) <= 4
    for wrong in ({"pairs": 1}, {"share": 1.2}, {"share": float("nan")}, {"judges_differ": -1}, {"clips_differ": 99}):
        with pytest.raises(InputError):
            judges_needed(**{"pairs": 12} | wrong)


def of_pairs(wins: np.ndarray) -> list[Choice]:
    return [Choice(j, f"c{c}", "sync", *("ab" if wins[j, c] else "ba"), "left") for j, c in np.ndindex(wins.shape)]


def test_after_a_study_as_many_more_as_are_missing():
    wins = np.random.default_rng(3).random((6, 20)) < 0.6
    (found,) = preferences(of_pairs(wins), ["a", "b"], ["sync"])
    assert not found.told and found.share > 0.53
    more = more_for_preference(found)
    assert more.judges >= 1 and more.answers == more.judges * 20 and f"about {more.answers} more answers" in more.why
    assert more_for_preference(found, comparisons=10).judges > more.judges
    alike = replace(found, judges_differ=0.0, clips_differ=0.0)
    assert more_for_preference(alike).judges == judges_needed(20, found.share, 0, 0) - 6


@pytest.mark.parametrize(
    ("wins", "word"),
    [
        (np.ones((1, 9)), "one judge alone"),
        (np.ones((9, 1)), "one clip alone"),
        (np.zeros((0, 0)), "nobody"),
        (np.indices((6, 8)).sum(axis=0) % 2, "nearly as often"),
        (np.tile([1, 1, 1, 1, 1, 0, 0, 0], (9, 1)), "more clips"),
    ],
)
def test_what_more_judges_cannot_tell_is_said(wins, word):
    (found,) = preferences(of_pairs(wins), ["a", "b"], ["sync"])
    more = more_for_preference(found)
    assert more.judges is None and word in more.why


def test_of_points_as_well():
    """By the first judge only a differs in two clips, by the others in every other one: more of them would tell it."""
    given = [
        Rating(j, f"c{c}", "sync", system, 3 + (system == "a" and (c < 2 if j == 0 else c % 2)), False)
        for system, j, c in product("ab", range(3), range(16))
    ]
    (found,) = opinion_differences(given, ["a", "b"], ["sync"])
    more = more_for_difference(found)
    assert not found.told and more.judges >= 1 and more.answers == more.judges * 32
    assert more_for_difference(found, comparisons=10).judges > more.judges
    alone = opinion_differences([r for r in given if r.judge == 0], ["a", "b"], ["sync"])[0]
    assert "one judge" in more_for_difference(alone).why
    none = opinion_differences([], ["a", "b"], ["sync"])[0]
    assert "nobody" in more_for_difference(none).why
