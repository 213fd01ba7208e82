"""crm_mon: how it is asked, and the only reader of its XML.

Reads what Pacemaker 1.1.18 to 3.0.2 print: both roots (`<crm_mon>` of --as-xml and
`<pacemaker-result>` of --output-as=xml), both vocabularies of roles. What is required and missing
is an error with element and line; what is optional may be missing, empty or new; what is unknown
is ignored.
"""

import html
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator

from lxml import etree

from exporter.collectors import Collector
from exporter.command import Commands, Completed, last_line
from exporter.errors import Outcome, PollError
from exporter.model import (
    ENGINES,
    Ban,
    Bundle,
    Cluster,
    FailedAction,
    FencingEvent,
    Instance,
    Node,
    NodeAttribute,
    NodeType,
    Replica,
    Resource,
    ResourceHistory,
    Role,
    Snapshot,
    Ticket,
)
from exporter.times import Times
from exporter.xml import (
    MalformedError,
    Memory,
    flag,
    free_in_pieces,
    parse_document,
    required,
    required_flag,
    to_flag,
    to_int,
    to_number,
    to_score,
    where,
)

# Without `options` the summary has no <cluster_options>.
_SECTIONS = ("none", "summary", "options", "nodes", "resources")
# Without `operations` the history lists only what failed.
_HISTORY = "failcounts,operations"
_SECTIONS_OF = {
    Collector.FAILURES: (_HISTORY, "failures"),
    Collector.FENCING: ("fencing",),
    Collector.BANS: ("bans",),
    Collector.TICKETS: ("tickets",),
    Collector.NODE_ATTRIBUTES: ("attributes",),
}

LookUp = Callable[[str], Node | None]
"""Gives the node of a name, if it is listed."""

_EX_USAGE = 64
# Pacemaker 1.1 ends with 1 after getopt's complaint; later versions, built on GOption, with 64.
_USAGE_ERROR = re.compile(r"(unrecognized|unknown|invalid) option", re.IGNORECASE)

DISCONNECTED = frozenset({102, 107})  # CRM_EX_DISCONNECT; 1.1 ended with the errno ENOTCONN
INSUFFICIENT_PRIVILEGES = 4

_ROLES = {role.value: role for role in Role} | {"master": Role.PROMOTED, "slave": Role.UNPROMOTED}
_NODE_TYPES = {kind.value: kind for kind in (NodeType.MEMBER, NodeType.REMOTE, NodeType.PING)}
_CONTAINER_AGENTS = frozenset(f"ocf:heartbeat:{engine}" for engine in ENGINES)
_CONNECTION_AGENT = "ocf:pacemaker:remote"
_IP_AGENT = "ocf:heartbeat:IPaddr2"
_OPERATION_KEY = re.compile(r"(?P<resource>.+?)_(?P<task>migrate_to|migrate_from|[^_]+)_\d+")
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]+")  # an IPv6 address has its colons made dots


def requests(collectors: Collection[Collector]) -> tuple[tuple[str, ...], ...]:
    """Return the arguments to try, the best first.

    --include and --output-as came with 2.0.3; --as-xml is hidden since 2.1 and still there in
    3.0.2. Without --inactive some versions leave stopped replicas out.
    """
    sections = [
        *_SECTIONS,
        *(s for c in Collector if c in collectors for s in _SECTIONS_OF.get(c, ())),
    ]
    return (
        ("--output-as=xml", "--inactive", f"--include={','.join(sections)}"),
        ("--output-as=xml", "--inactive"),
        ("--as-xml", "--inactive"),
    )


def _shortened(request: tuple[str, ...]) -> tuple[str, ...]:
    """Leave what nodes remember of resources out of a request."""
    return tuple(argument.replace(f",{_HISTORY}", "") for argument in request)


def is_brief(argv: Iterable[str]) -> bool:
    """Whether crm_mon was asked to leave out the history."""
    return any(a.startswith("--include=") and _HISTORY not in a for a in argv)


