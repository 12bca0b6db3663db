"""A tar archive read forward, header by header, believing none of them more than it can.

Python's tarfile takes what it cannot read for the archive's end, and holds whatever a header claims in memory.
"""

import tarfile

from lipgan_colab.corpora.split_archive import JoinedParts
from lipgan_colab.errors import InputError

LARGEST_HEADER = 1 << 20  # bytes of names and the like before one member; some hundred are usual
ENDING = 1 << 20  # an archive may end in so many zeros
LONG_HEADERS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
PAX_HEADERS = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)


class TarStream:
    """The members of a tar archive: ustar, GNU's and POSIX' long names and sizes.

    Args:
        stream: the archive, where it begins or where a member does.

    Attributes:
        offset: the byte of the whole at which the next member is looked for.
    """

    def __init__(self, stream: JoinedParts):
        self.stream, self.offset = stream, stream.tell()
        self._first = self.offset

    def next(self) -> tarfile.TarInfo | None:
        """The next member, its content at `offset_data`; None at the archive's true end. Sparse files say `issparse`.

        Raises:
            InputError: the archive does not go on as it should; the part where is named.
        """
        begin, name, records = self.offset, None, {}
        while (member := self._header()) is not None:
            if member.type not in LONG_HEADERS + PAX_HEADERS:
                name = records.get(b"GNU.sparse.name") or records.get(b"path") or name
                return self._complete(member, name, records, begin)
            text = self._long_header(member, begin)
            self.offset += tarfile.BLOCKSIZE + _padded(member.size)
            if member.type == tarfile.GNUTYPE_LONGNAME:
                name = text.split(b"\0")[0]
            elif member.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                records = self._records(text, begin)
        if self.offset != begin:  # a long name, and nobody has it
            raise self._damaged(begin)
        self._check_end()
        return None

    def _complete(
        self, member: tarfile.TarInfo, name: bytes | None, records: dict[bytes, bytes], begin: int
    ) -> tarfile.TarInfo:
        """The member with what the long headers before it say; `offset` goes on to the next."""
        if name is not None:
            member.name = name.decode("utf-8", "surrogateescape")
        member.size = self._size(member, records, begin)
        member.offset, member.offset_data = begin, self.offset + tarfile.BLOCKSIZE
        if member.type == tarfile.GNUTYPE_SPARSE:
            member.offset_data = self._after_sparse_map(member.offset_data)
        if member.type == tarfile.GNUTYPE_SPARSE or any(key.startswith(b"GNU.sparse.") for key in records):
            member.sparse = []
        has_content = member.isreg() or member.type not in tarfile.SUPPORTED_TYPES
        self.offset = member.offset_data + (_padded(member.size) if has_content else 0)
        sizes = self.stream.sizes
        if has_content and None not in sizes and member.offset_data + member.size > sum(sizes):
            raise cut_off(self.stream.parts[-1].name)
        return member

    def _header(self) -> tarfile.TarInfo | None:
        """What lies at `offset`; None for a block of zeros."""
        self.stream.seek(self.offset)
        self._block = self.stream.read(tarfile.BLOCKSIZE)
        try:
            return tarfile.TarInfo.frombuf(self._block, "utf-8", "surrogateescape")
        except tarfile.EOFHeaderError:
            return None
        except (tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError) as error:
            raise self._no_archive() if self.offset == 0 else cut_off(self.stream.part) from error
        except (tarfile.HeaderError, ValueError) as error:
            raise self._no_archive() if self.offset == self._first else self._damaged(self.offset) from error

    def _long_header(self, member: tarfile.TarInfo, begin: int) -> bytes:
        """The content of a header that is about the member after it."""
        if not 0 <= member.size <= LARGEST_HEADER - (self.offset - begin):
            raise InputError(
                f"{self.stream.part_at(self.offset)}: a name or note in it claims {member.size} bytes (byte "
                f"{self.offset} of the whole); it is damaged, fetch it again"
            )
        text = self.stream.read(member.size)
        if len(text) < member.size:
            raise cut_off(self.stream.part)
        return text

    def _records(self, text: bytes, begin: int) -> dict[bytes, bytes]:
        """What a POSIX header says: records "LENGTH KEY=VALUE", a line each, LENGTH being that of the line."""
        records, place = {}, 0
        while place < len(text) and text[place]:
            digits = text[place : place + 20].split(b" ")[0]
            end = place + int(digits) if digits.isdigit() else 0
            key, equals, value = text[place + len(digits) + 1 : end - 1].partition(b"=")
            if not equals or text[end - 1 : end] != b"\n":
                raise self._damaged(begin)
            records[key], place = value, end
        return records

    def _size(self, member: tarfile.TarInfo, records: dict[bytes, bytes], begin: int) -> int:
        told = records.get(b"size", b"%d" % member.size)
        if not told.isdigit() or len(told) > 20:
            raise self._damaged(begin)
        return int(told)

    def _after_sparse_map(self, content: int) -> int:
        """Where a sparse file's content begins: GNU tar puts more blocks of its map before it."""
        goes_on = self._block[482]
        while goes_on:
            block = self.stream.read(tarfile.BLOCKSIZE)
            if len(block) < tarfile.BLOCKSIZE:
                raise cut_off(self.stream.part)
            content, goes_on = content + tarfile.BLOCKSIZE, block[504]
        return content

    def _check_end(self) -> None:
        """Zeros end an archive, but zeros in the middle are a hole, as broken downloads leave it."""
        self.stream.seek(self.offset)
        rest = self.stream.read(ENDING + 1)
        if rest.strip(b"\0") or len(rest) > ENDING:
            raise self._damaged(self.offset)

    def _no_archive(self) -> InputError:
        return InputError(f"{self.stream.part}: not what an uncompressed tar archive goes on with here; name its parts")

    def _damaged(self, offset: int) -> InputError:
        there, before = self.stream.part_at(offset), self.stream.part_at(max(0, offset - tarfile.BLOCKSIZE))
        suspects = there if there == before else f"{there} or {before}"
        return InputError(f"{suspects}: damaged or out of order (byte {offset} of the whole); fetch it again")


def cut_off(part: str) -> InputError:
    """What is said of a part after which the archive should go on."""
    return InputError(f"{part}: the archive does not end with it; it is cut off, or the part after it is missing")


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
