"""A folder of videos as a corpus."""

import pytest

from lipgan_colab.corpora import folder, without
from lipgan_colab.errors import InputError


def test_folder_lists_videos_in_an_order_that_is_always_the_same(tmp_path):
    for name in ("b/2.mp4", "a/1.MPG", "b/notes.txt", "c.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    utterances = folder(tmp_path, licence="CC BY 4.0")
    assert [u.id for u in utterances] == ["a/1.MPG", "b/2.mp4", "c.mkv"]
    assert [u.speaker for u in utterances] == ["a", "b", "."]
    assert all(u.path.is_file() and u.licence == "CC BY 4.0" for u in utterances)


def test_leaving_out_a_clip_that_is_not_there_is_an_error(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "b.mp4").write_bytes(b"x")
    utterances = folder(tmp_path)
    assert [u.id for u in without(utterances, ["a.mp4"])] == ["b.mp4"]
    with pytest.raises(InputError, match=r"A\.mp4"):
        without(utterances, ["A.mp4"])


def test_a_folder_without_videos_says_so(tmp_path):
    with pytest.raises(InputError, match="holds no video"):
        folder(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        folder(tmp_path / "missing")
