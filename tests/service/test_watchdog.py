"""Notifications to systemd: ready, alive and stopping."""

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from exporter.polling.state import State
from exporter.runtime.clock import Clock, SystemClock
from exporter.service import watchdog
from exporter.service.watchdog import Watchdog
from tests.support.harness import programs
from tests.support.harness.stand_in import HANGS, StandIn

WANTED = 0.15
"""Seconds within which our systemd wants to hear something."""
ALIVE = b"WATCHDOG=1"
STOPPING = b"STATUS=stopping\nSTOPPING=1"


class Systemd:
    """The socket of systemd, as sd_notify(3) describes it."""

    def __init__(self, path: Path) -> None:
        self.environment = {
            "NOTIFY_SOCKET": str(path),
            "WATCHDOG_USEC": str(int(WANTED * 1e6)),
        }
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(20)

    def hear(self) -> bytes:
        """The next message."""
        return self.socket.recv(4096).strip()

    def heard(self) -> list[bytes]:
        """What has been said and not yet heard."""
        messages = []
        while select.select([self.socket], [], [], 0)[0]:
            messages.append(self.hear())
        return messages


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    found = Systemd(tmp_path / "notify")
    with found.socket:
        yield found


# ---- The program ----


@contextlib.contextmanager
def started(directory: Path, systemd: Systemd, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", "exporter", "--web.listen-address=127.0.0.1:0", *flags]
    environment = {**os.environ, **systemd.environment}
    with programs.running(argv, directory / "log", env=environment) as program:
        yield program


def test_program_reports_ready_when_it_listens_and_then_feeds_the_watchdog(
    tmp_path: Path, systemd: Systemd
) -> None:
    with started(tmp_path, systemd, "--demo") as program:
        assert systemd.hear() == b"READY=1"
        assert b"msg=listening" in (tmp_path / "log").read_bytes()
        for _ in range(4):
            begun = time.monotonic()
            assert systemd.hear() == ALIVE
            assert time.monotonic() - begun < 10 * WANTED
        program.terminate()
        assert program.wait(10) == 0
    assert b"level=error" not in (tmp_path / "log").read_bytes()


def test_program_reports_that_it_stops(tmp_path: Path, systemd: Systemd) -> None:
    with started(tmp_path, systemd, "--demo") as program:
        assert systemd.hear() == b"READY=1"
        program.terminate()
        while (message := systemd.hear()) == ALIVE:
            pass
        assert message == STOPPING
        assert program.wait(10) == 0
        assert systemd.heard() == []


def test_watchdog_is_fed_while_crm_mon_hangs(tmp_path: Path, systemd: Systemd) -> None:
    with StandIn(tmp_path) as crm_mon:
        crm_mon.does(HANGS)
        with started(tmp_path, systemd, f"--crm_mon.path={crm_mon.path}"):
            assert systemd.hear() == b"READY=1"
            assert [systemd.hear() for _ in range(4)] == [ALIVE] * 4


def test_stopped_process_does_not_feed_the_watchdog(tmp_path: Path, systemd: Systemd) -> None:
    with started(tmp_path, systemd, "--demo") as program:
        systemd.hear()
        program.send_signal(signal.SIGSTOP)
        systemd.heard()
        time.sleep(3 * WANTED)
        assert systemd.heard() == []
        program.send_signal(signal.SIGCONT)
        assert systemd.hear() == ALIVE


def test_exporter_survives_a_missing_notify_socket(tmp_path: Path, systemd: Systemd) -> None:
    with started(tmp_path, systemd, "--demo") as program:
        systemd.hear()
        (tmp_path / "notify").unlink()
        log = tmp_path / "log"
        programs.eventually(lambda: b"cannot notify systemd" in log.read_bytes())
        assert program.poll() is None


# ---- What is not alive ----


@dataclass
class Exporter:
    """The state that the watchdog checks."""

    serving: bool = True
    state: State = field(default_factory=State)


async def _feed(
    exporter: Exporter,
    patience: float,
    *,
    polls: bool,
    seconds: float,
    clock: Clock = SystemClock(),  # noqa: B008 - it cannot change
) -> None:
    stop = asyncio.Event()
    task = asyncio.create_task(
        Watchdog(patience, clock).feed(lambda: exporter.serving, lambda: exporter.state, stop)
    )
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if polls:
            exporter.state = replace(exporter.state)
        await asyncio.sleep(WANTED / 10)
    stop.set()
    await task


@pytest.fixture
def watched(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    for name, value in systemd.environment.items():
        monkeypatch.setenv(name, value)
    return systemd


NO_PATIENCE = -watchdog.SLACK


def test_watchdog_is_fed_while_polls_end(watched: Systemd) -> None:
    asyncio.run(_feed(Exporter(), NO_PATIENCE + 5 * WANTED, polls=True, seconds=10 * WANTED))
    ready, *lives = watched.heard()  # as many as fit the queue
    assert ready == b"READY=1"
    assert set(lives) <= {ALIVE, STOPPING}
    assert len(lives) >= 8


def test_watchdog_is_not_fed_after_polls_stop_ending(
    watched: Systemd, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(_feed(Exporter(), NO_PATIENCE + 2 * WANTED, polls=False, seconds=10 * WANTED))
    ready, *lives, last = watched.heard()
    assert last == STOPPING
    assert ready == b"READY=1"
    assert 1 <= len(lives) <= 8
    assert "no poll has ended for" in caplog.text


class Suspended(SystemClock):
    """A clock with a suspension of an hour before each reading."""

    hours = 0

    def monotonic(self) -> float:
        self.hours += 1
        return super().monotonic() + self.hours * 3600


def test_suspension_does_not_count_against_the_watchdog(
    watched: Systemd, caplog: pytest.LogCaptureFixture
) -> None:
    patience = NO_PATIENCE + 60 * WANTED
    asyncio.run(_feed(Exporter(), patience, polls=False, seconds=5 * WANTED, clock=Suspended()))
    ready, *lives = watched.heard()
    assert ready == b"READY=1"
    assert len(lives) >= 4
    assert set(lives) == {ALIVE}
    assert "no poll has ended" not in caplog.text


def test_watchdog_is_not_fed_when_the_server_accepts_no_clients(
    watched: Systemd, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = Exporter()

    async def stops_serving() -> None:
        feeding = asyncio.create_task(_feed(exporter, 60, polls=True, seconds=10 * WANTED))
        await asyncio.sleep(3 * WANTED)
        exporter.serving = False
        await asyncio.sleep(WANTED)
        watched.heard()
        await feeding

    asyncio.run(stops_serving())
    assert watched.heard() == [STOPPING]
    assert "accepts no clients" in caplog.text


def test_program_is_not_ready_before_it_serves(watched: Systemd) -> None:
    asyncio.run(_feed(Exporter(serving=False), 60, polls=True, seconds=2 * WANTED))
    assert ALIVE not in watched.heard()


def test_notifications_are_not_sent_without_systemd(
    watched: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET")
    asyncio.run(_feed(Exporter(), 60, polls=True, seconds=2 * WANTED))
    assert watched.heard() == []
