"""Time, passed in so that tests own it."""

import time
from typing import Protocol


class Clock(Protocol):
    """The two clocks that the exporter reads."""

    def time(self) -> float:
        """Seconds since the epoch: for what is shown."""

    def monotonic(self) -> float:
        """Seconds that only grow: for ages and schedules, whatever the wall clock does."""


class SystemClock:
    """The machine's clocks."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()
