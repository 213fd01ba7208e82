"""`show`: the cluster as the exporter understands it, for a person or as JSON.

What a person runs at night, and what a bug report carries. The words are the same on a terminal
and in a pipe; a terminal adds colour. Names come from the cluster, and are shown as they are:
markup in them means nothing, and what a terminal would obey is written out.
"""

import io
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from exporter import cib, crm_mon, crm_node
from exporter.cib import HIDDEN, BundleDetails, Pairs, UnknownBundleError
from exporter.clock import Clock
from exporter.command import Completed
from exporter.document import Sight, details_document, document, utc
from exporter.errors import PollError, Stopped
from exporter.explain import (
    Problem,
    Subject,
    changes_cluster,
    node_problems,
    why_not_ready,
)
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
from exporter.output import CannotWriteError, write_out
from exporter.poller import SIDE_TIMEOUT, Site
from exporter.settings import PROGRAM, ShowSettings
from exporter.xml import INFINITY

PLAIN_WIDTH = 100
"""Columns where there is no terminal: what is compared or mailed should not depend on a window."""

_EXIT_FAILURE = 1
_GOOD, _BAD, _BUSY, _FAINT = "green", "bold red", "yellow", "dim"
_STYLES = {
    Role.PROMOTED: "bold green",
    Role.STARTED: _GOOD,
    Role.UNPROMOTED: "cyan",
    Role.STOPPED: _FAINT,
}
_WHEN, _LAST_FAILURE = "WHEN", "LAST FAILURE"
_TIMES = {_WHEN, _LAST_FAILURE}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def run(site: Site, clock: Clock, chosen: ShowSettings) -> int:
    """Print what was asked for, and return the exit status: 0 when there was something to see."""
    try:
        if chosen.config:
            details = _details(site, chosen)
            _print(details_document(details) if chosen.json else details_page(details))
        else:
            sight = _look(site, clock, chosen)
            _print(document(sight) if chosen.json else page(sight))
    except (PollError, UnknownBundleError, CannotWriteError) as error:
        _complain(error)
        return _EXIT_FAILURE
    except Stopped:
        return _EXIT_FAILURE
    return 0


