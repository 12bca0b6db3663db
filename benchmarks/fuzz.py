"""What becomes of files that are damaged, or made to hurt: are they read, or refused in one line?

PYTHONPATH=. python benchmarks/fuzz.py [--seconds 60] [--seed 0] [--kinds film,tar] [--only film:123] [--keep DIR]

Of each kind of file that is read, small whole ones are mutated: bits flipped, blocks cut, repeated and swapped, lengths
set to extremes, and, where a checksum or a frame would catch all that, what is inside of the frame (JSON headers,
pickles, HDF5's attributes). Each is read by its public reader in a process of its own with a limit on memory. A finding
is anything but success or one line that names the file: a traceback, a crash, more than 500 MB, more than 10 s.

File n of a kind is made of the seed and n alone, so `--only KIND:N` with the same seed makes it again. The whole files
are drawn; real ones from ../shared/data are added where they are.
"""

import argparse
import io
import itertools
import json
import multiprocessing
import os
import pickletools
import random
import resource
import shutil
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import av
import h5py
import numpy as np
import torch
from PIL import Image

from lipgan_colab.corpora.unpack import unpack
from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.syncnet import load_syncnet
from lipgan_colab.faces.mesh import kept_points
from lipgan_colab.media.image import is_image, read_image
from lipgan_colab.media.sound import read_sound, read_speech
from lipgan_colab.media.video import probe_video, read_video
from lipgan_colab.models import keras_h5, weights
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANDiscriminator, LipGANGenerator
from lipgan_colab.models.published import Published
from lipgan_colab.models.wav2lip import SyncExpert, SyncExpertConfig
from lipgan_colab.models.weights import load_network, save_network
from lipgan_colab.shards.dataset import LipSyncDataset
from lipgan_colab.shards.film_clips import _jpeg
from lipgan_colab.shards.inspection import contact_sheet, describe
from lipgan_colab.shards.manifest import damaged_shards, out_of_sync, read_manifest, write_manifest
from lipgan_colab.shards.shard_file import Shard, UtteranceRecord, read_records, write_shard
from lipgan_colab.speech.features import SpeechInput
from lipgan_colab.training.checkpoint import load_newest_checkpoint, new_digest, write_checkpoint
from lipgan_colab.training.lease import Holder
from lipgan_colab.training.runs import status, write_config
from lipgan_colab.training.step import TrainConfig
from lipgan_colab.workspace import Workspace

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
MEMORY, SECONDS = 500e6, 10.0  # that a file may take: bytes above what the process had, and processor time
HANGS, ROOM = 40.0, 4 << 30  # seconds on the wall until a process is ended; bytes of addresses that it may add
SOUNDS = (".wav", ".mp3", ".m4a", ".ogg", ".opus")
LARGEST_SAMPLE = 300_000  # bytes
WIDTH = 0.05  # of the networks
SHARD = "shard-00000.safetensors"


@dataclass
class Kind:
    """One kind of file: whole samples by name, what reads one, and the mutations that know what is in it."""

    samples: dict[str, bytes]
    read: Callable[[Path], None]
    inside: list[Callable[[bytes, random.Random], bytes]] = field(default_factory=list)
    rename: Callable[[str, bytes, random.Random], str] = lambda name, body, rng: name  # as the mutated file is called
    beside: dict[str, bytes] = field(default_factory=dict)  # whole files that lie in the same folder


# --- mutations ---------------------------------------------------------------------------------------------------

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
TREES = (None, True, -1, 0, 1, 2**31, 10**400, 1e308, float("nan"), "", "..", "../../x", "\ud800", "a\nb", [], {})
DEEP, DEEPEST = "DEEP", "[" * 100_000 + "]" * 100_000  # the first stands for the second until the end


