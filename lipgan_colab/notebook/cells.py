"""What only the notebooks need: a corpus as a form names it, what is trained, one clip that speaks."""

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lipgan_colab.corpora.corpus import Utterance, film_of, folder, grid, lrs2, only
from lipgan_colab.corpora.fetch import fetch_grid, fetch_lrs2
from lipgan_colab.corpora.lists import names_in
from lipgan_colab.corpora.subset import measured, read_ids, subset, write_ids
from lipgan_colab.device import pick_device
from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.evaluate import MEASURES, Evaluation
from lipgan_colab.files import fitting, written_whole
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.models.generators import TrainedGenerator
from lipgan_colab.models.weights import load_generator
from lipgan_colab.notebook.names import find_weights
from lipgan_colab.synthetic.clips import draw_corpus
from lipgan_colab.training.runs import exported_step, read_config
from lipgan_colab.training.step import TrainConfig, quick_try
from lipgan_colab.training.train import train
from lipgan_colab.training.train_motion import train_motion
from lipgan_colab.workspace import Workspace

CORPORA = ("tiny sample", "GRID", "LRS2", "my own folder")
SAMPLE_CLIPS = 8
# What can be trained.
QUICK, MOTION, LIPGAN = KINDS = ("quick try: 2 minutes", "motion: minutes, any face", "LipGAN: hours on a GPU")
PREVIEW_EVERY = 200  # steps
LRS2_CLIPS_PER_HOUR = 1600  # of the training list; their lengths are not known before they are unpacked
LIPGAN_STARTER = "lipgan-starter"  # of the published weights
HELD_BACK = "held_back.txt"


def get_corpus(
    workspace: Workspace,
    corpus: str,
    *,
    hours: float = 0,
    seed: int = 0,
    speakers: str = "",
    parts: str = "",
    split: str = "train",
    videos: str | Path = "",
) -> list[Utterance]:
    """The clips of a corpus, on this machine's own disk; what is there is not fetched again.

    Args:
        corpus: one of `CORPORA`. The tiny sample is drawn, and needs neither data nor network.
        hours, seed: of LRS2 about so many hours are drawn by programme, and only they are unpacked; 0 takes all.
        speakers: of GRID, with spaces between: "s1 s2".
        parts: of LRS2: the folder of the part files and lists; or paths, addresses or links with spaces between, the
            lists then lying in workspace.raw/lrs2.
        split: of LRS2.
        videos: your own folder.

    Raises:
        InputError: the corpus cannot be had; the message says why.
    """
    raw = workspace.local / "raw"  # many small files: Drive does not bear them
    if corpus == "tiny sample":
        return _sample(raw / "tiny_sample")
    if corpus == "GRID":
        return grid(fetch_grid(raw / "grid", speakers.split()), speakers.split())
    if corpus == "LRS2":
        return _lrs2(raw / "lrs2", workspace.raw / "lrs2", parts, split, hours, seed)
    if corpus == "my own folder":
        if not str(videos):
            raise InputError("my own folder: its path is missing; fill it in above")
        return folder(videos)
    raise InputError(f"there is no corpus {corpus!r}; choose one of {', '.join(CORPORA)}")


def _sample(root: Path) -> list[Utterance]:
    if len(list(root.glob("*.mp4"))) < SAMPLE_CLIPS:
        draw_corpus(root, clips=SAMPLE_CLIPS, identities=2, seconds=2.0)
    return folder(root, licence="drawn by lipgan_colab")


def _lrs2(root: Path, lists: Path, parts: str, split: str, hours: float, seed: int) -> list[Utterance]:
    if not parts.strip():
        raise InputError("LRS2: where its part files lie is missing; fill it in above")
    sources = names_in(parts, os.path.exists)
    for path in [*lists.glob("*.txt"), *(p for s in sources if os.path.isdir(s) for p in Path(s).glob("*.txt"))]:
        with written_whole(root / "filelists" / path.name) as unfinished:
            shutil.copyfile(path, unfinished)
    listed = lrs2(root, split, unpacked=False)
    count = min(len(listed), round(hours * LRS2_CLIPS_PER_HOUR)) if hours else len(listed)
    ids = [u.id for u in subset(listed, utterances=count, seed=seed, balance="programme")]
    fetch_lrs2(sources[0] if len(sources) == 1 else sources, root, split, ids)
    return only(lrs2(root, split), ids)


