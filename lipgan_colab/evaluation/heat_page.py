"""The page of heat maps: for whoever has never seen one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import cv2
import numpy as np

from lipgan_colab.evaluation.heat_clip import (
    ACTIVITY,
    COEFFICIENTS,
    DISTANCE,
    GRADIENTS,
    GRID,
    OCCLUSION,
    OPENING,
    REFERENCE,
    TARGET,
    TIME,
    ClipMaps,
    Key,
)
from lipgan_colab.evaluation.read_out import TRUSTED
from lipgan_colab.evaluation.report_page import heat_map
from lipgan_colab.files import written_whole

DOUBTFUL = 0.5  # rank correlation with maps of networks that have learnt nothing, above which a map is not to be read
NOTHING = 1e-5  # what the places of a map that is not empty add up to
WIDTH = 14.0  # inches, of 100 pixels
SIDE = 288  # pixels of a face
TITLE = "What moves the mouth, and where does the network look?"
HEAT, BARS, LINE = "inferno", "#c4652a", "#28507a"
PALE = 0.25  # opacity
GOOD, BAD, NEITHER = "#2a6a35", "#b3181d", "#666666"
ASKED_AS = {OPENING: "the mouth's opening", DISTANCE: "the distance of lips and sound"}
SHORT = {OPENING: "opening", DISTANCE: "lips and sound"}
BY = {OCCLUSION: "a part taken away", GRADIENTS: "gradients"}


@dataclass(frozen=True)
class Summary:
    """All that the page shows.

    Attributes:
        weights: their name.
        about: how many clips and frames it is of.
        motion: whether the network moves a mesh, and neither sees nor makes pictures.
        kind: of speech features, see `features.WINDOWS`.
        rows: (R,), what the rows of a speech window are: MFCC's numbers, or Hz.
        milliseconds: (C,), when its columns are.
        read_out: mean correlation of the read-out opening with MediaPipe's.
        maps, untaught, missing: as of `ClipMaps`, over all clips.
        expert: whether a sync expert was asked.
        shape: the clips' mean face, (478, 2).
        first: the clip whose pictures are shown.
    """

    weights: str
    about: str
    motion: bool
    kind: str
    rows: np.ndarray
    milliseconds: np.ndarray
    read_out: float
    maps: dict[Key, np.ndarray]
    untaught: dict[Key, list[float]]
    missing: dict[str, float]
    expert: bool
    shape: np.ndarray
    first: ClipMaps

    @staticmethod
    def of_speech(key: Key) -> bool:
        """Whether a map is of the speech window."""
        return key[2] in (TIME, COEFFICIENTS, GRID)

    def alike(self, key: Key) -> float:
        """How alike a map is to those of networks that have learnt nothing: mean rank correlation."""
        return float(np.mean(self.untaught[key])) if self.untaught[key] else float("nan")

    def verdict(self, key: Key) -> str:
        """Whether a map may be read, in words."""
        alike = self.alike(key)
        if self.empty(key):
            return "no place is more than another: nothing to see"
        if self.unread(key):
            return "DO NOT READ: the opening\ncannot be told"
        if alike > DOUBTFUL:
            return f"DO NOT READ: hardly depends\non what was learnt ({alike:.2f})"
        return f"depends on what was learnt ({alike:.2f})"

    def doubted(self, key: Key) -> bool:
        """Whether a map is not to be read."""
        return self.unread(key) or self.alike(key) > DOUBTFUL

    def empty(self, key: Key) -> bool:
        """Whether there is nothing in a map, or everywhere the same, but for rounding."""
        values = np.abs(self.maps[key][np.isfinite(self.maps[key])])
        return bool(values.sum() < NOTHING or np.ptp(values) < NOTHING * values.max())

    def unread(self, key: Key) -> bool:
        """Whether a map is of an opening that cannot be read out of the pictures."""
        return key[0] == OPENING and self.read_out < TRUSTED


def write_page(path: Path, summary: Summary) -> None:
    """Draw all maps on one page, as PNG."""
    from matplotlib.figure import Figure  # not pyplot: it would take over the notebook's own figures

    asked = [one for one in ASKED_AS if (one, OCCLUSION, TIME) in summary.maps]
    faces = [key for key in summary.maps if key[2] in (REFERENCE, TARGET)]
    faces.sort(key=lambda key: (key[2], list(ASKED_AS).index(key[0]), key[1] != OCCLUSION))
    stages = [key for key in summary.maps if key[0] == ACTIVITY]
    parts = [("words", 0.28 + 0.19 * len(_words(summary))), ("times", 3.4), ("sounds", 3.8)]
    parts += [(keys, 5.4) for keys in (faces, stages) if keys]
    figure = Figure(figsize=(WIDTH, sum(height for _, height in parts)))
    rows = figure.subfigures(len(parts), 1, height_ratios=[height for _, height in parts])
    for (what, height), row in zip(parts, rows, strict=True):
        if what == "words":
            row.text(0.02, 1 - 0.1 / height, TITLE, size=15, va="top")
            row.text(0.02, 1 - 0.48 / height, "\n".join(_words(summary)), size=9, va="top", linespacing=1.45)
        elif what == "times":
            _draw_times(row, summary, asked)
        elif what == "sounds":
            _draw_sounds(row, summary, asked)
        else:
            _draw_faces(row, summary, what)
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=100)


def _words(summary: Summary) -> list[str]:
    """What has to be known before the page is read, a line each."""
    lines = list(_said(summary))
    return [part for line in lines for part in fill(line, 190, subsequent_indent="    ").split("\n")]


def _said(summary: Summary) -> Iterator[str]:
    name = summary.weights.encode("ascii", "replace").decode()[-80:]
    yield f"Network: {name}. Looked at: {summary.about}, spread over what is said. High or bright: much hangs on it."
    yield (
        "A part taken away (occlusion): a piece of the sound is made silent, or a square of a face blurred; shown is "
        "by how much the answer then changes, either way."
    )
    if summary.missing:
        told = ", ".join(
            f"{100 * error:.0f} % for {ASKED_AS[asked]}" if np.isfinite(error) else f"not known for {ASKED_AS[asked]}"
            for asked, error in summary.missing.items()
        )
        yield (
            "Gradients (integrated gradients): the change from silence and blurred faces to what is there, shared out "
            f"among all values. The shares should add up to the change; what they miss is {told}."
        )
        yield _shares(summary)
    else:
        yield (
            "Integrated gradients are left out: captum is not here (pip install --no-deps captum). Which milliseconds "
            "of which part of the sound, and which pixels, is therefore told by pieces and squares alone."
        )
    if summary.motion:
        yield (
            "This network moves a mesh: the opening is its own. It sees no faces and makes no pictures, so there are "
            "no maps of faces, of a decoder, or of the distance of lips and sound."
        )
    else:
        bad = "" if summary.read_out >= TRUSTED else " THAT IS TOO LOW: do not read the maps of the opening."
        yield (
            "The opening is read out of the generated pictures by a weighted sum of their lower half, which goes with "
            f"what MediaPipe sees by a correlation of {summary.read_out:.2f} (1 is perfect).{bad} Squares of a face "
            "that are blurred change colours too, which the sum may take for an opening: trust its maps of faces less."
        )
        if not summary.expert:
            yield (
                "The distance of lips and sound is left out: there is no sync expert to ask that the generator was not "
                "trained to please."
            )
    draws = len(next(iter(summary.untaught.values()), []))
    yield (
        f"The check under each map: {draws} copies of the network with random weights are asked the same. The number "
        "says how alike they rank the places (1 alike, 0 not at all, below 0 the other way round); above "
        f"{DOUBTFUL} the map tells of the input, or of how such networks are built, rather than of what was learnt."
    )


def _shares(summary: Summary) -> str:
    """What speech, reference and target add to the opening."""
    first, sums = summary.first, {}
    grid = summary.maps[OPENING, GRADIENTS, GRID]
    if summary.motion:
        return "All of it comes from the sound: there is no other input."
    sums["the sound"] = float(grid.sum())
    for part, name in ((REFERENCE, "the reference face"), (TARGET, "the target's upper half")):
        sums[name] = float(np.nansum(first.pictures[OPENING, GRADIENTS, part]))
    whole = sum(sums.values()) or 1.0
    told = ", ".join(f"{100 * value / whole:.0f} % {name}" for name, value in sums.items())
    return f"Of all that moves the opening, by gradients: {told} (magnitudes, first clip's faces)."


def _check(axes, summary: Summary, key: Key, below: float, size: float = 8) -> None:
    """A map's verdict, below its axes; one that is not to be read is pale."""
    if summary.doubted(key):
        _fade(axes)
    text, colour = summary.verdict(key), NEITHER if summary.empty(key) else BAD if summary.doubted(key) else GOOD
    axes.text(0.5, below, text, transform=axes.transAxes, ha="center", va="top", size=size, color=colour)


