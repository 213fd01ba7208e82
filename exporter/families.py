"""Every metric, declared once: name, help, labels and what yields its samples."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from itertools import repeat

from exporter.collectors import Collector
from exporter.errors import Outcome
from exporter.history import Changes
from exporter.metrics import Declarations, Sample
from exporter.model import (
    Ban,
    Bundle,
    BundleConfiguration,
    Cluster,
    Configuration,
    FailedAction,
    FencingEvent,
    Instance,
    Node,
    NodeAttribute,
    NodeType,
    Replicas,
    Resource,
    ResourceHistory,
    Role,
    Ticket,
)
from exporter.state import Observation, View

CLUSTER: Declarations[Observation] = Declarations()
"""About the cluster: rendered at the poll that brings a change, gone with the snapshot."""

EXPORTER: Declarations[View] = Declarations()
"""About the exporter itself: a few lines, rendered when scraped."""


def _configuration(seen: Observation) -> Configuration:
    """Return what the CIB says; nothing while it could not be read."""
    return seen.configuration or Configuration("", {})


def _bundles_configured(seen: Observation) -> Iterator[tuple[str, BundleConfiguration]]:
    """Yield what the CIB says of the bundles that crm_mon shows."""
    configured = _configuration(seen).bundles
    for bundle in seen.snapshot.bundles:
        if bundle.id in configured:
            yield bundle.id, configured[bundle.id]


def _in_maintenance(seen: Observation) -> bool:
    return bool(seen.snapshot.cluster.maintenance_mode)


# ---- The parts that families are about: of each, lines are made anew only when it has changed ----

BUNDLE = CLUSTER.about_each(lambda seen: seen.snapshot.bundles)
BUNDLE_MAINTENANCE = CLUSTER.about_each(
    lambda seen: zip(seen.snapshot.bundles, repeat(_in_maintenance(seen)), strict=False)
)
BUNDLE_CONFIGURATION = CLUSTER.about_each(_bundles_configured)
BUNDLES_CONFIGURED = CLUSTER.about(lambda seen: _configuration(seen).bundles.keys())
BUNDLE_HISTORY = CLUSTER.about_each(
    lambda seen: ((bundle.id, seen.history.of(bundle.id)) for bundle in seen.snapshot.bundles)
)
LOCAL_NODE = CLUSTER.about(lambda seen: seen.local_node)
SUMMARY = CLUSTER.about(lambda seen: seen.snapshot.cluster)
SUMMARY_NAME = CLUSTER.about(
    lambda seen: (seen.snapshot.cluster, _configuration(seen).cluster_name)
)
NODE = CLUSTER.about_each(lambda seen: seen.snapshot.nodes)
NODE_RUNNING = CLUSTER.about_each(
    lambda seen: (
        (node.name, node.type, seen.snapshot.resources_running.get(node.name))
        for node in seen.snapshot.nodes
    )
)
INSTANCES = CLUSTER.about(lambda seen: seen.snapshot.instances)
INSTANCES_MAINTENANCE = CLUSTER.about(lambda seen: (seen.snapshot.instances, _in_maintenance(seen)))
RESOURCE_HISTORY = CLUSTER.about(lambda seen: (seen.snapshot.history, seen.snapshot.replicas))
FAILED_ACTIONS = CLUSTER.about(lambda seen: (seen.snapshot.failed_actions, seen.snapshot.replicas))
FENCING = CLUSTER.about(lambda seen: seen.snapshot.fencing or ())
BANS = CLUSTER.about(lambda seen: (*seen.snapshot.bans, *_configuration(seen).preferences))
TICKETS = CLUSTER.about(lambda seen: seen.snapshot.tickets)
ATTRIBUTES = CLUSTER.about(lambda seen: (seen.snapshot.attributes, seen.attribute_names))
VIEW = EXPORTER.about(lambda view: view)

# ---- Bundles: one series per bundle ----


@BUNDLE.gauge(
    "pacemaker_bundle_info",
    "Always 1: container engine and image of the bundle, agent and id of its primitive.",
    ("bundle", "engine", "image", "unique", "primitive", "primitive_id"),
)
def bundle_info(bundle: Bundle) -> Iterator[Sample]:
    """Everything about a bundle that is text."""
    unique = "true" if bundle.unique else "false"
    primitive = bundle.primitive_agent, bundle.primitive_id
    yield (bundle.id, bundle.engine, bundle.image, unique, *primitive), 1


def _bundle_gauge(name: str, help_text: str, value: Callable[[Bundle], float]) -> None:
    def samples(bundle: Bundle) -> Iterator[Sample]:
        yield (bundle.id,), value(bundle)

    BUNDLE.gauge(name, help_text, ("bundle",))(samples)


_bundle_gauge(
    "pacemaker_bundle_replicas",
    "Replicas configured.",
    lambda bundle: len(bundle.replicas),
)
_bundle_gauge(
    "pacemaker_bundle_replicas_running",
    "Replicas whose service resource is active and started, unpromoted or promoted."
    " What crm_mon says, no more: page on ready, never on running.",
    lambda bundle: sum(replica.running for replica in bundle.replicas),
)
_bundle_gauge(
    "pacemaker_bundle_replicas_ready",
    "Replicas running with every component active and sound, on one online and clean host,"
    " their guest node online.",
    lambda bundle: sum(replica.ready for replica in bundle.replicas),
)
_bundle_gauge(
    "pacemaker_bundle_replicas_promoted_ready",
    "Replicas promoted and ready.",
    lambda bundle: sum(replica.promoted_ready for replica in bundle.replicas),
)


@BUNDLE.gauge(
    "pacemaker_bundle_replicas_in_role",
    "Replicas by role of their service resource, whatever their health; the roles add up to"
    " pacemaker_bundle_replicas.",
    ("bundle", "role"),
)
def bundle_replicas_in_role(bundle: Bundle) -> Iterator[Sample]:
    """All ten roles: absence is not a value."""
    roles = Counter(replica.role for replica in bundle.replicas)
    for role in Role:
        yield (bundle.id, role.value), roles[role]


_bundle_gauge(
    "pacemaker_bundle_running_nodes",
    "Distinct hosts with at least one running replica.",
    lambda bundle: len(bundle.running_by_host),
)
_bundle_gauge(
    "pacemaker_bundle_replicas_per_host_max",
    "Most running replicas on any one host.",
    lambda bundle: max(bundle.running_by_host.values(), default=0),
)


def _configuration_gauge(
    name: str, help_text: str, value: Callable[[BundleConfiguration], float]
) -> None:
    def samples(part: tuple[str, BundleConfiguration]) -> Iterator[Sample]:
        bundle, configuration = part
        yield (bundle,), value(configuration)

    BUNDLE_CONFIGURATION.gauge(name, help_text, ("bundle",))(samples)


_configuration_gauge(
    "pacemaker_bundle_promoted_max",
    "promoted-max (formerly masters) of the bundle; 0 when it is not promotable."
    " Absent while the CIB could not be read.",
    lambda configuration: configuration.promoted_max,
)
_configuration_gauge(
    "pacemaker_bundle_replicas_per_host_limit",
    "replicas-per-host of the bundle. Absent while the CIB could not be read.",
    lambda configuration: configuration.replicas_per_host,
)


@BUNDLES_CONFIGURED.gauge(
    "pacemaker_bundle_configured",
    "Always 1: the CIB has this bundle. One without pacemaker_bundle_replicas is ignored by"
    " Pacemaker: of an unknown container engine, say. Absent while the CIB could not be read.",
    ("bundle",),
)
def bundle_configured(bundles: Collection[str]) -> Iterator[Sample]:
    """What there should be: a bundle that Pacemaker drops is not in crm_mon's output at all."""
    for bundle in bundles:
        yield (bundle,), 1


