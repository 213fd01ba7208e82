"""Memory, descriptors, threads and idle time of the exporter, and how soon it answers.

    .venv/bin/python -m tests.bench.footprint 10000 300x8

polls so many times, for what grows slowly.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.answers import prints_two_in_turn
from tests.bench.clusters import SIZES, Cib, Size
from tests.bench.measure import (
    AS_A_SERVICE,
    cpu_of_command,
    cpu_of_process,
    descriptors_of_process,
    say,
    status_of_process,
    table,
)
from tests.bench.polls import OURS
from tests.support.harness import see
from tests.support.harness.programs import eventually, exporter_process, get

GOALS = {Size(4, 3, 3): 40, Size(300, 8, 32): 150}
"""Resident megabytes."""
GOAL_START = 0.5
"""Seconds beyond crm_mon's own until the first scrape that shows the cluster."""
QUIET = ("--poll.interval=1h", "--poll.max-age=2h")
LOOKS = 10
"""At a process while it polls."""


@dataclass(frozen=True, slots=True)
class Look:
    """At a process, after so many polls."""

    polls: int
    resident: float
    """Megabytes."""
    peak: float
    """Megabytes, so far."""
    descriptors: int
    threads: int
    children: int


def _look(pid: int, polls: int) -> Look:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return Look(
        polls,
        status_of_process(pid, "VmRSS") / 1024,
        status_of_process(pid, "VmHWM") / 1024,
        descriptors_of_process(pid),
        status_of_process(pid, "Threads"),
        len(children),
    )


def looks(size: Size, polls: int) -> Iterator[Look]:
    """Poll an answer that changes every time, and look now and then; scraped meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        cib = Cib(directory, size)
        command = prints_two_in_turn(directory, cib)
        flags = ("--poll.interval=1ms", f"--crm_mon.path={command}")
        environment = cib.environment | AS_A_SERVICE
        with exporter_process(directory, *flags, **environment) as (base, pid):

            def done() -> int:
                page = get(f"{base}/metrics", Accept_Encoding="gzip")
                del page
                text = get(f"{base}/metrics?name[]=pacemaker_exporter_source_reads_total").decode()
                return int(
                    see.series(text)[
                        'pacemaker_exporter_source_reads_total{source="status",outcome="success"}'
                    ]
                )

            for part in range(1, LOOKS + 1):
                until = polls * part // LOOKS
                while (so_far := eventually(done)) < until:
                    time.sleep(min(1, max(0.05, (until - so_far) / 200)))
                yield _look(pid, so_far)


def _polled(size: Size, polls: int) -> tuple[str, ...]:
    say(f"footprint: {size}, {polls} polls")
    seen = list(looks(size, polls))
    last = seen[-1]
    goal = GOALS.get(size)
    verdict = f"{goal} MB: {'met' if last.resident <= goal else 'not met'}" if goal else ""
    course = ", ".join(f"{look.resident:.1f}" for look in seen)
    counts = (
        "-".join(map(str, sorted({getattr(look, field) for look in seen})))
        for field in ("descriptors", "threads", "children")
    )
    return str(size), str(last.polls), course, f"{last.peak:.0f}", *counts, verdict


def memory(polls: dict[Size, int]) -> str:
    """The table of the course of memory."""
    heads = ("cluster", "polls", "resident MB after each tenth", "peak MB", "descriptors",
             "threads", "children", "goal")  # fmt: skip
    return table(heads, [_polled(size, count) for size, count in polls.items()])


def start_and_idle(seconds: float = 20) -> str:
    """How soon there is something to scrape, and what doing nothing costs."""
    size = SIZES[0]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        cib = Cib(directory, size)
        environment = cib.environment | AS_A_SERVICE
        crm_mon, firsts = [], []
        for _ in range(5):
            start = time.perf_counter()
            cpu_of_command((see.need("crm_mon"), *OURS), cib.environment)
            crm_mon.append(time.perf_counter() - start)
            start = time.perf_counter()
            with exporter_process(directory, *QUIET, **environment) as (base, _):
                eventually(lambda base=base: b"\npacemaker_up 1\n" in get(f"{base}/metrics"))  # type: ignore[misc]
                firsts.append(time.perf_counter() - start)
        say("footprint: idle")
        with exporter_process(directory, *QUIET, **environment) as (base, pid):
            eventually(lambda: b"\npacemaker_up 1\n" in get(f"{base}/metrics"))
            time.sleep(1)
            before = cpu_of_process(pid)
            time.sleep(seconds)
            idle = (cpu_of_process(pid) - before) / seconds
    own, first = statistics.median(crm_mon), statistics.median(firsts)
    goal = f"{GOAL_START} s: {'met' if first - own <= GOAL_START else 'not met'}"
    return table(
        ("crm_mon alone", "start to first scrape with a cluster", "difference", "goal", "idle CPU"),
        [(f"{own:.2f} s", f"{first:.2f} s", f"{first - own:.2f} s", goal, f"{idle:.2%}")],
    )


def report(share: float = 1) -> str:
    """All tables about the process."""
    return memory(dict.fromkeys(GOALS, int(1000 * share))) + "\n" + start_and_idle(20 * share)


if __name__ == "__main__":
    size = next(size for size in SIZES if str(size) == sys.argv[2])
    print(memory({size: int(sys.argv[1])}))
