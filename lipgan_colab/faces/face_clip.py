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
CROP = 96  # pixels of the published networks' crops, in which lengths are told

# Landmarks of MediaPipe's mesh around skin that should move with the jaw and no more.
CHIN = [182, 83, 18, 313, 406, 32, 262, 140, 171, 175, 396, 369, 208, 428]
CHEEKS = [50, 205, 207, 187, 147, 123], [280, 425, 427, 411, 376, 352]


def around(size: int) -> int:
    """How many pixels around a crop of this size a clip's frames show as well, to find the face in."""
    return size // 2


@dataclass(frozen=True)
class FaceClip:
    """One clip that is judged: F frames of an upright face, whose crops are of S x S pixels.

    Attributes:
        frames: uint8 (F, 2 S, 2 S, 3), RGB; the middle S x S are the crop, the rest is what was around it.
        landmarks: float32 (F, 478, 2) in pixels of the crop, as found in these frames; nan where no face was.
        depth: float32 (F, 478), of the landmarks in the same pixels; None where not kept.
    """

    frames: np.ndarray
    landmarks: np.ndarray
    depth: np.ndarray | None = None

    @property
    def size(self) -> int:
        """S, in pixels."""
        return self.frames.shape[1] // 2

    @property
    def crops(self) -> np.ndarray:
        """uint8 (F, S, S, 3): what the network sees or makes."""
        return self.frames[:, *_middle(self.size)]

    @cached_property
    def opening(self) -> np.ndarray:
        """The mouth's opening (F,), see `geometry.mouth_opening`; unseen frames lie between their neighbours."""
        return filled(geometry.mouth_opening(self.landmarks))

    @cached_property
    def lips(self) -> np.ndarray:
        """The lips and 1/32 of the crop around them: uint8 (F, S, S), 1 inside, nothing where no face was found."""
        near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * (self.size // 32) + 1,) * 2)
        return np.stack([cv2.dilate(mask, near) for mask in self._masks(LIPS)])

    @cached_property
    def inner_mouth(self) -> np.ndarray:
        """What shows between the lips: uint8 (F, S, S), 1 inside."""
        return self._masks(INNER_LIPS)

    @cached_property
    def chin(self) -> np.ndarray:
        """The chin under the lips: uint8 (F, S, S), 1 inside."""
        return self._masks(CHIN)

    @cached_property
    def cheeks(self) -> np.ndarray:
        """Both cheeks: uint8 (F, S, S), 1 inside."""
        return np.maximum(*(self._masks(cheek) for cheek in CHEEKS))

    @property
    def flow(self) -> np.ndarray:
        """How far the picture moves from each frame to the next: float32 (F - 1, S, S), in pixels.

        Optical flow (dense inverse search, Kroeger et al. 2016): the mesh's landmarks beside the lips follow a face's
        usual shape rather than its skin.
        """
        return self._from_frame_to_frame[0]

    @property
    def flicker(self) -> np.ndarray:
        """How much the picture changes from each frame to the next once its movement is taken off: uint8
        (F - 1, S, S), grey levels."""
        return self._from_frame_to_frame[1]

    @cached_property
    def _from_frame_to_frame(self) -> tuple[np.ndarray, np.ndarray]:
        search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        y, x = np.mgrid[: self.size, : self.size].astype(np.float32)
        flow = np.zeros((max(0, len(self.frames) - 1), self.size, self.size), np.float32)
        flicker = np.zeros(flow.shape, np.uint8)
        grey = (cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in self.crops)
        for length, change, (before, after) in zip(flow, flicker, pairwise(grey), strict=True):
            moved = search.calc(before, after, None)
            length[:] = np.linalg.norm(moved, axis=2)
            to = x + moved[..., 0], y + moved[..., 1]
            back = cv2.remap(after, *to, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            change[:] = cv2.absdiff(before, back)
        return flow, flicker

    def at(self, places: np.ndarray) -> "FaceClip":
        """The clip that shows these frames (n,), numbers outside meaning the first or the last."""
        places = np.clip(places, 0, len(self.frames) - 1)
        return FaceClip(self.frames[places], self.landmarks[places])

    def frames_with(self, crops: np.ndarray) -> np.ndarray:
        """This clip's frames with other crops (F, S, S, 3) in their middle: uint8 (F, 2 S, 2 S, 3)."""
        frames = self.frames.copy()
        frames[:, *_middle(self.size)] = crops
        return frames

    def _masks(self, border: list[int]) -> np.ndarray:
        """The convex hull of some landmarks in each frame: uint8 (F, S, S), 1 inside; 0 where no face was found."""
        masks = np.zeros((len(self.landmarks), self.size, self.size), np.uint8)
        for mask, points in zip(masks, self.landmarks[:, border], strict=True):
            if np.isfinite(points).all():
                hull = cv2.convexHull(points.astype(np.float32))
                cv2.fillConvexPoly(mask, np.rint((hull - 0.5) * 16).astype(np.int32), 1, shift=4)
        return masks


def _middle(size: int) -> tuple[slice, slice]:
    """Where the crop lies in a frame."""
    return (slice(around(size), around(size) + size),) * 2


def resized(crops: np.ndarray, size: int) -> np.ndarray:
    """Crops (F, S, S, 3) as uint8 (F, size, size, 3): smaller by averages over areas, larger by cubic interpolation."""
    if crops.shape[1] == size:
        return crops
    how = cv2.INTER_AREA if size < crops.shape[1] else cv2.INTER_CUBIC
    return np.stack([cv2.resize(crop, (size, size), interpolation=how) for crop in crops])


def upright_clip(pictures: Sequence[np.ndarray], followed: Sequence[Face], size: int = CROP) -> FaceClip:
    """The clip of a face followed through pictures (H, W, 3), its crops of this size, with the landmarks found in the
    pictures themselves."""
    frames, landmarks, depth = [], [], []
    for picture, face in zip(pictures, followed, strict=True):
        to_crop = geometry.to_crop(face, size)
        landmarks.append(geometry.mapped(face.landmarks, to_crop))
        depth.append(face.depth * np.linalg.norm(to_crop[0, :2]))
        frames.append(with_surroundings(picture, face, geometry.upright_crop(picture, face, size)))
    return FaceClip(np.stack(frames), np.float32(landmarks), np.float32(depth))


def with_surroundings(picture: np.ndarray, face: Face, crop: np.ndarray) -> np.ndarray:
    """A crop (S, S, 3) of a face with what is around it in the picture (H, W, 3): uint8 (2 S, 2 S, 3)."""
    size = len(crop)
    to_frame = geometry.to_crop(face, size)
    to_frame[:, 2] += around(size)
    frame = geometry.warp(picture, to_frame, (2 * size,) * 2, cv2.INTER_LINEAR)
    frame[_middle(size)] = crop
    return frame


def detected_clip(frames: np.ndarray, finder: FaceFinder) -> FaceClip:
    """The clip of frames (F, 2 S, 2 S, 3) with the landmarks found in them, `covered`."""
    landmarks = np.full((len(frames), 478, 2), np.nan, np.float32)
    for row, frame in zip(landmarks, frames, strict=True):
        found = finder.find(covered(frame))
        if found:
            row[:] = found[0].landmarks - around(len(frame) // 2)
    return FaceClip(frames, landmarks)


def covered(frame: np.ndarray) -> np.ndarray:
    """A frame (2 S, 2 S, 3) that shows the crop, and around it only what does not speak: beside and below the crop's
    lower half its own edges are repeated."""
    size = len(frame) // 2
    alone = cv2.copyMakeBorder(frame[_middle(size)], *[around(size)] * 4, cv2.BORDER_REPLICATE)
    alone[: around(size) + size // 2] = frame[: around(size) + size // 2]
    return alone


def filled(openings: np.ndarray) -> np.ndarray:
    """Openings without gaps: nan takes the value between its neighbours'; zeros where nothing was seen."""
    seen = np.isfinite(openings)
    places = np.arange(len(openings))
    return np.interp(places, places[seen], openings[seen]) if seen.any() else np.zeros(len(openings))
