"""Where a network looks while it makes some frames of a clip, and what moves the mouth in them.

Asked is how far the mouth is open, and how far lips and sound are from each other, as our sync expert says. What these
hang on is looked for in the speech window, in the reference face and in the upper half of the target face.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipgan_colab.evaluation.attribution import (
    Judged,
    has_captum,
    integrated_gradients,
    occlusion,
    rank_correlation,
    slots,
    untaught,
)
from lipgan_colab.evaluation.heat_asked import Moved, Painted, listening
from lipgan_colab.evaluation.heat_moments import Moments, chosen_frames, moments_of, window_times
from lipgan_colab.evaluation.read_out import fitted
from lipgan_colab.evaluation.report_page import at_landmarks, nanmean
from lipgan_colab.evaluation.true_clips import Clip
from lipgan_colab.faces.face_clip import FaceClip, resized
from lipgan_colab.models.interface import Generator
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.wav2lip import FRAMES, SyncExpert

SLOT = 30  # milliseconds of speech that are occluded at once, about
BANDS = 5  # of a mel that are occluded at once
PATCHES = 6  # occluded squares across a face
STEPS = 8  # of integrated gradients

OPENING, DISTANCE, ACTIVITY = ASKED = ("opening", "distance", "activity")
OCCLUSION, GRADIENTS, ACTIVATIONS = METHODS = ("occlusion", "gradients", "activations")
TIME, COEFFICIENTS, GRID, REFERENCE, TARGET = "time", "coefficients", "grid", "reference", "target"
Key = tuple[str, str, str]  # what is asked, by which method, of what


@dataclass(frozen=True)
class ClipMaps:
    """What was found out of one clip.

    Attributes:
        id: which.
        frames: which frames it is of.
        milliseconds: (columns,), when the speech window's columns are, of the shown frame's middle.
        read_out: correlation of the read-out opening with MediaPipe's; 1 where the network tells the opening itself.
        maps: mean magnitudes over the frames: of speech (columns,), (rows,) or (rows, columns), of faces and stages at
            the landmarks (478,).
        pictures: the same of faces and stages as pictures (S, S), nan where the network sees nothing.
        untaught: for each map its rank correlation with that of networks that have learnt nothing, one a draw.
        missing: for each thing asked, by how much integrated gradients miss the whole change (see `attribution`).
        face: uint8 (S, S, 3), the reference; None where the network sees none.
    """

    id: str
    frames: np.ndarray
    milliseconds: np.ndarray
    read_out: float
    maps: dict[Key, np.ndarray]
    pictures: dict[Key, np.ndarray]
    untaught: dict[Key, list[float]]
    missing: dict[str, float]
    face: np.ndarray | None = None


def clip_maps(
    network: Generator,
    expert: SyncExpert | None,
    clip: Clip,
    generated: FaceClip,
    draws: int,
    seed: int = 0,
    done: Callable[[], object] = lambda: None,
) -> ClipMaps:
    """All maps of a clip, each with how alike it is to those of networks that have learnt nothing.

    Args:
        network: in evaluation mode.
        expert: tells how far lips and sound are apart; None leaves that out.
        clip: as it truly is.
        generated: what the network made of it.
        draws: how many networks that have learnt nothing are tried, seeded by `seed` and the numbers after it.
        done: is called after each of the 1 + draws networks.
    """
    frames = chosen_frames(clip)
    moments = moments_of(network, clip, frames)
    if isinstance(network, MotionNetwork):
        everywhere = moments_of(network, clip, np.arange(len(clip.full.frames)))
        with torch.no_grad():
            spread = float(Moved(network)(*everywhere.inputs).std(correction=0))
        asker, read_out = Moved(network, spread or 1.0), 1.0
    else:
        told = fitted(generated)
        asker, read_out = Painted(network, told, *listening(expert, clip, frames)), told.correlation
    found, missing = _maps(asker, moments)
    done()
    first = _first_run(asker, moments)
    alike: dict[Key, list[float]] = {key: [] for key in found}
    for draw in range(draws):
        blank, _ = _maps(replace(first[0], network=untaught(network, seed + draw)), first[1])
        for key, value in blank.items():
            alike[key].append(rank_correlation(_mean(found[key][: len(value)]), _mean(value)))
        done()
    face = None if isinstance(network, MotionNetwork) else resized(clip.full.crops[:1], network.face_size)[0]
    return ClipMaps(
        clip.speech.utterance.id,
        frames,
        window_times(network),
        read_out,
        {key: _in_the_mesh(key, value, moments) for key, value in found.items()},
        {key: _mean(value) for key, value in found.items() if _is_picture(key)},
        alike,
        missing,
        face,
    )


def _first_run(asker: Judged, moments: Moments) -> tuple[Judged, Moments]:
    """The same for the first run of frames alone."""
    if len(moments.frames) <= FRAMES:
        return asker, moments
    if getattr(asker, "sounds", None) is not None:
        asker = replace(asker, sounds=asker.sounds[:1])
    return asker, moments.at(list(range(FRAMES)))


def _maps(asker: Judged, moments: Moments) -> tuple[dict[Key, np.ndarray], dict[str, float]]:
    """All maps, (N, ...) each, and what integrated gradients miss."""
    found, missing = _of_speech(asker, moments), {}
    if has_captum():
        more, missing = _by_gradients(asker, moments)
        found |= more
    if isinstance(asker, Painted):
        found |= _of_faces(asker, moments)
        found |= _of_stages(asker, moments)
    return found, missing


def _of_speech(asker: Judged, moments: Moments) -> dict[Key, np.ndarray]:
    """By occlusion: how much changes without some milliseconds of the window, or without some of its rows."""
    rows, columns = moments.inputs[0].shape[2:]
    slot = max(1, round(SLOT / np.diff(window_times(asker.network)).mean()))
    bands = BANDS if rows > 2 * BANDS and asker.network.speech_input.kind != "mfcc" else 1
    whole = slice(None)
    places = [(whole, whole, part) for part in slots(columns, slot)]
    changes = _changes(asker, moments, 0, places + [(whole, part, whole) for part in slots(rows, bands)])
    found = {}
    for asked, values in zip(ASKED, np.moveaxis(changes, 2, 0), strict=False):
        found[asked, OCCLUSION, TIME] = np.repeat(values[: len(places)].T, slot, axis=1)[:, :columns]
        found[asked, OCCLUSION, COEFFICIENTS] = np.repeat(values[len(places) :].T, bands, axis=1)[:, :rows]
    return found


def _of_faces(asker: Painted, moments: Moments) -> dict[Key, np.ndarray]:
    """By occlusion: how much the opening changes where a square of a face is blurred. One frame of each run: squares
    are many."""
    asker, moments = replace(asker, expert=None), _middles(moments)
    size = moments.inputs[1].shape[-1]
    squares = slots(size, -(-size // PATCHES))
    found = {}
    for part, channels, rows in ((REFERENCE, slice(0, 3), squares), (TARGET, slice(3, 6), squares[: PATCHES // 2])):
        places = [(channels, row, column) for row in rows for column in squares]
        maps = np.zeros((len(moments.frames), size, size), np.float32)
        for (_, row, column), change in zip(places, _changes(asker, moments, 1, places), strict=True):
            maps[:, row, column] = change[:, :1, None]
        maps[:, rows[-1].stop :] = np.nan
        found[OPENING, OCCLUSION, part] = maps
    return found


def _middles(moments: Moments) -> Moments:
    return moments.at(list(range(min(FRAMES, len(moments.frames)) // 2, len(moments.frames), FRAMES)))


def _changes(asker: Judged, moments: Moments, which: int, places: list[tuple]) -> np.ndarray:
    return occlusion(asker, moments.inputs, moments.baselines, which, places).abs().cpu().numpy()


def _by_gradients(asker: Judged, moments: Moments) -> tuple[dict[Key, np.ndarray], dict[str, float]]:
    """By integrated gradients: how much each value of speech and faces adds, from silence and blurred faces on."""
    found, missing = {}, {}
    listens = getattr(asker, "expert", None) is not None
    for number, asked in enumerate(ASKED[: 1 + listens]):
        parts, missing[asked] = integrated_gradients(
            asker, moments.inputs, moments.baselines, number, STEPS, FRAMES if asked == DISTANCE else 1
        )
        speech, *faces = (part.abs().cpu().numpy() for part in parts)
        found[asked, GRADIENTS, GRID] = speech[:, 0]
        for face in faces:
            found[asked, GRADIENTS, REFERENCE] = face[:, :3].sum(axis=1)
            found[asked, GRADIENTS, TARGET] = face[:, 3:].sum(axis=1)
            found[asked, GRADIENTS, TARGET][:, face.shape[2] // 2 :] = np.nan  # of which the network sees nothing
    return found, missing


def decoder_stages(network: nn.Module) -> list[nn.Module]:
    """A generator's stages from the codes of face and speech to the picture; none where it has other ones."""
    return list(getattr(network, "up", getattr(network, "face_decoder_blocks", [])))


