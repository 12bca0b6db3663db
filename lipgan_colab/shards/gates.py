"""Is a clip fit to learn from: one threshold for each way in which it may not be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lipgan_colab.errors import InputError, check_ranges, counted
from lipgan_colab.faces.face import SAME_FACE, Face, far
from lipgan_colab.media.cuts import LARGEST_CHANGE

RANGES = {  # of the gates
    "min_frames": (1, math.inf),
    "min_found": (0, 1),
    "min_face": (0, math.inf),
    "max_yaw": (0, 180),
    "max_rivals": (0, 1),
    "rival_size": (0, math.inf),
    "max_cut": (0, math.inf),
    "min_loudness": (0, 1),
}


@dataclass(frozen=True)
class Gates:
    """What a clip must come up to.

    Attributes:
        min_frames: a clip with fewer frames is too short, as in the authors' train.py.
        min_found: so large a part of its frames must show the face.
        min_face: pixels: median side of the face's box; smaller faces would be enlarged until nothing is sharp.
        max_yaw: degrees: median turn to either side; beyond it half of the mouth is hidden.
        max_rivals: in so large a part of the frames there may be another face that could be the speaker's.
        rival_size: a face could be the speaker's if its box is at least so many times as wide as the followed one's.
        max_cut: grey levels: a frame that differs by more from the one before in the mean over a thumbnail, if that
            stands out, begins a clip of its own, for the face may be somebody else's; inf never takes a film apart
            (but for black between). A quarter of it will do where all was still.
        min_loudness: root mean square of the sound, 1 is full scale; nobody can be heard below (1e-4 is -80 dB).
    """

    min_frames: int = 12
    min_found: float = 0.5
    min_face: float = 60.0
    max_yaw: float = 45.0
    max_rivals: float = 0.2
    rival_size: float = 0.5
    max_cut: float = LARGEST_CHANGE
    min_loudness: float = 1e-4

    def __post_init__(self):
        check_ranges(self, RANGES)


class Rejected(InputError):
    """A clip does not come up to a gate; `gate` is its short name, for counting."""

    def __init__(self, gate: str, message: str):
        super().__init__(message)
        self.gate = gate


def check_sound(speech: np.ndarray, gates: Gates) -> None:
    """Raises Rejected where speech (n,) in [-1, 1] is silent."""
    if not len(speech) or np.sqrt(np.mean(np.square(speech))) < gates.min_loudness:
        raise Rejected("silent", "its sound is silent")


def check_picture(track: Sequence[Face | None], boxes: Sequence[list[np.ndarray]], gates: Gates) -> None:
    """Raises Rejected where the face followed through a clip (see tracking.track) is not one to learn from.

    Args:
        track: of each frame the face, or None.
        boxes: of each frame those of all faces.
        gates: what it must come up to.
    """
    if len(track) < gates.min_frames:
        raise Rejected("too short", f"it is only {counted(len(track), 'frame')} long; {gates.min_frames} are needed")
    found = np.array([face is not None for face in track])
    if found.mean() < gates.min_found or not found.any():
        seen = f"{found.sum()} of {counted(len(found), 'frame')}"
        raise Rejected("face not seen", f"a whole face is seen in only {seen}; {gates.min_found:.0%} are needed")
    side = float(np.median([_side(face.box) for face in track if face is not None]))
    if side < gates.min_face:
        needed = f"{gates.min_face:g} are needed"
        raise Rejected("face too small", f"its face is too small, {side:.0f} pixels wide; {needed}")
    yaw = float(np.median([abs(face.yaw) for face in track if face is not None]))
    if yaw > gates.max_yaw:
        raise Rejected("turned away", f"its face is turned away, {yaw:.0f} degrees; at most {gates.max_yaw:g} will do")
    rivals = np.mean([_has_rival(*pair, gates.rival_size) for pair in zip(track, boxes, strict=True)])
    if rivals > gates.max_rivals:
        raise Rejected("two faces", f"two faces in {rivals:.0%} of its frames; who speaks is not known")


def _side(box: np.ndarray) -> float:
    return float(box[2] - box[0])


def _has_rival(face: Face | None, boxes: list[np.ndarray], rival_size: float) -> bool:
    """Whether any face but the followed one is about as large."""
    if face is None:
        return False
    others = [box for box in boxes if far(box, face.box) > SAME_FACE]  # one face may be found twice
    return any(_side(box) >= rival_size * _side(face.box) for box in others)
