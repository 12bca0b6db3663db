"""What a generated clip is measured by, against the true one: pictures, lips, what moves, what is heard.

Every measure is a function of a `FaceClip` (a clip that is judged, whatever made it) and of the true clip of the same
frames, so that the truth, a photo and a generator are scored by the same code. Lengths are in distances between the
eyes, after each frame's face has been laid onto the same shape by what speech does not move.
"""

from itertools import pairwise

import cv2
import numpy as np

from lipgan_colab.errors import InputError
from lipgan_colab.faces.face import EYE_CORNERS, INNER_LIPS, LIPS
from lipgan_colab.faces.face_clip import CROP, FPS, FaceClip
from lipgan_colab.speech.pauses import PAUSE_RULES, RATE, speaking
from lipgan_colab.speech.sync import clip_sync

HIGH_PASS = 13  # frames of the moving mean that is taken off: sentences of one corpus share their slow rhythm
FEWEST_PAIRS = 5  # of neighbouring silent frames, for movement in silence
SHUT, OPEN = (
    0.15,
    0.35,
)  # of a mouth's usual widest: in a p, b or m lips are shut between two moments where they are open
LEAST_RANGE = 0.5  # of the true opening's range: lips that move less make no closures, they tremble
NEAR = 2  # frames by which a closure may come too early or too late
FEWEST_PIXELS = 50  # of an inner mouth, over the whole clip: with fewer there are no teeth to look at

# Landmarks of MediaPipe's mesh. Eye corners and nose hardly move with speech; with fewer of them, lips tremble more.
STABLE = [33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 98, 327, 2]
MOUTH = LIPS + INNER_LIPS
LEFT_LIPS = [61, 146, 91, 181, 84, 37, 39, 40, 185]  # in the picture
RIGHT_LIPS = [291, 375, 321, 405, 314, 267, 269, 270, 409]

# What each measure says, in the order of the tables. "true = 1": relative to the true clip.
MEASURES = {
    "correlation": "mouth opening with the true one's, over the frames; 1 is best",
    "high_passed": f"the same, each opening minus its {HIGH_PASS}-frame moving mean",
    "range": "how widely the opening varies; true = 1 (a mouth that hardly moves can still correlate)",
    "closures": f"which part of the true closures of the lips (p, b, m) are made, within {NEAR} frames; 1 is best",
    "false_closures": "closures that the true lips do not make, a second of speech; 0 is best",
    "lmd": "lip landmark distance, in distances between the eyes, after alignment; 0 is best",
    "lmd_pixels": "the original definition (Chen et al. 2018): lips centred, in 96ths of the crop",
    "psnr": "lower half, dB",
    "psnr_whole": "whole crop, dB",
    "psnr_lips": "lips, dB",
    "ssim": "lower half; 1 is best",
    "ssim_whole": "whole crop",
    "ssim_lips": "lips",
    "sharpness": "Laplacian energy of the lips; true = 1",
    "teeth": "Laplacian energy in the inner mouth; true = 1",
    "chin": "movement of the chin; true = 1",
    "cheeks": "movement of the cheeks; true = 1",
    "shimmer": "flicker of the skin of chin and cheeks, its movement taken off; true = 1, more is worse",
    "silence": "movement of the mouth in silence; the true mouth's over the whole clip = 1",
    "one_sided": "how unequally the lips' two halves move up and down, 0 to 1",
    "sound": "high-passed mouth opening with loudness: our own check of sync, no SyncNet",
    "expert_d": "distance of lips and sound as they are, says our own sync expert (NOT LSE-D); less is better",
    "expert_c": "by how much that is below the median over all offsets (NOT LSE-C); more is better",
    "lse_d": "LSE-D of the authors' SyncNet; less is better",
    "lse_c": "LSE-C of the authors' SyncNet; more is better",
    "unseen": "frames in which no face is found",
}


