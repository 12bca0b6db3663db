"""Work in processes: every item gets done, whatever some do to the process that works on them."""

import os
import signal
import time
from contextlib import closing, nullcontext
from multiprocessing import active_children

import pytest

from lipgan_colab.errors import InputError
from lipgan_colab.shards.workers import Lost, as_done, core_count


def tool():
    return nullcontext("tool")


def no_tool():
    raise InputError("no tool: install one")


def work(item, _tool):
    if item == "hang":
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # as a library that hears nothing
        time.sleep(3600)
    if isinstance(item, int) and item < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid() if item == "pid" else item * 2


def results(items, workers, **options):
    done = sorted(as_done(work, items, workers, tool, **options))
    assert [place for place, _ in done] == list(range(len(items)))
    return [result for _, result in done]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_every_item_gets_done(workers):
    assert results(range(20), workers) == list(range(0, 40, 2))
    (pid,) = results(["pid"], workers)
    assert (pid == os.getpid()) == (workers == 0)
    assert results([], workers) == []


def test_an_item_that_ends_its_process_ends_nothing_else():
    assert results([1, -1, 2, -1, -1, 3], 2) == [2, Lost.CRASHED, 4, Lost.CRASHED, Lost.CRASHED, 6]


def test_processes_that_die_whatever_they_do_are_an_error():
    done = as_done(work, [1, *[-1] * 9], 1, tool)
    with pytest.raises(InputError, match="keep dying"):
        for place, result in done:
            assert (place, result) in ((0, 2), (1, Lost.CRASHED), (2, Lost.CRASHED))


def test_an_item_that_hangs_is_given_up_and_its_process_ended():
    limits = {"hang": 2.0}
    done = results([1, "hang", 2, "hang", 3], 2, limit=lambda item: limits.get(item, 60.0))
    assert done == [2, Lost.HANGS, 4, Lost.HANGS, 6]
    assert active_children() == []


def test_nobody_waits_for_a_slow_item_and_nothing_piles_up_behind_it():
    done = as_done(work, ["hang", *range(30)], 2, tool)
    with closing(done):
        assert [next(done) for _ in range(30)] == [(n + 1, 2 * n) for n in range(30)]
    assert active_children() == []


def test_a_tool_that_cannot_be_opened_says_why():
    with pytest.raises(InputError, match=r"^no tool: install one$"):
        next(as_done(work, [1, 2], 2, no_tool))


def test_an_error_of_the_work_comes_out():
    with pytest.raises(TypeError):
        next(as_done(work, [None], 1, tool))


def test_at_least_one_core():
    assert 1 <= core_count() <= os.cpu_count()
