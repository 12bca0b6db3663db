"""A study is trained, judged and compared; killed at any point, it goes on and finds the same."""

import json
import os
import re
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sessions import at_step, kill, start_process, study_session

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation import ablation_pictures, arm_costs, study_judging, study_training, study_waiting
from lipgan_colab.evaluation.ablation import BASE, Ablation, ablate, plan
from lipgan_colab.evaluation.measures import MEASURES
from lipgan_colab.evaluation.scores import VARIANTS, ClipScores, Evaluation, write_csv
from lipgan_colab.evaluation.shown_crops import read_crops
from lipgan_colab.evaluation.study import read_study
from lipgan_colab.evaluation.study_about import about
from lipgan_colab.evaluation.study_material import gather
from lipgan_colab.evaluation.study_runs import runs_of
from lipgan_colab.evaluation.true_clips import Clip, Speech
from lipgan_colab.faces.face_clip import FaceClip
from lipgan_colab.files import make_folder
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.wav2lip import SyncExpert, SyncExpertConfig
from lipgan_colab.models.weights import EXPORT, save_generator, save_network
from lipgan_colab.shards.dataset import LipSyncDataset
from lipgan_colab.synthetic.clips import draw_corpus
from lipgan_colab.training import lease
from lipgan_colab.training.runs import read_log, write_config
from lipgan_colab.training.train import train

ARMS = (BASE, "lips-1")
STEPS = 50 if os.environ.get("LIPGAN_THOROUGH") else 12  # of a run


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
        patch.setattr(study_training, "MEASUREMENTS", 2)
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
        paths += "measures = ['range', 'psnr']\n"  # few, for each is drawn
        base = "[base]\nwidth = 0.02\nbatch_size = 2\naugment = 0\nwarmup = 4\nlearning_rate = 1e-3\n"
        text = f"title = 'Try'\n{paths}[budget]\n{budget}\n{base}[arms.lips-1]\nlip_weight = 1\n{more}"
        (tmp_path / "study.toml").write_text(text)
        return Place(tmp_path / "study.toml", tmp_path / "out")

    return make


def killed_as_soon_as(place: Place, there) -> None:
    """kill -9 a session when something is there."""
    process = start_process(study_session, place.study, place.out)
    while process.is_alive() and not there():
        time.sleep(0.005)
    assert process.is_alive(), "it was over before it could be killed"
    kill(process)


