"""03_generate in a real browser: what a person does with the widget, and what goes wrong on the way."""

import re
import wave
from contextlib import suppress

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
    """The notices of card 1 or 2 (3: of the last; before it comes the part of a film)."""
    card = page.locator(".lipgan-card").nth({1: 0, 2: 1, 3: 3}[number])
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


def saved(page, row):
    """The name and content of what the download button of a result gives."""
    with page.expect_download() as download:
        row.get_by_role("button", name="Download").click()
    with open(download.value.path(), "rb") as file:
        return download.value.suggested_filename, file.read()


def over(page, label):
    """The button over a face."""
    return page.locator(".lipgan-face", has_text=label)


def test_what_cannot_be_used_is_said(page, files, server, screenshots):
    keep(page, screenshots, server, "empty")
    names = page.locator(".lipgan-upload").all_inner_texts()
    assert [name.strip() for name in names] == ["Photo or video", "Speech"]  # and no "(0)"
    assert page.locator(".lipgan [title=null]").count() == 0
    assert page.get_by_label("Path of the photo or video").count() == 1
    upload(page, 1, files / "wall.jpg")
    says(page, 1, "^wall.jpg: no face found")
    page.wait_for_function("document.activeElement.matches('.lipgan-upload')")  # a keyboard goes on from there
    upload(page, 2, files / "broken.wav")
    says(page, 2, "^broken.wav")
    press(page, "Generate")
    says(page, 3, "There is no face yet")
    keep(page, screenshots, server, "refused")


def test_a_photo_speaks_and_the_video_plays_with_sound(page, files, server, screenshots):
    upload(page, 1, files / "me.jpg")
    says(page, 1, "me.jpg: 512 x 512, one face")
    page.wait_for_function("document.querySelector('.lipgan-faces img').naturalWidth > 0")
    page.get_by_role("img", name="Your picture: the face found").wait_for()
    upload(page, 2, files / "hello.wav")
    says(page, 2, "hello.wav: 2.0 s")
    press(page, "Generate")
    says(page, 3, "Please tick")
    agree(page)
    page.get_by_role("button", name="Generate").focus()
    page.keyboard.press("Enter")
    says(page, 3, "50 frames, 2.00 s")
    assert page.evaluate("document.activeElement.textContent").strip() == "Generate"  # it is not lost meanwhile
    video = page.locator(".lipgan video")
    video.wait_for()
    video.evaluate("video => video.play()")
    page.wait_for_function("document.querySelector('.lipgan video').currentTime > 0.5")
    about = video.evaluate("v => [v.videoWidth, v.videoHeight, v.duration, v.webkitAudioDecodedByteCount]")
    assert about[:2] == [512, 512] and 1.9 < about[2] < 2.2 and about[3] > 0
    made = list((server[1] / "lipgan" / "results").glob("me-hello-*.mp4"))
    assert len(made) == 1
    assert saved(page, page.locator(".lipgan-row").first) == (made[0].name, made[0].read_bytes())
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


def test_two_people_are_chosen_by_clicks_in_a_part_of_a_film(page, files, server, screenshots, shared):
    upload(page, 1, shared / "data" / "tricky" / "two_faces_s1_s4.mp4")
    says(page, 1, "2 faces; click on who speaks")
    strip = page.locator(".lipgan-strip")
    strip.locator("img").nth(9).wait_for()
    width = strip.bounding_box()["width"]
    handle = page.locator(".lipgan .noUi-handle:visible, .lipgan .ui-slider-handle:visible").first
    handle.scroll_into_view_if_needed()
    place = handle.bounding_box()
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + width / 6, y, steps=4)
    page.mouse.up()
    page.get_by_text(re.compile(r"From 0\.[45] s of 3\.0 s on")).wait_for()
    end = page.locator(".lipgan input[placeholder=end]")
    end.fill("0:01.2")
    end.press("Enter")
    page.get_by_text(re.compile(r"0\.[45] s to 1\.2 s of 3\.0 s")).wait_for()
    keep(page, screenshots, server, "part")
    for number, other in ((1, 2), (2, 1)):
        choose_face(page, number, other)
    shown = over(page, "Face 2"), page.locator(".lipgan-faces img")
    for element in shown:
        element.wait_for()  # the picture is drawn anew with each choice
    face, picture = (element.bounding_box() for element in shown)
    assert 0.5 < (face["x"] - picture["x"]) / picture["width"] < 0.9


