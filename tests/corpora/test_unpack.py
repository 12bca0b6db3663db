"""Part files unpacked as a stream: whatever ends it, wherever they lie, whatever is wrong with them."""

import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from made_corpora import content, split, tar

from lipgan_colab.corpora import split_archive
from lipgan_colab.corpora import unpack as archives
from lipgan_colab.corpora.unpack import JOURNAL, unpack
from lipgan_colab.errors import InputError

LONG = "mvlrs_v1/main/" + "very_long_programme_name_" * 6 + "/00001.mp4"  # past tar's 100 characters: two headers


def members() -> dict[str, bytes]:
    """Clips of 0 to 90 kB in three folders, and their texts."""
    rng = np.random.default_rng(0)
    names = [f"mvlrs_v1/{where}/{p}/{n:05d}" for where in ("main", "pretrain") for p in (7, 8) for n in range(10)]
    files = {f"{name}.mp4": rng.bytes(int(rng.integers(0, 90_000))) for name in names}
    files |= {f"{name}.txt": f"Text: {name}".encode() for name in names}
    return files | {LONG: rng.bytes(5000), "mvlrs_v1/main/7/full.mp4": rng.bytes(1024)}


@pytest.fixture
def source(tmp_path) -> Path:
    return split(tar(members()), tmp_path / "parts")


def test_everything_comes_out_and_nothing_else(source, tmp_path):
    done = unpack(source, tmp_path / "out")
    assert content(tmp_path / "out") == members()
    assert done.files == len(members())
    assert done.missing == done.ignored == []


def test_wanted_members_alone(source, tmp_path):
    wanted = ["mvlrs_v1/main/7/00003.mp4", "mvlrs_v1/main/7/00003.txt", "mvlrs_v1/pretrain/8", "mvlrs_v1/no.mp4"]
    done = unpack(source, tmp_path / "out", wanted)
    expected = {n: b for n, b in members().items() if n in wanted or n.startswith("mvlrs_v1/pretrain/8/")}
    assert content(tmp_path / "out") == expected
    assert done.missing == ["mvlrs_v1/no.mp4"]
    assert "1 not in the archive, the first mvlrs_v1/no.mp4" in str(done)


def test_no_more_is_read_than_is_wanted(source, tmp_path):
    (source / "lrs2_v1_partad").write_bytes(b"?" * (source / "lrs2_v1_partad").stat().st_size)  # never looked at
    wanted = ["mvlrs_v1/main/7/00000.mp4"]
    unpack(source, tmp_path / "out", wanted)
    assert list(content(tmp_path / "out")) == wanted
    for part in source.iterdir():
        part.unlink()
    assert unpack(source, tmp_path / "out", wanted).files == 1  # nor are parts needed for what is there


def test_what_was_deleted_is_unpacked_again_and_what_is_there_is_not_written_again(source, tmp_path):
    out = tmp_path / "out"
    unpack(source, out)
    kept = {p: p.stat().st_mtime_ns for p in out.rglob("*.mp4")}
    gone = kept.popitem()[0]
    gone.unlink()
    unpack(source, out)
    assert content(out) == members()
    assert all(p.stat().st_mtime_ns == time for p, time in kept.items())


KILLED = """
import sys, time
from lipgan_colab.corpora import unpack as archives
archives.JOURNAL_EVERY = 0
next_member = archives._next
def slowly(*args):
    time.sleep(0.01)  # no machine is too fast to be killed
    return next_member(*args)
archives._next = slowly
archives.unpack(sys.argv[2:], sys.argv[1])
"""


def test_kill_9_at_any_time_changes_nothing(source, tmp_path):
    out = tmp_path / "out"
    rng = random.Random(0)
    kills = 0
    for attempt in range(12):
        process = subprocess.Popen([sys.executable, "-c", KILLED, out, source], stderr=subprocess.DEVNULL)
        if attempt < 11:
            deadline = time.monotonic() + 60
            while not any(out.rglob("*.mp4")) and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        kills += attempt < 11
        assert all(body == members()[name] for name, body in content(out).items() if "/." not in f"/{name}")
    assert kills >= 2
    assert process.returncode == 0
    assert content(out) == members()


