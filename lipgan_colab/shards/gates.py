"""Is a clip fit to learn from: one threshold for each way in which it may not be."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from lipgan_colab.errors import InputError, check_ranges, counted
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import Face

THUMBNAIL = 16  # pixels: what a cut changes, and a nod does not
RANGES = {  # of the gates
    "min_frames": (1, math.inf),
    "min_found": (0, 1),
    "min_face": (0, math.inf),
    "max_yaw": (0, 180),
    "max_rivals": (0, 1),
    "rival_size": (0, math.inf),
    "max_cut": (0, 255),
    "min_loudness": (0, 1),
}
CUT_SPIKE = 4  # a cut differs so many times more than the frames around it; a pan or a passing hand does not


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
        max_cut: grey levels, 0 to 255, that a frame may differ by from the one before in the mean over a thumbnail, if
            that stands out and the face is seen on both sides of it: it may be somebody else's.
        min_loudness: root mean square of the sound, 1 is full scale; nobody can be heard below (1e-4 is -80 dB).
    """

    min_frames: int = 12
    min_found: float = 0.5
    min_face: float = 60.0
    max_yaw: float = 45.0
    max_rivals: float = 0.2
    rival_size: float = 0.5
    max_cut: float = 8.0
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


@dataclass
class Watcher:
    """Looks on while a clip is tracked, and keeps what the gates ask for.

    It stands in for the finder (`find`), and frames pass through it (`watch`).
    """

    finder: FaceFinder
    boxes: list[list[np.ndarray]] = field(default_factory=list)  # of all faces, largest first, a list a frame
    changes: list[float] = field(default_factory=list)  # from each frame to the next, in grey levels
    _last: np.ndarray | None = None

    def watch(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The same frames, uint8 (H, W, 3)."""
        for frame in frames:
            step = max(1, min(frame.shape[:2]) // (4 * THUMBNAIL))  # a few pixels for each of the thumbnail's will do
            small = cv2.resize(frame[::step, ::step], (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
            small = small.mean(axis=2, dtype=np.float32)
            if self._last is not None:
                self.changes.append(float(np.abs(small - self._last).mean()))
            self._last = small
            yield frame

    def find(self, frame: np.ndarray) -> list[Face]:
        """As FaceFinder.find."""
        found = self.finder.find(frame)
        self.boxes.append([face.box for face in found])
        return found


def check_picture(track: Sequence[Face | None], seen: Watcher, gates: Gates) -> None:
    """Raises Rejected where the face followed through a clip (see tracking.track) is not one to learn from."""
    if len(track) < gates.min_frames:
        raise Rejected("too short", f"only {counted(len(track), 'frame')}; {gates.min_frames} are needed")
    found = np.array([face is not None for face in track])
    if found.mean() < gates.min_found or not found.any():
        raise Rejected("face not seen", f"a face in only {found.sum()} of {counted(len(found), 'frame')}")
    side = float(np.median([_side(face.box) for face in track if face is not None]))
    if side < gates.min_face:
        raise Rejected("face too small", f"its face is too small, {side:.0f} pixels; {gates.min_face:g} are needed")
    yaw = float(np.median([abs(face.yaw) for face in track if face is not None]))
    if yaw > gates.max_yaw:
        raise Rejected("turned away", f"its face is turned away, {yaw:.0f} degrees")
    rivals = np.mean([_has_rival(*pair, gates.rival_size) for pair in zip(track, seen.boxes, strict=True)])
    if rivals > gates.max_rivals:
        raise Rejected("two faces", f"two faces in {rivals:.0%} of its frames; who speaks is not known")
    cut = _cut(found, np.array(seen.changes), gates.max_cut)
    if cut is not None:
        raise Rejected("cut", f"a cut at frame {cut}; the face may be somebody else's after it")


def _side(box: np.ndarray) -> float:
    return float(box[2] - box[0])


def _has_rival(face: Face | None, boxes: list[np.ndarray], rival_size: float) -> bool:
    """Whether any face but the followed one is about as large."""
    if face is None:
        return False
    return sum(_side(box) >= rival_size * _side(face.box) for box in boxes) > 1


def _cut(found: np.ndarray, changes: np.ndarray, max_cut: float) -> int | None:
    """The first frame of a new shot, if the face is seen before and after it."""
    around = np.maximum(np.append(0, changes[:-1]), np.append(changes[1:], 0))
    for place in np.flatnonzero((changes > max_cut) & (changes > CUT_SPIKE * around)):
        if found[: place + 1].any() and found[place + 1 :].any():
            return int(place) + 1
    return None
