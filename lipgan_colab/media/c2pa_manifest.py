"""C2PA manifests ("Content Credentials"): what was done to which film, by what, signed; written, and checked.

As the C2PA specification 2.4 has it: a dubbed film was opened, the speech placed into it, the lips edited; what a photo
became was created, of that photo and a speech. The weights are an input of kind model, and in `c2pa.ai-disclosure`.
Nothing here uses the network, unless the user names a time stamp authority.
"""

import json
import mimetypes
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lipgan_colab.errors import InputError, reason_of
from lipgan_colab.files import file_sha256, written_whole
from lipgan_colab.media.image import AVIF_BRANDS, HEIF_BRANDS, is_image
from lipgan_colab.media.made import Made, sentence, shown
from lipgan_colab.media.signing import Signature
from lipgan_colab.media.xmp import SCANNED, SYNTHETIC_IN_PARTS, TOOL, now, release

MANIFEST = b"jumdc2pa"  # how every manifest begins (JUMBF's description box, and C2PA's kind: 11.1.4.1)
HEADS = (  # how files begin, what they have from their eighth byte on, and what they are then
    (b"\x89PNG", b"", "image/png"),
    (b"\xff\xd8\xff", b"", "image/jpeg"),
    (b"RIFF", b"WAVE", "audio/wav"),
    (b"RIFF", b"WEBP", "image/webp"),
    (b"RIFF", b"AVI ", "video/avi"),
    (b"fLaC", b"", "audio/flac"),
    (b"ID3", b"", "audio/mpeg"),
)
MANIFEST_ROOM = 1 << 16  # bytes: what a manifest takes, and more
SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    "builder": {"thumbnail": {"enabled": False}},  # nobody's face goes where it was not put
    "core": {"allowed_network_hosts": []},
}
UNKNOWN_SIGNER = "signingCredential.untrusted"
ELSEWHERE = "Remote: "  # how c2pa-python's error begins where a file has but the address of its manifest
CHANGED = ("Hash.mismatch", "Hash.malformed")  # how the codes end where the content is not what was signed
MOST_FAILURES = 5  # that are told


@dataclass(frozen=True)
class Manifest:
    """What a C2PA manifest says, and whether that holds. Every text in it is somebody's, and to be cleaned when shown.

    Attributes:
        state: "whole" where nothing was changed since it was signed; "changed" where something was; "invalid" where it
            does not validate for another reason; "unread" where it cannot be read.
        failures: why, where it is not whole.
        known: whether somebody who is trusted vouches for the signer.
        signer: whom the certificate names.
        signed: when, as a time stamp authority tells; "" without.
        tool: what made it, as it says.
        actions: what was done, such as c2pa.opened.
        source_types: how it came to be (IPTC's digital source types).
        source_types_of_parts: how what it was made of came to be, as the manifests of that say.
        ingredients: what it was made of: (name, relationship).
        descriptions: what was done, in sentences.
        history: the same of what it was made of, as its own manifests say.
        changed_before: which of what it was made of had been changed after it was signed, by their names.
    """

    state: str
    failures: tuple[str, ...] = ()
    known: bool = False
    signer: str = ""
    signed: str = ""
    tool: str = ""
    actions: tuple[str, ...] = ()
    source_types: tuple[str, ...] = ()
    source_types_of_parts: tuple[str, ...] = ()
    ingredients: tuple[tuple[str, str], ...] = ()
    descriptions: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    changed_before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ingredient:
    """An ingredient: its `entry` in a manifest, and the file, if that has a manifest of its own to be carried along."""

    entry: dict[str, Any]
    path: Path | None = None


def ingredients(made: Made) -> list[Ingredient]:
    """What a result was made of: the film or photo first, then what was spoken, then the weights.

    A file that has a manifest brings it along. Of all others the name, the format and the SHA-256 are kept.
    """
    relation = "componentOf" if is_image(made.face) else "parentOf"
    parts = [_part("face", made.face, relation)]
    parts += [_part(f"speech{n}", speech, "componentOf") for n, speech in enumerate(made.speeches)]
    entry = _entry("weights", made.weights, "inputTo", made.weights_sha256)
    return [*parts, Ingredient(entry | {"data_types": [{"type": "c2pa.types.model"}]})]


