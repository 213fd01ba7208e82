"""Threads that take turns."""

import itertools
import threading

import pytest

from exporter.runtime.threads import Relay


def test_each_turn_runs_in_another_thread() -> None:
    threads: list[int] = []
    together: list[bool] = []
    busy = threading.Lock()

    def work() -> bool:
        together.append(not busy.acquire(blocking=False))
        threads.append(threading.get_native_id())
        busy.release()
        return len(threads) == 20

    Relay(work).run().result(20)
    assert len(threads) == 20
    assert not any(together)
    assert all(one != other for one, other in itertools.pairwise(threads))


def test_exception_in_the_work_is_raised() -> None:
    def work() -> bool:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        Relay(work).run().result(20)