_bundle_gauge(
    "pacemaker_bundle_enabled",
    "0 when every replica's service resource has the target-role Stopped, else 1.",
    lambda bundle: bundle.enabled,
)
_bundle_gauge(
    "pacemaker_bundle_managed",
    "0 when Pacemaker does not manage the bundle.",
    lambda bundle: bundle.managed,
)


@BUNDLE_MAINTENANCE.gauge(
    "pacemaker_bundle_maintenance",
    "1 when the bundle is in maintenance (told from Pacemaker 2.1.9 on), or the whole cluster is.",
    ("bundle",),
)
def bundle_maintenance(part: tuple[Bundle, bool]) -> Iterator[Sample]:
    """Maintenance of the bundle or of the cluster."""
    bundle, everywhere = part
    yield (bundle.id,), everywhere or bundle.maintenance


_bundle_gauge(
    "pacemaker_bundle_failed",
    "1 when Pacemaker marks the bundle itself failed. It stays 0 in most real failures:"
    " never alert on it alone.",
    lambda bundle: bundle.failed,
)


@BUNDLE_HISTORY.counter(
    "pacemaker_bundle_role_changes_total",
    "Replicas seen to change between stopped, started, unpromoted and promoted, in trusted views.",
    ("bundle",),
)
def bundle_role_changes(part: tuple[str, Changes]) -> Iterator[Sample]:
    """Counted from poll to poll: what happens between two polls is not seen."""
    bundle, changes = part
    yield (bundle,), changes.role_changes


