"""Pretrained weights by name: downloaded once, checked, and a line that helps where they cannot be had."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch

from lipgan_colab.download import DownloadError
from lipgan_colab.errors import InputError
from lipgan_colab.models import pretrained
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.pretrained import CACHE, PRETRAINED, Pretrained, download_from_drive, fetch, weights_folder
from lipgan_colab.models.weights import load_generator, save_generator

BODY = np.random.default_rng(0).bytes(700_000)
DIGEST = hashlib.sha256(BODY).hexdigest()


def entry(*urls: str, sha256: str | None = None) -> Pretrained:
    return Pretrained("a test", "test.pth", urls, "https://example.org/weights", "none", 1, sha256)


@pytest.mark.parametrize("digest", [DIGEST, None])
def test_weights_are_downloaded_once(web, tmp_path, digest):
    web.files["/test.pth"] = BODY
    weights = entry(f"{web.url}/test.pth", sha256=digest)
    for _ in range(2):
        assert fetch(weights, tmp_path / "new").read_bytes() == BODY
    assert len(web.asked) == 1


def test_a_broken_download_goes_on(web, tmp_path):
    web.files["/test.pth"] = BODY
    web.cuts["/test.pth"] = [300_000]
    weights = entry(f"{web.url}/test.pth")
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:\d+: the connection broke .*try again") as caught:
        fetch(weights, tmp_path)
    assert "\n" not in str(caught.value)
    assert fetch(weights, tmp_path).read_bytes() == BODY
    assert [wanted for _, wanted in web.asked] == [None, "bytes=300000-"]


def test_a_mirror_stands_in(web, tmp_path):
    web.files |= {"/corrupt": BODY[::-1], "/cut": BODY, "/whole": BODY}
    web.cuts["/cut"] = [1000]
    web.refused["/refused"] = 403
    weights = entry(*(f"{web.url}/{path}" for path in ("refused", "corrupt", "cut", "whole")), sha256=DIGEST)
    assert fetch(weights, tmp_path).read_bytes() == BODY
    assert web.asked[-1] == ("/whole", "bytes=1000-")


@pytest.mark.parametrize(("path", "reason"), [("refused", "403"), ("corrupt", "SHA-256")])
def test_what_cannot_be_had_is_to_be_fetched_by_hand(web, tmp_path, path, reason):
    web.refused["/refused"] = 403
    web.files["/corrupt"] = BODY[::-1]
    with pytest.raises(DownloadError, match=reason) as caught:
        fetch(entry(f"{web.url}/{path}", sha256=DIGEST), tmp_path)
    message = str(caught.value)
    assert f"by hand from https://example.org/weights and put it at {tmp_path / 'test.pth'}" in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_weights_that_changed_since_are_refused(web, tmp_path):
    web.files["/test.pth"] = BODY
    weights = entry(f"{web.url}/test.pth")
    path = fetch(weights, tmp_path)
    assert (tmp_path / "test.pth.sha256").read_text().split() == [DIGEST, "test.pth"]
    path.write_bytes(BODY[:-1] + b"?")
    with pytest.raises(InputError, match=r"test\.pth: not the file expected .*delete it"):
        fetch(weights, tmp_path)


def test_weights_put_there_by_hand_are_taken(tmp_path):
    (tmp_path / "test.pth").write_bytes(BODY)
    assert fetch(entry(sha256=DIGEST), tmp_path) == tmp_path / "test.pth"
    (tmp_path / "test.pth").write_bytes(BODY[:1000])
    with pytest.raises(InputError, match="not the file expected"):
        fetch(entry(sha256=DIGEST), tmp_path)


def test_gdown_fetches_and_goes_on(web, tmp_path):
    web.files["/uc"] = BODY * 4  # gdown writes pieces of half a megabyte
    web.cuts["/uc"] = [2_000_000]
    path = tmp_path / "new" / "lipgan.h5"
    with pytest.raises(DownloadError, match=r"lipgan\.h5 not downloaded") as caught:
        download_from_drive(f"{web.url}/uc", path)
    assert "\n" not in str(caught.value)
    assert not path.exists()
    download_from_drive(f"{web.url}/uc", path)
    assert path.read_bytes() == BODY * 4
    assert web.asked[-1] == ("/uc", "bytes=1572864-")
    assert [p.name for p in path.parent.iterdir()] == ["lipgan.h5"]


def test_several_processes_fetch_from_drive_once(web, tmp_path):
    web.files["/uc"], web.pause = BODY, 1.5
    code = "import sys; from pathlib import Path; from lipgan_colab.models.pretrained import download_from_drive; "
    code += "download_from_drive(sys.argv[1], Path(sys.argv[2]), sys.argv[3])"
    command = [sys.executable, "-c", code, f"{web.url}/uc", str(tmp_path / "lipgan.h5"), DIGEST]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[1].count("Error") for process in processes] == [0] * 2
    assert (tmp_path / "lipgan.h5").read_bytes() == BODY
    assert len(web.asked) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["lipgan.h5"]


def test_another_file_on_drive_is_thrown_away(web, tmp_path):
    web.files["/uc"] = BODY[::-1]
    with pytest.raises(DownloadError, match="SHA-256"):
        download_from_drive(f"{web.url}/uc", tmp_path / "lipgan.h5", DIGEST)
    assert list(tmp_path.iterdir()) == []


def test_drives_web_page_is_no_weights(web, tmp_path):
    web.files["/uc"] = b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>"
    with pytest.raises(DownloadError, match="a web page came instead"):
        download_from_drive(f"{web.url}/uc", tmp_path / "lipgan.h5")
    assert list(tmp_path.iterdir()) == []


def test_drive_refusing_is_one_line(web, tmp_path):
    web.refused["/uc"] = 403
    with pytest.raises(DownloadError, match=r"lipgan\.h5 not downloaded") as caught:
        download_from_drive(f"{web.url}/uc", tmp_path / "lipgan.h5")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "lipgan.h5").exists()


def test_the_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.delenv("LIPGAN_WEIGHTS", raising=False)
    assert weights_folder() == CACHE
    monkeypatch.setenv("LIPGAN_WEIGHTS", str(tmp_path))
    assert weights_folder() == tmp_path


def test_a_generator_is_loaded_by_its_name(web, tmp_path, monkeypatch, capsys):
    torch.manual_seed(0)
    generator = LipGANGenerator(GeneratorConfig(0.25))
    save_generator(tmp_path / "made.safetensors", generator)
    web.files["/made"] = (tmp_path / "made.safetensors").read_bytes()
    monkeypatch.setenv("LIPGAN_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    weights = Pretrained("a test", "test.safetensors", (f"{web.url}/made",), "", "for tests only", 1)
    monkeypatch.setitem(pretrained.PRETRAINED, "test-weights", weights)
    loaded = load_generator("test-weights")
    assert torch.equal(loaded.out[2].weight, generator.out[2].weight)
    assert loaded.about["licence"] == "for tests only"
    assert "for tests only" in capsys.readouterr().err
    load_generator("test-weights")
    assert len(web.asked) == 1


def test_the_table_is_complete():
    assert {"lipgan", "lipgan-mel", "wav2lip", "wav2lip-gan", "syncnet"} <= PRETRAINED.keys()
    for weights in PRETRAINED.values():
        assert weights.what and weights.licence and weights.megabytes >= 1
        assert weights.bundled or weights.page.startswith("https://")
        assert weights.bundled == (not weights.urls)
        assert all(url.startswith("https://") for url in weights.urls)
        assert weights.sha256 is None or len(weights.sha256) == 64
    files = [weights.file for weights in PRETRAINED.values()]
    assert len(set(files)) == len(files)


def test_a_folder_that_cannot_be_written_is_named(web, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"file/test\.pth") as caught:
        fetch(entry(f"{web.url}/test.pth"), tmp_path / "file")
    assert "\n" not in str(caught.value)
    (tmp_path / "test.pth").write_bytes(BODY)
    (tmp_path / "test.pth.sha256").mkdir()
    with pytest.raises(InputError, match=r"test\.pth: .*set LIPGAN_WEIGHTS"):
        fetch(entry(), tmp_path)
