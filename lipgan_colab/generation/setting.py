"""All that has to be known before the first frame of a result is made: who is seen, and what they say when."""

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.faces.known_faces import KnownFaces
from lipgan_colab.generation import speeches
from lipgan_colab.generation.face_frames import FaceFrame, Film, find_in_photo, read_photo
from lipgan_colab.generation.moved_faces import Mover, known_likenesses, spoken_parts
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.own_pixels import likeness
from lipgan_colab.generation.report import PHOTO_FPS, GenerateReport, TurnReport
from lipgan_colab.generation.roles import Role, roles
from lipgan_colab.generation.scene import Scene
from lipgan_colab.generation.schedule import Schedule, Stretch, says_when, scheduled, shortened
from lipgan_colab.generation.speeches import Speech
from lipgan_colab.generation.turns import Turn
from lipgan_colab.media.container import other_tracks
from lipgan_colab.media.copyable import NotCopyable, spliceable
from lipgan_colab.media.image import is_image
from lipgan_colab.media.pipeline import StageClock
from lipgan_colab.media.sound import read_sound
from lipgan_colab.media.splicing import Splice
from lipgan_colab.media.video import VideoInfo, fast_enough, probe_video
from lipgan_colab.models.interface import Generator
from lipgan_colab.models.motion import LearntMotion, Motion, load_motion
from lipgan_colab.speech.features import OFFSET_RATE
from lipgan_colab.speech.level import as_loud_as_usual
from lipgan_colab.speech.pauses import PAUSE_RULES, PauseRule, rest_in_pauses, speaking, without_noise

FACES_VARIABLE = "LIPGAN_FACES"  # the folder in which it is kept where films show which faces
FACES = Path("~/.cache/lipgan_colab/faces")
SOUND = "a file with sound"  # what a speech is
RESTING = "starter"  # the motion network by which mouths rest where another kind of weights speaks


def turns_of(speech: str | Path | Sequence[Turn], options: GenerateOptions) -> list[Turn]:
    """The turns that are asked for; InputError where there are none."""
    if isinstance(speech, str | os.PathLike):
        return [Turn(speech, options.person, options.from_, options.to, options.speech_at)]
    if not speech:
        raise InputError("there is no turn; give at least one person something to say")
    return list(speech)


def check_files(face: str | Path, turns: Sequence[Turn], out: str | Path | None = None) -> None:
    """Before the work: what else would be found out only after it, and whether the result would replace a file that it
    is made of."""
    for path, wanted in ((face, "a photo or a video"), *((turn.speech, SOUND) for turn in turns)):
        if os.path.isdir(path):
            raise InputError(f"{path}: this is a folder; give {wanted}")
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for, for ever
            raise InputError(f"{path}: this is no file; give {wanted}")
        if wanted == SOUND and is_image(path):
            raise InputError(f"{path}: this is a picture; give {wanted} (were the face and the speech swapped?)")
        if out is not None and os.path.isfile(path) and os.path.exists(out) and os.path.samefile(path, out):
            raise InputError(f"{out}: the result would replace what it is made of; give it another name")


def faces_folder() -> Path:
    """Where it is kept which faces films show: the folder in LIPGAN_FACES, or the user's cache."""
    return Path(os.environ.get(FACES_VARIABLE) or FACES).expanduser()


@contextmanager
def set_scene(
    face: str | Path,
    turns: Sequence[Turn],
    weights: str | Path | Generator,
    options: GenerateOptions,
    device: str | None,
    report: GenerateReport,
    clock: StageClock,
    seconds: float | None = None,
) -> Iterator[tuple[Scene, list[Speech]]]:
    """All that has to be known before the first frame is made, and what is said in each stretch. What is found out
    about a film while frames are made is kept when the block ends.

    Args:
        face, weights, options, device: as of `generate`.
        turns: who says what.
        report, clock: learn of it.
        seconds: only so much of what is dubbed is made; None for all of it.

    Raises:
        InputError: as of `generate`.
    """
    with clock.stage("read"):
        heard = [speeches.read(turn.speech, options.sound_track) for turn in turns]
        photo = read_photo(face) if is_image(face) else None
        film = None if photo is not None else probe_video(face)
        report.fps = fast_enough(film.fps) if film else PHOTO_FPS
        schedule, splice = _planned(face, film, turns, [one.seconds for one in heard], options, report)
        if seconds is not None:
            schedule = shortened(schedule, seconds, report.fps)
        heard = [heard[one.turn] for one in schedule.stretches]
    report.frames = schedule.frames
    if film and not schedule.keeps_film and schedule.frames > film.duration * report.fps + 1:
        report.bounced = film.duration
    if schedule.keeps_film:
        report.dubbed, report.left_out = schedule.dubbed, other_tracks(face)
    report.turns = [_told(stretch, speech) for stretch, speech in zip(schedule.stretches, heard, strict=True)]
    cast = roles(schedule, options)
    waves = [
        speeches.in_its_time(speech.wave, stretch, report.fps)
        for speech, stretch in zip(heard, schedule.stretches, strict=True)
    ]
    folder = faces_folder() if options.cache else None
    with KnownFaces(face, report.fps, folder) if film else nullcontext() as facts:
        with ThreadPoolExecutor(2) as pool:  # libraries and networks are loaded side by side
            listening = pool.submit(clock.around("speech", _all_spoken), waves, PAUSE_RULES[options.pauses])
            find, wanted = clock.around("faces", find_in_photo), [role.wanted for role in cast]
            finding = None if film else pool.submit(find, photo, face, wanted, options.pads)
            with clock.stage("generator"):
                generator = speaking_generator(weights, device, options.window_offset)
                moves = _moves(generator, options)
            bounced = None if schedule.keeps_film else schedule.frames
            source = Film(face, report.fps, bounced, splice) if film else finding.result()
            if isinstance(generator, Motion):
                with clock.stage("likeness"):
                    _give_movers(cast, source, moves, facts)
            follow = listening.result()
        report.idle = _idle(generator, options, film is None, says_when(turns))
        with clock.stage("speech"):
            said = [
                _said(generator, wave, spoken, stretch, options, turn, report.fps)
                for wave, spoken, stretch, turn in zip(waves, follow, schedule.stretches, report.turns, strict=True)
            ]
        yield Scene(face, film, source, schedule, cast, said, generator, moves, options, report, clock, facts), heard
        if facts:
            report.known, report.found = facts.known, facts.found


