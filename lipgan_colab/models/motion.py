"""What a mouth does while its owner speaks: from sound to the movement of the lower face's mesh.

A small network that knows no faces: it hears a whole speech and says, fifty times a second, how far the points of the
lower face are from where they rest. It is learnt from geometry alone, so a few minutes of training do, and any face
can be moved by it (see generation/own_pixels.py). Movement is given by a few principal components of what people do.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from torch import Tensor, nn

from lipgan_colab.faces import mesh
from lipgan_colab.speech.features import MEL_BANDS, MEL_RATE, SpeechInput

STRIDE = 2  # columns of the mel that one of the network's answers stands for
RATE = Fraction(MEL_RATE, STRIDE)  # answers a second
BOLDER, CRISPER = 0.9, 0.5  # how much further mouths go than the network says, and how much further from their mean
CRISP_OVER = 9  # answers that this mean is taken over


@dataclass(frozen=True)
class MotionConfig:
    """The form of a motion network.

    Attributes:
        channels: of its hidden layers.
        components: how many principal components of movement it tells.
        dilations: of the convolutions, one after the other; they say how much of the speech around it a moment hears.
        dropout: of the hidden layers, 0 to 1, while training.
    """

    channels: int = 128
    components: int = 10
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.2


class MotionNetwork(nn.Module):
    """Convolutions over the mel of a speech; dilated residual blocks as in WaveNet (van den Oord et al. 2016).

    Its buffers say what its answers mean: `basis`, float32 (components, 468, 3), how far each point of the mesh goes in
    the head's frame for one unit of each component, in centimetres, 0 above the nose; and `spread` (components,), how
    widely each varies.
    """

    def __init__(self, config: MotionConfig = MotionConfig()):
        super().__init__()
        self.config = config = MotionConfig(**(vars(config) | {"dilations": tuple(config.dilations)}))
        self.speech_input = SpeechInput("mel")
        self.about: dict = {}
        width = config.channels
        self.first = _convolution(MEL_BANDS, width, 5, STRIDE, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(_convolution(width, width, 3, 1, dilation), nn.Dropout(config.dropout))
            for dilation in config.dilations
        )
        self.last = nn.Conv1d(width, config.components, 3, padding=1)
        self.register_buffer("basis", torch.zeros(config.components, mesh.POINTS, 3))
        self.register_buffer("spread", torch.ones(config.components))

    @property
    def moves(self) -> np.ndarray:
        """How far one spread of each component moves the mesh, float32 (components, 468, 3)."""
        return (self.basis * self.spread[:, None, None]).cpu().numpy()

    def forward(self, heard: Tensor) -> Tensor:
        """What is heard (B, 80, T), of `as_heard`, to components (B, components, ceil(T / 2))."""
        x = self.first(heard)
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


def _convolution(inputs: int, outputs: int, width: int, stride: int, dilation: int) -> nn.Sequential:
    padding = dilation * (width // 2)
    convolution = nn.Conv1d(inputs, outputs, width, stride, padding, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(outputs), nn.ReLU())


def as_heard(spectrum: np.ndarray) -> np.ndarray:
    """A mel (80, T) without what the voice's level and the microphone add to all of it: minus the mean of its louder
    half; float32 (80, T)."""
    loudness = spectrum.mean(axis=0)
    louder = loudness >= np.median(loudness)
    return (spectrum - spectrum[:, louder].mean(axis=1, keepdims=True)).astype(np.float32)


def answer_times(count: int) -> np.ndarray:
    """At which second of the speech each of the network's answers is, float64 (count,): the middle of its columns,
    which are centred on their times."""
    return (STRIDE * np.arange(count) + 0.5) / MEL_RATE


@torch.no_grad()
def components(network: MotionNetwork, spectrum: np.ndarray, times: np.ndarray) -> np.ndarray:
    """What the network says of a mel (80, T) at some seconds of the speech (F,): float64 (F, components), in parts of
    their spread."""
    device = network.basis.device
    said = network(torch.from_numpy(as_heard(spectrum))[None].to(device))[0].float().cpu().numpy()
    # What is learnt by squared errors moves less, and less suddenly, than people do.
    said = BOLDER * (said + CRISPER * (said - uniform_filter1d(said, CRISP_OVER, axis=1, mode="nearest")))
    at_times = [np.interp(times, answer_times(said.shape[1]), component) for component in said]
    return np.stack(at_times, axis=1) / network.spread.cpu().numpy()
