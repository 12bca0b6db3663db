"""What was counted: all that the page shows, and the same in short for the terminal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lipgan_colab.errors import CONTROL, counted
from lipgan_colab.evaluation.judges.agreement import Agreement, agreement_of_choices, agreement_of_ratings
from lipgan_colab.evaluation.judges.answers import Judge, Refused, choices, ratings
from lipgan_colab.evaluation.judges.attention import Attention
from lipgan_colab.evaluation.judges.crossed import in_cells, share_of
from lipgan_colab.evaluation.judges.key import PAIRS, SIDES, Key
from lipgan_colab.evaluation.judges.measures_agree import MeasureAgrees, best
from lipgan_colab.evaluation.judges.more_answers import more_for_difference, more_for_preference
from lipgan_colab.evaluation.judges.opinion import Opinion, OpinionDifference, opinion_differences, opinions
from lipgan_colab.evaluation.judges.preference import Preference, Strength, preferences, strengths

LONGEST = 22  # letters of a system's name in a table
PAGE, DATA = "counted.html", "counted.csv"
BEST = 3  # measures that the terminal names
Comparison = Preference | OpinionDifference


@dataclass(frozen=True)
class Findings:
    """What some judges say.

    Attributes:
        judges, answers: how many, checks not counted.
        preferences: of pairs; empty on a scale.
        strengths: of pairs of more than two systems, else empty.
        opinions, differences: on a scale; empty of pairs.
        agreement: by question.
    """

    judges: int
    answers: int
    preferences: list[Preference]
    strengths: list[Strength]
    opinions: list[Opinion]
    differences: list[OpinionDifference]
    agreement: list[Agreement]

    @property
    def comparisons(self) -> Sequence[Comparison]:
        """Each two systems by each question."""
        return self.preferences or self.differences


@dataclass(frozen=True)
class SideBias:
    """How often the left film was chosen: of `answers`, with its 95 % interval (nan as of `crossed.Share`)."""

    share: float
    low: float
    high: float
    answers: int

    @property
    def told(self) -> bool:
        """Whether one side was preferred, whatever it showed."""
        return self.low > 0.5 or self.high < 0.5


@dataclass(frozen=True)
class Counted:
    """A study's answers, counted. In the folder lie counted.html, the page, and counted.csv, a line for each answer.

    Attributes:
        folder: where they lie.
        key: the study.
        judges: whose answers could be read, in the order of their numbers, which begin with 1.
        attention: of each of them, how they did in the checks.
        checked: whether the study has checks.
        refused: files that are not counted.
        passed: what those say who passed the checks.
        everybody: what all say, those who failed as well.
        side: None on a scale, or without answers.
        measures: how well measures go with those who passed; empty where they are not known, then `no_measures` says
            why.
        more: what cannot be told yet and what it would take, of `more_of`.
        another_judge: by question, how well another judge goes with a judge, as measures are put; without the truth.
    """

    folder: Path
    key: Key
    judges: list[Judge]
    attention: list[Attention]
    checked: bool
    refused: list[Refused]
    passed: Findings
    everybody: Findings
    side: SideBias | None
    measures: list[MeasureAgrees]
    no_measures: str
    more: list[str]
    another_judge: dict[str, float]

    def __str__(self) -> str:
        parts = [_heading(self), comparison_lines(self), _agreement_lines(self), _measure_lines(self), _not_told(self)]
        return "\n".join(
            [
                "\n\n".join("\n".join(lines) for lines in parts if lines),
                f"page: {self.folder / PAGE}; all answers: {self.folder / DATA}",
            ]
        )


def findings(judges: Sequence[Judge], key: Key) -> Findings:
    """What some judges of a study say."""
    if key.method == PAIRS:
        chosen = choices(judges, key)
        several = strengths(chosen, key.systems, key.questions) if len(key.systems) > 2 else []
        pairs = preferences(chosen, key.systems, key.questions)
        agree = agreement_of_choices(chosen, key.questions)
        return Findings(len(judges), len(chosen), pairs, several, [], [], agree)
    given = ratings(judges, key)
    means = opinions(given, key.systems, key.questions)
    differences = opinion_differences(given, key.systems, key.questions)
    agree = agreement_of_ratings([one for one in given if not one.anchor], key.questions)
    return Findings(len(judges), sum(not one.anchor for one in given), [], [], means, differences, agree)


def side_bias(judges: Sequence[Judge], key: Key) -> SideBias | None:
    """How often left was chosen where both sides show a system; sides are drawn by chance."""
    chosen = choices(judges, key) if key.method == PAIRS else []
    if not chosen:
        return None
    left = [one.side == SIDES[0] for one in chosen]
    found = share_of(*in_cells([one.judge for one in chosen], [one.clip for one in chosen], left))
    return SideBias(float(found.share), float(found.low), float(found.high), len(chosen))


def more_of(found: Findings) -> list[str]:
    """What cannot be told yet, and what it would take; a sentence without its end for each."""
    several, by_why = len(found.comparisons), {}
    for one in found.comparisons:
        if not one.told:
            more = more_for_preference if isinstance(one, Preference) else more_for_difference
            by_why.setdefault(more(one, several).why, []).append(one)
    return [f"{_named(some)}: {why}" for why, some in by_why.items()]


def _named(some: Sequence[Comparison]) -> str:
    """Comparisons by their questions and systems."""
    by_question: dict[str, list[str]] = {}
    for one in some:
        by_question.setdefault(one.question, []).append(f"{short(one.first)} or {short(one.second)}")
    return "; ".join(f"{question}, {', '.join(pairs)}" for question, pairs in by_question.items())


def short(name: str) -> str:
    """A system's name on one line, and not too long."""
    text = CONTROL.sub(" ", name).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= LONGEST else text[: LONGEST - 2] + ".."


