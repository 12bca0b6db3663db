"""Videos to shards: what is kept, what is skipped and why, and going on after an interruption."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from lipgan_colab.corpora.corpus import Utterance, folder
from lipgan_colab.corpora.subset import subset
from lipgan_colab.errors import InputError
from lipgan_colab.faces import geometry
from lipgan_colab.faces.face import INNER_LIPS, LIPS
from lipgan_colab.faces.mesh import kept_points
from lipgan_colab.files import machine
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.video import read_video, resample_frames
from lipgan_colab.shards import film_clips
from lipgan_colab.shards.dataset import LipSyncDataset
from lipgan_colab.shards.gates import Gates
from lipgan_colab.shards.manifest import read_manifest, write_manifest
from lipgan_colab.shards.preprocess import PreprocessConfig, preprocess
from lipgan_colab.shards.shard_file import Shard, UtteranceRecord, read_metadata, read_records
from lipgan_colab.shards.shard_writer import ShardWriter, keep
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
    sample = LipSyncDataset(drawn_shards)[0]
    assert sample["target"].shape == (3, 96, 96)


def check_motion(clip: Utterance, record: UtteranceRecord, sound_offset: int = 0) -> None:
    """The mesh is that of the lips, in 3D, and the voice what was said."""
    points = kept_points().tolist()
    assert record.mesh.shape == (len(record.jpegs), len(points), 3)
    lips = record.mesh[:, [points.index(point) for point in LIPS + INNER_LIPS]]
    assert np.abs(lips[..., :2] - record.lip_landmarks).max() < 1 / 500
    lip, temples = (record.mesh[:, [points.index(p) for p in of], 2].mean(dtype=float) for of in ([0], [127, 356]))
    assert 0.1 < temples - lip < 1.5  # the nose is nearer, by a part of the face's width
    speech = read_speech(clip.path)[sound_offset * 640 :]
    assert record.voice.dtype == np.int16 and len(record.voice) == len(speech)
    assert np.abs(record.voice / 32767 - speech).max() < 1 / 32000


def test_mesh_and_voice_are_those_of_the_clip(drawn_videos, twos):
    clips = folder(drawn_videos)
    for clip, record in zip(clips, read_records(twos / "shard-00000.safetensors"), strict=False):
        check_motion(clip, record)


def test_mesh_and_voice_of_a_real_clip(shared, tmp_path):
    clip = Utterance("clip", min((shared / "data" / "grid" / "others").iterdir()))
    preprocess([clip], tmp_path, replace(TWO, sound_offset=5), workers=0)
    (record,) = read_records(tmp_path / "shard-00000.safetensors")
    check_motion(clip, record, sound_offset=5)
    shard = Shard.open(tmp_path / "shard-00000.safetensors")
    assert np.allclose(mel(shard.voice(0))[:, :100], record.mel[:, :100], atol=0.2)


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
    part = f".shard-00000.safetensors.{machine()}-{process.pid}-00000000.part"
    (out / part).touch()  # as if it had been writing the shard
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


@dataclass(frozen=True)
class Hanging(Deadly):
    """A path that never opens in another process."""

    def __fspath__(self) -> str:
        if os.getpid() != self.parent_pid:
            time.sleep(3600)
        return "hanging.mp4"


def test_a_clip_that_hangs_is_skipped(drawn_videos, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[preprocess.__module__], "LIMIT_PER_MB", 1e4)  # the whole clips may take long
    clips = folder(drawn_videos)[:2]
    clips.insert(1, Utterance("hanging", Hanging(os.getpid())))
    manifest = preprocess(clips, tmp_path, TWO, workers=2, timeout=4)
    assert manifest["utterances"] == 2
    assert [(clip["id"], clip["gate"]) for clip in manifest["skipped"]] == [("hanging", "hangs")]
    assert "longer than 4 s" in manifest["skipped"][0]["reason"]
    again = preprocess(clips, tmp_path, TWO, workers=2, timeout=4)
    assert again == manifest


def test_a_pipe_in_place_of_a_video_is_skipped(drawn_videos, tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    clips = [Utterance("pipe", tmp_path / "pipe.mp4"), folder(drawn_videos)[0]]
    manifest = preprocess(clips, tmp_path / "shards", TWO, workers=0)
    assert [clip["id"] for clip in manifest["skipped"]] == ["pipe"]


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
    monkeypatch.setattr(film_clips, "KEPT_FRAMES", 1_000_000)
    preprocess(folder(drawn_videos), tmp_path, TWO, workers=0)
    assert content(tmp_path) == content(twos)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("size", 64), ("jpeg_quality", 0), ("fps", 0), ("fps", -25), ("utterances_per_shard", 0)],
        *[("sound_offset", 10**6), ("min_frames", 0), ("min_found", float("nan")), ("max_yaw", -5.0)],
    ],
)
def test_settings_that_cannot_be(name, value):
    with pytest.raises(InputError, match=rf"^{name} {value}: it must be "):
        (PreprocessConfig if name in {f.name for f in fields(PreprocessConfig)} else Gates)(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("workers", -2), ("timeout", 0), ("timeout", float("nan"))])
def test_arguments_that_cannot_be(drawn_videos, tmp_path, name, value):
    with pytest.raises(InputError, match=rf"^{name} {value}: it must be "):
        preprocess(folder(drawn_videos), tmp_path / "shards", TWO, **{name: value})
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_hold_shards_is_one_line(drawn_videos, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "shards"):
        for places in ({"out": out}, {"out": tmp_path / "shards", "scratch": out}):
            with pytest.raises(InputError, match=r"file.*: not written \(") as told:
                preprocess(folder(drawn_videos), config=TWO, workers=0, **places)
            assert "\n" not in str(told.value)


def test_a_full_disk_is_one_line_and_keeps_what_is_done(drawn_videos, small_disk):
    with (small_disk / "rest").open("wb") as rest:
        rest.write(bytes(800_000))
    with pytest.raises(InputError, match=r"No space left on device.*what is done is kept") as told:
        preprocess(folder(drawn_videos)[:2], small_disk / "shards", workers=1)
    assert "\n" not in str(told.value)
    (small_disk / "rest").unlink()
    assert preprocess(folder(drawn_videos)[:2], small_disk / "shards", workers=0)["utterances"] == 2


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
    with pytest.raises(InputError, match=r"none of the 1 clip could be used \(empty\.mp4: "):
        preprocess([Utterance("empty.mp4", tmp_path / "empty.mp4")], tmp_path / "shards", workers=0)


def test_shards_of_other_clips_or_settings_are_not_mixed(drawn_videos, drawn_shards, tmp_path):
    shutil.copytree(drawn_shards, tmp_path / "shards")
    clips = folder(drawn_videos)
    with pytest.raises(InputError, match=r"made in another way \(jpeg_quality: 95 there, 50 here\)"):
        preprocess(clips, tmp_path / "shards", replace(PreprocessConfig(), jpeg_quality=50), workers=0)
    with pytest.raises(InputError, match=r"\(gates.max_yaw: 45.0 there, 30.0 here\)"):
        preprocess(clips, tmp_path / "shards", PreprocessConfig(gates=Gates(max_yaw=30.0)), workers=0)
    with pytest.raises(InputError, match="made of other clips"):
        preprocess(clips[:3], tmp_path / "shards", workers=0)


def rewritten(path: Path, change) -> None:
    """Change a shard's metadata and arrays, as another release would have written them."""
    with safe_open(path, "np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        metadata = json.loads(file.metadata()["shard"])
    change(metadata, arrays)
    save_file(arrays, path, {"shard": json.dumps(metadata)})


def without_mesh(metadata, arrays):
    """As of format 2."""
    del metadata["mesh_points"], arrays["mesh"], arrays["voice"], arrays["voice_offsets"]


def as_of_before(metadata, arrays):
    del metadata["format"], metadata["settings"]["finder"]
    without_mesh(metadata, arrays)


def as_of_dlib(metadata, arrays):
    as_of_before(metadata, arrays)
    arrays["lip_landmarks"][:] = np.nan


def partly_of_dlib(metadata, arrays):
    as_of_before(metadata, arrays)
    arrays["lip_landmarks"][:25] = np.nan


def of_later(metadata, arrays):
    metadata["format"] = 99


def test_shards_say_what_made_them(drawn_shards):
    metadata = read_metadata(drawn_shards / "shard-00000.safetensors")
    assert metadata["format"] == 3
    assert metadata["settings"]["finder"] == "mediapipe face_landmarker 64184e22"
    assert read_manifest(drawn_shards)["settings"] == metadata["settings"]


def test_shards_of_before_are_taken_for_what_they_were(drawn_videos, twos, tmp_path):
    """None of their clips is read again, and they go together with new ones."""
    shutil.copytree(twos, tmp_path / "shards")
    old = tmp_path / "shards" / "shard-00000.safetensors"
    rewritten(old, as_of_before)
    before, clips = old.read_bytes(), folder(drawn_videos)
    done = [*(replace(clip, path=tmp_path / "gone") for clip in clips[:2]), *clips[2:]]
    (tmp_path / "shards" / "shard-00001.safetensors").unlink()
    preprocess(done, tmp_path / "shards", TWO, workers=0)
    assert old.read_bytes() == before
    assert (tmp_path / "shards" / "shard-00001.safetensors").read_bytes() == (
        twos / "shard-00001.safetensors"
    ).read_bytes()


def test_shards_of_before_the_mesh_are_continued(drawn_videos, twos, tmp_path):
    """Nothing of them is read again, and a shard that has only some clips' mesh has none."""
    clips = folder(drawn_videos)
    preprocess(clips[:3], tmp_path, TWO, workers=0)
    for path in tmp_path.glob("*.safetensors"):
        rewritten(path, without_mesh)
    whole = (tmp_path / "shard-00000.safetensors").read_bytes()
    done = [replace(clip, path=tmp_path / "gone") for clip in clips[:3]]
    assert preprocess([*done, clips[3]], tmp_path, TWO, workers=0)["utterances"] == 4
    assert (tmp_path / "shard-00000.safetensors").read_bytes() == whole
    continued = Shard.open(tmp_path / "shard-00001.safetensors")
    assert len(continued.metadata["utterances"]) == 2
    with pytest.raises(InputError, match=r"shard-00001\.safetensors: was made before mesh and voice were kept"):
        continued.check_mesh()
    assert len(LipSyncDataset(tmp_path)) == len(LipSyncDataset(twos))


def test_clips_that_wait_since_before_the_mesh_are_done_again(drawn_videos, twos, tmp_path):
    old, new = read_records(twos / "shard-00000.safetensors")
    metadata = read_metadata(twos / "shard-00000.safetensors")
    clips, out = folder(drawn_videos), tmp_path / "shards"
    waiting = ShardWriter(out / "shard-00000.safetensors", clips[:2], metadata["settings"])
    waiting.folder.mkdir(parents=True)
    keep(waiting.file(0), [replace(old, mesh=None, voice=None)], waiting.settings)
    keep(waiting.file(1), [new], waiting.settings)
    assert waiting.lacking() == [0]
    preprocess(clips, out, TWO, workers=0)
    assert content(out) == content(twos)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (as_of_dlib, "finder: dlib there, mediapipe face_landmarker 64184e22 here"),
        (partly_of_dlib, "finder: MediaPipe and dlib there, mediapipe face_landmarker 64184e22 here"),
        (of_later, "format 99, 3 is known here; update lipgan_colab"),
    ],
)
def test_shards_made_otherwise_are_refused_by_each_machine(drawn_videos, twos, tmp_path, change, line):
    """The one that made them is another one."""
    (tmp_path / "shard-00001.safetensors").write_bytes((twos / "shard-00001.safetensors").read_bytes())
    rewritten(tmp_path / "shard-00001.safetensors", change)
    with pytest.raises(InputError, match=rf"shard-00001\.safetensors: .*{line}"):
        preprocess(folder(drawn_videos), tmp_path, TWO, workers=0, rank=0, world_size=2)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["shard-00001.safetensors"]


