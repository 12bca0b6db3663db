"""What a study works with; and that nobody is judged by whom he has learnt from, nor by whom he is to please."""

from dataclasses import dataclass
from pathlib import Path

import torch

from lipgan_colab.corpora.corpus import Utterance, film_of, folder
from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.evaluate import chosen_clips
from lipgan_colab.evaluation.study import Study, arms_of, table_of
from lipgan_colab.evaluation.syncnet import SyncNet, load_syncnet
from lipgan_colab.models.expert import fingerprint
from lipgan_colab.models.interface import Generator
from lipgan_colab.models.wav2lip import SyncExpert
from lipgan_colab.models.weights import SYNC_EXPERT, load_expert, load_generator
from lipgan_colab.shards.dataset import LipSyncDataset
from lipgan_colab.training.step import check_start, generator_config
from lipgan_colab.training.train import check_fits

NOBODY = ("", ".")  # how a clip's speaker is called where that is not known


@dataclass(frozen=True)
class Material:
    """What all runs of a study share.

    Attributes:
        study: what is asked.
        out: folder of all that comes of it.
        device: that trains and judges.
        dataset: the shards, without those who are held out.
        clips: to judge by.
        expert: who judges, and judge: by which fingerprint it is known.
        pleased: the expert whom the arms please that have a sync_weight; None where there is none.
        syncnet: the authors' SyncNet, which judges as well; None where there is none.
    """

    study: Study
    out: Path
    device: torch.device
    dataset: LipSyncDataset
    clips: list[Utterance]
    expert: SyncExpert
    judge: str
    pleased: SyncExpert | None
    syncnet: SyncNet | None


def gather(study: Study, out: Path, device: torch.device) -> Material:
    """Read what a study names.

    Raises:
        InputError: something is not there, or cannot be read; an arm cannot be trained so; or a run would be judged by
            whom it learns from, or by the expert that it is trained to please. The message names the study's file.
    """
    try:
        return _gathered(study, out, device)
    except InputError as error:
        line = str(error)
        raise InputError(line if line.startswith(str(study.path)) else f"{study.path}: {line}") from error


def _gathered(study: Study, out: Path, device: torch.device) -> Material:
    _check_held_out(study, LipSyncDataset(study.shards))
    dataset = LipSyncDataset(study.shards, held_out=",".join(study.held_out) or "none")
    clips = _judged_clips(study)
    _check_strangers(study, clips, learnt_clips(study, dataset))
    expert = load_expert(study.expert, device)
    judge = fingerprint(expert)
    weights = None if study.start_from is None else load_generator(study.start_from)
    _check_arms(study, dataset, weights)
    pleased = _pleased_expert(study, judge, weights, device)
    syncnet = None if study.syncnet is None else load_syncnet(study.syncnet, device)
    return Material(study, out, device, dataset, clips, expert, judge, pleased, syncnet)


def learnt_clips(study: Study, dataset: LipSyncDataset) -> list[dict]:
    """The clips of the shards that the arms learn from."""
    return [clip for clip in dataset.clips if clip["speaker"] not in study.held_out]


def _check_held_out(study: Study, dataset: LipSyncDataset) -> None:
    """InputError where one who is to be held out is not there: it may be a slip of the pen."""
    there = {clip["speaker"] for clip in dataset.clips}
    missing = next((speaker for speaker in study.held_out if speaker not in there), None)
    if missing is not None:
        known = ", ".join(sorted(there)[:20])
        raise InputError(f"{study.path}: held_out: {study.shards} has no {missing!r}; it has {known}")
    if there <= set(study.held_out):
        raise InputError(f"{study.path}: held_out: these are all speakers of {study.shards}; leave some to learn from")


def _check_arms(study: Study, dataset: LipSyncDataset, weights: Generator | None) -> None:
    """InputError where a run cannot be trained on the shards, or not with what it is to start from."""
    for name, config in arms_of(study, start=True).items():
        try:
            check_fits(config, dataset)
            if weights is not None:
                check_start(weights, generator_config(config), study.start_from)
        except InputError as error:
            raise InputError(f"{study.path}: {table_of(name)}: {error}") from error


def _judged_clips(study: Study) -> list[Utterance]:
    there = folder(study.videos)
    return there if study.clips is None else chosen_clips(there, study.clips, str(study.videos))


def _check_strangers(study: Study, clips: list[Utterance], learnt: list[dict]) -> None:
    """InputError where an arm would be judged by whom it has learnt from."""
    speakers, films = {clip["speaker"] for clip in learnt}, {film_of(clip["id"]) for clip in learnt}
    for clip in clips:
        if clip.speaker not in NOBODY and clip.speaker in speakers:
            raise InputError(
                f"{study.path}: {clip.id} is to judge, and the arms learn from {clip.speaker}; add "
                "the speaker to held_out, or leave the clip out (clips)"
            )
        if film_of(clip.id) in films and clip.speaker not in study.held_out:
            raise InputError(
                f"{study.path}: {clip.id} is to judge, and the arms learn from a clip of that name; judge by "
                "others (clips), or preprocess without it"
            )


def _pleased_expert(study: Study, judge: str, weights: Generator | None, device: torch.device) -> SyncExpert | None:
    """Whom the arms please; InputError where that, or what they start from, has to do with the judge."""
    expert = None
    if study.sync_expert is not None:
        expert = load_expert(study.sync_expert, device).requires_grad_(False)
        if fingerprint(expert) == judge:
            raise InputError(
                f"{study.path}: sync_expert: is the one that judges, and nobody marks his own work; give "
                "another, or another expert to judge"
            )
    if judge in getattr(weights, "about", {}).get(SYNC_EXPERT, []):
        raise InputError(f"{study.path}: start_from: was trained to please the expert that judges; give another expert")
    return expert
