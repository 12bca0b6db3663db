"""How far a run has come, as its files tell, and what is to be feared of its weights: without loading PyTorch."""

import csv
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lipgan_colab.errors import InputError, reading
from lipgan_colab.files import open_tensors
from lipgan_colab.models.pretrained import EXPORT

LOG = "log.csv"
HARDLY = 0.1  # mean difference of drawn and real faces, of 1, from which on there is hardly a mouth in them
FOLLOWS = 0.4  # of mouth motion: correlation with true mouths below which it moves as it likes


def read_log(path: Path) -> list[dict[str, str]]:
    """The lines of a log.csv, as far as they can be read; none where there is no file."""
    lines: list[dict[str, str]] = []
    with suppress(FileNotFoundError, csv.Error), path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines.extend(csv.DictReader(file))
    return lines


@dataclass(frozen=True)
class Trained:
    """How far a run has come.

    Attributes:
        step: after how many steps its weights were written; None where they do not say so.
        warning: what is to be feared of it; "" for nothing.
    """

    step: int | None = None
    warning: str = ""


def how_trained(run: Path) -> Trained:
    """How far a run has come, as its weights and its log tell; a file that cannot be read tells nothing."""
    try:
        with reading(run, "no run", "train on"):
            with open_tensors(run / EXPORT) as file:
                about = json.loads(file.metadata()["about"])
            step, measures = int(about["step"]), about.get("measures")
            log = read_log(run / LOG)
            return Trained(step, _warning(step, measures, log[-1] if log else {}))
    except InputError:
        return Trained()  # it is told what is wrong with it when it is used


def _warning(step: int, measures: Mapping[str, float] | None, log: Mapping[str, str]) -> str:
    if measures is not None:
        follows = float(measures.get("follows", math.nan))
        if follows < FOLLOWS:
            return f"Hardly trained ({step} steps): lips follow speech by {follows:.2f} of 1, the starter's by 0.73."
        return ""
    error = float(log.get("l1") or math.nan)
    if error >= HARDLY:
        return (
            f"Hardly trained ({step} steps): it is likely to paint over the mouth. Its faces are {error:.2f} of 1 off "
            "the true ones, a trained model's about 0.03. Train on, or take the starter."
        )
    return ""
