"""One training step: the networks, their optimizers, and how a batch changes them.

LipGAN's generator alone, or against its contrastive discriminator (section 3.2 of the paper), which judges the sync,
or against quality discriminators, which judge the picture, or against all of them; and it may have to please a sync
expert that learns nothing any more.

Nothing here waits for a GPU: whether a gradient was finite is known there, and acted upon there.
"""

import copy
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipgan_colab.device import autocast, memory_format
from lipgan_colab.errors import InputError, check_ranges
from lipgan_colab.models import losses
from lipgan_colab.models.generators import TrainedGenerator, build_generator
from lipgan_colab.models.lipgan import (
    FACE_SIZE,
    GeneratorConfig,
    LipGANDiscriminator,
    check_blocks,
    check_face_size,
)
from lipgan_colab.models.patchgan import PatchDiscriminator, lip_crops, lower_faces
from lipgan_colab.models.wav2lip import SyncExpert, lower_halves
from lipgan_colab.models.weights import SYNC_EXPERT, in_words, load_generator
from lipgan_colab.shards.dataset import REFERENCES, RUN
from lipgan_colab.training import distributed

# The quality discriminators, and what each of them looks at of faces and the masks of their lips.
QUALITY = {"quality": lambda faces, lips: lower_faces(faces), "lip_quality": lip_crops}
DECIDING = ("cuda", "cpu")  # devices whose fused optimizers are known to decide by themselves
MOST_SEED = 2**63 - 1  # that PyTorch takes
RANGES = {  # of the configuration; batch_size depends on the number of processes
    "steps": (1, math.inf),
    "width": (0.01, 16),
    **dict.fromkeys(("lip_weight", "edge_weight", "adversarial_weight", "quality_weight"), (0, 1e6)),
    **dict.fromkeys(("lip_quality_weight", "feature_weight", "sync_weight"), (0, 1e6)),
    **dict.fromkeys(("learning_rate", "clip", "sync_bound"), (0, 1e6)),
    **dict.fromkeys(("most_channels", "sync_runs"), (1, math.inf)),
    "warmup": (0, math.inf),
    "seed": (0, MOST_SEED),
    **dict.fromkeys(("ema", "augment", "balance"), (0, 1)),
}


@dataclass(frozen=True)
class TrainConfig:
    """How a run is trained; written to the run's config.json.

    Attributes:
        steps: where the run ends, and where the learning rate's cosine reaches its end.
        batch_size: samples a step, over all processes.
        width: factor on the networks' channels; 1.0 is the original, 0.5 and 0.25 suit small machines.
        most_channels: no layer of the generator has more; 128 at width 0.5 makes a file a third as big (None: as many
            as the width gives).
        face_size: width and height of the faces in pixels, which are those of the shards: 96, 192 or 288. A larger run
            best begins with the weights of one of 96 (`start_from` takes them), whose answer it learns to sharpen.
        speech: the speech feature, "mfcc" or "mel".
        blocks: what the generator is made of: "residual" and "basic" are the authors'; "convnext" has ConvNeXt blocks,
            "warp" moves the reference's own pixels, both with a speech encoder that costs little
            (see `GeneratorConfig`).
        adversarial: train against the contrastive discriminator, as in the paper.
        lip_weight: how many times as much a pixel near the lips counts in the reconstruction loss; 1 is plain L1.
        edge_weight: of the edges' error in the generator's loss, which makes sharper lips and teeth; 0 leaves it out.
        adversarial_weight: of the discriminator's verdict in the generator's loss; 0.01 is the authors'.
        quality_weight: of the quality discriminator's verdict in the generator's loss, which makes sharp mouths at the
            price of some L1, such as 0.01; 0 trains without one. For the last part of a run, when the mouths move but
            are soft.
        lip_quality_weight: the same of a second quality discriminator, which looks at nothing but the lips, enlarged.
        feature_weight: in the generator's loss, how unlike the quality discriminators' features of its faces and of the
            real ones are, for one whose verdict weighs 1; 0 leaves it out.
        sync_weight: of the sync expert's verdict in the generator's loss, as in Wav2Lip (0.03 there); 0 leaves it out.
        sync_runs: how many runs of five consecutive frames a batch then has, which the expert looks at.
        sync_bound: the expert's verdict counts once its loss on generated clips that are held out (of others, where
            nobody is) is below this.
        references: which frames are references: "informative", those in which the head is held as in the target and
            the mouth is another, or "any" (see `LipSyncDataset`).
        held_out: whom not to learn from, to measure by: none; a share of the speakers, such as 0.2; their names, with
            commas between; or auto: a few speakers, or clips where there are fewer than four.
        learning_rate: Adam's, after the warm-up.
        warmup: steps over which the learning rate rises.
        clip: a network's gradient is scaled down to this norm where it is longer; 0 leaves it alone.
        ema: decay of the moving average of the weights, which is what is exported.
        augment: which share of the samples is varied (see `augmented`), 0 to 1.
        balance: 0 draws every frame alike, 1 every speaker alike, 0.5 in between: as the roots of the speakers' frames.
        seed: of the weights, the samples and the discriminator's coin.
    """

    steps: int = 100_000
    batch_size: int = 32
    width: float = 1.0
    most_channels: int | None = None
    face_size: int = FACE_SIZE
    speech: str = "mfcc"
    blocks: str = "residual"
    adversarial: bool = False
    lip_weight: float = 6.0
    edge_weight: float = 1.0
    adversarial_weight: float = 0.01
    quality_weight: float = 0.0
    lip_quality_weight: float = 0.0
    feature_weight: float = 0.0
    sync_weight: float = 0.0
    sync_runs: int = 2
    sync_bound: float = 0.75
    references: str = "informative"
    held_out: str = "none"
    learning_rate: float = 3e-4
    warmup: int = 200
    clip: float = 1.0
    ema: float = 0.999
    augment: float = 1.0
    balance: float = 0.5
    seed: int = 0

    def __post_init__(self):
        check_ranges(self, RANGES)
        if self.references not in REFERENCES:
            raise InputError(f"`references` {self.references!r}: choose one of {', '.join(REFERENCES)}")
        if self.sync_weight and self.sync_runs * RUN > self.batch_size:
            raise InputError(
                f"`sync_runs` {self.sync_runs}: so many runs of {RUN} frames are more than a batch of {self.batch_size}"
            )
        check_face_size(self.face_size)
        check_blocks(self.blocks)
        if self.feature_weight and not (self.quality_weight or self.lip_quality_weight):
            raise InputError(
                "`feature_weight`: there are features where there is `quality_weight` or `lip_quality_weight`"
            )


