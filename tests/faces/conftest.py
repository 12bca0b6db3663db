"""A face finder that the tests of faces share."""

import pytest

from lipgan_colab.faces import model_file
from lipgan_colab.faces.detector import FaceFinder


@pytest.fixture(scope="session")
def finder(shared):
    with FaceFinder() as finder:
        yield finder


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No model anywhere that is looked at, and a cache that is this folder."""
    monkeypatch.delenv(model_file.MODEL_VARIABLE, raising=False)
    monkeypatch.setattr(model_file, "__file__", str(tmp_path / "checkout" / "lipgan_colab" / "faces" / "model_file.py"))
    monkeypatch.setattr(model_file, "MODEL_CACHE", tmp_path / "cache" / "face_landmarker.task")
    return tmp_path
