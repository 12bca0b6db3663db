"""Decoded sound on one time line, at one rate, every piece where its time stamp puts it."""

import math
from fractions import Fraction

import av
import numpy as np

SAMPLE_RATE = 16_000
LONGEST_GAP = 300.0  # s; time stamps that jump further, or further back, start anew (joined recordings)
LONGEST_STEP_BACK = 1.0
RATES = range(1000, 1_000_000)  # samples a second that a sound can have; resampling any others takes what it likes
JITTER = 0.04  # s; smaller steps between pieces are rounding, not gaps
BLOCK = 1 << 20  # samples looked through at once, because what is noted of each of an hour's takes as much as they do
SILENT_SIDE = 0.01  # a channel this much weaker than the other one carries no speech
CANCELLED = 0.1  # channels whose mean is this much weaker than they are have opposite signs


class TimeLine:
    """Takes the frames of a sound track one by one; gaps become silence, overlaps are cut.

    zero: the time stamp in s that sample 0 has; None for the first frame's. Sound before it is dropped.
    rate: samples a second of what comes out.
    longest: how long in s all of it may be; a gap that would make it longer is left out.
    surround: channels that three and more become: 1 to listen to the one in the middle, 2 to keep left and right.
    fills_up: whether the last frame is filled up and its duration says how much of it is sound, as in mp4.
    """

    def __init__(
        self,
        zero: float | None,
        rate: int = SAMPLE_RATE,
        longest: float = math.inf,
        surround: int = 1,
        fills_up: bool = False,
    ):
        self.zero, self.rate, self.longest, self.surround, self.fills_up = zero, rate, longest, surround, fills_up
        self.due = 0.0  # the time stamp in s that the next frame should have
        self.filling = 0.0  # seconds at the end of the last frame that are no sound
        self.channels = 0  # 1 or 2; none before the first frame
        self.samples = bytearray()  # float32, the channels' in turn, so that no copy is needed to look at them
        self.skip = 0  # samples still to come that lie before sample 0
        self.resampler = self.source = None  # and the kind of frames that it takes

    def add(self, frame: av.AudioFrame) -> None:
        """Take one more frame; ValueError where it is no sound, or all of them are too long."""
        if frame.sample_rate not in RATES:
            raise ValueError(f"a sound of {frame.sample_rate} samples a second")
        if not self.channels:
            channels = frame.layout.nb_channels
            self.channels = self.surround if channels > 2 else max(1, channels)
            self.due = frame.time or 0.0
            if self.zero is None or abs(self.due - self.zero) > LONGEST_GAP:
                self.zero = self.due
        start = self.due if frame.time is None else frame.time
        jumps = not -LONGEST_STEP_BACK < start - self.due < LONGEST_GAP
        if jumps or start - self.zero > self.longest:  # silence that nothing but a time stamp asks for is left out
            self.zero, self.due = self.zero + start - self.due, start
        if self.due - self.zero + frame.samples / frame.sample_rate > self.longest:
            raise ValueError(f"more than {self.longest:.0f} s of sound in so small a file")
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if source != self.source or abs(start - self.due) > JITTER:
            self.finish()
            self.source, self.due = source, start
            self._end_at(start)
            layout = "stereo" if self.channels == 2 else "mono"
            self.resampler = av.AudioResampler(format="flt", layout=layout, rate=self.rate)
        # Elsewhere durations say little: where Vorbis changes its frames' size they are a third too short.
        filled = self.fills_up and frame.time_base == Fraction(1, frame.sample_rate) and frame.duration > 0
        self.filling = max(0, frame.samples - frame.duration) / frame.sample_rate if filled else 0.0
        self.due += frame.samples / frame.sample_rate
        self._append(self.resampler.resample(frame))

    def finish(self) -> None:
        """Take what the resampler still holds."""
        if self.resampler is not None:
            self._append(self.resampler.resample(None))
            self.resampler = None
            self._end_at(self.due - self.filling)

    @property
    def seconds(self) -> float:
        """How long what is there lasts."""
        return len(self.samples) / (4 * max(1, self.channels) * self.rate)

    def sound(self, as_played: bool = False) -> np.ndarray:
        """All sound as float32 (channels, n) in [-1, 1]; it is held once, the channels' samples in turn. What exceeds
        that makes all of it quieter, or is cut off as by players."""
        sound = self._whole()
        return np.clip(sound, -1, 1, out=sound) if as_played else _within_range(sound)

    def mono(self) -> np.ndarray:
        """All sound as float32 (n,) in [-1, 1]: the mean of two channels, unless that would lose level."""
        sound = self._whole()
        return _within_range(_mix(*sound) if len(sound) == 2 and sound.size else sound[0])

    def _whole(self) -> np.ndarray:
        """All sound as it was decoded, float32 (channels, n)."""
        self.finish()
        sound = np.frombuffer(self.samples, np.float32)
        for start in range(0, sound.size, BLOCK):
            np.nan_to_num(sound[start : start + BLOCK], copy=False, posinf=1, neginf=-1)
        return sound.reshape(-1, max(1, self.channels)).T

    def _end_at(self, stamp: float) -> None:
        """Cut off, or fill up with silence, what is there, so that it ends at a time stamp in s."""
        sample = round((stamp - self.zero) * self.rate)
        end = max(0, 4 * self.channels * sample)
        del self.samples[end:]
        self.samples.extend(bytes(end - len(self.samples)))
        self.skip = max(0, -sample)

    def _append(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            self.samples.extend(frame.to_ndarray()[0, self.channels * self.skip :].tobytes())
            self.skip = max(0, self.skip - frame.samples)


def _within_range(sound: np.ndarray) -> np.ndarray:
    """The same array, quieter where floating-point files or the mixing of many channels exceed [-1, 1]."""
    loudest = max(sound.max(initial=0), -sound.min(initial=0))
    return np.divide(sound, loudest, out=sound) if loudest > 1 else sound


def _mix(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The mean of two channels, unless that would lose level: then the louder one."""
    mean = left + right
    mean /= 2
    weaker, louder = sorted((left, right), key=_loudness)
    if _loudness(weaker) < SILENT_SIDE * _loudness(louder) or _loudness(mean) < CANCELLED * _loudness(louder):
        mean[:] = louder
    return mean


def _loudness(wave: np.ndarray) -> float:
    return math.sqrt(np.dot(wave, wave) / len(wave))
