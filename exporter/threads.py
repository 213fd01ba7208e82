"""Threads that are there before they are needed: by then the process table may be full."""

from concurrent.futures import ThreadPoolExecutor


class NoThreadError(Exception):
    """The process table is full."""


def own_thread(name: str) -> ThreadPoolExecutor:
    """Start the one thread of somebody who wants one thing done at a time.

    Raises:
        NoThreadError: there is no room for it.

    """
    executor = ThreadPoolExecutor(1, name)
    try:
        executor.submit(int).result()
    except RuntimeError as error:
        raise NoThreadError(f"cannot start a thread ({name}): the process table is full") from error
    return executor
