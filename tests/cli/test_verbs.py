"""The command line: it does what it says, and errors are one line."""

import errno
import os
import subprocess
import sys
import wave

import pytest

from lipgan_colab.cli.verbs import VERBS, main
from lipgan_colab.media.video import probe_video
from lipgan_colab.models.motion import MotionConfig
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.pretrained import ASSETS, EXPORT
from lipgan_colab.models.weights import save_network

FILES = ("--face", "face.jpg", "--speech", "speech.wav", "--out", "out.mp4")


def test_preprocess_train_generate_one_after_the_other(drawn_videos, tmp_path, capsys):
    shards, run, out = tmp_path / "shards", tmp_path / "run", tmp_path / "out.mp4"
    left_out = tmp_path / "left_out.txt"
    face = min(drawn_videos.glob("*.mp4"))
    left_out.write_text(face.name)
    arguments = ["--videos", str(drawn_videos), "--out", str(shards), "--workers", "0"]
    arguments += ["--utterances", "3"]  # of those that are not left out
    assert main(["preprocess", *arguments, "--leave-out", str(left_out)]) == 0
    assert "3 clips, 75 frames" in capsys.readouterr().out
    small = ["--steps", "2", "--batch-size", "2", "--width", "0.25"]
    assert main(["train", "--shards", str(shards), "--run", str(run), *small]) == 0
    assert main(["status", "--run", str(run)]) == 0
    assert "resume   done, at step 2 of 2" in capsys.readouterr().out
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
    others = [tmp_path / name for name in ("photo.png", "talking.mp4")]  # of the demo without --train
    for path in others:
        path.write_bytes(b"mine")
    assert main(["demo", "--train", "--out", str(tmp_path), "--steps", "3"]) == 0
    assert "drawn_talking.mp4" in capsys.readouterr().out
    assert all(path.read_bytes() == b"mine" for path in others)
    info = probe_video(tmp_path / "drawn_talking.mp4")
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


def one_line(capsys) -> str:
    """What was said on stderr last: an error in one line, and no traceback before it."""
    said = capsys.readouterr().err
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--out", "FILE"], "FILE: the folder cannot be made"),
        (["demo", "--train", "--steps", "0"], "0 steps"),
        (["demo", "--train", "--out", "FILE", "--steps", "9"], "FILE: the folder cannot be made"),
        (["status", "--run", "FILE"], "FILE: this is a file; give the folder that train was given"),
        (["weights", "convert", "expert", "/proc/x.safetensors"], "/proc/x.safetensors: not written"),
        (["weights", "convert", "expert", "FILE/x.safetensors"], "not written"),
        (["evaluate", "--videos", "videos", "--out", "FILE"], "FILE: the folder cannot be made"),
        (
            ["evaluate", "--videos", "videos", "--window-offset", "9999", "--out", "out"],
            "--window-offset 9999: so many frames",
        ),
        (["evaluate", "--videos", "videos", "--device", "meta", "--out", "out"], "does not compute here"),
    ],
)
def test_a_place_or_a_number_that_cannot_be_is_one_line(arguments, said, drawn_videos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()
    (tmp_path / "videos").symlink_to(drawn_videos)
    assert main(arguments) == 1
    assert said in one_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generate", *FILES, "--pauses", "off", "--sync-offset", "999"], "error: --sync-offset 999: it must be from"),
        (["generate", *FILES, "--pads", "9", "0", "0", "0"], "error: --pads [9.0, 0.0, 0.0, 0.0]: four parts"),
        (
            ["train", "--shards", "s", "--run", "r", "--sync-weight", "0.1", "--sync-runs", "99"],
            "error: --sync-runs 99:",
        ),
        (["train", "--shards", "s", "--run", "r", "--device", "abc"], "error: --device 'abc' is unknown"),
        (["preprocess", "--videos", "v", "--out", "o", "--jpeg-quality", "0"], "error: --jpeg-quality 0: it must be"),
    ],
)
def test_options_are_named_as_they_are_typed(arguments, said, shared, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s").mkdir()
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "a.mp4").touch()
    for name, of in (("face.jpg", "photos/obama_240p.jpg"), ("speech.wav", "speech/very_short_0.1s.wav")):
        (tmp_path / name).symlink_to(shared / "data" / of)
    assert main(arguments) == 1
    assert one_line(capsys).startswith(said)


