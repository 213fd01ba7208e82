"""Work in a thread beside a test."""

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def again_and_again(
    stop: threading.Event, pause: float, does: Callable[[], None]
) -> Iterator[None]:
    """Do it in a thread of its own until told to stop; what fails there fails here."""
    failures: list[BaseException] = []

    def loop() -> None:
        try:
            while not stop.wait(pause):
                does()
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        if failures:
            raise failures[0]
