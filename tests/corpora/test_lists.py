"""Lists that people write, in whatever editor: one reader for all of them, and what their lines mean."""

import codecs
import unicodedata

import pytest
from made_corpora import make_lrs2

from lipgan_colab.corpora.corpus import film_of, folder, lrs2, only, without
from lipgan_colab.corpora.lists import names_in
from lipgan_colab.corpora.subset import read_ids, write_ids
from lipgan_colab.errors import InputError

FORMS = {
    "UTF-8": lambda text: text.encode(),
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "Windows": lambda text: codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode(),
    "UTF-16": lambda text: codecs.BOM_UTF16_LE + text.replace("\n", "\r\n").encode("utf-16-le"),
    "UTF-16, big end first": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-32": lambda text: codecs.BOM_UTF32_LE + text.encode("utf-32-le"),
    "an old Mac": lambda text: text.replace("\n", "\r").encode(),
}


def corpus_of(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return folder(root)


@pytest.fixture(params=FORMS)
def written(request, tmp_path):
    """Writes a text to a file as some editor does."""

    def write(text):
        (tmp_path / "list.txt").write_bytes(FORMS[request.param](text))
        return tmp_path / "list.txt"

    return write


def test_ids_are_read_whoever_wrote_them(written, tmp_path):
    clips = corpus_of(tmp_path / "my videos", "anna/clip two.mp4", "ä/日本.mp4", "c.mp4")
    ids = read_ids(written("# held back\n\nanna/clip two.mp4  \n\nä/日本\t\n"))
    assert [u.id for u in only(clips, ids)] == ["anna/clip two.mp4", "ä/日本.mp4"]
    assert [u.id for u in without(clips, ids)] == ["c.mp4"]


def test_lrs2_lists_are_read_whoever_wrote_them(written, tmp_path):
    make_lrs2(tmp_path, {"val": ["300/00001", "300/00002"]})
    written("# of the BBC\n300/00001 NF000015  \n\n300/00002 SNR\n").rename(tmp_path / "val.txt")
    assert [u.id for u in lrs2(tmp_path, "val")] == ["main/300/00001", "main/300/00002"]


def test_a_split_that_comes_out_empty_is_one_line(written, tmp_path):
    make_lrs2(tmp_path, {"val": ["300/00001"]})
    written("# nothing\n").rename(tmp_path / "val.txt")
    with pytest.raises(InputError, match="no clip of val is left"):
        lrs2(tmp_path, "val")


def test_a_film_means_the_shots_that_it_was_cut_into(tmp_path):
    whole = corpus_of(tmp_path, "a/talk.mp4", "a/other.mkv", "talk.mp4")
    parts = [whole[2], *(type(whole[0])(f"a/talk.mp4#{n}", whole[1].path) for n in (1, 2, 10))]
    for name in ("a/talk.mp4", "a/talk", "./a/talk.mp4", "a\\talk.mp4"):
        assert [u.id for u in only(parts, [name])] == ["a/talk.mp4#1", "a/talk.mp4#2", "a/talk.mp4#10"]
        assert [u.id for u in without(parts, [name])] == ["talk.mp4"]
    assert [u.id for u in only(parts, ["a/talk.mp4#10", "a/talk#1"])] == ["a/talk.mp4#10", "a/talk.mp4#1"]
    assert [u.id for u in without(parts, ["a/talk.mp4#2"])] == ["talk.mp4", "a/talk.mp4#1", "a/talk.mp4#10"]
    with pytest.warns(UserWarning, match=r"a/talk\.mp4 is left out with all shots"):  # before it is cut
        assert [u.id for u in without(whole, ["a/talk.mp4#2"])] == ["a/other.mkv", "talk.mp4"]
    (shot,) = only(whole, ["a/talk#2"])
    assert (shot.id, shot.path) == ("a/talk.mp4#2", whole[1].path)
    assert only(whole, ["a/talk.mp4#2", "a/talk.mp4"]) == [whole[1]]  # not twice
    with pytest.raises(InputError, match=r"a/talk\.mp4#3: not in the corpus"):
        only(parts, ["a/talk.mp4#3"])
    assert [film_of(i) for i in ("a/talk.mp4#10", "#1/talk.mp4", "main/1/00001#2")] == [
        "a/talk.mp4",
        "#1/talk.mp4",
        "main/1/00001",
    ]


def test_comments_and_folders_that_look_like_some(tmp_path):
    clips = corpus_of(tmp_path / "plain", "a.mp4", "b.mp4")
    assert [u.id for u in without(clips, ["#b.mp4", "# b.mp4", "#", "a.mp4"])] == ["b.mp4"]
    with pytest.raises(InputError, match="nothing but comments"):
        without(clips, ["# a.mp4"])
    numbered = corpus_of(tmp_path / "numbered", "#1/a.mp4", "# 2/a.mp4", "b.mp4")
    assert [u.id for u in only(numbered, ["# the first", "#1/a.mp4", "# 2/a"])] == ["#1/a.mp4", "# 2/a.mp4"]
    with pytest.raises(InputError, match="#1/A: not in the corpus"):
        without(numbered, ["#1/A"])  # or a typing error would let a judge's clip into training
    write_ids(tmp_path / "ids.txt", numbered)
    assert only(numbered, read_ids(tmp_path / "ids.txt")) == numbered


def test_an_accent_is_the_same_in_one_letter_or_two(tmp_path):
    there, listed = (unicodedata.normalize(form, "café.mp4") for form in ("NFD", "NFC"))
    (clip,) = corpus_of(tmp_path, there)
    assert only([clip], [listed]) == [clip] and only([clip], [there]) == [clip]


def test_names_in_a_row_may_have_blanks():
    known = {"s1", "s2", "my videos", "a, b"}.__contains__
    assert names_in("s1 s2", known) == names_in("s1,s2 ", known) == ["s1", "s2"]
    assert names_in("my videos, s1", known) == ["my videos", "s1"]
    assert names_in("my videos", known) == ["my videos"] and names_in("a, b", known) == ["a, b"]
    assert names_in("", known) == []
