"""The training loop."""

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lipgan_colab.device import describe, pick_device, pick_dtype, ran_out_of_memory, without_gpu
from lipgan_colab.errors import InputError, check_range, lasting
from lipgan_colab.memory import keep_freed_memory
from lipgan_colab.models.expert import fingerprint
from lipgan_colab.models.lipgan import FACE_SIZES
from lipgan_colab.models.wav2lip import SyncExpert
from lipgan_colab.models.weights import EXPORT, SYNC_EXPERT, load_expert
from lipgan_colab.shards.dataset import LipSyncDataset
from lipgan_colab.shards.workers import MOST_WORKERS
from lipgan_colab.training import distributed
from lipgan_colab.training.feed import feed, hold_frames, of_held_out
from lipgan_colab.training.recorder import Recorder, restore_random_state
from lipgan_colab.training.runs import describe_run
from lipgan_colab.training.step import (
    Networks,
    TrainConfig,
    build_networks,
    learning_rate_factor,
    measure,
    start_from_weights,
    train_step,
)
from lipgan_colab.workspace import local_folder, on_colab

SHOWN = 8  # faces in a preview
MEASURED = 8  # runs of frames that are held out, by which it is measured
MOST_SKIPPED = 50  # steps in a row without a finite gradient; float16 finds its scale in fewer
MOST_REPEATED, LARGE_BATCH = 10, 4096  # of a batch: how often it may have each frame, and what is always allowed
LOOKED_AT = 10  # steps: to ask a GPU whether it skipped some is to wait for it