def _fade(axes) -> None:
    for artist in [*axes.images, *axes.patches]:
        artist.set_alpha(PALE)


def _draw_times(figure, summary: Summary, asked: list[str]) -> None:
    figure.subplots_adjust(0.055, 0.25, 0.985, 0.87, wspace=0.13)
    for one, axes in zip(asked, figure.subplots(1, len(asked), squeeze=False)[0], strict=True):
        key, times = (one, OCCLUSION, TIME), summary.milliseconds
        values = summary.maps[key]
        axes.bar(times, values, width=np.diff(times).mean(), color=BARS, label="this piece silent")
        grid = summary.maps.get((one, GRADIENTS, GRID))
        if grid is not None and grid.any():
            along = grid.sum(axis=0)
            axes.plot(times, along * values.max() / along.max(), color=LINE, label="gradients (scaled)")
        axes.axvline(0, color="black", linewidth=1)
        axes.set_title(f"Which moment of the sound moves {ASKED_AS[one]}?", size=11)
        axes.set_xlabel("milliseconds from when the frame is shown (line): sound before it, and after it", size=9)
        unit = "change (1: as it usually varies)" if one == OPENING else "change of the distance (0 to 1.4)"
        axes.set_ylabel(unit, size=9)
        axes.margins(x=0)
        axes.legend(fontsize=8, loc="upper right")
        _check(axes, summary, key, -0.24)


