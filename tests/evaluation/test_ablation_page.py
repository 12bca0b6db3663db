"""A study's page: its answers are compare's, names are text, and what is missing is said."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation import comparison
from lipgan_colab.evaluation.ablation_page import plain, write_page
from lipgan_colab.evaluation.ablation_pictures import MOST_BYTES, frames_picture
from lipgan_colab.evaluation.arm_results import ArmRun, Score, read_results
from lipgan_colab.evaluation.comparison import compare, mean, verdict
from lipgan_colab.evaluation.report_page import CAPTION
from lipgan_colab.evaluation.shown_crops import write_crops

ODD = "a|b *$x$* <img src=x>\n`c` \udcff 中"
MEASURES = ["range", "psnr_lips"]
EFFECTS = {("lips-6", "range"): 0.2, ("lips-6", "psnr_lips"): -3.0}


def made(folder: Path, arms=("base", "lips-6", ODD), seeds=3) -> tuple[list[Score], list[ArmRun], Path]:
    """A study's scores and runs with logs and frames; "lips-6" moves the mouth more and is a worse picture."""
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 255, (12, 36, 3), np.uint8), (288, 96))
    shown = {"s0/0.mpg": picture, "s1/2.mpg": picture[::-1]}
    scores, runs = [], []
    write_crops(folder / "truth.png", shown)
    for a, arm in enumerate(arms):
        for seed in range(seeds):
            log, frames = folder / f"log-{a}-{seed}.csv", folder / f"frames-{a}-{seed}.png"
            rows = [f"{step},{step * 30},{1 / step + 0.01 * a:.6f}" for step in range(10, 200, 10)]
            log.write_text("\n".join(["step,samples,l1", *rows, "190,57", ""]))  # the last one was cut short
            write_crops(frames, {clip: cv2.blur(row, (3 + 2 * a, 3)) for clip, row in shown.items()})
            runs.append(ArmRun(arm, seed, {"lip_weight": 6.0} if a else {}, 100, 3000, 1800.0, log, frames))
            for clip in range(8):
                values = {"range": 0.5 + 0.01 * rng.normal(), "psnr_lips": 25 + clip + 0.1 * rng.normal()}
                values = {name: value + EFFECTS.get((arm, name), 0) for name, value in values.items()}
                scores.append(Score(arm, seed, f"s{clip // 2}/{clip}.mpg", f"s{clip // 2}", values))
    return scores, runs, folder / "truth.png"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    scores, runs, truth = made(folder)
    path = write_page(folder / "out", "Do *lips* help?", ["width 0.25 | GRID"], scores, runs, truth, MEASURES)
    return path, scores, runs


def _rows(text: str, title: str) -> list[list[str]]:
    """The cells of the first table below a title."""
    below = text.split(f"## {title}\n")[1]
    table = re.search(r"(^\|.*\|\n)+", below, re.MULTILINE)[0]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]


def test_the_table_has_the_numbers_of_compare(study):
    path, scores, _ = study
    head, _, base, *arms = _rows(path.read_text(), "Differences to the base")
    assert head[1:] == ["range", r"psnr\_lips"]
    assert [float(cell) for cell in base[1:]] == pytest.approx([mean(scores, "base", m) for m in MEASURES], abs=0.01)
    found = {(plain(d.arm), d.measure): d for d in compare(scores, measures=MEASURES)}
    assert len(arms) == 2
    for name, *cells in arms:
        name = name.encode("ascii", "backslashreplace").decode()
        for measure, cell in zip(MEASURES, cells, strict=True):
            d = next(d for (arm, m), d in found.items() if m == measure and (arm == "lips-6") == (name == "lips-6"))
            numbers = [float(n) for n in re.findall(r"[-+]?[\d.]+", cell.replace("<br>", " "))]
            assert numbers == pytest.approx([d.difference, d.low, d.high], abs=0.05)
            marks = {"better": "▲", "worse": "▼", "cannot tell": ""}
            assert marks[verdict(d)] in cell and ("**" in cell) == d.told


