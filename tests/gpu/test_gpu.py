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

from lipgan_colab.device import PRECISION_VARIABLE, PRECISIONS, pick_device
from lipgan_colab.errors import InputError
from lipgan_colab.generation.crops import generate_crops
from lipgan_colab.models.fusing import fuse
from lipgan_colab.models.wav2lip import SyncExpert, SyncExpertConfig
from lipgan_colab.models.weights import load_generator
from lipgan_colab.shards.augmentation import augmented
from lipgan_colab.shards.dataset import LipSyncDataset, collated
from lipgan_colab.shards.shard_file import UtteranceRecord, write_shard
from lipgan_colab.training.checkpoint import load_newest_checkpoint
from lipgan_colab.training.feed import feed, hold_frames
from lipgan_colab.training.runs import Log
from lipgan_colab.training.step import Networks, TrainConfig, build_networks, train_step
from lipgan_colab.training.train import train

pytestmark = pytest.mark.gpu
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before cuBLAS begins: it adds up in one order then
REHEARSAL = "LIPGAN_GPU_REHEARSAL"
CPU = torch.device("cpu")
CONFIG = TrainConfig(
    steps=4, batch_size=4, width=0.05, learning_rate=1e-3, warmup=1, adversarial=True, quality_weight=0.01
)
LEARNING = replace(CONFIG, steps=1000, learning_rate=3e-3)


@pytest.fixture(scope="module")
def device() -> torch.device:
    """The GPU, or what stands in for it."""
    if not os.environ.get(REHEARSAL) and not torch.cuda.is_available():
        pytest.skip(f"no GPU, or it is hidden: `pytest -n 0 -m gpu` looks for one ({REHEARSAL}=cpu: do without)")
    return pick_device(os.environ.get(REHEARSAL))


@pytest.fixture
def exact():
    """float32 without TF32's rounding, and the same bits each time."""
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, cudnn.allow_tf32, cudnn.deterministic
    products.allow_tf32, cudnn.allow_tf32, cudnn.deterministic = False, False, True
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)
    products.allow_tf32, cudnn.allow_tf32, cudnn.deterministic = before


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
    faces = {n: torch.from_numpy(pictures(rng, 4)).permute(0, 3, 1, 2) / 255 for n in ("reference", "target")}
    sounds = {n: torch.from_numpy(rng.normal(size=(4, 1, 12, 35)).astype("f4")) for n in ("speech", "unsynced_speech")}
    lips = torch.zeros(4, 1, 96, 96)
    lips[:, :, 64:80, 32:64] = 1
    return {**faces, **sounds, "lips": lips}


def on(device: torch.device, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.to(device) for name, value in batch.items()}


def in_training(device: torch.device, precision: str = "float32", config: TrainConfig = CONFIG) -> Networks:
    networks = build_networks(config, device, PRECISIONS[precision])
    networks.generator.train()
    return networks


@pytest.mark.parametrize("precision", PRECISIONS)
def test_steps_lower_the_loss(device, batch, precision):
    learn(in_training(device, precision, LEARNING), on(device, batch), skipping=6 if precision == "float16" else 0)


def learn(networks: Networks, batch: dict[str, torch.Tensor], skipping: int = 0) -> None:
    """Twenty steps on one batch, of which some may be skipped: float16 has to find its scale."""
    reported = [train_step(networks, batch, LEARNING, step) for step in range(20)]
    taken = [losses for losses in reported if not losses["skipped"]]
    assert len(taken) >= 20 - skipping
    assert all(value.isfinite() for losses in taken for value in losses.values())
    assert sum(losses["weighted_l1"] for losses in taken[-4:]) / 4 < 0.95 * taken[0]["weighted_l1"]
    devices = {value.device.type for value in networks.average.state_dict().values()}
    assert devices == {batch["target"].device.type}


def a_step(device: torch.device, batch: dict[str, torch.Tensor], double: bool = False) -> tuple[dict, list]:
    """The losses of a first step, and the three networks' gradients."""
    networks = in_training(device)
    parts = networks.generator, networks.discriminator, networks.quality
    if double:
        for part in (*parts, networks.average):
            part.double()
    losses = train_step(networks, on(device, batch), CONFIG, 0)
    gradients = [torch.cat([p.grad.flatten().cpu().double() for p in part.parameters()]) for part in parts]
    return {name: float(value) for name, value in losses.items()}, gradients


def test_a_step_is_the_cpus(device, batch, exact):
    """As far as float32 goes: batch norms over few samples, and Adam's first step, which takes the gradient's signs,
    enlarge what rounding does."""
    (losses, true), (_, on_cpu), (found, on_device) = (
        a_step(CPU, batch, double=True),
        a_step(CPU, batch),
        a_step(device, batch),
    )
    for name in ("l1", "weighted_l1", "edges", "disc_fake", "disc_synced", "quality_judge"):
        assert found[name] == pytest.approx(losses[name], rel=1e-4, abs=1e-6), name
    for exactly, cpu, there in zip(true, on_cpu, on_device, strict=True):
        allowed = 4 * (cpu - exactly).norm() + 1e-3 * exactly.norm()
        assert (there - exactly).norm() < allowed


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
    torch.cuda.set_per_process_memory_fraction(0.02 + torch.cuda.memory_reserved() / memory)
    try:
        with pytest.raises(InputError, match=r"too small for batch_size 512.*try batch_size 256") as told:
            train(shards, tmp_path, config, device)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
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
    dataset = LipSyncDataset(shards)
    drawn = collated([dataset[number] for number in range(32)])
    expected, found = augmented(drawn), augmented(on(device, drawn))
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        off = (found[name].cpu() - value).abs()
        assert off.max() <= 1e-3 and off.float().mean() < 1e-5, name


@pytest.mark.parametrize("cache", ["none", "memory", "device"])
def test_nothing_waits_for_the_device(device, shards, cache):
    """Not what brings a batch there, nor what varies it, nor a step with all judges."""
    if device.type != "cuda":
        pytest.skip("only a GPU is waited for")
    config = replace(CONFIG, batch_size=10, lip_quality_weight=0.01, feature_weight=1.0, sync_weight=0.03)
    dataset = LipSyncDataset(shards)
    held = hold_frames(dataset, cache, device)
    networks = in_training(device, config=config)
    networks.expert, networks.sync_counts = SyncExpert(SyncExpertConfig(0.05)).to(device).eval(), True
    log = Log(None)
    for step, batch in enumerate(feed(dataset, held, 0, config, device, workers=2)):
        torch.cuda.set_sync_debug_mode("error" if step else "default")  # the first step makes what is kept
        log.add(train_step(networks, batch, config, step))
    torch.cuda.set_sync_debug_mode("default")
    assert log.write()["sync"] > 0


def test_compiled_steps_lower_the_loss(device, batch):
    """The last, because to compile takes a minute."""
    networks = in_training(device, "bfloat16", LEARNING)
    networks.compile()
    learn(networks, on(device, batch))
