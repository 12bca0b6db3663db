"""The motion network as it learns: see `motion`."""

import numpy as np
import torch
from torch import Tensor, nn

from lipgan_colab.faces import mesh
from lipgan_colab.models.motion import FIRST_WIDTH, NORM_EPSILON, STRIDE, WIDTH, Motion, MotionConfig
from lipgan_colab.speech.features import MEL_BANDS, SpeechInput


class MotionNetwork(nn.Module, Motion):
    """Convolutions over the mel of a speech; dilated residual blocks as in WaveNet (van den Oord et al. 2016).

    Its buffers say what its answers mean: `basis`, float32 (components, 468, 3), how far each point of the mesh goes in
    the head's frame for one unit of each component, in centimetres, 0 above the nose; and `spread` (components,), how
    widely each varies.
    """

    def __init__(self, config: MotionConfig = MotionConfig()):  # noqa: B008 (it is frozen)
        super().__init__()
        self.config = config = MotionConfig(**(vars(config) | {"dilations": tuple(config.dilations)}))
        self.speech_input = SpeechInput("mel")
        self.about: dict = {}
        width = config.channels
        self.first = _convolution(MEL_BANDS, width, FIRST_WIDTH, STRIDE, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(_convolution(width, width, WIDTH, 1, dilation), nn.Dropout(config.dropout))
            for dilation in config.dilations
        )
        self.last = nn.Conv1d(width, config.components, WIDTH, padding=WIDTH // 2)
        self.register_buffer("basis", torch.zeros(config.components, mesh.POINTS, 3))
        self.register_buffer("spread", torch.ones(config.components))

    @property
    def moves(self) -> np.ndarray:
        return (self.basis * self.spread[:, None, None]).cpu().numpy()

    @torch.no_grad()
    def answers(self, heard: np.ndarray) -> np.ndarray:
        said = self(torch.from_numpy(heard)[None].to(self.basis.device))[0].float()
        return (said / self.spread[:, None]).cpu().numpy()

    def forward(self, heard: Tensor) -> Tensor:
        """What is heard (B, 80, T), of `as_heard`, to components (B, components, ceil(T / 2))."""
        x = self.first(heard)
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


def _convolution(inputs: int, outputs: int, width: int, stride: int, dilation: int) -> nn.Sequential:
    padding = dilation * (width // 2)
    convolution = nn.Conv1d(inputs, outputs, width, stride, padding, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(outputs, NORM_EPSILON), nn.ReLU())
