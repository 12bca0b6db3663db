"""The sound of what people bring: as long as it is, in its place, without loss of level."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from made_media import FLASH, as_int16, click, clicking_speech, flash, flashing_frames, mux

from lipgan_colab.errors import InputError
from lipgan_colab.media import sound
from lipgan_colab.media.sound import missing_from, pick_track, read_sound, read_speech
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
    "very_short_0.1s.wav": 0.1,
}


def test_the_table_is_complete(shared):
    unreadable = {"broken_header.wav", "three_channels.wav"}
    assert {p.name for p in (shared / "data" / "speech").iterdir()} - unreadable == set(SPEECH)


@pytest.mark.parametrize("name", SPEECH)
def test_speech_files(shared, name):
    wave = read_speech(shared / "data" / "speech" / name)
    assert wave.dtype == np.float32 and wave.ndim == 1 and np.isfinite(wave).all()
    assert len(wave) / SAMPLE_RATE == pytest.approx(SPEECH[name], abs=0.001)
    assert np.abs(wave).max() <= 1
    if name != "silence_3s.wav":
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


def decoded_plainly(path, rate: int, layout: str) -> np.ndarray:
    """All of a sound, frame after frame, whatever its time stamps and durations say: float32 (channels, n)."""
    resampler, pieces = av.AudioResampler(format="fltp", layout=layout, rate=rate), []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            pieces += resampler.resample(frame)
    return np.concatenate([piece.to_ndarray() for piece in pieces + resampler.resample(None)], axis=1)


def check_nothing_is_cut_out(path, filling: int = 0) -> None:
    """filling: samples by which an encoder may have filled up its last frame, which are none of the sound."""
    sound, rate = read_sound(path)
    with av.open(str(path)) as container:
        codec = container.streams.audio[0].codec_context
        assert rate == codec.sample_rate
        layout = "stereo" if codec.layout.nb_channels == 2 else "mono"
    for got, want in [
        (sound, decoded_plainly(path, rate, layout)),
        (read_speech(path)[None], decoded_plainly(path, SAMPLE_RATE, layout)),
    ]:
        want = want.mean(axis=0, keepdims=True) if len(got) < len(want) else want
        assert -filling - 1 <= got.shape[1] - want.shape[1] <= 1
        n = min(got.shape[1], want.shape[1])
        assert np.abs(got[:, :n] - want[:, :n]).max() < 1e-3


@pytest.mark.parametrize(
    ("name", "codec", "bit_rate"),
    [
        *[("a.ogg", "vorbis", bit_rate) for bit_rate in (64_000, 128_000, 256_000)],
        *[(name, "libopus", None) for name in ("a.opus", "a.webm")],
        *[(name, "aac", None) for name in ("a.m4a", "a.aac", "a.mkv", "a.ts")],
        *[(name, "libmp3lame", None) for name in ("a.mp3", "a.avi")],
        *[("a.flac", "flac", None), ("a.wav", "pcm_s16le", None), ("a.mov", "pcm_s16le", None)],
    ],
)
def test_nothing_is_cut_out_of_a_sound(tmp_path, name, codec, bit_rate):
    path, rate = tmp_path / name, 48_000
    random = np.random.default_rng(0)
    swelling = 0.3 * np.abs(np.sin(np.arange(2.5 * rate) * 9 / rate)) ** 6  # syllables, hard and soft
    noise = (swelling * random.uniform(-1, 1, (2, len(swelling)))).astype(np.float32)
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate, layout="stereo", options={"strict": "experimental"})
            stream.bit_rate = bit_rate or 128_000
            frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            for packet in stream.encode(frame) + stream.encode(None):
                container.mux(packet)
    except (av.FFmpegError, ValueError) as error:
        pytest.skip(f"no encoder of {codec} here: {error}")
    check_nothing_is_cut_out(path, filling=1024 if name == "a.m4a" else 0)


@pytest.mark.parametrize("name", ["libri_198-209-0000.ogg", "libri_44k_128.mp3", "libri_48k.opus", "jfk.flac"])
def test_nothing_is_cut_out_of_real_speech(shared, name):
    """libvorbis changes the size of its frames on the way, which FFmpeg's own encoder does not."""
    check_nothing_is_cut_out(shared / "data" / "speech" / name)


