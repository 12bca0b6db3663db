"""Films of other codecs, and what cannot be asked of them."""

import math

import av
import numpy as np
import pytest
from made_media import clicking_speech, flashing_frames
from PIL import Image

from lipgan_colab.errors import InputError
from lipgan_colab.media.encoding import Encoding, check_video_name
from lipgan_colab.media.film_format import FilmFormat
from lipgan_colab.media.sound import read_sound, read_speech
from lipgan_colab.media.video import read_video
from lipgan_colab.media.writing import write_video


@pytest.fixture(scope="module")
def clip(shared):
    """A real person's frames, and stereo of 24 bits at a rate that AAC lacks."""
    frames = [rgb for _, rgb in read_video(shared / "data/grid/others/swiz3n.mpg")][:10]
    sound = np.random.default_rng(0).integers(-(2**22), 2**22, (2, 8000)) / 2**23
    return frames, sound.astype(np.float32), 20_000


def noise(read, given):
    return max(10 * math.log10(255**2 / np.mean((a.astype(float) - b) ** 2)) for a, b in zip(read, given, strict=True))


@pytest.mark.parametrize(
    "codec, name, tag, sound, least",
    [
        ("h265", "a.mp4", "hvc1", "aac", 38),
        ("h265", "a.mov", "hvc1", "aac", 38),
        ("prores", "a.mov", "apch", "pcm", 40),
    ],
)
def test_other_codecs_are_as_good(tmp_path, clip, codec, name, tag, sound, least):
    frames, speech, rate = clip
    write_video(tmp_path / name, frames, 25, speech, rate, encoding=Encoding(codec), comment="made by hand")
    read = [rgb for _, rgb in read_video(tmp_path / name)]
    assert noise(read, frames) > least
    with av.open(str(tmp_path / name)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.codec_context.codec_tag == tag and audio.codec_context.name.startswith(sound)
        assert video.codec_context.colorspace == 1 and "made by hand" in container.metadata["comment"]
        assert "Synthetic" in container.metadata["comment"]
        if codec == "prores":
            assert video.codec_context.profile == "HQ" and video.codec_context.pix_fmt == "yuv422p10le"
    assert len(read_speech(tmp_path / name)) == pytest.approx(16_000 * 0.4, abs=2)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_lossless_films_lose_nothing(tmp_path, clip, codec, name):
    frames, speech, rate = clip
    frames = [np.ascontiguousarray(frame[:-1, :-3]) for frame in frames]  # RGB needs no even sizes
    like = FilmFormat(320, 288, matrix=5, primaries=5, transfer=6, range=2)
    write_video(tmp_path / name, frames, 25, speech, rate, encoding=Encoding(codec, lossless=True), like=like)
    for (_, read), frame in zip(read_video(tmp_path / name), frames, strict=True):
        assert (read == frame).all()
    with av.open(str(tmp_path / name)) as container:
        heard = np.concatenate([f.to_ndarray().reshape(-1) for f in container.decode(audio=0)])
        assert container.streams.audio[0].codec_context.name == ("flac" if name == "a.mp4" else "pcm_s24le")
        assert container.streams.video[0].codec_context.color_primaries == 5
    assert (np.round(speech.astype(float) * 2**31) == heard.astype(np.int64).reshape(-1, 2).T).all()


@pytest.mark.parametrize("codec, name", [("h265", "a.mp4"), ("prores", "a.mov"), ("h264", "a.mov")])
def test_films_of_few_frames(tmp_path, clip, codec, name):
    for count in (1, 2, 3) * 3:  # what x265 says of so few is left to chance
        write_video(tmp_path / name, clip[0][:count], 25, encoding=Encoding(codec))
        assert [round(25 * time) for time, _ in read_video(tmp_path / name)] == list(range(count))


def test_crf_says_how_good(tmp_path, clip):
    frames = clip[0]
    for codec in ("h264", "h265"):
        sizes = []
        for crf in (5, None, 40):
            write_video(tmp_path / "a.mp4", frames, 25, encoding=Encoding(codec, crf))
            sizes.append((tmp_path / "a.mp4").stat().st_size)
        assert sizes[0] > 1.5 * sizes[1] > 3 * sizes[2]


def test_what_stands_still_does_not_flicker(tmp_path, clip):
    frames = [clip[0][0].copy() for _ in range(25)]
    for n, frame in enumerate(frames):  # only the mouth moves
        frame[180:250, 130:230] = clip[0][n % 10][180:250, 130:230]
    write_video(tmp_path / "a.mp4", frames, 25)
    above = [rgb[:150].astype(float) for _, rgb in read_video(tmp_path / "a.mp4")]
    assert np.abs(np.diff(above, axis=0)).mean() < 0.01  # grey levels


def test_pictures_in_a_folder(tmp_path, clip):
    frames, speech, rate = clip
    seen = []
    path = tmp_path / "new folder/pictures"
    for count in (10, 7):  # the second time instead of the first one's
        write_video(
            path,
            frames[:count],
            25,
            speech,
            rate,
            "by hand",
            Encoding("png"),
            finish=lambda f: seen.append(len(list(f.iterdir()))),
        )
        assert sorted(p.name for p in path.iterdir()) == [f"frame-{n:06d}.png" for n in range(count)] + ["sound.wav"]
    assert seen == [11, 8] and [p.name for p in path.parent.iterdir()] == ["pictures"]
    for n in range(7):
        with Image.open(path / f"frame-{n:06d}.png") as picture:
            assert (np.asarray(picture) == frames[n]).all()
            assert "Synthetic" in picture.text["Description"] and "by hand" in picture.text["Comment"]
    heard, found = read_sound(path / "sound.wav")
    assert found == 22_050 and heard.shape == (2, 8820)  # as AAC would have it
    with av.open(str(path / "sound.wav")) as container:
        assert container.streams.audio[0].rate == rate


def test_a_folder_is_there_whole_or_not_at_all(tmp_path, clip):
    def failing():
        yield from clip[0][:3]
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        write_video(tmp_path / "pictures", failing(), 25, encoding=Encoding("png"))
    assert not list(tmp_path.iterdir())
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/diary.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("pictures", "file"):
        with pytest.raises(InputError, match="another name"):
            write_video(tmp_path / name, clip[0], 25, encoding=Encoding("png"))
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["diary.txt", "file", "pictures"]


def test_a_film_is_finished_before_it_takes_its_name(tmp_path):
    path = tmp_path / "a.mp4"

    def finish(file):
        assert not path.exists() and len(list(read_video(file))) == 40
        with file.open("ab") as end:
            end.write(b"\0\0\0\x08free")

    write_video(path, flashing_frames(), 25, clicking_speech(1, 0.5), finish=finish)
    assert path.read_bytes().endswith(b"free")
    path.unlink()
    with pytest.raises(ZeroDivisionError):
        write_video(path, flashing_frames(), 25, finish=lambda file: 1 / 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "asked, line",
    [
        ({"codec": "vp9"}, "choose one of h264, h265, prores, png"),
        ({"crf": 52}, "from 0 to 51"),
        ({"crf": -1}, "from 0 to 51"),
        ({"crf": float("nan")}, "from 0 to 51"),
        ({"codec": "prores", "crf": 20}, "prores has no such scale"),
        ({"codec": "png", "crf": 20}, "png has no such scale"),
        ({"crf": 20, "lossless": True}, "lossless"),
        ({"codec": "prores", "lossless": True}, "never is"),
    ],
)
def test_contradictions_are_told_in_one_line(asked, line):
    with pytest.raises(InputError, match=line) as error:
        Encoding(**asked)
    assert "\n" not in str(error.value)


def test_names_have_to_fit(tmp_path):
    for codec, name in (("h264", "a.MP4"), ("h264", "a.mov"), ("h265", "a.mov"), ("prores", "a.mov"), ("png", "a")):
        check_video_name(name, Encoding(codec))
    wrong = {"h264": ".mp4 or .mov", "h265": ".mp4 or .mov", "prores": ".mov", "png": "without an ending"}
    for codec, said in wrong.items():
        with pytest.raises(InputError, match=said):
            check_video_name("a.avi", Encoding(codec))
    with pytest.raises(InputError, match=r"\.mov"):
        write_video(tmp_path / "a.mp4", flashing_frames(), 25, encoding=Encoding("prores"))
