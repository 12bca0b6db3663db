"""People followed from frame to frame: chosen among the faces, never taken for another, found again after a cut."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import SAME_FACE, Face, centres, far, sizes
from lipgan_colab.faces.facts import Facts
from lipgan_colab.faces.look import Look, average, colours_differ, has_changed, is_same, shapes_differ

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
            always, with "same" where they look alike (see `look.is_same`). Of several people who are wanted each is
            the one that looks most alike, and with "anybody" those who are like none of them are taken as well.
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
        index: the picture's number in its film, by which `KnownFaces` knows it; None where it has none.
    """

    picture: np.ndarray | None
    faces: list[Face]
    cut: bool = False
    index: int | None = None


@dataclass(frozen=True)
class Followed:
    """One frame, and who is who in it.

    Attributes:
        sight: the frame.
        faces: of each person wanted, in their order; None where it is not seen, is not looked for yet, or is the same
            person as one before it.
        others: everybody else, largest first, each with a number that stays the same while they are followed; over a
            cut nobody keeps it.
        same_as: of each person wanted its own number in that order; or, where who was chosen is a person already, that
            one's: the face is `faces[same_as[n]]`.
    """

    sight: Sight
    faces: list[Face | None]
    others: list[tuple[int, Face]]
    same_as: tuple[int, ...]


def follow(
    sights: Iterable[Sight], wanted: Wanted = Wanted(), finder: FaceFinder | Facts | None = None
) -> Iterator[tuple[Sight, Face | None]]:
    """Follow one person through all frames: each with the person's face, None where that is not seen.

    Whoever else is in the picture is followed too, so as not to be taken for the person. What comes out is PATIENCE
    frames behind what goes in, for only then it is known who somebody is.

    Args:
        sights: the frames in their order.
        wanted: whom to follow.
        finder: looks again at faces of which it is to be told whether they are human, unless any face will do.
    """
    return ((seen.sight, seen.faces[0]) for seen in follow_all(sights, [wanted], finder))


def follow_all(
    sights: Iterable[Sight],
    wanted: Sequence[Wanted],
    finder: FaceFinder | Facts | None = None,
    starts: Sequence[int] = (),
) -> Iterator[Followed]:
    """Follow several people through all frames, as `follow` does with one. No two of them are ever the same.

    Whoever is chosen while nobody else wanted is seen to be there is somebody new, be it after a cut one of those
    before: of two who look alike, and were never seen together, the one who was seen last goes on.

    Args:
        sights: the frames in their order.
        wanted: whom to follow.
        finder: as of `follow`.
        starts: the number of the frame, counted from 0, from which each of them is looked for; the first one if empty.
            Who is "largest", the n-th from the left, or at a point, is told by the first frame from there on that has
            them.
    """
    following = _Following(wanted, starts or [0] * len(wanted), finder)
    for number, sight in enumerate(sights):
        following.see(number, sight)
        yield from following.known_by_now(PATIENCE)
    following.decide()
    yield from following.known_by_now(0)


def chosen(sight: Sight, wanted: Wanted, finder: FaceFinder | Facts | None) -> Face | None:
    """The face in a frame that is the person wanted; None where it is not there, or cannot be used."""
    facts = _facts(finder)
    if wanted.person != "largest":
        face = asked_for(sight.faces, wanted.person)
        return face if face is not None and _looks_human(sight, face, wanted, facts) else None
    human = (face for face in sight.faces if _looks_human(sight, face, wanted, facts))
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


def _facts(finder: FaceFinder | Facts | None) -> Facts:
    return finder if isinstance(finder, Facts) else Facts(finder)


def _looks_human(sight: Sight, face: Face, wanted: Wanted, facts: Facts) -> bool:
    return wanted.any_face or facts.is_human(sight.index, sight.picture, face)


@dataclass(eq=False)
class _Track:
    """Somebody followed through one scene.

    Attributes:
        name: the number by which they are told from others.
        box: where they were last seen, in the frame of number `seen`; first in that of number `since`.
        owner: which person wanted they are; None while they are none.
        missed_by: the people wanted who were gone when these were looked at.
        not_them: those of whom it was found out that these are not they.
        has_parted: whether they came where a person was, without a cut; it may have been a shadow.
        looks: what they look like lately, where that is asked.
    """

    name: int
    box: np.ndarray
    since: int
    seen: int
    owner: "_Person | None" = None
    missed_by: set["_Person"] = field(default_factory=set)
    not_them: set["_Person"] = field(default_factory=set)
    has_parted: bool = False
    looks: deque[Look] = field(default_factory=lambda: deque(maxlen=2 * LOOKS))


