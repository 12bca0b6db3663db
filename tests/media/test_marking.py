"""Results say that they are synthetic, are not changed by it, and what is said of a file is true of it."""

import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_media import clicking_speech, flashing_frames
from PIL import Image, PngImagePlugin

from lipgan_colab.cli.verbs import main
from lipgan_colab.errors import InputError
from lipgan_colab.files import file_sha256
from lipgan_colab.media import signing, xmp
from lipgan_colab.media.made import Made
from lipgan_colab.media.marking import check_signing, mark_file, told_by
from lipgan_colab.media.writing import write_video

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
NAME = 'Zoë "the\u202e voice"\n\x1b[31m & <b>' + "ก" * 70


@pytest.fixture(autouse=True)
def nobodys_certificate(monkeypatch):
    for name in (signing.CERTIFICATE, signing.KEY, signing.TIME_STAMPS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def c2pa():
    return pytest.importorskip("c2pa")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A finished film that is not marked. Not to be changed."""
    path = tmp_path_factory.mktemp("plain") / "plain.mp4"
    write_video(path, flashing_frames(25), 25, clicking_speech(1, 0.5), comment="Weights: starter")
    return path


@pytest.fixture
def film(plain, tmp_path):
    return Path(shutil.copy(plain, tmp_path / "film.mp4"))


@pytest.fixture
def made(plain, tmp_path):
    speech = tmp_path / "speech of a kind.of-its-own"
    speech.write_bytes(b"heard")
    return Made("starter", "ab" * 32, plain, (speech,), consent=True)


def pictures_and_sound(path):
    content = []
    for kind in ("video", "audio"):
        with av.open(str(path)) as container:
            frames = container.decode(**{kind: 0}) if getattr(container.streams, kind) else ()
            content += [(frame.pts, zlib.crc32(frame.to_ndarray().tobytes())) for frame in frames]
    return content


def encoded(path, codec, pix_fmt, sound, **options):
    """A film of these codecs, in the container that its name asks for."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        picture = container.add_stream(codec, rate=25, options={"preset": "ultrafast", **options})
        picture.height, picture.width, picture.pix_fmt = 48, 64, pix_fmt
        heard = container.add_stream(sound, rate=16_000, layout="mono")
        for n, rgb in enumerate(flashing_frames(25)):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = n, Fraction(1, 25)
            container.mux(picture.encode(frame))
        frame = av.AudioFrame.from_ndarray(np.arange(16_000, dtype=np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
        container.mux(heard.encode(frame))
        container.mux(picture.encode(None) + heard.encode(None))


def manifest_of(c2pa, path):
    """(state, active manifest) as the library's own reader has it."""
    with open(path, "rb") as file, c2pa.Reader(file) as reader:
        return reader.get_validation_state(), reader.get_active_manifest()


def copied(path, out, codecs):
    """What FFmpeg makes of a film: of its streams, "copy", or of its pictures alone, encoded anew."""
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        if codecs == "copy":
            target.metadata.update(source.metadata)
            streams = {stream: target.add_stream_from_template(stream) for stream in source.streams}
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream]
                    target.mux(packet)
            return out
        stream = target.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for frame in source.decode(video=0):
            target.mux(stream.encode(frame.reformat(format="yuv420p")))
        target.mux(stream.encode(None))
    return out


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "sound", "options"),
    [
        ("h264.mp4", "libx264", "yuv420p", "aac", {}),
        ("hevc.mp4", "libx265", "yuv420p", "mp2", {"x265-params": "log-level=none:bframes=0"}),
        ("hevc.mov", "libx265", "yuv420p", "pcm_s16le", {"x265-params": "log-level=none:bframes=0"}),
        ("prores.mov", "prores_ks", "yuv422p10le", "pcm_s16le", {}),
    ],
)
def test_marking_changes_no_picture_and_no_sound(tmp_path, made, c2pa, name, codec, pix_fmt, sound, options):
    path = tmp_path / name
    if sound == "aac":
        write_video(path, flashing_frames(25), 25, clicking_speech(1, 0.5))
    else:
        encoded(path, codec, pix_fmt, sound, **options)
    before, part = pictures_and_sound(path), path.rename(tmp_path / f".{name}.1-2-3.part")
    said = mark_file(part, made, path.suffix[1:])
    assert "says that it was made by AI" in said[0] and "manifest is signed" in said[1]
    part.rename(path)
    assert pictures_and_sound(path) == before and len(before) > 25
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    told = told_by(path)
    assert told.manifest.state == "whole" and told.xmp.source_type == COMPOSITE
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, made.speeches[0].name])


