"""Clusters of every size that is measured, as CIBs in files for the real crm_mon."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from exporter.cluster.model import Role
from exporter.cluster.observation import Observation
from tests.support.harness import see
from tests.support.model.cib import INFINITY, Bundle, Cluster, Failure, Node, cluster
from tests.support.model.states import NOW

_VALUE = 'name="pingd" value="{}"'
_STARTED = re.compile(r'"(haproxy-[^"]*)_start_0" operation="start"')


@dataclass(frozen=True, slots=True)
class Size:
    """So many bundles of so many replicas on so many hosts."""

    bundles: int
    replicas: int
    hosts: int

    def __str__(self) -> str:
        return f"{self.bundles}x{self.replicas}"

    @property
    def instances(self) -> int:
        """Replicas in all: what cost is a function of."""
        return self.bundles * self.replicas


SIZES = (Size(4, 3, 3), Size(20, 3, 3), Size(100, 5, 16), Size(300, 8, 32))


class Change(StrEnum):
    """What may be another before each poll."""

    VALUE = "a value"
    """Of a node attribute that has a series of its own."""
    REPLICA = "a replica"
    """Of a bundle without a service: it stops, or starts."""


class CibFile:
    """A CIB in a file for Pacemaker's commands."""

    def __init__(self, file: Path, text: str) -> None:
        """Write it."""
        self.file = file
        self.write(text)

    @property
    def environment(self) -> dict[str, str]:
        """What Pacemaker's commands need to read it."""
        return {**os.environ, "CIB_file": str(self.file), "LC_ALL": "C", "TZ": "UTC"}

    def write(self, text: str) -> None:
        """Replace it at once for who reads."""
        new = self.file.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(self.file)


class Cib(CibFile):
    """The CIB of a cluster in a file that can be changed."""

    def __init__(
        self, directory: Path, size: Size, *, probes: bool = False, troubled: bool = False
    ) -> None:
        """Write it. With probes members remember all resources; troubled, no bundle is well."""
        self.size = size
        self.probes = probes
        made = cluster(size.bundles, size.replicas, size.hosts, probes=probes)
        if troubled:
            made = _in_trouble(made)
        first, *others = made.nodes
        assert isinstance(first, Node)
        nodes = (replace(first, transient={"pingd": "100"}), *others)
        self._text = replace(made, nodes=nodes).xml(NOW)
        super().__init__(directory / f"{size}{'-probes' if probes else ''}.xml", self._text)
        other = re.sub(_VALUE.format("100"), _VALUE.format("101"), self._text, count=1)
        self._other = {Change.VALUE: other, Change.REPLICA: _one_less(self._text)}
        self._is_changed = False

    def __str__(self) -> str:
        return f"{self.size}{' with probes' if self.probes else ''}"

    def change(self, change: Change = Change.VALUE) -> None:
        """Change it, or change it back."""
        self.write(self._text if self._is_changed else self._other[change])
        self._is_changed = not self._is_changed


def _in_trouble(healthy: Cluster) -> Cluster:
    """Of each bundle let a replica have failed and be back, one have failed, and one be stopped."""
    resources = tuple(
        resource.but(0, role_since=-20, failures=(Failure(rc=7, at=-40, count=2),))
        .but(1, failures=(Failure("start", count=INFINITY),))
        .but(2, host=None, role="stopped", left=resource.replicas[2].host)
        if isinstance(resource, Bundle)
        else resource
        for resource in healthy.resources
    )
    return replace(healthy, resources=resources)


def _one_less(text: str) -> str:
    """Let a replica be stopped that was started."""
    started = _STARTED.search(text)
    assert started
    stopped = f'"{started[1]}_stop_0" operation="stop"'
    without = re.sub(rf'<lrm_rsc_op id="{started[1]}_monitor_[^>]*>', "", text)
    return without.replace(started[0], stopped)


def observe(cib: Cib) -> Observation:
    """What the real crm_mon says of it: every replica must be there, and run."""
    seen = see.observe(cib.file)
    bundles = seen.snapshot.bundles
    assert len(bundles) == cib.size.bundles
    for bundle in bundles:
        assert len(bundle.replicas) == cib.size.replicas
        assert all(r.ready and r.role in {Role.STARTED, Role.PROMOTED} for r in bundle.replicas)
    return seen


def cibs(directory: Path, *, largest: Size = SIZES[-1]) -> Iterator[Cib]:
    """Every size up to the largest, without and with probes."""
    for size in SIZES:
        if size.instances <= largest.instances:
            yield Cib(directory, size)
            yield Cib(directory, size, probes=True)
