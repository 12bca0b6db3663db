"""How much sooner is another voice made for a film whose faces are known, and is it the same, bit for bit?

A clip is made into a film of twenty seconds, and dubbed by two voices, each in a process of its own, the second one
after the first. x264 does not always make the same of the same pictures: they are compared as they are before that.

PYTHONPATH=. python benchmarks/second_voice.py CLIP VOICE VOICE [--seconds 20] [--height 720] [--wide]
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from dubbing import looped

from lipgan_colab.media.video import read_video
from lipgan_colab.media.writing import write_video

DUB = """
import json, resource, sys, time
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
film, voice, out, how = sys.argv[1:]
start = time.perf_counter()
options = GenerateOptions(cache="anew" not in how, lossless="lossless" in how, keep_length="film")
report = generate(film, voice, "starter", out, options, on_progress=lambda done, total: None)
wall, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"wall": wall, "cpu": used.ru_utime + used.ru_stime, "known": report.known, **report.seconds}))
"""


def pictures_of(path: Path) -> str:
    digest = hashlib.sha256()
    for _, frame in read_video(path):
        digest.update(frame)
    return digest.hexdigest()


def framed(clip: Path, height: int, seconds: float) -> Iterator[np.ndarray]:
    """The clip's frames as a film's pictures are wide, 16:9, with the head at half its size, as in an interview."""
    for frame in looped(clip, height // 2, seconds):
        wide = cv2.resize(cv2.GaussianBlur(frame, (0, 0), 9), (height * 16 // 9, height))
        left = (wide.shape[1] - frame.shape[1]) // 2
        wide[height // 4 : height // 4 + len(frame), left : left + frame.shape[1]] = frame
        yield wide


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("voices", type=Path, nargs=2)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--wide", action="store_true", help="16:9, the head half as large")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    ratios = {"wall": [], "cpu": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make = framed if args.wide else looped
        write_video(folder / "film.mp4", make(args.clip, args.height, args.seconds), 25)

        def dub(voice: int, how: str, faces: str) -> dict[str, float]:
            asked = [folder / "film.mp4", args.voices[voice], folder / f"{how}.mp4", how]
            env = {**os.environ, "LIPGAN_FACES": str(folder / faces)}
            command = [sys.executable, "-c", DUB, *map(str, asked)]
            said = json.loads(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout)
            print(f"{how:8}", " ".join(f"{what} {seconds:.2f}" for what, seconds in said.items()))
            return said

        for turn in range(args.rounds):
            first, second = dub(0, "first", f"faces{turn}"), dub(1, "second", f"faces{turn}")
            for what in ratios:
                ratios[what].append(second[what] / first[what])
        dub(1, "lossless", "faces0"), dub(1, "lossless-anew", "faces0")
        same = pictures_of(folder / "lossless.mp4") == pictures_of(folder / "lossless-anew.mp4")
    for what, found in ratios.items():
        print(f"second voice / first voice, {what}: {' '.join(f'{ratio:.2f}' for ratio in sorted(found))}")
    print(f"the same pictures as without: {same}")


if __name__ == "__main__":
    main()
