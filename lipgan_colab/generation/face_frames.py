"""Who is seen where: the frames of a photo or a film, each with the person's face in it."""

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.faces import tracking
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import Face
from lipgan_colab.faces.tracking import Person
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
        original: the crop, uint8 (S, S, 3), where a generator of faces of that size makes another one.
        generated: what becomes of it, of the same shape.
        parts: float32 (components,), where a motion network moves the face: see `moved_faces.spoken_parts`.
    """

    number: int
    picture: np.ndarray
    face: Face | None
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


def find_in_photo(photo: np.ndarray, path: str | Path, person: Person, pads: Pads) -> Face:
    """The person's face in a photo (read from `path`), its box padded.

    Raises:
        InputError: that person is not in it.
    """
    with FaceFinder() as finder:
        found = finder.find(photo)
    face = next(tracking.follow([found], person))
    if face is None:
        raise _nobody(path, person, len(found))
    return _padded(face, pads)


def see_film(
    path: str | Path, fps: Fraction, n: int, person: Person, pads: Pads, clock: StageClock
) -> Iterator[FaceFrame]:
    """n frames of a film, forward and backward, and the person's face in each, its box smoothed and padded.

    Raises:
        InputError: at the end, if that person was in none of them.
    """
    pictures: deque[np.ndarray] = deque()  # those that smoothing has not let through yet
    known: dict[int, list[Face]] = {}
    most = 0
    anybody = False

    def found(finder: FaceFinder) -> Iterator[list[Face]]:
        nonlocal most
        with closing(ahead(clock.timed("read", bounced_frames(path, fps, n)))) as film:
            for index, picture in film:
                pictures.append(picture)
                if index not in known:
                    with clock.stage("faces"):
                        here = finder.find(picture)
                    most = max(most, len(here))
                    if len(known) >= REMEMBERED:
                        yield here
                        continue
                    known[index] = here
                yield known[index]

    with FaceFinder() as finder, closing(found(finder)) as faces:
        followed = tracking.smoothed(tracking.follow(faces, person))
        for number, face in enumerate(followed):
            anybody = anybody or face is not None
            yield FaceFrame(number, pictures.popleft(), face and _padded(face, pads))
    if not anybody:
        raise _nobody(path, person, most)


def _nobody(path: str | Path, person: Person, most: int) -> InputError:
    if most == 0:
        return InputError(f"{path}: no face found; choose a picture in which it is larger and seen from the front")
    if isinstance(person, int):
        return InputError(f"{path}: there is no person {person}, counted from the left from 0; at most {most} are seen")
    return InputError(f"{path}: nobody's face is at {person}; choose another point, or the largest person")


def _padded(face: Face, pads: Pads) -> Face:
    if not any(pads):
        return face
    top, right, bottom, left = pads
    width, height = face.box[2:] - face.box[:2]
    return replace(face, box=face.box + np.float32([-left * width, -top * height, right * width, bottom * height]))


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
