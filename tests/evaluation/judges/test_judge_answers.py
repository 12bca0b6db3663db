"""What is read of the files that judges send back, and what is refused."""

import copy
import json
import os

import numpy as np
import pytest
from simulated import SECONDS, made_answers, made_key

from lipgan_colab.evaluation.judges.answers import choices, ratings, read_answers
from lipgan_colab.evaluation.judges.key import SCALE, TRUTH

KEY = made_key(clips=4, forms=2)
FILES = made_answers(KEY, 4, seed=5)


def put(folder, *contents, names=None):
    """Files of contents: what is no text becomes JSON."""
    for number, content in enumerate(contents):
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / (names[number] if names else f"{number}.json")).write_text(text, encoding="utf-8")
    return folder


def changed(content: dict, place: int | None = None, **fields) -> dict:
    """A file's content with other fields, of itself or of one of its answers."""
    new = copy.deepcopy(content)
    (new if place is None else new["answers"][place]).update(fields)
    return new


def test_judges_are_read_in_an_order_that_tells_nothing_of_their_files(tmp_path):
    judges, refused = read_answers([put(tmp_path, *FILES)], KEY)
    assert not refused and [one.id for one in judges] == sorted(file["judge"] for file in FILES)
    turned = [tmp_path / f"{n}.json" for n in (3, 1, 0, 2)]
    assert read_answers(turned, KEY)[0] == judges
    first = next(file for file in FILES if file["judge"] == judges[0].id)
    assert len(judges[0].answers) == len(first["answers"]) and judges[0].form == first["form"]
    told = first["answers"][0]
    given = judges[0].answers[0]
    assert (given.trial, given.question, given.answer, given.seconds) == tuple(
        told[name] for name in ("trial", "question", "answer", "seconds")
    )
    assert given.plays == tuple(told["plays"])


@pytest.mark.parametrize(
    "worn",
    [
        lambda text: f"\ufeff{text}",
        lambda text: f"\n\n  {text} \r\n\t",
        lambda text: f"```json\n{text}\n```\n",
        lambda text: f"~~~\n{text}\n~~~",
        lambda text: f"Hello,\nmy answers:\n{text}\n-- \nJo",
        lambda text: text.replace(", ", ",\xa0"),
    ],
)
def test_text_that_was_copied_is_read(tmp_path, worn):
    put(tmp_path, worn(json.dumps(FILES[0])), names=["mail.txt"])
    judges, refused = read_answers([tmp_path], KEY)
    assert len(judges) == 1 and not refused


def test_an_editors_unicode_is_read(tmp_path):
    (tmp_path / "a.txt").write_bytes(json.dumps(FILES[0]).encode("utf-16"))
    assert len(read_answers([tmp_path], KEY)[0]) == 1


def test_folders_in_folders_are_looked_into_and_what_is_gone_is_named(tmp_path):
    (tmp_path / "judge 1").mkdir()
    put(tmp_path / "judge 1", FILES[0])
    (tmp_path / "judge 1" / "around").symlink_to(tmp_path)
    judges, refused = read_answers([tmp_path, tmp_path / "gone.json"], KEY)
    assert len(judges) == 1 and [(one.path.name, one.why) for one in refused] == [
        ("gone.json", "there is no such file")
    ]


def test_a_copy_is_known_whatever_it_says_of_plays(tmp_path):
    copied = copy.deepcopy(FILES[0]) | {"judge": "f" * 32}
    for answer in copied["answers"]:
        answer["plays"] = [7, 7]
    judges, refused = read_answers([put(tmp_path, FILES[0], copied)], KEY)
    assert len(judges) == 1 and "a copy of 0.json" in refused[0].why
    put(tmp_path, changed(FILES[1], 0, plays=[10**400, 1]), names=["many.json"])
    assert "how often each film" in read_answers([tmp_path / "many.json"], KEY)[1][0].why


