"""One training step: what it is made of."""

from copy import deepcopy
from dataclasses import replace
from functools import partial

import pytest
import torch

from lipgan_colab.models import losses
from lipgan_colab.models.lipgan import LipGANGenerator
from lipgan_colab.models.patchgan import lower_faces
from lipgan_colab.models.wav2lip import SyncExpert, SyncExpertConfig, lower_halves
from lipgan_colab.training.step import (
    QUALITY,
    TrainConfig,
    build_networks,
    generator_input,
    learning_rate_factor,
    train_step,
)

CPU = torch.device("cpu")
TINY = TrainConfig(steps=100, batch_size=2, width=0.02, warmup=1, adversarial=True)
SMALL_STEP = replace(TINY, learning_rate=1e-5)  # or Adam steps over what it goes down to


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    pictures = {name: torch.rand(2, 3, 96, 96, generator=generator) for name in ("reference", "target")}
    sounds = {name: torch.randn(2, 1, 12, 35, generator=generator) for name in ("speech", "unsynced_speech")}
    return pictures | sounds | {"lips": torch.zeros(2, 1, 96, 96)}


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


@pytest.mark.parametrize("blocks", ["residual", "convnext", "warp"])
def test_a_step_that_is_not_finite_changes_nothing_at_all(batch, blocks):
    config = replace(TINY, quality_weight=0.01, blocks=blocks)
    networks = build_networks(config, CPU)
    networks.generator.train()
    train_step(networks, batch, config, 0)
    before = {name: part for name, part in networks.state().items()}
    before = torch.utils._pytree.tree_map(lambda v: v.clone() if isinstance(v, torch.Tensor) else v, before)
    batch["speech"][0, 0, 0, 0] = float("nan")
    reported = train_step(networks, batch, config, 1)
    assert reported["skipped"] == 1
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


def in_training(config: TrainConfig):
    networks = build_networks(config, CPU)
    networks.generator.train()
    if networks.discriminator is not None:  # all pairs nearer than the margin, beyond which nothing is learnt
        for branch in (networks.discriminator.face, networks.discriminator.speech):
            torch.nn.init.constant_(branch[-1].bias, 1.0)
    return networks


def generate(generator: LipGANGenerator, batch) -> torch.Tensor:
    return generator(generator_input(batch["reference"], batch["target"]), batch["speech"])


def gradient(batch, **options) -> torch.Tensor:
    """What the generator's first step goes by, unclipped."""
    config = replace(TINY, clip=0.0, **{"adversarial": False, **options})
    networks = in_training(config)
    train_step(networks, batch, config, 0)
    return torch.cat([p.grad.flatten() for p in networks.generator.parameters()])


