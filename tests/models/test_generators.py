"""Generators of later blocks are called as the authors' are, hear the speech for little, and know no batch."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.generators import build_generator
from lipgan_colab.models.lipgan import SPEECH_SHAPE, GeneratorConfig
from lipgan_colab.models.warping_generator import warped
from lipgan_colab.models.weights import load_generator, save_generator

LATER = ["convnext", "warp"]


def built(blocks: str, speech: str = "mfcc", **options) -> torch.nn.Module:
    """As after some training: nothing that is zero, so that everything matters."""
    torch.manual_seed(0)
    generator = build_generator(GeneratorConfig(0.05, speech, blocks, **options)).eval()
    with torch.no_grad():
        for weight in generator.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return generator


def spoken(windows: int, faces: int = 1, size: int = 96, speech: str = "mfcc") -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(faces, 6, size, size), 8 * torch.randn(windows, 1, *SPEECH_SHAPE[speech])


def heard_for(blocks: str, speech: str) -> float:
    """The share of the arithmetic that goes into hearing, and into telling the picture what was heard."""
    generator = build_generator(GeneratorConfig(0.25, speech, blocks)).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        generator(*spoken(1, speech=speech))
    counts = {name.split(".", 1)[-1]: sum(of.values()) for name, of in counter.get_flop_counts().items()}
    hearing = [n for count, n in counts.items() if count in ("speech", "speech_code") or count.endswith(".film")]
    return sum(hearing) / counter.get_total_flops()


@pytest.mark.parametrize("speech", ["mfcc", "mel"])
@pytest.mark.parametrize("blocks", LATER)
def test_hearing_costs_less_than_a_twentieth(blocks, speech):
    assert 0.001 < heard_for(blocks, speech) < 0.05


def test_hearing_costs_the_authors_nearly_a_third():
    assert 0.28 < heard_for("residual", "mfcc") < 0.33


@pytest.mark.parametrize("size", [96, 192])
@pytest.mark.parametrize("blocks", LATER)
def test_several_speeches_of_the_same_faces_are_as_each_alone(blocks, size):
    generator = built(blocks, face_size=size).double().to(memory_format=torch.channels_last)
    faces, speech = spoken(4, faces=2, size=size)
    faces, speech = faces.double().contiguous(memory_format=torch.channels_last), speech.double()
    with torch.no_grad():
        answers = generator(faces, speech)
        alone = torch.cat([generator(faces[n % 2 : n % 2 + 1], speech[n : n + 1]) for n in range(4)])
    assert answers.shape == (4, 3, size, size) and answers.min() >= 0 and answers.max() <= 1
    assert torch.allclose(answers, alone)
    assert not torch.allclose(answers[0], answers[2], atol=1e-3)


@pytest.mark.parametrize("blocks", LATER)
def test_there_is_nothing_of_a_batch_in_them(blocks):
    generator = built(blocks)
    assert not list(generator.buffers())
    with torch.no_grad():
        answer = generator(*(inputs := spoken(2, faces=2)))
        assert torch.equal(generator.train()(*inputs), answer)
        assert torch.equal(fuse(generator)(*inputs), answer)
        with torch.autocast("cpu", torch.bfloat16):
            rough = generator(*inputs)
    assert rough.dtype == torch.float32
    assert (rough - answer).abs().mean() < 0.02


@pytest.mark.parametrize("size", [96, 288])
@pytest.mark.parametrize("blocks", LATER)
def test_what_is_saved_is_loaded(blocks, size, tmp_path):
    generator = built(blocks, "mel", face_size=size)
    save_generator(tmp_path / "generator.safetensors", generator)
    loaded = load_generator(tmp_path / "generator.safetensors")
    assert (type(loaded), loaded.config, loaded.face_size) == (type(generator), generator.config, size)
    assert loaded.speech_input == generator.speech_input
    ours, theirs = generator.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_pictures_are_taken_from_where_the_flow_says():
    pictures, flow = torch.rand(2, 3, 192, 192), torch.zeros(2, 2, 192, 192)
    assert torch.allclose(warped(pictures, flow), pictures, atol=1e-4)
    flow[0, 0], flow[1, 1] = 4, 3  # pixels of 96
    moved = warped(pictures, flow)
    assert torch.allclose(moved[0, :, :, :-8], pictures[0, :, :, 8:], atol=1e-4)
    assert torch.allclose(moved[1, :, :-6], pictures[1, :, 6:], atol=1e-4)
    assert torch.allclose(moved[1, :, -6:], pictures[1, :, -1:].expand(3, 6, 192), atol=1e-4)
    assert torch.allclose(warped(pictures, flow[:, :, 96:]), moved[:, :, 96:])


@pytest.mark.parametrize("size", [96, 192])
def test_before_it_learns_a_warping_generator_shows_the_reference_below_what_is_given(size):
    torch.manual_seed(0)
    generator = build_generator(GeneratorConfig(0.05, blocks="warp", face_size=size))
    faces, speech = spoken(1, size=size)
    with torch.no_grad():
        answer = generator(faces, speech)
    assert torch.equal(answer[:, :, : size // 2], faces[:, 3:, : size // 2])
    lower, reference = answer[:, :, size // 2 :], faces[:, :3, size // 2 :]
    assert torch.corrcoef(torch.stack([lower.flatten(), reference.flatten()]))[0, 1] > 0.99  # pixel by pixel
    assert (lower - reference).abs().mean() < 0.1
