"""What people really bring: every such file as a face and as speech gives the right video, or one clear line."""

import os
from dataclasses import replace

import cv2
import numpy as np
import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.faces.detector import FaceFinder
from lipgan_colab.generation.generate import generate
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.media.image import is_image, read_image
from lipgan_colab.media.sound import read_speech
from lipgan_colab.media.timeline import SAMPLE_RATE
from lipgan_colab.media.video import probe_video, read_video

PASTED = GenerateOptions(detail="network")  # the generator's picture as it is
EMPTY = "this file is empty; copy or upload it again"
BROKEN = "this is no picture, video or sound, or it is cut off; use another copy"
GRID, OWN = (360, 288), "its own sound"

# What becomes of each as a face: (width, height) as a person sees it, or the line; and which speech it is given.
FACES = {
    "tricky/dark_swiz3n.mp4": GRID,
    "tricky/empty.mp4": EMPTY,
    "tricky/face_leaves_swiz3n.mp4": (GRID, OWN),
    "tricky/fps2997_pwij3p.mp4": (GRID, OWN),
    "tricky/fps30_lbax4n.mp4": (GRID, OWN),
    "tricky/fps60_s4.mp4": (GRID, OWN),
    "tricky/gray_lbax4n.mp4": GRID,
    "tricky/lowres_96x80_s1.mp4": (96, 80),
    "tricky/mjpeg_pcm_8k_pwij3p.avi": GRID,
    "tricky/music_6dB_s1.mp4": GRID,
    "tricky/nosound_s1.mp4": GRID,
    "tricky/oddsize_361x287_s1.mp4": (362, 288),
    "tricky/oneframe_s1.mp4": GRID,
    "tricky/phone_rot180_swiz3n.mov": GRID,
    "tricky/phone_rot90_s1.mp4": GRID,
    "tricky/roll25_s4.mp4": GRID,
    "tricky/shift+8f_s1.mp4": GRID,
    "tricky/shift-8f_s1.mp4": GRID,
    "tricky/silence_s1.mp4": GRID,
    "tricky/stereo48k_s1.webm": GRID,
    "tricky/tinyface_1280x720_pwij3p.mp4": (1280, 720),
    "tricky/truncated.mp4": BROKEN,
    "tricky/truncated_s1.mpg": GRID,
    "tricky/two_faces_s1_s4.mp4": (720, 288),
    "tricky/two_faces_small_big.mp4": (720, 576),
    "tricky/vfr_s1.mp4": (GRID, OWN),
    "tricky/wrongsound_s1_pwij3p.mp4": GRID,
    "photos/biden.jpg": (846, 1920),
    "photos/face_cut_by_border.jpg": (492, 1138),
    "photos/monalisa_yaw16.jpg": (256, 256),
    "photos/no_face_dino.jpg": "no face found; choose a picture in which it is larger and seen from the front",
    "photos/obama.jpg": (910, 1138),
    "photos/obama_240p.jpg": (428, 240),
    "reports/answer.wav": "there is sound, but no moving picture in this file; give a photo or a video",
    "reports/hdr_hlg.mov": (1280, 1024),
    "reports/heic_tiles.heic": (1440, 1920),
    "reports/interlaced_50i.mpg": (720, 576),
    "reports/interview.mp4": GRID,
    "reports/one_frame_a_second.mp4": (426, 240),
    "reports/one_talk_with_cuts.mp4": GRID,
    "reports/photo_200_megapixel.jpg": (1440, 1920),
    "reports/presenter.png": GRID,
    "reports/presenter_alpha.webm": GRID,
    "reports/recording_without_duration.webm": (GRID, OWN),
    "reports/two_tracks_first_silent.mkv": (GRID, OWN),
}
# What becomes of each as speech: seconds, and whether somebody speaks; or the line.
SPEECH = {
    "speech/broken_header.wav": BROKEN,
    "speech/clipped.wav": (11.0, True),
    "speech/jfk.flac": (11.0, True),
    "speech/jfk_44k_24bit_stereo.wav": (4.0, True),
    "speech/jfk_44k_stereo.m4a": (11.0, True),
    "speech/jfk_48k_float.wav": (4.0, True),
    "speech/jfk_8k_mono.wav": (11.0, True),
    "speech/jfk_8k_ulaw.wav": (11.0, True),
    "speech/jfk_long_pauses.wav": (16.0, True),
    "speech/libri_198-209-0000.ogg": (13.91, True),
    "speech/libri_44k_128.mp3": (13.91, True),
    "speech/libri_48k.opus": (13.91, True),
    "speech/libri_music_0dB.wav": (13.91, True),
    "speech/noise_3s.wav": (3.0, False),
    "speech/physicsworks_5.1.webm": (203.28, True),
    "speech/silence_3s.wav": (3.0, False),
    "speech/stereo_one_side.wav": (4.0, True),
    "speech/three_channels.wav": "there is 0.12 ms of sound in this file; give more speech",
    "speech/very_short_0.1s.wav": (0.1, True),
    "reports/answer.wav": (4.8, True),
    "reports/heic_tiles.heic": "this is a picture; give a file with sound (were the face and the speech swapped?)",
    "reports/hdr_hlg.mov": (2.0, True),
    "reports/interlaced_50i.mpg": (2.98, True),
    "reports/presenter_alpha.webm": (2.0, True),
    "reports/quiet_voice_40_db_down.wav": (4.0, True),
    "reports/recording_without_duration.webm": (2.98, True),
    "reports/stereo_voice_left_music_right.m4a": (3.0, True),
    "reports/two_tracks_first_silent.mkv": (3.02, True),
    "tricky/empty.mp4": EMPTY,
    "tricky/mjpeg_pcm_8k_pwij3p.avi": (2.98, True),
    "tricky/music_6dB_s1.mp4": (2.98, True),
    "tricky/nosound_s1.mp4": "there is no sound in this file; give a sound file with speech",
    "tricky/silence_s1.mp4": (2.98, False),
    "tricky/stereo48k_s1.webm": (2.98, True),
    "tricky/truncated.mp4": BROKEN,
    "tricky/truncated_s1.mpg": (1.46, True),
}


