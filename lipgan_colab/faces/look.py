"""What somebody looks like beside what speech moves: to tell after a cut whether it is the same person."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from lipgan_colab.faces.face import Face
from lipgan_colab.faces.mesh import canonical, mobility, posed

# Where colours are looked at, in the head's frame, in centimetres of the canonical face.
SKIN = [50, 280, 151, 9, 205, 425]  # points of the mesh: cheeks and forehead
CROWN, CHIN = 10, 152
TEMPLES = {127: -1, 162: -1, 356: 1, 389: 1}  # points at the sides of the head, and on which side
SKIN_SIZE, HAIR_SIZE, CLOTHES_SIZE = 0.8, 0.8, 1.2  # half a patch's side
KINDS = (len(SKIN), 6 + len(TEMPLES), 10)  # how many patches tell of skin, hair and clothes
LIGHTNESS = 0.5  # what lightness counts beside colour: the light changes more often than the shirt

# Measured on pairs of shots of 33 people (GRID, and films of portraits), each by six frames. The proportions alone do
# not tell 6 % of the pairs of one person on two days, and take 0.7 % of the pairs of two people for one. Where skin,
# hair and clothes have the same colours as well, as over a jump cut, a face may turn, laugh, or be far away.
SAME_SHAPE, SAME_COLOURS, NEAR_SHAPE = 0.13, 5.0, 0.3  # centimetres, CIE Lab, centimetres
OTHER_COLOURS = 8.0  # CIE Lab; a head that turns before the camera changes up to as much, two people nearly always more


@dataclass(frozen=True)
class Look:
    """What a person looks like.

    Attributes:
        shape: float64 (P, 3), the part of the mesh that speech does not move, in the head's frame about its middle, in
            centimetres of the canonical face.
        colours: float64 (26, 3), CIE Lab of skin, hair and clothes; nan where a patch is not in the picture.
    """

    shape: np.ndarray
    colours: np.ndarray


def look(picture: np.ndarray, face: Face) -> Look:
    """What a face, found with its depth, looks like in a picture, uint8 (H, W, 3)."""
    _, pose, mesh = posed(face)
    still = mesh[mobility() == 0]
    places, sizes = _patches()
    middles = pose.to_picture(places)[:, :2]
    rgb = np.array([_median(picture, *square) for square in zip(middles, sizes * pose.scale, strict=True)])
    lab = cv2.cvtColor(np.float32([rgb]) / 255, cv2.COLOR_RGB2LAB)[0].astype(np.float64)
    lab[np.isnan(rgb)] = np.nan  # which OpenCV takes for white
    return Look(still - still.mean(axis=0), lab)


def average(looks: Sequence[Look]) -> Look:
    """One person's look in several pictures as one."""
    return Look(
        *(
            np.ma.median(np.ma.masked_invalid([getattr(one, part) for one in looks]), axis=0).filled(np.nan)
            for part in ("shape", "colours")
        )
    )


def shapes_differ(a: Look, b: Look) -> float:
    """How far two faces' points lie apart, in centimetres of the canonical face (root mean square)."""
    return float(np.sqrt(np.square(a.shape - b.shape).sum(axis=1).mean()))


def colours_differ(a: Look, b: Look) -> float:
    """How far the colours of skin, hair and clothes lie apart, in CIE Lab, but for all of them being darker; nan where
    none is seen in both pictures."""
    apart = a.colours - b.colours
    if np.isfinite(apart).any():
        apart = (apart - [np.nanmedian(apart[:, 0]), 0, 0]) * [LIGHTNESS, 1, 1]
    apart = np.linalg.norm(apart, axis=1)
    kinds = [part[np.isfinite(part)] for part in np.split(apart, np.cumsum(KINDS)[:-1])]
    seen = [np.median(part) for part in kinds if len(part)]
    return float(np.mean(seen)) if seen else np.nan


def is_same(a: Look, b: Look) -> bool:
    """Whether two looks are one person's."""
    shape = shapes_differ(a, b)
    return shape < SAME_SHAPE or (shape < NEAR_SHAPE and colours_differ(a, b) < SAME_COLOURS)


def has_changed(before: Look, after: Look) -> bool:
    """Whether a face that was followed without a cut is another person's by now. In one scene a laugh changes the
    proportions, and a shadow the colours, but hardly both."""
    return shapes_differ(before, after) > SAME_SHAPE and colours_differ(before, after) > OTHER_COLOURS


@cache
def _patches() -> tuple[np.ndarray, np.ndarray]:
    """Where colours are looked at: middles (26, 3) in the head's frame, and half a side of each (26,)."""
    points = canonical()
    hair = [points[CROWN] + [x, -up, 2] for x in (-2.5, 0, 2.5) for up in (2.5, 4)]
    hair += [points[point] + [side, 0, 2] for point, side in TEMPLES.items()]
    clothes = [points[CHIN] + [x, down, 3] for x in (-6, -3, 0, 3, 6) for down in (6, 9)]
    sizes = np.repeat([SKIN_SIZE, HAIR_SIZE, CLOTHES_SIZE], KINDS)
    return np.array([*points[SKIN], *hair, *clothes], np.float64), sizes


def _median(picture: np.ndarray, middle: np.ndarray, half: float) -> np.ndarray:
    """The median colour of a square, (3,); nan where it is not in the picture."""
    left, top = np.maximum(np.rint(middle - half), 0).astype(int)
    right, bottom = np.maximum(np.rint(middle + half), 0).astype(int)
    patch = picture[top:bottom, left:right]
    if min(patch.shape[:2]) < 3:
        return np.full(3, np.nan)
    step = max(1, min(patch.shape[:2]) // 16)
    return np.median(patch[::step, ::step].reshape(-1, 3), axis=0)
