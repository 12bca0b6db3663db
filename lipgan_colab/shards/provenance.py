"""How shards were made, so that those of one folder are made alike.

Only settings are compared. A shard of an older format, without mesh and voice, counts as made alike: old and new ones
may lie in one folder, and who needs what is lacking says so.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.files import open_tensors
from lipgan_colab.shards.shard_file import read_metadata

# What settings were before shards told them. A new setting goes here with what it was until then, or all shards that
# are there already would count as made in another way.
BEFORE = {"finder": "mediapipe face_landmarker 64184e22"}


def check_made_alike(paths: Iterable[Path], settings: dict) -> None:
    """Raises InputError where one of these shards was made in another way than `settings` say, or is damaged."""
    for path in paths:
        unlike = differences(path, settings)
        if unlike:
            raise InputError(f"{path}: made in another way ({unlike[0]}); choose another folder, or delete it")


def differences(path: Path, settings: dict) -> list[str]:
    """What tells a shard from one that is made with these settings, in words; InputError where it is damaged.

    A setting that is missing on one side has the value that it had before it existed.
    """
    there, wanted = _flat(settings_of(path)), _flat(settings)
    unlike = []
    for name in sorted(there.keys() | wanted.keys()):
        theirs, ours = (side.get(name, BEFORE.get(name, "none")) for side in (there, wanted))
        if theirs != ours:
            unlike.append(f"{name}: {theirs} there, {ours} here")
    return unlike


def settings_of(path: Path) -> dict:
    """A shard's settings, with the finder also where that was not told yet; InputError where it is damaged."""
    settings = read_metadata(path)["settings"]
    if "finder" in settings:
        return settings
    with open_tensors(path) as file:
        unknown = np.isnan(file.get_tensor("lip_landmarks"))  # dlib, which stood in for MediaPipe, found none
    finder = BEFORE["finder"] if not unknown.any() else "dlib" if unknown.all() else "MediaPipe and dlib"
    return settings | {"finder": finder}


def _flat(settings: dict) -> dict:
    """Settings in settings by names such as gates.max_yaw."""
    inner = {f"{name}.{key}": v for name, of in settings.items() if isinstance(of, dict) for key, v in of.items()}
    return {name: value for name, value in settings.items() if not isinstance(value, dict)} | inner
