"""Heat maps of made generators that look at one known place."""

import csv
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from lipgan_colab.corpora.corpus import Utterance
from lipgan_colab.evaluation import heat_asked, heat_clip, heat_moments
from lipgan_colab.evaluation.heat_clip import (
    COEFFICIENTS,
    DISTANCE,
    GRADIENTS,
    GRID,
    OCCLUSION,
    OPENING,
    REFERENCE,
    TARGET,
    TIME,
    clip_maps,
)
from lipgan_colab.evaluation.heat_maps import HeatMaps, summed_up
from lipgan_colab.evaluation.heat_page import DOUBTFUL
from lipgan_colab.evaluation.read_out import fitted
from lipgan_colab.evaluation.true_clips import Clip, Speech
from lipgan_colab.faces.face_clip import FaceClip
from lipgan_colab.media.marking import told_by
from lipgan_colab.models.expert import lips_seen, sound_heard
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.motion import components
from lipgan_colab.models.motion_network import MotionNetwork
from lipgan_colab.models.wav2lip import SyncExpert, SyncExpertConfig
from lipgan_colab.models.weights import load_expert
from lipgan_colab.speech.features import SpeechInput

FRAMES = 20
COLUMNS, ROWS = slice(21, 27), slice(3, 5)  # of the speech window that the made generator hears
SQUARE = slice(32, 48), slice(16, 32)  # of the reference face that it sees
MOUTH = slice(68, 84), slice(36, 60)  # where it paints


