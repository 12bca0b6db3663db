"""Judges before this notebook: a study's page in a cell, whose answers go to the workspace at once."""

import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from anywidget import AnyWidget
from IPython.display import HTML
from traitlets import Dict, Int

from lipgan_colab.evaluation.judges.count import count_answers
from lipgan_colab.evaluation.judges.counted import PAGE as COUNTED
from lipgan_colab.evaluation.judges.key import ANSWERS_FORMAT, KEY, TRUTH
from lipgan_colab.evaluation.judges.make import CHECKS, PAGE, make_study
from lipgan_colab.evaluation.judges.page import JudgesPage, read_page
from lipgan_colab.evaluation.judges.words import PAGE as SOURCES
from lipgan_colab.files import fitting, make_folder, written_whole
from lipgan_colab.workspace import Workspace

ANSWERS = "answers"  # folder beside the page
STUDIES = "people"  # in a workspace: a folder a study
HIGH = 900  # pixels of the page that shows what the answers tell


def people_study(
    workspace: Workspace,
    name: str,
    compare: Sequence[str | Path],
    videos: str | Path,
    ids: Sequence[str],
    **about: object,
) -> Path:
    """The folder of a study for people, which is made if it is not there yet, of runs and of the truth.

    Args:
        name: of the study.
        compare: runs, files of weights, or names of published ones.
        videos, ids: the true clips.
        about: what else `make_study` is told.

    Raises:
        InputError: it cannot be made.
    """
    study = fitting(workspace.root / STUDIES / name.strip().replace("/", "-"))
    if (study / KEY).exists():
        print(f"{study}: this study is there already; another name makes another one")
        return study
    checks = min(CHECKS, len(ids) // 4)
    print(make_study([*map(str, compare), TRUTH], study, videos, ids, clips=len(ids), checks=checks, **about))
    return study


def counted(study: str | Path) -> HTML:
    """What the answers tell that lie in a study's folder, as the page that `count_answers` writes."""
    answers = make_folder(Path(study, ANSWERS))
    if not any(answers.iterdir()):
        return HTML(f"<p>No answers yet in {escape(str(answers))}.</p>")
    found = count_answers(study, [answers])
    page = escape((found.folder / COUNTED).read_text(encoding="utf-8"))
    print(found)
    return HTML(f'<div><iframe srcdoc="{page}" style="width: 100%; height: {HIGH}px; border: 0"></iframe></div>')


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
