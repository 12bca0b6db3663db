"""Weights: what is saved is loaded again, the authors' files are known by what is in them, and what is no whole network
is refused in one line."""

import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lipgan_colab.errors import InputError
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.media.video import read_video
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANDiscriminator, LipGANGenerator
from lipgan_colab.models.wav2lip import QualityDiscriminator, SyncExpert, SyncExpertConfig, Wav2LipGenerator
from lipgan_colab.models.weights import load_generator, load_network, save_generator, save_network
from lipgan_colab.speech.features import SpeechInput


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return LipGANGenerator(GeneratorConfig(0.25, "mel", blocks="basic"))


def refused(path, match, load=load_generator):
    with pytest.raises(InputError, match=match) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_generator_comes_back_as_it_was(generator, tmp_path):
    generator.speech_input = SpeechInput("mel", "reflect", -4)
    save_generator(tmp_path / "run" / "generator.safetensors", generator, {"step": 3})
    for source in (tmp_path / "run", tmp_path / "run" / "generator.safetensors"):
        loaded = load_generator(source)
        assert loaded.config == generator.config
        assert loaded.speech_input == generator.speech_input
        assert loaded.about == {"step": 3}
        assert not loaded.training
        assert same_weights(loaded, generator)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["generator.safetensors"]


def test_what_was_exported_before_networks_had_names_is_loaded(generator, tmp_path):
    path = tmp_path / "old.safetensors"
    header = {"generator": json.dumps({"width": 0.25, "speech": "mel", "residual": False}), "about": '{"step": 9}'}
    save_file(dict(generator.state_dict()), path, header)
    loaded = load_generator(path)
    assert loaded.config == generator.config
    assert loaded.speech_input == SpeechInput("mel")
    assert loaded.about == {"step": 9}
    assert same_weights(loaded, generator)


def narrow_expert() -> SyncExpert:
    return SyncExpert(SyncExpertConfig(0.25))


@pytest.mark.parametrize(
    ("residual", "blocks"), [({"residual": True}, "residual"), ({"residual": False}, "basic"), ({}, "residual")]
)
def test_what_was_exported_before_blocks_had_names_is_loaded(residual, blocks, tmp_path):
    network, path = LipGANGenerator(GeneratorConfig(0.05, blocks=blocks)), tmp_path / "old.safetensors"
    header = {"network": '"LipGANGenerator"', "config": json.dumps({"width": 0.05, "speech": "mfcc", **residual})}
    save_file(dict(network.state_dict()), path, header)
    loaded = load_generator(path)
    assert loaded.config == network.config
    assert same_weights(loaded, network)


@pytest.mark.parametrize(
    "network",
    [lambda: LipGANDiscriminator(0.25, "mel"), Wav2LipGenerator, SyncExpert, narrow_expert, QualityDiscriminator],
)
def test_every_kind_of_network_comes_back(network, tmp_path):
    network, path = network(), tmp_path / "network.safetensors"
    save_network(path, network)
    loaded = load_network(path)
    assert type(loaded) is type(network)
    assert same_weights(loaded, network)
    if not isinstance(network, Wav2LipGenerator):
        refused(path, ", and a generator is wanted")


def test_what_is_no_whole_network_is_refused(generator, tmp_path):
    whole = tmp_path / "whole.safetensors"
    save_generator(whole, generator)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-50])
    refused(cut, "not a whole network of ours")
    cut.write_bytes(whole.read_bytes()[:200])
    refused(cut, "not a whole network of ours")
    other = tmp_path / "other.safetensors"
    save_file({"weights": torch.zeros(3)}, other)
    refused(other, "not a whole network of ours")
    unknown, broken, odd = {"network": '"Sculptor"', "config": "{}"}, {"network": "{"}, {"generator": '{"a": 1}'}
    for header in (unknown, broken, odd):
        save_file({"weights": torch.zeros(3)}, other, header)
        refused(other, "not a whole network of ours")
    text = tmp_path / "text.safetensors"
    text.write_text("not weights at all")
    refused(text, "not a file of weights")
    text.write_bytes(b"")
    refused(text, "an empty file")
    text.write_text("\n<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>")
    refused(text, "a web page, not weights .*by hand")


def test_the_first_weight_that_does_not_fit_is_named(generator, tmp_path):
    path = tmp_path / "whole.safetensors"
    save_generator(path, generator)
    tensors = load_file(path)
    header = {"network": '"LipGANGenerator"', "config": '{"width": 0.25, "speech": "mel", "residual": false}'}
    name = "speech_code.0.0.weight"
    for change, match in (
        ({name: None, "up.0.0.0.weight": None}, f"the weight {name} is missing"),
        ({"more": torch.zeros(2)}, "the weight more is one too many"),
        ({name: tensors[name][:-1].clone()}, rf"{name} is \(127, 64, 3, 3\) and should be \(128, 64, 3, 3\)"),
    ):
        save_file({n: t for n, t in {**tensors, **change}.items() if t is not None}, path, header)
        refused(path, match)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no such weights; give .* wav2lip"):
        load_generator(tmp_path / "missing.safetensors")
    with pytest.raises(InputError, match=r"this folder is no run, it has no generator\.safetensors"):
        load_generator(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"no generator\.safetensors in this run folder; train until"):
        load_generator(tmp_path)


