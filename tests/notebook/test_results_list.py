"""The results made so far: what is listed, played, downloaded and deleted."""

import os
import shutil

import ipywidgets
import numpy as np
import pytest

from lipgan_colab.media.encoding import Encoding
from lipgan_colab.media.writing import write_video
from lipgan_colab.notebook import result_row
from lipgan_colab.notebook.results_list import ResultsList

NAME = "a<img src=x>\"b'.mp4"


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    write_video(path, [np.full((64, 96, 3), n, np.uint8) for n in range(10)], 10)
    return path


@pytest.fixture
def folder(tmp_path, film):
    """Thirteen results, of which film-12.mp4 is the newest."""
    for n in range(13):
        path = tmp_path / "voices" / f"film-{n}.mp4" if n == 5 else tmp_path / f"film-{n}.mp4"
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(film, path)
        os.utime(path, (1e9 + n, 1e9 + n))
    (tmp_path / "generator.safetensors").write_bytes(b"x")
    (tmp_path / ".film-9.mp4.123.part").write_bytes(b"x")
    return tmp_path


@pytest.fixture
def opened(folder):
    made = ResultsList(folder)
    made.look()
    return made


def names(results):
    return [row.path.name for row in results.rows]


def videos_in(row):
    return [child for child in row._place.children if isinstance(child, ipywidgets.Video)]


def test_nothing_is_looked_into_before_it_is_seen(folder, monkeypatch):
    monkeypatch.setattr(result_row, "probe_video", None)
    results = ResultsList(folder)
    results.fold.button.click()
    assert results.rows == [] and results.fold.title == "Videos made so far (13)" and not results.is_open


def test_where_nothing_lasts_it_says_so(tmp_path):
    for lasts in (True, False):
        first = ResultsList(tmp_path, lasts).box.children[1].children[0]
        assert ("gone when it ends" in first.value) != lasts


def test_the_newest_come_first_with_their_pictures_and_six_at_a_time(opened):
    assert opened.is_open  # nobody has to find out first that there is a list
    assert names(opened) == [f"film-{n}.mp4" for n in range(12, 6, -1)]
    assert '<img alt="The first frame of film-12.mp4" src="data:image/jpeg' in opened.rows[0]._thumbnail.value
    assert opened.more.description == "Show more (7 left)"
    for _ in range(2):
        opened.more.click()
    assert len(opened.rows) == 13 and opened.more.layout.display == "none"
    assert "1.00 s" in opened.rows[0]._about.value and "kB" in opened.rows[0]._about.value
    assert not any(videos_in(row) for row in opened.rows)  # none of them is in the page


def test_one_is_played_at_a_time_and_closed(opened, film):
    first, second = opened.rows[:2]
    first.play.click()
    assert videos_in(first)[0].value == film.read_bytes()
    second.play.click()
    assert not videos_in(first) and not first.is_open and second.is_open
    opened.again.click()
    assert second.is_open  # looking again does not stop it
    second.play.click()
    assert not videos_in(second)


def test_a_download_holds_the_very_bytes_unseen(opened, film):
    row = opened.rows[0]
    row.fetch.click()
    (video,) = videos_in(row)
    assert video.value == film.read_bytes() and video.layout.display == "none" and not row.is_open


def test_on_colab_the_file_is_handed_to_its_own_download(folder, film, monkeypatch):
    handed = []
    files = type("files", (), {"download": staticmethod(handed.append)})
    monkeypatch.setattr(result_row, "on_colab", lambda: True)
    monkeypatch.setattr(result_row.importlib, "import_module", lambda name: {"google.colab.files": files}[name])
    results = ResultsList(folder)
    results.look()
    results.rows[0].download.click()
    assert handed == [str(folder / "film-12.mp4")]


def test_deleting_asks_once_more_and_empties_the_file_first(opened, folder, monkeypatch):
    row, path = opened.rows[0], folder / "film-12.mp4"
    row.delete.click()
    row.keep.click()
    assert path.exists() and row.really.layout.display == row.keep.layout.display == "none"
    sizes = []
    unlink = type(path).unlink
    monkeypatch.setattr(
        type(path), "unlink", lambda self, **how: (sizes.append(self.stat().st_size), unlink(self, **how))
    )
    row.delete.click()
    assert path.exists() and row.asks and row.delete.layout.display is None  # what has the keyboard's focus stays
    row.really.click()
    assert not path.exists() and sizes == [0]
    assert names(opened)[0] == "film-11.mp4" and len(opened.rows) == 6
    assert opened.fold.title == "Videos made so far (12)"


def test_what_vanishes_meanwhile_is_one_line(opened, folder):
    row = opened.rows[0]
    row.path.unlink()
    for press in (row.play, row.fetch):
        press.click()
        assert row.notice.text == "film-12.mp4 is not there any more; look again at what there is"
    row.delete.click()
    row.really.click()
    assert names(opened)[0] == "film-11.mp4"
    shutil.rmtree(folder)
    opened.again.click()
    assert opened.rows == [] and "none yet" in opened._list.children[0].value


def test_a_damaged_file_is_listed_and_can_be_deleted(opened, folder):
    (folder / "broken.mp4").write_bytes(b"no film")
    opened.again.click()
    row = opened.rows[0]
    assert "cannot be read" in row._about.value and "broken.mp4" in row.notice.text
    row.delete.click()
    row.really.click()
    assert not (folder / "broken.mp4").exists()


def test_names_are_text_and_nothing_else(folder, film, opened):
    os.replace(folder / "film-0.mp4", folder / NAME)
    os.utime(folder / NAME)
    shutil.copyfile(film, os.fsencode(folder) + b"/\xff\n.mp4")
    opened.again.click()
    shown = "".join(row._about.value + row.download.value for row in opened.rows[:2])
    assert "<img" not in shown and "a&lt;img src=x&gt;" in shown
    shown.encode()


def test_what_is_too_large_to_be_sent_is_named(opened, folder, monkeypatch):
    monkeypatch.setattr(result_row, "LARGEST_SHOWN", 100)
    monkeypatch.setattr(result_row, "LARGEST_FETCHED", 100)
    row = opened.rows[0]
    for press in (row.play, row.fetch):
        press.click()
        assert str(folder / "film-12.mp4") in row.notice.text and not videos_in(row)
        row.notice.clear()


def test_other_kinds_of_files(opened, folder):
    pictures = [np.full((64, 96, 3), n, np.uint8) for n in range(4)]
    write_video(folder / "cut.mov", pictures, 10, encoding=Encoding("prores"))
    write_video(folder / "pictures", pictures, 10, encoding=Encoding("png"))
    opened.again.click()
    rows = {row.path.name: row for row in opened.rows}
    rows["cut.mov"].play.click()
    assert "Not every browser" in rows["cut.mov"].notice.text and not videos_in(rows["cut.mov"])
    rows["cut.mov"].fetch.click()
    assert videos_in(rows["cut.mov"])
    folder_row = rows["pictures"]
    assert "4 pictures" in folder_row._about.value and not folder_row.is_film
    folder_row.delete.click()
    folder_row.really.click()
    assert not (folder / "pictures").exists()
