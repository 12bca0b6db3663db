"""Which part of a film is dubbed: two handles under a strip of its frames, or the moments themselves."""

import base64
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import ipywidgets
from ipywidgets import HTML, Dropdown, FloatRangeSlider, HBox, Layout, Text, VBox

from lipgan_colab.errors import InputError
from lipgan_colab.generation.turns import TIMES, check_time, seconds_of
from lipgan_colab.media.video import probe_video
from lipgan_colab.notebook.face_picture import jpeg
from lipgan_colab.notebook.film_frames import glances
from lipgan_colab.notebook.notice import Notice

GLANCES, GLANCE_HEIGHT = 10, 96


class FilmPart:
    """The part of a film that is dubbed, and how long the result is where none is chosen.

    Args:
        changed: called when another part is chosen.
        known_by: as of `Notice`.

    Attributes:
        box: the widget to show; nothing is seen of it without a film.
        slider: its handles, in seconds.
        from_field, to_field: the same as text; empty at the film's ends.
        length: the `keep_length` of `GenerateOptions`.
        notice: what is wrong with the moments.
    """

    def __init__(self, changed: Callable[[], None], known_by: Callable[[str, str | None], str | None]):
        self._changed, self._setting = changed, False
        self.duration, self.fps, self._glances = 0.0, Fraction(25), []
        self.notice = Notice(known_by)
        self._strip, self._told, self._place = HTML(), HTML(), VBox()
        self.from_field, self.to_field = moment_field("From", "beginning"), moment_field("to", "end")
        for field in (self.from_field, self.to_field):
            field.observe(lambda _: self._typed(), "value")
        lengths = [("as the speech", "speech"), ("as the film", "film")]
        self.length = Dropdown(options=lengths, description="Length", layout=Layout(width="auto"))
        row = HBox([self.from_field, self.to_field, self.length], layout=Layout(flex_flow="row wrap"))
        title = HTML("<h3>Which part of the film is dubbed</h3>")
        self.box = VBox([title, self._strip, self._place, self._told, row, self.notice.box])
        self.box.add_class("lipgan-card")
        self.hide()

    @property
    def from_(self) -> float | None:
        """Where the part begins, in seconds; None at the beginning of the film."""
        first = self.slider.value[0]
        return None if first <= 0 else round(first, 3)

    @property
    def to(self) -> float | None:
        """Where the part ends; None at the film's end."""
        last = self.slider.value[1]  # the last step may be shorter than the others
        return None if last > self.duration - self.slider.step else round(last, 3)

    @property
    def is_chosen(self) -> bool:
        """Whether it is less than the film."""
        return (self.from_, self.to) != (None, None)

    def hide(self) -> None:
        """There is no film."""
        self.box.layout.display = "none"
        self.length.value, self._glances = "speech", []
        self._offer(0.0, Fraction(25))

    def show(self, path: Path) -> None:
        """Let a part of this film be chosen; at first it is all of it.

        Raises:
            InputError: it cannot be read.
        """
        info = probe_video(path)
        self._glances = [
            (time, base64.b64encode(jpeg(picture, 80)).decode())
            for time, picture in glances(path, GLANCES, GLANCE_HEIGHT)
        ]
        self.length.value = "speech"
        self._offer(info.duration, info.fps)
        self.box.layout.display = ""

    def _offer(self, duration: float, fps: Fraction) -> None:
        """A new slider: limits that are changed one after the other would move the handles."""
        self.duration, self.fps = duration, fps
        most = max(duration, 0.04)
        self.slider = FloatRangeSlider(
            value=(0.0, most), min=0.0, max=most, step=float(1 / fps), readout=False, continuous_update=False
        )
        self.slider.layout.width = "auto"
        self.slider.observe(lambda _: self._moved(), "value")
        self._place.children = [self.slider]
        self._tell()

    def _moved(self) -> None:
        self._tell()
        if not self._setting:
            self._changed()

    def _typed(self) -> None:
        if self._setting:
            return
        with self.notice.failures():
            first = self._moment("from_", self.from_field.value, 0.0)
            last = self._moment("to", self.to_field.value, self.duration)
            if first >= last:
                raise InputError(f"`to` is {last:g} s, and not after `from_`, which is {first:g} s; choose a later one")
            self.notice.clear()
            self.slider.value = first, max(last, self.slider.min)

    def _moment(self, name: str, text: str, otherwise: float) -> float:
        if not text.strip():
            return otherwise
        check_time(name, text)
        seconds = float(seconds_of(text, self.fps))
        if seconds > self.duration + float(1 / self.fps):
            raise InputError(f"`{name}` is {seconds:g} s; the film ends at {self.duration:.1f} s")
        return min(seconds, self.duration)

    def _tell(self) -> None:
        """Show what is chosen."""
        self.notice.clear()
        before, self._setting = self._setting, True  # fields that follow the handles were not typed into
        self.from_field.value = "" if self.from_ is None else f"{self.from_:g}"
        self.to_field.value = "" if self.to is None else f"{self.to:g}"
        self._setting = before
        self.length.disabled = self.is_chosen
        first, last, all_of_it = self.from_ or 0.0, self.to, f"{self.duration:.1f} s"
        if not self.is_chosen:
            told = f"All of it: {all_of_it}. Move the handles, or give {TIMES}"
        elif last is None:
            told = f"From {first:.1f} s of {all_of_it} on, for as long as the speech lasts; the rest stays as it is"
        else:
            told = f"{first:.1f} s to {last:.1f} s of {all_of_it}; the rest stays as it is"
        self._told.value = f"<small>{told}</small>"
        end = self.duration if last is None else last
        self._strip.value = strip(self._glances, self.duration, first, end) if self._glances else ""


def strip(seen: list[tuple[float, str]], duration: float, first: float, last: float) -> str:
    """The strip as HTML: pictures (time in s, JPEG in base64) side by side, those outside of the part darkened.

    Args:
        seen: the pictures.
        duration, first, last: of the film and the part, in seconds.
    """
    pictures = "".join(f'<img alt="" src="data:image/jpeg;base64,{picture}">' for _, picture in seen)
    left, right = 100 * first / duration, 100 - 100 * last / duration
    dark = f'<i style="left:0;width:{left:.2f}%"></i><i style="right:0;width:{right:.2f}%"></i>'
    times = "".join(f"<span>{clock(time)}</span>" for time, _ in seen)
    named = f"Frames of the film, from its beginning to {duration:.1f} s"
    return (
        f'<div class="lipgan-strip" role="img" aria-label="{named}">'
        f"{pictures}{dark}</div>"
        f'<div class="lipgan-times" aria-hidden="true">{times}</div>'
    )


def clock(seconds: float) -> str:
    """A moment as players show it: 1:05, or 5.2 s in the first minute."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def moment_field(label: str, empty: str) -> ipywidgets.Text:
    """A line for a moment of a film; empty means what it says in it."""
    field = Text(description=label, placeholder=empty, continuous_update=False, layout=Layout(width="180px"))
    field.style.description_width = "40px"
    return field
