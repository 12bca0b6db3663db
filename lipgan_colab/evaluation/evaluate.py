"""How good is it: held-back clips are generated again from one of their frames, and compared with the truth.

Clips run through stages that work at the same time (see `pipeline`): faces are found, crops generated, faces found in
those, all measured. What is judged is the generator: mouths do not rest in pauses, nothing is pasted back.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm.auto import tqdm

from lipgan_colab.corpora.corpus import Utterance, folder, only
from lipgan_colab.device import pick_device
from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.heat_maps import FILM, NUMBERS, PICTURE, HeatMaps
from lipgan_colab.evaluation.measures import MEASURES, face_shape, silent_frames
from lipgan_colab.evaluation.moved_clips import moved_crops
from lipgan_colab.evaluation.report_page import Sample, page, sample
from lipgan_colab.evaluation.scores import ClipScores, Evaluation, write_csv, write_table
from lipgan_colab.evaluation.syncnet import load_syncnet
from lipgan_colab.evaluation.true_clips import LONGEST, Clip, Judges, Speech, TrueClips
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face_clip import CROP, FPS, FaceClip, detected_clip, resized
from lipgan_colab.files import NotWritten, make_folder, written_whole
from lipgan_colab.generation.crops import generate_crops
from lipgan_colab.generation.setting import ready_generator
from lipgan_colab.media.pipeline import ahead
from lipgan_colab.memory import keep_freed_memory
from lipgan_colab.models.expert import fingerprint
from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.interface import Generator
from lipgan_colab.models.lipgan import check_face_size
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.wav2lip import SyncExpert
from lipgan_colab.models.weights import SYNC_EXPERT, load_expert
from lipgan_colab.speech.features import SpeechInput

__all__ = ["MEASURES", "ClipScores", "Evaluation", "evaluate"]


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
    heatmaps: bool = False,
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
        heatmaps: also show where the network looks and what moves the mouth, over some of the clips: heatmaps.png,
            heatmaps.csv, and one clip as heatmaps.mp4. Takes about a minute a clip without a GPU.

    Raises:
        InputError: no clip can be judged, the weights cannot be used, or the results not be written.
    """
    keep_freed_memory()
    if window_offset is not None and abs(window_offset) > LONGEST:
        raise InputError(f"`window_offset` {window_offset}: so many frames are longer than a clip; give fewer")
    utterances = folder(videos)
    if ids is not None:
        utterances = chosen_clips(utterances, ids, str(videos))
    generator = ready_generator(weights, device, window_offset)
    if size is None:
        size = CROP if isinstance(generator, MotionNetwork) else generator.face_size
    check_face_size(size)
    judges = Judges(
        _impartial(load_expert(expert, pick_device(device)), generator),
        load_syncnet(syncnet, device) if syncnet is not None else None,
    )
    truth = TrueClips(utterances, size, judges, str(videos))
    if not heatmaps:
        return judge(generator, out, truth)
    heat = HeatMaps(generator, judges.expert, [utterance.id for utterance in utterances])
    evaluation = judge(generator, out, truth, heat.see)
    tqdm.write("drawing the heat maps")
    heat.write(evaluation.folder)
    made = evaluation.folder
    tqdm.write(f"heat maps: {made / PICTURE}; their numbers: {made / NUMBERS}; one clip as a film: {made / FILM}")
    return evaluation


def judge(
    generator: Generator,
    out: str | Path,
    truth: TrueClips,
    seen: Callable[[Clip, FaceClip], None] = lambda clip, own: None,
) -> Evaluation:
    """What `evaluate` does with a generator: several can be judged by the same true clips.

    Args:
        generator: of `ready_generator`.
        out: folder that gets table.txt, clips.csv and frames.png.
        truth: the clips.
        seen: is shown each clip, and the one generated from its own speech.
    """
    out = make_folder(out)  # before hours are spent on what would lie there
    skipped: list[dict] = []
    speeches = _speeches(truth, generator.speech_input, skipped)
    said = [speech for speech, _ in speeches]
    scores: list[ClipScores] = []
    samples: list[Sample] = []
    shapes = []
    stages = ahead(_seen(ahead(_generated(ahead(truth.clips(said, skipped), 1), speeches, generator), 1)), 1)
    with closing(stages), tqdm(total=len(speeches), unit="clip", desc="evaluate") as progress:
        for clip, own, another in stages:
            scores.append(_scores(clip, own, another, truth))
            high_passed = scores[-1].scores["generated"]["high_passed"]
            silent = silent_frames(clip.speech.wave, len(own.frames))
            samples.append(sample(clip.speech.utterance.id, high_passed, clip.crops, own, silent, clip.yaw))
            shapes.append(face_shape(clip.crops))
            seen(clip, own)
            progress.update(len(scores) + len(skipped) - progress.n)
    if not scores:
        with suppress(OSError):  # something lies in it
            out.rmdir()
        raise InputError(f"{truth.where}: no clip can be judged ({skipped[0]['reason'] if skipped else 'it is empty'})")
    evaluation = Evaluation(out, scores, skipped, truth.size)
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


