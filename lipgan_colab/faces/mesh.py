"""The face's mesh: MediaPipe's canonical model, a face in the head's own frame, and back into the picture.

The head's frame does not move with the head: x to the picture's right, y down, z away from the viewer for a head that
looks into the camera, in centimetres of the canonical face (which is 8.9 between the outer corners of the eyes).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from safetensors.numpy import load_file

from lipgan_colab.faces.face import INNER_LIPS, Face
from lipgan_colab.faces.model_file import MODEL

POINTS = 468  # of the mesh; the landmarks after them are the irises'
# What speech moves least: eyes, bridge of the nose, temples and the sides of the head. (By them a still face laid onto
# the next frames is half a decibel nearer to these than by nose and forehead.)
STABLE = [33, 133, 263, 362, 168, 6, 197, 8, 127, 356, 234, 454, 162, 389, 21, 251]
FIXED_ABOVE, FREE_BELOW = 0.5, 3.0  # centimetres below the head's middle


@cache
def canonical() -> np.ndarray:
    """The canonical face in its head's frame, float32 (468, 3)."""
    return load_file(MODEL.with_name("face_mesh.safetensors"))["vertices"]


@cache
def triangles() -> np.ndarray:
    """The skin's triangles, int64 (880, 3), numbers of points, clockwise in the picture where seen from the front; none
    lies between the lips."""
    every = load_file(MODEL.with_name("face_mesh.safetensors"))["triangles"].astype(np.int64)
    return every[~np.isin(every, INNER_LIPS).all(axis=1)]


@cache
def mobility() -> np.ndarray:
    """How far each point takes part in what the mouth does, float32 (468,): 0 from the nose's tip upwards, 1 from the
    upper lip downwards."""
    down = np.clip((canonical()[:, 1] - FIXED_ABOVE) / (FREE_BELOW - FIXED_ABOVE), 0, 1)
    return down * down * (3 - 2 * down)


def lower_face() -> np.ndarray:
    """The numbers of the points that take part in what the mouth does, int64 (244,)."""
    return np.flatnonzero(mobility())


def kept_points() -> np.ndarray:
    """The numbers of the points that tell pose and mouth, int64 (K,), ascending: STABLE and the lower face."""
    return np.union1d(STABLE, lower_face())


@dataclass(frozen=True)
class HeadPose:
    """Where heads are in their pictures (weak perspective): picture = scale * rotation @ head + shift.

    rotation: (..., 3, 3).
    scale: (...,), pixels a centimetre.
    shift: (..., 3), pixels.
    """

    rotation: np.ndarray
    scale: np.ndarray
    shift: np.ndarray

    def to_head(self, points: np.ndarray) -> np.ndarray:
        """Points (..., N, 3) in pixels, the third the depth, in the head's frame."""
        return (points - self.shift[..., None, :]) @ self.rotation / self.scale[..., None, None]

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Points (..., N, 3) of the head's frame in pixels, the third the depth."""
        turned = points @ np.swapaxes(self.rotation, -1, -2)
        return self.scale[..., None, None] * turned + self.shift[..., None, :]


def head_pose(points: np.ndarray, shape: np.ndarray | None = None) -> HeadPose:
    """The pose by which STABLE lies nearest (least squares; Umeyama 1991) to a shape's.

    Args:
        points: (..., 468 or more, 3) in pixels, the third the depth.
        shape: (468, 3) in the head's frame; None takes the canonical face.
    """
    model = (canonical() if shape is None else shape)[STABLE].astype(np.float64)
    seen = np.asarray(points, np.float64)[..., STABLE, :]
    middle, centre = model.mean(axis=0), seen.mean(axis=-2)
    model, seen = model - middle, seen - centre[..., None, :]
    u, s, vt = np.linalg.svd(np.swapaxes(seen, -1, -2) @ model)
    mirrored = np.sign(np.linalg.det(u @ vt))
    signs = np.ones_like(s)
    signs[..., -1] = mirrored
    rotation = (u * signs[..., None, :]) @ vt
    scale = (s * signs).sum(axis=-1) / np.square(model).sum()
    return HeadPose(rotation, scale, centre - scale[..., None] * (rotation @ middle))


def posed(face: Face) -> tuple[np.ndarray, HeadPose, np.ndarray]:
    """A face's mesh in pixels, float64 (468, 3), its head's pose, and the mesh (468, 3) in the head's frame.

    face: with its depth.
    """
    points = face.mesh[:POINTS].astype(np.float64)
    pose = head_pose(points)
    return points, pose, pose.to_head(points)
