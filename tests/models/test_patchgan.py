"""The quality discriminator."""

import pytest
import torch
import torch.nn.functional as F

from lipgan_colab.models import losses
from lipgan_colab.models.patchgan import PatchDiscriminator
from lipgan_colab.shards.dataset import LipSyncDataset


@pytest.fixture
def judge():
    torch.manual_seed(0)
    return PatchDiscriminator(16)


def test_only_the_lower_half_is_judged(judge):
    judge.eval()
    faces = torch.rand(2, 3, 96, 96)
    verdict = judge(faces)
    assert verdict.shape == (2, 1, 6, 12)
    other = faces.clone()
    other[:, :, :48] = 0
    assert torch.equal(judge(other), verdict)
    other[:, :, 48:] = 0
    assert not torch.equal(judge(other), verdict)


def test_it_learns_to_tell_soft_faces_from_sharp_ones_and_says_how_to_sharpen(judge, drawn_shards):
    dataset = LipSyncDataset(drawn_shards)
    sharp = torch.stack([dataset[number]["target"] for number in range(24)]).float() / 255
    soft = F.avg_pool2d(sharp, 5, 1, 2, count_include_pad=False)
    optimizer = torch.optim.Adam(judge.parameters(), 2e-3, (0.5, 0.99))
    for _ in range(40):
        loss = losses.gan_loss(False, judge(soft[:16])) + losses.gan_loss(True, judge(sharp[:16]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    judge.eval()
    unseen = slice(16, None)
    assert judge(sharp[unseen]).mean() > judge(soft[unseen]).mean() + 0.5

    picture = soft[unseen].clone().requires_grad_()
    losses.gan_loss(True, judge(picture)).backward()
    detail = (sharp - soft)[unseen]
    assert (picture.grad * detail).sum() < 0  # less loss lies where the missing detail does
