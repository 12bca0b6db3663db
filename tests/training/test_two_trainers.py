"""Two machines train one run on one bad Drive: started twice, taken over, killed, cut off, delayed, resumed.

Whatever they do to each other, what is furthest on Drive stays there until something further is, no disk ends with
less than the furthest that a session had saved on it (but for one interval), nothing damaged is loaded, and a last
session on a good Drive ends as a run that nothing happened to.

LIPGAN_THOROUGH=1 makes it 100 runs.
"""

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from bad_drive import bad_drive, why_not
from sessions import SAVE_EVERY, TINY, assert_equal, kill, log_lines, read_report, start_session

from lipgan_colab.training.checkpoint import find_checkpoints, is_whole, load_newest_checkpoint
from lipgan_colab.training.lease import LEASE

RUNS = range(int(os.environ.get("LIPGAN_SEEDS", 100 if os.environ.get("LIPGAN_THOROUGH") else 2)))
CONFIG = replace(TINY, steps=24, adversarial=False, quality_weight=0.0)
KINDS = ("eio", "enotconn", "stall", "enospc", "short", "lost")
ACTIONS = 5  # sessions begun, and sessions killed
SHUT = 300  # seconds after which a session counts as hanging

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"no FUSE file system here: {why_not()}")


@dataclass
class Machine:
    """A machine with a disk of its own, and Drive as it sees it."""

    name: str
    folder: Path
    sessions: list = field(default_factory=list)

    @property
    def drive(self) -> Path:
        return self.folder / "drive"

    @property
    def local(self) -> Path:
        return self.folder / "run"

    @property
    def running(self):
        """The session at work, if there is one."""
        return next((s for s in self.sessions[-1:] if s.is_alive()), None)

    def start(self, shards: Path, **options) -> None:
        self.folder.mkdir(exist_ok=True)
        report = self.folder / f"report-{len(self.sessions)}.json"
        machine = f"{self.name * 8:.8}"  # as files.machine tells it
        options |= {"pictures": False, "drive_minutes": 0.02, "machine": machine}
        self.sessions.append(start_session(shards, self.drive / "run", self.local, report, CONFIG, **options))

    def told(self) -> dict:
        """What the last session told."""
        return read_report(self.folder / f"report-{len(self.sessions) - 1}.json")


@pytest.fixture(scope="module")
def straight(drawn_shards, tmp_path_factory) -> Path:
    """A run that nothing happened to."""
    run = tmp_path_factory.mktemp("straight")
    start_session(drawn_shards, run, run, run / "report.json", CONFIG, pictures=False).join(SHUT)
    assert read_report(run / "report.json")["end"] == "done"
    return run


def draw_faults(rng: random.Random) -> list[tuple[str, int, int]]:
    """None to three: while it is resumed, or later."""
    faults = []
    for kind in rng.choices(KINDS, k=rng.randrange(4)):
        start = rng.randrange(30) if rng.random() < 0.5 else rng.randrange(400)
        faults.append((kind, start, start + rng.randrange(1, 80)))
    return faults


def saved(*folders: Path) -> int:
    """The furthest step of which there is a whole checkpoint."""
    while True:
        try:
            return max((c.step for f in folders for c in find_checkpoints(f / "checkpoints") if is_whole(c)), default=0)
        except FileNotFoundError:
            time.sleep(0.01)  # the other machine, still at work, has pruned it since it was listed


@contextmanager
def never_less(folder: Path) -> Iterator[None]:
    """Watches all the time that the furthest checkpoint in a folder is gone only when one that is further is there."""
    ended, losses = threading.Event(), []

    def watch() -> None:
        most = 0
        while not ended.wait(0.005):
            now = max((c.step for c in find_checkpoints(folder / "checkpoints")), default=0)
            if now < most:
                losses.append((most, now))
            most = now

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert losses == []


@pytest.mark.parametrize("seed", RUNS)
def test_two_machines_cost_each_other_nothing(seed, straight, drawn_shards, tmp_path):
    rng = random.Random(seed)
    drive, machines = tmp_path / "drive", [Machine(name, tmp_path / name) for name in "ab"]
    faults = {machine.name: draw_faults(rng) for machine in machines}
    furthest = {place: 0 for place in (drive / "run", *(m.local for m in machines))}
    print(f"seed {seed}: {faults}")

    def look() -> None:
        """After a session has stopped."""
        for place in furthest:
            now = saved(place)
            assert now >= furthest[place] - SAVE_EVERY, (seed, place, now, furthest)
            furthest[place] = max(now, furthest[place])

    with ExitStack() as stack:
        stack.enter_context(never_less(drive / "run"))
        for machine in machines:
            stack.enter_context(bad_drive(drive, machine.drive, faults[machine.name]))
        for _ in range(ACTIONS):
            machine = rng.choice(machines)
            running = machine.running
            if running is None:
                machine.start(drawn_shards, pause=rng.choice((0.02, 0.2)), take_over=rng.random() < 0.5)
            else:
                kill(running)
                look()
            time.sleep(rng.uniform(0, 2.5))
        deadline = time.monotonic() + SHUT
        for machine in machines:
            while machine.running is not None:
                assert time.monotonic() < deadline, (seed, f"a session on {machine.name} hangs")
                time.sleep(0.02)
        look()

    last = rng.choice(machines)
    there = saved(drive / "run", last.local)
    with bad_drive(drive, last.drive):
        last.start(drawn_shards)
        last.sessions[-1].join(SHUT)
    told = last.told()
    assert (told["end"], told["from"]) == ("done", there), (seed, told)
    look()
    _, expected = load_newest_checkpoint(straight / "checkpoints")
    _, found = load_newest_checkpoint(drive / "run" / "checkpoints")
    assert found["step"] == CONFIG.steps
    assert_equal(expected["networks"], found["networks"])
    for place in (drive / "run", last.local):
        assert log_lines(place) == log_lines(straight)
        assert not (place / LEASE).exists()
