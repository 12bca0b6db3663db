"""The command line about data: each verb does what the functions do, and what is wrong is one line."""

import codecs
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from made_corpora import make_lrs2, split, tar

from lipgan_colab.cli.verbs import main
from lipgan_colab.corpora.corpus import fingerprint
from lipgan_colab.corpora.subset import read_ids
from lipgan_colab.shards.manifest import read_manifest
from lipgan_colab.shards.shard_file import read_metadata


def test_subset_preprocess_inspect(drawn_videos, tmp_path, capsys):
    ids, shards = tmp_path / "ids.txt", tmp_path / "shards"
    videos = ["--corpus", "folder", "--videos", str(drawn_videos)]
    assert main(["subset", *videos, "--utterances", "2", "--seed", "3", "--out", str(ids)]) == 0
    assert "2 of 4 clips" in capsys.readouterr().out
    assert (tmp_path / "ids.png").is_file()
    options = ["--size", "112", "--jpeg-quality", "80", "--min-face", "20", "--workers", "0"]
    assert main(["preprocess", *videos, "--only", str(ids), "--out", str(shards), *options]) == 0
    assert f"2 clips, 50 frames, 0.0 minutes; 0 skipped; fingerprint {fingerprint(read_ids(ids))}" in (
        capsys.readouterr().out
    )
    settings = read_manifest(shards)["settings"]
    assert (settings["size"], settings["jpeg_quality"], settings["gates"]["min_face"]) == (112, 80, 20)
    assert main(["inspect", str(shards), "--verify"]) == 0
    assert "every shard is whole" in capsys.readouterr().out
    assert (shards / "contact_sheet.jpg").stat().st_size > 3000
    with (shards / "shard-00000.safetensors").open("r+b") as shard:
        shard.seek(-10, 2)
        shard.write(b"0123456789")
    assert main(["inspect", str(shards), "--verify"]) == 1
    assert main(["inspect", str(shards), "--set-aside"]) == 1  # it was the only one
    assert [p.name for p in shards.glob("shard*")] == ["shard-00000.safetensors.damaged"]


def test_clips_of_any_name_become_shards(drawn_videos, tmp_path, monkeypatch, capsys):
    """Bytes that are no text, what looks like a protocol, a pattern or a flag, and lists of a Windows editor."""
    monkeypatch.chdir(tmp_path)
    names = [b"\xc4\xe3\xba\xc3.mp4", f"13:28:35 -d%03d 'x'{'ก' * 77}.mp4".encode()]
    place = b"my videos/\xc4\xe3"
    os.makedirs(place)
    for name in names:
        shutil.copy(min(drawn_videos.glob("*.mp4")), place + b"/" + name)
    with open(place + b"/bad\xff.mp4", "w") as bad:
        bad.write("no video")
    videos = ["--videos", "my videos"]
    assert main(["subset", *videos, "--out", "all: 100%.txt"]) == 0
    Path("list.txt").write_bytes(codecs.BOM_UTF16_LE + f"# judges\r\n{names[1].decode()}\r\n".encode("utf-16-le"))
    shutil.copy(place + b"/" + names[1], b"my videos")
    out = ["--out", "shards \udce9", "--workers", "0"]
    Path("wrong.txt").write_text("nobody.mp4\n")
    assert main(["preprocess", *videos, "--leave-out", "wrong.txt", *out]) == 1
    assert "error: wrong.txt: nobody.mp4: not in the corpus" in capsys.readouterr().err
    assert main(["preprocess", *videos, "--leave-out", "list.txt", *out]) == 0
    told = capsys.readouterr().out
    assert "2 clips, 50 frames" in told and r"skipped \udcc4\udce3/bad\udcff.mp4: this is no picture" in told
    manifest = read_manifest("shards \udce9")
    assert manifest["fingerprint"] == fingerprint(read_ids("all: 100%.txt"))
    kept = {clip["id"] for clip in read_metadata(Path("shards \udce9/shard-00000.safetensors"))["utterances"]}
    assert kept == {os.fsdecode(b"\xc4\xe3/" + name) for name in names}
    assert main(["inspect", "shards \udce9", "--verify", "--sheet", "faces: %d.jpg"]) == 0
    small = ["--width", "0.05", "--batch-size", "2", "--steps", "1"]
    assert main(["train", "--shards", "shards \udce9", "--run", "run: %d\udce9", *small]) == 0


