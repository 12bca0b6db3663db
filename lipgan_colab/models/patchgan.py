"""PatchGAN: the quality discriminator, which looks at small patches of the mouth's half of a face.

Isola et al., "Image-to-image translation with conditional adversarial networks" (CVPR 2017), section 3.2.2: a
discriminator that sees no more than a patch can only ask whether it is sharp, not whose it is or what it says.
"""

from torch import Tensor, nn

CHANNELS = 48


def _block(c_in: int, c_out: int) -> list[nn.Module]:
    # Instance norm: without it, or with spectral norm, the discriminator hardly learns to tell faces as alike as these.
    conv = nn.Conv2d(c_in, c_out, 4, 2, padding=1, bias=False)
    return [conv, nn.InstanceNorm2d(c_out), nn.LeakyReLU(0.2, inplace=True)]


class PatchDiscriminator(nn.Module):
    """Which patches of these faces look real? Patches are 38 pixels high and wide, 8 apart.

    Called as `discriminator(faces)`: faces (B, 3, H, W) in [0, 1]; of each the lower half is looked at. Answers logits
    (B, 1, rows, columns), 6 x 12 for faces of 96 pixels, 12 x 24 for 192: above 0 real, below 0 generated.
    """

    def __init__(self, channels: int = CHANNELS):
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(3, channels, 4, 2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            *_block(channels, 2 * channels),
            *_block(2 * channels, 4 * channels),
            nn.Conv2d(4 * channels, 1, 3, padding=1),
        )

    def forward(self, faces: Tensor) -> Tensor:
        return self.stages(faces[:, :, faces.shape[2] // 2 :] * 2 - 1)
