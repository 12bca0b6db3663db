"""Tables of made scores: means, groups, ratios, and which measures are blind."""

from dataclasses import replace

import numpy as np
import pytest

from lipgan_colab.evaluation.measures import MEASURES
from lipgan_colab.evaluation.scores import BASELINES, VARIANTS, ClipScores, Evaluation, write_csv, write_table
from lipgan_colab.speech.sync import OFFSETS


def scored(number: int, speaker: str = "s1", yaw: float = 3.0, **measures) -> ClipScores:
    """A clip of which every measure of every variant is its number, but for those given as variant__measure."""
    scores = {variant: dict.fromkeys(MEASURES, float(number)) for variant in VARIANTS}
    for name, value in measures.items():
        variant, measure = name.split("__")
        scores[variant][measure] = value
    late = {"late": 8, "early": -8}
    rng = np.random.default_rng(number)
    sync = {v: 0.6 * (late.get(v, 0) == OFFSETS) + 0.02 * rng.normal(size=len(OFFSETS)) for v in VARIANTS}
    return ClipScores(f"{speaker}/{number}.mpg", speaker, 75, yaw, scores, sync)


def evaluation(clips: list[ClipScores], tmp_path) -> Evaluation:
    return Evaluation(tmp_path, clips, [{"id": "x.mpg", "reason": "no face"}])


def test_means_leave_out_what_cannot_be_told(tmp_path):
    judged = evaluation([scored(1, generated__lmd=np.nan), scored(2, generated__lmd=0.5), scored(4, "s4")], tmp_path)
    assert judged.mean("psnr") == pytest.approx(7 / 3)
    assert judged.mean("psnr", "s1") == 1.5
    assert judged.mean("lmd", "s1") == 0.5
    assert judged.mean("lmd", "s1", "still") == 1.5
    assert np.isnan(judged.mean("psnr", "nobody"))


def test_a_measure_is_blind_to_what_scores_like_the_truth(tmp_path):
    rng = np.random.default_rng(0)
    clips = [
        scored(n, true__sharpness=1 + 0.1 * rng.normal(), late__sharpness=1 + 0.1 * rng.normal(), mean__sharpness=0.3)
        for n in range(20)
    ]
    judged = evaluation(clips, tmp_path)
    blind = judged.blind_to("sharpness")
    assert "late" in blind and "mean" not in blind
    assert judged.blind_to("psnr") == list(BASELINES)  # all variants score the same
    (line,) = (line for line in str(judged).splitlines() if line.startswith("sharpness") and "late" in line)
    assert "mean" not in line


def test_of_few_clips_no_measure_is_called_blind(tmp_path):
    judged = evaluation([scored(n) for n in range(4)], tmp_path)
    assert judged.blind_to("psnr") == []
    assert "5 clips are needed" in str(judged)


def test_columns_are_speakers_and_head_yaws(tmp_path):
    judged = evaluation([scored(1, yaw=-4), scored(2, "s4", yaw=-14), scored(3, "s4", yaw=9)], tmp_path)
    groups = judged.groups()
    assert list(groups) == ["all", "s1", "s4", "yaw 0-10", "yaw 10-20"]
    assert [clip.id for clip in judged.clips if groups["yaw 0-10"](clip)] == ["s1/1.mpg", "s4/3.mpg"]
    many = [replace(scored(n), speaker=str(n)) for n in range(20)]
    assert list(evaluation(many, tmp_path).groups()) == ["all", "yaw 0-10"]


def test_the_table_tells_how_far_own_speech_is_from_anothers(tmp_path):
    judged = evaluation([scored(n, generated__high_passed=0.6, another__high_passed=0.2) for n in range(12)], tmp_path)
    lines = str(judged).splitlines()
    ratio = lines[max(i for i, line in enumerate(lines) if line.startswith("high_passed")) + 1]
    assert float(ratio.split()[-1]) == pytest.approx(3)
    assert any("generated: mouth and loudness go best with the sound as it is" in line for line in lines)
    assert "skipped x.mpg: no face" in lines


def test_lse_that_was_not_measured_is_said_so_and_shows_no_number(tmp_path):
    clips = [scored(n, **{f"{v}__lse_d": np.nan for v in VARIANTS}) for n in range(6)]
    judged = evaluation(clips, tmp_path)
    assert "lse_d, lse_c: not measured" in str(judged)
    (line, _) = (line for line in str(judged).splitlines() if line.startswith("lse_d "))
    assert line.split()[1:] == ["-"] * len(VARIANTS)


def test_the_csv_has_a_line_for_every_clip_and_variant(tmp_path):
    write_csv(evaluation([scored(1), scored(2)], tmp_path))
    lines = (tmp_path / "clips.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * len(VARIANTS)
    assert lines[0].startswith("id,speaker,frames,yaw,variant,correlation")


def test_names_that_are_no_text_are_written(tmp_path):
    clip = replace(scored(1, "caf\udce9"), id="caf\udce9/1.mpg")
    judged = evaluation([clip], tmp_path)
    write_csv(judged)
    write_table(judged)
    assert r"caf\udce9/1.mpg" in (tmp_path / "clips.csv").read_text(encoding="utf-8")
