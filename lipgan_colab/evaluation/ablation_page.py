"""The page of a study (ablation.md): what was asked, what can be told and what cannot; pictures and numbers beside."""

import html
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lipgan_colab.errors import CONTROL, counted
from lipgan_colab.evaluation import ablation_pictures as pictures
from lipgan_colab.evaluation.arm_results import ArmRun, Score, write_results
from lipgan_colab.evaluation.comparison import CANNOT_TELL, GOOD, Difference, compare, leaning, mean, verdict
from lipgan_colab.evaluation.measures import MEASURES
from lipgan_colab.files import make_folder, written_whole
from lipgan_colab.training.runs import read_log

PAGE, DATA = "ablation.md", "ablation.csv"
MARKS = {"better": "▲", "worse": "▼", "differs": "◆", CANNOT_TELL: ""}
SAID = {"better": "**better**", "worse": "**worse**", "differs": "**differs**"}
LEANS = {"better": "leans to better", "worse": "leans to worse", "differs": "leans apart"}
# What MEASURES says too briefly for a page on which it stands alone.
IN_OTHER_WORDS = {
    "correlation": "does the mouth open when the true one does? Correlation of the openings over the frames",
    "high_passed": "does the mouth open when the true one does? Correlation of the openings, slow movement taken off",
    "range": "how widely the mouth moves, by the true one's width: a mouth that hardly moves can still correlate",
    "sharpness": "fine detail of the lips (Laplacian energy), by the true lips'",
    "psnr": "likeness of the lower half's pixels, in dB; rewards blur",
    "psnr_whole": "likeness of the whole crop's pixels, in dB; rewards blur",
    "psnr_lips": "likeness of the lips' pixels, in dB; rewards blur",
    "lmd_pixels": "lip landmark distance as first defined (Chen et al. 2018): lips centred, in 96ths of the crop",
    "ssim": "structural similarity of the lower half; 1 is best; rewards blur",
    "ssim_whole": "structural similarity of the whole crop; 1 is best; rewards blur",
    "ssim_lips": "structural similarity of the lips; 1 is best; rewards blur",
    "expert_c": "by how much expert_d is below its median over all offsets (it is not LSE-C)",
    "expert_d": "distance of lips and sound, says our own sync expert (it is not LSE-D)",
}
SPECIAL = re.compile(r"([\\`*_\[\]|~$#])")  # what Markdown, and MathJax in a notebook, would take for its own
MOST_NAMED = 4  # runs that lack a clip


def write_page(
    folder: str | Path,
    title: str,
    about: Sequence[str],
    scores: Sequence[Score],
    runs: Sequence[ArmRun],
    truth: Path | None,
    measures: Sequence[str],
    base: str = "base",
) -> Path:
    """ablation.md, with measures.png, curves.png, frames.jpg (as far as there is what they show) and ablation.csv.

    Args:
        folder: where they lie.
        title: the question, in plain text.
        about: how it was asked, a line of plain text each.
        scores: of all clips by all runs that are there.
        runs: that the study asks for, in its order, missing ones too.
        truth: PNG of the true frames, as `ArmRun.frames`; None where there is none.
        measures: which are compared; empty takes all that the scores have.
        base: the arm that the others are compared with.

    Raises:
        InputError: frames cannot be read, or the page not be written.
    """
    folder = make_folder(folder)
    places = {run.arm: place for place, run in reversed(list(enumerate(runs)))}
    scores = sorted(scores, key=lambda s: (places.get(s.arm, len(places)), s.seed, s.clip))
    measures = list(measures) or list(dict.fromkeys(name for score in scores for name in score.values))
    found = compare(scores, base, measures) if any(score.arm == base for score in scores) else []
    base_means = {measure: mean(scores, base, measure) for measure in measures}
    write_results(folder / DATA, scores)
    parts = [[f"# {plain(title)}"], [f"- {plain(line)}" for line in about]]
    parts += [["## In short"], _answers(found, scores, base), _legend(found)]
    if found:
        _write(folder / "measures.png", pictures.measures_picture(found, base_means))
        parts += [["![Each measure's difference to the base, by arm, with 95 % intervals](measures.png)"]]
        parts += [["## Differences to the base"], _table(found, base_means, base), _meanings(measures)]
    framed = pictures.frames_picture(runs, truth)
    if framed is not None:
        _write(folder / "frames.jpg", framed[0])
        text = f"The same frames of held-out clips, by the truth and by each arm (seed {framed[1]})."
        parts += [["## What it looks like"], [text], ["![The same frames by each arm](frames.jpg)"]]
    curves = pictures.curves_picture(runs, base)
    if curves is not None:
        _write(folder / "curves.png", curves[0])
        text = f"`{curves[1]}` of log.csv, thick: the mean of the seeds, thin: each of them, grey: the base."
        parts += [["## How they learn"], [text], ["![Learning curves, by arm](curves.png)"]]
    parts += [["## What it cost"], _costs(runs)]
    parts += [["## What is missing"], _missing(runs, scores, found)]
    parts += [["## What this study cannot tell"], _limits(found)]
    parts += [[f"Every clip's numbers: [{DATA}]({DATA})."]]
    text = "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"
    with written_whole(folder / PAGE) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
    return folder / PAGE


