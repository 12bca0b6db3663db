"""Archives unpacked as they are read: neither a joined archive nor a second copy of anything ever exists."""

import json
import os
import tarfile
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tqdm.auto import tqdm

from lipgan_colab.corpora.archive_parts import BLOCK, Part
from lipgan_colab.corpora.corpus import fingerprint
from lipgan_colab.corpora.split_archive import JoinedParts, find_parts
from lipgan_colab.errors import InputError
from lipgan_colab.files import written_whole

JOURNAL = ".unpacked.json"
JOURNAL_EVERY = 5.0  # seconds: as much is looked at again after a sudden end
PADDING = 1 << 20  # an archive may end in so many zeros


@dataclass(frozen=True)
class Unpacked:
    """What unpacking did.

    Attributes:
        files: members that are there now.
        missing: wanted names that the archive does not hold.
        ignored: wanted members that are neither file nor folder (links, devices); they are never made.
    """

    folder: Path
    files: int
    missing: list[str]
    ignored: list[str]

    def __str__(self) -> str:
        missing = f"; {len(self.missing)} not in the archive, the first {self.missing[0]}" if self.missing else ""
        ignored = f"; {len(self.ignored)} links left out, the first {self.ignored[0]}" if self.ignored else ""
        return f"{self.folder}: {self.files} files{missing}{ignored}"


