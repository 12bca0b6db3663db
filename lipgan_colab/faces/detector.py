"""Frame to faces: MediaPipe's Face Landmarker finds them."""

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.faces.face import EYE_CORNERS, NOSE_TIP, SAME_FACE, Face, centres, far, sizes
from lipgan_colab.faces.load_mediapipe import without_unused
from lipgan_colab.faces.model_file import find_model

# The box by what speech does not move, fitted for IoU to dlib's boxes on seven speakers of GRID (mean IoU 0.857;
# 0.846 on a speaker left out of the fit): its centre is this part of the way down from the eyes to the level of the
# nose's tip, half its side so many times the distance between the inner corners of the eyes.
BOX_DOWN, BOX_HALF = 0.969, 2.226


SMALLEST_TILE = 256  # pixels: where nothing is found, faces from about an eighth of this are looked for


class FaceFinder:
    """Finds the faces in a frame, each frame by itself. A context manager; every process makes its own.

    model: path of a face_landmarker.task; None takes the package's own (see `model_file.find_model`).
    max_faces: at most so many faces a frame.
    min_confidence: of the detector, 0 to 1.

    Raises InputError where MediaPipe cannot be loaded, or the model cannot be used; the message says how to help it.
    """

    def __init__(self, model: str | Path | None = None, max_faces: int = 3, min_confidence: float = 0.5):
        self.max_faces = max_faces
        self._landmarker = _open_landmarker(model, max_faces, min_confidence)

    def __enter__(self) -> "FaceFinder":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Free the detector's memory and threads; may be called twice."""
        self._landmarker.close()

    def find(self, frame: np.ndarray, near: Sequence[Face] | None = None) -> list[Face]:
        """The faces in an RGB frame, uint8 (H, W, 3), largest first; [] where there are none.

        near: faces of a frame shortly before. Small ones are then looked for where these were, as they would be found
            without, and all over the frame only if one of these is not found. None looks all over the frame.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise InputError(f"a frame is uint8 (height, width, 3), not {frame.dtype} {frame.shape}")
        faces = self._find_landmarks(frame) or self._find_small(frame, near)
        return sorted(faces, key=lambda face: -sizes(face.box))[: self.max_faces]

    def _find_landmarks(self, frame: np.ndarray, left: int = 0, top: int = 0) -> list[Face]:
        """The faces in a frame that lies at (left, top) in a larger one."""
        import mediapipe

        # A view that is not contiguous gives no face and no error.
        image = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(frame))
        result = self._landmarker.detect(image)
        size = np.float32([frame.shape[1], frame.shape[0], frame.shape[1]])  # depth is in units of the width
        faces = []
        for marks, matrix in zip(result.face_landmarks, result.facial_transformation_matrixes, strict=True):
            points = np.float32([(p.x, p.y, p.z) for p in marks]) * size + np.float32([left, top, 0])
            pose = _head_pose(matrix)
            faces.append(Face(points[:, :2].copy(), _dlib_like_box(points), *pose, depth=points[:, 2].copy()))
        return faces

    def _find_small(self, frame: np.ndarray, near: Sequence[Face] | None) -> list[Face]:
        """Faces in tiles that overlap by half: the detector looks at 128 x 128 pixels and misses small ones."""
        side = max(min(frame.shape[:2]) // 2, SMALLEST_TILE)
        if side >= max(frame.shape[:2]):
            return []
        tops, lefts = (_tile_starts(length, side) for length in frame.shape[:2])
        tiles = [(left, top) for top in tops for left in lefts]
        if near is None:
            return self._find_in_tiles(frame, tiles, side)
        looked, faces = set(), list(near)
        while more := {_tile_of(face, tiles, side) for face in faces} - looked:
            looked |= more  # a face that went over into another tile is seen better there
            faces = self._find_in_tiles(frame, sorted(looked), side)
        return faces if len(faces) >= len(near) else self._find_in_tiles(frame, tiles, side)

    def _find_in_tiles(self, frame: np.ndarray, tiles: Iterable[tuple[int, int]], side: int) -> list[Face]:
        """The faces in square parts of a frame, each (left, top)."""
        candidates = []
        for left, top in tiles:
            for face in self._find_landmarks(frame[top : top + side, left : left + side], left, top):
                candidates.append((_from_middle(face, (left, top), side), face))
        faces: list[Face] = []
        for _, face in sorted(candidates, key=lambda candidate: candidate[0]):  # of two, the less cut by its tile
            if all(far(face.box, other.box) > SAME_FACE for other in faces):
                faces.append(face)
        return faces


def _from_middle(face: Face, tile: tuple[int, int], side: int) -> float:
    """How far a face is from a tile's middle, in pixels."""
    return float(np.linalg.norm(centres(face.box) - (np.float32(tile) + side / 2)))


