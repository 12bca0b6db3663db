"""judge count, from the files that judges sent back to the page."""

import csv
import json
import re
from html.parser import HTMLParser

import pytest
from simulated import made_answers, made_key, written

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.judges.answers import read_answers
from lipgan_colab.evaluation.judges.count import count_answers
from lipgan_colab.evaluation.judges.counted import side_bias, side_sentence
from lipgan_colab.evaluation.judges.key import SCALE, TRUTH

HOSTILE = '<script>alert("1")</script> & $x^2$'


class Page(HTMLParser):
    """Which elements a page has, and what it loads."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.loaded += [value for name, value in attrs if name in ("src", "srcset", "href")]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Who is preferred is known, one judge is careless, and two files are bad."""
    folder = tmp_path_factory.mktemp("study")
    key = made_key(systems=("ours", HOSTILE), clips=8)
    files = made_answers(key, 8, {"ours": 3.0}, careless=[2], seed=2)
    written(folder, key, files)
    (folder / "answers" / "<b>bad.json").write_text("{")
    (folder / "answers" / "again.txt").write_text(json.dumps(files[0]))
    rows = [f"clip{n:02},{system},{lmd},{n}" for n in range(8) for system, lmd in (("ours", 0.1), ("other", 0.2))]
    with (folder / "measures.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "system", "lmd", "psnr"])
        writer.writerows(
            [c, "ours" if s == "ours" else HOSTILE, lmd, p] for c, s, lmd, p in (r.split(",") for r in rows)
        )
    return folder, files, count_answers(folder, [folder / "answers"])


def test_a_known_preference_is_told(study):
    _, _, found = study
    assert [one.favourite for one in found.passed.preferences if one.told] == ["ours", "ours"]
    assert (len(found.judges), found.passed.judges, found.everybody.judges) == (8, 7, 8)
    assert {one.measure: one.agrees for one in found.measures if not one.with_truth and one.question == "sync"}[
        "lmd"
    ] > 0.8
    said = str(found)
    assert "8 judges, of whom 7 passed the checks and 1 did not" in said and "ours preferred" in said
    assert "<b>bad.json: it is no file of answers" in said and "the same judge as" in said
    assert "\x1b" not in said and re.search(
        r"judge \d: \d of 6 answers to checks right, 5 are needed; not counted", said
    )


def test_the_page_has_all_in_one_file_and_takes_names_for_text(study):
    folder, files, _ = study
    text = (folder / "counted" / "counted.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.elements and "b" not in page.elements
    assert page.elements.count("picture") == 3 and all(one.startswith("data:image/png;base64,") for one in page.loaded)
    assert "prefers-color-scheme: dark" in text and "&lt;b&gt;bad.json" in text
    everything = text + (folder / "counted" / "counted.csv").read_text(encoding="utf-8")
    for content in files:
        assert content["judge"] not in everything and content["name"] not in everything


def test_every_answer_of_those_who_could_be_read_is_in_the_table(study):
    folder, files, _ = study
    with (folder / "counted" / "counted.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(content["answers"]) for content in files)
    assert {row["judge"] for row in rows} == {str(number) for number in range(1, 9)}
    assert {row["judge"] for row in rows if row["passed"] == "no"} != set() and {row["check"] for row in rows} == {
        "",
        "late",
        "still",
    }
    number = sorted(content["judge"] for content in files).index(files[5]["judge"]) + 1
    own = [row for row in rows if row["judge"] == str(number)]
    told = files[5]["answers"][0]
    assert own[0]["answer"] == own[0][told["answer"]] and own[0]["question"] == told["question"]
    assert float(own[0]["seconds"]) == told["seconds"]


def test_the_key_itself_may_be_named_and_another_folder(study, tmp_path):
    folder, files, _ = study
    path = tmp_path / "one.json"
    path.write_text(json.dumps(files[0]))
    alone = count_answers(folder / "key.json", [path], tmp_path / "out")
    assert (tmp_path / "out" / "counted.html").exists() and alone.folder == tmp_path / "out"
    assert "cannot tell yet" in str(alone) and "no checks" not in str(alone) and "one judge alone" in str(alone)


def test_four_systems_and_the_truth(tmp_path):
    key = made_key(systems=("a", "b", "c", TRUTH), clips=12, forms=12)
    written(tmp_path, key, made_answers(key, 12, {TRUTH: 3.0}, judges_differ=0.5, clips_differ=0.5))
    found = count_answers(tmp_path, [tmp_path / "answers"])
    assert {one.favourite for one in found.passed.preferences if one.told} == {TRUTH}
    strongest = max((one for one in found.passed.strengths if one.question == "sync"), key=lambda one: one.share)
    assert strongest.system == TRUTH and strongest.low > 0.5
    assert "measures.csv is not beside" in str(found)
    assert "All systems together" in (tmp_path / "counted" / "counted.html").read_text(encoding="utf-8")


def test_points(tmp_path):
    key = made_key(clips=6, forms=2, method=SCALE)
    written(tmp_path, key, made_answers(key, 6, {"ours": 1.0, TRUTH: 1.5}, judges_differ=0.2, clips_differ=0.2))
    (tmp_path / "measures.csv").write_text("clip,system,lmd\n", encoding="utf-8")
    found = count_answers(tmp_path, [tmp_path / "answers"])
    assert {one.favourite for one in found.passed.differences if one.told} == {"ours"}
    assert found.side is None and "has no measures of the films" in found.no_measures
    page = (tmp_path / "counted" / "counted.html").read_text(encoding="utf-8")
    assert "Mean opinion scores" in page and "ours better" in str(found)


def test_nobody_passed(tmp_path):
    key = made_key(clips=4)
    written(tmp_path, key, made_answers(key, 2, careless=[0, 1], seed=1))
    found = count_answers(tmp_path, [tmp_path / "answers"])
    assert found.passed.judges == 0 and not any(one.told for one in found.passed.preferences)
    assert "Nobody passed" in (tmp_path / "counted" / "counted.html").read_text(encoding="utf-8")


def test_who_always_says_left_is_noticed(tmp_path):
    key = made_key(clips=10, checks=())
    files = made_answers(key, 8)
    for content in files:
        for answer in content["answers"]:
            answer["answer"] = "left" if answer["trial"] < 9 else answer["answer"]
    judges, refused = read_answers([written(tmp_path, key, files) / "answers"], key)
    side = side_bias(judges, key)
    assert not refused and side.told and side.low > 0.7 and "left was chosen in" in side_sentence(side)
    (tmp_path / "fair").mkdir()
    fair = side_bias(read_answers([written(tmp_path / "fair", key, made_answers(key, 8)) / "answers"], key)[0], key)
    assert not fair.told and fair.answers == 8 * 10 * 2


def test_no_file_that_counts(tmp_path):
    key = made_key()
    written(tmp_path, key, [])
    with pytest.raises(InputError, match=r"no \.json or \.txt"):
        count_answers(tmp_path, [tmp_path / "answers"])
    (tmp_path / "answers" / "a.json").write_text("{}")
    (tmp_path / "answers" / "b.json").write_text("{}")
    with pytest.raises(InputError, match=r"a\.json: it is no file of answers.* \(1 other not either\)"):
        count_answers(tmp_path, [tmp_path / "answers"])
    with pytest.raises(InputError, match="there is no such file; name the folder"):
        count_answers(tmp_path / "nowhere", [tmp_path / "answers"])
    assert not (tmp_path / "counted").exists()
