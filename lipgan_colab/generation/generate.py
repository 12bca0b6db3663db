"""Face and speech to video: the photo or the film of a person speaks another clip."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from lipgan_colab.files import check_place, clear_abandoned, file_sha256
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.report import GenerateReport
from lipgan_colab.generation.scene import Scene, spoken_frames
from lipgan_colab.generation.schedule import is_within
from lipgan_colab.generation.setting import check_files, heard_sound, set_scene, turns_of
from lipgan_colab.generation.speeches import Speech
from lipgan_colab.generation.turns import Turn
from lipgan_colab.media.film_format import film_format
from lipgan_colab.media.made import Made
from lipgan_colab.media.marking import check_signing, mark_file, said_before
from lipgan_colab.media.pipeline import StageClock, ahead
from lipgan_colab.media.png_folder import check_free
from lipgan_colab.media.splicing import splice_video
from lipgan_colab.media.writing import check_video_name, write_video
from lipgan_colab.memory import keep_freed_memory
from lipgan_colab.models.interface import Generator


def generate(
    face: str | Path,
    speech: str | Path | Sequence[Turn],
    weights: str | Path | Generator,
    out: str | Path,
    options: GenerateOptions = GenerateOptions(),  # noqa: B008 (it is frozen)
    device: str | None = None,
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
    check_files(face, turns, out)
    check_video_name(out, options.encoding)
    check_signing()
    (check_free if options.codec == "png" else check_place)(out)
    clear_abandoned(Path(out).parent)
    keep_freed_memory()
    report, clock = GenerateReport(Path(out)), StageClock()
    with set_scene(face, turns, weights, options, device, report, clock) as (scene, heard):
        _write(out, scene, heard, on_progress)
    report.seconds = dict(clock.seconds)
    return report


def _write(
    out: str | Path,
    scene: Scene,
    heard: Sequence[Speech],
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Make the result."""
    options, report, clock = scene.options, scene.report, scene.clock
    started, waited = time.perf_counter(), StageClock()
    with clock.stage("read"):
        sound, rate = heard_sound(heard, scene)
    comment, mark = comment_of(scene.generator, options), marker(scene)
    splice = None if scene.is_photo else scene.source.splice
    ranges = splice.widened(scene.schedule.dubbed) if splice else [(0, scene.schedule.frames)]
    report.copied = splice.frames - sum(end - first for first, end in ranges) if splice else 0
    report.frames = sum(end - first for first, end in ranges)
    end = ranges[-1][1] if splice or not scene.schedule.keeps_film else None
    frames = spoken_frames(scene, ranges[0][0], end)
    # Where none is copied, a film may have more than it was thought to.
    made = (picture for frame, picture in frames if not report.copied or is_within(frame.number, ranges))
    with closing(counted_frames(ahead(made), report, on_progress)) as frames:
        frames = waited.timed("wait", frames)
        if report.copied:
            splice_video(out, splice, ranges, frames, sound, rate, comment, options.encoding, mark)
        else:
            like = None if scene.is_photo else film_format(scene.face)
            write_video(out, frames, report.fps, sound, rate, comment, options.encoding, like, mark)
    report.frames += report.copied
    clock.seconds["encode"] += time.perf_counter() - started - waited.seconds["wait"]


def comment_of(generator: Generator, options: GenerateOptions) -> str:
    """What a result's metadata say beside that it is synthetic."""
    consent = "; the maker states that the person shown agreed" if options.consent else ""
    return f"Weights: {_name(generator)}; made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC{consent}"


def _name(generator: Generator) -> str:
    source = getattr(generator, "source", None)
    return Path(source).name if source else type(generator).__name__


def marker(scene: Scene) -> Callable[[Path], None]:
    """What marks a finished file as synthetic; the report learns how."""
    report, file = scene.report, getattr(scene.generator, "file", None)
    face = Path(scene.face)
    report.before = said_before(face)
    parts = tuple((float(first / report.fps), float(end / report.fps)) for first, end in report.dubbed)
    speeches = tuple(dict.fromkeys(turn.speech for turn in report.turns))
    weights = _name(scene.generator), file and file_sha256(file)
    made = Made(*weights, face, speeches, scene.options.consent, parts, report.before)
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
