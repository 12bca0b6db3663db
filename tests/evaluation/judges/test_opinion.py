"""Points: their means, their differences, and how sure they are."""

import numpy as np
import pytest
from scipy import stats

from lipgan_colab.evaluation.judges.answers import Rating
from lipgan_colab.evaluation.judges.opinion import BETTER, opinion_differences, opinions
from lipgan_colab.evaluation.judges.preference import CANNOT_TELL


def ratings_of(points: dict[str, np.ndarray], question="sync", anchor=False) -> list[Rating]:
    """Args: points by system, (judges, clips)."""
    return [
        Rating(int(j), f"c{c}", question, system, int(some[j, c]), anchor)
        for system, some in points.items()
        for j, c in np.ndindex(some.shape)
    ]


def rated(seed: int, judges=8, clips=12, better=0.0, differ=0.5) -> dict[str, np.ndarray]:
    """Points of a and b: judges and clips differ, by how much they like either as well."""
    rng = np.random.default_rng(seed)
    level = 3 + 0.5 * rng.normal(size=(judges, 1)) + 0.5 * rng.normal(size=(1, clips))
    found = {}
    for system, more in (("a", better), ("b", 0.0)):
        own = differ * (rng.normal(size=(judges, 1)) + rng.normal(size=(1, clips))) / 2
        found[system] = np.clip(np.rint(level + own + more + 0.7 * rng.normal(size=(judges, clips))), 1, 5)
    return found


def test_means_and_their_order():
    points = rated(0, better=1.0)
    a, b, anchor = opinions(
        ratings_of(points) + ratings_of({"truth": np.full((8, 2), 5)}, anchor=True), ["a", "b"], ["sync"]
    )
    assert a.mean == pytest.approx(points["a"].mean()) and a.low < a.mean < a.high
    assert (a.ratings, a.judges, a.clips, b.system) == (96, 8, 12, "b")
    assert anchor.anchor and (anchor.mean, anchor.high) == (5, 5) and anchor.low > 4
    (found,) = opinion_differences(ratings_of(points), ["a", "b"], ["sync"])
    assert found.difference == pytest.approx(a.mean - b.mean) and found.ratings == 192
    assert found.verdict == BETTER and found.favourite == "a"
    alike = ratings_of(rated(0, 20, 30, differ=0.0))  # judges and clips differ, and by both systems alike
    (found,) = opinion_differences(alike, ["a", "b"], ["sync"])
    assert all(found.high - found.low < one.high - one.low for one in opinions(alike, ["a", "b"], ["sync"]))


def test_a_known_difference_is_within_the_interval_and_none_is_not_told():
    """Of 150 studies each."""
    true = np.mean([np.subtract(*rated(n, 40, 40, better=0.6).values()).mean() for n in range(900, 950)])
    some = [opinion_differences(ratings_of(rated(n, 8, 10, 0.6)), ["a", "b"], ["sync"])[0] for n in range(150)]
    assert sum(one.low <= true <= one.high for one in some) >= stats.binom.ppf(0.001, 150, 0.94)
    none = [opinion_differences(ratings_of(rated(n, 8, 10)), ["a", "b"], ["sync"])[0] for n in range(150)]
    assert sum(one.told for one in none) <= stats.binom.isf(0.001, 150, 0.05)


def test_of_one_judge_one_clip_or_no_rating_nothing_is_told():
    for shape in ((1, 9), (9, 1), (1, 1)):
        given = ratings_of({"a": np.full(shape, 5), "b": np.full(shape, 1)})
        assert np.isnan([one.low for one in opinions(given, ["a", "b"], ["sync"])]).all()
        (found,) = opinion_differences(given, ["a", "b"], ["sync"])
        assert found.difference == 4 and np.isnan(found.p) and found.verdict == CANNOT_TELL
    (nothing,) = opinion_differences(ratings_of({"a": np.full((3, 3), 4)}), ["a", "b"], ["sync"])
    assert np.isnan(nothing.difference) and not nothing.told
    assert np.isnan(opinions([], ["a"], ["sync"])[0].mean)


def test_where_all_points_are_the_same_it_depends_on_how_many_they_are():
    few, many = (
        opinion_differences(ratings_of({"a": np.full(shape, 4), "b": np.full(shape, 3)}), ["a", "b"], ["sync"])[0]
        for shape in ((2, 2), (8, 8))
    )
    assert many.told and not few.told and few.low < 0 < few.high
    (none,) = opinion_differences(ratings_of({"a": np.full((8, 8), 3), "b": np.full((8, 8), 3)}), ["a", "b"], ["sync"])
    assert none.difference == 0 and not none.told and none.favourite == ""


def test_who_gives_fewer_points_whatever_is_shown_moves_no_difference():
    """Judges of whom half are strict, and see more films of one system."""
    given = []
    for judge in range(6):
        strict = judge % 2
        for clip in range(6):
            system = "a" if clip < (4 if strict else 2) else "b"
            points = (5 if system == "a" else 3) - strict
            given.append(Rating(judge, f"clip {clip}", "sync", system, points, False))
    (found,) = opinion_differences(given, ["a", "b"], ["sync"])
    assert found.difference == pytest.approx(2) and found.low > 1 and found.told
    alone = [one for one in given if (one.system == "a") == (one.judge % 2 == 0)]  # nobody rates both
    (found,) = opinion_differences(alone, ["a", "b"], ["sync"])
    assert found.difference == pytest.approx(3)  # strictness or system: nobody knows, so it is left
