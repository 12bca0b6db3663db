"""The generator on crops of faces: all that is done on the device when a face is made to speak."""

import numpy as np
import torch

from lipgan_colab.device import autocast, memory_format
from lipgan_colab.models.interface import Generator


@torch.no_grad()
def generate_crops(
    generator: Generator, references: np.ndarray, targets: np.ndarray, windows: np.ndarray
) -> np.ndarray:
    """The generator on numpy arrays.

    Args:
        generator: in evaluation mode.
        references: uint8 (B, S, S, 3), S the generator's `face_size`: who speaks.
        targets: the same shape: the pose; the lower half is not looked at.
        windows: float32 (N, rows, columns), of the generator's `speech_input`. Where N is a multiple of B, they are of
            several speeches, one after the other, and each face is encoded only once.

    Returns:
        uint8 (N, S, S, 3), RGB.
    """
    device = next(generator.parameters()).device
    masked = targets.copy()
    masked[:, masked.shape[1] // 2 :] = 0
    both = torch.from_numpy(np.concatenate([references, masked], axis=3)).to(device)
    both = both.permute(0, 3, 1, 2).contiguous(memory_format=memory_format(device)).float() / 255
    with autocast(device):
        generated = generator(both, torch.from_numpy(windows)[:, None].to(device))
    return (generated * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
