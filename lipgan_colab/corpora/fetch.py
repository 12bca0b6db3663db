"""Get the corpora: LRS2 out of the part files that one signs for, GRID from where it is open to all."""

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm.auto import tqdm

from lipgan_colab.corpora.corpus import LRS2_FOLDER, LRS2_SPLITS, VIDEO_SUFFIXES, film_of, lrs2, only, speaker_name
from lipgan_colab.corpora.unpack import Unpacked, unpack, write_blocks
from lipgan_colab.download import DownloadError, download, shown_address
from lipgan_colab.errors import InputError
from lipgan_colab.files import make_folder, not_written

GRID_RECORD = "https://zenodo.org/api/records/3625687"
GRID_SPEAKERS = tuple(f"s{n}" for n in range(1, 35) if n != 21)  # no video was kept of s21
LARGEST_RATIO = 100  # of what unpacks to the archive; videos are packed already, and text gets a tenth


def fetch_lrs2(
    sources: str | Path | Sequence[str | Path],
    root: str | Path,
    split: str | None = None,
    ids: Collection[str] | None = None,
) -> Unpacked:
    """Unpack LRS2's part files into `root`/mvlrs_v1, as a stream; run again, it goes on.

    Args:
        sources: the parts lrs2_v1_partaa to ae: their folder, paths, addresses, or Drive links (see `find_parts`); or
            the whole archive.
        root: the corpus' folder; where a split or ids are asked for, LRS2's lists lie in it or in its filelists/.
        split: "train", "val", "test" or "pretrain", or several with "+" between them; None takes all.
        ids: of the split (or of everything) these alone, as in Utterance.id: a subset drawn before.

    Raises:
        InputError: a part is missing or damaged, or an id is not in LRS2.
    """
    if split is None and ids is None:
        return unpack(sources, root)
    listed = lrs2(root, split or "+".join(LRS2_SPLITS), unpacked=False)
    chosen = listed if ids is None else only(listed, ids, f"LRS2's {split or 'lists'}")
    return unpack(
        sources, root, [f"{LRS2_FOLDER}/{film_of(u.id)}{suffix}" for u in chosen for suffix in (".mp4", ".txt")]
    )


def fetch_grid(root: str | Path, speakers: Sequence[str | int], record: str = GRID_RECORD) -> Path:
    """Download speakers of the GRID corpus into `root`/s1, …, and all word times into `root`/alignments.

    Archives are resumed where they were cut off, checked against the sums that Zenodo tells, unpacked, and removed;
    what is there is not fetched again.

    Args:
        root: the corpus' folder.
        speakers: "s4" or 4; s1 to s34, but there is no s21.
        record: address of the record's description.

    Raises:
        InputError: there is no such speaker, or an archive cannot be fetched or is not what it should be.
    """
    names = [speaker_name(s) for s in speakers]
    unknown = [name for name in names if name not in GRID_SPEAKERS]
    if unknown:
        raise InputError(f"GRID has no speaker {unknown[0]}; take some of s1 to s34 (there is no video of s21)")
    root = make_folder(root)
    todo = [name for name in (*names, "alignments") if not (root / name).is_dir()]
    for name in {*names, "alignments"} - set(todo):
        (root / f"{name}.zip").unlink(missing_ok=True)  # ended between unpacking and removing
    files = _record_files(record, root) if todo else {}
    for name in todo:
        archive = f"{name}.zip"
        if archive in files:
            _fetch_zip(files[archive], root, name)
        elif name != "alignments":  # nice to have, no more
            raise InputError(
                f"{shown_address(record)}: does not list {archive}; download it by hand and unpack it to {root / name}"
            )
    return root


def _record_files(record: str, root: Path) -> dict[str, dict[str, str]]:
    """Of each file of a Zenodo record, by its name: its address, and its checksum with the kind of that."""
    path = root / ".record.json"
    path.unlink(missing_ok=True)
    try:
        listed = json.loads(download(record, path).read_text(encoding="utf-8"))["files"]
        files = {f["key"]: {"url": f["links"]["self"], "checksum": f["checksum"]} for f in listed}
        if not all(isinstance(value, str) for file in files.values() for value in file.values()):
            raise TypeError("an address or a checksum is no text")
        return files
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, DownloadError):
            raise
        raise InputError(
            f"{shown_address(record)}: not Zenodo's description of a record ({error}); try again later"
        ) from error
    finally:
        path.unlink(missing_ok=True)


def _fetch_zip(file: dict[str, str], root: Path, name: str) -> None:
    archive = root / f"{name}.zip"
    download(file["url"], archive)
    kind, _, expected = file["checksum"].partition(":")
    if kind not in hashlib.algorithms_guaranteed or kind.startswith("shake"):  # their sums have no length of their own
        raise InputError(f"{archive}: its record tells an unknown kind of checksum ({kind!r}); unpack it by hand")
    if _checksum(archive, kind) != expected:
        archive.unlink()  # to keep it would never mend it
        raise DownloadError(f"{archive.name}: what came is not the file expected (its {kind} differs); try again")
    unfinished = root / f".{name}.unpacking"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _unzip(archive, unfinished, name)
        unfinished.rename(root / name)
    except OSError as error:
        if isinstance(error, InputError):
            raise
        raise not_written(root / name, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    archive.unlink()


def _checksum(path: Path, kind: str) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, kind).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); delete it, and it is fetched again") from error


def _unzip(archive: Path, folder: Path, name: str) -> None:
    """A speaker's videos directly into the folder, or alignments/SPEAKER/*.align below it, whatever lies above them."""
    with _damage_told(archive), zipfile.ZipFile(archive) as file:
        chosen = {path: member for member in file.infolist() if (path := _place(member.filename, folder, name))}
        size = sum(member.file_size for member in chosen.values())
        if size > LARGEST_RATIO * archive.stat().st_size:
            raise InputError(f"{archive}: claims {size / 1e9:.0f} GB, which cannot be in it; delete it")
        for path, member in tqdm(chosen.items(), unit="file", desc=f"unpack {name}"):
            write_blocks(path, _blocks(file, member))
    if not folder.is_dir():
        raise InputError(f"{archive}: holds nothing of {name}; unpack it by hand")


def _place(member: str, folder: Path, name: str) -> Path | None:
    if name == "alignments":
        place = re.search(r"(?:^|/)(s\d+)/(?:align/)?(\w+\.align)$", member)
        return folder / place[1] / place[2] if place else None
    base = re.search(r"(?:^|/)(\w[\w-]*\.\w+)$", member)
    return folder / base[1] if base and Path(base[1]).suffix.lower() in VIDEO_SUFFIXES else None


def _blocks(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with _damage_told(Path(file.filename)), file.open(member) as source:
        while block := source.read(1 << 20):
            yield block


@contextmanager
def _damage_told(archive: Path) -> Iterator[None]:
    """One line for whatever zipfile and its decompressors raise at a file that is none of theirs."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{archive}: cannot be unpacked ({reason}); delete it and fetch it again") from error
