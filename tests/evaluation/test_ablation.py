"""A study is trained, judged and compared; killed at any point, it goes on and finds the same."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from sessions import kill, start_process, study_session

from lipgan_colab.evaluation import ablation
from lipgan_colab.evaluation.ablation import BASE, Ablation, ablate
from lipgan_colab.evaluation.arm_results import read_results
from lipgan_colab.models import losses
from lipgan_colab.synthetic.clips import draw_corpus
from lipgan_colab.training.runs import read_log
from lipgan_colab.training.train import train

ARMS = (BASE, "lips-1")
STEPS = 50


@dataclass(frozen=True)
class Place:
    """A study's file, and where its results are to go."""

    study: Path
    out: Path

    def run(self, **options) -> Ablation:
        return ablate(self.study, self.out, "cpu", **options)


@pytest.fixture(scope="module", autouse=True)
def small_measures():
    """What measures a run while it is trained costs more than these runs do."""
    module = sys.modules[train.__module__]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHOWN", 1)
        patch.setattr(module, "MEASURED", 1)
        patch.setattr(ablation, "MEASUREMENTS", 2)
        yield


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """A clip of a stranger."""
    folder = tmp_path_factory.mktemp("judged")
    draw_corpus(folder / "stranger", clips=1, identities=1, seconds=0.5)
    return folder


@pytest.fixture
def place(drawn_shards, clips, tmp_path):
    """`place(more, steps)`: a study of two arms and two seeds, with more lines in its file."""

    def make(more: str = "", seeds: str = "[0, 1]", budget: str = f"steps = {STEPS}") -> Place:
        paths = f"shards = '{drawn_shards}'\nvideos = '{clips}'\nseeds = {seeds}\n"
        base = "[base]\nwidth = 0.02\nbatch_size = 2\naugment = 0\nwarmup = 4\nlearning_rate = 1e-3\n"
        text = f"title = 'Try'\n{paths}[budget]\n{budget}\n{base}[arms.lips-1]\nlip_weight = 1\n{more}"
        (tmp_path / "study.toml").write_text(text)
        return Place(tmp_path / "study.toml", tmp_path / "out")

    return make


def at_step(monkeypatch, number: int, work) -> None:
    """Do something in the midst of a step, once."""
    loss, calls = losses.l1, []

    def l1(*arguments):
        calls.append(None)
        if len(calls) == number:
            work()
        return loss(*arguments)

    monkeypatch.setattr(losses, "l1", l1)


def killed_as_soon_as(place: Place, there) -> None:
    """kill -9 a session when something is there."""
    process = start_process(study_session, place.study, place.out)
    while process.is_alive() and not there():
        time.sleep(0.005)
    assert process.is_alive(), "it was over before it could be killed"
    kill(process)


def test_killed_and_stopped_it_goes_on_and_finds_the_same(place, tmp_path, monkeypatch, capsys):
    asked = place()
    straight = Place(asked.study, tmp_path / "straight")
    done = straight.run()
    assert [(run.arm, run.seed, run.steps, run.missing) for run in done.runs] == [
        (arm, seed, STEPS, "") for seed in (0, 1) for arm in ARMS
    ]
    # Within a run, of which nothing is saved yet; then while the run is judged.
    log = asked.out / "runs/base/seed-0/log.csv"
    killed_as_soon_as(asked, lambda: len(read_log(log)) > 3)
    killed_as_soon_as(asked, (asked.out / "judged/base/seed-0").exists)
    at_step(monkeypatch, STEPS // 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    stopped = asked.run()
    monkeypatch.undo()
    assert "stopped in lips-1, seed 0, after step" in stopped.stopped and "run the same again" in str(stopped)
    assert [run.missing for run in stopped.runs] == ["", "not finished", "not begun", "not begun"]
    judged = sorted(asked.out.glob("judged/base/*/*"))
    before = [path.stat().st_mtime_ns for path in judged]

    again = asked.run()
    assert not again.stopped and not any(run.missing for run in again.runs)
    assert (asked.out / "ablation.csv").read_bytes() == (straight.out / "ablation.csv").read_bytes()
    kept = [path for path in judged if path.parent.name == "seed-0"]
    assert [path.stat().st_mtime_ns for path in kept] == before[: len(kept)], "what was judged was judged again"
    assert {score.arm for score in read_results(again.folder / "ablation.csv")} == set(ARMS)
    crops = cv2.imread(str(again.runs[0].frames))
    assert crops.shape == cv2.imread(str(asked.out / "judged/crops.png")).shape == (96, 8 * 96, 3)
