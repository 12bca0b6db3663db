"""Teaching a sync expert: its moments, that it learns, and that it goes on where it stopped."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from lipgan_colab.cli.verbs import main
from lipgan_colab.errors import InputError
from lipgan_colab.models.expert import accuracy
from lipgan_colab.models.losses import matching
from lipgan_colab.models.weights import load_expert, load_generator
from lipgan_colab.shards.augmentation import augmented_runs
from lipgan_colab.shards.film_clips import _jpeg
from lipgan_colab.shards.shard_file import UtteranceRecord, write_shard
from lipgan_colab.speech.sync import OFFSETS
from lipgan_colab.training.checkpoint import load_newest_checkpoint, write_checkpoint
from lipgan_colab.training.lease import Lease
from lipgan_colab.training.train_expert import APART, ExpertConfig, Moments, _matching, embedded, train_expert

SMALL = ExpertConfig(steps=4, clips=3, moments=4, width=0.125, warmup=2)
UNSEEN = 10  # the frame without a face
SETTINGS = {"fps": 25, "size": 96}


def counting_clip(name: str, frames: int = 30) -> UtteranceRecord:
    """Frame f is grey, 40 + 5 f, and mel column c is all c."""
    return UtteranceRecord(
        id=name,
        speaker=name[0],
        licence="made for this test",
        jpegs=[_jpeg(np.full((96, 96, 3), 40 + 5 * f, np.uint8), 95) for f in range(frames)],
        found=np.arange(frames) != UNSEEN,
        box=np.zeros((frames, 4), np.float32),
        head_pose=np.zeros((frames, 3), np.float32),
        lip_landmarks=np.zeros((frames, 40, 2), np.float32),
        mfcc=np.zeros((12, frames * 4), np.float32),
        mel=np.tile(np.arange(frames * 16 // 5, dtype=np.float32), (80, 1)),
    )


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counting")
    write_shard(folder / "shard-00000.safetensors", [counting_clip("a1"), counting_clip("b1")], [], SETTINGS)
    return folder


def test_a_moments_speech_begins_with_its_faces(counting):
    moments = Moments(counting, SMALL)
    seen = set()
    for number in range(20):
        sample = moments[number]
        assert sample["faces"].shape[1:] == (5, 3, 96, 96) and sample["speech"].shape[1:] == (1, 80, 16)
        greys = sample["faces"].float().mean(dim=(2, 3, 4))  # (M, 5)
        assert (greys.diff(dim=1) > 0).all()  # consecutive
        first = sample["speech"][:, 0, 0, 0]
        frames = (first / 3.2).ceil().int()
        assert torch.equal((frames * 16) // 5, first.int())
        assert torch.equal(greys[:, 0].argsort(), frames.argsort())
        assert (frames.sort().values.diff() >= APART).all()
        seen |= set(frames.tolist())
    assert not seen & set(range(UNSEEN - 4, UNSEEN + 1))
    assert min(seen) < 3 and max(seen) >= 23


def test_it_sees_the_lower_half_the_right_way_up(tmp_path):
    """Rows get brighter downwards, and a clip is mirrored as a whole or not at all."""
    clip = counting_clip("a1")
    down, right = np.mgrid[:96, :96]
    picture = np.stack([2 * down, 2 * right, 0 * down], axis=2).astype(np.uint8)
    clip.jpegs[:] = [_jpeg(picture, 95)] * len(clip.jpegs)
    write_shard(tmp_path / "shard-00000.safetensors", [clip], [], SETTINGS)
    moments, mirrored = Moments(tmp_path, SMALL), set()
    for number in range(8):
        sample = moments[number]
        faces = 255 * augmented_runs(sample["faces"], sample["lots"]).unflatten(1, (5, 3))
        red, green = faces[:, :, 0], faces[:, :, 1]
        assert (red[:, :, -4:].mean(dim=(2, 3)) > red[:, :, :4].mean(dim=(2, 3)) + 20).all()
        assert red.min() > 40  # the upper half is not there
        ways = (green[..., -4:].mean(dim=(2, 3)) > green[..., :4].mean(dim=(2, 3))).unique()
        assert len(ways) == 1
        mirrored.add(bool(ways))
    assert mirrored == {True, False}


def group_of(speaker: str, offset: int, clips: int = 12) -> list[UtteranceRecord]:
    """Clips whose lips and sound go together best at an offset."""
    rng, records = np.random.default_rng(0), []
    for number in range(clips):
        curve = rng.normal(0, 0.05, len(OFFSETS)) + 0.6 * (offset == OFFSETS)
        records.append(replace(counting_clip(f"{speaker}{number}"), sync=curve.astype(np.float32)))
    return records


@pytest.mark.parametrize("late", [3, -4])
def test_sound_that_is_late_is_taken_later(tmp_path, late):
    """Of the one group that is, and of no other; and no speech is taken that was not kept."""
    records = group_of("a", late) + group_of("b", 0) + group_of("c", 5, clips=9)  # too few to tell
    write_shard(tmp_path / "shard-00000.safetensors", records, [], SETTINGS)
    moments = Moments(tmp_path, SMALL)
    assert moments.late == {"a": late}
    for clip in moments.learnt:
        moved = late if clip.speaker == "a" else 0
        heard = np.array([clip.speech(int(frame))[0, 0] for frame in clip.first])
        assert (heard == (clip.first[:, None] + moved) * 16 // 5 + np.arange(16)).all()
        assert clip.first.min() == max(0, -moved) and clip.first.max() == 25 - max(0, moved)


def test_moments_of_one_clip_are_told_from_each_other_alone(counting, tmp_path):
    """Two clips of which each is known by its first moment's answer: nothing is left to learn from other clips."""
    lips = sounds = torch.eye(2)[[0, 1, 0, 1]]
    both, alone = (_matching(lips, sounds, [2, 2], share) for share in (0.0, 1.0))
    assert alone == pytest.approx(matching(lips[:2], sounds[:2])) and both == pytest.approx(matching(lips, sounds))
    assert alone < 1e-5 < 0.6 < both  # the same moment of the other clip is as near
    assert _matching(lips, sounds, [2, 2], 0.25) == pytest.approx(0.75 * float(both) + 0.25 * float(alone))
    uneven = _matching(lips, sounds, [3, 1], 1.0)
    assert uneven == pytest.approx(0.75 * float(matching(lips[:3], sounds[:3])))
    weights = []
    for share in (0.0, 1.0):
        path = train_expert(counting, tmp_path / str(share), replace(SMALL, steps=2, same_clip=share), "cpu")
        weights.append(load_expert(path).state_dict()["face_encoder.0.conv_block.0.weight"])
    assert not torch.equal(*weights)


