"""Losses: of reconstruction (plain, lip-weighted, edges), sync (contrastive, matching, sync), quality (gan_loss)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def l1(generated: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of two image batches (B, 3, H, W) (equation 1 of the LipGAN paper)."""
    return (generated - target).abs().mean()


def lip_weights(lips: Tensor, weight: float) -> Tensor:
    """Pixel weights from lip masks: `weight` where the lips are against 1 elsewhere, scaled to a mean of 1 per sample.

    Args:
        lips: masks (B, 1, H, W) in [0, 1].
        weight: how many times as much a lip pixel counts as any other; 1 is plain L1.

    Returns:
        (B, 1, H, W), mean 1 over each sample, so that losses with different weights stay comparable.
    """
    weights = 1 + (weight - 1) * lips
    return weights / weights.mean(dim=(1, 2, 3), keepdim=True)


def weighted_l1(generated: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """L1 with pixel weights (B, 1, H, W) of mean 1."""
    return ((generated - target).abs() * weights).mean()


def edge_l1(generated: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """L1 of the differences between neighbouring pixels, with pixel weights (B, 1, H, W) of mean 1.

    Plain L1 hardly notices a blur: lips and teeth are few pixels. Here what counts is how the picture changes from
    pixel to pixel (the gradient difference loss of Mathieu, Couprie and LeCun, "Deep multi-scale video prediction
    beyond mean square error", ICLR 2016, equation 6 with alpha 1, but with signs).
    """
    error = generated - target
    down, across = error.diff(dim=2) * weights[:, :, 1:], error.diff(dim=3) * weights[..., 1:]
    return down.abs().mean() + across.abs().mean()


def contrastive(distance: Tensor, unsynced: Tensor, margin: float = 1.0) -> Tensor:
    """Contrastive loss of the discriminator's distances (Hadsell et al. 2006; equation 2 of the LipGAN paper).

    Args:
        distance: (B,), 0 or more.
        unsynced: (B,) or a scalar: 0 for real and in sync, 1 for generated or out of sync.
        margin: unsynced pairs further apart than this cost nothing.
    """
    return ((1 - unsynced) * distance.square() + unsynced * (margin - distance).clamp_min(0).square()).mean()


def contrastive_for(distance: Tensor, in_sync: bool) -> Tensor:
    """`contrastive` for a batch that is in sync (or meant to look so) as a whole, or out of sync as a whole."""
    return contrastive(distance, torch.zeros_like(distance) if in_sync else torch.ones_like(distance))


def matching(lips: Tensor, sounds: Tensor, scale: float = 16.0) -> Tensor:
    """How badly each of a batch's lips finds its own sound among all of them, and each sound its lips.

    Cross entropy of their cosines, both ways (Chung, Chung and Kang, "Perfect match: improved cross-modal embeddings
    for audio-visual synchronisation", ICASSP 2019, section 2.2, with all others of the batch to choose from).

    Args:
        lips, sounds: (N, D) of unit length; row n of both belong together.
        scale: on the cosines, before the softmax.
    """
    scores, own = scale * lips @ sounds.T, torch.arange(len(lips), device=lips.device)
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


def sync(lips: Tensor, sounds: Tensor) -> Tensor:
    """How far lips are from their own sounds: the negative logarithm of their cosines (Prajwal et al., "A lip sync
    expert is all you need for speech to lip generation in the wild", ACM Multimedia 2020, equations 1 and 2).

    Args:
        lips, sounds: (N, D) of unit length, without negative values; row n of both belong together.
    """
    return -(lips * sounds).sum(dim=1).clamp_min(1e-4).log().mean()


def gan_loss(real: bool, verdict: Tensor) -> Tensor:
    """Logistic loss of a discriminator's logits for pictures that are real (or meant to look so), or that are generated
    (Goodfellow et al., "Generative adversarial nets", NIPS 2014; the generator's is the non-saturating one)."""
    return F.softplus(-verdict if real else verdict).mean()


def feature_matching(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """How unlike a discriminator's features of generated and of real pictures are: mean absolute difference of each
    stage (Wang et al., "High-resolution image synthesis and semantic manipulation with conditional GANs", CVPR 2018,
    equation 4)."""
    return torch.stack([l1(one, other.detach()) for one, other in zip(fake, real, strict=True)]).mean()
