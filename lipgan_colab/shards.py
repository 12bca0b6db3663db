"""The dataset that reads shards: pairs of frames with the speech that belongs to them, and some that does not."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lipgan_colab.errors import InputError
from lipgan_colab.manifest import read_manifest, shard_paths
from lipgan_colab.shard_file import CURE, Shard, fingerprint_of

FAR_FRAMES = 6  # a reference frame is at least this far from its target, as in the authors' train.py
PAINTED_OVER = 0.4  # of the references, when augmenting, have their mouths hidden
MOST_DRAWS = 8  # of other speech, until one is far enough away
MOST_DAMAGED = 100  # frames in a row, until too little is whole to go on


def lip_region(points: np.ndarray, size: int) -> np.ndarray:
    """The mouth in a crop: the lips' hull, grown by a twelfth of the crop and softened, uint8 (size, size), 255 inside.

    Args:
        points: (L, 2) lip landmarks in [0, 1]; nan (no landmarks) gives the place where the lips usually are.
    """
    if not np.isfinite(points).all():
        points = np.array([[0.3, 0.68], [0.7, 0.68], [0.7, 0.9], [0.3, 0.9]], np.float32)
    mask = np.zeros((size, size), np.uint8)
    hull = cv2.convexHull((points * size).astype(np.float32)).round().astype(np.int32)
    cv2.fillConvexPoly(mask, hull, 255)
    grown = 2 * (size // 24) + 1
    mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (grown, grown)))
    return cv2.GaussianBlur(mask, (0, 0), size / 48)


def _recolour(rng: np.random.Generator) -> np.ndarray:
    """A random lookup table (256, 1, 3): gain, gamma and tint, within what light and cameras do to a face."""
    levels = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    gamma = np.exp(rng.uniform(-0.35, 0.35))
    gain = np.exp(rng.uniform(-0.25, 0.15) + rng.uniform(-0.12, 0.12, size=3))
    return (np.clip(levels**gamma * gain, 0, 1) * 255).astype(np.uint8)[:, None, :]


def _painted_over(rng: np.random.Generator, face: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A face (S, S, 3) whose mouth is gone under skin, with or without a broad smile drawn there instead.

    A network that has seen the mouths of few people copies an unknown one, smile and all. From such references it
    learns that only the speech tells how the mouth is to be.

    Args:
        points: (L, 2) lip landmarks in [0, 1]; nan where there are none, and the face is left as it is.
    """
    if not np.isfinite(points).all():
        return face
    size = len(face)
    mask = lip_region(points, size).astype(np.float32)[..., None] / 255
    skin = cv2.GaussianBlur(face * (1 - mask), (0, 0), size / 10) / (
        cv2.GaussianBlur(1 - mask, (0, 0), size / 10)[..., None] + 1e-3
    )
    painted = face + mask * (skin - face)
    if rng.random() < 0.7:
        low, high = points.min(axis=0) * size, points.max(axis=0) * size
        middle = (low + high) / 2 + rng.normal(0, size / 60, 2)
        half = (high[0] - low[0]) / 2 * rng.uniform(0.8, 1.5), size * rng.uniform(0.03, 0.08)
        lips = face[tuple((points[0] * size).astype(int).clip(0, size - 1)[::-1])] * rng.uniform(0.6, 1.0)
        teeth = rng.uniform(60, 240) * np.float32([1, 0.95, 0.88])
        bend = rng.uniform(-0.2, 0.8) * half[1]
        for part, colour in ((1.0, lips), (rng.uniform(0.3, 0.75), teeth)):
            x = np.linspace(-1, 1, 15)
            arc, open_by = bend * (1 - x**2) - bend / 2, part * half[1] * np.sqrt(1 - x**2)
            outline = np.r_[np.c_[x, arc - open_by], np.c_[x, arc + open_by][::-1]] * [half[0] * (0.5 + part / 2), 1]
            drawn = np.zeros((size, size), np.float32)
            cv2.fillPoly(drawn, [(16 * (middle + outline)).round().astype(np.int32)], 1, cv2.LINE_AA, 4)
            painted += cv2.GaussianBlur(drawn, (0, 0), 0.8)[..., None] * (colour - painted)
    return painted.clip(0, 255).astype(np.uint8)


