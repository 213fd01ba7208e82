"""The exporter while commands, clients and the clock misbehave at random."""

import contextlib
import math
import random
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.measure import descriptors_of_process, status_of_process, table
from tests.endurance import commands
from tests.endurance.clients import Nuisance, Scraper, Seen
from tests.support.harness.programs import eventually, exporter, exporter_process, get
from tests.support.harness.see import READS, reads
from tests.support.harness.threads import again_and_again

TIMEOUT = 1.5
"""Seconds that a crm_mon gets. What blocks scrapes while it hangs would take them as long."""
CONVALESCENCE = 75.0
"""Seconds until all is as it was: a cibadmin that hung is tried again after a minute."""
A_POLL_HOLDS = 3
"""Descriptors more than at another moment."""
SCRAPERS = 3
ZONE = "America/St_Johns"
"""Three and a half hours off, with daylight saving time."""
JUMPS = (0, 1, -1, 3600, -3600, 30 * 86400, -2 * 86400, 10 * 365 * 86400, -56 * 365 * 86400)
"""Seconds; the last one leads to the year in which computers begin."""
_REPAIR_AFTER = 0.5
"""Seconds until a command that became not executable is again."""


class Jumpy:
    """Moves the exporter's wall clock and leaves its monotonic clock alone."""

    def __init__(self, directory: Path, seed: int) -> None:
        """Start with the true time."""
        self._file = directory / "clock"
        self._random = random.Random(seed)
        self.jumps = 0
        self.to(0)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the process."""
        site = Path(__file__).parent / "site"
        return {"PYTHONPATH": str(site), "WALL_CLOCK_OFFSET": str(self._file)}

    def to(self, offset: int) -> None:
        """Set the clock so many seconds ahead."""
        new = self._file.with_suffix(".new")
        new.write_text(str(offset), encoding="utf-8")
        new.replace(self._file)

    def jump(self) -> None:
        """Set the clock to a random offset."""
        self.jumps += 1
        self.to(self._random.choice(JUMPS))


@dataclass(frozen=True, slots=True)
class Look:
    """A sample of the process after so many polls."""

    polls: int
    resident: float
    """Megabytes."""
    descriptors: int
    threads: int
    children: int
    zombies: int


@dataclass(slots=True)
class Report:
    """The results of a storm."""

    before: Look
    calm: Seen
    """Scrapes before it."""
    fresh: list[str]
    """What an exporter that has just started says of the cluster."""
    during: Seen = field(default_factory=Seen)
    looks: list[Look] = field(default_factory=list)
    after: Look | None = None
    outcomes: dict[str, float] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    """Of each command."""
    jumps: int = 0
    nuisances: int = 0
    page: list[str] = field(default_factory=list)
    """The same of this one, once all is well again."""
    recovered_after: float = 0.0
    """Seconds."""
    log: str = ""
    seconds: float = 0.0

    @property
    def recovered(self) -> bool:
        """Whether its page equals that of a fresh exporter, with no more resources than before."""
        now = self.after
        return (
            self.page == self.fresh
            and now is not None
            and now.descriptors <= self.before.descriptors + A_POLL_HOLDS
            and now.zombies == 0
        )

    @property
    def polls(self) -> int:
        """Number of polls."""
        return int(sum(self.outcomes.values()))

    def resident(self, start: float, end: float) -> float:
        """Median of the resident megabytes in a part of the storm."""
        count = len(self.looks)
        looks = self.looks[int(start * count) : int(end * count)]
        return statistics.median(look.resident for look in looks)

    def tables(self) -> str:
        """Return the report as tables."""
        heads = ("polls", "resident MB", "descriptors", "threads", "children", "zombies")
        step = max(1, len(self.looks) // 12)
        assert self.after
        chosen = [self.before, *self.looks[step - 1 :: step], self.after]
        rows = [
            (s.polls, f"{s.resident:.1f}", s.descriptors, s.threads, s.children, s.zombies)
            for s in chosen
        ]
        counts = ", ".join(f"{count:.0f} {name}" for name, count in self.outcomes.items())
        calm, during = (
            f"median {statistics.median(seen.seconds) * 1000:.1f} ms,"
            f" p90 {percentile(seen.seconds, 0.9) * 1000:.0f} ms,"
            f" p99 {percentile(seen.seconds, 0.99) * 1000:.0f} ms,"
            f" longest {max(seen.seconds) * 1000:.0f} ms"
            for seen in (self.calm, self.during)
        )
        answers = ", ".join(f"{count} {kind}" for kind, count in self.during.count.items())
        return (
            f"{table(heads, rows)}\n{self.seconds:.0f} s, {self.polls} polls: {counts}\n"
            f"starts: {self.starts}; clock jumps: {self.jumps};"
            f" connections that misbehaved: {self.nuisances}\n"
            f"answers: {answers}\nscrapes before: {calm}\nscrapes during: {during}\n"
            f"well again after: {self.recovered_after:.1f} s\n"
        )


def percentile(values: list[float], share: float) -> float:
    """Return the value at this share of the sorted values."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def look(pid: int, polls: int) -> Look:
    """Look at a process, and at the children of all of its threads."""
    children = _children(pid)
    return Look(
        polls,
        status_of_process(pid, "VmRSS") / 1024,
        descriptors_of_process(pid),
        status_of_process(pid, "Threads"),
        # The kernel lists them thread by thread, while some end and others start: the first list
        # may hold children that never lived at the same time.
        len(children & _children(pid)),
        sum(map(_stays_zombie, children)),
    )


