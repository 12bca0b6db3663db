"""Saving goes on beside the training, and saves what was there when it was asked to."""

import tempfile
import threading
import time
from pathlib import Path

import pytest
import torch

from lipgan_colab.errors import InputError
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.weights import save_network
from lipgan_colab.training import async_checkpointer, lease
from lipgan_colab.training.async_checkpointer import AsyncCheckpointer, Snapshot
from lipgan_colab.training.checkpoint import find_checkpoints, load_newest_checkpoint, read_checkpoint, write_checkpoint
from lipgan_colab.training.lease import Lease


def wait_for(checkpointer: AsyncCheckpointer) -> None:
    """Until all that was asked of it is done: its thread takes one thing after the other."""
    done = threading.Event()
    checkpointer.later(lambda folder: done.set())
    assert done.wait(30)


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
    checkpointer.save_last(3, {"step": 3, "weights": weights})
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
        checkpointer.save(1, {"step": 1})
        wait_for(checkpointer)
    assert "step 1 was NOT saved" in said[0] and "No space left" in said[0]
    checkpointer.save(1, {"step": 1})
    checkpointer.finish(0)
    assert load_newest_checkpoint(tmp_path / "checkpoints")[0].step == 1


def test_a_disk_that_is_nearly_full_is_warned_of_and_training_goes_on(small_disk):
    said = []
    checkpointer = AsyncCheckpointer(small_disk, small_disk, say=said.append)
    for step, size in ((1, 100_000), (2, 100_000), (3, 200_000)):
        checkpointer.save(step, {"step": step, "weights": torch.zeros(size)})
        wait_for(checkpointer)
    checkpointer.finish(0)
    assert any("nearly full" in line for line in said)
    assert "step 3 was NOT saved" in said[-1]
    assert load_newest_checkpoint(small_disk / "checkpoints")[0].step == 2


def test_any_other_error_is_not_swallowed(tmp_path):
    checkpointer = AsyncCheckpointer(tmp_path, tmp_path, export=lambda state, folder: 1 / 0)
    checkpointer.save(1, {"step": 1})
    with pytest.raises(ZeroDivisionError):
        checkpointer.finish(0)


def test_what_goes_along_reaches_the_folder_that_lasts(tmp_path):
    local, run = tmp_path / "local", tmp_path / "run"
    run.mkdir()

    def export(state, folder):
        (folder / "exported.txt").write_text(str(state["step"]))
        return ["exported.txt"]

    checkpointer = AsyncCheckpointer(run, local, export)
    checkpointer.save(5, {"step": 5})
    checkpointer.later(lambda folder: (folder / "picture.txt").write_text("x"), "picture.txt")
    assert checkpointer.finish(20) == []
    assert (run / "exported.txt").read_text() == "5"
    assert (run / "picture.txt").exists()
    assert load_newest_checkpoint(run / "checkpoints")[0].step == 5


def test_a_run_that_ends_as_it_is_resumed_exports_its_end(tmp_path):
    """The export of what was resumed from may still be going on when the last step is saved."""
    at_it, overlaps = [], []

    def export(state, folder):
        overlaps.append(bool(at_it))
        at_it.append(state["step"])
        time.sleep(0.2 if state["step"] == 1 else 0)
        (tmp_path / "exported.txt").write_text(str(state["step"]))
        at_it.pop()
        return ["exported.txt"]

    checkpointer = AsyncCheckpointer(tmp_path, tmp_path, export)
    first = write_checkpoint(checkpointer.folder, 1, {"step": 1})
    checkpointer.resumed_from(first, {"step": 1})
    checkpointer.save_last(2, {"step": 2})
    checkpointer.finish(0)
    assert overlaps == [False, False]
    assert (tmp_path / "exported.txt").read_text() == "2"


