"""Log lines are bounded, one for each event, and limited where clients cause them."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter.runtime import logs
from exporter.runtime.logs import LibraryFilter, LimitedLog
from tests.support.harness.fakes import FrozenClock
from tests.support.paths import ROOT

OVERHEAD = 4
"""A character may become so many in a value: a quote, and a backslash of what is written out."""


class TestRepeatedLines:
    def test_repeated_line_is_logged_once_in_ten_minutes_with_a_count(
        self, clock: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        tell = LimitedLog(logging.getLogger("test"), logging.WARNING, FrozenClock())
        caplog.set_level(logging.INFO)
        for _ in range(100):
            tell("failed", client="10.0.0.1")
        tell("failed", client="10.0.0.2")
        assert [getattr(r, "suppressed", 0) for r in caplog.records] == [0, 99]
        caplog.clear()
        for n in range(1000):
            tell("failed", client=f"10.1.0.{n}")
        assert len(caplog.records) < 20
        caplog.clear()
        clock.tick(600)
        tell("failed", client="10.0.0.1")
        (record,) = caplog.records
        assert getattr(record, "suppressed", 0) > 900
        assert record.levelname == "WARNING"

    def test_repeated_line_is_logged_each_time_at_debug(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        tell = LimitedLog(logging.getLogger("test"), logging.WARNING, FrozenClock())
        caplog.set_level(logging.DEBUG)
        for _ in range(3):
            tell("failed", client="10.0.0.1")
        assert [r.levelname for r in caplog.records] == ["WARNING", "DEBUG", "DEBUG"]


class TestLinesOfLibraries:
    @pytest.fixture
    def seldom(self, clock: FrozenDateTimeFactory) -> Iterator[logging.Logger]:
        """A logger of asyncio."""
        log = logging.getLogger("asyncio")
        only = LibraryFilter(FrozenClock())
        log.addFilter(only)
        yield log
        log.removeFilter(only)

    def test_library_line_of_one_kind_is_logged_once_a_minute(
        self,
        seldom: logging.Logger,
        clock: FrozenDateTimeFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        for _ in range(3):
            for _ in range(1000):
                seldom.warning("socket.send() raised exception.")
            clock.tick(60)
        assert [vars(record).get("suppressed") for record in caplog.records] == [None, 999, 999]

    def test_exception_and_place_distinguish_kinds_of_lines(
        self, seldom: logging.Logger, caplog: pytest.LogCaptureFixture
    ) -> None:
        failed = []
        for bad, kind in ((b"\xff", ValueError), ("x", AttributeError)):
            for _ in range(2):
                with pytest.raises(kind) as caught:
                    cast("bytes", bad).decode()
                failed.append(caught.value)
        for error in failed * 2:
            seldom.error("fd=%d", id(error), exc_info=error)
        told = [record.exc_info and record.exc_info[0] for record in caplog.records]
        assert told == [UnicodeDecodeError, AttributeError]

    def test_number_of_remembered_kinds_is_bounded(
        self, seldom: logging.Logger, caplog: pytest.LogCaptureFixture
    ) -> None:
        for n in range(100):
            record = seldom.makeRecord("asyncio", logging.ERROR, f"file{n}", n, "x", (), None)
            seldom.handle(record)
        assert len(caplog.records) == 20

    def test_lines_of_other_loggers_are_not_limited(self) -> None:
        only = LibraryFilter(FrozenClock())
        record = logging.makeLogRecord({"name": "exporter.poller"})
        assert all(only.filter(record) for _ in range(100))


PROGRAM = """
import logging, sys
from exporter.runtime import logs
from exporter.runtime.clock import SystemClock
logs.configure("info", sys.argv[1], SystemClock())
log = logging.getLogger("exporter")
big = "\\0\\n\\x1b\\u2028\\"" * 100_000
log.error("%s", big)
log.error("facts", extra={"reason": big, "count": 1})
try:
    raise ValueError(big)
except ValueError:
    log.critical("a bug", exc_info=True)
for _ in range(100):
    logging.getLogger("asyncio").error("lines\\nof asyncio")
"""


@pytest.mark.parametrize("form", logs.FORMATS)
def test_each_event_is_one_bounded_line(form: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, form],
        capture_output=True,
        check=True,
        timeout=60,
        cwd=ROOT,
    )
    lines = ended.stderr.decode().splitlines()
    assert len(lines) == 4
    message, facts, bug, library = lines
    assert all(line.isprintable() for line in lines)
    assert len(message) < 1000 * OVERHEAD
    assert len(facts) < 1000 * OVERHEAD
    assert len(bug) < logs.TRACEBACK_LIMIT * OVERHEAD
    assert all("more characters)" in line for line in (message, facts, bug))
    assert "ValueError" in bug
    assert "a bug" in bug
    assert "of asyncio" in library
    if form == "json":
        assert [json.loads(line)["level"] for line in lines] == ["error"] * 2 + [
            "critical",
            "error",
        ]
        assert json.loads(facts)["count"] == 1