def test_who_is_held_out_is_measured_by_and_not_learnt_from(counting, drawn_shards, tmp_path, capsys, monkeypatch):
    from lipgan_colab.training import train_expert as module

    moments = Moments(counting, replace(SMALL, held_out="b"))
    assert [[clip.id for clip in clips] for clips in (moments.learnt, moments.held_out)] == [["a1"], ["b1"]]
    with pytest.raises(InputError, match="held_out: no clip of nobody"):
        Moments(counting, replace(SMALL, held_out="nobody"))
    with pytest.raises(InputError, match="all of its clips are held out"):
        Moments(counting, replace(SMALL, held_out="a,b"))
    monkeypatch.setattr(module, "MEASURED_EVERY", 3)
    config = replace(SMALL, held_out="auto")  # of one speaker some clips
    expert = load_expert(train_expert(drawn_shards, tmp_path, config, "cpu"))
    shown = capsys.readouterr()
    assert re.findall(r"step (\d), of clips not learnt from: nearer \d+\.\d, told", shown.out + shown.err) == ["3", "4"]
    found = accuracy([embedded(expert, clip) for clip in Moments(drawn_shards, config).held_out])
    assert expert.about["nearer"] == pytest.approx(100 * found.nearer, abs=0.5)  # the file has float16
    train_expert(drawn_shards, tmp_path, config, "cpu")
    assert load_expert(tmp_path).about == expert.about


