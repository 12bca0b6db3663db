"""Training learns, stops cleanly, and goes on as if it had never stopped."""

import contextlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from no_doubles import NoDoubles
from sessions import LEASE_TIMES, TINY, assert_equal, at_step, kill, log_lines, read_report, start_session
from tqdm.notebook import tqdm as notebook_tqdm

from lipgan_colab import workspace
from lipgan_colab.errors import InputError
from lipgan_colab.models import losses
from lipgan_colab.models.expert import fingerprint
from lipgan_colab.models.wav2lip import SyncExpert, SyncExpertConfig
from lipgan_colab.models.weights import load_expert, load_generator, save_network
from lipgan_colab.training import async_checkpointer, lease
from lipgan_colab.training.checkpoint import (
    KEEP,
    find_checkpoints,
    is_whole,
    load_newest_checkpoint,
    write_checkpoint,
)
from lipgan_colab.training.recorder import Recorder, no_failure
from lipgan_colab.training.runs import read_log
from lipgan_colab.training.train import train

SMALL = replace(TINY, steps=4, warmup=2)
train_module = sys.modules[train.__module__]
train_module.SHOWN = 2  # faces in a preview
KILLS = 20 if os.environ.get("LIPGAN_THOROUGH") else 3


def newest(run) -> dict:
    return load_newest_checkpoint(run / "checkpoints")[1]


def assert_equal_runs(a, b) -> None:
    """Two runs ended alike: networks, optimizers, averages, random states, log."""
    for part in ("step", "networks", "random"):
        assert_equal(newest(a)[part], newest(b)[part], part)
    assert log_lines(a) == log_lines(b)


@pytest.fixture(scope="module")
def straight(drawn_shards, tmp_path_factory):
    """A run that nothing happened to."""
    run = tmp_path_factory.mktemp("straight")
    train(drawn_shards, run, SMALL, log_every=1)
    return run


