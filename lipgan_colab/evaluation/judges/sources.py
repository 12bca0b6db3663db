"""Where the films come from that people judge: folders of results, weights that make them now, and the true clips."""

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from lipgan_colab.corpora.corpus import folder
from lipgan_colab.errors import CONTROL, InputError, counted
from lipgan_colab.evaluation.judges.key import CHECKS, TRUTH
from lipgan_colab.files import file_sha256
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.setting import ready_generator
from lipgan_colab.models.pretrained import PRETRAINED
from lipgan_colab.models.weights import EXPORT

NAMED = re.compile(r"([^=/\\]{1,60})=(.+)", re.DOTALL)
MOST_NAMED = 5  # of clips that not everybody has
MAKING = GenerateOptions(crf=10)  # they are encoded once more for the page, as everybody else's are
FilmOf = Callable[[str], Path]  # the film of a clip; InputError where it cannot be had


@dataclass(frozen=True)
class Source:
    """Somebody's films.

    Attributes:
        name: of the system, in the key and the results.
        clips: ids of those that there are.
        film: gives the film of a clip, which may have to be made.
    """

    name: str
    clips: frozenset[str]
    film: FilmOf


def true_films(videos: str | Path, ids: Sequence[str] | None = None) -> dict[str, Path]:
    """The clips of a folder by their ids, which are their paths below it without their endings, so that films of other
    kinds can be called alike.

    Raises:
        InputError: there are none; one of `ids` is not there; or two have one name but for their endings.
    """
    films: dict[str, Path] = {}
    for utterance in folder(videos):
        clip = without_ending(utterance.id)
        if clip in films:
            raise InputError(
                f"{videos}: {films[clip].name} and {utterance.path.name} have one name; rename one of them"
            )
        films[clip] = utterance.path
    if ids is None:
        return films
    wanted = [without_ending(name) if without_ending(name) in films else name for name in ids]
    missing = next((name for name in wanted if name not in films), None)
    if missing is not None:
        raise InputError(f"{videos}: there is no clip {missing!r}; ids are paths below the folder")
    return {name: films[name] for name in wanted}


def without_ending(name: str) -> str:
    """s25/brwa4p of s25/brwa4p.mpg."""
    return os.path.splitext(name)[0]


def find_sources(
    compared: Sequence[str], truth: Mapping[str, Path], made: Path, device: str | torch.device | None = None
) -> list[Source]:
    """Whom to compare.

    Args:
        compared: each "truth", a folder of results, or what `load_generator` takes; NAME=… says how it is called.
        truth: the true clips by their ids; empty where they are not given.
        made: folder in which weights make their films.
        device: that they make them on.

    Raises:
        InputError: something is neither, or cannot be read; or two have one name.
    """
    sources: list[Source] = []
    places: dict[str, str] = {}  # who is there already
    for text in compared:
        name, place = _named(text)
        source = _source(name, place, truth, made, device)
        if source.name in {other.name for other in sources}:
            raise InputError(f"{text}: {source.name!r} is compared already; call it otherwise, as NAME={place}")
        sources.append(source)
        if (same := os.path.realpath(place)) in places and os.path.exists(place):
            warnings.warn(f"{places[same]} and {source.name} are both {place}: judges can only guess", stacklevel=2)
        places[same] = source.name
    return sources


def _named(text: str) -> tuple[str, str]:
    """A name and what it names; where no name is given, the last part of the path."""
    found = NAMED.fullmatch(text)
    if found and not os.path.exists(text):
        return CONTROL.sub(" ", found[1]).strip(), found[2]
    return CONTROL.sub(" ", Path(text).name or text), text


def _source(name: str, place: str, truth: Mapping[str, Path], made: Path, device: str | torch.device | None) -> Source:
    if place == TRUTH and not os.path.exists(place):
        if not truth:
            raise InputError("truth: where the true clips lie is missing; give `videos`")
        return Source(TRUTH, frozenset(truth), truth.__getitem__)
    if name in (TRUTH, *CHECKS):
        raise InputError(f"{place}: {name!r} is what the true clips are called, or a check; call it otherwise")
    if os.path.isdir(place) and not os.path.exists(Path(place, EXPORT)):
        films = true_films(place)
        return Source(name, frozenset(films), films.__getitem__)
    if not truth:
        raise InputError(f"{place}: no folder of films; if these are weights, give `videos`, of which they make theirs")
    if not os.path.exists(place) and place not in PRETRAINED:
        raise InputError(f"{place}: no such folder of films, run or weights; NAME=… says how one is called")
    return Source(name, frozenset(truth), _maker(name, place, truth, made, device))


def _maker(name: str, weights: str, truth: Mapping[str, Path], made: Path, device: str | torch.device | None) -> FilmOf:
    """Makes a clip's film by weights, of the clip and its own speech; what was made before is there already."""
    generator = ready_generator(weights, device)
    learnt = file_sha256(generator.file)

    @cache  # each of a study's steps asks for it
    def film(clip: str) -> Path:
        of = hashlib.sha256(f"{learnt} {file_sha256(truth[clip])}".encode()).hexdigest()
        path = made / _as_file(name) / f"{_as_file(clip)}-{of[:12]}.mp4"
        if not path.exists():
            generate(truth[clip], truth[clip], generator, path, MAKING, device, on_progress=lambda *_: None)
        return path

    return film


def _as_file(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)[-60:]


def in_common(
    sources: Sequence[Source], truth: Mapping[str, Path], ids: Sequence[str] | None
) -> tuple[list[str], list[InputError]]:
    """The clips (of `ids`) that everybody has, and a line about the others; InputError where there is none."""
    everybody = [source.clips for source in sources] + ([frozenset(truth)] if truth else [])
    some = frozenset[str]().union(*everybody)
    if ids is not None:
        some &= {clip for name in ids for clip in (name, without_ending(name))}
    there = sorted(some.intersection(*everybody))
    if not there:
        names = "; ".join(f"{source.name}: {', '.join(sorted(source.clips)[:3])}" for source in sources)
        raise InputError(f"no clip is there of everybody; name files alike, but for their endings ({names})")
    others = sorted(some - set(there))
    if not others:
        return there, []
    named = ", ".join(others[:MOST_NAMED]) + (", …" if len(others) > MOST_NAMED else "")
    return there, [InputError(f"{counted(len(others), 'clip')} that not everybody has: {named}")]


def films_of(clip: str, sources: Sequence[Source], truth: Mapping[str, Path]) -> dict[str, Path]:
    """A clip's films by whose they are, the truth first. InputError where one cannot be had."""
    first = {TRUTH: truth[clip]} if truth else {}
    return first | {source.name: source.film(clip) for source in sources}
