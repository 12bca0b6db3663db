"""Work in processes: results in order, whatever some items do to the process that works on them."""

import os
import signal
from contextlib import nullcontext

import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.shards.workers import core_count, in_order


def tool():
    return nullcontext("tool")


def work(item, _tool):
    if isinstance(item, int) and item < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid() if item == "pid" else item * 2


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_are_in_order(workers):
    assert list(in_order(work, range(20), workers, tool)) == list(range(0, 40, 2))
    (pid,) = in_order(work, ["pid"], workers, tool)
    assert (pid == os.getpid()) == (workers == 0)
    assert list(in_order(work, [], workers, tool)) == []


def test_an_item_that_ends_its_process_ends_nothing_else():
    assert list(in_order(work, [1, -1, 2, -1, -1, 3], 2, tool)) == [2, None, 4, None, None, 6]


def test_processes_that_die_whatever_they_do_are_an_error():
    results = in_order(work, [1, *[-1] * 9], 1, tool)
    with pytest.raises(InputError, match="keep dying"):
        for place, result in enumerate(results):
            assert (place, result) in ((0, 2), (1, None), (2, None))


def test_at_least_one_core():
    assert 1 <= core_count() <= os.cpu_count()
