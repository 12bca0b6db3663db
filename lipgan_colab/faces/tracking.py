"""The way of one face through a film: its box smoothed, its gaps filled."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import SAME_FACE, Face, far
from lipgan_colab.faces.following import Person, Sight, Wanted, follow


def track(frames: Iterable[np.ndarray], finder: FaceFinder, person: Person = "largest") -> list[Face | None]:
    """Follow one person through frames uint8 (H, W, 3): see `following.follow`. One entry a frame."""
    return list(track_found((finder.find(frame) for frame in frames), person))


def track_found(found: Iterable[list[Face]], person: Person = "largest") -> Iterator[Face | None]:
    """Follow one person through the faces found in every frame, as `track` does."""
    sights = (Sight(None, faces) for faces in found)
    return (face for _, face in follow(sights, Wanted(person)))


def smooth_boxes(track: Iterable[Face | None], radius: int = 2) -> list[Face | None]:
    """The track with each box and roll averaged: see `smoothed`."""
    return list(smoothed(track, radius))


def smoothed(track: Iterable[Face | None], radius: int = 2) -> Iterator[Face | None]:
    """Average each box and roll (triangular weights) over up to `radius` frames on both sides.

    The window is centred, so nothing lags, and what comes out is `radius` frames behind what goes in; it never reaches
    across a frame without the face or a jump.
    """
    near: deque[Face | None] = deque([None] * (2 * radius + 1), maxlen=2 * radius + 1)
    joined: deque[bool] = deque([False] * (2 * radius), maxlen=2 * radius)  # whether each goes on as the next one
    for n, face in enumerate(chain(track, [None] * radius)):
        before = near[-1]
        joined.append(before is not None and face is not None and far(before.box, face.box) < SAME_FACE)
        near.append(face)
        if n >= radius:
            yield _average(near, joined, radius)


def _average(near: Sequence[Face | None], joined: Sequence[bool], radius: int) -> Face | None:
    """The middle one of 2 radius + 1 faces, averaged with as many neighbours on both sides as are joined to it."""
    middle = near[radius]
    reach = 0
    while reach < radius and joined[radius - reach - 1] and joined[radius + reach]:
        reach += 1
    if reach == 0:
        return middle
    used = [near[n] for n in range(radius - reach, radius + reach + 1)]
    weights = reach + 1 - np.abs(np.arange(-reach, reach + 1))
    box = np.average(np.stack([face.box for face in used]), axis=0, weights=weights).astype(np.float32)
    return replace(middle, box=box, roll=float(np.average([face.roll for face in used], weights=weights)))


def fill_gaps(track: list[Face | None]) -> list[Face]:
    """A face for every frame: missing ones lie linearly between neighbours, or are held at the ends.

    They are marked found=False.

    Raises InputError where no frame has a face.
    """
    seen = [i for i, face in enumerate(track) if face is not None]
    if not seen:
        raise InputError("no face in any frame: the face must be visible, upright and not too small")
    place = np.interp(np.arange(len(track)), seen, np.arange(len(seen)))  # of each frame among the seen ones
    filled = list(track)
    for i, face in enumerate(track):
        if face is None:
            before, after = seen[int(place[i])], seen[int(np.ceil(place[i]))]
            filled[i] = _between(track[before], track[after], float(place[i] % 1))
    return filled


def _between(a: Face, b: Face, part: float) -> Face:
    def mix(x, y):
        return (1 - part) * x + part * y

    pose = (mix(x, y) for x, y in ((a.yaw, b.yaw), (a.pitch, b.pitch), (a.roll, b.roll)))
    depth = None if a.depth is None or b.depth is None else mix(a.depth, b.depth)
    return Face(mix(a.landmarks, b.landmarks), mix(a.box, b.box), *pose, found=False, depth=depth)
