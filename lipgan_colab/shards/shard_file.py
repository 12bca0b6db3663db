"""The shard file.

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
    sync                float32 (U, 31)       how lips and sound go together, at sync.OFFSETS (not in older shards)

Its metadata are one JSON text: format (FORMAT; 1 where it is missing), utterances (id, speaker, licence of each),
skipped (id and reason), settings (those of preprocess, and the finder of the faces).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lipgan_colab.corpora.corpus import fingerprint
from lipgan_colab.errors import InputError
from lipgan_colab.files import written_whole
from lipgan_colab.speech.features import window_columns
from lipgan_colab.speech.sync import OFFSETS

FORMAT = 2  # of what is written here; 1 did not say which finder it was
METADATA = "shard"  # the header's entry
CURE = "preprocess makes it anew once `inspect FOLDER --set-aside` has put it away, or go on without it"
INDEX = ("jpeg_offsets", "utterance_frames", "found", "mfcc_offsets", "mel_offsets")  # the rest stays on disk


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
    sync: np.ndarray = field(default_factory=lambda: np.full(len(OFFSETS), np.nan, np.float32))  # see sync.clip_sync


def _offsets(lengths: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def write_shard(path: Path, records: Sequence[UtteranceRecord], skipped: Sequence[dict], settings: dict) -> None:
    """Write one shard, whole or not at all. A shard of which every clip was skipped has no utterance.

    OSError where the disk does not take it.

    Args:
        path: the file to make.
        records: what was kept, in the order of the corpus.
        skipped: {"id", "gate", "reason"} of each clip that could not be used.
        settings: how it was made (frame rate, crop size, JPEG quality, finder): plain data.
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
        "sync": stacked("sync", (len(OFFSETS),), np.float32),
    }
    metadata = {
        "format": FORMAT,
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
            metadata = json.loads(file.metadata()[METADATA])
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a whole shard ({error}); {CURE}") from error
    if metadata.get("format", 1) > FORMAT:
        raise InputError(f"{path}: a shard of format {metadata['format']}, {FORMAT} is known here; update lipgan_colab")
    return metadata


def fingerprint_of(metadata: Sequence[dict]) -> str:
    """The fingerprint (see corpus.fingerprint) of the clips that shards stand for, kept or skipped."""
    return fingerprint(clip["id"] for shard in metadata for clip in shard["utterances"] + shard["skipped"])


def read_records(path: Path) -> list[UtteranceRecord]:
    """The kept clips of a shard, as write_shard took them.

    Raises:
        InputError: the file is not a whole shard.
    """
    metadata = read_metadata(path)
    with safe_open(path, "np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    first = _offsets(arrays["utterance_frames"])
    ends, jpeg = arrays["jpeg_offsets"], arrays["jpeg"].tobytes()
    records = []
    for u, about in enumerate(metadata["utterances"]):
        frames = slice(first[u], first[u + 1])
        records.append(
            UtteranceRecord(
                **about,
                jpegs=[jpeg[ends[f] : ends[f + 1]] for f in range(frames.start, frames.stop)],
                **{name: arrays[name][frames] for name in ("found", "box", "head_pose", "lip_landmarks")},
                **{n: arrays[n][slice(*arrays[f"{n}_offsets"][u : u + 2])].T for n in ("mfcc", "mel")},
                **({"sync": arrays["sync"][u]} if "sync" in arrays else {}),
            )
        )
    return records


@dataclass
class Shard:
    """One open shard. The file is opened on first use, so that every loader process has a handle of its own."""

    path: Path
    metadata: dict
    arrays: dict[str, np.ndarray]
    first_frame: np.ndarray  # (U + 1,): utterance u has frames first_frame[u] to first_frame[u + 1]
    _file: object = field(default=None, repr=False)

    @classmethod
    def open(cls, path: Path) -> "Shard":
        """Raises InputError where the file is not a whole shard."""
        metadata = read_metadata(path)
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in INDEX}
        return cls(path, metadata, arrays, _offsets(arrays["utterance_frames"]))

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
        if picture is None:
            raise InputError(f"{self.path}: its pictures cannot be decoded, the shard is damaged; {CURE}")
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def seen(self, utterance: int) -> np.ndarray:
        """The frames of an utterance in which a face was found, counted within it."""
        first, last = self.first_frame[utterance : utterance + 2]
        return np.flatnonzero(self.arrays["found"][first:last])

    def window(self, kind: str, utterance: int, frame: int, fps: float) -> np.ndarray:
        """The speech window of a frame, counted within its utterance: (12, 35), (80, 27) or for "wav2lip" (80, 16)."""
        feature = "mfcc" if kind == "mfcc" else "mel"
        begin, end = (int(i) for i in self.arrays[f"{feature}_offsets"][utterance : utterance + 2])
        columns = begin + np.clip(window_columns(frame, fps, kind), 0, end - begin - 1)
        first = int(columns[0])
        return self.rows(feature, first, int(columns[-1]) + 1)[columns - first].T