@BUNDLE_HISTORY.counter(
    "pacemaker_bundle_promotions_total",
    "Replicas seen to become promoted (failovers), in trusted views.",
    ("bundle",),
)
def bundle_promotions(part: tuple[str, Changes]) -> Iterator[Sample]:
    """Counted from poll to poll: what happens between two polls is not seen."""
    bundle, changes = part
    yield (bundle,), changes.promotions


# ---- Replicas ----


@BUNDLE.gauge(
    "pacemaker_bundle_replica_role",
    "1 for the present role of the replica's service resource; no series for the others.",
    ("bundle", "replica", "role"),
)
def replica_role(bundle: Bundle) -> Iterator[Sample]:
    """The zeros are in pacemaker_bundle_replicas_in_role."""
    for replica in bundle.replicas:
        yield (bundle.id, replica.index, replica.role.value), 1


@BUNDLE.gauge(
    "pacemaker_bundle_replica_ready",
    "1 when the replica is ready: see pacemaker_bundle_replicas_ready.",
    ("bundle", "replica"),
)
def replica_ready(bundle: Bundle) -> Iterator[Sample]:
    """Readiness of each replica."""
    for replica in bundle.replicas:
        yield (bundle.id, replica.index), replica.ready


@BUNDLE.gauge(
    "pacemaker_bundle_replica_node",
    "1 for each host of the replica's container: no series while it runs nowhere,"
    " two if it (wrongly) runs on two.",
    ("bundle", "replica", "node"),
)
def replica_node(bundle: Bundle) -> Iterator[Sample]:
    """Where the replica is; never the guest node."""
    for replica in bundle.replicas:
        for host in replica.hosts:
            yield (bundle.id, replica.index, host.name), 1


@BUNDLE.gauge(
    "pacemaker_bundle_replica_component_active",
    "Whether each component that the replica has is active: container, ip, connection, service.",
    ("bundle", "replica", "component", "resource"),
)
def replica_component_active(bundle: Bundle) -> Iterator[Sample]:
    """One series for each resource that Pacemaker makes of the replica."""
    for replica in bundle.replicas:
        for component, resource in replica.components:
            yield (bundle.id, replica.index, component.value, resource.id), resource.active


@BUNDLE_MAINTENANCE.gauge(
    "pacemaker_bundle_replica_condition",
    "Whether a condition holds. failed, blocked, orphaned: of any component. unmanaged: a component"
    " is, and is not blocked. maintenance: of its container, its host or the cluster. pending: an"
    " operation other than a monitor is under way.",
    ("bundle", "replica", "condition"),
)
def replica_condition(part: tuple[Bundle, bool]) -> Iterator[Sample]:
    """Zeros too."""
    bundle, everywhere = part
    for replica in bundle.replicas:
        for condition, holds in (
            ("failed", replica.failed),
            ("blocked", replica.blocked),
            ("orphaned", replica.orphaned),
            ("unmanaged", replica.unmanaged),
            ("maintenance", everywhere or replica.maintenance),
            ("pending", replica.pending),
        ):
            yield (bundle.id, replica.index, condition), holds


# ---- Cluster and nodes ----


@LOCAL_NODE.gauge(
    "pacemaker_local_node_info",
    "Always 1: the name in the cluster of the node that this exporter runs on."
    " Absent while unknown.",
    ("node",),
)
def local_node_info(local_node: str) -> Iterator[Sample]:
    """Which node's view this is."""
    if local_node:
        yield (local_node,), 1


