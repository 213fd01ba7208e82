"""All that one poll knows of the cluster."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from exporter.cluster.configuration import BundleConfiguration, Configuration
from exporter.cluster.corosync import Corosync, NodeNames
from exporter.cluster.location import DateExpression
from exporter.cluster.model import NodeType, Snapshot, Ticket
from exporter.cluster.role_changes import RoleChanges
from exporter.cluster.selection import Selection

Fact = TypeVar("Fact")


class Origin(StrEnum):
    """Where an observation comes from."""

    CLUSTER = "cluster"
    DEMO = "demo"
    FILE = "file"
    """A saved output of crm_mon: its age and the CIB are unknown."""


@dataclass(frozen=True, slots=True)
class Observation:
    """All that one poll knows of the cluster: input of metrics, `show`, JSON and status page."""

    snapshot: Snapshot
    configuration: Configuration | None = None
    """None until the CIB could be read."""
    local_node: str = ""
    """Name of this node in the cluster; empty while unknown."""
    configuration_current: bool = False
    """Whether the configuration is that of the CIB as it is now. If the CIB cannot be read after a
    change, the configuration before it is kept, because most of it still holds."""
    role_changes: RoleChanges = field(default_factory=RoleChanges)
    attribute_names: re.Pattern[str] = Selection().attribute_names
    """Node attributes with numeric values are exported if their whole name matches."""
    text_attribute_names: re.Pattern[str] | None = Selection().text_attribute_names
    """Node attributes are exported as text if their whole name matches; None for none of them."""
    dates_in_force: frozenset[DateExpression] = frozenset()
    """The date expressions of location constraints that hold at the time of the poll."""
    ticket_states: tuple[Ticket, ...] | None = None
    """The tickets in the CIB. None while nothing depends on one, or if they could not be read."""
    corosync: Corosync = Corosync()  # noqa: RUF009 - it is immutable
    """What corosync on this node said before crm_mon was asked."""
    facts: Mapping[type, Any] = field(default_factory=dict)
    """The facts of additional sources, by type."""
    origin: Origin = Origin.CLUSTER
    taken: float | None = field(default=None, compare=False)
    """When crm_mon was started, in seconds since the epoch; None for a saved output.

    Equality ignores it: two observations are equal if they say the same about the cluster."""

    def fact(self, kind: type[Fact]) -> Fact | None:
        """Return the fact of an additional source; None while there is none."""
        found: Fact | None = self.facts.get(kind)
        return found

    @property
    def configuration_or_empty(self) -> Configuration:
        """The configuration; empty while the CIB could not be read."""
        return self.configuration or Configuration()

    @property
    def bundles_configured(self) -> Mapping[str, BundleConfiguration]:
        """Settings in the CIB of the bundles that crm_mon lists, in the order of crm_mon."""
        known = self.configuration_or_empty.bundles
        return {b.id: known[b.id] for b in self.snapshot.bundles if b.id in known}

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        """The tickets in the CIB, else those that crm_mon lists without having been asked to."""
        return self.snapshot.tickets if self.ticket_states is None else self.ticket_states

    @property
    def trusted(self) -> bool:
        """Whether this view counts: see pacemaker_view_trusted."""
        return self.snapshot.authoritative and not self.corosync.unresponsive

    @property
    def node_names(self) -> Mapping[int, str]:
        """Names of the cluster nodes by id. Corosync uses the same ids."""
        nodes = self.snapshot.nodes
        return {int(n.id): n.name for n in nodes if n.type is NodeType.MEMBER and n.id.isdecimal()}

    @property
    def corosync_names(self) -> NodeNames:
        """Names of nodes in corosync's answer."""
        return self.corosync.names(self.node_names)

    @property
    def in_maintenance(self) -> bool:
        """Maintenance mode is on, or every member and remote node is in maintenance."""
        nodes = [n for n in self.snapshot.nodes if n.type in {NodeType.MEMBER, NodeType.REMOTE}]
        return bool(self.snapshot.cluster.maintenance_mode) or (
            bool(nodes) and all(node.maintenance for node in nodes)
        )
