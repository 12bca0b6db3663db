"""Arms against their base: what is found, what cannot be told, and how sure that is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lipgan_colab.evaluation.arm_results import Score
from lipgan_colab.evaluation.comparison import CANNOT_TELL, GOOD, Difference, compare, holm, leaning, mean, verdict
from lipgan_colab.evaluation.measures import MEASURES

CLIPS = [5, 3, 3, 2, 1, 1, 1]  # of seven speakers
MIXES = {  # standard deviations that seeds, speakers, clips and what is left give a difference
    "seeds": (1.0, 0.0, 0.2, 0.3),
    "speakers": (0.1, 1.0, 0.3, 0.3),
    "clips": (0.1, 0.1, 1.0, 0.5),
    "all": (0.4, 0.5, 0.4, 0.5),
}


def study(number: int, arms=1, seeds=3, measures=1, mix="all", effect=0.0) -> list[Score]:
    """Made scores. Clips and people differ ten times as much as an arm makes of them; `effect` is the first arm's."""
    rng = np.random.default_rng(number)
    by_seed, by_speaker, by_clip, rest = MIXES[mix]
    speakers = np.repeat(np.arange(len(CLIPS)), CLIPS)
    level = 10 * rng.normal(size=(1, len(speakers), measures)) + 10 * rng.normal(size=(len(CLIPS), measures))[speakers]
    scores = []
    for arm in ["base", *(f"arm{n}" for n in range(arms))]:
        values = level + by_seed * rng.normal(size=(seeds, 1, measures)) / np.sqrt(2)
        values = values + by_speaker * rng.normal(size=(len(CLIPS), measures))[speakers] / np.sqrt(2)
        values = values + by_clip * rng.normal(size=(1, len(speakers), measures)) / np.sqrt(2)
        values = values + rest * rng.normal(size=values.shape) / np.sqrt(2) + effect * (arm == "arm0")
        for seed, clip in np.ndindex(seeds, len(speakers)):
            named = {f"m{m}": float(v) for m, v in enumerate(values[seed, clip])}
            scores.append(Score(arm, seed, f"clip{clip}", f"s{speakers[clip]}", named))
    return scores


def test_an_effect_is_found_and_none_is_called_cannot_tell():
    """Twenty studies with one arm that makes a difference and two that make none."""
    told = [[d.told for d in compare(study(n, arms=3, measures=2, effect=4))] for n in range(20)]
    found, false = np.array(told)[:, :2], np.array(told)[:, 2:]
    assert found.mean() >= 0.9  # unpaired, these people hide it: they differ by 10
    assert false.any(axis=1).sum() <= 2  # studies in which anything is told of arms that do nothing
    (d, *_) = compare(study(0, arms=3, measures=2, effect=4))
    assert d.low < 4 < d.high


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_hold_what_they_promise(mix, seeds):
    """95 % of them, within what chance does to 500; those of the usual bootstrap do in 20 to 80 %."""
    found = compare(study(7, seeds=seeds, measures=500, mix=mix))
    assert np.mean([d.low <= 0 <= d.high for d in found]) >= 0.92
    half = np.median([d.high - d.low for d in found]) / 2
    spread = np.std([d.difference for d in found])
    assert half <= (13 if seeds == 2 else 5) * spread  # nor are they as wide as can be


@pytest.mark.parametrize("seeds", [2, 3])
def test_hardly_ever_is_anything_false_told_in_a_table(seeds):
    """In 40 studies without any effect; Satterthwaite's degrees of freedom alone make 5 to 16 that tell some."""
    told = [any(d.told for d in compare(study(n, seeds=seeds, measures=7, mix="seeds"))) for n in range(40)]
    assert sum(told) <= 4


def test_arms_together_tell_how_much_seeds_do():
    alone, among = (compare(study(3, arms=arms, seeds=3, measures=100, mix="seeds")) for arms in (1, 10))
    width = [np.mean([d.high - d.low for d in found]) for found in (alone, among)]
    assert width[1] < 0.9 * width[0]  # by their mean .73, which two unsteady arms spoil
    assert np.mean([d.low <= 0 <= d.high for d in among]) >= 0.94


def test_two_unsteady_arms_do_not_make_the_others_unsteady():
    """Of ten arms, by 40 measures; their intervals were 2.7 times as wide with two that are ten times as unsteady."""
    scores = study(8, arms=10, seeds=3, measures=40, mix="seeds")
    chance = np.random.default_rng(0).normal(size=(10, 3, 40)) * 10
    loud = [
        replace(s, values={m: v + chance[int(s.arm[3:]), s.seed, k] for k, (m, v) in enumerate(s.values.items())})
        if s.arm in ("arm8", "arm9")
        else s
        for s in scores
    ]
    steady, beside = ([d for d in compare(some) if d.arm not in ("arm8", "arm9")] for some in (scores, loud))
    assert np.mean([d.high - d.low for d in beside]) < 1.5 * np.mean([d.high - d.low for d in steady])
    assert np.mean([d.low <= 0 <= d.high for d in beside]) >= 0.94


