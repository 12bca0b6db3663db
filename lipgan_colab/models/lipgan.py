"""LipGAN's generators and contrastive discriminators (Prajwal et al., "Towards Automatic Face-to-Face
Translation", ACM Multimedia 2019, section 3.2), layer for layer as the authors' Keras networks.

What Keras does differently from PyTorch is kept, so that the authors' weights mean the same here: 'same' padding puts
the odd pixel at the bottom and right, transposed convolutions are cropped there, BatchNorm has epsilon 1e-3 and
momentum 0.8, and the discriminator's instance norm is over height, width and channels together.

The published networks see faces of 96 x 96 pixels. For larger ones our generator has `OuterStages` around the same
network, whose weights keep their names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipgan_colab.errors import InputError
from lipgan_colab.models.blocks import ConvNeXtBlock, NormedConv, NormedUp, SpeechOverTime
from lipgan_colab.speech.features import SpeechInput

FACE_SIZE = 96  # pixels, of the published networks
FACE_SIZES = (96, 192, 288)
BLOCKS = ("residual", "basic", "convnext", "warp")
WIDEST = 4  # times the original's channels
SPEECH_SHAPE = {"mfcc": (12, 35), "mel": (80, 27)}

# One row a stage: channels, kernel, stride, residual blocks (residual network) or further convolutions (basic one).
# The stage's output is the skip connection of its resolution.
RESIDUAL_FACE = [(32, 7, 1, 0), (64, 5, 2, 2), (128, 3, 2, 3), (256, 3, 2, 2), (512, 3, 2, 2), (512, 3, 2, 0)]
BASIC_FACE = [(32, 11, 1, 0), (64, 7, 2, 0), (128, 5, 2, 0), (256, 3, 2, 0), (512, 3, 2, 0), (512, 3, 2, 0)]
RESIDUAL_SPEECH = {
    "mfcc": [(128, 3, 1, 3), (256, 3, (1, 2), 2), (512, 3, 2, 2), (512, 3, 2, 1)],
    "mel": [(32, 3, 1, 2), (64, 3, 3, 2), (128, 3, (3, 1), 2), (256, 3, 3, 2)],
}
BASIC_SPEECH = {
    "mfcc": [(128, 3, 1, 0), (256, 3, (1, 2), 1), (256, 3, 2, 0), (512, 3, 2, 0)],
    "mel": [(32, 3, 1, 2), (64, 3, 3, 2), (128, 3, (3, 1), 2), (256, 3, 3, 2)],
}
DISCRIMINATOR_FACE = [(64, 7, 2), (128, 5, 2), (256, 3, 2), (512, 3, 2), (512, 3, 2)]
DISCRIMINATOR_SPEECH = {
    "mfcc": [(64, 3, 1), (128, 3, 1), (256, 3, (1, 2)), (256, 3, 1), (256, 3, 2), (512, 3, 2)],
    "mel": [(32, 3, 1), (64, 3, 3), (128, 3, (3, 1)), (256, 3, 3)],
}
LAST_KERNEL = {"mfcc": (4, 5), "mel": (3, 3)}  # takes what the speech stages leave to 1x1


@dataclass(frozen=True)
class GeneratorConfig:
    """Which generator it is: all that is needed to build it again.

    Attributes:
        width: factor on every layer's channels; 1.0 is the original (71 M weights with MFCC).
        speech: "mfcc" (windows 12x35) or "mel" (80x27).
        blocks: what the face's encoder and decoder are made of: "residual", the authors' network; "basic", their first
            one; "convnext", ConvNeXt blocks (Liu et al. 2022) in place of the residual ones, and a speech encoder over
            time that costs next to nothing; or "warp", which moves the reference's own pixels (`WarpingGenerator`).
        most_channels: no layer has more. The deep layers hold most of the weights and need few of them: at width 0.5,
            112 makes a file of 11 MB (float16) instead of 36 and changes next to nothing.
        face_size: S, width and height of the faces in pixels: 96 as published, 192 or 288.
    """

    width: float = 1.0
    speech: str = "mfcc"
    blocks: str = "residual"
    most_channels: int | None = None
    face_size: int = FACE_SIZE

    def __post_init__(self):
        check_shape(self.width, self.speech, self.most_channels)
        check_face_size(self.face_size)
        check_blocks(self.blocks)

    def channels(self, original: int) -> int:
        """How many channels a layer has that has so many in the original."""
        channels = scaled(original, self.width)
        return channels if self.most_channels is None else min(channels, self.most_channels)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Which discriminator it is: as for the generator."""

    width: float = 1.0
    speech: str = "mfcc"

    def __post_init__(self):
        check_shape(self.width, self.speech)


