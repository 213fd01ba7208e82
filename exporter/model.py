"""The cluster as crm_mon shows it, in Pacemaker's words: immutable, and free of metrics.

References between objects are resolved: a resource holds the nodes it is active on, not their
names, so that every property below is a fact about one object.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property


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
    """Kind of a node; a guest is a remote node that a container of a bundle runs."""

    MEMBER = "member"
    REMOTE = "remote"
    GUEST = "guest"
    PING = "ping"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster, with the conditions that crm_mon gives it."""

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
    """green, yellow or red; None where this crm_mon does not say (before 2.1)."""
    feature_set: str = ""


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
    """Only from Pacemaker 2.1.9 on; False before."""
    target_role: str = ""
    """As written in the CIB, in any case; empty when not set."""
    pending: str = ""
    """The operation under way, such as Starting or Monitoring; empty when none."""
    nodes: tuple[Node, ...] = ()
    """The nodes it is active on; for the primitive of a bundle, the guest node."""

    @property
    def running(self) -> bool:
        """Active in a role that serves. Only what crm_mon says: see Replica.ready."""
        return self.active and self.role in RUNNING_ROLES

    @property
    def disabled(self) -> bool:
        """Its target-role asks for it to be stopped."""
        return self.target_role.lower() == "stopped"

    @property
    def healthy(self) -> bool:
        """Active, and nothing holds against it; an ignored failure (on-fail=ignore) does not."""
        return (
            self.active
            and not (self.failed and not self.failure_ignored)
            and not self.blocked
            and not self.orphaned
        )

    @property
    def in_transition(self) -> bool:
        """A role on the way, or a pending operation that may change something."""
        return self.role in TRANSITIONAL_ROLES or self.pending.lower() not in {"", "monitoring"}


ENGINES = ("podman", "docker", "rkt")
"""The container engines that Pacemaker knows, or knew: rkt until 3.0."""


