"""Which model is offered, how far it has come, and what is to be feared of it."""

import cv2
import numpy as np
import pytest

from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.motion import MotionConfig
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.weights import EXPORT, save_generator, save_network
from lipgan_colab.notebook.weights_input import WeightsInput
from lipgan_colab.workspace import open_workspace


@pytest.fixture
def workspace(tmp_path):
    return open_workspace(tmp_path / "work", drive="off")


def chosen(workspace, run):
    made = WeightsInput(workspace)
    made.list.value = str(run)
    return made


@pytest.mark.parametrize("l1, feared", [("0.2", True), ("0.03", False), ("", False)])
def test_a_run_tells_its_steps_what_it_draws_and_whether_it_is_hardly_trained(workspace, l1, feared):
    run = workspace.runs / "first"
    save_generator(run / EXPORT, LipGANGenerator(GeneratorConfig(width=0.125)), {"step": 120, "samples": 960})
    (run / "log.csv").write_text(f"step,l1\n120,{l1}\n")
    (run / "previews").mkdir()
    for step in (60, 120):
        cv2.imwrite(str(run / "previews" / f"step-{step:08}.png"), np.full((64, 64, 3), step, np.uint8))
    made = chosen(workspace, run)
    assert "my run first (120 steps, saved less than a minute ago)" in dict(made.list.options)
    assert '<img alt="What this run draws: given' in made.seen.value
    assert ("Hardly trained (120 steps)" in made.about.value) == bool(made.warning) == feared
    made.list.value = "starter"
    assert not made.warning and not made.seen.value and "generator" not in made.about.value


def test_a_motion_that_does_not_follow_is_told(workspace):
    run = workspace.runs / "motion"
    about = {"step": 25, "measures": {"follows": 0.1, "others": 0.05, "range": 0.2}}
    save_network(run / EXPORT, MotionNetwork(MotionConfig(channels=8)), about)
    assert "lips follow speech by 0.10 of 1" in chosen(workspace, run).warning


def test_a_damaged_run_is_offered_and_tells_nothing(workspace):
    run = workspace.runs / "broken"
    run.mkdir()
    (run / EXPORT).write_bytes(b"no weights at all")
    made = chosen(workspace, run)
    assert not made.warning and made.chosen == str(run)
