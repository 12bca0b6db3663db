"""The command line's verb about people as judges: judge make, judge count."""

import argparse
import inspect
from collections.abc import Callable

from lipgan_colab.cli.flags import add_flags, as_path, as_typed, given


def _judge(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    actions = parser.add_subparsers(metavar="ACTION")
    for name, add_action, summary in (
        ("make", _make, "a blind study of films, as one page for the judges"),
        ("count", _count, "what the answers tell, and what they cannot tell yet"),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        action.set_defaults(run_verb=add_action(action))
    return lambda _args: parser.print_help()


def _make(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    from lipgan_colab.corpora.subset import read_ids
    from lipgan_colab.evaluation.judges.key import METHODS, QUESTIONS
    from lipgan_colab.evaluation.judges.make import make_study

    several = {"nargs": "+", "type": str}
    names = add_flags(
        parser,
        make_study,
        [name for name in inspect.signature(make_study).parameters if name not in ("ids", "measures")],
        compare=several | {"metavar": "WHOM"},
        ask=several | {"choices": QUESTIONS},
        method={"choices": METHODS},
    )
    text = "do not measure the films as evaluate does (default: off)"
    parser.add_argument("--no-measures", dest="measures", action="store_false", help=text)
    parser.add_argument("--only", type=as_path, help="text file of clip ids: paths below the folder (default: all)")

    def run(args: argparse.Namespace) -> None:
        ids = read_ids(args.only) if args.only else None
        print(as_typed(make_study(**given(args, [*names, "measures"]), ids=ids)))

    return run


def _count(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    from lipgan_colab.evaluation.judges.count import count_answers

    text = "what judges sent back, and folders of such"
    parser.add_argument("answers", metavar="FILE", nargs="+", type=as_path, help=text)
    names = add_flags(parser, count_answers, ("study", "out"))
    return lambda args: print(as_typed(count_answers(**given(args, [*names, "answers"]))))


# As verbs.VERBS.
VERBS = {"judge": (_judge, "people as judges: a blind study of films made, and its answers counted")}
