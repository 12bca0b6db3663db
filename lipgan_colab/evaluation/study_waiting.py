"""Waiting for other sessions that are at work on the same study, but not for ever."""

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tqdm.auto import tqdm

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.arm_costs import are_known
from lipgan_colab.evaluation.stopping import rest
from lipgan_colab.evaluation.study_runs import last_step
from lipgan_colab.training.lease import InUse, read_holder
from lipgan_colab.training.step import TrainConfig

LOOK_AGAIN = 10.0  # seconds, where other sessions are at work on all that is left
LONGEST_WAIT = 3600.0  # seconds for another session that does not get on


def wait_for_costs(path: Path, arms: Mapping[str, TrainConfig], deadline: float | None) -> None:
    """Until another machine has timed the arms (see `step_costs`): all machines have to take the same steps.

    Raises:
        InputError: nobody does.
        Stopped: the deadline would pass.
    """
    began = time.monotonic()
    while not are_known(path, arms):
        if time.monotonic() - began > LONGEST_WAIT:
            raise InputError(f"{path}: is still not there; `rank=0` makes it, start that first")
        if began > time.monotonic() - LOOK_AGAIN / 2:
            tqdm.write(f"waiting for {path}, which `rank=0` makes")
        rest(LOOK_AGAIN, deadline)


class Waiting:
    """For other sessions that are at work on all that is left; what they had done when it was last looked."""

    def __init__(self, deadline: float | None):
        self._deadline, self._seen, self._since = deadline, None, time.monotonic()

    def wait(self, in_use: Mapping[Path, InUse]) -> None:
        """A while.

        Args:
            in_use: what was said of each run's folder that another session is at work on.

        Raises:
            InputError: nothing has moved for long.
            Stopped: the deadline would pass.
        """
        seen = set()
        for run in in_use:
            with suppress(OSError):
                holder = read_holder(run)
                seen.add((run, holder and (holder.token, holder.step), last_step(run)))
        now, error = time.monotonic(), next(iter(in_use.values()))
        if seen != self._seen:
            self._seen, self._since = seen, now
        if now - self._since > LONGEST_WAIT:
            raise InputError(f"{error.line}; nothing has moved there for {LONGEST_WAIT / 3600:g} h")
        tqdm.write(f"waiting: {error}")
        rest(LOOK_AGAIN, self._deadline)
