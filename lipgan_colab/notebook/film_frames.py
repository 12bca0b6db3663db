"""A film looked at in places: its frames from any moment on, and a few small pictures of all of it."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.media.container import opened
from lipgan_colab.media.deinterlacing import deinterlaced
from lipgan_colab.media.video import (
    Screen,
    first_frame_time,
    good_frames,
    probe_video,
    read_video,
    video_stream,
)

SOON = 20.0  # seconds of a film that are read from its beginning; what lies behind is sought
SLACK = 1e-3  # seconds by which a frame may come before the moment that was meant


def frames_from(path: str | Path, start: float = 0.0) -> Iterator[tuple[float, np.ndarray]]:
    """The frames of a film from a moment on, as `read_video` gives them: (time in s, RGB uint8 (H, W, 3)).

    Where the moment lies far into the film it is sought, which takes no longer than for an earlier one.

    Raises:
        InputError: it is no film that can be read.
    """
    if start > SOON:
        sought = _sought(path, start)
        first = _first(sought)
        if first is not None:
            yield first
            yield from sought
            return
    yield from (timed for timed in read_video(path) if timed[0] >= start - SLACK)


def _first(sought: Iterator[tuple[float, np.ndarray]]) -> tuple[float, np.ndarray] | None:
    try:
        return next(sought, None)
    except InputError:  # it cannot be sought, but may be read
        return None


def _sought(path: str | Path, start: float, exactly: bool = True) -> Iterator[tuple[float, np.ndarray]]:
    """The same by seeking; not `exactly`: from the key frame before it on. Nothing where that cannot be done."""
    zero = first_frame_time(path) or 0.0
    with opened(path) as container:
        stream = video_stream(container, path)
        show = Screen(stream)
        container.seek(round((start + zero) / stream.time_base), stream=stream)
        for frame in deinterlaced(good_frames(container, stream, path)):
            if frame.time is None:
                return
            if not exactly or frame.time - zero >= start - SLACK:
                yield frame.time - zero, show(frame)


def glances(path: str | Path, count: int, height: int) -> list[tuple[float, np.ndarray]]:
    """Small pictures of a film, one from the middle of each of so many equal parts: (time in s, RGB uint8 (h, w, 3)).

    Of a long film they are the key frames before these moments.
    """
    duration = probe_video(path).duration
    moments = [(number + 0.5) * duration / count for number in range(count)]
    if duration > SOON:
        seen = [_first(_sought(path, moment, exactly=False)) for moment in moments]
        if None not in seen:
            return [(moment, _small(picture, height)) for moment, (_, picture) in zip(moments, seen, strict=True)]
    pictures = ((time, _small(picture, height)) for time, picture in read_video(path))
    return list(_nearest(pictures, moments))


def _nearest(timed: Iterator[tuple[float, np.ndarray]], moments: list[float]) -> Iterator[tuple[float, np.ndarray]]:
    """For each moment the last picture before it, or the first of all."""
    waiting, last = list(moments), None
    for time, picture in timed:
        while waiting and last is not None and time > waiting[0]:
            yield waiting.pop(0), last
        last = picture
    for moment in waiting:
        yield moment, last


def _small(picture: np.ndarray, height: int) -> np.ndarray:
    scale = height / picture.shape[0]
    return cv2.resize(picture, (max(1, round(picture.shape[1] * scale)), height), interpolation=cv2.INTER_AREA)
