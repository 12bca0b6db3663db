"""The inside of a mouth: in the face's colours, upper teeth that stand still, lower ones that go with the jaw."""

import cv2
import numpy as np
import pytest

from lipgan_colab.faces import lips, mesh
from lipgan_colab.faces.mesh import HeadPose
from lipgan_colab.generation import inner_mouth
from lipgan_colab.generation.inner_mouth import BRIGHTNESS, Look, drawn, look_of

SKIN, RED = np.float32([200, 150, 120]), np.float32([180, 100, 100])


def look(skin=SKIN, lively: float = 1.0) -> Look:
    return Look(np.float32(skin), RED, 170.0, lively, 0.5)


def row(centimetres: float) -> int:
    """The drawing's row so far below the resting lips."""
    return round((centimetres - inner_mouth.TOP) * inner_mouth.PIXELS)


def middle(picture: np.ndarray) -> np.ndarray:
    """How bright a drawing is down its middle, beside the gap between the two foremost teeth."""
    column = round((0.4 - inner_mouth.LEFT) * inner_mouth.PIXELS)
    return picture[:, column - 3 : column + 3].mean(axis=1) @ BRIGHTNESS


@pytest.mark.parametrize("jaw", [0.0, 0.5, 1.5])
def test_grey_skin_has_grey_teeth(jaw):
    picture = drawn(jaw, look([140, 140, 140], 0.0))
    assert np.ptp(picture, axis=2).max() < 1
    assert picture.min() >= 0 and picture.max() <= 255


def test_one_tint_all_over_is_the_insides_too():
    sepia = np.float32([170, 140, 100])
    picture = drawn(1.0, look(sepia, 0.0)) + 1
    shares = picture / picture.sum(axis=2, keepdims=True)
    assert np.abs(shares - (sepia + 1) / (sepia + 1).sum()).max() < 0.01


