"""The quality discriminator."""

import pytest
import torch
import torch.nn.functional as F

from lipgan_colab.models import losses
from lipgan_colab.models.patchgan import PatchDiscriminator, lip_crops, lower_faces
from lipgan_colab.shards.dataset import LipSyncDataset


@pytest.fixture
def judge():
    torch.manual_seed(0)
    return PatchDiscriminator(16)


def test_each_judge_looks_at_its_part_of_a_face(judge):
    faces, lips = torch.rand(2, 3, 96, 96), torch.zeros(2, 1, 96, 96)
    lips[0, :, 70:80, 40:60] = lips[1, :, 60:66, 30:50] = 1
    assert judge(lower_faces(faces)).shape == (2, 1, 6, 12)
    assert torch.equal(lower_faces(faces), faces[:, :, 48:])
    crops = lip_crops(faces, lips)
    assert crops.shape == (2, 3, 64, 96) and judge(crops).shape == (2, 1, 8, 12)
    for face, crop, (down, across) in zip(faces, crops, ((75, 50), (63, 40)), strict=True):
        around = face[:, down - 16 : down + 16, across - 24 : across + 24]
        seen = F.interpolate(around[None], (64, 96), mode="bilinear")[0]
        assert torch.allclose(crop[:, 2:-2, 2:-2], seen[:, 2:-2, 2:-2], atol=1e-4)


def test_it_learns_to_tell_soft_faces_from_sharp_ones_and_says_how_to_sharpen(judge, drawn_shards):
    dataset = LipSyncDataset(drawn_shards)
    sharp = torch.stack([dataset[number]["target"] for number in range(24)]).float() / 255
    soft = F.avg_pool2d(sharp, 5, 1, 2, count_include_pad=False)
    optimizer = torch.optim.Adam(judge.parameters(), 2e-3, (0.5, 0.99))
    for _ in range(40):
        loss = losses.gan_loss(False, judge(lower_faces(soft[:16]))) + losses.gan_loss(
            True, judge(lower_faces(sharp[:16]))
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    judge.eval()
    unseen = slice(16, None)
    assert judge(lower_faces(sharp[unseen])).mean() > judge(lower_faces(soft[unseen])).mean() + 0.5

    picture = soft[unseen].clone().requires_grad_()
    losses.gan_loss(True, judge(lower_faces(picture))).backward()
    detail = (sharp - soft)[unseen]
    assert (picture.grad * detail).sum() < 0  # less loss lies where the missing detail does
