"""Does it help: every arm of a study trained with every seed, all judged by the same clips, and compared on one page.

Everything is trained by the ordinary `train` and judged as by the ordinary `evaluate`, in a folder of this kind:

    runs/start/seed-0/    the beginning that all arms share, where the study has one
    runs/ARM/seed-0/      a run
    judged/ARM/seed-0/    what `evaluate` writes, crops.png for the page, and judged.json: which export was judged
    costs.json            what a step of each arm takes, where the budget is of seconds
    ablation.md           the page, and what it shows: ablation.csv, pictures
"""

import csv
import hashlib
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from lipgan_colab.corpora.corpus import Utterance, film_of, folder
from lipgan_colab.device import describe
from lipgan_colab.errors import InputError, check_range, counted
from lipgan_colab.evaluation.ablation_page import PAGE, write_page
from lipgan_colab.evaluation.arm_costs import COSTS, are_known, clock, step_costs
from lipgan_colab.evaluation.arm_results import ArmRun, Score
from lipgan_colab.evaluation.comparison import CANNOT_TELL, Difference, compare, verdict
from lipgan_colab.evaluation.evaluate import chosen_clips, judge
from lipgan_colab.evaluation.measures import MEASURES
from lipgan_colab.evaluation.study import BASE, START, Study, read_study
from lipgan_colab.evaluation.syncnet import load_syncnet
from lipgan_colab.evaluation.true_clips import Clip, Judges, TrueClips
from lipgan_colab.faces.face_clip import FaceClip
from lipgan_colab.files import NotWritten, check_place, file_sha256, make_folder, written_whole
from lipgan_colab.generation.setting import ready_generator
from lipgan_colab.models.expert import fingerprint
from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.wav2lip import SyncExpert
from lipgan_colab.models.weights import EXPORT, SYNC_EXPERT, load_expert, load_generator
from lipgan_colab.shards.dataset import LipSyncDataset
from lipgan_colab.shards.preprocess import place_among
from lipgan_colab.training.lease import InUse, read_holder
from lipgan_colab.training.previews import write_picture
from lipgan_colab.training.runs import LOG, check_config, describe_run, exported_step, read_config, read_log
from lipgan_colab.training.step import TrainConfig
from lipgan_colab.training.train import train, training_device

CROPS, JUDGED, COST = "crops.png", "judged.json", "cost.json"
LINES, MEASUREMENTS = 20, 10  # of a run's log, and how often it is measured by what is held out
CLIPS_SHOWN, FRAMES_SHOWN = 4, 8
END = 1 << 20  # bytes at both ends of an export by which it is known
NOBODY = ("", ".")  # how a clip's speaker is called where that is not known
LOOK_AGAIN = 10.0  # seconds, where other sessions are at work on all that is left
LONGEST_WAIT = 3600.0  # seconds for another session that does not get on

Place = tuple[str, int]  # an arm (or START) and a seed


@dataclass(frozen=True)
class Ablation:
    """What came out.

    Attributes:
        folder: that holds it all.
        page: None where nothing can be compared yet.
        runs: all that the study asks for, with those that are missing.
        told: lines for a person: what was found.
        stopped: how to go on, where it was stopped.
    """

    folder: Path
    page: Path | None
    runs: list[ArmRun]
    told: list[str]
    stopped: str = ""

    def __str__(self) -> str:
        missing = [f"missing {run.arm}, seed {run.seed}: {run.missing}" for run in self.runs if run.missing]
        page = [f"page: {self.page}"] if self.page else []
        return "\n".join([*self.told, *missing, *page, *filter(None, [self.stopped])])