def measure(clip: FaceClip, true: FaceClip, silent: np.ndarray) -> dict[str, float]:
    """What is seen of a clip, by the names in MEASURES; nan where it cannot be told. (What is heard with it: see
    `sound_sync`, `expert` and `syncnet`.)

    Args:
        clip: what is judged.
        true: the true clip of the same frames.
        silent: of `silent_frames`.
    """
    crops, truth, half = clip.crops, true.crops, true.size // 2
    errors, similar = squared_errors(crops, truth), similarity(crops, truth)
    skin = np.maximum(true.chin, true.cheeks)
    shape = face_shape(true)
    own, real = aligned(clip, shape), aligned(true, shape)
    return {
        "correlation": correlation(clip.opening, true.opening),
        "high_passed": correlation(high_pass(clip.opening), high_pass(true.opening)),
        "range": ratio(float(np.std(clip.opening)), float(np.std(true.opening))),
        **closures_made(clip.opening, true.opening, silent),
        "lmd": distance(own[:, MOUTH], real[:, MOUTH]),
        "lmd_pixels": distance(centred(clip.landmarks[:, MOUTH]), centred(true.landmarks[:, MOUTH])) * CROP / true.size,
        "psnr": psnr(errors[:, half:].mean()),
        "psnr_whole": psnr(errors.mean()),
        "psnr_lips": psnr(_average(errors, true.lips)),
        "ssim": float(similar[:, half:].mean()),  # of windows that lie wholly in the lower half
        "ssim_whole": float(similar.mean()),
        "ssim_lips": _average(similar, true.lips[:, 3:-3, 3:-3]),
        "sharpness": ratio(detail(crops, true.lips), detail(truth, true.lips)),
        "teeth": ratio(detail(crops, clip.inner_mouth), detail(truth, true.inner_mouth)),
        "chin": ratio(skin_movement(clip.flow, true.chin), skin_movement(true.flow, true.chin)),
        "cheeks": ratio(skin_movement(clip.flow, true.cheeks), skin_movement(true.flow, true.cheeks)),
        "shimmer": ratio(shimmer(clip.flicker, skin), shimmer(true.flicker, skin)),
        "silence": ratio(liveliness(clip.opening, silent), liveliness(true.opening)),
        "one_sided": one_sidedness(own),
        "unseen": float(np.isnan(clip.landmarks[:, 0, 0]).sum()),
    }


def ratio(own: float, real: float) -> float:
    """nan where what it is relative to is nothing."""
    return own / real if real > 0 else float("nan")


def _average(values: np.ndarray, weights: np.ndarray) -> float:
    """Weighted mean; nan where all weights are 0."""
    return float(np.average(values, weights=weights)) if weights.any() else float("nan")


# Pictures: crops are uint8 (F, S, S, 3), regions (F, S, S), 1 inside.


def squared_errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared difference of pictures uint8 (F, H, W, 3), mean of the colours: float32 (F, H, W)."""
    return np.square(a.astype(np.float32) - b).mean(axis=-1)


def psnr(squared_error: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error, in dB; at most 100."""
    return float(10 * np.log10(255**2 / np.maximum(float(squared_error), 255**2 / 1e10)))


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Structural similarity around each pixel of pictures uint8 (F, H, W, 3): float32 (F, H - 6, W - 6), 3 pixels less
    on each side (Wang et al. 2004; windows of 7 x 7 pixels, each colour by itself, then their mean).

    The same as scikit-image's `structural_similarity`, which takes ten times as long.
    """
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    sample = 49 / 48  # variances as of a sample
    similar = np.empty(a.shape, np.float32)
    for i, (x, y) in enumerate(zip(a.astype(np.float32), b.astype(np.float32), strict=True)):
        mx, my, xx, yy, xy = (cv2.blur(m, (7, 7)) for m in (x, y, x * x, y * y, x * y))
        vx, vy, vxy = (sample * v for v in (xx - mx * mx, yy - my * my, xy - mx * my))
        similar[i] = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return similar[:, 3:-3, 3:-3].mean(axis=-1)


def detail(crops: np.ndarray, region: np.ndarray) -> float:
    """Mean square of the Laplacian in a region of the crops; nan where the region is as good as empty."""
    if region.sum() < FEWEST_PIXELS:
        return float("nan")
    energy = np.stack([cv2.Laplacian(_grey(crop), cv2.CV_32F) for crop in crops]) ** 2
    return float(np.average(energy, weights=region))


def _grey(crop: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)


def skin_movement(flow: np.ndarray, region: np.ndarray) -> float:
    """How far the skin in a region (F, S, S) moves from one frame to the next, in pixels; flow is a clip's."""
    return _average(flow, region[1:])


