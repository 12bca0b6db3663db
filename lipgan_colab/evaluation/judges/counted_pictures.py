"""The pictures of a counted study, each as a PNG for a light page or a dark one. They are narrow, for telephones."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lipgan_colab.evaluation.judges.attention import Attention
from lipgan_colab.evaluation.judges.counted import percent, short
from lipgan_colab.evaluation.judges.key import POINTS
from lipgan_colab.evaluation.judges.measures_agree import MeasureAgrees
from lipgan_colab.evaluation.judges.opinion import Opinion, OpinionDifference
from lipgan_colab.evaluation.judges.preference import Preference, Strength

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, DPI = 3.8, 200  # inches; letters are still read where the page is 360 pixels wide
LETTERS, SMALL = 9, 8  # points
LINE = 36  # letters of a title's line: it stands above the rows, beside their names
ROW, TALL_ROW = 0.27, 0.4  # inches; with a name of one line, and of two
FRAME = 1.05  # inches of what is above and below the rows of a panel
MOST_ROWS = 60  # of a panel: more are not drawn, and the table has them
TOLD = ("#0072B2", "#56B4E9")  # on a light page and on a dark one (Okabe and Ito's colours)
FAILED = ("#D55E00", "#E69F00")
OPEN = ("#777777", "#999999")  # what cannot be told
INK, GROUND, LINES = ("#1b1b1b", "#e8e8e8"), ("#ffffff", "#16181c"), ("#dddddd", "#3a3d44")


class _Sheet:
    """Panels below one another, each with a row for each of its things.

    Attributes:
        panels: axes, in the order of the titles.
    """

    def __init__(self, dark: bool, titles: Sequence[str], rows: Sequence[int], row: float = ROW):
        from matplotlib.figure import Figure

        self.dark = dark
        heights = [FRAME + row * count for count in rows]
        self._figure: Figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained", facecolor=self.of(GROUND))
        self._figure.get_layout_engine().set(h_pad=0.1)
        self.panels: list[Axes] = list(self._figure.subplots(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0])
        for panel, title, count in zip(self.panels, titles, rows, strict=True):
            panel.set_facecolor(self.of(GROUND))
            panel.set_ylim(count - 0.4, -0.6)
            panel.tick_params(colors=self.of(INK), labelsize=SMALL)
            panel.tick_params(axis="y", length=0)
            panel.spines[["top", "right", "left"]].set_visible(False)
            panel.spines["bottom"].set_color(self.of(INK))
            panel.grid(axis="y", color=self.of(LINES), linewidth=0.6)
            panel.set_axisbelow(True)
            self.write(panel.set_title, textwrap.fill(title, LINE), LETTERS)

    def of(self, colours: tuple[str, str]) -> str:
        """The colour for this page."""
        return colours[self.dark]

    def write(self, where: Callable, text: str, size: int = SMALL) -> None:
        """Put a text where a panel's setter puts it; names are no formulas."""
        where(text, fontsize=size, color=self.of(INK), parse_math=False)

    def names(self, panel: Axes, names: Sequence[str]) -> None:
        """A name before each row."""
        panel.set_yticks(range(len(names)), names, fontsize=LETTERS)
        for label in panel.get_yticklabels():
            label.set_parse_math(False)

    def line(self, panel: Axes, place: float) -> None:
        """A line from top to bottom, with which rows are compared."""
        panel.axvline(place, color=self.of(INK), linewidth=0.9)

    def dot(self, panel: Axes, row: int, middle: float, low: float, high: float, told: bool) -> None:
        """A value with its interval; hollow where nothing is told."""
        colour = self.of(TOLD if told else OPEN)
        if math.isfinite(low + high):
            panel.plot([low, high], [row, row], color=colour, linewidth=2.4, solid_capstyle="butt")
        if math.isfinite(middle):
            inside = colour if told else self.of(GROUND)
            panel.plot(middle, row, "o", color=colour, markerfacecolor=inside, markersize=7, markeredgewidth=1.6)

    def png(self) -> bytes:
        """The sheet, drawn."""
        coded = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # names in a script that the font lacks
            self._figure.savefig(coded, format="png", dpi=DPI)
        return coded.getvalue()


