"""A training watched in its notebook: where it stands, how long it will take, and a face that gets better."""

import base64
import threading
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from lipgan_colab.errors import lasting
from lipgan_colab.notebook.face_picture import jpeg, shown
from lipgan_colab.notebook.timings import SAMPLES_TO_FOLLOW
from lipgan_colab.training.async_checkpointer import CHECKPOINTS
from lipgan_colab.training.checkpoint import find_checkpoints
from lipgan_colab.training.previews import CURVES
from lipgan_colab.training.runs import LOG, ago, read_config, read_log

SHOWN_ROWS = 3  # of the faces in a preview
STRIP = 8  # faces in the film strip
COLUMNS = ("reference", "masked", "generated", "real")  # of a preview
LINES = 5  # of the log, by which the speed is told
TOLD = {  # columns of the log in words
    "l1": "picture error {:.3f} (lower is better)",
    "loss": "error {:.2f} (lower is better)",
    "follows": "mouths follow the speech {:.2f} (1 is best)",
}
STYLE = """<style>
.lipgan-training { max-width: 860px; line-height: 1.5; }
.lipgan-training h4 { margin: 12px 0 4px; font-size: 14px; font-weight: 600; }
.lipgan-training small { opacity: .75; }
.lipgan-training img { width: 100%; height: auto; display: block; margin: 0; border-radius: 4px; }
.lipgan-bar { height: 10px; border-radius: 5px; background: rgba(128, 128, 128, .3); margin: 6px 0; overflow: hidden; }
.lipgan-bar i { display: block; height: 100%; background: #188038; }
.lipgan-columns { display: grid; grid-template-columns: repeat(4, 1fr); text-align: center; font-size: 12px; }
.lipgan-faces4 { max-width: 440px; }
.lipgan-strip8 { display: grid; grid-template-columns: repeat(auto-fit, minmax(72px, 1fr)); gap: 4px; max-width: 830px;
  font-size: 11px; text-align: center; }
.lipgan-strip8 figure { min-width: 0; max-width: 110px; margin: 0; }
.lipgan-no-gpu { border: 2px solid #d93025; border-radius: 6px; padding: 6px 12px; margin: 8px 0;
  background: rgba(217, 48, 37, .12); }
</style>"""


class TrainingView:
    """Shows a run in place while the block lasts.

    It only reads what the training writes anyway, in a thread of its own, so that neither waits for the other.

    Args:
        run: the run's folder, which lasts.
        local: the run's folder on this machine's own disk; may be `run` itself.
        device: what trains, in words; empty: not told.
        without_gpu: `device.without_gpu`'s line, where it has to be told; empty: nothing.
        every: seconds between two looks.
    """

    def __init__(self, run: str | Path, local: str | Path, device: str = "", without_gpu: str = "", every: float = 3):
        self.run, self.local, self.every = Path(run), Path(local), every
        self._told = {"device": device, "without_gpu": without_gpu}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="training view", daemon=True)
        self._last = ""

    def __enter__(self) -> "TrainingView":
        from IPython.display import HTML, display

        self._shown = display(HTML(self._page()), display_id=True)
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._stop.set()
        self._thread.join(timeout=60)  # a Drive that does not answer must not hold the cell up for ever

    def _page(self) -> str:
        return view(self.run, self.local, going_on=not self._stop.is_set(), **self._told)

    def _work(self) -> None:
        while not self._stop.wait(self.every):
            self._show()
        self._show()  # how it ended

    def _show(self) -> None:
        from IPython.display import HTML

        page = self._page()
        if self._shown is not None and page != self._last:  # outside of a notebook there is nothing to show it in
            self._last = page
            self._shown.update(HTML(page))


def view(run: Path, local: Path, device: str = "", without_gpu: str = "", going_on: bool = True) -> str:
    """A run as HTML: a bar, and how long it will take; when it was saved; the newest faces; one face from the first
    preview to now; the curves.

    Args:
        run, local, device, without_gpu: as of `TrainingView`.
        going_on: whether it still trains.
    """
    log, steps = read_log(local / LOG), (read_config(local) or {}).get("steps")
    step = int(log[-1]["step"]) if log else 0
    share = min(1.0, step / steps) if steps else 0.0
    where = f"step {step} of {steps}" if steps else f"step {step}"
    stands = f"{where if log else 'nothing in its log yet'}{_left(log, steps, going_on)}"
    parts = [
        STYLE,
        _no_gpu(without_gpu, log) if without_gpu else "",
        f"<div><b>{escape(run.name)}</b>: {stands}</div>",
        f'<div class="lipgan-bar" role="progressbar" aria-label="{where}"><i style="width: {share:.1%}"></i></div>',
        f"<small>{escape(_details(log, device))}{last_saved(run, on_drive=run != local)}</small>",
    ]
    previews = sorted((local / "previews").glob("step-*.png"))
    parts += _faces(previews) + _curves(local / CURVES)
    return f'<div class="lipgan-training">{"".join(parts)}</div>'


