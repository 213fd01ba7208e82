"""Runs crm_mon and parses its XML.

The parser reads the output of Pacemaker 1.1.18 to 3.0.2, with both roots (`<crm_mon>` of --as-xml
and `<pacemaker-result>` of --output-as=xml) and both sets of role names. A missing required
attribute is an error with element and line. Optional attributes may be missing or empty, and
unknown ones are ignored.
"""

import html
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from lxml import etree

from exporter.cluster.agents import is_connection
from exporter.cluster.model import (
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
from exporter.cluster.outcome import Failure, Outcome
from exporter.cluster.selection import Collector
from exporter.cluster.text import REASON_LIMIT, shortened
from exporter.pacemaker.runner import Commands, Completed, last_line
from exporter.pacemaker.timestamps import Times
from exporter.pacemaker.xml import (
    MalformedError,
    ParseCache,
    UnreadableError,
    flag,
    free_in_pieces,
    parse_document,
    reading,
    required,
    required_flag,
    to_flag,
    to_int,
    to_number,
    to_score,
    where,
)
from exporter.runtime.clock import Clock

# Without `options` the summary has no <cluster_options>. Rules of location constraints ask for
# attributes. `bans` and `tickets` are left out: for either, crm_mon applies all constraints to all
# nodes, which takes most of its time if there are hundreds of both. The CIB has them.
_SECTIONS = ("none", "summary", "options", "nodes", "resources", "attributes")
# Without `operations` the history lists only failures.
_HISTORIES = frozenset({"failcounts", "operations"})
_SECTIONS_OF = {
    Collector.FAILURES: ("failcounts", "operations", "failures"),
    Collector.FENCING: ("fencing",),
}

_RESOURCE_TAGS = ("resource", "group", "clone", "bundle")
_SECTION_OPTIONS = {"--include": True, "-I": True, "--exclude": False, "-U": False}
_NEEDED_SECTIONS = frozenset({"nodes", "resources"})
# Of options in one letter, only those without a value can be written together.
_GROUPED_BY_NODE = re.compile(r"-[1rjfotRAcbDNQVX]*n[1rjfotRAcbDNQVXn]*")

FindNode = Callable[[str], Node | None]
"""Returns the listed node with a name, else None."""

_EX_USAGE = 64
# Pacemaker 1.1 uses getopt and exits with 1; later versions use GOption and exit with 64.
_USAGE_ERROR = re.compile(r"(unrecognized|unknown|invalid) option", re.IGNORECASE)

DISCONNECTED = frozenset({102, 107})  # CRM_EX_DISCONNECT; 1.1 exits with ENOTCONN
INSUFFICIENT_PRIVILEGES = 4

_ROLES = {role.value: role for role in Role} | {"master": Role.PROMOTED, "slave": Role.UNPROMOTED}
# 3.0 renamed these; dashboards should not depend on the version.
_OPERATION_STATUSES = {
    "Done": "complete",
    "Timed out": "Timed Out",
    "Unsupported": "NOT SUPPORTED",
    "Pending": "pending",
}
_NODE_TYPES = {kind.value: kind for kind in (NodeType.MEMBER, NodeType.REMOTE, NodeType.PING)}
_CONTAINER_AGENTS = frozenset(f"ocf:heartbeat:{engine}" for engine in ENGINES)
_IP_AGENT = "ocf:heartbeat:IPaddr2"
_OPERATION_KEY = re.compile(r"(?P<resource>.+?)_(?P<task>migrate_to|migrate_from|[^_]+)_\d+")
_HISTORY_ID = re.compile(r"(?P<resource>.+)_last(_failure)?_0")
_OCTAL_BYTES = re.compile(r"(\\37777777[67][0-7]{2})+")
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]+")  # in the id of an IPv6 address, dots replace colons


