"""Reads CIBs and captures with the real commands and the exporter's readers."""

import os
import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.cluster.model import Bundle, Replica, Snapshot
from exporter.cluster.observation import Observation
from exporter.cluster.selection import Collector, Selection
from exporter.judgement.judge import judge
from exporter.metrics.families import FAMILIES
from exporter.metrics.text import Format, join, render
from exporter.pacemaker import crm_mon
from exporter.pacemaker.runner import Commands, Completed, SystemCommands
from exporter.polling.observer import Observer
from exporter.polling.registry import Registration
from exporter.runtime.clock import SystemClock
from exporter.sources.configuration import ConfigurationSource
from exporter.sources.status import StatusSource
from exporter.sources.tickets import TicketSource
from exporter.sources.tools import SourceContext, Tools
from tests.support.harness.results import good
from tests.support.paths import ROOT

CAPTURES = ROOT / "tests" / "captures"


def captured(name: str) -> bytes:
    """A capture, by its path below tests/captures."""
    return (CAPTURES / name).read_bytes()


def need(program: str) -> str:
    """The path of a real program; without it the test is skipped, which is a failure in CI."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed: run tools/setup.sh apt dev")
    return path


def real_commands(file: Path, **environment: str) -> SystemCommands:
    """The real commands over a CIB in a file."""
    inherited = {**os.environ, "CIB_file": str(file), **environment}
    return SystemCommands(inherited, threading.Event())


def ask(commands: Commands, *, histories: bool = True) -> Completed:
    """What the real crm_mon left when it was asked as the exporter does."""
    asked = crm_mon.CrmMon(commands, need("crm_mon"), SystemClock())
    return good(asked.ask(600, histories=histories)).completed


def observe(file: Path) -> Observation:
    """What the real crm_mon and cibadmin say of a CIB in a file."""
    tools = Tools(real_commands(file), crm_mon=need("crm_mon"), cibadmin=need("cibadmin"))
    sources = [Registration(of) for of in (StatusSource, ConfigurationSource, TicketSource)]
    of_pacemaker = Selection(frozenset(Collector) - {Collector.COROSYNC})
    observer = Observer(SourceContext(tools, SystemClock(), 600, of_pacemaker), sources)
    return good(observer.observe(lambda observation: observation))


def text(observation: Observation) -> str:
    """The cluster families as Prometheus' text."""
    return join(render(FAMILIES, judge(observation)), Format.TEXT).decode()


def series(page: str) -> Mapping[str, float]:
    """The series of a text page by name and labels."""
    lines = (line for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


READS = "pacemaker_exporter_source_reads_total"
_OF_SOURCE = re.compile(READS + r'\{source="(.*)",outcome="(.*)"\}')


def reads(page: str, source: str = "status") -> Mapping[str, float]:
    """How often reads of a source ended, by outcome; of status there is one in each poll."""
    found = ((_OF_SOURCE.fullmatch(name), value) for name, value in series(page).items())
    return {match[2]: value for match, value in found if match and match[1] == source}


def summary(snapshot: Snapshot) -> str:
    """A snapshot's bundles in lines that a person can check against crm_mon's text."""
    return "".join(_bundle(bundle) for bundle in snapshot.bundles)


def _bundle(bundle: Bundle) -> str:
    marks = {
        "unique": bundle.unique,
        "unmanaged": not bundle.managed,
        "disabled": not bundle.enabled,
        "maintenance": bundle.maintenance,
        "failed": bundle.failed,
    }
    ready = sum(replica.ready for replica in bundle.replicas)
    head = f"{bundle.id} {bundle.engine} {ready}/{len(bundle.replicas)} ready"
    lines = [" ".join([head, *(mark for mark, holds in marks.items() if holds)])]
    lines += [_replica(replica) for replica in bundle.replicas]
    return "".join(f"  {line}\n" for line in lines)


def _replica(replica: Replica) -> str:
    marks = {
        "running": replica.running,
        "ready": replica.ready,
        "failed": replica.failed,
        "blocked": replica.blocked,
        "orphaned": replica.orphaned,
        "unmanaged": replica.unmanaged,
        "maintenance": replica.maintenance,
        "pending": replica.pending,
    }
    hosts = ",".join(host.name for host in replica.hosts) or "-"
    parts = ",".join(
        kind.value if resource.active else f"({kind.value})"
        for kind, resource in replica.components
    )
    words = [f"  {replica.index}", replica.role.value, hosts, parts]
    return " ".join([*words, *(mark for mark, holds in marks.items() if holds)])
