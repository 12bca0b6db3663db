"""The one exception that a person is meant to read."""

from collections.abc import Mapping


class InputError(ValueError):
    """What was given cannot be used; the message is one line: which file, what is wrong, what to do."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows (IPython's hook): the line alone, without the calls that led to it."""
        return [f"{type(self).__name__}: {self}"]


def check_ranges(settings: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raises InputError where a number among the attributes of `settings` is outside of its range, or not a number.

    Args:
        settings: a dataclass' instance.
        ranges: the least and the most that each may be, by name.
    """
    for name, (least, most) in ranges.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            limits = f"{least:g} or more" if most == float("inf") else f"from {least:g} to {most:g}"
            raise InputError(f"{name} {value}: it must be {limits}")