def test_the_answer_is_in_words(study):
    answers = study[0].read_text().split("## In short")[1].split("\n\n")[1]
    lips, odd = answers.splitlines()
    assert re.match(
        r"- \*\*lips-6\*\*: \*\*better\*\* in range \(\+\.[12].*; \*\*worse\*\* in psnr\\_lips \(-2\.9", lips
    )
    assert odd.endswith("cannot tell: all")
    assert "for all 4 comparisons" in study[0].read_text()


def test_what_only_the_correction_leaves_untold_leans(tmp_path, monkeypatch):
    scores, runs, truth = made(tmp_path)
    monkeypatch.setattr(comparison, "holm", lambda p: np.zeros(p.shape, bool))
    path = write_page(tmp_path / "out", "?", [], scores, runs, truth, MEASURES)
    assert "- **lips-6**: leans to better in range (" in path.read_text()
    cells = dict(zip(MEASURES, _rows(path.read_text(), "Differences to the base")[3][1:], strict=True))
    assert cells["range"].startswith("(▲) +") and cells["psnr_lips"].startswith("(▼) -")


def test_names_are_text_and_no_markup(study):
    text = study[0].read_text()
    assert "<img" not in text and "&lt;img src=x&gt;" in text
    assert r"a\|b \*\$x\$\*" in text and r"\`c\`" in text and "中" in text
    assert text.startswith("# Do \\*lips\\* help?\n")
    assert len({len(row) for row in _rows(text, "What it cost")}) == 1  # no cell is cut in two


def test_pictures_and_data_lie_beside_the_page(study):
    path, scores, _ = study
    text = path.read_text()
    shown = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert shown == ["measures.png", "frames.jpg", "curves.png"]
    for name in shown:
        picture = cv2.imread(str(path.parent / name))
        assert picture is not None and 300 < picture.shape[1] <= 1400
    assert "`l1` of log.csv" in text  # there is no held_out_l1
    frames = cv2.imread(str(path.parent / "frames.jpg"))
    # Two clips, their names, and each by the truth and three arms.
    assert frames.shape[0] == 2 * (CAPTION + 4 * (96 + 3)) and np.ptp(frames[50, -288:]) > 100
    kept = read_results(path.parent / "ablation.csv")
    assert [s.values for s in kept] == [s.values for s in scores]
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([*shown, "ablation.md", "ablation.csv"])


def test_what_it_cost_is_told(study):
    rows = _rows(study[0].read_text(), "What it cost")
    assert rows[3] == ["lips-6", r"lip\_weight = 6.0", "3 of 3", "100", "3000", "1800"]
    assert "Together 4.5 hours" in study[0].read_text()


def test_what_is_missing_is_listed(tmp_path):
    scores, runs, truth = made(tmp_path)
    lost = ArmRun("lips-6", 1, {}, 0, 0, 0.0, tmp_path / "none.csv", None, "loss is nan | step 7")
    runs = [replace(run, skipped={"dark.mpg": "no face"}) for run in runs]
    runs[0].skipped["x_y.mpg"] = "short"
    runs[4] = lost
    scores = [s for s in scores if s.arm != "lips-6" or s.seed == 0]
    text = write_page(tmp_path / "out", "?", [], scores, runs, truth, [*MEASURES, "lmd"]).read_text()
    missing = text.split("## What is missing\n\n")[1].split("\n\n")[0]
    assert r"- lips-6, seed 1: loss is nan \| step 7" in missing
    assert r"x\_y.mpg could not be judged (short): base, seed 0" in missing
    assert "dark.mpg could not be judged (no face): 8 runs" in missing and missing.count("dark.mpg") == 1
    assert missing.count("not judged yet") == 1 and missing.count("has no lmd to compare") == 2
    assert "lips-6 has only one seed or one speaker for range" in text
    assert _rows(text, "What it cost")[3][2] == "2 of 3"
    assert "Nothing: every run is there" not in text


