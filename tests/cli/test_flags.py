"""Flags made of functions and dataclasses: kinds, defaults and help are theirs, and no verb's help leaves one out."""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from lipgan_colab.cli.flags import add_flags, made_of
from lipgan_colab.cli.verbs import VERBS, main
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.shards.gates import Gates
from lipgan_colab.training.motion_data import MotionTrainConfig
from lipgan_colab.training.step import TrainConfig
from lipgan_colab.training.train_expert import ExpertConfig

ACTIONS = ("judge make", "judge count", "weights convert")


@dataclass(frozen=True)
class Recipe:
    """How to bake.

    Attributes:
        flour: kind of flour, at least
            95 % of it.
        grams, minutes: how much, and how long.
        oven: where it is baked. None takes the next one.
        sides: of the tin that fits `oven` (see `oven.Tin`).
        lid: with a lid on.
        sponge: of the dough; None: as it comes.
    """

    flour: str
    grams: int = 500
    minutes: float = 45.0
    oven: str | Path | None = None
    sides: tuple[float, float] = (10.0, 20.5)
    lid: bool = False
    sponge: float | None = None


def parser_of(source, **changes) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_flags(parser, source, **changes)
    return parser


def test_what_is_given_arrives_and_the_rest_is_as_declared():
    args = parser_of(Recipe).parse_args(["--flour", "rye", "--sides", "1", "2.5", "--lid", "--oven", "x/y"])
    assert made_of(Recipe, args) == Recipe("rye", oven=Path("x/y"), sides=[1.0, 2.5], lid=True)


def test_what_has_no_default_must_be_given(capsys):
    with pytest.raises(SystemExit):
        parser_of(Recipe).parse_args([])
    assert "required: --flour" in capsys.readouterr().err


def test_help_is_the_docstrings_with_the_default():
    text = " ".join(parser_of(Recipe).format_help().split())
    for line in (
        "--flour FLOUR kind of flour, at least 95 % of it",
        "--grams GRAMS how much, and how long (default: 500)",
        "--minutes MINUTES how much, and how long (default: 45)",
        "--oven OVEN where it is baked; by default the next one",
        "--sides SIDES SIDES of the tin that fits --oven (default: 10 20.5)",
        "--lid with a lid on (default: off)",
        "--sponge SPONGE of the dough; by default as it comes",
    ):
        assert line in text


def test_a_verb_may_know_better():
    parser = parser_of(Recipe, flour={"required": False, "default": "wheat", "choices": ("wheat", "rye")})
    assert parser.parse_args([]).flour == "wheat"
    assert "(default: wheat)" in parser.format_help()


@pytest.mark.parametrize("verb", [*VERBS, *ACTIONS])
def test_every_flag_of_every_verb_tells_what_it_is_and_its_default(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*verb.split(), "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    usage, *entries = re.split(r"\n  (?=--)", shown)
    required = set(re.findall(r"(?<!\[)--[\w-]+", usage.split("\n\n")[0]))
    silent = [e.split()[0] for e in entries if "default" not in e and "the same as" not in e]
    assert entries or verb in {action.split()[0] for action in ACTIONS}
    assert all(re.search(r"\s{2}[^\s(]", entry) for entry in entries), "a flag without help"
    assert set(silent) - required == set()
    assert not re.search(r"\bNone\b|\(see |Config|Dataset|load_generator", shown), "words of Python's"
    assert not re.search(r"`\w+_\w+`|--weights lists", shown), "a flag by Python's name, a verb by a flag's"


@pytest.mark.parametrize(
    ("verb", "config"),
    [
        ("train", TrainConfig),
        ("train-expert", ExpertConfig),
        ("train-motion", MotionTrainConfig),
        ("generate", GenerateOptions),
        ("preprocess", Gates),
    ],
)
def test_every_field_of_a_configuration_has_its_flag(verb, config, capsys):
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    shown = capsys.readouterr().out.replace("\n", " ")
    names = [field.name.strip("_").replace("_", "-") for field in fields(config)]
    assert [name for name in names if f"--{name} " not in shown and f"--no-{name} " not in shown] == []


def test_only_the_called_verb_loads_its_libraries():
    script = "import sys; from lipgan_colab.cli.verbs import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    generate = ["generate", "--face", "missing.jpg", "--speech", "x", "--out", "x.mp4"]  # said before it is loaded
    for asked in (["fetch", "--corpus", "grid", "--out", "x"], generate):
        done = subprocess.run([sys.executable, "-c", script, *asked], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "False"
    assert done.stderr == "error: missing.jpg: there is no such file\n"
