"""The measures: each moves the right way, on cases made of a real clip, whose answer is known."""

from itertools import islice

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from lipgan_colab.evaluation import measures
from lipgan_colab.evaluation.measures import (
    LEFT_LIPS,
    MOUTH,
    RIGHT_LIPS,
    aligned,
    closures,
    closures_made,
    correlation,
    distance,
    face_shape,
    high_pass,
    liveliness,
    measure,
    movement,
    one_sidedness,
    psnr,
    silent_frames,
    similarity,
    sound_sync,
    squared_errors,
)
from lipgan_colab.faces import tracking
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face_clip import CROP, FaceClip, detected_clip, resized, upright_clip
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.video import read_video
from lipgan_colab.speech.features import mel
from lipgan_colab.speech.sync import OFFSETS

FIRST, COUNT = 12, 50  # frames of the clip: around its words


@pytest.fixture(scope="module")
def finder():
    with FaceFinder(max_faces=1) as finder:
        yield finder


@pytest.fixture(scope="module")
def clip(shared):
    return shared / "data/grid/s1/lbax9s.mpg"


@pytest.fixture(scope="module")
def true(clip, finder) -> FaceClip:
    """A real man speaking."""
    pictures = [picture for _, picture in islice(read_video(clip), FIRST, FIRST + COUNT)]
    followed = tracking.fill_gaps(tracking.smooth_boxes(tracking.track(pictures, finder)))
    return detected_clip(upright_clip(pictures, followed).frames, finder)


@pytest.fixture(scope="module")
def silent() -> np.ndarray:
    """Frames that are taken for silent ones: the first ten."""
    return np.arange(COUNT) < 10


@pytest.fixture(scope="module")
def judged(true, finder, silent):
    """`judged(crops)`: the measures of the true clip with other crops in it."""
    return lambda crops: measure(detected_clip(true.frames_with(crops), finder), true, silent)


@pytest.fixture(scope="module")
def perfect(true, silent):
    return measure(true, true, silent)


