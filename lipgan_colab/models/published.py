"""The authors' nine networks: how ours are built to be them, what they were trained to hear, their channels' order.

Where their generators were trained on pairs of frame and window other than the kind's own (`features.windows`), the
offset says so. LipGAN's mel branch names the frame i + 4 `i.jpg` (its preprocess.py) and takes the window from frame
i - 4 on (train.py): from 8 frames before the picture, 4 more than the kind. Wav2Lip's wav2lip_train.py takes for frame
i the window from i - 1 on. (Their own inference begins the window at the frame itself, so that lips move early.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from lipgan_colab.models.lipgan import GeneratorConfig, LipGANDiscriminator, LipGANGenerator
from lipgan_colab.models.pretrained import WAV2LIP_LICENCE
from lipgan_colab.models.wav2lip import FRAMES, QualityDiscriminator, SyncExpert, Wav2LipGenerator
from lipgan_colab.speech.features import SpeechInput


@dataclass(frozen=True)
class Published:
    """One of the authors' networks.

    Attributes:
        what: its name in messages.
        build: makes our network of the same layers.
        speech_input: what these weights were trained to hear.
        licence: what the authors say about all weights of this kind, if they do.
    """

    what: str
    build: Callable[[], nn.Module]
    speech_input: SpeechInput
    licence: str = ""


# All were trained with librosa 0.7, which reflects the sound at its ends.
_MEL = SpeechInput("mel", "reflect", offset=-4)

KERAS = (
    Published("LipGAN residual generator (MFCC)", partial(LipGANGenerator, GeneratorConfig()), SpeechInput("mfcc")),
    Published(
        "LipGAN basic generator (MFCC)", partial(LipGANGenerator, GeneratorConfig(blocks="basic")), SpeechInput("mfcc")
    ),
    Published("LipGAN discriminator (MFCC)", LipGANDiscriminator, SpeechInput("mfcc")),
    Published("LipGAN residual generator (mel)", partial(LipGANGenerator, GeneratorConfig(speech="mel")), _MEL),
    Published(
        "LipGAN basic generator (mel)", partial(LipGANGenerator, GeneratorConfig(speech="mel", blocks="basic")), _MEL
    ),
    Published("LipGAN discriminator (mel)", partial(LipGANDiscriminator, speech="mel"), _MEL),
)
WAV2LIP = (
    Published("Wav2Lip generator", Wav2LipGenerator, SpeechInput("wav2lip", "reflect", offset=-1), WAV2LIP_LICENCE),
    Published("Wav2Lip sync expert", SyncExpert, SpeechInput("wav2lip", "reflect"), WAV2LIP_LICENCE),
    Published(
        "Wav2Lip quality discriminator", QualityDiscriminator, SpeechInput("wav2lip", "reflect"), WAV2LIP_LICENCE
    ),
)

BGR = (2, 1, 0)
# Of each network: the weight of the first layer that sees faces, and which of the authors' channels is each of ours.
# LipGAN's six are reference, target; Wav2Lip's are target, reference, and so wholly turned around.
FIRST = {
    LipGANGenerator: ("face.0.0.0.weight", (2, 1, 0, 5, 4, 3)),
    LipGANDiscriminator: ("face.0.0.weight", BGR),
    Wav2LipGenerator: ("face_encoder_blocks.0.0.conv_block.0.weight", (5, 4, 3, 2, 1, 0)),
    SyncExpert: (
        "face_encoder.0.conv_block.0.weight",
        tuple(3 * frame + channel for frame in range(FRAMES) for channel in BGR),
    ),
    QualityDiscriminator: ("face_encoder_blocks.0.0.conv_block.0.weight", BGR),
}
LAST = {LipGANGenerator: "out.2", Wav2LipGenerator: "output_block.1"}  # the layer that paints faces


def to_our_channels(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Permute, in place, the first and last layers of the authors' weights: RGB faces, the reference before the target.

    Args:
        network: which network they are of.
        tensors: its whole state dict.
    """
    name, order = FIRST[type(network)]
    tensors[name] = tensors[name][:, list(order)].contiguous()
    if type(network) in LAST:
        for name in (f"{LAST[type(network)]}.weight", f"{LAST[type(network)]}.bias"):
            tensors[name] = tensors[name][list(BGR)].contiguous()