def test_goes_on_without_reading_again_what_was_done(source, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "JOURNAL_EVERY", 0)
    whole = (source / "lrs2_v1_partac").read_bytes()
    (source / "lrs2_v1_partac").write_bytes(bytes(len(whole)))
    with pytest.raises(InputError):
        unpack(source, tmp_path / "out")
    (source / "lrs2_v1_partac").write_bytes(whole)
    first = (source / "lrs2_v1_partaa").stat().st_size
    (source / "lrs2_v1_partaa").write_bytes(bytes(first))  # it is done with
    unpack(source, tmp_path / "out")
    assert content(tmp_path / "out") == members()


def damage(source, part, change):
    path = source / f"lrs2_v1_part{part}"
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("ac", lambda b: bytes(len(b)), "partac"),  # a hole, which looks like an archive's end
        ("ac", lambda b: b"?" * len(b), "partac"),
        ("ab", lambda b: b[:-5000], "partab: .* cut off"),
        ("ad", lambda b: b"", "partad: this part is empty"),
        ("ae", lambda b: b[:-30_000], "partae: .*cut off"),
    ],
)
def test_bad_parts_are_named(source, tmp_path, part, change, said):
    damage(source, part, change)
    with pytest.raises(InputError, match=said) as error:
        unpack(source, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert all(body == members()[name] for name, body in content(tmp_path / "out").items() if "/." not in name)


@pytest.mark.parametrize(
    ("part", "said"), [("aa", "partaa"), ("ac", "partac"), ("ae", "partad: the archive does not end")]
)
def test_missing_parts_are_named(source, tmp_path, part, said):
    (source / f"lrs2_v1_part{part}").unlink()
    with pytest.raises(InputError, match=said):
        unpack(source, tmp_path / "out")


def test_parts_out_of_order_are_found_out(source, tmp_path, web):
    names = [f"lrs2_v1_parta{c}" for c in "abcde"]
    web.files.update({f"/{name}": (source / name).read_bytes() for name in names})
    with pytest.raises(InputError, match=r"partab: this part is missing or out of order"):
        unpack([f"{web.url}/{name}" for name in (names[0], names[2], names[1], *names[3:])], tmp_path / "out")


def test_what_is_no_archive(tmp_path):
    (tmp_path / "lrs2_v1_partaa").write_bytes(b"<html>sign in</html>" * 100)
    with pytest.raises(InputError, match="partaa: not what an uncompressed tar"):
        unpack(tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="no part file"):
        unpack(tmp_path / "out", tmp_path / "out2")
    with pytest.raises(InputError, match="no such part file"):
        unpack(tmp_path / "missing", tmp_path / "out2")


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("name", ["../evil.mp4", "a/../../evil.mp4", "linked/evil.mp4"])
def test_nothing_is_written_outside(tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "linked").symlink_to(tmp_path / "elsewhere")
    split(tar({"good.mp4": b"x", name: b"evil"}), tmp_path / "parts", 1)
    with pytest.raises(InputError, match="leads elsewhere"):
        unpack(tmp_path / "parts", tmp_path / "out")
    assert not list(tmp_path.rglob("evil*"))


def test_absolute_names_and_links_stay_inside(tmp_path):
    odd = [
        link("link", "/etc/passwd", tarfile.SYMTYPE),
        link("hard", "good.mp4", tarfile.LNKTYPE),
        link("pipe", "", tarfile.FIFOTYPE),
    ]
    split(tar({"good.mp4": b"x", "/tmp/absolute.mp4": b"y"}, odd), tmp_path / "parts", 1)
    done = unpack(tmp_path / "parts", tmp_path / "out")
    assert content(tmp_path / "out") == {"good.mp4": b"x", "tmp/absolute.mp4": b"y"}
    assert done.ignored == ["link", "hard", "pipe"]


def test_from_a_server_that_hangs_up_again_and_again(source, tmp_path, web, monkeypatch):
    monkeypatch.setattr(split_archive, "PAUSE", 0.01)
    urls = []
    for part in sorted(source.iterdir()):
        web.files[f"/{part.name}"] = part.read_bytes()
        web.cuts[f"/{part.name}"] = [len(part.read_bytes()), 50_000, 120_000, 1]  # the first looks at its length
        urls.append(f"{web.url}/{part.name}")
    unpack(urls, tmp_path / "out")
    assert content(tmp_path / "out") == members()
    assert {f"bytes={n}-" for n in (50_000, 170_000, 170_001)} <= {r for p, r in web.asked if p.endswith("partab")}
    assert os.listdir(tmp_path) == ["parts", "out"] or sorted(os.listdir(tmp_path)) == ["out", "parts"]


def test_a_server_that_lacks_a_part_or_gives_up(source, tmp_path, web, monkeypatch):
    monkeypatch.setattr(split_archive, "PAUSE", 0.01)
    names = [p.name for p in sorted(source.iterdir())]
    web.files.update({f"/{name}": (source / name).read_bytes() for name in names})
    web.files.pop("/lrs2_v1_partac")
    urls = [f"{web.url}/{name}" for name in names]
    with pytest.raises(InputError, match=r"partac: cannot be read \(HTTP Error 404"):
        unpack(urls, tmp_path / "out")
    web.files["/lrs2_v1_partac"] = (source / "lrs2_v1_partac").read_bytes()
    web.cuts["/lrs2_v1_partac"] = [10**9, *[0] * 20]
    with pytest.raises(InputError, match=r"partac: cannot be read .* run the same again"):
        unpack(urls, tmp_path / "out")
    web.cuts.clear()
    unpack(urls, tmp_path / "out")
    assert content(tmp_path / "out") == members()


@pytest.mark.parametrize("place", ["lrs2.tar", "."])
def test_a_whole_archive_is_one_part(place, tmp_path, web):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "lrs2.tar").write_bytes(tar(members()))
    unpack(tmp_path / "parts" / place, tmp_path / "out")
    assert content(tmp_path / "out") == members()
    web.files["/lrs2.tar"] = tar(members())
    unpack(f"{web.url}/lrs2.tar", tmp_path / "from_web")
    assert content(tmp_path / "from_web") == members()


