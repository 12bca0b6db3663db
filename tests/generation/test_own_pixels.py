"""A face that speaks with its own pixels: itself when it says nothing, as sharp and as colourful when it does."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lipgan_colab.faces import geometry, lips
from lipgan_colab.faces.face import INNER_LIPS
from lipgan_colab.faces.face_clip import CHIN
from lipgan_colab.generation.inner_mouth import BRIGHTNESS
from lipgan_colab.generation.own_pixels import Portrait, likeness, speaking_mesh, spoken
from lipgan_colab.generation.warp import warp

SILENCE = np.zeros((468, 3))


def hull(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which pixels lie in the convex hull of some points (N, 2)."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.float32)).astype(np.int32), 1)
    return mask == 1


def opening(who: Portrait, movement: np.ndarray) -> np.ndarray:
    """Which pixels lie well between the lips of a face that speaks."""
    moved = who.pose.to_picture(speaking_mesh(who, movement))
    mask = np.zeros(who.picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(moved[INNER_LIPS, :2]).astype(np.int32)], 1)
    around = 2 * round(0.12 * float(who.pose.scale)) + 1
    return cv2.erode(mask, np.ones((around, around))) == 1


def brightness(pixels: np.ndarray) -> float:
    return float((pixels @ [0.299, 0.587, 0.114]).mean())


@pytest.fixture(scope="module")
def widest(movements):
    """The movement that opens the mouth most."""
    return max(movements, key=lambda movement: lips.gaps(movement).max())


@pytest.mark.parametrize("name", ["monalisa_yaw16", "biden"])
def test_a_closed_mouth_that_says_nothing_is_the_photo_itself(photographed, name):
    who = photographed(name)
    assert np.array_equal(spoken(who, SILENCE), who.picture)


@pytest.mark.parametrize("name", ["obama", "obama_240p"])
def test_who_says_nothing_closes_the_lips(photographed, finder, name):
    who = photographed(name)
    closed = finder.find(spoken(who, SILENCE))[0]
    assert geometry.mouth_opening(closed.landmarks) < 0.012
    assert geometry.mouth_opening(who.points[:, :2]) > 0.06
    assert np.ptp(closed.landmarks[[61, 291], 0]) < 0.95 * np.ptp(who.points[[61, 291], 0])


@pytest.mark.parametrize("name", ["obama", "face_cut_by_border"])
def test_no_tooth_shows_between_lips_that_meet(photographed, name):
    who = photographed(name)
    line = who.pose.to_picture(who.rest)[lips.UPPER, :2]
    seam = np.zeros(who.picture.shape[:2], np.uint8)
    cv2.polylines(seam, [np.rint(line - 0.5).astype(np.int32)], False, 1)
    between = (spoken(who, SILENCE) @ BRIGHTNESS)[seam > 0]
    there = (who.picture @ BRIGHTNESS)[hull(who.points[INNER_LIPS, :2], seam.shape)]
    assert between.max() < 0.9 * who.look.teeth < there.max()


@pytest.mark.parametrize("name", ["obama", "biden", "monalisa_yaw16"])
def test_a_mouth_opens_as_far_as_its_movement_says(photographed, finder, widest, name):
    who = photographed(name)
    seen = []
    for part in (0, 0.5, 1):
        found = finder.find(spoken(who, part * widest))[0].landmarks
        seen.append(float(found[14, 1] - found[13, 1]) / float(who.pose.scale))
    wanted = lips.gaps(speaking_mesh(who, widest)).max()
    assert seen[0] < 0.2 < seen[1] < seen[2]
    assert seen[2] == pytest.approx(wanted, abs=0.65)


def test_half_the_way_is_half_the_movement(photographed, widest):
    who = photographed("biden")
    whole, half, none = (speaking_mesh(who, widest, part) - who.head for part in (1, 0.5, 0))
    assert half == pytest.approx(whole / 2) and not none.any()
    assert np.array_equal(spoken(who, widest, 0), who.picture)


@pytest.mark.parametrize("name", ["obama", "biden", "monalisa_yaw16"])
def test_lips_never_cross(photographed, name):
    who = photographed(name)
    pressed = np.zeros((468, 3))
    pressed[lips.LOWER, 1], pressed[lips.UPPER, 1] = -1, 0.5
    least = np.minimum(lips.gaps(who.rest), lips.SHUT)
    assert lips.gaps(speaking_mesh(who, pressed)) == pytest.approx(least, abs=1e-6)


@pytest.mark.parametrize("name", ["obama", "biden"])
def test_a_grey_photo_stays_grey(photographed, ready, movements, name):
    photo = photographed(name).picture
    who = ready(np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2))
    for movement in (SILENCE, *movements[::2]):
        assert np.ptp(spoken(who, movement).astype(int), axis=2).max() <= 1


@pytest.mark.parametrize("name", ["obama", "biden", "monalisa_yaw16"])
def test_skin_keeps_its_grain(photographed, movements, name):
    """The energy of a Laplacian on the chin is that of the photo, at the places that the pixels come from."""
    who, parts = photographed(name), []
    grain = laplacian(who.picture)
    for movement in movements:
        moved = who.pose.to_picture(speaking_mesh(who, movement))
        moves = warp(who.points[:, :2], moved[:, :2], moved[:, 2], who.picture.shape)
        left, top, right, bottom = moves.region
        chin = hull(moved[CHIN, :2], who.picture.shape)[top:bottom, left:right]
        x, y = np.rint(moves.source[chin]).astype(int).T
        parts.append(laplacian(spoken(who, movement))[top:bottom, left:right][chin].mean() / grain[y, x].mean())
    assert min(parts) > 0.7 and np.mean(parts) > 0.8 and max(parts) < 1.1


def laplacian(picture: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.square(cv2.Laplacian(grey, cv2.CV_32F))


def test_nothing_but_the_lower_face_changes(photographed, widest):
    who = photographed("biden")
    changed = np.nonzero((spoken(who, widest) != who.picture).any(axis=2))
    face = who.points[:, :2]
    assert changed[0].min() > face[[33, 263], 1].max()  # below the eyes
    height = np.ptp(face[:, 1])
    assert face[:, 0].min() - 0.2 * height < changed[1].min() and changed[1].max() < face[:, 0].max() + 0.2 * height


def test_between_the_lips_are_teeth_and_dark(photographed, widest):
    """Of a mouth that was closed: teeth above, lighter than what is below, and nothing lighter than the face's own."""
    who = photographed("biden")
    inside = opening(who, widest)
    rows = np.nonzero(inside)[0]
    result = spoken(who, widest)
    middle = np.arange(len(inside))[:, None] < np.quantile(rows, 0.5)
    above, below = (brightness(result[inside & half]) for half in (middle, ~middle))
    assert above > 1.3 * below
    assert brightness(who.look.skin) > below > 5
    assert result[inside].max() <= np.percentile(who.picture[hull(who.points[:, :2], who.picture.shape)], 99.5)