class CrmMon:
    """Asks crm_mon in the way that it understands, found out by trying."""

    def __init__(
        self,
        commands: Commands,
        path: str,
        collectors: Collection[Collector] = frozenset(Collector),
    ) -> None:
        """Args: what runs commands, crm_mon's path, and which parts are wanted."""
        self._commands = commands
        self._path = path
        self._known = requests(collectors)
        self._requests = self._known

    def forget(self) -> None:
        """Try the best request again: Pacemaker may have been upgraded."""
        self._requests = self._known

    def ask(self, timeout: float, *, brief: bool = False) -> Completed:
        """Run crm_mon, in all for at most `timeout` seconds.

        Where it can, a brief answer leaves out what nodes remember of resources. A usage error
        makes it try the other requests; what works is tried first from then on.

        Raises:
            PollError: crm_mon could not be run to its end.

        """
        deadline = time.monotonic() + timeout
        for request in self._requests:
            arguments = _shortened(request) if brief else request
            completed = self._commands.run(
                (self._path, *arguments), max(0.0, deadline - time.monotonic())
            )
            if not _is_usage_error(completed):
                self._requests = (request, *(r for r in self._known if r != request))
                return completed
        self._requests = self._known
        raise PollError(
            Outcome.EXIT_STATUS,
            f"crm_mon takes neither --output-as=xml nor --as-xml ({completed.how}):"
            f" {_complaint(completed.stderr)}; is {self._path} a crm_mon?",
        )


def read(completed: Completed, memory: Memory | None = None) -> Snapshot:
    """Turn what crm_mon left into a snapshot; of a memory come the parts that did not change.

    Raises:
        PollError: there is no cluster status in it; says why.

    """
    if completed.status == 0:
        return parse(completed.stdout, completed.stderr, memory)
    raise _failure(completed.status, completed.how, _reason(completed))


def parse(data: bytes, stderr: str = "", memory: Memory | None = None) -> Snapshot:
    """Read crm_mon's XML; what it said on stderr may tell why there is nothing in it.

    Raises:
        PollError: malformed, incomplete, or a report that there is no cluster to see.

    """
    root = parse_document(data, "crm_mon")
    if root.tag == "crm-mon-disconnected" or root.find("crm-mon-disconnected") is not None:
        raise _failure(102, "crm-mon-disconnected", _errors(root))
    if root.tag not in {"crm_mon", "pacemaker-result"}:
        raise MalformedError(f"crm_mon printed XML that starts with {where(root)}, not its own")
    status = root.find("status")
    if status is not None and (code := to_int(status.get("code"))):
        raise _failure(code, f"status code {code}", _errors(root))
    if root.tag == "crm_mon" and not len(root):
        # What --as-xml prints without a cluster; its exit status may be lost in a prefix.
        raise _failure(102, "no content", "")
    summary = root.find("summary")
    if summary is None:
        raise PollError(
            Outcome.INCOMPLETE,
            "crm_mon printed no cluster status, though it ended well:"
            f" {_errors(root) or last_line(stderr)}; do all daemons of Pacemaker here answer,"
            " and do ACLs let this user read?",
        )
    memory = memory or Memory()
    with memory.document():
        listed = root.find("nodes")
        told = None if listed is None else memory.recall(listed, _nodes, lambda _: None)
        nodes, running = told or ({}, {})
        found = root.iterfind("resources//bundle")
        bundles = tuple(memory.recall(element, _bundle, nodes.get) for element in found)
    _refuse_repeated(bundles)
    times, in_history = Times(), Times()
    snapshot = Snapshot(
        cluster=_cluster(root, summary, times),
        nodes=tuple(nodes.values()),
        bundles=bundles,
        instances=tuple(_instances(root.find("resources"), nodes.get)),
        history=_history(root, in_history),
        failed_actions=tuple(_failed_action(e, times) for e in root.iterfind("failures/failure")),
        fencing=_fencing(root, times),
        bans=tuple(_ban(element) for element in root.iterfind("bans/ban")),
        tickets=tuple(_ticket(element) for element in root.iterfind("tickets/ticket")),
        attributes=tuple(_attributes(root)),
        unreadable_in_history=in_history.unreadable,
        unreadable_elsewhere=times.unreadable,
        resources_running=running,
    )
    free_in_pieces(root)
    return snapshot


