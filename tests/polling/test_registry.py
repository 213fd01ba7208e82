"""A new source in one file is counted and shown everywhere without other changes."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest
from lxml import html
from rich.console import Console

from exporter.cli import show
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Failure, Outcome
from exporter.judgement.judge import Judgement, judge
from exporter.metrics.declaration import Declarations, Sample
from exporter.metrics.exporter import Identity
from exporter.metrics.process import ProcessMetrics
from exporter.metrics.text import Format
from exporter.polling.observer import Observer
from exporter.polling.poller import Poller
from exporter.polling.registry import REGISTRY, Registration
from exporter.report.tables import Table, Words
from exporter.sources.source import Source
from exporter.sources.tools import SourceContext, Tools
from exporter.web.metrics_page import MetricsPage
from exporter.web.status_page import Inputs, PageOptions, StatusPage
from tests.support.harness.fakes import FrozenClock, ScriptedCommands
from tests.support.harness.results import good
from tests.support.harness.see import series

IDENTITY = Identity("1", "", "3", poll_interval=10, max_age=90)

# ---- All that a source needs: a fact, the source, its metrics, its table, its registration ----


@dataclass(frozen=True)
class Tide:
    """How high the water is."""

    metres: float


class TideSource(Source[float, Tide]):
    name = "tide"
    command = "tide-gauge"
    metres: float | None = 1.5

    def due(self, observation: Observation, now: float) -> bool:
        return True

    def ask(self, timeout: float) -> float | Failure:
        self._clock.monotonic()
        return Failure(Outcome.TIMEOUT, "no water") if self.metres is None else self.metres

    def read(self, answer: float | Failure) -> Tide | Failure:
        return answer if isinstance(answer, Failure) else Tide(answer)

    def add(self, fact: Tide | None, observation: Observation) -> Observation:
        facts = {**observation.facts, Tide: fact} if fact else observation.facts
        return replace(observation, facts=facts)


TIDES: Declarations[Judgement] = Declarations()


@TIDES.for_part(lambda judged: judged.observation.fact(Tide)).gauge(
    "pacemaker_tide_metres", "Height of the water."
)
def tide_metres(tide: Tide | None) -> Iterable[Sample]:
    if tide:
        yield (), tide.metres


def tide_tables(seen: Observation, now: float) -> Iterable[Table]:
    tide = seen.fact(Tide)
    if tide:
        yield Table("Tide", ("Metres",), (((Words(f"{tide.metres} above"),),),))


REGISTERED = (*REGISTRY, Registration(TideSource, tuple(TIDES), tide_tables))


@pytest.fixture
def context(commands: ScriptedCommands) -> SourceContext:
    return SourceContext(Tools(commands), FrozenClock(), 30)


@pytest.fixture
def polled(context: SourceContext) -> Poller:
    poller = Poller(context, 10, REGISTERED)
    poller.poll()
    return poller


def test_reads_and_metric_of_a_new_source_are_on_the_page(polled: Poller) -> None:
    page = MetricsPage(ProcessMetrics(), IDENTITY)
    text = page.whole(polled.state, 0, Format.TEXT, compress=False).decode()
    found = series(text)
    assert found["pacemaker_tide_metres"] == 1.5
    reads = 'pacemaker_exporter_source_reads_total{{source="tide",outcome="{}"}}'
    assert (found[reads.format("success")], found[reads.format("timeout")]) == (1, 0)
    last = 'pacemaker_exporter_source_last_outcome{source="tide",outcome="success"}'
    assert found[last] == 1
    assert found['pacemaker_exporter_source_duration_seconds{source="tide"}'] == 0


class DryTideSource(TideSource):
    metres = None


def test_failure_of_a_new_source_is_counted_and_costs_no_other_data(
    context: SourceContext, caplog: pytest.LogCaptureFixture
) -> None:
    registry = (*REGISTRY, Registration(DryTideSource, tuple(TIDES), tide_tables))
    poller = Poller(context, 10, registry)
    assert poller.poll() is None
    assert poller.state.up
    (status,) = (s for s in poller.state.sources if s.source == "tide")
    assert (status.last_outcome, status.reads[Outcome.TIMEOUT]) == (Outcome.TIMEOUT, 1)
    assert b"pacemaker_tide" not in poller.state.page.shared
    assert caplog.messages == ["no water"]


def test_lack_of_memory_while_rendering_is_one_failure_of_the_poll(
    context: SourceContext, caplog: pytest.LogCaptureFixture
) -> None:
    def hungry(_part: object) -> Iterable[Sample]:
        raise MemoryError

    families: Declarations[Judgement] = Declarations()
    families.for_part(lambda _: None).gauge("pacemaker_hungry", "Needs memory.")(hungry)
    registry = (*REGISTRY, Registration(TideSource, tuple(families)))
    poller = Poller(context, 10, registry)
    for _ in range(3):
        failure = poller.poll()
        assert failure is not None
        assert failure.outcome is Outcome.OUT_OF_MEMORY
    status, configuration, *_ = poller.state.sources
    assert {k: n for k, n in status.reads.items() if n} == {Outcome.OUT_OF_MEMORY: 3}
    assert configuration.last_outcome is Outcome.SUCCESS
    assert len(caplog.messages) == 1


def test_table_of_a_new_source_is_in_show(context: SourceContext) -> None:
    seen = good(Observer(context, REGISTERED).observe(judge))
    text = show.text_of(show.page(seen, 0.0, registry=REGISTERED), Console(width=100))
    assert "Tide\n  METRES\n  1.5 above" in text


def status_page(poller: Poller) -> html.HtmlElement:
    page = StatusPage(PageOptions("/metrics"), REGISTERED)
    shown = Inputs(poller.state, IDENTITY, FrozenClock().time(), FrozenClock().monotonic())
    made = asyncio.run(page.html(lambda: shown, refreshing=False))
    return html.document_fromstring(made.plain)


def test_table_of_a_new_source_is_on_the_status_page(polled: Poller) -> None:
    page = status_page(polled)
    (cell,) = page.xpath("//table[caption='Tide']//tbody//th")
    assert cell.text_content() == "1.5 above"
    assert not page.xpath("//dt[text()='Tide']")


def test_failure_of_a_new_source_is_on_the_status_page(context: SourceContext) -> None:
    poller = Poller(context, 10, (*REGISTRY, Registration(DryTideSource)))
    poller.poll()
    (fact,) = status_page(poller).xpath("//dt[text()='Tide']/following-sibling::dd[1]")
    assert fact.text_content() == "timeout"