def plain(text: str) -> str:
    """Text of which Markdown and HTML take nothing for their own; one line."""
    return SPECIAL.sub(r"\\\1", html.escape(CONTROL.sub(" ", str(text)), quote=False))


def _write(path: Path, data: bytes) -> None:
    with written_whole(path) as unfinished:
        unfinished.write_bytes(data)


def _digits(found: Sequence[Difference], measure: str) -> int:
    """Decimals that show a measure's usual interval to two digits."""
    halves = [(d.high - d.low) / 2 for d in found if d.measure == measure and d.high > d.low]
    return min(max(1 - math.floor(math.log10(np.median(halves))), 0), 6) if halves else 3


def _number(value: float, digits: int, sign: str = "") -> str:
    """As +.05: without the 0, which makes wide tables wider."""
    text = f"{value:{sign}.{digits}f}" if math.isfinite(value) else "-"
    return re.sub(r"^([-+]?)0\.", r"\1.", text)


def _interval(found: Difference, digits: int) -> str:
    return f"[{_number(found.low, digits)}, {_number(found.high, digits)}]"


def _answers(found: Sequence[Difference], scores: Sequence[Score], base: str) -> list[str]:
    """A line for each arm: what is better, what is worse, what cannot be told."""
    if not found:
        missing = "no other arm" if any(score.arm == base for score in scores) else f"not even the base ({plain(base)})"
        return [f"Nothing can be told yet: {missing} has been judged."]
    lines = []
    for arm in dict.fromkeys(d.arm for d in found):
        own = [d for d in found if d.arm == arm]
        said = []
        for called, words in ((verdict, SAID), (leaning, LEANS)):
            for word, text in words.items():
                some = [_said(d, _digits(found, d.measure)) for d in own if called(d) == word]
                said += [f"{text} in {', '.join(some)}"] if some else []
        left = [plain(d.measure) for d in own if verdict(d) == CANNOT_TELL and not leaning(d)]
        rest = "all" if len(left) == len(own) else ", ".join(left)
        said += [f"cannot tell: {rest}"] if left else []
        lines.append(f"- **{plain(arm)}**: {'; '.join(said)}")
    return lines


def _said(found: Difference, digits: int) -> str:
    return f"{plain(found.measure)} ({_number(found.difference, digits, '+')} {_interval(found, digits)})"


def _legend(found: Sequence[Difference]) -> list[str]:
    if not found:
        return []
    compared = sum(math.isfinite(d.p) for d in found)
    others = "speakers" if any(d.units < d.clips for d in found) else "clips"
    meant = (
        f"Every seed counts alike, and so do all {others}. In brackets: the 95 % interval of the mean difference to "
        f"the base, paired (same seed, same clip), for other seeds and other {others}. *Cannot tell* is not *no "
        "difference*: it may be as large as the interval reaches."
    )
    if not compared:
        return [f"{meant} Of one seed, or one clip, no difference is called better or worse."]
    return [
        f"{meant} *Better* and *worse* are said where a difference is told from zero after the correction for all "
        f"{counted(compared, 'comparison')} (Holm 1979): the chance that any of them is false is about 5 % at most. "
        "*Leans*: alone it would be told; but of comparisons in which nothing differs one in twenty leans by chance."
    ]


def _table(found: Sequence[Difference], base_means: dict[str, float], base: str) -> list[str]:
    digits = {measure: _digits(found, measure) for measure in base_means}
    lines = [_row("", map(plain, base_means)), _row("---", ["---:"] * len(base_means))]
    lines.append(_row(f"{plain(base)} (mean)", [_number(value, digits[m]) for m, value in base_means.items()]))
    for arm in dict.fromkeys(d.arm for d in found):
        cells = {d.measure: _cell(d, digits[d.measure]) for d in found if d.arm == arm}
        lines.append(_row(plain(arm), [cells[m] for m in base_means]))
    return lines


def _cell(found: Difference, digits: int) -> str:
    if not math.isfinite(found.difference):
        return "-"
    value = _number(found.difference, digits, "+")
    mark, lean = MARKS[verdict(found)], MARKS.get(leaning(found))
    value = f"**{mark} {value}**" if mark else f"({lean}) {value}" if lean else value
    return f"{value}<br>{_interval(found, digits)}" if math.isfinite(found.low) else value


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([name, *cells])} |"


def _meanings(measures: Sequence[str]) -> list[str]:
    signs = ", ".join(f"{mark} {word}" for word, mark in MARKS.items() if mark)
    lines = [f"{signs}; in brackets: leans so; no mark: cannot tell; -: not measured.", ""]
    for name in measures:
        good = pictures.HINTS.get(GOOD.get(name, ""), "what is better is not known")
        meaning = (MEASURES | IN_OTHER_WORDS).get(name, "no measure of this version")
        lines.append(f"- **{plain(name)}** ({good}): {plain(meaning)}")
    return lines


