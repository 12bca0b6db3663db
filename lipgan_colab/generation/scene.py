"""Every frame of a result: who is in it seen, made to speak in batches, and put back into the picture."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np

from lipgan_colab.faces import geometry, resting_mouth
from lipgan_colab.faces.face import INNER_LIPS, LIPS, Face
from lipgan_colab.faces.facts import Facts
from lipgan_colab.generation.answers import Answers
from lipgan_colab.generation.face_frames import Act, FaceFrame, Film, see_film
from lipgan_colab.generation.moved_faces import Mover
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.paste import mark_synthetic, paste, place, shown
from lipgan_colab.generation.report import GenerateReport
from lipgan_colab.generation.roles import Role, acts, stretch_at
from lipgan_colab.generation.schedule import Schedule, is_within
from lipgan_colab.media.pipeline import StageClock, ahead
from lipgan_colab.media.video import VideoInfo
from lipgan_colab.models.interface import PAINTED_REFERENCES, Generator
from lipgan_colab.models.motion import Motion


@dataclass
class Scene:
    """All that is known before the first frame is made.

    Attributes:
        face: the photo's or film's file.
        film: what a film says about itself; None for a photo.
        source: the photo with the people in it, or the film.
        schedule: what happens when.
        cast: who speaks.
        said: of each stretch, what the generator makes mouths of: speech features, or a motion network's parts.
        generator: the network.
        moves: of a motion network, the generator or another, that lets mouths rest.
        options, report, clock: as of `generate`.
        facts: tells who is seen in a film; None for a photo.
        movers: of everybody else who rests, by `Act.who`.
    """

    face: str | Path
    film: VideoInfo | None
    source: FaceFrame | Film
    schedule: Schedule
    cast: list[Role]
    said: list[np.ndarray]
    generator: Generator
    moves: np.ndarray | None
    options: GenerateOptions
    report: GenerateReport
    clock: StageClock
    facts: Facts | None
    movers: dict[int, Mover] = field(default_factory=dict)

    @property
    def is_photo(self) -> bool:
        """Whether a photo speaks."""
        return self.film is None


def spoken_frames(scene: Scene, first: int, end: int | None = None) -> Iterator[tuple[FaceFrame, np.ndarray]]:
    """The frames of the result from one up to another, None for all there are, in their order: what is seen in each,
    and the finished picture, uint8 (H, W, 3)."""
    if scene.is_photo:
        yield from _acted(((replace(scene.source, number=number, acts=[]) for number in range(first, end))), scene)
        return
    dubbed = scene.schedule.dubbed
    begins, ends = max(first, dubbed[0][0]), min(dubbed[-1][1], scene.schedule.frames)
    with closing(scene.source.frames(first)) as film:
        pictures = film if end is None else islice(film, end - first)
        for number, (_, picture) in enumerate(islice(pictures, begins - first), first):
            yield FaceFrame(number, picture, []), picture
        seen = see_film(
            scene.face,
            islice(pictures, ends - begins),
            [role.wanted for role in scene.cast],
            scene.options.pads,
            scene.clock,
            scene.facts,
            [role.start for role in scene.cast],
            begins,
        )
        yield from _acted(ahead(seen), scene)
        for number, (_, picture) in enumerate(pictures, ends):
            yield FaceFrame(number, picture, []), picture


def _acted(seen: Iterator[FaceFrame], scene: Scene) -> Iterator[tuple[FaceFrame, np.ndarray]]:
    """The frames with everybody's mouth as it is to be."""
    options = scene.options
    # One batch ahead: while it is pasted and encoded, the next one is generated.
    with closing(ahead(_batches(seen, scene), 1)) as batches, closing(Answers()) as answers:
        for batch in batches:
            for frame in batch:
                with scene.clock.stage("paste"):
                    picture = frame.picture
                    for act in frame.acts:
                        picture = _with_act(picture, act, scene, answers)
                    _note(frame, scene)
                    if options.mark and is_within(frame.number, scene.schedule.dubbed):
                        picture = mark_synthetic(picture)
                yield frame, picture


def _batches(seen: Iterator[FaceFrame], scene: Scene) -> Iterator[list[FaceFrame]]:
    """The frames in batches, with what everybody does in them; the crops that are painted are generated."""
    with closing(seen):
        while batch := list(islice(seen, scene.options.batch_size)):
            for frame in batch:
                frame.acts = acts(frame, scene.cast, scene.schedule, scene.options)
            if isinstance(scene.generator, Motion):
                for number, act in _speaking(batch):
                    act.parts = scene.said[act.stretch][number - scene.schedule.stretches[act.stretch].first]
            else:
                _generate(batch, scene)
            yield batch


