"""A face speaks with its own pixels: they are moved by the mesh, and only the inside of the mouth is painted."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import cv2
import numpy as np

from lipgan_colab.faces import lips, mesh
from lipgan_colab.faces.face import Face
from lipgan_colab.faces.mesh import HeadPose
from lipgan_colab.generation import inner_mouth
from lipgan_colab.generation.inner_mouth import Look
from lipgan_colab.generation.warp import warp, warped

LEAST_OPEN = 0.15  # of a film's frames show a mouth that rests, or nearly
SEAM_WIDTH = 0.1  # centimetres: how wide the line is, painted where lips meet that were apart
SOFT = 0.05  # centimetres over which the inside of the mouth goes over into the lips


@dataclass(frozen=True)
class Portrait:
    """A face in a picture, as it is to be moved.

    Attributes:
        picture: uint8 (H, W, 3), RGB.
        points: float64 (468, 3), the mesh in pixels and its depth.
        pose: of the head.
        head: the mesh in the head's frame.
        rest: the same when the person says nothing.
        look: the face's colours and sharpness.
        own_teeth: whether teeth that are seen in the picture are kept, where speech shows them.
    """

    picture: np.ndarray
    points: np.ndarray
    pose: HeadPose
    head: np.ndarray
    rest: np.ndarray
    look: Look
    own_teeth: bool = True


@dataclass(frozen=True)
class Likeness:
    """What a picture, or all of a film, tells of a person.

    Attributes:
        rest: the mesh (468, 3) of the face when nothing is said, in the head's frame.
        look: the face's colours and sharpness.
    """

    rest: np.ndarray
    look: Look


def likeness(pictures: Iterable[tuple[np.ndarray, Face]], moves: np.ndarray) -> Likeness | None:
    """The person seen in some pictures, uint8 (H, W, 3); None where there are none.

    Args:
        pictures: each with the person's face in it.
        moves: as of `lips.at_rest`.
    """
    heads, looks = [], []
    for picture, face in pictures:
        points, _, head = mesh.posed(face)
        heads.append(head)
        looks.append(inner_mouth.look_of(picture, points[:, :2]))
    if not heads:
        return None
    order = np.argsort([lips.gaps(head).max() for head in heads])
    least_open = order[: max(1, round(LEAST_OPEN * len(heads)))]
    rest = lips.at_rest(np.mean([heads[n] for n in least_open], axis=0), moves)
    usual = (np.median([getattr(look, field.name) for look in looks], axis=0) for field in fields(Look))
    return Likeness(rest, Look(*usual))


def portrait(picture: np.ndarray, face: Face, likeness: Likeness, own_teeth: bool = True) -> Portrait:
    """What is to be known of a face, found in a picture with its depth, before it speaks: see `Portrait`."""
    return Portrait(picture, *mesh.posed(face), likeness.rest, likeness.look, own_teeth)


def spoken(face: Portrait, movement: np.ndarray, part: float = 1.0) -> np.ndarray:
    """The picture with the face speaking, uint8 (H, W, 3).

    Args:
        face: who speaks.
        movement: float (468, 3), of the mesh from its rest, in the head's frame.
        part: how much of the way from what the face does to what it should do, 0 to 1.
    """
    head = speaking_mesh(face, movement, part)
    moved = face.pose.to_picture(head)
    moves = warp(face.points[:, :2], moved[:, :2], moved[:, 2], face.picture.shape)
    if moves is None:
        return face.picture
    painted = painted_inside(face, head, moves.region)
    return with_inside(warped(face.picture, moves), face, head, moves.region, painted, part)


def speaking_mesh(face: Portrait, movement: np.ndarray, part: float = 1.0) -> np.ndarray:
    """Where a face's points are in its head's frame as it speaks, (468, 3); arguments as of `spoken`."""
    least = np.minimum(lips.gaps(face.rest), lips.SHUT)
    target = lips.kept_apart(face.rest + movement, least)
    if (lips.gaps(face.rest) <= lips.SHUT).all():
        target = lips.meeting(target, least)
    return face.head + part * mesh.mobility()[:, None] * (target - face.head)


def painted_inside(face: Portrait, head: np.ndarray, region: tuple[int, int, int, int]) -> np.ndarray:
    """What would be seen in a region of the picture if nothing hid the inside of the mouth: float32 (H, W, 3).

    Args:
        face: as it was.
        head: its mesh as it is to be, in the head's frame.
        region: (left, top, right, bottom).
    """
    drawing = inner_mouth.drawn(inner_mouth.jaw_drop(head, face.rest), face.look)
    drawing = inner_mouth.placed(drawing, inner_mouth.middle_of_lips(face.rest), face.pose, region, face.look.blur)
    mask = inner_mouth.opening_mask(face.pose.to_picture(head), region)
    return drawing * inner_mouth.shaded(mask, float(face.pose.scale))[..., None]


def with_inside(
    result: np.ndarray,
    face: Portrait,
    head: np.ndarray,
    region: tuple[int, int, int, int],
    painted: np.ndarray,
    part: float = 1.0,
) -> np.ndarray:
    """A face whose skin has been moved, with the inside of its mouth: uint8 (H, W, 3), changed in place.

    Args:
        result: the face's picture, moved.
        face: as it was.
        head: its mesh as it is to be, in the head's frame.
        region: (left, top, right, bottom), what of the picture has been moved.
        painted: float32 (bottom - top, right - left, 3), what would be seen there if nothing hid it.
        part: how much of that shows beside the mouth's own inside, 0 to 1.
    """
    seen = inner_mouth.shown(head, face.rest)
    was_open = lips.gaps(face.head).max() > inner_mouth.OWN
    if not seen and not was_open:
        return result
    left, top, right, bottom = region
    soft = max(float(np.hypot(SOFT * face.pose.scale, 0.8 * face.look.blur)), 0.4)
    # Where teeth were and lips meet now, no skin lies over them.
    edge = max(1, round(SEAM_WIDTH * float(face.pose.scale))) * was_open
    mask = cv2.GaussianBlur(inner_mouth.opening_mask(face.pose.to_picture(head), region, edge), (0, 0), soft)
    mask *= part * (1.0 if was_open else seen)
    seam = inner_mouth.SEAM * face.look.lips
    painted = seam + seen * (painted - seam)
    if was_open and face.own_teeth:  # the upper teeth stay where they are while the lips move over them
        own = inner_mouth.opening_mask(face.points, region)
        radius = max(1, round(2 * soft))
        own = cv2.GaussianBlur(cv2.erode(own, np.ones((2 * radius + 1,) * 2)), (0, 0), radius / 2)
        there = face.picture[top:bottom, left:right]
        if inner_mouth.shows_teeth(there, own, face.look):
            painted = painted + seen * own[..., None] * (there - painted)
    skin = result[top:bottom, left:right]
    mixed = skin + mask[..., None] * (painted - skin)
    skin[:] = np.rint(mixed).clip(0, 255).astype(np.uint8)
    return result