def choose_face(page, number, other):
    """By the keyboard; again where the faces at the part's beginning have come meanwhile, which are chosen anew."""
    from playwright.sync_api import TimeoutError as TookTooLong

    chosen = over(page, f"Face {number} of 2, from the left: chosen")
    left = over(page, f"Face {other} of 2").filter(has_not_text="chosen")
    button = page.locator(".lipgan .mod-active", has_text=re.compile(f"^{number}$"))
    for _ in range(6):
        over(page, f"Face {number} of 2").focus()
        page.keyboard.press("Enter")
        with suppress(TookTooLong):
            for shown in (chosen, left, button):
                shown.wait_for(timeout=5000)
            return
    for shown in (chosen, left, button):
        shown.wait_for()


def test_two_voices_are_previewed_and_made(page, files, server, screenshots):
    press(page, "Add another voice")
    upload(page, 2, files / "hello.wav")
    says(page, 2, "hello.wav: 2.0 s")
    upload(page, 3, files / "hello.wav")
    said(page, 2).filter(has_text="hello.wav: 2.0 s").nth(1).wait_for()
    results = server[1] / "lipgan" / "results"
    before = sorted(results.iterdir())
    press(page, "Preview")
    says(page, 3, "the face, what is changed")
    sheet = page.get_by_role("img", name="Six moments of the preview").element_handle()
    page.wait_for_function("image => image.naturalWidth > 1000", arg=sheet)
    assert sorted(results.iterdir()) == before
    keep(page, screenshots, server, "preview")
    press(page, "Generate")
    says(page, 3, r"75 frames, 3\.00 s; dubbed: 0\.\d+-1\.2 s(.|\n)*person 2: hello\.wav(.|\n)*person 1: hello\.wav")
    assert len(list(results.iterdir())) == len(before) + 1
    keep(page, screenshots, server, "two-voices")
    page.locator(".lipgan-voice").nth(1).get_by_role("button", name="Remove").click()
    page.locator(".lipgan-voice").first.wait_for(state="detached")


def test_results_are_played_saved_and_deleted(page, server, screenshots):
    newest, oldest = sorted((server[1] / "lipgan" / "results").iterdir(), key=lambda path: -path.stat().st_mtime)
    page.get_by_text("Videos made so far (2)").wait_for()
    rows = page.locator(".lipgan-row")
    rows.nth(0).get_by_role("button", name="Close").click()  # it was played when it had been made
    rows.locator("video").wait_for(state="detached")
    assert oldest.name in rows.nth(1).inner_text()
    page.get_by_role("img", name=f"The first frame of {oldest.name}").wait_for()
    assert saved(page, rows.nth(1)) == (oldest.name, oldest.read_bytes())
    rows.nth(0).get_by_role("button", name="Play").click()
    video = rows.nth(0).locator("video")
    video.wait_for()
    page.wait_for_function("video => video.videoWidth === 720", arg=video.element_handle())
    assert saved(page, rows.nth(0)) == (newest.name, newest.read_bytes())
    assert rows.locator("video").count() == 1
    rows.nth(1).get_by_role("button", name="Delete").click()
    keep(page, screenshots, server, "results")
    rows.nth(1).get_by_role("button", name="Yes, delete it for good").click()
    page.get_by_text("Videos made so far (1)").wait_for()
    assert not oldest.exists() and newest.exists()


def test_a_narrow_window_cuts_nothing_off(page, server, screenshots):
    page.set_viewport_size({"width": 700 if server[0] == "lab" else 540, "height": 1400})
    page.wait_for_function("document.querySelector('.lipgan').clientWidth < 480")
    outside = """() => {
      const right = document.querySelector('.lipgan').getBoundingClientRect().right + 1;
      const seen = [...document.querySelectorAll('.lipgan *')].filter(e => e.getBoundingClientRect().width > 1);
      return seen.filter(e => e.getBoundingClientRect().right > right).map(e => e.className);
    }"""
    assert page.evaluate(outside) == []
    consent = page.locator(".lipgan label", has_text=CONSENT[:20])
    assert consent.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    keep(page, screenshots, server, "narrow")
    page.locator(".lipgan-fold").first.focus()
    page.keyboard.press("Enter")
    page.get_by_text("Room for the chin").wait_for()
    assert page.evaluate(outside) == []


def test_no_cell_shows_an_error(page):
    assert page.locator(".jp-OutputArea-output[data-mime-type*='error'], .output_error").count() == 0


def test_after_a_restart_it_says_what_to_run(page, server):
    if server[0] == "lab":
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_text("Restart Kernel…", exact=True).click()
        page.locator(".jp-Dialog .jp-mod-accept").click()
    else:
        page.evaluate("Jupyter.notebook.kernel.restart()")
    page.locator(".lipgan.jupyter-widgets-disconnected").wait_for()
    told = "getComputedStyle(document.querySelector('.lipgan'), '::before').content"
    assert "Run all cells again" in page.evaluate(told)
    assert not page.locator(".lipgan-card").first.is_visible()