def weights_of(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_a_coin_decides_which_false_pair_the_discriminator_is_shown(batch):
    """Generated faces with their speech, or real ones with another's; beside real ones with their own."""
    config = replace(TINY, learning_rate=0.0)
    networks = in_training(config)
    target, shown, tossed = batch["target"], [], []
    networks.discriminator.register_forward_hook(lambda _, pair, __: shown.append(pair))
    for step in range(16):
        shown.clear()
        reported = train_step(networks, batch, config, step)
        (faces, speech), near, (generated, said) = shown
        assert torch.equal(near[0], target) and torch.equal(near[1], batch["speech"])
        assert torch.equal(said, batch["speech"]) and not torch.equal(generated, target)
        fake = "disc_fake" in reported
        assert fake != ("disc_unsynced" in reported)
        assert torch.equal(faces, generated if fake else target)
        assert torch.equal(speech, batch["speech" if fake else "unsynced_speech"])
        tossed.append(fake)
    assert 3 < sum(tossed) < 13


@pytest.mark.parametrize("kind", ["disc_fake", "disc_unsynced"])
def test_the_discriminator_learns_to_tell_false_pairs_from_true_ones(batch, kind):
    for step in range(20):
        networks = in_training(SMALL_STEP)
        before = deepcopy(networks.discriminator)
        fake = generate(deepcopy(networks.generator), batch).detach()
        if kind in train_step(networks, batch, SMALL_STEP, step):
            break
    true = batch["target"], batch["speech"]
    false = (fake, batch["speech"]) if kind == "disc_fake" else (true[0], batch["unsynced_speech"])
    near, far = ([judge(*pair).mean() for judge in (before, networks.discriminator)] for pair in (true, false))
    assert 0.1 < far[0] < 0.9
    assert far[1] - near[1] > far[0] - near[0] + 1e-3


def test_the_generator_learns_to_look_in_sync(batch):
    config = replace(SMALL_STEP, adversarial_weight=1e4)
    networks = in_training(config)
    before = deepcopy(networks.generator)
    train_step(networks, batch, config, 0)
    old, new = (
        networks.discriminator(generate(generator, batch), batch["speech"]).mean()
        for generator in (before, networks.generator)
    )
    assert new < old - 1e-3


@pytest.mark.parametrize("name", QUALITY)
def test_the_generator_learns_to_look_real_and_its_judge_to_find_it_out(batch, name):
    batch["lips"][:, :, 60:80, 20:60] = 1
    config = replace(SMALL_STEP, adversarial=False, **{f"{name}_weight": 1e4})
    networks = in_training(config)
    view, judge = partial(QUALITY[name], lips=batch["lips"]), getattr(networks, name)
    generator, before = deepcopy(networks.generator), deepcopy(judge)
    reported = train_step(networks, batch, config, 0)
    assert {name, f"{name}_judge"} <= set(reported)
    old, new = (judge(view(generate(g, batch))).mean() for g in (generator, networks.generator))
    assert new > old + 1e-3
    fake = view(generate(generator, batch).detach())
    old, new = (j(view(batch["target"])).mean() - j(fake).mean() for j in (before, judge))
    assert new > old + 1e-3


def test_faces_are_to_look_to_a_judge_as_the_real_ones_do(batch):
    pulls = {}
    for weight in (0.0, 1.0, 3.0):
        pulls[weight] = gradient(batch, quality_weight=1.0, feature_weight=weight)
    none, once, thrice = pulls.values()
    assert (once - none).norm() > 1e-3 * none.norm()
    assert torch.allclose(thrice - none, 3 * (once - none), rtol=1e-2, atol=1e-3 * float((once - none).abs().max()))
    config = replace(SMALL_STEP, adversarial=False, quality_weight=1.0, feature_weight=1e5)
    networks = in_training(config)
    generator = deepcopy(networks.generator)
    train_step(networks, batch, config, 0)
    real = networks.quality.features(lower_faces(batch["target"]))
    old, new = (
        losses.feature_matching(networks.quality.features(lower_faces(generate(g, batch))), real).item()
        for g in (generator, networks.generator)
    )
    assert new < old - 1e-5


def to_please(expert: SyncExpert, **options):
    """Networks whose generator is to please an expert, and a batch of one run."""
    config = replace(TINY, batch_size=5, adversarial=False, sync_runs=1, **options)
    networks = in_training(config)
    networks.expert, networks.sync_counts = expert, True
    return networks, config


@pytest.fixture
def run(batch):
    """A batch of five samples, with the sound of their run."""
    five = {name: torch.cat([value, value, value[:1]]) for name, value in batch.items()}
    return five | {"run_speech": torch.randn(1, 1, 80, 16, generator=torch.Generator().manual_seed(1))}


@pytest.fixture
def expert():
    torch.manual_seed(0)
    return SyncExpert(SyncExpertConfig(0.05)).eval().requires_grad_(False)


def test_the_generator_learns_to_please_a_sync_expert_that_stays_as_it_is(run, expert):
    networks, config = to_please(expert, sync_weight=1e4, learning_rate=1e-3)
    before, known = deepcopy(networks.generator), deepcopy(expert.state_dict())
    reported = train_step(networks, run, config, 0)
    old, new = (
        losses.sync(*expert(lower_halves(generate(g, run).transpose(0, 1)[None]), run["run_speech"])).item()
        for g in (before, networks.generator)
    )
    assert new < old - 1e-3 and reported["sync"].item() == pytest.approx(old, rel=1e-3)
    assert all(torch.equal(value, known[name]) for name, value in expert.state_dict().items())


def test_the_expert_pulls_as_hard_as_its_weight_says_and_not_before_it_counts(run, expert):
    pulls = {}
    for weight, counts in ((1e-9, True), (1.0, True), (3.0, True), (1.0, False)):
        networks, config = to_please(expert, sync_weight=weight, clip=0.0)
        networks.sync_counts = counts
        assert ("sync" in train_step(networks, run, config, 0)) == counts
        pulls[weight, counts] = torch.cat([p.grad.flatten() for p in networks.generator.parameters()])
    none, once, thrice, off = pulls.values()
    assert (once - none).norm() > 1e-3 * none.norm()
    assert torch.allclose(thrice - none, 3 * (once - none), rtol=1e-2, atol=1e-3 * float((once - none).abs().max()))
    assert torch.allclose(off, none, atol=1e-6)


def test_lips_count_as_much_more_as_asked_for(batch):
    batch["lips"][:, :, 60:80, 20:60] = 1
    inside = torch.zeros(1, 1, 96, 96)
    inside[:, :, 60:80, 20:60] = 1
    for weight in (1.0, 3.0, 6.0):
        config = replace(TINY, adversarial=False, lip_weight=weight)
        networks = in_training(config)
        error = (generate(deepcopy(networks.generator), batch) - batch["target"]).abs()
        counted = 1 + (weight - 1) * inside
        expected = (error * counted / counted.mean()).mean().item()
        reported = train_step(networks, batch, config, 0)
        assert reported["weighted_l1"].item() == pytest.approx(expected, rel=1e-4)
        assert reported["l1"].item() == pytest.approx(error.mean().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("weight", "options"),
    [
        ("edge_weight", {}),
        ("adversarial_weight", {"adversarial": True}),
        ("quality_weight", {}),
        ("lip_quality_weight", {}),
    ],
)
def test_a_loss_pulls_as_hard_as_its_weight_says(batch, weight, options):
    # Not 0 for the least: then there would be no judge, and no random numbers drawn for it.
    none, once, thrice = (gradient(batch, **options, **{weight: w}) for w in (1e-9, 1.0, 3.0))
    assert (once - none).norm() > 1e-3 * none.norm()
    assert torch.allclose(thrice - none, 3 * (once - none), rtol=1e-2, atol=1e-3 * float((once - none).abs().max()))


@pytest.mark.parametrize(("step", "rate"), [(0, 1e-5), (9, 1e-4)])
def test_the_first_steps_are_small(batch, step, rate):
    """Adam's first step moves a weight by just the learning rate: in the first of ten steps of warm-up by a tenth."""
    config = replace(TINY, learning_rate=1e-4, warmup=10, steps=100_000)
    networks = in_training(config)
    parts = networks.generator, networks.discriminator
    before = [weights_of(part) for part in parts]
    train_step(networks, batch, config, step)
    for part, old in zip(parts, before, strict=True):
        assert (weights_of(part) - old).abs().max().item() == pytest.approx(rate, rel=0.02)


@pytest.mark.parametrize(("step", "kept"), [(0, 0.1), (10_000, 0.9)])
def test_the_average_follows_fast_at_first_and_slowly_later(batch, step, kept):
    config = replace(TINY, adversarial=False, ema=0.9, learning_rate=1e-2, steps=100_000)
    networks = in_training(config)
    old = weights_of(networks.average)
    train_step(networks, batch, config, step)
    expected = kept * old + (1 - kept) * weights_of(networks.generator)
    assert (expected - old).abs().max() > 1e-4
    assert torch.allclose(weights_of(networks.average), expected, atol=1e-6)


def test_in_float16_gradients_are_measured_without_their_scale(batch):
    config = replace(TINY, adversarial=False, clip=1.0)
    norms = []
    for dtype in (torch.float32, torch.float16):
        networks = build_networks(config, CPU, dtype)
        networks.scaler = torch.amp.GradScaler("cpu", init_scale=256, enabled=dtype == torch.float16)
        networks.generator.train()
        norms.append(train_step(networks, batch, config, 0)["grad_norm"].item())
        left = torch.cat([p.grad.flatten() for p in networks.generator.parameters()]).norm()
        assert left <= 1.01
    assert norms[0] == pytest.approx(norms[1], rel=0.5)
