"""Cuts: scenes are told apart, and movement is not taken for a new one."""

from itertools import groupby

import cv2
import numpy as np
import pytest

from lipgan_colab.media.cuts import shot_numbers, thumbnail, with_cuts
from lipgan_colab.media.video import read_video, resample_frames

SAME = "bbal7s.mpg", "bbbf6n.mpg"  # one man, filmed again
BLACK = np.zeros((96, 128, 3), np.uint8)


def scene(seed, frames=40):
    """A picture in which something moves a little."""
    rng = np.random.default_rng(seed)
    still = cv2.resize(rng.integers(0, 256, (8, 10, 3), np.uint8), (128, 96), interpolation=cv2.INTER_CUBIC)
    film = []
    for k in range(frames):
        frame = still.copy()
        cv2.circle(frame, (60, 50 + round(2 * np.sin(k / 3))), 15, (200, 150, 120), -1)
        film.append(frame)
    return film


def mixed(a, b, frames):
    """Two scenes, the first one fading into the other."""
    parts = (np.arange(frames) + 1) / (frames + 1)
    between = [cv2.addWeighted(x, 1 - p, y, p, 0) for x, y, p in zip(a[-frames:], b[:frames], parts, strict=True)]
    return a[:-frames] + between + b[frames:]


def shots(frames, **options):
    """(number, frames) of each shot, and of what is between them."""
    return [(n, len(list(of))) for n, of in groupby(shot_numbers(map(thumbnail, frames), **options))]


def test_every_frame_comes_out_with_whether_a_scene_begins_there():
    film = scene(1) + scene(2) + [BLACK] * 5 + scene(3)
    out = list(with_cuts(film))
    assert [frame for frame, _ in out] == film
    assert [n for n, (_, begins) in enumerate(out) if begins] == [40, 80, 85]
    assert list(with_cuts([])) == []
    assert [begins for _, begins in with_cuts(film[:1])] == [False]


def test_shots_are_numbered_and_black_belongs_to_none():
    film = [BLACK] * 3 + scene(1) + [BLACK] * 5 + scene(2) + scene(3)[:4] + scene(1)
    assert shots(film) == [(None, 3), (1, 40), (None, 5), (2, 40), (3, 4), (4, 40)]
    assert shots([BLACK] * 90) == [(None, 90)]
    assert shots(scene(1)[:1]) == [(1, 1)] and shots([]) == []


@pytest.mark.parametrize("frames", [3, 5, 12, 25, 40])
def test_what_fades_into_another_scene_is_two_shots(frames):
    (one, before), (none, between), (two, after) = shots(mixed(scene(1, 70), scene(2, 70), frames))
    assert (one, none, two) == (1, None, 2)
    assert before + between + after == 140 - frames
    assert frames - 1 <= between <= 1.4 * frames + 3
    assert abs(before - after) <= 0.3 * frames + 4


@pytest.mark.parametrize("hold", [0, 1, 8])
@pytest.mark.parametrize("frames", [3, 12, 25])
def test_a_fade_to_black_and_back_is_two_shots(frames, hold):
    away = [(frame * (1 - (k + 1) / frames)).astype(np.uint8) for k, frame in enumerate(scene(1)[-frames:])]
    back = [(frame * (k / frames)).astype(np.uint8) for k, frame in enumerate(scene(2)[:frames])]
    told = shots(scene(1) + away + [BLACK] * hold + back + scene(2))
    assert [n for n, _ in told] == [1, None, 2]
    assert told[0][1] >= 40 and told[2][1] >= 40


def moved(film, shift):
    """The same from a camera that moves so many pixels a frame."""
    return [np.roll(frame, round(shift(k)), axis=1) for k, frame in enumerate(film)]


@pytest.mark.parametrize(
    "film",
    [
        moved(scene(1, 120), lambda k: min(60, max(0, 2 * (k - 30)))),  # it is turned to something else
        moved(scene(1, 120), lambda k: 6 * np.sin(k / 5)),  # and held in a hand
        [frame for frame in moved(scene(1, 120), lambda k: 1.5 * k)[::5] for _ in range(5)],  # over a bad line
        [np.roll(f, 3 * (k == 60), axis=1) for k, f in enumerate(scene(1, 120))],  # something shook it
        [*scene(1, 60), 125 + scene(1)[0] // 2, *scene(1, 60)],  # a flash
    ],
    ids=["pan", "hand", "stutter", "shake", "flash"],
)
def test_movement_is_no_cut(film):
    assert len(shots(film)) <= 2  # one too many costs nothing but that a clip becomes two
    assert sum(begins for _, begins in with_cuts(film)) <= 1


def test_the_threshold_is_what_it_says():
    other = [cv2.addWeighted(a, 0.8, b, 0.2, 0) for a, b in zip(scene(1), scene(2), strict=True)]
    step = float(np.abs(thumbnail(scene(1)[-1]) - thumbnail(other[0])).mean())
    for largest, count in ((step - 1, 2), (4 * step - 1, 2), (4 * step + 1, 1), (np.inf, 1)):
        assert len(shots(scene(1) + other, largest=largest)) == count


def test_real_people_are_told_apart_and_their_movement_is_no_cut(shared):
    """Two speakers before nearly the same background, one after the other; and each of them a moment later."""
    grid = shared / "data" / "grid" / "others"
    clips = [
        [f for f, _ in zip(resample_frames(read_video(p), 25), range(60), strict=False)]
        for p in sorted(grid.iterdir())[:4]
    ]
    for one, other in zip(clips, clips[1:] + clips[:1], strict=True):
        assert shots(one) == [(1, 60)]
        assert shots(one[:30] + other[:30]) == [(1, 30), (2, 30)]
        assert [n for n, _ in shots(mixed(one, other, 12))] == [1, None, 2]
    again, later = (list(resample_frames(read_video(grid.parent / "s1" / name), 25)) for name in SAME)
    assert shots(again[:30] + later[:30]) == [(1, 30), (2, 30)]


def test_the_black_between_is_dark_and_no_dark_room(shared):
    film = list(resample_frames(read_video(shared / "data" / "tricky" / "dark_swiz3n.mp4"), 25))
    assert shots(film) == [(1, 75)]
