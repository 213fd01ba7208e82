"""Clocks, processes and tables that the measurements share."""

import math
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tests.support.paths import ROOT

_UNIT = ROOT / "deploy/systemd/pacemaker-bundle-exporter.service"
AS_A_SERVICE = dict(re.findall(r"^Environment=(\w+)=(.*)$", _UNIT.read_text("utf-8"), re.MULTILINE))
"""The environment that the exporter is measured in."""
TICKS = os.sysconf("SC_CLK_TCK")


def say(text: str) -> None:
    """Tell who waits what is being measured."""
    print(f"... {text}", file=sys.stderr, flush=True)


def cpu_of_command(argv: Sequence[str], environment: Mapping[str, str]) -> float:
    """CPU seconds that a command takes, from its start to its end; its output is read."""
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment)
    assert process.stdout
    with process.stdout as output:
        while output.read(1 << 18):
            pass
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, argv
    return used.ru_utime + used.ru_stime


def cpu_of_process(pid: int) -> float:
    """CPU seconds of a process and of the children that it has reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def status_of_process(pid: int, field: str) -> int:
    """A number of /proc/PID/status, such as VmRSS in kB or Threads."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{field}:")))


def descriptors_of_process(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def medians(measures: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Milliseconds of each, measured in turn so that noise hits all alike."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for measure, times in zip(measures, taken, strict=True):
            start = time.perf_counter()
            measure()
            times.append((time.perf_counter() - start) * 1000)
    return [statistics.median(times) for times in taken]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The b of the best fit of cost = a * size^b: 1 is linear."""
    logs = ([math.log(value) for value in values] for values in (sizes, costs))
    return statistics.linear_regression(*logs).slope


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"
