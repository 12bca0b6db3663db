"""One clip as a film: as it is, as the network speaks it, what the network does, and which sound moves the mouth."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.evaluation.attribution import occlusion, slots
from lipgan_colab.evaluation.heat_asked import Moved, Painted
from lipgan_colab.evaluation.heat_clip import SLOT, stage_maps
from lipgan_colab.evaluation.heat_moments import Moments, moments_of, window_times
from lipgan_colab.evaluation.heat_page import overlay
from lipgan_colab.evaluation.read_out import fitted
from lipgan_colab.evaluation.report_page import caption
from lipgan_colab.evaluation.true_clips import Clip
from lipgan_colab.faces.face_clip import FPS, FaceClip
from lipgan_colab.files import file_sha256
from lipgan_colab.media.made import Made
from lipgan_colab.media.marking import mark_file
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.writing import write_video
from lipgan_colab.models.interface import Generator
from lipgan_colab.models.motion_network import MotionNetwork

PANEL = 288  # pixels of a face
STRIP = 120  # pixels of the sound's height
SPAN = 0.6  # seconds of sound to either side of now
EVERY = 5  # frames for which the sound is listened to piece by piece; those between are interpolated
BRIGHTEST = 99.5  # percentile of what is shown: a single place must not darken all others
BATCH = 25  # frames that are looked at at once
GROUND = (24, 24, 28)  # the colour behind the sound


def write_film(path: Path, network: Generator, clip: Clip, generated: FaceClip) -> None:
    """Write the film, with the clip's sound, marked as synthetic."""
    wave, count = clip.speech.wave, len(generated.crops)
    heat, times = _sound_heat(network, clip, generated)
    heat = np.minimum(heat / (np.percentile(heat, BRIGHTEST) or 1.0), 1)
    panels = list(_panels(network, clip, generated))
    head, foot = _captions(len(panels[0]))

    def frames() -> Iterator[np.ndarray]:
        for n, row in enumerate(panels):
            faces = np.concatenate(row, axis=1)
            yield np.concatenate([head, faces, foot, _strip(wave, n, heat[n], times, faces.shape[1])])

    file = getattr(network, "file", None)
    name = str(getattr(network, "source", type(network).__name__))
    source = Path(clip.speech.utterance.path)
    made = Made(name, file and file_sha256(file), source, (source,))
    sound = wave[: count * SAMPLE_RATE // FPS]
    write_video(path, frames(), FPS, sound, comment="Heat maps", finish=lambda film: mark_file(film, made, "mp4"))


def _sound_heat(network: Generator, clip: Clip, generated: FaceClip) -> tuple[np.ndarray, np.ndarray]:
    """How much the opening of each frame changes without each column of its window, (F, columns); and when those are,
    in milliseconds from the frame."""
    count = len(generated.crops)
    some = np.unique(np.r_[np.arange(0, count, EVERY), count - 1])
    moments, times = moments_of(network, clip, some), window_times(network)
    asker = Moved(network) if isinstance(network, MotionNetwork) else Painted(network, fitted(generated))
    width = max(1, round(SLOT / np.diff(times).mean()))
    places = [(slice(None), slice(None), part) for part in slots(len(times), width)]
    changes = occlusion(asker, moments.inputs, moments.baselines, 0, places)[..., 0].abs().cpu().numpy()
    columns = np.repeat(changes.T, width, axis=1)[:, : len(times)]
    return np.stack([np.interp(np.arange(count), some, column) for column in columns.T], axis=1), times


def _panels(network: Generator, clip: Clip, generated: FaceClip) -> Iterator[list[np.ndarray]]:
    """For each frame the true face, the generated one, and over that how active the middle of the decoder is."""
    if isinstance(network, MotionNetwork):
        yield from ([_large(a), _large(b)] for a, b in zip(clip.full.crops, generated.crops, strict=True))
        return
    moments = moments_of(network, clip, np.arange(len(generated.crops)))
    parts = [
        _middle_stage(network, moments.at(list(range(len(generated.crops)))[part]))
        for part in slots(len(generated.crops), BATCH)
    ]
    if any(part is None for part in parts):
        yield from ([_large(a), _large(b)] for a, b in zip(clip.full.crops, generated.crops, strict=True))
        return
    maps = np.concatenate(parts)
    most = float(np.percentile(maps, BRIGHTEST))
    for true, made, active in zip(clip.full.crops, generated.crops, maps, strict=True):
        yield [_large(true), _large(made), overlay(made, active, most, PANEL)]


def _middle_stage(network: Generator, moments: Moments) -> np.ndarray | None:
    """How active the finest stage coarser than the picture is, (N, S, S); None where the network has none."""
    side, stages = moments.inputs[1].shape[-1], stage_maps(network, moments)
    coarser = [maps for name, maps in stages.items() if int(name.split()[0]) < side]
    return coarser[-1] if coarser else None


def _large(crop: np.ndarray) -> np.ndarray:
    return cv2.resize(crop, (PANEL, PANEL), interpolation=cv2.INTER_CUBIC)


def _captions(panels: int) -> tuple[np.ndarray, np.ndarray]:
    """What stands above the faces, and between them and the sound."""
    names = ["as it was filmed", "generated (synthetic)", "bright: the decoder is active there"]
    above = np.concatenate([caption(name, PANEL) for name in names[:panels]], axis=1)
    return above, caption("the sound; bright: the mouth's opening hangs on it; line: now", PANEL * panels)


def _strip(wave: np.ndarray, frame: int, heat: np.ndarray, times: np.ndarray, width: int) -> np.ndarray:
    """The sound around a frame, coloured by how much the mouth's opening hangs on it: uint8 (STRIP, width, 3)."""
    middle = (frame + 0.5) / FPS
    edges = np.rint((middle + np.linspace(-SPAN, SPAN, width + 1)) * SAMPLE_RATE).astype(int)
    loud = np.array([np.abs(wave[max(0, a) : max(0, b)]).max(initial=0.0) for a, b in pairwise(edges)])
    tall = np.rint(loud / max(float(np.abs(wave).max()), 1e-6) * (STRIP / 2 - 4)).astype(int) + 1
    when = (np.linspace(-SPAN, SPAN, width + 1)[:-1] + SPAN / width) * 1000
    level = np.rint(255 * np.interp(when, times, heat, left=0, right=0)).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(level[None], cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)[0]
    colours = np.maximum(colours, 70)  # sound that nothing hangs on is seen as well
    rows = np.abs(np.arange(STRIP) - STRIP // 2)[:, None]
    strip = np.where((rows <= tall)[..., None], colours, np.uint8(GROUND)).astype(np.uint8)
    strip[:, width // 2 - 1 : width // 2 + 1] = 255
    return strip
