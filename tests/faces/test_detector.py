"""Faces: the box against dlib's on real clips, photos, tracking, gaps, crops, masks, and what is missing."""

import json
import os
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.faces import detector as faces
from lipgan_colab.faces import model_file as face_model
from lipgan_colab.faces.detector import Face, FaceFinder
from lipgan_colab.media.video import read_video


def frames_of(path: Path, step: int = 1) -> list[np.ndarray]:
    return [frame for i, (_, frame) in enumerate(read_video(path)) if i % step == 0]


def rgb(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    shared = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    return shared / ((a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared)


def movement(boxes: np.ndarray) -> float:
    return float(np.abs(np.diff(boxes, axis=0)).mean())


def boxed(*box: float, landmarks=None) -> Face:
    return Face(landmarks, np.float32(box), 0.0, 0.0, 0.0)


class Scripted:
    """A finder that answers what it was told to, frame by frame."""

    def __init__(self, answers):
        self.answers = iter(answers)

    def find(self, frame):
        return next(self.answers)


def blank(count: int) -> list[np.ndarray]:
    return [np.zeros((8, 8, 3), np.uint8)] * count


@pytest.fixture(scope="module")
def finder(shared):
    pytest.importorskip("mediapipe")
    with FaceFinder() as finder:
        yield finder


# --- the box ---


WHOLE = ("brbk7n", "lbax4n", "swiz3n")  # clips looked at frame by frame; of the others every third frame


def test_box_is_dlibs_and_steadier(shared, finder):
    golden = json.loads((shared / "golden" / "dlib_boxes.json").read_text())
    agreement, ours, dlibs = [], [], []
    for clip, boxes in golden.items():
        step = 1 if clip in WHOLE else 3
        frames = frames_of(shared / "data" / "grid" / "others" / f"{clip}.mpg", step)
        boxes = np.float32(boxes[::step])
        found = np.stack([face.box for face in faces.smooth_boxes(faces.track(frames, finder))])
        agreement.append(iou(found, boxes).mean())
        if clip in WHOLE:
            ours.append(movement(found))
            dlibs.append(movement(boxes))
            assert np.abs(np.diff(found, axis=0)).max() < 2  # pixels; dlib's jumps by 16 and more
    assert np.mean(agreement) >= 0.85
    assert min(agreement) > 0.78
    assert np.mean(ours) < 0.25 * np.mean(dlibs)


def test_box_does_not_follow_the_mouth(shared, finder):
    track = faces.track(frames_of(shared / "data" / "grid" / "others" / "lbax4n.mpg", 2), finder)
    opening = faces.mouth_opening(np.stack([face.landmarks for face in track]))
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
        middle = matrix @ [*faces._centres(face.box), 1]
        size = face.box[2] - face.box[0]
        assert np.linalg.norm(faces._centres(turned.box) - middle) < 0.06 * scale * size
        assert turned.box[2] - turned.box[0] == pytest.approx(scale * size, rel=0.08)
        assert turned.roll - face.roll == pytest.approx(degrees, abs=4)


# --- finding ---


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
    track = faces.track(frames_of(shared / "data" / "grid" / "others" / "lbax4n.mpg", 4), finder)
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
    for frame in frames_of(shared / "data" / "tricky" / "tinyface_1280x720_pwij3p.mp4", 30):
        (face,) = finder.find(frame)
        assert 35 < face.box[2] - face.box[0] < 60
        assert np.abs(faces._centres(face.box) - [670, 365]).max() < 12
        assert (face.landmarks[152, 1] > face.landmarks[10, 1]) and abs(face.roll) < 10


@pytest.mark.parametrize("frame", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3))])
def test_what_is_no_frame_is_refused(shared, finder, frame):
    with pytest.raises(InputError, match="uint8"):
        finder.find(frame)


# --- following ---