def test_mouths_that_are_in_no_face_are_told(tmp_path):
    scores, runs, _ = made(tmp_path, arms=("base", "lips-6"), seeds=2)
    seen = {"lmd": 0.05, "high_passed": 0.0}
    scores = [Score(s.arm, s.seed, s.clip, s.speaker, dict(seen)) for s in scores]
    for score in scores[:3]:
        score.values["lmd"] = float("nan")
    runs = [replace(run, steps=0, missing="not begun") if run.arm == "lips-6" else run for run in runs]
    text = write_page(tmp_path / "out", "?", [], scores, runs, None, ["high_passed", "lmd"]).read_text()
    assert text.count("no face is found again") == 1 and "base: in 3 of 16 judged clips no face" in text
    assert "±.000" not in text, "what is 0 everywhere was not measured so finely"
    assert len({len(row) for row in _rows(text, "What it cost")}) == 1


def test_of_one_seed_the_page_says_that_nothing_is_known_of_seeds(tmp_path):
    scores, runs, truth = made(tmp_path, seeds=1)
    text = write_page(tmp_path, "?", [], scores, runs, truth, MEASURES).read_text()
    assert "**One seed**" in text and "no difference is called better or worse" in text
    assert "**better**" not in text and "▲ +" not in text


@pytest.mark.parametrize("arms", [(), ("base",), ("lips-6",)])
def test_a_page_can_be_written_before_there_is_anything_to_compare(tmp_path, arms):
    scores, runs, truth = made(tmp_path, arms)
    text = write_page(tmp_path / "out", "?", [], scores, runs, truth if runs else None, MEASURES).read_text()
    assert "Nothing can be told yet" in text and "Everything: nothing has been compared" in text
    assert "measures.png" not in text and ("curves.png" in text) == bool(arms)


def test_frames_stay_small_and_those_that_cannot_be_read_are_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (600, 1000, 3), np.uint8)
    write_crops(tmp_path / "frames.png", {"s1/a.mpg": noise})
    run = ArmRun("base", 4, {}, 1, 1, 1.0, tmp_path / "log.csv", tmp_path / "frames.png")
    coded, seed = frames_picture([run], None)
    assert len(coded) <= MOST_BYTES and seed == 4
    cv2.imwrite(str(tmp_path / "frames.png"), noise)  # it does not tell whose the frames are
    with pytest.raises(InputError, match=r"frames\.png"):
        frames_picture([run], None)
    (tmp_path / "frames.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"frames\.png"):
        frames_picture([run], None)


def test_frames_of_the_same_clip_stand_below_one_another(tmp_path):
    """Where one run could not make a clip, the next clip's frames do not slip into its place."""
    grey = {clip: np.full((40, 320, 3), value, np.uint8) for clip, value in (("s1/a.mpg", 60), ("s2/b.mpg", 180))}
    write_crops(tmp_path / "truth.png", grey)
    write_crops(tmp_path / "base.png", {"s2/b.mpg": grey["s2/b.mpg"]})
    run = ArmRun("base", 0, {}, 1, 1, 1.0, tmp_path / "log.csv", tmp_path / "base.png")
    picture = cv2.imdecode(np.frombuffer(frames_picture([run], tmp_path / "truth.png")[0], np.uint8), 0)
    rows = np.round(picture[:, -300:-20].mean(axis=1)).astype(int)
    light, dark = np.flatnonzero(np.abs(rows - 180) < 3), np.flatnonzero(np.abs(rows - 60) < 3)
    assert 74 < len(light) < 86 and 37 < len(dark) < 43 and dark.min() > light.max(), (
        "the clip that all have comes first"
    )


def test_a_learning_curve_that_is_gone_is_told(tmp_path):
    scores, runs, truth = made(tmp_path, ("base", "lips-6"), seeds=1)
    runs[1].log.unlink()
    text = write_page(tmp_path / "out", "?", [], scores, runs, truth, MEASURES).read_text()
    assert "- lips-6, seed 0: its learning curve; log-1-0.csv is gone or empty" in text


def test_curves_prefer_what_was_held_out(tmp_path):
    scores, runs, truth = made(tmp_path, ("base", "lips-6"), seeds=1)
    with runs[1].log.open("w", newline="") as file:
        csv.writer(file).writerows([["samples", "held_out_l1"], [1, 0.5], [2, "nan"], [3, 0.3]])
    assert "`held_out_l1` of log.csv" in write_page(tmp_path, "?", [], scores, runs, truth, MEASURES).read_text()
