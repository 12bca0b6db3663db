"""Real films dubbed in part, by several people, in turn and at once, with others who listen."""

import wave
from dataclasses import replace

import cv2
import numpy as np
import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.faces import geometry
from lipgan_colab.generation import setting
from lipgan_colab.generation.face_frames import Film
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.preview import preview
from lipgan_colab.generation.turns import Turn
from lipgan_colab.generation.voices import generate_voices
from lipgan_colab.media.encoding import Encoding
from lipgan_colab.media.marking import told_by
from lipgan_colab.media.sound import read_sound, read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import probe_video, read_video
from lipgan_colab.media.writing import write_video
from lipgan_colab.models.pretrained import ASSETS

SENTENCE = ASSETS / "sample.wav"
LOSSLESS = GenerateOptions(lossless=True)


def frames_of(path) -> list[np.ndarray]:
    return [frame for _, frame in read_video(path)]


def changed(before, after) -> np.ndarray:
    """Which of the frames differ."""
    return np.array([not np.array_equal(a, b) for a, b in zip(before, after, strict=True)])


def sides_changed(before, after) -> np.ndarray:
    """How many pixels differ in the left half of each frame, and in the right one: (frames, 2)."""
    middle = before[0].shape[1] // 2
    differ = [np.abs(a.astype(int) - b).max(axis=2) > 8 for a, b in zip(before, after, strict=True)]
    return np.array([[one[:, :middle].sum(), one[:, middle:].sum()] for one in differ])


@pytest.fixture(scope="module")
def interview(shared):
    """s1 in frames 0 to 39 and 80 to 119, s4 in those between, and its frames."""
    path = shared / "data" / "reports" / "interview.mp4"
    return path, frames_of(path)


@pytest.fixture(scope="module")
def talk(shared):
    """A film with sound, its frames, and its sound."""
    path = shared / "data" / "tricky" / "stereo48k_s1.webm"
    return path, frames_of(path), read_sound(path, as_played=True)


@pytest.fixture(scope="module")
def two_faces(shared):
    """s1 at the left, s4 at the right; 75 frames."""
    path = shared / "data" / "tricky" / "two_faces_s1_s4.mp4"
    return path, frames_of(path)


def test_outside_of_the_stretch_all_is_the_films(talk, starter, tmp_path):
    path, film, (own, rate) = talk
    report = generate(path, SENTENCE, starter, tmp_path / "out.mov", replace(LOSSLESS, from_="0:00.4", to="1.4"))
    frames, (sound, _) = frames_of(report.path), read_sound(report.path)
    differ, sound = changed(film, frames), sound[:, : own.shape[1]]
    assert differ[10:35].mean() > 0.9 and not differ[:10].any() and not differ[35:].any()
    assert np.abs(sound - own)[:, : round(0.4 * rate)].max() < 2e-7  # of 24 bits
    assert np.abs(sound - own)[:, round(1.4 * rate) :].max() < 2e-7
    assert np.abs(sound - own)[:, round(0.5 * rate) : round(1.3 * rate)].max() > 0.1
    assert report.dubbed == [(10, 35)] and "dubbed: 0.4-1.4 s" in str(report)
    assert "its last 2.94 s are not heard" in str(report)


def test_a_film_may_stay_as_long_as_it_is(talk, starter, one_second, tmp_path):
    path, film, _ = talk
    report = generate(path, one_second, starter, tmp_path / "out.mp4", GenerateOptions(keep_length="film"))
    assert report.frames == len(film) == len(frames_of(report.path))
    after = read_speech(report.path)[20000:44000]
    assert np.abs(after).max() < 0.01  # nothing of what was said there


