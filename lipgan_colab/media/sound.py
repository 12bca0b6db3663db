"""The sound of any file read: as speech for the networks, or in its own quality."""

from pathlib import Path

import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.media.container import decoded, films, longest, opened, sound_stream
from lipgan_colab.media.timeline import SAMPLE_RATE, TimeLine
from lipgan_colab.media.video import first_frame_time

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def read_speech(path: str | Path) -> np.ndarray:
    """The sound of any audio or video file as speech: float32 (n,), mono, 16 kHz, in [-1, 1].

    In a video sample 0 belongs to the first frame that read_video gives: sound that starts earlier is cut
    off, a later start filled with silence. Otherwise it is the first sample there is. Gaps between time
    stamps become silence. Stereo becomes the mean of its channels, or the louder one if the other is silent
    or they cancel each other. InputError if there is no sound or none of it can be decoded.
    """
    return _read_mono(path, SAMPLE_RATE)[0]


def read_sound(path: str | Path) -> tuple[np.ndarray, int]:
    """The same sound as `read_speech` gives, in its own quality: float32 (n,), mono, and its samples a second.

    That is the file's own rate where AAC has it, at least 16 000 and at most 48 000.
    """
    return _read_mono(path, None)


def _read_mono(path: str | Path, rate: int | None) -> tuple[np.ndarray, int]:
    with opened(path) as container:
        stream = sound_stream(container)
        if stream is None:
            raise InputError(f"{path}: there is no sound in this file; give a sound file with speech")
        if rate is None:
            own = stream.codec_context.sample_rate or SAMPLE_RATE
            rate = min((r for r in AAC_RATES if r >= max(own, SAMPLE_RATE)), default=max(AAC_RATES))
        sound = TimeLine(first_frame_time(path) if films(container) else None, rate, longest(path))
        for frame in decoded(container, stream):
            sound.add(frame)
        wave = sound.mono()
    if wave.size == 0:
        raise InputError(f"{path}: no sound can be decoded from this file; convert it to WAV and try again")
    return wave, rate
