"""Drawn talking faces: the mouth opens as far as they say, the sound goes with it, and face detection believes them."""

import wave
from itertools import pairwise

import numpy as np
import pytest

from lipgan_colab.faces import geometry
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.media.image import read_image
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.video import read_video
from lipgan_colab.synthetic.clips import draw_clip, draw_corpus, draw_photo, speaking_pattern, speech_like, write_speech
from lipgan_colab.synthetic.drawing import WIDEST, draw_face


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return draw_corpus(tmp_path_factory.mktemp("corpus"), clips=4, identities=3, seconds=1.6)


def true_opening(path):
    return np.load(path.with_suffix(".opening.npy"))


def test_clips_and_their_truth_have_the_length_asked_for(corpus):
    assert [path.name for path in corpus] == ["0_00.mp4", "1_00.mp4", "2_00.mp4", "0_01.mp4"]
    for path in corpus:
        frames = [frame for _, frame in read_video(path)]
        opening = true_opening(path)
        assert len(frames) == 40
        assert frames[0].shape == (256, 256, 3)
        assert opening.shape == (40,) and opening.dtype == np.float32
        assert opening.min() >= 0 and 0.05 < opening.max() <= WIDEST
        assert len(read_speech(path)) == pytest.approx(1.6 * 16000, abs=2048)  # AAC fills its last frame
    assert sorted(p.name for p in corpus[0].parent.iterdir()) == sorted(
        name for p in corpus for name in (p.name, f"{p.stem}.opening.npy")
    )


def test_the_same_seed_makes_the_same_corpus(corpus, tmp_path):
    again = draw_corpus(tmp_path / "again", clips=1, identities=3, seconds=1.6)
    other = draw_corpus(tmp_path / "other", clips=1, identities=3, seconds=1.6, seed=1)
    assert np.array_equal(true_opening(again[0]), true_opening(corpus[0]))
    assert not np.array_equal(true_opening(other[0]), true_opening(corpus[0]))
    pairs = zip(read_video(again[0]), read_video(corpus[0]), strict=True)
    assert all(np.array_equal(one, two) for (_, one), (_, two) in pairs)
    assert np.array_equal(read_speech(again[0]), read_speech(corpus[0]))


def test_clips_of_a_corpus_say_different_things(corpus):
    assert len({true_opening(path).tobytes() for path in corpus}) == len(corpus)


@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize("opening", [0.05, 0.1, WIDEST])
def test_between_the_lips_it_is_as_high_as_stated(opening, side):
    red, green, _ = draw_face(0, opening, size=(side, side))[:, side // 2].T.astype(int)
    under_nose, above_chin = round(0.585 * side), round(0.72 * side)
    upper = under_nose + np.flatnonzero(red[under_nose:above_chin] < 120)[0]  # the dark line below the upper lip
    lower = under_nose + np.flatnonzero(green[under_nose:above_chin] < 90)[-1]  # tongue or cavity above the lower lip
    lip_distance = (lower - upper) / (side / 2)  # the closed mouth's face is half as high as the picture
    face_height = 1 + 0.7 * lip_distance  # the chin drops
    half_a_line = 0.003  # the dark line lies on the lip's edge, so that half of it is seen above
    assert lip_distance / face_height == pytest.approx(opening, abs=half_a_line + 2 / side)


def test_only_the_mouth_and_jaw_move_with_the_opening():
    closed, opened = draw_face(1, 0.0), draw_face(1, WIDEST)
    assert np.array_equal(closed[:140], opened[:140])
    assert np.abs(closed[150:190].astype(int) - opened[150:190]).max() > 60


def test_people_differ():
    pictures = [draw_face(number, 0.0).astype(float) for number in range(6)]
    for one in range(6):
        for two in range(one):
            assert np.abs(pictures[one] - pictures[two])[64:192, 64:192].mean() > 8


def test_heads_sway_and_eyes_blink_gently():
    frames = list(draw_clip(0, np.zeros(100), fps=25, seed=3))
    steps = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(frames)]
    assert 0 < np.median(steps) < 4
    assert np.abs(frames[0].astype(int) - frames[60]).mean() > 1
    eyes = {tuple(frame[112, 104]) for frame in frames}
    assert len(eyes) > 5


