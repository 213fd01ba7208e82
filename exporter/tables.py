"""The cluster in tables of words, each with its tone: `show` prints them, the status page, too.

Pure functions of what was seen. Names come from the cluster, and are shown as they are: markup in
them means nothing, and what a terminal would obey, or a reader would not see, is written out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from exporter.document import Sight, utc
from exporter.explain import node_problems, why_not_ready
from exporter.model import (
    SETTLED_ROLES,
    Bundle,
    Cluster,
    Configuration,
    Instance,
    Node,
    NodeType,
    Replica,
    Resource,
    Role,
    Snapshot,
)
from exporter.xml import INFINITY

WHEN, LAST_FAILURE = "When", "Last failure"
TIMES = frozenset({WHEN, LAST_FAILURE})
"""The headers of columns that hold times."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


class Tone(StrEnum):
    """What words mean, for their colour; the words say it, too."""

    PLAIN = "plain"
    FAINT = "faint"
    PROMOTED = "promoted"
    STARTED = "started"
    """Also whatever else is well."""
    UNPROMOTED = "unpromoted"
    TRANSITION = "transition"
    """On the way; also what is no failure, and yet wants a look."""
    STOPPED = "stopped"
    FAILED = "failed"
    """Also whatever else is wrong."""


_ROLES = {
    Role.PROMOTED: Tone.PROMOTED,
    Role.STARTED: Tone.STARTED,
    Role.UNPROMOTED: Tone.UNPROMOTED,
    Role.STOPPED: Tone.STOPPED,
}


@dataclass(frozen=True, slots=True)
class Words:
    """A few words of one tone."""

    text: str
    tone: Tone = Tone.PLAIN


Cell: TypeAlias = tuple[Words, ...]
"""What is listed in a cell, or in a sentence: a comma goes between."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with at least one row, and without columns that are empty."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    """Until when its rows are listed."""


def printable(text: str) -> str:
    """Write out what a terminal would obey or hide: control and formatting characters."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def when(moment: float | None, sight: Sight, zone: str = "") -> str:
    """Write a time, with its age where the answer is of now."""
    time = utc(moment)
    if moment is None or time is None:
        return ""
    past = sight.now - moment
    known = "" if sight.taken is None or past < 0 else f", {age(past)} ago"
    return f"{time:%Y-%m-%d %H:%M:%S}{zone}{known}"


def age(seconds: float) -> str:
    """Write a duration in its greatest unit."""
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{int(seconds / unit)} {name}"
    return f"{int(seconds)} s"


# ---- Sentences ----


def conditions(cluster: Cluster) -> Cell:
    """Return what the summary says; of what it does not say, nothing."""
    return tuple(_conditions(cluster))


def _conditions(cluster: Cluster) -> Iterator[Words]:
    if cluster.dc_elected:
        yield _words(f"DC {cluster.dc_name}")
    elif cluster.dc_elected is False:
        yield Words("no DC", Tone.FAILED)
    if cluster.quorate is not None:
        yield Words("quorate") if cluster.quorate else Words("no quorum", Tone.FAILED)
    if cluster.fencing_enabled is not None:
        enabled = cluster.fencing_enabled
        yield Words("fencing enabled") if enabled else Words("no fencing", Tone.TRANSITION)
    if cluster.maintenance_mode:
        yield Words("maintenance mode", Tone.TRANSITION)
    if cluster.stop_all_resources:
        yield Words("stop-all-resources", Tone.FAILED)
    if cluster.mixed_version:
        yield Words("mixed versions", Tone.TRANSITION)


def software(cluster: Cluster) -> str:
    """Return what runs the cluster."""
    version = f"Pacemaker {cluster.pacemaker_version or 'of unknown version'}"
    stack = f" on {cluster.stack}" if cluster.stack not in {"", "unknown"} else ""
    return printable(version + stack)


def bundle_state(bundle: Bundle, configuration: Configuration | None) -> Cell:
    """Return how many replicas are ready and promoted, and what holds for the whole bundle."""
    ready = sum(replica.ready for replica in bundle.replicas)
    tone = Tone.STARTED if ready == len(bundle.replicas) else Tone.FAILED
    marks = {
        "disabled": not bundle.enabled,
        "unmanaged": not bundle.managed,
        "maintenance": bundle.maintenance,
        "failed": bundle.failed,
    }
    return (
        Words(f"{ready}/{len(bundle.replicas)} ready", tone),
        *_promoted(bundle, configuration),
        *(Words(mark, Tone.TRANSITION) for mark, holds in marks.items() if holds),
    )


def bundle_kind(bundle: Bundle) -> str:
    """Return what a bundle's containers are made of."""
    unique = "unique" if bundle.unique else ""
    kind = (f"{bundle.engine} {bundle.image}", bundle.primitive_agent, unique)
    return printable(", ".join(word for word in kind if word))


