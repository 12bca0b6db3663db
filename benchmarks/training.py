"""How many samples a second does a training step reach, and what share of the device's convolution rate is that?

PYTHONPATH=. python benchmarks/training.py [--widths 0.5 1.0] [--batch-size 16] [--steps 4]
"""

import argparse
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from lipgan_colab.device import fast_dtype, keep_freed_memory, pick_device
from lipgan_colab.train import TrainConfig, build_networks, train_step


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


def peak(device: torch.device, repeats: int = 5) -> float:
    """Measured FLOP/s of 3x3 convolutions in channels_last: on CPUs a better yardstick than torch's matrix product."""
    best = 0.0
    for channels, size in ((128, 24), (256, 24), (256, 12)):
        dtype = fast_dtype(device)
        conv = torch.nn.Conv2d(channels, channels, 3, padding=1, device=device, dtype=dtype)
        conv.to(memory_format=torch.channels_last)
        x = torch.randn(32, channels, size, size, device=device, dtype=dtype).to(memory_format=torch.channels_last)
        with torch.no_grad():
            rate = 2 * 9 * channels**2 * size**2 * len(x) / seconds(lambda c=conv, x=x: c(x), device, repeats)
        best = max(best, rate)
    return best


def batch(config: TrainConfig, device: torch.device) -> dict[str, torch.Tensor]:
    pictures = {
        n: torch.randint(0, 256, (config.batch_size, 3, 96, 96), dtype=torch.uint8) for n in ("reference", "target")
    }
    sounds = {n: torch.randn(config.batch_size, 1, 12, 35) for n in ("speech", "unsynced_speech")}
    lips = {"lips": torch.randint(0, 256, (config.batch_size, 1, 96, 96), dtype=torch.uint8)}
    return {name: value.to(device) for name, value in (pictures | sounds | lips).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    keep_freed_memory()
    device = pick_device()
    print(f"{device}, {fast_dtype(device)}, batches of {args.batch_size}")
    print("width  step         samples/s   GFLOP/sample   GFLOP/s   share of the convolution rate beside it")
    for width in args.widths:
        for adversarial in (False, True):
            config = TrainConfig(batch_size=args.batch_size, width=width, adversarial=adversarial)
            networks = build_networks(config, device)
            samples = batch(config, device)
            with FlopCounterMode(display=False) as counter:
                train_step(networks, samples, config, 0)
            flops = counter.get_total_flops()
            # Measured next to the step, because a shared machine is not equally fast all the time.
            rate = peak(device)
            s = seconds(lambda n=networks, b=samples, c=config: train_step(n, b, c, 0), device, args.steps)
            print(
                f"{width:5.2f}  {'adversarial' if adversarial else 'generator':11} {args.batch_size / s:10.2f} "
                f"{flops / args.batch_size / 1e9:13.1f} {flops / s / 1e9:10.0f} {flops / s / rate:8.0%} "
                f"of {rate / 1e9:.0f} GFLOP/s"
            )


if __name__ == "__main__":
    main()
