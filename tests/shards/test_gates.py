"""Gates: every way in which a clip may be unfit is noticed, and nothing else."""

import numpy as np
import pytest
from seen_faces import NO_LANDMARKS

from lipgan_colab.faces.face import Face
from lipgan_colab.shards.gates import Gates, Rejected, check_picture, check_sound

GATES = Gates()


def face(side=100.0, yaw=0.0, left=50):
    return Face(NO_LANDMARKS, np.float32([left, 50, left + side, 50 + side]), yaw, 0.0, 0.0)


def seen(track, others=None):
    """The boxes of all faces, as often as there are frames."""
    others = others or [[] for _ in track]
    return [[f.box] * (f is not None) + o if f else o for f, o in zip(track, others, strict=True)]


def gate(track, others=None):
    try:
        check_picture(track, seen(track, others), GATES)
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
    rival, bystander = face(side=60, left=160).box, face(side=40, left=160).box
    assert gate([face()] * 50, [[rival]] * 11 + [[]] * 39) == "two faces"
    assert gate([face()] * 50, [[rival]] * 9 + [[]] * 41) is None
    assert gate([face()] * 50, [[bystander]] * 50) is None
    assert gate([face()] * 50, [[face(side=96, left=53).box]] * 50) is None  # the same one, found twice


@pytest.mark.parametrize("speech", [np.zeros(16000), np.zeros(0), np.full(16000, 5e-5)])
def test_silence(speech):
    with pytest.raises(Rejected, match="silent") as error:
        check_sound(speech.astype(np.float32), GATES)
    assert error.value.gate == "silent"


def test_faint_speech_is_not_silence():
    check_sound(np.float32([1e-3, -1e-3] * 8000), GATES)
