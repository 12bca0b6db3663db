"""The widget without a browser: what its callbacks do, say and leave behind."""

import base64

import cv2
import ipywidgets
import numpy as np
import pytest
from skimage.data import astronaut, colorwheel

from lipgan_colab.media.video import probe_video
from lipgan_colab.media.writing import write_video
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.weights import EXPORT, save_generator
from lipgan_colab.notebook.widgets import GenerateWidget
from lipgan_colab.synthetic.clips import write_speech
from lipgan_colab.workspace import open_workspace


@pytest.fixture
def workspace(tmp_path):
    """A workspace with one run, whose generator is small and knows nothing."""
    made = open_workspace(tmp_path / "work", drive="off")
    save_generator(made.runs / "tiny" / EXPORT, LipGANGenerator(GeneratorConfig(width=0.125)))
    return made


@pytest.fixture
def speech(tmp_path):
    path = tmp_path / "hello.wav"
    write_speech(path, seconds=1.0, seed=3)
    return path


@pytest.fixture
def ready(workspace, speech):
    """A widget with which only Generate has to be pressed."""
    widget = GenerateWidget(workspace)
    widget.face.buttons["Sample photo"].click()
    first(widget).speech.path.value = str(speech)
    widget.consent.value = True
    widget.weights.list.value = str(workspace.runs / "tiny")
    assert widget.face.notice.text.endswith("one face"), widget.face.notice.text
    return widget


def first(widget):
    return widget.voices.voices[0]


def inside(box):
    """All widgets in one."""
    for child in getattr(box, "children", ()):
        yield child
        yield from inside(child)


def videos_in(box):
    return [child for child in inside(box) if isinstance(child, ipywidgets.Video)]


def text_of(box):
    return " ".join(child.value for child in inside(box) if isinstance(child, ipywidgets.HTML))


def test_a_photo_speaks_twice_in_a_row(ready, workspace):
    for n in (1, 2):
        ready.button.click()
        ready.wait()
        assert len(list(workspace.results.glob("astronaut-hello-*.mp4"))) == n, ready.notice.text
    report = ready.state.made[-1]
    assert probe_video(report.path).has_sound and report.frames == 25
    (video,) = videos_in(ready.results.box)  # of two the newer one
    assert video.value == report.path.read_bytes()
    assert not ready.button.disabled and ready.cancel_button.layout.display == "none"
    assert "C2PA" not in ready.notice.text and "C2PA" in ready.notice.box.value  # folded away
    assert "25 frames" in ready.notice.text


def test_of_what_is_no_human_face_it_is_told_how_it_speaks(ready, tmp_path):
    wheel = tmp_path / "wheel.png"
    cv2.imwrite(str(wheel), colorwheel()[..., 2::-1])
    ready.face.path.value = str(wheel)
    assert ready.face.notice.text.endswith("it speaks with “Animals and drawings may speak, too”")
    ready.button.click()
    ready.wait()
    assert "insist with “Animals and drawings may speak, too”" in ready.notice.text
    ready.adjust.any_face.value = True
    ready.button.click()
    ready.wait()
    assert ready.state.made[-1].frames == 25, ready.notice.text


def test_the_face_found_is_drawn_into_the_picture(ready):
    picture = ready.voices.picture.image.value
    assert (
        '<img alt="Your picture: the face found" src="data:image/jpeg' in picture
        and ready.voices.picture.box.layout.display == ""
    )
    assert first(ready).person.layout.display == "none"  # there is only one


@pytest.mark.parametrize(
    "lacks, sentence",
    [("face", "no face yet"), ("speech", "no speech yet"), ("weights", "no model yet"), ("consent", "tick")],
)
def test_what_is_missing_is_said_and_can_be_given(ready, workspace, lacks, sentence):
    before = ready.state.face, first(ready).path
    if lacks == "face":
        ready.state.face = None
    elif lacks == "speech":
        first(ready).path = None
    elif lacks == "weights":
        ready.weights.list.value = "other"
    else:
        ready.consent.value = False
    ready.button.click()
    assert sentence in ready.notice.text and ready.state.work is None
    ready.state.face, first(ready).path = before
    ready.weights.list.value = str(workspace.runs / "tiny")
    ready.consent.value = True
    if lacks == "face":
        ready.face.buttons["Sample photo"].click()
    elif lacks == "speech":
        first(ready).speech.buttons["Sample speech"].click()
        first(ready).path = before[1]
    assert not ready.notice.text  # it is there now
    ready.button.click()
    ready.wait()
    assert ready.state.made


