"""Pacemaker CIBs, status section included, from a readable description.

A :class:`Cluster` says what is configured and what each instance last did where;
:meth:`Cluster.xml` writes that as ``cibadmin --query`` would print it, so that a real
``CIB_file=FILE crm_mon`` shows the state described. Modelled on the CIBs of a running
Pacemaker 2.1.5 cluster (schema pacemaker-3.9).

Nothing here reads a clock: every time is an offset in seconds from the epoch ``now`` that is
given to :meth:`Cluster.xml` (negative: before it).
"""

import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any, Literal, Self
from zlib import crc32

Role = Literal["stopped", "started", "unpromoted", "promoted"]
Component = Literal["service", "container", "connection", "ip"]
Task = Literal["start", "stop", "promote", "demote", "monitor", "migrate_to", "migrate_from"]
NodeState = Literal["online", "standby", "maintenance", "offline", "unclean", "pending", "shutdown"]

INFINITY = 1_000_000
IPADDR2 = "ocf:heartbeat:IPaddr2"
REMOTE = "ocf:pacemaker:remote"
FEATURE_SET = "3.16.1"
TRANSITION = "0819ce92-bc3e-44fd-8eb7-e64240883bc9"
"""Any UUID will do: it names the daemon that asked for the operations."""

_NOT_RUNNING, _PROMOTED, _UNKNOWN = 7, 8, 193
_PENDING_STATUS = -1


# ---------------------------------------------------------------- what an instance last did


@dataclass(frozen=True)
class Failure:
    """A failed operation in the history, and the fail-count that it left.

    It is present while it is younger than the instance's ``since``; an older one was recovered
    from and stays listed until cleanup, as Pacemaker does.
    """

    task: Task = "monitor"
    rc: int = 1
    reason: str = ""
    at: int = -30
    count: int = 1
    """Fail-count; INFINITY (as after a failed stop) is written as such, 0 writes none."""
    of: Component = "service"
    """Which component of a replica failed; means nothing outside bundles."""
    role: Role | None = None
    """The role it failed in, where that is not the present one."""


@dataclass(frozen=True)
class Pending:
    """An operation under way: its result is not known yet."""

    task: Task
    at: int = -1
    of: Component = "service"
    target: str = ""
    """Where a migration goes."""


@dataclass(frozen=True)
class Run:
    """One instance of a resource on one node: its role there and how it got it."""

    node: str
    role: Role = "started"
    since: int = -3600
    failures: tuple[Failure, ...] = ()
    pending: Pending | None = None
    found: bool = False
    """Known from a probe, not from an operation that made it so: as after a cleanup."""


@dataclass(frozen=True)
class Replica:
    """One replica of a bundle: where its container is and the role of its service.

    Without a host it is stopped altogether; with a host and role ``stopped`` only its service
    is, inside a running container.
    """

    host: str | None = None
    role: Role = "stopped"
    since: int = -3600
    """When the container was started (or stopped)."""
    role_since: int | None = None
    """When the service got its role; without it, a few seconds after the container."""
    failures: tuple[Failure, ...] = ()
    pending: Pending | None = None
    found: bool = False
    """Whether the service's role is known from a probe."""
    left: str | None = None
    """The host that it was stopped on, if it ever ran on another than ``host``."""
    also_on: tuple[str, ...] = ()
    """Further hosts on which the container (wrongly) runs too."""
    connection_on: str | None = None
    """The node that hosts the connection, where that is not the container's."""
    down: tuple[Component, ...] = ()
    """Components stopped besides a stopped service."""


@dataclass(frozen=True)
class _Op:
    """One operation, and the names under which the history remembers it."""

    task: Task
    at: int
    names: tuple[str, ...]
    rc: int = 0
    expected: int = 0
    interval: int = 0
    pending: bool = False
    reason: str = ""
    target: str = ""


