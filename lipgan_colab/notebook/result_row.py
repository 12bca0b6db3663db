"""One finished video: played in place, downloaded, deleted."""

import importlib
import time
from collections.abc import Callable
from contextlib import closing
from html import escape
from pathlib import Path

import cv2
import ipywidgets
from ipywidgets import HTML, Button, HBox, Layout, VBox

from lipgan_colab.errors import CONTROL, InputError, counted
from lipgan_colab.files import not_written
from lipgan_colab.media.container import films, opened
from lipgan_colab.media.png_folder import OWN_FILES, frame_name
from lipgan_colab.media.video import probe_video
from lipgan_colab.notebook.face_picture import jpeg, shown
from lipgan_colab.notebook.film_frames import frames_from
from lipgan_colab.notebook.notice import Notice
from lipgan_colab.training.checkpoint import discard
from lipgan_colab.training.runs import ago
from lipgan_colab.workspace import on_colab

LARGEST_SHOWN = 20 << 20  # bytes of a video that is played in place
THUMBNAIL = 144  # pixels of its height; it is shown at half of that
LARGEST_FETCHED = 200 << 20  # bytes that are sent to the browser for a download
PLAYED = ("h264", "yuv420p"), ("h264", "yuvj420p")  # codec and pixels that every browser plays

# A press of the button asks the hidden one for the video, and saves it when it has come: the page need not know where
# the notebook's files lie. A video that is played is there already.
SAVE = """
const row = this.closest('.lipgan-row'), name = this.dataset.name, held = () => row.querySelector('video[src]');
if (!held()) row.querySelector('.lipgan-fetch').click();
let tries = 0;
const waiting = setInterval(() => {
  if (held()) {
    const link = document.createElement('a');
    link.href = held().src;
    link.download = name;
    link.click();
  }
  if (held() || ++tries > 1200) clearInterval(waiting);
}, 100);
"""


