"""One training step: what it is made of."""

from dataclasses import replace

import pytest
import torch

from lipgan_colab.models.lipgan import LipGANGenerator
from lipgan_colab.training.step import TrainConfig, build_networks, generator_input, learning_rate_factor, train_step

CPU = torch.device("cpu")
TINY = TrainConfig(steps=100, batch_size=2, width=0.02, warmup=1, adversarial=True)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    pictures = {
        name: torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8, generator=generator)
        for name in ("reference", "target")
    }
    sounds = {name: torch.randn(2, 1, 12, 35, generator=generator) for name in ("speech", "unsynced_speech")}
    return pictures | sounds | {"lips": torch.zeros(2, 1, 96, 96, dtype=torch.uint8)}


def test_the_same_seed_gives_the_same_networks():
    a, b, c = (build_networks(replace(TINY, seed=s), CPU).generator.state_dict() for s in (1, 1, 2))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(not torch.equal(a[k], c[k]) for k in a)


def test_learning_rate_rises_then_falls():
    factors = [learning_rate_factor(step, 1000, 100) for step in (0, 99, 500, 1000, 5000)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[1] > 0.97
    assert 0.4 < factors[2] < 0.6
    assert factors[3] == factors[4] == pytest.approx(0.01)


def test_the_generator_sees_no_mouth():
    reference, target = torch.full((1, 3, 4, 4), 0.5), torch.ones(1, 3, 4, 4)
    faces = generator_input(reference, target)
    assert faces.shape == (1, 6, 4, 4)
    assert (faces[:, :3] == 0.5).all() and (faces[:, 3:, :2] == 1).all() and (faces[:, 3:, 2:] == 0).all()
    assert (target == 1).all()


def test_a_long_gradient_is_cut_to_length(batch):
    moved = {}
    for clip in (0.0, 1e-6):
        config = replace(TINY, clip=clip, adversarial=False)
        networks = build_networks(config, CPU)
        networks.generator.train()
        reported = train_step(networks, batch, config, 0)
        assert reported["grad_norm"] > 0.01  # as it was before
        gradients = [p.grad.norm() for p in networks.generator.parameters()]
        moved[clip] = torch.stack(gradients).norm()
    assert moved[1e-6] <= 1.01e-6 < moved[0.0]


def test_a_step_that_is_not_finite_changes_nothing_at_all(batch):
    config = replace(TINY, quality_weight=0.01)
    networks = build_networks(config, CPU)
    networks.generator.train()
    train_step(networks, batch, config, 0)
    before = {name: part for name, part in networks.state().items()}
    before = torch.utils._pytree.tree_map(lambda v: v.clone() if isinstance(v, torch.Tensor) else v, before)
    batch["speech"][0, 0, 0, 0] = float("nan")
    reported = train_step(networks, batch, config, 1)
    assert list(reported) == ["skipped"] and reported["skipped"] == 1
    after = networks.state()
    for name in ("generator", "average", "discriminator", "quality"):
        assert all(torch.equal(before[name][k], after[name][k]) for k in before[name]), name
    for name in ("generator_optimizer", "discriminator_optimizer", "quality_optimizer"):
        old, new = before[name]["state"], after[name]["state"]
        assert all(torch.equal(old[i][k], new[i][k]) for i in old for k in old[i]), name


def test_building_a_generator_without_memory_draws_no_random_numbers():
    """The export does it beside the training, whose random numbers must not depend on when."""
    state = torch.get_rng_state()
    with torch.device("meta"):
        LipGANGenerator()
    assert torch.equal(state, torch.get_rng_state())


def test_a_state_can_be_taken_over_without_a_scaler():
    half, full = build_networks(TINY, CPU, torch.float16), build_networks(replace(TINY, seed=1), CPU)
    full.load(half.state())
    half.load(full.state())
    assert half.scaler.get_scale() == 65536.0


def test_a_run_of_before_there_were_judges_of_quality_gets_a_new_one():
    before, now = build_networks(TINY, CPU), build_networks(replace(TINY, seed=1, quality_weight=0.01), CPU)
    judge = {name: value.clone() for name, value in now.quality.state_dict().items()}
    now.load(before.state())
    assert all(torch.equal(judge[name], value) for name, value in now.quality.state_dict().items())
    old, new = before.generator.state_dict(), now.generator.state_dict()
    assert all(torch.equal(old[name], new[name]) for name in old)
