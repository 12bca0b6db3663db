"""Something folded away under a button, so that a keyboard opens it as well; an Accordion's title it cannot reach."""

from collections.abc import Callable, Sequence

from ipywidgets import Button, Layout, VBox, Widget


class Fold:
    """A title that opens and closes what is below it.

    Args:
        title: what stands on the button.
        inside: what is folded away.
        is_open: whether it is seen at first.
        changed: called after it was opened or closed.

    Attributes:
        box: the widget to show.
        button: opens and closes it.
    """

    def __init__(
        self,
        title: str,
        inside: Sequence[Widget],
        is_open: bool = False,
        changed: Callable[[], None] = lambda: None,
    ):
        self._changed = changed
        self.button = Button(description=title, layout=Layout(width="auto"))
        self.button.add_class("lipgan-fold")
        self.button.on_click(lambda _: self._turn())
        self._inside = VBox(list(inside))
        self.box = VBox([self.button, self._inside])
        self._show(is_open)

    @property
    def is_open(self) -> bool:
        """Whether what is inside is seen."""
        return self._inside.layout.display != "none"

    @property
    def title(self) -> str:
        """What stands on the button."""
        return self.button.description

    @title.setter
    def title(self, text: str) -> None:
        self.button.description = text

    def open(self) -> None:
        """Let it be seen."""
        self._show(True)

    def _turn(self) -> None:
        self._show(not self.is_open)
        self._changed()

    def _show(self, seen: bool) -> None:
        self._inside.layout.display = "" if seen else "none"
        self.button.icon = "caret-down" if seen else "caret-right"
        self.button.tooltip = "Open; press to close" if seen else "Closed; press to open"
