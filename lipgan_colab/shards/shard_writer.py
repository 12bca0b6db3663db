"""A shard in the making: what is done of it waits on disk, a file a clip, so that nothing is done twice.

Only clips that wait there since before mesh and voice were kept are done again: for their sake the whole shard would
lack both.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lipgan_colab.corpora.corpus import Utterance
from lipgan_colab.download import file_sha256
from lipgan_colab.errors import InputError
from lipgan_colab.files import written_whole
from lipgan_colab.shards.provenance import differences
from lipgan_colab.shards.shard_file import UtteranceRecord, has_mesh, read_metadata, read_records, write_shard

UNFINISHED = ".unfinished"
TRIES, PAUSE = 5, 5.0  # Drive fails for a while: so often, after so many seconds and then twice as many …


class ShardWriter:
    """A shard that is to hold these clips, in order.

    Args:
        path: where it is to be.
        utterances: its clips.
        settings: how it is made: plain data, as in write_shard.
        scratch: a fast disk to make it on; None makes it beside `path`.
    """

    def __init__(self, path: Path, utterances: Sequence[Utterance], settings: dict, scratch: str | Path | None = None):
        self.path, self.utterances, self.settings = path, utterances, settings
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
        there, wanted = self._ids_there(), {u.id for u in self.utterances}
        if not there <= wanted:
            raise InputError(f"{self.path}: made of other clips; choose another folder, or delete it")
        if there == wanted:
            shutil.rmtree(self.folder, ignore_errors=True)  # ended between finishing and tidying up
        return there == wanted

    def _ids_there(self) -> set[str]:
        """The clips of a shard that is there already, of all its clips or, before some were appended, of the first."""
        if not self.path.exists():
            return set()
        metadata = read_metadata(self.path)
        return {entry["id"] for entry in metadata["utterances"] + metadata["skipped"]}

    def lacking(self) -> list[int]:
        """The places of the clips that are still to be done."""
        there = self._ids_there()
        return [n for n, u in enumerate(self.utterances) if u.id not in there and not self._is_kept(n)]

    def _file(self, place: int) -> Path:
        return self.folder / f"{place:05d}.safetensors"

    def _is_kept(self, place: int) -> bool:
        try:
            metadata = read_metadata(self._file(place))
        except InputError:
            return False
        ids = [entry["id"] for entry in metadata["utterances"] + metadata["skipped"]]
        usable = ids == [self.utterances[place].id] and has_mesh(metadata)
        return usable and not differences(self._file(place), self.settings)

    def keep(self, place: int, result: UtteranceRecord | dict) -> None:
        """Keep what was made of the clip at this place: its record, or the skipped entry."""
        skipped = isinstance(result, dict)
        write_shard(self._file(place), [] if skipped else [result], [result] if skipped else [], self.settings)

    def finish(self) -> str:
        """Write the shard, move it to where it belongs, and return its SHA-256."""
        kept, left_out = {}, {}
        done = [self._file(n) for n in range(len(self.utterances)) if self._is_kept(n)]
        for source in [*done, *([self.path] if self.path.exists() else [])]:
            kept |= {record.id: record for record in read_records(source)}
            left_out |= {entry["id"]: entry for entry in read_metadata(source)["skipped"]}
        lost = [u.id for u in self.utterances if u.id not in kept and u.id not in left_out]
        if lost:
            raise InputError(f"{self.folder}: what was made of {lost[0]!a} cannot be read; run again, it is made anew")
        records = [kept[u.id] for u in self.utterances if u.id in kept]
        skipped = [left_out[u.id] for u in self.utterances if u.id in left_out]
        made = self.folder / self.path.name if self.moves else self.path
        write_shard(made, records, skipped, self.settings)
        digest = file_sha256(made)
        if self.moves:
            _copy(made, self.path)
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # not empty: others are in the making
            self.folder.parent.rmdir()
        return digest


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