def percent(share: float) -> str:
    """ "68 %"; "-" where it is not known."""
    return f"{100 * share:.0f} %" if math.isfinite(share) else "-"


def between(low: float, high: float) -> str:
    """An interval of shares: "59 to 76 %"; "not known" where it is not."""
    return f"{100 * low:.0f} to {100 * high:.0f} %" if math.isfinite(low + high) else "not known"


def points(low: float, high: float) -> str:
    """An interval of points."""
    return f"{low:+.2f} to {high:+.2f}" if math.isfinite(low + high) else "not known"


def value(found: Comparison) -> str:
    """A comparison's number: the first one's share, or by how much more points it has."""
    if isinstance(found, Preference):
        return percent(found.share)
    return f"{found.difference:+.2f}" if math.isfinite(found.difference) else "-"


def reaches(found: Comparison) -> str:
    """A comparison's interval."""
    return between(found.low, found.high) if isinstance(found, Preference) else points(found.low, found.high)


def conclusion(found: Comparison) -> str:
    """The verdict with who it is for."""
    return f"{short(found.favourite)} {found.verdict}" if found.told else found.verdict


def share_sentence(found: Preference) -> str:
    """What was answered to a pair, in a sentence without its end."""
    if not found.answers:
        return "nobody was asked"
    one = found.favourite or found.first
    turned = one != found.first
    share, low, high = (
        (1 - found.share, 1 - found.high, 1 - found.low) if turned else (found.share, found.low, found.high)
    )
    said = f"{short(one)} was chosen in {percent(share)} of {counted(found.answers, 'answer')}"
    if math.isfinite(found.low):
        return f"{said}; for other people and clips it is probably {between(low, high)}"
    return f"{said}, of one {'judge' if found.judges < 2 else 'clip'} alone"


def difference_sentence(found: OpinionDifference) -> str:
    """What was answered on the scale of two systems, in a sentence without its end."""
    if not math.isfinite(found.difference):
        return "one of them was not rated"
    size, more = abs(found.difference), found.favourite
    said = f"{short(more)} has {size:.2f} points more" if more else "both have as many points"
    if math.isfinite(found.low):
        low, high = sorted((found.low, found.high)) if found.difference >= 0 else sorted((-found.low, -found.high))
        return f"{said}; for other people and clips it is probably {points(low, high)}"
    return f"{said}, by one {'judge' if found.judges < 2 else 'clip'} alone"


def sentence(found: Comparison) -> str:
    """What was answered of two systems."""
    return share_sentence(found) if isinstance(found, Preference) else difference_sentence(found)


def people(found: Counted) -> str:
    """How many judges there are, in a sentence without its end."""
    count = counted(len(found.judges), "judge")
    if not found.checked:
        return f"{count}; the study has no checks, so nobody knows who looked"
    failed = len(found.judges) - found.passed.judges
    return f"{count}, of whom {found.passed.judges} passed the checks and {failed} did not"


