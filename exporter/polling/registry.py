"""The registered sources, with their metrics and tables."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from exporter.cluster.observation import Observation
from exporter.judgement.judge import Judgement
from exporter.metrics.declaration import Family
from exporter.report import sbd
from exporter.report.tables import Table
from exporter.sources.configuration import ConfigurationSource
from exporter.sources.local_node import LocalNodeSource
from exporter.sources.sbd import SbdSource
from exporter.sources.source import Source
from exporter.sources.status import StatusSource
from exporter.sources.tickets import TicketSource
from exporter.sources.tools import SourceContext


def _no_tables(_observation: Observation, _now: float) -> Iterable[Table]:
    return ()


@dataclass(frozen=True, slots=True)
class Registration:
    """A source with its metrics and tables."""

    make: Callable[[SourceContext], Source[Any, Any]]
    families: tuple[Family[Judgement], ...] = ()
    """Metrics of the facts of this source."""
    tables: Callable[[Observation, float], Iterable[Table]] = _no_tables
    """Makes tables for `show` and the status page, from an observation and the current time in
    seconds since the epoch."""
    with_saved_output: bool = True
    """Whether to run it if a saved output of crm_mon replaces the cluster."""


REGISTRY: tuple[Registration, ...] = (
    Registration(StatusSource),
    Registration(ConfigurationSource, with_saved_output=False),
    Registration(TicketSource, with_saved_output=False),
    Registration(LocalNodeSource),
    Registration(SbdSource, tables=sbd.tables, with_saved_output=False),
)
"""The sources in the order in which they run. To add a source, add a line."""
