"""A generator that moves the reference face's own pixels, and paints only what it does not show.

A U-Net (Ronneberger et al. 2015) of plain 3 x 3 convolutions, in which the speech scales and shifts the feature maps of
every resolution (FiLM, Perez et al. 2018). Nothing is computed at 96 x 96: the faces' pixels are unshuffled into
channels of 48 x 48, and the answer's are shuffled back (Shi et al. 2016).

The answer's upper half is the target's, which is given. Its lower half is the reference, warped by a flow that is
learnt, and over it what is painted, by a mask: without any training the reference, where a network that paints
everything needs thousands of steps to leave grey. So only the lower half is decoded, for half of the arithmetic, and
the speech learns from nothing else.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipgan_colab.models.blocks import SpeechOverTime, group_norm
from lipgan_colab.models.lipgan import FACE_SIZE, SPEECH_SHAPE, GeneratorConfig, repeated
from lipgan_colab.speech.features import SpeechInput

FOLD = 2  # pixels either way that are unshuffled into channels
CHANNELS = (128, 256, 512, 512)  # of 48, 24, 12, 6 pixels, at width 1
CODE = 512  # numbers that the speech becomes, at width 1
FLOW = 4.0  # pixels of 96 by which 1 moves
PAINT = -2.0  # at first a sigmoid's share of the paint: 12 %


class _Conv(nn.Sequential):
    """Convolution over 3 x 3 pixels, group norm, SiLU."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1):
        super().__init__(nn.Conv2d(c_in, c_out, 3, stride, 1), group_norm(c_out), nn.SiLU())


class _Told(nn.Module):
    """A `_Conv` to which the speech tells something: its code (B, K, 1, 1) scales and shifts the channels (FiLM)."""

    def __init__(self, channels: int, code: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1)
        self.norm = group_norm(channels)
        self.film = nn.Conv2d(code, 2 * channels, 1)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift = self.film(code).chunk(2, dim=1)
        return F.silu(self.norm(self.conv(x)) * (1 + scale) + shift)


class WarpingGenerator(nn.Module):
    """A face and a speech window in, the face speaking out: called as `LipGANGenerator` is.

    Larger faces are looked at scaled down to 96 x 96 pixels, and warped at their own size: the weights are the same.
    """

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        self.face_size = config.face_size
        self.speech_input = SpeechInput(config.speech)
        code, channels = config.channels(CODE), [config.channels(c) for c in CHANNELS]
        self.speech = SpeechOverTime(config.speech, SPEECH_SHAPE[config.speech], code, code)
        stages = [_Conv(6 * FOLD**2, channels[0])]
        for c_in, c_out in pairwise(channels):
            stages.append(nn.Sequential(_Conv(c_in, c_out, 2), _Conv(c_out, c_out)))
        self.face = nn.ModuleList(stages)
        # From the smallest on: what comes from the one before is brought to the skip connection's channels, and added.
        self.up = nn.ModuleList(nn.Conv2d(c_in, c_out, 1) for c_in, c_out in pairwise(reversed(channels)))
        self.told = nn.ModuleList(nn.ModuleList([_Told(c, code), _Told(c, code)]) for c in reversed(channels))
        self.out = nn.Conv2d(channels[0], (2 + 1 + 3) * FOLD**2, 3, 1, 1)
        with torch.no_grad():
            flow, mask = self.out.bias[: 2 * FOLD**2], self.out.bias[2 * FOLD**2 : 3 * FOLD**2]
            self.out.weight[: len(flow) + len(mask)] = 0
            flow.fill_(0)
            mask.fill_(PAINT)

    def forward(self, faces: Tensor, speech: Tensor) -> Tensor:
        moved = self._moved(F.avg_pool2d(faces, self.face_size // FACE_SIZE), speech)
        # At half precision neither places nor colours have enough steps.
        moved = moved.to(torch.promote_types(moved.dtype, torch.float32))
        if self.face_size > FACE_SIZE:
            moved = F.interpolate(moved, scale_factor=self.face_size / FACE_SIZE, mode="bilinear")
        flow, mask, paint = moved[:, :2], torch.sigmoid(moved[:, 2:3]), torch.sigmoid(moved[:, 3:])
        reference, target = repeated(faces, len(speech) // len(faces)).to(moved.dtype).split(3, dim=1)
        lower = torch.lerp(warped(reference, FLOW * flow), paint, mask)
        return torch.cat([target[:, :, : -lower.shape[2]], lower], dim=2)

    def _moved(self, faces: Tensor, speech: Tensor) -> Tensor:
        """Of faces (B, 6, 96, 96): flow, mask and paint of the lower halves (B, 2 + 1 + 3, 48, 96), not yet scaled."""
        code, skips = self.speech(speech), []
        x = F.pixel_unshuffle(faces, FOLD)
        for stage in self.face:
            x = stage(x)
            skips.append(repeated(x[:, :, x.shape[2] // 2 :], len(speech) // len(faces)))
        x = skips.pop()
        for level, blocks in enumerate(self.told):
            if level:
                x = F.interpolate(self.up[level - 1](x), scale_factor=2.0) + skips.pop()
            for block in blocks:
                x = block(x, code)
        return F.pixel_shuffle(self.out(x), FOLD)


def warped(pictures: Tensor, flow: Tensor) -> Tensor:
    """The last rows of pictures, whose every pixel is taken from so far off (bilinear; past the edge, from the edge).

    Args:
        pictures: (B, C, S, S) float.
        flow: (B, 2, R, S) for their last R rows: to the right and down, in pixels of 96 a side.
    """
    same = torch.eye(2, 3, dtype=flow.dtype, device=flow.device).expand(len(flow), 2, 3)
    places = F.affine_grid(same, list(pictures.shape), align_corners=False)[:, -flow.shape[2] :]
    # A place that is no number would have the CPU's gradients written anywhere (mask and paint are none either, then).
    places = (places + flow.permute(0, 2, 3, 1) * (2 / FACE_SIZE)).nan_to_num()
    edge = 1 - 1 / pictures.shape[3]  # the middle of the last pixels; not every device pads by the border
    return F.grid_sample(pictures, places.clamp(-edge, edge), align_corners=False)
