"""Notifies systemd that the exporter is ready, feeds its watchdog, and says when it stops."""

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import Callable

from systemd_watchdog.systemd_watchdog import WatchDog

from exporter.polling.state import State
from exporter.runtime.clock import Clock

SLACK = 60.0
"""Seconds that a poll may take beyond its interval and timeout: to run cibadmin and crm_node, to
kill a command that hangs, and to parse a large answer."""
START_TICK = 0.01
"""Seconds between checks whether the HTTP server serves yet."""

log = logging.getLogger(__name__)


class Watchdog:
    """Feeds systemd's watchdog while the HTTP server serves and polls end in time.

    Without systemd, or without WatchdogSec= in the unit, it sends nothing.
    """

    def __init__(self, patience: float, clock: Clock) -> None:
        """Args: interval plus timeout of a poll in seconds, the clock."""
        self._patience = patience + SLACK
        self._clock = clock

    async def feed(
        self, serving: Callable[[], bool], state: Callable[[], State], stop: asyncio.Event
    ) -> None:
        """Notify systemd when the server is ready, feed the watchdog, and say when it stops.

        It runs in the server's event loop, so the notifications also end if that loop hangs.

        Args:
            serving: whether the HTTP server accepts clients.
            state: returns the published state, a new object after each poll.
            stop: set when the exporter stops.

        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nonblocking:
            nonblocking.settimeout(0)  # a full queue must not delay scrapes
            systemd = WatchDog(nonblocking)
            # Not WatchDog.ping, which uses the wall clock: that may be set back.
            pause = systemd.timeout_td.total_seconds() / 3
            while not serving() and not stop.is_set():  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(START_TICK)
            self._send(systemd.ready)
            last, looked, without = state(), self._clock.monotonic(), 0.0
            while not stop.is_set():
                now = self._clock.monotonic()
                # If more time passed, the exporter stood still, or its machine: no poll could end.
                without += min(now - looked, pause)
                looked = now
                if state() is not last:
                    last, without = state(), 0.0
                if not serving():
                    log.error(
                        "the HTTP server accepts no clients: systemd should restart the exporter"
                    )
                elif without > self._patience:
                    log.error(
                        "no poll has ended for %.0f s: systemd should restart the exporter", without
                    )
                else:
                    self._send(systemd.notify)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)
            # The library has no words of its own for it: a message may have several lines.
            self._send(functools.partial(systemd.status, "stopping\nSTOPPING=1"))

    def _send(self, send: Callable[[], None]) -> None:
        try:
            send()
        except OSError as error:
            log.warning("cannot notify systemd: %s", error.strerror)
