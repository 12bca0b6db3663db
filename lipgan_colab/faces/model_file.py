"""Where MediaPipe's face model lies, fetched once where it does not lie anywhere yet."""

import os
from pathlib import Path

from lipgan_colab.download import DownloadError, download
from lipgan_colab.errors import InputError

MODEL_URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task"
)
MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MODEL_VARIABLE = "LIPGAN_FACE_MODEL"
MODEL_CACHE = Path("~/.cache/lipgan_colab/face_landmarker.task").expanduser()


class NoMediaPipe(InputError):
    """MediaPipe or its model cannot be had here; the message says why and what to do."""


def find_model(model: str | Path | None = None) -> Path:
    """Where MediaPipe's face_landmarker.task lies.

    In this order: `model`, the environment variable LIPGAN_FACE_MODEL, ../shared/models beside the checkout,
    the user's cache; else it is downloaded there. Raises InputError where a named file is missing,
    NoMediaPipe where the download fails.
    """
    for source, named in (("model", model), (MODEL_VARIABLE, os.environ.get(MODEL_VARIABLE))):
        if named:
            if not Path(named).is_file():
                raise InputError(f"{named}: no such face model ({source}); leave it out to have it downloaded")
            return Path(named)
    beside = Path(__file__).resolve().parents[3] / "shared" / "models" / "face_landmarker.task"
    for path in (beside, MODEL_CACHE):
        if path.is_file():
            return path
    return download_model(MODEL_CACHE)


def download_model(path: Path, url: str = MODEL_URL, sha256: str = MODEL_SHA256, timeout: float = 30) -> Path:
    """Download the face model to `path`, whole and verified or not at all. Raises NoMediaPipe."""
    try:
        return download(url, path, sha256, timeout)
    except DownloadError as error:
        raise NoMediaPipe(f"{error} (or set {MODEL_VARIABLE} to where it lies)") from error
