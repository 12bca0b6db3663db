"""A study's file says what can be done, or one line tells what is wrong with it."""

from pathlib import Path

import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.arm_results import read_results
from lipgan_colab.evaluation.comparison import compare, verdict
from lipgan_colab.evaluation.study import START, TELLING, read_study

SHOWN = Path(__file__).parents[2] / "docs" / "ablation"  # studies that were made

GOOD = """
title = "Does it help?"
shards = "shards"
videos = "/far/away"
held_out = ["s5", "my aunt"]
seeds = [0, 7]

[budget]
samples = 1000

[base]
width = 0.25
lip_weight = 1

[arms.lips-6]
lip_weight = 6

[arms.judged]
adversarial = true
learning_rate = 1e-3
"""


@pytest.fixture
def study(tmp_path):
    """`study(old, new, ...)`: the good one, read, with some of its text replaced."""

    def make(*changes: str):
        text = GOOD
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "study.toml").write_text(text)
        return read_study(tmp_path / "study.toml")

    return make


def test_a_study_is_what_its_file_says(study, tmp_path):
    found = study()
    assert found.names == ("base", "lips-6", "judged") and found.seeds == (0, 7)
    assert found.shards == tmp_path / "shards" and str(found.videos) == "/far/away"
    assert (found.budget, found.amount, found.measures, found.clips) == ("samples", 1000, TELLING, None)
    base, arm = found.config("base", 7, 31), found.config("judged", 7, 31)
    assert (base.steps, base.seed, base.held_out, base.width, base.lip_weight) == (31, 7, "s5,my aunt", 0.25, 1.0)
    assert arm.adversarial and arm.learning_rate == 1e-3 and arm.width == 0.25
    assert found.config("lips-6", 0, 1).lip_weight == 6.0


def test_a_shared_beginning_has_the_bases_fields_and_its_own_steps(study):
    found = study("[arms.judged]", "[start]\nsteps = 900\nwarmup = 5\n[arms.judged]")
    begun = found.config(START, 7, 0)
    assert (begun.steps, begun.warmup, begun.seed, begun.lip_weight) == (900, 5, 7, 1.0)
    assert START not in found.names


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (("seeds = [0, 7]", "seeds = []"), "seeds: give at least one"),
        (("seeds = [0, 7]", "seeds = [3, 3]"), "seeds: 3 is there twice"),
        (("seeds = [0, 7]", "seeds = [-1]"), "seeds: -1 is not from 0"),
        (("seeds = [0, 7]", "seeds = [true]"), "seeds is True, and must be a whole number"),
        (("seeds = [0, 7]", "seed = [0]"), "seed is unknown; did you mean seeds"),
        (("seeds = [0, 7]", ""), "seeds is missing"),
        (("shards = ", "shards = 3 #"), "shards is 3, and must be a text"),
        (("samples = 1000", "samples = 1000\nsteps = 5"), "exactly one of steps, samples, seconds"),
        (("samples = 1000", ""), "exactly one of steps"),
        (("samples = 1000", "seconds = 0"), "must be more than 0"),
        (("samples = 1000", "seconds = nan"), "must be more than 0"),
        (("samples = 1000", "hours = 1"), "hours is unknown"),
        (("width = 0.25", "widht = 0.25"), r"\[base\]: widht is unknown; did you mean width"),
        (("width = 0.25", "width = 'wide'"), r"\[base\]: width is 'wide', and must be a number"),
        (("width = 0.25", "batch_size = 2.5"), "must be a whole number"),
        (("width = 0.25", "width = 0.0"), r"\[base\]: width 0.0: it must be from"),
        (("width = 0.25", "steps = 5"), "steps is the same for all arms"),
        (("adversarial = true", "references = 'all'"), r"\[arms.judged\]: references 'all'"),
        (("adversarial = true", "held_out = 's1'"), r"\[arms.judged\]: held_out is the same for all"),
        (("lip_weight = 6", "lip_weight = 1.0"), r"\[arms.lips-6\]: is trained exactly as the base"),
        (
            ("adversarial = true\nlearning_rate = 1e-3", "lip_weight = 6"),
            r"\[arms.judged\]: is trained exactly as \[arms",
        ),
        (("[arms.judged]", "[arms.base]"), r"\[arms.base\]: base has that name"),
        (("[arms.judged]", "[arms.Lips-6]"), "has that name already"),
        (("[arms.judged]", '[arms."../out"]'), "becomes a folder's name"),
        (("[arms.judged]\nadversarial = true\nlearning_rate = 1e-3", "[arms]\njudged = 3"), "arms.judged. is no table"),
        (("adversarial = true", "sync_weight = 0.03"), "give sync_expert too"),
        (("seeds = ", "sync_expert = 'x'\nseeds = "), "no arm has a sync_weight"),
        (("seeds = ", "measures = ['sharpnes']\nseeds = "), "there is no 'sharpnes'; did you mean sharpness"),
        (("seeds = ", "measures = ['lse_d']\nseeds = "), "give syncnet too"),
        (("seeds = ", "start_from = 'x'\nseeds = ", "[arms.j", "[start]\nsteps = 1\n[arms.j"), "leave one of them out"),
        (("[arms.judged]", "[start]\nwarmup = 1\n[arms.judged]"), r"\[start\]: steps is missing"),
        (("adversarial = true", "width = 0.5", "[arms.l", "[start]\nsteps = 1\n[arms.l"), "its generator is another"),
        (("my aunt", "auto"), "'auto' is no speaker's name"),
        (("my aunt", "s1, s2"), "is no speaker's name"),
        (("[budget]", "[budget"), "not a study"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(study, changes, told):
    with pytest.raises(InputError, match=told) as caught:
        study(*changes)
    assert "study.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_without_arms_there_is_nothing_to_compare(tmp_path):
    (tmp_path / "study.toml").write_text(GOOD[: GOOD.index("[arms")] + "[arms]")
    with pytest.raises(InputError, match="there is none to compare"):
        read_study(tmp_path / "study.toml")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: there is no such file"):
        read_study(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("name", "told"),
    [("losses", [("quality", "psnr_lips", "worse")]), ("blocks", [("warp", "sharpness", "better")])],
)
def test_the_studies_that_are_shown_can_be_asked_again_and_say_what_their_numbers_say(name, told):
    study = read_study(SHOWN / f"{name}.toml")
    found = compare(read_results(SHOWN / name / "ablation.csv"), measures=study.measures)
    assert {d.arm for d in found} == {*study.arms} and {d.seeds for d in found} == {len(study.seeds)}
    assert [(d.arm, d.measure, verdict(d)) for d in found if d.told] == told
    page = (SHOWN / name / "ablation.md").read_text()
    assert page.startswith(f"# {study.title}\n") and page.count("**better**") + page.count("**worse**") == len(told)