def _promoted(bundle: Bundle, configuration: Configuration | None) -> Iterator[Words]:
    promoted = bundle.in_role(Role.PROMOTED)
    limits = configuration.bundles.get(bundle.id) if configuration else None
    if limits and (limits.promoted_max or promoted):
        yield Words(f"{promoted} promoted (promoted-max {limits.promoted_max})")
    elif limits is None and bundle.primitive_agent and not bundle.in_role(Role.STARTED):
        # What can be promoted is never just started.
        yield Words(f"{promoted} promoted (promoted-max unknown)")


# ---- Tables; None where there is nothing to list ----


def nodes(sight: Sight) -> Table | None:
    """Return the nodes, but for guests: those are told with their replicas."""
    return _table(
        "Nodes",
        ("Node", "Type", "State", "Resources"),
        [
            (
                _cell(node.name),
                _cell(node.type),
                (_node_state(node, here=node.name == sight.local_node),),
                _cell(str(sight.snapshot.resources_running.get(node.name, ""))),
            )
            for node in sight.snapshot.nodes
            if node.type is not NodeType.GUEST
        ],
    )


def _node_state(node: Node, *, here: bool) -> Words:
    marks = {
        "unclean": node.unclean,
        "joining": node.pending,
        "standby": node.standby and not node.standby_onfail,
        "standby (on-fail)": node.standby_onfail,
        "maintenance": node.maintenance,
        "shutting down": node.shutdown,
        f"health {node.health}": node.health not in {None, "green"},
        "DC": node.dc,
        "here": here,
    }
    state = "online" if node.online else "offline"
    lost = node.unclean or not node.online
    tone = Tone.FAILED if lost else Tone.TRANSITION if node_problems(node) else Tone.STARTED
    return _words(", ".join([state, *(mark for mark, holds in marks.items() if holds)]), tone)


def replicas(bundle: Bundle, snapshot: Snapshot) -> Table | None:
    """Return the replicas of a bundle; the role of each is the state of its service resource."""
    # What holds for the whole bundle or cluster is not repeated for each replica.
    told = bool(not bundle.managed or bundle.maintenance or snapshot.cluster.maintenance_mode)
    return _table(
        bundle.id,
        ("Replica", "Role", "Host", "Container", "IP", "Connection", "Ready"),
        [_replica(replica, told=told) for replica in bundle.replicas],
    )


def _replica(replica: Replica, *, told: bool) -> tuple[Cell, ...]:
    role = _state(replica.service)
    if replica.running and not replica.ready:
        role = Words(role.text, Tone.FAILED)  # never in the colour of what is well
    return (
        _cell(replica.index),
        (role,),
        _cell(", ".join(host.name for host in replica.hosts)),
        # Without a primitive the container is the service.
        (_state(replica.container),) if replica.primitive else (),
        (_state(replica.ip),) if replica.ip else (),
        (_connection(replica.connection, replica),) if replica.connection else (),
        (_ready(replica, told=told),),
    )


def _connection(connection: Resource, replica: Replica) -> Words:
    state = _state(connection)
    elsewhere = [node.name for node in connection.nodes if node not in replica.hosts]
    where = f" on {', '.join(elsewhere)}" if elsewhere else ""
    return _words(state.text + where, state.tone)


def _ready(replica: Replica, *, told: bool) -> Words:
    reasons = why_not_ready(replica)
    if reasons:
        tone = Tone.TRANSITION if replica.pending else Tone.FAILED
        return _words(f"no: {', '.join(reasons)}", tone)
    mark = "in maintenance" if replica.maintenance else "unmanaged" if replica.unmanaged else ""
    if mark and not told:
        return Words(f"yes, {mark}", Tone.TRANSITION)
    return Words("yes", Tone.STARTED)


def _state(resource: Resource) -> Words:
    """Say what crm_mon says of a resource: its role, and what holds against it."""
    words = [resource.role.value, *_marks(resource)]
    tone = _role_tone([resource], resource.role)
    if resource.blocked or (resource.failed and not resource.failure_ignored):
        tone = Tone.FAILED
    elif len(words) > 1:
        tone = Tone.TRANSITION
    return _words(", ".join(words), tone)


def _marks(resource: Resource) -> Iterator[str]:
    if resource.role not in {Role.STOPPED, Role.UNKNOWN} and not resource.active:
        yield "not active"
    if resource.in_transition and resource.role in SETTLED_ROLES:
        yield resource.pending.lower()
    if resource.failed:
        yield "failure ignored" if resource.failure_ignored else "failed"
    if resource.blocked:
        yield "blocked"
    if resource.orphaned:
        yield "orphaned"


def _role_tone(resources: Sequence[Resource], role: Role) -> Tone:
    """Return the tone of a role; on a node that is lost it is never that of what is well."""
    nodes = (node for resource in resources if resource.role is role for node in resource.nodes)
    if any(node.unclean or not node.online for node in nodes):
        return Tone.FAILED
    return _ROLES.get(role, Tone.TRANSITION)


