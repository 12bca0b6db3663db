"""Uploads of both generations of ipywidgets, and what is refused."""

from pathlib import Path

import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.notebook.file_input import FileInput, Source, uploaded

VALUES = {
    7: {"a.txt": {"metadata": {"name": "a.txt", "size": 2}, "content": b"hi"}},
    8: ({"name": "a.txt", "type": "text/plain", "size": 2, "content": memoryview(b"hi")},),
}


@pytest.fixture
def given(tmp_path):
    """A FileInput, and the list of files that it took."""
    taken: list[Path] = []

    def take(path: Path) -> str:
        if path.suffix == ".bad":
            raise InputError(f"{path.name}: not wanted <here>")
        taken.append(path)
        return f"{path.stat().st_size} bytes"

    return FileInput("File", "*", tmp_path, take, [Source("None", "times", lambda: None)]), taken


@pytest.mark.parametrize("generation", [7, 8])
def test_an_upload_is_read_whichever_the_version(generation):
    assert uploaded(VALUES[generation]) == [("a.txt", b"hi")]
    assert uploaded(type(VALUES[generation])()) == []


def test_an_upload_is_kept_under_its_name_and_the_same_again_beside_it(given):
    box, taken = given
    for _ in range(2):
        before = box.upload
        box._on_upload({"new": VALUES[8]})
        assert box.upload is not before  # a new button, which can take the same file again
    assert [path.read_bytes() for path in taken] == [b"hi", b"hi"] and taken[0] != taken[1]
    assert taken[0].name == "a.txt" and box.notice.text == "a.txt: 2 bytes"


@pytest.mark.parametrize("name", ["../../evil.txt", "..\\evil.txt", "/etc/evil.txt"])
def test_an_upload_cannot_leave_its_folder(given, tmp_path, name):
    box, taken = given
    box._on_upload({"new": ({"name": name, "content": b"x"},)})
    assert taken[0].is_relative_to(tmp_path) and taken[0].name == "evil.txt"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("x" * 242 + ".mp4", "x" * 242 + ".mp4"),
        ("ก" * 100 + ".mp4", "ก" * 83 + ".mp4"),
        ("a:b %d 'c'😀.mp4", "a:b %d 'c'😀.mp4"),
        ("..", "upload"),
        ("a\0b\n.mp4", "a_b_.mp4"),
        ("\ud800.mp4", "?.mp4"),
    ],
)
def test_an_upload_may_have_any_name(given, name, kept):
    box, taken = given
    box._on_upload({"new": ({"name": name, "content": b"x"},)})
    assert taken[0].name == kept and taken[0].read_bytes() == b"x"


def test_a_path_may_have_quotes_and_need_not_be_text(given, tmp_path):
    box, taken = given
    for name in ("'it is' \"mine\"", " blank ", "caf\udce9.txt"):
        (tmp_path / name).write_text("abc")
        box.path.value = str(tmp_path / name)
        assert taken.pop() == tmp_path / name
    assert box.notice.text == r"caf\udce9.txt: 3 bytes"
    box.notice.box.value.encode()  # as a browser is sent it


def test_a_refusal_is_shown_escaped_and_the_next_file_is_taken(given, tmp_path):
    box, taken = given
    (tmp_path / "x.bad").touch()
    (tmp_path / "x.txt").write_text("abc")
    box.path.value = str(tmp_path / "x.bad")
    assert box.notice.text == "x.bad: not wanted <here>" and "&lt;here&gt;" in box.notice.box.value
    box.path.value = f' "{tmp_path / "x.txt"}" '
    assert box.notice.text == "x.txt: 3 bytes" and len(taken) == 1
    box.path.value = str(tmp_path)
    assert "no such file" in box.notice.text


@pytest.mark.parametrize("path", ["~nobody-of-this-name/x.txt", "x" * 300, "a\0b"])
def test_a_path_that_cannot_be_is_no_surprise(given, path):
    box, _ = given
    box.path.value = path
    assert "there is no such file" in box.notice.text


def test_who_thinks_better_of_it_is_asked_nothing_more(given):
    box, taken = given
    box.buttons["None"].click()
    assert not taken and not box.notice.text


def test_a_lost_upload_is_said_and_gets_a_new_button_but_not_one_that_arrived(given):
    box, taken = given
    first = box.upload
    (lost,) = [child for child in box._uploading.children if child is not first]
    lost.click()
    assert "has not arrived" in box.notice.text and box.upload is not first
    box._on_upload({"new": VALUES[8]})
    lost.click()  # sent while the upload was on its way
    assert box.notice.text == "a.txt: 2 bytes" and len(taken) == 1


def test_a_full_disk_is_said(tmp_path, small_disk):
    box = FileInput("File", "*", small_disk, lambda path: "taken", [])
    box._on_upload({"new": ({"name": "a.txt", "content": bytes(2 << 20)},)})
    assert "a.txt: not written (No space left on device)" in box.notice.text
    box = FileInput("File", "*", tmp_path / "missing", lambda path: "taken", [])
    box._on_upload({"new": VALUES[8]})
    assert "missing: not written (No such file or directory)" in box.notice.text


def test_what_an_error_says_of_an_address_is_kept_from_the_notebook(given):
    box, _ = given

    def fail():
        raise RuntimeError("no answer from https://me:s3cret@a.org/b?token=s3cret")

    box.give(fail)
    assert "https://…@a.org/b?…" in box.notice.text and "s3cret" not in box.notice.box.value
