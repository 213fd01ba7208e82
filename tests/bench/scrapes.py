"""How long a scrape takes: the exporter, nginx with the same bytes, and what else there is."""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server

from tests.bench.answers import hangs_after_one, prints_two_in_turn
from tests.bench.clusters import SIZES, Change, Cib, CibFile, Size, observe
from tests.bench.load import Latency, latency, nginx, publish, seconds_of_scrapes
from tests.bench.measure import AS_A_SERVICE, say, table
from tests.bench.stages import Theirs
from tests.support.harness.programs import eventually, exporter_process, free_port, get, running
from tests.support.harness.see import need
from tests.support.harness.threads import again_and_again

ENCODINGS = ("identity", "gzip")
GOALS = {1: 3, 10: 5}
"""How many times nginx's p50 with one connection, its p99 with ten."""
GOALS_AGAINST_PEER = {Size(4, 3, 3): 50, Size(100, 5, 16): 300}
GOAL_UNAFFECTED = 1.5
ROUNDS = 3
"""In turn; what counts is the median."""
PAUSE = 10
"""Milliseconds, and up to three times as many, between the scrapes of one of ten."""


@contextmanager
def _exporter(cib: Cib, directory: Path, *arguments: str) -> Iterator[tuple[str, int]]:
    """The exporter, once it has polled."""
    flags = ("--poll.timeout=10m", "--poll.max-age=2h", *arguments)
    environment = cib.environment | AS_A_SERVICE
    with exporter_process(directory, *flags, **environment) as (base, pid):
        eventually(lambda: get(f"{base}/-/ready"), 120)
        yield f"{base}/metrics", pid


@contextmanager
def peer_exporter(cib: CibFile, directory: Path) -> Iterator[str]:
    """Debian's prometheus-hacluster-exporter."""
    port = free_port()
    argv = [need("ha_cluster_exporter"), f"--web.listen-address=127.0.0.1:{port}"]
    with running(argv, directory / "peer.log", env=cib.environment):
        base = f"http://127.0.0.1:{port}"
        eventually(lambda: get(base))
        yield f"{base}/metrics"


def serve_theirs(directory: Path, size: Size) -> None:
    """In a process of its own: prometheus_client's server, over the same samples."""
    registry = CollectorRegistry()
    registry.register(Theirs(observe(Cib(directory, size))))
    port = free_port()
    start_http_server(port, "127.0.0.1", registry)
    print(port, flush=True)
    time.sleep(3600)


@contextmanager
def _prometheus_client(size: Size, directory: Path) -> Iterator[str]:
    own = directory / "theirs"
    own.mkdir()
    log = own / "port"
    argv = [sys.executable, "-m", "tests.bench.scrapes", str(own), *_words(size)]
    with running(argv, log):
        port = eventually(lambda: int(log.read_text(encoding="utf-8") or 0), 60)
        yield f"http://127.0.0.1:{port}/metrics"


def _words(size: Size) -> tuple[str, ...]:
    return str(size.bundles), str(size.replicas), str(size.hosts)


@dataclass(frozen=True, slots=True)
class Load:
    """One way to ask."""

    encoding: str
    connections: int

    def __str__(self) -> str:
        scrapers = "1 scraper" if self.connections == 1 else f"{self.connections} scrapers"
        return f"{'gzip' if self.encoding == 'gzip' else 'plain'}, {scrapers}"


LOADS = [Load(encoding, connections) for encoding in ENCODINGS for connections in GOALS]


def _median(taken: Sequence[Latency]) -> Latency:
    return Latency(
        round(statistics.median(one.p50 for one in taken)),
        round(statistics.median(one.p99 for one in taken)),
    )


def _against_nginx(size: Size, urls: tuple[str, str], seconds: int) -> Iterator[tuple[str, ...]]:
    for load in LOADS:
        say(f"scrapes: {size}, {load}")
        taken: list[list[Latency]] = [[], []]
        for _ in range(ROUNDS):
            for url, of_server in zip(urls, taken, strict=True):
                of_server.append(latency(url, load.encoding, load.connections, seconds))
        ours, theirs = map(_median, taken)
        goal = GOALS[load.connections]
        ratio = ours.p50 / theirs.p50 if load.connections == 1 else ours.p99 / theirs.p99
        verdict = f"{'p50' if load.connections == 1 else 'p99'} {goal}:"
        verdict += " met" if ratio <= goal else " not met"
        yield str(size), str(load), str(ours), str(theirs), f"{ratio:.1f}", verdict


