"""Files in, files out: video frames with their true times, 16 kHz mono speech, photos; and the finished video.

All through PyAV, so no ffmpeg program is needed. Everything streams: a long video needs no more memory than
a short one.
"""

import math
import os
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

SAMPLE_RATE = 16_000
USUAL_FPS = Fraction(25)  # where a file does not say
HIGHEST_FPS = 240  # a file that claims more is telling its clock's rate

LONGEST_STEP_BACK = 1.0  # s; a larger one means that the time stamps start anew (joined recordings)
LONGEST_GAP = 300.0  # s; a larger jump of the time stamps is an error in the file, not a pause
SOUND_JITTER = 0.04  # s; smaller steps between sound packets are rounding, not gaps
CANCELLED = 0.1  # channels whose mean is this much weaker than they are have opposite signs
SILENT_SIDE = 0.01  # a channel this much weaker than the other one carries no speech

BLANK = 128  # what decoders paint where a picture is missing: Y, U and V alike
BLANK_SLACK = 8
BLANK_SHARE = 0.25

CRF = 17  # visually lossless
PRESET = "veryfast"  # at this crf the slower presets cost time and save little
AUDIO_BITRATE = 96_000
SOUND_PIECE = 1024  # samples encoded at once
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


@dataclass(frozen=True)
class VideoInfo:
    """What a video says about itself, without its frames being decoded.

    width, height: pixels as shown, after rotation. fps: nominal, for a variable rate the likeliest guess.
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
        first = next(_good_frames(container, stream), None)
        if first is None:
            raise InputError(f"{path}: not one picture of this video can be decoded; use another copy of it")
        width, height = _shown_size(first, stream)
        if _quarter_turns(first) % 2:
            width, height = height, width
        duration = stream.duration and float(stream.duration * stream.time_base)
        if not duration:
            duration = (container.duration or 0) / av.time_base
        fps = _nominal_fps(stream)
        has_sound = _sound_stream(container) is not None
        return VideoInfo(width, height, fps, max(duration, float(1 / fps)), has_sound)


def read_video(path: str | Path) -> Iterator[tuple[float, np.ndarray]]:
    """The frames of a video as they are to be seen: (time in s, RGB uint8 (H, W, 3)), one after the other.

    The first frame has time 0; the others follow by their own time stamps. Rotation and non-square pixels are
    applied. Broken packets and pictures are passed over. InputError if no picture can be decoded at all.
    """
    with _open(path) as container:
        stream = _video_stream(container, path)
        size = None
        for time, frame in _timed(_good_frames(container, stream), step=float(1 / _nominal_fps(stream))):
            size = size or _shown_size(frame, stream)  # the first frame's, should the size change on the way
            yield time, _to_rgb(frame, size)
        if size is None:
            raise InputError(f"{path}: not one picture of this video can be decoded; use another copy of it")


def resample_frames(
    timed_frames: Iterable[tuple[float, np.ndarray]], fps: Fraction | float, duration: float | None = None
) -> Iterator[np.ndarray]:
    """Frames (time, picture) at any rate, to a constant rate: output n is the picture nearest in time to n / fps.

    Where pictures are missing the last one stays, and its successor comes at most half an output frame early.
    The output has round(duration * fps) frames, at least one; without `duration` the last picture
    is held for as long as one picture usually is (the median distance).
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
            change = following[0] - min(steps[-1], period) / 2
            until = math.ceil(change / period - 1e-6)
        elif duration is None:
            until = max(1, round((time + statistics.median(steps or [period])) / period))
        else:
            until = last
        while n < min(until, last):
            yield picture
            n += 1