def _operations(run: Run, monitor: int) -> list[_Op]:
    """The history of one instance on one node, in Pacemaker's terms.

    It keeps the last operation (`_last_0`), each recurring monitor, and the last failure.
    """

    def recurring(role: Role) -> tuple[int, int]:
        """Interval in ms and expected rc of the monitor in a role (see `Primitive.monitor`)."""
        seconds = monitor + 1 if role == "unpromoted" else monitor
        return seconds * 1000, _PROMOTED if role == "promoted" else 0

    if run.role == "stopped":
        last = _Op("stop", run.since, ("last_0",))
        monitors = []
    else:
        interval, rc = recurring(run.role)
        last = _Op("promote" if run.role == "promoted" else "start", run.since, ("last_0",))
        if run.found:  # a probe that finds something is kept as a failure too, yet shown as none
            names = ("last_0", "last_failure_0")
            last = _Op("monitor", run.since, names, rc, _NOT_RUNNING)
        name = f"monitor_{interval}"
        monitors = [_Op("monitor", run.since + 1, (name,), rc, rc, interval)] if monitor else []
    failed = []
    for failure in sorted(run.failures, key=lambda failure: failure.at)[-1:]:
        op = _Op(failure.task, failure.at, ("last_failure_0",), failure.rc, reason=failure.reason)
        if failure.task == "monitor":
            interval, rc = recurring(failure.role or run.role)
            failed = [replace(op, interval=interval, expected=rc)]
        elif failure.at < run.since:
            failed = [op]
        else:  # the failed operation is also the last one
            last = replace(op, names=("last_0", "last_failure_0"))
            monitors = monitors if failure.task == "stop" else []
    if run.pending:
        pending = _Op(
            run.pending.task,
            run.pending.at,
            ("last_0",),
            _UNKNOWN,
            pending=True,
            target=run.pending.target,
        )
        if run.pending.task == "monitor":
            interval, rc = recurring(run.role)
            name = f"monitor_{interval}"
            monitors = [replace(pending, names=(name,), interval=interval, expected=rc)]
        else:  # Pacemaker cancels the monitors of a role before it changes it
            last, monitors = pending, []
    return [last, *monitors, *failed]


# ------------------------------------------------------- the status section, and XML at all


def _add(parent: ET.Element, tag: str, attributes: Mapping[str, object]) -> ET.Element:
    """Append an element; attributes that are None are left out."""
    given = {name: str(value) for name, value in attributes.items() if value is not None}
    return ET.SubElement(parent, tag, given)


def _nvpairs(parent: ET.Element, tag: str, id_: str, pairs: Mapping[str, str]) -> None:
    """A set of name-value pairs, unless it is empty."""
    if not pairs:
        return
    element = _add(parent, tag, {"id": id_})
    for name, value in pairs.items():
        safe = name.replace("#", ".").replace(":", ".")  # an XML id takes neither
        _add(element, "nvpair", {"id": f"{id_}-{safe}", "name": name, "value": value})


def _agent(agent: str) -> dict[str, object]:
    """``ocf:heartbeat:galera`` as attributes; ``stonith:fence_ipmilan`` has no provider."""
    class_, *provider, type_ = agent.split(":")
    return {"class": class_, "provider": provider[0] if provider else None, "type": type_}


def text(element: ET.Element) -> str:
    """An element as an indented document."""
    ET.indent(element)
    return ET.tostring(element, encoding="unicode") + "\n"


def _score(score: int) -> str:
    if abs(score) < INFINITY:
        return str(score)
    return "INFINITY" if score > 0 else "-INFINITY"


@dataclass
class _Past:
    """What one node remembers of one resource."""

    agent: str
    container: str
    operations: list[_Op]


