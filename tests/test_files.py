import errno
import os
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from safetensors.numpy import save_file

from lipgan_colab.errors import InputError
from lipgan_colab.files import ABANDONED, check_place, not_written, open_tensors, part_name, written_whole


def test_file_gets_its_name_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with written_whole(path) as unfinished:
        unfinished.write_text("half")
        assert not path.exists() and unfinished.parent == path.parent
    assert path.read_text() == "half"
    assert os.listdir(path.parent) == ["file.txt"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_old_file_survives_a_failure(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_whole(path) as unfinished:
        unfinished.write_text("new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_two_threads_do_not_publish_each_others_halves(tmp_path):
    path, both_write = tmp_path / "file.txt", threading.Barrier(2)

    def write(letter: str) -> None:
        with written_whole(path) as unfinished, unfinished.open("w") as file:
            file.write(letter)
            both_write.wait()
            file.write(letter)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in ("aa", "bb")
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_full_disk_is_one_line_and_still_an_error_of_the_disk(small_disk):
    def fill(path):
        path.write_bytes(bytes(2 << 20))

    def fill_with_tensors(path):
        save_file({"weights": np.zeros(1 << 20)}, path)

    for write in (fill, fill_with_tensors):
        line = r"file: not written \(No space left on device\); make room"
        with pytest.raises(InputError, match=line) as told, written_whole(small_disk / "file") as unfinished:
            write(unfinished)
        assert isinstance(told.value, OSError) and told.value.errno == errno.ENOSPC
        assert os.listdir(small_disk) == []


@pytest.mark.parametrize("name", ["taken/file.txt", "folder"])
def test_a_place_that_cannot_be_written_to_is_one_line(name, tmp_path):
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=rf"{name}: not written \("), written_whole(tmp_path / name) as unfinished:
        unfinished.write_text("new")
    assert sorted(os.listdir(tmp_path)) == ["folder", "taken"]


def test_the_longest_name_can_be_written(tmp_path):
    path = tmp_path / ("ü" * 127)
    with written_whole(path) as unfinished:
        unfinished.write_text("all")
    assert path.read_text() == "all"


def test_what_dead_processes_left_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / "file [1].txt"
    code = f"from lipgan_colab.files import part_name; part_name({str(path)!r}).write_text('half')"
    subprocess.run([sys.executable, "-c", code], check=True)
    (left,) = tmp_path.iterdir()
    mine = part_name(path)
    machine, _, _ = left.suffixes[-2][1:].split("-")
    of_another, forgotten = (tmp_path / left.name.replace(machine, other) for other in ("0" * 8, "1" * 8))
    others_part = part_name(tmp_path / "other.txt")
    for part in (mine, of_another, forgotten, others_part):
        part.write_text("half")
    os.utime(forgotten, (time.time() - 2 * ABANDONED,) * 2)
    with written_whole(path) as unfinished:
        unfinished.write_text("all")
    kept = {path, mine, of_another, others_part}
    assert set(tmp_path.iterdir()) == kept


def test_tensors_are_read_whatever_the_files_name_is(tmp_path):
    for name in ("plain", "caf\udce9: %d"):
        path = tmp_path / f"{name}.safetensors"
        with written_whole(path) as unfinished:
            save_file({"numbers": np.arange(5)}, unfinished)
        with open_tensors(path) as file:
            assert file.get_tensor("numbers").tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="No such file"):
        open_tensors(tmp_path / "caf\udce9")


def test_the_cure_fits_the_disk():
    for number, cure in (
        (errno.ENOSPC, "make room there, or choose another place"),
        (errno.EROFS, "choose another place"),
    ):
        assert str(not_written("a/b.mp4", OSError(number, ""))).endswith(f"); {cure}")


def test_a_name_that_is_too_long_is_found_out_before_the_work(tmp_path):
    with pytest.raises(InputError, match=r"File name too long\); give it a shorter name, of at most 255 bytes"):
        check_place(tmp_path / ("ü" * 128))
    check_place(tmp_path / ("ü" * 127))
    assert os.listdir(tmp_path) == []
