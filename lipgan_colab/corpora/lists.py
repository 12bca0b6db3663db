"""Lists that people write: text files with a line for each thing, and names in a row, from whatever editor."""

import codecs
import re
from collections.abc import Callable
from pathlib import Path

from lipgan_colab.errors import InputError

# How a text that is not plain UTF-8 says so; the longer marks first, for one begins as another does.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
COMMENT = "#"  # what a line begins with that is for people


def read_lines(path: str | Path, cure: str) -> list[tuple[int, str]]:
    """The lines of a text file that are not empty, and their numbers, from 1, without the blanks at their ends.

    UTF-8 with or without a mark at its beginning, UTF-16 and UTF-32 with one; lines end as Linux, Windows or old Macs
    end them. What is not UTF-8 in it is kept as a file's name would be (os.fsdecode), so that any name can stand there.

    Args:
        path: the file.
        cure: what to do where it is none, for a person.

    Raises:
        InputError: there is no such text file.
    """
    try:
        text = _decoded(Path(path).read_bytes())
    except (OSError, ValueError) as error:  # the latter: no name of a file, or no text
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read as a list ({reason}); {cure}") from error
    # Other characters that Python takes for line breaks may be in a name, and so may blanks at the beginning.
    lines = enumerate(re.split(r"\r\n|\n|\r", text), 1)
    return [(number, line.rstrip()) for number, line in lines if line.strip()]


def _decoded(content: bytes) -> str:
    """ValueError where it is no text."""
    mark, encoding = next(((mark, name) for mark, name in MARKS.items() if content.startswith(mark)), (b"", "utf-8"))
    text = content[len(mark) :].decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
    if "\0" in text:
        raise ValueError("not a text file")
    return text


def names_in(text: str, known: Callable[[str], bool]) -> list[str]:
    """Names with commas or blanks between; one that is known may have blanks in it, or be the whole text.

    Args:
        text: "s1 s2", "s1, s2" or "my videos, s2".
        known: whether there is such a name.
    """
    parts = [part.strip() for part in ([text] if known(text.strip()) else text.split(",")) if part.strip()]
    return [name for part in parts for name in ([part] if known(part) else part.split())]
