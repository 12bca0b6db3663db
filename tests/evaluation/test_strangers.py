"""Strangers on one page: what is checked of them is told from what goes wrong."""

import csv
import shutil

import cv2
import numpy as np
import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation import strangers as page
from lipgan_colab.evaluation.strangers import CELL, CHECKS, strangers
from lipgan_colab.media.image import read_image
from lipgan_colab.media.writing import write_video
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator

COLUMNS = 6


@pytest.fixture(scope="module")
def faces(shared, tmp_path_factory):
    """A folder with a photo, a grey film, and a photo without a face."""
    folder = tmp_path_factory.mktemp("faces")
    photos = shared / "data/photos"
    shutil.copy(photos / "obama_240p.jpg", folder / "b.jpg")
    shutil.copy(photos / "no_face_dino.jpg", folder / "c.jpg")
    grey = read_image(photos / "obama_240p.jpg").mean(axis=2, keepdims=True).round().astype(np.uint8)
    write_video(folder / "a.mp4", iter([grey.repeat(3, axis=2)] * 10), 25)
    return folder


@pytest.fixture(scope="module", autouse=True)
def short():
    """Only a second is spoken."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "LONGEST", 16000)
        yield


@pytest.fixture(scope="module")
def made(faces, tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    return out, strangers([faces], "starter", out)


def test_a_page_and_the_checks_are_written(made, faces):
    out, found = made
    names = [str(faces / name) for name in ("a.mp4", "b.jpg")]
    assert [stranger.name for stranger in found] == names
    with (out / "strangers.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == names and set(CHECKS) < set(lines[0])
    picture = cv2.imread(str(out / "strangers.png"))
    assert picture.shape[1] == COLUMNS * CELL and 2 * CELL < picture.shape[0] < 3 * CELL


def test_what_holds_for_a_good_network(made):
    for stranger in made[1]:
        checks = stranger.checks
        assert checks["rest"] < 0.02 < 0.05 < checks["widest"]
        assert checks["silence"] < 0.1 and checks["one_sided"] < 0.05 and checks["folds"] < 10
    assert abs(made[1][0].checks["chroma"]) < 2  # grey stays grey
    assert np.ptp(made[1][0].row.reshape(-1, 3).astype(int), axis=1).max() < 8


def test_what_goes_wrong_is_told(faces, tmp_path, monkeypatch, made):
    """Skin is blurred and red, lips move on one side, and far too far."""
    said, spoken = page._said, page.spoken

    def painted(face, movement):
        picture = cv2.GaussianBlur(spoken(face, movement), (0, 0), 1.5)
        picture[..., 0] = np.minimum(picture[..., 0].astype(int) + 40, 255)
        return picture

    def uneven(network, wave):
        says = said(network, wave)
        says.movements[:] *= 6 * np.where(page.mesh.canonical()[:, :1] > 0, 0.3, 1)
        return says

    monkeypatch.setattr(page, "spoken", painted)
    monkeypatch.setattr(page, "_said", uneven)
    (good, *_), (bad,) = made[1], strangers([faces / "a.mp4"], "starter", tmp_path)
    assert bad.checks["chroma"] > 10 and bad.checks["chin"] < 0.5 * good.checks["chin"]
    assert bad.checks["one_sided"] > 0.3 and bad.checks["folds"] > good.checks["folds"]


def test_lips_that_do_not_rest_are_told(faces, tmp_path, monkeypatch, made):
    said = page._said

    def restless(network, wave):
        says = said(network, wave)
        says.movements[:] = says.movements[says.moments["widest"]] * (np.arange(len(says.movements)) % 2)[:, None, None]
        return says

    monkeypatch.setattr(page, "_said", restless)
    (restless,) = strangers([faces / "b.jpg"], "starter", tmp_path)
    assert restless.checks["silence"] > 0.8


def test_where_nobody_can_speak_the_reason_is_told(faces, tmp_path, capsys):
    with pytest.raises(InputError, match="none of 1 file "):
        strangers([faces / "c.jpg"], "starter", tmp_path)
    assert "c.jpg: no face found" in capsys.readouterr().out
    with pytest.raises(InputError, match="a motion network, and these weights are a generator"):
        strangers([faces], LipGANGenerator(GeneratorConfig(0.02)), tmp_path)


def test_an_average_mouth_says_which_moments_are_shown():
    movements, silent = np.zeros((9, 468, 3)), np.arange(9) > 6
    movements[1:7, page.lips.LOWER, 1] = np.array([2, 3, 0, 1, 2, 1])[:, None]
    movements[4, page.lips.CORNERS[0], 0] = 1  # narrow
    moments = page._moments(movements, silent)
    assert moments["rest"] == 8 and moments["widest"] == 2 and moments["closure"] == 3
