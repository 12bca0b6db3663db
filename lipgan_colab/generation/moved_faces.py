"""What a motion network makes of a speech, and whom it moves."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from itertools import islice

import numpy as np
import xxhash

from lipgan_colab.faces.face import Face
from lipgan_colab.faces.facts import Facts
from lipgan_colab.faces.following import Wanted, follow_all
from lipgan_colab.faces.known_faces import KnownFaces
from lipgan_colab.generation.face_frames import Film, cut_frames, seen_in
from lipgan_colab.generation.inner_mouth import Look
from lipgan_colab.generation.own_pixels import Likeness, likeness, portrait, spoken
from lipgan_colab.media.pipeline import ahead
from lipgan_colab.models.motion import Motion, components
from lipgan_colab.speech.pauses import RATE

LIKENESS_FORMAT = 1  # to be raised whenever the same frames would tell something else of a person
LOOKED_AT, APART = 60, 4  # frames of a film that are looked at before it speaks, and every how many of them


def spoken_parts(
    network: Motion,
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
    frames: Iterable[tuple[int, np.ndarray]], wanted: Sequence[Wanted], moves: np.ndarray, facts: Facts
) -> list[Likeness | None]:
    """The people of a film, by some of its first frames; None for those who are not in them.

    Args:
        frames: of the film, with their numbers in it.
        wanted: who they are.
        moves: of the motion network.
        facts: tells who is seen.
    """
    seen = [[] for _ in wanted]
    with closing(ahead(cut_frames(islice(frames, 0, LOOKED_AT * APART, APART)))) as some:
        for one in follow_all(seen_in(some, facts.find), wanted, facts):
            for pictures, same_as in zip(seen, one.same_as, strict=True):
                if one.faces[same_as] is not None:
                    pictures.append((one.sight.picture, one.faces[same_as]))
    return [likeness(pictures, moves) for pictures in seen]


def known_likenesses(
    film: Film, start: int, wanted: Sequence[Wanted], moves: np.ndarray, facts: KnownFaces
) -> list[Likeness | None]:
    """The people of a film by its frames from `start` on, as `film_likenesses`; looked up where they are known."""
    depends_on = repr((LIKENESS_FORMAT, LOOKED_AT, APART, start, wanted)).encode() + moves.tobytes()
    name = f"likeness-{xxhash.xxh3_128_hexdigest(depends_on)}"
    kept = facts.arrays(name)
    if kept is None:
        # However long the film is played, forward and backward: another voice's result may be longer.
        with closing(replace(film, bounced=None).frames(start)) as frames:
            found = film_likenesses(frames, wanted, moves, facts)
        kept = {f"{n}-{part}": array for n, who in enumerate(found) if who for part, array in _parts_of(who)}
        facts.keep(name, kept)
    return [_likeness_of(kept, n) for n in range(len(wanted))]


def _parts_of(who: Likeness) -> list[tuple[str, np.ndarray]]:
    look = [(field.name, np.asarray(getattr(who.look, field.name))) for field in fields(Look)]
    return [("rest", who.rest), *look]


def _likeness_of(kept: Mapping[str, np.ndarray], n: int) -> Likeness | None:
    if f"{n}-rest" not in kept:
        return None
    return Likeness(kept[f"{n}-rest"], Look(*(kept[f"{n}-{field.name}"][()] for field in fields(Look))))


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
