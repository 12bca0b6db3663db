"""The file of what is told of one film's pictures: read record by record, written whole.

It is one safetensors file. F frames have N faces, of which L were looked at:

    frames   int64 (F, 2)   the number of each frame in the film, ascending, and how many faces it has
    faces    uint8 (N, …)   a record `FACE` for each, frame after frame, in the order in which they were found
    human    int8  (N,)     1: a human face, 0: none, -1: nobody asked
    look_of  int64 (L,)     of which face each look is, ascending
    looks    uint8 (L, …)   a record `LOOK` for each
    kept/…                  small arrays that somebody else keeps here, as kept/name/array

Its metadata are one JSON text: `of` (what the facts depend on) and `checksum` (xxh3_128 of all after the header).
What is not exactly so is no such file: it was cut off, damaged, or made by another version.

It holds people's faces as geometry, which are personal data: only the user may read it.
"""

import json
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import xxhash

from lipgan_colab.faces.face import Face
from lipgan_colab.faces.look import Look
from lipgan_colab.faces.mesh import mobility
from lipgan_colab.files import clear_abandoned, written_whole

FORMAT = 1  # to be raised whenever the same film would be read, searched or looked at otherwise
ENDING = ".faces.safetensors"
METADATA = "facts"  # the header's entry
LARGEST_FOLDER = 2 << 30  # bytes: when there is more, the files that were not used for longest go
BLOCK = 1 << 22
POINTS, PATCHES = 478, 26
FACE = np.dtype([("landmarks", "<f4", (POINTS, 2)), ("depth", "<f4", POINTS), ("box", "<f4", 4), ("pose", "<f8", 3)])
LOOK = np.dtype([("shape", "<f8", (int((mobility() == 0).sum()), 3)), ("colours", "<f8", (PATCHES, 3))])
UNASKED = -1
LONGEST_HEADER = 1 << 20  # bytes
NAMES = {"float64": "F64", "float32": "F32", "int64": "I64", "int8": "I8", "uint8": "U8", "bool": "BOOL"}
DTYPES = {code: np.dtype(name) for name, code in NAMES.items()}


def face_record(face: Face) -> bytes | None:
    """A face as it is kept, exactly; None where it cannot be: without depth, or not as one is found."""
    if face.depth is None or face.landmarks.shape != (POINTS, 2) or not face.found:
        return None
    parts = face.landmarks, face.depth, face.box, np.array((face.yaw, face.pitch, face.roll))
    if any(part.dtype != FACE[n].base or not np.isfinite(part).all() for n, part in enumerate(parts)):
        return None
    return np.array(parts, FACE).tobytes()


def face_of(record: bytes) -> Face | None:
    """The face of a record; None where it is none."""
    told = np.frombuffer(record, FACE)[0]
    if not all(np.isfinite(told[name]).all() for name in FACE.names):
        return None
    return Face(told["landmarks"].copy(), told["box"].copy(), *map(float, told["pose"]), depth=told["depth"].copy())


def look_record(look: Look) -> bytes:
    """A look as it is kept, exactly."""
    return np.array((look.shape, look.colours), LOOK).tobytes()


def look_of(record: bytes) -> Look | None:
    """The look of a record; None where it is none. Colours may be missing."""
    told = np.frombuffer(record, LOOK)[0]
    return Look(told["shape"].copy(), told["colours"].copy()) if np.isfinite(told["shape"]).all() else None


class KeptFacts:
    """What a file says; see `open_facts`. The frame's number in the film and the face's place in it tell which.

    It is read where it is asked, so that memory does not grow with the film, from the file that was there when it was
    opened, whatever takes its place.
    """

    def __init__(self, file: BinaryIO, of: Mapping):
        self._disk = file
        length = min(*struct.unpack("<Q", self._disk.read(8)), LONGEST_HEADER)
        self._header, self._start = json.loads(self._disk.read(length)), 8 + length
        told = json.loads(self._header["__metadata__"][METADATA])
        if told["of"] != of or told["checksum"] != hash_of(self._disk):
            raise ValueError("not the facts of this film, or damaged")
        frames, self._human, self._look_rows = (self._array(name) for name in ("frames", "human", "look_of"))
        self.indices, self._counts = frames.T
        ends = np.cumsum(self._counts)
        self._firsts = ends - self._counts
        faces = int(ends[-1]) if len(ends) else 0
        as_due = (
            (frames >= 0).all()
            and (np.diff(self.indices) > 0).all()
            and self._human.shape == (faces,)
            and np.isin(self._human, (UNASKED, 0, 1)).all()
            and (np.diff(self._look_rows, prepend=-1, append=faces) > 0).all()
            and self._header["faces"]["shape"] == [faces, FACE.itemsize]
            and self._header["looks"]["shape"] == [len(self._look_rows), LOOK.itemsize]
        )
        if not as_due:
            raise ValueError("it contradicts itself")

    def close(self) -> None:
        """Nothing is asked any more."""
        self._disk.close()

    def is_at(self, path: Path) -> bool:
        """Whether the file is the one that lies at a path now."""
        try:
            return os.path.samestat(os.fstat(self._disk.fileno()), path.stat())
        except OSError:
            return False

    def count(self, index: int) -> int | None:
        """How many faces a frame has; None where it is not known."""
        place = self._place(index)
        return None if place is None else int(self._counts[place])

    def faces(self, index: int) -> list[bytes] | None:
        """The records of a frame's faces; None where it is not known."""
        place = self._place(index)
        if place is None:
            return None
        first, count = int(self._firsts[place]), int(self._counts[place])
        return [self._record("faces", row, FACE) for row in range(first, first + count)]

    def human(self, index: int, place: int) -> int:
        """Whether a face of a frame that is known is human; UNASKED where that is not known."""
        return int(self._human[self._firsts[self._place(index)] + place])

    def has_look(self, index: int, place: int) -> bool:
        """Whether it is known what a face of a frame that is known looks like."""
        row = self._firsts[self._place(index)] + place
        at = int(np.searchsorted(self._look_rows, row))
        return at < len(self._look_rows) and bool(self._look_rows[at] == row)

    def look(self, index: int, place: int) -> bytes:
        """The record of a look that there is."""
        at = int(np.searchsorted(self._look_rows, self._firsts[self._place(index)] + place))
        return self._record("looks", at, LOOK)

    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """All that somebody else keeps here, by name."""
        kept: dict[str, dict[str, np.ndarray]] = {}
        for name in self._header:
            if name.startswith("kept/"):
                _, group, array = name.split("/")
                kept.setdefault(group, {})[array] = self._array(name)
        return kept

    def _array(self, name: str) -> np.ndarray:
        entry = self._header[name]
        start, end = entry["data_offsets"]
        data = os.pread(self._disk.fileno(), end - start, self._start + start)
        return np.frombuffer(bytearray(data), DTYPES[entry["dtype"]]).reshape(entry["shape"])

    def _record(self, name: str, row: int, kind: np.dtype) -> bytes:
        start = self._start + self._header[name]["data_offsets"][0]
        return os.pread(self._disk.fileno(), kind.itemsize, start + row * kind.itemsize)

    def _place(self, index: int) -> int | None:
        place = int(np.searchsorted(self.indices, index))
        return place if place < len(self.indices) and self.indices[place] == index else None


