"""A study's run is judged as by the ordinary `evaluate`; whether what is said of it is whole and of its export."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from tqdm.auto import tqdm

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.evaluate import judge
from lipgan_colab.evaluation.shown_crops import ShownCrops, read_crops
from lipgan_colab.evaluation.study_material import Material
from lipgan_colab.evaluation.study_runs import StudyRun, is_trained, read_json
from lipgan_colab.evaluation.true_clips import Judges, TrueClips
from lipgan_colab.files import file_sha256, written_whole
from lipgan_colab.generation.setting import ready_generator
from lipgan_colab.models.fusing import fuse

CLIPS, SHOWN, JUDGED = "clips.csv", "shown.png", "judged.json"
END = 1 << 20  # bytes at both ends of an export by which it is known


def true_clips(material: Material, kept: Path | None) -> TrueClips:
    """The clips to judge by, which all runs of a session share; `kept` is a folder for what is known of them."""
    judges = Judges(fuse(material.expert), material.syncnet)
    return TrueClips(material.clips, material.dataset.size, judges, str(material.study.videos), kept)


def true_crops(out: Path) -> Path:
    """Where the true frames lie that a study's runs are shown beside."""
    return out / "judged" / SHOWN


def mend_true_crops(out: Path, runs: Iterable[StudyRun]) -> None:
    """Where the true frames are gone or damaged, let the first of some runs that is judged be judged again, which
    writes them."""
    again = next((run.judged / JUDGED for run in runs if (run.judged / JUDGED).is_file()), None)
    if again is not None and not has_true_crops(out):
        tqdm.write(f"{true_crops(out)}: cannot be read; {again.parent} is judged again, which writes it anew")
        again.unlink()


def has_true_crops(out: Path) -> bool:
    """Whether the true frames can be shown."""
    try:
        return bool(read_crops(true_crops(out)))
    except InputError:
        return False


def judge_run(run: StudyRun, material: Material, truth: Callable[[], TrueClips]) -> None:
    """Judge a trained run, and write all that the page needs of it.

    Args:
        run: which.
        material: what the runs share.
        truth: gives the clips to judge by, which are made only where a run is judged.

    Raises:
        InputError: as `evaluate`.
    """
    crops = ShownCrops()
    with suppress(OSError):
        os.unlink(run.judged / JUDGED)  # until all is written again
    evaluation = judge(ready_generator(run.export, material.device), run.judged, truth(), crops.add)
    crops.write(run.judged / SHOWN, crops.generated)
    crops.write(true_crops(material.out), crops.true)
    skipped = {clip["id"]: clip["reason"] for clip in evaluation.skipped}
    with written_whole(run.judged / JUDGED) as unfinished:
        told = _judgement(run, material) | {"skipped": skipped}
        unfinished.write_text(json.dumps(told, indent=1), encoding="utf-8")


def is_judged(run: StudyRun, material: Material) -> bool:
    """Whether a run is trained to its end, and what is said of it is whole and of its export."""
    if not is_trained(run):
        return False
    try:
        return _judgement(run, material).items() <= read_json(run.judged / JUDGED).items()
    except OSError:
        return False


def skipped_clips(run: StudyRun) -> dict[str, str]:
    """Why clips of a judged run could not be judged, by their ids."""
    return read_json(run.judged / JUDGED).get("skipped", {})


def _judgement(run: StudyRun, material: Material) -> dict:
    """What a judgement is of, and what came of it, as far as files tell."""
    return {
        "export": _known_by(run.export),
        "clips": [clip.id for clip in material.clips],
        "size": material.dataset.size,
        "expert": material.judge,
        "syncnet": material.study.syncnet is not None,
        **{name: file_sha256(run.judged / name) for name in (CLIPS, SHOWN)},
    }


def _known_by(export: Path) -> str:
    """Tells a run's exports apart by their ends: a Drive is slow, and training changes all of the weights."""
    with export.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        ends = []
        for place in (0, max(0, size - END)):
            file.seek(place)
            ends.append(file.read(END))
    return hashlib.sha256(b"".join([str(size).encode(), *ends])).hexdigest()
