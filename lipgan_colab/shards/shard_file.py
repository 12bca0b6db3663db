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
    mesh                float16 (F, K, 3)     the face's points in 3D, of the numbers mesh_points: x, y in the crop, 0
                                              to 1, and the depth in the same unit (nan where it was not known)
    voice               int16   (samples,)    the speech that mfcc and mel are made of, 16 kHz, full scale VOICE_SCALE
    voice_offsets       int64   (U + 1,)      utterance u has samples offsets[u] to offsets[u + 1]

The last three are what mouth motion is learnt from. A shard has them of all its clips or of none: none where some of
the clips were kept before format 3.

Its metadata are one JSON text: format (FORMAT; 1 where it is missing), utterances (id, speaker, licence of each; the
shots of a film that cuts are called film.mp4#1, ...), skipped (id, gate and reason), settings (those of preprocess, and
the finder of the faces), mesh_points (K numbers; missing where there is no mesh).
"""

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from lipgan_colab.corpora.corpus import film_of, fingerprint
from lipgan_colab.errors import InputError, reading
from lipgan_colab.faces.mesh import kept_points
from lipgan_colab.files import open_tensors, written_whole
from lipgan_colab.speech.features import window_columns
from lipgan_colab.speech.sync import OFFSETS

FORMAT = 3  # of what is written here; 1 did not say which finder it was, 2 had neither mesh nor voice
METADATA = "shard"  # the header's entry
CURE = "preprocess makes it anew once `inspect FOLDER --set-aside` has put it away, or go on without it"
MAKE_ANEW = "preprocess makes it anew in another folder, or in this one once the file is deleted"
FACE, LARGEST = 96, 4096  # pixels: a crop where the settings say nothing, and more than any crop has
VOICE_SCALE = 32767
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
    mesh: np.ndarray | None = None  # (F, K, 3), of mesh.kept_points; None where not known: of an older shard
    voice: np.ndarray | None = None  # (samples,) int16; None where not known


def offsets(lengths: Sequence[int]) -> np.ndarray:
    """Where pieces of these lengths begin, one after the other, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


@cache
def _points() -> list[int]:
    """The numbers of the points of the mesh that shards keep today."""
    return kept_points().tolist()


def write_shard(path: Path, records: Sequence[UtteranceRecord], skipped: Sequence[dict], settings: dict) -> None:
    """Write one shard, whole or not at all. A shard of which every clip was skipped has no utterance.

    It has mesh and voice if all of the records have them.

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
        "jpeg_offsets": offsets([len(j) for j in jpegs]),
        "utterance_frames": np.array([len(r.jpegs) for r in records], np.int64),
        "found": stacked("found", (), bool),
        "box": stacked("box", (4,), np.float32),
        "head_pose": stacked("head_pose", (3,), np.float32),
        "lip_landmarks": stacked("lip_landmarks", (points, 2), np.float32),
        "mfcc": np.ascontiguousarray(np.concatenate([np.zeros((0, 12)), *mfccs]), np.float32),
        "mel": np.ascontiguousarray(np.concatenate([np.zeros((0, 80)), *mels]), np.float32),
        "mfcc_offsets": offsets([len(m) for m in mfccs]),
        "mel_offsets": offsets([len(m) for m in mels]),
        "sync": stacked("sync", (len(OFFSETS),), np.float32),
    }
    with_mesh = all(r.mesh is not None and r.voice is not None for r in records)
    clips = [{"id": r.id, "speaker": r.speaker, "licence": r.licence} for r in records]
    if with_mesh:
        voices = [r.voice for r in records]
        arrays |= {
            "mesh": stacked("mesh", (len(_points()), 3), np.float16),
            "voice": np.concatenate([np.zeros(0, np.int16), *voices], dtype=np.int16),
            "voice_offsets": offsets([len(v) for v in voices]),
        }
    with written_whole(path) as unfinished:
        # One entry, because safetensors writes several in a random order, and the same clips must give the same bytes.
        save_file(arrays, unfinished, {METADATA: as_text(shard_metadata(clips, skipped, settings, with_mesh))})


def shard_metadata(clips: Sequence[dict], skipped: Sequence[dict], settings: dict, with_mesh: bool) -> dict:
    """What a shard says of itself: see the module's docstring, and write_shard."""
    metadata = {"format": FORMAT, "utterances": list(clips), "skipped": list(skipped), "settings": settings}
    return metadata | ({"mesh_points": _points()} if with_mesh else {})


