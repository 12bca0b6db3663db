"""What was found out about a generator: every clip's measures, their means as a table, and which of them are blind."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipgan_colab.errors import counted
from lipgan_colab.evaluation.measures import MEASURES
from lipgan_colab.faces.face_clip import CROP
from lipgan_colab.files import written_whole
from lipgan_colab.speech.sync import FEWEST, group_sync

# Who is scored, by the same code.
VARIANTS = {
    "generated": "from the clip's own speech",
    "another": "generated from another clip's speech",
    "true": "the true video, its face found at full resolution: the upper limit",
    "still": "its first frame",
    "mean": "the mean of its frames",
    "late": "the true video, 8 frames late",
    "early": "the true video, 8 frames early",
}
BASELINES = ("still", "mean", "late", "early")  # a measure that does not tell the truth from one is blind to it
SURE = 3  # standard errors that make a difference
FEWEST_CLIPS = 5  # with fewer nothing is said of blindness
YAW_BINS = ((0, 10), (10, 20), (20, 30), (30, 90))  # degrees to either side
MOST_SPEAKERS = 8  # that get a column of their own


@dataclass(frozen=True)
class ClipScores:
    """The measures of one clip.

    Attributes:
        frames: how many were judged.
        yaw: degrees, mean over the frames.
        scores: for every one of VARIANTS, its measures by their names; nan where one cannot be told.
        sync: for every one of VARIANTS, `measures.sound_sync`, (31,).
    """

    id: str
    speaker: str
    frames: int
    yaw: float
    scores: dict[str, dict[str, float]]
    sync: dict[str, np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """All clips' scores, and what could not be judged.

    In the folder lie table.txt (`str` of this, and what the measures mean), clips.csv (a line for every clip and
    variant) and frames.png (where the error sits; the best and the worst clips). `size` is that of the crops that were
    judged, in pixels.
    """

    folder: Path
    clips: list[ClipScores]
    skipped: list[dict]
    size: int = CROP

    def mean(self, measure: str, speaker: str | None = None, variant: str = "generated") -> float:
        """Mean of a measure over the clips (of one speaker) that have it; nan where none has."""
        return self._mean(measure, variant, lambda clip: speaker in (None, clip.speaker))

    def _mean(self, measure: str, variant: str, chosen: Callable[[ClipScores], bool]) -> float:
        values = np.array([clip.scores[variant][measure] for clip in self.clips if chosen(clip)])
        values = values[np.isfinite(values)]
        return float(values.mean()) if len(values) else float("nan")

    def blind_to(self, measure: str) -> list[str]:
        """Which of BASELINES a measure does not tell from the true video on these clips: paired over the clips, their
        mean difference is within SURE standard errors. Empty where fewer than FEWEST_CLIPS clips have it."""

        def blind(variant: str) -> bool:
            pairs = [(c.scores["true"][measure], c.scores[variant][measure]) for c in self.clips]
            differences = np.array([a - b for a, b in pairs if np.isfinite(a) and np.isfinite(b)])
            if len(differences) < FEWEST_CLIPS:
                return False
            return bool(abs(differences.mean()) <= SURE * differences.std(ddof=1) / np.sqrt(len(differences)))

        return [variant for variant in BASELINES if blind(variant)]

    def groups(self) -> dict[str, Callable[[ClipScores], bool]]:
        """The columns of the second table: all clips, each speaker's, and those of each range of head yaw."""
        speakers = sorted({clip.speaker for clip in self.clips if clip.speaker})
        groups: dict[str, Callable[[ClipScores], bool]] = {"all": lambda clip: True}
        if 1 < len(speakers) <= MOST_SPEAKERS:
            groups |= {s: lambda clip, s=s: clip.speaker == s for s in speakers}
        for low, high in YAW_BINS:
            if any(low <= abs(clip.yaw) < high for clip in self.clips):
                groups[f"yaw {low}-{high}"] = lambda clip, low=low, high=high: low <= abs(clip.yaw) < high
        return groups

    def __str__(self) -> str:
        lines = [*_variants_table(self), "", *_groups_table(self), "", *_notes(self)]
        lines += [f"skipped {s['id']}: {s['reason']}" for s in self.skipped]
        return "\n".join([*lines, f"per clip: {self.folder / 'clips.csv'}; pictures: {self.folder / 'frames.png'}"])


