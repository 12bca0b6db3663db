"""Films made alike, so that nothing tells which is which but what people are to judge.

The films of a clip get one size in pixels, one frame rate, one length, one sound, one encoding, one size in bytes, and
the same words about themselves: each says that it may be synthetic, the true ones too.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, repeat
from pathlib import Path

import cv2
import numpy as np
from scipy.signal import correlate

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.judges.key import LATE, STILL, TRUTH
from lipgan_colab.evaluation.true_clips import SHIFT
from lipgan_colab.faces.face_clip import FPS
from lipgan_colab.media import xmp
from lipgan_colab.media.made import made_with
from lipgan_colab.media.sound import read_sound, read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import fast_enough, probe_video, read_video, resample_frames
from lipgan_colab.media.writing import write_video
from lipgan_colab.media.xmp import SHORT_BOX, SYNTHETIC_IN_PARTS, Mark

LONGEST = 10  # s of a clip that are shown; ITU-T P.910 has sequences of about ten
SHORTEST = 0.2  # s that are left of a film which is LATE_BY late
LATE_BY = Fraction(SHIFT, FPS)  # s
MOST_PIXELS = 640 * 480  # of a picture
MOST_LAG = 0.5  # s by which a film's sound may be off the clip's, as encoders shift it
ALIKE = 0.5  # correlation of two sounds that are one
LEAST_FILLED = 4096  # bytes, at most, by which the largest film of a clip is filled up
SAME_SHAPE = 0.03  # by how much a picture's ratio of sides may differ
SAID = (
    "A film of a blind study, which may be synthetic or not: which it is, only the study's key tells. All films of the "
    "study, the true ones too, are marked alike"
)


@dataclass(frozen=True)
class Footage:
    """A clip as all its films are shown.

    Attributes:
        fps, width, height, frames: of each film.
        sound: float32 (channels, n), and `rate`, its samples a second.
        lags: by how many seconds each film, by whose it is, runs behind this sound.
    """

    fps: Fraction
    width: int
    height: int
    frames: int
    sound: np.ndarray
    rate: int
    lags: dict[str, float]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return float(self.frames / self.fps)


def footage(films: Mapping[str, Path]) -> Footage:
    """What the films of one clip have in common, the first of them setting rate, sound and shape.

    Args:
        films: by whose they are; the truth first where it is there.

    Raises:
        InputError: one cannot be read, says something else, or shows a picture of another shape.
    """
    first = next(iter(films.values()))
    about = {whose: probe_video(path) for whose, path in films.items()}
    silent = next((films[whose] for whose in films if not about[whose].has_sound), None)
    if silent is not None:
        raise InputError(f"{silent}: there is no sound in this film; give films with their speech")
    fps = fast_enough(min(about[next(iter(films))].fps, Fraction(30)))
    speech = read_speech(first)
    lags = {whose: 0.0 if path == first else lag(speech, read_speech(path), path) for whose, path in films.items()}
    width, height = max(((film.width, film.height) for film in about.values()), key=lambda size: size[0] * size[1])
    for whose, film in about.items():
        if abs(film.width / film.height * height / width - 1) > SAME_SHAPE:
            raise InputError(
                f"{films[whose]}: its picture ({film.width} x {film.height}) has another shape than {first.name}'s; "
                "compare films of whole pictures"
            )
    scale = min(1.0, (MOST_PIXELS / (width * height)) ** 0.5)
    sound, rate = read_sound(first)
    seen = Footage(
        fps, 2 * round(width * scale / 2), 2 * round(height * scale / 2), int(LONGEST * fps), sound, rate, lags
    )
    frames = min([sum(1 for _ in _raw(path, seen, whose)) for whose, path in films.items()])
    frames = min(frames, int(len(speech) * fps / SAMPLE_RATE))
    if frames / fps < SHORTEST + LATE_BY:
        raise InputError(f"{first}: its films have {float(frames / fps):.2f} s in common, too little to judge")
    return replace(seen, frames=frames, sound=_of(sound, rate, Fraction(0), frames / fps))


def lag(speech: np.ndarray, other: np.ndarray, path: str | Path) -> float:
    """By how many seconds a film's sound, `other`, comes behind the clip's; both as `read_speech` gives them.

    Raises:
        InputError: it is another sound.
    """
    most = int(MOST_LAG * SAMPLE_RATE)
    length = min(len(speech), len(other), LONGEST * SAMPLE_RATE)
    if length <= 2 * most:
        most = length // 4
    own = speech[most : length - most].astype(np.float64)
    against = other[:length].astype(np.float64)
    if not own.any() and not against.any():
        return 0.0
    found = correlate(against, own, mode="valid", method="fft")
    power = np.cumsum(np.concatenate([[0.0], against**2]))
    norms = np.sqrt(np.maximum(power[len(own) :] - power[: len(power) - len(own)], 1e-12) * max(own @ own, 1e-12))
    best = int(np.argmax(found / norms))
    if found[best] / norms[best] < ALIKE:
        raise InputError(f"{path}: it says something else than the other films of this clip; compare the same speech")
    return (best - most) / SAMPLE_RATE


def write_film(path: str | Path, film: str | Path, seen: Footage, whose: str) -> float:
    """A film as it is shown; returns how many seconds it lasts.

    Args:
        path: where, ending in .mp4.
        film: whose pictures.
        seen: its clip's.
        whose: of `seen.lags`.
    """
    return _write(path, pictures(film, seen, whose), seen, 0, 0)


def write_check(path: str | Path, truth: str | Path, seen: Footage, check: str, spoilt: bool) -> float:
    """One film of a check: the truth, LATE or STILL (see `key.CHECKS`), or, not `spoilt`, the truth beside it. Both
    have one length and one sound: to be late, a film loses its beginning. Returns how many seconds it lasts."""
    late = round(LATE_BY * seen.fps) if check == LATE else 0
    frames = pictures(truth, seen, TRUTH)
    if check == STILL and spoilt:
        frames = repeat(next(islice(frames, seen.frames // 2, None)))
    return _write(path, frames, seen, 0 if spoilt else late, late)


def pictures(film: str | Path, seen: Footage, whose: str) -> Iterator[np.ndarray]:
    """A film's frames as they are shown, uint8 (H, W, 3): `seen.frames` of them."""
    for picture in islice(_raw(film, seen, whose), seen.frames):
        if picture.shape[:2] == (seen.height, seen.width):
            yield picture
            continue
        smaller = picture.shape[0] * picture.shape[1] > seen.height * seen.width
        yield cv2.resize(
            picture, (seen.width, seen.height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        )


def _raw(film: str | Path, seen: Footage, whose: str) -> Iterator[np.ndarray]:
    """A film's frames as it has them, at the common rate, from where the common sound begins, LONGEST s at most."""
    behind = seen.lags[whose]
    # What is shown before time 0 gives way to what comes last before it.
    timed = ((max(time - behind, 0.0), picture) for time, picture in read_video(film))
    return islice(resample_frames(timed, seen.fps), int(LONGEST * seen.fps))


def _write(path: str | Path, frames: Iterator[np.ndarray], seen: Footage, start: int, late: int) -> float:
    """The frames from number `start` on, with the sound from number `late` on, as many as there are from there."""
    count = seen.frames - late
    sound = _of(seen.sound, seen.rate, late / seen.fps, count / seen.fps)
    write_video(path, islice(frames, start, start + count), seen.fps, sound, seen.rate, description=SAID, finish=_mark)
    return float(count / seen.fps)


def _of(sound: np.ndarray, rate: int, start: Fraction, seconds: Fraction) -> np.ndarray:
    """Sound (channels, n) from a time on, for so many seconds."""
    first = round(start * rate)
    return sound[:, first : first + round(seconds * rate)]


def _mark(film: Path) -> None:
    """The same words in every film, without a time, which would tell who was made first."""
    xmp.add_to_film(film, xmp.packet(Mark(SYNTHETIC_IN_PARTS, made_with(), SAID)))


def make_equally_large(films: Iterable[Path]) -> None:
    """Fill films up, with a box that players pass over ("free", ISO/IEC 14496-12, 8.1.2), until all have one size. What
    is in it looks like a film's data, where zeros would be seen in a text editor."""
    films = list(films)
    sizes = [film.stat().st_size for film in films]
    most = max(sizes, default=0) + SHORT_BOX.size + secrets.randbelow(LEAST_FILLED)
    for film, size in zip(films, sizes, strict=True):
        with film.open("ab") as file:
            file.write(SHORT_BOX.pack(most - size, b"free") + secrets.token_bytes(most - size - SHORT_BOX.size))
