"""Reading what people bring, and writing videos that read back as they were meant."""

import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from lipgan_colab.errors import InputError
from lipgan_colab.media.video import (
    SAMPLE_RATE,
    is_image,
    probe_video,
    read_image,
    read_speech,
    read_video,
    resample_frames,
    write_video,
)

# name: (frames, width, height, fps, frames at 25 fps, seconds of sound); None: no such thing in the file
TRICKY = {
    "dark_swiz3n.mp4": (75, 360, 288, 25, 75, 2.978),
    "face_leaves_swiz3n.mp4": (75, 360, 288, 25, 75, 2.978),
    "fps2997_pwij3p.mp4": (89, 360, 288, Fraction(30_000, 1001), 74, 2.978),
    "fps30_lbax4n.mp4": (90, 360, 288, 30, 75, 2.978),
    "fps60_s4.mp4": (180, 360, 288, 60, 75, 2.978),
    "gray_lbax4n.mp4": (75, 360, 288, 25, 75, 2.978),
    "lowres_96x80_s1.mp4": (75, 96, 80, 25, 75, 2.978),
    "mjpeg_pcm_8k_pwij3p.avi": (75, 360, 288, 25, 75, 2.978),
    "music_6dB_s1.mp4": (75, 360, 288, 25, 75, 2.978),
    "nosound_s1.mp4": (75, 360, 288, 25, 75, None),
    "oddsize_361x287_s1.mp4": (75, 361, 287, 25, 75, 2.978),
    "oneframe_s1.mp4": (1, 360, 288, 25, 1, None),
    "phone_rot180_swiz3n.mov": (75, 360, 288, 25, 75, 2.978),
    "phone_rot90_s1.mp4": (75, 360, 288, 25, 75, 2.978),
    "roll25_s4.mp4": (75, 360, 288, 25, 75, 2.978),
    "shift+8f_s1.mp4": (75, 360, 288, 25, 75, 2.978),
    "shift-8f_s1.mp4": (75, 360, 288, 25, 75, 2.978),
    "silence_s1.mp4": (75, 360, 288, 25, 75, 2.978),
    "stereo48k_s1.webm": (75, 360, 288, 25, 75, 2.978),
    "tinyface_1280x720_pwij3p.mp4": (75, 1280, 720, 25, 75, 2.978),
    "truncated_s1.mpg": (37, 360, 288, 25, 37, 1.463),
    "two_faces_s1_s4.mp4": (75, 720, 288, 25, 75, 2.978),
    "two_faces_small_big.mp4": (75, 720, 576, 25, 75, 2.978),
    "vfr_s1.mp4": (52, 360, 288, 25, 75, 2.978),
    "wrongsound_s1_pwij3p.mp4": (75, 360, 288, 25, 75, 2.978),
}
UNREADABLE = ["tricky/empty.mp4", "tricky/truncated.mp4", "speech/broken_header.wav"]

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

FLASH = 20  # frame number


def clicking_speech(seconds, at, rate=SAMPLE_RATE):
    """Silence with 10 ms of tone from `at` s on."""
    wave = np.zeros(round(seconds * rate), np.float32)
    start, length = round(at * rate), rate // 100
    wave[start : start + length] = 0.9 * np.sin(0.6 * np.arange(length))
    return wave