def test_cancel_leaves_nothing_and_the_next_one_works(ready, workspace, tmp_path):
    write_speech(tmp_path / "long.wav", seconds=20.0, seed=4)
    first(ready).speech.path.value = str(tmp_path / "long.wav")
    ready.button.click()
    ready.button.click()  # pressed twice: still one work
    ready.cancel_button.click()
    ready.wait()
    assert ready.notice.text == "Cancelled; nothing was saved." and not list(workspace.results.iterdir())
    first(ready).speech.path.value = str(tmp_path / "hello.wav")
    ready.button.click()
    ready.wait()
    assert len(ready.state.made) == 1


def test_an_unexpected_error_is_one_line_with_its_calls_folded_away(ready, workspace):
    def broken(*_):
        raise RuntimeError("a <b>strange</b>\nthing")

    ready._show_result = broken
    ready.button.click()
    ready.wait()
    assert ready.notice.text == "This should not have happened. RuntimeError: a <b>strange</b> thing"
    shown = ready.notice.box.value
    assert "<details>" in shown and "Traceback" in shown.partition("<details>")[2]
    assert "Traceback" not in shown.partition("<details>")[0] and "<b>" not in shown
    assert not ready.button.disabled


def test_damaged_weights_are_named(ready, workspace):
    (workspace.runs / "tiny" / EXPORT).write_bytes(b"no weights at all")
    ready.button.click()
    ready.wait()
    assert EXPORT in ready.notice.text and "not a file of weights" in ready.notice.text


def test_bad_files_are_said_where_they_were_given(ready, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF" + bytes(50))
    first(ready).speech.path.value = str(tmp_path / "broken.wav")
    assert "broken.wav" in first(ready).speech.notice.text and first(ready).path is None
    first(ready).speech.path.value = str(tmp_path / "missing.wav")
    assert "no such file" in first(ready).speech.notice.text
    ready.face._on_upload({"new": ({"name": "notes.txt", "content": b"words\n" * 20},)})
    told = "notes.txt: this is no picture or video, or it is cut off; use another copy"
    assert ready.face.notice.text == told  # nor does it say where uploads lie
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((80, 80, 3), 200, np.uint8))
    ready.face.path.value = str(tmp_path / "wall.png")
    assert "wall.png: no face found" in ready.face.notice.text
    assert ready.state.face is None and ready.voices.picture.box.layout.display == "none"


def test_one_of_two_people_is_chosen_and_speaks(ready, shared, tmp_path):
    ready.face.path.value = str(shared / "data" / "tricky" / "two_faces_s1_s4.mp4")
    assert "2 faces" in ready.face.notice.text and first(ready).person.layout.display == ""
    pictures, points = [], []
    for number in (0, 1):
        first(ready).person.value = number
        pictures.append(ready.voices.picture.image.value)
        points.append(ready.options().person)
    assert points[0][0] < points[1][0] and pictures[0] != pictures[1]
    ready.part.to_field.value = "0.4"
    ready.button.click()
    ready.wait()
    assert ready.state.made, ready.notice.text


def test_two_people_are_previewed_and_nothing_is_kept(ready, shared, workspace):
    ready.face.path.value = str(shared / "data" / "tricky" / "two_faces_s1_s4.mp4")
    ready.voices.add.click()
    first(ready).to_field.value = "0.4"
    second = ready.voices.voices[1]
    second.speech.path.value = str(first(ready).path)
    second.from_field.value, second.to_field.value = "0.4", "0.6"
    ready.consent.value = False
    ready.preview_button.click()
    assert "tick" in ready.notice.text
    ready.consent.value = True
    ready.preview_button.click()
    ready.wait()
    assert "what is changed" in ready.notice.text and not list(workspace.results.iterdir())
    picture = base64.b64decode(ready.result.children[0].value.rpartition("base64,")[2].strip('">'))
    sheet = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape[0] > 500 and not ready.preview_button.disabled


def test_a_preview_can_be_cancelled(ready):
    ready.preview_button.click()
    ready.cancel()
    ready.wait()
    assert ready.notice.text == "Cancelled; nothing was saved." and not ready.result.children


def test_a_part_of_a_film_is_dubbed_and_stored_as_chosen(ready, shared, workspace):
    assert ready.part.box.layout.display == "none"  # a photo has no parts
    film = shared / "data" / "reports" / "interview.mp4"
    ready.face.path.value = str(film)
    assert ready.part.box.layout.display == ""
    assert (ready.options().from_, ready.options().to, ready.options().keep_length) == (None, None, "speech")
    ready.part.length.value = "film"
    assert ready.options().keep_length == "film"
    he = ready.voices.picture.image.value
    ready.part.slider.value = (2.0, 2.4)
    assert ready.voices.picture.image.value != he  # she is seen then
    assert (ready.options().from_, ready.options().to) == (2.0, 2.4)
    ready.adjust.codec.value = "prores"
    ready.button.click()
    ready.wait()
    (made,) = workspace.results.glob("interview-hello-*.mov")
    assert abs(probe_video(made).duration - probe_video(film).duration) < 0.1, ready.notice.text
    assert "dubbed: 2-2.4 s" in ready.notice.text and "Not every browser plays" in text_of(ready.results.box)


