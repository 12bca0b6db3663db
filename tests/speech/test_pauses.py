"""Where somebody speaks, and features that rest where nobody does."""

import numpy as np
import pytest

from lipgan_colab.media.sound import read_speech
from lipgan_colab.models.motion import as_heard
from lipgan_colab.speech import pauses
from lipgan_colab.speech.features import SpeechInput, mel
from lipgan_colab.speech.pauses import PAUSE_RULES, PauseRule, rest_in_pauses, speaking, without_noise

NORMAL = PAUSE_RULES["normal"]


def test_silence_and_noise_are_pauses_and_speech_is_not(shared):
    speech = shared / "data" / "speech"
    for name in ("silence_3s.wav", "noise_3s.wav"):
        assert speaking(read_speech(speech / name), NORMAL).max() < 0.05, name
    for name in ("libri_music_0dB.wav", "libri_44k_128.mp3"):
        assert speaking(read_speech(speech / name), NORMAL).mean() > 0.8, name


def turned_down(wave: np.ndarray, decibels: float) -> np.ndarray:
    """Quieter, in the steps of 16 bits."""
    return (np.round(wave * 10 ** (-decibels / 20) * 32768) / 32768).astype(np.float32)


@pytest.mark.parametrize("decibels", [30, 40, 60])
def test_a_quiet_voice_is_heard_like_a_loud_one(shared, decibels):
    for name in ("reports/quiet_voice_same_loud.wav", "speech/libri_44k_128.mp3"):
        wave = read_speech(shared / "data" / name)[:64_000]
        loud = speaking(wave, NORMAL)
        quiet = turned_down(wave, decibels)
        follow = speaking(quiet, NORMAL)
        assert follow.mean() == pytest.approx(loud.mean(), abs=0.04)
        assert np.corrcoef(follow, loud)[0, 1] > 0.7
        quiet[20_000:20_160] = 0.9  # a click
        assert speaking(quiet, NORMAL).mean() == pytest.approx(loud.mean(), abs=0.04)


def before_it(kind: str) -> np.ndarray:
    """What is loud and no voice, as it stands before one."""
    random, times = np.random.default_rng(0), np.arange(16_000) / 16_000
    sounds = {
        "bang": 0.4 * random.normal(size=1600) * np.exp(-np.arange(1600) / 800),
        "bleep": 0.5 * np.sin(2 * np.pi * 1000 * times[:8000]),
        "noise": 0.3 * random.normal(size=16_000),
        "music": 0.1 * sum(np.sin(2 * np.pi * f * times) for f in (220, 277, 330)),
    }
    return sounds[kind].clip(-1, 1).astype(np.float32)


