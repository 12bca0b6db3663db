"""Files in, files out: frames with their true times, 16 kHz mono speech and photos; and the finished video.

All of it through PyAV, so no ffmpeg program is needed, and streaming: a long video takes no more memory
than a short one.
"""

import math
import statistics
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image, ImageOps

from lipgan_colab.errors import InputError
from lipgan_colab.files import written_whole
from lipgan_colab.media.timeline import LONGEST_GAP, LONGEST_STEP_BACK, SAMPLE_RATE, TimeLine

USUAL_FPS = Fraction(25)  # where a file does not say
HIGHEST_FPS = 240  # a file that claims more states its clock's rate

BLANK, BLANK_SLACK, BLANK_SHARE = 128, 8, 0.25  # Y, U and V of what decoders paint where a picture is missing

CRF, PRESET = 17, "veryfast"  # visually lossless; at this quality slower presets take time and save little
SOUND_BITRATE = 96_000
SOUND_PIECE = 1024  # samples encoded at once
# Titles that are not UTF-8 are no reason to refuse a file. PyAV 19 thinks so by itself.
ANY_TAGS = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


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
    with _open(path) as container:
        stream = _video_stream(container, path)
        first = next(_good_frames(container, stream, path))
        size = _square_pixels(first, stream)
        width, height = reversed(size) if _quarter_turns(first) % 2 else size
        fps = _nominal_fps(stream)
        duration = (stream.duration or 0) * stream.time_base or Fraction(container.duration or 0, av.time_base)
        has_sound = _sound_stream(container) is not None
        return VideoInfo(width, height, fps, float(max(duration, 1 / fps)), has_sound)


def read_video(path: str | Path) -> Iterator[tuple[float, np.ndarray]]:
    """The frames of a video as they are to be seen: (time in s, RGB uint8 (H, W, 3)), one after the other.

    The first frame has time 0; the others follow by their own time stamps. Rotation and non-square pixels are
    applied. Broken packets and pictures are passed over. InputError if no picture can be decoded at all.
    """
    with _open(path) as container:
        stream = _video_stream(container, path)
        size = None
        for time, frame in _timed(_good_frames(container, stream, path), _nominal_fps(stream)):
            size = size or _square_pixels(frame, stream)  # the first frame's, should it change on the way
            rgb = frame.to_ndarray(format="rgb24", width=size[0], height=size[1], src_colorspace=_colour_matrix(frame))
            yield time, np.ascontiguousarray(np.rot90(rgb, _quarter_turns(frame)))


def resample_frames(
    timed_frames: Iterable[tuple[float, np.ndarray]], fps: Fraction | float, duration: float | None = None
) -> Iterator[np.ndarray]:
    """Frames (time, picture) at any rate to a constant rate: output n is the picture nearest to time n / fps.

    Where pictures are missing the last one stays, and its successor comes at most half an output frame early.
    The output has round(duration * fps) frames, but at least one; without `duration` the last picture is held
    for as long as one usually is (the median distance).
    """
    period = float(1 / _as_fraction(fps))
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


def read_speech(path: str | Path) -> np.ndarray:
    """The sound of any audio or video file as speech: float32 (n,), mono, 16 kHz, in [-1, 1].

    In a video sample 0 belongs to the first frame that read_video gives: sound that starts earlier is cut
    off, a later start filled with silence. Otherwise it is the first sample there is. Gaps between time
    stamps become silence. Stereo becomes the mean of its channels, or the louder one if the other is silent
    or they cancel each other. InputError if there is no sound or none of it can be decoded.
    """
    return _read_mono(path, SAMPLE_RATE)[0]


def read_sound(path: str | Path) -> tuple[np.ndarray, int]:
    """The same sound as `read_speech` gives, in its own quality: float32 (n,), mono, and its samples a second.

    That is the file's own rate where AAC has it, at least 16 000 and at most 48 000.
    """
    return _read_mono(path, None)


def _read_mono(path: str | Path, rate: int | None) -> tuple[np.ndarray, int]:
    with _open(path) as container:
        stream = _sound_stream(container)
        if stream is None:
            raise InputError(f"{path}: there is no sound in this file; give a sound file with speech")
        if rate is None:
            own = stream.codec_context.sample_rate or SAMPLE_RATE
            rate = min((r for r in AAC_RATES if r >= max(own, SAMPLE_RATE)), default=max(AAC_RATES))
        sound = TimeLine(_first_frame_time(path) if _films(container) else None, rate)
        for frame in _decoded(container, stream):
            sound.add(frame)
        wave = sound.mono()
    if wave.size == 0:
        raise InputError(f"{path}: no sound can be decoded from this file; convert it to WAV and try again")
    return wave, rate


