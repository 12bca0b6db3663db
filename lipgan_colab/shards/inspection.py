"""Shards shown to a person: numbers that tell whether they are fit to train on, and a sheet of faces."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lipgan_colab.errors import InputError, counted, lasting
from lipgan_colab.files import written_whole
from lipgan_colab.shards.manifest import needed_shards, sync_by_group
from lipgan_colab.shards.shard_file import Shard, fingerprint_of, has_mesh, opened_shard, read_metadata
from lipgan_colab.speech.sync import GroupSync

SHOWN = 12  # speakers in the table
COLUMNS, ROWS = 12, 8  # faces on the sheet
FACE = 96  # pixels of each


def describe(folder: str | Path) -> str:
    """What the shards of a folder hold: how much, of whom, how large and how turned the faces are, what was skipped.

    Raises:
        InputError: no shard is there, or one is damaged.
    """
    paths = needed_shards(folder)
    metadata = [read_metadata(path) for path in paths]
    clips = [clip for m in metadata for clip in m["utterances"]]
    skipped = [clip for m in metadata for clip in m["skipped"]]
    settings = metadata[0]["settings"]
    frames, found, box, pose = (_gathered(paths, n) for n in ("utterance_frames", "found", "box", "head_pose"))
    hour = 3600 * settings.get("fps", 25)
    size, shards = sum(path.stat().st_size for path in paths), counted(len(paths), "shard")
    lines = [
        f"{folder}: {shards}, {size / 1e6:.0f} MB, {counted(len(clips), 'clip')}, "
        f"{counted(frames.sum(), 'frame')}, "
        f"{lasting(3600 * frames.sum() / hour)} of video, {len(skipped)} skipped",
        f"made with {', '.join(f'{k} {v}' for k, v in settings.items() if not isinstance(v, dict))}",
        f"licences: {', '.join(sorted({clip['licence'] for clip in clips})) or 'none'}",
    ]
    if len(clips):
        seconds = frames / settings.get("fps", 25)
        lines += [
            f"{'':24}{'least':>9}{'quarter':>9}{'median':>9}{'quarter':>9}{'most':>9}",
            _quarters("seconds a clip", seconds),
            _quarters("face, pixels", (box[:, 2] - box[:, 0])[found]),
            _quarters("turned, degrees", np.abs(pose[:, 0])[found]),
            f"a face was found in {found.mean():.1%} of the frames",
        ]
        lines += _speakers(clips, frames, hour)
    old = sum(not has_mesh(m) for m in metadata)
    lines += [f"mesh and voice: {f'not in {old} of {shards}' if old else 'in all shards'}"]
    lines += [f"skipped {count}: {gate}" for gate, count in Counter(s.get("gate", "other") for s in skipped).items()]
    known_by = f"fingerprint of these clips (others have another): {fingerprint_of(metadata)}"
    return "\n".join([*lines, *_sync(sync_by_group(paths)), known_by])


def _gathered(paths: Sequence[Path], name: str) -> np.ndarray:
    parts = []
    for path in paths:
        with opened_shard(path) as (_, file):
            parts.append(file.get_tensor(name))
    return np.concatenate(parts)


def _quarters(name: str, values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    if not len(values):
        return f"{name:24}   not known"
    return f"{name:24}" + "".join(f"{value:>9.1f}" for value in np.percentile(values, range(0, 101, 25)))


def _speakers(clips: Sequence[dict], frames: np.ndarray, hour: float) -> list[str]:
    seen: Counter = Counter()
    for clip, count in zip(clips, frames, strict=True):
        seen[clip["speaker"]] += int(count)
    if set(seen) <= {"", "."}:
        return []  # nobody has a subfolder, so it is not known who is who
    lines = [f"{name or '(unknown)':24}{60 * count / hour:>8.1f} minutes" for name, count in seen.most_common(SHOWN)]
    return [*lines, *([f"… and {len(seen) - SHOWN} more"] if len(seen) > SHOWN else [])]


def _sync(groups: dict[str, GroupSync]) -> list[str]:
    """All clips, and the groups that are not as they should be."""
    return [
        f"lips and sound, {'all clips' if name == 'all' else name}: {group}"
        for name, group in groups.items()
        if name == "all" or group.verdict in ("shifted", "no match")
    ]


def contact_sheet(folder: str | Path, path: str | Path) -> None:
    """A picture (PNG or JPEG) of faces from all over the shards, the lips' landmarks marked on every second one.

    Raises:
        InputError: no shard is there, or one is damaged, or holds no clip.
    """
    shards = [Shard.open(p) for p in needed_shards(folder)]
    clips = [(shard, u) for shard in shards for u in range(len(shard.first_frame) - 1) if len(shard.seen(u))]
    if not clips:
        raise InputError(f"{folder}: no clip with a face in its shards; preprocess other videos")
    chosen = [clips[i] for i in np.linspace(0, len(clips) - 1, min(COLUMNS * ROWS, len(clips))).astype(int)]
    rows, columns = -(-len(chosen) // COLUMNS), min(COLUMNS, len(chosen))
    sheet = np.full((rows * FACE, columns * FACE, 3), 255, np.uint8)
    for place, (shard, utterance) in enumerate(chosen):
        row, column = divmod(place, COLUMNS)
        face = _face(shard, utterance, marked=place % 2 == 0)
        sheet[row * FACE : (row + 1) * FACE, column * FACE : (column + 1) * FACE] = face
    with written_whole(path) as unfinished:
        Image.fromarray(sheet).save(unfinished, "JPEG" if Path(path).suffix.lower() in (".jpg", ".jpeg") else "PNG")


def _face(shard: Shard, utterance: int, marked: bool) -> np.ndarray:
    """The face in the middle of a clip, uint8 (96, 96, 3)."""
    seen = shard.seen(utterance)
    frame = int(shard.first_frame[utterance] + seen[len(seen) // 2])
    face = np.ascontiguousarray(cv2.resize(shard.frame(frame), (FACE, FACE), interpolation=cv2.INTER_AREA))
    lips = shard.lips(frame, frame + 1)[0]
    if marked and np.isfinite(lips).all():
        for x, y in np.clip(lips * FACE, 0, FACE - 1).astype(int):
            face[y, x] = 0, 255, 0
    return face