def _planned(
    face: str | Path,
    film: VideoInfo | None,
    turns: Sequence[Turn],
    seconds: Sequence[float],
    options: GenerateOptions,
    report: GenerateReport,
) -> tuple[Schedule, Splice | None]:
    """When everybody speaks, and, if the film is kept, how its frames can be copied."""
    schedule = scheduled(turns, seconds, report.fps, film and film.duration, options.keep_length)
    if not schedule.keeps_film:
        return schedule, None
    try:
        splice = spliceable(face, report.fps, options.encoding)
    except NotCopyable as reason:
        report.not_copied = str(reason)
        return schedule, None
    # Now it is known how many frames there are.
    return scheduled(turns, seconds, report.fps, splice.frames / report.fps, options.keep_length), splice


def _told(stretch: Stretch, speech: Speech) -> TurnReport:
    """What is known of a turn before it is spoken."""
    return TurnReport(
        stretch.person,
        Path(speech.path),
        stretch.first,
        stretch.end,
        unheard=stretch.unheard,
        sound_track=speech.track,
        sound_tracks=speech.tracks,
        there=speech.seconds,
        stated=speech.stated,
    )


def _all_spoken(waves: Sequence[np.ndarray], rule: PauseRule | None) -> list[np.ndarray | None]:
    """Of each speech, of `speaking`; None where every sound moves the mouth."""
    return [speaking(wave, rule) if rule else None for wave in waves]


def _moves(generator: Generator, options: GenerateOptions) -> np.ndarray | None:
    """How mouths move; None where nobody's has to but those that are painted."""
    if isinstance(generator, Motion):
        return generator.moves
    return load_motion(RESTING).moves if options.listeners == "rest" else None


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
    if isinstance(generator, Motion):
        if follow is not None:
            features = without_noise(features, follow)
        late = options.sync_offset / float(fps) + hears.offset / OFFSET_RATE
        return spoken_parts(generator, features, stretch.end - stretch.first, fps, follow, late)
    return features if follow is None else rest_in_pauses(features, follow, hears)


def heard_sound(heard: Sequence[Speech], scene: Scene) -> tuple[np.ndarray, int]:
    """The sound of the result: float32 (channels, n), and its samples a second."""
    schedule, film = scene.schedule, None
    if schedule.keeps_film and scene.film.has_sound:
        try:
            film = read_sound(scene.face, as_played=True)
        except InputError as error:
            warnings.warn(f"the film's own sound is left out: {error}", stacklevel=2)
    sound, rate = speeches.sound_of(
        heard, schedule.stretches, scene.report.fps, schedule.frames, film, schedule.keeps_film
    )
    return sound[:, round(schedule.first / scene.report.fps * rate) :], rate


def _idle(generator: Generator, options: GenerateOptions, is_photo: bool, has_times: bool) -> list[str]:
    """The options that are not as usual and change nothing."""
    usual = GenerateOptions()
    names = ("detail", "reference_mouth", "pads", "sharpen") if isinstance(generator, Motion) else ()
    if options.detail == "own" and not names:
        names = ("sharpen",)
    if is_photo or has_times:
        names = (*names, "keep_length")
    return [name for name in names if getattr(options, name) != getattr(usual, name)]


def speaking_generator(
    weights: str | Path | Generator, device: str | None = None, window_offset: int | None = None
) -> Generator:
    """What is said is spoken with this: as `ready_generator`, and where the weights are a motion network's and no other
    device than the CPU is asked for, without loading PyTorch, which takes longer than a photo to speak."""
    if isinstance(weights, LearntMotion):
        return _at_offset(weights, window_offset)
    motion = load_motion(weights) if isinstance(weights, str | os.PathLike) and device in (None, "cpu") else None
    return ready_generator(weights, device, window_offset) if motion is None else _at_offset(motion, window_offset)


def ready_generator(
    weights: str | Path | Generator, device: str | None = None, window_offset: int | None = None
) -> Generator:
    """The fastest form of a network, for inference only; arguments as of `generate` and its options."""
    from lipgan_colab.device import pick_device  # here, because they load PyTorch
    from lipgan_colab.models.fusing import fuse
    from lipgan_colab.models.weights import load_generator

    loaded = load_generator(weights, pick_device(device)) if isinstance(weights, str | os.PathLike) else weights
    return _at_offset(fuse(loaded), window_offset)


def _at_offset(generator: Generator, window_offset: int | None) -> Generator:
    if window_offset is not None:
        generator.speech_input = replace(generator.speech_input, offset=window_offset)
    return generator