@dataclass(frozen=True)
class Meanwhile:
    """A path of a clip; as it is read, another machine puts its shard beside."""

    path: Path
    shard: Path
    at: Path

    def __fspath__(self) -> str:
        if not self.at.exists():
            shutil.copyfile(self.shard, self.at)
        return str(self.path)


def test_machines_that_began_together_do_not_mix_their_shards(drawn_videos, twos, tmp_path):
    other = tmp_path / "other.safetensors"
    shutil.copyfile(twos / "shard-00001.safetensors", other)
    rewritten(other, as_of_dlib)
    clips, out = folder(drawn_videos), tmp_path / "shards"
    clips[0] = replace(clips[0], path=Meanwhile(clips[0].path, other, out / "shard-00001.safetensors"))
    with pytest.raises(InputError, match="finder: dlib there"):
        preprocess(clips, out, TWO, workers=0, rank=0, world_size=2)
    assert [path.name for path in out.glob("*.safetensors")] == ["shard-00001.safetensors"]


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


def test_a_clip_whose_name_is_no_text_is_kept(drawn_videos, tmp_path):
    """Names come off disks that are not UTF-8."""
    videos = tmp_path / "videos"
    videos.mkdir()
    name = b"\xc4\xe3.mp4"
    try:
        shutil.copy(min(drawn_videos.glob("*.mp4")), os.fsencode(videos) + b"/" + name)
    except OSError:
        pytest.skip("this disk takes no such name")
    manifest = preprocess(folder(videos), tmp_path / "shards", TWO, workers=0)
    assert (manifest["utterances"], manifest["skipped"]) == (1, [])
    (record,) = read_records(tmp_path / "shards" / "shard-00000.safetensors")
    assert os.fsencode(record.id) == name
