"""The page of a counted study, for whoever has not read the code: one file, its pictures within."""

import base64
import html
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lipgan_colab.errors import CONTROL, counted
from lipgan_colab.evaluation.judges import counted_pictures as pictures
from lipgan_colab.evaluation.judges.attention import BY_COIN
from lipgan_colab.evaluation.judges.counted import (
    Comparison,
    Counted,
    agreement_sentence,
    between,
    conclusion,
    leans,
    measure_value,
    people,
    percent,
    reaches,
    sentence,
    short,
    side_sentence,
    value,
)
from lipgan_colab.evaluation.judges.key import PAIRS
from lipgan_colab.evaluation.judges.measures_agree import best
from lipgan_colab.evaluation.judges.preference import Preference
from lipgan_colab.evaluation.judges.words import read_words
from lipgan_colab.evaluation.measures import MEASURES
from lipgan_colab.files import written_whole

WORDY = ("first", "second", "system")  # columns whose cells may be long
STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --ground: #ffffff; --faint: #5c5c5c; --line: #dddddd; --told: #0b5f94;
  --box: #f3f6f9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --ground: #16181c; --faint: #a7abb3; --line: #3a3d44;
  --told: #7cc4f0; --box: #1f232a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 46rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p, ul { margin: .5rem 0; } ul { padding-left: 1.2rem; } li { margin: .3rem 0; }
