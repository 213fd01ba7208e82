"""What the search for problems needs to know of the whole cluster: who depends on whom."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from exporter.cluster.agents import is_address, is_connection
from exporter.cluster.configuration import Configuration, ResourceKind
from exporter.cluster.model import (
    Ban,
    Instance,
    NodeType,
    ResourceHistory,
    Snapshot,
    without_number,
)
from exporter.cluster.observation import Observation
from exporter.judgement.bundles import BundleJudgement, BundleState
from exporter.judgement.clones import CloneJudgement
from exporter.judgement.dependencies import HeldBack, HoldReason
from exporter.judgement.nodes import NodeJudgement
from exporter.judgement.problem import (
    CLUSTER,
    Cause,
    Finding,
    Kind,
    Severity,
    Subject,
    SubjectType,
)
from exporter.judgement.replicas import LastFailures
from exporter.judgement.resources import InstanceJudgement

_REMOTE = frozenset({NodeType.REMOTE, NodeType.GUEST})
UNCLEAN = frozenset({Kind.NODE_UNCLEAN, Kind.REMOTE_NODE_UNCLEAN})
UNAVAILABLE = UNCLEAN | frozenset(
    {
        Kind.NODE_OFFLINE,
        Kind.REMOTE_NODE_OFFLINE,
        Kind.NODE_PENDING,
        Kind.NODE_STANDBY_ON_FAIL,
    }
)
"""Problems of a node that keep resources from running there, and that nobody asked for."""
_LOST_REMOTE = frozenset({Kind.REMOTE_NODE_UNCLEAN, Kind.REMOTE_NODE_OFFLINE})
MANY_REMOTE_NODES = 3
MANY_OF_REMOTE_NODES = 0.2
"""The loss of this share of the remote nodes, and of at least MANY_REMOTE_NODES, is critical.

