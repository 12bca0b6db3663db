"""Fused for inference, the networks answer the same, and the network itself stays as it was."""

import pytest
import torch
from torch import nn

from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.lipgan import SPEECH_SHAPE, GeneratorConfig, LipGANGenerator
from lipgan_colab.models.wav2lip import SyncExpert, Wav2LipGenerator
from lipgan_colab.models.weights import load_generator

NETWORKS = {
    "residual": (lambda: LipGANGenerator(GeneratorConfig(0.25)), (6, 96, 96), SPEECH_SHAPE["mfcc"]),
    "basic": (lambda: LipGANGenerator(GeneratorConfig(0.25, "mel", "basic")), (6, 96, 96), SPEECH_SHAPE["mel"]),
    "wav2lip": (Wav2LipGenerator, (6, 96, 96), (80, 16)),
    "expert": (SyncExpert, (15, 48, 96), (80, 16)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_fused_answers_are_the_same(name):
    torch.manual_seed(0)
    build, face, window = NETWORKS[name]
    network = build().double()
    for norm in network.modules():  # as after training: no two channels alike
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.1)
    faces, speech = torch.rand(2, *face).double(), torch.randn(2, 1, *window).double()
    with torch.no_grad():
        network(faces, speech)
        before = network.eval()(faces, speech)
        network.train()
        fused = fuse(network)
        after = fused(faces, speech)
    for a, b in zip(before, after, strict=True):
        assert (a - b).abs().max() < 1e-9
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert fused.speech_input == network.speech_input
    assert not fused.training
    assert network.training and any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("name", ["cs766_basic", "wav2lip_gen"])
def test_the_authors_generators_answer_the_same(golden_file, name):
    torch.manual_seed(0)
    generator = load_generator(golden_file(name))
    faces, speech = torch.rand(2, 6, 96, 96), torch.randn(2, 1, 80, 27 if name == "cs766_basic" else 16)
    with torch.no_grad():
        assert (fuse(generator)(faces, speech) - generator(faces, speech)).abs().max() < 1e-3
