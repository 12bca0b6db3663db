"""Where MediaPipe's face model lies: with the package, so that every process and machine finds with the same one."""

import os
from pathlib import Path

from lipgan_colab.errors import InputError
from lipgan_colab.files import file_sha256

MODEL = Path(__file__).parents[1] / "assets" / "face_landmarker.task"
MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MODEL_VARIABLE = "LIPGAN_FACE_MODEL"


def find_model(model: str | Path | None = None) -> Path:
    """Where the face_landmarker.task to use lies: `model`, or else what the environment variable LIPGAN_FACE_MODEL
    names, or else the one of the package.

    Raises:
        InputError: a named file is missing; or the package's is, or has other bytes than it came with.
    """
    for source, named in (("model", model), (MODEL_VARIABLE, os.environ.get(MODEL_VARIABLE))):
        if named:
            if not Path(named).is_file():
                raise InputError(f"{named}: no such face model ({source}); leave it out to use the package's own")
            return Path(named)
    if not MODEL.is_file() or file_sha256(MODEL) != MODEL_SHA256:
        raise InputError(f"{MODEL}: the face model is missing or damaged; install the package anew")
    return MODEL


def finder_name(model: str | Path | None = None) -> str:
    """What finds the faces, "mediapipe face_landmarker" and the first digits of the model's SHA-256: what was made with
    another one is not the same. Arguments and errors as of `find_model`."""
    return f"mediapipe face_landmarker {file_sha256(find_model(model))[:8]}"
