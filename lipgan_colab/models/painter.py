"""What shows between the lips: from a mouth's movement to a picture of teeth, tongue and dark.

The picture is in the head's frame, so that the upper teeth stand still while the lips move over them, and in parts of
the face's own colour, so that it can be painted into any face (see generation/inner_mouth.py).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

# The window of the picture, in centimetres of the head's frame around the middle between the resting lips.
LEFT, RIGHT, TOP, BOTTOM = -3.2, 3.2, -1.4, 3.4
PIXELS = 10  # a centimetre
HEIGHT, WIDTH = round((BOTTOM - TOP) * PIXELS), round((RIGHT - LEFT) * PIXELS)
DEEP = 0.8  # centimetres behind the lips, where the teeth are
SHRUNK = 8  # by so much the network's innermost picture is smaller


@dataclass(frozen=True)
class PainterConfig:
    """The form of a painter.

    Attributes:
        channels: of its innermost picture; the outer ones have half of them.
        hidden: width of its fully connected layer.
        components: how many of the motion's components it sees.
        people: whose mouths it has learnt.
        code: how many numbers tell one person's teeth from another's.
    """

    channels: int = 64
    hidden: int = 192
    components: int = 10
    people: int = 1
    code: int = 8


class Painter(nn.Module):
    """Components of the motion, each in parts of its spread, to the inside of the mouth."""

    def __init__(self, config: PainterConfig = PainterConfig()):
        super().__init__()
        self.config = config
        self.about: dict = {}
        channels, half = config.channels, config.channels // 2
        self.codes = nn.Embedding(config.people, config.code)
        nn.init.normal_(self.codes.weight, 0, 0.5)
        self.first = nn.Sequential(
            nn.Linear(config.components + config.code, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, channels * (HEIGHT // SHRUNK) * (WIDTH // SHRUNK)),
            nn.ReLU(),
        )
        self.picture = nn.Sequential(
            _doubled(channels, channels),
            _doubled(channels, half),
            _doubled(half, half),
            nn.Conv2d(half, 3, 3, padding=1),
        )

    def forward(self, components: Tensor, codes: Tensor | None = None) -> Tensor:
        """Components (B, components) to pictures (B, 3, 48, 64): the brightness in parts of the skin's, and by which
        complex number the skin's colour is to be multiplied (real part, imaginary part; see `inner_mouth.tinted`).

        codes: (B, code), whose teeth; None takes the first person's.
        """
        if codes is None:
            codes = self.codes.weight[:1].expand(len(components), -1)
        small = self.first(torch.cat([components, codes], 1))
        return self.picture(small.view(len(components), self.config.channels, HEIGHT // SHRUNK, WIDTH // SHRUNK))


def _doubled(inputs: int, outputs: int) -> nn.Sequential:
    """Twice as high and wide."""
    larger = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return nn.Sequential(larger, nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU())
