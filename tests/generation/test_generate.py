"""A photo and a video that speak: length, untouched pixels, frames without a face."""

import os
import subprocess
import sys
import threading
import wave
from contextlib import suppress
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
import skimage.data
import torch
from made_media import FLASH, as_int16, click, clicking_speech, flashing_frames, mux
from no_doubles import NoDoubles

from lipgan_colab.device import PRECISION_VARIABLE
from lipgan_colab.errors import InputError
from lipgan_colab.faces import known_faces
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.faces.following import Wanted
from lipgan_colab.generation import face_frames
from lipgan_colab.generation.crops import generate_crops
from lipgan_colab.generation.face_frames import bounced_frames, find_in_photo
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.media.image import read_image
from lipgan_colab.media.sound import read_sound, read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import probe_video, read_video
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.motion import components
from lipgan_colab.models.weights import load_generator

PASTED = GenerateOptions(detail="network")  # the generator's picture as it is


def is_green(frame: np.ndarray) -> np.ndarray:
    red, green, blue = frame.astype(int).transpose(2, 0, 1)
    return (green > red + 60) & (green > blue + 60)


def read_back(path):
    return [frame for _, frame in read_video(path)]


def test_a_photo_speaks_for_as_long_as_the_speech(shared, painter, tmp_path):
    speech = shared / "data" / "speech" / "libri_44k_128.mp3"
    seconds = len(read_speech(speech)) / SAMPLE_RATE
    report = generate(shared / "data" / "photos" / "obama_240p.jpg", speech, painter, tmp_path / "out.mp4", PASTED)
    frames = read_back(report.path)
    assert len(frames) == report.frames
    assert abs(len(frames) / 25 - seconds) <= 1 / 25
    assert abs(len(read_speech(report.path)) / SAMPLE_RATE - seconds) <= 1 / 25
    assert report.passed_through == 0
    assert is_green(frames[0]).mean() > 0.005
    assert set(report.seconds) == {"read", "speech", "faces", "generator", "paste", "encode", "mark"}


def test_bfloat16_generates_the_same_face(drawn_videos, monkeypatch):
    generator = load_generator("lipgan-starter")
    (clip, *_), hears = sorted(drawn_videos.glob("*.mp4")), generator.speech_input
    crops = np.stack([cv2.resize(frame, (96, 96)) for _, frame in read_video(clip)][:4])
    windows = hears.windows(hears.features(read_speech(clip)), len(crops), 25)
    made = {}
    for precision in ("float32", "bfloat16"):
        monkeypatch.setenv(PRECISION_VARIABLE, precision)
        made[precision] = generate_crops(generator, crops, crops, windows).astype(int)
    difference = np.abs(made["float32"] - made["bfloat16"])
    assert 0 < difference.mean() < 1
    assert difference.max() < 32


def test_a_short_video_is_played_forward_and_backward(shared, painter, tmp_path):
    face, speech = shared / "data" / "grid" / "s1" / "bbaf2n.mpg", shared / "data" / "speech" / "jfk.flac"
    if not face.exists():
        face = next((shared / "data" / "grid" / "s1").glob("b*.mpg"))
    report = generate(face, speech, painter, tmp_path / "out.mp4", PASTED)
    frames = read_back(report.path)
    assert "the film lasts 2.98 s, and is played forward and backward" in str(report)
    assert len(frames) == round(len(read_speech(speech)) / SAMPLE_RATE * 25)
    for n, m in ((10, 138), (74, 74), (60, 88)):  # 75 frames: 148 - n shows what n shows
        difference = np.abs(frames[n][:100].astype(int) - frames[m][:100]).mean()
        assert difference < 3


def test_lips_move_in_a_still_that_was_made_a_film(shared, painter, tmp_path):
    speech = shared / "data" / "speech" / "jfk_48k_float.wav"
    report = generate(shared / "data/reports/one_frame_a_second.mp4", speech, painter, tmp_path / "out.mp4")
    assert report.fps == probe_video(report.path).fps == 25 and report.frames == 100


