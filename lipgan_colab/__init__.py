"""A face and a speech clip in, a video of that face speaking those words out: LipGAN in PyTorch.

The verbs are loaded when they are first used, so that importing the package costs nothing.
"""

import sys
from importlib import import_module
from types import ModuleType

_VERBS = {
    "open_workspace": "lipgan_colab.workspace",
    "preprocess": "lipgan_colab.preprocess",
    "train": "lipgan_colab.train",
    "load_generator": "lipgan_colab.models.weights",
    "generate": "lipgan_colab.generate",
    "evaluate": "lipgan_colab.evaluate",
}
__all__ = sorted(_VERBS)


class _Verb:
    """A function of the package; the module of the same name, which importing would bind in its place, is ignored."""

    def __init__(self, name: str):
        self.name = name

    def __get__(self, package, owner=None):
        return getattr(import_module(_VERBS[self.name]), self.name)

    def __set__(self, package, module) -> None:
        pass


sys.modules[__name__].__class__ = type("_Package", (ModuleType,), {name: _Verb(name) for name in _VERBS})
