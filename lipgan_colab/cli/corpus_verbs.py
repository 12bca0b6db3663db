"""The command line's verbs about data: fetch, subset, preprocess, inspect."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from lipgan_colab.cli.flags import add_flags, as_path, as_typed, given, made_of
from lipgan_colab.corpora.corpus import CORPORA, LRS2_SPLITS, Utterance, lrs2, only, split, without
from lipgan_colab.errors import InputError, counted
from lipgan_colab.files import check_place, fitting

DRAW = ("hours", "utterances", "fraction", "seed", "balance")  # of `subset`


def _add_corpus(parser: argparse.ArgumentParser) -> None:
    from lipgan_colab.corpora.subset import BALANCES, subset

    parser.add_argument("--corpus", choices=sorted(CORPORA), default="folder", help="what lies there (default: folder)")
    parser.add_argument("--videos", type=as_path, required=True, help="folder of the corpus")
    parser.add_argument("--speakers", nargs="+", metavar="S", help="of GRID: these speakers alone (default: all)")
    text = "train, val or test (or pretrain, of LRS2); of GRID and folders by speakers (default: all; of LRS2, train)"
    parser.add_argument("--split", help=text)
    add_flags(parser, subset, DRAW, balance={"choices": BALANCES})


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
    return subset(utterances, **given(args, DRAW))


def _fetch(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    from lipgan_colab.corpora.fetch import fetch_grid, fetch_lrs2
    from lipgan_colab.corpora.subset import read_ids

    parser.add_argument("--corpus", choices=["grid", "lrs2"], required=True, help="which corpus")
    parser.add_argument("--out", type=as_path, required=True, help="folder of the corpus")
    parser.add_argument("--speakers", nargs="+", metavar="S", help="of GRID: s1 to s34 but s21 (default: none)")
    text = "of LRS2: folder of the parts lrs2_v1_partaa to ae; their paths, addresses or Drive links; or a whole .tar"
    parser.add_argument("--parts", nargs="+", metavar="PART", help=f"{text} (default: none)")
    parser.add_argument("--split", help=f"of LRS2: {', '.join(LRS2_SPLITS)}, or several with + (default: all)")
    text = "of LRS2: text file of ids that `subset` wrote; nothing else is unpacked (default: none)"
    parser.add_argument("--only", type=as_path, help=text)

    def run(args: argparse.Namespace) -> None:
        if args.corpus == "grid":
            if args.parts or args.split or args.only:
                raise InputError("--parts, --split and --only are for LRS2, not for --corpus grid")
            if not args.speakers:
                raise InputError("--speakers is missing: name those of GRID that you want, such as s1 s2 (3 s a clip)")
            print(fetch_grid(args.out, args.speakers))
            return
        if args.speakers:
            raise InputError("--speakers is for GRID, not for --corpus lrs2")
        if not args.parts:
            raise InputError("--parts is missing: LRS2's part files come from the BBC, after an agreement was signed")
        print(fetch_lrs2(args.parts, args.out, args.split, read_ids(args.only) if args.only else None))

    return run


def _subset(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    from lipgan_colab.corpora.subset import measured, picture, table, write_ids

    _add_corpus(parser)
    parser.add_argument(
        "--out", type=as_path, required=True, help="text file of ids to write; a picture goes beside it"
    )

    def run(args: argparse.Namespace) -> None:
        if args.out.suffix.lower() == ".png":
            raise InputError(f"{args.out}: a list of ids is a text file, and a picture goes beside it; name it .txt")
        corpus = _corpus(args, unpacked=args.hours is not None)
        check_place(args.out)
        drawn = _drawn(args, corpus)
        write_ids(args.out, drawn)
        if all(u.path.is_file() for u in drawn):
            drawn = measured(drawn)
            picture(drawn, fitting(args.out.with_suffix(".png")))
        print(f"{table(drawn, len(corpus))}\n{args.out}")

    return run


def _preprocess(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    from lipgan_colab.shards.gates import Gates
    from lipgan_colab.shards.manifest import summary
    from lipgan_colab.shards.preprocess import PreprocessConfig, preprocess

    _add_corpus(parser)
    parser.add_argument("--only", type=as_path, help="text file of ids that `subset` wrote (default: all)")
    text = "text file of clip ids (paths below the folder) to keep back (default: none)"
    parser.add_argument("--leave-out", type=as_path, help=text)
    names = add_flags(parser, preprocess, ("out", "workers", "timeout", "rank", "world_size", "scratch"))
    add_flags(parser, PreprocessConfig)
    add_flags(parser, Gates)

    def run(args: argparse.Namespace) -> None:
        utterances = _corpus(args)
        if args.only:
            utterances = _listed(only, utterances, args.only)
        if args.leave_out:
            utterances = _listed(without, utterances, args.leave_out)
        utterances = _drawn(args, utterances)  # last: what is kept back need not be among what would be drawn
        config = made_of(PreprocessConfig, args, gates=made_of(Gates, args))
        manifest = preprocess(utterances, config=config, **given(args, names))
        print(as_typed(summary(args.out, manifest)))

    return run


def _listed(choose: Callable, utterances: list[Utterance], path: Path) -> list[Utterance]:
    """What a list says of a corpus; whatever is wrong with it, the list is named."""
    from lipgan_colab.corpora.subset import read_ids

    ids = read_ids(path)
    try:
        return choose(utterances, ids)
    except InputError as error:
        raise InputError(f"{path}: {error.line}") from error


def _inspect(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    from lipgan_colab.shards.inspection import contact_sheet, describe
    from lipgan_colab.shards.manifest import damaged_shards, set_aside

    parser.add_argument("shards", type=as_path, help="folder of shards")
    parser.add_argument(
        "--sheet", type=as_path, help="the picture to make (default: contact_sheet.jpg beside the shards)"
    )
    text = "compare every shard with its checksum; reads them all (default: off)"
    parser.add_argument("--verify", action="store_true", help=text)
    text = "rename damaged shards, so that training goes on without (default: off)"
    parser.add_argument("--set-aside", action="store_true", help=text)

    def run(args: argparse.Namespace) -> None:
        sheet = args.sheet or args.shards / "contact_sheet.jpg"
        if args.sheet:
            check_place(sheet)
        if args.verify or args.set_aside:
            damaged = damaged_shards(args.shards)
            print("\n".join(f"{args.shards / name} {why}" for name, why in damaged.items()) or "every shard is whole")
            if args.set_aside:
                set_aside(args.shards, damaged)
            elif damaged:
                many = counted(len(damaged), "damaged shard")
                raise InputError(f"{args.shards}: {many}; --set-aside goes on without")
        print(as_typed(describe(args.shards)))
        contact_sheet(args.shards, sheet)
        print(sheet)

    return run


# As verbs.VERBS.
VERBS = {
    "fetch": (_fetch, "get a corpus: GRID from Zenodo, LRS2 out of its part files; run again, it goes on"),
    "subset": (_subset, "draw a part of a corpus: the same for the same seed, and nested"),
    "preprocess": (_preprocess, "videos to shards that can be trained on; run again, it goes on"),
    "inspect": (_inspect, "what shards hold: numbers, and a sheet of faces"),
}
