"""How the device is fed: few processes read batches, which are varied where they are learnt from. Faces that fit into
memory are decoded once and kept: then even two cores feed a fast GPU."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lipgan_colab.device import memory_format
from lipgan_colab.errors import InputError
from lipgan_colab.shards.augmentation import augmented
from lipgan_colab.shards.dataset import RUN, LipSyncDataset, batches, collated
from lipgan_colab.training import distributed
from lipgan_colab.training.step import TrainConfig

CACHES = ("auto", "device", "memory", "none")
AT_ONCE = 2048  # frames that are decoded before they go to the device
OF_DEVICE, OF_MEMORY = 1 / 4, 1 / 2  # how much of what is free is taken without being asked for


def feed(
    dataset: LipSyncDataset,
    held: Tensor | None,
    step: int,
    config: TrainConfig,
    device: torch.device,
    workers: int | None = None,
) -> Iterator[dict[str, Tensor]]:
    """The batches from a step on, as `augmented` makes them, on the device.

    Args:
        dataset: whose.
        held: its frames (see `hold_frames`).
        step: the first one.
        config: of the run; with several processes each gets its slice.
        device: that trains.
        workers: processes that read; None takes what the device needs.
    """
    if workers is None:
        workers = min(8, os.cpu_count() or 1) * (device.type == "cuda")
    rank, count = distributed.rank(), distributed.count()
    runs = config.sync_runs if config.sync_weight else 0
    for batch in batches(dataset, step, config.steps, config.batch_size, workers, rank, count, runs):
        yield on_device(batch if held is None else batch | pictures(held, batch["frames"]), device, config.augment)


def of_held_out(
    dataset: LipSyncDataset, device: torch.device, samples: int, runs: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Some samples to show, and some runs of frames to measure by, not varied, on the device: of the clips that are
    held out, if there are any."""
    held_out = dataset.of_held_out()
    shown = collated([held_out[n] for n in range(samples)])
    measured = collated([held_out[n, k] for n in range(runs) for k in range(RUN)])
    return on_device(shown, device, augment=0.0), on_device(measured, device, augment=0.0)


def where_varied(device: torch.device) -> torch.device:
    """Where faces are varied that a device learns from: there, or on the CPU where that is no GPU of Nvidia's kind, as
    not every device takes pixels from between pixels."""
    return device if device.type == "cuda" else torch.device("cpu")


def on_device(batch: dict[str, Tensor], device: torch.device, augment: float) -> dict[str, Tensor]:
    """A batch of the dataset, varied, and on the device."""
    where = where_varied(device)
    batch = augmented({name: value.to(where, non_blocking=True) for name, value in batch.items()}, augment)
    return {name: _laid_out(value.to(device)) for name, value in batch.items()}


def _laid_out(value: Tensor) -> Tensor:
    return value.contiguous(memory_format=memory_format(value.device)) if value.dim() == 4 else value


def hold_frames(
    dataset: LipSyncDataset, cache: str, device: torch.device, say: Callable[[str], None] = print
) -> Tensor | None:
    """All frames of a dataset, uint8 (F, S, S, 3), as its samples' `frames` count them; it then decodes none itself.

    Args:
        dataset: whose.
        cache: "device", "memory", "none", or "auto": on a GPU if they fit there, else in memory if they fit.
        device: that trains.
        say: is told where they are.

    Raises:
        InputError: `cache` is something else, or a frame is damaged.
    """
    if cache not in CACHES:
        raise InputError(f"`cache` {cache!r}: choose one of {', '.join(CACHES)}")
    count, size = dataset.frame_count, dataset.size
    where = _place(count * size * size * 3, device) if cache == "auto" else cache
    if where == "none":
        return None
    held = torch.empty(
        (count, size, size, 3), dtype=torch.uint8, device=device if where == "device" else torch.device("cpu")
    )
    frames = dataset.all_frames()
    shown = {"unit": "face", "desc": "decode", "disable": distributed.rank() > 0}
    with ThreadPoolExecutor(os.cpu_count()) as pool, tqdm(total=count, **shown) as progress:
        for start in range(0, count, AT_ONCE):
            some = [next(frames) for _ in range(min(AT_ONCE, count - start))]
            decoded = pool.map(lambda frame: torch.from_numpy(frame[0].frame(frame[1])), some)
            held[start : start + len(some)] = torch.stack(list(decoded))
            progress.update(len(some))
    say(f"all {count} faces are kept decoded in the {'device' if where == 'device' else 'machine'}'s memory")
    dataset.decodes = False
    return held


def _place(size: int, device: torch.device) -> str:
    """Where so many bytes fit, for a device that is fast enough to need it."""
    if device.type != "cuda":
        return "none"
    if size <= OF_DEVICE * torch.cuda.mem_get_info(device)[0]:
        return "device"
    return "memory" if size <= OF_MEMORY * _free_memory() else "none"


def _free_memory() -> int:
    """Bytes of memory that nobody uses, not even for files."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def pictures(held: Tensor, frames: Tensor) -> dict[str, Tensor]:
    """The reference and the target, uint8 (B, 3, S, S), of samples' `frames` (B, 2), where the frames are held."""
    taken = held[frames.to(held.device, non_blocking=True)].permute(1, 0, 4, 2, 3)
    if taken.device.type == "cpu" and torch.cuda.is_available():
        taken = taken.pin_memory()  # or the copy to the device would wait for it
    return dict(zip(("reference", "target"), taken, strict=True))