def _part(label: str, path: Path, relation: str) -> Ingredient:
    entry = _entry(label, path, relation, file_sha256(path))
    return Ingredient(entry, path if carries_manifest(path) and read_manifest(path) else None)


def _entry(label: str, path: Path | str, relation: str, digest: str | None) -> dict[str, Any]:
    entry = {"label": label, "title": shown(path), "format": _media_type(Path(path)), "relationship": relation}
    return entry | ({"description": f"SHA-256 {digest}"} if digest else {})


def _media_type(path: Path) -> str:
    """What a file is: by its content, where it is of a kind that can have a manifest, for its name may be any."""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(12)
        for begins, then, media_type in HEADS:
            if head.startswith(begins) and then in (b"", head[8:12]):
                return media_type
        if head[4:8] == b"ftyp" and head[8:12] not in HEIF_BRANDS + AVIF_BRANDS:
            return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
    return mimetypes.guess_type(f"file{path.suffix}")[0] or "application/octet-stream"


def definition(made: Made, parts: list[Ingredient]) -> dict[str, Any]:
    """The manifest of a result, as c2pa-python takes it, but for ingredients that come with a manifest."""
    agent = {"name": TOOL} | ({"version": release()} if release() else {})
    edited = {"digitalSourceType": SYNTHETIC_IN_PARTS, "softwareAgent": agent, "description": sentence(made)}
    edited |= {"when": now(), "parameters": {"ingredientIds": ["weights"]}}
    if made.parts:
        times = [{"type": "npt", "start": f"{first:.3f}", "end": f"{last:.3f}"} for first, last in made.parts]
        edited["changes"] = [{"region": [{"type": "temporal", "time": time} for time in times]}]
    placed = [part.entry["label"] for part in parts if part.entry["relationship"] == "componentOf"]
    if "face" in placed:
        actions = [{"action": "c2pa.created"} | edited]
    else:
        actions = [{"action": "c2pa.opened", "parameters": {"ingredientIds": ["face"]}}]
    actions += [{"action": "c2pa.placed", "parameters": {"ingredientIds": [label]}} for label in placed]
    if "face" not in placed:
        actions += [{"action": "c2pa.edited"} | edited]
    model = {"modelType": "c2pa.types.model.pytorch", "modelName": shown(made.weights)}
    if made.weights_sha256:
        model["modelIdentifier"] = f"sha256:{made.weights_sha256}"
    return {
        "claim_generator_info": [agent],
        "ingredients": [part.entry for part in parts if part.path is None],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": "c2pa.ai-disclosure", "data": model},
        ],
    }


def sign(path: Path, media_type: str, made: Made, parts: list[Ingredient], by: Signature) -> None:
    """Put a signed manifest into a file, in its place. Whole or not at all.

    Args:
        path: the file, of any name.
        media_type: what it is, such as video/mp4.
        made: what is told.
        parts: its ingredients.
        by: who signs.

    Raises:
        ImportError: c2pa-python is not here.
        InputError: it was not signed; the file is as it was.
    """
    import c2pa

    if shutil.disk_usage(path.parent).free < path.stat().st_size + MANIFEST_ROOM:  # or the error would say nothing
        raise InputError("it was not signed, for which there must be room for it twice; make room there")
    hosts = [_host(by.time_stamps)] if by.time_stamps else []
    settings = SETTINGS | {"core": {"allowed_network_hosts": hosts}}
    try:
        with (
            c2pa.Context(c2pa.Settings.from_dict(settings)) as context,
            c2pa.Builder(definition(made, parts), context) as builder,
            c2pa.Signer.from_info(c2pa.C2paSignerInfo(by.algorithm, by.chain, by.key, by.time_stamps)) as signer,
        ):
            for part in parts:
                if part.path is not None:
                    with part.path.open("rb") as file:
                        builder.add_ingredient(part.entry, part.entry["format"], file)
            with written_whole(path) as beside, path.open("rb") as source, beside.open("w+b") as signed:
                builder.sign(signer, media_type, source, signed)
    except c2pa.C2paError as error:
        raise InputError(f"it was not signed ({reason_of(error)})") from error