def mutated(body: bytes, rng: random.Random) -> bytes:
    """Bytes with one to sixteen things wrong with them."""
    body = bytearray(body)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if len(body) < 16:
            break
        place = _place(len(body), rng)
        size = min(rng.choice((1, 4, 16, 64, 512, 4096)), len(body) - place)
        match rng.randrange(9):
            case 0:
                body[place] ^= 1 << rng.randrange(8)
            case 1:
                body[place : place + size] = rng.randbytes(size)
            case 2:
                width, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
                value = (rng.choice(EXTREMES) + rng.randrange(-2, 3)) % (1 << 8 * width)
                body[place : place + width] = value.to_bytes(width, order)
            case 3:
                del body[place : place + size]
            case 4:
                body[place:place] = rng.choice((rng.randbytes(size), bytes(size), b"\xff" * size))
            case 5:
                body[place:place] = body[place : place + size] * rng.choice((1, 2, 50))
            case 6:
                other = _place(len(body), rng)
                a, b = bytes(body[place : place + size]), bytes(body[other : other + size])
                body[place : place + size], body[other : other + size] = b, a
            case 7:
                body[place : place + size] = bytes(size)
            case 8 if rng.random() < 0.3:
                del body[place:]
    return bytes(body)


def _place(size: int, rng: random.Random) -> int:
    """A place in a file: anywhere, or near its head or its end, where lengths and tables are."""
    near = min(size, rng.choice((64, 512, 4096)))
    return rng.choice((rng.randrange(size), rng.randrange(near), size - 1 - rng.randrange(near)))


def json_mutated(body: bytes, rng: random.Random) -> bytes:
    """JSON with a few values of other kinds."""
    tree = json.loads(body)
    for _ in range(rng.choice((1, 1, 2, 5))):
        tree = _tree_mutated(tree, rng)
    return json.dumps(tree).replace(f'"{DEEP}"', DEEPEST).encode()


def _tree_mutated(tree, rng: random.Random):
    if (
        isinstance(tree, str) and tree[:1] in ("{", "[") and len(tree) < len(DEEPEST) and rng.random() < 0.8
    ):  # JSON in it
        return json_mutated(tree.encode(), rng).decode()
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.1:
        if isinstance(tree, int | float) and abs(tree) < 1e100 and rng.random() < 0.5:
            return rng.choice(
                (
                    -tree,
                    tree * 2,
                    tree + 1,
                    tree - 1,
                    tree * 10**6,
                    tree / 3 if abs(tree) < 1e300 else 0,
                    f"{tree}"[:99],
                )
            )
        return rng.choice((*TREES, DEEP))
    key = rng.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
    if "__metadata__" in tree and rng.random() < 0.6:  # of safetensors: there our own things stand
        key = "__metadata__"
    if rng.random() < 0.15:
        del tree[key]
    elif isinstance(tree, dict) and rng.random() < 0.1:
        tree[rng.choice(("", "more", "a\nb"))] = tree[key]
    else:
        tree[key] = _tree_mutated(tree[key], rng)
    return tree


def safetensors_mutated(body: bytes, rng: random.Random) -> bytes:
    """A safetensors file whose header is other JSON, with the length that it has."""
    length = int.from_bytes(body[:8], "little")
    header = json_mutated(body[8 : 8 + length], rng)
    return len(header).to_bytes(8, "little") + header + body[8 + length :]


