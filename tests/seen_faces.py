"""Frames and faces for the tests of what is seen."""

from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.faces.face import Face
from lipgan_colab.media.video import read_video


def frames_of(path: Path, step: int = 1) -> list[np.ndarray]:
    return [frame for i, (_, frame) in enumerate(read_video(path)) if i % step == 0]


def rgb(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


NO_LANDMARKS = np.full((478, 2), np.nan, np.float32)


def boxed(*box: float, landmarks=NO_LANDMARKS) -> Face:
    return Face(landmarks, np.float32(box), 0.0, 0.0, 0.0)


def blank(count: int) -> list[np.ndarray]:
    return [np.zeros((8, 8, 3), np.uint8)] * count


def movement(boxes: np.ndarray) -> float:
    return float(np.abs(np.diff(boxes, axis=0)).mean())
