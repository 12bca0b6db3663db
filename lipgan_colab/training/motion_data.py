"""What mouth motion is learnt from: shards' speech, in many voices, and how the mesh of the lower face moves with it.

Movement is told in the head's frame (see faces.mesh), in centimetres from where the person's face rests, and by its
principal components over all that is learnt from.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from lipgan_colab.corpora.corpus import draw_number
from lipgan_colab.errors import InputError, check_ranges
from lipgan_colab.faces import lips, mesh
from lipgan_colab.models.motion import STRIDE, answer_times, as_heard, components
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.shards.dataset import cumulative_shares
from lipgan_colab.shards.held_out import held_out_ids
from lipgan_colab.shards.manifest import needed_shards
from lipgan_colab.shards.shard_file import Shard, fingerprint_of
from lipgan_colab.speech.features import mel
from lipgan_colab.speech.variation import varied, warped
from lipgan_colab.training.step import MOST_SEED

MIDDLE = (13, 14)  # of the inner lips, the upper one before the lower one
STILLEST = 0.15  # of a clip's frames are its person at rest, the least open ones
FEWEST_STILL = 4  # frames
FEWEST_SEEN, SHORTEST = 0.8, 10  # share of the frames in which the mesh must be known, and frames of a clip
MOST_VOICES = 6000  # kept in memory, of all clips together: 0.3 GB of clips of three seconds
SLOW = 13  # frames: slower changes of the opening than this tell little of the sync


RANGES = {  # of the configuration
    **dict.fromkeys(("steps", "most_clips"), (1, math.inf)),
    **dict.fromkeys(("batch_size", "channels"), (1, 4096)),
    "piece": (1, 24_000),  # ten minutes
    "voices": (0, MOST_VOICES),
    "warmup": (0, math.inf),
    "seed": (0, MOST_SEED),
    **dict.fromkeys(("learning_rate", "velocity_weight"), (0, 1e6)),
    **dict.fromkeys(("balance", "warp", "dropout"), (0, 1)),
}


@dataclass(frozen=True)
class MotionTrainConfig:
    """How a motion network is trained; written to the run's config.json.

    Attributes:
        steps: where the run ends, and where the learning rate's cosine reaches its end.
        batch_size: pieces of speech a step.
        piece: answers in each of them, 40 a second.
        channels: of the network's hidden layers.
        dropout: of the hidden layers, 0 to 1.
        most_clips: how many clips are learnt from at most, of each speaker in turn.
        voices: how many other voices each clip is said in; fewer where there are thousands of clips.
        warp: which share of the samples has a vocal tract of another length besides.
        velocity_weight: how many times as much the error of the movement's speed counts as that of its place.
        learning_rate: AdamW's, after the warm-up.
        warmup: steps over which the learning rate rises.
        balance: 0 draws every frame alike, 1 every speaker alike, 0.5 in between: as the roots of the speakers' frames.
        held_out: whom not to learn from, to measure by: none; a share of the speakers, such as 0.2; their names, with
            commas between; or auto: a few speakers, or clips where there are fewer than four. The weights that did best
            by them are exported; with none, the last ones.
        seed: of the weights, the voices and the samples.
    """

    steps: int = 1500
    batch_size: int = 24
    piece: int = 100
    channels: int = 160
    dropout: float = 0.3
    most_clips: int = 3000
    voices: int = 12
    warp: float = 0.5
    velocity_weight: float = 8.0
    learning_rate: float = 2e-3
    warmup: int = 50
    balance: float = 0.5
    held_out: str = "auto"
    seed: int = 0

    def __post_init__(self):
        check_ranges(self, RANGES)
        if self.batch_size * self.piece < 2:
            raise InputError("a batch of one answer: there must be 2 or more")


@dataclass
class Clip:
    """What is known of an utterance of F frames."""

    id: str
    speaker: str
    shard: Shard
    utterance: int
    movement: np.ndarray  # float32 (F, L, 3): of the lower face's points, from where they rest
    rest_gap: np.ndarray  # (3,): from the lower to the upper lip's middle, at rest
    opening: np.ndarray  # (F,): between the lips' middles, the true ones
    answers: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (F, components)
    voices: list[tuple[np.ndarray, float]] = field(default_factory=list)  # float16 (80, T) as heard, and its rate

    @property
    def fps(self) -> float:
        return self.shard.metadata["settings"]["fps"]

    @property
    def times(self) -> np.ndarray:
        """The second in the middle of each frame, (F,)."""
        return (np.arange(len(self.opening)) + 0.5) / self.fps


@dataclass(frozen=True)
class Measures:
    """How well a network does on clips, means over them: `follows` and `others` are correlations of the quick changes
    of the mouth's opening with the truth's, from the clip's own speech and from another clip's; `range` is how widely
    it varies, as a part of the truth's."""

    follows: float
    others: float
    range: float


