"""Face and speech to video: the photo or the film of a person speaks another clip."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm.auto import tqdm

from lipgan_colab import faces, media
from lipgan_colab.device import autocast, keep_freed_memory, pick_device
from lipgan_colab.errors import InputError
from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.weights import Generator, load_generator

PHOTO_FPS = Fraction(25)
LARGEST_PHOTO = 1920  # pixels of the longer side; more makes files that players refuse
FEATHER = 0.06  # of the box's width: how softly the new mouth goes over into the old skin
REVERSE_BYTES = 512 << 20  # frames kept in memory while a video is played backward


@dataclass
class GenerateReport:
    """What `generate` did.

    Attributes:
        path: the finished video.
        frames: how many it has, at fps frames a second.
        passed_through: frames in which no face was seen; they are as they were.
        seconds: time spent, by stage (read, faces, generator, paste, encode).
    """

    path: Path
    frames: int = 0
    fps: Fraction = PHOTO_FPS
    passed_through: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def __str__(self) -> str:
        text = f"{self.path}: {self.frames} frames, {float(self.frames / self.fps):.2f} s"
        if self.passed_through:
            text += f"; {self.passed_through} frames without a face are left as they were"
        return text

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time spent inside as this stage's."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start


def generate(
    face: str | Path,
    speech: str | Path,
    weights: str | Path | Generator,
    out: str | Path,
    device: str | torch.device | None = None,
    batch_size: int = 32,
    window_offset: int | None = None,
) -> GenerateReport:
    """Make the person in a photo or a video speak a clip.

    The video is as long as the speech: a shorter film of the face is played forward and backward.

    Args:
        face: photo or video; its largest face speaks.
        speech: any file with sound.
        weights: whatever `load_generator` takes (run folder, file, name), or a generator that is loaded already.
        out: the .mp4 to make.
        device: None takes the GPU where there is one.
        batch_size: frames generated at once.
        window_offset: by how many frames of 1/25 s the speech windows begin later than their kind says; None takes
            what the weights were trained with.

    Raises:
        InputError: a file cannot be used; the message says which, why, and what to do.
    """
    keep_freed_memory()
    report = GenerateReport(Path(out))
    with report.stage("read"):
        wave = media.read_speech(speech)
    with report.stage("generator"):
        generator = ready_generator(weights, device, window_offset)
    with report.stage("read"):
        hears = generator.speech_input
        features = hears.features(wave)
        photo = _read_photo(face) if media.is_image(face) else None
    report.fps = PHOTO_FPS if photo is not None else media.probe_video(face).fps
    report.frames = max(1, round(len(wave) / media.SAMPLE_RATE * report.fps))

    with report.stage("faces"), faces.FaceFinder() as finder:
        if photo is not None:
            followed = _follow([photo], finder, face)
        else:
            film = islice(media.resample_frames(media.read_video(face), report.fps), report.frames)
            followed = _follow(film, finder, face)
    order = bounce(report.frames, len(followed))
    if photo is not None:
        pictures = (photo for _ in range(report.frames))
    else:
        pictures = _bounced_frames(face, report.fps, report.frames, len(followed))

    def speaking() -> Iterator[np.ndarray]:
        for start in tqdm(range(0, report.frames, batch_size), desc="generate", unit="batch"):
            count = min(batch_size, report.frames - start)
            with report.stage("read"):
                batch = list(islice(pictures, count))
                windows = hears.windows(features, count, report.fps, first_frame=start)
            yield from _speak(generator, batch, [followed[order[start + i]] for i in range(count)], windows, report)

    started, before = time.perf_counter(), sum(report.seconds.values())
    media.write_video(report.path, speaking(), report.fps, wave, comment=_comment(weights))
    report.seconds["encode"] = time.perf_counter() - started - (sum(report.seconds.values()) - before)
    report.seconds = dict(report.seconds)
    return report


def ready_generator(
    weights: str | Path | Generator, device: str | torch.device | None = None, window_offset: int | None = None
) -> Generator:
    """The fastest form of a generator, for inference only; arguments as of `generate`."""
    generator = weights
    if not isinstance(generator, torch.nn.Module):
        generator = load_generator(weights, pick_device(device))
    generator = fuse(generator)
    if window_offset is not None:
        generator.speech_input = replace(generator.speech_input, offset=window_offset)
    return generator


def _comment(weights: str | Path | Generator) -> str:
    return "" if isinstance(weights, torch.nn.Module) else f"Weights: {Path(weights).name}"


def _read_photo(path: str | Path) -> np.ndarray:
    photo = media.read_image(path)
    scale = LARGEST_PHOTO / max(photo.shape[:2])
    if scale >= 1:
        return photo
    return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _follow(frames, finder: faces.FaceFinder, path: str | Path) -> list[faces.Face]:
    """The largest face in every frame, boxes smoothed; in frames without it, a box between its neighbours'."""
    track = faces.track(frames, finder)
    if not any(track):
        raise InputError(f"{path}: no face found; choose a picture in which it is larger and seen from the front")
    return faces.fill_gaps(faces.smooth_boxes(track))


def bounce(n: int, available: int) -> np.ndarray:
    """Which of the available frames each of n shows, played forward and backward: 0 1 2 1 0 1 ..., int64 (n,)."""
    period = max(1, 2 * (available - 1))
    place = np.arange(n) % period
    return np.minimum(place, period - place) if available > 1 else np.zeros(n, np.int64)