def _new_shape(rng: np.random.Generator, size: int) -> np.ndarray:
    """Where the pixels of a face of another shape are taken from, (size, size, 2): a few people become many.

    Height and width change by up to 10 % each, the head turns by up to 6 degrees, and a smooth random field moves
    features by some pixels more.
    """
    grid = np.stack(np.meshgrid(*[np.arange(size, dtype=np.float32)] * 2), axis=2) - size / 2
    turn, (wide, high) = np.deg2rad(rng.uniform(-6, 6)), 1 + rng.uniform(-0.1, 0.1, size=2)
    turned = grid @ np.float32(
        [[wide * np.cos(turn), high * np.sin(turn)], [-wide * np.sin(turn), high * np.cos(turn)]]
    )
    bent = cv2.resize(
        rng.normal(0, size / 60, (5, 5, 2)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC
    )
    return turned + bent + size / 2 + rng.uniform(-size / 32, size / 32, size=2)


def _jittered(rng: np.random.Generator, where: np.ndarray) -> np.ndarray:
    """The same places, a little shifted (1/48 of the crop), scaled (2 %) and turned (1.5 degrees).

    Landmarks, and so boxes, move a little with the mouth. A network finds that out, and reads the lips off the framing
    of the target instead of listening: a third of a pixel was enough. More than that noise would be too much: it
    would unlearn to take skin and teeth from the place where the reference has them.
    """
    size = len(where)
    jitter = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-1.5, 1.5), 1 + rng.uniform(-0.02, 0.02))
    jitter[:, 2] += rng.uniform(-size / 48, size / 48, size=2)
    return cv2.transform(where, jitter)


def _taken(picture: np.ndarray, where: np.ndarray) -> np.ndarray:
    return cv2.remap(picture, where.astype(np.float32), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


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
        augment: mirror half of the samples, vary exposure, contrast and tint (both frames alike), and shift, scale and
            turn each frame by itself.
        balance: how far speakers with few frames are drawn more often: 0 draws every frame alike, 1 every speaker.
        skip_damaged: go on without shards that are damaged, with a warning that names them.

    Attributes:
        fingerprint: of the set of clips that the shards were made of (see corpora.fingerprint).

    Raises:
        InputError: no shard there, one is damaged, or there is no frame with a face.
    """

    def __init__(
        self,
        folder: str | Path,
        seed: int = 0,
        speech: str = "mfcc",
        augment: bool = True,
        balance: float = 0.0,
        skip_damaged: bool = False,
    ):
        self.folder, self.seed, self.speech, self.augment = Path(folder), seed, speech, augment
        self.skip_damaged = skip_damaged
        paths = shard_paths(folder)
        if not paths:
            raise InputError(f"{folder}: holds no shard-*.safetensors; preprocess videos into it first")
        self.shards = [shard for path in paths if (shard := self._opened(path)) is not None]
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
        self._cumulative = _cumulative_shares(np.array(speakers), self._targets, balance)

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
        lips_there = shard.rows("lip_landmarks", int(first) + reference, int(first) + reference + 1)[0]
        reference = shard.frame(int(first) + reference)
        lips = lip_region(shard.rows("lip_landmarks", int(first + frame), int(first + frame) + 1)[0], len(target))
        elsewhere_shard, elsewhere, elsewhere_frame = self._elsewhere(rng, s, utterance, frame)
        if self.augment:
            if rng.random() < PAINTED_OVER:
                reference = _painted_over(rng, reference, lips_there)
            table = _recolour(rng)
            reference, target = cv2.LUT(reference, table), cv2.LUT(target, table)
            shape = _new_shape(rng, len(target))
            reference = _taken(reference, _jittered(rng, shape))
            framing = _jittered(rng, shape)
            target, lips = _taken(target, framing), _taken(lips, framing)
            if rng.random() < 0.5:
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


def _cumulative_shares(speakers: np.ndarray, frames: np.ndarray, balance: float) -> np.ndarray:
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