@SUMMARY_NAME.gauge(
    "pacemaker_cluster_info",
    "Always 1: name of the cluster (empty while the CIB could not be read), cluster layer,"
    " Pacemaker version of the DC, and version of crm_mon's XML (empty with --as-xml).",
    ("cluster_name", "stack", "pacemaker_version", "api_version"),
)
def cluster_info(part: tuple[Cluster, str]) -> Iterator[Sample]:
    """Everything about the cluster that is text."""
    cluster, name = part
    yield (name, cluster.stack, cluster.pacemaker_version, cluster.api_version), 1


def _cluster_gauge(name: str, help_text: str, value: Callable[[Cluster], float | None]) -> None:
    def samples(cluster: Cluster) -> Iterator[Sample]:
        present = value(cluster)
        if present is not None:
            yield (), present

    SUMMARY.gauge(name, f"{help_text} Absent when crm_mon does not say.")(samples)


_cluster_gauge(
    "pacemaker_cluster_quorate",
    "1 when this node's partition has quorum.",
    lambda cluster: cluster.quorate,
)
_cluster_gauge(
    "pacemaker_cluster_dc_elected",
    "1 when a designated controller (DC) is elected.",
    lambda cluster: cluster.dc_elected,
)
_cluster_gauge(
    "pacemaker_cluster_maintenance_mode",
    "1 when the whole cluster is in maintenance mode.",
    lambda cluster: cluster.maintenance_mode,
)
_cluster_gauge(
    "pacemaker_cluster_fencing_enabled",
    "1 when fencing is enabled (stonith-enabled).",
    lambda cluster: cluster.fencing_enabled,
)
_cluster_gauge(
    "pacemaker_cluster_symmetric",
    "1 when resources may run on any node by default (symmetric-cluster).",
    lambda cluster: cluster.symmetric,
)
_cluster_gauge(
    "pacemaker_cluster_stop_all_resources",
    "1 when stop-all-resources is set.",
    lambda cluster: cluster.stop_all_resources,
)
_cluster_gauge(
    "pacemaker_cluster_mixed_version",
    "1 when the nodes run different versions of Pacemaker.",
    lambda cluster: cluster.mixed_version,
)
_cluster_gauge(
    "pacemaker_cluster_nodes_configured",
    "Nodes configured, as crm_mon counts them: guest nodes included.",
    lambda cluster: cluster.nodes_configured,
)


@SUMMARY.gauge(
    "pacemaker_cluster_resource_instances",
    "Resource instances configured, disabled and blocked, as crm_mon counts them.",
    ("state",),
)
def cluster_resource_instances(cluster: Cluster) -> Iterator[Sample]:
    """Of all resources, those of bundles included."""
    for state, count in (
        ("configured", cluster.resources_configured),
        ("disabled", cluster.resources_disabled),
        ("blocked", cluster.resources_blocked),
    ):
        if count is not None:
            yield (state,), count


_cluster_gauge(
    "pacemaker_cluster_last_change_timestamp_seconds",
    "Last change of the CIB's configuration. Text of the node that made it, read in the time zone"
    " of this exporter's host: give the nodes of a cluster one zone.",
    lambda cluster: cluster.last_change_time,
)


def _node_gauge(
    name: str, help_text: str, label: str, samples: Callable[[Node], Iterator[tuple[str, float]]]
) -> None:
    def labelled(node: Node) -> Iterator[Sample]:
        for value, number in samples(node):
            yield (node.name, node.type.value, value), number

    NODE.gauge(name, help_text, ("node", "node_type", label))(labelled)


@NODE.gauge(
    "pacemaker_node_info",
    "Always 1: id, type (member, remote, guest, ping or unknown) and feature set of the node.",
    ("node", "node_id", "node_type", "feature_set"),
)
def node_info(node: Node) -> Iterator[Sample]:
    """Everything about a node that is text."""
    yield (node.name, node.id, node.type.value, node.feature_set), 1


def _conditions(node: Node) -> Iterator[tuple[str, float]]:
    yield "online", node.online
    yield "maintenance", node.maintenance
    yield "unclean", node.unclean
    if node.type is NodeType.GUEST:
        return  # a guest node goes with its container and is never on standby by itself
    yield "standby", node.standby
    yield "standby_onfail", node.standby_onfail
    yield "pending", node.pending
    yield "shutdown", node.shutdown
    yield "expected_up", node.expected_up
    yield "dc", node.dc


