"""Corpus to shards: what film_clips makes of every film, a few hundred films a file."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm.auto import tqdm

from lipgan_colab.corpora.corpus import Utterance
from lipgan_colab.errors import InputError, check_range, counted, lasting
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.model_file import finder_name
from lipgan_colab.files import check_place, clear_abandoned
from lipgan_colab.shards.film_clips import PreprocessConfig, film_clips, skipped
from lipgan_colab.shards.manifest import MANIFEST, shard_paths, write_manifest
from lipgan_colab.shards.provenance import check_made_alike
from lipgan_colab.shards.shard_writer import Kept, ShardWriter, keep, keep_part
from lipgan_colab.shards.workers import MOST_WORKERS, Lost, as_done, core_count
from lipgan_colab.speech.sync import group_sync
from lipgan_colab.workspace import local_folder

LIMIT_PER_MB = 60.0  # seconds more for a clip that may hang: enough for a weak machine and 100 kbit/s


def _make_clips(film: tuple[Utterance, Path], finder: FaceFinder, config: PreprocessConfig, settings: dict) -> Kept:
    """Make what can be made of a film, and keep it in a file. What is read stays here, for it can be gigabytes."""
    utterance, path = film
    with _disk_errors(path):
        return keep(path, film_clips(utterance, finder, config), settings)


def _open_finder() -> FaceFinder:
    cv2.setNumThreads(1)  # the processes already share the cores
    return FaceFinder()


def preprocess(
    utterances: Sequence[Utterance],
    out: str | Path,
    config: PreprocessConfig = PreprocessConfig(),  # noqa: B008 (it is frozen)
    workers: int | None = None,
    timeout: float = 300.0,
    rank: int | None = None,
    world_size: int | None = None,
    scratch: str | Path | None = None,
) -> dict:
    """Make the shards of a corpus; run again, it goes on after the last film that was done.

    A film that cuts becomes several clips, clip.mp4#1 and so on: see film_clips.film_clips.

    More clips may be appended later (a bigger subset begins with the smaller one): whole shards stay, and what is done
    of the last one is used. That holds for shards of older formats too: they stay as they are, and new ones come beside
    them. A last one that is continued still lacks mesh and voice then (see Shard.check_mesh).

    Args:
        utterances: the clips, in an order that is the same every time and on every machine.
        out: the folder of the shards.
        config: sizes and thresholds.
        workers: processes; None takes one a core, 0 none but this one, in which a clip that hangs cannot be ended.
        timeout: seconds that a clip may take, and as many minutes more as its file has MB; one that hangs is skipped.
        rank: which of several machines this is, from 0; each makes its own part of the shards. None takes what torchrun
            sets (RANK), or 0.
        world_size: how many machines share the work. None takes what torchrun sets (WORLD_SIZE), or 1.
        scratch: a fast disk, where shards are made before they are moved to `out`, and where what is done of a shard
            waits in a folder .unfinished. None takes Colab's own disk if `out` is on its Drive, and `out` if not.

    Returns:
        The manifest (see manifest.write_manifest): what was kept, and what was skipped for which reason.

    Raises:
        InputError: the folder cannot be written to, or holds shards that were made of other clips or in another way,
            or nothing could be used.
    """
    check_range("workers", workers, 0, MOST_WORKERS)
    if not timeout > 0:
        raise InputError(f"`timeout` {timeout}: it must be more than 0 seconds")
    out = Path(out)
    if scratch is None and local_folder(out) != Path(os.path.abspath(out)):
        scratch = local_folder(out)
    rank, world_size = place_among(rank, world_size)
    for folder in (out, Path(scratch or out)):
        check_place(folder / MANIFEST)
    clear_abandoned(out)
    step = config.utterances_per_shard
    slices = [utterances[start : start + step] for start in range(0, len(utterances), step)]
    paths = [out / f"shard-{k:05d}.safetensors" for k in range(len(slices))]
    others = set(shard_paths(out)) - set(paths)
    if others:
        raise InputError(f"{min(others)}: not of this corpus; choose another folder for the shards")
    settings = asdict(config) | {"finder": finder_name()}
    alike: set[Path] = set()

    def check() -> None:
        """Also what other machines have added meanwhile."""
        there = [path for path in shard_paths(out) if path not in alike]
        check_made_alike(there, settings)
        alike.update(there)

    check()
    shards = [ShardWriter(*pair, settings, scratch) for pair in zip(paths, slices, strict=True)][rank::world_size]
    digests = _make([shard for shard in shards if not shard.is_done()], config, workers, timeout, check)
    check()
    manifest = write_manifest(out, digests)
    if not manifest["frames"] and len(manifest["shards"]) == len(paths):
        reasons = "; ".join(f"{s['id']}: {s['reason']}" for s in manifest["skipped"][:3])
        raise InputError(f"{out}: none of the {counted(len(utterances), 'clip')} could be used ({reasons})")
    return manifest


def place_among(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Which of how many machines this is: as given, or else what torchrun sets, or the only one."""
    rank = int(os.environ.get("RANK", 0)) if rank is None else rank
    world_size = int(os.environ.get("WORLD_SIZE", 1)) if world_size is None else world_size
    if not 0 <= rank < world_size:
        raise InputError(f"`rank` {rank} of {counted(world_size, 'machine')} does not exist; count from 0")
    return rank, world_size


