"""What a network's answers are owed to, place by place of its input; and whether such a map tells of what was learnt.

Occlusion (Zeiler and Fergus, ECCV 2014) takes a part of the input away and looks at what changes. Integrated gradients
(Sundararajan, Taly and Yan, ICML 2017) share out the change between an input and one that says nothing among all its
values; they are captum's. A map that a network of random weights has as well is of the input, not of what was learnt
(Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018).
"""

import copy
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

AT_ONCE = 40  # samples that a network answers at once

Judged = Callable[..., Tensor]  # inputs (N, ...) to what is asked of each sample, (N, K)


def has_captum() -> bool:
    """Whether captum can be imported, which integrated gradients need."""
    return find_spec("captum") is not None


def slots(count: int, width: int) -> list[slice]:
    """Neighbouring parts of so many places, each `width` wide, the last one perhaps narrower."""
    return [slice(start, min(start + width, count)) for start in range(0, count, width)]


@torch.no_grad()
def occlusion(
    judged: Judged, inputs: tuple[Tensor, ...], baselines: tuple[Tensor, ...], which: int, regions: list[tuple]
) -> Tensor:
    """How what is asked changes when a region of an input is taken away: (regions, N, K).

    Args:
        judged: called with the inputs; those but `which` may then be of fewer samples, which are to be repeated.
        inputs: (N, ...) each.
        baselines: the same without anything to see or hear; what stands in an occluded region.
        which: of the inputs is occluded.
        regions: indices into one sample of that input.
    """
    whole = judged(*inputs)
    count, changes = len(whole), []
    for some in _portions(regions, max(1, AT_ONCE // count)):
        changed = inputs[which].repeat(len(some), *[1] * (inputs[which].dim() - 1))
        for n, region in enumerate(some):
            place = (slice(n * count, (n + 1) * count), *region)
            changed[place] = baselines[which][(slice(None), *region)]
        answers = judged(*inputs[:which], changed, *inputs[which + 1 :])
        changes += list(answers.reshape(len(some), count, -1) - whole)
    return torch.stack(changes)


def _portions(regions: list[tuple], size: int) -> Iterator[list[tuple]]:
    for part in slots(len(regions), size):
        yield regions[part]


def integrated_gradients(
    judged: Judged, inputs: tuple[Tensor, ...], baselines: tuple[Tensor, ...], asked: int, steps: int, together: int = 1
) -> tuple[tuple[Tensor, ...], float]:
    """How much each value of the inputs adds to what is asked, on the straight way from the baselines.

    Args:
        judged, inputs, baselines: as of `occlusion`.
        asked: which of the K answers.
        steps: of the Gauss-Legendre rule, between the baselines and the inputs.
        together: so many neighbouring samples share an answer.

    Returns:
        Of each input the parts, in its shape; and how far their sum is from the whole change (completeness), relative
        to it: 0 is exact. nan where nothing changes.
    """
    from captum.attr import IntegratedGradients  # here, because it is optional

    method = IntegratedGradients(lambda *given: judged(*given)[:, asked] / together)
    parts = method.attribute(inputs, baselines, n_steps=steps, internal_batch_size=len(inputs[0]))
    parts = tuple(part.detach() for part in parts)
    with torch.no_grad():
        change = (judged(*inputs) - judged(*baselines))[::together, asked]
    added = sum(part.flatten(1).sum(1) for part in parts).reshape(-1, together).sum(1)
    size = float(change.abs().sum())
    return parts, float((added - change).abs().sum()) / size if size > 0 else float("nan")


def untaught(network: nn.Module, seed: int) -> nn.Module:
    """A copy that has learnt nothing: all its weights drawn anew, those of each tensor as large as they were."""
    blank, drawn = copy.deepcopy(network), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in blank.parameters():
            size = weight.float().square().mean().sqrt()
            weight.copy_(torch.randn(weight.shape, generator=drawn).to(weight) * size)
    return blank


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of the magnitudes in two maps of one shape: 1 where they rank all places alike, 0 where
    one of them is the same everywhere. Places that are nan in one of them do not count."""
    both = np.isfinite(a) & np.isfinite(b)
    x, y = (rankdata(np.abs(m[both])) for m in (a, b))
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])
