"""A face's own pixels, moved: piecewise affine over the mesh's triangles, with the mouth an opening between them."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from lipgan_colab.faces import mesh
from lipgan_colab.faces.face import FACE_OVAL

RING = 0.3  # the ring of points that never move lies so much further out than the face's oval
STILL = 0.01  # pixels: what moves less has not moved
SUBPIXEL = 4  # bits of a pixel in which triangles are drawn


@dataclass(frozen=True)
class Warp:
    """Where a moved face's pixels come from.

    Attributes:
        region: (left, top, right, bottom) of the picture, outside of which nothing changes.
        source: float32 (bottom - top, right - left, 2), of each pixel the place (x, y) in the unmoved picture, counted
            from pixel centres as OpenCV does.
        folds: how many triangles, of those that were seen, are seen from behind once moved.
    """

    region: tuple[int, int, int, int]
    source: np.ndarray
    folds: int


@cache
def _triangles() -> np.ndarray:
    """The mesh's triangles and those between the oval and its ring, whose points have the numbers from 468 on."""
    oval, ring = np.array(FACE_OVAL), mesh.POINTS + np.arange(len(FACE_OVAL))
    next_oval, next_ring = np.roll(oval, -1), np.roll(ring, -1)
    around = np.concatenate([np.c_[oval, ring, next_oval], np.c_[next_oval, ring, next_ring]])
    return np.concatenate([mesh.triangles(), around])


def with_ring(points: np.ndarray, still: np.ndarray) -> np.ndarray:
    """Points (..., 468, 2) and the ring (36, 2) around where they are when nothing moves, `still` (468, 2)."""
    oval = still[FACE_OVAL]
    ring = oval + RING * (oval - oval.mean(axis=0))
    return np.concatenate([points, np.broadcast_to(ring, (*points.shape[:-2], *ring.shape))], axis=-2)


def warp(points: np.ndarray, moved: np.ndarray, depth: np.ndarray, shape: tuple[int, ...]) -> Warp | None:
    """The warp that carries a face's points to where they should be; None where nothing moves.

    Args:
        points: float (468, 2), x and y in pixels, in a picture of this shape (H, W, ...).
        moved: the same points, where they should be.
        depth: float (468,), pixels; what is nearer hides what is further away.
    """
    points, moved = with_ring(points, points), with_ring(moved, points)
    triangles = _triangles()
    moving = np.abs(moved - points).max(axis=1) > STILL
    triangles = triangles[moving[triangles].any(axis=1)]
    if not len(triangles):
        return None
    both = np.concatenate([points[triangles], moved[triangles]]).reshape(-1, 2)
    left, top = np.maximum(0, np.floor(both.min(axis=0))).astype(int).tolist()
    right, bottom = np.minimum([shape[1], shape[0]], np.ceil(both.max(axis=0))).astype(int).tolist()
    if left >= right or top >= bottom:
        return None
    seen, still_seen = _area(points[triangles]) > 0, _area(moved[triangles]) > 0
    deep = np.concatenate([depth, np.full(len(FACE_OVAL), depth.max())])[triangles].mean(axis=1)
    # From the back to the front, those seen from behind before all others, so that nothing is left undrawn.
    drawn = triangles[np.lexsort((-deep, seen & still_seen))]
    return Warp(
        (left, top, right, bottom),
        _sources(points[drawn], moved[drawn], (left, top, right, bottom)),
        int((seen & ~still_seen).sum()),
    )


def _area(triangles: np.ndarray) -> np.ndarray:
    """Twice the signed areas (N,) of triangles (N, 3, 2): > 0 where they are seen from the front."""
    (ax, ay), (bx, by) = (triangles[:, 1] - triangles[:, 0]).T, (triangles[:, 2] - triangles[:, 0]).T
    return ax * by - ay * bx


def _sources(points: np.ndarray, moved: np.ndarray, region: tuple[int, int, int, int]) -> np.ndarray:
    left, top, right, bottom = region
    corner = np.array([left + 0.5, top + 0.5])  # OpenCV counts from pixel centres
    which = np.full((bottom - top, right - left), len(points), np.int32)
    fixed = np.rint((moved - corner) * (1 << SUBPIXEL)).astype(np.int32)
    for number, corners in enumerate(fixed):
        cv2.fillConvexPoly(which, corners, number, cv2.LINE_8, SUBPIXEL)
    # Each triangle's affine map, target to source, as what is added to the place: exactly 0 where nothing moves.
    homogeneous = np.concatenate([moved - corner, np.ones((*moved.shape[:2], 1))], axis=2)
    maps = np.linalg.solve(homogeneous, points - moved)
    maps = np.concatenate([maps, np.zeros((1, 3, 2))]).astype(np.float32)
    x, y = np.arange(right - left, dtype=np.float32), np.arange(bottom - top, dtype=np.float32)[:, None]
    # A term at a time, in place: memory is what this takes its time for.
    source = maps[:, 0].take(which, axis=0)
    source *= x[:, None]
    term = maps[:, 1].take(which, axis=0)
    term *= y[..., None]
    source += term
    maps[:, 2].take(which, axis=0, out=term, mode="clip")  # without a mode it is buffered
    source += term
    source[..., 0] += x + left
    source[..., 1] += y + top
    return source


def warped(picture: np.ndarray, moves: Warp) -> np.ndarray:
    """The picture (H, W, 3) with its pixels moved; not changed itself. Cubic interpolation would take a third of the
    skin's grain away."""
    left, top, right, bottom = moves.region
    result = picture.copy()
    result[top:bottom, left:right] = cv2.remap(
        picture, moves.source, None, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE
    )
    return result
