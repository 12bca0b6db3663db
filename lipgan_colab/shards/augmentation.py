"""How training faces are varied: a few people become many, and no trace of the mouth is left but speech.

A batch at a time, on the device that trains: reading pictures is enough work for the few cores that feed it. What is
done to a sample depends on nothing but the numbers that its `lots` hold, which the dataset draws for it. Nothing here
makes the processor wait for the device.
"""

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

PAINTED_OVER = 0.4  # of the references, when varied, have their mouths hidden
FIELD = 5  # a face is bent by a field of so many random pushes each way
UNIFORM, NORMAL = 28, 2 * FIELD**2 + 2  # how many numbers a sample's lots are: in [0, 1), and standard normal ones
RUN_FRAMING = slice(11, 15)  # those of a run's uniform numbers that frame it
ANGLES = 24  # from which a mouth's hull is looked at
COARSE = 24  # cells each way, in which skin is spread out
USUAL = ((0.3, 0.68), (0.7, 0.68), (0.7, 0.9), (0.3, 0.9))  # corners of where lips usually are
TEETH = (((1.0,),), ((0.95,),), ((0.88,),))  # their red, green and blue


def drawn_lots(rng: np.random.Generator) -> np.ndarray:
    """The numbers (UNIFORM + NORMAL,) by which `augmented` varies a sample."""
    return np.concatenate([rng.random(UNIFORM, np.float32), rng.standard_normal(NORMAL, np.float32)])


def augmented(batch: dict[str, Tensor], augment: float = 1.0) -> dict[str, Tensor]:
    """A batch of the dataset as the networks see it: its faces varied, and the lips marked.

    Args:
        batch: of `LipSyncDataset`, on the device that is to do it.
        augment: of which share of the samples (0 to 1) the faces are varied: half of them mirrored, exposure, contrast,
            tint and shape changed (both frames alike), and the mouths of some references painted over. Unless it is 0,
            each frame of all samples is shifted, scaled and turned by itself (see `_jittered`).

    Returns:
        reference, target: float32 (B, 3, S, S) in [0, 1], RGB, channels last in memory.
        lips: float32 (B, 1, S, S), 1 where the target's lips are and around them.
        And all else that was in the batch, but for what was used up: reference_lips and lots.
    """
    rest = {name: value for name, value in batch.items() if name not in ("reference_lips", "lots")}
    reference, target = (batch[name].float() / 255 for name in ("reference", "target"))
    size = target.shape[2]
    lips = mouth_region(batch["lips"], size)
    if augment:
        lots = _Lots(batch["lots"])
        varied = lots.chance(augment)
        gain, gamma = _recolouring(lots)
        painted = _painted_over(lots, reference, batch["reference_lips"])
        reference = torch.where(varied & lots.chance(PAINTED_OVER), painted, reference)
        same, shape = _same_shape(size, target), _new_shape(lots, size)
        shape = torch.where(varied, shape, same)
        mirrored = varied & lots.chance(0.5)
        framings = [_jittered(lots, shape) for _ in range(2)]
        framings = [torch.where(mirrored, framing.flip(2), framing) for framing in framings]
        reference, target = (
            torch.where(varied, picture.clamp_min(0) ** gamma * gain, picture).clamp(0, 1)
            for picture in (reference, target)
        )
        reference = _taken(reference, framings[0])
        target, lips = _taken(torch.cat([target, lips], dim=1), framings[1]).split([3, 1], dim=1)
    reference, target = (x.contiguous(memory_format=torch.channels_last) for x in (reference, target))
    return rest | {"reference": reference, "target": target, "lips": lips.contiguous()}


def run_lots(rng: np.random.Generator, runs: int) -> np.ndarray:
    """The numbers (runs, UNIFORM + NORMAL) by which `augmented_runs` varies some runs of one clip: all alike, but for
    where the frame is."""
    lots = np.tile(drawn_lots(rng), (runs, 1))
    lots[:, RUN_FRAMING] = rng.random((runs, 4), np.float32)
    return lots