def _is_usage_error(completed: Completed) -> bool:
    if completed.status == _EX_USAGE:
        return True
    return completed.status > 0 and _USAGE_ERROR.search(completed.stderr) is not None


def _complaint(stderr: str) -> str:
    """Find what is wrong with a command line, in front of how it should be."""
    lines = [line.strip() for line in stderr.splitlines() if _USAGE_ERROR.search(line)]
    return lines[0] if lines else last_line(stderr)


def _failure(code: int, how: str, reason: str) -> PollError:
    because = f": {reason}" if reason else ""
    if code in DISCONNECTED:
        return PollError(
            Outcome.NOT_CONNECTED,
            f"crm_mon cannot reach the cluster ({how}){because}; is Pacemaker running here?",
        )
    if code == INSUFFICIENT_PRIVILEGES:
        return PollError(
            Outcome.PERMISSION_DENIED,
            f"crm_mon may not ask the cluster ({how}){because};"
            " put the exporter's user into group haclient",
        )
    return PollError(Outcome.EXIT_STATUS, f"crm_mon failed ({how}){because}")


def _reason(completed: Completed) -> str:
    """Find the reason of a failure: in <errors>, on stderr, or (1.1) on stdout as plain text."""
    try:
        errors = _errors(parse_document(completed.stdout, "crm_mon"))
    except MalformedError:
        text = completed.stderr or completed.stdout[:1000].decode(errors="replace")
        return last_line(text)
    return errors or last_line(completed.stderr)


def _errors(root: etree._Element) -> str:
    return "; ".join(" ".join("".join(e.itertext()).split()) for e in root.iter("error"))


def _cluster(root: etree._Element, summary: etree._Element, times: Times) -> Cluster:
    def attribute(path: str, name: str) -> str | None:
        element = summary.find(path)
        return None if element is None else element.get(name)

    def option(name: str) -> bool | None:
        return to_flag(attribute("cluster_options", name))

    dc = summary.find("current_dc")
    last_change = attribute("last_change", "time") or ""
    fencing = option("fencing-enabled")  # its name from 3.0.2 on
    return Cluster(
        pacemaker_version=attribute("current_dc", "version") or root.get("version") or "",
        api_version=root.get("api-version", ""),
        stack=attribute("stack", "type") or "",
        dc_elected=None if dc is None else required_flag(dc, "present"),
        dc_name=attribute("current_dc", "name") or "",
        quorate=to_flag(attribute("current_dc", "with_quorum")),
        mixed_version=to_flag(attribute("current_dc", "mixed_version")),
        last_change=last_change,
        last_change_time=times.read(last_change, zone=None),
        nodes_configured=to_int(attribute("nodes_configured", "number")),
        resources_configured=to_int(attribute("resources_configured", "number")),
        resources_disabled=to_int(attribute("resources_configured", "disabled")),
        resources_blocked=to_int(attribute("resources_configured", "blocked")),
        fencing_enabled=option("stonith-enabled") if fencing is None else fencing,
        symmetric=option("symmetric-cluster"),
        maintenance_mode=option("maintenance-mode"),
        stop_all_resources=option("stop-all-resources"),
    )


def _nodes(listed: etree._Element, _: object) -> tuple[dict[str, Node], dict[str, int]]:
    """Return the nodes by name, and what runs on them; of several of one name, the one online.

    A node that came back under another id leaves its old entry behind, offline for good.
    """
    nodes: dict[str, Node] = {}
    running: dict[str, int | None] = {}
    for element in listed.iterchildren("node"):
        node = _node(element)
        if node.name not in nodes or node.online:
            nodes[node.name] = node
            running[node.name] = to_int(element.get("resources_running"))
    return nodes, {name: count for name, count in running.items() if count is not None}


