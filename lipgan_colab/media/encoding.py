"""How the pictures and the sound of a finished film are encoded."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange

from lipgan_colab.errors import InputError, check_range
from lipgan_colab.media.film_format import LIMITED, FilmFormat
from lipgan_colab.media.sound import AAC_RATES

CODECS = ("h264", "h265", "prores", "png")
ENDINGS = {"h264": (".mp4", ".mov"), "h265": (".mp4", ".mov"), "prores": (".mov",), "png": ("",)}

# Visually lossless: 40 dB from a clip of GRID, 42 to 43 from one of 1280 x 1024, which takes half as much in H.265.
CRF = {"h264": 16.5, "h265": 18}
WORST_CRF = 51
# Slower presets take time and save little at this quality. What makes still pictures flicker with x264's next faster
# one is that it goes without the tree of macroblocks. With it, searching less for motion halves the time, and at half a
# CRF less pictures are as near to what went in, flicker as little, and take an eighth to a quarter more bytes. What the
# tree looks at makes x264 encode the same pictures in a few ways, alike in quality.
PRESET = "veryfast"
X264_SEARCH = "subme=1:me=dia:partitions=i8x8,i4x4"
X265_DELAY = 2

RGB_MATRIX = 0  # AVCOL_SPC_RGB
HVC1 = "hvc1"  # Apple's players take H.265 under this name only

SOUND_BITRATE = 128_000  # of each channel; at 96 000 the errors of speech are 6 to 10 dB larger
SOUND_PIECE = 1024  # samples encoded at once
LAYOUTS = {1: "mono", 2: "stereo"}


@dataclass(frozen=True)
class Encoding:
    """How a film is encoded.

    Args:
        codec: "h264", which plays everywhere; "h265", half as large, for new players and Apple's; "prores" (422 HQ,
            10 bits, with PCM sound), for cutting rooms; "png", a folder of pictures and a sound.wav.
        crf: quality of h264 and h265, from 0 (best) to 51; None for what nobody can tell from the original.
        lossless: each pixel and each sample as it is. h264 and h265 then hold RGB (High 4:4:4 Predictive, Main 4:4:4)
            and, in .mp4, FLAC, in .mov, PCM of 24 bits: for FFmpeg, VLC, mpv and programs that cut films. Chromium
            shows such an H.264 as it is; QuickTime, phones and TVs know neither.

    Raises:
        InputError: there is no such codec, or what is asked for contradicts itself.
    """

    codec: str = "h264"
    crf: int | None = None
    lossless: bool = False

    def __post_init__(self):
        if self.codec not in CODECS:
            raise InputError(f"`codec` {self.codec}: there is no such one; choose one of {', '.join(CODECS)}")
        check_range("crf", self.crf, 0, WORST_CRF)
        if self.crf is not None and self.codec not in CRF:
            raise InputError(f"`crf` {self.crf}: {self.codec} has no such scale; leave it out, or take `codec=h264`")
        if self.crf is not None and self.lossless:
            raise InputError(f"`crf` {self.crf}: `lossless` leaves no quality to choose; leave one of them out")
        if self.lossless and self.codec == "prores":
            raise InputError("`lossless`: prores never is; take `codec=h264`, `codec=h265` or `codec=png`")

    @property
    def keeps_pixels(self) -> bool:
        """Whether the pictures are stored exactly as they are given, and so with square pixels."""
        return self.lossless or self.codec == "png"


def check_video_name(path: str | Path, encoding: Encoding = Encoding()) -> None:
    """Raises InputError where the name of a file to be made does not end as those of its kind do."""
    endings = ENDINGS[encoding.codec]
    if Path(path).suffix.lower() in endings:
        return
    if encoding.codec == "png":
        raise InputError(f"{path}: PNG pictures are written into a folder; give a name without an ending")
    kind = "videos" if encoding.codec == "h264" else f"{encoding.codec} videos"
    raise InputError(f"{path}: {kind} are written as {' or '.join(endings)}; give a name that ends so")


def add_picture(
    container: av.container.OutputContainer, fps: Fraction, encoding: Encoding, format: FilmFormat
) -> av.VideoStream:
    """A stream for pictures; what it says of their colours, players show as it went in."""
    name, pix_fmt, options = encoder(encoding)
    stream = container.add_stream(name, rate=fps, options=options)
    stream.pix_fmt = pix_fmt
    if encoding.codec == "h265":
        stream.codec_context.codec_tag = HVC1
    describe(stream.codec_context, fps, encoding, format)
    return stream


def describe(codec: av.VideoCodecContext, fps: Fraction, encoding: Encoding, format: FilmFormat) -> None:
    """Tell an encoder what pictures it gets, and what it is to say of them."""
    codec.width, codec.height = (format.width, format.height) if encoding.keeps_pixels else format.stored
    codec.time_base = 1 / fps
    codec.color_primaries, codec.color_trc = format.primaries, format.transfer
    if encoding.lossless:
        codec.colorspace, codec.color_range = RGB_MATRIX, ColorRange.JPEG
        return
    codec.colorspace = format.matrix
    codec.color_range = LIMITED if encoding.codec == "prores" else format.range
    if format.pixel_aspect != 1:
        codec.sample_aspect_ratio = format.pixel_aspect


def encoder(encoding: Encoding) -> tuple[str, str, dict[str, str]]:
    """Of an encoding: FFmpeg's encoder, its pixels, its options."""
    if encoding.codec == "prores":
        return "prores_ks", "yuv422p10le", {"profile": "hq", "vendor": "apl0"}
    quality = {"preset": PRESET}
    if not encoding.lossless:
        quality["crf"] = f"{CRF[encoding.codec] if encoding.crf is None else encoding.crf:g}"
    if encoding.codec == "h265":
        quiet = "log-level=none:lossless=1" if encoding.lossless else "log-level=none"
        return "libx265", "gbrp" if encoding.lossless else "yuv420p", quality | {"x265-params": quiet}
    if encoding.lossless:
        return "libx264rgb", "rgb24", quality | {"qp": "0"}
    return "libx264", "yuv420p", quality | {"x264-params": X264_SEARCH}


