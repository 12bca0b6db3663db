"""A face clip: the frames of one clip as they are judged, and where the face is in them.

A face is always looked for in frames of the same make, whatever painted the crop, so that true and generated faces are
seen equally well; and nothing beside the crop is in them that moves with the true mouth, for a landmarker that sees the
true jaw gives a frozen mouth landmarks that move with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np

from lipgan_colab.faces import geometry
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import INNER_LIPS, LIPS, Face

FPS = 25
CROP = 96  # pixels of the networks' crops
AROUND = CROP // 2  # pixels around the crop that a clip's frames show as well, to find the face in

# Landmarks of MediaPipe's mesh around skin that should move with the jaw and no more.
CHIN = [182, 83, 18, 313, 406, 32, 262, 140, 171, 175, 396, 369, 208, 428]
CHEEKS = [50, 205, 207, 187, 147, 123], [280, 425, 427, 411, 376, 352]


@dataclass(frozen=True)
class FaceClip:
    """One clip that is judged: F frames of an upright face.

    Attributes:
        frames: uint8 (F, 192, 192, 3), RGB; the middle 96 x 96 are the crop, the rest is what was around it.
        landmarks: float32 (F, 478, 2) in pixels of the crop, as found in these frames; nan where no face was.
        depth: float32 (F, 478), of the landmarks in the same pixels; None where not kept.
    """

    frames: np.ndarray
    landmarks: np.ndarray
    depth: np.ndarray | None = None

    @property
    def crops(self) -> np.ndarray:
        """uint8 (F, 96, 96, 3): what the network sees or makes."""
        return self.frames[:, AROUND:-AROUND, AROUND:-AROUND]

    @cached_property
    def opening(self) -> np.ndarray:
        """The mouth's opening (F,), see `geometry.mouth_opening`; unseen frames lie between their neighbours."""
        return filled(geometry.mouth_opening(self.landmarks))

    @cached_property
    def lips(self) -> np.ndarray:
        """The lips and 3 pixels around them: uint8 (F, 96, 96), 1 inside, nothing where no face was found."""
        around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
        return np.stack([cv2.dilate(mask, around) for mask in _masks(self.landmarks, LIPS)])

    @cached_property
    def inner_mouth(self) -> np.ndarray:
        """What shows between the lips: uint8 (F, 96, 96), 1 inside."""
        return _masks(self.landmarks, INNER_LIPS)

    @cached_property
    def chin(self) -> np.ndarray:
        """The chin under the lips: uint8 (F, 96, 96), 1 inside."""
        return _masks(self.landmarks, CHIN)

    @cached_property
    def cheeks(self) -> np.ndarray:
        """Both cheeks: uint8 (F, 96, 96), 1 inside."""
        return np.maximum(*(_masks(self.landmarks, cheek) for cheek in CHEEKS))

    @cached_property
    def flow(self) -> np.ndarray:
        """How far the picture moves from each frame to the next: float32 (F - 1, 96, 96), in pixels.

        Optical flow (dense inverse search, Kroeger et al. 2016): the mesh's landmarks beside the lips follow a face's
        usual shape rather than its skin.
        """
        grey = [cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in self.crops]
        search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        moved = [np.linalg.norm(search.calc(a, b, None), axis=2) for a, b in pairwise(grey)]
        return np.stack(moved) if moved else np.zeros((0, CROP, CROP), np.float32)

    def at(self, places: np.ndarray) -> "FaceClip":
        """The clip that shows these frames (n,), numbers outside meaning the first or the last."""
        places = np.clip(places, 0, len(self.frames) - 1)
        return FaceClip(self.frames[places], self.landmarks[places])

    def frames_with(self, crops: np.ndarray) -> np.ndarray:
        """This clip's frames with other crops (F, 96, 96, 3) in their middle: uint8 (F, 192, 192, 3)."""
        frames = self.frames.copy()
        frames[:, AROUND:-AROUND, AROUND:-AROUND] = crops
        return frames


def upright_clip(pictures: Sequence[np.ndarray], followed: Sequence[Face]) -> FaceClip:
    """The clip of a face followed through pictures (H, W, 3), with the landmarks found in the pictures themselves."""
    frames, landmarks, depth = [], [], []
    for picture, face in zip(pictures, followed, strict=True):
        to_crop = geometry.to_crop(face, CROP)
        landmarks.append(geometry.mapped(face.landmarks, to_crop))
        depth.append(face.depth * np.linalg.norm(to_crop[0, :2]))
        frames.append(with_surroundings(picture, face, geometry.upright_crop(picture, face, CROP)))
    return FaceClip(np.stack(frames), np.float32(landmarks), np.float32(depth))


def with_surroundings(picture: np.ndarray, face: Face, crop: np.ndarray) -> np.ndarray:
    """A crop (96, 96, 3) of a face with what is around it in the picture (H, W, 3): uint8 (192, 192, 3)."""
    to_frame = geometry.to_crop(face, CROP)
    to_frame[:, 2] += AROUND
    frame = geometry.warp(picture, to_frame, (CROP + 2 * AROUND,) * 2, cv2.INTER_LINEAR)
    frame[AROUND:-AROUND, AROUND:-AROUND] = crop
    return frame


def detected_clip(frames: np.ndarray, finder: FaceFinder) -> FaceClip:
    """The clip of frames (F, 192, 192, 3) with the landmarks found in them, `covered`."""
    landmarks = np.full((len(frames), 478, 2), np.nan, np.float32)
    for row, frame in zip(landmarks, frames, strict=True):
        found = finder.find(covered(frame))
        if found:
            row[:] = found[0].landmarks - AROUND
    return FaceClip(frames, landmarks)


def covered(frame: np.ndarray) -> np.ndarray:
    """A frame (192, 192, 3) that shows the crop, and around it only what does not speak: beside and below the crop's
    lower half its own edges are repeated."""
    alone = cv2.copyMakeBorder(frame[AROUND:-AROUND, AROUND:-AROUND], *[AROUND] * 4, cv2.BORDER_REPLICATE)
    alone[: AROUND + CROP // 2] = frame[: AROUND + CROP // 2]
    return alone


def _masks(landmarks: np.ndarray, border: list[int]) -> np.ndarray:
    """The convex hull of some landmarks in each frame: uint8 (F, 96, 96), 1 inside; 0 where no face was found."""
    masks = np.zeros((len(landmarks), CROP, CROP), np.uint8)
    for mask, points in zip(masks, landmarks[:, border], strict=True):
        if np.isfinite(points).all():
            hull = cv2.convexHull(points.astype(np.float32))
            cv2.fillConvexPoly(mask, np.rint((hull - 0.5) * 16).astype(np.int32), 1, shift=4)
    return masks


def filled(openings: np.ndarray) -> np.ndarray:
    """Openings without gaps: nan takes the value between its neighbours'; zeros where nothing was seen."""
    seen = np.isfinite(openings)
    places = np.arange(len(openings))
    return np.interp(places, places[seen], openings[seen]) if seen.any() else np.zeros(len(openings))
