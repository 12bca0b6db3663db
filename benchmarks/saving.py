"""What does saving cost the training, and of what is the time until a resumed run's first step made?

PYTHONPATH=. python benchmarks/saving.py [--width 1.0] [--batch-size 4] [--steps 8] [--saves 3] [--folder DIR]

With the discriminator. Everything is written to one disk: the checkpoint, and the copy that stands for Drive's.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))

RESUME = """
import time
start = time.perf_counter()
import sys, torch
from lipgan_colab.training.checkpoint import load_newest_checkpoint
from lipgan_colab.device import pick_device, pick_dtype
from lipgan_colab.memory import keep_freed_memory
from lipgan_colab.training.step import TrainConfig, build_networks, train_step
from benchmarks.training import random_batch
def lap(name):
    global start
    print(f"    {name:36} {time.perf_counter() - start:6.2f} s")
    start = time.perf_counter()
lap("import")
keep_freed_memory()
device = pick_device()
_, state = load_newest_checkpoint(sys.argv[1])
lap("read once, verify, unpickle")
config = TrainConfig(width=float(sys.argv[2]), batch_size=int(sys.argv[3]), adversarial=True)
networks = build_networks(config, device, pick_dtype("auto", device))
lap("build the networks")
networks.load(state["networks"])
lap("take over the states")
networks.generator.train()
train_step(networks, random_batch(config, device), config, 0)
lap("first step")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--saves", type=int, default=3)
    parser.add_argument("--folder", help="where to write (default: a temporary folder)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        measure(args, Path(folder))


def measure(args: argparse.Namespace, folder: Path) -> None:
    import torch

    from benchmarks.training import random_batch
    from lipgan_colab.device import describe, pick_device, pick_dtype
    from lipgan_colab.memory import keep_freed_memory
    from lipgan_colab.training.async_checkpointer import AsyncCheckpointer
    from lipgan_colab.training.checkpoint import find_checkpoints
    from lipgan_colab.training.step import TrainConfig, build_networks, train_step

    keep_freed_memory()
    device = pick_device()
    config = TrainConfig(width=args.width, batch_size=args.batch_size, adversarial=True)
    networks = build_networks(config, device, pick_dtype("auto", device))
    networks.generator.train()
    batch = random_batch(config, device)
    drive = folder / "drive"
    drive.mkdir()
    checkpointer = AsyncCheckpointer(drive, folder / "local")

    def step() -> float:
        start = time.perf_counter()
        train_step(networks, batch, config, 0)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def busy() -> bool:
        return not checkpointer._writing.done() or bool(checkpointer.mirror.flush(0))

    for _ in range(2):
        step()
    usual, during, blocked = [], [], []
    for number in range(args.saves):
        usual += [step() for _ in range(args.steps)]
        start = time.perf_counter()
        checkpointer.save(number, {"step": number, "networks": networks.state()})
        blocked.append(time.perf_counter() - start)
        while busy():
            during.append(step())
    missing = checkpointer.finish(600)
    assert not missing, missing
    median = statistics.median(usual)
    size = find_checkpoints(drive / "checkpoints")[0].path.stat().st_size
    print(f"{describe(device)}; width {args.width}, batches of {args.batch_size}; a checkpoint has {size / 1e9:.2f} GB")
    print(f"usual step                 {median:7.3f} s (median of {len(usual)})")
    print(
        f"step while it is written   {statistics.median(during):7.3f} s (median of {len(during)}), "
        f"{statistics.median(during) / median - 1:+.0%}"
    )
    print(
        f"the save blocks the loop   {max(blocked[1:] or blocked):7.3f} s, {max(blocked[1:] or blocked) / median:.2f} "
        f"steps (the first, which gets the memory: {blocked[0]:.3f} s)"
    )
    newest = find_checkpoints(folder / "local" / "checkpoints")[0].path
    start = time.perf_counter()
    newest.read_bytes()
    print(f"resume (reading the file once takes {time.perf_counter() - start:.2f} s):", flush=True)
    started = time.perf_counter()
    arguments = [str(newest.parent), str(args.width), str(args.batch_size)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [*sys.path, str(Path(__file__).parents[1])])),
    }
    subprocess.run([sys.executable, "-c", RESUME, *arguments], check=True, env=environment)
    print(f"    {'process start to first step':36} {time.perf_counter() - started:6.2f} s")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
