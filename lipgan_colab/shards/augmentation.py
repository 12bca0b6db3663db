"""How training faces are varied: a few people become many, and no trace of the mouth is left but speech."""

import cv2
import numpy as np

from lipgan_colab.faces.resting_mouth import drawn_mouth, without_mouth


def recolouring(rng: np.random.Generator) -> np.ndarray:
    """A random lookup table (256, 1, 3): gain, gamma and tint, within what light and cameras do to a face."""
    levels = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    gamma = np.exp(rng.uniform(-0.35, 0.35))
    gain = np.exp(rng.uniform(-0.25, 0.15) + rng.uniform(-0.12, 0.12, size=3))
    return (np.clip(levels**gamma * gain, 0, 1) * 255).astype(np.uint8)[:, None, :]


def painted_over(rng: np.random.Generator, face: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A face (S, S, 3) whose mouth is gone under skin, with or without a broad smile drawn there instead.

    A network that has seen the mouths of few people copies an unknown one, smile and all. From such references it
    learns that only the speech tells how the mouth is to be.

    Args:
        points: (L, 2) lip landmarks in [0, 1]; nan where there are none, and the face is left as it is.
    """
    if not np.isfinite(points).all():
        return face
    size = len(face)
    painted = without_mouth(face, points)
    if rng.random() < 0.7:
        low, high = points.min(axis=0) * size, points.max(axis=0) * size
        middle = (low + high) / 2 + rng.normal(0, size / 60, 2)
        half = np.array([(high[0] - low[0]) / 2 * rng.uniform(0.8, 1.5), size * rng.uniform(0.03, 0.08)])
        lips = face[tuple((points[0] * size).astype(int).clip(0, size - 1)[::-1])] * rng.uniform(0.6, 1.0)
        teeth = rng.uniform(60, 240) * np.float32([1, 0.95, 0.88])
        bend = rng.uniform(-0.2, 0.8) * half[1]
        painted = drawn_mouth(painted, middle, half, bend, rng.uniform(0.3, 0.75), lips, teeth)
    return painted.clip(0, 255).astype(np.uint8)


def same_shape(size: int) -> np.ndarray:
    """Where every pixel of a face is taken from where it is, float32 (size, size, 2)."""
    return np.stack(np.meshgrid(*[np.arange(size, dtype=np.float32)] * 2), axis=2)


def new_shape(rng: np.random.Generator, size: int) -> np.ndarray:
    """Where the pixels of a face of another shape are taken from, (size, size, 2): a few people become many.

    Height and width change by up to 10 % each, the head turns by up to 6 degrees, and a smooth random field moves
    features by some pixels more.
    """
    grid = same_shape(size) - size / 2
    turn, (wide, high) = np.deg2rad(rng.uniform(-6, 6)), 1 + rng.uniform(-0.1, 0.1, size=2)
    turned = grid @ np.float32(
        [[wide * np.cos(turn), high * np.sin(turn)], [-wide * np.sin(turn), high * np.cos(turn)]]
    )
    bent = cv2.resize(
        rng.normal(0, size / 60, (5, 5, 2)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC
    )
    return turned + bent + size / 2 + rng.uniform(-size / 32, size / 32, size=2)


def jittered(rng: np.random.Generator, where: np.ndarray) -> np.ndarray:
    """The same places, a little shifted (1/48 of the crop), scaled (2 %) and turned (1.5 degrees).

    Landmarks, and so boxes, move a little with the mouth. A network finds that out, and reads the lips off the framing
    of the target instead of listening: a third of a pixel was enough. More than that noise would be too much: it
    would unlearn to take skin and teeth from the place where the reference has them.
    """
    size = len(where)
    jitter = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-1.5, 1.5), 1 + rng.uniform(-0.02, 0.02))
    jitter[:, 2] += rng.uniform(-size / 48, size / 48, size=2)
    return cv2.transform(where, jitter)


def taken(picture: np.ndarray, where: np.ndarray) -> np.ndarray:
    return cv2.remap(picture, where.astype(np.float32), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
