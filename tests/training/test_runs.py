"""What a run's folder tells: its log, its configuration, its status."""

import csv
import json
import math
import os
from dataclasses import asdict, fields

import pytest
import torch

from lipgan_colab.errors import InputError
from lipgan_colab.files import machine
from lipgan_colab.training.checkpoint import find_checkpoints, write_checkpoint
from lipgan_colab.training.lease import LEASE, Holder, Lease
from lipgan_colab.training.runs import (
    BEFORE_THERE_WAS,
    LOG_FIELDS,
    Log,
    ago,
    check_config,
    read_config,
    read_log,
    status,
    write_config,
)
from lipgan_colab.training.step import TrainConfig

CPU = torch.device("cpu")


def reported(value: float, skipped: float = 0) -> dict:
    return {"l1": torch.tensor(value), "skipped": torch.tensor(skipped)}


def test_a_line_holds_means_and_the_number_of_skipped_steps(tmp_path):
    log = Log(tmp_path / "log.csv")
    log.start()
    for value in (1.0, 2.0, 6.0):
        log.add(reported(value))
    log.add({"skipped": torch.tensor(1.0)})
    assert log.write(step=4) == {"l1": 3.0, "skipped": 1.0}
    (line,) = read_log(tmp_path / "log.csv")
    assert (line["step"], line["l1"], line["skipped"], line["adversarial"]) == ("4", "3.000000", "1.000000", "")
    assert tuple(line) == LOG_FIELDS


def test_a_resumed_log_has_no_line_twice_and_none_missing(tmp_path):
    straight, broken = Log(tmp_path / "straight.csv"), Log(tmp_path / "broken.csv")

    def work(log: Log, first: int, last: int):
        for step in range(first, last):
            log.add(reported(step / 7))
            if step % 3 == 2:
                log.write(step=step + 1)

    straight.start()
    broken.start()
    work(straight, 0, 12)
    work(broken, 0, 7)  # in the middle of a line
    state = broken.state()
    work(broken, 7, 10)
    resumed = Log(tmp_path / "broken.csv")
    resumed.load(state, CPU)
    resumed.start()
    work(resumed, 7, 12)
    assert (tmp_path / "broken.csv").read_text() == (tmp_path / "straight.csv").read_text()


def test_a_line_that_the_disk_does_not_take_follows_later(tmp_path):
    log = Log(tmp_path / "folder" / "log.csv")
    log.start()
    log.path.unlink()
    log.path.mkdir()  # nothing can be written under this name
    log.add(reported(1.0))
    with pytest.warns(UserWarning, match="Is a directory"):
        log.write(step=1)
    log.path.rmdir()
    log.add(reported(2.0))
    log.write(step=2)
    assert [line["step"] for line in read_log(log.path)] == ["1", "2"]


def test_a_log_that_was_deleted_meanwhile_is_written_whole_again(tmp_path):
    log = Log(tmp_path / "log.csv")
    log.start()
    for step in (1, 2):
        log.add(reported(1.0))
        log.write(step=step)
        if step == 1:
            log.path.unlink()
    assert [line["step"] for line in read_log(log.path)] == ["1", "2"]


def test_other_processes_write_no_log():
    log = Log(None)
    log.add(reported(1.0))
    assert log.write(step=1)["l1"] == 1


def test_what_differs_is_named_and_what_may_differ_is_not(tmp_path):
    before = {**asdict(TrainConfig()), "clips": "abc"}
    check_config(tmp_path, before, {**before, "steps": 7})
    check_config(tmp_path, {}, before)
    with pytest.raises(InputError, match=r"width was 1.0 and is 0.5, seed was 0 and is 3; set it back.*start it from"):
        check_config(tmp_path, before, {**before, "width": 0.5, "seed": 3})
    with pytest.raises(InputError, match="made of other clips"):
        check_config(tmp_path, before, {**before, "clips": "xyz"})


FIRST_FIELDS = {
    *("steps", "batch_size", "width", "speech", "adversarial", "lip_weight", "adversarial_weight", "learning_rate"),
    *("warmup", "ema", "augment", "seed"),
}


def test_a_field_that_a_run_lacks_is_what_it_was_before_there_was_such_a_field(tmp_path):
    now = {**asdict(TrainConfig()), "clips": "abc"}
    older = {name: value for name, value in now.items() if name not in BEFORE_THERE_WAS}
    check_config(tmp_path, older, {**now, **BEFORE_THERE_WAS})
    with pytest.raises(InputError, match=r"edge_weight was 0\.0 and is 1\.0"):
        check_config(tmp_path, older, {**now, **BEFORE_THERE_WAS, "edge_weight": 1.0})
    # A new field of the configuration needs its entry: runs without it go on as they were begun.
    assert {field.name for field in fields(TrainConfig)} == FIRST_FIELDS | set(BEFORE_THERE_WAS)


