"""How fast does a video become a shard, how far is that from MediaPipe alone, and from the detector LipGAN used?

PYTHONPATH=. python benchmarks/preprocessing.py [VIDEO ...]    (default: three clips of ../shared, or drawn ones)

Stages in CPU time on one core; then the whole job by the clock, with as many processes as there are cores.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.corpora.corpus import Utterance
from lipgan_colab.faces import geometry, tracking
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.media.cuts import shot_numbers, thumbnail
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.video import read_video, resample_frames
from lipgan_colab.shards.film_clips import PreprocessConfig, _jpeg, film_clips
from lipgan_colab.shards.preprocess import preprocess
from lipgan_colab.shards.workers import core_count
from lipgan_colab.speech.features import mel, mfcc

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "grid" / "s1"
ROUNDS = 5  # the least of so many counts: what others do to the caches only adds
DLIB, DLIB_FRAMES = "dlib's detector", 20
CLIPS = 24  # of the whole job


def clips(folder: str) -> list[Path]:
    if sys.argv[1:]:
        return [Path(p) for p in sys.argv[1:]]
    if SHARED.is_dir():
        return sorted(SHARED.glob("*.mpg"))[:3]
    from lipgan_colab.synthetic.clips import draw_corpus

    return draw_corpus(folder, clips=3, seconds=3.0)


def cpu_seconds(work) -> float:
    """CPU seconds: they hold still when others use the machine, unlike the wall clock's."""
    start = time.process_time()
    work()
    return time.process_time() - start


def least(stages: dict) -> dict[str, float]:
    """The least of every stage. Each round goes through all of them, so that they share the machine's moods."""
    rounds = [{name: cpu_seconds(work) for name, work in stages.items()} for _ in range(ROUNDS)]
    return {name: min(seconds[name] for seconds in rounds) for name in stages}


def dlib_stage(frames: list[np.ndarray]) -> dict:
    """The detector of LipGAN's preprocessing, enlarging once as it did; {} without it (pip install dlib-bin)."""
    try:
        import dlib
    except ImportError:
        return {}
    detector = dlib.get_frontal_face_detector()
    return {DLIB: lambda: [detector(frame, 1) for frame in frames]}


def whole_job(paths: list[Path], workers: int, folder: str) -> float:
    """Frames a second by the clock, from files to shards, without the start of the processes."""
    utterances = [Utterance(f"{n}", paths[n % len(paths)]) for n in range(CLIPS)]
    warm_up, rest = Path(folder, f"warm{workers}"), Path(folder, f"job{workers}")
    seconds = []
    for out, count in ((warm_up, workers), (rest, CLIPS)):
        start = time.monotonic()
        manifest = preprocess(utterances[:count], out, PreprocessConfig(), workers=workers)
        seconds.append(time.monotonic() - start)
    return (manifest["frames"] * (CLIPS - workers) / CLIPS) / (seconds[1] - seconds[0])


def main() -> None:
    cv2.setNumThreads(1)
    config = PreprocessConfig()
    with tempfile.TemporaryDirectory() as folder, FaceFinder() as finder:
        paths = clips(folder)
        films = [list(resample_frames(read_video(p), config.fps)) for p in paths]
        frames = [frame for film in films for frame in film]
        tracks = [tracking.fill_gaps(tracking.smooth_boxes(tracking.track(film, finder))) for film in films]
        boxes = [face.box for track in tracks for face in track]
        crops = [geometry.crop(frame, box, config.size) for frame, box in zip(frames, boxes, strict=True)]
        speeches = [read_speech(p) for p in paths]
        still = np.ascontiguousarray(frames[0])
        stages = {
            "MediaPipe alone": lambda: [finder.find(still) for _ in frames],
            "decode": lambda: [sum(1 for _ in read_video(p)) for p in paths],
            "find and follow": lambda: [tracking.track(film, finder) for film in films],
            "watch for cuts": lambda: [sum(1 for _ in shot_numbers(map(thumbnail, film))) for film in films],
            "crop": lambda: [geometry.crop(f, b, config.size) for f, b in zip(frames, boxes, strict=True)],
            "encode": lambda: [_jpeg(crop, config.jpeg_quality) for crop in crops],
            "speech": lambda: [(read_speech(p), mfcc(s), mel(s)) for p, s in zip(paths, speeches, strict=True)],
            "all of it": lambda: [list(film_clips(Utterance(p.name, p), finder, config)) for p in paths],
        }
        some = frames[:: len(frames) // DLIB_FRAMES][:DLIB_FRAMES]
        seconds = least(stages | dlib_stage(some))
        counts = dict.fromkeys(seconds, len(frames)) | {DLIB: len(some)}
        print(f"{len(frames)} frames of {still.shape[1]}x{still.shape[0]}; CPU time on one core, least of {ROUNDS}")
        floor = seconds["MediaPipe alone"] / len(frames)
        for name, s in seconds.items():
            each = s / counts[name]
            print(f"{name:16} {1e3 * each:7.2f} ms a frame {1 / each:8.0f} frames/s {each / floor:6.2f} floors")
        whole = seconds["all of it"] / len(frames)
        print(f"share of the floor reached: {floor / whole:.0%}")
        if DLIB in seconds:
            print(f"times faster than {DLIB} alone: {seconds[DLIB] / len(some) / whole:.1f}")
        for workers in sorted({1, core_count()}):
            print(f"by the clock, {workers} processes: {whole_job(paths, workers, folder):.0f} frames/s")


if __name__ == "__main__":
    main()
