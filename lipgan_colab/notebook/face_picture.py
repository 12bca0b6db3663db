"""The picture of who is seen, in which a person is chosen by a click on the face."""

import base64
from collections.abc import Callable
from html import escape

import cv2
import numpy as np
from ipywidgets import HTML, Box, Button, Layout

from lipgan_colab.notebook.face_view import FaceView, draw_faces


class FacePicture:
    """A picture with a button over each face, where there are several.

    The buttons have their place in parts of the picture, so that they stay over the faces however large it is shown.
    What stands on them is for screen readers; the number is drawn into the picture.

    Args:
        choose: called with the number of the face that was clicked, from 0 on.

    Attributes:
        box: the widget to show.
        image: the picture.
        buttons: those over the faces, from left to right.
    """

    def __init__(self, choose: Callable[[int], None]):
        self._choose, self._view = choose, None
        self.image = HTML()
        self.box = Box([self.image])
        self.box.add_class("lipgan-faces")
        self.hide()

    def hide(self) -> None:
        """Show nothing."""
        self._view, self.buttons = None, []
        self.box.layout.display = "none"

    def show(self, view: FaceView, chosen: int) -> None:
        """Show a picture, or whom else is chosen in it."""
        several = len(view.faces) > 1
        which = f"{len(view.faces)} faces, the one that speaks is number {chosen + 1}" if several else "the face found"
        self.image.value = shown(jpeg(draw_faces(view, chosen)), f"Your picture: {which}")
        if view is not self._view:
            self._view = view
            self.buttons = [self._button(number) for number in range(len(view.faces))] if len(view.faces) > 1 else []
            largest_first = sorted(self.buttons, key=lambda button: -float(button.layout.width.rstrip("%")))
            self.box.children = [self.image, *largest_first]  # the last one lies on top
        for number, button in enumerate(self.buttons):
            which = f"Face {number + 1} of {len(self.buttons)}, from the left"
            button.description = f"{which}: chosen" if number == chosen else which
            (button.add_class if number == chosen else button.remove_class)("lipgan-chosen")
        self.box.layout.display = ""

    def _button(self, number: int) -> Button:
        height, width = self._view.picture.shape[:2]
        x1, y1, x2, y2 = self._view.faces[number].box.tolist()
        left, top = max(0.0, x1), max(0.0, y1)
        layout = Layout(
            left=f"{100 * left / width:.2f}%",
            top=f"{100 * top / height:.2f}%",
            width=f"{100 * (min(x2, width) - left) / width:.2f}%",
            height=f"{100 * (min(y2, height) - top) / height:.2f}%",
        )
        button = Button(tooltip=f"Face {number + 1}: click to choose who speaks", layout=layout)
        button.add_class("lipgan-face")
        button.on_click(lambda _: self._choose(number))
        return button


def jpeg(picture: np.ndarray, quality: int = 95) -> bytes:
    """An RGB picture, uint8 (H, W, 3), as a JPEG file."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def shown(picture: bytes, what: str) -> str:
    """A JPEG as HTML, with words for those who do not see it."""
    return f'<img alt="{escape(what)}" src="data:image/jpeg;base64,{base64.b64encode(picture).decode()}">'
