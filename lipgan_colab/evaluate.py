"""How good is it: held-back clips are generated again from one of their frames, and compared with the truth."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage.metrics import structural_similarity
from tqdm.auto import tqdm

from lipgan_colab import faces, media
from lipgan_colab.audio import SpeechInput
from lipgan_colab.corpora import Utterance, folder
from lipgan_colab.device import keep_freed_memory
from lipgan_colab.errors import InputError
from lipgan_colab.files import written_whole
from lipgan_colab.generate import generate_crops, ready_generator
from lipgan_colab.models.lipgan import FACE_SIZE
from lipgan_colab.models.weights import Generator

FPS = 25
HIGH_PASS = 13  # frames of the moving mean that is taken off: sentences of one corpus share their slow rhythm
LONGEST = 250  # frames of a clip that are looked at


@dataclass(frozen=True)
class ClipScores:
    """The measures of one clip. Openings are faces.mouth_opening; `another` is generated from another clip's speech.

    Attributes:
        correlation, correlation_another: of generated and true mouth opening over the clip's frames.
        high_passed, high_passed_another: the same, each opening minus its 13-frame moving mean.
        psnr, ssim: lower half of the generated crops against the true ones, dB and [-1, 1].
        psnr_still, ssim_still: the same for the still reference frame: what doing nothing would reach.
        sharpness: Laplacian energy near the lips, generated over true; 1 is as sharp as the truth.
        unseen: frames in which no face was found in the generated picture.
    """

    id: str
    speaker: str
    frames: int
    correlation: float
    correlation_another: float
    high_passed: float
    high_passed_another: float
    psnr: float
    ssim: float
    psnr_still: float
    ssim_still: float
    sharpness: float
    unseen: int


MEASURES = [f.name for f in fields(ClipScores) if f.name not in ("id", "speaker", "frames")]


@dataclass(frozen=True)
class Evaluation:
    """All clips' scores, and what could not be judged."""

    folder: Path
    clips: list[ClipScores]
    skipped: list[dict]

    def mean(self, measure: str, speaker: str | None = None) -> float:
        """Mean of a measure over the clips (of one speaker)."""
        return float(np.mean([getattr(c, measure) for c in self.clips if speaker in (None, c.speaker)]))

    def __str__(self) -> str:
        speakers = [None, *sorted({c.speaker for c in self.clips})]
        lines = ["".join([f"{'':22}", *(f"{'all' if s is None else s:>10}" for s in speakers)])]
        counts = [sum(s in (None, c.speaker) for c in self.clips) for s in speakers]
        lines.append(f"{'clips':22}" + "".join(f"{n:>10}" for n in counts))
        for measure in MEASURES:
            lines.append(f"{measure:22}" + "".join(f"{self.mean(measure, s):>10.3f}" for s in speakers))
        lines += [f"skipped {s['id']}: {s['reason']}" for s in self.skipped]
        return "\n".join([*lines, f"per clip: {self.folder / 'clips.csv'}; pictures: {self.folder / 'frames.png'}"])


@dataclass(frozen=True)
class _Clip:
    """A clip in memory: F pictures, the face in each, its crops (F, 96, 96, 3), and its speech features."""

    utterance: Utterance
    pictures: list[np.ndarray]
    followed: list[faces.Face]
    crops: np.ndarray
    features: np.ndarray


