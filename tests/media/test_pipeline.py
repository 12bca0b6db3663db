"""Stages run at the same time, in order, stop when they are left, and pass errors on."""

import threading
import time

import pytest

from lipgan_colab.media.pipeline import StageClock, ahead


def test_items_come_in_order():
    assert list(ahead(range(100), 3)) == list(range(100))
    assert list(ahead([])) == []


def test_no_more_than_a_few_wait():
    made = []

    def numbers():
        for n in range(50):
            made.append(n)
            yield n

    stage = ahead(numbers(), depth=4)
    assert next(stage) == 0
    time.sleep(0.3)
    assert len(made) <= 1 + 4 + 1  # taken, waiting, and one in hand
    stage.close()


def test_an_error_comes_out_at_its_place():
    def broken():
        yield 1
        raise ValueError("here")

    stage = ahead(broken())
    assert next(stage) == 1
    with pytest.raises(ValueError, match="here"):
        next(stage)


def test_leaving_half_way_ends_the_thread_and_closes_all_stages_before():
    closed = []

    def source(name):
        try:
            while True:
                yield name
        finally:
            closed.append(name)

    def through(items):
        try:
            yield from items
        finally:
            closed.append("middle")

    before = threading.active_count()
    stage = ahead(through(ahead(source("first"))))
    next(stage)
    stage.close()
    assert sorted(closed) == ["first", "middle"]
    assert threading.active_count() == before


def test_stages_work_at_the_same_time():
    """Each of two stages waits for what only the other one, working meanwhile, can do."""
    meet = threading.Barrier(2, timeout=10)

    def first():
        yield 0
        meet.wait()
        yield 1

    stage = ahead(first())
    assert next(stage) == 0
    meet.wait()
    assert next(stage) == 1


def test_timed_items_are_closed_with_their_clock():
    closed = []

    def source():
        try:
            yield from range(9)
        finally:
            closed.append(True)

    items, clock = source(), StageClock()
    timed = clock.timed("read", items)
    assert next(timed) == 0
    timed.close()
    assert closed == [True] and list(clock.seconds) == ["read"]
