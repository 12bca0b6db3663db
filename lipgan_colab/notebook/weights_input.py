"""Which weights generate: a list of what there is, the best first, and a line for the path of others."""

import time
from html import escape

from ipywidgets import HTML, Button, Dropdown, HBox, Layout, Text, VBox

from lipgan_colab.models.pretrained import ASSETS, PRETRAINED
from lipgan_colab.models.weights import EXPORT
from lipgan_colab.training.runs import ago
from lipgan_colab.workspace import Workspace

OTHER = "other"  # in the list: the path below it
NONE_HERE = "Neither starter weights nor a run of yours is here: train one with 02_train, or choose published ones."


class WeightsInput:
    """A list of weights.

    Args:
        workspace: whose runs are offered.

    Attributes:
        box: the widget to show.
    """

    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        self.list = Dropdown(description="Weights", layout=Layout(width="98%"))
        self.path = Text(placeholder="path of a run folder, .safetensors, .h5 or .pth", layout=Layout(width="98%"))
        self.about = HTML()
        again = Button(icon="refresh", tooltip="Look for new runs", layout=Layout(width="40px"))
        again.on_click(lambda _: self.look())
        self.list.observe(lambda _: self._describe(), "value")
        self.box = VBox([HBox([self.list, again]), self.path, self.about])
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
        chosen, text = self.list.value, ""
        if chosen in PRETRAINED:
            text = f"{PRETRAINED[chosen].what}; {PRETRAINED[chosen].licence}"
            text = f"{text[0].upper()}{text[1:]}."
        elif not chosen:
            text = NONE_HERE
        self.path.layout.display = "" if chosen == OTHER else "none"
        self.about.value = f"<small>{escape(text)}</small>" if text else ""


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
        choices.append((f"my run {run.name} (saved {ago(time.time() - saved)} ago)", str(run)))
    if not choices:
        choices.append(("choose …", ""))
    choices += [(f"published: {name}", name) for name, entry in generators.items() if not entry.bundled]
    return [*choices, ("another file …", OTHER)]