def test_an_interrupted_run_ends_like_one_that_was_not(drawn_shards, straight, tmp_path, monkeypatch):
    at_step(monkeypatch, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
    train(drawn_shards, tmp_path, SMALL, log_every=1)
    assert newest(tmp_path)["step"] == 2
    train(drawn_shards, tmp_path, SMALL, log_every=1)
    assert_equal_runs(straight, tmp_path)
    assert [line["step"] for line in log_lines(tmp_path)] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("blocks", ["convnext", "warp"])
def test_a_run_of_other_blocks_goes_on_as_if_it_had_not_stopped(drawn_shards, tmp_path, monkeypatch, blocks):
    config = replace(SMALL, adversarial=False, steps=3, blocks=blocks)
    train(drawn_shards, tmp_path / "straight", config, log_every=1)
    at_step(monkeypatch, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
    train(drawn_shards, tmp_path / "run", config, log_every=1)
    assert newest(tmp_path / "run")["step"] == 2
    with pytest.raises(InputError, match=f"`?blocks`? was {blocks} and is residual"):
        train(drawn_shards, tmp_path / "run", replace(config, blocks="residual"))
    train(drawn_shards, tmp_path / "run", config, log_every=1)
    assert_equal_runs(tmp_path / "straight", tmp_path / "run")
    assert load_generator(tmp_path / "run").config.blocks == blocks


@pytest.mark.timeout(200 * KILLS)
def test_kill_9_at_any_moment_changes_nothing(drawn_shards, tmp_path):
    """LIPGAN_THOROUGH=1 makes it 20 times."""
    rng = random.Random(0)
    config = replace(TINY, steps=6 * KILLS)
    straight, broken, report = tmp_path / "straight", tmp_path / "broken", tmp_path / "report.json"
    options = {"pictures": False, "log_every": 3}
    start_session(drawn_shards, straight, straight, report, config, **options).join(600)
    options["pause"] = 0.1  # after each step, so that no machine is too fast to be killed
    kills = 0
    while True:
        report.unlink(missing_ok=True)
        process = start_session(drawn_shards, broken, broken, report, config, **options)
        if kills < KILLS:
            before = newest_step(broken)
            while process.is_alive() and newest_step(broken) <= before:  # or it would never get on
                time.sleep(0.01)
            if kills % 2:  # in the midst of saving
                while process.is_alive() and newest_step(broken) <= before + 4:
                    if list(broken.glob("checkpoints/.*.part")):
                        break
                    time.sleep(0.001)
            else:
                process.join(rng.uniform(0, 0.5))
        else:
            process.join(600)
        if not process.is_alive():
            break
        kill(process)
        kills += 1
        # An older one may have been emptied, and not yet deleted.
        assert all(is_whole(c) for c in find_checkpoints(broken / "checkpoints")[:KEEP])
    assert read_report(report)["end"] == "done"
    assert kills >= KILLS / 2
    assert_equal_runs(straight, broken)


def newest_step(run) -> int:
    return max((c.step for c in find_checkpoints(run / "checkpoints")), default=0)


def test_an_error_in_a_step_saves_the_step_before(drawn_shards, tmp_path, monkeypatch):
    train(drawn_shards, tmp_path / "straight", replace(SMALL, steps=2))

    def fail():
        raise RuntimeError("out of memory")

    at_step(monkeypatch, 3, fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(drawn_shards, tmp_path / "broken", SMALL)
    # The third step's forward pass had been through the batch norms already.
    expected, found = newest(tmp_path / "straight"), newest(tmp_path / "broken")
    statistics = [name for name in expected["networks"]["generator"] if "running" in name or "tracked" in name]
    assert found["step"] == 2 and statistics
    for name in statistics:
        assert torch.equal(expected["networks"]["generator"][name], found["networks"]["generator"][name])


def test_signals_while_the_end_is_saved_do_not_keep_it_from_being_saved(drawn_shards, tmp_path, monkeypatch):
    """Launchers send SIGTERM again when they lose patience, and people press Ctrl-C again."""
    write = async_checkpointer.write_checkpoint

    def pestered(*arguments):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            os.kill(os.getpid(), number)
            time.sleep(0.05)
        return write(*arguments)

    monkeypatch.setattr(async_checkpointer, "write_checkpoint", pestered)
    at_step(monkeypatch, 2, lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(2)])
    try:
        assert train(drawn_shards, tmp_path, SMALL).exists()
    except KeyboardInterrupt:  # which would end the whole test run
        pytest.fail("a signal broke into the saving")
    assert newest(tmp_path)["step"] == 2
    with pytest.raises(KeyboardInterrupt):  # nothing was left to stop, but who called is not to go on
        train(drawn_shards, tmp_path, replace(SMALL, steps=3))
    assert newest(tmp_path)["step"] == 3


def test_a_second_session_is_refused_and_may_take_over(drawn_shards, tmp_path, monkeypatch):
    run, report = tmp_path / "run", tmp_path / "report.json"
    times = LEASE_TIMES | {"SILENT": 60.0}  # no machine is so slow that it were taken for dead
    for name, seconds in times.items():
        monkeypatch.setattr(lease, name, seconds)
    config = replace(SMALL, steps=200)
    first = start_session(drawn_shards, run, run, report, config, pictures=False, pause=0.05, lease_times=times)
    while newest_step(run) < 4:
        assert first.is_alive()
        time.sleep(0.01)
    with pytest.raises(InputError, match=rf"another session trains this run: .* \(process {first.pid}\), since"):
        train(drawn_shards, run, config)
    assert train(drawn_shards, run, replace(config, steps=8), take_over=True) == run / "generator.safetensors"
    assert newest_step(run) >= 8
    log = (run / "log.csv").read_bytes()
    os.kill(first.pid, signal.SIGTERM)
    first.join(60)
    told = read_report(report)
    aside = Path(told["weights"]).parent
    assert told["end"] == "done" and aside.parent == tmp_path and aside.name.startswith("run-")
    assert (run / "log.csv").read_bytes() == log
    assert newest(aside)["step"] == int(log_lines(aside)[-1]["step"])
    assert train(drawn_shards, aside, replace(config, steps=newest(aside)["step"])).parent == aside  # a run of its own


def test_a_folder_by_another_name_is_the_same_folder(drawn_shards, tmp_path, monkeypatch):
    """Not one that is copied to, nor held by another session."""
    monkeypatch.chdir(tmp_path)
    config = replace(SMALL, steps=1, adversarial=False)
    assert train(drawn_shards, "first", config) == tmp_path / "first" / "generator.safetensors"
    Path("link").symlink_to("first")
    train(drawn_shards, "first", replace(config, steps=2), local="link")
    assert newest(tmp_path / "first")["step"] == 2
    assert sorted(os.listdir()) == ["first", "link"]


def test_a_run_that_goes_on_for_longer_says_what_becomes_of_the_learning_rate(drawn_shards, tmp_path, capsys):
    train(drawn_shards, tmp_path, SMALL)
    capsys.readouterr()
    train(drawn_shards, tmp_path, replace(SMALL, steps=5))
    said = "was to end at step 4 and is to end at 5: at step 4 the learning rate goes from 1.0e-05 to 1.0e-04"
    assert said in capsys.readouterr().out
    train(drawn_shards, tmp_path, replace(SMALL, steps=3))
    assert "is at step 5 and was to end at 3: nothing is left to train" in capsys.readouterr().out


def test_a_checkpoint_that_lacks_something_is_one_line(drawn_shards, tmp_path):
    train(drawn_shards, tmp_path, replace(SMALL, steps=1))
    (tmp_path / "checkpoints").rename(tmp_path / "whole")
    whole = load_newest_checkpoint(tmp_path / "whole")[1]
    layer = next(iter(whole["networks"]["generator"]))
    del whole["networks"]["generator"][layer]
    damaged = write_checkpoint(tmp_path / "checkpoints", 1, whole)
    with pytest.raises(InputError, match=rf"does not fit this version's networks \(.*{re.escape(layer)}"):
        train(drawn_shards, tmp_path, SMALL)
    damaged.path.unlink()
    write_checkpoint(tmp_path / "checkpoints", 1, {"step": 1, "networks": whole["networks"]})
    with pytest.raises(InputError, match=r"no checkpoint of a run, it lacks minutes"):
        train(drawn_shards, tmp_path, SMALL)


def test_a_run_whose_disk_is_full_is_saved_elsewhere(drawn_shards, small_disk, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spare"))
    weights = train(drawn_shards, small_disk / "run", replace(SMALL, steps=1))
    assert weights.is_file() and weights.is_relative_to(tmp_path / "spare")
    assert newest(weights.parent)["step"] == 1 and len(log_lines(small_disk / "run")) == 1
    told = capsys.readouterr().out
    assert told.count(str(weights.parent)) == 1 and f"copy what is in it to {small_disk / 'run'}" in told
    assert "Training goes on" not in told


def test_a_disk_that_is_full_when_a_run_begins_is_one_line(drawn_shards, small_disk):
    with contextlib.suppress(OSError):
        (small_disk / "full").write_bytes(bytes(2 << 20))
    with pytest.raises(InputError, match=r"No space left on device") as told:
        train(drawn_shards, small_disk / "run", SMALL)
    assert "\n" not in str(told.value)


def test_a_machine_that_is_lost_with_its_disk_costs_nothing(drawn_shards, straight, tmp_path, monkeypatch):
    run, local = tmp_path / "drive" / "run", tmp_path / "disk" / "run"
    at_step(monkeypatch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert train(drawn_shards, run, SMALL, local=local, log_every=1) == run / "generator.safetensors"
    shutil.rmtree(local)
    (tmp_path / "drive").rename(tmp_path / "mounted elsewhere")
    run = tmp_path / "mounted elsewhere" / "run"
    train(drawn_shards, run, SMALL, local=local, log_every=1)
    assert_equal_runs(straight, run)
    for name in ("config.json", "log.csv", "curves.png", "generator.safetensors", "previews/step-00000004.png"):
        assert (run / name).read_bytes() == (local / name).read_bytes(), name


def test_a_generator_learns_a_few_faces(drawn_shards, tmp_path):
    config = replace(TINY, steps=40, batch_size=4, width=0.1, learning_rate=4e-3, warmup=5, ema=0.9, adversarial=False)
    weights = train(drawn_shards, tmp_path, config, log_every=10, preview_every=40)
    l1 = [float(line["l1"]) for line in log_lines(tmp_path)]
    assert l1[-1] < 0.85 * l1[0]
    picture = cv2.imread(str(tmp_path / "previews" / "step-00000040.png"))
    assert picture.shape == (2 * 96, 4 * 96, 3)
    masked, generated, real = (picture[:, k * 96 : (k + 1) * 96].astype(float) for k in (1, 2, 3))
    assert np.abs(generated - real).mean() < 0.9 * np.abs(masked - real).mean()
    generator = load_generator(weights)
    assert generator.config.width == 0.1
    assert not generator.training


def test_it_is_saved_by_the_clock_and_the_widget_can_use_it_meanwhile(drawn_shards, tmp_path, monkeypatch):
    seen = []

    def look():
        deadline = time.monotonic() + 60
        while not seen and time.monotonic() < deadline:
            if (tmp_path / "generator.safetensors").exists():
                seen.append(load_generator(tmp_path))
            time.sleep(0.01)

    at_step(monkeypatch, 3, look)
    train(drawn_shards, tmp_path, SMALL, save_minutes=0)
    assert len(seen) == 1


def test_it_stops_before_the_session_does(drawn_shards, tmp_path, capsys):
    train(drawn_shards, tmp_path, SMALL, max_hours=1e-6, watched=True)
    told, bars = capsys.readouterr()
    assert "stopped after step 1 (its time, 0 seconds, is over)" in told and "train:" not in bars
    assert newest(tmp_path)["step"] == 1
    assert (tmp_path / "generator.safetensors").exists()


def test_who_watches_sees_pictures_and_lines_by_time(drawn_shards, tmp_path, monkeypatch):
    recorder = sys.modules[Recorder.__module__]
    monkeypatch.setattr(recorder, "LINE_AFTER", 0.0)
    train(drawn_shards, tmp_path, SMALL, watched=True)  # whose lines are 50 steps apart otherwise
    assert [line["step"] for line in log_lines(tmp_path)] == ["1", "2", "3", "4"]
    assert [p.name[5:13] for p in sorted((tmp_path / "previews").iterdir())] == ["00000001", "00000004"]


def test_a_bar_that_was_stopped_is_not_red():
    bar = notebook_tqdm(total=5, display=False)
    bar.update(2)
    bar.close()
    no_failure(bar)
    assert bar.container.children[1].bar_style == "info"


def test_a_batch_that_is_not_finite_is_skipped_and_counted(drawn_shards, tmp_path, monkeypatch):
    loss, calls = losses.weighted_l1, []

    def poisoned(*arguments):
        calls.append(None)
        return loss(*arguments) * (float("nan") if len(calls) == 2 else 1)

    monkeypatch.setattr(losses, "weighted_l1", poisoned)
    config = replace(SMALL, adversarial=False)
    train(drawn_shards, tmp_path / "a", replace(config, steps=1))
    calls.clear()
    train(drawn_shards, tmp_path / "b", replace(config, steps=2), log_every=1)
    before, after = (newest(tmp_path / run)["networks"] for run in "ab")
    assert [line["skipped"] for line in log_lines(tmp_path / "b")] == ["0.000000", "1.000000"]
    assert [bool(line["l1"]) for line in log_lines(tmp_path / "b")] == [True, False]  # a skipped step has no loss
    assert_equal(before["average"], after["average"])
    calls[1:] = [None] * 5
    train(drawn_shards, tmp_path / "b", replace(config, steps=3))
    assert all(torch.isfinite(v).all() for v in newest(tmp_path / "b")["networks"]["generator"].values())


def test_a_diverged_run_stops_and_leaves_the_last_good_checkpoint(drawn_shards, tmp_path, monkeypatch):
    train(drawn_shards, tmp_path, replace(SMALL, steps=1))
    loss = losses.weighted_l1
    monkeypatch.setattr(losses, "weighted_l1", lambda *arguments: loss(*arguments) * float("inf"))
    monkeypatch.setattr(train_module, "MOST_SKIPPED", 3)
    with pytest.raises(InputError, match=r"3 steps in a row had no finite gradient.*step 1 is saved and good"):
        train(drawn_shards, tmp_path, replace(SMALL, steps=9))
    (checkpoint,) = find_checkpoints(tmp_path / "checkpoints")
    assert checkpoint.step == 1 and is_whole(checkpoint)


def test_float16_finds_its_scale_and_keeps_it(drawn_shards, tmp_path):
    config = replace(SMALL, steps=5, warmup=1, adversarial=False)
    train(drawn_shards, tmp_path / "straight", config, precision="float16", log_every=1)
    train(drawn_shards, tmp_path / "broken", config, precision="float16", log_every=1, max_hours=1e-6)
    assert newest(tmp_path / "broken")["networks"]["scaler"]["scale"] > 0
    train(drawn_shards, tmp_path / "broken", config, precision="float16", log_every=1)
    assert_equal_runs(tmp_path / "straight", tmp_path / "broken")
    assert sum(float(line["skipped"]) for line in log_lines(tmp_path / "straight")) < 5
    train(drawn_shards, tmp_path / "broken", replace(config, steps=6))  # on another GPU, without a scaler
    with pytest.raises(InputError, match="precision 'half' is unknown"):
        train(drawn_shards, tmp_path / "x", config, precision="half")


def biases_before_norms(network: torch.nn.Module) -> set[str]:
    """The biases that batch norm takes off again: their gradient is 0, or rounding noise."""
    pairs = ((name, *pair) for name, part in network.named_modules() for pair in pairwise(part.named_children()))
    return {f"{name}.{conv}.bias" for name, (conv, _), (_, norm) in pairs if isinstance(norm, torch.nn.BatchNorm2d)}


@pytest.mark.parametrize(
    ("adversarial", "quality", "precision"),
    [
        (False, 0.0, "float32"),
        (True, 0.0, "float32"),
        (False, 0.01, "float32"),
        (True, 0.01, "float32"),
        (True, 0.01, "bfloat16"),
    ],
)
def test_every_weight_is_trained(drawn_shards, tmp_path, adversarial, quality, precision):
    config = replace(SMALL, steps=1, adversarial=adversarial, adversarial_weight=1.0, quality_weight=quality)
    before = train_module.build_networks(config, torch.device("cpu"))
    train(drawn_shards, tmp_path, config, precision=precision)
    after = newest(tmp_path)["networks"]
    for name in ["generator", "average"] + ["discriminator"] * adversarial + ["quality"] * bool(quality):
        network = getattr(before, name)
        untrained = {key for key, value in network.state_dict().items() if torch.equal(value, after[name][key])}
        assert untrained <= biases_before_norms(network), name
    assert ("discriminator" in after, "quality" in after) == (adversarial, bool(quality))


def test_another_configuration_is_not_mixed_into_a_run(drawn_shards, tmp_path):
    config = replace(SMALL, adversarial=False, steps=1)
    train(drawn_shards, tmp_path, config)
    with pytest.raises(InputError, match=r"width was 0\.02 and is 0\.5"):
        train(drawn_shards, tmp_path, replace(config, width=0.5))
    (tmp_path / "config.json").unlink()  # each checkpoint knows as well
    with pytest.raises(InputError, match=r"seed was 0 and is 1"):
        train(drawn_shards, tmp_path, replace(config, seed=1))
    train(drawn_shards, tmp_path, replace(config, steps=2))  # going on for longer is no other configuration
    assert newest(tmp_path)["step"] == 2


def test_what_cannot_be_trained_is_one_line(drawn_shards, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="shards: there is no such folder"):
        train(tmp_path / "shards", tmp_path / "run", SMALL)
    with pytest.raises(InputError, match="batch_size 1"):
        train(drawn_shards, tmp_path / "run", replace(SMALL, batch_size=1))
    with pytest.raises(InputError, match=r"batch_size 1000000000: .* frames; take at most"):
        train(drawn_shards, tmp_path / "run", replace(SMALL, batch_size=10**9))
    for wrong in (
        {"workers": -1},
        {"log_every": 0},
        {"preview_every": 0},
        {"save_minutes": -1.0},
        {"max_hours": np.nan},
    ):
        with pytest.raises(InputError, match=rf"{next(iter(wrong))} .*: it must be"):
            train(drawn_shards, tmp_path / "run", SMALL, **wrong)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made or reached"):
        train(drawn_shards, tmp_path / "file" / "run", SMALL)
    assert not (tmp_path / "run").exists()


def test_a_colab_without_a_gpu_is_refused_unless_told_otherwise(drawn_shards, tmp_path, monkeypatch):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    with pytest.raises(InputError, match="NO GPU"):
        train(drawn_shards, tmp_path, SMALL)
    assert not (tmp_path / "config.json").exists()
    train(drawn_shards, tmp_path, replace(SMALL, steps=1), device="cpu")


def test_a_colab_with_a_tpu_is_told_to_take_a_gpu(drawn_shards, tmp_path, monkeypatch):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    monkeypatch.setenv("COLAB_TPU_1VM", "1")
    with pytest.raises(InputError, match=r"has a TPU, which is not used here, and NO GPU.*the device cpu trains"):
        train(drawn_shards, tmp_path, SMALL)


@pytest.mark.parametrize(
    ("batch_size", "advice"), [(8, "try batch_size 4 in another run folder"), (2, "try a smaller width in")]
)
def test_a_full_gpu_is_one_line_and_the_run_goes_on(drawn_shards, tmp_path, monkeypatch, batch_size, advice):
    config = replace(SMALL, batch_size=batch_size, steps=2)

    def fill():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    at_step(monkeypatch, 2, fill)
    with pytest.raises(InputError, match=rf"memory of CPU.*batch_size {batch_size} at width 0\.02; {advice}") as told:
        train(drawn_shards, tmp_path, config)
    assert "\n" not in str(told.value) and "start from this one, of which step 1 is saved" in str(told.value)
    assert newest(tmp_path)["step"] == 1
    train(drawn_shards, tmp_path, config)
    assert newest(tmp_path)["step"] == 2


def test_a_gpu_that_is_full_before_the_first_step_is_one_line(drawn_shards, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(train_module, "build_networks", full)
    with pytest.raises(InputError, match=r"in another run folder, or go on with this one where there is more memory$"):
        train(drawn_shards, tmp_path, replace(SMALL, batch_size=8))


def test_training_needs_no_float64(drawn_shards, tmp_path):
    with NoDoubles():
        for _ in range(2):  # begun, and gone on with
            train(drawn_shards, tmp_path, replace(SMALL, steps=2), max_hours=0)
    assert newest(tmp_path)["step"] == 2
    with pytest.raises(TypeError, match="float64"), NoDoubles():
        torch.ones(1).double()


def test_drive_that_is_not_mounted_is_not_written_to(drawn_shards, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "DRIVE", tmp_path / "drive")
    with pytest.raises(InputError, match="Drive is not mounted"):
        train(drawn_shards, tmp_path / "drive" / "MyDrive" / "runs" / "first", SMALL)
    assert not (tmp_path / "drive").exists()


def test_a_new_run_can_begin_with_the_weights_of_another(drawn_shards, straight, tmp_path):
    first = straight / "generator.safetensors"
    still = replace(SMALL, steps=1, learning_rate=0.0, ema=1.0, adversarial=False)
    second = train(drawn_shards, tmp_path / "second", still, start_from=straight)
    expected, found = (dict(load_generator(path).named_parameters()) for path in (first, second))
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    with pytest.raises(InputError, match=r"does not fit the run: width is 0\.02 there and 0\.5 here; set"):
        train(drawn_shards, tmp_path / "third", replace(SMALL, width=0.5), start_from=first)
    assert not (tmp_path / "third").exists(), "what was refused leaves a folder"


@pytest.fixture(scope="module")
def expert(tmp_path_factory):
    """A sync expert that knows nothing."""
    path = tmp_path_factory.mktemp("expert") / "expert.safetensors"
    torch.manual_seed(0)
    save_network(path, SyncExpert(SyncExpertConfig(0.02)))
    return path


def test_a_run_that_is_to_please_an_expert_goes_on_as_if_it_had_not_stopped(drawn_shards, expert, tmp_path, capsys):
    """Its verdict counts from a measurement on, also where that was before the interruption."""
    config = replace(SMALL, batch_size=10, sync_weight=0.1, sync_bound=100.0, held_out="auto")
    options = {"sync_expert": expert, "log_every": 1, "preview_every": 2}
    train(drawn_shards, tmp_path / "straight", config, **options)
    told = capsys.readouterr().out
    assert told.count("the sync expert counts from here on") == 1
    assert re.search(r"clips held out, to measure by \(1\): \w+", told)
    train(drawn_shards, tmp_path / "broken", replace(config, steps=3), **options)
    assert "counts from here on" in capsys.readouterr().out
    train(drawn_shards, tmp_path / "broken", config, **options)
    assert "counts from here on" not in capsys.readouterr().out
    lines = read_log(tmp_path / "straight" / "log.csv")
    assert [bool(line["sync"]) for line in lines] == [False, False, True, True]
    assert [bool(line["held_out_l1"] and line["held_out_sync"]) for line in lines] == [False, True, False, True]
    assert not any(line["learnt_l1"] for line in lines)
    assert lines[1]["sync_counts"] == "1.000000"
    state = newest(tmp_path / "straight")["networks"]
    assert state["sync_counts"] is True and not any("expert" in name for name in state)
    assert load_generator(tmp_path / "straight").about["sync_expert"] == [fingerprint(load_expert(expert))]
    child = train(drawn_shards, tmp_path / "child", replace(SMALL, steps=1), start_from=tmp_path / "straight")
    assert load_generator(child).about["sync_expert"] == load_generator(tmp_path / "straight").about["sync_expert"]


def test_an_expert_that_is_missing_or_another_one_is_a_line(drawn_shards, expert, tmp_path):
    config = replace(SMALL, steps=1, batch_size=10, sync_weight=0.1)
    with pytest.raises(InputError, match=r"sync_weight 0\.1: give sync_expert too"):
        train(drawn_shards, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()
    train(drawn_shards, tmp_path / "run", config, sync_expert=expert)
    other = tmp_path / "other.safetensors"
    save_network(other, SyncExpert(SyncExpertConfig(0.02)))
    with pytest.raises(InputError, match=r"begun with another configuration: sync_expert was \w+ and is \w+"):
        train(drawn_shards, tmp_path / "run", replace(config, steps=2), sync_expert=other)
    with pytest.raises(InputError, match=r"sync_expert .*: give sync_weight too"):
        train(drawn_shards, tmp_path / "x", replace(config, sync_weight=0), sync_expert=expert)
    with pytest.raises(InputError, match="feature_weight: there are features where"):
        replace(config, quality_weight=0, feature_weight=1)
    with pytest.raises(InputError, match="sync_runs 3: so many runs of 5 frames are more than a batch of 10"):
        replace(config, sync_runs=3)
    with pytest.raises(InputError, match="references 'best': choose one of any, informative"):
        replace(config, references="best")
    for wrong, message in (
        ({"batch_size": 11}, "sync_runs 2 does not divide the batch of 11"),
        ({"held_out": "nobody"}, "no clip of nobody"),
    ):
        with pytest.raises(InputError, match=message):
            train(drawn_shards, tmp_path / "x", replace(config, **wrong), sync_expert=expert)


@pytest.mark.parametrize("cache", ["memory", "device"])
def test_where_the_faces_are_kept_changes_nothing(drawn_shards, straight, tmp_path, cache, capsys):
    train(drawn_shards, tmp_path, SMALL, log_every=1, cache=cache)
    assert re.search(
        rf"all \d+ faces are kept decoded in the {'machine' if cache == 'memory' else cache}'s memory",
        capsys.readouterr().out,
    )
    assert_equal_runs(straight, tmp_path)


def test_the_log_says_how_it_goes(straight):
    lines = read_log(straight / "log.csv")
    assert [line["samples"] for line in lines] == ["2", "4", "6", "8"]
    for name in ("minutes", "samples_per_second", "learning_rate", "l1", "adversarial", "disc_synced", "grad_norm"):
        assert all(float(line[name]) >= 0 for line in lines), name


def test_what_is_exported_is_the_average(straight):
    exported, networks = load_generator(straight).state_dict(), newest(straight)["networks"]
    assert_equal(dict(exported), dict(networks["average"]))
    assert any(not torch.equal(exported[name], value) for name, value in networks["generator"].items())