def test_frames_without_the_face_pass_through(shared, painter, tmp_path):
    face = shared / "data" / "tricky" / "face_leaves_swiz3n.mp4"
    report = generate(face, face, painter, tmp_path / "out.mp4", PASTED)
    green = [is_green(frame).mean() > 0.005 for frame in read_back(report.path)]
    assert 0 < report.passed_through < report.frames
    assert len(green) - sum(green) == report.passed_through


def test_the_speech_sets_the_length_of_a_longer_video(shared, painter, tmp_path):
    face = shared / "data" / "tricky" / "fps60_s4.mp4"
    report = generate(face, shared / "data" / "speech" / "very_short_0.1s.wav", painter, tmp_path / "out.mp4", PASTED)
    assert report.fps == 60
    assert len(read_back(report.path)) == report.frames == 6


@pytest.mark.parametrize(
    ("face", "speech", "message"),
    [
        ("photos/no_face_dino.jpg", "speech/jfk.flac", "no_face_dino.jpg: no face found"),
        ("photos/obama.jpg", "speech/broken_header.wav", "broken_header.wav: "),
        ("photos/obama.jpg", "tricky/nosound_s1.mp4", "nosound_s1.mp4: "),
        ("tricky/empty.mp4", "speech/jfk.flac", "empty.mp4: "),
        ("tricky/truncated.mp4", "speech/jfk.flac", "truncated.mp4: "),
        ("photos/missing.jpg", "speech/jfk.flac", "missing.jpg: "),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(shared, painter, tmp_path, face, speech, message):
    with pytest.raises(InputError) as caught:
        generate(shared / "data" / face, shared / "data" / speech, painter, tmp_path / "out.mp4", PASTED)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_missing_weights_are_named(shared, tmp_path):
    photo, speech = shared / "data" / "photos" / "obama.jpg", shared / "data" / "speech" / "jfk.flac"
    with pytest.raises(InputError, match=r"weights\.safetensors: no such weights"):
        generate(photo, speech, tmp_path / "weights.safetensors", tmp_path / "out.mp4")


def test_a_film_is_played_to_and_fro(shared):
    path = shared / "data" / "grid" / "s1" / "bbaf2n.mpg"
    if not path.exists():
        path = next((shared / "data" / "grid" / "s1").glob("b*.mpg"))
    film = [frame for _, frame in read_video(path)]
    places, frames = zip(*bounced_frames(path, 25, 200), strict=True)
    assert len(film) == 75
    assert list(places) == [*range(75), *range(73, -1, -1), *range(1, 52)]
    for place, frame in zip(places[::7], frames[::7], strict=True):
        assert np.array_equal(frame, film[place])


def test_the_generator_sees_no_lower_half_of_the_target():
    torch.manual_seed(0)
    generator = LipGANGenerator(GeneratorConfig(0.25)).eval()
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 255, (2, 96, 96, 3), np.uint8)
    changed = crops.copy()
    changed[:, 48:] = 255 - changed[:, 48:]
    windows = rng.normal(size=(2, 12, 35)).astype(np.float32)
    answer = generate_crops(generator, crops, crops, windows)
    assert answer.shape == (2, 96, 96, 3)
    assert answer.dtype == np.uint8
    assert np.array_equal(answer, generate_crops(generator, crops, changed, windows))


def test_generating_needs_no_float64():
    rng = np.random.default_rng(0)
    crops, windows = rng.integers(0, 255, (2, 96, 96, 3), np.uint8), rng.normal(size=(2, 12, 35)).astype(np.float32)
    with NoDoubles():
        assert generate_crops(load_generator("lipgan-starter"), crops, crops, windows).shape == (2, 96, 96, 3)
        assert len(components(load_generator("starter"), rng.normal(size=(80, 40)), np.arange(4) / 25)) == 4


def test_faces_speak_several_speeches():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 255, (3, 96, 96, 3), np.uint8)
    heard = rng.normal(size=(6, 12, 35)).astype(np.float32)
    generator = LipGANGenerator(GeneratorConfig(0.25)).eval()
    for network in (generator, generator.to(memory_format=torch.channels_last)):
        both = generate_crops(network, crops, crops, heard).astype(int)
        each = [generate_crops(network, crops, crops, heard[k : k + 3]).astype(int) for k in (0, 3)]
        assert np.abs(both - np.concatenate(each)).max() <= 1