_node_gauge(
    "pacemaker_node_condition",
    "Whether a condition holds: online, standby, standby_onfail, maintenance, pending, unclean,"
    " shutdown, expected_up, dc; of guest nodes only online, maintenance and unclean.",
    "condition",
    _conditions,
)


_HEALTH = frozenset({"green", "yellow", "red"})


def _health(node: Node) -> Iterator[tuple[str, float]]:
    if node.type in {NodeType.MEMBER, NodeType.REMOTE} and node.health in _HEALTH:
        yield node.health, 1


_node_gauge(
    "pacemaker_node_health",
    "1 for the present health of a member or remote node: green, yellow or red."
    " Absent when crm_mon does not say.",
    "health",
    _health,
)


@NODE_RUNNING.gauge(
    "pacemaker_node_resources_running",
    "Resource instances running on the node.",
    ("node", "node_type"),
)
def node_resources_running(part: tuple[str, NodeType, int | None]) -> Iterator[Sample]:
    """As crm_mon counts them."""
    node, node_type, running = part
    if running is not None:
        yield (node, node_type.value), running


# ---- Resources outside bundles ----

_RESOURCE = ("resource", "agent", "group", "clone", "node")


def _places(
    instances: tuple[Instance, ...],
) -> Iterator[tuple[tuple[str, ...], Resource, tuple[Node, ...]]]:
    """Yield each instance once for each node that it is active on, or once with no node."""
    for instance in instances:
        resource = instance.resource
        names = [node.name for node in resource.nodes] or [""]
        for name in names:
            labels = (resource.id, resource.agent, instance.group, instance.clone, name)
            yield labels, resource, resource.nodes


@INSTANCES.gauge(
    "pacemaker_resource_role",
    "Instances of a resource outside bundles in this role on this node (empty: on none). The"
    " stopped members of an anonymous clone are as many as there are nodes, guest nodes included.",
    (*_RESOURCE, "role"),
    Collector.RESOURCES,
)
def resource_role(instances: tuple[Instance, ...]) -> Iterator[Sample]:
    """A number: ids repeat, and an instance that is active on two nodes counts on each."""
    counts = Counter((*labels, resource.role.value) for labels, resource, _ in _places(instances))
    yield from counts.items()


@INSTANCES_MAINTENANCE.gauge(
    "pacemaker_resource_condition",
    "Instances of a resource outside bundles on this node (empty: on none) for which a condition"
    " holds: active, failed, failure_ignored, blocked, orphaned, unmanaged (and not blocked),"
    " maintenance (its own, its node's or the cluster's), disabled, pending.",
    (*_RESOURCE, "condition"),
    Collector.RESOURCES,
)
def resource_condition(part: tuple[tuple[Instance, ...], bool]) -> Iterator[Sample]:
    """0 where there are instances and it holds for none."""
    instances, everywhere = part
    counts: Counter[tuple[str, ...]] = Counter()
    for labels, resource, nodes in _places(instances):
        maintenance = resource.maintenance or any(node.maintenance for node in nodes)
        for condition, holds in (
            ("active", resource.active),
            ("failed", resource.failed),
            ("failure_ignored", resource.failure_ignored),
            ("blocked", resource.blocked),
            ("orphaned", resource.orphaned),
            ("unmanaged", not resource.managed and not resource.blocked),
            ("maintenance", everywhere or maintenance),
            ("disabled", resource.disabled),
            ("pending", resource.in_transition),
        ):
            counts[(*labels, condition)] += holds
    yield from counts.items()


# ---- Failures ----

_OF_HISTORY = ("resource", "node", "bundle", "replica")


def _history_gauge(
    name: str, help_text: str, value: Callable[[ResourceHistory], float | None]
) -> None:
    def samples(part: tuple[tuple[ResourceHistory, ...], Replicas]) -> Iterator[Sample]:
        history, replicas = part
        for entry in history:
            present = value(entry)
            if present is not None:
                replica = replicas.of(entry.resource, entry.node)
                yield (entry.resource, entry.node, *replica), present

    RESOURCE_HISTORY.gauge(name, help_text, _OF_HISTORY, Collector.FAILURES)(samples)


