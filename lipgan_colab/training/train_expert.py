"""Teach a sync expert: which moment of a clip's speech belongs to which five faces of it?

Wav2Lip's expert, narrower. (What it says of a clip: models/expert.py.) By that question alone it finds out only after
very many moments that it is the lips that matter, so it is asked for them as well: how far the mouth opens in each of
the five frames must be told from the faces, and from the speech.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from lipgan_colab.device import keep_freed_memory, memory_format, pick_device
from lipgan_colab.errors import InputError, check_range, check_ranges
from lipgan_colab.faces.face import INNER_LIPS, LIPS
from lipgan_colab.faces.face_clip import FPS
from lipgan_colab.files import not_written
from lipgan_colab.models import losses
from lipgan_colab.models.wav2lip import FRAMES, SyncExpert, SyncExpertConfig, lower_halves
from lipgan_colab.models.weights import EXPERT, save_network
from lipgan_colab.shards.augmentation import jittered, new_shape, recolouring, taken
from lipgan_colab.shards.dataset import cumulative_shares
from lipgan_colab.shards.manifest import needed_shards
from lipgan_colab.shards.shard_file import Shard, fingerprint_of
from lipgan_colab.training.async_checkpointer import CHECKPOINTS
from lipgan_colab.training.checkpoint import load_newest_checkpoint, prune, write_checkpoint
from lipgan_colab.training.lease import TakenOver
from lipgan_colab.training.runs import check_config, held_run
from lipgan_colab.training.step import learning_rate_factor
from lipgan_colab.training.train import stop_when_asked, undisturbed

INNER_MIDDLE = [len(LIPS) + INNER_LIPS.index(point) for point in (13, 14)]  # of a shard's landmarks
APART = 3  # frames between the moments of one clip that are to be told apart
SHOWN_EVERY = 10  # steps: to show a loss is to wait for the device


RANGES = {  # of the configuration
    "steps": (1, math.inf),
    "width": (0.01, 16),
    "learning_rate": (0, 1e6),
    "balance": (0, 1),
    **dict.fromkeys(("warmup", "seed"), (0, math.inf)),
}


@dataclass(frozen=True)
class ExpertConfig:
    """How an expert is trained.

    Attributes:
        steps: where the run ends, and where the learning rate's cosine reaches its end.
        clips: how many clips a batch is made of.
        moments: how many moments of each of these clips; every one is to be told from all others of the batch.
        width: factor on the network's channels (1.0: Wav2Lip's).
        learning_rate: AdamW's, after the warm-up.
        warmup: steps over which it rises.
        balance: 0 draws every frame alike, 1 every speaker alike.
        seed: of the weights and the samples.
    """

    steps: int = 3000
    clips: int = 12
    moments: int = 8
    width: float = 0.25
    learning_rate: float = 1e-3
    warmup: int = 100
    balance: float = 0.5
    seed: int = 0

    def __post_init__(self):
        check_ranges(self, RANGES)
        if self.clips < 2 or self.moments < 1:
            raise InputError(
                f"{self.clips} clips of {self.moments} moments: there must be 2 clips to tell apart, or more"
            )


class Moments(Dataset):
    """Moments of clips: sample n, a pure function of (seed, n), is of one clip.

    `moments[n]` is a dict of tensors:
        faces: uint8 (M, 3, 5, S, S) RGB, five consecutive frames each, M <= config.moments; colours, shapes and framing
            are varied, and half of the clips mirrored.
        speech: float32 (M, 1, 80, 16), the mel windows that begin with them.
        opening: float32 (M, 5), how far the mouth is open in each frame, in twentieths of the crop; nan if not known.

    Args:
        folder: of shards at 25 frames a second.
        config: which moments.

    Raises:
        InputError: there is no shard, or none with five faces in a row, or it is of another frame rate.
    """

    def __init__(self, folder: str | Path, config: ExpertConfig):
        self.config = config
        self.shards = [Shard.open(path) for path in needed_shards(folder)]
        if any(shard.metadata["settings"]["fps"] != FPS for shard in self.shards):
            raise InputError(f"{folder}: an expert is taught at {FPS} frames a second; preprocess with that")
        self.fingerprint = fingerprint_of([shard.metadata for shard in self.shards])
        clips = [(s, u) for s, shard in enumerate(self.shards) for u in range(len(shard.first_frame) - 1)]
        self._clips = [(s, u, first) for s, u in clips if len(first := self._first_frames(s, u)) > APART]
        if not self._clips:
            raise InputError(f"{folder}: no clip with {FRAMES + APART} faces in a row; preprocess other videos")
        speakers = np.array([self.shards[s].metadata["utterances"][u]["speaker"] for s, u, _ in self._clips])
        frames = np.array([len(first) for *_, first in self._clips])
        self._cumulative = cumulative_shares(speakers, frames, config.balance)

    def _first_frames(self, shard: int, utterance: int) -> np.ndarray:
        """The frames of an utterance with which five faces in a row begin."""
        seen = self.shards[shard].seen(utterance)
        together = seen[FRAMES - 1 :] - seen[: len(seen) - FRAMES + 1] == FRAMES - 1
        return seen[: len(together)][together]

    def __len__(self) -> int:
        return self.config.steps * self.config.clips

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.config.seed, number))
        s, utterance, first = self._clips[int(np.searchsorted(self._cumulative, rng.random(), side="right"))]
        shard, begin = self.shards[s], int(self.shards[s].first_frame[utterance])
        grid = first[first % APART == rng.integers(APART)]
        chosen = rng.permutation(grid if len(grid) else first[:1])[: self.config.moments]
        table, mirrored, shape = recolouring(rng), rng.random() < 0.5, None
        views, speech, opening = [], [], []
        for frame in chosen:
            pictures = [cv2.LUT(shard.frame(begin + int(frame) + k), table) for k in range(FRAMES)]
            shape = new_shape(rng, len(pictures[0])) if shape is None else shape
            framing = jittered(rng, shape)
            five = np.stack([taken(picture, framing) for picture in pictures])
            views.append((five[:, :, ::-1] if mirrored else five).transpose(3, 0, 1, 2))
            speech.append(shard.window("wav2lip", utterance, int(frame), FPS)[None])
            lips = shard.lips(begin + int(frame), begin + int(frame) + FRAMES)
            opening.append(20 * np.linalg.norm(np.subtract(*lips[:, INNER_MIDDLE].swapaxes(0, 1)), axis=1))
        parts = {"faces": views, "speech": speech, "opening": np.float32(opening)}
        return {name: torch.from_numpy(np.stack(part)) for name, part in parts.items()}


def train_expert(
    shards: str | Path,
    run: str | Path,
    config: ExpertConfig = ExpertConfig(),
    device: str | torch.device | None = None,
    workers: int | None = None,
    save_minutes: float = 5,
    take_over: bool = False,
) -> Path:
    """Teach an expert; the same call again goes on where it stopped. Returns the path of its weights.

    Args:
        shards: folder of shards.
        run: folder that gets expert.safetensors and checkpoints/.
        config: how.
        device: cuda, cuda:1, mps, cpu; None takes the GPU where there is one.
        workers: loader processes; None takes what the device needs.
        save_minutes: time between checkpoints; one is also written at the end and on interrupt.
        take_over: go on with a run although another session is at work on it; that one then ends.

    Raises:
        InputError: no usable shards, the run was begun with another configuration or other shards, another session is
            at work on it, or the disk takes nothing.
    """
    check_range("workers", workers, 0)
    check_range("save_minutes", save_minutes, 0)
    keep_freed_memory()
    run, device = Path(run), pick_device(device)
    moments = Moments(shards, config)
    about = {**asdict(config), "clips_in_batch": config.clips, "clips": moments.fingerprint}  # as of describe_run
    torch.manual_seed(config.seed)
    pupil = _Pupil(SyncExpert(SyncExpertConfig(config.width))).to(device, memory_format=memory_format(device)).train()
    optimizer = torch.optim.AdamW(pupil.parameters(), config.learning_rate)
    step = 0
    with held_run(run, take_over) as lease, stop_when_asked() as asked:
        resumed = load_newest_checkpoint(run / CHECKPOINTS, say=tqdm.write)
        if resumed is not None:
            step = _go_on(run, resumed[1], about, pupil, optimizer)
            tqdm.write(f"going on from step {step} ({resumed[0].path.parent})")

        def save() -> None:
            lease.step = step
            state = {"step": step, "about": about, "pupil": pupil.state_dict(), "optimizer": optimizer.state_dict()}
            try:
                written = write_checkpoint(run / CHECKPOINTS, step, state)
                lease.check()
                prune(run / CHECKPOINTS, written)
                save_network(run / EXPERT, pupil.expert, {"what": "our own sync expert", "step": step})
            except TakenOver as error:
                raise InputError(f"{run}: {error.strerror}. This one ends at step {step}, which is saved") from error
            except OSError as error:
                raise not_written(run, error) from error

        saved, whole = monotonic(), resumed is None or not (run / EXPERT).exists()
        try:
            with tqdm(total=config.steps, initial=step, unit="step", desc="expert") as progress:
                for batch in _batches(moments, step, config, device, workers):
                    whole = False
                    reported = _train_step(pupil, optimizer, batch, config, step)
                    step += 1
                    whole = True
                    progress.update()
                    if step % SHOWN_EVERY == 0:
                        progress.set_postfix({name: f"{float(value):.3f}" for name, value in reported.items()})
                    if asked:
                        tqdm.write(f"stopped after step {step}; run the same again to go on")
                        break
                    if monotonic() - saved > save_minutes * 60:
                        save()
                        saved = monotonic()
        finally:
            if whole:  # half an update is not worth saving
                with undisturbed():
                    save()
    return run / EXPERT


def _go_on(run: Path, state: dict, about: dict, pupil: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Put everything where it was when the state was saved; returns how many steps had been done."""
    try:
        check_config(run, state["about"], about, "set it back to go on, or choose another run folder")
        pupil.load_state_dict(state["pupil"])
        optimizer.load_state_dict(state["optimizer"])
        return state["step"]
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{run}: its checkpoint is not one of an expert of this version ({reason})") from error