def test_killed_and_stopped_it_goes_on_and_finds_the_same(place, tmp_path, monkeypatch):
    asked = place(seeds="[0]")
    straight = Place(asked.study, tmp_path / "straight")
    done = straight.run()
    assert [(run.arm, run.seed, run.steps, run.missing) for run in done.runs] == [(arm, 0, STEPS, "") for arm in ARMS]
    # Within a run, of which nothing is saved yet; then while the run is judged.
    log = asked.out / "runs/base/seed-0/log.csv"
    killed_as_soon_as(asked, lambda: len(read_log(log)) > 3)
    killed_as_soon_as(asked, (asked.out / "judged/base/seed-0").exists)
    at_step(monkeypatch, STEPS // 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    stopped = asked.run()
    monkeypatch.undo()
    assert "stopped in lips-1, seed 0, after step" in stopped.stopped and "run the same again" in str(stopped)
    assert [run.missing for run in stopped.runs] == ["", "not finished"]
    assert "not finished" in stopped.page.read_text()

    kept = {path: path.stat().st_mtime_ns for path in asked.out.rglob("base/seed-0/**/*") if path.is_file()}
    again = asked.run()
    assert not again.stopped and not any(run.missing for run in again.runs)
    assert (asked.out / "ablation.csv").read_bytes() == (straight.out / "ablation.csv").read_bytes()
    assert the_table(again) == the_table(done)
    assert kept and {path: path.stat().st_mtime_ns for path in kept} == kept, "what was done was done again"
    crops = cv2.imread(str(again.runs[0].frames))
    assert crops.shape == cv2.imread(str(asked.out / "judged/shown.png")).shape == (96, 8 * 96, 3)


def the_table(found: Ablation) -> str:
    return re.search(r"## Differences to the base.*?(?=\n##)", found.page.read_text(), re.DOTALL)[0]


class Others:
    """In the place of `train` and `judge`: what they leave behind, in no time. The page gets no pictures, which have
    tests of their own.

    Attributes:
        asked: the runs that were to be trained, also those that others are at work on.
        begun, judged: the runs that were trained (and from what), and judged.
        fails, in_use: a run's folder's end, and what then happens, once each.
    """

    def __init__(self, monkeypatch):
        self.asked: list[str] = []
        self.begun: list[tuple[str, str | None]] = []
        self.judged: list[str] = []
        self.fails: dict[str, str] = {}
        self.in_use: dict[str, int] = {}
        self.network = LipGANGenerator(GeneratorConfig(0.02))
        monkeypatch.setattr(study_training, "train", self.train)
        monkeypatch.setattr(study_judging, "judge", self.judge)
        monkeypatch.setattr(study_judging, "ready_generator", lambda export, device: export)
        for name, picture in {"measures": b"", "curves": None, "frames": None}.items():
            monkeypatch.setattr(ablation_pictures, f"{name}_picture", lambda *_, picture=picture: picture)
        monkeypatch.setattr(study_waiting, "LOOK_AGAIN", 0.01)

    def train(self, shards, run, config, device, start_from, *_, **options):
        name = f"{run.parent.name}/{run.name}"
        self.asked.append(name)
        if self.in_use.get(name):
            self.in_use[name] -= 1
            raise lease.InUse(f"{run}: another session trains this run")
        if name in self.fails:
            raise InputError(f"{run}: {self.fails[name]}")
        self.begun.append((name, start_from and start_from.parent.parent.name))
        about = {"step": config.steps}
        save_generator(run / EXPORT, self.network, about)
        write_config(run, asdict(config) | {"sync_expert": None, "clips": LipSyncDataset(shards).fingerprint})
        return run / EXPORT

    def judge(self, export, out, truth, seen):
        name = f"{out.parent.name}/{out.name}"
        assert export == out.parents[2] / "runs" / name / EXPORT
        self.judged.append(name)
        values = dict.fromkeys(MEASURES, 1.0)
        clips = [
            ClipScores(clip.id, clip.speaker, 9, 0.0, dict.fromkeys(VARIANTS, values), {}) for clip in truth.utterances
        ]
        face = FaceClip(np.zeros((9, 192, 192, 3), np.uint8), np.zeros((9, 478, 2), np.float32))
        for clip in truth.utterances:
            seen(Clip(Speech(clip, np.zeros(9)), 0.0, face, face), face)
        evaluation = Evaluation(make_folder(out), clips, [])
        write_csv(evaluation)
        return evaluation


@pytest.fixture
def others(monkeypatch):
    return Others(monkeypatch)


def test_every_seed_is_whole_before_the_next_and_its_beginning_is_trained_once(place, others):
    found = place("[start]\nsteps = 7\n").run()
    names = [f"{arm}/seed-{seed}" for seed in (0, 1) for arm in ("start", *ARMS)]
    assert others.begun == [(name, None if name.startswith("start") else "start") for name in names]
    assert "lips-1: cannot tell: all" in str(found) and "start" not in [run.arm for run in found.runs]
    place("[start]\nsteps = 7\n").run()
    assert len(others.begun) == 6 and len(others.judged) == 4
    again = found.folder / "runs/lips-1/seed-0" / EXPORT
    save_generator(again, LipGANGenerator(GeneratorConfig(0.02)), {"step": STEPS})
    (found.folder / "judged/base/seed-1/judged.json").unlink()
    now = place("[start]\nsteps = 7\n").run(rank=1, world_size=4)
    assert [run.missing for run in now.runs] == ["", "", "not judged", ""]
    assert others.judged[4:] == ["lips-1/seed-0"], "what is said of other weights stays"


def test_a_run_that_fails_is_told_and_the_others_go_on(place, others):
    others.fails["lips-1/seed-0"] = "50 steps in a row had no finite gradient"
    found = place().run()
    assert [run.missing != "" for run in found.runs] == [False, True, False, False]
    assert "no finite gradient" in str(found) and "no finite gradient" in found.page.read_text()
    others.fails.clear()
    assert not any(run.missing for run in place().run().runs)
    others.fails |= {f"{arm}/seed-5": "it diverged" for arm in ARMS}
    with pytest.raises(InputError, match=r"none of its runs could be made \(.*it diverged"):
        place(seeds="[5]").run()


def test_several_machines_share_the_runs_and_wait_for_what_they_share(place, others, capsys):
    others.in_use["start/seed-0"] = 3
    first = place("[start]\nsteps = 7\n").run(rank=1, world_size=2)
    assert others.begun[:2] == [("start/seed-1", None), ("lips-1/seed-1", "start")], "others are done first"
    assert [run.missing for run in first.runs] == ["not begun", "", "not begun", ""]
    assert "waiting: " in capsys.readouterr().out
    assert "not begun" in first.page.read_text()
    second = place("[start]\nsteps = 7\n").run(rank=0, world_size=2)
    assert not any(run.missing for run in second.runs) and len(others.begun) == 6


def test_a_beginning_in_use_is_asked_for_once_and_not_by_each_of_its_arms(place, others):
    others.in_use["start/seed-0"] = 2
    place("[start]\nsteps = 7\n").run()
    assert others.asked[:2] == ["start/seed-0", "start/seed-1"]


def test_another_session_that_never_gets_on_is_not_waited_for_for_ever(place, others, monkeypatch):
    monkeypatch.setattr(study_waiting, "LONGEST_WAIT", 0.05)
    others.in_use["base/seed-0"] = 10**6
    with pytest.raises(InputError, match="another session trains this run; nothing has moved"):
        place().run()


def test_a_study_that_says_otherwise_now_is_refused(place, others):
    asked = place()
    asked.run()
    asked.study.write_text(asked.study.read_text().replace("lip_weight = 1", "lip_weight = 2"))
    with pytest.raises(InputError, match=r"lip_weight was 1.0 and is 2.0.*says otherwise of lips-1 now"):
        asked.run()
    with pytest.raises(InputError, match=rf"base was begun with {STEPS} steps, and the study now gives it 60"):
        place(budget="samples = 120").run()


def test_nobody_is_judged_by_whom_he_learns_from(place, drawn_videos, clips, tmp_path):
    text = place().study.read_text()
    for videos, told in (
        (drawn_videos, r"0_00\.mp4 is to judge, and the arms learn from a clip of that name"),
        (tmp_path / "none", "no such folder"),
    ):
        Path(tmp_path / "study.toml").write_text(text.replace(str(clips), str(videos)))
        with pytest.raises(InputError, match=told):
            ablate(tmp_path / "study.toml", tmp_path / "out", "cpu")
    for more, told in (
        ("held_out = ['anna']\n", "has no 'anna'"),
        ("sync_expert = 'expert'\n", "nobody marks his own work"),
    ):
        arm = "[arms.sync]\nsync_weight = 0.03\nbatch_size = 10" if "expert" in more else ""
        Path(tmp_path / "study.toml").write_text(more + text + arm)
        with pytest.raises(InputError, match=told):
            ablate(tmp_path / "study.toml", tmp_path / "out", "cpu")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[arms.large]\nface_size = 192", r"study\.toml: \[arms\.large\]: .*holds faces of 96 pixels"),
        ("[arms.many]\nbatch_size = 1000000000", r"study\.toml: \[arms\.many\]: .*frames; take at most"),
        ("start_from = 'starter'", r"study\.toml: \[base\]: starter: is no LipGAN generator, but a motion network"),
        ("start_from = 'lipgan-starter'", r"study\.toml: \[base\]: lipgan-starter: does not fit the run: width"),
        ("syncnet = 'nowhere'", r"study\.toml: .*nowhere"),
        ("held_out = ['0', '1', '2', '3']", r"study\.toml: held_out: "),
    ],
)
def test_what_cannot_be_trained_or_judged_is_said_before_anything_is_trained(place, others, more, told):
    asked = place()
    text = asked.study.read_text()
    asked.study.write_text(f"{text}{more}\n" if more.startswith("[") else f"{more}\n{text}")
    for ask in (asked.run, lambda: plan(asked.study, asked.out, "cpu")):
        with pytest.raises(InputError, match=told):
            ask()
    assert not others.begun