def read_speech(path: str | Path) -> np.ndarray:
    """The sound of any audio or video file as speech: float32 (n,), mono, 16 kHz, in [-1, 1].

    In a video sample 0 belongs to the first frame that read_video gives; the sound is trimmed or filled with
    silence to that. Otherwise it is the first sample there is. Gaps between time stamps become silence.
    Of two channels of which one is silent, or which cancel each other, the louder is taken, else their mean.
    InputError if there is no sound or none of it can be decoded.
    """
    with _open(path) as container:
        stream = _sound_stream(container)
        if stream is None:
            raise InputError(f"{path}: there is no sound in this file; give a sound file with speech")
        zero = _first_frame_time(path) if _shows_pictures(container) else None
        sound = _Sound(zero)
        for frame in _decoded(container, stream):
            sound.add(frame)
        wave = sound.mono()
    if wave.size == 0:
        raise InputError(f"{path}: no sound can be decoded from this file; convert it to WAV and try again")
    return wave


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
            if image.mode in ("I", "F") or image.mode.startswith("I;16"):
                image = _to_8_bit(np.asarray(image, dtype=np.float64))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: this picture is damaged ({error}); use another copy of it") from error


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: Fraction | float,
    speech: np.ndarray | None = None,
    sample_rate: int = SAMPLE_RATE,
    comment: str = "",
) -> None:
    """Write RGB uint8 frames (H, W, 3) and speech (n,) in [-1, 1] as an mp4: H.264, AAC, both from time 0.

    Every frame and every sample is kept; neither is cut to the other's length. H.264 needs even sizes: an odd
    one gets its last row or column repeated. The file says in its metadata that it is synthetic, and `comment`.
    It appears whole or not at all, also when `frames` raises. InputError if there is no frame, if the frames
    differ in size, or if the name does not end in .mp4.
    """
    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise InputError(f"{path}: videos are written as .mp4; give a name that ends so")
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise InputError(f"{path}: there is no frame to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part")
    try:
        with av.open(partial, "w", format="mp4", options={"movflags": "+faststart"}) as container:
            container.metadata.update(_synthetic_metadata(comment))
            picture = _add_picture(container, first.shape, _as_fraction(fps))
            sound = _sound_packets(container, speech, sample_rate)
            for n, frame in enumerate(chain([first], frames)):
                if frame.shape != first.shape or frame.dtype != np.uint8:
                    raise InputError(
                        f"{path}: frame {n} is {frame.dtype} {frame.shape}, not uint8 {first.shape}"
                    )
                container.mux(picture.encode(_to_yuv(frame, n, picture)))
                shown = (n + 1) / picture.rate
                for heard, packets in sound:
                    container.mux(packets)
                    if heard >= shown:
                        break
            container.mux(picture.encode(None))
            for _, packets in sound:
                container.mux(packets)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _open(path: str | Path) -> Iterator[av.container.InputContainer]:
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file")
    if Path(path).stat().st_size == 0:
        raise InputError(f"{path}: this file is empty; copy or upload it again")
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"{path}: this is no video or sound file, or its header is cut off; use another copy"
        ) from error
    with container:
        yield container


def _shows_pictures(container: av.container.InputContainer) -> bool:
    """Whether there is a moving picture: neither a photo nor the cover of a piece of music."""
    return any(_is_film(stream) for stream in container.streams.video)


def _is_film(stream: av.VideoStream) -> bool:
    return stream.codec_context is not None and not stream.disposition & Disposition.attached_pic


def _video_stream(container: av.container.InputContainer, path: str | Path) -> av.VideoStream:
    if container.format.name.endswith("_pipe") or container.format.name == "image2":
        raise InputError(f"{path}: this is a photo, not a video")
    stream = next(filter(_is_film, container.streams.video), None)
    if stream is None:
        raise InputError(f"{path}: there is no picture in this file; give a video")
    return stream


def _sound_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def _nominal_fps(stream: av.VideoStream) -> Fraction:
    rates = (stream.guessed_rate, stream.average_rate)
    return next((Fraction(rate) for rate in rates if rate and 0 < rate <= HIGHEST_FPS), USUAL_FPS)


def _as_fraction(fps: Fraction | float) -> Fraction:
    """The rate as a fraction that a file can state (29.97 is 2997/100, 23.976023976 is 24000/1001)."""
    fps = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
    if not 0 < fps <= 1000:
        raise InputError(f"a video cannot have {float(fps)} frames a second; give a positive number")
    return fps


