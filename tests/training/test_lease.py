"""One session at a time writes into a run's folder, and none is kept out by one that is dead."""

import json
import os
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from sessions import kill, start_process

from lipgan_colab.errors import InputError
from lipgan_colab.training import lease
from lipgan_colab.training.lease import LEASE, Holder, Lease, TakenOver, read_holder


@pytest.fixture(autouse=True)
def short_times(monkeypatch):
    set_short_times(monkeypatch.setattr)


def set_short_times(set_attribute) -> None:
    for name, seconds in (("RENEWED_EVERY", 0.05), ("SILENT", 0.6), ("LISTENING", 0.05)):
        set_attribute(lease, name, seconds)


def hold(folder: Path, step: int) -> None:
    """A session in a process of its own, until it is killed."""
    set_short_times(setattr)
    held = Lease(folder)
    held.step = step
    time.sleep(60)


@pytest.fixture
def other(tmp_path):
    """Another session, which holds the folder."""
    process = start_process(hold, tmp_path, 30000)
    deadline = time.monotonic() + 60
    while not (tmp_path / LEASE).exists() or step_of(tmp_path) != 30000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield process
    if process.is_alive():
        kill(process)


def step_of(folder: Path) -> int | None:
    try:
        return read_holder(folder).step
    except OSError:
        return None


def test_a_second_session_is_refused_in_a_line(tmp_path, other):
    with pytest.raises(InputError) as told:
        Lease(tmp_path)
    line = str(told.value)
    assert "\n" not in line and "another session trains this run" in line
    assert f"{os.uname().nodename} (process {other.pid}), since 20" in line and "(step 30000)" in line
    assert "`take_over`" in told.value.line


def test_a_session_that_was_killed_is_succeeded_at_once(tmp_path, other, monkeypatch):
    monkeypatch.setattr(lease, "SILENT", 600)
    kill(other)
    with_predecessor = Lease(tmp_path)
    assert with_predecessor.predecessor.pid == other.pid
    with_predecessor.release()
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_stands_still_is_succeeded_when_it_has_been_silent(tmp_path, other):
    os.kill(other.pid, signal.SIGSTOP)
    began, said = time.monotonic(), []
    mine = Lease(tmp_path, say=said.append)
    assert time.monotonic() - began > lease.SILENT
    assert f"waiting up to {lease.SILENT:.0f} s" in said[0] and f"process {other.pid}" in said[0]
    os.kill(other.pid, signal.SIGCONT)
    time.sleep(0.5)
    mine.check()  # the one that woke up has seen that it is another's now, and left it alone
    mine.release()


def test_a_session_of_another_machine_is_judged_by_its_counter_and_by_no_clock(tmp_path):
    far = Holder("token", "colab", os.getpid(), "another1", "2031-01-01", 7, 5, "2031-01-01")
    (tmp_path / LEASE).write_text(json.dumps(asdict(far)))
    os.utime(tmp_path / LEASE, (0, 0))
    began = time.monotonic()
    mine = Lease(tmp_path)
    assert time.monotonic() - began > lease.SILENT and mine.predecessor == far
    mine.release()


def test_who_is_taken_over_learns_it_and_writes_again_when_the_other_has_ended(tmp_path):
    said = []
    first = Lease(tmp_path, say=said.append)
    second = Lease(tmp_path, take_over=True)
    with pytest.raises(TakenOver, match="another session has taken this run over"):
        first.check()
    wait_until(lambda: said)
    assert "Nothing more is written there" in said[0]
    second.check()
    second.release()
    wait_until(lambda: len(said) == 2)
    assert "writes there again" in said[1]
    first.check()
    first.release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage", [b"", b'{"token": "x', b"[" * 100_000, b'{"token": 5}', b"\xff\xfe", b'{"pid": "x"}']
)
def test_a_damaged_note_is_waited_out_and_written_anew(tmp_path, damage):
    (tmp_path / LEASE).write_bytes(damage)
    mine = Lease(tmp_path, say=lambda line: None)
    assert read_holder(tmp_path).token == mine.token
    (tmp_path / LEASE).write_bytes(damage)
    wait_until(lambda: step_of(tmp_path) is not None)
    mine.check()
    mine.release()


def test_a_note_of_wrong_kinds_tells_nothing(tmp_path):
    good = Holder("token", "host", 5, "0123abcd", "today")
    for wrong in ({"pid": "5"}, {"pid": 10**30, "token": 5}, {"counter": True}):
        (tmp_path / LEASE).write_text(json.dumps(asdict(replace(good, **wrong))))
        with pytest.raises(lease.DamagedLease):
            read_holder(tmp_path)


def test_a_folder_that_is_away_is_not_free(tmp_path):
    with pytest.raises(OSError):
        Lease(tmp_path / "unmounted")
    mine = Lease(tmp_path)
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    with pytest.raises(OSError) as told:
        mine.check()
    assert not isinstance(told.value, TakenOver)
    mine.release()


def wait_until(happened) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)
