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
FAINT = 5e-3  # what no sample of a track exceeds that may be nothing but hiss: noise of -60 dB
MUCH_LOUDER = 10  # by how much another track's samples have to exceed it to be the one that is meant: 20 dB
CUT_OFF = (0.5, 0.05)  # s, and part of the whole: what is missing at the end of a file that ends too early
STATED = {"flac", "wav", "aiff", "au", "mov", "mp3", "matroska"}  # of others FFmpeg guesses by size how long they are
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


def read_sound(
    path: str | Path,
    track: int | None = None,
    alone: bool = False,
    rate: int | None = None,
    as_played: bool = False,
) -> tuple[np.ndarray, int]:
    """The same sound as `read_speech` gives, in its own quality: float32 (channels, n), and its samples a second.

    Mono stays mono, and what has more than two channels becomes stereo. The rate is the file's own where AAC has it,
    or else the next higher one, at most 48 000; unless another one is asked for.
    Where it exceeds [-1, 1] all of it becomes quieter; or that is cut off, `as_played`.
    """
    timeline = _read(path, rate, track, alone, surround=2)
    return timeline.sound(as_played), timeline.rate


def pick_track(path: str | Path, track: int | None = None) -> tuple[int, int]:
    """Which of a file's sound tracks is to be heard: its number, counted from 1, and how many there are.

    Of several it is the one that is flagged to be played, or else the first; but one that is silent throughout is
    passed over for the next one that is not, and one that is very faint, and may be hiss, for one that is much louder.

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
        track = _meant(path, tracks)
    return track or tracks[0], count


def _meant(path: str | Path, tracks: list[int]) -> int | None:
    """The first of some tracks that is not silent, or one after it that is much louder if that is faint; None if all
    are silent."""
    meant, swing, above = None, 0.0, SILENT
    for track in tracks:
        found = _largest_swing(path, track, max(above, FAINT))
        if found > above:
            meant, swing, above = track, found, MUCH_LOUDER * found
        if swing > FAINT:
            break
    return meant


def _largest_swing(path: str | Path, track: int, enough: float) -> float:
    """How far a track's samples swing at most; it is not read on once they swing further than what is enough."""
    with opened(path) as container:
        largest, seconds, limit = 0.0, 0.0, longest(path)
        for frame in decoded(container, sound_stream(container, track)):
            largest = max(largest, _swing(frame))
            seconds += frame.samples / max(1, frame.sample_rate)
            if largest > enough or seconds > limit:
                break
    return largest


def missing_from(path: str | Path, track: int, seconds: float) -> float | None:
    """How long a track is by what its file says, in seconds, if that is clearly more than there is: the file may be cut
    off. None otherwise, and where a file does not say it."""
    with opened(path) as container:
        stream = sound_stream(container, track)
        stated = float((stream.duration or 0) * stream.time_base)
        name = container.format.name.split(",")[0]
        if name == "matroska" and len(container.streams) == 1:  # which says it of all streams together
            stated = (container.duration or 0) / av.time_base
        # Where the beginning of an MP3 counts its frames, it says as well how late its sound starts.
        known = name in STATED and (name != "mp3" or bool(stream.start_time))
    return stated if known and stated - seconds > max(CUT_OFF[0], CUT_OFF[1] * stated) else None


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
