"""Face and speech to video: the photo or the film of a person speaks another clip."""

import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from lipgan_colab.device import keep_freed_memory, pick_device
from lipgan_colab.errors import InputError, check_ranges, counted
from lipgan_colab.faces import geometry, resting_mouth
from lipgan_colab.faces.face import INNER_LIPS, LIPS, Face
from lipgan_colab.faces.following import AFTER_CUTS, Person, Wanted
from lipgan_colab.files import check_place, clear_abandoned
from lipgan_colab.generation.answers import Answers
from lipgan_colab.generation.crops import generate_crops
from lipgan_colab.generation.face_frames import FaceFrame, find_in_photo, read_photo, see_film
from lipgan_colab.generation.moved_faces import Mover, film_likeness, spoken_parts, with_parts
from lipgan_colab.generation.own_pixels import likeness
from lipgan_colab.generation.paste import mark_synthetic, paste, place, shown
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

PHOTO_FPS = Fraction(25)
RANGES = {  # of the options
    "sync_offset": (-250, 250),
    "largest_yaw": (0, 180),
    "sharpen": (0, 1),
    "batch_size": (1, 1024),
    "sound_track": (1, 1000),
}
REFERENCE_MOUTHS = ("auto", "own", "rest")
DETAILS = ("own", "network")
SHOWN = 5  # stretches in a report
CONSENT = (
    "Use the face and the voice of people who agreed to it, and tell those who watch that the video is synthetic. "
    "With --consent the video notes that they agreed, and this is not said again"
)


@dataclass(frozen=True)
class GenerateOptions:
    """How a person is made to speak.

    Attributes:
        person: who speaks: "largest"; or the number of the person counted from the left, from 0; or a point (x, y) in
            the face, in pixels. Looked for in the first frame that has it. The largest is the largest of those that are
            not turned too far.
        after_cuts: who speaks after a cut, or where somebody turns up while the person is gone: "same" looks whether it
            is the same person, by the proportions of the face and the colours of skin, hair and clothes, and leaves
            others as they are; "anybody" takes them for the person.
        any_face: also what does not look like a human face speaks: an animal, a drawing.
        pauses: when the mouth rests: "gentle" lets whispers and laughter move the lips, "strict" closes them in every
            gap between sentences, "off" never (see `pauses.PAUSE_RULES`).
        sync_offset: by how many frames of the video the lips move later (negative: earlier), 250 at most.
        window_offset: by how many frames of 1/25 s the speech windows begin later than their kind says; None takes
            what the weights were trained with.
        pads: by which part of its side the face's box grows at the top, right, bottom and left, -0.25 to 1.
        largest_yaw: degrees, 0 to 180; faces turned further away fade to what they were.
        reference_mouth: how the generator sees the mouth that is there: "own", as it is; "rest", with a resting one
            painted over it; "auto" rests the open mouth of a photo, a smile above all, for weights that have learnt
            from painted references.
        detail: whose skin and lips are shown where a generator speaks: "own" takes only the shape and the inside of the
            mouth from it, and moves the person's own pixels; "network" pastes its picture as it is, as was published.
        sharpen: how far the generated part is sharpened: 0 not at all, 1 strongly.
        mark: write "AI-generated" into the picture.
        consent: the person whose face and voice this is agreed to it, as far as the caller says; noted in the video's
            metadata.
        batch_size: frames generated at once, 1 to 1024.
        sound_track: which of the speech file's sound tracks is heard, counted from 1; None takes the one that is
            flagged to be played, or the first, but none that is silent where another is not, or faint where another
            is much louder.
    """

    person: Person = "largest"
    after_cuts: str = "same"
    any_face: bool = False
    pauses: str = "normal"
    sync_offset: int = 0
    window_offset: int | None = None
    pads: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    largest_yaw: float = 45.0
    reference_mouth: str = "auto"
    detail: str = "own"
    sharpen: float = 0.0
    mark: bool = False
    consent: bool = False
    batch_size: int = 16
    sound_track: int | None = None

    def __post_init__(self):
        check_ranges(self, RANGES)
        if self.window_offset is not None:
            check_ranges(self, {"window_offset": RANGES["sync_offset"]})
        if not _can_be_meant(self.person):
            raise InputError(f"`person` {self.person!r}: largest, a number from the left from 0, or a point (x, y)")
        if self.after_cuts not in AFTER_CUTS:
            raise InputError(f"`after_cuts` {self.after_cuts!r}: choose one of {', '.join(AFTER_CUTS)}")
        if self.pauses not in PAUSE_RULES:
            raise InputError(f"`pauses` {self.pauses!r}: choose one of {', '.join(PAUSE_RULES)}")
        if self.reference_mouth not in REFERENCE_MOUTHS:
            raise InputError(f"`reference_mouth` {self.reference_mouth!r}: choose one of {', '.join(REFERENCE_MOUTHS)}")
        if self.detail not in DETAILS:
            raise InputError(f"`detail` {self.detail!r}: choose one of {', '.join(DETAILS)}")
        if len(self.pads) != 4 or not all(-0.25 <= pad <= 1 for pad in self.pads):
            raise InputError(f"`pads` {self.pads}: four parts of the face's side, each from -0.25 to 1")

    @property
    def wanted(self) -> Wanted:
        """Whom to follow."""
        return Wanted(self.person, self.after_cuts, self.largest_yaw, self.any_face)


