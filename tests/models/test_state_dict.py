"""Files of weights that claim more than they hold, or hold something else, are refused before they take memory."""

import io
import struct
import zipfile

import pytest
import torch

from lipgan_colab.errors import InputError
from lipgan_colab.models.state_dict import read_state_dict
from lipgan_colab.models.weights import load_network
from lipgan_colab.training.checkpoint import DamagedCheckpoint, find_checkpoints, new_digest, read_checkpoint


def refused(path, match: str) -> None:
    for read in (read_state_dict, load_network):
        with pytest.raises(InputError, match=match) as caught:
            read(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def numbers(*values: int) -> bytes:
    """A tuple, pickled."""
    return b"(" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"t"


def tensor(size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A tensor in the storage 0, pickled as torch does."""
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0" + numbers(*size) + numbers(*stride) + b"\x89)tR"


def module(**attributes: bytes) -> bytes:
    """A module of a TorchScript archive, pickled."""
    state = b"".join(b"X" + struct.pack("<I", len(name)) + name.encode() + value for name, value in attributes.items())
    return b"c__torch__\nModule\n)\x81}(" + state + b"ub"


def archive(path, program: bytes, script: bool = True, storage: bytes = bytes(16), packing=zipfile.ZIP_STORED):
    """A zip archive as torch writes them; returns its path."""
    with zipfile.ZipFile(path, "w", packing) as file:
        file.writestr("a/data.pkl", b"\x80\x02" + program + b".")
        file.writestr("a/data/0", storage)
        file.writestr("a/version", "3\n")
        if script:
            file.writestr("a/constants.pkl", b"\x80\x02).")
    return path


def test_a_torchscript_of_views_is_read(tmp_path):
    path = archive(
        tmp_path / "a.pt", module(w=tensor((2, 2), (1, 2)), b=tensor((4,), (1,))), storage=struct.pack("4f", *range(4))
    )
    tensors = read_state_dict(path)
    assert tensors["w"].tolist() == [[0, 2], [1, 3]] and tensors["b"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("stride", [(0,), (-1,)])
def test_steps_that_make_a_tensor_of_any_size_are_refused(tmp_path, stride):
    path = archive(tmp_path / "a.pt", module(w=tensor((10**8,), stride)))
    assert path.stat().st_size < 1000
    refused(path, r"with steps of|a tensor of")


def test_rows_that_lie_in_each_other_are_refused(tmp_path):
    path = archive(tmp_path / "a.pt", module(w=tensor((5000, 5000), (1, 1))), storage=bytes(40_000))
    refused(path, "bytes that claim to hold 100000000")


@pytest.mark.parametrize("script", [True, False])
def test_what_deflates_to_many_times_its_size_is_refused(tmp_path, script):
    storage = bytes(10**7)
    program = module(w=tensor((4,), (1,))) if script else b"}"
    path = archive(tmp_path / "a.pt", program, script, storage, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 20_000
    refused(path, "bytes that claim to hold 10000")


def test_expanded_tensors_of_a_state_dict_are_refused(tmp_path):
    torch.save({"w": torch.zeros(1).expand(10**9)}, tmp_path / "a.pth")
    refused(tmp_path / "a.pth", "bytes that claim to hold 4000000000")


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize(
    "program",
    [
        b"c__builtin__\nbytearray\nJ\x00\x00\x00\x70\x85R",  # 1.9 GB of zeros
        b"}r\xff\xff\xff\x7f",  # place 2**31 - 1 of the memo
        b"\x96" + struct.pack("<Q", 2**34),  # BYTEARRAY8
    ],
)
def test_numbers_that_take_memory_are_refused(tmp_path, program, script):
    refused(archive(tmp_path / "a.pt", program, script), "is nothing that weights need|but only 1 remain")


def test_modules_within_each_other_do_not_multiply(tmp_path):
    """Forty levels, each with the one below under two names, would be 2**40 tensors."""
    program = module(w=tensor((1,), (1,))) + b"q\x00"
    for level in range(40):
        again = b"h" + bytes([level])
        program = program + b"0" + module(a=again, b=again) + b"q" + bytes([level + 1])
    refused(archive(tmp_path / "a.pt", program), "a module is in it twice")


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(3, device="meta"),
        torch.eye(3).to_sparse(),
        torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
        [torch.zeros(3)],
    ],
)
def test_tensors_without_plain_numbers_are_no_state_dict(tmp_path, value):
    torch.save({"w": value}, tmp_path / "a.pth")
    refused(tmp_path / "a.pth", "no state dict")


def test_a_checkpoint_may_not_claim_more_than_it_holds_either(tmp_path):
    saved = archive(io.BytesIO(), b"}", False, bytes(10**7), zipfile.ZIP_DEFLATED).getvalue()
    digest = new_digest()
    digest.update(saved)
    (tmp_path / f"step-00000007-{digest.hexdigest()}.pt").write_bytes(saved)
    with pytest.raises(DamagedCheckpoint, match="bytes that claim to hold"):
        read_checkpoint(find_checkpoints(tmp_path)[0])
