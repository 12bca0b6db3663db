"""Media files opened, and the frames of their streams: what films and sound have in common."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.stream import Disposition

from lipgan_colab.errors import InputError, counted, reading
from lipgan_colab.media.image import PHOTO_BRANDS

# Titles that are not UTF-8 are no reason to refuse a file. PyAV 19 thinks so by itself.
ANY_TAGS = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}

TRANSPARENT = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # decoders of transparency, which FFmpeg's own leave out

FREE_SECONDS, LEAST_BYTES = 600.0, 200  # the sparest speech has 200 bytes a second, over all its pauses


@contextmanager
def opened(path: str | Path) -> Iterator[av.container.InputContainer]:
    """A media file, open. Whatever goes wrong with it in the block is told in one line.

    Raises:
        InputError: the file is missing, empty, or not to be read.
    """
    if not os.path.isfile(path):
        raise InputError(
            f"{path}: {'this is a folder; give a file' if os.path.isdir(path) else 'there is no such file'}"
        )
    if Path(path).stat().st_size == 0:
        raise InputError(f"{path}: this file is empty; copy or upload it again")
    try:
        # As a file, or what stands before a colon in its name would be taken for a protocol.
        container = av.open(f"file:{path}", **ANY_TAGS)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{path}: this is no picture, video or sound, or it is cut off; use another copy") from error
    with reading(path, "damaged", "use another copy of it"), container:
        yield container


def longest(path: str | Path) -> float:
    """Seconds that a film or sound may last: ten minutes, and as long as a file of that size can go on for.

    What its time stamps ask for beyond that costs memory and holds nothing.
    """
    return FREE_SECONDS + Path(path).stat().st_size / LEAST_BYTES


def films(container: av.container.InputContainer) -> list[av.VideoStream]:
    """The streams with moving pictures: neither photos nor the cover of a piece of music."""
    if container.format.name in ("image2", "tty") or container.format.name.endswith("_pipe"):
        return []  # photos; text, which FFmpeg would draw
    if container.metadata.get("major_brand") in PHOTO_BRANDS:
        return []  # photos in the box of a film, tile by tile
    decodable = (stream for stream in container.streams.video if stream.codec_context is not None)
    return [stream for stream in decodable if not stream.disposition & Disposition.attached_pic]


def other_tracks(path: str | Path) -> list[str]:
    """What there is in a film beside its picture and its sound, counted."""
    with opened(path) as container:
        more = (
            (len(container.streams.audio) - 1, "more sound track", "more sound tracks"),
            (len(container.streams.subtitles), "track of subtitles", "tracks of subtitles"),
            (len(container.chapters()), "chapter", "chapters"),
        )
    return [counted(number, one, several) for number, one, several in more if number > 0]


def sound_stream(container: av.container.InputContainer, track: int | None = None) -> av.AudioStream | None:
    """The sound track of this number, counted from 1; None for the one that players take. None if there is none."""
    tracks = sound_tracks(container)
    return tracks.get(track) if track is not None else next(iter(tracks.values()), None)


def sound_tracks(container: av.container.InputContainer) -> dict[int, av.AudioStream]:
    """The sound tracks that can be decoded, by their numbers from 1 on; first those that are meant to be played."""
    tracks = [(n, s) for n, s in enumerate(container.streams.audio, 1) if s.codec_context is not None]
    return dict(sorted(tracks, key=lambda track: not track[1].disposition & Disposition.default))


def decoded(
    container: av.container.InputContainer, stream: av.stream.Stream, packets: Iterator[av.Packet] | None = None
) -> Iterator[av.frame.Frame]:
    """The frames of one stream (or of some of its packets); what cannot be decoded is passed over."""
    packets, decoder = packets or container.demux(stream), _decoder(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet = None  # the rest of the file cannot be read; take what waits in the decoder
        try:
            frames = decoder.decode(packet)
        except av.FFmpegError:
            frames = []  # one broken packet
        yield from frames
        if packet is None:
            return


def _decoder(stream: av.stream.Stream) -> av.stream.Stream | av.codec.CodecContext:
    """What decodes a stream's packets: itself, or for films that are transparent in parts one that can see that."""
    name = TRANSPARENT.get(stream.codec_context.name)
    if name and stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1":
        with suppress(av.codec.codec.UnknownCodecError):
            decoder = av.CodecContext.create(name, "r")
            decoder.options = stream.codec_context.options
            return decoder
    return stream