def _tile_of(face: Face, tiles: Sequence[tuple[int, int]], side: int) -> tuple[int, int]:
    """The tile in whose middle a face is best."""
    return min(tiles, key=lambda tile: _from_middle(face, tile, side))


def _tile_starts(length: int, side: int) -> list[int]:
    """Where tiles of this side start on a line, half a tile apart or a little less."""
    count = 1 + int(np.ceil(max(length - side, 0) / (side / 2)))
    return np.linspace(0, max(length - side, 0), count).astype(int).tolist()


def _open_landmarker(model, max_faces, min_confidence):
    """MediaPipe's FaceLandmarker for single images.

    Its video mode saves a sixth of the time, and only for one face; it lags and remembers the clip before.
    """
    try:
        with without_unused():
            from mediapipe import Image, ImageFormat
            from mediapipe.tasks.python import BaseOptions, vision
    except (ImportError, OSError) as error:
        raise _no_mediapipe(error) from error
    path = find_model(model)
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(path)),
        num_faces=max_faces,
        min_face_detection_confidence=min_confidence,
        output_facial_transformation_matrixes=True,
    )
    try:
        with _without_greetings():
            landmarker = vision.FaceLandmarker.create_from_options(options)
            landmarker.detect(Image(ImageFormat.SRGB, np.zeros((64, 64, 3), np.uint8)))
    except OSError as error:  # its library is loaded only now, and needs the system's
        raise _no_mediapipe(error) from error
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not MediaPipe's face model ({reason}); leave it out to use the package's") from error
    return landmarker


def _no_mediapipe(error: Exception) -> InputError:
    """What to do where MediaPipe, or a library of the system that it needs, cannot be loaded."""
    reason = " ".join(str(error).split())
    cure = "pip install mediapipe, and on Linux: apt-get install libegl1 libgles2"
    return InputError(f"faces cannot be found, for MediaPipe cannot be loaded ({reason}); {cure}")


@contextmanager
def _without_greetings():
    """Drop what MediaPipe's C++ side logs below an error as it starts; no variable or flag of its silences that."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            log.seek(0)
            for line in log:
                if not re.match(rb"[IW]\d{4} |INFO:|WARNING:", line):
                    os.write(2, line)


def _head_pose(matrix: np.ndarray) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees, signs as in Face, of a face-to-camera matrix (x right, y up)."""
    right, up, forward = matrix[0, :3], matrix[1, :3], matrix[2, :3]
    yaw = np.arctan2(right[2], forward[2])
    pitch = np.arctan2(up[2], np.hypot(right[2], forward[2]))
    roll = np.arctan2(up[0], up[1])
    return tuple(float(angle) for angle in np.degrees([yaw, pitch, roll]))


def _dlib_like_box(points: np.ndarray) -> np.ndarray:
    """The square that dlib's frontal detector would draw, float32 (4,), from landmarks (478, 3) in pixels.

    Distances between the eyes count depth as well, so that the square does not shrink as the head turns.
    """
    left, right = (points[corners, :2].mean(axis=0) for corners in EYE_CORNERS)
    across = (right - left) / np.linalg.norm(right - left)
    down = np.array([-across[1], across[0]])
    centre = (left + right) / 2
    centre = centre + BOX_DOWN * ((points[NOSE_TIP, :2] - centre) @ down) * down
    half = BOX_HALF * np.linalg.norm(points[EYE_CORNERS[0][1]] - points[EYE_CORNERS[1][0]])
    return np.float32([*(centre - half), *(centre + half)])
