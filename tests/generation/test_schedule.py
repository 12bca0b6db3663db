"""When everybody speaks: stretches of a film, how long results are, and what has no time."""

from fractions import Fraction

import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.generation.schedule import scheduled, shortened, strength
from lipgan_colab.generation.turns import Turn

FPS = Fraction(25)


def schedule_of(*turns, seconds=(2.0,), film=10.0, keep="speech", fps=FPS):
    return scheduled(turns, seconds, fps, film, keep)


@pytest.mark.parametrize(
    ("turn", "stretch"),
    [
        ({"from_": 4}, (100, 150, 100)),  # as long as the speech
        ({"from_": 4, "to": 5}, (100, 125, 100)),
        ({"to": "1:00"}, (0, 250, 0)),  # no longer than the film
        ({"from_": "4", "to": "8", "speech_at": "5.0"}, (100, 200, 125)),
        ({"speech_at": "75f"}, (75, 125, 75)),
        ({"from_": 9}, (225, 250, 225)),
    ],
)
def test_a_stretch_of_a_film_is_dubbed_and_the_film_stays_as_long_as_it_is(turn, stretch):
    schedule = schedule_of(Turn("a.wav", **turn))
    (one,) = schedule.stretches
    assert (one.first, one.end, one.begins) == stretch
    assert schedule.frames == 250 and schedule.keeps_film


@pytest.mark.parametrize(
    ("film", "keep", "frames", "keeps"),
    [(10.0, "speech", 50, False), (10.0, "film", 250, True), (1.0, "speech", 50, False), (None, "film", 50, False)],
)
def test_without_a_stretch_the_speech_or_the_film_says_how_long(film, keep, frames, keeps):
    schedule = schedule_of(Turn("a.wav"), film=film, keep=keep)
    assert (schedule.frames, schedule.keeps_film) == (frames, keeps)
    assert (schedule.stretches[0].first, schedule.stretches[0].end) == (0, frames)


def test_what_has_no_room_is_told():
    assert schedule_of(Turn("a.wav", from_=9.0)).stretches[0].unheard == pytest.approx(1.0)
    assert schedule_of(Turn("a.wav", from_=9.0, to=9.5)).stretches[0].unheard == pytest.approx(1.48)
    assert schedule_of(Turn("a.wav", from_=3.0)).stretches[0].unheard == 0


def test_two_may_speak_at_once_and_a_photo_may_have_a_conversation():
    schedule = schedule_of(Turn("a.wav", 0), Turn("b.wav", 1), seconds=(2.0, 3.0), film=None)
    assert schedule.frames == 75 and [one.end for one in schedule.stretches] == [75, 75]
    schedule = schedule_of(Turn("a.wav", 0, 0, 2), Turn("b.wav", 1, 2), seconds=(3.0, 3.0), film=None)
    assert [(one.first, one.end) for one in schedule.stretches] == [(0, 50), (50, 125)] and schedule.frames == 125
    assert schedule.dubbed == [(0, 125)]


@pytest.mark.parametrize(
    ("turns", "wrong"),
    [
        ([Turn("a.wav", from_=10)], "from_ 10 of a.wav is not in the film: it ends after 10.00 s"),
        ([Turn("a.wav", speech_at=11)], "speech_at 11 of a.wav is not in the film"),
        ([Turn("a.wav", from_=5, to=4)], "no time to speak in"),
        ([Turn("a.wav", from_=5, to=6, speech_at=7)], "no time to speak in"),
        (
            [Turn("a.wav", from_=5, speech_at=3, listed="t.csv: line 2")],
            "t.csv: line 2: speech_at 3 comes before from_ 5",
        ),
        ([Turn("a.wav", 1, 1, 4), Turn("b.wav", 1, 3, 5)], r"person 1 has two turns at once \(3-4 s\)"),
    ],
)
def test_what_cannot_be_is_told(turns, wrong):
    with pytest.raises(InputError, match=wrong):
        scheduled(turns, [2.0] * len(turns), FPS, 10.0, "speech")


def test_a_mouth_goes_over_into_what_is_said_and_back():
    parts = [strength(n, [(100, 120)], 250) for n in range(98, 122)]
    assert parts[:6] == [0, 0, 0.25, 0.5, 0.75, 1] and parts[::-1] == parts
    assert strength(0, [(0, 20)], 250) == 1 and strength(249, [(200, 250)], 250) == 1  # nothing was there before


def test_half_a_frame_goes_the_same_way_at_both_ends():
    (one,) = schedule_of(Turn("a.wav", from_=0.5, to=1.5)).stretches
    assert (one.first, one.end) == (13, 38)


def test_a_preview_begins_where_the_dubbing_does():
    schedule = shortened(schedule_of(Turn("a.wav", from_=4, to=9)), 3.0, FPS)
    assert (schedule.first, schedule.frames, schedule.stretches[0].end) == (100, 175, 175)
    turns = [Turn("a.wav", 0, 0, 2), Turn("b.wav", 1, 5, 7)]
    schedule = shortened(scheduled(turns, [2.0, 2.0], FPS, 10.0, "speech"), 3.0, FPS)
    assert [one.person for one in schedule.stretches] == [0] and schedule.frames == 75
    late = shortened(schedule_of(Turn("a.wav", from_=3, speech_at=5), film=None), 3.0, FPS)
    assert (late.first, late.frames) == (125, 175)