@pytest.mark.parametrize(("name", "told"), [("shard-00000.safetensors", "shards"), ("checkpoints", "a run")])
def test_a_folder_of_something_else_is_not_taken_for_a_study(place, name, told):
    asked = place()
    (make_folder(asked.out) / name).touch()
    for ask in (asked.run, lambda: plan(asked.study, asked.out, "cpu")):
        with pytest.raises(InputError, match=rf"out: this folder holds {told}; give the study"):
            ask()


def test_seconds_become_steps_once(place, others, monkeypatch):
    monkeypatch.setattr(arm_costs, "ROUNDS", 1)
    counted = []
    step = arm_costs.train_step
    monkeypatch.setattr(arm_costs, "train_step", lambda n, *a: counted.append(n.sync_counts) or step(n, *a))
    sync = "[arms.sync]\nsync_weight = 0.03\nbatch_size = 10\nsync_runs = 1\n"
    asked = place(sync, seeds="[0]", budget="seconds = 3")
    expert = tmp_expert(asked.study.parent / "expert.safetensors")
    asked.study.write_text(f"sync_expert = '{expert}'\n{asked.study.read_text()}")
    planned = plan(asked.study, asked.out, "cpu")
    assert counted == [False] * 6 + [True] * 3, "what is timed is not what is trained"
    costs = json.loads((asked.out / "costs.json").read_text())["arms"]
    assert planned.steps == {name: round(3 / cost["seconds_per_step"]) for name, cost in costs.items()}
    assert planned.steps["sync"] < planned.steps["base"] and "base" in str(planned)
    assert {run.arm: run.steps for run in asked.run().runs} == planned.steps and len(counted) == 9


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"x"), os.unlink])
def test_true_frames_that_are_damaged_or_gone_are_made_anew(place, others, damage, capsys):
    asked = place(seeds="[0]")
    asked.run()
    damage(asked.out / "judged" / "shown.png")
    assert asked.run().page and others.judged == ["base/seed-0", "lips-1/seed-0", "base/seed-0"]
    assert list(read_crops(asked.out / "judged" / "shown.png")) and "is judged again" in capsys.readouterr().out
    damage(asked.out / "judged" / "shown.png")
    assert asked.run(rank=5, world_size=6).page, "another machine's runs are not in the way of the page"


