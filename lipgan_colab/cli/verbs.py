"""The command line: python -m lipgan_colab VERB."""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from tqdm.auto import tqdm

from lipgan_colab.cli.corpus_verbs import add_verbs as add_corpus_verbs
from lipgan_colab.errors import InputError


def _train(args: argparse.Namespace) -> None:
    from lipgan_colab.training.train import TrainConfig, train

    options = ("start_from", "max_hours", "save_minutes", "device", "precision", "compile", "workers", "local")
    options = {name: getattr(args, name) for name in options}
    exported = train(args.shards, args.run, _given(TrainConfig, args), **options)
    if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun starts one speaks
        print(f"generator: {exported}")


def _train_expert(args: argparse.Namespace) -> None:
    from lipgan_colab.training.train_expert import ExpertConfig, train_expert

    options = {name: getattr(args, name) for name in ("device", "workers", "save_minutes")}
    print(f"expert: {train_expert(args.shards, args.run, _given(ExpertConfig, args), **options)}")


def _given(config: type, args: argparse.Namespace):
    """A configuration, in which the arguments that were given replace the defaults."""
    names = [f.name for f in fields(config)]
    return config(**{name: getattr(args, name) for name in names if getattr(args, name, None) is not None})


def _status(args: argparse.Namespace) -> None:
    from lipgan_colab.training.runs import status
    from lipgan_colab.workspace import local_folder

    print(status(args.run, args.local or local_folder(args.run)))


def _generate(args: argparse.Namespace) -> None:
    from lipgan_colab.generation.generate import CONSENT, GenerateOptions, generate

    if not args.consent:
        print(CONSENT, file=sys.stderr)
    print(generate(args.face, args.speech, args.weights, args.out, _given(GenerateOptions, args)))


def _person(text: str) -> str | int | tuple[float, float]:
    """ "largest", a number, or "x,y"."""
    if text == "largest":
        return text
    if "," in text:
        x, y = text.split(",")
        return float(x), float(y)
    return int(text)


def _evaluate(args: argparse.Namespace) -> None:
    from lipgan_colab.evaluation.evaluate import evaluate

    ids = args.only.read_text().split() if args.only else None
    options = {"window_offset": args.window_offset, "syncnet": args.syncnet, "expert": args.expert}
    print(evaluate(args.videos, args.weights, args.out, ids, **options))


def _weights(_args: argparse.Namespace) -> None:
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
    network = load_network(args.source)
    save_network(args.out, network, network.about, args.half)
    print(f"{args.out}: {network.about.get('what', type(network).__name__)}")


