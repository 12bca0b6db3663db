"""Read LipGAN's Keras weights: .h5 files of `save_weights` (layers at the root) and of `save` (below model_weights).

The file lists layers in depth order, the face's and the speech's interleaved with equal shapes, so places in the file
say nothing. Keras numbered the layers of each class as they were built, in the order of our modules; the numbers may
start anywhere (several models in one process) and have holes (layers built and dropped). So the n-th layer of a class
by its number is our n-th module of that class.
"""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lipgan_colab.errors import InputError, reading
from lipgan_colab.models.lipgan import WholeInstanceNorm
from lipgan_colab.models.published import KERAS, Published
from lipgan_colab.models.state_dict import check_size

# Of each class of layers with weights: our module's parameters by Keras' names.
CLASSES = {
    nn.ConvTranspose2d: ("conv2d_transpose", {"kernel": "weight", "bias": "bias"}),
    nn.Conv2d: ("conv2d", {"kernel": "weight", "bias": "bias"}),
    nn.BatchNorm2d: (
        "batch_normalization",
        {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"},
    ),
    WholeInstanceNorm: ("instance_normalization", {"gamma": "weight", "beta": "bias"}),
}
# Loading a model beside another one of the same names adds a second number, that of the copy.
LAYER = re.compile(rf"({'|'.join(name for name, _ in CLASSES.values())})(?:_(\d+))?(?:_\d+)?")
LEAST_LIKENESS = 0.5  # share of common shapes, below which a file is something else altogether

Layers = dict[str, dict[str, "h5py.Dataset"]]  # noqa: F821 (imported where it is used): layer, weight -> array


class Slot(NamedTuple):
    """A weight that one of our modules wants."""

    parameter: str  # our name
    shape: tuple[int, ...]  # Keras' shape


def read_keras(path: Path) -> list[tuple[Published, nn.Module, dict[str, Tensor]]]:
    """The networks in a Keras file: which each is, our module without weights (meta), and its whole state dict.

    A file of two models in one, as the authors' comb.h5, gives both. Channels are as in the file.

    Raises:
        InputError: not a whole Keras file, or not one of LipGAN's networks; the first misfit is named.
    """
    import h5py

    with reading(path, "a HDF5 file cut short or damaged", "fetch it again"), h5py.File(path, "r") as file:
        models = _models(file.get("model_weights", file))
        if not models:
            raise InputError(f"{path}: a HDF5 file without a weight in it; give the file that Keras saved")
        claimed = sum(a.nbytes for layers in models for weights in layers.values() for a in weights.values())
        check_size(claimed, path.stat().st_size)
        return [_fit(path, layers) for layers in models]


def _models(root) -> list[Layers]:
    """The layers with weights: of the model itself, and of each model within it."""
    import h5py

    outer, inner = {}, {}

    def add(name: str, item) -> None:
        if not isinstance(item, h5py.Dataset) or name.startswith("optimizer_weights/"):
            return
        group, *between, weight = name.split("/")
        layer = between[-1] if between else group
        weight = weight.removesuffix(":0")
        if LAYER.fullmatch(group) or not LAYER.fullmatch(layer):
            outer.setdefault(group, {})[weight] = item
        else:
            inner.setdefault(group, {}).setdefault(layer, {})[weight] = item

    for name in root.attrs.get("layer_names", ()):  # so that a layer whose arrays are all lost is missed by its name
        name = name.decode() if isinstance(name, bytes) else str(name)
        if LAYER.fullmatch(name):
            outer[name] = {}
    root.visititems(add)
    return ([outer] if outer else []) + list(inner.values())


@cache
def _wanted(published: Published) -> dict[str, list[dict[str, Slot]]]:
    """Of each Keras class, the layers in the order of their numbers: Keras' weight name -> slot."""
    with torch.device("meta"):
        network = published.build()
    wanted: dict[str, list[dict[str, Slot]]] = {}
    for name, module in network.named_modules():
        for cls, (keras, names) in CLASSES.items():
            if isinstance(module, cls):
                tensors = module.state_dict()
                wanted.setdefault(keras, []).append(
                    {
                        theirs: Slot(f"{name}.{ours}", _keras_shape(tuple(tensors[ours].shape)))
                        for theirs, ours in names.items()
                    }
                )
    return wanted


def _keras_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Kernels are (height, width, in, out) in Keras and (out, in, height, width) here; transposed ones have in and out
    the other way round in both."""
    return (*shape[2:], shape[1], shape[0]) if len(shape) == 4 else shape


def _fit(path: Path, layers: Layers) -> tuple[Published, nn.Module, dict[str, Tensor]]:
    """Which network these layers are of, and its state dict."""
    published = _recognise(path, layers)
    by_class: dict[str, list[tuple[int, str]]] = {}
    for name in layers:
        match = LAYER.fullmatch(name)
        if match is None:
            raise _misfit(path, published, f"the layer {name} is none of it")
        by_class.setdefault(match[1], []).append((int(match[2] or 0), name))
    with torch.device("meta"):
        network = published.build()
    tensors = {name: torch.zeros_like(t, device="cpu") for name, t in network.state_dict().items() if t.ndim == 0}
    wanted = _wanted(published)
    for keras in [*wanted, *(c for c in by_class if c not in wanted)]:
        slots, found = wanted.get(keras, []), sorted(by_class.get(keras, []))
        misfit = _first_misfit(keras, slots, found, layers)
        if misfit:
            raise _misfit(path, published, misfit)
        for slot, (_, name) in zip(slots, found, strict=True):
            for weight, (parameter, _) in slot.items():
                array = np.asarray(layers[name][weight], np.float32)
                array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
                tensors[parameter] = torch.from_numpy(np.ascontiguousarray(array))
    return published, network, tensors


def _recognise(path: Path, layers: Layers) -> Published:
    """The network that has most shapes in common with the file."""
    found = Counter((weight, array.shape) for weights in layers.values() for weight, array in weights.items())

    def likeness(published: Published) -> float:
        wanted = Counter(
            (weight, slot.shape)
            for slots in _wanted(published).values()
            for layer in slots
            for weight, slot in layer.items()
        )
        return 2 * (found & wanted).total() / (found.total() + wanted.total())

    best = max(KERAS, key=likeness)
    if likeness(best) < LEAST_LIKENESS:
        raise InputError(f"{path}: a Keras file, but none of LipGAN's networks; give a LipGAN .h5")
    return best


def _misfit(path: Path, published: Published, what: str) -> InputError:
    return InputError(f"{path}: not a whole {published.what}: {what}; fetch or save the file again")


def _first_misfit(keras: str, slots: list[dict[str, Slot]], found: list[tuple[int, str]], layers: Layers) -> str:
    """What is wrong with the layers of a class, or nothing.

    Args:
        keras: the class.
        slots: what is wanted, in order.
        found: number and name of the layers in the file, in order.
        layers: their arrays.
    """
    for i in range(max(len(slots), len(found))):
        if i == len(slots):
            return f"the layer {found[i][1]} is one too many"
        if i == len(found):
            return f"the layer {_missing(keras, slots, found, i)} is missing"
        name, slot = found[i][1], slots[i]
        arrays = layers[name]
        misshapen = [w for w in slot if w in arrays and arrays[w].shape != slot[w].shape]
        if misshapen and len(found) < len(slots):
            return f"the layer {_missing(keras, slots, found, i)} is missing"
        if misshapen and len(found) > len(slots):
            return f"the layer {name} is one too many"
        for weight in [*slot, *arrays]:
            if weight not in arrays:
                return f"the weight {name}/{weight} is missing"
            if weight not in slot:
                return f"the weight {name}/{weight} is one too many"
            array = arrays[weight]
            if array.dtype.kind != "f" or array.external or array.is_virtual:  # or numbers of some other file's
                return f"the weight {name}/{weight} has no numbers of its own ({array.dtype})"
            if weight in misshapen:
                return f"the weight {name}/{weight} is {arrays[weight].shape} and should be {slot[weight].shape}"
    return ""


def _missing(keras: str, slots: list[dict[str, Slot]], found: list[tuple[int, str]], i: int) -> str:
    """The name of the layer that is missing, given where the shapes stop to fit: among the layers of the same shape
    just before, it is where the numbers have a hole."""
    shapes = [[slot.shape for slot in layer.values()] for layer in slots]
    numbers = [number for number, _ in found]
    if not numbers:
        return keras
    for j in range(min(i, len(numbers) - 1), 0, -1):
        if shapes[j] != shapes[i] and j < i:
            break
        if numbers[j] - numbers[j - 1] > 1:
            return f"{keras}_{numbers[j] - 1}"
    return f"{keras}_{numbers[i] - 1 if i < len(numbers) else numbers[-1] + 1}"
