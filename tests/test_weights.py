"""Weights: what is saved is loaded again, and what is no generator is refused in one line."""

import pytest
import torch
from safetensors.torch import save_file

from lipgan_colab.errors import InputError
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.weights import load_generator, save_generator


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return LipGANGenerator(GeneratorConfig(0.25, "mel", residual=False))


def test_a_generator_comes_back_as_it_was(generator, tmp_path):
    save_generator(tmp_path / "run" / "generator.safetensors", generator, {"step": 3})
    for source in (tmp_path / "run", tmp_path / "run" / "generator.safetensors"):
        loaded = load_generator(source)
        assert loaded.config == generator.config
        assert not loaded.training
        for name, value in generator.state_dict().items():
            assert torch.equal(value, loaded.state_dict()[name])
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["generator.safetensors"]


def test_what_is_no_generator_is_refused(generator, tmp_path):
    whole = tmp_path / "whole.safetensors"
    save_generator(whole, generator)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-50])
    other = tmp_path / "other.safetensors"
    save_file({"weights": torch.zeros(3)}, other)
    text = tmp_path / "text.safetensors"
    text.write_text("not weights at all")
    for path in (cut, other, text):
        with pytest.raises(InputError, match=f"{path.name}: not a whole LipGAN generator") as caught:
            load_generator(path)
        assert "\n" not in str(caught.value)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="no such weights"):
        load_generator(tmp_path / "missing.safetensors")
    with pytest.raises(InputError, match=r"no generator\.safetensors in this run folder"):
        load_generator(tmp_path)
