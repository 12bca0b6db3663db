"""Teaching mouth motion: what is learnt from shards, that it is learnt, and that a run goes on where it stopped."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lipgan_colab.cli.verbs import main
from lipgan_colab.corpora.corpus import Utterance
from lipgan_colab.errors import InputError
from lipgan_colab.faces import lips, mesh
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.weights import load_generator, load_network
from lipgan_colab.shards.preprocess import preprocess
from lipgan_colab.shards.shard_file import Shard, UtteranceRecord, write_shard
from lipgan_colab.training.lease import Lease
from lipgan_colab.training.motion_data import (
    Motions,
    MotionTrainConfig,
    measure,
    quick,
    read_clip,
    some_of_each,
)
from lipgan_colab.training.runs import read_log, status
from lipgan_colab.training.step import TrainConfig
from lipgan_colab.training.train import train
from lipgan_colab.training.train_motion import train_motion

FRAMES = 60
SETTINGS = {"fps": 25, "size": 96}
SMALL = MotionTrainConfig(steps=6, batch_size=4, piece=40, channels=16, voices=1, warmup=2, held_out="none")


def openings(name: str) -> np.ndarray:
    """How far the lips of a clip are apart in each frame (FRAMES,), in centimetres, 0 to 1.5."""
    rng = np.random.default_rng(int.from_bytes(name.encode()))
    beat = np.interp(np.arange(FRAMES), np.arange(0, FRAMES + 3, 3), rng.random(FRAMES // 3 + 1))
    return 1.5 * np.clip(beat - 0.3, 0, 1)


def loud_as_open(opening: np.ndarray) -> np.ndarray:
    """A buzz, int16, as loud as the mouth is open."""
    time = np.arange(FRAMES * 640) / 16000
    loud = np.interp(time, (np.arange(FRAMES) + 0.5) / 25, opening)
    buzz = sum(np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 30))
    return (8000 * loud * buzz / 2).astype(np.int16)


def speaking_clip(name: str, least: float = 0.0, turn: float = 0.3) -> UtteranceRecord:
    """A head that turns, whose lips are apart by `openings`, and never by less than `least`."""
    face = lips.closed(mesh.canonical().astype(np.float64), np.zeros(9))
    opening = np.maximum(openings(name), least)
    points = np.stack([lips.kept_apart(face, np.full(9, o)) for o in opening])
    angles = turn * np.sin(np.arange(FRAMES) / 10)
    turned = np.array([[[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]] for a in angles])
    shown = points @ np.swapaxes(turned, 1, 2) / 20 + [0.5, 0.5, 0]
    return UtteranceRecord(
        id=name,
        speaker=name[0],
        licence="made for this test",
        jpegs=[b"no picture is needed"] * FRAMES,
        found=np.arange(FRAMES) != 20,
        box=np.zeros((FRAMES, 4), np.float32),
        head_pose=np.zeros((FRAMES, 3), np.float32),
        lip_landmarks=np.zeros((FRAMES, 40, 2), np.float32),
        mfcc=np.zeros((12, FRAMES * 4), np.float32),
        mel=np.zeros((80, FRAMES * 16 // 5), np.float32),
        mesh=shown[:, mesh.kept_points()].astype(np.float16),
        voice=loud_as_open(opening),
    )


def made_shards(folder, records):
    write_shard(folder / "shard-00000.safetensors", records, [], SETTINGS)
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Five people, two clips of each. Not to be changed."""
    return made_shards(tmp_path_factory.mktemp("speaking"), [speaking_clip(f"{p}{n}") for p in "abcde" for n in (1, 2)])


def clip_of(tmp_path, record):
    return read_clip(Shard.open(made_shards(tmp_path, [record]) / "shard-00000.safetensors"), 0)


def test_movement_is_the_lips_and_not_the_heads(tmp_path):
    clip, still = clip_of(tmp_path, speaking_clip("a1")), clip_of(tmp_path, speaking_clip("a1", turn=0))
    assert np.corrcoef(clip.opening, openings("a1"))[0, 1] > 0.99
    assert np.abs(clip.opening - still.opening).max() < 0.05
    assert np.abs(clip.movement - still.movement).max() < 0.15  # centimetres; shards have 16 bits
    shut = clip.opening < 0.01 + clip.opening.min()
    assert np.abs(clip.movement[shut]).max() < 0.1 < 0.5 < np.abs(clip.movement).max()


