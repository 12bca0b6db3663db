"""The verbs of the command line: what each is asked, and which function answers.

A verb's flags are made, and its libraries imported, only when it is the one that was called.
"""

import argparse
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from tqdm.auto import tqdm

from lipgan_colab.cli import corpus_verbs, film_verbs, judge_verbs
from lipgan_colab.cli.flags import add_flags, as_path, as_typed, documented, given, made_of, whole_number
from lipgan_colab.cli.named_files import check_named
from lipgan_colab.download import shown_address
from lipgan_colab.errors import InputError, counted
from lipgan_colab.files import check_place
from lipgan_colab.media.xmp import release

Run = Callable[[argparse.Namespace], None]  # what a verb does with its arguments

WEIGHTS = {
    "required": False,
    "default": Path("starter"),
    "help": "run folder; file (.safetensors, LipGAN's .h5, Wav2Lip's .pth); or a name that the verb weights lists",
}


def _train(parser: argparse.ArgumentParser) -> Run:
    from lipgan_colab.device import PRECISIONS
    from lipgan_colab.models.lipgan import BLOCKS, FACE_SIZES
    from lipgan_colab.shards.dataset import REFERENCES
    from lipgan_colab.training.feed import CACHES
    from lipgan_colab.training.train import TrainConfig, train

    names = add_flags(parser, train, precision={"choices": ("auto", *PRECISIONS)}, cache={"choices": CACHES})
    choices = {"speech": ("mfcc", "mel"), "blocks": BLOCKS, "references": REFERENCES, "face_size": FACE_SIZES}
    add_flags(parser, TrainConfig, **{name: {"choices": of} for name, of in choices.items()})
    parser.add_argument("--no-augment", dest="augment", action="store_const", const=0.0, help="the same as --augment 0")

    def run(args: argparse.Namespace) -> None:
        exported = train(**given(args, names), config=made_of(TrainConfig, args))
        if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun starts one speaks
            print(f"generator: {exported}")

    return run


def _train_expert(parser: argparse.ArgumentParser) -> Run:
    from lipgan_colab.training.train_expert import ExpertConfig, train_expert

    names = add_flags(parser, train_expert)
    add_flags(parser, ExpertConfig)
    return lambda args: print(f"expert: {train_expert(**given(args, names), config=made_of(ExpertConfig, args))}")


def _train_motion(parser: argparse.ArgumentParser) -> Run:
    from lipgan_colab.training.motion_data import MotionTrainConfig
    from lipgan_colab.training.train_motion import train_motion

    names = add_flags(parser, train_motion)
    add_flags(parser, MotionTrainConfig)
    return lambda args: print(f"motion: {train_motion(**given(args, names), config=made_of(MotionTrainConfig, args))}")


def _status(parser: argparse.ArgumentParser) -> Run:
    from lipgan_colab.training.runs import status
    from lipgan_colab.workspace import local_folder

    add_flags(parser, status)
    return lambda args: print(status(args.run, args.local or local_folder(args.run)))


def _generate(parser: argparse.ArgumentParser) -> Run:
    from lipgan_colab.generation.generate import generate
    from lipgan_colab.generation.options import CHOICES, GenerateOptions

    speech = "file with sound; given several times, each with its --person, they speak at once"
    changes = {"speech": {"action": "append", "type": as_path, "required": False, "default": None, "help": speech}}
    out = "the .mp4 (.mov) to make; with --voices, or --codec png, a folder; with --preview a .png, .jpg or .mp4"
    asked = ("face", "speech", "weights", "out", "device")
    names = add_flags(parser, generate, asked, weights=WEIGHTS, out={"help": out}, **changes)
    text = "text file with a line for each turn: person, from, to, speech; they speak one after the other"
    parser.add_argument("--turns", type=as_path, help=f"{text} (default: none)")
    text = "text file with the path of a speech in each line: each becomes a video in the folder --out"
    parser.add_argument("--voices", type=as_path, help=f"{text} (default: none)")
    text = "make only the first three seconds, as a film or on one sheet (default: off)"
    parser.add_argument("--preview", action="store_true", help=text)
    fields_shown = [field.name for field in fields(GenerateOptions) if field.name != "cache"]
    changes = {name: {"choices": choices} for name, choices in CHOICES.items()}
    changes |= {name: {"type": str} for name in ("from_", "to", "speech_at")}
    changes["pads"] = {"metavar": ("TOP", "RIGHT", "BOTTOM", "LEFT")}
    who = f"{documented(GenerateOptions)['person']} (default: largest)"
    changes["person"] = {"type": _person, "action": "append", "default": None, "help": who}
    add_flags(parser, GenerateOptions, fields_shown, **changes)
    text = "look for faces anew, and keep nothing of them (default: off)"
    parser.add_argument("--no-cache", dest="cache", action="store_false", help=text)
    return lambda args: _speak(args, names)


