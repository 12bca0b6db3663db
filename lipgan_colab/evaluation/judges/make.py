"""A study for people is made: films chosen and made alike, shown by a plan, on one page; the key stays behind."""

import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from lipgan_colab.errors import CONTROL, InputError, check_range, counted
from lipgan_colab.evaluation.judges import design
from lipgan_colab.evaluation.judges.key import KEY, MEASURED, METHODS, PAIRS, QUESTIONS, Key, write_key
from lipgan_colab.evaluation.judges.measured import write_measures
from lipgan_colab.evaluation.judges.more_answers import MOST_JUDGES, judges_needed, said_of
from lipgan_colab.evaluation.judges.page import INDEX, Told, minutes_of, write_page
from lipgan_colab.evaluation.judges.shown_films import trials, usable_clips, write_films
from lipgan_colab.evaluation.judges.sources import find_sources, in_common, true_films
from lipgan_colab.evaluation.judges.words import read_words
from lipgan_colab.files import check_place

PAGE = "page"  # folder of what the judges get
TITLE = "Whose lips fit?"
CHECKS = 4  # of a study that has true clips
LARGE_PAGE = 100 << 20  # bytes of films that go into a page; beyond, phones give up
SHARES = (0.6, 0.75)  # preferences for which it is said how many judges see them
CONSENT = "Show the faces of people who agreed to it. If those of this study did, say so to the judges"


@dataclass(frozen=True)
class MadeStudy:
    """A study that was made.

    Attributes:
        folder: where it lies: page/, key.json, and measures.csv where there are true clips.
        key: the study.
        clips: how many are judged.
        checks: how many more show whether a judge looks and listens.
        beside: whether the films lie beside the page.
        consent: whether the caller says that the people shown agreed.
        skipped: clips that are not shown or not measured, and why.
    """

    folder: Path
    key: Key
    clips: int
    checks: int
    beside: bool
    consent: bool
    skipped: list[InputError] = field(default_factory=list)

    def __str__(self) -> str:
        page, count = self.folder / PAGE, len(self.key.forms[0])
        what = "pair" if self.key.method == PAIRS else "film"
        lines = [
            f"{page / INDEX}: {counted(count, what)} for each judge, about {minutes_of(self.key)} min. Give the "
            f"judges {'the whole folder' if self.beside else 'that one file'}; it works without a network",
            f"{self.folder / KEY}: which film is whose. Keep it to yourself",
            f"then: lipgan-colab judge count --study {self.folder} FILE …",
        ]
        if not self.checks:
            lines.append("No checks: nothing will show who looked and listened (they are made of true clips: `videos`)")
        if self.key.method == PAIRS:
            lines.append(f"How many judges? {_enough(self.clips, len(self.key.systems), len(self.key.questions))}")
        if not self.consent:
            lines.append(f"{CONSENT}, with `consent`")
        return "\n".join([*lines, *(f"skipped {error.line}" for error in self.skipped)])


def _enough(clips: int, systems: int, questions: int) -> str:
    """How many judges see preferences of some sizes, of every two systems by every question."""
    if clips < 2:
        return "However many: of one clip nothing can be told of others"
    pairs = systems * (systems - 1) // 2  # a judge sees so many times fewer clips of each
    needed = [(share, pairs * judges_needed(clips, share, comparisons=pairs * questions)) for share in SHARES]
    said = ", ".join(f"{share:.0%}: {said_of(count)}" for share, count in needed)
    hint = "; more clips would help more than more judges" if needed[0][1] > MOST_JUDGES else ""
    return f"To tell that so many answers prefer one, about: {said}{hint}"


