"""Whether a film's pictures can be copied, and what has to be known of its packets for that."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av

from lipgan_colab.errors import InputError
from lipgan_colab.media.container import longest, opened
from lipgan_colab.media.encoding import Encoding
from lipgan_colab.media.film_format import format_of, timecode_of
from lipgan_colab.media.h264 import (
    IDR,
    LAYERS,
    PARTS,
    PROFILES,
    SLICE,
    ParameterSets,
    SpsFacts,
    kind,
    prefixed_units,
    sps_facts,
    streamed_units,
)
from lipgan_colab.media.hdr import is_of_other_light
from lipgan_colab.media.splicing import Splice, packets_of
from lipgan_colab.media.video import as_fraction, good_frames, is_mirrored, resample_frames, video_stream

FILES = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts", "flv")  # FFmpeg's names of what has good time stamps
PIXELS = ("yuv420p", "yuvj420p")


class NotCopyable(Exception):
    """Why a film's pictures cannot be copied."""


def spliceable(path: str | Path, fps: Fraction | float, encoding: Encoding) -> Splice:
    """A film as one whose pictures can be copied into a result of this rate and encoding.

    They can if each copied picture is bit for bit what `resample_frames` of `read_video` gives of it: H.264 of 8 bits
    and 4:2:0, progressive, of ordinary light, at a constant rate that is `fps`, all whole and stamped, and the
    first one an IDR picture. Only packets are looked at, and the first picture.

    Raises:
        NotCopyable: they cannot; the message is the end of "its pictures cannot be copied: …".
        InputError: nothing can be read.
    """
    return _examined(Path(path), as_fraction(fps), encoding)


def _examined(path: Path, fps: Fraction, encoding: Encoding) -> Splice:
    """The film, or NotCopyable."""
    if encoding.codec != "h264" or encoding.lossless:
        raise NotCopyable("they are to be encoded otherwise than they are")
    if encoding.crf == 0:  # of which x264 makes a lossless one, of another profile
        raise NotCopyable("pictures without any loss are of another kind")
    with opened(path) as container:  # what is raised in here would be taken for damage
        stream = video_stream(container, path)
        codec, extradata = stream.codec_context.codec.canonical_name, stream.codec_context.extradata or b""
        first = next(good_frames(container, stream, path))
        format = format_of(first, stream, timecode_of(container, stream), upright=False)
        kind_of_file, time_base, start = container.format.name, stream.time_base, first.pts
    if codec != "h264":
        raise NotCopyable(f"only those of H.264 can, and these are {codec}")
    if kind_of_file not in FILES:
        raise NotCopyable(f"a file of the kind {kind_of_file} does not tell for sure when they are shown")
    _check_picture(first)
    sets, is_stream = _sets(extradata), extradata[:1] != b"\1"
    stamps, sent, durations, keys = _packets_told(path, sets, is_stream)
    order = sorted(range(len(stamps)), key=stamps.__getitem__)
    shown = [stamps[number] for number in order]
    if shown[0] != start or any(a == b for a, b in pairwise(shown)):
        raise NotCopyable("their time stamps are not in order, or the first ones are broken")
    _check_rate([float((time - start) * time_base) for time in shown], fps, path)
    places = [0] * len(order)
    for place, number in enumerate(order):
        places[number] = place
    ends = _whole_so_far(places)
    if keys[0] != 0 or not set(keys) <= set(ends):
        raise NotCopyable("they do not begin with an IDR picture, or refer to what is shown after one")
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
        raise NotCopyable("their parameter sets are damaged or of an uncommon kind") from error
    if len({fact.size for fact in facts}) != 1 or free is None:
        raise NotCopyable("they are of several sizes, or of too many kinds")
    if any(fact.profile not in PROFILES for fact in facts):
        raise NotCopyable("they are of an uncommon profile of H.264")
    if not all(fact.progressive for fact in facts):
        raise NotCopyable("they are interlaced")
    return sets


def _check_picture(first: av.VideoFrame) -> None:
    """NotCopyable unless a film's pictures are shown as they are stored, but for turning, judged by the first one."""
    if first.format.name not in PIXELS:
        raise NotCopyable(f"their pixels are {first.format.name}")
    if first.interlaced_frame:
        raise NotCopyable("they are interlaced")
    if is_of_other_light(first):
        raise NotCopyable("they are of high dynamic range or wide colours, and become ordinary ones")
    if is_mirrored(first):
        raise NotCopyable("they are stored as in a mirror")


def _packets_told(
    path: Path, sets: ParameterSets, is_stream: bool
) -> tuple[list[int], list[int] | None, list[int], list[int]]:
    """Of all packets in the order of decoding: when they are shown, when decoded (None if that is not said of all),
    and how long shown; and the numbers of those with IDR pictures."""
    stamps, sent, durations, keys = [], [], [], []
    try:
        for packet in packets_of(path):
            _check_packet(packet)
            if _is_key(bytes(packet), sets, is_stream):
                keys.append(len(stamps))
            stamps.append(packet.pts)
            sent.append(packet.dts)
            durations.append(packet.duration or 0)
    except InputError as error:
        raise NotCopyable("the file is cut off") from error
    if not keys:
        raise NotCopyable("there is no IDR picture")
    return stamps, None if None in sent else sent, durations, keys


def _check_packet(packet: av.Packet) -> None:
    if packet.is_corrupt or packet.is_discard or packet.has_sidedata("new_extradata"):
        raise NotCopyable("some are broken or cut off by an edit list, or their kind changes")
    if packet.pts is None:
        raise NotCopyable("not all have a time stamp")


def _is_key(data: bytes, sets: ParameterSets, is_stream: bool) -> bool:
    """Whether a packet holds an IDR picture; NotCopyable if it is not one picture of the kind that can be copied."""
    try:
        units = streamed_units(data) if is_stream else prefixed_units(data)
    except ValueError as error:
        raise NotCopyable("some are cut off") from error
    kinds = {kind(unit) for unit in units}
    if not kinds & {SLICE, IDR} or {SLICE, IDR} <= kinds or kinds & {*PARTS, *LAYERS}:
        raise NotCopyable("some packets hold no picture, or not a usual one")
    inside = ParameterSets.of(units)
    if not set(inside.sps) <= set(sets.sps) or not set(inside.pps) <= set(sets.pps):
        raise NotCopyable("their parameter sets change on the way")
    return IDR in kinds


def _check_rate(times: list[float], fps: Fraction, path: Path) -> None:
    """NotCopyable where frames of a film at these times, brought to a constant rate, are not just these frames."""
    if times[-1] > longest(path):
        raise NotCopyable("they are too few for their time")
    if list(resample_frames(((time, number) for number, time in enumerate(times)), fps)) != list(range(len(times))):
        raise NotCopyable(f"their rate is not {float(fps):g} a second all the way")


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