class ComponentKind(StrEnum):
    """What Pacemaker makes of a bundle for each replica ("Bundles" in Pacemaker Explained)."""

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
    """The guest node of the connection, where crm_mon lists it."""

    @cached_property
    def components(self) -> tuple[tuple[ComponentKind, Resource], ...]:
        """The implicit resources and the primitive, as far as this replica has them."""
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
        """Nodes that run the container; the primitive's own node is only the guest."""
        return self.container.nodes

    @property
    def running(self) -> bool:
        """The service resource runs, as far as crm_mon says."""
        return self.service.running

    @property
    def ready(self) -> bool:
        """Running, with every component sound, on one sound host, its guest node online."""
        return (
            self.running
            and all(resource.healthy for _, resource in self.components)
            and len(self.hosts) == 1
            and self.hosts[0].online
            and not self.hosts[0].unclean
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
        """Any component is blocked: Pacemaker will not act on it until somebody cleans up."""
        return any(resource.blocked for _, resource in self.components)

    @property
    def orphaned(self) -> bool:
        """Any component is orphaned: active, but no longer configured."""
        return any(resource.orphaned for _, resource in self.components)

    @property
    def unmanaged(self) -> bool:
        """A component is unmanaged by somebody's choice: a blocked one is so by itself."""
        return any(not r.managed and not r.blocked for _, r in self.components)

    @property
    def maintenance(self) -> bool:
        """The container or its host is in maintenance.

        The service and the guest node are not asked: crm_mon derives theirs, and from 2.1.9 on
        marks them when the bundle is merely unmanaged or blocked.
        """
        return self.container.maintenance or any(host.maintenance for host in self.hosts)

    @property
    def pending(self) -> bool:
        """Something is under way."""
        return any(resource.in_transition for _, resource in self.components)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A set of identical containers, and what runs in them."""

    id: str
    engine: str
    """podman, docker, rkt or unknown."""
    image: str
    unique: bool
    managed: bool
    failed: bool
    maintenance: bool
    """Only from Pacemaker 2.1.9 on; False before."""
    replicas: tuple[Replica, ...]

    @property
    def primitive_agent(self) -> str:
        """Agent of the primitive; empty in a bundle without one."""
        return next((r.primitive.agent for r in self.replicas if r.primitive), "")

    @property
    def primitive_id(self) -> str:
        """Id of the primitive as configured, without the `:N` of a unique bundle's instances."""
        instance = next((r.primitive.id for r in self.replicas if r.primitive), "")
        configured, _, number = instance.rpartition(":")
        return configured if configured and number.isdigit() else instance

    @property
    def enabled(self) -> bool:
        """Not every replica is asked to be stopped. crm_mon has no `disabled` on a bundle."""
        return not all(replica.service.disabled for replica in self.replicas)

    def in_role(self, role: Role) -> int:
        """Count the replicas in a role, whatever their health."""
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
    """An instance of a resource outside bundles, and what it is nested in.

    Ids repeat: the members of an anonymous clone share one, and an orphan may have that of a
    resource which is configured.
    """

    resource: Resource
    group: str = ""
    """Its group, without the number that a cloned group's instances have."""
    clone: str = ""


@dataclass(frozen=True, slots=True)
class ResourceHistory:
    """What a node remembers of a resource that it ran or tried to."""

    resource: str
    node: str
    fail_count: int
    """INFINITY is 1000000."""
    migration_threshold: int | None = None
    last_failure: float | None = None
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class FailedAction:
    """A failed action of a resource; it stays listed until somebody cleans up."""

    resource: str
    node: str
    operation: str
    status: str
    """How it ended, such as complete, Timed Out or Error."""
    rc: str
    """The number that the agent returned."""
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
    """Seconds since the epoch."""
    origin: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ban:
    """A location constraint that keeps a resource off a node, or (score above 0) on it."""

    constraint: str
    resource: str
    node: str
    score: int
    """INFINITY is 1000000."""
    promoted_only: bool = False

    @property
    def by_command(self) -> bool:
        """Left behind by a command such as pcs resource move or ban, until it is cleared."""
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
    """The value as a number, where it is one; ±INFINITY is ±1000000."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The summary of crm_mon; None where this version, or this moment, does not say."""

    pacemaker_version: str = ""
    api_version: str = ""
    stack: str = ""
    dc_elected: bool | None = None
    dc_name: str = ""
    quorate: bool | None = None
    mixed_version: bool | None = None
    last_change: str = ""
    """Text of the CIB, in the time zone of the node that wrote it."""
    last_change_time: float | None = None
    """The same as seconds since the epoch, read in the zone of this host."""
    nodes_configured: int | None = None
    resources_configured: int | None = None
    resources_disabled: int | None = None
    resources_blocked: int | None = None
    fencing_enabled: bool | None = None
    symmetric: bool | None = None
    maintenance_mode: bool | None = None
    stop_all_resources: bool | None = None


@dataclass(frozen=True, slots=True)
class Replicas:
    """Bundle and replica by the id of an implicit resource, and by the name of a guest node."""

    by_id: Mapping[str, tuple[str, str]]

    def of(self, resource: str, node: str) -> tuple[str, str]:
        """Return bundle and replica of a resource on a node; empty outside bundles."""
        return self.by_id.get(node) or self.by_id.get(resource) or ("", "")


@dataclass(frozen=True)
class Snapshot:
    """One answer of crm_mon."""

    cluster: Cluster
    nodes: tuple[Node, ...] = ()
    """One node a name."""
    bundles: tuple[Bundle, ...] = ()
    instances: tuple[Instance, ...] = ()
    """The resources outside bundles."""
    history: tuple[ResourceHistory, ...] = ()
    """One entry for each resource on each node."""
    failed_actions: tuple[FailedAction, ...] = ()
    fencing: tuple[FencingEvent, ...] | None = ()
    """None when the history could not be had from the fencer."""
    bans: tuple[Ban, ...] = ()
    tickets: tuple[Ticket, ...] = ()
    attributes: tuple[NodeAttribute, ...] = ()
    unreadable_in_history: int = 0
    """Texts in the history that should be times and could not be read; what they belong to is
    None."""
    unreadable_elsewhere: int = 0
    resources_running: Mapping[str, int] = field(default_factory=dict)
    """How many instances run on each node, as crm_mon counts them. Not in Node, which bundles refer
    to: no bundle would be as before when anything moved."""

    @property
    def authoritative(self) -> bool:
        """A DC is elected and this partition is quorate: this node sees the cluster's truth."""
        return self.cluster.dc_elected is True and self.cluster.quorate is True

    @property
    def unreadable_times(self) -> int:
        """Texts that should be times and could not be read."""
        return self.unreadable_in_history + self.unreadable_elsewhere

    @cached_property
    def replicas(self) -> Replicas:
        """To whose replica a resource belongs."""
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


@dataclass(frozen=True, slots=True)
class BundleConfiguration:
    """What the CIB says of a bundle, and crm_mon's XML does not."""

    promoted_max: int
    """0 when the bundle is not promotable."""
    replicas_per_host: int


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the exporter reads of the CIB."""

    cluster_name: str
    bundles: Mapping[str, BundleConfiguration]
    preferences: tuple[Ban, ...] = ()
    """What pcs resource move leaves behind; crm_mon lists negative constraints only."""