def test_two_people_have_their_turns_over_cuts(interview, starter, tmp_path):
    path, film = interview
    turns = [
        Turn(SENTENCE, "largest", 0, 1.2),  # s1
        Turn(SENTENCE, 0, "40f", "60f"),  # who is alone in that shot: s4
    ]
    report = generate(path, turns, starter, tmp_path / "out.mov", LOSSLESS)
    differ = changed(film, frames_of(report.path))
    assert differ[:30].mean() > 0.9 and differ[41:59].mean() > 0.9
    assert not differ[30:40].any() and not differ[60:].any()
    assert [turn.unseen for turn in report.turns] == [0, 0]
    first, second = report.who_speaks_when().splitlines()
    assert first.startswith("0:00.00 - 0:01.20  person largest: sample.wav")
    assert second.startswith("0:01.60 - 0:02.40  person 0: sample.wav")


def test_each_follows_their_own_person_when_they_swap_sides(two_faces, starter, one_second, tmp_path):
    film = two_faces[1]
    middle = film[0].shape[1] // 2
    swapped = [np.roll(frame, middle, axis=1) if n >= 40 else frame for n, frame in enumerate(film)]
    path = tmp_path / "swapped.mp4"
    write_video(path, swapped, 25, encoding=Encoding(lossless=True))
    turns = [Turn(one_second, 0, 1.0, 2.4)]  # who is at the left when the turn begins
    report = generate(path, turns, starter, tmp_path / "out.mov", replace(LOSSLESS, pauses="off"))
    left, right = sides_changed(swapped, frames_of(report.path)).T
    assert left[28:40].min() > 50 and right[28:40].max() < 5
    assert right[42:57].min() > 50 and left[42:57].max() < 5
    assert report.turns[0].unseen == 0


def test_two_speak_at_once_each_with_their_own_mouth(two_faces, starter, one_second, tmp_path):
    path, film = two_faces
    silence = tmp_path / "silence.wav"
    with wave.open(str(silence), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(bytes(2 * SAMPLE_RATE))
    out = tmp_path / "out.mov"
    generate(path, [Turn(one_second, 1), Turn(silence, 0)], starter, out, LOSSLESS)
    made, own = read_speech(out), read_speech(one_second)
    assert np.corrcoef(made[: len(own)], own)[0, 1] > 0.999
    report = generate(path, [Turn(one_second, 1)], starter, tmp_path / "one.mov", LOSSLESS)
    alone, both = frames_of(report.path), frames_of(out)
    middle = film[0].shape[1] // 2
    assert all(np.array_equal(a[:, middle + 20 :], b[:, middle + 20 :]) for a, b in zip(alone, both, strict=True))
    assert sides_changed(alone, both)[:, 0].sum() > 1000  # the other one's mouth is shut


@pytest.mark.parametrize("weights", ["starter", "lipgan-starter"])
def test_listeners_keep_their_mouths_shut_if_that_is_asked_for(weights, two_faces, finder, one_second, tmp_path):
    path, film = two_faces
    options = replace(LOSSLESS, person=1, from_=0, to=1.0)
    as_filmed = frames_of(generate(path, one_second, weights, tmp_path / "a.mov", options).path)
    assert sides_changed(film, as_filmed)[:, 0].max() == 0
    rested = frames_of(generate(path, one_second, weights, tmp_path / "b.mov", replace(options, listeners="rest")).path)

    def widest(frames) -> float:
        faces = [sorted(finder.find(frame), key=lambda face: face.box[0])[0] for frame in frames[3:20:4]]
        return max(geometry.mouth_opening(face.landmarks) for face in faces)

    assert widest(rested) < 0.5 * widest(as_filmed)
    assert not changed(film[25:], rested[25:]).any()


def test_two_speak_in_turn_in_a_film_and_in_a_photo(two_faces, starter, one_second, tmp_path):
    path, film = two_faces
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), film[0][..., ::-1])
    turns = [Turn(one_second, 0, 0, 1), Turn(one_second, 1, 1, 2)]
    for face, before in ((path, film), (photo, [film[0]] * 50)):
        report = generate(face, turns, starter, tmp_path / "out.mov", replace(LOSSLESS, pauses="off"))
        left, right = sides_changed(before, frames_of(report.path)).T
        assert left[5:20].max() > 50 and left[25:].max() == 0
        assert right[30:45].max() > 50 and right[:25].max() == right[50:].max(initial=0) == 0
    with pytest.raises(InputError, match="person largest is the same as another that speaks"):
        generate(photo, [Turn(one_second, who) for who in (0, 1, "largest")], starter, tmp_path / "out.mp4")


