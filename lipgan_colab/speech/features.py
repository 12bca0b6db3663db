"""Speech features: what the networks hear, and the window of it that belongs to a video frame.

LipGAN hears 12 mel-frequency cepstral coefficients (MFCC), 100 columns a second; Wav2Lip, and LipGAN's
variant without MATLAB, hear an 80-band mel spectrogram, 80 columns a second. Both are computed as the authors
of the trained weights computed them: a network hears anything else as another language.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lipgan_colab.errors import InputError

SAMPLE_RATE = 16_000
PREEMPHASIS = 0.97
BLOCK = 4096  # columns computed at once, so that an hour of sound fits into memory

# MFCC: Kamil Wojcicki's mfcc.m with the settings of LipGAN's MATLAB preprocessing.
MFCC_RATE = 100
MFCC_WINDOW, MFCC_STEP, MFCC_FFT = 400, 160, 512
MFCC_FILTERS, MFCC_LOWEST, MFCC_HIGHEST = 40, 300.0, 3700.0
CEPSTRA = 13  # the 0th, the loudness, is computed and dropped
LIFTER = 22

# Mel: Wav2Lip's audio.py and hparams.py, in decibels below full scale mapped to -4 ... 4.
MEL_RATE = 80
MEL_WINDOW, MEL_STEP = 800, 200
MEL_BANDS, MEL_LOWEST, MEL_HIGHEST = 80, 55.0, 7600.0
MEL_REFERENCE_DB, MEL_FLOOR_DB, MEL_RANGE = 20.0, -100.0, 4.0

# kind: (columns a second, frames the window starts early, columns it starts early, columns it is wide)
WINDOWS = {"mfcc": (MFCC_RATE, 0, 16, 35), "mel": (MEL_RATE, 4, 0, 27), "wav2lip": (MEL_RATE, 0, 0, 16)}
PADDINGS = ("constant", "reflect")
LARGEST_OFFSET = 250  # frames, which is ten seconds
OFFSET_RATE = 25  # frames a second that a window's offset is counted in: the rate of all videos trained on


@dataclass(frozen=True)
class SpeechInput:
    """What a network was trained to hear; it is carried with its weights.

    Attributes:
        kind: "mfcc", "mel" or "wav2lip": which feature, and which window of it a frame has (see `windows`).
        padding: "constant" or "reflect": what lay beyond the ends of the sound for the mel (see `mel`).
        offset: by how many frames of 1/25 s its windows begin later than `kind` says (negative: earlier).
    """

    kind: str = "mfcc"
    padding: str = "constant"
    offset: int = 0

    def __post_init__(self):
        if self.kind not in WINDOWS or self.padding not in PADDINGS:
            raise ValueError(
                f"unknown speech feature {self.kind!r} or padding {self.padding!r}: "
                f"choose of {', '.join(WINDOWS)} and {', '.join(PADDINGS)}"
            )
        if type(self.offset) is not int or abs(self.offset) > LARGEST_OFFSET:
            raise InputError(
                f"speech windows cannot begin {self.offset!r} frames later; take a whole number up to {LARGEST_OFFSET}"
            )

    def features(self, wave: np.ndarray) -> np.ndarray:
        """(n,) speech at 16 kHz in [-1, 1] -> (rows, T) float32."""
        return mfcc(wave) if self.kind == "mfcc" else mel(wave, self.padding)

    def windows(self, features: np.ndarray, n_frames: int, fps: Fraction | float, first_frame: int = 0) -> np.ndarray:
        """The windows of these features that belong to the frames: see `windows`.

        At other rates than 25 frames a second those of "mel" still begin 4/25 s before their frame: four frames of
        another length would not leave the frame in the window's middle.
        """
        lead = WINDOWS[self.kind][1] * (OFFSET_RATE / as_fraction(fps) - 1)
        return windows(features, n_frames, fps, self.kind, first_frame, self.offset + lead)


def mfcc(wave: np.ndarray) -> np.ndarray:
    """MFCC of LipGAN: (n,) speech at 16 kHz in [-1, 1] -> (12, T) float32, 100 columns a second.

    Column t covers 25 ms from sample 160 t; the tail is not padded, so T = (n - 400) // 160 + 1, and speech
    shorter than one window is filled up with silence to one column. Digital silence gives zeros.
    InputError if there is no sample at all.
    """
    from python_speech_features import lifter  # here, because machines that only train need not have it
    from scipy.fft import dct  # and because both take long to load, and a mel needs neither

    wave = _checked(wave)
    filters = _mfcc_filters().T
    taper = np.hamming(MFCC_WINDOW)
    columns = []
    # In pieces: in float64 an hour of speech takes half a gigabyte, and each copy of it another.
    piece = BLOCK * MFCC_STEP
    for start in range(0, max(1, len(wave) - MFCC_WINDOW + 1), piece):
        before = min(start, 1)  # the sample that pre-emphasis takes from
        samples = np.asarray(wave[start - before : start + piece + MFCC_WINDOW - MFCC_STEP], np.float64)
        # The authors' features come from samples in 16-bit range.
        signal = _preemphasised(samples * 32768.0)[before:]
        signal = np.pad(signal, (0, max(0, MFCC_WINDOW - len(signal))))
        frames = sliding_window_view(signal, MFCC_WINDOW)[::MFCC_STEP]
        energy = _magnitudes(frames * taper, MFCC_FFT) @ filters
        log_energy = np.log(np.maximum(energy, np.finfo(float).eps))
        cepstra = dct(log_energy, type=2, axis=1, norm="ortho")[:, :CEPSTRA]
        columns.append(lifter(cepstra, LIFTER)[:, 1:].astype(np.float32))
    return np.ascontiguousarray(np.concatenate(columns).T)


def mel(wave: np.ndarray, pad: str = "constant") -> np.ndarray:
    """Mel of Wav2Lip: (n,) speech at 16 kHz in [-1, 1] -> (80, T) float32 in [-4, 4], 80 columns a second.

    Column t is centred on sample 200 t, T = n // 200 + 1. `pad` says what lies beyond the ends: "reflect"
    (librosa before 0.10, which the authors trained with) or "constant" silence (librosa since).
    InputError if there is no sample at all.
    """
    signal = _preemphasised(np.float64(_checked(wave)))
    signal = np.pad(signal, MEL_WINDOW // 2, mode=pad)
    filters = _mel_filters().T
    taper = np.hanning(MEL_WINDOW + 1)[:-1]  # periodic
    columns = []
    for frames in _frames(signal, MEL_WINDOW, MEL_STEP):
        magnitude = _magnitudes(frames * taper, MEL_WINDOW) @ filters
        decibels = 20 * np.log10(np.maximum(magnitude, 10 ** (MEL_FLOOR_DB / 20))) - MEL_REFERENCE_DB
        scaled = (decibels / -MEL_FLOOR_DB + 1) * 2 * MEL_RANGE - MEL_RANGE
        columns.append(np.clip(scaled, -MEL_RANGE, MEL_RANGE).astype(np.float32))
    return np.ascontiguousarray(np.concatenate(columns).T)


def windows(
    features: np.ndarray,
    n_frames: int,
    fps: Fraction | float,
    kind: str = "mfcc",
    first_frame: int = 0,
    offset: int | Fraction = 0,
) -> np.ndarray:
    """The window that belongs to each video frame: (rows, T) -> (n_frames, rows, columns) float32.

    kind      window of frame f                                       columns
    mfcc      floor(100 f / fps) - 16 ... (LipGAN)                    35
    mel       floor(80 (f - 4) / fps) ... (LipGAN without MATLAB)     27
    wav2lip   floor(80 f / fps) ... (Wav2Lip)                         16

    Columns beyond either end repeat the edge column, so every frame has its window. `first_frame` asks for
    the frames from there on, so that a long video can be done in pieces. `fps` is taken as the nearest
    fraction with a small denominator (29.97 is 2997/100), and the floors are exact. `offset` moves all windows
    later by so many frames of 1/25 s, whatever the video's rate.
    """
    if features.shape[1] == 0:
        raise InputError("there is no speech to take windows from: the features have no column")
    columns = window_columns(np.arange(first_frame, first_frame + n_frames), fps, kind, offset)
    columns = np.clip(columns, 0, features.shape[1] - 1)
    return np.ascontiguousarray(features[:, columns].transpose(1, 0, 2), dtype=np.float32)


def window_columns(
    frame: np.ndarray | int, fps: Fraction | float, kind: str = "mfcc", offset: int | Fraction = 0
) -> np.ndarray:
    """The columns of the frames' windows, int64 (..., columns): see `windows`. They may lie past an end."""
    _, early_frames, early_columns, width = WINDOWS[kind]
    step, shift, over = _frame_step(fps, kind, offset)
    start = ((np.asarray(frame, np.int64) - early_frames) * step + shift) // over
    return (start - early_columns)[..., None] + np.arange(width)


