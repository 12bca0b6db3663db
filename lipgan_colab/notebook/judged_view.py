"""Judged runs as a notebook shows them: a sentence for each, six measures, and the rest folded away."""

from collections.abc import Mapping
from html import escape

import numpy as np
from IPython.display import HTML

from lipgan_colab.evaluation.comparison import GOOD
from lipgan_colab.evaluation.measures import MEASURES
from lipgan_colab.evaluation.scores import Evaluation
from lipgan_colab.evaluation.verdict import MAIN, WAYS, off, verdict
from lipgan_colab.notebook.cells import side_by_side

CELL = 'style="text-align: right; padding: 2px 10px"'
WORDS = 'style="text-align: left; padding: 2px 10px"'


def judged_view(judged: Mapping[str, Evaluation]) -> HTML:
    """A verdict on each run (named by the keys), and their measures beside the truth's and a still picture's."""
    lines = "".join(
        f"<p style='margin: 4px 0'><b>{escape(name)}</b>: {escape(verdict(evaluation))}</p>"
        for name, evaluation in judged.items()
    )
    meanings = "\n".join(f"{name:18}{what}" for name, what in MEASURES.items())
    rest = f"{side_by_side(judged)}\n\n{meanings}"
    return HTML(
        f'{lines}<div style="overflow-x: auto">{_table(judged)}</div>'
        f"<details><summary style='cursor: pointer; display: list-item'>All {len(MEASURES)} measures, and what they "
        f'mean</summary><pre style="overflow-x: auto">{escape(rest)}</pre></details>'
    )


def _table(judged: Mapping[str, Evaluation]) -> str:
    first = next(iter(judged.values()))
    heads = ["", "better", *judged, "a still picture", "the true video"]
    rows = [f"<th {WORDS if k < 2 else CELL}>{escape(head)}</th>" for k, head in enumerate(heads)]
    for name, what in MAIN.items():
        runs = [evaluation.mean(name) for evaluation in judged.values()]
        others = [first.mean(name, variant=variant) for variant in ("still", "true")]
        cells = [f"<td {WORDS}>{escape(what)}</td><td {WORDS}>{WAYS[GOOD[name]]}</td>"]
        cells += [_cell(value, best=_is_best(value, runs, name)) for value in runs]
        cells += [_cell(value) for value in others]
        rows.append("".join(cells))
    head = f"<tr>{''.join(rows[: len(heads)])}</tr>"
    return f"<table>{head}{''.join(f'<tr>{row}</tr>' for row in rows[len(heads) :])}</table>"


def _is_best(value: float, runs: list[float], measure: str) -> bool:
    """Whether one of several runs does better than all others."""
    return len(runs) > 1 and sum(not off(measure, value) < off(measure, other) for other in runs) == 1


def _cell(value: float, best: bool = False) -> str:
    shown = f"{value:.2f}" if np.isfinite(value) else "–"
    return f"<td {CELL}>{f'<b>{shown}</b>' if best else shown}</td>"
