"""How much sooner is another voice made for a film whose faces are known, and is it the same, bit for bit?

A clip is made into a film of twenty seconds, and dubbed by two voices, each in a process of its own: the first one, the
second one after it, and the second one without what the first one found.

PYTHONPATH=. python benchmarks/second_voice.py CLIP VOICE VOICE [--seconds 20] [--height 720]
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from dubbing import looped

from lipgan_colab.media.video import read_video
from lipgan_colab.media.writing import write_video

DUB = """
import json, resource, sys, time
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
film, voice, out, cache = sys.argv[1:]
start = time.perf_counter()
options = GenerateOptions(cache=cache == "cache", keep_length="film")
report = generate(film, voice, "starter", out, options, on_progress=lambda done, total: None)
wall, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"wall": wall, "cpu": used.ru_utime + used.ru_stime, "known": report.known, **report.seconds}))
"""


def pictures_of(path: Path) -> str:
    digest = hashlib.sha256()
    for _, frame in read_video(path):
        digest.update(frame)
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("voices", type=Path, nargs=2)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    ratios = {"wall": [], "cpu": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_video(folder / "film.mp4", looped(args.clip, args.height, args.seconds), 25)
        for turn in range(args.rounds):
            env = {**os.environ, "LIPGAN_FACES": str(folder / f"faces{turn}")}
            runs = {"first": (0, "cache"), "second": (1, "cache"), "anew": (1, "no")}
            done = {}
            for run, (voice, cache) in runs.items():
                asked = [folder / "film.mp4", args.voices[voice], folder / f"{run}.mp4", cache]
                command = [sys.executable, "-c", DUB, *map(str, asked)]
                said = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
                done[run] = json.loads(said.splitlines()[-1])
                print(f"{run:6}", " ".join(f"{what} {seconds:.2f}" for what, seconds in done[run].items()))
            for what in ratios:
                ratios[what].append(done["second"][what] / done["first"][what])
        same = pictures_of(folder / "second.mp4") == pictures_of(folder / "anew.mp4")
    for what, found in ratios.items():
        print(f"second voice / first voice, {what}: {' '.join(f'{ratio:.2f}' for ratio in sorted(found))}")
    print(f"the same pictures as without: {same}")


if __name__ == "__main__":
    main()
