"""Who speaks, and what: one voice as a rule; more of them each with their own file, person and time."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import ipywidgets
from ipywidgets import HTML, Button, Dropdown, HBox, Layout, ToggleButtons, VBox

from lipgan_colab.errors import InputError
from lipgan_colab.faces.following import Person
from lipgan_colab.generation.turns import Time, Turn, check_time, seconds_of
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.notebook.face_picture import FacePicture
from lipgan_colab.notebook.face_view import FaceView, find_faces
from lipgan_colab.notebook.file_input import FileInput, Source
from lipgan_colab.notebook.film_part import moment_field
from lipgan_colab.notebook.notice import Notice

LARGEST_HEARD = 5 << 20  # bytes of a sound file that is played in place

KnownBy = Callable[[str, str | None], str | None]


class Voice:
    """What one person says.

    Args:
        folder: where uploads are put.
        sources: further ways to give a speech file.
        known_by: as of `Notice`.
        given: called when there is one more file.

    Attributes:
        box: the widget to show.
        speech: where its file is given.
        path: the file; None where there is none yet.
        person: who says it, by the number in `view`.
        from_field, to_field: when, as text; not looked at where there is one voice.
        view: who is seen when it begins.
        notice: what is wrong with its time.
        remove: takes the voice away.
    """

    def __init__(self, folder: Path, sources: list[Source], known_by: KnownBy, given: Callable[[], None]):
        self._given = given
        self.path: Path | None = None
        self.view: FaceView | None = None
        self.speech = FileInput("Speech", "audio/*,video/*", folder, self._take, sources)
        self.heard = VBox()
        self.person = ToggleButtons(description="Who speaks", layout=Layout(display="none"))
        self.person.style.button_width = "48px"
        self.from_field = moment_field("From", "beginning")
        self.to_field = moment_field("to", "its end")
        self.notice = Notice(known_by)
        self.remove = Button(description="Remove", icon="times", layout=Layout(width="auto"))
        self._title = HTML()
        self.box = VBox()

    def lay_out(self, number: int, alone: bool) -> None:
        """Show what is needed of it: of the only voice its file; who says it is beside the picture then."""
        self._title.value = f"<b>Voice {number}</b>"
        head = HBox([self._title, self.remove], layout=Layout(justify_content="space-between"))
        times = HBox([self.from_field, self.to_field], layout=Layout(flex_flow="row wrap"))
        with_others = [head, self.speech.box, self.heard, self.person, times, self.notice.box]
        self.box.children = [self.speech.box, self.heard] if alone else with_others
        (self.box.remove_class if alone else self.box.add_class)("lipgan-voice")

    def _take(self, path: Path) -> str:
        self.path, self.heard.children = None, []
        seconds = len(read_speech(path, alone=True)) / SAMPLE_RATE
        self.path = path
        if path.stat().st_size <= LARGEST_HEARD:
            kind = path.suffix.lower().lstrip(".")
            player = ipywidgets.Audio(value=path.read_bytes(), format=kind, autoplay=False, loop=False)
            self.heard.children = [player]
        self._given()
        return f"{seconds:.1f} s of sound"

    def see(self, view: FaceView | None) -> None:
        """Offer those who are seen when it begins; None: nobody."""
        if view is self.view:
            return
        self.view = view
        faces = [] if view is None else view.faces
        self.person.options = [(str(number + 1), number) for number in range(len(faces))]
        if faces:
            self.person.value = view.speaker or 0
        self.person.layout.display = "" if len(faces) > 1 else "none"

    @property
    def whose(self) -> Person:
        """Who says it, as of `GenerateOptions.person`."""
        return "largest" if self.view is None else self.view.person(self.person.value)

    def begins(self, otherwise: float, fps: Fraction) -> float:
        """When, in seconds."""
        text = self.from_field.value
        check_time("from_", text or None)
        return float(seconds_of(text, fps)) if text.strip() else otherwise

    def turn(self, from_: Time, to: Time) -> Turn:
        """It as `generate` takes it; from when to when if it does not say so itself."""
        own = self.from_field.value.strip(), self.to_field.value.strip()
        return Turn(self.path, self.whose, own[0] or from_, own[1] or to)


class VoicesInput:
    """All voices, and the picture in which it is clicked who speaks.

    Args:
        folder: where uploads are put.
        sources: further ways to give a speech file.
        known_by: as of `Notice`.
        given: called when there is one more file.

    Attributes:
        voices: in their order; at least one.
        active: the one for which a click on the picture chooses the person.
        picture: who is seen when it begins.
        listeners: what the others do.
        faces_box, speech_box: the widgets to show, beside the face's file and for the speech.
    """

    def __init__(
        self,
        folder: Path,
        sources: list[Source],
        known_by: KnownBy,
        given: Callable[[], None] = lambda: None,
    ):
        self._folder, self._sources, self._known_by, self._given = folder, sources, known_by, given
        self.path, self.start, self.fps = None, 0.0, Fraction(25)
        self._views: dict[float, FaceView] = {}
        self.picture = FacePicture(self._choose)
        self.which = ToggleButtons(description="A click is for")
        self.which.style.button_width = "76px"
        self.which.observe(lambda _: self._draw(), "value")
        others = [("stay as filmed", "as-filmed"), ("keep their mouths shut", "rest")]
        wide = {"layout": Layout(width="98%"), "style": {"description_width": "80px"}}
        self.listeners = Dropdown(options=others, description="The others", **wide)
        self._chooser = VBox()
        self.faces_box = VBox([self._chooser, self.picture.box, self.listeners])
        self.add = Button(
            description="Add another voice", icon="plus", layout=Layout(width="auto", align_self="flex-start")
        )
        self.add.on_click(lambda _: self.add_voice())
        self._list = VBox()
        self.speech_box = VBox([self._list, self.add])
        self.voices: list[Voice] = []
        self.add_voice()

    @property
    def active(self) -> Voice:
        """See above."""
        return self.voices[self.which.value or 0]

    @property
    def others_do(self) -> str:
        """What those who do not speak do, as of `GenerateOptions.listeners`."""
        return self.listeners.value if self.listeners.layout.display == "" else "as-filmed"

    @property
    def alone(self) -> bool:
        """Whether there is one voice."""
        return len(self.voices) == 1

    def add_voice(self) -> None:
        """One more, which the picture is then for."""
        voice = Voice(self._folder, self._sources, self._known_by, self._given)
        voice.person.observe(lambda _: self._draw(), "value")
        voice.from_field.observe(lambda _: self._look(voice), "value")
        voice.to_field.observe(lambda _: self._check(voice), "value")
        voice.remove.on_click(lambda _: self._remove(voice))
        self.voices.append(voice)
        self._lay_out(len(self.voices) - 1)
        self._look(voice)
        taken = {other.person.value for other in self.voices[:-1]}
        voice.person.value = next((n for _, n in voice.person.options if n not in taken), voice.person.value)

    def _remove(self, voice: Voice) -> None:
        if not self.alone and voice in self.voices:  # else pressed twice
            self.voices.remove(voice)
            self._lay_out(0)
            if self.alone:
                self._look(self.voices[0])  # whose own time is not looked at any more

    def _lay_out(self, active: int) -> None:
        for number, voice in enumerate(self.voices):
            voice.lay_out(number + 1, self.alone)
        self._list.children = [voice.box for voice in self.voices]
        self.which.options = [(f"Voice {number + 1}", number) for number in range(len(self.voices))]
        self.which.value = active
        self._chooser.children = [self.voices[0].person if self.alone else self.which]
        self._draw()

    def clear(self) -> None:
        """There is no face yet."""
        self.path, self._views = None, {}
        for voice in self.voices:
            voice.see(None)
        self._draw()

    def see(self, path: Path, view: FaceView, start: float = 0.0, fps: Fraction = Fraction(25)) -> None:
        """Offer those who are seen in a photo, or in a film when its part begins (start, in s)."""
        self.path, self.start, self.fps, self._views = path, start, fps, {start: view}
        for voice in self.voices:
            self._look(voice)

    def _look(self, voice: Voice) -> None:
        """Offer those who are seen when a voice begins."""
        with voice.notice.failures():
            self._check(voice)
            if self.path is not None:
                own = not self.alone and self._is_film
                start = voice.begins(self.start, self.fps) if own else self.start
                if start not in self._views:
                    voice.notice.say("One moment …")
                    self._views[start] = find_faces(self.path, start)
                    voice.notice.clear()
                voice.see(self._views[start])
        self._draw()

    @property
    def _is_film(self) -> bool:
        return self._views[self.start].film

    def _check(self, voice: Voice) -> None:
        with voice.notice.failures():
            voice.notice.clear()
            for name, field in (("from_", voice.from_field), ("to", voice.to_field)):
                check_time(name, field.value.strip() or None)

    def _choose(self, number: int) -> None:
        self.active.person.value = number

    def _draw(self) -> None:
        if not self.voices:
            return
        view = self.active.view
        several = view is not None and len(view.faces) > 1
        self.listeners.layout.display = "" if several else "none"
        if view is None:
            self.picture.hide()
        elif self.active.person.value is not None:
            self.picture.show(view, self.active.person.value)

    def check(self) -> None:
        """Raises InputError where a speech file is missing."""
        for number, voice in enumerate(self.voices, 1):
            if voice.path is None:
                which = "" if self.alone else f" of voice {number}"
                raise InputError(f"There is no speech{which} yet: give a sound file under 2")

    def speech(self, from_: Time, to: Time) -> Path | list[Turn]:
        """What is said, as `generate` takes it; from when to when, for voices that do not say so themselves."""
        return self.voices[0].path if self.alone else [voice.turn(from_, to) for voice in self.voices]