def hold_back(
    corpus: Sequence[Utterance], count: int, place: str | Path, seed: int = 0
) -> tuple[list[Utterance], list[Utterance]]:
    """Keep clips away from training, to judge it by, and copy them to a folder that lasts.

    Which they are is written there once: a clip that was held back stays so, whatever is added to the corpus.

    Args:
        corpus: all clips.
        count: how many to hold back; never more than a quarter of them.
        place: the folder; `folder(place)` lists the clips again.

    Returns:
        (held back, the others).
    """
    place = Path(place)
    if (place / HELD_BACK).is_file():
        ids = set(read_ids(place / HELD_BACK))  # some may be gone from the corpus
        films = {film_of(i) for i in ids}
        held = [u for u in corpus if u.id in ids | films or film_of(u.id) in ids]
    else:
        count = min(count, len(corpus) // 4)
        held = subset(corpus, utterances=count, seed=seed, balance=grouping(corpus)) if count > 0 else []
    for u in held:
        target = place / Path(u.id).with_suffix(u.path.suffix)
        if not target.exists():
            with written_whole(target) as unfinished:
                shutil.copyfile(u.path, unfinished)
    if held and not (place / HELD_BACK).exists():
        write_ids(place / HELD_BACK, held)
    chosen = {u.id for u in held}
    return held, [u for u in corpus if u.id not in chosen]


def draw(corpus: Sequence[Utterance], hours: float = 0, seed: int = 0, balance: bool = True) -> list[Utterance]:
    """At most so many hours of a corpus, 0 for all, in the order of the lot: more hours begin with the same clips.

    Args:
        balance: take clips of each speaker (or programme) in turn.
    """
    known = measured(corpus)
    there = sum(u.duration for u in known) / 3600
    return subset(
        known, hours=hours if 0 < hours < there else None, seed=seed, balance=grouping(known) if balance else None
    )


def grouping(corpus: Sequence[Utterance]) -> str | None:
    """By what a corpus can be balanced."""
    return next((group for group in ("speaker", "programme") if any(getattr(u, group) for u in corpus)), None)


def run_config(run: str | Path, start_from: Path | None, **form: object) -> TrainConfig:
    """What a form says of a run of LipGAN, and what it does not ask: from the weights that the run begins with, which
    say how wide a network is and what it is made of, or else from how the run was begun.

    Args:
        run: its folder, which need not be there yet.
        start_from: weights.
        form: fields of TrainConfig.
    """
    config, begun = TrainConfig(**form), read_config(Path(run)) or {}
    if start_from is not None:
        weights = load_generator(start_from)
        if isinstance(weights, TrainedGenerator):  # of others `train` says that they do not fit
            own = weights.config
            return replace(
                config, width=own.width, most_channels=own.most_channels, blocks=own.blocks, speech=own.speech
            )
    return replace(config, **{name: begun[name] for name in ("most_channels", "speech") if name in begun})


def train_chosen(
    what: str,
    shards: str | Path,
    run: str | Path,
    config: TrainConfig,
    *,
    save_minutes: float,
    take_over: bool,
    **of_lipgan: object,
) -> Path:
    """Train what was chosen; returns the path of its weights.

    Args:
        what: one of `KINDS`.
        shards, run, save_minutes, take_over: of any kind.
        config, of_lipgan: what else `train` takes, where that is what was chosen.

    Raises:
        InputError: there is no such kind, or it cannot be trained; the message says why.
    """
    alike = {"save_minutes": save_minutes, "take_over": take_over}
    if what == MOTION:
        return train_motion(shards, run, **alike)
    if what == QUICK:
        return train(shards, run, quick_try(), device=pick_device(), watched=True, **alike)
    if what == LIPGAN:
        return train(shards, run, config, preview_every=PREVIEW_EVERY, watched=True, **alike, **of_lipgan)
    raise InputError(f"there is no kind {what!r}; choose one of {', '.join(KINDS)}")


def speaking(held_back: str | Path, weights: str | Path, out: str | Path) -> Path | None:
    """A clip that was held back speaks what another says: how good a run is by now. None where no clip was held back.

    Args:
        held_back: their folder.
        weights: of the run.
        out: the video.
    """
    if not Path(held_back).is_dir():
        return None
    clips = folder(held_back)
    # No pauses are looked for: nothing takes the drawn person's voice for speech.
    generate(clips[0].path, clips[-1].path, str(weights), out, GenerateOptions(pauses="off"))
    return Path(out)


def find_start(workspace: Workspace, name: str) -> Path | None:
    """What a form says that a run of LipGAN begins with: as `find_weights`, None where nothing is said. The starter is
    then the one of its kind."""
    name = name.strip()
    if not name:
        return None
    return Path(LIPGAN_STARTER) if name == "starter" else find_weights(workspace, name)


def export(generator: str | Path, run_name: str, results: str | Path) -> Path:
    """Copy a run's exported generator to RUN-step-N.safetensors in a folder, where later training leaves it alone."""
    target = fitting(Path(results, f"{run_name}.safetensors"), f"-step-{exported_step(Path(generator))}")
    if not target.exists():
        with written_whole(target) as unfinished:
            shutil.copyfile(generator, unfinished)
    return target


def some_clips(place: str | Path, count: int) -> list[str]:
    """The ids of at most so many clips of a folder, of each speaker in turn."""
    there = folder(place)
    return [u.id for u in subset(there, utterances=min(count, len(there)), balance="speaker")]


def side_by_side(judged: Mapping[str, Evaluation]) -> str:
    """The means of every measure: of the true videos, of a still picture, and of each run (named by the keys)."""
    first = next(iter(judged.values()))
    columns = {"true": (first, "true"), "still": (first, "still")}
    columns |= {name: (evaluation, "generated") for name, evaluation in judged.items()}
    width = max(12, *(len(name) + 2 for name in columns))
    lines = [f"{'':18}" + "".join(f"{name:>{width}}" for name in columns)]
    for measure in MEASURES:
        means = [evaluation.mean(measure, variant=variant) for evaluation, variant in columns.values()]
        cells = [f"{mean:.3f}" if math.isfinite(mean) else "-" for mean in means]
        lines.append(f"{measure:18}" + "".join(f"{cell:>{width}}" for cell in cells))
    return "\n".join(lines)
