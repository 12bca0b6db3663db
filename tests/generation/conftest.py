"""What the tests of generating share: a generator whose work is easily told from what was there, and faces to move."""

import wave
from fractions import Fraction

import numpy as np
import pytest
import torch

from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.generation.face_frames import read_photo
from lipgan_colab.generation.moved_faces import spoken_parts
from lipgan_colab.generation.own_pixels import Portrait, likeness, portrait
from lipgan_colab.media.sound import read_speech
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.pretrained import ASSETS
from lipgan_colab.models.weights import load_generator


class Painter(LipGANGenerator):
    """Answers with a plain green face, so that what it painted can be told from what was there."""

    def forward(self, faces, speech):
        return torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1).expand(len(speech), 3, 96, 96)


@pytest.fixture(scope="session")
def painter():
    return Painter(GeneratorConfig(0.02)).eval()


@pytest.fixture(scope="session")
def finder():
    with FaceFinder() as finder:
        yield finder


@pytest.fixture(scope="session")
def starter():
    return load_generator("starter")


@pytest.fixture(scope="session")
def movements(shared, starter):
    """What the starter does at eleven moments of a speech, (11, 468, 3) in the head's frame."""
    features = starter.speech_input.features(read_speech(shared / "data" / "speech" / "jfk.flac"))
    parts = spoken_parts(starter, features, 275, Fraction(25))[::25]
    return np.tensordot(parts, starter.moves, 1)


@pytest.fixture(scope="session")
def ready(finder, starter):
    """`ready(picture)`: the largest face in it, as it is to be moved."""

    def prepare(picture: np.ndarray) -> Portrait:
        face = finder.find(picture)[0]
        return portrait(picture, face, likeness([(picture, face)], starter.moves))

    return prepare


@pytest.fixture(scope="session")
def photographed(shared, ready):
    """`photographed(name)`: the face in one of the photos, as it is to be moved."""
    known = {}

    def look(name: str) -> Portrait:
        if name not in known:
            known[name] = ready(read_photo(shared / "data" / "photos" / f"{name}.jpg"))
        return known[name]

    return look


@pytest.fixture(scope="session")
def one_second(tmp_path_factory):
    """The first second of the sentence that comes with the package."""
    path = tmp_path_factory.mktemp("speech") / "one.wav"
    with wave.open(str(ASSETS / "sample.wav")) as sample, wave.open(str(path), "wb") as cut:
        cut.setparams(sample.getparams())
        cut.writeframes(sample.readframes(sample.getframerate()))
    return path
