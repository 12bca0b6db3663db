"""The pictures of a study's page: each measure's differences with their intervals, learning curves, frames."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lipgan_colab.errors import CONTROL
from lipgan_colab.evaluation.arm_results import ArmRun
from lipgan_colab.evaluation.comparison import CANNOT_TELL, GOOD, Difference, leaning, verdict
from lipgan_colab.evaluation.report_page import CAPTION, caption
from lipgan_colab.evaluation.shown_crops import read_crops
from lipgan_colab.training.runs import read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 100  # of figures 10 inches wide: as wide as a README is shown
LONGEST = 20  # letters of a name in a picture
TOLD = {  # colour (Okabe and Ito's, which the colour-blind tell apart) and marker of what is told from zero
    "better": ("#0072B2", "^"),
    "worse": ("#D55E00", "v"),
    "differs": ("#CC79A7", "D"),
}
LOOKS = TOLD | {f"{word} (leans)": look for word, look in TOLD.items()} | {CANNOT_TELL: ("#999999", "o")}
HINTS = {"more": "more is better", "less": "less is better", "as the truth": "nearer to 1 is better"}
BASE_COLOUR, ARM_COLOUR = "#888888", "#0072B2"  # of curves
CURVES = ("held_out_l1", "l1")  # of log.csv, the first that there is
BEGINNING = 2  # times as high as a curve's later half: as much of the beginning, which may be far above, is shown
MOST_ROWS = 40  # of frames.jpg; with many arms fewer clips
MOST_BYTES = 280_000  # of frames.jpg: it lies in a repository
QUALITIES = (90, 85, 80, 70, 60, 50)  # of the JPEG, until it is small enough
LETTER = 9  # pixels of the widest letter of `caption`


def drawn(name: str) -> str:
    """A name as it is drawn: one line of text that fonts have, not too long."""
    text = CONTROL.sub(" ", name).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= LONGEST else text[: LONGEST - 2] + ".."


def measures_picture(found: Sequence[Difference], base_means: dict[str, float]) -> bytes:
    """A PNG: a panel for each measure, in it each arm's difference to the base and its 95 % interval.

    Args:
        found: of `comparison.compare`.
        base_means: the base's mean of each measure; these are the panels.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    arms = list(dict.fromkeys(difference.arm for difference in found))
    columns = min(4, len(base_means))
    rows = -(-len(base_means) // columns)
    height = rows * (0.24 * len(arms) + 1.15) + 0.5
    figure = Figure(figsize=(10, height), layout="constrained")
    panels = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for place, (panel, measure) in enumerate(zip(panels, base_means, strict=False)):
        _differences(panel, [d for d in found if d.measure == measure], arms, base_means[measure])
        good = HINTS.get(GOOD.get(measure, ""), "")
        panel.set_title(f"{drawn(measure)}\n{good}", fontsize=9, parse_math=False)
        panel.set_yticks(range(len(arms)), [drawn(arm) for arm in arms] if place % columns == 0 else [], fontsize=9)
        for label in panel.get_yticklabels():
            label.set_parse_math(False)
    for panel in panels[len(base_means) :]:
        panel.axis("off")
    shown = [look for look in LOOKS if any(_look(d) == look for d in found)]
    handles = [Line2D([], [], label=look, **_drawn_as(look)) for look in shown]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    return _png(figure)


def _look(found: Difference) -> str:
    """Which of LOOKS a difference has."""
    lean = leaning(found)
    return f"{lean} (leans)" if lean else verdict(found)


def _drawn_as(look: str) -> dict[str, str]:
    """The options of a line; only what is told is filled."""
    colour, marker = LOOKS[look]
    return {"color": colour, "marker": marker, "markerfacecolor": colour if look in TOLD else "white"}


def _differences(panel: Axes, found: Sequence[Difference], arms: Sequence[str], base_mean: float) -> None:
    panel.axvline(0, color="black", linewidth=0.8)
    for difference in found:
        look, place = _drawn_as(_look(difference)), arms.index(difference.arm)
        panel.plot([difference.low, difference.high], [place, place], color=look["color"], linewidth=2.2)
        panel.plot(difference.difference, place, markersize=7 if difference.told else 5, **look)
    panel.set_ylim(len(arms) - 0.4, -0.6)
    panel.set_xlabel(f"difference to the base's {base_mean:.3g}", fontsize=8)
    panel.tick_params(axis="x", labelsize=8)
    panel.tick_params(axis="y", length=0)
    panel.locator_params(axis="x", nbins=4)
    panel.grid(axis="y", color="#eeeeee")
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)


