"""Faces found: the box against dlib's on real clips, photos, pose, and what is missing."""

import json
import os
import sys
import warnings

import cv2
import numpy as np
import pytest
from mediapipe.tasks.python import vision
from seen_faces import frames_of, movement, rgb

from lipgan_colab.errors import InputError
from lipgan_colab.faces import detector, geometry, tracking
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import centres


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    shared = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    return shared / ((a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared)


WHOLE = ("brbk7n", "lbax4n", "swiz3n")  # clips looked at frame by frame; of the others every third frame


def test_box_is_dlibs_and_steadier(shared, finder):
    golden = json.loads((shared / "golden" / "dlib_boxes.json").read_text())
    agreement, ours, dlibs = [], [], []
    for clip, boxes in golden.items():
        step = 1 if clip in WHOLE else 3
        frames = frames_of(shared / "data" / "grid" / "others" / f"{clip}.mpg", step)
        boxes = np.float32(boxes[::step])
        found = np.stack([face.box for face in tracking.smooth_boxes(tracking.track(frames, finder))])
        agreement.append(iou(found, boxes).mean())
        if clip in WHOLE:
            ours.append(movement(found))
            dlibs.append(movement(boxes))
            assert np.abs(np.diff(found, axis=0)).max() < 2  # pixels; dlib's jumps by 16 and more
    assert np.mean(agreement) >= 0.85
    assert min(agreement) > 0.78
    assert np.mean(ours) < 0.25 * np.mean(dlibs)


def test_box_does_not_follow_the_mouth(shared, finder):
    track = tracking.track(frames_of(shared / "data" / "grid" / "others" / "lbax4n.mpg", 2), finder)
    opening = geometry.mouth_opening(np.stack([face.landmarks for face in track]))
    bottom = np.stack([(face.box[3] - face.landmarks[4, 1]) / (face.box[3] - face.box[1]) for face in track])
    assert np.ptp(opening) > 0.04  # he does speak
    assert np.ptp(bottom) < 0.04


def test_box_keeps_centre_and_size_when_picture_is_scaled_moved_and_rotated(shared, finder):
    frame = rgb(shared / "data" / "photos" / "obama_240p.jpg")
    (face,) = finder.find(frame)
    for degrees, scale in ((0, 2.0), (20, 1.5), (-20, 1.5)):
        matrix = cv2.getRotationMatrix2D((222.0, 60.0), degrees, scale)
        matrix[:, 2] += 20, 60
        (turned,) = finder.find(cv2.warpAffine(frame, matrix, (427, 300), flags=cv2.INTER_CUBIC))
        middle = matrix @ [*centres(face.box), 1]
        size = face.box[2] - face.box[0]
        assert np.linalg.norm(centres(turned.box) - middle) < 0.06 * scale * size
        assert turned.box[2] - turned.box[0] == pytest.approx(scale * size, rel=0.08)
        assert turned.roll - face.roll == pytest.approx(degrees, abs=4)


@pytest.mark.parametrize(
    ("name", "count"),
    [("biden", 1), ("face_cut_by_border", 1), ("monalisa_yaw16", 1), ("no_face_dino", 0), ("obama_240p", 1)],
)
def test_number_of_faces_in_photos(shared, finder, name, count):
    assert len(finder.find(rgb(shared / "data" / "photos" / f"{name}.jpg"))) == count


def test_yaw_is_positive_towards_the_pictures_right(shared, finder):
    mona = rgb(shared / "data" / "photos" / "monalisa_yaw16.jpg")
    (face,) = finder.find(mona)
    (mirrored,) = finder.find(mona[:, ::-1])  # a view that is not contiguous, too
    nose, eyes = face.landmarks[4, 0], face.landmarks[[33, 133, 362, 263], 0].mean()
    assert nose < eyes  # her nose points to the picture's left
    assert face.yaw == pytest.approx(-16, abs=4)
    assert mirrored.yaw == pytest.approx(-face.yaw, abs=3)


def test_roll_is_positive_counter_clockwise(shared, finder):
    frame = frames_of(shared / "data" / "tricky" / "roll25_s4.mp4", 25)[0]
    (face,) = finder.find(frame)
    across = face.landmarks[263] - face.landmarks[33]
    assert face.roll == pytest.approx(np.degrees(np.arctan2(-across[1], across[0])), abs=5)
    assert face.roll == pytest.approx(25, abs=5)


def test_pitch_is_positive_where_he_looks_up(shared, finder):
    track = tracking.track(frames_of(shared / "data" / "grid" / "others" / "lbax4n.mpg", 4), finder)
    marks = np.stack([face.landmarks for face in track])
    width = np.linalg.norm(marks[:, 234] - marks[:, 454], axis=1)
    nose_above_temples = (marks[:, [127, 356], 1].mean(axis=1) - marks[:, 4, 1]) / width
    pitch = [face.pitch for face in track]
    assert np.ptp(pitch) > 2  # he nods
    assert np.corrcoef(nose_above_temples, pitch)[0, 1] > 0.7


@pytest.mark.parametrize("clip", ["dark_swiz3n", "gray_lbax4n", "lowres_96x80_s1", "oddsize_361x287_s1"])
def test_hard_pictures(shared, finder, clip):
    assert all(len(finder.find(frame)) == 1 for frame in frames_of(shared / "data" / "tricky" / f"{clip}.mp4", 20))


def test_small_face_is_found_in_tiles(shared, finder):
    before = []
    for frame in frames_of(shared / "data" / "tricky" / "tinyface_1280x720_pwij3p.mp4", 30):
        (face,) = finder.find(frame)
        again = finder.find(frame, before)  # only where it was, and not at all where nobody was
        assert len(again) == len(before) and all((one.landmarks == face.landmarks).all() for one in again)
        before = [face]
        assert 35 < face.box[2] - face.box[0] < 60
        assert np.abs(centres(face.box) - [670, 365]).max() < 12
        assert (face.landmarks[152, 1] > face.landmarks[10, 1]) and abs(face.roll) < 10
    (moved,) = finder.find(frame[:, 300:], before)  # it is no more there, so it is looked for everywhere
    assert abs(centres(moved.box) - [370, 365]).max() < 12


@pytest.mark.parametrize("frame", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3))])
def test_what_is_no_frame_is_refused(shared, finder, frame):
    with pytest.raises(InputError, match="uint8"):
        finder.find(frame)


