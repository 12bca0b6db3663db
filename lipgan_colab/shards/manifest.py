"""What a folder of shards holds, summed up: in manifest.json, and for people."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from lipgan_colab.errors import CONTROL, InputError, counted
from lipgan_colab.files import check_folder, file_sha256, written_whole
from lipgan_colab.shards.provenance import settings_of
from lipgan_colab.shards.shard_file import fingerprint_of, opened_shard
from lipgan_colab.speech.sync import FEWEST, OFFSETS, GroupSync, group_sync

MANIFEST = "manifest.json"
SHOWN = 20  # lines of what may be thousands, for a person
SHARD = re.compile(r"shard-[^/\\]*\.safetensors")


def shard_paths(folder: str | Path) -> list[Path]:
    """The shards of a folder, in order."""
    return sorted(Path(folder).glob("shard-*.safetensors"))


def needed_shards(folder: str | Path) -> list[Path]:
    """The shards of a folder, in order; InputError where there is none."""
    check_folder(folder, "give the folder that preprocess made")
    paths = shard_paths(folder)
    if not paths:
        raise InputError(f"{folder}: holds no shard-*.safetensors; preprocess videos into it first")
    return paths


def read_manifest(folder: str | Path) -> dict:
    """manifest.json as plain data; {} where there is none, or none that can be read (it can be written again)."""
    try:
        manifest = json.loads((Path(folder) / MANIFEST).read_text(encoding="utf-8"))
        _check(manifest)
    except Exception:  # whatever stands in it
        return {}
    return manifest


def _check(manifest: dict) -> None:
    """An exception of any kind where it is not what write_manifest wrote."""
    for shard in manifest["shards"]:
        known = SHARD.fullmatch(shard["name"]) and isinstance(shard["bytes"], int) and isinstance(shard["sha256"], str)
        if not known:  # a name could lead out of the folder
            raise ValueError(f"{shard} is no shard")
    for about in manifest.get("sync", {}).values():
        str(_group(about))
    if not isinstance(manifest["fingerprint"], str):
        raise TypeError("the fingerprint is a text")


def _group(about: dict) -> GroupSync:
    return GroupSync(**{key: value for key, value in about.items() if key != "verdict"})


def write_manifest(folder: str | Path, digests: Mapping[str, str] | None = None) -> dict:
    """Sum up the shards of a folder in manifest.json.

    Args:
        folder: of the shards.
        digests: SHA-256 of shards by name, where they have just been made. Others are taken from the manifest that is
            there, or else the file is read.

    Returns:
        utterances, frames, hours, fingerprint (of all clips, kept or not), skipped (id, gate, reason), skipped_by (how
        many at each gate), sync (of all clips and of each group of ten or more: clips, offset, correlation, certainty,
        verdict), settings, shards (name, bytes, sha256, utterances, frames).

    Raises:
        InputError: a shard is damaged.
    """
    folder = Path(folder)
    known = {s["name"]: s for s in read_manifest(folder).get("shards", [])}
    while True:
        paths = shard_paths(folder)
        manifest = _summed_up(paths, known, digests or {})
        with written_whole(folder / MANIFEST) as unfinished:
            unfinished.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        known = {s["name"]: s for s in manifest["shards"]}
        if shard_paths(folder) == paths:  # or another machine has finished one more, and the last to write counts it
            return manifest


def _summed_up(paths: list[Path], known: Mapping[str, dict], digests: Mapping[str, str]) -> dict:
    shards, skipped, clips = [], [], []
    for path in paths:
        with opened_shard(path) as (metadata, file):
            frames = int(file.get_tensor("utterance_frames").sum())
        skipped += metadata["skipped"]
        clips += metadata["utterances"]
        entry = {"name": path.name, "bytes": path.stat().st_size}
        before = known.get(path.name, {})
        digest = digests.get(path.name) or (before["sha256"] if before.get("bytes") == entry["bytes"] else None)
        entry |= {"sha256": digest or file_sha256(path), "utterances": len(metadata["utterances"]), "frames": frames}
        shards.append(entry)
    frames = sum(s["frames"] for s in shards)
    settings = settings_of(paths[-1]) if paths else {}
    return {
        "utterances": len(clips),
        "frames": frames,
        "hours": round(frames / settings.get("fps", 25) / 3600, 4),
        "fingerprint": fingerprint_of([{"utterances": clips, "skipped": skipped}]),
        "skipped": skipped,
        "skipped_by": dict(sorted(Counter(s.get("gate", "other") for s in skipped).items())),
        "sync": {name: {**vars(group), "verdict": group.verdict} for name, group in sync_by_group(paths).items()},
        "settings": settings,
        "shards": shards,
    }


def sync_by_group(paths: list[Path]) -> dict[str, GroupSync]:
    """Whether lips and sound belong together: of all clips ("all"), and of every speaker or programme of ten or more.

    Shards made before this was measured say nothing.
    """
    curves, groups = [np.zeros((0, len(OFFSETS)), np.float32)], []
    for path in paths:
        with opened_shard(path) as (metadata, file):
            if "sync" in file.keys():  # noqa: SIM118 (not a dict)
                curves.append(file.get_tensor("sync"))
                groups += [clip["speaker"] for clip in metadata["utterances"]]
    rows = np.concatenate(curves)
    places = defaultdict(list)
    for place, group in enumerate(groups):
        places[group].append(place)
    judged = {name: rows[at] for name, at in sorted(places.items()) if name and len(at) >= FEWEST}
    return {name: group_sync(of_group) for name, of_group in {"all": rows, **judged}.items()}


def summary(folder: str | Path, manifest: dict) -> str:
    """What preprocessing did, in lines for a person: what was skipped, how much is there, whose sound is off."""
    counts = ", ".join(f"{count} {gate}" for gate, count in manifest["skipped_by"].items())
    lines = _some([f"skipped {clip['id']}: {clip['reason']}" for clip in manifest["skipped"]])
    lines.append(
        f"{folder}: {counted(manifest['utterances'], 'clip')}, {counted(manifest['frames'], 'frame')}, "
        f"{60 * manifest['hours']:.1f} minutes; {len(manifest['skipped'])} skipped{f' ({counts})' if counts else ''}; "
        f"fingerprint {manifest['fingerprint']}"
    )
    lines += _some([f"warning: {line}" for line in out_of_sync(manifest)])
    return "\n".join(CONTROL.sub(" ", line) for line in lines)


def _some(lines: list[str]) -> list[str]:
    """The first lines, and how many more there are: all of them are in the manifest."""
    return [*lines[:SHOWN], *([f"… and {len(lines) - SHOWN} more, see {MANIFEST}"] if len(lines) > SHOWN else [])]


def out_of_sync(manifest: dict) -> list[str]:
    """A line for each group of a manifest whose sound is shifted or another's; [] where all is well."""
    lines = []
    for name, about in manifest.get("sync", {}).items():
        group = _group(about)
        if group.verdict in ("shifted", "no match"):
            lines.append(f"{'all clips' if name == 'all' else name}: {group}")
    return lines


def damaged_shards(folder: str | Path) -> dict[str, str]:
    """Every shard that is not what the manifest says, and why; reads them all.

    Raises:
        InputError: there is no manifest to compare with.
    """
    shards = read_manifest(folder).get("shards")
    if shards is None:
        raise InputError(f"{folder}: no {MANIFEST} to check the shards by; run preprocess again, which writes it")
    damaged = {}
    for shard in shards:
        path = Path(folder) / shard["name"]
        if not path.is_file():
            damaged[shard["name"]] = "is missing"
        elif path.stat().st_size != shard["bytes"]:
            damaged[shard["name"]] = f"has {counted(path.stat().st_size, 'byte')} instead of {shard['bytes']}"
        elif file_sha256(path) != shard["sha256"]:
            damaged[shard["name"]] = "has other bytes than it was written with"
    return damaged


def set_aside(folder: str | Path, names: Iterable[str]) -> None:
    """Put shards away as NAME.damaged: training goes on without them, and preprocessing makes them anew.

    The manifest still lists them, so that the folder is still known as made of the same clips.
    """
    for name in names:
        path = Path(folder) / name
        if path.exists():
            path.rename(path.with_name(f"{name}.damaged"))
