"""Archives unpacked as they are read: neither a joined archive nor a second copy of anything ever exists."""

import errno
import json
import os
import tarfile
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from tqdm.auto import tqdm

from lipgan_colab.corpora.archive_parts import BLOCK, Part
from lipgan_colab.corpora.corpus import fingerprint
from lipgan_colab.corpora.split_archive import JoinedParts, find_parts
from lipgan_colab.corpora.tar_stream import TarStream, cut_off
from lipgan_colab.errors import InputError, counted
from lipgan_colab.files import PART, is_abandoned, make_folder, not_written, part_name, written_whole

JOURNAL = ".unpacked.json"
JOURNAL_EVERY = 5.0  # seconds: as much is looked at again after a sudden end
LONGEST_NAME, DEEPEST = 4096, 100  # letters of a path, as far as systems go, and folders
NO_NAME = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)  # the disk cannot have a file of this name


@dataclass(frozen=True)
class Unpacked:
    """What unpacking did.

    Attributes:
        files: members that are there now.
        missing: wanted names that the archive does not hold.
        ignored: wanted members that are not made: neither file nor folder (links, devices), or of a name that no file
            can have.
    """

    folder: Path
    files: int
    missing: list[str]
    ignored: list[str]

    def __str__(self) -> str:
        missing = f"; {len(self.missing)} not in the archive, the first {self.missing[0]}" if self.missing else ""
        ignored = (
            f"; {counted(len(self.ignored), 'link or impossible name', 'links or impossible names')} left out, "
            f"the first {self.ignored[0][:80]!r}"
            if self.ignored
            else ""
        )
        return f"{self.folder}: {counted(self.files, 'file')}{missing}{ignored}"


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
        InputError: a part is missing, damaged, or out of order; a member's name leads outside the folder; the disk is
            full.
    """
    folder = make_folder(folder)
    lacking = None if wanted is None else {name for name in wanted if not os.path.isfile(folder / name)}
    if lacking or wanted is None:
        parts = find_parts(sources)
        journal = _read_journal(folder, parts, wanted)
        if not journal.complete:
            _read_through(parts, folder, wanted, lacking, journal)
    else:  # no part is even opened
        journal = _Journal({}, files=len(set(wanted)))
    missing = [] if wanted is None else sorted(name for name in set(wanted) if not os.path.exists(folder / name))
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
    archive = {"parts": [[p.name, p.size] for p in parts], "wanted": None if wanted is None else fingerprint(wanted)}
    there = [path for path in folder.rglob("*") if path.is_file() and path.name != JOURNAL]
    for left in filter(is_abandoned, there):  # by a process that was killed while it wrote
        left.unlink(missing_ok=True)
    journal = _known_journal(folder)
    deleted = sum(not PART.fullmatch(path.name) for path in there) < journal.files
    return _Journal(archive) if journal.archive != archive or deleted else journal


def _known_journal(folder: Path) -> _Journal:
    """What is written in the folder; an empty one where there is none or not ours: to begin again costs only time."""
    try:
        journal = _Journal(**json.loads((folder / JOURNAL).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return _Journal({})
    numbers = [journal.offset, journal.files, *(journal.sizes if isinstance(journal.sizes, list) else [-1])]
    whole = all(type(n) is int and n >= 0 for n in numbers) and isinstance(journal.ignored, list)
    return journal if whole else _Journal({})


def _read_through(
    parts: Sequence[Part], folder: Path, wanted: Collection[str] | None, lacking: set[str] | None, journal: _Journal
) -> None:
    chosen = None if wanted is None else frozenset(wanted)
    written = time.monotonic()
    latest: Path | None = None  # the file before the place in the archive
    with JoinedParts(parts, journal.sizes) as stream:
        stream.seek(journal.offset)
        archive = TarStream(stream)
        total = None if None in stream.sizes else sum(stream.sizes)
        with tqdm(total=total, initial=journal.offset, unit="B", unit_scale=True, desc="unpack") as progress:
            # No longer than there is something to come.
            while (chosen is None or lacking) and (member := _next(archive, latest)) is not None:
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
                progress.set_postfix_str(f"{stream.part}, {counted(journal.files, 'file')}", refresh=False)
    journal.complete = True
    journal.write(folder)


def _is_wanted(name: str, chosen: frozenset[str] | None) -> bool:
    if chosen is None or name in chosen:
        return True
    return len(name) <= LONGEST_NAME and any(str(above) in chosen for above in PurePosixPath(name).parents)


def _next(archive: TarStream, latest: Path | None) -> tarfile.TarInfo | None:
    """The next member, or None at the archive's end.

    Where it does not go on as it should, the file before, `latest`, is not what it should be either, and is removed.
    """
    try:
        return archive.next()
    except InputError:
        if latest is not None:
            latest.unlink(missing_ok=True)
        raise


def _extract(member: tarfile.TarInfo, name: str, stream: JoinedParts, folder: Path, journal: _Journal) -> Path | None:
    """Make a folder, or a file if it is not there yet, and return the file's path."""
    if not _can_be_made(member, name, stream, folder):
        journal.ignored.append(name[:LONGEST_NAME])
        return None
    path = folder / name.lstrip("/")
    try:
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            return None
        if not (path.is_file() and path.stat().st_size == member.size):
            stream.seek(member.offset_data)
            write_blocks(path, _blocks(stream, member.size))
    except OSError as error:
        if error.errno in NO_NAME:
            journal.ignored.append(name)
            return None
        if isinstance(error, InputError):
            raise
        raise not_written(path, error) from error
    return path


def _can_be_made(member: tarfile.TarInfo, name: str, stream: JoinedParts, folder: Path) -> bool:
    """False for links and devices, and for names that no file can have. InputError where one leads elsewhere."""
    if len(name) > LONGEST_NAME or name.count("/") > DEEPEST or "\0" in name or name in ("", JOURNAL):
        return member.isdir() and not name
    if not (member.isreg() or member.isdir()) or member.issparse():
        return False
    try:
        tarfile.data_filter(member, str(folder))
    except tarfile.FilterError as error:
        raise InputError(f"{stream.part}: not unpacked, for a name in it leads elsewhere ({error})") from error
    return True


def _blocks(stream: JoinedParts, size: int) -> Iterator[bytes]:
    for start in range(0, size, BLOCK):
        block = stream.read(min(BLOCK, size - start))
        if len(block) < min(BLOCK, size - start):
            raise cut_off(stream.part)
        yield block


def write_blocks(path: Path, blocks: Iterable[bytes]) -> None:
    """Write a file whole or not at all, but not yet safe from a power cut: thousands are written one after the other.

    Raises:
        NotWritten: the disk is full or fails, or there can be no such file.
    """
    unfinished = part_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.writelines(blocks)
        os.replace(unfinished, path)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
