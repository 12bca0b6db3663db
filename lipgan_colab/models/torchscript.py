"""Read the tensors in a TorchScript archive, as which Wav2Lip's authors hand out its weights since 2025.

`torch.jit.load` would build and run the program in the archive; here, its modules are unpickled as plain records of
their attributes, and everything but tensors and plain values is refused.
"""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor

DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
}


class Record:
    """A module of the archive: nothing but its attributes."""


def _tensors(record: Record, prefix: str = "") -> dict[str, Tensor]:
    """The tensors in a module and in those below it, by the names of a state dict."""
    found = {}
    for name, value in vars(record).items():
        if isinstance(value, Tensor):
            found[prefix + name] = value
        elif isinstance(value, Record):
            found |= _tensors(value, f"{prefix}{name}.")
    return found


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive rather than a state dict."""
    return zipfile.is_zipfile(path) and any(n.endswith("/constants.pkl") for n in zipfile.ZipFile(path).namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The state dict of the module in an archive.

    Raises:
        pickle.UnpicklingError: there is more in it than plain values.
        zipfile.BadZipFile, KeyError, and others: it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        root = next(n for n in archive.namelist() if n.endswith("/constants.pkl")).removesuffix("constants.pkl")
        with archive.open(f"{root}data.pkl") as data:
            module = _Unpickler(data, archive, root).load()
    if not isinstance(module, Record):
        raise pickle.UnpicklingError("there is no module in it")
    return _tensors(module)


class _Unpickler(pickle.Unpickler):
    def __init__(self, data, archive: zipfile.ZipFile, root: str):
        super().__init__(data)
        self.archive, self.root = archive, root

    def find_class(self, module: str, name: str):
        if module.startswith("__torch__"):
            return Record
        if module == "torch.jit._pickle":  # typed lists
            return lambda values, *_: values
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *_: storage.as_strided(size, stride, offset).clone()
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"Weights only: {module}.{name} is no tensor")

    def persistent_load(self, pid: tuple) -> Tensor:
        _, dtype, key, *_ = pid
        return torch.frombuffer(bytearray(self.archive.read(f"{self.root}data/{key}")), dtype=dtype)
