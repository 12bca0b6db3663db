"""One person followed through the faces of a film: who it is, its box smoothed, its gaps filled."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import SAME_FACE, Face, centres, far, sizes

FORGET = 15  # frames after which a bystander who is gone is forgotten


# Who is followed: "largest"; the n-th from the left (0, 1, ...); or who is at a point (x, y) of the picture.
Person = str | int | tuple[float, float]


def track(frames: Iterable[np.ndarray], finder: FaceFinder, person: Person = "largest") -> list[Face | None]:
    """Follow one person through frames uint8 (H, W, 3): see `follow`. One entry a frame."""
    return list(follow((finder.find(frame) for frame in frames), person))


def follow(found: Iterable[list[Face]], person: Person = "largest") -> Iterator[Face | None]:
    """Follow one person through the faces found in every frame; None where that face is not seen.

    Whoever else is in the picture is followed too, so as not to be taken for it; a newcomer while it is gone (it came
    back, or the scene was cut) is taken for it. The person is chosen in the first frame that has the one asked for.

    Args:
        found: of `FaceFinder.find`, largest first.
        person: "largest", the number of the person counted from the left, or a point (x, y) in the face.
    """
    last: list[tuple[np.ndarray, int] | None] = [None]  # where and in which frame each was last seen; 0 is followed
    for number, faces in enumerate(found):
        last[1:] = [seen for seen in last[1:] if number - seen[1] <= FORGET]
        who: dict[int, int] = {}  # face to person
        if last[0] is None and (chosen := _chosen(faces, person)) is not None:
            who[chosen] = 0
        known = [(p, seen[0]) for p, seen in enumerate(last) if seen is not None]
        for distance, p, i in sorted((far(box, f.box), p, i) for p, box in known for i, f in enumerate(faces)):
            if distance < SAME_FACE and i not in who and p not in who.values():
                who[i] = p
        new = [i for i in range(len(faces)) if i not in who]
        if new and last[0] is not None and 0 not in who.values():
            who[new.pop(0)] = 0
        for i, p in who.items():
            last[p] = faces[i].box, number
        last += [(faces[i].box, number) for i in new]
        yield next((faces[i] for i, p in who.items() if p == 0), None)


def _chosen(faces: list[Face], person: Person) -> int | None:
    """Which of the faces is the person asked for."""
    if person == "largest":
        return 0 if faces else None
    if isinstance(person, int):
        from_left = sorted(range(len(faces)), key=lambda i: centres(faces[i].box)[0])
        return from_left[person] if 0 <= person < len(faces) else None
    distances = [np.abs(centres(f.box) - np.float32(person)).max() / sizes(f.box) for f in faces]
    return int(np.argmin(distances)) if distances and min(distances) <= 0.75 else None


def smooth_boxes(track: Iterable[Face | None], radius: int = 2) -> list[Face | None]:
    """The track with each box and roll averaged: see `smoothed`."""
    return list(smoothed(track, radius))


def smoothed(track: Iterable[Face | None], radius: int = 2) -> Iterator[Face | None]:
    """Average each box and roll (triangular weights) over up to `radius` frames on both sides.

    The window is centred, so nothing lags, and what comes out is `radius` frames behind what goes in; it never reaches
    across a frame without the face or a jump.
    """
    near: deque[Face | None] = deque([None] * (radius + 1), maxlen=2 * radius + 1)
    for n, face in enumerate(chain(track, [None] * radius)):
        near.append(face)
        if n >= radius:
            yield _average(list(near), radius)


def _average(near: list[Face | None], radius: int) -> Face | None:
    """The middle one of 2 radius + 1 faces, averaged with as many neighbours on both sides as are joined to it."""
    middle = near[radius]
    joined = [a is not None and b is not None and far(a.box, b.box) < SAME_FACE for a, b in pairwise(near)]
    reach = 0
    while reach < radius and joined[radius - reach - 1] and joined[radius + reach]:
        reach += 1
    if reach == 0:
        return middle
    used = near[radius - reach : radius + reach + 1]
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
