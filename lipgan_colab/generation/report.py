"""What `generate` did, in a line for a person."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from lipgan_colab.errors import counted
from lipgan_colab.faces.following import Person

PHOTO_FPS = Fraction(25)
SHOWN = 5  # stretches that are told


@dataclass
class TurnReport:
    """What became of one turn.

    Attributes:
        person, speech: who spoke what.
        first, end: from which frame up to which other they were dubbed.
        unseen: in how many of these they were not seen.
        spoken: in which part of the time somebody speaks, 0 to 1; None where pauses were not looked for.
        unheard: seconds of the speech that there was no room for.
        sound_track: which of the speech file's `sound_tracks` was heard, counted from 1.
        there, stated: how long the speech is, and how long its file says that it is, if that is clearly more.
        louder_by: by how many dB the networks heard a quiet voice louder than it is; the video has it as it was given.
    """

    person: Person
    speech: Path
    first: int = 0
    end: int = 0
    unseen: int = 0
    spoken: float | None = None
    unheard: float = 0.0
    sound_track: int = 1
    sound_tracks: int = 1
    there: float = 0.0
    stated: float | None = None
    louder_by: float = 0.0

    def told(self) -> str:
        """What is to be known of it; nothing where all is as one would think."""
        text = ""
        if self.sound_tracks > 1:
            text += f"; sound track {self.sound_track} of {self.sound_tracks} is heard"
        if self.louder_by:
            text += f"; the voice is quiet, and was heard {self.louder_by:.0f} dB louder"
        if self.stated is not None:
            text += f"; the sound ends after {self.there:.2f} s of {self.stated:.2f} s: the file may be cut off"
        if self.unheard:
            text += f"; its last {self.unheard:.2f} s are not heard, for there is no room for them"
        if self.spoken == 0:
            other = "`sound_track` takes another track; " if self.sound_tracks > 1 else ""
            text += f"; no speech is heard, so the mouth rests ({other}with `pauses=off` every sound moves it)"
        return text


@dataclass
class GenerateReport:
    """What `generate` did.

    Attributes:
        path: the finished video.
        frames: how many it has, at fps frames a second.
        turns: what was said; one at least.
        dubbed: where the film was kept, from which frame up to which other somebody was dubbed.
        copied: how many frames were copied from the film as they are.
        not_copied: why none could be; "" where they could.
        left_out: what else there is in the film, and not in the result.
        bounced: how long a film is, in seconds, that is played forward and backward until the speech ends; 0 for none.
        known, found: in how many of a film's frames it was known already who is seen, and how many were looked at.
        faces: how many were seen where the person was chosen; 1 where it was said which one.
        passed_over: whether a larger face than the person's was turned too far, or not a human one.
        without_face: stretches (first, last) of frames in which nobody was seen; they are as they were.
        with_others: stretches of frames in which others were seen and not the person; they are as they were.
        turned_away: frames in which the face was turned too far to be changed fully.
        rested: whether the generator saw a resting mouth where there was another.
        idle: options that were set and mean nothing to these weights, or this face.
        before: what the film or photo says of itself where it is synthetic already.
        marks: what the file says of itself to machines, a line for each way.
        seconds: time spent, by stage (read, faces, generator, paste, encode). The stages of a video work at the same
            time.
    """

    path: Path
    frames: int = 0
    fps: Fraction = PHOTO_FPS
    turns: list[TurnReport] = field(default_factory=list)
    dubbed: list[tuple[int, int]] = field(default_factory=list)
    copied: int = 0
    not_copied: str = ""
    left_out: list[str] = field(default_factory=list)
    bounced: float = 0.0
    known: int = 0
    found: int = 0
    faces: int = 0
    passed_over: bool = False
    without_face: list[tuple[int, int]] = field(default_factory=list)
    with_others: list[tuple[int, int]] = field(default_factory=list)
    turned_away: int = 0
    rested: bool = False
    idle: list[str] = field(default_factory=list)
    before: str = ""
    marks: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def passed_through(self) -> int:
        """How many frames are as they were because the person was not seen."""
        return _count(self.without_face + self.with_others)

    @property
    def spoken(self) -> float | None:
        """In which part of the first turn's time somebody speaks."""
        return self.turns[0].spoken if self.turns else None

    def who_speaks_when(self) -> str:
        """A line for each turn: from when to when who speaks what."""
        lines = []
        for turn in sorted(self.turns, key=lambda turn: (turn.first, turn.end)):
            when = f"{_clock(turn.first / self.fps)} - {_clock(turn.end / self.fps)}"
            person = turn.person if isinstance(turn.person, str | int) else "at {:.0f},{:.0f}".format(*turn.person)
            unseen = f"; not seen in {counted(turn.unseen, 'frame')}" if turn.unseen else ""
            if turn.unseen and turn.unseen == turn.end - turn.first:
                unseen = "; NOBODY like that is seen: this is heard, and no lips move"
            lines.append(f"{when}  person {person}: {turn.speech.name}{unseen}{turn.told()}")
        return "\n".join(lines)

    def __str__(self) -> str:
        text = f"{self.path}: {counted(self.frames, 'frame')}, {float(self.frames / self.fps):.2f} s"
        if self.dubbed:
            last = [(first, end - 1) for first, end in self.dubbed]
            text += f"; dubbed: {_told(last, self.fps)}"
            if self.copied:
                text += f"; {counted(self.copied, 'frame')} copied from the film as they are, up to key frames"
            if self.not_copied:
                text += f"; all frames are encoded anew, for they cannot be copied: {self.not_copied}"
            if self.left_out:
                text += f"; of the film is left out: {', '.join(self.left_out)}"
        if self.bounced:
            text += f"; the film lasts {self.bounced:.2f} s, and is played forward and backward"
        if self.known:
            text += f"; the faces of {counted(self.known, 'frame')} were known from before"
        if len(self.turns) == 1:
            text += self.turns[0].told()
        if self.passed_over:
            text += "; the largest face is turned too far, or not a human one, so another speaks (`person` chooses)"
        elif self.faces > 1:
            text += f"; of {self.faces} faces the largest speaks (`person` chooses)"
        for stretches, what in ((self.without_face, "without the face"), (self.with_others, "with other people")):
            if stretches:
                count = _count(stretches)
                left = "is left as it was" if count == 1 else "are left as they were"
                text += f"; {counted(count, 'frame')} {what} {left} ({_told(stretches, self.fps)})"
        if self.with_others and any(0 < turn.unseen < turn.end - turn.first for turn in self.turns):
            text += "; with `after_cuts=anybody` they speak as well"
        if self.turned_away:
            text += f"; in {counted(self.turned_away, 'frame')} the face is turned too far and fades to the original"
        if self.rested:
            text += "; the generator saw the mouth at rest (with `reference_mouth=own` it sees it as it is)"
        if self.idle:
            text += f"; there is no use for {', '.join(f'`{name}`' for name in self.idle)} here"
        if self.before:
            text += f"; what was given says that it was {self.before}"
        for mark in self.marks[1:]:  # the first is XMP, of which nobody has to know more
            text += f"; {mark}"
        if len(self.turns) > 1:
            text += f"\n{self.who_speaks_when()}"
        return text


def _clock(seconds: Fraction) -> str:
    """A moment as m:ss.hh."""
    return f"{int(seconds // 60)}:{float(seconds % 60):05.2f}"


def _count(stretches: list[tuple[int, int]]) -> int:
    """How many frames there are in some stretches (first, last)."""
    return sum(last - first + 1 for first, last in stretches)


def _told(stretches: list[tuple[int, int]], fps: Fraction) -> str:
    """From when to when some stretches (first frame, last frame) last, the first of them: one frame is 0.08-0.12 s."""
    times = [[f"{round(float(n / fps), 2):g}" for n in (first, last + 1)] for first, last in stretches[:SHOWN]]
    told = [f"{begin}-{end} s" if begin != end else f"at {begin} s" for begin, end in times]
    return ", ".join(told) + (", …" if len(stretches) > SHOWN else "")
