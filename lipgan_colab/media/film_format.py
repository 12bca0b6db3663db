"""How a film is stored: what a film made of it is to keep, so that it fits where the film came from."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import ColorRange, Colorspace

from lipgan_colab.media.container import opened
from lipgan_colab.media.hdr import BT709, UNSPECIFIED, is_of_other_light
from lipgan_colab.media.video import HIGH_DEFINITION, good_frames, square_pixels, video_stream

# The matrices that YUV can be made with here, by FFmpeg's numbers (AVCOL_SPC_...).
MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,  # BT.470 BG and SMPTE 170M, which are the same
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}
NUMBERS = {Colorspace.ITU709: 1, Colorspace.ITU601: 6}
LIMITED = int(ColorRange.MPEG)
TIMECODE = re.compile(r"\d\d:\d\d:\d\d[:;.]\d\d")


@dataclass(frozen=True)
class FilmFormat:
    """What a film says of its pictures.

    Args:
        width: of the pictures as they are stored, though upright; those of `read_video` have square pixels.
        height: the same.
        pixel_aspect: how much wider than high each pixel is to be shown, upright.
        matrix: how its YUV is made, as FFmpeg counts (AVCOL_SPC_...; 2: not said).
        primaries: its colours (AVCOL_PRI_...), which are BT.709's where `read_video` makes them so.
        transfer: its curve (AVCOL_TRC_...), the same.
        range: which numbers are black and white (AVCOL_RANGE_...; 0: not said, 1: limited, 2: full).
        timecode: that of the first picture, such as 01:00:00:00; None if there is none.
    """

    width: int
    height: int
    pixel_aspect: Fraction = Fraction(1)
    matrix: int = BT709
    primaries: int = BT709
    transfer: int = BT709
    range: int = LIMITED
    timecode: str | None = None

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height as YUV has them: even, so that odd ones gain a column or a row."""
        return self.width + self.width % 2, self.height + self.height % 2

    @property
    def encoded_with(self) -> Colorspace:
        """The matrix that YUV is to be made with."""
        return MATRICES.get(self.matrix) or _guessed(self.stored[1])


def film_format(path: str | Path) -> FilmFormat:
    """How a film is stored; InputError if it cannot be read.

    A film that says nothing of its colours goes on saying nothing, if players then guess what they guessed before.
    """
    with opened(path) as container:
        stream = video_stream(container, path)
        first = next(good_frames(container, stream, path))
        return format_of(first, stream, timecode_of(container, stream))


def format_of(
    frame: av.VideoFrame, stream: av.VideoStream, timecode: str | None = None, upright: bool = True
) -> FilmFormat:
    """The same, by a film's first frame; or as it lies in the file, where it is to be stored so again."""
    width, height, aspect = frame.width, frame.height, _pixel_aspect(frame, stream)
    guessed = _guessed(height)
    if upright and round(frame.rotation / 90) % 2:
        width, height, aspect = height, width, 1 / aspect
    if is_of_other_light(frame) or frame.colorspace not in (*MATRICES, UNSPECIFIED):
        return FilmFormat(width, height, aspect, timecode=timecode)
    how = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
    format = FilmFormat(width, height, aspect, *map(int, how), timecode)
    if format.encoded_with == (MATRICES.get(format.matrix) or guessed):
        return format
    return FilmFormat(width, height, aspect, NUMBERS[guessed], *map(int, how[1:]), timecode)


def _guessed(height: int) -> Colorspace:
    """What `read_video`, like players, takes an untagged picture for that is stored with this height."""
    return Colorspace.ITU709 if height >= HIGH_DEFINITION else Colorspace.ITU601


def _pixel_aspect(frame: av.VideoFrame, stream: av.VideoStream) -> Fraction:
    """How much wider than high each stored pixel is shown; 1 also where `read_video` does not believe it."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    return aspect if square_pixels(frame, stream)[0] != frame.width else Fraction(1)


def timecode_of(container: av.container.InputContainer, stream: av.VideoStream) -> str | None:
    """That of a film's first picture. The pictures, the file or a track of its own say it, Matroska in capitals."""
    for said in (stream.metadata, container.metadata, *(other.metadata for other in container.streams)):
        for name, value in said.items():
            if name.lower() == "timecode" and TIMECODE.fullmatch(value.strip()):
                return value.strip()
    return None
