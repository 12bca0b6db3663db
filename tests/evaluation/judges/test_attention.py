"""Who looked, and who did not."""

import json

import numpy as np
import pytest
from scipy import stats
from simulated import made_answers, made_key

from lipgan_colab.evaluation.judges.answers import Judge, read_answers
from lipgan_colab.evaluation.judges.attention import BY_COIN, asked_of_anybody, attention, least
from lipgan_colab.evaluation.judges.key import PAIRS, SCALE, TRUTH


def judged(folder, key, **about) -> list[Judge]:
    """Made judges, in the order in which they were made."""
    files = made_answers(key, **about)
    for number, content in enumerate(files):
        (folder / f"{number:03}.json").write_text(json.dumps(content), encoding="utf-8")
    judges, refused = read_answers([folder], key)
    assert not refused
    return sorted(judges, key=lambda judge: judge.path.name)


def test_a_coin_passes_one_time_in_ten_at_most():
    assert [least(k) for k in range(9)] == [0, 1, 2, 3, 4, 5, 5, 6, 7]
    for asked in range(4, 60):
        passes = stats.binom.sf(least(asked) - 1, asked, 0.5)
        assert passes <= BY_COIN < stats.binom.sf(least(asked) - 2, asked, 0.5)


@pytest.mark.parametrize("method", [PAIRS, SCALE])
def test_careless_judges_are_caught(tmp_path, method):
    """Of 60 who answer at random at most a tenth may pass (one has more by chance one time in a hundred); of 60 who
    look nearly all do."""
    key = made_key(clips=1, forms=4, method=method)
    judges = judged(tmp_path, key, judges=120, careless=range(60), strengths={"truth": 1.0}, seed=1)
    passed = np.array([one.passed for one in attention(judges, key)])
    assert passed[:60].sum() <= stats.binom.isf(0.01, 60, BY_COIN)
    assert passed[60:].mean() > 0.95


def test_only_what_a_check_can_show_is_held_against_a_judge(tmp_path):
    key = made_key(clips=1)  # two late ones, which only sync is asked of, and two still ones
    (found,) = attention(judged(tmp_path, key, judges=1), key)
    assert (found.asked, found.needed) == (6, 5)
    key = made_key(clips=1, questions=("natural",))
    (found,) = attention(judged(tmp_path, key, judges=1), key)
    assert found.asked == 2


def test_a_check_that_was_not_answered_is_not_right(tmp_path):
    key = made_key(clips=3)
    found = attention(judged(tmp_path, key, judges=2, stopped={0: 8}), key)
    assert (found[0].right, found[0].passed) == (1, False) and found[1].passed


def test_a_study_without_checks_asks_nobody(tmp_path):
    key = made_key(checks=())
    (found,) = attention(judged(tmp_path, key, judges=1, careless=[0]), key)
    assert found.passed and not found.asked and not asked_of_anybody(key) and asked_of_anybody(made_key())


def test_a_bad_film_that_gets_as_many_points_as_true_ones_is_not_right(tmp_path):
    """Points are those of the same question: for sync all are alike, for natural the bad ones get fewer."""
    key = made_key(clips=1, method=SCALE)
    (content,) = made_answers(key, 1)
    for answer in content["answers"]:
        film = key.films[key.forms[0][answer["trial"]].films[0]]
        answer["answer"] = 2 if answer["question"] == "sync" else 5 if film.system == TRUTH else 3
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    (found,) = attention(read_answers([tmp_path], key)[0], key)
    assert (found.right, found.asked) == (2, 6)  # the two still ones, of natural
