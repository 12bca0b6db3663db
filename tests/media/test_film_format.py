"""What a film says of its pictures stays so in a film made of it."""

import shutil
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from made_media import encode

from lipgan_colab.errors import InputError
from lipgan_colab.media.encoding import Encoding
from lipgan_colab.media.film_format import FilmFormat, film_format
from lipgan_colab.media.video import read_video
from lipgan_colab.media.writing import write_video

PATCHES = np.array([[224, 172, 140], [110, 66, 44], [176, 72, 80], [128, 128, 128], [60, 90, 160], [200, 210, 60]])
FINE = {"crf": "4"}


def patches(size=(96, 192)):
    height, width = size
    return np.repeat(np.repeat(PATCHES[None], height, axis=0), width // 6, axis=1).astype(np.uint8)


def again(film, path, encoding):
    """A film made of another one's pictures, and the largest difference between the middles of both's patches."""
    before = [rgb for _, rgb in read_video(film)]
    write_video(path, before, 25, encoding=encoding, like=film_format(film))
    after = [rgb for _, rgb in read_video(path)]
    apart = [np.abs(a.astype(int) - b) for a, b in zip(after, before, strict=True)]
    height, width = before[0].shape[:2]
    apart = [a[height // 4 : -height // 4] for a in apart]
    return max(a[:, width // 12 :: width // 6].max() for a in apart)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1},
        {"colorspace": 5, "color_primaries": 5, "color_trc": 6, "color_range": 2},
        {"colorspace": 6},
        {"color_range": 2},
    ],
)
@pytest.mark.parametrize("height", [96, 720])
def test_colours_are_tagged_as_they_were_and_look_so(tmp_path, said, height):
    film = tmp_path / "film.mkv"
    matrix = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601}[said.get("colorspace", 5)]
    encode(film, [patches((height, 192))] * 2, "libx264", "yuv420p", options=FINE, matrix=matrix, **said)
    before = film_format(film)
    assert (before.width, before.height, before.pixel_aspect, before.timecode) == (192, height, 1, None)
    assert before.matrix == said.get("colorspace", 2) and before.primaries == said.get("color_primaries", 2)
    assert again(film, tmp_path / "made.mp4", Encoding()) <= 4
    assert film_format(tmp_path / "made.mp4") == before
    assert again(film, tmp_path / "made.mov", Encoding("h265")) <= 6
    assert film_format(tmp_path / "made.mov") == replace(before, range=before.range or 1)  # x265 says it always


@pytest.mark.parametrize("encoding, name", [(Encoding(), "made.mp4"), (Encoding("prores"), "made.mov")])
def test_the_shape_of_the_pixels_is_kept(tmp_path, encoding, name):
    film = tmp_path / "film.mkv"
    encode(film, [patches()] * 2, "libx264", "yuv420p", options=FINE, sample_aspect_ratio=Fraction(16, 15))
    assert next(read_video(film))[1].shape == (96, 205, 3)
    assert again(film, tmp_path / name, encoding) <= 6
    made = film_format(tmp_path / name)
    assert (made.width, made.height, made.pixel_aspect) == (192, 96, Fraction(16, 15))


def test_odd_sizes_and_pixels_gain_one_column(shared, tmp_path):
    film = shared / "data/tricky/oddsize_361x287_s1.mp4"
    like = replace(film_format(film), pixel_aspect=Fraction(2))
    frames = [np.repeat(rgb, 2, axis=1) for _, rgb in read_video(film)][:3]
    write_video(tmp_path / "made.mp4", frames, 25, like=like)
    made = film_format(tmp_path / "made.mp4")
    assert (made.width, made.height, made.pixel_aspect) == (362, 288, 2)


def test_a_turned_film_is_told_upright(shared):
    turned = film_format(shared / "data/tricky/phone_rot90_s1.mp4")
    assert (turned.width, turned.height) == (360, 288)


def test_a_turned_film_that_says_nothing_is_not_taken_for_another_one(tmp_path):
    """Of its stored 96 rows upright 720 are made, and those would be taken for BT.709."""
    stored = patches((96, 720))
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=FINE)
        stream.width, stream.height, stream.pix_fmt = 720, 96, "yuv420p"
        stream.set_display_rotation(90)
        for n in range(2):
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = n, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    before = [rgb for _, rgb in read_video(tmp_path / "film.mp4")]
    assert before[0].shape == (720, 96, 3)
    write_video(tmp_path / "made.mp4", before, 25, like=film_format(tmp_path / "film.mp4"))
    made = next(read_video(tmp_path / "made.mp4"))[1]
    assert np.abs(made.astype(int) - before[0])[60::120, 24:-24].max() <= 4


def test_films_of_other_light_become_ordinary_ones(shared):
    hdr = film_format(shared / "data/reports/hdr_hlg.mov")
    assert (hdr.matrix, hdr.primaries, hdr.transfer, hdr.range) == (1, 1, 1, 1)


@pytest.mark.parametrize("name", ["made.mp4", "made.mov"])
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_the_timecode_is_kept_as_a_track(tmp_path, name, codec):
    with av.open(str(tmp_path / "film.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["timecode"] = "10:20:30:04"
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    like = film_format(tmp_path / "film.mkv")
    assert like.timecode == "10:20:30:04"
    write_video(tmp_path / name, [np.zeros((48, 64, 3), np.uint8)] * 3, 25, encoding=Encoding(codec), like=like)
    assert film_format(tmp_path / name).timecode == "10:20:30:04"
    with av.open(str(tmp_path / name)) as container:
        assert [stream.type for stream in container.streams] == ["video", "data"]
    assert b"tmcd" in (tmp_path / name).read_bytes()


def test_a_timecode_that_its_rate_does_not_have_is_left_out(tmp_path):
    like = FilmFormat(64, 48, timecode="01:00:00;29")
    write_video(tmp_path / "made.mp4", [np.zeros((48, 64, 3), np.uint8)] * 3, 25, like=like)
    assert film_format(tmp_path / "made.mp4").timecode is None


def test_what_is_no_film_is_refused(tmp_path, shared):
    shutil.copy(shared / "data/photos/obama.jpg", tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg"):
        film_format(tmp_path / "a.jpg")
