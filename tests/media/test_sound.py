"""The sound of what people bring: as long as it is, in its place, without loss of level."""

import struct

import numpy as np
import pytest
from made_media import FLASH, as_int16, click, clicking_speech, flash, flashing_frames, mux

from lipgan_colab.errors import InputError
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


def test_gaps_ask_for_no_more_silence_than_a_file_of_that_size_could_hold(tmp_path):
    loud = as_int16(np.full(160, 0.5, np.float32))
    path = tmp_path / "a.mkv"
    mux(path, pieces=[(299.0 * n, loud) for n in range(20)])
    assert len(read_speech(path)) < 700 * SAMPLE_RATE  # and not 1.6 hours
    mux(path, pieces=[(0, loud), (250, loud)])
    assert len(read_speech(path)) == pytest.approx(250 * SAMPLE_RATE, rel=0.001)  # one long pause is one


def test_sound_that_unpacks_to_hours_is_refused(tmp_path):
    mux(tmp_path / "a.flac", pieces=[(0, np.zeros((1, 2_000_000), np.int16))], rate=1000, sound_codec="flac")
    assert (tmp_path / "a.flac").stat().st_size < 200_000
    with pytest.raises(InputError, match=r"a\.flac: .*s of sound in so small a file"):
        read_speech(tmp_path / "a.flac")


@pytest.mark.parametrize("rate", [1, 999, 517_021_568])
def test_rates_that_no_sound_has_are_refused(tmp_path, rate):
    """A sample a second would become 16 000, and the filter for half a billion takes half a gigabyte."""
    path = tmp_path / "a.wav"
    mux(path, pieces=[(0, as_int16(np.full(8000, 0.5, np.float32)))])
    body = bytearray(path.read_bytes())
    struct.pack_into("<II", body, 24, rate, 2 * rate % 2**32)
    path.write_bytes(body)
    with pytest.raises(InputError, match=f"a sound of {rate} samples a second"):
        read_speech(path)


def test_a_name_with_colons_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mux(tmp_path / "a.wav", pieces=[(0, as_int16(np.full(8000, 0.5, np.float32)))])
    (tmp_path / "a.wav").rename(tmp_path / "04.23:50.wav")
    assert len(read_speech("04.23:50.wav")) == 8000
