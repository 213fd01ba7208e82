"""Logs when a source begins to fail, fails for another reason, and works again."""

import logging
import math

from exporter.cluster.outcome import Failure, Outcome
from exporter.runtime.clock import Clock
from exporter.runtime.logs import REPEAT_INTERVAL

ALTERNATING = 60.0
"""Seconds between log lines while the reason of a failure alternates."""

log = logging.getLogger(__name__)


class FailureLog:
    """Logs the failures of one command without flooding the log.

    A lasting failure is logged again every ten minutes, and alternating reasons once a minute. The
    metrics count every read.
    """

    def __init__(self, command: str, clock: Clock, level: int = logging.ERROR) -> None:
        """Args: name of the command, the clock, log level of a failure."""
        self._command = command
        self._clock = clock
        self._level = level
        self._since = math.nan
        self._logged: dict[Outcome, float] = {}
        """When each outcome was last logged since the failure began; the latest is at the end."""

    def failed(self, failure: Failure, since: float) -> None:
        """Log a failure, unless it was logged recently.

        Args:
            failure: the outcome and message.
            since: when the command was started, in seconds of the monotonic clock.

        """
        now = self._clock.monotonic()
        facts: dict[str, str | int] = {"outcome": failure.outcome.value}
        if self._logged:
            latest, at = next(reversed(self._logged.items()))
            pause = REPEAT_INTERVAL if failure.outcome is latest else ALTERNATING
            if failure.outcome in self._logged and now - at < pause:
                return
            facts["failed_for_seconds"] = round(now - self._since)
        else:
            self._since = since
        self._logged.pop(failure.outcome, None)
        self._logged[failure.outcome] = now
        log.log(self._level, "%s", failure.message, extra={"command": self._command, **facts})

    def succeeded(self) -> None:
        """Log the end of a failure, if there was one."""
        if self._logged:
            seconds = round(self._clock.monotonic() - self._since, 1)
            level = min(self._level, logging.INFO)
            log.log(level, "%s works again", self._command, extra={"failed_for_seconds": seconds})
        self._logged.clear()
