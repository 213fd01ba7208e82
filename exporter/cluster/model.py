"""The cluster as crm_mon shows it: immutable, in Pacemaker's terms, without metrics.

References between objects are resolved: a resource holds the nodes that it is active on, not their
names.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TypeGuard

INFINITY = 1_000_000
"""The score INFINITY as a number ("Scores" in Pacemaker Explained)."""


STOPPED = "stopped"
UNPROMOTED = frozenset({"unpromoted", "slave"})
"""Values of target-role in lower case. Slave is the name before Pacemaker 2.1."""


class Role(StrEnum):
    """Role of a resource instance. Output before Pacemaker 2.1 says Master and Slave."""

    STOPPED = "stopped"
    STARTED = "started"
    UNPROMOTED = "unpromoted"
    PROMOTED = "promoted"
    STARTING = "starting"
    STOPPING = "stopping"
    PROMOTING = "promoting"
    DEMOTING = "demoting"
    MIGRATING = "migrating"
    UNKNOWN = "unknown"


RUNNING_ROLES = frozenset({Role.STARTED, Role.UNPROMOTED, Role.PROMOTED})
SETTLED_ROLES = RUNNING_ROLES | {Role.STOPPED}
TRANSITIONAL_ROLES = frozenset(
    {Role.STARTING, Role.STOPPING, Role.PROMOTING, Role.DEMOTING, Role.MIGRATING}
)


class NodeType(StrEnum):
    """Type of a node. A guest runs in a container of a bundle, or is a virtual machine."""

    MEMBER = "member"
    REMOTE = "remote"
    GUEST = "guest"
    PING = "ping"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster, with its conditions as crm_mon reports them."""

    name: str
    id: str = ""
    type: NodeType = NodeType.UNKNOWN
    online: bool = False
    standby: bool = False
    standby_onfail: bool = False
    maintenance: bool = False
    pending: bool = False
    unclean: bool = False
    shutdown: bool = False
    expected_up: bool = False
    dc: bool = False
    health: str | None = None
    """green, yellow or red; None before Pacemaker 2.1, which does not report it."""
    feature_set: str = ""
    resource: str = ""
    """The resource that a guest node runs in: a container or a virtual machine."""

    @property
    def lost(self) -> bool:
        """Unclean or offline."""
        return self.unclean or not self.online


@dataclass(frozen=True, slots=True)
class Resource:
    """One instance of a primitive."""

    id: str
    agent: str
    """Resource agent with single colons, such as `ocf:heartbeat:podman`."""
    role: Role
    active: bool
    orphaned: bool = False
    blocked: bool = False
    managed: bool = True
    failed: bool = False
    failure_ignored: bool = False
    maintenance: bool = False
    """Always False before Pacemaker 2.1.9, which does not report it."""
    target_role: str = ""
    """As written in the CIB, in upper or lower case; empty if not set."""
    pending: str = ""
    """The operation in progress, such as Starting or Monitoring; empty if there is none."""
    locked_to: str = ""
    """The shut-down node that the resource waits for (shutdown-lock); empty if not locked."""
    nodes: tuple[Node, ...] = ()
    """The nodes that it is active on; for the primitive of a bundle, the guest node."""

    @property
    def running(self) -> bool:
        """Active in a running role, according to crm_mon alone: see Replica.ready."""
        return self.active and self.role in RUNNING_ROLES

    @property
    def disabled(self) -> bool:
        """Its target-role is Stopped."""
        return self.target_role.lower() == STOPPED

    @property
    def demoted(self) -> bool:
        """Its target-role is Unpromoted."""
        return self.target_role.lower() in UNPROMOTED

    @property
    def failing(self) -> bool:
        """Failed; failures with on-fail=ignore do not count."""
        return self.failed and not self.failure_ignored

    @property
    def healthy(self) -> bool:
        """Active, and not failing, blocked or orphaned."""
        return self.active and not self.failing and not self.blocked and not self.orphaned

    @property
    def unmanaged(self) -> bool:
        """Unmanaged and not blocked: Pacemaker does not manage blocked resources either."""
        return not self.managed and not self.blocked

    @property
    def in_maintenance(self) -> bool:
        """The resource or one of its nodes is in maintenance."""
        return self.maintenance or any(node.maintenance for node in self.nodes)

    @property
    def in_transition(self) -> bool:
        """In a transitional role, or with a pending operation other than a monitor."""
        return self.role in TRANSITIONAL_ROLES or self.pending.lower() not in {"", "monitoring"}


