"""Our own sync expert, taught by shards (train_expert.py). Its numbers are no LSE-D and no LSE-C.

The SyncNet by which papers measure (syncnet.py) is its authors' to give and cannot always be had. This one is made of
what is at hand, and knows the people and the language that it has been taught with best.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xxhash
from torch import Tensor

from lipgan_colab.errors import InputError, counted
from lipgan_colab.faces.face_clip import FPS
from lipgan_colab.models.wav2lip import FRAMES, SyncExpert, lower_halves
from lipgan_colab.speech.sync import OFFSETS, SEARCHED

BATCH = 64  # moments that are judged at once


def fingerprint(expert: SyncExpert) -> str:
    """Tells experts apart by their weights, whatever their files are called."""
    hashed = xxhash.xxh3_64()
    for value in expert.state_dict().values():
        hashed.update(value.cpu().contiguous().numpy().tobytes())
    return hashed.hexdigest()


@dataclass(frozen=True)
class Verdict:
    """What an expert says of a clip.

    Attributes:
        distance: mean distance of lips and sound as they are, 0 to 1.41; the less the better.
        confidence: by how much that is below the median over all offsets; < 0 where other offsets are better.
        offset: frames by which the sound is late, where they are nearest.
    """

    distance: float
    confidence: float
    offset: int


@torch.no_grad()
def lips_seen(expert: SyncExpert, crops: np.ndarray, known: dict[tuple, Tensor] | None = None) -> Tensor:
    """The embeddings (F - 4, D) of every five consecutive crops, uint8 (F, 96, 96, 3) RGB at 25 a second.

    Args:
        expert: who looks.
        crops: what at.
        known: the embeddings of what this expert has seen before, which are filled in: nothing is looked at twice.

    Raises:
        InputError: there are fewer than five.
    """
    if len(crops) < FRAMES:
        raise InputError(f"a clip of {counted(len(crops), 'frame')} is too short for the expert; it needs {FRAMES}")
    known = {} if known is None else known
    device = next(expert.parameters()).device
    each = [xxhash.xxh3_64(np.ascontiguousarray(crop)).intdigest() for crop in crops]
    keys = [tuple(each[n : n + FRAMES]) for n in range(len(crops) - FRAMES + 1)]
    unseen = list({key: n for n, key in enumerate(keys) if key not in known}.items())
    for start in range(0, len(unseen), BATCH):
        some = unseen[start : start + BATCH]
        five = np.stack([crops[n : n + FRAMES] for _, n in some]).transpose(0, 4, 1, 2, 3)
        halves = lower_halves(torch.from_numpy(np.ascontiguousarray(five)).to(device).float() / 255)
        known.update(zip((key for key, _ in some), expert.see(halves), strict=True))
    return torch.stack([known[key] for key in keys])


@torch.no_grad()
def sound_heard(expert: SyncExpert, wave: np.ndarray, frames: int) -> Tensor:
    """The embeddings (frames - 4, D) of the speech that begins with each frame; wave is float32 (n,) at 16 kHz.

    Raises:
        InputError: there are fewer than five frames, or no sound at all.
    """
    if frames < FRAMES:
        raise InputError(f"a clip of {counted(frames, 'frame')} is too short for the expert; it needs {FRAMES}")
    speech = expert.speech_input.windows(expert.speech_input.features(wave), frames - FRAMES + 1, FPS)
    return expert.hear(torch.from_numpy(speech[:, None]).to(next(expert.parameters()).device))


def verdict(lips: Tensor, sounds: Tensor) -> Verdict:
    """Judge a clip by the embeddings (N, D) of its lips and of its sound: as it is, and with the sound moved by up to
    15 frames either way (fewer where the clip is short), of which only what both have counts.

    Otherwise than LSE-D and LSE-C, which are of the best offset, this is of no offset: lips that are late lose by it.
    """
    means = {}
    for offset in OFFSETS[np.abs(OFFSETS) <= min(SEARCHED, len(lips) // 2)]:
        early, late = max(0, offset), max(0, -offset)
        a, b = lips[late : len(lips) - early], sounds[early : len(sounds) - late]
        means[int(offset)] = float((a - b).norm(dim=1).mean())
    return Verdict(means[0], float(np.median(list(means.values()))) - means[0], min(means, key=means.get))


@dataclass(frozen=True)
class Accuracy:
    """How well an expert tells a clip's lips with their own sound from the same lips with the clip's sound moved.

    Attributes:
        nearer: in which share of all pairs (0 to 1, half by chance) the right sound is the nearer of the two. No
            threshold has to be chosen.
        told: the share of sounds (0 to 1, half by chance), right ones and moved ones counting alike, that are told
            rightly by the best of all thresholds on the product of the embeddings. It is the accuracy that is told of
            Wav2Lip's expert and of StableSyncNet (Li et al., "LatentSync", 2024, section 4), but for their threshold of
            0.5, which means nothing to an expert that was taught by comparing.
    """

    nearer: float
    told: float


def accuracy(clips: Sequence[tuple[Tensor, Tensor]], frames: int = FRAMES) -> Accuracy:
    """How well embeddings tell what is in sync. Every moment's lips are compared with every moment's sound of the same
    clip, so that nothing is left to the lot, and each clip counts alike. nan where no clip has two moments.

    Args:
        clips: of each the embeddings of its lips and of its sound, (N, D) both, of consecutive moments.
        frames: over how many frames (5 or more) it is judged: the mean product of frames - 4 moments.
    """
    scored = []
    for lips, sounds in clips:
        each, span = (lips @ sounds.T).double().cpu().numpy(), frames - FRAMES + 1
        count = len(each) - span + 1
        if count >= 2:
            scored.append(np.mean([each[k : k + count, k : k + count] for k in range(span)], axis=0))
    if not scored:
        return Accuracy(float("nan"), float("nan"))
    own = [scores.diagonal() for scores in scored]
    moved = [scores[~np.eye(len(scores), dtype=bool)].reshape(len(scores), -1) for scores in scored]
    won = [((a[:, None] > b) + (a[:, None] == b) / 2).mean() for a, b in zip(own, moved, strict=True)]
    return Accuracy(float(np.mean(won)), _best_accuracy(own, [scores.ravel() for scores in moved]))


def _best_accuracy(own: Sequence[np.ndarray], moved: Sequence[np.ndarray]) -> float:
    """The highest share that one threshold tells rightly: every clip alike, and of it right and moved sounds alike."""
    parts = [*own, *moved]
    scores = np.concatenate(parts)
    weights = np.concatenate([np.full(len(part), 0.5 / len(part) / len(own)) for part in parts])
    weights[sum(len(part) for part in own) :] *= -1
    order = np.argsort(scores)
    scores, gains = scores[order], np.cumsum(weights[order])  # what is lost where all scores up to one are told moved
    last_of_equals = np.append(scores[1:] > scores[:-1], True)
    return float(0.5 - min(0, gains[last_of_equals].min()))
