"""Wav2Lip's generator, lip-sync expert and quality discriminator (Prajwal et al., "A Lip Sync Expert Is All You Need
for Speech to Lip Generation In the Wild", ACM Multimedia 2020, sections 3 and 4), layer for layer as the authors'.

The modules bear the names that they have in the authors' state dicts. Their channels are in our order, though: RGB,
and the reference face before the masked target; the importer permutes the first and last layers' weights accordingly.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipgan_colab.errors import InputError
from lipgan_colab.models.lipgan import FACE_SIZE, check_shape, join, scaled
from lipgan_colab.speech.features import SpeechInput

FRAMES = 5  # consecutive faces that the expert and the quality discriminator look at together

# One row a convolution: channels, kernel, stride, padding, and how many residual blocks follow it. One list of rows a
# stage, where the outputs of stages are skip connections.
FACE = [
    [(16, 7, 1, 3, 0)],
    [(32, 3, 2, 1, 2)],
    [(64, 3, 2, 1, 3)],
    [(128, 3, 2, 1, 2)],
    [(256, 3, 2, 1, 2)],
    [(512, 3, 2, 1, 1)],
    [(512, 3, 1, 0, 0), (512, 1, 1, 0, 0)],
]
SPEECH = [
    (32, 3, 1, 1, 2),
    (64, 3, (3, 1), 1, 2),
    (128, 3, 3, 1, 2),
    (256, 3, (3, 2), 1, 1),
    (512, 3, 1, 0, 0),
    (512, 1, 1, 0, 0),
]
UP = [(512, 1, 0, 1), (512, 2, 1, 2), (384, 2, 1, 2), (256, 2, 1, 2), (128, 2, 1, 2), (64, 2, 1, 2)]  # kernel is 3
EXPERT_FACE = [
    (32, 7, 1, 3, 0),
    (64, 5, (1, 2), 1, 2),
    (128, 3, 2, 1, 3),
    (256, 3, 2, 1, 2),
    (512, 3, 2, 1, 2),
    (512, 3, 2, 1, 0),
    (512, 3, 1, 0, 0),
    (512, 1, 1, 0, 0),
]
EXPERT_SPEECH = [*SPEECH[:3], (256, 3, (3, 2), 1, 2), *SPEECH[4:]]
QUALITY_FACE = [
    [(32, 7, 1, 3)],
    [(64, 5, (1, 2), 2), (64, 5, 1, 2)],
    [(128, 5, 2, 2), (128, 5, 1, 2)],
    [(256, 5, 2, 2), (256, 5, 1, 2)],
    [(512, 3, 2, 1), (512, 3, 1, 1)],
    [(512, 3, 2, 1), (512, 3, 1, 1)],
    [(512, 3, 1, 0), (512, 1, 1, 0)],
]


@dataclass(frozen=True)
class Wav2LipConfig:
    """Which Wav2Lip generator it is; there is one size, which hears mel windows of 80x16."""

    speech: str = "wav2lip"

    def __post_init__(self):
        if self.speech != "wav2lip":
            raise InputError(f"Wav2Lip hears mel windows alone, and no {self.speech!r}")


@dataclass(frozen=True)
class SyncExpertConfig:
    """How wide a sync expert is: `width` is a factor on its channels, 1.0 the authors'."""

    width: float = 1.0

    def __post_init__(self):
        check_shape(self.width)


class ConvBlock(nn.Module):
    """A convolution (transposed or not), batch norm, ReLU; a residual block's input is added before the ReLU."""

    def __init__(self, conv: nn.Module, residual: bool = False):
        super().__init__()
        self.conv_block = nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv_block(x)
        return F.relu(out + x if self.residual else out)


