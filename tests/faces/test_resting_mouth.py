"""A resting mouth is painted over an open one, and nothing else is touched."""

import cv2
import numpy as np

from lipgan_colab.faces import geometry
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import INNER_LIPS, LIPS
from lipgan_colab.faces.resting_mouth import at_rest, without_mouth
from lipgan_colab.media.image import read_image

OUTER = np.stack(
    [np.cos(np.linspace(np.pi, 3 * np.pi, 20, False)), np.sin(np.linspace(np.pi, 3 * np.pi, 20, False))], 1
)


def laughing() -> tuple[np.ndarray, np.ndarray]:
    """A plain face with red lips wide open around white teeth, and its lip landmarks."""
    middle = np.array([0.5, 0.78])
    points = np.float32(np.concatenate([middle + OUTER * [0.2, 0.09], middle + OUTER * [0.17, 0.06]]))
    crop = np.full((96, 96, 3), (200, 160, 140), np.uint8)
    for border, colour in ((points[:20], (180, 60, 60)), (points[20:], (250, 250, 250))):
        cv2.fillPoly(crop, [(border * 96).round().astype(np.int32)], colour)
    return crop, points


def test_teeth_are_gone_and_lips_remain():
    crop, points = laughing()
    rested = at_rest(crop, points)
    assert rested.shape == crop.shape and rested.dtype == np.uint8
    assert (crop.min(axis=2) > 240).sum() > 100 and not (rested.min(axis=2) > 205).any()
    red = (rested[..., 0].astype(int) - rested[..., 1] > 55).any(axis=1)
    assert 3 <= red.sum() <= 9  # lips, 18 pixels high before


def test_all_but_the_mouth_stays():
    crop, points = laughing()
    crop[:40] = np.random.default_rng(0).integers(0, 255, (40, 96, 3))
    assert np.array_equal(at_rest(crop, points)[:48], crop[:48])
    assert np.array_equal(at_rest(crop, points)[:, :12], crop[:, :12])


def test_a_mouth_beyond_the_crop_breaks_nothing():
    crop, points = laughing()
    assert at_rest(crop, points + 1).shape == crop.shape


def test_a_margin_takes_more_away():
    crop, points = laughing()
    narrow, wide = (np.abs(without_mouth(crop, points, margin) - crop).max(axis=2) > 1 for margin in (0, 3))
    assert wide.sum() >= narrow.sum() > 0
    skin = without_mouth(crop, points, 3)
    assert np.abs(skin[70:80, 40:56] - (200, 160, 140)).max() < 12


def test_a_real_smile_is_seen_at_rest(shared):
    photo = read_image(shared / "data" / "photos" / "obama.jpg")
    with FaceFinder() as finder:
        (face,) = finder.find(photo)[:1]
        crop = geometry.upright_crop(photo, face, 96)
        points = geometry.mapped(face.landmarks[LIPS + INNER_LIPS], geometry.to_crop(face, 96)) / 96
        framed = cv2.copyMakeBorder(at_rest(crop, points), *[48] * 4, cv2.BORDER_REPLICATE)
        (seen,) = finder.find(cv2.resize(framed, None, fx=2, fy=2))[:1]
    assert geometry.mouth_opening(seen.landmarks) < 0.7 * geometry.mouth_opening(face.landmarks)
    assert crop[60:].max() > 230 > at_rest(crop, points)[66:84, 30:66].max()  # no teeth are left