def test_one_face_speaks_all_windows():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    windows = {"mfcc": (12, 35), "mel": (80, 27)}
    for speech, shape in windows.items():
        generator = LipGANGenerator(GeneratorConfig(0.25, speech)).eval()
        crop = rng.integers(0, 255, (1, 96, 96, 3), np.uint8)
        heard = rng.normal(size=(3, *shape)).astype(np.float32)
        many = np.repeat(crop, 3, axis=0)
        once, each = (generate_crops(generator, c, c, heard).astype(int) for c in (crop, many))
        assert np.abs(once - each).max() <= 1


class Lamp(LipGANGenerator):
    """Answers with a face as bright as its window of speech is loud."""

    def forward(self, faces, speech):
        silence = self.speech_input.features(np.zeros(4000, np.float32))[:, 5]
        loud = (speech - torch.from_numpy(silence)[None, None, :, None]).abs().mean(dim=(1, 2, 3))
        loud = loud / (6 if self.speech_input.kind == "mfcc" else 3)
        return loud.clamp(0, 1).view(-1, 1, 1, 1).expand(-1, 3, 96, 96)


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    """A sound with bursts of noise at irregular times."""
    rng = np.random.default_rng(1)
    on = np.repeat(rng.random(40) < 0.4, 1600)
    sound = (on * rng.normal(size=len(on)) * 0.1).astype(np.float32)
    path = tmp_path_factory.mktemp("clicks") / "clicks.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16_000)
        wav.writeframes((sound.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("kind", ["mfcc", "mel"])
@pytest.mark.parametrize("face", ["photos/obama_240p.jpg", "tricky/fps2997_pwij3p.mp4", "tricky/fps60_s4.mp4"])
def test_picture_and_sound_are_together(shared, clicks, tmp_path, kind, face):
    speech = clicks

    lamp = Lamp(GeneratorConfig(0.25, kind)).eval()
    report = generate(shared / "data" / face, speech, lamp, tmp_path / "out.mp4", replace(PASTED, pauses="off"))
    frames = [frame[::3, ::3] for _, frame in read_video(report.path)]  # a median of whole ones takes a minute
    steady = np.median(frames, axis=0)
    moving = np.abs(np.asarray(frames, np.int16) - steady).mean(axis=(0, 3))
    mouth = moving > 0.5 * moving.max()
    seen = np.array([frame[mouth].mean() for frame in frames])
    # How loud it is around the middle of every frame, as wide as a window is.
    fps = float(report.fps)
    heard = read_speech(report.path)
    middles = ((np.arange(len(frames)) + 0.5) / fps * 16_000).astype(int)
    energy = np.abs(np.pad(heard, 4000))
    loud = np.array([energy[m + 4000 - 2700 : m + 4000 + 2700].mean() for m in middles])
    lags = range(-8, 9)
    likeness = [np.corrcoef(seen[8 + lag : len(seen) - 8 + lag], loud[8:-8])[0, 1] for lag in lags]
    best = lags[int(np.argmax(likeness))]
    assert max(likeness) > 0.8
    assert abs(best) <= 1


@pytest.mark.parametrize("name", ["stereo_voice_left_music_right.m4a", "../speech/stereo_one_side.wav"])
def test_the_sound_is_the_one_that_was_given(shared, painter, tmp_path, name):
    speech = shared / "data" / "reports" / name
    photo = shared / "data" / "photos" / "monalisa_yaw16.jpg"
    report = generate(photo, speech, painter, tmp_path / "out.mp4", replace(PASTED, batch_size=64))
    (given, rate), (heard, found) = read_sound(speech), read_sound(report.path)
    assert found == rate and len(heard) == len(given) == 2
    n = min(given.shape[1], heard.shape[1])
    assert abs(heard.shape[1] - given.shape[1]) <= 2
    for before, after in zip(given[:, :n], heard[:, :n], strict=True):
        assert np.square(after - before).mean() < 0.005 * np.square(before).mean() + 1e-8
    with av.open(str(report.path)) as container:
        assert container.streams.audio[0].bit_rate > 128_000


def test_of_a_speech_that_is_a_film_all_the_sound_is_spoken(shared, painter, tmp_path):
    """Whenever its own pictures start, which are not shown."""
    film = tmp_path / "film.mkv"
    mux(film, flashing_frames(), 0.85 + np.arange(40) / 25, [(0, as_int16(clicking_speech(2, FLASH / 25)))])
    photo = shared / "data" / "photos" / "monalisa_yaw16.jpg"
    report = generate(photo, film, painter, tmp_path / "out.mp4", PASTED)
    assert report.frames == 50
    assert click(read_speech(report.path)) == pytest.approx(FLASH / 25, abs=0.002)


def test_the_track_that_is_heard_is_told_and_can_be_chosen(shared, painter, tmp_path):
    film, photo = shared / "data/reports/two_tracks_first_silent.mkv", shared / "data/photos/monalisa_yaw16.jpg"
    report = generate(photo, film, painter, tmp_path / "out.mp4", PASTED)
    assert report.spoken > 0.4 and "; sound track 2 of 2 is heard" in str(report)
    report = generate(photo, film, painter, tmp_path / "out.mp4", replace(PASTED, sound_track=1))
    assert report.spoken == 0 and "; sound track 1 of 2 is heard" in str(report)
    assert np.abs(read_speech(report.path)).max() < 1e-3
    with pytest.raises(InputError, match=r"two_tracks_first_silent\.mkv: there is no sound track 3 .*one of 1, 2$"):
        generate(photo, film, painter, tmp_path / "out.mp4", replace(PASTED, sound_track=3))
    alone = generate(photo, shared / "data/speech/very_short_0.1s.wav", painter, tmp_path / "out.mp4", PASTED)
    assert "sound track" not in str(alone)


def test_a_quiet_voice_moves_the_mouth_like_a_loud_one(shared, tmp_path):
    reports = shared / "data" / "reports"
    photo, seen, said = shared / "data" / "photos" / "monalisa_yaw16.jpg", [], []
    for name in ("quiet_voice_40_db_down.wav", "quiet_voice_same_loud.wav"):
        report = generate(photo, reports / name, "starter", tmp_path / "out.mp4")
        said.append(report)
        given, kept = (read_speech(path)[8000:60_000] for path in (reports / name, report.path))
        assert np.std(kept) == pytest.approx(np.std(given), rel=0.01)  # the video has it as it was given
        mouths = np.array([frame[170:230, 60:150] for _, frame in read_video(report.path)], np.int16)
        seen.append(np.abs(mouths - mouths[0]).mean(axis=(1, 2, 3)))
    quiet, loud = said
    assert quiet.spoken == pytest.approx(loud.spoken, abs=0.03) and loud.spoken > 0.7
    assert "; the voice is quiet, and was heard 29 dB louder" in str(quiet) and "louder" not in str(loud)
    assert np.corrcoef(seen)[0, 1] > 0.98
    assert seen[0].std() == pytest.approx(seen[1].std(), rel=0.1)


def test_quiet_noise_moves_no_mouth(shared, painter, tmp_path):
    noise = read_speech(shared / "data" / "speech" / "noise_3s.wav")[:SAMPLE_RATE] / 100
    mux(tmp_path / "noise.wav", pieces=[(0, as_int16(noise))])
    photo = shared / "data" / "photos" / "monalisa_yaw16.jpg"
    report = generate(photo, tmp_path / "noise.wav", painter, tmp_path / "out.mp4", PASTED)
    assert report.spoken == 0 and "the mouth rests" in str(report) and "louder" not in str(report)


def test_lips_can_be_moved_against_the_sound(shared, clicks, tmp_path):
    lamp = Lamp(GeneratorConfig(0.25)).eval()
    photo = shared / "data" / "photos" / "obama_240p.jpg"
    bright = []
    for offset in (0, 5):
        options = replace(PASTED, pauses="off", sync_offset=offset)
        report = generate(photo, clicks, lamp, tmp_path / f"{offset}.mp4", options)
        bright.append(np.array([frame.mean() for frame in read_back(report.path)]))
    assert np.corrcoef(bright[0][:-5], bright[1][5:])[0, 1] > 0.99


def test_the_person_can_be_chosen(shared, painter, tmp_path):
    face, speech = (
        shared / "data" / "tricky" / "two_faces_s1_s4.mp4",
        shared / "data" / "speech" / "very_short_0.1s.wav",
    )
    if not face.exists():
        face = sorted((shared / "data" / "tricky").glob("two_faces*"))[0]
    width = probe_video(face).width
    middles = {}
    for person in (0, 1):
        report = generate(face, speech, painter, tmp_path / f"{person}.mp4", replace(PASTED, person=person))
        middles[person] = np.nonzero(is_green(read_back(report.path)[1]))[1].mean()
    assert middles[0] < middles[1]
    point = (middles[1], probe_video(face).height / 2)
    report = generate(face, speech, painter, tmp_path / "point.mp4", replace(PASTED, person=point))
    assert np.nonzero(is_green(read_back(report.path)[1]))[1].mean() == pytest.approx(middles[1], abs=width / 50)
    with pytest.raises(InputError, match=r"no person 2.*at most 2"):
        generate(face, speech, painter, tmp_path / "none.mp4", replace(PASTED, person=2))
    assert not (tmp_path / "none.mp4").exists()


def test_stopping_leaves_no_file_and_no_thread(shared, painter, tmp_path):
    def stop(done, total):
        if done == 20:
            raise KeyboardInterrupt

    before = threading.active_count()
    face = shared / "data" / "tricky" / "fps60_s4.mp4"
    with pytest.raises(KeyboardInterrupt):
        generate(face, face, painter, tmp_path / "out.mp4", PASTED, on_progress=stop)
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == before


class Cancelled(Exception):
    """What somebody who does not want the video any more raises."""


@pytest.mark.parametrize("at", [1, 20])
def test_a_cancelled_film_is_closed_whoever_keeps_what_has_been_going_on(
    drawn_videos, painter, tmp_path, monkeypatch, at
):
    """Libraries that are loaded on the way keep errors with the frames that led to them: ours among them."""
    kept = []

    class Remembered(FaceFinder):
        def __init__(self, **settings):
            super().__init__(**settings)
            frame = sys._getframe()
            while frame := frame.f_back:
                kept.append(frame)

    def stop(done, total):
        if done == at:
            raise Cancelled

    monkeypatch.setattr(known_faces, "FaceFinder", Remembered)
    options = replace(PASTED, cache=False)
    face = min(drawn_videos.glob("*.mp4"))
    before = set(threading.enumerate())
    with pytest.raises(Cancelled):
        generate(face, face, painter, tmp_path / "out.mp4", options, on_progress=stop)
    assert kept
    assert set(threading.enumerate()) <= before
    assert str(face) not in open_files()
    assert list(tmp_path.iterdir()) == []


def open_files() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return found


def test_a_film_that_ends_in_an_error_leaves_no_thread_and_no_open_file(drawn_videos, painter, tmp_path, monkeypatch):
    def broken(path):
        for n, frame in enumerate(read_video(path)):
            if n == 5:
                raise InputError(f"{path}: broken")
            yield frame

    monkeypatch.setattr(face_frames, "read_video", broken)
    face = min(drawn_videos.glob("*.mp4"))
    before = set(threading.enumerate())
    with pytest.raises(InputError, match="broken"):
        generate(face, face, painter, tmp_path / "out.mp4", PASTED)
    assert set(threading.enumerate()) <= before
    assert str(face) not in open_files()
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_left_beside_the_video_is_removed(drawn_videos, painter, tmp_path):
    code = f"from lipgan_colab.files import part_name; part_name({str(tmp_path / 'other.mp4')!r}).write_text('half')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(os.listdir(tmp_path)) == 1
    face = min(drawn_videos.glob("*.mp4"))
    generate(face, face, painter, tmp_path / "out.mp4", PASTED)
    assert os.listdir(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"out": "file/out.mp4"}, r"file/out\.mp4: not written \("),
        ({"out": "folder.mp4"}, r"folder\.mp4: not written \(there is a folder of that name\)"),
        ({"out": "out.avi"}, r"out\.avi: videos are written as \.mp4"),
        ({"face": "folder.mp4"}, r"folder\.mp4: this is a folder; give a photo or a video"),
        ({"speech": "folder.mp4"}, r"folder\.mp4: this is a folder; give a file with sound"),
        ({"face": "pipe.mp4"}, r"pipe\.mp4: this is no file; give a photo or a video"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(shared, tmp_path, changes, line):
    """The weights, which would be loaded first, are missing too."""
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    photo, speech = shared / "data" / "photos" / "obama_240p.jpg", shared / "data" / "speech" / "jfk.flac"
    given = {"face": photo, "speech": speech, "out": "out.mp4"} | changes
    given = {name: tmp_path / value for name, value in given.items()}
    with pytest.raises(InputError, match=line) as told:
        generate(**given, weights=tmp_path / "missing.safetensors")
    assert "\n" not in str(told.value)


def test_a_full_disk_is_one_line(shared, painter, small_disk):
    photo, speech = shared / "data" / "photos" / "obama.jpg", shared / "data" / "speech" / "jfk.flac"
    (small_disk / "rest").write_bytes(bytes(900_000))
    with pytest.raises(InputError, match=r"out\.mp4: not written \(No space left on device\)") as told:
        generate(photo, speech, painter, small_disk / "out.mp4", PASTED)
    assert "\n" not in str(told.value)
    assert os.listdir(small_disk) == ["rest"]


def test_metadata_and_mark_say_that_it_is_synthetic(shared, painter, tmp_path):
    photo, speech = shared / "data" / "photos" / "obama_240p.jpg", shared / "data" / "speech" / "very_short_0.1s.wav"
    plain = generate(photo, speech, painter, tmp_path / "plain.mp4", PASTED)
    marked = generate(photo, speech, painter, tmp_path / "marked.mp4", replace(PASTED, mark=True, consent=True))
    with av.open(str(marked.path)) as container:
        comment = container.metadata["comment"]
    for word in ("Synthetic", "Painter", "agreed", "UTC"):
        assert word in comment
    with av.open(str(plain.path)) as container:
        assert "agreed" not in container.metadata["comment"]
    corner = np.abs(read_back(plain.path)[0].astype(int) - read_back(marked.path)[0])[-25:, :120]
    assert corner.mean() > 10


def test_the_sound_keeps_its_quality(shared, painter, tmp_path):
    photo, speech = (
        shared / "data" / "photos" / "obama_240p.jpg",
        shared / "data" / "speech" / "jfk_44k_24bit_stereo.wav",
    )
    report = generate(photo, speech, painter, tmp_path / "out.mp4", PASTED)
    with av.open(str(report.path)) as container:
        assert container.streams.audio[0].rate == 44_100


def test_a_sound_without_speech_is_told(shared, painter, tmp_path):
    photo = shared / "data" / "photos" / "obama_240p.jpg"
    report = generate(photo, shared / "data" / "speech" / "noise_3s.wav", painter, tmp_path / "out.mp4", PASTED)
    assert report.spoken == 0
    assert "no speech is heard" in str(report)


@pytest.mark.parametrize(
    ("weights", "options", "idle"),
    [
        ("starter", {"detail": "network", "sharpen": 0.5, "pauses": "off"}, ["detail", "sharpen"]),
        ("starter", {}, []),
        ("lipgan-starter", {"sharpen": 0.5}, ["sharpen"]),
        ("lipgan-starter", {"sharpen": 0.5, "detail": "network"}, []),
    ],
)
def test_options_without_use_are_told(shared, tmp_path, weights, options, idle):
    face, speech = (shared / "data" / name for name in ("photos/obama_240p.jpg", "speech/very_short_0.1s.wav"))
    report = generate(face, speech, weights, tmp_path / "out.mp4", GenerateOptions(**options))
    assert report.idle == idle
    assert ("no use for" in str(report)) == bool(idle)


def test_wrong_options_are_one_line():
    with pytest.raises(InputError, match="gentle, normal, strict, off"):
        GenerateOptions(pauses="never")


NAN = float("nan")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("sharpen", value) for value in (NAN, -1, 50)],
        *[("largest_yaw", value) for value in (NAN, -5, float("inf"))],
        *[
            ("sync_offset", 100_000),
            ("window_offset", -100_000),
            ("batch_size", 0),
            ("batch_size", -1),
            ("sound_track", 0),
        ],
        *[("pads", (0, 0, 5, 0)), ("pads", (0, NAN, 0, 0)), ("pads", (0, 0, 0))],
        *[("person", "bob"), ("person", -1), ("person", (NAN, 3.0))],
    ],
)
def test_options_that_cannot_be_are_named_in_one_line(name, value):
    with pytest.raises(InputError, match=f"^{name} ") as told:
        GenerateOptions(**{name: value})
    assert "\n" not in str(told.value)


