"""How loud a voice is, whatever clicks, pauses and offsets there are, and which ones are heard louder."""

import numpy as np
import pytest

from lipgan_colab.media.sound import read_speech
from lipgan_colab.speech.level import QUIET, USUAL, as_loud_as_usual, evened_out, level


def syllables(seconds: float = 4.0, loud: float = 0.3) -> np.ndarray:
    """Tones of a fifth of a second, and pauses."""
    times = np.arange(round(seconds * 16_000)) / 16_000
    return (loud * np.sin(1000 * times) * (np.sin(2 * np.pi * 2.5 * times) > 0)).astype(np.float32)


def with_click(wave: np.ndarray, seconds: float = 0.05) -> np.ndarray:
    wave = wave.copy()
    wave[8000 : 8000 + round(seconds * 16_000)] = 0.9
    return wave


def test_a_voice_of_usual_loudness_stays_the_same_array(shared):
    speech = shared / "data" / "speech"
    for name in ("jfk.flac", "libri_44k_128.mp3", "libri_music_0dB.wav", "clipped.wav"):
        wave = read_speech(speech / name)
        louder, by = as_loud_as_usual(wave)
        assert louder is wave and by == 0


@pytest.mark.parametrize("down", [35, 45, 55])
@pytest.mark.parametrize("spoilt", ["not at all", "a click", "an offset", "a long pause"])
def test_a_quiet_voice_becomes_as_loud_as_usual(down, spoilt):
    wave = syllables(loud=0.3 * 10 ** (-down / 20))
    louder, by = as_loud_as_usual(wave)
    assert level(wave) < QUIET and level(louder) == pytest.approx(USUAL, abs=0.5)
    spoiling = {
        "not at all": lambda wave: wave,
        "a click": with_click,
        "an offset": lambda wave: wave + np.float32(0.05),
        "a long pause": lambda wave: np.concatenate([wave, np.zeros(100_000, np.float32)]),
    }
    spoilt, also_by = as_loud_as_usual(spoiling[spoilt](wave))
    assert also_by == pytest.approx(by, abs=1)
    assert np.abs(spoilt).max() <= 1
    after = slice(16_000, len(wave))  # the click is over
    assert np.abs(spoilt[after] - louder[after] * 10 ** ((also_by - by) / 20)).max() < 0.01


def test_a_voice_between_loud_noises_is_not_made_louder():
    wave = syllables(loud=0.001)
    wave[20_000:30_000] = 0.3 * np.sin(np.arange(10_000))
    assert as_loud_as_usual(wave)[1] == 0


@pytest.mark.parametrize("place", [0, 8000, -1600])
def test_a_bang_at_an_end_is_a_click_as_in_the_middle(place):
    wave = syllables(loud=0.003)
    by = as_loud_as_usual(wave)[1]
    wave[place:][:1600] = 0.5 * np.sign(np.sin(np.arange(1600)))
    assert as_loud_as_usual(wave)[1] == pytest.approx(by, abs=1)


def test_a_voice_is_as_loud_as_it_is_where_somebody_speaks():
    quiet, noise = syllables(loud=0.003), 0.3 * np.sin(np.arange(16_000, dtype=np.float32))
    wave = np.concatenate([noise, quiet])
    spoken = np.arange(500) >= 100  # of 5 s
    louder, by = as_loud_as_usual(wave, spoken)
    assert by == pytest.approx(as_loud_as_usual(quiet)[1], abs=0.5) and np.abs(louder).max() <= 1
    same, by = as_loud_as_usual(wave, np.zeros(500, bool))
    assert same is wave and by == 0  # nobody speaks


def test_quiet_seconds_are_evened_out_and_the_others_stay():
    parts = [syllables(2, loud) for loud in (0.3, 0.003, 0.0)]
    evened = evened_out(np.concatenate(parts))
    loud, quiet, silent = np.split(evened, 3)
    assert np.abs(loud[:16_000] - parts[0][:16_000]).max() < 1e-6 and not silent[16_000:].any()
    assert level(quiet[10_000:22_000]) == pytest.approx(USUAL, abs=3)
    assert np.abs(evened).max() <= 1
    assert evened_out(parts[0]) is parts[0]


def test_silence_stays_silence():
    random = np.random.default_rng(0)
    dither = np.round(random.uniform(-0.5, 0.5, 48_000) + random.uniform(-0.5, 0.5, 48_000)) / 32768
    for wave in (np.zeros(48_000), dither, np.full(48_000, 0.1), np.zeros(1), np.zeros(0)):
        wave = wave.astype(np.float32)
        louder, by = as_loud_as_usual(wave)
        assert louder is wave and by == 0