def check_shape(width: float, speech: str | None = None, most_channels: int | None = None) -> None:
    """InputError where no network can be built so: a file's header can claim any width, and so can a typing error."""
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width <= WIDEST:
        raise InputError(f"a network cannot have the `width` {width!r}; take more than 0 and at most {WIDEST}")
    if speech is not None and (not isinstance(speech, str) or speech not in SPEECH_SHAPE):
        raise InputError(f"unknown speech feature {speech!r}: choose one of {', '.join(SPEECH_SHAPE)}")
    if most_channels is not None and (type(most_channels) is not int or most_channels < 1):
        raise InputError(f"`most_channels`: a layer cannot have at most {most_channels!r} channels; take 1 or more")


def check_face_size(size: int) -> None:
    """InputError where no generator makes faces of that size."""
    if type(size) is not int or size not in FACE_SIZES:
        raise InputError(f"faces cannot be {size!r} pixels wide; take one of {', '.join(map(str, FACE_SIZES))}")


def check_blocks(blocks: str) -> None:
    """InputError where no generator is made of these."""
    if not isinstance(blocks, str) or blocks not in BLOCKS:
        raise InputError(f"unknown `blocks` {blocks!r}: choose one of {', '.join(BLOCKS)}")


def scaled(channels: int, width: float) -> int:
    """Channels at this width: a multiple of 8, which vector units and tensor cores want."""
    return max(8, round(channels * width / 8) * 8)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Keras' 'same' padding of one axis: (before, after), the odd pixel after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A convolution with Keras' 'same' padding: (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = (
            _same_padding(size, kernel, stride)
            for size, kernel, stride in zip(x.shape[-2:], self.kernel_size, self.stride, strict=True)
        )
        if top == bottom and left == right:
            return F.conv2d(x, self.weight, self.bias, self.stride, (top, left))
        return F.conv2d(F.pad(x, (left, right, top, bottom)), self.weight, self.bias, self.stride)


class SameConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution with Keras' 'same' cropping: the output is exactly `stride` times as large."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2] * self.stride[0], x.shape[-1] * self.stride[1]
        return F.conv_transpose2d(x, self.weight, self.bias, self.stride)[..., :height, :width]


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.2)  # PyTorch's momentum is 1 - Keras'


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel=3, stride=1, same: bool = True):
        conv = (SameConv2d if same else nn.Conv2d)(c_in, c_out, kernel, stride)
        super().__init__(conv, _batch_norm(c_out), nn.ReLU(inplace=True))


