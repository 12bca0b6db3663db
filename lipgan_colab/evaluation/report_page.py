"""One page of pictures of judged clips: where the error sits in the face, and the best and the worst clips."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.interpolate import griddata

from lipgan_colab.errors import counted
from lipgan_colab.evaluation.measures import closures
from lipgan_colab.evaluation.scores import YAW_BINS
from lipgan_colab.faces.face import INNER_LIPS, LIPS
from lipgan_colab.faces.face_clip import FaceClip

PHASES = ("closures", "openings", "silence")  # lips that shut within speech; wide open ones; while nobody speaks
WIDE = 0.7  # of a mouth's usual widest
YAWS = tuple(f"yaw {low}-{high}" for low, high in YAW_BINS)  # degrees to either side
SMALL, CELL = 111, 200  # pixels of a face that is one of many, and of the words over it
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
        phases: the same over the frames of each of PHASES and of the clip's yaw in YAWS, and how many those are;
            without those that have none.
    """

    id: str
    score: float
    strip: np.ndarray
    errors: np.ndarray
    phases: dict[str, tuple[np.ndarray, int]] = field(default_factory=dict)


def sample(
    clip_id: str, score: float, true: FaceClip, generated: FaceClip, silent: np.ndarray | None = None, yaw: float = 0.0
) -> Sample:
    """What the page needs of a clip.

    Args:
        clip_id, score: as of `Sample`.
        true, generated: the clip as it is, and what is judged.
        silent: of `measures.silent_frames`; None says that nothing is silent.
        yaw: degrees, mean over the frames.
    """
    places = np.linspace(0, len(true.crops) - 1, COLUMNS).round().astype(int)
    rows = [np.concatenate(list(clip.crops[places]), axis=1) for clip in (true, generated)]
    errors = _errors(true, generated)
    chosen = phases(true, np.zeros(len(errors), bool) if silent is None else silent, yaw)
    by_phase = {name: (nanmean(errors[frames]), int(frames.sum())) for name, frames in chosen.items() if frames.any()}
    return Sample(clip_id, score, np.concatenate(rows), nanmean(errors), by_phase)


def phases(true: FaceClip, silent: np.ndarray, yaw: float) -> dict[str, np.ndarray]:
    """Which of a clip's frames, bool (F,), are of which of PHASES and YAWS. Arguments as of `sample`."""
    opening, shut = true.opening, np.zeros(len(silent), bool)
    for first, last in closures(opening, silent):
        shut[first : last + 1] = True
    scale = max(float(np.percentile(opening, 90) - opening.min()), 1e-9)
    wide = ~silent & (np.ptp(opening) > 1e-9) & ((opening - opening.min()) / scale >= WIDE)
    turned = {f"yaw {low}-{high}": np.full(len(silent), low <= abs(yaw) < high) for low, high in YAW_BINS}
    return dict(zip(PHASES, (shut, wide, silent), strict=True)) | turned


def errors_at_landmarks(true: FaceClip, generated: FaceClip) -> np.ndarray:
    """Mean absolute difference of two clips' crops, in grey levels, where the true face's landmarks are: (478,), nan
    for those that are never in the crop.

    Sampled at landmarks, faces of any place and pose can be averaged.
    """
    return nanmean(_errors(true, generated))


def _errors(true: FaceClip, generated: FaceClip) -> np.ndarray:
    """The same of each frame, (F, 478)."""
    rows = zip(true.crops, generated.crops, true.landmarks, strict=True)
    return np.stack([at_landmarks(np.abs(a.astype(np.float32) - b).mean(axis=2), points) for a, b, points in rows])


