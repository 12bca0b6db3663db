"""The command line's verbs about data: fetch, subset, preprocess, inspect."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from lipgan_colab.corpora.corpus import CORPORA, LRS2_SPLITS, Utterance, lrs2, only, split, without
from lipgan_colab.errors import InputError

SHOWN = 20  # lines of what may be thousands
PREPROCESS_OPTIONS = {
    "--size": "width and height of the face crops in pixels (default: 96)",
    "--jpeg-quality": "1 to 100 (default: 95)",
    "--utterances-per-shard": "clips that one shard stands for (default: 200)",
    "--sound-offset": "frames by which this corpus' sound is late, to be moved back (early where < 0)",
}
GATE_OPTIONS = {
    "--min-found": "share of a clip's frames that must show the face (default: 0.5)",
    "--min-face": "smallest face, pixels across (default: 60)",
    "--max-yaw": "degrees that a face may be turned (default: 45)",
}


def add_verbs(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs with `verb(name, run, summary)`."""
    sub = verb("fetch", _fetch, "get a corpus: GRID from Zenodo, LRS2 out of its part files; run again, it goes on")
    sub.add_argument("--corpus", choices=["grid", "lrs2"], required=True)
    sub.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    sub.add_argument("--speakers", nargs="+", metavar="S", help="of GRID: s1 to s34 but s21")
    text = "of LRS2: the folder of the parts lrs2_v1_partaa to ae, or their paths, addresses or Drive links"
    sub.add_argument("--parts", nargs="+", metavar="PART", help=text)
    sub.add_argument("--split", help=f"of LRS2: {', '.join(LRS2_SPLITS)}, or several with + (default: all)")
    sub.add_argument(
        "--only", type=Path, help="of LRS2: text file of ids that `subset` wrote; nothing else is unpacked"
    )

    sub = verb("subset", _subset, "draw a part of a corpus: the same for the same seed, and nested")
    _add_corpus(sub)
    sub.add_argument("--out", type=Path, required=True, help="text file of ids to write; a picture goes beside it")

    sub = verb("preprocess", _preprocess, "videos to shards that can be trained on; run again, it goes on")
    _add_corpus(sub)
    sub.add_argument("--only", type=Path, help="text file of ids that `subset` wrote")
    sub.add_argument("--leave-out", type=Path, help="text file of clip ids (paths below the folder) to keep back")
    sub.add_argument("--out", type=Path, required=True, help="folder of the shards")
    sub.add_argument(
        "--scratch", type=Path, help="fast disk to make shards on (default: Colab's own, where --out is on Drive)"
    )
    sub.add_argument("--workers", type=int, help="processes (default: one a core)")
    sub.add_argument("--rank", type=int, help="of several machines, which this is, from 0 (default: $RANK or 0)")
    sub.add_argument("--world-size", type=int, help="how many machines share the work (default: $WORLD_SIZE or 1)")
    for option, text in PREPROCESS_OPTIONS.items():
        sub.add_argument(option, type=int, help=text)
    for option, text in GATE_OPTIONS.items():
        sub.add_argument(option, type=float, help=text)

    sub = verb("inspect", _inspect, "what shards hold: numbers, and a sheet of faces")
    sub.add_argument("shards", type=Path, help="folder of shards")
    sub.add_argument("--sheet", type=Path, help="the picture to make (default: contact_sheet.jpg beside the shards)")
    sub.add_argument("--verify", action="store_true", help="compare every shard with its checksum; reads them all")
    sub.add_argument("--set-aside", action="store_true", help="rename damaged shards, so that training goes on without")