@dataclass(eq=False)
class _Person:
    """One of the people wanted.

    Attributes:
        compares: whether somebody must look alike to be taken for them; else they are whoever comes.
        start: the number of the frame from which they are looked for.
        track: as followed last.
        same_as: who they turned out to be, in the frame of number `met`.
        scenes: what they looked like in earlier ones.
        recent: and just now, if that was they.
        seen_with: who was seen in one frame with them, and so is somebody else.
    """

    wanted: Wanted
    compares: bool
    start: int
    track: _Track | None = None
    same_as: "_Person | None" = None
    met: int = 0
    scenes: deque[Look] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    recent: deque[Look] = field(default_factory=deque)
    seen_with: set["_Person"] = field(default_factory=set)

    def may_be(self, one: _Track) -> bool:
        """Whether somebody may be this person, who is gone: they came after that or, in a fade, just before."""
        if self.track is None or one.owner not in (None, self) or self in one.not_them:
            return False
        return one.since > self.track.seen - PATIENCE * self.compares

    def is_now(self, other: "_Person") -> bool:
        """Whether another one, if they look alike, is rather this same person, who was chosen anew since."""
        return other not in self.seen_with and other.track.seen > self.track.seen

    def known(self) -> list[Look]:
        """What the person looked like, in each scene that is remembered and in this one."""
        return [*self.scenes, *([average(self.track.looks)] if self.track.looks else [])]


@dataclass
class _Seen:
    """A frame that waits, and everybody in it, each with their face."""

    number: int
    sight: Sight
    everybody: list[tuple[_Track, Face]]


