"""What a network is asked where heat maps are made: how far the mouth is open, and how far lips and sound are apart."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipgan_colab.evaluation.heat_moments import AROUND
from lipgan_colab.evaluation.read_out import ReadOut
from lipgan_colab.evaluation.true_clips import Clip
from lipgan_colab.faces.face_clip import CROP, FPS
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.models.expert import sound_heard
from lipgan_colab.models.motion import BOLDER, CRISP_OVER, CRISPER, STRIDE
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.wav2lip import FRAMES, SyncExpert, lower_halves


@dataclass(frozen=True)
class Painted:
    """What is asked of a generator's pictures: for each frame how far the mouth is open, in parts of how widely that
    varies, and where there is an expert the distance of its run of frames from their sound.

    Attributes:
        network: the generator.
        read_out: tells the opening.
        expert, sounds: who tells the distance, and the embeddings (runs, D) of what is said.
    """

    network: nn.Module
    read_out: ReadOut
    expert: SyncExpert | None = None
    sounds: Tensor | None = None

    def __call__(self, speech: Tensor, faces: Tensor) -> Tensor:
        if len(speech) < len(faces):
            speech = speech.repeat(len(faces) // len(speech), 1, 1, 1)
        pictures = self.network(faces, speech).float()
        opening = self.read_out(pictures)[:, None]
        if self.expert is None:
            return opening
        small = F.interpolate(pictures, (CROP, CROP), mode="area") if pictures.shape[-1] != CROP else pictures
        five = small.reshape(-1, FRAMES, *small.shape[1:]).transpose(1, 2)
        lips = self.expert.see(lower_halves(five))
        # A square root's slope at 0 is infinite.
        apart = (lips - self.sounds.repeat(len(lips) // len(self.sounds), 1)).square().sum(1).clamp_min(1e-12).sqrt()
        return torch.cat([opening, apart.repeat_interleave(FRAMES)[:, None]], dim=1)


@dataclass(frozen=True)
class Moved:
    """What is asked of a motion network: how far apart it holds the inner lips, in parts of how widely that varies."""

    network: MotionNetwork
    spread: float = 1.0

    def __call__(self, speech: Tensor) -> Tensor:
        said = self.network(speech[:, 0])
        middle, reach = AROUND // STRIDE, CRISP_OVER // 2
        near = said[:, :, middle - reach : middle + reach + 1]
        crisp = BOLDER * (said[:, :, middle] + CRISPER * (said[:, :, middle] - near.mean(dim=2)))
        apart = self.network.basis[:, 14, 1] - self.network.basis[:, 13, 1]
        return (crisp @ apart / self.spread)[:, None]


def listening(expert: SyncExpert | None, clip: Clip, frames: np.ndarray) -> tuple[SyncExpert | None, Tensor | None]:
    """The expert, and what it has heard at the beginning of each run; nobody where the clip is too short."""
    heard = min(len(clip.full.frames), len(clip.speech.wave) * FPS // SAMPLE_RATE)
    if expert is None or heard < FRAMES:
        return None, None
    return expert, sound_heard(expert, clip.speech.wave, heard)[frames[::FRAMES]]
