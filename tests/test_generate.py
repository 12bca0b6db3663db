"""A photo and a video that speak: length, untouched pixels, frames without a face."""

import numpy as np
import pytest
import torch

from lipgan_colab import faces, media
from lipgan_colab.errors import InputError
from lipgan_colab.generate import bounce, generate, generate_crops, paste, paste_mask
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator


class Painter(LipGANGenerator):
    """Answers with a plain green face, so that what it painted can be told from what was there."""

    def forward(self, faces, speech):
        green = torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1)
        return green.expand(len(faces), 3, 96, 96)


@pytest.fixture(scope="module")
def painter():
    return Painter(GeneratorConfig(0.25)).eval()


def is_green(frame: np.ndarray) -> np.ndarray:
    red, green, blue = frame.astype(int).transpose(2, 0, 1)
    return (green > red + 60) & (green > blue + 60)


def read_back(path):
    return [frame for _, frame in media.read_video(path)]


def test_a_photo_speaks_for_as_long_as_the_speech(shared, painter, tmp_path):
    speech = shared / "data" / "speech" / "libri_44k_128.mp3"
    seconds = len(media.read_speech(speech)) / media.SAMPLE_RATE
    report = generate(shared / "data" / "photos" / "obama_240p.jpg", speech, painter, tmp_path / "out.mp4")
    frames = read_back(report.path)
    assert len(frames) == report.frames
    assert abs(len(frames) / 25 - seconds) <= 1 / 25
    assert abs(len(media.read_speech(report.path)) / media.SAMPLE_RATE - seconds) <= 1 / 25
    assert report.passed_through == 0
    assert is_green(frames[0]).mean() > 0.005
    assert set(report.seconds) == {"read", "faces", "generator", "paste", "encode"}


def test_a_short_video_is_played_forward_and_backward(shared, painter, tmp_path):
    face, speech = shared / "data" / "grid" / "s1" / "bbaf2n.mpg", shared / "data" / "speech" / "jfk.flac"
    if not face.exists():
        face = next((shared / "data" / "grid" / "s1").glob("b*.mpg"))
    report = generate(face, speech, painter, tmp_path / "out.mp4")
    frames = read_back(report.path)
    assert len(frames) == round(len(media.read_speech(speech)) / media.SAMPLE_RATE * 25)
    for n, m in ((10, 138), (74, 74), (60, 88)):  # 75 frames: 148 - n shows what n shows
        difference = np.abs(frames[n][:100].astype(int) - frames[m][:100]).mean()
        assert difference < 3


def test_frames_without_the_face_pass_through(shared, painter, tmp_path):
    face = shared / "data" / "tricky" / "face_leaves_swiz3n.mp4"
    report = generate(face, face, painter, tmp_path / "out.mp4")
    green = [is_green(frame).mean() > 0.005 for frame in read_back(report.path)]
    assert 0 < report.passed_through < report.frames
    assert len(green) - sum(green) == report.passed_through


def test_the_speech_sets_the_length_of_a_longer_video(shared, painter, tmp_path):
    face = shared / "data" / "tricky" / "fps60_s4.mp4"
    report = generate(face, shared / "data" / "speech" / "very_short_0.1s.wav", painter, tmp_path / "out.mp4")
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
        generate(shared / "data" / face, shared / "data" / speech, painter, tmp_path / "out.mp4")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_missing_weights_are_named(shared, tmp_path):
    photo, speech = shared / "data" / "photos" / "obama.jpg", shared / "data" / "speech" / "jfk.flac"
    with pytest.raises(InputError, match=r"weights\.safetensors: no such weights"):
        generate(photo, speech, tmp_path / "weights.safetensors", tmp_path / "out.mp4")


def test_bounce_goes_to_and_fro():
    assert bounce(8, 3).tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert bounce(3, 5).tolist() == [0, 1, 2]
    assert bounce(3, 1).tolist() == [0, 0, 0]
    assert bounce(5, 2).tolist() == [0, 1, 0, 1, 0]


def a_face(box) -> faces.Face:
    """A face without landmarks: the box decides what is pasted."""
    return faces.Face(None, np.float32(box))


def test_paste_leaves_the_rest_as_it_was_and_has_no_edge():
    picture = np.random.default_rng(0).integers(0, 255, (200, 240, 3), np.uint8)
    face = a_face([50.3, 40.7, 150.3, 140.7])
    pasted = paste(picture, np.full((96, 96, 3), 255, np.uint8), face)
    outside = np.ones((200, 240), bool)
    outside[40:141, 50:151] = False
    assert np.array_equal(pasted[outside], picture[outside])
    assert np.array_equal(pasted[40:80], picture[40:80])  # eyes and nose stay
    assert (pasted[110:120, 95:105] == 255).all()
    mask = paste_mask(face, (50, 40, 151, 141))
    assert mask[[0, -1]].max() < 0.05
    assert mask[:, [0, -1]].max() < 0.05
    assert np.abs(np.diff(mask, axis=0)).max() < 0.35
    assert np.abs(np.diff(mask, axis=1)).max() < 0.35


def test_paste_puts_the_crop_back_where_it_was_taken():
    ramp = np.stack(np.meshgrid(np.arange(240), np.arange(200)), -1)
    picture = np.dstack([ramp, np.full((200, 240), 128)]).astype(np.uint8)
    for box in ([60.4, 30.2, 156.4, 126.2], [40, 20, 180, 160], [70.5, 50.5, 130.5, 110.5], [-20, 80, 120, 220]):
        face = a_face(box)
        pasted = paste(picture, faces.crop(picture, face.box), face)
        assert np.abs(pasted.astype(int) - picture).max() <= 2


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
