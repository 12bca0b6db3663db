"""Moved pixels: none where nothing moves, no tears and no folds where something does, and all at their places."""

import cv2
import numpy as np
import pytest

from lipgan_colab.faces import mesh
from lipgan_colab.faces.face import FACE_OVAL, INNER_LIPS
from lipgan_colab.generation.own_pixels import Portrait, speaking_mesh
from lipgan_colab.generation.warp import Warp, warp, warped

PHOTOS = ["obama", "biden", "monalisa_yaw16"]


def speaking(who: Portrait, movement: np.ndarray) -> tuple[Warp, np.ndarray]:
    """How a face's picture moves, and where its points (468, 3) are then."""
    moved = who.pose.to_picture(speaking_mesh(who, movement))
    return warp(who.points[:, :2], moved[:, :2], moved[:, 2], who.picture.shape), moved


def a_face() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The canonical face in a picture of 300 x 300 pixels, (468, 2); its depth; and the same with the jaw lower."""
    face = mesh.canonical().astype(np.float64)
    down = mesh.mobility()[:, None] * (face[:, 1:2] > 4.3) * [0, 0.8]
    return face[:, :2] * 14.3 + 150.2, face[:, 2] * 14.3, (face[:, :2] + down) * 14.3 + 150.2


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)


def test_where_nothing_moves_there_is_no_warp():
    points, depth, moved = a_face()
    assert warp(points, points, depth, (300, 300, 3)) is None
    assert warp(points, points + 0.005, depth, (300, 300, 3)) is None
    assert warp(points + 1000, moved + 1000, depth, (300, 300, 3)) is None  # nothing of it is in the picture


def test_what_does_not_move_keeps_its_pixels():
    points, depth, moved = a_face()
    moves, picture = warp(points, moved, depth, (300, 300, 3)), noise()
    result = warped(picture, moves)
    moving = np.abs(moved - points).max(axis=1) > 0
    reached = np.zeros((300, 300), np.uint8)
    for triangle in mesh.triangles()[moving[mesh.triangles()].any(axis=1)]:
        for corners in (points[triangle], moved[triangle]):
            cv2.fillConvexPoly(reached, np.rint(corners).astype(np.int32), 1)
    face = np.zeros((300, 300), np.uint8)
    cv2.fillPoly(face, [np.rint(points[FACE_OVAL]).astype(np.int32)], 1)
    reached[face == 0] = 1  # what is around the face goes along with it
    reached = cv2.dilate(reached, np.ones((5, 5)))
    assert np.array_equal(result[reached == 0], picture[reached == 0])
    left, top, right, bottom = moves.region
    outside = np.ones((300, 300), bool)
    outside[top:bottom, left:right] = False
    assert np.array_equal(result[outside], picture[outside])
    assert outside[: int(points[4, 1])].all()  # from the nose's tip upwards
    assert np.abs(result[top:bottom, left:right].astype(int) - picture[top:bottom, left:right]).mean() > 10
    assert np.array_equal(picture, noise())


def test_pixels_go_where_their_points_go():
    """A bright spot on each of some points is found where the point should be, to a fraction of a pixel."""
    points, depth, moved = a_face()
    moves = warp(points, moved, depth, (300, 300, 3))
    for number in (199, 175, 200, 208, 428, 0, 50, 280):
        x, y = np.meshgrid(np.arange(300) + 0.5, np.arange(300) + 0.5)
        spot = 255 * np.exp(-(np.square(x - points[number, 0]) + np.square(y - points[number, 1])) / 4)
        result = warped(np.repeat(spot[..., None], 3, axis=2).astype(np.uint8), moves)[..., 0].astype(float)
        found = [(result * along).sum() / result.sum() for along in (x, y)]
        assert found == pytest.approx(moved[number], abs=0.1)
    assert moved[199, 1] - points[199, 1] > 10


def test_what_grows_grows_from_its_middle():
    points = mesh.canonical()[:, :2].astype(np.float64) * 9 + 150.2
    larger = 150.2 + 1.5 * (points - 150.2)
    moves = warp(points, larger, mesh.canonical()[:, 2], (300, 300, 3))
    x, y = np.meshgrid(np.arange(300) + 0.5, np.arange(300) + 0.5)
    for number in (199, 50, 280, 9):
        spot = 255 * np.exp(-(np.square(x - points[number, 0]) + np.square(y - points[number, 1])) / 3)
        result = warped(np.repeat(spot[..., None], 3, axis=2).astype(np.uint8), moves)[..., 0].astype(float)
        found = [(result * along).sum() / result.sum() for along in (x, y)]
        assert found == pytest.approx(larger[number], abs=0.08)


def test_what_is_nearer_hides_what_is_further_away():
    points, depth, _ = a_face()
    moved = points + 3.0 * (mesh.mobility() > 0)[:, None] * [1, 0]
    moved[152] = moved[17]  # a point of the chin goes up over the lip
    x, y = np.rint(moved[17]).astype(int)
    y += 2
    lips_own = []
    for deep in (500, -500):
        depth[152] = deep
        moves = warp(points, moved, depth, (300, 300, 3))
        source = moves.source[y - moves.region[1], x - moves.region[0]]
        lips_own.append(bool(np.abs(source - [x - 3, y]).max() < 0.1))
    assert lips_own == [True, False]


@pytest.mark.parametrize("name", PHOTOS)
def test_speech_tears_and_folds_nothing(photographed, movements, name):
    """Of a pixel's right and lower neighbour, the places that they come from lie to its right and below it too."""
    who, seen, turned_over, torn = photographed(name), 0, 0, 0
    for movement in movements:
        moves, moved = speaking(who, movement)
        assert moves.folds <= (6 if name == "obama" else 2)  # of 880: slivers in the corners of the mouth
        left, top, right, bottom = moves.region
        source = moves.source
        assert np.isfinite(source).all() and source.shape == (bottom - top, right - left, 2)
        across, down = np.diff(source, axis=1)[:-1], np.diff(source, axis=0)[:, :-1]
        area = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
        apart = np.maximum(np.abs(across - [1, 0]), np.abs(down - [0, 1])).max(axis=2)
        mouth = np.zeros(source.shape[:2], np.uint8)
        opening = np.rint(moved[INNER_LIPS, :2] - [left, top]).astype(np.int32)
        cv2.fillPoly(mouth, [opening], 1)
        cv2.polylines(mouth, [opening], True, 1)
        around = 2 * round(0.25 * float(who.pose.scale)) + 1
        skin = cv2.dilate(mouth, np.ones((around, around)))[:-1, :-1] == 0
        assert apart[skin].max() < 4
        assert np.quantile(area[skin], [0.001, 0.999]) == pytest.approx([0.9, 0.9], abs=0.8)
        seen, turned_over = seen + skin.sum(), turned_over + (area[skin] <= 0).sum()
        torn += (apart[skin] > 2).sum()
    assert turned_over < 2e-4 * seen and torn < 2e-4 * seen


@pytest.mark.parametrize("name", PHOTOS)
def test_the_finder_sees_the_points_where_they_should_be(photographed, finder, movements, name):
    who = photographed(name)
    off = []
    for movement in movements:
        moves, moved = speaking(who, movement)
        found = finder.find(warped(who.picture, moves))[0].landmarks
        lower = mesh.lower_face()
        off.append(np.linalg.norm(found[lower] - moved[lower, :2], axis=1).mean())
    assert np.mean(off) / who.pose.scale < 0.16  # centimetres; a pixel or two
    assert np.mean(off) < 2.6
