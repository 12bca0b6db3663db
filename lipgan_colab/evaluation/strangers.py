"""Strangers speak: photos and films of people whom no network has seen, on one page, each with what can be checked.

There is no truth for them. What is checked is what must hold whatever is said: nothing folds, grey stays grey, skin
stays sharp, lips meet, and both halves of them move alike. A list of twenty is in benchmarks/strangers.txt; it is run
where its paths begin: lipgan-colab strangers --out DIR --faces $(cat benchmarks/strangers.txt)
"""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm.auto import tqdm

from lipgan_colab.errors import InputError, counted
from lipgan_colab.evaluation.measures import closures, detail, liveliness, one_sidedness, ratio, silent_frames
from lipgan_colab.evaluation.report_page import caption
from lipgan_colab.faces import geometry, lips, mesh
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import far, sizes
from lipgan_colab.faces.face_clip import CHIN, FPS, filled
from lipgan_colab.faces.facts import Facts
from lipgan_colab.files import make_folder, written_whole
from lipgan_colab.generation.face_frames import FaceFrame, Film, find_in_photo, read_photo, see_film
from lipgan_colab.generation.moved_faces import film_likenesses, spoken_parts
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.own_pixels import Likeness, likeness, portrait, speaking_mesh, spoken
from lipgan_colab.generation.setting import ready_generator
from lipgan_colab.generation.warp import warp
from lipgan_colab.media.image import is_image
from lipgan_colab.media.pipeline import StageClock
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.models.interface import Generator
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.pretrained import ASSETS
from lipgan_colab.models.weights import in_words
from lipgan_colab.speech.pauses import PAUSE_RULES, speaking

LONGEST = 10 * SAMPLE_RATE  # samples of the speech that are spoken
SILENCE = SAMPLE_RATE  # samples of silence after it, in which the mouth must rest
CELL = 300  # pixels of a picture on the page
SHOWN = 0.75  # of the face's side: what a picture shows around the lips
NO_PADS = (0.0, 0.0, 0.0, 0.0)
WANTED = GenerateOptions().wanted

CHECKS = {
    "yaw": "degrees, mean",
    "folds": "triangles that the warp turns over, at most; 0 is best",
    "chroma": "how much more colourful the lower face gets, at most, in grey levels; 0 where the picture is grey",
    "chin": "Laplacian energy of the chin, the picture's own = 1, at least (half a pixel's shift alone costs a third)",
    "rest": "how far the mouth is open at rest, as the face is found again, in parts of its height",
    "widest": "the same at its widest",
    "closure": "the same where lips meet within speech",
    "silence": "movement of the lips in silence, of the movement over all = 1; 0 is best",
    "one_sided": "how unequally the mesh's lips are moved up and down, 0 to 1; 0 is best (finders hardly see it)",
}


@dataclass(frozen=True)
class Stranger:
    """Who spoke: the `CHECKS`, and a row of the page, uint8 (CELL, W, 3)."""

    name: str
    checks: dict[str, float]
    row: np.ndarray

    def __str__(self) -> str:
        return f"{self.name[-40:]:40} " + "  ".join(f"{name} {value:.3g}" for name, value in self.checks.items())


@dataclass(frozen=True)
class _Shown:
    """A frame that is looked at: as it was, where the mesh (468, 3) went, and as it speaks, uint8 (H, W, 3)."""

    frame: FaceFrame
    moved: np.ndarray
    picture: np.ndarray


@dataclass(frozen=True)
class _Said:
    """What all strangers say: the network's `moves`, movements (F, 468, 3), in which frames (F,) nothing is said, and
    which frames are looked at, by what is to be seen in them."""

    moves: np.ndarray
    movements: np.ndarray
    silent: np.ndarray
    moments: dict[str, int]


