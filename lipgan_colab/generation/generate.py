"""Face and speech to video: the photo or the film of a person speaks another clip."""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from lipgan_colab.device import keep_freed_memory, pick_device
from lipgan_colab.errors import InputError
from lipgan_colab.faces.known_faces import KnownFaces
from lipgan_colab.files import check_place, clear_abandoned
from lipgan_colab.generation import speeches
from lipgan_colab.generation.face_frames import FaceFrame, Film, find_in_photo, read_photo
from lipgan_colab.generation.moved_faces import Mover, known_likenesses, spoken_parts
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.own_pixels import likeness
from lipgan_colab.generation.report import PHOTO_FPS, GenerateReport, TurnReport
from lipgan_colab.generation.roles import Role, roles
from lipgan_colab.generation.scene import Scene, spoken_frames
from lipgan_colab.generation.schedule import Schedule, Stretch, scheduled, shortened
from lipgan_colab.generation.speeches import Speech
from lipgan_colab.generation.turns import Turn
from lipgan_colab.media.film_format import film_format
from lipgan_colab.media.image import is_image
from lipgan_colab.media.made import Made, sha256
from lipgan_colab.media.marking import check_signing, mark_file
from lipgan_colab.media.pipeline import StageClock, ahead
from lipgan_colab.media.png_folder import check_free
from lipgan_colab.media.sound import read_sound
from lipgan_colab.media.splicing import splice_video, spliceable, why_not
from lipgan_colab.media.video import fast_enough, probe_video
from lipgan_colab.media.writing import check_video_name, write_video
from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.motion import MotionNetwork
from lipgan_colab.models.weights import Generator, load_generator
from lipgan_colab.speech.features import OFFSET_RATE
from lipgan_colab.speech.level import as_loud_as_usual
from lipgan_colab.speech.pauses import PAUSE_RULES, PauseRule, rest_in_pauses, speaking, without_noise

FACES_VARIABLE = "LIPGAN_FACES"  # the folder in which it is kept where films show which faces
FACES = Path("~/.cache/lipgan_colab/faces")
RESTING = "starter"  # the motion network by which mouths rest where another kind of weights speaks


