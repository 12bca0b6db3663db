"""Face and speech to video: the photo or the film of a person speaks another clip."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from lipgan_colab.device import keep_freed_memory, pick_device
from lipgan_colab.errors import InputError
from lipgan_colab.faces import geometry, resting_mouth
from lipgan_colab.faces.face import INNER_LIPS, LIPS, Face
from lipgan_colab.files import check_place, clear_abandoned
from lipgan_colab.generation.answers import Answers
from lipgan_colab.generation.crops import generate_crops
from lipgan_colab.generation.face_frames import FaceFrame, find_in_photo, read_photo, see_film
from lipgan_colab.generation.moved_faces import Mover, film_likeness, spoken_parts, with_parts
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.own_pixels import likeness
from lipgan_colab.generation.paste import mark_synthetic, paste, place, shown
from lipgan_colab.generation.report import PHOTO_FPS, GenerateReport
from lipgan_colab.media.image import is_image
from lipgan_colab.media.pipeline import StageClock, ahead
from lipgan_colab.media.sound import missing_from, pick_track, read_sound, read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import fast_enough, probe_video
from lipgan_colab.media.writing import check_video_name, write_video
from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.motion import MotionNetwork
from lipgan_colab.models.weights import PAINTED_REFERENCES, Generator, load_generator
from lipgan_colab.speech.features import OFFSET_RATE
from lipgan_colab.speech.level import as_loud_as_usual
from lipgan_colab.speech.pauses import PAUSE_RULES, rest_in_pauses, speaking, without_noise


def generate(
    face: str | Path,
    speech: str | Path,
    weights: str | Path | Generator,
    out: str | Path,
    options: GenerateOptions = GenerateOptions(),  # noqa: B008 (it is frozen)
    device: str | torch.device | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> GenerateReport:
    """Make the person in a photo or a video speak a clip.

    The video is as long as the speech: a shorter film of the face is played forward and backward. Memory does not grow
    with its length (but for the sound).

    Args:
        face: photo or video.
        speech: any file with sound.
        weights: run folder; file (.safetensors, LipGAN's .h5, Wav2Lip's .pth); name that the verb "weights" lists; or a
            generator that is loaded already.
        out: the .mp4 to make.
        options: who speaks, and how.
        device: cuda, cuda:1, mps, cpu; None takes the GPU where there is one.
        on_progress: called with (frames done, of how many), instead of a progress bar; what it raises stops the work
            and leaves no file.

    Raises:
        InputError: a file cannot be used; the message says which, why, and what to do.
    """
    _check_files(face, speech, out)
    keep_freed_memory()
    report, clock = GenerateReport(Path(out)), StageClock()
    with clock.stage("read"):
        report.sound_track, report.sound_tracks = pick_track(speech, options.sound_track)
        wave = read_speech(speech, report.sound_track, alone=True)
        report.stated_seconds = missing_from(speech, report.sound_track, len(wave) / SAMPLE_RATE)
        sound, sound_rate = read_sound(speech, report.sound_track, alone=True)
        is_photo = is_image(face)
        photo = read_photo(face) if is_photo else None
        report.fps = PHOTO_FPS if is_photo else fast_enough(probe_video(face).fps)
        report.frames = max(1, round(len(wave) / SAMPLE_RATE * report.fps))
    with ThreadPoolExecutor(2) as pool:  # libraries and networks are loaded side by side
        rule = PAUSE_RULES[options.pauses]
        listening = pool.submit(clock.around("speech", speaking), wave, rule) if rule else None
        find = clock.around("faces", find_in_photo)
        finding = pool.submit(find, photo, face, options.wanted, options.pads) if is_photo else None
        with clock.stage("generator"):
            generator = ready_generator(weights, device, options.window_offset)
        photographed = finding and finding.result()
        mover = None
        if isinstance(generator, MotionNetwork):
            if is_photo:
                who = likeness([(photo, photographed.face)], generator.moves)
            else:
                who = film_likeness(face, report.fps, options.wanted, generator.moves)
            mover = Mover(generator.moves, who, own_teeth=is_photo)
        follow = listening and listening.result()
    report.idle = _idle(generator, options)
    hears = generator.speech_input
    with clock.stage("speech"):
        heard, report.louder_by = as_loud_as_usual(wave, None if follow is None else follow > 0.5)
        features = hears.features(heard)
        if follow is not None:
            report.spoken = float(follow.mean())
        if mover:
            if follow is not None:
                features = without_noise(features, follow)
            late = options.sync_offset / float(report.fps) + hears.offset / OFFSET_RATE
            features = spoken_parts(generator, features, report.frames, report.fps, follow, late)
        elif follow is not None:
            features = rest_in_pauses(features, follow, hears)

    def spoken() -> Iterator[np.ndarray]:
        """The frames of the result, made in this order: seen, generated in batches, pasted."""
        if is_photo:
            seen = (replace(photographed, number=number) for number in range(report.frames))
        else:
            seen = ahead(see_film(face, report.fps, report.frames, options.wanted, options.pads, clock))
        if mover:
            batches = with_parts(seen, features, options.batch_size)
        else:
            batches = _generated(seen, generator, features, report, options, clock)
        # One batch ahead: while it is pasted and encoded, the next one is generated.
        with closing(ahead(batches, 1)) as finished, closing(Answers()) as answers:
            for batch in finished:
                for frame in batch:
                    with clock.stage("paste"):
                        picture = mover.moved(frame, options.largest_yaw) if mover else _pasted(frame, answers, options)
                        _note(frame, report, options)
                    yield mark_synthetic(picture) if options.mark else picture

    started = time.perf_counter()
    with closing(_counted(ahead(spoken()), report, on_progress)) as frames:
        waited = StageClock()
        write_video(
            report.path, waited.timed("wait", frames), report.fps, sound, sound_rate, _comment(weights, options)
        )
    clock.seconds["encode"] += time.perf_counter() - started - waited.seconds["wait"]
    report.seconds = dict(clock.seconds)
    return report


def _idle(generator: Generator, options: GenerateOptions) -> list[str]:
    """The options that are not as usual and change nothing."""
    usual = GenerateOptions()
    names = ("detail", "reference_mouth", "pads", "sharpen") if isinstance(generator, MotionNetwork) else ()
    if options.detail == "own" and not names:
        names = ("sharpen",)
    return [name for name in names if getattr(options, name) != getattr(usual, name)]


def _check_files(face: str | Path, speech: str | Path, out: str | Path) -> None:
    """Before the work: what else would be found out only after it. What killed processes left beside `out` goes."""
    check_video_name(out)
    for path, wanted in ((face, "a photo or a video"), (speech, "a file with sound")):
        if os.path.isdir(path):
            raise InputError(f"{path}: this is a folder; give {wanted}")
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for, for ever
            raise InputError(f"{path}: this is no file; give {wanted}")
    check_place(out)
    clear_abandoned(Path(out).parent)


def ready_generator(
    weights: str | Path | Generator, device: str | torch.device | None = None, window_offset: int | None = None
) -> Generator:
    """The fastest form of a generator, for inference only; arguments as of `generate` and its options."""
    generator = weights
    if not isinstance(generator, torch.nn.Module):
        generator = load_generator(weights, pick_device(device))
    generator = fuse(generator)
    if window_offset is not None:
        generator.speech_input = replace(generator.speech_input, offset=window_offset)
    return generator


def _comment(weights: str | Path | Generator, options: GenerateOptions) -> str:
    name = type(weights).__name__ if isinstance(weights, torch.nn.Module) else Path(weights).name
    consent = "; the maker states that the person shown agreed" if options.consent else ""
    return f"Weights: {name}; made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC{consent}"


def _counted(frames: Iterator[np.ndarray], report: GenerateReport, on_progress) -> Iterator[np.ndarray]:
    """The frames, with calls of `on_progress`, or a progress bar where nobody else shows it."""
    bar = tqdm(total=report.frames, desc="generate", unit="frame", disable=on_progress is not None)
    with closing(frames), bar as progress:
        for done, frame in enumerate(frames, 1):
            yield frame
            progress.update()
            if on_progress is not None:
                on_progress(done, report.frames)


def _generated(
    seen: Iterator[FaceFrame],
    generator: Generator,
    features: np.ndarray,
    report: GenerateReport,
    options: GenerateOptions,
    clock: StageClock,
) -> Iterator[list[FaceFrame]]:
    """The frames in batches, the crops of those with a face generated."""
    hears, size = generator.speech_input, generator.face_size
    with closing(seen):
        while batch := list(islice(seen, options.batch_size)):
            with_face = [frame for frame in batch if frame.face is not None]
            if with_face:
                windows = hears.windows(features, len(batch), report.fps, batch[0].number - options.sync_offset)
                windows = windows[[frame.number - batch[0].number for frame in with_face]]
                one = all(frame.face is with_face[0].face for frame in with_face)  # a photo: encoded once for all
                references = []
                for frame in with_face[:1] if one else with_face:
                    frame.original = geometry.upright_crop(frame.picture, frame.face, size)
                    rests = _rests(frame.face, one, generator, options)
                    report.rested |= rests
                    references.append(_with_mouth_at_rest(frame) if rests else frame.original)
                crops = np.stack([frame.original for frame in with_face if frame.original is not None])
                with clock.stage("generator"):
                    answers = generate_crops(generator, np.stack(references), crops, windows)
                for frame, answer in zip(with_face, answers, strict=True):
                    frame.original = crops[0] if one else frame.original
                    frame.generated = answer
            yield batch


def _rests(face: Face, is_photo: bool, generator: Generator, options: GenerateOptions) -> bool:
    """Whether the generator is to see this face with a resting mouth: see `GenerateOptions.reference_mouth`."""
    if options.reference_mouth == "own":
        return False
    if options.reference_mouth == "rest":
        return True
    knows = is_photo and getattr(generator, "about", {}).get(PAINTED_REFERENCES, False)
    return bool(knows and geometry.mouth_opening(face.landmarks) > resting_mouth.OPEN)


def _with_mouth_at_rest(frame: FaceFrame) -> np.ndarray:
    size = len(frame.original)
    points = geometry.mapped(frame.face.landmarks[LIPS + INNER_LIPS], geometry.to_crop(frame.face, size))
    return resting_mouth.at_rest(frame.original, points / size)


def _pasted(frame: FaceFrame, answers: Answers, options: GenerateOptions) -> np.ndarray:
    """The frame's finished picture, with the generated mouth in it."""
    if frame.face is None:
        return frame.picture
    if options.detail == "own":
        part = shown(frame.face, options.largest_yaw)
        picture = answers.spoken(frame.picture, frame.face, frame.original, frame.generated, part)
        if picture is not None:
            return picture
    placement = place(frame.face, frame.picture.shape, len(frame.generated), options.largest_yaw)
    if placement is None:
        return frame.picture
    return paste(frame.picture, frame.generated, frame.original, placement, options.sharpen)


def _note(frame: FaceFrame, report: GenerateReport, options: GenerateOptions) -> None:
    """The report learns who was chosen, and what was left as it was."""
    if frame.face is not None:
        report.turned_away += abs(frame.face.yaw) > options.largest_yaw
        if not report.faces:
            report.faces = frame.faces if options.person == "largest" else 1
            report.passed_over = options.person == "largest" and not frame.largest
        return
    stretches = report.with_others if frame.faces else report.without_face
    if stretches and stretches[-1][1] == frame.number - 1:
        stretches[-1] = (stretches[-1][0], frame.number)
    else:
        stretches.append((frame.number, frame.number))
