"""A face in a frame: MediaPipe's landmarks, the box, the head's pose, and how unlike two boxes are.

Points and boxes are in continuous pixels, x to the right and y down: the pixel in row i and column j covers i to i + 1
and j to j + 1, so box (x1, y1, x2, y2) is the slice frame[y1:y2, x1:x2].
"""

from dataclasses import dataclass

import numpy as np

# Landmarks of the 478-point mesh, by MediaPipe's numbers (canonical_face_model_uv_visualization.png).
EYE_CORNERS = [33, 133], [362, 263]  # at the picture's left (outer, inner) and right (inner, outer)


NOSE_TIP = 4


LIPS = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]


INNER_LIPS = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]


JAW = [323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93]  # ear to ear


CHEEKS = [123, 50, 205, 98, 2, 327, 425, 280, 352]  # back, under the nose


FACE_OVAL = [
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
]  # the mesh's border


SAME_FACE = 0.6  # a face moves less than this (`far`) from one frame to the next


@dataclass(frozen=True)
class Face:
    """One face in one frame.

    landmarks: float32 (478, 2), x and y in pixels.
    box: float32 (4,), x1, y1, x2, y2 in pixels; it may leave the picture.
    yaw: degrees, > 0 where the face is turned to the picture's right (to its own left).
    pitch: degrees, > 0 where it looks up.
    roll: degrees, > 0 where the head is tilted counter-clockwise in the picture.
    found: False where the face was filled in between frames (`fill_gaps`).
    depth: float32 (478,), of the landmarks, in pixels, smaller where nearer to the viewer; None where not known.
    """

    landmarks: np.ndarray
    box: np.ndarray
    yaw: float
    pitch: float
    roll: float
    found: bool = True
    depth: np.ndarray | None = None

    @property
    def mesh(self) -> np.ndarray:
        """The landmarks and their depth, float32 (478, 3), in pixels."""
        return np.column_stack([self.landmarks, self.depth])


def centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def sizes(boxes: np.ndarray) -> np.ndarray:
    return np.sqrt((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]))


def far(a: np.ndarray, b: np.ndarray) -> float:
    """How unlike two boxes are, in face sizes: distance of the centres plus difference in size."""
    one, other = sizes(a), sizes(b)
    return float(2 * (np.linalg.norm(centres(a) - centres(b)) + abs(one - other)) / (one + other))