def _bounced_frames(path: str | Path, fps: Fraction, n: int, available: int) -> Iterator[np.ndarray]:
    """The film's frames in `bounce`'s order, in bounded memory: backward, it is decoded again piece by piece."""

    def film() -> Iterator[np.ndarray]:
        return islice(media.resample_frames(media.read_video(path), fps), available)

    def once() -> Iterator[np.ndarray]:
        size = 1
        for frame in film():
            size = frame.nbytes
            yield frame
        piece = max(1, REVERSE_BYTES // size)
        for end in range(available - 1, 1, -piece):
            yield from reversed(list(islice(film(), max(1, end - piece), end)))

    made = 0
    while made < n:
        for frame in islice(once(), n - made):
            yield frame
            made += 1


def _speak(
    generator: Generator,
    pictures: list[np.ndarray],
    followed: list[faces.Face],
    windows: np.ndarray,
    report: GenerateReport,
) -> Iterator[np.ndarray]:
    """The pictures with the mouths that belong to the speech windows; those without a face as they are."""
    with_face = [i for i, face in enumerate(followed) if face.found]
    report.passed_through += len(pictures) - len(with_face)
    spoken = {}
    if with_face:
        with report.stage("faces"):
            crops = np.stack([faces.crop(pictures[i], followed[i].box, generator.face_size) for i in with_face])
        with report.stage("generator"):
            spoken = dict(zip(with_face, generate_crops(generator, crops, crops, windows[with_face]), strict=True))
    for i, picture in enumerate(pictures):
        if i in spoken:
            with report.stage("paste"):
                picture = paste(picture, spoken[i], followed[i])
        yield picture


@torch.no_grad()
def generate_crops(
    generator: Generator, references: np.ndarray, targets: np.ndarray, windows: np.ndarray
) -> np.ndarray:
    """The generator on numpy arrays.

    Args:
        generator: in evaluation mode.
        references: uint8 (B, 96, 96, 3): who speaks.
        targets: uint8 (B, 96, 96, 3): the pose; the lower half is not looked at.
        windows: float32 (B, rows, columns), of the generator's `speech_input`.

    Returns:
        uint8 (B, 96, 96, 3), RGB.
    """
    device = next(generator.parameters()).device
    masked = targets.copy()
    masked[:, masked.shape[1] // 2 :] = 0
    both = torch.from_numpy(np.concatenate([references, masked], axis=3)).to(device)
    both = both.permute(0, 3, 1, 2).float() / 255  # channels last in memory, as the convolutions want it
    with autocast(device):
        generated = generator(both, torch.from_numpy(windows)[:, None].to(device))
    return (generated * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def paste(picture: np.ndarray, crop: np.ndarray, face: faces.Face) -> np.ndarray:
    """The picture with the crop's lower face in place of its own, feathered so that no edge shows.

    Args:
        picture: uint8 (H, W, 3); not changed.
        crop: uint8 (S, S, 3), what belongs into the face's box.
        face: where it was found in the picture.
    """
    x1, y1, x2, y2 = (float(v) for v in face.box)
    left, top = max(0, int(x1)), max(0, int(y1))
    right, bottom = min(picture.shape[1], int(x2) + 1), min(picture.shape[0], int(y2) + 1)
    if left >= right or top >= bottom:
        return picture
    old = picture[top:bottom, left:right]
    size = len(crop)
    scale_x, scale_y = size / (x2 - x1), size / (y2 - y1)
    # From a pixel's centre in the picture to the crop's pixel centres.
    to_crop = np.float64(
        [[scale_x, 0, (left + 0.5 - x1) * scale_x - 0.5], [0, scale_y, (top + 0.5 - y1) * scale_y - 0.5]]
    )
    new = cv2.warpAffine(
        crop,
        to_crop,
        (right - left, bottom - top),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    mask = paste_mask(face, (left, top, right, bottom))[..., None]
    mixed = old + mask * (new.astype(np.float32) - old)
    pasted = picture.copy()
    pasted[top:bottom, left:right] = np.rint(mixed).astype(np.uint8)
    return pasted


def paste_mask(face: faces.Face, region: tuple[int, int, int, int]) -> np.ndarray:
    """How much of the generated face shows in the region (x1, y1, x2, y2), float32 (H, W) in [0, 1].

    The lower face, from under the nose to the jaw, inside of the box; soft at its border and 0 at the box's edge.
    """
    left, top, right, bottom = region
    shape = (bottom - top, right - left)
    x1, y1, x2, y2 = face.box - np.float32([left, top, left, top])
    if face.landmarks is None:
        mask = np.zeros(shape, np.float32)
        centre, axes = ((x1 + x2) / 2, y1 + 0.75 * (y2 - y1)), (0.36 * (x2 - x1), 0.25 * (y2 - y1))
        cv2.ellipse(
            mask, (np.round(centre).astype(int).tolist()), np.round(axes).astype(int).tolist(), 0, 0, 360, 1, -1
        )
    else:
        mask = faces.lower_face_mask(face.landmarks - np.float32([left, top]), shape)
    feather = max(1.0, FEATHER * (x2 - x1))
    # Blurred, a mask reaches beyond its border: drawn in by the blur's width, it ends where it did.
    inner = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * int(feather) + 1,) * 2))
    mask = cv2.GaussianBlur(inner, (0, 0), feather / 2)
    columns, rows = np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5
    inside_x = np.clip(np.minimum(columns - x1, x2 - columns) / feather, 0, 1)
    inside_y = np.clip((y2 - rows) / feather, 0, 1)
    return mask * (inside_x * inside_y[:, None]).astype(np.float32)
