"""What a step of each arm of a study costs, so that equal seconds become steps."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import torch

from lipgan_colab.device import describe, pick_dtype, ran_out_of_memory
from lipgan_colab.errors import InputError, reading
from lipgan_colab.files import written_whole
from lipgan_colab.memory import keep_freed_memory
from lipgan_colab.models.wav2lip import SyncExpert
from lipgan_colab.shards.dataset import LipSyncDataset, batches
from lipgan_colab.training.feed import on_device
from lipgan_colab.training.runs import BEFORE_THERE_WAS
from lipgan_colab.training.step import TrainConfig, build_networks, train_step

COSTS = "costs.json"
ROUNDS = 5  # in which the arms take turns, so that a busy moment of the machine hits all of them
FIRST, TIMED = 1, 2  # steps of a round that are not timed, and that are


def clock(device: torch.device) -> float:
    """Seconds of computing: on a CPU those of this process, on a GPU, once it has done all it was told, the clock's."""
    if device.type == "cpu":
        return time.process_time()
    getattr(torch, device.type).synchronize()
    return time.monotonic()


def step_costs(
    path: Path,
    arms: Mapping[str, TrainConfig],
    shards: Path,
    device: torch.device,
    expert: SyncExpert | None = None,
    precision: str = "auto",
) -> dict[str, float]:
    """Seconds of computing (see `clock`) that a step of each arm takes, the sync expert's verdict counted in.

    What `path` knows is not timed again, so that a study that goes on keeps its steps. An arm that it does not know is
    timed together with the first arm, and its seconds are put into proportion, for this may be another machine.

    Args:
        path: the JSON file that keeps them.
        arms: how each is trained; steps and seed do not matter.
        shards: folder.
        device: that trains.
        expert: whom the arms with a sync_weight please.
        precision: as of `train`.

    Raises:
        InputError: an arm does not fit the device's memory, or `path` holds something else.
    """
    known = {name: entry for name, entry in _read(path).items() if name in arms and _is_of(entry, arms[name])}
    lacking = [name for name in arms if name not in known]
    if not lacking:
        return {name: known[name]["seconds_per_step"] for name in arms}
    first = next(iter(arms))
    found = _timed({name: arms[name] for name in dict.fromkeys([first, *lacking])}, shards, device, expert, precision)
    scale = known[first]["seconds_per_step"] / found[first] if first in known else 1.0
    known |= {name: {"seconds_per_step": found[name] * scale, "config": _fields(arms[name])} for name in lacking}
    known = {name: known[name] for name in arms}
    with written_whole(path) as unfinished:
        told = {"device": describe(device), "arms": known}
        unfinished.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return {name: entry["seconds_per_step"] for name, entry in known.items()}


def are_known(path: Path, arms: Mapping[str, TrainConfig]) -> bool:
    """Whether `step_costs` would time nothing."""
    there = _read(path)
    return all(name in there and _is_of(there[name], config) for name, config in arms.items())


def _read(path: Path) -> dict[str, dict]:
    if not path.exists():
        return {}
    with reading(path, "not what the arms cost", "delete it, and they are timed again"):
        arms = json.loads(path.read_text(encoding="utf-8"))["arms"]
        for entry in arms.values():
            if not 0 < float(entry["seconds_per_step"]) < math.inf or not isinstance(entry["config"], dict):
                raise ValueError("a step takes more than 0 seconds")
        return arms


def _fields(config: TrainConfig) -> dict:
    return asdict(replace(config, steps=1, seed=0))


def _is_of(entry: dict, config: TrainConfig) -> bool:
    return BEFORE_THERE_WAS | entry["config"] == _fields(config)


def _timed(
    arms: Mapping[str, TrainConfig], shards: Path, device: torch.device, expert: SyncExpert | None, precision: str
) -> dict[str, float]:
    """The least that a step has taken, by arm."""
    keep_freed_memory()
    dtype, costs = pick_dtype(precision, device), dict.fromkeys(arms, math.inf)
    datasets = {
        name: LipSyncDataset(shards, 0, c.speech, c.balance, c.references, held_out=c.held_out)
        for name, c in arms.items()
    }
    for _ in range(ROUNDS):
        for name, config in arms.items():
            try:
                found = _some_steps(datasets[name], replace(config, seed=0), device, dtype, expert)
            except RuntimeError as error:
                if not ran_out_of_memory(error):
                    raise
                raise InputError(
                    f"[{name}]: the memory of {describe(device)}, is too small for `batch_size={config.batch_size}` at "
                    f"`width={config.width:g}`; make one of them smaller in the study"
                ) from None
            costs[name] = min(costs[name], found)
    return costs


def _some_steps(
    dataset: LipSyncDataset,
    config: TrainConfig,
    device: torch.device,
    dtype: torch.dtype,
    expert: SyncExpert | None,
) -> float:
    networks, least = build_networks(config, device, dtype), math.inf
    if config.sync_weight:
        networks.expert, networks.sync_counts = expert, True
    runs = config.sync_runs if config.sync_weight else 0
    read = iter(batches(dataset, 0, FIRST + TIMED, config.batch_size, runs=runs))
    if device.type != "cpu":
        read = iter(list(read))  # other processes read while a GPU computes
    for step in range(FIRST + TIMED):
        begun = clock(device)
        train_step(networks, on_device(next(read), device, config.augment), config, step)
        if step >= FIRST:
            least = min(least, clock(device) - begun)
    return least