def is_image(path: str | Path) -> bool:
    """Whether a file is a photo, judged by its content (an animated GIF is a video)."""
    try:
        with Image.open(path) as image:
            # PIL recognises the heads of MPEG videos, though it cannot read them.
            return image.format != "MPEG" and not (image.format == "GIF" and image.n_frames > 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def read_image(path: str | Path) -> np.ndarray:
    """A photo as RGB uint8 (H, W, 3), turned upright by its EXIF tag, transparency on white.

    InputError if the file is missing, empty or not a picture.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file")
    if not is_image(path):
        raise InputError(f"{path}: this is not a picture that can be read; save it as JPEG or PNG")
    try:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # 16-bit grey, which convert() would clip instead of scale
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path}: this picture is damaged ({error}); use another copy of it") from error


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: Fraction | float,
    speech: np.ndarray | None = None,
    sample_rate: int = SAMPLE_RATE,
    comment: str = "",
) -> None:
    """Write RGB uint8 frames (H, W, 3) and speech (n,) in [-1, 1] as an mp4: H.264 and AAC, both from time 0.

    Every frame and every sample is kept; neither is cut to the other's length. H.264 needs even sizes: an odd
    one gets its last row or column repeated. The metadata say that the video is synthetic, and `comment`.
    The file appears whole or not at all, also when `frames` raises. InputError if there is no frame, if the
    frames differ in size, or if the name does not end in .mp4.
    """
    path, fps, frames = Path(path), _as_fraction(fps), iter(frames)
    if path.suffix.lower() != ".mp4":
        raise InputError(f"{path}: videos are written as .mp4; give a name that ends so")
    if speech is not None and np.ndim(speech) != 1:
        raise ValueError(f"speech must be mono, of shape (n,), not {np.shape(speech)}")
    first = next(frames, None)
    if first is None:
        raise InputError(f"{path}: there is no frame to write")
    with (
        written_whole(path) as unfinished,
        av.open(str(unfinished), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        container.metadata.update(_synthetic_metadata(comment))
        picture = _add_picture(container, first.shape, fps)
        sound = iter(())
        if speech is not None and len(speech):
            sound = _sound_packets(_add_sound(container, sample_rate), speech, sample_rate)
        for n, frame in enumerate(chain([first], frames)):
            if frame.shape != first.shape or frame.dtype != np.uint8:
                raise InputError(f"{path}: frame {n} is {frame.dtype} {frame.shape}, not {first.shape}")
            container.mux(picture.encode(_to_yuv(frame, n, 1 / fps)))
            for heard, packets in sound:
                container.mux(packets)
                if heard >= (n + 1) / fps:
                    break
        container.mux(picture.encode(None))
        for _, packets in sound:
            container.mux(packets)


@contextmanager
def _open(path: str | Path) -> Iterator[av.container.InputContainer]:
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file")
    if Path(path).stat().st_size == 0:
        raise InputError(f"{path}: this file is empty; copy or upload it again")
    try:
        container = av.open(str(path), **ANY_TAGS)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{path}: this is no video or sound, or it is cut off; use another copy") from error
    with container:
        yield container


def _films(container: av.container.InputContainer) -> list[av.VideoStream]:
    """The streams with moving pictures: neither photos nor the cover of a piece of music."""
    if container.format.name in ("image2", "tty") or container.format.name.endswith("_pipe"):
        return []  # photos; text, which FFmpeg would draw
    decodable = (stream for stream in container.streams.video if stream.codec_context is not None)
    return [stream for stream in decodable if not stream.disposition & Disposition.attached_pic]


def _video_stream(container: av.container.InputContainer, path: str | Path) -> av.VideoStream:
    films = _films(container)
    if not films:
        raise InputError(f"{path}: there is no moving picture in this file; give a video")
    films[0].thread_type = "AUTO"
    return films[0]


def _sound_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def _nominal_fps(stream: av.VideoStream) -> Fraction:
    rates = (stream.guessed_rate, stream.average_rate)
    return next((Fraction(rate) for rate in rates if rate and 0 < rate <= HIGHEST_FPS), USUAL_FPS)


def _as_fraction(fps: Fraction | float) -> Fraction:
    """The rate as a fraction that a file can state (29.97 is 2997/100, 23.976023976 is 24000/1001)."""
    fps = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
    if not 0 < fps <= 1000:
        raise InputError(f"a video cannot have {float(fps)} frames a second; give a number such as 25")
    return fps


def _decoded(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[av.frame.Frame]:
    """The frames of one stream; what cannot be decoded is passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet = None  # the rest of the file cannot be read; take what waits in the decoder
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            frames = []  # one broken packet
        yield from frames
        if packet is None:
            return


def _good_frames(
    container: av.container.InputContainer, stream: av.VideoStream, path: str | Path
) -> Iterator[av.VideoFrame]:
    """The frames that show what was filmed, neither damaged nor painted over holes; InputError if none.

    Recordings that lost their first key frame were often encoded anew as they looked, and no packet of them
    is damaged: they open with a blank picture on which only what moves appears until the next key frame.
    """
    recovering = None
    for frame in _decoded(container, stream):
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
    yuv = frame.to_ndarray(format="yuv444p").astype(np.int16)
    return float((np.abs(yuv - BLANK) <= slack).all(axis=0).mean())


def _timed(frames: Iterable[av.VideoFrame], fps: Fraction) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames with ever increasing times in s, from 0 on; 1 / fps apart where the stamps are of no use."""
    zero, last, step = None, 0.0, float(1 / fps)
    for frame in frames:
        if zero is None:
            zero, time = frame.time or 0.0, 0.0
        else:
            time = last + step if frame.time is None else frame.time - zero
            if not -LONGEST_STEP_BACK < time - last < LONGEST_GAP:
                zero, time = zero + time - (last + step), last + step
            elif time <= last:
                continue  # out of order: its time has passed
        last = time
        yield time, frame


def _first_frame_time(path: str | Path) -> float | None:
    """The time stamp in s of the frame that read_video gives first; None if it gives none."""
    with _open(path) as container:
        try:
            return next(_good_frames(container, _video_stream(container, path), path)).time
        except InputError:  # the sound of a video whose picture is broken is of use still
            return None


def _square_pixels(frame: av.VideoFrame, stream: av.VideoStream) -> tuple[int, int]:
    """Width and height that the frame has when its pixels are made square, before rotation."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return round(frame.width * aspect) if 0.2 < aspect < 5 else frame.width, frame.height


def _colour_matrix(frame: av.VideoFrame) -> Colorspace | None:
    """What an untagged high-definition picture is taken for by players; None: as tagged, else BT.601."""
    untagged = frame.colorspace == 2  # AVCOL_SPC_UNSPECIFIED
    return Colorspace.ITU709 if untagged and frame.height >= 720 else None


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Counter-clockwise quarter turns that bring the stored picture upright."""
    return round(frame.rotation / 90)


def _synthetic_metadata(comment: str) -> dict[str, str]:
    try:
        release = " " + version("lipgan-colab")
    except PackageNotFoundError:  # run from a checkout that is not installed
        release = ""
    text = f"Synthetic video: lips generated by lipgan_colab{release}"
    return {"description": text, "comment": f"{text}. {comment}" if comment else text}


def _add_picture(container: av.container.OutputContainer, shape: tuple, fps: Fraction) -> av.VideoStream:
    """An H.264 stream for frames of `shape`, tagged BT.709, so that players show the colours that went in."""
    stream = container.add_stream("libx264", rate=fps, options={"crf": str(CRF), "preset": PRESET})
    stream.height, stream.width = (side + side % 2 for side in shape[:2])
    stream.pix_fmt = "yuv420p"
    codec = stream.codec_context
    codec.time_base = 1 / fps
    codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
    codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def _to_yuv(rgb: np.ndarray, n: int, time_base: Fraction) -> av.VideoFrame:
    height, width = rgb.shape[:2]
    rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    frame.pts, frame.time_base = n, time_base
    return frame


def _add_sound(container: av.container.OutputContainer, sample_rate: int) -> av.AudioStream:
    rate = sample_rate if sample_rate in AAC_RATES else 48_000
    stream = container.add_stream("aac", rate=rate, layout="mono")
    stream.bit_rate = SOUND_BITRATE
    return stream


def _sound_packets(
    stream: av.AudioStream, speech: np.ndarray, sample_rate: int
) -> Iterator[tuple[float, list[av.Packet]]]:
    """Encode speech piece by piece: (time in s that is reached, packets)."""
    for start in range(0, len(speech), SOUND_PIECE):
        piece = np.clip(np.asarray(speech[start : start + SOUND_PIECE], np.float32), -1, 1)
        frame = av.AudioFrame.from_ndarray(piece[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, start, Fraction(1, sample_rate)
        yield (start + len(piece)) / sample_rate, stream.encode(frame)
    yield math.inf, stream.encode(None)
