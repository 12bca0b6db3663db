"""How a person is made to speak: what can be chosen."""

from dataclasses import dataclass

from lipgan_colab.errors import InputError, check_ranges
from lipgan_colab.faces.following import AFTER_CUTS, Person, Wanted
from lipgan_colab.generation.turns import Time, check_person, check_time
from lipgan_colab.media.encoding import CODECS, Encoding
from lipgan_colab.speech.pauses import PAUSE_RULES

RANGES = {  # of the options
    "sync_offset": (-250, 250),
    "largest_yaw": (0, 180),
    "sharpen": (0, 1),
    "batch_size": (1, 1024),
    "sound_track": (1, 1000),
}
CHOICES = {  # of the options that are words
    "after_cuts": AFTER_CUTS,
    "pauses": tuple(PAUSE_RULES),
    "reference_mouth": ("auto", "own", "rest"),
    "detail": ("own", "network"),
    "keep_length": ("speech", "film"),
    "listeners": ("as-filmed", "rest"),
    "codec": CODECS,
}
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
        from_, to: from when to when a film is dubbed, in seconds, as m:ss, or as the number of a frame (300f); the rest
            of it is left as it is, with its own sound. Without `to` it is dubbed for as long as the speech lasts. A
            photo speaks from then on.
        speech_at: when in the result the speech begins; None takes the beginning of what is dubbed.
        keep_length: how long the result is where neither `from_` nor `to` says what is dubbed: as the "speech", for
            which a shorter film is played forward and backward; or as the "film", where the mouth rests after the
            speech.
        listeners: what the others do while somebody speaks: "as-filmed", what they did; "rest", keep their mouths shut.
        codec: h264, h265 or prores make a film of it, png a folder of pictures and the sound.
        crf: how coarse the pictures are, 0 to 51, of h264 and h265; None takes what looks like the original.
        lossless: keep every pixel as it was made.
        cache: keep on this machine which faces a film shows where, so that another voice for it is made sooner.
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
    from_: Time = None
    to: Time = None
    speech_at: Time = None
    keep_length: str = "speech"
    listeners: str = "as-filmed"
    codec: str = "h264"
    crf: int | None = None
    lossless: bool = False
    cache: bool = True

    def __post_init__(self):
        check_ranges(self, RANGES)
        if self.window_offset is not None:
            check_ranges(self, {"window_offset": RANGES["sync_offset"]})
        check_person(self.person)
        for name in ("from_", "to", "speech_at"):
            check_time(name, getattr(self, name))
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"`{name}` {getattr(self, name)!r}: choose one of {', '.join(choices)}")
        if len(self.pads) != 4 or not all(-0.25 <= pad <= 1 for pad in self.pads):
            raise InputError(f"`pads` {self.pads}: four parts of the face's side, each from -0.25 to 1")
        _ = self.encoding  # which checks itself

    @property
    def wanted(self) -> Wanted:
        """Whom to follow."""
        return self.wanting(self.person)

    def wanting(self, person: Person) -> Wanted:
        """Whom to follow if this is the person."""
        return Wanted(person, self.after_cuts, self.largest_yaw, self.any_face)

    @property
    def encoding(self) -> Encoding:
        """How the result is stored."""
        return Encoding(self.codec, self.crf, self.lossless)
