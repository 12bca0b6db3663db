"""Load and save a generator's weights."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lipgan_colab.errors import InputError
from lipgan_colab.files import written_whole
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator

EXPORT = "generator.safetensors"  # what a run folder holds for everybody else


def save_generator(path: str | Path, generator: LipGANGenerator, about: dict | None = None) -> None:
    """Write a generator as one .safetensors file, whole or not at all.

    Args:
        path: the file to make.
        generator: its weights are written in float32, its configuration into the header.
        about: plain data for the header: where the weights come from (step, corpus, licence).
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in generator.state_dict().items()}
    header = {"generator": json.dumps(asdict(generator.config)), "about": json.dumps(about or {})}
    with written_whole(path) as unfinished:
        save_file(tensors, unfinished, header)


def load_generator(source: str | Path, device: str | torch.device = "cpu") -> LipGANGenerator:
    """A generator ready to generate (evaluation mode) from a run folder or a .safetensors file.

    Raises:
        InputError: there is no such file, or it does not hold a whole generator.
    """
    path = Path(source)
    if path.is_dir():
        path = path / EXPORT
        if not path.exists():
            raise InputError(f"{source}: no {EXPORT} in this run folder; train until its first checkpoint")
    if not path.exists():
        raise InputError(f"{source}: no such weights; give a run folder or a .safetensors file")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        generator = LipGANGenerator(GeneratorConfig(**json.loads(header["generator"])))
        generator.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{path}: not a whole LipGAN generator ({reason}); fetch or export it again") from error
    return generator.eval().to(device, memory_format=torch.channels_last)