def quick_try(steps: int = 450) -> TrainConfig:
    """A small network for a first look: of few clips of one or two drawn people it makes faces that speak, in a minute
    or two of a CPU's core. It learns fast and by heart, so it is good for nobody else."""
    return TrainConfig(
        steps=steps,
        batch_size=8,
        width=0.25,
        blocks="warp",  # a quarter of residual's error in an eighth of its time
        lip_weight=12,
        edge_weight=0,
        learning_rate=3e-3,
        warmup=20,
        ema=0.98,
        augment=0.0,
    )


@dataclass
class Networks:
    """Everything that training changes.

    Attributes:
        average: moving average of the generator.
        discriminator: the contrastive one, which judges the sync.
        quality: the quality discriminator, which judges the picture's lower half.
        lip_quality: the one that judges the lips.
        scaler: keeps small gradients from vanishing in float16; does nothing in the other types.
        expert: the sync expert, which is no part of the state.
        sync_counts: whether its verdict counts yet.
        pleased: fingerprints of the experts that the generator has been trained to please.
        dtype: what the networks compute in.
    """

    generator: TrainedGenerator
    average: TrainedGenerator
    generator_optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    discriminator: LipGANDiscriminator | None = None
    discriminator_optimizer: torch.optim.Optimizer | None = None
    quality: PatchDiscriminator | None = None
    quality_optimizer: torch.optim.Optimizer | None = None
    lip_quality: PatchDiscriminator | None = None
    lip_quality_optimizer: torch.optim.Optimizer | None = None
    expert: SyncExpert | None = None
    sync_counts: bool = False
    pleased: list[str] = field(default_factory=list)
    dtype: torch.dtype = torch.float32
    _statistics: list[Tensor] = field(default_factory=list, repr=False)
    _unchanged: bool = False  # within a step: no weight has been changed yet

    def state(self) -> dict:
        """All states as plain data."""
        states = {name: part.state_dict() for name, part in self._learning()}
        return states | {"sync_counts": self.sync_counts, "pleased": list(self.pleased)}

    def load(self, state: dict) -> None:
        """Take over the states that `state` gave. A scaler's is left out where either side has none in use, and a
        quality discriminator begins anew where there was none, as in runs begun before there was such a thing."""
        optional = ("scaler", *QUALITY, *(f"{name}_optimizer" for name in QUALITY))
        for name, part in self._learning():
            if name not in optional or state.get(name):
                part.load_state_dict(state[name])
        self.sync_counts, self.pleased = bool(state.get("sync_counts", False)), list(state.get("pleased", []))

    def _learning(self) -> list[tuple[str, Any]]:
        """All parts that training changes, with their names."""
        return [(n, part) for n, part in vars(self).items() if hasattr(part, "state_dict") and n != "expert"]

    def compile(self) -> None:
        """Have PyTorch compile the networks, in place."""
        for network in (self.generator, self.discriminator, self.quality, self.lip_quality):
            if network is not None:
                network.compile()

    def begin_step(self) -> None:
        """Keep the batch norms' running statistics, which the forward pass changes."""
        self._statistics = self._statistics or [b.clone() for b in self.generator.buffers()]
        _copy(self._statistics, self.generator.buffers())
        self._unchanged = True

    def restore_statistics(self, kept: Tensor) -> None:
        """Undo what the forward pass has done to them, but where `kept`, a scalar on the device, is true."""
        now = list(self.generator.buffers())
        for floating in (True, False):
            new, old = ([b for b in of if b.is_floating_point() == floating] for of in (now, self._statistics))
            if not new:
                continue  # a network without batch norms
            # All in one: a choice for each of hundreds of small tensors would take the GPU longer than the step.
            chosen = torch.where(kept, *(torch.cat([b.reshape(-1) for b in of]) for of in (new, old)))
            parts = chosen.split([b.numel() for b in new])
            torch._foreach_copy_(new, [part.view_as(b) for part, b in zip(parts, new, strict=True)])

    def roll_back(self) -> bool:
        """Undo a step that an error broke off; False where half of it was done, which cannot be undone."""
        if self._unchanged:
            _copy(self.generator.buffers(), self._statistics)
        return self._unchanged


