"""What is told of a film's pictures: the faces in them, what somebody looks like, whether that is a human face."""

from collections.abc import Sequence

import numpy as np

from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import Face
from lipgan_colab.faces.human import is_human
from lipgan_colab.faces.look import Look, look


class Facts:
    """Looks at the picture each time that it is asked. `known_faces.KnownFaces` is asked alike, and remembers.

    Each answer is a function of one picture, uint8 (H, W, 3), RGB; but for newcomers with a small face, who are not
    looked for where `near` tells where to look. `index` is the picture's number in its film, None where it has none.
    """

    def __init__(self, finder: FaceFinder | None):
        self.finder = finder

    def find(self, index: int | None, picture: np.ndarray, near: Sequence[Face] | None = None) -> list[Face]:
        """The faces in a picture, largest first: see `FaceFinder.find`."""
        return self.finder.find(picture, near)

    def look(self, index: int | None, picture: np.ndarray, face: Face) -> Look:
        """What somebody in it looks like: see `look.look`."""
        return look(picture, face)

    def is_human(self, index: int | None, picture: np.ndarray, face: Face) -> bool:
        """Whether a face in it is a human one: see `human.is_human`."""
        return is_human(picture, face, self.finder)