def test_a_full_disk_is_one_line_and_leaves_no_half_file(source, small_disk):
    with pytest.raises(InputError, match=r"not written \(No space left on device\); make room") as told:
        unpack(source, small_disk / "out")
    assert "\n" not in str(told.value)
    unpacked = content(small_disk / "out")
    assert unpacked and all(body == members()[name] for name, body in unpacked.items())
    wanted = list(unpacked)
    assert unpack(source, small_disk / "out", wanted).missing == []  # and what is there is used


def test_a_place_that_cannot_be_a_folder_is_one_line(source, tmp_path):
    (tmp_path / "taken").touch()
    for place in ("taken", "taken/below"):
        with pytest.raises(InputError, match=r"taken.*: the folder cannot be made"):
            unpack(source, tmp_path / place)


def header(name: bytes, size: int | bytes, kind: bytes = b"0", more: bytes = b"") -> bytes:
    """A tar header that says what it is told to."""
    field = b"%011o" % size if isinstance(size, int) else size
    block = bytearray(name.ljust(124, b"\0") + field.ljust(12, b"\0") + b"0" * 12 + b" " * 8 + kind + more)
    block += bytes(512 - len(block))
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(body: bytes) -> bytes:
    return body + bytes(-len(body) % 512)


GOOD = header(b"good.mp4", 3) + padded(b"fin")
END = bytes(1024)
MINUS = b"\xff" * 8 + (-1024 & 0xFFFFFFFF).to_bytes(4, "big")