@cache
def _frame_step(fps: Fraction | float, kind: str, offset: int | Fraction) -> tuple[int, int, int]:
    """How many columns a frame lasts, and how many the offset is: exact, both over the third number."""
    rate = WINDOWS[kind][0]
    step, shift = rate / as_fraction(fps), rate * Fraction(offset) / OFFSET_RATE
    over = math.lcm(step.denominator, shift.denominator)
    return int(step * over), int(shift * over), over


def as_fraction(fps: Fraction | float) -> Fraction:
    """The frame rate as the nearest fraction with a small denominator (29.97 is 2997/100). InputError unless > 0."""
    fps = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
    if fps <= 0:
        raise InputError(f"a video cannot have {float(fps)} frames a second; give a positive number")
    return fps


def _checked(wave: np.ndarray) -> np.ndarray:
    wave = np.asarray(wave)
    if wave.ndim != 1:
        raise ValueError(f"speech must be mono, of shape (n,), not {wave.shape}")
    if wave.size == 0:
        raise InputError("there is no speech: the sound has no sample")
    return wave


def _preemphasised(signal: np.ndarray) -> np.ndarray:
    """What changes from sample to sample, which lifts the high frequencies; the first sample stays."""
    return np.append(signal[0], signal[1:] - PREEMPHASIS * signal[:-1])