def _zip_records(body: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def zip_mutated(body: bytes, rng: random.Random) -> bytes:
    """A torch archive packed again: with another pickle, other numbers in it, or records that are deflated or huge."""
    records = _zip_records(body)
    place = rng.randrange(len(records))
    pickled = next(n for n, (name, _) in enumerate(records) if name.endswith("data.pkl"))
    packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    match rng.randrange(6):
        case 0:
            records[pickled] = records[pickled][0], mutated(records[pickled][1], rng)
        case 1 | 2:
            records[pickled] = records[pickled][0], pickle_mutated(records[pickled][1], rng)
        case 3:
            records[place] = records[place][0], bytes(rng.choice((0, 1, 10**6)) * (100 if packing else 1))
        case 4:
            del records[place]
        case 5:
            records[place] = records[place][0], mutated(records[place][1], rng)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", packing, compresslevel=1) as archive:
        for name, record in records:
            archive.writestr(name, record)
    return packed.getvalue()


def pickle_mutated(program: bytes, rng: random.Random) -> bytes:
    """A pickle with other whole numbers (sizes, strides, offsets), or other opcodes, in their places."""
    opcodes = list(pickletools.genops(program))
    for _ in range(rng.choice((1, 1, 3))):
        numbers = [n for n, (opcode, _, _) in enumerate(opcodes[:-1]) if opcode.name.startswith("BININT")]
        n = rng.choice(numbers) if numbers and rng.random() < 0.7 else rng.randrange(len(opcodes) - 1)
        start, end = opcodes[n][2], opcodes[n + 1][2]
        value = rng.choice((0, 1, -1, 2**20, 2**31 - 1, -(2**31)))
        other = rng.choice(opcodes[:-1])[2]
        new = rng.choice(
            (
                *[b"J" + struct.pack("<i", value)] * 6,
                b"\x8a\x08" + struct.pack("<q", rng.choice((2**40, 2**62))),  # LONG1
                b"r" + struct.pack("<I", 2**31 - 1),  # LONG_BINPUT
                b"\x96" + struct.pack("<Q", 2**34),  # BYTEARRAY8
                b"c__builtin__\nbytearray\n" + b"J" + struct.pack("<i", 2**31 - 1) + b"\x85R",
                program[other : other + rng.randrange(1, 40)],
                b"",
            )
        )
        program = program[:start] + new + program[end:]
        opcodes = [(o, a, p if p <= start else p + len(new) - (end - start)) for o, a, p in opcodes]
    return program


def legacy_mutated(body: bytes, rng: random.Random) -> bytes:
    """What torch wrote before it wrote archives, with other numbers in its pickles."""
    stream, ends = io.BytesIO(body), [0]
    for _ in range(5):
        list(pickletools.genops(stream))
        ends.append(stream.tell())
    n = rng.choice((3, 3, 3, 0, 1, 2, 4))
    return body[: ends[n]] + pickle_mutated(body[ends[n] : ends[n + 1]], rng) + body[ends[n + 1] :]


def h5_mutated(body: bytes, rng: random.Random) -> bytes:
    """A HDF5 file with other arrays and attributes."""
    memory = io.BytesIO(body)
    with h5py.File(memory, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        for _ in range(rng.choice((1, 1, 3))):
            with suppress(ValueError, KeyError, RuntimeError, TypeError, OSError):  # after another change it cannot be
                _h5_change(file, rng.choice(names), rng)
    return memory.getvalue()


def _h5_change(file: h5py.File, name: str, rng: random.Random) -> None:
    if name not in file:
        return
    old, shape = file[name], getattr(file[name], "shape", (3,))
    match rng.randrange(5):
        case 0:
            values = (5, 1.5, "text", b"\xff\xfe", np.arange(3), np.zeros((2, 2)), h5py.Empty("f"), ["a", "b\udcff"[0]])
            rng.choice((old, file)).attrs[rng.choice(("layer_names", "weight_names"))] = rng.choice(values)
            return
        case 1:
            del file[name]
            file.create_dataset(name, shape, rng.choice((h5py.string_dtype(), "S8", "i4", "c8", "f2", "f8", "?")))
        case 2:
            del file[name]
            file.create_dataset(name, rng.choice((shape, (10**6, 10**3), (), (0,), (2,) * 32)), "f4", fillvalue=1.0)
        case 3:
            del file[name]
            link = rng.choice((h5py.SoftLink("/"), h5py.SoftLink("/nowhere"), h5py.ExternalLink("/dev/zero", "/")))
            file[name] = link
        case 4:
            file.move(name, rng.choice(("model_weights", "a/b/c/d", f"{name}/{name}_99999999999999999999", "\n")))


def png_mutated(body: bytes, rng: random.Random) -> bytes:
    """A PNG whose chunks hold something else, with the checksums of that."""
    chunks, place = [], 8
    while place < len(body):
        length = int.from_bytes(body[place : place + 4], "big")
        chunks.append((body[place + 4 : place + 8], body[place + 8 : place + 8 + length]))
        place += 12 + length
    n = rng.randrange(len(chunks))
    if rng.random() < 0.3:
        chunks[n] = chunks[n][0], _deflated_zeros(rng.choice((0, 10**6, 10**8)))
    elif len(chunks[n][1]) >= 13:
        head = bytearray(chunks[n][1])
        struct.pack_into(">I", head, rng.choice((0, 4)), rng.choice((0, 1, 6000, 30000, 2**31 - 1)))
        chunks[n] = chunks[n][0], bytes(head)
    else:
        chunks.insert(n, (rng.choice((b"tEXt", b"zTXt", b"eXIf", b"iCCP", b"tRNS", b"PLTE")), rng.randbytes(40)))
    packed = (len(d).to_bytes(4, "big") + t + d + zlib.crc32(t + d).to_bytes(4, "big") for t, d in chunks)
    return body[:8] + b"".join(packed)


@cache
def _deflated_zeros(count: int) -> bytes:
    return zlib.compress(bytes(count), 1)


def exif_mutated(body: bytes, rng: random.Random) -> bytes:
    """A JPEG or PNG with an EXIF block in which something is wrong."""
    with Image.open(io.BytesIO(body)) as image:
        exif = Image.Exif()
        exif[0x0112], exif[0x010F], exif[0x8769] = rng.randrange(12), "camera", {0x9000: b"0230"}
        block = mutated(exif.tobytes(), rng)[:60_000]  # more does not fit into a JPEG
        saved = io.BytesIO()
        image.save(saved, image.format, exif=block)
    return saved.getvalue()


def tar_mutated(body: bytes, rng: random.Random) -> bytes:
    """A tar archive with members and extended headers that no tar would write, their checksums right."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))) as archive:
        for n in range(3):
            member = tarfile.TarInfo(rng.choice(("a.mp4", "../out", "/etc/x", "a/" * 300, "\udcff", "d", ".")) + str(n))
            member.type = rng.choice(
                (tarfile.REGTYPE,) * 4 + (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.GNUTYPE_SPARSE)
            )
            member.linkname = rng.choice(("", "..", "/", "a.mp40"))
            content = rng.randbytes(rng.choice((0, 100, 1000)))
            member.size = len(content)
            value = rng.choice(("-1", "0", "1e9", "9" * 30, str(2 << 30), "x", "", "\n"))
            if archive.format == tarfile.PAX_FORMAT:
                key = rng.choice(("size", "path", "mtime", "GNU.sparse.map", "GNU.sparse.realsize", "hdrcharset"))
                member.pax_headers = {key: value}
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    head = packed.getvalue()
    return head if rng.random() < 0.5 else head[: rng.randrange(len(head) // 512) * 512] + body


# --- readers -----------------------------------------------------------------------------------------------------


def read_picture(path: Path) -> None:
    is_image(path)
    read_image(path)


def read_any_sound(path: Path) -> None:
    read_speech(path)
    read_sound(path)


def read_by_all(path: Path, *readers: Callable[[Path], object]) -> None:
    """Each of the readers reads, though one before refused; the first refusal is raised."""
    told = []
    for read in readers:
        try:
            read(path)
        except InputError as error:
            told.append(error)
    if told:
        raise told[0]


def read_film(path: Path) -> None:
    read_by_all(path, probe_video, lambda p: [None for _ in read_video(p)], read_speech)


def read_weights(path: Path) -> None:
    load_network(path)


def read_syncnet(path: Path) -> None:
    load_syncnet(path, "cpu")


def read_tar(path: Path) -> None:
    unpack(path, path.parent / "unpacked")


def read_motion(path: Path) -> None:
    shard = Shard.open(path)
    for utterance, (start, stop) in enumerate(itertools.pairwise(shard.first_frame)):
        shard.mesh(int(start), int(stop))
        shard.voice(utterance)


def read_shard(path: Path) -> None:
    read_by_all(
        path,
        read_records,
        read_motion,
        lambda p: describe(p.parent),
        lambda p: contact_sheet(p.parent, p.parent / "sheet.jpg"),
        lambda p: write_manifest(p.parent),
        lambda p: [LipSyncDataset(p.parent, speech=s)[n] for s in ("mfcc", "mel") for n in range(3)],
        lambda p: LipSyncDataset(p.parent, skip_damaged=True)[0],
    )


def read_manifest_file(path: Path) -> None:
    out_of_sync(read_manifest(path.parent))
    LipSyncDataset(path.parent)
    read_by_all(path.parent, damaged_shards, lambda f: Workspace(f.parent, f.parent / "local").stage(f), write_manifest)


def read_checkpoint_file(path: Path) -> None:
    status(path.parents[1])
    load_newest_checkpoint(path.parent, say=lambda line: None, patience=())


def read_run(path: Path) -> None:
    status(path.parent)


# --- whole files -------------------------------------------------------------------------------------------------


def _pictures() -> dict[str, bytes]:
    y, x = np.mgrid[:90, :120]
    image = Image.fromarray(np.stack([x, y, (x * y) % 251], axis=2).astype(np.uint8))
    made = {}
    for name, mode, more in (
        ("a.jpg", "RGB", {}),
        ("b.jpg", "RGB", {"progressive": True}),
        ("c.jpg", "CMYK", {}),
        ("a.png", "RGB", {}),
        ("b.png", "P", {"transparency": 0}),
        ("c.png", "RGBA", {}),
        ("d.png", "I;16", {}),
        ("a.webp", "RGB", {}),
        ("b.webp", "RGBA", {"lossless": True}),
        ("a.gif", "P", {}),
        ("a.tif", "RGB", {"compression": "tiff_lzw"}),
        ("a.bmp", "RGB", {}),
    ):
        saved, exif = io.BytesIO(), Image.Exif()
        exif[0x0112] = 6
        more = more | ({"exif": exif} if name.endswith(("jpg", "webp")) else {})
        image.convert("L" if mode == "I;16" else mode).convert(mode).save(
            saved, {"jpg": "JPEG", "tif": "TIFF"}.get(name[2:], name[2:].upper()), **more
        )
        made[name] = saved.getvalue()
    return made


def _media(
    folder: Path, name: str, picture: str = "", sound: str = "", rate: int = 16_000, layout: str = "mono"
) -> bytes:
    """A film or sound of half a second."""
    path = folder / name
    with av.open(str(path), "w") as container:
        if picture:
            film = container.add_stream(picture, rate=25)
            film.width, film.height, film.pix_fmt = 64, 48, "yuvj420p" if picture == "mjpeg" else "yuv420p"
        if sound:
            voice = container.add_stream(sound, rate=rate, layout=layout)
        for n in range(12 if picture else 0):
            rgb = np.full((48, 64, 3), 40, np.uint8)
            rgb[n : n + 20, 2 * n : 2 * n + 20] = 200, 20 * n, 90
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, 25)
            container.mux(film.encode(frame))
        if sound:
            wave = (8000 * np.sin(np.arange(rate // 2) / 9)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            resampler = av.AudioResampler(voice.format, layout, rate, voice.codec_context.frame_size or 1024)
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(voice.encode(piece))
            container.mux(voice.encode(None))
        if picture:
            container.mux(film.encode(None))
    return path.read_bytes()


def _films(folder: Path) -> dict[str, bytes]:
    made = {
        "a.mp4": ("libx264", "aac"),
        "a.mkv": ("libx264", "flac"),
        "a.mpg": ("mpeg1video", "mp2", 44_100),
        "a.webm": ("libvpx", "libopus", 48_000),
        "a.avi": ("mjpeg", "pcm_s16le"),
        "b.mov": ("mpeg4", "pcm_s16le"),
    }
    return {name: _media(folder, name, *how) for name, how in made.items()}


def _sounds(folder: Path) -> dict[str, bytes]:
    made = {
        "a.wav": ("pcm_s16le",),
        "b.wav": ("pcm_mulaw", 8000),
        "a.mp3": ("libmp3lame", 44_100),
        "a.m4a": ("aac", 44_100, "stereo"),
        "a.ogg": ("flac",),
        "a.flac": ("flac",),
        "a.opus": ("libopus", 48_000),
    }
    return {name: _media(folder, name, "", *how) for name, how in made.items()}


def _real(folders: Sequence[str], suffixes: Sequence[str], most: int = 6) -> dict[str, bytes]:
    """The smallest real files of each kind."""
    found = {}
    for suffix in suffixes:
        paths = sorted((p for f in folders for p in (SHARED / f).glob(f"*{suffix}")), key=lambda p: p.stat().st_size)
        for path in paths[:most]:
            if 0 < path.stat().st_size < LARGEST_SAMPLE:
                found[path.name] = path.read_bytes()
    return found


def _small_networks() -> None:
    """The authors' networks are too large to be read a hundred times a second: narrower ones stand in for them."""
    keras_h5.KERAS = (
        Published("small discriminator", partial(LipGANDiscriminator, WIDTH), SpeechInput("mfcc")),
        Published("small discriminator (mel)", partial(LipGANDiscriminator, WIDTH, "mel"), SpeechInput("mel")),
    )
    weights.WAV2LIP = (
        Published("small expert", partial(SyncExpert, SyncExpertConfig(WIDTH)), SpeechInput("wav2lip", "reflect")),
    )


def _h5(folder: Path, speech: str, nested: bool) -> bytes:
    """A network as Keras would have saved it."""
    path, counts = folder / "network.h5", Counter()
    with h5py.File(path, "w") as file:
        root, layers = file.create_group("model_weights") if nested else file, []
        for module in LipGANDiscriminator(WIDTH, speech).modules():
            keras, names = next((v for cls, v in keras_h5.CLASSES.items() if isinstance(module, cls)), (None, {}))
            if keras is None:
                continue
            counts[keras] += 1
            layers.append(f"{keras}_{counts[keras]}")
            tensors = module.state_dict()
            for theirs, ours in names.items():
                array = tensors[ours].numpy()
                array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
                root.create_dataset(f"{layers[-1]}/{layers[-1]}/{theirs}:0", data=array)
        root.attrs["layer_names"] = np.array([layer.encode() for layer in layers])
    return path.read_bytes()


def _saved(content, legacy: bool = False) -> bytes:
    saved = io.BytesIO()
    torch.save(content, saved, _use_new_zipfile_serialization=not legacy)
    return saved.getvalue()


def _torchscript(folder: Path) -> bytes:
    expert = SyncExpert(SyncExpertConfig(WIDTH)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(expert, (torch.rand(1, 15, 48, 96), torch.rand(1, 1, 80, 16))).save(folder / "expert.pt")
    return (folder / "expert.pt").read_bytes()


def _shard(folder: Path, motion: bool = True) -> tuple[bytes, bytes]:
    """A shard of two clips of fourteen frames, and its manifest; without `motion` as older ones are."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    records = [
        UtteranceRecord(
            id=name,
            speaker=name[0],
            licence="noise",
            jpegs=[_jpeg(small.repeat(8, 0).repeat(8, 1), 80)] * 14,
            found=np.ones(14, bool),
            box=np.tile(np.float32([0, 0, 90, 90]), (14, 1)),
            head_pose=np.zeros((14, 3), np.float32),
            lip_landmarks=rng.uniform(0.4, 0.6, (14, 10, 2)).astype(np.float32),
            mfcc=rng.normal(size=(12, 56)),
            mel=rng.normal(size=(80, 45)),
            mesh=rng.random((14, len(kept_points()), 3)) if motion else None,
            voice=np.zeros(8960, np.int16) if motion else None,
        )
        for name in ("a/1", "b/2")
    ]
    write_shard(folder / SHARD, records, [{"id": "c", "gate": "silent", "reason": "silent"}], {"fps": 25, "size": 96})
    write_manifest(folder)
    return (folder / SHARD).read_bytes(), (folder / "manifest.json").read_bytes()


def _checkpoint(folder: Path) -> bytes:
    state = {
        "step": 7,
        "generator": {"a": torch.rand(8, 8), "b": torch.arange(3)},
        "log": {"lines": "7,1\n", "sums": {}},
    }
    return write_checkpoint(folder, 7, state).path.read_bytes()


def _tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("mvlrs_v1/main/1/a.mp4", "mvlrs_v1/main/1/a.txt", "b" * 120):
            member = tarfile.TarInfo(name)
            member.size = 700
            archive.addfile(member, io.BytesIO(bytes(range(100)) * 7))
    return packed.getvalue()


def _checkpoint_name(name: str, body: bytes, rng: random.Random) -> str:
    digest = new_digest()
    digest.update(body)
    return name if rng.random() < 0.1 else f"checkpoints/step-00000007-{digest.hexdigest()}.pt"


def kinds(folder: Path) -> dict[str, Kind]:
    """Every kind of file that is read; the whole ones are made in `folder`."""
    _small_networks()
    torch.manual_seed(0)
    generator, expert = LipGANGenerator(GeneratorConfig(WIDTH)), SyncExpert(SyncExpertConfig(WIDTH))
    save_network(folder / "generator.safetensors", generator, {"step": 3, "licence": "free"})
    save_network(folder / "half.safetensors", expert, half=True)
    state = {"state_dict": {f"module.{n}": t for n, t in expert.state_dict().items()}, "global_step": 3}
    (older, _), (shard, manifest) = _shard(folder, motion=False), _shard(folder)
    write_config(folder, vars(TrainConfig()) | {"clips": "0123"})
    config = (folder / "config.json").read_bytes()
    log = b"step,samples,minutes,samples_per_second,l1\r\n10,80,0.5,9.0,0.1\r\n"
    lease = json.dumps(asdict(Holder("0123", "host", 7, "4567", "12:00"))).encode()
    pictures = _pictures()
    jpegs_and_pngs = {n: b for n, b in pictures.items() if n.endswith((".jpg", ".png"))}
    pngs = {n: b for n, b in pictures.items() if n.endswith(".png")}
    safe = {n: (folder / n).read_bytes() for n in ("generator.safetensors", "half.safetensors")}
    keras = {"a.h5": _h5(folder, "mfcc", False), "b.h5": _h5(folder, "mel", True)}
    return {
        "picture": Kind(pictures | _real(["photos"], [".jpg"], 1), read_picture),
        "png": Kind(pngs, read_picture, [png_mutated]),
        "exif": Kind(jpegs_and_pngs, read_picture, [exif_mutated]),
        "sound": Kind(_sounds(folder) | _real(["speech"], SOUNDS, 1), read_any_sound),
        "film": Kind(_films(folder) | _real(["tricky"], [".mp4", ".webm", ".mpg"], 2), read_film),
        "h5": Kind(keras, read_weights, [h5_mutated]),
        "pth": Kind({"a.pth": _saved(state)}, read_weights, [zip_mutated]),
        "legacy pth": Kind({"a.pth": _saved(state, legacy=True)}, read_weights, [legacy_mutated]),
        "torchscript": Kind({"a.pt": _torchscript(folder)}, read_weights, [zip_mutated]),
        "syncnet": Kind({"syncnet_v2.model": _saved(state["state_dict"], True)}, read_syncnet, [legacy_mutated]),
        "safetensors": Kind(safe, read_weights, [safetensors_mutated]),
        "tar": Kind({"partaa": _tar()}, read_tar, [tar_mutated]),
        "shard": Kind({SHARD: shard, "shard-00001.safetensors": older}, read_shard, [safetensors_mutated]),
        "manifest": Kind({"manifest.json": manifest}, read_manifest_file, [json_mutated], beside={SHARD: shard}),
        "checkpoint": Kind(
            {"checkpoints/step-00000007-0123456789abcdef.pt": _checkpoint(folder)},
            read_checkpoint_file,
            [zip_mutated],
            _checkpoint_name,
        ),
        "config": Kind({"config.json": config}, read_run, [json_mutated], beside={"log.csv": log}),
        "lease": Kind({"lease.json": lease}, read_run, [json_mutated], beside={"config.json": config, "log.csv": log}),
        "log": Kind({"log.csv": log}, read_run, beside={"config.json": config}),
    }


# --- reading under limits ----------------------------------------------------------------------------------------


def file_of(kind: Kind, seed: int, number: int, name: str, folder: Path) -> Path:
    """Make file `number` of a kind in a folder."""
    rng = random.Random(f"{seed}/{name}/{number}")
    sample, body = rng.choice(sorted(kind.samples.items()))
    if kind.inside and rng.random() < 0.7:
        body = rng.choice(kind.inside)(body, rng)
        body = body if rng.random() < 0.8 else mutated(body, rng)
    else:
        body = mutated(body, rng)
    path = folder / kind.rename(sample, body, rng)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    for beside, content in kind.beside.items():
        (folder / beside).write_bytes(content)
    return path


def _memory(what: str) -> int:
    """Bytes that this process has (VmRSS), had at most (VmHWM), or has addresses for (VmSize)."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(what))


def serve(work) -> None:
    """A process that reads files: takes (reader, path), answers (outcome, what was told, bytes, seconds)."""
    _small_networks()
    torch.set_num_threads(1)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)  # libraries complain there about what is damaged
    warnings.simplefilter("ignore")
    most = _memory("VmSize") + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    work.send("ready")
    while True:
        read, path = work.recv()
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
        before, start = _memory("VmRSS"), time.process_time()
        try:
            read(path)
            outcome, told = "read", ""
        except InputError as error:
            outcome, told = "refused", str(error)
            if "\n" in told or not any(part in told for part in (path.name, str(path.parent))):
                outcome = "not one line that names the file"
        except BaseException:
            outcome, told = "traceback", traceback.format_exc(limit=-2)
        work.send((outcome, told, _memory("VmHWM") - before, time.process_time() - start))


class Reader:
    """The process that reads; ended, or dead, it is begun anew."""

    def __init__(self):
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([__name__ if __name__ != "__main__" else "torch", *PRELOADED])
        self.process = None

    def begin(self) -> None:
        """Start the process, and return when it is ready."""
        self.here, there = self.context.Pipe()
        self.process = self.context.Process(target=serve, args=(there,), daemon=True)
        self.process.start()
        there.close()
        self.here.recv()

    def read(self, read: Callable[[Path], None], path: Path) -> tuple[str, str]:
        """What became of a file, and what was told about it."""
        if self.process is None:
            self.begin()
        self.here.send((read, path))
        try:
            if not self.here.poll(HANGS):
                self.end()
                return "hang", f"more than {HANGS:.0f} s"
            outcome, told, memory, seconds = self.here.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            code = self.process.exitcode
            self.end()
            return "crash", f"its process ended ({code})"
        if outcome in ("read", "refused") and memory > MEMORY:
            return "memory", f"{memory / 1e6:.0f} MB; {told}"
        if outcome in ("read", "refused") and seconds > SECONDS:
            return "slow", f"{seconds:.0f} s; {told}"
        return outcome, told

    def end(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.here.close()
        self.process = None


PRELOADED = ["lipgan_colab.evaluation.syncnet", "lipgan_colab.training.runs", "lipgan_colab.shards.inspection", "h5py"]


def fuzz(
    seed: int = 0,
    wanted: Sequence[str] | None = None,
    seconds: float | None = None,
    files: int | None = None,
    first: int = 0,
    keep: Path | None = None,
    say: Callable[[str], None] = print,
) -> list[str]:
    """Try files of each kind, for so many seconds in all or so many of each kind; a line for each finding."""
    found = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        (Path(scratch) / "whole").mkdir()
        every = kinds(Path(scratch) / "whole")
        reader = Reader()
        reader.begin()
        chosen = list(every) if wanted is None else list(wanted)
        say(f"{'kind':12}{'files':>8}{'read':>8}{'refused':>9}{'found':>7}   seed {seed}")
        for name in chosen:
            kind, counts, start = every[name], Counter(), time.monotonic()
            for number in itertools.count(first):
                if number - first == files or (seconds and time.monotonic() - start > seconds / len(chosen)):
                    break
                folder = Path(scratch) / f"{name.replace(' ', '_')}-{number}"
                path = file_of(kind, seed, number, name, folder)
                outcome, told = reader.read(kind.read, path)
                counts[outcome] += 1
                if outcome not in ("read", "refused"):
                    found.append(f"{name}:{number} {path.name}: {outcome}: {told}")
                    say(found[-1])
                    if keep is not None:
                        keep.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(path, keep / f"{folder.name}-{path.name}")
                shutil.rmtree(folder)
            others = counts.total() - counts["read"] - counts["refused"]
            say(f"{name:12}{counts.total():>8}{counts['read']:>8}{counts['refused']:>9}{others:>7}")
        reader.end()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", help="some of them, with commas between")
    parser.add_argument("--only", metavar="KIND:N", help="this one file")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="put what was found there")
    args = parser.parse_args()
    if args.only:
        name, number = args.only.rsplit(":", 1)
        found = fuzz(args.seed, [name], files=1, first=int(number), keep=args.keep)
    else:
        found = fuzz(args.seed, args.kinds and args.kinds.split(","), args.seconds, keep=args.keep)
    print(f"{len(found)} found")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
