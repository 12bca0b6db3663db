"""Where things live: a folder that lasts (Drive on Colab), and this machine's own fast disk beside it.

raw/       archives and videos as they came
shards/    preprocessed data
runs/      one folder a training
results/   finished videos
"""

import hashlib
import importlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tqdm.auto import tqdm

from lipgan_colab.errors import InputError, counted, reading
from lipgan_colab.files import NotWritten, make_folder, written_whole

DRIVE = Path("/content/drive")  # where Colab mounts it; its own folder in it is MyDrive
COLAB_DISK = Path("/content/lipgan-local")
PATIENCE = (1, 5, 30)  # seconds between tries to read a Drive that errs
CHUNK = 4 << 20  # bytes
SHOWN = 5  # names of many
PACKAGES = ("torch", "numpy", "av", "mediapipe")


def on_colab() -> bool:
    """Whether this is a Colab machine."""
    return "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in os.environ


def local_folder(folder: str | Path) -> Path:
    """The counterpart on Colab's own disk of a folder on Drive; elsewhere the folder itself.

    Raises:
        InputError: Drive is not mounted. Writing there would fill its mount point, and it could not be mounted then.
    """
    folder = Path(os.path.abspath(folder))
    if not folder.is_relative_to(DRIVE):
        return folder
    if not os.path.ismount(DRIVE):
        raise InputError(f"{folder}: Drive is not mounted; mount it first, as open_workspace() does")
    return COLAB_DISK / folder.relative_to(DRIVE)


class FreeSpace(NamedTuple):
    """Free bytes in the folder that lasts, and on this machine's own disk."""

    lasting: int
    local: int


@dataclass(frozen=True)
class Workspace:
    """The folders of a project.

    Attributes:
        root: what lasts.
        local: the same on this machine's own disk, which is fast; `root` itself where that is on it already.
        lasts: False where even `root` is gone with the session.
    """

    root: Path
    local: Path
    lasts: bool = True

    @property
    def raw(self) -> Path:
        """Archives and videos as they came."""
        return self.root / "raw"

    @property
    def shards(self) -> Path:
        """Preprocessed data, one folder a corpus."""
        return self.root / "shards"

    @property
    def runs(self) -> Path:
        """One folder a training."""
        return self.root / "runs"

    @property
    def results(self) -> Path:
        """Finished videos."""
        return self.root / "results"

    def stage(self, shards: str | Path) -> Path:
        """Copy a folder of shards to this machine's own disk, and return where they are there.

        Only what is missing or has changed is copied, and each file is compared with its SHA-256 in the manifest;
        interrupted, it goes on where it stopped. Where there is no other disk, nothing is copied.

        Args:
            shards: a name in `self.shards`, or a folder.

        Raises:
            InputError: no shards there, no room for them, or one of them is damaged or cannot be read.
        """
        source = self.shards / shards
        files = _patiently(lambda: sorted(source.glob("shard-*.safetensors")), source)
        if not files:
            raise InputError(f"{source}: holds no shard-*.safetensors; preprocess videos into it first")
        if self.local == self.root:
            return source
        inside = source.relative_to(self.root) if source.is_relative_to(self.root) else Path("shards", source.name)
        target = self.local / inside
        make_folder(target)
        manifest = source / "manifest.json"
        sums = _checksums(manifest)
        for stray in target.glob("shard-*.safetensors"):
            if not (source / stray.name).exists():
                stray.unlink()  # it belongs to an earlier version of the corpus
        missing = [f for f in files if _stamp(f) != _stamp(target / f.name)]
        size = sum(f.stat().st_size for f in missing)
        if size > shutil.disk_usage(target).free:
            raise InputError(f"{target}: no room for {size / 1e9:.1f} GB of shards; make room, or use fewer of them")
        with tqdm(total=size, unit="B", unit_scale=True, desc=f"stage {source.name}", disable=not missing) as progress:
            for file in missing:
                _patiently(lambda f=file: _fetch(f, target / f.name, sums.get(f.name), progress), file)
        if manifest.exists():
            with written_whole(target / manifest.name) as unfinished:
                unfinished.write_bytes(_patiently(manifest.read_bytes, manifest))
        return target

    def free_space(self) -> FreeSpace:
        """How much room there is."""
        return FreeSpace(shutil.disk_usage(self.root).free, shutil.disk_usage(self.local).free)

    def flush(self) -> None:
        """Return only when everything written so far has reached Drive, or the disk.

        Raises:
            InputError: Drive cannot be written out, or not be mounted again.
        """
        if self.root.is_relative_to(DRIVE) and on_colab():
            drive = importlib.import_module("google.colab.drive")
            before = os.getcwd()
            os.chdir("/")  # a mount that is somebody's working folder cannot be unmounted
            try:
                drive.flush_and_unmount()
            except Exception as error:  # whatever Colab raises has to become one line
                raise InputError(
                    f"{DRIVE}: not all has reached Drive ({_first_line(error)}); call flush() again"
                ) from error
            _mount_drive()
            os.chdir(before)
        else:
            os.sync()

    def check_up(self, say: Callable[[str], None] = print) -> bool:
        """Say what this machine is and how much room there is; returns whether it has a GPU.

        What that means for a training is said where one begins: nothing else here needs a GPU.
        """
        import torch

        from lipgan_colab.device import describe, pick_device

        device, free = pick_device(), self.free_space()
        say(f"device     {describe(device)}")
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        say(f"memory     {memory / 1e9:.1f} GB, {counted(os.cpu_count(), 'core')}")
        say(f"disk       {free.local / 1e9:.1f} GB free in {self.local}")
        kept = "" if self.lasts else " (NOT kept: gone with this session)"
        say(f"workspace  {free.lasting / 1e9:.1f} GB free in {self.root}{kept}")
        say(f"versions   Python {platform.python_version()}, {', '.join(_versions())}, CUDA {torch.version.cuda}")
        return device.type != "cpu"


