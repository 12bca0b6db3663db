"""What this machine computes with: the device, and the precision that is fast on it.

GPUs are NVIDIA's (cuda) and Apple's (mps). The latter have no float64, answer wrongly to some layouts (see
`memory_format`), and a copy to or from them that does not block is not there before `synchronize`.
"""

import os

import torch

from lipgan_colab.errors import InputError, counted

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PRECISION_VARIABLE = "LIPGAN_PRECISION"  # of the environment: names one of them, which is then taken for the fast one
TPU_VARIABLES = ("COLAB_TPU_1VM", "TPU_ACCELERATOR_TYPE", "COLAB_TPU_ADDR")  # of the environment
FULL = ("MPS backend out of memory", "STATUS_ALLOC_FAILED")  # in RuntimeErrors of mps, cuBLAS and cuDNN: no memory


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device named (cuda, cuda:1, mps, cpu), or else the first of NVIDIA's GPUs, or else the CPU.

    An Apple GPU (mps) is taken only where it is asked for: PyTorch has had silent errors there, and nobody has yet
    compared what the networks here answer on one with what they answer on the CPU.

    Raises:
        InputError: there is no such device, or not here.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        picked = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"`device` {device!r} is unknown; choose cuda, cuda:1, mps or cpu") from error
    if picked.type == "cuda" and (picked.index or 0) >= torch.cuda.device_count():
        raise InputError(f"`device` {device!r}: there is no such GPU here; leave it out, or choose cpu")
    if picked.type not in ("cuda", "cpu"):
        try:
            torch.ones(1, device=picked).item()
        except (RuntimeError, NotImplementedError) as error:
            raise InputError(f"`device` {device!r} does not compute here; leave it out, or choose cpu") from error
    return picked


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device computes in it by itself, float16 on older GPUs (a T4), float32 on other CPUs and mps.

    Emulated bfloat16 is slower than float32. The environment variable LIPGAN_PRECISION overrules all this: results that
    are to be the same on every machine need the same precision everywhere.

    Raises:
        InputError: LIPGAN_PRECISION names no precision.
    """
    if os.environ.get(PRECISION_VARIABLE):
        return _named_dtype(os.environ[PRECISION_VARIABLE])
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type of a precision's name; "auto" is `fast_dtype`.

    Raises:
        InputError: there is no such precision.
    """
    return fast_dtype(device) if precision == "auto" else _named_dtype(precision)


def _named_dtype(precision: str) -> torch.dtype:
    if precision not in PRECISIONS:
        raise InputError(f"`precision` {precision!r} is unknown; choose auto, {', '.join(PRECISIONS)}")
    return PRECISIONS[precision]


def autocast(device: torch.device, dtype: torch.dtype | None = None) -> torch.autocast:
    """A context in which networks compute in a type (None: `fast_dtype`)."""
    dtype = dtype or fast_dtype(device)
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def memory_format(device: torch.device) -> torch.memory_format:
    """How pictures lie in memory: with channels last, which convolutions are faster in, but not on mps, where the
    gradients of batch norms are wrong then, without a word (pytorch issue 175189)."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def describe(device: torch.device) -> str:
    """The device's name and memory in a few words."""
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        return f"{about.name}, {about.total_memory / 1e9:.0f} GB"
    if device.type == "mps":
        return "Apple GPU (mps)"
    return f"{device.type.upper()}, {counted(torch.get_num_threads(), 'thread')}"


def without_gpu() -> str:
    """What to tell a person where there is no GPU: what there is instead, and what to do about it on Colab."""
    there = "this runtime has a TPU, which is not used here, and " if _has_tpu() else ""
    return f"{there}NO GPU, without which LipGAN learns slowly: choose one in Runtime > Change runtime type on Colab"


def _has_tpu() -> bool:
    """Whether this is a Colab with a TPU, by the variables that its start sets: COLAB_TPU_1VM is 1 where there is one
    in the machine (and empty elsewhere), TPU_ACCELERATOR_TYPE its kind (v5e-1), and COLAB_TPU_ADDR where older
    runtimes had one in the net."""
    return any(os.environ.get(name) for name in TPU_VARIABLES)


def synchronize() -> None:
    """Wait until the GPU has done all that it was given; returns at once where there is none."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the device's memory is full."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in FULL)
