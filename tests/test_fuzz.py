"""The fuzz of every reader finds nothing in a few files of each kind. (benchmarks/fuzz.py tries thousands.)"""

import sys

import pytest

from benchmarks.fuzz import Reader, fuzz, kinds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured through /proc")


def test_a_few_files_of_each_kind(capsys):
    assert fuzz(seed=0, files=2) == []
    assert "film" in capsys.readouterr().out


def test_what_is_wrong_is_found(tmp_path):
    (tmp_path / "a.txt").write_text("whole")
    reader = Reader()
    for read, outcome in ((raises, "traceback"), (takes_memory, "memory"), (dies, "crash"), (repr, "read")):
        assert reader.read(read, tmp_path / "a.txt")[0] == outcome
    reader.end()


def raises(path):
    raise KeyError(path)


def takes_memory(path):
    return len(b"x" * int(6e8))


def dies(path):
    import os

    os.abort()


def test_whole_files_are_read(tmp_path):
    for name, kind in kinds(tmp_path).items():
        if name not in ("syncnet", "checkpoint"):  # of too few weights; not under its digest
            sample, body = next(iter(kind.samples.items()))
            folder = tmp_path / "read" / name
            folder.mkdir(parents=True)
            for other, content in {**kind.beside, sample: body}.items():
                (folder / other).write_bytes(content)
            kind.read(folder / sample)
