"""The shard file, and the dataset that reads it.

A shard is one safetensors file of a few hundred utterances. F frames and T columns are counted over all of its U
utterances:

    jpeg                uint8   (bytes,)      all face crops, RGB, one JPEG after the other
    jpeg_offsets        int64   (F + 1,)      frame f is jpeg[offsets[f]:offsets[f + 1]]
    utterance_frames    int64   (U,)          how many frames each utterance has
    found               bool    (F,)          False: no face was seen there, the box lies between its neighbours'
    box                 float32 (F, 4)        x1, y1, x2, y2 in the video's pixels
    head_pose           float32 (F, 3)        yaw, pitch, roll in degrees
    lip_landmarks       float32 (F, L, 2)     x, y in the crop, 0 to 1 (nan without landmarks)
    mfcc, mel           float32 (T, 12 | 80)  columns of the speech, one a row
    mfcc_offsets, mel_offsets  int64 (U + 1,) utterance u has rows offsets[u] to offsets[u + 1]

Its metadata are one JSON text: utterances (id, speaker, licence of each), skipped (id and reason), settings.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch.utils.data import DataLoader, Dataset

from lipgan_colab.audio import window_columns
from lipgan_colab.errors import InputError
from lipgan_colab.files import written_whole

MANIFEST = "manifest.json"
METADATA = "shard"  # the header's entry
FAR_FRAMES = 6  # a reference frame is at least this far from its target, as in the authors' train.py
ARRAYS = ("jpeg_offsets", "utterance_frames", "found", "lip_landmarks", "mfcc_offsets", "mel_offsets")


@dataclass(frozen=True)
class UtteranceRecord:
    """What preprocessing makes of one clip; F frames at the shard's frame rate."""

    id: str
    speaker: str
    licence: str
    jpegs: list[bytes]
    found: np.ndarray  # (F,) bool
    box: np.ndarray  # (F, 4)
    head_pose: np.ndarray  # (F, 3)
    lip_landmarks: np.ndarray  # (F, L, 2)
    mfcc: np.ndarray  # (12, T)
    mel: np.ndarray  # (80, T)