def resources(instances: Sequence[Instance]) -> Table | None:
    """Return a row for each resource outside bundles, its instances taken together."""
    found: dict[tuple[str, str, str, str], list[Resource]] = {}
    for instance in instances:
        resource = instance.resource
        key = (resource.id, resource.agent, instance.group, instance.clone)
        found.setdefault(key, []).append(resource)
    rows = [
        (
            _cell(name),
            _cell(agent),
            _cell(group),
            _cell(clone),
            _together(members, cloned=bool(clone)),
        )
        for (name, agent, group, clone), members in found.items()
    ]
    headers = ("Resource", "Agent", "Group", "Clone", "State")
    return _table("Resources outside bundles", headers, rows)


def _together(resources: Sequence[Resource], *, cloned: bool) -> Cell:
    """Say where instances are in which role, and what holds for any of them."""
    places: dict[Role, list[str]] = {}
    for resource in resources:
        places.setdefault(resource.role, []).extend(node.name for node in resource.nodes)
    if cloned and len(places) > 1:
        # crm_mon lists more stopped members than there can be: their number says nothing.
        places.pop(Role.STOPPED, None)
    parts = [
        _words(
            f"{role} on {', '.join(names)}" if names else role.value, _role_tone(resources, role)
        )
        for role, names in places.items()
    ]
    marks = dict.fromkeys(mark for resource in resources for mark in _marks(resource))
    if all(resource.disabled for resource in resources):
        marks["disabled"] = None
    if any(not resource.managed and not resource.blocked for resource in resources):
        marks["unmanaged"] = None
    bad = {"failed", "blocked"}
    tones = (Tone.FAILED if mark in bad else Tone.TRANSITION for mark in marks)
    return (*parts, *map(_words, marks, tones))


def fail_counts(sight: Sight) -> Table | None:
    """Return the failures that are counted."""
    return _table(
        "Fail-counts",
        ("Resource", "Node", "Count", "Threshold", LAST_FAILURE),
        [
            (
                _cell(entry.resource),
                _cell(entry.node),
                _cell(_score(entry.fail_count)),
                _cell(_score(entry.migration_threshold)),
                _cell(when(entry.last_failure, sight)),
            )
            for entry in sight.snapshot.history
            if entry.fail_count > 0
        ],
        "until pcs resource cleanup RESOURCE",
    )


def failed_actions(sight: Sight) -> Table | None:
    """Return the failed actions that are listed."""
    return _table(
        "Failed actions",
        ("Resource", "Node", "Operation", "Result", "Reason", WHEN),
        [
            (
                _cell(action.resource),
                _cell(action.node),
                _cell(action.operation),
                _cell(
                    f"rc {action.rc}"
                    + ("" if action.status == "complete" else f", {action.status}")
                ),
                _cell(action.reason),
                _cell(when(action.last_change, sight)),
            )
            for action in sight.snapshot.failed_actions
        ],
        "listed until pcs resource cleanup RESOURCE",
    )


def fencing(sight: Sight) -> Table | None:
    """Return the fencing history."""
    tones = {"success": Tone.STARTED, "failed": Tone.FAILED}
    return _table(
        "Fencing history",
        ("Target", "Action", "Status", "Reason", WHEN),
        [
            (
                _cell(event.target),
                _cell(event.action),
                (_words(event.status, tones.get(event.status, Tone.TRANSITION)),),
                _cell(event.reason),
                _cell(when(event.completed, sight)),
            )
            for event in sight.snapshot.fencing or ()
        ],
        "listed until pcs stonith history cleanup",
    )


def left_over(sight: Sight) -> Table | None:
    """Return the constraints that moves and bans have left."""
    preferences = sight.configuration.preferences if sight.configuration else ()
    return _table(
        "Left over from moves and bans",
        ("Resource", "Node", "Score", "Constraint"),
        [
            (
                _cell(ban.resource),
                _cell(ban.node),
                _cell(_score(ban.score) + (", promoted only" if ban.promoted_only else "")),
                _cell(ban.constraint),
            )
            for ban in (*sight.snapshot.bans, *preferences)
            if ban.by_command
        ],
        "until pcs resource clear RESOURCE",
    )


def tickets(snapshot: Snapshot) -> Table | None:
    """Return the tickets of a multi-site cluster."""
    return _table(
        "Tickets",
        ("Ticket", "State"),
        [
            (
                _cell(ticket.id),
                _cell(
                    ("granted" if ticket.granted else "revoked")
                    + (", standby" if ticket.standby else "")
                ),
            )
            for ticket in snapshot.tickets
        ],
    )


def _table(
    title: str, headers: Sequence[str], rows: Sequence[Sequence[Cell]], note: str = ""
) -> Table | None:
    if not rows:
        return None
    wanted = [c for c in range(len(headers)) if any(row[c] for row in rows)]
    return Table(
        title,
        tuple(headers[c] for c in wanted),
        tuple(tuple(row[c] for c in wanted) for row in rows),
        note,
    )


def _words(text: str, tone: Tone = Tone.PLAIN) -> Words:
    return Words(printable(text), tone)


def _cell(text: str) -> Cell:
    return (_words(text),) if text else ()


def _score(score: int | None) -> str:
    if score is None:
        return ""
    if abs(score) >= INFINITY:
        return "INFINITY" if score > 0 else "-INFINITY"
    return str(score)