@dataclass(frozen=True)
class Plan:
    """What a study will take: by arm (START with them) the steps of a run, and its seconds of computing."""

    title: str
    steps: dict[str, int]
    seconds: dict[str, float]
    seeds: int
    device: str

    def __str__(self) -> str:
        width = max(map(len, self.steps))
        lines = [self.title or "a study", f"on {self.device}; seconds of computing, judging not counted"]
        for arm, steps in self.steps.items():
            every = f"{counted(self.seeds, 'time')} {steps} steps, {self.seconds[arm] / steps:.3g} s each"
            lines.append(f"{arm:{width}}  {every}: {self.seconds[arm] * self.seeds / 3600:.2f} h")
        return "\n".join([*lines, f"{'all':{width}}  {sum(self.seconds.values()) * self.seeds / 3600:.2f} h"])


class _Stopped(Exception):
    """A person, or the machine, wants it to end; the message says where it was."""


def ablate(
    study: str | Path,
    out: str | Path,
    device: str | torch.device | None = None,
    rank: int | None = None,
    world_size: int | None = None,
    workers: int | None = None,
    max_hours: float | None = None,
    precision: str = "auto",
) -> Ablation:
    """Train every arm of a study with every seed, judge them all, and write a page that compares them; the same call
    again goes on where it stopped.

    The page is written anew after each run. A run that fails is told, listed there, and tried again by the next call.

    Args:
        study: the study's file (see `evaluation.study`).
        out: folder that gets the runs, what was judged, and the page.
        device: cuda, cuda:1, mps, cpu; None takes the GPU where there is one, and a Colab without one is refused.
        rank: which of several machines, or GPUs, that share `out` this is, from 0; each takes its own part of the runs.
            None takes 0.
        world_size: how many share the work. None takes 1.
        workers: loader processes; None takes what the device needs.
        max_hours: stop and save after so long, before the session's end does it.
        precision: float32, bfloat16, float16, or auto: the one that is fast on the device.

    Raises:
        InputError: the study says something that cannot be done, or `out` holds runs of another one, or cannot be
            written; or all of the runs failed.
    """
    check_range("max_hours", max_hours, 0)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "ablate: torchrun shares batches, and a study shares runs; start one for each GPU, with `rank` and `device`"
        )
    rank, world_size = place_among(rank, world_size)
    session = _Session(read_study(study), Path(os.path.abspath(out)), training_device(device), precision, workers)
    session.deadline = None if max_hours is None else time.monotonic() + 3600 * max_hours
    stopped = ""
    with tempfile.TemporaryDirectory(prefix="lipgan-truth-") as kept, _terms_interrupt():
        session.kept = Path(kept)
        try:
            session.prepare(rank)
            session.work(session.places[rank::world_size])
        except (_Stopped, KeyboardInterrupt) as stop:
            stopped = f"stopped {stop or 'between two runs'}; run the same again to go on"
            tqdm.write(stopped)
    return session.written(stopped)


def plan(
    study: str | Path,
    out: str | Path,
    device: str | torch.device | None = None,
    precision: str = "auto",
) -> Plan:
    """What a study will take; trains nothing but the few steps by which it is timed, which `out`/costs.json keeps.

    Raises:
        InputError: as `ablate`.
    """
    session = _Session(read_study(study), Path(os.path.abspath(out)), training_device(device), precision, None)
    return session.plan()


