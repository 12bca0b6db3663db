"""The networks have the published shapes, whatever their width."""

import json

import pytest
import torch

from lipgan_colab.errors import InputError
from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.generators import build_generator
from lipgan_colab.models.lipgan import BLOCKS, SPEECH_SHAPE, GeneratorConfig, LipGANDiscriminator, LipGANGenerator
from lipgan_colab.models.weights import load_generator, save_generator

LAYOUTS = {
    "lipgan_residual": GeneratorConfig(),
    "lipgan_basic": GeneratorConfig(blocks="basic"),
    "cs766_residual": GeneratorConfig(speech="mel"),
    "cs766_basic": GeneratorConfig(speech="mel", blocks="basic"),
}


def numbers(network: torch.nn.Module) -> int:
    return sum(v.numel() for name, v in network.state_dict().items() if not name.endswith("num_batches_tracked"))


@pytest.mark.parametrize("name", LAYOUTS)
def test_generator_has_every_published_weight(shared, name):
    layout = json.loads((shared / "golden" / f"{name}.layout.json").read_text())
    with torch.device("meta"):
        generator = LipGANGenerator(LAYOUTS[name])
    assert numbers(generator) == layout["params_total"]
    published = sorted(
        sorted(d["shape"]) for layer in layout["layers"] for d in layer["arrays"] if d["kind"] == "kernel"
    )
    ours = sorted(sorted(p.shape) for name, p in generator.named_parameters() if p.ndim == 4)
    assert ours == published


@pytest.mark.parametrize(("name", "speech"), [("lipgan_disc", "mfcc"), ("cs766_disc", "mel")])
def test_discriminator_has_every_published_weight(shared, name, speech):
    layout = json.loads((shared / "golden" / f"{name}.layout.json").read_text())
    with torch.device("meta"):
        assert numbers(LipGANDiscriminator(speech=speech)) == layout["params_total"]


@pytest.mark.parametrize("speech", ["mfcc", "mel"])
@pytest.mark.parametrize("blocks", BLOCKS)
def test_generator_answers_faces(speech, blocks):
    torch.manual_seed(0)
    generator = build_generator(GeneratorConfig(0.25, speech, blocks)).double()
    faces, window = torch.rand(2, 6, 96, 96).double(), torch.randn(2, 1, *SPEECH_SHAPE[speech]).double()
    with torch.no_grad():
        for module in generator.modules():  # statistics of what really flows, without which little comes through
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        generator(faces, window)
        generator.eval()
        answer = generator(faces, window)
        assert answer.shape == (2, 3, 96, 96)
        assert answer.min() >= 0
        assert answer.max() <= 1
        # Both inputs matter, and samples do not see each other.
        assert not torch.allclose(generator(faces, window.flip(0)), answer)
        assert torch.allclose(generator(faces[:1], window[:1]), answer[:1], atol=1e-5)


@pytest.mark.parametrize("speech", ["mfcc", "mel"])
def test_discriminator_answers_distances_of_unit_vectors(speech):
    torch.manual_seed(0)
    discriminator = LipGANDiscriminator(0.25, speech)
    distance = discriminator(torch.rand(3, 3, 96, 96), torch.randn(3, 1, *SPEECH_SHAPE[speech]))
    assert distance.shape == (3,)
    assert (distance >= 0).all()
    assert (distance <= 2).all()
    distance.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in discriminator.parameters())


def test_width_scales_the_weights():
    with torch.device("meta"):
        whole, half = (numbers(LipGANGenerator(GeneratorConfig(w))) for w in (1.0, 0.5))
    assert 3.8 < whole / half < 4.1


def test_unknown_speech_feature_is_refused():
    with pytest.raises(ValueError, match="unknown speech feature 'lpc'"):
        LipGANGenerator(GeneratorConfig(speech="lpc"))


def test_layers_have_no_more_channels_than_asked_for(tmp_path):
    capped = LipGANGenerator(GeneratorConfig(0.5, most_channels=48))
    assert max(p.shape[0] for name, p in capped.named_parameters() if p.ndim == 1) == 48
    assert capped.face[1][0][0].out_channels == LipGANGenerator(GeneratorConfig(0.5)).face[1][0][0].out_channels == 32
    assert capped(torch.zeros(2, 6, 96, 96), torch.zeros(2, 1, 12, 35)).shape == (2, 3, 96, 96)
    save_generator(tmp_path / "capped.safetensors", capped)
    assert load_generator(tmp_path / "capped.safetensors").config == capped.config


@pytest.mark.parametrize("size", [192, 288])
def test_a_generator_of_larger_faces_has_that_of_96_pixels_within(size, tmp_path):
    torch.manual_seed(0)
    small, large = LipGANGenerator(GeneratorConfig(0.02)), LipGANGenerator(GeneratorConfig(0.02, face_size=size))
    shapes = {name: value.shape for name, value in large.state_dict().items() if not name.startswith("outer.")}
    assert shapes == {name: value.shape for name, value in small.state_dict().items()}
    torch.nn.init.normal_(large.outer.out[-1].weight)
    faces, speech = torch.rand(2, 6, size, size), torch.randn(2, 1, 12, 35)
    with torch.no_grad():
        for module in large.modules():  # statistics of what really flows, without which little comes through
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        large(faces, speech)
        faces = faces[:1]  # who says both
        answers = large.eval()(faces, speech)
        assert answers.shape == (2, 3, size, size) and answers.min() >= 0 and answers.max() <= 1
        assert not torch.allclose(answers[0], answers[1], atol=1e-3)
        save_generator(tmp_path / "large.safetensors", large)
        loaded = load_generator(tmp_path / "large.safetensors")
        assert (loaded.face_size, loaded.config) == (size, large.config)
        assert all(torch.equal(value, large.state_dict()[name]) for name, value in loaded.state_dict().items())
        large, faces, speech = large.double(), faces.double(), speech.double()
        assert torch.allclose(fuse(large)(faces, speech), large(faces, speech))


@pytest.mark.parametrize("size", [0, 95, 128, 384, "192", True, None, 192.0])
def test_faces_are_of_three_sizes(size):
    with pytest.raises(InputError, match="take one of 96, 192, 288"):
        GeneratorConfig(face_size=size)


def test_weights_from_before_there_were_sizes_are_of_96_pixels():
    assert load_generator("lipgan-starter").face_size == 96


@pytest.mark.parametrize("size", [192, 288])
def test_the_discriminator_looks_at_larger_faces_scaled_down(size):
    torch.manual_seed(0)
    discriminator, faces = LipGANDiscriminator(0.25), torch.rand(2, 3, 96, 96)
    speech, enlarged = (
        torch.randn(2, 1, 12, 35),
        faces.repeat_interleave(size // 96, 2).repeat_interleave(size // 96, 3),
    )
    assert torch.allclose(discriminator(enlarged, speech), discriminator(faces, speech), atol=1e-5)