@pytest.mark.parametrize("kind", ["bang", "bleep", "noise", "music"])
def test_what_is_loud_before_a_quiet_voice_does_not_hide_it(shared, kind):
    wave = turned_down(read_speech(shared / "data" / "speech" / "libri_44k_128.mp3")[:64_000], 40)
    alone, loud = speaking(wave, NORMAL), before_it(kind)
    follow = speaking(np.concatenate([loud, wave]), NORMAL)[len(loud) // 160 :]
    assert follow.mean() > 0.85 * alone.mean()
    assert speaking(np.concatenate([loud, 0.003 * before_it("music")]), NORMAL).max() == 0  # and is none


def test_quiet_noise_is_a_pause_like_loud_noise(shared):
    noise = read_speech(shared / "data" / "speech" / "noise_3s.wav")
    for decibels in (20, 40, 60):
        assert speaking(turned_down(noise, decibels), PAUSE_RULES["gentle"]).max() == 0
    hum = 0.003 * np.sin(2 * np.pi * 50 / 16_000 * np.arange(48_000))
    assert speaking(hum.astype(np.float32), NORMAL).max() == 0


def test_coarse_steps_are_not_heard_worse_for_being_louder(shared):
    """A quiet voice in 8 bits: made louder it is noise to the detector, as it is some of it is found."""
    wave = read_speech(shared / "data" / "reports" / "quiet_voice_same_loud.wav")
    coarse = (np.round(wave * 10 ** (-30 / 20) * 128) / 128).astype(np.float32)
    assert speaking(coarse, NORMAL).mean() > 0.4


def test_long_pauses_are_found_and_short_ones_left(shared):
    wave = read_speech(shared / "data" / "speech" / "jfk_long_pauses.wav")
    follow = speaking(wave, NORMAL)
    assert len(follow) == 100 * len(wave) // 16_000
    loud = np.array([np.abs(wave[n * 160 : n * 160 + 400]).max() for n in range(len(follow))])
    silent = np.convolve(loud < 1e-3, np.ones(61), "same") == 61  # at least 0.3 s on both sides
    assert silent.sum() > 100
    assert follow[silent].max() < 0.05
    assert (follow[loud > 0.3] > 0.9).mean() > 0.97
    assert np.abs(np.diff(follow)).max() < 0.2  # it glides
    strict = speaking(wave, PAUSE_RULES["strict"])
    gentle = speaking(wave, PAUSE_RULES["gentle"])
    assert strict.mean() <= follow.mean() <= gentle.mean()


@pytest.mark.parametrize("samples", [1, 100, 1600, 16_000])
def test_sounds_of_any_length(samples):
    follow = speaking(np.zeros(samples, np.float32), PauseRule(0.5, 0.3))
    assert len(follow) == max(1, round(samples / 160))
    assert np.isfinite(follow).all()


def test_the_number_of_threads_stays():
    import torch

    before = torch.get_num_threads()
    speaking(np.zeros(16_000, np.float32), NORMAL)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("kind", ["mfcc", "mel", "wav2lip"])
def test_features_are_those_of_silence_in_pauses(kind):
    hears = SpeechInput(kind)
    wave = np.random.default_rng(0).normal(size=32_000).astype(np.float32) * 0.1
    features = hears.features(wave)
    follow = np.r_[np.ones(100), np.zeros(100)].astype(np.float32)
    rested = rest_in_pauses(features, follow, hears)
    half = features.shape[1] // 2
    assert np.array_equal(rested[:, : half - 1], features[:, : half - 1])
    silence = hears.features(np.zeros(32_000, np.float32))
    assert np.allclose(rested[:, half + 2 :], silence[:, [half]], atol=1e-5)


@pytest.mark.parametrize("loud", [0.2, 1.0])
def test_a_voice_after_noise_is_heard_as_after_silence(shared, loud):
    voice = read_speech(shared / "data" / "speech" / "jfk_48k_float.wav")
    noise = loud * before_it("noise")
    wave, quiet = np.concatenate([noise, voice]), np.concatenate([0 * noise, voice])
    follow, wanted = speaking(wave, NORMAL), as_heard(mel(quiet))
    off = [np.abs(as_heard(heard) - wanted)[:, 90:].mean() for heard in (mel(wave), without_noise(mel(wave), follow))]
    assert 4 * off[1] < off[0]


def test_a_speech_with_pauses_is_heard_as_it_is(shared):
    for name in ("jfk_long_pauses.wav", "libri_music_0dB.wav"):
        wave = read_speech(shared / "data" / "speech" / name)
        spectrum = mel(wave)
        assert without_noise(spectrum, speaking(wave, NORMAL)) is spectrum
    for follow in (np.zeros(1600), np.ones(1600)):
        assert without_noise(spectrum, follow.astype(np.float32)) is spectrum


def follow_of(monkeypatch, *stretches: tuple[float, float]) -> np.ndarray:
    """What `speaking` makes of how sure the detector is, each for so many seconds; 100 values a second."""
    sure = np.concatenate([np.full(round(seconds / 0.032), p, np.float32) for p, seconds in stretches])
    monkeypatch.setattr(pauses, "speech_probability", lambda wave: sure)
    return speaking(np.zeros(512 * len(sure), np.float32), PauseRule(certainty=0.5, shortest=0.3))


def test_to_go_on_speaking_takes_less_than_to_begin(monkeypatch):
    follow = follow_of(monkeypatch, (0.0, 0.96), (0.4, 0.96), (0.6, 0.96), (0.4, 0.96), (0.2, 0.96))
    assert follow[:150].max() == 0  # unsure is not speech yet
    assert follow[200:370].min() > 0.99  # and speech still
    assert follow[430:].max() == 0


def test_short_pauses_belong_to_the_speech_and_long_ones_do_not(monkeypatch):
    follow = follow_of(monkeypatch, (0.9, 0.64), (0.0, 0.256), (0.9, 0.64), (0.0, 0.96), (0.9, 0.64))
    assert follow[:150].min() > 0.99
    assert follow[190:215].max() < 0.01
    assert follow[260:].min() > 0.99


def test_the_mouth_opens_before_it_sounds_and_closes_after(monkeypatch):
    follow = follow_of(monkeypatch, (0.0, 0.96), (0.9, 0.96), (0.0, 0.96))
    assert follow[96 - 8 : 192 + 8].min() > 0.98
    assert follow[: 96 - 28].max() < 0.01 > follow[192 + 28 :].max()
