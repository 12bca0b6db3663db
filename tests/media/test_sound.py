"""The sound of what people bring: as long as it is, in its place, without loss of level."""

import numpy as np
import pytest
from made_media import FLASH, as_int16, click, clicking_speech, flash, flashing_frames, mux

from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import read_video

SPEECH = {  # seconds
    "clipped.wav": 11.0,
    "jfk.flac": 11.0,
    "jfk_44k_24bit_stereo.wav": 4.0,
    "jfk_44k_stereo.m4a": 11.0,
    "jfk_48k_float.wav": 4.0,
    "jfk_8k_mono.wav": 11.0,
    "jfk_8k_ulaw.wav": 11.0,
    "jfk_long_pauses.wav": 16.0,
    "libri_198-209-0000.ogg": 13.91,
    "libri_44k_128.mp3": 13.91,
    "libri_48k.opus": 13.91,
    "libri_music_0dB.wav": 13.91,
    "noise_3s.wav": 3.0,
    "physicsworks_5.1.webm": 203.283,
    "silence_3s.wav": 3.0,
    "stereo_one_side.wav": 4.0,
    "three_channels.wav": 0.0001,
    "very_short_0.1s.wav": 0.1,
}


def test_the_table_is_complete(shared):
    unreadable = {"broken_header.wav"}
    assert {p.name for p in (shared / "data" / "speech").iterdir()} - unreadable == set(SPEECH)


@pytest.mark.parametrize("name", SPEECH)
def test_speech_files(shared, name):
    wave = read_speech(shared / "data" / "speech" / name)
    assert wave.dtype == np.float32 and wave.ndim == 1 and np.isfinite(wave).all()
    assert len(wave) / SAMPLE_RATE == pytest.approx(SPEECH[name], abs=0.001)
    assert np.abs(wave).max() <= 1
    if name not in ("silence_3s.wav", "three_channels.wav"):
        assert np.abs(wave).max() > 0.2


def test_formats_agree_with_each_other(shared):
    """No lag from the priming of mp3, AAC or opus; FFmpeg starts Vorbis 8 ms late, less than one MFCC column."""
    folder = shared / "data" / "speech"
    for reference, others in {
        "libri_198-209-0000.ogg": ("libri_44k_128.mp3", "libri_48k.opus"),
        "jfk_8k_mono.wav": ("jfk_8k_ulaw.wav", "jfk_44k_stereo.m4a", "jfk.flac"),
        "jfk_48k_float.wav": ("jfk_44k_24bit_stereo.wav", "stereo_one_side.wav"),
    }.items():
        a = read_speech(folder / reference)
        for other in others:
            b = read_speech(folder / other)
            n = min(len(a), len(b))
            spectrum = np.fft.rfft(a[:n]) * np.conj(np.fft.rfft(b[:n]))
            lag = int(np.fft.irfft(spectrum, n).argmax())
            assert min(lag, n - lag) <= (128 if reference.endswith(".ogg") else 4), other


def test_stereo_loses_no_level(tmp_path):
    tone = (0.5 * np.sin(0.2 * np.arange(16_000))).astype(np.float32)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    for sides, want in [
        ((tone, tone), tone),
        ((tone, 0 * tone), tone),
        ((0 * tone, tone), tone),
        ((tone, -tone), tone),
        ((tone, noise), (tone + noise) / 2),
    ]:
        mux(tmp_path / "s.wav", pieces=[(0, as_int16(np.stack(sides)))], layout="stereo")
        got = read_speech(tmp_path / "s.wav")
        assert min(np.abs(got - want).max(), np.abs(got + want).max()) < 1e-3


def test_the_centre_of_surround_sound_keeps_its_level(tmp_path):
    tone = (0.5 * np.sin(0.2 * np.arange(16_000))).astype(np.float32)
    channels = np.zeros((6, 16_000), np.float32)
    channels[2] = tone
    mux(tmp_path / "s.wav", pieces=[(0, as_int16(channels))], layout="5.1")
    assert np.abs(read_speech(tmp_path / "s.wav") - tone).max() < 1e-3


@pytest.mark.parametrize("video_start, sound_start", [(0, 0), (0, 0.4), (0.4, 0), (1.0, 0.7), (0.7, 1.0)])
def test_sound_belongs_to_the_first_frame(tmp_path, video_start, sound_start):
    """Flash and click at the same stamp come out at the same time, wherever the streams start."""
    path, moment = tmp_path / "a.mkv", video_start + FLASH / 25
    mux(
        path,
        flashing_frames(),
        video_start + np.arange(40) / 25,
        [(sound_start, as_int16(clicking_speech(2, moment - sound_start)))],
    )
    seen = flash(frame for _, frame in read_video(path)) / 25
    assert seen == FLASH / 25
    assert click(read_speech(path)) == pytest.approx(seen, abs=0.002)


def test_gaps_in_the_sound_are_silence(tmp_path):
    loud = as_int16(np.full(8000, 0.5, np.float32))
    mux(tmp_path / "a.mkv", pieces=[(0, loud), (1.5, loud)])
    wave = read_speech(tmp_path / "a.mkv")
    assert len(wave) == pytest.approx(2 * SAMPLE_RATE, abs=32)
    assert np.abs(wave[8100:23_900]).max() == 0
    assert wave[1000:7000].min() > 0.4 and wave[24_100:31_900].min() > 0.4


def test_sound_stamps_that_start_anew_go_on(tmp_path):
    loud = as_int16(np.full(8000, 0.5, np.float32))
    mux(tmp_path / "a.mkv", pieces=[(0, loud), (90_000, loud)])
    assert len(read_speech(tmp_path / "a.mkv")) == pytest.approx(16_000, abs=32)
