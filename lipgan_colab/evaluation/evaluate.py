"""How good is it: held-back clips are generated again from one of their frames, and compared with the truth.

Clips run through stages that work at the same time (see `pipeline`): faces are found, crops generated, faces found in
those, all measured. What is judged is the generator: mouths do not rest in pauses, nothing is pasted back.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm.auto import tqdm

from lipgan_colab.corpora.corpus import Utterance, folder, only
from lipgan_colab.device import keep_freed_memory, pick_device
from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.measures import MEASURES, face_shape, measure, silent_frames, sound_sync
from lipgan_colab.evaluation.moved_clips import moved_crops
from lipgan_colab.evaluation.report_page import Sample, page, sample
from lipgan_colab.evaluation.scores import ClipScores, Evaluation, write_csv, write_table
from lipgan_colab.evaluation.syncnet import SyncNet, lip_sync_error, load_syncnet, syncnet_pictures
from lipgan_colab.faces import tracking
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face_clip import CROP, FPS, FaceClip, detected_clip, resized, upright_clip
from lipgan_colab.files import NotWritten, make_folder, written_whole
from lipgan_colab.generation.crops import generate_crops
from lipgan_colab.generation.setting import ready_generator
from lipgan_colab.media.pipeline import ahead
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import read_video, resample_frames
from lipgan_colab.models.expert import fingerprint, lips_seen, sound_heard, verdict
from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.lipgan import check_face_size
from lipgan_colab.models.motion import MotionNetwork
from lipgan_colab.models.wav2lip import FRAMES, SyncExpert
from lipgan_colab.models.weights import SYNC_EXPERT, Generator, load_expert
from lipgan_colab.speech.features import SpeechInput, mel
from lipgan_colab.speech.sync import OFFSETS

__all__ = ["MEASURES", "ClipScores", "Evaluation", "evaluate"]

LONGEST = 250  # frames of a clip that are looked at
SHIFT = 8  # frames by which the true video is shown late and early


@dataclass(frozen=True)
class _Speech:
    """What is said in a clip: its first LONGEST frames' sound (n,), and what the generator hears of it."""

    utterance: Utterance
    wave: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class _Clip:
    """A clip as it truly is.

    `crops` is the true clip as every generated one is judged: its face found in frames made of crops. `full`
    has the same frames, but the face found in the video itself.
    """

    speech: _Speech
    yaw: float
    crops: FaceClip
    full: FaceClip


@dataclass(frozen=True)
class _Judges:
    """Networks that judge the sync: our own, and the authors' SyncNet where there is one."""

    expert: SyncExpert | None
    syncnet: SyncNet | None


def evaluate(
    videos: str | Path,
    weights: str | Path | Generator,
    out: str | Path,
    ids: Sequence[str] | None = None,
    device: str | torch.device | None = None,
    window_offset: int | None = None,
    syncnet: str | Path | None = None,
    expert: str | Path = "expert",
    size: int | None = None,
) -> Evaluation:
    """Generate clips from their first frame and their speech, and compare; once more with another clip's speech.

    Args:
        videos: folder of clips that the generator has not been trained on.
        weights: run folder; file (.safetensors, LipGAN's .h5, Wav2Lip's .pth); name that the verb "weights" lists; or a
            generator.
        out: folder that gets table.txt, clips.csv and frames.png (see `Evaluation`).
        ids: which clips of the folder (paths below it, with or without suffix); None takes all.
        device: cuda, cuda:1, mps, cpu; None takes the GPU where there is one.
        window_offset: by how many frames of 1/25 s the speech windows begin later than their kind says; None takes what
            the weights were trained with.
        syncnet: the authors' syncnet_v2.model, for LSE-D and LSE-C; slow without a GPU.
        expert: the sync expert that expert_d and expert_c are of: a run folder or file of train-expert, or
            "expert", which comes with the package.
        size: width and height in pixels (96, 192, 288) of the crops that are judged, to which a generator of another
            size has its faces scaled: so that the sharpness of several can be compared. None takes the generator's.

    Raises:
        InputError: no clip can be judged, the weights cannot be used, or the results not be written.
    """
    keep_freed_memory()
    if window_offset is not None and abs(window_offset) > LONGEST:
        raise InputError(f"`window_offset` {window_offset}: so many frames are longer than a clip; give fewer")
    utterances = folder(videos)
    if ids is not None:
        utterances = _chosen(utterances, ids, str(videos))
    generator = ready_generator(weights, device, window_offset)
    if size is None:
        size = CROP if isinstance(generator, MotionNetwork) else generator.face_size
    check_face_size(size)
    judges = _Judges(
        _impartial(load_expert(expert, pick_device(device)), generator),
        load_syncnet(syncnet, device) if syncnet is not None else None,
    )
    out = make_folder(out)  # before hours are spent on what would lie there
    skipped: list[dict] = []
    speeches = _speeches(utterances, generator.speech_input, skipped)
    scores: list[ClipScores] = []
    samples: list[Sample] = []
    shapes = []
    stages = ahead(_seen(ahead(_generated(ahead(_clips(speeches, skipped, size), 1), speeches, generator), 1)), 1)
    with closing(stages), tqdm(total=len(speeches), unit="clip", desc="evaluate") as progress:
        for clip, own, another in stages:
            scores.append(_scores(clip, own, another, judges))
            samples.append(
                sample(clip.speech.utterance.id, scores[-1].scores["generated"]["high_passed"], clip.crops, own)
            )
            shapes.append(face_shape(clip.crops))
            progress.update(len(scores) + len(skipped) - progress.n)
    if not scores:
        with suppress(OSError):  # something lies in it
            out.rmdir()
        raise InputError(f"{videos}: no clip can be judged ({skipped[0]['reason'] if skipped else 'it is empty'})")
    evaluation = Evaluation(out, scores, skipped, size)
    try:
        write_csv(evaluation)
        write_table(evaluation)
        with written_whole(evaluation.folder / "frames.png") as unfinished:
            picture = cv2.cvtColor(page(samples, np.mean(shapes, axis=0)), cv2.COLOR_RGB2BGR)
            unfinished.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    except NotWritten:
        tqdm.write(str(evaluation))  # what took hours is shown, at least
        raise
    return evaluation


