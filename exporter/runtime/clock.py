"""The clocks, passed in so that tests control time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall clock and monotonic clock."""

    def time(self) -> float:
        """Return seconds since the epoch, for timestamps that are shown."""

    def monotonic(self) -> float:
        """Return seconds that never go back, for ages and schedules.

        A change of the wall clock does not affect them. They include the time for which the machine
        was suspended, so data from before that is as old as it really is.
        """


class SystemClock:
    """The machine's clocks."""

    def time(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since boot."""
        # Not CLOCK_MONOTONIC, which stands still while the machine is suspended.
        return time.clock_gettime(time.CLOCK_BOOTTIME)
