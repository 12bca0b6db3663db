"""Shards joined of clips of others, byte for byte as shard_file.write_shard would write them; but one clip at a time,
for an hour of film makes a gigabyte of them.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lipgan_colab.files import written_whole
from lipgan_colab.shards.shard_file import METADATA, Shard, as_text, offsets, shard_metadata, write_shard
from lipgan_colab.speech.sync import OFFSETS

TYPES = {"BOOL": bool, "U8": np.uint8, "I16": np.int16, "F16": np.float16, "F32": np.float32, "I64": np.int64}
PER_FRAME = {"found": "BOOL", "box": "F32", "head_pose": "F32", "lip_landmarks": "F32"}
PIECES = {"mfcc": "F32", "mel": "F32"}  # whose rows have offsets of their own
ALIGNED = 8  # bytes, to which safetensors fills up its header


def join_shards(path: Path, clips: Sequence[tuple[Path, int]], skipped: Sequence[dict], settings: dict) -> None:
    """Write one shard of clips of others, whole or not at all; see write_shard.

    It has mesh and voice if all of them have.

    Args:
        path: the file to make; it may be one of those that clips are taken of.
        clips: in order, the shard and which of its clips.
        skipped: {"id", "gate", "reason"} of each clip that could not be used.
        settings: how all of them were made.

    Raises:
        InputError: one of the others is damaged.
        OSError: the disk does not take it.
    """
    if not clips:
        write_shard(path, [], skipped, settings)
        return
    shards = {source: Shard.open(source) for source in dict.fromkeys(source for source, _ in clips)}
    pieces = [(shards[source], u) for source, u in clips]
    with_mesh = all(shard.has_mesh for shard in shards.values())
    metadata = shard_metadata([s.metadata["utterances"][u] for s, u in pieces], skipped, settings, with_mesh)
    index = _index(pieces, with_mesh)
    header, places = _header(_layout(pieces, index, with_mesh), metadata)
    with written_whole(path) as unfinished, unfinished.open("wb") as file:
        file.write(header)
        for name, array in index.items():
            file.seek(places.pop(name))
            file.write(array.tobytes())
        for shard, u in pieces:
            for name in places:
                rows = _rows(shard, u, name)
                file.seek(places[name])
                file.write(rows.tobytes())
                places[name] += rows.nbytes
            shard.close()


def _slice(shard: Shard, u: int, name: str) -> tuple[int, int]:
    """The rows of an array that belong to a clip."""
    first, last = (int(f) for f in shard.first_frame[u : u + 2])
    if name == "sync":
        return u, u + 1
    if name == "jpeg":
        return int(shard.arrays["jpeg_offsets"][first]), int(shard.arrays["jpeg_offsets"][last])
    if f"{name}_offsets" in shard.arrays:
        return tuple(int(row) for row in shard.arrays[f"{name}_offsets"][u : u + 2])
    return first, last


def _rows(shard: Shard, u: int, name: str) -> np.ndarray:
    if name == "sync" and "sync" not in shard.names:
        return np.full((1, len(OFFSETS)), np.nan, np.float32)  # of before it was measured
    return shard.rows(name, *_slice(shard, u, name))


def _index(pieces: Sequence[tuple[Shard, int]], with_mesh: bool) -> dict[str, np.ndarray]:
    """The arrays that tell where the clips' rows are."""
    sizes = []
    for shard, u in pieces:
        first, last = shard.first_frame[u : u + 2]
        sizes.append(np.diff(shard.arrays["jpeg_offsets"][first : last + 1]))

    def lengths(name: str) -> list[int]:
        return [stop - start for start, stop in (_slice(*piece, name) for piece in pieces)]

    index = {"jpeg_offsets": offsets(np.concatenate(sizes)), "utterance_frames": np.array(lengths("found"), np.int64)}
    return index | {f"{name}_offsets": offsets(lengths(name)) for name in (*PIECES, *["voice"] * with_mesh)}


def _layout(
    pieces: Sequence[tuple[Shard, int]], index: Mapping[str, np.ndarray], with_mesh: bool
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of every array."""
    types = {
        "jpeg": "U8",
        **PER_FRAME,
        **PIECES,
        "sync": "F32",
        **({"mesh": "F16", "voice": "I16"} if with_mesh else {}),
    }
    shard, _ = pieces[0]
    layout = {name: ("I64", array.shape) for name, array in index.items()}
    for name, dtype in types.items():
        rows = sum(stop - start for start, stop in (_slice(*piece, name) for piece in pieces))
        layout[name] = dtype, (rows, *(shard.rows(name, 0, 1).shape[1:] if name in shard.names else (len(OFFSETS),)))
    return layout


def _header(layout: Mapping[str, tuple[str, tuple[int, ...]]], metadata: dict) -> tuple[bytes, dict[str, int]]:
    """A safetensors file's header, and where in the file each array begins: the widest types first."""
    rank = list(TYPES)
    told: dict[str, dict] = {"__metadata__": {METADATA: as_text(metadata)}}
    begins = 0
    for name in sorted(layout, key=lambda name: (-rank.index(layout[name][0]), name)):
        dtype, shape = layout[name]
        ends = begins + np.dtype(TYPES[dtype]).itemsize * math.prod(shape)
        told[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begins, ends]}
        begins = ends
    text = json.dumps(told, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNED)
    header = struct.pack("<Q", len(text)) + text
    return header, {name: len(header) + about["data_offsets"][0] for name, about in told.items() if name in layout}
