"""A drawn talking face whose mouth opening is known exactly: for tests, and for trying things offline.

Everything is a pure function of its arguments. The head is a smooth solid seen by a camera far away. Its points are
given in face heights: x to the right, y down, y = 0 at the hairline (landmark 10 of MediaPipe's mesh), y = 1 at the chin
of the closed mouth (landmark 152). The mouth opening is the inner lips' distance over the face's height at that moment,
in [0, WIDEST], as `faces.mouth_opening` measures it.
"""

import os
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from lipgan_colab.media import SAMPLE_RATE, write_video

WIDEST = 0.16  # mouth opening of the widest vowel
JAW_DROP = 0.7  # how far the chin goes down for a lip distance of 1
LIPS_Y = 0.725  # height of the closed lips

SKINS = ((226, 180, 152), (150, 103, 76), (240, 200, 176), (198, 148, 112), (112, 74, 55), (214, 164, 128))
HAIRS = ((72, 46, 30), (24, 20, 20), (150, 104, 60), (44, 32, 28), (20, 17, 17), (120, 60, 34))
IRISES = ((92, 62, 36), (58, 38, 24), (82, 118, 146), (88, 108, 66), (46, 30, 22), (104, 98, 90))
CLOTHES = ((52, 70, 104), (128, 44, 48), (66, 92, 72), (92, 84, 110), (188, 176, 150), (50, 50, 54))


# --- who is drawn ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Identity:
    """How one drawn person looks and sounds: colours are RGB, lengths in face heights, pitch in Hz."""

    number: int
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    iris: tuple[int, int, int]
    clothes: tuple[int, int, int]
    width: float  # half the face's
    jaw: float  # the jaw's width against the usual
    eye_x: float
    brow: float  # half thickness
    lip: float  # lips' thickness against the usual
    long_hair: bool
    beard: bool
    glasses: bool
    pitch: float


@lru_cache(maxsize=64)
def identity(number: int) -> Identity:
    """Return drawn person `number` (0, 1, ...); the first six differ in the colour of everything."""
    rng = np.random.default_rng([number, 1])
    long_hair = number % 2 == 1
    return Identity(
        number=number,
        skin=SKINS[number % len(SKINS)],
        hair=HAIRS[number % len(HAIRS)],
        iris=IRISES[number % len(IRISES)],
        clothes=CLOTHES[number % len(CLOTHES)],
        width=rng.uniform(0.375, 0.40),
        jaw=rng.uniform(0.94, 1.06) * (0.93 if long_hair else 1.0),
        eye_x=rng.uniform(0.178, 0.190),
        brow=rng.uniform(0.010, 0.014),
        lip=rng.uniform(0.95, 1.2),
        long_hair=long_hair,
        beard=number % 4 == 2,
        glasses=number % 6 == 3,
        pitch=rng.uniform(170, 220) if long_hair else rng.uniform(100, 140),
    )


# --- what is said ------------------------------------------------------------------------------------------------------


def speaking_pattern(n_frames: int, fps: float, seed: int = 0) -> np.ndarray:
    """Return the mouth opening at every frame, float32 (n_frames,) in [0, WIDEST]: about four syllables a second, pauses."""
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


# --- how it looks ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Camera:
    """Turns points of the head into pixels; `shift` and `scale` are in picture sizes, angles in degrees."""

    yaw: float
    roll: float
    shift: tuple[float, float]
    scale: float
    size: tuple[int, int]

    @property
    def face_height(self) -> float:
        """Pixels from hairline to chin."""
        return 0.5 * self.scale * min(self.size)

    def pixels(self, points: np.ndarray, lift: float | np.ndarray = 0.0, flat: bool = False) -> np.ndarray:
        """Place head points (n, 2): on the face's surface, `lift` above it, or (flat) in the plane of the ears."""
        x, y = np.asarray(points, dtype=np.float64).T
        z = 0.0 if flat else 0.36 * np.sqrt(np.clip(1 - (x / 0.46) ** 2 - ((y - 0.5) / 0.85) ** 2, 0, 1)) + lift
        yaw, roll = np.radians([self.yaw, self.roll])
        x, y = x * np.cos(yaw) + z * np.sin(yaw), y - 0.5
        x, y = x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)
        centre = np.array([0.5 + self.shift[0], 0.5 + self.shift[1]]) * self.size
        return np.stack([x, y], axis=1) * self.face_height + centre


