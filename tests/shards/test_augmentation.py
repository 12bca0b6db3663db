"""How a batch's faces are varied: as asked for, all that belongs together alike, and by the lots alone."""

import cv2
import numpy as np
import pytest
import torch

from lipgan_colab.faces.geometry import lip_region
from lipgan_colab.shards.augmentation import augmented, augmented_runs, drawn_lots, mouth_region, run_lots

LIPS = np.float32([[0.35, 0.75], [0.65, 0.75], [0.5, 0.85]])
LEFT = np.float32([[0.15, 0.7], [0.35, 0.7], [0.3, 0.85]])


def batch_of(reference, target, lips=LIPS, size=24, seed=0) -> dict[str, torch.Tensor]:
    """As often the same two pictures (S, S, 3), each with lots of its own."""
    lots = np.stack([drawn_lots(np.random.default_rng((seed, n))) for n in range(size)])
    points = torch.from_numpy(np.tile(lips, (size, 1, 1)))
    pictures = (torch.from_numpy(p.transpose(2, 0, 1).copy()).repeat(size, 1, 1, 1) for p in (reference, target))
    both = dict(zip(("reference", "target"), pictures, strict=True))
    return both | {"lips": points, "reference_lips": points, "lots": torch.from_numpy(lots), "speech": torch.ones(size)}


def grey(level: int) -> np.ndarray:
    return np.full((96, 96, 3), level, np.uint8)


def mouth(points: np.ndarray) -> np.ndarray:
    """A white mouth on black."""
    return cv2.cvtColor(lip_region(points, 96), cv2.COLOR_GRAY2RGB)


def middles(pictures: torch.Tensor) -> torch.Tensor:
    """Row and column of the middle of what is white in each picture (B, C, S, S)."""
    return torch.stack([torch.nonzero(p.mean(dim=0) > 0.4).float().mean(dim=0) for p in pictures])


def test_nothing_is_varied_unless_asked_for():
    rng = np.random.default_rng(0)
    batch = batch_of(*rng.integers(0, 256, (2, 96, 96, 3), dtype=np.uint8))
    plain = augmented(batch, 0)
    assert set(plain) == {"reference", "target", "lips", "speech"}
    for name in ("reference", "target"):
        assert torch.equal(plain[name], batch[name].float() / 255)
        assert plain[name].is_contiguous(memory_format=torch.channels_last)
    assert plain["lips"].shape == (24, 1, 96, 96)


def test_the_same_lots_do_the_same_and_other_batches_nothing():
    batch = batch_of(*np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8))
    whole, again = augmented(batch), augmented(batch)
    part = augmented({name: value[5:9] for name, value in batch.items()})
    for name, value in whole.items():
        assert torch.equal(value, again[name])
        assert torch.allclose(value[5:9], part[name], atol=1e-6)
    assert len({float(picture.mean()) for picture in whole["target"]}) == 24


def test_colours_change_in_both_frames_alike():
    """One gain and gamma for both keep their order in every channel."""
    batch = augmented(batch_of(grey(90), grey(150)))
    reference, target = (batch[name].mean(dim=(2, 3)) for name in ("reference", "target"))
    assert (target > reference).all()
    assert (target.std(dim=0) > 0.03).all() and ((target.amax(dim=1) - target.amin(dim=1)) > 0.01).float().mean() > 0.8


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_that_is_varied_is_the_one_asked_for(share):
    batch = augmented(batch_of(grey(90), grey(150), size=200), share)
    left = ((batch["target"] - 150 / 255).abs() < 1e-3).all(dim=3).all(dim=2).all(dim=1)
    assert left.float().mean() == pytest.approx(1 - share, abs=0.08)


