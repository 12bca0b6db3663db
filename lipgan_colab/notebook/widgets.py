"""The notebook's face: give a face and a speech clip, see who was found, generate, watch, download."""

import gc
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import ipywidgets
from ipywidgets import Button, Checkbox, HBox, Layout, VBox

from lipgan_colab.demo import sample_photo
from lipgan_colab.errors import InputError, counted
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.preview import preview
from lipgan_colab.generation.report import GenerateReport
from lipgan_colab.media.image import is_image
from lipgan_colab.models.pretrained import ASSETS
from lipgan_colab.notebook import capture
from lipgan_colab.notebook.adjustments import Adjustments
from lipgan_colab.notebook.face_picture import shown
from lipgan_colab.notebook.face_view import find_faces
from lipgan_colab.notebook.file_input import WATCH_UPLOADS, FileInput, Source, uploads_named
from lipgan_colab.notebook.film_part import FilmPart
from lipgan_colab.notebook.names import result_name
from lipgan_colab.notebook.notice import Notice
from lipgan_colab.notebook.results_list import ResultsList
from lipgan_colab.notebook.style import GONE, STYLE
from lipgan_colab.notebook.voices_input import VoicesInput
from lipgan_colab.notebook.weights_input import WeightsInput
from lipgan_colab.workspace import Workspace, on_colab

SAMPLE_SPEECH = ASSETS / "sample.wav"
PROGRESS_EVERY = 0.2  # seconds

CONSENT = "Everyone whose face or voice this is agreed, and I will tell viewers that the video is synthetic."


Told = tuple[str, ...]  # what `Notice.say` takes


class _Cancelled(Exception):
    """The person does not want this video any more."""


@dataclass
class State:
    """All that the widget knows.

    Attributes:
        given: the file chosen as face.
        face: the same, once somebody was found in it.
        made: what was made, the newest last.
        work: the thread that generates; None while nothing is made.
        cancel: set once the person wants it to stop.
    """

    given: Path | None = None
    face: Path | None = None
    made: list[GenerateReport] = field(default_factory=list)
    work: threading.Thread | None = None
    cancel: threading.Event = field(default_factory=threading.Event)


