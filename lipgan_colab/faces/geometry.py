"""A face's geometry: its upright crop, the maps to it and back, masks of lips and lower face, the mouth's opening."""

import cv2
import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.faces.face import CHEEKS, JAW, LIPS, Face, centres

STAYING_ROLL = 3.0  # degrees of tilt that are left when a head is turned upright


def to_crop(face: Face, size: int = 96) -> np.ndarray:
    """The affine map (2, 3) from continuous points of the frame to those of `upright_crop`(frame, face, size)."""
    centre, turn = centres(face.box).astype(np.float64), np.radians(_tilt(face))
    width, height = (face.box[2:] - face.box[:2]).astype(np.float64)
    cos, sin = np.cos(turn), np.sin(turn)
    linear = np.array([[size / width], [size / height]]) * np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([linear, size / 2 - linear @ centre])


def upright_crop(frame: np.ndarray, face: Face, size: int = 96) -> np.ndarray:
    """The face's box as `crop` cuts it, after turning the head upright: uint8 (size, size, 3)."""
    if _tilt(face) == 0:
        return crop(frame, face.box, size)
    # Turned at the frame's own resolution first, so that shrinking averages as `crop` does.
    sides = np.ceil(face.box[2:] - face.box[:2]).astype(int)
    turn = to_crop(face, 1) * np.float64(sides)[:, None]
    patch = warp(frame, turn, (sides[0], sides[1]), cv2.INTER_LINEAR)
    return crop(patch, np.float32([0, 0, *sides]), size)


def _tilt(face: Face) -> float:
    """By how many degrees to turn a head to hold it upright; small tilts stay, since turning softens."""
    if not np.isfinite(face.roll):
        return 0.0
    return float(np.sign(face.roll) * max(0.0, abs(face.roll) - STAYING_ROLL))


def crop(frame: np.ndarray, box: np.ndarray, size: int = 96) -> np.ndarray:
    """The box of an RGB frame, uint8 (H, W, 3), as uint8 (size, size, 3).

    Edge pixels are repeated outside the picture. Shrinking averages over each new pixel's area, enlarging
    interpolates linearly: for whole-numbered boxes as cv2.resize of the slice (INTER_AREA, INTER_LINEAR), for
    boxes between them alike, so that a slowly moving box does not flicker. InputError for an empty box.
    """
    x1, y1, x2, y2 = (float(edge) for edge in box)
    if not (np.isfinite(box).all() and x2 > x1 and y2 > y1):
        raise InputError(f"box {x1:.1f}, {y1:.1f}, {x2:.1f}, {y2:.1f}: it needs a positive width and height")
    columns = np.clip([int(x1) - 2, int(x2) + 2], [0, 1], [frame.shape[1] - 1, frame.shape[1]])
    rows = _resample(frame[:, slice(*columns)], y1, y2, size)
    square = _resample(rows.swapaxes(0, 1), x1 - columns[0], x2 - columns[0], size).swapaxes(0, 1)
    return np.ascontiguousarray(np.rint(square).clip(0, 255).astype(np.uint8))


def _resample(lines: np.ndarray, start: float, stop: float, size: int) -> np.ndarray:
    """`size` lines (size, ..., 3), float32, that share start..stop of `lines` (n, ..., 3) evenly.

    Each is the mean over a window around its centre, one new or one old line wide, whichever is wider.
    """
    step = (stop - start) / size
    width = max(step, 1.0)
    left = start + (np.arange(size) + 0.5) * step - width / 2
    shared = np.zeros((size, *lines.shape[1:]), np.float32)
    for tap in range(int(np.ceil(width)) + 1):
        line = np.floor(left) + tap
        overlap = np.minimum(left + width, line + 1) - np.maximum(left, line)
        weight = np.maximum(overlap, 0).astype(np.float32) / np.float32(width)
        shared += weight[:, None, None] * lines[np.clip(line, 0, len(lines) - 1).astype(int)]
    return shared


def warp(picture: np.ndarray, to_new: np.ndarray, size: tuple[int, int], interpolation: int, inverse=False):
    """cv2.warpAffine with an affine map (2, 3) of continuous points; size is (width, height), edges are repeated."""
    to_new = to_new.copy()
    to_new[:, 2] += to_new[:, :2] @ [0.5, 0.5] - 0.5  # OpenCV counts from pixel centres
    flags = interpolation | (cv2.WARP_INVERSE_MAP if inverse else 0)
    return cv2.warpAffine(picture, to_new, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def mapped(points: np.ndarray, to_new: np.ndarray) -> np.ndarray:
    """Points (..., 2) through an affine map (2, 3), such as `to_crop` gives."""
    return points @ to_new[:, :2].T + to_new[:, 2]


def crop_points(points: np.ndarray, box: np.ndarray, size: int = 96) -> np.ndarray:
    """Points (..., 2) of the frame in the pixels of `crop`(frame, box, size), float32."""
    box = np.asarray(box, np.float64)
    return ((points - box[:2]) * size / (box[2:] - box[:2])).astype(np.float32)


def lip_region(points: np.ndarray, size: int) -> np.ndarray:
    """The mouth in a crop: the lips' hull, grown by a twelfth of the crop and softened, uint8 (size, size), 255 inside.

    Args:
        points: (L, 2) lip landmarks in [0, 1]; nan (no landmarks) gives the place where the lips usually are.
    """
    if not np.isfinite(points).all():
        points = np.array([[0.3, 0.68], [0.7, 0.68], [0.7, 0.9], [0.3, 0.9]], np.float32)
    mask = np.zeros((size, size), np.uint8)
    hull = cv2.convexHull((points * size).astype(np.float32)).round().astype(np.int32)
    cv2.fillConvexPoly(mask, hull, 255)
    grown = 2 * (size // 24) + 1
    mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (grown, grown)))
    return cv2.GaussianBlur(mask, (0, 0), size / 48)


def lip_mask(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The lips and all between them: float32 (H, W) in [0, 1], from landmarks (478, 2) in its pixels."""
    return _polygon(landmarks[LIPS], shape)


def lower_face_mask(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """What speech moves, from under the nose to just under the jaw: float32 (H, W) in [0, 1]."""
    nose = landmarks[2]
    jaw = nose + 1.06 * (landmarks[JAW] - nose)
    return _polygon(np.concatenate([jaw, landmarks[CHEEKS]]), shape)


def _polygon(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    fixed = np.rint((np.asarray(points, np.float64) - 0.5) * 16).astype(np.int32)  # OpenCV counts from pixel centres
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def mouth_opening(landmarks: np.ndarray) -> np.ndarray:
    """Distance between the inner lips (13, 14) over the face's height (10 to 152): (..., 478, 2) to (...)."""
    lips = np.linalg.norm(landmarks[..., 13, :] - landmarks[..., 14, :], axis=-1)
    return lips / np.linalg.norm(landmarks[..., 10, :] - landmarks[..., 152, :], axis=-1)
