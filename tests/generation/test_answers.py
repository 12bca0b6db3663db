"""A generator's answer in the person's own pixels: its shape, and nothing of its skin."""

from contextlib import closing

import cv2
import numpy as np
import pytest
import torch

from lipgan_colab.faces import geometry, lips
from lipgan_colab.faces.face import Face
from lipgan_colab.generation import generate as generating
from lipgan_colab.generation.answers import Answers
from lipgan_colab.generation.crops import generate_crops
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.own_pixels import spoken
from lipgan_colab.generation.paste import paste, place
from lipgan_colab.media.sound import read_speech
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator


@pytest.fixture
def answers():
    with closing(Answers()) as answers:
        yield answers


@pytest.fixture(scope="module")
def biden(photographed, finder) -> tuple[np.ndarray, Face, np.ndarray]:
    """A photo, the face found in it, and its crop."""
    picture = photographed("biden").picture
    face = finder.find(picture)[0]
    return picture, face, geometry.upright_crop(picture, face)


@pytest.fixture(scope="module")
def green_mouth(biden, photographed, movements) -> np.ndarray:
    """The crop with an open mouth, and greenish from the nose downwards."""
    face = biden[1]
    widest = max(movements, key=lambda movement: lips.gaps(movement).max())
    crop = geometry.upright_crop(spoken(photographed("biden"), widest), face).astype(np.float32)
    crop[48:] = crop[48:] * [0.6, 1.2, 0.6]
    return crop.clip(0, 255).astype(np.uint8)


def greenness(picture: np.ndarray) -> np.ndarray:
    red, green, blue = picture.astype(int).transpose(2, 0, 1)
    return green - (red + blue) / 2


def lower_skin(face: Face, picture: np.ndarray) -> np.ndarray:
    """Which pixels would be pasted, and are not of the mouth or near it."""
    placement = place(face, picture.shape)
    left, top, right, bottom = placement.region
    mouth = cv2.dilate(geometry.lip_mask(face.landmarks, picture.shape), np.ones((31, 31)))
    skin = np.zeros(picture.shape[:2], bool)
    skin[top:bottom, left:right] = placement.mask > 0.9
    return skin & (mouth == 0)


def test_an_answer_moves_the_mouth_and_keeps_the_skin(biden, green_mouth, answers, finder):
    picture, face, original = biden
    before = picture.copy()
    spoken = answers.spoken(picture, face, original, green_mouth)
    assert np.array_equal(picture, before) and spoken.shape == picture.shape
    found = finder.find(spoken)[0]
    assert geometry.mouth_opening(face.landmarks) < 0.01 and geometry.mouth_opening(found.landmarks) > 0.03
    skin = lower_skin(face, picture)
    assert np.abs(greenness(spoken)[skin] - greenness(picture)[skin]).mean() < 4
    pasted = paste(picture, green_mouth, original, place(face, picture.shape))
    assert greenness(pasted)[skin].mean() > greenness(picture)[skin].mean() + 10


def test_the_skin_is_as_sharp_as_the_photo(biden, green_mouth, answers):
    picture, face, original = biden
    skin = lower_skin(face, picture)

    def grain(shown: np.ndarray) -> float:
        grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return float(np.square(cv2.Laplacian(grey, cv2.CV_32F))[skin].mean())

    own = answers.spoken(picture, face, original, green_mouth)
    pasted = paste(picture, green_mouth, original, place(face, picture.shape))
    assert grain(own) > 0.75 * grain(picture) and grain(pasted) < 0.5 * grain(picture)


def test_an_answer_like_the_question_changes_nothing(biden, answers):
    picture, face, original = biden
    assert np.array_equal(answers.spoken(picture, face, original, original.copy()), picture)


def test_a_mouth_that_is_a_little_open_stays_so_where_the_answer_does(photographed, movements, answers, finder):
    widest = max(movements, key=lambda movement: lips.gaps(movement).max())
    picture = spoken(photographed("biden"), 0.4 * widest)
    face = finder.find(picture)[0]
    assert 0.005 < geometry.mouth_opening(face.landmarks) < 0.05
    crop = geometry.upright_crop(picture, face)
    assert np.array_equal(answers.spoken(picture, face, crop, crop.copy()), picture)