def _children(pid: int) -> set[str]:
    """Return the children that the threads of a process have, one thread after the other."""
    children: set[str] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread may end
            children |= set((task / "children").read_text(encoding="utf-8").split())
    return children


def _stays_zombie(pid: str) -> bool:
    """Whether a zombie remains; each child is one for a moment."""
    for pause in (0.0, 0.1):
        time.sleep(pause)
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return False
        if text.rpartition(")")[2].split()[0] != "Z":
            return False
    return True


def storm(directory: Path, starts: int, seed: int) -> Report:
    """Start crm_mon so many times in a storm, then calm everything."""
    crm_mon = commands.crm_mon(directory, seed)
    cibadmin, crm_node = commands.cibadmin(directory), commands.crm_node(directory)
    planned = (crm_mon, cibadmin, crm_node)
    clock = Jumpy(directory, seed)
    flags = [f"--{command.path.name}.path={command.path}" for command in planned]
    flags += ["--poll.interval=1ms", f"--poll.timeout={TIMEOUT}s", "--poll.max-age=3s"]
    environment = {**clock.environment, "TZ": ZONE}
    other = directory / "fresh"
    other.mkdir()
    with exporter(other, *flags, TZ=ZONE) as base:
        fresh = _cluster(base)
    with exporter_process(directory, *flags, **environment) as (base, pid):
        port = int(base.rpartition(":")[2])
        eventually(lambda: _outcomes(base)["success"] > 10)
        calm = Seen()
        with _scrapers(port, seed, calm):
            eventually(lambda: len(calm.seconds) >= 100, 120)
        report = Report(look(pid, _polls(base)), calm, fresh)
        began = time.monotonic()
        for command in planned:
            command.plan(starts, seed)
        _weather(report, base, pid, crm_mon, clock, seed, max(120, starts))
        report.seconds = time.monotonic() - began
        clock.to(0)
        for command in planned:
            command.calm()
        calmed = time.monotonic()
        while not report.recovered and time.monotonic() < calmed + CONVALESCENCE:
            time.sleep(0.2)
            report.page, report.after = _cluster(base), look(pid, _polls(base))
        report.recovered_after = time.monotonic() - calmed
        report.outcomes = _outcomes(base)
        report.starts = {command.path.name: command.starts for command in planned}
    report.log = (directory / "exporter.log").read_text(encoding="utf-8")
    return report


def _weather(
    report: Report,
    base: str,
    pid: int,
    crm_mon: commands.Planned,
    clock: Jumpy,
    seed: int,
    seconds: float,
) -> None:
    """Run everything at once until the plan of crm_mon ends, within a time limit."""
    port = int(base.rpartition(":")[2])
    nuisance = Nuisance(port, seed)
    with contextlib.ExitStack() as stack:
        stop = threading.Event()
        stack.callback(nuisance.close)
        stack.enter_context(_scrapers(port, seed, report.during))
        stack.enter_context(again_and_again(stop, 0.05, nuisance.once))
        stack.enter_context(again_and_again(stop, 0.5, clock.jump))
        stack.enter_context(again_and_again(stop, _REPAIR_AFTER, crm_mon.repair))
        until = time.monotonic() + seconds
        # Not so many polls: while crm_mon is not executable, hundreds fail in half a second.
        while not crm_mon.through:
            report.looks.append(look(pid, _polls(base) - report.before.polls))
            assert time.monotonic() < until, f"crm_mon was started {crm_mon.starts} times only"
            time.sleep(0.3)
    report.jumps, report.nuisances = clock.jumps, nuisance.count


@contextlib.contextmanager
def _scrapers(port: int, seed: int, seen: Seen) -> Iterator[None]:
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        for number in range(SCRAPERS):
            scraper = Scraper(port, seed + number, seen)
            stack.callback(scraper.close)
            stack.enter_context(again_and_again(stop, 0.1, scraper.once))
        yield


def _outcomes(base: str) -> dict[str, float]:
    return dict(reads(get(f"{base}/metrics?name[]={READS}", timeout=60).decode()))


def _polls(base: str) -> int:
    return int(sum(_outcomes(base).values()))


def _cluster(base: str) -> list[str]:
    """Return the series that depend only on the current answers of crm_mon and cibadmin."""
    lines = get(f"{base}/metrics").decode().splitlines()
    own = ("pacemaker_exporter_", "process_", "python_")
    return [line for line in lines if not line.startswith(("#", *own)) and "_total{" not in line]
