"""The results made so far, the newest first: with this widget, an earlier one, or the command line."""

import os
from contextlib import suppress
from pathlib import Path

from ipywidgets import HTML, Button, HBox, Layout, VBox

from lipgan_colab.errors import reading
from lipgan_colab.notebook.fold import Fold
from lipgan_colab.notebook.notice import Notice
from lipgan_colab.notebook.result_row import ResultRow, is_result

AT_ONCE = 6
NOT_KEPT = "These videos are on this session's own disk and are gone when it ends: download what you want to keep."


class ResultsList:
    """The finished videos of a folder, some at a time: Drive is slow. They are looked at when `look` is called.

    Args:
        folder: where they lie.
        lasts: whether they are there after the session.

    Attributes:
        box: the widget to show.
        fold: closes it.
        rows: those that are shown.
        more: shows the next ones.
        again: looks what there is.
        notice: what went wrong.
    """

    def __init__(self, folder: Path, lasts: bool = True):
        self.folder, self._shown, self._left = folder, AT_ONCE, 0
        self._known: dict[tuple[Path, int, int], ResultRow] = {}
        self.rows: list[ResultRow] = []
        self.notice = Notice()
        self.again = Button(
            description="Look again", icon="refresh", layout=Layout(width="auto", align_self="flex-start")
        )
        self.again.on_click(lambda _: self.look())
        self.more = Button(icon="chevron-down", layout=Layout(width="auto", align_self="flex-start"))
        self.more.on_click(lambda _: self._show_more())
        self.more.layout.display = "none"
        self._list = VBox()
        gone = [] if lasts else [HTML(f"<small>{NOT_KEPT}</small>")]
        inside = [*gone, self.notice.box, self._list, HBox([self.more, self.again])]
        self.fold = Fold("Videos made so far", inside, is_open=True, changed=self.look)
        self.box = self.fold.box

    @property
    def is_open(self) -> bool:
        """Whether its results are seen."""
        return self.fold.is_open

    def open(self, path: Path) -> None:
        """Play this one, where it stands in the list."""
        self.fold.open()
        self.look()
        while (row := next((row for row in self.rows if row.path == path), None)) is None and self._left:
            self._show_more()
        if row is not None:
            row.open()

    def _show_more(self) -> None:
        self._shown += AT_ONCE
        self.look()

    def _close_others(self, than: ResultRow) -> None:
        """Let the page hold one video at a time."""
        for row in self.rows:
            if row is not than:
                row.close()

    def look(self) -> None:
        """Show what there is now."""
        with self.notice.failures():
            self.notice.clear()
            there = newest_first(self.folder)
            self.fold.title = f"Videos made so far ({len(there)})"
            before, self._known = self._known, {}
            for key in there[: self._shown] if self.is_open else []:
                row = before.pop(key, None)
                if row is None:
                    row = ResultRow(key[0], self.look, self._close_others)
                else:
                    row.tell()
                self._known[key] = row
            for row in before.values():
                row.close()
            self.rows = list(self._known.values())
            self._list.children = [row.box for row in self.rows] or [HTML("<small>There is none yet.</small>")]
            self._left = len(there) - len(self.rows)
            self.more.description = f"Show more ({self._left} left)"
            self.more.layout.display = "" if self._left else "none"


def newest_first(folder: Path) -> list[tuple[Path, int, int]]:
    """The finished videos in a folder, and in the folders in it: (path, when it was written in ns, its size).

    Raises:
        InputError: the folder cannot be read.
    """
    there = []
    with reading(folder, "cannot be read", "mount Drive again, if it lies there"):
        for path in _inside(folder):
            there += [path] if is_result(path) else _inside(path)
        stamped = [(path, about) for path in there if is_result(path) and (about := _about(path))]
    return [(path, about.st_mtime_ns, about.st_size) for path, about in sorted(stamped, key=_age)]


def _age(stamped: tuple[Path, os.stat_result]) -> tuple[int, Path]:
    return -stamped[1].st_mtime_ns, stamped[0]


def _inside(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):  # not made yet; a file; or it has vanished
        return [folder / name for name in os.listdir(folder)]
    return []


def _about(path: Path) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return path.stat()
