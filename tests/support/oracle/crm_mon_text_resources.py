"""A reader of what the text of ``crm_mon -1 --inactive`` of Pacemaker 2.1.5 says beside bundles.

Written from that text alone, with nothing of the exporter in it, as crm_mon_text.py is. Resources::

      * Resource Group: web (unmanaged):
        * address<TAB>(ocf:heartbeat:IPaddr2):<TAB> Started node-a
      * Clone Set: storage-clone [storage] (promotable):
        * Resource Group: storage:0:
          * disk<TAB>(ocf:linbit:drbd):<TAB> FAILED node-b
        * Promoted: [ node-a ]
        * Stopped: [ node-c ]

The lists stand for the sound instances of a clone, each of them all that the clone is made of; with
--show-detail there are none, and every instance has lines of its own. `Stopped` lists the nodes
that an instance might run on, so how many are stopped is in the lines of --show-detail only.

The sections that come after, with --failcounts, --operations, --neg-locations, --tickets and
--show-node-attributes, name a node with its id, and a guest node with its host, in --show-detail.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.support.oracle.crm_mon_text import Line, resource_line

_SECTION = re.compile(r"(?P<title>[A-Z][A-Za-z ]+):")
_GROUP = re.compile(r"\* Resource Group: (?P<id>\S+?)(?: \([a-z, ]+\))?:")
_CLONE = re.compile(r"\* Clone Set: (?P<id>\S+) \[\S+\](?: \((?P<flags>[a-z, ]+)\))?:")
_LIST = re.compile(
    r"\* (?P<role>Started|Promoted|Unpromoted|Stopped)(?P<why> \([^()]+\))?: \[ (?P<nodes>.+) \]"
)
_BUNDLE = re.compile(r"\* Container bundle(?: set)?: .*:")

_NAME = r"(?P<node>[^\s@]+)(?:@\S*)?(?: \((?P<id>\S+)\))?"
"""Of a node, in --show-detail with its host or its id."""

_NODE = re.compile(
    rf"  \* (?P<kind>|Guest|Remote)Node {_NAME}: "
    r"(?P<status>(?:UNCLEAN|OFFLINE|standby) \([a-z -]+\)|[A-Za-z]+)"
    r"(?: \(health is (?P<health>RED|YELLOW)\))?(?:, feature set (?P<feature_set>.+))?"
)
_NODES = re.compile(r"  \* (?P<kind>|Guest|Remote)(?P<status>Online|OFFLINE): \[ (?P<nodes>.+) \]")
_DC = re.compile(
    r"  \* Current DC: (?:NONE|(?P<name>\S+)(?: \([^()]+\))? \(version [^()]*\)"
    r" - (?:MIXED-VERSION )?partition (?P<quorum>with|WITHOUT) quorum)"
)
_COUNT = re.compile(
    r"  \* (?P<number>\d+) (?P<what>node|resource instance)s? configured"
    r"(?: \((?:(?P<disabled>\d+) DISABLED)?(?:, )?"
    r"(?:(?P<blocked>\d+) BLOCKED from further action due to failure)?\))?"
)

_FAILURE = re.compile(
    r"  \* (?P<resource>\S+) (?:\S+-interval )?(?P<operation>\S+) on (?P<node>\S+) "
    r"(?:returned|could not be executed) .*"
)
_DETAILED_FAILURE = re.compile(
    r"  \* (?P<key>\S+) on (?P<node>\S+) '[^']*' \((?P<rc>\d+)\): "
    r"call=\S+, status='(?P<status>[^']*)'.*"
)
_BAN = re.compile(
    r"  \* (?P<constraint>\S+)\tprevents (?P<resource>\S+) from running "
    rf"(?P<promoted>in Promoted role )?on {_NAME}"
)
_FENCING = re.compile(r"  \* (?P<action>\S+) of (?P<target>\S+) .*")
_TICKET = re.compile(
    r"  \* (?P<id>\S+): (?P<state>granted|revoked)(?P<standby> \[standby\])?"
    r"(?: last-granted=\".*\")?"
)
_OF_NODE = re.compile(rf"  \* Node: {_NAME}:")
_FAIL_COUNT = re.compile(
    r"    \* (?P<resource>\S+): migration-threshold=(?P<threshold>\d+)"
    r"(?: fail-count=(?P<count>\d+))?(?: last-failure='(?P<time>[^']+)')?:?"
)
_OPERATION = re.compile(r"      \* \(\S+\) .*")
_ATTRIBUTE = re.compile(
    r"    \* (?P<name>\S+) *\t: (?P<value>.*?) *(?:\t: Connectivity is (?:lost|degraded .*))?"
)


@dataclass(frozen=True, slots=True)
class Instance:
    """A line of its own of an instance of a resource, and what it is nested in."""

    line: Line
    group: str
    """As written, with the number that a cloned group's instances have: `storage:0`."""
    clone: str
    promotable: bool
    """The clone is."""
    anonymous: bool
    """The clone is not unique."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Nodes that have an instance each of a clone, all of it in one role."""

    clone: str
    role: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """What is said of a node."""

    name: str
    kind: str
    """Empty, `Guest` or `Remote`."""
    status: str
    """Such as `online` or `UNCLEAN (offline)`."""
    id: str | None
    """With --show-detail, where it is not the name."""
    health: str | None
    """RED or YELLOW."""
    feature_set: str | None
    """With --show-detail, of members that are up."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed action. With --show-detail `resource` is empty and `operation` is its key."""

    resource: str
    operation: str
    node: str
    status: str = ""
    rc: str = ""


