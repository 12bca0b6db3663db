"""One page of pictures of judged clips: where the error sits in the face, and the best and the worst clips."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import griddata

from lipgan_colab.errors import counted
from lipgan_colab.faces.face import INNER_LIPS, LIPS
from lipgan_colab.faces.face_clip import FaceClip

COLUMNS = 12  # frames of a clip that are shown
SHOWN = 3  # best clips, and as many worst ones
CAPTION = 22  # pixels of a line of text
OUTLINES = (LIPS, INNER_LIPS, [33, 160, 158, 133, 153, 144], [362, 385, 387, 263, 373, 380])


@dataclass(frozen=True)
class Sample:
    """What the page needs of a clip.

    Attributes:
        id, score: which it is, and the high-passed correlation by which it is ranked.
        strip: uint8 (2 S, 12 S, 3): true frames, below them the generated ones.
        errors: of `errors_at_landmarks`.
    """

    id: str
    score: float
    strip: np.ndarray
    errors: np.ndarray


def sample(clip_id: str, score: float, true: FaceClip, generated: FaceClip) -> Sample:
    """What the page needs of a clip."""
    places = np.linspace(0, len(true.crops) - 1, COLUMNS).round().astype(int)
    rows = [np.concatenate(list(clip.crops[places]), axis=1) for clip in (true, generated)]
    return Sample(clip_id, score, np.concatenate(rows), errors_at_landmarks(true, generated))


def errors_at_landmarks(true: FaceClip, generated: FaceClip) -> np.ndarray:
    """Mean absolute difference of two clips' crops, in grey levels, where the true face's landmarks are: (478,), nan
    for those that are never in the crop.

    Sampled at landmarks, faces of any place and pose can be averaged.
    """
    errors = np.full(true.landmarks.shape[:2], np.nan, np.float32)
    for row, a, b, points in zip(errors, true.crops, generated.crops, true.landmarks, strict=True):
        inside = ((points > 1) & (points < true.size - 1)).all(axis=1)
        if inside.any():
            difference = cv2.blur(np.abs(a.astype(np.float32) - b).mean(axis=2), (3, 3))
            places = points[None, inside] - np.float32(0.5)  # OpenCV counts from pixel centres
            row[inside] = cv2.remap(difference, places, None, cv2.INTER_LINEAR)[0]
    seen = np.isfinite(errors)
    return np.where(seen, errors, 0).sum(axis=0) / np.where(seen.any(axis=0), seen.sum(axis=0), np.nan)


def heat_map(shape: np.ndarray, errors: np.ndarray, side: int = 288) -> np.ndarray:
    """A face, coloured by the error: dark where there is none, bright where it is largest; uint8 (side, side, 3).

    Args:
        shape: landmarks (478, 2) of a face, in any unit.
        errors: (478,), nan where it is not known.
    """
    known = np.isfinite(errors)
    low, high = shape[known].min(axis=0), shape[known].max(axis=0)
    points = (shape - (low + high) / 2) / (high - low).max() * (side - 16) + side / 2
    y, x = np.mgrid[:side, :side]
    values = griddata(points[known], errors[known], (x, y), method="linear")
    grey = np.nan_to_num(255 * values / max(errors[known].max(), 1e-6)).astype(np.uint8)
    picture = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    picture[np.isnan(values)] = 255
    for ring in OUTLINES:
        cv2.polylines(picture, [np.rint(points[ring]).astype(np.int32)], True, (200, 200, 200), 1, cv2.LINE_AA)
    return picture


def page(samples: list[Sample], shape: np.ndarray) -> np.ndarray:
    """The heat map over all samples, then the best and the worst by their score: uint8 (H, 12 S, 3).

    Args:
        samples: at least one, all of one size.
        shape: landmarks (478, 2) of the face on which the heat map is drawn.
    """
    width = samples[0].strip.shape[1]
    errors = np.stack([s.errors for s in samples])
    known = np.isfinite(errors)
    mean = np.where(known, errors, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    rows = []
    if np.isfinite(mean).sum() > 3:
        heat = heat_map(shape, mean)
        ground = np.full((len(heat), width, 3), 255, np.uint8)
        ground[:, : heat.shape[1]] = heat
        over = counted(len(samples), "clip")
        text = f"mean difference of generated and true, over {over}; bright: {np.nanmax(mean):.0f} of 255"
        rows += [caption(text, width), ground]
    ranked = sorted(samples, key=lambda s: -s.score)
    best = ranked[: max(SHOWN, len(ranked) - SHOWN)][:SHOWN]
    worst = ranked[max(len(best), len(ranked) - SHOWN) :]
    for name, some in (("best", best), ("worst", worst)):
        for s in some:
            text = f"{name}: {s.id} (high_passed {s.score:.2f}); above true, below generated"
            rows += [caption(text, width), s.strip]
    return np.concatenate(rows)


def caption(text: str, width: int) -> np.ndarray:
    """A line of text, uint8 (CAPTION, width, 3)."""
    text = text.encode("ascii", "replace").decode()  # OpenCV has no other letters, and crashes at what is no Unicode
    line = np.full((CAPTION, width, 3), 255, np.uint8)
    cv2.putText(line, text, (6, CAPTION - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return line
