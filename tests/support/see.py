"""From a CIB or crm_mon's XML to what the exporter makes of it, for tests to look at."""

import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter import cib, crm_mon
from exporter.command import SystemCommands
from exporter.exposition import Format, join, render
from exporter.families import CLUSTER
from exporter.model import Bundle, Replica, Snapshot
from exporter.state import Observation

CAPTURES = Path(__file__).parent.parent / "captures"


def captured(name: str) -> bytes:
    """A capture, by its path below tests/captures."""
    return (CAPTURES / name).read_bytes()


def need(program: str) -> str:
    """The path of a real program; without it the test is skipped, which is a failure in CI."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed: run tests/setup.sh apt dev")
    return path


def real_commands(file: Path, **environment: str) -> SystemCommands:
    """The real commands over a CIB in a file."""
    inherited = {**os.environ, "CIB_file": str(file), **environment}
    return SystemCommands(inherited, threading.Event())


def observe(file: Path) -> Observation:
    """What the real crm_mon and cibadmin say of a CIB in a file."""
    commands = real_commands(file)
    snapshot = crm_mon.read(crm_mon.CrmMon(commands, need("crm_mon")).ask(60))
    configuration = cib.read(cib.ask(commands, need("cibadmin"), 60))
    return Observation(snapshot, configuration)


def text(observation: Observation) -> str:
    """The cluster families as Prometheus' text."""
    return join(render(CLUSTER, observation), Format.TEXT).decode()


def series(page: str) -> Mapping[str, float]:
    """The series of a text page by name and labels."""
    lines = (line for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


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
