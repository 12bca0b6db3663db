"""What only the notebooks use: clips as a form asks for them, a run shown in place, names not taken yet."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_corpora import split, tar

from lipgan_colab.corpora.corpus import Utterance, folder
from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.measures import MEASURES
from lipgan_colab.evaluation.scores import VARIANTS, ClipScores, Evaluation
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.weights import load_generator, save_generator
from lipgan_colab.notebook import cells
from lipgan_colab.training.runs import write_config
from lipgan_colab.training.step import TrainConfig, generator_config, quick_try
from lipgan_colab.workspace import open_workspace


@pytest.fixture
def workspace(tmp_path):
    return open_workspace(tmp_path / "mine")


@pytest.fixture
def clips(tmp_path) -> list[Utterance]:
    """Twelve clips of a minute each, of three speakers; what is in them does not matter here."""
    for n in range(12):
        path = tmp_path / "videos" / f"s{n % 3}" / f"{n:02}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([n]) * 100)
    return [replace(u, duration=60.0) for u in folder(tmp_path / "videos")]


def test_your_own_folder_and_what_can_be_wrong(workspace, drawn_videos):
    assert len(cells.get_corpus(workspace, "my own folder", videos=drawn_videos)) == 4
    for corpus, said in (("my own folder", "path is missing"), ("LRS2", "missing"), ("VoxCeleb", "there is no corpus")):
        with pytest.raises(InputError, match=said):
            cells.get_corpus(workspace, corpus)


def test_the_sample_is_drawn_once(workspace, monkeypatch):
    sample = workspace.local / "raw" / "tiny_sample"
    sample.mkdir(parents=True)
    (sample / "0_00.mp4").write_bytes(b"drawing was interrupted")
    monkeypatch.setattr(cells, "SAMPLE_CLIPS", 2)
    first = cells.get_corpus(workspace, "tiny sample")
    assert len(first) == 2 and {u.licence for u in first} == {"drawn by lipgan_colab"}
    before = {u.path: u.path.stat().st_mtime_ns for u in first}
    assert {u.path: u.path.stat().st_mtime_ns for u in cells.get_corpus(workspace, "tiny sample")} == before


def test_of_lrs2_only_what_is_drawn_is_unpacked(workspace, tmp_path, monkeypatch):
    names = [f"{programme}/{n:05}" for programme in (100, 200, 300) for n in range(2)]
    split(
        tar({f"mvlrs_v1/main/{name}{s}": name.encode() for name in names for s in (".mp4", ".txt")}), tmp_path / "parts"
    )
    (tmp_path / "parts" / "train.txt").write_text("".join(f"{name}\n" for name in names))
    monkeypatch.setattr(cells, "LRS2_CLIPS_PER_HOUR", 3)
    with pytest.warns(UserWarning, match="3 of the 6 clips"):
        drawn = cells.get_corpus(workspace, "LRS2", hours=1, parts=str(tmp_path / "parts"))
    assert {u.programme for u in drawn} == {"100", "200", "300"} and len(drawn) == 3
    assert len(list((workspace.local / "raw" / "lrs2").rglob("*.mp4"))) == 3
    assert len(cells.get_corpus(workspace, "LRS2", parts=str(tmp_path / "parts"))) == 6


def test_addresses_longer_than_a_name_can_be(workspace, web):
    workspace.raw.joinpath("lrs2").mkdir()
    for name in ("train", "val", "test", "pretrain"):
        (workspace.raw / "lrs2" / f"{name}.txt").write_text("1/00001\n" if name == "train" else "")
    with pytest.raises(InputError, match=r"lrs2\.tar") as told:
        cells.get_corpus(workspace, "LRS2", parts=f"{web.url}/lrs2.tar?X-Amz-Signature={'s3cret' * 60}")
    assert "s3cret" not in str(told.value)


def test_what_is_held_back_stays_held_back(clips, tmp_path):
    held, rest = cells.hold_back(clips[:8], 2, tmp_path / "held")
    assert len(held) == 2 and len(rest) == 6 and not {u.id for u in held} & {u.id for u in rest}
    assert [u.path.read_bytes() for u in folder(tmp_path / "held")] == [
        u.path.read_bytes() for u in sorted(held, key=lambda u: u.id)
    ]
    more, others = cells.hold_back(clips, 3, tmp_path / "held", seed=5)
    assert {u.id for u in more} == {u.id for u in held} and len(others) == 10
    assert cells.hold_back(clips, 0, tmp_path / "none") == ([], clips)
    assert len(cells.hold_back(clips, 100, tmp_path / "many")[0]) == 3  # a quarter, or nothing would be left
    assert len(cells.some_clips(tmp_path / "many", 2)) == 2
    assert {i.split("/")[0] for i in cells.some_clips(tmp_path / "many", 9)} == {"s0", "s1", "s2"}


def test_more_hours_begin_with_the_same_clips(clips):
    few, more, everything = (cells.draw(clips, hours) for hours in (0.05, 0.1, 0))
    assert [len(few), len(more), len(everything)] == [3, 6, 12]
    assert everything[:6] == more and more[:3] == few
    assert {u.speaker for u in few} == {"s0", "s1", "s2"}
    assert len(cells.draw(clips, hours=100, balance=False)) == 12


def test_a_run_is_as_wide_as_what_it_begins_with(workspace, tmp_path):
    run = tmp_path / "new"
    start = cells.find_start(workspace, " starter")
    assert str(start) == "lipgan-starter" and cells.find_start(workspace, " ") is None
    config = cells.run_config(run, start, width=0.25, steps=7)
    assert generator_config(config) == load_generator("lipgan-starter").config and config.steps == 7
    assert cells.run_config(run, Path("starter"), width=0.25) == TrainConfig(width=0.25)  # motion: train says so
    run.mkdir()
    write_config(run, {"most_channels": 112})
    assert cells.run_config(run, None).most_channels == 112  # it goes on as it was begun


def test_an_export_has_its_step_in_its_name(workspace, tmp_path):
    network = LipGANGenerator(GeneratorConfig(0.02))
    save_generator(tmp_path / "generator.safetensors", network, {"step": 7})
    exported = cells.export(tmp_path / "generator.safetensors", "first", workspace.results)
    assert exported.name == "first-step-7.safetensors"
    before = (tmp_path / "generator.safetensors").read_bytes()
    assert exported.read_bytes() == before
    save_generator(tmp_path / "generator.safetensors", network, {"step": 9})  # training goes on
    assert exported.read_bytes() == before


def test_a_full_disk_is_one_line(clips, small_disk):
    (small_disk / "filler").write_bytes(bytes(1020 << 10))
    with pytest.raises(InputError, match=r"not written \(No space left on device\)"):
        cells.hold_back(clips, 3, small_disk / "held")
    with pytest.raises(InputError, match=r"(not written|cannot be made) \(No space left on device\)"):
        cells.draw_corpus(small_disk / "drawn", clips=1, seconds=1.0)


def test_runs_stand_side_by_side(tmp_path):
    clips = [ClipScores("a", "", 75, 0.0, {v: {m: n + 0.25 for m in MEASURES} for n, v in enumerate(VARIANTS)}, {})]
    table = cells.side_by_side(
        {"first": Evaluation(tmp_path, clips, []), "a long name": Evaluation(tmp_path, clips, [])}
    )
    head, *lines = table.splitlines()
    assert head.split() == ["true", "still", "first", "a", "long", "name"]
    assert [line.split()[0] for line in lines] == list(MEASURES)
    assert all(line.split()[1:] == ["2.250", "3.250", "0.250", "0.250"] for line in lines)


def test_what_was_chosen_is_trained(tmp_path, monkeypatch):
    called = []
    for name in ("train", "train_motion"):
        monkeypatch.setattr(cells, name, lambda *given, name=name, **named: called.append((name, given, named)))
    alike = {"save_minutes": 5, "take_over": False}
    for what in cells.KINDS:
        cells.train_chosen(what, "shards", tmp_path, TrainConfig(), **alike, max_hours=3)
    quick, motion, lipgan = called
    assert quick[:2] == ("train", ("shards", tmp_path, quick_try()))
    assert motion == ("train_motion", ("shards", tmp_path), alike)
    hours = {"preview_every": 200, "max_hours": 3, "watched": True}
    assert lipgan == ("train", ("shards", tmp_path, TrainConfig()), alike | hours)
    with pytest.raises(InputError, match="there is no kind 'painting'; choose one of quick"):
        cells.train_chosen("painting", "shards", tmp_path, TrainConfig(), **alike)


def test_the_form_offers_what_can_be_trained():
    form = (Path(__file__).parents[2] / "notebooks" / "sources" / "02_train.md").read_text()
    assert all(f'"{kind}"' in form for kind in cells.KINDS)