class Motions:
    """Pieces of speech, and what the mouth does meanwhile: sample n is a pure function of (config.seed, n).

    Attributes:
        learnt, held_out: the clips to learn from, and those to measure by.
        basis: float32 (components, 468, 3), and
        spread: float32 (components,): see models.motion.
        fingerprint: of the shards' clips.
        licences: of the clips that are learnt from.

    Args:
        folder: of shards.
        config: how they are drawn and varied.
        components: how many.

    Raises:
        InputError: there is no shard, or one without mesh and voice, or no clip is left to learn from, or a speaker who
            was to be held out is not there.
    """

    def __init__(self, folder: str | Path, config: MotionTrainConfig, components: int):
        self.config = config
        shards = [Shard.open(path) for path in needed_shards(folder)]
        for shard in shards:
            shard.check_mesh()
        self.fingerprint = fingerprint_of([shard.metadata for shard in shards])
        utterances = some_of_each(shards, config.most_clips, config.seed)
        clips = [c for s, u in tqdm(utterances, desc="movement", unit="clip") if (c := read_clip(s, u)) is not None]
        held_out = held_out_ids({clip.id: clip.speaker for clip in clips}, config.held_out, config.seed)
        self.learnt = [clip for clip in clips if clip.id not in held_out]
        self.held_out = [clip for clip in clips if clip.id in held_out]
        if not self.learnt:
            raise InputError(
                f"{folder}: no clip to learn from: they need {SHORTEST} frames in which a face is seen, and not to be "
                "held out; preprocess other videos"
            )
        self.licences = sorted({c.shard.metadata["utterances"][c.utterance]["licence"] for c in self.learnt})
        self._analyse(components)
        self._cumulative = cumulative_shares(*_speakers_and_frames(self.learnt), config.balance)
        self._hear()

    def _analyse(self, count: int) -> None:
        """Find the principal components of what is learnt from, and tell all movement by them."""
        lower = mesh.lower_face()
        spread, vectors = principal(self.learnt, self.config.balance)
        self.basis = np.zeros((count, mesh.POINTS, 3), np.float32)
        self.basis[:, lower] = vectors[:, :count].T.reshape(count, len(lower), 3)
        self.spread = spread[:count].astype(np.float32)
        for clip in self.learnt + self.held_out:
            clip.answers = clip.movement.reshape(len(clip.movement), -1) @ vectors[:, :count].astype(np.float32)
            clip.movement = np.zeros(0, np.float32)  # it takes much memory, and has been told

    def _hear(self) -> None:
        """Let all clips be said in their own voices, and those that are learnt from in others as well."""
        voices = min(self.config.voices, max(1, MOST_VOICES // len(self.learnt)))
        for clip in self.held_out:
            clip.voices = [(_heard(clip.shard.voice(clip.utterance)), 1.0)]
        for number, clip in enumerate(tqdm(self.learnt, desc="voices", unit="clip")):
            wave = clip.shard.voice(clip.utterance)
            clip.voices = [(_heard(wave), 1.0)]
            for voice in range(voices):
                sound, rate = varied(wave, np.random.default_rng((self.config.seed, number, voice)))
                clip.voices.append((_heard(sound), rate))

    def sample(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """What is heard, float32 (80, 2 N), and the answers to it, float32 (components, N); N is config.piece."""
        rng = np.random.default_rng((self.config.seed, number))
        clip = self.learnt[int(np.searchsorted(self._cumulative, rng.random(), side="right"))]
        spectrum, rate = clip.voices[rng.integers(len(clip.voices))]
        count, piece = spectrum.shape[1] // STRIDE, self.config.piece
        first = int(rng.integers(max(1, count - piece + 1)))
        # A shorter clip stays as it was at its end.
        columns = np.minimum(np.arange(STRIDE * first, STRIDE * (first + piece)), spectrum.shape[1] - 1)
        heard = spectrum[:, columns].astype(np.float32)
        if rng.random() < self.config.warp:
            heard = warped(heard, rng)
        times = answer_times(min(count, first + piece))[first:] * rate
        answers = np.stack([np.interp(times, clip.times, component) for component in clip.answers.T])
        answers = np.pad(answers, ((0, 0), (0, piece - len(times))), mode="edge")
        return heard, answers.astype(np.float32)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The samples of a step: (B, 80, 2 N) and (B, components, N)."""
        size = self.config.batch_size
        heard, answers = zip(*(self.sample(number) for number in range(step * size, (step + 1) * size)), strict=True)
        return torch.from_numpy(np.stack(heard)), torch.from_numpy(np.stack(answers))


def some_of_each(shards: Sequence[Shard], most: int, seed: int) -> list[tuple[Shard, int]]:
    """At most so many utterances of shards, in their order: of each speaker one in turn, by the lot."""
    there = [(shard, u, about) for shard in shards for u, about in enumerate(shard.metadata["utterances"])]
    turn: Counter[str] = Counter()
    ranked = []
    for number in sorted(range(len(there)), key=lambda n: draw_number(seed, there[n][2]["id"])):
        speaker = there[number][2]["speaker"]
        ranked.append((turn[speaker], len(ranked), number))
        turn[speaker] += 1
    return [there[number][:2] for number in sorted(number for *_, number in sorted(ranked)[:most])]


def read_clip(shard: Shard, utterance: int) -> Clip | None:
    """An utterance of a shard, without answers and voices; None where too little of it can be used."""
    first, last = (int(f) for f in shard.first_frame[utterance : utterance + 2])
    points = shard.mesh(first, last)
    known = np.isfinite(points).all(axis=(1, 2)) & shard.arrays["found"][first:last]
    if last - first < SHORTEST or known.mean() < FEWEST_SEEN:
        return None
    head = _in_head(_filled(points, known))
    opening = np.linalg.norm(head[:, MIDDLE[0]] - head[:, MIDDLE[1]], axis=1)
    rest = _resting(head, opening)
    lower = mesh.lower_face()
    movement = (head[:, lower] - rest[lower]) * mesh.mobility()[lower, None]
    about = shard.metadata["utterances"][utterance]
    return Clip(
        about["id"],
        about["speaker"],
        shard,
        utterance,
        movement.astype(np.float32),
        rest[MIDDLE[0]] - rest[MIDDLE[1]],
        opening,
    )


def _filled(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The same (F, K, 3), with frames that are not known between their neighbours."""
    places, there = np.arange(len(points)), np.flatnonzero(known)
    flat = points.reshape(len(points), -1)
    return np.stack([np.interp(places, there, column[there]) for column in flat.T], axis=1).reshape(points.shape)


def _in_head(kept: np.ndarray) -> np.ndarray:
    """Points that shards keep (F, K, 3) as meshes in the head's frame (F, 468, 3), nan where they are not kept."""
    points = np.full((len(kept), mesh.POINTS, 3), np.nan)
    points[:, mesh.kept_points()] = kept
    return mesh.head_pose(points).to_head(points)


def _resting(head: np.ndarray, opening: np.ndarray) -> np.ndarray:
    """A person's face (468, 3) at rest, by the frames (F, 468, 3) in which the mouth is open least; closed, for some
    people never do so while they speak."""
    stillest = np.argsort(opening, kind="stable")[: max(FEWEST_STILL, int(STILLEST * len(head)))]
    return lips.closed(head[stillest].mean(axis=0), np.full(len(lips.UPPER), lips.SHUT))


def _speakers_and_frames(clips: Sequence[Clip]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([clip.speaker for clip in clips]), np.array([len(clip.opening) for clip in clips])


def principal(clips: Sequence[Clip], balance: float) -> tuple[np.ndarray, np.ndarray]:
    """The principal components of movement: how widely each varies (3 L,), widest first, and they themselves, unit
    vectors in the columns of (3 L, 3 L). Speakers weigh as they are drawn (see dataset.cumulative_shares)."""
    speakers, frames = _speakers_and_frames(clips)
    shares = np.diff(cumulative_shares(speakers, frames, balance), prepend=0)
    size = clips[0].movement[0].size
    scatter = np.zeros((size, size))
    for clip, share in zip(clips, shares, strict=True):
        flat = clip.movement.reshape(len(clip.movement), -1)
        scatter += share / len(flat) * (flat.T @ flat)
    values, vectors = np.linalg.eigh(scatter)
    return np.sqrt(np.maximum(values[::-1], 0)), vectors[:, ::-1]


def _heard(wave: np.ndarray) -> np.ndarray:
    return as_heard(mel(wave)).astype(np.float16)


def measure(network: MotionNetwork, clips: Sequence[Clip]) -> Measures:
    """How well the network, in evaluation mode, does on clips that have voices; nan where there are too few."""
    own, others, ranges = [], [], []
    for number, clip in enumerate(clips):
        other = clips[(number + (len(clips) + 1) // 2) % len(clips)]
        told, wrong = (_told_opening(network, clip, speaker) for speaker in (clip, other))
        own.append(_together(clip.opening, told))
        others.append(_together(clip.opening, wrong) if other is not clip else np.nan)
        ranges.append(told.std() / max(clip.opening.std(), 1e-6))
    return Measures(*(float(np.mean(values)) if values else float("nan") for values in (own, others, ranges)))


def _told_opening(network: MotionNetwork, clip: Clip, speaker: Clip) -> np.ndarray:
    """How far the mouth of a clip would be open, (F,), were it to say what is said in another one."""
    moves = network.moves[:, list(MIDDLE)]
    told = components(network, speaker.voices[0][0].astype(np.float32), clip.times)
    return np.linalg.norm(clip.rest_gap + told @ (moves[:, 0] - moves[:, 1]), axis=1)


def _together(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of the quick changes of two openings (F,); 0 where one has none."""
    a, b = quick(a), quick(b)
    return float(a @ b / max(np.sqrt((a @ a) * (b @ b)), 1e-12))


def quick(opening: np.ndarray) -> np.ndarray:
    """An opening (F,) without its slow changes, and without its mean."""
    ones = np.ones(min(SLOW, len(opening)))
    slow = np.convolve(opening, ones, "same") / np.convolve(np.ones(len(opening)), ones, "same")
    left = opening - slow
    return left - left.mean()
