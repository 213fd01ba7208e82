"""What the cloud costs beside polls: the steps of a poll, the page, `show`, scrapes and memory."""

import gzip
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from exporter.cluster.role_changes import RoleChanges
from exporter.judgement.judge import Judge, judge
from exporter.metrics.families import FAMILIES
from exporter.metrics.text import Format, join, render
from exporter.pacemaker import crm_mon
from exporter.pacemaker.xml import ParseCache
from tests.bench.answers import answer
from tests.bench.clouds import CloudCib, clouds
from tests.bench.load import latency, nginx, publish, seconds_of_scrapes
from tests.bench.measure import (
    AS_A_SERVICE,
    cpu_of_command,
    medians,
    say,
    status_of_process,
    table,
)
from tests.bench.polls import BARE, OURS
from tests.bench.scrapes import peer_exporter
from tests.support.harness import see
from tests.support.harness.programs import eventually, exporter_process, get

GOAL_BEYOND = 0.5
"""Seconds that `show` and the page may take beyond crm_mon."""
HEADS_OF_STEPS = ("cloud", "series", "page", "gzip", "XML to snapshot", "again", "to text",
                  "again, a compute")  # fmt: skip
HEADS = ("cloud", "crm_mon", "same request alone", "`show`", "beyond it", "status page", "goal",
         "scrape", "nginx", "ha_cluster_exporter", "resident")  # fmt: skip


def _steps(name: str, cib: CloudCib) -> tuple[object, ...]:
    say(f"steps: {name}")
    seen = see.observe(cib.file)
    seen = replace(seen, role_changes=RoleChanges().after(seen.snapshot))
    data = answer(cib)
    cib.change()
    other = see.observe(cib.file)
    other_data = answer(cib, brief=True)
    cib.change()
    brief = answer(cib, brief=True)
    cache, judged = ParseCache(), Judge()
    crm_mon.parse(brief, cache=cache)
    blocks = render(FAMILIES, judged.judge(seen))
    text = join(blocks, Format.TEXT)

    # There and back, which is two changes.
    def reread() -> None:
        crm_mon.parse(other_data, cache=cache)
        crm_mon.parse(brief, cache=cache)

    def rerender() -> None:
        changed = render(FAMILIES, judged.judge(other), blocks)
        render(FAMILIES, judged.judge(seen), changed)

    build, again, rendering, rerendering = medians(
        (
            partial(crm_mon.parse, data),
            reread,
            lambda: render(FAMILIES, judge(seen)),
            rerender,
        ),
        7,
    )
    series = sum(lines.count("\n") for block in blocks for lines in block.lines)
    return (
        name, series, f"{len(text) / 1e3:.0f} kB", f"{len(gzip.compress(text, 1)) / 1e3:.0f} kB",
        f"{build:.1f}", f"{again / 2:.1f}", f"{rendering:.1f}", f"{rerendering / 2:.1f}",
    )  # fmt: skip


def _whole(name: str, cib: CloudCib, directory: Path) -> tuple[object, ...]:
    say(f"show, page and scrapes: {name}")
    path = see.need("crm_mon")
    shown = (sys.executable, "-m", "exporter", "show")
    taken: list[list[float]] = [[], [], []]
    for _ in range(5):
        for argv, times in zip(((path, *BARE), (path, *OURS), shown), taken, strict=True):
            times.append(cpu_of_command(argv, cib.environment | AS_A_SERVICE))
    bare, asked, show = map(statistics.median, taken)
    flags = ("--poll.interval=1h", "--poll.timeout=10m", "--poll.max-age=2h")
    with ExitStack() as stack:
        environment = cib.environment | AS_A_SERVICE
        base, pid = stack.enter_context(exporter_process(directory, *flags, **environment))
        eventually(lambda: get(f"{base}/-/ready"), 120)
        page = max(seconds_of_scrapes(f"{base}/", 5))
        publish(directory, "page", get(f"{base}/metrics"))
        reference, _ = stack.enter_context(nginx(directory))
        ours, nginxs = (
            latency(url, "gzip", 1, 2) for url in (f"{base}/metrics", f"{reference}/page")
        )
        resident = status_of_process(pid, "VmRSS") / 1024
        peer = statistics.median(
            seconds_of_scrapes(stack.enter_context(peer_exporter(cib, directory)), 3)
        )
    beyond = show - asked
    verdict = "met" if max(beyond, page) < GOAL_BEYOND else "not met"
    return (
        name, f"{bare:.2f} s", f"{asked:.2f} s", f"{show:.2f} s", f"{beyond:.2f} s",
        f"{page * 1e3:.0f} ms", f"{GOAL_BEYOND} s: {verdict}", f"{ours} us", f"{nginxs} us",
        f"{peer:.2f} s", f"{resident:.0f} MB",
    )  # fmt: skip


def report() -> str:
    """The two tables."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        found = list(clouds(directory))
        steps = [_steps(cloud, cib) for cloud, cib in found]
        whole = [_whole(cloud, cib, directory) for cloud, cib in found]
    return table(HEADS_OF_STEPS, steps) + "\n" + table(HEADS, whole)
