"""Corpora: which clips there are, who speaks in them, and that splits never share a speaker or programme."""

import os

import pytest
from made_corpora import make_lrs2

from lipgan_colab.corpora.corpus import fingerprint, folder, grid, lrs2, only, split, without
from lipgan_colab.corpora.subset import read_ids, subset, table, write_ids
from lipgan_colab.errors import InputError


def test_folder_lists_videos_in_an_order_that_is_always_the_same(tmp_path):
    for name in ("b/2.mp4", "a/1.MPG", "b/notes.txt", "c.mkv", "a/._1.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    utterances = folder(tmp_path, licence="CC BY 4.0")
    assert [u.id for u in utterances] == ["a/1.MPG", "b/2.mp4", "c.mkv"]
    assert [u.speaker for u in utterances] == ["a", "b", "."]
    assert all(u.path.is_file() and u.licence == "CC BY 4.0" for u in utterances)


def test_leaving_out_a_clip_that_is_not_there_is_an_error(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "b.mp4").write_bytes(b"x")
    utterances = folder(tmp_path)
    assert [u.id for u in without(utterances, ["a.mp4"])] == ["b.mp4"]
    assert [u.id for u in only(utterances, ["b.mp4", "a.mp4"])] == ["b.mp4", "a.mp4"]
    with pytest.raises(InputError, match=r"A\.mp4"):
        without(utterances, ["A.mp4"])


def test_a_folder_without_videos_says_so(tmp_path):
    with pytest.raises(InputError, match="holds no video"):
        folder(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        folder(tmp_path / "missing")


def test_grid_knows_speakers_lengths_and_words(tmp_path):
    for name in ("s1/bbaf2n.mpg", "s4/lbax4n.mpg", "s4/swiz3n.mpg", "alignments/s4/swiz3n.align"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    clips = grid(tmp_path)
    assert [(u.id, u.speaker, u.duration, u.licence) for u in clips] == [
        ("s1/bbaf2n.mpg", "s1", 3.0, "CC BY 4.0"),
        ("s4/lbax4n.mpg", "s4", 3.0, "CC BY 4.0"),
        ("s4/swiz3n.mpg", "s4", 3.0, "CC BY 4.0"),
    ]
    assert [u.transcript for u in clips] == [None, None, tmp_path / "alignments" / "s4" / "swiz3n.align"]
    assert [u.id for u in grid(tmp_path, [4])] == [u.id for u in grid(tmp_path, ["s4"])] == [u.id for u in clips[1:]]
    with pytest.raises(InputError, match="s7 is not there, only s1, s4"):
        grid(tmp_path, [4, 7])


def test_grid_word_times_under_another_speakers_number(tmp_path):
    """As the open archive has them: a few sentences are said by both."""
    for name in ("s5/bbaf2n.mpg", "s5/lbax4n.mpg", "s6/swiz3n.mpg", "s6/bbaf2n.mpg", "s6/pwbx1s.mpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        place = tmp_path / "alignments" / {"s5": "s6", "s6": "s5"}[name[:2]]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name[3:9]}.align").touch()
    folders = {(u.speaker, u.transcript.parent.name) for u in grid(tmp_path)}
    assert folders == {("s5", "s6"), ("s6", "s5")}


def test_grid_beside_the_checkout(shared):
    clips = grid(shared / "data" / "grid", ["s1", "s4"])
    assert len(clips) == sum(1 for s in ("s1", "s4") for _ in (shared / "data" / "grid" / s).iterdir()) > 280
    assert {u.speaker for u in clips} == {"s1", "s4"}


def test_lrs2_by_its_lists(tmp_path):
    lists = {
        "train": ["100/00001", "100/00002", "200/00001"],
        "val": ["300/00001 NF", "300/00002 NF000015"],
        "test": ["400/00001 SNR"],
        "pretrain": ["500/00001"],
    }
    make_lrs2(tmp_path, lists)
    clips = lrs2(tmp_path, "train")
    assert [u.id for u in clips] == ["main/100/00001", "main/100/00002", "main/200/00001"]
    assert [(u.programme, u.group, u.speaker) for u in clips][-1] == ("200", "200", "")
    assert clips[0].path == tmp_path / "mvlrs_v1" / "main" / "100" / "00001.mp4"
    assert clips[0].transcript == clips[0].path.with_suffix(".txt")
    assert "research" in clips[0].licence
    assert [u.id for u in lrs2(tmp_path, "val")] == ["main/300/00001", "main/300/00002"]
    assert [u.id for u in lrs2(tmp_path, "train+pretrain")][-1] == "pretrain/500/00001"
    (tmp_path / "filelists").mkdir()
    (tmp_path / "test.txt").rename(tmp_path / "filelists" / "test.txt")
    assert [u.id for u in lrs2(tmp_path, "test")] == ["main/400/00001"]


def test_lrs2_splits_never_share_a_programme(tmp_path):
    lists = {
        "train": ["100/00001", "300/00009"],
        "val": ["300/00001"],
        "test": ["400/00001"],
        "pretrain": ["400/00005"],
    }
    make_lrs2(tmp_path, lists | {"pretrain": ["400/00005", "500/00001"]})
    with pytest.warns(UserWarning, match="1 clip of train left out"):
        assert [u.programme for u in lrs2(tmp_path, "train")] == ["100"]
    with pytest.warns(UserWarning, match="1 clip of pretrain left out"):
        assert [u.programme for u in lrs2(tmp_path, "pretrain")] == ["500"]
    assert [u.programme for u in lrs2(tmp_path, "test")] == ["400"]


def test_lrs2_before_and_after_unpacking(tmp_path):
    make_lrs2(tmp_path, {"train": ["100/00001", "200/00001"]}, unpacked=False)
    assert len(lrs2(tmp_path, "train", unpacked=False)) == 2
    with pytest.raises(InputError, match="none of the 2 clips of train"):
        lrs2(tmp_path, "train")
    make_lrs2(tmp_path, {"train": ["100/00001"]})
    (tmp_path / "train.txt").write_text("100/00001\n200/00001\n")
    with pytest.warns(UserWarning, match="1 of the 2 clips of train is there"):
        assert len(lrs2(tmp_path, "train")) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [("../../etc/passwd", "line 2"), ("100", "line 2"), ("/100/00001", "line 2"), ("", "val.txt is not")],
)
def test_lrs2_lists_that_are_none(tmp_path, line, said):
    make_lrs2(tmp_path, {"train": ["100/00001"]})
    (tmp_path / "train.txt").write_text(f"100/00001\n{line}\n")
    with pytest.raises(InputError, match=said):
        lrs2(tmp_path, "train" if line else "val")
    with pytest.raises(InputError, match="no split 'all'"):
        lrs2(tmp_path, "all")


def test_parts_of_a_corpus_share_no_speaker(tmp_path):
    for n in range(20):
        (tmp_path / f"s{n}").mkdir()
        (tmp_path / f"s{n}" / "a.mp4").touch()
        (tmp_path / f"s{n}" / "b.mp4").touch()
    parts = {name: split(folder(tmp_path), name, seed=3) for name in ("train", "val", "test")}
    speakers = {name: {u.speaker for u in part} for name, part in parts.items()}
    assert [len(part) for part in parts.values()] == [32, 4, 4]
    assert (
        not speakers["train"] & speakers["val"]
        | speakers["val"] & speakers["test"]
        | (speakers["train"] & speakers["test"])
    )
    with pytest.raises(InputError, match="at least three"):
        split(folder(tmp_path / "s1"), "train")


def test_fingerprint_is_of_the_set():
    assert fingerprint(["a", "b"]) == fingerprint(["b", "a"]) != fingerprint(["a", "c"])
    assert fingerprint(["a", "b"]) == "7e18f737311b2dc3"  # on every machine, today and tomorrow


def test_what_other_programs_hide_is_no_corpus(tmp_path):
    hidden = (".Trash-1000/files", ".ipynb_checkpoints", "s1/.git/x", "__MACOSX/s1", "s1/__MACOSX")
    for name in ("s1/a.mp4", *(f"{place}/b.mp4" for place in hidden), "s1/._a.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [u.id for u in folder(tmp_path)] == [u.id for u in grid(tmp_path)] == ["s1/a.mp4"]
    pretrain = tmp_path / "lrs2" / "mvlrs_v1" / "pretrain"
    for name in ("100/00001", ".Trash/00002", "100/._00001"):
        (pretrain / name).parent.mkdir(parents=True, exist_ok=True)
        (pretrain / f"{name}.mp4").touch()
    assert [u.id for u in lrs2(tmp_path / "lrs2", "pretrain")] == ["pretrain/100/00001"]


def test_names_need_not_be_text(tmp_path):
    names = [b"caf\xe9.mp4", b" two  blanks .mp4", "日\u2028本\x85.mp4".encode(), b"n" * 251 + b".mp4"]
    for name in names:
        with open(os.fsencode(tmp_path) + b"/" + name, "w"):
            pass
    clips = folder(tmp_path)
    assert {u.id for u in clips} == set(map(os.fsdecode, names))
    write_ids(tmp_path / "ids.txt", clips)
    assert only(clips, read_ids(tmp_path / "ids.txt")) == clips
    assert len(subset(clips, utterances=2)) == 2 and len(fingerprint(u.id for u in clips)) == 16
    assert table(clips, 4)


def test_a_name_with_a_line_break_fits_into_no_list(tmp_path):
    for name in ("a.mp4", "b\nc.mp4", "d\r.mp4"):
        (tmp_path / name).touch()
    with pytest.warns(UserWarning, match="2 videos left out, for their names have a line break") as told:
        assert [u.id for u in folder(tmp_path)] == ["a.mp4"]
    assert "\n" not in str(told[0].message)


def test_an_ids_suffix_may_be_left_out(tmp_path):
    for name in ("s1/a.mp4", "s1/b.mp4", "s1/b.avi", "s1/c.d.mov"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    clips = folder(tmp_path)
    assert [u.id for u in only(clips, ["s1/c.d", " s1/a", "s1/a.mp4"])] == ["s1/c.d.mov", "s1/a.mp4"]
    assert [u.id for u in without(clips, ["s1/a", "s1/b.avi"])] == ["s1/b.mp4", "s1/c.d.mov"]
    with pytest.raises(InputError, match=r"s1/b: means s1/b\.avi and s1/b\.mp4"):
        only(clips, ["s1/b"])
    with pytest.raises(InputError, match=r"s1/a\.avi: not in the corpus"):
        only(clips, ["s1/a.avi"])


def test_a_list_that_is_no_text(tmp_path):
    make_lrs2(tmp_path, {"train": ["100/00001"]})
    (tmp_path / "train.txt").write_bytes("100/00001\n100/ü".encode("latin-1"))
    with pytest.raises(InputError, match=r"train\.txt: line 2 is no PROGRAMME/UTTERANCE"):
        lrs2(tmp_path, "train")
    (tmp_path / "train.txt").write_bytes(b"\0\0\0\x1cftypisom")
    with pytest.raises(InputError, match=r"train\.txt: cannot be read as a list \(not a text file\)"):
        lrs2(tmp_path, "train")
    for place in ("a\0b", "n" * 300):
        for corpus in (folder, lrs2):
            with pytest.raises(InputError, match="no such folder"):
                corpus(tmp_path / place)