def open_workspace(name: str = "lipgan", drive: str | Path = "auto", say: Callable[[str], None] = print) -> Workspace:
    """The project's folders, made where they are missing.

    Args:
        name: the folder's name in MyDrive; elsewhere a folder, from the current one.
        drive: "auto" mounts Drive on Colab; "off" never does; a path is a folder to use like Drive.
        say: takes lines for a person.

    Raises:
        InputError: Drive could not be mounted (not: the person refused it, or there is none for this account; then the
            workspace is on Colab's disk, with a loud warning), or the folder cannot be written to.
    """
    if str(drive) not in ("auto", "off"):
        root = Path(os.path.abspath(drive)) / name
        workspace = Workspace(root, local_folder(root))
    elif not on_colab():
        root = Path(os.path.abspath(name))
        workspace = Workspace(root, root)
    elif drive == "auto" and _mount_drive(say):
        root = DRIVE / "MyDrive" / name
        workspace = Workspace(root, local_folder(root))
    else:
        root = COLAB_DISK / name
        say(f"!!! {root} is on this session's own disk: it will NOT last. Download what you want to keep.")
        workspace = Workspace(root, root, lasts=False)
    for folder in (workspace.raw, workspace.shards, workspace.runs, workspace.results, workspace.local):
        make_folder(folder)
    return workspace


def _mount_drive(say: Callable[[str], None] = print) -> bool:
    """Mount Drive, also one whose connection broke. False where the person refused, or Colab has no Drive here."""
    drive = importlib.import_module("google.colab.drive")
    try:
        drive.mount(str(DRIVE))
        if not _answers():
            drive.mount(str(DRIVE), force_remount=True)
    except NotImplementedError as error:
        say(f"there is no Drive on this kind of Colab ({_first_line(error)})")
        return False
    except Exception as error:  # ValueError, an error class of Colab's own, pexpect's: all have to become one line
        if type(error).__name__ == "MessageError":
            say(f"Drive was refused ({_first_line(error)}); run this again to allow it")
            return False
        if in_the_way := _in_the_way():
            more = f" and {len(in_the_way) - SHOWN} more" if in_the_way[SHOWN:] else ""
            raise InputError(
                f"{DRIVE}: Drive cannot be mounted over what lies in this folder, on this machine's own disk: "
                f"{', '.join(in_the_way[:SHOWN])}{more}; "
                "move it elsewhere, or delete it (your Drive keeps what is in it), then run this again"
            ) from error
        raise InputError(
            f"{DRIVE}: Drive could not be mounted ({_first_line(error)}); run this again, or restart the session"
        ) from error
    if not _answers():
        raise InputError(f"{DRIVE}: Drive is mounted but does not answer; run this again, or restart the session")
    return True


def _answers() -> bool:
    """Whether Drive is there: a folder of that name alone, which Colab may take for it, is none."""
    try:
        os.listdir(DRIVE / "MyDrive")
    except OSError:
        return False
    return os.path.ismount(DRIVE)


def _in_the_way() -> list[str]:
    """What Drive cannot be mounted over."""
    if os.path.ismount(DRIVE) or not os.path.isdir(DRIVE):
        return []
    return sorted(os.listdir(DRIVE))


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


class _Unread(Exception):
    """A file cannot be read just now; no OSError, which would be taken for one of the disk that is written to."""


def _patiently(work: Callable, what: Path):
    """What `work` returns, tried again while the disk that is read errs."""
    for pause in (*PATIENCE, None):
        try:
            return work()
        except NotWritten:
            raise
        except (OSError, _Unread) as error:
            if pause is None:
                reason = getattr(error, "strerror", None) or error
                raise InputError(f"{what}: cannot be read ({reason}); mount Drive again") from error
            time.sleep(pause)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    return about.st_size, about.st_mtime_ns


def _checksums(manifest: Path) -> dict[str, str]:
    """The shards' SHA-256 by name, as far as they are known."""
    import json

    if not manifest.exists():
        return {}  # preprocessing is still going on
    with reading(manifest, "not a manifest", "preprocess again, it will be made anew"):
        shards = json.loads(manifest.read_text(encoding="utf-8"))["shards"]
        return {str(shard["name"]): str(shard["sha256"]) for shard in shards}


def _fetch(source: Path, target: Path, sha256: str | None, progress: tqdm) -> None:
    """Copy a file whole, with its time, which tells later that it is there."""
    digest, about, before = hashlib.sha256(), source.stat(), progress.n
    try:
        with written_whole(target) as unfinished:
            with unfinished.open("wb") as writing:
                for chunk in _chunks(source):
                    digest.update(chunk)
                    writing.write(chunk)
                    progress.update(len(chunk))
            if unfinished.stat().st_size != about.st_size:
                raise _Unread(f"only {unfinished.stat().st_size} of {about.st_size} bytes came")
            if sha256 is not None and digest.hexdigest() != sha256:
                raise InputError(
                    f"{source}: damaged (its SHA-256 is not the manifest's); delete it and preprocess again"
                )
            os.utime(unfinished, ns=(about.st_mtime_ns, about.st_mtime_ns))
    except (OSError, _Unread):
        progress.update(before - progress.n)
        raise


def _chunks(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as reading:
            while chunk := reading.read(CHUNK):
                yield chunk
    except OSError as error:
        raise _Unread(error.strerror or error) from error


def _versions() -> list[str]:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} MISSING")
    return found