def test_a_silent_film_is_dubbed_in_part(shared, starter, one_second, tmp_path):
    path = shared / "data" / "tricky" / "nosound_s1.mp4"
    report = generate(path, one_second, starter, tmp_path / "out.mp4", GenerateOptions(from_=1))
    speech = read_speech(report.path)
    assert np.abs(speech[:15000]).max() < 1e-3 < 0.05 < np.abs(speech[16500:31000]).max()
    assert report.frames == round(probe_video(path).duration * 25)


def test_a_film_that_is_longer_than_it_says_is_kept_to_its_end(shared, starter, one_second, tmp_path, monkeypatch):
    path = shared / "data" / "tricky" / "vfr_s1.mp4"  # which cannot be copied
    told = replace(probe_video(path), duration=1.0)
    monkeypatch.setattr(setting, "probe_video", lambda _: told)
    report = generate(path, one_second, starter, tmp_path / "out.mp4", GenerateOptions(from_=0, to=0.4))
    assert report.frames == len(frames_of(report.path)) == len(list(Film(path, told.fps).frames()))
    assert report.frames > 40 and "they cannot be copied: their rate is not" in str(report)


def test_somebody_who_is_not_in_the_film_is_told_and_the_others_speak(two_faces, starter, one_second, tmp_path):
    report = generate(two_faces[0], [Turn(one_second, 0), Turn(one_second, 7)], starter, tmp_path / "out.mp4")
    assert [turn.unseen for turn in report.turns] == [0, 25]
    assert "person 7: one.wav; NOBODY like that is seen" in str(report) and "after_cuts" not in str(report)


def test_no_turn_is_no_result(two_faces, starter, tmp_path):
    with pytest.raises(InputError, match="there is no turn"):
        generate(two_faces[0], [], starter, tmp_path / "out.mp4")


