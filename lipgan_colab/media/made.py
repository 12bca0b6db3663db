"""How a result was made: what its marks tell, whatever form they have."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lipgan_colab.media.xmp import TOOL, release

MOST_PARTS = 8  # that a sentence tells
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
        parts: the seconds (from, to) that are synthetic, the first ones first; none for all of it.
    """

    weights: str
    weights_sha256: str | None
    face: Path
    speeches: tuple[Path, ...]
    consent: bool = False
    parts: tuple[tuple[float, float], ...] = ()


def made_with() -> str:
    """This package's name and version."""
    return f"{TOOL} {release()}".strip()


def sentence(made: Made) -> str:
    """How something was made, for people."""
    where = "The lips"
    if made.parts:
        told = ", ".join(f"{first:.6g}-{last:.6g} s" for first, last in made.parts[:MOST_PARTS])
        where = f"In a part of it ({told}{', …' * (len(made.parts) > MOST_PARTS)}) the lips"
    text = f"{where} of the person shown are synthetic: made by {made_with()} with the weights {shown(made.weights)}."
    if made.parts:
        text += " The rest is as it was filmed."
    return text + (" The maker states that the person shown agreed." if made.consent else "")


def shown(name: str | Path) -> str:
    """A file's name, without its folders, as text of a bearable length: names need not be text."""
    return Path(name).name.encode(errors="replace").decode()[:LONGEST_NAME]


def sha256(path: Path) -> str:
    """A file's SHA-256, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
