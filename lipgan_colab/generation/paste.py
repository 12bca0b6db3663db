"""A generated face back into the picture: only what speech moves, without a visible edge."""

from dataclasses import dataclass

import cv2
import numpy as np

from lipgan_colab.faces import geometry
from lipgan_colab.faces.face import Face

FEATHER = 0.06  # of the crop's side: how softly the new mouth goes over into the old skin
LARGEST_CORRECTION = 24  # grey levels by which skin is matched; more is not a difference of light
FADING_YAW = 15.0  # degrees over which a face that turns away goes over into the original


@dataclass(frozen=True)
class Placement:
    """Where and how a generated crop goes into a picture.

    Attributes:
        region: (left, top, right, bottom) of the picture that can change.
        to_crop: affine map (2, 3) of the region's continuous points to the crop's.
        crop_mask: how much of the crop shows, float32 (S, S) in [0, 1].
        mask: the same in the region, float32 (bottom - top, right - left).
    """

    region: tuple[int, int, int, int]
    to_crop: np.ndarray
    crop_mask: np.ndarray
    mask: np.ndarray


def shown(face: Face, largest_yaw: float) -> float:
    """How far a face is changed, 0 to 1: one turned by more than `largest_yaw` degrees fades to the original."""
    return float(1 - np.clip((abs(face.yaw) - largest_yaw) / FADING_YAW, 0, 1))


def place(
    face: Face, shape: tuple[int, ...], size: int = 96, largest_yaw: float = 45, strength: float = 1.0
) -> Placement | None:
    """Where a face's crop goes in a picture of this shape; None where nothing of it would show.

    Args:
        face: found in the picture.
        shape: (H, W, ...) of the picture.
        size: S, of the crops.
        largest_yaw: degrees; faces turned further fade to the original over the next FADING_YAW.
        strength: how much of the crop is to show, 0 to 1.
    """
    to_crop = geometry.to_crop(face, size)
    part = strength * shown(face, largest_yaw)
    from_crop = cv2.invertAffineTransform(to_crop)
    corners = geometry.mapped(np.array([[0, 0], [size, 0], [size, size], [0, size]]), from_crop)
    left, top = np.maximum(0, np.floor(corners.min(axis=0))).astype(int).tolist()
    right, bottom = np.minimum([shape[1], shape[0]], np.ceil(corners.max(axis=0))).astype(int).tolist()
    if left >= right or top >= bottom or part == 0:
        return None
    crop_mask = np.float32(part) * _crop_mask(face, to_crop, size)
    to_crop[:, 2] += to_crop[:, :2] @ [left, top]
    mask = geometry.warp(crop_mask, to_crop, (right - left, bottom - top), cv2.INTER_LINEAR, inverse=True)
    return Placement((left, top, right, bottom), to_crop, crop_mask, mask)


def _crop_mask(face: Face, to_crop: np.ndarray, size: int) -> np.ndarray:
    """The lower face, from under the nose to just under the jaw; soft at its border, 0 at the crop's edge."""
    feather = FEATHER * size
    points = geometry.mapped(face.landmarks, to_crop)
    mask = geometry.lower_face_mask(points.astype(np.float32), (size, size))
    # Blurred, a mask reaches beyond its border: drawn in by the blur's width, it ends where it did.
    mask = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(feather) + 1,) * 2))
    mask = cv2.GaussianBlur(mask, (0, 0), feather / 2)
    pixels = np.arange(size) + 0.5
    across = np.clip((np.minimum(pixels, size - pixels) - 1) / feather, 0, 1)  # the last pixel is repeated outside
    down = np.clip((size - pixels - 1) / feather, 0, 1)
    return mask * (across * down[:, None]).astype(np.float32)


def paste(
    picture: np.ndarray, generated: np.ndarray, original: np.ndarray, placement: Placement, sharpen: float = 0.0
) -> np.ndarray:
    """The picture with the generated lower face in place of its own.

    The generated skin takes on the original's colour along the mask's border, so that no edge shows. Outside of the
    mask every pixel stays as it is.

    Args:
        picture: uint8 (H, W, 3); not changed.
        generated: uint8 (S, S, 3), the generator's answer.
        original: uint8 (S, S, 3), the same crop of the picture.
        placement: of `place`.
        sharpen: strength of an unsharp mask on the generated part, 0 for none, 1 for strong.
    """
    left, top, right, bottom = placement.region
    matched = match_colour(generated, original, placement.crop_mask)
    new = geometry.warp(matched, placement.to_crop, (right - left, bottom - top), cv2.INTER_CUBIC, inverse=True)
    if sharpen:
        enlarged = max(1.0, (right - left) / len(generated))
        new = new + sharpen * (new - cv2.GaussianBlur(new, (0, 0), 1.2 * enlarged))
    old = picture[top:bottom, left:right]
    mixed = old + placement.mask[..., None] * (new - old)
    pasted = picture.copy()
    pasted[top:bottom, left:right] = np.rint(mixed).clip(0, 255).astype(np.uint8)
    return pasted


def match_colour(generated: np.ndarray, original: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The generated crop, lit like the original: along the mask's border they then agree on average.

    Args:
        generated, original: uint8 (S, S, 3).
        mask: float32 (S, S) in [0, 1], how much of the generated crop will show.

    Returns:
        float32 (S, S, 3); may leave 0 to 255 a little.
    """
    border = 4 * mask * (1 - mask) + 1e-4
    difference = original.astype(np.float32) - generated
    difference = difference.clip(-LARGEST_CORRECTION, LARGEST_CORRECTION)
    blur = len(mask) / 6  # wide: light is matched, not the features of the face
    light = cv2.GaussianBlur(difference * border[..., None], (0, 0), blur)
    light /= cv2.GaussianBlur(border, (0, 0), blur)[..., None]
    return generated + light


def mark_synthetic(picture: np.ndarray) -> np.ndarray:
    """The picture with "AI-generated" in its lower left corner, in white on a dark ground; uint8 (H, W, 3)."""
    scale = max(0.35, picture.shape[0] / 1000)
    text, font, thickness = "AI-generated", cv2.FONT_HERSHEY_SIMPLEX, max(1, round(2 * scale))
    (width, height), below = cv2.getTextSize(text, font, scale, thickness)
    edge, bottom = round(12 * scale), picture.shape[0]
    marked = picture.copy()
    ground = marked[bottom - height - below - 2 * edge : bottom, : width + 2 * edge]
    ground[:] = ground // 3
    cv2.putText(marked, text, (edge, bottom - below - edge), font, scale, (255, 255, 255), thickness, cv2.LINE_AA)
    return marked
