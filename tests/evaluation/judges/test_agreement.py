"""Krippendorff's alpha, by the worked examples of "Computing Krippendorff's Alpha-Reliability" (2011)."""

import numpy as np
import pytest

from lipgan_colab.evaluation.judges.agreement import (
    agreement_of_choices,
    agreement_of_ratings,
    alpha,
    interval,
    nominal,
    ordinal,
)
from lipgan_colab.evaluation.judges.answers import Choice, Rating

FOUR = ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."]
BINARY = ["0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"]
NAMES = ["a a b b d c c c e d d a", "b a b b b c c c e d d d"]


def table(rows: list[str]) -> np.ndarray:
    return np.array([[np.nan if cell == "." else float(int(cell, 16)) for cell in row.split()] for row in rows])


@pytest.mark.parametrize(
    ("rows", "distance", "published"),
    [
        (FOUR, nominal, 0.743),
        (FOUR, ordinal, 0.815),
        (FOUR, interval, 0.849),
        (BINARY, nominal, 0.095),
        (NAMES, nominal, 0.692),
    ],
)
def test_published_examples(rows, distance, published):
    assert round(alpha(table(rows), distance), 3) == published


def test_perfect_and_none():
    assert alpha(np.array([[1.0, 2, 3], [1, 2, 3]])) == 1
    assert np.isnan(alpha(np.ones((3, 5)))) and np.isnan(alpha(np.array([[1.0, np.nan], [np.nan, 2]])))
    assert np.isnan(alpha(np.full((2, 3), np.nan)))


def test_that_everybody_prefers_the_same_systems_is_no_agreement_on_clips():
    """Each answer is drawn by itself. If chance were counted over all pairs together, alpha would be about .6."""
    rng = np.random.default_rng(0)
    chosen = []
    for judge, clip in np.ndindex(10, 60):
        pair = (("a", "b"), ("c", "b"), ("c", "a"))[clip % 3]
        chosen.append(Choice(judge, f"c{clip}", "sync", *(pair if rng.random() < 0.9 else pair[::-1]), "left"))
    (found,) = agreement_of_choices(chosen, ["sync"])
    assert abs(found.alpha) < 0.08 and found.low < 0.02 and found.units == 60
    assert found.same == pytest.approx(0.82, abs=0.04)


def test_judges_who_agree_do_so_whichever_side_it_was_on():
    chosen = [
        Choice(judge, f"c{clip}", "sync", "ab"[clip % 2], "ba"[clip % 2], ("left", "right")[judge % 2])
        for judge, clip in np.ndindex(3, 8)
    ]
    (found,) = agreement_of_choices(chosen, ["sync"])
    assert (found.alpha, found.same, found.low, found.high) == (1, 1, 1, 1)


def test_points_are_ranks_and_what_cannot_be_known_is_said():
    given = [
        Rating(judge, f"c{clip}", "sync", "a", 1 + (clip + (judge == clip)) % 5, False)
        for judge, clip in np.ndindex(4, 9)
    ]
    points = np.array([[1 + (clip + (judge == clip)) % 5 for clip in range(9)] for judge in range(4)], float)
    found, none = agreement_of_ratings(given, ["sync", "natural"])
    assert found.alpha == pytest.approx(alpha(points, ordinal)) and found.low <= found.alpha <= found.high
    assert np.isnan(none.alpha) and none.why == "nothing was judged by two judges"
    (same,) = agreement_of_ratings([Rating(j, f"c{c}", "sync", "a", 3, False) for j, c in np.ndindex(2, 6)], ["sync"])
    assert np.isnan(same.alpha) and same.same == 1 and same.why
