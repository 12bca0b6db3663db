"""Corpora fetched: LRS2's wanted members out of its parts, GRID's speakers from a server like Zenodo's."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from made_corpora import content, split, tar

from lipgan_colab.corpora import fetch
from lipgan_colab.corpora.corpus import grid, lrs2
from lipgan_colab.corpora.fetch import fetch_grid, fetch_lrs2
from lipgan_colab.corpora.subset import subset
from lipgan_colab.errors import InputError

CLIPS = {f"s4/{name}.mpg": np.random.default_rng(n).bytes(40_000) for n, name in enumerate(("lbax4n", "swiz3n"))}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return buffer.getvalue()


@pytest.fixture
def zenodo(web):
    """A record of s4 and the alignments, as Zenodo describes it."""
    evil = {"../../evil.mpg": b"x", "s4/.hidden.mpg": b"x", "s4/readme.txt": b"x"}
    web.files["/s4.zip"] = zipped(CLIPS | evil)
    web.files["/alignments.zip"] = zipped(
        {"alignments/s4/swiz3n.align": b"0 23750 sil", "alignments/x/../e.align": b"x"}
    )
    describe(web)
    return web


def describe(web):
    files = [
        {
            "key": path[1:],
            "size": len(body),
            "checksum": f"md5:{hashlib.md5(body).hexdigest()}",
            "links": {"self": f"{web.url}{path}"},
        }
        for path, body in web.files.items()
        if path.endswith(".zip")
    ]
    web.files["/record"] = json.dumps({"id": 3625687, "files": files}).encode()


def test_grid_speakers_with_their_words(zenodo, tmp_path):
    root = tmp_path / "a" / "grid"
    fetch_grid(root, [4], f"{zenodo.url}/record")
    clips = grid(root)
    assert {u.id: u.path.read_bytes() for u in clips} == {**CLIPS, "s4/evil.mpg": b"x"}  # inside, whatever its name
    assert clips[-1].transcript.read_bytes() == b"0 23750 sil"
    assert sorted(p.name for p in root.iterdir()) == ["alignments", "s4"]
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["grid"]
    zenodo.asked.clear()
    fetch_grid(root, ["s4"], f"{zenodo.url}/record")
    assert zenodo.asked == []


def test_grid_goes_on_where_the_connection_broke(zenodo, tmp_path):
    zenodo.cuts["/s4.zip"] = [30_000]
    with pytest.raises(InputError, match="run the same again"):
        fetch_grid(tmp_path, ["s4"], f"{zenodo.url}/record")
    fetch_grid(tmp_path, ["s4"], f"{zenodo.url}/record")
    assert ("/s4.zip", "bytes=30000-") in zenodo.asked
    assert (tmp_path / "s4" / "swiz3n.mpg").read_bytes() == CLIPS["s4/swiz3n.mpg"]


def test_grid_checks_what_came(zenodo, tmp_path):
    zenodo.files["/s4.zip"] = zenodo.files["/s4.zip"][:-1] + b"?"
    with pytest.raises(InputError, match=r"s4\.zip: .*md5"):
        fetch_grid(tmp_path, ["s4"], f"{zenodo.url}/record")
    assert not (tmp_path / "s4.zip").exists() and not (tmp_path / "s4").exists()


def test_grid_half_unpacked_is_unpacked_again(zenodo, tmp_path):
    (tmp_path / ".s4.unpacking").mkdir()
    (tmp_path / ".s4.unpacking" / "half.mpg").touch()
    (tmp_path / "s4.zip").write_bytes(zenodo.files["/s4.zip"])
    fetch_grid(tmp_path, ["s4"], f"{zenodo.url}/record")
    assert not (tmp_path / "s4" / "half.mpg").exists()
    assert "/s4.zip" not in [path for path, _ in zenodo.asked]


@pytest.mark.parametrize(("speaker", "said"), [(21, "no video of s21"), ("s35", "no speaker s35"), (5, r"s5\.zip")])
def test_speakers_who_are_not_there(zenodo, tmp_path, speaker, said):
    with pytest.raises(InputError, match=said):
        fetch_grid(tmp_path, [speaker], f"{zenodo.url}/record")


def test_a_record_that_is_none(web, tmp_path):
    web.files["/record"] = b"<html>busy</html>"
    with pytest.raises(InputError, match="not Zenodo's description"):
        fetch_grid(tmp_path, [4], f"{web.url}/record")
    web.files.clear()
    with pytest.raises(InputError, match="404"):
        fetch_grid(tmp_path, [4], f"{web.url}/record")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"links": {}},
        {"links": {"self": None}},
        {"checksum": 7},
        {"checksum": "crc99:0"},
        {"checksum": "shake_128:0"},
    ],
)
def test_a_record_that_lacks_what_is_needed(zenodo, tmp_path, change):
    record = json.loads(zenodo.files["/record"])
    record["files"] = [file | change for file in record["files"]]
    zenodo.files["/record"] = json.dumps(record).encode()
    with pytest.raises(InputError, match=r"not Zenodo's description|unknown kind of checksum"):
        fetch_grid(tmp_path, [4], f"{zenodo.url}/record")


def encrypted(archive: bytes) -> bytes:
    return archive.replace(b"PK\x01\x02\x14\x03\x14\0\0", b"PK\x01\x02\x14\x03\x14\0\1")


def packed_with(method: int, archive: bytes) -> bytes:
    return archive.replace(b"\x14\x03\x14\0\0\0\0\0", b"\x14\x03\x14\0\0\0" + method.to_bytes(2, "little"))


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("s4/zeros.mpg", bytes(8 << 20))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (b"<html>busy</html>", "not a zip file"),
        (encrypted(zipped(CLIPS)), "encrypted"),
        (packed_with(97, zipped(CLIPS)), "cannot be unpacked"),
        (packed_with(8, zipped(CLIPS)), "cannot be unpacked"),
        (packed_with(14, zipped(CLIPS)), "cannot be unpacked"),
        (zipped(CLIPS).replace(CLIPS["s4/lbax4n.mpg"][:9], b"something"), "cannot be unpacked .*CRC"),
        (zipped({"s4/readme.txt": b"x"}), "holds nothing of s4"),
        (zipped({f"s4/{'n' * 300}.mpg": b"x"}), r"not written \(File name too long"),
        (bomb(), "cannot be in it"),
    ],
)
def test_archives_that_cannot_be_unpacked(zenodo, tmp_path, archive, said):
    zenodo.files["/s4.zip"] = archive
    describe(zenodo)
    with pytest.raises(InputError, match=said) as told:
        fetch_grid(tmp_path, [4], f"{zenodo.url}/record")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "s4").exists() and not (tmp_path / ".s4.unpacking").exists()


def test_a_full_disk_keeps_the_archive_and_no_half_speaker(zenodo, small_disk):
    zenodo.files["/s4.zip"] = zipped({name: body * 8 for name, body in CLIPS.items()})
    describe(zenodo)
    with pytest.raises(InputError, match=r"not written \(No space left on device\)"):
        fetch_grid(small_disk, [4], f"{zenodo.url}/record")
    assert [p.name for p in small_disk.iterdir()] == ["s4.zip"]


def test_a_signed_address_is_not_told(web, tmp_path):
    web.files["/record"] = b"<html>busy</html>"
    for path in ("record", "missing"):
        with pytest.raises(InputError, match=path) as told:
            fetch_grid(tmp_path, [4], f"{web.url}/{path}?token=s3cret")
        assert "s3cret" not in str(told.value)


@pytest.fixture
def lrs2_parts(tmp_path):
    names = [f"{p}/{n:05d}" for p in (100, 200) for n in range(10)]
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "train.txt").write_text("\n".join(names))
    (tmp_path / "root" / "val.txt").write_text("300/00000\n")
    for name in ("test", "pretrain"):
        (tmp_path / "root" / f"{name}.txt").write_text("")
    files = {f"mvlrs_v1/main/{n}{suffix}": n.encode() for n in [*names, "300/00000"] for suffix in (".mp4", ".txt")}
    return split(tar(files | {"mvlrs_v1/pretrain/500/00000.mp4": b"p"}), tmp_path / "parts")


def test_a_subset_drawn_before_is_all_that_is_unpacked(lrs2_parts, tmp_path):
    root = tmp_path / "root"
    drawn = subset(lrs2(root, "train", unpacked=False), utterances=5, balance="programme")
    fetch_lrs2(lrs2_parts, root, "train", [u.id for u in drawn])
    assert set(content(root / "mvlrs_v1")) == {f"{u.id}{suffix}" for u in drawn for suffix in (".mp4", ".txt")}
    with pytest.warns(UserWarning, match="5 of the 20"):
        assert {u.id for u in lrs2(root, "train")} == {u.id for u in drawn}
    with pytest.raises(InputError, match="main/300/00000: not in LRS2's train"):
        fetch_lrs2(lrs2_parts, root, "train", ["main/300/00000"])


def test_a_split_or_everything(lrs2_parts, tmp_path):
    root = tmp_path / "root"
    fetch_lrs2(lrs2_parts, root, "val")
    assert set(content(root / "mvlrs_v1")) == {"main/300/00000.mp4", "main/300/00000.txt"}
    fetch_lrs2(lrs2_parts, root)
    assert len(content(root / "mvlrs_v1")) == 43
    assert fetch.GRID_SPEAKERS[-1] == "s34" and len(fetch.GRID_SPEAKERS) == 33