def at_landmarks(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """What a picture of values (S, S) has around landmarks (P, 2) in its pixels: float32 (P,), nan outside of it."""
    found = np.full(len(points), np.nan, np.float32)
    inside = ((points > 1) & (points < len(values) - 1)).all(axis=1)
    if inside.any():
        places = points[None, inside].astype(np.float32) - np.float32(0.5)  # OpenCV counts from pixel centres
        found[inside] = cv2.remap(cv2.blur(values.astype(np.float32), (3, 3)), places, None, cv2.INTER_LINEAR)[0]
    return found


def nanmean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is known; nan where nothing is."""
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)


def heat_map(shape: np.ndarray, errors: np.ndarray, side: int = 288, most: float | None = None) -> np.ndarray:
    """A face, coloured by the error: dark where there is none, bright where it is largest; uint8 (side, side, 3).

    Args:
        shape: landmarks (478, 2) of a face, in any unit.
        errors: (478,), nan where it is not known.
        side: of the picture, in pixels.
        most: the error that is brightest; None takes the largest.
    """
    known = np.isfinite(errors)
    low, high = shape[known].min(axis=0), shape[known].max(axis=0)
    points = (shape - (low + high) / 2) / (high - low).max() * (side - 16) + side / 2
    y, x = np.mgrid[:side, :side]
    values = griddata(points[known], errors[known], (x, y), method="linear")
    scale = max(errors[known].max() if most is None else most, 1e-6)
    grey = np.nan_to_num(255 * np.minimum(values / scale, 1)).astype(np.uint8)
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
    mean = nanmean(errors)
    rows = []
    if np.isfinite(mean).sum() > 3:
        heat = heat_map(shape, mean)
        ground = np.full((len(heat), width, 3), 255, np.uint8)
        ground[:, : heat.shape[1]] = heat
        by_phase = _by_phase(samples, shape)
        if by_phase is not None and width >= heat.shape[1] + by_phase.shape[1]:
            ground[:, width - by_phase.shape[1] :] = by_phase
        over = counted(len(samples), "clip")
        text = f"mean difference of generated and true, over {over}; bright: {np.nanmax(mean):.0f} of 255"
        rows += [caption(text, width), ground]
    ranked = sorted(samples, key=lambda s: -s.score)
    half = min(SHOWN, (len(ranked) + 1) // 2)
    best, worst = ranked[:half], ranked[max(half, len(ranked) - SHOWN) :]
    for name, some in (("best" if worst else "the only one", best), ("worst", worst)):
        for s in some:
            text = f"{name}: {s.id} (follows the speech: {s.score:.2f} of 1); above true, below generated"
            rows += [caption(text, width), s.strip]
    return np.concatenate(rows)


def _by_phase(samples: list[Sample], shape: np.ndarray) -> np.ndarray | None:
    """Small heat maps of each phase and yaw, of one common scale: uint8 (288, W, 3); None where nothing is told."""
    counts = {name: sum(s.phases[name][1] for s in samples if name in s.phases) for name in (*PHASES, *YAWS)}
    means = {}
    for name in counts:
        some = [s.phases[name] for s in samples if name in s.phases]
        if some:
            errors, frames = np.stack([e for e, _ in some]), np.array([[n] for _, n in some])
            frames = np.where(np.isfinite(errors), frames, np.nan)
            means[name] = np.nansum(errors * frames, axis=0) / np.nansum(frames, axis=0).clip(1e-9)
            means[name][np.isnan(frames).all(axis=0)] = np.nan
    means = {name: mean for name, mean in means.items() if np.isfinite(mean).sum() > 3}
    if not means:
        return None
    most = max(float(np.nanmax(mean)) for mean in means.values())
    rows = []
    for names in (PHASES, YAWS):
        cells = [_small(name, means.get(name), counts[name], shape, most) for name in names]
        cells += [np.full_like(cells[0], 255)] * (len(YAWS) - len(cells))
        rows.append(np.concatenate(cells, axis=1))
    text = f"by what the true mouth does, and how far the head is turned (degrees); one scale, bright: {most:.0f}"
    return np.concatenate([*rows, caption(text, rows[0].shape[1])])


def _small(name: str, errors: np.ndarray | None, count: int, shape: np.ndarray, most: float) -> np.ndarray:
    cell = np.full((SMALL, CELL, 3), 255, np.uint8)
    if errors is not None:
        cell[:, :SMALL] = heat_map(shape, errors, SMALL, most)
    return np.concatenate([caption(f"{name}: {counted(count, 'frame') if count else 'no frame'}", CELL), cell])


def caption(text: str, width: int) -> np.ndarray:
    """A line of text, uint8 (CAPTION, width, 3)."""
    text = text.encode("ascii", "replace").decode()  # OpenCV has no other letters, and crashes at what is no Unicode
    line = np.full((CAPTION, width, 3), 255, np.uint8)
    cv2.putText(line, text, (6, CAPTION - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return line
