"""A part of a corpus, drawn by lot: the same for the same seed everywhere, and part of every bigger one."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from lipgan_colab.corpora.corpus import Utterance, draw_number, fingerprint
from lipgan_colab.corpora.lists import read_lines
from lipgan_colab.errors import InputError, counted, lasting
from lipgan_colab.files import written_whole
from lipgan_colab.media.video import probe_video

BALANCES = ("speaker", "programme")  # what clips can be taken of in turn
TELLING = 24  # clips, from which on a picture of their lengths tells something
BATCH = 64  # clips whose lengths are looked up at once
SHOWN = 12  # rows of the table: the groups with most hours


def subset(
    corpus: Sequence[Utterance],
    *,
    hours: float | None = None,
    utterances: int | None = None,
    fraction: float | None = None,
    seed: int = 0,
    balance: str | None = None,
) -> list[Utterance]:
    """Draw from a corpus; of hours, utterances and fraction at most one says how much, none takes all.

    The order is the order of the lot, so a bigger subset with the same seed and balance begins with the smaller one,
    and preprocessing goes on with the shards that the smaller one made.

    Args:
        corpus: the utterances; their order does not matter.
        hours: so many hours of video, or a clip more. Lengths that are not known are looked up in the files drawn.
        utterances: so many clips.
        fraction: so large a part of the clips, 0 to 1.
        seed: another seed draws others.
        balance: "speaker" or "programme" takes in turn one clip of each, as long as it has one.

    Raises:
        InputError: more than one size, a size that is not positive or more than there is, clips whose lengths cannot be
            looked up yet, or a balance by what this corpus does not know.
    """
    if sum(size is not None for size in (hours, utterances, fraction)) > 1:
        raise InputError("a subset has one size: give `hours`, `utterances` or `fraction`")
    order = _drawn_order(corpus, seed, balance)
    if hours is not None:
        return _first_hours(order, hours)
    if fraction is not None:
        if not 0 < fraction <= 1:
            raise InputError(f"a `fraction` of {fraction} cannot be drawn; give more than 0 and at most 1")
        utterances = max(1, round(fraction * len(order)))
    if utterances is None:
        return order
    if not 0 < utterances <= len(order):
        many = counted(utterances, "clip")
        raise InputError(f"{many} cannot be drawn from {len(order)}; give other `utterances`, at least 1")
    return order[:utterances]


def _drawn_order(corpus: Sequence[Utterance], seed: int, balance: str | None) -> list[Utterance]:
    order = sorted(corpus, key=lambda u: draw_number(seed, u.id))
    if balance is None:
        return order
    if balance not in BALANCES:
        raise InputError(f"`balance` {balance!r} is unknown; take {' or '.join(BALANCES)}")
    if not any(getattr(u, balance) for u in order):
        other = "programme" if balance == "speaker" else "speaker"
        raise InputError(f"this corpus does not say which {balance} a clip is of; take `balance={other}` instead")
    turns: Counter = Counter()
    keys = []
    for place, u in enumerate(order):
        group = getattr(u, balance)
        keys.append((turns[group], place))
        turns[group] += 1
    return [order[place] for _, place in sorted(keys)]


def _first_hours(order: list[Utterance], hours: float) -> list[Utterance]:
    if not hours > 0:  # nor is nan
        raise InputError(f"{hours} hours cannot be drawn; give a positive number")
    missing = [u for u in order[:BATCH] if u.duration is None and not u.path.exists()]
    if missing:
        raise InputError(f"{missing[0].id}: its length is known once it is unpacked; until then give `utterances`")
    drawn, seconds = [], 0.0
    for start in range(0, len(order), BATCH):
        for u in measured(order[start : start + BATCH], quiet=True):
            if seconds >= 3600 * hours:
                return drawn
            drawn.append(u)
            seconds += u.duration
    if seconds < 3600 * hours:
        raise InputError(f"{counted(f'{hours:g}', 'hour')} cannot be drawn: the corpus has {seconds / 3600:.2f}")
    return drawn


def measured(utterances: Sequence[Utterance], quiet: bool = False) -> list[Utterance]:
    """The utterances with their durations looked up where they were not known; 0 for a file that is no video."""
    with ThreadPoolExecutor(4) as pool, tqdm(total=len(utterances), unit="clip", desc="lengths", disable=quiet) as bar:
        found = []
        for u in pool.map(_measured, utterances):
            found.append(u)
            bar.update()
    return found


def _measured(utterance: Utterance) -> Utterance:
    if utterance.duration is not None:
        return utterance
    try:
        return replace(utterance, duration=probe_video(utterance.path).duration)
    except InputError:
        return replace(utterance, duration=0.0)  # preprocessing says what is wrong with it


def write_ids(path: str | Path, utterances: Sequence[Utterance]) -> None:
    """Write the ids, one a line, in their order, for `read_ids` here or on another machine. NotWritten if that fails.

    Names that are not UTF-8 are written as the disk has them.
    """
    with written_whole(path) as unfinished:
        unfinished.write_text("".join(f"{u.id}\n" for u in utterances), encoding="utf-8", errors="surrogateescape")


def read_ids(path: str | Path) -> list[str]:
    """The ids of a text file (see lists.read_lines), one a line; for `only` and `without`, which know comments among
    them.

    Raises:
        InputError: there is no such text file, or no id in it.
    """
    ids = [line for _, line in read_lines(path, "make a text file of ids with the verb subset")]
    if not ids:
        raise InputError(f"{path}: no id in it; make one with the verb subset")
    return ids


def table(drawn: Sequence[Utterance], corpus_size: int) -> str:
    """What was drawn, in a few lines: hours and clips in all, per speaker or programme, and how long clips are.

    Without their lengths (see `measured`) there are no hours.
    """
    known = all(u.duration is not None for u in drawn)
    seconds = np.array([u.duration or 0.0 for u in drawn])
    groups = _hours_by_group(drawn)
    long = lasting(seconds.sum()) if known else "not unpacked yet"
    lines = [
        f"{len(drawn)} of {counted(corpus_size, 'clip')}, {long}, "
        f"{_counted_groups(groups)}; "
        f"fingerprint {fingerprint(u.id for u in drawn)}"
    ]
    if known:
        quarters = " / ".join(f"{q:.1f}" for q in np.percentile(seconds, [0, 25, 50, 75, 100]))
        lines.append(f"clips of {quarters} s (shortest, quarters, longest)")
    if set(groups) <= {"", "."}:
        return "\n".join(lines)  # no subfolders: it is not known who is who
    lines.append(f"{'speaker or programme':24}{'clips':>8}{'minutes':>10}")
    counts = Counter(u.group for u in drawn)
    for group, hours in list(groups.items())[:SHOWN]:
        lines.append(f"{group or '(unknown)':24}{counts[group]:>8}{60 * hours:>10.1f}")
    if len(groups) > SHOWN:
        lines.append(f"… and {len(groups) - SHOWN} more")
    return "\n".join(lines)


def _counted_groups(groups: Collection[str]) -> str:
    if set(groups) <= {"", "."}:
        return "it is not known of whom (no subfolders)"
    return counted(len(groups), "speaker or programme", "speakers or programmes")


def _hours_by_group(drawn: Sequence[Utterance]) -> dict[str, float]:
    """Most first."""
    hours: dict[str, float] = defaultdict(float)
    for u in drawn:
        hours[u.group] += (u.duration or 0.0) / 3600
    return dict(sorted(hours.items(), key=lambda item: (-item[1], item[0])))


def picture(drawn: Sequence[Utterance], path: str | Path) -> None:
    """A small picture of the same as PNG: how long the clips are, minutes per speaker or programme, hours so far."""
    from matplotlib.figure import Figure  # without pyplot, which would choose a window system

    seconds = [u.duration or 0.0 for u in drawn]
    minutes = [60 * hours for hours in _hours_by_group(drawn).values()]
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    lengths, groups, growth = figure.subplots(1, 3)
    lengths.hist(seconds, bins=min(40, max(5, len(drawn) // 10)))
    lengths.set(xlabel="seconds", ylabel="clips", title="Clips by length")
    groups.bar(range(1, len(minutes) + 1), minutes)
    groups.xaxis.get_major_locator().set_params(integer=True)
    groups.set(xlabel="most minutes first", ylabel="minutes", title=f"{len(minutes)} speakers or programmes")
    growth.plot([total / 3600 for total in accumulate(seconds)])
    growth.set(xlabel="clips drawn", ylabel="hours", title="Hours drawn")
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=110)
