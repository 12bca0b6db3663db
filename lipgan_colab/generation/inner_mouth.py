"""The inside of a mouth, drawn in its owner's colours into the opening between the lips.

Dark, a tongue, and two rows of teeth of usual sizes: the upper ones stand still in the head, the lower ones go with the
jaw. (A small network that had learnt the insides of GRID's mouths was measured against it: its teeth were a smear.)
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from lipgan_colab.faces import geometry, lips
from lipgan_colab.faces.face import INNER_LIPS
from lipgan_colab.faces.mesh import HeadPose

# The drawing, in centimetres of the head's frame around the middle between the resting lips.
LEFT, RIGHT, TOP, BOTTOM = -3.2, 3.2, -1.2, 3.6
PIXELS = 20  # a centimetre
DEEP = 0.7  # centimetres behind the lips, where the teeth are
# Half a row of teeth: where each ends, seen from the front, where the arch bends away at the sides.
UPPER_ENDS = [0.0, 0.82, 1.42, 1.98, 2.4, 2.7]
LOWER_ENDS = [0.0, 0.5, 1.02, 1.55, 2.02, 2.4]
UPPER_EDGE, LOWER_EDGE = 0.24, 0.38  # where they end below the resting lips, the lower ones with a closed jaw
CROWN = 0.95  # how high they are
JAW = [199, 175, 152]  # points of the chin, which the lower teeth follow, by less, for they lie nearer the hinge
HINGE = 0.85
SKIN = [50, 280, 205, 425, 199, 200, 18, 36, 266]  # points of cheeks and chin where the skin's colour is taken from
LIPS_RED = [72, 302, 73, 303, 85, 315, 86, 316, 15, 16]  # points in the red of the lips
BRIGHTNESS = np.float32([0.299, 0.587, 0.114])
TINT, LIVELY = 0.05, 0.17  # how far lips are from the skin's colour, in parts of it: in one tint, and in a colour film
GREY = 0.02  # skin with less colour than that, in parts of its brightness, has none
FLESH = 1.35 + 0.25j  # by what the skin's colour is multiplied to get the tongue's
PALER, PALEST = 0.2, 0.55  # teeth have so much less colour than skin, in parts of brightness; so much of it they keep
THROAT, TONGUE = 0.26, 0.56  # of the skin's brightness
DARKER = 0.7  # what light is left beside the lips
SMALLEST = 16  # pixels: smaller faces have no edges to look at
SEAM = 0.6  # of the lips' brightness, where they touch
SHADE = 0.22  # centimetres from the lips over which their shadow fades
OPENS = 0.03, 0.15  # centimetres more than at rest: from where to where the inside comes to be seen
AS_TEETH, MOST_TEETH = 0.9, 0.4  # of the brightness that teeth should have, and of the opening, are teeth that show
OWN = 0.25  # centimetres between the lips of a picture from which on its own teeth are kept


@dataclass(frozen=True)
class Look:
    """A face's own colours and sharpness.

    Attributes:
        skin: float32 (3,), RGB.
        lips: the same, of their red.
        teeth: their brightness, 0 to 255.
        lively: how much colours vary in the face, 0 (grey, or one tint all over) to 1 (a colour film).
        blur: pixels by which its edges are soft, as of a Gaussian blur.
    """

    skin: np.ndarray
    lips: np.ndarray
    teeth: float
    lively: float
    blur: float


def look_of(picture: np.ndarray, points: np.ndarray) -> Look:
    """The colours of a face with landmarks (468 or more, 2) in a picture, uint8 (H, W, 3)."""
    radius = max(1, round(np.ptp(points[:, 0]) / 60))
    skin = np.median([_patch(picture, points[p], radius) for p in SKIN], axis=0)
    red = np.median([_patch(picture, points[p], radius) for p in LIPS_RED], axis=0)
    (left, top), (right, bottom) = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
    face = picture[max(0, top) : max(1, bottom), max(0, left) : max(1, right)] @ BRIGHTNESS
    lightest = float(np.percentile(face[::4, ::4], 97)) if face.size else 255.0
    colour = _colour(skin)
    apart = abs(_colour(red) - colour) / max(abs(colour), GREY)
    lively = float(np.clip((apart - TINT) / (LIVELY - TINT), 0, 1))
    skin, red = skin.astype(np.float32), red.astype(np.float32)
    return Look(skin, red, 0.5 * float(skin @ BRIGHTNESS) + 0.42 * lightest, lively, _blur(face))


def _blur(face: np.ndarray) -> float:
    """By how many pixels the edges of a picture (h, w) are soft: blurred a little more, sharp ones lose most."""
    if min(face.shape) < SMALLEST:
        return 0.0

    def edges(blur: float) -> float:
        found = np.abs(cv2.Laplacian(cv2.GaussianBlur(face, (0, 0), blur), cv2.CV_32F)).ravel()
        return float(np.partition(found, -len(found) // 6)[-len(found) // 6 :].mean()) + 1e-3

    lost = edges(0.6) / edges(1.2)
    return float(np.interp(-lost, [-2.4, -2.0, -1.5, -1.32, -1.22, -1.17], [0.0, 0.5, 1.0, 1.5, 2.0, 3.0]))


def _patch(picture: np.ndarray, point: np.ndarray, radius: int) -> np.ndarray:
    x, y = (int(np.clip(v, 0, size - 1)) for v, size in zip(point, picture.shape[1::-1], strict=True))
    patch = picture[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
    return patch.reshape(-1, 3).mean(axis=0)


def _colour(rgb: np.ndarray) -> np.ndarray:
    """How far red and blue are from the brightness, in parts of it, as a complex number: (..., 3) to (...)."""
    rgb = rgb + 1.0  # black has no colour
    bright = rgb @ BRIGHTNESS
    return ((rgb[..., 0] - bright) + 1j * (rgb[..., 2] - bright)) / bright


def drawn(jaw: float, look: Look) -> np.ndarray:
    """The inside of a mouth whose jaw is so many centimetres down: float32 (h, w, 3), RGB.

    A colour is the skin's times a complex number, so grey skin has grey teeth and a grey tongue, and a sepia one sepia.
    """
    x, y = _places()
    skin = float(look.skin @ BRIGHTNESS)
    drop = HINGE * max(jaw, 0.0)
    tongue = np.exp(-np.square(x / 1.5) - np.square((y - 0.75 * drop - 0.45) / (0.3 + 0.35 * drop)))
    bright = skin * (THROAT + (TONGUE - THROAT) * tongue)
    tint = np.full(x.shape, FLESH)
    own = _colour(look.skin)
    white = max(1 - PALER / max(abs(own), GREY), PALEST)
    for teeth, down in ((_teeth(False), drop), (_teeth(True), 0.0)):
        cover, shade = _lowered(teeth, down)
        bright = bright + cover * (look.teeth * shade - bright)
        tint = tint + cover * (white - tint)
    colour = own * (1 + look.lively * (tint - 1))
    red, blue = bright * (1 + colour.real), bright * (1 + colour.imag)
    green = (bright - BRIGHTNESS[0] * red - BRIGHTNESS[2] * blue) / BRIGHTNESS[1]
    return np.stack([red, green, blue], axis=-1).astype(np.float32)


@cache
def _places() -> tuple[np.ndarray, np.ndarray]:
    """Where the drawing's pixels are, x and y (h, w) each, in centimetres."""
    across = LEFT + (np.arange(round((RIGHT - LEFT) * PIXELS)) + 0.5) / PIXELS
    down = TOP + (np.arange(round((BOTTOM - TOP) * PIXELS)) + 0.5) / PIXELS
    return tuple(np.meshgrid(across, down))


