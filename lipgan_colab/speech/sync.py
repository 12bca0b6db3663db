"""Do lips and sound belong together? One clip proves little; ten of a kind tell, and tell by how much they are off.

Of a clip: how its mouth's opening and its loudness go together, for sound moved by up to SEARCHED frames either way.
Both are high-passed first, because sentences share their slow rhythm: on GRID a clip's own sound then correlates by
0.5, another sentence's by 0. Of a group of clips: where the mean over them peaks, and how far that stands out.
"""

from dataclasses import dataclass

import numpy as np

from lipgan_colab.errors import counted
from lipgan_colab.speech.features import MEL_RATE

SEARCHED = 15  # frames
OFFSETS = np.arange(-SEARCHED, SEARCHED + 1)  # > 0: the sound is late
HIGH_PASS = 13  # frames of the moving mean that is taken off
FEWEST = 10  # clips that are judged as a group
TOLERANCE = 2  # frames that a mouth may be ahead of its sound or behind it
USUAL, DOUBT = 0.45, 2.5  # right sound's correlation; a group this many standard errors below has another's
SURE = 4.7  # standard errors that a peak must stand out by: of 31 offsets chance takes one to 4


def clip_sync(opening: np.ndarray, mel: np.ndarray, fps: float) -> np.ndarray:
    """Correlation of mouth opening and loudness for every one of OFFSETS, float32 (31,); nan where there is none.

    Args:
        opening: (F,) in any unit, one a frame, without gaps.
        mel: (80, T) as of features.mel, in which frame f's sound is at column 80 f / fps.
    """
    heard = min(len(opening), int(mel.shape[1] * fps / MEL_RATE))
    curve = np.full(len(OFFSETS), np.nan, np.float32)
    if heard <= 2 * SEARCHED or not np.isfinite(opening[:heard]).all():
        return curve
    lips, sound = _high_pass(np.float64(opening[:heard])), _high_pass(_loudness(mel, heard, fps))
    for place, offset in enumerate(OFFSETS):
        early, late = max(0, offset), max(0, -offset)
        a, b = lips[late : heard - early], sound[early : heard - late]
        scale = a.std() * b.std()
        if scale > 0:
            curve[place] = ((a - a.mean()) * (b - b.mean())).mean() / scale
    return curve


def _loudness(mel: np.ndarray, frames: int, fps: float) -> np.ndarray:
    """Mean over each frame's columns, (frames,): about as loud as it sounds, unlike energy or decibels."""
    total = np.append(0, np.cumsum((10.0 ** (mel / 4)).mean(axis=0)))
    return np.diff(np.interp(np.arange(frames + 1) * MEL_RATE / fps, np.arange(len(total)), total))


def _high_pass(series: np.ndarray) -> np.ndarray:
    """A series (F,) minus its moving mean, over fewer values near the ends."""
    ones = np.ones(HIGH_PASS)
    return series - np.convolve(series, ones, "same") / np.convolve(np.ones(len(series)), ones, "same")


@dataclass(frozen=True)
class GroupSync:
    """What a group of clips says.

    Attributes:
        clips: so many were measured.
        offset: frames by which the sound is late (early where < 0).
        correlation: at that offset, mean over the clips.
        certainty: how many standard errors that is.
    """

    clips: int
    offset: int
    correlation: float
    certainty: float

    @property
    def verdict(self) -> str:
        """One of: in sync, shifted, no match, not sure (too few clips, or too short ones)."""
        if self.clips < FEWEST:
            return "not sure"
        if self.certainty >= SURE:
            return "in sync" if abs(self.offset) <= TOLERANCE else "shifted"
        likely_most = self.correlation * (1 + DOUBT / max(self.certainty, 0.1))
        return "no match" if likely_most < USUAL else "not sure"

    def __str__(self) -> str:
        what = f"correlation {self.correlation:.2f} over {counted(self.clips, 'clip')}"
        way, frames = "late" if self.offset > 0 else "early", counted(abs(self.offset), "frame")
        return {
            "in sync": f"in sync ({what})",
            "shifted": f"sound {frames} {way} ({what}): preprocess with --sound-offset {self.offset}",
            "no match": f"lips and sound do not match ({what}): another sound, or a voice off screen",
            "not sure": f"too little to tell ({counted(self.clips, 'clip')} measured; {FEWEST} of 3 s are needed)",
        }[self.verdict]


def group_sync(curves: np.ndarray) -> GroupSync:
    """Judge clips by the mean of their correlations, (clips, 31) as of clip_sync."""
    curves = curves[np.isfinite(curves).all(axis=1)].astype(np.float64)
    curves = np.unique(curves, axis=0)  # a copy of a clip is no second witness
    if not len(curves):
        return GroupSync(0, 0, 0.0, 0.0)
    mean = curves.mean(axis=0)
    peak = int(mean.argmax())
    # What clips differ by, at offsets alike: many numbers, so that even ten clips give a steady error.
    error = max(np.sqrt(curves.var(axis=0).mean()), 1e-6) / np.sqrt(len(curves))
    return GroupSync(len(curves), int(OFFSETS[peak]), round(float(mean[peak]), 3), round(float(mean[peak] / error), 1))