class Made(LipGANGenerator):
    """Answers with the reference face, in which a mouth is as dark as one place of the sound and one of the face say,
    weighed by what it has learnt (or, where nothing is learnt, is built to)."""

    def __init__(self, learnt: bool = True):
        super().__init__(GeneratorConfig(0.02))
        hears, sees = torch.zeros(12, 35), torch.zeros(96, 96)
        hears[ROWS, COLUMNS] = 0.02
        sees[SQUARE] = 0.003
        if learnt:
            self.hears, self.sees = torch.nn.Parameter(hears), torch.nn.Parameter(sees)
        else:
            self.register_buffer("hears", hears)
            self.register_buffer("sees", sees)

    def forward(self, faces, speech):
        faces = faces.repeat(len(speech) // len(faces), 1, 1, 1)
        dark = torch.sigmoid((speech[:, 0] * self.hears).sum((1, 2)) + (faces[:, 0] * self.sees).sum((1, 2)) - 0.5)
        mouth = torch.zeros(96, 96)
        mouth[MOUTH] = 1
        return faces[:, :3] * (1 - dark[:, None, None, None] * mouth)


@pytest.fixture(scope="module")
def clip() -> Clip:
    """A face of noise that says something."""
    rng = np.random.default_rng(0)
    face = rng.integers(60, 200, (192, 192, 3), np.uint8)
    face[48:][SQUARE[0], 48 + 16 : 48 + 32] = 250
    points = np.stack(np.meshgrid(np.linspace(3, 93, 22), np.linspace(3, 93, 22)), axis=-1).reshape(-1, 2)[:478]
    seen = FaceClip(np.repeat(face[None], FRAMES, axis=0), np.repeat(points[None], FRAMES, axis=0).astype(np.float32))
    wave = rng.normal(0, 0.1, FRAMES * 640).astype(np.float32) * np.repeat(rng.uniform(0, 1, FRAMES), 640)
    return Clip(Speech(Utterance("made.mp4", Path("made.mp4"), ""), wave.astype(np.float32)), 0.0, seen, seen)


@torch.no_grad()
def spoken(network: LipGANGenerator, clip: Clip) -> FaceClip:
    """What a generator makes of a clip, whose mouth is found as open as it is dark."""
    speech, faces = heat_moments.moments_of(network, clip, np.arange(FRAMES)).inputs
    crops = (network(faces, speech) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    landmarks = clip.full.landmarks.copy()
    landmarks[:, [13, 14]] = [48, 76]
    landmarks[:, 14, 1] += 20 - crops[:, MOUTH[0], MOUTH[1]].mean(axis=(1, 2, 3)) / 10
    return FaceClip(clip.full.frames_with(crops), landmarks)


@pytest.fixture(scope="module")
def found(clip):
    network = Made().eval()
    torch.manual_seed(1)  # some experts that nobody has taught hardly hear anything
    expert = SyncExpert(SyncExpertConfig(0.05)).eval()
    return clip_maps(network, expert, clip, spoken(network, clip), draws=2)


def brightest(values: np.ndarray, part: float = 0.5) -> np.ndarray:
    return np.flatnonzero(values > part * np.nanmax(values))


def test_the_opening_is_read_out_of_pictures(clip):
    network = Made().eval()
    made = spoken(network, clip)
    told = fitted(made)
    assert told.correlation > 0.95 and told.trusted
    pictures = torch.from_numpy(made.crops).permute(0, 3, 1, 2) / 255
    said = told(pictures).numpy()
    assert np.corrcoef(said, made.opening)[0, 1] > 0.99 and said.std() == pytest.approx(1, rel=0.2)
    assert not fitted(clip.full).trusted  # a mouth that never moves
    lost = FaceClip(made.frames, np.full_like(made.landmarks, np.nan))
    assert not fitted(lost).trusted


def test_both_methods_find_the_place_in_the_speech(found):
    slots = set(brightest(found.maps[OPENING, OCCLUSION, TIME]))
    assert slots == set(range(21, 27))
    assert set(brightest(found.maps[OPENING, OCCLUSION, COEFFICIENTS], 0.05)) <= {3, 4}
    grid = found.maps[OPENING, GRADIENTS, GRID]
    assert grid[ROWS, COLUMNS].sum() == pytest.approx(grid.sum(), rel=1e-4) and grid.sum() > 0
    assert found.maps[DISTANCE, OCCLUSION, TIME].argmax() in range(21, 27)
    assert found.maps[DISTANCE, GRADIENTS, GRID][ROWS, COLUMNS].sum() > 0
    assert found.missing[OPENING] < 0.02


def test_both_methods_find_the_place_in_the_reference(found):
    square = np.zeros((96, 96), bool)
    square[SQUARE] = True
    upper = found.pictures[OPENING, OCCLUSION, REFERENCE][:48]  # below, the mouth is painted over what it shows
    assert set(brightest(upper.ravel())) == set(np.flatnonzero(square[:48]))
    by_gradients = found.pictures[OPENING, GRADIENTS, REFERENCE]
    beside = by_gradients.copy()
    beside[square] = 0
    beside[MOUTH] = 0  # what is painted over is of the reference as well
    assert by_gradients[square].sum() > 100 * beside[:48].sum()
    points = np.stack(np.meshgrid(np.linspace(3, 93, 22), np.linspace(3, 93, 22)), axis=-1).reshape(-1, 2)[:478]
    inside = ((points > [18, 34]) & (points < [30, 46])).all(axis=1)
    in_mesh = found.maps[OPENING, GRADIENTS, REFERENCE]
    assert in_mesh[inside].mean() > 10 * np.nanmean(in_mesh[points[:, 1] < 28])
    assert not np.nan_to_num(found.maps[OPENING, GRADIENTS, TARGET]).any()  # which it does not look at


def test_the_check_passes_what_is_learnt_and_catches_what_is_not(clip, found):
    assert np.mean(found.untaught[OPENING, GRADIENTS, GRID]) < DOUBTFUL
    assert np.mean(found.untaught[OPENING, OCCLUSION, TIME]) < DOUBTFUL
    built = Made(learnt=False).eval()
    caught = clip_maps(built, None, clip, spoken(built, clip), draws=2)
    assert caught.untaught[OPENING, GRADIENTS, GRID] == pytest.approx([1, 1], abs=1e-3)
    assert caught.untaught[OPENING, OCCLUSION, TIME] == pytest.approx([1, 1], abs=1e-3)
    assert not any(asked == DISTANCE for asked, _, _ in caught.maps)


def test_a_real_generators_stages_are_looked_at(clip):
    network = LipGANGenerator(GeneratorConfig(0.02)).eval()
    stages = heat_clip.stage_maps(network, heat_moments.moments_of(network, clip, np.arange(2)))
    assert list(stages) == [f"{side} x {side}" for side in (3, 6, 12, 24, 48, 96)]
    assert all(maps.shape == (2, 96, 96) and (maps >= 0).all() for maps in stages.values())


@pytest.mark.parametrize(("kind", "first", "step"), [("mfcc", -167.5, 10), ("mel", -180, 12.5), ("wav2lip", -20, 12.5)])
def test_when_the_sound_is(kind, first, step):
    network = Made()
    network.speech_input = SpeechInput(kind)
    times = heat_moments.window_times(network)
    assert times[0] == pytest.approx(first) and np.diff(times) == pytest.approx(step)
    network.speech_input = SpeechInput(kind, offset=1)
    assert heat_moments.window_times(network)[0] == pytest.approx(first + 40)


def test_a_motion_network_hears_a_moment_as_it_hears_all(clip):
    """The opening of a moment, out of the sound around it alone, is what the network says of it in the whole speech."""
    torch.manual_seed(0)
    network = MotionNetwork().eval()
    network.basis[:] = torch.randn_like(network.basis)
    wave = np.random.default_rng(1).normal(0, 0.1, 60 * 640).astype(np.float32)
    seen = FaceClip(np.zeros((60, 8, 8, 3), np.uint8), np.zeros((60, 478, 2), np.float32))
    long = Clip(Speech(clip.speech.utterance, wave), 0.0, seen, seen)
    frames = np.arange(24, 36)
    with torch.no_grad():
        here = heat_asked.Moved(network)(*heat_moments.moments_of(network, long, frames).inputs)[:, 0].numpy()
    middles = np.rint((frames + 0.5) / 25 * 80 - 0.5) / 80 + 0.5 / 80
    parts = components(network, network.speech_input.features(wave), middles)
    apart = (network.basis[:, 14, 1] - network.basis[:, 13, 1]).numpy()
    even = np.rint((frames + 0.5) / 25 * 80 - 0.5) % 2 == 0  # the others lie between two of its answers
    assert even.sum() > 3
    np.testing.assert_allclose(here[even], ((parts * network.spread.numpy()) @ apart)[even], rtol=1e-3, atol=1e-4)


def test_the_folder_gets_page_numbers_and_a_marked_film(clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "captum", None)
    network = Made().eval()
    heat = HeatMaps(network, None, ["gone.mp4", "made.mp4"])
    assert "captum is not here (pip install --no-deps captum)" in capsys.readouterr().out
    heat.see(clip, spoken(network, clip))
    heat.write(tmp_path)
    page = cv2.imread(str(tmp_path / "heatmaps.png"))
    assert page.shape[1] == 1400 and page.std() > 20
    with (tmp_path / "heatmaps.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["method"] for line in lines} == {OCCLUSION}
    over_time = [line for line in lines if (line["asked"], line["of"]) == (OPENING, TIME)]
    best = max(over_time, key=lambda line: float(line["value"]))
    assert len(over_time) == 35 and 40 < float(best["milliseconds"]) < 100
    assert [line["row"] for line in lines if line["of"] == COEFFICIENTS] == [str(n) for n in range(1, 13)]
    assert told_by(tmp_path / "heatmaps.mp4").synthetic


def test_nothing_is_written_where_nothing_could_be_looked_at(tmp_path):
    HeatMaps(Made(), None, ["gone.mp4"]).write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_expert_listens_to_the_frames_it_sees(clip):
    """The distances of a clip's runs are those that `evaluate` counts its expert_d of."""
    network, expert = Made().eval(), load_expert("expert")
    made, frames = spoken(network, clip), heat_moments.chosen_frames(clip)
    heard = heat_asked.listening(expert, clip, frames)
    with torch.no_grad():
        moments = heat_moments.moments_of(network, clip, frames)
        asked = heat_asked.Painted(network, fitted(made), *heard)(*moments.inputs)[:, 1]
    lips, sounds = lips_seen(expert, made.crops), sound_heard(expert, clip.speech.wave, FRAMES)
    starts = frames[::5]
    assert len(starts) == 2 and frames.tolist() == [start + n for start in starts for n in range(5)]
    expected = (lips - sounds).norm(dim=1)[starts].repeat_interleave(5)
    torch.testing.assert_close(asked, expected, rtol=0, atol=4e-3)  # pictures were rounded
    assert (lips - sounds).norm(dim=1).std() > 0.01


def test_the_page_says_which_maps_are_not_to_be_read(clip, found):
    def told(one, key):
        return summed_up(Made(), [one], clip.full.landmarks[0], True).verdict(key)

    key = (OPENING, OCCLUSION, TIME)
    assert told(found, key).startswith("depends on what was learnt")
    assert "hardly depends" in told(replace(found, untaught=found.untaught | {key: [0.9, 0.8]}), key)
    assert "cannot be told" in told(replace(found, read_out=0.5), key)
    assert "depends" in told(replace(found, read_out=0.5), (DISTANCE, OCCLUSION, TIME))
    for nothing in (found.maps[key] * 1e-9, np.full_like(found.maps[key], 0.2)):
        assert "nothing to see" in told(replace(found, maps=found.maps | {key: nothing}), key)
