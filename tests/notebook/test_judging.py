"""Judges before the notebook: what the page says reaches the workspace, and goes on after a break."""

import json

import pytest

from lipgan_colab.evaluation.judges.key import Key, ShownFilm, Trial, write_key
from lipgan_colab.evaluation.judges.page import write_page
from lipgan_colab.evaluation.judges.words import read_words
from lipgan_colab.notebook.judging import Judging


@pytest.fixture
def study(tmp_path):
    """A study of three forms of two trials; its films are not played here."""
    films = {f"{n}abc": ShownFilm(f"clip {n // 2}", "ab"[n % 2], 1.0) for n in range(4)}
    forms = tuple((Trial(("0abc", "1abc")), Trial(("3abc", "2abc"))) for _ in range(3))
    key = Key("0123", "Which?", "pairs", ("sync",), ("a", "b"), films, forms)
    for name in films:
        (tmp_path / f"{name}.mp4").write_bytes(f"film {name}".encode())
    write_page(tmp_path / "study/page", key, read_words(), {name: tmp_path / f"{name}.mp4" for name in films})
    write_key(tmp_path / "study/key.json", key)
    return tmp_path / "study"


def says(widget, judge, form, *trials):
    """What the page sets when a judge has answered."""
    answers = [{"trial": t, "question": "sync", "answer": "left", "seconds": 3.0, "plays": [1, 1]} for t in trials]
    widget.state = {"judge": judge, "form": form, "name": "", "consent": True, "answers": answers}


def test_each_answer_is_written_and_a_break_does_no_harm(study):
    first = Judging(study)
    assert first.form == 0 and first.state == {} and first.words["start"] == "Start"
    says(first, "a" * 32, 0)  # agreed, and nothing answered yet
    assert list(first.answers.iterdir()) == []
    says(first, "a" * 32, 0, 0)
    (path,) = first.answers.iterdir()
    told = json.loads(path.read_text())
    assert told["study"] == "0123" and told["format"] == "lipgan_colab/judge-answers/1" and len(told["answers"]) == 1
    again = Judging(study)  # the cell is run again
    assert again.state["judge"] == "a" * 32 and len(again.state["answers"]) == 1
    says(again, "a" * 32, 0, 0, 1)
    assert len(json.loads(path.read_text())["answers"]) == 2
    third = Judging(study)  # who has finished is not asked again; the next judge has the next form
    assert third.state == {} and third.form == 1
    (third.answers / "answers-broken.json").write_text('{"study": "0123"')
    (third.answers / "answers-foreign.json").write_text('{"study": "9", "form": 2, "answers": [{"trial": 0}]}')
    (third.answers / "answers-odd.json").write_text('{"study": "0123", "form": 77, "answers": [{"trial": 0}]}')
    assert Judging(study).form == 1


def test_films_come_one_by_one(study):
    widget, sent = Judging(study), []
    widget.send = lambda content, buffers: sent.append((content, buffers))
    widget._handle_custom_msg({"film": "2abc"}, [])
    assert sent == [({"film": "2abc"}, [b"film 2abc"])]
