"""The losses, against values worked out by hand."""

import math

import pytest
import torch

from lipgan_colab.models import losses


def test_l1_is_the_mean_absolute_difference():
    assert losses.l1(torch.tensor([0.0, 1.0, 0.5]), torch.tensor([0.5, 0.0, 0.5])).item() == pytest.approx(0.5)


def test_lip_weights_have_mean_one_and_the_asked_ratio():
    lips = torch.zeros(2, 1, 8, 8)
    lips[0, :, 4:6, 2:6] = 1
    weights = losses.lip_weights(lips, 6)
    assert torch.allclose(weights.mean(dim=(1, 2, 3)), torch.ones(2))
    assert (weights[0, 0, 4, 2] / weights[0, 0, 0, 0]).item() == pytest.approx(6)
    assert torch.equal(weights[1], torch.ones(1, 8, 8))  # no lips: plain L1


def test_weighted_l1_counts_an_error_on_the_lips_more():
    lips = torch.zeros(1, 1, 8, 8)
    lips[..., 4:, :] = 1
    target = torch.zeros(1, 3, 8, 8)
    on_lips, elsewhere = target.clone(), target.clone()
    on_lips[..., 5, 5] = 1
    elsewhere[..., 1, 1] = 1
    weights = losses.lip_weights(lips, 6)
    ratio = losses.weighted_l1(on_lips, target, weights) / losses.weighted_l1(elsewhere, target, weights)
    assert ratio.item() == pytest.approx(6)
    assert losses.weighted_l1(on_lips, target, losses.lip_weights(lips, 1)) == losses.l1(on_lips, target)


def test_a_blur_costs_edges_more_than_it_costs_pixels():
    target = torch.zeros(1, 3, 9, 9)
    target[..., ::2, :] = 1  # stripes, and a blur that leaves grey
    even = torch.ones(1, 1, 9, 9)
    blurred, lighter = torch.full_like(target, 0.5), target + 0.5
    assert losses.weighted_l1(blurred, target, even) == losses.weighted_l1(lighter, target, even)
    assert losses.edge_l1(blurred, target, even).item() == pytest.approx(1)  # every step down the picture is lost
    assert losses.edge_l1(lighter, target, even) == 0


def test_steps_across_and_down_count_alike_and_by_the_weight_of_the_pixel_they_lead_to():
    """A picture of one step, to the right or down, each pixel with a weight of its own."""
    target = torch.zeros(1, 3, 3, 3)
    right, down = target.clone(), target.clone()
    right[..., 2] = 1  # from column 1 to 2, in three rows
    down[..., 2, :] = 1
    weights = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])[None, None]
    assert losses.edge_l1(right, target, weights).item() == pytest.approx((3 + 6 + 9) / 6)  # of 3 x 2 steps across
    assert losses.edge_l1(down, target, weights).item() == pytest.approx((7 + 8 + 9) / 6)


def test_each_sample_has_a_weight_of_one_on_average():
    lips = torch.zeros(2, 1, 4, 4)
    lips[0, :, :2] = 1  # half of one, an eighth of the other
    lips[1, :, 3, 2:] = 1
    weights = losses.lip_weights(lips, 5)
    assert weights.mean(dim=(1, 2, 3)).tolist() == pytest.approx([1, 1])
    assert weights[0, 0, 0, 0].item() == pytest.approx(5 / 3) and weights[1, 0, 3, 3].item() == pytest.approx(5 / 1.5)


def test_contrastive_pulls_synced_pairs_together_and_pushes_others_to_the_margin():
    distance = torch.tensor([0.5, 0.2, 1.5])
    synced, unsynced = losses.contrastive_for(distance, True), losses.contrastive_for(distance, False)
    assert synced.item() == pytest.approx((0.25 + 0.04 + 2.25) / 3)
    assert unsynced.item() == pytest.approx((0.25 + 0.64 + 0) / 3)
    mixed = losses.contrastive(distance, torch.tensor([0.0, 1.0, 1.0]))
    assert mixed.item() == pytest.approx((0.25 + 0.64 + 0) / 3)


def test_a_judge_pays_for_being_wrong_and_the_generator_for_being_found_out():
    sure, unsure = torch.full((2, 1, 6, 12), 5.0), torch.zeros(2, 1, 6, 12)
    assert losses.gan_loss(True, sure) < 0.01 < losses.gan_loss(True, unsure) < losses.gan_loss(True, -sure)
    assert losses.gan_loss(False, -sure) < 0.01 < losses.gan_loss(False, unsure) < losses.gan_loss(False, sure)
    assert losses.gan_loss(True, unsure) == pytest.approx(math.log(2))


def test_lips_that_find_their_own_sound_cost_nothing():
    own = torch.eye(4)
    assert losses.matching(own, own).item() < 1e-4
    assert losses.matching(own, own.roll(1, 0)).item() == pytest.approx(16, abs=0.01)
    alike = torch.ones(4, 4) / 2  # all as near: a guess among four
    assert losses.matching(alike, alike).item() == pytest.approx(math.log(4), abs=1e-5)
    third = own.clone()
    third[3] = own[2]  # of two sounds that are the same either may be the right one
    assert losses.matching(third, third).item() == pytest.approx(math.log(2) / 2, abs=1e-4)


def test_lips_look_for_their_sound_and_sounds_for_their_lips():
    """The first two lips are the same; each sound is another's: by hand, at a scale of 2."""
    lips = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    sounds = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    chosen = lambda own, other: math.log(1 + math.exp(2 * (other - own)))  # noqa: E731
    lips_find = (chosen(1, 0) + chosen(0, 1)) / 2
    sounds_find = chosen(0, 0)  # both lips are as near
    assert losses.matching(lips, sounds, scale=2.0).item() == pytest.approx((lips_find + sounds_find) / 2, abs=1e-5)
