"""A face and a speech clip in, a video of that face speaking those words out: LipGAN in PyTorch.

The verbs are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module

_VERBS = {
    "open_workspace": "lipgan_colab.workspace",
    "preprocess": "lipgan_colab.shards.preprocess",
    "train": "lipgan_colab.training.train",
    "train_motion": "lipgan_colab.training.train_motion",
    "load_generator": "lipgan_colab.models.weights",
    "generate": "lipgan_colab.generation.generate",
    "preview": "lipgan_colab.generation.preview",
    "generate_voices": "lipgan_colab.generation.voices",
    "evaluate": "lipgan_colab.evaluation.evaluate",
    "ablate": "lipgan_colab.evaluation.ablation",
    "make_study": "lipgan_colab.evaluation.judges.make",
    "count_answers": "lipgan_colab.evaluation.judges.count",
}
__all__ = sorted(_VERBS)


def __getattr__(name: str):
    if name not in _VERBS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_VERBS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