def printable(text: str) -> str:
    """Write out what a terminal would obey or hide: control and formatting characters."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def text_of(parts: Iterable[RenderableType], console: Console) -> str:
    """Lay out a page for a console, without spaces at the ends of lines."""
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _print(content: Mapping[str, Any] | Iterator[RenderableType]) -> None:
    if isinstance(content, Mapping):
        text = json.dumps(content, indent=2) + "\n"
    else:
        terminal = sys.stdout is not None and sys.stdout.isatty()
        console = Console(
            file=io.StringIO(),  # ours is to write: rich would lose what cannot be written
            force_terminal=terminal,
            width=shutil.get_terminal_size().columns if terminal else PLAIN_WIDTH,
            highlight=False,
            markup=False,
            emoji=False,
        )
        text = text_of(content, console)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with suppress(BrokenPipeError):  # into head, say: enough was seen
        write_out(text.encode(encoding, "backslashreplace"))


def _complain(error: Exception) -> None:
    sys.stderr.write(f"{PROGRAM} show: {printable(str(error))}\n")


# ---- Asking ----


def _look(site: Site, clock: Clock, chosen: ShowSettings) -> Sight:
    """Ask crm_mon, and the others as far as they answer.

    Raises:
        PollError: crm_mon gave no snapshot.
        Stopped: a signal came.

    """
    taken = clock.time()
    answer = crm_mon.CrmMon(site.commands, site.crm_mon).ask(chosen.poll_timeout)
    snapshot = crm_mon.read(answer)
    if chosen.from_file:
        return Sight(snapshot, source="file", now=clock.time())
    try:
        configuration = cib.read(_ask_cib(site, chosen))
    except PollError as error:
        _complain(error)
        configuration = None
    return Sight(
        snapshot,
        configuration,
        _local_node(site, chosen, snapshot),
        "demo" if chosen.demo else "cluster",
        clock.time(),
        taken,
    )


def _details(site: Site, chosen: ShowSettings) -> BundleDetails:
    details = cib.parse_bundle(cib.output(_ask_cib(site, chosen)), chosen.config)
    return details if chosen.secrets else cib.without_secrets(details)


def _ask_cib(site: Site, chosen: ShowSettings) -> Completed:
    return cib.ask(site.commands, site.cibadmin, min(SIDE_TIMEOUT, chosen.poll_timeout))


def _local_node(site: Site, chosen: ShowSettings, snapshot: Snapshot) -> str:
    try:
        return crm_node.ask(site.commands, site.crm_node, min(SIDE_TIMEOUT, chosen.poll_timeout))
    except PollError:
        return crm_node.by_host_name(site.host_name, (node.name for node in snapshot.nodes))


# ---- For a person ----


def page(sight: Sight) -> Iterator[RenderableType]:
    """Yield the parts of the page: what there is, then what is wrong."""
    snapshot = sight.snapshot
    yield from _heading(sight)
    yield from _section("Nodes", _nodes(sight))
    for bundle in snapshot.bundles:
        yield ""
        yield from _bundle(bundle, sight)
    yield from _section("Resources outside bundles", _resources(snapshot.instances))
    yield from _section("Fail-counts (until pcs resource cleanup RESOURCE)", _fail_counts(sight))
    yield from _section(
        "Failed actions (listed until pcs resource cleanup RESOURCE)", _failed_actions(sight)
    )
    yield from _section(
        "Fencing history (listed until pcs stonith history cleanup)", _fencing(sight)
    )
    yield from _section(
        "Left over from moves and bans (until pcs resource clear RESOURCE)", _left_over(sight)
    )
    yield from _section("Tickets", _tickets(snapshot))
    yield ""
    yield from _what_is_wrong(sight.problems)


def _heading(sight: Sight) -> Iterator[Text]:
    cluster = sight.snapshot.cluster
    if sight.source == "demo":
        yield Text("DEMONSTRATION: this is not a real cluster", _BUSY)
    name = sight.configuration.cluster_name if sight.configuration else ""
    version = f"Pacemaker {cluster.pacemaker_version or 'of unknown version'}"
    stack = f" on {cluster.stack}" if cluster.stack not in {"", "unknown"} else ""
    yield _sentence(
        _text(f"Cluster {name}" if name else "Cluster of unknown name", "bold"),
        _text(version + stack),
    )
    yield _sentence(*_conditions(cluster))
    if cluster.last_change:
        # Of a saved answer nobody knows in which zone it was written.
        known = "" if sight.taken is None else _when(cluster.last_change_time, sight, " UTC")
        changed = known or cluster.last_change
        yield _text(f"Configuration changed {changed}", _FAINT)
    if sight.taken is None:
        yield Text("Read from a saved answer of crm_mon: the CIB is unknown", _FAINT)
    else:
        here = f" by {sight.local_node}" if sight.local_node else ""
        yield _text(f"Seen{here} {_when(sight.taken, sight, ' UTC')}", _FAINT)


def _conditions(cluster: Cluster) -> Iterator[Text]:
    """Yield what the summary says; of what it does not say, nothing."""
    if cluster.dc_elected:
        yield _text(f"DC {cluster.dc_name}")
    elif cluster.dc_elected is False:
        yield Text("no DC", _BAD)
    if cluster.quorate is not None:
        yield Text("quorate") if cluster.quorate else Text("no quorum", _BAD)
    if cluster.fencing_enabled is not None:
        yield Text("fencing enabled") if cluster.fencing_enabled else Text("no fencing", _BUSY)
    if cluster.maintenance_mode:
        yield Text("maintenance mode", _BUSY)
    if cluster.stop_all_resources:
        yield Text("stop-all-resources", _BAD)
    if cluster.mixed_version:
        yield Text("mixed versions", _BUSY)


def _nodes(sight: Sight) -> Table | None:
    return _table(
        ("NODE", "TYPE", "STATE", "RESOURCES"),
        [
            (
                _text(node.name),
                Text(node.type),
                _node_state(node, here=node.name == sight.local_node),
                _text("" if node.resources_running is None else str(node.resources_running)),
            )
            for node in sight.snapshot.nodes
            if node.type is not NodeType.GUEST
        ],
    )


def _node_state(node: Node, *, here: bool) -> Text:
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
    style = _BAD if lost else _BUSY if node_problems(node) else _GOOD
    return _text(", ".join([state, *(mark for mark, holds in marks.items() if holds)]), style)


def _bundle(bundle: Bundle, sight: Sight) -> Iterator[RenderableType]:
    ready = sum(replica.ready for replica in bundle.replicas)
    style = _GOOD if ready == len(bundle.replicas) else _BAD
    marks = {
        "disabled": not bundle.enabled,
        "unmanaged": not bundle.managed,
        "maintenance": bundle.maintenance,
        "failed": bundle.failed,
    }
    yield Text(" ").join(
        [
            _text(bundle.id, "bold"),
            _sentence(
                Text(f"{ready}/{len(bundle.replicas)} ready", style),
                *_promoted(bundle, sight.configuration),
                *(Text(mark, _BUSY) for mark, holds in marks.items() if holds),
            ),
        ]
    )
    unique = "unique" if bundle.unique else ""
    kind = (f"{bundle.engine} {bundle.image}", bundle.primitive_agent, unique)
    yield _indented(_text(", ".join(word for word in kind if word), _FAINT))
    # What holds for the whole bundle or cluster is not repeated for each replica.
    told = not bundle.managed or bundle.maintenance or sight.snapshot.cluster.maintenance_mode
    rows = [_replica(replica, told=bool(told)) for replica in bundle.replicas]
    headers = ("REPLICA", "ROLE", "HOST", "CONTAINER", "IP", "CONNECTION", "READY")
    if table := _table(headers, rows):
        yield _indented(table)


def _promoted(bundle: Bundle, configuration: Configuration | None) -> Iterator[Text]:
    promoted = bundle.in_role(Role.PROMOTED)
    limits = configuration.bundles.get(bundle.id) if configuration else None
    if limits and (limits.promoted_max or promoted):
        yield Text(f"{promoted} promoted (promoted-max {limits.promoted_max})")
    elif limits is None and bundle.primitive_agent and not bundle.in_role(Role.STARTED):
        # What can be promoted is never just started.
        yield Text(f"{promoted} promoted (promoted-max unknown)")


def _replica(replica: Replica, *, told: bool) -> Sequence[Text]:
    """Return the cells of a replica; its role is the state of its service resource."""
    role, connection = _state(replica.service), _state(replica.connection)
    if replica.running and not replica.ready:
        role.style = _BAD  # never in the colour of what is well
    if replica.connection and (elsewhere := set(replica.connection.nodes) - set(replica.hosts)):
        connection.append(f" on {', '.join(printable(node.name) for node in elsewhere)}")
    return (
        _text(replica.index),
        role,
        _text(", ".join(host.name for host in replica.hosts)),
        # Without a primitive the container is the service.
        _state(replica.container if replica.primitive else None),
        _state(replica.ip),
        connection,
        _ready(replica, told=told),
    )


def _ready(replica: Replica, *, told: bool) -> Text:
    reasons = why_not_ready(replica)
    if reasons:
        return _text(f"no: {', '.join(reasons)}", _BUSY if replica.pending else _BAD)
    mark = "in maintenance" if replica.maintenance else "unmanaged" if replica.unmanaged else ""
    return Text(f"yes, {mark}", _BUSY) if mark and not told else Text("yes", _GOOD)


def _state(resource: Resource | None) -> Text:
    """Say what crm_mon says of a resource: its role, and what holds against it."""
    if resource is None:
        return Text()
    words = [resource.role.value, *_marks(resource)]
    failed = resource.blocked or (resource.failed and not resource.failure_ignored)
    style = _BAD if failed else _BUSY if len(words) > 1 else _role_style(resource.role)
    return _text(", ".join(words), style)


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


def _role_style(role: Role) -> str:
    return _STYLES.get(role, _BUSY)


def _resources(instances: Sequence[Instance]) -> Table | None:
    """Return a row for each resource, its instances taken together."""
    resources: dict[tuple[str, str, str, str], list[Resource]] = {}
    for instance in instances:
        resource = instance.resource
        key = (resource.id, resource.agent, instance.group, instance.clone)
        resources.setdefault(key, []).append(resource)
    rows = [
        (
            _text(name),
            _text(agent),
            _text(group),
            _text(clone),
            _together(members, cloned=bool(clone)),
        )
        for (name, agent, group, clone), members in resources.items()
    ]
    return _table(("RESOURCE", "AGENT", "GROUP", "CLONE", "STATE"), rows)


def _together(resources: Sequence[Resource], *, cloned: bool) -> Text:
    """Say where instances are in which role, and what holds for any of them."""
    nodes: dict[Role, list[str]] = {}
    for resource in resources:
        nodes.setdefault(resource.role, []).extend(node.name for node in resource.nodes)
    if cloned and len(nodes) > 1:
        # crm_mon lists more stopped members than there can be: their number says nothing.
        nodes.pop(Role.STOPPED, None)
    parts = [
        _text(f"{role} on {', '.join(names)}" if names else role.value, _role_style(role))
        for role, names in nodes.items()
    ]
    marks = dict.fromkeys(mark for resource in resources for mark in _marks(resource))
    if all(resource.disabled for resource in resources):
        marks["disabled"] = None
    if any(not resource.managed and not resource.blocked for resource in resources):
        marks["unmanaged"] = None
    bad = {"failed", "blocked"}
    return _sentence(*parts, *(_text(mark, _BAD if mark in bad else _BUSY) for mark in marks))


def _fail_counts(sight: Sight) -> Table | None:
    rows = [
        (
            _text(entry.resource),
            _text(entry.node),
            _text(_score(entry.fail_count)),
            _text(_score(entry.migration_threshold)),
            _text(_when(entry.last_failure, sight)),
        )
        for entry in sight.snapshot.history
        if entry.fail_count > 0
    ]
    return _table(("RESOURCE", "NODE", "COUNT", "THRESHOLD", _LAST_FAILURE), rows)


def _failed_actions(sight: Sight) -> Table | None:
    rows = [
        (
            _text(action.resource),
            _text(action.node),
            _text(action.operation),
            _text(
                f"rc {action.rc}" + ("" if action.status == "complete" else f", {action.status}")
            ),
            _text(action.reason),
            _text(_when(action.last_change, sight)),
        )
        for action in sight.snapshot.failed_actions
    ]
    return _table(("RESOURCE", "NODE", "OPERATION", "RESULT", "REASON", _WHEN), rows)


def _fencing(sight: Sight) -> Table | None:
    styles = {"success": _GOOD, "failed": _BAD}
    rows = [
        (
            _text(event.target),
            _text(event.action),
            _text(event.status, styles.get(event.status, _BUSY)),
            _text(event.reason),
            _text(_when(event.completed, sight)),
        )
        for event in sight.snapshot.fencing or ()
    ]
    return _table(("TARGET", "ACTION", "STATUS", "REASON", _WHEN), rows)


def _left_over(sight: Sight) -> Table | None:
    preferences = sight.configuration.preferences if sight.configuration else ()
    rows = [
        (
            _text(ban.resource),
            _text(ban.node),
            _text(_score(ban.score) + (", promoted only" if ban.promoted_only else "")),
            _text(ban.constraint),
        )
        for ban in (*sight.snapshot.bans, *preferences)
        if ban.by_command
    ]
    return _table(("RESOURCE", "NODE", "SCORE", "CONSTRAINT"), rows)


def _tickets(snapshot: Snapshot) -> Table | None:
    rows = [
        (
            _text(ticket.id),
            _text(
                ("granted" if ticket.granted else "revoked")
                + (", standby" if ticket.standby else "")
            ),
        )
        for ticket in snapshot.tickets
    ]
    return _table(("TICKET", "STATE"), rows)


def _what_is_wrong(found: Sequence[Problem]) -> Iterator[RenderableType]:
    if not found:
        yield Text("Nothing is wrong.", _GOOD)
        return
    yield Text("What is wrong", "bold")
    told: set[str] = set()
    for problem in found:
        named = problem.subject in {Subject.NODE, Subject.RESOURCE}
        name = f"{problem.subject} {problem.name}" if named else problem.name or "cluster"
        yield _indented(_text(name, "bold"))
        for text in problem.texts:
            yield _hanging("-", _text(text))
        for command in problem.commands:
            if command not in told:
                mark = "  # changes the cluster" if changes_cluster(command) else ""
                yield _hanging("$", _text(command, "cyan") + _text(mark, _FAINT))
        told.update(problem.commands)


# ---- The configuration of a bundle ----


def details_page(details: BundleDetails) -> Iterator[RenderableType]:
    """Yield the parts of a bundle's configuration, as the CIB has it."""
    yield _text(f"{details.id} ({details.engine})", "bold")
    yield from _settings("Container", details.container)
    yield from _settings("Network", details.network)
    yield from _listed("Port mappings", details.port_mappings)
    yield from _listed("Storage mappings", details.storage_mappings)
    if primitive := details.primitive:
        yield ""
        yield _text(f"Primitive {primitive.id} ({primitive.agent or 'of a template'})", "bold")
        yield from _settings("Instance attributes", primitive.instance_attributes)
        yield from _settings("Meta attributes", primitive.meta_attributes)
        yield from _listed("Operations", primitive.operations)
    yield from _settings("Meta attributes of the bundle", details.meta_attributes)
    if HIDDEN in str(details):
        yield ""
        yield Text(f"{HIDDEN}: --secrets shows it", _FAINT)


