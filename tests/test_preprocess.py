"""Videos to shards: what is kept, what is skipped and why, and going on after an interruption."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open

from lipgan_colab import audio, media
from lipgan_colab.corpora import Utterance, folder
from lipgan_colab.errors import InputError
from lipgan_colab.preprocess import PreprocessConfig, preprocess
from lipgan_colab.shards import LipSyncDataset

TWO = PreprocessConfig(utterances_per_shard=2)


def test_shards_hold_what_was_filmed_and_said(drawn_videos, drawn_shards):
    clip = folder(drawn_videos)[0]
    with safe_open(drawn_shards / "shard-00000.safetensors", "np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    assert arrays["utterance_frames"].tolist() == [25] * 4
    assert arrays["found"].mean() > 0.9
    speech = media.read_speech(clip.path)
    assert np.array_equal(arrays["mfcc"][: arrays["mfcc_offsets"][1]].T, audio.mfcc(speech))
    assert np.array_equal(arrays["mel"][: arrays["mel_offsets"][1]].T, audio.mel(speech))
    lips = arrays["lip_landmarks"][arrays["found"]]
    assert lips.shape[1:] == (40, 2)
    assert 0.3 < lips[..., 0].mean() < 0.7
    assert 0.6 < lips[..., 1].mean() < 0.95
    sample = LipSyncDataset(drawn_shards, augment=False)[0]
    assert sample["target"].shape == (3, 96, 96)


def test_workers_and_interruption_change_no_byte(drawn_videos, tmp_path, monkeypatch):
    clips = folder(drawn_videos)
    preprocess(clips, tmp_path / "alone", TWO, workers=0)
    preprocess(clips, tmp_path / "several", TWO, workers=2)
    made = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "several").glob("shard-*")}
    (tmp_path / "several" / "shard-00001.safetensors").unlink()
    preprocess(clips, tmp_path / "several", TWO, workers=0)
    for name in ("shard-00000.safetensors", "shard-00001.safetensors", "manifest.json"):
        assert (tmp_path / "several" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    kept = tmp_path / "several" / "shard-00000.safetensors"
    assert kept.stat().st_mtime_ns == made[kept.name]  # not made again


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
    "empty.mp4": "empty",
    "face_leaves_swiz3n.mp4": None,
    "fps2997_pwij3p.mp4": None,
    "fps60_s4.mp4": None,
    "gray_lbax4n.mp4": None,
    "lowres_96x80_s1.mp4": None,
    "mjpeg_pcm_8k_pwij3p.avi": None,
    "nosound_s1.mp4": "no sound",
    "oddsize_361x287_s1.mp4": None,
    "oneframe_s1.mp4": "no sound",
    "phone_rot90_s1.mp4": None,
    "phone_rot180_swiz3n.mov": None,
    "roll25_s4.mp4": None,
    "silence_s1.mp4": "silent",
    "stereo48k_s1.webm": None,
    "tinyface_1280x720_pwij3p.mp4": None,
    "truncated.mp4": "cut off",
    "truncated_s1.mpg": None,
    "two_faces_s1_s4.mp4": None,
    "vfr_s1.mp4": None,
}


def test_every_tricky_clip_is_kept_or_skipped_for_the_right_reason(shared, tmp_path):
    clips = [Utterance(name, shared / "data" / "tricky" / name) for name in VERDICTS]
    manifest = preprocess(clips, tmp_path / "shards", workers=2)
    reasons = {s["id"]: s["reason"] for s in manifest["skipped"]}
    for name, expected in VERDICTS.items():
        if expected is None:
            assert name not in reasons, reasons[name]
        else:
            assert expected in reasons.get(name, "kept"), name
            assert "\n" not in reasons[name]
            assert "unexpected" not in reasons[name]