class _History:
    """What each node remembers of each resource: the status section, before it is XML."""

    def __init__(self) -> None:
        self.guests: list[tuple[str, str, bool]] = []
        self._past: dict[str, dict[str, _Past]] = {}
        self._attributes: dict[str, dict[str, str]] = {}
        self._probed: dict[str, tuple[str, str]] = {}
        self._failures: dict[str, list[tuple[str, Failure, int]]] = {}

    def add(
        self,
        resource: str,
        agent: str,
        runs: Iterable[Run],
        monitor: int,
        *,
        container: str = "",
        probe: bool = True,
    ) -> None:
        """Remember a resource's runs, and whether members probe for it (guests' never are)."""
        if probe:
            self._probed[resource] = (agent, container)
        for run in runs:
            past = _Past(agent, container, _operations(run, monitor))
            self._past.setdefault(run.node, {})[resource] = past
            for failure in run.failures:
                seconds = monitor + 1 if (failure.role or run.role) == "unpromoted" else monitor
                interval = seconds * 1000 if failure.task == "monitor" else 0
                self._failures.setdefault(run.node, []).append((resource, failure, interval))

    def guest(self, name: str, host: str, online: bool) -> None:
        """A guest node and the host that it lives on."""
        self.guests.append((name, host, online))

    def attribute(self, node: str, name: str, value: str) -> None:
        """A transient attribute."""
        self._attributes.setdefault(node, {})[name] = value

    def probe(self, members: Sequence[str]) -> None:
        """Every member looked for every resource once, and found what it does not run not to."""
        found = _Op("monitor", -7200, ("last_0",), _NOT_RUNNING, _NOT_RUNNING)
        for node in members:
            past = self._past.setdefault(node, {})
            for resource, (agent, container) in self._probed.items():
                if not agent.startswith("stonith:"):
                    past.setdefault(resource, _Past(agent, container, [found]))

    def write(
        self,
        parent: ET.Element,
        id_: str,
        node: str,
        *,
        now: int,
        transient: Mapping[str, str],
        on_node: str = "",
    ) -> None:
        """Append a node's attributes and history to its node_state."""
        pairs = {**transient, **self._attributes.get(node, {})}
        for resource, failure, interval in self._failures.get(node, []):
            if failure.count:
                key = f"{resource}#{failure.task}_{interval}"
                pairs[f"fail-count-{key}"] = _score(failure.count)
                pairs[f"last-failure-{key}"] = str(now + failure.at)
        if pairs:
            attributes = _add(parent, "transient_attributes", {"id": id_})
            _nvpairs(attributes, "instance_attributes", f"status-{id_}", pairs)
        resources = _add(_add(parent, "lrm", {"id": id_}), "lrm_resources", {})
        past = self._past.get(node, {})
        order = sorted(
            (op.at, number, index)
            for number, known in enumerate(past.values())
            for index, op in enumerate(known.operations)
        )
        calls = {(number, index): call for call, (_, number, index) in enumerate(order, start=2)}
        for number, (resource, known) in enumerate(past.items()):
            what = {"id": resource, **_agent(known.agent), "container": known.container or None}
            element = _add(resources, "lrm_resource", what)
            for index, op in enumerate(known.operations):
                call = _PENDING_STATUS if op.pending else calls[number, index]
                _write_operation(element, resource, op, call, node=on_node or node, now=now)


def _write_operation(
    parent: ET.Element, resource: str, op: _Op, call: int, *, node: str, now: int
) -> None:
    """Append an operation under each of its names.

    Without the digests of its parameters, which only the scheduler compares.
    """
    status = _PENDING_STATUS if op.pending else 0
    key = f"{call if call > 0 else 1}:1:{op.expected}:{TRANSITION}"
    duration = 0 if op.pending else 40 + crc32(f"{resource} {op}".encode()) % 900
    for name in op.names:
        attributes = {
            "id": f"{resource}_{name}",
            "operation_key": f"{resource}_{op.task}_{op.interval}",
            "operation": op.task,
            "crm-debug-origin": "do_update_resource",
            "crm_feature_set": FEATURE_SET,
            "transition-key": key,
            "transition-magic": f"{status}:{op.rc};{key}",
            "exit-reason": op.reason,
            "on_node": node,
            "call-id": call,
            "rc-code": op.rc,
            "op-status": status,
            "interval": op.interval,
            "last-rc-change": now + op.at,
            "exec-time": duration,
            "queue-time": 0,
            "migrate_source": node if op.target else None,
            "migrate_target": op.target or None,
        }
        _add(parent, "lrm_rsc_op", attributes)


# ------------------------------------------------------------------------------ resources


