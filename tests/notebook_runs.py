"""Notebooks executed in kernels of their own, with their forms filled in, and what is wrong in their outputs."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import read_video
from lipgan_colab.media.writing import write_video
from lipgan_colab.synthetic.clips import draw_corpus

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
TIMEOUT = 600  # seconds a cell
NAMES = ("01_preprocess", "02_train", "03_generate", "04_evaluate", "05_ablate")
SMALL = {"what": "LipGAN: hours on a GPU", "shards_name": "small", "width": 0.02, "batch_size": 2, "run_name": "tried"}


def small_material(folder: Path) -> dict[str, Path]:
    """Four clips, a face and a speech clip, of a second each: real ones where they are beside the checkout."""
    grid = NOTEBOOKS.parents[1] / "shared" / "data" / "grid"
    videos, face, speech = folder / "videos", folder / "face.mp4", folder / "speech.mp4"
    if grid.is_dir():
        for clip in sorted((grid / "s1").glob("*.mpg"))[:4]:
            shorten(clip, videos / f"{clip.stem}.mp4")
        shorten(min((grid / "others").glob("*.mpg")), face)
        shorten(min((grid / "s4").glob("*.mpg")), speech)
    else:
        draw_corpus(videos, clips=4, identities=2, seconds=1)
        face = speech = min(videos.glob("*.mp4"))
    return {"videos": videos, "face": face, "speech": speech}


def shorten(source: Path, target: Path, start: int = 15, count: int = 25) -> None:
    """Some frames of a clip of 25 a second, and their sound."""
    target.parent.mkdir(parents=True, exist_ok=True)
    frames = (frame for _, frame in islice(read_video(source), start, start + count))
    first, last = (n * SAMPLE_RATE // 25 for n in (start, start + count))
    write_video(target, frames, 25, read_speech(source)[first:last])


def all_five(
    material: dict[str, Path], steps: int, heat_maps: bool = False, people_study: str = "", **everywhere
) -> list[nbformat.NotebookNode]:
    """The notebooks with their forms filled in for something small."""
    return [
        filled_in(
            "01_preprocess",
            corpus="my own folder",
            my_folder=str(material["videos"]),
            hours=0,
            held_back=1,
            shards_name="small",
            **everywhere,
        ),
        filled_in("02_train", steps=steps, save_minutes=0.02, train_without_gpu=True, **SMALL, **everywhere),
        filled_in("03_generate", face=str(material["face"]), speech=str(material["speech"]), **everywhere),
        filled_in(
            "04_evaluate",
            runs="tried",
            videos="small",
            clips=1,
            heat_maps=heat_maps,
            people_study=people_study,
            **everywhere,
        ),
        filled_in(
            "05_ablate",
            question="references",
            quick_try=False,
            shards_name="small",
            clips=1,
            budget="steps",
            amount=4,
            seeds=1,
            width=0.02,
            batch_size=2,
            train_without_gpu=True,
            **everywhere,
        ),
    ]


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
    when: Path | None = None,
    then: Callable[[NotebookClient], object] = lambda client: None,
    errors: bool = False,
    kernel: str = "python3",
) -> nbformat.NotebookNode:
    """Run a notebook from top to bottom.

    Args:
        folder: where the kernel runs.
        environment: added to this process'.
        when, then: what is done as soon as this file is there.
        errors: go on after a cell that fails.
        kernel: name of the kernel.
    """
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        allow_errors=errors,
        kernel_name=kernel,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=40"],
    )
    done = threading.Event()

    def wait() -> None:
        while not when.exists():
            if done.wait(0.1):
                return
        then(client)

    if when is not None:
        threading.Thread(target=wait, daemon=True).start()
    try:
        client.execute(env={**os.environ, **environment})
    finally:
        done.set()
    return notebook


def press_stop(client: NotebookClient) -> None:
    """Interrupt what runs, a while after it began."""
    time.sleep(2)
    os.kill(client.km.provisioner.pid, signal.SIGINT)


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
