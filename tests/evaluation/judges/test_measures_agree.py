"""Do measures say what people say?"""

import numpy as np
import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.judges.answers import Choice, Rating
from lipgan_colab.evaluation.judges.key import TRUTH
from lipgan_colab.evaluation.judges.measures_agree import (
    best,
    goodness,
    judges_agree,
    measures_agree,
    measures_correlate,
    one_judge_correlates,
    read_measures,
)

CLIPS = [f"c{number}" for number in range(8)]


def of(found, measure, with_truth=False):
    (one,) = [o for o in found if o.measure == measure and o.with_truth == with_truth]
    return one


def test_directions():
    assert goodness("psnr", 30) > goodness("psnr", 20) and goodness("lmd", 0.1) > goodness("lmd", 0.2)
    assert goodness("range", 0.9) > goodness("range", 1.2) > goodness("range", 0.5)


def test_shares_of_answers():
    """a is preferred on the first six clips, b on the last two; what measures say of it is known."""
    chosen = [
        Choice(judge, clip, "sync", *(("a", "b") if n < 6 else ("b", "a")), "left")
        for judge in range(2)
        for n, clip in enumerate(CLIPS)
    ]
    measured = {(clip, "a"): {"lmd": 0.1, "psnr": 30.0, "range": 0.9, "ssim": 0.5} for clip in CLIPS}
    measured |= {(clip, "b"): {"lmd": 0.2, "psnr": 31.0, "range": 0.8, "ssim": 0.5} for clip in CLIPS}
    measured["c0", "a"] = {"lmd": float("nan"), "psnr": 30.0, "range": 1.4, "ssim": 0.5}
    found = measures_agree(chosen, measured, ["sync", "natural"])
    found = [one for one in found if one.question == "sync"]
    lmd, psnr, width, ssim = (of(found, name) for name in ("lmd", "psnr", "range", "ssim"))
    assert (lmd.agrees, lmd.answers, lmd.left_out, lmd.clips) == (5 / 7, 14, 2, 7)
    assert (psnr.agrees, width.agrees) == (2 / 8, 5 / 8)
    assert lmd.low < lmd.agrees < lmd.high
    assert np.isnan(ssim.agrees) and ssim.left_out == 16
    assert [one.measure for one in best(found, "sync")] == ["lmd", "range", "psnr"]
    assert judges_agree(chosen, "sync", False) == 1 and np.isnan(judges_agree(chosen, "natural", False))


def test_the_truth_flatters_and_does_not_decide():
    pairs = [("a", "b"), (TRUTH, "a"), (TRUTH, "b")]
    chosen = [Choice(0, clip, "sync", *pair, "left") for clip in CLIPS for pair in pairs]
    level = {"a": (10.0, 0.3), "b": (20.0, 0.2), TRUTH: (float("inf"), 0.0)}
    measured = {(c, s): {"psnr": psnr, "lmd": lmd} for c in CLIPS for s, (psnr, lmd) in level.items()}
    found = measures_agree(chosen, measured, ["sync"])
    assert of(found, "psnr", with_truth=True).agrees == pytest.approx(2 / 3)
    assert of(found, "psnr").agrees == 0 == best(found, "sync")[0].agrees
    assert (of(found, "psnr").answers, of(found, "psnr").left_out) == (8, 0)
    only = [one for one in chosen if TRUTH in (one.preferred, one.other)]
    assert best(measures_agree(only, measured, ["sync"]), "sync") == []


def test_how_often_another_judge_agrees():
    chosen = [
        Choice(judge, clip, "sync", *(("a", "b") if judge < 3 else ("b", "a")), "left")
        for judge in range(4)
        for clip in CLIPS
    ]
    assert judges_agree(chosen, "sync", False) == 0.5  # three of six pairs of judges


def test_rank_correlation_with_points():
    points = dict(zip(CLIPS, (1, 1, 2, 3, 3, 4, 5, 5), strict=True))
    given = [Rating(judge, clip, "sync", "a", p, False) for judge in range(3) for clip, p in points.items()]
    measured = {
        (clip, "a"): {"lmd": -p, "psnr": float(n % 2), "range": 1.0} for n, (clip, p) in enumerate(points.items())
    }
    found = measures_correlate(given, measured, ["sync"])
    assert of(found, "lmd").agrees == pytest.approx(1) and of(found, "lmd").low == pytest.approx(1)
    weak = of(found, "psnr")
    assert weak.low < weak.agrees < weak.high and weak.answers == 8
    assert np.isnan(of(found, "range").agrees)
    assert one_judge_correlates(given, "sync", False) == pytest.approx(1)
    assert np.isnan(one_judge_correlates(given[:8], "sync", False))


def test_a_file_of_measures(tmp_path):
    path = tmp_path / "measures.csv"
    path.write_text("\ufeffclip,system,lmd,psnr,of_tomorrow\nc0,a,0.5,inf,1\nc0,b,,no,2\nc1,a\n", encoding="utf-8")
    found = read_measures(path)
    assert found["c0", "a"] == {"lmd": 0.5, "psnr": float("inf")}
    assert np.isnan([*found["c0", "b"].values(), *found["c1", "a"].values()]).all()
    for damage in (b"", b"clip,lmd\n", b"\xff\xfe\x00", b"\0" * 99):
        path.write_bytes(damage)
        with pytest.raises(InputError, match=r"no columns|cannot be read"):
            read_measures(path)
    with pytest.raises(InputError, match=r"gone\.csv: there is no such file"):
        read_measures(tmp_path / "gone.csv")
