"""One voice made another: as long as it says, the same for the same random numbers, and still speech."""

import numpy as np
import pytest

from lipgan_colab.speech import variation
from lipgan_colab.speech.features import SAMPLE_RATE, mel
from lipgan_colab.speech.variation import STEPS, varied, warped


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """A hum of 150 Hz that comes and goes three times a second."""
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * 150 * time) * np.maximum(0, np.sin(6 * np.pi * time))).astype(np.float32)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_it_is_as_long_as_its_rate_says(voice):
    for seed in range(20):
        sound, rate = varied(voice, rng(seed))
        assert 0.8 < rate < 1.25
        assert len(sound) == int(len(voice) / rate)
        assert sound.dtype == np.float32 and np.abs(sound).max() <= 1.001


def test_the_same_random_numbers_give_the_same_voice(voice):
    (first, rate), (again, same), (other, _) = (varied(voice, rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, again) and rate == same
    assert not np.array_equal(first[:1000], other[:1000])


def test_what_is_said_stays_where_the_rate_says(voice):
    """Its loudness goes up and down with the voice's."""
    for seed in range(10):
        sound, rate = varied(voice, rng(seed))
        there, here = (np.sqrt(np.convolve(np.square(s), np.ones(800), "same")) for s in (voice, sound))
        moved = np.interp(np.arange(len(here)) * rate, np.arange(len(there)), there)
        assert np.corrcoef(moved, here)[0, 1] > 0.8, seed


@pytest.mark.parametrize("step", [step for _, step in STEPS], ids=lambda step: step.__name__)
def test_every_step_changes_the_sound_and_keeps_its_length(voice, step):
    sound = step(voice.astype(np.float64), rng(0))
    assert sound.shape == voice.shape and np.isfinite(sound).all()
    assert not np.allclose(sound, voice)


@pytest.mark.parametrize("background", ["_hiss", "_babble", "_chords"])
def test_every_background_is_heard_throughout(voice, background):
    sound = getattr(variation, background)(voice.astype(np.float64), rng(1))
    assert sound.shape == voice.shape
    assert all(np.square(part).mean() > 0 for part in np.split(sound, 4))


@pytest.mark.parametrize("count", [1, 7, 16000])
def test_silence_and_a_blink_are_borne(count):
    for seed in range(10):
        sound, _ = varied(np.zeros(count, np.float32), rng(seed))
        assert np.isfinite(sound).all() and len(sound) > 0


def test_a_warped_mel_has_its_frequencies_elsewhere():
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    spectrum = mel(np.float32(0.3 * np.sin(2 * np.pi * 1000 * time)))
    peaks = set()
    for seed in range(10):
        other = warped(spectrum, rng(seed))
        assert other.shape == spectrum.shape and other.dtype == np.float32
        peaks.add(int(other.mean(axis=1).argmax()))
    own = int(spectrum.mean(axis=1).argmax())
    assert min(peaks) < own < max(peaks) and max(peaks) - min(peaks) < 16
