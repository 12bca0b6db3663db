"""The command line's verbs about finished films: inspect-video."""

import argparse
from collections.abc import Callable

from lipgan_colab.cli.flags import add_flags, as_path, as_typed, given


def _inspect_video(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    from lipgan_colab.media.marking import told_by

    parser.add_argument("file", metavar="FILE", type=as_path, help="film, picture or sound")
    names = add_flags(parser, told_by, ("trust",))
    return lambda args: print(as_typed(told_by(args.file, **given(args, names))))


# As verbs.VERBS.
VERBS = {
    "inspect-video": (_inspect_video, "what a film, picture or sound says of how it was made, and what of it holds"),
}