def click(wave, rate=SAMPLE_RATE):
    """The time in s at which the 10 ms of tone begin."""
    return int(np.convolve(wave**2, np.ones(rate // 100), "valid").argmax()) / rate


def flashing_frames(n=40, size=(48, 64), at=FLASH):
    return [np.full((*size, 3), 255 if k == at else 40, np.uint8) for k in range(n)]


def flash(frames):
    return int(np.argmax([frame.mean() for frame in frames]))


def mux(path, frames=(), frame_times=(), pieces=(), rate=SAMPLE_RATE, layout="mono", sound_codec="pcm_s16le"):
    """A file with time stamps of our own. pieces: (start in s, int16 (channels, n))."""
    with av.open(str(path), "w") as container:
        if len(frames):
            picture = container.add_stream("libx264", rate=25, options={"bf": "0"})
            picture.height, picture.width, picture.pix_fmt = *frames[0].shape[:2], "yuv420p"
            picture.codec_context.time_base = Fraction(1, 1000)
        if pieces:
            sound = container.add_stream(sound_codec, rate=rate, layout=layout)
        packets = []
        for time, rgb in zip(frame_times, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            packets += picture.encode(frame)
        packets += picture.encode(None) if len(frames) else []
        for start, samples in pieces:
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples.T).reshape(1, -1), format="s16", layout=layout
            )
            frame.sample_rate, frame.pts, frame.time_base = rate, round(start * rate), Fraction(1, rate)
            packets += sound.encode(frame)
        packets += sound.encode(None) if pieces else []
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)


def as_int16(wave):
    return (np.atleast_2d(wave) * 32767).astype(np.int16)


# --- reading video ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRICKY)
def test_tricky_videos(shared, name):
    path = shared / "data" / "tricky" / name
    frames, width, height, fps, at_25, sound = TRICKY[name]
    info = probe_video(path)
    assert (info.width, info.height, info.fps, info.has_sound) == (width, height, fps, sound is not None)
    read = list(read_video(path))
    times = [time for time, _ in read]
    assert len(read) == frames and times[0] == 0
    assert all(a < b for a, b in pairwise(times))
    assert times[-1] < info.duration + 0.05
    for _, rgb in read:
        assert rgb.shape == (height, width, 3) and rgb.dtype == np.uint8 and rgb.flags.c_contiguous
    assert sum(1 for _ in resample_frames(read, 25)) == at_25
    if sound is None:
        with pytest.raises(InputError, match="no sound"):
            read_speech(path)
    else:
        assert len(read_speech(path)) / SAMPLE_RATE == pytest.approx(sound, abs=0.001)


def test_the_tables_are_complete(shared):
    data = shared / "data"
    unreadable = {name.split("/")[1] for name in UNREADABLE}
    assert {p.name for p in (data / "tricky").iterdir()} - unreadable == set(TRICKY)
    assert {p.name for p in (data / "speech").iterdir()} - unreadable == set(SPEECH)


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_files_are_refused_in_one_line(shared, name):
    for read in (probe_video, lambda p: list(read_video(p)), read_speech):
        with pytest.raises(InputError) as error:
            read(shared / "data" / name)
        assert name.split("/")[1] in str(error.value) and "\n" not in str(error.value)


def test_what_is_no_video_is_refused(shared, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no video\n" * 100)
    missing, folder = tmp_path / "missing.mp4", tmp_path
    photo, song = shared / "data/photos/obama.jpg", shared / "data/speech/jfk.flac"
    for path in (text, missing, folder, photo, song):
        for read in (probe_video, lambda p: next(read_video(p))):
            with pytest.raises(InputError):
                read(path)
    for path in (text, missing, folder, photo):
        with pytest.raises(InputError):
            read_speech(path)


@pytest.mark.parametrize(
    "name, upright",
    [
        ("tricky/phone_rot90_s1.mp4", "tricky/nosound_s1.mp4"),
        ("tricky/phone_rot180_swiz3n.mov", "grid/others/swiz3n.mpg"),
    ],
)
def test_rotated_videos_come_upright(shared, name, upright):
    turned = list(read_video(shared / "data" / name))
    reference = list(read_video(shared / "data" / upright))
    for k in (0, 30, 74):
        assert np.abs(turned[k][1].astype(int) - reference[k][1]).mean() < 4


@pytest.mark.parametrize("name", ["brwa4p", "pbwx1s"])
def test_blank_opening_is_passed_over(shared, name):
    """Twelve frames of grey with only the moving parts painted on; the sound loses as much."""
    path = shared / "data" / "grid" / "s1" / f"{name}.mpg"
    frames = list(read_video(path))
    assert len(frames) == 63 and frames[0][0] == 0
    assert all(rgb.std() > 40 for _, rgb in frames)
    assert len(read_speech(path)) / SAMPLE_RATE == pytest.approx(2.978 - 0.48, abs=0.002)


def test_broken_packets_are_passed_over(shared):
    path = shared / "data" / "grid" / "s4" / "bbaf2a.mpg"
    times = [time for time, _ in read_video(path)]
    assert len(times) == 66 and times[-1] == pytest.approx(2.96)
    assert sum(1 for _ in resample_frames(read_video(path), 25)) == 75


def test_damage_anywhere_does_not_stop_reading(shared, tmp_path):
    rng = np.random.default_rng(0)
    for source in ("grid/s1/bbal7s.mpg", "tricky/nosound_s1.mp4", "tricky/stereo48k_s1.webm"):
        whole = (shared / "data" / source).read_bytes()
        for k in range(4):
            damaged = bytearray(whole)
            for place in rng.integers(2000, len(whole), 40):
                damaged[place] = int(rng.integers(256))
            path = tmp_path / f"{k}{source[-5:].replace('/', '')}"
            path.write_bytes(damaged[: len(damaged) - 3000 * (k % 2)])
            for read in (lambda p: list(read_video(p)), read_speech):
                try:
                    assert len(read(path)) > 0
                except InputError as error:
                    assert path.name in str(error)  # refused, with its name


def test_non_square_pixels_are_made_square(tmp_path):
    path = tmp_path / "dv.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert (probe_video(path).width, probe_video(path).height) == (96, 48)
    assert next(read_video(path))[1].shape == (48, 96, 3)


def test_stamps_that_start_anew_go_on(tmp_path):
    """Joined recordings: the second part's stamps are hours away."""
    times = [*np.arange(10) / 25, *(50_000 + np.arange(10) / 25)]
    mux(tmp_path / "a.mkv", flashing_frames(20, at=15), times)
    read = [time for time, _ in read_video(tmp_path / "a.mkv")]
    assert np.allclose(read, np.arange(20) / 25, atol=0.002)


# --- constant rate ---------------------------------------------------------------------------------------


def numbered(times):
    return [(float(t), np.full((2, 2, 3), k, np.uint8)) for k, t in enumerate(times)]


def numbers(frames):
    return [int(frame[0, 0, 0]) for frame in frames]


def test_equal_rates_keep_every_frame():
    for fps in (25, 30, Fraction(30_000, 1001)):
        jitter = np.random.default_rng(0).uniform(-0.004, 0.004, 100)
        jitter[0] = 0
        assert numbers(resample_frames(numbered(np.arange(100) / float(fps) + jitter), fps)) == list(range(100))


@pytest.mark.parametrize("source", [24, 29.97, 30, 50, 60])
def test_resampling_keeps_duration_and_shows_the_nearest(source):
    n = round(4 * source)
    got = numbers(resample_frames(numbered(np.arange(n) / source), 25))
    assert abs(len(got) / 25 - n / source) <= 0.02 + 1e-9
    lag = np.arange(len(got)) / 25 - np.array(got) / source
    assert np.abs(lag).max() <= max(0.5 / source, 0.02) + 1e-6
    assert abs(lag.mean()) < 0.004


def test_missing_pictures_hold_the_last_one():
    times = [0, 0.04, 0.08, 1.0, 1.04]
    got = numbers(resample_frames(numbered(times), 25))
    assert got == [0, 1] + [2] * 23 + [3, 4]


def test_a_duration_cuts_or_holds():
    frames = numbered(np.arange(10) / 25)
    assert numbers(resample_frames(frames, 25, duration=0.2)) == [0, 1, 2, 3, 4]
    assert numbers(resample_frames(frames, 25, duration=0.6)) == list(range(10)) + [9] * 5
    assert numbers(resample_frames(numbered([0]), 25)) == [0]
    assert numbers(resample_frames(numbered([0]), 25, duration=0.12)) == [0, 0, 0]
    assert numbers(resample_frames([], 25, duration=1)) == []


def test_resampling_streams():
    def endless():
        k = 0
        while True:
            yield k / 30, np.zeros((2, 2, 3), np.uint8)
            k += 1

    assert sum(1 for _ in resample_frames(endless(), 25, duration=2)) == 50


@pytest.mark.parametrize("fps", [0, -1, 1e6])
def test_impossible_rates_are_refused(fps):
    with pytest.raises(InputError):
        list(resample_frames(numbered([0]), fps))


# --- reading speech --------------------------------------------------------------------------------------


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


def test_a_cover_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(flashing_frames(1)[0], format="rgb24")))
        container.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(clicking_speech(1, 0.5)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with pytest.raises(InputError, match="no moving picture"):
        probe_video(path)
    assert click(read_speech(path)) == pytest.approx(0.5, abs=0.001)


# --- photos ----------------------------------------------------------------------------------------------


def test_photos(shared):
    for path in (shared / "data" / "photos").iterdir():
        assert is_image(path)
        rgb = read_image(path)
        assert rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.dtype == np.uint8 and rgb.std() > 10
    for folder in ("tricky", "speech", "grid/others"):
        assert not any(map(is_image, (shared / "data" / folder).iterdir()))


def test_pictures_of_every_kind(tmp_path):
    ramp = np.linspace(0, 255, 64).astype(np.uint8) * np.ones((32, 1), np.uint8)
    rgb = np.stack([ramp, ramp[:, ::-1], ramp], axis=2)
    path = tmp_path / "picture.png"

    Image.fromarray(rgb).save(path)
    assert (read_image(path) == rgb).all()
    Image.fromarray(ramp).save(path)
    assert (read_image(path) == ramp[..., None]).all()
    Image.fromarray(ramp.astype(np.uint16) * 257).save(path)
    assert np.abs(read_image(path).astype(int) - ramp[..., None]).max() <= 1
    Image.fromarray(np.dstack([rgb, 0 * ramp])).save(path)
    assert (read_image(path) == 255).all()
    Image.fromarray(rgb).convert("P").save(path, transparency=0)
    assert read_image(path).shape == rgb.shape

    for name, mode in (("p.jpg", "CMYK"), ("p.tif", "RGB"), ("p.webp", "RGB"), ("p.bmp", "RGB"), ("p.gif", "P")):
        Image.fromarray(rgb).convert(mode).save(tmp_path / name)
        assert is_image(tmp_path / name)
        assert np.abs(read_image(tmp_path / name).astype(int) - rgb).mean() < 20, name

    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: the stored picture is to be turned a quarter clockwise
    Image.fromarray(rgb).save(tmp_path / "phone.png", exif=exif)
    assert (read_image(tmp_path / "phone.png") == np.rot90(rgb, -1)).all()


def test_what_is_no_picture_is_refused(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:3000])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    for name in ("cut.png", "empty.jpg", "text.jpg", "missing.jpg"):
        with pytest.raises(InputError) as error:
            read_image(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)


