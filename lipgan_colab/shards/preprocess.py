"""Corpus to shards: every clip's faces cropped, its speech made into features, a few hundred clips a file."""

import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm.auto import tqdm

from lipgan_colab.corpora.corpus import Utterance
from lipgan_colab.errors import InputError, check_range, check_ranges, counted
from lipgan_colab.faces import geometry, tracking
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import INNER_LIPS, LIPS, Face, sizes
from lipgan_colab.faces.mesh import kept_points
from lipgan_colab.faces.model_file import finder_name
from lipgan_colab.files import check_place, clear_abandoned
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import probe_video, read_video, resample_frames
from lipgan_colab.shards.gates import Gates, Rejected, Watcher, check_picture, check_sound
from lipgan_colab.shards.manifest import MANIFEST, shard_paths, write_manifest
from lipgan_colab.shards.provenance import check_made_alike
from lipgan_colab.shards.shard_file import VOICE_SCALE, UtteranceRecord
from lipgan_colab.shards.shard_writer import ShardWriter
from lipgan_colab.shards.workers import Lost, as_done, core_count
from lipgan_colab.speech.features import mel, mfcc
from lipgan_colab.speech.sync import clip_sync, group_sync
from lipgan_colab.workspace import local_folder

KEPT_FRAMES = (
    256 << 20
)  # bytes of a clip's pictures that are kept until its boxes are known; a longer one is read twice


RANGES = {  # of the settings
    "fps": (1, 240),
    "size": (96, 1024),
    "jpeg_quality": (1, 100),
    "utterances_per_shard": (1, 100_000),
    "sound_offset": (-250, 250),
}
LIMIT_PER_MB = 60.0  # seconds more for a clip that may hang: enough for a weak machine and 100 kbit/s


@dataclass(frozen=True)
class PreprocessConfig:
    """How clips become shards.

    Attributes:
        fps: frames a second in the shards, 1 to 240; other videos are resampled by their time stamps.
        size: width and height of the face crops in pixels, 96 to 1024; a generator learns from 96, 192 or 288.
        jpeg_quality: 1 to 100.
        utterances_per_shard: clips (kept or skipped) that one shard stands for.
        sound_offset: frames by which the sound of this corpus is late (early where < 0), 250 at most; it is moved back
            by as many.
        gates: what a clip must come up to.
    """

    fps: int = 25
    size: int = 96
    jpeg_quality: int = 95
    utterances_per_shard: int = 200
    sound_offset: int = 0
    gates: Gates = field(default_factory=Gates)

    def __post_init__(self):
        check_ranges(self, RANGES)


def preprocess_utterance(
    utterance: Utterance, finder: FaceFinder, config: PreprocessConfig = PreprocessConfig()
) -> UtteranceRecord:
    """Decode one clip, follow its largest face, crop it, and compute its speech features.

    Raises:
        InputError: the clip cannot be used; the message says why. A gates.Rejected of them says at which gate.
    """
    speech = _speech(utterance, config)
    frames = _Frames(utterance.path, config.fps, len(speech))
    seen = Watcher(finder)
    track = tracking.track(seen.watch(frames), seen)
    check_picture(track, seen, config.gates)
    followed = tracking.fill_gaps(tracking.smooth_boxes(track))
    crops = (geometry.crop(frame, face.box, config.size) for frame, face in zip(frames, followed, strict=True))
    spectrum = mel(speech)
    return UtteranceRecord(
        id=utterance.id,
        speaker=utterance.group,
        licence=utterance.licence,
        jpegs=[_jpeg(crop, config.jpeg_quality) for crop in crops],
        found=np.array([face is not None for face in track]),
        box=np.stack([face.box for face in followed]),
        head_pose=np.array([(face.yaw, face.pitch, face.roll) for face in followed], np.float32),
        lip_landmarks=np.stack([_lips(face, config.size) for face in followed]),
        mfcc=mfcc(speech),
        mel=spectrum,
        sync=clip_sync(_openings(followed), spectrum, config.fps),
        mesh=np.stack([_mesh(face) for face in followed]),
        voice=np.clip(np.rint(speech * VOICE_SCALE), -VOICE_SCALE, VOICE_SCALE).astype(np.int16),
    )


def _speech(utterance: Utterance, config: PreprocessConfig) -> np.ndarray:
    try:
        speech = read_speech(utterance.path)
    except InputError as error:
        # Only now, because it costs a look into the file: is it the sound that is missing, or everything?
        gate = "unreadable" if probe_video(utterance.path).has_sound else "no sound"
        raise Rejected(gate, str(error)) from error
    check_sound(speech, config.gates)
    late = round(config.sound_offset * SAMPLE_RATE / config.fps)
    return speech[late:] if late >= 0 else np.concatenate([np.zeros(-late, speech.dtype), speech])


