"""judge make and judge count, as they are typed."""

import json
import sys
from pathlib import Path

from lipgan_colab.cli.verbs import main
from lipgan_colab.evaluation.judges.key import read_key

sys.path.append(str(Path(__file__).parents[1] / "evaluation" / "judges"))


def test_a_study_is_made_answered_and_counted(tmp_path, capsys):
    from judged_films import write_clips
    from simulated import made_answers

    for maker, level in (("one", 60), ("other", 120)):
        write_clips(tmp_path / maker, level, ["a", "b", "c"], count=14)
    out, (one, other) = tmp_path / "study", (str(tmp_path / name) for name in ("one", "other"))
    asked = ["--out", str(out), "--ask", "sync", "--title", "Which?"]
    assert main(["judge", "make", "--compare", f"first={one}", other, *asked]) == 0
    said = capsys.readouterr().out
    assert (
        "3 pairs for each judge" in said and "--consent" in said and "No checks" in said and "How many judges" in said
    )
    key = read_key(out)
    assert key.systems == ("first", "other") and key.questions == ("sync",) and not (out / "measures.csv").exists()
    for number, answers in enumerate(made_answers(key, 4, {"first": 9.0, "other": -9.0})):
        (tmp_path / f"{number}.json").write_text(json.dumps(answers))
    files = [str(tmp_path / f"{number}.json") for number in range(4)]
    assert main(["judge", "count", "--study", str(out), *files, str(tmp_path / "5.json")]) == 0
    said = capsys.readouterr().out
    assert "4 judges" in said and "5.json: there is no such file" in said and "100 %" in said
    assert (out / "counted" / "counted.html").is_file()
    assert main(["judge", "count", "--study", str(out), str(tmp_path / "5.json")]) == 1
    assert "no file can be counted" in capsys.readouterr().err
    assert main(["judge", "make", "--compare", one, "--out", str(tmp_path / "alone")]) == 1
    assert "a pair takes two to compare" in capsys.readouterr().err
    assert main(["judge"]) == 0 and "make" in capsys.readouterr().out
