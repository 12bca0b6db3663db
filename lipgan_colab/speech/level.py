"""How loud a voice is, and quiet ones made as loud as the others: detector and networks learnt from voices of usual
loudness."""

import numpy as np
from scipy.ndimage import median_filter

PIECE = 512  # samples whose loudness is one number: 32 ms
AT_ONCE = 15  # pieces: what is loud for less than half of them, 0.24 s, is a click and no voice
QUIET = -35.0  # dB below full scale; recordings of speech have -7 to -26, and down to here all of it is found
USUAL = -20.0  # what quiet ones are brought to
FAINTEST = -90.0  # what is quieter is silence: the noise of 16 bits alone has -96
MOST = 60.0  # dB


def level(wave: np.ndarray) -> float:
    """How loud the loudest half second of a sound is, but for clicks, in dB below full scale.

    The median of the loudnesses within it, each the standard deviation of 32 ms: neither a click, nor pauses, nor an
    offset of all samples counts.

    Args:
        wave: float32 (n,), mono, 16 kHz.
    """
    piece = min(PIECE, max(1, len(wave)))
    pieces = wave[: len(wave) // piece * piece].reshape(-1, piece)
    # Not pieces.std(), which copies an hour of sound.
    squares = np.einsum("ps,ps->p", pieces, pieces, dtype=np.float64) / piece
    power = squares - pieces.mean(axis=1, dtype=np.float64) ** 2
    return float(10 * np.log10(median_filter(power, AT_ONCE, mode="nearest").max(initial=1e-20)))


def as_loud_as_usual(wave: np.ndarray) -> tuple[np.ndarray, float]:
    """A sound of which the loudest is much quieter than speech usually is, made louder.

    Args:
        wave: float32 (n,), mono, 16 kHz, in [-1, 1].

    Returns:
        The sound, the same array where it is loud enough or silent, clicks cut at 1; and by how many dB it is louder.
    """
    found = level(wave)
    if not FAINTEST < found < QUIET:
        return wave, 0.0
    louder = min(USUAL - found, MOST)
    wave = (wave - np.median(wave)) * np.float32(10 ** (louder / 20))
    return np.clip(wave, -1, 1, out=wave), louder
