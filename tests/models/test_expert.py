"""What a sync expert says of a clip: of embeddings whose answer is known, and of windows cut rightly."""

import cv2
import numpy as np
import pytest
import torch

from lipgan_colab.corpora.corpus import folder, only
from lipgan_colab.errors import InputError
from lipgan_colab.media.sound import read_speech
from lipgan_colab.models.expert import accuracy, lips_seen, sound_heard, verdict
from lipgan_colab.models.pretrained import ASSETS
from lipgan_colab.models.wav2lip import SyncExpert, SyncExpertConfig, lower_halves
from lipgan_colab.models.weights import load_expert
from lipgan_colab.shards.manifest import shard_paths
from lipgan_colab.shards.preprocess import preprocess
from lipgan_colab.shards.shard_file import read_records
from lipgan_colab.speech.features import mel


@pytest.fixture(scope="module")
def expert() -> SyncExpert:
    torch.manual_seed(0)
    return SyncExpert(SyncExpertConfig(0.125)).eval()


def unit(rows: int, seed: int) -> torch.Tensor:
    noise = torch.randn(rows, 64, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(noise)


@pytest.mark.parametrize("late", [-8, 0, 3])
def test_lips_that_are_off_lose_by_it(late):
    """Sound that is `late` frames late: the moment that belongs to the lips is heard so many frames afterwards."""
    said = unit(100, 0)
    found = verdict(said[20:80], said[20 - late : 80 - late])
    assert found.offset == late
    if late:
        assert found.distance > 1.3 and abs(found.confidence) < 0.1
    else:
        assert found.distance < 1e-3 and found.confidence > 1.3


def test_unrelated_lips_are_no_nearer_than_any_others():
    found = verdict(unit(60, 1), unit(60, 2))
    assert found.distance == pytest.approx(2**0.5, abs=0.1) and abs(found.confidence) < 0.1


def test_a_short_clip_is_moved_less_far():
    said = unit(6, 3)
    assert verdict(said, said).offset == 0
    assert verdict(said[:1], said[:1]).confidence == 0


def test_accuracy_is_of_all_pairs_of_a_clip():
    """Two moments whose products are known; and each clip counts alike."""
    basis = torch.eye(4)
    lips = basis[:2]
    sounds = torch.tensor([[0.8, 0.1, 0, 0], [0.9, 0.5, 0, 0]])  # right: .8 and .5; moved: .9 and .1
    found = accuracy([(lips, sounds)])
    assert (found.nearer, found.told) == (0.5, 0.75)  # a threshold of .2 is wrong once
    perfect = unit(40, 5)
    both = accuracy([(lips, sounds), (perfect, perfect)])
    assert both.nearer == 0.75 and both.told == pytest.approx(0.875, abs=0.01)
    still = accuracy([(basis[:1].expand(9, -1), sounds[:1].expand(9, -1))])
    assert (still.nearer, still.told) == (0.5, 0.5)


def test_accuracy_grows_with_what_is_seen():
    said = unit(80, 6)
    vague = torch.nn.functional.normalize(said + 6 * unit(80, 7))
    five, nine = accuracy([(said, vague)]), accuracy([(said, vague)], frames=9)
    assert 0.6 < five.nearer < nine.nearer - 0.05 < 1 and five.told < nine.told - 0.05
    unrelated = accuracy([(said, unit(80, 9))])
    assert unrelated.nearer == pytest.approx(0.5, abs=0.05) and unrelated.told == pytest.approx(0.5, abs=0.07)
    assert np.isnan(accuracy([(said[:4], said[:4])], frames=9).nearer)


def test_five_crops_and_the_speech_that_begins_with_them_are_judged_together(expert):
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (80, 96, 96, 3), np.uint8)
    wave = rng.normal(0, 0.1, 80 * 640).astype(np.float32)
    lips, sounds = lips_seen(expert, crops), sound_heard(expert, wave, 80)
    assert lips.shape == sounds.shape == (76, 64)
    moment = 70  # in the second batch
    five = torch.from_numpy(crops[moment : moment + 5]).permute(3, 0, 1, 2)[None].float() / 255
    column = moment * 80 // 25
    window = torch.from_numpy(mel(wave)[:, column : column + 16])[None, None]
    with torch.no_grad():
        face, sound = expert(lower_halves(five), window)
    assert torch.allclose(lips[moment], face[0], atol=1e-4)
    assert torch.allclose(sounds[moment], sound[0], atol=1e-4)


def test_nothing_is_looked_at_twice(expert, monkeypatch):
    crops = np.random.default_rng(1).integers(0, 256, (20, 96, 96, 3), np.uint8)
    looks, see = [], expert.see
    monkeypatch.setattr(expert, "see", lambda faces: looks.append(len(faces)) or see(faces))
    known = {}
    all_of_them = lips_seen(expert, crops, known)
    again = lips_seen(expert, crops[3:], known)
    still = lips_seen(expert, np.repeat(crops[:1], 30, axis=0), known)
    assert looks == [16, 1]
    assert torch.equal(again, all_of_them[3:]) and len(still) == 26
    assert torch.allclose(lips_seen(expert, crops[2:]), all_of_them[2:], atol=1e-5)


def test_fewer_than_five_frames_are_refused(expert):
    with pytest.raises(InputError, match="4 frames is too short"):
        lips_seen(expert, np.zeros((4, 96, 96, 3), np.uint8))
    with pytest.raises(InputError, match="4 frames is too short"):
        sound_heard(expert, np.zeros(2560, np.float32), 4)


def test_the_one_that_comes_along_tells_when_real_lips_are_off(shared, tmp_path):
    """Clips that it has not learnt from, of three people, one of whom it never saw."""
    expert, held_out = load_expert("expert"), (ASSETS / "starter_held_out.txt").read_text().split()
    assert (ASSETS / "expert.safetensors").stat().st_size <= 3_000_000
    ids = [next(i for i in held_out if i.startswith(speaker)) for speaker in ("s1", "s4", "others")]
    preprocess(only(folder(shared / "data" / "grid"), ids), tmp_path, workers=0)
    for record in (record for path in shard_paths(tmp_path) for record in read_records(path)):
        crops = np.stack(
            [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1] for jpeg in record.jpegs]
        )
        wave = read_speech(shared / "data" / "grid" / record.id)
        lips, sounds = lips_seen(expert, crops), sound_heard(expert, wave, len(crops))
        right, late = verdict(lips, sounds), verdict(lips[8:], sounds[:-8])
        still = verdict(lips[:1].expand_as(lips), sounds)
        assert abs(right.offset) <= 1 and abs(late.offset - 8) <= 1
        assert right.distance < late.distance - 0.05 and right.distance < still.distance - 0.05
        assert right.confidence > 0.05 > max(abs(late.confidence), abs(still.confidence))
