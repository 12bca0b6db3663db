"""The dataset that reads shards: pairs of frames with the speech that belongs to them, and some that does not."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lipgan_colab.errors import InputError
from lipgan_colab.faces.geometry import lip_region
from lipgan_colab.shards.augmentation import jittered, new_shape, painted_over, recolouring, same_shape, taken
from lipgan_colab.shards.manifest import needed_shards, read_manifest
from lipgan_colab.shards.shard_file import CURE, Shard, fingerprint_of

FAR_FRAMES = 6  # a reference frame is at least this far from its target, as in the authors' train.py
PAINTED_OVER = 0.4  # of the references, when augmenting, have their mouths hidden
MOST_DRAWS = 8  # of other speech, until one is far enough away
MOST_DAMAGED = 100  # frames in a row, until too little is whole to go on


class LipSyncDataset(Dataset):
    """Training samples from a folder of shards; sample n is a pure function of (seed, n).

    `dataset[n]` is a dict of tensors:
        reference, target: uint8 (3, S, S) RGB; two frames of one utterance at least 6 frames apart.
        speech: float32 (1, 12, 35) or (1, 80, 27), the window of the target frame.
        unsynced_speech: a window from elsewhere in the corpus.
        lips: uint8 (1, S, S), 255 where the target's lips are.

    Args:
        folder: where the shards are.
        seed: another seed draws other samples.
        speech: "mfcc" or "mel".
        augment: of which share of the samples (0 to 1) the faces are varied: half of them mirrored, exposure, contrast,
            tint and shape changed (both frames alike), and the mouths of some references painted over. Unless it is 0,
            each frame of all samples is shifted, scaled and turned by itself (see `jittered`).
        balance: how far speakers with few frames are drawn more often: 0 draws every frame alike, 1 every speaker.
        skip_damaged: go on without shards that are damaged, with a warning that names them.

    Attributes:
        fingerprint: of the set of clips that the shards were made of (see corpus.fingerprint).

    Raises:
        InputError: no shard there, one is damaged, or there is no frame with a face.
    """

    def __init__(
        self,
        folder: str | Path,
        seed: int = 0,
        speech: str = "mfcc",
        augment: float = 1.0,
        balance: float = 0.0,
        skip_damaged: bool = False,
    ):
        self.folder, self.seed, self.speech, self.augment = Path(folder), seed, speech, augment
        self.skip_damaged = skip_damaged
        self.shards = [shard for path in needed_shards(folder) if (shard := self._opened(path)) is not None]
        known = read_manifest(folder).get("fingerprint")  # the same where shards have been left out
        self.fingerprint = known or fingerprint_of([shard.metadata for shard in self.shards])
        # One entry an utterance: in which shard it is the how-manieth, and how many of its frames may be targets.
        self._utterances = np.array(
            [(s, u) for s, shard in enumerate(self.shards) for u in range(len(shard.first_frame) - 1)], np.int32
        ).reshape(-1, 2)
        self._targets = np.array([len(self.shards[s].seen(u)) for s, u in self._utterances], np.int64)
        if not self._targets.sum():
            raise InputError(f"{folder}: no frame with a face in its shards; preprocess other videos")
        self.settings = self.shards[0].metadata["settings"]
        speakers = [clip["speaker"] for s in self.shards for clip in s.metadata["utterances"]]
        self._cumulative = cumulative_shares(np.array(speakers), self._targets, balance)

    def _opened(self, path: Path) -> Shard | None:
        try:
            return Shard.open(path)
        except InputError as error:
            self._leave_out(error)

    def _leave_out(self, error: InputError) -> None:
        if not self.skip_damaged:
            raise error
        warnings.warn(f"left out: {error}", stacklevel=2)

    def __len__(self) -> int:
        """The number of target frames: what one pass over the data would be."""
        return int(self._targets.sum())

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng((self.seed, number))
        for _ in range(MOST_DAMAGED):
            try:
                return self._sample(rng)
            except InputError as error:
                self._leave_out(error)  # another is drawn
        raise InputError(f"{self.folder}: too much of it is damaged to go on; {CURE}")

    def _sample(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        fps = self.settings["fps"]
        s, utterance, frame = self._draw(rng)
        shard = self.shards[s]
        first, last = shard.first_frame[utterance : utterance + 2]
        reference = _reference_frame(rng, int(frame), int(last - first))
        target = shard.frame(int(first + frame))
        lips_there = shard.lips(int(first) + reference, int(first) + reference + 1)[0]
        reference = shard.frame(int(first) + reference)
        lips = lip_region(shard.lips(int(first + frame), int(first + frame) + 1)[0], len(target))
        elsewhere_shard, elsewhere, elsewhere_frame = self._elsewhere(rng, s, utterance, frame)
        if self.augment:
            varied = self.augment == 1 or rng.random() < self.augment
            if varied:
                if rng.random() < PAINTED_OVER:
                    reference = painted_over(rng, reference, lips_there)
                table = recolouring(rng)
                reference, target = cv2.LUT(reference, table), cv2.LUT(target, table)
            shape = new_shape(rng, len(target)) if varied else same_shape(len(target))
            reference = taken(reference, jittered(rng, shape))
            framing = jittered(rng, shape)
            target, lips = taken(target, framing), taken(lips, framing)
            if varied and rng.random() < 0.5:
                reference, target, lips = reference[:, ::-1], target[:, ::-1], lips[:, ::-1]
        return {
            "reference": _to_tensor(reference),
            "target": _to_tensor(target),
            "speech": _to_tensor(shard.window(self.speech, int(utterance), int(frame), fps)),
            "unsynced_speech": _to_tensor(
                self.shards[elsewhere_shard].window(self.speech, int(elsewhere), int(elsewhere_frame), fps)
            ),
            "lips": _to_tensor(lips),
        }

    def _draw(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """A target: shard, utterance of the shard, frame of the utterance."""
        place = rng.random()
        n = int(np.searchsorted(self._cumulative, place, side="right"))
        below = self._cumulative[n - 1] if n else 0.0
        part = (place - below) / (self._cumulative[n] - below)  # of the utterance's share
        shard, utterance = (int(i) for i in self._utterances[n])
        frames = self.shards[shard].seen(utterance)
        return shard, utterance, int(frames[min(int(part * len(frames)), len(frames) - 1)])

    def _elsewhere(self, rng: np.random.Generator, shard: int, utterance: int, frame: int) -> tuple[int, int, int]:
        """A target whose speech does not belong to this frame: another utterance, or far away in the same."""
        for _ in range(MOST_DRAWS):
            other = self._draw(rng)
            if other[:2] != (shard, utterance) or abs(other[2] - frame) >= FAR_FRAMES:
                return other
        return other  # a corpus of one tiny clip has nothing further away


def cumulative_shares(speakers: np.ndarray, frames: np.ndarray, balance: float) -> np.ndarray:
    """Running sum of the utterances' probabilities (U,), from their speakers and numbers of frames.

    A speaker of n frames is drawn as often as n^(1 - balance), each of the frames alike.
    """
    _, speaker = np.unique(speakers, return_inverse=True)
    of_speaker = np.maximum(np.bincount(speaker, frames), 1)
    shares = np.cumsum(frames * of_speaker[speaker] ** -float(balance))
    return shares / shares[-1]


def _reference_frame(rng: np.random.Generator, target: int, frames: int) -> int:
    """A frame at least FAR_FRAMES from the target, or in a shorter clip the one that is furthest."""
    before, after = max(0, target - FAR_FRAMES + 1), max(0, frames - target - FAR_FRAMES)
    if before + after == 0:
        return 0 if target >= frames - 1 - target else frames - 1
    choice = int(rng.integers(before + after))
    return choice if choice < before else target + FAR_FRAMES + choice - before


def _to_tensor(array: np.ndarray) -> torch.Tensor:
    """(H, W, 3) pictures to (3, H, W); (H, W) to (1, H, W)."""
    array = array.transpose(2, 0, 1) if array.ndim == 3 else array[None]
    return torch.from_numpy(np.ascontiguousarray(array))


class _Batches:
    """The sample numbers of every batch from a step on: number = step x batch size + place."""

    def __init__(self, first_step: int, last_step: int, batch_size: int, rank: int, processes: int):
        self.first_step, self.last_step, self.batch_size = first_step, last_step, batch_size
        self.places = range(rank * batch_size // processes, (rank + 1) * batch_size // processes)

    def __len__(self) -> int:
        return max(0, self.last_step - self.first_step)

    def __iter__(self) -> Iterator[range]:
        for step in range(self.first_step, self.last_step):
            start = step * self.batch_size
            yield range(start + self.places.start, start + self.places.stop)


def batches(
    dataset: LipSyncDataset,
    first_step: int,
    last_step: int,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    processes: int = 1,
) -> DataLoader:
    """The batches of steps `first_step` to `last_step` (not included): the same whatever the number of workers.

    Of several processes, each gets its slice of every batch.
    """
    return DataLoader(
        dataset,
        batch_sampler=_Batches(first_step, last_step, batch_size, rank, processes),
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # not the global one: how often a run was resumed must not show in its state
    )
