"""Read the tensors in a TorchScript archive, as which Wav2Lip's weights are handed out since 2025, and Silero VAD's.

`torch.jit.load` would build and run the program in the archive; here, its modules are unpickled as plain records of
their attributes, and everything but tensors and plain values is refused. PyTorch is not needed for it.
"""

import io
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from typing import BinaryIO

import numpy as np

DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "DoubleStorage": np.dtype("<f8"),
    "LongStorage": np.dtype("<i8"),
}


class Record:
    """A module of the archive: nothing but its attributes."""


def _tensors(record: Record, prefix: str, seen: set[int]) -> dict[str, np.ndarray]:
    """The tensors in a module and in those below it, by the names of a state dict."""
    if id(record) in seen:  # modules within each other would have more names than memory can hold
        raise pickle.UnpicklingError("a module is in it twice")
    seen.add(id(record))
    found = {}
    for name, value in vars(record).items():
        if isinstance(value, np.ndarray):
            found[prefix + name] = value
        elif isinstance(value, Record):
            found |= _tensors(value, f"{prefix}{name}.", seen)
    return found


def is_torchscript(archive: zipfile.ZipFile) -> bool:
    """Whether it is a TorchScript archive rather than a state dict."""
    return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_torchscript(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """The state dict of the module in an archive. Its tensors are views of what the archive holds, and no larger; that
    the archive itself unpacks to what fits into memory has been looked at before.

    Raises:
        pickle.UnpicklingError: there is more in it than plain values.
        zipfile.BadZipFile, KeyError, and others: it is damaged.
    """
    root = next(n for n in archive.namelist() if n.endswith("/constants.pkl")).removesuffix("constants.pkl")
    program = archive.read(f"{root}data.pkl")
    check_opcodes(io.BytesIO(program), len(program))
    module = _Unpickler(io.BytesIO(program), archive, root).load()
    if not isinstance(module, Record):
        raise pickle.UnpicklingError("there is no module in it")
    return _tensors(module, "", set())


def check_opcodes(pickled: BinaryIO, size: int) -> None:
    """UnpicklingError where a pickle, the next in a file of so many bytes, takes memory for a number in it alone: of
    bytes to come, of a place in the unpickler's memo, or as the length of a bytearray."""
    for opcode, argument, _ in pickletools.genops(pickled):
        bytes_for_nothing = opcode.name == "GLOBAL" and argument.endswith(" bytearray")
        if opcode.proto > 2 or bytes_for_nothing or ("PUT" in opcode.name and int(argument) > size):
            raise pickle.UnpicklingError(f"{opcode.name} {argument} is nothing that weights need")


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: io.BytesIO, archive: zipfile.ZipFile, root: str):
        super().__init__(data)
        self.archive, self.root = archive, root
        self.storages: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str):
        if module.startswith("__torch__"):
            return type(name, (Record,), {})  # a pickle can set a class's attributes, too
        if module == "torch.jit._pickle":  # typed lists
            return lambda values, *_: values
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuilt
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"Weights only: {module}.{name} is no tensor")

    def persistent_load(self, pid: tuple) -> np.ndarray:
        _, dtype, key, *_ = pid
        if key not in self.storages:  # tensors may share one
            self.storages[key] = np.frombuffer(bytearray(self.archive.read(f"{self.root}data/{key}")), dtype)
        return self.storages[key]


def _rebuilt(storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_) -> np.ndarray:
    """A tensor in a storage, which numpy checks that it lies in; a step of 0 would make it as large as it likes."""
    if any(step < 1 and count > 1 for step, count in zip(stride, size, strict=True)):
        raise pickle.UnpicklingError(f"a tensor of {tuple(size)} with steps of {tuple(stride)}")
    each = storage.itemsize
    return np.ndarray(size, storage.dtype, storage, offset * each, [step * each for step in stride])