def test_an_export_that_fails_costs_no_checkpoint(small_disk):
    """The disk is full when the weights are written: how safetensors says so is no OSError."""
    said = []

    def export(state, folder):
        save_network(folder / "weights.safetensors", LipGANGenerator(GeneratorConfig(0.1)))

    checkpointer = AsyncCheckpointer(small_disk, small_disk, export, said.append)
    for step in (1, 2):
        checkpointer.save(step, {"step": step})
        wait_for(checkpointer)
    checkpointer.finish(0)
    assert "the generator not written (No space left on device); training goes on" in said[0]
    assert load_newest_checkpoint(small_disk / "checkpoints")[0].step == 2


def test_the_end_is_saved_although_something_broke_before(tmp_path):
    def breaks(state, folder):
        return [] if state["step"] == 2 else 1 / 0

    checkpointer = AsyncCheckpointer(tmp_path, tmp_path, breaks)
    checkpointer.save(1, {"step": 1})
    with pytest.raises(ZeroDivisionError):
        checkpointer.save_last(2, {"step": 2})
    checkpointer.close()
    assert load_newest_checkpoint(tmp_path / "checkpoints")[0].step == 2


@pytest.fixture
def spare(tmp_path, monkeypatch) -> Path:
    """Where the end is saved when no folder of the run's takes it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spare"))
    return tmp_path / "spare"


STATE = {"step": 3, "weights": torch.zeros(1_000_000)}  # more than the small disk takes


def test_an_end_that_the_local_disk_does_not_take_goes_to_the_one_that_lasts(small_disk, tmp_path, spare):
    run, said = tmp_path / "run", []
    run.mkdir()
    checkpointer = AsyncCheckpointer(run, small_disk, say=said.append)
    checkpointer.save_last(3, STATE)
    checkpointer.finish(0)
    (line,) = said
    assert "step 3 was NOT saved" in line and "Training goes on" not in line
    assert checkpointer.full and checkpointer.local == run
    assert load_newest_checkpoint(run / "checkpoints")[0].step == 3
    assert not spare.exists()


def test_an_end_that_no_folder_of_the_run_takes_is_saved_elsewhere(small_disk, spare):
    checkpointer = AsyncCheckpointer(small_disk, small_disk, say=lambda line: None)
    checkpointer.save_last(3, STATE)
    checkpointer.finish(0)
    assert checkpointer.local.parent == spare
    assert load_newest_checkpoint(checkpointer.local / "checkpoints")[0].step == 3


def test_an_end_that_cannot_be_saved_is_an_error(small_disk, spare):
    spare.write_text("a file where the folder should be")
    checkpointer = AsyncCheckpointer(small_disk, small_disk, say=lambda line: None)
    with pytest.raises(InputError, match=r"step 3 is NOT saved: no disk takes it"):
        checkpointer.save_last(3, STATE)
    checkpointer.finish(0)


def test_a_session_that_is_taken_over_goes_on_beside_it(tmp_path, monkeypatch):
    for name in ("RENEWED_EVERY", "LISTENING"):
        monkeypatch.setattr(lease, name, 0.05)
    run, said = tmp_path / "run", []
    run.mkdir()
    first = Lease(run, say=said.append)
    checkpointer = AsyncCheckpointer(run, run, say=said.append, leases={run: first})
    checkpointer.save(1, {"step": 1})
    wait_for(checkpointer)
    second = Lease(run, take_over=True)
    checkpointer.save(2, {"step": 2})
    checkpointer.later(lambda folder: (folder / "picture.txt").write_text("x"), "picture.txt")
    checkpointer.finish(0)
    second.check()
    aside = checkpointer.local
    assert aside.parent == run.parent and aside != run and f"goes on in {aside}" in said[-1]
    assert [c.step for c in find_checkpoints(run / "checkpoints")] == [1]
    assert [c.step for c in find_checkpoints(aside / "checkpoints")] == [2] and (aside / "picture.txt").exists()
    second.release()
    time.sleep(0.3)  # the first does not come back for a run that it no longer writes
    assert sorted(p.name for p in run.iterdir()) == ["checkpoints"]
