"""A part of a film replaced; all other pictures are copied as they are encoded, without another generation of loss.

Of H.264, whose slices name the parameter sets that they were encoded with: those of the new pictures get a number that
the film does not use, and the header of the result has both. A copy may end wherever all pictures so far are whole, but
it begins only at an IDR picture, before which nothing is referred to.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags

from lipgan_colab.errors import InputError
from lipgan_colab.media.container import decoded, longest, opened
from lipgan_colab.media.encoding import Encoding, check_video_name, describe, encodable, encoder
from lipgan_colab.media.film_format import FilmFormat, format_of, timecode_of
from lipgan_colab.media.h264 import (
    IDR,
    LAYERS,
    PARTS,
    PPS,
    PROFILES,
    SLICE,
    SPS,
    ParameterSets,
    SpsFacts,
    kind,
    prefixed,
    prefixed_units,
    sps_facts,
    streamed_units,
)
from lipgan_colab.media.hdr import is_of_other_light
from lipgan_colab.media.video import Screen, as_fraction, good_frames, is_mirrored, resample_frames, video_stream
from lipgan_colab.media.writing import Finish, as_channels, finished_film, mux_together, sound_of

FILES = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts", "flv")  # FFmpeg's names of what has good time stamps
PIXELS = ("yuv420p", "yuvj420p")


class _Unfit(Exception):
    """Why a film's pictures cannot be copied."""


