"""A study's scores as a file."""

import numpy as np
import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.arm_results import Score, read_results, write_results


def test_scores_are_read_as_they_were_written(tmp_path):
    scores = [
        Score("base", 0, "people/s33/a, b.mpg", "s33", {"range": 0.1 + 0.2, "lmd": np.float64(1) / 3}),
        Score('lips "6"\n', 2, "ü.mpg", "", {"lmd": 1e-300, "psnr": 30.0}),
    ]
    write_results(tmp_path / "out" / "ablation.csv", scores)
    assert read_results(tmp_path / "out" / "ablation.csv") == scores


def test_what_cannot_be_told_stays_so_and_names_need_not_be_text(tmp_path):
    write_results(tmp_path / "a.csv", [Score("base", 0, "\udcff.mpg", "s1", {"range": float("nan")})])
    (score,) = read_results(tmp_path / "a.csv")
    assert np.isnan(score.values["range"]) and score.clip == r"\udcff.mpg"


@pytest.mark.parametrize("text", ["", "arm,seed\nbase,0\n", "arm,seed,clip,speaker,lmd\nbase,x,c,s,1\n", "a,b\n1\n"])
def test_other_files_are_told_in_one_line(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    if text == "":
        assert read_results(path) == []
    else:
        with pytest.raises(InputError, match=r"a\.csv: no results of a study"):
            read_results(path)
    with pytest.raises(InputError, match=r"none\.csv"):
        read_results(tmp_path / "none.csv")
