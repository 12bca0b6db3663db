"""Small films to be judged: of each clip a few, of one sound, by makers who leave their names in their files."""

import numpy as np

from lipgan_colab.media.encoding import Encoding
from lipgan_colab.media.writing import write_video

CLIPS = [f"s{n % 3}/clip {n}" for n in range(14)]
SECONDS, RATE = 0.8, 16_000


def frames(level, count=20, size=(48, 64)):
    """Frames whose number can be read off their brightness: `frame_number`."""
    shape = (*size, 3)
    return [np.full(shape, (10 * n + 20, level, level), np.uint8) for n in range(count)]


def frame_number(picture):
    return round((float(picture[..., 0].mean()) - 20) / 10)


def noise(seed, seconds=SECONDS, rate=RATE):
    return np.float32(np.random.default_rng(seed).uniform(-0.3, 0.3, int(seconds * rate)))


def write_clips(folder, level, clips=CLIPS, ending=".mp4", crf=18, delay=0, **how):
    """A maker's films of the clips, each as grey as `level` says; the sound comes `delay` samples late."""
    for n, clip in enumerate(clips):
        sound = np.concatenate([np.zeros(delay, np.float32), noise(n)])
        made = frames(level, **how)
        write_video(folder / f"{clip}{ending}", made, 25, sound, RATE, f"made by {folder.name}", Encoding("h264", crf))
    return folder
