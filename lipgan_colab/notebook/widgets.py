"""The notebook's face: give a face and a speech clip, see who was found, generate, watch, download."""

import gc
import importlib.util
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import escape
from pathlib import Path

import cv2
import ipywidgets
from ipywidgets import Accordion, Button, Checkbox, Dropdown, FloatSlider, HBox, IntSlider, Layout, VBox

from lipgan_colab.errors import InputError, counted
from lipgan_colab.files import written_whole
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.report import GenerateReport
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.models.pretrained import ASSETS
from lipgan_colab.notebook import capture
from lipgan_colab.notebook.cells import result_name
from lipgan_colab.notebook.face_view import FaceView, draw_faces, find_faces
from lipgan_colab.notebook.file_input import WATCH_UPLOADS, FileInput, Source
from lipgan_colab.notebook.notice import Notice
from lipgan_colab.notebook.weights_input import WeightsInput
from lipgan_colab.workspace import Workspace, on_colab

SAMPLE_SPEECH = ASSETS / "sample.wav"
LARGEST_SHOWN = 20 << 20  # bytes of a video that is played in place
LARGEST_HEARD = 5 << 20  # bytes of a sound file that is played in place
PROGRESS_EVERY = 0.2  # seconds

CONSENT = "Everyone whose face or voice this is agreed, and I will tell viewers that the video is synthetic."
PAUSES = {
    "closes in pauses": "normal",
    "closes in long pauses only": "gentle",
    "closes in every gap": "strict",
    "never rests": "off",
}
STYLE = """<style>
.lipgan { max-width: 980px; }
.lipgan-card { border: 1px solid rgba(128, 128, 128, .35); border-radius: 12px; padding: 12px 16px 14px; margin: 6px; }
.lipgan h3 { margin: 2px 0 6px; font-size: 16px; font-weight: 600; }
.lipgan small { opacity: .7; line-height: 1.4; display: block; }
.lipgan-notice { border-left: 4px solid; padding: 4px 10px; margin: 4px 0; line-height: 1.45; max-width: 880px;
  background: rgba(128, 128, 128, .1); border-radius: 4px; overflow-wrap: anywhere; white-space: normal; }
.lipgan-notice pre { font-size: 11px; max-height: 240px; overflow: auto; white-space: pre-wrap; }
.lipgan img, .lipgan video { border-radius: 8px; max-width: 100%; height: auto; object-fit: contain; }
.lipgan a.lipgan-download { display: inline-block; padding: 5px 16px; border-radius: 4px; background: #1a73e8;
  color: white; text-decoration: none; }
</style>"""


class _Cancelled(Exception):
    """The person does not want this video any more."""