ENGINES = ("podman", "docker", "rkt")
"""The container engines that Pacemaker supports; it dropped rkt in 3.0."""


class ComponentKind(StrEnum):
    """Resources that Pacemaker creates for each replica ("Bundles" in Pacemaker Explained)."""

    CONTAINER = "container"
    IP = "ip"
    CONNECTION = "connection"
    SERVICE = "service"


@dataclass(frozen=True)
class Replica:
    """One instance of a bundle."""

    index: str
    container: Resource
    ip: Resource | None = None
    """The implicit IPaddr2, only with ip-range-start."""
    connection: Resource | None = None
    """The implicit ocf:pacemaker:remote, only with a primitive."""
    primitive: Resource | None = None
    guest: Node | None = None
    """The guest node of the connection; None if crm_mon does not list it."""

    @cached_property
    def components(self) -> tuple[tuple[ComponentKind, Resource], ...]:
        """The implicit resources and the primitive that this replica has."""
        pairs = (
            (ComponentKind.CONTAINER, self.container),
            (ComponentKind.IP, self.ip),
            (ComponentKind.CONNECTION, self.connection),
            (ComponentKind.SERVICE, self.primitive),
        )
        return tuple((kind, resource) for kind, resource in pairs if resource is not None)

    @property
    def service(self) -> Resource:
        """The service resource: the primitive, or the container in a bundle without one."""
        return self.primitive or self.container

    @property
    def role(self) -> Role:
        """Role of the service resource."""
        return self.service.role

    @property
    def hosts(self) -> tuple[Node, ...]:
        """Nodes that run the container; the node of the primitive is only the guest."""
        return self.container.nodes

    @property
    def running(self) -> bool:
        """The service resource runs, according to crm_mon alone."""
        return self.service.running

    @property
    def ready(self) -> bool:
        """Running with every component healthy, on one online and clean host, guest node online."""
        return (
            self.running
            and all(resource.healthy for _, resource in self.components)
            and len(self.hosts) == 1
            and not self.hosts[0].lost
            and (self.connection is None or (self.guest is not None and self.guest.online))
        )

    @property
    def promoted_ready(self) -> bool:
        """Promoted and ready."""
        return self.role is Role.PROMOTED and self.ready

    @property
    def failed(self) -> bool:
        """Any component failed."""
        return any(resource.failed for _, resource in self.components)

    @property
    def blocked(self) -> bool:
        """Any component is blocked: Pacemaker does not act on it until a cleanup."""
        return any(resource.blocked for _, resource in self.components)

    @property
    def orphaned(self) -> bool:
        """Any component is orphaned: active, but no longer configured."""
        return any(resource.orphaned for _, resource in self.components)

    @property
    def unmanaged(self) -> bool:
        """Any component is unmanaged and not blocked."""
        return any(resource.unmanaged for _, resource in self.components)

    @property
    def maintenance(self) -> bool:
        """The container or its host is in maintenance.

        The flags of the service and the guest node do not count: from 2.1.9 on, crm_mon sets
        them also when the bundle is only unmanaged or blocked.
        """
        return self.container.in_maintenance

    @property
    def pending(self) -> bool:
        """Any component is in transition."""
        return any(resource.in_transition for _, resource in self.components)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A set of identical containers and the primitive in them."""

    id: str
    engine: str
    """podman, docker, rkt or unknown."""
    image: str
    unique: bool
    managed: bool
    failed: bool
    maintenance: bool
    """Always False before Pacemaker 2.1.9, which does not report it."""
    replicas: tuple[Replica, ...]

    @property
    def primitive_agent(self) -> str:
        """Agent of the primitive; empty in a bundle without a primitive."""
        return next((r.primitive.agent for r in self.replicas if r.primitive), "")

    @property
    def primitive_id(self) -> str:
        """Id of the primitive as configured, without the `:N` of a unique bundle's instances."""
        instance = next((r.primitive.id for r in self.replicas if r.primitive), "")
        configured, _, number = instance.rpartition(":")
        return configured if configured and number.isdigit() else instance

    @property
    def enabled(self) -> bool:
        """At least one replica is not disabled; crm_mon reports no such flag for bundles."""
        return not all(
            replica.container.disabled or replica.service.disabled for replica in self.replicas
        )

    @property
    def demoted(self) -> bool:
        """No replica may be promoted: the target-role is Unpromoted."""
        return bool(self.replicas) and all(r.service.demoted for r in self.replicas)

    @property
    def primitive_unmanaged(self) -> bool:
        """Pacemaker manages the containers, but not the services in them."""
        return bool(self.replicas) and all(
            r.primitive is not None and r.primitive.unmanaged for r in self.replicas
        )

    def in_role(self, role: Role) -> int:
        """Count the replicas in a role, healthy or not."""
        return sum(replica.role is role for replica in self.replicas)

    @property
    def running_by_host(self) -> Counter[str]:
        """Running replicas by host."""
        return Counter(
            name
            for replica in self.replicas
            if replica.running
            for name in {host.name for host in replica.hosts}
        )


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of a resource outside bundles, with its group and clone.

    Ids repeat: the members of an anonymous clone share one, and an orphan may have the id of a
    configured resource.
    """

    resource: Resource
    group: str = ""
    """Id of its group, without the instance number of a cloned group; empty without a group."""
    clone: str = ""


@dataclass(frozen=True, slots=True)
class ResourceHistory:
    """The operation history of a resource on a node."""

    resource: str
    node: str
    fail_count: int
    """INFINITY is 1000000."""
    migration_threshold: int | None = None
    last_failure: float | None = None
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class FailedAction:
    """A failed action of a resource. It stays listed until a cleanup."""

    resource: str
    node: str
    operation: str
    status: str
    """How it ended, in the terms of Pacemaker 2.1, such as complete, Timed Out or Error."""
    rc: str
    """Return code of the agent."""
    reason: str = ""
    last_change: float | None = None
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class FencingEvent:
    """An entry of the fencing history."""

    target: str
    action: str
    status: str
    """success, failed or pending."""
    completed: float | None = None
    """Seconds since the epoch; None while pending or if unknown."""
    origin: str = ""
    reason: str = ""

    @property
    def unfencing(self) -> bool:
        """Whether the action lets a node back in; that is not fencing."""
        return self.action == "on"


def failed_attempts(
    events: Iterable[FencingEvent], *, newest_first: bool
) -> dict[str, FencingEvent | None]:
    """Map each target to its last failed attempt without a later success, else to None.

    A failure stands if its order relative to a success is unknown: one of the times is unknown, or
    both are equal. Equal whole seconds are ordered by position if the events are sorted. An attempt
    with an unknown status counts as a failure.

    Args:
        events: either all fencing or all unfencing events.
        newest_first: whether events of the same second are sorted, newest first.

    """
    numbered = [(event, -place if newest_first else 0) for place, event in enumerate(events)]
    last_success: dict[str, tuple[float, int]] = {}
    for event, place in numbered:
        if event.status == "success" and _is_time(event.completed):
            at = _latest_completion(event, place)
            # Pacemaker ignores the case of node names, and users may write them differently.
            name = event.target.lower()
            last_success[name] = max(at, last_success.get(name, at))
    last_failure: dict[str, tuple[tuple[float, int], FencingEvent]] = {}
    for event, place in numbered:
        at = _latest_completion(event, place)
        if event.status in {"success", "pending"} or at < last_success.get(
            event.target.lower(), at
        ):
            continue
        if event.target not in last_failure or at > last_failure[event.target][0]:
            last_failure[event.target] = at, event
    return {event.target: last_failure.get(event.target, (None, None))[1] for event, _ in numbered}


def _latest_completion(event: FencingEvent, place: int) -> tuple[float, int]:
    """Return the latest possible completion time, and the order within that second."""
    time = event.completed if _is_time(event.completed) else math.inf
    return time, place if time % 1 == 0 else 0


def _is_time(completed: float | None) -> TypeGuard[float]:
    """Whether the time is known; the fencer reports the epoch for an unknown time."""
    return completed is not None and completed > 0


@dataclass(frozen=True, slots=True)
class Ban:
    """A location constraint: a negative score bans the node, a positive one prefers it."""

    constraint: str
    resource: str
    node: str
    score: int
    """INFINITY is 1000000."""
    promoted_only: bool = False

    @property
    def by_command(self) -> bool:
        """A command such as pcs resource move or ban created it; it stays until it is cleared."""
        return self.constraint.startswith(("cli-ban-", "cli-prefer-"))


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket of a multi-site cluster."""

    id: str
    granted: bool
    standby: bool


