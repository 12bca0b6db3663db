"""Lips that meet and never cross, and the mouth of a person who says nothing."""

import numpy as np
import pytest
from seen_faces import rgb

from lipgan_colab.faces import lips, mesh
from lipgan_colab.models.weights import load_generator

TOUCHING = np.full(9, lips.TOUCHING)


@pytest.fixture(scope="module")
def moves():
    return load_generator("starter").moves


@pytest.fixture(scope="module")
def head(shared, finder):
    """`head(name)`: the face in a photo, in its head's frame."""

    def read(name: str) -> np.ndarray:
        points = finder.find(rgb(shared / "data" / "photos" / f"{name}.jpg"))[0].mesh[: mesh.POINTS].astype(np.float64)
        return mesh.head_pose(points).to_head(points)

    return read


def with_gaps(gaps) -> np.ndarray:
    """The canonical face with its inner lips so far apart."""
    face = mesh.canonical().astype(np.float64)
    face[lips.LOWER, 1] = face[lips.UPPER, 1] + gaps
    return face


def test_lips_that_cross_meet():
    rng = np.random.default_rng(0)
    faces = np.stack([with_gaps(gaps) for gaps in rng.uniform(-1, 1, (50, 9))])
    for least in (np.zeros(9), TOUCHING, rng.uniform(0, 0.1, 9)):
        apart = lips.kept_apart(faces, least)
        assert (lips.gaps(apart) >= least - 1e-9).all()
        assert lips.gaps(apart) == pytest.approx(np.maximum(lips.gaps(faces), least), abs=1e-9)


def test_lips_that_are_apart_stay_where_they_are():
    face = with_gaps(np.full(9, 0.5))
    assert np.array_equal(lips.kept_apart(face, TOUCHING), face)
    assert np.array_equal(lips.kept_apart(face, lips.gaps(face)), face)
    crossed = with_gaps([0.5] * 4 + [-0.2] + [0.5] * 4)
    moved = np.abs(lips.kept_apart(crossed, TOUCHING) - crossed).max(axis=1)
    assert moved[[*lips.CORNERS, 1, 33, 263, 10, 152]].max() < 1e-6
    assert moved.argmax() in (14, 15) and moved[13] == pytest.approx(lips.UPPER_PART * 0.23)


def test_an_open_mouth_closes_and_a_closed_one_stays():
    face = with_gaps(np.linspace(0, 1, 9))
    closed = lips.closed(face, TOUCHING)
    assert lips.gaps(closed) == pytest.approx(np.minimum(lips.gaps(face), TOUCHING), abs=1e-9)
    assert np.array_equal(lips.closed(closed, TOUCHING + 1e-9), closed)
    up, down = closed[lips.UPPER, 1] - face[lips.UPPER, 1], face[lips.LOWER, 1] - closed[lips.LOWER, 1]
    assert (up >= 0).all() and (down >= up).all()  # the jaw does more of it


@pytest.mark.parametrize("name", ["monalisa_yaw16", "biden"])  # who smiles a little, and has a wide mouth
def test_who_rests_is_left_alone(head, moves, name):
    resting = head(name)
    assert lips.at_rest(resting, moves) is resting


@pytest.mark.parametrize("name", ["obama", "obama_240p", "face_cut_by_border"])
def test_a_smile_closes_and_narrows(head, moves, name):
    smiling = head(name)
    resting = lips.at_rest(smiling, moves)
    assert lips.gaps(smiling).max() > 1
    assert lips.gaps(resting) == pytest.approx(TOUCHING, abs=1e-6)
    assert lips.WIDEST - 0.2 < lips.width(resting) < lips.width(smiling) - 0.5
    assert np.abs(resting - smiling)[mesh.mobility() == 0].max() < 1e-6
    assert np.abs(resting - smiling).max() < 2.5
    again = lips.at_rest(resting, moves)
    assert lips.width(again) <= lips.width(resting) + 1e-6


def test_lips_that_nearly_touch_meet_and_open_ones_stay():
    least = np.zeros(9)
    wide = np.linspace(0, 1.2, 50)
    met = np.array([lips.gaps(lips.meeting(with_gaps(np.full(9, gap)), least))[4] for gap in wide])
    assert (np.diff(met) >= -1e-9).all() and (met <= wide + 1e-9).all()
    assert met[wide < 0.3 * lips.NEAR].max() < 0.1 * lips.NEAR
    assert met[wide >= lips.NEAR] == pytest.approx(wide[wide >= lips.NEAR], abs=1e-9)
    apart = with_gaps(np.full(9, 0.05))
    assert np.array_equal(lips.meeting(apart, lips.gaps(apart)), apart)
