"""How often do intervals of a preference hold what they promise, and how often is one told that is none?

PYTHONPATH=. python benchmarks/judges.py [--studies 1000] [--draws 300]

Studies in which every judge answers one pair of each clip. How much judges differ, and clips, is in logits; the share
is that of all people on all clips. `told` of a share of one half is the part of false alarms, of the others the power.
"""

import argparse
from collections.abc import Callable
from itertools import product

import numpy as np
from scipy import optimize, special, stats

from lipgan_colab.evaluation.comparison import intervals
from lipgan_colab.evaluation.judges.crossed import share_of

DIFFER = {"none": 0.0, "medium": 0.5, "large": 1.0}  # logits, of judges and of clips
Interval = tuple[np.ndarray, np.ndarray]  # lower and upper ends, (studies,)


def studies(rng: np.random.Generator, count: int, judges: int, clips: int, differ: float, share: float) -> np.ndarray:
    """Answers (studies, judges, clips), 1 where the first one was preferred."""
    places, weights = np.polynomial.hermite_e.hermegauss(40)
    weights /= weights.sum()

    def off(middle: float) -> float:
        return special.expit(middle + np.sqrt(2) * differ * places) @ weights - share

    level = optimize.brentq(off, -9, 9) + differ * rng.normal(size=(count, judges, 1))
    return (
        rng.random((count, judges, clips)) < special.expit(level + differ * rng.normal(size=(count, 1, clips)))
    ) * 1.0


def exact(answers: np.ndarray) -> Interval:
    """Clopper and Pearson's."""
    count, wins = answers[0].size, answers.sum(axis=(1, 2))
    low = np.where(wins > 0, stats.beta.ppf(0.025, wins, count - wins + 1), 0)
    return low, np.where(wins < count, stats.beta.ppf(0.975, wins + 1, count - wins), 1)


def student(answers: np.ndarray) -> Interval:
    """The analysis of variance of comparison.py, one study at a time."""
    ends = [intervals(one[None, None])[:2] for one in answers]
    return tuple(np.array([float(end[side].item()) for end in ends]) for side in (0, 1))


def pigeonhole(answers: np.ndarray, draws: int, rng: np.random.Generator) -> Interval:
    """A bootstrap of judges and clips (Owen 2007)."""
    found = []
    for one in answers:
        judges, clips = (rng.multinomial(n, np.full(n, 1 / n), draws) / n for n in one.shape)
        found.append(np.quantile(((judges @ one) * clips).sum(axis=1), (0.025, 0.975)))
    return tuple(np.array(found).T)


def kept(answers: np.ndarray) -> Interval:
    """crossed.py's."""
    found = share_of(answers, np.ones_like(answers))
    return found.low, found.high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=300)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    methods: dict[str, Callable[[np.ndarray], Interval]] = {
        "exact": exact,
        "student": student,
        "pigeonhole": lambda answers: pigeonhole(answers, args.draws, rng),
        "kept": kept,
    }
    print(f"in % of {args.studies} studies: the interval holds the share / one is told; then the intervals' mean width")
    print(f"{'judges':>6} {'clips':>5} {'differ':>6} {'share':>5}  " + "".join(f"{name:>20}" for name in methods))
    for judges, clips, (name, differ), share in product((5, 10, 20), (12, 24), DIFFER.items(), (0.5, 0.6, 0.75)):
        answers = studies(rng, args.studies, judges, clips, differ, share)
        cells = []
        for method in methods.values():
            low, high = method(answers)
            holds, told = np.mean((low <= share) & (share <= high)), np.mean((low > 0.5) | (high < 0.5))
            cells.append(f"{100 * holds:>5.0f} /{100 * told:>4.0f}  {np.mean(high - low):.2f}")
        print(f"{judges:>6} {clips:>5} {name:>6} {share:>5}  " + "".join(f"{cell:>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
