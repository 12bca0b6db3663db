"""Names in the notebooks' forms: of shards, runs and weights that are there, and of results that are not taken yet."""

import os
from datetime import datetime
from pathlib import Path

from lipgan_colab.corpora.lists import names_in
from lipgan_colab.errors import InputError
from lipgan_colab.files import fitting, shortened
from lipgan_colab.models.pretrained import EXPORT
from lipgan_colab.shards.manifest import shard_paths
from lipgan_colab.workspace import Workspace

NAMED_AFTER = 100  # bytes of a file's name that a result's has: with two, a time and a number it fits


def unused_name(path: str | Path) -> Path:
    """The path itself, or the first of NAME-2, NAME-3, … that is not taken, so that no result is written over.

    Of a name that is too long its beginning is taken.
    """
    number, free = 1, fitting(path)
    while free.exists():
        number += 1
        free = fitting(path, f"-{number}")
    return free


def result_name(
    folder: str | Path, face: str | Path, speech: str | Path, now: datetime | None = None, ending: str = ".mp4"
) -> Path:
    """FACE-SPEECH.mp4, or FACE-SPEECH-DATE-TIME.mp4, in a folder; with a number where that is taken."""
    of = [shortened(Path(path).stem, NAMED_AFTER) for path in (face, speech)]
    when = [f"{now:%Y%m%d-%H%M%S}"] if now else []
    return unused_name(Path(folder, f"{'-'.join(of + when)}{ending}"))


def runs_named(workspace: Workspace, text: str) -> list[str]:
    """The names in a form's line (see lists.names_in) of runs, files of weights or published ones; [""] if it is
    empty, which `find_weights` takes for the newest run."""

    def known(name: str) -> bool:
        return bool(name) and (os.path.isdir(workspace.runs / name) or os.path.exists(name))

    return names_in(text, known) or [""]


def shards_name(text: str) -> str:
    """The name of shards' folder, of a corpus' name: that of `01_preprocess`."""
    return text.strip().replace(" ", "_")


def find_shards(workspace: Workspace, name: str) -> str:
    """The name of the folder of shards that a form means: "my own folder", which is my_own_folder, or a path.

    Raises:
        InputError: there are none; the message lists those that there are.
    """
    for known in (name.strip(), shards_name(name)):
        if known and shard_paths(workspace.shards / known):
            return known
    there = sorted(path.name for path in workspace.shards.iterdir() if shard_paths(path))
    cure = f"there are: {', '.join(there)}" if there else "make some with 01_preprocess"
    raise InputError(f"`shards_name` {name!r}: holds no shard-*.safetensors in {workspace.shards}; {cure}")


def find_weights(workspace: Workspace, name: str = "") -> Path:
    """What `load_generator` takes: the folder of the run of this name, or else the name itself (a file, or one of the
    published weights); "" takes the run that was exported last.

    Raises:
        InputError: there is no run yet.
    """
    if name:
        return workspace.runs / name if os.path.isdir(workspace.runs / name) else Path(name)
    exported = sorted(workspace.runs.glob(f"*/{EXPORT}"), key=lambda path: path.stat().st_mtime)
    if not exported:
        raise InputError(f"{workspace.runs}: no trained run in it; train one with 02_train, or name other weights")
    return exported[-1].parent
