"""Results marked for machines and people, and what a file says of itself.

Two marks: XMP, which everything reads and anybody can change; and, where c2pa-python is installed, a signed C2PA
manifest, by which a file is known to be as it was signed. The film's other metadata stay as they are.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lipgan_colab.errors import CONTROL, InputError, reason_of
from lipgan_colab.media import c2pa_manifest, xmp
from lipgan_colab.media.c2pa_manifest import Manifest
from lipgan_colab.media.container import films, opened
from lipgan_colab.media.image import is_image
from lipgan_colab.media.made import OURS, Made, made_with, sentence, shown
from lipgan_colab.media.signing import CERTIFICATE, KEY, MADE_ON_THE_SPOT, MOST_BYTES, signature
from lipgan_colab.media.xmp import Mark

# By the kind of a result.
MEDIA_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
}
ADD_XMP = {"png": xmp.add_to_png, "jpg": xmp.add_to_jpeg, "jpeg": xmp.add_to_jpeg}
PACKAGES = {"c2pa": "c2pa-python"}  # whose modules are not called as they are

SYNTHETIC = {  # IPTC's digital source types that tell of it
    "trainedAlgorithmicMedia": "made by AI",
    "compositeWithTrainedAlgorithmicMedia": "made by AI in parts",
    "algorithmicMedia": "made by an algorithm",
    "compositeSynthetic": "made by a computer in parts",
    "algorithmicallyEnhanced": "enhanced by an algorithm",
}
LONGEST_VALUE = 300  # characters that are shown of a value in a file
MOST_SHOWN = 8  # of ingredients, and of actions
DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # they turn around what stands behind them


def mark_file(path: Path, made: Made, kind: str) -> list[str]:
    """Mark a finished file as synthetic, in place: XMP, and a C2PA manifest over it.

    Whatever goes wrong with a mark, the file stays whole, and without that mark.

    Args:
        path: the film or picture, of any name; or the folder of frames.
        made: how it was made.
        kind: "mp4", "mov", "png" (also of a folder), "jpg" or "jpeg".

    Returns:
        What it says now, or why it does not: a line for each mark.
    """
    files = sorted(path.glob("*.png")) if path.is_dir() else [path]
    return [_with_xmp(files, made, kind), _signed(files, made, kind)]


def said_before(path: Path) -> str:
    """In what way a film or photo says that it is synthetic already, in words; "" where it does not."""
    try:
        told = told_by(path)
    except InputError:  # it is no file that says anything
        return ""
    changed = told.manifest is not None and told.manifest.state == "changed"
    return told.synthetic + (", and changed after it was signed" if told.synthetic and changed else "")


def check_signing() -> None:
    """Raises InputError where the environment names a certificate that cannot be used: for before long work."""
    if os.environ.get(CERTIFICATE) or os.environ.get(KEY):
        with suppress(ImportError):  # then nothing is signed, and that is said
            signature()


def _with_xmp(files: Iterable[Path], made: Made, kind: str) -> str:
    weights = f"weights {shown(made.weights)}" + (f", SHA-256 {made.weights_sha256}" if made.weights_sha256 else "")
    version = "; ".join(filter(None, (xmp.release(), weights)))
    mark = Mark(xmp.SYNTHETIC_IN_PARTS, made_with(), sentence(made), xmp.now(), xmp.TOOL, version)
    try:
        for file in files:
            ADD_XMP.get(kind, xmp.add_to_film)(file, xmp.packet(mark))
    except Exception as error:  # whatever it is, the film is there
        return f"its XMP does not say that it is synthetic ({_line(error)})"
    return f"its XMP says that it was {SYNTHETIC['compositeWithTrainedAlgorithmicMedia']}"


def _signed(files: Iterable[Path], made: Made, kind: str) -> str:
    try:
        by = signature()
        parts = c2pa_manifest.ingredients(made)
        for file in files:
            c2pa_manifest.sign(file, MEDIA_TYPES[kind], made, parts, by)
    except ImportError as error:
        return f"it has no C2PA manifest: {_missing(error)}"
    except Exception as error:  # whatever it is, the film is there
        return f"it has no C2PA manifest ({_line(error)})"
    if by.own:
        return "its C2PA manifest is signed with your certificate"
    return f"its C2PA manifest is signed with a certificate {MADE_ON_THE_SPOT}"


def _missing(error: ImportError) -> str:
    package = PACKAGES.get(error.name or "", error.name or "c2pa-python")
    return f"{package} is not here (pip install --no-deps {package})"


def _line(error: Exception) -> str:
    return error.line if isinstance(error, InputError) else reason_of(error)


@dataclass(frozen=True)
class Told:
    """What a file says of itself.

    Attributes:
        path: the file.
        manifest: its C2PA manifest, checked; None where it has none, or where that could not be looked at.
        unchecked: why there is a manifest that could not be looked at, or "".
        xmp: what it says in XMP, or None.
        description: what its other metadata say, where that is ours; or "".
        others: what they say where it is not: titles, descriptions and comments.
    """

    path: Path
    manifest: Manifest | None = None
    unchecked: str = ""
    xmp: Mark | None = None
    description: str = ""
    others: tuple[str, ...] = ()

    @property
    def synthetic(self) -> str:
        """In what way it says that it is synthetic, in words; "" where it does not."""
        manifest = self.manifest or Manifest("unread")
        own = _synthetic((*manifest.source_types, self.xmp.source_type if self.xmp else ""))
        if own or self.description:
            return own or SYNTHETIC["compositeWithTrainedAlgorithmicMedia"]
        of_parts = _synthetic(manifest.source_types_of_parts)
        return f"made of something that was {of_parts}" if of_parts else ""

    def __str__(self) -> str:
        path = CONTROL.sub(" ", str(self.path))
        words = [f"in words, which anybody can write: {_clean(text)}" for text in self.others[:MOST_SHOWN]]
        if not (self.manifest or self.unchecked or self.xmp or self.description):
            nothing = (
                "this file says nothing of itself that a machine can check"
                if words
                else "this file says nothing of itself"
            )
            return "\n".join([f"{path}: {nothing}; that proves nothing about how it was made", *words])
        unread = self.unchecked or (self.manifest and self.manifest.state == "unread")
        how = "something of itself that cannot be read here" if unread else "something of itself, and nothing of AI"
        how = f"that it was {self.synthetic}" if self.synthetic else how
        lines = [f"{path}: this file says {how}", *(_manifest_lines(self.manifest) if self.manifest else ())]
        if self.unchecked:
            lines.append(f"C2PA manifest: there is one, and it was not looked at: {self.unchecked}")
        if self.xmp:
            said = (_source(self.xmp.source_type), self.xmp.tool, self.xmp.date, self.xmp.description)
            lines.append(f"XMP: {'; '.join(_clean(text) for text in said if text)}")
        if self.description:
            lines.append(f"description: {_clean(self.description)}")
        if not (self.manifest or self.unchecked):
            lines.append("nobody has signed this: anybody can write it, or take it away")
            if self.description:
                gone = "the C2PA manifest is" if self.xmp else "XMP and the C2PA manifest are"
                lines.append(f"{gone} not there: copies and other encodings leave them behind")
        return "\n".join(lines + words)


def told_by(path: str | Path, trust: str | Path | None = None) -> Told:
    """What a film, picture or sound says of itself: what can be read, and what of it holds.

    Args:
        path: the file.
        trust: PEM file of certificates whose word on signers counts, such as C2PA's trust list; None takes nobody's.

    Raises:
        InputError: it is missing, or no picture, film or sound; or `trust` is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'this is a folder; give a file' if path.is_dir() else 'there is no such file'}")
    trusted = _certificates(trust) if trust is not None else ""
    manifest, unchecked = None, ""
    try:
        manifest = c2pa_manifest.read_manifest(path, trusted)
    except ImportError as error:
        if c2pa_manifest.carries_manifest(path):
            unchecked = _missing(error)
    told = Told(path, manifest, unchecked, xmp.read_xmp(path))
    try:
        ours, others = _metadata(path)
        return replace(told, description=ours, others=others)
    except InputError:
        if told == Told(path):
            raise
        return told  # it was damaged after it was marked


