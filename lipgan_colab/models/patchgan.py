"""PatchGAN: a judge of picture quality that looks at small patches of the mouth's half of a face.

Isola et al., "Image-to-image translation with conditional adversarial networks" (CVPR 2017), section 3.2.2: a
discriminator that sees no more than a patch can only ask whether it is sharp, not whose it is or what it says. Spectral
normalisation (Miyato et al., ICLR 2018) keeps it from running away from the generator.
"""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

CHANNELS = 48


def _conv(c_in: int, c_out: int, kernel: int, stride: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(c_in, c_out, kernel, stride, padding=1))


class PatchDiscriminator(nn.Module):
    """Which patches of these faces look real? Patches are 38 pixels high and wide, 8 apart.

    Called as `discriminator(faces)`: faces (B, 3, H, W) in [0, 1]; of each the lower half is looked at. Answers logits
    (B, 1, rows, columns), 6 x 12 for faces of 96 pixels: above 0 real, below 0 generated.
    """

    def __init__(self, channels: int = CHANNELS):
        super().__init__()
        self.stages = nn.Sequential(
            _conv(3, channels, 4, 2),
            nn.LeakyReLU(0.2, inplace=True),
            _conv(channels, 2 * channels, 4, 2),
            nn.LeakyReLU(0.2, inplace=True),
            _conv(2 * channels, 4 * channels, 4, 2),
            nn.LeakyReLU(0.2, inplace=True),
            _conv(4 * channels, 1, 3, 1),
        )

    def forward(self, faces: Tensor) -> Tensor:
        return self.stages(faces[:, :, faces.shape[2] // 2 :] * 2 - 1)