def test_from_when_an_experts_verdict_counted_is_told_once_for_the_seeds_that_are_alike(place):
    asked = place("[arms.sync]\nsync_weight = 0.03\nbatch_size = 10\nsync_runs = 1\n", seeds="[0, 1, 2, 3]")
    expert = tmp_expert(asked.study.parent / "expert.safetensors")
    asked.study.write_text(f"sync_expert = '{expert}'\n{asked.study.read_text()}")
    for seed, since in ((0, 5), (1, 9), (2, 5)):
        log = make_folder(asked.out / f"runs/sync/seed-{seed}") / "log.csv"
        log.write_text("\n".join(["step,sync_counts", *(f"{n},{float(n >= since)}" for n in range(1, 12)), ""]))
    material = gather(read_study(asked.study), asked.out, torch.device("cpu"))
    runs = runs_of(material.study, asked.out, {"base": 11, "lips-1": 11, "sync": 11})
    told = [line.split(" (")[0] for line in about(material, runs.values()) if "verdict" in line]
    assert told == [
        "sync, seed 0, 2: the sync expert's verdict counted from step 5 on",
        "sync, seed 1: the sync expert's verdict counted from step 9 on",
    ], "of a run that is not begun nothing is known"


def tmp_expert(path: Path) -> Path:
    """An expert that nobody has taught."""
    save_network(path, SyncExpert(SyncExpertConfig(0.1)))
    return path