@contextmanager
def listened(stages: list[nn.Module]):
    """While the block lasts, what the stages answer is collected, in the order in which they are called."""
    answers: list[Tensor] = []
    hooks = [stage.register_forward_hook(lambda _, given, answer: answers.append(answer)) for stage in stages]
    try:
        yield answers
    finally:
        for hook in hooks:
            hook.remove()


def _of_stages(asker: Painted, moments: Moments) -> dict[Key, np.ndarray]:
    return {(ACTIVITY, ACTIVATIONS, name): m for name, m in stage_maps(asker.network, moments).items()}


@torch.no_grad()
def stage_maps(network: nn.Module, moments: Moments) -> dict[str, np.ndarray]:
    """How active each stage of the decoder is where, by its resolution: mean magnitude over its channels, as large as
    the face, (N, S, S)."""
    speech, faces = moments.inputs
    with listened(decoder_stages(network)) as answers:
        network(faces, speech)
    found = {}
    for answer in answers:
        if answer.dim() == 4 and min(answer.shape[2:]) > 1:
            map_ = answer.float().abs().mean(dim=1, keepdim=True)
            larger = F.interpolate(map_, faces.shape[2:], mode="bilinear", align_corners=False)
            found[f"{answer.shape[2]} x {answer.shape[3]}"] = larger[:, 0].cpu().numpy()
    return found


def _is_picture(key: Key) -> bool:
    return key[2] not in (TIME, COEFFICIENTS, GRID)


def _in_the_mesh(key: Key, maps: np.ndarray, moments: Moments) -> np.ndarray:
    """A map's mean over the frames: of pictures where the landmarks are, so that clips can be averaged."""
    if not _is_picture(key):
        return _mean(maps)
    frames = moments if len(maps) == len(moments.frames) else _middles(moments)
    points = [frames.reference] * len(maps) if key[2] == REFERENCE else frames.landmarks
    return nanmean(np.stack([at_landmarks(np.nan_to_num(m), p) for m, p in zip(maps, points, strict=True)]))


def _mean(maps: np.ndarray) -> np.ndarray:
    return maps.mean(axis=0)
