"""Notebooks executed in kernels of their own, with their forms filled in, and what is wrong in their outputs."""

import json
import os
import re
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
TIMEOUT = 300  # seconds a cell


def filled_in(name: str, **answers) -> nbformat.NotebookNode:
    """A notebook whose forms have these answers."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4)
    for field, answer in answers.items():
        pattern = re.compile(rf"^{field} = .*?(?=  # @param)", re.MULTILINE)
        cells = [cell for cell in notebook.cells if pattern.search(cell.source)]
        assert len(cells) == 1, f"{name}: {len(cells)} forms ask for {field}"
        cells[0].source = pattern.sub(f"{field} = {answer!r}".replace("\\", r"\\"), cells[0].source)
    return notebook


def one_after_the_other(*notebooks: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The cells of several notebooks as one session."""
    together = nbformat.from_dict(dict(notebooks[0]))
    together.cells = [cell for notebook in notebooks for cell in notebook.cells]
    for number, cell in enumerate(together.cells):
        cell.id = f"cell-{number}"
    return together


def execute(
    notebook: nbformat.NotebookNode,
    folder: Path,
    environment: Mapping[str, str],
    stop_when: Path | None = None,
    errors: bool = False,
) -> nbformat.NotebookNode:
    """Run a notebook from top to bottom.

    Args:
        folder: where the kernel runs.
        environment: added to this process'.
        stop_when: press the stop button a while after this file has come into being.
        errors: go on after a cell that fails.
    """
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        allow_errors=errors,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=40"],
    )
    done = threading.Event()

    def press_stop() -> None:
        while not stop_when.exists():
            if done.wait(0.1):
                return
        if not done.wait(2):
            os.kill(client.km.provisioner.pid, signal.SIGINT)

    if stop_when is not None:
        threading.Thread(target=press_stop, daemon=True).start()
    try:
        client.execute(env={**os.environ, **environment})
    finally:
        done.set()
    return notebook


def outputs_of(notebook: nbformat.NotebookNode) -> list[dict]:
    """Every output of the cells, and of the widgets in them."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    states = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    for widget in states.values():
        outputs += widget["state"].get("outputs", [])
    return outputs


def text_of(notebook: nbformat.NotebookNode) -> str:
    """All that was printed, and the errors' lines."""
    return "\n".join(o.get("text", "") or "\n".join(o.get("traceback", [])) for o in outputs_of(notebook))


def errors_in(notebook: nbformat.NotebookNode) -> list[str]:
    """What went wrong, also where no cell failed by it: in a widget's callback, in a thread."""
    wrong = [o for o in outputs_of(notebook) if o["output_type"] == "error" or "Traceback" in o.get("text", "")]
    return [json.dumps(output)[:2000] for output in wrong]


def pictures_in(notebook: nbformat.NotebookNode) -> int:
    """How many outputs show a picture or a video."""
    kinds: Sequence[str] = ("image/png", "image/jpeg")
    shown = [o.get("data", {}) for o in outputs_of(notebook)]
    return sum(any(kind in data for kind in kinds) or "src=" in data.get("text/html", "") for data in shown)
