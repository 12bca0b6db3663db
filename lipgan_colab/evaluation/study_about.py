"""How a study was asked, and what it found in short, in lines of plain text."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from lipgan_colab.errors import counted
from lipgan_colab.evaluation.comparison import CANNOT_TELL, Difference, verdict
from lipgan_colab.evaluation.study_material import NOBODY, Material, learnt_clips
from lipgan_colab.evaluation.study_runs import StudyRun
from lipgan_colab.training.runs import LOG, read_log


def about(material: Material, runs: Collection[StudyRun]) -> list[str]:
    """How it was asked: a line each for who is learnt from, who judges, what each arm changes, and how long.

    Args:
        material: what the runs share.
        runs: all arms' with all seeds, without the shared beginnings.
    """
    study = material.study
    speakers = len({clip.speaker for clip in material.clips} - set(NOBODY))
    of = f"of {counted(speakers, 'speaker')}, whom" if speakers else "(who speaks is not known), which"
    steps = {run.arm: run.config.steps for run in runs}
    lines = [
        f"Learnt from: {counted(len(learnt_clips(study, material.dataset)), 'clip')} of {study.shards.name}",
        f"Judged by: {counted(len(material.clips), 'clip')} {of} no arm has learnt from",
        f"Base: {_told_fields(study.base)}",
        *(f"{name}: {_told_fields(changes)}" for name, changes in study.arms.items()),
        f"Budget: {study.amount:g} {study.budget} for every run{_told_steps(study.budget, steps)}",
    ]
    if study.start is not None:
        lines.append(f"Every run starts from one of its seed that was trained so: {_told_fields(study.start)}")
    if study.start_from is not None:
        lines.append(f"Every run starts from {Path(study.start_from).name}")
    return lines + _told_sync(runs)


def _told_fields(fields: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in fields.items()) or "as usual"


def _told_steps(budget: str, steps: Mapping[str, int]) -> str:
    """What a budget of something else comes to in steps."""
    if budget == "steps":
        return ""
    told = ", ".join(f"{name} {count}" for name, count in steps.items())
    timed = ", by what a step of each took when it was timed (measuring and saving come on top)"
    return f"; in steps: {told}{timed if budget == 'seconds' else ''}"


def _told_sync(runs: Collection[StudyRun]) -> list[str]:
    """From when the expert's verdict counted: until then such an arm is trained as one without."""
    seeds: dict[tuple[str, str], list[int]] = {}
    for run in runs:
        log = read_log(run.folder / LOG) if run.config.sync_weight else []
        if log:
            since = next((line["step"] for line in log if float(line.get("sync_counts") or 0)), None)
            when = f"counted from step {since} on" if since else "has not counted"
            seeds.setdefault((run.arm, when), []).append(run.seed)
    return [
        f"{arm}, seed {', '.join(map(str, some))}: the sync expert's verdict {when} (from a measurement on; before, "
        "the run is as without it)"
        for (arm, when), some in seeds.items()
    ]


def in_short(found: Sequence[Difference]) -> list[str]:
    """A line an arm: by what it is more than chance away from the base."""
    lines = []
    for arm in dict.fromkeys(difference.arm for difference in found):
        own = [d for d in found if d.arm == arm]
        told = [f"{verdict(d)} {d.measure} {d.difference:+.3g} [{d.low:.3g}, {d.high:.3g}]" for d in own if d.told]
        left = [d.measure for d in own if not d.told]
        rest = [f"{CANNOT_TELL}: {', '.join(left) if told else 'all'}"] if left else []
        lines.append(f"{arm}: {'; '.join(told + rest)}")
    return lines
