"""What every generator carries, whatever it is made of, for those who use it without loading PyTorch."""

from typing import Protocol

from lipgan_colab.speech.features import SpeechInput

PAINTED_REFERENCES = "painted_references"  # in `about`: whether a generator has learnt from such (see augmentation)


class Generator(Protocol):
    """Makes mouths speak: a network that paints them (LipGAN's, Wav2Lip's), or one that moves them (`motion.Motion`).

    Attributes:
        speech_input: what it hears.
        about: where its weights come from, their licence.
    """

    speech_input: SpeechInput
    about: dict
