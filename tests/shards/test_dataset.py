"""Shards: what is written comes back, and a sample depends on nothing but (seed, number)."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from lipgan_colab.errors import InputError
from lipgan_colab.shards.dataset import FAR_FRAMES, RUN, LipSyncDataset, batches, run_places
from lipgan_colab.shards.film_clips import _jpeg
from lipgan_colab.shards.inspection import contact_sheet, describe
from lipgan_colab.shards.manifest import damaged_shards, read_manifest, set_aside, write_manifest
from lipgan_colab.shards.shard_file import (
    Shard,
    UtteranceRecord,
    fingerprint_of,
    read_metadata,
    read_records,
    write_shard,
)
from lipgan_colab.speech.features import window_columns

SETTINGS = {"fps": 25, "size": 96}


def record(name: str, frames: int, level: int) -> UtteranceRecord:
    """A clip whose frame f is of one grey, `level` + 2 f, and whose MFCC column c is all c."""
    columns, mels = frames * 4, int(frames * 3.2)
    lips = np.tile(np.float32([[0.35, 0.75], [0.65, 0.75], [0.5, 0.85]]), (frames, 1, 1))
    return UtteranceRecord(
        id=name,
        speaker=name[0],
        licence="made for this test",
        jpegs=[_jpeg(np.full((96, 96, 3), level + 2 * f, np.uint8), 95) for f in range(frames)],
        found=np.arange(frames) != 3,
        box=np.zeros((frames, 4), np.float32),
        head_pose=np.zeros((frames, 3), np.float32),
        lip_landmarks=lips,
        mfcc=np.tile(np.arange(columns, dtype=np.float32), (12, 1)),
        mel=np.tile(np.arange(mels, dtype=np.float32), (80, 1)),
        mesh=(np.arange(frames * 260 * 3) % 2048 / 2048).reshape(frames, 260, 3).astype(np.float16),
        voice=np.linspace(-32767, 32767, frames * 640).astype(np.int16),
    )


@pytest.fixture
def folder(tmp_path):
    write_shard(tmp_path / "shard-00000.safetensors", [record("a1", 20, 0), record("b1", 30, 60)], [], SETTINGS)
    skipped = [{"id": "broken", "reason": "no sound"}]
    write_shard(tmp_path / "shard-00001.safetensors", [record("a2", 25, 140)], skipped, SETTINGS)
    return tmp_path


def frame_of(picture: torch.Tensor) -> tuple[int, int]:
    """Clip and frame that a grey picture of `record` shows."""
    grey = round(picture.float().mean().item())
    clip = 0 if grey < 50 else 1 if grey < 130 else 2
    return clip, (grey - (0, 60, 140)[clip]) // 2


def test_a_sample_is_a_frame_its_window_and_a_distant_frame_of_the_same_clip(folder):
    dataset = LipSyncDataset(folder, seed=1)
    assert len(dataset) == 20 + 30 + 25 - 3  # frames without a face are no targets
    clips = set()
    for number in range(60):
        sample = dataset[number]
        clip, frame = frame_of(sample["target"])
        clips.add(clip)
        other_clip, reference = frame_of(sample["reference"])
        assert clip == other_clip
        assert abs(frame - reference) >= FAR_FRAMES
        assert frame != 3
        columns = np.clip(window_columns(frame, 25, "mfcc"), 0, (20, 30, 25)[clip] * 4 - 1)
        assert sample["speech"].shape == (1, 12, 35)
        assert np.array_equal(sample["speech"][0, 0].numpy(), columns)
        assert sample["unsynced_speech"].shape == (1, 12, 35)
    assert clips == {0, 1, 2}


def test_samples_depend_on_seed_and_number_alone(folder):
    first, again, other = (LipSyncDataset(folder, seed=s) for s in (5, 5, 6))
    again[100]  # whatever was drawn before
    for number in (0, 7, 1_000_000):
        for name, value in first[number].items():
            assert torch.equal(value, again[number][name])
    assert any(not torch.equal(first[n]["target"], other[n]["target"]) for n in range(3))


def test_batches_are_the_same_for_any_number_of_workers_and_start_anywhere(folder):
    dataset = LipSyncDataset(folder, seed=2)
    alone = list(batches(dataset, 0, 6, 4, workers=0))
    shared_out = list(batches(dataset, 3, 6, 4, workers=2))
    assert len(shared_out) == 3
    for a, b in zip(alone[3:], shared_out, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(("balance", "share"), [(0, 29 / 72), (1, 1 / 2), (0.5, 29**0.5 / (29**0.5 + 43**0.5))])
def test_rare_speakers_are_drawn_more_often(folder, balance, share):
    """Speaker a has 43 frames with a face, b has 29."""
    dataset = LipSyncDataset(folder, balance=balance)
    drawn = np.mean([frame_of(dataset[n]["target"])[0] == 1 for n in range(1200)])
    assert drawn == pytest.approx(share, abs=0.04)


def test_a_run_is_consecutive_frames_that_share_all_but_what_is_said(folder):
    dataset = LipSyncDataset(folder, seed=4)
    for number in range(20):
        run = [dataset[number, k] for k in range(RUN)]
        (clip, first), *others = [frame_of(sample["target"]) for sample in run]
        assert others == [(clip, first + k) for k in range(1, RUN)] and first > 3  # the face of frame 3 is not known
        for sample in run:
            assert frame_of(sample["target"])[1] == int(sample["speech"][0, 0, 16]) // 4
            for name in ("reference", "reference_lips", "lots", "unsynced_speech"):
                assert torch.equal(sample[name], run[0][name]), name
        assert abs(frame_of(run[0]["reference"])[1] - first) >= FAR_FRAMES
        expected = np.clip(window_columns(first, 25, "wav2lip"), 0, 95)
        assert np.array_equal(run[0]["run_speech"][0, 0].numpy(), expected) or clip != 1
        assert "run_speech" not in run[1]


def test_a_clip_too_short_for_a_run_repeats_its_end(tmp_path):
    write_shard(tmp_path / "shard-00000.safetensors", [record("a1", 6, 140)], [], SETTINGS)
    dataset = LipSyncDataset(tmp_path)
    frames = {tuple(frame_of(dataset[n, k]["target"])[1] for k in range(RUN)) for n in range(12)}
    assert all(max(run) <= 5 and run == tuple(min(run[0] + k, 5) for k in range(RUN)) for run in frames)


def test_batches_have_their_runs_where_processes_share_them(folder):
    dataset = LipSyncDataset(folder, seed=2)
    (whole,) = batches(dataset, 3, 4, 20, runs=2)
    assert run_places(20, 2).tolist() == [[0, 1, 2, 3, 4], [10, 11, 12, 13, 14]]
    frames = [frame_of(picture) for picture in whole["target"]]
    for places in run_places(20, 2):
        clip, first = frames[places[0]]
        assert [frames[place] for place in places] == [(clip, first + k) for k in range(RUN)]
    assert whole["run_speech"].shape == (2, 1, 80, 16)
    (plain,) = batches(dataset, 3, 4, 20)
    assert all(torch.equal(plain["target"][place], whole["target"][place]) for place in (*range(5, 10), *range(15, 20)))
    slices = [next(iter(batches(dataset, 3, 4, 20, rank=rank, processes=2, runs=2))) for rank in range(2)]
    for name, value in whole.items():
        assert torch.equal(torch.cat([part[name] for part in slices]), value), name


def test_informative_references_hold_the_head_alike_and_the_mouth_otherwise(tmp_path):
    """Frames whose head is turned by 0 or 30 degrees, and whose mouth is closed or open, in all four ways."""
    clip, frames = record("a", 40, 0), np.arange(40)
    lips = np.tile(np.float32([[0.35, 0.75], [0.65, 0.75], [0.5, 0.78]]), (40, 1, 1))
    lips[frames % 2 == 1, 2, 1] = 0.95
    lips += (frames / 400)[:, None, None]  # heads that move on make no other mouth
    lips = lips.repeat(4, axis=1)
    pose = np.zeros((40, 3), np.float32)
    pose[frames % 4 >= 2, 0] = 30
    pose[:, 1] = frames / 100
    lips[7], pose[20] = np.nan, np.nan  # where nothing is known, nothing is chosen
    write_shard(tmp_path / "shard-00000.safetensors", [replace(clip, lip_landmarks=lips, head_pose=pose)], [], SETTINGS)
    alike = {}
    for references in ("any", "informative"):
        pairs = [LipSyncDataset(tmp_path, references=references)[n]["frames"].tolist() for n in range(60)]
        assert all(abs(reference - target) >= FAR_FRAMES for reference, target in pairs)
        pairs = [pair for pair in pairs if pair[1] not in (7, 20)]
        alike[references] = (
            np.mean([(r % 4 >= 2) == (t % 4 >= 2) for r, t in pairs]),
            np.mean([r % 2 != t % 2 for r, t in pairs]),
        )
    assert not {7, 20} & {reference for reference, _ in pairs}
    assert min(alike["informative"]) > 0.8 and max(alike["any"]) < 0.75
    assert len({tuple(pair) for pair in pairs}) > 40


def test_without_poses_or_lips_any_frame_is_informative(tmp_path):
    for number, change in enumerate(({"head_pose": np.nan}, {"lip_landmarks": np.nan})):
        clip = record("a", 30, 0)
        clip = replace(clip, **{name: np.full_like(getattr(clip, name), value) for name, value in change.items()})
        folder = tmp_path / str(number)
        folder.mkdir()
        write_shard(folder / "shard-00000.safetensors", [clip], [], SETTINGS)
        dataset = LipSyncDataset(folder, references="informative")
        assert len({dataset[n]["frames"][0].item() for n in range(60)}) > 15


def test_who_is_held_out_is_drawn_only_when_asked_for(folder):
    dataset = LipSyncDataset(folder, held_out="b")
    assert {frame_of(dataset[n]["target"])[0] for n in range(30)} == {0, 2}
    held = dataset.of_held_out()
    assert {frame_of(held[n]["target"])[0] for n in range(30)} == {1}
    assert len(dataset) == 20 + 25 - 2 and len(held) == 29
    others = LipSyncDataset(folder).of_held_out()
    assert {frame_of(others[n]["target"])[0] for n in range(30)} == {0, 1, 2}
    assert not torch.equal(others[0]["lots"], LipSyncDataset(folder)[0]["lots"])
    with pytest.raises(InputError, match="all of its clips are held out; hold out fewer"):
        LipSyncDataset(folder, held_out="a,b")


def test_every_frame_can_be_found_by_its_number(folder):
    dataset = LipSyncDataset(folder)
    frames = [shard.frame(place) for shard, place in dataset.all_frames()]
    assert dataset.frame_count == len(frames) == 75 and dataset.size == 96
    for number in range(20):
        sample = dataset[number]
        reference, target = sample["frames"].tolist()
        for name, place in (("reference", reference), ("target", target)):
            assert np.array_equal(frames[place].transpose(2, 0, 1), sample[name].numpy())


def test_mel_windows(folder):
    sample = LipSyncDataset(folder, seed=1, speech="mel")[0]
    assert sample["speech"].shape == (1, 80, 27)


def test_unsynced_speech_is_far_from_the_frame(tmp_path):
    """Of one clip, in which a window's column 16 tells its frame."""
    write_shard(tmp_path / "shard-00000.safetensors", [record("a1", 40, 140)], [], SETTINGS)
    dataset, others = LipSyncDataset(tmp_path), set()
    for number in range(80):
        sample = dataset[number]
        own, other = (int(sample[name][0, 0, 16]) // 4 for name in ("speech", "unsynced_speech"))
        assert own == frame_of(sample["target"])[1]
        assert abs(own - other) >= FAR_FRAMES
        others.add(other)
    assert len(others) > 20


def test_colours_are_in_their_order(tmp_path):
    clip = record("a1", 20, 0)
    orange = np.full((96, 96, 3), (220, 120, 20), np.uint8)
    write_shard(tmp_path / "shard-00000.safetensors", [replace(clip, jpegs=[_jpeg(orange, 95)] * 20)], [], SETTINGS)
    sample = LipSyncDataset(tmp_path)[0]
    for name in ("target", "reference"):
        assert sample[name].float().mean(dim=(1, 2)).tolist() == pytest.approx([220, 120, 20], abs=3)


def test_manifest_counts_and_names_what_was_skipped(folder):
    manifest = write_manifest(folder)
    assert (manifest["utterances"], manifest["frames"]) == (3, 75)
    assert manifest["skipped"] == [{"id": "broken", "reason": "no sound"}]
    assert [s["name"] for s in manifest["shards"]] == ["shard-00000.safetensors", "shard-00001.safetensors"]
    assert read_metadata(folder / "shard-00000.safetensors")["settings"] == SETTINGS


def test_a_cut_shard_is_named(folder):
    path = folder / "shard-00001.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"shard-00001\.safetensors: not a whole shard"):
        LipSyncDataset(folder)


def test_a_damaged_shard_is_left_out_where_that_is_allowed(folder):
    """Cut short, or bytes lost within it."""
    straight = LipSyncDataset(folder)
    path = folder / "shard-00001.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.warns(UserWarning, match=r"left out: .*shard-00001\.safetensors"):
        dataset = LipSyncDataset(folder, skip_damaged=True)
    assert {frame_of(dataset[n]["target"])[0] for n in range(20)} == {0, 1}
    assert len(dataset) == 48 < len(straight)
    with safe_open(folder / "shard-00000.safetensors", "np") as file:
        lost = file.get_tensor("jpeg").tobytes()
    first = folder / "shard-00000.safetensors"
    first.write_bytes(first.read_bytes().replace(lost, bytes(len(lost))))
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"shard-00000\.safetensors: its pictures cannot be decoded"):
        [LipSyncDataset(folder)[n] for n in range(20)]
    dataset = LipSyncDataset(folder, skip_damaged=True)
    with pytest.warns(UserWarning, match="shard-00000"):
        samples = [dataset[n] for n in range(20)]
    assert {frame_of(sample["target"])[0] for sample in samples} == {2}
    assert torch.equal(dataset[3]["target"], samples[3]["target"])  # still of (seed, number) alone
    path.unlink()
    with pytest.warns(UserWarning), pytest.raises(InputError, match="too much of it is damaged"):
        LipSyncDataset(folder, skip_damaged=True)[0]


