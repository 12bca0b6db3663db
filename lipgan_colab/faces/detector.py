"""Frame to face: landmarks, the box that LipGAN crops, head pose, lip and lower-face masks.

MediaPipe's Face Landmarker finds the faces; where it or its model cannot be had, dlib's frontal detector
stands in with boxes alone. Points and boxes are in continuous pixels, x to the right and y down: the pixel in
row i and column j covers i to i + 1 and j to j + 1, so box (x1, y1, x2, y2) is the slice frame[y1:y2, x1:x2].
"""

import os
import re
import sys
import tempfile
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.faces.model_file import NoMediaPipe, find_model

# Landmarks of the 478-point mesh, by MediaPipe's numbers (canonical_face_model_uv_visualization.png).
EYE_CORNERS = [33, 133], [362, 263]  # at the picture's left (outer, inner) and right (inner, outer)
NOSE_TIP = 4
LIPS = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
INNER_LIPS = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
JAW = [323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93]  # ear to ear
CHEEKS = [123, 50, 205, 98, 2, 327, 425, 280, 352]  # back, under the nose

# The box by what speech does not move, fitted for IoU to dlib's boxes on seven speakers of GRID (mean IoU 0.857;
# 0.846 on a speaker left out of the fit): its centre is this part of the way down from the eyes to the level of the
# nose's tip, half its side so many times the distance between the inner corners of the eyes.
BOX_DOWN, BOX_HALF = 0.969, 2.226

SMALLEST_TILE = 256  # pixels: where nothing is found, faces from about an eighth of this are looked for
SAME_FACE = 0.6  # a face moves less than this (`_far`) from one frame to the next
STAYING_ROLL = 3.0  # degrees of tilt that are left when a head is turned upright
FORGET = 15  # frames after which a bystander who is gone is forgotten


@dataclass(frozen=True)
class Face:
    """One face in one frame.

    landmarks: float32 (478, 2), x and y in pixels; None where dlib found the face.
    box: float32 (4,), x1, y1, x2, y2 in pixels; it may leave the picture.
    yaw: degrees, > 0 where the face is turned to the picture's right (to its own left).
    pitch: degrees, > 0 where it looks up.
    roll: degrees, > 0 where the head is tilted counter-clockwise in the picture. All three are nan with dlib.
    found: False where the face was filled in between frames (`fill_gaps`).
    """

    landmarks: np.ndarray | None
    box: np.ndarray
    yaw: float = float("nan")
    pitch: float = float("nan")
    roll: float = float("nan")
    found: bool = True


