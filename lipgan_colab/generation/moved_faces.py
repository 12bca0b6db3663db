"""What a motion network makes of a speech, whom it moves, and the frames of it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.following import Sight, Wanted, follow
from lipgan_colab.generation.face_frames import FaceFrame
from lipgan_colab.generation.own_pixels import Likeness, likeness, portrait, spoken
from lipgan_colab.generation.paste import shown
from lipgan_colab.media.cuts import with_cuts
from lipgan_colab.media.video import read_video, resample_frames
from lipgan_colab.models.motion import MotionNetwork, components
from lipgan_colab.speech.pauses import RATE

LOOKED_AT, APART = 60, 4  # frames of a film that are looked at before it speaks, and every how many of them


def spoken_parts(
    network: MotionNetwork,
    features: np.ndarray,
    frames: int,
    fps: Fraction,
    follow: np.ndarray | None = None,
    offset: float = 0.0,
) -> np.ndarray:
    """What a network hears in a speech, frame by frame: float32 (frames, components), in parts of their spread.

    Args:
        features: its mel (80, T).
        frames: how many there are, at fps frames a second.
        follow: of `pauses.speaking`: the mouth rests where it is 0. None follows every sound.
        offset: seconds by which the mouth moves later.
    """
    times = (np.arange(frames) + 0.5) / float(fps) - offset
    parts = components(network, features, times)
    if follow is not None:
        parts *= np.interp(times * RATE, np.arange(len(follow)) + 0.5, follow)[:, None]
    return parts.astype(np.float32)


def film_likeness(path: str | Path, fps: Fraction, wanted: Wanted, moves: np.ndarray) -> Likeness | None:
    """The person of a film, by some of its first frames; None where they are not in them.

    Raises:
        InputError: the film cannot be read.
    """
    with FaceFinder() as finder, closing(read_video(path)) as film:
        frames = with_cuts(islice(resample_frames(film, fps), 0, LOOKED_AT * APART, APART))
        sights = (Sight(picture, finder.find(picture), cut) for picture, cut in frames)
        followed = follow(sights, wanted, finder)
        return likeness(((sight.picture, face) for sight, face in followed if face is not None), moves)


def with_parts(seen: Iterator[FaceFrame], parts: np.ndarray, size: int) -> Iterator[list[FaceFrame]]:
    """The frames in batches of so many, each with what its face is to do, of `spoken_parts`."""
    with closing(seen):
        while batch := list(islice(seen, size)):
            for frame in batch:
                frame.parts = parts[frame.number]
            yield batch


@dataclass
class Mover:
    """Moves one person through all frames.

    Attributes:
        moves: of the motion network.
        who: is moved; None until it is seen.
        own_teeth: as of `own_pixels.Portrait`. A film's are seen in some frames and not in others, so that they would
            come and go.
    """

    moves: np.ndarray
    who: Likeness | None
    own_teeth: bool

    def moved(self, frame: FaceFrame, largest_yaw: float) -> np.ndarray:
        """The frame's finished picture, uint8 (H, W, 3); faces turned further fade as `paste.shown` says."""
        if frame.face is None:
            return frame.picture
        if self.who is None:
            self.who = likeness([(frame.picture, frame.face)], self.moves)
        movement = np.tensordot(frame.parts, self.moves, 1)
        who = portrait(frame.picture, frame.face, self.who, self.own_teeth)
        return spoken(who, movement, shown(frame.face, largest_yaw))
