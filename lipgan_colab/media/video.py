"""Films read: frames with their true times, upright and in RGB, and at a constant rate.

Through PyAV, so no ffmpeg program is needed, and streaming: a long video takes no more memory than a short one.
"""

import math
import statistics
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.video.reformatter import Colorspace

from lipgan_colab.errors import InputError
from lipgan_colab.media.container import decoded, films, longest, opened, sound_stream
from lipgan_colab.media.deinterlacing import deinterlaced
from lipgan_colab.media.hdr import UNSPECIFIED, is_of_other_light, on_ordinary_screen
from lipgan_colab.media.image import MOST_PIXELS, is_image
from lipgan_colab.media.timeline import LONGEST_GAP, LONGEST_STEP_BACK

Picture = TypeVar("Picture")
USUAL_FPS = Fraction(25)  # where a file does not say
SLOWEST_LIPS = 20  # frames a second in which speech can still be seen

LOWEST_FPS, HIGHEST_FPS = 0.1, 240  # a file that claims more states its clock's rate; less, how long it lasts

BELIEVED = 10_000  # bytes a second; where a film has fewer than its length would want, its pictures are counted
LEAST_BELIEVED = 2  # s; nor does it take long to count where it says that it is shorter

LEAST_DELAY, USUAL_DELAY = 0.015, 0.1  # s; a GIF with shorter ones means none in particular: browsers wait this long

HIGH_DEFINITION = 720  # rows, from which on players take an untagged picture for BT.709

BLANK, BLANK_SLACK, BLANK_SHARE = 128, 8, 0.25  # Y, U and V of what decoders paint where a picture is missing


@dataclass(frozen=True)
class VideoInfo:
    """What a video says about itself.

    width, height: pixels as shown, after rotation. fps: nominal; for a variable rate the likeliest guess.
    duration: seconds, good to a frame or two. has_sound: there is a sound track that can be decoded.
    """

    width: int
    height: int
    fps: Fraction
    duration: float
    has_sound: bool


def probe_video(path: str | Path) -> VideoInfo:
    """Size, frame rate and length of a video; InputError if the file is missing, empty or not a video."""
    with opened(path) as container:
        stream = video_stream(container, path)
        first = next(good_frames(container, stream, path))
        size = square_pixels(first, stream)
        width, height = reversed(size) if round(first.rotation / 90) % 2 else size
        has_sound = sound_stream(container) is not None
        if container.format.name == "gif":
            delays = _delays(container, stream)
            fps = as_fraction(max(LOWEST_FPS, len(delays) / sum(delays)))
            return VideoInfo(width, height, fps, sum(delays), has_sound)
        fps = _nominal_fps(stream)
        claimed = (stream.duration or 0) * stream.time_base or Fraction(container.duration or 0, av.time_base)
        believed = claimed > LEAST_BELIEVED and claimed * BELIEVED < Path(path).stat().st_size
        duration = claimed if believed else _seconds_there(path)
        return VideoInfo(width, height, fps, float(max(duration, 1 / fps)), has_sound)


def read_video(path: str | Path) -> Iterator[tuple[float, np.ndarray]]:
    """The frames of a video as they are to be seen: (time in s, RGB uint8 (H, W, 3)), one after the other.

    The first frame has time 0; the others follow by their own time stamps. Rotation and non-square pixels are
    applied, interlaced frames made whole, lights and colours brought to an ordinary screen's, transparency is on white.
    Broken packets and pictures are passed over. InputError if no picture can be decoded at all.
    """
    with opened(path) as container:
        stream = video_stream(container, path)
        show = Screen(stream)
        stamped = ((frame.time, frame) for frame in deinterlaced(good_frames(container, stream, path)))
        if container.format.name == "gif":
            stamped = _as_browsers_play(stamped)
        for time, frame in _timed(stamped, _nominal_fps(stream), longest(path)):
            yield time, show(frame)


class Screen:
    """What the frames of a stream look like: RGB uint8 (H, W, 3), of square pixels, upright, on an ordinary screen.

    They have the size that the first one has, should it change on the way.
    """

    def __init__(self, stream: av.VideoStream):
        self.stream = stream
        self.size = self.mirrored = None

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        if self.size is None:
            self.size, self.mirrored = square_pixels(frame, self.stream), is_mirrored(frame)
        return np.ascontiguousarray(_upright(_rgb(frame, *self.size), frame, self.mirrored))


