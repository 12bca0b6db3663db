import hashlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from lipgan_colab.download import DownloadError, download, shown_address
from lipgan_colab.files import file_sha256

BODY = np.random.default_rng(0).bytes(700_000)
DIGEST = hashlib.sha256(BODY).hexdigest()


def test_file_is_whole_and_checked_and_not_fetched_twice(web, tmp_path):
    web.files["/file"] = BODY
    path = tmp_path / "new" / "file.bin"
    assert download(f"{web.url}/file", path, DIGEST) == path
    assert path.read_bytes() == BODY
    assert list(path.parent.iterdir()) == [path]
    download(f"{web.url}/file", path, DIGEST)
    assert len(web.asked) == 1
    assert file_sha256(path) == DIGEST


@pytest.mark.parametrize("digest", [DIGEST, None])
def test_cut_off_download_goes_on_where_it_was(web, tmp_path, digest):
    web.files["/file"] = BODY
    web.cuts["/file"] = [300_000, 100_000]
    path = tmp_path / "file.bin"
    for _ in range(2):
        with pytest.raises(DownloadError, match="run the same again"):
            download(f"{web.url}/file", path, digest)
        assert not path.exists()
    download(f"{web.url}/file", path, digest)
    assert path.read_bytes() == BODY
    assert [wanted for _, wanted in web.asked] == [None, "bytes=300000-", "bytes=400000-"]
    assert os.listdir(tmp_path) == ["file.bin"]


def test_server_without_ranges_begins_again(web, tmp_path):
    web.files["/file"], web.ranges = BODY, False
    web.cuts["/file"] = [300_000]
    path = tmp_path / "file.bin"
    with pytest.raises(DownloadError):
        download(f"{web.url}/file", path, DIGEST)
    download(f"{web.url}/file", path, DIGEST)
    assert path.read_bytes() == BODY


def test_whole_rest_that_was_never_named_is_not_fetched_again(web, tmp_path):
    web.files["/file"] = BODY
    path = tmp_path / "file.bin"
    (tmp_path / ".file.bin.part").write_bytes(BODY)  # killed between the last byte and the renaming
    download(f"{web.url}/file", path, DIGEST)
    assert path.read_bytes() == BODY


def test_wrong_file_is_thrown_away_and_named(web, tmp_path):
    web.files["/file"] = BODY[:-1] + b"?"
    path = tmp_path / "file.bin"
    with pytest.raises(DownloadError, match="SHA-256") as error:
        download(f"{web.url}/file", path, DIGEST)
    assert str(path) in str(error.value) and f"{web.url}/file" in str(error.value)
    assert "\n" not in str(error.value)
    assert os.listdir(tmp_path) == []


def test_refused_and_unreachable_say_how_to_help_oneself(web, tmp_path):
    web.refused["/file"] = 403
    with pytest.raises(DownloadError, match=r"403.*by hand"):
        download(f"{web.url}/file", tmp_path / "file.bin")
    with socket.socket() as nobody, pytest.raises(DownloadError, match="by hand"):
        nobody.bind(("127.0.0.1", 0))  # and listens not
        port = nobody.getsockname()[1]
        download(f"http://127.0.0.1:{port}/file", tmp_path / "file.bin", timeout=2)
    assert os.listdir(tmp_path) == []


DOWNLOADS = """
import sys
from lipgan_colab.download import download
print(download(*sys.argv[1:]))
"""


def test_several_processes_fetch_a_file_once(web, tmp_path):
    """Each wants it before the first byte has come."""
    web.files["/file"], web.pause = BODY, 1.5
    path = tmp_path / "file.bin"
    command = [sys.executable, "-c", DOWNLOADS, f"{web.url}/file", str(path), DIGEST]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        told, errors = process.communicate(timeout=60)
        assert (process.returncode, told.strip()) == (0, str(path)), errors
    assert path.read_bytes() == BODY
    assert len(web.asked) == 1
    assert os.listdir(tmp_path) == ["file.bin"]


def test_without_locks_each_has_a_part_of_its_own(web, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[download.__module__], "fcntl", None)
    web.files["/file"] = BODY
    path, errors = tmp_path / "file.bin", []

    def fetch():
        try:
            download(f"{web.url}/file", path, DIGEST)
        except DownloadError as error:
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert path.read_bytes() == BODY


def test_what_a_killed_process_left_is_gone_on_with(web, tmp_path):
    web.files["/file"] = BODY
    path = tmp_path / "file.bin"
    code = f"from lipgan_colab.files import part_name; print(part_name({str(path)!r}))"
    left = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    Path(left).write_bytes(BODY[:200_000])
    download(f"{web.url}/file", path, DIGEST)
    assert path.read_bytes() == BODY
    assert [wanted for _, wanted in web.asked] == ["bytes=200000-"]
    assert os.listdir(tmp_path) == ["file.bin"]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://a.org/b/c.mp4", "https://a.org/b/c.mp4"),
        ("https://a.org/b?X-Amz-Signature=1,2;3)4&token=5", "https://a.org/b?…"),
        ("https://me:pass@a.org/b#key", "https://…@a.org/b?…"),
        ("HTTPS://me:p@ss@a.org", "HTTPS://…@a.org"),
        ("it broke (https://a.org/b?c=d); fetch it. Really?", "it broke (https://a.org/b?…); fetch it. Really?"),
        ("write to me@a.org", "write to me@a.org"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address, shown):
    assert shown_address(address) == shown


@pytest.mark.parametrize(
    "address",
    ["{url}/file?token=s3cret", "http://me:s3cret@127.0.0.1:1/file", "http://127.0.0.1:1/a b?s3cret"],
)
def test_a_failed_download_keeps_secrets(web, tmp_path, address):
    with pytest.raises(DownloadError, match="by hand") as told:
        download(address.format(url=web.url), tmp_path / "file.bin")
    assert "s3cret" not in str(told.value)