@dataclass
class State:
    """All that the widget knows.

    Attributes:
        face, speech: the files chosen.
        view: who is seen in the face file.
        made: what was made, the newest last.
        work: the thread that generates; None while nothing is made.
        cancel: set once the person wants it to stop.
    """

    face: Path | None = None
    view: FaceView | None = None
    speech: Path | None = None
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
        self.workspace, self.state = workspace, State()
        self._uploads = tempfile.TemporaryDirectory(prefix="lipgan-uploads-")  # a face is nothing to leave lying about
        folder = Path(self._uploads.name)

        samples = [Source("Sample", "user", lambda: sample_photo(folder))] if _has_sample_photo() else []
        webcam = [Source("Webcam", "camera", lambda: capture.take_photo(folder))] if on_colab() else []
        kinds = "image/*,.heic,.heif,video/*"
        self.face = FileInput("Photo or video", kinds, folder, self._take_face, webcam + samples)
        self.picture = ipywidgets.Image(format="jpeg", layout=Layout(display="none", max_height="360px"))
        self.person = ipywidgets.ToggleButtons(description="Who speaks", layout=Layout(display="none"))
        self.person.style.button_width = "48px"
        self.person.observe(lambda _: self._draw_view(), "value")

        samples = [Source("Sample", "music", lambda: SAMPLE_SPEECH)] if SAMPLE_SPEECH.exists() else []
        microphone = [Source("Microphone", "microphone", lambda: capture.record_speech(folder))] if on_colab() else []
        self.speech = FileInput("Speech", "audio/*,video/*", folder, self._take_speech, microphone + samples)
        self.heard = VBox()

        self.weights = WeightsInput(workspace)
        self._make_options()
        self.consent = Checkbox(description=CONSENT, indent=False, layout=Layout(width="98%"))
        self.button = Button(description="Generate", icon="play", button_style="primary")
        self.button.on_click(lambda _: self.start())
        self.cancel_button = Button(description="Cancel", icon="stop", layout=Layout(display="none"))
        self.cancel_button.on_click(lambda _: self.cancel())
        self.progress = ipywidgets.IntProgress(layout=Layout(display="none", width="260px"))
        self.notice = Notice(self._known_by)
        self.result = VBox()
        self.box = self._laid_out()

    def _make_options(self) -> None:
        wide = {"layout": Layout(width="98%"), "style": {"description_width": "150px"}}
        self.sync = IntSlider(0, -8, 8, description="Lips earlier · later", **wide)
        self.sharpen = FloatSlider(0.0, min=0, max=1, step=0.1, description="Sharper mouth", **wide)
        self.chin = FloatSlider(0.0, min=-0.2, max=0.5, step=0.05, description="Room for the chin", **wide)
        self.yaw = IntSlider(45, 15, 90, description="Largest turn of head", **wide)
        self.pauses = Dropdown(options=list(PAUSES.items()), value="normal", description="The mouth", **wide)
        smiles = [("is shown at rest to the generator, lips move freely", "auto"), ("is shown as it is", "own")]
        self.smile = Dropdown(options=smiles, value="auto", description="A photo's open mouth", **wide)
        others = [("nobody else speaks", "same"), ("whoever is seen speaks", "anybody")]
        self.cuts = Dropdown(options=others, value="same", description="After a cut", **wide)
        self.any_face = Checkbox(description="Animals and drawings may speak, too", indent=False)
        self.mark = Checkbox(description='Write "AI-generated" into the picture', indent=False)

        self.controls = {
            "person": self.person,
            "after_cuts": self.cuts,
            "any_face": self.any_face,
            "pauses": self.pauses,
            "sync_offset": self.sync,
            "pads": self.chin,
            "largest_yaw": self.yaw,
            "reference_mouth": self.smile,
            "sharpen": self.sharpen,
            "mark": self.mark,
        }

    def _known_by(self, option: str, value: str | None) -> str | None:
        """An option's name here: what stands beside it, and what stands there for the value."""
        control = self.controls.get(option)
        if control is None or value is None:
            return control and f"“{control.description}”"
        shown = {known: label for label, known in getattr(control, "options", ())}
        return f"“{control.description}: {shown.get(value, value)}”"

    def _laid_out(self) -> VBox:
        def card(title: str, *children) -> VBox:
            made = VBox([ipywidgets.HTML(f"<h3>{title}</h3>"), *children], layout=Layout(flex="1 1 340px"))
            made.add_class("lipgan-card")
            return made

        absent = [] if on_colab() else [ipywidgets.HTML("<small>Webcam and microphone: in Colab only.</small>")]
        options = [self.pauses, self.smile, self.cuts, self.sync, self.sharpen, self.chin, self.yaw]
        options += [self.any_face, self.mark]
        adjust = Accordion([VBox(options)], selected_index=None)
        adjust.set_title(0, "Adjust")
        buttons = HBox([self.button, self.cancel_button, self.progress], layout=Layout(align_items="center"))
        cards = [
            card("1 · Face", self.face.box, self.person, self.picture),
            card("2 · Speech", self.speech.box, self.heard, *absent),
            card("3 · Video", self.weights.box, adjust, self.consent, buttons, self.notice.box, self.result),
        ]
        cards[2].layout.flex = "0 0 auto"  # in a column the 340 px would be its height
        files = HBox(cards[:2], layout=Layout(flex_flow="row wrap", align_items="stretch"))
        box = VBox([ipywidgets.HTML(STYLE), files, cards[2]])
        box.add_class("lipgan")
        return box

    def show(self) -> None:
        """Show it in a notebook."""
        from IPython.display import Javascript, display

        display(self.box)
        display(Javascript(WATCH_UPLOADS))

    _ipython_display_ = show

    def _take_face(self, path: Path) -> str:
        self.state.face = self.state.view = None
        self.picture.layout.display = self.person.layout.display = "none"
        view = find_faces(path)
        self.state.face, self.state.view = path, view
        self.person.options = [(str(number + 1), number) for number in range(len(view.faces))]
        self.person.value = view.speaker or 0
        several = len(view.faces) > 1
        self.person.layout.display = "" if several else "none"
        self._draw_view()
        height, width = view.picture.shape[:2]
        told = f"{width} x {height}, " + (f"{len(view.faces)} faces; choose one" if several else "one face")
        if view.speaker is None:
            told += f"; not a human one, as far as can be told: it speaks with {self._known_by('any_face', None)}"
        return told

    def _draw_view(self) -> None:
        if self.state.view is None or self.person.value is None:
            return
        drawn = draw_faces(self.state.view, self.person.value)
        self.picture.value = cv2.imencode(".jpg", drawn[..., ::-1])[1].tobytes()
        self.picture.layout.display = ""

    def _take_speech(self, path: Path) -> str:
        self.state.speech, self.heard.children = None, []
        seconds = len(read_speech(path, alone=True)) / SAMPLE_RATE
        self.state.speech = path
        if path.stat().st_size <= LARGEST_HEARD:
            kind = path.suffix.lower().lstrip(".")
            player = ipywidgets.Audio(value=path.read_bytes(), format=kind, autoplay=False, loop=False)
            self.heard.children = [player]
        return f"{seconds:.1f} s of sound"

    def options(self) -> GenerateOptions:
        """The options as they are set."""
        view = self.state.view
        return GenerateOptions(
            person="largest" if view is None else view.person(self.person.value),
            after_cuts=self.cuts.value,
            any_face=self.any_face.value,
            pauses=self.pauses.value,
            sync_offset=self.sync.value,
            pads=(0.0, 0.0, self.chin.value, 0.0),
            largest_yaw=float(self.yaw.value),
            reference_mouth=self.smile.value,
            sharpen=self.sharpen.value,
            mark=self.mark.value,
            consent=self.consent.value,
        )

    def start(self) -> None:
        """Generate, as the button does: in a thread, with what is missing or goes wrong said in the widget."""
        if self.state.work is not None:
            return
        with self.notice.failures():
            self._check()
            state = self.state
            out = result_name(self.workspace.results, state.face, state.speech, datetime.now())
            job = (state.face, state.speech, self.weights.chosen, out, self.options())
            state.cancel.clear()
            self.result.children = []
            self._show_working(True)
            megabytes = self.weights.download
            hint = f" (the first time {megabytes} MB are downloaded)" if megabytes else ""
            self.notice.say(f"Loading the weights …{hint}")
            state.work = threading.Thread(target=self._work, args=job, name="generate", daemon=True)
            state.work.start()

    def cancel(self) -> None:
        """Stop the work at the next frame; nothing of it is kept."""
        self.state.cancel.set()
        self.notice.say("Cancelling …")

    def wait(self) -> None:
        """Return when nothing is being made."""
        work = self.state.work
        if work is not None:
            work.join()

    def _check(self) -> None:
        if self.state.face is None:
            raise InputError("There is no face yet: give a photo or a video under 1")
        if self.state.speech is None:
            raise InputError("There is no speech yet: give a sound file under 2")
        if not self.weights.chosen:
            raise InputError("There are no weights yet: choose some from the list")
        if not self.consent.value:
            raise InputError("Please tick that everyone whose face or voice this is agreed")

    def _show_working(self, working: bool) -> None:
        self.button.disabled = working
        self.cancel_button.layout.display = self.progress.layout.display = "" if working else "none"
        self.progress.value = 0

    def _work(self, face: Path, speech: Path, weights: str, out: Path, options: GenerateOptions) -> None:
        """Runs in the thread."""
        try:
            report = generate(face, speech, weights, out, options, on_progress=self._reporter())
            self.state.made.append(report)
            self._show_result(report)
        except _Cancelled:
            self.notice.say("Cancelled; nothing was saved.")
        except Exception as error:  # shown, whatever it is: nobody waits for the thread
            self.notice.fail(error)
        finally:
            release_memory()
            self._show_working(False)
            self.state.work = None

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

    def _show_result(self, report: GenerateReport) -> None:
        self.notice.say(str(replace(report, path=Path("results", report.path.name))), "good")
        size = report.path.stat().st_size
        shown = []
        if size <= LARGEST_SHOWN:
            # Never changed, but made anew: the classic notebook bounds what changes may carry, not what opens.
            video = ipywidgets.Video(value=report.path.read_bytes(), format="mp4", autoplay=False, loop=False)
            video.layout.max_width, video.layout.max_height = "640px", "520px"
            shown.append(video)
        else:
            hint = f"The video has {size / 1e6:.0f} MB, too many to play here; it is at {report.path}"
            shown.append(ipywidgets.HTML(f"<small>{escape(hint)}</small>"))
        self.result.children = [*shown, *self._download(report.path, playing=size <= LARGEST_SHOWN)]

    def _download(self, path: Path, playing: bool) -> list[ipywidgets.Widget]:
        if on_colab():
            button = Button(description="Download", icon="download", button_style="primary")
            button.on_click(lambda _: self._download_on_colab(path))
            return [button]
        if not playing:
            return []
        # The player holds the video already: its address is all that the link needs.
        link = "this.href = this.closest('.lipgan').querySelector('video').src"
        return [
            ipywidgets.HTML(
                f'<a class="lipgan-download" href="#" download="{escape(path.name)}" onclick="{link}">Download</a>'
                f"<small>Saved as {escape(str(path))}</small>"
            )
        ]

    def _download_on_colab(self, path: Path) -> None:
        with self.notice.failures():
            importlib.import_module("google.colab.files").download(str(path))


def release_memory() -> None:
    """Give the GPU's memory back: training may be next."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _has_sample_photo() -> bool:
    return importlib.util.find_spec("skimage") is not None


def sample_photo(folder: Path) -> Path:
    """NASA's portrait of Eileen Collins, which comes with scikit-image (public domain), as a file."""
    from skimage.data import astronaut

    path = folder / "astronaut.png"
    with written_whole(path) as unfinished:
        unfinished.write_bytes(cv2.imencode(".png", astronaut()[..., ::-1])[1].tobytes())
    return path
