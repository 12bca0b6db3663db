"""Who is seen where: the frames of a photo or a film, each with the person's face in it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby, islice, tee
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import LIPS, Face
from lipgan_colab.faces.facts import Facts
from lipgan_colab.faces.following import FORGET, Followed, Sight, Wanted, asked_for, chosen, follow_all
from lipgan_colab.faces.tracking import smoothed
from lipgan_colab.media.cuts import with_cuts
from lipgan_colab.media.image import read_image
from lipgan_colab.media.pipeline import StageClock, ahead
from lipgan_colab.media.splicing import Splice
from lipgan_colab.media.video import read_video, resample_frames

LARGEST_PHOTO = 1920  # pixels of the longer side; more makes files that players refuse
REVERSE_BYTES = 256 << 20  # frames kept in memory while a video is played backward
SEARCHED = 5  # every how many frames newcomers with small faces are looked for, and in a scene in which nobody is seen

Pads = tuple[float, float, float, float]  # by which part of its side a box grows at the top, right, bottom and left


@dataclass
class Act:
    """What becomes of one face in a frame.

    Attributes:
        who: whose face it is: the number of one of those who speak, or -1 - n for the n-th of all others.
        face: theirs.
        stretch: the number of the stretch that they speak in; None where they rest.
        strength: how far they do so, 0 to 1.
        original: the crop, uint8 (S, S, 3), where a generator of faces of that size makes another one.
        generated: what becomes of it, of the same shape.
        parts: float32 (components,), where a motion network moves the face: see `moved_faces.spoken_parts`.
    """

    who: int
    face: Face
    stretch: int | None = None
    strength: float = 1.0
    original: np.ndarray | None = None
    generated: np.ndarray | None = None
    parts: np.ndarray | None = None


@dataclass
class FaceFrame:
    """One frame on its way to the result.

    Attributes:
        number: of the result's frame.
        picture: uint8 (H, W, 3), RGB.
        people: the faces of those who are followed, None where one is not seen.
        others: everybody else who is seen, each with a number that stays theirs within a scene.
        faces: how many are seen, whosever they are.
        largest: whether the first person's is the largest of them.
        acts: what becomes of them.
    """

    number: int
    picture: np.ndarray
    people: list[Face | None]
    others: list[tuple[int, Face]] = field(default_factory=list)
    faces: int = 1
    largest: bool = True
    acts: list[Act] = field(default_factory=list)

    @property
    def face(self) -> Face | None:
        """The first person's."""
        return self.people[0]


def read_photo(path: str | Path) -> np.ndarray:
    """A photo, upright, uint8 (H, W, 3), made smaller where it is larger than players can play."""
    photo = read_image(path)
    scale = LARGEST_PHOTO / max(photo.shape[:2])
    if scale >= 1:
        return photo
    return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def find_in_photo(photo: np.ndarray, path: str | Path, wanted: Sequence[Wanted], pads: Pads) -> FaceFrame:
    """A photo (read from `path`) with the faces of the people wanted, their boxes padded; as frame number 0.

    Raises:
        InputError: one of them is not in it, has no human face, or is another of them.
    """
    with FaceFinder() as finder:
        sight = Sight(photo, finder.find(photo))
        people = [_in_photo(sight, path, one, finder) for one in wanted]
    for n, face in enumerate(people):
        if any(face is other for other in people[:n]):
            same = f"`person={wanted[n].person}` is the same as another that speaks"
            raise InputError(f"{path}: {same}; choose another for each speech")
    others = [(n, face) for n, face in enumerate(sight.faces) if not any(face is one for one in people)]
    largest = people[0] is sight.faces[0]
    return FaceFrame(0, photo, [_padded(face, pads) for face in people], others, len(sight.faces), largest)


def _in_photo(sight: Sight, path: str | Path, wanted: Wanted, finder: FaceFinder) -> Face:
    """The face of the person wanted."""
    face = chosen(sight, wanted, finder)
    asked = asked_for(sight.faces, wanted.person)
    if (face or asked) and not _has_mouth(face or asked, sight.picture.shape):
        raise InputError(f"{path}: the mouth of this face is not in the picture; choose another picture")
    if face is None:
        raise _nobody(path, wanted, len(sight.faces), asked is not None)
    return face


def _has_mouth(face: Face, shape: tuple[int, ...]) -> bool:
    """Whether a picture of this shape shows a face's mouth."""
    x, y = face.landmarks[LIPS].mean(axis=0)
    return bool(0 <= x < shape[1] and 0 <= y < shape[0])


def see_film(
    path: str | Path,
    frames: Iterable[tuple[int, np.ndarray]],
    wanted: Sequence[Wanted],
    pads: Pads,
    clock: StageClock,
    facts: Facts,
    starts: Sequence[int] | None = None,
    first: int = 0,
) -> Iterator[FaceFrame]:
    """Frames of a film, each with the faces of those who are followed, their boxes smoothed and padded.

    Args:
        path: the film.
        frames: with their numbers in it, as of `bounced_frames`.
        wanted: whom to follow.
        pads: as of `GenerateOptions`.
        clock: counts the time of reading and of looking for faces.
        facts: tells who is seen.
        starts: from which frame of the result on each of them is looked for; None for the first one.
        first: the number that the first frame has in the result.

    Raises:
        InputError: at the end, if none of those people was in any of them.
    """
    starts = [start - first for start in starts or [first] * len(wanted)]
    most, is_there, anybody = 0, False, False
    find = clock.around("faces", facts.find)
    with closing(ahead(clock.timed("read", cut_frames(frames)))) as film:
        sights = seen_in(film, find)
        followed = _smoothed(follow_all(sights, wanted, facts, starts), len(wanted))
        for number, (seen, smooth) in enumerate(followed, first):
            faces = seen.sight.faces
            most = max(most, len(faces))
            is_there = is_there or asked_for(faces, wanted[0].person) is not None
            anybody = anybody or any(face is not None for face in seen.faces)
            largest = bool(faces) and seen.faces[0] is faces[0]
            boxed = [face and _padded(face, pads) for face in smooth]
            people = [boxed[same] for same in seen.same_as]
            yield FaceFrame(number, seen.sight.picture, people, seen.others, len(faces), largest)
    if not anybody:
        raise _nobody(path, wanted[0], most, is_there)


