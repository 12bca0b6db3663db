"""A film to clips: what becomes of its shots, and that each one's lips, sound and features belong together."""

import shutil
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_media import as_int16, mux

from lipgan_colab.corpora.corpus import Utterance, folder
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.video import read_video, resample_frames
from lipgan_colab.shards import film_clips
from lipgan_colab.shards.joining import join_shards
from lipgan_colab.shards.manifest import read_manifest
from lipgan_colab.shards.preprocess import PreprocessConfig, preprocess
from lipgan_colab.shards.shard_file import fingerprint_of, read_metadata, read_records, write_shard
from lipgan_colab.shards.shard_writer import keep
from lipgan_colab.shards.workers import Lost
from lipgan_colab.speech.features import mel, mfcc

FRAME = 640  # samples


def film_with_cuts(videos: Path, path: Path, quiet: bool = False) -> np.ndarray:
    """Four talks of three of the clips, and what lies between: (25) black (5) (20) slide (15) (8) (25 of another)."""
    first, second, _, other = (list(resample_frames(read_video(p), 25)) for p in sorted(videos.glob("*.mp4")))
    size = first[0].shape[1::-1]
    slide = cv2.resize(np.random.default_rng(3).integers(0, 256, (7, 9, 3), np.uint8), size)
    zoomed = [cv2.resize(f[20:-20, 20:-20], size) for f in second]
    frames = [*first, *[np.zeros_like(slide)] * 5, *second[:20], *[slide] * 15, *zoomed[:8], *other]
    speech = np.concatenate([read_speech(p) for p in sorted(videos.glob("*.mp4"))])
    speech = np.resize(speech, len(frames) * FRAME)
    if quiet:
        speech[30 * FRAME : 50 * FRAME] = 0
    mux(path, frames, np.arange(len(frames)) / 25, [(0.0, as_int16(speech))])
    return frames


@pytest.fixture(scope="module")
def cut_up(drawn_videos, tmp_path_factory):
    """A folder with a film that cuts, and one that does not; their shards; and the film's frames. Not to be changed."""
    videos, shards = (tmp_path_factory.mktemp(name) for name in ("cut_up", "of_cut_up"))
    frames = film_with_cuts(drawn_videos, videos / "film.mkv")
    shutil.copy(min(drawn_videos.glob("*.mp4")), videos / "whole.mp4")
    preprocess(folder(videos), shards, workers=0)
    return videos, shards, frames


def test_shots_are_clips_and_those_of_no_use_are_told(cut_up):
    _, shards, _ = cut_up
    metadata = read_metadata(shards / "shard-00000.safetensors")
    assert [u["id"] for u in metadata["utterances"]] == ["film.mkv#1", "film.mkv#2", "film.mkv#5", "whole.mp4"]
    assert [(s["id"], s["gate"]) for s in metadata["skipped"]] == [
        ("film.mkv#3", "face not seen"),
        ("film.mkv#4", "too short"),
    ]
    assert (
        metadata["skipped"][0]["reason"] == "a whole face is seen in only 0 of 15 frames; 50% are needed (2.0 to 2.6 s)"
    )
    manifest = read_manifest(shards)
    assert (manifest["utterances"], manifest["frames"], len(manifest["skipped"])) == (4, 25 + 20 + 25 + 25, 2)


def test_the_fingerprint_is_that_of_the_films(cut_up, tmp_path):
    videos, shards, _ = cut_up
    names = [{"id": u.id} for u in folder(videos)]
    assert read_manifest(shards)["fingerprint"] == fingerprint_of([{"utterances": names, "skipped": []}])


def test_every_clip_has_its_own_faces_sound_and_windows(cut_up):
    """Shot for shot: the picture is that of the frame, and the features those of its time, to the sample."""
    videos, shards, frames = cut_up
    speech = read_speech(videos / "film.mkv")
    starts = {"film.mkv#1": 0, "film.mkv#2": 30, "film.mkv#5": 73}
    cepstra = mfcc(speech)
    for record in read_records(shards / "shard-00000.safetensors")[:3]:
        start, count = starts[record.id], len(record.jpegs)
        own = speech[start * FRAME : (start + count) * FRAME]
        assert np.abs(record.voice / 32767 - own).max() < 1 / 32000
        columns = mfcc(own).shape[1]
        assert np.allclose(record.mfcc, cepstra[:, 4 * start :][:, :columns], atol=1e-3)  # also at its ends
        alone = mel(own)
        assert record.mel.shape == alone.shape
        assert np.allclose(record.mel[:, 3:-3], alone[:, 3:-3], atol=1e-3)
        if start:
            assert not np.allclose(record.mel[:, :2], alone[:, :2], atol=0.1)  # what is said before is heard
        x1, y1, x2, y2 = record.box[2].round().astype(int)
        seen = cv2.resize(frames[start + 2][y1:y2, x1:x2], (96, 96), interpolation=cv2.INTER_AREA)
        crop = cv2.cvtColor(cv2.imdecode(np.frombuffer(record.jpegs[2], np.uint8), 1), cv2.COLOR_BGR2RGB)
        assert np.abs(seen.astype(int) - crop).mean() < 10


