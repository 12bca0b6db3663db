"""Wav2Lip's networks answer what the authors' answer."""

import numpy as np
import pytest
import torch

from lipgan_colab.models.wav2lip import (
    QualityDiscriminator,
    SyncExpert,
    SyncExpertConfig,
    Wav2LipGenerator,
    lower_halves,
)
from lipgan_colab.models.weights import load_generator, load_network
from lipgan_colab.speech.features import SpeechInput

EXPERT_FACES = 100003  # the number of the noise that the expert's golden faces are made of


def speech(formula) -> torch.Tensor:
    return torch.from_numpy(formula.audio_input(4, 80, 16, 4)).permute(0, 3, 1, 2)


def test_generator_is_the_authors(shared, golden_file):
    generator = load_generator(golden_file("wav2lip_gen"))
    assert isinstance(generator, Wav2LipGenerator)
    assert generator.speech_input == SpeechInput("wav2lip", "reflect", -1)
    import formula

    golden = np.load(shared / "golden" / "wav2lip_gen.npz")
    theirs = torch.from_numpy(formula.face_input(4, mask=(0, 3), layout="NCHW"))  # target, reference; BGR
    ours = theirs.flip(1)  # reference, target; RGB
    with torch.no_grad():
        answer = generator(ours, speech(formula)).flip(1).numpy()
        assert np.abs(answer - golden["out32"]).max() <= 1e-4
        answer = generator.double()(ours[:2].double(), speech(formula)[:2].double()).flip(1).numpy()
        assert np.abs(answer - golden["out64"]).max() <= 1e-8


def test_expert_is_the_authors(shared, golden_file):
    expert = load_network(golden_file("wav2lip_syncnet"))
    import formula

    golden = np.load(shared / "golden" / "wav2lip_syncnet.npz")
    noise = formula.noise(4 * 15 * 48 * 96, EXPERT_FACES).reshape(4, 5, 3, 48, 96)
    faces = torch.from_numpy((np.floor((noise + 1) * 128) / 255).astype(np.float32)).flip(2).flatten(1, 2)
    with torch.no_grad():
        for dtype, bits, tolerance in ((torch.float32, "32", 1e-4), (torch.float64, "64", 1e-8)):
            face, sound = expert.to(dtype)(faces.to(dtype), speech(formula).to(dtype))
            assert np.abs(face.numpy() - golden[f"emb_face{bits}"]).max() <= tolerance
            assert np.abs(sound.numpy() - golden[f"emb_audio{bits}"]).max() <= tolerance


def test_lower_halves_are_stacked_frame_by_frame():
    faces = torch.arange(2 * 3 * 5 * 96 * 96).view(2, 3, 5, 96, 96)
    halves = lower_halves(faces)
    assert halves.shape == (2, 15, 48, 96)
    for frame in range(5):
        for channel in range(3):
            assert torch.equal(halves[:, 3 * frame + channel], faces[:, channel, frame, 48:])


def test_quality_is_judged_face_by_face_from_the_lower_half():
    torch.manual_seed(0)
    discriminator = QualityDiscriminator()
    faces = torch.rand(2, 3, 5, 96, 96)
    with torch.no_grad():
        answer = discriminator(faces)
        assert answer.shape == (10, 1)
        assert ((answer > 0) & (answer < 1)).all()
        one = discriminator(faces[1:, :, 3:4])
        assert torch.allclose(answer[3 * 2 + 1], one[0], atol=1e-6)  # first faces first
        faces[:, :, :, :48] = 0
        assert torch.equal(discriminator(faces), answer)


def test_generator_answers_faces():
    torch.manual_seed(0)
    generator = Wav2LipGenerator().eval()
    faces, window = torch.rand(2, 6, 96, 96), torch.randn(2, 1, 80, 16)
    with torch.no_grad():
        answer = generator(faces, window)
    assert answer.shape == (2, 3, 96, 96)
    assert ((answer >= 0) & (answer <= 1)).all()


@pytest.mark.parametrize(("width", "numbers"), [(1.0, 512), (0.25, 128)])
def test_expert_answers_unit_vectors(width, numbers):
    with torch.no_grad():
        expert = SyncExpert(SyncExpertConfig(width))
        face, sound = expert(torch.rand(2, 15, 48, 96), torch.randn(2, 1, 80, 16))
    for embedding in (face, sound):
        assert embedding.shape == (2, numbers)
        assert torch.allclose(embedding.norm(dim=1), torch.ones(2))
        assert (embedding >= 0).all()


SIZES = [(Wav2LipGenerator, 36_298_035), (SyncExpert, 16_435_072), (QualityDiscriminator, 14_113_793)]


@pytest.mark.parametrize(("network", "numbers"), SIZES)
def test_networks_have_the_published_size(network, numbers):
    with torch.device("meta"):
        assert sum(p.numel() for p in network().parameters()) == numbers
