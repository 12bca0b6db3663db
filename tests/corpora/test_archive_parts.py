"""Where part files lie: signing in without leaving a trace, and gdown's downloads read as they come."""

import base64
import http.server
import io
import logging
import sys
import tarfile
import threading
import types

import numpy as np
import pytest

from lipgan_colab.corpora import archive_parts, split_archive
from lipgan_colab.corpora.archive_parts import DrivePart, FilePart, WebPart, credentials
from lipgan_colab.corpora.unpack import unpack
from lipgan_colab.errors import InputError

BODY = np.random.default_rng(0).bytes(3_000_000)
SECRET = "s3cret-pass"


@pytest.fixture
def locked():
    """A server that wants user "me" and the password; its address, and what it was asked with."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            if self.path == "/away":
                self.send_response(302)
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere_partaa")
                return self.end_headers()
            expected = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
            if self.headers.get("Authorization") != expected and "elsewhere" not in self.path:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="LRS2"')
                return self.end_headers()
            self.send_response(200)
            self.send_header("Content-Length", str(len(ARCHIVE)))
            self.end_headers()
            self.wfile.write(ARCHIVE)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
    archive_parts._signed_in.clear()


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("a.mp4")
        info.size = 5000
        tar.addfile(info, io.BytesIO(BODY[:5000]))
    return buffer.getvalue()


ARCHIVE = archive()


@pytest.fixture
def typed(monkeypatch):
    """What a person types when asked; the questions end up in the list."""
    asked = []

    def answer(prompt):
        asked.append(prompt)
        return "me" if "name" in prompt else SECRET

    monkeypatch.setattr(archive_parts.getpass, "getpass", answer)
    return asked


def test_password_is_asked_for_once_and_left_nowhere(locked, typed, tmp_path, capfd, caplog):
    url, _ = locked
    caplog.set_level(logging.DEBUG)
    unpack([f"{url}/lrs2_v1_partaa"], tmp_path / "out")
    assert (tmp_path / "out" / "a.mp4").read_bytes() == BODY[:5000]
    assert len(typed) == 2
    said = capfd.readouterr()
    kept = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    for secret in (SECRET, base64.b64encode(f"me:{SECRET}".encode()).decode()):
        assert secret not in said.out + said.err + caplog.text
        assert secret.encode() not in kept


def test_colab_secrets_come_first(locked, tmp_path, monkeypatch, typed):
    userdata = types.SimpleNamespace(get={"LRS2_USER": "me", "LRS2_PASSWORD": SECRET}.__getitem__)
    colab = types.ModuleType("google.colab")
    colab.userdata = userdata
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    assert credentials("a server") == ("me", SECRET)
    colab.userdata = types.SimpleNamespace(get={}.__getitem__)  # no such secret
    assert credentials("a server") == ("me", SECRET)
    assert len(typed) == 2


def test_wrong_password_says_so_without_it(locked, monkeypatch):
    url, _ = locked
    monkeypatch.setattr(archive_parts.getpass, "getpass", lambda _: "wrong-one")
    with pytest.raises(InputError, match="refuses this user name and password") as error:
        WebPart(f"{url}/lrs2_v1_partaa")
    assert "wrong-one" not in str(error.value)


def test_nobody_to_ask(locked, monkeypatch):
    def nobody(_):
        raise EOFError

    monkeypatch.setattr(archive_parts.getpass, "getpass", nobody)
    with pytest.raises(InputError, match="LRS2_USER and LRS2_PASSWORD"):
        WebPart(f"{locked[0]}/lrs2_v1_partaa")


def test_password_does_not_go_to_another_address(locked, typed):
    url, asked = locked
    archive_parts._signed_in[url.removeprefix("http://")] = "Basic known"
    part = WebPart(f"{url}/elsewhere_partaa")
    part._sign_in = "Basic known"
    part.url = f"{url}/away"
    part.open(0).close()
    assert asked[-2:] == [("/away", "Basic known"), ("/elsewhere_partaa", None)]


def test_password_in_an_address_is_refused():
    with pytest.raises(InputError, match="leave user name and password out") as error:
        WebPart(f"https://me:{SECRET}@example.org/lrs2_v1_partaa")
    assert SECRET not in str(error.value)


def test_password_is_not_sent_in_the_clear(typed):
    with pytest.raises(InputError, match="https"):
        archive_parts._basic_sign_in(archive_parts.urllib.parse.urlsplit("http://example.org/part"))
    assert typed == []


def test_drive_parts_are_poured_through_gdown(web, tmp_path):
    web.files["/uc"] = BODY
    with DrivePart(f"{web.url}/uc").open(0) as stream:
        assert stream.read(10) == BODY[:10]
        assert b"".join(iter(lambda: stream.read(77_777), b"")) == BODY[10:]
    with DrivePart(f"{web.url}/uc").open(2_000_000) as stream:
        assert stream.read(5) == BODY[2_000_000:2_000_005]  # and the rest is given up
    assert list(tmp_path.iterdir()) == []


def test_drive_parts_are_joined_and_resumed(web, tmp_path, monkeypatch):
    """Their sizes are not known before they are read."""
    web.files |= {f"/{n}": BODY[n * 1_000_000 : (n + 1) * 1_000_000] for n in range(3)}
    links = [DrivePart(f"{web.url}/{n}", f"part {n + 1}") for n in range(3)]
    with split_archive.JoinedParts(links) as whole:
        assert whole.read(2_500_000) == BODY[:2_500_000]
        assert whole.passed == [1_000_000, 1_000_000]
        passed = whole.passed
    web.asked.clear()
    with split_archive.JoinedParts(links, passed) as whole:
        whole.seek(2_400_000)
        assert whole.read() == BODY[2_400_000:]
    assert [path for path, _ in web.asked] == ["/2"]
    monkeypatch.setattr(split_archive, "PAUSE", 0.01)
    web.cuts["/1"] = [500_000]
    with split_archive.JoinedParts(links) as whole:
        assert whole.read() == BODY
    web.cuts["/1"] = [500_000] * 20
    with split_archive.JoinedParts(links) as whole, pytest.raises(InputError, match=r"part 2: cannot be read"):
        whole.read()


def test_share_links_become_drive_parts(tmp_path):
    links = ["https://drive.google.com/file/d/abc/view?usp=sharing", "https://drive.google.com/uc?id=def"]
    found = split_archive.find_parts(links)
    assert [type(part) for part in found] == [DrivePart, DrivePart]
    assert [part.name for part in found] == ["part 1", "part 2"]
    (tmp_path / "lrs2_v1_partaa").write_bytes(b"x")
    assert isinstance(split_archive.find_parts(tmp_path)[0], FilePart)


@pytest.mark.parametrize(
    "address",
    [
        "{url}/missing?X-Amz-Signature=s3cret-pass&token=s3cret-pass",
        "{url}/cut?token=s3cret-pass",
        "http://127.0.0.1:x/part?token=s3cret-pass",
        "http://[::1/part?token=s3cret-pass",
        "http://127.0.0.1:1/a part?token=s3cret-pass",
        "HTTP://127.0.0.1:1/part?token=s3cret-pass",
        "ftp://me:s3cret-pass@127.0.0.1/part?token=s3cret-pass",
    ],
)
def test_secrets_in_an_address_are_told_to_nobody(web, tmp_path, monkeypatch, capfd, address):
    monkeypatch.setattr(split_archive, "PAUSE", 0.01)
    web.files["/cut?token=s3cret-pass"] = ARCHIVE
    web.cuts["/cut?token=s3cret-pass"] = [10**9, *[0] * 20]
    with pytest.raises(InputError) as told:
        unpack([address.format(url=web.url)], tmp_path / "out")
    said = capfd.readouterr()
    assert SECRET not in str(told.value) + said.out + said.err


def test_what_gdown_says_is_told_without_the_link(web, monkeypatch):
    monkeypatch.setattr(split_archive, "PAUSE", 0.01)

    def refused(*_, **__):
        raise RuntimeError(f"Cannot retrieve it:\n\n{web.url}/uc?id=s3cret-pass\n")

    monkeypatch.setattr("gdown.download", refused)
    link = DrivePart(f"{web.url}/uc?id={SECRET}")
    with split_archive.JoinedParts([link]) as whole, pytest.raises(InputError, match="Cannot retrieve it") as told:
        whole.read()
    assert SECRET not in str(told.value)