def picture_packets(
    stream: av.VideoStream, frames: Iterable[np.ndarray], fps: Fraction, encoding: Encoding, format: FilmFormat
) -> Iterator[tuple[float, list[av.Packet]]]:
    """Encode frames (H, W, 3) for the stream of `add_picture`, one by one: (time in s that is reached, packets)."""
    sent = -X265_DELAY

    def encoded(frame: av.VideoFrame | None) -> list[av.Packet]:
        nonlocal sent
        packets = stream.encode(frame)
        if encoding.codec == "h265":
            for packet in packets:
                packet.dts, sent = sent, sent + 1
        return packets

    for n, rgb in enumerate(frames):
        yield (n + 1) / fps, encoded(encodable(rgb, n, 1 / fps, encoding, format))
    yield math.inf, encoded(None)


def encodable(rgb: np.ndarray, n: int, time_base: Fraction, encoding: Encoding, format: FilmFormat) -> av.VideoFrame:
    """Picture number n, (H, W, 3) with square pixels, as the stream of `add_picture` wants it."""
    if encoding.keeps_pixels:
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=encoder(encoding)[1])
    else:
        frame = _as_stored(rgb, format).reformat(
            format=encoder(encoding)[1],
            dst_colorspace=format.encoded_with,
            dst_color_range=LIMITED if encoding.codec == "prores" else format.range or LIMITED,
        )
    if encoding.codec == "prores":  # which asks the pictures, not the stream
        frame.colorspace, frame.color_primaries, frame.color_trc = format.matrix, format.primaries, format.transfer
    frame.pts, frame.time_base = n, time_base
    return frame


def _as_stored(rgb: np.ndarray, format: FilmFormat) -> av.VideoFrame:
    """A picture in the film's own size, with a column or a row more where that is odd."""
    if rgb.shape[:2] != (format.height, format.width):
        small = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        rgb = small.to_ndarray(width=format.width, height=format.height, interpolation="LANCZOS")
    more = [(0, side % 2) for side in rgb.shape[:2]]
    if any(odd for _, odd in more):
        rgb = np.pad(rgb, (*more, (0, 0)), mode="edge")
    return av.VideoFrame.from_ndarray(rgb, format="rgb24")


def add_sound(
    container: av.container.OutputContainer, sample_rate: int, channels: int, encoding: Encoding
) -> av.AudioStream:
    """A stream for sound: AAC, or where nothing is to be lost FLAC, or PCM of 24 bits."""
    if not encoding.keeps_pixels and encoding.codec != "prores":
        rate = sample_rate if sample_rate in AAC_RATES else 48_000
        stream = container.add_stream("aac", rate=rate, layout=LAYOUTS[channels])
        stream.bit_rate = channels * SOUND_BITRATE
        return stream
    name = "flac" if container.format.name == "mp4" else "pcm_s24le"
    stream = container.add_stream(name, rate=sample_rate, layout=LAYOUTS[channels])
    stream.codec_context.format = "s32"  # of which both keep 24
    return stream


def sound_packets(
    stream: av.AudioStream, speech: np.ndarray, sample_rate: int
) -> Iterator[tuple[float, list[av.Packet]]]:
    """Encode speech (channels, n) piece by piece: (time in s that is reached, packets)."""
    channels, samples = speech.shape
    for start in range(0, samples, SOUND_PIECE):
        piece = np.clip(np.asarray(speech[:, start : start + SOUND_PIECE], np.float32), -1, 1, order="C")
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=LAYOUTS[channels])
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, start, Fraction(1, sample_rate)
        yield (start + piece.shape[1]) / sample_rate, stream.encode(frame)
    yield math.inf, stream.encode(None)