def _certificates(path: str | Path) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read(MOST_BYTES)
    except OSError as error:
        raise InputError(f"{path}: these certificates cannot be read ({reason_of(error)})") from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise InputError(f"{path}: there is no certificate in this file; give one of PEM")
    return text


def _metadata(path: Path) -> tuple[str, tuple[str, ...]]:
    """What a film's or sound's metadata say: what we wrote, and what others did. InputError where it is neither, and no
    photo."""
    if is_image(path):
        return "", ()
    with opened(path) as container:
        if not (films(container) or container.streams.audio):
            raise InputError(f"{path}: this is no picture, video or sound")
        said = {name.lower(): text for name, text in container.metadata.items()}
    words = [said[name].strip() for name in ("title", "comment", "description") if said.get(name, "").strip()]
    ours = [text for text in words if text.startswith(OURS)]
    return next((text for text in ours if text != OURS), ""), tuple(text for text in words if text not in ours)


def _manifest_lines(manifest: Manifest) -> Iterable[str]:
    why = f" ({'; '.join(_clean(text) for text in manifest.failures)})" if manifest.failures else ""
    if manifest.state == "unread":
        yield f"C2PA manifest: there is one, but it cannot be read{why}"
        return
    if manifest.state == "changed":
        yield f"C2PA manifest: the file was CHANGED after it was signed{why}; what it says may not hold any more"
    elif manifest.state == "invalid":
        yield f"C2PA manifest: it does not hold{why}"
    else:
        yield "C2PA manifest: whole; picture and sound are as they were signed"
    yield _signer(manifest)
    names = [action.removeprefix("c2pa.") for action in manifest.actions]
    tool = _clean(manifest.tool) or "a tool that it does not name"
    yield f"made with {tool}: {_listed(names) or 'it does not say how'}"
    yield from (_clean(text) for text in manifest.descriptions[:MOST_SHOWN])
    if manifest.ingredients:
        yield f"made of: {_listed([name for name, _ in manifest.ingredients])}"
    yield from (f"of that it was said: {_clean(text)}" for text in manifest.history[:MOST_SHOWN])
    yield from (f"{_clean(name)} was CHANGED after it was signed" for name in manifest.changed_before[:MOST_SHOWN])


