"""Where somebody speaks, so that the mouth rests in pauses, in noise and in music."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.speech.features import MEL_RANGE, MEL_RATE, WINDOWS, SpeechInput
from lipgan_colab.speech.level import QUIET, as_loud_as_usual, evened_out, level
from lipgan_colab.speech.voice_activity import CHUNK, speech_probability

RATE = 100  # values a second of what is computed here
SURE = 0.5  # how loud a voice is is told by where it is likelier than this that somebody speaks
LASTS = 0.25  # s; what is shorter, a breath or a bang, changes little
HYSTERESIS = 0.15  # speech goes on until the detector is so much less sure than it had to be at the start


@dataclass(frozen=True)
class PauseRule:
    """When the mouth rests.

    Attributes:
        certainty: how sure the detector must be that somebody speaks, 0 to 1.
        shortest: a pause that is shorter, in seconds, belongs to the speech around it.
        margin: seconds before and after speech in which the mouth still moves (it opens before it sounds).
        fade: seconds that closing and opening take.
    """

    certainty: float
    shortest: float
    margin: float = 0.08
    fade: float = 0.16


# What a person chooses from.
PAUSE_RULES = {
    "gentle": PauseRule(certainty=0.35, shortest=0.5),  # whispers and laughter still move the lips
    "normal": PauseRule(certainty=0.5, shortest=0.3),
    "strict": PauseRule(certainty=0.7, shortest=0.2),  # closes in every gap between sentences
    "off": None,  # every sound moves the lips
}


def speaking(wave: np.ndarray, rule: PauseRule) -> np.ndarray:
    """How far the mouth follows the sound: float32 (T,), 100 values a second, 1 in speech, 0 in pauses, gliding
    between.

    A quiet voice is found in a copy whose seconds are equally loud, so that nothing louder hides it, and then listened
    to at its own level and at the usual one: at its own the detector misses half of it, at the usual one that of a
    coarse recording, whose steps are louder as well.

    Args:
        wave: float32 (n,), mono, 16 kHz.
        rule: what counts as a pause.
    """
    probable = speech_probability(wave)
    sure = probable > SURE
    if level(wave, sure) < QUIET:
        evened = evened_out(wave)
        if evened is not wave:
            sure |= speech_probability(evened) > SURE
        louder, louder_by = as_loud_as_usual(wave, sure)
        if louder_by:
            probable = np.maximum(probable, speech_probability(louder))
    spoken = np.zeros(len(probable), bool)
    on = False
    for i, p in enumerate(probable):
        on = p >= rule.certainty - HYSTERESIS * on
        spoken[i] = on
    count = max(1, round(len(wave) * RATE / SAMPLE_RATE))
    spoken = spoken[np.minimum(np.arange(count) * SAMPLE_RATE // (RATE * CHUNK), len(spoken) - 1)]
    spoken = _without_short_pauses(spoken, round(rule.shortest * RATE))
    fade = max(1, round(rule.fade * RATE))
    spoken = _widened(spoken, round(rule.margin * RATE) + fade // 2)
    window = np.hanning(fade + 2)[1:-1]
    padded = np.pad(spoken.astype(np.float64), (fade // 2, fade - 1 - fade // 2), mode="edge")
    return np.convolve(padded, window / window.sum(), "valid").clip(0, 1).astype(np.float32)


def _without_short_pauses(spoken: np.ndarray, shortest: int) -> np.ndarray:
    """Gaps of fewer values than `shortest` between speech are filled; those at the ends stay."""
    filled = spoken.copy()
    edges = np.flatnonzero(np.diff(spoken.astype(np.int8)))
    for end_of_speech, end_of_pause in pairwise(edges):
        if spoken[end_of_speech] and end_of_pause - end_of_speech < shortest:
            filled[end_of_speech + 1 : end_of_pause + 1] = True
    return filled


def _widened(spoken: np.ndarray, margin: int) -> np.ndarray:
    """Every stretch of speech is longer by `margin` values on both sides."""
    return np.convolve(spoken, np.ones(2 * margin + 1))[margin : margin + len(spoken)] > 0


def without_noise(spectrum: np.ndarray, follow: np.ndarray) -> np.ndarray:
    """A mel that is silent where nobody speaks for long and it is fuller than the voice: a network that hears a speech
    against its louder half (see `motion.as_heard`) would hear the voice against that.

    Args:
        spectrum: float32 (80, T), of `features.mel`.
        follow: of `speaking`, for the same sound.

    Returns:
        float32 (80, T), the same array where there is nothing like that.
    """
    part = follow[np.minimum(np.arange(spectrum.shape[1]) * RATE // MEL_RATE, len(follow) - 1)]
    fullness = spectrum.mean(axis=0)
    voice = np.median(fullness[part > 0.5]) if (part > 0.5).any() else np.inf
    noise = (part == 0) & (fullness > voice)
    if not noise.any():
        return spectrum
    from scipy.ndimage import binary_opening  # only here: it takes long to load

    noise = binary_opening(noise, np.ones(round(LASTS * MEL_RATE)))
    return np.where(noise, np.float32(-MEL_RANGE), spectrum) if noise.any() else spectrum


def rest_in_pauses(features: np.ndarray, follow: np.ndarray, hears: SpeechInput) -> np.ndarray:
    """Speech features that glide to those of silence where nobody speaks.

    Features are logarithms, so this turns the sound down rather than mixing it with another.

    Args:
        features: float32 (rows, T) of `hears.features`.
        follow: of `speaking`, for the same sound.
        hears: which features they are.

    Returns:
        float32 (rows, T).
    """
    silence = hears.features(np.zeros(SAMPLE_RATE // 4, np.float32))
    silence = silence[:, silence.shape[1] // 2, None]
    places = np.minimum(np.arange(features.shape[1]) * RATE // WINDOWS[hears.kind][0], len(follow) - 1)
    part = follow[places]
    return (part * features + (1 - part) * silence).astype(np.float32)
