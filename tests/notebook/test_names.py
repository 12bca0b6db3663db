"""Names in the notebooks' forms: what is there is found, and nothing is written over."""

import os
from datetime import datetime

import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.notebook.names import find_shards, find_weights, result_name, runs_named, shards_name, unused_name
from lipgan_colab.workspace import open_workspace


@pytest.fixture
def workspace(tmp_path):
    return open_workspace(tmp_path / "mine")


def test_no_name_is_taken_twice(tmp_path):
    names = []
    for _ in range(3):
        names.append(unused_name(tmp_path / "a.mp4"))
        names[-1].touch()
    assert [path.name for path in names] == ["a.mp4", "a-2.mp4", "a-3.mp4"]


def test_results_never_overwrite(tmp_path):
    now = datetime(2026, 1, 2, 3, 4, 5)
    for made, names in ((now, "me-hello-20260102-030405"), (None, "me-hello")):
        first = result_name(tmp_path, tmp_path / "me.jpg", "hello.wav", made)
        assert first.name == f"{names}.mp4"
        first.touch()
        assert result_name(tmp_path, tmp_path / "me.jpg", "hello.wav", made).name == f"{names}-2.mp4"


@pytest.mark.parametrize("letter", ["x", "ü", "ก", "क्षि", "👩‍👩‍👧", "e\u0301", "\udce9"])
def test_names_made_of_long_names_can_be_written(tmp_path, letter):
    long = letter * (250 // len(os.fsencode(letter))) + ".mp4"
    now = datetime(2026, 1, 2, 3, 4, 5)
    for name in (
        lambda: result_name(tmp_path, long, long, now),
        lambda: result_name(tmp_path, long, long),
        lambda: unused_name(tmp_path / f"evaluation-{long}"),
        lambda: unused_name(tmp_path / long),
    ):
        for ending in (".mp4", "-2.mp4"):
            made = name()
            assert not made.exists() and made.name.endswith(ending)
            made.touch()
            parts = made.stem.removesuffix("-2").removesuffix("-20260102-030405").removeprefix("evaluation-").split("-")
            assert all(part == letter * (len(part) // len(letter)) for part in parts)


def test_runs_are_named_in_a_line(workspace):
    for name in ("first", "my run", "second"):
        (workspace.runs / name).mkdir()
    for line, runs in {
        "": [""],
        "first second": ["first", "second"],
        "my run, second": ["my run", "second"],
        "my run": ["my run"],
        "wav2lip-gan first": ["wav2lip-gan", "first"],
    }.items():
        assert runs_named(workspace, line) == runs


def test_weights_are_a_run_a_file_or_a_published_name(workspace, tmp_path):
    with pytest.raises(InputError, match="no trained run"):
        find_weights(workspace)
    for n, name in enumerate(("newer", "older")):
        path = workspace.runs / name / "generator.safetensors"
        path.parent.mkdir()
        path.touch()
        os.utime(path, (1000 - n, 1000 - n))
    assert find_weights(workspace) == workspace.runs / "newer"
    assert find_weights(workspace, "older") == workspace.runs / "older"
    assert str(find_weights(workspace, "wav2lip-gan")) == "wav2lip-gan"


def test_shards_are_found_by_the_name_of_their_corpus(workspace):
    with pytest.raises(InputError, match="make some with 01_preprocess"):
        find_shards(workspace, "tiny_sample")
    for name in ("my_own_folder", "GRID"):
        (workspace.shards / name).mkdir()
        (workspace.shards / name / "shard-00000.safetensors").touch()
    (workspace.shards / "empty").mkdir()
    assert shards_name("my own folder") == "my_own_folder"
    assert find_shards(workspace, "my own folder") == find_shards(workspace, "my_own_folder")
    path = str(workspace.shards / "GRID")
    assert find_shards(workspace, path) == path
    for wrong in ("tiny_sample", "", "empty"):
        with pytest.raises(InputError, match=r"there are: GRID, my_own_folder$"):
            find_shards(workspace, wrong)