@dataclass(frozen=True, slots=True)
class Request:
    """One way to run crm_mon."""

    arguments: tuple[str, ...]
    sections: tuple[str, ...] = ()
    """Sections for --include; empty for a crm_mon without that option."""

    def argv(self, *, histories: bool) -> tuple[str, ...]:
        """Return the arguments, with or without the sections of operation histories."""
        if not self.sections:
            return self.arguments
        sections = [s for s in self.sections if histories or s not in _HISTORIES]
        return (*self.arguments, f"--include={','.join(sections)}")

    def omits_histories(self, *, histories: bool) -> bool:
        """Whether the answer lacks operation histories that are selected."""
        return not histories and not _HISTORIES.isdisjoint(self.sections)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one run of crm_mon."""

    completed: Completed
    partial: bool = False
    """Whether operation histories were left out."""


def requests(collectors: Collection[Collector]) -> tuple[Request, ...]:
    """Return the requests to try, best first.

    Pacemaker 2.0.3 added --include and --output-as. 2.1 hides --as-xml, but 3.0.2 still has it.
    Without --inactive some versions leave out stopped replicas.
    """
    wanted = (s for c in Collector if c in collectors for s in _SECTIONS_OF.get(c, ()))
    return (
        Request(("--output-as=xml", "--inactive"), (*_SECTIONS, *wanted)),
        Request(("--output-as=xml", "--inactive")),
        Request(("--as-xml", "--inactive")),
    )


class PartialAnswerError(MalformedError):
    """The answer is that of a selection, such as one node: it hides the rest of the cluster."""

    def __init__(self, selection: str) -> None:
        super().__init__(
            f"crm_mon was asked for a part of the cluster, or in another form ({selection}), which"
            " hides the rest: run crm_mon --output-as=xml --inactive without more options"
        )


class CrmMon:
    """Runs crm_mon with the best arguments that the installed version accepts."""

    def __init__(
        self,
        commands: Commands,
        path: str,
        clock: Clock,
        collectors: Collection[Collector] = frozenset(Collector),
    ) -> None:
        """Args: the command runner, path of crm_mon, the clock, the optional parts to request."""
        self._commands = commands
        self._path = path
        self._clock = clock
        self._all_requests = requests(collectors)
        self._requests = self._all_requests

    def forget(self) -> None:
        """Try the best request again: Pacemaker may have been upgraded."""
        self._requests = self._all_requests

    def ask(self, timeout: float, *, histories: bool = True) -> Answer | Failure:
        """Run crm_mon, trying the next request after a usage error.

        Later calls begin with the request that worked.

        Args:
            timeout: seconds for all tries together.
            histories: whether to request operation histories. A crm_mon without --include always
                prints them.

        Returns:
            The answer, or why crm_mon did not run to its end.

        """
        deadline = self._clock.monotonic() + timeout
        ending = usage_message = ""
        for request in self._requests:
            completed = self._commands.run(
                (self._path, *request.argv(histories=histories)),
                max(0.0, deadline - self._clock.monotonic()),
            )
            if isinstance(completed, Failure):
                return completed
            if not _is_usage_error(completed):
                self._requests = (request, *(r for r in self._all_requests if r != request))
                return Answer(completed, request.omits_histories(histories=histories))
            ending, usage_message = completed.ending, _usage_message(completed.stderr)
        self._requests = self._all_requests
        return Failure(
            Outcome.EXIT_STATUS,
            f"crm_mon accepts neither --output-as=xml nor --as-xml ({ending}):"
            f" {usage_message}; is {self._path} a crm_mon?",
        )


def read(answer: Completed | Failure, cache: ParseCache | None = None) -> Snapshot | Failure:
    """Parse an answer of crm_mon; unchanged parts are reused from `cache`.

    Returns:
        The snapshot, or why the answer has no cluster status. A failure is returned unchanged.

    """
    if isinstance(answer, Failure):
        return answer
    if answer.status == 0:
        return reading("crm_mon", lambda: parse(answer.stdout, answer.stderr, cache))
    reason = reading("crm_mon", lambda: _reason(answer))
    if isinstance(reason, Failure):
        return reason
    return _failure(answer.status, answer.ending, reason)


def parse(data: bytes, stderr: str = "", cache: ParseCache | None = None) -> Snapshot:
    """Parse crm_mon's XML.

    Args:
        data: the XML.
        stderr: what crm_mon printed there, for the message of an error.
        cache: reuses the parsed form of unchanged elements.

    Raises:
        PartialAnswerError: crm_mon was asked for a part of the cluster only.
        UnreadableError: the XML is malformed or incomplete, or reports an error.
        MemoryError: there is not enough memory.

    """
    root = parse_document(data, "crm_mon")
    if root.tag == "crm-mon-disconnected" or root.find("crm-mon-disconnected") is not None:
        raise _unreadable(102, "crm-mon-disconnected", _errors(root))
    if root.tag not in {"crm_mon", "pacemaker-result"}:
        raise MalformedError(
            f"crm_mon printed XML that starts with {where(root)}, not with <pacemaker-result> or"
            " <crm_mon>"
        )
    status = root.find("status")
    if status is not None and (code := to_int(status.get("code"))):
        raise _unreadable(code, f"status code {code}", _errors(root))
    if root.tag == "crm_mon" and not len(root):
        # --as-xml prints this without a cluster; a command prefix may hide the exit status.
        raise _unreadable(102, "no content", "")
    if selection := _selection(root):
        raise PartialAnswerError(selection)
    summary = root.find("summary")
    if summary is None:
        raise UnreadableError(
            Outcome.INCOMPLETE,
            "crm_mon succeeded but printed no cluster status:"
            f" {_errors(root) or last_line(stderr)}; do all Pacemaker daemons of this node answer,"
            " and do ACLs let this user read?",
        )
    cache = cache or ParseCache()
    with cache.document():
        listed = root.find("nodes")
        parsed = None if listed is None else cache.read(listed, _nodes, lambda _: None)
        nodes, running = parsed or ({}, {})
        found = root.iterfind("resources//bundle")
        bundles = tuple(cache.read(element, _bundle, nodes.get) for element in found)
    _reject_duplicates(bundles)
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


def _selection(root: etree._Element) -> str:
    """Return the option that made an answer partial; empty if it is whole.

    The root tells how crm_mon was called, except with --as-xml. Then only what an answer lacks, and
    refers to all the same, tells.
    """
    words = root.get("request", "").split()[1:]
    for word in words:
        option = word.partition("=")[0]
        if option in {"--group-by-node", "--node", "--resource"}:
            return option
        if _GROUPED_BY_NODE.fullmatch(word):
            return "--group-by-node"
    left_out = _NEEDED_SECTIONS - _sections(words)
    for section in sorted(left_out):
        if root.find(section) is None:
            return f"--exclude={section}"
    if any(root.find(f"nodes/node/{tag}") is not None for tag in _RESOURCE_TAGS):
        return "--group-by-node"
    if root.find("nodes") is None and root.find("resources//node") is not None:
        return "--exclude=nodes"
    return ""


def _sections(words: Sequence[str]) -> set[str]:
    """Return which of the needed sections a call of crm_mon includes."""
    included = set(_NEEDED_SECTIONS)
    following = [*words, ""][1:]
    for word, after in zip(words, following, strict=True):
        option, _, value = word.partition("=")
        if option not in _SECTION_OPTIONS:
            option, value = word[:2], word[2:]
        if option not in _SECTION_OPTIONS or option == "--":
            continue
        include = _SECTION_OPTIONS[option]
        for section in (value or after).split(","):
            if section in {"all", "default", "none"}:
                everything = include is (section != "none")
                included = set(_NEEDED_SECTIONS) if everything else set()
            elif include:
                included.add(section)
            else:
                included.discard(section)
    return included


def _is_usage_error(completed: Completed) -> bool:
    if completed.status == _EX_USAGE:
        return True
    return completed.status > 0 and _USAGE_ERROR.search(completed.stderr) is not None


def _usage_message(stderr: str) -> str:
    """Return the error line of a usage message, without the help that follows it."""
    lines = [line.strip() for line in stderr.splitlines() if _USAGE_ERROR.search(line)]
    return shortened(lines[0], REASON_LIMIT) if lines else last_line(stderr)


def _unreadable(code: int, ending: str, reason: str) -> UnreadableError:
    failure = _failure(code, ending, reason)
    return UnreadableError(failure.outcome, failure.message)


def _failure(code: int, ending: str, reason: str) -> Failure:
    because = f": {reason}" if reason else ""
    if code in DISCONNECTED:
        return Failure(
            Outcome.NOT_CONNECTED,
            f"crm_mon cannot reach the cluster ({ending}){because}; is Pacemaker running here?",
        )
    if code == INSUFFICIENT_PRIVILEGES:
        return Failure(
            Outcome.PERMISSION_DENIED,
            f"crm_mon has no access to the cluster ({ending}){because};"
            " add the exporter's user to group haclient",
        )
    return Failure(Outcome.EXIT_STATUS, f"crm_mon failed ({ending}){because}")


def _reason(completed: Completed) -> str:
    """Return the reason of a failure: from <errors>, stderr, or (1.1) plain text on stdout."""
    try:
        errors = _errors(parse_document(completed.stdout, "crm_mon"))
    except MalformedError:
        text = completed.stderr or completed.stdout[:1000].decode(errors="replace")
        return last_line(text)
    return errors or last_line(completed.stderr)


def _errors(root: etree._Element) -> str:
    errors = "; ".join(" ".join("".join(e.itertext()).split()) for e in root.iter("error"))
    return shortened(errors, REASON_LIMIT)


def _cluster(root: etree._Element, summary: etree._Element, times: Times) -> Cluster:
    def attribute(path: str, name: str) -> str | None:
        element = summary.find(path)
        return None if element is None else element.get(name)

    def option(name: str) -> bool | None:
        return to_flag(attribute("cluster_options", name))

    dc = summary.find("current_dc")
    last_change = attribute("last_change", "time") or ""
    fencing = option("fencing-enabled")  # its name since 3.0.2
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
        last_change_user=attribute("last_change", "user") or "",
        last_change_client=attribute("last_change", "client") or "",
        last_change_origin=attribute("last_change", "origin") or "",
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
    """Return nodes and their numbers of running resources, both by name.

    Of nodes with the same name the online one wins: a node that returned with another id leaves
    its old entry behind, offline for good.
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
        resource=element.get("id_as_resource", ""),
    )


