"""Which model generates: a list of what there is, the best first, and a line for the path of others."""

import time
from html import escape
from pathlib import Path

import cv2
from ipywidgets import HTML, Button, Dropdown, HBox, Layout, VBox

from lipgan_colab.errors import counted
from lipgan_colab.models.pretrained import ASSETS, EXPORT, PRETRAINED
from lipgan_colab.notebook.face_picture import jpeg, shown
from lipgan_colab.notebook.file_input import named_line
from lipgan_colab.training.how_trained import how_trained
from lipgan_colab.training.runs import ago
from lipgan_colab.workspace import Workspace

OTHER = "other"  # in the list: the path below it
NONE_HERE = "Neither the starter nor a run of yours is here: train one with 02_train, or choose a published one."
# Of published ones and those that come along, where PRETRAINED has the words of the field.
PLAIN = {
    "starter": "Moves the picture's own pixels: any face, at once",
    "lipgan-starter": "A small LipGAN, which paints the mouth",
    "lipgan": "LipGAN as its authors published it, which paints the mouth",
    "lipgan-mel": "LipGAN as its authors published it without MATLAB, which paints the mouth",
}
ROWS = 2  # of a preview


class WeightsInput:
    """A list of weights.

    Args:
        workspace: whose runs are offered.

    Attributes:
        box: the widget to show.
        warning: what is to be feared of the chosen ones; "" for nothing.
    """

    def __init__(self, workspace: Workspace):
        self.workspace, self.warning = workspace, ""
        self.list = Dropdown(description="Model", layout=Layout(width="98%"))
        self.path = named_line("Path of the model", "path of a run folder, .safetensors, .h5 or .pth")
        self.about, self.seen = HTML(), HTML()
        self.seen.add_class("lipgan-preview")
        again = Button(icon="refresh", tooltip="Look for new runs", layout=Layout(width="40px"))
        again.on_click(lambda _: self.look())
        self.list.observe(lambda _: self._describe(), "value")
        self.box = VBox([HBox([self.list, again]), self.path, self.about, self.seen])
        self.look()

    @property
    def chosen(self) -> str:
        """What `load_generator` takes; empty where nothing is chosen."""
        return self.path.value.strip() if self.list.value == OTHER else self.list.value

    @property
    def download(self) -> int:
        """How many megabytes are downloaded when these weights are used for the first time."""
        entry = PRETRAINED.get(self.chosen)
        return 0 if entry is None or entry.bundled else entry.megabytes

    def look(self) -> None:
        """List what there is now; the choice stays where it can."""
        chosen, choices = self.list.value, weights_choices(self.workspace)
        values = [value for _, value in choices]
        self.list.options = choices
        self.list.value = chosen if chosen in values else values[0]
        self._describe()

    def _describe(self) -> None:
        chosen, text, run = self.list.value, "", None
        if chosen in PRETRAINED:
            entry = PRETRAINED[chosen]
            text = f"{PLAIN.get(chosen) or entry.what[0].upper() + entry.what[1:]}; {entry.licence}."
        elif not chosen:
            text = NONE_HERE
        elif chosen != OTHER:
            run = Path(chosen)
        self.warning = "" if run is None else how_trained(run).warning
        warned = f'<div class="lipgan-notice lipgan-warning" role="status">{escape(self.warning)}</div>'
        self.path.layout.display = "" if chosen == OTHER else "none"
        self.about.value = (f"<small>{escape(text)}</small>" if text else "") + (warned if self.warning else "")
        self.seen.value = "" if run is None else last_preview(run)


def last_preview(run: Path) -> str:
    """The first rows of a run's newest preview as HTML; "" where there is none."""
    newest = max((run / "previews").glob("step-*.png"), default=None)
    picture = None if newest is None else cv2.imread(str(newest))
    if picture is None:
        return ""
    rows = picture[: ROWS * (picture.shape[1] // 4), :, ::-1]
    columns = "given · mouth hidden · drawn by this run · true"
    return f"{shown(jpeg(rows, 90), f'What this run draws: {columns}')}<small>What this run draws: {columns}</small>"


def weights_choices(workspace: Workspace) -> list[tuple[str, str]]:
    """What there is to choose from, the best choice first: (label, what `load_generator` takes).

    An empty choice leads where there are neither starter weights nor runs, so that nothing large is downloaded unasked.
    """
    generators = {name: entry for name, entry in PRETRAINED.items() if "generator" in entry.what}
    choices = [
        (f"{name} (comes with the project)", name)
        for name, entry in generators.items()
        if entry.bundled and (ASSETS / entry.file).exists()
    ]
    runs = [(path.stat().st_mtime, path.parent) for path in workspace.runs.glob(f"*/{EXPORT}")]
    for saved, run in sorted(runs, reverse=True):
        step = how_trained(run).step
        steps = "" if step is None else f"{counted(step, 'step')}, "
        choices.append((f"my run {run.name} ({steps}saved {ago(time.time() - saved)} ago)", str(run)))
    if not choices:
        choices.append(("choose …", ""))
    choices += [(f"published: {name}", name) for name, entry in generators.items() if not entry.bundled]
    return [*choices, ("another file …", OTHER)]
