"""What crm_mon and cibadmin show of a world: through the real crm_mon, from a CIB in a file."""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exporter.cluster import model
from exporter.cluster.model import FencingEvent, Snapshot
from exporter.cluster.observation import Observation
from exporter.pacemaker import cib as cib_reader
from exporter.pacemaker import crm_mon
from exporter.pacemaker.runner import Completed
from tests.support.harness import see
from tests.support.harness.results import good
from tests.support.incidents.world import Host, Part, Thing, World, failure
from tests.support.model.cib import (
    INFINITY,
    Bundle,
    Clone,
    Cluster,
    Colocation,
    Constraint,
    Failure,
    Location,
    Node,
    Pending,
    Primitive,
    RemoteNode,
    Replica,
    Resource,
    Run,
    Ticket,
)
from tests.support.model.states import NOW

# ---- A world as a CIB ----


def cluster(world: World) -> Cluster:
    """The world in the words of tests/support/model/cib.py."""
    things = [thing for thing in world.things.values() if not thing.deleted]
    left = [thing for thing in world.things.values() if thing.deleted and _remains(thing)]
    members = [host for host in world.hosts.values() if not host.remote]
    devices = [
        Primitive(
            f"fence-{host.name}",
            "stonith:fence_ipmilan",
            _device_runs(world, members, number),
            monitor=60,
        )
        for number, host in enumerate(members)
        if world.fencing
    ]
    properties = {"stop-all-resources": "true"} if world.stop_all else {}
    if any(host.red for host in members):
        properties["node-health-strategy"] = "only-green"
    return Cluster(
        nodes=tuple(_node(world, host) for host in world.hosts.values()),
        resources=(*(_resource(thing) for thing in things if not thing.ignored), *devices),
        constraints=tuple(_constraints(things)),
        name=world.name,
        fencing=world.fencing,
        maintenance=world.maintenance,
        quorate=world.quorate,
        dc=world.dc,
        orphans=tuple(_resource(thing) for thing in left),
        probes=False,  # most of what crm_mon would have to read
        tickets=world.tickets,
        properties=properties,
    )


def _remains(thing: Thing) -> bool:
    return any(part.host is not None for part in thing.parts)


def _device_runs(world: World, members: list[Host], number: int) -> tuple[Run, ...]:
    able = [*members[number + 1 :], *members[:number]]
    return tuple(Run(host.name) for host in able if host.starts)[:1] if world.quorate else ()


def _node(world: World, host: Host) -> Node | RemoteNode:
    attributes = {f"{role}-role": "true" for role in sorted(host.roles)}
    if not host.remote:
        transient = {"#health-disk": "red"} if host.red else {}
        if host.feature_set:
            transient["#feature-set"] = host.feature_set
        if host.standby:
            attributes["standby"] = "on"
        return Node(host.name, host.state, attributes, transient)
    members = [h.name for h in world.hosts.values() if not h.remote and h.state == "online"]
    number = sorted(h.name for h in world.hosts.values() if h.remote).index(host.name)
    carrier = members[number % len(members)] if members else next(iter(world.hosts))
    state: Any = "standby" if host.standby else "online"
    if host.state == "maintenance":
        state = "maintenance"
    if host.state in {"offline", "pending", "shutdown"} or not host.enabled:
        state = "offline"
    unclean = host.state == "unclean" and host.enabled
    return RemoteNode(
        host.name,
        carrier,
        state,
        attributes,
        meta={} if host.enabled else {"target-role": "Stopped"},
        failures=(failure("monitor", 1),) if unclean else (),
    )


def _constraints(things: list[Thing]) -> Iterator[Constraint]:
    for thing in things:
        id_ = f"{thing.id}-clone" if thing.kind == "clone" else thing.id
        if thing.role:
            yield Location(id_, attribute=f"{thing.role}-role")
        if thing.ticket:
            yield Ticket(id_, thing.ticket)
        for node in thing.banned:
            yield Location(id_, node, cli=True)
        if thing.moved:
            yield Location(id_, thing.moved, score=INFINITY, cli=True)
        if thing.follows:
            yield Colocation(id_, thing.follows)


def _meta(thing: Thing) -> dict[str, str]:
    meta = dict(thing.prototype.meta)
    if thing.disabled:
        meta["target-role"] = "Stopped"
    elif thing.demoted:
        meta["target-role"] = "Unpromoted"
    if thing.unmanaged:
        meta["is-managed"] = "false"
    if thing.maintenance:
        meta["maintenance"] = "true"
    if thing.threshold:
        meta["migration-threshold"] = str(thing.threshold)
    return meta


def _resource(thing: Thing) -> Resource:
    match thing.prototype:
        case Bundle():
            replicas = tuple(_replica(thing, part) for part in thing.parts)
            return replace(thing.prototype, replicas=replicas, meta=_meta(thing))
        case Primitive() as primitive if thing.kind == "clone":
            runs = tuple(run for part in thing.parts for run in _runs(part))
            clone = replace(primitive, runs=runs)
            return Clone(f"{thing.id}-clone", clone, meta=_meta(thing) | {"interleave": "true"})
        case Primitive():
            runs = tuple(run for part in thing.parts for run in _runs(part))
            return replace(thing.prototype, runs=runs, meta=_meta(thing))


def _failures(part: Part, of: Any = "service") -> tuple[Failure, ...]:  # noqa: ANN401
    """The failures that last, or the one that was recovered from."""
    lasting = {
        "failed": failure("monitor", 1, of=of),
        "start failed": failure("start", 1, count=INFINITY, of=of),
        "container failed": failure("monitor", 1, of="container"),
        "connection failed": failure("monitor", 1, of="connection"),
        "blocked": failure("stop", 1, count=INFINITY, of=of),
        "degraded": failure("monitor", 190, of=of),
    }
    if part.fault in lasting:
        return (lasting[part.fault],)
    if part.failures and part.host is not None:
        return (Failure("monitor", rc=7, at=-4000, of=part.fail_count_of),)
    return ()