def test_a_film_that_begins_without_a_face_can_be_entered_later(ready, tmp_path, monkeypatch):
    monkeypatch.setattr("lipgan_colab.notebook.face_view.LOOK_FOR", 1.0)
    photo = cv2.resize(astronaut(), (256, 256))
    write_video(tmp_path / "late.mp4", [np.full_like(photo, 90)] * 10 + [photo] * 3, 5)
    ready.face.path.value = str(tmp_path / "late.mp4")
    assert "no face found" in ready.face.notice.text and ready.state.face is None
    ready.part.slider.value = (2.0, 2.6)
    assert ready.state.face == tmp_path / "late.mp4" and ready.face.notice.text.endswith("one face")


def test_errors_name_the_controls_of_the_part(ready, shared):
    ready.face.path.value = str(shared / "data" / "reports" / "interview.mp4")
    ready.voices.add.click()
    second = ready.voices.voices[1]
    second.speech.path.value = str(first(ready).path)
    ready.button.click()
    ready.wait()
    assert "“Who speaks”" in ready.notice.text and "`" not in ready.notice.text


def test_results_are_listed_after_the_cell_is_run_again(ready, workspace):
    ready.button.click()
    ready.wait()
    again = GenerateWidget(workspace)
    again.results.look()
    assert [row.path for row in again.results.rows] == [ready.state.made[0].path]
    (row,) = ready.results.rows
    row.delete.click()
    row.really.click()
    assert not ready.results.rows and not list(workspace.results.iterdir())
    assert ready.results.fold.title == "Videos made so far (0)"


def test_the_words_of_the_sliders_reach_the_options(ready):
    ready.adjust.sync.value, ready.adjust.sharpen.value, ready.adjust.chin.value, ready.adjust.yaw.value = (
        2,
        0.5,
        0.1,
        30,
    )
    ready.adjust.smile.value = "own"
    ready.adjust.pauses.value, ready.adjust.mark.value = "strict", True
    ready.adjust.cuts.value, ready.adjust.any_face.value = "anybody", True
    assert ready.adjust.ending == ".mp4" and ready.options().crf is None
    ready.adjust.codec.value, ready.adjust.quality.value = "h265", 23
    assert (ready.options().codec, ready.options().crf) == ("h265", 23)
    ready.adjust.lossless.value = True
    assert ready.options().lossless and ready.options().crf is None
    ready.adjust.codec.value = "prores"
    assert not ready.options().lossless and ready.adjust.ending == ".mov"
    options = ready.options()
    assert options.after_cuts == "anybody" and options.any_face
    assert options.reference_mouth == "own"
    assert (options.sync_offset, options.sharpen, options.pads[2], options.largest_yaw) == (2, 0.5, 0.1, 30.0)
    assert options.pauses == "strict" and options.mark and options.consent


def test_options_are_named_by_what_stands_beside_them(ready, shared, tmp_path):
    ready.adjust.pauses.value, ready.adjust.smile.value, ready.adjust.chin.value = "strict", "own", 0.1
    ready.weights.list.value = "starter"
    first(ready).speech.path.value = str(shared / "data" / "speech" / "noise_3s.wav")
    ready.button.click()
    ready.wait()
    told = ready.notice.text
    assert "with “The mouth: never rests” every sound moves it" in told, told
    assert "no use for “A photo's open mouth”, “Room for the chin”" in told and "`" not in told


def test_a_video_of_names_as_long_as_names_can_be(ready, speech, workspace):
    photo = ready.state.face.read_bytes()
    title = "नमस्ते" * 14  # a Hindi title: three bytes a letter
    for box, content, ending in ((ready.face, photo, ".png"), (first(ready).speech, speech.read_bytes(), ".wav")):
        name = f"{title}{'x' * (242 - len(title.encode()))}"[-400:]
        name = name.encode()[:242].decode(errors="ignore") + ending
        box._on_upload({"new": ({"name": name, "content": content},)})
    ready.button.click()
    ready.wait()
    (made,) = workspace.results.glob("*.mp4")
    assert made.name.startswith("नमस्ते") and made.name.count("-") == 3, ready.notice.text
    assert ready.notice.text.startswith("results/नमस्ते")


def test_a_large_video_is_not_played_but_named(ready, monkeypatch):
    monkeypatch.setattr("lipgan_colab.notebook.result_row.LARGEST_SHOWN", 100)
    ready.button.click()
    ready.wait()
    assert not videos_in(ready.results.box)
    assert str(ready.state.made[0].path) in text_of(ready.results.box)