def test_lips_rest_in_pauses(shared, tmp_path):
    """What moves in the picture in pauses is at most a tenth of what moves in speech."""
    speech = shared / "data" / "speech" / "jfk_long_pauses.wav"
    photo = shared / "data" / "photos" / "obama_240p.jpg"
    report = generate(photo, speech, Lamp(GeneratorConfig(0.25)).eval(), tmp_path / "out.mp4", PASTED)
    bright = np.array([frame.mean() for frame in read_back(report.path)])
    wave = read_speech(speech)
    loud = np.array([np.abs(wave[n * 640 : n * 640 + 640]).max() for n in range(len(bright))])
    pause = np.convolve(loud < 1e-3, np.ones(15), "same") == 15
    movement = np.abs(np.diff(bright))
    assert pause.sum() > 30
    assert movement[pause[1:]].mean() <= 0.1 * movement[loud[1:] > 0.05].mean()


class Mirror(LipGANGenerator):
    """Answers with the reference that it is given."""

    def forward(self, faces, speech):
        return faces[:, :3].expand(len(speech), 3, 96, 96)


def test_the_reference_comes_before_the_target():
    rng = np.random.default_rng(0)
    references, targets = (rng.integers(0, 256, (2, 96, 96, 3), np.uint8) for _ in range(2))
    windows = np.zeros((2, 12, 35), np.float32)
    assert np.array_equal(generate_crops(Mirror(GeneratorConfig(0.02)), references, targets, windows), references)