def test_the_librarys_own_reader_finds_nothing_but_a_stranger(film, made, tmp_path, c2pa):
    mark_file(film, made, "mp4")
    with film.open("rb") as file, c2pa.Reader(file) as reader:
        failures = reader.get_validation_results()["activeManifest"]["failure"]
    assert [failure["code"] for failure in failures] == ["signingCredential.untrusted"]
    authority = tmp_path / "authority.pem"
    authority.write_bytes(signing.made_on_the_spot().chain.partition(b"-----END CERTIFICATE-----\n")[2])
    told = told_by(film, authority)
    assert told.manifest.known and told.manifest.state == "whole" and not told.manifest.failures
    assert "for whom the certificates that you trust vouch" in str(told)


def test_a_dubbed_film_was_opened_and_edited(film, made, c2pa):
    mark_file(film, Made(NAME, "cd" * 32, made.face, made.speeches, False, ((0.2, 0.6), (1.0, 1.2))), "mp4")
    state, manifest = manifest_of(c2pa, film)
    assert state == "Valid"
    assertions = {a["label"]: a["data"] for a in manifest["assertions"]}
    actions = assertions["c2pa.actions.v2"]["actions"]
    assert [a["action"] for a in actions] == ["c2pa.opened", "c2pa.placed", "c2pa.edited"]
    assert actions[2]["digitalSourceType"] == COMPOSITE and actions[2]["softwareAgent"]["name"] == "lipgan_colab"
    first, second = (region["time"] for region in actions[2]["changes"][0]["region"])
    assert first == {"type": "npt", "start": "0.200", "end": "0.600"} and second["end"] == "1.200"
    description = actions[2]["description"]
    assert "In a part of it (0.2-0.6 s, 1-1.2 s) the lips" in description and "agreed" not in description
    assert assertions["c2pa.ai-disclosure"]["modelIdentifier"] == "sha256:" + "cd" * 32
    used = {i["relationship"]: i for i in manifest["ingredients"]}
    assert used["parentOf"]["title"] == "plain.mp4" and file_sha256(made.face) in used["parentOf"]["description"]
    speech = used["componentOf"]
    assert speech["title"] == made.speeches[0].name and speech["format"] == "application/octet-stream"
    assert file_sha256(made.speeches[0]) in speech["description"]
    assert used["inputTo"]["data_types"][0]["type"] == "c2pa.types.model"


def test_what_a_photo_became_was_created_of_it(film, made, tmp_path, c2pa):
    photo = tmp_path / "photo.png"
    Image.new("RGB", (8, 8)).save(photo)
    mark_file(film, Made("starter", None, photo, made.speeches), "mp4")
    _, manifest = manifest_of(c2pa, film)
    actions = next(a["data"]["actions"] for a in manifest["assertions"] if a["label"] == "c2pa.actions.v2")
    assert [a["action"] for a in actions] == ["c2pa.created", "c2pa.placed", "c2pa.placed"]
    assert actions[0]["digitalSourceType"] == COMPOSITE
    assert {i["relationship"] for i in manifest["ingredients"]} == {"componentOf", "inputTo"}


