"""Clients that guess passwords, and a scraper beside them."""

import base64
import http.client
import itertools
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

GUESSERS = 32
FAILED = 0
"""The status where no answer came in time."""


def header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def ask(port: int, authorization: str, source: str, seconds: float) -> int:
    """Ask for the metrics on a new connection from an address; return the status."""
    return _ask(_connection(port, source, seconds), authorization)


def _connection(port: int, source: str, seconds: float) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(
        "127.0.0.1", port, timeout=seconds, source_address=(source, 0)
    )


def _ask(connection: http.client.HTTPConnection, authorization: str) -> int:
    try:
        connection.request("GET", "/metrics", headers={"Authorization": authorization})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return FAILED
    else:
        return response.status
    finally:
        connection.close()


@contextmanager
def guessing(
    port: int, name: Callable[[int], str], source: Callable[[int], str], patience: float = 60
) -> Iterator[Counter[int]]:
    """Guess in as many threads as there are guessers, each time another password.

    Gives how many guesses had which status.

    Args:
        port: the exporter's.
        name: the user name of the guess of this number.
        source: the address of the guesser of this number.
        patience: seconds after which a guesser closes a connection without an answer.

    """
    stop = threading.Event()
    numbers = itertools.count(random.randrange(10**9))  # others guess others
    found: Counter[int] = Counter()
    connections: dict[int, http.client.HTTPConnection] = {}

    def guess(guesser: int) -> None:
        while not stop.is_set():
            number = next(numbers)
            connections[guesser] = _connection(port, source(guesser), patience)
            found[_ask(connections[guesser], header(name(number), f"no {number}"))] += 1

    threads = [threading.Thread(target=guess, args=(n,)) for n in range(GUESSERS)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        while any(thread.is_alive() for thread in threads):
            for connection in tuple(connections.values()):
                with suppress(OSError, AttributeError):  # closed, or not yet open
                    connection.sock.shutdown(socket.SHUT_RDWR)
            time.sleep(0.02)


def scrapes_until_let_in(port: int, authorization: str, interval: float, most: int) -> int:
    """Scrape at every interval, which is the time limit too; return which scrape succeeded.

    Returns 0 if that many scrapes failed.
    """
    for count in range(1, most + 1):
        began = time.monotonic()
        if ask(port, authorization, "127.0.0.1", interval) == http.client.OK:
            return count
        time.sleep(max(0.0, began + interval - time.monotonic()))
    return 0