def unpack(
    sources: str | Path | Sequence[str | Path], folder: str | Path, wanted: Collection[str] | None = None
) -> Unpacked:
    """Unpack a tar archive that comes in parts, as a stream; run again, it goes on, whatever ended it.

    A member gets its name when it is whole. How far it came is kept in `folder`/.unpacked.json; without that file
    everything is read again, but only what is not there is written.

    Args:
        sources: the parts (see split_archive.find_parts): a folder, paths, addresses, or Drive links.
        folder: where members go, under their names in the archive; nothing is written outside it.
        wanted: names of members, or of folders in the archive for all that is in them; None takes everything.

    Raises:
        InputError: a part is missing, damaged, or out of order; a member's name leads outside the folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lacking = None if wanted is None else {name for name in wanted if not (folder / name).is_file()}
    if lacking or wanted is None:
        parts = find_parts(sources)
        journal = _read_journal(folder, parts, wanted)
        if not journal.complete:
            _read_through(parts, folder, wanted, lacking, journal)
    else:  # no part is even opened
        journal = _Journal({}, files=len(set(wanted)))
    missing = [] if wanted is None else sorted(name for name in set(wanted) if not (folder / name).exists())
    return Unpacked(folder, journal.files, missing, journal.ignored)


@dataclass
class _Journal:
    """How far an archive has been unpacked.

    Attributes:
        archive: which one, and what is wanted of it.
        offset: the byte of the whole where a member begins before which all is done.
        sizes: of the parts before that.
        files, ignored: as in Unpacked, before the offset.
        complete: there is nothing more to come.
    """

    archive: dict
    offset: int = 0
    sizes: list[int] = field(default_factory=list)
    files: int = 0
    ignored: list[str] = field(default_factory=list)
    complete: bool = False

    def write(self, folder: Path) -> None:
        with written_whole(folder / JOURNAL) as unfinished:
            unfinished.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def _read_journal(folder: Path, parts: Sequence[Part], wanted: Collection[str] | None) -> _Journal:
    for left in folder.glob(f".{JOURNAL}.*.part"):  # by a process that was killed while it wrote
        left.unlink(missing_ok=True)
    archive = {"parts": [[p.name, p.size] for p in parts], "wanted": None if wanted is None else fingerprint(wanted)}
    try:
        journal = _Journal(**json.loads((folder / JOURNAL).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # none yet, or not ours: to begin again costs time and nothing else
        return _Journal(archive)
    deleted = sum(path.is_file() for path in folder.rglob("[!.]*")) < journal.files
    return _Journal(archive) if journal.archive != archive or deleted else journal


def _read_through(
    parts: Sequence[Part], folder: Path, wanted: Collection[str] | None, lacking: set[str] | None, journal: _Journal
) -> None:
    chosen = None if wanted is None else frozenset(wanted)
    written = time.monotonic()
    latest: Path | None = None  # the file before the place in the archive
    with JoinedParts(parts, journal.sizes) as stream:
        stream.seek(journal.offset)
        archive = _opened(stream)
        total = None if None in stream.sizes else sum(stream.sizes)
        with tqdm(total=total, initial=journal.offset, unit="B", unit_scale=True, desc="unpack") as progress:
            # No longer than there is something to come.
            while (chosen is None or lacking) and (member := _next(archive, stream, latest)) is not None:
                archive.members.clear()  # or it would remember them all
                journal.offset, journal.sizes = member.offset, stream.passed
                if time.monotonic() - written > JOURNAL_EVERY:
                    journal.write(folder)
                    written = time.monotonic()
                name = member.name.removeprefix("./").rstrip("/")
                latest = _extract(member, name, stream, folder, journal) if _is_wanted(name, chosen) else None
                if latest is not None:
                    journal.files += 1
                    if lacking:
                        lacking.discard(name)
                progress.update(archive.offset - progress.n)
                progress.set_postfix_str(f"{stream.part}, {journal.files} files", refresh=False)
    journal.complete = True
    journal.write(folder)


def _is_wanted(name: str, chosen: frozenset[str] | None) -> bool:
    return chosen is None or name in chosen or any(str(above) in chosen for above in PurePosixPath(name).parents)


def _opened(stream: JoinedParts) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=stream, mode="r:")
    except tarfile.TarError as error:
        raise InputError(f"{stream.part}: not what an uncompressed tar archive goes on with here ({error})") from error


def _next(archive: tarfile.TarFile, stream: JoinedParts, latest: Path | None) -> tarfile.TarInfo | None:
    """The next member, or None at the archive's true end: tarfile takes anything that it cannot read for an end.

    Where it does not go on as it should, the file before, `latest`, is not what it should be either, and is removed.
    """
    try:
        return _checked_next(archive, stream)
    except InputError:
        if latest is not None:
            latest.unlink(missing_ok=True)
        raise


def _checked_next(archive: tarfile.TarFile, stream: JoinedParts) -> tarfile.TarInfo | None:
    try:
        member = archive.next()
    except tarfile.TarError as error:
        raise (_damaged(stream, archive.offset) if stream.read(1) else _cut_off(stream)) from error
    if member is not None:
        return member
    stream.seek(archive.offset)
    rest = stream.read(PADDING + 1)
    if not rest:
        raise _cut_off(stream)
    if rest.strip(b"\0") or len(rest) > PADDING:  # zeros in the middle are a hole, as broken downloads leave it
        raise _damaged(stream, archive.offset)
    return None


def _cut_off(stream: JoinedParts) -> InputError:
    return InputError(
        f"{stream.part}: the archive does not end with it; it is cut off, or the part after it is missing"
    )


def _damaged(stream: JoinedParts, offset: int) -> InputError:
    there, before = stream.part_at(offset), stream.part_at(max(0, offset - tarfile.BLOCKSIZE))
    suspects = there if there == before else f"{there} or {before}"
    return InputError(f"{suspects}: damaged or out of order (byte {offset} of the whole); fetch it again")


def _extract(member: tarfile.TarInfo, name: str, stream: JoinedParts, folder: Path, journal: _Journal) -> Path | None:
    """Make a folder, or a file if it is not there yet, and return the file's path."""
    try:
        safe = tarfile.data_filter(member, str(folder))
    except tarfile.FilterError as error:
        if member.isreg() or member.isdir():
            raise InputError(f"{stream.part}: not unpacked, for a name in it leads elsewhere ({error})") from error
        safe = None  # a link to somewhere, which is not made
    if safe is None or not (member.isreg() or member.isdir()) or member.issparse():
        journal.ignored.append(name)
        return None
    path = folder / safe.name
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return None
    if not (path.is_file() and path.stat().st_size == member.size):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.part")
        stream.seek(member.offset_data)
        with unfinished.open("wb") as file:
            for start in range(0, member.size, BLOCK):
                _copy_block(stream, file, min(BLOCK, member.size - start))
        os.replace(unfinished, path)
    return path


def _copy_block(stream: JoinedParts, file: BinaryIO, size: int) -> None:
    block = stream.read(size)
    if len(block) < size:
        raise _cut_off(stream)
    file.write(block)