def greenness(frame: np.ndarray) -> np.ndarray:
    red, green, blue = frame.astype(int).transpose(2, 0, 1)
    return green - np.maximum(red, blue)


def test_the_table_is_complete(shared):
    here = {f"{kind}/{path.name}" for kind in ("tricky", "photos") for path in (shared / "data" / kind).iterdir()}
    assert here == {name for name in FACES if not name.startswith("reports/")}
    assert {f"speech/{path.name}" for path in (shared / "data" / "speech").iterdir()} <= set(SPEECH)


@pytest.mark.parametrize("name", FACES)
def test_as_a_face(shared, painter, one_second, tmp_path, name):
    face, expected, speech = shared / "data" / name, FACES[name], one_second
    if isinstance(expected, str):
        with pytest.raises(InputError) as caught:
            generate(face, speech, painter, tmp_path / "out.mp4", PASTED)
        assert str(caught.value) == f"{face}: {expected}"
        assert list(tmp_path.iterdir()) == []
        return
    if OWN in expected:
        expected, speech = expected[0], face
    report = generate(face, speech, painter, tmp_path / "out.mp4", PASTED)
    info = probe_video(report.path)
    assert (info.width, info.height) == expected
    assert abs(info.duration - len(read_speech(speech, alone=True)) / SAMPLE_RATE) <= 0.0201
    picture = next(frame for _, frame in read_video(report.path))
    painted = greenness(picture) > greenness(_first_picture(face, picture.shape)) + 40
    with FaceFinder() as finder:
        found = max(finder.find(_first_picture(face, picture.shape)), key=lambda f: np.prod(f.box[2:] - f.box[:2]))
    left, top, right, bottom = found.box
    rows, columns = np.nonzero(painted)
    assert left < columns.mean() < right
    assert (top + bottom) / 2 < rows.mean() < bottom  # the mouth is below the eyes: upright
    assert painted.sum() > 0.05 * (right - left) * (bottom - top)


def _first_picture(path, shape) -> np.ndarray:
    """The first frame of a file as a person sees it, in the size of the result."""
    if is_image(path):
        return cv2.resize(read_image(path), shape[1::-1], interpolation=cv2.INTER_AREA)
    picture = next(frame for _, frame in read_video(path))
    rows, columns = (min(a, b) for a, b in zip(picture.shape, shape[:2], strict=False))
    padded = np.zeros(shape, np.uint8)
    padded[:rows, :columns] = picture[:rows, :columns]
    return padded


@pytest.mark.parametrize("name", SPEECH)
def test_as_speech(shared, painter, tmp_path, name):
    photo, speech, expected = shared / "data" / "photos" / "monalisa_yaw16.jpg", shared / "data" / name, SPEECH[name]
    if name == "speech/physicsworks_5.1.webm" and not os.environ.get("LIPGAN_THOROUGH"):
        pytest.skip("three minutes of speech: only with LIPGAN_THOROUGH=1")
    if isinstance(expected, str):
        with pytest.raises(InputError) as caught:
            generate(photo, speech, painter, tmp_path / "out.mp4", PASTED)
        assert str(caught.value) == f"{speech}: {expected}"
        assert list(tmp_path.iterdir()) == []
        return
    report = generate(photo, speech, painter, tmp_path / "out.mp4", replace(PASTED, batch_size=64))
    seconds, spoken = expected
    assert probe_video(report.path).duration == pytest.approx(seconds, abs=0.04)
    sound = read_speech(report.path)
    assert len(sound) / SAMPLE_RATE == pytest.approx(seconds, abs=0.04)
    assert np.isfinite(sound).all()
    assert (report.spoken > 0.4) if spoken else (report.spoken == 0)
    assert ("no speech is heard" in str(report)) == (not spoken)
