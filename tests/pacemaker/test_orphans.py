"""Processes that commands leave in their own sessions, and inherited signals."""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.harness.programs import eventually, get, running
from tests.support.harness.see import READS, reads
from tests.support.harness.stand_in import HEALTHY

LEAVES = """#!/bin/sh
# Twice out of the session, twice forked: the second is an orphan only once the first is gone.
setsid sh -c 'setsid sleep {mark} & setsid sh -c "sleep {mark} & sleep {mark}" & wait' >&- 2>&- &
(setsid sleep {mark} >&- 2>&- &)
sleep 0.02
exec cat {answer}
"""
BEFORE = """
setsid sleep {before} &
(setsid sh -c 'sleep {before} & sleep 0.5' &)
exec "$@"
"""
"""Children from before it became the exporter, and one that is orphaned while it runs."""


def _alive(mark: str) -> list[int]:
    """The processes that sleep for so long."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == f"sleep\0{mark}\0".encode():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def _zombies(parent: int) -> int:
    states = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, its_parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(its_parent) == parent:
            states.append(state)
    return states.count("Z")


@pytest.fixture
def marks() -> Iterator[tuple[str, str]]:
    """Two durations for which no other process sleeps: for commands, and for earlier orphans."""
    seconds = (f"{3000 + number}.{os.getpid()}" for number in range(2))
    of_commands, before = seconds
    yield of_commands, before
    for mark in (of_commands, before):
        for pid in _alive(mark):
            os.kill(pid, signal.SIGKILL)


def _script(directory: Path, text: str) -> Path:
    path = directory / "crm_mon"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def _exporter(crm_mon: Path) -> list[str]:
    paths = [
        f"--crm_mon.path={crm_mon}",
        "--cibadmin.path=/bin/false",
        "--crm_node.path=/bin/false",
        "--no-collector.corosync",
    ]
    flags = ["--web.listen-address=127.0.0.1:0", "--poll.interval=10ms"]
    return [sys.executable, "-m", "exporter", *flags, *paths]


def _polls(log: Path) -> float:
    found = re.findall(r"msg=listening address=(\S+)", log.read_text("utf-8"))
    assert found
    return sum(reads(get(f"http://{found[0]}/metrics?name[]={READS}").decode()).values())


def test_processes_in_their_own_sessions_do_not_accumulate(
    tmp_path: Path, marks: tuple[str, str]
) -> None:
    mark, before = marks
    crm_mon = _script(tmp_path, LEAVES.format(mark=mark, answer=HEALTHY))
    prefix = ["sh", "-c", BEFORE.format(before=before), "sh"]
    log = tmp_path / "log"
    with running([*prefix, *_exporter(crm_mon)], log) as process:
        eventually(lambda: _polls(log) >= 15)
        counts = []
        for _ in range(20):
            counts.append(len(_alive(mark)))
            time.sleep(0.05)
        # What the poll of the moment has started: 4, or what its end has not come to yet.
        assert max(counts) <= 8
        eventually(lambda: _zombies(process.pid) == 0)
        assert len(_alive(before)) == 2, "others than those of its commands live on"
        crm_mon.write_text(f"#!/bin/sh\nexec cat {HEALTHY}\n", encoding="utf-8")
        eventually(lambda: not _alive(mark))
    assert process.returncode == 0
    assert "Traceback" not in log.read_text("utf-8")


def test_orphaned_processes_end_with_the_exporter(tmp_path: Path, marks: tuple[str, str]) -> None:
    mark, _ = marks
    crm_mon = _script(
        tmp_path, LEAVES.format(mark=mark, answer=HEALTHY).replace("exec cat", "exec sleep 60;")
    )
    log = tmp_path / "log"
    with running(_exporter(crm_mon), log):
        eventually(lambda: _alive(mark))
    eventually(lambda: not _alive(mark))


MASKED = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM, signal.SIGCHLD, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_inherits_no_blocked_or_ignored_signals(
    number: signal.Signals, tmp_path: Path
) -> None:
    status = tmp_path / "status"
    crm_mon = _script(tmp_path, f"#!/bin/sh\ncat /proc/self/status >{status}\nexec cat {HEALTHY}\n")
    log = tmp_path / "log"
    argv = [sys.executable, "-c", MASKED, *_exporter(crm_mon)]
    with running(argv, log) as process:
        eventually(lambda: _polls(log) >= 1)
        process.send_signal(signal.SIGHUP)
        line = 'msg="SIGHUP ignored: there is no web configuration to reload"'
        eventually(lambda: line in log.read_text("utf-8"))
        process.send_signal(number)
        asked = time.monotonic()
        assert process.wait(20) == 0
        assert time.monotonic() - asked < 5  # a second, and what a busy machine adds
    masks = dict(re.findall(r"Sig(Blk|Ign):\s+([0-9a-f]+)", status.read_text("utf-8")))
    # Signals 32 and 33 are the C library's own: no program can change them.
    ours = ~(0b11 << 31)
    assert {name: int(mask, 16) & ours for name, mask in masks.items()} == {"Blk": 0, "Ign": 0}
