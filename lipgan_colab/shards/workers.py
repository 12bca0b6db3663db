"""Work shared out to processes: an item that ends its process, or hangs in it, ends nothing else."""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from enum import Enum
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from lipgan_colab.errors import InputError

MOST_DEATHS = 3  # in a row, of one process at a time: then it is not the items' fault
START_LIMIT = 600.0  # seconds that a process may take to open its tool, on a machine that does much else


class Lost(Enum):
    """What comes of an item in place of a result."""

    CRASHED = "ended the process that worked on it, twice"
    HANGS = "took longer than it may"


def core_count() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


MOST_WORKERS = max(64, 4 * core_count())  # each takes memory, and too many bring the machine down


def as_done(
    work: Callable[[Any, Any], Any],
    items: Sequence[Any],
    workers: int,
    open_tool: Callable[[], AbstractContextManager],
    limit: Callable[[Any], float] = lambda item: float("inf"),
) -> Iterator[tuple[int, Any]]:
    """`work(item, tool)` of every item: (its place, the result or what is Lost), in the order in which they get done.

    An item is handed out when a process is free, and its result taken at once, so that none pile up.

    Args:
        work, open_tool: functions of a module, for they go to other processes; every process opens its own tool.
        items: plain data.
        workers: processes; 0 works in this one, which nobody can end where an item hangs.
        limit: how many seconds an item may take; then its process is ended and another takes its place.

    Raises:
        InputError: processes die whatever they work on, or a tool cannot be opened.
    """
    if workers == 0 and items:
        with open_tool() as tool:
            yield from ((place, work(item, tool)) for place, item in enumerate(items))
        return
    todo, again = deque(range(len(items))), deque()
    crew: list[_Worker] = []
    deaths = 0
    try:
        while todo or again or _busy(crew):
            while len(crew) < min(workers, len(todo) + len(again) + _busy(crew)):
                crew.append(_Worker(work, open_tool))
            for place in _next(todo, again, crew):
                worker = next(worker for worker in crew if worker.is_free)
                worker.give(place, items[place], limit(items[place]))
            for worker in _heard(crew):
                place, answer = worker.place, worker.take()
                if place is None and not isinstance(answer, Lost):
                    continue  # it has opened its tool
                if isinstance(answer, Lost):
                    crew.remove(worker)
                    worker.end()
                if answer is Lost.CRASHED and place is not None and place not in again:
                    again.append(place)
                    continue
                deaths = deaths + 1 if answer is Lost.CRASHED else 0
                if deaths == MOST_DEATHS + workers - 1:  # what lay between may have got done before
                    raise InputError(
                        "worker processes keep dying, most likely for lack of memory; "
                        "run again (what is done is kept), with fewer workers"
                    )
                if place is not None:
                    if place in again:
                        again.remove(place)
                    yield place, answer
    finally:
        for worker in crew:
            worker.end()


def _busy(crew: list["_Worker"]) -> int:
    return sum(worker.place is not None for worker in crew)


def _next(todo: deque[int], again: deque[int], crew: list["_Worker"]) -> list[int]:
    """The items to hand out now, to the workers that are free.

    One that has ended its process gets the machine to itself for its second try, for it may have lacked memory.
    """
    free = sum(worker.is_free for worker in crew)
    if again:
        return [again[0]] if free and not _busy(crew) else []
    return [todo.popleft() for _ in range(min(free, len(todo)))]


def _heard(crew: list["_Worker"]) -> list["_Worker"]:
    """The workers that have something to say, or are past their time; waits until there is one."""
    until = min(worker.ends for worker in crew)
    patience = None if until == float("inf") else max(0, until - time.monotonic())
    said = wait([worker.connection for worker in crew], patience)
    now = time.monotonic()
    return [worker for worker in crew if worker.connection in said or worker.ends <= now]


class _Worker:
    """A process that works on one item at a time.

    Attributes:
        place: of the item that it works on; None for none.
        ends: when it has had its time, as time.monotonic() tells it.
        is_free: whether it waits for an item.
    """

    def __init__(self, work, open_tool):
        # Spawned, not forked: MediaPipe's and PyAV's threads do not survive a fork.
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work, open_tool), daemon=True)
        self.process.start()
        theirs.close()  # or its end would not be heard
        self.place: int | None = None
        self.ends, self.is_free = time.monotonic() + START_LIMIT, False

    def give(self, place: int, item: Any, seconds: float) -> None:
        self.place, self.ends, self.is_free = place, time.monotonic() + seconds, False
        with suppress(OSError):  # it has died while it waited, which `take` is told
            self.connection.send(item)

    def take(self) -> Any:
        """A result (None once its tool is open), or what it is Lost by. Raises what the process raised."""
        try:
            if not self.connection.poll():
                return Lost.CRASHED if self.place is None else Lost.HANGS
            result, error = self.connection.recv()
        except (EOFError, OSError):
            return Lost.CRASHED
        if error is not None:
            raise error
        self.place, self.ends, self.is_free = None, float("inf"), True
        return result

    def end(self) -> None:
        self.process.kill()  # it may hang in a library that hears nothing else
        self.process.join(timeout=10)  # one that waits for a dead disk cannot even be killed
        self.connection.close()


def _serve(connection: Connection, work, open_tool) -> None:
    """What a worker process does until its parent is gone or ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with open_tool() as tool:
            connection.send((None, None))
            while True:
                connection.send((work(connection.recv(), tool), None))
    except EOFError:
        return
    except Exception as error:
        connection.send((None, error))


def _end_with_parent() -> None:
    """A parent that was killed cannot tell its workers, and they would wait for it for ever."""
    wait([parent_process().sentinel])
    os._exit(1)
