"""What only a GPU can show: that it learns, goes on, generates and varies faces as the CPU does, and when it is full.

    pytest -n 0 -m gpu                                      on the first GPU
    LIPGAN_GPU_REHEARSAL=cpu pytest -n 0 tests/gpu          the same on the CPU: whether the tests themselves work

They need no MediaPipe, no PyAV and no real data, so that they run wherever there is a GPU and PyTorch.
"""

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sessions import assert_equal
from torch.utils.data import default_collate

from lipgan_colab.device import PRECISION_VARIABLE, PRECISIONS, pick_device
from lipgan_colab.errors import InputError
from lipgan_colab.generation.crops import generate_crops
from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.weights import load_generator
from lipgan_colab.shards import augmentation
from lipgan_colab.shards.dataset import LipSyncDataset
from lipgan_colab.shards.shard_file import UtteranceRecord, write_shard
from lipgan_colab.training.checkpoint import load_newest_checkpoint
from lipgan_colab.training.step import TrainConfig, build_networks, train_step
from lipgan_colab.training.train import train

pytestmark = pytest.mark.gpu
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before cuBLAS begins: it adds up in one order then
REHEARSAL = "LIPGAN_GPU_REHEARSAL"
CPU = torch.device("cpu")
CONFIG = TrainConfig(
    steps=4, batch_size=4, width=0.05, learning_rate=1e-3, warmup=1, adversarial=True, quality_weight=0.01
)


@pytest.fixture(scope="module")
def device() -> torch.device:
    """The GPU, or what stands in for it."""
    if not os.environ.get(REHEARSAL) and not torch.cuda.is_available():
        pytest.skip(f"no GPU, or it is hidden: `pytest -n 0 -m gpu` looks for one ({REHEARSAL}=cpu: do without)")
    return pick_device(os.environ.get(REHEARSAL))