def _chosen(utterances: list[Utterance], ids: Sequence[str], videos: str) -> list[Utterance]:
    chosen = only(utterances, ids, videos)
    there = {u.id for u in utterances}
    shot = next((u.id for u in chosen if u.id not in there), None)
    if shot is not None:
        raise InputError(
            f"{shot}: a shot of a film, and films are judged from their beginning; make it a file of its own"
        )
    return chosen


def _speeches(utterances: list[Utterance], hears: SpeechInput, skipped: list[dict]) -> list[_Speech]:
    """The clips' speech; those without go to `skipped`."""
    speeches = []
    for utterance in utterances:
        try:
            wave = read_speech(utterance.path)[: LONGEST * SAMPLE_RATE // FPS]
            speeches.append(_Speech(utterance, wave, hears.features(wave)))
        except InputError as error:
            skipped.append({"id": utterance.id, "reason": str(error)})
    return speeches


def _clips(speeches: list[_Speech], skipped: list[dict], size: int) -> Iterator[_Clip]:
    """The clips, their crops of this size; those in which no face can be judged go to `skipped`."""
    with FaceFinder() as finder:
        for speech in speeches:
            try:
                yield _read_clip(speech, finder, size)
            except InputError as error:
                skipped.append({"id": speech.utterance.id, "reason": str(error)})


def _read_clip(speech: _Speech, finder: FaceFinder, size: int) -> _Clip:
    pictures = list(islice(resample_frames(read_video(speech.utterance.path), FPS), LONGEST))
    followed = tracking.fill_gaps(tracking.smooth_boxes(tracking.track(pictures, finder)))
    full = upright_clip(pictures, followed, size)
    # The truth goes through the same crop as the generated faces, so that only the generator makes a difference.
    seen = detected_clip(full.frames, finder)
    face_shape(seen)  # raises where nothing is seen
    return _Clip(speech, float(np.mean([face.yaw for face in followed])), seen, full)


def _generated(
    clips: Iterator[_Clip], speeches: list[_Speech], generator: Generator
) -> Iterator[tuple[_Clip, np.ndarray, np.ndarray]]:
    """Each clip, and its crops (F, S, S, 3) generated from its own and from another clip's speech."""
    with closing(clips):
        for clip in clips:
            said = [speech.features for speech in (clip.speech, _another(speeches, clip.speech))]
            if isinstance(generator, MotionNetwork):
                yield clip, *moved_crops(clip.full, generator, said)
            else:
                answers = _generate(generator, resized(clip.full.crops, generator.face_size), said)
                yield clip, *(resized(crops, clip.full.size) for crops in answers)


def _another(speeches: list[_Speech], own: _Speech) -> _Speech:
    """Other words, of the same speaker where there are two clips: half of the list away, because clips whose names are
    neighbours often begin with the same words (GRID's do)."""
    same = [s for s in speeches if s.utterance.speaker == own.utterance.speaker]
    candidates = same if len(same) > 1 else speeches
    place = next(k for k, s in enumerate(candidates) if s is own)
    return candidates[(place + max(1, len(candidates) // 2)) % len(candidates)]


def _generate(
    generator: Generator, crops: np.ndarray, speeches: Sequence[np.ndarray], batch_size: int = 32
) -> list[np.ndarray]:
    """The clip's crops as they speak each of several speeches, generated from the first one: uint8 (F, S, S, 3)."""
    windows = [generator.speech_input.windows(features, len(crops), FPS) for features in speeches]
    parts = []
    for start in range(0, len(crops), batch_size):
        targets = crops[start : start + batch_size]
        references = np.repeat(crops[:1], len(targets), axis=0)
        heard = np.concatenate([w[start : start + batch_size] for w in windows])
        answers = generate_crops(generator, references, targets, heard)
        parts.append(answers.reshape(len(speeches), *targets.shape))
    return list(np.concatenate(parts, axis=1))


def _seen(made: Iterator[tuple[_Clip, np.ndarray, np.ndarray]]) -> Iterator[tuple[_Clip, FaceClip, FaceClip]]:
    """Each clip, and its two generated ones."""
    with closing(made), FaceFinder(max_faces=1) as finder:
        for clip, *generated in made:
            own, another = (detected_clip(clip.full.frames_with(crops), finder) for crops in generated)
            yield clip, own, another


def _scores(clip: _Clip, own: FaceClip, another: FaceClip, judges: _Judges) -> ClipScores:
    """All variants of a clip (see `scores.VARIANTS`), measured."""
    true, places = clip.crops, np.arange(len(clip.crops.frames))
    variants = {
        "generated": own,
        "another": another,
        "true": clip.full,
        "still": true.at(0 * places),
        "mean": _mean_clip(true),
        "late": true.at(places - SHIFT),
        "early": true.at(places + SHIFT),
    }
    silent = silent_frames(clip.speech.wave, len(places))
    spectrum = mel(clip.speech.wave)
    sync = {name: sound_sync(variant, spectrum) for name, variant in variants.items()}
    expert_says = _listening(judges.expert, clip.speech.wave, len(places))
    scores = {
        name: measure(variant, true, silent)
        | {"sound": float(sync[name][OFFSETS == 0][0])}
        | expert_says(variant)
        | _syncnet_says(judges.syncnet, variant, clip.speech.wave)
        for name, variant in variants.items()
    }
    about = clip.speech.utterance
    return ClipScores(about.id, about.speaker, len(places), clip.yaw, scores, sync)


def _impartial(expert: SyncExpert, generator: Generator) -> SyncExpert | None:
    """The expert, ready to judge, unless it is the one that the generator was trained to please."""
    if fingerprint(expert) not in getattr(generator, "about", {}).get(SYNC_EXPERT, []):
        return fuse(expert)
    tqdm.write(
        "expert_d and expert_c are left out: the generator was trained to please this expert, and nobody marks his own "
        "work; give another expert"
    )
    return None


def _listening(expert: SyncExpert | None, wave: np.ndarray, frames: int) -> Callable[[FaceClip], dict[str, float]]:
    """What the expert says of a clip's variants. It has heard their sound once, and looks once at what many show."""
    heard = min(frames, len(wave) * FPS // SAMPLE_RATE)
    if expert is None or heard < FRAMES:
        return lambda variant: {"expert_d": np.nan, "expert_c": np.nan}
    sounds, looked = sound_heard(expert, wave, heard), {}

    def says(variant: FaceClip) -> dict[str, float]:
        found = verdict(lips_seen(expert, resized(variant.crops[:heard], CROP), looked), sounds)
        return {"expert_d": found.distance, "expert_c": found.confidence}

    return says


def _syncnet_says(syncnet: SyncNet | None, variant: FaceClip, wave: np.ndarray) -> dict[str, float]:
    unknown = {"lse_d": np.nan, "lse_c": np.nan}
    if syncnet is None or not np.isfinite(variant.landmarks).any():
        return unknown
    try:
        error = lip_sync_error(syncnet, syncnet_pictures(variant), wave)
    except InputError:  # too short a clip, of which the rest can still be told
        return unknown
    return {"lse_d": error.distance, "lse_c": error.confidence}


def _mean_clip(true: FaceClip) -> FaceClip:
    """The mean of a clip's frames, as often: pictures and landmarks averaged."""
    shape = (len(true.frames), 1, 1)
    picture = true.frames.mean(axis=0).round().astype(np.uint8)
    points = np.nanmean(true.landmarks, axis=0)
    return FaceClip(np.tile(picture, (*shape, 1)), np.tile(points, shape))
