"""Face and speech to video: the photo or the film of a person speaks another clip."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm.auto import tqdm

from lipgan_colab import faces, media
from lipgan_colab.device import autocast, keep_freed_memory, pick_device
from lipgan_colab.errors import InputError
from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.weights import Generator, load_generator
from lipgan_colab.paste import mark_synthetic, paste, place
from lipgan_colab.pauses import PAUSE_RULES, rest_in_pauses, speaking
from lipgan_colab.pipeline import ahead

PHOTO_FPS = Fraction(25)
LARGEST_PHOTO = 1920  # pixels of the longer side; more makes files that players refuse
REVERSE_BYTES = 256 << 20  # frames kept in memory while a video is played backward
REMEMBERED = 5000  # frames of a video whose faces are kept for when it is played again
CONSENT = (
    "Use the face and the voice of people who agreed to it, and tell those who watch that the video is synthetic "
    "(--consent says that you did)"
)


@dataclass(frozen=True)
class GenerateOptions:
    """How a person is made to speak.

    Attributes:
        person: "largest"; or the number of the person counted from the left, from 0; or a point (x, y) in the face, in
            pixels. Looked for in the first frame that has it.
        pauses: when the mouth rests: "gentle", "normal", "strict" or "off" (see `pauses.PAUSE_RULES`).
        sync_offset: by how many frames of the video the lips move later (negative: earlier).
        window_offset: by how many frames of 1/25 s the speech windows begin later than their kind says; None takes
            what the weights were trained with.
        pads: by which part of its side the face's box grows at the top, right, bottom and left.
        largest_yaw: degrees; faces turned further away fade to what they were.
        sharpen: of the generated part: 0 for none, 1 for strong.
        mark: write "AI-generated" into the picture.
        consent: whether the person shown agreed, as far as the caller says; noted in the video's metadata.
        batch_size: frames generated at once.
    """

    person: faces.Person = "largest"
    pauses: str = "normal"
    sync_offset: int = 0
    window_offset: int | None = None
    pads: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    largest_yaw: float = 45.0
    sharpen: float = 0.0
    mark: bool = False
    consent: bool = False
    batch_size: int = 16

    def __post_init__(self):
        if self.pauses not in PAUSE_RULES:
            raise InputError(f"pauses cannot be {self.pauses!r}: choose one of {', '.join(PAUSE_RULES)}")
        if min(self.pads) < -0.25 or max(self.pads) > 1:
            raise InputError(f"pads {self.pads}: parts of the face's side, each from -0.25 to 1")


@dataclass
class GenerateReport:
    """What `generate` did.

    Attributes:
        path: the finished video.
        frames: how many it has, at fps frames a second.
        spoken: in which part of the time somebody speaks, 0 to 1; None where pauses were not looked for.
        without_face: stretches (first, last) of frames in which the person was not seen; they are as they were.
        turned_away: frames in which the face was turned too far to be changed fully.
        seconds: time spent, by stage (read, faces, generator, paste, encode). The stages of a video work at the same
            time.
    """

    path: Path
    frames: int = 0
    fps: Fraction = PHOTO_FPS
    spoken: float | None = None
    without_face: list[tuple[int, int]] = field(default_factory=list)
    turned_away: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def passed_through(self) -> int:
        """How many frames are as they were because the person was not seen."""
        return sum(last - first + 1 for first, last in self.without_face)

    def __str__(self) -> str:
        text = f"{self.path}: {self.frames} frames, {float(self.frames / self.fps):.2f} s"
        if self.spoken == 0:
            text += "; no speech is heard, so the mouth rests (pauses=off lets every sound move it)"
        if self.without_face:
            stretches = [f"{float(a / self.fps):.1f}-{float((b + 1) / self.fps):.1f} s" for a, b in self.without_face]
            where = ", ".join(stretches[:5]) + (", ..." if len(stretches) > 5 else "")
            text += f"; {self.passed_through} frames without the face are left as they were ({where})"
        if self.turned_away:
            text += f"; in {self.turned_away} frames the face is turned too far and fades to the original"
        return text

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time spent inside as this stage's."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def in_stage(self, name: str, work: Callable) -> Callable:
        """The same function; the time that it takes counts as this stage's."""

        def counted(*arguments):
            with self.stage(name):
                return work(*arguments)

        return counted

    def timed(self, name: str, items: Iterator) -> Iterator:
        """The same items; the time that they take to come counts as this stage's."""
        while True:
            with self.stage(name):
                item = next(items, self)
            if item is self:
                return
            yield item


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
        weights: whatever `load_generator` takes (run folder, file, name), or a generator that is loaded already.
        out: the .mp4 to make.
        options: who speaks, and how.
        device: None takes the GPU where there is one.
        on_progress: called with (frames done, of how many), instead of a progress bar; what it raises stops the work
            and leaves no file.

    Raises:
        InputError: a file cannot be used; the message says which, why, and what to do.
    """
    keep_freed_memory()
    report = GenerateReport(Path(out))
    with report.stage("read"):
        wave = media.read_speech(speech)
        sound, sound_rate = media.read_sound(speech)
        is_photo = media.is_image(face)
        photo = _read_photo(face) if is_photo else None
        report.fps = PHOTO_FPS if is_photo else media.probe_video(face).fps
        report.frames = max(1, round(len(wave) / media.SAMPLE_RATE * report.fps))
    with ThreadPoolExecutor(2) as pool:  # libraries and networks are loaded side by side
        rule = PAUSE_RULES[options.pauses]
        listening = pool.submit(report.in_stage("speech", speaking), wave, rule) if rule else None
        finding = pool.submit(report.in_stage("faces", _face_in_photo), photo, face, options) if is_photo else None
        with report.stage("generator"):
            generator = ready_generator(weights, device, options.window_offset)
        follow = listening and listening.result()
        photographed = finding and finding.result()
    hears = generator.speech_input
    with report.stage("speech"):
        features = hears.features(wave)
        if follow is not None:
            report.spoken = float(follow.mean())
            features = rest_in_pauses(features, follow, hears)

    def spoken() -> Iterator[np.ndarray]:
        """The frames of the result, made in this order: seen, generated in batches, pasted."""
        if is_photo:
            seen = (_Shot(number, photo, photographed) for number in range(report.frames))
        else:
            seen = ahead(_see_film(face, report, options))
        batches = _generated(seen, generator, features, report, options)
        # One batch ahead: while it is pasted and encoded, the next one is generated.
        for batch in ahead(batches, 1):
            for shot in batch:
                with report.stage("paste"):
                    picture = _pasted(shot, report, options)
                yield picture

    started = time.perf_counter()
    with closing(_counted(spoken(), report, on_progress)) as frames:
        waited = GenerateReport(report.path)
        media.write_video(
            report.path, waited.timed("wait", frames), report.fps, sound, sound_rate, _comment(weights, options)
        )
    report.seconds["encode"] += time.perf_counter() - started - waited.seconds["wait"]
    report.seconds = dict(report.seconds)
    return report


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


@dataclass
class _Shot:
    """One frame on its way: the picture, the face in it (None: not seen), and what becomes of it."""

    number: int
    picture: np.ndarray
    face: faces.Face | None
    original: np.ndarray | None = None  # the crop
    generated: np.ndarray | None = None


def _read_photo(path: str | Path) -> np.ndarray:
    photo = media.read_image(path)
    scale = LARGEST_PHOTO / max(photo.shape[:2])
    if scale >= 1:
        return photo
    return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _face_in_photo(photo: np.ndarray, path: str | Path, options: GenerateOptions) -> faces.Face:
    with faces.FaceFinder() as finder:
        found = finder.find(photo)
    face = next(faces.follow([found], options.person))
    if face is None:
        raise _nobody(path, options.person, len(found))
    return _padded(face, options.pads)


def _see_film(path: str | Path, report: GenerateReport, options: GenerateOptions) -> Iterator[_Shot]:
    """The film's frames, forward and backward, and the person's face in each, its box smoothed."""
    pictures: deque[np.ndarray] = deque()  # those that smoothing has not let through yet
    known: dict[int, list[faces.Face]] = {}
    most = 0
    anybody = False

    def found(finder: faces.FaceFinder) -> Iterator[list[faces.Face]]:
        nonlocal most
        for index, picture in ahead(report.timed("read", bounced_frames(path, report.fps, report.frames))):
            pictures.append(picture)
            if index not in known:
                with report.stage("faces"):
                    here = finder.find(picture)
                most = max(most, len(here))
                if len(known) >= REMEMBERED:
                    yield here
                    continue
                known[index] = here
            yield known[index]

    with faces.FaceFinder() as finder:
        followed = faces.smoothed(faces.follow(found(finder), options.person))
        for number, face in enumerate(followed):
            anybody = anybody or face is not None
            yield _Shot(number, pictures.popleft(), face and _padded(face, options.pads))
    if not anybody:
        raise _nobody(path, options.person, most)


def _nobody(path: str | Path, person: faces.Person, most: int) -> InputError:
    if most == 0:
        return InputError(f"{path}: no face found; choose a picture in which it is larger and seen from the front")
    if isinstance(person, int):
        return InputError(f"{path}: there is no person {person}, counted from the left from 0; at most {most} are seen")
    return InputError(f"{path}: nobody's face is at {person}; choose another point, or person=largest")


def _padded(face: faces.Face, pads: tuple[float, float, float, float]) -> faces.Face:
    if not any(pads):
        return face
    top, right, bottom, left = pads
    width, height = face.box[2:] - face.box[:2]
    return replace(face, box=face.box + np.float32([-left * width, -top * height, right * width, bottom * height]))


def bounced_frames(path: str | Path, fps: Fraction, n: int) -> Iterator[tuple[int, np.ndarray]]:
    """n frames of a film at a constant rate, forward, backward, forward: (index in the film, uint8 (H, W, 3)).

    In bounded memory: backward, the film is decoded again piece by piece. A film with one frame repeats it.
    """

    def film() -> Iterator[np.ndarray]:
        return media.resample_frames(media.read_video(path), fps)

    made = available = 0
    while True:
        for index, frame in enumerate(film()):
            if made and index == 0 and available > 1:
                continue  # shown last on the way back
            yield index, frame
            made += 1
            available = max(available, index + 1)
            if made == n:
                return
        piece = max(1, REVERSE_BYTES // frame.nbytes)
        for end in range(available - 1, 0, -piece):
            start = max(0, end - piece)
            for back, shown in enumerate(reversed(list(islice(film(), start, end))), 1):
                yield end - back, shown
                made += 1
                if made == n:
                    return


def _generated(
    seen: Iterator[_Shot], generator: Generator, features: np.ndarray, report: GenerateReport, options: GenerateOptions
) -> Iterator[list[_Shot]]:
    """The shots in batches, the crops of those with a face generated."""
    hears, size = generator.speech_input, generator.face_size
    with closing(seen):
        while batch := list(islice(seen, options.batch_size)):
            with_face = [shot for shot in batch if shot.face is not None]
            if with_face:
                windows = hears.windows(features, len(batch), report.fps, batch[0].number - options.sync_offset)
                windows = windows[[shot.number - batch[0].number for shot in with_face]]
                one = all(shot.face is with_face[0].face for shot in with_face)  # a photo: encoded once for all
                for shot in with_face[:1] if one else with_face:
                    shot.original = faces.upright_crop(shot.picture, shot.face, size)
                crops = np.stack([shot.original for shot in with_face if shot.original is not None])
                with report.stage("generator"):
                    answers = generate_crops(generator, crops, crops, windows)
                for shot, answer in zip(with_face, answers, strict=True):
                    shot.original = crops[0] if one else shot.original
                    shot.generated = answer
            yield batch


@torch.no_grad()
def generate_crops(
    generator: Generator, references: np.ndarray, targets: np.ndarray, windows: np.ndarray
) -> np.ndarray:
    """The generator on numpy arrays.

    Args:
        generator: in evaluation mode.
        references: uint8 (B, 96, 96, 3): who speaks; or one for all windows, (1, 96, 96, 3).
        targets: the same shape: the pose; the lower half is not looked at.
        windows: float32 (B, rows, columns), of the generator's `speech_input`.

    Returns:
        uint8 (B, 96, 96, 3), RGB.
    """
    device = next(generator.parameters()).device
    masked = targets.copy()
    masked[:, masked.shape[1] // 2 :] = 0
    both = torch.from_numpy(np.concatenate([references, masked], axis=3)).to(device)
    both = both.permute(0, 3, 1, 2).float() / 255  # channels last in memory, as the convolutions want it
    with autocast(device):
        generated = generator(both, torch.from_numpy(windows)[:, None].to(device))
    return (generated * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _pasted(shot: _Shot, report: GenerateReport, options: GenerateOptions) -> np.ndarray:
    """The shot's finished picture; the report learns what was left as it was."""
    picture = shot.picture
    if shot.face is None:
        if report.without_face and report.without_face[-1][1] == shot.number - 1:
            report.without_face[-1] = (report.without_face[-1][0], shot.number)
        else:
            report.without_face.append((shot.number, shot.number))
    else:
        report.turned_away += abs(shot.face.yaw) > options.largest_yaw
        placement = place(shot.face, picture.shape, len(shot.generated), options.largest_yaw)
        if placement is not None:
            picture = paste(picture, shot.generated, shot.original, placement, options.sharpen)
    return mark_synthetic(picture) if options.mark else picture
