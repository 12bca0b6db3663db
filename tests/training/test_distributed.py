"""Two processes (gloo) do what one does: the same samples, and weights that agree to float rounding."""

import os
import subprocess
import sys

import pytest
import torch

from lipgan_colab.shards.augmentation import augmented
from lipgan_colab.shards.dataset import LipSyncDataset, batches
from lipgan_colab.training import distributed
from lipgan_colab.training.checkpoint import load_newest_checkpoint
from lipgan_colab.training.runs import read_log
from lipgan_colab.training.step import TrainConfig, build_networks, train_step
from lipgan_colab.training.train import train

CONFIG = TrainConfig(
    steps=3, batch_size=4, width=0.02, learning_rate=1e-4, warmup=1, adversarial=True, quality_weight=0.01, ema=0.5
)


def test_alone_everything_is_as_it_was():
    values = {"l1": torch.tensor(1.0)}
    assert distributed.average(values) is values
    assert (distributed.rank(), distributed.count(), distributed.any_of(True)) == (0, 1, True)
    assert distributed.from_first("x") == "x"


@pytest.fixture
def another(monkeypatch):
    """As if there were a second process, whose gradients and losses are three times ours, and whose flags are set."""
    operations = distributed.dist.ReduceOp

    def all_reduce(own, op=operations.SUM):
        if op == operations.SUM:
            own.mul_(4)
        else:
            own.clamp_(**{"min" if op == operations.MAX else "max": 1})

    monkeypatch.setattr(distributed.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed.dist, "all_reduce", all_reduce)


def test_gradients_and_losses_are_the_processes_mean(another):
    parameters = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1, 2)), torch.nn.Parameter()]
    parameters[0].grad, parameters[1].grad = torch.tensor([1.0, -2.0]), torch.tensor([[0.5, 3.0]])
    distributed.average_gradients(parameters)
    assert parameters[0].grad.tolist() == [2, -4] and parameters[1].grad.tolist() == [[1, 6]]
    means = distributed.average({"l1": torch.tensor(0.25), "skipped": torch.tensor(1.0)})
    assert means == {"l1": 0.5, "skipped": 2}


def test_what_one_process_is_asked_for_all_do(another):
    assert distributed.any_of(False)


def test_the_slices_are_the_whole_batch(drawn_shards):
    dataset = LipSyncDataset(drawn_shards)
    whole = next(iter(batches(dataset, 5, 6, 6)))
    slices = [next(iter(batches(dataset, 5, 6, 6, rank=rank, processes=3))) for rank in range(3)]
    for name, value in whole.items():
        assert torch.equal(torch.cat([part[name] for part in slices]), value)


def in_double(shards, steps: int = 2) -> dict[str, torch.Tensor]:
    """The weights after some steps in float64, in which rounding is far from everything else."""
    device = distributed.join(torch.device("cpu"))
    networks = build_networks(CONFIG, device)
    for network in (networks.generator, networks.average, networks.discriminator, networks.quality):
        network.double()
    networks.generator.train()
    loader = batches(LipSyncDataset(shards), 0, steps, CONFIG.batch_size, 0, distributed.rank(), distributed.count())
    for step, batch in enumerate(loader):
        train_step(networks, augmented(batch), CONFIG, step)
    parts = {"generator": networks.generator, "average": networks.average, "judge": networks.discriminator}
    parts["quality"] = networks.quality
    return {f"{p} {name}": value for p, part in parts.items() for name, value in part.state_dict().items()}


SCRIPT = """
import sys, torch
from test_distributed import CONFIG, in_double
from lipgan_colab.training.train import train
shards, folder = sys.argv[1:]
torch.save(in_double(shards), f"{folder}/double.pt")
for precision in ("float32", "bfloat16"):
    train(shards, f"{folder}/two {precision}", CONFIG, log_every=1, preview_every=1000, precision=precision)
"""


def test_two_processes_train_as_one(drawn_shards, tmp_path):
    script = tmp_path / "two.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [*command, str(drawn_shards), str(tmp_path)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]

    expected, found = in_double(drawn_shards), torch.load(tmp_path / "double.pt", weights_only=True)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.allclose(value, found[name], rtol=1e-6, atol=1e-8), name

    for precision, rounding in (("float32", 1e-4), ("bfloat16", 0.02)):
        options = {"log_every": 1, "preview_every": 1000, "precision": precision}
        train(drawn_shards, tmp_path / f"one {precision}", CONFIG, **options)
        one, two = (read_log(tmp_path / f"{count} {precision}" / "log.csv") for count in ("one", "two"))
        assert [line["samples"] for line in one] == [line["samples"] for line in two] == ["4", "8", "12"]
        for name in ("l1", "disc_synced", "adversarial", "quality"):
            alone, together = ([float(line[name]) for line in run] for run in (one, two))
            # After that Adam's first steps, which follow the gradient's sign, make much of rounding.
            assert alone[0] == pytest.approx(together[0], rel=rounding)
            assert alone == pytest.approx(together, rel=0.1)
        assert load_newest_checkpoint(tmp_path / f"two {precision}" / "checkpoints")[0].step == 3