def _node(element: etree._Element) -> Node:
    kind = _NODE_TYPES.get(element.get("type", ""), NodeType.UNKNOWN)
    if kind is NodeType.REMOTE and element.get("id_as_resource"):
        kind = NodeType.GUEST
    return Node(
        name=required(element, "name"),
        id=element.get("id", ""),
        type=kind,
        online=required_flag(element, "online"),
        standby=flag(element, "standby"),
        standby_onfail=flag(element, "standby_onfail"),
        maintenance=flag(element, "maintenance"),
        pending=flag(element, "pending"),
        unclean=flag(element, "unclean"),
        shutdown=flag(element, "shutdown"),
        expected_up=flag(element, "expected_up"),
        dc=flag(element, "is_dc"),
        health=element.get("health"),
        feature_set=element.get("feature_set", ""),
    )


def _bundle(element: etree._Element, node: LookUp) -> Bundle:
    bundle = required(element, "id")
    engine = element.get("type", "")
    return Bundle(
        id=bundle,
        engine=engine if engine in ENGINES else "unknown",
        image=element.get("image", ""),
        unique=flag(element, "unique"),
        managed=flag(element, "managed", default=True),
        failed=flag(element, "failed"),
        maintenance=flag(element, "maintenance"),
        replicas=tuple(
            _replica(child, bundle, engine, node) for child in element.iterchildren("replica")
        ),
    )


def _replica(element: etree._Element, bundle: str, engine: str, node: LookUp) -> Replica:
    """Tell the components apart by the ids that Pacemaker makes, else by their agents.

    The primitive may itself be an IPaddr2 or of agent podman, so an agent decides only where no
    id does. A primitive never comes without a connection.
    """
    index = required(element, "id")
    rest = [_resource(child, node) for child in element.iterchildren("resource")]

    def take(test: Callable[[Resource], bool]) -> Resource | None:
        # The last one that fits: crm_mon prints the primitive before container and connection.
        for position in range(len(rest) - 1, -1, -1):
            if test(rest[position]):
                return rest.pop(position)
        return None

    def is_address(resource: Resource) -> bool:
        head, _, address = resource.id.partition(f"{bundle}-ip-")
        return resource.agent == _IP_AGENT and not head and _ADDRESS.fullmatch(address) is not None

    container = take(lambda r: r.id == f"{bundle}-{engine}-{index}")
    connection = take(lambda r: r.id == f"{bundle}-{index}")
    ip = take(is_address)
    container = container or take(lambda r: r.agent in _CONTAINER_AGENTS)
    if container is None:
        raise MalformedError(f"{where(element)} of bundle {bundle!r} has no container")
    connection = connection or take(lambda r: r.agent == _CONNECTION_AGENT)
    if ip is None and (connection is None or len(rest) > 1):
        ip = take(lambda r: r.agent == _IP_AGENT)
    return Replica(
        index=index,
        container=container,
        ip=ip,
        connection=connection,
        primitive=rest[0] if rest else None,
        guest=None if connection is None else node(connection.id),
    )


def _resource(element: etree._Element, node: LookUp) -> Resource:
    get = element.get
    return Resource(
        id=required(element, "id"),
        agent=required(element, "resource_agent").replace("::", ":"),
        role=_ROLES.get(required(element, "role").lower(), Role.UNKNOWN),
        active=required_flag(element, "active"),
        # `removed` is its name from 3.0.2 on, which still prints both.
        orphaned=flag(element, "orphaned") or flag(element, "removed"),
        blocked=flag(element, "blocked"),
        managed=flag(element, "managed", default=True),
        failed=flag(element, "failed"),
        failure_ignored=flag(element, "failure_ignored"),
        maintenance=flag(element, "maintenance"),
        target_role=get("target_role", ""),
        pending=get("pending", ""),
        nodes=_active_on(element, node),
    )


def _active_on(element: etree._Element, node: LookUp) -> tuple[Node, ...]:
    names = dict.fromkeys([required(child, "name") for child in element.iterchildren("node")])
    # A node that is not listed is known by its name only, and so neither online nor of a type.
    return tuple([node(name) or Node(name) for name in names])


