"""A part of a film replaced: all else is the film, packet by packet."""

import logging
import math
import shutil
from contextlib import contextmanager
from fractions import Fraction

import av
import av.logging
import numpy as np
import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.media.copyable import NotCopyable, spliceable
from lipgan_colab.media.encoding import Encoding
from lipgan_colab.media.film_format import film_format
from lipgan_colab.media.h264 import IDR, SPS, ParameterSets, kind, prefixed_units, sps_facts, streamed_units
from lipgan_colab.media.sound import read_sound
from lipgan_colab.media.splicing import splice_video
from lipgan_colab.media.video import probe_video, read_video, resample_frames
from lipgan_colab.media.writing import write_video

REAL = {  # and stretches of them
    "grid/s4/bbilzs_360.mkv": [(37, 50)],
    "reports/interview.mp4": [(50, 61)],
    "reports/one_talk_with_cuts.mp4": [(92, 93), (170, 180)],
    "tricky/face_leaves_swiz3n.mp4": [(0, 3), (49, 75)],
    "tricky/phone_rot90_s1.mp4": [(30, 40)],
}
MADE = {  # x264's settings and what else is to be said of it
    "b_frames.mp4": ("keyint=24:bframes=4:b-pyramid=normal:ref=4", {}),
    "open.mkv": ("keyint=24:bframes=3:open-gop=1:scenecut=0", {}),
    "refreshed.mp4": ("keyint=24:intra-refresh=1", {}),
    "slices.mov": ("keyint=16:slices=3:bframes=2", {"timecode": "10:20:30:04"}),
    "baseline.mp4": ("keyint=24:sps-id=2", {"options": {"profile": "baseline"}}),
    "all_keys.mp4": ("keyint=1", {}),
    "stream.ts": ("keyint=24:bframes=3", {}),
    "headers.mp4": ("keyint=24:repeat-headers=1", {}),
    "turned.mov": ("keyint=24", {"turned": 270, "sample_aspect_ratio": Fraction(16, 15), "timecode": "10:20:30:04"}),
    "full.mp4": ("keyint=24", {"color_range": 2, "colorspace": 5, "color_primaries": 5, "color_trc": 6}),
}


def why_not(path, fps, encoding) -> str | None:
    """Why a film's pictures cannot be copied; None if they can."""
    try:
        spliceable(path, fps, encoding)
    except NotCopyable as reason:
        return str(reason)


@pytest.fixture(scope="module")
def pictures(shared):
    """A real person, rather small."""
    film = read_video(shared / "data/tricky/face_leaves_swiz3n.mp4")
    return [np.ascontiguousarray(rgb[16:272:2, 20:340:2]) for _, rgb in film][:60]


