"""Checkpoints: the newest that can be read is the one that is loaded."""

import pytest
import torch

from lipgan_colab.checkpoint import load_newest_checkpoint, save_checkpoint


def test_the_newest_is_loaded_and_two_are_kept(tmp_path):
    for step in (10, 20, 30):
        save_checkpoint(tmp_path, step, {"step": step, "weights": torch.full((3,), float(step))})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000020.pt", "step-00000030.pt"]
    state = load_newest_checkpoint(tmp_path)
    assert state["step"] == 30
    assert torch.equal(state["weights"], torch.full((3,), 30.0))


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    save_checkpoint(tmp_path, 1, {"step": 1})
    newest = save_checkpoint(tmp_path, 2, {"step": 2, "weights": torch.zeros(1000)})
    newest.write_bytes(newest.read_bytes()[:-700])
    with pytest.warns(UserWarning, match=r"step-00000002\.pt: damaged"):
        assert load_newest_checkpoint(tmp_path) == {"step": 1}


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"step": 3, "evil": Evil()}, tmp_path / "step-00000003.pt")
    with pytest.warns(UserWarning, match="damaged"):
        assert load_newest_checkpoint(tmp_path) is None
    assert not (tmp_path / "ran").exists()


def test_no_checkpoint_is_none(tmp_path):
    assert load_newest_checkpoint(tmp_path / "missing") is None
