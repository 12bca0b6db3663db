"""Faces of more than 96 pixels, from the weights of those to a film: shards, training, generating, judging."""

import math
import sys
from dataclasses import replace

import cv2
import pytest
import torch
import torch.nn.functional as F
from sessions import TINY

from lipgan_colab.corpora.corpus import folder
from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.evaluate import evaluate
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.weights import load_generator, save_generator
from lipgan_colab.shards.preprocess import PreprocessConfig, preprocess
from lipgan_colab.synthetic.clips import draw_corpus
from lipgan_colab.training.step import TrainConfig, build_networks, start_from_weights
from lipgan_colab.training.train import train

LARGE = replace(TINY, steps=2, face_size=192)


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory):
    """Weights of 96 pixels, whose batch norms know something."""
    torch.manual_seed(0)
    generator, path = LipGANGenerator(GeneratorConfig(0.02)), tmp_path_factory.mktemp("small") / "generator.safetensors"
    with torch.no_grad():
        generator(torch.rand(4, 6, 96, 96), torch.randn(4, 1, 12, 35))
    save_generator(path, generator)
    return path


@pytest.fixture(scope="module")
def large_shards(drawn_videos, tmp_path_factory):
    """Two of the drawn clips, their faces 192 pixels wide."""
    shards = tmp_path_factory.mktemp("shards192")
    preprocess(folder(drawn_videos)[:2], shards, PreprocessConfig(size=192), workers=0)
    return shards


@pytest.fixture(scope="module")
def trained(large_shards, small_weights, tmp_path_factory):
    """A run of 192 pixels that began with weights of 96, broken off and gone on with."""
    run = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[train.__module__], "SHOWN", 2)  # faces in a preview
        train(large_shards, run, replace(LARGE, steps=1), start_from=small_weights)
        train(large_shards, run, LARGE)
    return run


@pytest.mark.parametrize("size", [192, 288])
def test_a_larger_run_begins_with_the_smaller_ones_answers_enlarged(size, small_weights):
    small = load_generator(small_weights)
    networks = build_networks(TrainConfig(width=0.02, face_size=size), torch.device("cpu"))
    start_from_weights(networks, small_weights)
    faces, speech = torch.rand(2, 6, size, size), torch.randn(2, 1, 12, 35)
    with torch.no_grad():
        answers = small(F.interpolate(faces, size=(96, 96), mode="area"), speech)
        expected = F.interpolate(answers, size=(size, size), mode="bicubic").clamp(0, 1)
        for network in (networks.generator.eval(), networks.average):
            assert torch.allclose(network(faces, speech), expected, atol=1e-5)


def test_a_run_does_not_begin_with_weights_of_larger_faces(trained):
    for size in (96, 288):
        networks = build_networks(TrainConfig(width=0.02, face_size=size), torch.device("cpu"))
        with pytest.raises(InputError, match=f"face_size is 192 there and {size} here"):
            start_from_weights(networks, trained)


def test_shards_of_another_size_are_refused(drawn_shards, large_shards, tmp_path):
    with pytest.raises(InputError, match=r"holds faces of 96 pixels, .* on 192; preprocess with size 192, or train w"):
        train(drawn_shards, tmp_path / "run", LARGE)
    with pytest.raises(InputError, match=r"192 pixels, and the run trains on 96; .* or train with face_size 192"):
        train(large_shards, tmp_path / "run", TINY)
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="faces cannot be 128 pixels wide"):
        TrainConfig(face_size=128)


def test_a_larger_run_learns_in_its_outer_stages_and_goes_on(trained, small_weights):
    generator, before = load_generator(trained), load_generator(small_weights).state_dict()
    assert generator.about["step"] == 2 and generator.face_size == 192
    assert generator.outer.out[-1].weight.abs().max() > 0 and generator.outer.down[-1].weight.abs().max() > 0
    assert not torch.equal(generator.state_dict()["out.2.weight"], before["out.2.weight"])


def test_its_faces_speak_in_a_film(trained, drawn_videos, tmp_path):
    (video, *_) = sorted(drawn_videos.glob("*.mp4"))
    report = generate(video, video, trained, tmp_path / "out.mp4", GenerateOptions(detail="network"))
    assert report.frames == 25 and report.passed_through == 0 and report.path.stat().st_size > 1000


class Copier(LipGANGenerator):
    """Answers with its reference face, whatever is said."""

    def forward(self, faces, speech):
        return faces[:, :3].repeat(len(speech) // len(faces), 1, 1, 1)


@pytest.fixture(scope="module")
def short_clip(tmp_path_factory):
    """A folder with a drawn clip of half a second."""
    videos = tmp_path_factory.mktemp("short")
    draw_corpus(videos, clips=1, seconds=0.5)
    return videos


def judged(videos, weights, out, size=None) -> dict[str, dict[str, float]]:
    """What is said of the one clip there; `out` shows it at 192 pixels."""
    evaluation = evaluate(videos, weights, out, size=size)
    (clip,) = evaluation.clips
    assert "judged at 192 x 192 pixels" in str(evaluation)
    assert cv2.imread(str(out / "frames.png")).shape[1] == 12 * 192
    return clip.scores


def test_judged_at_one_size_larger_faces_are_sharper(short_clip, tmp_path):
    small, large = (Copier(GeneratorConfig(0.02, face_size=size)).eval() for size in (96, 192))
    enlarged, whole = judged(short_clip, small, tmp_path / "96", size=192), judged(short_clip, large, tmp_path / "192")
    assert enlarged["generated"]["sharpness"] < 0.7 * whole["generated"]["sharpness"]
    assert whole["generated"]["sharpness"] == pytest.approx(whole["still"]["sharpness"])
    assert all(math.isclose(enlarged["true"][name], whole["true"][name]) for name in ("sharpness", "expert_d"))
    with pytest.raises(InputError, match="take one of 96, 192, 288"):
        evaluate(short_clip, small, tmp_path / "odd", size=100)


def test_a_larger_run_is_judged(trained, short_clip, tmp_path):
    scores = judged(short_clip, trained, tmp_path)
    assert scores["true"]["psnr"] == pytest.approx(100)
    assert 0 < scores["generated"]["psnr"] < 40
