"""Gates: every way in which a clip may be unfit is noticed, and nothing else."""

from dataclasses import dataclass

import numpy as np
import pytest
from seen_faces import NO_LANDMARKS

from lipgan_colab.faces.face import Face
from lipgan_colab.media.video import read_video, resample_frames
from lipgan_colab.shards.gates import Gates, Rejected, Watcher, check_picture, check_sound

GATES = Gates()


def face(side=100.0, yaw=0.0):
    return Face(NO_LANDMARKS, np.float32([50, 50, 50 + side, 50 + side]), yaw, 0.0, 0.0)


@dataclass
class Seen:
    """What a Watcher would have seen."""

    boxes: list
    changes: list


def seen(track, others=None, changes=None):
    others = others or [[] for _ in track]
    boxes = [[f.box] * (f is not None) + o if f else o for f, o in zip(track, others, strict=True)]
    return Seen(boxes, changes or [0.3] * (len(track) - 1))


def gate(track, others=None, changes=None, gates=GATES):
    try:
        check_picture(track, seen(track, others, changes), gates)
    except Rejected as error:
        assert "\n" not in str(error)
        return error.gate
    return None


def test_a_good_clip_passes():
    assert gate([face()] * 50) is None


def test_each_gate():
    assert gate([face()] * 11) == "too short"
    assert gate([None] * 26 + [face()] * 24) == "face not seen"
    assert gate([None] * 20) == "face not seen"
    assert gate([None] * 24 + [face()] * 26) is None
    assert gate([face(side=59)] * 50) == "face too small"
    assert gate([face(yaw=-50)] * 30 + [face()] * 20) == "turned away"
    assert gate([face(yaw=-50)] * 20 + [face()] * 30) is None
    rival, bystander = face(side=60).box, face(side=40).box
    assert gate([face()] * 50, [[rival]] * 11 + [[]] * 39) == "two faces"
    assert gate([face()] * 50, [[rival]] * 9 + [[]] * 41) is None
    assert gate([face()] * 50, [[bystander]] * 50) is None


def test_a_cut_is_a_spike_with_the_face_on_both_sides():
    quiet = [0.3] * 49
    cut = [*quiet[:20], 14.0, *quiet[21:]]
    pan = [*quiet[:20], 12.0, 20.0, 20.0, 12.0, *quiet[24:]]
    assert gate([face()] * 50, changes=cut) == "cut"
    assert gate([face()] * 50, changes=pan) is None
    assert gate([face()] * 21 + [None] * 20, changes=cut[:40]) is None  # what comes after it is not used
    assert gate([face()] * 50, changes=cut, gates=Gates(max_cut=20)) is None


@pytest.mark.parametrize("speech", [np.zeros(16000), np.zeros(0), np.full(16000, 5e-5)])
def test_silence(speech):
    with pytest.raises(Rejected, match="silent") as error:
        check_sound(speech.astype(np.float32), GATES)
    assert error.value.gate == "silent"


def test_faint_speech_is_not_silence():
    check_sound(np.float32([1e-3, -1e-3] * 8000), GATES)


def test_cuts_between_real_people_are_seen_and_movement_is_not(shared):
    """Two speakers before nearly the same background, one after the other; and the same one a moment later."""
    grid = shared / "data" / "grid" / "others"
    one, other = (
        [f for f, _ in zip(resample_frames(read_video(grid / name), 25), range(30), strict=False)]
        for name in ("swiz3n.mpg", "pwij3p.mpg")
    )
    frames = one[:15] + other[:15]
    track = [face()] * 30
    for film, expected in ((frames, "cut"), (one, None), (other, None)):
        watcher = Watcher(None)
        assert len(list(watcher.watch(film))) == 30
        watcher.boxes = [[f.box] for f in track]
        try:
            check_picture(track, watcher, GATES)
            found = None
        except Rejected as error:
            found = error.gate
        assert found == expected
