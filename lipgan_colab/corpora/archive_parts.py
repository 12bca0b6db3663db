"""Where a part file can lie, and how its bytes come from there: a disk, a web server, Google Drive."""

import base64
import getpass
import http.client
import inspect
import io
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue
from typing import BinaryIO, Protocol

from lipgan_colab.download import shown_address, shown_failure
from lipgan_colab.errors import InputError, counted

BLOCK = 1 << 20
TIMEOUT = 60  # seconds without a byte until a server counts as gone
SECRETS = "LRS2_USER", "LRS2_PASSWORD"  # names in Colab's secrets


class Part(Protocol):
    """One part: its file name, how many bytes it has (None: not known before it is read), and its bytes."""

    name: str
    size: int | None

    def open(self, start: int) -> BinaryIO:
        """The part from byte `start` on. OSError where it cannot be had."""


@dataclass(frozen=True)
class FilePart:
    """A part on a disk, or on a mounted Drive."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def open(self, start: int) -> BinaryIO:
        file = self.path.open("rb", buffering=BLOCK)
        file.seek(start)
        return file


class WebPart:
    """A part on a web server, if need be behind a user name and password (HTTP basic authentication).

    Raises:
        InputError: the server does not have it, or does not let us in; or the address is none, or holds a password.
    """

    def __init__(self, url: str):
        try:
            address = urllib.parse.urlsplit(url)
        except ValueError as error:
            raise InputError(f"{shown_address(url)}: no address; write it again") from error
        if address.password or address.username:
            raise InputError(f"{address.hostname}: leave user name and password out of the address; they are asked for")
        self.url, self.name = url, Path(urllib.parse.unquote(address.path)).name
        self._sign_in: str | None = None
        try:
            with self.open(0) as answer:
                length = answer.headers.get("Content-Length")
        except (OSError, ValueError, http.client.HTTPException) as error:
            if isinstance(error, InputError):
                raise
            told = f"cannot be read ({shown_failure(error)}); check the address and the connection"
            raise InputError(f"{self}: {told}") from error
        self.size = int(length) if length and length.isdigit() else None

    def __str__(self) -> str:
        return shown_address("".join(self.url.split()))

    def open(self, start: int) -> BinaryIO:
        try:
            return self._request(start)
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
        self._sign_in = _basic_sign_in(urllib.parse.urlsplit(self.url))
        try:
            return self._request(start)
        except urllib.error.HTTPError as error:
            if error.code == 401:
                _signed_in.clear()
                raise InputError(f"{self}: the server refuses this user name and password; try again") from None
            raise

    def _request(self, start: int) -> BinaryIO:
        request = urllib.request.Request(self.url, headers={"Range": f"bytes={start}-"} if start else {})
        if self._sign_in:
            request.add_unredirected_header("Authorization", self._sign_in)  # never to another server
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
        if start and answer.status != 206:
            _skip(answer, start)  # the server cannot begin in the middle
        return answer


_signed_in: dict[str, str] = {}  # host to header; in memory alone


def _basic_sign_in(address: urllib.parse.SplitResult) -> str:
    if address.scheme != "https" and address.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise InputError(f"{address.hostname}: asks for a password, which is sent over https only; use that address")
    if address.netloc not in _signed_in:
        user, password = credentials(address.netloc)
        _signed_in[address.netloc] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return _signed_in[address.netloc]


def credentials(place: str) -> tuple[str, str]:
    """User name and password, from Colab's secrets LRS2_USER and LRS2_PASSWORD or else typed in, and kept nowhere.

    Raises:
        InputError: neither secrets nor anybody to ask.
    """
    try:
        from google.colab import userdata

        return userdata.get(SECRETS[0]), userdata.get(SECRETS[1])
    except Exception:  # not Colab, no such secret, or not allowed: its exceptions exist on Colab alone, so ask
        pass
    try:
        print(f"{place} asks who you are.", file=sys.stderr)
        return getpass.getpass("user name (not shown): "), getpass.getpass("password (not shown): ")
    except (EOFError, OSError, NotImplementedError) as error:  # the last: a notebook that nobody watches
        raise InputError(
            f"{place} asks for a user name and password; put them into Colab's secrets {' and '.join(SECRETS)}"
        ) from error


class DrivePart:
    """A part behind a share link of Google Drive, through gdown. It can only be read from its beginning."""

    size = None

    def __init__(self, url: str, name: str = ""):
        self.url = url
        self.name = name or shown_address(url)

    def open(self, start: int) -> BinaryIO:
        stream = _Poured(self.url)
        _skip(stream, start)
        return stream


class _Poured(io.RawIOBase):
    """What gdown writes, to be read: it downloads in a thread of its own, a few blocks ahead and no more."""

    def __init__(self, url: str):
        self._blocks: Queue[bytes | Exception] = Queue(maxsize=16)
        self._rest: bytes | None = b""  # None: all has been read
        self._given_up = threading.Event()
        threading.Thread(target=self._pour, args=(url,), daemon=True).start()

    def _pour(self, url: str) -> None:
        import gdown

        # gdown 5 has to be told to look for the file's id in a link of any form; 6 always does.
        fuzzy = {"fuzzy": True} if "fuzzy" in inspect.signature(gdown.download).parameters else {}
        try:
            gdown.download(url, _Sink(self._put), quiet=True, use_cookies=False, **fuzzy)
            self._put(b"")
        except _GivenUp:
            pass
        except Exception as error:  # of whatever kind, it belongs to the one who reads
            with suppress(_GivenUp):
                self._put(error)

    def _put(self, block: bytes | Exception) -> None:
        while not self._given_up.is_set():
            with suppress(Full):
                return self._blocks.put(block, timeout=1)
        raise _GivenUp

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while self._rest == b"":
            block = self._blocks.get()
            if isinstance(block, Exception):
                refused = type(block).__name__ == "FileURLRetrievalError"  # a private file, or read too often
                raise (PermissionError if refused else OSError)(" ".join(str(block).split())[:200]) from block
            self._rest = block or None
        if self._rest is None:
            return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def close(self) -> None:
        self._given_up.set()
        super().close()


class _Sink(io.RawIOBase):
    """What gdown takes for a file."""

    def __init__(self, put: Callable[[bytes], None]):
        self._put = put

    def writable(self) -> bool:
        return True

    def write(self, block) -> int:
        self._put(bytes(block))
        return len(block)


class _GivenUp(Exception):
    """Nobody reads on."""


def _skip(stream: BinaryIO, count: int) -> None:
    while count:
        block = stream.read(min(count, BLOCK))
        if not block:
            raise OSError(f"it ends {counted(count, 'byte')} before the place where to go on")
        count -= len(block)