@pytest.mark.parametrize("name", ["film.mp4", "FILM.MOV", "film", "film.jpg"])
def test_a_film_of_any_name_brings_its_own_manifest_along(film, made, tmp_path, c2pa, name):
    mark_file(film, made, "mp4")
    film = film.rename(tmp_path / name)
    second = Path(shutil.copy(made.face, tmp_path / "second.mp4"))
    mark_file(second, Made("other", None, film, made.speeches), "mp4")
    with second.open("rb") as file, c2pa.Reader(file) as reader:
        assert reader.get_validation_state() == "Valid" and len(json.loads(reader.json())["manifests"]) == 2
    assert told_by(second).manifest.ingredients[0] == (name, "parentOf")


def test_exiftool_reads_it(film, made, tmp_path):
    if shutil.which("exiftool") is None:
        pytest.skip("no exiftool (Debian's libimage-exiftool-perl)")
    frames = tmp_path / "frames"
    frames.mkdir()
    Image.new("RGB", (8, 8)).save(frames / "frame-000000.png")
    made = Made(NAME, "ab" * 32, made.face, made.speeches, True, ((0.2, 0.6),))
    mark_file(film, made, "mp4")
    mark_file(frames, made, "png")
    for path in (film, frames / "frame-000000.png"):
        read = subprocess.run(["exiftool", "-j", "-G1", path], capture_output=True, text=True, check=True)
        tags = json.loads(read.stdout)[0]
        assert not [name for name in tags if "Warning" in name or "Error" in name]
        assert tags["XMP-iptcExt:DigitalSourceType"] == COMPOSITE
        assert tags["XMP-xmp:CreatorTool"].startswith("lipgan_colab")
        assert "(0.2-0.6 s) the lips" in tags["XMP-dc:Description"] and "Zoë" in tags["XMP-dc:Description"]
        assert "ab" * 32 in tags["XMP-iptcExt:AISystemVersionUsed"]
        made_at = datetime.strptime(tags["XMP-xmp:CreateDate"], "%Y:%m:%d %H:%M:%SZ").replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - made_at) < timedelta(minutes=5)
    read = subprocess.run(["exiftool", "-j", film], capture_output=True, text=True, check=True)
    assert "Weights: starter" in json.loads(read.stdout)[0]["Comment"]  # what was there before


def test_frames_are_marked_each(tmp_path, made, c2pa):
    frames = tmp_path / "frames"
    frames.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3), dtype=np.uint8)
    for n, rgb in enumerate(pixels):
        Image.fromarray(rgb).save(frames / f"frame-{n:06d}.png")
    (frames / "sound.wav").write_bytes(b"as it was")
    mark_file(frames, made, "png")
    mark_file(frames, made, "png")  # once more: the packet takes the older one's place
    for n, rgb in enumerate(pixels):
        path = frames / f"frame-{n:06d}.png"
        assert (np.asarray(Image.open(path)) == rgb).all() and path.read_bytes().count(xmp.PNG_KEYWORD) == 1
        assert told_by(path).manifest.state == "whole" and told_by(path).xmp.source_type == COMPOSITE
    assert sorted(p.name for p in frames.iterdir())[3:] == ["sound.wav"]
    with pytest.raises(InputError, match="folder"):
        told_by(frames)


def test_what_a_file_says_of_itself(film, made, plain, tmp_path, c2pa):
    nothing = copied(plain, tmp_path / "nothing.mp4", "anew")
    assert "says nothing of itself; that proves nothing" in str(told_by(nothing))
    only_description = str(told_by(plain))
    assert "made by AI in parts" in only_description and "nobody has signed this" in only_description
    mark_file(film, made, "mp4")
    untouched = str(told_by(film))
    for text in ("are as they were signed", "unknown to the world", "opened, placed, edited", "plain.mp4", "agreed"):
        assert text in untouched
    assert "nobody has signed" not in untouched and len(untouched.splitlines()) < 10
    stripped = told_by(copied(film, tmp_path / "stripped.mp4", "copy"))
    assert stripped.manifest is None and stripped.xmp is None and "leave them behind" in str(stripped)
    encoded_anew = told_by(copied(film, tmp_path / "encoded.mp4", "anew"))
    assert "says nothing" in str(encoded_anew)
    only_xmp = nothing
    xmp.add_to_film(only_xmp, xmp.packet(xmp.Mark(COMPOSITE, "lipgan_colab 9")))
    assert "XMP: made by AI in parts" in str(told_by(only_xmp)) and "nobody has signed" in str(told_by(only_xmp))