@dataclass(frozen=True)
class Splice:
    """A film whose pictures can be copied; made by `spliceable`.

    Args:
        path: the film.
        fps: its constant rate.
        format: how it is stored, as it lies in the file.
        turns: the quarters, counter-clockwise, that it is turned by to be shown.
        time_base: the unit of its time stamps, in s.
        first: the time stamp of its first picture.
        shown: when each picture is shown after the first one, in this order, which is that of frames.
        sent: when each packet is to be decoded (dts); packets come in the order of decoding.
        places: which frame each packet holds.
        keys: the packets, and so the frames, that hold IDR pictures.
        ends: where a copy may end: of so many packets all frames before this one are whole, and none is after it.
        sets: the parameter sets.
        is_stream: whether its packets are those of a stream (Annex B), not of a file.
    """

    path: Path
    fps: Fraction
    format: FilmFormat
    turns: int
    time_base: Fraction
    first: int
    shown: tuple[int, ...]
    sent: tuple[int, ...]
    places: tuple[int, ...]
    keys: tuple[int, ...]
    ends: tuple[int, ...]
    sets: ParameterSets
    is_stream: bool

    @property
    def frames(self) -> int:
        """How many frames the film has."""
        return len(self.shown)

    def widened(self, stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """The frames (first, end) that have to be encoded anew if these are to be changed: up to the next IDR picture,
        which is the next one that can be shown without those before it. Sorted, merged; ValueError for no such frames.
        """
        wide: list[tuple[int, int]] = []
        for first, end in sorted(stretches):
            if not 0 <= first < end <= self.frames:
                raise ValueError(f"frames {first} to {end} of a film of {self.frames}")
            first = self.ends[bisect_right(self.ends, first) - 1]
            end = next(iter(self.keys[bisect_left(self.keys, end) :]), self.frames)
            if wide and first <= wide[-1][1]:
                wide[-1] = (wide[-1][0], max(end, wide[-1][1]))
            else:
                wide.append((first, end))
        return wide

    def read(self, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """The frames from number `first` on, (number, RGB uint8 (H, W, 3)), as `resample_frames` of `read_video` gives
        them, without those long before. Where the last ones are damaged the last good one stays to the end.
        InputError where the film cannot be read any more.
        """
        key = self.keys[bisect_right(self.keys, first) - 1]
        for start in dict.fromkeys((key, 0)):
            for number, rgb in self._read_from(start, first):
                yield number, rgb
                first = number + 1
        if first < self.frames:
            raise _changed(self.path)

    def _read_from(self, key: int, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """The same, decoded from an IDR picture on, as far as `_good` goes."""
        with opened(self.path) as container:
            stream, wanted = video_stream(container, self.path), self.first + self.shown[key]
            if key:
                with suppress(av.FFmpegError):
                    container.seek(wanted, stream=stream)
            packets = container.demux(stream)
            found = next((packet for packet in packets if packet.pts is not None and packet.pts >= wanted), None)
            if found is None or found.pts != wanted:
                return  # the file's own table leads astray
            show, before = Screen(stream), None
            for number, frame in self._good(decoded(container, stream, chain([found], packets)), key):
                if before is not None:
                    for held in range(first, number):
                        yield held, show(before)
                if number >= first:
                    yield number, show(frame)
                    first = number + 1
                before = frame
            if not key and before is not None:
                for held in range(first, self.frames):
                    yield held, show(before)

    def _good(self, frames: Iterable[av.VideoFrame], key: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Those that are not damaged, with their numbers. Where `key` is not the film's first IDR picture it ends
        before the first damage: what is guessed in its place, and what refers to that, depends on all that came before.
        """
        numbers = {self.first + time: number for number, time in enumerate(self.shown)}
        whole = {*self.ends, self.frames}  # what is shown before these needs nothing that comes after
        due, waiting = key, []
        for frame in frames:
            number = None if frame.is_corrupt else numbers.get(frame.pts)
            if key and number != due:
                return
            if number is None:
                continue
            due = number + 1
            waiting.append((number, frame))
            if not key or due in whole:
                yield from waiting
                waiting.clear()


def spliceable(path: str | Path, fps: Fraction | float, encoding: Encoding) -> Splice | None:
    """A film as one whose pictures can be copied into a result of this rate and encoding; None where they cannot.

    They can if each copied picture is bit for bit what `resample_frames` of `read_video` gives of it: H.264 of 8 bits
    and 4:2:0, progressive, of ordinary light, at a constant rate that is `fps`, all whole and stamped, and the
    first one an IDR picture. Only packets are looked at, and the first picture. InputError if nothing can be read.
    """
    with suppress(_Unfit):
        return _examined(Path(path), as_fraction(fps), encoding)
    return None


def why_not(path: str | Path, fps: Fraction | float, encoding: Encoding) -> str | None:
    """Why a film is not `spliceable`, as the end of "its pictures cannot be copied: …"; None if it is."""
    try:
        _examined(Path(path), as_fraction(fps), encoding)
    except _Unfit as reason:
        return str(reason)
    return None


def splice_video(
    path: str | Path,
    splice: Splice,
    ranges: list[tuple[int, int]],
    frames: Iterable[np.ndarray],
    speech: np.ndarray | None,
    sample_rate: int,
    comment: str,
    encoding: Encoding,
    finish: Finish | None = None,
) -> None:
    """Write a film again with the frames of `ranges` replaced, and all others copied as they are encoded.

    Args:
        path: of the result, .mp4 or .mov.
        splice: the film.
        ranges: (first, end) of the frames, as `Splice.widened` gives them.
        frames: RGB uint8 (H, W, 3), as many as the ranges have together, in their order.
        speech: all of the result's sound, from the first frame on, (n,) or (channels, n) in [-1, 1]; None for none.
        sample_rate: of the sound.
        comment: what the result is to say besides.
        encoding: of the new frames.
        finish: as of `write_video`.

    Raises:
        InputError: the film has changed, the frames differ in size, or the name does not end as it must.
        ValueError: a copy cannot end or begin where the ranges do, or there are not as many frames as they have.
    """
    path = Path(path)
    check_video_name(path, encoding)
    if any(splice.widened([range_]) != [range_] for range_ in ranges):
        raise ValueError(f"{path}: the ranges {ranges} are not those that can be replaced")
    new, speech = _Encoder(splice, encoding, iter(frames)), as_channels(speech)
    with finished_film(path, comment, splice.format.timecode, finish) as container:
        with opened(splice.path) as film:
            stream = container.add_stream_from_template(video_stream(film, splice.path))
        stream.codec_context.extradata = splice.sets.joined(new.sets).header()
        stream.codec_context.framerate = splice.fps
        stream.time_base = splice.time_base
        sound = sound_of(container, speech, sample_rate, encoding)
        mux_together(container, _packets(splice, stream, ranges, new), sound)
        if next(new.frames, None) is not None:
            raise ValueError(f"{path}: there are more frames than in {ranges}")


def _packets(
    splice: Splice, stream: av.VideoStream, ranges: list[tuple[int, int]], new: "_Encoder"
) -> Iterator[tuple[float, list[av.Packet]]]:
    """All packets of the result, in the order of decoding, as `mux_together` takes them."""
    anew = {first: new.encoded(end - first) for first, end in ranges}
    ends, keys = {end for _, end in ranges}, set(splice.keys)
    replaced, number = None, -1
    for number, packet in enumerate(_packets_of(splice.path)):
        if number >= splice.frames or packet.pts - splice.first != splice.shown[splice.places[number]]:
            raise _changed(splice.path)
        replaced = anew.get(number, None if number in ends else replaced)
        if replaced is None:
            made, is_key = _copied(packet, splice.is_stream), number in keys
            made.pts = splice.shown[splice.places[number]]
        else:  # without B-frames their order is that in which they are shown
            made, is_key = next(replaced)
            made.pts = splice.shown[number]
        made.dts, made.duration, made.time_base = splice.sent[number], packet.duration, splice.time_base
        made.stream, made.is_keyframe = stream, is_key
        yield (number + 1) / splice.fps, [made]
    if number + 1 < splice.frames:
        raise _changed(splice.path)
    yield math.inf, []


def _changed(path: Path) -> InputError:
    return InputError(f"{path}: this film has changed while it was read; start again")


def _packets_of(path: Path) -> Iterator[av.Packet]:
    """A film's packets; what goes wrong with whoever takes them is not taken for its damage."""
    with opened(path) as container:
        yield from _filled(container.demux(video_stream(container, path)))


def _filled(packets: Iterable[av.Packet]) -> Iterator[av.Packet]:
    return (packet for packet in packets if packet.size)  # the last one of a stream is none


def _copied(packet: av.Packet, is_stream: bool) -> av.Packet:
    data = bytes(packet)
    if is_stream:
        data = prefixed(unit for unit in streamed_units(data) if kind(unit) not in (SPS, PPS))  # the header has them
    return av.Packet(data)


class _Encoder:
    """New frames for a film, encoded so that its own packets may come before and after them."""

    def __init__(self, splice: Splice, encoding: Encoding, frames: Iterator[np.ndarray]):
        self.splice, self.encoding, self.frames = splice, encoding, frames
        facts = [sps_facts(sps) for sps in splice.sets.sps]
        self.profile = PROFILES[max(fact.profile for fact in facts)]
        self.level = max(fact.level for fact in facts)
        self.number = splice.sets.free_number()
        self.sets = self._sets_of(self._opened())
        self.shape = None

    def encoded(self, count: int) -> Iterator[tuple[av.Packet, bool]]:
        """The packets of the next frames, and whether each is an IDR picture; one for each frame."""
        codec, path = self._opened(), self.splice.path
        if self._sets_of(codec) != self.sets:
            raise RuntimeError("x264 made other parameter sets of the same settings")
        for n in range(count):
            rgb = next(self.frames, None)
            if rgb is None:
                raise ValueError(f"{path}: frame {n} of {count} is missing")
            self.shape = self.shape or rgb.shape
            if rgb.shape != self.shape or rgb.dtype != np.uint8:
                raise InputError(f"{path}: a frame is {rgb.dtype} {rgb.shape}, not {self.shape}")
            rgb = np.ascontiguousarray(np.rot90(rgb, -self.splice.turns))
            yield from self._made(codec, encodable(rgb, n, 1 / self.splice.fps, self.encoding, self.splice.format))
        yield from self._made(codec, None)

    def _opened(self) -> av.VideoCodecContext:
        name, codec_pixels, options = encoder(self.encoding)
        codec = av.CodecContext.create(name, "w")
        codec.pix_fmt, codec.framerate = codec_pixels, self.splice.fps
        describe(codec, self.splice.fps, self.encoding, self.splice.format)
        codec.flags |= Flags.global_header
        codec.options = options | {
            "bf": "0",
            "profile": self.profile,
            "level": str(self.level),
            "x264-params": f"sps-id={self.number}",
        }
        codec.open()
        return codec

    @staticmethod
    def _sets_of(codec: av.VideoCodecContext) -> ParameterSets:
        return ParameterSets.read(codec.extradata)

    @staticmethod
    def _made(codec: av.VideoCodecContext, frame: av.VideoFrame | None) -> Iterator[tuple[av.Packet, bool]]:
        for packet in codec.encode(frame):
            units = streamed_units(bytes(packet))
            yield av.Packet(prefixed(units)), any(kind(unit) == IDR for unit in units)


def _examined(path: Path, fps: Fraction, encoding: Encoding) -> Splice:
    """The film, or _Unfit."""
    if encoding.codec != "h264" or encoding.lossless:
        raise _Unfit("they are to be encoded otherwise than they are")
    if encoding.crf == 0:  # of which x264 makes a lossless one, of another profile
        raise _Unfit("pictures without any loss are of another kind")
    with opened(path) as container:  # what is raised in here would be taken for damage
        stream = video_stream(container, path)
        codec, extradata = stream.codec_context.codec.canonical_name, stream.codec_context.extradata or b""
        first = next(good_frames(container, stream, path))
        format = format_of(first, stream, timecode_of(container, stream), upright=False)
        kind_of_file, time_base, start = container.format.name, stream.time_base, first.pts
    if codec != "h264":
        raise _Unfit(f"only those of H.264 can, and these are {codec}")
    if kind_of_file not in FILES:
        raise _Unfit(f"a file of the kind {kind_of_file} does not tell for sure when they are shown")
    _check_picture(first)
    sets, is_stream = _sets(extradata), extradata[:1] != b"\1"
    stamps, sent, durations, keys = _packets_told(path, sets, is_stream)
    order = sorted(range(len(stamps)), key=stamps.__getitem__)
    shown = [stamps[number] for number in order]
    if shown[0] != start or any(a == b for a, b in pairwise(shown)):
        raise _Unfit("their time stamps are not in order, or the first ones are broken")
    _check_rate([float((time - start) * time_base) for time in shown], fps, path)
    places = [0] * len(order)
    for place, number in enumerate(order):
        places[number] = place
    ends = _whole_so_far(places)
    if keys[0] != 0 or not set(keys) <= set(ends):
        raise _Unfit("they do not begin with an IDR picture, or refer to what is shown after one")
    if sent is None or any(a >= b for a, b in pairwise(sent)) or any(map(int.__gt__, sent, stamps)):
        sent = _sendable(shown, places, durations)
    return Splice(
        path=path,
        fps=fps,
        format=format,
        turns=round(first.rotation / 90),
        time_base=time_base,
        first=start,
        shown=tuple(time - start for time in shown),
        sent=tuple(time - start for time in sent),
        places=tuple(places),
        keys=tuple(keys),
        ends=tuple(ends),
        sets=sets,
        is_stream=is_stream,
    )


def _sets(extradata: bytes) -> ParameterSets:
    """The film's parameter sets, if pictures like its own can be made beside them."""
    try:
        sets = ParameterSets.read(extradata)
        facts: list[SpsFacts] = [sps_facts(sps) for sps in sets.sps]
        free = sets.free_number()
    except (ValueError, IndexError) as error:
        raise _Unfit("their parameter sets are damaged or of an uncommon kind") from error
    if len({fact.size for fact in facts}) != 1 or free is None:
        raise _Unfit("they are of several sizes, or of too many kinds")
    if any(fact.profile not in PROFILES for fact in facts):
        raise _Unfit("they are of an uncommon profile of H.264")
    if not all(fact.progressive for fact in facts):
        raise _Unfit("they are interlaced")
    return sets


def _check_picture(first: av.VideoFrame) -> None:
    """_Unfit unless a film's pictures are shown as they are stored, but for turning, judged by the first one."""
    if first.format.name not in PIXELS:
        raise _Unfit(f"their pixels are {first.format.name}")
    if first.interlaced_frame:
        raise _Unfit("they are interlaced")
    if is_of_other_light(first):
        raise _Unfit("they are of high dynamic range or wide colours, and become ordinary ones")
    if is_mirrored(first):
        raise _Unfit("they are stored as in a mirror")


def _packets_told(
    path: Path, sets: ParameterSets, is_stream: bool
) -> tuple[list[int], list[int] | None, list[int], list[int]]:
    """Of all packets in the order of decoding: when they are shown, when decoded (None if that is not said of all),
    and how long shown; and the numbers of those with IDR pictures."""
    stamps, sent, durations, keys = [], [], [], []
    try:
        for packet in _packets_of(path):
            _check_packet(packet)
            if _is_key(bytes(packet), sets, is_stream):
                keys.append(len(stamps))
            stamps.append(packet.pts)
            sent.append(packet.dts)
            durations.append(packet.duration or 0)
    except InputError as error:
        raise _Unfit("the file is cut off") from error
    if not keys:
        raise _Unfit("there is no IDR picture")
    return stamps, None if None in sent else sent, durations, keys


def _check_packet(packet: av.Packet) -> None:
    if packet.is_corrupt or packet.is_discard or packet.has_sidedata("new_extradata"):
        raise _Unfit("some are broken or cut off by an edit list, or their kind changes")
    if packet.pts is None:
        raise _Unfit("not all have a time stamp")


def _is_key(data: bytes, sets: ParameterSets, is_stream: bool) -> bool:
    """Whether a packet holds an IDR picture; _Unfit if it is not one picture of the kind that can be copied."""
    try:
        units = streamed_units(data) if is_stream else prefixed_units(data)
    except ValueError as error:
        raise _Unfit("some are cut off") from error
    kinds = {kind(unit) for unit in units}
    if not kinds & {SLICE, IDR} or {SLICE, IDR} <= kinds or kinds & {*PARTS, *LAYERS}:
        raise _Unfit("some packets hold no picture, or not a usual one")
    inside = ParameterSets.of(units)
    if not set(inside.sps) <= set(sets.sps) or not set(inside.pps) <= set(sets.pps):
        raise _Unfit("their parameter sets change on the way")
    return IDR in kinds


def _check_rate(times: list[float], fps: Fraction, path: Path) -> None:
    """_Unfit where frames of a film at these times, brought to a constant rate, are not just these frames."""
    if times[-1] > longest(path):
        raise _Unfit("they are too few for their time")
    if list(resample_frames(((time, number) for number, time in enumerate(times)), fps)) != list(range(len(times))):
        raise _Unfit(f"their rate is not {float(fps):g} a second all the way")


def _whole_so_far(places: list[int]) -> list[int]:
    """The numbers of packets before which just the frames of lower numbers are."""
    ends, last = [], -1
    for number, place in enumerate(places):
        if last < number:
            ends.append(number)
        last = max(last, place)
    return ends


def _sendable(shown: list[int], places: list[int], durations: list[int]) -> list[int]:
    """Times for packets to be decoded at, where a file does not tell them: always before they are shown."""
    late = max(number - place for number, place in enumerate(places))
    step = durations[0] or (shown[-1] - shown[0]) // max(1, len(shown) - 1) or 1
    return [
        shown[0] + (number - late) * step if number < late else shown[number - late] for number in range(len(shown))
    ]