def shimmer(flicker: np.ndarray, region: np.ndarray) -> float:
    """How much the skin in a region (F, S, S) changes from one frame to the next once its movement is taken off, in
    grey levels; flicker is a clip's.

    Movement alone does not tell: skin whose light or grain changes in every frame does not go anywhere.
    """
    return _average(flicker, region[1:])


# Landmarks: (F, P, 2), nan where no face was found.


def face_shape(clip: FaceClip) -> np.ndarray:
    """The clip's mean face (478, 2), its eyes' centres at (-1/2, 0) and (1/2, 0).

    Raises:
        InputError: no frame has a face.
    """
    if np.isnan(clip.landmarks).all():
        raise InputError("no face is found again in its crops: it is too small or too dark to be judged")
    points = _complex(np.nanmean(clip.landmarks, axis=0))
    left, right = (points[corners].mean() for corners in EYE_CORNERS)
    return _pairs((points - (left + right) / 2) / (right - left))


def aligned(clip: FaceClip, shape: np.ndarray) -> np.ndarray:
    """The clip's landmarks (F, 478, 2), each frame moved, turned and scaled (least squares) so that what speech does
    not move lies on a shape's (478, 2)."""
    points, target = _complex(clip.landmarks), _complex(shape)[STABLE]
    stable = points[:, STABLE]
    middle = stable.mean(axis=1, keepdims=True)
    turn = ((stable - middle).conj() * (target - target.mean())).sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # unseen frames stay nan
        turn = turn / (np.abs(stable - middle) ** 2).sum(axis=1, keepdims=True)
    return _pairs((points - middle) * turn + target.mean())


def _complex(points: np.ndarray) -> np.ndarray:
    """x and y as a complex number, with which to turn and scale is to multiply."""
    return points[..., 0].astype(np.float64) + 1j * points[..., 1]


def _pairs(points: np.ndarray) -> np.ndarray:
    return np.stack([points.real, points.imag], axis=-1)


