"""One voice made another, in another room and by another microphone: what a network that hears few voices learns from.

Each step is a pure function of the sound and a random number generator.
"""

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import fftconvolve

from lipgan_colab.speech.features import SAMPLE_RATE, mel_edges

FASTEST = 0.22  # log of the most that tempo, pitch and vocal tract are changed by, together
NARROWEST = 0.14  # log of the most that pitch and vocal tract are changed by, the tempo staying
KNOTS = np.linspace(0, 1, 8) ** 1.7  # of the equaliser, as parts of the highest frequency; speech has more below
SILENT = 1e-9  # power of what cannot be brought to a level


def varied(wave: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """A speech as somebody else would say it, somewhere else.

    Args:
        wave: (n,) at 16 kHz in [-1, 1], not empty.
        rng: draws all that is drawn.

    Returns:
        (the speech, float32 (n / rate,) in [-1, 1]; the rate): what was at second t is now at t / rate.
    """
    rate = float(np.exp(rng.uniform(-FASTEST, FASTEST)))
    sound = _resampled(np.asarray(wave, np.float64), rate)
    for share, step in STEPS:
        if rng.random() < share:
            sound = step(sound, rng)
    return sound.astype(np.float32), rate


def warped(spectrum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mel (80, T) of a shorter or longer vocal tract, and as much another pitch: its frequencies times a factor."""
    factor = np.exp(rng.uniform(-NARROWEST, NARROWEST))
    centres = mel_edges()[1:-1]
    source = np.interp(centres * factor, centres, np.arange(len(centres)))
    below = np.minimum(source.astype(int), len(centres) - 2)
    above = (source - below).astype(np.float32)[:, None]
    return spectrum[below] * (1 - above) + spectrum[below + 1] * above


def _resampled(sound: np.ndarray, rate: float) -> np.ndarray:
    """Faster by `rate`: tempo, pitch and vocal tract together."""
    count = max(1, int(len(sound) / rate))
    return np.interp(np.arange(count) * rate, np.arange(len(sound)), sound)


def _filtered(sound: np.ndarray, gain) -> np.ndarray:
    """With each frequency times gain(frequency), which is given as a part of the highest."""
    size = next_fast_len(len(sound), real=True)
    spectrum = rfft(sound, size)
    return irfft(spectrum * gain(np.linspace(0, 1, len(spectrum))), size)[: len(sound)]


def _equalised(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    decibels = rng.normal(0, 6, len(KNOTS))
    return _filtered(sound, lambda part: 10 ** (np.interp(part, KNOTS, decibels) / 20))


def _band_limited(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Without the highs, and now and then without the lows, as a telephone."""
    high, low = rng.uniform(0.35, 0.9), rng.choice([0, rng.uniform(0.01, 0.04)])
    return _filtered(sound, lambda part: 1 / (1 + (part / high) ** 16) / (1 + (low / np.maximum(part, 1e-6)) ** 8))


def _in_a_room(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """With a tail of noise that dies away by 60 dB."""
    count = int(SAMPLE_RATE * rng.uniform(0.1, 0.5))
    tail = rng.normal(size=count) * np.exp(-6.9 * np.arange(count) / count)
    tail *= rng.uniform(0.1, 0.5) / np.sqrt(np.square(tail).sum())
    tail[0] = 1
    return fftconvolve(sound, tail)[: len(sound)]


def _with_background(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """With hiss, other people or music below it."""
    background, least = ((_hiss, 3), (_babble, 8), (_chords, 5))[rng.choice(3, p=[0.6, 0.2, 0.2])]
    other = background(sound, rng)
    ratio = np.square(sound).mean() / max(np.square(other).mean(), SILENT)
    return sound + other * np.sqrt(ratio) * 10 ** (-rng.uniform(least, 35) / 20)


def _hiss(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise from white to pink."""
    slope = rng.uniform(0, 1)
    return _filtered(rng.normal(size=len(sound)), lambda part: np.maximum(part, 1 / len(sound)) ** -slope)


def _babble(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Others who speak: the voice itself, backwards, at other places and speeds."""
    talk = np.zeros(len(sound))
    for _ in range(rng.integers(2, 6)):
        other = _resampled(sound[::-1], np.exp(rng.uniform(-0.4, 0.4)))
        talk += np.roll(np.resize(other, len(sound)), rng.integers(len(sound)))
    return talk


def _chords(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Music: a chord of three tones with overtones twice a second, and a drum's stroke with it."""
    time = np.arange(len(sound)) / SAMPLE_RATE
    beat = (time * rng.uniform(1.5, 3)).astype(int)
    since = time - time[np.searchsorted(beat, beat)]
    music = 0.5 * rng.normal(size=len(sound)) * np.exp(-since * 30)
    for step in (0, rng.integers(3, 5), 7):
        tones = 110 * 2 ** ((rng.integers(0, 24, beat[-1] + 1) + step) / 12)
        for overtone in range(1, 6):
            music += np.sin(2 * np.pi * overtone * tones[beat] * time) * np.exp(-since * 3) / overtone
    return music


def _levelled(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """With a peak of -26 to 0 decibels."""
    return sound * 10 ** (rng.uniform(-26, 0) / 20) / max(np.abs(sound).max(), SILENT)


def _clipped(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Without its highest peaks."""
    most = np.abs(sound).max() * rng.uniform(0.3, 0.9)
    return np.clip(sound, -most, most)


def _coarse(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """In 6 to 8 bits by the mu-law (ITU-T G.711), as over a bad line."""
    steps = 2 ** rng.integers(5, 8)
    louder = np.sign(sound) * np.log1p(255 * np.abs(sound)) / np.log(256)
    louder = np.rint(louder * steps) / steps
    return np.sign(louder) * np.expm1(np.abs(louder) * np.log(256)) / 255


STEPS = (  # how often, and what
    (1.0, _equalised),
    (0.3, _band_limited),
    (0.4, _in_a_room),
    (0.7, _with_background),
    (0.15, _clipped),
    (1.0, _levelled),
    (0.15, _coarse),
)
