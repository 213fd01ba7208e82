"""What a poll costs, its commands included, against crm_mon alone."""

import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from exporter.cluster.selection import Collector
from exporter.pacemaker import crm_mon
from exporter.pacemaker.runner import SystemCommands
from exporter.polling.poller import Poller
from exporter.runtime.clock import SystemClock
from exporter.service.program import favour_scrapes
from exporter.sources.tools import SourceContext, Tools
from tests.bench.clouds import clouds
from tests.bench.clusters import SIZES, Change, CibFile, Size, cibs, observe
from tests.bench.measure import AS_A_SERVICE, cpu_of_command, say, table
from tests.support.harness.see import need

BARE = ("--output-as=xml", "--inactive")
OURS = crm_mon.requests(frozenset(Collector))[0].argv(histories=True)
INTERVAL = 10.0
HEADS = ("cluster", "changed", "crm_mon", "same request alone", "poll", "poll / crm_mon",
         "poll / same request", "goal")  # fmt: skip
GOALS = {Size(4, 3, 3): 1.15, Size(20, 3, 3): 0.95, Size(100, 5, 16): 0.85, Size(300, 8, 32): 0.75}
GOAL_WITH_PROBES = 1.1
GOAL_OF_CLOUD = 0.35
ROUNDS_OF_CLOUD = 24
ROUNDS = {12: 180, 60: 180, 500: 24, 2400: 12}
"""Of one poll each by instances: twelve polls are two minutes, with one full answer; 180 polls are
half an hour, with one read of the CIB."""
ROUNDS_WITH_PROBES = {12: 60, 60: 60, 500: 12, 2400: 1}


class _Beats(SystemClock):
    """A clock that goes on to the next beat at once: a poll takes its time, a pause takes none."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def skip(self) -> None:
        self._skipped += INTERVAL

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped


def polling() -> None:
    """In a process of its own: poll whenever a line comes, and say the CPU seconds of it."""
    favour_scrapes()
    clock = _Beats()
    commands = SystemCommands(os.environ, threading.Event())
    tools = Tools(commands, crm_node="echo")  # there is no cluster to ask; it prints some name
    poller = Poller(SourceContext(tools, clock, 600), INTERVAL)
    for _ in sys.stdin:
        before = _cpu_so_far()
        error = poller.poll()
        clock.skip()
        print("failed" if error else _cpu_so_far() - before, flush=True)


def _cpu_so_far() -> float:
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


class _Polling:
    """That process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def poll(self) -> float:
        """Poll once, and return the CPU seconds."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


@contextlib.contextmanager
def _started(cib: CibFile) -> Iterator[_Polling]:
    argv = [sys.executable, "-m", "tests.bench.polls", "polling"]
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=cib.environment | AS_A_SERVICE,
    ) as process:
        yield _Polling(process)


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU seconds, round by round."""

    bare: list[float]
    """crm_mon with all that it has."""
    asked: list[float]
    """crm_mon with what the exporter asks for at most."""
    polls: list[float]


def costs(cib: CibFile, rounds: int, change: Callable[[], None] | None) -> Costs:
    """Measure in turn, so that noise hits all alike; change the CIB before each poll."""
    found = Costs([], [], [])
    path, environment = need("crm_mon"), cib.environment
    with _started(cib) as exporter:
        for _ in range(2):  # find out what is needed once, and read the CIB until it is settled
            exporter.poll()
        for _ in range(rounds):
            if change:
                change()
            found.bare.append(cpu_of_command((path, *BARE), environment))
            found.asked.append(cpu_of_command((path, *OURS), environment))
            found.polls.append(exporter.poll())
    return found


def _row(
    name: str, changed: str, found: Costs, goal: float, *, of_asked: bool = False
) -> tuple[str, ...]:
    """One row; the goal is a share of crm_mon, or of crm_mon with the same request."""
    bare, asked = statistics.median(found.bare), statistics.median(found.asked)
    ratio = sum(found.polls) / sum(found.bare)
    to_asked = sum(found.polls) / sum(found.asked)
    reached = to_asked if of_asked else ratio
    verdict = f"{goal}: {'met' if reached <= goal else 'not met'}" if changed else ""
    return (
        name, changed or "no", f"{bare:.3f} s", f"{asked:.3f} s",
        f"{statistics.fmean(found.polls):.3f} s", f"{ratio:.2f}", f"{to_asked:.2f}", verdict,
    )  # fmt: skip


def of_clouds(directory: Path, share: float = 1) -> Iterator[tuple[str, ...]]:
    """The rows of the clouds."""
    for name, cib in clouds(directory):
        for changed in ("", "a compute node"):
            rounds = round(ROUNDS_OF_CLOUD * share / (1 if changed else 2))
            say(f"polls: {name}, changed: {changed or 'no'}")
            found = costs(cib, rounds, cib.change if changed else None)
            yield _row(name, changed, found, GOAL_OF_CLOUD)


def report(largest: Size = SIZES[-1], share: float = 1) -> str:
    """The table; of a share of the rounds."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for cib in cibs(Path(directory), largest=largest):
            if cib.size.instances <= SIZES[2].instances:
                observe(cib)
            by_size = ROUNDS_WITH_PROBES if cib.probes else ROUNDS
            for change in (None, *Change):
                rounds = round(by_size[cib.size.instances] * share / (1 if change else 2))
                if rounds == 0 or (cib.probes and change is Change.REPLICA):
                    continue
                say(f"polls: {cib}, changed: {change or 'no'}")
                found = costs(cib, rounds, partial(cib.change, change) if change else None)
                goal = GOAL_WITH_PROBES if cib.probes else GOALS[cib.size]
                rows.append(_row(str(cib), change or "", found, goal, of_asked=cib.probes))
        rows += of_clouds(Path(directory), share)
    return table(HEADS, rows)


if __name__ == "__main__":
    if sys.argv[1:] == ["polling"]:
        polling()
    elif sys.argv[1:] == ["clouds"]:
        with tempfile.TemporaryDirectory() as here:
            print(table(HEADS, of_clouds(Path(here), 0.5)))
    else:
        print(report())
