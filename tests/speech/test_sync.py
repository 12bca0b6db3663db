"""Lips and sound: right, shifted and wrong sound are told apart by groups of ten clips, not by one."""

import numpy as np
import pytest

from lipgan_colab.corpora.corpus import Utterance
from lipgan_colab.faces.face import INNER_LIPS
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.video import read_video, resample_frames
from lipgan_colab.media.writing import write_video
from lipgan_colab.shards.manifest import out_of_sync
from lipgan_colab.shards.preprocess import preprocess
from lipgan_colab.shards.shard_file import read_records
from lipgan_colab.speech.features import mel
from lipgan_colab.speech.sync import OFFSETS, clip_sync, group_sync
from lipgan_colab.synthetic.clips import draw_corpus

CLIPS = 12


@pytest.fixture(scope="module")
def clips(shared):
    """Clips of one man, who says something else in each."""
    paths = sorted((shared / "data" / "grid" / "s1").glob("*.mpg"))
    return [Utterance(p.name, p, speaker="s1") for p in paths[:: len(paths) // CLIPS][:CLIPS]]


@pytest.fixture(scope="module")
def made(clips, tmp_path_factory):
    """The manifest and the records of the clips as they are."""
    out = tmp_path_factory.mktemp("shards")
    return preprocess(clips, out), read_records(out / "shard-00000.safetensors")


@pytest.fixture(scope="module")
def seen_and_heard(clips, made):
    """Mouth openings, and the sound, of each clip."""
    upper, lower = (20 + INNER_LIPS.index(point) for point in (13, 14))
    openings = [np.linalg.norm(r.lip_landmarks[:, upper] - r.lip_landmarks[:, lower], axis=1) for r in made[1]]
    return openings, [read_speech(u.path) for u in clips]


def judged(openings, sounds):
    return group_sync(np.stack([clip_sync(o, mel(s), 25) for o, s in zip(openings, sounds, strict=True)]))


def shifted(sound, frames):
    late = np.concatenate([np.zeros(max(0, frames) * 640, np.float32), sound])
    return late[max(0, -frames) * 640 :]


def test_clips_as_they_are_belong_together(made):
    manifest, records = made
    about = manifest["sync"]["s1"]
    assert about["verdict"] == "in sync" and about["clips"] == CLIPS
    assert abs(about["offset"]) <= 1 and about["correlation"] > 0.3
    assert about == manifest["sync"]["all"]
    assert out_of_sync(manifest) == []
    assert all(r.sync.shape == OFFSETS.shape for r in records)


@pytest.mark.parametrize("frames", [8, -8, 3])
def test_shifted_sound_is_noticed_and_by_how_much(seen_and_heard, frames):
    openings, sounds = seen_and_heard
    group = judged(openings, [shifted(s, frames) for s in sounds])
    assert group.verdict == "shifted"
    assert abs(group.offset - frames) <= 1
    assert f"--sound-offset {group.offset}" in str(group)
    assert judged(openings, [shifted(shifted(s, frames), -group.offset) for s in sounds]).verdict == "in sync"


@pytest.mark.parametrize("other", [1, 5])
def test_the_sound_of_other_sentences_is_noticed(seen_and_heard, other):
    openings, sounds = seen_and_heard
    group = judged(openings, sounds[other:] + sounds[:other])
    assert group.verdict == "no match"
    assert "do not match" in str(group)


def test_few_clips_or_copies_of_them_are_not_judged(made):
    assert group_sync(np.stack([r.sync for r in made[1][:2] * 6])).verdict == "not sure"
    assert group_sync(np.stack([r.sync for r in made[1][:9]])).verdict == "not sure"
    assert group_sync(np.full((20, len(OFFSETS)), np.nan)).verdict == "not sure"


def test_short_clips_raise_no_false_alarm(seen_and_heard):
    """Of a second and a half, ten are too little to accuse them of anything."""
    openings, sounds = seen_and_heard
    for first in (0, 2):
        few = slice(first, first + 10)
        group = judged([o[:37] for o in openings[few]], [s[:24000] for s in sounds[few]])
        assert group.verdict in ("in sync", "not sure")


def test_a_clip_without_landmarks_or_too_short_says_nothing():
    mel = np.random.default_rng(0).normal(size=(80, 240)).astype(np.float32)
    assert np.isnan(clip_sync(np.full(75, np.nan), mel, 25)).all()
    assert np.isnan(clip_sync(np.random.default_rng(0).random(25), mel, 25)).all()
    assert np.isnan(clip_sync(np.zeros(75), mel, 25)).all()  # a mouth that never moves


def test_files_made_with_late_sound_are_noticed_on_the_way_to_shards(tmp_path, capsys):
    """Drawn faces whose sound is put 6 frames late, from file to manifest."""
    clips = []
    for n, path in enumerate(draw_corpus(tmp_path / "right", 10, identities=1, seconds=1.4, size=(160, 160))):
        late = tmp_path / f"late{n}.mp4"
        frames = resample_frames(read_video(path), 25)
        write_video(late, frames, 25, shifted(read_speech(path), 6))
        clips.append(Utterance(f"{n}", late))
    manifest = preprocess(clips, tmp_path / "shards", workers=0)
    assert manifest["sync"]["all"]["offset"] == pytest.approx(6, abs=1)
    (line,) = out_of_sync(manifest)
    assert line.startswith("all clips: sound 6 frames late")
    assert line.removeprefix("all clips: ") in capsys.readouterr().out  # while it is going on
