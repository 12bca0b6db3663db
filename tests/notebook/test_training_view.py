import base64
import os
import re
import time
from io import BytesIO

import numpy as np
from PIL import Image

from lipgan_colab.notebook import training_view
from lipgan_colab.training.checkpoint import write_checkpoint
from lipgan_colab.training.previews import write_picture

LOG = "step,samples,minutes,samples_per_second,gpu_gb,l1\n40,320,0.5,6.0,,0.5\n50,400,1.0,12.5,3.21,0.25\n"


def test_a_run_is_shown_with_when_it_reached_drive(tmp_path):
    run, local = tmp_path / "drive" / "first<1>", tmp_path / "disk"
    local.mkdir()
    empty = training_view.view(run, local)
    assert "nothing in its log yet" in empty and "not saved to Drive yet" in empty
    (local / "log.csv").write_text(LOG)
    (local / "config.json").write_text('{"steps": 200}')
    saved = write_checkpoint(run / "checkpoints", 40, {"step": 40})
    os.utime(saved.path, (time.time() - 185, time.time() - 185))
    shown = training_view.view(run, local, "a GPU<2>")
    for part in (
        "step 50 of 200, about 8 minutes left",
        "width: 25.0%",
        "12.5 samples a second on a GPU&lt;2&gt; · 3.21 GB of the GPU&#x27;s memory used · ",
        "picture error 0.250 (lower is better) · last saved to Drive 3 minutes ago (step 40)",
        "first&lt;1&gt;",
    ):
        assert part in shown, part
    assert "to Drive" not in training_view.view(run, run) and "NO GPU" not in shown
    assert "run the cell again to go on" in training_view.view(run, local, going_on=False)
    (local / "config.json").write_text('{"steps": 50}')
    assert "step 50 of 50: done" in training_view.view(run, local, going_on=False)


def test_a_face_is_shown_from_the_first_preview_to_the_newest(tmp_path):
    """Each preview has its own grey; the fourth face alone has another mouth than its reference, and is green."""
    for n in range(12):
        picture = np.full((5 * 8, 4 * 8, 3), 20 * n, np.uint8)
        picture[24:32, 16:] = 0, 200, 0
        write_picture(tmp_path / "previews" / f"step-{n:08}.png", picture)
        if n == 0:
            assert training_view.view(tmp_path, tmp_path).count("<img") == 1
    shown = training_view.view(tmp_path, tmp_path)
    assert all(f"<span>{name}</span>" in shown for name in ("reference", "masked", "generated", "real"))
    assert "Faces after step 11" in shown
    last = Image.open(BytesIO(base64.b64decode(re.findall(r"base64,([^\"]+)", shown)[-1])))
    assert last.size == (8, 8) and last.getpixel((4, 4))[1] > 150 > 50 > last.getpixel((4, 4))[0]
    assert shown.count("<figcaption>step ") == 7 and "<figcaption>real" in shown
    assert "<figcaption>step 0<" in shown and "<figcaption>step 11<" in shown


def test_without_a_gpu_it_is_said_how_long_lips_take(tmp_path):
    assert "is being measured" in training_view.view(tmp_path, tmp_path, without_gpu="NO GPU<1>")
    (tmp_path / "log.csv").write_text(LOG)  # 80 samples in half a minute
    shown = training_view.view(tmp_path, tmp_path, without_gpu="NO GPU<1>")
    assert "NO GPU&lt;1&gt;" in shown and "At the 2.7 a second measured here they take 5.2 hours." in shown


def test_a_run_is_looked_at_while_it_goes_on_and_at_its_end(tmp_path, monkeypatch):
    class Shown:
        def __init__(self):
            self.pages = []

        def update(self, page):
            self.pages.append(page.data)

    shown = Shown()
    monkeypatch.setattr("IPython.display.display", lambda page, display_id: shown)
    with training_view.TrainingView(tmp_path, tmp_path, every=0.02):
        deadline = time.monotonic() + 20
        while not shown.pages and time.monotonic() < deadline:
            time.sleep(0.01)
        (tmp_path / "log.csv").write_text("step,samples_per_second,l1\n3,1.0,0.5\n")
    assert "nothing in its log yet" in shown.pages[0] and "step 3;" in shown.pages[-1]
    assert "run the cell again" in shown.pages[-1] and "run the cell again" not in shown.pages[0]
