"""How a result was made: what its marks tell, whatever form they have."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lipgan_colab.media.xmp import TOOL, release

LONGEST_NAME = 200  # characters of a file's name in a mark


@dataclass(frozen=True)
class Made:
    """How a result was made.

    Attributes:
        weights: name of the weights.
        weights_sha256: their file's SHA-256 (hexadecimal); None where they have no file.
        face: the film or photo.
        speeches: the files that are spoken.
        consent: whether the maker states that the person shown agreed.
        part: the seconds (from, to) that are synthetic; None for all of it.
    """

    weights: str
    weights_sha256: str | None
    face: Path
    speeches: tuple[Path, ...]
    consent: bool = False
    part: tuple[float, float] | None = None


def made_with() -> str:
    """This package's name and version."""
    return f"{TOOL} {release()}".strip()


def sentence(made: Made) -> str:
    """How something was made, for people."""
    where = "The lips"
    if made.part is not None:
        where = f"From {made.part[0]:.6g} s to {made.part[1]:.6g} s the lips"
    text = f"{where} of the person shown are synthetic: made by {made_with()} with the weights {shown(made.weights)}."
    if made.part is not None:
        text += " The rest is as it was filmed."
    return text + (" The maker states that the person shown agreed." if made.consent else "")


def shown(name: str | Path) -> str:
    """A file's name, without its folders, as text of a bearable length: names need not be text."""
    return Path(name).name.encode(errors="replace").decode()[:LONGEST_NAME]


def sha256(path: Path) -> str:
    """A file's SHA-256, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
