import pytest
import torch

from lipgan_colab.device import PRECISION_VARIABLE, autocast, describe, fast_dtype, pick_device, pick_dtype
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
    [("gpu", "choose cuda, cuda:1 or cpu"), ("cuda:9", "no such GPU here"), ("meta", "does not compute here")],
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
    assert "threads" in describe(CPU)
