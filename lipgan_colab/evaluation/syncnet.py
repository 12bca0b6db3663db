"""LSE-D and LSE-C: do lips and sound belong together, says the SyncNet of Chung and Zisserman.

"Out of time: automated lip sync in the wild" (Workshop on Multi-view Lip-reading, ACCV 2016), as its authors published
it (joonson/syncnet_python: network, MFCC, search for the offset); Wav2Lip's authors named its two results Lip
Sync Error Distance and Confidence (ACM Multimedia 2020, section 5.2). The weights, syncnet_v2.model, are theirs to
give; nothing here stands in for them, so that no other number is taken for an LSE.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from python_speech_features import mfcc
from scipy.signal import medfilt
from torch import Tensor, nn

from lipgan_colab.device import pick_device
from lipgan_colab.errors import InputError, counted, reading
from lipgan_colab.faces import geometry
from lipgan_colab.faces.face_clip import FaceClip, around, filled
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.models.state_dict import read_state_dict

WEIGHTS_URL = "http://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model"
FRAMES, COLUMNS = 5, 20  # 0.2 s that are looked at and heard together
STEP = COLUMNS // FRAMES  # MFCC columns a frame of 1/25 s
SIZE = 224  # pixels of its faces
SEARCHED = 15  # frames that the sound is moved by, either way
CROP_SCALE = 0.4  # by so much of half the face its pictures are wider on both sides, and twice that below
SMOOTHED = 13  # frames of the median that the face's box goes through
BATCH = 16

# Channels, kernel, stride, padding, and the pooling that follows, layer for layer.
SPEECH = (
    (64, 3, 1, 1, nn.Identity()),
    (192, 3, 1, 1, nn.MaxPool2d(3, (1, 2))),
    (384, 3, 1, 1, None),
    (256, 3, 1, 1, None),
    (256, 3, 1, 1, nn.MaxPool2d(3, 2)),
    (512, (5, 4), 1, 0, None),
)
LIPS = (
    (96, (5, 7, 7), (1, 2, 2), 0, nn.MaxPool3d((1, 3, 3), (1, 2, 2))),
    (256, (1, 5, 5), (1, 2, 2), (0, 1, 1), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))),
    (256, (1, 3, 3), 1, (0, 1, 1), None),
    (256, (1, 3, 3), 1, (0, 1, 1), None),
    (256, (1, 3, 3), 1, (0, 1, 1), nn.MaxPool3d((1, 3, 3), (1, 2, 2))),
    (512, (1, 6, 6), 1, 0, None),
)


def _encoder(conv: type[nn.Module], norm: type[nn.Module], c_in: int, rows: tuple) -> nn.Sequential:
    layers: list[nn.Module] = []
    for c_out, kernel, stride, padding, pooling in rows:
        layers += [conv(c_in, c_out, kernel, stride, padding), norm(c_out), nn.ReLU()]
        layers += [] if pooling is None else [pooling]
        c_in = c_out
    return nn.Sequential(*layers)


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))


class SyncNet(nn.Module):
    """The network; its modules bear the names that they have in the authors' weights.

    Called as `syncnet(faces, speech)`:
        faces: (B, 3, 5, 224, 224) float in [0, 255], BGR: five consecutive frames at 25 a second.
        speech: (B, 1, 13, 20): their MFCC, see `speech_windows`.
        answer: the faces' and the speech's embeddings, (B, 1024) each: the nearer, the more in sync.
    """

    def __init__(self):
        super().__init__()
        self.netcnnaud = _encoder(nn.Conv2d, nn.BatchNorm2d, 1, SPEECH)
        self.netfcaud = _head()
        self.netfclip = _head()
        self.netcnnlip = _encoder(nn.Conv3d, nn.BatchNorm3d, 3, LIPS)

    def forward(self, faces: Tensor, speech: Tensor) -> tuple[Tensor, Tensor]:
        lips, sound = self.netcnnlip(faces).flatten(1), self.netcnnaud(speech).flatten(1)
        return self.netfclip(lips), self.netfcaud(sound)


def load_syncnet(path: str | Path, device: str | torch.device | None = None) -> SyncNet:
    """The authors' syncnet_v2.model, ready to judge.

    Raises:
        InputError: it is not there, or not theirs.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: not there; fetch {WEIGHTS_URL} (54 MB) and name the file that you put it in")
    try:
        weights = read_state_dict(path)
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ").split(";")[0]
        raise InputError(f"{path}: not SyncNet's weights ({reason}); fetch {WEIGHTS_URL}") from error
    syncnet = SyncNet()
    with reading(path, "not SyncNet's weights", f"fetch {WEIGHTS_URL}"):
        missing, unexpected = syncnet.load_state_dict(weights, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]  # older PyTorch kept no count
    if missing or unexpected:
        raise InputError(
            f"{path}: not SyncNet's weights ({(missing + unexpected)[0]} does not fit); fetch {WEIGHTS_URL}"
        )
    return syncnet.to(pick_device(device)).eval()