class FaceFinder:
    """Finds the faces in a frame, each frame by itself. A context manager; every process makes its own.

    model: path of face_landmarker.task, or None (see `face_model.find_model`).
    max_faces: at most so many faces a frame.
    min_confidence: of the detector, 0 to 1.

    Raises InputError where neither MediaPipe nor dlib can be had; warns where dlib stands in.
    """

    def __init__(self, model: str | Path | None = None, max_faces: int = 3, min_confidence: float = 0.5):
        self.max_faces = max_faces
        self._landmarker = None
        try:
            self._landmarker = _open_landmarker(model, max_faces, min_confidence)
        except NoMediaPipe as reason:
            self._dlib = _open_dlib(reason)

    def __enter__(self) -> "FaceFinder":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Free the detector's memory and threads; may be called twice."""
        if self._landmarker is not None:
            self._landmarker.close()

    def find(self, frame: np.ndarray) -> list[Face]:
        """The faces in an RGB frame, uint8 (H, W, 3), largest first; [] where there are none."""
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise InputError(f"a frame is uint8 (height, width, 3), not {frame.dtype} {frame.shape}")
        if self._landmarker is None:
            found = self._dlib(np.ascontiguousarray(frame), 1)  # 1: enlarged once, as for LipGAN's training
            faces = [Face(None, np.float32([r.left(), r.top(), r.right(), r.bottom()])) for r in found]
        else:
            faces = self._find_landmarks(frame) or self._find_small(frame)
        return sorted(faces, key=lambda face: -_sizes(face.box))[: self.max_faces]

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
            faces.append(Face(points[:, :2].copy(), _dlib_like_box(points), *_head_pose(matrix)))
        return faces

    def _find_small(self, frame: np.ndarray) -> list[Face]:
        """Faces in tiles that overlap by half: the detector looks at 128 x 128 pixels and misses small ones."""
        side = max(min(frame.shape[:2]) // 2, SMALLEST_TILE)
        if side >= max(frame.shape[:2]):
            return []
        candidates = []
        for top in _tile_starts(frame.shape[0], side):
            for left in _tile_starts(frame.shape[1], side):
                middle = np.float32([left, top]) + side / 2
                for face in self._find_landmarks(frame[top : top + side, left : left + side], left, top):
                    candidates.append((float(np.linalg.norm(_centres(face.box) - middle)), face))
        faces: list[Face] = []
        for _, face in sorted(candidates, key=lambda candidate: candidate[0]):  # of two, the less cut by its tile
            if all(_far(face.box, other.box) > SAME_FACE for other in faces):
                faces.append(face)
        return faces


def _tile_starts(length: int, side: int) -> list[int]:
    """Where tiles of this side start on a line, half a tile apart or a little less."""
    count = 1 + int(np.ceil(max(length - side, 0) / (side / 2)))
    return np.linspace(0, max(length - side, 0), count).astype(int).tolist()


def _open_landmarker(model, max_faces, min_confidence):
    """MediaPipe's FaceLandmarker for single images. Raises NoMediaPipe where it cannot be had.

    Its video mode saves a sixth of the time, and only for one face; it lags and remembers the clip before.
    """
    cure = "pip install mediapipe; apt-get install libegl1 libgles2"
    try:
        from mediapipe import Image, ImageFormat
        from mediapipe.tasks.python import BaseOptions, vision
    except (ImportError, OSError) as error:
        raise NoMediaPipe(f"MediaPipe cannot be loaded ({error}): {cure}") from error
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
        raise NoMediaPipe(f"MediaPipe cannot be loaded ({error}): {cure}") from error
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path}: not MediaPipe's face model ({error}); remove it to have it downloaded") from error
    return landmarker


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


def _open_dlib(reason):
    try:
        import dlib
    except ImportError as error:
        raise InputError(f"no face detector: {reason}; nor is dlib there to stand in") from error
    warnings.warn(f"{reason}. dlib finds the faces: boxes only, no landmarks, pose or masks", stacklevel=3)
    return dlib.get_frontal_face_detector()


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


def _centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _sizes(boxes: np.ndarray) -> np.ndarray:
    return np.sqrt(np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1))


def _far(a: np.ndarray, b: np.ndarray) -> float:
    """How unlike two boxes are, in face sizes: distance of the centres plus difference in size."""
    size = (_sizes(a) + _sizes(b)) / 2
    return float((np.linalg.norm(_centres(a) - _centres(b)) + abs(_sizes(a) - _sizes(b))) / size)


# Who is followed: "largest"; the n-th from the left (0, 1, ...); or who is at a point (x, y) of the picture.
Person = str | int | tuple[float, float]


def track(frames: Iterable[np.ndarray], finder: FaceFinder, person: Person = "largest") -> list[Face | None]:
    """Follow one person through frames uint8 (H, W, 3): see `follow`. One entry a frame."""
    return list(follow((finder.find(frame) for frame in frames), person))


def follow(found: Iterable[list[Face]], person: Person = "largest") -> Iterator[Face | None]:
    """Follow one person through the faces found in every frame; None where that face is not seen.

    Whoever else is in the picture is followed too, so as not to be taken for it; a newcomer while it is gone (it came
    back, or the scene was cut) is taken for it. The person is chosen in the first frame that has the one asked for.

    Args:
        found: of `FaceFinder.find`, largest first.
        person: "largest", the number of the person counted from the left, or a point (x, y) in the face.
    """
    last: list[tuple[np.ndarray, int] | None] = [None]  # where and in which frame each was last seen; 0 is followed
    for number, faces in enumerate(found):
        last[1:] = [seen for seen in last[1:] if number - seen[1] <= FORGET]
        who: dict[int, int] = {}  # face to person
        if last[0] is None and (chosen := _chosen(faces, person)) is not None:
            who[chosen] = 0
        known = [(p, seen[0]) for p, seen in enumerate(last) if seen is not None]
        for distance, p, i in sorted((_far(box, f.box), p, i) for p, box in known for i, f in enumerate(faces)):
            if distance < SAME_FACE and i not in who and p not in who.values():
                who[i] = p
        new = [i for i in range(len(faces)) if i not in who]
        if new and last[0] is not None and 0 not in who.values():
            who[new.pop(0)] = 0
        for i, p in who.items():
            last[p] = faces[i].box, number
        last += [(faces[i].box, number) for i in new]
        yield next((faces[i] for i, p in who.items() if p == 0), None)


