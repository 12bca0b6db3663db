"""What a person reads is one line, whatever a file made the libraries say."""

import struct

import pytest

from lipgan_colab.errors import InputError, counted, lasting, naming_options, reading


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (struct.error("unpack requires 4 bytes"), "unpack requires 4 bytes"),
        (KeyError("shard"), "'shard' is missing"),
        (MemoryError(), "MemoryError"),
        (RecursionError("two\nlines"), "two lines"),
        (PermissionError(13, "Permission denied", "/x"), "Permission denied"),
        (InputError("the width is wrong"), None),
    ],
)
def test_the_border_of_a_reader_makes_a_line_of_everything(error, reason):
    with pytest.raises(InputError) as caught, reading("a.pth", "damaged", "fetch it again"):
        raise error
    assert str(caught.value) == (f"a.pth: damaged ({reason}); fetch it again" if reason else f"a.pth: {error}")


def test_a_file_that_is_not_there_is_not_damaged(tmp_path):
    for path, said in ((tmp_path / "a", "there is no such file"), (tmp_path, "this is a folder")):
        with pytest.raises(InputError) as caught, reading(path, "damaged", "fetch it again"):
            path.read_bytes()
        assert str(caught.value) == f"{path}: {said}; fetch it again"


def test_what_names_the_file_already_passes_as_it_is():
    error = InputError("a.pth: an empty file")
    with pytest.raises(InputError) as caught, reading("a.pth", "damaged", "fetch it again"):
        raise error
    assert caught.value is error


def test_names_from_a_file_cannot_break_the_line():
    assert str(InputError("the weight a\n\x1b[2Jb is missing")) == "the weight a [2Jb is missing"
    assert len(str(InputError("x" * 10_000))) < 3000


def test_options_are_named_as_they_are_given():
    def known_by(name, value):
        return {"pauses": f"The mouth: {value}", "mark": "Mark"}.get(name)

    line = "with `pauses=off` (`mark`, `pauses=strict`); see `mark`."
    assert naming_options(line, known_by) == "with The mouth: off (Mark, The mouth: strict); see Mark."
    assert naming_options("`size=192` is none of mine", known_by) == "`size=192` is none of mine"
    for name in ("my`mark`.mp4", "`mark`.mp4: no video", "/a/`mark`/b.mp4", "`mark`s"):
        assert naming_options(name, known_by) == name  # of a file


def test_one_is_one():
    assert [counted(n, "frame") for n in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
    assert [counted(text, "hour") for text in ("1", "1.00", "1.5")] == ["1 hour", "1.00 hours", "1.5 hours"]
    assert counted(2, "speaker or programme", "speakers or programmes") == "2 speakers or programmes"


def test_an_error_as_text_has_the_names_alone():
    error = InputError("`size=64` and `fps` are given")
    assert str(error) == "size 64 and fps are given" and error.line == "`size=64` and `fps` are given"
    with pytest.raises(InputError) as caught, reading("a.pth", "damaged", "fetch it again"):
        raise error
    assert caught.value.line == "a.pth: `size=64` and `fps` are given"


def test_how_long_something_lasts():
    spans = {0.42: "0.4 seconds", 1: "1 second", 59: "59 seconds", 130: "2 minutes", 40000: "11.1 hours"}
    assert {seconds: lasting(seconds) for seconds in spans} == spans
    assert lasting(3 * 86400) == "3 days"
