"""The command line: it does what it says, and errors are one line."""

import subprocess
import sys
import wave

import pytest

from lipgan_colab.cli.verbs import main
from lipgan_colab.media.video import probe_video
from lipgan_colab.models.pretrained import ASSETS


def test_preprocess_train_generate_one_after_the_other(drawn_videos, tmp_path, capsys):
    shards, run, out = tmp_path / "shards", tmp_path / "run", tmp_path / "out.mp4"
    left_out = tmp_path / "left_out.txt"
    face = min(drawn_videos.glob("*.mp4"))
    left_out.write_text(face.name)
    arguments = ["--videos", str(drawn_videos), "--out", str(shards), "--workers", "0"]
    assert main(["preprocess", *arguments, "--leave-out", str(left_out)]) == 0
    assert "3 clips, 75 frames" in capsys.readouterr().out
    small = ["--steps", "2", "--batch-size", "2", "--width", "0.25"]
    assert main(["train", "--shards", str(shards), "--run", str(run), *small]) == 0
    assert main(["status", "--run", str(run)]) == 0
    assert "resume   yes: the same train command goes on from step 2" in capsys.readouterr().out
    assert main(["generate", "--face", str(face), "--speech", str(face), "--weights", str(run), "--out", str(out)]) == 0
    assert "out.mp4: 25 frames, 1.00 s" in capsys.readouterr().out
    assert probe_video(out).has_sound


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "--face", "no.jpg", "--speech", "no.wav", "--weights", "no", "--out", "o.mp4"],
        ["preprocess", "--videos", "missing", "--out", "shards"],
        ["train", "--shards", "missing", "--run", "run"],
        ["evaluate", "--videos", "missing", "--weights", "missing", "--out", "out"],
        ["evaluate", "--videos", ".", "--only", "missing", "--out", "out"],
    ],
)
def test_what_is_wrong_is_one_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")


def test_importing_the_package_imports_no_heavy_library():
    script = (
        "import sys, lipgan_colab.faces.detector, lipgan_colab.speech.features; "
        "print(sorted({'mediapipe', 'torch', 'IPython', 'ipywidgets'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_photograph_speaks(shared, tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "talking.mp4").resolve().as_uri() in capsys.readouterr().out
    with wave.open(str(ASSETS / "sample.wav")) as spoken:
        seconds = spoken.getnframes() / spoken.getframerate()
    info = probe_video(tmp_path / "talking.mp4")
    assert info.has_sound
    assert info.duration == pytest.approx(seconds, abs=0.04)


def test_a_drawn_person_is_learnt_and_speaks(tmp_path, capsys):
    assert main(["demo", "--train", "--out", str(tmp_path), "--steps", "3"]) == 0
    assert "talking.mp4" in capsys.readouterr().out
    info = probe_video(tmp_path / "talking.mp4")
    assert info.has_sound
    assert info.duration == pytest.approx(4, abs=0.08)


def test_weights_are_listed_and_converted(golden_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LIPGAN_WEIGHTS", str(tmp_path))
    (tmp_path / "wav2lip.pth").write_bytes(b"")
    assert main(["weights"]) == 0
    listed = capsys.readouterr().out
    assert {"lipgan", "lipgan-mel", "wav2lip", "wav2lip-gan", "syncnet"} <= {
        line.split()[0] for line in listed.splitlines()
    }
    assert listed.count(" here ") == 1
    assert listed.count("non-commercial") >= 5
    ours = tmp_path / "ours.safetensors"
    assert main(["weights", "convert", str(golden_file("cs766_disc")), str(ours)]) == 0
    assert "LipGAN discriminator (mel)" in capsys.readouterr().out
    assert main(["weights", "convert", str(ours), str(tmp_path / "theirs.h5")]) == 1
    assert "only .safetensors files are written" in capsys.readouterr().err


def test_a_warning_is_one_line_without_our_code(tmp_path, capsys):
    (tmp_path / "config.json").write_text("{")
    main(["status", "--run", str(tmp_path)])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"warning: {tmp_path / 'config.json'}: cannot be read")
    assert not [line for line in lines if "warnings.warn" in line or ".py:" in line]