def test_who_never_closes_the_lips_is_thought_to_rest_with_them_closed(tmp_path):
    clip = clip_of(tmp_path, speaking_clip("a1", least=0.5))
    assert abs(clip.rest_gap[1]) < lips.SHUT + 0.001 < 0.4 < clip.opening.min()


def test_clips_that_are_hardly_seen_are_left_out(tmp_path):
    record = speaking_clip("a1")
    record.mesh[: FRAMES // 3] = np.nan
    assert clip_of(tmp_path, record) is None
    with pytest.raises(InputError, match="no clip to learn from"):
        Motions(tmp_path, SMALL, 3)


def test_of_a_large_corpus_some_clips_of_each_speaker_do(tmp_path):
    records = [speaking_clip(f"a{n}") for n in range(6)] + [speaking_clip(f"{p}1") for p in "bc"]
    shards = [Shard.open(made_shards(tmp_path, records) / "shard-00000.safetensors")]

    def taken(most, seed=0):
        return [records[u].id for _, u in some_of_each(shards, most, seed)]

    assert taken(8) == taken(99) == [r.id for r in records]
    for most in (3, 5):
        assert taken(most)[-2:] == ["b1", "c1"] and len(taken(most)) == most
    assert set(taken(3)) < set(taken(5)) and len({tuple(taken(4, seed)) for seed in range(9)}) > 2
    motions = Motions(tmp_path, replace(SMALL, most_clips=4, voices=0), 3)
    assert [clip.id for clip in motions.learnt] == taken(4)
    assert [len(clip.voices) for clip in motions.learnt] == [1] * 4


def test_a_sample_depends_on_seed_and_number_alone(shards):
    a, b, other = (Motions(shards, config, 3) for config in (SMALL, SMALL, replace(SMALL, seed=1)))
    for one, two in zip(a.sample(5), b.sample(5), strict=True):
        assert np.array_equal(one, two)
    assert not np.array_equal(a.sample(5)[0], a.sample(6)[0])
    assert not np.array_equal(a.sample(5)[0], other.sample(5)[0])
    heard, answers = a.batch(1)
    assert heard.shape == (4, 80, 80) and answers.shape == (4, 3, 40)
    assert torch.equal(heard[1], torch.from_numpy(a.sample(5)[0]))


def test_what_is_heard_and_the_answer_are_of_one_moment_in_every_voice(shards):
    """The louder, the wider."""
    motions = Motions(shards, replace(SMALL, voices=4), 3)
    assert all(len({rate for _, rate in clip.voices}) == 5 for clip in motions.learnt)
    gaps = motions.basis[:, 14, 1] - motions.basis[:, 13, 1]
    for clip in motions.learnt:
        for voice in clip.voices:
            clip.voices, kept = [voice], clip.voices
            heard, answers = motions.sample(3)
            clip.voices = kept
            loud = heard.mean(axis=0).reshape(-1, 2).mean(axis=1)
            assert heard.shape == (80, 80) and np.isfinite(loud).all() and np.isfinite(answers).all()
    together = []
    for number in range(40):
        heard, answers = motions.sample(number)
        loud, wide = np.exp(heard.mean(axis=0).reshape(-1, 2).mean(axis=1)), gaps @ answers
        lags = [np.corrcoef(loud[5:-5], np.roll(wide, lag)[5:-5])[0, 1] for lag in (-4, 0, 4)]
        together.append(lags)
    early, now, late = np.mean(together, axis=0)
    assert now > 0.7 and now > max(early, late) + 0.1


def test_a_piece_longer_than_a_clip_stays_as_it_ends(shards):
    heard, answers = Motions(shards, replace(SMALL, piece=400), 3).sample(0)
    assert heard.shape == (80, 800) and answers.shape == (3, 400)
    assert (answers[:, -1:] == answers[:, 200:]).all() and (heard[:, -1:] == heard[:, 400:]).all()


def test_it_learns_and_people_whom_it_does_not_know_tell(shards, tmp_path):
    config = replace(SMALL, steps=50, batch_size=8, channels=32, voices=2, held_out="a,e", learning_rate=5e-3)
    network = load_generator(train_motion(shards, tmp_path, config, "cpu"))
    assert isinstance(network, MotionNetwork) and not network.training
    assert network.about["measures"]["follows"] > 0.8 and abs(network.about["measures"]["others"]) < 0.5
    assert network.about["corpora"] == ["made for this test"] and network.about["clips"] == 6
    motions = Motions(shards, config, network.config.components)
    again = measure(network, motions.held_out)
    assert again.follows == pytest.approx(network.about["measures"]["follows"], abs=0.01)  # it is kept in 16 bits
    assert 0.5 < again.range < 1.3
    log = read_log(tmp_path / "log.csv")
    assert [line["step"] for line in log] == ["25", "50"] and float(log[1]["loss"]) < float(log[0]["loss"])
    assert network.basis.shape == (10, 468, 3) and (network.basis[:, [10, 33, 263]] == 0).all()


def asks_to_stop_after(steps: int):
    class Asked(list):
        def __bool__(self):
            return self.looked() >= steps

        def looked(self):
            self.append(1)
            return len(self) / 2  # a step looks twice

    class Stop:
        def __enter__(self):
            return Asked()

        def __exit__(self, *_):
            pass

    return Stop


def without_times(path):
    lines = read_log(path)
    return [{n: v for n, v in line.items() if n not in ("minutes", "samples_per_second")} for line in lines]


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(shards, tmp_path, monkeypatch):
    from lipgan_colab.training import train_motion as module

    monkeypatch.setattr(module, "MEASURED_EVERY", 2)
    config = replace(SMALL, held_out="b,c")
    train_motion(shards, tmp_path / "whole", config, "cpu")
    with monkeypatch.context() as patched:
        patched.setattr(module, "stop_when_asked", asks_to_stop_after(3))
        train_motion(shards, tmp_path / "parts", config, "cpu")
    assert load_network(tmp_path / "parts" / "last.safetensors").about["step"] == 3
    train_motion(shards, tmp_path / "parts", config, "cpu")
    for name in ("generator.safetensors", "last.safetensors"):
        whole, parts = (load_network(tmp_path / run / name) for run in ("whole", "parts"))
        assert whole.about == parts.about
        assert all(torch.equal(value, whole.state_dict()[n]) for n, value in parts.state_dict().items())
    assert without_times(tmp_path / "whole" / "log.csv") == without_times(tmp_path / "parts" / "log.csv")
    assert len(read_log(tmp_path / "parts" / "log.csv")) == 3
    with pytest.raises(InputError, match=r"channels was 16 and is 8; set it back"):
        train_motion(shards, tmp_path / "parts", replace(config, channels=8), "cpu")


def test_the_weights_that_did_best_are_exported_and_the_last_ones_as_well(shards, tmp_path, monkeypatch):
    from lipgan_colab.training import train_motion as module

    monkeypatch.setattr(module, "MEASURED_EVERY", 2)
    follows = iter((0.3, 0.9, 0.1))
    monkeypatch.setattr(module, "measure", lambda *_: module.Measures(next(follows), 0.0, 1.0))
    train_motion(shards, tmp_path, replace(SMALL, held_out="b"), "cpu")
    best, last = load_generator(tmp_path), load_generator(tmp_path / "last.safetensors")
    assert best.about["step"] == 4 and best.about["measures"]["follows"] == 0.9 and last.about["step"] == 6
    assert not torch.equal(best.last.weight, last.last.weight)


def test_what_breaks_off_costs_no_whole_step(shards, tmp_path, monkeypatch):
    from lipgan_colab.training import train_motion as module

    learn = module._Learner.learn

    def breaks(learner, *batch):
        if learner.step == 2:
            raise RuntimeError("a device that is lost")
        return learn(learner, *batch)

    with monkeypatch.context() as patched:
        patched.setattr(module._Learner, "learn", breaks)
        with pytest.raises(RuntimeError, match="lost"):
            train_motion(shards, tmp_path, SMALL, "cpu", save_minutes=0)
    assert load_generator(tmp_path).about["step"] == 2
    train_motion(shards, tmp_path, SMALL, "cpu")
    assert load_generator(tmp_path).about["step"] == SMALL.steps


def test_who_is_taken_over_ends_and_leaves_the_others_files_alone(shards, tmp_path, monkeypatch):
    from lipgan_colab.training import train_motion as module

    learn, taken = module._Learner.learn, []

    def taken_over(learner, *batch):
        if not taken:
            taken.append(Lease(tmp_path, take_over=True))
        return learn(learner, *batch)

    monkeypatch.setattr(module._Learner, "learn", taken_over)
    with pytest.raises(InputError, match=r"has taken this run over.*ends at step 6, which is saved"):
        train_motion(shards, tmp_path, SMALL, "cpu")
    assert not (tmp_path / "generator.safetensors").exists()
    taken[0].check()
    taken[0].release()


def test_older_shards_other_runs_and_a_full_disk_are_told_in_a_line(shards, tmp_path, small_disk):
    record = replace(speaking_clip("a1"), mesh=None, voice=None)
    with pytest.raises(InputError, match="made before mesh and voice were kept") as told:
        train_motion(made_shards(tmp_path / "old", [record]), tmp_path / "run", SMALL, "cpu")
    assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="not written"):
        train_motion(shards, small_disk / "run", replace(SMALL, steps=1, channels=160), "cpu")
    train_motion(shards, tmp_path / "run", replace(SMALL, steps=1), "cpu")
    with pytest.raises(InputError, match="of another kind of network"):
        train(shards, tmp_path / "run", TrainConfig(steps=1), "cpu")
    with pytest.raises(InputError, match="warp 2: it must be from 0 to 1"):
        replace(SMALL, warp=2)


