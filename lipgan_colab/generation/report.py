"""What `generate` did, in a line for a person."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from lipgan_colab.errors import counted

PHOTO_FPS = Fraction(25)
SHOWN = 5  # stretches that are told


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
        return _count(self.without_face + self.with_others)

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
                count = _count(stretches)
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


def _count(stretches: list[tuple[int, int]]) -> int:
    """How many frames there are in some stretches (first, last)."""
    return sum(last - first + 1 for first, last in stretches)


def _told(stretches: list[tuple[int, int]], fps: Fraction) -> str:
    """From when to when some stretches (first frame, last frame) last, the first of them: one frame is 0.08-0.12 s."""
    times = [[f"{round(float(n / fps), 2):g}" for n in (first, last + 1)] for first, last in stretches[:SHOWN]]
    told = [f"{begin}-{end} s" if begin != end else f"at {begin} s" for begin, end in times]
    return ", ".join(told) + (", …" if len(stretches) > SHOWN else "")
