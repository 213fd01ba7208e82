"""Our writer of the text format against prometheus_client's, over the same samples.

    .venv/bin/python -m tests.bench.writer

Prints a Markdown table: milliseconds, the median of several runs in turn.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from exporter.exposition import Format, Page, join, render
from exporter.families import CLUSTER
from exporter.metrics import Kind
from exporter.state import Observation
from tests.support import see
from tests.support.cib import cluster
from tests.support.states import NOW

SIZES = ((4, 3, 3), (20, 3, 3), (100, 5, 16))
RUNS = 7


class Theirs:
    """The same families for prometheus_client."""

    def __init__(self, seen: Observation) -> None:
        """Know what to tell of."""
        self._seen = seen

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not check."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield the families."""
        for family in CLUSTER:
            made = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
            metric = made(family.name, family.help, labels=family.labels)
            for values, value in family.collect(self._seen):
                metric.add_metric(values, value)
            yield metric


def rendered(seen: Observation) -> bytes:
    """Our text."""
    return join(render(CLUSTER, seen), Format.TEXT)


def median(measures: list[Callable[[], object]]) -> list[float]:
    """Milliseconds of each, measured in turn so that noise hits all alike."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(RUNS):
        for measure, times in zip(measures, taken, strict=True):
            start = time.perf_counter()
            measure()
            times.append((time.perf_counter() - start) * 1000)
    return [statistics.median(times) for times in taken]


def main() -> None:
    """Print the table."""
    print("| bundles x replicas | samples | text | ours | prometheus_client | ratio | gzip |")
    print("|---|---|---|---|---|---|---|")
    for bundles, replicas, hosts in SIZES:
        with tempfile.TemporaryDirectory() as directory:
            cib = Path(directory, "cib.xml")
            made = cluster(bundles, replicas, hosts, probes=False)
            cib.write_text(made.xml(NOW), encoding="utf-8")
            seen = see.observe(cib)
        registry = CollectorRegistry()
        registry.register(Theirs(seen))
        blocks = render(CLUSTER, seen)
        text = rendered(seen)
        samples = sum(block.lines.count("\n") for block in blocks)
        ours, theirs, packed = median(
            [
                partial(rendered, seen),
                partial(generate_latest, registry),
                partial(Page.of, blocks),
            ]
        )
        cells = (
            f"{bundles}x{replicas}", samples, f"{len(text) / 1000:.0f} kB", f"{ours:.1f} ms",
            f"{theirs:.1f} ms", f"{theirs / ours:.1f}", f"{packed:.1f} ms",
        )  # fmt: skip
        print("|", " | ".join(map(str, cells)), "|")


if __name__ == "__main__":
    main()