class UpBlock(nn.Sequential):
    """Transposed convolution, batch norm, ReLU."""

    def __init__(self, c_in: int, c_out: int, stride: int = 2):
        conv = SameConvTranspose2d(c_in, c_out, 3, stride)
        super().__init__(conv, _batch_norm(c_out), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two convolution blocks around which the input goes; ReLU both before the addition and after it."""

    def __init__(self, channels: int):
        super().__init__()
        self.blocks = nn.Sequential(ConvBlock(channels, channels), ConvBlock(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.blocks(x) + x)


class PadTop(nn.Module):
    """One row of zeros above, as the authors pad 12 MFCC rows to 13."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, 0, 1, 0))


class _Kind(NamedTuple):
    """What a generator's stages are made of: what begins them, up and down, and what follows at the same resolution."""

    conv: Callable[..., nn.Module]
    up: Callable[..., nn.Module]
    more: Callable[[int], nn.Module]


KINDS = {
    "residual": _Kind(ConvBlock, UpBlock, ResidualBlock),
    "basic": _Kind(ConvBlock, UpBlock, lambda channels: ConvBlock(channels, channels)),
    "convnext": _Kind(NormedConv, NormedUp, ConvNeXtBlock),
}


def _stages(c_in: int, rows: list, config: GeneratorConfig) -> nn.ModuleList:
    """What begins a stage and what follows it at the same resolution, for each row of a stage table."""
    kind = KINDS[config.blocks]
    stages = nn.ModuleList()
    for channels, kernel, stride, more in rows:
        c_out = config.channels(channels)
        blocks = [PadTop()] if stride == (1, 2) else []
        blocks.append(kind.conv(c_in, c_out, kernel, stride))
        blocks += [kind.more(c_out) for _ in range(more)]
        stages.append(nn.Sequential(*blocks))
        c_in = c_out
    return stages


def join(a: Tensor, b: Tensor) -> Tensor:
    """Concatenate feature maps (B, C, H, W); those of fewer samples are repeated, all of them one after the other."""
    batch = max(len(a), len(b))
    return torch.cat([repeated(x, batch // len(x)) for x in (a, b)], dim=1)


def repeated(x: Tensor, times: int) -> Tensor:
    """Feature maps (B, C, H, W) several times, all of them one after the other: (B times, C, H, W)."""
    if times == 1:
        return x
    if x.is_contiguous(memory_format=torch.channels_last):  # in which the convolutions are fast
        return x.permute(0, 2, 3, 1).repeat(times, 1, 1, 1).permute(0, 3, 1, 2)
    return x.repeat(times, 1, 1, 1)


def _zero(conv: nn.Conv2d) -> nn.Conv2d:
    """A convolution that answers nothing until it has learnt."""
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv


class OuterStages(nn.Module):
    """What a generator of larger faces has around the network of 96 pixels: one more stage at either end, of stride 2
    (192 pixels) or 3 (288).

    Both ends add what they have learnt to what would be without them, and have learnt nothing at first. The inner
    network then sees the faces scaled down, and the answer is its own, enlarged: so weights of a generator of 96 pixels
    are a beginning.
    """

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.stride = config.face_size // FACE_SIZE
        wide, narrow = config.channels(32), config.channels(16)
        conv, up, _ = KINDS[config.blocks]
        self.face = conv(6, wide, 5)
        self.down = nn.Sequential(conv(wide, wide, 3, self.stride), _zero(nn.Conv2d(wide, 6, 1)))
        self.up = up(2 * wide, wide, self.stride)
        self.out = nn.Sequential(conv(2 * wide, wide), conv(wide, narrow), _zero(nn.Conv2d(narrow, 3, 1)))

    def shrunk(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """What the inner network sees of faces (B, 6, S, S): (B, 6, 96, 96); and the skip connection (B, C, S, S)."""
        skip = self.face(faces)
        return F.avg_pool2d(faces, self.stride) + self.down(skip), skip

    def enlarged(self, answer: Tensor, x: Tensor, skip: Tensor) -> Tensor:
        """The answer (B, 3, S, S) in [0, 1], from the inner network's (B, 3, 96, 96), the feature maps (B, 2 C, 96, 96)
        that it was painted from, and the skip connection."""
        # As it is enlarged when it is pasted: bilinear, it would have a third less of its sharpness.
        larger = F.interpolate(answer, scale_factor=self.stride, mode="bicubic")
        # What is learnt is added before the sigmoid: so the sum stays in [0, 1], and has a gradient everywhere.
        return torch.sigmoid(torch.logit(larger, 1e-6) + self.out(join(skip, self.up(x))))


def _speech_encoder(config: GeneratorConfig) -> tuple[nn.Module, nn.Module, int]:
    """What speech windows go through, in two parts, and how many channels come out, of 1 x 1 pixels."""
    top, code = config.channels(512), config.channels(512)
    if config.blocks == "convnext":
        return SpeechOverTime(config.speech, SPEECH_SHAPE[config.speech], top, code), nn.Identity(), code
    rows = (BASIC_SPEECH if config.blocks == "basic" else RESIDUAL_SPEECH)[config.speech]
    if config.blocks == "basic" and config.speech == "mfcc":
        code = config.channels(256)
    stages = nn.Sequential(*_stages(1, rows, config))
    last = ConvBlock(config.channels(rows[-1][0]), top, LAST_KERNEL[config.speech], same=False)
    return stages, nn.Sequential(last, ConvBlock(top, code, 1)), code


class LipGANGenerator(nn.Module):
    """A face and a speech window in, the face speaking out (figure 3 of the paper).

    Called as `generator(faces, speech)`, where S is its `face_size`:
        faces: (B, 6, S, S) float in [0, 1], RGB: the reference face, then the target face with its lower half zero.
        speech: (B, 1, 12, 35) MFCC or (B, 1, 80, 27) mel windows.
        answer: (B, 3, S, S) in [0, 1], RGB.
    Fewer faces may speak all windows, several speeches one after the other; each is encoded only once then.

    Its `speech_input` says which speech windows it was trained with.
    """

    def __init__(self, config: GeneratorConfig = GeneratorConfig()):
        super().__init__()
        self.config = config
        self.face_size = config.face_size
        self.speech_input = SpeechInput(config.speech)
        if config.blocks not in KINDS:
            raise InputError(f"a LipGAN generator is not made of `blocks` {config.blocks!r}")
        kind, basic = KINDS[config.blocks], config.blocks == "basic"
        face_rows = BASIC_FACE if basic else RESIDUAL_FACE
        top, face_code = config.channels(512), config.channels(256 if basic else 512)

        self.face = _stages(6, face_rows, config)
        self.face_code = nn.Sequential(kind.conv(top, top, 3, same=False), kind.conv(top, face_code, 1))
        self.speech, self.speech_code, speech_code = _speech_encoder(config)

        skips = [config.channels(row[0]) for row in face_rows]  # 96, 48, 24, 12, 6, 3 pixels
        outs = [config.channels(channels) for channels in (512, 512, 256, 128, 64, 32)]
        self.up = nn.ModuleList()
        c_in = face_code + speech_code
        for level, c_out in enumerate(outs):
            blocks = [kind.up(c_in, c_out, 3 if level == 0 else 2)]
            if not basic and 1 <= level <= 4:
                blocks += [kind.more(c_out), kind.more(c_out)]
            self.up.append(nn.Sequential(*blocks))
            c_in = c_out + skips[-1 - level]
        narrow = config.channels(16)
        self.out = nn.Sequential(kind.conv(c_in, narrow), kind.conv(narrow, narrow), nn.Conv2d(narrow, 3, 1))
        self.outer = OuterStages(config) if config.face_size > FACE_SIZE else None

    def forward(self, faces: Tensor, speech: Tensor) -> Tensor:
        if self.outer is None:
            return self._answer(faces, speech)[0]
        faces, skip = self.outer.shrunk(faces)
        return self.outer.enlarged(*self._answer(faces, speech), skip)

    def _answer(self, faces: Tensor, speech: Tensor) -> tuple[Tensor, Tensor]:
        """The published network's answer to faces of 96 pixels, and the feature maps that it is painted from."""
        skips = []
        x = faces
        for stage in self.face:
            x = stage(x)
            skips.append(x)
        x = join(self.face_code(x), self.speech_code(self.speech(speech)))
        for stage in self.up:
            x = join(skips.pop(), stage(x))
        painted = self.out(x)
        # At half precision a sigmoid has too few steps near white.
        return torch.sigmoid(painted.to(torch.promote_types(painted.dtype, torch.float32))), x


class WholeInstanceNorm(nn.Module):
    """keras_contrib's InstanceNormalization with axis=None: (x - mean) / (std + 1e-3) over channels, height and width
    of each sample together; one gamma and one beta."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        std, mean = torch.std_mean(x, dim=(1, 2, 3), correction=0, keepdim=True)
        return (x - mean) / (std + 1e-3) * self.weight + self.bias


def _judge_block(c_in: int, c_out: int, kernel, stride) -> nn.Sequential:
    return nn.Sequential(SameConv2d(c_in, c_out, kernel, stride), WholeInstanceNorm(), nn.LeakyReLU(0.2, inplace=True))


def _judge_stages(c_in: int, rows: list, width: float) -> list[nn.Module]:
    blocks = []
    for channels, kernel, stride in rows:
        if stride == (1, 2):
            blocks.append(PadTop())
        blocks.append(_judge_block(c_in, scaled(channels, width), kernel, stride))
        c_in = scaled(channels, width)
    return blocks


class LipGANDiscriminator(nn.Module):
    """How far a face is from the speech it should be saying (section 3.2.2 of the paper).

    Called as `discriminator(faces, speech)`: faces (B, 3, S, S) in [0, 1] and speech windows as the generator's;
    answers the distances of the unit face and speech embeddings, (B,) in [0, 2]: 0 means in sync and real.

    It looks at 96 x 96 pixels, to which larger faces (S a multiple) are scaled down: what is in sync shows there.
    """

    def __init__(self, width: float = 1.0, speech: str = "mfcc"):
        super().__init__()
        self.config = DiscriminatorConfig(width, speech)
        top = scaled(512, width)
        speech_rows = DISCRIMINATOR_SPEECH[speech]
        speech_top = scaled(speech_rows[-1][0], width)
        self.face = nn.Sequential(*_judge_stages(3, DISCRIMINATOR_FACE, width), nn.Conv2d(top, top, 3))
        tail = [nn.Conv2d(speech_top, top, LAST_KERNEL[speech])]
        if speech == "mel":  # the mel branch normalises once more and ends in a 1x1 block
            tail = [
                nn.Sequential(tail[0], WholeInstanceNorm(), nn.LeakyReLU(0.2, inplace=True)),
                _judge_block(top, top, 1, 1),
            ]
        self.speech = nn.Sequential(*_judge_stages(1, speech_rows, width), *tail)

    def forward(self, faces: Tensor, speech: Tensor) -> Tensor:
        if faces.shape[-1] > FACE_SIZE:
            faces = F.avg_pool2d(faces, faces.shape[-1] // FACE_SIZE)
        face, sound = self.face(faces).flatten(1), self.speech(speech).flatten(1)
        exact = torch.promote_types(face.dtype, torch.float32)
        # TensorFlow's l2_normalize takes the length to be 1e-6 at least.
        face, sound = F.normalize(face.to(exact), eps=1e-6), F.normalize(sound.to(exact), eps=1e-6)
        # The square root's slope at 0 is infinite: two equal embeddings would give nan gradients.
        return (face - sound).square().sum(1).clamp_min(1e-12).sqrt()
