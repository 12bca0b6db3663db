"""One line for a person in a notebook: what happened, or what is wrong and what to do."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape

import ipywidgets

from lipgan_colab.download import shown_address
from lipgan_colab.errors import InputError, naming_options

COLOURS = {"info": "#1a73e8", "good": "#188038", "warn": "#e37400", "bad": "#d93025"}


class Notice:
    """A line under the things it is about; nothing is seen of it while it is empty.

    Args:
        known_by: what the person knows an option by (see errors.naming_options).

    Attributes:
        box: the widget to show.
        text: what it says, as plain text.
    """

    def __init__(self, known_by: Callable[[str, str | None], str | None] = lambda name, value: None):
        self.box, self.known_by = ipywidgets.HTML(), known_by
        self.clear()

    def clear(self) -> None:
        """Say nothing."""
        self.text, self.box.value, self.box.layout.display = "", "", "none"

    def say(self, text: str, kind: str = "info", details: str = "") -> None:
        """Show a line.

        Args:
            text: any text; it is escaped.
            kind: "info", "good", "warn" or "bad".
            details: more lines, folded away.
        """
        # A file's name need not be text, and what a browser is sent has to be.
        self.text = text = naming_options(text, self.known_by).encode(errors="backslashreplace").decode()
        folded = f"<details><summary>details</summary><pre>{escape(details)}</pre></details>" if details else ""
        self.box.value = (
            f'<div class="lipgan-notice" role="{"alert" if kind == "bad" else "status"}"'
            f' style="border-left-color: {COLOURS[kind]}">{escape(text)}{folded}</div>'
        )
        self.box.layout.display = ""

    def fail(self, error: BaseException) -> None:
        """Show what went wrong: an `InputError` speaks for itself, of any other the calls that led to it are folded
        away."""
        if isinstance(error, InputError):
            self.say(error.line, "bad")
        else:
            text = f"This should not have happened. {type(error).__name__}: {' '.join(str(error).split())}"
            self.say(shown_address(text), "bad", shown_address("".join(traceback.format_exception(error))))

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Show what the block raises: out of a widget's callback nobody would see it."""
        try:
            yield
        except Exception as error:  # shown, whatever it is
            self.fail(error)