class _Frames:
    """A clip's pictures at a constant rate, as long as there is sound, for going through twice.

    They are kept while they are few; a long clip, which would not fit into memory, is decoded again.
    """

    def __init__(self, path: Path, fps: int, samples: int):
        self.path, self.fps = path, fps
        self.count = int(np.ceil(samples * fps / SAMPLE_RATE))  # later frames belong to no sound
        self._kept: list[np.ndarray] | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._kept is not None:
            yield from self._kept
            return
        kept, size = [], 0
        with closing(read_video(self.path)) as film:
            for frame, _ in zip(resample_frames(film, self.fps), range(self.count), strict=False):
                size += frame.nbytes
                if size <= KEPT_FRAMES:
                    kept.append(frame)
                else:
                    kept.clear()
                yield frame
        if size <= KEPT_FRAMES:
            self._kept = kept


def _jpeg(crop: np.ndarray, quality: int) -> bytes:
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return encoded.tobytes()


def _lips(face: Face, size: int) -> np.ndarray:
    """Outer, then inner lip landmarks in the crop, (40, 2) in [0, 1]."""
    points = LIPS + INNER_LIPS
    return geometry.crop_points(face.landmarks[points], face.box, size).astype(np.float32) / size


def _mesh(face: Face) -> np.ndarray:
    """The points that tell pose and mouth, as a shard keeps them: float16 (K, 3)."""
    points = kept_points()
    places = geometry.crop_points(face.landmarks[points], face.box, 1)
    depth = np.full(len(points), np.nan) if face.depth is None else face.depth[points] / sizes(face.box)
    return np.column_stack([places, depth]).astype(np.float16)


def _openings(followed: Sequence[Face]) -> np.ndarray:
    """How far the mouth is open in each frame, (F,)."""
    return np.array([geometry.mouth_opening(face.landmarks) for face in followed])


def _try_utterance(utterance: Utterance, finder: FaceFinder, config: PreprocessConfig) -> UtteranceRecord | dict:
    """The record, or {"id", "gate", "reason"}: one bad clip must not end a night's work."""
    try:
        return preprocess_utterance(utterance, finder, config)
    except Rejected as error:
        return _skipped(utterance, error.gate, str(error))
    except InputError as error:
        return _skipped(utterance, "unreadable", str(error))
    except Exception as error:
        return _skipped(utterance, "error", f"unexpected {type(error).__name__}: {error}")


def _skipped(utterance: Utterance, gate: str, reason: str) -> dict:
    return {"id": utterance.id, "gate": gate, "reason": reason.replace(f"{utterance.path}: ", "")}


def _open_finder() -> FaceFinder:
    cv2.setNumThreads(1)  # the processes already share the cores
    return FaceFinder()


def preprocess(
    utterances: Sequence[Utterance],
    out: str | Path,
    config: PreprocessConfig = PreprocessConfig(),
    workers: int | None = None,
    timeout: float = 300.0,
    rank: int | None = None,
    world_size: int | None = None,
    scratch: str | Path | None = None,
) -> dict:
    """Make the shards of a corpus; run again, it goes on after the last clip that was done.

    More clips may be appended later (a bigger subset begins with the smaller one): whole shards stay, and what is done
    of the last one is used. That holds for shards of older formats too: they stay as they are, and new ones come beside
    them. A last one that is continued still lacks mesh and voice then (see Shard.check_mesh).

    Args:
        utterances: the clips, in an order that is the same every time and on every machine.
        out: the folder of the shards.
        config: sizes and thresholds.
        workers: processes; None takes one a core, 0 none but this one, in which a clip that hangs cannot be ended.
        timeout: seconds that a clip may take, and as many minutes more as its file has MB; one that hangs is skipped.
        rank: which of several machines this is, from 0; each makes its own part of the shards. None takes what torchrun
            sets (RANK), or 0.
        world_size: how many machines share the work. None takes what torchrun sets (WORLD_SIZE), or 1.
        scratch: a fast disk, where shards are made before they are moved to `out`, and where what is done of a shard
            waits in a folder .unfinished. None takes Colab's own disk if `out` is on its Drive, and `out` if not.

    Returns:
        The manifest (see manifest.write_manifest): what was kept, and what was skipped for which reason.

    Raises:
        InputError: the folder cannot be written to, or holds shards that were made of other clips or in another way,
            or nothing could be used.
    """
    check_range("workers", workers, 0)
    if not timeout > 0:
        raise InputError(f"`timeout` {timeout}: it must be more than 0 seconds")
    out = Path(out)
    if scratch is None and local_folder(out) != Path(os.path.abspath(out)):
        scratch = local_folder(out)
    rank, world_size = _place(rank, world_size)
    for folder in (out, Path(scratch or out)):
        check_place(folder / MANIFEST)
    clear_abandoned(out)
    step = config.utterances_per_shard
    slices = [utterances[start : start + step] for start in range(0, len(utterances), step)]
    paths = [out / f"shard-{k:05d}.safetensors" for k in range(len(slices))]
    others = set(shard_paths(out)) - set(paths)
    if others:
        raise InputError(f"{min(others)}: not of this corpus; choose another folder for the shards")
    settings = asdict(config) | {"finder": finder_name()}
    alike: set[Path] = set()

    def check() -> None:
        """Also what other machines have added meanwhile."""
        there = [path for path in shard_paths(out) if path not in alike]
        check_made_alike(there, settings)
        alike.update(there)

    check()
    shards = [ShardWriter(*pair, settings, scratch) for pair in zip(paths, slices, strict=True)][rank::world_size]
    digests = _make([shard for shard in shards if not shard.is_done()], config, workers, timeout, check)
    check()
    manifest = write_manifest(out, digests)
    if not manifest["frames"] and len(manifest["shards"]) == len(paths):
        reasons = "; ".join(f"{s['id']}: {s['reason']}" for s in manifest["skipped"][:3])
        raise InputError(f"{out}: none of the {counted(len(utterances), 'clip')} could be used ({reasons})")
    return manifest