# --- writing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [25, 29.97, Fraction(30_000, 1001), 60, 12.5, 23.976])
def test_written_videos_read_back(tmp_path, fps):
    path = tmp_path / "new folder" / "out.mp4"
    speech = clicking_speech(40 / float(fps), FLASH / float(fps))
    write_video(path, iter(flashing_frames()), fps, speech)
    info = probe_video(path)
    assert float(info.fps) == pytest.approx(float(fps), rel=1e-5) and info.has_sound
    assert info.duration == pytest.approx(40 / float(fps), abs=0.002)
    read = list(read_video(path))
    assert np.allclose([time for time, _ in read], np.arange(40) / float(fps), atol=1e-4)
    assert flash(frame for _, frame in read) == FLASH
    heard = read_speech(path)
    assert abs(len(heard) - len(speech)) <= 2
    assert click(heard) == pytest.approx(FLASH / float(fps), abs=0.001)


@pytest.mark.parametrize("seconds", [0.3, 0.8, 2.5])
def test_neither_picture_nor_sound_is_cut(tmp_path, seconds):
    path = tmp_path / "out.mp4"
    write_video(path, flashing_frames(20, at=3), 25, clicking_speech(seconds, 0.1))
    with av.open(str(path)) as container:
        assert container.duration / av.time_base == pytest.approx(max(seconds, 0.8), abs=0.01)
        assert container.start_time == 0
        assert all(stream.start_time == 0 for stream in container.streams)
    assert sum(1 for _ in read_video(path)) == 20
    assert len(read_speech(path)) == pytest.approx(seconds * SAMPLE_RATE, abs=2)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 11_111])
