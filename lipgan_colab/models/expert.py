"""Our own sync expert, taught by shards (train_expert.py). Its numbers are no LSE-D and no LSE-C.

The SyncNet by which papers measure (syncnet.py) is its authors' to give and cannot always be had. This one is made of
what is at hand, and knows the people and the language that it has been taught with best.
"""

from dataclasses import dataclass

import numpy as np
import torch
import xxhash
from torch import Tensor

from lipgan_colab.errors import InputError
from lipgan_colab.faces.face_clip import FPS
from lipgan_colab.models.wav2lip import FRAMES, SyncExpert, lower_halves
from lipgan_colab.speech.sync import OFFSETS, SEARCHED

BATCH = 64  # moments that are judged at once


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
        raise InputError(f"a clip of {len(crops)} frames is too short for the expert; it needs {FRAMES}")
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
        raise InputError(f"a clip of {frames} frames is too short for the expert; it needs {FRAMES}")
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