def test_a_sample_depends_on_seed_and_number_alone(counting):
    a, b, other = Moments(counting, SMALL), Moments(counting, SMALL), Moments(counting, replace(SMALL, seed=1))
    assert torch.equal(a[5]["faces"], b[5]["faces"])
    assert not torch.equal(a[5]["faces"], a[6]["faces"][: len(a[5]["faces"])])
    assert not torch.equal(a[5]["speech"], other[5]["speech"])


def test_what_cannot_teach_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no shard"):
        Moments(tmp_path, SMALL)
    write_shard(tmp_path / "shard-00000.safetensors", [counting_clip("a1")], [], {**SETTINGS, "fps": 30})
    with pytest.raises(InputError, match="25 frames a second"):
        Moments(tmp_path, SMALL)
    write_shard(tmp_path / "shard-00000.safetensors", [counting_clip("a1")], [], {**SETTINGS, "size": 192})
    with pytest.raises(InputError, match="taught on faces of 96 pixels; preprocess with size 96"):
        Moments(tmp_path, SMALL)
    write_shard(tmp_path / "shard-00000.safetensors", [counting_clip("a1")], [], SETTINGS)
    with pytest.raises(InputError, match="all of its clips are held out"):
        Moments(tmp_path, replace(SMALL, held_out="a"))
    write_shard(tmp_path / "shard-00000.safetensors", [counting_clip("a1", 6)], [], SETTINGS)
    with pytest.raises(InputError, match="no clip with"):
        Moments(tmp_path, SMALL)


def test_what_belongs_together_is_learnt(counting, tmp_path):
    """The later in these clips, the brighter the face and the louder the sound."""
    config = replace(SMALL, steps=40, moments=6, learning_rate=3e-3, warmup=5)
    expert = load_expert(train_expert(counting, tmp_path, config, "cpu"))
    batch = Moments(counting, replace(config, seed=9))[0]
    with torch.no_grad():
        lips, sounds = expert(augmented_runs(batch["faces"], batch["lots"]), batch["speech"])
        own = matching(lips, sounds)
        assert own < 0.8 * np.log(len(lips))  # of a guess
        assert own < matching(lips, sounds.flip(0)) - 1


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(drawn_shards, tmp_path, monkeypatch):
    config = replace(SMALL, same_clip=0.0)
    whole = load_expert(train_expert(drawn_shards, tmp_path / "whole", config, "cpu")).state_dict()
    from lipgan_colab.training import train_expert as module

    class Asked(list):
        """Asks to stop when the second step is done."""

        def __bool__(self):
            self.append(1)
            return len(self) == 2

    class Stop:
        def __enter__(self):
            return Asked()

        def __exit__(self, *_):
            pass

    with monkeypatch.context() as patched:
        patched.setattr(module, "stop_when_asked", Stop)
        path = train_expert(drawn_shards, tmp_path / "parts", config, "cpu")
    assert load_expert(path).about["step"] == 2
    parts = load_expert(train_expert(drawn_shards, tmp_path / "parts", config, "cpu"))
    assert parts.about["step"] == config.steps
    assert all(torch.equal(value, whole[name]) for name, value in parts.state_dict().items())
    state = load_newest_checkpoint(tmp_path / "parts" / "checkpoints")[1]
    del state["about"]["held_out"]  # as of a run that was begun before there was such a thing
    assert state["about"].pop("same_clip") == 0
    write_checkpoint(tmp_path / "parts" / "checkpoints", config.steps + 1, state)
    assert load_expert(train_expert(drawn_shards, tmp_path / "parts", config, "cpu")).about["step"] == config.steps
    with pytest.raises(InputError, match=r"held_out was none and is 0\.5; set"):
        train_expert(drawn_shards, tmp_path / "parts", replace(config, held_out="0.5"), "cpu")
    with pytest.raises(InputError, match=r"width was 0\.125 and is 0\.25; set it back"):
        train_expert(drawn_shards, tmp_path / "parts", replace(config, width=0.25), "cpu")
    with pytest.raises(InputError, match=r"clips_in_batch was 3 and is 2; set") as told:
        train_expert(drawn_shards, tmp_path / "parts", replace(config, clips=2), "cpu")
    assert "other clips" not in str(told.value)


