"""Work shared out to processes: results in order, and an item that ends its process ends nothing else."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any

from lipgan_colab.errors import InputError

MOST_DEATHS = 3  # in a row: then it is not the items' fault


def core_count() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    work: Callable[[Any, Any], Any],
    items: Sequence[Any],
    workers: int,
    open_tool: Callable[[], AbstractContextManager],
) -> Iterator[Any]:
    """`work(item, tool)` of every item, in order; None for one that twice ended the process it was worked on in.

    Args:
        work, open_tool: functions of a module, for they go to other processes; every process opens its own tool.
        items: plain data.
        workers: processes; 0 works in this one.

    Raises:
        InputError: processes die whatever they work on.
    """
    if not items:
        return
    if workers == 0:
        with open_tool() as tool:
            yield from (work(item, tool) for item in items)
        return
    done = deaths = 0
    while done < len(items):
        try:
            for result in _pooled(work, items[done:], workers, open_tool):
                yield result
                done, deaths = done + 1, 0
        except BrokenProcessPool as error:
            # Which item did it is not known, so each has a process to itself until the pool gets past it.
            result = _alone(work, items[done], open_tool)
            deaths = deaths + 1 if result is None else 0
            if deaths == MOST_DEATHS:
                raise InputError(
                    "worker processes keep dying, most likely for lack of memory; "
                    "run again (what is done is kept), with fewer workers"
                ) from error
            yield result
            done += 1


def _pooled(work, items, workers, open_tool) -> Iterator[Any]:
    # Spawned, not forked: MediaPipe's and PyAV's threads do not survive a fork.
    with ProcessPoolExecutor(min(workers, len(items)), get_context("spawn"), _start, (open_tool,)) as pool:
        try:
            yield from pool.map(_work_in_process, [work] * len(items), items)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _alone(work, item, open_tool) -> Any:
    try:
        return next(_pooled(work, [item], 1, open_tool))
    except BrokenProcessPool:
        return None


_tool: Any = None  # a worker process' own


def _start(open_tool) -> None:
    global _tool
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer; workers finish what they are at
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _tool = open_tool()


def _end_with_parent() -> None:
    """A parent that was killed cannot tell its workers, and they would wait for it for ever."""
    wait([parent_process().sentinel])
    os._exit(1)


def _work_in_process(work, item) -> Any:
    return work(item, _tool)
