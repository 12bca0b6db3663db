"""What a motion network makes of a speech, and whom it moves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import numpy as np

from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import Face
from lipgan_colab.faces.following import Sight, Wanted, follow_all
from lipgan_colab.generation.own_pixels import Likeness, likeness, portrait, spoken
from lipgan_colab.media.cuts import with_cuts
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


def film_likenesses(
    frames: Iterable[tuple[int, np.ndarray]], wanted: Sequence[Wanted], moves: np.ndarray
) -> list[Likeness | None]:
    """The people of a film, by some of its first frames; None for those who are not in them.

    Args:
        frames: of the film, with their numbers in it.
        wanted: who they are.
        moves: of the motion network.
    """
    seen = [[] for _ in wanted]
    with FaceFinder() as finder:
        pictures = with_cuts(picture for _, picture in islice(frames, 0, LOOKED_AT * APART, APART))
        sights = (Sight(picture, finder.find(picture), cut) for picture, cut in pictures)
        for one in follow_all(sights, wanted, finder):
            for pictures_of, face in zip(seen, one.faces, strict=True):
                if face is not None:
                    pictures_of.append((one.sight.picture, face))
        return [likeness(pictures_of, moves) for pictures_of in seen]


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
    who: Likeness | None = None
    own_teeth: bool = False

    def moved(self, picture: np.ndarray, face: Face, parts: np.ndarray | None, part: float = 1.0) -> np.ndarray:
        """The picture, uint8 (H, W, 3), with the face moved.

        Args:
            picture: the frame.
            face: found in it.
            parts: float32 (components,), what it does, of `spoken_parts`; None to rest.
            part: how much of the way from what it does in the picture to that, 0 to 1.
        """
        if self.who is None:
            self.who = likeness([(picture, face)], self.moves)
        movement = np.zeros_like(self.moves[0]) if parts is None else np.tensordot(parts, self.moves, 1)
        return spoken(portrait(picture, face, self.who, self.own_teeth), movement, part)
