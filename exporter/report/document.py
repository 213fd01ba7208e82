"""The cluster and the configuration of a bundle as data for JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from exporter.cluster.details import BundleDetails, Pairs
from exporter.cluster.model import (
    Ban,
    FailedAction,
    Replica,
    Resource,
    ResourceHistory,
    Role,
    Snapshot,
)
from exporter.cluster.observation import Observation
from exporter.cluster.sbd import Sbd
from exporter.judgement import conditions
from exporter.judgement.bundles import BundleJudgement
from exporter.judgement.clones import CloneJudgement
from exporter.judgement.dependencies import HeldBack
from exporter.judgement.judge import Judgement
from exporter.judgement.nodes import NodeJudgement
from exporter.judgement.problem import Problem, Subject, SubjectType
from exporter.judgement.replicas import why_not_ready
from exporter.judgement.resources import InstanceJudgement

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def document(judgement: Judgement) -> dict[str, Any]:
    """Return everything that is known, for JSON. Keys are stable; new ones may be added.

    Times are ISO 8601 in UTC, INFINITY is 1000000, and null means unknown.

    source: cluster, demo or file; taken_at (null for a file); local_node ("" while unknown)
    trusted: a DC is elected, this partition is quorate, and corosync is not unresponsive
    configuration_current: the CIB was read, and has not changed since
    corosync: what corosync said just before crm_mon, with
        state: answered, not_running, unresponsive, or unknown (not asked, refused, no tools)
        cluster_name, transport, local_id, quorate, the votes, quorum_options, qdevice_configured,
        qdevice_votes
        nodes: of the nodelist: id, name, addresses by link, member
        members: id, name, votes, and the conditions of the quorum device on each
        links: to each peer: peer, link, connected, latency_average_seconds
        rings: of corosync 2
        last_pause: null if corosync was always scheduled in time
    cluster: name (null without the CIB), the fields of crm_mon's summary, and
        watchdog: Pacemaker found SBD running; null if unknown
        stonith_watchdog_timeout: seconds, -1 if Pacemaker calculates it, null if not set
    nodes: guest nodes included, each with the fields that crm_mon prints, and
        state: the first that holds of unclean, offline, pending, maintenance, standby, online
        out_of_service: because somebody asked
        problems: in words
    bundles: each with
        state: ok, reduced, degraded or down
        conditions: names of those that hold
        replicas_configured, _running, _ready, _promoted, _promoted_ready
        expected, promoted_expected: how many should be ready and promoted; the latter is null
            without the CIB
        eligible_nodes: nodes that may host replicas if all nodes were in service
        held_back: by what, null if it is not
        promoted_max, replicas_per_host: from the CIB, null without it
        problems: in words
        replicas: index, role, hosts, guest (its name, null without one), running, ready,
            why_not_ready, failed, blocked, orphaned, unmanaged, maintenance, pending,
            components: kind, and the fields of the resource
    resources: the instances outside bundles, with group and clone, and
        expected: it should run (false for instances of clones: see clones)
        held_back: by what, null if it is not
        down: it should run and does not, or not well
    clones: each resource of a clone, with
        instances: how many there could be; expected, running, promoted, missing
        eligible_nodes; nodes_lacking: nodes that should have an instance and have none
        disabled; held_back: by what, null if it is not
    history: fail-counts; bundle and replica are "" outside bundles
    failed_actions, fencing (null without a history from the fencer), tickets
    bans: all negative location constraints, and positive ones left by a move (cli-prefer-); null
        without the CIB, unless a saved answer has some
    sbd: on this node: devices (paths in SBD_DEVICE, null without a configuration) and running; null
        where SBD is not installed, its files cannot be read, or the commands run elsewhere
    problems: the most severe first, then services before nodes before the rest; each with
        kind: see METRICS.md, pacemaker_problems
        severity: critical, warning or info
        subjects: type (cluster, node, bundle, address, resource, clone, ticket) and name
        cause: kind and subjects of the problem that it follows from, null if there is none
        sentence; texts: more about it
        commands: to inspect or repair it
    """
    observation, snapshot = judgement.observation, judgement.snapshot
    configuration = observation.configuration
    said = _said_by_subject(judgement.problems)
    return {
        "source": observation.origin.value,
        "taken_at": _iso(observation.taken),
        "local_node": observation.local_node,
        "trusted": observation.trusted,
        "configuration_current": observation.configuration_current,
        "cluster": {
            "name": configuration.cluster_name if configuration else None,
            **_fields(snapshot.cluster),
            "watchdog": configuration.watchdog if configuration else None,
            "stonith_watchdog_timeout": configuration.watchdog_timeout if configuration else None,
        },
        "corosync": _corosync_document(observation),
        "nodes": [_node_document(node, snapshot, said) for node in judgement.nodes],
        "bundles": [_bundle_document(bundle, said) for bundle in judgement.bundles],
        "resources": list(map(_instance_document, judgement.instances)),
        "clones": list(map(_clone_document, judgement.clones)),
        "history": [_with_replica(entry, snapshot) for entry in snapshot.history],
        "failed_actions": [_with_replica(action, snapshot) for action in snapshot.failed_actions],
        "fencing": None if snapshot.fencing is None else list(map(_fields, snapshot.fencing)),
        "bans": None if judgement.bans is None else list(map(_ban_document, judgement.bans)),
        "tickets": list(map(_fields, observation.tickets)),
        "sbd": _sbd_document(observation.fact(Sbd)),
        "problems": list(map(_problem_document, judgement.problems)),
    }


def _corosync_document(observation: Observation) -> dict[str, Any]:
    corosync, names = observation.corosync, observation.corosync_names
    quorum, settings = corosync.quorum, corosync.settings
    latencies = {(c.peer_id, c.number): c.latency for c in corosync.counters.links}
    pause = corosync.counters.pause
    return {
        "state": corosync.state,
        "cluster_name": settings.cluster_name or None,
        "transport": settings.transport or None,
        "local_id": corosync.local_id,
        "quorate": quorum and quorum.quorate,
        "votes_expected": quorum and quorum.expected,
        "votes_expected_highest": quorum and quorum.expected_highest,
        "votes_present": quorum and quorum.present,
        "votes_needed": quorum and quorum.needed,
        "quorum_options": sorted(quorum.options) if quorum else [],
        "qdevice_configured": settings.has_qdevice,
        "qdevice_votes": quorum and quorum.qdevice_votes,
        "nodes": [
            {
                "id": node.node_id,
                "name": names.of(node.node_id),
                "addresses": dict(node.addresses),
                "member": node.node_id in corosync.member_ids,
            }
            for node in settings.nodes
        ],
        "members": [
            {
                "id": member.node_id,
                "name": names.of(member.node_id),
                "votes": member.votes,
                "qdevice_registered": member.qdevice.registered,
                "qdevice_alive": member.qdevice.alive,
                "qdevice_voting": member.qdevice.voting,
            }
            for member in (quorum.members if quorum else ())
        ],
        "links": [
            {
                "peer": names.of(link.peer_id),
                "link": link.number,
                "connected": link.connected,
                "latency_average_seconds": latencies.get((link.peer_id, link.number)),
            }
            for link in corosync.links
        ],
        "rings": [{"ring": ring.number, "faulty": ring.faulty} for ring in corosync.rings],
        "last_pause": pause and {"seconds": pause.duration, "at": _iso(pause.time)},
    }


def details_document(details: BundleDetails) -> dict[str, Any]:
    """Return a bundle's configuration for JSON: the fields of BundleDetails, pairs as objects.

    If a name repeats, its first value counts.
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


