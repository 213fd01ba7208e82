"""Threads that are started early, because the process table may be full later."""

import _thread
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

START_TIMEOUT = 1.0
"""Seconds to wait until a new thread runs. Without memory it may never run."""


class NoThreadError(Exception):
    """A thread cannot be started because the process table is full."""


def own_thread(name: str) -> ThreadPoolExecutor:
    """Return an executor with one thread, which is already running.

    Raises:
        NoThreadError: the process table is full.

    """
    executor = ThreadPoolExecutor(1, name)
    try:
        executor.submit(int).result()
    except RuntimeError as error:
        raise NoThreadError(f"cannot start a thread ({name}): the process table is full") from error
    return executor


class Relay:
    """Runs each piece of work in a new thread.

    libxml2 frees some memory only when a thread ends. If a new thread cannot be started, the
    current one continues. `threading.Thread` is not used: its start() waits forever if the thread
    runs out of memory before it signals that it runs.
    """

    def __init__(self, work: Callable[[], bool]) -> None:
        """Start the first thread, which waits for `run`.

        Args:
            work: does one piece of work and returns whether all work is done. If not, it is called
                again in the next thread.

        Raises:
            NoThreadError: the process table is full.

        """
        self._work = work
        self._begin = threading.Event()
        self._done: Future[None] = Future()
        if not self._hand_over():
            raise NoThreadError("cannot start a thread (poller): the process table is full")

    def run(self) -> Future[None]:
        """Begin. The future ends when the work is done, or with the exception that it raised."""
        self._begin.set()
        return self._done

    def _run_thread(self, claim: threading.Lock) -> None:
        if not claim.acquire(blocking=False):
            return  # the previous thread stopped waiting and continues itself
        self._begin.wait()
        try:
            while not self._work():
                if self._hand_over():
                    return
            self._done.set_result(None)
        except BaseException as error:  # noqa: BLE001 - passed on through the future
            self._done.set_exception(error)

    def _hand_over(self) -> bool:
        """Start the next thread; return whether it takes over."""
        claim = threading.Lock()
        try:
            _thread.start_new_thread(self._run_thread, (claim,))
        except (RuntimeError, MemoryError):
            return False
        deadline = time.monotonic() + START_TIMEOUT
        while not claim.locked():
            if time.monotonic() > deadline:
                return not claim.acquire(blocking=False)
            time.sleep(0.0002)
        return True
