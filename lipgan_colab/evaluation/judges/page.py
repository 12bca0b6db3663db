"""The page that judges see: one file that needs no server and no network, and tells nothing of what its films are."""

import base64
import html
import json
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from lipgan_colab.errors import CONTROL, InputError, reading
from lipgan_colab.evaluation.judges.key import Key
from lipgan_colab.evaluation.judges.words import PAGE
from lipgan_colab.files import make_folder, written_whole

INDEX, FILMS = "index.html", "films"
WATCHED, ANSWERING = 1.5, 8  # how often a film is watched, and seconds for an answer: to say how long it takes
INSIDE = re.compile(r'<script type="text/plain" id="film-(\w+)">([^<]*)</script>')
DATA = r'<script type="application/json" id="{}">([^<]*)</script>'


@dataclass(frozen=True)
class Told:
    """What a page tells its judges, beside its words.

    Attributes:
        send_to: whom the answers are to be sent to.
        credit: where the films are from.
        agreed: whether the people shown agreed to be shown.
    """

    send_to: str = ""
    credit: str = ""
    agreed: bool = False


def write_page(
    folder: str | Path, key: Key, words: dict, films: Mapping[str, Path], told: Told = Told(), beside: bool = False
) -> Path:
    """index.html, with the films in it, or beside it in a folder.

    Args:
        folder: where.
        key: the study.
        words: of `read_words`.
        films: by their ids.
        told: what else is said.
        beside: put the films beside the page.

    Raises:
        InputError: it cannot be written.
    """
    folder = make_folder(folder)
    shutil.rmtree(folder / FILMS, ignore_errors=True)  # of a study that was not finished
    inside = []
    for name in sorted(films):
        if beside:
            with written_whole(folder / FILMS / f"{name}.mp4") as unfinished:
                shutil.copyfile(films[name], unfinished)
        else:
            data = base64.b64encode(films[name].read_bytes()).decode()
            inside.append(f'<script type="text/plain" id="film-{name}">{data}</script>')
    text = Template((PAGE / "page.html").read_text(encoding="utf-8")).substitute(
        language=html.escape(words["language"]),
        direction=html.escape(words["direction"]),
        title=html.escape(key.title),
        style=(PAGE / "judge.css").read_text(encoding="utf-8"),
        study=as_script(shown_to_judges(key, told)),
        words=as_script(words),
        films="\n".join(inside),
        script="\n".join((PAGE / name).read_text(encoding="utf-8") for name in ("judge.js", "page.js")),
    )
    with written_whole(folder / INDEX) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return folder / INDEX


def shown_to_judges(key: Key, told: Told = Told()) -> dict:
    """What the page knows of a study: which films are shown when, and nothing of whose they are."""
    return {
        "study": key.study,
        "title": key.title,
        "method": key.method,
        "questions": list(key.questions),
        "send_to": _line(told.send_to),
        "credit": _line(told.credit),
        "agreed": told.agreed,
        "minutes": minutes_of(key),
        "forms": [[list(trial.films) for trial in form] for form in key.forms],
    }


@dataclass(frozen=True)
class JudgesPage:
    """A page that was written, read again to be shown in a notebook.

    Attributes:
        folder: where it lies.
        study, words: what it knows, see `shown_to_judges` and `read_words`.
        inside: the films that are in it, by their ids, as base64.
    """

    folder: Path
    study: dict
    words: dict
    inside: dict[str, str]

    def film(self, name: str) -> bytes:
        """A film's file. InputError where there is none."""
        if name in self.inside:
            return base64.b64decode(self.inside[name])
        path = self.folder / FILMS / f"{name}.mp4"
        shown = {film for form in self.study["forms"] for trial in form for film in trial}
        if name not in shown or not path.is_file():
            raise InputError(f"{path}: the study's film is gone; copy its folder again, whole")
        return path.read_bytes()


def read_page(folder: str | Path) -> JudgesPage:
    """The page in a folder, as `write_page` left it.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = Path(folder, INDEX)
    with reading(path, "this is no page of `judge make`", "name the folder of a study"):
        text = path.read_text(encoding="utf-8")
        told = [json.loads(re.search(DATA.format(name), text)[1]) for name in ("study", "words")]
        return JudgesPage(Path(folder), *told, dict(INSIDE.findall(text)))


def minutes_of(key: Key) -> int:
    """How long a judge is busy with a study, about."""
    form = key.forms[0]
    seconds = sum(key.films[name].seconds for trial in form for name in trial.films)
    return math.ceil((WATCHED * seconds + ANSWERING * len(form)) / 60)


def as_script(value: dict | Sequence) -> str:
    """JSON that can stand in a script of an HTML page."""
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c")


def _line(text: str) -> str:
    return CONTROL.sub(" ", text).strip()
