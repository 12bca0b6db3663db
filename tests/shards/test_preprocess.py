"""Videos to shards: what is kept, what is skipped and why, and going on after an interruption."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from safetensors import safe_open

from lipgan_colab.corpora.corpus import Utterance, folder
from lipgan_colab.corpora.subset import subset
from lipgan_colab.errors import InputError
from lipgan_colab.faces import geometry
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.video import read_video, resample_frames
from lipgan_colab.shards.dataset import LipSyncDataset
from lipgan_colab.shards.manifest import write_manifest
from lipgan_colab.shards.preprocess import PreprocessConfig, preprocess
from lipgan_colab.shards.shard_file import read_records
from lipgan_colab.speech.features import mel, mfcc

TWO = PreprocessConfig(utterances_per_shard=2)


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def twos(drawn_videos, tmp_path_factory) -> Path:
    """The shards of `drawn_videos`, two clips each, made undisturbed. Not to be changed."""
    shards = tmp_path_factory.mktemp("twos")
    preprocess(folder(drawn_videos), shards, TWO, workers=0)
    return shards


def test_shards_hold_what_was_filmed_and_said(drawn_videos, drawn_shards):
    clip = folder(drawn_videos)[0]
    with safe_open(drawn_shards / "shard-00000.safetensors", "np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    assert arrays["utterance_frames"].tolist() == [25] * 4
    assert arrays["found"].mean() > 0.9
    speech = read_speech(clip.path)
    assert np.array_equal(arrays["mfcc"][: arrays["mfcc_offsets"][1]].T, mfcc(speech))
    assert np.array_equal(arrays["mel"][: arrays["mel_offsets"][1]].T, mel(speech))
    lips = arrays["lip_landmarks"][arrays["found"]]
    assert lips.shape[1:] == (40, 2)
    assert 0.3 < lips[..., 0].mean() < 0.7
    assert 0.6 < lips[..., 1].mean() < 0.95
    frame = next(resample_frames(read_video(clip.path), 25))
    with Image.open(io.BytesIO(arrays["jpeg"][: arrays["jpeg_offsets"][1]].tobytes())) as picture:
        difference = np.asarray(picture).astype(int) - geometry.crop(frame, arrays["box"][0])
    assert np.abs(difference).mean(axis=(0, 1)).max() < 3  # in each colour
    sample = LipSyncDataset(drawn_shards, augment=False)[0]
    assert sample["target"].shape == (3, 96, 96)


def test_workers_and_interruption_change_no_byte(drawn_videos, twos, tmp_path):
    out = tmp_path / "several"
    preprocess(folder(drawn_videos), out, TWO, workers=2)
    assert content(out) == content(twos)
    kept = (out / "shard-00000.safetensors").stat().st_mtime_ns
    (out / "shard-00001.safetensors").unlink()
    preprocess(folder(drawn_videos), out, TWO, workers=0)
    assert content(out) == content(twos)
    assert (out / "shard-00000.safetensors").stat().st_mtime_ns == kept  # not made again


def test_kill_9_loses_no_clip_that_was_done(drawn_videos, drawn_shards, tmp_path):
    """All four clips belong to one shard; it is not begun again."""
    videos, out = tmp_path / "videos", tmp_path / "shards"
    shutil.copytree(drawn_videos, videos)
    arguments = ["preprocess", "--videos", videos, "--out", out, "--workers", "1"]
    process = subprocess.Popen([sys.executable, "-m", "lipgan_colab", *arguments], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (done := list(out.rglob("[!.]*.safetensors"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    children = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert done and not list(out.glob("*.safetensors"))
    assert psutil.wait_procs(children, timeout=60)[1] == []  # no worker waits for ever
    clips = folder(videos)
    clips[0].path.unlink()  # if it were read again, it would be missing
    (out / f".shard-00000.safetensors.{process.pid}.part").touch()  # as if it had been writing the shard
    preprocess(clips, out, workers=0)
    assert content(out) == content(drawn_shards)


def test_ranks_share_the_shards_of_one(drawn_videos, twos, tmp_path, monkeypatch):
    clips = folder(drawn_videos)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    first = preprocess(clips, tmp_path, TWO, workers=0)
    assert [s["name"] for s in first["shards"]] == ["shard-00001.safetensors"]
    last = preprocess(clips, tmp_path, TWO, workers=0, rank=0, world_size=2)
    assert content(tmp_path) == content(twos)
    assert len(last["shards"]) == 2
    with pytest.raises(InputError, match="rank 2 of 2"):
        preprocess(clips, tmp_path, TWO, workers=0, rank=2, world_size=2)


def test_a_fast_disk_holds_what_is_unfinished(drawn_videos, twos, tmp_path):
    out, scratch = tmp_path / "drive", tmp_path / "disk"
    (scratch / "mine.txt").parent.mkdir()
    (scratch / "mine.txt").touch()
    preprocess(folder(drawn_videos), out, TWO, workers=0, scratch=scratch)
    assert content(out) == content(twos)
    assert [p.name for p in scratch.iterdir()] == ["mine.txt"]


def test_a_bigger_subset_uses_the_shards_of_the_smaller(drawn_videos, tmp_path):
    corpus = folder(drawn_videos)
    small, big = (subset(corpus, utterances=n, seed=1) for n in (3, 4))
    preprocess(small, tmp_path / "grown", TWO, workers=0)
    whole = (tmp_path / "grown" / "shard-00000.safetensors").stat().st_mtime_ns
    done = [replace(u, path=tmp_path / "gone") for u in small]  # nothing of them is read again
    grown = preprocess([*done, big[3]], tmp_path / "grown", TWO, workers=0)
    straight = preprocess(big, tmp_path / "straight", TWO, workers=0)
    assert content(tmp_path / "grown") == content(tmp_path / "straight")
    assert grown["fingerprint"] == straight["fingerprint"] == LipSyncDataset(tmp_path / "grown").fingerprint
    assert (tmp_path / "grown" / "shard-00000.safetensors").stat().st_mtime_ns == whole
    with pytest.raises(InputError, match=r"made of other clips"):
        preprocess(small, tmp_path / "grown", TWO, workers=0)


@dataclass(frozen=True)
class Deadly:
    """A path that kills the process that opens it."""

    parent_pid: int

    def __fspath__(self) -> str:
        if os.getpid() != self.parent_pid:
            os.kill(os.getpid(), signal.SIGKILL)
        return "deadly.mp4"


def test_a_clip_that_kills_its_process_is_skipped(drawn_videos, tmp_path):
    clip = folder(drawn_videos)[0]
    manifest = preprocess([Utterance("deadly", Deadly(os.getpid())), clip], tmp_path, TWO, workers=1)
    assert manifest["utterances"] == 1
    assert manifest["skipped"] == [{"id": "deadly", "gate": "crash", "reason": "ended the process that read it, twice"}]


def test_late_sound_is_moved_back(drawn_videos, twos, tmp_path):
    clip = folder(drawn_videos)[0]
    preprocess([clip], tmp_path / "late", replace(TWO, sound_offset=5), workers=0)
    preprocess([clip], tmp_path / "early", replace(TWO, sound_offset=-5), workers=0)
    straight, *_ = read_records(twos / "shard-00000.safetensors")
    (late,), (early,) = (read_records(tmp_path / way / "shard-00000.safetensors") for way in ("late", "early"))
    assert np.allclose(late.mfcc[:, 1:60], straight.mfcc[:, 21:80], atol=1e-3)  # 5 frames are 20 columns
    assert np.allclose(early.mfcc[:, 21:80], straight.mfcc[:, 1:60], atol=1e-3)
    assert len(late.jpegs) == 20  # the last frames belong to no sound


def test_long_clips_are_read_twice_rather_than_kept(drawn_videos, twos, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[preprocess.__module__], "KEPT_FRAMES", 1_000_000)
    preprocess(folder(drawn_videos), tmp_path, TWO, workers=0)
    assert content(tmp_path) == content(twos)


@pytest.mark.parametrize("settings", [{"size": 64}, {"jpeg_quality": 0}])
def test_settings_that_cannot_be(settings):
    with pytest.raises(InputError):
        PreprocessConfig(**settings)


def test_larger_crops(drawn_videos, tmp_path):
    preprocess(folder(drawn_videos)[:1], tmp_path, PreprocessConfig(size=128, jpeg_quality=80), workers=0)
    assert LipSyncDataset(tmp_path)[0]["target"].shape == (3, 128, 128)


def test_a_bad_clip_is_skipped_with_its_reason(drawn_videos, tmp_path):
    clips = folder(drawn_videos)[:2]
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video")
    bad = [Utterance("empty.mp4", tmp_path / "empty.mp4"), Utterance("text.mp4", tmp_path / "text.mp4")]
    manifest = preprocess([clips[0], *bad, clips[1]], tmp_path / "shards", workers=0)
    assert manifest["utterances"] == 2
    assert [s["id"] for s in manifest["skipped"]] == ["empty.mp4", "text.mp4"]
    assert "empty" in manifest["skipped"][0]["reason"]
    assert str(tmp_path) not in manifest["skipped"][0]["reason"]
    assert manifest["skipped_by"] == {"unreadable": 2}


def test_nothing_usable_is_an_error(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(InputError, match=r"none of the 1 clips could be used \(empty\.mp4: "):
        preprocess([Utterance("empty.mp4", tmp_path / "empty.mp4")], tmp_path / "shards", workers=0)


def test_shards_of_other_clips_or_settings_are_not_mixed(drawn_videos, drawn_shards, tmp_path):
    shutil.copytree(drawn_shards, tmp_path / "shards")
    clips = folder(drawn_videos)
    with pytest.raises(InputError, match="made of other clips or in another way"):
        preprocess(clips, tmp_path / "shards", replace(PreprocessConfig(), jpeg_quality=50), workers=0)
    with pytest.raises(InputError, match="made of other clips or in another way"):
        preprocess(clips[:3], tmp_path / "shards", workers=0)


VERDICTS = {  # what preprocessing says of the clips that people really bring: None is kept
    "dark_swiz3n.mp4": None,
    "empty.mp4": "unreadable",
    "face_leaves_swiz3n.mp4": None,  # it is there in two thirds of the frames, which are used
    "fps2997_pwij3p.mp4": None,
    "fps30_lbax4n.mp4": None,
    "fps60_s4.mp4": None,
    "gray_lbax4n.mp4": None,
    "lowres_96x80_s1.mp4": "face too small",
    "mjpeg_pcm_8k_pwij3p.avi": None,
    "music_6dB_s1.mp4": None,
    "nosound_s1.mp4": "no sound",
    "oddsize_361x287_s1.mp4": None,
    "oneframe_s1.mp4": "no sound",
    "phone_rot90_s1.mp4": None,
    "phone_rot180_swiz3n.mov": None,
    "roll25_s4.mp4": None,
    "shift+8f_s1.mp4": None,  # one clip proves nothing: see tests/test_sync.py
    "shift-8f_s1.mp4": None,
    "silence_s1.mp4": "silent",
    "stereo48k_s1.webm": None,
    "tinyface_1280x720_pwij3p.mp4": "face too small",
    "truncated.mp4": "unreadable",
    "truncated_s1.mpg": None,
    "two_faces_s1_s4.mp4": "two faces",
    "two_faces_small_big.mp4": None,  # the small one is too small to be taken for the speaker
    "vfr_s1.mp4": None,
    "wrongsound_s1_pwij3p.mp4": None,
}


def test_every_tricky_clip_is_kept_or_skipped_at_the_right_gate(shared, tmp_path):
    """LIPGAN_THOROUGH=1 looks at every frame."""
    config = PreprocessConfig(fps=25 if os.environ.get("LIPGAN_THOROUGH") else 10)
    tricky = shared / "data" / "tricky"
    assert {p.name for p in tricky.iterdir()} == VERDICTS.keys()
    clips = [Utterance(name, tricky / name) for name in VERDICTS]
    manifest = preprocess(clips, tmp_path / "shards", config, workers=2)
    skipped = {s["id"]: s for s in manifest["skipped"]}
    assert {name: skipped[name]["gate"] if name in skipped else None for name in VERDICTS} == VERDICTS
    assert manifest["skipped_by"] == dict(Counter(gate for gate in VERDICTS.values() if gate))
    assert manifest["utterances"] == 19
    for name, entry in skipped.items():
        assert "\n" not in entry["reason"] and name not in entry["reason"]
    assert write_manifest(tmp_path / "shards") == manifest