def test_file_that_is_no_model_is_named(tmp_path):
    wrong = tmp_path / "wrong.task"
    wrong.write_bytes(b"not a model")
    with pytest.raises(InputError, match=r"wrong\.task: not MediaPipe's face model"):
        FaceFinder(wrong)


@pytest.mark.parametrize("missing", ["mediapipe", "mediapipe.tasks.python"])
def test_without_mediapipe_a_line_says_how_to_install_it(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=r"MediaPipe cannot be loaded .*pip install mediapipe") as told:
        FaceFinder()
    assert "\n" not in str(told.value)


def test_missing_system_library_names_the_package(monkeypatch):
    def fail(options):
        raise OSError("libEGL.so.1: cannot open shared object file:\nNo such file or directory")

    monkeypatch.setattr(vision.FaceLandmarker, "create_from_options", fail)
    with pytest.raises(InputError, match="apt-get install libegl1 libgles2") as told:
        FaceFinder()
    assert "\n" not in str(told.value)


def test_start_is_quiet_but_errors_are_heard(capfd, finder):
    with detector._without_greetings():
        os.write(2, b"W0000 00:00:1 a greeting\nE0000 00:00:2 an error\n")
    assert capfd.readouterr().err == "E0000 00:00:2 an error\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FaceFinder().close()
    assert capfd.readouterr().err == ""
