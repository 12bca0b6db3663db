"""The menu's questions become studies that can be read, and nobody is judged by whom an arm learns from."""

import shutil

import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.study import read_study
from lipgan_colab.notebook import questions
from lipgan_colab.workspace import open_workspace


@pytest.fixture
def workspace(tmp_path):
    return open_workspace(tmp_path / "mine")


def test_a_study_is_written_as_the_form_asks_for_it(workspace, drawn_shards, drawn_videos, tmp_path):
    asked = {"clips": 1, "budget": {"samples": 500.0}, "seeds": 2, "base": {"width": 0.25}}
    weights, sync, judge = "lips", "sync expert", tmp_path / "judge"
    with pytest.raises(InputError, match="no clip to judge by that is not learnt from"):
        questions.write_study(workspace, weights, drawn_shards, drawn_videos, **asked)
    judge.mkdir()
    for name in ("a", "b"):
        shutil.copy(drawn_videos / "0_00.mp4", judge / f"{name}.mp4")
    study = read_study(questions.write_study(workspace, weights, drawn_shards, judge, **asked))
    assert study.title == "Does it help to weight the lips?" and study.shards == drawn_shards and study.seeds == (0, 1)
    assert study.names == ("base", "lips-2", "lips-6", "lips-12") and len(study.clips) == 1 and not study.held_out
    assert (study.budget, study.amount) == ("samples", 500)
    base = study.config("base", 0, 1)
    assert (base.width, base.lip_weight, base.edge_weight, base.references) == (0.25, 1, 0, "any")
    quick = questions.write_study(workspace, weights, drawn_shards, judge, **asked, quick=True)
    assert quick.stem == "lips_quick_try" and read_study(quick).config("base", 0, 1).width == 0.1  # whatever was asked
    with pytest.raises(InputError, match="sync_expert: is missing"):
        questions.write_study(workspace, sync, drawn_shards, judge, **asked)
    for question, (title, _) in questions.QUESTIONS.items():
        path = questions.write_study(workspace, question, drawn_shards, judge, **asked, sync_expert=tmp_path)
        assert read_study(path).title == title


def test_people_who_judge_are_not_learnt_from(workspace, tmp_path, monkeypatch):
    class Shards:
        def __init__(self, folder):
            self.clips = [{"id": f"s{n % 8}/{n}.mp4", "speaker": f"s{n % 8}"} for n in range(16)]

    monkeypatch.setattr(questions, "LipSyncDataset", Shards)
    for n in range(24):
        path = tmp_path / "judge" / f"s{n % 8}" / f"held{n}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    asked = {"clips": 4, "budget": {"steps": 5}, "seeds": 1}
    found = questions.write_study(workspace, "edges", tmp_path, tmp_path / "judge", **asked)
    study = read_study(found)
    assert len(study.held_out) == 2 and len(study.clips) == 4
    assert {clip.split("/")[0] for clip in study.clips} == set(study.held_out)
