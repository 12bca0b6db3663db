"""Who is seen where: the frames of a photo or a film, each with the person's face in it."""

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby, islice, tee
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import LIPS, Face
from lipgan_colab.faces.following import Sight, Wanted, asked_for, chosen, follow
from lipgan_colab.faces.tracking import smoothed
from lipgan_colab.media.cuts import with_cuts
from lipgan_colab.media.image import read_image
from lipgan_colab.media.pipeline import StageClock, ahead
from lipgan_colab.media.video import read_video, resample_frames

LARGEST_PHOTO = 1920  # pixels of the longer side; more makes files that players refuse
REVERSE_BYTES = 256 << 20  # frames kept in memory while a video is played backward
REMEMBERED = 5000  # frames of a video whose faces are kept for when it is played again

Pads = tuple[float, float, float, float]  # by which part of its side a box grows at the top, right, bottom and left


@dataclass
class FaceFrame:
    """One frame on its way to the result.

    Attributes:
        number: of the result's frame.
        picture: uint8 (H, W, 3), RGB.
        face: the person's, None where it is not seen.
        faces: how many are seen, whosever they are.
        largest: whether the person's is the largest of them.
        original: the crop, uint8 (S, S, 3), where a generator of faces of that size makes another one.
        generated: what becomes of it, of the same shape.
        parts: float32 (components,), where a motion network moves the face: see `moved_faces.spoken_parts`.
    """

    number: int
    picture: np.ndarray
    face: Face | None
    faces: int = 1
    largest: bool = True
    original: np.ndarray | None = None
    generated: np.ndarray | None = None
    parts: np.ndarray | None = None


def read_photo(path: str | Path) -> np.ndarray:
    """A photo, upright, uint8 (H, W, 3), made smaller where it is larger than players can play."""
    photo = read_image(path)
    scale = LARGEST_PHOTO / max(photo.shape[:2])
    if scale >= 1:
        return photo
    return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def find_in_photo(photo: np.ndarray, path: str | Path, wanted: Wanted, pads: Pads) -> FaceFrame:
    """A photo (read from `path`) with the person's face, its box padded; as frame number 0.

    Raises:
        InputError: that person is not in it, or has no human face.
    """
    with FaceFinder() as finder:
        sight = Sight(photo, finder.find(photo))
        face = chosen(sight, wanted, finder)
    asked = asked_for(sight.faces, wanted.person)
    if (face or asked) and not _has_mouth(face or asked, photo.shape):
        raise InputError(f"{path}: the mouth of this face is not in the picture; choose another picture")
    if face is None:
        raise _nobody(path, wanted, len(sight.faces), asked is not None)
    return _frame(0, sight, face, face, pads)


def _has_mouth(face: Face, shape: tuple[int, ...]) -> bool:
    """Whether a picture of this shape shows a face's mouth."""
    x, y = face.landmarks[LIPS].mean(axis=0)
    return bool(0 <= x < shape[1] and 0 <= y < shape[0])


def see_film(
    path: str | Path, fps: Fraction, n: int, wanted: Wanted, pads: Pads, clock: StageClock
) -> Iterator[FaceFrame]:
    """n frames of a film, forward and backward, and the person's face in each, its box smoothed and padded.

    Raises:
        InputError: at the end, if that person was in none of them.
    """
    known: dict[int, list[Face]] = {}

    def found(finder: FaceFinder, index: int, picture: np.ndarray) -> list[Face]:
        if index in known:
            return known[index]
        with clock.stage("faces"):
            faces = finder.find(picture)
        if len(known) < REMEMBERED:
            known[index] = faces
        return faces

    most, is_there, anybody = 0, False, False
    with FaceFinder() as finder, closing(ahead(clock.timed("read", _cut_film(path, fps, n)))) as film:
        sights = (Sight(picture, found(finder, index, picture), cut) for index, picture, cut in film)
        for number, (sight, face, smooth) in enumerate(_smoothed(follow(sights, wanted, finder))):
            most = max(most, len(sight.faces))
            is_there = is_there or asked_for(sight.faces, wanted.person) is not None
            anybody = anybody or face is not None
            yield _frame(number, sight, face, smooth, pads)
    if not anybody:
        raise _nobody(path, wanted, most, is_there)