def as_text(metadata: dict) -> str:
    """A shard's metadata as they stand in its header."""
    return json.dumps(metadata, sort_keys=True)


@contextmanager
def opened_shard(path: Path) -> Iterator[tuple[dict, safe_open]]:
    """A shard's metadata, and the file to take its arrays from: both have been looked at and fit together.

    Raises:
        InputError: the file is not a whole shard; also where that shows only in the block.
    """
    with reading(path, "not a whole shard", CURE), open_tensors(path) as file:
        metadata = _checked_metadata(json.loads(file.metadata()[METADATA]))
        _check_arrays(file, metadata)
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
    points = metadata.get("mesh_points", [])
    _check(isinstance(points, list) and all(isinstance(point, int) for point in points), "points")
    settings = metadata["settings"]
    _check(0 < settings["fps"] <= 1000 and settings.get("size", FACE) in range(1, LARGEST), "settings")
    return metadata


def _check_arrays(file: safe_open, metadata: dict) -> None:
    """ValueError where arrays are of other types or shapes than the module's docstring says. Only offsets and lengths
    are read."""
    utterances = len(metadata["utterances"])

    def rows(name: str, dtype: str, shape: tuple[int | None, ...]) -> int:
        array = file.get_slice(name)
        there = array.get_shape()
        fits = len(there) == len(shape) and all(b in (None, a) for a, b in zip(there, shape, strict=True))
        _check(fits and array.get_dtype() == dtype, name)
        return there[0]

    def check_offsets(name: str, pieces: int, of: int) -> None:
        rows(name, "I64", (pieces + 1,))
        places = file.get_tensor(name)
        _check(places[0] == 0 and places[-1] == of and (places[1:] > places[:-1]).all(), name)

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
    if "mesh_points" in metadata:
        rows("mesh", "F16", (frames, len(metadata["mesh_points"]), 3))
        check_offsets("voice_offsets", utterances, rows("voice", "I16", (None,)))


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


def has_mesh(metadata: dict) -> bool:
    """Whether a shard has the mesh, of the points that are kept today, and the voice of all its clips."""
    return not metadata["utterances"] or metadata.get("mesh_points") == _points()


def fingerprint_of(metadata: Sequence[dict]) -> str:
    """The fingerprint (see corpus.fingerprint) of the films that shards stand for, kept or skipped: the same whatever
    shots they were taken apart into."""
    return fingerprint({film_of(clip["id"]) for shard in metadata for clip in shard["utterances"] + shard["skipped"]})


def read_records(path: Path) -> list[UtteranceRecord]:
    """The kept clips of a shard, as write_shard took them; without mesh and voice where has_mesh says so.

    Raises:
        InputError: the file is not a whole shard.
    """
    with opened_shard(path) as (metadata, file):
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    first = offsets(arrays["utterance_frames"])
    ends, jpeg = arrays["jpeg_offsets"], arrays["jpeg"].tobytes()
    records, with_mesh = [], has_mesh(metadata)
    for u, about in enumerate(metadata["utterances"]):
        frames = slice(first[u], first[u + 1])
        records.append(
            UtteranceRecord(
                **about,
                jpegs=[jpeg[ends[f] : ends[f + 1]] for f in range(frames.start, frames.stop)],
                **{name: arrays[name][frames] for name in ("found", "box", "head_pose", "lip_landmarks")},
                **{n: _piece(arrays, n, u).T for n in ("mfcc", "mel")},
                **({"sync": arrays["sync"][u]} if "sync" in arrays else {}),
                **({"mesh": arrays["mesh"][frames], "voice": _piece(arrays, "voice", u)} if with_mesh else {}),
            )
        )
    return records


def _piece(arrays: dict[str, np.ndarray], name: str, utterance: int) -> np.ndarray:
    """The rows of an utterance."""
    return arrays[name][slice(*arrays[f"{name}_offsets"][utterance : utterance + 2])]


