"""Who is held out to measure by."""

import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.shards.held_out import held_out_ids

FIVE = {f"{speaker}{n}": speaker for speaker in "abcde" for n in range(2)}


def speakers(asked, clips=FIVE, seed=0) -> set[str]:
    return {clips[name] for name in held_out_ids(clips, asked, seed)}


def test_who_is_held_out():
    assert len(speakers("auto")) == 2 and speakers("auto") == speakers("auto", dict(reversed(FIVE.items())))
    assert {frozenset(speakers("auto", seed=seed)) for seed in range(9)} != {frozenset(speakers("auto"))}
    assert speakers("a, c") == {"a", "c"} and len(held_out_ids(FIVE, "a, c", 0)) == 4
    assert speakers("none") == speakers("0") == set() and len(speakers("0.4")) == 2
    few = dict(list(FIVE.items())[:4])
    assert len(held_out_ids(few, "auto", 0)) == 1
    assert held_out_ids(dict(list(FIVE.items())[:2]), "auto", 0) == set()
    with pytest.raises(InputError, match="no clip of nobody; give a share from 0 to 1, or some of: a, b"):
        held_out_ids(FIVE, "nobody", 0)
    with pytest.raises(InputError, match="film each person in a subfolder of their own"):
        held_out_ids(dict.fromkeys(FIVE, ""), "anna", 0)


def test_no_one_with_a_large_share_is_held_out():
    clips = {f"a{n}": "a" for n in range(4)} | {f"{speaker}1": speaker for speaker in "bcde"}
    assert all("a" not in speakers("auto", clips, seed) for seed in range(20))


def test_a_film_is_held_out_with_all_of_its_clips_or_not_at_all():
    films = {"a.mp4": 12, "b.mp4": 9, "c.mp4": 9, "d.mp4": 1, "e#1.mp4": 9}
    clips = {f"{film}#{n}" if count > 1 else film: "one" for film, count in films.items() for n in range(1, count + 1)}
    for seed in range(20):
        held = held_out_ids(clips, "auto", seed)
        assert 0 < len(held) <= len(clips) / 4
        assert all(len({name in held for name in clips if name.startswith(film)}) == 1 for film in films)
    assert held_out_ids({f"only.mp4#{n}": "one" for n in range(1, 90)}, "auto", 0) == set()
