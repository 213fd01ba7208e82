"""Logs to standard error as logfmt or JSON, one line per event."""

import logging
import sys
import time
import traceback
from collections.abc import Hashable
from typing import TextIO

from logfmter.formatter import Logfmter
from pythonjsonlogger.json import JsonFormatter

from exporter.cluster.text import shortened, shortened_in_the_middle
from exporter.runtime.clock import Clock

REPEAT_INTERVAL = 600.0
"""Seconds after which the same event is logged again."""
LIBRARY_REPEAT_INTERVAL = 60.0
"""Seconds after which the same kind of line of asyncio or uvicorn is logged again."""
MAX_EVENTS = 20
"""Maximum different events logged within that time."""
TRACEBACK_LIMIT = 8000
"""Maximum characters of a traceback."""

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")


def configure(level: str, form: str, clock: Clock) -> None:
    """Send the log of the whole process to standard error.

    Args:
        level: one of LEVELS.
        form: one of FORMATS.
        clock: measures the time between repeated lines.

    """
    handler = _Handler()
    handler.addFilter(LibraryFilter(clock))
    handler.addFilter(_bounded)
    handler.setFormatter(_formatter(form))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Clients cause uvicorn's warnings, and some of their advice does not fit this program.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to standard error; if there is no memory for a line, the line is lost."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Report an error in logging itself, which a lack of memory is not."""
        if not isinstance(sys.exception(), MemoryError):
            super().handleError(record)


def ignore_lack_of_memory(unraisable: "sys.UnraisableHookArgs") -> None:
    """Handle an exception that Python cannot raise (a hook of sys).

    Libraries cannot raise a MemoryError everywhere. What they were asked to do fails then, and
    that is logged and counted.
    """
    if not isinstance(unraisable.exc_value, MemoryError):
        sys.__unraisablehook__(unraisable)


def silence() -> None:
    """Log nothing: commands that people run print their own errors."""
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


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


_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""The attributes of a log record without `extra`."""


def _bounded(record: logging.LogRecord) -> bool:
    """Limit the length of message, fields and traceback, and escape control characters."""
    record.levelname = record.levelname.lower()
    record.msg, record.args = shortened(record.getMessage()), None
    for name, value in vars(record).items():
        if name not in _STANDARD_FIELDS and isinstance(value, str):
            setattr(record, name, shortened(value))
    if record.exc_info:
        text = logging.Formatter().formatException(record.exc_info)
        record.exc_text = shortened_in_the_middle(text, TRACEBACK_LIMIT)
        record.exc_info = None
    return True


class RepeatLimit:
    """Limits how often each event is logged, and how many different events."""

    def __init__(self, clock: Clock, interval: float, limit: int = MAX_EVENTS) -> None:
        """Set the limits.

        Args:
            clock: measures the interval.
            interval: seconds after which the same event is logged again.
            limit: maximum different events within the interval.

        """
        self._clock = clock
        self._interval = interval
        self._limit = limit
        self._logged: dict[Hashable, float] = {}
        self._suppressed = 0

    def admit(self, event: Hashable) -> dict[str, int] | None:
        """Return the fields to log with this event, or None to suppress it.

        The field `suppressed` is the number of events that were not logged since the last one.
        """
        now = self._clock.monotonic()
        while self._logged and now - next(iter(self._logged.values())) >= self._interval:
            del self._logged[next(iter(self._logged))]
        if event in self._logged or len(self._logged) >= self._limit:
            self._suppressed += 1
            return None
        self._logged[event] = now
        suppressed, self._suppressed = self._suppressed, 0
        return {"suppressed": suppressed} if suppressed else {}


class LibraryFilter(logging.Filter):
    """Limits lines of asyncio and uvicorn, which clients can cause, to one per minute and kind.

    Lines are of the same kind if the same place logs them, for an exception raised at the same
    place.
    """

    def __init__(self, clock: Clock) -> None:
        """Limit lines by this clock."""
        super().__init__()
        self._limit = RepeatLimit(clock, LIBRARY_REPEAT_INTERVAL)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the line; add the number of suppressed lines to it."""
        if record.name.partition(".")[0] not in {"asyncio", "uvicorn"}:
            return True
        kind: tuple[object, ...] = (record.pathname, record.lineno)
        if record.exc_info and record.exc_info[0]:
            *_, place = traceback.walk_tb(record.exc_info[2]) if record.exc_info[2] else (None,)
            code = (place[0].f_code, place[1]) if place else None
            kind = (*kind, record.exc_info[0], code)
        suppressed = self._limit.admit(kind)
        vars(record).update(suppressed or {})
        return suppressed is not None


class LimitedLog:
    """Logs events that repeat, or that strangers can cause, a limited number of times.

    Each event is logged once in ten minutes, with at most MAX_EVENTS different ones in that time.
    The next line says how many were suppressed. At level debug every event is logged.
    """

    def __init__(self, log: logging.Logger, level: int, clock: Clock) -> None:
        """Log to this logger, at this level."""
        self._log = log
        self._level = level
        self._limit = RepeatLimit(clock, REPEAT_INTERVAL)

    def __call__(self, what: str, **facts: str) -> None:
        """Log the event with its fields, or count it as suppressed."""
        suppressed = self._limit.admit((what, *facts.values()))
        if suppressed is None:
            self._log.debug("%s", what, extra=facts)
        else:
            self._log.log(self._level, "%s", what, extra={**facts, **suppressed})
