"""A few frames of each judged clip, to be shown beside the same frames of other runs."""

from collections.abc import Sequence

import numpy as np

from lipgan_colab.evaluation.true_clips import Clip
from lipgan_colab.faces.face_clip import FaceClip

CLIPS_SHOWN, FRAMES_SHOWN = 4, 8


class ShownCrops:
    """What is shown of the clips that a run is judged by.

    Attributes:
        true, generated: a row for each clip so far, uint8 (S, 8 S, 3).
    """

    def __init__(self):
        self.true: list[np.ndarray] = []
        self.generated: list[np.ndarray] = []
        self._speakers: list[str] = []

    def add(self, clip: Clip, own: FaceClip) -> None:
        """Take what is shown of a clip, as it truly is and as it was generated."""
        places = np.linspace(0, len(own.crops) - 1, FRAMES_SHOWN).round().astype(int)
        self._speakers.append(clip.speech.utterance.speaker)
        for rows, of in ((self.true, clip.crops), (self.generated, own)):
            rows.append(np.concatenate(list(of.crops[places]), axis=1))

    def picture(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """A row for each of the first speakers, and where they are few for their next clips: uint8 (R S, 8 S, 3)."""
        turns = [self._speakers[:n].count(speaker) for n, speaker in enumerate(self._speakers)]
        chosen = sorted(range(len(rows)), key=lambda n: (turns[n], n))[:CLIPS_SHOWN]
        return np.concatenate([rows[n] for n in sorted(chosen)])
