"""The sound of any file read: as speech for the networks, or in its own quality."""

from pathlib import Path

import av
import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.media.container import decoded, films, longest, opened, sound_stream, sound_tracks
from lipgan_colab.media.timeline import SAMPLE_RATE, TimeLine
from lipgan_colab.media.video import first_frame_time

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
SILENT = 2e-4  # what no sample of a track without sound exceeds: the noise of 16 bits, and what codecs make of it
SHORTEST = 0.025  # s; the features of speech are made of pieces of this length


def read_speech(path: str | Path, track: int | None = None, alone: bool = False) -> np.ndarray:
    """The sound of any audio or video file as speech: float32 (n,), mono, 16 kHz, in [-1, 1].

    In a video sample 0 belongs to the first frame that read_video gives: sound that starts earlier is cut
    off, a later start filled with silence. Otherwise it is the first sample there is. Gaps between time
    stamps become silence. Stereo becomes the mean of its channels, or the louder one if the other is silent
    or they cancel each other.

    Args:
        track: which of several sound tracks, counted from 1; None for that of `pick_track`.
        alone: a video's pictures do not matter, only its sound is wanted, and all of it.

    Raises:
        InputError: there is no sound, none of it can be decoded, or it is too short to hear anything in.
    """
    timeline = _read(path, SAMPLE_RATE, track, alone, surround=1)
    return timeline.mono()


def read_sound(path: str | Path, track: int | None = None, alone: bool = False) -> tuple[np.ndarray, int]:
    """The same sound as `read_speech` gives, in its own quality: float32 (channels, n), and its samples a second.

    Mono stays mono, and what has more than two channels becomes stereo. The rate is the file's own where AAC has it,
    at most 48 000.
    """
    timeline = _read(path, None, track, alone, surround=2)
    return timeline.sound(), timeline.rate


def pick_track(path: str | Path, track: int | None = None) -> tuple[int, int]:
    """Which of a file's sound tracks is to be heard: its number, counted from 1, and how many there are.

    Of several it is the one that is flagged to be played, or else the first; but one that is silent throughout is
    passed over for the next one that is not.

    Args:
        track: the number of the one that is wanted; None to choose.

    Raises:
        InputError: there is no sound, or no track of this number.
    """
    with opened(path) as container:
        tracks, count = list(sound_tracks(container)), len(container.streams.audio)
    if not tracks:
        raise InputError(f"{path}: there is no sound in this file; give a sound file with speech")
    if track is not None and track not in tracks:
        choice = f"choose one of {', '.join(map(str, sorted(tracks)))}" if count > 1 else "it has one"
        raise InputError(f"{path}: there is no sound track {track} that can be heard in this file; {choice}")
    if track is None and len(tracks) > 1:
        track = next((number for number in tracks if _is_heard(path, number)), None)
    return track or tracks[0], count


def _is_heard(path: str | Path, track: int) -> bool:
    """Whether a track is not silent throughout; found out at its first sound."""
    with opened(path) as container:
        seconds, limit = 0.0, longest(path)
        for frame in decoded(container, sound_stream(container, track)):
            if _swing(frame) > SILENT:
                return True
            seconds += frame.samples / max(1, frame.sample_rate)
            if seconds > limit:
                break
    return False


def _swing(frame: av.AudioFrame) -> float:
    """How far a frame's samples swing about their middle, of 1 that they can."""
    samples = frame.to_ndarray()
    whole = 2.0 if samples.dtype.kind == "f" else 2.0 ** (8 * samples.itemsize)
    return float(np.ptp(samples.astype(np.float64), axis=1).max()) / whole if samples.size else 0.0


def _read(path: str | Path, rate: int | None, track: int | None, alone: bool, surround: int) -> TimeLine:
    """All sound of a track, on its time line."""
    number, _ = pick_track(path, track)
    with opened(path) as container:
        stream = sound_stream(container, number)
        if rate is None:
            own = stream.codec_context.sample_rate or SAMPLE_RATE
            rate = min((r for r in AAC_RATES if r >= own), default=max(AAC_RATES))
        zero = first_frame_time(path) if films(container) and not alone else None
        fills_up = "mp4" in container.format.name
        timeline = TimeLine(zero, rate, longest(path), surround, fills_up)
        for frame in decoded(container, stream):
            timeline.add(frame)
        timeline.finish()
    if not timeline.seconds:
        raise InputError(f"{path}: no sound can be decoded from this file; convert it to WAV and try again")
    if timeline.seconds < SHORTEST:
        raise InputError(f"{path}: there is {1000 * timeline.seconds:.2g} ms of sound in this file; give more speech")
    return timeline
