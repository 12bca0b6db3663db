"""Get the corpora: LRS2 out of the part files that one signs for, GRID from where it is open to all."""

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path

from tqdm.auto import tqdm

from lipgan_colab.corpora.corpus import LRS2_FOLDER, LRS2_SPLITS, VIDEO_SUFFIXES, lrs2, speaker_name
from lipgan_colab.corpora.unpack import Unpacked, unpack
from lipgan_colab.download import DownloadError, download
from lipgan_colab.errors import InputError

GRID_RECORD = "https://zenodo.org/api/records/3625687"
GRID_SPEAKERS = tuple(f"s{n}" for n in range(1, 35) if n != 21)  # no video was kept of s21


def fetch_lrs2(
    sources: str | Path | Sequence[str | Path],
    root: str | Path,
    split: str | None = None,
    ids: Collection[str] | None = None,
) -> Unpacked:
    """Unpack LRS2's part files into `root`/mvlrs_v1, as a stream; run again, it goes on.

    Args:
        sources: the parts lrs2_v1_partaa to ae: their folder, paths, addresses, or Drive links (see `find_parts`).
        root: the corpus' folder; where a split or ids are asked for, LRS2's lists lie in it or in its filelists/.
        split: "train", "val", "test" or "pretrain", or several with "+" between them; None takes all.
        ids: of the split (or of everything) these alone, as in Utterance.id: a subset drawn before.

    Raises:
        InputError: a part is missing or damaged, or an id is not in LRS2.
    """
    if split is None and ids is None:
        return unpack(sources, root)
    listed = {u.id for u in lrs2(root, split or "+".join(LRS2_SPLITS), unpacked=False)}
    unknown = sorted(set(ids or ()) - listed)
    if unknown:
        raise InputError(f"{unknown[0]}: not in LRS2's {split or 'lists'}; check the file of ids")
    chosen = listed if ids is None else ids
    return unpack(sources, root, [f"{LRS2_FOLDER}/{i}{suffix}" for i in chosen for suffix in (".mp4", ".txt")])


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
    root = Path(root)
    names = [speaker_name(s) for s in speakers]
    unknown = [name for name in names if name not in GRID_SPEAKERS]
    if unknown:
        raise InputError(f"GRID has no speaker {unknown[0]}; take some of s1 to s34 (there is no video of s21)")
    todo = [name for name in (*names, "alignments") if not (root / name).is_dir()]
    for name in {*names, "alignments"} - set(todo):
        (root / f"{name}.zip").unlink(missing_ok=True)  # ended between unpacking and removing
    files = _record_files(record, root) if todo else {}
    for name in todo:
        archive = f"{name}.zip"
        if archive in files:
            _fetch_zip(files[archive], root, name)
        elif name != "alignments":  # nice to have, no more
            raise InputError(f"{record}: does not list {archive}; download it by hand and unpack it to {root / name}")
    return root


def _record_files(record: str, root: Path) -> dict[str, dict]:
    """What Zenodo says of each file of a record: links, size, checksum, by the file's name."""
    path = root / ".record.json"
    path.unlink(missing_ok=True)
    try:
        listed = json.loads(download(record, path).read_text(encoding="utf-8"))["files"]
        return {file["key"]: file for file in listed}
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, DownloadError):
            raise
        raise InputError(f"{record}: not Zenodo's description of a record ({error}); try again later") from error
    finally:
        path.unlink(missing_ok=True)


def _fetch_zip(file: dict, root: Path, name: str) -> None:
    archive = root / file["key"]
    download(file["links"]["self"], archive)
    kind, _, expected = file["checksum"].partition(":")
    with archive.open("rb") as stream:
        found = hashlib.file_digest(stream, kind).hexdigest()
    if found != expected:
        archive.unlink()  # to keep it would never mend it
        raise DownloadError(f"{file['key']}: what came is not the file expected (its {kind} differs); try again")
    unfinished = root / f".{name}.unpacking"
    shutil.rmtree(unfinished, ignore_errors=True)
    _unzip(archive, unfinished, name)
    unfinished.rename(root / name)
    archive.unlink()


def _unzip(archive: Path, folder: Path, name: str) -> None:
    """A speaker's videos directly into the folder, or alignments/SPEAKER/*.align below it, whatever lies above them."""
    with zipfile.ZipFile(archive) as file:
        for member in tqdm(file.infolist(), unit="file", desc=f"unpack {name}"):
            if name == "alignments":
                place = re.search(r"(?:^|/)(s\d+)/(?:align/)?(\w+\.align)$", member.filename)
                path = folder / place[1] / place[2] if place else None
            else:
                base = re.search(r"(?:^|/)(\w[\w-]*\.\w+)$", member.filename)
                path = folder / base[1] if base and Path(base[1]).suffix.lower() in VIDEO_SUFFIXES else None
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                with file.open(member) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    if not folder.is_dir():
        raise InputError(f"{archive.name}: holds nothing of {name}; unpack it by hand")