@dataclass(frozen=True)
class LipSyncError:
    """What SyncNet says of a clip.

    Attributes:
        offset: frames by which the sound is early, as its authors count (late where < 0).
        distance: LSE-D: mean distance of lips and sound at that offset; the less the better.
        confidence: LSE-C: by how much that is below the median over all offsets; the more the better.
    """

    offset: int
    distance: float
    confidence: float


@torch.no_grad()
def lip_sync_error(syncnet: SyncNet, pictures: np.ndarray, wave: np.ndarray) -> LipSyncError:
    """Judge a clip at 25 frames a second.

    Args:
        pictures: uint8 (F, 224, 224, 3), RGB, framed as the authors do (`syncnet_pictures`).
        wave: float32 (n,), 16 kHz mono, from the first frame on.

    Raises:
        InputError: the clip is shorter than 0.24 s.
    """
    device = next(syncnet.parameters()).device
    count = min(len(pictures), len(wave) * 25 // SAMPLE_RATE) - FRAMES
    if count < 1:
        raise InputError(
            f"a clip of {counted(len(pictures), 'frame')} is too short for SyncNet; it needs more than {FRAMES}"
        )
    speech = speech_windows(wave, count)
    lips, sounds = [], []
    for start in range(0, count, BATCH):
        places = np.arange(start, min(start + BATCH, count))
        views = np.ascontiguousarray(pictures[places[:, None] + np.arange(FRAMES), :, :, ::-1])
        seen = torch.from_numpy(views).to(device).permute(0, 4, 1, 2, 3).float()
        lip, sound = syncnet(seen, torch.from_numpy(speech[places]).to(device))
        lips.append(lip.float().cpu())
        sounds.append(sound.float().cpu())
    return search_offset(torch.cat(lips), torch.cat(sounds))


def search_offset(lips: Tensor, sounds: Tensor) -> LipSyncError:
    """The offset at which embeddings (N, D) of lips and of sounds are nearest, on average over the N frames.

    Beyond both ends the sound counts as zeros, as the authors have it.
    """
    padded = F.pad(sounds, (0, 0, SEARCHED, SEARCHED))
    moved = padded.unfold(0, 2 * SEARCHED + 1, 1).transpose(1, 2)  # (N, 31, D)
    mean = F.pairwise_distance(lips[:, None], moved).mean(dim=0)
    nearest = int(mean.argmin())
    return LipSyncError(SEARCHED - nearest, float(mean[nearest]), float(mean.median() - mean[nearest]))


def speech_windows(wave: np.ndarray, count: int) -> np.ndarray:
    """MFCC windows of the first frames, float32 (count, 1, 13, 20): frame f's columns are 4 f to 4 f + 19.

    These are python_speech_features' own MFCC with all its defaults, of samples in 16-bit range.
    """
    features = mfcc(np.clip(np.rint(wave * 32768.0), -32768, 32767).astype(np.int16), SAMPLE_RATE).T
    columns = np.arange(count)[:, None] * STEP + np.arange(COLUMNS)
    return np.ascontiguousarray(features[:, columns].transpose(1, 0, 2)[:, None], dtype=np.float32)


def syncnet_pictures(clip: FaceClip) -> np.ndarray:
    """A clip's faces framed as the authors' pipeline frames them: uint8 (F, 224, 224, 3), RGB.

    Their detector's box reaches from the hairline to the chin; it is taken from the landmarks here.
    """
    left, right = (filled(clip.landmarks[:, ear, 0]) for ear in (234, 454))
    top, bottom = (filled(clip.landmarks[:, end, 1]) for end in (10, 152))
    half = np.maximum(right - left, bottom - top) / 2
    window = min(SMOOTHED, len(half) - 1 | 1)  # odd, and no longer than the clip
    half, x, y = (medfilt(a, window) for a in (half, (left + right) / 2, (top + bottom) / 2))
    # medfilt takes what lies beyond the ends for zeros: the outermost frames keep the nearest frame's box.
    inside = np.clip(np.arange(len(x)), window // 2, len(x) - 1 - window // 2)
    pictures = []
    for frame, s, cx, cy in zip(clip.frames, half[inside], x[inside], y[inside], strict=True):
        scale = SIZE / (2 * (1 + CROP_SCALE) * s)
        corner = np.array([cx - (1 + CROP_SCALE) * s, cy - s]) + around(clip.size)
        to_new = np.column_stack([np.eye(2) * scale, -corner * scale])
        pictures.append(geometry.warp(frame, to_new, (SIZE, SIZE), cv2.INTER_LINEAR))
    return np.stack(pictures)