def test_fetch_lrs2_and_draw_before_it_is_there(tmp_path, capsys):
    root, ids = tmp_path / "lrs2", tmp_path / "ids.txt"
    root.mkdir()
    names = [f"{programme}/{n:05d}" for programme in (1, 2, 3) for n in range(4)]
    make_lrs2(root, {"train": names, "val": [], "test": [], "pretrain": []}, unpacked=False)
    parts = split(tar({f"mvlrs_v1/main/{n}{suffix}": n.encode() for n in names for suffix in (".mp4", ".txt")}), root)
    drawn = ["--corpus", "lrs2", "--videos", str(root), "--balance", "programme", "--utterances", "6"]
    assert main(["subset", *drawn, "--out", str(ids)]) == 0
    assert "6 of 12 clips, not unpacked yet, 3 speakers or programmes" in capsys.readouterr().out
    fetch = ["fetch", "--corpus", "lrs2", "--parts", str(parts), "--out", str(root), "--split", "train"]
    assert main([*fetch, "--only", str(ids)]) == 0
    assert "12 files" in capsys.readouterr().out
    assert {f"main/{p.parent.name}/{p.stem}" for p in root.rglob("*.mp4")} == set(read_ids(ids))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fetch", "--corpus", "grid", "--out", "grid"], "--speakers is missing"),
        (["fetch", "--corpus", "grid", "--out", "grid", "--speakers", "s21"], "no video of s21"),
        (["fetch", "--corpus", "lrs2", "--out", "lrs2"], "--parts is missing"),
        (["fetch", "--corpus", "lrs2", "--out", "lrs2", "--speakers", "s1"], "--speakers is for GRID"),
        (["fetch", "--corpus", "lrs2", "--out", "lrs2", "--parts", "missing"], "no such part file"),
        (["subset", "--videos", "missing", "--out", "ids.txt"], "no such folder"),
        (["subset", "--corpus", "lrs2", "--videos", ".", "--out", "ids.txt"], "train.txt is not there"),
        (["preprocess", "--videos", ".", "--speakers", "s1", "--out", "shards"], "--speakers is for GRID"),
        (["preprocess", "--videos", "corpus", "--out", "shards"], "holds no video"),
        (["subset", "--videos", "videos", "--hours", "nan", "--out", "ids.txt"], "nan hours"),
        (["subset", "--videos", "videos", "--hours", "-1", "--out", "ids.txt"], "-1.0 hours"),
        (["subset", "--videos", "videos", "--utterances", "0", "--out", "ids.txt"], "0 clips"),
        (["subset", "--videos", "videos", "--fraction", "nan", "--out", "ids.txt"], "a --fraction of nan"),
        (["subset", "--videos", "videos", "--out", "corpus"], "corpus: not written"),
        (["subset", "--videos", "videos", "--out", "."], ".: not written"),
        (["subset", "--videos", "videos", "--out", "ids.png"], "name it .txt"),
        (["inspect", "shards", "--sheet", "/proc/x.jpg"], "/proc/x.jpg: not written"),
        (["inspect", "shards", "--sheet", "corpus"], "corpus: not written"),
        (["inspect", "missing"], "missing: there is no such folder"),
        (["inspect", "missing", "--verify"], "no manifest.json"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, said, drawn_videos, drawn_shards, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "videos").symlink_to(drawn_videos)
    (tmp_path / "shards").symlink_to(drawn_shards)
    assert main(arguments) == 1
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and error[0].startswith("error: ")
    assert said in error[0]


def test_a_full_disk_is_one_line(drawn_videos, drawn_shards, small_disk, capsys):
    with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(4096)):
            pass
    for name, arguments in {
        "sheet.png": ["inspect", str(drawn_shards), "--sheet"],
        "ids.txt": ["subset", "--videos", str(drawn_videos), "--out"],
    }.items():
        assert main([*arguments, str(small_disk / name)]) == 1
        assert f"{name}: not written (No space left on device)" in capsys.readouterr().err.splitlines()[-1]
    assert [p.name for p in small_disk.iterdir()] == ["filler"]
