"""Lips that meet: how far a mesh's mouth is open along its line, and how it closes without crossing itself.

All in the head's frame (see `mesh`), in centimetres.
"""

from functools import cache

import numpy as np

from lipgan_colab.faces import mesh

# The inner lips from corner to corner, each upper point with the lower one below it.
CORNERS = [78, 308]
UPPER = [191, 80, 81, 82, 13, 312, 311, 310, 415]
LOWER = [95, 88, 178, 87, 14, 317, 402, 318, 324]
REACH = 0.9  # centimetres around a lip's point that go with it
SHUT = 0.1  # what MediaPipe sees between lips that touch, at most
TOUCHING = 0.03  # and usually
NEAR = 0.4  # centimetres between lips that are about to touch
WIDEST = 4.9  # centimetres between the corners of a mouth that rests; a smile goes back to there by the part SMILE_GOES
SMILE_GOES = 0.75
RELUCTANCE = 0.05  # square centimetres: how much a movement must help before it is made
UPPER_PART = 0.35  # of the way to each other, what the upper lip goes; the jaw does the rest


def gaps(head: np.ndarray) -> np.ndarray:
    """How far each of nine pairs of inner lip points is apart, down the head: (..., 468, 3) to (..., 9); negative where
    they cross."""
    return head[..., LOWER, 1] - head[..., UPPER, 1]


def width(head: np.ndarray) -> np.ndarray:
    """The distance of the corners of the mouth, (..., 468, 3) to (...)."""
    return np.linalg.norm(head[..., CORNERS[1], :] - head[..., CORNERS[0], :], axis=-1)


def kept_apart(head: np.ndarray, least: np.ndarray) -> np.ndarray:
    """The mesh with its lips at least so far apart: where they are nearer, or cross, they meet on the way.

    Args:
        head: (..., 468, 3).
        least: (9,), of each of the pairs.
    """
    lacking = np.maximum(least - gaps(head), 0)
    return head + _carried(-UPPER_PART * lacking, (1 - UPPER_PART) * lacking)


def closed(head: np.ndarray, most: np.ndarray) -> np.ndarray:
    """The mesh with its lips at most so far apart; arguments as of `kept_apart`."""
    over = np.maximum(gaps(head) - most, 0)
    return head + _carried(UPPER_PART * over, -(1 - UPPER_PART) * over)


def meeting(head: np.ndarray, least: np.ndarray) -> np.ndarray:
    """The mesh with lips that come near each other touching: whoever learns from sound hesitates between open and shut,
    and p, b and m want them shut. Arguments as of `kept_apart`."""
    more = np.maximum(gaps(head) - least, 0)
    part = np.clip(more / NEAR, 0, 1)
    return closed(head, least + more * part * part * (3 - 2 * part))


def _carried(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """What all points (..., 468, 3) do where the inner lips move down by so much, (..., 9) each."""
    moved = np.zeros((*upper.shape[:-1], mesh.POINTS, 3))
    for points, down in ((UPPER, upper), (LOWER, lower)):
        moved[..., 1] += down @ _carriers(tuple(points)).T
    return moved


@cache
def _carriers(points: tuple[int, ...]) -> np.ndarray:
    """How much of the movement of each inner lip point the mesh's points take on, (468, 9): interpolated between them
    along the lip, less and less away from it, none beyond the other lip."""
    face = mesh.canonical().astype(np.float64)
    other = LOWER if list(points) == UPPER else UPPER
    fixed = [*points, *CORNERS]
    near = np.exp(-np.square(np.linalg.norm(face[:, None] - face[fixed], axis=2) / REACH))
    carriers = (near @ np.linalg.inv(near[fixed]))[:, : len(points)]
    own, its = (np.linalg.norm(face[:, None] - face[list(lip)], axis=2).min(axis=1) for lip in (points, other))
    carriers[(its < own) | np.isin(np.arange(len(face)), [*CORNERS, *other])] = 0
    return carriers


def at_rest(head: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """A face (468, 3) as it is when it says nothing: as it is, where its lips touch; else with its mouth closed, and a
    smile partly taken back, by the most usual movement (ridge regression), and the lips put together.

    Args:
        head: in its own frame.
        moves: (K, 468, 3), independent movements of the lower face, each as large as usual; see `models.motion`.
    """
    open_by = np.maximum(gaps(head) - SHUT, 0)
    narrower = SMILE_GOES * max(0.0, width(head) - WIDEST)
    if not open_by.any():
        return head
    across = head[CORNERS[1]] - head[CORNERS[0]]
    across = across / np.linalg.norm(across)
    opens = moves[:, LOWER, 1] - moves[:, UPPER, 1]
    widens = (moves[:, CORNERS[1]] - moves[:, CORNERS[0]]) @ across
    wanted = np.r_[-open_by, -3 * narrower]
    effect = np.c_[opens, 3 * widens]
    parts = np.linalg.solve(effect @ effect.T + RELUCTANCE * np.eye(len(moves)), effect @ wanted)
    resting = head + np.tensordot(parts, moves, 1)
    meeting = np.full(len(UPPER), TOUCHING)
    return kept_apart(closed(resting, meeting), meeting)