def test_features_of_a_shot_are_those_of_the_whole_to_its_ends():
    speech = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    first, last = 10 * FRAME, 20 * FRAME  # whole columns of both
    cepstra, spectrum = film_clips._features(speech, first, last)
    assert cepstra.shape == mfcc(speech[first:last]).shape and spectrum.shape == mel(speech[first:last]).shape
    assert np.allclose(cepstra, mfcc(speech)[:, 40:][:, : cepstra.shape[1]], atol=1e-3)
    assert np.allclose(spectrum, mel(speech)[:, 32:][:, : spectrum.shape[1]], atol=1e-3)
    assert np.array_equal(film_clips._features(speech, 0, 16000)[1], mel(speech))


def test_a_shot_is_silent_by_itself(drawn_videos, tmp_path):
    film_with_cuts(drawn_videos, tmp_path / "film.mkv", quiet=True)
    manifest = preprocess(folder(tmp_path), tmp_path / "shards", workers=0)
    assert {s["id"]: s["gate"] for s in manifest["skipped"]}["film.mkv#2"] == "silent"
    assert manifest["utterances"] == 2


def test_one_shot_alone_can_be_asked_for(cut_up, tmp_path):
    videos, shards, _ = cut_up
    film = videos / "film.mkv"
    asked = [Utterance(f"film.mkv#{n}", film) for n in (2, 9)] + [Utterance("whole.mp4#1", videos / "whole.mp4")]
    manifest = preprocess(asked, tmp_path, workers=0)
    assert manifest["skipped"] == [{"id": "film.mkv#9", "gate": "no such shot", "reason": "the film has 5 of them"}]
    first, second = read_records(tmp_path / "shard-00000.safetensors")
    assert (first.id, second.id) == ("film.mkv#2", "whole.mp4#1")
    assert first.jpegs == read_records(shards / "shard-00000.safetensors")[1].jpegs
    assert preprocess(asked, tmp_path, workers=0) == manifest  # nothing is made again


def test_an_id_like_a_shot_s_may_be_a_film_s(drawn_videos, tmp_path):
    """Where the file is not called so."""
    clips = [replace(clip, id=f"take#{n}") for n, clip in enumerate(folder(drawn_videos)[:2], 2)]
    preprocess(clips, tmp_path, workers=0)
    assert [r.id for r in read_records(tmp_path / "shard-00000.safetensors")] == ["take#2", "take#3"]
    assert preprocess(clips, tmp_path, workers=0)["utterances"] == 2


