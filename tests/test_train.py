"""Training learns, stops cleanly, and goes on as if it had never stopped."""

import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from lipgan_colab import losses
from lipgan_colab import train as train_module
from lipgan_colab.checkpoint import load_newest_checkpoint
from lipgan_colab.errors import InputError
from lipgan_colab.models.weights import load_generator
from lipgan_colab.train import TrainConfig, build_networks, learning_rate_factor, train

SMALL = TrainConfig(steps=4, batch_size=2, width=0.25, learning_rate=1e-3, warmup=2, adversarial=True)


def tensors(state, name=""):
    """All tensors of nested plain data, by their path."""
    if isinstance(state, torch.Tensor):
        yield name, state
    elif isinstance(state, dict | list | tuple):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in items:
            yield from tensors(value, f"{name}/{key}")


def log_lines(run):
    with (run / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_interrupted_run_ends_like_one_that_was_not(drawn_shards, tmp_path, monkeypatch):
    train(drawn_shards, tmp_path / "straight", SMALL, log_every=1)
    step = train_module.train_step

    def interrupt_after_two(networks, batch, config, number):
        import os
        import signal

        if number == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return step(networks, batch, config, number)

    monkeypatch.setattr(train_module, "train_step", interrupt_after_two)
    train(drawn_shards, tmp_path / "broken", SMALL, log_every=1)
    assert load_newest_checkpoint(tmp_path / "broken" / "checkpoints")[1]["step"] == 2
    monkeypatch.setattr(train_module, "train_step", step)
    train(drawn_shards, tmp_path / "broken", SMALL, log_every=1)

    straight, broken = (load_newest_checkpoint(tmp_path / run / "checkpoints")[1] for run in ("straight", "broken"))
    assert broken["step"] == 4
    expected, found = (dict(tensors(state["networks"])) for state in (straight, broken))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    lines = [[line[k] for k in ("step", "l1", "disc_synced")] for line in log_lines(tmp_path / "straight")]
    assert [line[0] for line in lines] == ["1", "2", "3", "4"]
    assert lines == [[line[k] for k in ("step", "l1", "disc_synced")] for line in log_lines(tmp_path / "broken")]


def test_an_error_in_a_step_saves_the_step_before(drawn_shards, tmp_path, monkeypatch):
    train(drawn_shards, tmp_path / "straight", replace(SMALL, steps=2))
    loss, calls = losses.l1, []

    def fail_at_the_third(*args):
        calls.append(args)
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        return loss(*args)

    monkeypatch.setattr(losses, "l1", fail_at_the_third)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(drawn_shards, tmp_path / "broken", replace(SMALL, steps=4))
    found = load_newest_checkpoint(tmp_path / "broken" / "checkpoints")[1]
    assert found["step"] == 2
    # The third step's forward pass had been through the batch norms already.
    expected = dict(tensors(load_newest_checkpoint(tmp_path / "straight" / "checkpoints")[1]["networks"]["generator"]))
    found = dict(tensors(found["networks"]["generator"]))
    assert all(torch.equal(expected[name], found[name]) for name in expected if "running" in name or "tracked" in name)


def test_a_generator_learns_a_few_faces(drawn_shards, tmp_path):
    config = TrainConfig(steps=40, batch_size=4, width=0.25, learning_rate=2e-3, warmup=5, ema=0.9, augment=False)
    weights = train(drawn_shards, tmp_path, config, log_every=10, preview_every=40)
    l1 = [float(line["l1"]) for line in log_lines(tmp_path)]
    assert l1[-1] < 0.85 * l1[0]
    picture = cv2.imread(str(tmp_path / "previews" / "step-00000040.png"))
    assert picture.shape == (8 * 96, 4 * 96, 3)
    masked, generated, real = (picture[:, k * 96 : (k + 1) * 96].astype(float) for k in (1, 2, 3))
    assert np.abs(generated - real).mean() < 0.9 * np.abs(masked - real).mean()
    generator = load_generator(weights)
    assert generator.config.width == 0.25
    assert not generator.training


@pytest.mark.parametrize("adversarial", [False, True])
def test_every_weight_is_trained(drawn_shards, tmp_path, adversarial):
    config = replace(SMALL, adversarial=adversarial, adversarial_weight=1.0)
    before = build_networks(config, torch.device("cpu"))
    train(drawn_shards, tmp_path, config)
    after = load_newest_checkpoint(tmp_path / "checkpoints")[1]["networks"]
    names = ["generator", "average"] + ["discriminator"] * adversarial
    for name in names:
        for key, value in getattr(before, name).state_dict().items():
            assert not torch.equal(value, after[name][key]), f"{name} {key}"
    assert ("discriminator" in after) == adversarial


def test_the_same_seed_gives_the_same_networks():
    a, b, c = (build_networks(replace(SMALL, seed=s), torch.device("cpu")).generator.state_dict() for s in (1, 1, 2))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(not torch.equal(a[k], c[k]) for k in a)


def test_another_configuration_is_not_mixed_into_a_run(drawn_shards, tmp_path):
    config = replace(SMALL, adversarial=False, steps=1)
    train(drawn_shards, tmp_path, config)
    with pytest.raises(InputError, match=r"width was 0\.25 and is 0\.5"):
        train(drawn_shards, tmp_path, replace(config, width=0.5))
    train(drawn_shards, tmp_path, replace(config, steps=2))  # going on for longer is no other configuration
    assert load_newest_checkpoint(tmp_path / "checkpoints")[1]["step"] == 2


def test_no_shards_is_one_line(tmp_path):
    with pytest.raises(InputError, match="holds no shard"):
        train(tmp_path / "shards", tmp_path / "run", SMALL)
    assert not (tmp_path / "run").exists()


def test_learning_rate_rises_then_falls():
    config = TrainConfig(steps=1000, warmup=100)
    factors = [learning_rate_factor(step, config) for step in (0, 99, 500, 1000, 5000)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[1] > 0.97
    assert 0.4 < factors[2] < 0.6
    assert factors[3] == factors[4] == pytest.approx(0.01)


def test_a_new_run_can_begin_with_the_weights_of_another(drawn_shards, tmp_path):
    first = train(drawn_shards, tmp_path / "first", SMALL)
    still = replace(SMALL, steps=1, learning_rate=0.0, ema=1.0, adversarial=False)
    second = train(drawn_shards, tmp_path / "second", still, start_from=tmp_path / "first")
    expected, found = (dict(load_generator(path).named_parameters()) for path in (first, second))
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    with pytest.raises(InputError, match=r"width=0\.25.*width=0\.5"):
        train(drawn_shards, tmp_path / "third", replace(SMALL, width=0.5), start_from=first)
