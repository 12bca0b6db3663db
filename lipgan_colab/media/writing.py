"""Finished videos written: whole or not at all, and marked as synthetic."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.files import written_whole
from lipgan_colab.media.encoding import (
    LAYOUTS,
    Encoding,
    add_picture,
    add_sound,
    check_video_name,
    picture_packets,
    sound_packets,
)
from lipgan_colab.media.film_format import FilmFormat
from lipgan_colab.media.made import OURS
from lipgan_colab.media.png_folder import SOUND, folder_written_whole, write_pngs
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import as_fraction
from lipgan_colab.media.xmp import release

Finish = Callable[[Path], object]  # what is done to a finished film before it takes its name


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: Fraction | float,
    speech: np.ndarray | None = None,
    sample_rate: int = SAMPLE_RATE,
    comment: str = "",
    encoding: Encoding = Encoding(),  # noqa: B008 (it is frozen)
    like: FilmFormat | None = None,
    finish: Finish | None = None,
    description: str | None = None,
) -> None:
    """Write RGB uint8 frames (H, W, 3) and speech (n,) in [-1, 1] as a film, both from time 0.

    The sound may be stereo as well, (2, n), and keeps its rate where AAC has it, if it becomes AAC.
    Every frame and every sample is kept; neither is cut to the other's length. YUV needs even sizes: an odd
    one gets its last row or column repeated. The metadata say that the video is synthetic, and `comment`.
    The file appears whole or not at all, also when `frames` raises.

    Args:
        encoding: as what; by default as H.264 and AAC.
        like: how the film was stored that the frames were made of: its size, the shape of its pixels, its colours and
            its timecode are kept (of lossless films and PNG the colours and the timecode). None: the frames' own size,
            square pixels, BT.709.
        finish: is called with the finished file, which still has another name, or for PNG with the folder; what it
            raises leaves nothing behind.
        description: what the film says of itself in words; None says that it is synthetic.

    Raises:
        InputError: there is no frame, the frames differ in size, or the name does not end as it must.
    """
    path, fps, frames = Path(path), as_fraction(fps), iter(frames)
    check_video_name(path, encoding)
    speech = as_channels(speech)
    said = {"description": description} if description else synthetic_metadata(comment)
    first = next(frames, None)
    if first is None:
        raise InputError(f"{path}: there is no frame to write")
    frames = _alike(path, chain([first], frames), first.shape)
    height, width = first.shape[:2]
    if encoding.codec == "png":
        _write_folder(path, frames, speech, sample_rate, said, finish)
        return
    if like is None:
        like = FilmFormat(width, height)
    elif encoding.keeps_pixels:
        like = FilmFormat(width, height, primaries=like.primaries, transfer=like.transfer, timecode=like.timecode)
    with finished_film(path, said, like.timecode, finish) as container:
        picture = add_picture(container, fps, encoding, like)
        pictures = picture_packets(picture, frames, fps, encoding, like)
        mux_together(container, pictures, sound_of(container, speech, sample_rate, encoding))


def as_channels(speech: np.ndarray | None) -> np.ndarray | None:
    """Sound as (channels, n); ValueError where it has another shape."""
    if speech is None:
        return None
    speech = np.atleast_2d(speech)
    if speech.ndim > 2 or len(speech) not in LAYOUTS:
        raise ValueError(f"speech must be mono or stereo, of shape (n,) or (channels, n), not {speech.shape}")
    return speech


@contextmanager
def finished_film(
    path: Path, said: dict[str, str], timecode: str | None, finish: Finish | None
) -> Iterator[av.container.OutputContainer]:
    """A file to put streams into, which takes its name when the block ends well and `finish` has seen it.

    `said` are its metadata."""
    with written_whole(path) as unfinished:
        # As a file, or what stands before a colon in its name would be taken for a protocol.
        name, kind = f"file:{unfinished}", path.suffix.lower().removeprefix(".")
        with av.open(name, "w", format=kind, options={"movflags": "+faststart"}) as container:
            container.metadata.update(said)
            if timecode is not None:  # FFmpeg leaves it out where there is none such at this rate
                container.metadata["timecode"] = timecode
            yield container
        if finish is not None:
            finish(unfinished)


def synthetic_metadata(comment: str) -> dict[str, str]:
    """What a film says of itself in words."""
    text = f"{OURS} {release()}".strip()
    comment = comment.encode(errors="replace").decode()  # names of files need not be text
    return {"description": text, "comment": f"{text}. {comment}" if comment else text}


def sound_of(
    container: av.container.OutputContainer, speech: np.ndarray | None, sample_rate: int, encoding: Encoding
) -> Iterator[tuple[float, list[av.Packet]]]:
    """A stream for speech (channels, n), if there is any, and its packets as `mux_together` takes them."""
    if speech is None or not speech.size:
        return iter(())
    return sound_packets(add_sound(container, sample_rate, len(speech), encoding), speech, sample_rate)


def mux_together(
    container: av.container.OutputContainer,
    pictures: Iterable[tuple[float, list[av.Packet]]],
    sound: Iterator[tuple[float, list[av.Packet]]],
) -> None:
    """Put the packets of both into a file, side by side; each comes with the time in s that is then reached."""
    for shown, packets in pictures:
        container.mux(packets)
        for heard, pieces in sound:
            container.mux(pieces)
            if heard >= shown:
                break


def _alike(path: Path, frames: Iterable[np.ndarray], shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    for n, frame in enumerate(frames):
        if frame.shape != shape or frame.dtype != np.uint8:
            raise InputError(f"{path}: frame {n} is {frame.dtype} {frame.shape}, not {shape}")
        yield frame


def _write_folder(
    path: Path,
    frames: Iterable[np.ndarray],
    speech: np.ndarray | None,
    sample_rate: int,
    said: dict[str, str],
    finish: Finish | None,
) -> None:
    with folder_written_whole(path) as folder:
        write_pngs(folder, frames, {name.capitalize(): text for name, text in said.items()})
        if speech is not None and speech.size:
            with av.open(f"file:{folder / SOUND}", "w", format="wav") as container:
                container.metadata.update(said)
                mux_together(container, [(math.inf, [])], sound_of(container, speech, sample_rate, Encoding("png")))
        if finish is not None:
            finish(folder)