def test_two_people_are_never_swapped(shared, finder):
    frames = frames_of(shared / "data" / "tricky" / "two_faces_s1_s4.mp4", 3)
    track = faces.track(iter(frames), finder)
    middles = np.array([faces._centres(face.box)[0] for face in track])
    assert len(track) == len(frames)
    assert np.ptp(middles) < 40  # they are 360 apart
    big = faces.track(frames_of(shared / "data" / "tricky" / "two_faces_small_big.mp4", 10), finder)
    assert all(face.box[2] - face.box[0] > 180 for face in big)


def test_face_that_leaves_is_missing_and_comes_back(shared, finder):
    track = faces.track(frames_of(shared / "data" / "tricky" / "face_leaves_swiz3n.mp4", 3), finder)
    missing = [i for i, face in enumerate(track) if face is None]
    assert missing and missing == list(range(missing[0], missing[-1] + 1))
    assert missing[0] > 0 and missing[-1] < len(track) - 1
    filled = faces.fill_gaps(track)
    assert [i for i, face in enumerate(filled) if not face.found] == missing


def test_bystander_is_not_taken_for_the_one_followed():
    mine, other = boxed(100, 100, 200, 200), boxed(300, 100, 390, 190)
    answers = [[mine, other]] * 3 + [[other]] * 40 + [[other, mine]] * 2
    track = faces.track(blank(45), Scripted(answers))
    assert [face is mine for face in track] == [True] * 3 + [False] * 40 + [True] * 2
    assert track[3:43] == [None] * 40


def test_larger_newcomer_does_not_take_over():
    mine, newcomer = boxed(100, 100, 200, 200), boxed(300, 100, 600, 400)
    track = faces.track(blank(4), Scripted([[], [mine], [newcomer, mine], [newcomer, mine]]))
    assert track[0] is None and all(face is mine for face in track[1:])


def test_face_is_followed_over_a_cut_and_back_elsewhere():
    here, there = boxed(100, 100, 200, 200), boxed(500, 300, 700, 500)
    track = faces.track(blank(5), Scripted([[here], [there], [], [], [here]]))
    assert [face and tuple(face.box) for face in track] == [
        tuple(here.box),
        tuple(there.box),
        None,
        None,
        tuple(here.box),
    ]


def test_cut_from_two_people_to_one_elsewhere_is_followed():
    mine, other, third = boxed(100, 100, 200, 200), boxed(300, 100, 400, 200), boxed(400, 100, 500, 200)
    track = faces.track(blank(4), Scripted([[mine, other]] * 2 + [[third]] * 2))
    assert track[2] is third and track[3] is third


def test_bystander_who_left_long_ago_is_forgotten():
    mine, other = boxed(100, 100, 200, 200), boxed(300, 100, 390, 190)
    for away, then in ((2, None), (faces.FORGET + 1, other)):
        track = faces.track(blank(away + 3), Scripted([[mine, other]] * 2 + [[mine]] * away + [[other]]))
        assert track[-1] is then


def test_smoothing_neither_lags_nor_crosses_gaps_and_jumps():
    moving = [boxed(i, 0, 100 + i, 100) for i in range(8)]
    smooth = faces.smooth_boxes(moving)
    np.testing.assert_allclose([f.box for f in smooth], [f.box for f in moving], atol=1e-4)
    still, far = boxed(0, 0, 100, 100), boxed(300, 0, 400, 100)
    cut = faces.smooth_boxes([still] * 4 + [far] * 4 + [None] + [still] * 3)
    assert cut[8] is None
    np.testing.assert_array_equal(cut[3].box, still.box)
    np.testing.assert_array_equal(cut[4].box, far.box)
    np.testing.assert_array_equal(cut[9].box, still.box)
    rng = np.random.default_rng(0)
    noisy = [boxed(*(np.array([0, 0, 100, 100]) + rng.normal(0, 1, 4))) for _ in range(50)]
    before = np.stack([f.box for f in noisy])
    assert movement(np.stack([f.box for f in faces.smooth_boxes(noisy)])) < 0.5 * movement(before)