@cache
def _teeth(upper: bool) -> np.ndarray:
    """A row of teeth of a closed jaw: how far it covers what is behind it, and how light it is, (2, h, w) in [0, 1]."""
    x, y = _places()
    ends = np.array(UPPER_ENDS if upper else LOWER_ENDS)
    place = np.clip(np.searchsorted(ends, np.abs(x)) - 1, 0, len(ends) - 2)
    middle, half = (ends[place] + ends[place + 1]) / 2, (ends[place + 1] - ends[place]) / 2
    aside = (np.abs(x) - middle) / half  # -1 to 1 over each tooth
    rise = 0.05 * np.square(aside) + 0.03 * np.square(np.abs(x)) * (0.6 if upper else 0.8)  # round edges, bent rows
    from_edge = (UPPER_EDGE - rise - y) if upper else (y - LOWER_EDGE - rise)  # centimetres, > 0 on the tooth
    inside = _soft(from_edge, 0.04) * _soft(CROWN - from_edge, 0.15) * _soft(ends[-1] - np.abs(x), 0.1)
    gap = 0.28 * np.exp(-np.square((1 - np.abs(aside)) * half / 0.045))
    bend = 1 - 0.07 * np.square(x)  # the row bends back into the dark
    shade = (0.93 - gap + 0.05 * np.exp(-np.square(from_edge / 0.25))) * bend * (1.0 if upper else 0.82)
    return np.stack([inside, np.clip(shade, 0, 1)])


