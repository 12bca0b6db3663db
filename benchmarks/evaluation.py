"""How long does judging a clip take, against the clip's own duration, and against what cannot be saved: four looks for
the face and two generated crops a frame?

PYTHONPATH=. python benchmarks/evaluation.py [--videos DIR] [--clips 4] [--weights RUN | --width 0.25]

Drawn clips stand in where there is no folder. The seconds are the processor's, so that a shared machine tells the same;
they are divided by the cores that the stages share.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from lipgan_colab.corpora.corpus import folder
from lipgan_colab.evaluation.evaluate import evaluate
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face_clip import FPS
from lipgan_colab.generation.crops import generate_crops
from lipgan_colab.generation.setting import ready_generator
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.shards.workers import core_count
from lipgan_colab.synthetic.clips import draw_clip, draw_corpus

LOOKS, CROPS = 4, 2  # a frame: in the video and in its crop, own and another's speech; the last two are generated


def processor_seconds(work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def frame_floor(generator, frames: int = 32) -> tuple[float, float]:
    """Processor seconds that a look and a generated crop take."""
    pictures = list(draw_clip(0, np.linspace(0, 0.1, frames), FPS))
    crops = np.zeros((frames, 96, 96, 3), np.uint8)
    windows = generator.speech_input.windows(generator.speech_input.features(np.zeros(32000, np.float32)), frames, FPS)
    with FaceFinder() as finder:
        finder.find(pictures[0])
        look = processor_seconds(lambda: [finder.find(picture) for picture in pictures]) / frames
    generate_crops(generator, crops, crops, windows)
    return look, processor_seconds(lambda: generate_crops(generator, crops, crops, windows)) / frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--weights")
    parser.add_argument("--width", type=float, default=0.25)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        videos = args.videos or Path(place) / "videos"
        if args.videos is None:
            draw_corpus(videos, clips=args.clips, identities=2, seconds=3)
        ids = [utterance.id for utterance in folder(videos)][: args.clips]
        generator = ready_generator(args.weights or LipGANGenerator(GeneratorConfig(args.width)).eval(), "cpu")
        look, crop = frame_floor(generator)
        started = time.perf_counter()
        judged = []
        spent = processor_seconds(lambda: judged.append(evaluate(videos, generator, Path(place) / "out", ids, "cpu")))
        waited = time.perf_counter() - started
    frames = sum(clip.frames for clip in judged[0].clips)
    seconds, floor, cores = frames / FPS, frames * (LOOKS * look + CROPS * crop), core_count()
    print(
        f"{frames} frames, {seconds:.1f} s of video; a look {1e3 * look:.1f} ms, a generated crop {1e3 * crop:.1f} ms"
    )
    print(f"processor: {spent / seconds:.2f} of the duration, {spent / floor:.2f} of looks and crops alone")
    print(f"duration: {spent / seconds / 2:.2f} of it on two cores at best, {waited / seconds:.2f} here on {cores}")


if __name__ == "__main__":
    main()