def test_gaps_are_filled_linearly_and_held_at_the_ends():
    marks = np.ones((478, 2), np.float32)
    a, b = boxed(0, 0, 10, 10, landmarks=marks), boxed(4, 8, 14, 18, landmarks=5 * marks)
    filled = faces.fill_gaps([None, a, None, None, None, b, None])
    assert [f.found for f in filled] == [False, True, False, False, False, True, False]
    np.testing.assert_array_equal([f.box[0] for f in filled], [0, 0, 1, 2, 3, 4, 4])
    np.testing.assert_array_equal(filled[3].box, [2, 4, 12, 14])
    np.testing.assert_array_equal(filled[3].landmarks, 3 * marks)
    assert filled[3].box.dtype == filled[3].landmarks.dtype == np.float32
    assert faces.fill_gaps([a, None, boxed(0, 0, 1, 1)])[1].landmarks is None
    for nothing in ([], [None, None]):
        with pytest.raises(InputError, match="no face"):
            faces.fill_gaps(nothing)


# --- cropping ---

NOISE = np.random.default_rng(0).integers(0, 256, (288, 360, 3), dtype=np.uint8)


@pytest.mark.parametrize("box", [(100, 50, 229, 179), (20, 30, 340, 260), (50, 60, 146, 156), (0, 0, 360, 288)])
def test_shrinking_crop_is_cv2_resize_of_the_slice(box):
    x1, y1, x2, y2 = box
    expected = cv2.resize(NOISE[y1:y2, x1:x2], (96, 96), interpolation=cv2.INTER_AREA)
    got = faces.crop(NOISE, np.float32(box))
    assert got.dtype == np.uint8 and got.flags.c_contiguous
    assert np.abs(got.astype(int) - expected).max() <= 1


def test_enlarging_crop_is_cv2_resize_of_the_slice():
    expected = cv2.resize(NOISE[60:100, 50:90], (96, 96), interpolation=cv2.INTER_LINEAR)
    inner = slice(2, -2)  # at the rim the slice ends, the frame does not
    got = faces.crop(NOISE, (50, 60, 90, 100))
    assert np.abs(got.astype(int) - expected)[inner, inner].max() <= 1


