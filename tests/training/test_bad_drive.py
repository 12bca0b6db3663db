"""Training on a Drive that fails in every way it can: a real (FUSE) file system that does so on a schedule.

Every run is cut into sessions: the first on a bad Drive, killed at a random moment or not; then perhaps the machine is
lost with its disk, perhaps Drive has only half of the newest file; then the same command again. Whatever happened, the
end is the same, bit by bit, as that of a run that nothing happened to.

LIPGAN_THOROUGH=1 makes it 200 runs.
"""

import os
import random
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from bad_drive import bad_drive, why_not
from sessions import SAVE_EVERY, TINY, assert_equal, kill, log_lines, read_report, start_session

from lipgan_colab.models.weights import load_generator
from lipgan_colab.training.checkpoint import find_checkpoints, is_whole, load_newest_checkpoint

RUNS = 200 if os.environ.get("LIPGAN_THOROUGH") else 2
CONFIG = replace(TINY, steps=6, adversarial=False)
KINDS = ("enospc", "lost", "enotconn", "eio", "short", "stall", "eio")
SHUT = 300  # seconds after which a session counts as hanging

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"no FUSE file system here: {why_not()}")


@dataclass
class Places:
    """Where a run has its files."""

    shards: Path
    mount_point: Path  # Drive, as the training sees it
    drive: Path  # what it really holds
    local: Path
    report: Path


@pytest.fixture(scope="module")
def straight(drawn_shards, tmp_path_factory) -> Path:
    """A run that nothing happened to."""
    run = tmp_path_factory.mktemp("straight")
    process = start_session(drawn_shards, run, run, run / "report.json", CONFIG, pictures=False)
    process.join(SHUT)
    assert read_report(run / "report.json")["end"] == "done"
    return run


def draw_faults(rng: random.Random, first: str) -> list[tuple[str, int, int | None]]:
    """One to three faults, each from a random operation on, for a while or for ever."""
    faults = []
    for kind in [first, *rng.choices(KINDS, k=rng.randrange(3))]:
        start = rng.randrange(120)
        long = None if rng.random() < 0.25 and kind != "lost" else start + rng.randrange(1, 60)
        faults.append((kind, start, long))
    return faults


def whole_ones(folder: Path) -> list[int]:
    """The steps of the whole checkpoints in a folder, the newest first."""
    return [c.step for c in find_checkpoints(folder / "checkpoints") if is_whole(c)]


def one_session(places: Places, faults: list, kill_after: float | None = None) -> dict:
    """Train on a Drive with these faults; returns what the session told."""
    places.report.unlink(missing_ok=True)
    with bad_drive(places.drive, places.mount_point, faults):
        run = places.mount_point / "run"
        process = start_session(places.shards, run, places.local, places.report, CONFIG, pictures=False)
        if kill_after is not None:
            deadline = time.monotonic() + SHUT
            while not places.report.exists() and process.is_alive() and time.monotonic() < deadline:
                time.sleep(0.01)
            process.join(kill_after)
        else:
            process.join(SHUT)
        ended = not process.is_alive()
        if not ended:
            kill(process)
        assert ended or kill_after is not None, "the session hangs"
    return read_report(places.report)


def cut_newest_in_half(drive: Path) -> None:
    for checkpoint in find_checkpoints(drive / "run" / "checkpoints")[:1]:
        os.truncate(checkpoint.path, checkpoint.path.stat().st_size // 2)


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_bad_drive_costs_no_more_than_an_interval(seed, straight, drawn_shards, tmp_path):
    rng = random.Random(seed)
    places = Places(drawn_shards, tmp_path / "mnt", tmp_path / "drive", tmp_path / "local", tmp_path / "report.json")
    faults = draw_faults(rng, KINDS[seed % len(KINDS)])
    kill_after = rng.uniform(0, 2.5) if rng.random() < 0.7 else None
    cut, disk_lost = kill_after is not None and rng.random() < 0.4, rng.random() < 0.5
    what = f"seed {seed}: {faults}, killed after {kill_after}, newest cut in half: {cut}, disk lost: {disk_lost}"
    print(what)

    one_session(places, faults, kill_after)
    done = (
        int(log_lines(places.local)[-1]["step"])
        if (places.local / "log.csv").exists() and log_lines(places.local)
        else 0
    )
    on_drive = whole_ones(places.drive / "run")
    on_disk = whole_ones(places.local)
    assert done - max(on_disk, default=0) <= 2 * SAVE_EVERY, what  # one interval, and the steps while it was written
    if cut:
        cut_newest_in_half(places.drive)
        arrived, on_drive = on_drive, whole_ones(places.drive / "run")
        if len(arrived) > 1:
            assert arrived[0] - on_drive[0] <= SAVE_EVERY, what
    if disk_lost:
        shutil.rmtree(places.local, ignore_errors=True)
        on_disk = []
    expected = max(on_drive + on_disk, default=0)

    later = (
        [(kind, start, end or start + 40) for kind, start, end in draw_faults(rng, "eio")] if rng.random() < 0.3 else []
    )
    told = one_session(places, later)
    if told["end"] != "done" and (later or (cut and not on_drive)):
        # A Drive that errs, or holds nothing but half a checkpoint, is not begun anew over: that needs a person.
        assert told["end"].startswith("refused: "), told
        if not later or not (on_drive or on_disk):
            shutil.rmtree(places.drive / "run")
        told = one_session(places, [])
    assert told["end"] == "done", (what, told)
    if not later:
        assert told["from"] == expected, (what, told)

    _, expected = load_newest_checkpoint(straight / "checkpoints")
    _, found = load_newest_checkpoint(places.local / "checkpoints", places.drive / "run" / "checkpoints")
    assert found["step"] == CONFIG.steps
    assert_equal(expected["networks"], found["networks"])
    if not later:
        assert whole_ones(places.drive / "run")[0] == CONFIG.steps, what
    assert log_lines(places.local) == log_lines(straight)
    assert load_generator(told["weights"].replace(str(places.mount_point), str(places.drive))) is not None