def _refuse_repeated(bundles: tuple[Bundle, ...]) -> None:
    """Ids of bundles, and of replicas in one, are unique in Pacemaker; series rely on it."""
    seen = Counter((b.id, r.index) for b in bundles for r in b.replicas)
    seen.update((b.id, "") for b in bundles)
    for (bundle, replica), count in seen.items():
        if count > 1:
            what = f"replica {replica!r} of bundle {bundle!r}" if replica else f"bundle {bundle!r}"
            raise MalformedError(f"crm_mon printed {what} {count} times")


def _instances(
    within: etree._Element | None, node: LookUp, group: str = "", clone: str = ""
) -> Iterator[Instance]:
    """Yield the resources outside bundles, however they are nested."""
    for element in () if within is None else within.iterchildren("resource", "group", "clone"):
        if element.tag == "resource":
            yield Instance(_resource(element, node), group, clone)
        elif element.tag == "group":
            # storage:0, storage:1, ... in a clone
            name = required(element, "id").partition(":")[0]
            yield from _instances(element, node, name, clone)
        else:
            yield from _instances(element, node, group, required(element, "id"))


def _history(root: etree._Element, times: Times) -> tuple[ResourceHistory, ...]:
    """Read what each node remembers of each resource."""
    entries: dict[tuple[str, str], ResourceHistory] = {}
    for node in root.iterfind("node_history/node"):
        for element in node.iterchildren("resource_history"):
            entry = ResourceHistory(
                resource=required(element, "id"),
                node=required(node, "name"),
                # Without a failure there is no fail-count.
                fail_count=to_score(element.get("fail-count")) or 0,
                migration_threshold=to_score(element.get("migration-threshold")),
                last_failure=times.read(element.get("last-failure")),
            )
            known = entries.get((entry.resource, entry.node))
            if known is None or entry.fail_count > known.fail_count:
                entries[entry.resource, entry.node] = entry
    return tuple(entries.values())


def _failed_action(element: etree._Element, times: Times) -> FailedAction:
    """Read a failed action; only its key, such as galera_monitor_10000, names the resource."""
    key = element.get("op_key") or element.get("id") or ""
    match = _OPERATION_KEY.fullmatch(key)
    resource, task = match.group("resource", "task") if match else (key, "")
    return FailedAction(
        resource=resource,
        node=element.get("node", ""),
        operation=element.get("task") or task,
        status=element.get("status", ""),
        rc=element.get("exitcode", ""),
        # Escaped twice from 2.0.5 on.
        reason=html.unescape(element.get("exitreason", "")),
        last_change=times.read(element.get("last-rc-change")),
    )


def _fencing(root: etree._Element, times: Times) -> tuple[FencingEvent, ...] | None:
    history = root.find("fence_history")
    if history is None:
        return ()
    if to_int(history.get("status")):
        return None
    return tuple(
        FencingEvent(
            target=element.get("target", ""),
            action=element.get("action", ""),
            status=element.get("status", ""),
            completed=times.read(element.get("completed")),
            origin=element.get("origin", ""),
            reason=html.unescape(element.get("exit-reason", "")),
        )
        for element in history.iterchildren("fence_event")
    )


def _ban(element: etree._Element) -> Ban:
    return Ban(
        constraint=required(element, "id"),
        resource=element.get("resource", ""),
        node=element.get("node", ""),
        score=to_score(element.get("weight")) or 0,
        # master_only is its name before 2.1.
        promoted_only=flag(element, "promoted-only", default=flag(element, "master_only")),
    )


def _ticket(element: etree._Element) -> Ticket:
    return Ticket(
        id=required(element, "id"),
        # `granted` came with 2.1.9.
        granted=flag(element, "granted", default=element.get("status") == "granted"),
        standby=flag(element, "standby"),
    )


def _attributes(root: etree._Element) -> Iterator[NodeAttribute]:
    for node in root.iterfind("node_attributes/node"):
        for element in node.iterchildren("attribute"):
            value = element.get("value", "")
            yield NodeAttribute(
                required(node, "name"), required(element, "name"), value, to_number(value)
            )
