"""Judges before this notebook: a study's page in a cell, whose answers go to the workspace at once."""

import json
from collections import Counter
from pathlib import Path

from anywidget import AnyWidget
from traitlets import Dict, Int

from lipgan_colab.evaluation.judges.key import ANSWERS_FORMAT
from lipgan_colab.evaluation.judges.make import PAGE
from lipgan_colab.evaluation.judges.page import JudgesPage, read_page
from lipgan_colab.evaluation.judges.words import PAGE as SOURCES
from lipgan_colab.files import make_folder, written_whole

ANSWERS = "answers"  # folder beside the page


class Judging(AnyWidget):
    """A study that is answered here, by one judge after the other. An unfinished one goes on.

    Args:
        study: the folder of `judge make`.

    Attributes:
        answers: the folder that gets a file for each judge, written after each of their answers.
    """

    _esm = (
        f"{(SOURCES / 'judge.js').read_text(encoding='utf-8')}\n{(SOURCES / 'notebook.js').read_text(encoding='utf-8')}"
    )
    _css = (SOURCES / "judge.css").read_text(encoding="utf-8")
    study = Dict().tag(sync=True)
    words = Dict().tag(sync=True)
    state = Dict().tag(sync=True)
    form = Int().tag(sync=True)

    def __init__(self, study: str | Path):
        self._page: JudgesPage = read_page(Path(study, PAGE))
        self.answers = make_folder(Path(study, ANSWERS))
        forms = self._page.study["forms"]
        before = _before(self.answers, self._page.study["study"], len(forms))
        unfinished = [told for told in before if len(_trials(told)) < len(forms[told["form"]])]
        taken = Counter(told["form"] for told in before)
        form = min(range(len(forms)), key=lambda k: (taken[k], k))
        super().__init__(study=self._page.study, words=self._page.words, state=next(iter(unfinished), {}), form=form)
        self.on_msg(self._send_film)
        self.observe(self._keep, "state")

    def _send_film(self, _widget, message: dict, _buffers) -> None:
        name = str(message.get("film"))
        self.send({"film": name}, [self._page.film(name)])

    def _keep(self, _change) -> None:
        """Write what a judge has said; nothing before the first answer."""
        if not self.state.get("answers"):
            return
        told = {"format": ANSWERS_FORMAT, "study": self._page.study["study"]} | self.state
        name = "".join(letter for letter in str(self.state["judge"]) if letter.isalnum())[:32]
        with written_whole(self.answers / f"answers-{name}.json") as unfinished:
            unfinished.write_text(json.dumps(told), encoding="utf-8")


def _before(folder: Path, study: str, forms: int) -> list[dict]:
    """What judges have said here before, the newest first; files that are no such answers are passed over."""
    found = []
    for path in sorted(folder.glob("answers-*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["study"] == study and 0 <= told["form"] < forms and _trials(told):
                found.append(told)
        except (ValueError, KeyError, TypeError, OSError):
            continue  # `judge count` names it
    return found


def _trials(told: dict) -> set[int]:
    return {answer["trial"] for answer in told["answers"]}
