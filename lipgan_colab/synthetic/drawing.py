"""One drawn face, whose mouth opening is known exactly.

The head is a smooth solid seen by a camera far away. Its points are given in face heights: x to the right, y down,
y = 0 at the hairline (landmark 10 of MediaPipe's mesh), y = 1 at the chin of the closed mouth (landmark 152). The mouth
opening is the inner lips' distance over the face's height at that moment, in [0, WIDEST], as `geometry.mouth_opening`
measures it. Everything is a pure function of its arguments.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

WIDEST = 0.16  # mouth opening of the widest vowel
JAW_DROP = 0.7  # how far the chin goes down for a lip distance of 1
LIPS_Y = 0.725  # height of the closed lips

SKINS = ((226, 180, 152), (150, 103, 76), (240, 200, 176), (198, 148, 112), (112, 74, 55), (214, 164, 128))
HAIRS = ((72, 46, 30), (24, 20, 20), (150, 104, 60), (44, 32, 28), (20, 17, 17), (120, 60, 34))
IRISES = ((92, 62, 36), (58, 38, 24), (82, 118, 146), (88, 108, 66), (46, 30, 22), (104, 98, 90))
CLOTHES = ((52, 70, 104), (128, 44, 48), (66, 92, 72), (92, 84, 110), (188, 176, 150), (50, 50, 54))


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
        x, y = points[:, 0], points[:, 1] - 0.5
        z = 0.0 if flat else 0.34 * np.sqrt(np.maximum(1 - (x / 0.46) ** 2 - (y / 0.85) ** 2, 0)) + lift
        yaw, roll = math.radians(self.yaw), math.radians(self.roll)
        x = x * math.cos(yaw) + z * math.sin(yaw)
        pixels = np.empty((len(points), 2))
        pixels[:, 0] = x * math.cos(roll) - y * math.sin(roll)
        pixels[:, 1] = x * math.sin(roll) + y * math.cos(roll)
        return pixels * self.face_height + (np.array(self.shift) + 0.5) * self.size - 0.5


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
        reach = lights[:, 3:5] * self.camera.face_height
        # The lights are soft: half the resolution will do. And einsum rather than matmul, because the latter's threads
        # cost more than they give for so little work on a busy machine.
        x, y = (np.linspace(0.5, n - 1.5, (n + 1) // 2) for n in (width, height))
        across = np.exp(-(((x - centres[:, :1]) / reach[:, :1]) ** 2))
        down = np.exp(-(((y - centres[:, 1:]) / reach[:, 1:]) ** 2)).astype(np.float32)
        tinted = (across[:, :, None] * lights[:, None, 5:]).astype(np.float32).reshape(len(lights), -1)
        light = np.einsum("ny,nx->yx", down, tinted).reshape(len(y), len(x), 3)
        light = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)
        light *= skin[:, :, None] * np.float32(1 / 255)
        light += 1
        return cv2.multiply(cv2.GaussianBlur(picture, (0, 0), 0.5), light, dtype=cv2.CV_8U)


def _rgb(colour) -> tuple[int, int, int]:
    return tuple(min(max(int(channel), 0), 255) for channel in colour)


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
    """Return points (n, 2) of the right side, top to bottom, followed by those of the left side, bottom to top."""
    right = np.asarray(right)
    left = right[::-1] * (-1, 1)
    return np.concatenate([right, left[left[:, 0] != 0]])


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

    opening: inner lips' distance over face height, [0, WIDEST]; yaw (to the picture's right) and roll (clockwise):
    degrees, good up to about 25; blink: 0 (open eyes) to 1 (shut); shift: in picture sizes; scale: 1 makes the face
    half as high as the picture's shorter side; size: (width, height) in pixels.
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
        _draw_glasses(canvas)
    return canvas.finish(_lights(person, gap))


def _draw_head(canvas: Canvas, person: Identity, gap: float) -> None:
    w, jaw, skin, hair = person.width, person.jaw, person.skin, person.hair
    if person.long_hair:
        back = [(0, -0.24), (0.30, -0.16), (0.46, 0.1), (0.48, 0.5), (0.50, 0.9), (0.42, 1.15), (0.2, 1.2)]
        canvas.fill(_smooth(_mirrored(back)), _shade(hair, 0.75), flat=True)
    neck = [(0.235, 0.7), (0.225, 1.05), (0.27, 1.25), (0.4, 1.6)]
    canvas.fill(_mirrored(neck), _shade(skin, 0.78), skin=True, flat=True)
    clothes = [(0, 1.42), (0.16, 1.36), (0.27, 1.22), (0.42, 1.27), (0.80, 1.36), (1.05, 1.6), (1.2, 2.6)]
    canvas.fill(_mirrored(clothes), person.clothes, skin=False, flat=True)
    if not person.long_hair:
        for side in (-1, 1):
            canvas.fill(_ellipse(side * (w + 0.015), 0.42, 0.05, 0.11), _shade(skin, 0.86), skin=True, flat=True)
            canvas.fill(_ellipse(side * (w + 0.018), 0.42, 0.025, 0.07), _shade(skin, 0.68), flat=True)

    skull = [(0, -0.10), (0.6 * w, -0.06), (0.93 * w, 0.12), (w, 0.36), (0.96 * w, 0.58)]
    chin = [(0.82 * w * jaw, 0.77), (0.58 * w * jaw, 0.90), (0.29 * w * jaw, 0.98), (0, 1.0)]
    face = _smooth(_mirrored([*skull, *chin]))
    share = np.clip((face[:, 1] - 0.6) / 0.4, 0, 1)  # how much of the jaw's drop a point follows
    face += np.stack([-0.5 * gap * face[:, 0], JAW_DROP * gap * np.ones(len(face))], axis=1) * share[:, None]
    canvas.fill(face, skin, skin=True, flat=True)

    parting, ends = (0.015, 0.55) if person.long_hair else (-0.005, 0.30)
    outer = [(0, -0.24), (0.24, -0.20), (0.40, -0.04), (w + 0.045, 0.14), (w + 0.02, ends)]
    inner = [(w - 0.02, ends - 0.04), (0.90 * w, 0.16), (0.62 * w, 0.025), (0.25 * w, 0), (0, parting)]
    canvas.fill(_smooth(_mirrored([*outer, *inner])), hair, skin=False, flat=True)
    strand = np.array([(0.8, -0.21), (1.05, -0.12), (1.15, -0.04)])
    for x in np.linspace(-0.3, 0.3, 9):
        bent = strand * (x, 1) + np.outer([0.5, 0.4, 0.9], (0, x * x))
        canvas.line(bent, _shade(hair, 1.25), 0.006, flat=True)


def _draw_eye(canvas: Canvas, person: Identity, side: int, blink: float) -> None:
    centre = np.array([person.eye_x, 0.335])
    upper = np.array([(-0.078, 0.004), (-0.04, -0.020), (0.005, -0.028), (0.045, -0.020), (0.078, -0.002)])
    lower = np.array([(0.045, 0.014), (0.0, 0.020), (-0.045, 0.016)])
    brow = np.array([(-0.10, 0.012), (-0.05, -0.012), (0.02, -0.024), (0.07, -0.014), (0.115, 0.014)])

    crease = upper[:4] * (1.02, 0.7) + centre - (0, 0.022)
    canvas.line(crease * (side, 1), _shade(person.skin, 0.66), 0.006)
    lids = np.concatenate([upper, lower]) * (1, 1 - blink) + centre + (0, 0.012 * blink)
    almond = _smooth(lids) * (side, 1)
    half = len(almond) // 2
    if blink < 0.85:
        canvas.fill(almond, (232, 228, 224), skin=False)
        top, bottom = lids[:5], lids[[0, 7, 6, 5, 4]]
        for radius, colour in ((0.030, _shade(person.iris, 0.6)), (0.025, person.iris), (0.013, (12, 10, 10))):
            disc = _ellipse(centre[0], centre[1] - 0.004, radius, radius)
            disc[:, 1] = np.clip(disc[:, 1], np.interp(disc[:, 0], *top.T), np.interp(disc[:, 0], *bottom.T))
            canvas.fill(disc * (side, 1), colour)
        canvas.fill(_ellipse(side * centre[0] + 0.009, centre[1] - 0.012, 0.006, 0.006), (250, 250, 250))
    canvas.line(almond[: half + 1], _shade(person.skin, 0.22), 0.011)
    canvas.line(almond[half:], _shade(person.skin, 0.62), 0.005)

    thickness = person.brow * np.array([1.0, 1.15, 1.0, 0.75, 0.3])[:, None] * (0, 1)
    outline = np.concatenate([brow - thickness, (brow + thickness)[::-1]]) + centre - (0, 0.095)
    hairs = 0.77 * np.array(person.hair) + 0.15 * np.array(person.skin)
    canvas.fill(_smooth(outline) * (side, 1), hairs, skin=False)


def _draw_nose(canvas: Canvas, person: Identity) -> None:
    for side in (-1, 1):
        wing = np.array([(0.060, 0.548), (0.080, 0.575), (0.078, 0.600), (0.058, 0.612)]) * (side, 1)
        canvas.line(wing, _shade(person.skin, 0.70), 0.007, lift=0.04)
        canvas.fill(_ellipse(side * 0.034, 0.607, 0.021, 0.009), _shade(person.skin, 0.36), lift=0.08)
    base = np.array([(-0.02, 0.617), (0, 0.622), (0.02, 0.617)])
    canvas.line(base, _shade(person.skin, 0.66), 0.006, lift=0.08)


def _draw_glasses(canvas: Canvas) -> None:
    frame, width = (40, 34, 34), 0.012
    rim = np.array([(0.06, 0.29), (0.18, 0.27), (0.30, 0.29), (0.29, 0.39), (0.18, 0.42), (0.08, 0.39)])
    for side in (-1, 1):
        canvas.line(_smooth(rim) * (side, 1), frame, width, closed=True, lift=0.03)
        canvas.line(np.array([(0.30, 0.30), (0.38, 0.31)]) * (side, 1), frame, width, lift=0.02)
    canvas.line(np.array([(-0.06, 0.31), (0.0, 0.30), (0.06, 0.31)]), frame, width, lift=0.05)


def _draw_mouth(canvas: Canvas, person: Identity, gap: float) -> None:
    """Draw lips whose inner edges are `gap` apart in the middle, and what is seen between them."""
    x = np.linspace(-1, 1, 25)
    bow = 1 - x**2
    arch = np.sqrt(bow)
    columns = x * (0.148 - 0.18 * gap)  # an open mouth is narrower
    corners = _corners_y(gap)
    top = corners + (LIPS_Y - 0.12 * gap - corners) * arch
    bottom = corners + (LIPS_Y + 0.88 * gap - corners) * arch
    cupids_bow = 0.006 * np.exp(-((x / 0.10) ** 2))

    def fill_between(above: np.ndarray, below: np.ndarray, colour, skin: bool | None = None) -> None:
        edges = np.stack([np.concatenate([columns, columns[::-1]]), np.concatenate([above, below[::-1]])], axis=1)
        canvas.fill(edges, colour, skin)

    red = np.array(person.skin) * (0.57, 0.42, 0.42) + (52, 22, 26)
    fill_between(top - person.lip * 0.036 * bow**0.8 + cupids_bow, top, _shade(red, 0.9))
    fill_between(bottom, bottom + person.lip * 0.046 * bow**0.7, red)
    fill_between(top, bottom, (52, 16, 18), skin=False)
    if gap > 0.01:
        fill_between(top, np.minimum(top + 0.034 * bow**0.5, 0.85 * bottom + 0.15 * top), (226, 218, 206))  # teeth
    if gap > 0.05:
        fill_between(np.maximum(bottom - 0.3 * gap * bow, top), bottom, (150, 70, 72))  # tongue
    canvas.line(np.stack([columns * 1.03, top], axis=1), _shade(red, 0.42), 0.006)


def _corners_y(gap: float) -> float:
    """Return the height of the mouth's corners; they stay between the lips."""
    return LIPS_Y + 0.008 * (1 - gap / WIDEST) + 0.35 * gap


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
    add(0.155, _corners_y(gap), 0.02, 0.02, -0.16)
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
