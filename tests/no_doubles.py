"""A device without float64, as Apple's GPUs are."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class NoDoubles(TorchDispatchMode):
    """A stand-in for mps in one respect: no tensor of float64 can be made."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float64:
                raise TypeError(f"{function}: Cannot convert a MPS Tensor to float64 dtype")
        return made
