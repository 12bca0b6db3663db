"""Part files of one archive, in their order, read as if they had been joined."""

import http.client
import io
import os
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from lipgan_colab.corpora.archive_parts import BLOCK, DrivePart, FilePart, Part, WebPart
from lipgan_colab.download import shown_address, shown_failure
from lipgan_colab.errors import InputError, counted

TRIES, PAUSE = 5, 2.0  # a broken connection is taken up again so often, after so many seconds, then twice as many …
PART_NAME = re.compile(r"(part|\.tar\.)[a-z]{2}$|\.tar$", re.IGNORECASE)  # as `split` names them, or whole


def find_parts(sources: str | Path | Sequence[str | Path]) -> list[Part]:
    """The parts of an archive in their order.

    Args:
        sources: one or several of: a folder that holds the parts and nothing like them; a part's path; its address on
            a web server; a Drive link to it. Paths are sorted by name, as `split` named them; addresses stay in order.
            A whole archive (.tar) is its only part.

    Raises:
        InputError: a part is missing (between others), empty, or shorter than those before it.
    """
    sources = [sources] if isinstance(sources, str | Path) else sources
    parts: list[Part] = []
    for source in map(str, sources):
        if re.match(r"https?://(drive|docs)\.google\.com/", source, re.IGNORECASE):
            parts.append(DrivePart(source, f"part {len(parts) + 1}"))
        elif re.match(r"https?://", source, re.IGNORECASE):
            parts.append(WebPart(source))
        elif re.match(r"\w+:/", source) and not os.path.exists(source):
            raise InputError(f"{shown_address(source)}: parts are files, or at https or Drive addresses; give those")
        else:
            parts += [FilePart(path) for path in _paths(Path(source))]
    if all(isinstance(part, FilePart) for part in parts):
        parts.sort(key=lambda part: part.name)
    _check_names([part.name for part in parts])
    _check_sizes(parts)
    return parts


def _paths(source: Path) -> list[Path]:
    if os.path.isfile(source):
        return [source]
    if not os.path.isdir(source):
        raise InputError(f"{source}: no such part file or folder of part files")
    try:
        paths = sorted(p for p in source.iterdir() if PART_NAME.search(p.name) and p.is_file())
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror}); look at its rights, or mount it") from error
    if not paths:
        raise InputError(f"{source}: no part file (…partaa, …partab, …) and no .tar in it")
    stems = sorted({p.name[:-2] for p in paths})
    if len(stems) > 1:
        raise InputError(f"{source}: parts of several archives ({stems[0]}…, {stems[1]}…); name those of one")
    return paths


def _check_names(names: list[str]) -> None:
    """Where parts are named …aa, …ab, … as `split` does, none may be missing between them."""
    if names[0].lower().endswith(".tar"):  # a whole archive
        return
    if not all(re.search(r"[a-z]{2}$", name) for name in names) or len({name[:-2] for name in names}) > 1:
        return
    for place, name in enumerate(names):
        expected = names[0][:-2] + chr(97 + place // 26) + chr(97 + place % 26)
        if name != expected:
            raise InputError(f"{expected}: this part is missing or out of order (found {name}); give all parts in turn")


def _check_sizes(parts: Sequence[Part]) -> None:
    try:
        sizes = [part.size for part in parts]
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); look at the disk") from error
    for part, size in zip(parts, sizes, strict=True):
        if size == 0:
            raise InputError(f"{part.name}: this part is empty; fetch it again")
    whole = max((size for size in sizes[:-1] if size is not None), default=0)
    for part, size in zip(parts[:-1], sizes[:-1], strict=True):  # the last one may be shorter
        if size is not None and size < whole:
            raise InputError(
                f"{part.name}: {counted(size, 'byte')} where other parts have {whole}; it is cut off, fetch it again"
            )


class JoinedParts(io.RawIOBase):
    """The parts as one file that is read forward: nothing is copied, and seeking back means opening again.

    Args:
        parts: in their order.
        sizes: of the first parts, where they are known from an earlier reading.

    Raises (while reading):
        InputError: a part cannot be read to its end; its name is told.
    """

    def __init__(self, parts: Sequence[Part], sizes: Iterable[int] = ()):
        self.parts = list(parts)
        self.sizes: list[int | None] = [part.size for part in parts]
        for place, size in enumerate(sizes):
            self.sizes[place] = size
        self._place, self._start = 0, 0  # the open part, and where it begins in the whole
        self._position = 0
        self._stream: BinaryIO | None = None

    @property
    def part(self) -> str:
        """The name of the part that is being read."""
        return self.parts[min(self._place, len(self.parts) - 1)].name

    def part_at(self, position: int) -> str:
        """The name of the part in which this byte of the whole lies, as far as sizes are known."""
        for part, size in zip(self.parts, self.sizes, strict=True):
            if size is None or position < size:
                return part.name
            position -= size
        return self.parts[-1].name

    @property
    def passed(self) -> list[int]:
        """The sizes of the parts that have been read to their ends."""
        return self.sizes[: self._place]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("parts are sought from the beginning of the whole")
        if self._stream is not None and position >= self._position:
            self._pass(position - self._position)  # a server's part is read on, not asked for again
            return self._position
        self._close_stream()
        self._place = self._start = 0
        while self._place < len(self.parts) and self._size is not None and position >= self._start + self._size:
            self._start += self._size
            self._place += 1
        self._position = position if self._place < len(self.parts) else self._start
        return self._position

    @property
    def _size(self) -> int | None:
        return self.sizes[self._place]

    def _pass(self, count: int) -> None:
        while count > 0:
            if self._stream is not None and self._stream.seekable():
                step = min(count, self._start + self._size - self._position)
                self._stream.seek(step, io.SEEK_CUR)
                self._position += step
            else:
                step = 0
            step = step or len(self.read(min(count, BLOCK)))
            if not step:
                return
            count -= step

    def read(self, count: int = -1) -> bytes:
        """`count` bytes, fewer at the end of the last part alone."""
        blocks = []
        while count and self._place < len(self.parts):
            block = self._read_once(count if count > 0 else BLOCK)
            if block:
                blocks.append(block)
                self._position += len(block)
                count -= len(block) if count > 0 else 0
            else:
                self._next_part()
        return b"".join(blocks)

    def _read_once(self, count: int) -> bytes:
        """Some bytes of the open part, b"" at its end. A connection that breaks is taken up where it broke."""
        part, offset = self.parts[self._place], self._position - self._start
        if self._size is not None and offset >= self._size:
            return b""
        for attempt in range(TRIES):
            try:
                if self._stream is None:
                    self._stream = part.open(offset)
                block = self._stream.read(count)
                if not block and self._size is not None:
                    raise OSError(f"it ended after {offset} of {self._size} bytes")
                return block
            except (OSError, http.client.HTTPException) as error:
                self._close_stream()
                gone = isinstance(error, FileNotFoundError | PermissionError)
                refused = getattr(error, "code", 0) in (403, 404, 410)
                if gone or refused or attempt == TRIES - 1:  # a mounted Drive, too, errs for a moment
                    raise InputError(
                        f"{part.name}: cannot be read ({shown_failure(error)}); run the same again to go on"
                    ) from error
                time.sleep(PAUSE * 2**attempt)
        raise AssertionError("unreachable")

    def _next_part(self) -> None:
        self.sizes[self._place] = self._position - self._start
        self._start, self._place = self._position, self._place + 1
        self._close_stream()

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None

    def close(self) -> None:
        self._close_stream()
        super().close()
