"""Fetch a file from the web: with progress, resumed where it was cut off, and checked before it gets its name."""

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

from tqdm.auto import tqdm

from lipgan_colab.errors import InputError

BLOCK = 1 << 18


class DownloadError(InputError):
    """A file could not be fetched; the message says which, why, and how to fetch it by hand."""


def download(url: str, path: str | Path, sha256: str | None = None, timeout: float = 30) -> Path:
    """Fetch `url` to `path`, unless it is there already; it appears whole and checked, or not at all.

    What a broken connection left behind is kept beside it (`.NAME.part`) and gone on with by the next call, as far as
    the server allows that.

    Args:
        url: http or https.
        path: the file to make.
        sha256: what the whole file must hash to; None takes what comes, as long as its length is the one announced.
        timeout: seconds without a byte until the server counts as gone.

    Raises:
        DownloadError: the server refuses, the connection breaks, the disk is full, or the file is not the one expected.
    """
    path = Path(path)
    if path.is_file():
        return path
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch_rest(url, part, timeout)
        if sha256 is not None and file_sha256(part) != sha256:
            part.unlink()  # to go on with it would never mend it
            raise OSError("what came is not the file expected (its SHA-256 differs)")
        os.replace(part, path)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason, address = shown_failure(error), shown_address("".join(url.split()))
        raise DownloadError(
            f"{path.name} not downloaded: {reason}; fetch {address} by hand and put it at {path}"
        ) from error
    return path


def shown_address(text: str) -> str:
    """An address, or a text with addresses in it, as anybody may see it: without a password, and without what follows
    the question mark, which may open doors as well."""
    text = re.sub(r"(\b\w+:/{1,2})[^\s/?#]*@", r"\1…@", text)
    return re.sub(r"(\b\w+:/{1,2}[^\s?#]*)[?#]\S*?([)\]'\",;:.]*(?:\s|$))", r"\1?…\2", text)


def shown_failure(error: BaseException) -> str:
    """What went wrong with an address, without its secrets."""
    if isinstance(error, http.client.InvalidURL) or not isinstance(error, OSError | http.client.HTTPException):
        return "it is no address that can be asked"  # Python's message has parts of it
    return shown_address(" ".join(str(error).split()) or type(error).__name__)


def _fetch_rest(url: str, part: Path, timeout: float) -> None:
    """Append to `part` what it lacks; begin again where the server cannot go on in the middle."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        source = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # there is nothing after what we have
            return
        raise
    with source:
        resumed = have and source.status == 206
        length = source.headers.get("Content-Length")
        done = have if resumed else 0
        total = None if length is None else done + int(length)
        with (
            part.open("ab" if resumed else "wb") as target,
            tqdm(total=total, initial=done, unit="B", unit_scale=True, desc=part.name[1:-5]) as progress,
        ):
            while block := source.read(BLOCK):
                target.write(block)
                done += len(block)
                progress.update(len(block))
    if total is not None and done < total:
        raise OSError(f"the connection broke after {done} of {total} bytes; run the same again to go on")


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
