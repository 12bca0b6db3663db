"""Where the face model is looked for, and what is said where it is not to be had."""

import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.faces import model_file


def test_model_is_looked_for_in_order(nowhere, monkeypatch):
    places = [
        nowhere / "cache" / "face_landmarker.task",
        nowhere / "shared" / "models" / "face_landmarker.task",
        nowhere / "named_by_variable.task",
        nowhere / "named.task",
    ]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"model")
    assert model_file.find_model(places[3]) == places[3]
    monkeypatch.setenv(model_file.MODEL_VARIABLE, str(places[2]))
    assert model_file.find_model() == places[2]
    assert model_file.find_model(places[3]) == places[3]
    monkeypatch.delenv(model_file.MODEL_VARIABLE)
    assert model_file.find_model() == places[1]
    places[1].unlink()
    assert model_file.find_model() == places[0]
    with pytest.raises(InputError, match=r"gone\.task: no such face model"):
        model_file.find_model(nowhere / "gone.task")


def test_model_that_cannot_be_downloaded_says_what_to_do(web, tmp_path):
    path = tmp_path / "face_landmarker.task"
    with pytest.raises(model_file.NoMediaPipe, match=model_file.MODEL_VARIABLE) as error:
        model_file.download_model(path, f"{web.url}/nothing", "0" * 64)
    assert str(path) in str(error.value) and "404" in str(error.value)