def test_sound_of_other_rates(tmp_path, rate):
    write_video(tmp_path / "out.mp4", flashing_frames(), 25, clicking_speech(1.6, 0.8, rate), rate)
    assert click(read_speech(tmp_path / "out.mp4")) == pytest.approx(0.8, abs=0.002)


@pytest.mark.parametrize("size", [(96, 128), (97, 131), (1, 1), (720, 1280)])
def test_colours_survive(tmp_path, size):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 150, 120)]
    path = tmp_path / "out.mp4"
    write_video(path, (np.full((*size, 3), c, np.uint8) for c in colours), 25)
    height, width = (side + side % 2 for side in size)
    for (_, rgb), colour in zip(read_video(path), colours, strict=True):
        assert rgb.shape == (height, width, 3)
        assert np.abs(rgb.astype(int) - colour).max() <= 5
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert frame.colorspace == 1 and frame.color_range == 1  # BT.709, limited: no player needs to guess


def test_a_real_clip_survives(shared, tmp_path):
    clip = shared / "data" / "grid" / "others" / "swiz3n.mpg"
    frames = [rgb for _, rgb in read_video(clip)][:25]
    write_video(tmp_path / "out.mp4", frames, 25)
    for (_, got), rgb in zip(read_video(tmp_path / "out.mp4"), frames, strict=True):
        assert 10 * math.log10(255**2 / np.mean((got.astype(float) - rgb) ** 2)) > 36