def _settings(title: str, pairs: Pairs) -> Iterator[RenderableType]:
    if pairs:
        grid = Table.grid(padding=(0, 2, 0, 0))
        for name, value in pairs:
            grid.add_row(_text(name, "cyan"), _text(value))
        yield from _section(title, grid)


def _listed(title: str, entries: Sequence[Pairs]) -> Iterator[RenderableType]:
    if entries:
        yield Group("", Text(title, "bold"))
    for entry in entries:
        yield _hanging("-", _text(" ".join(f"{name}={value}" for name, value in entry)), 2)


# ---- Layout ----


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style, overflow="fold")


def _sentence(*parts: Text) -> Text:
    return Text(", ").join(parts)


def _indented(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, 2))


def _hanging(mark: str, text: Text, indent: int = 4) -> Padding:
    """Set a paragraph behind a mark, its further lines below its first."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text(mark, _FAINT), text)
    return Padding(grid, (0, 0, 0, indent))


def _section(title: str, table: Table | None) -> Iterator[RenderableType]:
    if table is not None:
        yield Group("", Text(title, "bold"), _indented(table))


def _table(headers: Sequence[str], rows: Sequence[Sequence[Text]]) -> Table | None:
    """Return a table without the columns that are empty; None without rows."""
    if not rows:
        return None
    wanted = [any(row[column] for row in rows) for column in range(len(headers))]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=_FAINT)
    for header, want in zip(headers, wanted, strict=True):
        if want:
            # A time in two lines is hard to read, and to compare.
            table.add_column(Text(header), overflow="fold", no_wrap=header in _TIMES)
    for row in rows:
        table.add_row(*(cell for cell, want in zip(row, wanted, strict=True) if want))
    return table


def _score(score: int | None) -> str:
    if score is None:
        return ""
    if abs(score) >= INFINITY:
        return "INFINITY" if score > 0 else "-INFINITY"
    return str(score)


def _when(moment: float | None, sight: Sight, zone: str = "") -> str:
    """Write a time, with its age where the answer is of now."""
    time = utc(moment)
    if moment is None or time is None:
        return ""
    age = sight.now - moment
    known = "" if sight.taken is None or age < 0 else f", {_age(age)} ago"
    return f"{time:%Y-%m-%d %H:%M:%S}{zone}{known}"


def _age(seconds: float) -> str:
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{int(seconds / unit)} {name}"
    return f"{int(seconds)} s"