@pytest.mark.parametrize("what", ["picture", "xmp", "appended", "another film's"])
def test_what_was_changed_after_signing_is_told(film, made, tmp_path, c2pa, what):
    mark_file(film, made, "mp4")
    content = bytearray(film.read_bytes())
    if what == "picture":
        content[content.index(b"mdat") + 40] ^= 1
    elif what == "xmp":
        at = content.index(b"compositeWith", content.index(b"Iptc4xmpExt:DigitalSourceType"))
        content[at : at + 4] = b"noth"
    elif what == "appended":
        content += (16).to_bytes(4, "big") + b"abcd" + bytes(8)
    else:
        start = content.index(b"uuid" + bytes.fromhex("d8fec3d61b0e483c92975828877ec481")) - 4
        box = content[start : start + int.from_bytes(content[start : start + 4], "big")]
        other = tmp_path / "other.mp4"
        write_video(other, flashing_frames(25, at=3), 25)
        content = bytearray(other.read_bytes())
        ftyp = int.from_bytes(content[:4], "big")
        content[ftyp:ftyp] = box
    film.write_bytes(content)
    told = told_by(film)
    assert told.manifest.state == "changed" and "CHANGED after it was signed" in str(told)


def test_a_picture_that_cannot_be_shown_any_more_was_changed(tmp_path, made, c2pa):
    path = tmp_path / "frame.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    mark_file(tmp_path, made, "png")
    content = bytearray(path.read_bytes())
    content[content.index(b"IHDR") + 16] ^= 1  # its checksum, without which Pillow takes it for no picture
    path.write_bytes(content)
    assert told_by(path).manifest.state == "changed"


def test_a_damaged_manifest_is_not_read_as_none(film, made, c2pa):
    mark_file(film, made, "mp4")
    content = bytearray(film.read_bytes())
    at = content.index(b"c2pa.signature")
    content[at : at + 400] = bytes(400)
    film.write_bytes(content)
    told = told_by(film)
    assert told.manifest.state in ("unread", "invalid") and re.search("cannot be read|does not hold", str(told))


