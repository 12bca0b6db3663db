"""Load and save networks: our own .safetensors, the authors' .h5 and .pth, and named weights."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lipgan_colab.device import memory_format
from lipgan_colab.errors import InputError, reading
from lipgan_colab.files import open_tensors, written_whole
from lipgan_colab.models.generators import TrainedGenerator, build_generator
from lipgan_colab.models.interface import Generator
from lipgan_colab.models.keras_h5 import read_keras
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANDiscriminator
from lipgan_colab.models.motion import MotionConfig
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.pretrained import EXPORT, find_weights
from lipgan_colab.models.published import WAV2LIP, Published, to_our_channels
from lipgan_colab.models.state_dict import read_state_dict
from lipgan_colab.models.wav2lip import (
    QualityDiscriminator,
    SyncExpert,
    SyncExpertConfig,
    Wav2LipConfig,
    Wav2LipGenerator,
)
from lipgan_colab.speech.features import SpeechInput

EXPERT = "expert.safetensors"  # what the run folder of an expert holds for everybody else
SYNC_EXPERT = "sync_expert"  # in `about`: fingerprints of the experts that a generator was trained to please
GENERATORS = (*get_args(TrainedGenerator), Wav2LipGenerator, MotionNetwork)


def _generator_config(config: dict) -> GeneratorConfig:
    """A generator's configuration in a header; in older ones `residual` says of which of the authors' two it is."""
    config = dict(config)
    if "residual" in config:
        residual = config.pop("residual")
        if not isinstance(residual, bool):
            raise InputError(f"residual is true or false, not {residual!r}")
        config["blocks"] = "residual" if residual else "basic"
    return GeneratorConfig(**config)


# How a network in one of our files is built from the configuration in its header.
BUILD = {
    **dict.fromkeys(("LipGANGenerator", "WarpingGenerator"), lambda config: build_generator(_generator_config(config))),
    "LipGANDiscriminator": lambda config: LipGANDiscriminator(**config),
    "Wav2LipGenerator": lambda config: Wav2LipGenerator(Wav2LipConfig(**config)),
    "SyncExpert": lambda config: SyncExpert(SyncExpertConfig(**config)),
    "MotionNetwork": lambda config: MotionNetwork(MotionConfig(**config)),
    "QualityDiscriminator": lambda config: QualityDiscriminator(),
}
# What they are to a person.
IN_WORDS = {
    **dict.fromkeys(("LipGANGenerator", "WarpingGenerator"), "a generator"),
    "Wav2LipGenerator": "a generator of Wav2Lip",
    **dict.fromkeys(("LipGANDiscriminator", "QualityDiscriminator"), "a discriminator"),
    "SyncExpert": "a sync expert",
    "MotionNetwork": "a motion network",
}


def load_generator(source: str | Path, device: str | torch.device = "cpu") -> Generator:
    """A generator ready to generate (evaluation mode).

    Whatever it is, it is called as `generator(faces, speech)` with RGB faces, the reference before the masked target.
    It carries what else must be known: `speech_input` (feature, window, offset), `face_size` (pixels), `config`, and
    `about` (where the weights are from, their licence), which is said where the licence restricts their use; and
    `source` and `file`, what it was loaded from.

    Args:
        source: a run folder; a .safetensors file of ours; LipGAN's Keras .h5; Wav2Lip's .pth; or the name of
            pretrained weights (`lipgan-colab weights` lists them), which are downloaded once.
        device: where to put it.

    Raises:
        InputError: there is no such thing, or it is not a whole generator; the first misfit is named.
    """
    return _load(source, device, GENERATORS, "generator")


def load_expert(source: str | Path, device: str | torch.device = "cpu") -> SyncExpert:
    """A sync expert ready to judge, our own or Wav2Lip's: see `load_generator`."""
    return _load(source, device, (SyncExpert,), "sync expert", EXPERT)


def load_network(source: str | Path, device: str | torch.device = "cpu") -> nn.Module:
    """Any network in evaluation mode, generators and discriminators: see `load_generator`, and for what is in a file
    of the authors' `published`."""
    return _load(source, device, (nn.Module,), "network")


def _load(
    source: str | Path, device: str | torch.device, wanted: tuple[type, ...], what: str, export: str = EXPORT
) -> nn.Module:
    path, licence = find_weights(source, what, export)
    networks = _read(path)
    network = next((n for n in networks if isinstance(n, wanted)), None)
    if network is None:
        raise InputError(f"{source}: this is {in_words(networks[0])}, and a {what} is wanted; give another file")
    network.source, network.file = str(source), path
    if licence:
        network.about["licence"] = licence
    if network.about.get("licence"):
        print(f"{path.name}: {network.about['licence']}", file=sys.stderr)
    return network.eval().to(device, memory_format=memory_format(torch.device(device)))