def test_a_sheet_shows_what_will_be_made(two_faces, starter, tmp_path):
    calls = []
    options = GenerateOptions(from_=1, person=0)
    preview(two_faces[0], SENTENCE, starter, tmp_path / "p.png", options, on_progress=lambda *of: calls.append(of))
    sheet = cv2.imread(str(tmp_path / "p.png")).astype(int)
    height, width = sheet.shape[0] // 3, sheet.shape[1] // 6
    assert 100 < height < 400 and 0.8 < width / height < 1.25 and calls[-1][0] == 50
    face, result = sheet[: height - 4], sheet[-height + 4 :]
    assert np.abs(face - result)[:, :width].mean() < np.abs(face - result).mean() * 6  # all six are of the same place
    upper = np.abs(face - result)[20 : height // 3, 20 : width // 3]
    assert upper.mean() < 12  # hair and wall are as they were
    told = told_by(tmp_path / "p.png")
    assert told.synthetic and told.manifest is not None, "a preview says of itself what a film does"


def test_three_seconds_are_a_film_of_three_seconds(shared, starter, tmp_path):
    path = shared / "data" / "reports" / "interview.mp4"
    made = preview(path, shared / "data" / "speech" / "jfk.flac", starter, tmp_path / "p.mp4").path
    assert len(frames_of(made)) == 75 and abs(len(read_speech(made)) / 16000 - 3) < 0.05
    with pytest.raises(InputError, match="a preview is a "):
        preview(path, SENTENCE, starter, tmp_path / "p.gif")


def test_many_voices_are_made_one_after_the_other_and_gone_on_with(shared, starter, one_second, tmp_path):
    speech = shared / "data" / "speech"
    listed = tmp_path / "voices.txt"
    listed.write_text(f"# mine\n{one_second}\n{speech / 'broken_header.wav'}\n\n{speech / 'very_short_0.1s.wav'}\n")
    photo = shared / "data" / "photos" / "obama_240p.jpg"
    report = generate_voices(photo, listed, starter, tmp_path / "out")
    assert [made.path.name for made in report.made] == ["one.mp4", "very_short_0.1s.mp4"]
    assert "2 voices made, 1 skipped:" in str(report) and "broken_header.wav" in str(report)
    (tmp_path / "out" / "one.mp4").unlink()
    again = generate_voices(photo, listed, starter, tmp_path / "out")
    assert len(again.made) == len(again.there) == len(again.skipped) == 1
    with pytest.raises(InputError, match="broken_header"):
        generate_voices(photo, [speech / "broken_header.wav"], starter, tmp_path / "out")


def test_voices_of_one_name_do_not_replace_each_other(shared, starter, one_second, tmp_path):
    other = tmp_path / "other" / "one.wav"
    other.parent.mkdir()
    other.write_bytes(one_second.read_bytes())
    report = generate_voices(
        shared / "data" / "photos" / "obama_240p.jpg", [one_second, other], starter, tmp_path / "out"
    )
    assert [made.path.name for made in report.made] == ["one.mp4", "one-2.mp4"]


def test_what_lies_there_of_something_else_is_neither_replaced_nor_taken_for_a_result(shared, starter, tmp_path):
    word, photo = shared / "data" / "speech" / "very_short_0.1s.wav", shared / "data" / "photos" / "obama_240p.jpg"
    (tmp_path / "very_short_0.1s.mp4").write_bytes(b"mine")
    with pytest.raises(InputError, match="this is there already, and not made of this voice in this way"):
        generate_voices(photo, [word], starter, tmp_path)
    assert (tmp_path / "very_short_0.1s.mp4").read_bytes() == b"mine"
    generate_voices(photo, [word], starter, tmp_path / "out")
    with pytest.raises(InputError, match="not made of this voice in this way"):
        generate_voices(photo, [word], starter, tmp_path / "out", GenerateOptions(mark=True))


def test_what_a_result_is_made_of_is_not_replaced_by_it(talk, starter, one_second, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(talk[0].read_bytes())
    for make in (generate, preview):
        with pytest.raises(InputError, match="the result would replace what it is made of"):
            make(film, one_second, starter, film)


def test_a_second_voice_is_the_same_with_what_is_known_of_the_film(
    two_faces, starter, one_second, tmp_path, monkeypatch
):
    monkeypatch.setenv("LIPGAN_FACES", str(tmp_path / "faces"))
    path, _ = two_faces
    generate(path, [Turn(one_second, 1, 0, 0.4), Turn(one_second, 0, 0.4, 1)], starter, tmp_path / "first.mp4")
    options = replace(LOSSLESS, person=1, pauses="off")
    known = generate(path, one_second, starter, tmp_path / "known.mp4", options)
    anew = generate(path, one_second, starter, tmp_path / "anew.mp4", replace(options, cache=False))
    assert known.known > 20 and anew.known == 0 and "were known from before" in str(known)
    assert not changed(frames_of(known.path), frames_of(anew.path)).any()


def test_what_a_film_says_of_itself_goes_on_being_said(talk, starter, one_second, tmp_path):
    first = generate(talk[0], one_second, starter, tmp_path / "a.mp4", GenerateOptions(from_=0, to=0.4))
    second = generate(first.path, one_second, starter, tmp_path / "b.mp4", GenerateOptions(from_=1, to=1.4))
    assert "what was given says that it was made by AI in parts" in str(second) and not first.before
    told = str(told_by(second.path))
    assert "In a part of it (1-1.4 s)" in told and "and that was, as it says, made by AI in parts" in told
    assert "of that it was said: In a part of it (0-0.4 s)" in told