def _magnitudes(frames: np.ndarray, size: int) -> np.ndarray:
    """The magnitude spectra (frames, size // 2 + 1) of some frames, filled up with silence to so many samples."""
    return np.abs(np.fft.rfft(frames, size))


def _frames(signal: np.ndarray, window: int, step: int):
    """Overlapping frames (at most BLOCK, window) of the signal, in order, without padding its tail."""
    frames = sliding_window_view(signal, window)[::step]
    for start in range(0, len(frames), BLOCK):
        yield frames[start : start + BLOCK]


def _triangles(edges: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Triangular filters (len(edges) - 2, len(frequencies)) between neighbouring edges, all in Hz."""
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    return np.maximum(0, np.minimum(rising, falling))


def _mfcc_filters() -> np.ndarray:
    """(40, 257): equally spaced on the HTK mel scale; the edges are not rounded to FFT bins."""
    from python_speech_features import hz2mel, mel2hz

    edges = mel2hz(np.linspace(hz2mel(MFCC_LOWEST), hz2mel(MFCC_HIGHEST), MFCC_FILTERS + 2))
    return _triangles(edges, np.linspace(0, SAMPLE_RATE / 2, MFCC_FFT // 2 + 1))


def _mel_filters() -> np.ndarray:
    """(80, 401): equally spaced on Slaney's mel scale, each of unit area (librosa's default)."""
    edges = mel_edges()
    filters = _triangles(edges, np.linspace(0, SAMPLE_RATE / 2, MEL_WINDOW // 2 + 1))
    return filters * (2 / (edges[2:] - edges[:-2]))[:, None]


def mel_edges() -> np.ndarray:
    """Where the mel's bands begin and end in Hz, float64 (82,): band b is around edge b + 1, between its neighbours."""
    points = np.linspace(_slaney_mel(MEL_LOWEST), _slaney_mel(MEL_HIGHEST), MEL_BANDS + 2)
    # Slaney's scale: linear below 1000 Hz (15 mel), logarithmic above.
    return np.where(points < 15, points * 200 / 3, 1000 * np.exp((points - 15) * math.log(6.4) / 27))


def _slaney_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)
