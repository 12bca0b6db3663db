"""What a motion network makes of a speech: its sentence, in time, and rest in its pauses."""

from contextlib import closing
from fractions import Fraction

import numpy as np
import pytest
from made_media import as_int16, mux

from lipgan_colab.faces import geometry, lips, mesh
from lipgan_colab.faces.facts import Facts
from lipgan_colab.faces.following import Wanted
from lipgan_colab.generation.face_frames import Film
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.moved_faces import film_likenesses, spoken_parts
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.media.image import read_image
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import read_video
from lipgan_colab.models.pretrained import ASSETS
from lipgan_colab.speech.pauses import PAUSE_RULES, speaking


def heard(starter, path, fps=25, **options) -> np.ndarray:
    wave = read_speech(path)
    frames = max(1, round(len(wave) / SAMPLE_RATE * fps))
    return spoken_parts(starter, starter.speech_input.features(wave), frames, Fraction(fps), **options)


def openings(path, finder, person: int = 0) -> np.ndarray:
    """The mouth's opening in each frame of a film, in parts of the face's height."""
    with closing(read_video(path)) as film:
        return np.array([geometry.mouth_opening(finder.find(frame)[person].landmarks) for _, frame in film])


def test_there_is_an_answer_for_every_frame(shared, starter):
    speech = shared / "data" / "speech"
    for name, frames in (("jfk_8k_mono.wav", 275), ("very_short_0.1s.wav", 2)):
        parts = heard(starter, speech / name)
        assert parts.shape == (frames, starter.config.components) and parts.dtype == np.float32
        assert np.isfinite(parts).all() and np.abs(parts).max() < 6


def test_the_mouth_follows_the_time_and_not_the_frames(shared, starter):
    speech = shared / "data" / "speech" / "jfk_8k_mono.wav"
    slow, fast = heard(starter, speech, 25), heard(starter, speech, 75)
    assert fast[1::3] == pytest.approx(slow, abs=1e-5)  # the middle of a frame is that of the middle one of three
    later = heard(starter, speech, 25, offset=0.2)
    assert later[5:] == pytest.approx(slow[:-5], abs=1e-5)


def test_where_nobody_speaks_it_rests(shared, starter):
    speech = shared / "data" / "speech" / "jfk_long_pauses.wav"
    assert not heard(starter, speech, follow=np.zeros(1600, np.float32)).any()
    all_of_it = heard(starter, speech)
    assert np.array_equal(heard(starter, speech, follow=np.ones(1600, np.float32)), all_of_it)
    follow = speaking(read_speech(speech), PAUSE_RULES["normal"])
    parts = heard(starter, speech, follow=follow)
    asked = np.interp((np.arange(len(parts)) + 0.5) * 4, np.arange(len(follow)) + 0.5, follow)
    pause = np.convolve(asked == 0, np.ones(3), "same") == 3
    moving = np.abs(np.diff(np.tensordot(parts, starter.moves, 1), axis=0)).max(axis=(1, 2))
    assert pause.sum() > 30
    assert moving[pause[1:]].mean() <= 0.01 * moving[asked[1:] == 1].mean()
    assert np.array_equal(parts[asked == 1], all_of_it[asked == 1])


def test_what_is_heard_opens_and_closes_the_mouth(shared, starter):
    """The louder, the wider, by and large; and lips do close between."""
    wave = read_speech(shared / "data" / "speech" / "jfk.flac")
    movement = np.tensordot(heard(starter, shared / "data" / "speech" / "jfk.flac"), starter.moves, 1)
    wide = (movement[:, lips.LOWER, 1] - movement[:, lips.UPPER, 1]).mean(axis=1)
    loud = np.array([np.sqrt(np.square(wave[n * 640 : n * 640 + 640]).mean()) for n in range(len(wide))])
    assert np.corrcoef(wide, loud)[0, 1] > 0.4
    assert np.quantile(wide, 0.9) > 0.5 and np.quantile(wide, 0.05) < 0.15  # centimetres
    assert np.abs(movement)[:, mesh.mobility() == 0].max() < 1e-6


def test_of_a_film_the_person_is_looked_at(shared, finder, starter):
    film = shared / "data" / "grid" / "others" / "swwp2s.mpg"
    frames = Film(film, Fraction(25)).frames()
    found, nobody = film_likenesses(frames, [Wanted(), Wanted((2.0, 2.0))], starter.moves, Facts(finder))
    assert found.rest.shape == (468, 3) and lips.gaps(found.rest).max() < lips.SHUT
    assert nobody is None


@pytest.fixture(scope="module")
def dubbed(shared, finder, tmp_path_factory):
    """A film's own openings of the mouth, and those with somebody else's sentence, and with silence."""
    film, out = shared / "data" / "grid" / "others" / "swwp2s.mpg", tmp_path_factory.mktemp("dubbed")
    found = [openings(film, finder)]
    for speech in (film.with_name("lbbc2a.mpg"), shared / "data" / "speech" / "silence_3s.wav"):
        report = generate(film, speech, "starter", out / f"{speech.stem}.mp4")
        found.append(openings(report.path, finder))
    return found


