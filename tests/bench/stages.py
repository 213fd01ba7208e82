"""What each step from crm_mon's XML to an answer costs, and how that grows with the cluster."""

import gzip
import statistics
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from exporter.cluster.observation import Observation
from exporter.cluster.role_changes import RoleChanges
from exporter.judgement.judge import judge
from exporter.metrics.declaration import Kind
from exporter.metrics.families import FAMILIES
from exporter.metrics.text import Format, Page, join, render
from exporter.pacemaker import crm_mon
from exporter.pacemaker.xml import ParseCache, parse_document
from tests.bench.answers import answer
from tests.bench.clusters import SIZES, Cib, Size, observe
from tests.bench.measure import cpu_of_command, exponent, medians, say, table
from tests.bench.polls import BARE
from tests.support.harness.see import need


class Theirs:
    """The same families for prometheus_client."""

    def __init__(self, seen: Observation) -> None:
        """Know what to tell of."""
        self._seen = judge(seen)

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not check."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield the families."""
        for family in FAMILIES:
            made = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
            metric = made(family.name, family.help, labels=family.labels)
            for part in family.parts(self._seen):
                for values, value in family.collect(part).items():
                    metric.add_metric(values, value)
            yield metric


@dataclass(frozen=True, slots=True)
class Stages:
    """Milliseconds of one size, and what there is to do."""

    size: Size
    crm_mon: float
    parse: float
    """XML to a tree."""
    build: float
    """XML to a snapshot, the tree included."""
    rebuild: float
    """The same of a brief answer in which nodes and bundles stand as in the one before."""
    render: float
    """Snapshot to text, judged."""
    rerender: float
    """The same when only an attribute of a node changed."""
    rerender_bundles: float
    """The same when only a bundle changed."""
    theirs: float
    """The same with prometheus_client."""
    compress: float
    copy: float
    """Of the page in memory: the limit of any answer."""
    series: int
    page: int
    """Bytes."""
    compressed: int
    """Bytes."""


def stages(size: Size, rounds: int = 7) -> Stages:
    """Measure in turn, so that noise hits all alike."""
    say(f"stages: {size}")
    with tempfile.TemporaryDirectory() as name:
        cib = Cib(Path(name), size)
        seen = observe(cib)
        data = answer(cib)
        brief = answer(cib, brief=True)
        argv = (need("crm_mon"), *BARE)
        command = statistics.median(cpu_of_command(argv, cib.environment) for _ in range(3))
    seen = replace(seen, role_changes=RoleChanges().after(seen.snapshot))
    registry = CollectorRegistry()
    registry.register(Theirs(seen))
    blocks = render(FAMILIES, judge(seen))
    text = join(blocks, Format.TEXT)
    cache = ParseCache()
    crm_mon.parse(brief, cache=cache)
    first, *others = seen.snapshot.bundles
    changed = (replace(first, image="another"), *others)
    value = replace(seen, snapshot=replace(seen.snapshot, attributes=()))
    bundle = replace(seen, snapshot=replace(seen.snapshot, bundles=changed))
    (
        parse,
        build,
        rebuild,
        rendering,
        rerender,
        rerender_bundles,
        theirs,
        compress,
        copy,
    ) = medians(
        (
            partial(parse_document, data, "crm_mon"),
            partial(crm_mon.parse, data),
            partial(crm_mon.parse, brief, cache=cache),
            lambda: render(FAMILIES, judge(seen)),
            lambda: render(FAMILIES, judge(value), blocks),
            lambda: render(FAMILIES, judge(bundle), blocks),
            partial(generate_latest, registry),
            partial(Page.of, blocks),
            partial(bytearray, text),
        ),
        rounds,
    )
    series = sum(lines.count("\n") for block in blocks for lines in block.lines)
    sizes = (series, len(text), len(gzip.compress(text, 1)))
    return Stages(
        size, command * 1000, parse, build, rebuild, rendering, rerender, rerender_bundles,
        theirs, compress, copy, *sizes,
    )  # fmt: skip


def report(largest: Size = SIZES[-1]) -> str:
    """The table, and how each column grows with the number of replicas."""
    found = [stages(size) for size in SIZES if size.instances <= largest.instances]
    rows = [
        (one.size, one.size.instances, one.series, f"{one.page / 1e3:.0f} kB",
         f"{one.compressed / 1e3:.0f} kB", f"{one.crm_mon:.0f}", f"{one.parse:.1f}",
         f"{one.build:.1f}", f"{one.rebuild:.1f}", f"{one.render:.1f}", f"{one.rerender:.1f}",
         f"{one.rerender_bundles:.1f}", f"{one.theirs:.1f}", f"{one.compress:.2f}",
         f"{one.copy:.2f}")
        for one in found
    ]  # fmt: skip
    instances = [one.size.instances for one in found]
    growth = [
        f"{exponent(instances, [getattr(one, column) for one in found]):.2f}"
        for column in ("series", "page", "compressed", "crm_mon", "parse", "build", "rebuild",
                       "render", "rerender", "rerender_bundles", "theirs", "compress", "copy")
    ]  # fmt: skip
    heads = ("cluster", "replicas", "series", "page", "gzip", "crm_mon", "XML to tree",
             "XML to snapshot", "again", "to text", "again, a value", "again, a bundle",
             "prometheus_client's text", "compression",
             "copy in memory")  # fmt: skip
    return table(heads, [*rows, ("exponent", "1", *growth)])
