"""Teach a sync expert: which moment of a clip's speech belongs to which five faces of it?

Wav2Lip's expert, narrower. (What it says of a clip: models/expert.py.) By that question alone it finds out only after
very many moments that it is the lips that matter, so it is asked for them as well: how far the mouth opens in each of
the five frames must be told from the faces, and from the speech.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from lipgan_colab.device import autocast, fast_dtype, memory_format, pick_device
from lipgan_colab.errors import InputError, check_range, check_ranges
from lipgan_colab.faces.face import INNER_LIPS, LIPS
from lipgan_colab.faces.face_clip import FPS
from lipgan_colab.files import not_written
from lipgan_colab.memory import keep_freed_memory
from lipgan_colab.models import losses
from lipgan_colab.models.expert import accuracy, lips_seen
from lipgan_colab.models.wav2lip import FRAMES, SyncExpert, SyncExpertConfig
from lipgan_colab.models.weights import EXPERT, save_network
from lipgan_colab.shards.augmentation import augmented_runs, run_lots
from lipgan_colab.shards.dataset import cumulative_shares
from lipgan_colab.shards.held_out import held_out_ids
from lipgan_colab.shards.manifest import needed_shards, sync_by_group
from lipgan_colab.shards.shard_file import FACE, Shard, fingerprint_of
from lipgan_colab.shards.workers import MOST_WORKERS
from lipgan_colab.speech.features import window_columns
from lipgan_colab.training.async_checkpointer import CHECKPOINTS
from lipgan_colab.training.checkpoint import load_newest_checkpoint, prune, write_checkpoint
from lipgan_colab.training.feed import where_varied
from lipgan_colab.training.lease import TakenOver
from lipgan_colab.training.runs import check_config, held_run
from lipgan_colab.training.step import MOST_SEED, learning_rate_factor
from lipgan_colab.training.train import stop_when_asked, undisturbed

INNER_MIDDLE = [len(LIPS) + INNER_LIPS.index(point) for point in (13, 14)]  # of a shard's landmarks
APART = 3  # frames between the moments of one clip that are to be told apart
SHOWN_EVERY = 10  # steps: to show a loss is to wait for the device
SHOWN = 8  # of a list
MEASURED_EVERY, MOST_MEASURED = 200, 20  # steps, and clips: each takes a moment
BEFORE_THERE_WAS = {"held_out": "none", "same_clip": 0.0}  # fields that came later, and what a run did before


RANGES = {  # of the configuration
    "steps": (1, math.inf),
    "width": (0.01, 16),
    "learning_rate": (0, 1e6),
    **dict.fromkeys(("balance", "same_clip"), (0, 1)),
    "warmup": (0, math.inf),
    "seed": (0, MOST_SEED),
    **dict.fromkeys(("clips", "moments"), (0, 4096)),
}


@dataclass(frozen=True)
class ExpertConfig:
    """How an expert is trained.

    Attributes:
        steps: where the run ends, and where the learning rate's cosine reaches its end.
        clips: how many clips a batch is made of.
        moments: how many moments of each of these clips; every one is to be told from all others of the batch.
        same_clip: how much of the loss is to tell a moment from the others of its own clip alone, 0 to 1. The rest is
            to tell it from all others of the batch, most of which differ in who speaks as well.
        width: factor on the network's channels (1.0: Wav2Lip's).
        learning_rate: AdamW's, after the warm-up.
        warmup: steps over which it rises.
        balance: 0 draws every frame alike, 1 every speaker alike.
        held_out: whom not to learn from, to measure by: none; a share of the speakers, such as 0.2; their names, with
            commas between; or auto: a few speakers, or clips where there are fewer than four.
        seed: of the weights and the samples.
    """

    steps: int = 3000
    clips: int = 12
    moments: int = 8
    same_clip: float = 0.5
    width: float = 0.25
    learning_rate: float = 1e-3
    warmup: int = 100
    balance: float = 0.5
    held_out: str = "none"
    seed: int = 0

    def __post_init__(self):
        check_ranges(self, RANGES)
        if self.clips < 2 or self.moments < 1:
            raise InputError(
                f"`clips` {self.clips}, `moments` {self.moments}: it takes 2 clips to tell apart, and a moment of each"
            )


@dataclass(frozen=True)
class Clip:
    """An utterance of a shard.

    Attributes:
        id, speaker: as in the shard.
        shard: which.
        utterance: its number there.
        late: frames by which its sound is late.
        first: the frames with which five faces in a row begin whose speech has been kept.
    """

    id: str
    speaker: str
    shard: Shard
    utterance: int
    late: int
    first: np.ndarray

    def speech(self, frame: int) -> np.ndarray:
        """The mel window (1, 80, 16) that belongs to the five faces which begin with a frame."""
        return self.shard.window("wav2lip", self.utterance, frame + self.late, FPS)[None]


def _read_clip(shard: Shard, utterance: int, late: int) -> Clip:
    about, first = shard.metadata["utterances"][utterance], shard.runs(utterance, FRAMES)
    begin, end = shard.arrays["mel_offsets"][utterance : utterance + 2]
    columns = window_columns(first + late, FPS, "wav2lip")
    heard = (columns[:, 0] >= 0) & (columns[:, -1] < end - begin)
    return Clip(about["id"], about["speaker"], shard, utterance, late, first[heard])


class Moments(Dataset):
    """Moments of clips: sample n, a pure function of (seed, n), is of one clip.

    `moments[n]` is a dict of tensors:
        faces: uint8 (M, 5, 3, S, S) RGB, five consecutive frames each, M <= config.moments.
        lots: float32 (M, ...), the numbers by which `augmented_runs` is to vary them.
        speech: float32 (M, 1, 80, 16), the mel windows that begin with them. Where the shards say that the sound of a
            speaker's or programme's clips is late or early (sync_by_group), they begin as much later or earlier.
        opening: float32 (M, 5), how far the mouth is open in each frame, in twentieths of the crop; nan if not known.
        count: int64 (1,), M.

    Attributes:
        learnt, held_out: the clips to learn from, and those to measure by.
        late: frames by which the sound of a speaker's or programme's clips is late, of those where it is not as it
            should be.
        fingerprint: of all clips.

    Args:
        folder: of shards at 25 frames a second.
        config: which moments.

    Raises:
        InputError: there is no shard, or none with five faces in a row, or it is of another frame rate or size, or a
            speaker who was to be held out is not there, or nobody else is.
    """

    def __init__(self, folder: str | Path, config: ExpertConfig):
        self.config = config
        paths = needed_shards(folder)
        shards = [Shard.open(path) for path in paths]
        if any(shard.metadata["settings"]["fps"] != FPS for shard in shards):
            raise InputError(f"{folder}: an expert is taught at {FPS} frames a second; preprocess with `fps={FPS}`")
        if any(shard.size != FACE for shard in shards):
            raise InputError(f"{folder}: an expert is taught on faces of {FACE} pixels; preprocess with `size={FACE}`")
        self.fingerprint = fingerprint_of([shard.metadata for shard in shards])
        judged = sync_by_group(paths)
        judged.pop("all")  # who is off does not say it of others
        self.late = {name: group.offset for name, group in judged.items() if group.verdict == "shifted"}
        utterances = [(s, u, about) for s in shards for u, about in enumerate(s.metadata["utterances"])]
        clips = [_read_clip(s, u, self.late.get(about["speaker"], 0)) for s, u, about in utterances]
        clips = [clip for clip in clips if len(clip.first) > APART]
        held_out = held_out_ids({clip.id: clip.speaker for clip in clips}, config.held_out, config.seed)
        self.learnt = [clip for clip in clips if clip.id not in held_out]
        self.held_out = [clip for clip in clips if clip.id in held_out]
        if self.held_out and not self.learnt:
            raise InputError(f"{folder}: all of its clips are held out; hold out fewer (`held_out`)")
        if not self.learnt:
            raise InputError(
                f"{folder}: no clip with {FRAMES + APART} faces in a row that is not held out; preprocess other videos"
            )
        speakers = np.array([clip.speaker for clip in self.learnt])
        frames = np.array([len(clip.first) for clip in self.learnt])
        self._cumulative = cumulative_shares(speakers, frames, config.balance)

    def __len__(self) -> int:
        return self.config.steps * self.config.clips

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.config.seed, number))
        clip = self.learnt[int(np.searchsorted(self._cumulative, rng.random(), side="right"))]
        shard, begin = clip.shard, int(clip.shard.first_frame[clip.utterance])
        grid = clip.first[clip.first % APART == rng.integers(APART)]
        chosen = rng.permutation(grid if len(grid) else clip.first[:1])[: self.config.moments]
        wanted = sorted({int(frame) + k for frame in chosen for k in range(FRAMES)})
        pictures = {k: shard.frame(begin + k).transpose(2, 0, 1) for k in wanted}
        faces, speech, opening = [], [], []
        for frame in chosen:
            faces.append(np.stack([pictures[int(frame) + k] for k in range(FRAMES)]))
            speech.append(clip.speech(int(frame)))
            lips = shard.lips(begin + int(frame), begin + int(frame) + FRAMES)
            opening.append(20 * np.linalg.norm(np.subtract(*lips[:, INNER_MIDDLE].swapaxes(0, 1)), axis=1))
        parts = {"faces": faces, "lots": run_lots(rng, len(chosen)), "speech": speech}
        parts |= {"opening": np.float32(opening), "count": [len(chosen)]}
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
    check_range("workers", workers, 0, MOST_WORKERS)
    check_range("save_minutes", save_minutes, 0)
    keep_freed_memory()
    run, device = Path(run), pick_device(device)
    moments = Moments(shards, config)
    if moments.late:
        tqdm.write(f"expert: sound is taken later (earlier where < 0) by so many frames: {_told(moments.late)}")
    about = {**asdict(config), "clips_in_batch": config.clips, "clips": moments.fingerprint}  # as of describe_run
    torch.manual_seed(config.seed)
    pupil = _Pupil(SyncExpert(SyncExpertConfig(config.width))).to(device, memory_format=memory_format(device)).train()
    optimizer = torch.optim.AdamW(pupil.parameters(), config.learning_rate)
    step, measured = 0, {}
    with held_run(run, take_over) as lease, stop_when_asked() as asked:
        resumed = load_newest_checkpoint(run / CHECKPOINTS, say=tqdm.write)
        if resumed is not None:
            step = _go_on(run, resumed[1], about, pupil, optimizer)
            measured = resumed[1].get("measured", {})
            tqdm.write(f"going on from step {step} ({resumed[0].path.parent})")

        def save() -> None:
            lease.step = step
            state = {"step": step, "about": about, "measured": measured}
            state |= {"pupil": pupil.state_dict(), "optimizer": optimizer.state_dict()}
            try:
                written = write_checkpoint(run / CHECKPOINTS, step, state)
                lease.check()
                prune(run / CHECKPOINTS, written)
                save_network(run / EXPERT, pupil.expert, {"what": "our own sync expert", "step": step, **measured})
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
                    if moments.held_out and (step % MEASURED_EVERY == 0 or step == config.steps):
                        measured = _measured(pupil.expert, moments.held_out)
                        tqdm.write(f"step {step}, of clips not learnt from: {_told(measured)}")
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
        check_config(
            run, BEFORE_THERE_WAS | state["about"], about, "set it back to go on, or choose another run folder"
        )
        pupil.load_state_dict(state["pupil"])
        optimizer.load_state_dict(state["optimizer"])
        return state["step"]
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{run}: its checkpoint is not one of an expert of this version ({reason})") from error


def _measured(expert: SyncExpert, clips: Sequence[Clip]) -> dict[str, float]:
    """An expert's accuracy on clips (on every n-th of many), in per cent; it is in training mode before and after."""
    expert.eval()
    found = accuracy([embedded(expert, clip) for clip in clips[:: 1 + (len(clips) - 1) // MOST_MEASURED]])
    expert.train()
    return {name: round(100 * value, 1) for name, value in asdict(found).items()}


@torch.no_grad()
def embedded(expert: SyncExpert, clip: Clip) -> tuple[Tensor, Tensor]:
    """The embeddings (N, D) of a clip's lips and of its sound, of the moments that could be learnt from."""
    begin, end = (int(f) for f in clip.shard.first_frame[clip.utterance : clip.utterance + 2])
    lips = lips_seen(expert, np.stack([clip.shard.frame(frame) for frame in range(begin, end)]))
    speech = torch.from_numpy(np.stack([clip.speech(int(frame)) for frame in clip.first]))
    return lips[torch.from_numpy(clip.first)], expert.hear(speech.to(lips.device))


def _told(values: dict) -> str:
    """Names and values in a line, the first of them."""
    return ", ".join(f"{name} {value}" for name, value in list(values.items())[:SHOWN])


def _batches(moments: Moments, step: int, config: ExpertConfig, device: torch.device, workers: int | None):
    """The batches from a step on, their faces varied; on the device but for the counts."""
    numbers = [range(n * config.clips, (n + 1) * config.clips) for n in range(step, config.steps)]
    workers = 4 * (device.type == "cuda") if workers is None else workers
    joined = {"collate_fn": _joined, "generator": torch.Generator()}  # not the global one, which seeds the weights
    for batch in DataLoader(moments, batch_sampler=numbers, num_workers=workers, **joined):
        counts = {"count": batch.pop("count")}  # to read them from the device would be to wait for it
        faces = augmented_runs(*(batch.pop(name).to(where_varied(device)) for name in ("faces", "lots")))
        yield counts | {name: value.to(device) for name, value in {"faces": faces, **batch}.items()}


def _joined(samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([sample[name] for sample in samples]) for name in samples[0]}


class _Pupil(nn.Module):
    """An expert and, of either embedding, what tells the mouth's openings by it; the latter is not kept in the end."""

    def __init__(self, expert: SyncExpert):
        super().__init__()
        self.expert = expert
        width = expert.face_encoder[-1].conv_block[0].out_channels
        self.seen, self.heard = (nn.Linear(width, FRAMES) for _ in range(2))


def _matching(lips: Tensor, sounds: Tensor, counts: list[int], same_clip: float) -> Tensor:
    """losses.matching among all of a batch, and to the share same_clip among the moments of each clip alone."""
    loss = (1 - same_clip) * losses.matching(lips, sounds)
    clips = zip(lips.split(counts), sounds.split(counts), strict=True)
    alone = [len(a) / len(lips) * losses.matching(a, b) for a, b in clips]
    return loss + same_clip * torch.stack(alone).sum()


def _fast_dtype(device: torch.device) -> torch.dtype:
    """As fast_dtype, but without float16, whose gradients would have to be scaled."""
    fast = fast_dtype(device)
    return torch.float32 if fast == torch.float16 else fast


def _train_step(
    pupil: _Pupil, optimizer: torch.optim.Optimizer, batch: dict[str, Tensor], config: ExpertConfig, step: int
) -> dict[str, Tensor]:
    """One update; returns the loss of matching, in how many of the batch's moments (0 to 1) the right speech is
    nearest, and how far off the openings are that are told by the faces and by the speech."""
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * learning_rate_factor(step, config.steps, config.warmup)
    device = batch["faces"].device
    faces = batch["faces"].contiguous(memory_format=memory_format(device))
    with autocast(device, _fast_dtype(device)):
        lips, sounds = pupil.expert(faces, batch["speech"])
        told = torch.stack([pupil.seen(lips), pupil.heard(sounds)]).float()
    loss = _matching(lips, sounds, batch["count"].tolist(), config.same_clip)
    known = batch["opening"].isfinite().all(dim=1)
    wrong = (told - batch["opening"].nan_to_num()).abs().sum(dim=2) / FRAMES
    off = torch.where(known, wrong, 0).sum(dim=1) / known.sum().clamp_min(1)
    optimizer.zero_grad(set_to_none=True)
    (loss + off.sum()).backward()
    optimizer.step()
    right = (lips @ sounds.T).argmax(dim=1) == torch.arange(len(lips), device=lips.device)
    return {"loss": loss.detach(), "right": right.float().mean(), "seen": off[0].detach(), "heard": off[1].detach()}
