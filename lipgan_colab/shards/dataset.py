"""The dataset that reads shards: pairs of frames with the speech that belongs to them, and some that does not."""

import copy
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from lipgan_colab.errors import InputError
from lipgan_colab.shards.augmentation import drawn_lots
from lipgan_colab.shards.held_out import held_out_ids
from lipgan_colab.shards.manifest import needed_shards, read_manifest
from lipgan_colab.shards.shard_file import CURE, Shard, fingerprint_of

FAR_FRAMES = 6  # a reference frame is at least this far from its target, as in the authors' train.py
RUN = 5  # consecutive frames that a sync expert looks at together
REFERENCES = ("any", "informative")
LIPS_APART = 4  # every fourth landmark tells how a mouth is shaped, and takes less time
MOST_DRAWS = 8  # of other speech, or of a clip that is long enough, until it will do
MOST_DAMAGED = 100  # frames in a row, until too little is whole to go on


class LipSyncDataset(Dataset):
    """Training samples from a folder of shards; sample n is a pure function of (seed, n).

    `dataset[n]` is a dict of tensors:
        reference, target: uint8 (3, S, S) RGB; two frames of one utterance at least 6 frames apart.
        frames: int64 (2,), which of `all_frames` these two are.
        speech: float32 (1, 12, 35) or (1, 80, 27), the window of the target frame.
        unsynced_speech: a window from elsewhere in the corpus.
        lips, reference_lips: float32 (L, 2), the landmarks of either's lips in [0, 1]; nan where there are none.
        lots: float32, the numbers by which `augmentation.augmented` is to vary the faces.

    `dataset[n, k]` is frame k of a run of RUN consecutive frames, which share everything but target, lips and speech;
    the first one has the run's sound besides:
        run_speech: float32 (1, 80, 16), the mel window that begins with it, for a sync expert.

    Args:
        folder: where the shards are.
        seed: another seed draws other samples.
        speech: "mfcc" or "mel".
        balance: how far speakers with few frames are drawn more often: 0 draws every frame alike, 1 every speaker.
        references: which frames are references: "any", or "informative": frames in which the head is held as in the
            target and the mouth is another ("selective information sampling" of MuseTalk, Zhang et al. 2024, section
            3.3): of the half whose poses are nearest, the half whose lips are furthest.
        held_out: whom `held_out_ids` is asked for; their clips are drawn by `of_held_out` alone.
        skip_damaged: go on without shards that are damaged, with a warning that names them.

    Attributes:
        fingerprint: of the set of clips that the shards were made of (see corpus.fingerprint).
        clips: id, speaker and licence of each clip.
        held_out: the ids of the clips that are.
        decodes: False leaves out reference and target, for somebody who holds `all_frames`.

    Raises:
        InputError: no shard there, one is damaged, or there is no frame with a face.
    """

    def __init__(
        self,
        folder: str | Path,
        seed: int = 0,
        speech: str = "mfcc",
        balance: float = 0.0,
        references: str = "any",
        held_out: str = "none",
        skip_damaged: bool = False,
    ):
        self.folder, self.seed, self.speech, self.references = Path(folder), seed, speech, references
        self.skip_damaged, self.decodes = skip_damaged, True
        self.shards = [shard for path in needed_shards(folder) if (shard := self._opened(path)) is not None]
        known = read_manifest(folder).get("fingerprint")  # the same where shards have been left out
        self.fingerprint = known or fingerprint_of([shard.metadata for shard in self.shards])
        # One entry an utterance: in which shard it is the how-manieth, and how many of its frames may be targets.
        self._utterances = np.array(
            [(s, u) for s, shard in enumerate(self.shards) for u in range(len(shard.first_frame) - 1)], np.int32
        ).reshape(-1, 2)
        self._seen = np.array([len(self.shards[s].seen(u)) for s, u in self._utterances], np.int64)
        if not self._seen.sum():
            raise InputError(f"{folder}: no frame with a face in its shards; preprocess other videos")
        self.settings = self.shards[0].metadata["settings"]
        self.clips = [clip for s in self.shards for clip in s.metadata["utterances"]]
        self._speakers, self._balance = np.array([clip["speaker"] for clip in self.clips]), balance
        held = held_out_ids({clip["id"]: clip["speaker"] for clip in self.clips}, held_out, seed)
        self.held_out = sorted(held)
        self._held = np.array([clip["id"] in held for clip in self.clips])
        self._draw_from(~self._held)
        self._shard_frames = np.cumsum([0, *(int(shard.first_frame[-1]) for shard in self.shards)])

    def _draw_from(self, utterances: np.ndarray) -> None:
        """Let samples be of some utterances (U,) only."""
        self._targets = self._seen * utterances
        if not self._targets.sum():
            raise InputError(f"{self.folder}: all of its clips are held out; hold out fewer (`held_out`)")
        self._cumulative = cumulative_shares(self._speakers, self._targets, self._balance)

    def of_held_out(self) -> "LipSyncDataset":
        """Other samples of the same shards: of the clips that are held out, or where there are none, of all."""
        others = copy.copy(self)
        others.seed = self.seed + 1
        if (self._seen * self._held).any():
            others._draw_from(self._held)
        return others

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

    def __getitem__(self, number: int | tuple[int, int | None]) -> dict[str, torch.Tensor]:
        number, of_run = number if isinstance(number, tuple) else (number, None)
        rng = np.random.default_rng((self.seed, number))
        for _ in range(MOST_DAMAGED):
            try:
                return self._sample(rng, of_run)
            except InputError as error:
                self._leave_out(error)  # another is drawn
        raise InputError(f"{self.folder}: too much of it is damaged to go on; {CURE}")

    def _sample(self, rng: np.random.Generator, of_run: int | None) -> dict[str, torch.Tensor]:
        fps = self.settings["fps"]
        s, utterance, frame = self._draw(rng) if of_run is None else self._draw_run(rng)
        shard = self.shards[s]
        first, last = (int(n) for n in shard.first_frame[utterance : utterance + 2])
        reference = self._reference_frame(rng, shard, first, last, frame)
        elsewhere_shard, elsewhere, elsewhere_frame = self._elsewhere(rng, s, utterance, frame)
        lots = drawn_lots(rng)
        target = min(frame + (of_run or 0), last - first - 1)
        sample = {
            "frames": self._shard_frames[s] + first + np.array([reference, target]),
            "speech": shard.window(self.speech, utterance, target, fps)[None],
            "unsynced_speech": self.shards[elsewhere_shard].window(self.speech, elsewhere, elsewhere_frame, fps)[None],
            "lips": shard.lips(first + target, first + target + 1)[0],
            "reference_lips": shard.lips(first + reference, first + reference + 1)[0],
            "lots": lots,
        }
        if self.decodes:
            sample["reference"], sample["target"] = (
                shard.frame(first + n).transpose(2, 0, 1) for n in (reference, target)
            )
        if of_run == 0:
            sample["run_speech"] = shard.window("wav2lip", utterance, frame, fps)[None]
        return {name: torch.from_numpy(value) for name, value in sample.items()}

    @property
    def frame_count(self) -> int:
        """How many frames the shards have, with a face or without."""
        return int(self._shard_frames[-1])

    @property
    def size(self) -> int:
        """Width and height of the faces."""
        return self.shards[0].size

    def all_frames(self) -> Iterator[tuple[Shard, int]]:
        """Every frame of the shards in the order in which `frames` counts them: its shard, and its place there."""
        for shard in self.shards:
            yield from ((shard, frame) for frame in range(int(shard.first_frame[-1])))

    def _draw(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """A target: shard, utterance of the shard, frame of the utterance."""
        place = rng.random()
        n = int(np.searchsorted(self._cumulative, place, side="right"))
        below = self._cumulative[n - 1] if n else 0.0
        part = (place - below) / (self._cumulative[n] - below)  # of the utterance's share
        shard, utterance = (int(i) for i in self._utterances[n])
        frames = self.shards[shard].seen(utterance)
        return shard, utterance, int(frames[min(int(part * len(frames)), len(frames) - 1)])

    def _draw_run(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """As `_draw`, the first of RUN frames with a face; of whatever there is where none is found."""
        for _ in range(MOST_DRAWS):
            shard, utterance, frame = self._draw(rng)
            starts = self.shards[shard].runs(utterance, RUN)
            if len(starts):
                return shard, utterance, int(starts[min(np.searchsorted(starts, frame), len(starts) - 1)])
        return shard, utterance, frame

    def _elsewhere(self, rng: np.random.Generator, shard: int, utterance: int, frame: int) -> tuple[int, int, int]:
        """A target whose speech does not belong to this frame: another utterance, or far away in the same."""
        for _ in range(MOST_DRAWS):
            other = self._draw(rng)
            if other[:2] != (shard, utterance) or abs(other[2] - frame) >= FAR_FRAMES:
                return other
        return other  # a corpus of one tiny clip has nothing further away

    def _reference_frame(self, rng: np.random.Generator, shard: Shard, first: int, last: int, target: int) -> int:
        """A frame at least FAR_FRAMES from the target, or in a shorter clip the one that is furthest."""
        frames = last - first
        far = np.flatnonzero(np.abs(np.arange(frames) - target) >= FAR_FRAMES)
        if not len(far):
            return 0 if target >= frames - 1 - target else frames - 1
        if self.references == "informative":
            lips = shard.lips(first, last)[:, ::LIPS_APART]
            far = _informative(far, target, shard.rows("head_pose", first, last), lips)
        return int(far[rng.integers(len(far))])


def cumulative_shares(speakers: np.ndarray, frames: np.ndarray, balance: float) -> np.ndarray:
    """Running sum of the utterances' probabilities (U,), from their speakers and numbers of frames.

    A speaker of n frames is drawn as often as n^(1 - balance), each of the frames alike.
    """
    _, speaker = np.unique(speakers, return_inverse=True)
    of_speaker = np.maximum(np.bincount(speaker, frames), 1)
    shares = np.cumsum(frames * of_speaker[speaker] ** -float(balance))
    return shares / shares[-1]


def _informative(frames: np.ndarray, target: int, poses: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """Of some frames those whose heads are held as the target's and whose mouths are others: a quarter, or all of them
    where nothing is known.

    Args:
        frames: (N,) numbers of frames.
        target: another one.
        poses: (F, 3) of all frames, in degrees.
        lips: (F, L, 2) landmarks of all frames.
    """
    shapes = lips - lips.mean(axis=1, keepdims=True)
    apart = np.linalg.norm(poses[frames] - poses[target], axis=1)
    other = np.linalg.norm(shapes[frames] - shapes[target], axis=(1, 2))
    known = np.isfinite(apart) & np.isfinite(other)
    if not known.any():
        return frames
    frames, apart, other = frames[known], apart[known], other[known]
    nearest = np.argsort(apart, kind="stable")[: -(-len(frames) // 2)]
    return frames[nearest[np.argsort(-other[nearest], kind="stable")[: -(-len(nearest) // 2)]]]


def run_places(samples: int, runs: int) -> np.ndarray:
    """Which of a batch's samples are the frames of its runs: (runs, RUN).

    A run begins each of as many equal parts of the batch, so that processes that share a batch share its runs.
    """
    return np.arange(runs)[:, None] * (samples // max(1, runs)) + np.arange(RUN)


class _Batches:
    """The sample numbers of every batch from a step on: number = step x batch size + place; of a run's frames that of
    its first one, and which frame it is."""

    def __init__(self, first_step: int, last_step: int, batch_size: int, rank: int, processes: int, runs: int):
        self.first_step, self.last_step, self.batch_size = first_step, last_step, batch_size
        places: list[tuple[int, int | None]] = [(place, None) for place in range(batch_size)]
        for run in run_places(batch_size, runs).tolist():
            for k, place in enumerate(run):
                places[place] = (run[0], k)
        self.places = places[rank * batch_size // processes : (rank + 1) * batch_size // processes]

    def __len__(self) -> int:
        return max(0, self.last_step - self.first_step)

    def __iter__(self) -> Iterator[list[tuple[int, int | None]]]:
        for step in range(self.first_step, self.last_step):
            yield [(step * self.batch_size + place, k) for place, k in self.places]


def batches(
    dataset: LipSyncDataset,
    first_step: int,
    last_step: int,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    processes: int = 1,
    runs: int = 0,
) -> DataLoader:
    """The batches of steps `first_step` to `last_step` (not included): the same whatever the number of workers.

    Of several processes, each gets its slice of every batch. Of each batch, `runs` times RUN samples are consecutive
    frames (see `run_places`).
    """
    return DataLoader(
        dataset,
        batch_sampler=_Batches(first_step, last_step, batch_size, rank, processes, runs),
        num_workers=workers,
        collate_fn=collated,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # not the global one: how often a run was resumed must not show in its state
    )


def collated(samples: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Samples as one batch; what only some of them have, of those."""
    names = dict.fromkeys(name for sample in samples for name in sample)
    return {name: default_collate([sample[name] for sample in samples if name in sample]) for name in names}