def evaluate(
    videos: str | Path,
    weights: str | Path | Generator,
    out: str | Path,
    ids: Sequence[str] | None = None,
    device: str | torch.device | None = None,
    window_offset: int | None = None,
) -> Evaluation:
    """Generate clips from their first frame and their speech, and compare; once more with another clip's speech.

    Args:
        videos: folder of clips that the generator has not been trained on.
        weights: whatever `load_generator` takes (run folder, file, name), or a generator.
        out: folder that gets clips.csv and frames.png (rows of true frames, below each the generated ones).
        ids: which clips of the folder (paths below it); None takes all.
        window_offset: of the speech windows, as for `generate`.

    Raises:
        InputError: no clip can be judged.
    """
    keep_freed_memory()
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    generator = ready_generator(weights, device, window_offset)
    utterances = folder(videos)
    if ids is not None:
        unknown = sorted(set(ids) - {u.id for u in utterances})
        if unknown:
            raise InputError(f"{videos}: there is no clip {unknown[0]} in it; check the id (path below the folder)")
        utterances = [u for u in utterances if u.id in set(ids)]
    scores, skipped, rows = [], [], []
    with faces.FaceFinder() as finder:
        clips = []
        for utterance in tqdm(utterances, unit="clip", desc="read"):
            try:
                clips.append(_read_clip(utterance, finder, generator.speech_input))
            except InputError as error:
                skipped.append({"id": utterance.id, "reason": str(error)})
        if not clips:
            raise InputError(f"{videos}: no clip can be judged ({skipped[0]['reason'] if skipped else 'it is empty'})")
        for i, clip in enumerate(tqdm(clips, unit="clip", desc="evaluate")):
            own, another = (_generate(generator, clip, source.features) for source in (clip, _another(clips, i)))
            scores.append(_scores(clip, own, another, finder))
            rows.append(_strip(clip, own))
    _write_csv(out / "clips.csv", scores)
    cv2.imwrite(str(out / "frames.png"), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))
    return Evaluation(out, scores, skipped)