def _signer(manifest: Manifest) -> str:
    when = f" on {_clean(manifest.signed)}" if manifest.signed else ""
    if manifest.known:
        return f'signed{when} by "{_clean(manifest.signer)}", for whom the certificates that you trust vouch'
    if manifest.signer.startswith(MADE_ON_THE_SPOT):
        return f"signed{when} with a certificate {MADE_ON_THE_SPOT}: it does not tell by whom"
    nobody = "for whom nobody vouches here (`trust` names who may)"
    return f'signed{when} by somebody called "{_clean(manifest.signer)}", {nobody}'


def _synthetic(addresses: Iterable[str]) -> str:
    """In words the first of some digital source types that tells of something synthetic, or ""."""
    names = (address.rpartition("/")[2] for address in addresses)
    return next((SYNTHETIC[name] for name in names if name in SYNTHETIC), "")


def _source(address: str) -> str:
    name = address.rpartition("/")[2]
    return f"{SYNTHETIC[name]} ({name})" if name in SYNTHETIC else name


def _listed(names: list[str]) -> str:
    return ", ".join(_clean(name) for name in names[:MOST_SHOWN]) + (", …" if len(names) > MOST_SHOWN else "")


def _clean(text: str) -> str:
    """A value out of a file, as it can be shown."""
    text = DIRECTIONS.sub("", CONTROL.sub(" ", text[: 4 * LONGEST_VALUE])).encode(errors="replace").decode()
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
