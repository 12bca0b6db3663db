"""Flags made of what they set: names, types and defaults are those of a function's arguments or a dataclass's fields,
and the help is what the docstring says of them, so that nothing is said twice."""

import argparse
import inspect
import re
from collections.abc import Collection
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from lipgan_colab.errors import InputError, naming_options


def as_path(text: str) -> Path:
    """A file or folder as typed. An empty name, as of a shell's variable that is not set, would be this very folder."""
    if not text:
        raise argparse.ArgumentTypeError("a name is missing")
    return Path(text)


def number(text: str) -> float:
    """A number as typed."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def whole_number(text: str) -> int:
    """A whole number as typed."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


# What reads an argument of each kind; of one that may be of several kinds, the first of these.
KINDS = {Path: as_path, float: number, int: whole_number, str: str}


def add_flags(
    parser: argparse.ArgumentParser, source: Any, names: Collection[str] = (), **changes: dict[str, Any]
) -> list[str]:
    """Add a flag for each argument of a function, or field of a dataclass (but for fields that are dataclasses).

    Args:
        parser: gets the flags; `some_name` becomes --some-name.
        source: a function or dataclass with a docstring that has Args or Attributes.
        names: which of them; all where it is empty.
        changes: for an argument of this name, what `add_argument` is to be told instead.

    Returns:
        The names of the arguments that have a flag now, for `given`.
    """
    added = []
    about = documented(source)
    parameters = inspect.signature(source, eval_str=True).parameters
    for name, parameter in parameters.items():
        if is_dataclass(parameter.annotation) or (names and name not in names):
            continue
        options = _conversion(parameter.annotation)
        if parameter.default is inspect.Parameter.empty:
            options["required"] = True
        else:
            options["default"] = parameter.default
        options |= {"help": about.get(name, "")} | changes.get(name, {})
        options["help"] = _with_default(_for_typing(options["help"], parameters), options)
        if name.endswith("_"):
            options.setdefault("metavar", name.rstrip("_").upper())
        parser.add_argument(_flag(name), dest=name, **options)
        added.append(name)
    return added


def given(args: argparse.Namespace, names: Collection[str]) -> dict[str, Any]:
    """What was given for these arguments, by their names."""
    return {name: getattr(args, name) for name in names}


def made_of(config: type, args: argparse.Namespace, **others: Any):
    """A dataclass whose fields are what was given for them; those without flags are in `others` or have defaults."""
    return config(**{field.name: getattr(args, field.name) for field in fields(config) if field.name in args}, **others)


def documented(source: Any) -> dict[str, str]:
    """What the Args or Attributes of a docstring say of each name, in one line."""
    text = f"{inspect.getdoc(source) or ''}\n"  # none under python -OO
    section = re.search(r"^(?:Args|Attributes):\n((?:(?: {4}.*)?\n)*)", text, re.MULTILINE)
    entries = re.findall(r"^ {4}([\w, ]+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.MULTILINE)
    return {name: " ".join(text.split()) for names, text in entries for name in names.split(", ")}


def as_typed(text: object) -> str:
    """What the package says, with options named as they are typed: --reference-mouth own."""
    line = text.line if isinstance(text, InputError) else str(text)
    return naming_options(line, lambda name, value: f"{_flag(name)} {value}" if value else _flag(name))


def _conversion(annotation: Any) -> dict[str, Any]:
    if annotation is bool:
        return {"action": "store_true"}
    if get_origin(annotation) is tuple:
        return {"type": KINDS[get_args(annotation)[0]], "nargs": len(get_args(annotation))}
    of = get_args(annotation) or (annotation,)
    return {"type": next((reads for kind, reads in KINDS.items() if kind in of), str)}


def _flag(name: str) -> str:
    return f"--{name.rstrip('_').replace('_', '-')}"  # from_ is what Python makes of a word of its own


def _for_typing(text: str, names: Collection[str]) -> str:
    """A docstring's text for those who type: other arguments by their flags, and no word on where to read on."""
    text = re.sub(r" \(see `[^)]*`\)", "", text)
    return re.sub(r"`(\w+)`", lambda found: _flag(found[1]) if found[1] in names or "_" in found[1] else found[0], text)


def _with_default(text: str, options: dict[str, Any]) -> str:
    """A help text that tells the default; where that is None, the docstring says what it stands for."""
    default = options.get("default")
    text = re.sub(r"[.;] None takes ", "; by default ", text.rstrip("."))
    text = re.sub(r"\bNone(?: takes|:) ", "by default ", text)
    if options.get("required") or (default is None and "default" in text):
        told = ""
    elif default is None or default is False or default == "":
        told = " (default: off)" if default is False else " (default: none)"
    else:
        shown = default if isinstance(default, tuple) else (default,)
        told = f" (default: {' '.join(f'{v:g}' if isinstance(v, float) else str(v) for v in shown)})"
    return (text + told).replace("%", "%%")
