"""XMP: what a file says of itself to those who read no metadata but its own (ISO 16684-1), in films and PNGs.

In MP4 and QuickTime the packet is a box of the file's top level, behind everything else, so that nothing moves (XMP
specification part 3, 1.2.7.1 and 1.2.7.2); in a PNG it is a chunk of text (3.2). Read in whatever can hold one.
"""

import os
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from lipgan_colab.errors import CONTROL, InputError
from lipgan_colab.files import written_whole

TOOL = "lipgan_colab"
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"  # IPTC's words for how media came to be
SYNTHETIC_IN_PARTS = SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"

XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
PNG_HEAD, PNG_KEYWORD = b"\x89PNG\r\n\x1a\n", b"XML:com.adobe.xmp"
JPEG_HEAD, JPEG_KEYWORD = b"\xff\xd8", b"http://ns.adobe.com/xap/1.0/\0"
LONGEST_PACKET = 1 << 20  # bytes that are read of one: ours have two thousand
SCANNED = 4 << 20  # bytes at a file's beginning, and at its end, that are searched for a packet in other formats
MOST_BOXES = 10_000  # of a file's top level: those of films in fragments
NO_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")
SHORT_BOX, LONG_BOX = struct.Struct(">I4s"), struct.Struct(">I4sQ")

NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}


@dataclass(frozen=True)
class Mark:
    """What is told of a file in XMP.

    Attributes:
        source_type: how it was made, one of IPTC's digital source types (an address).
        tool: what made it, with its version.
        description: the same in a sentence.
        date: when, as ISO 8601.
        system: which AI did it, and `system_version` which of its versions (IPTC Photo Metadata 2025.1).
    """

    source_type: str = ""
    tool: str = ""
    description: str = ""
    date: str = ""
    system: str = ""
    system_version: str = ""


PROPERTIES = {
    "source_type": "Iptc4xmpExt:DigitalSourceType",
    "tool": "xmp:CreatorTool",
    "description": "dc:description",
    "date": "xmp:CreateDate",
    "system": "Iptc4xmpExt:AISystemUsed",
    "system_version": "Iptc4xmpExt:AISystemVersionUsed",
}


@dataclass(frozen=True)
class Box:
    """A box of a film's top level: `kind`, and where it begins and ends in the file; its content begins at `body`."""

    kind: bytes
    start: int
    body: int
    end: int


def release() -> str:
    """This package's version; "" where it is run from a checkout that is not installed."""
    try:
        return version("lipgan-colab")
    except PackageNotFoundError:
        return ""


def now() -> str:
    """The time as XMP and C2PA write it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def packet(mark: Mark) -> bytes:
    """An XMP packet that says this; names in it may be of any characters."""
    said = {name: _text(getattr(mark, field)) for field, name in PROPERTIES.items() if getattr(mark, field)}
    if "dc:description" in said:
        said["dc:description"] = f'<rdf:Alt><rdf:li xml:lang="x-default">{said["dc:description"]}</rdf:li></rdf:Alt>'
    declared = "".join(f' xmlns:{prefix}="{address}"' for prefix, address in NAMESPACES.items() if prefix != "rdf")
    lines = "\n".join(f"   <{name}>{value}</{name}>" for name, value in said.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="{TOOL}">\n <rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}">\n'
        f'  <rdf:Description rdf:about=""{declared}>\n{lines}\n  </rdf:Description>\n'
        ' </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="r"?>'
    ).encode()


def _text(text: str) -> str:
    return escape(NO_XML.sub("\ufffd", CONTROL.sub(" ", text)))


def add_to_film(path: Path, xmp: bytes) -> None:
    """Append a packet to an MP4 or QuickTime film, in place; one that it had becomes empty space. Whole or not at all.

    Raises:
        InputError: it is none, or not whole.
        OSError: the disk is full or fails; the file is as it was.
    """
    boxes, length = list(_boxes(path)), path.stat().st_size
    if not boxes or boxes[-1].end != length or not any(box.kind == b"moov" for box in boxes):
        raise InputError("this is no whole MP4 or QuickTime film")
    with path.open("r+b") as file:
        older = [box for box in boxes if _is_uuid(file, box, XMP_BOX)]
        if _at(file, boxes[-1].start, 4) == bytes(4):  # it says that it goes on to the end, which is elsewhere now
            if length - boxes[-1].start >= 1 << 32:
                raise InputError("the film's last part does not say how long it is")
            _put(file, boxes[-1].start, (length - boxes[-1].start).to_bytes(4, "big"))
        try:
            _put(file, length, SHORT_BOX.pack(24 + len(xmp), b"uuid") + XMP_BOX + xmp)
            file.flush()
        except OSError:
            os.ftruncate(file.fileno(), length)
            raise
        for box in older:
            _put(file, box.start + 4, b"free")


def add_to_png(path: Path, xmp: bytes) -> None:
    """Put a packet into a PNG, behind its head; another one that it had goes. Whole or not at all.

    Raises:
        InputError: it is none. NotWritten where the disk is full or fails.
    """
    content = path.read_bytes()
    chunks = list(_chunks(content))
    if not chunks or chunks[0][0] != b"IHDR":
        raise InputError("this is no PNG")
    body = b"iTXt" + PNG_KEYWORD + b"\0\0\0\0\0" + xmp
    ours = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    kept = [content[start:end] for kind, start, end in chunks if not _is_packet(kind, content[start + 8 : end])]
    with written_whole(path) as beside:
        beside.write_bytes(PNG_HEAD + kept[0] + ours + b"".join(kept[1:]))


def add_to_jpeg(path: Path, xmp: bytes) -> None:
    """Put a packet into a JPEG that has none, before all else (XMP specification, part 3, 1.1.3). Whole or not at all.

    Raises:
        InputError: it is none. NotWritten where the disk is full or fails.
    """
    content = path.read_bytes()
    if not content.startswith(JPEG_HEAD):
        raise InputError("this is no JPEG")
    body = JPEG_KEYWORD + xmp
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    with written_whole(path) as beside:
        beside.write_bytes(JPEG_HEAD + segment + content[len(JPEG_HEAD) :])


def read_xmp(path: str | Path) -> Mark | None:
    """What a file says in XMP; None where there is none, or none that can be read.

    Nothing in it is to be believed: anybody can write it, and values are whatever they are.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(8)
        if head == PNG_HEAD:
            found = _png_packet(path.read_bytes())
        elif head[4:] in (b"ftyp", b"moov", b"wide", b"free", b"mdat"):
            found = next(_film_packets(path, file), None) or _scanned(file)
        else:
            found = _scanned(file)
    return None if found is None else _parsed(found)


