"""Saving goes on beside the training, and saves what was there when it was asked to."""

import threading
import time

import pytest
import torch

from lipgan_colab.training import async_checkpointer
from lipgan_colab.training.async_checkpointer import AsyncCheckpointer, Snapshot
from lipgan_colab.training.checkpoint import find_checkpoints, load_newest_checkpoint, read_checkpoint, write_checkpoint


def test_a_snapshot_is_of_the_moment_and_reuses_its_memory():
    state = {"a": torch.ones(3), "b": [torch.zeros(2, 2).to(memory_format=torch.contiguous_format), 5], "c": {"d": "x"}}
    snapshot = Snapshot()
    first = snapshot.take(state)
    state["a"] += 1
    assert first["a"].tolist() == [1, 1, 1]
    second = snapshot.take(state)
    assert second["a"].tolist() == [2, 2, 2] and second["a"].data_ptr() == first["a"].data_ptr()
    state["a"] = torch.ones(4)
    assert snapshot.take(state)["a"].shape == (4,)
    assert second["b"][1] == 5 and second["c"] == {"d": "x"}


def test_a_snapshot_keeps_the_memory_format():
    weights = torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last)
    taken = Snapshot().take({"w": weights})["w"]
    assert torch.equal(taken, weights) and taken.is_contiguous(memory_format=torch.channels_last)


def test_training_goes_on_while_it_is_written(tmp_path, monkeypatch):
    may_write = threading.Event()

    def slow_write(*arguments):
        assert may_write.wait(30)
        return write_checkpoint(*arguments)

    monkeypatch.setattr(async_checkpointer, "write_checkpoint", slow_write)
    checkpointer = AsyncCheckpointer(tmp_path, tmp_path)
    weights = torch.zeros(3)
    assert checkpointer.save(1, {"step": 1, "weights": weights})
    weights += 1  # the next step
    assert not checkpointer.save(2, {"step": 2, "weights": weights})  # the first is not written yet
    may_write.set()
    assert checkpointer.save(3, {"step": 3, "weights": weights}, wait=True)
    assert checkpointer.finish(0) == []
    saved = {c.step: read_checkpoint(c) for c in find_checkpoints(tmp_path / "checkpoints")}
    assert {step: state["weights"].tolist() for step, state in saved.items()} == {1: [0, 0, 0], 3: [1, 1, 1]}


def test_a_disk_that_fails_is_reported_and_tried_again(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    said = []
    checkpointer = AsyncCheckpointer(tmp_path, tmp_path, say=said.append)
    with monkeypatch.context() as patch:
        patch.setattr(async_checkpointer, "write_checkpoint", full)
        checkpointer.save(1, {"step": 1}, wait=True)
    assert "step 1 was NOT saved" in said[0] and "No space left" in said[0]
    checkpointer.save(1, {"step": 1})
    checkpointer.finish(0)
    assert load_newest_checkpoint(tmp_path / "checkpoints")[0].step == 1


def test_a_disk_that_is_nearly_full_is_warned_of_and_training_goes_on(small_disk):
    said = []
    checkpointer = AsyncCheckpointer(small_disk, small_disk, say=said.append)
    for step, size in ((1, 100_000), (2, 100_000), (3, 200_000)):
        checkpointer.save(step, {"step": step, "weights": torch.zeros(size)}, wait=True)
    checkpointer.finish(0)
    assert any("nearly full" in line for line in said)
    assert "step 3 was NOT saved" in said[-1]
    assert load_newest_checkpoint(small_disk / "checkpoints")[0].step == 2


def test_any_other_error_is_not_swallowed(tmp_path):
    checkpointer = AsyncCheckpointer(tmp_path, tmp_path, export=lambda state: 1 / 0)
    checkpointer.save(1, {"step": 1})
    with pytest.raises(ZeroDivisionError):
        checkpointer.finish(0)


def test_what_goes_along_reaches_the_folder_that_lasts(tmp_path):
    local, run = tmp_path / "local", tmp_path / "run"
    run.mkdir()

    def export(state):
        (local / "exported.txt").write_text(str(state["step"]))
        return ["exported.txt"]

    checkpointer = AsyncCheckpointer(run, local, export)
    checkpointer.save(5, {"step": 5})
    checkpointer.later(lambda: (local / "picture.txt").write_text("x"), "picture.txt")
    assert checkpointer.finish(20) == []
    assert (run / "exported.txt").read_text() == "5"
    assert (run / "picture.txt").exists()
    assert load_newest_checkpoint(run / "checkpoints")[0].step == 5


def test_a_run_that_ends_as_it_is_resumed_exports_its_end(tmp_path):
    """The export of what was resumed from may still be going on when the last step is saved."""
    at_it, overlaps = [], []

    def export(state):
        overlaps.append(bool(at_it))
        at_it.append(state["step"])
        time.sleep(0.2 if state["step"] == 1 else 0)
        (tmp_path / "exported.txt").write_text(str(state["step"]))
        at_it.pop()
        return ["exported.txt"]

    checkpointer = AsyncCheckpointer(tmp_path, tmp_path, export)
    first = write_checkpoint(checkpointer.folder, 1, {"step": 1})
    checkpointer.resumed_from(first, {"step": 1})
    assert checkpointer.save(2, {"step": 2}, wait=True)
    checkpointer.finish(0)
    assert overlaps == [False, False]
    assert (tmp_path / "exported.txt").read_text() == "2"
