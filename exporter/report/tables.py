"""The cluster as tables of words with tones, for `show` and the status page.

Pure functions of an observation. Names from the cluster are untrusted: control characters and
invisible characters are escaped.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from exporter.cluster.agents import is_fencing_device
from exporter.cluster.model import (
    INFINITY,
    SETTLED_ROLES,
    Ban,
    Bundle,
    Cluster,
    Replica,
    Resource,
    Role,
    Ticket,
)
from exporter.cluster.observation import Observation
from exporter.cluster.text import printable
from exporter.judgement import conditions
from exporter.judgement.bundles import BundleJudgement, BundleState
from exporter.judgement.expectations import why_fewer
from exporter.judgement.judge import Judgement
from exporter.judgement.nodes import NodeJudgement
from exporter.judgement.problem import SubjectType, listed, names_with_problems
from exporter.judgement.replicas import why_not_ready
from exporter.judgement.resources import InstanceJudgement
from exporter.report.document import utc

WHEN, LAST_FAILURE = "When", "Last failure"
TIMES = frozenset({WHEN, LAST_FAILURE})
"""Headers of columns with times."""
NAMES = frozenset({"Node", "Bundle", "Resource", "Group", "Clone", "Target", "Ticket"})
"""Headers of columns with names by which a row is found."""
LISTED = 10
"""Rows of a table up to which all are listed where only a part is wanted."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


class Tone(StrEnum):
    """The meaning of words, which decides their colour. The words alone say the same."""

    PLAIN = "plain"
    FAINT = "faint"
    PROMOTED = "promoted"
    STARTED = "started"
    """Also everything else that is well."""
    UNPROMOTED = "unpromoted"
    TRANSITION = "transition"
    """In transition; also everything else worth a look that is not a failure."""
    STOPPED = "stopped"
    FAILED = "failed"
    """Also everything else that is wrong."""


