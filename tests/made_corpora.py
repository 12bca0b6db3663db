"""Corpora made up for the tests: archives in part files, and an LRS2 of empty clips."""

import io
import tarfile
from pathlib import Path

from lipgan_colab.corpora.unpack import JOURNAL


def tar(files: dict[str, bytes], more: list[tarfile.TarInfo] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
        for info in more:
            archive.addfile(info)
    return buffer.getvalue()


def split(body: bytes, folder: Path, count: int = 5) -> Path:
    """As `split` does: lrs2_v1_partaa, …ab, …, all but the last of one size."""
    folder.mkdir(exist_ok=True)
    size = -(-len(body) // count)
    for n in range(count):
        (folder / f"lrs2_v1_parta{chr(97 + n)}").write_bytes(body[n * size : (n + 1) * size])
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != JOURNAL
    }


def make_lrs2(root, lists, unpacked=True):
    """LRS2's layout: `lists` are the lines of each split's list; the clips are empty files."""
    for name, lines in lists.items():
        (root / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
        for line in lines if unpacked else []:
            where = "pretrain" if name == "pretrain" else "main"
            path = root / "mvlrs_v1" / where / f"{line.split()[0]}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            path.with_suffix(".txt").write_text("Text:  WHAT IS SAID\n")