@dataclass(frozen=True, slots=True)
class Ban:
    """A negative location constraint; how negative is not said."""

    constraint: str
    resource: str
    node: str
    promoted: bool


@dataclass(frozen=True, slots=True)
class FailCount:
    """How often a resource has failed on a node, and when it last did, as text."""

    resource: str
    """In the migration summary with the number of an instance, of an anonymous clone too."""
    node: str
    threshold: int
    count: int
    last: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The first lines."""

    dc: str | None
    quorum: bool | None
    """None without a DC."""
    counts: Mapping[str, int]
    """node, resource instance, DISABLED, BLOCKED."""


@dataclass(frozen=True, slots=True)
class Rest:
    """All that the text says beside the bundles."""

    summary: Summary
    nodes: tuple[Node, ...]
    instances: tuple[Instance, ...]
    lists: tuple[Listed, ...]
    failures: tuple[Failure, ...]
    bans: tuple[Ban, ...]
    tickets: Mapping[str, tuple[bool, bool]]
    """Granted, in standby."""
    fail_counts: tuple[FailCount, ...]
    """The migration summary: what has failed."""
    history: tuple[FailCount, ...]
    """With --operations, which brings them in place of the summary: what has been tried."""
    attributes: Mapping[tuple[str, str], str]
    """By node and name."""
    fencing: frozenset[tuple[str, str, str]]
    """Target, action and status, pending or failed, of a live cluster."""


def read(text: str) -> Rest:
    """Read the whole text.

    Raises:
        ValueError: a line is none that is known here.

    """
    sections = _sections(text)
    unknown = sections.keys() - {
        "Cluster Summary",
        "Node List",
        "Full List of Resources",
        "Node Attributes",
        "Migration Summary",
        "Operations",
        "Failed Resource Actions",
        "Negative Location Constraints",
        "Tickets",
        "Pending Fencing Actions",
        "Failed Fencing Actions",
    }
    if unknown:
        raise ValueError(f"no section of crm_mon: {unknown}")

    def of(title: str) -> Sequence[str]:
        return sections.get(title, ())

    resources = list(_resources(of("Full List of Resources")))
    tickets = [_match(line, _TICKET) for line in of("Tickets")]
    return Rest(
        summary=_summary(of("Cluster Summary")),
        nodes=tuple(_nodes(of("Node List"))),
        instances=tuple(found for found in resources if isinstance(found, Instance)),
        lists=tuple(found for found in resources if isinstance(found, Listed)),
        failures=tuple(map(_failure, of("Failed Resource Actions"))),
        bans=tuple(map(_ban, of("Negative Location Constraints"))),
        tickets={t["id"]: (t["state"] == "granted", t["standby"] is not None) for t in tickets},
        fail_counts=tuple(_fail_counts(of("Migration Summary"))),
        history=tuple(_fail_counts(of("Operations"))),
        attributes={
            (node, match["name"]): match["value"]
            for node, match in _by_node(of("Node Attributes"), _ATTRIBUTE)
        },
        fencing=frozenset(
            (match["target"], match["action"], status.lower())
            for status in ("Pending", "Failed")
            for match in (_match(line, _FENCING) for line in of(f"{status} Fencing Actions"))
        ),
    )


def _sections(text: str) -> Mapping[str, Sequence[str]]:
    sections: dict[str, list[str]] = {}
    within: list[str] = []
    for line in text.splitlines():
        if title := _SECTION.fullmatch(line):
            within = sections.setdefault(title["title"], [])
        elif line.startswith(("  * ", "    ")):
            within.append(line)
    return sections


def _match(line: str, *patterns: re.Pattern[str]) -> re.Match[str]:
    for pattern in patterns:
        if match := pattern.fullmatch(line):
            return match
    raise ValueError(f"no line of crm_mon: {line!r}")


def _resources(lines: Sequence[str]) -> Iterator[Instance | Listed]:
    """Read the list of resources: a clone stands at depth 2, a group at 2 or 4."""
    group = clone = ""
    promotable = unique = in_bundle = False
    for line in lines:
        text = line.lstrip(" ")
        depth = len(line) - len(text)
        if depth == 2:
            group = clone = ""
            promotable = unique = False
            in_bundle = _BUNDLE.fullmatch(text) is not None
        if in_bundle or text == "* No resources":
            continue
        if header := _CLONE.fullmatch(text):
            clone = header["id"]
            flags = (header["flags"] or "").split(", ")
            promotable, unique = "promotable" in flags, "unique" in flags
        elif header := _GROUP.fullmatch(text):
            group = header["id"]
        elif listed := _LIST.fullmatch(text):
            yield Listed(clone, listed["role"], tuple(listed["nodes"].split()))
        else:
            # After an instance of a group, a clone goes on.
            nested_in = group if depth == (6 if clone else 4) else ""
            anonymous = clone != "" and not unique
            yield Instance(resource_line(line), nested_in, clone, promotable, anonymous)


def _nodes(lines: Sequence[str]) -> Iterator[Node]:
    for line in lines:
        match = _match(line, _NODE, _NODES)
        kind, status = match["kind"], match["status"]
        if match.re is _NODES:
            status = "online" if status == "Online" else status
            for name in match["nodes"].split():
                yield Node(name, kind, status, id=None, health=None, feature_set=None)
        else:
            feature_set = match["feature_set"]
            yield Node(match["node"], kind, status, match["id"], match["health"], feature_set)


def _summary(lines: Sequence[str]) -> Summary:
    dc: str | None = None
    quorum: bool | None = None
    counts: dict[str, int] = {}
    for line in lines:
        if match := _DC.fullmatch(line):
            dc = match["name"]
            quorum = None if dc is None else match["quorum"] == "with"
        elif match := _COUNT.fullmatch(line):
            counts[match["what"]] = int(match["number"])
            if match["what"] == "resource instance":
                counts["DISABLED"] = int(match["disabled"] or 0)
                counts["BLOCKED"] = int(match["blocked"] or 0)
    return Summary(dc, quorum, counts)


def _failure(line: str) -> Failure:
    match = _match(line, _DETAILED_FAILURE, _FAILURE)
    if match.re is _DETAILED_FAILURE:
        return Failure("", match["key"], match["node"], match["status"], match["rc"])
    return Failure(match["resource"], match["operation"], match["node"])


def _ban(line: str) -> Ban:
    match = _match(line, _BAN)
    return Ban(match["constraint"], match["resource"], match["node"], match["promoted"] is not None)


def _fail_counts(lines: Sequence[str]) -> Iterator[FailCount]:
    of_resources = [line for line in lines if not _OPERATION.fullmatch(line)]
    for node, match in _by_node(of_resources, _FAIL_COUNT):
        count = int(match["count"] or 0)
        yield FailCount(match["resource"], node, int(match["threshold"]), count, match["time"])


def _by_node(lines: Sequence[str], pattern: re.Pattern[str]) -> Iterator[tuple[str, re.Match[str]]]:
    node = ""
    for line in lines:
        if header := _OF_NODE.fullmatch(line):
            node = header["node"]
        else:
            yield node, _match(line, pattern)
