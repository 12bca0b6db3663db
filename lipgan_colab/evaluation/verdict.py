"""What the measures say of a generator in a sentence, and the few of them that everybody understands."""

import math

from lipgan_colab.errors import counted
from lipgan_colab.evaluation.comparison import GOOD
from lipgan_colab.evaluation.scores import FEWEST_CLIPS, Evaluation

WAYS = {"more": "↑", "less": "↓", "as the truth": "→ 1"}  # of comparison.GOOD: which way is better
BY_CHANCE = 0.1  # of a correlation, by which one's own speech must do better than another clip's
MAIN = {
    "high_passed": "the mouth follows the speech",
    "closures": "lips shut for p, b and m",
    "range": "how widely the mouth opens",
    "lmd": "how far the lips are from the true ones",
    "ssim": "the lower face looks like the true one",
    "sharpness": "how sharp the lips are",
}


def off(measure: str, value: float) -> float:
    """How far a measure's value is from the best one, to be compared with others'; nan stays so."""
    return {"more": -value, "less": value, "as the truth": abs(value - 1)}[GOOD[measure]]


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
    own, still = (off(measure, evaluation.mean(measure, variant=variant)) for variant in ("generated", "still"))
    return own < still


def _by_few(clips: int) -> str:
    return "" if clips >= FEWEST_CLIPS else f" (by {counted(clips, 'clip')} alone: it may be chance)"
