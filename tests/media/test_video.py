"""Films that people bring, read: upright, in time, past every damage."""

import io
import shutil
import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from made_media import click, clicking_speech, encode, flashing_frames, mux
from PIL import Image

from lipgan_colab.corpora.corpus import folder
from lipgan_colab.corpora.subset import subset
from lipgan_colab.errors import InputError
from lipgan_colab.media.image import is_image, read_image
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import fast_enough, probe_video, read_video, resample_frames
from lipgan_colab.media.writing import write_video

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


def test_the_table_is_complete(shared):
    unreadable = {name.split("/")[1] for name in UNREADABLE}
    assert {p.name for p in (shared / "data" / "tricky").iterdir()} - unreadable == set(TRICKY)


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


@pytest.mark.parametrize(
    "matrix, seen",
    [
        ((-1, 0, 0, 1), lambda rgb: rgb[:, ::-1]),
        ((1, 0, 0, -1), lambda rgb: rgb[::-1]),
        ((0, 1, 1, 0), lambda rgb: rgb.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda rgb: rgb[::-1, ::-1].transpose(1, 0, 2)),
        ((0, 1, -1, 0), lambda rgb: np.rot90(rgb, -1)),
    ],
)
def test_mirrored_videos_are_read_as_players_show_them(tmp_path, matrix, seen):
    """Some phones store what their front camera sees as in a mirror, and say so."""
    rgb = np.full((48, 64, 3), 40, np.uint8)
    rgb[:20, :30] = 220
    path = tmp_path / "a.mp4"
    encode(path, [rgb] * 3, "libx264", "yuv420p")
    body = path.read_bytes()
    place = body.index(b"tkhd") + 44  # the matrix, in 16.16 and 2.30
    a, b, c, d = (value << 16 for value in matrix)
    path.write_bytes(body[:place] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + body[place + 36 :])
    read = next(read_video(path))[1]
    info = probe_video(path)
    assert read.shape == seen(rgb).shape == (info.height, info.width, 3)
    assert np.abs(read.astype(int) - seen(rgb)).mean() < 3


