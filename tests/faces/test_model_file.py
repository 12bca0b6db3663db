"""Which face model is used, and what is said where there is none."""

import re

import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.faces import model_file
from lipgan_colab.faces.model_file import MODEL, MODEL_VARIABLE, find_model, finder_name


def test_the_model_comes_with_the_package_and_its_licence():
    assert find_model() == MODEL
    assert finder_name() == "mediapipe face_landmarker 64184e22"
    notice = MODEL.with_suffix(".NOTICE").read_text()
    assert model_file.MODEL_SHA256 in notice and "Apache License" in notice


def test_another_model_can_be_named(tmp_path, monkeypatch):
    named, by_variable = tmp_path / "named.task", tmp_path / "by_variable.task"
    for path in (named, by_variable):
        path.write_bytes(path.name.encode())
    monkeypatch.setenv(MODEL_VARIABLE, str(by_variable))
    assert find_model() == by_variable
    assert find_model(named) == named
    assert len({finder_name(), finder_name(named), finder_name(MODEL)}) == 3
    with pytest.raises(InputError, match=r"gone\.task: no such face model \(model\)"):
        find_model(tmp_path / "gone.task")
    by_variable.unlink()
    with pytest.raises(InputError, match=rf"by_variable\.task: no such face model \({MODEL_VARIABLE}\)"):
        find_model()


@pytest.mark.parametrize("content", [None, b"half"])
def test_a_package_without_its_model_is_one_line(tmp_path, monkeypatch, content):
    path = tmp_path / "face_landmarker.task"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(model_file, "MODEL", path)
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: .*missing or damaged; install the package anew$"):
        find_model()