def _left(log: Sequence[dict[str, str]], steps: int | None, going_on: bool) -> str:
    """How much time is left, as the end of a sentence; or that it has ended, and how to go on."""
    step = int(log[-1]["step"]) if log else 0
    if steps and step >= steps:
        return ": done"
    if not going_on:
        return "; it has ended before that: run the cell again to go on"
    if not log:
        return "; the first picture comes within a minute"
    speed = _per_second(log, "step")
    return f", about {lasting((steps - step) / speed)} left" if steps and speed else ""


def _per_second(log: Sequence[dict[str, str]], counted: str) -> float:
    """How many steps or samples (a column that counts them) a second, by the last lines; 0 where they do not tell."""
    lines = [line for line in log if line.get("minutes") and line.get(counted)][-LINES - 1 :]
    if len(lines) < 2:
        return 0.0
    more, minutes = (float(lines[-1][name]) - float(lines[0][name]) for name in (counted, "minutes"))
    return more / (60 * minutes) if minutes > 0 else 0.0


def _details(log: Sequence[dict[str, str]], device: str) -> str:
    """How fast, on what, how good: what is known of these, each with a point behind it."""
    line = log[-1] if log else {}
    told = []
    if line.get("samples_per_second"):
        told.append(f"{float(line['samples_per_second']):.3g} samples a second" + (f" on {device}" if device else ""))
    elif device:
        told.append(device)
    if line.get("gpu_gb"):
        told.append(f"{line['gpu_gb']} GB of the GPU's memory used")
    told += [words.format(float(line[name])) for name, words in TOLD.items() if line.get(name)]
    return "".join(f"{part} · " for part in told)


def _faces(previews: Sequence[Path]) -> list[str]:
    """The newest preview's first rows under headings, and one face from preview to preview; of none nothing."""
    if not previews:
        return []
    newest, step = _opened(previews[-1]), _step(previews[-1])
    size = newest.shape[1] // len(COLUMNS)
    headings = "".join(f"<span>{name}</span>" for name in COLUMNS)
    rows = newest[: SHOWN_ROWS * size]
    now = [
        f"<h4>Faces after step {step}</h4>",
        f'<div class="lipgan-faces4"><div class="lipgan-columns">{headings}</div>{_image(rows, "four columns")}</div>',
    ]
    if len(previews) < 2:
        return now
    chosen = [previews[n] for n in np.unique(np.linspace(0, len(previews) - 1, STRIP - 1).round().astype(int))]
    top = size * _telling_row(newest, size)
    row = slice(top, top + size)
    strip = [(_opened(path)[row, 2 * size : 3 * size], f"step {_step(path)}") for path in chosen]
    strip.append((newest[row, 3 * size :], "real"))
    figures = "".join(f"<figure>{_image(face, told)}<figcaption>{told}</figcaption></figure>" for face, told in strip)
    return [*now, "<h4>One of them from the beginning to now</h4>", f'<div class="lipgan-strip8">{figures}</div>']


def _telling_row(preview: np.ndarray, size: int) -> int:
    """The row whose real mouth is least like that of the reference, from which it has to be learnt."""
    rows = preview.reshape(-1, size, preview.shape[1], 3)[:, size // 2 :].astype(np.int16)
    return int(np.abs(rows[:, :, 3 * size :] - rows[:, :, :size]).mean(axis=(1, 2, 3)).argmax())


def _curves(path: Path) -> list[str]:
    if not path.is_file():
        return []
    data = base64.b64encode(path.read_bytes()).decode()
    return ["<h4>Curves</h4>", f'<img alt="the curves of its log" src="data:image/png;base64,{data}">']


def _step(preview: Path) -> int:
    return int(preview.stem.removeprefix("step-"))


def _opened(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _image(picture: np.ndarray, told: str) -> str:
    """A picture (H, W, 3) as an HTML element."""
    return shown(jpeg(picture, 92), told)


def _no_gpu(reason: str, log: Sequence[dict[str, str]]) -> str:
    """What nobody can miss who trains LipGAN without a GPU: how long that takes, by the speed that was measured."""
    speed = _per_second(log, "samples")
    slow = f"Mouths follow the speech after some {SAMPLES_TO_FOLLOW // 1000} 000 samples. "
    if speed:
        slow += f"At the {speed:.2g} a second measured here they take {lasting(SAMPLES_TO_FOLLOW / speed)}."
    else:
        slow += "How long they take here is being measured."
    return f'<div class="lipgan-no-gpu"><b>{escape(reason)}.</b><br>{slow} Motion and the quick try need no GPU.</div>'


def last_saved(run: str | Path, on_drive: bool = False) -> str:
    """When the newest checkpoint reached the folder that lasts, in words."""
    where = "to Drive " if on_drive else ""
    try:
        newest = next(iter(find_checkpoints(Path(run) / CHECKPOINTS)), None)
        if newest is None:
            return f"not saved {where}yet"
        return f"last saved {where}{ago(time.time() - newest.path.stat().st_mtime)} ago (step {newest.step})"
    except OSError as error:
        return escape(f"{run} does not answer ({error.strerror or error})")