class PlainBlock(nn.Module):
    """A convolution and a leaky ReLU."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.conv_block = nn.Sequential(conv)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv_block(x), 0.01)


def _residuals(channels: int, count: int) -> list[ConvBlock]:
    return [ConvBlock(nn.Conv2d(channels, channels, 3, 1, 1), residual=True) for _ in range(count)]


def _narrowed(rows: list, width: float) -> list:
    return [(scaled(channels, width), *rest) for channels, *rest in rows]


def _encoder(c_in: int, rows: list) -> nn.Sequential:
    blocks = []
    for c_out, kernel, stride, padding, residuals in rows:
        blocks += [ConvBlock(nn.Conv2d(c_in, c_out, kernel, stride, padding)), *_residuals(c_out, residuals)]
        c_in = c_out
    return nn.Sequential(*blocks)


class Wav2LipGenerator(nn.Module):
    """A face and a speech window in, the face speaking out (section 4.1 of the paper).

    Called as `generator(faces, speech)`, as LipGAN's:
        faces: (B, 6, 96, 96) float in [0, 1], RGB: the reference face, then the target face with its lower half zero.
        speech: (B, 1, 80, 16) mel windows.
        answer: (B, 3, 96, 96) in [0, 1], RGB.
    Fewer faces may speak all windows, several speeches one after the other; each is encoded only once then.
    """

    face_size = FACE_SIZE

    def __init__(self, config: Wav2LipConfig = Wav2LipConfig()):
        super().__init__()
        self.config = config
        self.speech_input = SpeechInput(config.speech)
        skips = [6] + [stage[-1][0] for stage in FACE]  # channels of the input and of each stage's output
        self.face_encoder_blocks = nn.ModuleList(
            [_encoder(c_in, stage) for c_in, stage in zip(skips, FACE, strict=False)]
        )
        self.audio_encoder = _encoder(1, SPEECH)
        self.face_decoder_blocks = nn.ModuleList([_encoder(512, [(512, 1, 1, 0, 0)])])
        c_in = 512 + skips.pop()
        for c_out, stride, padding, residuals in UP:
            conv = nn.ConvTranspose2d(c_in, c_out, 3, stride, padding, output_padding=stride - 1)
            self.face_decoder_blocks.append(nn.Sequential(ConvBlock(conv), *_residuals(c_out, residuals)))
            c_in = c_out + skips.pop()
        self.output_block = nn.Sequential(ConvBlock(nn.Conv2d(c_in, 32, 3, 1, 1)), nn.Conv2d(32, 3, 1))

    def forward(self, faces: Tensor, speech: Tensor) -> Tensor:
        skips = []
        x = faces
        for stage in self.face_encoder_blocks:
            x = stage(x)
            skips.append(x)
        x = self.audio_encoder(speech)
        for stage in self.face_decoder_blocks:
            x = join(stage(x), skips.pop())
        x = self.output_block(x)
        # At half precision a sigmoid has too few steps near white.
        return torch.sigmoid(x.to(torch.promote_types(x.dtype, torch.float32)))


class SyncExpert(nn.Module):
    """Do five faces and a speech window belong together (section 3.2 of the paper)?

    Called as `expert(faces, speech)`:
        faces: (B, 15, 48, 96) float in [0, 1]: the lower halves of five consecutive faces, each RGB (`lower_halves`).
        speech: (B, 1, 80, 16) mel windows that begin at the first of the five frames.
        answer: the faces' and the speech's embeddings, (B, 512 x width) each, of length 1 and without negative
            values: their product is in [0, 1], and 1 is in sync.
    """

    def __init__(self, config: SyncExpertConfig = SyncExpertConfig()):
        super().__init__()
        self.config = config
        self.speech_input = SpeechInput("wav2lip")
        self.face_encoder = _encoder(3 * FRAMES, _narrowed(EXPERT_FACE, config.width))
        self.audio_encoder = _encoder(1, _narrowed(EXPERT_SPEECH, config.width))

    def forward(self, faces: Tensor, speech: Tensor) -> tuple[Tensor, Tensor]:
        return self.see(faces), self.hear(speech)

    def see(self, faces: Tensor) -> Tensor:
        """The faces' embeddings alone."""
        return _unit(self.face_encoder(faces))

    def hear(self, speech: Tensor) -> Tensor:
        """The speech's embeddings alone."""
        return _unit(self.audio_encoder(speech))


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x.flatten(1).to(torch.promote_types(x.dtype, torch.float32)))


def lower_halves(faces: Tensor) -> Tensor:
    """What the expert looks at of five whole faces: (B, 3, 5, H, W) to (B, 15, H / 2, W), frame after frame."""
    return faces[:, :, :, faces.shape[3] // 2 :].transpose(1, 2).flatten(1, 2)


class QualityDiscriminator(nn.Module):
    """Are these faces real (section 4.2 of the paper)? It looks at their lower halves, one by one.

    Called as `discriminator(faces)`: faces (B, 3, T, 96, 96) in [0, 1], RGB; answers the probabilities that they are
    real, (T B, 1) in [0, 1]: all samples' first faces, then all samples' second ones, and so on.
    """

    def __init__(self):
        super().__init__()
        self.face_encoder_blocks = nn.ModuleList()
        c_in = 3
        for stage in QUALITY_FACE:
            channels = [c_in] + [row[0] for row in stage]
            convs = [nn.Conv2d(c, *row) for c, row in zip(channels, stage, strict=False)]
            self.face_encoder_blocks.append(nn.Sequential(*(PlainBlock(conv) for conv in convs)))
            c_in = channels[-1]
        self.binary_pred = nn.Sequential(nn.Conv2d(c_in, 1, 1))

    def forward(self, faces: Tensor) -> Tensor:
        x = faces.permute(2, 0, 1, 3, 4).flatten(0, 1)  # (T B, 3, H, W)
        x = x[:, :, x.shape[2] // 2 :]
        for stage in self.face_encoder_blocks:
            x = stage(x)
        x = self.binary_pred(x).flatten(1)
        return torch.sigmoid(x.to(torch.promote_types(x.dtype, torch.float32)))