def test_part_of_the_way(biden, green_mouth, answers, finder):
    picture, face, original = biden
    assert np.array_equal(answers.spoken(picture, face, original, green_mouth, 0.0), picture)
    half, whole = (
        geometry.mouth_opening(finder.find(answers.spoken(picture, face, original, green_mouth, part))[0].landmarks)
        for part in (0.6, 1.0)
    )
    assert 0.005 < half < whole


def test_where_no_face_is_seen_there_is_no_answer(biden, answers):
    picture, face, original = biden
    green = np.full((96, 96, 3), [0, 255, 0], np.uint8)
    assert answers.spoken(picture, face, original, green) is None
    assert answers.spoken(picture, face, green, original) is None
    assert answers.spoken(picture, face, original, original) is not None  # and the next one is looked at again


class Replayed(LipGANGenerator):
    """Answers with one picture, whatever is said."""

    def forward(self, faces, speech):
        picture = torch.from_numpy(self.picture).permute(2, 0, 1)[None].float() / 255
        return picture.expand(len(speech), 3, 96, 96)


@pytest.fixture
def made(shared, monkeypatch, tmp_path):
    """`made(generator, **options)`: the frames that a photo's video is made of, before they are encoded."""
    frames = []

    def kept(path, shown, *rest):
        frames[:] = list(shown)

    monkeypatch.setattr(generating, "write_video", kept)
    photo, speech = shared / "data" / "photos" / "biden.jpg", shared / "data" / "speech" / "very_short_0.1s.wav"

    def make(generator, **options) -> list[np.ndarray]:
        generate(photo, speech, generator, tmp_path / "out.mp4", GenerateOptions(**options))
        return list(frames)

    return make


def test_detail_says_whose_skin_is_shown(biden, green_mouth, made):
    picture, face, _ = biden
    generator, skin = Replayed(GeneratorConfig(0.02)).eval(), lower_skin(face, picture)
    generator.picture = green_mouth
    (own, *_), (network, *_) = made(generator), made(generator, detail="network")
    assert np.abs(greenness(own)[skin] - greenness(picture)[skin]).mean() < 4
    assert greenness(network)[skin].mean() > greenness(picture)[skin].mean() + 10


def test_an_answer_without_a_face_is_pasted_as_it_is(painter, made):
    own, network = made(painter), made(painter, detail="network")
    assert len(own) == len(network) == 2 and all(map(np.array_equal, own, network))
    assert (greenness(own[0]) > 100).any()


def test_the_networks_detail_is_what_paste_makes(shared, biden, made):
    picture, face, original = biden
    torch.manual_seed(0)
    generator = LipGANGenerator(GeneratorConfig(0.1)).eval()
    frames = made(generator, detail="network", pauses="off", sharpen=0.5)
    hears, crop = generator.speech_input, original[None]
    speech = hears.features(read_speech(shared / "data" / "speech" / "very_short_0.1s.wav"))
    answered = generate_crops(generator, crop, crop, hears.windows(speech, len(frames), 25))
    for frame, answer in zip(frames, answered, strict=True):
        pasted = paste(picture, answer, original, place(face, picture.shape), 0.5)
        assert np.array_equal(frame, pasted)


def test_a_finder_that_was_never_needed_is_closed():
    Answers().close()


def test_the_detail_is_one_of_two():
    with pytest.raises(ValueError, match="choose one of own, network"):
        GenerateOptions(detail="mine")


def test_every_frames_crop_is_looked_at(biden, finder, answers):
    picture, face, original = biden
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    other = finder.find(mirrored)[0]
    crop = geometry.upright_crop(mirrored, other)
    assert np.array_equal(answers.spoken(picture, face, original, original.copy()), picture)
    assert np.array_equal(answers.spoken(mirrored, other, crop, crop.copy()), mirrored)
