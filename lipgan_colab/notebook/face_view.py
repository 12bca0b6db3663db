"""Who is seen in a photo or a film: a picture with every face drawn into it, numbered from the left."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import INNER_LIPS, JAW, LIPS, Face
from lipgan_colab.faces.following import Person, Sight, chosen
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.media.image import is_image, read_image
from lipgan_colab.notebook.film_frames import frames_from

LOOK_EVERY = 0.2  # seconds between the frames of a film that are looked at
LOOK_ON = 2.0  # seconds after the first face in which others may turn up
LOOK_FOR = 60.0  # seconds of a film in which there must be a face
CHOSEN, OTHER = (52, 199, 89), (160, 160, 160)  # colours, RGB


@dataclass(frozen=True)
class FaceView:
    """The faces of a photo, or of the frame of a film that shows the most of them.

    Attributes:
        picture: RGB uint8 (H, W, 3).
        faces: from left to right; at least one.
        speaker: which of them speaks unless another is chosen: the largest that can be used. None where none looks
            like a human face.
        film: whether the picture is a film's.
    """

    picture: np.ndarray
    faces: list[Face]
    speaker: int | None
    film: bool

    def person(self, number: int) -> Person:
        """Who `GenerateOptions.person` has to be for the face of this number, counted from 0."""
        if not self.film:
            return number
        if len(self.faces) == 1:
            return "largest"
        # In an earlier frame not all of them may be seen, and the numbers would be others.
        x1, y1, x2, y2 = self.faces[number].box.tolist()
        return round((x1 + x2) / 2, 1), round((y1 + y2) / 2, 1)


def find_faces(path: str | Path, start: float = 0.0) -> FaceView:
    """Look at a photo, or at a film from a moment on.

    Args:
        path: of the photo or film.
        start: the moment, in seconds.

    Raises:
        InputError: it cannot be read, or shows no face.
    """
    film = not is_image(path)
    with FaceFinder() as finder:
        picture, found = _best_frame(path, start, finder) if film else _photo(path, finder)
        speaker = chosen(Sight(picture, found), GenerateOptions().wanted, finder)
    if not found:
        raise InputError(
            f"{Path(path).name}: no face found{_where(film, start)} in which it is larger and seen from the front"
        )
    from_left = sorted(found, key=lambda face: face.box[0] + face.box[2])
    return FaceView(picture, from_left, next((i for i, face in enumerate(from_left) if face is speaker), None), film)


def _where(film: bool, start: float) -> str:
    """Where nobody was seen, and where somebody should be."""
    if not film:
        return "; choose a picture"
    looked_at = f"the {LOOK_FOR:.0f} s after {start:g} s" if start else f"its first {LOOK_FOR:.0f} seconds"
    return f" in {looked_at}; choose a part of the film"


def _photo(path: str | Path, finder: FaceFinder) -> tuple[np.ndarray, list[Face]]:
    picture = read_image(path)
    return picture, finder.find(picture)


def _best_frame(path: str | Path, start: float, finder: FaceFinder) -> tuple[np.ndarray, list[Face]]:
    best: tuple[np.ndarray, list[Face]] = np.zeros((0, 0, 3), np.uint8), []
    following, end = 0.0, start + LOOK_FOR
    for time, picture in frames_from(path, start):
        if time > end:
            break
        if time < following:
            continue
        following = time + LOOK_EVERY
        found = finder.find(picture)
        if found and not best[1]:
            end = time + LOOK_ON
        if len(found) > len(best[1]):
            best = picture, found
    return best


def draw_faces(view: FaceView, chosen: int = 0, longest: int = 640) -> np.ndarray:
    """The picture, made smaller, with boxes, landmarks and, where there are several faces, numbers from 1.

    Args:
        view: of `find_faces`.
        chosen: the face that is drawn in colour.
        longest: pixels of the longer side, at most.

    Returns:
        RGB uint8 (h, w, 3).
    """
    scale = min(1.0, longest / max(view.picture.shape[:2]))
    drawn = cv2.resize(view.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    thick = max(1, round(max(drawn.shape[:2]) / 250))
    for number, face in enumerate(view.faces):
        colour = CHOSEN if number == chosen else OTHER
        box = np.rint(face.box * scale).astype(int)
        cv2.rectangle(drawn, box[:2].tolist(), box[2:].tolist(), colour, thick, cv2.LINE_AA)
        if face.landmarks is not None:
            for points, closed in ((LIPS, True), (INNER_LIPS, True), (JAW, False)):
                line = np.rint(face.landmarks[points] * scale).astype(np.int32)
                cv2.polylines(drawn, [line], closed, colour, max(1, thick // 2), cv2.LINE_AA)
        if len(view.faces) > 1:
            _number(drawn, number + 1, box, colour)
    return drawn


def _number(drawn: np.ndarray, number: int, box: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Write the number into the box's upper left corner, on a ground of its colour."""
    size = max(0.4, max(drawn.shape[:2]) / 800)
    (width, height), below = cv2.getTextSize(str(number), cv2.FONT_HERSHEY_SIMPLEX, size, 2)
    left, top = np.maximum(box[:2], 0).tolist()
    cv2.rectangle(drawn, (left, top), (left + width + 8, top + height + below + 4), colour, -1)
    cv2.putText(
        drawn, str(number), (left + 4, top + height + 4), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 2, cv2.LINE_AA
    )
