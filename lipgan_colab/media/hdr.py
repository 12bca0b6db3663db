"""Films of high dynamic range and wide colours, shown as on an ordinary screen.

Phones film in HLG (Dolby Vision's profile 8.4 among it), films for the home have PQ: the same numbers mean other light
and other colours, and as they are they look washed out.
"""

from functools import cache

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace

PQ, HLG = 16, 18  # AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67
BT709, BT2020, DISPLAY_P3 = 1, 9, 12  # AVCOL_PRI_...
UNSPECIFIED = 2

WHITE = 203.0  # nits of white paper (ITU-R BT.2408, 3)
PEAK = 1000.0  # nits of the brightest light that such films are made for
HLG_WHITE = 0.265  # of the scene's light: white paper is at 75 % of the signal (the same)

# How much of its colour HLG keeps on the way of the scene's light. The way of a screen's (BT.2100's OOTF, by luminance)
# gives a sixth less of it; films of either kind then look like their ordinary twins within a seventh.
HLG_COLOUR = 0.94

TO_BT709 = {  # linear light (ITU-R BT.2087, 4 for BT.2020)
    BT2020: [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    DISPLAY_P3: [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]],
}
LEVELS = 1 << 10  # of the signal, as its tables know them
LIGHT = 65535 * WHITE / PEAK  # how white paper's light is written in 16 bits; PEAK is all of them


def is_of_other_light(frame: av.VideoFrame) -> bool:
    """Whether a frame's numbers mean something else than those of an ordinary film."""
    return frame.color_trc in (PQ, HLG) or frame.color_primaries in TO_BT709


def on_ordinary_screen(frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
    """Such a frame as uint8 (height, width, 3), RGB of BT.709, its lights rolled off.

    HLG is taken as the light of the scene, which an ordinary camera would have written by BT.709's curve (BT.2408, the
    conversion that keeps the cameras' look); PQ as a screen's light (BT.1886 writes it).
    """
    matrix = Colorspace.BT2020 if frame.colorspace == UNSPECIFIED and frame.color_trc in (PQ, HLG) else None
    signal = frame.to_ndarray(format="gbrp10le", width=width, height=height, src_colorspace=matrix)
    light = np.take(_light(frame.color_trc), signal)
    primaries = frame.color_primaries if frame.color_primaries != UNSPECIFIED else BT2020
    if primaries in TO_BT709:
        light = cv2.transform(light, _to_bt709(primaries, frame.color_trc))
    return np.take(_shown(frame.color_trc), light)


@cache
def _to_bt709(primaries: int, transfer: int) -> np.ndarray:
    matrix = np.array(TO_BT709[primaries])
    if transfer != HLG:
        return matrix
    grey = np.ones((3, 1)) * np.array([0.2126, 0.7152, 0.0722])
    return (HLG_COLOUR * np.eye(3) + (1 - HLG_COLOUR) * grey) @ matrix


@cache
def _light(transfer: int) -> np.ndarray:
    """uint16 (LEVELS,): the linear light of each level of the signal, white paper being LIGHT."""
    x = np.arange(LEVELS) / (LEVELS - 1)
    if transfer == HLG:  # ITU-R BT.2100, table 5: the inverse of its OETF
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(x <= 0.5, x**2 / 3, (np.exp((x - c) / a) + b) / 12) / HLG_WHITE
    elif transfer == PQ:
        light = _nits(x) / WHITE
    else:
        light = np.where(x < 0.081, x / 4.5, ((x + 0.099) / 1.099) ** (1 / 0.45))  # ITU-R BT.709
    return np.clip(light * LIGHT, 0, 65535).round().astype(np.uint16)


@cache
def _shown(transfer: int) -> np.ndarray:
    """uint8 (65536,): what an ordinary screen is given for each light."""
    light = np.arange(65536) / LIGHT
    if transfer in (PQ, HLG):
        light = _rolled_off(light)
    light = np.clip(light, 0, 1)
    if transfer == PQ:
        signal = light ** (1 / 2.4)  # ITU-R BT.1886
    else:
        signal = np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)
    return (255 * signal).round().astype(np.uint8)


def _rolled_off(light: np.ndarray) -> np.ndarray:
    """Light up to PEAK, brought below WHITE as ITU-R BT.2390 does (5.4.1); below a knee it stays as it is."""
    peak = _pq(PEAK)
    e = _pq(light * WHITE) / peak
    most = _pq(WHITE) / peak
    knee = 1.5 * most - 0.5
    t = np.clip((e - knee) / (1 - knee), 0, 1)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return _nits(np.where(e < knee, e, bent) * peak) / WHITE


# SMPTE ST 2084, ITU-R BT.2100 table 4
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128


def _nits(signal: np.ndarray) -> np.ndarray:
    power = signal ** (1 / M2)
    return 10_000 * (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1)


def _pq(nits: np.ndarray | float) -> np.ndarray:
    power = (np.asarray(nits) / 10_000) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2