def _host(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def carries_manifest(path: str | Path) -> bool:
    """Whether there seems to be a manifest in a file: at its beginning or end, where all formats have it."""
    length = Path(path).stat().st_size
    with open(path, "rb") as file:
        for at in {0, max(0, length - SCANNED)}:
            file.seek(at)
            if MANIFEST in file.read(SCANNED):
                return True
    return False


def read_manifest(path: str | Path, trusted: str = "") -> Manifest | None:
    """What a file's manifest says, checked; None where there is none, or of a kind that cannot have any.

    Args:
        path: any media file.
        trusted: certificates (PEM) whose word counts; without any, no signer is known.

    Raises:
        ImportError: c2pa-python is not here.
    """
    import c2pa

    settings = SETTINGS | ({"trust": {"trust_anchors": trusted}} if trusted else {})
    try:
        with (
            open(path, "rb") as file,
            c2pa.Context(c2pa.Settings.from_dict(settings)) as context,
            c2pa.Reader(file, context=context) as reader,
        ):
            return _told(json.loads(reader.json()))
    except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported):
        return None
    except (c2pa.C2paError, ValueError) as error:
        if str(error).startswith(ELSEWHERE):
            address = str(error).partition(" url ")[2]
            return Manifest("unread", (f"it lies elsewhere, and nothing is fetched: {address}",))
        return Manifest("unread", (reason_of(error),)) if carries_manifest(path) else None


def _told(store: dict[str, Any]) -> Manifest:
    manifests = store.get("manifests", {})
    active = manifests.get(store.get("active_manifest"), {})
    results = store.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    failures = [failure for failure in results if failure.get("code") != UNKNOWN_SIGNER]
    state = "invalid" if failures or store.get("validation_state") == "Invalid" else "whole"
    if any(str(failure.get("code")).endswith(CHANGED) for failure in failures):
        state = "changed"
    signature = active.get("signature_info") or {}
    actions = list(_actions(active))
    used = sorted(active.get("ingredients") or [], key=lambda ingredient: ingredient.get("relationship") != "parentOf")
    names = [str(signature[name]) for name in ("common_name", "issuer") if signature.get(name)]
    agent = (active.get("claim_generator_info") or [{}])[0]
    return Manifest(
        state=state,
        failures=tuple(str(failure.get("explanation") or failure.get("code")) for failure in failures[:MOST_FAILURES]),
        known=store.get("validation_state") == "Trusted",
        signer=", ".join(names),
        signed=str(signature.get("time") or ""),
        tool=f"{agent.get('name') or active.get('claim_generator') or ''} {agent.get('version') or ''}".strip(),
        actions=tuple(str(action.get("action")) for action in actions),
        source_types=_source_types(active),
        source_types_of_parts=tuple(kind for m in manifests.values() if m is not active for kind in _source_types(m)),
        ingredients=tuple((str(i.get("title")), str(i.get("relationship"))) for i in used),
        descriptions=_descriptions(active),
        history=tuple(told for m in manifests.values() if m is not active for told in _descriptions(m)),
        changed_before=tuple(str(ingredient.get("title")) for ingredient in used if _is_changed(ingredient)),
    )


def _descriptions(manifest: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(action["description"]) for action in _actions(manifest) if action.get("description"))


def _is_changed(ingredient: dict[str, Any]) -> bool:
    results = (ingredient.get("validation_results") or {}).get("activeManifest") or {}
    return any(str(failure.get("code")).endswith(CHANGED) for failure in results.get("failure") or [])


def _source_types(manifest: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(a["digitalSourceType"]) for a in _actions(manifest) if a.get("digitalSourceType"))


def _actions(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for assertion in manifest.get("assertions") or []:
        if str(assertion.get("label")).startswith("c2pa.actions"):
            yield from (assertion.get("data") or {}).get("actions") or []