def _make(
    shards: list[ShardWriter], config: PreprocessConfig, workers: int | None, timeout: float, check: Callable[[], None]
) -> dict[str, str]:
    """Make these shards; their SHA-256 by name. `check` is called before one is written."""
    todo = [(shard, place) for shard in shards for place in shard.lacking()]
    lacking = Counter(shard.path for shard, _ in todo)
    films = [(shard.utterances[place], shard.file(place)) for shard, place in todo]
    workers = core_count() if workers is None else workers
    settings = shards[0].settings if shards else {}
    work, limit = partial(_make_clips, config=config, settings=settings), partial(_time_limit, timeout=timeout)
    written: dict[str, Future] = {}

    def finish(shard: ShardWriter) -> str:
        with _disk_errors(shard.path):
            check()
            return shard.finish()

    with (
        ExitStack() as last,
        _Progress(len(films), config.fps) as progress,
        closing(as_done(work, films, workers, _open_finder, limit)) as results,
    ):
        writing = ThreadPoolExecutor(1)  # Drive is slow, and who preprocesses shall not wait for it
        last.callback(writing.shutdown, cancel_futures=True)
        written |= {shard.path.name: writing.submit(finish, shard) for shard in shards if not lacking[shard.path]}
        for at, result in results:
            shard, _ = todo[at]
            if isinstance(result, Lost):
                with _disk_errors(shard.path):
                    result = keep_part(films[at][1], _lost(films[at], result, limit), settings)
            progress.count(result)
            lacking[shard.path] -= 1
            if not lacking[shard.path]:
                written[shard.path.name] = writing.submit(finish, shard)
                progress.judge_sync()
            for done in written.values():
                if done.done():
                    done.result()  # or what went wrong with it
        return {name: done.result() for name, done in written.items()}


def _time_limit(film: tuple[Utterance, Path], timeout: float) -> float:
    """Seconds that a film may take; generous, for it is there to end what hangs."""
    try:
        return timeout + LIMIT_PER_MB * os.stat(film[0].path).st_size / 1e6
    except OSError:
        return timeout  # what is wrong with it is said where it is read


def _lost(film: tuple[Utterance, Path], lost: Lost, limit: Callable[[tuple[Utterance, Path]], float]) -> dict:
    if lost is Lost.CRASHED:
        return skipped(film[0], "crash", "ended the process that read it, twice")
    return skipped(film[0], "hangs", f"took longer than {limit(film):.0f} s; give it a longer `timeout`")


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Say in one line what the disk did not take."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{error.filename or path}: cannot be written ({error.strerror}); make room or see to the disk, and "
            "run again: what is done is kept"
        ) from error


class _Progress:
    """A line that lives: clips that were given, time left, frames a second, hours done, how many skipped."""

    def __init__(self, films: int, fps: int):
        self.fps, self.frames, self.skipped, self.curves = fps, 0, 0, []
        self.started, self.warned = time.monotonic(), False
        self.bar = tqdm(total=films, unit="clip", desc="preprocess")

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *exception) -> None:
        self.bar.close()

    def count(self, kept: Kept) -> None:
        self.skipped += kept.skipped
        self.frames += kept.frames
        self.curves += kept.curves
        rate = self.frames / max(time.monotonic() - self.started, 1e-3)
        done = lasting(self.frames / self.fps)
        self.bar.set_postfix_str(f"{rate:.0f} frames/s, {done} done, {self.skipped} skipped", refresh=False)
        self.bar.update()

    def judge_sync(self) -> None:
        """Say once, and early, that this corpus' sound is not where it should be."""
        group = group_sync(np.array(self.curves).reshape(len(self.curves), -1)) if self.curves else None
        if group and group.verdict in ("shifted", "no match") and not self.warned:
            self.warned = True
            self.bar.write(f"preprocess: {group}")
