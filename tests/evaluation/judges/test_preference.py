"""Who is preferred, how sure that is, and that it is not told where nobody is."""

import choix
import numpy as np
import pytest
from scipy import optimize, special, stats

from lipgan_colab.evaluation.judges.answers import Choice
from lipgan_colab.evaluation.judges.crossed import share_of
from lipgan_colab.evaluation.judges.preference import (
    CANNOT_TELL,
    PREFERRED,
    bradley_terry,
    linked,
    preferences,
    strengths,
)

STUDIES = 1000
PLACES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


def drawn(
    judges: int, clips: int, share: float, judges_differ: float, clips_differ: float, every: int = 1, seed: int = 0
):
    """Wins and counts (STUDIES, judges, clips); each judge answers every n-th clip."""
    rng, both = np.random.default_rng(seed), np.hypot(judges_differ, clips_differ)
    level = optimize.brentq(lambda m: special.expit(m + both * PLACES) @ WEIGHTS / WEIGHTS.sum() - share, -9, 9)
    level = (
        level
        + judges_differ * rng.normal(size=(STUDIES, judges, 1))
        + clips_differ * rng.normal(size=(STUDIES, 1, clips))
    )
    asked = (np.arange(judges)[:, None] + np.arange(clips)) % every == 0
    return (rng.random(level.shape) < special.expit(level)) * asked, np.broadcast_to(asked * 1.0, level.shape)


