"""Pretrained weights by name: what there is, where it comes from, what its licence permits, and its download."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lipgan_colab.download import DownloadError, download, one_at_a_time, shown_address
from lipgan_colab.errors import InputError
from lipgan_colab.files import file_sha256, written_whole

EXPORT = "generator.safetensors"  # what a run folder holds for everybody else
OF_RUNS = ("config.json", "checkpoints")  # what tells that a folder is a run's
ASSETS = Path(__file__).parents[1] / "assets"  # what comes with the package
FOLDER_VARIABLE = "LIPGAN_WEIGHTS"  # a folder that outlives the machine, such as one on Drive
CACHE = Path("~/.cache/lipgan_colab/weights").expanduser()

DRIVE = "https://drive.google.com/uc?id="
WAV2LIP_PAGE = "https://huggingface.co/camenduru/Wav2Lip/tree/main/checkpoints"  # the authors' own links are dead
_MIRROR = "https://huggingface.co/camenduru/Wav2Lip/resolve/main/checkpoints"
_MIRROR_2 = "https://huggingface.co/numz/wav2lip_studio/resolve/main/Wav2lip"
_MIRROR_3 = "https://huggingface.co/Nekochu/Wav2Lip/resolve/main"
WAV2LIP_LICENCE = "Wav2Lip's weights are for personal, research and other non-commercial use only (trained on LRS2)"
LIPGAN_LICENCE = (
    "LipGAN's code is under the MIT licence; its weights were trained on LRS2, "
    "which the BBC licenses for non-commercial research only"
)


@dataclass(frozen=True)
class Pretrained:
    """Weights that can be had by a name.

    Attributes:
        what: what they are.
        file: their name on disk.
        urls: where they are downloaded from, tried in this order.
        page: where a person finds them.
        licence: its terms and what it permits.
        megabytes: about how large the file is (1 MB = 1 000 000 bytes).
        sha256: of the file, where it is known; else the one of the first download is noted beside it.
        bundled: they come with the package.
    """

    what: str
    file: str
    urls: tuple[str, ...]
    page: str
    licence: str
    megabytes: int
    sha256: str | None = None
    bundled: bool = False


PRETRAINED = {
    "starter": Pretrained(
        "what comes with the package: the default generator, which moves the own pixels of any face",
        "starter.safetensors",
        (),
        "lipgan_colab/assets/README.md",
        "learnt from the GRID corpus (Cooke, Barker, Cunningham and Shao 2006), CC BY 4.0",
        1,
        bundled=True,
    ),
    "lipgan-starter": Pretrained(
        "what comes with the package: a small LipGAN generator, hears MFCC",
        "lipgan_starter.safetensors",
        (),
        "lipgan_colab/assets/README.md",
        "learnt from the GRID corpus (Cooke, Barker, Cunningham and Shao 2006), CC BY 4.0",
        11,
        bundled=True,
    ),
    "expert": Pretrained(
        "what comes with the package: our own sync expert, by which evaluate judges",
        "expert.safetensors",
        (),
        "lipgan_colab/assets/README.md",
        "learnt from the GRID corpus (Cooke, Barker, Cunningham and Shao 2006), CC BY 4.0",
        2,
        bundled=True,
    ),
    "lipgan": Pretrained(
        "LipGAN's residual generator, hears MFCC",
        "lipgan_residual.h5",
        (f"{DRIVE}1ZTIt0XII4ZPulMNZbq2yg0x7zQBG6n9e",),
        "https://drive.google.com/file/d/1ZTIt0XII4ZPulMNZbq2yg0x7zQBG6n9e/view",
        LIPGAN_LICENCE,
        286,
    ),
    "lipgan-mel": Pretrained(
        "LipGAN's residual generator, hears mel (the authors' branch without MATLAB)",
        "lipgan_residual_mel.h5",
        (f"{DRIVE}1DtXY5Ei_V6QjrLwfe7YDrmbSCDu6iru1",),
        "https://drive.google.com/file/d/1DtXY5Ei_V6QjrLwfe7YDrmbSCDu6iru1/view",
        LIPGAN_LICENCE,
        199,
    ),
    "wav2lip": Pretrained(
        "Wav2Lip's generator: accurate lips",
        "wav2lip.pth",
        (f"{_MIRROR}/wav2lip.pth", f"{_MIRROR_2}/wav2lip.pth", f"{_MIRROR_3}/wav2lip.pth"),
        WAV2LIP_PAGE,
        WAV2LIP_LICENCE,
        436,
        "b78b681b68ad9fe6c6fb1debc6ff43ad05834a8af8a62ffc4167b7b34ef63c37",
    ),
    "wav2lip-gan": Pretrained(
        "Wav2Lip's generator trained against the quality discriminator: sharper, a little less accurate",
        "wav2lip_gan.pth",
        (f"{_MIRROR}/wav2lip_gan.pth", f"{_MIRROR_2}/wav2lip_gan.pth", f"{_MIRROR_3}/wav2lip_gan.pth"),
        WAV2LIP_PAGE,
        WAV2LIP_LICENCE,
        436,
        "ca9ab7b7b812c0e80a6e70a5977c545a1e8a365a6c49d5e533023c034d7ac3d8",
    ),
    "wav2lip-gan-2025": Pretrained(
        "Wav2Lip's generator that its README links since 2025 (TorchScript)",
        "Wav2Lip-SD-GAN.pt",
        (f"{DRIVE}15G3U08c8xsCkOqQxE38Z2XXDnPcOptNk",),
        "https://drive.google.com/file/d/15G3U08c8xsCkOqQxE38Z2XXDnPcOptNk/view",
        WAV2LIP_LICENCE,
        145,
    ),
    "syncnet": Pretrained(
        "Wav2Lip's lip-sync expert (colour SyncNet)",
        "lipsync_expert.pth",
        (f"{_MIRROR}/lipsync_expert.pth",),
        WAV2LIP_PAGE,
        WAV2LIP_LICENCE,
        197,
        "9b9936c721696446eeed353032cab242a8cf0eed8c46cde540366f6ae5493be5",
    ),
    "wav2lip-quality": Pretrained(
        "Wav2Lip's quality discriminator",
        "visual_quality_disc.pth",
        (f"{_MIRROR}/visual_quality_disc.pth", f"{_MIRROR_3}/visual_quality_disc.pth"),
        WAV2LIP_PAGE,
        WAV2LIP_LICENCE,
        169,
        "b3f8f6f7e954af02f2ffe0f3ea11f3259af89bff6e70933001c7c6bc8c145d96",
    ),
}


def find_weights(source: str | Path, what: str = "generator", export: str = EXPORT) -> tuple[Path, str]:
    """The file of weights that somebody names, and the licence that restricts its use ("" where none does).

    Args:
        source: a run folder, a file, or a name in `PRETRAINED`, which is downloaded once.
        what: what is wanted, for the error's text.
        export: the file in a run folder.

    Raises:
        InputError: there is no such thing.
    """
    path = Path(source)
    if str(source) in PRETRAINED and not os.path.exists(path):
        entry = PRETRAINED[str(source)]
        return fetch(entry), "" if entry.bundled else entry.licence  # our own restrict nothing
    if os.path.isdir(path):
        if (path / export).exists():
            return path / export, ""
        if any((path / name).exists() for name in OF_RUNS):
            raise InputError(f"{source}: no {export} in this run folder; train until its first checkpoint")
        raise InputError(f"{source}: this folder is no run, it has no {export}; give the one that train was given")
    if not os.path.exists(path):
        names = ", ".join(name for name, entry in PRETRAINED.items() if what in entry.what or what == "network")
        raise InputError(f"{source}: no such weights; give a run folder, a file of weights, or one of {names}")
    return path, ""


def weights_folder() -> Path:
    """Where downloaded weights lie: the folder in the environment variable LIPGAN_WEIGHTS, or the user's cache."""
    return Path(os.environ.get(FOLDER_VARIABLE) or CACHE).expanduser()


