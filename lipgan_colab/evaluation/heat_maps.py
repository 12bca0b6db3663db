"""Heat maps of a network over some clips that it is judged by: where it looks, and what moves the mouth.

`evaluate` makes them as it goes (`heatmaps`). The folder gets heatmaps.png (all on a page), heatmaps.csv (its numbers)
and heatmaps.mp4 (one clip as a film, beside what the network hears and does).
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from lipgan_colab.errors import counted
from lipgan_colab.evaluation.attribution import has_captum
from lipgan_colab.evaluation.heat_clip import GRID, TIME, ClipMaps, Key, clip_maps
from lipgan_colab.evaluation.heat_film import write_film
from lipgan_colab.evaluation.heat_page import Summary, write_page
from lipgan_colab.evaluation.measures import face_shape
from lipgan_colab.evaluation.report_page import nanmean
from lipgan_colab.evaluation.true_clips import Clip
from lipgan_colab.faces.face_clip import FaceClip
from lipgan_colab.files import written_whole
from lipgan_colab.media.made import shown
from lipgan_colab.models.interface import Generator
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.wav2lip import SyncExpert
from lipgan_colab.speech.features import mel_edges

MOST = 6  # clips that are looked at, spread over all
DRAWS = 2  # networks that have learnt nothing, with each clip
PICTURE, NUMBERS, FILM = "heatmaps.png", "heatmaps.csv", "heatmaps.mp4"


@dataclass
class HeatMaps:
    """Looks at some of the clips that a network is judged by.

    Args:
        network: of `ready_generator`.
        expert: the sync expert whose distance is asked for; None asks for the opening alone.
        ids: of all clips that will be judged, in their order.
    """

    network: Generator
    expert: SyncExpert | None
    ids: Sequence[str]
    found: list[ClipMaps] = field(default_factory=list)
    shapes: list[np.ndarray] = field(default_factory=list)
    first: tuple[Clip, FaceClip] | None = None

    def __post_init__(self):
        if not has_captum():
            tqdm.write(
                "heat maps by integrated gradients are left out: captum is not here (pip install --no-deps captum); "
                "those by occlusion and of activations are made"
            )
        self._places = {name: n for n, name in enumerate(self.ids)}
        self._chosen = np.linspace(0, len(self.ids) - 1, min(MOST, len(self.ids))).round()

    def see(self, clip: Clip, generated: FaceClip) -> None:
        """Look at a clip, unless enough are looked at; where one could not be judged, the next takes its place."""
        place = self._places[clip.speech.utterance.id]
        if len(self.found) >= np.sum(self._chosen <= place):
            return

        self.first = self.first or (clip, generated)
        seed = len(self.found) * DRAWS
        with tqdm(total=1 + DRAWS, unit="map", desc="heat maps", leave=False) as progress:
            self.found.append(clip_maps(self.network, self.expert, clip, generated, DRAWS, seed, progress.update))
        self.shapes.append(face_shape(clip.crops))

    def write(self, folder: Path) -> None:
        """Write all that was found into a folder. NotWritten where that cannot be."""
        if not self.found:
            return
        summary = summed_up(self.network, self.found, np.mean(self.shapes, axis=0), self.expert is not None)
        write_page(folder / PICTURE, summary)
        _write_numbers(folder / NUMBERS, summary)
        write_film(folder / FILM, self.network, *self.first)


def summed_up(network: Generator, found: list[ClipMaps], shape: np.ndarray, heard_by_expert: bool) -> Summary:
    """The maps' means over the clips, and what has to be said of them."""
    maps: dict[Key, np.ndarray] = {}
    untaught: dict[Key, list[float]] = {}
    for key in dict.fromkeys(key for one in found for key in one.maps):
        some = [one for one in found if key in one.maps]
        maps[key] = nanmean(np.stack([one.maps[key] for one in some]))
        untaught[key] = [value for one in some for value in one.untaught[key]]
    missing = {
        asked: float(np.mean([one.missing[asked] for one in found if asked in one.missing]))
        for asked in dict.fromkeys(asked for one in found for asked in one.missing)
    }
    first, frames = found[0], sum(len(one.frames) for one in found)
    about = f"{counted(len(found), 'clip')}, {counted(frames, 'frame')}"
    motion, kind = isinstance(network, MotionNetwork), network.speech_input.kind
    rows = np.arange(1, 13) if kind == "mfcc" else mel_edges()[1:-1]
    return Summary(
        shown(getattr(network, "source", type(network).__name__)),
        about,
        motion,
        kind,
        rows,
        first.milliseconds,
        float(np.mean([one.read_out for one in found])),
        maps,
        untaught,
        missing,
        heard_by_expert,
        shape,
        first,
    )


def _write_numbers(path: Path, summary: Summary) -> None:
    """A line a value: of speech for each column (its milliseconds), each row (MFCC's number, or Hz) or both; of faces
    for each landmark of the mesh."""
    with (
        written_whole(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["asked", "method", "of", "milliseconds", "row", "landmark", "value", "untaught"])
        for key, values in summary.maps.items():
            alike = f"{summary.alike(key):.4f}"
            for place, value in np.ndenumerate(values):
                milliseconds = row = landmark = ""
                if key[2] in (TIME, GRID):
                    milliseconds = f"{summary.milliseconds[place[-1]]:g}"
                if key[2] != TIME and summary.of_speech(key):
                    row = f"{summary.rows[place[0]]:.4g}"
                if not summary.of_speech(key):
                    landmark = str(place[0])
                if np.isfinite(value):
                    writer.writerow([*key, milliseconds, row, landmark, f"{value:.5g}", alike])
