"""One training step: the networks, their optimizers, and how a batch changes them.

LipGAN's generator alone, or against its contrastive discriminator (section 3.2 of the paper), which judges the sync,
or against the quality discriminator, which judges the picture, or against both.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lipgan_colab.device import autocast, memory_format
from lipgan_colab.errors import InputError, check_ranges
from lipgan_colab.models import losses
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANDiscriminator, LipGANGenerator
from lipgan_colab.models.patchgan import PatchDiscriminator
from lipgan_colab.models.weights import load_generator
from lipgan_colab.training import distributed

RANGES = {  # of the configuration; batch_size depends on the number of processes
    "steps": (1, math.inf),
    "width": (0.01, 16),
    **dict.fromkeys(("lip_weight", "edge_weight", "adversarial_weight", "quality_weight"), (0, 1e6)),
    **dict.fromkeys(("learning_rate", "clip"), (0, 1e6)),
    **dict.fromkeys(("warmup", "seed"), (0, math.inf)),
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
        speech: the speech feature, "mfcc" or "mel".
        adversarial: train against the contrastive discriminator, as in the paper.
        lip_weight: how many times as much a pixel near the lips counts in the reconstruction loss; 1 is plain L1.
        edge_weight: of the edges' error in the generator's loss, which makes sharper lips and teeth; 0 leaves it out.
        adversarial_weight: of the discriminator's verdict in the generator's loss; 0.01 is the authors'.
        quality_weight: of the quality discriminator's verdict in the generator's loss, which makes sharp mouths at the
            price of some L1, such as 0.01; 0 trains without one. For the last part of a run, when the mouths move but
            are soft.
        learning_rate: Adam's, after the warm-up.
        warmup: steps over which the learning rate rises.
        clip: a network's gradient is scaled down to this norm where it is longer; 0 leaves it alone.
        ema: decay of the moving average of the weights, which is what is exported.
        augment: which share of the samples is varied (see `LipSyncDataset`), 0 to 1.
        balance: 0 draws every frame alike, 1 every speaker alike, 0.5 in between: as the roots of the speakers' frames.
        seed: of the weights, the samples and the discriminator's coin.
    """

    steps: int = 100_000
    batch_size: int = 32
    width: float = 1.0
    most_channels: int | None = None
    speech: str = "mfcc"
    adversarial: bool = False
    lip_weight: float = 6.0
    edge_weight: float = 1.0
    adversarial_weight: float = 0.01
    quality_weight: float = 0.0
    learning_rate: float = 3e-4
    warmup: int = 200
    clip: float = 1.0
    ema: float = 0.999
    augment: float = 1.0
    balance: float = 0.5
    seed: int = 0

    def __post_init__(self):
        check_ranges(self, RANGES)


@dataclass
class Networks:
    """Everything that training changes.

    Attributes:
        average: moving average of the generator.
        discriminator: the contrastive one, which judges the sync.
        quality: the quality discriminator, which judges the picture.
        scaler: keeps small gradients from vanishing in float16; does nothing in the other types.
        dtype: what the networks compute in.
    """

    generator: LipGANGenerator
    average: LipGANGenerator
    generator_optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    discriminator: LipGANDiscriminator | None = None
    discriminator_optimizer: torch.optim.Optimizer | None = None
    quality: PatchDiscriminator | None = None
    quality_optimizer: torch.optim.Optimizer | None = None
    dtype: torch.dtype = torch.float32
    _statistics: list[Tensor] = field(default_factory=list, repr=False)
    _unchanged: bool = False  # within a step: no weight has been changed yet

    def state(self) -> dict:
        """All states as plain data."""
        return {name: part.state_dict() for name, part in vars(self).items() if hasattr(part, "state_dict")}

    def load(self, state: dict) -> None:
        """Take over the states that `state` gave. A scaler's is left out where either side has none in use, and a
        quality discriminator begins anew where there was none, as in runs begun before there was such a thing."""
        optional = ("scaler", "quality", "quality_optimizer")
        for name, part in vars(self).items():
            if hasattr(part, "load_state_dict") and (name not in optional or state.get(name)):
                part.load_state_dict(state[name])

    def compile(self) -> None:
        """Have PyTorch compile the networks, in place."""
        for network in (self.generator, self.discriminator, self.quality):
            if network is not None:
                network.compile()

    def begin_step(self) -> None:
        """Keep the batch norms' running statistics, which the forward pass changes."""
        self._statistics = self._statistics or [b.clone() for b in self.generator.buffers()]
        torch._foreach_copy_(self._statistics, list(self.generator.buffers()))
        self._unchanged = True

    def restore_statistics(self) -> None:
        """Undo what the forward pass has done to them."""
        torch._foreach_copy_(list(self.generator.buffers()), self._statistics)

    def roll_back(self) -> bool:
        """Undo a step that an error broke off; False where half of it was done, which cannot be undone."""
        if self._unchanged:
            self.restore_statistics()
        return self._unchanged


def generator_config(config: TrainConfig) -> GeneratorConfig:
    """The generator that a run trains."""
    return GeneratorConfig(config.width, config.speech, most_channels=config.most_channels)