_Said = Mapping[Subject, list[str]]


def _said_by_subject(problems: Iterable[Problem]) -> _Said:
    """Return what the problems say of each subject."""
    said: dict[Subject, list[str]] = {}
    for problem in problems:
        for subject in problem.subjects:
            said.setdefault(subject, []).extend(problem.about(subject))
    return said


def _ban_document(ban: Ban) -> dict[str, Any]:
    return {**_fields(ban), "by_command": ban.by_command}


def _problem_document(problem: Problem) -> dict[str, Any]:
    cause = problem.cause
    return {
        "kind": problem.kind,
        "severity": problem.severity,
        "subjects": list(map(_fields, problem.subjects)),
        "cause": cause and {"kind": cause.kind, "subjects": list(map(_fields, cause.subjects))},
        "sentence": problem.sentence,
        "texts": problem.all_texts,
        "commands": problem.commands,
    }


def _node_document(judged: NodeJudgement, snapshot: Snapshot, said: _Said) -> dict[str, Any]:
    node = judged.node
    return {
        **_fields(node),
        "state": judged.state,
        "out_of_service": judged.out_of_service,
        "resources_running": snapshot.resources_running.get(node.name),
        "problems": said.get(Subject(SubjectType.NODE, node.name), []),
    }


def _bundle_document(judged: BundleJudgement, said: _Said) -> dict[str, Any]:
    bundle, limits = judged.bundle, judged.configuration
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
        "state": judged.state,
        "conditions": [c.name for c in conditions.BUNDLE if c.holds(judged)],
        "replicas_configured": len(replicas),
        "replicas_running": sum(replica.running for replica in replicas),
        "replicas_ready": judged.ready,
        "replicas_promoted": bundle.in_role(Role.PROMOTED),
        "replicas_promoted_ready": judged.promoted_ready,
        "expected": judged.expected,
        "promoted_expected": judged.promoted_expected,
        "eligible_nodes": sorted(judged.eligible),
        "held_back": _held_back(judged.held_back),
        "promoted_max": limits.promoted_max if limits else None,
        "replicas_per_host": limits.replicas_per_host if limits else None,
        "problems": said.get(Subject(SubjectType.BUNDLE, bundle.id), []),
        "replicas": list(map(_replica_document, replicas)),
    }