def open_facts(path: Path, of: Mapping) -> KeptFacts | None:
    """What a file says of the film and the settings `of`; None where it does not, or there is none."""
    try:
        file = path.open("rb", buffering=0)
    except OSError:
        return None
    try:
        facts = KeptFacts(file, of)
    except Exception:  # whatever a damaged file makes its readers raise; it is made anew
        file.close()
        return None
    with suppress(OSError):
        os.utime(path)  # used last just now
    return facts


def hash_of(file: BinaryIO) -> str:
    """The xxh3_128 of the rest of a file."""
    digest = xxhash.xxh3_128()
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def write_facts(
    path: Path,
    of: Mapping,
    frames: list[tuple[int, int]],
    human: list[int],
    look_of: list[int],
    faces: Iterable[bytes],
    looks: Iterable[bytes],
    arrays: Mapping[str, Mapping[str, np.ndarray]],
) -> None:
    """Write the file: see the module's docstring. Records are taken one by one, so that memory does not grow with them.

    The folder is made if it is missing; it and the file are for the user alone. Raises NotWritten.
    """
    tables = {
        "frames": np.array(frames, np.int64).reshape(-1, 2),
        "human": np.array(human, np.int8),
        "look_of": np.array(look_of, np.int64),
        **{f"kept/{name}/{key}": array for name, parts in arrays.items() for key, array in parts.items()},
    }
    entries = {name: (NAMES[array.dtype.name], array.shape) for name, array in tables.items()}
    entries["faces"] = "U8", (len(human), FACE.itemsize)
    entries["looks"] = "U8", (len(look_of), LOOK.itemsize)
    sizes = [*(array.nbytes for array in tables.values()), len(human) * FACE.itemsize, len(look_of) * LOOK.itemsize]
    _make_private(path.parent)
    with written_whole(path) as unfinished:
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            digest = xxhash.xxh3_128()
            file.write(_header(entries, sizes, of, digest))
            for piece in chain((np.ascontiguousarray(array).tobytes() for array in tables.values()), faces, looks):
                digest.update(piece)
                file.write(piece)
            file.seek(0)
            file.write(_header(entries, sizes, of, digest))
    with suppress(OSError):  # such as a network's disk that knows no users
        path.chmod(0o600)


def _header(entries: Mapping, sizes: list[int], of: Mapping, digest: xxhash.xxh3_128) -> bytes:
    """How a safetensors file begins, as long for one checksum as for another."""
    header: dict = {"__metadata__": {METADATA: json.dumps({"of": dict(of), "checksum": digest.hexdigest()})}}
    start = 0
    for (name, (dtype, shape)), size in zip(entries.items(), sizes, strict=True):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _make_private(folder: Path) -> None:
    """Make a folder that only the user can look into; one that is there stays as it is."""
    if not folder.is_dir():
        with suppress(OSError):  # written_whole says what is wrong
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(0o700, exist_ok=True)


def remove_oldest(folder: Path, but: Path) -> None:
    """Remove the files that were not used for longest, until the folder has no more than LARGEST_FOLDER; one stays."""
    with suppress(OSError):
        clear_abandoned(folder)
        files = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in _files(folder))
        total = sum(size for _, size, _ in files)
        for _, size, file in files:
            if total > LARGEST_FOLDER and file != but:
                file.unlink(missing_ok=True)
                total -= size


def _files(folder: Path) -> Iterator[Path]:
    return folder.glob(f"{'[0-9a-f]' * 32}{ENDING}")