@pytest.mark.parametrize("box", [(-40, -30, 80, 90), (300, 250, 420, 370), (-50, -50, 410, 338), (-300, 10, -200, 110)])
def test_crop_repeats_the_edge_outside_the_picture(box):
    x1, y1, x2, y2 = np.array(box) + 400
    padded = cv2.copyMakeBorder(NOISE, 400, 400, 400, 400, cv2.BORDER_REPLICATE)
    expected = cv2.resize(padded[y1:y2, x1:x2], (96, 96), interpolation=cv2.INTER_AREA)
    assert np.abs(faces.crop(NOISE, box).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("side", [70.0, 96.0, 131.7, 310.3])
def test_crop_is_exact_between_pixels(side):
    x, y = np.meshgrid(np.arange(360) + 0.5, np.arange(288) + 0.5)
    ramp = np.stack([x * 0.6, y * 0.8, (x + y) * 0.35], -1)
    frame = np.rint(ramp).astype(np.uint8)
    box = np.float32([12.3, 7.6, 12.3 + side, 7.6 + side * 0.9])
    points = np.float64([(40.0, 50.0), (60.25, 33.75)])
    got = faces.crop(frame, box).astype(float)
    for (px, py), (cx, cy) in zip(points, faces.crop_points(points, box), strict=True):
        value = cv2.getRectSubPix(got.astype(np.float32), (1, 1), (float(cx - 0.5), float(cy - 0.5)))[0, 0]
        np.testing.assert_allclose(value, [px * 0.6, py * 0.8, (px + py) * 0.35], atol=0.75)


@pytest.mark.parametrize("box", [(10, 10, 10, 50), (10, 50, 60, 40), (np.nan, 0, 10, 10)])
def test_crop_refuses_an_empty_box(box):
    with pytest.raises(InputError, match="box"):
        faces.crop(NOISE, box)


# --- masks ---


def test_masks_hold_what_speech_moves(shared, finder):
    frame = rgb(shared / "data" / "photos" / "obama.jpg")
    (face,) = finder.find(frame)
    box = face.box + np.float32([-40, -40, 40, 40])
    points = faces.crop_points(face.landmarks, box)
    lips, lower = faces.lip_mask(points, (96, 96)), faces.lower_face_mask(points, (96, 96, 3))
    for mask in (lips, lower):
        assert mask.shape == (96, 96) and mask.dtype == np.float32
        assert mask.min() == 0 and mask.max() == 1
        assert ((mask > 0) & (mask < 1)).any()  # a soft rim

    def at(mask, landmark):
        x, y = np.floor(points[landmark]).astype(int)
        return mask[y, x]

    for inside in (13, 14, 82, 312, 15, 16):
        assert at(lips, inside) == 1
    for outside in (2, 4, 199, 152, 33, 263, 205, 425):
        assert at(lips, outside) == 0
    for inside in (0, 13, 17, 61, 291, 199, 152, 164):
        assert at(lower, inside) == 1
    for outside in (4, 168, 33, 263, 133, 362, 10):
        assert at(lower, outside) == 0
    x = faces.crop_points(face.landmarks[faces.LIPS], box)[:, 0]
    assert (lips * (np.arange(96) + 0.5)).sum() / lips.sum() == pytest.approx((x.min() + x.max()) / 2, abs=1)


def test_mouth_opening_over_leading_axes():
    landmarks = np.zeros((2, 3, 478, 2))
    landmarks[..., 152, 1] = 100
    landmarks[..., 14, 1] = np.arange(6).reshape(2, 3)
    np.testing.assert_allclose(faces.mouth_opening(landmarks), np.arange(6).reshape(2, 3) / 100)


# --- what may be missing ---


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No model anywhere that is looked at, and a cache that is this folder."""
    monkeypatch.delenv(face_model.MODEL_VARIABLE, raising=False)
    monkeypatch.setattr(face_model, "__file__", str(tmp_path / "checkout" / "lipgan_colab" / "faces" / "model_file.py"))
    monkeypatch.setattr(face_model, "MODEL_CACHE", tmp_path / "cache" / "face_landmarker.task")
    return tmp_path


def test_model_is_looked_for_in_order(nowhere, monkeypatch):
    places = [
        nowhere / "cache" / "face_landmarker.task",
        nowhere / "shared" / "models" / "face_landmarker.task",
        nowhere / "named_by_variable.task",
        nowhere / "named.task",
    ]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"model")
    assert face_model.find_model(places[3]) == places[3]
    monkeypatch.setenv(face_model.MODEL_VARIABLE, str(places[2]))
    assert face_model.find_model() == places[2]
    assert face_model.find_model(places[3]) == places[3]
    monkeypatch.delenv(face_model.MODEL_VARIABLE)
    assert face_model.find_model() == places[1]
    places[1].unlink()
    assert face_model.find_model() == places[0]
    with pytest.raises(InputError, match=r"gone\.task: no such face model"):
        face_model.find_model(nowhere / "gone.task")


def test_model_that_cannot_be_downloaded_says_what_to_do(web, tmp_path):
    path = tmp_path / "face_landmarker.task"
    with pytest.raises(face_model.NoMediaPipe, match=face_model.MODEL_VARIABLE) as error:
        face_model.download_model(path, f"{web.url}/nothing", "0" * 64)
    assert str(path) in str(error.value) and "404" in str(error.value)


def test_file_that_is_no_model_is_named(tmp_path):
    pytest.importorskip("mediapipe")
    wrong = tmp_path / "wrong.task"
    wrong.write_bytes(b"not a model")
    with pytest.raises(InputError, match=r"wrong\.task: not MediaPipe's face model"):
        FaceFinder(wrong)


class Rectangle:
    def left(self):
        return 1

    def top(self):
        return 2

    def right(self):
        return 31

    def bottom(self):
        return 32


def without(monkeypatch, *modules):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)


def test_dlib_stands_in_without_mediapipe(monkeypatch, tmp_path):
    model = tmp_path / "any.task"
    model.write_bytes(b"")
    without(monkeypatch, "mediapipe", "mediapipe.tasks.python")

    class Dlib:
        @staticmethod
        def get_frontal_face_detector():
            return lambda frame, upsample: [Rectangle()]

    monkeypatch.setitem(sys.modules, "dlib", Dlib)
    with pytest.warns(UserWarning, match="no landmarks"), FaceFinder(model) as finder:
        (face,) = finder.find(np.zeros((40, 40, 3), np.uint8))
    np.testing.assert_array_equal(face.box, [1, 2, 31, 32])
    assert face.landmarks is None and np.isnan([face.yaw, face.pitch, face.roll]).all() and face.found


def test_dlib_stands_in_where_the_model_cannot_be_fetched(nowhere, monkeypatch):
    def refuse(path, *_):
        raise face_model.NoMediaPipe("face model not downloaded: refused; fetch it by hand")

    monkeypatch.setattr(face_model, "download_model", refuse)
    without(monkeypatch, "dlib")
    with pytest.raises(InputError, match=r"refused; fetch it by hand.*dlib"):
        FaceFinder()


def test_missing_system_library_names_the_package(monkeypatch, tmp_path):
    vision = pytest.importorskip("mediapipe.tasks.python.vision")
    model = tmp_path / "any.task"
    model.write_bytes(b"")

    def fail(options):
        raise OSError("libEGL.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(vision.FaceLandmarker, "create_from_options", fail)
    without(monkeypatch, "dlib")
    with pytest.raises(InputError, match="apt-get install libegl1 libgles2"):
        FaceFinder(model)


def test_real_dlib_finds_the_golden_boxes(shared, monkeypatch, tmp_path):
    pytest.importorskip("dlib")
    model = tmp_path / "any.task"
    model.write_bytes(b"")
    without(monkeypatch, "mediapipe", "mediapipe.tasks.python")
    golden = json.loads((shared / "golden" / "dlib_boxes.json").read_text())["lbbc2a"][::25]
    frames = frames_of(shared / "data" / "grid" / "others" / "lbbc2a.mpg", 25)
    with pytest.warns(UserWarning, match="dlib"), FaceFinder(model) as finder:
        track = faces.fill_gaps(faces.smooth_boxes(faces.track(frames, finder)))
    np.testing.assert_allclose([face.box for face in track], golden, atol=1)


def test_start_is_quiet_but_errors_are_heard(capfd, finder):
    with faces._without_greetings():
        os.write(2, b"W0000 00:00:1 a greeting\nE0000 00:00:2 an error\n")
    assert capfd.readouterr().err == "E0000 00:00:2 an error\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FaceFinder().close()
    assert capfd.readouterr().err == ""


def test_lip_region_covers_the_lips_and_little_else():
    points = np.float32([[0.4, 0.7], [0.6, 0.7], [0.6, 0.8], [0.4, 0.8]])
    mask = faces.lip_region(points, 96)
    assert mask[72, 48] == 255
    assert mask[20, 48] == mask[72, 10] == mask[95, 48] == 0
    assert 0.02 < (mask > 127).mean() < 0.08
    unknown = faces.lip_region(np.full((4, 2), np.nan, np.float32), 96)
    assert unknown[72, 48] == 255
    assert unknown[:48].max() == 0
