"""The speech features against the authors' own numbers, and their windows against a plain loop."""

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.media.sound import read_speech
from lipgan_colab.speech.features import SpeechInput, mel, mfcc, windows


def golden(shared, name):
    values = np.load(shared / "golden" / f"{name}_golden.npz")
    pcm = np.load(shared / "golden" / "mfcc_golden.npz")["pcm"]
    return (pcm / 32768).astype(np.float32), values


def test_mfcc_is_the_authors(shared):
    wave, values = golden(shared, "mfcc")
    got = mfcc(wave)
    assert got.shape == (12, 296) and got.dtype == np.float32
    assert np.abs(got - values["mfcc"]).max() < 1e-4


@pytest.mark.parametrize("pad", ["constant", "reflect"])
def test_mel_is_the_authors(shared, pad):
    wave, values = golden(shared, "mel")
    got = mel(wave, pad=pad)
    assert got.shape == (80, 239) and got.dtype == np.float32
    assert np.abs(got - values[f"mel_{pad}"]).max() < 1e-3


@pytest.mark.parametrize("samples", [1, 2, 399, 400, 559, 560, 16_000])
def test_features_of_short_and_silent_sound_are_finite(samples):
    for wave in (np.zeros(samples, np.float32), np.full(samples, 1e-6, np.float32)):
        for features, columns in (
            (mfcc(wave), max(1, (samples - 400) // 160 + 1)),
            (mel(wave), samples // 200 + 1),
            (mel(wave, pad="reflect"), samples // 200 + 1),
        ):
            assert features.shape[1] == columns
            assert np.isfinite(features).all()


def test_silence_within_speech_is_finite():
    wave = np.random.default_rng(0).uniform(-1, 1, 32_000).astype(np.float32)
    wave[8000:24_000] = 0
    assert np.isfinite(mfcc(wave)).all() and np.isfinite(mel(wave)).all()
    assert (mfcc(wave)[:, 60:140] == 0).all()  # flat spectrum
    assert (mel(wave)[:, 50:110] == -4).all()  # the floor


def test_long_sound_is_the_same_as_in_pieces():
    wave = np.random.default_rng(1).uniform(-0.5, 0.5, 16_000 * 60).astype(np.float32)
    columns = mfcc(wave)
    late = mfcc(wave[160 * 5000 :])
    assert np.abs(columns[:, 5001 : 5000 + late.shape[1]] - late[:, 1:]).max() < 1e-4


def test_memory_does_not_grow_with_the_speech():
    most = []
    for minutes in (2, 8):
        wave = np.random.default_rng(0).normal(0, 0.1, minutes * 60 * 16_000).astype(np.float32)
        tracemalloc.start()
        mfcc(wave)
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert most[1] < most[0] + wave.nbytes / 2  # the features themselves grow


def test_a_tone_lands_in_its_band():
    tone = lambda hz: np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000).astype(np.float32)  # noqa: E731
    bands = [int(mel(0.5 * tone(hz))[:, 40].argmax()) for hz in (200, 800, 2000, 5000)]
    assert bands == sorted(bands) and len(set(bands)) == 4


def test_no_sound_is_refused():
    for features in (mfcc, mel):
        with pytest.raises(InputError, match="no speech"):
            features(np.zeros(0, np.float32))
    with pytest.raises(InputError, match="no speech"):
        windows(np.zeros((12, 0)), 3, 25)


RATES = [25, 24, 30, 50, 60, 12.5, Fraction(30_000, 1001), Fraction(24_000, 1001), 29.97, 23.976, 30_000 / 1001]


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize(
    "kind, rows, width, start",
    [
        ("mfcc", 12, 35, lambda f, fps: math.floor(100 * f / fps) - 16),
        ("mel", 80, 27, lambda f, fps: math.floor(80 * (f - 4) / fps)),
        ("wav2lip", 80, 16, lambda f, fps: math.floor(80 * f / fps)),
    ],
)
def test_windows_follow_the_formula(kind, rows, width, start, fps):
    exact = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
    frames, columns = 100, int(100 / fps * 85)  # the last windows reach past the end
    features = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    got = windows(features, frames, fps, kind)
    assert got.shape == (frames, rows, width) and got.dtype == np.float32
    for f in range(frames):
        first = start(f, exact)
        for k in range(width):
            at = min(max(first + k, 0), columns - 1)
            assert (got[f, :, k] == features[:, at]).all(), (f, k)


def test_windows_are_exact_at_whole_columns():
    """Frame 2997 of 29.97 fps is at 100 s: a column too early or late would show."""
    features = np.arange(20_000, dtype=np.float32)[None]
    assert windows(features, 1, 29.97, "mfcc", first_frame=2997)[0, 0, 16] == 10_000
    assert windows(features, 1, Fraction(30_000, 1001), "wav2lip", first_frame=30_000 // 8)[0, 0, 0] == 10_010


def test_windows_in_pieces_are_the_same():
    features = np.random.default_rng(2).normal(size=(12, 300)).astype(np.float32)
    whole = windows(features, 75, 25)
    pieces = [windows(features, 25, 25, first_frame=f) for f in (0, 25, 50)]
    assert (np.concatenate(pieces) == whole).all()


def test_every_frame_of_a_short_sound_has_its_window():
    assert windows(mfcc(np.ones(10, np.float32)), 5, 25).shape == (5, 12, 35)
    assert windows(mel(np.ones(10, np.float32)), 5, 25, "mel").shape == (5, 80, 27)


@pytest.mark.parametrize("fps", [0, -25])
def test_a_rate_must_be_positive(fps):
    with pytest.raises(InputError):
        windows(np.zeros((12, 10)), 3, fps)


def test_features_of_every_speech_file_are_finite(shared):
    for path in sorted((shared / "data" / "speech").glob("*.wav")):
        if path.name not in ("broken_header.wav", "three_channels.wav"):
            wave = read_speech(path)
            assert np.isfinite(mfcc(wave)).all() and np.isfinite(mel(wave)).all(), path.name


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("offset", [-8, -4, -1, 3])
@pytest.mark.parametrize(("kind", "rate", "early"), [("mfcc", 100, 16), ("mel", 80, None), ("wav2lip", 80, 0)])
def test_offsets_are_in_frames_of_a_25th(fps, offset, kind, rate, early):
    exact = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
    columns = np.arange(2000, dtype=np.float32)[None]
    got = windows(columns, 50, fps, kind, first_frame=40, offset=offset)[:, 0, 0]
    for i, f in enumerate(range(40, 90)):
        frame = f - 4 if kind == "mel" else f
        assert got[i] == max(0, math.floor(rate * (Fraction(frame) / exact + Fraction(offset, 25))) - (early or 0))


def test_at_25_frames_an_offset_is_a_frame():
    features = np.random.default_rng(3).normal(size=(80, 300)).astype(np.float32)
    for kind in ("mfcc", "mel", "wav2lip"):
        moved = windows(features, 20, 25, kind, first_frame=10, offset=-4)
        assert np.array_equal(moved, windows(features, 20, 25, kind, first_frame=6))


def test_speech_input_gives_what_the_network_hears():
    wave = np.random.default_rng(4).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    hears = SpeechInput("wav2lip", "reflect", -1)
    features = hears.features(wave)
    assert np.array_equal(features, mel(wave, "reflect"))
    assert np.array_equal(hears.windows(features, 20, 25, 2), windows(features, 20, 25, "wav2lip", 1))
    assert np.array_equal(SpeechInput("mel").features(wave), mel(wave, "constant"))
    assert np.array_equal(SpeechInput().features(wave), mfcc(wave))


@pytest.mark.parametrize("wrong", [{"kind": "lpc"}, {"padding": "wrap"}])
def test_unknown_speech_input_is_refused(wrong):
    with pytest.raises(ValueError, match="choose of mfcc, mel, wav2lip and constant, reflect"):
        SpeechInput(**wrong)


@pytest.mark.parametrize("fps", RATES)
def test_a_network_hears_the_same_time_around_a_frame_at_any_rate(fps):
    columns = np.arange(4000, dtype=np.float32)[None]
    for kind, rate, lead in (("mfcc", 100, 16), ("mel", 80, 12.8), ("wav2lip", 80, 0)):
        first = SpeechInput(kind).windows(columns, 50, fps, first_frame=60)[:, 0, 0]
        times = np.arange(60, 110) / float(fps) * rate - lead
        assert (np.abs(first + 0.5 - times) <= 0.5 + 1e-6).all()
