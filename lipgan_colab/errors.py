"""The one exception that a person is meant to read."""


class InputError(ValueError):
    """What was given cannot be used; the message is one line: which file, what is wrong, what to do."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows (IPython's hook): the line alone, without the calls that led to it."""
        return [f"{type(self).__name__}: {self}"]