def _bundle(element: etree._Element, node: FindNode) -> Bundle:
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


def _replica(element: etree._Element, bundle: str, engine: str, node: FindNode) -> Replica:
    """Tell the components apart by the ids that Pacemaker gives them, else by their agents.

    The agent is only the second choice because the primitive, too, may be an IPaddr2 or a podman.
    A primitive always has a connection.
    """
    index = required(element, "id")
    rest = [_resource(child, node) for child in element.iterchildren("resource")]

    def take(test: Callable[[Resource], bool]) -> Resource | None:
        # The last match: crm_mon prints the primitive before container and connection.
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
    connection = connection or take(is_connection)
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


def _resource(element: etree._Element, node: FindNode) -> Resource:
    get = element.get
    return Resource(
        id=required(element, "id"),
        agent=required(element, "resource_agent").replace("::", ":"),
        role=_ROLES.get(required(element, "role").lower(), Role.UNKNOWN),
        active=required_flag(element, "active"),
        # Renamed to `removed` in 3.0.2, which still prints both.
        orphaned=flag(element, "orphaned") or flag(element, "removed"),
        blocked=flag(element, "blocked"),
        managed=flag(element, "managed", default=True),
        failed=flag(element, "failed"),
        failure_ignored=flag(element, "failure_ignored"),
        maintenance=flag(element, "maintenance"),
        target_role=get("target_role", ""),
        pending=get("pending", ""),
        locked_to=get("locked_to", ""),
        nodes=_active_on(element, node),
    )


