"""A film's faces found once: what is told of its pictures is kept, and another voice for the film costs no search."""

import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
import xxhash

from lipgan_colab.errors import reading
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import Face
from lipgan_colab.faces.facts import Facts
from lipgan_colab.faces.kept_facts import (
    ENDING,
    FACE,
    FORMAT,
    LOOK,
    UNASKED,
    KeptFacts,
    face_of,
    face_record,
    hash_of,
    look_of,
    look_record,
    open_facts,
    remove_oldest,
    write_facts,
)
from lipgan_colab.faces.look import Look
from lipgan_colab.faces.model_file import find_model
from lipgan_colab.files import file_sha256

DECIDING = "mediapipe", "av", "numpy"  # packages, beside OpenCV, another version of which may find something else


class KnownFaces(Facts):
    """The facts of one film, each looked up once: in this run or, with a folder, in any before it.

    All of them are kept exactly: whoever asks gets what they would without (see `Facts`). A context manager; MediaPipe
    is only loaded once something is not known. What was found is kept when it ends, also by an error or an interrupt,
    along with what other runs have kept meanwhile. Whatever goes wrong with keeping is a warning. For one thread at a
    time.

    In the folder lies one file for each film, named by a hash of the film's content, the frame rate, the face model
    and all versions that matter; see `kept_facts`. It holds people's faces as geometry: it and a folder that is made
    for it can be read by the user alone. Files not used for longest are removed where they grow too many.

    Args:
        film: the file.
        fps: the frame rate at which it is sampled, by which frames have their numbers.
        folder: where such files are kept, and nothing else; None remembers for this run only, in a temporary file.
        model, max_faces, min_confidence: of the `FaceFinder`.

    Attributes:
        found: how many frames were looked at.
        known: how many frames' faces were known from before.

    Raises:
        InputError: the film or the face model cannot be used; MediaPipe cannot be loaded, at the first picture that is
            looked at.
    """

    def __init__(
        self,
        film: str | Path,
        fps: Fraction,
        folder: str | Path | None,
        model: str | Path | None = None,
        max_faces: int = 3,
        min_confidence: float = 0.5,
    ):
        super().__init__(None)
        self._settings = {"model": model, "max_faces": max_faces, "min_confidence": min_confidence}
        self._folder = None if folder is None else Path(folder)
        self._path: Path | None = None
        self._of: dict = {}
        self._kept: KeptFacts | None = None
        self._from_before: set[int] = set()  # numbers of frames
        self._looked_at: set[int] = set()
        self._spool = _Spool()
        self._faces: dict[int, list[int]] = {}  # of what is found in this run: where in the spool
        self._looks: dict[tuple[int, int], int] = {}
        self._human: dict[tuple[int, int], bool] = {}
        self._arrays: dict[str, dict[str, np.ndarray]] = {}
        if self._folder is not None:
            self._of = _depends_on(Path(film), fps, **self._settings)
            name = xxhash.xxh3_128_hexdigest(json.dumps(self._of, sort_keys=True).encode())
            self._path = self._folder / f"{name}{ENDING}"
            self._kept = open_facts(self._path, self._of)

    def __enter__(self) -> "KnownFaces":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    @property
    def found(self) -> int:
        return len(self._looked_at)

    @property
    def known(self) -> int:
        return len(self._from_before)

    def close(self) -> None:
        """Keep what was found, and free the finder; may be called twice."""
        if self.finder is not None:
            self.finder.close()
            self.finder = None
        try:
            if self._path is not None and (self._faces or self._looks or self._human or self._arrays):
                self._keep()
        except OSError as error:
            warnings.warn(f"the faces of this film are not kept for another voice: {error}", stacklevel=2)
        finally:
            self._path = None
            self._spool.close()
            if self._kept is not None:
                self._kept.close()

    def find(self, index: int | None, picture: np.ndarray, near: Sequence[Face] | None = None) -> list[Face]:
        """The faces in the film's frame of this number: see `FaceFinder.find`."""
        known = None if index is None else self._records(index)
        faces = None if known is None else [face_of(record) for record in known]
        if faces is not None and None not in faces:
            if index not in self._faces:
                self._from_before.add(index)
            return faces
        faces = self._finder().find(picture, near)
        if index is not None:
            self._looked_at.add(index)
            self._remember(index, [face_record(face) for face in faces])
        return faces

    def _remember(self, index: int, records: list[bytes | None]) -> None:
        places = [] if None in records else [self._spool.put(record) for record in records]
        if None not in records and None not in places:
            self._faces[index] = places

    def look(self, index: int | None, picture: np.ndarray, face: Face) -> Look:
        """What somebody in the film's frame of this number looks like: see `look.look`."""
        place = self._place(index, face)
        if place is None:
            return super().look(index, picture, face)
        record = self._look_record(index, place)
        known = None if record is None else look_of(record)
        if known is None:
            known = super().look(index, picture, face)
            at = self._spool.put(look_record(known))
            if at is not None:
                self._looks[index, place] = at
        return known

    def is_human(self, index: int | None, picture: np.ndarray, face: Face) -> bool:
        """Whether a face in the film's frame of this number is human: see `human.is_human`."""
        place = self._place(index, face)
        verdict = UNASKED if place is None else self._verdict(index, place)
        if verdict != UNASKED:
            return bool(verdict)
        self._finder()
        human = super().is_human(index, picture, face)
        if place is not None:
            self._human[index, place] = human
        return human

    def arrays(self, name: str) -> dict[str, np.ndarray] | None:
        """What `keep` was given under this name, in this run or before; None where nothing was."""
        if name not in self._arrays and self._kept is not None:
            return self._kept.arrays().get(name)
        return self._arrays.get(name)

    def keep(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a few small arrays with the film's facts.

        Args:
            name: tells all, beside the film and its frame rate, that they depend on; without slashes, as their names.
            arrays: of float64, float32, int64, int8, uint8 or bool.
        """
        self._arrays[name] = dict(arrays)

    def _finder(self) -> FaceFinder:
        if self.finder is None:
            self.finder = FaceFinder(**self._settings)
        return self.finder

    def _place(self, index: int | None, face: Face) -> int | None:
        """Which of the faces of a frame that is known this is; None where it is none of them, or was changed."""
        record = None if index is None else face_record(face)
        records = (record and self._records(index)) or []
        return records.index(record) if record in records else None

    def _records(self, index: int) -> list[bytes] | None:
        if index in self._faces:
            return [self._spool.get(at, FACE.itemsize) for at in self._faces[index]]
        return None if self._kept is None else self._kept.faces(index)

    def _is_kept(self, index: int) -> bool:
        return index not in self._faces and self._kept is not None and self._kept.count(index) is not None

    def _verdict(self, index: int, place: int) -> int:
        if (index, place) in self._human:
            return int(self._human[index, place])
        return self._kept.human(index, place) if self._is_kept(index) else UNASKED

    def _look_record(self, index: int, place: int) -> bytes | None:
        if (index, place) in self._looks:
            return self._spool.get(self._looks[index, place], LOOK.itemsize)
        if self._is_kept(index) and self._kept.has_look(index, place):
            return self._kept.look(index, place)
        return None

    def _keep(self) -> None:
        """Write what is known: from before, of this run, and what another run has kept since."""
        is_alone = self._kept is not None and self._kept.is_at(self._path)
        others = None if is_alone else open_facts(self._path, self._of)
        try:
            self._keep_with(others)
        finally:
            if others is not None:
                others.close()
        remove_oldest(self._folder, self._path)

    def _keep_with(self, others: KeptFacts | None) -> None:
        stored = [facts.indices for facts in (self._kept, others) if facts is not None]
        indices = np.unique(np.concatenate([*stored, np.array(list(self._faces), np.int64)])).tolist()
        frames, human, look_rows, look_places = [], [], [], []
        for index in indices:
            count = len(self._records_of(index, others))
            second = others if others is not None and self._agree(index, others) else None
            for place in range(count):
                verdict = self._verdict(index, place)
                if verdict == UNASKED and second is not None:
                    verdict = second.human(index, place)
                if self._look_record(index, place) is not None or (second and second.has_look(index, place)):
                    look_rows.append(len(human))
                    look_places.append((index, place))
                human.append(verdict)
            frames.append((index, count))

        def faces() -> Iterator[bytes]:
            for index in indices:
                yield from self._records_of(index, others)

        def looks() -> Iterator[bytes]:
            for index, place in look_places:
                yield self._look_record(index, place) or others.look(index, place)

        arrays = {}
        for facts in (others, self._kept):
            arrays |= facts.arrays() if facts is not None else {}
        write_facts(self._path, self._of, frames, human, look_rows, faces(), looks(), arrays | self._arrays)

    def _records_of(self, index: int, others: KeptFacts | None) -> list[bytes]:
        records = self._records(index)
        return others.faces(index) if records is None else records

    def _agree(self, index: int, others: KeptFacts) -> bool:
        """Whether another run knows a frame, and found in it what is known here."""
        return others.count(index) is not None and self._records(index) in (None, others.faces(index))


class _Spool:
    """Records that wait in a temporary file, so that memory does not grow with a film."""

    def __init__(self):
        self._file = None
        self._end = 0
        self._is_full = False

    def put(self, record: bytes) -> int | None:
        """Where the record is now; None where the disk takes no more."""
        if self._is_full:
            return None
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="lipgan-faces-", buffering=0)  # noqa: SIM115 (see `close`)
            if os.pwrite(self._file.fileno(), record, self._end) < len(record):
                raise OSError("the disk is full")
        except OSError as error:
            self._is_full = True
            warnings.warn(
                f"{tempfile.gettempdir()}: {error.strerror or error}; no more faces of this film are kept for another "
                "voice",
                stacklevel=3,
            )
            return None
        self._end += len(record)
        return self._end - len(record)

    def get(self, at: int, size: int) -> bytes:
        """The record of so many bytes that was put there."""
        return os.pread(self._file.fileno(), size, at)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _depends_on(film: Path, fps: Fraction, model: str | Path | None, max_faces: int, min_confidence: float) -> dict:
    """All that a film's facts depend on, as plain data."""
    return {
        "format": FORMAT,
        "film": _film_hash(film),
        "fps": str(Fraction(fps)),
        "model": file_sha256(find_model(model)),
        "max_faces": max_faces,
        "min_confidence": min_confidence,
        "opencv": cv2.__version__,
        **{name: _version(name) for name in DECIDING},
    }


def _film_hash(film: Path) -> str:
    """The xxh3_128 of a file: a fifth of a second a gigabyte."""
    with reading(film, "cannot be read", "choose another file"), film.open("rb") as file:
        return hash_of(file)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # who looks for faces is told
        return ""