def test_checksums_find_what_is_damaged_and_training_goes_on_without_it(folder):
    fingerprint = write_manifest(folder)["fingerprint"]
    assert damaged_shards(folder) == {}
    path = folder / "shard-00001.safetensors"
    body = bytearray(path.read_bytes())
    body[-50] ^= 1
    path.write_bytes(body)
    assert damaged_shards(folder) == {path.name: "has other bytes than it was written with"}
    set_aside(folder, damaged_shards(folder))
    dataset = LipSyncDataset(folder)
    assert {frame_of(dataset[n]["target"])[0] for n in range(20)} == {0, 1}
    assert dataset.fingerprint == fingerprint  # a run goes on
    assert damaged_shards(folder) == {path.name: "is missing"}


def test_older_shards_without_sync_are_read(folder):
    """As they were written before the sound was compared with the lips."""
    path = folder / "shard-00000.safetensors"
    with safe_open(path, "np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys() if name != "sync"}  # noqa: SIM118
        metadata = file.metadata()
    save_file(arrays, path, metadata)
    assert len(LipSyncDataset(folder)) == 72
    assert np.isnan(read_records(path)[0].sync).all()
    assert write_manifest(folder)["sync"]["all"]["clips"] == 0
    assert "3 clips" in describe(folder)


def as_of_format_2(arrays, metadata):
    """As it was before mesh and voice were kept."""
    for name in ("mesh", "voice", "voice_offsets"):
        del arrays[name]
    del metadata["mesh_points"]
    metadata["format"] = 2


def of_other_points(arrays, metadata):
    metadata["mesh_points"][0] += 1


def test_mesh_and_voice_come_back(folder):
    shard, clips = Shard.open(folder / "shard-00000.safetensors"), [record("a1", 20, 0), record("b1", 30, 60)]
    assert shard.has_mesh
    assert shard.mesh(18, 23).dtype == shard.voice(0).dtype == np.float32
    assert np.array_equal(shard.mesh(18, 23), np.concatenate([clips[0].mesh[18:], clips[1].mesh[:3]]))
    for number, clip in enumerate(clips):
        assert np.allclose(shard.voice(number) * 32767, clip.voice, atol=0.01)
        assert np.abs(shard.voice(number)).max() == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [(as_of_format_2, "was made before mesh and voice were kept"), (of_other_points, "has a mesh of other")],
)
def test_shards_without_the_mesh_are_read_as_before_and_say_what_they_lack(folder, change, why):
    """One of two is of an older release."""
    old = folder / "shard-00000.safetensors"
    before = LipSyncDataset(folder)
    wanted = [before[n] for n in range(8)]
    rewritten(old, change)
    after = LipSyncDataset(folder)
    for n, sample in enumerate(wanted):
        assert all(torch.equal(value, after[n][name]) for name, value in sample.items())
    shard = Shard.open(old)
    assert [s.has_mesh for s in after.shards] == [False, True] and not shard.has_mesh
    for ask in (shard.check_mesh, lambda: shard.mesh(0, 3), lambda: shard.voice(0)):
        with pytest.raises(
            InputError, match=rf"shard-00000\.safetensors: {why}.*; preprocess makes it anew in another"
        ):
            ask()
    first, *_ = read_records(old)
    assert first.mesh is None and first.voice is None and len(first.jpegs) == 20
    assert "mesh and voice: not in 1 of 2 shards" in describe(folder)
    assert write_manifest(folder)["utterances"] == 3


