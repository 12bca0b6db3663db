"""The one exception that a person is meant to read, and how lines for a person are worded.

A line names an option as Python has it, in backquotes: `size`, or `size=192`. Whoever shows the line puts there what
the person knows the option by (see `naming_options`); an InputError as text has the names alone.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")  # names in a file can hold line breaks, and what moves a cursor
LONGEST = 2000  # characters of a line: names in a file can be as long as the file
NOT_THERE = {FileNotFoundError: "there is no such file", IsADirectoryError: "this is a folder"}  # what is no damage
OPTION = re.compile(r"(?<![^\s(])`(\w+)(?:=([^`\n]+))?`(?![^\s,;:.)]|\.\w)")


class InputError(ValueError):
    """What was given cannot be used; the message is one line: which file, what is wrong, what to do."""

    def __init__(self, *line: object):
        super().__init__(*(CONTROL.sub(" ", str(part)).strip()[:LONGEST] for part in line))

    @property
    def line(self) -> str:
        """The message for `naming_options`."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        return naming_options(self.line, lambda name, value: f"{name} {value}" if value else name)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows (IPython's hook): the line alone, without the calls that led to it."""
        return [f"{type(self).__name__}: {self}"]


def naming_options(line: str, known_by: Callable[[str, str | None], str | None]) -> str:
    """A line with its options named as the person gives them.

    Args:
        line: what the package says.
        known_by: returns what an option (of this name, with this value or None) is called where the line is shown;
            None leaves it as Python has it.
    """
    return OPTION.sub(lambda found: known_by(found[1], found[2]) or found[0], line)


def counted(count: int | str, one: str, several: str = "") -> str:
    """A number and what it counts: "1 frame", "2 frames", "1.50 hours".

    Args:
        count: the number, as it is shown.
        one: the word for one of them.
        several: for any other number; where it is not given, `one` gets an s.
    """
    return f"{count} {one if str(count) == '1' else several or f'{one}s'}"


def lasting(seconds: float) -> str:
    """A time span in words, to about two digits: "0.4 seconds", "40 seconds", "12 minutes", "3.2 hours", "2.5 days"."""
    for unit, size, exact in (("day", 86400, 1), ("hour", 3600, 1), ("minute", 60, 0)):
        if seconds >= size:
            return counted(f"{seconds / size:.{exact}f}".removesuffix(".0"), unit)
    return counted(f"{seconds:.1f}".removesuffix(".0") if seconds < 10 else f"{seconds:.0f}", "second")


def check_ranges(settings: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raises InputError where a number among the attributes of `settings` is outside of its range, or not a number.

    Args:
        settings: a dataclass' instance.
        ranges: the least and the most that each may be, by name.
    """
    for name, (least, most) in ranges.items():
        check_range(name, getattr(settings, name), least, most)


def check_range(name: str, value: float | None, least: float, most: float = float("inf")) -> None:
    """Raises InputError where a number is outside of its range, or not a number; None is nothing to check."""
    if value is not None and not least <= value <= most:
        limits = f"{least:g} or more" if most == float("inf") else f"from {least:g} to {most:g}"
        raise InputError(f"`{name}` {value}: it must be {limits}")


@contextmanager
def reading(path: object, what: str, cure: str) -> Iterator[None]:
    """The border of a reader: whatever is raised inside becomes one InputError, `path: what (reason); cure`.

    The libraries that read files raise anything when the file is damaged or made to hurt: struct.error, IndexError,
    RecursionError, MemoryError and errors of their own. A list of them is never complete. InputErrors pass, with the
    path before them where they do not name it.
    """
    try:
        yield
    except InputError as error:
        if str(path) in error.line:
            raise
        raise InputError(f"{path}: {error.line}") from error
    except Exception as error:
        here = isinstance(error, OSError) and error.filename is not None and str(error.filename) == str(path)
        why = NOT_THERE.get(type(error)) if here else None
        raise InputError(f"{path}: {why or f'{what} ({reason_of(error)})'}; {cure}") from error


def reason_of(error: BaseException) -> str:
    """What an exception of a library says, in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())[:200]
    return f"{text} is missing" if isinstance(error, KeyError) else text or type(error).__name__
