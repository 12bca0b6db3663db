import pytest
import torch

from lipgan_colab.device import (
    PRECISION_VARIABLE,
    autocast,
    describe,
    fast_dtype,
    memory_format,
    pick_device,
    pick_dtype,
    ran_out_of_memory,
    without_gpu,
)
from lipgan_colab.errors import InputError

CPU = torch.device("cpu")


def test_precisions_have_names():
    assert pick_device("cpu") == CPU
    assert pick_dtype("float16", CPU) == torch.float16
    assert pick_dtype("auto", CPU) == fast_dtype(CPU)
    with pytest.raises(InputError, match="choose auto, float32, bfloat16, float16"):
        pick_dtype("double", CPU)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("gpu", "choose cuda, cuda:1, mps or cpu"),
        ("cuda:9", "no such GPU here"),
        ("meta", "does not compute here"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(device, said):
    with pytest.raises(InputError, match=said):
        pick_device(device)


def test_a_variable_overrules_what_is_fast_here(monkeypatch):
    monkeypatch.setenv(PRECISION_VARIABLE, "bfloat16")
    assert pick_dtype("auto", CPU) == torch.bfloat16
    assert pick_dtype("float32", CPU) == torch.float32  # what is asked for is given
    monkeypatch.setenv(PRECISION_VARIABLE, "half")
    with pytest.raises(InputError, match="precision 'half' is unknown"):
        fast_dtype(CPU)
    monkeypatch.delenv(PRECISION_VARIABLE)
    assert fast_dtype(CPU) in (torch.float32, torch.bfloat16)


def test_networks_compute_in_the_type_asked_for():
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        with autocast(CPU, dtype):
            assert layer(x).dtype == dtype
    assert "1 thread" in describe(CPU)


def test_what_is_known_of_apple_gpus(monkeypatch):
    """No promise that they compute rightly: only what is asked of PyTorch on their account."""
    mps = torch.device("mps")
    assert fast_dtype(mps) == torch.float32
    assert memory_format(mps) == torch.contiguous_format and memory_format(CPU) == torch.channels_last
    assert "Apple" in describe(mps)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device() == CPU  # only where it is asked for
    if torch.backends.mps.is_built():
        return
    with pytest.raises(InputError, match="'mps' does not compute here; leave it out, or choose cpu"):
        pick_device("mps")


@pytest.mark.parametrize(
    ("variables", "tpu"),
    [
        ({}, False),
        ({"COLAB_TPU_1VM": "", "COLAB_GPU": ""}, False),  # as on Colab's other runtimes
        ({"COLAB_TPU_1VM": "1", "TPU_ACCELERATOR_TYPE": "v5e-1", "TPU_WORKER_ID": "0"}, True),
        ({"COLAB_TPU_ADDR": "10.63.28.250:8470"}, True),
    ],
)
def test_a_tpu_is_told_where_there_is_no_gpu(monkeypatch, variables, tpu):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    line = without_gpu()
    assert "\n" not in line and "NO GPU" in line and "Runtime > Change runtime type" in line
    assert ("a TPU, which is not used here" in line) == tpu


def test_full_memory_is_known_from_other_errors():
    full = (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("MPS backend out of memory (MPS allocated: 17.00 GB, other allocations: 1.00 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    )
    assert all(ran_out_of_memory(error) for error in full)
    assert not ran_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