def test_what_is_mirrored_is_mirrored_as_a_whole():
    """A mouth at the left of the crop: in half of the samples it is at the right, with all that belongs to it."""
    batch = augmented(batch_of(mouth(LEFT), mouth(LEFT), LEFT, size=40))
    at_left = middles(batch["target"])[:, 1] < 48
    assert 8 < at_left.sum() < 32
    assert torch.equal(middles(batch["lips"])[:, 1] < 48, at_left)
    shows = batch["reference"].mean(dim=1).amax(dim=(1, 2)) > 0.6  # in some references it is painted over
    assert shows.sum() > 10
    assert torch.equal(middles(batch["reference"])[shows][:, 1] < 48, at_left[shows])


@pytest.mark.parametrize("share", [1, 0.01])
def test_each_face_is_framed_anew_and_the_lips_with_the_target(share):
    """Else a network reads the lips off the framing: boxes move a little with the mouth."""
    batch = augmented(batch_of(mouth(LIPS), mouth(LIPS), size=40), share)
    lips, target = batch["lips"] > 0.5, batch["target"].mean(dim=1, keepdim=True) > 0.4
    assert ((lips & target).sum(dim=(1, 2, 3)) > 0.7 * (lips | target).sum(dim=(1, 2, 3))).all()
    there = batch["reference"].mean(dim=1).amax(dim=(1, 2)) > 0.6
    reference, target = middles(batch["reference"][there]), middles(batch["target"][there])
    assert there.sum() > 10
    for moved in (reference, target, target - reference):
        assert (moved.std(dim=0) > 0.6).all()  # rows and columns, in pixels


def test_where_mouths_are_painted_over_nothing_else_changes():
    face = np.random.default_rng(0).integers(60, 200, (96, 96, 3), dtype=np.uint8)
    batch = batch_of(face, face, size=60)
    batch["lots"][:, :5] = 0.5  # no other colours
    shaped = augmented(batch | {"reference_lips": torch.full_like(batch["lips"], float("nan"))})["reference"]
    painted = augmented(batch)["reference"]
    changed = (painted - shaped).abs().amax(dim=1) > 0.02
    over = changed.any(dim=2).any(dim=1)
    assert 10 < over.sum() < 38
    assert not changed[:, :40].any()  # above the mouth, wherever it was turned
    assert (changed[over].float().mean(dim=(1, 2)) > 0.02).all()


def test_the_mouth_is_marked_where_the_drawn_one_is():
    points = np.stack([p[[0, 1, 2, 2]] for p in (LIPS, LEFT, np.full((3, 2), np.nan, np.float32))])
    marked = mouth_region(torch.from_numpy(points), 96)
    for found, expected in zip(marked[:, 0].numpy(), points, strict=True):
        drawn = lip_region(expected, 96).astype(np.float32) / 255
        assert np.abs(found - drawn).mean() < 0.01 and np.abs(found - drawn).max() < 0.5


def test_a_clips_runs_are_varied_alike_and_framed_each_by_itself():
    """A white mouth at the left that moves down from frame to frame."""
    run = np.stack([mouth(LEFT + np.float32((0, 0.02 * k))) for k in range(3)]).transpose(0, 3, 1, 2)
    sides, heights = [], []
    for clip in range(12):
        lots = torch.from_numpy(run_lots(np.random.default_rng(clip), 6))
        varied = augmented_runs(torch.from_numpy(np.stack([run] * 6)), lots)
        assert varied.shape == (6, 9, 48, 96) and varied.min() >= 0 and varied.max() <= 1
        places = middles(varied.unflatten(1, (3, 3)).flatten(0, 1)).unflatten(0, (6, 3))
        assert (places[:, 1:, 0] > places[:, :-1, 0] + 1).all()  # rows
        assert (places[:, :, 1].std(dim=1) < 1).all() and places[:, 0].std(dim=0).min() > 0.1
        at_left = places[:, :, 1] < 48
        assert at_left.all() or not at_left.any()
        sides.append(bool(at_left.all()))
        heights.append(float(varied.amax(dim=(1, 2, 3)).std()))
    assert 2 < sum(sides) < 10
    assert max(heights) < 0.02  # one colour a clip
