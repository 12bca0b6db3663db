"""The generated face goes back where it was taken, without an edge, and touches nothing else."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lipgan_colab.faces import geometry
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import CHEEKS, JAW, Face
from lipgan_colab.generation.paste import mark_synthetic, match_colour, paste, place
from lipgan_colab.media.video import read_video


def a_face(box, roll=0.0, yaw=0.0) -> Face:
    """A face that fills its box; its lower part is an ellipse."""
    across, down = np.cos(np.linspace(0, np.pi, 19)), np.sin(np.linspace(0, np.pi, 19))
    landmarks = np.full((478, 2), 48, np.float32)
    landmarks[2] = 48, 56
    landmarks[JAW] = np.column_stack([48 + 33 * across, 68 + 22 * down])
    landmarks[CHEEKS] = np.column_stack([48 - 30 * across[1:-1:2], 68 - 20 * down[1:-1:2]])
    face = Face(landmarks, np.float32(box), yaw=yaw, pitch=0.0, roll=roll)
    return replace(face, landmarks=geometry.mapped(landmarks, cv2.invertAffineTransform(geometry.to_crop(face))))


def ramps() -> np.ndarray:
    across = np.stack(np.meshgrid(np.arange(240), np.arange(200)), -1)
    return np.dstack([across, np.full((200, 240), 128)]).astype(np.uint8)


def test_the_rest_stays_as_it_was_and_there_is_no_edge():
    picture = np.random.default_rng(0).integers(0, 255, (200, 240, 3), np.uint8)
    face = a_face([50.3, 40.7, 150.3, 140.7])
    placement = place(face, picture.shape)
    original = geometry.upright_crop(picture, face)
    pasted = paste(picture, np.full((96, 96, 3), 255, np.uint8), original, placement)
    shown = np.zeros((200, 240), np.float32)
    left, top, right, bottom = placement.region
    shown[top:bottom, left:right] = placement.mask
    assert np.array_equal(pasted[shown == 0], picture[shown == 0])
    assert np.array_equal(pasted[40:80], picture[40:80])  # eyes and nose stay
    assert shown[110:120, 95:105].min() > 0.999
    edge = np.concatenate([placement.mask[[0, -1]].ravel(), placement.mask[:, [0, -1]].ravel()])
    assert edge.max() < 0.01
    assert max(np.abs(np.diff(placement.mask, axis=axis)).max() for axis in (0, 1)) < 0.35


@pytest.mark.parametrize("roll", [0.0, 2.0, 25.0, -40.0])
@pytest.mark.parametrize("box", [[60.4, 30.2, 156.4, 126.2], [40, 20, 180, 160], [70.5, 50.5, 130.5, 110.5]])
def test_a_crop_goes_back_where_it_was_taken(box, roll):
    picture, face = ramps(), a_face(box, roll)
    crop = geometry.upright_crop(picture, face)
    pasted = paste(picture, crop, crop, place(face, picture.shape))
    assert np.abs(pasted.astype(int) - picture).max() <= 3


@pytest.mark.parametrize("roll", [0.0, 25.0])
def test_what_goes_back_is_not_a_part_of_a_pixel_off_nor_darker(roll):
    """A pixel to the right is a level brighter in red, a pixel further down in green."""
    picture, off = ramps(), []
    for x, y, side in np.random.default_rng(0).uniform([30, 20, 100], [50, 40, 140], (8, 3)):
        face = a_face([x, y, x + side, y + side], roll)
        placement = place(face, picture.shape)
        left, top, right, bottom = placement.region
        crop = geometry.upright_crop(picture, face)
        pasted = paste(picture, crop, crop, placement)[top:bottom, left:right].astype(float)
        off.append((pasted - picture[top:bottom, left:right])[placement.mask > 0.99].mean(axis=0))
    assert np.abs(np.mean(off, axis=0)).max() < 0.15


def test_a_tilted_head_is_turned_upright():
    """A bar along the head's axis stands upright in the crop."""
    for roll in (30.0, -30.0):
        picture = np.zeros((200, 200, 3), np.uint8)
        up = np.array([-np.sin(np.radians(roll)), -np.cos(np.radians(roll))])  # counter-clockwise: to the left
        ends = [tuple(np.rint(100 + side * 60 * up).astype(int).tolist()) for side in (-1, 1)]
        cv2.line(picture, ends[0], ends[1], (255, 255, 255), 9)
        crop = geometry.upright_crop(picture, a_face([50, 50, 150, 150], roll))
        columns = [np.average(np.arange(96), weights=crop[row, :, 0] + 1e-6) for row in (10, 85)]
        assert abs(columns[0] - columns[1]) < 0.15 * abs(85 - 10) * np.tan(np.radians(30))


def test_a_face_at_the_border_and_one_outside():
    picture = ramps()
    face = a_face([-20, 80, 120, 220])
    crop = geometry.upright_crop(picture, face)
    assert np.abs(paste(picture, crop, crop, place(face, picture.shape)).astype(int) - picture).max() <= 3
    assert place(a_face([300, 10, 400, 110]), picture.shape) is None


def test_a_face_that_turns_away_fades_to_the_original():
    shown = []
    for yaw in (0, 44, 52, 61):
        placement = place(a_face([50, 40, 150, 140], yaw=yaw), (200, 240, 3))
        shown.append(0.0 if placement is None else float(placement.mask.max()))
    assert min(shown[:2]) > 0.999
    assert 0.3 < shown[2] < 0.7
    assert shown[3] == 0


def test_skin_takes_on_the_originals_light():
    rng = np.random.default_rng(0)
    original = rng.integers(90, 160, (96, 96, 3), np.uint8)
    mask = place(a_face([0, 0, 96, 96]), (96, 96, 3)).crop_mask
    tinted = (original + np.array([12, -9, 5])).astype(np.uint8)
    matched = match_colour(tinted, original, mask)
    border = (mask > 0.05) & (mask < 0.95)
    assert np.abs((matched - original)[border].mean(axis=0)).max() < 0.5
    assert np.abs((tinted.astype(float) - original)[border].mean(axis=0)).max() > 4


def test_no_step_along_the_masks_edge_on_real_clips(shared):
    """With a generator that returns its target, tinted as networks do, the border differs by less than 2 levels."""
    with FaceFinder() as finder:
        for name in ("s1", "s4", "others"):
            path = sorted((shared / "data" / "grid" / name).glob("l*"))[0]
            _, picture = next(read_video(path))
            face = finder.find(picture)[0]
            placement = place(face, picture.shape)
            crop = geometry.upright_crop(picture, face)
            for generated in (crop, (crop * 0.95).astype(np.uint8)):
                pasted = paste(picture, generated, crop, placement)
                left, top, right, bottom = placement.region
                changed = pasted[top:bottom, left:right].astype(float) - picture[top:bottom, left:right]
                border = (placement.mask > 0.02) & (placement.mask < 0.5)
                assert np.abs(changed[border].mean(axis=0)).max() < 2, name
                assert np.array_equal(changed[placement.mask == 0], np.zeros_like(changed[placement.mask == 0]))


def test_mark_can_be_read_at_any_size():
    for shape in ((48, 64, 3), (288, 360, 3), (1080, 1920, 3)):
        picture = np.full(shape, 200, np.uint8)
        marked = mark_synthetic(picture)
        assert marked.shape == shape
        assert (marked != picture).any()
        assert (picture == 200).all()
