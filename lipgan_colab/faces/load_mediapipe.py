"""Load MediaPipe without Matplotlib, which it loads to draw landmarks and which takes four fifths of its start."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

DRAWS = "matplotlib"


class _LoadedWhenUsed(ModuleType):
    """Stands in for a module until something in it is wanted."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(self.__name__), name)


@contextmanager
def without_matplotlib() -> Iterator[None]:
    """What is imported inside and imports `matplotlib.pyplot` gets something that loads it when it is first used.

    After it everybody gets Matplotlib itself, and where it is loaded already, nothing changes.
    """
    if DRAWS in sys.modules:
        yield
        return
    package, pyplot = _LoadedWhenUsed(DRAWS), _LoadedWhenUsed(f"{DRAWS}.pyplot")
    package.pyplot = pyplot
    standing_in = {module.__name__: module for module in (package, pyplot)}
    sys.modules.update(standing_in)
    try:
        yield
    finally:
        for name, module in standing_in.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