def generator_config(config: TrainConfig) -> GeneratorConfig:
    """The generator that a run trains."""
    return GeneratorConfig(config.width, config.speech, config.blocks, config.most_channels, config.face_size)


def build_networks(config: TrainConfig, device: torch.device, dtype: torch.dtype = torch.float32) -> Networks:
    """The networks and optimizers of a run at step 0; the same for the same seed."""
    torch.manual_seed(config.seed)
    generator = build_generator(generator_config(config))
    generator.to(device, memory_format=memory_format(device))
    average = copy.deepcopy(generator).eval().requires_grad_(False)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    generator = distributed.synchronise_batch_norms(generator)
    networks = Networks(generator, average, _adam(generator, config), scaler, dtype=dtype)
    if config.adversarial:
        networks.discriminator = LipGANDiscriminator(config.width, config.speech)
        networks.discriminator.to(device, memory_format=memory_format(device))
        networks.discriminator_optimizer = _adam(networks.discriminator, config)
    for name in QUALITY:
        if getattr(config, f"{name}_weight"):
            judge = PatchDiscriminator().to(device, memory_format=memory_format(device))
            setattr(networks, name, judge)
            setattr(networks, f"{name}_optimizer", _adam(judge, config, betas=(0.5, 0.99)))
    return networks


def start_from_weights(networks: Networks, source: str | Path) -> None:
    """Give a new run's generator, and its average, the weights of another; one of larger faces takes those of 96 pixels
    for its inner network, and its `OuterStages` begin anew.

    Raises:
        InputError: they are no generator of this width and speech feature.
    """
    weights = load_generator(source)
    check_start(weights, networks.generator.config, source)
    networks.pleased = list(getattr(weights, "about", {}).get(SYNC_EXPERT, []))
    for network in (networks.generator, networks.average):
        network.load_state_dict(network.state_dict() | weights.state_dict())


def check_start(weights: nn.Module, wanted: GeneratorConfig, source: str | Path) -> None:
    """InputError where a generator of this kind cannot begin with weights that were loaded from a source."""
    if not isinstance(weights, TrainedGenerator):
        raise InputError(f"{source}: is no LipGAN generator, but {in_words(weights)}; give other weights")
    if weights.config not in (wanted, replace(wanted, face_size=FACE_SIZE)):
        theirs, ours = asdict(weights.config), asdict(wanted)
        differences = ", ".join(f"{n} is {theirs[n]} there and {ours[n]} here" for n in ours if theirs[n] != ours[n])
        raise InputError(f"{source}: does not fit the run: {differences}; set the same, or give other weights")


def _adam(network: nn.Module, config: TrainConfig, betas=(0.9, 0.999)) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), config.learning_rate, betas, fused=True)