def servers(largest: Size = SIZES[-1], seconds: int = 1) -> str:
    """Against nginx, prometheus_client and ha_cluster_exporter."""
    fast: list[tuple[str, ...]] = []
    slow: list[tuple[object, ...]] = []
    for size in SIZES:
        if size.instances > largest.instances:
            continue
        with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
            directory = Path(name)
            cib = Cib(directory, size)
            url, _ = stack.enter_context(_exporter(cib, directory, "--poll.interval=1h"))
            publish(directory, "page", get(url))
            base, _ = stack.enter_context(nginx(directory))
            fast += _against_nginx(size, (url, f"{base}/page"), seconds)
            say(f"scrapes: {size}, slow servers")
            count = 10 if size.instances <= SIZES[1].instances else 2
            client = stack.enter_context(_prometheus_client(size, directory))
            peer = stack.enter_context(peer_exporter(cib, directory))
            ours, clients, peers = (
                statistics.median(seconds_of_scrapes(one, times))
                for one, times in ((url, 50), (client, count), (peer, count))
            )
            goal = GOALS_AGAINST_PEER.get(size)
            met = "met" if goal and peers / ours >= goal else "not met"
            slow.append(
                (size, f"{ours * 1e3:.1f} ms", f"{clients * 1e3:.1f} ms", f"{peers * 1e3:.0f} ms",
                 f"{clients / ours:.0f}", f"{peers / ours:.0f}", f"{goal}: {met}" if goal else "")
            )  # fmt: skip
    heads = ("cluster", "load", "exporter", "nginx", "ratio", "goal")
    others = ("cluster", "exporter", "prometheus_client", "ha_cluster_exporter",
              "times faster than prometheus_client", "than ha_cluster_exporter",
              "goal")  # fmt: skip
    return table(heads, fast) + "\n" + table(others, slow)


def disturbed(size: Size = SIZES[-1], seconds: int = 10) -> str:
    """Ten scrapers that pause, in the states that could hold them up.

    And those of an nginx beside it, which can only be held up for want of CPU time.
    """
    rows: list[tuple[str, ...]] = []
    healthy: list[Latency] = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        cib = Cib(directory, size)
        base, _ = stack.enter_context(nginx(directory))
        ways = {
            "healthy, between polls": ("--poll.interval=1h",),
            "crm_mon hangs": (
                "--poll.interval=100ms",
                f"--crm_mon.path={hangs_after_one(directory, cib)}",
            ),
            "poll after poll, each with a change": ("--poll.interval=1ms",),
            "the same without a crm_mon": (
                "--poll.interval=1ms",
                f"--crm_mon.path={prints_two_in_turn(directory, cib)}",
            ),
        }
        taken: dict[str, list[list[Latency]]] = {way: [] for way in ways}
        stack.enter_context(
            again_and_again(threading.Event(), 1, partial(cib.change, Change.REPLICA))
        )
        for way in [*ways] * ROUNDS:
            say(f"scrapes: {way}")
            with _exporter(cib, directory, *ways[way]) as (url, _):
                publish(directory, "page", get(url))
                time.sleep(1)
                taken[way].append(
                    [
                        latency(server, encoding, 10, seconds, pause=PAUSE)
                        for encoding in ENCODINGS
                        for server in (url, f"{base}/page")
                    ]
                )
        for way, rounds in taken.items():
            found = [_median(of_one) for of_one in zip(*rounds, strict=True)]
            healthy = healthy or found
            plain, nginx_plain, packed, nginx_packed = (
                one.p99 / usual.p99 for one, usual in zip(found, healthy, strict=True)
            )
            verdict = "met" if max(plain, packed) <= GOAL_UNAFFECTED else "not met"
            rows.append(
                (way, str(found[0]), str(found[2]), f"{plain:.1f}", f"{packed:.1f}",
                 f"{nginx_plain:.1f}", f"{nginx_packed:.1f}", f"{GOAL_UNAFFECTED}: {verdict}")
            )  # fmt: skip
    heads = ("state", "plain", "gzip", "p99 to healthy, plain", "gzip", "nginx's beside it, plain",
             "gzip", "goal")  # fmt: skip
    return table(heads, rows)


def report(largest: Size = SIZES[-1], seconds: int = 1) -> str:
    """All tables about scrapes."""
    return servers(largest, seconds) + "\n" + disturbed(largest, 5 * seconds)


if __name__ == "__main__":
    bundles, replicas, hosts = map(int, sys.argv[2:])
    serve_theirs(Path(sys.argv[1]), Size(bundles, replicas, hosts))