def test_what_is_unknown_is_passed_over_and_other_files_of_a_folder_too(tmp_path):
    put(tmp_path, changed(FILES[0], more={"a": [1]}), "no answers", "{}", names=["a.JSON", "notes.md", "key.json"])
    (tmp_path / "folder.json").mkdir()
    judges, refused = read_answers([tmp_path], KEY)
    assert len(judges) == 1 and not refused


def test_a_judge_may_have_stopped_early(tmp_path):
    put(tmp_path, changed(FILES[0], answers=FILES[0]["answers"][:1]))
    assert len(read_answers([tmp_path], KEY)[0][0].answers) == 1


LONG = len(KEY.forms[0])
BAD = {
    "damaged": ["", "[", "null", "[]", "{}", "3", '{"format": "x"}', "[" * 100_000, '{"format":' * 50_000],
    "another study": [changed(FILES[0], study="1" * 16), changed(FILES[0], study=None), changed(FILES[0], study=[])],
    "without consent": [changed(FILES[0], consent=no) for no in (False, None, "true", 1)],
    "empty": [changed(FILES[0], answers=[])],
    "no form": [changed(FILES[0], form=no) for no in (2, -1, True, "0", 0.0, None)],
    "number is none": [changed(FILES[0], judge=no) for no in ("", "g" * 32, "A" * 32, 3, None, "0" * 32 + "\n")],
    "no list": [changed(FILES[0], answers=no) for no in ({}, "left", None)],
    "is none": [changed(FILES[0], answers=[no]) for no in (None, [], "left", 3)],
    "no trial": [changed(FILES[0], 0, trial=no) for no in (LONG, -1, False, "0", 0.0)],
    "does not ask": [changed(FILES[0], 0, question=no) for no in ("", "Sync", None, ["sync"], 1)],
    "no answer": [changed(FILES[0], 0, answer=no) for no in ("middle", 1, None, True, ["left"], "LEFT")],
    "seconds": [changed(FILES[0], 0, seconds=no) for no in (-1, True, "9", None, 10**400)],
    "how often": [changed(FILES[0], 0, plays=no) for no in ([1], [1, 1, 1], 1, None, [1, True], [1, 1.0], [1, -1])],
    "answered twice": [changed(FILES[0], answers=[*FILES[0]["answers"], FILES[0]["answers"][0]])],
    "before all of it was seen": [changed(FILES[0], 3, plays=[1, 0])],
    "was answered after": [changed(FILES[0], 3, seconds=2 * SECONDS * 0.9)],
    "is missing": [{name: value for name, value in FILES[0].items() if name != gone} for gone in ("form", "answers")],
    "NaN is no number": [json.dumps(changed(FILES[0], 0, seconds=float("nan")))],
    "1e999": [json.dumps(FILES[0]).replace('"form": 0', '"form": 1e999')],
    "larger than": [json.dumps(changed(FILES[0], name="x" * 1_000_001))],
}


@pytest.mark.parametrize("why", [*BAD])
def test_what_cannot_be_counted_is_refused_and_the_rest_is_read(tmp_path, why):
    contents = BAD[why]
    put(tmp_path, *contents, FILES[1])
    judges, refused = read_answers([tmp_path], KEY)
    assert [one.id for one in judges] == [FILES[1]["judge"]]
    assert len(refused) == len(contents)
    expected = {"1e999": "no form inf"}.get(why, why)
    assert all(expected in one.why for one in refused), [one.why[:200] for one in refused]
    assert all(len(one.why) < 400 and str(tmp_path) not in one.why for one in refused)


def test_a_player_may_end_a_film_a_little_early(tmp_path):
    put(tmp_path, changed(FILES[0], 3, seconds=2 * SECONDS * 0.96))
    assert len(read_answers([tmp_path], KEY)[0]) == 1


