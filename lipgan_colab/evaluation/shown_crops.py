"""A few frames of each judged clip, to be shown beside the same frames of other runs."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lipgan_colab.errors import reading
from lipgan_colab.evaluation.true_clips import Clip
from lipgan_colab.faces.face_clip import FaceClip
from lipgan_colab.files import written_whole

CLIPS_SHOWN, FRAMES_SHOWN = 4, 8
CLIPS = "clips"  # the PNG's text that tells whose the rows are


class ShownCrops:
    """What is shown of the clips that a run is judged by.

    Attributes:
        clips: their ids so far.
        true, generated: a row for each of them, uint8 (S, 8 S, 3).
    """

    def __init__(self):
        self.clips: list[str] = []
        self.true: list[np.ndarray] = []
        self.generated: list[np.ndarray] = []
        self._speakers: list[str] = []

    def add(self, clip: Clip, own: FaceClip) -> None:
        """Take what is shown of a clip, as it truly is and as it was generated."""
        places = np.linspace(0, len(own.crops) - 1, FRAMES_SHOWN).round().astype(int)
        self.clips.append(clip.speech.utterance.id)
        self._speakers.append(clip.speech.utterance.speaker)
        for rows, of in ((self.true, clip.crops), (self.generated, own)):
            rows.append(np.concatenate(list(of.crops[places]), axis=1))

    def write(self, path: Path, rows: Sequence[np.ndarray]) -> None:
        """Write rows (`true` or `generated`) as PNG: those of the first speakers, and where they are few of their next
        clips."""
        turns = [self._speakers[:n].count(speaker) for n, speaker in enumerate(self._speakers)]
        chosen = sorted(sorted(range(len(rows)), key=lambda n: (turns[n], n))[:CLIPS_SHOWN])
        write_crops(path, {self.clips[n]: rows[n] for n in chosen})


def write_crops(path: Path, rows: dict[str, np.ndarray]) -> None:
    """Write rows of frames, uint8 (S, W, 3) by their clips' ids, as one PNG that knows the ids."""
    told = PngInfo()
    told.add_text(CLIPS, json.dumps(list(rows)))
    with written_whole(path) as unfinished:
        Image.fromarray(np.concatenate(list(rows.values()))).save(unfinished, "png", pnginfo=told)


def read_crops(path: Path) -> dict[str, np.ndarray]:
    """The rows that `write_crops` wrote.

    Raises:
        InputError: there is no such picture, or it does not tell whose its rows are.
    """
    with reading(path, "no picture of frames", "let the run be judged again"), Image.open(path) as image:
        clips = json.loads(image.text[CLIPS])
        return dict(zip(clips, np.split(np.asarray(image.convert("RGB")), len(clips)), strict=True))
