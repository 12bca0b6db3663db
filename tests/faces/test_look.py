"""Whether two shots show the same person."""

from itertools import combinations

import numpy as np
import pytest
from seen_faces import frames_of

from lipgan_colab.faces.look import average, colours_differ, is_same, look

SPEAKERS = ("s1/bbwm7a.mpg", "s4/bgwo2a_360.mkv", "others/lbax4n.mpg", "others/swiz3n.mpg", "people/s33/s33_1.mpg")


@pytest.fixture(scope="module")
def seen(shared, finder):
    """`seen(name, change)`: what somebody of GRID looks like in a few frames that `change` was applied to."""

    def shot(name: str, first: int = 0, change=lambda frame: frame):
        frames = [change(frame) for frame in frames_of(shared / "data" / "grid" / name, 5)[first : first + 5]]
        return average([look(frame, finder.find(frame)[0]) for frame in frames])

    return shot


def test_five_people_are_five(seen):
    people = {name: seen(name) for name in SPEAKERS}
    assert not [(a, b) for a, b in combinations(SPEAKERS, 2) if is_same(people[a], people[b])]


@pytest.mark.parametrize("name", SPEAKERS)
def test_one_person_stays_the_same(seen, name):
    """Later in the clip, in a closer shot, and in another light."""
    before = seen(name)

    def closer(frame: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(frame[: frame.shape[0] * 3 // 4, frame.shape[1] // 8 : -frame.shape[1] // 8])

    def darker(frame: np.ndarray) -> np.ndarray:
        return (frame * 0.8).astype(np.uint8)

    for after in (seen(name, 9), seen(name, 9, closer), seen(name, 9, darker)):
        assert is_same(before, after)


def test_a_colour_out_of_the_picture_is_not_compared(shared, finder):
    frame = frames_of(shared / "data" / "grid" / SPEAKERS[0], 100)[0]
    box = finder.find(frame)[0].box.astype(int)
    face_alone = np.ascontiguousarray(frame[box[1] - 10 : box[3] + 10, box[0] - 10 : box[2] + 10])
    alone, whole = look(face_alone, finder.find(face_alone)[0]), look(frame, finder.find(frame)[0])
    assert np.isnan(alone.colours).sum() > np.isnan(whole.colours).sum()
    assert colours_differ(alone, whole) < 6
