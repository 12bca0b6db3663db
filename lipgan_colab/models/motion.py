"""What a mouth does while its owner speaks: from sound to the movement of the lower face's mesh.

A small network that knows no faces: it hears a whole speech and says, fifty times a second, how far the points of the
lower face are from where they rest. It is learnt from geometry alone, so a few minutes of training do, and any face
can be moved by it (see generation/own_pixels.py). Movement is given by a few principal components of what people do.

It has two forms that say the same: `motion_network.MotionNetwork` learns, with PyTorch, and `LearntMotion` speaks
without it, because PyTorch takes longer to load than all the rest of making a photo speak.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lipgan_colab.faces import mesh
from lipgan_colab.files import open_tensors
from lipgan_colab.models.pretrained import PRETRAINED, find_weights
from lipgan_colab.speech.features import MEL_BANDS, MEL_RATE, SpeechInput

STRIDE = 2  # columns of the mel that one of the network's answers stands for
RATE = Fraction(MEL_RATE, STRIDE)  # answers a second
BOLDER, CRISPER = 0.9, 0.5  # how much further mouths go than the network says, and how much further from their mean
CRISP_OVER = 9  # answers that this mean is taken over
FIRST_WIDTH, WIDTH = 5, 3  # of the convolutions: the first, and all others
NORM_EPSILON = 1e-5  # of their batch norms


@dataclass(frozen=True)
class MotionConfig:
    """The form of a motion network.

    Attributes:
        channels: of its hidden layers.
        components: how many principal components of movement it tells.
        dilations: of the convolutions, one after the other; they say how much of the speech around it a moment hears.
        dropout: of the hidden layers, 0 to 1, while training.
    """

    channels: int = 128
    components: int = 10
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.2


class Motion(ABC):
    """A network that moves mouths, in either form.

    Attributes:
        speech_input: the mel that it hears.
        about: where its weights come from.
    """

    speech_input: SpeechInput
    about: dict

    @property
    @abstractmethod
    def moves(self) -> np.ndarray:
        """How far one spread of each component moves the mesh, float32 (components, 468, 3), in centimetres."""

    @abstractmethod
    def answers(self, heard: np.ndarray) -> np.ndarray:
        """What is heard (80, T), of `as_heard`, to components (components, ceil(T / 2)), in parts of their spread."""


@dataclass
class LearntMotion(Motion):
    """A motion network that has learnt, in numpy: see `motion_network.MotionNetwork` for its layers.

    Attributes:
        first, last: a convolution's weight (out, in, width) and bias (out,), batch norm folded in.
        blocks: those between, with their dilations.
        basis, spread: what its answers mean.
        speech_input, about: as of `Motion`.
        source, file: what it was loaded from.
    """

    first: tuple[np.ndarray, np.ndarray]
    blocks: list[tuple[np.ndarray, np.ndarray, int]]
    last: tuple[np.ndarray, np.ndarray]
    basis: np.ndarray
    spread: np.ndarray
    speech_input: SpeechInput = field(default_factory=lambda: SpeechInput("mel"))
    about: dict = field(default_factory=dict)
    source: str = ""
    file: Path | None = None

    @property
    def moves(self) -> np.ndarray:
        return self.basis * self.spread[:, None, None]

    def answers(self, heard: np.ndarray) -> np.ndarray:
        x = np.maximum(_convolved(heard, *self.first, stride=STRIDE), 0)
        for weight, bias, dilation in self.blocks:
            x = x + np.maximum(_convolved(x, weight, bias, dilation=dilation), 0)
        return _convolved(x, *self.last) / self.spread[:, None]


def _convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int = 1, dilation: int = 1) -> np.ndarray:
    """(in, T) to (out, ceil(T / stride)), as PyTorch's Conv1d with zeros on both sides, so that the length stays."""
    width = weight.shape[2]
    padded = np.pad(x, ((0, 0), (dilation * (width // 2),) * 2))
    count = -(-x.shape[1] // stride)
    taps = (padded[:, k * dilation :][:, : stride * count : stride] for k in range(width))
    return sum(weight[:, :, k] @ tap for k, tap in enumerate(taps)) + bias[:, None]


def load_motion(source: str | Path) -> LearntMotion | None:
    """A motion network that speaks; None where the weights are of something else, or not whole
    (`weights.load_generator` says what is wrong with those).

    Args:
        source: as of `load_generator`.

    Raises:
        InputError: there is no such thing.
    """
    if str(source) in PRETRAINED and not PRETRAINED[str(source)].bundled:
        return None
    path, _ = find_weights(source)
    motion = _read(path)
    if motion is not None:
        motion.source, motion.file = str(source), path
    return motion


def _read(path: Path) -> LearntMotion | None:
    try:
        with open_tensors(path, "np") as file:
            header = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
            if header["network"] != "MotionNetwork":
                return None
            config = MotionConfig(**header["config"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if {name: tensor.shape for name, tensor in tensors.items()} != _shapes(config):
            return None
        if any(tensor.dtype.kind != "f" for tensor in tensors.values() if tensor.ndim):
            return None
        tensors = {name: np.float32(tensor) for name, tensor in tensors.items()}
        speech_input = SpeechInput(**header.get("speech_input", {"kind": "mel"}))
    except Exception:  # whatever a damaged file makes its readers raise
        return None
    if speech_input.kind != "mel":
        return None
    blocks = [(*_folded(tensors, f"blocks.{number}.0."), dilation) for number, dilation in enumerate(config.dilations)]
    return LearntMotion(
        _folded(tensors, "first."),
        blocks,
        (tensors["last.weight"], tensors["last.bias"]),
        tensors["basis"],
        tensors["spread"],
        speech_input,
        dict(header.get("about", {})),
    )


def _shapes(config: MotionConfig) -> dict[str, tuple[int, ...]]:
    """Of all tensors of a motion network."""
    width, count = config.channels, config.components
    shapes = {
        "last.weight": (count, width, WIDTH),
        "last.bias": (count,),
        "basis": (count, mesh.POINTS, 3),
        "spread": (count,),
    }
    layers = {"first.": (width, MEL_BANDS, FIRST_WIDTH)}
    layers |= {f"blocks.{number}.0.": (width, width, WIDTH) for number in range(len(config.dilations))}
    for name, shape in layers.items():
        shapes[f"{name}0.weight"], shapes[f"{name}1.num_batches_tracked"] = shape, ()
        shapes |= {f"{name}1.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    return shapes


def _folded(tensors: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """A convolution's weight and bias with the batch norm after it folded in."""
    scale = tensors[f"{name}1.weight"] / np.sqrt(tensors[f"{name}1.running_var"] + NORM_EPSILON)
    bias = tensors[f"{name}1.bias"] - tensors[f"{name}1.running_mean"] * scale
    return tensors[f"{name}0.weight"] * scale[:, None, None], bias


def as_heard(spectrum: np.ndarray) -> np.ndarray:
    """A mel (80, T) without what the voice's level and the microphone add to all of it: minus the mean of its louder
    half; float32 (80, T)."""
    loudness = spectrum.mean(axis=0)
    louder = loudness >= np.median(loudness)
    return (spectrum - spectrum[:, louder].mean(axis=1, keepdims=True)).astype(np.float32)


def answer_times(count: int) -> np.ndarray:
    """At which second of the speech each of the network's answers is, float64 (count,): the middle of its columns,
    which are centred on their times."""
    return (STRIDE * np.arange(count) + 0.5) / MEL_RATE


def components(motion: Motion, spectrum: np.ndarray, times: np.ndarray) -> np.ndarray:
    """What a network says of a mel (80, T) at some seconds of the speech (F,): float64 (F, components), in parts of
    their spread."""
    said = motion.answers(as_heard(spectrum))
    # What is learnt by squared errors moves less, and less suddenly, than people do.
    said = BOLDER * (said + CRISPER * (said - _smoothed(said)))
    at_times = [np.interp(times, answer_times(said.shape[1]), component) for component in said]
    return np.stack(at_times, axis=1)


def _smoothed(said: np.ndarray) -> np.ndarray:
    """The mean of the answers around each, those at the ends repeated: (components, T)."""
    padded = np.pad(said, ((0, 0), (CRISP_OVER // 2,) * 2), mode="edge")
    return sliding_window_view(padded, CRISP_OVER, axis=1).mean(axis=2)
