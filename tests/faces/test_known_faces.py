"""A film's faces found once: the same, bit for bit, and never trusted blindly."""

import errno
import json
import os
import shutil
import stat
import struct
from dataclasses import astuple, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import xxhash
from safetensors import safe_open
from seen_faces import frames_of

from lipgan_colab.errors import InputError
from lipgan_colab.faces import kept_facts, known_faces
from lipgan_colab.faces.face import Face
from lipgan_colab.faces.facts import Facts
from lipgan_colab.faces.following import Sight, Wanted, follow_all
from lipgan_colab.faces.known_faces import KnownFaces


@pytest.fixture(scope="module")
def film(shared) -> Path:
    return shared / "data" / "tricky" / "two_faces_s1_s4.mp4"


@pytest.fixture(scope="module")
def pictures(film) -> list[np.ndarray]:
    return frames_of(film)[:8]


@pytest.fixture
def loads(monkeypatch, finder) -> list[dict]:
    """How often MediaPipe would have been loaded; this finder is there already."""

    class Ready:
        def __init__(self, **settings):
            loaded.append(settings)
            self.find = finder.find

        def close(self):
            pass

    loaded = []
    monkeypatch.setattr(known_faces, "FaceFinder", Ready)
    return loaded


def same(a, b) -> bool:
    """Whether faces, looks or lists of them are the same to the last bit."""
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return all(
        x.dtype == y.dtype and x.tobytes() == y.tobytes()
        if isinstance(x, np.ndarray)
        else x == y and type(x) is type(y)
        for x, y in zip(astuple(a), astuple(b), strict=True)
    )


def found(known: Facts, pictures: list[np.ndarray], numbers=range(8)) -> list[list[Face]]:
    return [known.find(number, pictures[number]) for number in numbers]


def keep_some(film: Path, folder: Path, pictures: list[np.ndarray]) -> Path:
    """The file after a run that found the faces of two frames."""
    with KnownFaces(film, Fraction(25), folder) as known:
        found(known, pictures, range(2))
    (path,) = folder.iterdir()
    return path


def test_a_second_run_finds_the_same_and_looks_for_nothing(film, pictures, finder, loads, tmp_path):
    def run(facts: Facts) -> list:
        told = []

        class Listened(Facts):
            def find(self, *asked):
                return facts.find(*asked)

            def look(self, *asked):
                told.append(facts.look(*asked))
                return told[-1]

            def is_human(self, *asked):
                return facts.is_human(*asked)

        listened = Listened(None)
        sights = [Sight(picture, listened.find(n, picture), n == 4, n) for n, picture in enumerate(pictures)]
        wanted = [Wanted(person, "same", 45, any_face=False) for person in (0, 1)]
        faces = [face for seen in follow_all(sights, wanted, listened) for face in seen.faces if face is not None]
        assert len(faces) == 16
        assert told
        return faces + told

    plain = run(Facts(finder))
    with KnownFaces(film, Fraction(25), tmp_path / "facts") as first:
        assert same(run(first), plain)
        assert same(run(first), plain)  # as where a film is played backward
    assert (first.found, first.known, len(loads)) == (8, 0, 1)
    with KnownFaces(film, Fraction(25), tmp_path / "facts") as second:
        assert same(run(second), plain)
    assert (second.found, second.known, len(loads)) == (0, 8, 1)


def test_what_was_found_before_an_interrupt_is_kept(film, pictures, loads, tmp_path):
    with pytest.raises(KeyboardInterrupt), KnownFaces(film, Fraction(25), tmp_path) as known:
        found(known, pictures, range(3))
        raise KeyboardInterrupt
    with KnownFaces(film, Fraction(25), tmp_path) as known:
        found(known, pictures)
    assert (known.known, known.found) == (3, 5)


def test_two_runs_at_a_time_keep_what_both_found(film, pictures, loads, tmp_path):
    keep_some(film, tmp_path, pictures)
    one, two = (KnownFaces(film, Fraction(25), tmp_path) for _ in range(2))
    first, second = found(one, pictures, range(5)), found(two, pictures, range(7, -1, -1))[::-1]
    looks = [one.look(1, pictures[1], first[1][0]), two.look(1, pictures[1], second[1][1])]
    human = two.is_human(4, pictures[4], second[4][0])
    one.look(6, pictures[6], second[6][0])  # of a frame that this one has not found
    two.keep("likeness of largest", {"texture": np.float32([[1, 2], [3, 4]])})
    two.close()
    one.keep("other", {"numbers": np.arange(3)})
    one.close()
    with KnownFaces(film, Fraction(25), tmp_path) as both:
        blank = np.zeros_like(pictures[0])  # whoever looks sees nothing
        assert same(found(both, [blank] * 8), second)
        assert same([both.look(1, blank, second[1][n]) for n in range(2)], looks)
        assert both.is_human(4, blank, second[4][0]) is human is True
        assert both.arrays("likeness of largest")["texture"].tolist() == [[1, 2], [3, 4]]
        assert both.arrays("other")["numbers"].dtype == np.int64
        assert both.arrays("nothing") is None
    assert both.found == 0


def test_only_what_is_known_of_this_picture_is_told(film, pictures, loads, tmp_path):
    with KnownFaces(film, Fraction(25), tmp_path) as known:
        faces = known.find(0, pictures[0])
        known.look(0, pictures[0], faces[0])
        dark = np.zeros_like(pictures[0])
        assert known.find(None, dark) == [] == known.find(1, dark) == known.find(1, pictures[1])
        assert np.nanmax(known.look(0, dark, replace(faces[0], box=faces[0].box + 1)).colours) == 0
        assert np.nanmax(known.look(None, dark, faces[0]).colours) == 0
        assert np.nanmax(known.look(0, dark, faces[0]).colours) > 0


