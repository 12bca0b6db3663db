"""Which part of a film is dubbed, and the film's frames far from its beginning."""

import numpy as np
import pytest

from lipgan_colab.media.video import read_video
from lipgan_colab.media.writing import write_video
from lipgan_colab.notebook.film_frames import SOON, frames_from, glances
from lipgan_colab.notebook.film_part import FilmPart, clock

SECONDS, FPS = 24, 5


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film that grows brighter, longer than what is read from its beginning."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    count = SECONDS * FPS
    write_video(path, [np.full((64, 96, 3), 2 * n, np.uint8) for n in range(count)], FPS)
    return path


@pytest.fixture
def part(film):
    """A film's part, with `changes`: what was chosen each time it changed."""
    changes = []
    made = FilmPart(lambda: changes.append((made.from_, made.to)), lambda name, value: {"from_": "“From”"}.get(name))
    made.show(film)
    made.changes = changes
    return made


@pytest.mark.parametrize("start", [0.0, 3.3, SOON + 1.1])
def test_frames_from_a_moment_on_are_the_films_own(film, start):
    expected = [timed for timed in read_video(film) if timed[0] >= start]
    found = list(frames_from(film, start))
    assert len(found) == len(expected) > 10
    for (time, picture), (there, as_read) in zip(found, expected, strict=True):
        assert time == pytest.approx(there) and np.array_equal(picture, as_read)


@pytest.mark.parametrize("longest", [SOON, SECONDS + 1])
def test_glances_are_small_and_spread_over_the_film(film, monkeypatch, longest):
    monkeypatch.setattr("lipgan_colab.notebook.film_frames.SOON", longest)
    seen = glances(film, 4, 32)
    assert [time for time, _ in seen] == [3, 9, 15, 21]
    assert all(picture.shape == (32, 48, 3) for _, picture in seen)
    brightness = [picture.mean() for _, picture in seen]
    assert brightness == sorted(brightness) and (
        longest < SECONDS or np.allclose(brightness, [30, 90, 150, 210], atol=4)
    )


def test_all_of_a_film_says_nothing(part):
    assert (part.from_, part.to, part.is_chosen) == (None, None, False)
    assert "All of it: 24.0 s" in part._told.value and not part.length.disabled
    assert part._strip.value.count("<img") == 10


def test_the_handles_and_the_fields_say_the_same(part):
    part.slider.value = (4.0, 20.0)
    assert (part.from_, part.to) == (4.0, 20.0) and part.length.disabled
    assert (part.from_field.value, part.to_field.value) == ("4", "20")
    assert "4.0 s to 20.0 s of 24.0 s" in part._told.value
    part.from_field.value = "0:05.2"
    part.to_field.value = ""
    assert (part.from_, part.to) == (5.2, None) and part.slider.value == (5.2, 24.0)
    assert "as long as the speech" in part._told.value
    part.from_field.value = "100f"
    assert part.from_ == 20.0
    assert part.changes == [(4.0, 20.0), (5.2, 20.0), (5.2, None), (20.0, None)]
    part.slider.value = (0.0, 24.0)
    assert not part.is_chosen and part.from_field.value == ""


@pytest.mark.parametrize(
    "first, last, told",
    [("soon", "", "“From” 'soon': give seconds"), ("30", "", "“From” is 30 s; the film ends"), ("9", "4", "not after")],
)
def test_moments_that_cannot_be_are_said_beside_them(part, first, last, told):
    part.to_field.value = last
    part.from_field.value = first
    assert told in part.notice.text and part.from_ is None
    part.from_field.value = "2"
    assert part.from_ == 2 and not part.notice.text


def test_moments_are_told_as_players_do():
    assert [clock(s) for s in (5.25, 65, 3725)] == ["5.2 s", "1:05", "1:02:05"]
