"""SyncNet: the published layers, its MFCC, its search for the offset; its published figures where its files are."""

import numpy as np
import pytest
import torch
from python_speech_features import mfcc

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.syncnet import (
    SyncNet,
    lip_sync_error,
    load_syncnet,
    search_offset,
    speech_windows,
    syncnet_pictures,
)
from lipgan_colab.faces.face_clip import FaceClip
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.video import read_video


@pytest.fixture(scope="module")
def syncnet() -> SyncNet:
    torch.manual_seed(0)
    return SyncNet().eval()


def test_its_weights_bear_the_published_names_and_shapes(syncnet):
    shapes = {name: tuple(value.shape) for name, value in syncnet.state_dict().items()}
    assert shapes["netcnnlip.0.weight"] == (96, 3, 5, 7, 7)
    assert shapes["netcnnlip.4.weight"] == (256, 96, 1, 5, 5)
    assert shapes["netcnnlip.18.weight"] == (512, 256, 1, 6, 6)
    assert shapes["netcnnaud.4.weight"] == (192, 64, 3, 3)
    assert shapes["netcnnaud.18.weight"] == (512, 256, 5, 4)
    assert shapes["netfcaud.0.weight"] == shapes["netfclip.0.weight"] == (512, 512)
    assert shapes["netfclip.3.weight"] == (1024, 512)
    lips, sound = syncnet(torch.zeros(2, 3, 5, 224, 224), torch.zeros(2, 1, 13, 20))
    assert lips.shape == sound.shape == (2, 1024)


@pytest.mark.parametrize("moved", [-6, 0, 3])
def test_the_offset_is_found(moved):
    """Embeddings that are the same, but for noise, where the sound comes `moved` frames early."""
    rng = torch.Generator().manual_seed(0)
    said = torch.randn(100, 64, generator=rng)
    lips = said[20:80] + 0.1 * torch.randn(60, 64, generator=rng)
    found = search_offset(lips, said[20 + moved : 80 + moved])
    assert found.offset == moved
    assert found.distance < 2 < found.confidence
    unrelated = search_offset(lips, torch.randn(60, 64, generator=rng))
    assert unrelated.confidence < found.confidence / 3 and unrelated.distance > 3 * found.distance


def test_distance_and_confidence_are_as_published():
    """31 distances: 30 of 5 and one of 3."""
    lips = torch.zeros(40, 4)
    sounds = torch.zeros(40, 4)
    sounds[:, 0] = 5.0
    found = search_offset(lips, sounds)
    # Beyond the ends sound counts as zeros, which are nearest to these lips: the further moved the nearer.
    assert abs(found.offset) == 15
    assert found.distance == pytest.approx(5 * 25 / 40, abs=1e-3)
    # The 31 means fall evenly from 5 to that on both sides; their median is that of offset 8.
    assert found.confidence == pytest.approx(5 * (15 - 8) / 40, abs=1e-3)


def test_speech_windows_follow_the_frames():
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 32000).astype(np.float32)
    windows = speech_windows(wave, 45)
    assert windows.shape == (45, 1, 13, 20) and windows.dtype == np.float32
    features = mfcc(np.rint(wave * 32768).astype(np.int16), 16000)
    assert np.allclose(windows[7, 0], features[28:48].T, atol=1e-4)


def test_a_clip_is_judged_and_a_short_one_refused(syncnet):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (8, 224, 224, 3), np.uint8)
    found = lip_sync_error(syncnet, pictures, rng.normal(0, 0.1, 8 * 640).astype(np.float32))
    assert np.isfinite([found.distance, found.confidence]).all() and found.confidence >= 0
    with pytest.raises(InputError, match="too short"):
        lip_sync_error(syncnet, pictures[:5], np.zeros(16000, np.float32))


@pytest.mark.parametrize("count", [1, 6, 12, 20])
def test_pictures_reach_from_the_hairline_to_below_the_chin(count):
    frames = np.zeros((count, 192, 192, 3), np.uint8)
    points = np.full((count, 478, 2), 48, np.float32)
    points[:, 10], points[:, 152] = [48, 0], [48, 90]  # 90 pixels from hairline to chin: half is 45
    points[:, 234], points[:, 454] = [10, 48], [86, 48]
    frames[:, 48, :] = 255  # the hairline: row 0 of the crop
    pictures = syncnet_pictures(FaceClip(frames, points))
    assert pictures.shape == (count, 224, 224, 3)
    scale = 224 / (2.8 * 45)
    assert pictures[:, :, 112, 0].max(axis=1).min() > 150
    assert pictures[0, :, 112, 0].argmax() == pytest.approx(0.5 * scale, abs=1.5)
    assert pictures[-1, round(10 * scale) :].max() == 0


def test_weights_load_and_what_is_not_them_is_refused(syncnet, tmp_path):
    # Older PyTorch, which wrote the published file, kept no count of batches.
    weights = {k: v for k, v in syncnet.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(weights, tmp_path / "syncnet_v2.model")
    loaded = load_syncnet(tmp_path / "syncnet_v2.model", "cpu")
    assert torch.equal(loaded.netfclip[3].weight, syncnet.netfclip[3].weight)
    del weights["netfcaud.0.bias"]
    torch.save(weights, tmp_path / "other.model")
    (tmp_path / "text.model").write_text("<html>not found</html>")
    for name, reason in (
        ("other", "netfcaud.0.bias"),
        ("text", "not SyncNet's weights"),
        ("missing", "not there; fetch"),
    ):
        with pytest.raises(InputError, match=reason) as error:
            load_syncnet(tmp_path / f"{name}.model")
        assert "\n" not in str(error.value)


def test_the_published_figures_of_the_published_example(shared):
    """joonson/syncnet_python's README: offset 3, distance 5.353, confidence 10.021 for its data/example.avi."""
    weights, example = shared / "models/syncnet_v2.model", shared / "data/syncnet/example.avi"
    if not (weights.is_file() and example.is_file()):
        pytest.skip("the authors' syncnet_v2.model and example.avi are not beside the checkout")
    pictures = np.stack([picture for _, picture in read_video(example)])
    found = lip_sync_error(load_syncnet(weights), pictures, read_speech(example))
    assert found.offset == 3
    assert found.distance == pytest.approx(5.353, abs=0.1)
    assert found.confidence == pytest.approx(10.021, abs=0.2)


class Looks(torch.nn.Module):
    """Remembers the faces that it is shown."""

    def __init__(self):
        super().__init__()
        self.weight, self.seen = torch.nn.Parameter(torch.zeros(1)), []

    def forward(self, faces, speech):
        self.seen.append(faces)
        return torch.zeros(len(faces), 4), torch.ones(len(speech), 4)


def test_it_is_shown_blue_first_and_five_frames_together():
    pictures = np.empty((9, 224, 224, 3), np.uint8)
    pictures[..., 0], pictures[..., 1], pictures[..., 2] = 200, 100, np.arange(9)[:, None, None]
    looks = Looks()
    lip_sync_error(looks, pictures, np.ones(9 * 640, np.float32))
    (faces,) = looks.seen
    assert faces.shape == (4, 3, 5, 224, 224)
    assert faces[:, 0, :, 0, 0].tolist() == [[n + k for k in range(5)] for n in range(4)]
    assert (faces[:, 1] == 100).all() and (faces[:, 2] == 200).all()
