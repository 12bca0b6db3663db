"""The pictures that show how a run is going: faces, and the curves of its log."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from lipgan_colab.files import written_whole
from lipgan_colab.models.generators import TrainedGenerator
from lipgan_colab.training.step import generator_input

CURVES = "curves.png"
PLOTS = {  # what each plot is called, and the columns of the log that it shows
    "picture error (lower is better)": ("l1", "weighted_l1", "edges"),
    "judge of the sync": ("adversarial", "disc_synced", "disc_unsynced", "disc_fake"),
    "judges of the picture": ("quality", "quality_judge", "lip_quality", "lip_quality_judge"),
    "sync error (lower is better)": ("sync", "held_out_sync", "learnt_sync"),
    "picture error on the preview's clips": ("held_out_l1", "learnt_l1"),
    "length of the gradient": ("grad_norm",),
    "error of the motion (lower is better)": ("loss", "velocity"),
    "follows the speech, opens as wide (1 is best)": ("follows", "range"),
}
SHORTLY = {  # columns in a person's words
    **{"l1": "all pixels alike", "weighted_l1": "lips count more", "held_out_l1": "of people held out"},
    **{"learnt_l1": "of people learnt from", "grad_norm": "of the generator"},
}


@torch.no_grad()
def preview(generator: TrainedGenerator, batch: dict[str, Tensor]) -> np.ndarray:
    """A picture of a batch, as `augmented` makes it, on the generator's device: one sample a row, reference, masked,
    generated, real; uint8 (B S, 4 S, 3)."""
    faces = generator_input(batch["reference"], batch["target"])
    generated = generator(faces, batch["speech"])
    rows = torch.cat([faces[:, :3], faces[:, 3:], generated, batch["target"]], dim=3)  # side by side
    rows = (rows.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return rows.reshape(-1, *rows.shape[2:])


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture (H, W, 3) RGB as PNG, whole or not at all."""
    _, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    with written_whole(path) as unfinished:
        unfinished.write_bytes(png.tobytes())


def write_curves(path: Path, log: Sequence[dict[str, str]]) -> None:
    """Draw the losses and the gradient's norm of a log (lines of log.csv) over the steps, as PNG."""
    from matplotlib.figure import Figure  # not pyplot: it would take over the notebook's own figures

    steps = np.array([int(line["step"]) for line in log])
    enough = 2 if len(log) > 1 else 1  # points: one alone tells nothing where others are lines
    known = {
        title: [n for n in names if sum(bool(line.get(n)) for line in log) >= enough] for title, names in PLOTS.items()
    }
    plots = [(title, names) for title, names in known.items() if names]
    figure = Figure(figsize=(5 * max(1, len(plots)), 3.5))
    figure.subplots_adjust(0.15 / max(1, len(plots)), 0.15, 0.98, 0.9)  # a layout engine takes twice as long
    for axes, (title, names) in zip(figure.subplots(1, max(1, len(plots)), squeeze=False)[0], plots, strict=False):
        marker = "." if len(log) == 1 else ""  # a line needs two points
        for name in names:
            axes.plot(
                steps,
                [float(line[name] or "nan") for line in log],
                label=SHORTLY.get(name, name),
                linewidth=1,
                marker=marker,
            )
        axes.set_title(title, fontsize="medium")
        axes.set_xlabel("step")
        axes.set_yscale("log")
        for formatted in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            formatted(lambda value, _place: f"{value:g}")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="upper right")  # "best" is slow, and says so loudly
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=100)