def _batches(moments: Moments, step: int, config: ExpertConfig, device: torch.device, workers: int | None):
    """The batches from a step on, on the device."""
    numbers = [range(n * config.clips, (n + 1) * config.clips) for n in range(step, config.steps)]
    workers = 4 * (device.type == "cuda") if workers is None else workers
    joined = {"collate_fn": _joined, "generator": torch.Generator()}  # not the global one, which seeds the weights
    for batch in DataLoader(moments, batch_sampler=numbers, num_workers=workers, **joined):
        yield {name: value.to(device) for name, value in batch.items()}


def _joined(samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([sample[name] for sample in samples]) for name in samples[0]}


class _Pupil(nn.Module):
    """An expert and, of either embedding, what tells the mouth's openings by it; the latter is not kept in the end."""

    def __init__(self, expert: SyncExpert):
        super().__init__()
        self.expert = expert
        width = expert.face_encoder[-1].conv_block[0].out_channels
        self.seen, self.heard = (nn.Linear(width, FRAMES) for _ in range(2))


def _train_step(
    pupil: _Pupil, optimizer: torch.optim.Optimizer, batch: dict[str, Tensor], config: ExpertConfig, step: int
) -> dict[str, Tensor]:
    """One update; returns the loss of matching, in how many of the batch's moments (0 to 1) the right speech is
    nearest, and how far off the openings are that are told by the faces and by the speech."""
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * learning_rate_factor(step, config.steps, config.warmup)
    lips, sounds = pupil.expert(lower_halves(batch["faces"].float() / 255), batch["speech"])
    loss = losses.matching(lips, sounds)
    known = batch["opening"].isfinite().all(dim=1)
    told = torch.stack([pupil.seen(lips), pupil.heard(sounds)])[:, known]
    off = (told - batch["opening"][known]).abs().sum(dim=(1, 2)) / max(1, FRAMES * int(known.sum()))
    optimizer.zero_grad(set_to_none=True)
    (loss + off.sum()).backward()
    optimizer.step()
    right = (lips @ sounds.T).argmax(dim=1) == torch.arange(len(lips), device=lips.device)
    return {"loss": loss.detach(), "right": right.float().mean(), "seen": off[0].detach(), "heard": off[1].detach()}
