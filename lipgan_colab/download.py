"""Fetch a file from the web: once for all who want it, resumed where it broke off, checked before it gets its name."""

import http.client
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm.auto import tqdm

from lipgan_colab.errors import InputError
from lipgan_colab.files import abandoned_parts, clear_abandoned, file_sha256, part_name

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

BLOCK = 1 << 18


class DownloadError(InputError):
    """A file could not be fetched; the message says which, why, and how to fetch it by hand."""


def download(url: str, path: str | Path, sha256: str | None = None, timeout: float = 30) -> Path:
    """Fetch `url` to `path`, unless it is there already; it appears whole and checked, or not at all.

    Of several processes that want it one fetches it, and the others wait. What a broken connection left behind is kept
    beside it (`.NAME.part`) and gone on with by the next call, as far as the server allows that; so is what a killed
    process left.

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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(path.parent):
            if not path.is_file():  # or somebody else fetched it meanwhile
                _fetch(url, path, sha256, timeout)
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


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process or thread of this machine is in such a block for this folder, and say that one waits.

    Where the file system has no locks nobody waits.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tqdm.write(f"{folder}: another process is downloading into it; waiting for it", file=sys.stderr)
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # which ends the lock


def _fetch(url: str, path: Path, sha256: str | None, timeout: float) -> None:
    """Into a part of one's own, for where nobody waits; it is left to the next call where it breaks off."""
    part, left = part_name(path), path.with_name(f".{path.name}.part")
    for begun in (left, *abandoned_parts(path.parent, path.name)):
        with suppress(OSError):  # not there, or just taken over by somebody else
            os.rename(begun, part)
            break
    try:
        _fetch_rest(url, part, timeout, path.name)
        if sha256 is not None and file_sha256(part) != sha256:
            part.unlink()  # to go on with it would never mend it
            raise OSError("what came is not the file expected (its SHA-256 differs)")
        os.replace(part, path)
    finally:
        with suppress(OSError):
            os.replace(part, left)
    clear_abandoned(path.parent, path.name)


def _fetch_rest(url: str, part: Path, timeout: float, name: str) -> None:
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
            tqdm(total=total, initial=done, unit="B", unit_scale=True, desc=name) as progress,
        ):
            while block := source.read(BLOCK):
                target.write(block)
                done += len(block)
                progress.update(len(block))
    if total is not None and done < total:
        raise OSError(f"the connection broke after {done} of {total} bytes; run the same again to go on")
