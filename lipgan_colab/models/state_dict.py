"""The tensors in a file that PyTorch wrote: a state dict of torch.save, or a TorchScript archive.

Nothing in the file is run, and it may not ask for more memory than its own size warrants: a few hundred bytes can claim
tensors of any size, and zeros deflate to a thousandth.
"""

import zipfile
from pathlib import Path

import torch
from torch import Tensor

from lipgan_colab.errors import InputError, reading
from lipgan_colab.models.torchscript import is_torchscript, read_torchscript

UNPACKED = 4  # times as many bytes as a file has may come out of it; weights are hardly ever compressed


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors that a file names, in the host's memory. Nothing but tensors and plain containers is unpickled.

    Raises:
        InputError: it is damaged, holds anything else, or claims more than it can hold.
    """
    with reading(path, "cut short or damaged", "fetch it again"):
        content = _content(path)
    tensors = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(map(_is_weight, tensors.items())):
        raise InputError(f"{path}: no state dict; give a file that holds one, alone or as its entry state_dict")
    check_size(path, sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()))
    return dict(tensors)


def check_size(path: Path, unpacked: int) -> None:
    """InputError where a file claims to hold so many bytes more than it has that it cannot be weights."""
    size = path.stat().st_size
    if unpacked > UNPACKED * size:
        raise InputError(f"{path}: {size} bytes that claim to hold {unpacked}: no weights; fetch them again")


def _content(path: Path):
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    if zipped:
        with zipfile.ZipFile(path) as archive:
            check_size(path, sum(record.file_size for record in archive.infolist()))
    try:
        if zipped and is_torchscript(path):
            return read_torchscript(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if "weights_only" in str(error) or "Weights only" in str(error):
            raise InputError(f"{path}: holds more than plain tensors and is not opened; give a state dict") from error
        raise


def _is_weight(item: tuple) -> bool:
    """Whether an entry is a name and a tensor whose numbers lie in memory."""
    name, value = item
    plain = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
    return isinstance(name, str) and plain and value.device.type == "cpu"
