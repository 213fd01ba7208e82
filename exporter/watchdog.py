"""Tells systemd that the exporter is ready, and then, as its watchdog asks, that it lives."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from systemd_watchdog.systemd_watchdog import WatchDog

from exporter.clock import Clock
from exporter.state import State

SLACK = 60.0
"""Seconds by which a poll may outlast its interval and timeout: cibadmin and crm_node come after
crm_mon, what hangs is killed with some grace, and a large answer takes time to parse."""
START_TICK = 0.01

log = logging.getLogger(__name__)


class Watchdog:
    """Feeds systemd's watchdog while the HTTP server serves and the poller gets on.

    Without systemd, or without WatchdogSec= in the unit, it sends nothing.
    """

    def __init__(self, patience: float, clock: Clock) -> None:
        """Args: seconds within which a poll begins and ends; the clock."""
        self._patience = patience + SLACK
        self._clock = clock

    async def feed(
        self, serving: Callable[[], bool], state: Callable[[], State], stop: asyncio.Event
    ) -> None:
        """Say that the exporter is ready once it serves, and feed the watchdog until it stops.

        It runs in the server's event loop, so that it also falls silent with that.

        Args:
            serving: whether the HTTP server accepts clients.
            state: what the poller publishes: another one after each poll.
            stop: set when the exporter stops.

        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unblocked:
            unblocked.settimeout(0)  # systemd's queue may be full: no scrape waits for it
            systemd = WatchDog(unblocked)
            # Not WatchDog.ping, which goes by the wall clock: that may be set back.
            pause = systemd.timeout_td.total_seconds() / 3
            while not serving() and not stop.is_set():  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(START_TICK)
            self._tell(systemd.ready)
            last, since = state(), self._clock.monotonic()
            while not stop.is_set():
                now = self._clock.monotonic()
                if state() is not last:
                    last, since = state(), now
                if not serving():
                    log.error("the HTTP server accepts no clients: systemd is to restart it")
                elif now - since > self._patience:
                    log.error("no poll has ended for %.0f s: systemd is to restart it", now - since)
                else:
                    self._tell(systemd.notify)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)

    def _tell(self, send: Callable[[], None]) -> None:
        try:
            send()
        except OSError as error:
            log.warning("cannot tell systemd that the exporter lives: %s", error.strerror)
