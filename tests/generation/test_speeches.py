"""The sound of a dubbed film: its own outside of what is dubbed, to the sample, and no click where one becomes the
other."""

from fractions import Fraction

import numpy as np
import pytest

from lipgan_colab.generation.schedule import Stretch
from lipgan_colab.generation.speeches import Speech, in_its_time, read, sound_of
from lipgan_colab.media.sound import read_sound

FPS = Fraction(25)


def tone(seconds, rate, hertz, channels=1, loud=0.5):
    wave = loud * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.tile(np.float32(wave), (channels, 1))


def spoken(sound, rate):
    return Speech("a.wav", np.zeros(8, np.float32), sound, rate, 1, 1, None)


def test_outside_of_what_is_dubbed_each_sample_is_the_films():
    film = tone(4, 44100, 220, 2)
    speech = spoken(tone(1.5, 44100, 300), 44100)
    sound, rate = sound_of([speech], [Stretch(0, 0, 25, 75, 25)], FPS, 100, (film.copy(), 44100), True)
    start, stop = 44100, 3 * 44100
    assert sound.shape == film.shape and rate == 44100
    assert np.array_equal(sound[:, :start], film[:, :start]) and np.array_equal(sound[:, stop:], film[:, stop:])
    middle = slice(start + 1000, start + 60000)
    assert np.allclose(sound[:, middle], speech.sound[:, 1000:60000], atol=1e-6)
    assert not sound[:, start + round(1.5 * 44100) : stop - 1000].any()  # silence where nobody says anything


def test_there_is_no_click_at_the_seams():
    film, speech = tone(4, 48000, 97, loud=0.8), spoken(tone(2, 48000, 313, loud=0.8), 48000)
    sound, _ = sound_of([speech], [Stretch(0, 0, 25, 75, 25)], FPS, 100, (film.copy(), 48000), True)
    steps = np.abs(np.diff(sound[0]))
    for seam in (48000, 3 * 48000):
        near = steps[seam - 1000 : seam + 1000].max()
        assert near < 1.3 * max(np.abs(np.diff(one[0])).max() for one in (film, speech.sound))
    loud = np.sqrt(np.square(sound[0]).reshape(-1, 240).mean(axis=1))  # 5 ms
    assert np.abs(np.diff(loud)).max() < 0.45  # which a hard cut within a wave, or a gap, exceeds


def test_a_speech_of_another_rate_and_more_channels_fits_in(shared):
    speech = read(shared / "data" / "speech" / "jfk_44k_24bit_stereo.wav")
    film = tone(6, 48000, 220)
    sound, rate = sound_of([speech], [Stretch(0, 0, 50, 100, 50)], FPS, 150, (film.copy(), 48000), True)
    assert rate == 48000 and sound.shape == (2, 6 * 48000)
    assert np.array_equal(sound[1, : 2 * 48000], film[0, : 2 * 48000])
    there, _ = read_sound(speech.path, alone=True, rate=48000)
    said = slice(2 * 48000 + 960, 4 * 48000 - 960)
    assert np.allclose(sound[:, said], there[:, 960 : 2 * 48000 - 960], atol=1e-6)


def test_a_silent_film_gets_a_sound_as_long_as_itself():
    speech = spoken(tone(1, 16000, 300), 16000)
    sound, rate = sound_of([speech], [Stretch(0, 0, 50, 75, 50)], FPS, 100, None, True)
    assert sound.shape == (1, 64000) and rate == 16000
    assert not sound[:, :32000].any() and sound[:, 32200:47800].any() and not sound[:, 48000:].any()


def test_two_who_speak_at_once_are_both_heard_and_never_too_loud():
    speeches = [spoken(tone(2, 16000, hertz, loud=0.9), 16000) for hertz in (200, 330)]
    stretches = [Stretch(0, 0, 0, 50, 0), Stretch(1, 1, 0, 50, 0)]
    sound, _ = sound_of(speeches, stretches, FPS, 50, None, False)
    spectrum = np.abs(np.fft.rfft(sound[0])) / len(sound[0])
    assert np.abs(sound).max() == pytest.approx(1, abs=1e-3)
    assert min(spectrum[400], spectrum[660]) > 0.2  # half a hertz each


def test_alone_a_speech_is_given_as_it_came(shared):
    speech = read(shared / "data" / "speech" / "jfk_48k_float.wav")
    sound, rate = sound_of([speech], [Stretch(0, 0, 0, 100, 0)], FPS, 100, None, False)
    assert sound is speech.sound and rate == 48000


def test_a_speech_is_heard_in_its_stretch():
    wave = np.ones(16000, np.float32)
    assert in_its_time(wave, Stretch(0, 0, 0, 25, 0), FPS) is wave
    later = in_its_time(wave, Stretch(0, 0, 100, 200, 125), FPS)
    assert len(later) == 64000 and not later[:16000].any() and later[16000:32000].all() and not later[32000:].any()
    assert in_its_time(wave, Stretch(0, 0, 0, 10, 0), FPS).tolist() == [1.0] * 6400