PTH = {"wav2lip_gen": Wav2LipGenerator, "wav2lip_syncnet": SyncExpert, "wav2lip_disc_qual": QualityDiscriminator}


@pytest.mark.parametrize("name", PTH)
def test_wav2lips_files_are_known_by_their_weights(golden_file, name, capsys):
    assert type(load_network(golden_file(name))) is PTH[name]
    assert "non-commercial use only" in capsys.readouterr().err


def test_wav2lips_files_are_taken_in_every_form(golden_file, tmp_path):
    path = golden_file("wav2lip_disc_qual")
    network = load_network(path)
    content = torch.load(path, weights_only=True)
    bare = tmp_path / "bare.pth"
    for variant in (
        content["state_dict"],
        content | {"state_dict": {f"module.{k}": v for k, v in content["state_dict"].items()}},
    ):
        torch.save(variant, bare)
        assert same_weights(load_network(bare), network)
    torch.save(content, bare, _use_new_zipfile_serialization=False)  # as torch did when Wav2Lip was published
    assert same_weights(load_network(bare), network)


class Talker(torch.nn.Module):
    def forward(self, x):
        return x


def test_torchscript_archives_are_read_without_running_them(golden_file, tmp_path):
    path = golden_file("wav2lip_disc_qual")
    network = QualityDiscriminator()
    network.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
    archive = tmp_path / "archive.pt"
    torch.jit.trace(network.eval(), torch.rand(1, 3, 5, 96, 96)).save(archive)
    assert same_weights(load_network(archive), load_network(path))
    torch.jit.trace(Talker(), torch.zeros(1)).save(archive)
    refused(archive, "none of Wav2Lip's networks")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/constants.pkl", b"")
        file.writestr("archive/data.pkl", pickle.dumps(Evil(), protocol=2))
    refused(archive, "more than plain tensors")


def test_wav2lips_expert_is_no_generator(golden_file):
    refused(golden_file("wav2lip_syncnet"), "this is a sync expert, and a generator is wanted")


def test_damaged_wav2lip_files_are_named(golden_file, tmp_path):
    tensors = torch.load(golden_file("wav2lip_disc_qual"), weights_only=True)["state_dict"]
    path = tmp_path / "damaged.pth"
    name = "face_encoder_blocks.3.1.conv_block.0.bias"
    what = "not a whole Wav2Lip quality discriminator"
    for change, match in (
        ({name: None, "binary_pred.0.bias": None}, f"{what}: the weight {name} is missing"),
        ({"module.more": torch.zeros(2)}, r"the weight module\.more is one too many"),
        ({name: torch.zeros(255)}, rf"the weight {name} is \(255,\) and should be \(256,\)"),
        ({name: "a text"}, "no state dict"),
    ):
        torch.save({n: t for n, t in {**tensors, **change}.items() if t is not None}, path)
        refused(path, match, load_network)
    torch.save({"other": torch.zeros(3)}, path)
    refused(path, "none of Wav2Lip's networks", load_network)
    torch.save([1, 2], path)
    refused(path, "no state dict", load_network)
    for old in (False, True):
        torch.save({"state_dict": tensors}, path, _use_new_zipfile_serialization=not old)
        path.write_bytes(path.read_bytes()[:-100_000])
        refused(path, "cut short or damaged", load_network)


class Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_but_tensors_is_unpickled(zipped, tmp_path, capsys):
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": {"weight": torch.zeros(3)}, "more": Evil()}, path, _use_new_zipfile_serialization=zipped)
    refused(path, "more than plain tensors")
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["cs766_basic", "cs766_disc", "wav2lip_gen", "wav2lip_syncnet"])
def test_the_authors_networks_train_on(golden_file, name):
    network = load_network(golden_file(name)).train()
    torch.manual_seed(0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    windows = {"mfcc": (12, 35), "mel": (80, 27), "wav2lip": (80, 16)}
    speech = torch.randn(2, 1, *windows[network.speech_input.kind])
    if isinstance(network, LipGANGenerator | Wav2LipGenerator):
        loss = network(torch.rand(2, 6, 96, 96), speech).square().mean()
    elif isinstance(network, LipGANDiscriminator):
        loss = network(torch.rand(2, 3, 96, 96), speech).square().mean()
    else:
        loss = -torch.linalg.vecdot(*network(torch.rand(2, 15, 48, 96), speech)).mean()
    loss.backward()
    torch.optim.Adam(network.parameters()).step()
    assert [name for name, value in network.state_dict().items() if torch.equal(value, before[name])] == []


@pytest.fixture
def talking(shared, tmp_path):
    """Makes a photo speak, and gives the frames."""

    def talk(weights, name: str, **options) -> np.ndarray:
        data = shared / "data"
        photo, speech = data / "photos" / "obama_240p.jpg", data / "speech" / "very_short_0.1s.wav"
        options = GenerateOptions(pauses="off", detail="network", **options)
        report = generate(photo, speech, weights, tmp_path / name, options)
        return np.stack([frame for _, frame in read_video(report.path)])

    return talk


@pytest.mark.parametrize("name", ["cs766_basic", "wav2lip_gen"])
def test_converted_weights_generate_the_same_video(golden_file, talking, name, tmp_path):
    path, ours = golden_file(name), tmp_path / "ours.safetensors"
    network = load_network(path)
    save_network(ours, network, network.about)
    converted = load_generator(ours)
    assert (converted.speech_input, converted.about) == (network.speech_input, network.about)
    first = talking(path, "first.mp4")
    assert np.array_equal(first, talking(ours, "second.mp4"))
    assert not np.array_equal(first, talking(ours, "third.mp4", window_offset=2))


def test_half_precision_halves_the_file_and_is_read_as_float32(tmp_path):
    torch.manual_seed(0)
    network = LipGANGenerator(GeneratorConfig(0.1)).eval()
    save_network(tmp_path / "whole.safetensors", network)
    save_network(tmp_path / "half.safetensors", network, half=True)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * (tmp_path / "whole.safetensors").stat().st_size
    loaded = load_generator(tmp_path / "half.safetensors")
    assert {v.dtype for v in loaded.state_dict().values() if v.is_floating_point()} == {torch.float32}
    face, speech = torch.rand(1, 6, 96, 96), torch.randn(1, 1, 12, 35)
    with torch.no_grad():
        assert torch.allclose(loaded(face, speech), network(face, speech), atol=2e-3)


DEEP = "[" * 100_000 + "]" * 100_000
GENERATOR = {"network": '"LipGANGenerator"', "config": '{"width": 0.05}'}


@pytest.mark.parametrize(
    ("header", "match"),
    [
        *(({"config": json.dumps({"width": w})}, "the width") for w in (1e9, -1, 0, "0.1", True, float("nan"), None)),
        ({"config": '{"width": 1' + 400 * "0" + "}"}, "the width"),
        ({"config": '{"most_channels": -1}'}, "at most -1 channels"),
        ({"config": '{"most_channels": 8.5}'}, r"at most 8\.5 channels"),
        ({"config": '{"speech": ["mfcc"]}'}, "unknown speech feature"),
        ({"config": '{"residual": 1}'}, "residual is true or false"),
        ({"config": '{"blocks": "transformer"}'}, "unknown blocks 'transformer'"),
        ({"config": '{"blocks": ["warp"]}'}, "unknown blocks"),
        ({"config": '{"blocks": "warp"}'}, "the weight .* is missing"),
        ({"config": "[1]"}, "not a whole network of ours"),
        ({"config": DEEP}, "not a whole network of ours"),
        ({"network": '["LipGANGenerator"]'}, "not a whole network of ours"),
        ({"network": '"SyncExpert"', "config": '{"width": 1e9}'}, "the width"),
        ({"network": '"LipGANDiscriminator"', "config": '{"width": 1e9}'}, "the width"),
        ({"network": '"Wav2LipGenerator"', "config": '{"speech": "mfcc"}'}, "mel windows alone"),
        ({"about": "[1]"}, "not a whole network of ours"),
        ({"about": DEEP}, "not a whole network of ours"),
        ({"speech_input": '{"kind": "mel"}'}, "cannot hear mel"),
        ({"speech_input": '{"offset": 1e9}'}, "cannot begin"),
    ],
)
def test_headers_that_no_network_has_are_refused(tmp_path, header, match):
    path = tmp_path / "crafted.safetensors"
    save_file(dict(LipGANGenerator(GeneratorConfig(0.05)).state_dict()), path, GENERATOR | header)
    refused(path, match, load_network)


def test_weights_of_another_type_are_named(tmp_path):
    path, tensors = tmp_path / "crafted.safetensors", dict(LipGANGenerator(GeneratorConfig(0.05)).state_dict())
    save_file(tensors | {"out.2.bias": torch.zeros(3, dtype=torch.int32)}, path, GENERATOR)
    refused(path, r"the weight out\.2\.bias is torch\.int32 and should be torch\.float32")
    for name in ("face.0.0.1.num_batches_tracked",):
        save_file(tensors | {name: torch.tensor(0.5)}, path, GENERATOR)
        refused(path, f"the weight {name} is torch.float32 and should be torch.int64")


def test_a_width_that_cannot_be_is_refused_before_training():
    for wrong in ({"width": 0}, {"width": 1e6}, {"most_channels": 0}):
        with pytest.raises(InputError):
            GeneratorConfig(**wrong)