class Canvas:
    """A picture twice the wanted size, drawn on in head coordinates, and where on it the skin is."""

    ZOOM = 2
    SHIFT = 4  # OpenCV's fixed-point bits: corners are placed to a sixteenth of a pixel

    def __init__(self, backdrop: np.ndarray, camera: Camera):
        self.camera = camera
        self.picture = cv2.resize(backdrop, None, fx=self.ZOOM, fy=self.ZOOM, interpolation=cv2.INTER_LINEAR)
        self.skin = np.zeros(self.picture.shape[:2], np.uint8)

    def fill(self, points: np.ndarray, colour, skin: bool | None = None, **place) -> None:
        """Fill a polygon; skin says whether this is skin from now on (None: as before)."""
        corners = [self._fixed(points, place)]
        cv2.fillPoly(self.picture, corners, _rgb(colour), cv2.LINE_AA, self.SHIFT)
        if skin is not None:
            cv2.fillPoly(self.skin, corners, 255 if skin else 0, cv2.LINE_AA, self.SHIFT)

    def line(self, points: np.ndarray, colour, width: float, closed: bool = False, **place) -> None:
        """Draw a line `width` face heights thick, at least one pixel."""
        thickness = max(1, round(width * self.camera.face_height * self.ZOOM))
        corners = [self._fixed(points, place)]
        cv2.polylines(self.picture, corners, closed, _rgb(colour), thickness, cv2.LINE_AA, self.SHIFT)

    def _fixed(self, points: np.ndarray, place: dict) -> np.ndarray:
        pixels = (self.camera.pixels(points, **place) + 0.5) * self.ZOOM - 0.5
        return np.round(pixels * (1 << self.SHIFT)).astype(np.int32)

    def finish(self, lights: np.ndarray) -> np.ndarray:
        """Shrink, light the skin and return uint8 (H, W, 3).

        lights: (n, 8) rows of x, y, lift, width, height, and what they add to red, green and blue (shares).
        """
        width, height = self.camera.size
        picture = cv2.resize(self.picture, (width, height), interpolation=cv2.INTER_AREA)
        skin = cv2.resize(self.skin, (width, height), interpolation=cv2.INTER_AREA)
        centres = self.camera.pixels(lights[:, :2], lift=lights[:, 2])
        sigma = lights[:, 3:5] * self.camera.face_height
        across = np.exp(-(((np.arange(width) - centres[:, :1]) / sigma[:, :1]) ** 2)).astype(np.float32)
        down = np.exp(-(((np.arange(height) - centres[:, 1:]) / sigma[:, 1:]) ** 2)).astype(np.float32)
        added = np.stack([(down * share[:, None]).T @ across for share in lights[:, 5:].T.astype(np.float32)], axis=-1)
        added *= skin[:, :, None] * np.float32(1 / 255)
        lit = cv2.GaussianBlur(picture * (1 + added), (0, 0), 0.5)
        return np.clip(lit, 0, 255).astype(np.uint8)


def _rgb(colour) -> tuple[int, int, int]:
    return tuple(int(np.clip(channel, 0, 255)) for channel in colour)


def _shade(colour, factor) -> np.ndarray:
    return np.asarray(colour, dtype=np.float64) * factor


@lru_cache(maxsize=16)
def _spline(n_points: int, steps: int = 6) -> np.ndarray:
    """Return the matrix (n_points * steps, n_points) of a closed Catmull-Rom spline."""
    t = np.arange(steps)[:, None] / steps
    weights = np.hstack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]) / 2
    matrix = np.zeros((n_points * steps, n_points))
    for point in range(n_points):
        for offset in range(4):
            matrix[point * steps : (point + 1) * steps, (point + offset - 1) % n_points] += weights[:, offset]
    return matrix