def pax(*records: bytes) -> bytes:
    body = b""
    for record in records:
        length = next(n for n in range(len(record), len(record) + 9) if len(f"{n} ") + len(record) + 1 == n)
        body += b"%d %s\n" % (length, record)
    return header(b"pax", len(body), b"x") + padded(body)


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (header(b"x", 2 << 30, b"x") + bytes(4096), "claims 2147483648 bytes"),
        (header(b"x", 2 << 30, b"L") + bytes(4096), "claims 2147483648 bytes"),
        (header(b"x", 2 << 30, b"g") + bytes(4096), "claims 2147483648 bytes"),
        (header(b"x", b"\x80" + b"\xff" * 11, b"K") + bytes(4096), r"claims \d+ bytes"),
        (header(b"x", MINUS, b"L") + bytes(4096), "claims -1024 bytes"),
        ((header(b"x", 9, b"L") + padded(b"long name")) * 5000 + GOOD, "claims 9 bytes"),  # one leads to the next
        (header(b"x", MINUS) + bytes(4096), "damaged"),
        (pax(b"size=-1024") + GOOD, "damaged"),
        (pax(b"size=9999999999999999999999") + GOOD, "damaged"),
        (header(b"p", 100_000, b"x") + padded(b"2 " * 50_000) + GOOD, "damaged"),
        (header(b"p", 100_000, b"x") + padded(b"9" * 100_000) + GOOD, "damaged"),
        (header(b"x.mp4", 7 << 30) + bytes(4096), "cut off"),
        (header(b"a", 3) + padded(b"fin") + header(b"a/b", 3) + padded(b"fin"), "not written"),
        (
            header(b"a/b", 3) + padded(b"fin") + header(b"a", 3) + padded(b"fin"),
            r"not written \(there is a folder of that name",
        ),
        (pax(b"path=never.mp4"), "damaged"),
    ],
)
def test_headers_are_not_believed(tmp_path, archive, said):
    (tmp_path / "a_partaa").write_bytes(GOOD + archive + END)
    with pytest.raises(InputError, match=said) as told:
        unpack([tmp_path / "a_partaa"], tmp_path / "out")
    assert "\n" not in str(told.value)


SPARSE = header(b"sparse", 512, b"S", bytes(325) + b"\1") + bytes(512) + b"s" * 512  # another block of its map follows


@pytest.mark.parametrize(
    "odd",
    [
        pax(b"path=" + b"n" * 300) + header(b"x", 3) + padded(b"odd"),
        pax(b"path=" + b"a/" * 1900 + b"x") + header(b"x", 3) + padded(b"odd"),
        pax(b"path=" + b"a/" * 400_000 + b"x") + header(b"x", 3) + padded(b"odd"),
        pax(b"path=a\0b") + header(b"x", 3) + padded(b"odd"),
        pax(b"GNU.sparse.major=1", b"GNU.sparse.minor=0", b"GNU.sparse.name=s") + header(b"x", 3) + padded(b"odd"),
        header(JOURNAL.encode(), 2) + padded(b"{}"),
        header(b"dev", 0, b"3"),
        SPARSE,
    ],
)
def test_what_no_file_can_be_is_left_out_and_counted(tmp_path, odd):
    (tmp_path / "a_partaa").write_bytes(odd + GOOD + END)
    done = unpack([tmp_path / "a_partaa"], tmp_path / "out")
    assert content(tmp_path / "out") == {"good.mp4": b"fin"}
    assert len(done.ignored) == 1 and "1 link or impossible name left out" in str(done)
    assert len(str(done)) < 1000
    assert unpack([tmp_path / "a_partaa"], tmp_path / "out", ["good.mp4", "a\0b", "n" * 300]).missing


def test_names_need_not_be_text(tmp_path):
    name = os.fsdecode(b"caf\xe9.mp4")
    (tmp_path / "a_partaa").write_bytes(header(b"caf\xe9.mp4", 3) + padded(b"fin") + GOOD + END)
    unpack([tmp_path / "a_partaa"], tmp_path / "all")
    assert content(tmp_path / "all") == {name: b"fin", "good.mp4": b"fin"}
    unpack([tmp_path / "a_partaa"], tmp_path / "some", [name])
    assert content(tmp_path / "some") == {name: b"fin"}


@pytest.mark.parametrize(
    "journal", ['{"archive": {}, "offset": "x"}', "[" * 100_000, '{"archive": {}, "sizes": [null]}']
)
def test_a_journal_that_is_none_costs_nothing_but_time(source, tmp_path, journal):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / JOURNAL).write_text(journal)
    unpack(source, tmp_path / "out")
    assert content(tmp_path / "out") == members()
