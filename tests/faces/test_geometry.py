"""Crops exact to a part of a pixel, masks that hold what speech moves, the mouth's opening."""

import cv2
import numpy as np
import pytest
from seen_faces import rgb

from lipgan_colab.errors import InputError
from lipgan_colab.faces import geometry
from lipgan_colab.faces.face import LIPS

NOISE = np.random.default_rng(0).integers(0, 256, (288, 360, 3), dtype=np.uint8)


@pytest.mark.parametrize("box", [(100, 50, 229, 179), (20, 30, 340, 260), (50, 60, 146, 156), (0, 0, 360, 288)])
def test_shrinking_crop_is_cv2_resize_of_the_slice(box):
    x1, y1, x2, y2 = box
    expected = cv2.resize(NOISE[y1:y2, x1:x2], (96, 96), interpolation=cv2.INTER_AREA)
    got = geometry.crop(NOISE, np.float32(box))
    assert got.dtype == np.uint8 and got.flags.c_contiguous
    assert np.abs(got.astype(int) - expected).max() <= 1


def test_enlarging_crop_is_cv2_resize_of_the_slice():
    expected = cv2.resize(NOISE[60:100, 50:90], (96, 96), interpolation=cv2.INTER_LINEAR)
    inner = slice(2, -2)  # at the rim the slice ends, the frame does not
    got = geometry.crop(NOISE, (50, 60, 90, 100))
    assert np.abs(got.astype(int) - expected)[inner, inner].max() <= 1


@pytest.mark.parametrize("box", [(-40, -30, 80, 90), (300, 250, 420, 370), (-50, -50, 410, 338), (-300, 10, -200, 110)])
def test_crop_repeats_the_edge_outside_the_picture(box):
    x1, y1, x2, y2 = np.array(box) + 400
    padded = cv2.copyMakeBorder(NOISE, 400, 400, 400, 400, cv2.BORDER_REPLICATE)
    expected = cv2.resize(padded[y1:y2, x1:x2], (96, 96), interpolation=cv2.INTER_AREA)
    assert np.abs(geometry.crop(NOISE, box).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("side", [70.0, 96.0, 131.7, 310.3])
def test_crop_is_exact_between_pixels(side):
    x, y = np.meshgrid(np.arange(360) + 0.5, np.arange(288) + 0.5)
    ramp = np.stack([x * 0.6, y * 0.8, (x + y) * 0.35], -1)
    frame = np.rint(ramp).astype(np.uint8)
    box = np.float32([12.3, 7.6, 12.3 + side, 7.6 + side * 0.9])
    points = np.float64([(40.0, 50.0), (60.25, 33.75)])
    got = geometry.crop(frame, box).astype(float)
    for (px, py), (cx, cy) in zip(points, geometry.crop_points(points, box), strict=True):
        value = cv2.getRectSubPix(got.astype(np.float32), (1, 1), (float(cx - 0.5), float(cy - 0.5)))[0, 0]
        np.testing.assert_allclose(value, [px * 0.6, py * 0.8, (px + py) * 0.35], atol=0.75)


@pytest.mark.parametrize("box", [(10, 10, 10, 50), (10, 50, 60, 40), (np.nan, 0, 10, 10)])
def test_crop_refuses_an_empty_box(box):
    with pytest.raises(InputError, match="box"):
        geometry.crop(NOISE, box)


def test_masks_hold_what_speech_moves(shared, finder):
    frame = rgb(shared / "data" / "photos" / "obama.jpg")
    (face,) = finder.find(frame)
    box = face.box + np.float32([-40, -40, 40, 40])
    points = geometry.crop_points(face.landmarks, box)
    lips, lower = geometry.lip_mask(points, (96, 96)), geometry.lower_face_mask(points, (96, 96, 3))
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
    x = geometry.crop_points(face.landmarks[LIPS], box)[:, 0]
    assert (lips * (np.arange(96) + 0.5)).sum() / lips.sum() == pytest.approx((x.min() + x.max()) / 2, abs=1)


def test_mouth_opening_over_leading_axes():
    landmarks = np.zeros((2, 3, 478, 2))
    landmarks[..., 152, 1] = 100
    landmarks[..., 14, 1] = np.arange(6).reshape(2, 3)
    np.testing.assert_allclose(geometry.mouth_opening(landmarks), np.arange(6).reshape(2, 3) / 100)


def test_lip_region_covers_the_lips_and_little_else():
    points = np.float32([[0.4, 0.7], [0.6, 0.7], [0.6, 0.8], [0.4, 0.8]])
    mask = geometry.lip_region(points, 96)
    assert mask[72, 48] == 255
    assert mask[20, 48] == mask[72, 10] == mask[95, 48] == 0
    assert 0.02 < (mask > 127).mean() < 0.08
    unknown = geometry.lip_region(np.full((4, 2), np.nan, np.float32), 96)
    assert unknown[72, 48] == 255
    assert unknown[:48].max() == 0