def _speak(args: argparse.Namespace, names: Sequence[str]) -> None:
    """Make what is asked for: one video, a preview of it, or one for each of many voices."""
    from lipgan_colab.generation.generate import generate
    from lipgan_colab.generation.options import CONSENT, GenerateOptions
    from lipgan_colab.generation.preview import preview
    from lipgan_colab.generation.voices import generate_voices
    from lipgan_colab.training.how_trained import how_trained

    said = sum(map(bool, (args.speech, args.turns, args.voices)))
    if said != 1:
        which = "say what is spoken" if not said else "only one of these can say what is spoken"
        raise InputError(f"{which}: `speech`, `turns` or `voices`")
    if args.turns and args.turns.exists() and args.out.exists() and args.out.samefile(args.turns):
        raise InputError(f"{args.out}: the result would replace the list of turns; give it another name")
    args.says_who, persons = args.person is not None, args.person or ["largest"]
    args.person = persons[0]
    options = made_of(GenerateOptions, args)
    if not args.consent:
        print(CONSENT, file=sys.stderr)
    if args.weights.is_dir() and (feared := how_trained(args.weights).warning):
        warnings.warn(feared, stacklevel=2)
    said = given(args, names)
    if args.voices:
        if args.preview:
            raise InputError("`preview` shows one voice; give it as `speech`")
        del said["speech"]
        made = generate_voices(
            **said, voices=args.voices, options=options, on_made=lambda one: tqdm.write(as_typed(one))
        )
        print(as_typed(made))
        return
    said["speech"] = _turns(args, persons, options)
    print(as_typed((preview if args.preview else generate)(**said, options=options)))


def _turns(args: argparse.Namespace, persons: Sequence, options) -> "Path | list":
    """The one speech, or who says what."""
    from lipgan_colab.generation.turns import Turn, read_turns

    if args.turns:
        if args.says_who or any(time is not None for time in (options.from_, options.to, options.speech_at)):
            raise InputError("`turns` says who speaks when; leave out `person`, `from_`, `to` and `speech_at`")
        return read_turns(args.turns)
    if len(args.speech) == 1 and len(persons) == 1:
        return args.speech[0]
    if len(args.speech) != len(persons):
        speeches, people = counted(len(args.speech), "speech", "speeches"), counted(len(persons), "person", "persons")
        raise InputError(f"{speeches} and {people}: give each `speech` its own `person`")
    when = options.from_, options.to, options.speech_at
    return [Turn(speech, person, *when) for speech, person in zip(args.speech, persons, strict=True)]