def _costs(runs: Sequence[ArmRun]) -> list[str]:
    """A table of what each arm changes and what one of its runs took, on average of those that have begun."""
    titles = ["changes", "runs", "steps", "samples", "seconds of a run"]
    lines = [_row("", titles), _row("---", ["---", *["---:"] * 4])]
    for arm in dict.fromkeys(run.arm for run in runs):
        own = [run for run in runs if run.arm == arm]
        begun = [run for run in own if run.steps]
        changes = ", ".join(f"{name} = {value}" for name, value in own[0].changes.items())
        means = [
            f"{np.mean([getattr(run, what) for run in begun]):.0f}" if begun else "-"
            for what in ("steps", "samples", "seconds")
        ]
        done = sum(not run.missing for run in own)
        lines.append(_row(plain(arm), [plain(changes), f"{done} of {len(own)}", *means]))
    total = sum(run.seconds for run in runs)
    return [*lines, "", f"Together {total / 3600:.2g} hours of training."]


def _missing(runs: Sequence[ArmRun], scores: Sequence[Score], found: Sequence[Difference]) -> list[str]:
    judged = {(score.arm, score.seed) for score in scores}
    lines = []
    for run in runs:
        why = run.missing or ("" if (run.arm, run.seed) in judged else "not judged yet")
        if why:
            lines.append(f"- {plain(run.arm)}, seed {run.seed}: {plain(why)}")
        elif not read_log(run.log):
            lines.append(f"- {plain(run.arm)}, seed {run.seed}: its learning curve; {run.log.name} is gone or empty")
    for arm in dict.fromkeys(score.arm for score in scores):
        own = [score for score in scores if score.arm == arm and "lmd" in score.values]
        faceless = sum(math.isnan(score.values["lmd"]) for score in own)  # of which every other measure needs a face
        if faceless:
            lines.append(
                f"- {plain(arm)}: in {faceless} of {counted(len(own), 'judged clip')} no face is found again; their "
                "correlations count as 0. Train longer before anything is said of mouths"
            )
    for arm in dict.fromkeys(d.arm for d in found):
        none = [plain(d.measure) for d in found if d.arm == arm and not d.clips]
        if none:
            lines.append(f"- {plain(arm)} has no {', '.join(none)} to compare")
    skipped: dict[tuple[str, str], list[ArmRun]] = {}
    for run in runs:
        for about in run.skipped.items():
            skipped.setdefault(about, []).append(run)
    for (clip, reason), some in skipped.items():
        where = "; ".join(f"{plain(run.arm)}, seed {run.seed}" for run in some)
        where = where if len(some) <= MOST_NAMED else f"{len(some)} runs"
        lines.append(f"- {plain(clip)} could not be judged ({plain(reason)}): {where}")
    return lines or ["Nothing: every run is there, and every clip was judged."]


def _limits(found: Sequence[Difference]) -> list[str]:
    """What the numbers of seeds, speakers and clips leave open."""
    if not found:
        return ["Everything: nothing has been compared yet."]
    lines = _of_seeds(max(d.seeds for d in found))
    lines += _of_people(max(d.units for d in found), max(d.clips for d in found))
    for measure in dict.fromkeys(d.measure for d in found):
        halves = [(d.high - d.low) / 2 for d in found if d.measure == measure and d.high > d.low]
        if halves:
            size = _number(float(np.median(halves)), _digits(found, measure))
            lines.append(
                f"- {plain(measure)}: intervals reach ±{size} (median of the arms); a smaller difference is not seen"
            )
    unsure = [d for d in found if d.clips and not math.isfinite(d.p)] if any(math.isfinite(d.p) for d in found) else []
    for arm in dict.fromkeys(d.arm for d in unsure):
        names = ", ".join(plain(d.measure) for d in unsure if d.arm == arm)
        lines.append(f"- {plain(arm)} has only one seed or one speaker for {names}: no difference is called told")
    return [
        *lines,
        "- All arms had the same budget. What helps after far longer training, with more data or in a wider network, "
        "may be something else.",
    ]


def _of_seeds(seeds: int) -> list[str]:
    if seeds < 2:
        return [
            "- **One seed**: how much two trainings of the same arm differ is not known, so no difference is called "
            "told. The intervals speak of people or clips alone. Add seeds."
        ]
    return [
        f"- {seeds} seeds: how much chance in training matters is known roughly; all arms' seeds together tell it, so "
        "for an arm that is far less steady than the others the interval is too narrow."
    ]


def _of_people(units: int, clips: int) -> list[str]:
    if units < 2:
        return ["- **One clip**: the answers hold for it alone, so no difference is called told. Add clips."]
    if units == clips:
        return [
            f"- {clips} clips, each counted for itself: one of each speaker, or all of one, or it is not known who "
            "speaks. If one person speaks in all, nothing is told about other people."
        ]
    return [
        f"- {units} speakers with {counted(clips, 'clip')}: the intervals are for other people like these; for other "
        "kinds of films and languages nothing is told."
    ]
