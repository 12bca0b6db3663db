"""Does dubbing a long film take more memory than a short one, and do its stages really work at the same time?

Wall time cannot fall below the slowest stage, nor below the CPU time of all stages over the number of cores.
A clip is made into a film of one minute and into a long one, and both are dubbed, each in a process of its own.

PYTHONPATH=. python benchmarks/dubbing.py CLIP [--minutes 10] [--height 720] [--weights starter | --width 0.5]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.media.sound import read_sound
from lipgan_colab.media.video import read_video
from lipgan_colab.media.writing import write_video
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.weights import save_generator

DUB = """
import json, resource, sys, time
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
film, weights, out = sys.argv[1:]
start = time.perf_counter()
report = generate(film, film, weights, out, GenerateOptions(pauses="off"))
wall = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_SELF)
about = {"wall": wall, "peak": used.ru_maxrss / 1024, "cpu": used.ru_utime + used.ru_stime}
print(json.dumps({**about, "frames": report.frames, "stages": report.seconds}))
"""


def looped(clip: Path, height: int, seconds: float) -> Iterator[np.ndarray]:
    """The clip's frames, enlarged, there and back again until the time is over."""
    frames = [frame for _, frame in read_video(clip)]
    size = round(frames[0].shape[1] * height / frames[0].shape[0] / 2) * 2, height
    for frame in islice(cycle(frames + frames[-2:0:-1]), round(25 * seconds)):
        yield cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--width", type=float, default=0.5, help="of the (untrained) generator")
    parser.add_argument("--weights", help="instead of an untrained generator")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, done, cores = Path(name), {}, len(os.sched_getaffinity(0))
        weights = args.weights or folder / "untrained.safetensors"
        if not args.weights:
            save_generator(weights, LipGANGenerator(GeneratorConfig(args.width)))
        sound, rate = read_sound(args.clip)
        for minutes in (1.0, args.minutes):
            film = folder / f"{minutes}.mp4"
            speech = np.take(sound, np.arange(round(60 * minutes * rate)), axis=1, mode="wrap")
            write_video(film, looped(args.clip, args.height, 60 * minutes), 25, speech, rate)
            command = [sys.executable, "-c", DUB, film, weights, folder / "out.mp4"]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            done[minutes] = run = json.loads(answer.splitlines()[-1])
            slowest = max(run["stages"], key=run["stages"].get)
            print(
                f"{minutes:g} min at {args.height}p: {run['wall']:.0f} s = {run['frames'] / run['wall']:.1f} frames/s, "
                f"{run['wall'] / run['stages'][slowest]:.2f} times the slowest stage ({slowest}), "
                f"{run['cpu'] / run['wall']:.2f} cores busy of {cores}, peak memory {run['peak']:.0f} MB"
            )
            for stage, seconds in sorted(run["stages"].items(), key=lambda item: -item[1]):
                print(f"  {stage:10} {seconds:7.1f} s, {1000 * seconds / run['frames']:6.1f} ms a frame")
        print(f"the long film takes {done[args.minutes]['peak'] - done[1.0]['peak']:+.0f} MB")


if __name__ == "__main__":
    main()
