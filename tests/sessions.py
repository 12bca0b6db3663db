"""Training sessions in processes of their own, to be killed at any moment.

The processes are forked from a server that has imported PyTorch already, so that a session costs little more than
its steps.
"""

import csv
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from lipgan_colab import files
from lipgan_colab.errors import InputError
from lipgan_colab.evaluation import study_training
from lipgan_colab.evaluation.ablation import ablate
from lipgan_colab.models import losses
from lipgan_colab.training import drive_mirror, lease, recorder
from lipgan_colab.training.recorder import Recorder
from lipgan_colab.training.step import TrainConfig
from lipgan_colab.training.train import train

TINY = TrainConfig(
    steps=12,
    batch_size=2,
    width=0.02,
    learning_rate=1e-3,
    warmup=4,
    adversarial=True,
    quality_weight=0.01,
    augment=False,
)
SAVE_EVERY = 2  # steps
LEASE_TIMES = {"RENEWED_EVERY": 0.1, "SILENT": 1.0, "LISTENING": 0.05}  # seconds
TIMINGS = {"minutes", "samples_per_second", "gpu_gb"}  # what two equal runs' logs differ in

torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # imports half of PyTorch, and would in every session


def start_process(target: Callable, *arguments, **options) -> multiprocessing.Process:
    """Call `target` in a process of its own.

    It is forked from a server that has never computed: the child of a process whose OpenMP threads have run waits for
    them for ever at its first large tensor.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sessions"])
    process = context.Process(target=target, args=arguments, kwargs=options)
    before = os.environ["PYTHONPATH"]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # or the server would find no module to import
    try:
        process.start()
    finally:
        os.environ["PYTHONPATH"] = before
    return process


def start_session(*arguments, **options) -> multiprocessing.Process:
    """Begin `session` in a process of its own."""
    return start_process(session, *arguments, **options)


def session(
    shards: Path,
    run: Path,
    local: Path,
    report: Path,
    config: TrainConfig = TINY,
    pictures: bool = True,
    pause: float = 0,
    machine: str | None = None,
    lease_times: dict[str, float] = LEASE_TIMES,
    **options,
) -> None:
    """Train until the end or an error; `report` tells where it resumed from ("from") and how it ended ("end").

    Args:
        pause: seconds to rest after each step.
        lease_times: the same for all who share a run.
        machine: what this process takes itself to run on; None: this machine.
    """
    told = {}

    def tell(**more) -> None:
        told.update(more)
        report.with_suffix(".part").write_text(json.dumps(told))
        os.replace(report.with_suffix(".part"), report)

    class Session(Recorder):
        def start(self, step, *arguments) -> None:
            super().start(step, *arguments)
            tell(**{"from": step})

        def save_in_time(self, step, networks) -> None:
            time.sleep(pause)
            if step % SAVE_EVERY == 0:
                while not self.save(step, networks):
                    time.sleep(0.01)

        def picture(self, *arguments) -> None:
            if pictures:
                super().picture(*arguments)

    drive_mirror.FIRST_PAUSE, drive_mirror.LONGEST_PAUSE = 0.05, 0.5
    recorder.PATIENCE = (0.1, 0.2, 0.4)
    for name, seconds in lease_times.items():
        setattr(lease, name, seconds)
    if machine is not None:
        files.machine = lease.machine = lambda: machine
    sys.modules[train.__module__].Recorder = Session
    output = os.open(report.with_suffix(".txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    try:
        options = {"log_every": 1, "preview_every": 1000, "drive_minutes": 0.1, **options}
        told["weights"] = str(train(shards, run, config, local=local, **options))
        tell(end="done")
    except InputError as error:
        tell(end=f"refused: {error}")


def study_session(study: Path, out: Path) -> None:
    """Train and judge a study's arms until the end."""
    module = sys.modules[train.__module__]
    module.SHOWN = module.MEASURED = 1
    study_training.MEASUREMENTS = 2
    ablate(study, out, "cpu")


def kill(process: multiprocessing.Process) -> None:
    """kill -9."""
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def read_report(report: Path) -> dict:
    """What a session told so far."""
    return json.loads(report.read_text()) if report.exists() else {}


def log_lines(run: Path) -> list[dict[str, str]]:
    """The lines of a run's log, without the times that they took."""
    with (run / "log.csv").open(newline="") as file:
        return [{k: v for k, v in line.items() if k not in TIMINGS} for line in csv.DictReader(file)]


def assert_equal(a, b, name: str = "") -> None:
    """Two states are the same, bit by bit."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), name
    elif isinstance(a, dict | list | tuple):
        assert len(a) == len(b), name
        for key, value in a.items() if isinstance(a, dict) else enumerate(a):
            assert_equal(value, b[key], f"{name}/{key}")
    else:
        assert a == b, name


def at_step(monkeypatch, number: int, work) -> None:
    """Do something in the midst of a step, once."""
    loss, calls = losses.l1, []

    def l1(*arguments):
        calls.append(None)
        if len(calls) == number:
            work()
        return loss(*arguments)

    monkeypatch.setattr(losses, "l1", l1)
