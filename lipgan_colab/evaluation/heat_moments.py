"""Some frames of a clip as a network gets them, and the same without anything to see or hear."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from lipgan_colab.evaluation.measures import silent_frames
from lipgan_colab.evaluation.true_clips import Clip
from lipgan_colab.faces.face_clip import FPS, resized
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.models.interface import Generator
from lipgan_colab.models.motion import as_heard
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.wav2lip import FRAMES
from lipgan_colab.speech.features import MEL_RATE, WINDOWS

RUNS = 2  # times that are looked at in a clip, each of FRAMES neighbouring frames, which the expert looks at together
BLUR = 1 / 12  # of a face's side: sigma of the blur that leaves nothing to see in a face but its colours
AROUND = 44  # columns of the mel to either side that a motion network may hear for a moment: 0.55 s


@dataclass(frozen=True)
class Moments:
    """Frames of a clip, as a network gets them.

    Attributes:
        frames: (N,), their numbers: runs of FRAMES neighbours, if the clip is so long.
        inputs: speech windows (N, 1, rows, columns), and faces (N, 6, S, S) where the network sees any.
        baselines: the same, of silence and of blurred faces.
        landmarks: (N, 478, 2) in pixels of the targets; reference: (478, 2), of the reference face.
    """

    frames: np.ndarray
    inputs: tuple[Tensor, ...]
    baselines: tuple[Tensor, ...]
    landmarks: np.ndarray
    reference: np.ndarray

    def at(self, places: list[int]) -> "Moments":
        """Some of them."""
        inputs, baselines = (tuple(x[places] for x in some) for some in (self.inputs, self.baselines))
        return replace(
            self, frames=self.frames[places], inputs=inputs, baselines=baselines, landmarks=self.landmarks[places]
        )


def chosen_frames(clip: Clip) -> np.ndarray:
    """RUNS runs of FRAMES frames, spread over what is said; all frames of a shorter clip."""
    count = min(len(clip.full.frames), len(clip.speech.wave) * FPS // SAMPLE_RATE)
    if count < FRAMES:
        return np.arange(len(clip.full.frames))
    talks = np.flatnonzero(~silent_frames(clip.speech.wave, count))
    talks = talks if len(talks) else np.arange(count)
    middles = talks[[len(talks) * (2 * n + 1) // (2 * RUNS) for n in range(RUNS)]]
    starts = np.unique(np.clip(middles - FRAMES // 2, 0, count - FRAMES))
    return (starts[:, None] + np.arange(FRAMES)).ravel()


def window_times(network: Generator) -> np.ndarray:
    """When each column of a network's speech window is, in milliseconds after the middle of the frame that is shown."""
    if isinstance(network, MotionNetwork):
        return np.arange(-AROUND, AROUND + 1) * 1000 / MEL_RATE
    kind, offset = network.speech_input.kind, network.speech_input.offset
    rate, frames_early, columns_early, width = WINDOWS[kind]
    # A column of MFCC begins at its time and hears 25 ms, one of the mel is centred on it.
    first = 12.5 * (kind == "mfcc") - 1000 * columns_early / rate + (offset - frames_early - 0.5) * 1000 / FPS
    return first + np.arange(width) * 1000 / rate


def moments_of(network: Generator, clip: Clip, frames: np.ndarray) -> Moments:
    """These frames (N,) of a clip as the network gets them, and the same without anything to see or hear."""
    device = next(network.parameters()).device
    hears, count = network.speech_input, len(clip.full.frames)
    features, silence = hears.features(clip.speech.wave), hears.features(np.zeros(SAMPLE_RATE, np.float32))[:, :1]
    if isinstance(network, MotionNetwork):
        heard = as_heard(features)
        silence = silence + (heard - features)[:, :1]
        middles = np.rint((frames + 0.5) / FPS * MEL_RATE - 0.5).astype(int) - hears.offset * MEL_RATE // FPS
        columns = np.clip(middles[:, None] + np.arange(-AROUND, AROUND + 1), 0, heard.shape[1] - 1)
        windows = heard[:, columns].transpose(1, 0, 2)
    else:
        windows = hears.windows(features, count, FPS)[frames]
    speech = torch.from_numpy(np.ascontiguousarray(windows))[:, None].to(device)
    quiet = torch.from_numpy(silence).to(device).expand_as(speech[0]).expand_as(speech).clone()
    if isinstance(network, MotionNetwork):
        return Moments(frames, (speech,), (quiet,), clip.full.landmarks[frames], clip.full.landmarks[0])
    crops = resized(clip.full.crops[np.r_[0, frames]], network.face_size)
    blurred = np.stack([_blurred(crop) for crop in crops])
    landmarks = clip.full.landmarks * (network.face_size / clip.full.size)
    faces, without = (_as_input(pictures).to(device) for pictures in (crops, blurred))
    return Moments(frames, (speech, faces), (quiet, without), landmarks[frames], landmarks[0])


def _as_input(crops: np.ndarray) -> Tensor:
    """The first of some crops (1 + N, S, S, 3) as the reference, the others as targets: (N, 6, S, S) in [0, 1]."""
    masked = crops[1:].copy()
    masked[:, masked.shape[1] // 2 :] = 0
    both = np.concatenate([np.repeat(crops[:1], len(masked), axis=0), masked], axis=3)
    return torch.from_numpy(both).permute(0, 3, 1, 2).float() / 255


def _blurred(crop: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(crop, (0, 0), len(crop) * BLUR, borderType=cv2.BORDER_REPLICATE)
