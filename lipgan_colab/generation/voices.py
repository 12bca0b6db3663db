"""Many voices for one film, one after the other."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm.auto import tqdm

from lipgan_colab.corpora.lists import COMMENT, read_lines
from lipgan_colab.errors import InputError, counted
from lipgan_colab.files import fitting, make_folder, written_whole
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.report import GenerateReport
from lipgan_colab.generation.setting import check_files, speaking_generator
from lipgan_colab.generation.turns import beside
from lipgan_colab.media.encoding import ENDINGS
from lipgan_colab.models.interface import Generator

KNOWN = "made.json"  # in the folder of the results


@dataclass
class VoicesReport:
    """What became of many voices.

    Attributes:
        made: what was made now.
        there: results that were there already, and were left alone.
        skipped: what could not be made, and why.
    """

    made: list[GenerateReport] = field(default_factory=list)
    there: list[Path] = field(default_factory=list)
    skipped: list[InputError] = field(default_factory=list)

    def __str__(self) -> str:
        text = f"{counted(len(self.made), 'voice')} made"
        if self.there:
            text += f", {len(self.there)} there already"
        if self.skipped:
            text += f", {len(self.skipped)} skipped:"
        return "\n".join([text, *(f"skipped {error.line}" for error in self.skipped)])


def generate_voices(
    face: str | Path,
    voices: str | Path | Sequence[str | Path],
    weights: str | Path | Generator,
    out: str | Path,
    options: GenerateOptions = GenerateOptions(),  # noqa: B008 (it is frozen)
    device: str | None = None,
    on_made: Callable[[GenerateReport], None] = lambda report: None,
) -> VoicesReport:
    """Let one face speak many clips, each to a video of its own. Run again, it goes on.

    Args:
        face, weights, options, device: as of `generate`.
        voices: files with sound; or a text file with one in each line, which are looked for beside it.
        out: folder of the results, which are named after the voices; what is there already, made of the same in the
            same way, is left alone (made.json says of what they are made).
        on_made: called after each.

    Raises:
        InputError: the face or the weights cannot be used, or none of the voices.
    """
    listed = isinstance(voices, str | Path)
    files = voices_in(voices) if listed else [Path(voice) for voice in voices]
    if not files:
        raise InputError(f"{voices if listed else out}: there is no voice; give at least one file with sound")
    check_files(face, [])
    out, report = make_folder(out), VoicesReport()
    generator = speaking_generator(weights, device, options.window_offset)
    known = _read_known(out / KNOWN)
    for voice, path in zip(tqdm(files, desc="voices", unit="voice"), _results(files, out, options), strict=True):
        try:
            of = _made_of(face, voice, generator, options)
            if path.exists() and known.get(path.name) == of:
                report.there.append(path)
                continue
            if path.exists():
                cure = "remove it, or choose another folder"
                raise InputError(f"{path}: this is there already, and not made of this voice in this way; {cure}")
            report.made.append(generate(face, voice, generator, path, options, device))
            known[path.name] = of
            with written_whole(out / KNOWN) as unfinished:
                unfinished.write_text(json.dumps(known, indent=1), encoding="utf-8")
            on_made(report.made[-1])
        except InputError as error:
            report.skipped.append(error)
    if not (report.made or report.there):
        raise report.skipped[0]
    return report


def voices_in(path: str | Path) -> list[Path]:
    """The files that a text file names, one in each line; what begins with # is for people."""
    lines = read_lines(path, "give a text file with the path of a voice in each line")
    names = [line.strip() for _, line in lines if not line.lstrip().startswith(COMMENT)]
    return [beside(path, name) for name in names]


def _made_of(face: str | Path, voice: Path, generator: Generator, options: GenerateOptions) -> str:
    """All that a result depends on, as a hash: of files their size and time."""
    told = [repr(replace(options, batch_size=1, cache=True)), getattr(generator, "source", type(generator).__name__)]
    for path in (Path(face), voice, getattr(generator, "file", None)):
        if path is not None and path.exists():
            told += [os.fsdecode(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns]
    return hashlib.sha256(repr(told).encode(errors="surrogatepass")).hexdigest()


def _read_known(path: Path) -> dict[str, str]:
    """Of what the results in a folder are made; {} where that is not known."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _results(voices: Sequence[Path], out: Path, options: GenerateOptions) -> list[Path]:
    """Where each voice's video goes: two of one name are told apart by numbers."""
    ending, names, paths = ENDINGS[options.codec][0], set(), []
    for voice in voices:
        number, name = 1, voice.stem
        while name in names:
            number += 1
            name = f"{voice.stem}-{number}"
        names.add(name)
        paths.append(fitting(out / f"{name}{ending}"))
    return paths
