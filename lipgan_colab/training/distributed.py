"""Several processes train one model: `torchrun` or `accelerate launch` start them, the same code runs in each.

Each process computes its slice of the global batch; gradients, batch norm statistics and reported losses are those of
the whole batch, so that the number of processes changes nothing but the speed.
"""

import atexit
import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


def join(device: torch.device) -> torch.device:
    """Join the other processes where a launcher has started several; returns this process's device.

    A GPU is chosen by the launcher's LOCAL_RANK. Does nothing outside of a launcher, or when joined already.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)  # not earlier: a group cannot be made twice
    return device


def rank() -> int:
    """This process's number; 0 is the one that writes files and shows progress."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def from_first(value):
    """Plain data (tensors on the CPU) of process 0, in every process."""
    if count() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def any_of(flag: bool) -> bool:
    """Whether the flag is set in any process."""
    if count() == 1:
        return flag
    flags = torch.tensor(int(flag))
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return bool(flags)


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Make every process's gradients their mean, in one go."""
    if count() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= count()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))


def average(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """The mean over the processes of scalars that all of them have."""
    if count() == 1:
        return values
    device = next(iter(values.values())).device
    stacked = torch.stack([v.detach().float().to(device) for v in values.values()])
    dist.all_reduce(stacked)
    return dict(zip(values, (stacked / count()).unbind(), strict=True))


def synchronise_batch_norms(network: nn.Module) -> nn.Module:
    """The same network, whose batch norms take their statistics from the whole batch; for one process unchanged."""
    if count() == 1:
        return network
    if next(network.parameters()).is_cuda:
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = _BatchNormOnCPU  # keeps parameters and names; PyTorch has its own for GPUs only
    return network


class _Sum(torch.autograd.Function):
    """Sum over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient


class _BatchNormOnCPU(nn.BatchNorm2d):
    """Batch norm over all processes' samples (equal numbers of them) in training; the plain one in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        everywhere = x.numel() // x.shape[1] * count()
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        mean = _Sum.apply(exact.sum((0, 2, 3))) / everywhere
        centred = exact - mean[:, None, None]
        variance = _Sum.apply(centred.square().sum((0, 2, 3))) / everywhere
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (everywhere / (everywhere - 1)), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)
