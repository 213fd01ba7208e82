"""The cluster, and the configuration of a bundle, as data for JSON."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from exporter.cib import BundleDetails, Pairs
from exporter.explain import Problem, bundle_problems, node_problems, problems, why_not_ready
from exporter.model import (
    Bundle,
    Configuration,
    FailedAction,
    Node,
    Replica,
    Resource,
    ResourceHistory,
    Role,
    Snapshot,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at the cluster: what came of it, from where, and when."""

    snapshot: Snapshot
    configuration: Configuration | None = None
    """None where the CIB could not be read."""
    local_node: str = ""
    """Name of this node in the cluster; empty while unknown."""
    source: str = "cluster"
    """cluster, demo or file."""
    now: float = 0.0
    """Seconds since the epoch."""
    taken: float | None = None
    """The same of the start of the crm_mon that answered; None of a saved answer."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong."""
        return problems(self.snapshot, self.configuration)


def document(sight: Sight) -> dict[str, Any]:
    """Return everything that is known, for JSON. Keys are stable; new ones may come.

    Times are ISO 8601 in UTC, INFINITY is 1000000, and null is what is not known.

    source: cluster, demo or file; taken_at (null of a file); local_node ("" while unknown)
    trusted: a DC is elected and this partition is quorate
    cluster: name (null without the CIB), and what crm_mon's summary says
    nodes: each with its conditions, guests included, and `problems`
    bundles: each with
        replicas_configured, _running, _ready, _promoted, _promoted_ready
        promoted_max, replicas_per_host: from the CIB, null while it is unknown
        problems: in words
        replicas: index, role, hosts, guest (its name, null without one), running, ready,
            why_not_ready, failed, blocked, orphaned, unmanaged, maintenance, pending,
            components: kind, and all that crm_mon says of the resource
    resources: the instances outside bundles, with group and clone
    history: fail-counts; bundle and replica are "" outside bundles
    failed_actions, fencing (null when its history could not be had), tickets
    bans: all negative constraints, and positive ones that a move left (cli-prefer-)
    problems: subject (cluster, node, bundle, resource), name, texts, commands
    """
    snapshot, configuration = sight.snapshot, sight.configuration
    preferences = configuration.preferences if configuration else ()
    return {
        "source": sight.source,
        "taken_at": _iso(sight.taken),
        "local_node": sight.local_node,
        "trusted": snapshot.authoritative,
        "cluster": {
            "name": configuration.cluster_name if configuration else None,
            **_fields(snapshot.cluster),
        },
        "nodes": [_node_document(node, snapshot) for node in snapshot.nodes],
        "bundles": [_bundle_document(bundle, configuration) for bundle in snapshot.bundles],
        "resources": [
            {**_resource_document(i.resource), "group": i.group, "clone": i.clone}
            for i in snapshot.instances
        ],
        "history": [_with_replica(entry, snapshot) for entry in snapshot.history],
        "failed_actions": [_with_replica(action, snapshot) for action in snapshot.failed_actions],
        "fencing": None if snapshot.fencing is None else list(map(_fields, snapshot.fencing)),
        "bans": [
            {**_fields(ban), "by_command": ban.by_command} for ban in (*snapshot.bans, *preferences)
        ],
        "tickets": list(map(_fields, snapshot.tickets)),
        "problems": list(map(_fields, sight.problems)),
    }


def details_document(details: BundleDetails) -> dict[str, Any]:
    """Return a bundle's configuration for JSON: the fields of cib.BundleDetails, pairs as objects.

    Of a name that repeats, the first value.
    """
    primitive = details.primitive
    return {
        "id": details.id,
        "engine": details.engine,
        "container": _object(details.container),
        "network": _object(details.network),
        "port_mappings": list(map(_object, details.port_mappings)),
        "storage_mappings": list(map(_object, details.storage_mappings)),
        "primitive": primitive
        and {
            "id": primitive.id,
            "agent": primitive.agent,
            "instance_attributes": _object(primitive.instance_attributes),
            "meta_attributes": _object(primitive.meta_attributes),
            "operations": list(map(_object, primitive.operations)),
        },
        "meta_attributes": _object(details.meta_attributes),
    }


def _node_document(node: Node, snapshot: Snapshot) -> dict[str, Any]:
    return {
        **_fields(node),
        "resources_running": snapshot.resources_running.get(node.name),
        "problems": node_problems(node),
    }


def _bundle_document(bundle: Bundle, configuration: Configuration | None) -> dict[str, Any]:
    limits = configuration.bundles.get(bundle.id) if configuration else None
    replicas = bundle.replicas
    return {
        "id": bundle.id,
        "engine": bundle.engine,
        "image": bundle.image,
        "unique": bundle.unique,
        "primitive": bundle.primitive_id,
        "primitive_agent": bundle.primitive_agent,
        "enabled": bundle.enabled,
        "managed": bundle.managed,
        "maintenance": bundle.maintenance,
        "failed": bundle.failed,
        "replicas_configured": len(replicas),
        "replicas_running": sum(replica.running for replica in replicas),
        "replicas_ready": sum(replica.ready for replica in replicas),
        "replicas_promoted": bundle.in_role(Role.PROMOTED),
        "replicas_promoted_ready": sum(replica.promoted_ready for replica in replicas),
        "promoted_max": limits.promoted_max if limits else None,
        "replicas_per_host": limits.replicas_per_host if limits else None,
        "problems": bundle_problems(bundle, limits),
        "replicas": list(map(_replica_document, replicas)),
    }


def _replica_document(replica: Replica) -> dict[str, Any]:
    return {
        "index": replica.index,
        "role": replica.role,
        "hosts": [host.name for host in replica.hosts],
        "guest": replica.connection and replica.connection.id,
        "running": replica.running,
        "ready": replica.ready,
        "why_not_ready": why_not_ready(replica),
        "failed": replica.failed,
        "blocked": replica.blocked,
        "orphaned": replica.orphaned,
        "unmanaged": replica.unmanaged,
        "maintenance": replica.maintenance,
        "pending": replica.pending,
        "components": [
            {"kind": kind, **_resource_document(resource)} for kind, resource in replica.components
        ],
    }


def _resource_document(resource: Resource) -> dict[str, Any]:
    return {**_fields(resource), "nodes": [node.name for node in resource.nodes]}


def _with_replica(entry: ResourceHistory | FailedAction, snapshot: Snapshot) -> dict[str, Any]:
    bundle, replica = snapshot.replicas.of(entry.resource, entry.node)
    return {**_fields(entry), "bundle": bundle, "replica": replica}


def _fields(item: "DataclassInstance") -> dict[str, Any]:
    """Return the fields of a part of the model; every float in it is a moment."""
    return {
        name: _iso(value) if isinstance(value, float) else value
        for name, value in asdict(item).items()
    }


def _object(pairs: Pairs) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _iso(moment: float | None) -> str | None:
    told = utc(moment)
    return told.isoformat().replace("+00:00", "Z") if told else None


def utc(moment: float | None) -> datetime | None:
    """Return a moment as such; None where there is none, or none that a date can be had of."""
    try:
        return None if moment is None else datetime.fromtimestamp(moment, UTC)
    except (OverflowError, ValueError):  # the last day of the year 9999, west of Greenwich
        return None