def test_pads_let_the_box_grow_at_their_sides(shared):
    path = shared / "data" / "photos" / "obama_240p.jpg"
    photo = read_image(path)
    plain, padded = (
        find_in_photo(photo, path, [Wanted()], pads).face.box for pads in ((0, 0, 0, 0), (0.1, 0.2, 0.3, 0.4))
    )
    grown = (padded - plain) / (plain[2] - plain[0])
    assert grown == pytest.approx([-0.4, -0.1, 0.2, 0.3], abs=1e-4)  # left, top, right, bottom


@pytest.mark.parametrize(
    ("photo", "learnt", "wish", "rested"),
    [
        ("obama", True, "auto", True),  # he laughs
        ("biden", True, "auto", False),  # his lips are closed
        ("obama", False, "auto", False),
        ("obama", True, "own", False),
        ("biden", False, "rest", True),
    ],
)
def test_an_open_mouth_is_seen_at_rest_by_weights_that_know_such(shared, tmp_path, photo, learnt, wish, rested):
    mirror = Mirror(GeneratorConfig(0.25)).eval()
    mirror.about = {"painted_references": learnt}
    picture = shared / "data" / "photos" / f"{photo}.jpg"
    options = replace(PASTED, reference_mouth=wish)
    speech = shared / "data" / "speech" / "very_short_0.1s.wav"
    report = generate(picture, speech, mirror, tmp_path / "out.mp4", options)
    assert report.rested == rested == ("at rest" in str(report))
    frame, original = read_back(report.path)[0].astype(int), read_image(picture).astype(int)
    height, width = np.minimum(frame.shape, original.shape)[:2]
    assert (np.abs(frame[:height, :width] - original[:height, :width]).max(axis=2) > 60).mean() > 0.001 or not rested


