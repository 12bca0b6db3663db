"""Subsets: repeatable, nested, balanced, and shown."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from lipgan_colab.corpora.corpus import Utterance, folder
from lipgan_colab.corpora.subset import measured, picture, read_ids, subset, table, write_ids
from lipgan_colab.errors import InputError


def corpus() -> list[Utterance]:
    """One talkative speaker of 90 clips, one of 30, and 12 of 5; clips of 2 to 6 s."""
    counts = {"a": 90, "b": 30, **{f"c{n}": 5 for n in range(12)}}
    clips = [(s, n) for s, count in counts.items() for n in range(count)]
    return [
        Utterance(f"{s}/{n}", Path(f"{s}/{n}.mp4"), speaker=s, duration=2.0 + (7 * i) % 5)
        for i, (s, n) in enumerate(clips)
    ]


def ids(drawn):
    return [u.id for u in drawn]


@pytest.mark.parametrize("balance", [None, "speaker"])
def test_the_same_for_the_same_seed_and_part_of_every_bigger_one(balance):
    clips = corpus()
    shuffled = random.Random(1).sample(clips, len(clips))
    few = subset(clips, utterances=20, seed=5, balance=balance)
    assert ids(subset(shuffled, utterances=20, seed=5, balance=balance)) == ids(few)
    assert ids(subset(clips, utterances=20, seed=6, balance=balance)) != ids(few)
    for bigger in ({"utterances": 60}, {"fraction": 0.5}, {"hours": 0.1}, {}):
        assert ids(subset(clips, **bigger, seed=5, balance=balance))[:20] == ids(few)


def test_one_lot_is_known_for_good():
    """What is drawn must not change with a release, a platform or a library."""
    assert ids(subset(corpus(), utterances=4, seed=0)) == ["a/50", "a/37", "a/32", "a/19"]


def test_sizes():
    clips = corpus()
    assert len(subset(clips, fraction=0.25)) == 45
    seconds = [u.duration for u in subset(clips, hours=0.1)]
    assert sum(seconds) >= 360 > sum(seconds[:-1])
    assert sorted(ids(subset(clips))) == sorted(ids(clips))


def test_balance_takes_turns():
    drawn = subset(corpus(), utterances=28, balance="speaker")
    assert {s: sum(u.speaker == s for u in drawn) for s in {u.speaker for u in drawn}} == {
        s: 2 for s in ["a", "b", *(f"c{n}" for n in range(12))]
    }
    plain = subset(corpus(), utterances=28)
    assert sum(u.speaker == "a" for u in plain) > 8


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ({"hours": 1, "utterances": 3}, "one size"),
        ({"utterances": 181}, "181 clips cannot be drawn from 180"),
        ({"utterances": 0}, "0 clips"),
        ({"fraction": 1.5}, "1.5"),
        ({"hours": -1}, "positive"),
        ({"hours": float("nan")}, "positive"),
        ({"fraction": float("nan")}, "fraction of nan"),
        ({"hours": 10}, "the corpus has 0.20"),
        ({"balance": "programme"}, "balance speaker"),
        ({"balance": "height"}, "height"),
    ],
)
def test_what_cannot_be_drawn(size, said):
    with pytest.raises(InputError, match=said):
        subset(corpus(), **size)


def test_lengths_are_looked_up_in_the_files(drawn_videos, tmp_path):
    clips = folder(drawn_videos)
    assert [round(u.duration, 2) for u in measured(clips)] == [1.0] * 4
    assert len(subset(clips, hours=1.5 / 3600)) == 2
    (tmp_path / "text.mp4").write_text("no video")
    assert measured(folder(tmp_path))[0].duration == 0
    with pytest.raises(InputError, match="unpacked"):
        subset([replace(clips[0], path=tmp_path / "missing.mp4")], hours=1)


def test_ids_travel_in_a_text_file(tmp_path):
    clips = [replace(u, id=f"{u.id} é") for u in corpus()[:3]]
    write_ids(tmp_path / "ids.txt", clips)
    assert read_ids(tmp_path / "ids.txt") == ids(clips)
    (tmp_path / "empty.txt").touch()
    for name in ("missing.txt", "empty.txt"):
        with pytest.raises(InputError, match=name):
            read_ids(tmp_path / name)


@pytest.mark.parametrize("content", [b"\0\0\0\x1cftypisom", "a.mp4".encode("utf-16-le"), b"\xff\xfea"])
def test_a_list_of_ids_that_is_none(tmp_path, content):
    (tmp_path / "ids.txt").write_bytes(content)
    for name in ("ids.txt", ".", "a\0b", "n" * 300):
        with pytest.raises(InputError, match="text file of ids"):
            read_ids(tmp_path / name)
    (tmp_path / "ids.txt").write_bytes("\ufeffa.mp4  \r\n\r\n b c.mp4\n".encode())
    assert read_ids(tmp_path / "ids.txt") == ["a.mp4", " b c.mp4"]


def test_a_full_disk_is_one_line(small_disk):
    clips = [replace(u, id=f"{u.id}{'x' * 200_000}") for u in corpus()[:8]]
    with pytest.raises(InputError, match=r"ids\.txt: not written \(No space left"):
        write_ids(small_disk / "ids.txt", clips)
    (small_disk / "filler").write_bytes(bytes(1012 << 10))
    with pytest.raises(InputError, match=r"drawn\.png: not written \(No space left"):
        picture(corpus(), small_disk / "drawn.png")
    assert [p.name for p in small_disk.iterdir()] == ["filler"]


def test_table_and_picture_show_what_was_drawn(tmp_path):
    drawn = subset(corpus(), utterances=100, balance="speaker")
    lines = table(drawn, 180).splitlines()
    minutes = sum(u.duration for u in drawn) / 60
    assert lines[0].startswith(f"100 of 180 clips, {minutes:.0f} minutes, 14 speakers")
    assert "2.0 / " in lines[1] and " / 6.0 s" in lines[1]
    assert lines[3].split()[0] in ("a", "b")
    assert lines[-1] == "… and 2 more"
    unknown = [replace(u, duration=None) for u in drawn]
    assert table(unknown, 180).startswith("100 of 180 clips, not unpacked yet, 14 speakers")
    picture(drawn, tmp_path / "drawn.png")
    with Image.open(tmp_path / "drawn.png") as image:
        assert image.width > 600
        assert image.convert("L").getextrema()[0] < 100  # something is drawn on it
