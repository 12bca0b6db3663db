"""Every judge's form is balanced, and all forms together are."""

from collections import Counter

import numpy as np
import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.judges.design import check_size, clips_for_checks, forms
from lipgan_colab.evaluation.judges.key import LATE, PAIRS, SCALE, STILL, TRUTH

CLIPS, CHECKED = [f"clip {k}" for k in range(12)], [f"check {k}" for k in range(4)]
BOTH = ("sync", "natural")


def made(systems, method=PAIRS, questions=BOTH, clips=CLIPS, checked=CHECKED, checks=4, seed=0):
    return forms(clips, checked, checks, systems, method, questions, np.random.default_rng(seed))


@pytest.mark.parametrize("systems", [("a", "b"), ("a", "b", TRUTH), ("a", "b", "c", TRUTH)])
def test_each_clip_once_and_each_pair_as_often_left_as_right(systems):
    all_forms = made(systems)
    for form in all_forms:
        assert sorted(showing.clip for showing in form) == sorted(CLIPS + CHECKED)
        pairs = Counter(frozenset(s.systems) for s in form if not s.check)
        assert len(pairs) == len(systems) * (len(systems) - 1) // 2 and len(set(pairs.values())) == 1
        sides = Counter(s.systems for s in form if not s.check)
        assert all(abs(sides[pair] - sides[pair[::-1]]) <= 12 // len(pairs) % 2 for pair in sides)
    # Over all forms each clip is shown by each pair, on both sides, equally often.
    shown = Counter((s.clip, s.systems) for form in all_forms for s in form if not s.check)
    assert len(shown) == 12 * len(systems) * (len(systems) - 1) and len(set(shown.values())) == 1
    orders = {tuple(s.clip for s in form) for form in all_forms}
    assert len(orders) == len(all_forms) >= 24


def test_checks_are_the_truth_beside_what_was_done_to_it():
    for form in made(("a", "b")):
        checks = [showing for showing in form if showing.check]
        assert Counter(s.check for s in checks) == {LATE: 2, STILL: 2}
        assert all(set(s.systems) == {TRUTH, s.check} for s in checks)
        assert sum(s.systems[0] == TRUTH for s in checks) == 2
    assert {s.check for form in made(("a", "b"), questions=("natural",)) for s in form} == {"", STILL}


def test_on_a_scale_each_clip_is_seen_once_and_by_all_systems_in_turn():
    all_forms = made(("a", "b", "c"), SCALE, checked=["x", "y", "z"], checks=2)
    for form in all_forms:
        assert sorted(s.clip for s in form) == sorted([*CLIPS, "x", "y", "z"])
        assert Counter(s.systems for s in form if not s.check) == {("a",): 4, ("b",): 4, ("c",): 4}
        assert sorted(s.check for s in form if s.check) == [LATE, STILL, TRUTH]
    shown = Counter((s.clip, s.systems) for form in all_forms for s in form if not s.check)
    assert len(shown) == 36 and len(set(shown.values())) == 1


def test_the_seed_decides():
    assert made(("a", "b"), seed=1) == made(("a", "b"), seed=1) != made(("a", "b"), seed=2)


def test_too_few_clips_are_refused():
    assert clips_for_checks(4, SCALE, ("a", "b")) == 6 and clips_for_checks(4, SCALE, ("a", TRUTH)) == 4
    check_size(5, 4, PAIRS, ("a", "b"))
    with pytest.raises(InputError, match="4 clips can be shown, and checks 4 take 4 clips of them"):
        check_size(4, 4, PAIRS, ("a", "b"))
