"""A generator that moves the reference face's own pixels, and paints only what it does not show.

A U-Net (Ronneberger et al. 2015) of plain 3 x 3 convolutions, in which the speech scales and shifts the feature maps of
every resolution (FiLM, Perez et al. 2018). Nothing is computed at 96 x 96: the faces' pixels are unshuffled into
channels of 48 x 48, and the answer's are shuffled back (Shi et al. 2016).

The answer is the reference, warped by a flow that is learnt, and over it what is painted, by a mask. Without any
training that is the reference; a network that paints everything needs thousands of steps to leave grey.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipgan_colab.models.blocks import SpeechOverTime, group_norm
from lipgan_colab.models.lipgan import FACE_SIZE, SPEECH_SHAPE, GeneratorConfig, join, repeated
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
    """A `_Conv` to which the speech tells something: code (B, K, 1, 1) scales and shifts its channels (FiLM)."""

    def __init__(self, c_in: int, c_out: int, code: int):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, 1, 1)
        self.norm = group_norm(c_out)
        self.film = nn.Conv2d(code, 2 * c_out, 1)

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
        self.face = nn.ModuleList()
        c_in = 6 * FOLD**2
        for level, c_out in enumerate(channels):
            self.face.append(nn.Sequential(_Conv(c_in, c_out, 2 if level else 1), _Conv(c_out, c_out)))
            c_in = c_out
        self.told = nn.ModuleList()
        for level in reversed(range(len(channels))):
            c_out, skip = channels[level], channels[level] if level < len(channels) - 1 else 0
            self.told.append(nn.ModuleList([_Told(c_in + skip, c_out, code), _Told(c_out, c_out, code)]))
            c_in = c_out
        self.out = nn.Conv2d(c_in, 6 * FOLD**2, 3, 1, 1)
        with torch.no_grad():
            self.out.weight[: 3 * FOLD**2] = 0
            self.out.bias[: 2 * FOLD**2] = 0
            self.out.bias[2 * FOLD**2 : 3 * FOLD**2] = PAINT

    def forward(self, faces: Tensor, speech: Tensor) -> Tensor:
        moved = self._moved(F.avg_pool2d(faces, self.face_size // FACE_SIZE), speech)
        # At half precision neither places nor colours have enough steps.
        moved = moved.to(torch.promote_types(moved.dtype, torch.float32))
        if self.face_size > FACE_SIZE:
            moved = F.interpolate(moved, (self.face_size, self.face_size), mode="bilinear")
        flow, mask, paint = moved[:, :2], torch.sigmoid(moved[:, 2:3]), torch.sigmoid(moved[:, 3:])
        reference = repeated(faces[:, :3], len(speech) // len(faces))
        return torch.lerp(warped(reference, FLOW * flow), paint, mask)

    def _moved(self, faces: Tensor, speech: Tensor) -> Tensor:
        """Of faces (B, 6, 96, 96): flow, mask and paint (B, 2 + 1 + 3, 96, 96), but for what scales them."""
        code = self.speech(speech)
        x, skips = F.pixel_unshuffle(faces, FOLD), []
        for stage in self.face:
            x = stage(x)
            skips.append(x)
        x = repeated(skips.pop(), len(speech) // len(faces))
        for level, stage in enumerate(self.told):
            if level:
                x = join(skips.pop(), F.interpolate(x, scale_factor=2.0))
            for block in stage:
                x = block(x, code)
        return F.pixel_shuffle(self.out(x), FOLD)


def warped(pictures: Tensor, flow: Tensor) -> Tensor:
    """Pictures (B, C, S, S) whose every pixel is taken from so far off (bilinear; past the edge, from the edge).

    Args:
        pictures: float.
        flow: (B, 2, S', S') to the right and down, in pixels of 96 a side.
    """
    same = torch.eye(2, 3, dtype=flow.dtype, device=flow.device).expand(len(flow), 2, 3)
    places = F.affine_grid(same, [len(flow), 1, *flow.shape[2:]], align_corners=False)
    # A place that is no number would have the CPU's gradients written anywhere (mask and paint are none either, then).
    places = (places + flow.permute(0, 2, 3, 1) * (2 / FACE_SIZE)).nan_to_num()
    return F.grid_sample(pictures.to(flow.dtype), places, padding_mode="border", align_corners=False)
