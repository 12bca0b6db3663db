"""Corpus to shards: every clip's faces cropped, its speech made into features, a few hundred clips a file."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from tqdm.auto import tqdm

from lipgan_colab import audio, faces, media
from lipgan_colab.corpora import Utterance
from lipgan_colab.errors import InputError
from lipgan_colab.shards import UtteranceRecord, read_metadata, write_manifest, write_shard

SILENT = 1e-4  # root mean square of a recording in which nobody can be heard (-80 dB)


@dataclass(frozen=True)
class PreprocessConfig:
    """How clips become shards.

    Attributes:
        fps: frames a second in the shards; other videos are resampled by their time stamps.
        size: width and height of the face crops in pixels.
        jpeg_quality: 1 to 100.
        utterances_per_shard: clips (kept or skipped) that one shard stands for.
        min_frames: a clip with fewer frames is skipped, as in the authors' train.py.
        min_found: so large a share of a clip's frames must show the face.
    """

    fps: int = 25
    size: int = 96
    jpeg_quality: int = 95
    utterances_per_shard: int = 200
    min_frames: int = 12
    min_found: float = 0.5


def preprocess_utterance(
    utterance: Utterance, finder: faces.FaceFinder, config: PreprocessConfig = PreprocessConfig()
) -> UtteranceRecord:
    """Decode one clip, follow its largest face, crop it, and compute its speech features.

    Raises:
        InputError: the clip cannot be used; the message says why.
    """
    speech = media.read_speech(utterance.path)
    if np.sqrt(np.mean(np.square(speech))) < SILENT:
        raise InputError(f"{utterance.path}: its sound is silent; leave it out")

    def frames() -> Iterator[np.ndarray]:
        # Speech that ends early leaves frames that belong to no sound.
        spoken = int(np.ceil(len(speech) * config.fps / media.SAMPLE_RATE))
        resampled = media.resample_frames(media.read_video(utterance.path), config.fps)
        return (frame for frame, _ in zip(resampled, range(spoken), strict=False))

    track = faces.track(frames(), finder)
    if len(track) < config.min_frames:
        raise InputError(f"{utterance.path}: {len(track)} frames are too few; {config.min_frames} are needed")
    found = np.array([face is not None for face in track])
    if found.mean() < config.min_found:
        raise InputError(f"{utterance.path}: a face in only {found.sum()} of {len(found)} frames; leave it out")
    followed = faces.fill_gaps(faces.smooth_boxes(track))
    # Decoded again rather than kept: the boxes are known only at the end, and a long clip does not fit into memory.
    crops = (faces.crop(frame, face.box, config.size) for frame, face in zip(frames(), followed, strict=True))
    return UtteranceRecord(
        id=utterance.id,
        speaker=utterance.speaker,
        licence=utterance.licence,
        jpegs=[_jpeg(crop, config.jpeg_quality) for crop in crops],
        found=found,
        box=np.stack([face.box for face in followed]),
        head_pose=np.array([(face.yaw, face.pitch, face.roll) for face in followed], np.float32),
        lip_landmarks=np.stack([_lips(face, config.size) for face in followed]),
        mfcc=audio.mfcc(speech),
        mel=audio.mel(speech),
    )


def _jpeg(crop: np.ndarray, quality: int) -> bytes:
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return encoded.tobytes()


def _lips(face: faces.Face, size: int) -> np.ndarray:
    """Outer, then inner lip landmarks in the crop, (40, 2) in [0, 1]."""
    points = faces.LIPS + faces.INNER_LIPS
    if face.landmarks is None:
        return np.full((len(points), 2), np.nan, np.float32)
    return faces.crop_points(face.landmarks[points], face.box, size).astype(np.float32) / size


_finder: faces.FaceFinder | None = None  # a worker process' own


def _start_worker() -> None:
    global _finder
    cv2.setNumThreads(1)  # the processes already share the cores
    _finder = faces.FaceFinder()


def _try_in_worker(utterance: Utterance, config: PreprocessConfig) -> UtteranceRecord | dict:
    return _try_utterance(utterance, config, _finder)


def _try_utterance(utterance: Utterance, config: PreprocessConfig, finder: faces.FaceFinder) -> UtteranceRecord | dict:
    """The record, or {"id", "reason"}: one bad clip must not end a night's work."""
    try:
        return preprocess_utterance(utterance, finder, config)
    except InputError as error:
        return {"id": utterance.id, "reason": str(error).replace(f"{utterance.path}: ", "")}
    except Exception as error:
        return {"id": utterance.id, "reason": f"unexpected {type(error).__name__}: {error}"}


def preprocess(
    utterances: Sequence[Utterance],
    out: str | Path,
    config: PreprocessConfig = PreprocessConfig(),
    workers: int | None = None,
) -> dict:
    """Make the shards of a corpus; run again, it goes on after the last whole shard.

    Args:
        utterances: the clips, in an order that is the same every time.
        out: the folder of the shards.
        config: sizes and thresholds.
        workers: processes; None takes one a core, 0 none but this one.

    Returns:
        The manifest (see shards.write_manifest): what was kept, and what was skipped for which reason.

    Raises:
        InputError: the folder holds shards that were made of other clips or in another way, or nothing could be used.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    step = config.utterances_per_shard
    slices = [utterances[start : start + step] for start in range(0, len(utterances), step)]
    paths = [out / f"shard-{k:05d}.safetensors" for k in range(len(slices))]
    others = set(out.glob("shard-*.safetensors")) - set(paths)
    if others:
        raise InputError(f"{min(others)}: not of this corpus; choose another folder for the shards")
    todo = [k for k, path in enumerate(paths) if not _is_done(path, slices[k], config)]
    results = _records([u for k in todo for u in slices[k]], config, workers)
    with tqdm(total=sum(len(slices[k]) for k in todo), unit="clip", desc="preprocess") as progress:
        for k in todo:
            records, skipped = [], []
            for _ in slices[k]:
                result = next(results)
                (skipped if isinstance(result, dict) else records).append(result)
                progress.update()
            write_shard(paths[k], records, skipped, asdict(config))
    manifest = write_manifest(out)
    if not manifest["frames"]:
        reasons = "; ".join(f"{s['id']}: {s['reason']}" for s in manifest["skipped"][:3])
        raise InputError(f"{out}: none of the {len(utterances)} clips could be used ({reasons})")
    return manifest


def _is_done(path: Path, utterances: Sequence[Utterance], config: PreprocessConfig) -> bool:
    """Whether the shard is there and whole. Shards are renamed into place, so a damaged one is an error, not a gap."""
    if not path.exists():
        return False
    metadata = read_metadata(path)
    ids = {entry["id"] for entry in metadata["utterances"] + metadata["skipped"]}
    if ids != {u.id for u in utterances} or metadata["settings"] != asdict(config):
        raise InputError(f"{path}: made of other clips or in another way; choose another folder, or delete it")
    return True


def _records(
    utterances: list[Utterance], config: PreprocessConfig, workers: int | None
) -> Iterator[UtteranceRecord | dict]:
    """The clips' records in order, made by this process or by several."""
    workers = min(os.cpu_count() or 1 if workers is None else workers, len(utterances))
    if workers <= 1:
        with faces.FaceFinder() as finder:
            yield from (_try_utterance(u, config, finder) for u in utterances)
        return
    # Spawned, not forked: MediaPipe's and PyAV's threads do not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker) as pool:
        try:
            yield from pool.map(_try_in_worker, utterances, [config] * len(utterances))
        except BrokenProcessPool as error:
            raise InputError(
                "a worker process died, most likely for lack of memory; "
                "run again (finished shards are kept), with fewer workers"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
