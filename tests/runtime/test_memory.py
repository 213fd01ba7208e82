"""Memory after unreadable answers, and when memory runs out."""

import gc
import subprocess
import sys
import time
from pathlib import Path

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter.cluster.outcome import Outcome
from exporter.polling.poller import THREAD_READS, Poller
from exporter.sources.tools import SourceContext, Tools
from tests.endurance.memory import BAD, MEBIBYTE, Fed, fed
from tests.support.harness.fakes import FrozenClock, ScriptedCommands
from tests.support.harness.programs import eventually
from tests.support.harness.results import failed
from tests.support.harness.stand_in import CIB, HEALTHY

LARGE = 12 * MEBIBYTE
"""Bytes: libxml2 takes no comment or text above 10 MB."""


@pytest.fixture
def commands(clock: FrozenDateTimeFactory) -> ScriptedCommands:
    return ScriptedCommands(clock)


@pytest.fixture
def poller(commands: ScriptedCommands) -> Poller:
    return Poller(SourceContext(Tools(commands), FrozenClock(), 30), 10)


@pytest.mark.parametrize("command", ["crm_mon", "cibadmin"])
@pytest.mark.parametrize("kind", BAD)
def test_failure_keeps_no_reference_to_the_answer(
    kind: str, command: str, poller: Poller, commands: ScriptedCommands
) -> None:
    answer = BAD[kind](LARGE if "long" in kind else 10_000)
    setattr(commands, command, lambda: answer)
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(answer)
        failure = poller.poll()
        assert sys.getrefcount(answer) == before
    finally:
        gc.enable()
    if command == "crm_mon":
        failed(failure)
    else:
        configuration = poller.state.sources[1]
        assert configuration.reads[Outcome.SUCCESS] == 0


def test_bad_answers_leave_memory_unchanged(tmp_path: Path) -> None:
    with fed(tmp_path) as program:
        start = program.resident()
        found = []
        for make in BAD.values():
            program.gets(make(LARGE))
            program.polls(5)
            found.append(program.resident())
        program.gets(HEALTHY.read_bytes())
        program.gets(BAD["cut off"](LARGE), "cibadmin")
        program.polls(5)
        found.append(program.resident())
        program.gets(CIB.read_bytes(), "cibadmin")
        program.polls(5)
        assert max(found) < start + 24
        assert program.resident() < start + 16


@pytest.mark.parametrize("command", ["crm_mon", "cibadmin"])
def test_polling_continues_in_another_thread_after_much_was_read(
    command: str, poller: Poller, commands: ScriptedCommands, clock: FrozenDateTimeFactory
) -> None:
    answer = BAD["cut off"](THREAD_READS // 4 + 2000)
    setattr(commands, command, lambda: answer)
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        clock.tick(seconds)
        return commands.count("crm_mon") == 6

    assert poller.run(wait) is False
    assert commands.count("crm_mon") == 4
    assert sum(waits) == pytest.approx(40), "each on its beat"
    commands.crm_mon = lambda: b""
    assert poller.run(wait) is True
    assert commands.count("crm_mon") == 6
    assert 50 < sum(waits) <= 60, "the beat goes on"


def _bans(count: int) -> bytes:
    bans = b"".join(b'<ban id="b%d" resource="r" node="n" weight="1"/>' % n for n in range(count))
    return b"<crm_mon><summary/><bans>" + bans + b"</bans></crm_mon>"


def _limit(program: Fed, more: int | None) -> None:
    """Limit the address space to so many megabytes more than in use."""
    has = int(program.status("VmSize"))
    limit = "unlimited" if more is None else (has + more) * MEBIBYTE
    subprocess.run(["prlimit", f"--pid={program.pid}", f"--as={limit}:"], check=True)


@pytest.mark.parametrize(
    ("more", "count", "doing"),
    [
        (24, 600_000, "run {directory}/crm_mon and read its output"),
        (90, 600_000, "read the output of crm_mon"),
        (150, 600_000, "read the output of crm_mon"),
    ],
)
def test_exporter_recovers_from_the_outcome_out_of_memory(
    more: int, count: int, doing: str, tmp_path: Path
) -> None:
    with fed(tmp_path) as program:
        _limit(program, more)
        program.gets(_bans(count))
        eventually(lambda: program.outcomes() >= {"out_of_memory"}, 20)
        program.polls(3)
        program.gets(HEALTHY.read_bytes())
        eventually(lambda: program.value("pacemaker_up") == 1, 20)
        assert program.outcomes() == {"success", "out_of_memory"}
        assert f'msg="no memory left to {doing.format(directory=tmp_path)}' in program.log
        assert "(LimitAS= of its systemd unit, ulimit -v)" in program.log
        assert "Traceback" not in program.log


@pytest.mark.parametrize("command", ["cibadmin", "crm_node"])
def test_out_of_memory_for_a_secondary_command_does_not_fail_the_poll(
    command: str, tmp_path: Path
) -> None:
    with fed(tmp_path) as program:
        _limit(program, 24)
        program.gets(b"<cib>" + b" " * 60 * MEBIBYTE + b"</cib>", command)
        if command == "cibadmin":
            program.gets(HEALTHY.read_bytes().replace(b"2026", b"2027"))
            eventually(lambda: "out_of_memory" in program.outcomes("configuration"), 20)
        program.polls(5)
        assert program.outcomes() == {"success"}
        assert program.value("pacemaker_up") == 1


def test_exporter_survives_threads_that_cannot_be_started(tmp_path: Path) -> None:
    """The limit is below the present use, so the next thread of the poller cannot start."""
    with fed(tmp_path) as program:
        _limit(program, -8)
        program.gets(BAD["cut off"](LARGE))
        time.sleep(3)  # connections may be reset meanwhile
        _limit(program, None)
        program.polls(20)
        program.gets(HEALTHY.read_bytes())
        eventually(lambda: program.value("pacemaker_up") == 1, 20)