@dataclass
class Shard:
    """One open shard. The file is opened on first use, so that every loader process has a handle of its own."""

    path: Path
    metadata: dict
    arrays: dict[str, np.ndarray]
    first_frame: np.ndarray  # (U + 1,): utterance u has frames first_frame[u] to first_frame[u + 1]
    names: frozenset[str]  # of all its arrays
    _file: object = field(default=None, repr=False)

    @classmethod
    def open(cls, path: Path) -> "Shard":
        """Raises InputError where the file is not a whole shard."""
        with opened_shard(path) as (metadata, file):
            names = INDEX + (("voice_offsets",) if "mesh_points" in metadata else ())
            arrays = {name: file.get_tensor(name) for name in names}
            there = frozenset(file.keys())
        return cls(path, metadata, arrays, offsets(arrays["utterance_frames"]), there)

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows of an array that stays on disk: only their bytes are read."""
        with reading(self.path, "can no longer be read", CURE):
            if self._file is None:
                self._file = open_tensors(self.path)
            return self._file.get_slice(name)[start:stop]

    def close(self) -> None:
        """Let go of the file; it is opened again where more of it is asked for."""
        self._file = None

    def __getstate__(self):
        return {**self.__dict__, "_file": None}

    @property
    def size(self) -> int:
        """Width and height of its faces in pixels."""
        return self.metadata["settings"].get("size", FACE)

    def frame(self, index: int) -> np.ndarray:
        """Frame `index` of the shard, uint8 (H, W, 3) RGB."""
        start, stop = self.arrays["jpeg_offsets"][index : index + 2]
        jpeg = self.rows("jpeg", int(start), int(stop))
        size = self.size
        # What a picture claims is looked at first: some hundred bytes can decode to gigabytes.
        picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR) if _jpeg_size(jpeg.tobytes()) == (size, size) else None
        if picture is None:
            raise InputError(f"{self.path}: its pictures cannot be decoded, the shard is damaged; {CURE}")
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def lips(self, start: int, stop: int) -> np.ndarray:
        """The lip landmarks of some frames, (stop - start, L, 2), in the crop from 0 to 1. At most one crop beyond it,
        where only damage can put them: to draw what is further away takes for ever."""
        return np.clip(self.rows("lip_landmarks", start, stop), -1, 2)

    @property
    def has_mesh(self) -> bool:
        """Whether mesh and voice can be asked for."""
        return has_mesh(self.metadata)

    def check_mesh(self) -> None:
        """Raises InputError where mesh and voice are not there, or of other points than those that are kept today."""
        if not self.has_mesh:
            known = "mesh_points" in self.metadata
            why = "has a mesh of other points" if known else "was made before mesh and voice were kept"
            raise InputError(f"{self.path}: {why}, and mouth motion cannot be learnt from it; {MAKE_ANEW}")

    def mesh(self, start: int, stop: int) -> np.ndarray:
        """The face's points (faces.mesh.kept_points) of some frames, float32 (stop - start, K, 3): x and y in the crop
        from 0 to 1, and the depth in the same unit, nan where it is not known. At most one crop beyond it, as in lips.

        Raises:
            InputError: as check_mesh.
        """
        self.check_mesh()
        return np.clip(self.rows("mesh", start, stop).astype(np.float32), -1, 2)

    def voice(self, utterance: int) -> np.ndarray:
        """The speech of an utterance, float32 (n,) in [-1, 1], 16 kHz.

        Raises:
            InputError: as check_mesh.
        """
        self.check_mesh()
        start, stop = (int(i) for i in self.arrays["voice_offsets"][utterance : utterance + 2])
        return np.maximum(self.rows("voice", start, stop) / np.float32(VOICE_SCALE), -1)

    def seen(self, utterance: int) -> np.ndarray:
        """The frames of an utterance in which a face was found, counted within it."""
        first, last = self.first_frame[utterance : utterance + 2]
        return np.flatnonzero(self.arrays["found"][first:last])

    def runs(self, utterance: int, length: int) -> np.ndarray:
        """The frames of an utterance, counted within it, with which as many consecutive frames with a face begin."""
        seen = self.seen(utterance)
        together = seen[length - 1 :] - seen[: max(0, len(seen) - length + 1)] == length - 1
        return seen[: len(together)][together]

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