def fetch(weights: str | Pretrained, folder: str | Path | None = None) -> Path:
    """The file of pretrained weights; downloaded if it is not there yet, and checked.

    Args:
        weights: a name in `PRETRAINED`, or an entry like those.
        folder: where it lies or is put; None takes `weights_folder`.

    Raises:
        InputError: it cannot be fetched (the message says from where to fetch it by hand, and where to put it), or
            the file that is there is not the one that it was.
    """
    entry = PRETRAINED[weights] if isinstance(weights, str) else weights
    if entry.bundled:
        if not (ASSETS / entry.file).is_file():
            raise InputError(f"{entry.file} is missing from the package; install it anew, or choose other weights")
        return ASSETS / entry.file
    path = Path(folder or weights_folder()) / entry.file
    try:
        if not path.is_file():
            _download(entry, path)
        _check(entry, path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; set {FOLDER_VARIABLE} to a folder that can be written") from error
    return path


def _download(entry: Pretrained, path: Path) -> None:
    reasons = []
    for url in entry.urls:
        try:
            if url.startswith(DRIVE):
                download_from_drive(url, path, entry.sha256)
            else:
                download(url, path, entry.sha256)
            return
        except DownloadError as error:
            reason = str(error).split(";")[0].removeprefix(f"{path.name} not downloaded: ")
            reasons.append(f"{urlsplit(url).netloc}: {reason}")
    raise DownloadError(
        f"{entry.file} not downloaded ({'; '.join(reasons)}); try again, which goes on where it broke, "
        f"or fetch it by hand from {entry.page} and put it at {path}"
    )


def download_from_drive(url: str, path: Path, sha256: str | None = None) -> None:
    """Fetch a file from Google Drive to `path` through gdown, once for all who want it; it appears whole and checked
    (see `download`), or not at all. Raises DownloadError.

    A broken download is gone on with by the next call.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with one_at_a_time(path.parent):
            if not path.is_file():  # or somebody else fetched it meanwhile
                _fetch_from_drive(url, path, sha256)
    except Exception as error:  # gdown's own exceptions differ between its releases, and requests' come through
        raise DownloadError(f"{path.name} not downloaded: {shown_address(' '.join(str(error).split()))}") from error


def _fetch_from_drive(url: str, path: Path, sha256: str | None) -> None:
    import gdown

    whole = path.with_name(f".{path.name}.drive")
    if gdown.download(url, str(whole), resume=True) is None:
        raise OSError(f"several unfinished downloads; delete {whole}*.part")
    with whole.open("rb") as file:
        head = file.read(512).lstrip().lower()
    reason = None
    if head.startswith((b"<!doctype", b"<html")):
        reason = "a web page came instead of the file, as Drive sends it when too many people fetched it"
    elif sha256 is not None and file_sha256(whole) != sha256:
        reason = "what came is not the file expected (its SHA-256 differs)"
    if reason:
        whole.unlink()
        raise OSError(reason)
    os.replace(whole, path)


def _check(entry: Pretrained, path: Path) -> None:
    """Compare with the SHA-256 that is known or was noted; note it where there is neither."""
    note = path.with_name(f"{path.name}.sha256")
    found = file_sha256(path)
    expected = entry.sha256 or (note.read_text(encoding="utf-8").split()[0] if note.is_file() else None)
    if expected is None:
        with written_whole(note) as unfinished:
            unfinished.write_text(f"{found}  {path.name}\n", encoding="utf-8")
    elif found != expected:
        raise InputError(f"{path}: not the file expected (its SHA-256 differs); delete it, and it is fetched again")