def _by_question(found: Sequence) -> dict[str, list]:
    """What is drawn, by its question."""
    return {
        question: [one for one in found if one.question == question][:MOST_ROWS]
        for question in dict.fromkeys(one.question for one in found)
    }


def _dotted(
    found: dict[str, list],
    titles: dict[str, str],
    dark: bool,
    row: float,
    line: float | None,
    dot: Callable[[Any], tuple[float, float, float, bool]],
    name: Callable[[Any], str],
) -> tuple[_Sheet, list[tuple[Axes, str, list]]]:
    """A sheet with a panel for each question, and in it a row for each thing; and the panels with what is in them.

    Args:
        found: the things, by question.
        titles: of the questions.
        dark: for which page.
        row: its height in inches.
        line: with what values are compared; None draws none.
        dot: a thing's value, the ends of its interval, and whether something is told by it.
        name: what stands before its row.
    """
    sheet = _Sheet(dark, [titles[question] for question in found], [len(rows) for rows in found.values()], row)
    panels = [(panel, *of) for panel, of in zip(sheet.panels, found.items(), strict=True)]
    for panel, _, rows in panels:
        if line is not None:
            sheet.line(panel, line)
        for place, one in enumerate(rows):
            sheet.dot(panel, place, *dot(one))
        sheet.names(panel, [name(one) for one in rows])
    return sheet, panels


def _shares(panel: Axes, middle: str = "half") -> None:
    """An axis of shares in percent."""
    panel.set_xlim(-2, 102)
    panel.set_xticks([0, 25, 50, 75, 100], ["0 %", "25 %", middle, "75 %", "100 %"])


def preference_picture(found: Sequence[Preference], titles: dict[str, str], dark: bool) -> bytes:
    """How often the first of two systems was chosen.

    Args:
        found: at least one.
        titles: of the questions.
        dark: for which page.
    """

    def dot(one: Preference) -> tuple[float, float, float, bool]:
        return 100 * one.share, 100 * one.low, 100 * one.high, one.told

    def name(one: Preference) -> str:
        return f"{short(one.first)}\nor {short(one.second)}"

    sheet, panels = _dotted(_by_question(found), titles, dark, TALL_ROW, 50, dot, name)
    for panel, _, rows in panels:
        _shares(panel)
        right = f"{short(rows[0].first)} chosen" if len(rows) == 1 else "the upper name chosen"
        sheet.write(panel.set_xlabel, f"{right}, part of the answers")
    return sheet.png()


def strength_picture(found: Sequence[Strength], titles: dict[str, str], dark: bool) -> bytes:
    """How often each system would be chosen against an average one. Arguments as of `preference_picture`."""

    def dot(one: Strength) -> tuple[float, float, float, bool]:
        return 100 * one.share, 100 * one.low, 100 * one.high, one.low > 0.5 or one.high < 0.5

    sheet, panels = _dotted(_by_question(found), titles, dark, ROW, 50, dot, lambda one: short(one.system))
    for panel, _, _ in panels:
        _shares(panel)
        sheet.write(panel.set_xlabel, "chosen against an average system")
    return sheet.png()


def opinion_picture(found: Sequence[Opinion], titles: dict[str, str], dark: bool) -> bytes:
    """Mean points. Arguments as of `preference_picture`."""

    def dot(one: Opinion) -> tuple[float, float, float, bool]:
        return one.mean, one.low, one.high, not one.anchor

    def name(one: Opinion) -> str:
        return short(one.system) + (" (beside\nthe checks)" if one.anchor else "")

    sheet, panels = _dotted(_by_question(found), titles, dark, TALL_ROW, None, dot, name)
    for panel, _, _ in panels:
        panel.set_xlim(POINTS[0] - 0.1, POINTS[-1] + 0.1)
        panel.set_xticks(POINTS, [f"{POINTS[0]}\nbad", *map(str, POINTS[1:-1]), f"{POINTS[-1]}\nexcellent"])
        sheet.write(panel.set_xlabel, "mean points")
    return sheet.png()