def generate(
    face: str | Path,
    speech: str | Path | Sequence[Turn],
    weights: str | Path | Generator,
    out: str | Path,
    options: GenerateOptions = GenerateOptions(),  # noqa: B008 (it is frozen)
    device: str | torch.device | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> GenerateReport:
    """Make the people in a photo or a film speak.

    The video is as long as the speech: a shorter film is played forward and backward. Where it is said when somebody
    speaks (`from_`, `to`, `speech_at`), it is as long as the film, and what lies outside stays as it was. Memory does
    not grow with its length (but for the sound).

    Args:
        face: photo or video.
        speech: any file with sound, which `options.person` speaks; or the turns of several people.
        weights: run folder; file (.safetensors, LipGAN's .h5, Wav2Lip's .pth); name that the verb "weights" lists; or a
            generator that is loaded already.
        out: the .mp4 (.mov) to make; with `codec` png the folder.
        options: who speaks, and how.
        device: cuda, cuda:1, mps, cpu; None takes the GPU where there is one.
        on_progress: called with (frames done, of how many), instead of a progress bar; what it raises stops the work
            and leaves no file.

    Raises:
        InputError: a file cannot be used; the message says which, why, and what to do.
    """
    turns = turns_of(speech, options)
    check_files(face, turns)
    check_video_name(out, options.encoding)
    check_signing()
    (check_free if options.codec == "png" else check_place)(out)
    clear_abandoned(Path(out).parent)
    keep_freed_memory()
    report, clock = GenerateReport(Path(out)), StageClock()
    with set_scene(face, turns, weights, options, device, report, clock) as (scene, heard):
        _write(face, out, scene, heard, on_progress)
    report.seconds = dict(clock.seconds)
    return report


def _write(
    face: str | Path,
    out: str | Path,
    scene: Scene,
    heard: Sequence[Speech],
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Make the result."""
    options, report, clock = scene.options, scene.report, scene.clock
    started, waited = time.perf_counter(), StageClock()
    with clock.stage("read"):
        sound, rate = heard_sound(face, heard, scene)
    comment, mark = comment_of(scene.generator, options), marker(face, scene)
    splice = None if scene.is_photo else scene.source.splice
    ranges = splice.widened(scene.schedule.dubbed) if splice else [(0, scene.schedule.frames)]
    report.copied = splice.frames - sum(end - first for first, end in ranges) if splice else 0
    report.frames = sum(end - first for first, end in ranges)
    end = ranges[-1][1] if splice or not scene.schedule.keeps_film else None
    made = (picture for frame, picture in spoken_frames(scene, ranges[0][0], end) if _is_in(frame.number, ranges))
    with closing(counted_frames(ahead(made), report, on_progress)) as frames:
        frames = waited.timed("wait", frames)
        if report.copied:
            splice_video(out, splice, ranges, frames, sound, rate, comment, options.encoding, mark)
        else:
            like = None if scene.is_photo else film_format(face)
            write_video(out, frames, report.fps, sound, rate, comment, options.encoding, like, mark)
    report.frames += report.copied
    clock.seconds["encode"] += time.perf_counter() - started - waited.seconds["wait"]


def faces_folder() -> Path:
    """Where it is kept which faces films show: the folder in LIPGAN_FACES, or the user's cache."""
    return Path(os.environ.get(FACES_VARIABLE) or FACES).expanduser()


def turns_of(speech: str | Path | Sequence[Turn], options: GenerateOptions) -> list[Turn]:
    """The turns that are asked for; InputError where there are none."""
    if isinstance(speech, str | os.PathLike):
        return [Turn(speech, options.person, options.from_, options.to, options.speech_at)]
    if not speech:
        raise InputError("there is no turn; give at least one person something to say")
    return list(speech)


@contextmanager
def set_scene(
    face: str | Path,
    turns: Sequence[Turn],
    weights: str | Path | Generator,
    options: GenerateOptions,
    device: str | torch.device | None,
    report: GenerateReport,
    clock: StageClock,
    seconds: float | None = None,
) -> Iterator[tuple[Scene, list[Speech]]]:
    """All that has to be known before the first frame is made; and the speeches. What is found out about a film while
    they are made is kept when the block ends.

    Args:
        face, weights, options, device: as of `generate`.
        turns: who says what.
        report, clock: learn of it.
        seconds: only so much of what is dubbed is made; None for all of it.
    """
    with clock.stage("read"):
        heard = [speeches.read(turn.speech, options.sound_track) for turn in turns]
        is_photo = is_image(face)
        photo = read_photo(face) if is_photo else None
        film = None if is_photo else probe_video(face)
        report.fps = PHOTO_FPS if is_photo else fast_enough(film.fps)
        lengths = [speech.seconds for speech in heard]
        schedule = scheduled(turns, lengths, report.fps, film and film.duration, options.keep_length)
        splice = spliceable(face, report.fps, options.encoding) if schedule.keeps_film else None
        if splice:  # now it is known how many frames there are
            schedule = scheduled(turns, lengths, report.fps, splice.frames / report.fps, options.keep_length)
        if seconds is not None:
            whole, schedule = schedule, shortened(schedule, seconds, report.fps)
            soon = [one.begins < schedule.frames for one in whole.stretches]
            turns, heard = (
                [one for one, is_soon in zip(all_of, soon, strict=True) if is_soon] for all_of in (turns, heard)
            )
    report.frames, report.turns = schedule.frames, _told(turns, schedule, heard)
    report.dubbed = schedule.dubbed if schedule.keeps_film else []
    if schedule.keeps_film and not splice:
        report.not_copied = why_not(face, report.fps, options.encoding) or ""
    cast = roles(schedule, options)
    waves = [
        speeches.in_its_time(speech.wave, stretch, report.fps)
        for speech, stretch in zip(heard, schedule.stretches, strict=True)
    ]
    folder = faces_folder() if options.cache else None
    with nullcontext() if is_photo else KnownFaces(face, report.fps, folder) as facts:
        with ThreadPoolExecutor(2) as pool:  # libraries and networks are loaded side by side
            listening = pool.submit(clock.around("speech", _all_spoken), waves, PAUSE_RULES[options.pauses])
            find, wanted = clock.around("faces", find_in_photo), [role.wanted for role in cast]
            finding = pool.submit(find, photo, face, wanted, options.pads) if is_photo else None
            with clock.stage("generator"):
                generator = ready_generator(weights, device, options.window_offset)
                moves = _moves(generator, options)
            bounced = None if schedule.keeps_film else schedule.frames
            source = finding.result() if is_photo else Film(face, report.fps, bounced, splice)
            if isinstance(generator, MotionNetwork):
                with clock.stage("likeness"):
                    _give_movers(cast, source, moves, facts)
            follow = listening.result()
        report.idle = _idle(generator, options, is_photo)
        with clock.stage("speech"):
            said = [
                _said(generator, wave, spoken, stretch, options, turn, report.fps)
                for wave, spoken, stretch, turn in zip(waves, follow, schedule.stretches, report.turns, strict=True)
            ]
        yield Scene(source, schedule, cast, said, generator, moves, options, report, clock, facts), heard
        if facts:
            report.known, report.found = facts.known, facts.found


def _told(turns: Sequence[Turn], schedule: Schedule, heard: Sequence[Speech]) -> list[TurnReport]:
    """What is known of the turns before they are spoken."""
    return [
        TurnReport(
            stretch.person,
            Path(turn.speech),
            stretch.first,
            stretch.end,
            unheard=stretch.unheard,
            sound_track=speech.track,
            sound_tracks=speech.tracks,
            there=speech.seconds,
            stated=speech.stated,
        )
        for turn, stretch, speech in zip(turns, schedule.stretches, heard, strict=True)
    ]


def _all_spoken(waves: Sequence[np.ndarray], rule: PauseRule | None) -> list[np.ndarray | None]:
    """Of each speech, of `speaking`; None where every sound moves the mouth."""
    return [speaking(wave, rule) if rule else None for wave in waves]


def _moves(generator: Generator, options: GenerateOptions) -> np.ndarray | None:
    """How mouths move; None where nobody's has to but those that are painted."""
    if isinstance(generator, MotionNetwork):
        return generator.moves
    return load_generator(RESTING).moves if options.listeners == "rest" else None


def _give_movers(cast: Sequence[Role], source: FaceFrame | Film, moves: np.ndarray, facts: KnownFaces | None) -> None:
    """Look at those who speak before they do."""
    if isinstance(source, FaceFrame):
        for role, face in zip(cast, source.people, strict=True):
            role.mover = Mover(moves, likeness([(source.picture, face)], moves), own_teeth=True)
        return
    for start in dict.fromkeys(role.start for role in cast):
        people = [role for role in cast if role.start == start]
        known = known_likenesses(source, start, [role.wanted for role in people], moves, facts)
        for role, who in zip(people, known, strict=True):
            role.mover = Mover(moves, who)


def _said(
    generator: Generator,
    wave: np.ndarray,
    follow: np.ndarray | None,
    stretch: Stretch,
    options: GenerateOptions,
    told: TurnReport,
    fps: Fraction,
) -> np.ndarray:
    """What a generator makes mouths of in a stretch: speech features, or a motion network's parts, one a frame."""
    hears = generator.speech_input
    heard, told.louder_by = as_loud_as_usual(wave, None if follow is None else follow > 0.5)
    features = hears.features(heard)
    if follow is not None:
        told.spoken = float(follow.mean())
    if isinstance(generator, MotionNetwork):
        if follow is not None:
            features = without_noise(features, follow)
        late = options.sync_offset / float(fps) + hears.offset / OFFSET_RATE
        return spoken_parts(generator, features, stretch.end - stretch.first, fps, follow, late)
    return features if follow is None else rest_in_pauses(features, follow, hears)


def heard_sound(face: str | Path, heard: Sequence[Speech], scene: Scene) -> tuple[np.ndarray, int]:
    """The sound of the result: float32 (channels, n), and its samples a second."""
    schedule, film = scene.schedule, None
    if schedule.keeps_film and probe_video(face).has_sound:
        try:
            film = read_sound(face)
        except InputError as error:
            warnings.warn(f"the film's own sound is left out: {error}", stacklevel=2)
    sound, rate = speeches.sound_of(
        heard, schedule.stretches, scene.report.fps, schedule.frames, film, schedule.keeps_film
    )
    return sound[:, round(schedule.first / scene.report.fps * rate) :], rate


def _is_in(number: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(first <= number < end for first, end in ranges)


def _idle(generator: Generator, options: GenerateOptions, is_photo: bool) -> list[str]:
    """The options that are not as usual and change nothing."""
    usual = GenerateOptions()
    names = ("detail", "reference_mouth", "pads", "sharpen") if isinstance(generator, MotionNetwork) else ()
    if options.detail == "own" and not names:
        names = ("sharpen",)
    if is_photo:
        names = (*names, "keep_length")
    return [name for name in names if getattr(options, name) != getattr(usual, name)]


def check_files(face: str | Path, turns: Sequence[Turn]) -> None:
    """Before the work: what else would be found out only after it."""
    for path, wanted in ((face, "a photo or a video"), *((turn.speech, "a file with sound") for turn in turns)):
        if os.path.isdir(path):
            raise InputError(f"{path}: this is a folder; give {wanted}")
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for, for ever
            raise InputError(f"{path}: this is no file; give {wanted}")


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


def comment_of(generator: Generator, options: GenerateOptions) -> str:
    """What a result's metadata say beside that it is synthetic."""
    consent = "; the maker states that the person shown agreed" if options.consent else ""
    return f"Weights: {_name(generator)}; made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC{consent}"


def _name(generator: Generator) -> str:
    source = getattr(generator, "source", None)
    return Path(source).name if source else type(generator).__name__


def marker(face: str | Path, scene: Scene) -> Callable[[Path], None]:
    """What marks a finished file as synthetic; the report learns how."""
    report, file = scene.report, getattr(scene.generator, "file", None)
    parts = tuple((float(first / report.fps), float(end / report.fps)) for first, end in report.dubbed)
    speeches = tuple(dict.fromkeys(turn.speech for turn in report.turns))
    weights = _name(scene.generator), file and sha256(file)
    made = Made(*weights, Path(face), speeches, scene.options.consent, parts)
    kind = "png" if scene.options.codec == "png" else report.path.suffix.lower().removeprefix(".")

    def mark(path: Path) -> None:
        with scene.clock.stage("mark"):
            report.marks = mark_file(path, made, kind)

    return mark


def counted_frames(frames: Iterator[np.ndarray], report: GenerateReport, on_progress) -> Iterator[np.ndarray]:
    """The frames, with calls of `on_progress`, or a progress bar where nobody else shows it."""
    total, done = report.frames, 0
    with closing(frames), tqdm(total=total, desc="generate", unit="frame", disable=on_progress is not None) as progress:
        for done, frame in enumerate(frames, 1):
            yield frame
            progress.update()
            if on_progress is not None:
                on_progress(done, max(done, total))
    report.frames = done
