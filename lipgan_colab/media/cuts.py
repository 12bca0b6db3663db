"""Cuts: where a film shows another scene from one frame to the next, or fades into it."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

THUMBNAIL = 16  # pixels: what a cut changes, and a nod does not
LARGEST_CHANGE = 8.0  # grey levels, in the mean over a thumbnail, that a frame differs from the one before
SPIKE = 4  # a cut differs so many times more than the frames around it; a pan or a passing hand does not
CALM = 12  # frames: after as many that were still, a quarter of LARGEST_CHANGE is a cut (one person, filmed again)
LAG, REPEATED = 8, 0.1  # frames that a picture may stand still where a film stutters, and grey levels that it changes
FLAT = 2.0  # grey levels: standard deviation of a thumbnail of one colour
FADES = (5, 7, 10, 13, 18, 25, 35, 50)  # frames that one scene may take to fade into another
SETTLED = 3  # frames before and after a fade in which little changes
STRAY = 0.15  # part of a fade's change that its frames may lie beside a mixture of both scenes; a movement's do more


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """A frame, uint8 (H, W, 3), as 16 x 16 grey levels, float32."""
    step = max(1, min(frame.shape[:2]) // (4 * THUMBNAIL))  # a few pixels for each of the thumbnail's will do
    small = cv2.resize(frame[::step, ::step], (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return small.mean(axis=2, dtype=np.float32)


def change(before: np.ndarray, after: np.ndarray) -> float:
    """How much two thumbnails differ, in grey levels."""
    return float(np.abs(after - before).mean())


def is_flat(small: np.ndarray) -> bool:
    """Whether a thumbnail is of one colour, such as the black between two scenes."""
    return bool(small.std() < FLAT)


def is_cut(before: Sequence[float], here: float, after: float, largest: float = LARGEST_CHANGE) -> bool:
    """Whether a new scene begins with a frame that differs by `here` from the one before it, where those before that
    differ by `before` from theirs, and the next one by `after`."""
    just_before = next((step for step in list(before)[-1 : -LAG - 1 : -1] if step > REPEATED), 0.0)
    if here <= SPIKE * max(just_before, after):
        return False
    return here > largest or (here > largest / 4 and here > SPIKE * max(before))


def cuts(thumbnails: Iterable[np.ndarray], largest: float = LARGEST_CHANGE) -> Iterator[bool]:
    """Whether each frame, of which thumbnails come in, begins a new scene; black, or another colour, is one too.

    What comes out is a frame behind, for a cut stands out on both sides.
    """
    last, here, turns = None, 0.0, False
    before = deque([0.0], maxlen=CALM)
    for small in thumbnails:
        if last is not None:
            after = change(last, small)
            yield turns or is_cut(before, here, after, largest)
            before.append(here)
            here, turns = after, is_flat(small) != is_flat(last)
        last = small
    if last is not None:
        yield turns or is_cut(before, here, 0.0, largest)


def with_cuts(frames: Iterable[np.ndarray], largest: float = LARGEST_CHANGE) -> Iterator[tuple[np.ndarray, bool]]:
    """The same frames, each with whether it begins a new scene (see `cuts`); a frame behind."""
    waiting: deque[np.ndarray] = deque()

    def thumbnails() -> Iterator[np.ndarray]:
        for frame in frames:
            waiting.append(frame)
            yield thumbnail(frame)

    for begins in cuts(thumbnails(), largest):
        yield waiting.popleft(), begins


def shot_numbers(thumbnails: Iterable[np.ndarray], largest: float = LARGEST_CHANGE) -> Iterator[int | None]:
    """The number of each frame's shot, from 1 on; None between two, while one fades into the other, or all is black.

    What comes out is as many frames behind as a fade can have.
    """
    number = 0
    for begins in _shot_starts(thumbnails, largest):
        if begins is not None:
            number += begins or number == 0
        yield None if begins is None else number


def _shot_starts(thumbnails: Iterable[np.ndarray], largest: float) -> Iterator[bool | None]:
    """Whether each frame begins a new shot; None for those that belong to none."""
    waiting: deque[np.ndarray] = deque()  # until `cuts` has told
    recent: deque[np.ndarray] = deque(maxlen=FADES[-1] + 2 * SETTLED + 1)
    begins: deque[bool | None] = deque()  # of the last ones of these, not told yet

    def noted() -> Iterator[np.ndarray]:
        for small in thumbnails:
            waiting.append(small)
            yield small

    for cut in cuts(noted(), largest):
        recent.append(waiting.popleft())
        begins.append(None if is_flat(recent[-1]) else cut)
        length = _fade(recent, begins, largest)
        if length:
            end = len(begins) - 1 - SETTLED
            begins[end] = True
            first = end - length + (not begins[end - length])  # what fades in from black has no frame before
            for place in range(first, end):
                begins[place] = None
        if len(begins) > FADES[-1] + SETTLED:
            yield begins.popleft()
    yield from begins


def _fade(recent: Sequence[np.ndarray], begins: Sequence[bool | None], largest: float) -> int:
    """How many frames ago the fade began that ended SETTLED frames ago; 0 for none.

    A fade mixes two pictures, so that all thumbnails of it lie on the line from one to the other, and before and after
    it little changes.
    """
    recent, begins = list(recent), list(begins)
    end = len(recent) - 1 - SETTLED
    for length in FADES:
        start = end - length
        if start < SETTLED or any(flag is not False for flag in begins[-(length + SETTLED) :]):
            return 0
        changed = change(recent[start], recent[end])
        if changed <= largest:
            continue
        around = max(change(recent[start - SETTLED], recent[start]), change(recent[end], recent[-1]))
        if around < SETTLED / 2 * changed / length and _is_mixture(np.stack(recent[start : end + 1]), changed):
            return length
    return 0


def _is_mixture(pictures: np.ndarray, changed: float) -> bool:
    """Whether pictures (N, 16, 16) go steadily from the first to the last of them, which differ by `changed`."""
    rows = (pictures - pictures[0]).reshape(len(pictures), -1)
    parts = rows @ rows[-1] / (rows[-1] @ rows[-1])
    steps = np.diff(parts)
    stray = np.abs(rows - parts[:, None] * rows[-1]).mean(axis=1).max()
    return bool(stray < STRAY * changed and steps.min() > -0.1 and steps.max() < 0.5)