@contextmanager
def _terms_interrupt() -> Iterator[None]:
    """Has SIGTERM end what is not a training's loop, which sees to itself, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number, _frame) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Session:
    """One machine's work on a study."""

    def __init__(self, study: Study, out: Path, device: torch.device, precision: str, workers: int | None):
        self.study, self.out, self.device, self.precision, self.workers = study, out, device, precision, workers
        self.deadline: float | None = None
        self.kept: Path | None = None
        self.places: list[Place] = [(arm, seed) for seed in study.seeds for arm in study.names]
        self.steps: dict[str, int] = {}
        self.failed: dict[Place, str] = {}
        self._where: dict[Place, Path] = {}  # exports that did not reach `out`
        held_out = ",".join(study.held_out) or "none"
        self._check_held_out(LipSyncDataset(study.shards))
        self.dataset = LipSyncDataset(study.shards, held_out=held_out)
        self.clips = self._judged_clips()
        self._check_learnt()
        self.expert = load_expert(study.expert, device)
        self.judge = fingerprint(self.expert)
        self.pleased = self._pleased_expert()
        self._truth: TrueClips | None = None

    def _check_held_out(self, dataset: LipSyncDataset) -> None:
        there = {clip["speaker"] for clip in dataset.clips}
        missing = next((speaker for speaker in self.study.held_out if speaker not in there), None)
        if missing is not None:
            known = ", ".join(sorted(there)[:20])
            raise InputError(f"{self.study.path}: held_out: {self.study.shards} has no {missing!r}; it has {known}")

    def _learnt(self) -> list[dict]:
        return [clip for clip in self.dataset.clips if clip["speaker"] not in self.study.held_out]

    def _judged_clips(self) -> list[Utterance]:
        there = folder(self.study.videos)
        return there if self.study.clips is None else chosen_clips(there, self.study.clips, str(self.study.videos))

    def _check_learnt(self) -> None:
        """Nobody is judged by whom he has learnt from."""
        learnt = self._learnt()
        speakers, films = ({clip["speaker"] for clip in learnt}, {film_of(clip["id"]) for clip in learnt})
        for clip in self.clips:
            if clip.speaker not in NOBODY and clip.speaker in speakers:
                raise InputError(
                    f"{self.study.path}: {clip.id} is to judge, and the arms learn from {clip.speaker}; add "
                    "the speaker to held_out, or leave the clip out (clips)"
                )
            if film_of(clip.id) in films and clip.speaker not in self.study.held_out:
                raise InputError(
                    f"{self.study.path}: {clip.id} is to judge, and the arms learn from a clip of that name; judge by "
                    "others (clips), or preprocess without it"
                )

    def _pleased_expert(self) -> SyncExpert | None:
        study, judges, expert = self.study, self.judge, None
        if study.sync_expert is not None:
            expert = load_expert(study.sync_expert, self.device).requires_grad_(False)
            if fingerprint(expert) == judges:
                raise InputError(
                    f"{study.path}: sync_expert: is the one that judges, and nobody marks his own work; give "
                    "another, or another expert to judge"
                )
        if study.start_from is not None:
            about = getattr(load_generator(study.start_from), "about", {})
            if judges in about.get(SYNC_EXPERT, []):
                raise InputError(
                    f"{study.path}: start_from: was trained to please the expert that judges; give another expert"
                )
        return expert

    # What is trained, and how long.

    def config(self, place: Place) -> TrainConfig:
        """How a run is trained."""
        arm, seed = place
        return self.study.config(arm, seed, self.steps.get(arm, 0))

    def run(self, place: Place) -> Path:
        """A run's folder."""
        return self.out / "runs" / place[0] / f"seed-{place[1]}"

    def judged(self, place: Place) -> Path:
        """What is found out about a run."""
        return self.out / "judged" / place[0] / f"seed-{place[1]}"

    def export(self, place: Place) -> Path:
        """A run's generator."""
        return self._where.get(place, self.run(place) / EXPORT)

    def prepare(self, rank: int = 0) -> None:
        """Find out each arm's steps, and whether what is there belongs to the study."""
        check_place(self.out / PAGE)
        self.steps = self._steps(rank)
        seeds = self.study.seeds
        starts = [(START, seed) for seed in seeds] if self.study.start is not None else []
        for place in [*starts, *self.places]:
            self._check_run(place)

    def _steps(self, rank: int) -> dict[str, int]:
        study, amount = self.study, self.study.amount
        if study.budget == "steps":
            return dict.fromkeys(study.names, int(amount))
        arms = self._arms()
        if study.budget == "samples":
            return {name: max(1, round(amount / config.batch_size)) for name, config in arms.items()}
        if rank:
            self._wait_for_costs(arms)
        elif not are_known(self.out / COSTS, arms):
            tqdm.write("each arm is timed, for the budget is of seconds")
        return {name: max(1, round(amount / cost)) for name, cost in self._costs(arms).items()}

    def _arms(self) -> dict[str, TrainConfig]:
        return {name: self.study.config(name, 0, 1) for name in self.study.names}

    def _costs(self, arms: Mapping[str, TrainConfig]) -> dict[str, float]:
        where = (self.study.shards, self.device, self.pleased, self.precision)
        return step_costs(self.out / COSTS, arms, *where)

    def _wait_for_costs(self, arms: Mapping[str, TrainConfig]) -> None:
        """All machines have to take the same steps."""
        began = time.monotonic()
        while not are_known(self.out / COSTS, arms):
            if time.monotonic() - began > LONGEST_WAIT:
                raise InputError(f"{self.out / COSTS}: is still not there; `rank=0` makes it, start that first")
            if began > time.monotonic() - LOOK_AGAIN / 2:
                tqdm.write(f"waiting for {self.out / COSTS}, which `rank=0` makes")
            self._rest(LOOK_AGAIN)

    def _rest(self, seconds: float) -> None:
        if self.deadline is not None and time.monotonic() + seconds > self.deadline:
            raise _Stopped("because the time is up")
        time.sleep(seconds)

    def plan(self) -> Plan:
        """See `plan`."""
        make_folder(self.out)
        arms = self._arms()
        if self.study.start is not None:
            arms[START] = self.study.config(START, 0, 1)
        costs = self._costs(arms)
        self.steps = self._steps(0)
        steps = {name: self.study.config(name, 0, self.steps.get(name, 0)).steps for name in arms}
        seconds = {name: steps[name] * costs[name] for name in arms}
        return Plan(self.study.title, steps, seconds, len(self.study.seeds), describe(self.device))

    def _check_run(self, place: Place) -> None:
        """InputError where what was begun in a run's folder is something else than the study says now."""
        arm, run, config = place[0], self.run(place), self.config(place)
        before = read_config(run)
        if not before:
            return
        now = describe_run(config, self.dataset) | {SYNC_EXPERT: self._pleases(config)}
        cure = f"the study says otherwise of {arm} now: set it back, rename the arm, or choose another folder"
        try:
            check_config(run, before, now, cure)
        except InputError as error:
            raise InputError(str(error)) from error  # it is no flags that are meant
        if before.get("steps", config.steps) != config.steps:
            raise InputError(
                f"{run}: {arm} was begun with {before['steps']} steps, and the study now gives it {config.steps}: "
                "set the budget back, or choose another `out`"
            )

    def _pleases(self, config: TrainConfig) -> str | None:
        return fingerprint(self.pleased) if config.sync_weight else None

    # The work.

    def work(self, places: Sequence[Place]) -> None:
        """Train and judge these, in this order but for those that other sessions are at work on."""
        waiting = _Waiting(self._rest)
        with tqdm(total=len(places), unit="run", desc="study") as progress:
            left = list(places)
            while left:
                in_use: dict[Place, InUse] = {}
                todo, left = left, []
                for place in todo:
                    progress.set_postfix_str(f"{place[0]}, seed {place[1]}")
                    try:
                        new = self._do(place, in_use)
                    except InUse:
                        left.append(place)
                        continue
                    except NotWritten:
                        raise
                    except InputError as error:
                        self.failed[place], new = str(error), True
                        tqdm.write(f"failed: {place[0]}, seed {place[1]}: {error}")
                    if new:
                        self.written()
                    progress.update()
                if len(left) == len(todo):
                    waiting.wait({self.run(place): error for place, error in in_use.items()})
        if places and all(place in self.failed for place in places):
            raise InputError(f"{self.study.path}: none of its runs could be made ({next(iter(self.failed.values()))})")

    def _do(self, place: Place, in_use: dict[Place, InUse]) -> bool:
        """Train and judge a run; False where that was done. InUse where another session is at work on it."""
        arm, seed = place
        if self.is_judged(place):
            return False
        begun, start_from = (START, seed), self.study.start_from
        if self.study.start is not None:
            if begun in in_use:
                raise in_use[begun]
            if begun in self.failed:
                raise InputError(f"what it starts from failed: {self.failed[begun]}")
            self._train(begun, None, in_use)
            start_from = self.export(begun)
        self._train(place, start_from, in_use)
        try:
            self._judge(place)
        except KeyboardInterrupt:
            raise _Stopped(f"while {arm}, seed {seed} was judged") from None
        return True

    def _train(self, place: Place, start_from: Path | str | None, in_use: dict[Place, InUse]) -> None:
        arm, seed, config = *place, self.config(place)
        if _reached(self.export(place)) == config.steps:
            return
        run = self.run(place)
        before, begun = _last_step(run), clock(self.device)
        tqdm.write(f"{arm}, seed {seed}: {config.steps} steps")
        try:
            hours = None if self.deadline is None else max(0.0, self.deadline - time.monotonic()) / 3600
            self._where[place] = train(
                self.study.shards,
                run,
                config,
                self.device,
                start_from,
                self.workers,
                log_every=max(1, config.steps // LINES),
                preview_every=max(1, config.steps // MEASUREMENTS),
                max_hours=hours,
                precision=self.precision,
                sync_expert=self.study.sync_expert if config.sync_weight else None,
            )
        except InUse as error:
            in_use[place] = error
            raise
        except NotWritten:
            raise
        except InputError as error:
            self.failed[place] = str(error)
            raise
        except KeyboardInterrupt:
            raise _Stopped(f"in {arm}, seed {seed}") from None
        reached = _reached(self.export(place))
        _add_cost(run, clock(self.device) - begun, reached - before)
        if reached < config.steps:
            raise _Stopped(f"in {arm}, seed {seed}, after step {reached} of {config.steps}")

    def truth(self) -> TrueClips:
        """The clips to judge by, which all runs of a session share."""
        if self._truth is None:
            syncnet = None if self.study.syncnet is None else load_syncnet(self.study.syncnet, self.device)
            judges = Judges(fuse(self.expert), syncnet)
            self._truth = TrueClips(self.clips, self.dataset.size, judges, str(self.study.videos), self.kept)
        return self._truth

    def _judge(self, place: Place) -> None:
        out, crops = self.judged(place), _Crops()
        with suppress(OSError):
            os.unlink(out / JUDGED)  # until all is written again
        evaluation = judge(ready_generator(self.export(place), self.device), out, self.truth(), crops.add)
        write_picture(out / CROPS, crops.picture(crops.generated))
        write_picture(self.out / "judged" / CROPS, crops.picture(crops.true))
        skipped = {clip["id"]: clip["reason"] for clip in evaluation.skipped}
        with written_whole(out / JUDGED) as unfinished:
            unfinished.write_text(json.dumps(self._judgement(place) | {"skipped": skipped}, indent=1), encoding="utf-8")

    def _judgement(self, place: Place) -> dict:
        """What a judgement is of, and what came of it, as far as files tell."""
        return {
            "export": _known_by(self.export(place)),
            "clips": [clip.id for clip in self.clips],
            "size": self.dataset.size,
            "expert": self.judge,
            "syncnet": self.study.syncnet is not None,
            **{name: file_sha256(self.judged(place) / name) for name in ("clips.csv", CROPS)},
        }

    def is_judged(self, place: Place) -> bool:
        """Whether a run is trained to its end, and what is said of it is whole and of its export."""
        if _reached(self.export(place)) != self.config(place).steps:
            return False
        try:
            return self._judgement(place).items() <= _read_json(self.judged(place) / JUDGED).items()
        except OSError:
            return False

    # What came of it.

    def written(self, stopped: str = "") -> Ablation:
        """Write the page of all that is whole, whoever has made it."""
        runs, scores = [], []
        for place in self.places if self.steps else []:
            whole = self.is_judged(place)
            runs.append(self._told(place, whole))
            scores += self._scores(place) if whole else []
        if not scores:
            return Ablation(self.out, None, runs, ["nothing is judged yet"], stopped)
        study, truth = self.study, self.out / "judged" / CROPS
        page = write_page(
            self.out,
            study.title or "A study",
            self._about(),
            scores,
            runs,
            truth if truth.is_file() else None,
            study.measures,
            BASE,
        )
        return Ablation(self.out, page, runs, _in_short(compare(scores, BASE, study.measures)), stopped)

    def _about(self) -> list[str]:
        """How it was asked."""
        study = self.study
        speakers = len({clip.speaker for clip in self.clips} - set(NOBODY))
        of = f"of {counted(speakers, 'speaker')}, whom" if speakers else "(who speaks is not known), which"
        lines = [
            f"Learnt from: {counted(len(self._learnt()), 'clip')} of {study.shards.name}",
            f"Judged by: {counted(len(self.clips), 'clip')} {of} no arm has learnt from",
            f"Base: {_told_fields(study.base)}",
            *(f"{name}: {_told_fields(changes)}" for name, changes in study.arms.items()),
            f"Budget: {study.amount:g} {study.budget} for every run{self._told_steps()}",
        ]
        if study.start is not None:
            lines.append(f"Every run starts from one of its seed that was trained so: {_told_fields(study.start)}")
        if study.start_from is not None:
            lines.append(f"Every run starts from {Path(study.start_from).name}")
        return lines + self._told_sync()

    def _told_steps(self) -> str:
        if self.study.budget == "steps":
            return ""
        steps = ", ".join(f"{name} {count}" for name, count in self.steps.items())
        timed = ", by what a step of each took when it was timed (measuring and saving come on top)"
        return f"; in steps: {steps}{timed if self.study.budget == 'seconds' else ''}"

    def _told_sync(self) -> list[str]:
        """From when the expert's verdict counted: until then such an arm is trained as one without."""
        lines = []
        for place in self.places:
            if self.config(place).sync_weight:
                log = read_log(self.run(place) / LOG)
                since = next((line["step"] for line in log if float(line.get("sync_counts") or 0)), None)
                when = f"counted from step {since} on" if since else "has not counted"
                told = f"the sync expert's verdict {when} (from a measurement on; before, the run is as without it)"
                lines.append(f"{place[0]}, seed {place[1]}: {told}")
        return lines

    def _told(self, place: Place, whole: bool) -> ArmRun:
        arm, seed = place
        run, config = self.run(place), self.config(place)
        steps = _last_step(run)
        missing = "" if whole else self.failed.get(place) or ("not judged" if steps == config.steps else "not finished")
        skipped = _read_json(self.judged(place) / JUDGED).get("skipped", {}) if whole else {}
        return ArmRun(
            arm,
            seed,
            dict(self.study.arms.get(arm, {})),
            steps,
            steps * config.batch_size,
            _cost(run, steps),
            run / LOG,
            self.judged(place) / CROPS if whole else None,
            missing if steps or place in self.failed or whole else "not begun",
            skipped,
        )

    def _scores(self, place: Place) -> list[Score]:
        """From the file, whether it has been written now or long ago: its digits are those of the page."""
        with (self.judged(place) / "clips.csv").open(newline="", encoding="utf-8") as file:
            lines = [line for line in csv.DictReader(file) if line["variant"] == "generated"]
        return [
            Score(*place, line["id"], _name(line["speaker"]), {name: float(line[name]) for name in MEASURES})
            for line in lines
        ]


def _name(speaker: str) -> str:
    return "" if speaker in NOBODY else speaker


def _told_fields(fields: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in fields.items()) or "as usual"


def _in_short(found: Sequence[Difference]) -> list[str]:
    """A line an arm: by what it is more than chance away from the base."""
    lines = []
    for arm in dict.fromkeys(difference.arm for difference in found):
        own = [d for d in found if d.arm == arm]
        told = [f"{verdict(d)} {d.measure} {d.difference:+.3g} [{d.low:.3g}, {d.high:.3g}]" for d in own if d.told]
        left = [d.measure for d in own if not d.told]
        rest = [f"{CANNOT_TELL}: {', '.join(left) if told else 'all'}"] if left else []
        lines.append(f"{arm}: {'; '.join(told + rest)}")
    return lines


class _Waiting:
    """For other sessions that are at work on all that is left; not for ever."""

    def __init__(self, rest: Callable[[float], None]):
        self._rest, self._seen, self._since = rest, None, time.monotonic()

    def wait(self, in_use: Mapping[Path, InUse]) -> None:
        """InputError where nothing has moved for long."""
        seen = set()
        for run in in_use:
            with suppress(OSError):
                holder = read_holder(run)
                seen.add((run, holder and (holder.token, holder.step), _last_step(run)))
        now, error = time.monotonic(), next(iter(in_use.values()))
        if seen != self._seen:
            self._seen, self._since = seen, now
        if now - self._since > LONGEST_WAIT:
            raise InputError(f"{error.line}; nothing has moved there for {LONGEST_WAIT / 3600:g} h")
        tqdm.write(f"waiting: {error}")
        self._rest(LOOK_AGAIN)


class _Crops:
    """A few frames of each judged clip, to be shown beside those of other runs."""

    def __init__(self):
        self.true: list[np.ndarray] = []
        self.generated: list[np.ndarray] = []
        self._speakers: list[str] = []

    def add(self, clip: Clip, own: FaceClip) -> None:
        """Take what is shown of a clip."""
        places = np.linspace(0, len(own.crops) - 1, FRAMES_SHOWN).round().astype(int)
        self._speakers.append(clip.speech.utterance.speaker)
        for rows, of in ((self.true, clip.crops), (self.generated, own)):
            rows.append(np.concatenate(list(of.crops[places]), axis=1))

    def picture(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """A row for each of the first speakers, and where they are few for their next clips: uint8 (R S, 8 S, 3)."""
        turns = [self._speakers[:n].count(speaker) for n, speaker in enumerate(self._speakers)]
        chosen = sorted(range(len(rows)), key=lambda n: (turns[n], n))[:CLIPS_SHOWN]
        return np.concatenate([rows[n] for n in sorted(chosen)])


def _reached(export: Path) -> int:
    """The step of an export; 0 where there is none that is whole."""
    try:
        return exported_step(export)
    except InputError:
        return 0


def _known_by(export: Path) -> str:
    """Tells a run's exports apart by their ends: a Drive is slow, and training changes all of the weights."""
    with export.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        ends = []
        for place in (0, max(0, size - END)):
            file.seek(place)
            ends.append(file.read(END))
    return hashlib.sha256(b"".join([str(size).encode(), *ends])).hexdigest()


def _last_step(run: Path) -> int:
    """How far a run has come, by its export or else by its log."""
    with suppress(ValueError, KeyError, IndexError):
        return _reached(run / EXPORT) or int(read_log(run / LOG)[-1]["step"])
    return 0


def _read_json(path: Path) -> dict:
    """{} where there is none that can be read."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _add_cost(run: Path, seconds: float, steps: int) -> None:
    """Note what a session's part of a run has taken."""
    before = _read_json(run / COST)
    if steps > 0:
        told = {"seconds": before.get("seconds", 0) + seconds, "steps": before.get("steps", 0) + steps}
        with written_whole(run / COST) as unfinished:
            unfinished.write_text(json.dumps(told), encoding="utf-8")


def _cost(run: Path, steps: int) -> float:
    """What a run has cost: by what was noted of it (a session that was killed notes nothing), or else by its log."""
    noted = _read_json(run / COST)
    if noted.get("steps"):
        return noted["seconds"] * steps / noted["steps"]
    with suppress(ValueError, KeyError, IndexError):
        return 60 * float(read_log(run / LOG)[-1]["minutes"])
    return 0.0
