"""Log lines: one event each, as logfmt or JSON, on standard error."""

import logging
import time

from logfmter.formatter import Logfmter
from pythonjsonlogger.json import JsonFormatter

from exporter.clock import Clock

TOLD_AGAIN = 600.0
"""Seconds after which what still happens is told again."""
_MOST = 20
"""Lines about what clients do within that time."""

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")


def configure(level: str, form: str) -> None:
    """Send the log of the whole process to standard error."""
    handler = logging.StreamHandler()
    handler.addFilter(_small_level)
    handler.setFormatter(_formatter(form))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What clients send is not an event of ours, and its advice is about another program.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _formatter(form: str) -> logging.Formatter:
    formatter: logging.Formatter
    if form == "json":
        names = {"asctime": "ts", "levelname": "level", "message": "msg"}
        formatter = JsonFormatter(list(names), rename_fields=names)
    else:
        formatter = Logfmter(["ts", "level"], {"ts": "asctime", "level": "levelname"})
    formatter.converter = time.gmtime
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03dZ"
    return formatter


def _small_level(record: logging.LogRecord) -> bool:
    record.levelname = record.levelname.lower()
    return True


class Repeated:
    """Tells what happens again and again, and what strangers can make happen: not every time.

    Each event is told once in ten minutes, and of all together not many; the next line that is
    told says how many were not. With --log.level=debug each is told.
    """

    def __init__(self, log: logging.Logger, level: int, clock: Clock) -> None:
        """Args: where to tell, how severe it is, the clock."""
        self._log = log
        self._level = level
        self._clock = clock
        self._since = clock.monotonic()
        self._told: set[tuple[str, ...]] = set()
        self._untold = 0

    def __call__(self, what: str, **facts: str) -> None:
        """Tell it, or count it."""
        now = self._clock.monotonic()
        if now - self._since >= TOLD_AGAIN:
            self._since = now
            self._told.clear()
        event = (what, *facts.values())
        if event in self._told or len(self._told) >= _MOST:
            self._untold += 1
            self._log.debug("%s", what, extra=facts)
            return
        self._told.add(event)
        untold = {"not_told": self._untold} if self._untold else {}
        self._untold = 0
        self._log.log(self._level, "%s", what, extra={**facts, **untold})