def learning_rate_factor(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then half a cosine down to a hundredth at the last step."""
    warm = min(1.0, (step + 1) / max(1, warmup))
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps)))))


def generator_input(reference: Tensor, target: Tensor) -> Tensor:
    """LipGAN's six channels (B, 6, H, W): the reference face, and the target with its lower half zeroed."""
    masked = target.clone()
    masked[:, :, target.shape[2] // 2 :] = 0
    return torch.cat([reference, masked], dim=1)


def train_step(networks: Networks, batch: dict[str, Tensor], config: TrainConfig, step: int) -> dict[str, Tensor]:
    """One update of the generator and, before it, of the discriminators that it is trained against.

    A network whose gradient is not finite is left as it was, and the average with it: one bad batch, or one overflow
    in float16, must not ruin a run.

    Args:
        networks: changed in place.
        batch: of LipSyncDataset, as `shards.augmentation.augmented` makes it; with several processes this one's slice.
        config: of the run.
        step: decides the learning rate and the discriminator's coin.

    Returns:
        The losses, the generator's `grad_norm` before clipping, and `skipped` (1 where a gradient was not finite; the
        losses then mean nothing): each a scalar tensor on the device.
    """
    device, exact = batch["target"].device, next(networks.generator.parameters()).dtype
    batch = {name: value.to(exact) if value.is_floating_point() else value for name, value in batch.items()}
    reference, target, lips, speech = (batch[name] for name in ("reference", "target", "lips", "speech"))
    for part in vars(networks).values():
        if isinstance(part, torch.optim.Optimizer):
            for group in part.param_groups:
                group["lr"] = config.learning_rate * learning_rate_factor(step, config.steps, config.warmup)

    networks.begin_step()
    with autocast(device, networks.dtype):
        generated = networks.generator(generator_input(reference, target), speech)
    loss, reported = _reconstruction(generated, target, lips, config)
    finite = []  # of each network, whether its gradient was
    if networks.discriminator is not None:
        judged, good = _discriminator_step(networks, generated.detach(), target, batch, config, step)
        finite.append(good)
        with _frozen(networks.discriminator), autocast(device, networks.dtype):
            distance = networks.discriminator(generated, speech)
        judged["adversarial"] = losses.contrastive_for(distance, in_sync=True)
        loss, reported = loss + config.adversarial_weight * judged["adversarial"], reported | judged
    for name, view in QUALITY.items():
        if getattr(networks, name) is None:
            continue
        fake, real = view(generated, lips), view(target, lips)
        judged, good = _quality_step(networks, name, fake.detach(), real, config)
        finite.append(good)
        pleased, judged_by = _pleasing(networks, name, fake, real, config)
        loss, reported = loss + getattr(config, f"{name}_weight") * pleased, reported | judged | judged_by
    if networks.expert is not None and networks.sync_counts:
        reported["sync"] = sync_loss(networks, generated, batch["run_speech"])
        loss = loss + config.sync_weight * reported["sync"]
    good, reported["grad_norm"] = _update(networks, networks.generator, networks.generator_optimizer, loss, config)
    networks.scaler.update()
    networks.restore_statistics(kept=good)
    networks._unchanged = False
    _update_average(networks.average, networks.generator, (1 - min(config.ema, (1 + step) / (10 + step))) * good)
    reported["skipped"] = (~torch.stack([*finite, good]).all()).float()
    return {name: value.detach() for name, value in reported.items()}


def sync_loss(networks: Networks, generated: Tensor, run_speech: Tensor) -> Tensor:
    """How far a batch's generated runs (see `dataset.run_places`) are from their speech, says the sync expert.

    Args:
        networks: has an expert.
        generated: (B, 3, S, S) in [0, 1].
        run_speech: (R, 1, 80, 16), of the R runs among them.
    """
    if generated.shape[2] > FACE_SIZE:
        generated = F.interpolate(generated, (FACE_SIZE, FACE_SIZE), mode="area")
    runs = generated.unflatten(0, (len(run_speech), -1))[:, :RUN].transpose(1, 2)  # (R, 3, RUN, S, S)
    with autocast(generated.device, networks.dtype):
        lips, sounds = networks.expert(lower_halves(runs), run_speech)
    return losses.sync(lips, sounds)


@torch.no_grad()
def measure(networks: Networks, batch: dict[str, Tensor]) -> dict[str, float]:
    """How well the averaged generator does on a batch of `augmented` runs: l1, and sync where there is an expert."""
    with autocast(batch["target"].device, networks.dtype):
        generated = networks.average(generator_input(batch["reference"], batch["target"]), batch["speech"])
    found = {"l1": losses.l1(generated, batch["target"])}
    if networks.expert is not None:
        found["sync"] = sync_loss(networks, generated, batch["run_speech"])
    return {name: float(value) for name, value in found.items()}


def _reconstruction(
    generated: Tensor, target: Tensor, lips: Tensor, config: TrainConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """How unlike the target the generated faces are: the loss, and what it is made of."""
    weights = losses.lip_weights(lips, config.lip_weight)
    loss = losses.weighted_l1(generated, target, weights)
    reported = {"l1": losses.l1(generated, target), "weighted_l1": loss}
    if config.edge_weight:
        reported["edges"] = losses.edge_l1(generated, target, weights)
        loss = loss + config.edge_weight * reported["edges"]
    return loss, reported


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Gradients pass through the network, but its weights get none."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _discriminator_step(
    networks: Networks, generated: Tensor, target: Tensor, batch: dict, config: TrainConfig, step: int
) -> tuple[dict[str, Tensor], Tensor]:
    """Real faces with their own speech are to be near; a coin decides what is to be far: generated faces with that
    speech, or real ones with another's (section 3.2.2 and the authors' train.py)."""
    coin = np.random.default_rng((config.seed, step, 1)).random() < 0.5
    faces, speech = (generated, batch["speech"]) if coin else (target, batch["unsynced_speech"])
    with autocast(target.device, networks.dtype):
        far = networks.discriminator(faces, speech)
        near = networks.discriminator(target, batch["speech"])
    far_loss = losses.contrastive_for(far, in_sync=False)
    near_loss = losses.contrastive_for(near, in_sync=True)
    loss = far_loss + near_loss
    good, _ = _update(networks, networks.discriminator, networks.discriminator_optimizer, loss, config)
    return {"disc_fake" if coin else "disc_unsynced": far_loss, "disc_synced": near_loss}, good


def _quality_step(
    networks: Networks, name: str, fake: Tensor, real: Tensor, config: TrainConfig
) -> tuple[dict[str, Tensor], Tensor]:
    """A quality discriminator learns to tell this batch's generated pictures from the real ones."""
    judge, optimizer = getattr(networks, name), getattr(networks, f"{name}_optimizer")
    with autocast(real.device, networks.dtype):
        verdicts = judge(torch.cat([fake, real]))
    loss = losses.gan_loss(False, verdicts[: len(fake)]) + losses.gan_loss(True, verdicts[len(fake) :])
    good, _ = _update(networks, judge, optimizer, loss, config)
    return {f"{name}_judge": loss}, good


def _pleasing(
    networks: Networks, name: str, fake: Tensor, real: Tensor, config: TrainConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """What the generator has to make less to please a quality discriminator, and what that is made of."""
    judge = getattr(networks, name)
    with _frozen(judge), autocast(real.device, networks.dtype):
        seen = judge.features(fake)
        known = judge.features(real) if config.feature_weight else []
    loss = losses.gan_loss(True, seen[-1])
    reported = {name: loss}
    if config.feature_weight:
        reported[f"{name}_features"] = losses.feature_matching(seen[:-1], known[:-1])
        loss = loss + config.feature_weight * reported[f"{name}_features"]
    return loss, reported


def _update(
    networks: Networks, network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, config: TrainConfig
) -> tuple[Tensor, Tensor]:
    """One step down a loss, unless its gradient is not finite; returns whether it is, and its norm: both scalars on the
    device, where this is decided."""
    optimizer.zero_grad(set_to_none=True)
    networks.scaler.scale(loss).backward()
    distributed.average_gradients(network.parameters())
    networks.scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip or math.inf)
    finite = norm.isfinite()
    networks._unchanged = False
    if norm.device.type in DECIDING:  # what PyTorch's scaler has a fused optimizer do nothing by
        optimizer.found_inf = (~finite).float()
        optimizer.step()
    elif finite:
        optimizer.step()
    return finite, norm


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, share: Tensor) -> None:
    """Move the average of the weights and of the batch norms' statistics towards the network by a share of the way, a
    scalar on the device; where that is 0, nothing changes."""
    pairs = list(zip(average.state_dict().values(), network.state_dict().values(), strict=True))
    averaged = [old for old, _ in pairs if old.is_floating_point()]
    steps = torch._foreach_sub([new for old, new in pairs if old.is_floating_point()], averaged)
    torch._foreach_mul_(steps, share)
    torch._foreach_add_(averaged, steps)
    _copy(
        [old for old, _ in pairs if not old.is_floating_point()],
        [new for old, new in pairs if not old.is_floating_point()],
    )


def _copy(to: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    """Put values into tensors, all in one; there may be none, as in a network without batch norms."""
    to, values = list(to), list(values)
    if to:
        torch._foreach_copy_(to, values)
