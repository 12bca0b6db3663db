"""Paint a mouth out of a face, and another one in, so that a generator does not copy the one that is there.

A generator that knows few people takes an open mouth or a broad smile in its reference for part of the face. Where it
has learnt from references that were painted over as well (`augmentation`), one that rests lets it listen instead.
"""

import cv2
import numpy as np

from lipgan_colab.faces import geometry
from lipgan_colab.faces.face import LIPS

OPEN = 0.03  # of the face's height: a mouth further open than that is not at rest
HALF_LIPS, SLIT = 0.033, 0.15  # half the resting lips' height in parts of the crop, and what of that lies between them
NARROWER = 0.85  # than a mouth that is open or smiles
MARGIN = 1 / 32  # of the crop: smiles reach further than lips that rest
DARKER, DARK = 0.8, 0.3  # what of their colour lips keep when they close, and what is left of that between them


def at_rest(crop: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A face with a resting mouth painted over its own.

    Args:
        crop: uint8 (S, S, 3), upright.
        points: (40, 2), its outer and inner lip landmarks (`LIPS`, `INNER_LIPS`) in [0, 1].
    """
    size = len(crop)
    low, high = points.min(axis=0) * size, points.max(axis=0) * size
    half = np.array([NARROWER * (high[0] - low[0]) / 2, HALF_LIPS * size])
    lips = DARKER * _lip_colour(crop, points)
    skin = without_mouth(crop, points, round(MARGIN * size))
    painted = drawn_mouth(skin, (low + high) / 2, half, 0.0, SLIT, lips, DARK * lips)
    return np.rint(painted).clip(0, 255).astype(np.uint8)


def _lip_colour(crop: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The median colour (3,) between the outer and the inner border of the lips."""
    outer, inner = points[: len(LIPS)], points[len(LIPS) :]
    ring = np.zeros(crop.shape[:2], np.uint8)
    for border, value in ((outer, 1), (inner, 0)):
        cv2.fillPoly(ring, [(border * len(crop)).round().astype(np.int32)], value)
    if ring.any():
        return np.median(crop[ring > 0], axis=0)
    x, y = (points[0] * len(crop)).astype(int).clip(0, len(crop) - 1)  # a corner, if need be of the crop
    return crop[y, x].astype(np.float64)


def without_mouth(face: np.ndarray, points: np.ndarray, margin: int = 0) -> np.ndarray:
    """A face (S, S, 3) with the skin around its mouth drawn over it, float32.

    Args:
        face: uint8.
        points: (L, 2) lip landmarks in [0, 1].
        margin: pixels around `geometry.lip_region` that go as well.
    """
    size = len(face)
    mask = geometry.lip_region(points, size).astype(np.float32) / 255
    if margin:
        mask = cv2.GaussianBlur(cv2.dilate(mask, np.ones(2 * [2 * margin + 1])), (0, 0), 2 * margin / 3)
    mask = mask[..., None]
    skin = cv2.GaussianBlur(face * (1 - mask), (0, 0), size / 10)
    skin = skin / (cv2.GaussianBlur(1 - mask, (0, 0), size / 10)[..., None] + 1e-3)
    return face + mask * (skin - face)


def drawn_mouth(
    face: np.ndarray,
    middle: np.ndarray,
    half: np.ndarray,
    bend: float,
    opening: float,
    lips: np.ndarray,
    inside: np.ndarray,
) -> np.ndarray:
    """A face with a mouth drawn onto it, float32 (S, S, 3).

    Args:
        face: float32 (S, S, 3), changed in place.
        middle: (x, y) of the mouth, in pixels.
        half: half its width and height.
        bend: by how many pixels its middle lies below its corners: a smile where > 0.
        opening: what part of the height lies between the lips.
        lips, inside: colours (3,).
    """
    x = np.linspace(-1, 1, 15)
    for part, colour in ((1.0, lips), (opening, inside)):
        arc, open_by = bend * (1 - x**2) - bend / 2, part * half[1] * np.sqrt(1 - x**2)
        outline = np.r_[np.c_[x, arc - open_by], np.c_[x, arc + open_by][::-1]] * [half[0] * (0.5 + part / 2), 1]
        drawn = np.zeros(face.shape[:2], np.float32)
        cv2.fillPoly(drawn, [(16 * (middle + outline)).round().astype(np.int32)], 1, cv2.LINE_AA, 4)
        face += cv2.GaussianBlur(drawn, (0, 0), 0.8)[..., None] * (colour - face)
    return face