def _chosen(faces: list[Face], person: Person) -> int | None:
    """Which of the faces is the person asked for."""
    if person == "largest":
        return 0 if faces else None
    if isinstance(person, int):
        from_left = sorted(range(len(faces)), key=lambda i: _centres(faces[i].box)[0])
        return from_left[person] if 0 <= person < len(faces) else None
    distances = [np.abs(_centres(f.box) - np.float32(person)).max() / _sizes(f.box) for f in faces]
    return int(np.argmin(distances)) if distances and min(distances) <= 0.75 else None


def smooth_boxes(track: Iterable[Face | None], radius: int = 2) -> list[Face | None]:
    """The track with each box and roll averaged: see `smoothed`."""
    return list(smoothed(track, radius))


def smoothed(track: Iterable[Face | None], radius: int = 2) -> Iterator[Face | None]:
    """Average each box and roll (triangular weights) over up to `radius` frames on both sides.

    The window is centred, so nothing lags, and what comes out is `radius` frames behind what goes in; it never reaches
    across a frame without the face or a jump.
    """
    near: deque[Face | None] = deque([None] * (radius + 1), maxlen=2 * radius + 1)
    for n, face in enumerate(chain(track, [None] * radius)):
        near.append(face)
        if n >= radius:
            yield _average(list(near), radius)


def _average(near: list[Face | None], radius: int) -> Face | None:
    """The middle one of 2 radius + 1 faces, averaged with as many neighbours on both sides as are joined to it."""
    middle = near[radius]
    joined = [a is not None and b is not None and _far(a.box, b.box) < SAME_FACE for a, b in pairwise(near)]
    reach = 0
    while reach < radius and joined[radius - reach - 1] and joined[radius + reach]:
        reach += 1
    if reach == 0:
        return middle
    used = near[radius - reach : radius + reach + 1]
    weights = reach + 1 - np.abs(np.arange(-reach, reach + 1))
    box = np.average(np.stack([face.box for face in used]), axis=0, weights=weights).astype(np.float32)
    return replace(middle, box=box, roll=float(np.average([face.roll for face in used], weights=weights)))


def fill_gaps(track: list[Face | None]) -> list[Face]:
    """A face for every frame: missing ones lie linearly between neighbours, or are held at the ends.

    They are marked found=False.

    Raises InputError where no frame has a face.
    """
    seen = [i for i, face in enumerate(track) if face is not None]
    if not seen:
        raise InputError("no face in any frame: the face must be visible, upright and not too small")
    place = np.interp(np.arange(len(track)), seen, np.arange(len(seen)))  # of each frame among the seen ones
    filled = list(track)
    for i, face in enumerate(track):
        if face is None:
            before, after = seen[int(place[i])], seen[int(np.ceil(place[i]))]
            filled[i] = _between(track[before], track[after], float(place[i] % 1))
    return filled


def _between(a: Face, b: Face, part: float) -> Face:
    def mix(x, y):
        return None if x is None or y is None else (1 - part) * x + part * y

    pose = (mix(x, y) for x, y in ((a.yaw, b.yaw), (a.pitch, b.pitch), (a.roll, b.roll)))
    return Face(mix(a.landmarks, b.landmarks), mix(a.box, b.box), *pose, found=False)


def to_crop(face: Face, size: int = 96) -> np.ndarray:
    """The affine map (2, 3) from continuous points of the frame to those of `upright_crop`(frame, face, size)."""
    centre, turn = _centres(face.box).astype(np.float64), np.radians(_tilt(face))
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


def warp(picture: np.ndarray, to_new: np.ndarray, size: tuple[int, int], interpolation: int, inverse=False):
    """cv2.warpAffine with an affine map (2, 3) of continuous points; size is (width, height), edges are repeated."""
    to_new = to_new.copy()
    to_new[:, 2] += to_new[:, :2] @ [0.5, 0.5] - 0.5  # OpenCV counts from pixel centres
    flags = interpolation | (cv2.WARP_INVERSE_MAP if inverse else 0)
    return cv2.warpAffine(picture, to_new, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


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
