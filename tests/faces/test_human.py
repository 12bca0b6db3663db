"""What is a human face, and what the landmarker only takes for one."""

import cv2
import numpy as np
import pytest
import skimage.data
from seen_faces import frames_of

from lipgan_colab.faces.human import is_human
from lipgan_colab.media.image import read_image


def drawn_dog() -> np.ndarray:
    """A dog's head, as a child's book has it."""
    picture = np.full((400, 400, 3), (90, 110, 90), np.uint8)
    dark, round_it = (40, 30, 30), {"lineType": cv2.LINE_AA}
    for x, turn in ((95, 20), (305, -20)):
        cv2.ellipse(picture, (x, 190), (45, 90), turn, 0, 360, (150, 110, 90), -1, **round_it)
    cv2.ellipse(picture, (200, 200), (110, 105), 0, 0, 360, (200, 170, 120), -1, **round_it)
    for x in (160, 240):
        cv2.circle(picture, (x, 175), 16, dark, -1, **round_it)
    cv2.ellipse(picture, (200, 225), (22, 16), 0, 0, 360, dark, -1, **round_it)
    cv2.ellipse(picture, (200, 270), (18, 28), 0, 0, 360, (230, 110, 110), -1, **round_it)
    for x in (175, 225):
        cv2.ellipse(picture, (x, 245), (26, 20), 0, 0, 180, dark, 4, **round_it)
    return picture


@pytest.mark.parametrize("picture", [drawn_dog(), skimage.data.colorwheel()[..., :3]], ids=["dog", "wheel of colours"])
def test_what_is_no_human_face_is_told_from_one(finder, picture):
    picture = np.ascontiguousarray(picture)
    found = finder.find(picture)
    assert found  # by the landmarker
    assert not any(is_human(picture, face, finder) for face in found)


@pytest.mark.parametrize(
    "name",
    [
        "photos/monalisa_yaw16.jpg",
        "photos/face_cut_by_border.jpg",
        "grid/people/s33/s33_1.mpg",
        "grid/people/s25/bbwx8n.mpg",
        "grid/others/brbk7n.mpg",
        "tricky/dark_swiz3n.mp4",
        "tricky/gray_lbax4n.mp4",
        "tricky/lowres_96x80_s1.mp4",
        "tricky/tinyface_1280x720_pwij3p.mp4",
        "tricky/roll25_s4.mp4",
    ],
)
def test_people_are_human(shared, finder, name):
    path = shared / "data" / name
    pictures = [read_image(path)] if path.suffix == ".jpg" else frames_of(path, 30)
    for picture in pictures:
        assert is_human(picture, finder.find(picture)[0], finder)