def _speaking(batch: list[FaceFrame]) -> list[tuple[int, Act]]:
    """All that is said in a batch, and in which frames."""
    return [(frame.number, act) for frame in batch for act in frame.acts if act.stretch is not None]


def _generate(batch: list[FaceFrame], scene: Scene) -> None:
    """Generate the crops of those who speak."""
    from lipgan_colab.generation.crops import generate_crops  # here, because it loads PyTorch

    generator, hears = scene.generator, scene.generator.speech_input
    pictures = {frame.number: frame.picture for frame in batch}
    speaking = _speaking(batch)
    # In a photo everybody is encoded once for all frames; in a film everything of a batch is generated together.
    people = {act.who for _, act in speaking} if scene.is_photo else {None}
    for who in people:
        doing = [(number, act) for number, act in speaking if who is None or act.who == who]
        if not doing:
            continue
        windows, references = [], []
        for number, act in doing:
            since = number - scene.schedule.stretches[act.stretch].first
            said = scene.said[act.stretch]
            windows.append(hears.windows(said, 1, scene.report.fps, since - scene.options.sync_offset))
        for number, act in doing[:1] if scene.is_photo else doing:
            act.original = geometry.upright_crop(pictures[number], act.face, generator.face_size)
            rests = _rests(act.face, scene)
            scene.report.rested |= rests
            references.append(_with_mouth_at_rest(act) if rests else act.original)
        crops = np.stack([act.original for _, act in doing if act.original is not None])
        with scene.clock.stage("generator"):
            answers = generate_crops(generator, np.stack(references), crops, np.concatenate(windows))
        for (_, act), answer in zip(doing, answers, strict=True):
            act.original = crops[0] if scene.is_photo else act.original
            act.generated = answer


def _rests(face: Face, scene: Scene) -> bool:
    """Whether the generator is to see this face with a resting mouth: see `GenerateOptions.reference_mouth`."""
    if scene.options.reference_mouth == "own":
        return False
    if scene.options.reference_mouth == "rest":
        return True
    knows = scene.is_photo and getattr(scene.generator, "about", {}).get(PAINTED_REFERENCES, False)
    return bool(knows and geometry.mouth_opening(face.landmarks) > resting_mouth.OPEN)


def _with_mouth_at_rest(act: Act) -> np.ndarray:
    size = len(act.original)
    points = geometry.mapped(act.face.landmarks[LIPS + INNER_LIPS], geometry.to_crop(act.face, size))
    return resting_mouth.at_rest(act.original, points / size)


def _with_act(picture: np.ndarray, act: Act, scene: Scene, answers: Answers) -> np.ndarray:
    """The picture with one mouth as it is to be."""
    options = scene.options
    part = act.strength * shown(act.face, options.largest_yaw)
    if part == 0:
        return picture
    if act.generated is None:
        return _mover(act, scene).moved(picture, act.face, act.parts, part)
    if options.detail == "own":
        moved = answers.spoken(picture, act.face, act.original, act.generated, part)
        if moved is not None:
            return moved
    placement = place(act.face, picture.shape, len(act.generated), options.largest_yaw, act.strength)
    if placement is None:
        return picture
    return paste(picture, act.generated, act.original, placement, options.sharpen)


def _mover(act: Act, scene: Scene) -> Mover:
    """What moves the face of an act."""
    own = scene.cast[act.who].mover if act.who >= 0 else None
    return own or scene.movers.setdefault(act.who, Mover(scene.moves, own_teeth=scene.is_photo))


def _note(frame: FaceFrame, scene: Scene) -> None:
    """The report learns who was chosen, and what was left as it was."""
    report, options = scene.report, scene.options
    if not report.faces and frame.face is not None:
        largest = scene.cast[0].person == "largest"
        report.faces = frame.faces if largest else 1
        report.passed_over = largest and not frame.largest
    turned = {act.who for act in frame.acts if act.stretch is not None and abs(act.face.yaw) > options.largest_yaw}
    report.turned_away += bool(turned)
    for role, face in zip(scene.cast, frame.people, strict=True):
        number = stretch_at(frame.number, role.person, scene.schedule)
        if number is None or face is not None:
            continue
        report.turns[number].unseen += 1
        stretches = report.with_others if frame.faces else report.without_face
        if stretches and stretches[-1][1] == frame.number - 1:
            stretches[-1] = (stretches[-1][0], frame.number)
        elif not stretches or stretches[-1][1] < frame.number:
            stretches.append((frame.number, frame.number))
