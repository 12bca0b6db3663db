"""One file from a person: uploaded, named by its path, a sample, or recorded; the same in ipywidgets 7 and 8."""

import contextlib
import importlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import ipywidgets
from ipywidgets import Button, Layout, Text, VBox

from lipgan_colab.errors import CONTROL, InputError
from lipgan_colab.files import fitting, not_written, written_whole
from lipgan_colab.notebook.notice import Notice
from lipgan_colab.workspace import on_colab

# What the notebook's connection carries in one piece. A larger upload is dropped without a word to the kernel, so that
# only the browser can tell.
UPLOAD_LIMIT = "1 MB" if on_colab() else "10 MB"
LOST = (
    f"The file has not arrived: this button carries at most {UPLOAD_LIMIT}. "
    + ("Take Upload a large file" if on_colab() else "Put a larger one where the notebook runs")
    + ", or give its path below"
)

LARGEST_UPLOAD = (1 if on_colab() else 10) << 20  # bytes that the front end passes on

# A file that is too large is not let through: JupyterLab would send it again and again, and nothing else any more.
# Python answers an upload by a new button. One that counts a file and is still there after a while has lost it, and
# waits for an answer for ever: then the hidden button beside it is pressed, until Python answers that.
WATCH_UPLOADS = """
if (!window.lipganWatchesUploads) {
  window.lipganWatchesUploads = true;
  const tell = upload => upload.parentElement.querySelector(".lipgan-lost").click();
  let pressed = null;
  document.addEventListener("click", event => { pressed = event.target.closest(".lipgan-upload"); }, true);
  const click = HTMLInputElement.prototype.click;
  HTMLInputElement.prototype.click = function () {
    const upload = this.type === "file" && pressed;
    if (upload) this.addEventListener("change", event => {
      if (![...this.files].some(file => file.size > LARGEST)) return;
      event.stopImmediatePropagation();
      this.value = "";
      tell(upload);
    }, {capture: true, once: true});
    return click.call(this);
  };
  // Where what has the focus is replaced (an upload button) or goes away (Cancel, a deleted video), something near it
  // gets it: else a keyboard would have to begin at the top of the page again.
  let around = [], waits = null;
  document.addEventListener("focusin", event => {
    around = [];
    for (let node = event.target; node && node.closest(".lipgan"); node = node.parentElement) around.push(node);
  });
  const focus = () => {
    const controls = "button, input, select";
    const seen = node => [...node.querySelectorAll(controls)].find(control => control.offsetParent);
    const near = around.filter(node => node.isConnected).map(seen).find(control => control);
    if (near && document.activeElement === document.body) near.focus();
  };
  const seen = new WeakSet();
  const look = () => {
    if (around.length && !around[0].offsetParent) {
      clearTimeout(waits);
      waits = setTimeout(focus, 200);
    }
    // Today's ipywidgets give what has no tooltip this one.
    for (const control of document.querySelectorAll(".lipgan [title=null]")) control.removeAttribute("title");
    for (const upload of document.querySelectorAll(".lipgan-upload")) {
      for (const text of upload.childNodes)
        if (text.nodeType === 3 && text.data.endsWith(" (0)")) text.data = text.data.slice(0, -4);  // none was lost
      if (seen.has(upload) || !/\\([1-9]\\d*\\)/.test(upload.textContent)) continue;
      seen.add(upload);
      const waiting = setInterval(() => {
        if (upload.isConnected) tell(upload);
        else clearInterval(waiting);
      }, 4000);
    }
  };
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true});
}
""".replace("LARGEST", str(LARGEST_UPLOAD))


@dataclass(frozen=True)
class Source:
    """A button that gives a file.

    Attributes:
        label: what stands on the button.
        icon: its FontAwesome name.
        get: returns the file; None where the person thought better of it.
    """

    label: str
    icon: str
    get: Callable[[], Path | None]