def _another(clips: list[_Clip], i: int) -> _Clip:
    """A clip with other words than clip i, of the same speaker where there are two: half of the list away, because
    clips whose names are neighbours often begin with the same words (GRID's do)."""
    same = [c for c in clips if c.utterance.speaker == clips[i].utterance.speaker]
    candidates = same if len(same) > 1 else clips
    place = next(k for k, c in enumerate(candidates) if c is clips[i])
    return candidates[(place + max(1, len(candidates) // 2)) % len(candidates)]


def _read_clip(utterance: Utterance, finder: faces.FaceFinder, hears: SpeechInput) -> _Clip:
    speech = media.read_speech(utterance.path)
    pictures = list(islice(media.resample_frames(media.read_video(utterance.path), FPS), LONGEST))
    followed = faces.fill_gaps(faces.smooth_boxes(faces.track(pictures, finder)))
    crops = np.stack([faces.crop(p, f.box, FACE_SIZE) for p, f in zip(pictures, followed, strict=True)])
    return _Clip(utterance, pictures, followed, crops, hears.features(speech))


def _generate(generator: Generator, clip: _Clip, features: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """The clip's crops, generated from its first frame: uint8 (F, 96, 96, 3)."""
    windows = generator.speech_input.windows(features, len(clip.crops), FPS)
    parts = []
    for start in range(0, len(clip.crops), batch_size):
        targets = clip.crops[start : start + batch_size]
        references = np.repeat(clip.crops[:1], len(targets), axis=0)
        parts.append(generate_crops(generator, references, targets, windows[start : start + batch_size]))
    return np.concatenate(parts)


def _openings(clip: _Clip, crops: np.ndarray, finder: faces.FaceFinder) -> np.ndarray:
    """Mouth openings (F,) seen in the pictures with the whole box replaced by these crops; nan where none is seen."""
    openings = np.full(len(crops), np.nan)
    for i, (picture, face, crop) in enumerate(zip(clip.pictures, clip.followed, crops, strict=True)):
        x1, y1, x2, y2 = np.rint(face.box).astype(int)
        canvas = cv2.copyMakeBorder(picture, 200, 200, 200, 200, cv2.BORDER_REPLICATE)  # a box may leave the picture
        canvas[y1 + 200 : y2 + 200, x1 + 200 : x2 + 200] = cv2.resize(
            crop, (x2 - x1, y2 - y1), interpolation=cv2.INTER_CUBIC
        )
        seen = finder.find(np.ascontiguousarray(canvas[200:-200, 200:-200]))
        if seen and seen[0].landmarks is not None:
            openings[i] = faces.mouth_opening(seen[0].landmarks)
    return openings


def high_pass(openings: np.ndarray, width: int = HIGH_PASS) -> np.ndarray:
    """The openings (F,) minus their moving mean, over fewer frames near the ends."""
    ones = np.ones(width)
    return openings - np.convolve(openings, ones, "same") / np.convolve(np.ones_like(openings), ones, "same")


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation of two series (F,) over the frames that both have; 0 where one of them is constant."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 3 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return 0.0
    return float(np.corrcoef(a[both], b[both])[0, 1])


def _filled(openings: np.ndarray) -> np.ndarray:
    """Unseen frames take the value between their neighbours'."""
    seen = np.isfinite(openings)
    places = np.arange(len(openings))
    return np.interp(places, places[seen], openings[seen]) if seen.any() else np.zeros(len(openings))


def _scores(clip: _Clip, own: np.ndarray, another: np.ndarray, finder: faces.FaceFinder) -> ClipScores:
    # The truth goes through the same crop as the generated faces, so that only the generator makes a difference.
    true, said, other = (_openings(clip, crops, finder) for crops in (clip.crops, own, another))
    unseen = int(np.isnan(said).sum())
    true, said, other = (_filled(o) for o in (true, said, other))
    still = np.repeat(clip.crops[:1], len(own), axis=0)
    return ClipScores(
        id=clip.utterance.id,
        speaker=clip.utterance.speaker,
        frames=len(own),
        correlation=correlation(true, said),
        correlation_another=correlation(true, other),
        high_passed=correlation(high_pass(true), high_pass(said)),
        high_passed_another=correlation(high_pass(true), high_pass(other)),
        psnr=psnr(_lower_half(own), _lower_half(clip.crops)),
        ssim=ssim(_lower_half(own), _lower_half(clip.crops)),
        psnr_still=psnr(_lower_half(still), _lower_half(clip.crops)),
        ssim_still=ssim(_lower_half(still), _lower_half(clip.crops)),
        sharpness=_mouth_detail(own, clip) / max(_mouth_detail(clip.crops, clip), 1e-9),
        unseen=unseen,
    )


def _lower_half(crops: np.ndarray) -> np.ndarray:
    return crops[:, FACE_SIZE // 2 :]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 arrays in dB, over all of them; at most 100."""
    error = np.mean(np.square(a.astype(np.float64) - b))
    return float(10 * np.log10(255**2 / max(error, 255**2 / 1e10)))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean structural similarity of pictures uint8 (F, H, W, 3) (Wang et al. 2004)."""
    return float(np.mean([structural_similarity(x, y, channel_axis=2) for x, y in zip(a, b, strict=True)]))


def _mouth_detail(crops: np.ndarray, clip: _Clip) -> float:
    """Mean square of the Laplacian inside the true lips."""
    energy = []
    for crop, face in zip(crops, clip.followed, strict=True):
        if face.landmarks is None:
            continue
        lips = faces.lip_mask(faces.crop_points(face.landmarks, face.box, FACE_SIZE), crop.shape[:2])
        laplacian = cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_32F)
        energy.append(float((laplacian**2 * lips).sum() / max(lips.sum(), 1)))
    return float(np.mean(energy)) if energy else float("nan")


def _strip(clip: _Clip, own: np.ndarray, count: int = 12) -> np.ndarray:
    """True frames above, generated ones below."""
    places = np.linspace(0, len(own) - 1, count).round().astype(int)
    return np.concatenate([np.concatenate(list(crops[places]), axis=1) for crops in (clip.crops, own)])


def _write_csv(path: Path, scores: list[ClipScores]) -> None:
    with written_whole(path) as unfinished, unfinished.open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(ClipScores)])
        writer.writeheader()
        writer.writerows(asdict(s) for s in scores)