@dataclass(frozen=True, slots=True)
class NodeAttribute:
    """A node attribute."""

    node: str
    name: str
    value: str
    number: float | None
    """The value as a number, ±INFINITY as ±1000000; None if it is not a number."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The summary of crm_mon; a field is None if crm_mon does not report it."""

    pacemaker_version: str = ""
    api_version: str = ""
    stack: str = ""
    dc_elected: bool | None = None
    dc_name: str = ""
    quorate: bool | None = None
    mixed_version: bool | None = None
    last_change: str = ""
    """As written in the CIB, in the time zone of the node that wrote it."""
    last_change_time: float | None = None
    """Seconds since the epoch; the text is read in the time zone of this host."""
    last_change_user: str = ""
    last_change_client: str = ""
    """The program that made the change, such as cibadmin."""
    last_change_origin: str = ""
    """The node where it was made."""
    nodes_configured: int | None = None
    resources_configured: int | None = None
    resources_disabled: int | None = None
    resources_blocked: int | None = None
    fencing_enabled: bool | None = None
    symmetric: bool | None = None
    maintenance_mode: bool | None = None
    stop_all_resources: bool | None = None

    @property
    def sorts_fencing(self) -> bool:
        """Whether crm_mon sorts fencing events newest first, by fractions of seconds too.

        It does so from 2.1.2 on (API version 2.14). It prints the fractions only from 2.1.6 on.
        """
        version = re.fullmatch(r"([0-9]{1,9})\.([0-9]{1,9})", self.api_version)
        return version is not None and (int(version[1]), int(version[2])) >= (2, 14)