def test_a_run_of_a_newer_version_is_not_guessed_at(tmp_path):
    now = {**asdict(TrainConfig()), "clips": "abc"}
    with pytest.raises(InputError, match="newer version, which has sharpness; update"):
        check_config(tmp_path, {**now, "sharpness": 2}, now)


def test_a_configuration_that_cannot_be_is_one_line():
    for wrong in ({"steps": 0}, {"width": 0.0}, {"balance": 7.0}, {"ema": math.nan}, {"clip": -1.0}, {"warmup": -1}):
        with pytest.raises(InputError, match=rf"{next(iter(wrong))} .*: it must be"):
            TrainConfig(**wrong)


def test_a_damaged_config_is_not_the_end(tmp_path):
    write_config(tmp_path, {"width": 1})
    assert read_config(tmp_path) == {"width": 1}
    (tmp_path / "config.json").write_text('{"wid')
    with pytest.warns(UserWarning, match="cannot be read"):
        assert read_config(tmp_path) is None
    assert read_config(tmp_path / "missing") is None


@pytest.fixture
def run(tmp_path):
    """A run of 100 steps, 50 of which are done."""
    run = tmp_path / "run"
    write_config(run, {**asdict(TrainConfig(steps=100, batch_size=4)), "clips": ""})
    for step in (40, 50):
        write_checkpoint(run / "checkpoints", step, {"step": step, "w": torch.zeros(300_000)})
    with (run / "log.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, LOG_FIELDS, restval="")
        writer.writeheader()
        writer.writerow(dict(step=52, samples=208, minutes="90.0", samples_per_second="2.0", l1="0.0312"))
    return run


def test_status_says_where_a_run_stands(run):
    text = status(run)
    assert "step 52 of 100 (52%), 208 samples, 1.5 hours of training; l1 0.0312" in text
    assert "2.0 samples/s; 1 minute to go" in text
    assert "step 50, less than a minute ago, 1 MB, whole" in text
    assert "resume   yes: the same train command goes on from step 50" in text
    assert len(text.splitlines()) == 6
    write_config(run, asdict(TrainConfig(steps=45, batch_size=4)))  # begun again with fewer steps than it had done
    text = status(run)
    assert "2.0 samples/s; done" in text and "resume   done, at step 50 of 45; the same command with more steps" in text


def test_status_knows_damaged_ones_and_both_places(run, tmp_path):
    newest = find_checkpoints(run / "checkpoints")[0].path
    newest.write_bytes(newest.read_bytes()[:-100])
    text = status(run, tmp_path / "local")
    assert "DAMAGED" in text and "goes on from step 40" in text
    write_checkpoint(tmp_path / "local" / "checkpoints", 50, {"step": 50})
    assert "goes on from step 50" in status(run, tmp_path / "local")
    for checkpoint in find_checkpoints(run / "checkpoints"):
        checkpoint.path.write_bytes(b"")
    assert "resume   no: none of its checkpoints is whole; put back an earlier copy" in status(run)


def test_status_tells_which_session_is_at_work(run):
    lease = Lease(run)
    assert f"session  {os.uname().nodename} (process {os.getpid()}), since 20" in status(run)
    lease.release()
    assert "session" not in status(run)
    dead = asdict(Holder("token", "here", 1 << 22, machine(), "2026-01-01"))
    (run / LEASE).write_text(json.dumps(dead))
    assert "session  none; one ended without a word: here (process 4194304)" in status(run)


def test_status_bears_files_that_were_edited(run):
    (run / "config.json").write_text('{"steps": "many"}')
    (run / "log.csv").write_text("step,samples\nx,y\n")
    assert "at       the last line of its log.csv cannot be read" in status(run)
    with pytest.warns(UserWarning, match="cannot be read"):
        for text in ("5", "[" * 100_000, "\x00"):
            (run / "config.json").write_text(text)
            assert "resume   yes" in status(run)


def test_status_tells_of_one_folder_once(run, monkeypatch):
    monkeypatch.chdir(run.parent)
    assert status(run.name, run).count("step 50, ") == 1


def test_status_of_no_run_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no run here"):
        status(tmp_path)


def test_time_spans_in_words():
    assert [ago(s) for s in (5, 60, 150, 3600, 90_000)] == [
        "less than a minute",
        "1 minute",
        "2 minutes",
        "1 hour",
        "1 day",
    ]
