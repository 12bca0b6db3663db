"""Who is shown what: the forms of a study, balanced, in an order and on sides that are drawn by lot.

Every judge has a form of their own. In each, every clip comes once, every pair of systems as often as the others, and
each of a pair's systems as often left as right; forms come in twos whose sides are mirrored, and over all forms every
clip comes by every pair of systems equally often (a cyclic Latin square).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from lipgan_colab.errors import InputError, counted
from lipgan_colab.evaluation.judges.key import ANSWERED_BY, CHECKS, PAIRS, SCALE, TRUTH

FORMS = 24  # at least: as many judges have an order of their own


@dataclass(frozen=True)
class Showing:
    """A trial before its films have ids: what is shown of which clip, left and right, or alone.

    Attributes:
        clip: its id.
        systems: whose films: (left, right), or one; of a check also what was done to the truth.
        check: as of `Trial`.
    """

    clip: str
    systems: tuple[str, ...]
    check: str = ""


def forms(
    clips: Sequence[str],
    checked: Sequence[str],
    checks: int,
    systems: Sequence[str],
    method: str,
    questions: Sequence[str],
    rng: np.random.Generator,
) -> list[list[Showing]]:
    """All forms of a study.

    Args:
        clips: that are judged.
        checked: that serve as checks, as many as `clips_for_checks` says; none of `clips`.
        checks: how many of those are spoilt.
        systems: who is compared.
        method: PAIRS or SCALE.
        questions: that are asked.
        rng: draws orders and sides.
    """
    compared = list(combinations(systems, 2)) if method == PAIRS else [(system,) for system in systems]
    whole = (2 if method == PAIRS else 1) * len(compared)  # after so many forms every clip came by all, on both sides
    order = [clips[k] for k in rng.permutation(len(clips))]
    made = []
    while len(made) < FORMS or len(made) % whole:
        turn = len(made) // (2 if method == PAIRS else 1)
        of = [(clip, (place + turn) % len(compared)) for place, clip in enumerate(order)]
        showings = _in_turn(of, compared, rng)
        showings += _checks(checked, checks, method, questions, rng)
        made.append(_shuffled(showings, rng))
        if method == PAIRS:
            made.append(_shuffled([_mirrored(showing) for showing in showings], rng))
    return made


def clips_for_checks(checks: int, method: str, systems: Sequence[str]) -> int:
    """How many clips so many checks take: one each; on a scale half as many more, whose true films show what a judge
    gives to those, unless the truth is judged anyway."""
    return checks + (-(-checks // 2) if method == SCALE and TRUTH not in systems else 0)


def check_size(clips: int, checks: int, method: str, systems: Sequence[str]) -> None:
    """Raises InputError where there are not clips enough, or nothing to compare."""
    taken = clips_for_checks(checks, method, systems)
    if clips <= taken:
        there, wanted = counted(clips, "clip"), counted(taken, "clip")
        raise InputError(
            f"{there} can be shown, and `checks={checks}` take {wanted} of them; give more clips, or fewer checks"
        )


def _in_turn(
    of: Sequence[tuple[str, int]], compared: Sequence[tuple[str, ...]], rng: np.random.Generator
) -> list[Showing]:
    """Each clip by the systems whose number it has, sides drawn so that half of each pair's are mirrored."""
    showings = []
    for number, systems in enumerate(compared):
        own = [clip for clip, chosen in of if chosen == number]
        showings += _on_sides([Showing(clip, systems) for clip in own], rng)
    return showings


def _checks(
    checked: Sequence[str], checks: int, method: str, questions: Sequence[str], rng: np.random.Generator
) -> list[Showing]:
    """The first `checks` of the clips spoilt, beside the truth or alone; the rest as they are."""
    kinds = [kind for kind in CHECKS if set(ANSWERED_BY[kind]) & set(questions)]
    spoilt = [(clip, kinds[k % len(kinds)]) for k, clip in enumerate(checked[:checks])]
    if method == PAIRS:
        return _on_sides([Showing(clip, (TRUTH, kind), kind) for clip, kind in spoilt], rng)
    return [Showing(clip, (kind,), kind) for clip, kind in [*spoilt, *((clip, TRUTH) for clip in checked[checks:])]]


def _on_sides(showings: Sequence[Showing], rng: np.random.Generator) -> list[Showing]:
    """Half of them mirrored, drawn by lot; of an odd number one more or one less."""
    if not showings or len(showings[0].systems) == 1:
        return list(showings)
    half = (len(showings) + int(rng.integers(2))) // 2
    turned = set(rng.permutation(len(showings))[:half].tolist())
    return [_mirrored(showing) if k in turned else showing for k, showing in enumerate(showings)]


def _mirrored(showing: Showing) -> Showing:
    return replace(showing, systems=showing.systems[::-1])


def _shuffled(showings: Sequence[Showing], rng: np.random.Generator) -> list[Showing]:
    return [showings[k] for k in rng.permutation(len(showings))]
