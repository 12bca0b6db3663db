"""One person followed from frame to frame: chosen among the faces, never taken for another, found again after a cut."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import SAME_FACE, Face, centres, far, sizes
from lipgan_colab.faces.human import is_human
from lipgan_colab.faces.look import Look, average, colours_differ, has_changed, is_same, look, shapes_differ

AFTER_CUTS = ("same", "anybody")
FORGET = 15  # frames after which somebody who is gone is forgotten
LOOKS = 5  # pictures by which it is told who a newcomer is
PATIENCE = 12  # frames that wait for that
LOOK_AGAIN, DOUBTS = 3, 3  # every how many frames the person is looked at, and how often until it must be another
SELDOM = 20  # every how many frames it is looked whether that was a mistake
REMEMBERED = 8  # scenes of which it is kept what the person looked like in them
SMALLEST, SMALLEST_PART = 40.0, 0.25  # of a newcomer's face: pixels, and parts of the person's size


# Who is followed: "largest"; the n-th from the left (0, 1, ...); or who is at a point (x, y) of the picture.
Person = str | int | tuple[float, float]


@dataclass(frozen=True)
class Wanted:
    """Whom to follow.

    Attributes:
        person: "largest", the number of the person counted from the left, or a point (x, y) in the face; chosen in the
            first frame that has it. "largest" passes over a face that cannot be used for one that can.
        after_cuts: who turns up after a cut, or while the person is gone, is taken for the person: with "anybody"
            always, with "same" where they look alike (see `look.is_same`).
        largest_yaw: degrees; a face that is turned further away cannot be used.
        any_face: whether what does not look like a human face is taken for one.
    """

    person: Person = "largest"
    after_cuts: str = "anybody"
    largest_yaw: float = 180.0
    any_face: bool = True


@dataclass(frozen=True)
class Sight:
    """One frame, and who is seen in it.

    Attributes:
        picture: uint8 (H, W, 3), RGB; None where the faces are enough.
        faces: of `FaceFinder.find`, largest first.
        cut: whether another scene begins with it.
    """

    picture: np.ndarray | None
    faces: list[Face]
    cut: bool = False


def follow(
    sights: Iterable[Sight], wanted: Wanted = Wanted(), finder: FaceFinder | None = None
) -> Iterator[tuple[Sight, Face | None]]:
    """Follow one person through all frames: each with the person's face, None where that is not seen.

    Whoever else is in the picture is followed too, so as not to be taken for the person. What comes out is PATIENCE
    frames behind what goes in, for only then it is known who somebody is.

    Args:
        sights: the frames in their order.
        wanted: whom to follow.
        finder: looks again at faces of which it is to be told whether they are human, unless any face will do.
    """
    follower = _Follower(wanted, finder)
    for number, sight in enumerate(sights):
        follower.see(number, sight)
        yield from follower.known_by_now(PATIENCE)
    follower.decide()
    yield from follower.known_by_now(0)


def chosen(sight: Sight, wanted: Wanted, finder: FaceFinder | None) -> Face | None:
    """The face in a frame that is the person wanted; None where it is not there, or cannot be used."""
    if wanted.person != "largest":
        face = asked_for(sight.faces, wanted.person)
        return face if face is not None and _looks_human(sight, face, wanted, finder) else None
    human = (face for face in sight.faces if _looks_human(sight, face, wanted, finder))
    turned = None
    for face in human:
        if abs(face.yaw) <= wanted.largest_yaw:
            return face
        turned = face if turned is None else turned
    return turned


def asked_for(faces: list[Face], person: Person) -> Face | None:
    """Which of the faces, largest first, is the one asked for, whether it can be used or not."""
    if person == "largest":
        return next(iter(faces), None)
    if isinstance(person, int):
        from_left = sorted(faces, key=lambda face: centres(face.box)[0])
        return from_left[person] if 0 <= person < len(faces) else None
    distances = [np.abs(centres(f.box) - np.float32(person)).max() / sizes(f.box) for f in faces]
    return faces[int(np.argmin(distances))] if distances and min(distances) <= 0.75 else None


def _looks_human(sight: Sight, face: Face, wanted: Wanted, finder: FaceFinder | None) -> bool:
    return wanted.any_face or is_human(sight.picture, face, finder)


@dataclass(eq=False)
class _Track:
    """Somebody followed through one scene.

    Attributes:
        box: where they were last seen, in the frame of number `seen`; first in that of number `since`.
        is_person: whether they are the person wanted.
        is_other: whether it was found out that they are not.
        has_parted: whether they came where the person was, without a cut; it may have been a shadow.
        looks: what they look like lately, where that is asked.
    """

    box: np.ndarray
    since: int
    seen: int
    is_person: bool = False
    is_other: bool = False
    has_parted: bool = False
    looks: deque[Look] = field(default_factory=lambda: deque(maxlen=2 * LOOKS))


@dataclass
class _Seen:
    """A frame that waits, and everybody in it, each with their face."""

    number: int
    sight: Sight
    everybody: list[tuple[_Track, Face]]


class _Follower:
    """Tells frame by frame who is who."""

    def __init__(self, wanted: Wanted, finder: FaceFinder | None):
        self.wanted, self.finder = wanted, finder
        self.compares = wanted.after_cuts == "same"
        self.waiting: deque[_Seen] = deque()
        self.tracks: list[_Track] = []
        self.person: _Track | None = None  # as followed last
        self.scenes: deque[Look] = deque(maxlen=REMEMBERED)  # what the person looked like in earlier ones
        self.recent: deque[Look] = deque()  # and just now, if that was the person

    def known_by_now(self, patience: int) -> Iterator[tuple[Sight, Face | None]]:
        """The frames but the last ones, each with the person's face."""
        while len(self.waiting) > patience:
            seen = self.waiting.popleft()
            yield seen.sight, next((face for one, face in seen.everybody if one.is_person), None)

    def see(self, number: int, sight: Sight) -> None:
        """Take the next frame."""
        if sight.cut:
            self.decide()
            self.tracks = []
        # The person is not forgotten where whoever comes instead is taken for them anyway.
        keeps = None if self.compares else self.person
        self.tracks = [one for one in self.tracks if one is keeps or number - one.seen <= FORGET]
        everybody = self._continued(number, sight.faces)
        self.waiting.append(_Seen(number, sight, everybody))
        if self.person is None:
            face = chosen(sight, self.wanted, self.finder)
            self.person = next((one for one, its in everybody if its is face), None)
            if self.person is not None:
                self.person.is_person = True
        face = next((face for one, face in everybody if one is self.person), None)
        if face is not None:
            if self.compares and (number - self.person.since) % LOOK_AGAIN == 0:
                self._look_again(number, sight, face)
        elif self.person is not None:
            self.person.looks.extend(self.recent)
            self.recent.clear()
            self._meet(number, sight, everybody)

    def _continued(self, number: int, faces: list[Face]) -> list[tuple[_Track, Face]]:
        """Each face with the track that it continues, or begins."""
        near = sorted((far(one.box, f.box), k, i) for k, one in enumerate(self.tracks) for i, f in enumerate(faces))
        continued: dict[int, _Track] = {}
        for distance, k, i in near:
            if distance < SAME_FACE and i not in continued and self.tracks[k] not in continued.values():
                continued[i] = self.tracks[k]
        everybody = []
        for i, face in enumerate(faces):
            one = continued.get(i)
            if one is None:
                one = _Track(face.box, number, number)
                self.tracks.append(one)
            one.box, one.seen = face.box, number
            everybody.append((one, face))
        return everybody

    def _look_again(self, number: int, sight: Sight, face: Face) -> None:
        """Whether this is still the person: one scene may fade into another, and the next face be in the same place."""
        if abs(face.yaw) > self.wanted.largest_yaw:
            return
        self.recent.append(look(sight.picture, face))
        if len(self.recent) < DOUBTS:
            return
        if self.person.looks and has_changed(average(self.person.looks), average(self.recent)):
            self._part(number)
        else:
            self.person.looks.append(self.recent.popleft())

    def _part(self, number: int) -> None:
        """Who was taken for the person is somebody else, since they look more like what is seen now."""
        before, now = average(self.person.looks), average(self.recent)
        other = _Track(self.person.box, number, number, has_parted=True)
        other.looks.extend(self.recent)
        for seen in reversed(self.waiting):
            place = next((k for k, (one, _) in enumerate(seen.everybody) if one is self.person), None)
            if place is None:
                break
            face = seen.everybody[place][1]
            then = look(seen.sight.picture, face)
            if not colours_differ(then, now) < colours_differ(then, before):
                break
            seen.everybody[place] = other, face
            other.since = seen.number
        self.tracks = [other if one is self.person else one for one in self.tracks]
        self.recent.clear()

    def _may_be(self, one: _Track) -> bool:
        """Whether somebody may be the person, who is gone: they came after that or, in a fade, just before."""
        return self.person is not None and not one.is_other and one.since > self.person.seen - PATIENCE * self.compares

    def _meet(self, number: int, sight: Sight, everybody: list[tuple[_Track, Face]]) -> None:
        """The person is gone: look at who has come, and decide about those who were looked at often enough."""
        for one, face in everybody:
            age = number - one.since
            is_due = age % 2 == 0 and (len(one.looks) < LOOKS or age % SELDOM < 2 * LOOKS)
            if self._may_be(one) and is_due and self._can_be_used(sight, face):
                if not self.compares:
                    self._take(one)
                    return
                one.looks.append(look(sight.picture, face))
            if self._may_be(one) and (is_due or age == PATIENCE):
                self.decide(lambda one: len(one.looks) >= LOOKS or number - one.since >= PATIENCE)

    def _can_be_used(self, sight: Sight, face: Face) -> bool:
        """Neither small, nor turned away, nor unsure: what the landmarker finds in hair and ears is all of it."""
        smallest = max(SMALLEST, SMALLEST_PART * sizes(self.person.box))
        return (
            sizes(face.box) >= smallest
            and abs(face.yaw) <= self.wanted.largest_yaw
            and _looks_human(sight, face, self.wanted, self.finder)
        )

    def decide(self, is_due: Callable[[_Track], bool] = lambda one: True) -> None:
        """Whether one of the candidates is the person; those who are due and are not stay somebody else."""
        candidates = [one for one in self.tracks if one.looks and one is not self.person and self._may_be(one)]
        if not any(is_due(one) for one in candidates):
            return
        known = [*self.scenes, *([average(self.person.looks)] if self.person.looks else [])]
        looks = {one: average(one.looks) for one in candidates}
        alike = [
            (shapes_differ(looks[one], person), k)
            for k, one in enumerate(candidates)
            for person in known
            if is_same(looks[one], person)
        ]
        if alike or not known:
            self._take(candidates[min(alike)[1] if alike else 0])
        for one in candidates:
            one.is_other = is_due(one) and not (one.has_parted or one.is_person)

    def _take(self, one: _Track) -> None:
        """This is the person, from the first frame in which they came."""
        self.tracks = [other for other in self.tracks if other is not self.person]
        if self.person.looks:
            self.scenes.append(average(self.person.looks))
        self.person = one
        one.is_person = True