class GenerateWidget:
    """A form around `generate`; shows itself as the last value of a notebook's cell.

    It works in a thread, so that the notebook stays usable and the work can be cancelled. Whatever goes wrong is said
    in one line where it belongs, and the form can be used on.

    Args:
        workspace: results go to `workspace.results`, and the runs to choose from are those in `workspace.runs`.
    """

    def __init__(self, workspace: Workspace):
        self.workspace, self.state, self._missing = workspace, State(), False
        self._thread: threading.Thread | None = None
        self._uploads = tempfile.TemporaryDirectory(prefix="lipgan-uploads-")  # a face is nothing to leave lying about
        folder = Path(self._uploads.name)

        portrait = sample_photo()
        samples = [Source("Sample photo", "user", lambda: portrait)] if portrait else []
        webcam = [Source("Webcam", "camera", lambda: capture.take_photo(folder))] if on_colab() else []
        kinds = "image/*,.heic,.heif,video/*"
        self.face = FileInput("Photo or video", kinds, folder, self._take_face, webcam + samples)
        self.part = FilmPart(self._look_at_part, self._known_by)

        samples = [Source("Sample speech", "music", lambda: SAMPLE_SPEECH)] if SAMPLE_SPEECH.exists() else []
        microphone = [Source("Microphone", "microphone", lambda: capture.record_speech(folder))] if on_colab() else []
        self.voices = VoicesInput(folder, microphone + samples, self._known_by, self._not_missing)

        self.weights = WeightsInput(workspace)
        self.adjust = Adjustments()
        self.consent = Checkbox(description=CONSENT, indent=False, layout=Layout(width="98%"))
        for control in (self.weights.list, self.consent):
            control.observe(lambda _: self._not_missing(), "value")
        self.button = Button(description="Generate", icon="play", button_style="primary")
        self.button.on_click(lambda _: self.start())
        self.preview_button = Button(description="Preview", icon="eye")
        self.preview_button.on_click(lambda _: self.preview())
        self.cancel_button = Button(description="Cancel", icon="stop", layout=Layout(display="none"))
        self.cancel_button.on_click(lambda _: self.cancel())
        self.progress = ipywidgets.IntProgress(layout=Layout(display="none", width="260px"))
        self.notice = Notice(self._known_by)
        self.result = VBox()
        self.results = ResultsList(workspace.results, workspace.lasts)
        self.box = self._laid_out()

    def _known_by(self, option: str, value: str | None) -> str | None:
        """An option's name here: what stands beside it, and what stands there for the value."""
        controls = {
            "person": self.voices.voices[0].person,
            "listeners": self.voices.listeners,
            "from_": self.part.from_field,
            "to": self.part.to_field,
            "keep_length": self.part.length,
        }
        if option == "sound_track":
            return "“--sound-track” on the command line"
        control = (controls | self.adjust.controls).get(option)
        if control is None or value is None:
            return control and f"“{control.description}”"
        shown = {str(known): label for label, known in getattr(control, "options", ())}
        return f"“{control.description}: {shown.get(value, value)}”"

    def _laid_out(self) -> VBox:
        def card(title: str, *children) -> VBox:
            made = VBox([ipywidgets.HTML(f"<h3>{title}</h3>"), *children], layout=Layout(flex="1 1 340px"))
            made.add_class("lipgan-card")
            return made

        absent = [] if on_colab() else [ipywidgets.HTML("<small>Webcam and microphone: in Colab only.</small>")]
        buttons = [self.button, self.preview_button, self.cancel_button, self.progress]
        buttons = HBox(buttons, layout=Layout(align_items="center", flex_flow="row wrap"))
        made = [self.notice.box, self.result, self.results.box]
        cards = [
            card("1 · Face", self.face.box, self.voices.faces_box),
            card("2 · Speech", self.voices.speech_box, *absent),
            card("3 · Video", self.weights.box, self.adjust.box, self.consent, buttons, *made),
        ]
        cards[2].layout.flex = "0 0 auto"  # in a column the 340 px would be its height
        files = HBox(cards[:2], layout=Layout(flex_flow="row wrap", align_items="stretch"))
        box = VBox([ipywidgets.HTML(STYLE), files, self.part.box, cards[2]])
        box.add_class("lipgan")
        return box

    def show(self) -> None:
        """Show it in a notebook."""
        from IPython.display import HTML, Javascript, display

        display(HTML(GONE))
        display(self.box)
        display(Javascript(WATCH_UPLOADS))
        self.results.look()  # when all else is seen already: Drive is slow

    _ipython_display_ = show

    def _take_face(self, path: Path) -> str:
        self.state.face, self.state.given = None, path
        self.voices.clear()
        self.part.hide()
        if not is_image(path):
            try:
                self.part.show(path)
            except InputError as error:  # the reader of films does not know that a picture would do
                raise InputError(error.line.replace("no picture, video or sound", "no picture or video")) from error
        told = self._look()
        self._not_missing()
        return told

    def _not_missing(self) -> None:
        """What was said to be missing has been given, or something else has."""
        if self._missing:
            self._missing = False
            self.notice.clear()

    def _look(self) -> str:
        """Offer those who are seen in the photo, or when the part of the film begins; says who they are."""
        path, start = self.state.given, self.part.from_ or 0.0
        view = find_faces(path, start)
        self.voices.see(path, view, start, self.part.fps)
        self.state.face = path
        height, width = view.picture.shape[:2]
        several = len(view.faces) > 1
        told = f"{width} x {height}, " + (f"{len(view.faces)} faces; click on who speaks" if several else "one face")
        if view.speaker is None:
            told += f"; not a human one, as far as can be told: it speaks with {self._known_by('any_face', None)}"
        return told

    def _look_at_part(self) -> None:
        if self.state.given is None or (self.state.face is not None and self.voices.start == (self.part.from_ or 0.0)):
            return
        with self.part.notice.failures(), uploads_named(Path(self._uploads.name)):
            self.part.notice.say("One moment …")
            self.face.notice.say(f"{self.state.given.name}: {self._look()}", "good")
            self.part.notice.clear()

    def options(self) -> GenerateOptions:
        """The options as they are set."""
        return GenerateOptions(
            **self.adjust.chosen(),
            person=self.voices.voices[0].whose,
            listeners=self.voices.others_do,
            from_=self.part.from_,
            to=self.part.to,
            keep_length=self.part.length.value,
            consent=self.consent.value,
        )

    def start(self) -> None:
        """Generate, as the button does: in a thread, with what is missing or goes wrong said in the widget."""

        def make(face: Path, speech, weights: str, options: GenerateOptions) -> Told:
            report = generate(face, speech, weights, out, options, on_progress=self._reporter())
            self.state.made.append(report)
            return self._show_result(report, people, warning)

        if self.state.work is None:
            with self.notice.failures():
                self._check()
                warning = self.weights.warning
                first, people = self.voices.voices[0].path, [voice.person.value for voice in self.voices.voices]
                out = result_name(self.workspace.results, self.state.face, first, datetime.now(), self.adjust.ending)
                self._begin(make)

    def preview(self) -> None:
        """Show what would be made, in a few of its frames; nothing is put among the results."""

        def make(face: Path, speech, weights: str, options: GenerateOptions) -> Told:
            out = Path(self._uploads.name, "preview.jpg")
            sheet = preview(face, speech, weights, out, options, on_progress=self._reporter()).path
            told = "From top to bottom: the face, what is changed of it, and the result"
            self.result.children = [ipywidgets.HTML(shown(sheet.read_bytes(), f"Six moments of the preview. {told}"))]
            return told, "good"

        if self.state.work is None:
            with self.notice.failures():
                self._check()
                self._begin(make)

    def _begin(self, make: Callable[..., Told]) -> None:
        """Let a thread make something of what is chosen, which returns what is to be said of it."""
        job = (self.state.face, self.voices.speech(self.part.from_, self.part.to), self.weights.chosen, self.options())
        self.state.cancel.clear()
        self.result.children = []
        self._show_working(True)
        megabytes = self.weights.download
        hint = f"the first time {megabytes} MB are downloaded" if megabytes else "some seconds, the first time more"
        self.notice.say(f"Loading the model … ({hint})")
        self._thread = threading.Thread(target=self._work, args=(make, *job), name="generate", daemon=True)
        self.state.work = self._thread
        self._thread.start()

    def cancel(self) -> None:
        """Stop the work at the next frame; nothing of it is kept."""
        self.state.cancel.set()
        self.notice.say("Cancelling …")

    def wait(self) -> None:
        """Return when nothing is being made."""
        if self._thread is not None:
            self._thread.join()

    def _check(self) -> None:
        self._missing = True
        if self.state.face is None:
            raise InputError("There is no face yet: give a photo or a video under 1")
        self.voices.check()
        if not self.weights.chosen:
            raise InputError("There is no model yet: choose one from the list")
        if not self.consent.value:
            raise InputError("Please tick that everyone whose face or voice this is agreed")
        self._missing = False

    def _show_working(self, working: bool) -> None:
        for button in (self.button, self.preview_button):  # one that is disabled would lose the keyboard's focus
            (button.add_class if working else button.remove_class)("lipgan-busy")
        self.cancel_button.layout.display = self.progress.layout.display = "" if working else "none"
        self.progress.value = 0

    def _work(self, make: Callable[..., Told], *job) -> None:
        """Runs in the thread. How it ended is said when the next one can begin."""
        say: Callable[[], None]
        try:
            with uploads_named(Path(self._uploads.name)):
                told = make(*job)
            say = partial(self.notice.say, *told)
        except _Cancelled:
            say = partial(self.notice.say, "Cancelled; nothing was saved.")
        except Exception as error:  # shown, whatever it is: nobody waits for the thread
            say = partial(self.notice.fail, error)
        release_memory()
        self._show_working(False)
        self.state.work = None
        say()

    def _reporter(self) -> Callable[[int, int], None]:
        """What `generate` calls after each frame."""
        started = told = time.monotonic()

        def on_progress(done: int, total: int) -> None:
            nonlocal told
            if self.state.cancel.is_set():
                raise _Cancelled
            now = time.monotonic()
            if now - told < PROGRESS_EVERY and 1 < done < total:
                return
            told = now
            self.progress.max, self.progress.value = total, done
            left = f", {(now - started) / done * (total - done):.0f} s left" if done > 1 else ""
            self.notice.say(f"{done} of {counted(total, 'frame')}{left}")

        return on_progress

    def _show_result(self, report: GenerateReport, people: list[int], warning: str) -> Told:
        # Who they are is told by the numbers in the picture.
        turns = [replace(turn, person=str(who + 1)) for turn, who in zip(report.turns, people, strict=True)]
        told = replace(report, path=Path("results", report.path.name), turns=turns, marks=[])
        warned = f"\n{warning}" if warning else ""
        marks = "\n".join(["In the file it says, for machines, that it is synthetic:", *report.marks])
        self.results.open(report.path)
        return f"{told}{warned}", "warn" if warning else "good", marks


def release_memory() -> None:
    """Give the GPU's memory back: training may be next."""
    gc.collect()
    torch = sys.modules.get("torch")  # where it is not loaded, it holds nothing
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
