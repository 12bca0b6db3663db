"""Decoded sound on one time line: mono, at one rate, every piece where its time stamp puts it."""

import math
from fractions import Fraction

import av
import numpy as np

SAMPLE_RATE = 16_000
LONGEST_GAP = 300.0  # s; time stamps that jump further, or further back, start anew (joined recordings)
LONGEST_STEP_BACK = 1.0
RATES = range(1000, 1_000_000)  # samples a second that a sound can have; resampling any others takes what it likes
JITTER = 0.04  # s; smaller steps between pieces are rounding, not gaps
SILENT_SIDE = 0.01  # a channel this much weaker than the other one carries no speech
CANCELLED = 0.1  # channels whose mean is this much weaker than they are have opposite signs


class TimeLine:
    """Takes the frames of a sound track one by one; gaps become silence, overlaps are cut.

    zero: the time stamp in s that sample 0 has; None for the first frame's. Sound before it is dropped.
    rate: samples a second of what comes out.
    longest: how long in s all of it may be; a gap that would make it longer is left out.
    """

    def __init__(self, zero: float | None, rate: int = SAMPLE_RATE, longest: float = math.inf):
        self.zero, self.rate, self.longest = zero, rate, longest
        self.due = 0.0  # the time stamp in s that the next frame should have
        self.channels: list[bytearray] = []  # float32 samples; two for stereo, one for all else
        self.skip = 0  # samples still to come that lie before sample 0
        self.resampler = self.source = None  # and the kind of frames that it takes

    def add(self, frame: av.AudioFrame) -> None:
        """Take one more frame; ValueError where it is no sound, or all of them are too long."""
        if frame.sample_rate not in RATES:
            raise ValueError(f"a sound of {frame.sample_rate} samples a second")
        if not self.channels:
            self.channels = [bytearray() for _ in range(2 if frame.layout.nb_channels == 2 else 1)]
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
            layout = "stereo" if len(self.channels) == 2 else "mono"
            self.resampler = av.AudioResampler(format="fltp", layout=layout, rate=self.rate)
        # The last frame of mp4 sound is filled up; its duration tells how much of it is sound.
        padded = frame.time_base == Fraction(1, frame.sample_rate) and 0 < frame.duration < frame.samples
        self.due += (frame.duration if padded else frame.samples) / frame.sample_rate
        self._append(self.resampler.resample(frame))

    def finish(self) -> None:
        """Take what the resampler still holds."""
        if self.resampler is not None:
            self._append(self.resampler.resample(None))
            self.resampler = None
            self._end_at(self.due)

    def mono(self) -> np.ndarray:
        """All sound as float32 (n,) in [-1, 1]."""
        self.finish()
        waves = [np.frombuffer(channel, np.float32) for channel in self.channels]
        if not waves or not waves[0].size:
            return np.zeros(0, np.float32)
        waves = [np.nan_to_num(wave, copy=False, posinf=1, neginf=-1) for wave in waves]
        wave = _mix(*waves) if len(waves) == 2 else waves[0]
        # Floating-point files and the mixing of many channels can exceed the range.
        loudest = max(wave.max(), -wave.min())
        return np.divide(wave, loudest, out=wave) if loudest > 1 else wave  # an hour of sound is copied only if it must

    def _end_at(self, stamp: float) -> None:
        """Cut off, or fill up with silence, what is there, so that it ends at a time stamp in s."""
        sample = round((stamp - self.zero) * self.rate)
        for channel in self.channels:
            del channel[max(0, 4 * sample) :]
            channel.extend(bytes(max(0, 4 * sample - len(channel))))
        self.skip = max(0, -sample)

    def _append(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            for channel, samples in zip(self.channels, frame.to_ndarray(), strict=True):
                channel.extend(samples[self.skip :].tobytes())
            self.skip = max(0, self.skip - frame.samples)


def _mix(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The mean of two channels, unless that would lose level: then the louder one."""
    mean = left + right
    mean /= 2
    weaker, louder = sorted((left, right), key=_loudness)
    if _loudness(weaker) < SILENT_SIDE * _loudness(louder) or _loudness(mean) < CANCELLED * _loudness(louder):
        return louder
    return mean


def _loudness(wave: np.ndarray) -> float:
    return math.sqrt(np.dot(wave, wave) / len(wave))
