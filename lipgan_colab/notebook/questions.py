"""What `05_ablate` asks by a menu: each question as a study, and the pictures of its answer."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from lipgan_colab.corpora.corpus import draw_number, film_of, folder
from lipgan_colab.corpora.subset import subset
from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.ablation import Ablation
from lipgan_colab.evaluation.study_material import NOBODY
from lipgan_colab.files import written_whole
from lipgan_colab.models.lipgan import BLOCKS
from lipgan_colab.notebook.cells import grouping
from lipgan_colab.shards.dataset import LipSyncDataset
from lipgan_colab.training.step import quick_try
from lipgan_colab.workspace import Workspace

PLAIN = {"lip_weight": 1.0, "edge_weight": 0.0, "references": "any"}  # the base of all questions
CONTRASTIVE, QUALITY = {"adversarial": True}, {"quality_weight": 0.01}
# What can be asked by a menu: the question in full, and the arms' fields.
QUESTIONS: dict[str, tuple[str, dict[str, dict[str, object]]]] = {
    "lips": ("Does it help to weight the lips?", {f"lips-{n}": {"lip_weight": float(n)} for n in (2, 6, 12)}),
    "edges": ("Does it help to weight the edges?", {"edges": {"edge_weight": 1.0}}),
    "discriminators": (
        "Do discriminators help: for the sync, for the picture, both?",
        {"contrastive": CONTRASTIVE, "quality": QUALITY, "both": CONTRASTIVE | QUALITY},
    ),
    "references": ("Do informative references help?", {"informative": {"references": "informative"}}),
    "augmentation": ("Does it help to vary the samples?", {"as-they-are": {"augment": 0.0}}),
    "sync expert": ("Does a sync expert in the loss help?", {"sync": {"sync_weight": 0.03}}),
    "blocks": ("Do other blocks help?", {name: {"blocks": name} for name in BLOCKS if name != "residual"}),
}
# A study that takes some minutes: small networks, which learn as in step.quick_try.
QUICK_LIKE = ("batch_size", "blocks", "learning_rate", "warmup", "ema")
QUICK_BASE = {"width": 0.1, **{name: getattr(quick_try(), name) for name in QUICK_LIKE}}
QUICK = {"clips": 4, "budget": {"samples": 480}, "seeds": 2}
STUDIES = "studies"  # in a workspace: a folder a study


def write_study(
    workspace: Workspace,
    question: str,
    shards: str | Path,
    videos: str | Path,
    *,
    clips: int,
    budget: Mapping[str, float],
    seeds: int,
    sync_expert: Path | None = None,
    base: Mapping[str, object] = MappingProxyType({}),
    quick: bool = False,
) -> Path:
    """A study's file (see evaluation.study) that asks a question of the menu, in the workspace's folder of studies.

    Args:
        question: one of QUESTIONS.
        shards: their folder.
        videos: clips to judge by. Of people who are also in the shards a quarter, by lot, is held out to be judged by.
        clips: take at most so many.
        budget: samples, steps or seconds, and how many.
        seeds: with how many each arm is trained.
        sync_expert: for the question of it.
        base: fields of TrainConfig that all arms have.
        quick: a study that takes some minutes, whatever was said of what QUICK has: to see how it goes.

    Raises:
        InputError: there is no such question, or nobody to judge by.
    """
    if question not in QUESTIONS:
        raise InputError(f"there is no question {question!r}; choose one of {', '.join(QUESTIONS)}")
    if seeds < 1:
        raise InputError(f"`seeds` {seeds}: train each at least once")
    title, arms = QUESTIONS[question]
    if quick:
        clips, budget, seeds = (QUICK[name] for name in ("clips", "budget", "seeds"))
        asked = {name for arm in arms.values() for name in arm}  # by which the arms differ from the usual
        base = {name: value for name, value in QUICK_BASE.items() if name not in asked}
    ids, held_out = _to_judge_by(shards, videos, clips)
    kind, amount = next(iter(budget.items()))
    study = {"title": title, "shards": os.path.abspath(shards), "videos": os.path.abspath(videos)}
    study |= {"clips": ids, "held_out": held_out, "seeds": list(range(seeds))}
    if any("sync_weight" in arm for arm in arms.values()):
        if sync_expert is None:
            raise InputError("`sync_expert`: is missing; name a run of train-expert, which is not the one that judges")
        study["sync_expert"] = os.path.abspath(sync_expert)
    tables = {"budget": {kind: amount if kind == "seconds" else int(amount)}, "base": PLAIN | dict(base)}
    tables |= {f"arms.{name}": arm for name, arm in arms.items()}
    text = [*_lines(study), *(line for name, table in tables.items() for line in ("", f"[{name}]", *_lines(table)))]
    path = workspace.root / STUDIES / f"{question.replace(' ', '_')}{'_quick_try' if quick else ''}.toml"
    with written_whole(path) as unfinished:
        unfinished.write_text("\n".join([*text, ""]), encoding="utf-8")
    return path


def _lines(table: Mapping[str, object]) -> list[str]:
    """A table's values as TOML, which writes these as JSON does."""
    return [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in table.items()]


def _to_judge_by(shards: str | Path, videos: str | Path, count: int) -> tuple[list[str], list[str]]:
    """The ids of at most so many clips, and whom of the shards' people not to learn from, to judge by them."""
    there, learnt = folder(videos), {clip["id"]: clip["speaker"] for clip in LipSyncDataset(shards).clips}
    known = {u.speaker for u in there} & set(learnt.values()) - {*NOBODY}
    films, people = {film_of(clip) for clip in learnt}, set(learnt.values()) - {*NOBODY}
    strangers = [u for u in there if u.speaker not in known and film_of(u.id) not in films]
    if strangers or not known:
        chosen, held_out = strangers, []
    elif len(people) < 2:
        raise InputError(f"{shards}: holds {min(people)} alone, who is also to be judged; preprocess more people")
    else:
        held_out = sorted(known, key=lambda speaker: draw_number(0, speaker))[: max(1, len(people) // 4)]
        chosen = [u for u in there if u.speaker in held_out]
    if not chosen:
        raise InputError(f"{videos}: no clip to judge by that is not learnt from; hold some back in 01_preprocess")
    return [u.id for u in subset(chosen, utterances=min(count, len(chosen)), balance=grouping(chosen))], held_out


def pictures_of(found: Ablation) -> list[Path]:
    """The pictures of a study's page, as far as there are any yet."""
    names = ("measures.png", "frames.jpg", "curves.png")
    return [path for name in names if found.page and (path := found.folder / name).is_file()]