def test_what_is_no_file_is_refused(tmp_path):
    put(tmp_path, FILES[0])
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "circle.json").symlink_to("circle.json")
    judges, refused = read_answers([tmp_path, tmp_path / "gone.json"], KEY)
    assert len(judges) == 1 and {one.path.name for one in refused} == {"pipe.json", "circle.json", "gone.json"}


def test_of_one_judges_files_the_most_complete_is_counted(tmp_path):
    early = changed(FILES[0], answers=FILES[0]["answers"][:5])
    put(tmp_path, early, FILES[0], FILES[0], FILES[1])
    judges, refused = read_answers([tmp_path], KEY)
    assert {len(one.answers) for one in judges} == {len(FILES[0]["answers"])}
    assert {one.path.name: one.why for one in refused} == {
        "0.json": "the same judge as 1.json, with fewer answers",
        "2.json": "the same judge as 1.json, with no more answers",
    }


def test_the_same_file_counts_once(tmp_path):
    put(tmp_path, FILES[0])
    judges, refused = read_answers([tmp_path, tmp_path / "0.json"], KEY)
    assert len(judges) == 1 and "given twice" in refused[0].why


def test_a_copy_under_another_number_is_refused(tmp_path):
    relabelled = changed(FILES[0], judge="f" * 32)
    altered = changed(changed(FILES[0], judge="e" * 32), 2, seconds=99.9)
    put(tmp_path, FILES[0], relabelled, altered, *FILES[1:])
    judges, refused = read_answers([tmp_path], KEY)
    assert len(judges) == len(FILES)
    assert [(one.path.name, "a copy of 0.json" in one.why) for one in refused] == [("1.json", True), ("2.json", True)]


def test_random_damage_never_stops_the_reading(tmp_path):
    """Bytes and values of a good file are changed; whatever comes is read or refused."""
    rng = np.random.default_rng(0)
    values = [None, True, -1, 10**30, 1.5, "", "left", [], {}, [[]], "\ud800"]
    good = json.dumps(FILES[0]).encode()
    for number in range(150):
        data = bytearray(good)
        if number % 2:
            for place in rng.integers(len(data), size=rng.integers(1, 4)):
                data[place] = rng.integers(256)
        else:
            content = copy.deepcopy(FILES[0])
            where = content if rng.random() < 0.3 else content["answers"][rng.integers(len(content["answers"]))]
            where[str(rng.choice([*where]))] = values[rng.integers(len(values))]
            data = json.dumps(content).encode()
        (tmp_path / f"{number}.json").write_bytes(data)
    judges, refused = read_answers([tmp_path], KEY)
    assert len(judges) + len(refused) == 150 and len(refused) > 100  # one judge's all of them
    assert all(one.why and "\n" not in one.why for one in refused)


def test_choices_name_systems_and_leave_checks_out(tmp_path):
    judges, _ = read_answers([put(tmp_path, *FILES)], KEY)
    found = choices(judges, KEY)
    assert len(found) == 4 * 4 * 2 and {one.judge for one in found} == {0, 1, 2, 3}
    assert all({one.preferred, one.other} == {"ours", "theirs"} for one in found)
    first = judges[0].answers[0]
    shown = [KEY.films[film] for film in KEY.forms[judges[0].form][0].films]
    assert found[0].side == first.answer and found[0].clip == shown[0].clip
    assert found[0].preferred == shown[("left", "right").index(first.answer)].system


def test_ratings_name_systems_and_leave_bad_films_out(tmp_path):
    key = made_key(clips=3, forms=1, method=SCALE)
    judges, refused = read_answers([put(tmp_path, *made_answers(key, 2))], key)
    assert not refused
    found = ratings(judges, key)
    assert {(one.system, one.anchor) for one in found} == {("ours", False), ("theirs", False), (TRUTH, True)}
    assert sum(not one.anchor for one in found) == 2 * 2 * 3 * 2
    put(tmp_path, changed(made_answers(key, 1)[0], 0, answer="left"))
    assert "no answer" in read_answers([tmp_path / "0.json"], key)[1][0].why
