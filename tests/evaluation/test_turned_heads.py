"""A turned head speaks as evenly as one that looks into the camera.

The mesh is judged, not what a landmarker finds in the pictures: that sees hardly any difference of the lips' halves.
"""

from fractions import Fraction

import numpy as np
import pytest

from lipgan_colab.evaluation.measures import one_sidedness
from lipgan_colab.faces import mesh
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import Face
from lipgan_colab.faces.mesh import HeadPose
from lipgan_colab.generation.moved_faces import spoken_parts
from lipgan_colab.generation.own_pixels import Portrait, likeness, portrait, speaking_mesh
from lipgan_colab.media.image import read_image
from lipgan_colab.media.sound import read_speech
from lipgan_colab.models.pretrained import ASSETS
from lipgan_colab.models.weights import load_generator

ALIKE = 0.02  # difference of two one-sidednesses that does not count


@pytest.fixture(scope="module")
def network():
    return load_generator("starter")


@pytest.fixture(scope="module")
def movements(network) -> np.ndarray:
    """What the network makes of some speech, (24, 468, 3)."""
    features = network.speech_input.features(read_speech(ASSETS / "sample.wav"))
    return np.tensordot(spoken_parts(network, features, 96, Fraction(25))[::4], network.moves, 1)


@pytest.fixture(scope="module")
def seen(shared, network):
    """`seen(photo)`: who is in it."""

    def look(photo: str) -> Portrait:
        picture = read_image(shared / "data/photos" / photo)
        return known(picture, finder.find(picture)[0], network)

    with FaceFinder(max_faces=1) as finder:
        yield look


@pytest.fixture(scope="module")
def frontal(seen) -> Portrait:
    return seen("obama.jpg")


def known(picture: np.ndarray, face: Face, network) -> Portrait:
    return portrait(picture, face, likeness([(picture, face)], network.moves))


def in_pictures(face: Portrait, movements: np.ndarray) -> np.ndarray:
    """Where the mesh is told to go in the pictures, (F, 468, 3) in pixels."""
    return np.stack([face.pose.to_picture(speaking_mesh(face, movement)) for movement in movements])


def in_head(points: np.ndarray) -> np.ndarray:
    """Meshes (F, 468, 3) in pixels, in the frame of the head as it is seen there, each minus the first."""
    heads = mesh.head_pose(points).to_head(points)
    return heads - heads[0]


def evenness(points: np.ndarray) -> float:
    """One-sidedness of meshes (F, 468, 3) in pixels."""
    return one_sidedness(in_head(points)[..., :2])


def turned(face: Portrait, degrees: float, network) -> Portrait:
    """The same head, turned to the side, found anew; its picture is not."""
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    pose = HeadPose(turn @ face.pose.rotation, face.pose.scale, face.pose.shift)
    points = np.float32(pose.to_picture(face.head))
    return known(face.picture, Face(points[:, :2], np.zeros(4), degrees, 0.0, 0.0, depth=points[:, 2]), network)


def one_sided(movements: np.ndarray) -> np.ndarray:
    """The right half moves half as far."""
    right = mesh.canonical()[:, 0] > 0
    return movements * np.where(right, 0.5, 1)[:, None]


def test_a_painted_head_that_is_turned_moves_evenly(seen, frontal, movements):
    monalisa = evenness(in_pictures(seen("monalisa_yaw16.jpg"), movements))
    assert monalisa == pytest.approx(evenness(in_pictures(frontal, movements)), abs=ALIKE)
    assert monalisa < 0.05


@pytest.mark.parametrize("degrees", [-45, -30, 30, 45])
def test_however_far_a_head_is_turned(frontal, movements, network, degrees):
    aside = turned(frontal, degrees, network)
    for moves in (movements, one_sided(movements)):
        there, straight = in_pictures(aside, moves), in_pictures(frontal, moves)
        assert evenness(there) == pytest.approx(evenness(straight), abs=ALIKE)
        assert np.abs(in_head(there) - in_head(straight)).max() < 0.01  # centimetres


def test_uneven_lips_are_seen_on_a_turned_head(frontal, movements, network):
    aside = in_pictures(turned(frontal, 45, network), one_sided(movements))
    assert evenness(aside) > evenness(in_pictures(frontal, movements)) + 0.15
