"""What `generate` says: of what it was given, and when it is done."""

from fractions import Fraction
from pathlib import Path

import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.report import GenerateReport, TurnReport


def said(frames: int, report: dict | None = None, **turn) -> GenerateReport:
    """The report of one turn."""
    one = TurnReport("largest", Path("a.wav"), **turn)
    return GenerateReport(Path("a.mp4"), frames, turns=[one], **report or {})


@pytest.mark.parametrize(
    ("stretches", "told"),
    [
        ([(2, 2)], "1 frame without the face is left as it was (0.08-0.12 s)"),
        ([(2, 2), (50, 74)], "26 frames without the face are left as they were (0.08-0.12 s, 2-3 s)"),
    ],
)
def test_frames_that_were_left_alone_are_counted_and_found(stretches, told):
    assert told in str(GenerateReport(Path("a.mp4"), 75, Fraction(25), without_face=stretches))


def test_a_stretch_has_a_length_at_any_rate():
    told = str(GenerateReport(Path("a.mp4"), 75, Fraction(1000), without_face=[(3, 3)]))
    assert "(at 0 s)" in told


def test_one_frame_is_one():
    told = str(GenerateReport(Path("a.mp4"), 1, Fraction(25), turned_away=1))
    assert told.startswith("a.mp4: 1 frame, 0.04 s") and "in 1 frame the face" in told


def test_options_are_named_as_python_has_them():
    told = str(said(frames=9, spoken=0.0, report={"rested": True, "idle": ["pads", "reference_mouth"]}))
    for name in ("`pauses=off`", "`reference_mouth=own`", "`pads`, `reference_mouth`"):
        assert name in told


def test_a_sound_that_is_shorter_than_its_file_says_is_told():
    told = str(said(frames=38, there=1.52, stated=2.4))
    assert "the sound ends after 1.52 s of 2.40 s: the file may be cut off" in told
    assert "cut off" not in str(GenerateReport(Path("a.mp4"), 38))


def test_where_nobody_speaks_another_track_may_have_the_voice():
    report = said(frames=38, spoken=0.0, sound_track=1, sound_tracks=2)
    assert "no speech is heard, so the mouth rests (`sound_track` takes another track; with `pauses=off`" in str(report)
    report.turns[0].sound_tracks = 1
    assert "`sound_track`" not in str(report)


@pytest.mark.parametrize("name", ["n" * 300, "n" * 300 + "/a", "a\0b"])
def test_files_that_no_disk_can_have_are_named_in_a_line(name, shared, tmp_path):
    photo, speech = (shared / "data" / of for of in ("photos/obama_240p.jpg", "speech/very_short_0.1s.wav"))
    for given in ({"face": name}, {"speech": name}, {"weights": name}):
        asked = {"face": photo, "speech": speech, "weights": "starter", "out": tmp_path / "out.mp4"} | given
        with pytest.raises(InputError, match=r"n{300}|a b"):
            generate(**asked)