def test_a_report_names_options_as_they_are_typed(shared, tmp_path, monkeypatch, capsys):
    photo, noise = shared / "data" / "photos" / "obama_240p.jpg", shared / "data" / "speech" / "noise_3s.wav"
    asked = ["--face", str(photo), "--speech", str(noise), "--pads", "0", "0", "0.1", "0", "--reference-mouth", "own"]
    assert main(["generate", *asked, "--out", str(tmp_path / "out.mp4")]) == 0
    told = capsys.readouterr().out
    assert "with --pauses off every sound moves it" in told and "no use for --reference-mouth, --pads" in told


def test_names_that_begin_with_a_dash(shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-photo.jpg").symlink_to(shared / "data" / "photos" / "obama_240p.jpg")
    (tmp_path / "-s.wav").symlink_to(shared / "data" / "speech" / "very_short_0.1s.wav")
    files = ["--face", "-photo.jpg", "--speech", "-s.wav", "--out", "-o.mp4"]
    assert main(["generate", *files, "--pads", "-0.1", "0", "0", "0"]) == 0
    assert (tmp_path / "-o.mp4").is_file()


def test_what_a_shell_calls_a_protocol_is_a_file(shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2024-08-20T13:28:35%d.jpg").symlink_to(shared / "data" / "photos" / "obama_240p.jpg")
    (tmp_path / "04.23:50.wav").symlink_to(shared / "data" / "speech" / "very_short_0.1s.wav")
    for out in ("out:1.mp4", "http:%03d.mp4", "pipe:1.mp4"):
        assert main(["generate", "--face", "2024-08-20T13:28:35%d.jpg", "--speech", "04.23:50.wav", "--out", out]) == 0
        assert probe_video(out).has_sound


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", *FILES[:-1], f"{'ü' * 126}.mp4"],
        ["weights", "convert", "expert", f"{'ü' * 122}.safetensors"],
        ["subset", "--videos", "v", "--out", f"{'ü' * 126}.txt"],
        ["inspect", "shards", "--sheet", f"{'ü' * 126}.jpg"],
        ["preprocess", "--videos", "v", "--out", "ü" * 128],
    ],
)
def test_a_result_whose_name_is_too_long_is_refused_before_the_work(
    arguments, drawn_videos, drawn_shards, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v").symlink_to(drawn_videos)
    (tmp_path / "shards").symlink_to(drawn_shards)
    for name in ("face.jpg", "speech.wav"):
        (tmp_path / name).touch()
    before = sorted(tmp_path.iterdir())
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert "File name too long); give it a shorter name, of at most 255 bytes" in told.err
    assert not told.out and sorted(tmp_path.iterdir()) == before


def test_weights_that_are_not_there_name_generators_where_one_is_wanted(drawn_videos, tmp_path, capsys):
    clip = str(min(drawn_videos.glob("*.mp4")))
    speak = ["generate", "--face", clip, "--speech", clip, "--weights", "nope"]
    assert main([*speak, "--out", str(tmp_path / "x.mp4")]) == 1
    said = one_line(capsys)
    assert "starter, lipgan-starter, lipgan, " in said and "syncnet" not in said and "quality" not in said


def test_a_device_that_is_not_there_is_named_before_the_work(drawn_videos, tmp_path, capsys):
    clip = str(min(drawn_videos.glob("*.mp4")))
    speak = ["generate", "--face", clip, "--speech", clip, "--weights", "lipgan-starter"]
    for device, said in (("mps", "'mps' does not compute here"), ("cuda:7", "there is no such GPU here")):
        assert main([*speak, "--device", device, "--out", str(tmp_path / "x.mp4")]) == 1
        assert said in one_line(capsys)


def test_a_full_disk_is_one_line(small_disk, tmp_path, capsys):
    (small_disk / "filler").write_bytes(bytes(900 << 10))
    assert main(["weights", "convert", "expert", str(small_disk / "e.safetensors")]) == 1
    assert "e.safetensors: not written (No space left on device)" in one_line(capsys)
    assert main(["demo", "--out", str(small_disk)]) == 1
    assert "photo.png: not written (No space left on device)" in one_line(capsys)
    assert [p.name for p in small_disk.iterdir()] == ["filler"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "some/file"), "some/file: No space left on device; see to"),
        (OSError(errno.EIO, "Input/output error"), "the disk or the network: Input/output error; see to"),
        (TimeoutError("timed out at https://a.org/b?token=s3cret"), "timed out at https://a.org/b?…; see to"),
    ],
)
def test_what_the_system_fails_at_is_one_line_and_a_bug_is_not(error, said, monkeypatch, capsys):
    def failing(_):
        raise error

    monkeypatch.setitem(VERBS, "weights", (lambda parser: failing, ""))
    assert main(["weights"]) == 1
    assert said in one_line(capsys)
    error = AttributeError("a bug")
    with pytest.raises(AttributeError):
        main(["weights"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train"], "missing: --shards, --run; see "),
        (["subset", "--videos", "v", "--out", "o", "--ou7", "x"], "unknown: --ou7; did you mean --out?; see "),
        (["subset", "--videos", "v", "--out", "o", "--hours", "two"], "--hours: 'two' is no number; see"),
        (
            ["subset", "--videos", "v", "--out", "o", "--utterances", "2.5"],
            "--utterances: '2.5' is no whole number; see",
        ),
        (["subset", "--videos", "v", "--out", ""], "--out: a name is missing; see"),
        (["inspekt", "v"], "there is no verb 'inspekt'; did you mean inspect?; see"),
    ],
)
def test_what_is_not_a_command_is_one_line(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in "vs":
        (tmp_path / name).mkdir()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and line.startswith(f"error: {said}") and line.endswith("--help")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["generate", "--face", "TEXT", "--speech", "TEXT", "--out", "o.mp4"],
            "TEXT: this is no picture, video or sound",
        ),
        (["evaluate", "--videos", "TEXT", "--out", "o"], "TEXT: this is a file; name the folder that holds the videos"),
        (["train", "--shards", "TEXT", "--run", "r"], "TEXT: this is a file; give the folder that preprocess made"),
        (["inspect", "TEXT"], "TEXT: this is a file; give the folder that preprocess made"),
        (["train", "--shards", "v", "--run", "r", "--speech", "mel"], "v: holds no shard-*.safetensors"),
        (["ablate", "--study", "v", "--out", "o"], "v: this is a folder; give a TOML file"),
        (["judge", "count", "--study", "v", "TEXT"], "v/key.json: there is no such file; name the folder of"),
        (
            ["preprocess", "--videos", "videos", "--out", "TEXT"],
            "(a file of that name is in the way); choose another place",
        ),
        (["status", "--run", "missing"], "missing: there is no such folder; give the folder that train was given"),
        (["strangers", "--faces", "v", "--out", "o", "--speech", "v"], "v: this is a folder; give a file"),
        (["strangers", "--faces", "v", "--out", "o"], "v: no file in there; give photos or videos of people"),
        (["train", "--shards", "v", "--run", "r", "--workers", "99999"], "--workers 99999: it must be from 0 to "),
        (
            ["preprocess", "--videos", "videos", "--out", "o", "--workers", "99999"],
            "--workers 99999: it must be from 0",
        ),
        (["train", "--shards", "v", "--run", "r", "--lip-weight", "-5"], "--lip-weight -5.0: it must be from 0 to"),
        (["train", "--shards", "v", "--run", "r", "--most-channels", "0"], "--most-channels 0: it must be 1 or more"),
        (["train", "--shards", "v", "--run", "r", "--seed", "9" * 25], f"--seed {'9' * 25}: it must be from 0 to"),
        (["train-expert", "--shards", "v", "--run", "r", "--clips", "9" * 25], f"--clips {'9' * 25}: it must be from"),
        (
            ["train-motion", "--shards", "v", "--run", "r", "--voices", "9" * 25],
            f"--voices {'9' * 25}: it must be from",
        ),
    ],
)
def test_a_file_or_number_of_another_kind_is_told_as_what_it_is(
    arguments, said, drawn_videos, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "TEXT").write_text("hello")
    (tmp_path / "v").mkdir()
    (tmp_path / "videos").symlink_to(drawn_videos)
    assert main(arguments) == 1
    assert said in one_line(capsys)