def _heading(found: Counted) -> list[str]:
    lines = [f"{CONTROL.sub(' ', found.key.title)}: {people(found)}"]
    lines += [
        f"  judge {number}: {one.right} of {one.asked} answers to checks right, {one.needed} are needed; not counted"
        for number, one in enumerate(found.attention, 1)
        if not one.passed
    ]
    if found.refused:
        lines.append(f"{counted(len(found.refused), 'file')} refused:")
        lines += [f"  {CONTROL.sub(' ', one.path.name)}: {one.why}" for one in found.refused]
    return lines


def comparison_lines(found: Counted) -> list[str]:
    """A table of all comparisons, with and without those who failed the checks."""
    own, everybody = found.passed.comparisons, found.everybody.comparisons
    if not own:
        return ["There is only one system: nothing to compare."]
    what = "chose the first" if found.key.method == PAIRS else "points more"
    rows = [("question", "first", "second", what, "95 % interval", "answers", "verdict", "with those who failed")]
    for one, of_all in zip(own, everybody, strict=True):
        count = one.answers if isinstance(one, Preference) else one.ratings
        names = (one.question, short(one.first), short(one.second))
        rows.append(
            (*names, value(one), reaches(one), str(count), conclusion(one), f"{value(of_all)} ({reaches(of_all)})")
        )
    if found.passed.judges == len(found.judges):
        rows = [row[:-1] for row in rows]
    return _aligned(rows) + ([by_chance(len(own))] if any(map(leans, own)) else [])


def leans(found: Comparison) -> bool:
    """Whether a difference would be told if it were the only comparison, and is not among so many."""
    middle = 0.5 if isinstance(found, Preference) else 0
    return not found.told and math.isfinite(found.low) and not found.low <= middle <= found.high


def by_chance(comparisons: int) -> str:
    """Why an interval that leaves out the middle may tell nothing."""
    return (
        "(An interval that leaves out no difference, and cannot tell yet: alone it would be told; among "
        f"{counted(comparisons, 'comparison')} it may be chance, after Holm 1979.)"
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def agreement_sentence(found: Agreement) -> str:
    """How much judges agree, in a sentence without its end."""
    if found.why:
        return f"whether judges agree is not known: {found.why}"
    sure = f" ({found.low:.2f} to {found.high:.2f})" if math.isfinite(found.low) else ""
    several = {"pair of films": "pairs of films"}.get(found.unit, "")
    return (
        f"asked about the same films, two judges gave the same answer in {percent(found.same)} of cases "
        f"({counted(found.units, found.unit, several)} that two or more judged); Krippendorff's alpha "
        f"{found.alpha:.2f}{sure}, where 1 is always the same and 0 as by chance"
    )


def _agreement_lines(found: Counted) -> list[str]:
    return [f"{one.question}: {agreement_sentence(one)}" for one in found.passed.agreement]


def measure_value(found: MeasureAgrees, method: str) -> str:
    """How well a measure goes with people, with its interval."""
    if method == PAIRS:
        sure = f" ({between(found.low, found.high)})" if math.isfinite(found.low) else ""
        return f"{percent(found.agrees)}{sure}"
    sure = f" ({points(found.low, found.high)})" if math.isfinite(found.low) else ""
    return f"{found.agrees:+.2f}{sure}"


def _measure_lines(found: Counted) -> list[str]:
    if not found.measures:
        return [f"measures: {found.no_measures}"]
    lines = []
    for question in found.key.questions:
        some = [f"{one.measure} {measure_value(one, found.key.method)}" for one in best(found.measures, question)]
        said = "; ".join(some[:BEST]) or "without the truth there is nothing to compare them by"
        beside = found.another_judge.get(question, float("nan"))
        judge = percent(beside) if found.key.method == PAIRS else f"{beside:+.2f}"
        other = f"; another judge: {judge}" if math.isfinite(beside) and some else ""
        lines.append(f"{question}: measures that say most often what people say: {said}{other}")
    return lines


def _not_told(found: Counted) -> list[str]:
    lines = ["What cannot be told yet:", *(f"  {line}" for line in found.more)] if found.more else []
    if found.side is not None and found.side.told:
        lines.append(side_sentence(found.side))
    return lines


def side_sentence(side: SideBias) -> str:
    """That one side was chosen more often."""
    said = f"left was chosen in {percent(side.share)} of {counted(side.answers, 'answer')}"
    return (
        f"{said} ({between(side.low, side.high)}), whatever it showed; sides are drawn by chance, so this favours "
        "nobody, but it hides small differences"
    )
