"""Whom not to learn from, to measure by."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from lipgan_colab.corpora.corpus import draw_number, film_of
from lipgan_colab.corpora.lists import names_in
from lipgan_colab.errors import InputError

SPEAKERS_APART = 4  # with fewer speakers clips are held out and not whole speakers
ENOUGH = 8  # clips, of two speakers
LARGE = 0.25  # of all clips: a speaker who has more of them is not held out without being asked for


def held_out_ids(speakers: Mapping[str, str], asked: str, seed: int) -> set[str]:
    """The ids of the clips to measure by; which they are does not depend on their order.

    Args:
        speakers: who speaks in each clip, by its id.
        asked: "none", a share of the speakers from 0 to 1, speakers with commas (or blanks) between, or "auto": a few
            speakers, or clips where there are fewer than four; of a film that was taken apart all clips or none.
        seed: another one draws others.

    Raises:
        InputError: one of the speakers is not there.
    """
    of = Counter(speakers.values())
    if asked == "none":
        return set()
    if re.fullmatch(r"0|1|[01]?\.\d+", asked):
        chosen = sorted(of, key=_drawn(seed))[: round(float(asked) * len(of))]
    elif asked != "auto":
        chosen = names_in(asked, of.__contains__)
        missing = sorted(set(chosen) - set(of))
        if missing:
            there = ", ".join(filter(None, sorted(of)[:20]))
            some = f"some of: {there}" if there else "film each person in a subfolder of their own"
            raise InputError(f"`held_out`: no clip of {missing[0]}; give a share from 0 to 1, or {some}")
    elif len(of) < SPEAKERS_APART:
        return _some_films(speakers, seed)
    else:
        chosen = _some_speakers(of, sorted(of, key=_drawn(seed)))
    return {name for name, speaker in speakers.items() if speaker in chosen}


def _some_films(ids: Iterable[str], seed: int) -> set[str]:
    """Of clips in the order of the lot a few, with all clips of the same films; never more than a quarter of them."""
    films: dict[str, list[str]] = defaultdict(list)
    for name in ids:
        films[film_of(name)].append(name)
    chosen: set[str] = set()
    for film in sorted(films, key=_drawn(seed)):
        if len(chosen) < ENOUGH and len(chosen) + len(films[film]) <= LARGE * sum(map(len, films.values())):
            chosen.update(films[film])
    return chosen


def _drawn(seed: int) -> Callable[[str], str]:
    return lambda name: draw_number(seed, name)


def _some_speakers(of: Counter, drawn: Sequence[str]) -> list[str]:
    """Of speakers in the order of the lot two, or more until they have enough clips; none who has a large share, and
    never more than half of them."""
    chosen: list[str] = []
    for name in drawn:
        enough = len(chosen) >= 2 and sum(of[n] for n in chosen) >= ENOUGH
        if enough or len(chosen) >= len(drawn) // 2:
            break
        if of[name] <= LARGE * of.total():
            chosen.append(name)
    return chosen