def test_speaking_is_syllables_and_pauses():
    opening = speaking_pattern(2500, fps=25, seed=0)
    inner = opening[1:-1]
    syllables = np.sum((inner > opening[:-2]) & (inner >= opening[2:]) & (inner > 0.02)) / 100
    assert 2.5 < syllables < 5
    assert 0.1 < np.mean(opening < 0.005) < 0.5
    assert np.array_equal(opening, speaking_pattern(2500, fps=25, seed=0))


def test_loudness_and_spectrum_go_with_the_opening():
    opening = speaking_pattern(500, fps=25, seed=1)
    sound = speech_like(opening, fps=25, seed=1)
    assert sound.dtype == np.float32 and len(sound) == 20 * 16000
    assert 0.1 < np.abs(sound).max() <= 1
    around = np.pad(sound, 320)[: len(sound)].reshape(500, 640)  # the 40 ms around each frame's moment
    loudness = np.sqrt(np.mean(around**2, axis=1))
    assert np.corrcoef(loudness, opening)[0, 1] > 0.8
    silent = opening < 1e-6
    amid_pauses = silent[:-2] & silent[1:-1] & silent[2:]  # the frames on both sides are silent as well
    assert amid_pauses.sum() > 20
    assert 0 < loudness[1:-1][amid_pauses].max() < 0.02 * loudness.max()

    spectrum = np.abs(np.fft.rfft(around * np.hanning(640), axis=1)) ** 2  # 25 Hz a bin
    first_formant = spectrum[:, 20:44].sum(axis=1) / spectrum[:, 4:44].sum(axis=1)  # 500-1100 of 100-1100 Hz
    wide, narrow = opening > 0.6 * WIDEST, (opening > 0.1 * WIDEST) & (opening < 0.3 * WIDEST)
    assert np.median(first_formant[wide]) > 2 * np.median(first_formant[narrow])


def test_photo_and_speech_files(tmp_path):
    photos = [tmp_path / "photos" / f"{name}.png" for name in ("one", "again", "turned", "other")]
    for path, identity, seed in zip(photos, (2, 2, 2, 3), (0, 0, 1, 0), strict=True):
        draw_photo(path, identity, seed, size=(300, 400))
    one, again, turned, other = (read_image(path) for path in photos)
    assert one.shape == (400, 300, 3)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, turned) and not np.array_equal(one, other)

    write_speech(tmp_path / "speech.wav", seconds=1.25, seed=4)
    write_speech(tmp_path / "more.wav", seconds=1.25, seed=5)
    assert not np.array_equal(read_speech(tmp_path / "speech.wav"), read_speech(tmp_path / "more.wav"))
    with wave.open(str(tmp_path / "speech.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        assert file.getnframes() == 20000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["more.wav", "photos", "speech.wav"]


def test_a_corpus_that_cannot_be_written_leaves_nothing_half_done(tmp_path):
    blocked = tmp_path / "speech.wav"
    blocked.mkdir()
    with pytest.raises(OSError):
        write_speech(blocked, seconds=0.5)
    assert list(tmp_path.iterdir()) == [blocked]


def test_mediapipe_finds_the_faces_and_measures_their_mouths(tmp_path):
    paths = draw_corpus(tmp_path, clips=6, identities=6, seconds=1.6, seed=7)
    with FaceFinder() as finder:
        for path in paths:
            found = [finder.find(frame) for _, frame in read_video(path)]
            assert np.mean([len(people) == 1 for people in found]) > 0.95
            measured = [geometry.mouth_opening(p[0].landmarks) if p else np.nan for p in found]
            seen = ~np.isnan(measured)
            truth = true_opening(path)[seen]
            measured = np.array(measured)[seen]
            assert np.corrcoef(measured, truth)[0, 1] > 0.9, path.name
            assert np.polyfit(truth, measured, 1)[0] == pytest.approx(0.9, abs=0.3), path.name
