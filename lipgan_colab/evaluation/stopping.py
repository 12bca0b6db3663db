"""An end before the end: a person, the machine or the clock wants a study to stop, and to go on another time."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(Exception):
    """A person, or the machine, wants it to end; the message says where it was."""


def seconds_left(deadline: float | None) -> float | None:
    """Until a deadline (of time.monotonic), at least 0; None where there is none."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def rest(seconds: float, deadline: float | None) -> None:
    """Sleep; Stopped where the deadline (of time.monotonic) would pass meanwhile."""
    if deadline is not None and time.monotonic() + seconds > deadline:
        raise Stopped("because the time is up")
    time.sleep(seconds)


@contextmanager
def terms_interrupt() -> Iterator[None]:
    """Has SIGTERM end what is not a training's loop, which sees to itself, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number, _frame) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
