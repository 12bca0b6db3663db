"""How fast are samples read at random, how much faster is that than training needs, and does memory stay flat?

PYTHONPATH=. python benchmarks/reading.py [--shards DIR] [--samples 100000] [--workers 2] [--width 0.25]

Without --shards: half an hour of noise. The training step is a generator's alone, without a GPU: at width 0.25 the
fastest that there is, so the hardest to keep fed; the full one at width 1.0 needs far fewer samples. Samples are read
twice: decoded by the workers, and with the faces held decoded (`train --cache`). How many samples two cores would read
that have nothing else to do is told by the processors' time, of which a busy machine takes nothing away.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from lipgan_colab.faces.mesh import kept_points
from lipgan_colab.memory import keep_freed_memory
from lipgan_colab.shards.augmentation import augmented
from lipgan_colab.shards.dataset import LipSyncDataset, batches
from lipgan_colab.shards.film_clips import _jpeg
from lipgan_colab.shards.shard_file import UtteranceRecord, write_shard
from lipgan_colab.training.feed import hold_frames, pictures
from lipgan_colab.training.step import TrainConfig, build_networks, train_step

BATCH, STEPS = 128, 3
SHARDS, CLIPS, FRAMES = 6, 100, 75  # of noise


def write_noise(folder: Path) -> None:
    """Shards as large as those of real clips; of every clip one picture is encoded, as often as it has frames."""
    rng = np.random.default_rng(0)
    for shard in range(SHARDS):
        records = []
        for n in range(CLIPS):
            small = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            records.append(
                UtteranceRecord(
                    id=f"{shard}/{n}",
                    speaker=f"{n % 10}",
                    licence="noise",
                    jpegs=[_jpeg(small.repeat(4, 0).repeat(4, 1), 95)] * FRAMES,
                    found=np.ones(FRAMES, bool),
                    box=np.zeros((FRAMES, 4), np.float32),
                    head_pose=np.zeros((FRAMES, 3), np.float32),
                    lip_landmarks=rng.uniform(0.4, 0.6, (FRAMES, 40, 2)).astype(np.float32),
                    mfcc=rng.normal(size=(12, 4 * FRAMES)),
                    mel=rng.normal(size=(80, 16 * FRAMES // 5)),
                    mesh=rng.random((FRAMES, len(kept_points()), 3)),
                    voice=np.zeros(640 * FRAMES, np.int16),
                )
            )
        write_shard(folder / f"shard-{shard:05d}.safetensors", records, [], {"fps": 25, "size": 96})


def private_megabytes() -> float:
    """What this process and its children hold for themselves; pages of the shards belong to the file cache."""
    own = os.getpid()
    family = {own, *(int(p) for p in Path(f"/proc/{own}/task/{own}/children").read_text().split())}
    status = (Path(f"/proc/{pid}/status").read_text() for pid in family)
    return sum(int(line.split()[1]) for text in status for line in text.splitlines() if "RssAnon" in line) / 1e3


def training_rate(dataset: LipSyncDataset, width: float) -> float:
    """Samples/s of the training step alone."""
    config = TrainConfig(steps=100, batch_size=BATCH, width=width)
    networks = build_networks(config, torch.device("cpu"))
    batch = augmented(next(iter(batches(dataset, 0, 1, BATCH))))
    seconds = []
    for step in range(STEPS):
        start = time.perf_counter()
        train_step(networks, batch, config, step)
        seconds.append(time.perf_counter() - start)
    return BATCH / min(seconds[1:])


def reading_rate(
    dataset: LipSyncDataset, held: torch.Tensor | None, steps: int, workers: int
) -> tuple[float, float, dict[int, float]]:
    """Samples/s as it is, and as two cores would read them; and how much memory is held after how many samples."""
    memory, start, spent = {}, None, 0.0
    before = processor_seconds()
    for n, batch in enumerate(batches(dataset, 0, steps, BATCH, workers)):
        if held is not None:
            pictures(held, batch["frames"])
        start = start or time.perf_counter()  # the workers are there
        if n in (steps // 10, steps // 2, steps - 1):
            memory[n * BATCH] = private_megabytes()
            spent = time.perf_counter() - start
    return (steps - 1) * BATCH / spent, 2 * steps * BATCH / (processor_seconds() - before), memory


def processor_seconds() -> float:
    """What this process and its children that have ended have computed for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--width", type=float, default=0.25)
    args = parser.parse_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        if args.shards is None:
            write_noise(Path(folder))
        dataset = LipSyncDataset(args.shards or folder, references="informative")
        needed = training_rate(dataset, args.width)
        print(f"a training step of width {args.width} on {torch.get_num_threads()} threads: {needed:.0f} samples/s")
        for cache in ("none", "memory"):
            held = hold_frames(dataset, cache, torch.device("cpu"))
            read, of_two_cores, memory = reading_rate(dataset, held, args.samples // BATCH, args.workers)
            print(f"cache {cache}: {args.workers} workers read {read:.0f} samples/s at random,")
            print(
                f"  {read / needed:.1f} times as fast as training needs; two idle cores would read {of_two_cores:.0f}"
            )
            print("  memory: " + ", ".join(f"{megabytes:.0f} MB after {n} samples" for n, megabytes in memory.items()))


if __name__ == "__main__":
    main()