def test_what_is_to_be_feared_is_told_before_the_work(shared, tmp_path, capsys):
    about = {"step": 25, "measures": {"follows": 0.1, "others": 0.05, "range": 0.2}}
    save_network(tmp_path / "run" / EXPORT, MotionNetwork(MotionConfig(channels=8)), about)
    photo = str(shared / "data" / "photos" / "obama_240p.jpg")
    assert main(["generate", "--face", photo, "--speech", photo, "--weights", str(tmp_path / "run"), "--out", "o.mp4"])
    told = capsys.readouterr().err
    assert "warning: Hardly trained (25 steps): lips follow speech by 0.10 of 1" in told
    assert "this is a picture; give a file with sound (were the face and the speech swapped?)" in told


def test_secrets_that_were_typed_are_not_repeated(capsys):
    with pytest.raises(SystemExit):
        main(["status", "--run", "x", "https://a.org/b?token=s3cret"])
    said = capsys.readouterr().err
    assert "https://a.org/b?…" in said and "s3cret" not in said


def test_who_reads_no_further_gets_no_traceback():
    listing = subprocess.Popen(
        [sys.executable, "-m", "lipgan_colab", "weights"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    listing.stdout.close()
    assert listing.stderr.read() == b""
    listing.stderr.close()
    listing.wait()


def test_names_that_are_no_text_are_printed(tmp_path, capsys):
    for name in (b"caf\xe9", b"b", b"c"):
        os.mkdir(os.fsencode(tmp_path) + b"/" + name)
        with open(os.fsencode(tmp_path) + b"/" + name + b"/a.mp4", "w"):
            pass
    assert main(["subset", "--videos", str(tmp_path), "--utterances", "3", "--out", str(tmp_path / "ids.txt")]) == 0
    assert r"caf\udce9 " in capsys.readouterr().out


@pytest.fixture
def two_and_a_word(shared, tmp_path, monkeypatch) -> list[str]:
    """In an empty folder a film of two people and a short speech; the arguments that say so."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film.mp4").symlink_to(shared / "data" / "tricky" / "two_faces_s1_s4.mp4")
    (tmp_path / "word.wav").symlink_to(shared / "data" / "speech" / "very_short_0.1s.wav")
    return ["generate", "--face", "film.mp4"]


def test_a_part_of_a_film_is_dubbed(two_and_a_word, capsys):
    asked = [*two_and_a_word, "--speech", "word.wav", "--from", "1.0", "--to", "0:01.4", "--person", "1"]
    assert main([*asked, "--out", "out.mp4"]) == 0
    assert "75 frames, 3.00 s; dubbed: 1-1.4 s; " in capsys.readouterr().out
    assert main([*asked, "--out", "out.png", "--preview"]) == 0
    assert capsys.readouterr().out.startswith("out.png: 10 frames, 0.40 s; dubbed: 1-1.4 s")


def test_several_people_are_dubbed(two_and_a_word, tmp_path, capsys):
    (tmp_path / "turns.csv").write_text("person,from,to,speech\n1,0,0.4,word.wav\n0,0.4,1,word.wav\n")
    assert main([*two_and_a_word, "--turns", "turns.csv", "--out", "a.mp4"]) == 0
    first, second = capsys.readouterr().out.splitlines()[1:3]
    assert first.startswith("0:00.00 - 0:00.40  person 1") and second.startswith("0:00.40 - 0:01.00  person 0")
    at_once = ["--speech", "word.wav", "--person", "0", "--speech", "word.wav", "--person", "1"]
    assert main([*two_and_a_word, *at_once, "--out", "b.mp4"]) == 0
    assert "person 0" in (told := capsys.readouterr().out) and "person 1" in told


def test_each_voice_of_a_list_gets_a_film(two_and_a_word, tmp_path, capsys):
    (tmp_path / "voices.txt").write_text("word.wav\nmissing.wav\n")
    assert main([*two_and_a_word, "--voices", "voices.txt", "--out", "out"]) == 0
    told = capsys.readouterr().out
    assert "1 voice made, 1 skipped:" in told and "missing.wav: there is no such file" in told
    assert (tmp_path / "out" / "word.mp4").is_file()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "say what is spoken: --speech, --turns or --voices"),
        (["--speech", "word.wav", "--voices", "v.txt"], "only one of these can say what is spoken: --speech, --turns"),
        (["--turns", "t.csv", "--person", "1"], "--turns says who speaks when; leave out --person"),
        (["--turns", "t.csv", "--from", "1"], "--turns says who speaks when; leave out --person, --from, --to"),
        (["--speech", "word.wav", "--speech", "word.wav"], "2 speeches and 1 person: give each --speech its own"),
        (["--speech", "word.wav", "--from", "soon"], "--from 'soon': give seconds (12.5), m:ss (1:05.2), or"),
        (["--speech", "word.wav", "--from", "5"], "--from 5 of word.wav is not in the film: it ends after 3.00 s"),
        (["--speech", "word.wav", "--codec", "prores"], "prores videos are written as .mov; give a name that ends so"),
        (["--speech", "word.wav", "--crf", "20", "--lossless"], "--crf 20: --lossless leaves no quality to choose"),
        (["--voices", "v.txt", "--preview"], "--preview shows one voice; give it as --speech"),
    ],
)
def test_what_cannot_be_dubbed_is_one_line(two_and_a_word, asked, said, capsys):
    assert main([*two_and_a_word, *asked, "--consent", "--out", "out.mp4"]) == 1
    assert said in one_line(capsys)
