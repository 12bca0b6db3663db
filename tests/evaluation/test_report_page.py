"""The page: the heat map is bright where the error was put, and the clips come in their order."""

import numpy as np

from lipgan_colab.evaluation.report_page import (
    CAPTION,
    CELL,
    PHASES,
    SMALL,
    YAWS,
    Sample,
    caption,
    errors_at_landmarks,
    heat_map,
    page,
    sample,
)
from lipgan_colab.faces.face import INNER_LIPS, LIPS
from lipgan_colab.faces.face_clip import FaceClip


def made_clip() -> FaceClip:
    """Five frames of nothing, in which landmarks lie on a grid and the lips in the middle below."""
    rng = np.random.default_rng(0)
    points = rng.uniform(4, 92, (478, 2)).astype(np.float32)
    mouth = LIPS + INNER_LIPS
    points[mouth] = rng.uniform([36, 66], [60, 78], (len(mouth), 2))
    points[10] = [48, -20]  # the forehead, above the crop
    return FaceClip(np.zeros((5, 192, 192, 3), np.uint8), np.repeat(points[None], 5, axis=0))


def test_errors_are_found_where_they_were_put():
    true = made_clip()
    crops = true.crops.copy()
    crops[:, 64:80, 34:62] = 30
    errors = errors_at_landmarks(true, FaceClip(true.frames_with(crops), true.landmarks))
    assert errors.shape == (478,)
    assert np.nanmean(errors[LIPS]) > 25
    outside = (true.landmarks[0, :, 1] < 60) & (true.landmarks[0, :, 1] > 1)
    assert np.nanmax(errors[outside]) == 0
    assert np.isnan(errors[10])


def test_frames_without_a_face_do_not_count():
    true = made_clip()
    crops = true.crops.copy()
    crops[1] = 200
    landmarks = true.landmarks.copy()
    landmarks[1] = np.nan
    errors = errors_at_landmarks(FaceClip(true.frames, landmarks), FaceClip(true.frames_with(crops), landmarks))
    assert np.nanmax(errors) == 0


def test_the_heat_map_is_bright_at_the_error():
    shape = made_clip().landmarks[0]
    errors = np.zeros(478, np.float32)
    errors[LIPS + INNER_LIPS] = 10
    errors[10] = np.nan
    picture = heat_map(shape, errors, 288).astype(int).sum(axis=2)
    known = shape[np.isfinite(errors)]
    place = (shape[[14, 13]] - known.min(axis=0)) / np.ptp(known, axis=0).max() * 272 + 8
    x, y = place.mean(axis=0).astype(int)
    assert picture.shape == (288, 288)
    assert picture[y - 2 : y + 3, x - 2 : x + 3].max() > 300
    assert np.median(picture[40:60, 100:200]) < 20


def test_best_clips_come_first_and_none_comes_twice():
    shape = made_clip().landmarks[0]
    for count in (1, 2, 5, 9):
        samples = [
            Sample(f"clip{n}", n / 10, np.full((192, 1152, 3), n, np.uint8), np.ones(478, np.float32))
            for n in range(count)
        ]
        picture = page(samples, shape)
        strips = picture[CAPTION + 288 + CAPTION + 96 :: CAPTION + 192, 0, 0].tolist()
        ranked = sorted(range(count), reverse=True)
        assert strips == (ranked if count <= 6 else ranked[:3] + ranked[-3:])
        last = "worst: clip0" if count > 1 else "the only one: clip0"  # two are not both the best
        told = caption(f"{last} (follows the speech: 0.00 of 1); above true, below generated", 1152)
        np.testing.assert_array_equal(picture[-192 - CAPTION : -192], told)


def test_a_name_that_is_no_text_stands_on_the_page():
    strip = np.zeros((192, 1152, 3), np.uint8)
    clip = Sample("caf\udce9 é.mp4", 0.5, strip, np.full(478, np.nan))
    assert page([clip], np.zeros((478, 2))).shape[0] >= CAPTION + 192


def speaking_clip() -> tuple[FaceClip, np.ndarray]:
    """A clip that opens wide, shuts, opens wide and is silent: five frames each; and when it is silent."""
    still = made_clip()
    points = np.repeat(still.landmarks[:1], 20, axis=0)
    points[:, 10], points[:, 152] = [48, 4], [48, 92]
    points[:, [13, 14]] = [48, 70]
    points[np.r_[0:5, 10:15], 14, 1] += 9
    silent = np.arange(20) >= 15
    return FaceClip(np.zeros((20, 192, 192, 3), np.uint8), points), silent


def test_errors_are_told_by_what_the_mouth_does():
    true, silent = speaking_clip()
    crops = true.crops.copy()
    for frames, error in ((np.r_[0:5, 10:15], 10), (np.r_[5:10], 40), (np.r_[15:20], 80)):
        crops[frames] = error
    told = sample("a", 0.5, true, FaceClip(true.frames_with(crops), true.landmarks), silent, -12.0).phases
    assert {name: count for name, (_, count) in told.items()} == {
        "closures": 5,
        "openings": 10,
        "silence": 5,
        "yaw 10-20": 20,
    }
    assert [round(float(np.nanmean(told[name][0]))) for name in PHASES] == [40, 10, 80]
    assert round(float(np.nanmean(told["yaw 10-20"][0]))) == 35


def test_small_faces_of_one_scale_stand_beside_the_large_one():
    """Two clips, of which the longer one counts more; and what has no frame is left white."""
    shape, strip = made_clip().landmarks[0], np.zeros((192, 1152, 3), np.uint8)
    errors = {"closures": (100, 1), "openings": (10, 9)}, {"closures": (20, 3)}
    clips = [
        Sample("a", 0.5, strip, np.ones(478), {k: (np.full(478, e), n) for k, (e, n) in some.items()})
        for some in errors
    ]
    picture = page(clips, shape).astype(int)
    left, top = 1152 - len(YAWS) * CELL, 2 * CAPTION
    faces = [picture[top : top + SMALL, left + n * CELL :][:, :SMALL] for n in range(len(PHASES))]
    levels = [np.median(face[face.sum(axis=2) < 765].sum(axis=1)) if (face < 255).any() else None for face in faces]
    assert levels[0] > 400 and levels[1] < 250 and levels[2] is None  # (100 + 3 * 20) / 4 = 40 is the brightest
    alone = page(clips[:1], shape).astype(int)[top : top + SMALL, left + CELL :][:, :SMALL]
    assert np.median(alone[alone.sum(axis=2) < 765].sum(axis=1)) < levels[1]  # beside 100, 10 is darker than beside 40