def test_films_that_were_being_made_are_gone_on_with(cut_up, tmp_path, monkeypatch):
    """The first film is done and waits; the shard that comes of it is the same, byte for byte."""
    videos, shards, _ = cut_up
    films = folder(videos)
    monkeypatch.setattr(film_clips, "read_speech", lambda path: read_speech(path) if path == films[0].path else stop())

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preprocess(films, tmp_path, workers=0)
    monkeypatch.undo()
    waiting = [path for path in tmp_path.rglob("*.safetensors")]
    assert len(waiting) == 1
    monkeypatch.setattr(film_clips, "read_speech", lambda path: stop() if path == films[0].path else read_speech(path))
    preprocess(films, tmp_path, workers=0)
    name = "shard-00000.safetensors"
    assert (tmp_path / name).read_bytes() == (shards / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", name]


def test_a_shard_of_before_films_were_taken_apart_goes_on(cut_up, tmp_path):
    """What was skipped for its cut stays so, and nothing of it is read again."""
    videos, shards, _ = cut_up
    old = tmp_path / "shard-00000.safetensors"
    whole = read_records(shards / "shard-00000.safetensors")[3]
    settings = read_metadata(shards / "shard-00000.safetensors")["settings"]
    before = [Utterance("film.mkv", tmp_path / "gone"), Utterance("whole.mp4", tmp_path / "gone")]
    write_shard(old, [whole], [{"id": "film.mkv", "gate": "cut", "reason": "a cut at frame 25"}], settings)
    assert preprocess(before, tmp_path, workers=0)["skipped_by"] == {"cut": 1}
    more = [*before, Utterance("z.mkv", videos / "film.mkv")]
    manifest = preprocess(more, tmp_path, workers=0)
    assert [u["id"] for u in read_metadata(old)["utterances"]] == ["whole.mp4", "z.mkv#1", "z.mkv#2", "z.mkv#5"]
    assert Counter(manifest["skipped_by"]) == {"cut": 1, "face not seen": 1, "too short": 1}


def test_a_shot_that_goes_on_and_on_becomes_several(cut_up, drawn_videos, tmp_path, monkeypatch):
    videos, _, _ = cut_up
    monkeypatch.setattr(film_clips, "LONGEST", 0.5)  # seconds
    monkeypatch.setattr(film_clips, "KEPT_FRAMES", 500_000)  # and some of them are decoded again
    manifest = preprocess([Utterance("whole.mp4", videos / "whole.mp4")], tmp_path, workers=0)
    assert manifest["utterances"] == 2
    parts = read_records(tmp_path / "shard-00000.safetensors")
    assert [(part.id, len(part.jpegs)) for part in parts] == [("whole.mp4#1", 13), ("whole.mp4#2", 12)]
    assert sum(len(part.voice) for part in parts) == len(read_speech(videos / "whole.mp4"))


def test_joined_shards_are_as_if_written_at_once(cut_up, tmp_path):
    _, shards, _ = cut_up
    source = shards / "shard-00000.safetensors"
    records, metadata = read_records(source), read_metadata(source)
    for some in ([3, 0, 2], [1], []):
        write_shard(tmp_path / "written", [records[u] for u in some], metadata["skipped"], metadata["settings"])
        join_shards(tmp_path / "joined", [(source, u) for u in some], metadata["skipped"], metadata["settings"])
        assert (tmp_path / "joined").read_bytes() == (tmp_path / "written").read_bytes()


def test_what_goes_wrong_later_costs_no_shot_before(cut_up, tmp_path, monkeypatch):
    videos, _, _ = cut_up
    crop = film_clips.geometry.crop
    calls = iter(range(10**6))

    def failing(*args):
        if next(calls) >= 30:
            raise MemoryError("no more")
        return crop(*args)

    monkeypatch.setattr(film_clips.geometry, "crop", failing)
    manifest = preprocess([Utterance("film.mkv", videos / "film.mkv")], tmp_path, PreprocessConfig(), workers=0)
    assert manifest["utterances"] == 1
    assert manifest["skipped"] == [{"id": "film.mkv", "gate": "error", "reason": "unexpected MemoryError: no more"}]


def test_a_film_that_hangs_costs_no_shot_before(cut_up, tmp_path, monkeypatch):
    """The process that reads it is ended after two of its clips."""
    videos, shards, _ = cut_up
    made = read_records(shards / "shard-00000.safetensors")[:2]

    def of_a_process_that_is_ended(work, films, workers, open_tool, limit):
        def two():
            yield from made
            raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            keep(films[0][1], two(), work.keywords["settings"])
        yield 0, Lost.HANGS

    monkeypatch.setattr(sys.modules[preprocess.__module__], "as_done", of_a_process_that_is_ended)
    manifest = preprocess([Utterance("film.mkv", videos / "film.mkv")], tmp_path)
    assert (manifest["utterances"], manifest["frames"], manifest["skipped_by"]) == (2, 45, {"hangs": 1})
    assert [record.id for record in read_records(tmp_path / "shard-00000.safetensors")] == ["film.mkv#1", "film.mkv#2"]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_talk_with_black_and_a_slide_between_is_three_clips(shared, tmp_path):
    talk = shared / "data" / "reports" / "one_talk_with_cuts.mp4"
    manifest = preprocess([Utterance(talk.name, talk)], tmp_path, workers=0)
    records = read_records(tmp_path / "shard-00000.safetensors")
    assert [(r.id.partition("#")[2], len(r.jpegs)) for r in records] == [("1", 75), ("2", 75), ("4", 75)]
    assert [s["id"] for s in manifest["skipped"]] == [f"{talk.name}#3"]
    offsets = [int(np.argmax(record.sync)) - 15 for record in records]
    assert sorted(map(abs, offsets))[1] <= 2  # lips and sound of most of them