def frozen(true: FaceClip, columns=slice(None)) -> np.ndarray:
    """The crops, in whose lower half (these columns of it) nothing moves."""
    crops = true.crops.copy()
    crops[:, CROP // 2 :, columns] = crops[0, CROP // 2 :, columns]
    return crops


def test_the_truth_scores_best(perfect):
    assert perfect["correlation"] == pytest.approx(1)
    assert perfect["high_passed"] == pytest.approx(1)
    assert perfect["lmd"] == perfect["lmd_pixels"] == perfect["unseen"] == 0
    assert perfect["psnr"] == perfect["psnr_whole"] == perfect["psnr_lips"] == pytest.approx(100)
    assert perfect["ssim"] == pytest.approx(1) and perfect["ssim_lips"] == pytest.approx(1)
    assert perfect["sharpness"] == perfect["teeth"] == perfect["chin"] == perfect["cheeks"] == 1
    assert perfect["closures"] == perfect["shimmer"] == 1
    assert perfect["false_closures"] == 0
    assert perfect["one_sided"] < 0.1


@pytest.mark.parametrize("shift", [-8, 8])
def test_the_truth_at_another_time(true, silent, perfect, shift):
    late = measure(true.at(np.arange(COUNT) + shift), true, silent)
    assert late["high_passed"] < 0.4
    assert late["lmd"] > 0.01 and late["lmd_pixels"] > 0.5
    assert late["closures"] <= 0.5
    assert late["psnr_lips"] < 30 and late["ssim_lips"] < 0.9
    # What has nothing to do with time stays.
    assert late["sharpness"] == pytest.approx(1, abs=0.3)
    assert late["shimmer"] == pytest.approx(1, abs=0.2)
    assert late["one_sided"] == pytest.approx(perfect["one_sided"], abs=0.05)


def test_shifted_speech_is_heard_where_it_went(clip, true):
    heard = mel(read_speech(clip)[FIRST * 640 :])
    curve = sound_sync(true, heard)
    late = sound_sync(true.at(np.arange(COUNT) - 8), heard)
    assert curve[OFFSETS == 0] > 0.3
    assert late[OFFSETS == -8] > curve[OFFSETS == 0] - 0.15
    assert late[OFFSETS == 0] < 0.2


def test_a_blurred_mouth(true, judged):
    crops = true.crops.copy()
    for crop in crops:
        crop[CROP // 2 :] = cv2.GaussianBlur(crop[CROP // 2 :], (0, 0), 2)
    blurred = judged(crops)
    assert blurred["sharpness"] < 0.3 and blurred["teeth"] < 0.3
    assert blurred["ssim"] < 0.95 and blurred["ssim_lips"] < blurred["ssim_whole"]
    assert blurred["correlation"] > 0.8  # it moves as before


def test_a_frozen_mouth(true, judged, perfect):
    still = judged(frozen(true))
    assert still["range"] < 0.2
    assert still["correlation"] < 0.3 and still["high_passed"] < 0.3  # the true jaw outside of the crop is not seen
    assert still["lmd"] > 0.015
    assert still["silence"] < 0.5 * perfect["silence"]
    assert still["chin"] < 0.7 and still["shimmer"] < 0.5
    assert still["closures"] == still["false_closures"] == 0
    assert still["sharpness"] > 0.5


def test_a_chin_that_moves(true, judged, perfect):
    """Below the lips the skin is pulled up and down by 2 pixels, about six times a second."""
    y, x = np.mgrid[:CROP, :CROP].astype(np.float32)
    crops = true.crops.copy()
    for n, crop in enumerate(crops):
        pull = 2 * np.sin(1.5 * n) * np.clip((y - true.landmarks[n, 17, 1]) / 4, 0, 1)
        crop[:] = cv2.remap(crop, x, np.float32(y + pull), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    restless = judged(crops)
    assert restless["chin"] > 1.4
    assert restless["cheeks"] == pytest.approx(1, abs=0.15)
    assert restless["correlation"] > 0.8
    assert restless["psnr_lips"] > restless["psnr"]


@pytest.mark.parametrize("kind", ["light", "grain"])
def test_skin_that_shimmers(true, judged, kind):
    """Nothing moves that should not: neither chin nor cheeks are said to."""
    rng = np.random.default_rng(0)
    crops = true.crops.astype(np.float32)
    for n, crop in enumerate(crops):
        crop[CROP // 2 :] += 4 * (-1) ** n if kind == "light" else rng.normal(0, 4, (CROP // 2, CROP, 3))
    restless = judged(np.rint(crops).clip(0, 255).astype(np.uint8))
    assert restless["shimmer"] > 1.5
    assert restless["chin"] == pytest.approx(1, abs=0.15) and restless["cheeks"] == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("half", [slice(0, CROP // 2), slice(CROP // 2, None)], ids=["left", "right"])
def test_a_one_sided_mouth(true, judged, perfect, half):
    assert judged(frozen(true, half))["one_sided"] > perfect["one_sided"] + 0.1


def test_a_face_that_is_not_there(true, judged):
    grey = judged(np.full_like(true.crops, 128))
    assert grey["unseen"] > COUNT / 2
    assert grey["correlation"] < 0.3


def made_face(frames: int = 20) -> FaceClip:
    points = np.random.default_rng(0).uniform(10, 80, (478, 2)).astype(np.float32)
    points[[33, 133, 362, 263]] = [[25, 30], [35, 30], [55, 30], [65, 30]]  # eyes' centres 30 pixels apart
    return FaceClip(np.zeros((frames, 192, 192, 3), np.uint8), np.repeat(points[None], frames, axis=0))


def test_alignment_takes_off_every_movement_of_the_head():
    clip = made_face()
    turns = np.linspace(0, 0.5, 20)
    turn = np.stack([[np.cos(turns), -np.sin(turns)], [np.sin(turns), np.cos(turns)]]).transpose(2, 0, 1)
    moved = (clip.landmarks @ turn) * np.linspace(0.5, 2, 20)[:, None, None] + np.arange(20)[:, None, None]
    shape = face_shape(clip)
    assert distance(aligned(FaceClip(clip.frames, moved), shape), aligned(clip, shape)) < 1e-5
    assert movement(aligned(FaceClip(clip.frames, moved), shape)) < 1e-5


def test_a_clip_of_larger_crops_measures_the_same():
    rng = np.random.default_rng(0)
    points = rng.uniform(20, 70, (3, 478, 2)).astype(np.float32)
    moved = points + rng.normal(0, 1, points.shape).astype(np.float32)
    frames = rng.integers(0, 256, (3, 192, 192, 3)).astype(np.uint8)
    larger = np.repeat(np.repeat(frames, 2, axis=1), 2, axis=2)
    small, large = (
        (FaceClip(pictures, scale * points), FaceClip(pictures[::-1], scale * moved))
        for pictures, scale in ((frames, 1), (larger, 2))
    )
    assert (small[0].size, large[0].size) == (96, 192)
    assert np.array_equal(resized(large[0].crops, 96), small[0].crops)
    for region in ("lips", "inner_mouth", "chin", "cheeks"):
        here, there = (getattr(clip, region) for clip in (small[0], large[0]))
        assert there.shape == (3, 192, 192) and there.mean() == pytest.approx(here.mean(), rel=0.05), region
    silent = np.zeros(3, bool)
    here, there = (measure(own, true, silent) for true, own in (small, large))
    for name in ("lmd", "lmd_pixels", "correlation", "range"):
        assert there[name] == pytest.approx(here[name], rel=1e-4), name
    assert there["psnr"] == pytest.approx(here["psnr"], abs=0.01)


def test_lip_distance_is_counted_in_distances_between_the_eyes():
    clip = made_face()
    shape = face_shape(clip)
    lower = clip.landmarks.copy()
    lower[:, MOUTH, 1] += 3  # of 30 pixels
    lower[3:6] = np.nan  # not seen: not counted
    assert distance(aligned(FaceClip(clip.frames, lower), shape)[:, MOUTH], aligned(clip, shape)[:, MOUTH]) == (
        pytest.approx(0.1, abs=1e-3)
    )


def test_movement_is_the_root_mean_square():
    points = np.zeros((40, 9, 2))
    points[:, :, 1] = 0.2 * np.sin(2 * np.pi * np.arange(40) / 8)[:, None]
    assert movement(points) == pytest.approx(0.2 / np.sqrt(2))


def test_one_sidedness_of_known_lips():
    points = np.zeros((40, 478, 2))
    wave = np.sin(np.arange(40))[:, None]
    points[:, LEFT_LIPS, 1] = wave
    assert one_sidedness(points) == pytest.approx(1)
    points[:, RIGHT_LIPS, 1] = wave / 2
    assert one_sidedness(points) == pytest.approx(1 / 3)
    points[:, RIGHT_LIPS, 1] = -wave
    assert one_sidedness(points) == pytest.approx(0)
    assert np.isnan(one_sidedness(np.zeros((40, 478, 2))))


def test_similarity_is_scikit_images():
    rng = np.random.default_rng(0)
    a = cv2.GaussianBlur(rng.integers(0, 255, (96, 96, 3), np.uint8), (0, 0), 1)
    b = cv2.add(a, rng.integers(0, 40, (96, 96, 3), np.uint8))
    mean, whole = structural_similarity(a, b, channel_axis=2, full=True)
    ours = similarity(a[None], b[None])[0]
    assert ours.mean() == pytest.approx(mean, abs=1e-4)
    assert np.abs(ours - whole[3:-3, 3:-3].mean(axis=2)).max() < 1e-3
    lower = structural_similarity(a[48:], b[48:], channel_axis=2)
    assert ours[48:].mean() == pytest.approx(lower, abs=1e-4)


def test_psnr_of_known_pictures():
    picture = np.random.default_rng(0).integers(0, 200, (2, 48, 96, 3), np.uint8)
    assert psnr(squared_errors(picture, picture).mean()) == pytest.approx(100)
    assert psnr(squared_errors(picture, picture + 10).mean()) == pytest.approx(20 * np.log10(255 / 10))
    assert np.isnan(psnr(float("nan")))


def test_high_pass_removes_the_slow_and_keeps_the_fast():
    frames = np.arange(100)
    fast = np.cos(2 * np.pi * frames / 5)
    passed = high_pass(frames / 10 + fast)
    assert correlation(passed[10:-10], fast[10:-10]) > 0.98
    assert np.abs(high_pass(np.full(50, 3.0))).max() < 1e-12
    assert high_pass(np.array([1.0, 2, 6])).tolist() == pytest.approx([-2, -1, 3])  # shorter than the window


def test_correlation_knows_same_opposite_unseen_and_constant():
    series = np.random.default_rng(0).normal(size=50)
    assert correlation(series, 2 * series + 1) == pytest.approx(1)
    assert correlation(series, -series) == pytest.approx(-1)
    gap = series.copy()
    gap[10:20] = np.nan
    assert correlation(gap, series) == pytest.approx(1)
    assert correlation(series, np.ones(50)) == 0


def test_movement_in_silence_counts_silent_frames_only():
    opening = np.where(np.arange(40) < 20, np.arange(40) % 2, 0.0)  # restless first, then still
    assert liveliness(opening, np.arange(40) < 20) == 1
    assert liveliness(opening, np.arange(40) > 20) == 0
    assert np.isnan(liveliness(opening, np.arange(40) == 5))


@pytest.fixture
def said() -> np.ndarray:
    """A mouth's opening: at rest, open, shut in frames 8 and 9, open, nearly shut in frame 14, open, at rest."""
    return np.float64([0] * 5 + [1, 3, 4, 0.2, 0, 4, 4, 3, 2, 1.2, 3, 4] + [0] * 5) / 100


NEVER = np.zeros(22, bool)


def made(openings: np.ndarray, true: np.ndarray, silent: np.ndarray = NEVER) -> tuple[float, float]:
    return tuple(closures_made(openings, true, silent).values())


def test_lips_close_between_two_openings(said):
    assert closures(said, NEVER) == [(8, 9)]
    assert closures(said, np.arange(22) == 9) == []  # silence: they rest
    assert closures(np.full(22, 0.1), NEVER) == []
    said[14] = 0.005
    assert closures(said, NEVER) == [(8, 9), (14, 14)]


@pytest.mark.parametrize(
    ("shift", "share", "false"), [(0, 1, 0), (2, 1, 0), (-3, 1, 0), (5, 0, 25 / 22), (-5, 0, 25 / 22)]
)
def test_closures_are_made_at_their_time(said, shift, share, false):
    assert made(np.roll(said, shift), said) == (share, pytest.approx(false))


def test_closures_are_those_of_the_mouths_own_scale(said):
    assert made(0.5 * said + 0.01, said) == (1, 0)
    assert made(0.1 * said, said) == (0, 0)  # it trembles


def test_a_closure_that_is_not_made_and_one_too_many(said):
    more = said.copy()
    more[14] = 0
    assert made(more, said) == (1, pytest.approx(25 / 22))
    assert made(said, more) == (0.5, 0)
    assert made(said, said, np.arange(22) < 2) == (1, 0)
    never = np.minimum(np.arange(22), 10) / 100  # opens and stays open
    share, false = made(said, never, np.arange(22) < 2)
    assert np.isnan(share) and false == pytest.approx(25 / 20)
    assert np.isnan(made(said, said, ~NEVER)).all()


def test_a_frame_is_silent_only_where_nothing_of_it_is_spoken(monkeypatch):
    follow = np.zeros(20, np.float32)  # four values a frame
    follow[6:9] = 0.5
    monkeypatch.setattr(measures, "speaking", lambda wave, rule: follow)
    assert silent_frames(np.zeros(3200, np.float32), 7).tolist() == [True, False, False, True, True, False, False]


def test_the_lower_half_is_measured_by_itself(true, silent):
    """The upper one is noise, a copy of which the generator was given; the lower one is ten levels too bright."""
    frames = (true.frames // 2 + 20).astype(np.uint8)
    clip = FaceClip(frames, true.landmarks)
    crops = clip.crops.copy()
    crops[:, : CROP // 2] = 255 - crops[:, : CROP // 2]
    crops[:, CROP // 2 :] += 10
    judged = measure(FaceClip(clip.frames_with(crops), true.landmarks), clip, silent)
    assert judged["psnr"] == pytest.approx(20 * np.log10(255 / 10), abs=0.01)
    assert judged["psnr_whole"] < 20 and judged["ssim"] > 0.8 > judged["ssim_whole"]


def test_silence_is_where_nobody_speaks(clip, shared):
    silent = silent_frames(read_speech(clip), 80)
    assert silent[:8].all() and silent[70:74].all()
    assert not silent[25:45].any()
    assert not silent[76:].any()  # past the sound's end
    assert not silent_frames(read_speech(shared / "data/speech/noise_3s.wav"), 75).any()  # nobody is heard
