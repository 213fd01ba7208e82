"""The exporter's memory at rest after unusable answers of crm_mon."""

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import status_of_process
from tests.support.harness.programs import eventually, exporter_process, get
from tests.support.harness.see import READS, reads, series
from tests.support.harness.stand_in import CIB, HEALTHY

MEBIBYTE = 1 << 20
PATIENCE = 300.0
"""Seconds for a number of polls on a machine that is busy."""

_SCRIPT = """#!/bin/sh
exec cat {directory}/{command}.answer
"""
_WAIT = """#!/bin/sh
while [ -e {directory}/hold ]; do : >{directory}/held; sleep 0.02; done
exec cat {directory}/{command}.answer
"""
_BAN = b'<ban id="' + b"b" * 1000 + b'"/>'


def _within(what: bytes, amount: int, before: bytes = b"", after: bytes = b"") -> bytes:
    return b"<crm_mon><summary/>" + before + what * (amount // len(what)) + after + b"</crm_mon>"


BAD: Mapping[str, Callable[[int], bytes]] = {
    "a long comment": lambda amount: _within(b"x", amount, b"<!--", b"-->"),
    "a long text": lambda amount: _within(b"x", amount, b"<bans>", b"</bans>"),
    "a long processing instruction": lambda amount: _within(b"x", amount, b"<?x ", b"?>"),
    "a long attribute": lambda amount: _within(b"x", amount, b'<ban id="', b'"/>'),
    "bad UTF-8": lambda amount: _within(_BAN, amount, b"<bans>", b"\xff</bans>"),
    "cut off": lambda amount: _within(_BAN, amount, b"<bans>", b"</bans>")[:-20],
    "an attribute that is missing": lambda amount: _within(
        _BAN, amount, b"<bans>", b"<ban/></bans>"
    ),
}
"""Answers that cannot be read, about so many bytes long."""


def new_names(number: int, command: str, amount: int = 100_000) -> bytes:
    """Make an answer with so many names of attributes that answers of other numbers do not have.

    The one of cibadmin has no configuration, as one that can be read is read again when it changes.
    """
    names = b"".join(b'<x n%d_%d="1"/>' % (number, index) for index in range(amount))
    if command == "cibadmin":
        return b"<cib>" + names + b"</cib>"
    return b"<crm_mon><summary/>" + names + b"</crm_mon>"


class Fed:
    """An exporter whose commands print the given answers."""

    def __init__(self, directory: Path, base: str, pid: int) -> None:
        """Args: base URL, process id and directory of the commands."""
        self._directory = directory
        self.base = base
        self.pid = pid

    def value(self, name: str) -> float:
        """The sum of a family's series."""
        return sum(self.series(name).values())

    def series(self, name: str) -> Mapping[str, float]:
        """The series of a family."""
        return series(get(f"{self.base}/metrics?name[]={name}", timeout=60).decode())

    def reads(self, source: str = "status") -> Mapping[str, float]:
        """How often reads of a source ended so far, by outcome."""
        return reads(get(f"{self.base}/metrics?name[]={READS}", timeout=60).decode(), source)

    def outcomes(self, source: str = "status") -> set[str]:
        """Outcomes of reads of a source so far."""
        return {outcome for outcome, count in self.reads(source).items() if count}

    def gets(self, answer: bytes, command: str = "crm_mon") -> None:
        """Make a command print this from its next start on."""
        new = self._directory / "new"
        new.write_bytes(answer)
        new.replace(self._directory / f"{command}.answer")

    def polls(self, count: int) -> None:
        """Wait for so many more polls."""
        last = self._polls() + count
        eventually(lambda: self._polls() >= last, PATIENCE)

    def _polls(self) -> float:
        return sum(self.reads().values())

    @contextmanager
    def rest(self) -> Iterator[None]:
        """Make crm_mon wait before it prints, and wait for the end of the last poll."""
        hold, held = self._directory / "hold", self._directory / "held"
        held.unlink(missing_ok=True)
        hold.touch()
        try:
            eventually(held.exists, PATIENCE)
            time.sleep(0.05)  # a thread that was replaced ends
            yield
        finally:
            hold.unlink()

    def resident(self) -> float:
        """Megabytes at rest."""
        with self.rest():
            return self.status("VmRSS")

    def status(self, field: str) -> float:
        """Megabytes of a field of /proc/PID/status."""
        return status_of_process(self.pid, field) / 1024

    @property
    def log(self) -> str:
        """The text of its log."""
        return (self._directory / "exporter.log").read_text(encoding="utf-8")


@contextmanager
def fed(directory: Path, *flags: str) -> Iterator[Fed]:
    """An exporter that polls without pause, after its first successful poll."""
    answers = {"crm_mon": HEALTHY.read_bytes(), "cibadmin": CIB.read_bytes(), "crm_node": b"c0\n"}
    paths = []
    for command, answer in answers.items():
        script = directory / command
        script.write_text(
            (_WAIT if command == "crm_mon" else _SCRIPT).format(
                directory=shlex.quote(str(directory)), command=command
            ),
            encoding="utf-8",
        )
        script.chmod(0o755)
        (directory / f"{command}.answer").write_bytes(answer)
        paths.append(f"--{command}.path={script}")
    more = ("--poll.interval=1ms", "--poll.timeout=60s", *flags)
    with exporter_process(directory, *paths, *more) as (base, pid):
        program = Fed(directory, base, pid)
        program.polls(20)
        yield program
