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
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags

from lipgan_colab.errors import InputError
from lipgan_colab.media.container import decoded, opened
from lipgan_colab.media.encoding import Encoding, check_video_name, describe, encodable, encoder
from lipgan_colab.media.film_format import FilmFormat
from lipgan_colab.media.h264 import (
    IDR,
    PPS,
    PROFILES,
    SPS,
    ParameterSets,
    kind,
    prefixed,
    sps_facts,
    streamed_units,
)
from lipgan_colab.media.video import Screen, video_stream
from lipgan_colab.media.writing import Finish, as_channels, finished_film, mux_together, sound_of, synthetic_metadata


@dataclass(frozen=True)
class Splice:
    """A film whose pictures can be copied; made by `copyable.spliceable`.

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
    with finished_film(path, synthetic_metadata(comment), splice.format.timecode, finish) as container:
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
    for number, packet in enumerate(packets_of(splice.path)):
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


def packets_of(path: Path) -> Iterator[av.Packet]:
    """A film's packets; what goes wrong with whoever takes them is not taken for its damage."""
    with opened(path) as container:
        packets = container.demux(video_stream(container, path))
        yield from (packet for packet in packets if packet.size)  # the last one of a stream is none


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
        numbered = filter(None, (options.get("x264-params"), f"sps-id={self.number}"))
        codec.options = options | {
            "bf": "0",
            "profile": self.profile,
            "level": str(self.level),
            "x264-params": ":".join(numbered),
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