class ResultRow:
    """A finished video, with what can be done with it.

    Args:
        path: of the video, or of the folder of pictures that stands for one.
        gone: called when it was deleted.
        shows: called with the row before it sends its video to the page.

    Attributes:
        box: the widget to show.
        play, delete, really, keep: its buttons; the last two ask once more, beside the one that was pressed.
        download: a button on Colab, else HTML.
        fetch: what the page presses where it needs the video.
        notice: what went wrong.
    """

    def __init__(
        self,
        path: Path,
        gone: Callable[[], None] = lambda: None,
        shows: Callable[["ResultRow"], None] = lambda row: None,
    ):
        self.path, self._gone, self._shows = path, gone, shows
        self.notice = Notice()
        self._about, self._place, self._thumbnail = HTML(), VBox(), HTML()
        self._thumbnail.add_class("lipgan-thumbnail")
        self.play = _button("Play", "play", self.open)
        self.fetch = _button("", "", self._hold)
        self.fetch.layout.display = "none"
        self.fetch.add_class("lipgan-fetch")
        self.download = _button("Download", "download", self._download) if on_colab() else HTML(_saving(path.name))
        self.delete = _button("Delete", "trash", lambda: self._ask(not self.asks))
        self.really = _button("Yes, delete it for good", "trash", self._delete)
        self.really.button_style = "danger"
        self.keep = _button("Keep it", "", lambda: self._ask(False))
        self.is_film = path.is_file()
        usual = [self.play, self.download, self.delete] if self.is_film else [self.delete]
        buttons = HBox([*usual, self.keep, self.really], layout=Layout(flex_flow="row wrap", align_items="center"))
        told = VBox([self._about, buttons, self.notice.box], layout=Layout(flex="1 1 0", min_width="0"))
        self.box = VBox([HBox([self._thumbnail, told]), self._place, self.fetch])
        self.box.add_class("lipgan-row")
        self._plays, self._hint, self._length = True, "", ""
        self.tell()
        self._ask(False)

    def tell(self) -> None:
        """Say its name, length, size and age."""
        with self.notice.failures():
            try:
                told = self._told()
            except (OSError, InputError) as error:
                told = "cannot be read" if self.path.exists() else "is not there any more"
                if self.path.exists():
                    self.notice.fail(error)
            self._about.value = f"<b>{escape(shown_name(self.path.name))}</b><small>{escape(told)}</small>"

    def _told(self) -> str:
        about = self.path.stat()
        age = f"{ago(time.time() - about.st_mtime)} ago"
        if not self.is_film:
            count = len(list(self.path.glob("frame-*.png")))
            return f"{counted(count, 'picture')} in a folder, {age}: {self.path}"
        if not self._length:
            self._look_into()
        return f"{self._length}, {megabytes(about.st_size)}, {age}"

    def _look_into(self) -> None:
        with closing(frames_from(self.path)) as frames:
            _, picture = next(frames)
        size = THUMBNAIL * picture.shape[1] // picture.shape[0], THUMBNAIL
        small = jpeg(cv2.resize(picture, (max(1, size[0]), size[1]), interpolation=cv2.INTER_AREA), 85)
        self._thumbnail.value = shown(small, f"The first frame of {shown_name(self.path.name)}")
        self._length = f"{probe_video(self.path).duration:.2f} s"
        with opened(self.path) as container:
            codec = next(iter(films(container))).codec_context
            kind = codec.name, codec.pix_fmt
        self._plays = codec.name != "prores"
        if kind not in PLAYED:
            self._hint = f"Not every browser plays this kind of file ({codec.name}, {codec.pix_fmt}): download it"

    @property
    def asks(self) -> bool:
        """Whether it asks if the video is to be deleted."""
        return self.really.layout.display != "none"

    def _ask(self, asking: bool) -> None:
        for button in (self.keep, self.really):
            button.layout.display = "" if asking else "none"

    @property
    def is_open(self) -> bool:
        """Whether it is played."""
        return self.play.description == "Close"

    def open(self) -> None:
        """Play it in place; pressed again, close it."""
        if self.is_open:
            self.close()
            return
        with self.notice.failures():
            self.notice.clear()
            size = self._size()
            if size > LARGEST_SHOWN:
                raise InputError(f"{megabytes(size)} are too many to play here; it is at {self.path}")
            if not self._plays:
                raise InputError(self._hint)
            self._place.children = [self._video(), *([HTML(f"<small>{self._hint}</small>")] if self._hint else [])]
            self.play.description, self.play.icon = "Close", "times"

    def close(self) -> None:
        """Let go of what is played or was fetched."""
        for child in self._place.children:
            child.close()
        self._place.children = []
        self.play.description, self.play.icon = "Play", "play"

    def _video(self) -> ipywidgets.Video:
        # Never changed, but made anew: the classic notebook bounds what changes may carry, not what opens.
        self._shows(self)
        video = ipywidgets.Video(value=self._read(), format="mp4", autoplay=False, loop=False)
        video.layout.max_width, video.layout.max_height = "min(640px, 100%)", "520px"
        video.layout.align_self = "flex-start"  # as wide as it is, without bars beside it
        return video

    def _hold(self) -> None:
        """Send it to the page, where it is not seen, to be saved there."""
        with self.notice.failures():
            self.notice.clear()
            size = self._size()
            if size > LARGEST_FETCHED:
                raise InputError(f"{megabytes(size)} are too many for this way to download; it is at {self.path}")
            self.close()
            video = self._video()
            video.layout.display = "none"
            self._place.children = [video]

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError as error:
            raise self._unread(error) from error

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise self._unread(error) from error

    def _unread(self, error: OSError) -> InputError:
        if isinstance(error, FileNotFoundError):
            return InputError(f"{self.path.name} is not there any more; look again at what there is")
        return InputError(f"{self.path}: cannot be read ({error.strerror or error}); try it again")

    def _download(self) -> None:
        with self.notice.failures():
            self._size()
            importlib.import_module("google.colab.files").download(str(self.path))

    def _delete(self) -> None:
        with self.notice.failures():
            self.close()
            self._ask(False)
            try:
                if self.is_film:
                    discard(self.path)
                else:
                    for file in self.path.iterdir():
                        if OWN_FILES.fullmatch(file.name):
                            discard(file)
                    self.path.rmdir()  # unless something else is in it
            except OSError as error:
                raise not_written(self.path, error, "not deleted") from error
            self._gone()


def is_result(path: Path) -> bool:
    """Whether this is a finished video, or the folder of pictures of one."""
    if path.name.startswith("."):
        return False
    if path.suffix.lower() in (".mp4", ".mov"):
        return path.is_file()
    return path.is_dir() and (path / frame_name(0)).is_file()


def shown_name(name: str) -> str:
    """A file's name as a browser can be sent it: it need not be text."""
    return CONTROL.sub(" ", name.encode(errors="backslashreplace").decode())


def megabytes(size: int) -> str:
    """A size in words."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{max(1, round(size / 1e3))} kB"


def _button(label: str, icon: str, press: Callable[[], object]) -> Button:
    button = Button(description=label, icon=icon, layout=Layout(width="auto"))
    button.on_click(lambda _: press())
    return button


def _saving(name: str) -> str:
    classes = "jupyter-button widget-button jupyter-widgets lipgan-save"
    icon = '<i class="fa fa-download"></i> '
    return (
        f'<button class="{classes}" data-name="{escape(shown_name(name))}" onclick="{escape(SAVE)}">'
        f"{icon}Download</button>"
    )