def test_what_fills_up_the_last_frame_of_mp4_is_no_sound(tmp_path):
    path = tmp_path / "a.m4a"
    mux(path, pieces=[(0, as_int16(clicking_speech(0.55, 0.2)))], sound_codec="aac")
    assert len(read_speech(path)) == pytest.approx(0.55 * SAMPLE_RATE, abs=1)


def test_sound_keeps_its_channels_and_its_rate(tmp_path):
    random = np.random.default_rng(0)
    for layout, channels, kept in (("mono", 1, 1), ("stereo", 2, 2), ("5.1", 6, 2)):
        for rate, wanted in ((8000, 8000), (44_100, 44_100), (48_000, 48_000), (96_000, 48_000)):
            waves = as_int16(random.uniform(-0.1, 0.1, (channels, rate)))
            mux(tmp_path / "a.wav", pieces=[(0, waves)], rate=rate, layout=layout)
            sound, found = read_sound(tmp_path / "a.wav")
            assert (found, sound.shape) == (wanted, (kept, wanted)) and sound.dtype == np.float32
            if kept == channels and wanted == rate:
                assert np.array_equal(sound, waves / np.float32(32768))


def test_the_silent_side_of_a_recording_stays_silent(tmp_path):
    tone = (0.5 * np.sin(0.2 * np.arange(16_000))).astype(np.float32)
    mux(tmp_path / "s.wav", pieces=[(0, as_int16(np.stack([tone, 0 * tone])))], layout="stereo")
    left, right = read_sound(tmp_path / "s.wav")[0]
    assert np.abs(left - tone).max() < 1e-3 and not right.any()