def difference_picture(found: Sequence[OpinionDifference], titles: dict[str, str], dark: bool) -> bytes:
    """By how many points two systems differ. Arguments as of `preference_picture`."""

    def dot(one: OpinionDifference) -> tuple[float, float, float, bool]:
        return one.difference, one.low, one.high, one.told

    def name(one: OpinionDifference) -> str:
        return f"{short(one.first)}\nagainst {short(one.second)}"

    sheet, panels = _dotted(_by_question(found), titles, dark, TALL_ROW, 0, dot, name)
    for panel, _, _ in panels:
        panel.locator_params(axis="x", nbins=5)
        sheet.write(panel.set_xlabel, "points more (right) or fewer (left) than the other")
    return sheet.png()


def judges_picture(answered: Sequence[int], attention: Sequence[Attention], dark: bool) -> bytes:
    """How much each judge answered, and how the checks went.

    Args:
        answered: answers of each judge.
        attention: of each judge.
        dark: for which page.
    """
    count = min(len(answered), MOST_ROWS)
    more = f", the first {count}" if count < len(answered) else ""
    sheet = _Sheet(dark, [f"Answers by judge{more}"], [count])
    (panel,) = sheet.panels
    most = max(answered)
    panel.grid(False)
    for row, (number, one) in enumerate(zip(answered[:count], attention, strict=False)):
        panel.barh(row, number, height=0.62, color=sheet.of(TOLD if one.passed else FAILED))
        said = f"checks {one.right}/{one.asked}" if one.asked else "no checks"
        panel.text(
            most * 1.03,
            row,
            said if one.passed else f"{said}, failed",
            va="center",
            fontsize=SMALL,
            color=sheet.of(INK),
        )
    sheet.names(panel, [f"judge {number}" for number in range(1, count + 1)])
    panel.set_xlim(0, most * 1.45)
    panel.set_xticks([0, most])
    sheet.write(panel.set_xlabel, f"answers; the most by one judge are {most}")
    return sheet.png()


def measures_picture(
    found: dict[str, list[MeasureAgrees]], beside: dict[str, float], titles: dict[str, str], pairs: bool, dark: bool
) -> bytes:
    """How well each measure goes with people, the best first.

    Args:
        found: by question, without the truth; at least one question with one measure.
        beside: by question, how well another judge does; nan where it is not known.
        titles: of the questions.
        pairs: whether shares of answers are shown, and not correlations.
        dark: for which page.
    """
    found = {question: rows[:MOST_ROWS] for question, rows in found.items() if rows}
    scale, middle = (100, 0.5) if pairs else (1, 0)

    def dot(one: MeasureAgrees) -> tuple[float, float, float, bool]:
        return scale * one.agrees, scale * one.low, scale * one.high, one.low > middle

    sheet, panels = _dotted(found, titles, dark, ROW, scale * middle, dot, lambda one: short(one.measure))
    for panel, question, _ in panels:
        judge = beside.get(question, float("nan"))
        if math.isfinite(judge):
            panel.axvline(scale * judge, color=sheet.of(FAILED), linewidth=1.6, linestyle=(0, (4, 2)))
        said = "says what people say, part of the answers" if pairs else "rank correlation with people's points"
        dashes = (
            f"\ndashes: another judge ({percent(judge) if pairs else f'{judge:+.2f}'})" if math.isfinite(judge) else ""
        )
        if pairs:
            _shares(panel, "chance")
        else:
            panel.set_xlim(-1.03, 1.03)
            panel.set_xticks([-1, -0.5, 0, 0.5, 1])
        sheet.write(panel.set_xlabel, said + dashes)
    return sheet.png()