def test_a_film_speaks_the_new_sentence_and_not_its_own(shared, starter, dubbed):
    own, another, _ = dubbed
    speech = shared / "data" / "grid" / "others" / "lbbc2a.mpg"
    follow = speaking(read_speech(speech), PAUSE_RULES["normal"])
    movement = np.tensordot(heard(starter, speech, follow=follow), starter.moves, 1)
    said = (movement[:, lips.LOWER, 1] - movement[:, lips.UPPER, 1]).max(axis=1)
    count = min(map(len, (own, another, said)))
    likeness = np.corrcoef([own[:count], another[:count], said[:count]])
    assert likeness[1, 2] > 0.9
    assert likeness[0, 1] <= 0.3
    left = another[:count] - np.polyval(np.polyfit(said[:count], another[:count], 2), said[:count])
    assert abs(np.corrcoef(left, own[:count])[0, 1]) < 0.5


def test_a_film_that_is_to_be_silent_closes_its_mouth(dubbed):
    own, _, silent = dubbed
    assert own.max() > 0.05
    assert silent.max() < 0.012 and np.std(silent) < 0.1 * np.std(own)


def test_a_closed_mouth_stays_the_photo_in_silence(shared, tmp_path):
    photo = shared / "data" / "photos" / "monalisa_yaw16.jpg"
    report = generate(photo, shared / "data" / "speech" / "silence_3s.wav", "starter", tmp_path / "out.mp4")
    frames = [frame.astype(int) for _, frame in read_video(report.path)]
    assert report.spoken == 0 and len(frames) == report.frames == 75
    original = read_image(photo).astype(int)
    for frame in frames[::6]:
        assert np.abs(frame - original).mean() < 3 and np.abs(frame - frames[0]).mean() < 0.5


def test_a_photo_speaks_in_speech_and_rests_in_pauses(shared, tmp_path):
    photo, speech = shared / "data" / "photos" / "monalisa_yaw16.jpg", tmp_path / "speech.wav"
    wave = read_speech(shared / "data" / "speech" / "jfk_long_pauses.wav")[: 7 * SAMPLE_RATE]
    mux(speech, pieces=[(0, as_int16(wave))])
    report = generate(photo, speech, "starter", tmp_path / "out.mp4")
    frames = np.stack([frame for _, frame in read_video(report.path)])
    assert len(frames) == report.frames == round(len(wave) / SAMPLE_RATE * 25)
    loud = np.array([np.abs(wave[n * 640 : n * 640 + 640]).max() for n in range(len(frames))])
    pause = np.convolve(loud < 1e-3, np.ones(15), "same") == 15
    mouth = frames[:, 170:230, 60:150].astype(np.int16)
    movement = np.abs(np.diff(mouth, axis=0)).mean(axis=(1, 2, 3))
    assert pause.sum() > 30
    assert movement[pause[1:]].mean() <= 0.05 * movement[loud[1:] > 0.05].mean()


def test_a_face_that_is_turned_too_far_stays_as_it_is(shared, one_second, tmp_path):
    photo = shared / "data" / "photos" / "monalisa_yaw16.jpg"
    changed = {}
    for largest in (0, 45):
        out = tmp_path / f"{largest}.mp4"
        report = generate(photo, one_second, "starter", out, GenerateOptions(largest_yaw=largest))
        frames = [frame.astype(int) for _, frame in read_video(report.path)]
        changed[largest] = np.mean([np.abs(frame - frames[0]).mean() for frame in frames])
    assert changed[0] < 0.1 * changed[45]


def test_frames_without_the_face_are_as_they_were(shared, tmp_path):
    film = shared / "data" / "tricky" / "face_leaves_swiz3n.mp4"
    report = generate(film, film, "starter", tmp_path / "out.mp4")
    assert 0 < report.passed_through < report.frames
    frames, film = ([frame.astype(int) for _, frame in read_video(path)] for path in (report.path, film))
    for first, last in report.without_face:
        for number in range(first, last + 1):
            assert np.abs(frames[number] - film[number]).mean() < 2


def test_lips_can_be_moved_against_the_sound(shared, tmp_path):
    photo, speech = shared / "data" / "photos" / "monalisa_yaw16.jpg", ASSETS / "sample.wav"
    seen = []
    for offset in (0, 5):
        options = GenerateOptions(pauses="off", sync_offset=offset)
        report = generate(photo, speech, "starter", tmp_path / f"{offset}.mp4", options)
        seen.append(np.array([frame[170:230, 60:150].mean() for _, frame in read_video(report.path)]))
    likeness = [np.corrcoef(seen[0][: len(seen[0]) - lag], seen[1][lag:])[0, 1] for lag in range(11)]
    assert np.argmax(likeness) == 5 and likeness[5] > 0.95