def _cell(value: float) -> str:
    return f"{value:>11.3f}" if np.isfinite(value) else f"{'-':>11}"


def _variants_table(evaluation: Evaluation) -> list[str]:
    lines = [f"{'':18}" + "".join(f"{name:>11}" for name in VARIANTS) + "  blind to"]
    for measure in MEASURES:
        cells = "".join(_cell(evaluation.mean(measure, variant=variant)) for variant in VARIANTS)
        lines.append(f"{measure:18}{cells}  {' '.join(evaluation.blind_to(measure))}".rstrip())
    return lines


def _groups_table(evaluation: Evaluation) -> list[str]:
    """The generated clips' measures; after a correlation, by how much it exceeds the one with another's speech."""
    groups = evaluation.groups()
    lines = [f"{'generated':18}" + "".join(f"{name[:10]:>11}" for name in groups)]
    counts = [sum(chosen(clip) for clip in evaluation.clips) for chosen in groups.values()]
    lines.append(f"{'clips':18}" + "".join(f"{count:>11}" for count in counts))
    for measure in MEASURES:
        own = [evaluation._mean(measure, "generated", chosen) for chosen in groups.values()]
        lines.append(f"{measure:18}" + "".join(map(_cell, own)))
        if measure in ("correlation", "high_passed"):
            others = [evaluation._mean(measure, "another", chosen) for chosen in groups.values()]
            ratios = [a / b if b > 0 else float("nan") for a, b in zip(own, others, strict=True)]
            lines.append(f"{'  / another':18}" + "".join(map(_cell, ratios)))
    return lines


def _notes(evaluation: Evaluation) -> list[str]:
    notes = [f"judged at {evaluation.size} x {evaluation.size} pixels"]
    if len(evaluation.clips) >= FEWEST:
        for variant in ("generated", "true"):
            sync = group_sync(np.stack([clip.sync[variant] for clip in evaluation.clips]))
            way = "late" if sync.offset > 0 else "early"
            when = f"{counted(abs(sync.offset), 'frame')} {way}" if sync.offset else "as it is"
            notes.append(f"{variant}: mouth and loudness go best with the sound {when} ({sync.correlation:.2f})")
    if all(np.isnan(list(clip.scores["another"].values())).all() for clip in evaluation.clips):
        notes.append("another: not measured; it takes the speech of a second clip")
    if len(evaluation.clips) < FEWEST_CLIPS:
        notes.append(f"blind to: not known, {FEWEST_CLIPS} clips are needed")
    if np.isnan(evaluation.mean("lse_d")):
        notes.append("lse_d, lse_c: not measured; they need the authors' SyncNet (`syncnet=syncnet_v2.model`)")
    return notes


def write_table(evaluation: Evaluation) -> None:
    """table.txt: the table, and what its rows and columns mean."""
    meanings = [f"{name:18}{what}" for name, what in (MEASURES | VARIANTS).items()]
    text = "\n".join([str(evaluation), "", *meanings, ""])
    with written_whole(evaluation.folder / "table.txt") as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")  # file names need not be text


def write_csv(evaluation: Evaluation) -> None:
    """clips.csv: a line for every clip and variant."""
    with (
        written_whole(evaluation.folder / "clips.csv") as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, ["id", "speaker", "frames", "yaw", "variant", *MEASURES])
        writer.writeheader()
        for clip in evaluation.clips:
            for variant, scores in clip.scores.items():
                about = {"id": clip.id, "speaker": clip.speaker, "frames": clip.frames, "yaw": f"{clip.yaw:.1f}"}
                writer.writerow(about | {"variant": variant} | {m: f"{scores[m]:.6g}" for m in MEASURES})