def test_the_file_says_that_it_is_synthetic(tmp_path):
    write_video(tmp_path / "out.mp4", flashing_frames(3), 25, comment="step 1000")
    with av.open(str(tmp_path / "out.mp4")) as container:
        said = container.metadata
    assert "Synthetic" in said["comment"] and "lipgan_colab" in said["comment"] and "step 1000" in said["comment"]
    assert "Synthetic" in said["description"]


def test_the_file_can_play_while_it_loads(tmp_path):
    write_video(tmp_path / "out.mp4", flashing_frames(), 25)
    content = (tmp_path / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("fail_at", [0, 1, 30])
def test_a_failing_source_leaves_nothing(tmp_path, fail_at):
    def failing():
        for k, frame in enumerate(flashing_frames()):
            if k == fail_at:
                raise RuntimeError("lost")
            yield frame

    (tmp_path / "out.mp4").write_bytes(b"older")
    with pytest.raises(RuntimeError, match="lost"):
        write_video(tmp_path / "out.mp4", failing(), 25, clicking_speech(1.6, 0.8))
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"older"


def test_bad_frames_are_refused(tmp_path):
    frames = flashing_frames(3)
    for bad in ([], [frames[0], frames[1][:-2]], [frames[0], frames[1].astype(np.float32)]):
        with pytest.raises(InputError):
            write_video(tmp_path / "out.mp4", bad, 25)
    with pytest.raises(InputError, match=r"\.mp4"):
        write_video(tmp_path / "out.avi", frames, 25)
    with pytest.raises(InputError):
        write_video(tmp_path / "out.mp4", frames, 0)
    assert not list(tmp_path.iterdir())


def test_unfinished_reading_closes_the_file(tmp_path):
    path = tmp_path / "out.mp4"
    write_video(path, flashing_frames(), 25, clicking_speech(1, 0.5))
    before = _open_files()
    for _ in range(5):
        frames = read_video(path)
        next(frames)
        frames.close()
        read_speech(path)
        probe_video(path)
    assert _open_files() <= before


def _open_files():
    try:
        return len(list(Path("/proc/self/fd").iterdir()))
    except FileNotFoundError:
        pytest.skip("this system does not list a process's open files")
