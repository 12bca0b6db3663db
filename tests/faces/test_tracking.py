"""One person followed: never taken for another, smoothed without lag, gaps filled."""

import numpy as np
import pytest
from seen_faces import blank, boxed, frames_of, movement

from lipgan_colab.errors import InputError
from lipgan_colab.faces import tracking
from lipgan_colab.faces.face import centres
from lipgan_colab.faces.following import FORGET


class Scripted:
    """A finder that answers what it was told to, frame by frame."""

    def __init__(self, answers):
        self.answers = iter(answers)

    def find(self, frame):
        return next(self.answers)


def test_two_people_are_never_swapped(shared, finder):
    frames = frames_of(shared / "data" / "tricky" / "two_faces_s1_s4.mp4", 3)
    track = tracking.track(iter(frames), finder)
    middles = np.array([centres(face.box)[0] for face in track])
    assert len(track) == len(frames)
    assert np.ptp(middles) < 40  # they are 360 apart
    big = tracking.track(frames_of(shared / "data" / "tricky" / "two_faces_small_big.mp4", 10), finder)
    assert all(face.box[2] - face.box[0] > 180 for face in big)


def test_face_that_leaves_is_missing_and_comes_back(shared, finder):
    track = tracking.track(frames_of(shared / "data" / "tricky" / "face_leaves_swiz3n.mp4", 3), finder)
    missing = [i for i, face in enumerate(track) if face is None]
    assert missing and missing == list(range(missing[0], missing[-1] + 1))
    assert missing[0] > 0 and missing[-1] < len(track) - 1
    filled = tracking.fill_gaps(track)
    assert [i for i, face in enumerate(filled) if not face.found] == missing


def test_bystander_is_not_taken_for_the_one_followed():
    mine, other = boxed(100, 100, 200, 200), boxed(300, 100, 390, 190)
    answers = [[mine, other]] * 3 + [[other]] * 40 + [[other, mine]] * 2
    track = tracking.track(blank(45), Scripted(answers))
    assert [face is mine for face in track] == [True] * 3 + [False] * 40 + [True] * 2
    assert track[3:43] == [None] * 40


def test_larger_newcomer_does_not_take_over():
    mine, newcomer = boxed(100, 100, 200, 200), boxed(300, 100, 600, 400)
    track = tracking.track(blank(4), Scripted([[], [mine], [newcomer, mine], [newcomer, mine]]))
    assert track[0] is None and all(face is mine for face in track[1:])


def test_face_is_followed_over_a_cut_and_back_elsewhere():
    here, there = boxed(100, 100, 200, 200), boxed(500, 300, 700, 500)
    track = tracking.track(blank(5), Scripted([[here], [there], [], [], [here]]))
    assert [face and tuple(face.box) for face in track] == [
        tuple(here.box),
        tuple(there.box),
        None,
        None,
        tuple(here.box),
    ]


def test_cut_from_two_people_to_one_elsewhere_is_followed():
    mine, other, third = boxed(100, 100, 200, 200), boxed(300, 100, 400, 200), boxed(400, 100, 500, 200)
    track = tracking.track(blank(4), Scripted([[mine, other]] * 2 + [[third]] * 2))
    assert track[2] is third and track[3] is third


def test_bystander_who_left_long_ago_is_forgotten():
    mine, other = boxed(100, 100, 200, 200), boxed(300, 100, 390, 190)
    for away, then in ((2, None), (FORGET + 1, other)):
        track = tracking.track(blank(away + 3), Scripted([[mine, other]] * 2 + [[mine]] * away + [[other]]))
        assert track[-1] is then


def test_smoothing_neither_lags_nor_crosses_gaps_and_jumps():
    moving = [boxed(i, 0, 100 + i, 100) for i in range(8)]
    smooth = tracking.smooth_boxes(moving)
    np.testing.assert_allclose([f.box for f in smooth], [f.box for f in moving], atol=1e-4)
    still, far = boxed(0, 0, 100, 100), boxed(300, 0, 400, 100)
    cut = tracking.smooth_boxes([still] * 4 + [far] * 4 + [None] + [still] * 3)
    assert cut[8] is None
    np.testing.assert_array_equal(cut[3].box, still.box)
    np.testing.assert_array_equal(cut[4].box, far.box)
    np.testing.assert_array_equal(cut[9].box, still.box)
    rng = np.random.default_rng(0)
    noisy = [boxed(*(np.array([0, 0, 100, 100]) + rng.normal(0, 1, 4))) for _ in range(50)]
    before = np.stack([f.box for f in noisy])
    assert movement(np.stack([f.box for f in tracking.smooth_boxes(noisy)])) < 0.5 * movement(before)


def test_gaps_are_filled_linearly_and_held_at_the_ends():
    marks = np.ones((478, 2), np.float32)
    a, b = boxed(0, 0, 10, 10, landmarks=marks), boxed(4, 8, 14, 18, landmarks=5 * marks)
    filled = tracking.fill_gaps([None, a, None, None, None, b, None])
    assert [f.found for f in filled] == [False, True, False, False, False, True, False]
    np.testing.assert_array_equal([f.box[0] for f in filled], [0, 0, 1, 2, 3, 4, 4])
    np.testing.assert_array_equal(filled[3].box, [2, 4, 12, 14])
    np.testing.assert_array_equal(filled[3].landmarks, 3 * marks)
    assert filled[3].box.dtype == filled[3].landmarks.dtype == np.float32
    for nothing in ([], [None, None]):
        with pytest.raises(InputError, match="no face"):
            tracking.fill_gaps(nothing)
