"""Log lines: one event each, as logfmt or JSON, on standard error."""

import logging
import time

from logfmter.formatter import Logfmter
from pythonjsonlogger.json import JsonFormatter

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