@pytest.mark.parametrize("differ", [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize(("judges", "clips", "every"), [(5, 24, 1), (10, 12, 1), (20, 24, 3)])
def test_a_known_preference_is_within_the_interval(judges, clips, every, differ):
    """95 times of 100; fewer only by what chance does to so many studies."""
    least = stats.binom.ppf(0.001, STUDIES, 0.94) / STUDIES
    for share in (0.5, 0.6, 0.75):
        found = share_of(*drawn(judges, clips, share, *differ, every=every, seed=judges))
        assert np.mean((found.low <= share) & (share <= found.high)) >= least
        assert np.array_equal(
            found.p <= 0.05, (found.low > 0.5) | (found.high < 0.5)
        )  # it tells what the interval does


def test_without_a_preference_one_is_told_five_times_of_a_hundred():
    for differ in (0.0, 0.5, 1.0):
        found = share_of(*drawn(12, 16, 0.5, differ, differ, seed=3))
        assert np.mean(found.p <= 0.05) <= stats.binom.isf(0.001, STUDIES, 0.05) / STUDIES
    assert np.mean(found.p <= 0.05) > 0.02  # nor is it so careful that nothing is ever told


def test_a_preference_is_told_where_there_are_enough_judges():
    assert np.mean(share_of(*drawn(20, 12, 0.7, 0.5, 0.5)).p <= 0.05) > 0.9


def choices_of(wins: np.ndarray, pair=("a", "b"), question="sync") -> list[Choice]:
    """Args: wins (judges, clips), nan where there is no answer."""
    return [
        Choice(j, f"c{c}", question, *(pair if wins[j, c] else pair[::-1]), "left")
        for j, c in np.argwhere(np.isfinite(wins))
    ]


def test_two_systems():
    wins = np.random.default_rng(0).random((10, 12)) < 0.8
    (found,) = preferences(choices_of(wins), ["a", "b"], ["sync"])
    assert (found.wins, found.answers, found.share) == (wins.sum(), 120, wins.mean())
    exact = stats.binomtest(int(wins.sum()), 120).proportion_ci(method="exact")
    assert (found.exact_low, found.exact_high) == pytest.approx(tuple(exact))
    assert found.low < 0.8 < found.high and found.verdict == PREFERRED and found.favourite == "a"
    (turned,) = preferences(choices_of(wins), ["b", "a"], ["sync"])
    assert (turned.share, turned.low, turned.high) == pytest.approx((1 - found.share, 1 - found.high, 1 - found.low))
    assert turned.p == pytest.approx(found.p) and turned.favourite == "a"


def test_the_more_is_compared_the_less_is_told():
    made = (choices_of(np.random.default_rng(n).random((6, 8)) < 0.7) for n in range(50))
    wins = next(some for some in made if 0.005 < preferences(some, ["a", "b"], ["sync"])[0].p < 0.04)
    (alone,) = preferences(wins, ["a", "b"], ["sync"])
    assert alone.told
    half = np.indices((6, 8)).sum(axis=0) % 2
    many = wins + [c for n in range(9) for c in choices_of(half, question=f"q{n}")]
    among = preferences(many, ["a", "b"], ["sync", *(f"q{n}" for n in range(9))])
    assert among[0].p == alone.p and not any(one.told for one in among)


def test_variances_are_those_of_judges_and_of_clips_where_everybody_answers_everything():
    wins = np.random.default_rng(5).random((7, 9)) < 0.6
    found = share_of(wins * 1.0, np.ones((7, 9)))
    single = wins.mean() * (1 - wins.mean()) / wins.size
    expected = [wins.mean(axis=axis).var(ddof=1) / wins.shape[1 - axis] for axis in (1, 0)]
    assert found.spread.variances[:2] * single == pytest.approx(np.array(expected))
    assert list(found.spread.freedom[:2]) == [6, 8]


@pytest.mark.parametrize("shape", [(1, 24), (24, 1), (1, 1)])
def test_of_one_judge_or_one_clip_nothing_is_told(shape):
    (found,) = preferences(choices_of(np.ones(shape)), ["a", "b"], ["sync"])
    assert found.share == 1 and np.isnan([found.low, found.high, found.p]).all() and found.verdict == CANNOT_TELL


def test_without_answers_nothing_is_told():
    (found,) = preferences([], ["a", "b"], ["sync"])
    assert found.answers == 0 and np.isnan(found.share) and not found.told
    assert preferences([], ["a"], ["sync"]) == []


def test_where_all_agree_it_depends_on_how_many_they_are():
    two, ten = (preferences(choices_of(np.ones((n, 12))), ["a", "b"], ["sync"])[0] for n in (2, 10))
    assert (two.high, ten.high) == (1, 1) and not two.told and ten.told and two.low < 0.5 < ten.low


def four_systems(
    seed: int, judges=8, clips=12, strong=(0.0, 0.3, 0.8, 1.5), differ=0.0
) -> tuple[list[Choice], np.ndarray]:
    """Answers, and the same as (preferred, other) numbers."""
    rng = np.random.default_rng(seed)
    by_judge, by_clip = (differ * rng.normal(size=(n, 4)) / np.sqrt(2) for n in (judges, clips))
    chosen, pairs = [], []
    for j, c in np.ndindex(judges, clips):
        a, b = rng.permutation(4)[:2]
        liked = np.array(strong) + by_judge[j] + by_clip[c]
        w, o = (a, b) if rng.random() < special.expit(liked[a] - liked[b]) else (b, a)
        pairs.append((w, o))
        chosen.append(Choice(j, f"c{c}", "sync", "abcd"[w], "abcd"[o], "left"))
    return chosen, np.array(pairs)


@pytest.mark.parametrize("ridge", [1e-3, 0.1])
def test_bradley_terry_is_that_of_choix(ridge):
    pairs = four_systems(0)[1]
    expected = choix.opt_pairwise(4, [tuple(map(int, pair)) for pair in pairs], alpha=ridge, tol=1e-12)
    assert bradley_terry(4, pairs, ridge) == pytest.approx(expected - expected.mean(), abs=1e-6)


def test_who_always_wins_stays_finite():
    pairs = np.array([(0, 1)] * 30 + [(1, 2)] * 30)
    expected = choix.opt_pairwise(3, [tuple(map(int, pair)) for pair in pairs], alpha=1e-3, tol=1e-12)
    assert bradley_terry(3, pairs, 1e-3) == pytest.approx(expected, abs=1e-5)


def test_newtons_steps_that_are_too_long_are_shortened():
    """As they are they lead to strengths of 250 000 here."""
    wins = {(0, 1): 500, (4, 1): 30, (2, 0): 30, (4, 3): 30, (1, 0): 1, (3, 2): 1}
    pairs = [pair for pair, count in wins.items() for _ in range(count)]
    expected = choix.opt_pairwise(5, pairs, alpha=1e-3, tol=1e-12)
    assert bradley_terry(5, np.array(pairs), 1e-3) == pytest.approx(expected, abs=1e-6)


def test_strengths_are_hardly_pulled_together_and_never_certain():
    won = np.tile([1, 1, 1, 0], (8, 1))
    found = strengths(choices_of(won) + choices_of(np.ones((8, 4)), ("b", "c")), list("abc"), ["sync"])
    assert found[0].strength - found[1].strength == pytest.approx(np.log(3), abs=0.04)
    assert all(one.high - one.low > 0.01 for one in found)  # c lost every time
    always = strengths(choices_of(np.ones((8, 4))) + choices_of(np.ones((8, 4)), ("b", "c")), list("abc"), ["sync"])[0]
    assert 0.7 < always.low < 0.9 < always.share < 1


def test_known_strengths_are_within_their_intervals():
    """Of 100 studies with four systems each."""
    true = special.expit(np.array((0.0, 0.3, 0.8, 1.5)) - 0.65)
    held = []
    for seed in range(100):
        found = strengths(four_systems(seed)[0], list("abcd"), ["sync"])
        held += [one.low <= share <= one.high for one, share in zip(found, true, strict=True)]
    assert np.mean(held) > 0.92


def test_what_no_answers_link_is_not_compared():
    chosen = choices_of(np.eye(4), ("a", "b")) + choices_of(np.eye(4), ("c", "d"))
    assert linked(chosen, list("abcde")) == [("a", "b"), ("c", "d"), ("e",)]
    found = {one.system: one for one in strengths(chosen, list("abcde"), ["sync"])}
    assert found["a"].among == ("a", "b") and found["a"].strength == pytest.approx(-found["b"].strength)
    assert np.isnan(found["e"].share) and found["e"].answers == 0
    pairs = preferences(chosen, list("abcde"), ["sync"])
    assert len(pairs) == 10 and sum(one.answers > 0 for one in pairs) == 2
    assert all(np.isnan(one.share) for one in strengths([], ["a", "b", "c"], ["sync"]))