def centred(points: np.ndarray) -> np.ndarray:
    """Each frame's points (F, P, 2) minus their mean."""
    return points - points.mean(axis=1, keepdims=True)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance of points (F, P, 2) over the frames that both have; nan where there is none."""
    each = np.linalg.norm(a - b, axis=-1)
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def movement(points: np.ndarray) -> float:
    """How far points (F, P, 2) are from where they are on average: root mean square over points and seen frames."""
    seen = points[np.isfinite(points).all(axis=(1, 2))]
    return float(np.sqrt(seen.var(axis=0).sum(axis=-1).mean())) if len(seen) else float("nan")


def one_sidedness(points: np.ndarray) -> float:
    """|R - L| / (R + L) of how far the right and the left half of the lips move up and down, aligned landmarks
    (F, 478, 2): 0 where both move alike, 1 where one does not move; nan where neither does."""
    left, right = (movement(points[:, half, 1:]) for half in (LEFT_LIPS, RIGHT_LIPS))
    return abs(right - left) / (right + left) if right + left > 1e-6 else float("nan")


# Mouth openings: (F,).


def high_pass(openings: np.ndarray, width: int = HIGH_PASS) -> np.ndarray:
    """The openings (F,) minus their moving mean, over fewer frames near the ends."""
    # Not mode "same", which is as long as the window where that is longer than the clip.
    total, count = (np.convolve(x, np.ones(width))[width // 2 :][: len(x)] for x in (openings, np.ones_like(openings)))
    return openings - total / count


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation of two series (F,) over the frames that both have; 0 where one of them is constant."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 3 or np.ptp(a[both]) < 1e-9 or np.ptp(b[both]) < 1e-9:
        return 0.0
    return float(np.corrcoef(a[both], b[both])[0, 1])


def liveliness(openings: np.ndarray, where: np.ndarray | None = None) -> float:
    """Mean change of the opening from one frame to the next, over all pairs of frames or those of which both are in
    `where` (F,); nan where there are fewer than FEWEST_PAIRS such pairs."""
    changes = np.abs(np.diff(openings))
    if where is not None:
        changes = changes[where[1:] & where[:-1]]
    return float(changes.mean()) if len(changes) >= FEWEST_PAIRS else float("nan")


def closures(openings: np.ndarray, silent: np.ndarray, least: float = 0.0) -> list[tuple[int, int]]:
    """Where the lips close between two openings while somebody speaks: the first and the last frame of each time.

    Shut and open are meant on the mouth's own scale, from its least opening to the 90th percentile.

    Args:
        openings: (F,).
        silent: of `silent_frames`; lips that are shut there are at rest.
        least: what the scale is at least long.
    """
    scale = max(_range(openings), least, 1e-9)
    level = (openings - openings.min()) / scale
    found = []
    for before, after in pairwise(np.flatnonzero(level > OPEN)):
        shut = before + np.flatnonzero(level[before:after] < SHUT)
        if len(shut) and not silent[shut].any():
            found.append((int(shut[0]), int(shut[-1])))
    return found


def _range(openings: np.ndarray) -> float:
    return float(np.percentile(openings, 90) - openings.min())


def closures_made(openings: np.ndarray, true: np.ndarray, silent: np.ndarray) -> dict[str, float]:
    """`closures` and `false_closures` of MEASURES, of a clip's openings (F,) and the true ones; nan where the true lips
    never close, or nothing is said.

    Each mouth counts on its own scale: one that opens only half as wide, but closes for every p, makes them all.
    """
    real, own = closures(true, silent), closures(openings, silent, LEAST_RANGE * _range(true))
    made = [any(_near(closure, other) for other in own) for closure in real]
    false = [closure for closure in own if not any(_near(closure, other) for other in real)]
    speech = (~silent).sum() / FPS
    return {
        "closures": float(np.mean(made)) if made else float("nan"),
        "false_closures": float(len(false) / speech) if speech else float("nan"),
    }


def _near(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two stretches (first, last) of frames meet, or nearly."""
    return a[0] - NEAR <= b[1] and b[0] - NEAR <= a[1]


def silent_frames(wave: np.ndarray, n_frames: int) -> np.ndarray:
    """In which frames nothing is said, bool (n_frames,), by what `pauses` hears. None where nobody is heard at all, for
    then it is the voice that is not known; nor after the sound's end.

    Args:
        wave: float32 (n,), 16 kHz mono.
    """
    follow = speaking(wave, PAUSE_RULES["normal"])
    silent = np.zeros(n_frames, bool)
    if follow.any():
        values = RATE // FPS  # a frame
        heard = min(n_frames, len(follow) // values)
        silent[:heard] = follow[: heard * values].reshape(heard, values).max(axis=1) == 0
    return silent


def sound_sync(clip: FaceClip, spectrum: np.ndarray) -> np.ndarray:
    """How mouth opening and loudness go together for sound moved by OFFSETS frames: float32 (31,), see `sync`.

    Args:
        spectrum: of `features.mel`: what is said in the true clip.
    """
    return clip_sync(clip.opening, spectrum, FPS)