def _boxes(path: Path) -> Iterator[Box]:
    """The boxes of a file's top level, as far as they are whole."""
    length = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        for _ in range(MOST_BOXES):
            head = _at(file, at, LONG_BOX.size)
            if len(head) < SHORT_BOX.size:
                return
            size, kind = SHORT_BOX.unpack_from(head)
            body = at + SHORT_BOX.size
            if size == 1 and len(head) == LONG_BOX.size:
                size, body = LONG_BOX.unpack(head)[2], at + LONG_BOX.size
            end = length if size == 0 else at + size
            if not body <= end <= length:
                return
            yield Box(kind, at, body, end)
            at = end


def _is_uuid(file: BinaryIO, box: Box, uuid: bytes) -> bool:
    return box.kind == b"uuid" and _at(file, box.body, 16) == uuid


def _film_packets(path: Path, file: BinaryIO) -> Iterator[bytes]:
    for box in _boxes(path):
        if _is_uuid(file, box, XMP_BOX):
            yield _at(file, box.body + 16, min(box.end - box.body - 16, LONGEST_PACKET))


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a PNG, as far as they are whole: (kind, where it begins, where it ends)."""
    at = len(PNG_HEAD) if content.startswith(PNG_HEAD) else len(content)
    while at + 12 <= len(content):
        size, kind = SHORT_BOX.unpack_from(content, at)
        end = at + 12 + size
        if end > len(content):
            return
        yield kind, at, end
        at = end


def _is_packet(kind: bytes, body: bytes) -> bool:
    return kind == b"iTXt" and body.startswith(PNG_KEYWORD + b"\0")


def _png_packet(content: bytes) -> bytes | None:
    for kind, start, end in _chunks(content):
        body = content[start + 8 : end - 4]
        if _is_packet(kind, body):
            compressed, rest = body[len(PNG_KEYWORD) + 1 :][:1], body[len(PNG_KEYWORD) + 3 :]
            text = rest.split(b"\0", 2)[-1]  # behind its language, and the keyword in that
            with suppress(zlib.error):
                return zlib.decompressobj().decompress(text, LONGEST_PACKET) if compressed == b"\1" else text
    return None


def _scanned(file: BinaryIO) -> bytes | None:
    """A packet found by how it begins and ends, as those who know a file's format least read it."""
    length = os.fstat(file.fileno()).st_size
    for at in sorted({0, max(0, length - SCANNED)}):
        found = re.search(rb"<x:xmpmeta.{1,1048576}?</x:xmpmeta>", _at(file, at, SCANNED), re.DOTALL)
        if found:
            return found[0]
    return None


def _at(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)


def _put(file: BinaryIO, start: int, content: bytes) -> None:
    file.seek(start)
    file.write(content)


def _parsed(xmp: bytes) -> Mark | None:
    """The properties that we know, of a packet by whomever; None where it cannot be read."""
    found = re.search(rb"<(x:xmpmeta|rdf:RDF).*</\1>", xmp, re.DOTALL)
    if not found or b"<!" in found[0].replace(b"<!--", b""):  # declarations can make a few bytes endless
        return None
    try:
        tree = ElementTree.fromstring(found[0])
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError):
        return None
    values = {}
    for field, name in PROPERTIES.items():
        prefix, local = name.split(":")
        wanted = f"{{{NAMESPACES[prefix]}}}{local}"
        for element in tree.iter(f"{{{NAMESPACES['rdf']}}}Description"):
            inside = element.find(wanted)
            text = element.get(wanted) or ("" if inside is None else "".join(inside.itertext()))
            values[field] = values.get(field) or text.strip()
    return Mark(**{field: value for field, value in values.items() if value}) if any(values.values()) else None