@pytest.mark.parametrize("change", [lambda a, m: None, as_of_format_2])
def test_a_shard_of_skipped_clips_lacks_nothing(tmp_path, change):
    path = tmp_path / "shard-00000.safetensors"
    write_shard(path, [], [{"id": "broken", "reason": "no sound"}], SETTINGS)
    rewritten(path, change)
    Shard.open(path).check_mesh()
    assert read_records(path) == []
    assert "mesh and voice: in all shards" in describe(tmp_path)


def test_numbers_that_only_damage_makes_stay_near_the_crop(folder):
    path = folder / "shard-00000.safetensors"
    rewritten(path, lambda a, m: a["mesh"].__setitem__(0, np.inf) or a["voice"].__setitem__(0, -32768))
    shard = Shard.open(path)
    assert (shard.mesh(0, 1) == 2).all() and shard.voice(0)[0] == -1


def test_records_come_back_as_they_went_in(folder):
    before, after = record("b1", 30, 60), read_records(folder / "shard-00000.safetensors")[1]
    for name in vars(before):
        assert np.array_equal(getattr(before, name), getattr(after, name), equal_nan=name == "sync"), name


def test_numbers_and_faces_for_a_person(folder, tmp_path):
    text = describe(folder)
    for part in (
        "2 shards",
        "3 clips, 75 frames, 3 seconds of video, 1 skipped",
        "licences: made for this test",
        "skipped 1: other",
    ):
        assert part in text
    assert fingerprint_of([read_metadata(p) for p in sorted(folder.glob("shard-*"))]) in text
    contact_sheet(folder, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (3 * 96, 96)  # nothing white beside three faces
        faces = np.asarray(sheet).reshape(96, 3, 96, 3)
    assert [abs(faces[:, n].mean() - level) < 3 for n, level in enumerate((20, 90, 164))] == [True] * 3


def test_a_folder_without_shards_or_faces_says_so(tmp_path):
    with pytest.raises(InputError, match="holds no shard"):
        LipSyncDataset(tmp_path)
    write_shard(tmp_path / "shard-00000.safetensors", [], [], SETTINGS)
    with pytest.raises(InputError, match="no frame with a face"):
        LipSyncDataset(tmp_path)


def rewritten(path, change) -> None:
    """A shard with other arrays, or other metadata: `change` is given both."""
    with safe_open(path, "np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = json.loads(file.metadata()["shard"])
    text = change(arrays, metadata)
    save_file(arrays, path, {"shard": text or json.dumps(metadata)})


CRAFTED = {
    "offsets that go back": lambda a, m: a["jpeg_offsets"].__setitem__(3, -5),
    "offsets past the end": lambda a, m: a["mfcc_offsets"].__setitem__(-1, 2**40),
    "more frames than there are": lambda a, m: a["utterance_frames"].__setitem__(0, 2**62),
    "a clip without a frame": lambda a, m: a["utterance_frames"].__setitem__(slice(None), (0, 50)),
    "floats for offsets": lambda a, m: a.update(jpeg_offsets=a["jpeg_offsets"].astype(np.float64)),
    "boxes of another shape": lambda a, m: a.update(box=a["box"][:, :3].copy()),
    "no mel": lambda a, m: a.pop("mel") is None,
    "too few clips in the metadata": lambda a, m: m["utterances"].pop() is None,
    "a mesh of fewer points than there are numbers": lambda a, m: a.update(mesh=a["mesh"][:, 1:].copy()),
    "no voice": lambda a, m: a.pop("voice") is None,
    "voice that goes on past its end": lambda a, m: a["voice_offsets"].__setitem__(-1, 2**40),
    "numbers of points that are none": lambda a, m: m.update(mesh_points="abc"),
    "a number for an id": lambda a, m: m["utterances"][0].update(id=5),
    "an id that no file can have": lambda a, m: m["utterances"][0].update(id="\ud800"),
    "clips without a licence": lambda a, m: m["utterances"][0].pop("licence") is None,
    "a text for skipped clips": lambda a, m: m.update(skipped="abc"),
    "no frame rate": lambda a, m: m["settings"].pop("fps") and None,
    "endless frames a second": lambda a, m: m["settings"].update(fps=float("inf")),
    "settings that are a list": lambda a, m: m.update(settings=[]),
    "lists within lists": lambda a, m: "[" * 100_000 + "]" * 100_000,
    "no object": lambda a, m: "[]",
}


@pytest.mark.parametrize("change", CRAFTED)
def test_shards_that_do_not_fit_together_are_a_line(folder, tmp_path, change):
    path = folder / "shard-00000.safetensors"
    rewritten(path, CRAFTED[change])
    for read in (
        lambda: LipSyncDataset(folder),
        lambda: read_records(path),
        lambda: read_metadata(path),
        lambda: describe(folder),
        lambda: write_manifest(folder),
        lambda: contact_sheet(folder, tmp_path / "sheet.png"),
    ):
        with pytest.raises(
            InputError, match=r"shard-00000\.safetensors: not a whole shard \(.*\); preprocess"
        ) as caught:
            read()
        assert "\n" not in str(caught.value)
    with pytest.warns(UserWarning, match="left out"):
        assert len(LipSyncDataset(folder, skip_damaged=True)) == 24


@pytest.mark.parametrize("size", [(4000, 4000), (96, 95)])
def test_pictures_of_another_size_are_not_decoded(folder, size):
    """A JPEG of a few kilobytes can be of gigabytes."""
    encoded = np.frombuffer(_jpeg(np.zeros((*size, 3), np.uint8), 95), np.uint8)

    def change(arrays, metadata):
        frames = len(arrays["found"])
        arrays["jpeg"] = np.tile(encoded, frames)
        arrays["jpeg_offsets"] = np.arange(frames + 1) * len(encoded)

    for path in folder.glob("*.safetensors"):
        rewritten(path, change)
    with pytest.raises(InputError, match="its pictures cannot be decoded"):
        LipSyncDataset(folder)[0]


def test_lips_far_outside_of_the_crop_stay_near_it(folder):
    """Only damage puts them there."""
    for path in folder.glob("*.safetensors"):
        rewritten(path, lambda a, m: a["lip_landmarks"].__setitem__(slice(None), [[0.4, -1e7], [0.6, 1e7], [1e7, 1]]))
    assert LipSyncDataset(folder)[0]["lips"].tolist() == [[pytest.approx(0.4), -1], [pytest.approx(0.6), 2], [2, 1]]


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["shards"][0].update(name="../shard-00000.safetensors"),
        lambda m: m["shards"][0].update(bytes="many"),
        lambda m: m["shards"][0].pop("sha256"),
        lambda m: m.update(shards={"a": 1}),
        lambda m: m.update(fingerprint=5),
        lambda m: m.update(sync=[1]),
        lambda m: m["sync"]["all"].update(clips="ten"),
        lambda m: m.pop("shards"),
    ],
)
def test_a_manifest_of_anything_else_is_none(folder, change):
    write_manifest(folder)
    good = (folder / "manifest.json").read_text()
    manifest = json.loads(good)
    change(manifest)
    for text in (json.dumps(manifest), "[1]", "[" * 100_000, '{"a": \udcff', "\ufeff{}"):
        (folder / "manifest.json").write_text(text, encoding="utf-8", errors="surrogateescape")
        assert read_manifest(folder) == {}
        assert len(LipSyncDataset(folder).fingerprint) == len(json.loads(good)["fingerprint"])
        with pytest.raises(InputError, match=r"no manifest\.json to check the shards by"):
            damaged_shards(folder)
        write_manifest(folder)
        assert (folder / "manifest.json").read_text() == good