def _smooth(points) -> np.ndarray:
    """Return the smooth closed curve through points (n, 2)."""
    return _spline(len(points)) @ np.asarray(points)


def _mirrored(right) -> np.ndarray:
    """Return the smooth closed curve through points (n, 2), top to bottom on the right, and their mirror images."""
    right = np.asarray(right)
    left = right[::-1] * (-1, 1)
    return _smooth(np.concatenate([right, left[np.abs(left[:, 0]) > 1e-6]]))


def _ellipse(x: float, y: float, width: float, height: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    return np.stack([x + width * np.cos(angle), y + height * np.sin(angle)], axis=1)


@lru_cache(maxsize=16)
def _backdrop(number: int, size: tuple[int, int]) -> np.ndarray:
    """Return the blurred room behind a person, uint8 (H, W, 3)."""
    rng = np.random.default_rng([number, 4])
    blotches = rng.uniform(70, 190) + rng.uniform(-40, 40, (6, 6, 1)) + rng.uniform(-25, 25, (6, 6, 3))
    picture = cv2.resize(blotches.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + rng.normal(0, 1.5, picture.shape), 0, 255).astype(np.uint8)


def draw_face(
    number: int,
    opening: float,
    yaw: float = 0.0,
    roll: float = 0.0,
    blink: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
    scale: float = 1.0,
    size: tuple[int, int] = (256, 256),
) -> np.ndarray:
    """Draw person `number` with the mouth opened so far: uint8 RGB (H, W, 3).

    opening: inner lips' distance over face height, [0, WIDEST]; yaw (to the picture's right) and roll (clockwise) in
    degrees, good up to about 30; blink: 0 open to 1 shut eyes; shift in picture sizes; scale 1: the face is half as high
    as the picture's shorter side; size: (width, height) in pixels.
    """
    person = identity(number)
    gap = opening / (1 - JAW_DROP * opening)  # the face grows by the dropping chin, and the opening is a share of that
    camera = Camera(yaw, roll, shift, scale, size)
    canvas = Canvas(_backdrop(number, size), camera)
    _draw_head(canvas, person, gap)
    for side in (-1, 1):
        _draw_eye(canvas, person, side, blink)
    _draw_nose(canvas, person)
    _draw_mouth(canvas, person, gap)
    if person.glasses:
        for side in (-1, 1):
            rim = _smooth([(side * x, y) for x, y in ((0.06, 0.29), (0.18, 0.27), (0.30, 0.29), (0.29, 0.39), (0.18, 0.42), (0.08, 0.39))])
            canvas.line(rim, (40, 34, 34), 0.012, closed=True, lift=0.03)
            canvas.line(np.array([(side * 0.30, 0.30), (side * 0.38, 0.31)]), (40, 34, 34), 0.012, lift=0.02)
        canvas.line(np.array([(-0.06, 0.31), (0.0, 0.30), (0.06, 0.31)]), (40, 34, 34), 0.012, lift=0.05)
    return canvas.finish(_lights(person, gap))


def _jaw(points: np.ndarray, gap: float) -> np.ndarray:
    """Let the lower part of an outline follow the jaw."""
    share = np.clip((points[:, 1] - 0.6) / 0.4, 0, 1)
    return points + np.stack([-0.12 * gap * np.sign(points[:, 0]) * share, JAW_DROP * gap * share], axis=1)


def _draw_head(canvas: Canvas, person: Identity, gap: float) -> None:
    w, skin, hair = person.width, person.skin, person.hair
    if person.long_hair:
        back = [(0, -0.24), (0.30, -0.16), (0.46, 0.1), (0.48, 0.5), (0.50, 0.9), (0.42, 1.15), (0.2, 1.2)]
        canvas.fill(_mirrored(back), _shade(hair, 0.75), flat=True)
    neck = [(0.235, 0.7), (0.225, 1.05), (0.27, 1.25), (0.4, 1.6), (-0.4, 1.6), (-0.27, 1.25), (-0.225, 1.05), (-0.235, 0.7)]
    canvas.fill(np.array(neck), _shade(skin, 0.78), skin=True, flat=True)
    shoulders = [(0.20, 1.20), (0.42, 1.27), (0.80, 1.36), (1.05, 1.6), (1.2, 2.6)]
    collar = [(0.27, 1.22), (0.16, 1.36), (0, 1.42)]
    outline = np.array([*collar[::-1], *shoulders[1:]])
    canvas.fill(np.concatenate([outline, outline[::-1] * (-1, 1)]), person.clothes, skin=False, flat=True)
    if not person.long_hair:
        for side in (-1, 1):
            canvas.fill(_ellipse(side * (w + 0.015), 0.42, 0.05, 0.11), _shade(skin, 0.86), skin=True, flat=True)
            canvas.fill(_ellipse(side * (w + 0.018), 0.42, 0.025, 0.07), _shade(skin, 0.68), flat=True)
    j = person.jaw
    face = [(0, -0.10), (0.6 * w, -0.06), (0.93 * w, 0.12), (w, 0.36), (0.96 * w, 0.58), (0.80 * w * j, 0.78), (0.46 * w * j, 0.95), (0.15 * j, 0.998), (0, 1.0)]
    canvas.fill(_jaw(_mirrored(face), gap), skin, skin=True, flat=True)
    fringe = 0.02 if person.long_hair else 0.0
    side_y = 0.55 if person.long_hair else 0.30
    outer = [(0, -0.24), (0.24, -0.20), (0.40, -0.04), (w + 0.045, 0.14), (w + 0.02, side_y)]
    inner = [(w - 0.02, side_y - 0.04), (0.90 * w, 0.16), (0.62 * w, 0.02 + fringe), (0.25 * w, -0.01), (0, -0.005 + fringe)]
    cap = np.array([*outer, *inner])
    cap = np.concatenate([cap[:-1], [cap[-1]], cap[-2:0:-1] * (-1, 1)])
    canvas.fill(_smooth(cap), hair, skin=False, flat=True)
    for x in np.linspace(-0.3, 0.3, 9):  # strands
        strand = np.array([(x * 0.8, -0.21 + 0.5 * x * x), (x * 1.05, -0.12 + 0.4 * x * x), (x * 1.15, -0.04 + 0.9 * x * x)])
        canvas.line(strand, _shade(hair, 1.25), 0.006, flat=True)


def _draw_eye(canvas: Canvas, person: Identity, side: int, blink: float) -> None:
    x, y, open_ = person.eye_x, 0.335, 1 - blink
    almond = np.array([(-0.078, 0.004), (-0.04, -0.020), (0.005, -0.028), (0.045, -0.020), (0.078, -0.002), (0.045, 0.014), (0.0, 0.020), (-0.045, 0.016)])
    lids = almond * (1, open_) + (x, y + 0.012 * blink)
    lids = _smooth(lids) * (side, 1)
    crease = (almond[1:5] * (1.02, 0.7) + (x, y - 0.022)) * (side, 1)
    canvas.line(crease, _shade(person.skin, 0.66), 0.006)
    if open_ > 0.15:
        canvas.fill(lids, (232, 228, 224), skin=False)
        radius = 0.030
        for r, colour in ((radius, _shade(person.iris, 0.6)), (radius * 0.85, person.iris), (radius * 0.45, (12, 10, 10))):
            disc = _ellipse(side * x, y - 0.004, r, r)
            top = np.interp(disc[:, 0] * side, almond[:5, 0] + x, almond[:5, 1] * open_ + y + 0.012 * blink)
            bottom = np.interp(disc[:, 0] * side, almond[[0, 7, 6, 5, 4], 0] + x, almond[[0, 7, 6, 5, 4], 1] * open_ + y + 0.012 * blink)
            disc[:, 1] = np.clip(disc[:, 1], top, bottom)
            canvas.fill(disc, colour)
        canvas.fill(_ellipse(side * x + 0.009, y - 0.012, 0.006, 0.006 * open_), (250, 250, 250))
    n = len(lids) // 2
    canvas.line(lids[: n + 1], _shade(person.skin, 0.22), 0.011)
    canvas.line(lids[n:], _shade(person.skin, 0.62), 0.005)
    brow = np.array([(-0.10, 0.012), (-0.05, -0.012), (0.02, -0.024), (0.07, -0.014), (0.115, 0.014)])
    thick = person.brow * np.array([1.0, 1.15, 1.0, 0.75, 0.3])[:, None] * (0, 1)
    outline = np.concatenate([brow - thick, (brow + thick)[::-1]]) + (x, y - 0.095)
    canvas.fill(_smooth(outline) * (side, 1), _shade(person.hair, 0.9) * 0.85 + _shade(person.skin, 0.15), skin=False)


def _draw_nose(canvas: Canvas, person: Identity) -> None:
    for side in (-1, 1):
        wing = np.array([(0.060, 0.548), (0.080, 0.575), (0.078, 0.600), (0.058, 0.612)]) * (side, 1)
        canvas.line(wing, _shade(person.skin, 0.70), 0.007, lift=0.04)
        canvas.fill(_ellipse(side * 0.034, 0.607, 0.021, 0.009), _shade(person.skin, 0.36), lift=0.08)
    base = np.array([(-0.02, 0.617), (0, 0.622), (0.02, 0.617)])
    canvas.line(base, _shade(person.skin, 0.66), 0.006, lift=0.08)


def _draw_mouth(canvas: Canvas, person: Identity, gap: float) -> None:
    """Draw lips whose inner edges are `gap` apart in the middle, and what is seen between them."""
    half = 0.148 - 0.18 * gap
    x = np.linspace(-1, 1, 25)
    bow = 1 - x**2
    corner_y = LIPS_Y + 0.008 + 0.35 * gap  # the corners stay between the lips
    upper_y, lower_y = LIPS_Y - 0.12 * gap, LIPS_Y + 0.88 * gap
    arch = np.sqrt(bow)
    share = arch if gap > 0 else bow
    inner_top = corner_y + (upper_y - corner_y) * share
    inner_bottom = corner_y + (lower_y - corner_y) * share
    cupid = 0.006 * np.exp(-((x / 0.10) ** 2))
    outer_top = inner_top - person.lip * 0.036 * bow**0.8 + cupid * bow
    outer_bottom = inner_bottom + person.lip * 0.046 * bow**0.7

    def band(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
        columns = x * half
        return np.concatenate([np.stack([columns, top], 1), np.stack([columns, bottom], 1)[::-1]])

    red = _shade(person.skin, 1) * (0.82, 0.60, 0.60)
    if person.beard:
        pass
    canvas.fill(band(outer_top, inner_top), _shade(red, 0.90))
    canvas.fill(band(inner_bottom, outer_bottom), red)
    canvas.fill(band(inner_top, inner_bottom), (52, 16, 18), skin=False)
    if gap > 0.01:
        teeth = np.minimum(inner_top + 0.034 * bow**0.3, inner_bottom - 0.15 * (inner_bottom - inner_top))
        within = np.abs(x) < 0.8
        strip = np.concatenate([np.stack([x * half, inner_top], 1)[within], np.stack([x * half, teeth], 1)[within][::-1]])
        canvas.fill(strip, (226, 218, 206))
    if gap > 0.05:
        tongue = np.maximum(inner_bottom - 0.30 * gap * bow, inner_top)
        canvas.fill(band(tongue, inner_bottom), (150, 70, 72))
    middle = np.stack([x * half * 1.03, inner_top], 1)
    canvas.line(middle, _shade(red, 0.42), 0.006)


def _lights(person: Identity, gap: float) -> np.ndarray:
    """Return the soft lights and shadows of the face, rows for `Canvas.finish`."""
    drop = JAW_DROP * gap
    rows = []

    def add(x, y, width, height, strength, lift=0.0, tint=(1, 1, 1), both=True):
        for side in (-1, 1) if both and x else (1,):
            rows.append((side * x, y, lift, width, height, *(strength * np.array(tint))))

    add(0, 0.12, 0.22, 0.14, 0.12)  # forehead
    add(person.width + 0.04, 0.30, 0.10, 0.30, -0.30)  # temples
    add(person.width * 0.95, 0.75, 0.12, 0.22, -0.30)  # under the cheek bones
    add(0.23, 0.50, 0.10, 0.08, 0.10)  # cheeks
    add(0.24, 0.56, 0.10, 0.09, 0.10, tint=(0.9, -0.4, -0.3))
    add(0.17, 0.30, 0.10, 0.05, -0.17)  # eye sockets
    add(0.09, 0.335, 0.035, 0.05, -0.22)
    add(0.17, 0.405, 0.07, 0.02, -0.08)
    add(0, 0.44, 0.025, 0.12, 0.16, lift=0.08)  # the nose: ridge, tip, sides, shadow
    add(0, 0.56, 0.035, 0.03, 0.20, lift=0.13)
    add(0.06, 0.48, 0.025, 0.09, -0.12, lift=0.02)
    add(0, 0.63, 0.07, 0.018, -0.22, lift=0.03)
    add(0, 0.66, 0.012, 0.03, -0.10)
    add(0.115, 0.645, 0.02, 0.05, -0.12)  # folds beside the mouth
    add(0.155, LIPS_Y + 0.01 + 0.35 * gap, 0.02, 0.02, -0.16)
    add(0, LIPS_Y + 0.02 + 0.88 * gap, 0.07, 0.012, 0.16)  # lower lip's shine
    add(0, 0.805 + 0.9 * gap, 0.09, 0.022, -0.22)  # under the lower lip
    add(0, 0.895 + drop, 0.08, 0.05, 0.10)  # chin
    add(0, 1.10 + drop, 0.30, 0.07, -0.35)  # the neck under the chin
    add(0.25, 0.45, 0.3, 0.6, 0.06, both=False)  # a lamp on one side
    if person.beard:
        add(0, 0.93 + drop, 0.20, 0.09, -0.42, tint=(1, 0.9, 0.8))
        add(0.24, 0.84 + drop * 0.7, 0.09, 0.14, -0.40, tint=(1, 0.9, 0.8))
        add(0, 0.66, 0.12, 0.025, -0.36, tint=(1, 0.9, 0.8))
    return np.array(rows)


# --- what is written ---------------------------------------------------------------------------------------------------


def draw_clip(number: int, opening: np.ndarray, fps: float, seed: int = 0, size=(256, 256)) -> Iterator[np.ndarray]:
    """Draw person `number` speaking: a frame, uint8 RGB (H, W, 3), for each mouth opening; the head sways, the eyes blink.

    seed: of the sway and the blinks; size: (width, height) in pixels.
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
    closing = np.minimum(np.abs((time[:, None] - np.cumsum(rng.uniform(1.0, 3.5, 200))[None]) / 0.12).min(axis=1), 1)
    for n, gap in enumerate(opening):
        yield draw_face(number, float(gap), yaw[n], roll[n], 1 - closing[n], (x[n], y[n]), scale, size)


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

    That side file holds the true mouth opening of every frame, float32 (frames,), as `faces.mouth_opening` counts it.
    Returns the videos' paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for clip in range(clips):
        number, clip_seed = clip % identities, seed * 10_000 + clip
        opening = speaking_pattern(round(seconds * fps), fps, clip_seed)
        speech = speech_like(opening, fps, clip_seed, identity(number).pitch)
        path = folder / f"{number}_{clip // identities:02d}.mp4"
        write_video(path, draw_clip(number, opening, fps, clip_seed, size), fps, speech, comment="A drawn face")
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            np.save(file, opening)
        os.replace(unfinished, path.with_suffix(".opening.npy"))
        paths.append(path)
    return paths


def draw_photo(path: str | Path, number: int = 0, size: tuple[int, int] = (512, 512)) -> None:
    """Write a picture (PNG) of person `number` with the mouth closed; size: (width, height) in pixels."""
    picture = draw_face(number, 0.0, size=size)
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def write_speech(path: str | Path, seconds: float, seed: int = 0) -> None:
    """Write speech-like sound as a WAV file: 16 bit, mono, 16 kHz."""
    sound = speech_like(speaking_pattern(round(seconds * 25), 25, seed), 25, seed)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