@pytest.fixture
def exact(monkeypatch):
    """float32 without TF32's rounding, and the same bits each time."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


def pictures(rng: np.random.Generator, count: int) -> np.ndarray:
    """Something smooth to learn, uint8 (count, 96, 96, 3)."""
    coarse = rng.uniform(0, 255, (count, 6, 6, 3)).astype(np.float32)
    large = [cv2.resize(picture, (96, 96), interpolation=cv2.INTER_CUBIC) for picture in coarse]
    return np.clip(large, 0, 255).astype(np.uint8)


def clip(name: str, frames: int, seed: int) -> UtteranceRecord:
    rng = np.random.default_rng(seed)
    around = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    lips = np.stack([0.5 + 0.15 * np.cos(around), 0.75 + 0.08 * np.sin(around)], axis=1)
    return UtteranceRecord(
        id=name,
        speaker=name[0],
        licence="made for this test",
        jpegs=[cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures(rng, frames)],
        found=np.ones(frames, bool),
        box=np.zeros((frames, 4), np.float32),
        head_pose=np.zeros((frames, 3), np.float32),
        lip_landmarks=np.tile(lips.astype(np.float32), (frames, 1, 1)),
        mfcc=rng.normal(size=(12, 4 * frames)).astype(np.float32),
        mel=rng.normal(size=(80, 4 * frames)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    clips = [clip("a1", 20, 0), clip("b1", 20, 1)]
    write_shard(folder / "shard-00000.safetensors", clips, [], {"fps": 25, "size": 96})
    return folder


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    """On the CPU."""
    rng = np.random.default_rng(0)
    faces = {n: torch.from_numpy(pictures(rng, 4)).permute(0, 3, 1, 2) for n in ("reference", "target")}
    sounds = {n: torch.from_numpy(rng.normal(size=(4, 1, 12, 35)).astype("f4")) for n in ("speech", "unsynced_speech")}
    lips = torch.zeros(4, 1, 96, 96, dtype=torch.uint8)
    lips[:, :, 64:80, 32:64] = 255
    return {**faces, **sounds, "lips": lips}


def on(device: torch.device, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.to(device) for name, value in batch.items()}


def in_training(device: torch.device, precision: str = "float32", config: TrainConfig = CONFIG):
    networks = build_networks(config, device, PRECISIONS[precision])
    networks.generator.train()
    return networks


@pytest.mark.parametrize(
    ("precision", "compiled"), [("float32", False), ("bfloat16", False), ("float16", False), ("bfloat16", True)]
)
def test_steps_lower_the_loss(device, batch, precision, compiled):
    config = replace(CONFIG, steps=1000)
    networks = in_training(device, precision, config)
    if compiled:
        networks.compile()
    batch = on(device, batch)
    reported = [train_step(networks, batch, config, step) for step in range(16)]
    taken = [losses for losses in reported if not losses["skipped"]]
    assert len(taken) >= (10 if precision == "float16" else 16)  # float16 has to find its scale
    assert all(value.isfinite() for losses in taken for value in losses.values())
    assert taken[-1]["weighted_l1"] < 0.8 * taken[0]["weighted_l1"]
    assert {value.device.type for value in networks.average.state_dict().values()} == {device.type}


def test_a_step_is_the_cpus(device, batch, exact):
    gradients, losses = [], []
    for where in (CPU, device):
        networks = in_training(where)
        reported = train_step(networks, on(where, batch), CONFIG, 0)
        losses.append({name: float(value) for name, value in reported.items()})
        parts = networks.generator, networks.discriminator, networks.quality
        gradients.append([torch.cat([p.grad.flatten().cpu() for p in part.parameters()]) for part in parts])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3, abs=1e-6)
    for expected, found in zip(*gradients, strict=True):
        assert (found - expected).norm() < 5e-3 * expected.norm()


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_run_that_goes_on_ends_like_one_that_never_stopped(device, shards, tmp_path, exact, precision):
    options = {"device": device, "precision": precision, "log_every": 1}
    train(shards, tmp_path / "straight", CONFIG, workers=0, **options)
    train(shards, tmp_path / "broken", CONFIG, workers=0, max_hours=0, **options)
    train(shards, tmp_path / "broken", CONFIG, workers=2, **options)
    expected, found = (newest(tmp_path / run) for run in ("straight", "broken"))
    assert expected["step"] == found["step"] == CONFIG.steps
    assert_equal(expected["networks"], found["networks"])


def newest(run: Path) -> dict:
    return load_newest_checkpoint(run / "checkpoints")[1]


def test_a_batch_that_does_not_fit_is_one_line_and_the_run_goes_on(device, shards, tmp_path):
    if device.type != "cuda":
        pytest.skip("only a GPU's memory can be made smaller for a while")
    config = replace(CONFIG, batch_size=512, width=0.25, steps=1)
    torch.cuda.empty_cache()
    memory = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(0.02 + torch.cuda.memory_reserved(device) / memory, device)
    try:
        with pytest.raises(InputError, match=r"too small for batch_size 512.*try batch_size 256") as told:
            train(shards, tmp_path, config, device)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert "\n" not in str(told.value)
    train(shards, tmp_path, config, device)
    assert newest(tmp_path)["step"] == 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_generated_faces_are_the_cpus(device, exact, monkeypatch, precision):
    rng = np.random.default_rng(1)
    crops, windows = pictures(rng, 8), rng.normal(scale=8, size=(8, 12, 35)).astype(np.float32)
    answers = {}
    for where in (CPU, device):
        monkeypatch.setenv(PRECISION_VARIABLE, precision if where is device else "float32")
        generator = fuse(load_generator("lipgan-starter", where))
        answers[where] = generate_crops(generator, crops, crops, windows).astype(int)
    off = np.abs(answers[device] - answers[CPU])
    if precision == "float32":
        assert off.max() <= 1
    else:
        assert off.mean() < 1


def test_faces_are_varied_as_on_the_cpu(device, shards):
    if not hasattr(augmentation, "augmented"):
        pytest.skip("faces are varied on the CPU only")
    dataset = LipSyncDataset(shards, augment=1.0)
    drawn = default_collate([dataset[number] for number in range(32)])
    expected = augmentation.augmented(dict(drawn))
    found = augmentation.augmented(on(device, drawn))
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert found[name].device.type == device.type and found[name].dtype == value.dtype, name
        off = (found[name].cpu().float() - value.float()).abs()
        assert off.max() <= (1 if value.dtype == torch.uint8 else 1e-4), name  # levels of 255
        assert off.mean() < 0.02, name