def augmented_runs(faces: Tensor, lots: Tensor) -> Tensor:
    """The lower halves of runs of frames, varied as `augmented` varies faces, but with nothing painted over; what is
    done to a run is done to all of its frames alike.

    Args:
        faces: uint8 (M, F, 3, S, S), RGB.
        lots: (M, UNIFORM + NORMAL) of `run_lots`.

    Returns:
        float32 (M, 3 F, S / 2, S) in [0, 1], frame after frame.
    """
    lots, size = _Lots(lots), faces.shape[3]
    gain, gamma = _recolouring(lots)
    shape, mirrored = _new_shape(lots, size), lots.chance(0.5)
    framing = _jittered(lots, shape)[:, size // 2 :]
    coloured = ((faces.float() / 255) ** gamma[:, None] * gain[:, None]).clamp(0, 1)
    return _taken(coloured.flatten(1, 2), torch.where(mirrored, framing.flip(2), framing))


class _Lots:
    """Takes a batch's random numbers (B, UNIFORM + NORMAL) one after the other, as (B, 1, 1, 1) or (B, 1, 1, n)."""

    def __init__(self, lots: Tensor):
        self._uniform, self._normal = lots[:, None, None].float().split([UNIFORM, NORMAL], dim=3)

    def between(self, low: float, high: float, count: int = 1) -> Tensor:
        taken, self._uniform = self._uniform.tensor_split([count], dim=3)
        return low + (high - low) * taken

    def chance(self, share: float) -> Tensor:
        return self.between(0, 1) < share

    def normal(self, count: int) -> Tensor:
        taken, self._normal = self._normal.tensor_split([count], dim=3)
        return taken


def _recolouring(lots: _Lots) -> tuple[Tensor, Tensor]:
    """Gain (B, 3, 1, 1) and gamma (B, 1, 1, 1), within what light and cameras do to a face."""
    gamma = lots.between(-0.35, 0.35).exp()
    gain = (lots.between(-0.25, 0.15) + lots.between(-0.12, 0.12, 3)).exp()
    return gain.transpose(1, 3), gamma


def mouth_region(points: Tensor, size: int) -> Tensor:
    """The mouths in crops: the lips' hulls, grown by a 24th of the crop and softened, float32 (B, 1, size, size) in
    [0, 1]; what `faces.geometry.lip_region` draws.

    Args:
        points: (B, L, 2) lip landmarks in [0, 1]; nan (no landmarks) gives the place where lips usually are.
        size: of the crops in pixels.
    """
    usual = _constant(USUAL, points.device).repeat(-(-points.shape[1] // 4), 1)[: points.shape[1]]
    points = torch.where(points.isfinite().all(dim=2).all(dim=1)[:, None, None], points, usual)
    angles = torch.arange(ANGLES, device=points.device) * (2 * math.pi / ANGLES)
    looks = torch.stack([angles.cos(), angles.sin()])
    # As far as the farthest point goes in each direction, so far goes the hull. Half the resolution does: it is soft.
    half = -(-size // 2)
    across = (torch.arange(half, device=points.device) + 0.5) / half
    places = torch.stack(torch.meshgrid(across, across, indexing="xy"), dim=2)
    beyond = places @ looks - (points @ looks).amax(dim=1)[:, None, None]
    distance = size * beyond.amax(dim=3)[:, None]
    region = _soft(size // 24 - distance, size / 48)
    return F.interpolate(region, (size, size), mode="bilinear")


@cache
def _constant(values: tuple, device: torch.device) -> Tensor:
    """Numbers on a device, brought there once: to bring them is to wait for it."""
    return torch.tensor(values, device=device)


def _soft(inside: Tensor, sigma: float) -> Tensor:
    """An edge blurred by a Gaussian: 0 to 1, by how many pixels inside of it one is."""
    return 0.5 + 0.5 * torch.erf(inside / (math.sqrt(2) * sigma))


def _painted_over(lots: _Lots, faces: Tensor, points: Tensor) -> Tensor:
    """Faces (B, 3, S, S) whose mouths are gone under skin, with or without a broad smile drawn there instead.

    A network that has seen the mouths of few people copies an unknown one, smile and all. From such references it
    learns that only the speech tells how the mouth is to be.

    Args:
        lots: decide how.
        faces: in [0, 1].
        points: (B, L, 2) lip landmarks in [0, 1]; nan where there are none, and the face is left as it is.
    """
    size = faces.shape[2]
    known = points.isfinite().all(dim=2).all(dim=1)[:, None, None, None]
    points = points.nan_to_num(0.5)
    painted = _without_mouth(faces, mouth_region(points, size))
    low, high = points.amin(dim=1), points.amax(dim=1)
    middle = ((low + high) / 2 * size)[:, None, None] + lots.normal(2) * (size / 60)
    wide = (high - low)[:, None, None, :1] / 2 * size * lots.between(0.8, 1.5)
    high = size * lots.between(0.03, 0.08)
    bend, opening = lots.between(-0.2, 0.8) * high, lots.between(0.3, 0.75)
    x, y = (points[:, 0] * size).long().clamp(0, size - 1).unbind(dim=1)
    lips = faces[torch.arange(len(faces), device=x.device), :, y, x][..., None, None] * lots.between(0.6, 1.0)
    teeth = lots.between(60 / 255, 240 / 255) * _constant(TEETH, faces.device)
    smiling = painted
    for part, colour in ((1.0, lips), (opening, teeth)):
        there = _mouth_shape(size, middle, wide * (0.5 + part / 2), part * high, bend)
        smiling = smiling + there * (colour - smiling)
    return torch.where(known, torch.where(lots.chance(0.7), smiling, painted), faces).clamp(0, 1)


def _without_mouth(faces: Tensor, mouths: Tensor) -> Tensor:
    """Faces with the skin around their mouths (B, 1, S, S, in [0, 1]) spread over them, as far as a tenth of a face."""
    skin = F.adaptive_avg_pool2d(torch.cat([faces * (1 - mouths), 1 - mouths], dim=1), COARSE)
    apart = torch.arange(COARSE, device=faces.device, dtype=torch.float32)
    near = torch.exp(-((apart - apart[:, None]) / (COARSE / 10)).square() / 2)
    near = near / near[COARSE // 2].sum()
    skin = near @ skin @ near
    skin = skin[:, :3] / (skin[:, 3:] + 1e-3)
    return torch.lerp(faces, F.interpolate(skin, faces.shape[2:], mode="bilinear"), mouths)


def _mouth_shape(size: int, middle: Tensor, wide: Tensor, high: Tensor, bend: Tensor) -> Tensor:
    """Softly drawn ellipses (B, 1, size, size), bent to smiles where bend > 0: the corners lie so many pixels above the
    middle. Everything else is (B, 1, 1, 1), but for the middles (B, 1, 1, 2)."""
    pixels = torch.arange(size, device=middle.device) + 0.5
    across = (pixels - middle[..., :1]) / wide
    down = pixels[:, None] - middle[..., 1:] - (bend * (1 - across.square()) - bend / 2)
    radius = (across.square() + (down / high).square()).sqrt().clamp_min(1e-3)
    slope = ((across / wide).square() + (down / high.square()).square()).sqrt().clamp_min(1e-3) / radius
    return _soft((1 - radius) / slope, 0.8)


def _same_shape(size: int, like: Tensor) -> Tensor:
    """Where every pixel of a face is taken from where it is: (1, size, size, 2), pixels from the middle."""
    across = torch.arange(size, device=like.device, dtype=torch.float32) - (size - 1) / 2
    return torch.stack(torch.meshgrid(across, across, indexing="xy"), dim=2)[None]


def _new_shape(lots: _Lots, size: int) -> Tensor:
    """Where the pixels of faces of other shapes are taken from, (B, size, size, 2): a few people become many.

    Height and width change by up to 10 % each, the head turns by up to 6 degrees, and a smooth random field moves
    features by some pixels more.
    """
    turn, stretch = lots.between(-6, 6), 1 + lots.between(-0.1, 0.1, 2)
    pushes = lots.normal(2 * FIELD**2).unflatten(3, (2, FIELD, FIELD))[:, 0, 0] * (size / 60)
    bent = F.interpolate(pushes, (size, size), mode="bicubic").permute(0, 2, 3, 1)
    grid = _turned(_same_shape(size, pushes) * stretch, turn)
    return grid + bent + lots.between(-size / 32, size / 32, 2)


def _jittered(lots: _Lots, where: Tensor) -> Tensor:
    """The same places, a little shifted (1/48 of the crop), scaled (2 %) and turned (1.5 degrees).

    Landmarks, and so boxes, move a little with the mouth. A network finds that out, and reads the lips off the framing
    of the target instead of listening: a third of a pixel was enough. More than that noise would be too much: it
    would unlearn to take skin and teeth from the place where the reference has them.
    """
    size = where.shape[1]
    turned = _turned(where, lots.between(-1.5, 1.5)) * (1 + lots.between(-0.02, 0.02))
    return turned + lots.between(-size / 48, size / 48, 2)


def _turned(places: Tensor, degrees: Tensor) -> Tensor:
    """Places (B, S, S, 2) turned around the middle by (B, 1, 1, 1)."""
    cos, sin = (degrees * (math.pi / 180)).cos(), (degrees * (math.pi / 180)).sin()
    x, y = places.split(1, dim=3)
    return torch.cat([cos * x + sin * y, cos * y - sin * x], dim=3)


def _taken(pictures: Tensor, where: Tensor) -> Tensor:
    """Pictures (B, C, S, S) in [0, 1] whose pixels are taken from places (B, H, W, 2), in pixels from the middle."""
    return F.grid_sample(pictures, where * (2 / pictures.shape[3]), "bicubic", "border", align_corners=False).clamp(
        0, 1
    )
