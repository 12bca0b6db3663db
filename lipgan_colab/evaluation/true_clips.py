"""The clips that generators are judged by, as they truly are: found and measured once, for all who are judged."""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from torch import Tensor

from lipgan_colab.corpora.corpus import Utterance
from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.measures import face_shape, measure, silent_frames, sound_sync
from lipgan_colab.evaluation.syncnet import SyncNet, lip_sync_error, syncnet_pictures
from lipgan_colab.faces import tracking
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face_clip import CROP, FPS, FaceClip, detected_clip, resized, upright_clip
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import read_video, resample_frames
from lipgan_colab.models.expert import lips_seen, sound_heard, verdict
from lipgan_colab.models.wav2lip import FRAMES, SyncExpert
from lipgan_colab.speech.features import mel
from lipgan_colab.speech.sync import OFFSETS

LONGEST = 250  # frames of a clip that are looked at
SHIFT = 8  # frames by which the true video is shown late and early


@dataclass(frozen=True)
class Speech:
    """What is said in a clip: its first LONGEST frames' sound, float32 (n,)."""

    utterance: Utterance
    wave: np.ndarray


@dataclass(frozen=True)
class Clip:
    """A clip as it truly is.

    `crops` is the true clip as every generated one is judged: its face found in frames made of crops. `full`
    has the same frames, but the face found in the video itself.
    """

    speech: Speech
    yaw: float
    crops: FaceClip
    full: FaceClip


@dataclass(frozen=True)
class Judges:
    """Networks that judge the sync: our own, and the authors' SyncNet where there is one."""

    expert: SyncExpert | None
    syncnet: SyncNet | None


