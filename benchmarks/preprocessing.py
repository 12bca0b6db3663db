"""How fast does a video become a shard on one core, and how far is that from MediaPipe alone?

PYTHONPATH=. python benchmarks/preprocessing.py [VIDEO ...]    (default: three clips of ../shared, or drawn ones)
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab import audio, faces, media
from lipgan_colab.corpora import Utterance
from lipgan_colab.preprocess import PreprocessConfig, _jpeg, preprocess_utterance

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "grid" / "s1"
ROUNDS = 3  # the fastest of so many counts: the others shared the machine


def clips(folder: str) -> list[Path]:
    if sys.argv[1:]:
        return [Path(p) for p in sys.argv[1:]]
    if SHARED.is_dir():
        return sorted(SHARED.glob("*.mpg"))[:3]
    from lipgan_colab.synthetic import draw_corpus

    return draw_corpus(folder, clips=3, seconds=3.0)


def fastest(work) -> float:
    """CPU seconds of the fastest round: they hold still when others use the machine, unlike the wall clock's."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def main() -> None:
    cv2.setNumThreads(1)
    config = PreprocessConfig()
    with tempfile.TemporaryDirectory() as folder, faces.FaceFinder() as finder:
        paths = clips(folder)
        films = [list(media.resample_frames(media.read_video(p), config.fps)) for p in paths]
        frames = [frame for film in films for frame in film]
        tracks = [faces.fill_gaps(faces.smooth_boxes(faces.track(film, finder))) for film in films]
        boxes = [face.box for track in tracks for face in track]
        crops = [faces.crop(frame, box, config.size) for frame, box in zip(frames, boxes, strict=True)]
        speeches = [media.read_speech(p) for p in paths]
        still = np.ascontiguousarray(frames[0])
        stages = {
            "MediaPipe alone": lambda: [finder.find(still) for _ in frames],
            "decode (twice)": lambda: [sum(1 for _ in media.read_video(p)) for p in paths * 2],
            "find and follow": lambda: [faces.track(film, finder) for film in films],
            "crop": lambda: [faces.crop(f, b, config.size) for f, b in zip(frames, boxes, strict=True)],
            "encode": lambda: [_jpeg(crop, config.jpeg_quality) for crop in crops],
            "speech": lambda: [
                (media.read_speech(p), audio.mfcc(s), audio.mel(s)) for p, s in zip(paths, speeches, strict=True)
            ],
            "all of it": lambda: [preprocess_utterance(Utterance(p.name, p), finder, config) for p in paths],
        }
        seconds = {name: fastest(work) for name, work in stages.items()}
    print(f"{len(frames)} frames of {frames[0].shape[1]}x{frames[0].shape[0]}; CPU time on one core, best of {ROUNDS}")
    floor = seconds["MediaPipe alone"]
    for name, s in seconds.items():
        print(
            f"{name:16} {1e3 * s / len(frames):7.2f} ms a frame {len(frames) / s:8.0f} frames/s {s / floor:6.2f} floors"
        )
    print(f"share of the floor reached: {floor / seconds['all of it']:.0%}")


if __name__ == "__main__":
    main()