@pytest.mark.parametrize("other", ["film", "rate", "faces"])
def test_another_film_or_other_settings_have_a_file_of_their_own(film, pictures, loads, tmp_path, other):
    kept = keep_some(film, tmp_path / "facts", pictures)
    if other == "film":
        film = Path(shutil.copy(film, tmp_path / film.name))
        with film.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\1")
    rate, most = Fraction(30 if other == "rate" else 25), 2 if other == "faces" else 3
    with KnownFaces(film, rate, tmp_path / "facts", max_faces=most) as known:
        known.find(0, pictures[0])
    assert known.found == 1 and loads[-1]["max_faces"] == most
    assert len(list(kept.parent.iterdir())) == 2


def rewritten(path: Path, change) -> None:
    """Change the data of a file, and make its checksum right again."""
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    body = change(header, bytearray(data[start:]))
    told = json.loads(header["__metadata__"]["facts"])
    told["checksum"] = xxhash.xxh3_128_hexdigest(bytes(body))
    header["__metadata__"]["facts"] = json.dumps(told)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def with_nan(header, body):
    at = header["faces"]["data_offsets"][0]
    body[at : at + 4] = np.float32(np.nan).tobytes()
    return body


def with_more_faces_than_there_are(header, body):
    at = header["frames"]["data_offsets"][0]
    body[at + 8 : at + 16] = np.int64(3).tobytes()
    return body


DAMAGES = {
    "half of it": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "nothing": lambda path: path.write_bytes(b""),
    "something else": lambda path: path.write_bytes(b"\x80\4" * 999),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:-5000] + b"\x55" + path.read_bytes()[-4999:]),
    "nan": lambda path: rewritten(path, with_nan),
    "a wrong count": lambda path: rewritten(path, with_more_faces_than_there_are),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_anew_without_a_word(film, pictures, finder, loads, tmp_path, damage, recwarn):
    path = keep_some(film, tmp_path, pictures)
    rewritten(path, lambda header, body: body)
    with KnownFaces(film, Fraction(25), tmp_path) as known:
        found(known, pictures, range(2))
    assert known.known == 2  # until it is damaged
    DAMAGES[damage](path)
    right = found(Facts(finder), pictures, range(2))
    with KnownFaces(film, Fraction(25), tmp_path) as known:
        assert same(found(known, pictures, range(2)), right)
        known.find(2, pictures[2])
    assert known.known < 2
    with KnownFaces(film, Fraction(25), tmp_path) as known:
        assert same(found(known, pictures, range(2)), right)
    assert known.known == 2 and not recwarn.list


def test_the_file_of_another_film_is_not_taken(film, shared, pictures, loads, tmp_path):
    kept = keep_some(film, tmp_path / "facts", pictures)
    other = keep_some(shared / "data" / "tricky" / "gray_lbax4n.mp4", tmp_path / "others", pictures)
    os.replace(other, kept)
    with KnownFaces(film, Fraction(25), tmp_path / "facts") as known:
        known.find(0, pictures[0])
    assert known.known == 0


def test_only_the_user_may_read_it(film, pictures, loads, tmp_path):
    path = keep_some(film, tmp_path / "new" / "facts", pictures)
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    with safe_open(path, "np") as file:  # nothing but numbers, and no name of the film
        assert film.name not in json.dumps(file.metadata())


@pytest.mark.parametrize("where", ["folder", "disk", "temporary"])
def test_where_nothing_can_be_kept_the_work_goes_on(film, pictures, finder, loads, tmp_path, monkeypatch, where):
    def is_full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = tmp_path / "facts"
    if where == "folder":
        folder.write_bytes(b"a file")
    else:
        monkeypatch.setattr(os, "fsync" if where == "disk" else "pwrite", is_full)
    with pytest.warns(UserWarning, match="another voice") as told, KnownFaces(film, Fraction(25), folder) as known:
        assert same(found(known, pictures, range(3)), found(Facts(finder), pictures, range(3)))
    assert len(told) == 1 and "\n" not in str(told[0].message) and known.found == 3
    assert where == "folder" or not folder.exists() or not list(folder.iterdir())


def test_a_film_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match=r"no\.mp4"):
        KnownFaces(tmp_path / "no.mp4", Fraction(25), tmp_path)


def test_without_a_folder_it_is_remembered_for_this_run(film, pictures, finder, loads):
    with KnownFaces(film, Fraction(25), None) as known:
        faces = found(known, pictures, range(2))
        assert same(found(known, [np.zeros_like(pictures[0])] * 2, range(2)), faces)
    assert (known.found, known.known) == (2, 0)


def test_files_that_were_not_used_for_longest_are_removed(film, shared, pictures, loads, tmp_path, monkeypatch):
    oldest = keep_some(film, tmp_path, pictures)
    often = tmp_path / f"{'0' * 32}{kept_facts.ENDING}"
    often.write_bytes(oldest.read_bytes())
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"not one of these")
    os.utime(oldest, (1, 1))
    os.utime(often, (2, 2))
    os.utime(mine, (0, 0))
    with KnownFaces(film, Fraction(25), tmp_path) as known:  # used now
        known.find(0, pictures[0])
    monkeypatch.setattr(kept_facts, "LARGEST_FOLDER", 2 * oldest.stat().st_size)
    with KnownFaces(shared / "data" / "tricky" / "gray_lbax4n.mp4", Fraction(25), tmp_path) as known:
        found(known, pictures, range(2))
    left = set(tmp_path.iterdir())
    assert len(left) == 3 and oldest in left and mine in left and often not in left