def certificates(folder, name='Zoë\'s "Studio"', algorithm="p256", days=30, **wrong):
    """Files of (a certificate with its authority, its key, the authority), for a signer of this name."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    keys = {
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "k256": lambda: ec.generate_private_key(ec.SECP256K1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }
    root_key, key, now = keys["p256"](), keys[algorithm](), datetime.now(UTC)

    def certificate(subject, public, ca, usage):
        names = [
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n), x509.NameAttribute(NameOID.ORGANIZATION_NAME, n)])
            for n in ("root", subject)
        ]
        issuer = names[1] if wrong.get("by_itself") else names[0]
        builder = x509.CertificateBuilder(issuer, names[1], public, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=60)).not_valid_after(now + timedelta(days=days))
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
        )
        for extension in usage:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.KeyUsage))
        return builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    signs = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    vouches = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    usage = [signs, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])]
    root = certificate("root", root_key.public_key(), True, [vouches])
    leaf = certificate(name, key.public_key(), False, usage[: 0 if wrong.get("for_nothing") else 2])
    hidden = serialization.NoEncryption()
    if wrong.get("passphrase"):
        hidden = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.TraditionalOpenSSL
    if algorithm == "ed25519" or wrong.get("passphrase"):
        form = serialization.PrivateFormat.PKCS8
    paths = [folder / n for n in ("signer.pem", "key.pem", "root.pem")]
    for path, content in zip(
        paths, (leaf + root, key.private_bytes(serialization.Encoding.PEM, form, hidden), root), strict=True
    ):
        path.write_bytes(content)
    return paths


@pytest.mark.parametrize("algorithm", ["p256", "p384", "rsa", "ed25519"])
def test_ones_own_certificate_signs(film, made, tmp_path, monkeypatch, c2pa, algorithm):
    signer, key, root = certificates(tmp_path, algorithm=algorithm)
    monkeypatch.setenv(signing.CERTIFICATE, str(signer))
    monkeypatch.setenv(signing.KEY, str(key))
    check_signing()
    assert "your certificate" in mark_file(film, made, "mp4")[1]
    assert key.read_bytes().splitlines()[2] not in film.read_bytes()
    unknown, known = told_by(film), told_by(film, root)
    assert (unknown.manifest.known, known.manifest.known) == (False, True)
    assert 'called "Zoë\'s "Studio"' in str(unknown) and "nobody vouches" in str(unknown)
    assert "vouch" in str(known) and "nobody" not in str(known)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"days": -1}, "is good from"),
        ({"by_itself": True}, "signed by itself"),
        ({"for_nothing": True}, "does not say what it is for"),
        ({"passphrase": True}, "has a passphrase"),
        ({"algorithm": "k256"}, "this kind of key"),
        ("missing", "cannot be read"),
        ("no text", "no certificate as PEM"),
        ("another's", "not the key of the first certificate"),
        ("half", "belong together"),
    ],
)
def test_a_certificate_that_will_not_do_is_a_line_before_the_work(film, made, tmp_path, monkeypatch, c2pa, wrong, says):
    signer, key, _ = certificates(tmp_path, **wrong if isinstance(wrong, dict) else {})
    if wrong == "missing":
        signer.unlink()
    elif wrong == "no text":
        signer.write_bytes(os.urandom(300))
    elif wrong == "another's":
        other = tmp_path / "other"
        other.mkdir()
        key = certificates(other)[1]
    monkeypatch.setenv(signing.CERTIFICATE, str(signer))
    if wrong != "half":
        monkeypatch.setenv(signing.KEY, str(key))
    with pytest.raises(InputError, match=says):
        check_signing()
    said = mark_file(film, made, "mp4")
    assert "made by AI" in said[0] and says in said[1] and "PRIVATE" not in said[1]
    assert told_by(film).xmp and not told_by(film).manifest


def test_a_time_stamp_authority_is_asked_where_one_is_named(film, made, tmp_path, monkeypatch, c2pa, web):
    signer, key, _ = certificates(tmp_path)
    for name, value in ((signing.CERTIFICATE, signer), (signing.KEY, key), (signing.TIME_STAMPS, f"{web.url}/tsa")):
        monkeypatch.setenv(name, str(value))
    said = mark_file(film, made, "mp4")
    assert "501" in said[1] or "imestamp" in said[1]  # this one takes no POST
    assert told_by(film).xmp and not told_by(film).manifest


def test_without_the_library_all_else_works(film, made, monkeypatch, tmp_path, c2pa):
    marked = Path(shutil.copy(film, tmp_path / "marked.mp4"))
    mark_file(marked, made, "mp4")
    for module in ("c2pa", "cryptography"):
        monkeypatch.setitem(sys.modules, module, None)
        signing.made_on_the_spot.cache_clear()
        said = mark_file(film, made, "mp4")
        assert "made by AI" in said[0] and "is not here (pip install --no-deps" in said[1]
    assert film.read_bytes().count(xmp.XMP_BOX) == 2 and xmp.read_xmp(film)  # the older one is empty space now
    check_signing()
    assert "pip install --no-deps c2pa-python" in str(told_by(marked))
    assert "there is one" not in str(told_by(film)) and "nobody has signed" in str(told_by(film))


def test_neither_library_is_loaded_before_it_is_used():
    script = "import sys, lipgan_colab.media.marking as m; print({'c2pa', 'cryptography'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_full_disk_costs_a_mark_and_never_the_film(small_disk, made, c2pa):
    film = small_disk / ".film.part"
    write_video(film.with_suffix(".mp4"), np.random.default_rng(0).integers(0, 255, (20, 96, 128, 3), np.uint8), 25)
    film.with_suffix(".mp4").rename(film)
    before = pictures_and_sound(film)
    assert 1 << 19 > film.stat().st_size > 1 << 17
    (small_disk / "others").write_bytes(bytes((1 << 20) - film.stat().st_size - 60_000))
    said = mark_file(film, made, "mp4")
    assert "made by AI" in said[0] and "make room there" in said[1]
    assert pictures_and_sound(film) == before and xmp.read_xmp(film).source_type == COMPOSITE
    assert sorted(p.name for p in small_disk.iterdir()) == [".film.part", "others"]
    size = film.stat().st_size
    with (small_disk / "more").open("wb", buffering=0) as more, pytest.raises(OSError, match="No space"):
        while True:
            more.write(bytes(4096))
    with pytest.raises(OSError, match="No space"):
        xmp.add_to_film(film, bytes(100_000))
    assert film.stat().st_size == size and pictures_and_sound(film) == before


def test_no_film_gets_no_mark_and_stays_as_it_was(tmp_path, made, plain):
    for name, content in (("text.mp4", b"not a film"), ("cut.mp4", plain.read_bytes()[:-9]), ("empty.mp4", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        said = mark_file(path, made, "mp4")
        assert "does not say" in said[0] and path.read_bytes().count(b"xmpmeta") == 0
        assert "has no C2PA" in said[1] or name == "cut.mp4"


def test_a_last_box_without_a_size_gets_one(tmp_path, plain):
    film = copied(plain, tmp_path / "moov_last.mp4", "copy")
    content = bytearray(film.read_bytes())
    boxes = list(xmp._boxes(film))
    content[boxes[-1].start : boxes[-1].start + 4] = bytes(4)
    film.write_bytes(content)
    before = pictures_and_sound(film)
    xmp.add_to_film(film, xmp.packet(xmp.Mark(COMPOSITE)))
    assert pictures_and_sound(film) == before and xmp.read_xmp(film) == xmp.Mark(COMPOSITE)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_xmp_of_others_is_read_in_any_picture(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    said = xmp.Mark(COMPOSITE.replace("compositeWithT", "t"), 'Tool "7" & more', "a <sentence>", "2026-01-02T03:04:05Z")
    options = {"xmp": xmp.packet(said)}
    if suffix == "png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode(), zip=True)
        options["pnginfo"] = info
    if suffix == "tif":
        options = {"tiffinfo": {700: options["xmp"]}}
    Image.new("RGB", (8, 8)).save(path, **options)
    assert xmp.read_xmp(path) == said
    assert "made by AI (trainedAlgorithmicMedia)" in str(told_by(path))


def test_what_was_made_to_hurt_is_a_line(tmp_path, plain, c2pa):
    laughs = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!DOCTYPE l [<!ENTITY a "ha">]>&a;</x:xmpmeta>'
    content = plain.read_bytes()
    for n, box in enumerate((laughs, b"<x:xmpmeta>" + b"<a>" * 300_000, b"\xff" * 2_000_000, b"")):
        path = tmp_path / f"{n}.mp4"
        path.write_bytes(content + (24 + len(box)).to_bytes(4, "big") + b"uuid" + xmp.XMP_BOX + box)
        assert xmp.read_xmp(path) is None and "nobody has signed" in str(told_by(path))
    path = tmp_path / "loud.mp4"
    path.write_bytes(content)
    xmp.add_to_film(path, xmp.packet(xmp.Mark(NAME, NAME, "x" * 50_000 + NAME)))
    shown = str(told_by(path))
    assert len(shown) < 3000 and not re.search("[\x00-\x09\x0b-\x1f\u202e]", shown)


def test_manifests_of_other_tools(tmp_path, c2pa, web):
    signature = signing.made_on_the_spot()

    def signed(path, name, elsewhere=None, of=None, **definition):
        info = c2pa.C2paSignerInfo(signature.algorithm, signature.chain, signature.key, None)
        with c2pa.Builder({"claim_generator_info": [{"name": name, "version": "7"}], **definition}) as builder:
            if elsewhere:
                builder.set_no_embed()
                builder.set_remote_url(elsewhere)
            if of:
                with of.open("rb") as file:
                    builder.add_ingredient({"label": "of", "relationship": "parentOf"}, "image/jpeg", file)
            with c2pa.Signer.from_info(info) as signer, open(path, "rb") as source, open(tmp_path / "s", "w+b") as out:
                builder.sign(signer, "image/jpeg", source, out)
        os.replace(tmp_path / "s", path)

    path = tmp_path / "picture.jpg"
    action = {"action": "c2pa.created", "digitalSourceType": COMPOSITE.replace("compositeWithT", "t")}
    actions = [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}]
    Image.new("RGB", (64, 64)).save(path)
    signed(path, f"Other Studio \x1b[2J{'é' * 5000}", assertions=actions)
    told = str(told_by(path))
    assert "made by AI\n" in told and "made with Other Studio" in told and len(told) < 3000 and "\x1b" not in told
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["of"]}}
    Image.new("RGB", (32, 32)).save(tmp_path / "cut.jpg")
    cut = [{"label": "c2pa.actions.v2", "data": {"actions": [opened]}}]
    signed(tmp_path / "cut.jpg", "Editor", of=path, assertions=cut)
    assert "made of something that was made by AI\n" in str(told_by(tmp_path / "cut.jpg"))
    photo = tmp_path / "photo.jpg"
    Image.new("RGB", (64, 64)).save(photo)
    action["digitalSourceType"] = COMPOSITE.replace("compositeWithTrainedAlgorithmicMedia", "digitalCapture")
    signed(photo, "Camera", assertions=actions)
    assert "something of itself, and nothing of AI" in str(told_by(photo))
    Image.new("RGB", (64, 64)).save(path)
    signed(path, "Far", f"{web.url}/manifest", assertions=actions)
    told = str(told_by(path))
    assert "cannot be read here" in told and f"elsewhere, and nothing is fetched: {web.url}/manifest" in told
    assert not web.asked


def test_inspect_video(film, made, tmp_path, capsys, c2pa):
    mark_file(film, made, "mp4")
    assert main(["inspect-video", str(film)]) == 0
    assert "this file says that it was made by AI in parts" in capsys.readouterr().out
    foreign = certificates(tmp_path)
    assert main(["inspect-video", str(film), "--trust", str(foreign[2])]) == 0
    assert "unknown to the world" in capsys.readouterr().out
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "text.txt").write_text("no film\n" * 100)
    wrong = [["missing.mp4"], [tmp_path], [tmp_path / "text.mp4"], [tmp_path / "text.txt"]]
    for arguments in [*wrong, [film, "--trust", film], [film, "--trust", "missing.pem"]]:
        assert main(["inspect-video", *map(str, arguments)]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_real_film(shared, tmp_path, c2pa):
    for clip in ("data/grid/others/swiz3n.mpg", "data/speech/jfk.flac", "data/photos/obama_240p.jpg"):
        assert "says nothing of itself" in str(told_by(shared / clip))
    film = Path(shutil.copy(shared / "data" / "tricky" / "phone_rot180_swiz3n.mov", tmp_path / "film.mov"))
    before = pictures_and_sound(film)
    made = Made("starter", None, shared / "data/grid/others/swiz3n.mpg", (shared / "data/speech/jfk.flac",))
    mark_file(film, made, "mov")
    assert pictures_and_sound(film) == before and told_by(film).manifest.state == "whole"


def test_a_jpeg_says_it_before_all_else_and_stays_the_picture(tmp_path):
    path = tmp_path / "sheet.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save(path)
    before = np.asarray(Image.open(path))
    xmp.add_to_jpeg(path, xmp.packet(xmp.Mark(xmp.SYNTHETIC_IN_PARTS, "tool", "a sentence")))
    assert (np.asarray(Image.open(path)) == before).all()
    assert xmp.read_xmp(path).source_type == xmp.SYNTHETIC_IN_PARTS
    path.write_bytes(b"no picture")
    with pytest.raises(InputError, match="no JPEG"):
        xmp.add_to_jpeg(path, b"")