def test_an_unknown_wish_for_the_mouth_is_refused():
    with pytest.raises(InputError, match="choose one of auto, own, rest"):
        GenerateOptions(reference_mouth="smile")


def test_somebody_else_in_a_film_is_left_as_they_were_and_told(shared, painter, tmp_path):
    reports = shared / "data" / "reports"
    report = generate(reports / "interview.mp4", reports / "answer.wav", painter, tmp_path / "out.mp4", PASTED)
    assert (report.with_others, report.without_face) == ([(40, 79)], [])
    assert "40 frames with other people are left as they were (1.6-3.2 s)" in str(report)
    painted = np.array([is_green(frame).mean() for frame in read_back(report.path)])
    assert painted[40:80].max() < 0.001 < 0.01 < painted[[*range(40), *range(80, 120)]].min()


def test_what_is_no_human_face_speaks_only_if_that_is_insisted_on(painter, one_second, tmp_path):
    wheel = tmp_path / "wheel.png"
    cv2.imwrite(str(wheel), skimage.data.colorwheel()[..., 2::-1])
    with pytest.raises(InputError) as caught:
        generate(wheel, one_second, painter, tmp_path / "out.mp4", PASTED)
    assert str(caught.value).startswith(f"{wheel}: this does not look like a human face")
    report = generate(wheel, one_second, painter, tmp_path / "out.mp4", replace(PASTED, any_face=True))
    assert report.frames == 25


def test_of_two_faces_it_is_told_which_one_speaks(shared, painter, one_second, tmp_path):
    film = shared / "data" / "tricky" / "two_faces_s1_s4.mp4"
    report = generate(film, one_second, painter, tmp_path / "out.mp4", PASTED)
    assert report.faces == 2 and not report.passed_over
    assert "of 2 faces the largest speaks" in str(report)
    report = generate(film, one_second, painter, tmp_path / "out.mp4", replace(PASTED, person=0))
    assert "the largest" not in str(report)


def test_a_photo_without_the_mouth_is_refused(shared, painter, one_second, tmp_path):
    photo = read_image(shared / "data" / "photos" / "obama.jpg")
    cv2.imwrite(str(tmp_path / "cut.png"), photo[:320, :, ::-1])  # below the nose
    for options in (PASTED, replace(PASTED, any_face=True)):
        with pytest.raises(InputError, match="the mouth of this face is not in the picture"):
            generate(tmp_path / "cut.png", one_second, painter, tmp_path / "out.mp4", options)