.short { background: var(--box); border-left: 4px solid var(--told); padding: .6rem 1rem; }
.told { color: var(--told); font-weight: 600; } .faint { color: var(--faint); font-size: .9rem; }
img { display: block; width: 100%; max-width: 35rem; height: auto; margin: .8rem 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; overflow-wrap: normal; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { min-width: 5rem; } td { white-space: nowrap; } .number { text-align: right; }
td.words { white-space: normal; min-width: 6rem; max-width: 16rem; overflow-wrap: anywhere; }
"""


def write_page(path: Path, found: Counted) -> None:
    """counted.html.

    Args:
        path: where.
        found: what it shows.

    Raises:
        NotWritten: it cannot be written.
    """
    title = text(found.key.title) or "A study of judges"
    parts = [
        _in_short(found),
        _comparisons(found),
        _strengths(found),
        _opinions(found),
        _judges(found),
        _agreement(found),
        _measures(found),
        _not_told(found),
        _how(found),
    ]
    body = "\n".join(part for part in parts if part)
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )
    with written_whole(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="backslashreplace")


def text(words: object) -> str:
    """Text of which HTML takes nothing for its own; one line."""
    return html.escape(CONTROL.sub(" ", str(words)).strip())


def _paragraph(words: str, kind: str = "") -> str:
    return f'<p class="{kind}">{text(words)}</p>' if kind else f"<p>{text(words)}</p>"


def _list(lines: Iterable[str]) -> str:
    """Args: lines of HTML."""
    return "<ul>\n" + "\n".join(f"<li>{line}</li>" for line in lines) + "\n</ul>"


def _table(titles: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[str] = ()) -> str:
    """Args: `numbers`, which columns' cells stand on the right."""
    kinds = [' class="number"' if title in numbers else ' class="words"' if title in WORDY else "" for title in titles]
    lines = ["<tr>" + "".join(f"<th{k}>{text(t)}</th>" for k, t in zip(kinds, titles, strict=True)) + "</tr>"]
    for row in rows:
        lines.append("<tr>" + "".join(f"<td{k}>{text(c)}</td>" for k, c in zip(kinds, row, strict=True)) + "</tr>")
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _picture(draw: Callable[[bool], bytes], alt: str) -> str:
    """A picture for the light page and one for the dark."""
    light, dark = ("data:image/png;base64," + base64.b64encode(draw(which)).decode() for which in (False, True))
    source = f'<source srcset="{dark}" media="(prefers-color-scheme: dark)">'
    return f'<picture>{source}<img src="{light}" alt="{text(alt)}"></picture>'


def _section(title: str, *parts: str) -> str:
    return "\n".join([f"<h2>{text(title)}</h2>", *(part for part in parts if part)])


def _asked(found: Counted) -> dict[str, str]:
    """What the questions ask, in the words of the judges' page."""
    words = read_words()[found.key.method]
    return {question: words[question] for question in found.key.questions}


def _said(one: Comparison) -> str:
    """A comparison's verdict and what it is of, as HTML."""
    pair = f"{short(one.first)} or {short(one.second)}"
    verdict = f'<span class="told">{text(conclusion(one))}</span>' if one.told else text(conclusion(one))
    return f"{text(pair)}: {verdict}. {text(sentence(one))}."


def _in_short(found: Counted) -> str:
    lines = []
    for question, asked in _asked(found).items():
        own = [one for one in found.passed.comparisons if one.question == question]
        if own:
            lines += [f"<h3>{text(asked)}</h3>", _list(_said(one) for one in own)]
    if not lines:
        lines = [_paragraph("There is only one system: nothing to compare.")]
    if not found.passed.judges:
        lines.append(_paragraph("Nobody passed the checks, so nothing is told. What all said is in the table below."))
    return f'<div class="short">{_paragraph(f"{people(found)}.")}\n' + "\n".join(lines) + "\n</div>"


def _comparisons(found: Counted) -> str:
    own, everybody = found.passed.comparisons, found.everybody.comparisons
    if not own:
        return ""
    pairs = found.key.method == PAIRS
    titles = _asked(found)
    shown = [one for one in (own if found.passed.judges else everybody) if math.isfinite(_middle(one))]
    draw = pictures.preference_picture if pairs else pictures.difference_picture
    alt = "For each two systems a dot with its interval; the table has the numbers"
    picture = _picture(lambda dark: draw(shown, titles, dark), alt) if shown else ""
    what = "chose the first" if pairs else "points more for the first"
    columns = ["question", "first", "second", what, "95 % interval", "answers", "verdict"]
    rows = [
        [one.question, one.first, one.second, value(one), reaches(one), _count(one), conclusion(one)] for one in own
    ]
    if found.passed.judges < len(found.judges):
        columns.append("with those who failed the checks")
        rows = [[*row, f"{value(one)} ({reaches(one)})"] for row, one in zip(rows, everybody, strict=True)]
    if pairs:
        columns.insert(6, "if answers were independent")
        for row, one in zip(rows, own, strict=True):
            row.insert(6, between(one.exact_low, one.exact_high))
    meaning = (
        "The dot is what these judges said of these clips. The bar is the 95 % interval: where other people, on other "
        "clips, would probably be. Filled and blue: told. Hollow and grey: cannot tell yet; the difference may still "
        "be as large as the bar reaches."
    )
    if any(map(leans, own)):
        meaning += (
            " A hollow one whose bar leaves out the line would be told if it were the only comparison; among so many "
            "it may well be chance."
        )
    title = "Who is preferred" if pairs else "By how much systems differ"
    return _section(title, picture, _paragraph(meaning, "faint"), _table(columns, rows, (what, "answers")))


def _middle(one: Comparison) -> float:
    return one.share if isinstance(one, Preference) else one.difference


def _count(one: Comparison) -> int:
    return one.answers if isinstance(one, Preference) else one.ratings


def _strengths(found: Counted) -> str:
    shown = [one for one in found.passed.strengths if math.isfinite(one.share)]
    if not shown:
        return ""
    titles = _asked(found)
    alt = "For each system, how often it would be chosen against an average one; the table has the numbers"
    columns = ("question", "system", "against an average one", "95 % interval", "chosen", "answers")
    rows = [
        (o.question, o.system, percent(o.share), between(o.low, o.high), o.wins, o.answers)
        for o in found.passed.strengths
    ]
    apart = [
        f"{one.question}: no answers link {short(one.system)} with {', '.join(map(short, others))}, so they cannot be "
        "compared."
        for one in found.passed.strengths
        if (others := [system for system in found.key.systems if system not in one.among])
    ]
    meaning = (
        "All pairs together (the model of Bradley and Terry): how often each system would be chosen against an average "
        "one of these. A filled dot: the bar leaves out one half. Whether two systems differ is told by their pair."
    )
    return _section(
        "All systems together",
        _picture(lambda dark: pictures.strength_picture(shown, titles, dark), alt),
        _paragraph(meaning, "faint"),
        _table(columns, rows, ("against an average one", "chosen", "answers")),
        _list(map(text, apart)) if apart else "",
    )


def _opinions(found: Counted) -> str:
    shown = [one for one in found.passed.opinions if math.isfinite(one.mean)]
    if not shown:
        return ""
    titles = _asked(found)
    columns = ("question", "system", "mean", "95 % interval", "ratings", "judges", "clips")
    rows = [
        (
            one.question,
            one.system + (" (beside the checks)" if one.anchor else ""),
            f"{one.mean:.2f}",
            f"{one.low:.2f} to {one.high:.2f}" if math.isfinite(one.low) else "not known",
            one.ratings,
            one.judges,
            one.clips,
        )
        for one in shown
    ]
    alt = "For each system the mean points with their interval; the table has the numbers"
    meaning = (
        "Mean opinion scores, from 1 (bad) to 5 (excellent). The bar is the 95 % interval, for other people and clips."
    )
    beside = "" if not any(one.anchor for one in shown) else " The truth beside the checks is of other clips."
    return _section(
        "How many points",
        _picture(lambda dark: pictures.opinion_picture(shown, titles, dark), alt),
        _paragraph(meaning + beside, "faint"),
        _table(columns, rows, columns[4:]),
    )


def _judges(found: Counted) -> str:
    answered = [len(judge.answers) for judge in found.judges]
    parts = [_paragraph(f"{people(found)}.")]
    if found.checked:
        parts.append(
            _paragraph(
                "A check is a film that is clearly worse: 8 frames late, or still. Who passes has so many right "
                f"that a coin has them at most {100 * BY_COIN:.0f} times in 100 (where there are "
                "enough checks for that). Who does not pass is not counted."
            )
        )
    alt = "For each judge a bar as long as their answers are many, and how the checks went"
    parts.append(_picture(lambda dark: pictures.judges_picture(answered, found.attention, dark), alt))
    if found.refused:
        parts.append(f"<h3>{text(counted(len(found.refused), 'file'))} refused</h3>")
        parts.append(_list(f"{text(one.path.name)}: {text(one.why)}" for one in found.refused))
    return _section("Who answered", *parts)


def _agreement(found: Counted) -> str:
    asked = _asked(found)
    lines = [
        f"{text(asked[one.question])} {text(_first_up(agreement_sentence(one)))}." for one in found.passed.agreement
    ]
    meaning = (
        "Alpha is low where nearly everybody prefers the same system everywhere: it asks whether judges agree on which "
        "clips are the exceptions. Few agree on films that are nearly alike."
    )
    return _section("Do judges agree?", _list(lines), _paragraph(meaning, "faint"))


def _measures(found: Counted) -> str:
    title = "Do measures say what people say?"
    if not found.measures:
        return _section(title, _paragraph(f"Not known: {found.no_measures}."))
    pairs, titles = found.key.method == PAIRS, _asked(found)
    ranked = {question: best(found.measures, question) for question in found.key.questions}
    alt = "For each measure how well it goes with people; the table has the numbers"

    def draw(dark: bool) -> bytes:
        return pictures.measures_picture(ranked, found.another_judge, titles, pairs, dark)

    with_truth = {(one.question, one.measure): one for one in found.measures if one.with_truth}
    what = "says the same" if pairs else "correlation"
    columns = ("question", "measure", what, "of", "left out", "with the truth")
    rows = [
        (
            one.question,
            one.measure,
            measure_value(one, found.key.method),
            one.answers,
            one.left_out,
            measure_value(with_truth[one.question, one.measure], found.key.method),
        )
        for own in ranked.values()
        for one in own
    ]
    meaning = (
        "A measure says the same if it is better for the film that was chosen: a coin does so in half of the answers. "
        "Left out are answers where it is not known, or the same for both films. "
        if pairs
        else "How well the order of the films by a measure goes with their order by mean points (rank correlation): 1 "
        "the same order, 0 nothing in common. "
    ) + (
        "The bar is the 95 % interval for other clips. The dashed line is another judge: a measure that reaches it is "
        "worth one more judge. The truth itself is left out, since most measures prefer it by definition; the column "
        "with the truth is for comparison."
    )
    return _section(
        title,
        _picture(draw, alt) if rows else _paragraph("Without the truth there is nothing to compare them by."),
        _paragraph(meaning, "faint"),
        _table(columns, rows, ("of", "left out")) if rows else "",
        _list(f"{text(name)}: {text(MEASURES.get(name, name))}" for name in dict.fromkeys(row[1] for row in rows)),
    )


def _not_told(found: Counted) -> str:
    lines = [f"{text(line)}." for line in found.more]
    if found.side is not None and found.side.told:
        lines.append(f"{text(_first_up(side_sentence(found.side)))}.")
    if not lines:
        return _section("What cannot be told yet", _paragraph("Every comparison is told."))
    meaning = (
        "How many more answers is reckoned as if the preference, and the differences of people and clips, were just "
        "what was seen. They are not known so well: take it as a rough number."
    )
    return _section("What cannot be told yet", _list(lines), _paragraph(meaning, "faint"))


def _first_up(words: str) -> str:
    return words[:1].upper() + words[1:]


def _how(found: Counted) -> str:
    several = len(found.passed.comparisons)
    lines = [
        "Judges and clips are both taken as drawn by chance, since an answer is meant for others of both. "
        "Intervals that take every answer as independent are too narrow: in simulations where people and clips differ "
        "they held in 55 to 90 of 100 studies instead of 95.",
        f"A preference is told if it is so after the correction for all {counted(several, 'comparison')} of this study "
        "(Holm 1979): the chance that any of them is false is about 5 % at most.",
        "The people who answered were not drawn from all people, and the clips not from all clips. Of others "
        "these numbers say less.",
        "Every answer is in counted.csv, by judge number. No names are in it or here.",
    ]
    return _section("How this was reckoned", _list(map(text, lines)))