def _active_on(element: etree._Element, node: FindNode) -> tuple[Node, ...]:
    names = dict.fromkeys([required(child, "name") for child in element.iterchildren("node")])
    # Of a node that is not listed only the name is known.
    return tuple([node(name) or Node(name) for name in names])


def _reject_duplicates(bundles: tuple[Bundle, ...]) -> None:
    """Raise if a bundle, or a replica of a bundle, is listed twice: series need unique ids."""
    seen = Counter((b.id, r.index) for b in bundles for r in b.replicas)
    seen.update((b.id, "") for b in bundles)
    for (bundle, replica), count in seen.items():
        if count > 1:
            what = f"replica {replica!r} of bundle {bundle!r}" if replica else f"bundle {bundle!r}"
            raise MalformedError(f"crm_mon printed {what} {count} times")


def _instances(
    within: etree._Element | None, node: FindNode, group: str = "", clone: str = ""
) -> Iterator[Instance]:
    """Yield the resources outside bundles, at any depth of groups and clones."""
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
    """Parse the operation histories; of duplicates, the highest fail-count wins."""
    entries: dict[tuple[str, str], ResourceHistory] = {}
    for node in root.iterfind("node_history/node"):
        for element in node.iterchildren("resource_history"):
            # crm_mon does not report the fail-count of a resource that is no longer configured.
            if flag(element, "orphan") or flag(element, "removed"):
                continue
            entry = ResourceHistory(
                resource=required(element, "id"),
                node=required(node, "name"),
                # There is no fail-count without a failure.
                fail_count=to_score(element.get("fail-count")) or 0,
                migration_threshold=to_score(element.get("migration-threshold")),
                last_failure=times.read(element.get("last-failure")),
            )
            known = entries.get((entry.resource, entry.node))
            if known is None or entry.fail_count > known.fail_count:
                entries[entry.resource, entry.node] = entry
    return tuple(entries.values())


