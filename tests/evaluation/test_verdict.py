"""What is said of a generator in a sentence."""

import numpy as np
import pytest

from lipgan_colab.evaluation.measures import MEASURES
from lipgan_colab.evaluation.scores import VARIANTS, ClipScores, Evaluation
from lipgan_colab.evaluation.verdict import verdict

STILL = {"ssim": 0.8, "lmd": 0.05, "high_passed": np.nan}


def judged(tmp_path, clips=5, another=0.0, **generated) -> Evaluation:
    scores = {variant: dict.fromkeys(MEASURES, 1.0) for variant in VARIANTS}
    scores["still"] |= STILL
    scores["another"]["high_passed"] = another
    scores["generated"] |= generated
    return Evaluation(tmp_path, [ClipScores(str(n), "", 75, 0.0, scores, {}) for n in range(clips)], [])


@pytest.mark.parametrize(
    "generated, told",
    [
        ({"ssim": 0.5, "lmd": 0.1, "high_passed": 0.6}, "Worse than a still picture: not trained enough."),
        ({"ssim": 0.9, "lmd": 0.04, "high_passed": 0.05}, "does not follow the speech"),
        ({"ssim": 0.9, "lmd": 0.04, "high_passed": np.nan}, "does not follow the speech"),
        ({"ssim": 0.9, "lmd": 0.04, "high_passed": 0.6}, "(0.60 of 1; another clip's 0.00), and the face is nearer"),
        ({"ssim": 0.7, "lmd": 0.04, "high_passed": 0.6}, "but the face looks less like the true one"),
        ({"ssim": 0.9, "lmd": 0.06, "high_passed": 0.6}, "but the lips are farther"),
    ],
)
def test_a_generator_is_judged_in_a_sentence(tmp_path, generated, told):
    assert told in verdict(judged(tmp_path, **generated))


def test_of_few_clips_it_is_said_and_one_needs_no_second_ones_speech(tmp_path):
    told = verdict(judged(tmp_path, clips=1, another=np.nan, ssim=0.9, lmd=0.04, high_passed=0.6))
    assert told.startswith("The mouth follows") and told.endswith("(by 1 clip alone: it may be chance).")
