"""Stages that work at the same time: each iterator in a thread of its own, a few items ahead of who takes them."""

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

Item = TypeVar("Item")
_END = object()


def ahead(items: Iterable[Item], depth: int = 4) -> Iterator[Item]:
    """The same items, made in another thread, at most `depth` of them waiting.

    Decoding, landmarks, networks and encoding all run outside of Python's lock, so stages chained by `ahead` share the
    cores, and memory does not grow with length. An error in the thread comes out here, at its place. Closing this
    generator stops the thread and closes `items`; merely dropped half-way it may live on, for a traceback that somebody
    keeps keeps it too.
    """
    waiting: queue.Queue = queue.Queue(depth)
    stop = threading.Event()

    def put(entry) -> bool:
        while not stop.is_set():
            try:
                waiting.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        source = iter(items)
        try:
            for item in source:
                if not put((item, None)):
                    return
            put((_END, None))
        except BaseException as error:
            put((_END, error))
        finally:
            if hasattr(source, "close"):
                source.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join()


@dataclass
class StageClock:
    """Seconds spent in each stage; those of stages that work at the same time may sum up to more than has passed."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time spent inside as this stage's."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def around(self, name: str, work: Callable) -> Callable:
        """The same function; the time that it takes counts as this stage's."""

        def counted(*arguments):
            with self.stage(name):
                return work(*arguments)

        return counted

    def timed(self, name: str, items: Iterator) -> Iterator:
        """The same items; the time that they take to come counts as this stage's. Closing it closes `items`."""
        try:
            while True:
                with self.stage(name):
                    item = next(items, self)
                if item is self:
                    return
                yield item
        finally:
            if hasattr(items, "close"):
                items.close()
