"""The motion network: answers for any length of speech, whatever its level, and the same again from its file."""

import numpy as np
import pytest
import torch

from lipgan_colab.errors import InputError
from lipgan_colab.faces import mesh
from lipgan_colab.media.sound import read_speech
from lipgan_colab.models.motion import BOLDER, MotionConfig, answer_times, as_heard, components, load_motion
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.weights import load_expert, load_generator, save_network
from lipgan_colab.speech.features import MEL_RATE, SpeechInput


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = MotionNetwork(MotionConfig(channels=16, components=4, dilations=(1, 2)))
    network.basis[:] = torch.randn(4, 468, 3) * torch.from_numpy(mesh.mobility())[:, None]
    network.spread[:] = torch.tensor([2.0, 1.0, 0.5, 0.25])
    network.speech_input = SpeechInput("mel", offset=2)
    return network.eval()


def test_one_answer_for_two_columns(network):
    for columns in (1, 2, 3, 9, 80, 81):
        answers = network(torch.randn(2, 80, columns))
        assert answers.shape == (2, 4, (columns + 1) // 2)


def test_what_comes_later_is_heard_only_from_nearby(network):
    """A moment hears a limited time around it, so a speech of any length is like its pieces."""
    spectrum = torch.randn(1, 80, 200)
    changed = spectrum.clone()
    changed[:, :, 150:] = 0
    before, after = (network(heard)[0] for heard in (spectrum, changed))
    assert torch.equal(before[:, :60], after[:, :60]) and not torch.equal(before[:, 75:], after[:, 75:])


def test_answers_have_their_times():
    assert answer_times(3) == pytest.approx(np.array([0.5, 2.5, 4.5]) / MEL_RATE)


def test_a_click_moves_the_mouth_when_it_is_heard(network):
    spectrum = np.zeros((80, 200), np.float32)
    loud = spectrum.copy()
    loud[:, 100:102] = 50  # of 200 columns too few to be its louder half
    times = np.linspace(0.5, 2, 151)
    moved = np.abs(components(network, loud, times) - components(network, spectrum, times)).sum(axis=1)
    middle = (times * moved).sum() / moved.sum()
    assert middle == pytest.approx(100.5 / MEL_RATE, abs=0.04)


def test_what_is_said_steadily_is_in_parts_of_its_spread(network):
    network.last.weight.data.zero_()
    network.last.bias.data[:] = torch.tensor([1.0, -2.0, 0.5, 0.0])
    parts = components(network, np.zeros((80, 60), np.float32), np.arange(15) / 25)
    assert parts == pytest.approx(np.tile([0.5, -2, 1, 0], (15, 1)) * BOLDER, abs=1e-5)
    movement = np.tensordot(parts[0], network.moves, 1)
    assert movement == pytest.approx(
        BOLDER * (network.basis[0] - 2 * network.basis[1] + 0.5 * network.basis[2]), abs=1e-4
    )


def test_what_changes_quickly_changes_more_than_the_network_says(network):
    spectrum = np.random.default_rng(0).normal(size=(80, 60)).astype(np.float32)
    with torch.no_grad():
        said = network(torch.from_numpy(as_heard(spectrum))[None])[0].numpy() / network.spread.numpy()[:, None]
    parts = components(network, spectrum, answer_times(30))
    assert (np.abs(np.diff(parts, axis=0)).mean(axis=0) > 1.2 * BOLDER * np.abs(np.diff(said)).mean(axis=1)).all()
    assert parts.mean(axis=0) == pytest.approx(BOLDER * said.mean(axis=1), abs=0.1)


def test_the_voices_level_is_not_heard():
    spectrum = np.random.default_rng(0).normal(size=(80, 100)).astype(np.float32)
    level, microphone = np.float32(-1.7), np.linspace(-1, 1, 80, dtype=np.float32)[:, None]
    assert as_heard(spectrum + level) == pytest.approx(as_heard(spectrum), abs=1e-5)
    assert as_heard(spectrum + microphone - microphone.mean()) == pytest.approx(as_heard(spectrum), abs=1e-5)
    assert as_heard(spectrum).dtype == np.float32


def test_a_pause_beside_it_does_not_change_how_a_speech_is_heard():
    speech = np.random.default_rng(0).normal(size=(80, 100)).astype(np.float32)
    with_pause = np.concatenate([speech, np.full((80, 90), -9, np.float32)], axis=1)
    assert np.abs(as_heard(with_pause)[:, :100] - as_heard(speech)).max() < 1


def test_a_quiet_recording_moves_the_mouth_as_a_loud_one(shared):
    starter = load_generator("starter")
    wave = read_speech(shared / "data" / "speech" / "jfk_48k_float.wav")
    times = np.arange(0.2, len(wave) / 16_000 - 0.2, 0.04)
    loud, quiet = (components(starter, starter.speech_input.features(part * wave), times) for part in (1, 0.3))
    assert np.corrcoef(loud.ravel(), quiet.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("samples", [1, 160, 800, 1600, 16_000])
def test_however_short_a_sound_is_there_are_answers(samples):
    starter = load_generator("starter")
    wave = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    parts = components(starter, starter.speech_input.features(wave), np.array([0.0, 0.02, 5.0]))
    assert parts.shape == (3, starter.config.components) and np.isfinite(parts).all()


def test_half_precision_in_the_file_changes_little(network, tmp_path):
    path = tmp_path / "half.safetensors"
    save_network(path, network, {"step": 5}, half=True)
    loaded = load_generator(path)
    assert (loaded.config, loaded.speech_input, loaded.about) == (network.config, network.speech_input, {"step": 5})
    assert isinstance(loaded.config.dilations, tuple) and not loaded.training
    spectrum = np.random.default_rng(0).normal(size=(80, 60)).astype(np.float32)
    times = np.arange(15) / 25
    assert components(loaded, spectrum, times) == pytest.approx(
        components(network, spectrum, times), rel=0.01, abs=1e-2
    )
    assert loaded.moves == pytest.approx(network.moves, rel=1e-3, abs=1e-3)


def test_in_full_it_comes_back_as_it_was(network, tmp_path):
    path = tmp_path / "whole.safetensors"
    save_network(path, network)
    loaded = load_generator(path).state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in network.state_dict().items())
    with pytest.raises(InputError, match="this is a motion network, and a sync expert is wanted"):
        load_expert(path)


@pytest.mark.parametrize("half", [False, True])
def test_without_pytorch_it_says_the_same(network, tmp_path, half):
    path = tmp_path / "generator.safetensors"
    save_network(path, network, {"step": 5}, half)
    learns, speaks = load_generator(path), load_motion(tmp_path)
    assert speaks.moves == pytest.approx(learns.moves) and (speaks.about, speaks.file) == (learns.about, path)
    for columns in (1, 2, 59, 60):
        heard = np.random.default_rng(0).normal(size=(80, columns)).astype(np.float32)
        assert speaks.answers(heard) == pytest.approx(learns.answers(heard), abs=1e-4)


def test_what_is_no_whole_motion_network_is_left_to_who_says_why(network, tmp_path):
    path = tmp_path / "some.safetensors"
    del network.last
    save_network(path, network)
    assert load_motion(path) is None and load_motion("lipgan-starter") is None and load_motion("wav2lip") is None
    with pytest.raises(InputError, match=r"not a whole MotionNetwork: the weight last\.weight is missing"):
        load_generator(path)
    path.write_bytes(b"nothing")
    assert load_motion(path) is None


def test_the_starter_moves_the_lower_face_and_its_mouth_most():
    moves = load_generator("starter").moves
    assert moves.shape[1:] == (468, 3) and moves.dtype == np.float32
    assert np.abs(moves)[:, mesh.mobility() == 0].max() < 1e-6
    first = np.linalg.norm(moves[0], axis=1)
    assert {13, 14, 15, 17, 152} & set(np.argsort(-first)[:120])
    assert 0.1 < first.max() < 2  # centimetres