def resample_frames(
    timed_frames: Iterable[tuple[float, np.ndarray]], fps: Fraction | float, duration: float | None = None
) -> Iterator[np.ndarray]:
    """Frames (time, picture) at any rate to a constant rate: output n is the picture nearest to time n / fps.

    Where pictures are missing the last one stays, and its successor comes at most half an output frame early.
    The output has round(duration * fps) frames, but at least one; without `duration` the last picture is held
    for as long as one usually is (the median distance).
    """
    period = float(1 / as_fraction(fps))
    frames = iter(timed_frames)
    following = next(frames, None)
    last = math.inf if duration is None else max(1, round(duration / period))
    steps: list[float] = []
    n = 0
    while following is not None and n < last:
        (time, picture), following = following, next(frames, None)
        if following is not None:
            steps.append(following[0] - time)
            until = math.ceil((following[0] - min(steps[-1], period) / 2) / period - 1e-6)
        elif duration is None:
            until = max(1, round((time + statistics.median(steps or [period])) / period))
        else:
            until = last
        while n < min(until, last):
            yield picture
            n += 1


def as_fraction(fps: Fraction | float) -> Fraction:
    """The rate as a fraction that a file can state (29.97 is 2997/100, 23.976023976 is 24000/1001)."""
    fps = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
    if not 0 < fps <= 1000:
        raise InputError(f"a video cannot have {float(fps)} frames a second; give a number such as 25")
    return fps


def fast_enough(fps: Fraction) -> Fraction:
    """The rate at which lips can move over a film: its own, or where that is too slow a multiple, at least 25.

    So each of its pictures is held for the same number of frames.
    """
    return fps if fps >= SLOWEST_LIPS else fps * math.ceil(USUAL_FPS / fps)


def first_frame_time(path: str | Path) -> float | None:
    """The time stamp in s of the frame that read_video gives first; None if it gives none."""
    with opened(path) as container:
        try:
            return next(good_frames(container, video_stream(container, path), path)).time
        except InputError:  # the sound of a video whose picture is broken is of use still
            return None


def video_stream(container: av.container.InputContainer, path: str | Path) -> av.VideoStream:
    """The moving pictures of a file, ready to be decoded; InputError where there are none."""
    stream = next(iter(films(container)), None)
    if stream is None:
        raise InputError(_no_film(container, path))
    stream.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return stream


def _no_film(container: av.container.InputContainer, path: str | Path) -> str:
    if is_image(path):
        return f"{path}: this is a picture, there is no moving picture in this file; give a video"
    if container.streams.audio:
        return f"{path}: there is sound, but no moving picture in this file; give a photo or a video"
    return f"{path}: this is neither a picture nor a video; use another copy, or save it as JPEG or MP4"


def _seconds_there(path: str | Path) -> float:
    """How long a film goes on by the pictures that are in it, undecoded; what its header claims costs nothing."""
    with opened(path) as container:
        stream = video_stream(container, path)
        fps, stamps = _nominal_fps(stream), []
        with suppress(av.FFmpegError):  # the rest of the file cannot be read
            for packet in container.demux(stream):
                if packet.size:
                    stamps.append(None if packet.pts is None else float(packet.pts * packet.time_base))
        stamps.sort(key=lambda stamp: -math.inf if stamp is None else stamp)  # they lie in the order of decoding
        return max((time for time, _ in _timed(((s, None) for s in stamps), fps, longest(path))), default=0.0) + 1 / fps


def _delays(container: av.container.InputContainer, stream: av.VideoStream) -> list[float]:
    """How long each picture of a GIF is shown, in s, undecoded; at least one."""
    container.seek(0)
    own = []
    with suppress(av.FFmpegError):  # the rest of the file cannot be read
        own = [float((packet.duration or 0) * packet.time_base) for packet in container.demux(stream) if packet.size]
    return [_as_browsers_wait(delay) for delay in own or [0.0]]


def _as_browsers_play(stamped: Iterable[tuple[float, Picture]]) -> Iterator[tuple[float, Picture]]:
    """A GIF's pictures at the times at which browsers show them."""
    before = time = None
    for stamp, picture in stamped:
        time = stamp if before is None else time + _as_browsers_wait(stamp - before)
        before = stamp
        yield time, picture