def _add_corpus(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--corpus", choices=sorted(CORPORA), default="folder", help="what lies there (default: folder)")
    sub.add_argument("--videos", type=Path, required=True, help="folder of the corpus")
    sub.add_argument("--speakers", nargs="+", metavar="S", help="of GRID: these speakers alone")
    sub.add_argument("--split", help="train, val or test (or pretrain, of LRS2); of GRID and folders by speakers")
    sub.add_argument("--hours", type=float, help="draw so many hours")
    sub.add_argument("--utterances", type=int, help="draw so many clips")
    sub.add_argument("--fraction", type=float, help="draw so large a part of the clips")
    sub.add_argument("--seed", type=int, default=0, help="another seed draws others (default: 0)")
    sub.add_argument("--balance", choices=["speaker", "programme"], help="take clips of each in turn")


def _corpus(args: argparse.Namespace, unpacked: bool = True) -> list[Utterance]:
    if args.speakers and args.corpus != "grid":
        raise InputError(f"--speakers is for GRID, not for --corpus {args.corpus}")
    if args.corpus == "lrs2":
        return lrs2(args.videos, args.split or "train", unpacked)
    options = {"speakers": args.speakers} if args.speakers else {}
    utterances = CORPORA[args.corpus](args.videos, **options)
    return split(utterances, args.split) if args.split else utterances


def _drawn(args: argparse.Namespace, utterances: Sequence[Utterance]) -> list[Utterance]:
    """The subset that was asked for; without a size the corpus in its own order."""
    from lipgan_colab.corpora.subset import subset

    if args.hours is args.utterances is args.fraction is args.balance is None:
        return list(utterances)
    sizes = {name: getattr(args, name) for name in ("hours", "utterances", "fraction")}
    return subset(utterances, **sizes, seed=args.seed, balance=args.balance)


def _fetch(args: argparse.Namespace) -> None:
    from lipgan_colab.corpora.fetch import fetch_grid, fetch_lrs2
    from lipgan_colab.corpora.subset import read_ids

    if args.corpus == "grid":
        if not args.speakers:
            raise InputError("--speakers is missing: name those of GRID that you want, such as s1 s2 (3 s a clip)")
        print(fetch_grid(args.out, args.speakers))
        return
    if not args.parts:
        raise InputError("--parts is missing: LRS2's part files come from the BBC, after an agreement has been signed")
    print(fetch_lrs2(args.parts, args.out, args.split, read_ids(args.only) if args.only else None))


def _subset(args: argparse.Namespace) -> None:
    from lipgan_colab.corpora.subset import measured, picture, table, write_ids

    corpus = _corpus(args, unpacked=args.hours is not None)
    drawn = _drawn(args, corpus)
    write_ids(args.out, drawn)
    if all(u.path.is_file() for u in drawn):
        drawn = measured(drawn)
        picture(drawn, args.out.with_suffix(".png"))
    print(f"{table(drawn, len(corpus))}\n{args.out}")


def _preprocess(args: argparse.Namespace) -> None:
    from lipgan_colab.corpora.subset import read_ids
    from lipgan_colab.shards.gates import Gates
    from lipgan_colab.shards.manifest import out_of_sync
    from lipgan_colab.shards.preprocess import PreprocessConfig, preprocess

    utterances = _drawn(args, _corpus(args))
    if args.only:
        utterances = only(utterances, read_ids(args.only))
    if args.leave_out:
        utterances = without(utterances, read_ids(args.leave_out))
    given = {k: v for k, v in vars(args).items() if v is not None}
    gates = Gates(**{f.name: given[f.name] for f in fields(Gates) if f.name in given})
    settings = {f.name: given[f.name] for f in fields(PreprocessConfig) if f.name in given}
    config = PreprocessConfig(**settings, gates=gates)
    manifest = preprocess(utterances, args.out, config, args.workers, args.rank, args.world_size, args.scratch)
    _print_some([f"skipped {clip['id']}: {clip['reason']}" for clip in manifest["skipped"]])
    counts = ", ".join(f"{count} {gate}" for gate, count in manifest["skipped_by"].items())
    print(
        f"{args.out}: {manifest['utterances']} clips, {manifest['frames']} frames, "
        f"{60 * manifest['hours']:.1f} minutes; {len(manifest['skipped'])} skipped{f' ({counts})' if counts else ''}; "
        f"fingerprint {manifest['fingerprint']}"
    )
    _print_some([f"warning: {line}" for line in out_of_sync(manifest)])


def _print_some(lines: Sequence[str]) -> None:
    """The first lines, and how many more there are: all of them are in the manifest."""
    for line in lines[:SHOWN]:
        print(line)
    if len(lines) > SHOWN:
        print(f"… and {len(lines) - SHOWN} more, see manifest.json")


def _inspect(args: argparse.Namespace) -> None:
    from lipgan_colab.shards.inspection import contact_sheet, describe
    from lipgan_colab.shards.manifest import damaged_shards, set_aside

    if args.verify or args.set_aside:
        damaged = damaged_shards(args.shards)
        print("\n".join(f"{args.shards / name} {why}" for name, why in damaged.items()) or "every shard is whole")
        if args.set_aside:
            set_aside(args.shards, damaged)
        elif damaged:
            raise InputError(f"{args.shards}: {len(damaged)} damaged shards; --set-aside goes on without them")
    print(describe(args.shards))
    sheet = args.sheet or args.shards / "contact_sheet.jpg"
    contact_sheet(args.shards, sheet)
    print(sheet)
