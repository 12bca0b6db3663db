"""Load MediaPipe without what it loads to draw landmarks and to record sound, which takes most of its start."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

UNUSED = ("matplotlib", "matplotlib.pyplot", "sounddevice")


class _LoadedWhenUsed(ModuleType):
    """Stands in for a module until something in it is wanted."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(self.__name__), name)


@contextmanager
def without_unused() -> Iterator[None]:
    """What is imported inside and imports one of `UNUSED` gets something that loads it when it is first used.

    After it everybody gets the modules themselves; what is loaded already stays as it is.
    """
    standing_in = {name: _LoadedWhenUsed(name) for name in UNUSED if name.split(".")[0] not in sys.modules}
    for name, module in standing_in.items():
        package, _, child = name.rpartition(".")
        if package:
            setattr(standing_in[package], child, module)
    sys.modules.update(standing_in)
    try:
        yield
    finally:
        for name, module in standing_in.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
