"""Blocks of a later kind than the authors': no batch norms, so that no sample sees another, and a speech encoder that
costs next to nothing."""

import torch
from torch import Tensor, nn

# Of the windows of a speech feature, on GRID: their mean, and how far they are from it (standard deviation).
HEARD = {"mfcc": (0.3, 8.6), "mel": (-2.3, 1.3)}
LAYER_SCALE = 0.1  # at first; 1e-6 in the paper, whose networks are ten times as deep


def group_norm(channels: int) -> nn.GroupNorm:
    """Over height, width and all channels of each sample."""
    return nn.GroupNorm(1, channels)


class NormedConv(nn.Sequential):
    """Convolution, group norm, SiLU: (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride)), or unpadded."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1, same: bool = True):
        conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2 if same else 0)
        super().__init__(conv, group_norm(c_out), nn.SiLU())


class NormedUp(nn.Sequential):
    """Transposed convolution whose pixels do not overlap, group norm, SiLU: `stride` times as large."""

    def __init__(self, c_in: int, c_out: int, stride: int = 2):
        super().__init__(nn.ConvTranspose2d(c_in, c_out, stride, stride), group_norm(c_out), nn.SiLU())


class ConvNeXtBlock(nn.Module):
    """Liu et al., "A ConvNet for the 2020s", CVPR 2022, figure 4: each channel by itself over 7 x 7 pixels, then each
    pixel by itself through four times as many channels, scaled and added to the input. The norm is a group norm, and
    SiLU stands for GELU, whose gradient is slow on a CPU."""

    def __init__(self, channels: int):
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            group_norm(channels),
            nn.Conv2d(channels, 4 * channels, 1),
            nn.SiLU(),
            nn.Conv2d(4 * channels, channels, 1),
        )
        self.scale = nn.Parameter(torch.full((channels, 1, 1), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.blocks(x)


class SpeechOverTime(nn.Module):
    """A speech encoder of convolutions over time alone, for which a window's coefficients are channels: a window
    (B, 1, 12, 35) or (B, 1, 80, 27) to a code (B, C, 1, 1).

    The windows of a picture are as long as a word, and what counts is where in them something is said: so time is not
    averaged over at the end.
    """

    def __init__(self, kind: str, shape: tuple[int, int], channels: int, code: int):
        super().__init__()
        self.mean, self.deviation = HEARD[kind]
        layers, (c_in, columns) = [], shape
        for stride in (1, 1, 2, 2):
            layers += [nn.Conv1d(c_in, channels, 3, stride, 1), group_norm(channels), nn.SiLU()]
            c_in, columns = channels, -(-columns // stride)
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(columns * channels, code), group_norm(code))

    def forward(self, speech: Tensor) -> Tensor:
        return self.layers((speech.squeeze(1) - self.mean) / self.deviation)[..., None, None]
