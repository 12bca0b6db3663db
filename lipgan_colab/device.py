"""What this machine computes with: the device, the precision that is fast on it, and the CPU's memory allocator."""

import ctypes
import platform

import torch


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device named, or else the first GPU, or else the CPU."""
    if device is not None:
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device computes in it by itself, else float32 (emulated bfloat16 is slower than float32)."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def autocast(device: torch.device) -> torch.autocast:
    """A context in which networks compute in `fast_dtype`."""
    dtype = fast_dtype(device)
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def keep_freed_memory() -> None:
    """Let glibc keep freed memory instead of handing it back to the system after every layer.

    By default each big activation is mapped anew, and its page faults cost up to half of the time on CPUs. To be
    called before the first big tensor; does nothing on other C libraries.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mmap_max, trim_threshold, top_pad = -4, -1, -2  # names of <malloc.h>
    mallopt = ctypes.CDLL("libc.so.6").mallopt
    for parameter, value in ((mmap_max, 0), (trim_threshold, -1), (top_pad, 256 << 20)):
        mallopt(parameter, value)