@dataclass(frozen=True)
class Primitive:
    """A resource of an agent. In a bundle, the bundle's replicas say where it runs."""

    id: str
    agent: str = "ocf:pacemaker:Dummy"
    runs: tuple[Run, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    monitor: int = 10
    """Seconds between monitors (one more in role unpromoted: they must differ); 0 = none."""
    on_fail: Mapping[str, str] = field(default_factory=dict)
    """What to do when an operation fails, e.g. ``{"monitor": "ignore"}``."""

    def write(self, parent: ET.Element, promotable: bool = False) -> None:
        """Append the configuration."""
        element = _add(parent, "primitive", {"id": self.id, **_agent(self.agent)})
        _nvpairs(element, "instance_attributes", f"{self.id}-params", self.params)
        _nvpairs(element, "meta_attributes", f"{self.id}-meta", self.meta)
        operations = _add(element, "operations", {})
        roles = ("Promoted", "Unpromoted") if promotable else (None,)
        for extra, role in enumerate(roles):
            if self.monitor:
                self._operation(operations, "monitor", self.monitor + extra, role)
        for task in self.on_fail:
            if task != "monitor":
                self._operation(operations, task, 0, None)

    def _operation(self, parent: ET.Element, task: str, interval: int, role: str | None) -> None:
        attributes = {
            "id": f"{self.id}-{task}-{interval}s",
            "name": task,
            "interval": f"{interval}s",
            "timeout": "60s",
            "role": role,
            "on-fail": self.on_fail.get(task),
        }
        _add(parent, "op", attributes)

    def record(self, history: _History, unique: bool = False) -> None:
        """Remember the runs; the instances of a unique clone have ids of their own."""
        if not unique:
            history.add(self.id, self.agent, self.runs, self.monitor)
            return
        for index, run in enumerate(self.runs):
            history.add(f"{self.id}:{index}", self.agent, [run], self.monitor)


@dataclass(frozen=True)
class Group:
    """Primitives that start in order on one node."""

    id: str
    members: tuple[Primitive, ...]
    meta: Mapping[str, str] = field(default_factory=dict)

    def write(self, parent: ET.Element, promotable: bool = False) -> None:
        """Append the configuration."""
        element = _add(parent, "group", {"id": self.id})
        _nvpairs(element, "meta_attributes", f"{self.id}-meta", self.meta)
        for member in self.members:
            member.write(element, promotable)

    def record(self, history: _History, unique: bool = False) -> None:
        """Remember the runs of the members."""
        for member in self.members:
            member.record(history, unique)


@dataclass(frozen=True)
class Clone:
    """A primitive or a group with an instance on each of several nodes."""

    id: str
    of: Primitive | Group
    promotable: bool = False
    unique: bool = False
    meta: Mapping[str, str] = field(default_factory=dict)

    def write(self, parent: ET.Element) -> None:
        """Append the configuration."""
        element = _add(parent, "clone", {"id": self.id})
        flags = {"promotable": self.promotable, "globally-unique": self.unique}
        meta = {name: "true" for name, flag in flags.items() if flag}
        _nvpairs(element, "meta_attributes", f"{self.id}-meta", {**meta, **self.meta})
        self.of.write(element, self.promotable)

    def record(self, history: _History) -> None:
        """Remember the runs of what is cloned."""
        self.of.record(history, self.unique)


@dataclass(frozen=True)
class Bundle:
    """Containers, with or without a service resource and a guest node in each."""

    id: str
    image: str
    replicas: tuple[Replica, ...]
    primitive: Primitive | None = None
    engine: Literal["podman", "docker"] = "podman"
    promoted_max: int = 0
    per_host: int = 1
    control_port: int | None = None
    ip_range_start: str | None = None
    """First of the replicas' addresses; without it, the host's network is used."""
    meta: Mapping[str, str] = field(default_factory=dict)

    @property
    def unique(self) -> bool:
        """Whether the instances of the service have ids of their own (`redis:0`)."""
        return self.per_host > 1

    def but(self, index: int, **changes: Any) -> Self:  # noqa: ANN401 -- Replica's fields
        """The same bundle with one replica changed."""
        replicas = list(self.replicas)
        replicas[index] = replace(replicas[index], **changes)
        return replace(self, replicas=tuple(replicas))

    def write(self, parent: ET.Element) -> None:
        """Append the configuration."""
        bundle = _add(parent, "bundle", {"id": self.id})
        name = self.id.removesuffix("-bundle")
        kolla = "/bin/bash /usr/local/bin/kolla_start"
        attributes = {
            "image": self.image,
            "network": None if self.ip_range_start else "host",
            "options": "--user=root --log-driver=k8s-file",
            "replicas": len(self.replicas),
            "replicas-per-host": self.per_host if self.unique else None,
            "promoted-max": self.promoted_max or None,
            "run-command": "/usr/sbin/pacemaker_remoted" if self.primitive else kolla,
        }
        _add(bundle, self.engine, attributes)
        network = {
            "ip-range-start": self.ip_range_start,
            "host-netmask": 24 if self.ip_range_start else None,
            "control-port": self.control_port,
        }
        if any(value is not None for value in network.values()):
            _add(bundle, "network", network)
        mapping = {
            "id": f"{name}-cfg-files",
            "options": "ro",
            "source-dir": f"/var/lib/kolla/config_files/{name}.json",
            "target-dir": "/var/lib/kolla/config_files/config.json",
        }
        _add(_add(bundle, "storage", {}), "storage-mapping", mapping)
        if self.primitive:
            self.primitive.write(bundle, bool(self.promoted_max))
        _nvpairs(bundle, "meta_attributes", f"{self.id}-meta", self.meta)

    def record(self, history: _History) -> None:
        """Remember what each replica's components did, host by host."""
        for index, replica in enumerate(self.replicas):
            self._record(history, index, replica)

    def _record(self, history: _History, index: int, replica: Replica) -> None:
        guest, container = f"{self.id}-{index}", f"{self.id}-{self.engine}-{index}"
        host = replica.host or replica.left
        started: Role = "started" if replica.host else "stopped"

        def run(component: Component, node: str, role: Role, since: int) -> Run:
            down = component in replica.down
            mine = self._component(component)
            failures = [item for item in replica.failures if self._component(item.of) == mine]
            pending = replica.pending
            if pending and self._component(pending.of) != mine:
                pending = None
            return Run(node, "stopped" if down else role, since, tuple(failures), pending)

        def on(component: Component, nodes: Iterable[str], since: int) -> list[Run]:
            runs = [run(component, node, started, since) for node in nodes]
            if replica.host and replica.left:
                runs.append(Run(replica.left, "stopped", since - 3))
            return runs

        hosts = [host, *replica.also_on] if host else []
        if self.ip_range_start:
            address = f"{self.id}-ip-{IPv4Address(self.ip_range_start) + index}"
            history.add(address, IPADDR2, on("ip", hosts, replica.since), 60)
        agent = f"ocf:heartbeat:{self.engine}"
        history.add(container, agent, on("container", hosts, replica.since + 1), 60)
        if not self.primitive:
            return
        ends = [replica.connection_on or host] if host else []
        connections = on("connection", [end for end in ends if end], replica.since + 3)
        history.add(guest, REMOTE, connections, 30, container=container)
        if not host:
            return
        up = bool(replica.host) and "connection" not in replica.down
        since = replica.since + 6 if replica.role_since is None else replica.role_since
        service = run("service", guest, replica.role if replica.host else "stopped", since)
        service = replace(service, found=replica.found)
        resource = f"{self.primitive.id}:{index}" if self.unique else self.primitive.id
        history.guest(guest, host, up)
        history.add(resource, self.primitive.agent, [service], self.primitive.monitor, probe=False)
        scores = {"promoted": "10", "unpromoted": "5"}
        if self.promoted_max and service.role in scores:
            history.attribute(guest, f"master-{resource}", scores[service.role])

    def _component(self, component: Component) -> Component:
        """Without a primitive, the container is the service."""
        return "container" if component == "service" and not self.primitive else component


Resource = Primitive | Group | Clone | Bundle


# ------------------------------------------------------------- constraints, nodes, cluster


@dataclass(frozen=True)
class Location:
    """Where a resource may run: a score on one node, or only nodes with an attribute."""

    resource: str
    node: str | None = None
    score: int = -INFINITY
    attribute: str | None = None
    """Instead of a node: the name of an attribute that must be ``true`` on it."""
    cli: bool = False
    """Named as ``pcs resource ban`` and ``move`` name theirs."""
    role: Literal["Started", "Promoted"] | None = None

    @property
    def id(self) -> str:
        """What Pacemaker's tools call such a constraint."""
        if self.attribute:
            return f"location-{self.resource}"
        verb = "ban" if self.score < 0 else "prefer"
        if not self.cli:
            return f"location-{self.resource}-{self.node}-{_score(self.score)}"
        on = f"-on-{self.node}" if self.score < 0 else ""
        return f"cli-{verb}-{self.resource}{on}"

    def write(self, parent: ET.Element) -> None:
        """Append the configuration."""
        attributes: dict[str, object] = {"id": self.id, "rsc": self.resource, "role": self.role}
        if not self.attribute:
            attributes |= {"node": self.node, "score": _score(self.score)}
            _add(parent, "rsc_location", attributes)
            return
        element = _add(parent, "rsc_location", attributes | {"resource-discovery": "exclusive"})
        rule = _add(element, "rule", {"id": f"{self.id}-rule", "score": 0})
        expression = {"attribute": self.attribute, "operation": "eq", "value": "true"}
        _add(rule, "expression", {"id": f"{self.id}-rule-expr", **expression})


@dataclass(frozen=True)
class Colocation:
    """One resource only where another is."""

    resource: str
    with_resource: str

    def write(self, parent: ET.Element) -> None:
        """Append the configuration."""
        id_ = f"colocation-{self.resource}-{self.with_resource}"
        attributes = {"id": id_, "rsc": self.resource, "with-rsc": self.with_resource}
        _add(parent, "rsc_colocation", {**attributes, "score": "INFINITY"})


@dataclass(frozen=True)
class Order:
    """One resource before another, if both are to start."""

    first: str
    then: str

    def write(self, parent: ET.Element) -> None:
        """Append the configuration."""
        id_ = f"order-{self.first}-{self.then}"
        attributes = {"id": id_, "first": self.first, "then": self.then, "kind": "Optional"}
        _add(parent, "rsc_order", attributes)


@dataclass(frozen=True)
class Ticket:
    """A resource that runs only while its ticket is here."""

    resource: str
    ticket: str

    def write(self, parent: ET.Element) -> None:
        """Append the configuration."""
        id_ = f"ticket-{self.ticket}-{self.resource}"
        _add(parent, "rsc_ticket", {"id": id_, "rsc": self.resource, "ticket": self.ticket})


Constraint = Location | Colocation | Order | Ticket


@dataclass(frozen=True)
class FencingLevel:
    """The devices that fence a node together, at the first level of the fencing topology."""

    target: str
    devices: tuple[str, ...]

    def write(self, parent: ET.Element) -> None:
        """Append the configuration."""
        attributes = {"id": f"fl-{self.target}-1", "target": self.target, "index": 1}
        _add(parent, "fencing-level", attributes | {"devices": ",".join(self.devices)})


@dataclass(frozen=True)
class Node:
    """A full member of the cluster. Unclean shows only with fencing enabled."""

    name: str
    state: NodeState = "online"
    attributes: Mapping[str, str] = field(default_factory=dict)
    transient: Mapping[str, str] = field(default_factory=dict)
    """Attributes that are lost when the node leaves (``#health-disk`` ...)."""


@dataclass(frozen=True)
class RemoteNode:
    """A node without a cluster stack, reached over a connection that a member hosts."""

    name: str
    host: str
    state: Literal["online", "standby", "maintenance", "offline"] = "online"
    attributes: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    """Meta attributes of the connection."""
    failures: tuple[Failure, ...] = ()
    """Failures of the connection. With fencing, one that is not recovered from makes an online
    node unclean."""
    since: int = -3600
    """When the connection was started or stopped."""

    @property
    def connection(self) -> Primitive:
        """The resource that connects to it, of the same name."""
        role: Role = "stopped" if self.state == "offline" else "started"
        run = Run(self.host, role, self.since, self.failures)
        return Primitive(self.name, REMOTE, (run,), meta=self.meta, monitor=60)


@dataclass(frozen=True)
class Cluster:
    """A cluster at one moment."""

    nodes: tuple[Node | RemoteNode, ...]
    resources: tuple[Resource, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    name: str = "test"
    fencing: bool = False
    maintenance: bool = False
    quorate: bool = True
    dc: str | None = ""
    """Name of the DC: by default the first node, None while there is none."""
    orphans: tuple[Resource, ...] = ()
    """What nodes remember although it is configured no more."""
    probes: bool = True
    """Whether members remember having looked for what they do not run, as they do in life."""
    tickets: Mapping[str, bool] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    epoch: int = 58
    changed: int = -300
    """When the configuration was last written."""
    levels: tuple[FencingLevel, ...] = ()

    def cib(self, now: int) -> ET.Element:
        """The whole CIB, all of its times relative to ``now``."""
        attributes = {
            "crm_feature_set": FEATURE_SET,
            "validate-with": "pacemaker-3.9",
            "epoch": self.epoch,
            "num_updates": 0,
            "admin_epoch": 0,
            "cib-last-written": time.asctime(time.gmtime(now + self.changed)),
            "update-origin": self.nodes[0].name if self.nodes else None,
            "update-client": "cibadmin",
            "update-user": "root",
            "have-quorum": int(self.quorate),
            "dc-uuid": self._dc_id(),
        }
        cib = ET.Element("cib", {k: str(v) for k, v in attributes.items() if v is not None})
        self._configuration(_add(cib, "configuration", {}))
        self._status(_add(cib, "status", {}), now)
        return cib

    def xml(self, now: int) -> str:
        """The whole CIB as text."""
        return text(self.cib(now))

    def but_with(self, *resources: Resource) -> Self:
        """The same cluster with more resources."""
        return replace(self, resources=(*self.resources, *resources))

    @property
    def _members(self) -> list[tuple[int, Node]]:
        members = [node for node in self.nodes if isinstance(node, Node)]
        return list(enumerate(members, start=1))

    @property
    def _remotes(self) -> list[RemoteNode]:
        return [node for node in self.nodes if isinstance(node, RemoteNode)]

    def _dc_id(self) -> int | None:
        if self.dc is None or not self.nodes:
            return None
        return next((id_ for id_, node in self._members if node.name == self.dc), 1)

    def _configured(self) -> Iterator[Resource]:
        yield from self.resources
        for remote in self._remotes:
            yield remote.connection

    def _configuration(self, parent: ET.Element) -> None:
        options = {
            "have-watchdog": "false",
            "dc-version": "2.1.5-a3f44794f94",
            "cluster-infrastructure": "corosync",
            "cluster-name": self.name,
            "stonith-enabled": str(self.fencing).lower(),
            **({"maintenance-mode": "true"} if self.maintenance else {}),
            **self.properties,
        }
        crm_config = _add(parent, "crm_config", {})
        _nvpairs(crm_config, "cluster_property_set", "cib-bootstrap-options", options)
        nodes = _add(parent, "nodes", {})
        for id_, node in self._members:
            element = _add(nodes, "node", {"id": id_, "uname": node.name})
            _nvpairs(element, "instance_attributes", f"nodes-{id_}", _node_attributes(node))
        for remote in self._remotes:
            attributes = {"id": remote.name, "uname": remote.name, "type": "remote"}
            pairs = _node_attributes(remote)
            element = _add(nodes, "node", attributes)
            _nvpairs(element, "instance_attributes", f"nodes-{remote.name}", pairs)
        resources = _add(parent, "resources", {})
        for resource in self._configured():
            resource.write(resources)
        constraints = _add(parent, "constraints", {})
        for constraint in self.constraints:
            constraint.write(constraints)
        if self.levels:
            topology = _add(parent, "fencing-topology", {})
            for level in self.levels:
                level.write(topology)

    def _status(self, parent: ET.Element, now: int) -> None:
        history = _History()
        for resource in (*self._configured(), *self.orphans):
            resource.record(history)
        if self.probes:
            history.probe([node.name for _, node in self._members if node.state != "pending"])
        for id_, node in self._members:
            element = _add(parent, "node_state", {"id": id_, "uname": node.name} | _joined(node))
            if node.state == "offline":  # what a fenced node remembered is erased
                continue
            transient = {"#feature-set": FEATURE_SET, **node.transient}
            if node.state == "shutdown":
                transient["shutdown"] = str(now - 5)
            if node.state == "unclean":  # attributes go with the node, history with fencing
                transient = {}
            history.write(element, str(id_), node.name, now=now, transient=transient)
        remotes = [(remote.name, "", remote.state != "offline") for remote in self._remotes]
        for name, host, online in (*remotes, *history.guests):
            state = {"id": name, "uname": name, "in_ccm": str(online).lower()}
            element = _add(parent, "node_state", {"remote_node": "true"} | state)
            history.write(element, name, name, now=now, transient={}, on_node=host)
        if self.tickets:
            tickets = _add(parent, "tickets", {})
            for ticket, granted in self.tickets.items():
                state = {"granted": str(granted).lower(), "standby": "false"}
                _add(tickets, "ticket_state", {"id": ticket, **state, "last-granted": now - 600})


def _node_attributes(node: Node | RemoteNode) -> dict[str, str]:
    flags = {"standby", "maintenance"} & {node.state}
    return {**node.attributes, **dict.fromkeys(flags, "on")}


def _joined(node: Node) -> dict[str, str]:
    """How far a member has come in, as its node_state says it."""
    gone = node.state in ("offline", "unclean")
    join = {"offline": "down", "pending": "pending"}.get(node.state, "member")
    return {
        "in_ccm": "false" if gone else "true",
        "crmd": "offline" if gone else "online",
        "crm-debug-origin": "do_update_resource",
        "join": join,
        "expected": "down" if node.state in ("offline", "shutdown") else "member",
    }


# ------------------------------------------------------------------ clusters ready for use


def controllers(count: int = 3) -> tuple[Node, ...]:
    """Members controller-0, controller-1, ..."""
    return tuple(Node(f"controller-{index}") for index in range(count))


def haproxy(hosts: Sequence[str], name: str = "haproxy") -> Bundle:
    """A bundle without a primitive, started on every host."""
    replicas = tuple(Replica(host, "started") for host in hosts)
    return Bundle(f"{name}-bundle", "cluster.common.tag/haproxy:pcmklatest", replicas)


def rabbitmq(hosts: Sequence[str], name: str = "rabbitmq", port: int = 3122) -> Bundle:
    """A bundle with a primitive that is not promotable, started on every host."""
    return Bundle(
        f"{name}-bundle",
        "cluster.common.tag/rabbitmq:pcmklatest",
        tuple(Replica(host, "started") for host in hosts),
        Primitive(name, "ocf:heartbeat:rabbitmq-cluster", meta={"notify": "true"}),
        control_port=port,
    )


def galera(hosts: Sequence[str], name: str = "galera", port: int = 3123) -> Bundle:
    """A bundle whose replicas are all promoted."""
    return Bundle(
        f"{name}-bundle",
        "cluster.common.tag/mariadb:pcmklatest",
        tuple(Replica(host, "promoted") for host in hosts),
        Primitive(name, "ocf:heartbeat:galera", meta={"ordered": "true"}),
        promoted_max=len(hosts),
        control_port=port,
    )


def redis(hosts: Sequence[str], name: str = "redis", port: int = 3124) -> Bundle:
    """A bundle with one promoted replica, on the first host."""
    return Bundle(
        f"{name}-bundle",
        "cluster.common.tag/redis:pcmklatest",
        (
            Replica(hosts[0], "promoted"),
            *(Replica(host, "unpromoted") for host in hosts[1:]),
        ),
        Primitive(name, "ocf:heartbeat:redis", meta={"notify": "true"}),
        promoted_max=1,
        control_port=port,
    )


def virtual_ip(address: str, host: str | None) -> Primitive:
    """A floating address (stopped without a host)."""
    runs = (Run(host),) if host else ()
    params = {"ip": address, "cidr_netmask": "32"}
    return Primitive(f"ip-{address}", IPADDR2, runs, params)


def cluster(bundles: int = 4, replicas: int = 3, hosts: int = 3, *, probes: bool = True) -> Cluster:
    """A healthy cluster of any size: bundles promoted, started and without a primitive in turn.

    ``probes`` makes every member remember every resource, as after some time in life: it is
    most of the size, and of what crm_mon has to read.
    """
    if replicas > hosts:
        raise ValueError("a bundle needs a host for each replica")
    nodes = controllers(hosts)
    made: list[Resource] = []
    for index in range(bundles):
        names = [nodes[(index + number) % hosts].name for number in range(replicas)]
        suffix = "" if bundles <= 3 else f"-{index:03}"
        match index % 3:
            case 0:
                made.append(galera(names, f"galera{suffix}", 3121 + index))
            case 1:
                made.append(rabbitmq(names, f"rabbitmq{suffix}", 3121 + index))
            case _:
                made.append(haproxy(names, f"haproxy{suffix}"))
    return Cluster(nodes, tuple(made), name="benchmark", probes=probes)