@dataclass(frozen=True, slots=True)
class Replicas:
    """Finds bundle and replica by id of an implicit resource or name of a guest node."""

    by_id: Mapping[str, tuple[str, str]]

    def of(self, resource: str, node: str) -> tuple[str, str]:
        """Return bundle and replica of a resource on a node; both empty outside bundles."""
        return self.by_id.get(node) or self.by_id.get(resource) or ("", "")


@dataclass(frozen=True)
class Snapshot:
    """One answer of crm_mon."""

    cluster: Cluster
    nodes: tuple[Node, ...] = ()
    """One node for each name."""
    bundles: tuple[Bundle, ...] = ()
    instances: tuple[Instance, ...] = ()
    """The resources outside bundles."""
    history: tuple[ResourceHistory, ...] = ()
    """One entry for each resource on each node with a history of it."""
    failed_actions: tuple[FailedAction, ...] = ()
    fencing: tuple[FencingEvent, ...] | None = ()
    """None if the fencer did not return its history."""
    bans: tuple[Ban, ...] = ()
    tickets: tuple[Ticket, ...] = ()
    attributes: tuple[NodeAttribute, ...] = ()
    unreadable_in_history: int = 0
    """Number of times in `history` that could not be parsed; their fields are None."""
    unreadable_elsewhere: int = 0
    """The same for the rest of the snapshot."""
    resources_running: Mapping[str, int] = field(default_factory=dict)
    """Running instances by node, as crm_mon counts them. Not a field of Node: bundles refer to
    nodes, so every move of a resource would make unrelated bundles unequal."""

    @property
    def authoritative(self) -> bool:
        """A DC is elected and this partition is quorate, as crm_mon says."""
        return self.cluster.dc_elected is True and self.cluster.quorate is True

    @property
    def unreadable_times(self) -> int:
        """Number of times in the snapshot that could not be parsed."""
        return self.unreadable_in_history + self.unreadable_elsewhere

    @cached_property
    def failed_fencing(self) -> Mapping[str, FencingEvent | None]:
        """Targets of fencing, each with its unresolved failure: see failed_attempts."""
        return self._failed(unfencing=False)

    @cached_property
    def failed_unfencing(self) -> Mapping[str, FencingEvent | None]:
        """The same for unfencing: attempts to let a node back in."""
        return self._failed(unfencing=True)

    def _failed(self, *, unfencing: bool) -> Mapping[str, FencingEvent | None]:
        events = (event for event in self.fencing or () if event.unfencing is unfencing)
        return failed_attempts(events, newest_first=self.cluster.sorts_fencing)

    @cached_property
    def replicas(self) -> Replicas:
        """The bundle and replica that each implicit resource belongs to."""
        return Replicas(
            {
                resource.id: (bundle.id, replica.index)
                for bundle in self.bundles
                for replica in bundle.replicas
                # The connection has the name of its guest node.
                for resource in (replica.container, replica.connection, replica.ip)
                if resource is not None
            }
        )

    def hosts(self, node: Node) -> bool:
        """Whether resources outside bundles may run on a node: not on the guest of a bundle."""
        return node.type is not NodeType.PING and node.name not in self.replicas.by_id


def without_number(instance: str) -> str:
    """Return the id of a resource without the number of an instance of a unique clone."""
    name, _, number = instance.rpartition(":")
    return name if name and number.isdigit() else instance