def _held_back(held: HeldBack | None) -> str | None:
    return held.words if held else None


def _instance_document(judged: InstanceJudgement) -> dict[str, Any]:
    instance = judged.instance
    return {
        **_resource_document(instance.resource),
        "group": instance.group,
        "clone": instance.clone,
        "expected": judged.expected,
        "held_back": _held_back(judged.held_back),
        "down": judged.down,
    }


def _clone_document(judged: CloneJudgement) -> dict[str, Any]:
    return {
        "clone": judged.clone,
        "resource": judged.resource,
        "instances": judged.instances,
        "expected": judged.expected,
        "running": judged.running,
        "promoted": judged.promoted,
        "missing": judged.missing,
        "eligible_nodes": sorted(node.name for node in judged.eligible),
        "nodes_lacking": judged.lacking,
        "disabled": judged.disabled,
        "held_back": _held_back(judged.held_back),
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
        **dict(conditions.evaluate(conditions.REPLICA, replica)),
        "components": [
            {"kind": kind, **_resource_document(resource)} for kind, resource in replica.components
        ],
    }


def _resource_document(resource: Resource) -> dict[str, Any]:
    return {**_fields(resource), "nodes": [node.name for node in resource.nodes]}


def _sbd_document(sbd: Sbd | None) -> dict[str, Any] | None:
    return None if sbd is None or sbd.running is None else _fields(sbd)


def _with_replica(entry: ResourceHistory | FailedAction, snapshot: Snapshot) -> dict[str, Any]:
    bundle, replica = snapshot.replicas.of(entry.resource, entry.node)
    return {**_fields(entry), "bundle": bundle, "replica": replica}


def _fields(item: "DataclassInstance") -> dict[str, Any]:
    """Return the fields of an object of the model; every float in it is a time."""
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
    date = utc(moment)
    return date.isoformat().replace("+00:00", "Z") if date else None


def utc(moment: float | None) -> datetime | None:
    """Return seconds since the epoch as a datetime; None if unknown or out of range."""
    try:
        return None if moment is None else datetime.fromtimestamp(moment, UTC)
    except (OverflowError, ValueError):  # such as the end of the year 9999 in a zone west of UTC
        return None