def curves_picture(runs: Sequence[ArmRun], base: str) -> tuple[bytes, str] | None:
    """A PNG of learning curves, and which column of log.csv they are; None where no run has logged any.

    A panel for each arm: the base's mean over the seeds grey behind its own; its single seeds are thin.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    logs = {(run.arm, run.seed): read_log(run.log) for run in runs}
    for column in CURVES:
        found = {key: _curve(log, column) for key, log in logs.items()}
        curves = {key: curve for key, curve in found.items() if len(curve[0])}
        if curves:
            break
    else:
        return None
    arms = [arm for arm in dict.fromkeys(run.arm for run in runs) if any(key[0] == arm for key in curves)]
    panels_of = [arm for arm in arms if arm != base] or arms
    columns = min(4, len(panels_of))
    rows = -(-len(panels_of) // columns)
    figure = Figure(figsize=(10, 1.9 * rows + 0.7), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    low, high = _heights([y for _, y in curves.values()])
    room = 0.08 * max(high - low, 1e-9)
    for panel, arm in zip(panels, panels_of, strict=False):
        for who, colour in ((base, BASE_COLOUR), (arm, ARM_COLOUR)):
            own = [curve for key, curve in curves.items() if key[0] == who]
            for x, y in own:
                panel.plot(x, y, color=colour, linewidth=0.6, alpha=0.5)
            if own:
                panel.plot(*_mean_curve(own), color=colour, linewidth=3 if who == base else 1.6)
        panel.set_title(drawn(arm), fontsize=9, parse_math=False)
        panel.set_ylim(low - room, high + room)
        panel.tick_params(labelsize=8)
        panel.locator_params(nbins=4)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(panels_of) :]:
        panel.axis("off")
    for panel in panels[max(0, len(panels_of) - columns) : len(panels_of)]:
        panel.tick_params(labelbottom=True)  # also where the last row has none below
    if arms != panels_of:
        lines = [Line2D([], [], color=colour, linewidth=2) for colour in (BASE_COLOUR, ARM_COLOUR)]
        names = [drawn(base), "the arm named above"]
        figure.legend(lines, names, loc="outside lower right", ncols=2, frameon=False, fontsize=9)
    figure.supxlabel("samples", fontsize=9)
    figure.supylabel(column, fontsize=9)
    return _png(figure), column


def _heights(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """The lowest and the highest value to show."""
    low, high = (function([function(y) for y in curves]) for function in (np.min, np.max))
    later = max(y[len(y) // 2 :].max() for y in curves)
    return low, min(high, low + BEGINNING * (later - low))


def _curve(log: Sequence[dict[str, str]], column: str) -> tuple[np.ndarray, np.ndarray]:
    """Samples and values of the lines that have both."""
    points = []
    for line in log:
        try:
            point = float(line["samples"]), float(line[column])
        except (KeyError, TypeError, ValueError):  # it has none, or was cut short
            continue
        if np.isfinite(point).all():
            points.append(point)
    x, y = np.array(points).reshape(-1, 2).T
    return x, y


def _mean_curve(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of curves where all of them are, at the first one's places."""
    first = curves[0][0]
    x = first[(first >= max(x[0] for x, _ in curves)) & (first <= min(x[-1] for x, _ in curves))]
    return x, np.mean([np.interp(x, *curve) for curve in curves], axis=0) if len(x) else x


def frames_picture(runs: Sequence[ArmRun], truth: Path | None) -> tuple[bytes, int] | None:
    """A JPEG of the same frames by the truth and by one seed's runs, clip by clip, below one another; and the seed.
    None where no run has frames.

    Raises:
        InputError: frames cannot be read.
    """
    there = [run for run in runs if run.frames is not None]
    if not there:
        return None
    counts = {seed: sum(run.seed == seed for run in there) for seed in sorted({run.seed for run in there})}
    seed = max(counts, key=lambda s: counts[s])
    shown = [("truth", read_crops(truth))] if truth is not None else []
    shown += [(run.arm, read_crops(run.frames)) for run in there if run.seed == seed]
    have = Counter(clip for _, rows in shown for clip in rows)
    clips = sorted(have, key=lambda clip: -have[clip])[: max(1, MOST_ROWS // len(shown))]
    size = next(iter(shown[0][1].values())).shape[1::-1]
    side = LETTER * max(len(drawn(name)) for name, _ in shown) + 12
    page = []
    for clip in clips:
        page.append(caption(clip, side + size[0]))
        page += [_labelled(name, rows[clip], size, side) for name, rows in shown if clip in rows]
    return _small_jpeg(np.concatenate(page)), seed


def _labelled(name: str, row: np.ndarray, size: tuple[int, int], side: int) -> np.ndarray:
    """A row of frames, resized to (width, height), with a name before it, `side` pixels wide; a line below."""
    if row.shape[1::-1] != size:
        row = cv2.resize(row, size, interpolation=cv2.INTER_AREA)
    height = len(row)
    label = np.full((height, side, 3), 255, np.uint8)
    top = max(0, height - CAPTION) // 2
    label[top : top + CAPTION] = caption(drawn(name), side)[: height - top]
    return np.pad(np.concatenate([label, row], axis=1), ((0, 3), (0, 0), (0, 0)), constant_values=255)


def _small_jpeg(picture: np.ndarray) -> bytes:
    """At most MOST_BYTES long: as good as it can be, and where that is too bad, smaller."""
    while True:
        for quality in QUALITIES:
            coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
            if len(coded) <= MOST_BYTES:
                return coded
        picture = cv2.resize(picture, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)


def _png(figure: Figure) -> bytes:
    coded = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # names in a script that the font lacks
        figure.savefig(coded, format="png", dpi=DPI)
    return coded.getvalue()
