"""How many samples a second does a training step reach, and what share of the device's convolution rate is that?

PYTHONPATH=. python benchmarks/training.py [--widths 1.0 0.5] [--precisions float32 bfloat16] [--batch-size 16]
    [--steps 3] [--compile] [--shards DIR --workers 8]     with shards: how fast the loader alone is, beside the step

The reference is the authors' Keras code: 5.5 samples/s of the full GAN step at width 1.0, on two cores that reach
300 GFLOP/s. The last column is what the step here would do on such a machine.
"""

import argparse
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from lipgan_colab.device import PRECISIONS, describe, fast_dtype, pick_device
from lipgan_colab.memory import keep_freed_memory
from lipgan_colab.shards.dataset import LipSyncDataset, batches
from lipgan_colab.training.step import TrainConfig, build_networks, train_step

REFERENCE, REFERENCE_RATE = 5.5, 300e9  # samples/s, FLOP/s


def seconds(work, device: torch.device, repeats: int) -> float:
    """Median seconds of a call, after two that warm up."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times[2:])[repeats // 2]


def peak(device: torch.device, dtype: torch.dtype, repeats: int = 5) -> float:
    """Measured FLOP/s of 3x3 convolutions in channels_last: on CPUs a better yardstick than torch's matrix product."""
    best = 0.0
    for channels, size in ((128, 24), (256, 24), (256, 12)):
        conv = torch.nn.Conv2d(channels, channels, 3, padding=1, device=device, dtype=dtype)
        conv.to(memory_format=torch.channels_last)
        x = torch.randn(32, channels, size, size, device=device, dtype=dtype).to(memory_format=torch.channels_last)
        with torch.no_grad():
            rate = 2 * 9 * channels**2 * size**2 * len(x) / seconds(lambda c=conv, x=x: c(x), device, repeats)
        best = max(best, rate)
    if device.type == "cuda":  # where matrix products are what the chip is made for
        x = torch.randn(8192, 8192, device=device, dtype=dtype)
        best = max(best, 2 * 8192**3 / seconds(lambda: x @ x, device, repeats))
    return best


def random_batch(config: TrainConfig, device: torch.device) -> dict[str, torch.Tensor]:
    """A batch of noise, as `augmented` makes it."""
    size = config.batch_size
    pictures = {n: torch.rand(size, 3, 96, 96) for n in ("reference", "target")}
    sounds = {n: torch.randn(size, 1, 12, 35) for n in ("speech", "unsynced_speech")}
    batch = pictures | sounds | {"lips": torch.rand(size, 1, 96, 96)}
    return {name: value.to(device, memory_format=torch.channels_last) for name, value in batch.items()}


def loader_rate(shards: str, config: TrainConfig, workers: int, count: int = 100) -> float:
    """Samples/s of the loader alone."""
    loader = iter(batches(LipSyncDataset(shards), 0, count + 10, config.batch_size, workers))
    for _ in range(10):
        next(loader)
    start = time.perf_counter()
    for _ in range(count):
        next(loader)
    return count * config.batch_size / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=float, nargs="+", default=[1.0, 0.5])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["float32", "bfloat16"])
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--generator", action="store_true", help="without the discriminator")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--shards")
    parser.add_argument("--workers", type=int, default=8)
    args = parser.parse_args()
    keep_freed_memory()
    device = pick_device()
    torch.backends.cudnn.benchmark = True
    print(f"{describe(device)}; fast here: {fast_dtype(device)}; full GAN step, batches of {args.batch_size}")
    print("width  precision   samples/s  GFLOP/sample  GFLOP/s  share of the convolution rate  at 300 GFLOP/s")
    for width in args.widths:
        for precision in args.precisions:
            dtype = PRECISIONS[precision]
            config = TrainConfig(batch_size=args.batch_size, width=width, adversarial=not args.generator)
            networks = build_networks(config, device, dtype)
            networks.generator.train()
            samples = random_batch(config, device)
            with FlopCounterMode(display=False) as counter:
                train_step(networks, samples, config, 0)
            flops = counter.get_total_flops() / args.batch_size
            if args.compile:
                networks.compile()
            # Measured next to the step, because a shared machine is not equally fast all the time.
            rate = peak(device, dtype)
            step = seconds(lambda n=networks, b=samples, c=config: train_step(n, b, c, 0), device, args.steps)
            speed = args.batch_size / step
            there = speed * REFERENCE_RATE / rate
            print(
                f"{width:5.2f}  {precision:9} {speed:10.2f} {flops / 1e9:13.1f} {flops * speed / 1e9:8.0f} "
                f"{flops * speed / rate:16.0%} of {rate / 1e9:.0f} GFLOP/s {there:10.1f} samples/s"
                + (f" ({there / REFERENCE:.1f} x Keras)" if width == 1 else "")
            )
            if device.type == "cuda":
                print(f"       {torch.cuda.max_memory_allocated() / 1e9:.1f} GB of GPU memory")
            if args.shards:
                loaded = loader_rate(args.shards, config, args.workers)
                print(
                    f"       the loader alone, {args.workers} workers: {loaded:.0f} samples/s, {loaded / speed:.1f} x"
                )
            del networks


if __name__ == "__main__":
    main()
