"""The films that a study shows: which clips can be shown, and their films under names that tell nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.judges.design import Showing
from lipgan_colab.evaluation.judges.films import Footage, footage, make_equally_large, write_check, write_film
from lipgan_colab.evaluation.judges.key import CHECKS, ShownFilm, Trial
from lipgan_colab.evaluation.judges.sources import Source, films_of


@dataclass(frozen=True)
class Written:
    """A film that is shown: its id, what it is, and where it lies."""

    name: str
    film: ShownFilm
    path: Path


def usable_clips(
    clips: Sequence[str], most: int, sources: Sequence[Source], truth: Mapping[str, Path], skipped: list[InputError]
) -> dict[str, Footage]:
    """The first so many clips that can be shown, and what their films have in common; others go to `skipped`. Weights
    make their films now."""
    usable: dict[str, Footage] = {}
    with tqdm(total=min(most, len(clips)), unit="clip", desc="clips") as progress:
        for clip in clips:
            if len(usable) == most:
                break
            try:
                usable[clip] = footage(films_of(clip, sources, truth))
                progress.update()
            except InputError as error:
                skipped.append(InputError(error.line if clip in error.line else f"{clip}: {error.line}"))
    return usable


def write_films(
    forms: Sequence[Sequence[Showing]],
    usable: Mapping[str, Footage],
    sources: Sequence[Source],
    truth: Mapping[str, Path],
    folder: Path,
    rng: np.random.Generator,
) -> dict[tuple[str, str], Written]:
    """All films that the forms show, by clip and system.

    Args:
        forms: of `design.forms`.
        usable: of `usable_clips`.
        sources, truth: whose films.
        folder: that gets them.
        rng: draws their ids.
    """
    wanted: dict[str, dict[str, str]] = {}  # by clip: systems, and of which check each is
    for showing in (showing for form in forms for showing in form):
        wanted.setdefault(showing.clip, {}).update(dict.fromkeys(showing.systems, showing.check))
    written: dict[tuple[str, str], Written] = {}
    for clip, whose in tqdm(sorted(wanted.items()), unit="clip", desc="films"):
        films, seen = films_of(clip, sources, truth), usable[clip]
        for system, check in whose.items():
            name = rng.bytes(6).hex()
            path = folder / f"{name}.mp4"
            if check in CHECKS:
                seconds = write_check(path, truth[clip], seen, check, spoilt=system == check)
            else:
                seconds = write_film(path, films[system], seen, system)
            written[clip, system] = Written(name, ShownFilm(clip, system, seconds), path)
        make_equally_large([written[clip, system].path for system in whose])
    return written


def trials(
    forms: Sequence[Sequence[Showing]], written: Mapping[tuple[str, str], Written]
) -> tuple[tuple[Trial, ...], ...]:
    """The forms, with the films' ids."""
    return tuple(
        tuple(Trial(tuple(written[s.clip, system].name for system in s.systems), s.check) for s in form)
        for form in forms
    )
