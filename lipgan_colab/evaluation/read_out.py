"""The mouth's opening, read out of generated pictures by one weighted sum: so that it has a gradient.

MediaPipe tells the opening of a face, but nothing of which pixels make it so. A generator paints a mouth always in the
same few ways, and a sum of the lower half's pixels, fitted to what MediaPipe sees, follows it closely (a correlation of
0.98 to 0.99 on frames that it was not fitted to, with the starter of LipGAN's kind and six clips of four strangers; how
dark the inner mouth is gives 0.69). It does so too where a piece of the speech is silent (changes: 0.97 and 0.98, two
clips), but less where a square of the reference is blurred (0.40 and 0.67): then the colours change as well.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lipgan_colab.evaluation.measures import correlation
from lipgan_colab.faces.face_clip import FaceClip

SEEN = (24, 32)  # rows and columns that the lower half is looked at in
RIDGE = 0.1  # of the pixels' mean variance: against what shows in few frames only
BLOCKS = 5  # parts of a clip, of which each is left out once
FEWEST = 10  # frames with a face, below which nothing is fitted
TRUSTED = 0.8  # correlation from which on the sum stands for the opening


@dataclass(frozen=True)
class ReadOut:
    """A weighted sum of the lower half's pixels that stands for the mouth's opening.

    Called with pictures (N, 3, S, S) in [0, 1]; answers (N,), in parts of how widely the opening varies in the clip.

    Attributes:
        weights: (3 x 24 x 32,).
        correlation: with MediaPipe's opening, over the frames of the clip, each told by a sum that was fitted to the
            other four fifths of it; 0 where nothing could be fitted.
    """

    weights: Tensor
    correlation: float

    @property
    def trusted(self) -> bool:
        """Whether what it says is of the mouth's opening."""
        return self.correlation >= TRUSTED

    def __call__(self, pictures: Tensor) -> Tensor:
        return _seen(pictures) @ self.weights.to(pictures.device)


def _seen(pictures: Tensor) -> Tensor:
    return F.interpolate(pictures[:, :, pictures.shape[2] // 2 :].float(), SEEN, mode="area").flatten(1)


def fitted(clip: FaceClip) -> ReadOut:
    """The sum that follows a generated clip's opening best (ridge regression)."""
    x, y = _pairs(clip)
    if len(y) < FEWEST or np.ptp(y) < 1e-9:
        return ReadOut(torch.zeros(x.shape[1]), 0.0)
    told, block = np.empty(len(y)), np.arange(len(y)) * BLOCKS // len(y)
    for n in range(BLOCKS):
        learnt = block != n
        told[~learnt] = (x[~learnt] - x[learnt].mean(axis=0)) @ _ridge(x[learnt], y[learnt]) + y[learnt].mean()
    return ReadOut(torch.from_numpy(_ridge(x, y) / y.std()).float(), correlation(told, y))


def _pairs(clip: FaceClip) -> tuple[np.ndarray, np.ndarray]:
    """What is seen of a clip, float64 (F, P), and its openings (F,): of the frames in which a face was found."""
    found = np.isfinite(clip.landmarks[:, 0, 0])
    if not found.any():
        return np.zeros((0, 3 * SEEN[0] * SEEN[1])), np.zeros(0)
    crops = torch.from_numpy(np.ascontiguousarray(clip.crops[found])).permute(0, 3, 1, 2) / 255
    return _seen(crops).double().numpy(), clip.opening[found]


def _ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights (P,) of least squares with a penalty, in its dual form: there are more pixels than frames."""
    x = x - x.mean(axis=0)
    alike = x @ x.T
    alike[np.diag_indices(len(alike))] += RIDGE * np.trace(alike) / len(alike) + 1e-9
    return x.T @ np.linalg.solve(alike, y - y.mean())
