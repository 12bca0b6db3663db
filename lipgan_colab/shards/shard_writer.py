"""A shard in the making: what is done of it waits on disk, a file a film, so that nothing is done twice.

Only films that wait there since before mesh and voice were kept are done again: for their sake the whole shard would
lack both.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lipgan_colab.corpora.corpus import Utterance, film_of
from lipgan_colab.errors import InputError
from lipgan_colab.files import file_sha256, written_whole
from lipgan_colab.shards.joining import join_shards
from lipgan_colab.shards.provenance import differences
from lipgan_colab.shards.shard_file import UtteranceRecord, has_mesh, read_metadata, read_records, write_shard

UNFINISHED = ".unfinished"
TRIES, PAUSE = 5, 5.0  # Drive fails for a while: so often, after so many seconds and then twice as many …


class ShardWriter:
    """A shard that is to hold these films, in order, each as one clip or as many.

    Args:
        path: where it is to be.
        utterances: its films.
        settings: how it is made: plain data, as in write_shard.
        scratch: a fast disk to make it on; None makes it beside `path`.
    """

    def __init__(self, path: Path, utterances: Sequence[Utterance], settings: dict, scratch: str | Path | None = None):
        self.path, self.utterances, self.settings = path, utterances, settings
        self.ids = {u.id for u in utterances}
        self.moves = scratch is not None
        # Shards of several folders may be in the making on one disk.
        of = "-" + hashlib.sha256(str(path.parent.resolve()).encode()).hexdigest()[:8] if self.moves else ""
        self.folder = Path(scratch or path.parent) / f"{UNFINISHED}{of}" / path.stem

    def is_done(self) -> bool:
        """Whether the shard is there and whole.

        Raises:
            InputError: it is damaged, or made of other clips.
        """
        if not self.path.exists():
            return False
        there, wanted = self._ids_there(), self.ids
        if not there <= wanted:
            raise InputError(f"{self.path}: made of other clips; choose another folder, or delete it")
        if there == wanted:
            shutil.rmtree(self.folder, ignore_errors=True)  # ended between finishing and tidying up
        return there == wanted

    def _ids_there(self) -> set[str]:
        """The films of a shard that is there already, of all its films or, before some were appended, of the first."""
        return set(self._made(self.path)) if self.path.exists() else set()

    def _made(self, path: Path) -> dict[str, "_Made"]:
        """What a shard holds, by the film that it was made of."""
        return self._by_film(path, read_metadata(path))

    def _by_film(self, path: Path, metadata: dict) -> dict[str, "_Made"]:
        made: dict[str, _Made] = {}

        def of(clip: dict) -> _Made:
            film = clip["id"] if clip["id"] in self.ids else film_of(clip["id"])
            return made.setdefault(film, _Made([], []))

        for place, clip in enumerate(metadata["utterances"]):
            of(clip).clips.append((path, place))
        for clip in metadata["skipped"]:
            of(clip).skipped.append(clip)
        return made

    def lacking(self) -> list[int]:
        """The places of the films that are still to be done."""
        there = self._ids_there()
        return [n for n, u in enumerate(self.utterances) if u.id not in there and not self._is_kept(n)]

    def file(self, place: int) -> Path:
        """Where what is made of the film at this place is to be kept: see keep."""
        return self.folder / f"{place:05d}.safetensors"

    def _is_kept(self, place: int) -> bool:
        try:
            metadata = read_metadata(self.file(place))
        except InputError:
            return False
        usable = set(self._by_film(self.file(place), metadata)) == {self.utterances[place].id} and has_mesh(metadata)
        return usable and not differences(self.file(place), self.settings)

    def finish(self) -> str:
        """Write the shard, move it to where it belongs, and return its SHA-256."""
        made: dict[str, _Made] = {}
        done = [self.file(n) for n in range(len(self.utterances)) if self._is_kept(n)]
        for source in [*done, *([self.path] if self.path.exists() else [])]:
            made |= self._made(source)
        lost = [u.id for u in self.utterances if u.id not in made]
        if lost:
            raise InputError(f"{self.folder}: what was made of {lost[0]!a} cannot be read; run again, it is made anew")
        in_order = [made[u.id] for u in self.utterances]
        clips = [clip for film in in_order for clip in film.clips]
        skipped = [clip for film in in_order for clip in film.skipped]
        shard = self.folder / self.path.name if self.moves else self.path
        join_shards(shard, clips, skipped, self.settings)
        digest = file_sha256(shard)
        if self.moves:
            _copy(shard, self.path)
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # not empty: others are in the making
            self.folder.parent.rmdir()
        return digest


@dataclass(frozen=True)
class _Made:
    """What was made of a film: clips, each by its shard and its place there, and what was skipped."""

    clips: list[tuple[Path, int]]
    skipped: list[dict]


@dataclass
class Kept:
    """What is told of a film that was done: its frames, how many clips were skipped, and how lips and sound go
    together in the others (see sync.clip_sync)."""

    frames: int = 0
    skipped: int = 0
    curves: list[np.ndarray] = field(default_factory=list)

    def add(self, clip: UtteranceRecord) -> None:
        """Count one more clip."""
        self.frames += len(clip.jpegs)
        self.curves.append(clip.sync)


def keep(path: Path, results: Iterable[UtteranceRecord | dict], settings: dict) -> Kept:
    """Keep what is made of a film until its shard is finished, each clip as it comes: of a long film they would fill
    the memory.

    Args:
        path: see ShardWriter.file.
        results: records and skipped entries.
        settings: of the ShardWriter.

    Raises:
        OSError: the disk does not take it.
    """
    for part in _parts(path):  # of a process that was killed
        part.unlink()
    told, parts, skipped = Kept(), [], []
    for result in results:
        if isinstance(result, dict):
            skipped.append(result)
            continue
        parts.append(path.with_name(f".{path.stem}-{len(parts):05d}{path.suffix}"))
        write_shard(parts[-1], [result], [], settings)
        told.add(result)
    return _join(path, parts, skipped, settings, told)


def keep_part(path: Path, lost: dict, settings: dict) -> Kept:
    """Keep the clips that were made of a film until the process that did so was lost, and this skipped entry for the
    rest; else as keep."""
    parts, told = _parts(path), Kept()
    for part in parts:
        told.add(*read_records(part))
    return _join(path, parts, [lost], settings, told)


def _parts(path: Path) -> list[Path]:
    """The clips of a film that are there, in order."""
    return sorted(path.parent.glob(f".{path.stem}-*{path.suffix}"))


def _join(path: Path, parts: Sequence[Path], skipped: Sequence[dict], settings: dict, told: Kept) -> Kept:
    told.skipped = len(skipped)
    if len(parts) == 1 and not skipped:
        os.replace(parts[0], path)
        return told
    join_shards(path, [(part, 0) for part in parts], skipped, settings)
    for part in parts:
        part.unlink()
    return told


def _copy(source: Path, target: Path) -> None:
    """Copy a file whole or not at all, and again where Drive fails for a moment."""
    for attempt in range(TRIES):
        try:
            with written_whole(target) as unfinished:
                shutil.copyfile(source, unfinished)
                if os.path.getsize(unfinished) != os.path.getsize(source):
                    raise OSError("fewer bytes arrived than were sent")
            return
        except OSError:
            if attempt == TRIES - 1:
                raise
            time.sleep(PAUSE * 2**attempt)