class TrueClips:
    """Clips to judge by.

    Args:
        utterances: which.
        size: of their crops, in pixels.
        judges: who listens.
        where: the folder's name, for a person.
        kept: a folder where they wait for the next generator, so that faces are found once; None keeps none.
    """

    def __init__(
        self, utterances: Sequence[Utterance], size: int, judges: Judges, where: str, kept: Path | None = None
    ):
        self.utterances, self.size, self.judges, self.where, self.kept = utterances, size, judges, where, kept
        self._waves: dict[str, np.ndarray | InputError] = {}
        self._clips: dict[str, Path | InputError] = {}
        self._listeners: dict[str, Listener] = {}

    def speech(self, utterance: Utterance) -> Speech:
        """What is said in a clip. InputError where there is no sound."""
        if utterance.id not in self._waves:
            try:
                self._waves[utterance.id] = read_speech(utterance.path)[: LONGEST * SAMPLE_RATE // FPS]
            except InputError as error:
                self._waves[utterance.id] = error
        return Speech(utterance, _or_raised(self._waves[utterance.id]))

    def clips(self, speeches: Sequence[Speech], skipped: list[dict]) -> Iterator[Clip]:
        """The clips of these speeches; those in which no face can be judged go to `skipped`."""
        with ExitStack() as last:
            finder = None
            for speech in speeches:
                try:
                    clip = self._kept(speech.utterance.id)
                    if clip is None:
                        finder = finder or last.enter_context(FaceFinder())
                        clip = read_clip(speech, finder, self.size)
                    yield clip
                except InputError as error:
                    self._clips[speech.utterance.id] = error
                    skipped.append({"id": speech.utterance.id, "reason": str(error)})

    def _kept(self, clip: str) -> Clip | None:
        where = self._clips.get(clip)
        return None if where is None else pickle.loads(_or_raised(where).read_bytes())

    def listener(self, clip: Clip) -> "Listener":
        """Who has heard and seen the true clip, and judges others of the same frames by it."""
        name = clip.speech.utterance.id
        if name not in self._listeners:
            listener = Listener(clip, self.judges)
            if self.kept is None:
                return listener
            self._listeners[name] = listener
            where = self.kept / f"{len(self._listeners)}.pickle"
            where.write_bytes(pickle.dumps(clip))  # with the masks and the flow that were made of it
            self._clips[name] = where
        return self._listeners[name]


def _or_raised(found):
    if isinstance(found, InputError):
        raise found
    return found


def read_clip(speech: Speech, finder: FaceFinder, size: int) -> Clip:
    """A clip, its crops of this size in pixels. InputError where no face can be judged."""
    pictures = list(islice(resample_frames(read_video(speech.utterance.path), FPS), LONGEST))
    followed = tracking.fill_gaps(tracking.smooth_boxes(tracking.track(pictures, finder)))
    full = upright_clip(pictures, followed, size)
    # The truth goes through the same crop as the generated faces, so that only the generator makes a difference.
    seen = detected_clip(full.frames, finder)
    face_shape(seen)  # raises where nothing is seen
    return Clip(speech, float(np.mean([face.yaw for face in followed])), seen, full)


class Listener:
    """What is known of a clip before any generator is judged by it, and how others of its frames are measured.

    Args:
        clip: as it truly is.
        judges: who listens.
        variants: clips of its frames by their names; None takes those that are made of the truth (`scores.VARIANTS`).

    Attributes:
        scores, sync: of the variants, as `ClipScores` has them.
    """

    def __init__(self, clip: Clip, judges: Judges, variants: dict[str, FaceClip] | None = None):
        self._judges, self._wave, frames = judges, clip.speech.wave, len(clip.crops.frames)
        self._silent, self._spectrum = silent_frames(self._wave, frames), mel(self._wave)
        self._heard = min(frames, len(self._wave) * FPS // SAMPLE_RATE)
        self._sounds = None
        if judges.expert is not None and self._heard >= FRAMES:
            self._sounds = sound_heard(judges.expert, self._wave, self._heard)
        variants = _made_of_the_truth(clip) if variants is None else variants
        self.scores, self.sync = self.of(variants, clip.crops)

    def of(
        self, variants: dict[str, FaceClip], true: FaceClip
    ) -> tuple[dict[str, dict[str, float]], dict[str, np.ndarray]]:
        """Clips of the same frames, measured: by their names what was found, and `measures.sound_sync`."""
        sync = {name: sound_sync(variant, self._spectrum) for name, variant in variants.items()}
        looked: dict[tuple, Tensor] = {}
        scores = {
            name: measure(variant, true, self._silent)
            | {"sound": float(sync[name][OFFSETS == 0][0])}
            | self._expert_says(variant, looked)
            | _syncnet_says(self._judges.syncnet, variant, self._wave)
            for name, variant in variants.items()
        }
        return scores, sync

    def _expert_says(self, variant: FaceClip, looked: dict[tuple, Tensor]) -> dict[str, float]:
        """It has heard the sound once, and looks once at what many show."""
        if self._sounds is None:
            return {"expert_d": np.nan, "expert_c": np.nan}
        seen = lips_seen(self._judges.expert, resized(variant.crops[: self._heard], CROP), looked)
        found = verdict(seen, self._sounds)
        return {"expert_d": found.distance, "expert_c": found.confidence}


def _made_of_the_truth(clip: Clip) -> dict[str, FaceClip]:
    true, places = clip.crops, np.arange(len(clip.crops.frames))
    return {
        "true": clip.full,
        "still": true.at(0 * places),
        "mean": _mean_clip(true),
        "late": true.at(places - SHIFT),
        "early": true.at(places + SHIFT),
    }


def _mean_clip(true: FaceClip) -> FaceClip:
    """The mean of a clip's frames, as often: pictures and landmarks averaged."""
    shape = (len(true.frames), 1, 1)
    picture = true.frames.mean(axis=0).round().astype(np.uint8)
    points = np.nanmean(true.landmarks, axis=0)
    return FaceClip(np.tile(picture, (*shape, 1)), np.tile(points, shape))


def _syncnet_says(syncnet: SyncNet | None, variant: FaceClip, wave: np.ndarray) -> dict[str, float]:
    unknown = {"lse_d": np.nan, "lse_c": np.nan}
    if syncnet is None or not np.isfinite(variant.landmarks).any():
        return unknown
    try:
        error = lip_sync_error(syncnet, syncnet_pictures(variant), wave)
    except InputError:  # too short a clip, of which the rest can still be told
        return unknown
    return {"lse_d": error.distance, "lse_c": error.confidence}
