"""Who says what when: moments as people write them, and lists of turns from whatever program."""

from fractions import Fraction

import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.generation.options import GenerateOptions
from lipgan_colab.generation.turns import Turn, read_turns, seconds_of


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (12.5, 12.5),
        ("12.5", 12.5),
        ("0", 0),
        (" 1:05.2 ", 65.2),
        ("1:02:03", 3723),
        ("300f", 12),
        ("13 f", Fraction(13, 25)),
        ("0,5", 0.5),
    ],
)
def test_a_moment_is_seconds_or_a_clocks_or_a_frame(written, seconds):
    assert seconds_of(written, Fraction(25)) == pytest.approx(float(seconds))
    GenerateOptions(from_=written)


@pytest.mark.parametrize("written", ["", "abc", "-1", -0.1, float("nan"), float("inf"), "1:2:3:4", "1e3", "12,", ","])
def test_what_is_no_moment_is_told_by_the_options_name(written):
    with pytest.raises(InputError, match=r"^to .*: give seconds"):
        GenerateOptions(to=written)
    with pytest.raises(InputError, match=r"^from_ "):
        Turn("a.wav", from_=written)


@pytest.mark.parametrize(
    "text",
    [
        "0,1,2.5,a b.wav\n,,,\n1,2:03,,b.wav\n",
        '0;1;"2,5";a b.wav\n;;;\n1;2:03;;b.wav',
        "Person,from,to,speech,note\n0,1,2.5,'a b.wav',hm\n1,2:03,,b.wav\n",
        "# who,when\n\nspeech;person;to;from\r\na b.wav;0;2.5;1\r\nb.wav;1;;2:03\r\n",
        "\ufeff0\t1\t2.5\ta b.wav\n1\t2:03\t\tb.wav",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_turns_are_read_from_tables_of_any_program(text, encoding, tmp_path):
    (tmp_path / "a b.wav").touch()
    listed = tmp_path / "turns.csv"
    listed.write_bytes(text.lstrip("\ufeff" if encoding == "utf-16" else "").encode(encoding))
    first, second = read_turns(listed)
    assert first.speech == tmp_path / "a b.wav" and first.person == 0  # beside the list
    assert [seconds_of(time, Fraction(25)) for time in (first.from_, first.to)] == [1, 2.5]
    assert (second.person, second.from_, second.to, str(second.speech)) == (1, "2:03", None, "b.wav")


def test_a_point_or_nobody_in_particular_may_speak(tmp_path):
    (tmp_path / "turns.csv").write_text('"120, 80.5",,,a.wav\n,,,b.wav\nlargest,,,c.wav\n')
    assert [turn.person for turn in read_turns(tmp_path / "turns.csv")] == [(120, 80.5), "largest", "largest"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("0,1,2\n", "line 1 is no turn"),
        ("0,1,2,a.wav\n1,2,3,b.wav,more\n", "line 2 is no turn"),
        ("0,1,2,\n", "line 1 is no turn"),
        ("0,soon,2,a.wav\n", "line 1: from_ 'soon': give seconds"),
        ("anna,1,2,a.wav\n", "line 1: person 'anna': largest, a number"),
        ("# nothing\n", "there is no turn in this list"),
        ("0,1\0,2,a.wav", "cannot be read as a list"),
    ],
)
def test_what_is_no_list_of_turns_says_where(text, wrong, tmp_path):
    (tmp_path / "turns.csv").write_text(text)
    with pytest.raises(InputError, match=r"turns\.csv: ") as caught:
        read_turns(tmp_path / "turns.csv")
    assert wrong in str(caught.value)
