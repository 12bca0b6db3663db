"""Copies that arrive whole, and are tried again until they do."""

import errno
import os
import shutil
import threading
import time

import pytest
import torch

from lipgan_colab.files import machine
from lipgan_colab.training import drive_mirror
from lipgan_colab.training.checkpoint import find_checkpoints, is_whole, prune, write_checkpoint
from lipgan_colab.training.drive_mirror import Mirror, copy_whole
from lipgan_colab.training.lease import LEASE, Holder, Lease, TakenOver

NOBODY = 1 << 22  # no process has this number


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(drive_mirror, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(drive_mirror, "LONGEST_PAUSE", 0.1)


@pytest.fixture
def places(tmp_path):
    """A local folder, and one that lasts."""
    local, lasting = tmp_path / "local", tmp_path / "lasting"
    local.mkdir()
    lasting.mkdir()
    return local, lasting


def save(local, step: int, size: int = 1000) -> str:
    written = write_checkpoint(
        local / "checkpoints", step, {"step": step, "weights": torch.full((size // 4,), float(step))}
    )
    prune(local / "checkpoints", written, truncate=False)
    return f"checkpoints/{written.path.name}"


def steps(folder) -> list[int]:
    found = find_checkpoints(folder / "checkpoints")
    assert all(is_whole(c) for c in found)
    return [c.step for c in found]


def test_files_arrive_and_only_two_checkpoints_stay(places):
    local, lasting = places
    (local / "log.csv").write_text("step\n1\n")
    (lasting / "checkpoints").mkdir()
    left = [f".step-00000001.{maker}.part" for maker in (f"{machine()}-{NOBODY}-00000000", "99")]  # by killed processes
    for name in left:
        (lasting / "checkpoints" / name).write_bytes(b"half")
        os.utime(lasting / "checkpoints" / name, (0, 0))
    mirror = Mirror(local, lasting)
    for step in (10, 20, 30):
        mirror.put(save(local, step), "log.csv")
        assert mirror.flush(10) == []
    mirror.close()
    assert steps(lasting) == [30, 20]
    assert (lasting / "log.csv").read_text() == "step\n1\n"
    assert mirror.reached[0].step == 30
    assert sorted(p.name for p in lasting.rglob(".*")) == []


def test_what_another_machine_is_writing_is_left_to_it_until_it_is_known_to_be_dead(places):
    local, lasting = places
    part = lasting / "checkpoints" / ".step-00000001.0123abcd-5-00000000.part"
    part.parent.mkdir()
    part.write_bytes(b"half")
    for dead, left in ((None, True), (Holder("x", "other", 5, "0123abcd", ""), False)):
        lease = Lease(lasting)
        lease.predecessor = dead
        mirror = Mirror(local, lasting, lease=lease)
        mirror.put(save(local, 10))
        assert mirror.flush(10) == []
        mirror.close()
        lease.release()
        assert part.exists() == left


def test_nothing_is_written_where_another_session_has_taken_over(places):
    """What it wrote stays, though it is further; and when it has ended, what waited is caught up with."""
    local, lasting = places
    said = []
    lease = Lease(lasting, say=said.append)
    mirror = Mirror(local, lasting, said.append, lease)
    mirror.put(save(local, 5000))
    assert mirror.flush(10) == []
    other = Lease(lasting, take_over=True)
    for step in (30000, 31000):
        write_checkpoint(lasting / "checkpoints", step, {"step": step})
    before = sorted(lasting.rglob("*"))
    mirror.put(save(local, 5100))
    assert len(mirror.flush(0.5)) == 1
    assert sorted(lasting.rglob("*")) == before
    assert sum("another session has taken this run over" in line for line in said) == 1
    other.release()
    assert mirror.flush(10) == []
    mirror.close()
    lease.release()
    assert steps(lasting) == [31000, 30000, 5100, 5000]
    assert sum("another session got further" in line for line in said) == 2


def test_a_copy_that_is_overtaken_by_another_session_gets_no_name(places):
    local, lasting = places
    lease = Lease(lasting)
    (local / "log.csv").write_text("step")
    with pytest.raises(TakenOver):
        copy_whole(
            local / "log.csv", lasting / "log.csv", check=lambda: Lease(lasting, take_over=True) and lease.check()
        )
    assert [p.name for p in lasting.iterdir()] == [LEASE]


def test_a_checkpoint_that_comes_late_takes_the_place_of_none(places):
    """The older one waits while Drive fails, the newest goes first when it works again, and then the older one."""
    local, lasting = places
    lasting.rmdir()  # Drive is away
    mirror = Mirror(local, lasting, say=lambda line: None)
    mirror.put(save(local, 10))
    while mirror.trouble is None:
        time.sleep(0.01)
    mirror.put(save(local, 20))
    lasting.mkdir()
    assert mirror.flush(10) == []
    mirror.close()
    assert steps(lasting) == [20, 10]
    assert mirror.reached[0].step == 20


def test_what_fails_is_reported_once_and_caught_up_with(places):
    local, lasting = places
    said = []
    shutil.rmtree(lasting)  # as when Drive is unmounted
    mirror = Mirror(local, lasting, said.append)
    mirror.put(save(local, 1))
    missing = mirror.flush(0.5)
    assert [name[:24] for name in missing] == ["checkpoints/step-0000000"]
    assert len(said) == 1 and "No such file" in said[0]
    assert not lasting.exists()  # or the next mount would be refused
    lasting.mkdir()
    assert mirror.flush(10) == []
    mirror.close()
    assert steps(lasting) == [1]
    assert "works again" in said[1]


def test_a_large_file_that_is_replaced_is_emptied_first(places):
    local, lasting = places
    (local / "g.safetensors").write_bytes(b"new" * 500_000)
    (lasting / "g.safetensors").write_bytes(b"old" * 500_000)
    os.link(lasting / "g.safetensors", lasting / "bin")  # as Drive keeps what is replaced
    copy_whole(local / "g.safetensors", lasting / "g.safetensors")
    assert (lasting / "g.safetensors").read_bytes()[:3] == b"new"
    assert (lasting / "bin").stat().st_size == 0


def test_a_full_drive_keeps_the_newest_it_has_and_says_what_to_do(places, small_disk):
    local, _ = places
    said = []
    mirror = Mirror(local, small_disk, said.append)
    mirror.put(save(local, 1, 300_000))
    assert mirror.flush(10) == []
    mirror.put(save(local, 2, 300_000))
    assert mirror.flush(10) == []
    assert any("nearly full" in line for line in said)
    mirror.put(save(local, 3, 600_000))  # fits only where the first has gone
    assert mirror.flush(10) == []
    assert steps(small_disk) == [3, 2]
    mirror.put(save(local, 4, 600_000))  # would fit only where nothing good were left
    assert len(mirror.flush(0.5)) == 1
    assert steps(small_disk) == [3]
    assert any("No space left" in line and "empty the bin" in line for line in said)
    mirror.put(save(local, 5, 300_000))  # the one that did not fit is not missed
    deadline = time.monotonic() + 20
    while steps(small_disk) != [5, 3] and time.monotonic() < deadline:
        time.sleep(0.05)
    mirror.close()
    assert steps(small_disk) == [5, 3]


def test_a_drive_that_hangs_holds_up_nobody(places, monkeypatch):
    local, lasting = places
    hangs = threading.Event()
    monkeypatch.setattr(drive_mirror, "copy_whole", lambda *_: hangs.wait(60))
    mirror = Mirror(local, lasting)
    mirror.put(save(local, 1))
    start = time.monotonic()
    assert len(mirror.flush(0.2)) == 1
    mirror.close()
    assert time.monotonic() - start < 30
    hangs.set()


def test_a_copy_that_is_broken_off_leaves_nothing(places):
    local, lasting = places
    (local / "file").write_bytes(bytes(10_000))
    stop = threading.Event()
    stop.set()
    with pytest.raises(drive_mirror.Stopped):
        copy_whole(local / "file", lasting / "file", stop)
    assert list(lasting.iterdir()) == []


def test_a_target_that_does_not_read_back_is_an_error(places, monkeypatch):
    local, lasting = places
    (local / "file").write_bytes(bytes(10_000))
    passed = iter([("written", 10_000), ("read", 10_000)])
    monkeypatch.setattr(drive_mirror, "_pass_on", lambda *_: next(passed))
    with pytest.raises(OSError, match="reads back differently") as error:
        copy_whole(local / "file", lasting / "file")
    assert error.value.errno == errno.EIO
    assert list(lasting.iterdir()) == []


def test_a_file_that_changes_while_it_is_copied_is_copied_again(places, monkeypatch):
    local, lasting = places
    (local / "log.csv").write_text("1")
    copies, copy = [], drive_mirror.copy_whole

    def meanwhile(source, target, *stop):
        copy(source, target, *stop)
        copies.append(target.read_text())
        if len(copies) == 1:
            source.write_text("1 2")
            mirror.put("log.csv")

    monkeypatch.setattr(drive_mirror, "copy_whole", meanwhile)
    mirror = Mirror(local, lasting)
    mirror.put("log.csv")
    assert mirror.flush(10) == []
    mirror.close()
    assert copies == ["1", "1 2"] and (lasting / "log.csv").read_text() == "1 2"


def test_the_folders_of_a_drive_that_is_not_mounted_are_not_made(tmp_path):
    (tmp_path / "drive").mkdir()  # the mount point
    (tmp_path / "log.csv").write_text("1")
    with pytest.raises(FileNotFoundError):
        copy_whole(tmp_path / "log.csv", tmp_path / "drive" / "MyDrive" / "run" / "log.csv")
    assert list((tmp_path / "drive").iterdir()) == []


def test_the_newest_checkpoint_comes_first(places, monkeypatch):
    local, lasting = places
    came, copy = [], drive_mirror.copy_whole

    def remembered(source, target, *stop):
        copy(source, target, *stop)
        came.append(target.name[:13])

    monkeypatch.setattr(drive_mirror, "copy_whole", remembered)
    (local / "log.csv").write_text("1")
    mirror = Mirror(local, lasting)
    mirror.put("log.csv", *[save(local, step) for step in (10, 20)])
    assert mirror.flush(10) == []
    mirror.close()
    assert came == ["step-00000020", "step-00000010", "log.csv"]