def _failed_action(element: etree._Element, times: Times) -> FailedAction:
    """Parse a failed action; only its key, such as galera_monitor_10000, names the resource."""
    status = element.get("status", "")
    key = element.get("op_key") or element.get("id") or ""
    without_key = None if element.get("op_key") else _HISTORY_ID.fullmatch(key)
    match = _OPERATION_KEY.fullmatch(key)
    if without_key:  # such as galera_last_failure_0, without the operation
        resource, task = without_key["resource"], ""
    else:
        resource, task = match.group("resource", "task") if match else (key, "")
    return FailedAction(
        resource=resource,
        node=element.get("node", ""),
        operation=element.get("task") or task,
        status=_OPERATION_STATUSES.get(status, status),
        rc=element.get("exitcode", ""),
        reason=_exit_reason(element.get("exitreason", "")),
        last_change=times.read(element.get("last-rc-change")),
    )


def _exit_reason(exitreason: str) -> str:
    """Decode the exit reason of an agent; empty if it is `none`.

    From 2.0.5 on, crm_mon escapes it twice. Up to 2.1.2, it writes each non-ASCII byte as a
    negative integer in octal.
    """
    if exitreason == "none":
        return ""
    return _OCTAL_BYTES.sub(
        lambda found: bytes(int(number, 8) & 0xFF for number in found[0].split("\\")[1:]).decode(
            errors="replace"
        ),
        html.unescape(exitreason),
    )


def _fencing(root: etree._Element, times: Times) -> tuple[FencingEvent, ...] | None:
    history = root.find("fence_history")
    if history is None:
        return ()
    status = history.get("status")  # on success absent or 0, depending on the version
    if status and to_int(status) != 0:
        return None
    return tuple(
        FencingEvent(
            target=element.get("target", ""),
            action=element.get("action", ""),
            # Named `state` before 2.0.3.
            status=element.get("status") or element.get("state") or "",
            completed=times.read(element.get("completed")),
            origin=element.get("origin", ""),
            reason=element.get("exit-reason", ""),
        )
        for element in history.iterchildren("fence_event")
    )


def _ban(element: etree._Element) -> Ban:
    return Ban(
        constraint=required(element, "id"),
        resource=element.get("resource", ""),
        node=element.get("node", ""),
        score=to_score(element.get("weight")) or 0,
        # Named master_only before 2.1.
        promoted_only=flag(element, "promoted-only", default=flag(element, "master_only")),
    )


def _ticket(element: etree._Element) -> Ticket:
    return Ticket(
        id=required(element, "id"),
        # 2.1.9 added `granted`.
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