def _person(text: str) -> str | int | tuple[float, float]:
    from lipgan_colab.generation.turns import person_named

    try:
        return person_named(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is nobody: largest, a number from the left, or x,y") from error


def _evaluate(parser: argparse.ArgumentParser) -> Run:
    from lipgan_colab.corpora.subset import read_ids
    from lipgan_colab.evaluation.evaluate import evaluate
    from lipgan_colab.evaluation.verdict import verdict
    from lipgan_colab.models.lipgan import FACE_SIZES

    asked = ("videos", "weights", "out", "device", "window_offset", "syncnet", "expert", "size", "heatmaps")
    names = add_flags(parser, evaluate, asked, weights=WEIGHTS, size={"type": whole_number, "choices": FACE_SIZES})
    parser.add_argument("--only", type=as_path, help="text file of clip ids: paths below the folder (default: all)")

    def run(args: argparse.Namespace) -> None:
        ids = read_ids(args.only) if args.only else None
        judged = evaluate(**given(args, names), ids=ids)
        print(f"{as_typed(judged)}\n{verdict(judged)}")

    return run


def _ablate(parser: argparse.ArgumentParser) -> Run:
    from lipgan_colab.device import PRECISIONS
    from lipgan_colab.evaluation.ablation import ablate, plan

    names = add_flags(parser, ablate, precision={"choices": ("auto", *PRECISIONS)})
    text = "say what it will take, and train nothing (default: off)"
    parser.add_argument("--plan", action="store_true", help=text)
    planned = [name for name in names if name in ("study", "out", "device", "precision")]
    return lambda args: print(as_typed(plan(**given(args, planned)) if args.plan else ablate(**given(args, names))))


def _strangers(parser: argparse.ArgumentParser) -> Run:
    from lipgan_colab.evaluation.strangers import strangers

    names = add_flags(parser, strangers, weights=WEIGHTS, faces={"nargs": "+", "type": as_path})

    def run(args: argparse.Namespace) -> None:
        made = strangers(**given(args, names))
        print(f"{counted(len(made), 'face')} spoke; see {args.out / 'strangers.png'} and strangers.csv")

    return run


def _weights(parser: argparse.ArgumentParser) -> Run:
    convert = parser.add_subparsers(metavar="ACTION").add_parser("convert", help="any weights to our .safetensors")
    convert.set_defaults(run_verb=_convert_weights)
    convert.add_argument("source", metavar="IN", type=as_path, help="LipGAN's .h5, Wav2Lip's .pth, or a name")
    convert.add_argument("out", metavar="OUT", type=as_path, help="the .safetensors file to make")
    convert.add_argument("--half", action="store_true", help="as float16: half the size (default: off)")
    return _list_weights


def _list_weights(_args: argparse.Namespace) -> None:
    from lipgan_colab.models.pretrained import FOLDER_VARIABLE, PRETRAINED, weights_folder

    folder = weights_folder()
    for name, entry in PRETRAINED.items():
        where = (
            "with the package" if entry.bundled else "here" if (folder / entry.file).is_file() else "to be downloaded"
        )
        print(f"{name:16} {entry.megabytes:3} MB, {where:17}  {entry.what}\n{'':43}{entry.licence}")
    print(f"They lie in {folder} (the environment variable {FOLDER_VARIABLE} says where).")


def _convert_weights(args: argparse.Namespace) -> None:
    from lipgan_colab.models.weights import load_network, save_network

    if args.out.suffix != ".safetensors":
        raise InputError(f"{args.out}: only .safetensors files are written; give it a name that ends so")
    check_place(args.out)
    network = load_network(args.source)
    save_network(args.out, network, network.about, args.half)
    print(f"{args.out}: {network.about.get('what', type(network).__name__)}")


def _demo(parser: argparse.ArgumentParser) -> Run:
    parser.add_argument("--out", type=as_path, default=Path("demo"), help="folder of the results (default: demo)")
    text = "all of it in minutes, training included, on a drawn face (default: off)"
    parser.add_argument("--train", action="store_true", help=text)
    parser.add_argument("--steps", type=whole_number, default=450, help="of the training, with --train (default: 450)")

    def run(args: argparse.Namespace) -> None:
        from lipgan_colab.demo import speaking_photo, trained_on_drawings

        started = time.monotonic()
        report = trained_on_drawings(args.out, args.steps) if args.train else speaking_photo(args.out)
        seconds, path = time.monotonic() - started, report.path.resolve()
        took = f"{seconds / 60:.1f} minutes" if seconds > 90 else f"{seconds:.0f} s"
        print(f"{as_typed(report)}\nmade in {took}; open {path}")
        print(path.as_uri())

    return run


# name: what adds the verb's flags and returns what it does, and a line about it
VERBS: dict[str, tuple[Callable[[argparse.ArgumentParser], Run], str]] = {
    **corpus_verbs.VERBS,
    "train": (_train, "shards to a generator; run again, it goes on"),
    "train-expert": (_train_expert, "shards to a sync expert, for evaluate --expert; run again, it goes on"),
    "train-motion": (
        _train_motion,
        "shards to mouth motion for any face, in minutes; run again, it goes on",
    ),
    "status": (_status, "where a run stands, when and where it was saved, whether it can go on"),
    "generate": (_generate, "a face and a speech clip to a video"),
    **film_verbs.VERBS,
    "evaluate": (_evaluate, "clips generated from their own and another's speech, compared with the truth"),
    "ablate": (_ablate, "does it help: arms of a study trained, judged and compared; run again, it goes on"),
    **judge_verbs.VERBS,
    "strangers": (_strangers, "photos and films of strangers speak: one page of pictures, and what can be checked"),
    "weights": (_weights, "list the pretrained weights that can be had by name; or convert some"),
    "demo": (_demo, "a photograph speaks a sentence"),
}


class _Parser(argparse.ArgumentParser):
    def parse_known_args(self, args=None, namespace=None):
        """As argparse, but what is unknown is told before what is missing: it may be the same, typed wrong."""
        flags = list(self._option_string_actions)
        if self.get_default("run_verb") and not self._subparsers:  # a verb without actions: all that is left is its own
            for name in (typed.partition("=")[0] for typed in args or ()):
                if len(name) > 2 and name.startswith("--") and not any(flag.startswith(name) for flag in flags):
                    self.error(f"unknown: {name}{_meant(name, flags)}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """One line, in which what was typed is repeated, but not the secrets in addresses."""
        wrong = re.match(r"argument VERB: invalid choice: '(.*?)'", message)
        if wrong:
            message = f"there is no verb {wrong[1]!r}{_meant(wrong[1], VERBS)}"
        message = message.removeprefix("argument ").replace("the following arguments are required:", "missing:")
        self.exit(2, f"error: {shown_address(message)}; see {self.prog} --help\n")


def _meant(typed: str, known: Collection[str]) -> str:
    """What was perhaps meant by something that is not known."""
    near = get_close_matches(typed, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _parser(called: str | None) -> argparse.ArgumentParser:
    prog = "python -m lipgan_colab" if Path(sys.argv[0]).name == "__main__.py" else "lipgan-colab"
    parser = _Parser(prog=prog, description="A face and a speech clip to a talking video.")
    parser.add_argument("--version", action="version", version=f"lipgan_colab {release() or '(a checkout)'}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for name, (add_verb, summary) in VERBS.items():
        sub = verbs.add_parser(name, help=summary, description=summary)
        if name == called:
            sub.set_defaults(run_verb=add_verb(sub), refuse=sub.error)
    return parser


def _with_dashed_names(arguments: Sequence[str]) -> list[str]:
    """The arguments with names that begin with a dash joined to the flags before them: argparse would take them for
    flags. Ours have two dashes."""
    joined: list[str] = []
    for argument in arguments:
        dashed = re.match(r"-[^-]", argument) and not re.fullmatch(r"-[\d.]+|-h", argument)
        if dashed and joined and re.fullmatch(r"--[\w-]+", joined[-1]):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _say_warning(message: Warning | str, *_where) -> None:
    """One line: whoever calls a verb does not want the line of our code that Python shows."""
    tqdm.write(f"warning: {as_typed(message)}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb. Exit status: 0 done, 1 with one line on stderr that says what is wrong, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with suppress(AttributeError):  # where stdout is somebody else's object
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be text
    try:
        arguments = _with_dashed_names(arguments)
        check_named(arguments)
        args, unknown = _parser(next(iter(arguments), None)).parse_known_args(arguments)
        if unknown:
            args.refuse(f"unknown: {' '.join(unknown)}")
        with warnings.catch_warnings():
            warnings.showwarning = _say_warning
            args.run_verb(args)
        sys.stdout.flush()
    except InputError as error:
        return _failed(error)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # the last net: no file and no disk is to blame for a traceback
        where = error.filename or "the disk or the network"
        return _failed(f"{where}: {error.strerror or error}; see to it, and run again")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _failed(message: InputError | str) -> int:
    print(f"error: {' '.join(shown_address(as_typed(message)).splitlines())}", file=sys.stderr)
    return 1
