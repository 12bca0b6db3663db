"""A generator's answer in the person's own pixels: of its picture, the shape and the inside of the mouth count.

The face is found in the crop as it was and in the answer, both made alike, and the difference moves the person's mesh.
So skin and lips keep their sharpness and colours, whatever the generator makes of them.
"""

import cv2
import numpy as np

from lipgan_colab.faces import geometry, mesh
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face import Face
from lipgan_colab.faces.face_clip import with_surroundings
from lipgan_colab.generation.inner_mouth import Look, look_of
from lipgan_colab.generation.own_pixels import Portrait, speaking_mesh, with_inside
from lipgan_colab.generation.paste import match_colour, place
from lipgan_colab.generation.warp import warp, warped


class Answers:
    """Looks for faces in answers; keep one for all frames of a film, and close it."""

    def __init__(self):
        self._finder: FaceFinder | None = None
        self._before: tuple[np.ndarray, tuple[np.ndarray | None, Look]] | None = None  # the last crop, and of `_known`

    def close(self) -> None:
        """Free the finder."""
        if self._finder is not None:
            self._finder.close()

    def spoken(
        self, picture: np.ndarray, face: Face, original: np.ndarray, generated: np.ndarray, part: float = 1.0
    ) -> np.ndarray | None:
        """The picture, uint8 (H, W, 3), with the face speaking as in the answer; None where no face is seen in it.

        Args:
            picture: the frame, uint8 (H, W, 3).
            face: found in it, with its depth.
            original: its crop, uint8 (S, S, 3).
            generated: what a generator made of that.
            part: how much of the way from what the face does to what it should do, 0 to 1.
        """
        (before, look), after = self._known(picture, face, original), self._head(picture, face, generated)
        if before is None or after is None:
            return None
        points, pose, head = mesh.posed(face)
        who = Portrait(picture, points, pose, head, head, look)
        moved_head = speaking_mesh(who, mesh.mobility()[:, None] * (after - before), part)
        moved = pose.to_picture(moved_head)
        moves = warp(points[:, :2], moved[:, :2], moved[:, 2], picture.shape)
        if moves is None:
            return picture
        inside = _inside(picture, face, original, generated, moves.region)
        return with_inside(warped(picture, moves), who, moved_head, moves.region, inside, part)

    def _known(self, picture: np.ndarray, face: Face, original: np.ndarray) -> tuple[np.ndarray | None, Look]:
        """The head in a frame's own crop, as of `_head`, and the face's look; a photo is looked at once."""
        if self._before is None or self._before[0] is not original:
            self._before = original, (self._head(picture, face, original), look_of(picture, face.landmarks))
        return self._before[1]

    def _head(self, picture: np.ndarray, face: Face, crop: np.ndarray) -> np.ndarray | None:
        """The mesh (468, 3) found in a crop, in its head's frame; None where no face is seen."""
        if self._finder is None:
            self._finder = FaceFinder(max_faces=1)
        found = self._finder.find(with_surroundings(picture, face, crop))
        if not found:
            return None
        return mesh.posed(found[0])[2]


def _inside(
    picture: np.ndarray, face: Face, original: np.ndarray, generated: np.ndarray, region: tuple[int, int, int, int]
) -> np.ndarray:
    """The answer, lit like the picture, in a region of it: float32 (H, W, 3)."""
    left, top, right, bottom = region
    placement = place(face, picture.shape, len(generated), 180)
    lit = match_colour(generated, original, placement.crop_mask) if placement else np.float32(generated)
    to_crop = geometry.to_crop(face, len(generated))
    to_crop[:, 2] += to_crop[:, :2] @ [left, top]
    return geometry.warp(lit, to_crop, (right - left, bottom - top), cv2.INTER_CUBIC, inverse=True)
