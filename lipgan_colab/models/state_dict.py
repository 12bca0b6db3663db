"""The tensors in a file that PyTorch wrote: a state dict of torch.save, or a TorchScript archive.

Nothing in the file is run, and it may not ask for more memory than its own size warrants: a few hundred bytes can claim
tensors of any size, and zeros deflate to a thousandth.
"""

import io
import zipfile
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from lipgan_colab.errors import InputError, reading
from lipgan_colab.torchscript import check_opcodes, is_torchscript, read_torchscript

UNPACKED = 4  # times as many bytes as a file has may come out of it; weights are hardly ever compressed
LEGACY_PICKLES = 5  # one after the other, with which a file of torch before 1.6 begins


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors that a file names, in the host's memory. Nothing but tensors and plain containers is unpickled.

    Raises:
        InputError: it is damaged, holds anything else, or claims more than it can hold.
    """
    with reading(path, "cut short or damaged", "fetch it again"), path.open("rb") as file:
        try:
            content = read_plain(file)
        except Exception as error:
            if "weights_only" not in str(error) and "Weights only" not in str(error):
                raise
            told = "holds more than plain tensors and is not opened; give a state dict"
            raise InputError(f"{path}: {told}") from error
        tensors = content.get("state_dict", content) if isinstance(content, dict) else None
        if not isinstance(tensors, dict) or not all(map(_is_weight, tensors.items())):
            raise InputError(f"{path}: no state dict; give a file that holds one, alone or as its entry state_dict")
        check_size(sum(tensor.nbytes for tensor in tensors.values()), path.stat().st_size)
        return dict(tensors)


def read_plain(file: BinaryIO):
    """What torch.save, or TorchScript, wrote into an open file, as far as that is tensors and plain data.

    Raises:
        ValueError, pickle.UnpicklingError, and whatever torch raises: it is something else, or damaged.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) == b"PK\x03\x04":
        with zipfile.ZipFile(file) as archive:
            check_size(sum(record.file_size for record in archive.infolist()), size)
            if is_torchscript(archive):
                return {name: torch.from_numpy(value) for name, value in read_torchscript(archive).items()}
            for name in archive.namelist():
                if name.endswith("data.pkl"):
                    check_opcodes(io.BytesIO(archive.read(name)), size)
    else:
        file.seek(0)
        for _ in range(LEGACY_PICKLES):
            check_opcodes(file, size)
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)


def check_size(unpacked: int, size: int) -> None:
    """ValueError where a file of `size` bytes claims to hold so many more that they cannot be weights."""
    if unpacked > UNPACKED * size:
        raise ValueError(f"{size} bytes that claim to hold {unpacked}")


def _is_weight(item: tuple) -> bool:
    """Whether an entry is a name and a tensor whose numbers lie in memory."""
    name, value = item
    plain = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
    return isinstance(name, str) and plain and value.device.type == "cpu"
