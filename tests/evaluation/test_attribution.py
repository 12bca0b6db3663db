"""What an answer is owed to: made networks that look at one known place."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from lipgan_colab.evaluation.attribution import (
    has_captum,
    integrated_gradients,
    occlusion,
    rank_correlation,
    slots,
    untaught,
)


class Looks(nn.Module):
    """Answers with the sum of a few values, weighed by what it has learnt (or is built to)."""

    def __init__(self, shape: tuple[int, ...], place: tuple, learnt: bool = True):
        super().__init__()
        weights = torch.zeros(shape)
        weights[place] = 2.0
        self.weights = nn.Parameter(weights) if learnt else None
        self.register_buffer("built", weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.built if self.weights is None else self.weights
        return torch.tanh((x * weights).flatten(1).sum(1, keepdim=True) / 10)


@pytest.fixture
def seen() -> torch.Tensor:
    return torch.rand(3, 1, 12, 35, generator=torch.Generator().manual_seed(0)) + 0.5


PLACE = (0, slice(4, 6), slice(20, 25))


def test_occlusion_finds_the_place(seen):
    network = Looks((1, 12, 35), PLACE)
    whole = slice(None)
    by_time = occlusion(network, (seen,), (0 * seen,), 0, [(whole, whole, part) for part in slots(35, 5)])
    assert by_time.shape == (7, 3, 1)
    assert (by_time.abs().mean(dim=(1, 2)) > 0).tolist() == [n == 4 for n in range(7)]
    expected = network(0 * seen) - network(seen)
    torch.testing.assert_close(by_time[4], expected)
    by_row = occlusion(network, (seen,), (0 * seen,), 0, [(whole, part, whole) for part in slots(12, 1)])
    assert by_row.abs().mean(dim=(1, 2)).nonzero().ravel().tolist() == [4, 5]


def test_integrated_gradients_find_the_place_and_add_up(seen):
    network = Looks((1, 12, 35), PLACE)
    (parts,), missing = integrated_gradients(network, (seen,), (0 * seen,), 0, steps=8)
    inside = torch.zeros(1, 12, 35, dtype=torch.bool)
    inside[PLACE] = True
    assert (parts[:, inside] > 0).all() and not parts[:, ~inside].any()
    torch.testing.assert_close(parts.flatten(1).sum(1), (network(seen) - network(0 * seen))[:, 0], rtol=1e-3, atol=0)
    assert missing < 1e-3
    _, rough = integrated_gradients(network, (seen * 9,), (0 * seen,), 0, steps=1)
    assert rough > 0.05  # one step does not do for so bent an answer, and that is told


def test_without_a_change_nothing_can_be_shared_out(seen):
    (parts,), missing = integrated_gradients(Looks((1, 12, 35), PLACE), (seen,), (seen,), 0, steps=2)
    assert not parts.any() and np.isnan(missing)


def test_a_map_that_does_not_depend_on_weights_is_caught(seen):
    def found(network: nn.Module) -> np.ndarray:
        return integrated_gradients(network, (seen,), (0 * seen,), 0, steps=2)[0][0].numpy()

    for learnt, alike in ((True, False), (False, True)):
        network = Looks((1, 12, 35), PLACE, learnt)
        again = [rank_correlation(found(network), found(untaught(network, seed))) for seed in range(3)]
        assert (np.mean(again) > 0.9) is np.bool_(alike), again


def test_what_has_learnt_nothing_is_drawn_anew_and_as_large():
    network = nn.Sequential(nn.Conv2d(4, 64, 3), nn.ReLU(), nn.Conv2d(64, 8, 1))
    with torch.no_grad():
        network[0].weight.fill_(0.5)
    blank = untaught(network, 0)
    assert network[0].weight.eq(0.5).all()
    before, after = (some[2].weight.detach().numpy() for some in (network, blank))
    assert abs(rank_correlation(before, after)) < 0.2
    assert blank[0].weight.square().mean().sqrt().item() == pytest.approx(0.5, rel=0.1)
    assert untaught(network, 0)[0].weight.equal(blank[0].weight)
    assert not untaught(network, 1)[0].weight.equal(blank[0].weight)


def test_ranks_are_compared_by_magnitude_and_where_both_are_known():
    a = np.array([0.1, -0.2, 0.3, -0.4, np.nan, 9])
    assert rank_correlation(a, 10 * a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(1)
    assert rank_correlation(a, 1 / a) == pytest.approx(-1)
    assert rank_correlation(a, np.ones(6)) == 0


def test_captum_is_missed_where_it_is_not(monkeypatch):
    assert has_captum()
    monkeypatch.setitem(sys.modules, "captum", None)
    assert not has_captum()
