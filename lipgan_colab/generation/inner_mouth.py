"""The inside of a mouth, painted in its owner's colours into the opening between the lips."""

from dataclasses import dataclass

import cv2
import numpy as np

from lipgan_colab.faces import lips
from lipgan_colab.faces.face import INNER_LIPS
from lipgan_colab.faces.mesh import HeadPose
from lipgan_colab.models.painter import BOTTOM, DEEP, HEIGHT, LEFT, RIGHT, TOP, WIDTH

SKIN = [50, 280, 205, 425, 199, 200, 18, 36, 266]  # points of cheeks and chin where the skin's colour is taken from
BRIGHTNESS = np.float32([0.299, 0.587, 0.114])
LIVELY = 0.16  # how far the lips' colour is from the skin's in parts of their brightness, in a colour film of a person
DARKEST = 0.06  # of the skin's brightness
OPENS = 0.03, 0.15  # centimetres more than at rest: from where to where the inside comes to be seen
OWN = 0.25  # centimetres between the lips of a picture from which on its own teeth are kept


@dataclass(frozen=True)
class Colours:
    """A face's own colours.

    Attributes:
        skin: float32 (3,), RGB.
        lively: how much colours vary in the face, 0 (grey, or one tint all over) to 1 (a colour film).
    """

    skin: np.ndarray
    lively: float


def colours_of(picture: np.ndarray, points: np.ndarray) -> Colours:
    """The colours of a face with landmarks (468 or more, 2) in a picture, uint8 (H, W, 3)."""
    radius = max(1, round(np.ptp(points[:, 0]) / 60))
    skin = np.median([_patch(picture, points[p], radius) for p in SKIN], axis=0)
    red = np.median([_patch(picture, points[p], radius) for p in (LIP_POINTS)], axis=0)
    apart = abs(_colour(red[None]) - _colour(skin[None]))[0]
    return Colours(skin.astype(np.float32), float(np.clip(apart / LIVELY, 0, 1)))


LIP_POINTS = [72, 302, 73, 303, 85, 315, 86, 316, 15, 16]  # in the red of the lips


def _patch(picture: np.ndarray, point: np.ndarray, radius: int) -> np.ndarray:
    x, y = (int(np.clip(v, 0, size - 1)) for v, size in zip(point, picture.shape[1::-1], strict=True))
    patch = picture[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
    return patch.reshape(-1, 3).mean(axis=0)


def _colour(rgb: np.ndarray) -> np.ndarray:
    """How far red and blue are from the brightness, in parts of it, as a complex number: (..., 3) to (...)."""
    rgb = rgb + 1.0  # black has no colour
    bright = rgb @ BRIGHTNESS
    return ((rgb[..., 0] - bright) + 1j * (rgb[..., 2] - bright)) / bright


def tinted(inside: np.ndarray, colours: Colours) -> np.ndarray:
    """A painter's picture (3, h, w) in a face's colours: float32 (h, w, 3), RGB.

    A colour is the skin's times a complex number, so grey skin has grey teeth and a grey tongue, and a sepia one sepia.
    """
    bright = np.maximum(inside[0], DARKEST) * (colours.skin @ BRIGHTNESS)
    turned = 1 + colours.lively * (inside[1] + 1j * inside[2] - 1)
    colour = _colour(colours.skin[None])[0] * turned
    red, blue = bright * (1 + colour.real), bright * (1 + colour.imag)
    green = (bright - BRIGHTNESS[0] * red - BRIGHTNESS[2] * blue) / BRIGHTNESS[1]
    return np.stack([red, green, blue], axis=-1).astype(np.float32)


def middle_of_lips(rest: np.ndarray) -> np.ndarray:
    """Around which point (3,) of the head's frame a painter's picture is, of a face (468, 3) at rest."""
    return (rest[13] + rest[14]) / 2 + [0, 0, DEEP]


def placed(inside: np.ndarray, middle: np.ndarray, pose: HeadPose, region: tuple[int, int, int, int]) -> np.ndarray:
    """A painter's picture (h, w, C) where it is in the region (left, top, right, bottom) of the frame."""
    corners = middle + np.array([[LEFT, TOP, 0], [RIGHT, TOP, 0], [LEFT, BOTTOM, 0]])
    seen = pose.to_picture(corners)[:, :2] - region[:2]
    to_region = cv2.getAffineTransform(np.float32([[0, 0], [WIDTH, 0], [0, HEIGHT]]), np.float32(seen))
    to_region[:, 2] += to_region[:, :2] @ [0.5, 0.5] - 0.5  # OpenCV counts from pixel centres
    size = (region[2] - region[0], region[3] - region[1])
    return cv2.warpAffine(inside, to_region, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def opening_mask(points: np.ndarray, region: tuple[int, int, int, int]) -> np.ndarray:
    """The opening between the lips of landmarks (468 or more, 2 or 3) in a region of the frame: float32 in [0, 1]."""
    left, top, right, bottom = region
    mask = np.zeros((bottom - top, right - left), np.uint8)
    fixed = np.rint((points[INNER_LIPS, :2] - [left + 0.5, top + 0.5]) * 16).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def shown(moved: np.ndarray, rest: np.ndarray) -> float:
    """How much of the inside is seen, 0 to 1, of a moved face (468, 3) and the same at rest, in the head's frame."""
    more = float((lips.gaps(moved) - np.minimum(lips.gaps(rest), lips.SHUT)).max())
    return float(np.clip((more - OPENS[0]) / (OPENS[1] - OPENS[0]), 0, 1))
