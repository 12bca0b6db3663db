"""Speeches as they are heard: each read, and laid into the time in which it is spoken."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipgan_colab.generation.schedule import Stretch, merged
from lipgan_colab.media.sound import missing_from, pick_track, read_sound, read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE

FADE = 0.01  # s: how long one sound takes to go over into the other


@dataclass(frozen=True)
class Speech:
    """A file's speech.

    Attributes:
        path: the file.
        wave: float32 (n,), mono, 16 kHz, what the networks hear.
        sound: float32 (channels, n), what people hear, of so many samples a second.
        track: which of the file's sound tracks it is, of how many.
        stated: seconds that the file claims to have, if it has clearly fewer.
    """

    path: str | Path
    wave: np.ndarray
    sound: np.ndarray
    rate: int
    track: int
    tracks: int
    stated: float | None

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.wave) / SAMPLE_RATE


def read(path: str | Path, track: int | None = None) -> Speech:
    """A file's speech; the track is one of several, counted from 1, None to choose. InputError where there is none."""
    track, tracks = pick_track(path, track)
    wave = read_speech(path, track, alone=True)
    sound, rate = read_sound(path, track, alone=True)
    return Speech(path, wave, sound, rate, track, tracks, missing_from(path, track, len(wave) / SAMPLE_RATE))


def in_its_time(wave: np.ndarray, stretch: Stretch, fps: Fraction) -> np.ndarray:
    """What is heard from the beginning of a stretch to its end: the speech, with silence around where it is shorter.

    Args:
        wave: float32 (n,), mono, 16 kHz.
        stretch: when it is spoken.
        fps: frames a second.
    """
    before, length = (
        round(n / fps * SAMPLE_RATE) for n in (stretch.begins - stretch.first, stretch.end - stretch.first)
    )
    if not before and abs(len(wave) - length) <= SAMPLE_RATE / fps / 2:
        return wave  # to the sample
    heard = np.zeros(length, np.float32)
    part = wave[: length - before]
    heard[before : before + len(part)] = part
    return heard


def sound_of(
    speeches: Sequence[Speech],
    stretches: Sequence[Stretch],
    fps: Fraction,
    frames: int,
    film: tuple[np.ndarray, int] | None,
    keeps_film: bool,
) -> tuple[np.ndarray, int]:
    """The sound of a result: float32 (channels, n), and its samples a second.

    Where somebody is dubbed it is what they say, elsewhere the film's own, sample for sample; one goes over into the
    other within what is dubbed. All speeches together are quieter where they would exceed [-1, 1].

    Args:
        speeches: each with its stretch.
        stretches: when they are spoken.
        fps: frames a second of the result, which has so many `frames`.
        film: the film's own sound and its rate, if it has any and is kept; it is changed in place.
        keeps_film: whether the film is kept.
    """
    if not keeps_film and len(speeches) == 1 and stretches[0].begins == 0 and not stretches[0].unheard:
        return speeches[0].sound, speeches[0].rate  # as it was given, to its last sample
    rate = film[1] if film and film[0].size else max(one.rate for one in speeches)
    length = round(frames / fps * rate)
    own = film[0] if film else np.zeros((1, 0), np.float32)
    channels = max(len(own), *(len(one.sound) for one in speeches))
    result = own if own.shape == (channels, max(length, own.shape[1])) else _grown(own, channels, length)
    for first, end in merged((one.first, one.end) for one in stretches):
        start, stop = (min(_samples(n, fps, rate), result.shape[1]) for n in (first, end))
        here = result[:, start:stop]
        here *= 1 - _window(stop - start, rate, first > 0, end < frames)
        said = np.zeros_like(here)
        for speech, stretch in zip(speeches, stretches, strict=True):
            if first <= stretch.first < end:
                begins = _samples(stretch.begins, fps, rate) - start
                sound = _at_rate(speech, rate)[:, : _samples(stretch.end, fps, rate) - start - begins]
                sound = sound[:, : said.shape[1] - begins]
                said[:, begins : begins + sound.shape[1]] += sound * _window(sound.shape[1], rate, True, True)
        here += said / max(1, said.max(initial=0), -said.min(initial=0))
    return np.clip(result, -1, 1, out=result), rate


def _samples(frame: int, fps: Fraction, rate: int) -> int:
    return round(frame / fps * rate)


def _grown(sound: np.ndarray, channels: int, length: int) -> np.ndarray:
    """A sound (C, n) with so many channels, and at least so many samples."""
    grown = np.zeros((channels, max(length, sound.shape[1])), np.float32)
    grown[:, : sound.shape[1]] = sound
    return grown


def _window(samples: int, rate: int, rises: bool, falls: bool) -> np.ndarray:
    """1 over so many samples, but for where it rises from 0 and falls back: float32 (samples,)."""
    window = np.ones(samples, np.float32)
    fade = min(round(FADE * rate), samples // 2)
    slope = np.float32(0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(1, fade)))
    if rises:
        window[:fade] = slope
    if falls:
        window[samples - fade :] = slope[::-1]
    return window


def _at_rate(speech: Speech, rate: int) -> np.ndarray:
    """A speech's sound (channels, n) of so many samples a second."""
    if speech.rate == rate:
        return speech.sound
    return read_sound(speech.path, speech.track, alone=True, rate=rate)[0]
