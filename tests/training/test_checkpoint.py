"""Checkpoints: the newest that verifies is the one that is loaded, whatever happened to the others."""

import errno
import os
import time

import pytest
import torch
from sessions import kill, start_process

from lipgan_colab.errors import InputError
from lipgan_colab.training.checkpoint import (
    KEEP,
    DamagedCheckpoint,
    find_checkpoints,
    is_whole,
    load_newest_checkpoint,
    prune,
    read_checkpoint,
    write_checkpoint,
)


def state_of(step: int) -> dict:
    return {"step": step, "weights": torch.full((5000,), float(step))}


def save(folder, *steps: int):
    return [write_checkpoint(folder, step, state_of(step)) for step in steps][-1]


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def block_of_zeros(data: bytes) -> bytes:
    return data[:8192] + bytes(4096) + data[12288:]


def one_bit(data: bytes) -> bytes:
    return data[:9000] + bytes([data[9000] ^ 1]) + data[9001:]


def test_a_state_comes_back_as_it_was(tmp_path):
    state = {"step": 7, "name": "x", "list": [1, 2.5, None], "half": torch.ones(3, 2, dtype=torch.bfloat16), "none": {}}
    loaded = read_checkpoint(write_checkpoint(tmp_path, 7, state))
    assert torch.equal(loaded.pop("half"), state.pop("half"))
    assert loaded == state
    assert [p.name[:14] for p in tmp_path.iterdir()] == ["step-00000007-"]


def test_the_newest_of_all_folders_is_loaded(tmp_path):
    local, drive = tmp_path / "local", tmp_path / "drive"
    save(local, 10, 20)
    save(drive, 20, 30)
    checkpoint, state = load_newest_checkpoint(local, drive)
    assert (checkpoint.step, state["step"], checkpoint.path.parent) == (30, 30, drive)
    save(local, 30)
    assert load_newest_checkpoint(local, drive)[0].path.parent == local


@pytest.mark.parametrize("damage", [half, block_of_zeros, one_bit, lambda data: b""])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, damage):
    newest = save(tmp_path, 1, 2)
    newest.path.write_bytes(damage(newest.path.read_bytes()))
    assert not is_whole(newest)
    with pytest.raises(DamagedCheckpoint):
        read_checkpoint(newest)
    with pytest.warns(UserWarning, match=r"step-00000002-.*damaged"):
        checkpoint, state = load_newest_checkpoint(tmp_path)
    assert (checkpoint.step, state["step"]) == (1, 1)


def test_damaged_ones_alone_are_not_begun_anew_over(tmp_path):
    newest = save(tmp_path, 1)
    newest.path.write_bytes(half(newest.path.read_bytes()))
    said = []
    with pytest.raises(InputError, match="nothing there that can be resumed from"):
        load_newest_checkpoint(tmp_path, say=said.append)
    assert len(said) == 1


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)  # listing it fails with ELOOP
    with pytest.raises(InputError, match="cannot be read"):
        load_newest_checkpoint(loop, say=lambda line: None, patience=(0,))
    save(tmp_path / "local", 5)  # may be older than what cannot be seen
    with pytest.raises(InputError, match=r"loop: cannot be read .*may be an older state; mount the disk again"):
        load_newest_checkpoint(tmp_path / "local", loop, say=lambda line: None, patience=(0,))


def test_a_newest_that_cannot_be_read_is_not_gone_on_without(tmp_path):
    save(tmp_path / "drive", 10)
    newest = save(tmp_path / "drive", 20)
    newest.path.unlink()
    newest.path.symlink_to(newest.path)  # reading it fails with ELOOP
    with pytest.raises(InputError, match=r"step-00000020-.*cannot be read"):
        load_newest_checkpoint(tmp_path / "drive", patience=(0,))
    save(tmp_path / "local", 20)
    assert load_newest_checkpoint(tmp_path / "drive", tmp_path / "local", patience=(0,))[0].step == 20


def test_a_file_of_a_newer_version_is_not_guessed_at(tmp_path):
    write_checkpoint(tmp_path, 10, {"step": 10, "format": 2})
    with pytest.raises(InputError, match=r"written by a newer version \(format 2, and this one reads 1\); update"):
        load_newest_checkpoint(tmp_path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    checkpoint = write_checkpoint(tmp_path, 3, {"step": 3, "evil": Evil()})
    with pytest.raises(DamagedCheckpoint, match="not a checkpoint"):
        read_checkpoint(checkpoint)
    assert not (tmp_path / "ran").exists()


def test_no_checkpoint_is_none(tmp_path):
    assert load_newest_checkpoint(tmp_path / "missing", tmp_path) is None


def test_two_are_kept_and_what_goes_is_emptied_first(tmp_path):
    save(tmp_path, 10, 20)
    os.link(find_checkpoints(tmp_path)[-1].path, tmp_path / "bin")  # as Drive keeps what is deleted
    damaged = save(tmp_path, 99)  # and passed over
    damaged.path.write_bytes(half(damaged.path.read_bytes()))
    newest = save(tmp_path, 30)
    prune(tmp_path, newest)
    assert [c.step for c in find_checkpoints(tmp_path)] == [30, 20]
    assert (tmp_path / "bin").stat().st_size == 0


def test_what_another_session_saved_of_later_steps_stays(tmp_path):
    save(tmp_path, 30000, 31000)
    later = prune(tmp_path, save(tmp_path, 5100))
    assert [c.step for c in later] == [31000, 30000]
    assert [c.step for c in find_checkpoints(tmp_path)] == [31000, 30000, 5100]
    assert load_newest_checkpoint(tmp_path)[1]["step"] == 31000


def test_what_a_kill_left_emptied_goes_with_the_next(tmp_path):
    save(tmp_path, 10, 20, 30)
    find_checkpoints(tmp_path)[-1].path.write_bytes(b"")
    assert load_newest_checkpoint(tmp_path)[1]["step"] == 30
    prune(tmp_path, save(tmp_path, 40))
    assert [(c.step, is_whole(c)) for c in find_checkpoints(tmp_path)] == [(40, True), (30, True)]


def test_a_full_disk_takes_no_half_checkpoint(small_disk):
    good = save(small_disk, 1)
    with pytest.raises(OSError) as error:
        write_checkpoint(small_disk, 2, {"step": 2, "weights": torch.zeros(1_000_000)})
    assert error.value.errno == errno.ENOSPC
    assert [p.name for p in small_disk.iterdir()] == [good.path.name]
    assert load_newest_checkpoint(small_disk)[1]["step"] == 1
    assert save(small_disk, 3).step == 3  # and there is room again


def write_on_and_on(folder):
    state = {"weights": torch.zeros(500_000)}
    for step in range(1, 100_000):
        prune(folder, write_checkpoint(folder, step, {**state, "step": step}))


def test_a_killed_process_leaves_the_checkpoints_before(tmp_path):
    """kill -9 in the middle of writing, again and again."""
    steps = []
    for seed in range(10):
        process = start_process(write_on_and_on, tmp_path)
        while not find_checkpoints(tmp_path) or not list(tmp_path.glob(".*.part")):
            time.sleep(0.001 * (1 + seed))
        kill(process)
        found = find_checkpoints(tmp_path)
        assert all(is_whole(c) for c in found[:KEEP])  # an older one may have been emptied, and not yet deleted
        checkpoint, state = load_newest_checkpoint(tmp_path)
        assert state["step"] == checkpoint.step == found[0].step
        steps.append(checkpoint.step)
        for path in tmp_path.iterdir():
            path.unlink()
    assert min(steps) >= 1