def chosen_clips(utterances: list[Utterance], ids: Sequence[str], videos: str) -> list[Utterance]:
    """The clips of these ids, of a folder of this name. InputError where one is not there, or a shot of a film."""
    chosen = only(utterances, ids, videos)
    there = {u.id for u in utterances}
    shot = next((u.id for u in chosen if u.id not in there), None)
    if shot is not None:
        raise InputError(
            f"{shot}: a shot of a film, and films are judged from their beginning; make it a file of its own"
        )
    return chosen


def _speeches(truth: TrueClips, hears: SpeechInput, skipped: list[dict]) -> list[tuple[Speech, np.ndarray]]:
    """The clips' speech, and what a generator hears of it; those without go to `skipped`."""
    speeches = []
    for utterance in truth.utterances:
        try:
            speech = truth.speech(utterance)
            speeches.append((speech, hears.features(speech.wave)))
        except InputError as error:
            skipped.append({"id": utterance.id, "reason": str(error)})
    return speeches


def _generated(
    clips: Iterator[Clip], speeches: list[tuple[Speech, np.ndarray]], generator: Generator
) -> Iterator[tuple[Clip, *tuple[np.ndarray, ...]]]:
    """Each clip, and its crops (F, S, S, 3) generated from its own and, where there is one, from another clip's
    speech."""
    features = {speech.utterance.id: heard for speech, heard in speeches}
    order = [speech for speech, _ in speeches]
    with closing(clips):
        for clip in clips:
            heard = [clip.speech, _another(order, clip.speech)] if len(order) > 1 else [clip.speech]
            said = [features[speech.utterance.id] for speech in heard]
            if isinstance(generator, MotionNetwork):
                yield clip, *moved_crops(clip.full, generator, said)
            else:
                answers = _generate(generator, resized(clip.full.crops, generator.face_size), said)
                yield clip, *(resized(crops, clip.full.size) for crops in answers)


def _another(speeches: list[Speech], own: Speech) -> Speech:
    """Other words, of the same speaker where there are two clips: half of the list away, because clips whose names are
    neighbours often begin with the same words (GRID's do)."""
    same = [s for s in speeches if s.utterance.speaker == own.utterance.speaker]
    candidates = same if len(same) > 1 else speeches
    place = next(k for k, s in enumerate(candidates) if s.utterance == own.utterance)
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


def _seen(made: Iterator[tuple[Clip, *tuple[np.ndarray, ...]]]) -> Iterator[tuple[Clip, FaceClip, FaceClip | None]]:
    """Each clip, and its two generated ones; None where there is no other clip's speech."""
    with closing(made), FaceFinder(max_faces=1) as finder:
        for clip, *generated in made:
            own, *another = (detected_clip(clip.full.frames_with(crops), finder) for crops in generated)
            yield clip, own, next(iter(another), None)


def _scores(clip: Clip, own: FaceClip, another: FaceClip | None, truth: TrueClips) -> ClipScores:
    """All variants of a clip (see `scores.VARIANTS`), measured; where there is no other clip's speech, that is nan."""
    listener = truth.listener(clip)
    made = {"generated": own} if another is None else {"generated": own, "another": another}
    scores, sync = listener.of(made, clip.crops)
    scores.setdefault("another", dict.fromkeys(scores["generated"], np.nan))
    about, frames = clip.speech.utterance, len(clip.crops.frames)
    return ClipScores(about.id, about.speaker, frames, clip.yaw, scores | listener.scores, sync | listener.sync)


def _impartial(expert: SyncExpert, generator: Generator) -> SyncExpert | None:
    """The expert, ready to judge, unless it is the one that the generator was trained to please."""
    if fingerprint(expert) not in getattr(generator, "about", {}).get(SYNC_EXPERT, []):
        return fuse(expert)
    tqdm.write(
        "expert_d and expert_c are left out: the generator was trained to please this expert, and nobody marks his own "
        "work; give another expert"
    )
    return None
