"""The page of a study in a real browser: answered by mouse and by keyboard, left and taken up again, counted."""

import csv
import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from lipgan_colab.evaluation.judges.count import count_answers
from lipgan_colab.evaluation.judges.key import SIDES, TRUTH, read_key
from lipgan_colab.evaluation.judges.make import make_study

sys.path.append(str(Path(__file__).parents[1] / "evaluation" / "judges"))

CLIPS, CHECKS = 12, 2
NARROW = {"width": 360, "height": 640}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Twelve pairs, two of them checks."""
    from judged_films import CLIPS as NAMES
    from judged_films import write_clips

    folder = tmp_path_factory.mktemp("judged")
    for maker, level in (("videos", 200), ("zebra", 120), ("yak", 60)):
        write_clips(folder / maker, level, NAMES[:CLIPS], count=14)
    compare = [str(folder / "zebra"), str(folder / "yak")]
    make_study(compare, folder / "study", folder / "videos", checks=CHECKS, measures=False, send_to="Zoe")
    return folder / "study"


@pytest.fixture
def context(chromium):
    context = chromium.new_context(accept_downloads=True, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    yield context
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "blob:"))] == []  # no network


def opened(context, study, form):
    page = context.new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(f"{(study / 'page/index.html').as_uri()}#{form + 1}")
    return page


def better(key, trial):
    """Where the zebra's film is, or the truth beside a check."""
    return next(
        side for side, name in zip(SIDES, trial.films, strict=True) if key.films[name].system in ("zebra", TRUTH)
    )


def wait_for(page, number):
    page.get_by_text(f"{number} of {CLIPS}", exact=True).wait_for()


def by_mouse(page, key, trial):
    for button in ("Play A", "Play B"):
        assert page.locator("[data-answer]").first.is_disabled()  # not before both were seen
        page.get_by_text(button, exact=True).click()
        page.locator("figure.judge-playing video").evaluate("v => v.ended || new Promise(r => v.onended = r)")
    for question in key.questions:
        page.locator(f"[data-question={question}] [data-answer={better(key, trial)}]").click()
    page.locator(".judge-main").click()


def by_keyboard(page, key, trial):
    right, wrong = ("a", "b") if better(key, trial) == "left" else ("b", "a")
    for key_pressed in ("a", "b", "Enter"):  # nothing was seen yet: nothing happens
        page.keyboard.press(key_pressed)
    page.keyboard.press(" ")
    page.locator("[data-answer]:not([disabled])").first.wait_for()
    page.keyboard.press(wrong)
    page.keyboard.press("Backspace")
    page.keyboard.press(right)
    page.keyboard.press({"a": "ArrowLeft", "b": "ArrowRight"}[right])
    page.keyboard.press("Enter")


def test_twelve_pairs_by_mouse_and_keyboard_left_and_taken_up_again(context, study, screenshots, tmp_path):
    key, form = read_key(study), 3
    page = opened(context, study, form)
    assert page.get_by_text("Start", exact=True).is_disabled()  # who does not agree does not begin
    for box in page.locator("input[type=checkbox]").all():
        box.check()
    page.get_by_text("Start", exact=True).click()
    for number, trial in enumerate(key.forms[form][:5]):
        wait_for(page, number + 1)
        by_mouse(page, key, trial)
    wait_for(page, 6)
    stale = page  # a tab that stays open
    page = opened(context, study, 9)  # another form is asked for, and one's own goes on
    page.set_viewport_size(NARROW)
    page.get_by_text(f"5 of {CLIPS} are done").wait_for()
    page.get_by_text("Go on").click()
    for number, trial in enumerate(key.forms[form][5:], 6):
        wait_for(page, number)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= NARROW["width"]
        boxes = [film.bounding_box() for film in page.locator("video").all()]
        assert boxes[1]["y"] > boxes[0]["y"] + boxes[0]["height"]  # below one another
        by_keyboard(page, key, trial)
    page.get_by_text("That was the last one").wait_for()
    by_keyboard(stale, key, key.forms[form][5])  # the other tab, which still asks what was answered, takes nothing away
    stale.get_by_text("That was the last one").wait_for()
    page.reload()
    page.get_by_text("send it back to Zoe").wait_for()
    with page.expect_download() as download:
        page.get_by_text("Download the answers").click()
    download.value.save_as(tmp_path / download.value.suggested_filename)
    (tmp_path / "copied.txt").write_text(page.locator("textarea").input_value())
    if screenshots:
        page.screenshot(path=screenshots / "judges_end.png", full_page=True)
    told = json.loads((tmp_path / "copied.txt").read_text())
    assert told["form"] == form and told["name"] == "" and len(told["answers"]) == 2 * CLIPS
    counted = count_answers(study, [tmp_path], tmp_path / "counted")
    (judge,), (refused,) = counted.judges, counted.refused  # the text is the file again
    assert len(judge.answers) == 2 * CLIPS and "the same judge" in refused.why
    rows = list(csv.DictReader((tmp_path / "counted/counted.csv").open()))
    assert Counter(row["answer"] for row in rows) == {"zebra": 20, TRUTH: 4} and {row["passed"] for row in rows} == {
        "yes"
    }
    page.get_by_text("Another person, at this machine").click()
    page.get_by_text("Start", exact=True).wait_for()
    page.evaluate("name => localStorage.setItem(name, '{\"form\": 99}')", f"lipgan-judge-{key.study}")
    page.reload()  # what is kept may be damaged
    page.get_by_text("Start", exact=True).wait_for()
    assert not page.wrong + stale.wrong
