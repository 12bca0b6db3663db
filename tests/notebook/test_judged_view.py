"""Judged runs as a notebook shows them."""

from lipgan_colab.evaluation.measures import MEASURES
from lipgan_colab.evaluation.scores import VARIANTS, ClipScores, Evaluation
from lipgan_colab.notebook.judged_view import judged_view


def judged(tmp_path, **generated) -> Evaluation:
    scores = {variant: dict.fromkeys(MEASURES, 1.0) for variant in VARIANTS}
    scores["generated"] |= generated
    return Evaluation(tmp_path, [ClipScores("a", "", 75, 0.0, scores, {})], [])


def test_runs_are_shown_with_a_verdict_arrows_and_the_best_of_them(tmp_path):
    first, second = judged(tmp_path, sharpness=0.4, lmd=0.04), judged(tmp_path, sharpness=1.2, lmd=0.04)
    shown, _, folded = judged_view({"<b>first": first, "second": second}).data.partition("<details>")
    assert "&lt;b&gt;first" in shown and shown.count("↑") == 3 and shown.count("↓") == 1
    assert "<b>1.20</b>" in shown and "<b>0.40</b>" not in shown and "<b>0.04</b>" not in shown
    assert "one_sided" not in shown and "one_sided" in folded
