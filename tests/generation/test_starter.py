"""The weights that come with the package beat what needs no network, on clips that they have not learnt from."""

import pytest

from lipgan_colab.evaluation.evaluate import evaluate
from lipgan_colab.models.pretrained import ASSETS, PRETRAINED
from lipgan_colab.models.weights import load_generator

SIZES = {"starter": 1_000_000, "lipgan-starter": 12_000_000}


@pytest.mark.parametrize("name", SIZES)
def test_it_is_small_and_says_whose_data_it_learnt(name):
    assert (ASSETS / PRETRAINED[name].file).stat().st_size <= SIZES[name]
    assert "GRID" in load_generator(name).about["attribution"]


@pytest.mark.parametrize(
    ("name", "clip"),
    [("starter", "s1/bbwm7a.mpg"), ("starter", "s4/bgwo2a_360.mkv"), ("lipgan-starter", "s1/bbwm7a.mpg")],
)
def test_it_beats_the_still_photo_and_another_sentence(shared, tmp_path, name, clip):
    assert clip in (ASSETS / "starter_held_out.txt").read_text().split()
    judged = evaluate(shared / "data" / "grid", name, tmp_path, [clip])
    assert judged.mean("psnr") > judged.mean("psnr", variant="still")
    assert judged.mean("ssim") > judged.mean("ssim", variant="still")
    assert judged.mean("lmd") < judged.mean("lmd", variant="still")
    assert judged.mean("high_passed") > 0.4
    assert 0.4 < judged.mean("range") < 1.6