def _as_browsers_wait(delay: float) -> float:
    return USUAL_DELAY if delay < LEAST_DELAY else delay


def _nominal_fps(stream: av.VideoStream) -> Fraction:
    rates = (stream.guessed_rate, stream.average_rate)
    return next((Fraction(rate) for rate in rates if rate and LOWEST_FPS <= rate <= HIGHEST_FPS), USUAL_FPS)


def good_frames(
    container: av.container.InputContainer, stream: av.VideoStream, path: str | Path
) -> Iterator[av.VideoFrame]:
    """The frames that show what was filmed, neither damaged nor painted over holes; InputError if none.

    Recordings that lost their first key frame were often encoded anew as they looked, and no packet of them
    is damaged: they open with a blank picture on which only what moves appears until the next key frame.
    """
    recovering = None
    for frame in decoded(container, stream):
        if frame.is_corrupt:
            continue
        if recovering is None:
            recovering = _blank_share(frame, slack=0) == 1
        recovering = recovering and _blank_share(frame, BLANK_SLACK) > BLANK_SHARE
        if not recovering:
            yield frame
    if recovering is not False:
        raise InputError(f"{path}: not one picture of this video can be decoded; use another copy of it")


def _blank_share(frame: av.VideoFrame, slack: int) -> float:
    apart = 1 + max(frame.width, frame.height) // 2000  # enough of a large picture, and it takes no memory
    yuv = frame.to_ndarray(format="yuv444p")[:, ::apart, ::apart].astype(np.int16)
    return float((np.abs(yuv - BLANK) <= slack).all(axis=0).mean())


def _timed(
    stamped: Iterable[tuple[float | None, Picture]], fps: Fraction, longest: float
) -> Iterator[tuple[float, Picture]]:
    """Pictures with ever increasing times in s, from 0 on; 1 / fps apart where the stamps are of no use.

    Stamps beyond `longest` are of none.
    """
    zero, last, step = None, 0.0, float(1 / fps)
    for stamp, picture in stamped:
        if zero is None:
            zero, time = stamp or 0.0, 0.0
        else:
            time = last + step if stamp is None else stamp - zero
            if not -LONGEST_STEP_BACK < time - last < LONGEST_GAP or time > longest:
                zero, time = zero + time - (last + step), last + step
            elif time <= last:
                continue  # out of order: its time has passed
        last = time
        yield time, picture


def square_pixels(frame: av.VideoFrame, stream: av.VideoStream) -> tuple[int, int]:
    """Width and height that the frame has when its pixels are made square, before rotation."""
    aspect = float(stream.sample_aspect_ratio or 1)
    sane = 0.2 < aspect < 5 and frame.width * aspect * frame.height < MOST_PIXELS
    return round(frame.width * aspect) if sane else frame.width, frame.height


def _colour_matrix(frame: av.VideoFrame) -> Colorspace | None:
    """What an untagged high-definition picture is taken for by players; None: as tagged, else BT.601."""
    untagged = frame.colorspace == UNSPECIFIED and frame.height >= HIGH_DEFINITION
    return Colorspace.ITU709 if untagged else None


def _rgb(frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
    """A frame as it is stored, uint8 (height, width, 3), in that size."""
    if is_of_other_light(frame):
        return on_ordinary_screen(frame, width, height)
    how = {"width": width, "height": height, "src_colorspace": _colour_matrix(frame)}
    if not _may_be_transparent(frame):
        return frame.to_ndarray(format="rgb24", **how)
    rgba = frame.to_ndarray(format="rgba", **how)
    rgb, alpha = rgba[..., :3], rgba[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return rgb
    return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _may_be_transparent(frame: av.VideoFrame) -> bool:
    return frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components)


def _upright(rgb: np.ndarray, frame: av.VideoFrame, mirrored: bool) -> np.ndarray:
    """A frame as its display matrix says: turned by quarters, counter-clockwise, after it was mirrored."""
    turns = round(frame.rotation / 90)
    # FFmpeg's rotation is that of the matrix's first axis, which a mirror turns around.
    return np.rot90(rgb[:, ::-1], turns + 2) if mirrored else np.rot90(rgb, turns)


def is_mirrored(frame: av.VideoFrame) -> bool:
    """Whether that is so. Not to be asked of every frame: PyAV keeps one whose side data were looked at."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    return a * d < b * c