def test_in_a_colour_film_teeth_are_whiter_and_the_tongue_is_redder_than_skin():
    picture = drawn(1.5, look())
    tooth = picture[row(0.0), picture.shape[1] // 2 + 8]
    tongue = picture[row(0.75 * inner_mouth.HINGE * 1.5 + 0.45), picture.shape[1] // 2]
    redness = [float(pixel[0] / pixel.mean()) for pixel in (tooth, SKIN, tongue)]
    assert redness == sorted(redness) and redness[0] < 1.2 < redness[2]
    assert tooth @ BRIGHTNESS > 1.3 * (tongue @ BRIGHTNESS)


def test_upper_teeth_stand_still_and_lower_ones_go_with_the_jaw():
    shut, open_ = (middle(drawn(jaw, look())) for jaw in (0.0, 2.0))
    upper = slice(row(-0.5), row(0.15))
    assert shut[upper] == pytest.approx(open_[upper], abs=2)
    assert open_[row(0.8)] < 0.6 * open_[row(0.0)]  # dark between the rows
    edge = inner_mouth.LOWER_EDGE + 2.0 * inner_mouth.HINGE
    assert open_[row(edge + 0.4)] > 1.3 * open_[row(edge - 0.4)]


def test_a_jaw_that_goes_up_moves_no_teeth():
    assert np.array_equal(drawn(-0.5, look()), drawn(0.0, look()))


def test_how_lively_a_picture_is(photographed, ready):
    photo = photographed("obama").picture
    points = photographed("obama").points[:, :2]
    grey = np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    sepia = (grey * np.float32([1, 0.85, 0.65])).astype(np.uint8)
    assert look_of(photo, points).lively > 0.5
    assert look_of(grey, points).lively == 0
    assert look_of(sepia, points).lively < 0.2


def test_colours_are_taken_from_skin_lips_and_the_faces_light(photographed):
    who = photographed("obama")
    seen = look_of(who.picture, who.points[:, :2])
    skin, red = seen.skin @ BRIGHTNESS, seen.lips @ BRIGHTNESS
    assert red < skin < seen.teeth < 255
    dark = look_of(who.picture // 3, who.points[:, :2])
    assert dark.skin == pytest.approx(seen.skin / 3, abs=2) and dark.teeth == pytest.approx(seen.teeth / 3, abs=3)


def test_a_face_beside_the_picture_has_colours_too():
    points = mesh.canonical()[:, :2] * 10
    for shift in (-500, 500, 45):
        seen = look_of(np.full((50, 60, 3), 90, np.uint8), points + shift)
        assert seen.skin == pytest.approx([90] * 3) and np.isfinite(seen.teeth)


def test_a_drawing_lies_where_the_head_is():
    """Its pixel in column and row n is where that point of the head's frame is in the picture."""
    turn = cv2.Rodrigues(np.array([0.1, -0.3, 0.5]))[0]
    pose, centre = HeadPose(turn, np.float64(25), np.array([100.0, 120, 0])), np.array([0.3, 0.2, -1])
    spot = np.zeros((96, 128, 3), np.float32)
    spot[60:64, 90:94] = 1
    from_middle = [inner_mouth.LEFT + 92 / inner_mouth.PIXELS, inner_mouth.TOP + 62 / inner_mouth.PIXELS, 0]
    place = centre + np.array(from_middle)
    region = (40, 30, 240, 250)
    seen = inner_mouth.placed(spot, centre, pose, region, 0.5)[..., 0]
    y, x = np.indices(seen.shape) + 0.5
    found = np.array([(seen * along).sum() / seen.sum() for along in (x, y)]) + region[:2]
    assert found == pytest.approx(pose.to_picture(place[None])[0, :2], abs=0.3)


def test_little_is_seen_between_lips_that_hardly_part():
    rest = mesh.canonical().astype(np.float64)
    rest[lips.LOWER, 1] = rest[lips.UPPER, 1] + 0.03
    shown = []
    for more in (-0.1, 0, 0.02, 0.09, 0.15, 1):
        moved = rest.copy()
        moved[lips.LOWER, 1] += more
        shown.append(inner_mouth.shown(moved, rest))
    assert shown[:3] == [0, 0, 0] and 0 < shown[3] < 1 and shown[4:] == [1, 1]


def test_the_middle_of_an_opening_is_lit_most():
    mask = np.zeros((60, 100), np.float32)
    mask[20:40, 10:90] = 1
    light = inner_mouth.shaded(mask, 20)
    assert light[30, 50] > 0.9 and light[20, 50] < 0.85
    assert light.min() >= 0.3 and light.max() <= 1


def test_an_opening_is_a_soft_mask_between_the_inner_lips():
    points = mesh.canonical()[:, :2] * 30 + 200
    mask = inner_mouth.opening_mask(points, (100, 250, 300, 400))
    assert mask.shape == (150, 200)
    y, x = np.rint(points[[13, 14], 1].mean() - 250).astype(int), 100
    assert mask[y, x] == 1 and mask[y - 20, x] == 0 and mask[y + 20, x] == 0
    gaps = lips.gaps(mesh.canonical())
    assert mask[:, x].sum() == pytest.approx(gaps[4] * 30, abs=2)


@pytest.mark.parametrize("blur", [0.7, 1.5, 2.5])
def test_how_soft_a_picture_is(photographed, blur):
    who = photographed("obama")
    points = who.points[:, :2]
    sharp = look_of(who.picture, points).blur
    soft = look_of(cv2.GaussianBlur(who.picture, (0, 0), blur), points).blur
    assert sharp < 1 and soft > sharp + 0.2
    assert soft == pytest.approx(np.hypot(sharp, blur), abs=0.7)


def test_a_drawing_is_as_soft_as_the_picture():
    pose, spot = HeadPose(np.eye(3), np.float64(20), np.zeros(3)), np.zeros((96, 128, 3), np.float32)
    spot[40:60, 50:80] = 1
    steepest = []
    for blur in (0.0, 1.0, 3.0):
        seen = inner_mouth.placed(spot, np.zeros(3), pose, (-100, -100, 100, 100), blur)[..., 0]
        steepest.append(np.abs(np.diff(seen, axis=1)).max())
    assert steepest[0] > 1.3 * steepest[1] > 2 * steepest[2]
