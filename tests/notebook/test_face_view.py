"""Who is seen, and how the choice reaches `generate`."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, colorwheel

from lipgan_colab.errors import InputError
from lipgan_colab.faces.following import asked_for
from lipgan_colab.media.image import read_image
from lipgan_colab.media.writing import write_video
from lipgan_colab.notebook.face_view import CHOSEN, OTHER, draw_faces, find_faces


@pytest.fixture
def couple(tmp_path):
    """A photo of the same face twice, the larger one at the right."""
    face = astronaut()
    photo = np.full((512, 900, 3), 120, np.uint8)
    photo[100:456, :356] = cv2.resize(face, (356, 356), interpolation=cv2.INTER_AREA)
    photo[:, 388:] = face
    cv2.imwrite(str(tmp_path / "couple.png"), photo[..., ::-1])
    return tmp_path / "couple.png"


def test_faces_are_numbered_from_the_left_and_the_largest_is_known(couple):
    view = find_faces(couple)
    assert len(view.faces) == 2 and view.faces[0].box[0] < view.faces[1].box[0]
    assert view.speaker == 1 and not view.film
    for number in (0, 1):
        assert asked_for(view.faces[::-1], view.person(number)) is view.faces[number]


def test_what_is_no_human_face_is_not_offered_as_who_speaks(tmp_path):
    """The landmarker takes a wheel of colours for a face."""
    wheel, person = np.ascontiguousarray(colorwheel()[..., :3]), cv2.resize(astronaut(), (300, 300))
    both = np.hstack([wheel[:300], person])
    for name, picture, speaker in (("wheel", wheel, None), ("both", both, -1)):  # the last one from the left
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture[..., ::-1])
        view = find_faces(tmp_path / f"{name}.png")
        assert view.speaker == (speaker and len(view.faces) + speaker)


def test_the_chosen_face_is_drawn_in_colour(couple):
    view = find_faces(couple)
    for chosen in (0, 1):
        drawn = draw_faces(view, chosen, longest=450)
        assert drawn.shape[:2] == (256, 450)
        for number, face in enumerate(view.faces):
            x, y = round(float(face.box[2]) / 2), round(float(face.box[1] + face.box[3]) / 4)  # the middle of an edge
            colour = drawn[y, x].astype(int)
            expected = CHOSEN if number == chosen else OTHER
            assert np.abs(colour - expected).max() < 40


def test_in_a_film_the_choice_is_a_point_in_the_face(shared):
    view = find_faces(shared / "data" / "tricky" / "two_faces_s1_s4.mp4")
    assert view.film and len(view.faces) == 2
    for number, face in enumerate(view.faces):
        x, y = view.person(number)
        assert face.box[0] < x < face.box[2] and face.box[1] < y < face.box[3]


def test_a_film_is_looked_through_until_somebody_is_seen(couple, tmp_path):
    photo = read_image(couple)
    empty = np.full_like(photo, 90)
    write_video(tmp_path / "late.mp4", [empty] * 8 + [photo] * 4, 5)
    view = find_faces(tmp_path / "late.mp4")
    assert len(view.faces) == 2 and view.film


def test_a_film_is_looked_at_from_a_moment_on(couple, tmp_path):
    photo = read_image(couple)[::2, ::2]
    alone = photo.copy()
    alone[:, :190] = 120
    write_video(tmp_path / "joined.mp4", [alone] * 15 + [photo] * 2, 5)
    assert len(find_faces(tmp_path / "joined.mp4").faces) == 1
    assert len(find_faces(tmp_path / "joined.mp4", 2.0).faces) == 2


@pytest.mark.parametrize("film", [False, True])
def test_where_nobody_is_seen_it_says_so(tmp_path, film):
    picture = np.full((120, 160, 3), 90, np.uint8)
    path = tmp_path / ("wall.mp4" if film else "wall.png")
    if film:
        write_video(path, [picture] * 3, 5)
    else:
        cv2.imwrite(str(path), picture)
    cure = " in its first 60 seconds; choose a part of the film" if film else "; choose a picture"
    with pytest.raises(InputError, match=rf"wall.*no face found{cure} in which it is larger"):
        find_faces(path)