def _smoothed(followed: Iterator[Followed], people: int) -> Iterator[tuple[Followed, list[Face | None]]]:
    """Each frame once more, and the people's faces with their boxes smoothed: within a scene, never over a cut."""
    scene = 0

    def scene_of(seen: Followed) -> int:
        nonlocal scene
        scene += seen.sight.cut
        return scene

    for _, frames in groupby(followed, key=scene_of):
        here, *coming = tee(frames, 1 + people)
        smooth = [smoothed(map(lambda seen, n=n: seen.faces[n], copy)) for n, copy in enumerate(coming)]
        for seen, *faces in zip(here, *smooth, strict=True):
            yield seen, faces


def _nobody(path: str | Path, wanted: Wanted, most: int, is_there: bool) -> InputError:
    """Why the person wanted was not found, where at most so many faces are seen, one of them where it was asked for."""
    if most == 0:
        return InputError(f"{path}: no face found; choose a picture in which it is larger and seen from the front")
    if is_there:
        return InputError(
            f"{path}: this does not look like a human face, and its mouth would be a guess; choose another picture, or "
            "insist with `any_face`"
        )
    if isinstance(wanted.person, int):
        who = f"there is no person {wanted.person}, counted from the left from 0; at most {most} are seen"
        return InputError(f"{path}: {who}")
    return InputError(f"{path}: nobody's face is at {wanted.person}; choose another point, or `person=largest`")


def _padded(face: Face, pads: Pads) -> Face:
    if not any(pads):
        return face
    top, right, bottom, left = pads
    width, height = face.box[2:] - face.box[:2]
    return replace(face, box=face.box + np.float32([-left * width, -top * height, right * width, bottom * height]))


def cut_frames(frames: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray, bool]]:
    """The frames, each with whether another scene begins with it."""
    indices: deque[int] = deque()

    def pictures() -> Iterator[np.ndarray]:
        for index, picture in frames:
            indices.append(index)
            yield picture

    for picture, cut in with_cuts(pictures()):
        yield indices.popleft(), picture, cut


def seen_in(
    frames: Iterable[tuple[int, np.ndarray, bool]], find: Callable[[int, np.ndarray, list[Face] | None], list[Face]]
) -> Iterator[Sight]:
    """The frames, of `cut_frames`, with the faces that `Facts.find` finds in them: small ones where they were just
    before, for looking all over a picture takes as long as looking into ten."""
    faces: list[Face] = []
    unseen = 0
    for index, picture, cut in frames:
        unseen = 0 if cut or faces else unseen + 1
        everywhere = cut or index % SEARCHED == 0 or 0 < unseen <= FORGET
        faces = find(index, picture, None if everywhere else faces)
        yield Sight(picture, faces, cut, index)


@dataclass(frozen=True)
class Film:
    """A film whose people speak.

    Attributes:
        path: the file.
        fps: frames a second of the result.
        bounced: how many frames it is played for, forward and backward; None plays it once.
        splice: where its frames can be copied, and be read from any of them on.
    """

    path: str | Path
    fps: Fraction
    bounced: int | None = None
    splice: Splice | None = None

    def frames(self, first: int = 0) -> Iterator[tuple[int, np.ndarray]]:
        """The frames from one on, each with its number in the film; InputError where it cannot be read."""
        if self.splice is not None:
            yield from self.splice.read(first)
        elif self.bounced is not None:
            yield from islice(bounced_frames(self.path, self.fps, self.bounced), first, None)
        else:
            with closing(read_video(self.path)) as film:
                yield from islice(enumerate(resample_frames(film, self.fps)), first, None)


def bounced_frames(path: str | Path, fps: Fraction, n: int) -> Iterator[tuple[int, np.ndarray]]:
    """n frames of a film at a constant rate, forward, backward, forward: (index in the film, uint8 (H, W, 3)).

    In bounded memory: backward, the film is decoded again piece by piece. A film with one frame repeats it.
    """

    def film(start: int = 0, end: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        with closing(read_video(path)) as frames:
            yield from islice(enumerate(resample_frames(frames, fps)), start, end)

    made = available = 0
    while True:
        with closing(film()) as frames:
            for index, frame in frames:
                if made and index == 0 and available > 1:
                    continue  # shown last on the way back
                yield index, frame
                made += 1
                available = max(available, index + 1)
                if made == n:
                    return
        piece = max(1, REVERSE_BYTES // frame.nbytes)
        for end in range(available - 1, 0, -piece):
            with closing(film(max(0, end - piece), end)) as frames:
                shown = list(frames)
            for index, frame in reversed(shown):
                yield index, frame
                made += 1
                if made == n:
                    return
