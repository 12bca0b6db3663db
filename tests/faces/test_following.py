"""Who is followed: a face that can be used, after a cut nobody else, and of several people each."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import xxhash
from seen_faces import frames_of

from lipgan_colab.faces import following
from lipgan_colab.faces.face import Face, centres
from lipgan_colab.faces.following import AFTER_CUTS, Sight, Wanted, chosen, follow, follow_all
from lipgan_colab.media.cuts import with_cuts
from lipgan_colab.media.image import read_image

CAREFUL = Wanted(after_cuts="same", largest_yaw=45, any_face=False)


class LooksOnce:
    """A finder that looks at no picture twice."""

    def __init__(self, finder):
        self.found = {}
        self.finder = finder

    def find(self, frame: np.ndarray) -> list[Face]:
        key = frame.shape, xxhash.xxh3_128_digest(np.ascontiguousarray(frame))
        if key not in self.found:
            self.found[key] = self.finder.find(frame)
        return self.found[key]


@pytest.fixture(scope="module", name="finder")
def finder_that_looks_once(finder):
    return LooksOnce(finder)


@pytest.fixture(scope="module")
def shot(shared):
    """`shot(name, first, count)`: frames of a clip of GRID, all of one size."""

    def frames(name: str, first: int = 0, count: int = 20) -> list[np.ndarray]:
        return [cv2.resize(f, (360, 288)) for f in frames_of(shared / "data" / "grid" / name)[first : first + count]]

    return frames


def followed(finder, shots: list[list[np.ndarray]], wanted: Wanted = CAREFUL) -> list[int]:
    """In how many frames of each shot the person is seen, of a film that is cut together from them."""
    film = with_cuts(frame for one in shots for frame in one)
    faces = iter([face for _, face in follow((Sight(f, finder.find(f), cut) for f, cut in film), wanted, finder)])
    return [sum(next(faces) is not None for _ in one) for one in shots]


def test_after_a_cut_somebody_else_is_left_alone(finder, shot):
    shots = [shot("s1/bbwm7a.mpg"), shot("s4/bgwo2a_360.mkv"), shot("s1/bbwm7a.mpg", 30), shot("others/swiz3n.mpg")]
    assert followed(finder, shots) == [20, 0, 20, 0]
    assert followed(finder, shots, replace(CAREFUL, after_cuts="anybody")) == [20, 20, 20, 20]


def test_over_jump_cuts_the_person_is_the_same(finder, shot):
    """From the first frame of each shot on."""
    shots = [shot("people/s31/lbig7s.mpg"), shot("people/s31/prwa4n.mpg"), shot("people/s31/lbig7s.mpg", 40)]
    closer = [np.ascontiguousarray(cv2.resize(f[:230, 36:324], (360, 288))) for f in shot("people/s31/bgiq6p.mpg")]
    assert followed(finder, [*shots, closer]) == [20, 20, 20, 20]


@pytest.mark.parametrize("frames", [1, 10])
def test_who_comes_in_a_fade_is_not_the_person_either(finder, shot, frames):
    """Neither a cut nor a jump tells of it: the next face is where the last one was. Afterwards it cuts back."""
    mine, other = shot("s1/bbwm7a.mpg", 0, 25 + frames), shot("s4/bgwo2a_360.mkv", 0, 25 + frames)
    parts = (np.arange(frames) + 1) / (frames + 1)
    fade = [cv2.addWeighted(a, 1 - p, b, p, 0) for a, b, p in zip(mine[25:], other, parts, strict=False)]
    before, _, after, back = followed(finder, [mine[:25], fade, other[frames:], shot("s1/bbwm7a.mpg", 40)])
    assert before >= 22 and after <= 2 and back == 20


def test_in_a_fade_the_person_may_be_elsewhere_at_once(finder, shot):
    """For a while both are seen; and before all that a film may show nobody."""
    mine, later = shot("s1/bbwm7a.mpg", 0, 33), shot("s1/bbwm7a.mpg", 36, 33)
    empty = np.full_like(mine[0], 120)
    left, right = (
        [np.hstack(pair) for pair in pairs] for pairs in (((f, empty) for f in mine), ((empty, f) for f in later))
    )
    fade = [cv2.addWeighted(a, 1 - p, b, p, 0) for a, b, p in zip(left[25:], right, np.arange(1, 9) / 9, strict=False)]
    nobody = [np.hstack([empty, empty])] * 3
    seen = followed(finder, [nobody, left[:25], fade, right[8:]])
    assert seen[:2] == [0, 25] and seen[3] == 25


def test_a_shadow_is_no_other_person(finder, shot):
    frames = shot("people/s31/lbig7s.mpg", 0, 60)
    dim = np.interp(np.arange(60), [20, 30, 40, 50], [1, 0.75, 0.75, 1])
    shadowed = [(frame * part).astype(np.uint8) for frame, part in zip(frames, dim, strict=True)]
    assert followed(finder, [shadowed]) == [60]


def test_whoever_comes_while_the_person_is_gone_is_compared_as_well(finder, shot):
    """No cut: the person leaves, and somebody else walks in elsewhere."""
    mine, other = shot("s1/bbwm7a.mpg"), shot("s4/bgwo2a_360.mkv")
    empty = np.full_like(mine[0], 120)
    for then, seen in ((other, 0), (mine, 20)):
        wide = (
            [np.hstack([f, empty]) for f in mine]
            + [np.hstack([empty, empty])] * 4
            + [np.hstack([empty, f]) for f in then]
        )
        sights = (Sight(frame, finder.find(frame)) for frame in wide)
        faces = [face for _, face in follow(sights, CAREFUL, finder)]
        assert sum(face is not None for face in faces[24:]) == seen


@pytest.mark.parametrize("change", ["small", "turned", "unsure"])
def test_after_a_cut_a_face_that_cannot_be_used_is_left_alone(finder, shot, change):
    """Each is the same person, and would be followed were it not for that."""

    def sight(frame: np.ndarray, cut: bool) -> Sight:
        faces = finder.find(frame)
        if change == "turned":
            faces = [replace(face, yaw=70.0) for face in faces]
        if change == "unsure":  # the landmarks of a face that is elsewhere
            faces = [replace(face, landmarks=face.landmarks + np.float32([60, 0])) for face in faces]
        return Sight(frame, faces, cut)

    frames = shot("s1/bbwm7a.mpg", 30, 8)
    if change == "small":
        frames = [cv2.copyMakeBorder(cv2.resize(f, (90, 72)), 100, 116, 120, 150, cv2.BORDER_REPLICATE) for f in frames]
    before = [Sight(frame, finder.find(frame)) for frame in shot("s1/bbwm7a.mpg", 0, 6)]
    after = [sight(frame, n == 0) for n, frame in enumerate(frames)]
    assert all(one.faces for one in after)
    faces = [face for _, face in follow([*before, *after], CAREFUL, finder)]
    assert [face is not None for face in faces] == [True] * 6 + [False] * 8


def test_the_largest_is_the_largest_that_can_be_used(shared, finder):
    turned, frontal = (read_image(shared / "data" / "photos" / f"{name}.jpg") for name in ("monalisa_yaw16", "obama"))
    both = np.hstack([cv2.resize(turned, (600, 600)), cv2.resize(frontal[:910], (600, 600))])
    large, small = finder.find(both)
    away = replace(large, yaw=-60.0)
    assert chosen(Sight(both, [large, small]), CAREFUL, finder) is large
    assert chosen(Sight(both, [away, small]), CAREFUL, finder) is small
    assert chosen(Sight(both, [away, small]), replace(CAREFUL, person=0), finder) is away  # as asked for
    assert chosen(Sight(both, [away]), CAREFUL, finder) is away  # better than nobody
    unsure = replace(large, landmarks=large.landmarks + np.float32([90, 0]))
    assert chosen(Sight(both, [unsure, small]), CAREFUL, finder) is small
    assert chosen(Sight(both, [unsure]), CAREFUL, finder) is None


def all_followed(finder, film: list[np.ndarray], wanted: list[Wanted], starts: tuple[int, ...] = ()):
    sights = (Sight(frame, finder.find(frame), cut) for frame, cut in with_cuts(iter(film)))
    return list(follow_all(sights, wanted, finder, starts))


def middles(followed, person: int) -> np.ndarray:
    """Where a person is in each frame, from left to right; nan where they are not."""
    return np.array([np.nan if seen.faces[person] is None else centres(seen.faces[person].box)[0] for seen in followed])


@pytest.mark.parametrize("after_cuts", [*AFTER_CUTS, "same, and they are twins"])
def test_two_people_who_change_places_over_a_cut_are_still_themselves(shared, finder, monkeypatch, after_cuts):
    """A third one who is wanted turns out to be the first."""
    if "twins" in after_cuts:  # each would pass for the other, were that one not there
        monkeypatch.setattr(following, "is_same", lambda a, b: True)
        after_cuts = "same"
    film = frames_of(shared / "data" / "tricky" / "two_faces_s1_s4.mp4")[:26]
    film[13:] = (np.hstack([frame[:, 360:], frame[:, :360]]) for frame in film[13:])
    wanted = [Wanted(person, after_cuts, 45, any_face=False) for person in (0, 1, (160.0, 150.0))]
    followed = all_followed(finder, film, wanted, (0, 0, 5))
    left, right = middles(followed, 0), middles(followed, 1)
    assert (left[:13] < 300).all() and (left[13:] > 400).all() and (right[:13] > 400).all() and (right[13:] < 300).all()
    assert all(seen.faces[2] is None and seen.same_as == (0, 1, 0) and not seen.others for seen in followed)


@pytest.mark.parametrize("after_cuts", AFTER_CUTS)
def test_each_of_two_is_found_in_their_own_shots(shared, finder, after_cuts):
    """An interview: the second one is chosen in the shot in which they appear, the first of them to be looked for."""
    film = frames_of(shared / "data" / "reports" / "interview.mp4")
    film = film[27:53] + film[80:93]
    wanted = [Wanted(0, after_cuts, 45, any_face=False)] * 2
    followed = all_followed(finder, film, wanted, (0, 13))
    assert [seen.faces[0] is not None for seen in followed] == [True] * 13 + [False] * 13 + [True] * 13
    assert [seen.faces[1] is not None for seen in followed] == [False] * 13 + [True] * 13 + [False] * 13


def test_everybody_else_keeps_their_number_until_the_cut(shared, finder):
    film = frames_of(shared / "data" / "tricky" / "two_faces_s1_s4.mp4")[:24]
    film[12:] = (np.hstack([frame[:, 360:], frame[:, :360]]) for frame in film[12:])
    followed = all_followed(finder, film, [CAREFUL, replace(CAREFUL, person=1)], (24, 24))
    assert all(seen.faces == [None, None] and len(seen.others) == 2 for seen in followed)
    names = [{centres(face.box)[0] < 360: name for name, face in seen.others} for seen in followed]
    assert names == [names[0]] * 12 + [names[12]] * 12
    assert len({*names[0].values(), *names[12].values()}) == 4


@pytest.mark.parametrize("after_cuts", AFTER_CUTS)
def test_somebody_like_the_person_is_not_taken_who_is_somebody_else_who_is_wanted(
    finder, shot, monkeypatch, after_cuts
):
    """Both pass for each other."""
    monkeypatch.setattr(following, "is_same", lambda a, b: True)
    one, two = shot("s1/bbwm7a.mpg"), shot("s4/bgwo2a_360.mkv")
    elsewhere = [np.roll(frame, 60, axis=1) for frame in two]
    wanted = [replace(CAREFUL, person=0, after_cuts=after_cuts)] * 2
    alone = all_followed(finder, one + two, wanted[:1])
    assert all(seen.faces[0] is not None for seen in alone)
    followed = all_followed(finder, one + two + elsewhere, wanted, (0, 20))
    assert [n for n, seen in enumerate(followed) if seen.sight.cut] == [20, 40]
    assert [seen.faces[0] is not None for seen in followed] == [True] * 20 + [False] * 40
    assert [seen.faces[1] is not None for seen in followed] == [False] * 20 + [True] * 40


def test_who_is_chosen_anew_after_a_cut_goes_on_through_the_next(finder, shot):
    """For each turn in an interview somebody is chosen; the third one is the first again."""
    first, answer = shot("s1/bbwm7a.mpg", 50, 13), shot("s4/bgwo2a_360.mkv", 0, 26)
    again = [np.roll(frame, 30, axis=1) for frame in shot("s1/bbwm7a.mpg", 25, 13)]
    later = [np.roll(frame, -20, axis=1) for frame in shot("s1/bbwm7a.mpg", 0, 13)]
    film = [*first, *answer[:13], *again, *answer[13:], *later]
    followed = all_followed(finder, film, [replace(CAREFUL, person=0)] * 3, (0, 13, 26))
    seen = [[face is not None for face in one.faces].index(True) for one in followed]
    assert seen == [0] * 13 + [1] * 13 + [2] * 13 + [1] * 13 + [2] * 13


def test_who_is_chosen_in_a_fade_is_whom_one_saw(finder, shot):
    """When it turns out that the face is another person's by now, the one chosen since is that other one."""
    mine, other = shot("s1/bbwm7a.mpg", 0, 25), shot("s4/bgwo2a_360.mkv", 0, 40)
    sights = (Sight(frame, finder.find(frame)) for frame in mine + other)  # of which nobody told that there is a cut
    followed = list(follow_all(sights, [CAREFUL, replace(CAREFUL, person=0)], finder, (0, 28)))
    assert [seen.faces[0] is not None for seen in followed] == [True] * 25 + [False] * 40
    assert [seen.faces[1] is not None for seen in followed] == [False] * 28 + [True] * 37
    assert followed[30].same_as == (0, 1)
