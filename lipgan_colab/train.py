"""The training loop: LipGAN's generator alone, or against its contrastive discriminator."""

import copy
import csv
import json
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from lipgan_colab import losses
from lipgan_colab.checkpoint import load_newest_checkpoint, save_checkpoint
from lipgan_colab.device import autocast, keep_freed_memory, pick_device
from lipgan_colab.errors import InputError
from lipgan_colab.files import written_whole
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANDiscriminator, LipGANGenerator
from lipgan_colab.models.weights import EXPORT, load_generator, save_generator
from lipgan_colab.shards import LipSyncDataset, batches

MAY_CHANGE = {"steps"}  # configuration fields that a resumed run may have different


@dataclass(frozen=True)
class TrainConfig:
    """How a run is trained; written to the run's config.json.

    Attributes:
        steps: where the run ends, and where the learning rate's cosine reaches its end.
        batch_size: samples a step.
        width: factor on the networks' channels (1.0: the original's).
        speech: "mfcc" or "mel".
        adversarial: train against the contrastive discriminator, as in the paper.
        lip_weight: how many times as much a pixel near the lips counts in the reconstruction loss; 1 is plain L1.
        adversarial_weight: of the discriminator's verdict in the generator's loss; 0.01 is the authors'.
        learning_rate: Adam's, after the warm-up.
        warmup: steps over which the learning rate rises.
        ema: decay of the moving average of the weights, which is what is exported.
        augment: vary the samples' colours and mirror half of them.
        balance: 0 draws every frame alike, 1 every speaker alike, 0.5 in between: as the roots of the speakers' frames.
        seed: of the weights, the samples and the discriminator's coin.
    """

    steps: int = 100_000
    batch_size: int = 32
    width: float = 1.0
    speech: str = "mfcc"
    adversarial: bool = False
    lip_weight: float = 6.0
    adversarial_weight: float = 0.01
    learning_rate: float = 3e-4
    warmup: int = 200
    ema: float = 0.999
    augment: bool = True
    balance: float = 0.5
    seed: int = 0


@dataclass
class Networks:
    """Everything that training changes."""

    generator: LipGANGenerator
    average: LipGANGenerator  # moving average of the generator
    generator_optimizer: torch.optim.Optimizer
    discriminator: LipGANDiscriminator | None = None
    discriminator_optimizer: torch.optim.Optimizer | None = None

    def state(self) -> dict:
        """All states as plain data."""
        return {name: part.state_dict() for name, part in vars(self).items() if part is not None}

    def load(self, state: dict) -> None:
        """Take over the states that `state` gave."""
        for name, part in vars(self).items():
            if part is not None:
                part.load_state_dict(state[name])


def build_networks(config: TrainConfig, device: torch.device) -> Networks:
    """The networks and optimizers of a run at step 0; the same for the same seed."""
    torch.manual_seed(config.seed)
    generator = LipGANGenerator(GeneratorConfig(config.width, config.speech))
    generator.to(device, memory_format=torch.channels_last)
    networks = Networks(generator, copy.deepcopy(generator).eval().requires_grad_(False), _adam(generator, config))
    if config.adversarial:
        networks.discriminator = LipGANDiscriminator(config.width, config.speech)
        networks.discriminator.to(device, memory_format=torch.channels_last)
        networks.discriminator_optimizer = _adam(networks.discriminator, config)
    return networks


def _start_from(networks: Networks, source: str | Path) -> None:
    """Give a new run's generator, and its average, the weights of another."""
    weights = load_generator(source)
    if weights.config != networks.generator.config:
        raise InputError(f"{source}: is a {weights.config}, and the run trains a {networks.generator.config}")
    for network in (networks.generator, networks.average):
        network.load_state_dict(weights.state_dict())