def test_the_verb_teaches_and_status_tells(shards, tmp_path, capsys):
    options = ["--steps", "2", "--voices", "0", "--piece", "20", "--held-out", "d", "--device", "cpu"]
    assert main(["train-motion", "--shards", str(shards), "--run", str(tmp_path), *options]) == 0
    assert str(tmp_path / "generator.safetensors") in capsys.readouterr().out
    assert (tmp_path / "generator.safetensors").stat().st_size < 1_000_000
    text = status(tmp_path)
    assert "step 2 of 2 (100%), 48 samples, " in text and "loss " in text and "follows " in text
    assert "done, at step 2 of 2" in text
    train_motion(shards, tmp_path / "all", replace(SMALL, steps=1), "cpu")
    assert "follows" not in status(tmp_path / "all") and "loss " in status(tmp_path / "all")


def test_real_clips_are_followed_and_not_anothers_speech(shared, tmp_path):
    """It fits some clips of one person in seconds, and hears which is which."""
    places = sorted((shared / "data" / "grid" / "s1").glob("*.mpg"))[:4]
    corpus = [Utterance(id=place.name, path=place, speaker="s1", licence="CC BY 4.0") for place in places]
    preprocess(corpus, tmp_path / "shards", workers=0)
    config = replace(SMALL, steps=150, batch_size=8, channels=48, learning_rate=4e-3, dropout=0.0)
    network = load_generator(train_motion(tmp_path / "shards", tmp_path / "run", config, "cpu"))
    motions = Motions(tmp_path / "shards", config, network.config.components)
    found = measure(network, motions.learnt)
    assert found.follows > 0.8 and found.others < found.follows - 0.5
    assert 0.6 < found.range < 1.2


def test_slow_changes_are_not_quick_ones():
    ramp, beat = np.linspace(0, 1, 75), np.sin(np.arange(75) * 1.5)
    assert np.abs(quick(ramp)[8:-8]).max() < 0.01
    assert np.corrcoef(quick(beat + 5 * ramp)[8:-8], beat[8:-8])[0, 1] > 0.95
    assert len(quick(np.arange(4.0))) == 4