class _Following:
    """Tells frame by frame who is who."""

    def __init__(self, wanted: Sequence[Wanted], starts: Sequence[int], finder: FaceFinder | Facts | None):
        self.facts = _facts(finder)
        several = len(wanted) > 1  # or whoever comes back might be taken for the other one
        self.people = [
            _Person(one, several or one.after_cuts == "same", start) for one, start in zip(wanted, starts, strict=True)
        ]
        self.waiting: deque[_Seen] = deque()
        self.tracks: list[_Track] = []
        self.names = count()

    def known_by_now(self, patience: int) -> Iterator[Followed]:
        """The frames but the last ones, each with who is who."""
        while len(self.waiting) > patience:
            seen = self.waiting.popleft()
            owned = [[face for one, face in seen.everybody if one.owner is person] for person in self.people]
            faces = [
                its[0] if its and seen.number >= person.start else None
                for its, person in zip(owned, self.people, strict=True)
            ]
            others = [(one.name, face) for one, face in seen.everybody if not any(face is its for its in faces)]
            same_as = tuple(self.people.index(person.same_as or person) for person in self.people)
            yield Followed(seen.sight, faces, others, same_as)

    def see(self, number: int, sight: Sight) -> None:
        """Take the next frame."""
        if sight.cut:
            self.decide()
            self.tracks = []
        # A person is not forgotten where whoever comes instead is taken for them anyway.
        kept = [person.track for person in self.people if not person.compares]
        self.tracks = [one for one in self.tracks if one in kept or number - one.seen <= FORGET]
        everybody = self._continued(number, sight.faces)
        self.waiting.append(_Seen(number, sight, everybody))
        for person in self.people:
            if person.track is None and person.same_as is None and number >= person.start:
                self._choose(person, number, sight, everybody)
        present = {one.owner for one, _ in everybody} - {None}
        missing = []
        for person in (person for person in self.people if person.track is not None):
            face = next((face for one, face in everybody if one is person.track), None)
            if face is not None:
                person.seen_with |= present
            if face is None:
                person.track.looks.extend(person.recent)
                person.recent.clear()
                missing.append(person)
            elif person.compares and (number - person.track.since) % LOOK_AGAIN == 0:
                self._look_again(person, number, sight, face)
        if missing:
            self._meet(missing, number, sight, everybody)

    def _choose(self, person: _Person, number: int, sight: Sight, everybody: list[tuple[_Track, Face]]) -> None:
        """Whether a person is in a frame for the first time; it may be one that is followed already."""
        face = chosen(sight, person.wanted, self.facts)
        track = next((one for one, its in everybody if its is face), None)
        if track is not None and track.owner is not None:
            person.same_as, person.met = track.owner, number
        elif track is not None:
            person.track, track.owner = track, person

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
                one = _Track(next(self.names), face.box, number, number)
                self.tracks.append(one)
            one.box, one.seen = face.box, number
            everybody.append((one, face))
        return everybody

    def _look(self, sight: Sight, face: Face) -> Look:
        return self.facts.look(sight.index, sight.picture, face)

    def _look_again(self, person: _Person, number: int, sight: Sight, face: Face) -> None:
        """Whether this is still the person: one scene may fade into another, and the next face be in the same place."""
        if abs(face.yaw) > person.wanted.largest_yaw:
            return
        person.recent.append(self._look(sight, face))
        if len(person.recent) < DOUBTS:
            return
        looks = person.track.looks
        if looks and has_changed(average(looks), average(person.recent)):
            self._part(person, number)
        else:
            looks.append(person.recent.popleft())

    def _part(self, person: _Person, number: int) -> None:
        """Who was taken for a person is somebody else, since they look more like what is seen now."""
        before, now = average(person.track.looks), average(person.recent)
        other = _Track(next(self.names), person.track.box, number, number, missed_by={person}, has_parted=True)
        other.looks.extend(person.recent)
        for seen in reversed(self.waiting):
            place = next((k for k, (one, _) in enumerate(seen.everybody) if one is person.track), None)
            if place is None:
                break
            face = seen.everybody[place][1]
            then = self._look(seen.sight, face)
            if not colours_differ(then, now) < colours_differ(then, before):
                break
            seen.everybody[place] = other, face
            other.since = seen.number
        self.tracks = [other if one is person.track else one for one in self.tracks]
        person.recent.clear()
        for late in self.people:  # who was chosen since then is the other one
            if late.same_as is person and late.met >= other.since:
                late.same_as = other.owner
                if other.owner is None:
                    late.track, other.owner = other, late

    def _meet(self, missing: list[_Person], number: int, sight: Sight, everybody: list[tuple[_Track, Face]]) -> None:
        """Some are gone: look at who has come, and decide about those who were looked at often enough."""
        for one, face in everybody:
            age = number - one.since
            is_due = age % 2 == 0 and (len(one.looks) < LOOKS or age % SELDOM < 2 * LOOKS)
            for_them = [person for person in missing if person.track.seen < number and person.may_be(one)]
            usable = self._can_be_used(sight, face, for_them) if is_due else []
            eager = next((person for person in usable if not person.compares), None)
            if eager is not None:
                self._take(eager, one)
                return
            if usable:
                one.looks.append(self._look(sight, face))
                one.missed_by.update(usable)
            if for_them and (is_due or age == PATIENCE):
                self.decide(lambda one: len(one.looks) >= LOOKS or number - one.since >= PATIENCE)

    def _can_be_used(self, sight: Sight, face: Face, people: list[_Person]) -> list[_Person]:
        """For whom a face is neither small, nor turned away, nor unsure: what the landmarker finds in hair and ears is
        all of it."""
        clear = [
            person
            for person in people
            if sizes(face.box) >= max(SMALLEST, SMALLEST_PART * sizes(person.track.box))
            and abs(face.yaw) <= person.wanted.largest_yaw
        ]
        careful = [person for person in clear if not person.wanted.any_face]
        if careful and not _looks_human(sight, face, careful[0].wanted, self.facts):
            return [person for person in clear if person not in careful]
        return clear

    def decide(self, is_due: Callable[[_Track], bool] = lambda one: True) -> None:
        """Whether some of the candidates are the people wanted; those who are due and are not stay somebody else."""
        candidates = {
            person: [one for one in self.tracks if person in one.missed_by and one.owner is None and person.may_be(one)]
            for person in self.people
        }
        looks = {one: average(one.looks) for ones in candidates.values() if any(map(is_due, ones)) for one in ones}
        offers, alike_to = [], {}
        for rank, person in enumerate(self.people):
            if not any(map(is_due, candidates[person])):
                continue
            known, anybody = person.known(), person.wanted.after_cuts == "anybody"
            for k, one in enumerate(candidates[person]):
                alike = [shapes_differ(looks[one], its) for its in known if is_same(looks[one], its)]
                if alike:
                    alike_to.setdefault(one, set()).add(person)
                if alike or not known or (anybody and is_due(one)):
                    offers.append((min(alike, default=np.inf), rank, k))
        found = set()
        for _, rank, k in sorted(offers):
            person = self.people[rank]
            one = candidates[person][k]
            rivals = alike_to.get(one, set()) - found
            if one.owner is None and person not in found and not any(map(person.is_now, rivals)):
                self._take(person, one)
                found.add(person)
        for person, ones in candidates.items():
            for one in ones:
                if is_due(one) and one.owner is not person and not one.has_parted:
                    one.not_them.add(person)

    def _take(self, person: _Person, one: _Track) -> None:
        """This is the person, from the first frame in which they came."""
        self.tracks = [other for other in self.tracks if other is not person.track]
        if person.track.looks:
            person.scenes.append(average(person.track.looks))
        person.track, one.owner = one, person
        for other in self.tracks:
            other.missed_by.discard(person)