def _place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    rank = int(os.environ.get("RANK", 0)) if rank is None else rank
    world_size = int(os.environ.get("WORLD_SIZE", 1)) if world_size is None else world_size
    if not 0 <= rank < world_size:
        raise InputError(f"`rank` {rank} of `world_size` {world_size}: there is no such machine; count from 0")
    return rank, world_size


def _make(
    shards: list[ShardWriter], config: PreprocessConfig, workers: int | None, timeout: float, check: Callable[[], None]
) -> dict[str, str]:
    """Make these shards; their SHA-256 by name. `check` is called before one is written."""
    clips = [(shard, place) for shard in shards for place in shard.lacking()]
    lacking = Counter(shard.path for shard, _ in clips)
    utterances = [shard.utterances[place] for shard, place in clips]
    workers = core_count() if workers is None else workers
    work, limit = partial(_try_utterance, config=config), partial(_time_limit, timeout=timeout)
    written: dict[str, Future] = {}

    def finish(shard: ShardWriter) -> str:
        with _disk_errors(shard):
            check()
            return shard.finish()

    with (
        ExitStack() as last,
        _Progress(len(clips), config.fps) as progress,
        closing(as_done(work, utterances, workers, _open_finder, limit)) as results,
    ):
        writing = ThreadPoolExecutor(1)  # Drive is slow, and who preprocesses shall not wait for it
        last.callback(writing.shutdown, cancel_futures=True)
        written |= {shard.path.name: writing.submit(finish, shard) for shard in shards if not lacking[shard.path]}
        for at, result in results:
            shard, place = clips[at]
            if isinstance(result, Lost):
                result = _lost(shard.utterances[place], result, limit)
            with _disk_errors(shard):
                shard.keep(place, result)
            progress.count(result)
            lacking[shard.path] -= 1
            if not lacking[shard.path]:
                written[shard.path.name] = writing.submit(finish, shard)
                progress.judge_sync()
            for done in written.values():
                if done.done():
                    done.result()  # or what went wrong with it
        return {name: done.result() for name, done in written.items()}


def _time_limit(utterance: Utterance, timeout: float) -> float:
    """Seconds that a clip may take; generous, for it is there to end what hangs."""
    try:
        return timeout + LIMIT_PER_MB * os.stat(utterance.path).st_size / 1e6
    except OSError:
        return timeout  # what is wrong with it is said where it is read


def _lost(utterance: Utterance, lost: Lost, limit: Callable[[Utterance], float]) -> dict:
    if lost is Lost.CRASHED:
        return _skipped(utterance, "crash", "ended the process that read it, twice")
    return _skipped(utterance, "hangs", f"took longer than {limit(utterance):.0f} s; give it a longer `timeout`")


@contextmanager
def _disk_errors(shard: ShardWriter) -> Iterator[None]:
    """Say in one line what the disk did not take."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{error.filename or shard.path}: cannot be written ({error.strerror}); make room or see to the disk, and "
            "run again: what is done is kept"
        ) from error


class _Progress:
    """A line that lives: clips, time left, frames a second, hours done, how many skipped."""

    def __init__(self, clips: int, fps: int):
        self.fps, self.frames, self.skipped, self.curves = fps, 0, 0, []
        self.started, self.warned = time.monotonic(), False
        self.bar = tqdm(total=clips, unit="clip", desc="preprocess")

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *exception) -> None:
        self.bar.close()

    def count(self, result: UtteranceRecord | dict) -> None:
        if isinstance(result, dict):
            self.skipped += 1
        else:
            self.frames += len(result.jpegs)
            self.curves.append(result.sync)
        rate = self.frames / max(time.monotonic() - self.started, 1e-3)
        hours = self.frames / self.fps / 3600
        self.bar.set_postfix_str(f"{rate:.0f} frames/s, {hours:.2f} h done, {self.skipped} skipped", refresh=False)
        self.bar.update()

    def judge_sync(self) -> None:
        """Say once, and early, that this corpus' sound is not where it should be."""
        group = group_sync(np.array(self.curves).reshape(len(self.curves), -1)) if self.curves else None
        if group and group.verdict in ("shifted", "no match") and not self.warned:
            self.warned = True
            warnings.warn(str(group), stacklevel=2)
