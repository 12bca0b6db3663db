"""Many voices for one film, one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tqdm.auto import tqdm

from lipgan_colab.corpora.lists import COMMENT, read_lines
from lipgan_colab.errors import InputError, counted
from lipgan_colab.files import fitting, make_folder
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.report import GenerateReport
from lipgan_colab.generation.setting import check_files, ready_generator
from lipgan_colab.models.weights import Generator

ENDINGS = {"prores": ".mov", "png": ""}  # of results; others are .mp4


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
    device: str | torch.device | None = None,
    on_made: Callable[[GenerateReport], None] = lambda report: None,
) -> VoicesReport:
    """Let one face speak many clips, each to a video of its own. Run again, it goes on.

    Args:
        face, weights, options, device: as of `generate`.
        voices: files with sound; or a text file with one in each line, which are looked for beside it.
        out: folder of the results, which are named after the voices; those that are there are left alone.
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
    generator = ready_generator(weights, device, options.window_offset)
    for voice, path in zip(tqdm(files, desc="voices", unit="voice"), _results(files, out, options), strict=True):
        if path.exists():
            report.there.append(path)
            continue
        try:
            report.made.append(generate(face, voice, generator, path, options, device))
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
    return [there if (there := Path(path).parent / name).exists() else Path(name) for name in names]


def _results(voices: Sequence[Path], out: Path, options: GenerateOptions) -> list[Path]:
    """Where each voice's video goes: two of one name are told apart by numbers."""
    ending, names, paths = ENDINGS.get(options.codec, ".mp4"), set(), []
    for voice in voices:
        number, name = 1, voice.stem
        while name in names:
            number += 1
            name = f"{voice.stem}-{number}"
        names.add(name)
        paths.append(fitting(out / f"{name}{ending}"))
    return paths
