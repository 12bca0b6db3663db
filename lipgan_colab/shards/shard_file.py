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
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from lipgan_colab.corpora.corpus import fingerprint
from lipgan_colab.errors import InputError, reading
from lipgan_colab.files import written_whole
from lipgan_colab.speech.features import window_columns
from lipgan_colab.speech.sync import OFFSETS

FORMAT = 2  # of what is written here; 1 did not say which finder it was
METADATA = "shard"  # the header's entry
CURE = "preprocess makes it anew once `inspect FOLDER --set-aside` has put it away, or go on without it"
FACE, LARGEST = 96, 4096  # pixels: a crop where the settings say nothing, and more than any crop has
FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers SOF0 to SOF15
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


@contextmanager
def opened_shard(path: Path) -> Iterator[tuple[dict, safe_open]]:
    """A shard's metadata, and the file to take its arrays from: both have been looked at and fit together.

    Raises:
        InputError: the file is not a whole shard; also where that shows only in the block.
    """
    with reading(path, "not a whole shard", CURE), safe_open(path, "np") as file:
        metadata = _checked_metadata(json.loads(file.metadata()[METADATA]))
        _check_arrays(file, len(metadata["utterances"]))
        yield metadata, file


def _checked_metadata(metadata: dict) -> dict:
    """The same; an exception of any kind where it is not what write_shard wrote."""
    if metadata.get("format", 1) > FORMAT:
        raise InputError(f"a shard of format {metadata['format']}, {FORMAT} is known here; update lipgan_colab")
    for clip in metadata["utterances"]:
        _check(set(clip) == {"id", "speaker", "licence"} and all(isinstance(v, str) for v in clip.values()), "clips")
    for clip in metadata["skipped"]:
        _check(all(isinstance(clip[name], str) for name in ("id", *clip)), "skipped clips")
    for clip in metadata["utterances"] + metadata["skipped"]:
        clip["id"].encode(errors="surrogateescape")  # as a file can be called
    settings = metadata["settings"]
    _check(0 < settings["fps"] <= 1000 and settings.get("size", FACE) in range(1, LARGEST), "settings")
    return metadata


def _check_arrays(file: safe_open, utterances: int) -> None:
    """ValueError where arrays are of other types or shapes than the module's docstring says. Only INDEX is read."""

    def rows(name: str, dtype: str, shape: tuple[int | None, ...]) -> int:
        array = file.get_slice(name)
        there = array.get_shape()
        fits = len(there) == len(shape) and all(b in (None, a) for a, b in zip(there, shape, strict=True))
        _check(fits and array.get_dtype() == dtype, name)
        return there[0]

    def check_offsets(name: str, pieces: int, of: int) -> None:
        rows(name, "I64", (pieces + 1,))
        offsets = file.get_tensor(name)
        _check(offsets[0] == 0 and offsets[-1] == of and (offsets[1:] > offsets[:-1]).all(), name)

    rows("utterance_frames", "I64", (utterances,))
    frames = rows("found", "BOOL", (None,))
    lengths = file.get_tensor("utterance_frames")
    _check((lengths > 0).all() and (lengths <= frames).all() and lengths.sum() == frames, "frames")
    rows("box", "F32", (frames, 4))
    rows("head_pose", "F32", (frames, 3))
    rows("lip_landmarks", "F32", (frames, None, 2))
    check_offsets("jpeg_offsets", frames, rows("jpeg", "U8", (None,)))
    check_offsets("mfcc_offsets", utterances, rows("mfcc", "F32", (None, 12)))
    check_offsets("mel_offsets", utterances, rows("mel", "F32", (None, 80)))
    if "sync" in file.keys():  # noqa: SIM118 (not a dict)
        rows("sync", "F32", (utterances, len(OFFSETS)))


def _check(fits: bool, what: str) -> None:
    if not fits:
        raise ValueError(f"its {what} do not fit")


def read_metadata(path: Path) -> dict:
    """A shard's metadata as plain data: utterances, skipped, settings.

    Raises:
        InputError: the file is not a whole shard.
    """
    with opened_shard(path) as (metadata, _):
        return metadata


def fingerprint_of(metadata: Sequence[dict]) -> str:
    """The fingerprint (see corpus.fingerprint) of the clips that shards stand for, kept or skipped."""
    return fingerprint(clip["id"] for shard in metadata for clip in shard["utterances"] + shard["skipped"])


def read_records(path: Path) -> list[UtteranceRecord]:
    """The kept clips of a shard, as write_shard took them.

    Raises:
        InputError: the file is not a whole shard.
    """
    with opened_shard(path) as (metadata, file):
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
        with opened_shard(path) as (metadata, file):
            arrays = {name: file.get_tensor(name) for name in INDEX}
        return cls(path, metadata, arrays, _offsets(arrays["utterance_frames"]))

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows of an array that stays on disk: only their bytes are read."""
        with reading(self.path, "can no longer be read", CURE):
            if self._file is None:
                self._file = safe_open(self.path, "np")
            return self._file.get_slice(name)[start:stop]

    def __getstate__(self):
        return {**self.__dict__, "_file": None}

    def frame(self, index: int) -> np.ndarray:
        """Frame `index` of the shard, uint8 (H, W, 3) RGB."""
        start, stop = self.arrays["jpeg_offsets"][index : index + 2]
        jpeg = self.rows("jpeg", int(start), int(stop))
        size = self.metadata["settings"].get("size", FACE)
        # What a picture claims is looked at first: some hundred bytes can decode to gigabytes.
        picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR) if _jpeg_size(jpeg.tobytes()) == (size, size) else None
        if picture is None:
            raise InputError(f"{self.path}: its pictures cannot be decoded, the shard is damaged; {CURE}")
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def lips(self, start: int, stop: int) -> np.ndarray:
        """The lip landmarks of some frames, (stop - start, L, 2), in the crop from 0 to 1. At most one crop beyond it,
        where only damage can put them: to draw what is further away takes for ever."""
        return np.clip(self.rows("lip_landmarks", start, stop), -1, 2)

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


def _jpeg_size(jpeg: bytes) -> tuple[int, int] | None:
    """Height and width in a JPEG's head (ISO/IEC 10918-1, annex B): the first frame header among its segments."""
    place = 2
    while jpeg[:2] == b"\xff\xd8" and place + 9 <= len(jpeg) and jpeg[place] == 0xFF:
        marker, length = jpeg[place + 1], int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if marker in FRAME_HEADERS:
            return struct.unpack(">HH", jpeg[place + 5 : place + 9])
        if not 0xC0 <= marker <= 0xFE or 0xD0 <= marker <= 0xDA:  # nothing that stands before it, and has a length
            return None
        place += 2 + length
    return None
