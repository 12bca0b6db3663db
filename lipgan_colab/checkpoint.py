"""Save and resume a run so that nothing is lost."""

import os
import pickle
import warnings
from pathlib import Path

import torch

from lipgan_colab.files import written_whole

KEEP = 2  # checkpoints: the newest, and one more in case it is damaged


def save_checkpoint(folder: str | Path, step: int, state: dict) -> Path:
    """Write `folder/step-XXXXXXXX.pt` whole or not at all, then prune all but the newest two.

    Args:
        folder: the run's checkpoints folder.
        step: how many steps have been done.
        state: tensors, numbers, texts, and dicts and lists of them.
    """
    folder = Path(folder)
    path = folder / f"step-{step:08d}.pt"
    with written_whole(path) as unfinished:
        torch.save(state, unfinished)
    for old in sorted(folder.glob("step-*.pt"))[:-KEEP]:
        os.truncate(old, 0)  # Drive's bin keeps what is deleted, and counts it
        old.unlink()
    return path


def load_newest_checkpoint(folder: str | Path, device: str | torch.device = "cpu") -> dict | None:
    """The state of the newest checkpoint that can be read, or None where there is none.

    A damaged one is reported and passed over. Only tensors and plain data are unpickled.
    """
    for path in sorted(Path(folder).glob("step-*.pt"), reverse=True):
        try:
            return torch.load(path, map_location=device, weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            warnings.warn(f"{path}: damaged, going back to the one before ({error})", stacklevel=2)
    return None