def _demo(args: argparse.Namespace) -> None:
    from lipgan_colab.demo import speaking_photo, trained_on_drawings

    started = time.monotonic()
    report = trained_on_drawings(args.out, args.steps) if args.train else speaking_photo(args.out)
    seconds, path = time.monotonic() - started, report.path.resolve()
    print(f"{report}\nmade in {f'{seconds / 60:.1f} minutes' if seconds > 90 else f'{seconds:.0f} s'}; open {path}")
    print(path.as_uri())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lipgan-colab", description="A face and a speech clip to a talking video.")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, run, summary: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=summary, description=summary)
        sub.set_defaults(run_verb=run)
        return sub

    def add_weights(sub: argparse.ArgumentParser) -> None:
        text = "run folder; file (.safetensors, LipGAN's .h5, Wav2Lip's .pth); or a name that `weights` lists"
        sub.add_argument("--weights", type=Path, default="starter", help=f"{text} (default: starter)")
        text = "frames of 1/25 s by which the speech windows begin later (default: what the weights were trained with)"
        sub.add_argument("--window-offset", type=int, help=text)

    add_corpus_verbs(verb)

    sub = verb("train", _train, "shards to a generator; run again, it goes on")
    sub.add_argument("--shards", type=Path, required=True, help="folder of shards")
    sub.add_argument("--run", type=Path, required=True, help="folder of the run; made, or gone on with")
    sub.add_argument("--steps", type=int, help="where the run ends")
    sub.add_argument("--width", type=float, help="1.0 is the original, 0.5 and 0.25 suit small machines")
    sub.add_argument(
        "--most-channels", type=int, help="no layer has more: 128 at width 0.5 makes a file a third as big"
    )
    sub.add_argument("--batch-size", type=int)
    sub.add_argument("--learning-rate", type=float)
    sub.add_argument("--lip-weight", type=float, help="how much more a pixel near the lips counts; 1: plain L1")
    sub.add_argument("--edge-weight", type=float, help="of the edges' error in the loss (default: 1); 0: none")
    sub.add_argument("--speech", choices=["mfcc", "mel"], help="speech feature")
    sub.add_argument("--balance", type=float, help="0 draws every frame alike, 1 every speaker alike (default: 0.5)")
    sub.add_argument("--start-from", type=Path, help="weights that a new run begins with (run folder or .safetensors)")
    sub.add_argument("--seed", type=int)
    sub.add_argument("--augment", type=float, help="share of the samples that are varied (default: 1)")
    sub.add_argument("--no-augment", dest="augment", action="store_const", const=0.0, help="samples as they are")
    sub.add_argument("--adversarial", action="store_true", help="with the contrastive discriminator, as in the paper")
    sub.add_argument(
        "--quality-weight", type=float, help="of a judge of picture quality, for sharp mouths, such as 0.01; 0: none"
    )
    sub.add_argument("--max-hours", type=float, help="stop and save after so long, before the session ends")
    sub.add_argument("--save-minutes", type=float, default=5, help="time between checkpoints (default: 5)")
    sub.add_argument("--device", help="cuda, cuda:1, cpu (default: a GPU where there is one; on Colab not without)")
    sub.add_argument("--precision", default="auto", help="float32, bfloat16, float16 (default: what is fast there)")
    sub.add_argument("--compile", action="store_true", help="let PyTorch compile the networks: faster after minutes")
    sub.add_argument("--workers", type=int, help="loader processes (default: what the device needs)")
    sub.add_argument("--local", type=Path, help="folder on this machine's own disk to work in, for a run on Drive")

    sub = verb("train-expert", _train_expert, "shards to a judge of sync, for evaluate --expert; run again, it goes on")
    sub.add_argument("--shards", type=Path, required=True, help="folder of shards")
    sub.add_argument("--run", type=Path, required=True, help="folder of the run; made, or gone on with")
    sub.add_argument("--steps", type=int, help="where the run ends")
    sub.add_argument("--width", type=float, help="1.0 is Wav2Lip's (default: 0.25)")
    sub.add_argument("--clips", type=int, help="of a batch (default: 12)")
    sub.add_argument("--moments", type=int, help="of each clip, to be told from all others of the batch (default: 8)")
    sub.add_argument("--learning-rate", type=float)
    sub.add_argument("--balance", type=float, help="0 draws every frame alike, 1 every speaker alike (default: 0.5)")
    sub.add_argument("--seed", type=int)
    sub.add_argument("--device", help="cuda, cuda:1, cpu (default: a GPU where there is one)")
    sub.add_argument("--save-minutes", type=float, default=5, help="time between checkpoints (default: 5)")
    sub.add_argument("--workers", type=int, help="loader processes (default: what the device needs)")

    sub = verb("status", _status, "where a run stands, when and where it was saved, whether it can go on")
    sub.add_argument("--run", type=Path, required=True, help="folder of the run")
    sub.add_argument("--local", type=Path, help="the --local that train was given")

    sub = verb("generate", _generate, "a face and a speech clip to a video")
    sub.add_argument("--face", type=Path, required=True, help="photo or video")
    sub.add_argument("--speech", type=Path, required=True, help="any file with sound")
    add_weights(sub)
    sub.add_argument("--out", type=Path, required=True, help="the .mp4 to make")
    sub.add_argument(
        "--person", type=_person, help="who speaks: largest (default), number from the left (0, 1, ...), or a point x,y"
    )
    sub.add_argument(
        "--pauses", choices=["gentle", "normal", "strict", "off"], help="when the mouth rests (default: normal)"
    )
    sub.add_argument("--sync-offset", type=int, help="frames by which the lips move later (negative: earlier)")
    sub.add_argument(
        "--pads", type=float, nargs=4, metavar=("TOP", "RIGHT", "BOTTOM", "LEFT"), help="parts by which the box grows"
    )
    sub.add_argument("--largest-yaw", type=float, help="degrees; faces turned further stay as they are (default: 45)")
    text = "how the generator sees the mouth there: as it is, or at rest (default: auto rests photos' open ones)"
    sub.add_argument("--reference-mouth", choices=["auto", "own", "rest"], help=text)
    sub.add_argument("--sharpen", type=float, help="of the generated part: 0 none (default), 1 strong")
    sub.add_argument("--batch-size", type=int, help="frames generated at once (default: 16)")
    sub.add_argument("--mark", action="store_true", help='write "AI-generated" into the picture')
    sub.add_argument("--consent", action="store_true", help="the person whose face and voice this is agreed to it")

    sub = verb("evaluate", _evaluate, "clips generated from their own and another's speech, compared with the truth")
    sub.add_argument("--videos", type=Path, required=True, help="folder of videos")
    sub.add_argument("--only", type=Path, help="text file of clip ids (paths below the folder); default: all")
    add_weights(sub)
    sub.add_argument("--out", type=Path, required=True, help="folder of the results")
    sub.add_argument("--syncnet", type=Path, help="the authors' syncnet_v2.model, to measure LSE-D and LSE-C")
    text = "our own judge of sync: run folder or file of train-expert (default: the one that comes with the package)"
    sub.add_argument("--expert", type=Path, default="expert", help=text)

    sub = verb("weights", _weights, "list the pretrained weights that can be had by name")
    convert = sub.add_subparsers(metavar="ACTION").add_parser("convert", help="any weights to our .safetensors")
    convert.set_defaults(run_verb=_convert_weights)
    convert.add_argument("source", metavar="IN", type=Path, help="LipGAN's .h5, Wav2Lip's .pth, or a name")
    convert.add_argument("out", metavar="OUT", type=Path, help="the .safetensors file to make")
    convert.add_argument("--half", action="store_true", help="as float16: half the size")

    sub = verb("demo", _demo, "a photograph speaks a sentence")
    sub.add_argument("--out", type=Path, default=Path("demo"), help="folder of the results (default: demo)")
    sub.add_argument("--train", action="store_true", help="all of it in minutes, training included, on a drawn face")
    sub.add_argument("--steps", type=int, default=450, help="of --train (default: 450)")
    return parser


def _say_warning(message: Warning | str, *_where) -> None:
    """One line: whoever calls a verb does not want the line of our code that Python shows."""
    tqdm.write(f"warning: {message}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb. Exit status: 0 done, 1 with one line on stderr that says what is wrong, 130 interrupted."""
    args = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _say_warning
            args.run_verb(args)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