def _offsets(lengths: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def write_shard(path: Path, records: Sequence[UtteranceRecord], skipped: Sequence[dict], settings: dict) -> None:
    """Write one shard, whole or not at all. A shard of which every clip was skipped has no utterance.

    Args:
        path: the file to make.
        records: what was kept, in the order of the corpus.
        skipped: {"id", "reason"} of each clip that could not be used.
        settings: how it was made (frame rate, crop size, JPEG quality, versions): plain data.
    """
    jpegs = [jpeg for r in records for jpeg in r.jpegs]

    def stacked(name: str, shape: tuple[int, ...], dtype) -> np.ndarray:
        parts = [np.asarray(getattr(r, name), dtype).reshape(-1, *shape) for r in records]
        return np.ascontiguousarray(np.concatenate([np.zeros((0, *shape), dtype), *parts]))

    points = records[0].lip_landmarks.shape[1] if records else 0
    mfccs, mels = [r.mfcc.T for r in records], [r.mel.T for r in records]
    arrays = {
        "jpeg": np.frombuffer(b"".join(jpegs), np.uint8),
        "jpeg_offsets": _offsets([len(j) for j in jpegs]),
        "utterance_frames": np.array([len(r.jpegs) for r in records], np.int64),
        "found": stacked("found", (), bool),
        "box": stacked("box", (4,), np.float32),
        "head_pose": stacked("head_pose", (3,), np.float32),
        "lip_landmarks": stacked("lip_landmarks", (points, 2), np.float32),
        "mfcc": np.ascontiguousarray(np.concatenate([np.zeros((0, 12)), *mfccs]), np.float32),
        "mel": np.ascontiguousarray(np.concatenate([np.zeros((0, 80)), *mels]), np.float32),
        "mfcc_offsets": _offsets([len(m) for m in mfccs]),
        "mel_offsets": _offsets([len(m) for m in mels]),
    }
    metadata = {
        "utterances": [{"id": r.id, "speaker": r.speaker, "licence": r.licence} for r in records],
        "skipped": list(skipped),
        "settings": settings,
    }
    with written_whole(path) as unfinished:
        # One entry, because safetensors writes several in a random order, and the same clips must give the same bytes.
        save_file(arrays, unfinished, {METADATA: json.dumps(metadata, sort_keys=True)})


def read_metadata(path: Path) -> dict:
    """A shard's metadata as plain data: utterances, skipped, settings.

    Raises:
        InputError: the file is not a whole shard.
    """
    try:
        with safe_open(path, "np") as file:
            return json.loads(file.metadata()[METADATA])
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a whole shard ({error}); delete it and preprocess again") from error


def write_manifest(folder: Path) -> dict:
    """Sum up the shards of a folder in manifest.json and return it: shards (name, bytes, SHA-256, utterances, frames,
    seconds), totals, skipped clips with reasons, settings."""
    shards, skipped, settings = [], [], {}
    for path in sorted(folder.glob("shard-*.safetensors")):
        metadata = read_metadata(path)
        settings = metadata["settings"]
        skipped += metadata["skipped"]
        with safe_open(path, "np") as file:
            frames = int(file.get_tensor("utterance_frames").sum())
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        shards.append(
            {
                "name": path.name,
                "bytes": path.stat().st_size,
                "sha256": digest,
                "utterances": len(metadata["utterances"]),
                "frames": frames,
            }
        )
    frames = sum(s["frames"] for s in shards)
    manifest = {
        "utterances": sum(s["utterances"] for s in shards),
        "frames": frames,
        "hours": round(frames / settings.get("fps", 25) / 3600, 4),
        "skipped": skipped,
        "settings": settings,
        "shards": shards,
    }
    with written_whole(folder / MANIFEST) as unfinished:
        unfinished.write_text(json.dumps(manifest, indent=1))
    return manifest


@dataclass
class _Shard:
    """One open shard. The file is opened on first use, so that every loader process has a handle of its own."""

    path: Path
    utterances: list[dict]
    arrays: dict[str, np.ndarray]
    first_frame: np.ndarray  # (U + 1,): utterance u has frames first_frame[u] to first_frame[u + 1]
    _file: object = field(default=None, repr=False)

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows of an array that stays on disk: only their bytes are read."""
        if self._file is None:
            self._file = safe_open(self.path, "np")
        return self._file.get_slice(name)[start:stop]

    def __getstate__(self):
        return {**self.__dict__, "_file": None}

    def frame(self, index: int) -> np.ndarray:
        """Frame `index` of the shard, uint8 (H, W, 3) RGB."""
        start, stop = self.arrays["jpeg_offsets"][index : index + 2]
        picture = cv2.imdecode(self.rows("jpeg", int(start), int(stop)), cv2.IMREAD_COLOR)
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def window(self, kind: str, utterance: int, frame: int, fps: float) -> np.ndarray:
        """The speech window of a frame, counted within its utterance: (12, 35) or (80, 27)."""
        begin, end = (int(i) for i in self.arrays[f"{kind}_offsets"][utterance : utterance + 2])
        columns = begin + np.clip(window_columns(frame, fps, kind), 0, end - begin - 1)
        first = int(columns[0])
        return self.rows(kind, first, int(columns[-1]) + 1)[columns - first].T


def _open(path: Path) -> _Shard:
    metadata = read_metadata(path)
    with safe_open(path, "np") as file:
        arrays = {name: file.get_tensor(name) for name in ARRAYS}
    return _Shard(path, metadata["utterances"], arrays, _offsets(arrays["utterance_frames"]))


def lip_region(points: np.ndarray, size: int) -> np.ndarray:
    """The mouth in a crop: the lips' hull, grown by a twelfth of the crop and softened, uint8 (size, size), 255 inside.

    Args:
        points: (L, 2) lip landmarks in [0, 1]; nan (no landmarks) gives the place where the lips usually are.
    """
    if not np.isfinite(points).all():
        points = np.array([[0.3, 0.68], [0.7, 0.68], [0.7, 0.9], [0.3, 0.9]], np.float32)
    mask = np.zeros((size, size), np.uint8)
    hull = cv2.convexHull((points * size).astype(np.float32)).round().astype(np.int32)
    cv2.fillConvexPoly(mask, hull, 255)
    grown = 2 * (size // 24) + 1
    mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (grown, grown)))
    return cv2.GaussianBlur(mask, (0, 0), size / 48)


def _recolour(rng: np.random.Generator) -> np.ndarray:
    """A random lookup table (256, 1, 3): gain, gamma and tint, mild enough to stay a plausible photograph."""
    levels = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    gamma = np.exp(rng.uniform(-0.2, 0.2))
    gain = np.exp(rng.uniform(-0.15, 0.15) + rng.uniform(-0.06, 0.06, size=3))
    return (np.clip(levels**gamma * gain, 0, 1) * 255).astype(np.uint8)[:, None, :]


class LipSyncDataset(Dataset):
    """Training samples from a folder of shards; sample n is a pure function of (seed, n).

    `dataset[n]` is a dict of tensors:
        reference, target: uint8 (3, S, S) RGB; two frames of one utterance at least 6 frames apart.
        speech: float32 (1, 12, 35) or (1, 80, 27), the window of the target frame.
        unsynced_speech: a window from elsewhere in the corpus.
        lips: uint8 (1, S, S), 255 where the target's lips are.

    Args:
        folder: where the shards are.
        seed: another seed draws other samples.
        speech: "mfcc" or "mel".
        augment: mirror half of the samples, and vary exposure, contrast and tint (both frames alike).
        balance: how far speakers with few frames are drawn more often: 0 draws every frame alike, 1 every speaker.

    Raises:
        InputError: no shard there, one is not whole, or there is no frame with a face.
    """

    def __init__(
        self, folder: str | Path, seed: int = 0, speech: str = "mfcc", augment: bool = True, balance: float = 0.0
    ):
        self.folder, self.seed, self.speech, self.augment = Path(folder), seed, speech, augment
        paths = sorted(self.folder.glob("shard-*.safetensors"))
        if not paths:
            raise InputError(f"{folder}: holds no shard-*.safetensors; preprocess videos into it first")
        self.shards = [_open(path) for path in paths]
        self.settings = read_metadata(paths[0])["settings"]
        # The targets: every frame in which a face was seen, as (shard, utterance, frame of the utterance).
        targets, speakers = [], []
        for s, shard in enumerate(self.shards):
            frames = np.flatnonzero(shard.arrays["found"])
            utterance = np.searchsorted(shard.first_frame, frames, side="right") - 1
            targets.append(np.stack([np.full_like(frames, s), utterance, frames - shard.first_frame[utterance]], 1))
            names = np.array([u["speaker"] for u in shard.utterances], dtype=object)
            speakers.append(names[utterance].astype(str))
        self.targets = np.concatenate(targets)
        if not len(self.targets):
            raise InputError(f"{folder}: no frame with a face in its shards; preprocess other videos")
        self._cumulative = _cumulative_shares(np.concatenate(speakers), balance)

    def __len__(self) -> int:
        """The number of target frames: what one pass over the data would be."""
        return len(self.targets)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng((self.seed, number))
        fps = self.settings["fps"]
        s, utterance, frame = self._draw(rng)
        shard = self.shards[s]
        first, last = shard.first_frame[utterance : utterance + 2]
        reference = _reference_frame(rng, int(frame), int(last - first))
        target = shard.frame(int(first + frame))
        reference = shard.frame(int(first) + reference)
        lips = lip_region(shard.arrays["lip_landmarks"][first + frame], len(target))
        elsewhere_shard, elsewhere, elsewhere_frame = self._elsewhere(rng, s, utterance, frame)
        if self.augment:
            table = _recolour(rng)
            reference, target = cv2.LUT(reference, table), cv2.LUT(target, table)
            if rng.random() < 0.5:
                reference, target, lips = reference[:, ::-1], target[:, ::-1], lips[:, ::-1]
        return {
            "reference": _to_tensor(reference),
            "target": _to_tensor(target),
            "speech": _to_tensor(shard.window(self.speech, int(utterance), int(frame), fps)),
            "unsynced_speech": _to_tensor(
                self.shards[elsewhere_shard].window(self.speech, int(elsewhere), int(elsewhere_frame), fps)
            ),
            "lips": _to_tensor(lips),
        }

    def _draw(self, rng: np.random.Generator) -> np.ndarray:
        return self.targets[np.searchsorted(self._cumulative, rng.random(), side="right")]

    def _elsewhere(self, rng: np.random.Generator, shard, utterance, frame) -> np.ndarray:
        """A target whose speech does not belong to this frame: another utterance, or far away in the same."""
        for _ in range(8):
            other = self._draw(rng)
            if (other[0], other[1]) != (shard, utterance) or abs(other[2] - frame) >= FAR_FRAMES:
                return other
        return other  # a corpus of one tiny clip has nothing further away


def _cumulative_shares(speakers: np.ndarray, balance: float) -> np.ndarray:
    """Running sum of the frames' probabilities (F,): a speaker of n frames is drawn as often as n^(1 - balance)."""
    _, speaker, counts = np.unique(speakers, return_inverse=True, return_counts=True)
    shares = np.cumsum((counts ** -float(balance))[speaker])
    shares /= shares[-1]
    shares[-1] = 1  # rounding must not leave a gap at the top
    return shares


def _reference_frame(rng: np.random.Generator, target: int, frames: int) -> int:
    """A frame at least FAR_FRAMES from the target, or in a shorter clip the one that is furthest."""
    before, after = max(0, target - FAR_FRAMES + 1), max(0, frames - target - FAR_FRAMES)
    if before + after == 0:
        return 0 if target >= frames - 1 - target else frames - 1
    choice = int(rng.integers(before + after))
    return choice if choice < before else target + FAR_FRAMES + choice - before


def _to_tensor(array: np.ndarray) -> torch.Tensor:
    """(H, W, 3) pictures to (3, H, W); (H, W) to (1, H, W)."""
    array = array.transpose(2, 0, 1) if array.ndim == 3 else array[None]
    return torch.from_numpy(np.ascontiguousarray(array))


class _Batches:
    """The sample numbers of every batch from a step on: number = step x batch size + place."""

    def __init__(self, first_step: int, last_step: int, batch_size: int, rank: int, processes: int):
        self.first_step, self.last_step, self.batch_size = first_step, last_step, batch_size
        self.places = range(rank * batch_size // processes, (rank + 1) * batch_size // processes)

    def __len__(self) -> int:
        return max(0, self.last_step - self.first_step)

    def __iter__(self) -> Iterator[range]:
        for step in range(self.first_step, self.last_step):
            start = step * self.batch_size
            yield range(start + self.places.start, start + self.places.stop)


def batches(
    dataset: LipSyncDataset,
    first_step: int,
    last_step: int,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    processes: int = 1,
) -> DataLoader:
    """The batches of steps `first_step` to `last_step` (not included): the same whatever the number of workers.

    Of several processes, each gets its slice of every batch.
    """
    return DataLoader(
        dataset,
        batch_sampler=_Batches(first_step, last_step, batch_size, rank, processes),
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # not the global one: how often a run was resumed must not show in its state
    )