class FileInput:
    """Buttons, and a line for a path, by which a person gives one file.

    Args:
        label: what stands on the upload button.
        accept: which files the browser offers, as of HTML's input element.
        folder: where uploads are put.
        take: called with every file given; what it returns, a few words about the file, is shown, and so is what it
            raises.
        sources: further ways to give a file.

    Attributes:
        box: the widget to show.
        notice: what was said last about the file.
    """

    def __init__(
        self,
        label: str,
        accept: str,
        folder: Path,
        take: Callable[[Path], str],
        sources: Iterable[Source] = (),
    ):
        self._label, self._accept, self._folder, self._take = label, accept, folder, take
        self.notice = Notice()
        self.path = named_line(f"Path of the {label.lower()}", "… or its path, then Enter")
        self.path.observe(self._on_path, "value")
        self._output = ipywidgets.Output()
        if on_colab():
            sources = [Source("Upload a large file", "upload", lambda: upload_on_colab(self._folder)), *sources]
        self.buttons = {source.label: self._button(source) for source in sources}
        self._uploading = VBox()
        row = ipywidgets.HBox([self._uploading, *self.buttons.values()], layout=Layout(flex_flow="row wrap"))
        self.box = VBox([row, self.path, self._output, self.notice.box])
        self.box.add_class("lipgan-input")
        self._offer_upload()

    def _button(self, source: Source) -> Button:
        button = Button(description=source.label, icon=source.icon, layout=Layout(width="auto"))
        button.on_click(lambda _: self.give(source.get))
        return button

    def _offer_upload(self) -> None:
        """A new upload button: the two generations of ipywidgets do not forget a file in the same way."""
        self.upload = ipywidgets.FileUpload(
            description=self._label, accept=self._accept, multiple=False, layout=Layout(width="auto")
        )
        self.upload.tooltip = f"Upload: {self._label.lower()}"
        self.upload.add_class("lipgan-upload")
        self.upload.observe(self._on_upload, "value")
        lost = Button(layout=Layout(display="none"))
        lost.add_class("lipgan-lost")
        lost.on_click(lambda _, upload=self.upload: self._on_lost(upload))
        self._uploading.children = [self.upload, lost]

    def _on_lost(self, upload: ipywidgets.FileUpload) -> None:
        if upload is self.upload:  # else it has arrived meanwhile
            self._offer_upload()
            self.notice.say(LOST, "bad")

    def _on_upload(self, change) -> None:
        for name, content in uploaded(change["new"])[:1]:
            self.give(lambda name=name, content=content: keep(self._folder, name, content))

    def _on_path(self, change) -> None:
        if change["new"].strip():
            self.give(lambda: typed_path(change["new"]))

    def give(self, get: Callable[[], Path | None]) -> None:
        """Take the file that `get` returns, and say so."""
        self._offer_upload()
        with self._output, self.notice.failures(), uploads_named(self._folder):  # an Output would show a traceback
            self.notice.say("One moment …")
            path = get()
            if path is None:
                self.notice.clear()
                return
            if not os.path.isfile(path):
                raise InputError(f"{path}: there is no such file; look at its path once more")
            about = self._take(path)
            self.notice.say(f"{path.name}: {about}", "good")


def named_line(name: str, placeholder: str) -> Text:
    """A line to be filled in, whose name is heard and not seen."""
    line = Text(description=name, placeholder=placeholder, layout=Layout(width="98%"), continuous_update=False)
    line.add_class("lipgan-named")
    return line


@contextlib.contextmanager
def uploads_named(folder: Path) -> Iterator[None]:
    """Let errors name an upload as its person does, and not with the folder where it lies meanwhile."""
    try:
        yield
    except InputError as error:
        raise InputError(re.sub(rf"{re.escape(str(folder))}/(?:tmp\w+/)?", "", error.line)) from error


def typed_path(text: str) -> Path:
    """The path in a line: as it stands where there is such a file, or else without blanks and quotes around it."""
    if os.path.isfile(text):
        return Path(text)
    path = text.strip()
    return Path(path if os.path.isfile(path) else os.path.expanduser(path.strip("'\"")))


def uploaded(value: Mapping | Iterable) -> list[tuple[str, bytes]]:
    """Names and contents in the value of a FileUpload, of ipywidgets 7 (a dict) or 8 (a tuple)."""
    if isinstance(value, Mapping):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]


def keep(folder: Path, name: str, content: bytes) -> Path:
    """Write an upload under its own name, in a new folder, so that none replaces another that is in use."""
    name = re.split(r"[\\/]", name)[-1]  # a browser's name is never a path
    name = CONTROL.sub("_", name.encode(errors="replace").decode())  # nor need it be one that a disk can have
    path = fitting(_new_folder(folder) / ((name.strip(".") and name) or "upload"))
    with written_whole(path) as unfinished:
        unfinished.write_bytes(content)
    return path


def _new_folder(folder: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(dir=folder))
    except OSError as error:
        raise not_written(folder, error) from error


def upload_on_colab(folder: Path) -> Path | None:
    """A file of any size, through Colab's own upload; None where the person cancelled."""
    files = importlib.import_module("google.colab.files")
    place = _new_folder(folder)
    try:
        with contextlib.chdir(place):  # Colab writes to the current folder
            files.upload()
    except OSError as error:
        raise not_written(place, error, "the upload is not kept") from error
    return next((path for path in place.iterdir() if path.is_file()), None)