def build_networks(config: TrainConfig, device: torch.device, dtype: torch.dtype = torch.float32) -> Networks:
    """The networks and optimizers of a run at step 0; the same for the same seed."""
    torch.manual_seed(config.seed)
    generator = LipGANGenerator(generator_config(config))
    generator.to(device, memory_format=memory_format(device))
    average = copy.deepcopy(generator).eval().requires_grad_(False)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    generator = distributed.synchronise_batch_norms(generator)
    networks = Networks(generator, average, _adam(generator, config), scaler, dtype=dtype)
    if config.adversarial:
        networks.discriminator = LipGANDiscriminator(config.width, config.speech)
        networks.discriminator.to(device, memory_format=memory_format(device))
        networks.discriminator_optimizer = _adam(networks.discriminator, config)
    if config.quality_weight:
        networks.quality = PatchDiscriminator()
        networks.quality.to(device, memory_format=memory_format(device))
        networks.quality_optimizer = _adam(networks.quality, config, betas=(0.5, 0.99))
    return networks


def start_from_weights(networks: Networks, source: str | Path) -> None:
    """Give a new run's generator, and its average, the weights of another.

    Raises:
        InputError: they are no generator of this width and speech feature.
    """
    weights = load_generator(source)
    if weights.config != networks.generator.config:
        raise InputError(f"{source}: is a {weights.config}, and the run trains a {networks.generator.config}")
    for network in (networks.generator, networks.average):
        network.load_state_dict(weights.state_dict())


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
        batch: of LipSyncDataset, on the networks' device; with several processes this one's slice.
        config: of the run.
        step: decides the learning rate and the discriminator's coin.

    Returns:
        The losses, the generator's `grad_norm` before clipping, and `skipped` (1 where a gradient was not finite, and
        then only that): each a scalar tensor, on the device but for `skipped`, which is known already.
    """
    device, exact = batch["target"].device, next(networks.generator.parameters()).dtype
    reference, target, lips = (
        batch[name].to(exact, memory_format=memory_format(device)) / 255 for name in ("reference", "target", "lips")
    )
    batch = batch | {name: batch[name].to(exact) for name in ("speech", "unsynced_speech")}
    speech = batch["speech"]
    for optimizer in (networks.generator_optimizer, networks.discriminator_optimizer, networks.quality_optimizer):
        if optimizer is not None:
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * learning_rate_factor(step, config.steps, config.warmup)

    networks.begin_step()
    with autocast(device, networks.dtype):
        generated = networks.generator(generator_input(reference, target), speech)
    loss, reported = _reconstruction(generated, target, lips, config)
    good = True
    if networks.discriminator is not None:
        judged, learnt = _discriminator_step(networks, generated.detach(), target, batch, config, step)
        good = good and learnt
        with _frozen(networks.discriminator), autocast(device, networks.dtype):
            distance = networks.discriminator(generated, speech)
        judged["adversarial"] = losses.contrastive_for(distance, in_sync=True)
        loss, reported = loss + config.adversarial_weight * judged["adversarial"], reported | judged
    if networks.quality is not None:
        judged, learnt = _quality_step(networks, generated.detach(), target, config)
        good = good and learnt
        with _frozen(networks.quality), autocast(device, networks.dtype):
            verdict = networks.quality(generated)
        judged["quality"] = losses.gan_loss(True, verdict)
        loss, reported = loss + config.quality_weight * judged["quality"], reported | judged
    updated, reported["grad_norm"] = _update(networks, networks.generator, networks.generator_optimizer, loss, config)
    networks.scaler.update()
    networks._unchanged = False
    if updated:
        _update_average(networks.average, networks.generator, min(config.ema, (1 + step) / (10 + step)))
    else:
        networks.restore_statistics()
    if not (good and updated):
        return {"skipped": torch.ones(())}
    return {name: value.detach() for name, value in reported.items()} | {"skipped": torch.zeros(())}


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
) -> tuple[dict[str, Tensor], bool]:
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
    updated, _ = _update(networks, networks.discriminator, networks.discriminator_optimizer, loss, config)
    return {"disc_fake" if coin else "disc_unsynced": far_loss, "disc_synced": near_loss}, updated


def _quality_step(
    networks: Networks, generated: Tensor, target: Tensor, config: TrainConfig
) -> tuple[dict[str, Tensor], bool]:
    """The quality discriminator learns to tell this batch's generated faces from the real ones."""
    with autocast(target.device, networks.dtype):
        fake, real = networks.quality(torch.cat([generated, target])).chunk(2)
    loss = losses.gan_loss(False, fake) + losses.gan_loss(True, real)
    updated, _ = _update(networks, networks.quality, networks.quality_optimizer, loss, config)
    return {"quality_judge": loss}, updated


def _update(
    networks: Networks, network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, config: TrainConfig
) -> tuple[bool, Tensor]:
    """One step down a loss, unless its gradient is not finite; returns whether, and the gradient's norm."""
    optimizer.zero_grad(set_to_none=True)
    networks.scaler.scale(loss).backward()
    distributed.average_gradients(network.parameters())
    networks.scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip or math.inf)
    finite = bool(norm.isfinite())
    if finite:
        networks._unchanged = False
        networks.scaler.step(optimizer)
    return finite, norm


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Exponential moving average of the weights and of the batch norms' statistics."""
    pairs = list(zip(average.state_dict().values(), network.state_dict().values(), strict=True))
    averaged = [(old, new) for old, new in pairs if old.is_floating_point()]
    counted = [(old, new) for old, new in pairs if not old.is_floating_point()]
    torch._foreach_lerp_([old for old, _ in averaged], [new for _, new in averaged], 1 - decay)
    torch._foreach_copy_([old for old, _ in counted], [new for _, new in counted])