def strangers(
    faces: Sequence[str | Path],
    weights: str | Path | Generator,
    out: str | Path,
    speech: str | Path | None = None,
    device: str | torch.device | None = None,
) -> list[Stranger]:
    """Make strangers speak, and check what can be checked. Writes strangers.png (a row a face: the picture, at rest, at
    its widest, lips shut within speech, narrow, half open) and strangers.csv.

    Args:
        faces: photos and videos of people, and folders of such; those in which no face is found are passed over.
        weights: run folder, file or name of a motion network.
        out: folder that gets the page and the checks.
        speech: any file with sound, of which the first 10 s are spoken; None takes a sentence that comes with the
            package.
        device: cuda, cuda:1, mps, cpu; None takes the GPU where there is one.

    Raises:
        InputError: none of them has a face, the weights are of another kind, or the results cannot be written.
    """
    network = ready_generator(weights, device)
    if not isinstance(network, MotionNetwork):
        raise InputError(
            f"strangers are moved by a motion network, and these weights are {in_words(network)}; give others"
        )
    said = _said(network, read_speech(speech or ASSETS / "sample.wav")[:LONGEST])
    files, found = _files(faces), []
    if not files:
        raise InputError(f"{', '.join(map(str, faces))}: no file in there; give photos or videos of people")
    out = make_folder(out)
    why: InputError | None = None  # the first was skipped
    with FaceFinder() as finder:
        for path in tqdm(files, unit="face", desc="strangers"):
            try:
                found.append(_stranger(path, said, finder))
                tqdm.write(str(found[-1]))
            except InputError as error:
                tqdm.write(f"skipped {error}")
                why = why or error
    if not found:
        many = counted(len(files), "file")
        raise InputError(f"none of {many} has a face that can speak ({why.line}); give photos or videos of people")
    _write(out, found, said.moments)
    return found


def _files(faces: Sequence[str | Path]) -> list[Path]:
    """The files that are given, and those below the folders that are."""
    files = []
    for path in map(Path, faces):
        files += sorted(p for p in path.rglob("*") if p.is_file()) if os.path.isdir(path) else [path]
    return files


def _said(network: MotionNetwork, wave: np.ndarray) -> _Said:
    wave = np.concatenate([wave, np.zeros(SILENCE, np.float32)])
    frames = round(len(wave) * FPS / SAMPLE_RATE)
    features, follow = network.speech_input.features(wave), speaking(wave, PAUSE_RULES["normal"])
    parts = spoken_parts(network, features, frames, Fraction(FPS), follow)
    movements, silent = np.tensordot(parts, network.moves, 1), silent_frames(wave, frames)
    return _Said(network.moves, movements, silent, _moments(movements, silent))


def _moments(movements: np.ndarray, silent: np.ndarray) -> dict[str, int]:
    """Which frames are looked at, by what an average face does in them."""
    face = mesh.canonical() + movements
    gap, width = np.maximum(lips.gaps(face).max(axis=1), 0), lips.width(face)
    talks = np.flatnonzero(~silent)
    shut = [first + int(gap[first : last + 1].argmin()) for first, last in closures(gap, silent)]
    opened = talks[gap[talks] >= np.median(gap[talks])]
    return {
        "rest": len(gap) - 1,
        "widest": int(talks[gap[talks].argmax()]),
        "closure": min(shut or talks.tolist(), key=lambda n: gap[n]),
        "narrow": int(opened[width[opened].argmin()]),
        "middling": int(opened[gap[opened].argmin()]),
    }


def _stranger(path: Path, said: _Said, finder: FaceFinder) -> Stranger:
    """A person speaks. InputError where nobody is seen."""
    frames, who = _seen(path, said, finder)
    yaws, folds, heads, shown = [], [], [], {}
    openings = np.full(len(said.movements), np.nan)
    for frame in frames:
        if frame.face is None:
            continue
        who = who or likeness([(frame.picture, frame.face)], said.moves)
        face = portrait(frame.picture, frame.face, who, own_teeth=is_image(path))
        movement = said.movements[frame.number]
        heads.append(speaking_mesh(face, movement))
        moved = face.pose.to_picture(heads[-1])
        moves = warp(face.points[:, :2], moved[:, :2], moved[:, 2], frame.picture.shape)
        folds.append(moves.folds if moves else 0)
        yaws.append(frame.face.yaw)
        picture = spoken(face, movement)
        again = min(finder.find(picture), key=lambda other: far(other.box, frame.face.box), default=None)
        if again is not None:
            openings[frame.number] = geometry.mouth_opening(again.landmarks)
        for moment in [m for m, number in said.moments.items() if number == frame.number]:
            shown[moment] = _Shown(frame, moved, picture)
    if not heads:
        raise InputError(f"{path}: no face found")
    checks = {
        "yaw": np.mean(yaws),
        "folds": max(folds),
        "chroma": _worst(max, [_colourful(s.picture, s) - _colourful(s.frame.picture, s) for s in shown.values()]),
        "chin": _worst(min, [_chin(s) for s in shown.values()]),
        "rest": openings[said.moments["rest"]],
        "widest": openings[said.moments["widest"]],
        "closure": openings[said.moments["closure"]],
        "silence": ratio(liveliness(filled(openings), said.silent), liveliness(filled(openings))),
        "one_sided": one_sidedness(np.stack(heads)[..., :2]),
    }
    return Stranger(str(path), {name: float(checks[name]) for name in CHECKS}, _row(shown, said.moments))


