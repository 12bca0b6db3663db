"""Who speaks, and what, where there is more than one voice."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from lipgan_colab.errors import InputError
from lipgan_colab.notebook.face_view import FaceView, find_faces
from lipgan_colab.notebook.voices_input import VoicesInput
from lipgan_colab.synthetic.clips import write_speech


@pytest.fixture(scope="module")
def couple(tmp_path_factory):
    """A photo of the same face twice."""
    path = tmp_path_factory.mktemp("photos") / "couple.png"
    face = cv2.resize(astronaut(), (360, 360), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), np.hstack([face, face])[..., ::-1])
    return path


@pytest.fixture(scope="module")
def view(couple):
    return find_faces(couple)


@pytest.fixture
def voices(tmp_path, couple, view):
    """One voice with its file, and two faces to choose from."""
    write_speech(tmp_path / "first.wav", seconds=1.0, seed=3)
    write_speech(tmp_path / "second.wav", seconds=1.0, seed=4)
    made = VoicesInput(tmp_path, [], lambda name, value: {"from_": "“From”", "to": "“to”"}.get(name))
    made.see(couple, view)
    made.voices[0].speech.path.value = str(tmp_path / "first.wav")
    return made


def chosen(voices):
    """Which of the buttons over the faces look and read as chosen."""
    marked = [n for n, button in enumerate(voices.picture.buttons) if "lipgan-chosen" in button._dom_classes]
    assert marked == [n for n, button in enumerate(voices.picture.buttons) if button.description.endswith("chosen")]
    return marked


def test_a_click_on_a_face_and_the_numbers_say_the_same(voices):
    for number, other in ((1, 0), (0, 1)):
        voices.picture.buttons[number].click()
        assert voices.voices[0].person.value == number and chosen(voices) == [number]
        voices.voices[0].person.value = other
        assert chosen(voices) == [other]


def test_the_buttons_lie_over_the_faces_however_large_the_picture_is(voices, view):
    height, width = view.picture.shape[:2]
    for button, face in zip(voices.picture.buttons, view.faces, strict=True):
        part = [float(getattr(button.layout, side)[:-1]) / 100 for side in ("left", "top", "width", "height")]
        x1, y1, x2, y2 = face.box / [width, height, width, height]
        assert np.allclose(part, [x1, y1, x2 - x1, y2 - y1], atol=1e-3)


def test_one_voice_is_a_file_and_no_turn(voices, tmp_path):
    assert voices.speech(1.0, 2.0) == tmp_path / "first.wav"
    assert voices.voices[0].person in voices._chooser.children and len(voices.voices[0].box.children) == 2


def test_two_voices_are_two_turns_of_two_people(voices, tmp_path, view):
    voices.add.click()
    first, second = voices.voices
    assert voices.active is second and second.person.value != first.person.value
    with pytest.raises(InputError, match="no speech of voice 2 yet"):
        voices.check()
    second.speech.path.value = str(tmp_path / "second.wav")
    second.from_field.value, second.to_field.value = "0:01", "60f"
    voices.check()
    one, two = voices.speech(0.5, None)
    assert (one.speech.name, one.from_, one.to) == ("first.wav", 0.5, None)
    assert (two.speech.name, two.from_, two.to) == ("second.wav", "0:01", "60f")
    assert one.person != two.person and two.person == view.person(second.person.value)


def test_a_click_is_for_the_voice_that_is_chosen(voices):
    voices.add.click()
    first, second = voices.voices
    before = second.person.value
    voices.which.value = 0
    voices.picture.buttons[before].click()
    assert first.person.value == before and second.person.value == before and chosen(voices) == [before]
    voices.which.value = 1
    voices.picture.buttons[1 - before].click()
    assert first.person.value == before and second.person.value == 1 - before


def test_a_voice_can_be_taken_away_but_not_the_last_one(voices, tmp_path):
    voices.add.click()
    first, second = voices.voices
    second.speech.path.value = str(tmp_path / "second.wav")
    first.remove.click()
    assert voices.voices == [second] and voices.active is second
    assert voices.speech(None, None) == tmp_path / "second.wav"
    second.remove.click()
    first.remove.click()
    assert voices.voices == [second]


def test_what_the_others_do_is_asked_where_there_are_others(voices, couple, view):
    voices.listeners.value = "rest"
    assert voices.others_do == "rest" and voices.listeners.layout.display == ""
    voices.see(couple, FaceView(view.picture, view.faces[:1], 0, False))
    assert voices.others_do == "as-filmed" and voices.listeners.layout.display == "none"
    assert voices.picture.buttons == [] and voices.voices[0].person.layout.display == "none"


def test_times_that_cannot_be_are_said_beside_them(voices):
    voices.add.click()
    second = voices.voices[1]
    second.to_field.value = "later"
    assert second.notice.text.startswith("“to” 'later': give seconds")
    second.to_field.value = "2"
    assert not second.notice.text


def test_each_voice_has_those_to_choose_from_who_are_seen_when_it_begins(voices, shared):
    film = shared / "data" / "reports" / "interview.mp4"  # he, she from 1.5 s on, he
    voices.see(film, find_faces(film))
    first = voices.voices[0]
    he = first.view.picture
    voices.add.click()
    second = voices.voices[1]
    assert np.array_equal(second.view.picture, he)
    second.from_field.value = "1.8"
    assert np.array_equal(first.view.picture, he)
    assert np.abs(second.view.picture.astype(int) - he).mean() > 20
    second.remove.click()
    assert first.view.picture is he