def _soft(distance: np.ndarray, over: float) -> np.ndarray:
    return np.clip(distance / over + 0.5, 0, 1)


def _lowered(teeth: np.ndarray, down: float) -> np.ndarray:
    """A row (2, h, w), so many centimetres further down."""
    if down == 0:
        return teeth
    move = np.float64([[1, 0, 0], [0, 1, down * PIXELS]])
    size = teeth.shape[:0:-1]
    return np.stack([cv2.warpAffine(part, move, size, borderMode=cv2.BORDER_REPLICATE) for part in teeth])


def shows_teeth(picture: np.ndarray, mask: np.ndarray, look: Look) -> bool:
    """Whether a good part of what a mask (h, w) lets see of a picture (h, w, 3) is as light as teeth."""
    light = picture @ BRIGHTNESS > AS_TEETH * look.teeth
    return float((light * mask).sum()) > MOST_TEETH * float(mask.sum()) > 0


def jaw_drop(moved: np.ndarray, rest: np.ndarray) -> float:
    """How far the jaw of a moved face (468, 3) is below that at rest, in centimetres of the head's frame."""
    return float((moved[JAW, 1] - rest[JAW, 1]).mean())


def middle_of_lips(rest: np.ndarray) -> np.ndarray:
    """Around which point (3,) of the head's frame the drawing is, of a face (468, 3) at rest."""
    return (rest[13] + rest[14]) / 2 + [0, 0, DEEP]


def placed(
    inside: np.ndarray, middle: np.ndarray, pose: HeadPose, region: tuple[int, int, int, int], blur: float
) -> np.ndarray:
    """A drawing (h, w, 3) where it is in the region (left, top, right, bottom) of the frame, as soft as that is."""
    corners = middle + np.array([[LEFT, TOP, 0], [RIGHT, TOP, 0], [LEFT, BOTTOM, 0]])
    seen = pose.to_picture(corners)[:, :2] - region[:2]
    height, width = inside.shape[:2]
    to_region = cv2.getAffineTransform(np.float32([[0, 0], [width, 0], [0, height]]), np.float32(seen))
    size = (region[2] - region[0], region[3] - region[1])
    scale = float(pose.scale) / PIXELS
    inside = cv2.GaussianBlur(inside, (0, 0), np.hypot(blur, 0.4) / scale)  # before it shrinks
    return geometry.warp(inside, to_region, size, cv2.INTER_LINEAR)


def shaded(mask: np.ndarray, scale: float) -> np.ndarray:
    """How much light falls into an opening, float32 in [0, 1], from its mask (h, w): less beside the lips.

    scale: pixels a centimetre.
    """
    return DARKER + (1 - DARKER) * np.clip(2 * cv2.GaussianBlur(mask, (0, 0), SHADE * scale) - 0.7, 0, 1)


def opening_mask(points: np.ndarray, region: tuple[int, int, int, int], edge: int = 0) -> np.ndarray:
    """The opening between the lips of landmarks (468 or more, 2 or 3) in a region of the frame: float32 in [0, 1].

    edge: pixels of its border that count as well, so that something is left of lips that touch.
    """
    left, top, right, bottom = region
    mask = np.zeros((bottom - top, right - left), np.uint8)
    fixed = np.rint((points[INNER_LIPS, :2] - [left + 0.5, top + 0.5]) * 16).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, 4)
    if edge:
        cv2.polylines(mask, [fixed], True, 255, edge, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def shown(moved: np.ndarray, rest: np.ndarray) -> float:
    """How much of the inside is seen, 0 to 1, of a moved face (468, 3) and the same at rest, in the head's frame."""
    more = float((lips.gaps(moved) - np.minimum(lips.gaps(rest), lips.SHUT)).max())
    return float(np.clip((more - OPENS[0]) / (OPENS[1] - OPENS[0]), 0, 1))
