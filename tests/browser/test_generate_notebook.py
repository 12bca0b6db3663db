"""03_generate in a real browser: what a person does with the widget, and what goes wrong on the way."""

import re
import wave

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.weights import EXPORT, save_generator
from lipgan_colab.notebook.widgets import CONSENT, SAMPLE_SPEECH
from lipgan_colab.synthetic.clips import write_speech

PATIENCE = 90_000  # ms: the machine may be busy


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What is uploaded."""
    folder = tmp_path_factory.mktemp("files")
    face = astronaut()
    cv2.imwrite(str(folder / "me.jpg"), face[..., ::-1])
    cv2.imwrite(str(folder / "wall.jpg"), np.full((300, 400, 3), 120, np.uint8))
    write_speech(folder / "hello.wav", seconds=2.0, seed=5)
    (folder / "broken.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt " + bytes(300))
    with wave.open(str(SAMPLE_SPEECH)) as sentence, wave.open(str(folder / "long.wav"), "wb") as long:
        long.setparams(sentence.getparams())  # true speech: in anything else the mouth rests, which is soon made
        words = sentence.readframes(sentence.getnframes())
        long.writeframes((words * 30)[: 60 * sentence.getframerate() * 2])
    (folder / "large.wav").write_bytes(bytes(12 << 20))
    return folder


@pytest.fixture(scope="module")
def page(chromium, server):
    """The notebook with all its cells run."""
    kind, notebooks, url = server
    save_generator(notebooks / "lipgan" / "runs" / "tiny" / EXPORT, LipGANGenerator(GeneratorConfig(width=0.125)))
    page = chromium.new_page(viewport={"width": 1280, "height": 1400})
    page.set_default_timeout(PATIENCE)
    if kind == "lab":
        page.goto(f"{url}/lab/tree/03_generate.ipynb")
        page.get_by_text(re.compile(r"Python 3.* \| Idle")).first.wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
    else:
        page.goto(f"{url}/notebooks/03_generate.ipynb")
        page.wait_for_function("window.Jupyter && Jupyter.notebook && Jupyter.notebook._fully_loaded")
        # Not only connected but ready: the widgets are set up anew at that moment, and older ones vanish.
        page.wait_for_function("Jupyter.notebook.kernel && Jupyter.notebook.kernel.info_reply.banner")
        page.evaluate("Jupyter.notebook.execute_all_cells()")
    page.locator(".lipgan-upload").nth(1).wait_for()
    choose_weights(page, "my run tiny")
    yield page
    page.close()


def choose_weights(page, label):
    listed = page.locator(".lipgan select").filter(has=page.locator("option", has_text="another file")).first
    listed.select_option(listed.locator("option", has_text=label).inner_text())


def upload(page, number, path):
    """Through the upload button of card 1 or 2, as a person does."""
    with page.expect_file_chooser() as chooser:
        page.locator(".lipgan-upload").nth(number - 1).click()
    chooser.value.set_files(path)


def said(page, number):
    """The notice of card 1 or 2 (3: of the last)."""
    card = page.locator(".lipgan-card").nth(number - 1)
    return card.locator(".lipgan-notice")


def says(page, number, text):
    said(page, number).filter(has_text=re.compile(text)).wait_for()


def press(page, label):
    page.locator(".lipgan button:visible", has_text=label).click()


def agree(page):
    page.locator(".lipgan").get_by_text(CONSENT).click()


def keep(page, screenshots, server, name):
    if screenshots:
        screenshots.mkdir(parents=True, exist_ok=True)
        page.locator(".lipgan").screenshot(path=screenshots / f"{server[0]}-{name}.png")


def test_what_cannot_be_used_is_said(page, files, server, screenshots):
    keep(page, screenshots, server, "empty")
    upload(page, 1, files / "wall.jpg")
    says(page, 1, "wall.jpg: no face found")
    upload(page, 2, files / "broken.wav")
    says(page, 2, "broken.wav")
    press(page, "Generate")
    says(page, 3, "There is no face yet")
    keep(page, screenshots, server, "refused")


def test_a_photo_speaks_and_the_video_plays_with_sound(page, files, server, screenshots):
    upload(page, 1, files / "me.jpg")
    says(page, 1, "me.jpg: 512 x 512, one face")
    page.wait_for_function("document.querySelector('.lipgan img').naturalWidth > 0")
    upload(page, 2, files / "hello.wav")
    says(page, 2, "hello.wav: 2.0 s")
    press(page, "Generate")
    says(page, 3, "Please tick")
    agree(page)
    press(page, "Generate")
    says(page, 3, "50 frames, 2.00 s")
    video = page.locator(".lipgan video")
    video.wait_for()
    video.evaluate("video => video.play()")
    page.wait_for_function("document.querySelector('.lipgan video').currentTime > 0.5")
    about = video.evaluate("v => [v.videoWidth, v.videoHeight, v.duration, v.webkitAudioDecodedByteCount]")
    assert about[:2] == [512, 512] and 1.9 < about[2] < 2.2 and about[3] > 0
    made = list((server[1] / "lipgan" / "results").glob("me-hello-*.mp4"))
    assert len(made) == 1
    with page.expect_download() as download:
        page.get_by_text("Download", exact=True).click()
    assert download.value.suggested_filename == made[0].name
    with open(download.value.path(), "rb") as file:
        assert file.read() == made[0].read_bytes()
    keep(page, screenshots, server, "done")


def test_a_large_upload_that_gets_lost_is_said_and_the_next_one_arrives(page, files, server, screenshots):
    upload(page, 2, files / "large.wav")
    says(page, 2, "has not arrived")
    keep(page, screenshots, server, "lost")
    upload(page, 2, files / "long.wav")
    says(page, 2, "long.wav: 60.0 s")


def test_cancel_stops_and_leaves_nothing(page, server, screenshots):
    before = sorted((server[1] / "lipgan" / "results").iterdir())
    press(page, "Generate")
    says(page, 3, r"of 1500 frames")
    press(page, "Cancel")
    says(page, 3, "Cancelled; nothing was saved")
    assert sorted((server[1] / "lipgan" / "results").iterdir()) == before


def test_no_cell_shows_an_error(page):
    assert page.locator(".jp-OutputArea-output[data-mime-type*='error'], .output_error").count() == 0