def test_what_breaks_off_costs_no_whole_step(drawn_shards, tmp_path, monkeypatch):
    from lipgan_colab.training import train_expert as module

    steps, step = [], module._train_step

    def breaks(*arguments):
        steps.append(arguments[-1])
        if len(steps) == 3:
            raise RuntimeError("a device that is lost")
        return step(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(module, "_train_step", breaks)
        with pytest.raises(RuntimeError, match="lost"):
            train_expert(drawn_shards, tmp_path, SMALL, "cpu", save_minutes=0)
    assert load_expert(tmp_path).about["step"] == 2
    train_expert(drawn_shards, tmp_path, SMALL, "cpu")
    assert load_expert(tmp_path).about["step"] == SMALL.steps


def test_who_is_taken_over_ends_and_leaves_the_others_files_alone(drawn_shards, tmp_path, monkeypatch):
    from lipgan_colab.training import train_expert as module

    step, taken = module._train_step, []

    def taken_over(*arguments):
        if not taken:
            taken.append(Lease(tmp_path, take_over=True))
        return step(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(module, "_train_step", taken_over)
        with pytest.raises(InputError, match=r"has taken this run over.*ends at step 4, which is saved"):
            train_expert(drawn_shards, tmp_path, SMALL, "cpu")
    assert not (tmp_path / "expert.safetensors").exists()
    taken[0].check()
    taken[0].release()


def test_a_full_disk_and_a_batch_of_one_are_told_in_a_line(drawn_shards, small_disk):
    with pytest.raises(InputError, match="not written") as told:
        train_expert(drawn_shards, small_disk / "run", replace(SMALL, steps=1), "cpu")
    assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="2 clips"):
        replace(SMALL, clips=1)
    with pytest.raises(InputError, match="balance nan: it must be from 0 to 1"):
        replace(SMALL, balance=float("nan"))


def test_the_verb_teaches_and_evaluate_would_take_it(drawn_shards, tmp_path, capsys):
    options = ["--steps", "2", "--clips", "2", "--moments", "3", "--width", "0.125", "--device", "cpu"]
    assert main(["train-expert", "--shards", str(drawn_shards), "--run", str(tmp_path), *options]) == 0
    assert str(tmp_path / "expert.safetensors") in capsys.readouterr().out
    assert load_expert(tmp_path).config.width == 0.125
    with pytest.raises(InputError, match=r"no generator\.safetensors"):
        load_generator(tmp_path)
    with pytest.raises(InputError, match="this is a sync expert, and a generator is wanted"):
        load_generator(tmp_path / "expert.safetensors")


def test_it_is_asked_for_the_openings_of_the_mouths(tmp_path):
    """What it learns differs by them: known, and not known."""
    learnt = []
    for opening in (0.0, np.nan):
        folder, clips = tmp_path / f"{opening}", [counting_clip("a1"), counting_clip("b1")]
        for clip in clips:
            clip.lip_landmarks[:] = opening
        write_shard(folder / "shard-00000.safetensors", clips, [], SETTINGS)
        train_expert(folder, folder / "run", replace(SMALL, steps=1), "cpu")
        learnt.append(load_newest_checkpoint(folder / "run" / "checkpoints")[1]["pupil"])
    for part in ("seen.weight", "heard.weight", "expert.face_encoder.0.conv_block.0.weight"):
        assert not torch.equal(learnt[0][part], learnt[1][part]), part
