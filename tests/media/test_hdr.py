"""Films of high dynamic range look as an ordinary one of the same scene."""

import numpy as np
import pytest
from av.video.reformatter import Colorspace
from made_media import encode

from lipgan_colab.media.video import read_video

FACE = np.s_[330:800, 400:780]  # of the report's film
BT709, BT2020, PQ, HLG, BT2020_10 = 1, 9, 16, 18, 14  # FFmpeg's numbers
# Without B-frames: of films of so few frames, x265 leaves their decoding times to chance, and some cannot be muxed.
QUIET = {"crf": "4", "x265-params": "log-level=none:bframes=0"}
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # BT.2087
# Skin, light and dark, lips, grey, blue, and white: what an ordinary film has.
PATCHES = np.array([[224, 172, 140], [110, 66, 44], [176, 72, 80], [128, 128, 128], [60, 90, 160], [255, 255, 255]])
SKIN = slice(0, 3)


def colourfulness(rgb):
    return (rgb.max(axis=-1).astype(float) - rgb.min(axis=-1)).mean()


def first(path):
    return next(read_video(path))[1]


def patches(path):
    """The colour in the middle of each patch."""
    return first(path)[32, 16::32].astype(int)


def film_of_patches(path, signal, **tags):
    """signal: (6, 3) in [0, 1], RGB of BT.2020."""
    picture = np.repeat(np.repeat(signal[None], 64, axis=0), 32, axis=1)
    pixels = np.ascontiguousarray((picture * 1023).round().astype(np.uint16))
    how = {"source": "gbrp10le", "options": QUIET, "matrix": Colorspace.BT2020}
    encode(path, [pixels] * 2, "libx265", "yuv420p10le", **how, color_primaries=BT2020, colorspace=BT2020, **tags)


def pq(nits):
    power = (nits / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(scene):
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def scene_light(rgb):
    signal = rgb / 255
    return np.where(signal < 0.081, signal / 4.5, ((signal + 0.099) / 1.099) ** (1 / 0.45))


def test_a_phones_hdr_film_has_the_colours_of_its_sdr_twin(shared):
    hdr, sdr = (first(shared / "data/reports" / name) for name in ("hdr_hlg.mov", "hdr_same_sdr.mp4"))
    assert colourfulness(hdr[FACE]) == pytest.approx(colourfulness(sdr[FACE]), rel=0.2)  # untouched: 0.63 of it
    assert hdr[FACE].mean() == pytest.approx(sdr[FACE].mean(), rel=0.1)
    assert hdr.mean() == pytest.approx(sdr.mean(), rel=0.1)


def test_pq_and_hlg_are_shown_as_an_ordinary_film_is(tmp_path):
    screen, scene = (light @ TO_BT2020.T for light in ((PATCHES / 255) ** 2.4, scene_light(PATCHES)))
    luminance = screen @ [[0.2627], [0.6780], [0.0593]]
    for name, signal, transfer in (
        ("pq.mkv", pq(203 * screen), PQ),
        ("of_a_scene.mkv", hlg(0.265 * scene), HLG),
        ("of_a_screen.mkv", hlg(0.203 ** (1 / 1.2) * screen * luminance ** (1 / 1.2 - 1)), HLG),
    ):
        film_of_patches(tmp_path / name, signal, color_trc=transfer)
        seen = patches(tmp_path / name)
        assert colourfulness(seen[SKIN]) == pytest.approx(colourfulness(PATCHES[SKIN]), rel=0.2), name
        assert np.abs(seen - PATCHES)[1:5].max() <= (3 if name == "pq.mkv" else 25), name
        assert np.abs(seen - PATCHES)[[0, 5]].max() <= 30, name  # these leave room for lights


def test_lights_brighter_than_white_are_still_told_apart(tmp_path):
    grey = np.array([50.0, 100, 203, 300, 450, 1000])[:, None] * np.ones(3)
    film_of_patches(tmp_path / "a.mkv", pq(grey), color_trc=PQ)
    seen = patches(tmp_path / "a.mkv")[:, 0]
    assert (np.diff(seen) >= 3).all() and seen[-1] == 255 and seen[2] > 225


def test_wide_colours_of_an_ordinary_film_are_no_paler(tmp_path):
    signal = 1.099 * (scene_light(PATCHES) @ TO_BT2020.T) ** 0.45 - 0.099
    film_of_patches(tmp_path / "a.mkv", np.clip(signal, 0, 1), color_trc=BT2020_10)
    assert np.abs(patches(tmp_path / "a.mkv") - PATCHES).max() <= 6


def test_ten_bits_alone_change_nothing(tmp_path):
    picture = np.repeat(np.repeat(PATCHES[None].astype(np.uint8), 64, axis=0), 32, axis=1)
    tags = {"color_primaries": BT709, "colorspace": BT709, "color_trc": BT709}
    encode(tmp_path / "a.mkv", [picture], "libx265", "yuv420p10le", options=QUIET, matrix=Colorspace.ITU709, **tags)
    assert np.abs(patches(tmp_path / "a.mkv") - PATCHES).max() <= 3
