"""What the measures say of a generator in a sentence, and the few of them that everybody understands."""

import math
from dataclasses import dataclass

from lipgan_colab.errors import counted
from lipgan_colab.evaluation.scores import FEWEST_CLIPS, Evaluation

MORE, LESS, ONE = "↑", "↓", "→ 1"  # which way is better
BY_CHANCE = 0.1  # of a correlation, by which one's own speech must do better than another clip's


@dataclass(frozen=True)
class Main:
    """A measure that everybody understands.

    Attributes:
        way: one of MORE, LESS and ONE.
        what: what it tells, in a few words.
    """

    way: str
    what: str

    def off(self, value: float) -> float:
        """How far a value is from the best one, to be compared with others'; nan stays so."""
        return {MORE: -value, LESS: value, ONE: abs(value - 1)}[self.way]


MAIN = {
    "high_passed": Main(MORE, "the mouth follows the speech"),
    "closures": Main(MORE, "lips shut for p, b and m"),
    "range": Main(ONE, "how widely the mouth opens"),
    "lmd": Main(LESS, "how far the lips are from the true ones"),
    "ssim": Main(MORE, "the lower face looks like the true one"),
    "sharpness": Main(ONE, "how sharp the lips are"),
}


def verdict(evaluation: Evaluation) -> str:
    """What is to be thought of a generator, in a sentence; with few clips it says that it may be chance."""
    return f"{_judged(evaluation)}{_by_few(len(evaluation.clips))}."


def _judged(evaluation: Evaluation) -> str:
    follows, by_another = (evaluation.mean("high_passed", variant=variant) for variant in ("generated", "another"))
    by_another = by_another if math.isfinite(by_another) else 0.0
    looks, lies = (_nearer_than_a_still(evaluation, measure) for measure in ("ssim", "lmd"))
    if not (looks or lies):
        return "Worse than a still picture: not trained enough"
    if not follows > by_another + BY_CHANCE:
        return "The mouth does not follow the speech: another clip's moves it as well; not trained enough"
    told = f"The mouth follows the speech ({follows:.2f} of 1; another clip's {by_another:.2f})"
    if looks and lies:
        return f"{told}, and the face is nearer to the true one than a still picture is"
    lacks = "the lips are farther from the true ones" if looks else "the face looks less like the true one"
    return f"{told}, but {lacks} than a still picture's"


def _nearer_than_a_still(evaluation: Evaluation, measure: str) -> bool:
    own, still = (MAIN[measure].off(evaluation.mean(measure, variant=variant)) for variant in ("generated", "still"))
    return own < still


def _by_few(clips: int) -> str:
    return "" if clips >= FEWEST_CLIPS else f" (by {counted(clips, 'clip')} alone: it may be chance)"