def save_network(path: str | Path, network: nn.Module, about: dict | None = None, half: bool = False) -> None:
    """Write a network as one .safetensors file, whole or not at all.

    Args:
        path: the file to make.
        network: its weights are written as they are; its configuration and what it hears, into the header.
        about: plain data for the header: where the weights come from (step, corpus, licence).
        half: as float16, in half the space; read back they are float32 again, rounded to 3 digits.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    if half:
        tensors = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    header = {"network": _kind(network), "config": asdict(network.config) if hasattr(network, "config") else {}}
    if hasattr(network, "speech_input"):
        header["speech_input"] = asdict(network.speech_input)
    header["about"] = about or {}
    with written_whole(path) as unfinished:
        save_file(tensors, unfinished, {name: json.dumps(value) for name, value in header.items()})


save_generator = save_network


def in_words(network: nn.Module) -> str:
    """What a network is, for a person: a generator, a motion network, …"""
    return IN_WORDS[_kind(network)]


def _kind(network: nn.Module) -> str:
    """The name in `BUILD` of a network's class, or of the one that it is derived from."""
    return next(cls.__name__ for cls in type(network).__mro__ if cls.__name__ in BUILD)


def _read(path: Path) -> list[nn.Module]:
    """The networks in a file, which says by its first bytes what it is. Raises InputError."""
    with reading(path, "cannot be read", "look at its rights, or fetch it again"), path.open("rb") as file:
        head = file.read(512)
    start = head.lstrip().lower()
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        networks = []
        for published, network, tensors in read_keras(path):
            networks.append(_filled(path, published, network, tensors))
        return networks
    if head.startswith((b"PK\x03\x04", b"\x80\x02")):  # a zip archive, or what torch wrote before 1.6: pickles
        return [_read_wav2lip(path)]
    if head[8:9] == b"{":
        return [_read_ours(path)]
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        raise InputError(
            f"{path}: a web page, not weights (Google Drive sends one when too many people fetched a file); "
            "delete it and fetch it by hand in a browser, or tomorrow"
        )
    reason = "not a file of weights" if head else "an empty file"
    raise InputError(f"{path}: {reason}; give a .safetensors of ours, LipGAN's .h5 or Wav2Lip's .pth")


def _filled(path: Path, published: Published, network: nn.Module, tensors: dict[str, Tensor]) -> nn.Module:
    """A published network with the authors' weights, in our order of channels."""
    to_our_channels(network, tensors)
    network.load_state_dict(tensors, assign=True)
    network.speech_input = published.speech_input
    network.about = {"from": path.name, "what": published.what}
    if published.licence:
        network.about["licence"] = published.licence
    return network


def _read_ours(path: Path) -> nn.Module:
    with reading(path, "not a whole network of ours", "fetch or export it again"):
        with open_tensors(path, "pt") as file:
            header = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
        # Older files hold LipGAN's generator, and call its configuration "generator".
        kind = header.get("network", "LipGANGenerator")
        config = header["config"] if "network" in header else header["generator"]
        with torch.device("meta"):
            network = BUILD[kind](config)
        if "speech_input" in header:
            speech_input = SpeechInput(**header["speech_input"])
            if speech_input.kind != network.speech_input.kind:
                raise ValueError(f"a network for {network.speech_input.kind} cannot hear {speech_input.kind}")
            network.speech_input = speech_input
        network.about = dict(header.get("about", {}))
    _check_fit(path, kind, network, tensors)
    network.load_state_dict(_in_full(tensors), assign=True)
    return network


def _in_full(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same, all but whole numbers as float32."""
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def _read_wav2lip(path: Path) -> nn.Module:
    """One of Wav2Lip's networks from its state dict, with or without `module.` and what it is wrapped in."""
    tensors = read_state_dict(path)
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    with torch.device("meta"):
        candidates = [(published, published.build()) for published in WAV2LIP]
    published, network = max(candidates, key=lambda c: _likeness(c[1].state_dict(), tensors))
    if _likeness(network.state_dict(), tensors) < 0.5:
        raise InputError(f"{path}: none of Wav2Lip's networks; give a Wav2Lip .pth")
    _check_fit(path, published.what, network, tensors)
    return _filled(path, published, network, _in_full(tensors))


def _likeness(wanted: Iterable[str], found: Iterable[str]) -> float:
    """How many names the two have in common: 0 none, 1 all."""
    wanted, found = set(wanted), set(found)
    return 2 * len(wanted & found) / (len(wanted) + len(found))


def _check_fit(path: Path, what: str, network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """InputError that names the first weight that is missing, misshapen, of the wrong type or one too many."""
    wanted = network.state_dict()
    for name in [*wanted, *tensors]:
        if name not in tensors:
            misfit = f"the weight {name} is missing"
        elif name not in wanted:
            misfit = f"the weight {name} is one too many"
        elif tensors[name].shape != wanted[name].shape:
            misfit = f"the weight {name} is {tuple(tensors[name].shape)} and should be {tuple(wanted[name].shape)}"
        elif tensors[name].is_floating_point() != wanted[name].is_floating_point():
            misfit = f"the weight {name} is {tensors[name].dtype} and should be {wanted[name].dtype}"
        else:
            continue
        raise InputError(f"{path}: not a whole {what}: {misfit}; fetch or save the file again")