def make(path, frames, x264="", turned=0, timecode=None, options=None, pix_fmt="yuv420p", stamps=None, fps=25, **tags):
    with av.open(str(path), "w") as container:
        more = {"x264-params": x264} if x264 else {}
        stream = container.add_stream("libx264", rate=fps, options=(options or {}) | more)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pix_fmt
        stream.codec_context.time_base = Fraction(1, fps)
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        if turned:
            stream.set_display_rotation(turned)
        if timecode:
            stream.metadata["timecode"] = timecode
        for n, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = n if stamps is None else stamps[n], Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def packets(path):
    """The packets' units, in the order of decoding, and when they are shown."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        cut = prefixed_units if stream.codec_context.extradata[0] == 1 else streamed_units
        return [(cut(bytes(p)), float(p.pts * p.time_base)) for p in container.demux(stream) if p.size]


@contextmanager
def told():
    """What FFmpeg says of what it decodes."""
    lines, log = [], logging.getLogger("libav")
    listener = logging.Handler()
    listener.emit = lambda record: lines.append(record.getMessage())
    log.addHandler(listener)
    av.logging.set_level(av.logging.WARNING)
    try:
        yield lines
    finally:
        av.logging.set_level(None)
        log.removeHandler(listener)


def noise(a, b):
    return 10 * math.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b) ** 2)))


def check(film, out, stretches):
    """Replace stretches of a film and see what has become of all of it."""
    fps = probe_video(film).fps
    splice = spliceable(film, fps, Encoding())
    before = list(resample_frames(read_video(film), fps))
    assert splice is not None and splice.frames == len(before)
    ranges = splice.widened(stretches)
    anew = [n for first, end in ranges for n in range(first, end)]
    changed = {n for first, end in stretches for n in range(first, end)}
    assert changed <= set(anew)
    given = {n: before[n][:, ::-1] if n in changed else before[n] for n in anew}
    speech = np.sin(np.arange(round(16_000 * len(before) / float(fps))) / 10).astype(np.float32) / 2
    splice_video(out, splice, ranges, given.values(), speech, 16_000, "by hand", Encoding())
    with told() as lines:
        made = list(read_video(out))
    assert not [line for line in lines if "deprecated pixel format" not in line]
    assert len(made) == len(before)
    assert np.allclose([time for time, _ in made], [time for time, _ in read_video(film)], atol=1e-6)
    for n, (_, rgb) in enumerate(made):
        assert noise(rgb, given[n]) > 33 if n in given else (rgb == before[n]).all(), n
    stored, copied = packets(film), packets(out)
    for n, ((old, old_time), (new, new_time)) in enumerate(zip(stored, copied, strict=True)):
        if n not in given:
            assert new == [unit for unit in old if kind(unit) not in (7, 8) or not str(film).endswith(".ts")]
            assert new_time == pytest.approx(old_time - min(time for _, time in stored), abs=1e-6)
    assert film_format(out) == film_format(film)
    heard, rate = read_sound(out)
    assert rate == 16_000 and abs(heard.shape[1] - len(speech)) <= 2
    with av.open(str(out)) as container:
        assert "Synthetic" in container.metadata["comment"] and "by hand" in container.metadata["comment"]
    return splice, ranges


@pytest.mark.parametrize("name", REAL)
def test_real_films(shared, tmp_path, name):
    check(shared / "data" / name, tmp_path / "out.mp4", REAL[name])


@pytest.mark.parametrize("name", MADE)
def test_films_of_every_kind(tmp_path, pictures, name):
    film, (settings, more) = tmp_path / name, MADE[name]
    make(film, pictures, settings, **more)
    splice, ranges = check(
        film, tmp_path / f"out{film.suffix if film.suffix == '.mov' else '.mp4'}", [(20, 23), (40, 41)]
    )
    for first, end in ranges:
        assert 0 <= min(abs(first - n) for n in (20, 40)) <= 5  # of B-frames
        assert end == len(pictures) or end in splice.keys
    if name in ("open.mkv", "refreshed.mp4"):
        assert ranges[-1][1] == len(pictures) and splice.keys == (0,)  # what looks like a beginning is none


@pytest.mark.parametrize("name", ["b_frames.mp4", "open.mkv", "stream.ts", "turned.mov"])
def test_reading_from_anywhere_is_reading_from_the_start(tmp_path, pictures, name):
    settings, more = MADE[name]
    make(tmp_path / name, pictures, settings, **more)
    splice = spliceable(tmp_path / name, 25, Encoding())
    before = list(resample_frames(read_video(tmp_path / name), 25))
    for first in (0, 1, 23, 24, 25, 47, 59):
        read = list(splice.read(first))
        assert [n for n, _ in read] == list(range(first, 60))
        assert all((rgb == before[n]).all() for n, rgb in read)


def test_damaged_pictures_are_held_as_ever(tmp_path, pictures):
    damaged = 33  # after a damaged IDR picture FFmpeg does not always make the same of those that refer to it
    make(tmp_path / "film.mp4", pictures, "keyint=24:scenecut=0:bframes=0:threads=1:sliced-threads=0")
    with av.open(str(tmp_path / "film.mp4")) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    body, (start, size) = bytearray((tmp_path / "film.mp4").read_bytes()), places[damaged]
    body[start + 8 : start + size] = bytes(255 - n % 7 for n in range(size - 8))
    (tmp_path / "film.mp4").write_bytes(body)
    splice = spliceable(tmp_path / "film.mp4", 25, Encoding())
    before = list(resample_frames(read_video(tmp_path / "film.mp4"), 25))
    assert (before[damaged] == before[damaged - 1]).all() and (before[damaged + 1] != before[damaged]).any()
    for first in (0, 30, damaged, damaged + 1):
        read = list(splice.read(first))
        assert [n for n, _ in read] == list(range(first, 60)) and all((rgb == before[n]).all() for n, rgb in read)


def test_without_any_loss_nothing_is_copied(shared):
    assert "another kind" in why_not(shared / "data/reports/interview.mp4", 25, Encoding(crf=0))


def test_what_has_to_be_encoded_anew(shared):
    splice = spliceable(shared / "data/reports/interview.mp4", 25, Encoding())
    assert splice.frames == 120 and splice.keys == (0, 40, 80)
    [(first, end)] = splice.widened([(60, 70)])
    assert 56 <= first <= 60 and end == 80
    assert splice.widened([(0, 1)]) == [(0, 40)]
    assert splice.widened([(40, 80)]) == [(40, 80)]
    assert splice.widened([(119, 120)])[0][1] == 120
    assert splice.widened([(80, 90), (10, 20), (78, 79)]) == [
        *splice.widened([(10, 20)]),
        (splice.widened([(78, 79)])[0][0], 120),
    ]
    assert splice.widened(splice.widened([(60, 70)])) == [(first, end)]
    for wrong in ((-1, 3), (5, 5), (119, 121)):
        with pytest.raises(ValueError, match="of a film of 120"):
            splice.widened([wrong])


def test_slices_name_their_own_parameters(tmp_path, shared):
    film = shared / "data/reports/interview.mp4"
    splice = spliceable(film, 25, Encoding())
    frames = [np.zeros((288, 360, 3), np.uint8)] * 40
    splice_video(tmp_path / "out.mp4", splice, [(40, 80)], frames, None, 16_000, "", Encoding(crf=30))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        sets = ParameterSets.read(container.streams.video[0].codec_context.extradata)
    assert [sps_facts(sps).number for sps in sets.sps] == [0, 1] and len(sets.pps) == 2
    assert sets.sps[0] == splice.sets.sps[0] and kind(sets.sps[1]) == SPS
    made = packets(tmp_path / "out.mp4")
    assert any(kind(unit) == IDR for unit in made[40][0])


@pytest.mark.parametrize(
    "name, fps, said",
    [
        ("tricky/vfr_s1.mp4", 25, "rate"),
        ("tricky/nosound_s1.mp4", 30, "rate"),
        ("reports/one_frame_a_second.mp4", 25, "rate"),
        ("reports/hdr_hlg.mov", 30, "hevc"),
        ("reports/interlaced_50i.mpg", 25, "mpeg2video"),
        ("tricky/oddsize_361x287_s1.mp4", 25, "yuv444p"),
        ("tricky/stereo48k_s1.webm", 25, "vp9"),
    ],
)
def test_films_that_cannot_be_copied(shared, name, fps, said):
    assert why_not(shared / "data" / name, fps, Encoding()) is not None
    assert said in why_not(shared / "data" / name, fps, Encoding())


def test_pictures_that_cannot_be_copied(tmp_path, pictures):
    for name, said, settings, more in (
        ("a.mp4", "interlaced", "tff=1", {}),
        ("a.mp4", "yuv420p10le", "", {"pix_fmt": "yuv420p10le"}),
        ("a.mp4", "rate", "", {"stamps": [n + (n > 30) for n in range(60)]}),
        ("a.mp4", "range|light", "", {"color_primaries": 9, "color_trc": 16, "colorspace": 9}),
        ("a.avi", "kind avi", "keyint=24", {}),
    ):
        make(tmp_path / name, pictures, settings, **more)
        assert why_not(tmp_path / name, 25, Encoding()) is not None
        assert any(word in why_not(tmp_path / name, 25, Encoding()) for word in said.split("|"))
    make(tmp_path / "a.mp4", pictures)
    for encoding in (Encoding("h265"), Encoding("prores"), Encoding("png"), Encoding(lossless=True)):
        assert why_not(tmp_path / "a.mp4", 25, encoding) is not None
    assert why_not(tmp_path / "a.mp4", 25, Encoding(crf=30)) is None


def test_a_film_that_is_trimmed_by_its_edit_list_is_not_copied(tmp_path, pictures):
    """As phones trim: the pictures before the beginning are there, and are not shown."""
    make(tmp_path / "a.mp4", pictures, "keyint=48:bframes=0")
    body = bytearray((tmp_path / "a.mp4").read_bytes())
    at = body.index(b"elst") + 16
    start = int.from_bytes(body[at : at + 4], "big")
    body[at : at + 4] = (start + 10 * 512).to_bytes(4, "big")
    (tmp_path / "a.mp4").write_bytes(body)
    assert len(list(read_video(tmp_path / "a.mp4"))) == 50
    assert why_not(tmp_path / "a.mp4", 25, Encoding()) is not None
    assert "edit list" in why_not(tmp_path / "a.mp4", 25, Encoding())


def test_joined_films_that_change_on_the_way_are_not_copied(tmp_path, pictures):
    for name, settings in (("a.ts", "keyint=24"), ("b.ts", "keyint=24:ref=1:bframes=0:cabac=0")):
        make(tmp_path / name, pictures[:30], settings)
    (tmp_path / "c.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    assert why_not(tmp_path / "c.ts", 25, Encoding()) is not None


def test_a_film_that_is_cut_off(tmp_path, pictures):
    make(tmp_path / "a.mkv", pictures, "keyint=24")
    body = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(body[: len(body) * 2 // 3])
    splice = spliceable(tmp_path / "a.mkv", 25, Encoding())
    if splice is not None:  # what is there is whole
        assert splice.frames == len(list(read_video(tmp_path / "a.mkv")))


def test_the_result_is_there_whole_or_not_at_all(tmp_path, shared):
    film, out = shared / "data/reports/interview.mp4", tmp_path / "out/out.mp4"
    splice = spliceable(film, 25, Encoding())
    frames = [np.zeros((288, 360, 3), np.uint8)] * 40

    def spliced(path=out, ranges=((40, 80),), frames=frames, splice=splice, finish=None):
        splice_video(path, splice, list(ranges), frames, None, 16_000, "", Encoding(), finish)

    for error, wrong in (
        (ValueError, {"ranges": [(41, 80)]}),
        (ValueError, {"ranges": [(40, 79)]}),
        (ValueError, {"frames": frames[1:]}),
        (ValueError, {"frames": [*frames, frames[0]]}),
        (InputError, {"frames": [*frames[:9], frames[0][:-2], *frames[10:]]}),
        (InputError, {"path": out.with_suffix(".avi")}),
        (ZeroDivisionError, {"finish": lambda file: 1 / 0}),
    ):
        with pytest.raises(error):
            spliced(**wrong)
    assert not list(tmp_path.glob("out/*"))
    spliced(finish=lambda file: shutil.copy(file, tmp_path / "seen.mp4"))
    assert (tmp_path / "seen.mp4").read_bytes() == out.read_bytes()


def test_a_film_that_has_changed_since(tmp_path, pictures):
    film = tmp_path / "a.mp4"
    make(film, pictures, "keyint=24")
    splice = spliceable(film, 25, Encoding())
    make(film, pictures[:40], "keyint=24")
    with pytest.raises(InputError, match="changed"):
        splice_video(tmp_path / "out.mp4", splice, [(24, 48)], pictures[:24], None, 16_000, "", Encoding())


def test_what_was_written_and_spliced_here_can_be_copied_again(tmp_path, pictures):
    write_video(tmp_path / "0.mp4", pictures, Fraction(30_000, 1001))
    for n, stretch in enumerate([(40, 50), (10, 20), (12, 14)]):
        check(tmp_path / f"{n}.mp4", tmp_path / f"{n + 1}.mp4", [stretch])