def _frame(number: int, sight: Sight, face: Face | None, smooth: Face | None, pads: Pads) -> FaceFrame:
    """The frame in which a person has this face, with its box as smoothed."""
    largest = bool(sight.faces) and face is sight.faces[0]
    return FaceFrame(number, sight.picture, smooth and _padded(smooth, pads), len(sight.faces), largest)


def _smoothed(followed: Iterator[tuple[Sight, Face | None]]) -> Iterator[tuple[Sight, Face | None, Face | None]]:
    """Each frame and face once more, and the face with its box smoothed: within a scene, never over a cut."""
    scene = 0

    def scene_of(pair: tuple[Sight, Face | None]) -> int:
        nonlocal scene
        scene += pair[0].cut
        return scene

    for _, pairs in groupby(followed, key=scene_of):
        here, coming = tee(pairs)
        for (sight, face), smooth in zip(here, smoothed(face for _, face in coming), strict=True):
            yield sight, face, smooth


def _nobody(path: str | Path, wanted: Wanted, most: int, is_there: bool) -> InputError:
    """Why the person wanted was not found, where at most so many faces are seen, one of them where it was asked for."""
    if most == 0:
        return InputError(f"{path}: no face found; choose a picture in which it is larger and seen from the front")
    if is_there:
        return InputError(
            f"{path}: this does not look like a human face, and its mouth would be a guess; choose another picture, or "
            "insist with `any_face`"
        )
    if isinstance(wanted.person, int):
        who = f"there is no person {wanted.person}, counted from the left from 0; at most {most} are seen"
        return InputError(f"{path}: {who}")
    return InputError(f"{path}: nobody's face is at {wanted.person}; choose another point, or `person=largest`")


def _padded(face: Face, pads: Pads) -> Face:
    if not any(pads):
        return face
    top, right, bottom, left = pads
    width, height = face.box[2:] - face.box[:2]
    return replace(face, box=face.box + np.float32([-left * width, -top * height, right * width, bottom * height]))


def _cut_film(path: str | Path, fps: Fraction, n: int) -> Iterator[tuple[int, np.ndarray, bool]]:
    """`bounced_frames`, each with whether another scene begins with it."""
    indices: deque[int] = deque()

    def pictures() -> Iterator[np.ndarray]:
        with closing(bounced_frames(path, fps, n)) as film:
            for index, picture in film:
                indices.append(index)
                yield picture

    for picture, cut in with_cuts(pictures()):
        yield indices.popleft(), picture, cut


def bounced_frames(path: str | Path, fps: Fraction, n: int) -> Iterator[tuple[int, np.ndarray]]:
    """n frames of a film at a constant rate, forward, backward, forward: (index in the film, uint8 (H, W, 3)).

    In bounded memory: backward, the film is decoded again piece by piece. A film with one frame repeats it.
    """

    def film(start: int = 0, end: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        with closing(read_video(path)) as frames:
            yield from islice(enumerate(resample_frames(frames, fps)), start, end)

    made = available = 0
    while True:
        with closing(film()) as frames:
            for index, frame in frames:
                if made and index == 0 and available > 1:
                    continue  # shown last on the way back
                yield index, frame
                made += 1
                available = max(available, index + 1)
                if made == n:
                    return
        piece = max(1, REVERSE_BYTES // frame.nbytes)
        for end in range(available - 1, 0, -piece):
            with closing(film(max(0, end - piece), end)) as frames:
                shown = list(frames)
            for index, frame in reversed(shown):
                yield index, frame
                made += 1
                if made == n:
                    return
