"""Interlaced films have no combs, and lose neither frames nor their times."""

import av
import numpy as np
from made_media import encode

from lipgan_colab.media.deinterlacing import deinterlaced
from lipgan_colab.media.video import read_video

INTERLACED = {"flags": "+ildct+ilme", "b": "8M"}


def combs(rgb):
    rows = rgb.astype(float)
    return np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean()


def moments(n, size=(96, 128)):
    """A bright block on its way to the right."""
    pictures = np.full((n, *size, 3), 60, np.uint8)
    for k, picture in enumerate(pictures):
        picture[20:76, 4 + 3 * k : 28 + 3 * k] = 220
    return pictures


def woven(pictures):
    """Two moments a frame, line by line, as a camera for television films."""
    frames = pictures[::2].copy()
    frames[:, 1::2] = pictures[1::2, 1::2]
    return frames


def decoded(path):
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def test_television_is_read_without_combs(shared):
    read = list(read_video(shared / "data/reports/interlaced_50i.mpg"))
    assert len(read) == 75
    assert np.allclose([time for time, _ in read], np.arange(75) / 25, atol=0.001)
    assert np.mean([combs(rgb) for _, rgb in read]) < 3  # as it is 6; one field of it, 1.6


def test_each_frame_shows_its_own_moment(tmp_path):
    pictures = moments(24)
    encode(tmp_path / "a.mpg", woven(pictures), "mpeg2video", "yuv420p", options=INTERLACED)
    read = list(read_video(tmp_path / "a.mpg"))
    assert np.allclose([time for time, _ in read], np.arange(12) / 25, atol=0.001)
    for (_, rgb), moment, later in list(zip(read, pictures[::2], pictures[1::2], strict=True))[1:-1]:
        off = [np.abs(rgb.astype(int) - picture).mean() for picture in (moment, later)]
        assert min(off) < 2.5 and combs(rgb) < 3


def test_what_is_not_interlaced_is_not_touched(tmp_path):
    encode(tmp_path / "a.mp4", moments(8), "libx264", "yuv420p")
    frames = list(decoded(tmp_path / "a.mp4"))
    assert all(a is b for a, b in zip(frames, deinterlaced(frames), strict=True))


def test_a_film_wrongly_said_to_be_interlaced_keeps_its_lines(shared, tmp_path):
    with av.open(str(shared / "data/tricky/nosound_s1.mp4")) as container:
        film = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][:12]
    encode(tmp_path / "a.mkv", film, "libx264", "yuv420p", options={"flags": "+ildct+ilme", "crf": "1"})
    assert all(frame.interlaced_frame for frame in decoded(tmp_path / "a.mkv"))
    pairs = zip(deinterlaced(decoded(tmp_path / "a.mkv")), decoded(tmp_path / "a.mkv"), strict=True)
    off = [a.to_ndarray(format="gray").astype(float) - b.to_ndarray(format="gray") for a, b in pairs]
    assert np.sqrt(np.square(off).mean()) < 2


def test_films_of_both_kinds_and_of_changing_size_lose_nothing(tmp_path):
    encode(tmp_path / "a.mpg", woven(moments(10)), "mpeg2video", "yuv420p", options=INTERLACED)
    encode(tmp_path / "b.mpg", moments(5), "mpeg2video", "yuv420p")
    encode(tmp_path / "c.mpg", woven(moments(10, (64, 96))), "mpeg2video", "yuv420p", options=INTERLACED)
    order = "babcacb"
    frames = [frame for name in order for frame in decoded(tmp_path / f"{name}.mpg")]
    for n, frame in enumerate(frames):
        frame.pts = 10 * n + n % 3
    expected = [(frame.pts, frame.width) for frame in frames]
    got = list(deinterlaced(iter(frames)))
    assert [(frame.pts, frame.width) for frame in got] == expected
    assert max(combs(frame.to_ndarray(format="rgb24")) for frame in got) < 5


def test_a_single_interlaced_frame(tmp_path):
    encode(tmp_path / "a.mpg", woven(moments(2)), "mpeg2video", "yuv420p", options=INTERLACED)
    assert len(list(read_video(tmp_path / "a.mpg"))) == 1