TRANSPARENT = {  # file: (codec, its format, format of the pixels, options)
    "a.webm": ("libvpx-vp9", "yuva420p", "rgba", {"auto-alt-ref": "0", "crf": "10", "b:v": "0"}),
    "b.webm": ("libvpx", "yuva420p", "rgba", {"auto-alt-ref": "0", "crf": "4", "b:v": "3M"}),
    "c.mov": ("prores_ks", "yuva444p10le", "rgba", {"profile": "4444"}),
    "d.mov": ("png", "rgba", "rgba", {}),
    "e.mov": ("qtrle", "argb", "argb", {}),
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_transparent_films_are_on_white(tmp_path, name):
    codec, pix_fmt, source, options = TRANSPARENT[name]
    rgba = np.zeros((48, 64, 4), np.uint8)
    rgba[:, :32] = (200, 40, 90, 255)
    clear = np.zeros_like(rgba)  # the first pictures show nothing at all
    frames = [picture[..., [3, 0, 1, 2]] if source == "argb" else picture for picture in [clear] * 2 + [rgba] * 3]
    encode(tmp_path / name, list(map(np.ascontiguousarray, frames)), codec, pix_fmt, source=source, options=options)
    read = [rgb.astype(int) for _, rgb in read_video(tmp_path / name)]
    assert len(read) == 5
    assert read[0].min() > 250 and read[-1][:, 36:].min() > 250
    assert np.abs(read[-1][:, :28] - (200, 40, 90)).max() < 12


def test_a_presenter_cut_out_looks_the_same_as_film_and_as_photo(shared):
    film = next(read_video(shared / "data/reports/presenter_alpha.webm"))[1].astype(int)
    assert np.abs(film - read_image(shared / "data/reports/presenter.png")).mean() < 3


def gif(path, delays):
    """A GIF of noise, its delays in hundredths of a second."""
    noise = np.random.default_rng(0).integers(0, 255, (len(delays), 12, 16, 3), np.uint8)
    first, *others = map(Image.fromarray, noise)
    first.save(path, save_all=True, append_images=others, duration=[10 * delay for delay in delays], loop=0)


@pytest.mark.parametrize(
    "delays, fps, times",
    [
        ([12] * 4, Fraction(25, 3), [0, 0.12, 0.24, 0.36]),
        ([5, 10, 30, 1, 0, 12], Fraction(600, 77), [0, 0.05, 0.15, 0.45, 0.55, 0.65]),
        ([0] * 4, 10, [0, 0.1, 0.2, 0.3]),
        ([1] * 4, 10, [0, 0.1, 0.2, 0.3]),
        ([2] * 4, 50, [0, 0.02, 0.04, 0.06]),
    ],
)
def test_gifs_play_as_in_a_browser(tmp_path, delays, fps, times):
    gif(tmp_path / "a.gif", delays)
    info = probe_video(tmp_path / "a.gif")
    assert info.fps == fps and info.duration == pytest.approx(len(delays) / fps)
    assert [time for time, _ in read_video(tmp_path / "a.gif")] == pytest.approx(times)


def test_files_are_asked_what_they_are_whatever_their_name(shared, tmp_path):
    shutil.copy(shared / "data/photos/obama_240p.jpg", tmp_path / "photo.mp4")
    shutil.copy(shared / "data/tricky/oneframe_s1.mp4", tmp_path / "film.jpg")
    shutil.copy(shared / "data/speech/libri_44k_128.mp3", tmp_path / "sound.jpg")
    (tmp_path / "text.jpg").write_text("hello\n" * 50)
    (tmp_path / "text.heic").write_text("hello\n" * 50)
    assert is_image(tmp_path / "photo.mp4") and read_image(tmp_path / "photo.mp4").shape == (240, 427, 3)
    assert not is_image(tmp_path / "film.jpg") and probe_video(tmp_path / "film.jpg").width == 360
    lines = {"sound.jpg": "there is sound, but no moving picture", "text.jpg": "neither a picture nor a video"}
    for name, line in (lines | {"text.heic": "this is no picture, video or sound"}).items():
        assert not is_image(tmp_path / name)
        for read in (probe_video, lambda path: next(read_video(path))):
            with pytest.raises(InputError, match=f"{name}: .*{line}"):
                read(tmp_path / name)


def test_slow_films_get_a_rate_at_which_lips_move():
    for fps in (Fraction(1, 10), 1, 8, Fraction(25, 3), 12.5, 15, 19):
        fast = fast_enough(Fraction(fps))
        assert 25 <= fast < 50 and (fast / Fraction(fps)).denominator == 1
    for fps in (20, Fraction(24_000, 1001), 25, Fraction(30_000, 1001), 60):
        assert fast_enough(Fraction(fps)) == fps


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


def film_that_claims(path, seconds: float):
    """A film of 1.2 s whose header says that it lasts so long."""
    mux(path, flashing_frames(30), np.arange(30) / 25)
    body = path.read_bytes()
    place = body.index(b"\x44\x89\x88") + 3  # Matroska's duration, a float of 8 bytes
    path.write_bytes(body[:place] + struct.pack(">d", 1000 * seconds) + body[place + 8 :])


@pytest.mark.parametrize("hours", [1e6, 0.1, 1e-5, 0])
def test_a_length_is_not_believed_that_the_file_cannot_hold(tmp_path, hours):
    path = tmp_path / "a.mkv"
    film_that_claims(path, 3600 * hours)
    assert probe_video(path).duration == pytest.approx(1.2, abs=0.05)
    with pytest.raises(InputError, match="the corpus has"):
        subset(folder(tmp_path), hours=0.01)


def test_recordings_that_do_not_say_how_long_they_are(shared):
    assert probe_video(shared / "data/reports/recording_without_duration.webm").duration == pytest.approx(
        2.97, abs=0.05
    )


def test_gaps_between_pictures_do_not_add_up_to_days(tmp_path):
    mux(tmp_path / "a.mkv", flashing_frames(30), 299.0 * np.arange(30))
    times = [time for time, _ in read_video(tmp_path / "a.mkv")]
    assert len(times) == 30 and times[-1] < 700 and (np.diff(times) > 0).all()
    assert probe_video(tmp_path / "a.mkv").duration < 700


def test_a_film_of_very_large_pictures_is_refused(tmp_path):
    """A PNG of 100 million equal pixels has 0.1 MB."""
    picture = io.BytesIO()
    Image.new("L", (10_000, 10_000)).save(picture, "PNG")
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 10_000, 10_000, "gray"
        for n in range(3):
            packet = av.Packet(picture.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, n, n, Fraction(1, 25)
            container.mux(packet)
    for read in (probe_video, lambda p: next(read_video(p))):
        with pytest.raises(InputError, match="not one picture"):
            read(path)
