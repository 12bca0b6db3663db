"""The head's frame: a face into it and back, whatever the head does; and the skin's triangles."""

import cv2
import numpy as np
import pytest
from seen_faces import rgb

from lipgan_colab.faces import mesh
from lipgan_colab.faces.face import FACE_OVAL, INNER_LIPS
from lipgan_colab.faces.mesh import HeadPose


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The rotation (3, 3) by some degrees: about the axis down, the one across, and the one into the picture."""
    about_y, about_x, about_z = (
        cv2.Rodrigues(np.radians(angle) * np.eye(3)[axis])[0] for angle, axis in ((yaw, 1), (pitch, 0), (roll, 2))
    )
    return about_z @ about_x @ about_y


POSES = [(0, 0, 0), (25, 0, 0), (-40, 10, 5), (15, -20, 40), (0, 0, -170)]


def poses() -> HeadPose:
    rotations = np.stack([turned(*angles) for angles in POSES])
    shifts = np.random.default_rng(0).uniform(100, 400, (len(POSES), 3))
    return HeadPose(rotations, np.linspace(2, 30, len(POSES)), shifts)


def test_into_the_heads_frame_and_back():
    heads = np.random.default_rng(1).normal(size=(len(POSES), 468, 3))
    there = poses()
    assert there.to_head(there.to_picture(heads)) == pytest.approx(heads, abs=1e-9)
    assert there.to_picture(there.to_head(heads)) == pytest.approx(heads, abs=1e-9)


def test_a_turned_face_is_found_again():
    there = poses()
    found = mesh.head_pose(there.to_picture(mesh.canonical()[None].astype(np.float64)))
    assert found.rotation == pytest.approx(there.rotation, abs=1e-6)
    assert found.scale == pytest.approx(there.scale, rel=1e-6)
    assert found.shift == pytest.approx(there.shift, abs=1e-4)


def test_of_one_face_and_of_many_the_same_is_found():
    seen = poses().to_picture(mesh.canonical()[None].astype(np.float64))
    many = mesh.head_pose(seen)
    for n, points in enumerate(seen):
        one = mesh.head_pose(points)
        assert one.rotation == pytest.approx(many.rotation[n]) and one.scale == pytest.approx(many.scale[n])
        assert one.to_head(points) == pytest.approx(mesh.canonical(), abs=1e-5)


def test_a_speaking_mouth_does_not_turn_the_head():
    face = mesh.canonical().astype(np.float64)
    speaking = face + mesh.mobility()[:, None] * np.random.default_rng(0).normal(0, 1, (468, 3))
    still, moved = (mesh.head_pose(points) for points in (face, speaking))
    assert moved.rotation == pytest.approx(still.rotation, abs=0.02)  # a degree
    assert moved.scale == pytest.approx(still.scale, rel=0.02)


def test_points_that_lie_badly_give_a_turn_and_no_mirror_image():
    mirrored = mesh.canonical() * np.float32([1, 1, -1])
    assert np.linalg.det(mesh.head_pose(mirrored).rotation) == pytest.approx(1)


def test_speech_moves_the_lower_face_alone():
    part = mesh.mobility()
    assert part.min() == 0 and part.max() == 1
    eyes, forehead, nose = [33, 133, 263, 362, 159, 386], [10, 67, 297], [168, 6, 197, 195]
    assert not part[eyes + forehead + nose].any()
    assert (part[[13, 14, 17, 152]] == 1).all() and 0 < part[2] < 1
    assert set(mesh.lower_face()) | set(mesh.STABLE) == set(mesh.kept_points())


def covered(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """How many triangles that are seen from the front lie over each pixel, of a face (468, 2) in 400 x 400."""
    count = np.zeros((400, 400), int)
    for corners in points[triangles]:
        (ax, ay), (bx, by) = corners[1:] - corners[0]
        if ax * by > ay * bx:
            one = np.zeros((400, 400), np.uint8)
            cv2.fillConvexPoly(one, np.rint(corners * 16).astype(np.int32), 1, cv2.LINE_8, 4)
            count += one
    return count


def test_triangles_cover_the_skin_and_not_the_mouth():
    points = mesh.canonical()[:, :2] * 18 + 200  # its mouth is a little open
    face, mouth = np.zeros((400, 400), np.uint8), np.zeros((400, 400), np.uint8)
    for mask, border in ((face, FACE_OVAL), (mouth, INNER_LIPS)):
        cv2.fillPoly(mask, [np.rint(points[border]).astype(np.int32)], 1)
    count = covered(points, mesh.triangles())
    inner = cv2.erode(mouth, np.ones((5, 5)))
    skin = cv2.erode(face, np.ones((5, 5))) - cv2.dilate(mouth, np.ones((5, 5)))
    assert inner.sum() > 200 and not count[inner == 1].any()
    assert (count[skin == 1] > 0).all()
    assert (cv2.dilate(face, np.ones((5, 5)))[count > 0] == 1).all()


def test_a_face_in_a_photo_has_the_usual_size_in_its_head(shared, finder):
    for name in ("obama", "biden", "monalisa_yaw16"):
        face = finder.find(rgb(shared / "data" / "photos" / f"{name}.jpg"))[0]
        points = face.mesh[: mesh.POINTS].astype(np.float64)
        pose = mesh.head_pose(points)
        head = pose.to_head(points)
        assert np.linalg.norm(head[263] - head[33]) == pytest.approx(8.9, abs=0.5)
        assert pose.to_picture(head) == pytest.approx(points, abs=1e-6)
        assert np.degrees(np.arcsin(pose.rotation[0, 2])) == pytest.approx(-face.yaw, abs=5)  # z: away from us
        assert abs(head[10, 0] - head[152, 0]) < 1.2  # the head stands upright