def test_a_laughing_mouth_keeps_its_own_teeth(photographed, widest):
    """Between the lips as they were and as they will be the photo's own pixels stay where they are."""
    who = photographed("obama")
    was = np.zeros(who.picture.shape[:2], np.uint8)
    cv2.fillPoly(was, [np.rint(who.points[INNER_LIPS, :2]).astype(np.int32)], 1)
    both = opening(who, widest) & (cv2.erode(was, np.ones((9, 9))) == 1)
    difference = np.abs(spoken(who, widest)[both].astype(int) - who.picture[both])
    assert both.sum() > 300 and np.median(difference) <= 2


def test_in_a_film_teeth_are_drawn_in_every_frame(photographed, widest):
    """Whether the mouth was open in this frame or not."""
    who = photographed("obama")
    mouth = opening(who, widest)
    own, drawn = (spoken(replace(who, own_teeth=kept), widest)[mouth].astype(int) for kept in (True, False))
    assert np.abs(own - drawn).mean() > 10
    assert brightness(drawn) > 0.4 * brightness(who.look.skin)


def test_of_a_film_the_least_open_mouths_are_its_rest(photographed, finder, starter, movements):
    """A few closed mouths among many open ones are found."""
    who = photographed("monalisa_yaw16")
    shown = [spoken(who, movement) for movement in movements]
    film = [(picture, finder.find(picture)[0]) for picture in [*shown, *[who.picture] * 3]]
    found = likeness(film, starter.moves)
    assert lips.gaps(found.rest).max() < lips.SHUT
    assert np.abs(found.rest - who.rest).max() < 0.3
    assert found.look.skin == pytest.approx(who.look.skin, abs=12)
    assert likeness([], starter.moves) is None


def test_a_portrait_is_not_changed(photographed, widest):
    who = photographed("biden")
    before = who.picture.copy()
    spoken(replace(who), widest)
    assert np.array_equal(who.picture, before)