_BAD = frozenset({Tone.TRANSITION, Tone.STOPPED, Tone.FAILED})
"""Tones of what is not well."""
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
"""The words of a cell or sentence; shown with commas between."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with at least one row and without empty columns."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    """Which command clears its rows; empty if none does."""
    left_out: str = ""
    """How many rows are left out, in words; empty if none are."""


def exceptions(table: Table) -> Table:
    """Return the first rows of what is not well, and count the rest; return a short table as it is.

    The tones of a row say whether it is well.
    """
    if len(table.rows) <= LISTED:
        return table
    bad = [row for row in table.rows if _tones(row) & _BAD]
    shown = sorted(bad, key=lambda row: Tone.FAILED not in _tones(row))[:LISTED]
    well, others = len(table.rows) - len(bad), len(bad) - len(shown)
    parts = [f"{well} of {len(table.rows)} are well"]
    if others:
        parts.append(f"{others} others are not listed")
    return _with_rows(table, shown, ", ".join(parts))


def has_exceptions(table: Table) -> bool:
    """Whether any row is not well."""
    return any(_tones(row) & _BAD for row in table.rows)


def first_rows(table: Table) -> Table:
    """Return the first rows, and count the rest."""
    left_out = len(table.rows) - LISTED
    if left_out <= 0:
        return table
    return _with_rows(table, table.rows[:LISTED], f"{left_out} more are not listed")


def rows_about(table: Table, wanted: Callable[[str], bool]) -> Table | None:
    """Return the rows with a wanted name; None if there are none.

    Args:
        table: the table.
        wanted: decides about one name.

    """
    columns = [place for place, header in enumerate(table.headers) if header in NAMES]
    rows = tuple(
        row
        for row in table.rows
        if any(wanted(words.text) for place in columns for words in row[place])
    )
    return _with_rows(table, rows) if rows else None


def _with_rows(table: Table, rows: Sequence[tuple[Cell, ...]], left_out: str = "") -> Table:
    """Return a table with some of its rows, without columns that are empty then."""
    found = table_of(table.title, table.headers, rows, table.note)
    empty = Table(table.title, (), ())
    return replace(found or empty, left_out=left_out)


def _tones(row: Sequence[Cell]) -> set[Tone]:
    return {words.tone for cell in row for words in cell}


def when(moment: float | None, now: float | None, zone: str = "") -> str:
    """Return a time and its age as text; empty if the time is unknown.

    Args:
        moment: seconds since the epoch; None if unknown.
        now: seconds since the epoch; None to leave out the age.
        zone: text after the time, such as " UTC".

    """
    time = utc(moment)
    if moment is None or time is None:
        return ""
    known = "" if now is None or now < moment else f", {age(now - moment)} ago"
    return f"{time:%Y-%m-%d %H:%M:%S}{zone}{known}"


def age(seconds: float) -> str:
    """Return a duration as text, in its largest unit."""
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{int(seconds / unit)} {name}"
    return f"{int(seconds)} s"


# ---- Sentences ----


def summary(cluster: Cluster) -> Cell:
    """Return what crm_mon reports of the cluster; leave out what it does not report."""
    return tuple(_summary(cluster))


def _summary(cluster: Cluster) -> Iterator[Words]:
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


def author_of_last_change(cluster: Cluster) -> str:
    """Return who changed the configuration last, how and where, as crm_mon prints it."""
    parts = (
        ("by", cluster.last_change_user),
        ("via", cluster.last_change_client),
        ("on", cluster.last_change_origin),
    )
    return printable(" ".join(f"{word} {name}" for word, name in parts if name))


def software(cluster: Cluster) -> str:
    """Return the names and versions of Pacemaker and the cluster layer."""
    version = f"Pacemaker {cluster.pacemaker_version or 'of unknown version'}"
    stack = f" on {cluster.stack}" if cluster.stack not in {"", "unknown"} else ""
    return printable(version + stack)


def bundle_state(judged: BundleJudgement) -> Cell:
    """Return state, number of ready replicas, what is expected and why, and other conditions."""
    return tuple(_bundle_state(judged))


def _bundle_state(judged: BundleJudgement) -> Iterator[Words]:
    tone, fewer = _STATE_TONES[judged.state], why_fewer(judged)
    if tone is Tone.FAILED:
        yield Words(judged.state, tone)
    expected = f" ({judged.expected} expected: {', '.join(fewer)})" if fewer else ""
    yield _words(f"{judged.ready}/{judged.replicas} ready{expected}", tone)
    yield from _promoted(judged)
    said = {"disabled", "held_back"} if fewer else set()
    if judged.in_maintenance:
        said.add("unmanaged")  # crm_mon says it of both
    for condition in conditions.BUNDLE:
        if condition.words and condition.name not in said and condition.holds(judged):
            yield Words(condition.words, Tone.TRANSITION)


def bundle_kind(bundle: Bundle) -> str:
    """Return engine, image and primitive of a bundle."""
    unique = "unique" if bundle.unique else ""
    kind = (f"{bundle.engine} {bundle.image}", bundle.primitive_agent, unique)
    return printable(", ".join(word for word in kind if word))


_STATE_TONES = {
    BundleState.OK: Tone.STARTED,
    BundleState.REDUCED: Tone.TRANSITION,
    BundleState.DEGRADED: Tone.FAILED,
    BundleState.DOWN: Tone.FAILED,
}


def _promoted(judged: BundleJudgement) -> Iterator[Words]:
    bundle, limits = judged.bundle, judged.configuration
    promoted = bundle.in_role(Role.PROMOTED)
    if limits and (limits.promoted_max or promoted):
        yield Words(f"{promoted} promoted (promoted-max {limits.promoted_max})")
    elif limits is None and bundle.primitive_agent and not bundle.in_role(Role.STARTED):
        # A promotable resource is never in role Started.
        yield Words(f"{promoted} promoted (promoted-max unknown)")


# ---- Tables; None if there is nothing to list ----


def nodes(judgement: Judgement) -> Table | None:
    """Return the nodes; the guest nodes of bundles are shown with their replicas."""
    with_problems = names_with_problems(judgement.problems, {SubjectType.NODE})
    return table_of(
        "Nodes",
        ("Node", "Type", "State", "Resources"),
        [
            (
                _cell(judged.node.name),
                _cell(judged.node.type),
                (
                    _node_state(
                        judged,
                        here=judged.node.name == judgement.observation.local_node,
                        well=judged.node.name not in with_problems,
                    ),
                ),
                _cell(str(judgement.snapshot.resources_running.get(judged.node.name, ""))),
            )
            for judged in judgement.nodes
            if not judged.in_bundle
        ],
    )


def _node_state(judged: NodeJudgement, *, here: bool, well: bool) -> Words:
    node = judged.node
    marks = {c.name: c.words for c in conditions.NODE if c.words and c.holds(judged)}
    if node.standby_onfail or node.pending:  # Pacemaker puts a joining node in standby
        marks.pop("standby", None)
    if node.lost:  # crm_mon says of a remote node that crashed that it shuts down
        marks.pop("shutdown", None)
    if node.health not in {None, "green"}:
        marks["health"] = f"health {node.health}"
    if here:
        marks["here"] = "here"
    state = "online" if node.online else "offline"
    tone = Tone.FAILED if node.lost else Tone.STARTED if well else Tone.TRANSITION
    return _words(", ".join([state, *marks.values()]), tone)


def bundles(judged: Sequence[BundleJudgement]) -> Table | None:
    """Return a row for each bundle: its state, and the hosts of its replicas by role."""
    return table_of(
        "Bundles",
        ("Bundle", "State", "Replicas"),
        [
            (
                _cell(one.id),
                bundle_state(one),
                hosts(one.bundle),
            )
            for one in judged
        ],
    )


def hosts(bundle: Bundle) -> Cell:
    """Return the hosts of the replicas by role, the promoted ones first."""
    places: dict[Role, list[str]] = {role: [] for role in _ROLES if bundle.in_role(role)}
    for replica in bundle.replicas:
        places.setdefault(replica.role, []).extend(host.name for host in replica.hosts)
    return tuple(
        _placed(role, names, _ROLES.get(role, Tone.PLAIN)) for role, names in places.items()
    )


def _placed(role: Role, nodes: Sequence[str], tone: Tone) -> Words:
    return _words(f"{role} on {', '.join(nodes)}" if nodes else role, tone)


def replicas(judged: BundleJudgement) -> Table | None:
    """Return the replicas of a bundle; the column Role has the state of the service resource."""
    return table_of(
        judged.id,
        ("Replica", "Role", "Host", "Container", "IP", "Connection", "Ready"),
        [_replica(replica, judged) for replica in judged.bundle.replicas],
    )


def _replica(replica: Replica, judged: BundleJudgement) -> tuple[Cell, ...]:
    role = _state(replica.service)
    if replica.running and not replica.ready:
        role = Words(role.text, Tone.FAILED)  # never in the tone of something well
    return (
        _cell(replica.index),
        (role,),
        _cell(", ".join(host.name for host in replica.hosts)),
        # Without a primitive the container is the service.
        (_state(replica.container),) if replica.primitive else (),
        (_state(replica.ip),) if replica.ip else (),
        (_connection(replica.connection, replica),) if replica.connection else (),
        (_ready(replica, judged),),
    )


def _connection(connection: Resource, replica: Replica) -> Words:
    state = _state(connection)
    elsewhere = [node.name for node in connection.nodes if node not in replica.hosts]
    where = f" on {', '.join(elsewhere)}" if elsewhere else ""
    return _words(state.text + where, state.tone)


def _ready(replica: Replica, judged: BundleJudgement) -> Words:
    reasons = why_not_ready(replica)
    if reasons:
        return _words(f"no: {', '.join(reasons)}", _unready_tone(replica, judged))
    mark = "in maintenance" if replica.maintenance else "unmanaged" if replica.unmanaged else ""
    # Do not repeat the conditions of the bundle or cluster for each replica.
    if mark and judged.bundle.managed and not judged.in_maintenance:
        return Words(f"yes, {mark}", Tone.TRANSITION)
    return Words("yes", Tone.STARTED)


def _unready_tone(replica: Replica, judged: BundleJudgement) -> Tone:
    if replica.pending:
        return Tone.TRANSITION
    lacking = judged.state in {BundleState.DEGRADED, BundleState.DOWN}
    stopped = not replica.hosts and not replica.failed and not replica.blocked
    return Tone.STOPPED if stopped and not lacking else Tone.FAILED


def _state(resource: Resource) -> Words:
    """Return the role of a resource and what is wrong with it, as crm_mon reports them."""
    words = [resource.role.value, *_marks(resource)]
    tone = _role_tone([resource], resource.role)
    if resource.blocked or resource.failing:
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
    """Return the tone of a role; FAILED if it is on a lost node."""
    nodes = (node for resource in resources if resource.role is role for node in resource.nodes)
    if any(node.lost for node in nodes):
        return Tone.FAILED
    return _ROLES.get(role, Tone.TRANSITION)


def resources(instances: Sequence[InstanceJudgement], *, every_node: bool = False) -> Table | None:
    """Return a row for each resource outside bundles, for all its instances.

    Args:
        instances: what is to be listed.
        every_node: whether to name every node of a clone that runs on many.

    """
    found: dict[tuple[str, str, str, str], list[InstanceJudgement]] = {}
    for judged in instances:
        resource, instance = judged.resource, judged.instance
        key = (resource.id, resource.agent, instance.group, instance.clone)
        found.setdefault(key, []).append(judged)
    rows = [
        (
            _cell(name),
            _cell(agent),
            _cell(group),
            _cell(clone),
            _combined_state(members, cloned=bool(clone), every_node=every_node),
        )
        for (name, agent, group, clone), members in found.items()
    ]
    headers = ("Resource", "Agent", "Group", "Clone", "State")
    return table_of("Resources outside bundles", headers, rows)


def without_many_devices(
    instances: Sequence[InstanceJudgement],
) -> tuple[Sequence[InstanceJudgement], Sequence[InstanceJudgement]]:
    """Return the resources to list, and the fencing devices to sum up: more than ten of them."""
    devices = [judged for judged in instances if is_fencing_device(judged.resource)]
    if len(devices) <= LISTED:
        return instances, ()
    return [judged for judged in instances if not is_fencing_device(judged.resource)], devices


def fencing_devices(devices: Sequence[InstanceJudgement]) -> Cell:
    """Return how many fencing devices are in which state, and the first names of those not well.

    Args:
        devices: at least one.

    """
    by_state: dict[Words, list[str]] = {}
    for judged in devices:
        placed, *marks = _combined_state([judged])
        text = ", ".join([judged.resource.role, *(mark.text for mark in marks)])
        bad = [part.tone for part in (placed, *marks) if part.tone in _BAD]
        state = Words(text, bad[-1] if bad else Tone.STARTED)
        by_state.setdefault(state, []).append(judged.resource.id)
    well_first = sorted(by_state.items(), key=lambda entry: entry[0].tone in _BAD)
    counts = [
        Words(
            f"{len(names)} {state.text}"
            + (f": {printable(listed(names))}" if state.tone in _BAD else ""),
            state.tone,
        )
        for state, names in well_first
    ]
    first = Words(f"{len(devices)} fencing devices: {counts[0].text}", counts[0].tone)
    return (first, *counts[1:])


def _combined_state(
    instances: Sequence[InstanceJudgement], *, cloned: bool = False, every_node: bool = False
) -> Cell:
    """Return the nodes by role, and the marks of any instance."""
    resources = [judged.resource for judged in instances]
    down = any(judged.down for judged in instances)
    places: dict[Role, list[str]] = {}
    for resource in resources:
        places.setdefault(resource.role, []).extend(node.name for node in resource.nodes)
    if cloned and len(places) > 1:
        # crm_mon lists more stopped members than can exist.
        places.pop(Role.STOPPED, None)
    parts = [
        _placed(
            role,
            names if every_node or len(names) <= LISTED else [listed(names)],
            Tone.FAILED if down else _role_tone(resources, role),
        )
        for role, names in places.items()
    ]
    marks = dict.fromkeys(mark for resource in resources for mark in _marks(resource))
    if all(resource.disabled for resource in resources):
        marks["disabled"] = None
    if any(resource.unmanaged for resource in resources):
        marks["unmanaged"] = None
    bad = {"failed", "blocked"}
    tones = (Tone.FAILED if mark in bad else Tone.TRANSITION for mark in marks)
    return (*parts, *map(_words, marks, tones))


def other_tables(judgement: Judgement, now: float | None) -> Iterator[tuple[str, Table]]:
    """Yield the tables besides nodes, bundles and resources, each with a name for links.

    Args:
        judgement: the observation to show, and what it means.
        now: seconds since the epoch, for ages.

    """
    observation = judgement.observation
    known = None if observation.taken is None else now
    for name, table in (
        ("fail-counts", fail_counts(observation, known)),
        ("failed-actions", failed_actions(observation, known)),
        ("fencing", fencing(observation, known)),
        ("left-over", left_over(judgement.bans or ())),
        ("tickets", tickets(observation.tickets)),
    ):
        if table:
            yield name, table


def fail_counts(observation: Observation, now: float | None) -> Table | None:
    """Return the fail-counts above zero."""
    return table_of(
        "Fail-counts",
        ("Resource", "Node", "Count", "Threshold", LAST_FAILURE),
        [
            (
                _cell(entry.resource),
                _cell(entry.node),
                _cell(_score(entry.fail_count)),
                _cell(_score(entry.migration_threshold)),
                _cell(when(entry.last_failure, now)),
            )
            for entry in observation.snapshot.history
            if entry.fail_count > 0
        ],
        "cleared by pcs resource cleanup RESOURCE",
    )


def failed_actions(observation: Observation, now: float | None) -> Table | None:
    """Return the failed actions."""
    return table_of(
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
                _cell(when(action.last_change, now)),
            )
            for action in observation.snapshot.failed_actions
        ],
        "cleared by pcs resource cleanup RESOURCE",
    )


def fencing(observation: Observation, now: float | None) -> Table | None:
    """Return the fencing history."""
    tones = {"success": Tone.STARTED, "failed": Tone.FAILED}
    return table_of(
        "Fencing history",
        ("Target", "Action", "Status", "Reason", WHEN),
        [
            (
                _cell(event.target),
                _cell(event.action),
                (_words(event.status, tones.get(event.status, Tone.TRANSITION)),),
                _cell(event.reason),
                _cell(when(event.completed, now)),
            )
            for event in observation.snapshot.fencing or ()
        ],
        "cleared by pcs stonith history cleanup",
    )


def left_over(bans: Iterable[Ban]) -> Table | None:
    """Return the constraints that moves and bans left behind."""
    return table_of(
        "Left over from moves and bans",
        ("Resource", "Node", "Score", "Constraint"),
        [
            (
                _cell(ban.resource),
                _cell(ban.node),
                _cell(_score(ban.score) + (", promoted only" if ban.promoted_only else "")),
                _cell(ban.constraint),
            )
            for ban in bans
            if ban.by_command
        ],
        "cleared by pcs resource clear RESOURCE",
    )


def tickets(found: Iterable[Ticket]) -> Table | None:
    """Return the tickets of a multi-site cluster."""
    return table_of(
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
            for ticket in found
        ],
    )


def table_of(
    title: str, headers: Sequence[str], rows: Sequence[Sequence[Cell]], note: str = ""
) -> Table | None:
    """Return a table without its empty columns; None without a row."""
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
