"""Lets Python sleep under libfaketime.

time.sleep waits for a moment of the monotonic clock (clock_nanosleep with TIMER_ABSTIME). With
FAKETIME_DONT_FAKE_MONOTONIC the clock_nanosleep of Debian 12's libfaketime (0.9.10) subtracts the
wall clock from that moment, and the kernel refuses what comes of it (EINVAL). Without, a thread
that waits for a lock with a timeout does not wake up.
"""

import select
import time


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep  # type: ignore[assignment]  # theirs takes what has an __index__, too
