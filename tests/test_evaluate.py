"""The measures, on series and pictures whose answer is known."""

import numpy as np
import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.evaluate import correlation, evaluate, high_pass, psnr, ssim
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator


def test_high_pass_removes_the_slow_and_keeps_the_fast():
    frames = np.arange(100)
    fast = np.cos(2 * np.pi * frames / 5)
    passed = high_pass(frames / 10 + fast)
    assert correlation(passed[10:-10], fast[10:-10]) > 0.98
    assert np.abs(high_pass(np.full(50, 3.0))).max() < 1e-12


def test_correlation_knows_same_opposite_unseen_and_constant():
    series = np.random.default_rng(0).normal(size=50)
    assert correlation(series, 2 * series + 1) == pytest.approx(1)
    assert correlation(series, -series) == pytest.approx(-1)
    gap = series.copy()
    gap[10:20] = np.nan
    assert correlation(gap, series) == pytest.approx(1)
    assert correlation(series, np.ones(50)) == 0


def test_psnr_and_ssim_of_known_pictures():
    picture = np.random.default_rng(0).integers(0, 200, (2, 48, 96, 3), np.uint8)
    assert psnr(picture, picture) == pytest.approx(100)
    assert psnr(picture, picture + 10) == pytest.approx(20 * np.log10(255 / 10))
    assert ssim(picture, picture) == pytest.approx(1)
    assert ssim(picture, picture[:, ::-1]) < 0.2


class Copier(LipGANGenerator):
    """Answers with its reference face, whatever is said."""

    def forward(self, faces, speech):
        return faces[:, :3]


def test_a_copied_face_scores_as_the_still_one_does(drawn_videos, tmp_path):
    result = evaluate(drawn_videos, Copier(GeneratorConfig(0.25)).eval(), tmp_path)
    assert len(result.clips) == 4
    for clip in result.clips:
        assert clip.psnr == pytest.approx(clip.psnr_still)
        assert clip.ssim == pytest.approx(clip.ssim_still)
        assert clip.high_passed == pytest.approx(clip.high_passed_another)
    assert (tmp_path / "clips.csv").read_text().count("\n") == 5
    assert (tmp_path / "frames.png").stat().st_size > 1000
    assert "correlation" in str(result)


def test_a_clip_that_is_not_there_is_named(drawn_videos, tmp_path):
    with pytest.raises(InputError, match=r"there is no clip x\.mp4"):
        evaluate(drawn_videos, Copier(GeneratorConfig(0.25)), tmp_path, ids=["x.mp4"])