def make_study(
    compare: Sequence[str],
    out: str | Path,
    videos: str | Path | None = None,
    ids: Sequence[str] | None = None,
    method: str = PAIRS,
    ask: Sequence[str] = ("sync", "natural"),
    clips: int = 16,
    checks: int | None = None,
    title: str = TITLE,
    send_to: str = "",
    credit: str = "",
    consent: bool = False,
    texts: str | Path | None = None,
    beside: bool = False,
    measures: bool = True,
    seed: int | None = None,
    device: str | torch.device | None = None,
) -> MadeStudy:
    """Make a blind study of films for people: one page, and the key to it.

    Args:
        compare: whom: folders of results (files named as the clips), runs, files of weights, or names that the verb
            "weights" lists; "truth" for the true clips. NAME=… says how one is called in the results.
        out: folder that gets page/, which the judges get, and key.json, which they must not see.
        videos: folder of the true clips: weights make their films of them, and the checks are made of them.
        ids: which clips (paths below the folder, with or without ending); None takes all that everybody has.
        method: "pairs": two films, which is better; "scale": one film, 1 to 5 points (ITU-T P.910).
        ask: "sync": whose lips fit the sound; "natural": whose mouth looks more natural.
        clips: at most so many, drawn by lot; each judge sees each of them once.
        checks: how many of the clips show whether a judge looks and listens: the truth against itself 0.32 s late, and
            against a still. None takes 4 where there are true clips.
        title: what stands over the page; judges read it.
        send_to: whom the judges are to send their answers to, such as an e-mail address.
        credit: where the films are from, for the page.
        consent: the people shown agreed to be shown, as far as the caller says; the page says so.
        texts: the page's words in another language; a file like the package's texts.json.
        beside: put the films beside the page instead of into it.
        measures: also write measures.csv, the measures of `evaluate` of the films that are judged, where there are true
            clips: `count_answers` says which of them agree with people.
        seed: draws clips, sides and orders, and whoever knows it can find out which film is whose; None takes one by
            lot.
        device: cuda, cuda:1, mps, cpu, for weights; None takes the GPU where there is one.

    Raises:
        InputError: there is nothing to compare, too few clips, or the study cannot be written.
    """
    _check(compare, method, ask, clips, checks)
    out, words = Path(out), read_words(texts)
    if (out / KEY).exists():
        raise InputError(f"{out}: a study lies there, and answers to it would lose their key; choose another folder")
    truth = true_films(videos, ids) if videos is not None else {}
    sources = find_sources(compare, truth, out / "made", device)
    systems = [source.name for source in sources]
    checks = (CHECKS if truth else 0) if checks is None else checks
    if checks and not truth:
        raise InputError(f"`checks={checks}`: they are made of true clips; give `videos`, or no checks")
    there, skipped = in_common(sources, truth, ids)
    design.check_size(min(clips, len(there)), checks, method, systems)
    check_place(out / KEY)
    rng = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
    usable = usable_clips([there[k] for k in rng.permutation(len(there))], clips, sources, truth, skipped)
    if not usable:
        raise InputError(f"none of {counted(len(there), 'clip')} can be shown: {skipped[-1].line}")
    design.check_size(len(usable), checks, method, systems)
    taken = design.clips_for_checks(checks, method, systems)
    checked, judged = list(usable)[:taken], list(usable)[taken:]
    forms = design.forms(judged, checked, checks, systems, method, ask, rng)
    with tempfile.TemporaryDirectory(prefix="judges-") as place:
        written = write_films(forms, usable, sources, truth, Path(place), rng)
        films = {film.name: film.path for film in written.values()}
        known = {film.name: film.film for film in written.values()}
        study, heading = rng.bytes(8).hex(), CONTROL.sub(" ", title)
        key = Key(study, heading, method, tuple(ask), tuple(systems), known, trials(forms, written))
        beside = beside or sum(path.stat().st_size for path in films.values()) > LARGE_PAGE
        if truth and measures:
            skipped += write_measures(out / MEASURED, judged, usable, sources, truth)
        write_page(out / PAGE, key, words, films, Told(send_to, credit, consent), beside)
        write_key(out / KEY, key)  # at once, or there would be a page whose films nobody knows
    return MadeStudy(out, key, len(judged), checks, beside, consent, skipped)


def _check(compare: Sequence[str], method: str, ask: Sequence[str], clips: int, checks: int | None) -> None:
    if method not in METHODS:
        raise InputError(f"`method` {method!r}: choose one of {', '.join(METHODS)}")
    wrong = next((question for question in ask if question not in QUESTIONS), None)
    if wrong is not None or not ask or len(set(ask)) < len(ask):
        raise InputError(f"`ask` {' '.join(ask)}: choose one or more of {', '.join(QUESTIONS)}, each once")
    if method == PAIRS and len(compare) < 2:
        raise InputError("a pair takes two to compare; give another folder, run or weights, or the truth")
    check_range("clips", clips, 1, 1000)
    check_range("checks", checks, 0, 100)