def _seen(path: Path, said: _Said, finder: FaceFinder) -> tuple[Iterator[FaceFrame], Likeness | None]:
    """As many frames of a photo or a film as are spoken, and who is in them."""
    count = len(said.movements)
    if not is_image(path):
        facts, film = Facts(finder), Film(path, Fraction(FPS), count)
        (who,) = film_likenesses(Film(path, Fraction(FPS)).frames(), [WANTED], said.moves, facts)
        return see_film(path, film.frames(), [WANTED], NO_PADS, StageClock(), facts), who
    photographed = find_in_photo(read_photo(path), path, [WANTED], NO_PADS)
    return (replace(photographed, number=number) for number in range(count)), None


def _worst(pick: Callable, values: list[float]) -> float:
    return pick([v for v in values if np.isfinite(v)], default=np.nan)


def _colourful(picture: np.ndarray, shown: _Shown) -> float:
    """How far the most colourful pixels (99th percentile) of the lower face are from grey, in grey levels."""
    inside = geometry.lower_face_mask(shown.frame.face.landmarks, picture.shape) > 0.5
    colour = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)[inside][:, 1:].astype(np.float32) - 128
    return float(np.percentile(np.linalg.norm(colour, axis=1), 99)) if len(colour) else np.nan


def _chin(shown: _Shown) -> float:
    """Laplacian energy of the chin, the picture's own = 1."""
    before = detail(shown.frame.picture[None], _hull(shown.frame.face.landmarks[CHIN], shown.picture)[None])
    return ratio(detail(shown.picture[None], _hull(shown.moved[CHIN, :2], shown.picture)[None]), before)


def _hull(points: np.ndarray, picture: np.ndarray) -> np.ndarray:
    inside = np.zeros(picture.shape[:2], np.uint8)
    return cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(points).astype(np.int32)), 1)


def _row(shown: dict[str, _Shown], moments: Iterable[str]) -> np.ndarray:
    empty = np.full((CELL, CELL, 3), 255, np.uint8)
    cells = [_cell(shown[m].picture, shown[m].frame) if m in shown else empty for m in moments]
    original = next((_cell(s.frame.picture, s.frame) for s in shown.values()), empty)
    return np.concatenate([original, *cells], axis=1)


def _cell(picture: np.ndarray, frame: FaceFrame) -> np.ndarray:
    """What is around the lips."""
    side = round(SHOWN * float(sizes(frame.face.box))) | 1  # odd: around a pixel, so that pixels stay as they are
    middle = frame.face.landmarks[lips.CORNERS].mean(axis=0)
    part = cv2.getRectSubPix(picture, (side, side), np.floor(middle).tolist())
    return cv2.resize(part, (CELL, CELL), interpolation=cv2.INTER_AREA if side > CELL else cv2.INTER_CUBIC)


def _write(out: Path, found: list[Stranger], moments: Iterable[str]) -> None:
    rows = [np.concatenate([caption(name, CELL) for name in ("original", *moments)], axis=1)]
    for stranger in found:
        rows += [caption(str(stranger), rows[0].shape[1]), stranger.row]
    with written_whole(out / "strangers.png") as unfinished:
        picture = cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR)
        unfinished.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    with (
        written_whole(out / "strangers.csv") as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, ["name", *CHECKS])
        writer.writeheader()
        writer.writerows({"name": s.name} | {c: f"{value:.4g}" for c, value in s.checks.items()} for s in found)
