"""How likely somebody speaks: Silero VAD, a small network that tells speech from music and noise.

Its weights come with its package, whose own code computes with PyTorch. That takes longer to load than a photo to
speak, and longer for each of a network this small's many short steps, so they are done here.
"""

import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lipgan_colab.errors import InputError, reading
from lipgan_colab.torchscript import read_torchscript

CHUNK = 512  # samples of 16 kHz that are judged at once: 32 ms
CONTEXT, REFLECTED = 64, 64  # samples before them that are heard as well; and of their end, once more, mirrored
WINDOW, STEP = 256, 128  # of the spectrum
STRIDES = (1, 2, 2, 1)  # of the convolutions
AT_ONCE = 4096  # chunks, so that an hour of sound fits into memory


def speech_probability(wave: np.ndarray) -> np.ndarray:
    """How likely somebody speaks, float32 (chunks of 32 ms,) in [0, 1], as `silero_vad`'s audio_forward says it.

    Args:
        wave: float32 (n,), mono, 16 kHz.

    Raises:
        InputError: the package is not installed, or its weights are not those known.
    """
    weights = _weights()
    count = max(1, -(-len(wave) // CHUNK))
    padded = np.zeros(CONTEXT + count * CHUNK, np.float32)
    padded[CONTEXT : CONTEXT + len(wave)] = wave
    chunks = sliding_window_view(padded, CONTEXT + CHUNK)[::CHUNK]
    heard = [_encoded(weights, chunks[first : first + AT_ONCE]) for first in range(0, count, AT_ONCE)]
    said = np.maximum(_remembered(weights, np.concatenate(heard)), 0)
    return _sigmoid(said @ weights["decoder.decoder.2.weight"][0, :, 0] + weights["decoder.decoder.2.bias"])


@cache
def _weights() -> dict[str, np.ndarray]:
    """The network's for 16 kHz, by their names in its archive."""
    package = find_spec("silero_vad")
    if package is None:
        raise InputError("pauses cannot be found: pip install silero-vad, or choose `pauses=off`")
    path = Path(package.origin).parent / "data" / "silero_vad.jit"
    with reading(path, "not Silero VAD's weights", "pip install silero-vad==6.2.3, or choose `pauses=off`"):
        with zipfile.ZipFile(path) as archive:
            tensors = read_torchscript(archive)
        weights = {name.removeprefix("_model."): array for name, array in tensors.items() if name.startswith("_model.")}
        _remembered(weights, _encoded(weights, np.zeros((1, CONTEXT + CHUNK), np.float32)))  # all are there, and fit
    return weights


def _encoded(weights: dict[str, np.ndarray], chunks: np.ndarray) -> np.ndarray:
    """Chunks with what is before them (N, 576) to what the recurrent layer is told of each (N, 512)."""
    chunks = np.pad(chunks, ((0, 0), (0, REFLECTED)), mode="reflect")
    parts = sliding_window_view(chunks, WINDOW, axis=1)[:, ::STEP] @ weights["stft.forward_basis_buffer"][:, 0].T
    real, imaginary = np.split(parts, 2, axis=2)
    x = np.hypot(real, imaginary)  # (N, moments, channels)
    for number, stride in enumerate(STRIDES):
        layer = f"encoder.{number}.reparam_conv"
        taps = sliding_window_view(np.pad(x, ((0, 0), (1, 1), (0, 0))), 3, axis=1)[:, ::stride]
        x = np.tensordot(taps, weights[f"{layer}.weight"], ((2, 3), (1, 2))) + weights[f"{layer}.bias"]
        x = np.maximum(x, 0)
    bias = weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"]
    return x[:, 0] @ weights["decoder.rnn.weight_ih"].T + bias


def _remembered(weights: dict[str, np.ndarray], told: np.ndarray) -> np.ndarray:
    """What a long short-term memory (Hochreiter and Schmidhuber 1997) makes of that, chunk by chunk: (N, 128)."""
    recurrent = weights["decoder.rnn.weight_hh"]
    size = recurrent.shape[1]
    hidden = cell = np.zeros(size, np.float32)
    after = np.empty((len(told), size), np.float32)
    for number, gates in enumerate(told):
        gates = gates + recurrent @ hidden
        let_in, keep, let_out = _sigmoid(gates[:size]), _sigmoid(gates[size : 2 * size]), _sigmoid(gates[3 * size :])
        cell = keep * cell + let_in * np.tanh(gates[2 * size : 3 * size])
        after[number] = hidden = let_out * np.tanh(cell)
    return after


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return (1 + np.tanh(x / 2)) / 2  # as 1 / (1 + exp(-x)), which overflows