def _replica(thing: Thing, part: Part) -> Replica:
    if part.host is None:
        return Replica(left=part.home)
    role = part.role
    pending, down = None, ()
    match part.fault:
        case "starting":
            pending = Pending("start")
            role = "stopped" if isinstance(thing.prototype, Bundle) else role
            if isinstance(thing.prototype, Bundle) and not thing.prototype.primitive:
                role = "started"
        case "connection lost":
            role, down = "stopped", ("connection",)  # type: ignore[assignment]
    also = (part.also_on,) if part.also_on else ()
    return Replica(
        part.host, role, failures=_failures(part), pending=pending, down=down, also_on=also
    )


def _runs(part: Part) -> Iterator[Run]:
    if part.host is None:
        return
    pending = Pending("start") if part.fault == "starting" else None
    yield Run(part.host, part.role, failures=_failures(part), pending=pending)
    if part.also_on:
        yield Run(part.also_on, part.role)


# ---- A CIB as an observation ----


@dataclass
class Reader:
    """Has the real crm_mon read each CIB once."""

    directory: Path
    """Keeps the answers, by content of the CIB: crm_mon is slow."""
    _read: dict[tuple[str, str], Observation] = field(default_factory=dict)
    _texts: dict[int, tuple[World, str]] = field(default_factory=dict)

    def prepare(self, worlds: list[World]) -> None:
        """Read these, two at a time."""
        texts = dict.fromkeys(self._xml(world) for world in worlds)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._answer, texts))

    def observe(self, world: World, at: float) -> Observation:
        """What the exporter's readers find in a world that has been so since a time."""
        text = self._xml(world)
        things = {name: replace(thing, ignored=False) for name, thing in world.things.items()}
        ignores = any(thing.ignored for thing in world.things.values())
        whole = _xml(replace(world, things=things)) if ignores else text
        if (text, whole) not in self._read:
            completed = Completed(("crm_mon",), 0, self._answer(text), "")
            snapshot = good(crm_mon.read(completed))
            self._read[text, whole] = Observation(
                snapshot,
                cib_reader.parse(whole.encode()),
                configuration_current=True,
                ticket_states=tuple(
                    model.Ticket(name, granted, standby=False)
                    for name, granted in world.tickets.items()
                ),
            )
        return _edited(self._read[text, whole], world, at - NOW)

    def _xml(self, world: World) -> str:
        """The CIB; one for each object, because it takes a while to write."""
        if id(world) not in self._texts:
            self._texts[id(world)] = (world, _xml(world))
        return self._texts[id(world)][1]

    def _answer(self, text: str) -> bytes:
        name = hashlib.sha256(text.encode()).hexdigest()
        answer = self.directory / f"{name}.crm_mon"
        if not answer.exists():
            path = self.directory / f"{name}.xml"
            path.write_text(text, encoding="utf-8")
            new = answer.with_suffix(".new")
            new.write_bytes(see.ask(see.real_commands(path)).stdout)
            new.replace(answer)
            path.unlink()
        return answer.read_bytes()


def _xml(world: World) -> str:
    return cluster(world).xml(NOW)


# ---- What no CIB in a file can show, and times ----


def _edited(seen: Observation, world: World, later: float) -> Observation:
    snapshot = _shifted(seen.snapshot, later)
    counts = _fail_counts(world)
    history = tuple(
        replace(entry, fail_count=counts.get((entry.resource, entry.node), entry.fail_count))
        for entry in snapshot.history
    )
    events = tuple(
        FencingEvent(target, action, status, completed)
        for action, status, target, completed in world.events
    )
    snapshot = replace(snapshot, history=history, fencing=events)
    if any(thing.maintenance for thing in world.things.values()):  # shown from 2.1.9 on
        kept = {thing.id for thing in world.things.values() if thing.maintenance}
        bundles = tuple(
            replace(bundle, maintenance=bundle.maintenance or bundle.id in kept)
            for bundle in snapshot.bundles
        )
        snapshot = replace(snapshot, bundles=bundles)
    return replace(seen, snapshot=snapshot)


def _shifted(snapshot: Snapshot, later: float) -> Snapshot:
    """Everything happened relative to the moment at which the world became so."""
    return replace(
        snapshot,
        history=tuple(
            replace(entry, last_failure=_later(entry.last_failure, later))
            for entry in snapshot.history
        ),
        failed_actions=tuple(
            replace(action, last_change=_later(action.last_change, later))
            for action in snapshot.failed_actions
        ),
    )


def _later(time: float | None, later: float) -> float | None:
    return None if time is None else time + later


def _fail_counts(world: World) -> Mapping[tuple[str, str], int]:
    """Fail-counts by resource and node: one CIB does for all counts."""
    found = {}
    for thing in world.things.values():
        for index, part in enumerate(thing.parts):
            if not part.failures or part.fault or part.host is None:
                continue
            match thing.prototype:
                case Bundle() as bundle:
                    container = f"{bundle.id}-{bundle.engine}-{index}"
                    of_service = part.fail_count_of == "service" and bundle.primitive is not None
                    if of_service and bundle.primitive:
                        found[bundle.primitive.id, f"{bundle.id}-{index}"] = part.failures
                    else:
                        found[container, part.host] = part.failures
                case Primitive() as primitive:
                    found[primitive.id, part.host] = part.failures
    return found