def _adam(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), config.learning_rate, fused=True)


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then half a cosine down to a hundredth at the last step."""
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, config.steps)))))


def generator_input(reference: Tensor, target: Tensor) -> Tensor:
    """LipGAN's six channels (B, 6, H, W): the reference face, and the target with its lower half zeroed."""
    masked = target.clone()
    masked[:, :, target.shape[2] // 2 :] = 0
    return torch.cat([reference, masked], dim=1)


def train_step(networks: Networks, batch: dict[str, Tensor], config: TrainConfig, step: int) -> dict[str, Tensor]:
    """One update of the generator and, when adversarial, of the discriminator before it.

    Args:
        networks: changed in place.
        batch: of LipSyncDataset, on the networks' device.
        config: of the run.
        step: decides the learning rate and the discriminator's coin.

    Returns:
        The losses, each a scalar tensor on the device (reading them waits for the device).
    """
    device = batch["target"].device
    reference, target, lips = (
        batch[name].to(torch.float32, memory_format=torch.channels_last) / 255
        for name in ("reference", "target", "lips")
    )
    speech = batch["speech"]
    for optimizer in (networks.generator_optimizer, networks.discriminator_optimizer):
        if optimizer is not None:
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * learning_rate_factor(step, config)

    with autocast(device):
        generated = networks.generator(generator_input(reference, target), speech)
    weights = losses.lip_weights(lips, config.lip_weight)
    reported = {"l1": losses.l1(generated, target)}
    loss = reported["weighted_l1"] = losses.weighted_l1(generated, target, weights)
    if networks.discriminator is not None:
        reported |= _discriminator_step(networks, generated.detach(), target, batch, config, step)
        networks.discriminator.requires_grad_(False)
        with autocast(device):
            distance = networks.discriminator(generated, speech)
        networks.discriminator.requires_grad_(True)
        reported["adversarial"] = losses.contrastive_for(distance, in_sync=True)
        loss = loss + config.adversarial_weight * reported["adversarial"]
    networks.generator_optimizer.zero_grad(set_to_none=True)
    loss.backward()
    networks.generator_optimizer.step()
    _update_average(networks.average, networks.generator, min(config.ema, (1 + step) / (10 + step)))
    return {name: value.detach() for name, value in reported.items()}


def _discriminator_step(
    networks: Networks, generated: Tensor, target: Tensor, batch: dict, config: TrainConfig, step: int
) -> dict[str, Tensor]:
    """Real faces with their own speech are to be near; a coin decides what is to be far: generated faces with that
    speech, or real ones with another's (section 3.2.2 and the authors' train.py)."""
    coin = np.random.default_rng((config.seed, step, 1)).random() < 0.5
    faces, speech = (generated, batch["speech"]) if coin else (target, batch["unsynced_speech"])
    with autocast(target.device):
        far = networks.discriminator(faces, speech)
        near = networks.discriminator(target, batch["speech"])
    far_loss = losses.contrastive_for(far, in_sync=False)
    near_loss = losses.contrastive_for(near, in_sync=True)
    networks.discriminator_optimizer.zero_grad(set_to_none=True)
    (far_loss + near_loss).backward()
    networks.discriminator_optimizer.step()
    return {"disc_fake" if coin else "disc_unsynced": far_loss, "disc_synced": near_loss}


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Exponential moving average of the weights and of the batch norms' statistics."""
    for old, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


@torch.no_grad()
def preview(generator: LipGANGenerator, batch: dict[str, Tensor]) -> np.ndarray:
    """A picture of a batch, one sample a row: reference, masked, generated, real; uint8 (B S, 4 S, 3)."""
    device = next(generator.parameters()).device
    reference, target = (batch[name].to(device).float() / 255 for name in ("reference", "target"))
    faces = generator_input(reference, target)
    generated = generator(faces, batch["speech"].to(device))
    rows = torch.cat([faces[:, :3], faces[:, 3:], generated, target], dim=3)  # side by side
    rows = (rows.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return rows.reshape(-1, *rows.shape[2:])


@dataclass
class _Log:
    """log.csv: the losses' means since the line before, one line every so many steps."""

    path: Path
    fields: tuple[str, ...]
    sums: dict[str, list[Tensor]] = field(default_factory=dict)

    def start(self, step: int) -> None:
        """Begin the file, or drop the lines after a resumed step."""
        lines = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                lines = [line for line in csv.DictReader(file) if int(line["step"]) <= step]
        with written_whole(self.path) as unfinished, unfinished.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.fields, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(lines)

    def add(self, reported: dict[str, Tensor]) -> None:
        for name, value in reported.items():
            self.sums.setdefault(name, []).append(value)

    def write(self, **columns) -> dict[str, float]:
        """Append a line; returns the mean losses in it."""
        means = {name: float(torch.stack(values).mean()) for name, values in self.sums.items()}
        self.sums.clear()
        row = {**columns, **{name: f"{value:.6f}" for name, value in means.items()}}
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.fields, restval="").writerow(row)
        return means


LOG_FIELDS = (
    "step samples minutes samples_per_second learning_rate l1 weighted_l1 adversarial "
    "disc_synced disc_unsynced disc_fake"
)


def train(
    shards: str | Path,
    run: str | Path,
    config: TrainConfig = TrainConfig(),
    device: str | torch.device | None = None,
    start_from: str | Path | None = None,
    workers: int | None = None,
    save_minutes: float = 5,
    log_every: int = 50,
    preview_every: int = 500,
) -> Path:
    """Train a generator; the same call again goes on where the run stopped.

    Args:
        shards: folder of shards.
        run: folder of the run: config.json, checkpoints/, log.csv, previews/, generator.safetensors.
        config: what is trained, and how.
        device: None takes the GPU where there is one.
        start_from: weights (whatever `load_generator` takes) that a new run begins with, to learn further on other
            data; a run that goes on has its own.
        workers: loader processes; None takes what the device needs.
        save_minutes: time between checkpoints; one is also written at the end, on interrupt and on an error.
        log_every: steps between lines of log.csv.
        preview_every: steps between pictures (reference, masked, generated, real).

    Returns:
        The path of the exported generator (the moving average).

    Raises:
        InputError: no usable shards, the run was begun with another configuration, or `start_from` is no generator
            of this width and speech feature.
    """
    keep_freed_memory()
    run, device = Path(run), pick_device(device)
    dataset = LipSyncDataset(shards, config.seed, config.speech, config.augment, config.balance)
    workers = min(4, os.cpu_count() or 1) * (device.type == "cuda") if workers is None else workers
    _check_config(run, config)
    networks = build_networks(config, device)
    state = load_newest_checkpoint(run / "checkpoints", device)
    step, minutes = 0, 0.0
    if state is not None:
        networks.load(state["networks"])
        step, minutes = state["step"], state["minutes"]
    elif start_from is not None:
        _start_from(networks, start_from)
    log = _Log(run / "log.csv", tuple(LOG_FIELDS.split()))
    log.start(step)
    shown = [LipSyncDataset(shards, config.seed + 1, config.speech, augment=False)[n] for n in range(8)]
    shown = {name: torch.stack([sample[name] for sample in shown]) for name in shown[0]}

    started = saved = logged = time.monotonic()
    before, logged_step = minutes, step

    def save() -> None:
        state = {
            "step": step,
            "minutes": minutes,
            "config": asdict(config),
            "networks": networks.state(),
        }
        save_checkpoint(run / "checkpoints", step, state)
        about = {"step": step, "samples": step * config.batch_size, "corpus": str(Path(shards).name)}
        save_generator(run / EXPORT, networks.average, about)

    networks.generator.train()
    progress = tqdm(total=config.steps, initial=step, unit="step", desc="train")
    whole = False  # whether the networks are those of a finished step: half an update is not worth saving
    try:
        with _stop_when_asked() as asked:
            for batch in _on_device(batches(dataset, step, config.steps, config.batch_size, workers), device):
                whole = False
                reported = train_step(networks, batch, config, step)
                step += 1
                whole = True
                log.add(reported)
                progress.update()
                now = time.monotonic()
                minutes = before + (now - started) / 60
                last = step == config.steps or bool(asked)
                if step % log_every == 0 or last:
                    rate = (step - logged_step) * config.batch_size / (now - logged)
                    means = log.write(
                        step=step,
                        samples=step * config.batch_size,
                        minutes=f"{minutes:.2f}",
                        samples_per_second=f"{rate:.1f}",
                        learning_rate=f"{config.learning_rate * learning_rate_factor(step, config):.2e}",
                    )
                    logged, logged_step = now, step
                    progress.set_postfix({k: f"{v:.4f}" for k, v in means.items()} | {"samples/s": f"{rate:.0f}"})
                if step % preview_every == 0 or last:
                    _write_picture(run / "previews" / f"step-{step:08d}.png", preview(networks.average, shown))
                if asked:
                    progress.write(f"stopped after step {step}; saved, run the same again to go on")
                    break
                if now - saved > save_minutes * 60:
                    save()
                    saved = time.monotonic()
    finally:
        progress.close()
        if whole:
            save()
    return run / EXPORT


@contextmanager
def _stop_when_asked() -> Iterator[list[int]]:
    """Collects interrupts (Ctrl-C, a notebook's stop button, SIGTERM) instead of being torn off in the midst of a step.

    A second interrupt is obeyed at once. Outside of the main thread, where signals cannot be caught, it stays empty.
    """
    asked: list[int] = []

    def ask(number: int, _frame) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_config(run: Path, config: TrainConfig) -> None:
    """Write the run's config.json, or compare with the one that is there."""
    path = run / "config.json"
    if path.exists():
        before = replace(config, **json.loads(path.read_text()))
        changed = [
            name for name, value in asdict(config).items() if value != getattr(before, name) and name not in MAY_CHANGE
        ]
        if changed:
            differences = ", ".join(f"{n} was {getattr(before, n)} and is {getattr(config, n)}" for n in changed)
            raise InputError(f"{run}: begun with another configuration ({differences}); choose another run folder")
    with written_whole(path) as unfinished:
        unfinished.write_text(json.dumps(asdict(config), indent=1))


def _on_device(loader, device: torch.device) -> Iterator[dict[str, Tensor]]:
    for batch in loader:
        yield {name: value.to(device, non_blocking=True) for name, value in batch.items()}


def _write_picture(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
