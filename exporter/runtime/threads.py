"""Threads that are started early, because the process table may be full later."""

import _thread
import ctypes
import errno
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

START_TIMEOUT = 1.0
"""Seconds to wait until a new thread runs. Without memory it may never run."""


_CLONE3 = 435  # asm/unistd.h; the same number on all architectures


class NoThreadError(Exception):
    """A thread cannot be started."""

    def __init__(self, name: str) -> None:
        """Args: what the thread is for."""
        super().__init__(f"cannot start a thread ({name}): {_reason()}")


def _reason() -> str:
    """Return why a thread cannot be started: Python does not say."""
    libc = ctypes.CDLL(None, use_errno=True)
    # These arguments are invalid: Linux answers EINVAL; before 5.3 ENOSYS, and glibc uses clone.
    libc.syscall(_CLONE3, None, 0)
    if ctypes.get_errno() == errno.EPERM:
        return (
            "the container engine forbids the system call clone3, which glibc uses since 2.34;"
            " update the engine and its libseccomp, or run the container with"
            " --security-opt seccomp=unconfined"
        )
    return "the process table is full"


def own_thread(name: str) -> ThreadPoolExecutor:
    """Return an executor with one thread, which is already running.

    Raises:
        NoThreadError: the thread cannot be started.

    """
    executor = ThreadPoolExecutor(1, name)
    try:
        executor.submit(int).result()
    except RuntimeError as error:
        raise NoThreadError(name) from error
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
            NoThreadError: the thread cannot be started.

        """
        self._work = work
        self._begin = threading.Event()
        self._done: Future[None] = Future()
        if not self._hand_over():
            raise NoThreadError("poller")

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
