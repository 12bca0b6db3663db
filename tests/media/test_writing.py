"""Written videos read back as they were meant, whole or not at all."""

import math
from fractions import Fraction

import av
import numpy as np
import pytest
from made_media import FLASH, click, clicking_speech, flash, flashing_frames

from lipgan_colab.errors import InputError
from lipgan_colab.media.sound import read_sound, read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import probe_video, read_video
from lipgan_colab.media.writing import write_video


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


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_comes_out_as_it_went_in(tmp_path, rate, channels):
    """Its channels apart, its rate, and so few errors that nobody hears them, also of a quiet one."""
    random, path = np.random.default_rng(0), tmp_path / "out.mp4"
    for loud in (0.5, 0.005):
        times = np.arange(round(1.6 * rate)) / rate
        notes = [np.sin(2 * np.pi * (200 + 300 * n) * times) * (1 + np.sin(30 * times)) / 2 for n in range(channels)]
        given = loud * np.stack(notes) + loud / 1000 * random.normal(size=(channels, len(times)))
        write_video(path, flashing_frames(), 25, given.astype(np.float32), rate)
        got, found = read_sound(path)
        assert (found, len(got)) == (rate, channels) and abs(got.shape[1] - len(times)) <= 2
        n = min(got.shape[1], len(times))
        error = np.square(got[:, :n] - given[:, :n]).mean(axis=1)
        assert (10 * np.log10(np.square(given).mean(axis=1) / error) > 25).all()
    with av.open(str(path)) as container:
        assert container.streams.audio[0].bit_rate >= 64_000 * channels or rate < 44_100  # there fewer say it all


def test_speech_of_other_shapes_is_refused(tmp_path):
    for shape in ((3, 1000), (1000, 2), (1, 2, 1000)):
        with pytest.raises(ValueError, match="of shape"):
            write_video(tmp_path / "out.mp4", flashing_frames(), 25, np.zeros(shape, np.float32))


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
    write_video(tmp_path / "out.mp4", flashing_frames(3), 25, comment="step 1000 of m\udce9")
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