def train(
    shards: str | Path,
    run: str | Path,
    config: TrainConfig = TrainConfig(),  # noqa: B008 (it is frozen)
    device: str | torch.device | None = None,
    start_from: str | Path | None = None,
    workers: int | None = None,
    save_minutes: float = 5,
    log_every: int = 50,
    preview_every: int = 500,
    max_hours: float | None = None,
    local: str | Path | None = None,
    drive_minutes: float = 10,
    precision: str = "auto",
    compile: bool = False,
    take_over: bool = False,
    sync_expert: str | Path | None = None,
    cache: str = "auto",
    watched: bool = False,
) -> Path:
    """Train a generator; the same call again goes on where the run stopped.

    Under `torchrun` or `accelerate launch` the processes share each batch.

    Args:
        shards: folder of shards.
        run: folder of the run, which lasts: config.json, checkpoints/, log.csv, curves.png, previews/,
            generator.safetensors.
        config: what is trained, and how.
        device: cuda, cuda:1, mps, cpu; None takes the GPU where there is one, and a Colab without one is refused.
        start_from: weights (run folder, file or name) that a new run begins with, to
            learn further on other data; a run that goes on has its own.
        workers: loader processes; None takes what the device needs.
        save_minutes: time between checkpoints; one is also written at the end, on interrupt and on an error.
        log_every: steps between lines of log.csv.
        preview_every: steps between pictures (reference, masked, generated, real), and between measurements by what is
            held out.
        max_hours: stop and save after so long, before the session's end does it.
        local: folder on this machine's own disk, where everything is written first; from there it is copied to `run`
            in the background. None takes one of Colab's disk for a run on Drive, and otherwise `run` itself.
        drive_minutes: how long to wait at the end for what has not reached `run`.
        precision: float32, bfloat16, float16, or auto: the one that is fast on the device.
        compile: have PyTorch compile the networks; slow to begin with.
        take_over: go on with a run although another session is at work on it; that one then writes elsewhere.
        sync_expert: who judges the sync where `sync_weight` is not 0: a run folder or file of train-expert, or
            Wav2Lip's expert. Not the one by which `evaluate` judges: nobody marks his own work.
        cache: where the decoded faces are kept, so that few cores can feed a GPU: device, memory, none, or auto: on a
            GPU if they fit, else in memory if they fit, else nowhere.
        watched: pictures come by time instead, the first at once, lines of log.csv too, and no bar is shown: for one
            who shows what is written, as the notebook does.

    Returns:
        The path of the exported generator (the moving average).

    Raises:
        InputError: no usable shards, or faces of another size in them; the run was begun with another configuration or
            other shards, cannot be read, or another session is at work on it; `start_from` is no generator of this
            width and speech feature, `sync_expert` no expert; a Colab without a GPU, or one with too little memory;
            the training diverged; no disk took its end.
    """
    began = time.monotonic()
    check_range("workers", workers, 0, MOST_WORKERS)
    check_range("log_every", log_every, 1)
    check_range("preview_every", preview_every, 1)
    for name, value in {"save_minutes": save_minutes, "drive_minutes": drive_minutes, "max_hours": max_hours}.items():
        check_range(name, value, 0)
    keep_freed_memory()
    run = Path(os.path.abspath(run))
    local = Path(os.path.abspath(local)) if local is not None else local_folder(run)
    device = distributed.join(training_device(device))
    torch.backends.cudnn.benchmark = True  # every batch has the same shapes
    dataset = LipSyncDataset(
        shards, config.seed, config.speech, config.balance, config.references, held_out=config.held_out
    )
    check_fits(config, dataset)
    expert = _expert(sync_expert, config, device)
    pleased = fingerprint(expert) if expert else None
    about = describe_run(config, dataset) | {SYNC_EXPERT: pleased}
    recording = Recorder(run, local, about, save_minutes, distributed.rank() == 0, take_over, watched)
    with recording as recorder, _enough_memory(recorder, config, device):
        state = distributed.from_first(recorder.resume())
        networks = build_networks(config, device, pick_dtype(precision, device))
        networks.expert = expert
        step = 0
        if state is not None:
            step = _go_on(networks, state, config, recorder)
        elif start_from is not None:
            start_from_weights(networks, start_from)
        if pleased and pleased not in networks.pleased:
            networks.pleased.append(pleased)
        if compile:
            networks.compile()
        shown, measured = of_held_out(dataset, device, SHOWN, MEASURED)
        held = hold_frames(dataset, cache, device, recorder.say)
        if dataset.held_out:
            some = ", ".join(dataset.held_out[:5]) + (", ..." if len(dataset.held_out) > 5 else "")
            recorder.say(f"clips held out, to measure by ({len(dataset.held_out)}): {some}")
        recorder.start(step, config.steps, device, state)
        del state
        in_a_row = torch.zeros((), device=device)  # steps that were skipped
        whole = stop = False  # whether the networks are those of a finished step; whether it was stopped before the end
        with stop_when_asked() as asked:
            try:
                networks.generator.train()
                for batch in feed(dataset, held, step, config, device, workers):
                    whole = False
                    reported = distributed.average(train_step(networks, batch, config, step))
                    step += 1
                    in_a_row = (in_a_row + 1) * reported["skipped"]
                    if (device.type == "cpu" or step % LOOKED_AT == 0) and in_a_row >= MOST_SKIPPED:
                        raise _diverged(run, recorder.last_saved())
                    whole = True
                    recorder.count(reported)
                    late = max_hours is not None and time.monotonic() - began > max_hours * 3600
                    stop = distributed.any_of(bool(asked) or late)
                    last = stop or step == config.steps
                    pictured = recorder.picture_due() if watched else step % preview_every == 0
                    lined = recorder.line_due() if watched else step % log_every == 0
                    if step % preview_every == 0 or step == config.steps:  # not where it was stopped: nobody is to see
                        _measure(networks, measured, config, dataset, recorder)
                    if lined or last:
                        rate = config.learning_rate * learning_rate_factor(step, config.steps, config.warmup)
                        recorder.line(step, config.batch_size, rate, device)
                    if pictured or last:
                        recorder.picture(step, networks, shown)
                    if stop:
                        why = _why_stopped(asked, max_hours if late else None)
                        recorder.say(f"stopped after step {step} ({why}), and saves it; run the same again to go on")
                        break
                    recorder.save_in_time(step, networks)
            finally:
                try:
                    if whole or networks.roll_back():  # half an update is not worth saving
                        with undisturbed() as asked_late:
                            recorder.save_last(step, networks)
                        asked += asked_late
                finally:
                    folder = recorder.finish(drive_minutes * 60, stopped=stop)
    if recorder.active and not (folder / EXPORT).is_file():
        raise InputError(f"{folder / EXPORT}: could not be written (see above); make room, and run the same again")
    if asked and not stop:  # too late to stop this run, which is whole; but what would come next is not to begin
        raise KeyboardInterrupt
    return folder / EXPORT