_history_gauge(
    "pacemaker_resource_failures",
    "Fail-count of the resource on the node, INFINITY as 1000000; 0 when it has a history there"
    " and no failure. It stays after recovery, until cleanup or failure-timeout. That of a"
    " primitive in a bundle is on its guest node, that of a container on the host. crm_mon lists"
    " none for a resource without any operation in the history.",
    lambda entry: entry.fail_count,
)
_history_gauge(
    "pacemaker_resource_migration_threshold",
    "Failures after which the resource may not run on the node any more; INFINITY as 1000000.",
    lambda entry: entry.migration_threshold,
)
_history_gauge(
    "pacemaker_resource_last_failure_timestamp_seconds",
    "Last failure of the resource on the node.",
    lambda entry: entry.last_failure,
)


@FAILED_ACTIONS.gauge(
    "pacemaker_failed_actions",
    "Failed resource actions listed, by operation, status and the number that the agent returned."
    " They stay after recovery, until cleanup or failure-timeout.",
    (*_OF_HISTORY, "operation", "status", "rc"),
    Collector.FAILURES,
)
def failed_actions(part: tuple[tuple[FailedAction, ...], Replicas]) -> Iterator[Sample]:
    """Counted, as the same may be listed twice."""
    actions, replicas = part
    counts = Counter(
        (
            action.resource,
            action.node,
            *replicas.of(action.resource, action.node),
            action.operation,
            action.status,
            action.rc,
        )
        for action in actions
    )
    yield from counts.items()


# ---- Fencing ----

_OF_FENCING = ("target", "action", "status")


@FENCING.gauge(
    "pacemaker_fencing_actions",
    "Actions in the fencing history by status: success, failed, pending. No series when the"
    " history could not be had.",
    _OF_FENCING,
    Collector.FENCING,
)
def fencing_actions(events: tuple[FencingEvent, ...]) -> Iterator[Sample]:
    """As many as the fencer remembers."""
    yield from Counter((e.target, e.action, e.status) for e in events).items()


@FENCING.gauge(
    "pacemaker_fencing_last_action_timestamp_seconds",
    "Last completion of such an action.",
    _OF_FENCING,
    Collector.FENCING,
)
def fencing_last_action(events: tuple[FencingEvent, ...]) -> Iterator[Sample]:
    """Of those that completed."""
    last: dict[tuple[str, ...], float] = {}
    for event in events:
        if event.completed is not None:
            key = (event.target, event.action, event.status)
            last[key] = max(event.completed, last.get(key, event.completed))
    yield from last.items()


# ---- Constraints, tickets, attributes ----


@BANS.gauge(
    "pacemaker_location_ban_score",
    "Score of each negative location constraint, and of those above 0 that a move left behind"
    " (cli-prefer-, from the CIB, absent while that could not be read); INFINITY as 1000000. origin"
    " is cli for what a command such as pcs resource move or ban left until it is cleared, else"
    " config.",
    ("constraint", "resource", "node", "promoted_only", "origin"),
    Collector.BANS,
)
def location_ban_score(bans: tuple[Ban, ...]) -> Iterator[Sample]:
    """One series per constraint, resource and node; the strongest score where one repeats."""
    scores: dict[tuple[str, ...], int] = {}
    for ban in bans:
        key = (
            ban.constraint,
            ban.resource,
            ban.node,
            "true" if ban.promoted_only else "false",
            "cli" if ban.by_command else "config",
        )
        scores[key] = max(ban.score, scores.get(key, ban.score), key=abs)
    yield from scores.items()


def _ticket_gauge(name: str, help_text: str, value: Callable[[Ticket], float]) -> None:
    def samples(tickets: tuple[Ticket, ...]) -> Iterator[Sample]:
        for ticket in {ticket.id: ticket for ticket in tickets}.values():
            yield (ticket.id,), value(ticket)

    TICKETS.gauge(name, help_text, ("ticket",), Collector.TICKETS)(samples)


_ticket_gauge(
    "pacemaker_ticket_granted",
    "1 when the ticket is granted to this site.",
    lambda ticket: ticket.granted,
)
_ticket_gauge(
    "pacemaker_ticket_standby",
    "1 when the ticket is in standby: what depends on it is to be stopped gracefully.",
    lambda ticket: ticket.standby,
)