def tracks(path, *levels: float, default: int | None = None) -> None:
    """A second of sound for each level, a track each; the one of this number, from 1, is flagged to be played."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono") for _ in levels]
        for number, stream in enumerate(streams, 1):
            if default is not None:
                stream.disposition = Disposition.default if number == default else Disposition(0)
        for stream, loud in zip(streams, levels, strict=True):
            wave = loud * np.sign(np.sin(0.2 * np.arange(SAMPLE_RATE)))
            frame = av.AudioFrame.from_ndarray(as_int16(wave), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
            for packet in stream.encode(frame) + stream.encode(None):
                container.mux(packet)


@pytest.mark.parametrize(
    ("levels", "default", "taken"),
    [
        ((0.3, 0.5), None, 1),
        ((0.3, 0.5), 2, 2),
        ((0.0, 0.5), None, 2),
        ((0.0, 0.5), 1, 2),  # flagged, and silent throughout
        ((0.5, 0.0), 2, 1),
        ((0.0, 0.00004, 0.002), None, 3),  # the last steps of 16 bits are silence, a far voice is not
        ((0.0, 0.0), 2, 2),
        ((0.001, 0.5), None, 2),  # hiss, it may be
        ((0.001, 0.5, 0.3), 1, 2),
        ((0.0, 0.001, 0.5), None, 3),
        ((0.001, 0.005), None, 1),  # not much louder
        ((0.01, 0.5), None, 1),  # not faint
        ((0.5, 0.001), 2, 1),
    ],
)
def test_of_several_tracks_the_flagged_one_that_is_not_silent_is_read(tmp_path, levels, default, taken):
    path = tmp_path / "a.mkv"
    tracks(path, *levels, default=default)
    assert pick_track(path) == (taken, len(levels))
    assert np.abs(read_speech(path)).max() == pytest.approx(levels[taken - 1], abs=1e-4)
    assert np.abs(read_sound(path)[0]).max() == pytest.approx(levels[taken - 1], abs=1e-4)
    for number, loud in enumerate(levels, 1):  # who names one gets it
        assert np.abs(read_speech(path, number)).max() == pytest.approx(loud, abs=1e-4)


def test_a_track_that_is_not_there_is_told_in_one_line(tmp_path):
    tracks(tmp_path / "a.mkv", 0.3, 0.5)
    with pytest.raises(InputError, match=r"a\.mkv: there is no sound track 3 that .*; choose one of 1, 2$"):
        read_speech(tmp_path / "a.mkv", 3)
    tracks(tmp_path / "a.mkv", 0.3)
    with pytest.raises(InputError, match=r"a\.mkv: there is no sound track 2 .*; it has one$"):
        pick_track(tmp_path / "a.mkv", 2)


def test_silence_is_looked_for_only_where_there_is_a_choice(tmp_path, monkeypatch):
    tracks(tmp_path / "one.mkv", 0.0)
    tracks(tmp_path / "two.mkv", 0.3, 0.5)
    looked = []
    monkeypatch.setattr(sound, "_swing", lambda frame: looked.append(frame) or 1.0)
    assert pick_track(tmp_path / "one.mkv") == (1, 1) and not looked
    assert pick_track(tmp_path / "two.mkv") == (1, 2) and len(looked) == 1  # and no more than the first sound


@pytest.mark.parametrize(("name", "stated"), [("jfk.flac", 11), ("jfk_48k_float.wav", 4), ("libri_44k_128.mp3", 13.91)])
def test_a_file_that_ends_too_early_is_told(shared, tmp_path, name, stated):
    body = (shared / "data" / "speech" / name).read_bytes()
    (tmp_path / name).write_bytes(body[: len(body) * 6 // 10])
    for path, found in ((tmp_path / name, pytest.approx(stated, abs=0.01)), (shared / "data" / "speech" / name, None)):
        assert missing_from(path, 1, len(read_speech(path)) / SAMPLE_RATE) == found


def test_a_recording_that_ends_too_early_is_told_where_there_is_no_picture(tmp_path):
    path, sound = tmp_path / "a.mkv", [(0, as_int16(clicking_speech(4, 0.2)))]
    for film in ([(), ()], [flashing_frames(), np.arange(40) / 25]):
        mux(path, *film, sound)
        assert missing_from(path, 1, 3.9) is None
        assert missing_from(path, 1, 2.0) == (None if len(film[0]) else pytest.approx(4, abs=0.05))


@pytest.mark.parametrize("name", ["libri_48k.opus", "libri_198-209-0000.ogg"])
def test_of_files_that_do_not_say_how_long_they_are_nothing_is_missing(shared, name):
    assert missing_from(shared / "data" / "speech" / name, 1, 1.0) is None


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


@pytest.mark.parametrize("video_start, sound_start", [(0.85, 0), (0, 0.85)])
def test_a_sound_that_is_wanted_alone_is_all_of_it(tmp_path, video_start, sound_start):
    path = tmp_path / "a.mkv"
    mux(
        path,
        flashing_frames(),
        video_start + np.arange(40) / 25,
        [(sound_start, as_int16(clicking_speech(2, 0.3)))],
    )
    wave = read_speech(path, alone=True)
    assert len(wave) == pytest.approx(2 * SAMPLE_RATE, abs=32)
    assert click(wave) == pytest.approx(0.3, abs=0.002)
    sound, rate = read_sound(path, alone=True)
    assert click(sound[0], rate) == pytest.approx(0.3, abs=0.002)


@pytest.mark.parametrize("samples", [1, 2, 100, 399])
def test_a_few_samples_are_no_speech(tmp_path, samples):
    for read in (read_speech, read_sound):
        mux(tmp_path / "a.wav", pieces=[(0, as_int16(np.full(samples, 0.5)))])
        with pytest.raises(InputError, match=r"a\.wav: there is .* ms of sound in this file; give more speech$"):
            read(tmp_path / "a.wav")
        mux(tmp_path / "a.wav", pieces=[(0, as_int16(np.full(400, 0.5)))])
        read(tmp_path / "a.wav")


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