def _go_on(networks: Networks, state: dict, config: TrainConfig, recorder: Recorder) -> int:
    """Put everything where it was when the state was saved; returns how many steps had been done."""
    step, before = state["step"], state["about"]["steps"]
    try:
        networks.load(state["networks"])
        restore_random_state(state["random"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{recorder.run}: its checkpoint does not fit this version's networks ({reason})") from error
    if step >= config.steps:
        recorder.say(f"the run is at step {step} and was to end at {config.steps}: nothing is left to train")
    elif before != config.steps:
        old, new = (config.learning_rate * learning_rate_factor(step, n, config.warmup) for n in (before, config.steps))
        change = f"at step {step} the learning rate goes from {old:.1e} to {new:.1e}"
        recorder.say(f"the run was to end at step {before} and is to end at {config.steps}: {change}")
    return step


def training_device(device: str | torch.device | None) -> torch.device:
    """What to train on: `device.pick_device`, but that a Colab without a GPU is refused where none is named."""
    picked = pick_device(device)
    if device is None and picked.type == "cpu" and on_colab():
        raise InputError(f"{without_gpu()}; the `device=cpu` trains without")
    return picked


@contextmanager
def _enough_memory(recorder: Recorder, config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Says in one line, and after the end has been saved, that a batch is too large for the device's memory."""
    try:
        yield
    except RuntimeError as error:
        if not ran_out_of_memory(error):
            raise
        # The step's activations hang on the frames that it was in, and would fill the memory of a next try as well.
        traceback.clear_frames(error.__traceback__)
        half = config.batch_size // 2 // distributed.count() * distributed.count()
        smaller = f"`batch_size={half}`" if half >= 2 else "a smaller `width`"
        saved = recorder.last_saved()
        begun = "" if saved == "nothing" else f" (it can start from this one, of which {saved} is saved)"
        raise InputError(
            f"{recorder.run}: the memory of {describe(device)}, is too small for `batch_size={config.batch_size}` "
            f"at `width={config.width:g}`; try {smaller} in another run folder{begun}, or go on with this one where "
            "there is more memory"
        ) from None


def _expert(source: str | Path | None, config: TrainConfig, device: torch.device) -> SyncExpert | None:
    """The sync expert that a run is to please, which learns nothing any more."""
    if not config.sync_weight and source is None:
        return None
    if not config.sync_weight:
        raise InputError(f"`sync_expert` {source}: give `sync_weight` too, such as 0.03")
    if source is None:
        raise InputError(f"`sync_weight={config.sync_weight:g}`: give `sync_expert` too, a run folder of train-expert")
    return load_expert(source, device).requires_grad_(False)


def check_fits(config: TrainConfig, dataset: LipSyncDataset) -> None:
    """InputError where a run cannot be trained so on these shards, or not by so many processes."""
    _check_batch(config, dataset)
    _check_size(dataset, config)


def _check_batch(config: TrainConfig, dataset: LipSyncDataset) -> None:
    size, runs, processes = config.batch_size, config.sync_runs, distributed.count()
    most = max(MOST_REPEATED * len(dataset), LARGE_BATCH)
    if size > most:
        raise InputError(f"`batch_size` {size}: {dataset.folder} has {len(dataset)} frames; take at most {most}")
    if size < 2 or size % processes:
        raise InputError(f"`batch_size` {size} is not 2 or more, and the same for each process")
    if config.sync_weight and (size % runs or runs % processes):
        raise InputError(f"`sync_runs` {runs} does not divide the batch of {size}, or is not the same for each process")


def _check_size(dataset: LipSyncDataset, config: TrainConfig) -> None:
    wanted = config.face_size
    for size in {shard.size for shard in dataset.shards} - {wanted}:
        fits = f", or train with `face_size={size}`" if size in FACE_SIZES else ""
        raise InputError(
            f"{dataset.folder}: holds faces of {size} pixels, and the run trains on {wanted}; "
            f"preprocess with `size={wanted}`{fits}"
        )


def _measure(
    networks: Networks, batch: dict[str, Tensor], config: TrainConfig, dataset: LipSyncDataset, recorder: Recorder
) -> None:
    """Measure by what is held out; from when its faces please the expert well enough, its verdict counts."""
    found = measure(networks, batch)
    whose = "held_out" if dataset.held_out else "learnt"
    told = {f"{whose}_{name}": value for name, value in found.items()}
    if networks.expert is not None:
        if not networks.sync_counts and found["sync"] < config.sync_bound:
            networks.sync_counts = True
            recorder.say(f"the sync expert counts from here on: {found['sync']:.3f} < {config.sync_bound:g}")
        told["sync_counts"] = float(networks.sync_counts)
    recorder.measured(told)


def _why_stopped(asked: list[int], hours: float | None) -> str:
    """In words: the signals that came, or else the limit of hours that has passed, or another process of this run."""
    if asked:
        return "you asked for it" if signal.SIGINT in asked else "it was told to end"
    return "another process was asked to" if hours is None else f"its time, {lasting(hours * 3600)}, is over"


def _diverged(run: Path, saved: str) -> InputError:
    return InputError(
        f"{run}: {MOST_SKIPPED} steps in a row had no finite gradient, so the training has diverged; {saved} is saved "
        f"and good: begin a new run that starts from it, with a lower learning rate"
    )


@contextmanager
def stop_when_asked() -> Iterator[list[int]]:
    """Collects interrupts (Ctrl-C, a notebook's stop button, SIGTERM) instead of being torn off in the midst of a step.

    A person's second interrupt is obeyed at once; further SIGTERMs, which launchers send when they lose patience, are
    not. Outside of the main thread, where signals cannot be caught, it stays empty.
    """
    asked: list[int] = []

    def ask(number: int, _frame) -> None:
        asked.append(number)
        if len(asked) > 1 and number == signal.SIGINT:
            raise KeyboardInterrupt

    with _signals_to(ask):
        yield asked


@contextmanager
def undisturbed() -> Iterator[list[int]]:
    """Lets no interrupt break into the block, in which the end of the training is saved, but collects them; SIGKILL
    still does."""
    asked: list[int] = []

    def note(number: int, _frame) -> None:
        asked.append(number)
        tqdm.write("the end is being saved; one moment")

    with _signals_to(note):
        yield asked


@contextmanager
def _signals_to(handler: Callable) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
