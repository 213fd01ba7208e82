"""A reader of the text that ``crm_mon -1 --inactive`` of Pacemaker 2.1.5 prints about bundles.

Written from that text alone, with nothing of the exporter in it, to check the exporter against
what an operator would read::

      * Container bundle set: web-bundle [registry/web:1] (unique) (unmanaged):
        * web-bundle-0 (192.0.2.1)<TAB>(ocf:heartbeat:apache):<TAB> FAILED node-a (UNCLEAN, blocked)

Without --show-detail a replica is one line, made of three resources: the name is that of the
guest node (of the container, where the bundle has no primitive), the state that of the service,
the host that of the container. With --show-detail every resource has a line of its own::

        * Replica[0]
          * web-bundle-ip-192.0.2.1<TAB>(ocf:heartbeat:IPaddr2):<TAB> Started node-a
          * web<TAB>(ocf:heartbeat:apache):<TAB> Started web-bundle-0
          * web-bundle-docker-0<TAB>(ocf:heartbeat:docker):<TAB> Started node-a
          * web-bundle-0<TAB>(ocf:pacemaker:remote):<TAB> Started node-a

always in this order, and only the container is always there. The `Replica[0]` is left out of a
bundle with one replica. Only with --show-detail is each node listed on a line of its own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_BUNDLE = re.compile(
    r"  \* Container bundle(?: set)?: (?P<id>\S+) \[(?P<image>.*)\]"
    r"(?P<unique> \(unique\))?(?P<unmanaged> \(unmanaged\))?:"
)
_REPLICA = re.compile(r"    \* Replica\[(\d+)\]")
_RESOURCE = re.compile(
    r" +\* (?P<name>\S+)(?: \((?P<address>\S+)\))?\t\((?P<agent>\S+)\):\t"
    r"(?P<orphaned> ORPHANED)?"
    r"(?: (?P<failed>FAILED)(?: (?P<promoted>Promoted))?| (?P<role>[A-Z][a-z]+))"
    r"(?: (?P<host>[^ (\[]\S*))?"
    r"(?: \([^()]*\) (?=$| \())?"  # why a probe failed, as in "Stopped (not installed) "
    r"(?: \((?P<flags>[^()]+)\))?"
    r"(?:.* \[ (?P<hosts>.+) \])?"  # instead of the host, where it is active on several
)
_NODE = re.compile(
    r"  \* (?:Guest|Remote)?Node (?P<name>[^\s@:]+)(?:@\S*)?(?: \(\S+\))?: "
    r"(?P<status>[^,]+)(?:, .*)?"
)
_DISABLED = "The cluster will not attempt to start, stop or recover services"

_KINDS: Mapping[int, Sequence[str]] = {
    1: ("container",),
    2: ("ip", "container"),
    3: ("service", "container", "connection"),
    4: ("ip", "service", "container", "connection"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """The line of one resource, or without --show-detail of one replica."""

    name: str
    agent: str
    address: str
    """Of the replica, in a bundle with ip-range-start and without --show-detail; else empty."""
    role: str | None
    """The word as printed, Starting and the like included. None when all it says is FAILED, which
    stands in the place of every role but Promoted."""
    failed: bool
    orphaned: bool
    hosts: tuple[str, ...]
    flags: frozenset[str]
    """UNCLEAN, blocked, unmanaged, disabled, failure ignored, Monitoring and so on."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One instance of a bundle: its one line, or with --show-detail that of each resource."""

    index: str
    lines: tuple[Line, ...]

    @property
    def components(self) -> Mapping[str, Line]:
        """The lines of --show-detail by kind: ip, service (the primitive), container, connection.

        Told by their number and order, not by what they are called.
        """
        return dict(zip(_KINDS[len(self.lines)], self.lines, strict=True))


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle."""

    id: str
    image: str
    unique: bool
    managed: bool
    replicas: tuple[Replica, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What the text says of the bundles, and of what they depend on."""

    bundles: tuple[Bundle, ...]
    nodes: Mapping[str, str]
    """What is said of each node, such as `online` or `UNCLEAN (offline)`; with --show-detail."""
    maintenance: bool
    """The whole cluster is in maintenance mode."""


def read(text: str) -> Status:
    """Read the whole text.

    Raises:
        ValueError: a line in the list of a bundle is none that is known here.

    """
    bundles: list[Bundle] = []
    lines = text.splitlines()
    position = 0
    while position < len(lines):
        header = _BUNDLE.fullmatch(lines[position])
        position += 1
        if header:
            start = position
            while position < len(lines) and lines[position].startswith("    "):
                position += 1
            bundles.append(
                Bundle(
                    id=header["id"],
                    image=header["image"],
                    unique=header["unique"] is not None,
                    managed=header["unmanaged"] is None,
                    replicas=_replicas(lines[start:position]),
                )
            )
    nodes = (match for match in map(_NODE.fullmatch, lines) if match)
    return Status(
        bundles=tuple(bundles),
        nodes={node["name"]: node["status"] for node in nodes},
        maintenance=_DISABLED in text,
    )


def _replicas(lines: Sequence[str]) -> tuple[Replica, ...]:
    found: list[tuple[str, list[Line]]] = []
    for text in lines:
        if replica := _REPLICA.fullmatch(text):
            found.append((replica[1], []))
        elif text.startswith("      "):
            if not found:
                found.append(("0", []))
            found[-1][1].append(resource_line(text))
        else:
            line = resource_line(text)
            found.append((line.name.rpartition("-")[2], [line]))
    return tuple(Replica(index, tuple(components)) for index, components in found)


def resource_line(text: str) -> Line:
    """Read the line of one resource, wherever it stands.

    Raises:
        ValueError: it is none.

    """
    match = _RESOURCE.fullmatch(text)
    if match is None:
        raise ValueError(f"no line of a resource: {text!r}")
    return Line(
        name=match["name"],
        agent=match["agent"],
        address=match["address"] or "",
        role=match["promoted"] or match["role"],
        failed=match["failed"] is not None,
        orphaned=match["orphaned"] is not None,
        hosts=tuple(match["hosts"].split() if match["hosts"] else filter(None, [match["host"]])),
        flags=frozenset(match["flags"].split(", ") if match["flags"] else ()),
    )
