"""How long does a photo take to speak for three seconds, from a cold start, and where does the time go?

PYTHONPATH=. python benchmarks/generation.py [--weights RUN_OR_FILE] [--width 1.0] [--face FILE] [--rounds 3]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.weights import save_generator

COLD = """
import sys, time
start = time.perf_counter()
from lipgan_colab.generation.generate import generate
imported = time.perf_counter() - start
report = generate(*sys.argv[1:5])
print("imports", imported)
for name, seconds in report.seconds.items():
    print(name, seconds)
print("frames", report.frames)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="default: an untrained generator of the given width")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--face", type=Path, help="photo or video; default: a drawn photo")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        from lipgan_colab.synthetic.clips import draw_photo, write_speech

        write_speech(folder / "speech.wav", seconds=3.0, seed=0)
        if args.face is None:
            args.face = folder / "photo.png"
            draw_photo(args.face)
        if args.weights is None:
            args.weights = folder / "untrained.safetensors"
            save_generator(args.weights, LipGANGenerator(GeneratorConfig(args.width)))
        rounds = []
        for _ in range(args.rounds):
            start = time.perf_counter()
            command = [sys.executable, "-c", COLD, args.face, folder / "speech.wav", args.weights, folder / "out.mp4"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            stages = {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines()}
            rounds.append((time.perf_counter() - start, stages))
        # The fastest round: the others shared the machine.
        wall, stages = min(rounds, key=lambda r: r[0])
    frames = int(stages.pop("frames"))
    stages["start and end of the process"] = wall - sum(stages.values())
    print(f"{args.face.name} and 3 s of speech to {frames} frames, cold: {wall:.2f} s (fastest of {args.rounds})")
    for stage, s in sorted(stages.items(), key=lambda item: -item[1]):
        print(f"{stage:30} {s:7.2f} s {s / wall:6.0%}")
    print(f"generator alone: {frames / stages['generator']:.1f} frames/s, its loading included")


if __name__ == "__main__":
    main()
