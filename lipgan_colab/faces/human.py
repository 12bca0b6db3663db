"""Is it a human face: the landmarker draws one onto dogs, plush and drawn eyeballs as well."""

from functools import cache

import cv2
import numpy as np

from lipgan_colab.faces import geometry
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import Face
from lipgan_colab.faces.mesh import POINTS, canonical

VIEW = 256  # pixels of a view's side
AROUND = 1.2  # a view shows so many times the face's longer side
# How the same face is looked at again: moved by parts of its side to the right and down, so many times as much around
# it, mirrored or not.
VIEWS = ((0.0, 0.0, 1.0, True), (0.12, 0.08, 1.25, False), (-0.12, -0.08, 0.85, False), (0.08, -0.12, 1.0, True))
# Of 1200 human faces (in films, small, dark and rolled ones too, in photos and paintings, one cut by the border) all
# but some blurred ones lie below; of 20 dogs, cats, a monkey and drawn animals all above. Of small faces the landmarks
# are only so exact.
LARGEST_DIFFERENCE, PIXELS = 0.02, 1.5


def is_human(picture: np.ndarray, face: Face, finder: FaceFinder) -> bool:
    """Whether the face found in a picture, uint8 (H, W, 3), is a human one, as far as its landmarks tell."""
    height = np.linalg.norm(face.landmarks[10] - face.landmarks[152])
    return bool(views_differ(picture, face, finder) <= max(LARGEST_DIFFERENCE, PIXELS / height))


def views_differ(picture: np.ndarray, face: Face, finder: FaceFinder) -> float:
    """How much a face's landmarks depend on how it is looked at, in parts of the face's height; inf where it is not
    found in one of the views.

    On a human face they stay where they are when it is mirrored, moved or enlarged. On anything else they are a guess,
    and every view guesses anew.
    """
    low, high = face.landmarks.min(axis=0), face.landmarks.max(axis=0)
    middle, side = (low + high) / 2, float(max(high - low))
    return max(
        _difference(picture, face, finder, middle + side * np.float32([x, y]), side * around, mirrored)
        for x, y, around, mirrored in VIEWS
    )


def _difference(
    picture: np.ndarray, face: Face, finder: FaceFinder, middle: np.ndarray, side: float, mirrored: bool
) -> float:
    """The mean distance of the landmarks in one view from where they should be."""
    scale = VIEW / (2 * AROUND * side)
    to_view = np.column_stack([scale * np.eye(2), VIEW / 2 - scale * middle])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    view = geometry.warp(picture, to_view, (VIEW, VIEW), how)
    due = geometry.mapped(face.landmarks[:POINTS], to_view)
    if mirrored:
        view = view[:, ::-1]
        due = (due * [-1, 1] + [VIEW, 0])[_mirror_images()]
    height = np.linalg.norm(due[10] - due[152])
    found = (np.linalg.norm(other.landmarks[:POINTS] - due, axis=1).mean() for other in finder.find(view))
    return float(min(found, default=np.inf) / height)


@cache
def _mirror_images() -> np.ndarray:
    """Of each point of the mesh the number of its mirror image, int64 (468,)."""
    points = canonical()
    return np.linalg.norm(points[:, None] * [-1, 1, 1] - points, axis=2).argmin(axis=1)
