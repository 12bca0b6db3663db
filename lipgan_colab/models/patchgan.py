"""PatchGAN: the quality discriminator, which looks at small patches of the mouth's half of a face.

Isola et al., "Image-to-image translation with conditional adversarial networks" (CVPR 2017), section 3.2.2: a
discriminator that sees no more than a patch can only ask whether it is sharp, not whose it is or what it says.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = 48
WIDE, HIGH, LARGER = 1 / 2, 1 / 3, 2  # a crop of the lips in parts of the face, and by how much it is enlarged


def _block(c_in: int, c_out: int) -> list[nn.Module]:
    # Instance norm: without it, or with spectral norm, the discriminator hardly learns to tell faces as alike as these.
    conv = nn.Conv2d(c_in, c_out, 4, 2, padding=1, bias=False)
    return [conv, nn.InstanceNorm2d(c_out), nn.LeakyReLU(0.2, inplace=True)]


class PatchDiscriminator(nn.Module):
    """Which patches of these pictures look real? Patches are 38 pixels high and wide, 8 apart.

    Called as `discriminator(pictures)`: (B, 3, H, W) in [0, 1], such as `lower_faces` or `lip_crops`; answers logits
    (B, 1, H / 8, W / 8): above 0 real, below 0 generated.
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

    def forward(self, pictures: Tensor) -> Tensor:
        return self.features(pictures)[-1]

    def features(self, pictures: Tensor) -> list[Tensor]:
        """What it makes of the pictures, stage by stage (B, C, h, w); the last ones are the logits."""
        found, x = [], pictures * 2 - 1
        for stage in self.stages:
            x = stage(x)
            if isinstance(stage, nn.LeakyReLU):
                found.append(x)
        return [*found, x]


def lower_faces(faces: Tensor) -> Tensor:
    """The mouth's half of faces (B, C, H, W): (B, C, H / 2, W)."""
    return faces[:, :, faces.shape[2] // 2 :]


def lip_crops(faces: Tensor, lips: Tensor) -> Tensor:
    """What is around the lips, enlarged: (B, 3, 2 H / 3, W), half as wide and a third as high as the face.

    Args:
        faces: (B, 3, H, W).
        lips: masks (B, 1, H, W), above 0 where the lips are; their middle is the crop's.
    """
    height, width = faces.shape[2:]
    weights = lips / lips.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    across, down = _centres(width, lips), _centres(height, lips)[:, None]
    x, y = ((weights * places).sum(dim=(1, 2, 3))[:, None, None] for places in (across, down))
    x = x + WIDE * _centres(round(LARGER * WIDE * width), lips)
    y = y + HIGH * _centres(round(LARGER * HIGH * height), lips)[:, None]
    where = torch.stack(torch.broadcast_tensors(x, y), dim=3)
    return F.grid_sample(faces, where.to(faces.dtype), "bilinear", "border", align_corners=False)


def _centres(count: int, like: Tensor) -> Tensor:
    """The middles of so many pixels from -1 to 1."""
    return torch.linspace(-1 + 1 / count, 1 - 1 / count, count, device=like.device, dtype=like.dtype)
