"""Where MediaPipe's face model lies, fetched once where it does not lie anywhere yet."""

import hashlib
import http.client
import os
import urllib.request
from pathlib import Path

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
    beside = Path(__file__).resolve().parents[2] / "shared" / "models" / "face_landmarker.task"
    for path in (beside, MODEL_CACHE):
        if path.is_file():
            return path
    return download_model(MODEL_CACHE)


def download_model(path: Path, url: str = MODEL_URL, sha256: str = MODEL_SHA256, timeout: float = 30) -> Path:
    """Download the face model to `path`, whole and verified or not at all. Raises NoMediaPipe."""
    from tqdm.auto import tqdm

    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    by_hand = f"fetch {url} by hand and put it at {path} (or set {MODEL_VARIABLE} to where it lies)"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with urllib.request.urlopen(url, timeout=timeout) as source, open(part, "wb") as target:
            size = int(source.headers.get("Content-Length") or 0) or None
            with tqdm(total=size, unit="B", unit_scale=True, desc=path.name) as progress:
                while block := source.read(1 << 16):
                    target.write(block)
                    digest.update(block)
                    progress.update(len(block))
        if digest.hexdigest() != sha256:
            raise OSError("what came is not the file expected (SHA-256 differs)")
        os.replace(part, path)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NoMediaPipe(f"face model not downloaded: {error}; {by_hand}") from error
    finally:
        part.unlink(missing_ok=True)
    return path
