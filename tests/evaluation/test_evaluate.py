"""Judging a generator from end to end; the measures themselves are tested in test_measures.py."""

import csv
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipgan_colab.corpora.corpus import Utterance
from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.evaluate import MEASURES, _another, _scores, evaluate
from lipgan_colab.evaluation.scores import VARIANTS
from lipgan_colab.evaluation.syncnet import SyncNet
from lipgan_colab.evaluation.true_clips import SHIFT, Clip, Judges, Speech, TrueClips
from lipgan_colab.faces.face_clip import FaceClip
from lipgan_colab.media.writing import write_video
from lipgan_colab.models.expert import fingerprint
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.weights import load_expert
from lipgan_colab.synthetic.clips import speech_like


class Copier(LipGANGenerator):
    """Answers with its reference face, whatever is said."""

    def forward(self, faces, speech):
        return faces[:, :3].repeat(len(speech) // len(faces), 1, 1, 1)


@pytest.fixture(scope="module")
def copied(drawn_videos, tmp_path_factory):
    """What is said of a generator that copies, on the drawn clips and one without a face."""
    videos = tmp_path_factory.mktemp("judged_videos")
    for path in sorted(drawn_videos.glob("*.mp4")):
        (videos / path.name).symlink_to(path)
    nobody = np.full((10, 128, 128, 3), 90, np.uint8)
    write_video(videos / "nobody.mp4", iter(nobody), 25, speech_like(np.full(10, 0.05), 25))
    return evaluate(videos, Copier(GeneratorConfig(0.25)).eval(), tmp_path_factory.mktemp("judged"))


def test_a_copied_face_scores_as_the_still_one_does(copied):
    assert len(copied.clips) == 4
    for clip in copied.clips:
        generated, another, still = (clip.scores[variant] for variant in ("generated", "another", "still"))
        for measure in ("psnr", "psnr_whole", "ssim", "ssim_lips", "sharpness", "chin"):
            assert generated[measure] == pytest.approx(still[measure], nan_ok=True)
            assert generated[measure] == pytest.approx(another[measure], nan_ok=True)
        assert generated["psnr"] < clip.scores["true"]["psnr"] == pytest.approx(100)
        assert clip.scores["true"]["correlation"] > 0.9
        assert generated["range"] < 0.2
        assert clip.scores["true"]["lmd_pixels"] < generated["lmd_pixels"]


def test_a_clip_without_a_face_is_skipped_and_told(copied):
    (skipped,) = copied.skipped
    assert skipped["id"] == "nobody.mp4" and "no face" in skipped["reason"]
    assert "skipped nobody.mp4" in str(copied)


def test_the_folder_holds_table_lines_and_pictures(copied):
    with (copied.folder / "clips.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["variant"] for line in lines] == list(VARIANTS) * 4
    assert float(lines[0]["psnr"]) == pytest.approx(copied.clips[0].scores["generated"]["psnr"], rel=1e-4)
    assert str(copied) in (copied.folder / "table.txt").read_text()
    picture = cv2.imread(str(copied.folder / "frames.png"))
    assert picture.shape[1] == 12 * 96 and picture.shape[0] > 4 * 192
    assert set(MEASURES) <= set((copied.folder / "table.txt").read_text().split())


def test_a_clip_is_known_without_its_suffix(drawn_videos, tmp_path, small_disk, capsys):
    (small_disk / "filler").write_bytes(bytes(1000 << 10))
    with pytest.raises(InputError, match=r"not written \(No space left"):
        evaluate(drawn_videos, Copier(GeneratorConfig(0.25)).eval(), small_disk / "judged", ids=["0_00"])
    told = capsys.readouterr().out
    assert "per clip: " in told  # the table is not lost with the disk
    # Of one clip alone there is no other speech: its own is not shown for it.
    assert "another: not measured; it takes the speech of a second clip" in told
    ((_, another, true),) = re.findall(r"^psnr +(\S+) +(\S+) +(\S+)", told, re.MULTILINE)[:1]
    assert another == "-" and float(true) == 100


def test_nobody_marks_his_own_work(drawn_videos, tmp_path, capsys):
    generator = Copier(GeneratorConfig(0.25)).eval()
    generator.about = {"sync_expert": [fingerprint(load_expert("expert"))]}
    judged = evaluate(drawn_videos, generator, tmp_path, ids=["0_00"])
    (clip,) = judged.clips
    assert np.isnan(clip.scores["generated"]["expert_d"]) and np.isfinite(clip.scores["generated"]["psnr"])
    assert "was trained to please this expert" in capsys.readouterr().out


def test_a_clip_that_is_not_there_is_named(drawn_videos, tmp_path):
    with pytest.raises(InputError, match=r"x\.mp4: not in "):
        evaluate(drawn_videos, Copier(GeneratorConfig(0.25)), tmp_path, ids=["x.mp4"])
    with pytest.raises(InputError, match=r"0_00\.mp4#2: a shot of a film"):
        evaluate(drawn_videos, Copier(GeneratorConfig(0.25)), tmp_path, ids=["0_00#2"])


def test_where_no_clip_can_be_judged_the_reason_is_told(tmp_path):
    write_video(tmp_path / "videos/grey.mp4", iter(np.full((5, 128, 128, 3), 90, np.uint8)), 25)
    with pytest.raises(InputError, match=r"no clip can be judged \(.*grey\.mp4"):
        evaluate(tmp_path / "videos", Copier(GeneratorConfig(0.25)).eval(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def speech(clip: str, speaker: str = "", samples: int = 2000) -> Speech:
    return Speech(Utterance(clip, Path(clip), speaker), np.zeros(samples, np.float32))


def test_another_speech_is_the_same_speakers_and_never_the_clips_own():
    of_s1, alone = [speech(f"a{n}", "s1") for n in range(4)], speech("b", "s2")
    said = [*of_s1[:3], alone, of_s1[3]]
    assert [_another(said, own).utterance.id for own in of_s1] == ["a2", "a3", "a0", "a1"]
    assert _another(said, alone) in of_s1
    two = [speech("x"), speech("y")]
    assert [_another(two, own) for own in two] == two[::-1]


def made_clip(greys: np.ndarray) -> FaceClip:
    """A clip whose frames are of these greys, with a face that never moves."""
    frames = np.broadcast_to(greys[:, None, None, None], (len(greys), 192, 192, 3)).astype(np.uint8)
    points = np.random.default_rng(0).uniform(10, 80, (478, 2)).astype(np.float32)
    return FaceClip(frames, np.repeat(points[None], len(greys), axis=0))


def scored(true: FaceClip, judges: Judges) -> dict[str, dict[str, float]]:
    """What is said of a generator whose answers are the truth."""
    clip = Clip(speech("a"), 0.0, true, true)
    return _scores(clip, true, true, TrueClips([clip.speech.utterance], true.size, judges, "here")).scores


def test_what_stands_beside_the_generated_clip_is_made_of_the_true_one():
    """Frame n is of one grey, n²: the error of every variant can be worked out by hand."""
    places = np.arange(15)
    greys = places**2
    true = made_clip(greys)
    scores = scored(true, Judges(None, None))
    shown = {
        "still": 0 * greys,
        "mean": np.full(15, round(greys.mean())),
        "late": greys[np.maximum(places - SHIFT, 0)],
        "early": greys[np.minimum(places + SHIFT, 14)],
    }
    for variant, seen in shown.items():
        error = np.mean((seen - greys) ** 2.0)
        assert scores[variant]["psnr_whole"] == pytest.approx(10 * np.log10(255**2 / error), abs=0.01), variant
    for variant in ("generated", "another", "true"):
        assert scores[variant]["psnr_whole"] == pytest.approx(100)


def test_of_a_very_short_clip_is_told_what_can_be():
    true = made_clip(np.array([10, 90, 40, 60]))
    scores = scored(true, Judges(None, SyncNet().eval()))
    assert scores["generated"]["psnr"] == pytest.approx(100)
    assert np.isnan([scores["generated"][name] for name in ("lse_d", "lse_c", "expert_d", "silence")]).all()
