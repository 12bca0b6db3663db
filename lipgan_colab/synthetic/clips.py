"""Drawn talking faces whose mouth opening is known exactly: for tests, and for trying things offline.

`drawing.py` draws the faces; here they speak. Everything is a pure function of its arguments, seeds among them.
"""

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from lipgan_colab.files import make_folder, written_whole
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.writing import write_video
from lipgan_colab.synthetic.drawing import WIDEST, draw_face, identity


def speaking_pattern(n_frames: int, fps: float, seed: int = 0) -> np.ndarray:
    """Return the mouth opening at every frame, float32 (n_frames,) in [0, WIDEST].

    About four syllables a second, of differing strength, in phrases with pauses between them.
    """
    rng = np.random.default_rng([seed, 2])
    time = np.arange(n_frames) / fps
    opening = np.zeros(n_frames)
    start = rng.uniform(0.05, 0.3)
    while start < n_frames / fps:
        for _ in range(rng.integers(3, 8)):
            length = rng.uniform(0.2, 0.34)
            phase = np.clip((time - start) / length, 0, 1)
            opening += WIDEST * rng.uniform(0.25, 1.0) * np.sin(np.pi * phase) ** 2
            start += length * rng.uniform(0.85, 1.0)
        start += rng.uniform(0.25, 0.6)
    return np.clip(opening, 0, WIDEST).astype(np.float32)


def speech_like(opening: np.ndarray, fps: float, seed: int = 0, pitch: float = 130.0) -> np.ndarray:
    """Return the sound of a mouth opening: float32 (round(n / fps * 16000),) in [-1, 1], mono, 16 kHz.

    opening: (n,), frame f at the time f / fps; pitch: the voice's mean, in Hz. The harmonics of a gliding pitch pass
    through three formants. As from [u] to [a], the first formant and the loudness rise with the opening; the second
    wanders by itself. A closed mouth leaves a faint noise.
    """
    rng = np.random.default_rng([seed, 3])
    n_samples = round(len(opening) / fps * SAMPLE_RATE)
    time = np.arange(n_samples) / SAMPLE_RATE
    openness = np.interp(time, np.arange(len(opening)) / fps, opening) / WIDEST
    vowels = rng.uniform(1000, 1900, int(n_samples / SAMPLE_RATE * 4) + 2)  # second formant, Hz, every quarter second
    formants = (  # centre Hz, half width Hz, level
        (280 + 570 * openness, 90, 1.0),
        (np.interp(time, np.arange(len(vowels)) / 4, vowels), 110, 0.6),
        (2500, 160, 0.3),
    )
    melody = 0.08 * np.sin(2 * np.pi * (rng.uniform(0.3, 0.7) * time + rng.uniform()))
    frequency = pitch * (1 + melody + 0.08 * openness)
    phase = 2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE

    voice = np.zeros(n_samples)
    for harmonic in range(1, int(3800 / pitch)):
        hz = harmonic * frequency
        gain = 0.02 + sum(level / (1 + ((hz - centre) / width) ** 2) for centre, width, level in formants)
        voice += gain / np.sqrt(harmonic) * np.sin(harmonic * phase)
    noise = rng.standard_normal(n_samples)
    sound = 0.25 * openness**0.8 * voice + (0.0005 + 0.004 * openness) * noise
    return np.clip(sound, -1, 1).astype(np.float32)


def draw_clip(
    number: int, opening: np.ndarray, fps: float, seed: int = 0, size: tuple[int, int] = (256, 256)
) -> Iterator[np.ndarray]:
    """Draw person `number` speaking: one frame, uint8 RGB (H, W, 3), for each mouth opening in `opening` (n,).

    seed: of the head's sway and the blinks; size: (width, height) in pixels.
    """
    rng = np.random.default_rng([number, seed, 5])
    time = np.arange(len(opening)) / fps

    def sway(reach: float) -> np.ndarray:
        slow, quick = rng.uniform(0.1, 0.25), rng.uniform(0.3, 0.6)
        phases = rng.uniform(0, 2 * np.pi, 2)
        waves = 0.7 * np.sin(2 * np.pi * slow * time + phases[0]) + 0.3 * np.sin(2 * np.pi * quick * time + phases[1])
        return reach * waves

    yaw, roll, x, y = sway(9.0), sway(3.0), sway(0.015), sway(0.01)
    scale = rng.uniform(0.95, 1.08)
    blinks = np.cumsum(rng.uniform(1.0, 3.5, len(opening) + 1))  # when, in seconds; more of them than are needed
    shut = np.clip(1 - np.abs(time[:, None] - blinks).min(axis=1) / 0.12, 0, 1)
    for n, gap in enumerate(opening):
        yield draw_face(number, float(gap), yaw[n], roll[n], shut[n], (x[n], y[n]), scale, size)


def draw_corpus(
    folder: str | Path,
    clips: int = 8,
    identities: int = 4,
    seconds: float = 2.0,
    fps: float = 25,
    seed: int = 0,
    size: tuple[int, int] = (256, 256),
) -> list[Path]:
    """Write clips `<identity>_<nn>.mp4` of drawn people speaking, and beside each `<stem>.opening.npy`.

    That side file holds the true mouth opening of every frame, float32 (frames,), as `mouth_opening` counts it.
    Returns the videos' paths.
    """
    folder = make_folder(folder)
    paths = []
    for clip in range(clips):
        number, clip_seed = clip % identities, seed * 10_000 + clip
        opening = speaking_pattern(round(seconds * fps), fps, clip_seed)
        speech = speech_like(opening, fps, clip_seed, identity(number).pitch)
        path = folder / f"{number}_{clip // identities:02d}.mp4"
        write_video(path, draw_clip(number, opening, fps, clip_seed, size), fps, speech, comment="A drawn face")
        with written_whole(path.with_suffix(".opening.npy")) as unfinished, unfinished.open("wb") as file:
            np.save(file, opening)
        paths.append(path)
    return paths


def draw_photo(path: str | Path, identity: int = 0, seed: int = 0, size: tuple[int, int] = (512, 512)) -> None:
    """Write a picture (PNG) of person number `identity` with the mouth closed.

    seed: of how the head is held, nearly straight; size: (width, height) in pixels.
    """
    yaw, roll = np.random.default_rng([seed, 6]).uniform(-1, 1, 2) * (6, 2)
    picture = Image.fromarray(draw_face(identity, 0.0, yaw, roll, size=size))
    with written_whole(path) as unfinished:
        picture.save(unfinished, format="PNG")


def write_speech(path: str | Path, seconds: float, seed: int = 0) -> None:
    """Write speech-like sound as a WAV file: 16 bit, mono, 16 kHz."""
    fps = 100
    sound = speech_like(speaking_pattern(round(seconds * fps), fps, seed), fps, seed)

    with written_whole(path) as unfinished, wave.open(str(unfinished), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(SAMPLE_RATE)
        wav.writeframes((sound * 32767).astype("<i2").tobytes())
