"""A clip spoken by a motion network: its first frame's pixels, in the head's pose of every frame."""

from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np

from lipgan_colab.faces import geometry, mesh
from lipgan_colab.faces.face import Face
from lipgan_colab.faces.face_clip import FPS, FaceClip, around
from lipgan_colab.generation.moved_faces import spoken_parts
from lipgan_colab.generation.own_pixels import Portrait, likeness, painted_inside, speaking_mesh, with_inside
from lipgan_colab.generation.warp import warp
from lipgan_colab.models.motion_network import MotionNetwork

SEAM = 1 / 24  # of the crop: rows over which its true upper half goes over into the lower


def moved_crops(clip: FaceClip, network: MotionNetwork, speeches: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The clip's crops as they speak each of several speeches, uint8 (F, S, S, 3). As a generator does, they take
    from the truth the pose and the upper half, and everything else from the first frame.

    Args:
        clip: with the depth of its landmarks.
        network: what moves the mouth.
        speeches: features of each, as the network hears them.
    """
    border = around(clip.size)
    inner = slice(border, -border)
    meshes = np.concatenate([clip.landmarks + border, clip.depth[..., None]], axis=2)[:, : mesh.POINTS]
    meshes = meshes.astype(np.float64)
    first = Face(clip.landmarks[0] + border, np.zeros(4), 0.0, 0.0, 0.0, depth=clip.depth[0])
    who = likeness([(clip.frames[0], first)], network.moves)
    head = mesh.head_pose(meshes[0]).to_head(meshes[0])
    moves, spoken = network.moves, []
    for features in speeches:
        parts = spoken_parts(network, features, len(clip.frames), Fraction(FPS))
        crops = []
        for frame, points, said in zip(clip.frames, meshes, parts, strict=True):
            pose = mesh.head_pose(points)
            face = Portrait(clip.frames[0], meshes[0], pose, head, who.rest, who.look)
            crop = _in_pose(face, np.tensordot(said, moves, 1))[inner, inner]
            crops.append(_below(frame[inner, inner], crop))
        spoken.append(np.stack(crops))
    return spoken


def _in_pose(face: Portrait, movement: np.ndarray) -> np.ndarray:
    """A frame with the face of another one speaking in it: `face` has the pose of this and the points of that."""
    there = face.pose.to_picture(face.head)
    to_there = _similarity(face.points[mesh.STABLE, :2], there[mesh.STABLE, :2])
    back = cv2.invertAffineTransform(to_there)
    aligned = np.column_stack([geometry.mapped(face.points[:, :2], to_there), there[:, 2]])
    head = speaking_mesh(face, movement)
    moved = face.pose.to_picture(head)
    height, width = face.picture.shape[:2]
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    moves = warp(aligned[:, :2], moved[:, :2], moved[:, 2], face.picture.shape)
    if moves is not None:
        left, top, right, bottom = moves.region
        places[top:bottom, left:right] = moves.source
    sources = (geometry.mapped(places + 0.5, back) - 0.5).astype(np.float32)  # OpenCV counts from centres
    result = cv2.remap(face.picture, sources, None, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    if moves is None:
        return result
    picture = geometry.warp(face.picture, to_there, (width, height), cv2.INTER_CUBIC)
    here = Portrait(picture, aligned, face.pose, face.head, face.rest, face.look)
    return with_inside(result, here, head, moves.region, painted_inside(here, head, moves.region))


def _similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The map (2, 3) that moves, turns and scales points (N, 2) nearest to others."""
    a, b = points @ [1, 1j], target @ [1, 1j]
    turn = np.vdot(a - a.mean(), b - b.mean()) / np.vdot(a - a.mean(), a - a.mean())
    shift = b.mean() - turn * a.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _below(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """The upper half of one crop and the lower half of another."""
    down = (np.arange(len(upper)) + 0.5) / len(upper)
    part = np.clip((down - 0.5) / SEAM + 0.5, 0, 1)[:, None, None]
    return np.rint(upper + part * (lower.astype(np.float32) - upper)).astype(np.uint8)