def _decoded(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[av.frame.Frame]:
    """The frames of one stream; what cannot be decoded is passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet = None  # the rest of the file cannot be read; what was read waits in the decoder
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            frames = []  # one broken packet
        yield from frames
        if packet is None:
            return


def _good_frames(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """The frames that show what was filmed: neither damaged nor, at the start, painted over a missing picture.

    Recordings that lost their first key frame were often encoded again as they looked, so that no packet is
    damaged: they open with a blank picture, in which only what moves appears until the next key frame.
    """
    stream.thread_type = "AUTO"
    recovering = None
    for frame in _decoded(container, stream):
        if frame.is_corrupt:
            continue
        if recovering is None:
            recovering = _blank_share(frame, slack=0) == 1
        if recovering and _blank_share(frame, BLANK_SLACK) > BLANK_SHARE:
            continue
        recovering = False
        yield frame


def _blank_share(frame: av.VideoFrame, slack: int) -> float:
    yuv = frame.to_ndarray(format="yuv444p").astype(np.int16)
    return float((np.abs(yuv - BLANK) <= slack).all(axis=0).mean())


def _timed(frames: Iterable[av.VideoFrame], step: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames with their times in s from the first one on, ever increasing; `step` s where stamps are of no use."""
    offset, last = None, 0.0
    for frame in frames:
        if offset is None:
            offset = frame.time or 0.0
            time = 0.0
        else:
            time = last + step if frame.time is None else frame.time - offset
            if not -LONGEST_STEP_BACK < time - last < LONGEST_GAP:
                offset += time - (last + step)
                time = last + step
            elif time <= last:
                continue  # out of order: its time has passed
        last = time
        yield time, frame


def _first_frame_time(path: str | Path) -> float | None:
    """The time stamp in s of the frame that read_video shows first."""
    with _open(path) as container:
        frame = next(_good_frames(container, _video_stream(container, path)), None)
        return None if frame is None else frame.time


def _shown_size(frame: av.VideoFrame, stream: av.VideoStream) -> tuple[int, int]:
    """Width and height in square pixels, before rotation."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return round(frame.width * aspect) if 0.2 < aspect < 5 else frame.width, frame.height


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Counter-clockwise quarter turns that bring the stored picture upright."""
    return round(frame.rotation / 90)


def _to_rgb(frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    rgb = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
    return np.ascontiguousarray(np.rot90(rgb, _quarter_turns(frame)))


class _Sound:
    """Sound frames laid end to end at 16 kHz, each where its time stamp puts it.

    zero: the time stamp in s of sample 0; None for the first sample there is.
    """

    def __init__(self, zero: float | None):
        self.zero = zero
        self.channels: list[bytearray] = []  # float32 samples; two for stereo, one for all else
        self.source = None  # the kind of frames that the resampler takes
        self.resampler = None
        self.due = 0.0  # time stamp in s that the next frame should have
        self.skip = 0  # samples that lie before sample 0 and are still to come

    def add(self, frame: av.AudioFrame) -> None:
        if not self.channels:
            self.channels = [bytearray() for _ in range(2 if frame.layout.nb_channels == 2 else 1)]
            self.due = frame.time or 0.0
            self.zero = self.due if self.zero is None else self.zero
        start = self.due if frame.time is None else frame.time
        if not -LONGEST_STEP_BACK < start - self.due < LONGEST_GAP:
            self.zero += start - self.due  # time stamps start anew
            self.due = start
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if source != self.source or abs(start - self.due) > SOUND_JITTER:
            self.finish()
            self._move_to(round((start - self.zero) * SAMPLE_RATE))
            self.source, self.due = source, start
            layout = "stereo" if len(self.channels) == 2 else "mono"
            self.resampler = av.AudioResampler(format="fltp", layout=layout, rate=SAMPLE_RATE)
        self.due += frame.samples / frame.sample_rate
        self._append(self.resampler.resample(frame))

    def finish(self) -> None:
        """Take what the resampler still holds."""
        if self.resampler is not None:
            self._append(self.resampler.resample(None))
            self.resampler = None

    def mono(self) -> np.ndarray:
        """All sound as float32 (n,) in [-1, 1]."""
        self.finish()
        if not self.channels:
            return np.zeros(0, np.float32)
        wave, *other = (np.nan_to_num(np.frombuffer(c, np.float32), copy=False) for c in self.channels)
        if other and wave.size:
            wave = _mix(wave, other[0])
        # Floating-point files and the mixing of many channels can exceed the range.
        peak = max(float(wave.max(initial=0)), float(-wave.min(initial=0)), 1)
        return wave if peak == 1 else wave / peak

    def _move_to(self, sample: int) -> None:
        for channel in self.channels:
            place = max(0, 4 * sample)
            del channel[place:]
            channel.extend(bytes(place - len(channel)))
        self.skip = max(0, -sample)

    def _append(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            samples = frame.to_ndarray()[:, self.skip :]
            self.skip -= min(self.skip, frame.samples)
            for channel, added in zip(self.channels, samples, strict=True):
                channel.extend(added.tobytes())


def _mix(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The mean of two channels, unless that would lose level: then the louder one."""
    mean = (left + right) / 2
    louder, weaker = sorted((left, right), key=_loudness, reverse=True)
    if _loudness(weaker) < SILENT_SIDE * _loudness(louder) or _loudness(mean) < CANCELLED * _loudness(louder):
        return louder
    return mean


def _loudness(wave: np.ndarray) -> float:
    return math.sqrt(np.dot(wave, wave) / len(wave))


def _to_8_bit(grey: np.ndarray) -> Image.Image:
    """Grey values of 16-bit (0 to 65535), 8-bit or floating-point (0 to 1) pictures, as an 8-bit picture."""
    top = grey.max(initial=0)
    scale = 255 if top <= 1 else 1 if top <= 255 else 255 / 65535
    return Image.fromarray(np.clip(grey * scale, 0, 255).round().astype(np.uint8))


def _synthetic_metadata(comment: str) -> dict[str, str]:
    try:
        made_by = f"lipgan_colab {version('lipgan-colab')}"
    except PackageNotFoundError:  # run from a checkout that is not installed
        made_by = "lipgan_colab"
    text = f"Synthetic video: lips generated by {made_by}"
    return {"title": "Synthetic video", "comment": f"{text}. {comment}".strip(" ."), "description": text}


def _add_picture(container: av.container.OutputContainer, shape: tuple, fps: Fraction) -> av.VideoStream:
    """An H.264 stream for frames of `shape`, tagged BT.709, so that every player shows the colours that went in."""
    stream = container.add_stream("libx264", rate=fps, options={"crf": str(CRF), "preset": PRESET})
    stream.height, stream.width = (side + side % 2 for side in shape[:2])
    stream.pix_fmt = "yuv420p"
    codec = stream.codec_context
    codec.time_base = 1 / fps
    codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
    codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def _to_yuv(rgb: np.ndarray, n: int, stream: av.VideoStream) -> av.VideoFrame:
    """Frame number n for the stream."""
    height, width = rgb.shape[:2]
    rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    frame.pts, frame.time_base = n, stream.codec_context.time_base
    return frame


def _sound_packets(
    container: av.container.OutputContainer, speech: np.ndarray | None, sample_rate: int
) -> Iterator[tuple[float, list[av.Packet]]]:
    """Encode speech piece by piece: (time in s that is reached, packets). The stream is added at once."""
    if speech is None or len(speech) == 0:
        return iter(())
    speech = np.asarray(speech, dtype=np.float32)
    if speech.ndim != 1:
        raise ValueError(f"speech must be mono, of shape (n,), not {speech.shape}")
    stream = container.add_stream(
        "aac", rate=sample_rate if sample_rate in AAC_RATES else 48_000, layout="mono"
    )
    stream.bit_rate = AUDIO_BITRATE

    def packets():
        for start in range(0, len(speech), SOUND_PIECE):
            piece = np.clip(speech[start : start + SOUND_PIECE], -1, 1)
            frame = av.AudioFrame.from_ndarray(piece[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = sample_rate, start, Fraction(1, sample_rate)
            yield (start + len(piece)) / sample_rate, stream.encode(frame)
        yield math.inf, stream.encode(None)

    return packets()