def test_without_seeds_or_speakers_it_is_students_paired_t():
    one_seed = compare(study(1, seeds=1))[0]
    means = [[mean(_of(study(1, seeds=1), speaker=f"s{n}"), arm, "m0") for n in range(7)] for arm in ("arm0", "base")]
    low, high = stats.ttest_rel(*means).confidence_interval()
    assert (one_seed.low, one_seed.high) == pytest.approx((low, high))
    assert one_seed.difference == pytest.approx(np.mean(means[0]) - np.mean(means[1]))  # every speaker alike
    one_clip = _of(study(1, seeds=5), clip="clip0")
    values = [[s.values["m0"] for s in one_clip if s.arm == arm] for arm in ("arm0", "base")]
    found = compare(one_clip)[0]
    assert (found.low, found.high) == pytest.approx(tuple(stats.ttest_rel(*values).confidence_interval()))


def _of(scores: list[Score], **about) -> list[Score]:
    return [s for s in scores if all(getattr(s, name) == value for name, value in about.items())]


@pytest.mark.parametrize("about", [{"seed": 0}, {"clip": "clip0"}])
def test_of_one_seed_or_one_clip_nothing_is_told(about):
    (found,) = compare(_of(study(2, effect=50), **about))
    assert not found.told and np.isnan(found.p) and verdict(found) == CANNOT_TELL
    assert found.low > 0  # which is said, for what it is worth


def test_of_one_clip_by_one_seed_there_is_no_interval():
    (found,) = compare(_of(study(2), clip="clip0", seed=0))
    assert np.isnan([found.low, found.high]).all() and np.isfinite(found.difference) and not found.told


def test_clips_are_the_units_where_there_is_one_speaker_or_none_is_known():
    for speaker in ("s1", ""):
        found = compare([replace(s, speaker=speaker) for s in study(4, effect=9)])[0]
        assert (found.seeds, found.units, found.clips) == (3, 16, 16) and found.told
    assert compare(study(4))[0].units == 7


def test_only_pairs_that_both_have_are_compared():
    """A clip that the base lacks, one that cannot be told, and a seed that only the arm has, all of them far off."""
    scores = study(5)
    kept = [s for s in scores if s.clip not in ("clip1", "clip6")]
    far = [replace(s, values={"m0": 1e6}) for s in scores if s.arm == "arm0" and s.clip in ("clip1", "clip6")]
    blind = [replace(s, values={"m0": np.nan}) for s in _of(scores, arm="base", clip="clip6")]
    more = [replace(s, seed=9, values={"m0": -1e6}) for s in _of(scores, arm="arm0", seed=0)]
    found, expected = (compare(some)[0] for some in (kept + far + blind + more, kept))
    assert (found.low, found.high, found.p) == pytest.approx((expected.low, expected.high, expected.p))
    assert (found.seeds, found.units, found.clips) == (3, 7, 14)
    nothing = compare([replace(s, values={"m0": np.nan}) if s.arm == "arm0" else s for s in scores])[0]
    assert nothing.clips == 0 and np.isnan(nothing.difference) and not nothing.told


def test_the_numbers_do_not_depend_on_the_order_of_the_scores():
    scores = study(6, arms=3, measures=4)
    mixed = [scores[k] for k in np.random.default_rng(0).permutation(len(scores))]
    assert sorted(map(repr, compare(mixed, measures=["m0", "m1", "m2", "m3"]))) == sorted(map(repr, compare(scores)))


def test_the_more_is_compared_the_less_is_told():
    assert list(holm(np.array([0.03, np.nan, 0.2, 0.01, 0.02]))) == [False, False, False, True, False]
    assert list(holm(np.array([0.02, 0.01, 0.03]))) == [True, True, True]  # 0.05 / 3, / 2, / 1
    assert list(holm(np.array([0.04, 0.04]))) == [False, False]
    alone = next(d for d in (compare(study(n, effect=1.7))[0] for n in range(50)) if 0.005 < d.p < 0.04)
    assert alone.told and not holm(np.array([alone.p, *[0.5] * 9]))[0]


def test_what_does_not_differ_at_all_is_not_told():
    scores = _of(study(8), arm="base")
    (found,) = compare(scores + [replace(s, arm="same") for s in scores])
    assert (found.difference, found.low, found.high, found.told) == (0, 0, 0, False)


def test_every_measure_has_a_good_direction():
    assert GOOD.keys() == MEASURES.keys()


@pytest.mark.parametrize(
    ("measure", "base_mean", "low", "high", "word"),
    [
        ("psnr", 20, 0.5, 1, "better"),
        ("psnr", 20, -1, -0.5, "worse"),
        ("lmd", 0.1, -0.02, -0.01, "better"),
        ("lmd", 0.1, 0.01, 0.02, "worse"),
        ("range", 0.6, 0.2, 0.4, "better"),
        ("range", 0.6, 0.4, 0.7, "better"),  # too wide now, but by less
        ("range", 0.6, 0.6, 0.9, "differs"),
        ("range", 0.6, 0.9, 1.2, "worse"),
        ("range", 0.6, -0.2, -0.1, "worse"),
        ("sharpness", 1.4, -0.5, -0.3, "better"),
        ("sharpness", 1.4, 0.1, 0.3, "worse"),
        ("sharpness", 1.4, -1.3, -1.1, "worse"),
        ("a measure of tomorrow", 1, 0.1, 0.2, "differs"),
    ],
)
def test_words(measure, base_mean, low, high, word):
    difference = (low + high) / 2
    found = Difference("arm", measure, base_mean + difference, base_mean, difference, low, high, True, 1e-6, 3, 7, 16)
    assert verdict(found) == word and not leaning(found)
    untold = replace(found, told=False)
    assert verdict(untold) == CANNOT_TELL and leaning(untold) == word
    assert not leaning(replace(untold, p=np.nan)) and not leaning(replace(untold, low=-0.1, high=0.3))
