"""How many samples a second do the authors' generators make, as they are and with batch norms folded in, and what share
of the device's matrix rate is that?

PYTHONPATH=. python benchmarks/inference.py [--batch-size 8] [--rounds 5] [--only lipgan wav2lip] [--dtypes float32]

The two forms take turns, and the fastest rounds count, because a machine may be shared. For the same reason a single
CPU thread (OMP_NUM_THREADS=1) is timed by the seconds that it ran. The matrix rate is the better one of a large matrix
product's and of 3x3 convolutions', measured beside them in the same precision. The errors are the largest of an
answer, as it is and fused, against the network as it is in float32; weights are random.
"""

import argparse
import time
from functools import partial

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lipgan_colab.device import pick_device
from lipgan_colab.memory import keep_freed_memory
from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.wav2lip import Wav2LipGenerator

GENERATORS = {
    "lipgan": (lambda: LipGANGenerator(GeneratorConfig()), (12, 35)),
    "lipgan-basic": (lambda: LipGANGenerator(GeneratorConfig(blocks="basic")), (12, 35)),
    "lipgan-mel": (lambda: LipGANGenerator(GeneratorConfig(speech="mel")), (80, 27)),
    "lipgan-mel-basic": (lambda: LipGANGenerator(GeneratorConfig(speech="mel", blocks="basic")), (80, 27)),
    "wav2lip": (Wav2LipGenerator, (80, 16)),
}


def seconds(work, device: torch.device) -> float:
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def matrix_rate(device: torch.device, dtype: torch.dtype, rounds: int) -> float:
    """Measured FLOP/s, at the best of a few shapes."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    works = [(2 * size**3, lambda: a @ b)]
    for channels, pixels in ((128, 24), (256, 12)):
        conv = nn.Conv2d(channels, channels, 3, padding=1, device=device, dtype=dtype)
        conv.to(memory_format=torch.channels_last)
        x = torch.randn(16, channels, pixels, pixels, device=device, dtype=dtype).to(memory_format=torch.channels_last)
        works.append((2 * 9 * channels**2 * pixels**2 * len(x), lambda conv=conv, x=x: conv(x)))
    for _, work in works:
        work()
    return max(flops / min(seconds(work, device) for _ in range(rounds)) for flops, work in works)


def settle(generator: nn.Module, window: tuple[int, int], device: torch.device) -> None:
    """Give the batch norms statistics of what flows through them."""
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    generator.train()(torch.rand(4, 6, 96, 96, device=device), torch.randn(4, 1, *window, device=device))
    generator.eval()


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(GENERATORS), default=list(GENERATORS))
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"])
    args = parser.parse_args()
    keep_freed_memory()
    torch.manual_seed(0)
    device = pick_device()
    faces = torch.rand(args.batch_size, 6, 96, 96, device=device).to(memory_format=torch.channels_last)
    print(f"{device}, batches of {args.batch_size}, fastest of {args.rounds} rounds")
    print("precision  generator          samples/s    fused  faster   share of the matrix rate        errors")
    for dtype in (getattr(torch, name) for name in args.dtypes):
        rate = matrix_rate(device, dtype, args.rounds)
        for name in args.only:
            build, window = GENERATORS[name]
            generator = build().to(device, memory_format=torch.channels_last)
            speech = torch.randn(args.batch_size, 1, *window, device=device)
            settle(generator, window, device)
            exact = generator(faces, speech)
            with FlopCounterMode(display=False) as counter:
                generator(faces[:1], speech[:1])
            forms = {"as it is": generator, "fused": fuse(generator)}
            times: dict[str, list[float]] = {form: [] for form in forms}
            with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
                answers = [network(faces, speech) for network in forms.values()]  # and warm up
                for _ in range(args.rounds):
                    for form, network in forms.items():
                        times[form].append(seconds(partial(network, faces, speech), device))
            plain, fused = (args.batch_size / min(times[form]) for form in forms)
            share = [counter.get_total_flops() * r / rate for r in (plain, fused)]
            errors = " and ".join(f"{(answer - exact).abs().max():.0e}" for answer in answers)
            print(
                f"{str(dtype)[6:]:9}  {name:17} {plain:9.2f} {fused:9.2f} {fused / plain - 1:+7.0%}"
                f" {share[0]:7.0%} and {share[1]:4.0%} of {rate / 1e9:6.0f} GFLOP/s  {errors}",
                flush=True,
            )


if __name__ == "__main__":
    main()