PacemakerManyRemoteNodesLost has the same limits.
"""


@dataclass(frozen=True)
class Facts:
    """The judgements about the parts of the cluster, and answers that span several of them."""

    observation: Observation
    nodes: tuple[NodeJudgement, ...]
    bundles: tuple[BundleJudgement, ...]
    instances: tuple[InstanceJudgement, ...]
    clones: tuple[CloneJudgement, ...]
    bans: tuple[Ban, ...] = ()

    @property
    def snapshot(self) -> Snapshot:
        """The answer of crm_mon."""
        return self.observation.snapshot

    @property
    def configuration(self) -> Configuration:
        """The configuration; empty while the CIB could not be read."""
        return self.observation.configuration_or_empty

    @cached_property
    def in_maintenance(self) -> bool:
        """Whether the whole cluster is in maintenance. Then its parts are not told."""
        return self.observation.in_maintenance

    @cached_property
    def failures(self) -> LastFailures:
        """The last failures of resources."""
        return LastFailures(self.snapshot.failed_actions)

    @cached_property
    def at_threshold(self) -> tuple[ResourceHistory, ...]:
        """The fail-counts that keep a resource off a node."""
        return tuple(e for e in self._limited if e.fail_count >= (e.migration_threshold or 0))

    @cached_property
    def near_threshold(self) -> tuple[ResourceHistory, ...]:
        """The fail-counts that one more failure brings to the limit."""
        return tuple(e for e in self._limited if e.fail_count + 1 == e.migration_threshold)

    @property
    def _limited(self) -> Iterator[ResourceHistory]:
        """Yield the fail-counts of resources that have a limit."""
        for entry in self.snapshot.history:
            if entry.migration_threshold and entry.fail_count > 0:
                yield entry

    # ---- Subjects ----

    def subject(self, resource: str) -> Subject:
        """Return the subject of a resource's problems: its bundle, its clone, or itself."""
        parts = [resource, *(found.id for found in self.configuration.lineage(resource))]
        for part in parts:
            if part in self._bundle_ids:
                return Subject(SubjectType.BUNDLE, part)
        clone = self._clone_of.get(resource)
        if clone:
            return Subject(SubjectType.CLONE, clone)
        instance = self._instance_of.get(resource)
        if instance is not None and is_address(instance.resource):
            return Subject(SubjectType.ADDRESS, resource)
        return Subject(SubjectType.RESOURCE, resource)

    def subject_on(self, resource: str, node: str) -> Subject:
        """Return the subject for a resource on a node, which may be the guest node of a bundle."""
        bundle, _ = self.snapshot.replicas.of(resource, node)
        return Subject(SubjectType.BUNDLE, bundle) if bundle else self.subject(resource)

    @cached_property
    def _bundle_ids(self) -> frozenset[str]:
        return frozenset(judged.id for judged in self.bundles)

    @cached_property
    def _clone_of(self) -> Mapping[str, str]:
        """The clone of each resource in a clone, of each group in one, and of the clone itself."""
        found: dict[str, str] = {}
        for judged in self.instances:
            instance = judged.instance
            if instance.clone:
                names = (instance.clone, instance.group, without_number(instance.resource.id))
                found.update(dict.fromkeys(filter(None, names), instance.clone))
        return found

    @cached_property
    def _instance_of(self) -> Mapping[str, Instance]:
        return {judged.resource.id: judged.instance for judged in self.instances}

    @cached_property
    def groups(self) -> Mapping[str, tuple[InstanceJudgement, ...]]:
        """The members of each group outside clones, in order."""
        found: dict[str, list[InstanceJudgement]] = {}
        for judged in self.instances:
            if judged.instance.group and not judged.instance.clone:
                found.setdefault(judged.instance.group, []).append(judged)
        return {group: tuple(members) for group, members in found.items()}

    # ---- Nodes ----

    @cached_property
    def _remote_nodes(self) -> frozenset[str]:
        """The names of remote nodes, and of guest nodes that are virtual machines."""
        return frozenset(
            judged.node.name
            for judged in self.nodes
            if judged.node.type in _REMOTE and not judged.in_bundle
        )

    @cached_property
    def connections(self) -> Mapping[str, InstanceJudgement]:
        """The connection of each remote node, and of each guest node that is a virtual machine."""
        return {
            judged.resource.id: judged
            for judged in self.instances
            if judged.resource.id in self._remote_nodes and is_connection(judged.resource)
        }

    @cached_property
    def machines(self) -> Mapping[str, InstanceJudgement]:
        """The virtual machine of each guest node that is one."""
        by_id = {judged.resource.id: judged for judged in self.instances}
        return {
            judged.node.name: by_id[judged.node.resource]
            for judged in self.nodes
            if judged.node.type is NodeType.GUEST
            and not judged.in_bundle
            and judged.node.resource in by_id
        }

    def carrier(self, node: str) -> InstanceJudgement | None:
        """Return the resource that a remote or guest node is: its connection or machine."""
        return self.machines.get(node) or self.connections.get(node)

    @cached_property
    def node_kinds(self) -> Mapping[str, Kind]:
        """The most important problem of each node that may not run what it could."""
        kinds = {
            judged.node.name: self._node_kind(judged)
            for judged in self.nodes
            if not judged.in_bundle
        }
        return {name: kind for name, kind in kinds.items() if kind is not None}

    def _node_kind(self, judged: NodeJudgement) -> Kind | None:
        node = judged.node
        remote = node.type in _REMOTE
        carrier = self.carrier(node.name)
        if carrier and carrier.resource.orphaned and not node.unclean:
            return None  # its connection is reported as orphaned
        holds = {
            Kind.REMOTE_NODE_UNCLEAN if remote else Kind.NODE_UNCLEAN: node.unclean,
            Kind.REMOTE_NODE_DISABLED: remote and carrier and carrier.resource.disabled,
            Kind.REMOTE_NODE_HELD_BACK: remote and carrier and carrier.held_back,
            Kind.NODE_PENDING: node.pending,
            Kind.REMOTE_NODE_OFFLINE if remote else Kind.NODE_OFFLINE: not node.online,
            Kind.NODE_STANDBY_ON_FAIL: node.standby_onfail,
            Kind.NODE_STANDBY: node.standby,
            Kind.NODE_MAINTENANCE: node.maintenance,
            Kind.NODE_SHUTTING_DOWN: node.shutdown,
        }
        return next((kind for kind, present in holds.items() if present), None)

    @cached_property
    def many_remote_nodes_lost(self) -> bool:
        """Whether so many remote nodes are offline or unclean that somebody has to be woken."""
        remote = self._remote_nodes
        lost = sum(self.node_kinds.get(name) in _LOST_REMOTE for name in remote)
        return lost >= max(MANY_REMOTE_NODES, MANY_OF_REMOTE_NODES * len(remote))

    @cached_property
    def lost_or_disabled(self) -> frozenset[str]:
        """Remote nodes that are lost, disabled or held back: that covers what carries them."""
        told = {*_LOST_REMOTE, Kind.REMOTE_NODE_DISABLED, Kind.REMOTE_NODE_HELD_BACK}
        return frozenset(name for name, kind in self.node_kinds.items() if kind in told)

    @cached_property
    def unavailable(self) -> frozenset[str]:
        """Nodes that may not run anything, though nobody asked for it."""
        return frozenset(name for name, kind in self.node_kinds.items() if kind in UNAVAILABLE)

    @cached_property
    def out_of_service(self) -> frozenset[str]:
        """Nodes that are out of service because somebody asked."""
        return frozenset(judged.node.name for judged in self.nodes if judged.out_of_service)

    def cause_of_nodes(self, names: Iterable[str]) -> Cause | None:
        """Return the problem that some nodes have in common."""
        wanted = sorted(set(names))
        kinds = {self.node_kinds.get(name) for name in wanted}
        kind = kinds.pop() if len(kinds) == 1 else None
        if kind is None:
            return None
        return Cause(kind, tuple(Subject(SubjectType.NODE, name) for name in wanted))

    @property
    def distrust(self) -> Cause | None:
        """The problem that makes everything look stopped: no DC, or no quorum."""
        cluster = self.snapshot.cluster
        if cluster.dc_elected is False:
            return Cause(Kind.NO_DC, (CLUSTER,))
        return Cause(Kind.NO_QUORUM, (CLUSTER,)) if cluster.quorate is False else None

    # ---- Dependencies ----

    def finding_of_hold(
        self,
        kind: Kind,
        subject: Subject,
        held: HeldBack,
        details: Iterable[str] = (),
        noun: str = "",
    ) -> Finding:
        """Return the finding about something that is held back."""
        return Finding(
            kind,
            Severity.INFO,
            subject,
            tuple(details),
            cause=self.cause_of_hold(held),
            noun=noun,
            says=f"{{is}} held back by {held.words}",
        )

    def cause_of_hold(self, held: HeldBack) -> Cause:
        """Return the problem that holds a resource back."""
        if held.reason is HoldReason.STOP_ALL:
            return Cause(Kind.STOP_ALL_RESOURCES, (CLUSTER,))
        if held.reason is HoldReason.TICKET:
            return Cause(Kind.TICKET_NOT_GRANTED, (Subject(SubjectType.TICKET, held.name),))
        subject = self.disabled_subject(held.name)
        if subject.type is SubjectType.BUNDLE:
            demoted = held.reason is HoldReason.DEMOTED
            return Cause(Kind.BUNDLE_DEMOTED if demoted else Kind.BUNDLE_DISABLED, (subject,))
        if subject.type is SubjectType.NODE:
            return Cause(Kind.REMOTE_NODE_DISABLED, (subject,))
        return Cause(Kind.RESOURCE_DISABLED, (subject,))

    def disabled_subject(self, resource: str) -> Subject:
        """Return the subject for a disabled resource: perhaps its whole group or node."""
        group = resource if resource in self.groups else self._group_of(resource)
        members = self.groups.get(group, ())
        if members and all(judged.resource.disabled for judged in members):
            return Subject(SubjectType.RESOURCE, group)
        node = self.node_of.get(resource)
        return Subject(SubjectType.NODE, node) if node else self.subject(resource)

    def _group_of(self, resource: str) -> str:
        instance = self._instance_of.get(resource)
        return instance.group if instance is not None else ""

    @cached_property
    def node_of(self) -> Mapping[str, str]:
        """The node of each connection and virtual machine."""
        return {name: name for name in self.connections} | {
            judged.resource.id: name for name, judged in self.machines.items()
        }

    def failed_dependency(self, resource: str) -> Cause | None:
        """Return the problem of something down that a stopped resource depends on."""
        before = self._member_before(resource)
        if before is not None:
            return before
        for part in (resource, *(found.id for found in self.configuration.lineage(resource))):
            for dependency in self.configuration.dependencies_of.get(part, ()):
                if dependency.promotion_only:
                    continue
                causes = [self._down(name) for name in dependency.on]
                if causes and causes[0] and all(causes):
                    return causes[0]
        return None

    def _member_before(self, resource: str) -> Cause | None:
        """Return the problem of an earlier member of the same group."""
        for judged in self.groups.get(self._group_of(resource), ()):
            if judged.resource.id == resource:
                break
            if judged.resource.id in self._down_kinds:
                return self._down(judged.resource.id)
        return None

    def _down(self, name: str) -> Cause | None:
        """Return the problem of one of the resources that a name in a constraint stands for."""
        for resource in self.configuration.named(name):
            for part in self._with_members(resource):
                kind = self._down_kinds.get(part)
                if kind is not None:
                    return Cause(kind, (self.subject(part),))
        return None

    def _with_members(self, resource: str) -> Iterator[str]:
        yield self.subject(resource).name
        found = self.configuration.resources.get(resource)
        if found and found.kind is ResourceKind.GROUP:
            yield from found.children

    @cached_property
    def _down_kinds(self) -> Mapping[str, Kind]:
        """The kind of problem of each bundle, clone and resource that is down."""
        found = {j.id: Kind.BUNDLE_DOWN for j in self.bundles if j.state is BundleState.DOWN}
        for clone in self.clones:
            if clone.expected and not clone.running:
                found[clone.clone] = Kind.CLONE_INCOMPLETE
        for judged in self.instances:
            if judged.down:
                address = is_address(judged.resource)
                found[judged.resource.id] = Kind.ADDRESS_DOWN if address else Kind.RESOURCE_DOWN
        return found