def _draw_sounds(figure, summary: Summary, asked: list[str]) -> None:
    """Which rows of the speech window: bars by occlusion, and beside them rows and milliseconds by gradients."""
    figure.subplots_adjust(0.055, 0.26, 0.985, 0.88, wspace=0.28)
    has_grid = (asked[0], GRADIENTS, GRID) in summary.maps
    ratios = [1, 2][: 1 + has_grid] * len(asked)
    axes = figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0].reshape(len(asked), -1)
    count = len(summary.rows)
    ticks = np.arange(0, count, 1 if count < 20 else 10)
    labels = [f"{row:.0f}" for row in summary.rows[ticks]]
    for one, some in zip(asked, axes, strict=True):
        key = (one, OCCLUSION, COEFFICIENTS)
        some[0].barh(np.arange(count), summary.maps[key], height=1, color=BARS)
        some[0].set_title(f"Which {'coefficient' if summary.kind == 'mfcc' else 'frequency'}: {SHORT[one]}", size=10)
        some[0].set_xlabel("change when it is silent", size=9)
        _check(some[0], summary, key, -0.22, 7)
        if has_grid:
            key, times = (one, GRADIENTS, GRID), summary.milliseconds
            half = np.diff(times).mean() / 2
            extent = (times[0] - half, times[-1] + half, -0.5, count - 0.5)
            most = float(summary.maps[key].max())
            some[1].imshow(summary.maps[key], aspect="auto", origin="lower", cmap=HEAT, extent=extent, vmin=0)
            some[1].axvline(0, color="white", linewidth=1)
            some[1].set_title(f"Both at once, by gradients (black 0, yellow {most:.2g})", size=10)
            some[1].set_xlabel("milliseconds from the shown frame", size=9)
            _check(some[1], summary, key, -0.22)
        for each in some:
            each.set_yticks(ticks, labels, size=8)
            each.set_ylim(-0.5, count - 0.5)
    rows = "MFCC: 1 is the rough\nshape of the spectrum,\n12 its detail" if summary.kind == "mfcc" else "Hz"
    axes[0, 0].set_ylabel(rows, size=8)


def _draw_faces(figure, summary: Summary, keys: list[Key]) -> None:
    """Maps over the first clip's reference face, and below them their means over all clips on the mean face."""
    activity = keys[0][0] == ACTIVITY
    figure.subplots_adjust(0.02, 0.07, 0.98, 0.81, wspace=0.08, hspace=0.08)
    title = (
        "How active is each stage of the decoder, from coarse to fine? (mean magnitude over its channels)"
        if activity
        else "Which part of a face moves it? Reference: who is to speak. Target: the pose; only its upper half is seen."
    )
    figure.text(0.02, 0.955, title, size=11)
    shown = summary.first.id.encode("ascii", "replace").decode()[-60:]
    below = f"Above: the first clip, {shown}. Below: all clips, on their mean face. Each map has its own scale."
    figure.text(0.02, 0.925, below, size=8)
    axes = figure.subplots(2, len(keys), squeeze=False)
    for key, (upper, lower) in zip(keys, axes.T, strict=True):
        for each in (upper, lower):
            each.set_axis_off()
        values, picture = summary.maps[key], summary.first.pictures[key]
        least = float(np.nanmin(picture)) if activity else 0.0
        upper.imshow(overlay(summary.first.face, np.nan_to_num(picture - least)))
        if np.isfinite(values).sum() > 3:
            lower.imshow(heat_map(summary.shape, values - (np.nanmin(values) if activity else 0), SIDE))
        most = f"black {least:.2g}, yellow {np.nanmax(picture):.2g}"
        name = f"stage of {key[2]}" if activity else f"{key[2]}, by {BY[key[1]]}:\n{SHORT[key[0]]}"
        upper.set_title(f"{name}\n{most}", size=8)
        if summary.doubted(key):
            _fade(upper)
        _check(lower, summary, key, -0.02)


def overlay(face: np.ndarray, values: np.ndarray, most: float | None = None, side: int = SIDE) -> np.ndarray:
    """A face uint8 (S, S, 3) in grey with values (S, S) laid over it, `most` or their largest the brightest: uint8
    (side, side, 3)."""
    grey = cv2.cvtColor(cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC), cv2.COLOR_RGB2GRAY)
    scale = most or float(values.max()) or 1.0
    large = cv2.resize(values.astype(np.float32), (side, side), interpolation=cv2.INTER_NEAREST)
    level = np.clip(255 * large / scale, 0, 255).astype(np.uint8)
    heat = cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return np.rint(0.4 * grey[..., None] + 0.6 * heat).astype(np.uint8)
