"""How a finished video is stored."""

from dataclasses import dataclass

CODECS = ("h264", "h265", "prores", "png")


@dataclass(frozen=True)
class Encoding:
    """How a finished video is stored: see `generation.options.GenerateOptions`."""

    codec: str = "h264"
    crf: int | None = None
    lossless: bool = False