@ATTRIBUTES.gauge(
    "pacemaker_node_attribute",
    "Node attributes that are numbers, of the names that --collector.node-attributes allows;"
    " INFINITY as 1000000.",
    ("node", "attribute"),
    Collector.NODE_ATTRIBUTES,
)
def node_attribute(
    part: tuple[tuple[NodeAttribute, ...], re.Pattern[str]],
) -> Iterator[Sample]:
    """One series per node and name; the last where one repeats."""
    attributes, names = part
    numbers: dict[tuple[str, ...], float] = {}
    for attribute in attributes:
        if attribute.number is not None and names.fullmatch(attribute.name):
            numbers[attribute.node, attribute.name] = attribute.number
    yield from numbers.items()


# ---- What the exporter may say of the cluster at this moment ----


def _exporter_gauge(name: str, help_text: str, value: Callable[[View], float | None]) -> None:
    def samples(view: View) -> Iterator[Sample]:
        present = value(view)
        if present is not None:
            yield (), present

    VIEW.gauge(name, help_text)(samples)


_exporter_gauge(
    "pacemaker_up",
    "1 when the last poll of crm_mon succeeded and its snapshot is within the maximum age.",
    lambda view: view.up,
)
_exporter_gauge(
    "pacemaker_view_trusted",
    "1 when pacemaker_up is 1, a DC is elected, and this node's partition has quorum.",
    lambda view: view.trusted,
)
_exporter_gauge(
    "pacemaker_view_dc",
    "1 when the view is trusted and the local node is the DC.",
    lambda view: view.dc,
)

# ---- The exporter itself ----


@VIEW.gauge(
    "pacemaker_exporter_build_info",
    "Always 1: version and revision of the exporter, and the Python that runs it.",
    ("version", "revision", "python_version"),
)
def build_info(view: View) -> Iterator[Sample]:
    """What runs."""
    identity = view.identity
    yield (identity.version, identity.revision, identity.python_version), 1


@VIEW.counter(
    "pacemaker_exporter_polls_total",
    "Polls of crm_mon, by outcome.",
    ("outcome",),
)
def polls(view: View) -> Iterator[Sample]:
    """All outcomes from the start."""
    for outcome in Outcome:
        yield (outcome.value,), view.state.polls[outcome]


@VIEW.gauge(
    "pacemaker_exporter_last_poll_outcome",
    "1 for the outcome of the last finished poll, 0 for the others; all 0 before the first ends.",
    ("outcome",),
)
def last_poll_outcome(view: View) -> Iterator[Sample]:
    """A state set."""
    for outcome in Outcome:
        yield (outcome.value,), outcome is view.state.last_outcome


@VIEW.counter(
    "pacemaker_exporter_cib_reads_total",
    "Reads of the CIB with cibadmin, by outcome.",
    ("outcome",),
)
def cib_reads(view: View) -> Iterator[Sample]:
    """All outcomes from the start."""
    for outcome in Outcome:
        yield (outcome.value,), view.state.cib_reads[outcome]


_exporter_gauge(
    "pacemaker_exporter_last_poll_timestamp_seconds",
    "End of the last poll. Absent before the first.",
    lambda view: view.state.last_poll_time,
)
_exporter_gauge(
    "pacemaker_exporter_snapshot_timestamp_seconds",
    "Start of the crm_mon that gave the last good snapshot; kept when that is withdrawn. Absent"
    " before the first.",
    lambda view: view.state.snapshot_time,
)
_exporter_gauge(
    "pacemaker_exporter_poll_duration_seconds",
    "Duration of the last poll: commands, parsing and rendering.",
    lambda view: view.state.poll_duration,
)
_exporter_gauge(
    "pacemaker_exporter_crm_mon_duration_seconds",
    "Duration of crm_mon in the last poll.",
    lambda view: view.state.crm_mon_duration,
)
_exporter_gauge(
    "pacemaker_exporter_poll_interval_seconds",
    "Configured time from the start of one poll to the start of the next.",
    lambda view: view.identity.poll_interval,
)
_exporter_gauge(
    "pacemaker_exporter_snapshot_max_age_seconds",
    "Configured age at which a snapshot is withdrawn.",
    lambda view: view.identity.max_age,
)


@VIEW.gauge(
    "pacemaker_exporter_unreadable_times",
    "Times in the snapshot that could not be read and are left out. Absent without a snapshot.",
)
def unreadable_times(view: View) -> Iterator[Sample]:
    """What is left out is counted."""
    if view.sighting is not None:
        yield (), view.sighting.observation.snapshot.unreadable_times
