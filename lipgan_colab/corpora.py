"""What can be learnt from: a corpus is a list of utterances, each one video file of one person speaking."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lipgan_colab.errors import InputError

VIDEO_SUFFIXES = frozenset(
    [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".3gp", ".ogv"]
)


@dataclass(frozen=True)
class Utterance:
    """One clip.

    Attributes:
        id: unique within the corpus and the same on every machine (the path below the corpus' root, "/" between).
        path: where the video file is on this machine.
        speaker: who speaks, as far as that is known; splits never share a speaker.
        licence: under what the clip may be used.
    """

    id: str
    path: Path
    speaker: str = ""
    licence: str = "unknown"


def folder(root: str | Path, licence: str = "unknown") -> list[Utterance]:
    """Every video below a folder, sorted by id; the subfolder it lies in counts as its speaker.

    Raises:
        InputError: the folder does not exist or holds no video.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; name the folder that holds the videos")
    paths = (p for p in root.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())
    utterances = [
        Utterance(
            id=p.relative_to(root).as_posix(),
            path=p,
            speaker=p.parent.relative_to(root).as_posix(),
            licence=licence,
        )
        for p in paths
    ]
    if not utterances:
        raise InputError(f"{root}: holds no video ({', '.join(sorted(VIDEO_SUFFIXES))}); name another folder")
    return sorted(utterances, key=lambda u: u.id)


def without(utterances: Sequence[Utterance], left_out: Sequence[str]) -> list[Utterance]:
    """The utterances whose ids are not in `left_out`, for keeping clips back to judge a model by.

    Raises:
        InputError: an id in `left_out` is not in the corpus (a typing error would let a judge's clip into training).
    """
    ids = {u.id for u in utterances}
    unknown = sorted(set(left_out) - ids)
    if unknown:
        raise InputError(f"{unknown[0]}: to be left out, but not in the corpus; check the id (path below the folder)")
    return [u for u in utterances if u.id not in set(left_out)]
