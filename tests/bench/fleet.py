"""One real Prometheus with the shipped rules over many clusters of three exporters each.

The pages of all exporters are served by one process: that of a 4x3 cluster, as the exporter makes
it, with times that go on; in the last fleet no bundle of any cluster is well.
"""

import asyncio
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.clusters import SIZES, Cib
from tests.bench.load import CONTENT_TYPE
from tests.bench.measure import cpu_of_process, exponent, say, status_of_process, table
from tests.support.harness.programs import (
    Prometheus,
    eventually,
    exporter,
    free_port,
    get,
    prometheus_with,
    running,
)
from tests.support.paths import ROOT

RULES = sorted((ROOT / "deploy" / "prometheus").glob("*.rules.yml"))
FLEETS = (50, 100, 200)
NODES = 3
INTERVAL = 15
COUNTED = (
    "pacemaker_bundle_replica_condition",
    "pacemaker_bundle_replica_component_active",
    "pacemaker_node_condition",
    "pacemaker_resource_failures",
)
"""Metrics with many series: to count these is the reference."""
_REFERENCE_RULES = {
    "groups": [
        {
            "name": "reference",
            "rules": [{"record": f"{name}:count", "expr": f"count({name})"} for name in COUNTED],
        }
    ]
}
_TIMES = re.compile(rb"(_timestamp_seconds(?:\{[^}]*\})?) ([0-9.]+)")


def _page(directory: Path, *, troubled: bool) -> bytes:
    """What an exporter shows."""
    cib = Cib(directory, SIZES[0], troubled=troubled)
    with exporter(directory, "--poll.interval=1h", "--poll.max-age=2h", **cib.environment) as base:
        return get(f"{base}/metrics")


async def _serve(page: bytes, port: int) -> None:
    """Answer every request with the page; the path says which exporter it is."""
    read_at = time.time()

    def body() -> bytes:
        later = time.time() - read_at
        return _TIMES.sub(lambda m: b"%s %.3f" % (m[1], float(m[2]) + later), page)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            text = body()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\n"
            writer.write(f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text)
            await writer.drain()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def _configuration(port: int, clusters: int, reference: Path) -> str:
    groups = "".join(
        f"      - targets: [{', '.join(f'{node}.cluster-{cluster}' for node in range(NODES))}]\n"
        f"        labels: {{cluster: cluster-{cluster}}}\n"
        for cluster in range(clusters)
    )
    return (
        f"global: {{scrape_interval: {INTERVAL}s, evaluation_interval: {INTERVAL}s}}\n"
        f"rule_files: [{', '.join(map(str, [*RULES, reference]))}]\n"
        "scrape_configs:\n  - job_name: pacemaker\n"
        "    relabel_configs:\n"
        "      - {source_labels: [__address__], target_label: instance}\n"
        f"      - {{target_label: __address__, replacement: 127.0.0.1:{port}}}\n"
        f"    static_configs:\n{groups}"
    )


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a Prometheus takes for so many clusters."""

    clusters: int
    series: int
    scrape: float
    """Milliseconds, median."""
    rules: Mapping[str, Sequence[float]]
    """Seconds of each rule's evaluations."""
    reference: Sequence[Sequence[float]]
    """Those of counting metrics."""
    resident: float
    """Megabytes."""
    cpu: float
    """Of one CPU."""
    alerts: int
    """Pending or firing at the end."""


def _rules(server: Prometheus) -> dict[str, float]:
    groups = server.rules()
    assert all(rule["health"] == "ok" for group in groups for rule in group["rules"])
    found: dict[str, float] = {}
    for group in groups:
        for number, rule in enumerate(group["rules"]):
            found[f"{rule['name']} ({group['name']} {number})"] = rule["evaluationTime"]
    return found


def fleet(clusters: int, rounds: int, *, troubled: bool = False) -> Fleet:
    """Let Prometheus scrape and evaluate for some rounds after the first."""
    say(f"fleet: {clusters} clusters{' in trouble' if troubled else ''}")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        page, port = directory / "page", free_port()
        page.write_bytes(_page(directory, troubled=troubled))
        argv = [sys.executable, "-m", "tests.bench.fleet", str(page), str(port)]
        reference = directory / "reference.rules.yml"
        reference.write_text(json.dumps(_REFERENCE_RULES), encoding="utf-8")
        configuration = _configuration(port, clusters, reference)
        with (
            running(argv, directory / "pages.log"),
            prometheus_with(directory, configuration) as server,
        ):
            up = f"sum(up) == {clusters * NODES}"
            eventually(lambda: server.query(up), 90)
            time.sleep(INTERVAL)
            taken: dict[str, list[float]] = {}
            start, before = time.monotonic(), cpu_of_process(server.pid)
            for _ in range(rounds):
                time.sleep(INTERVAL)
                for rule, seconds in _rules(server).items():
                    taken.setdefault(rule, []).append(seconds)
            cpu = (cpu_of_process(server.pid) - before) / (time.monotonic() - start)
            assert server.query(up)
            scrape = server.values("quantile(0.5, scrape_duration_seconds)")[()]
            series = server.values("sum(scrape_samples_post_metric_relabeling)")[()]
            counted = [
                taken.pop(f"{name}:count (reference {number})")
                for number, name in enumerate(COUNTED)
            ]
            return Fleet(
                clusters, int(series), scrape * 1000, taken, counted,
                status_of_process(server.pid, "VmRSS") / 1024, cpu, len(server.query("ALERTS")),
            )  # fmt: skip


def report(fleets: tuple[int, ...] = FLEETS, rounds: int = 6) -> str:
    """Prometheus by size of the fleet, and the dearest rules."""
    found = [fleet(clusters, rounds) for clusters in fleets]
    troubled = fleet(fleets[-1], rounds, troubled=True)
    whole = table(
        ("clusters", "exporters", "series", "alerts", "scrape, median", "all rules", "resident",
         "CPU"),
        [
            (one.clusters, one.clusters * NODES, one.series, one.alerts, f"{one.scrape:.1f} ms",
             f"{sum(map(statistics.median, one.rules.values())):.2f} s",
             f"{one.resident:.0f} MB", f"{one.cpu:.0%}")
            for one in (*found, troubled)
        ],
    )  # fmt: skip
    rules = {rule: [min(one.rules[rule]) for one in found] for rule in found[-1].rules}
    rows = {
        f"for comparison: {len(COUNTED)} metrics counted": [
            sum(map(min, one.reference)) for one in found
        ],
        "all rules": [sum(map(min, one.rules.values())) for one in found],
        **dict(sorted(rules.items(), key=lambda rule: -rule[1][-1])[:8]),
    }
    growing = table(
        ("", *(f"{clusters} clusters" for clusters in fleets), "exponent"),
        [
            (what, *(f"{cost * 1000:.1f} ms" for cost in costs), f"{exponent(fleets, costs):.2f}")
            for what, costs in rows.items()
        ],
    )
    return whole + "\n" + growing


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]).read_bytes(), int(sys.argv[2])))
