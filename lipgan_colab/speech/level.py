"""How loud a voice is, and quiet ones made as loud as the others: detector and networks learnt from voices of usual
loudness."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

PIECE = 512  # samples whose loudness is one number: 32 ms
AT_ONCE = 15  # pieces: what is loud for less than half of them, 0.24 s, is a click and no voice
NEARBY = 31  # pieces: the second that is evened out together
QUIET = -35.0  # dB below full scale; recordings of speech have -7 to -26, and down to here all of it is found
USUAL = -20.0  # what quiet ones are brought to
FAINTEST = -90.0  # what is quieter is silence: the noise of 16 bits alone has -96
MOST = 60.0  # dB


def level(wave: np.ndarray, spoken: np.ndarray | None = None) -> float:
    """How loud the loudest half second of a voice is, but for clicks, in dB below full scale; -200 where there is none.

    The median of the loudnesses within it, each the standard deviation of 32 ms: neither a click, nor pauses, nor an
    offset of all samples counts.

    Args:
        wave: float32 (n,), mono, 16 kHz.
        spoken: when somebody speaks, bool (T,), evenly over the sound; None for always.
    """
    loud = _loudness(wave)
    if spoken is not None:
        loud = loud[spoken[np.arange(len(loud)) * len(spoken) // max(1, len(loud))]]
    return float(_within(loud, AT_ONCE, 50).max(initial=-200))


def evened_out(wave: np.ndarray) -> np.ndarray:
    """A sound whose quiet seconds are as loud as speech usually is, so that a voice is found whatever else is loud.

    Args:
        wave: float32 (n,), mono, 16 kHz, in [-1, 1].

    Returns:
        float32 (n,), clipped at 1; the same array where no second is quiet.
    """
    loud = _within(_loudness(wave), NEARBY, 75)
    quiet = (loud > FAINTEST) & (loud < QUIET)
    if not quiet.any():
        return wave
    factors = np.where(quiet, 10 ** (np.minimum(USUAL - loud, MOST) / 20), 1).astype(np.float32)
    evened = wave - np.median(wave)
    whole = len(wave) // PIECE * PIECE
    pieces = evened[:whole].reshape(-1, PIECE)
    pieces *= factors[: len(pieces), None]
    evened[whole:] *= factors[-1]
    return np.clip(evened, -1, 1, out=evened)


def as_loud_as_usual(wave: np.ndarray, spoken: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """A sound in which the voice is much quieter than speech usually is, made louder.

    Args:
        wave: float32 (n,), mono, 16 kHz, in [-1, 1].
        spoken: when somebody speaks, bool (T,), evenly over the sound; None where that is not known: then what is
            loudest is the voice.

    Returns:
        The sound, the same array where the voice is loud enough or there is none, cut at 1; and by how many dB it is
        louder.
    """
    found = level(wave, spoken)
    if not FAINTEST < found < QUIET:
        return wave, 0.0
    louder = min(USUAL - found, MOST)
    wave = (wave - np.median(wave)) * np.float32(10 ** (louder / 20))
    return np.clip(wave, -1, 1, out=wave), louder


def _loudness(wave: np.ndarray) -> np.ndarray:
    """Of each piece, in dB below full scale, float64 (n / 512,); a sound that is shorter than one is a piece."""
    piece = min(PIECE, max(1, len(wave)))
    pieces = wave[: len(wave) // piece * piece].reshape(-1, piece)
    # Not pieces.std(), which copies an hour of sound.
    squares = np.einsum("ps,ps->p", pieces, pieces, dtype=np.float64) / piece
    power = squares - pieces.mean(axis=1, dtype=np.float64) ** 2
    return 10 * np.log10(np.maximum(power, 1e-20))


def _within(loud: np.ndarray, size: int, percent: int) -> np.ndarray:
    """The percentile of so many values around each, and no further than the first and the last value: at an end
    nothing counts twice. The same length; fewer values are all taken together."""
    if not len(loud):
        return loud
    size = min(size, len(loud))
    size -= 1 - size % 2
    ends = size // 2
    place = size * percent // 100
    inner = np.partition(sliding_window_view(loud, size), place, axis=1)[:, place]
    return np.pad(inner, ends, mode="edge")
