"""The films that people judge, measured as `evaluate` does: so that it can be asked which measure agrees with people.

What is measured is what is shown, whoever made it: the same pixels, in the box in which the true clip's face is.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from lipgan_colab.corpora.corpus import Utterance
from lipgan_colab.device import pick_device
from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.judges.films import Footage, pictures
from lipgan_colab.evaluation.judges.key import TRUTH
from lipgan_colab.evaluation.judges.sources import Source, films_of
from lipgan_colab.evaluation.measures import MEASURES, face_shape
from lipgan_colab.evaluation.true_clips import Clip, Judges, Listener, Speech
from lipgan_colab.faces import tracking
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.face_clip import CROP, FPS, FaceClip, detected_clip, upright_clip
from lipgan_colab.files import written_whole
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.video import resample_frames
from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.weights import load_expert


def write_measures(
    path: str | Path,
    clips: Sequence[str],
    usable: Mapping[str, Footage],
    sources: Sequence[Source],
    truth: Mapping[str, Path],
) -> list[InputError]:
    """measures.csv: a line for each clip and system, its MEASURES; returns which clips cannot be measured, and why.

    Args:
        path: of the file.
        clips: that are judged.
        usable: what their films have in common.
        sources, truth: whose films.
    """
    judges = Judges(fuse(load_expert("expert", pick_device(None))), None)
    skipped: list[InputError] = []
    with (
        written_whole(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        FaceFinder() as finder,
    ):
        writer = csv.DictWriter(file, ["clip", "system", *MEASURES])
        writer.writeheader()
        for clip in tqdm(clips, unit="clip", desc="measures"):
            try:
                films = films_of(clip, sources, truth)
                for system, scores in _measured(clip, films, usable[clip], judges, finder).items():
                    if system in {source.name for source in sources}:
                        writer.writerow({"clip": clip, "system": system} | {m: f"{scores[m]:.6g}" for m in MEASURES})
            except InputError as error:
                skipped.append(InputError(f"{clip}: not measured: {error.line}"))
    return skipped


def _measured(
    name: str, films: Mapping[str, Path], seen: Footage, judges: Judges, finder: FaceFinder
) -> dict[str, dict[str, float]]:
    """A clip's measures by system, the truth's among them. InputError where no face can be judged."""
    true = _at_25(films[TRUTH], seen, TRUTH)
    followed = tracking.fill_gaps(tracking.smooth_boxes(tracking.track(true, finder)))
    full = upright_clip(true, followed, CROP)
    crops = detected_clip(full.frames, finder)
    face_shape(crops)  # raises where nothing is seen
    speech = Speech(Utterance(name, films[TRUTH]), read_speech(films[TRUTH]))
    variants: dict[str, FaceClip] = {TRUTH: full}
    for system in films.keys() - {TRUTH}:
        shown = upright_clip(_at_25(films[system], seen, system), followed, CROP)
        variants[system] = detected_clip(shown.frames, finder)
    clip = Clip(speech, float(np.mean([face.yaw for face in followed])), crops, full)
    return Listener(clip, judges, variants).scores


def _at_25(film: Path, seen: Footage, whose: str) -> list[np.ndarray]:
    """A film's pictures as they are shown, at the rate of the measures."""
    timed = ((n / float(seen.fps), picture) for n, picture in enumerate(pictures(film, seen, whose)))
    return list(resample_frames(timed, FPS, seen.seconds))