def _can_be_meant(person: Person) -> bool:
    if isinstance(person, str):
        return person == "largest"
    if isinstance(person, int):
        return person >= 0
    return len(person) == 2 and all(math.isfinite(x) for x in person)


@dataclass
class GenerateReport:
    """What `generate` did.

    Attributes:
        path: the finished video.
        frames: how many it has, at fps frames a second.
        spoken: in which part of the time somebody speaks, 0 to 1; None where pauses were not looked for.
        faces: how many were seen where the person was chosen; 1 where it was said which one.
        passed_over: whether a larger face than the person's was turned too far, or not a human one.
        without_face: stretches (first, last) of frames in which nobody was seen; they are as they were.
        with_others: stretches of frames in which others were seen and not the person; they are as they were.
        turned_away: frames in which the face was turned too far to be changed fully.
        rested: whether the generator saw a resting mouth where there was another.
        idle: options that were set and mean nothing to these weights.
        sound_track: which of the speech file's `sound_tracks` was heard, counted from 1.
        stated_seconds: how long the speech's file says that it is, if that is clearly more than there is in it.
        louder_by: by how many dB the networks heard a quiet voice louder than it is; the video has it as it was given.
        seconds: time spent, by stage (read, faces, generator, paste, encode). The stages of a video work at the same
            time.
    """

    path: Path
    frames: int = 0
    fps: Fraction = PHOTO_FPS
    spoken: float | None = None
    faces: int = 0
    passed_over: bool = False
    without_face: list[tuple[int, int]] = field(default_factory=list)
    with_others: list[tuple[int, int]] = field(default_factory=list)
    turned_away: int = 0
    rested: bool = False
    idle: list[str] = field(default_factory=list)
    sound_track: int = 1
    sound_tracks: int = 1
    stated_seconds: float | None = None
    louder_by: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def passed_through(self) -> int:
        """How many frames are as they were because the person was not seen."""
        return sum(last - first + 1 for first, last in self.without_face + self.with_others)

    def __str__(self) -> str:
        text = f"{self.path}: {counted(self.frames, 'frame')}, {float(self.frames / self.fps):.2f} s"
        if self.sound_tracks > 1:
            text += f"; sound track {self.sound_track} of {self.sound_tracks} is heard"
        if self.louder_by:
            text += f"; the voice is quiet, and was heard {self.louder_by:.0f} dB louder"
        if self.stated_seconds is not None:
            there = float(self.frames / self.fps)
            text += f"; the sound ends after {there:.2f} s of {self.stated_seconds:.2f} s: the file may be cut off"
        if self.spoken == 0:
            other = "`sound_track` takes another track; " if self.sound_tracks > 1 else ""
            text += f"; no speech is heard, so the mouth rests ({other}with `pauses=off` every sound moves it)"
        if self.passed_over:
            text += "; the largest face is turned too far, or not a human one, so another speaks (`person` chooses)"
        elif self.faces > 1:
            text += f"; of {self.faces} faces the largest speaks (`person` chooses)"
        for stretches, what in ((self.without_face, "without the face"), (self.with_others, "with other people")):
            if stretches:
                count = sum(last - first + 1 for first, last in stretches)
                left = "is left as it was" if count == 1 else "are left as they were"
                text += f"; {counted(count, 'frame')} {what} {left} ({_told(stretches, self.fps)})"
        if self.with_others:
            text += "; with `after_cuts=anybody` they speak as well"
        if self.turned_away:
            text += f"; in {counted(self.turned_away, 'frame')} the face is turned too far and fades to the original"
        if self.rested:
            text += "; the generator saw the mouth at rest (with `reference_mouth=own` it sees it as it is)"
        if self.idle:
            text += f"; these weights have no use for {', '.join(f'`{name}`' for name in self.idle)}"
        return text


def _told(stretches: list[tuple[int, int]], fps: Fraction) -> str:
    """From when to when some stretches (first frame, last frame) last, the first of them: one frame is 0.08-0.12 s."""
    times = [[f"{round(float(n / fps), 2):g}" for n in (first, last + 1)] for first, last in stretches[:SHOWN]]
    told = [f"{begin}-{end} s" if begin != end else f"at {begin} s" for begin, end in times]
    return ", ".join(told) + (", …" if len(stretches) > SHOWN else "")


def generate(
    face: str | Path,
    speech: str | Path,
    weights: str | Path | Generator,
    out: str | Path,
    options: GenerateOptions = GenerateOptions(),
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
