"""All faces of the shards, decoded once and kept: then even two cores feed a fast GPU."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lipgan_colab.errors import InputError
from lipgan_colab.shards.dataset import LipSyncDataset

CACHES = ("auto", "device", "memory", "none")
AT_ONCE = 2048  # frames that are decoded before they go to the device
OF_DEVICE, OF_MEMORY = 1 / 4, 1 / 2  # how much of what is free is taken without being asked for


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
        raise InputError(f"cache {cache!r}: choose one of {', '.join(CACHES)}")
    count, size = dataset.frame_count, dataset.size
    where = _place(count * size * size * 3, device) if cache == "auto" else cache
    if where == "none":
        return None
    held = torch.empty(
        (count, size, size, 3), dtype=torch.uint8, device=device if where == "device" else torch.device("cpu")
    )
    frames = dataset.all_frames()
    with ThreadPoolExecutor(os.cpu_count()) as pool, tqdm(total=count, unit="face", desc="decode") as progress:
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
