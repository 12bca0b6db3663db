"""Cuts: where a film shows another scene from one frame to the next."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

THUMBNAIL = 16  # pixels: what a cut changes, and a nod does not
LARGEST_CHANGE = 8.0  # grey levels, in the mean over a thumbnail, that a frame differs from the one before
SPIKE = 4  # a cut differs so many times more than the frames around it; a pan or a passing hand does not


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """A frame, uint8 (H, W, 3), as 16 x 16 grey levels, float32."""
    step = max(1, min(frame.shape[:2]) // (4 * THUMBNAIL))  # a few pixels for each of the thumbnail's will do
    small = cv2.resize(frame[::step, ::step], (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return small.mean(axis=2, dtype=np.float32)


def change(before: np.ndarray, after: np.ndarray) -> float:
    """How much two thumbnails differ, in grey levels."""
    return float(np.abs(after - before).mean())


def is_cut(before: float, here: float, after: float, largest: float = LARGEST_CHANGE) -> bool:
    """Whether a new scene begins with a frame that differs by `here` from the one before it, where the frame before
    that differs by `before` from its own, and the next one by `after`."""
    return here > largest and here > SPIKE * max(before, after)


def with_cuts(frames: Iterable[np.ndarray], largest: float = LARGEST_CHANGE) -> Iterator[tuple[np.ndarray, bool]]:
    """The same frames, each with whether it begins a new scene; a frame behind, for a cut stands out on both sides."""
    waiting = last = None
    before = here = 0.0
    for frame in frames:
        small = thumbnail(frame)
        after = 0.0 if last is None else change(last, small)
        if last is not None:
            yield waiting, is_cut(before, here, after, largest)
            before, here = here, after
        waiting, last = frame, small
    if last is not None:
        yield waiting, is_cut(before, here, 0.0, largest)
