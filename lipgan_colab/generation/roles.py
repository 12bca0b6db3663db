"""Who speaks in a result, and what becomes of everybody's mouth, frame by frame."""

from dataclasses import dataclass

from lipgan_colab.faces.following import Person, Wanted
from lipgan_colab.generation.face_frames import Act, FaceFrame
from lipgan_colab.generation.moved_faces import Mover
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.schedule import Schedule, merged, strength


@dataclass
class Role:
    """One person who speaks.

    Attributes:
        person: as asked for.
        wanted: whom to follow.
        start: the frame of the result from which on they are looked for.
        changed: from which frame up to which other their mouth is not as it was filmed.
        mover: moves their face; None where a generator paints it.
    """

    person: Person
    wanted: Wanted
    start: int
    changed: list[tuple[int, int]]
    mover: Mover | None = None


def roles(schedule: Schedule, options: GenerateOptions) -> list[Role]:
    """Who speaks, the first one first."""
    cast = []
    for person in dict.fromkeys(one.person for one in sorted(schedule.stretches, key=lambda one: one.first)):
        own = [(one.first, one.end) for one in schedule.stretches if one.person == person]
        changed = schedule.dubbed if options.listeners == "rest" else merged(own)
        cast.append(Role(person, options.wanting(person), min(own)[0], changed))
    return cast


def acts(frame: FaceFrame, cast: list[Role], schedule: Schedule, options: GenerateOptions) -> list[Act]:
    """What everybody does whose mouth is changed in a frame."""
    doing = []
    for who, (role, face) in enumerate(zip(cast, frame.people, strict=True)):
        part = strength(frame.number, role.changed, schedule.frames)
        if face is not None and part > 0:
            doing.append(Act(who, face, stretch_at(frame.number, role.person, schedule), part))
    # Two who were asked for may turn out to be one person: then who speaks does not rest.
    speaking = [act.face for act in doing if act.stretch is not None]
    doing = [act for act in doing if act.stretch is not None or not any(act.face is face for face in speaking)]
    if options.listeners == "rest":
        part = strength(frame.number, schedule.dubbed, schedule.frames)
        doing += [Act(-1 - n, face, None, part) for n, face in frame.others if part > 0]
    return doing


def stretch_at(number: int, person: Person, schedule: Schedule) -> int | None:
    """The number of the stretch in which a person speaks in a frame; None where they do not."""
    for n, one in enumerate(schedule.stretches):
        if one.person == person and one.first <= number < one.end:
            return n
    return None
