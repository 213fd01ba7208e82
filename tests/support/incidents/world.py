"""A cluster at one moment of a timeline, and how Pacemaker settles it.

`World` says what people, faults and nodes did. `World.settled` moves resources as Pacemaker would:
a small scheduler of its own, which knows nodes, roles, bans, tickets, colocations and target roles.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from tests.support.model.cib import Bundle, Failure, Primitive, Role

State = Literal["online", "maintenance", "offline", "unclean", "pending", "shutdown"]
Fault = Literal[
    "",
    "stopped",  # the replica does not run, and Pacemaker does not start it
    "starting",  # it has begun to start
    "failed",  # its monitor failed, and Pacemaker has not recovered it
    "start failed",  # its container runs, its service does not start
    "container failed",
    "connection lost",
    "connection failed",
    "blocked",  # its stop failed
    "unpromoted",  # it runs and is not promoted
    "degraded",  # its monitor reports degraded (190)
]


@dataclass(frozen=True)
class Host:
    """A node."""

    name: str
    remote: bool = False
    state: State = "online"
    standby: bool = False
    """Somebody put it in standby: it may be offline as well."""
    power: bool = True
    """Whether the machine runs: without it, its exporter does not answer."""
    roles: frozenset[str] = frozenset()
    """TripleO's roles: attributes such as galera-role=true."""
    enabled: bool = True
    """False for a remote node whose connection is disabled."""
    red: bool = False
    """A red health attribute."""
    feature_set: str = ""

    @property
    def starts(self) -> bool:
        """Whether Pacemaker starts resources here."""
        return self.state == "online" and not self.standby and self.enabled

    @property
    def keeps(self) -> bool:
        """Whether crm_mon still lists what ran here."""
        return self.state in {"maintenance", "unclean"} or (
            self.state in {"online", "shutdown"} and not self.standby and self.enabled
        )


@dataclass(frozen=True)
class Part:
    """A replica of a bundle, an address, another primitive, or an instance of a clone."""

    home: str
    """The node that it prefers."""
    host: str | None
    role: Role = "started"
    fault: Fault = ""
    failures: int = 0
    """Its fail-count; INFINITY in case of some faults."""
    failed_at: float | None = None
    also_on: str | None = None
    """A second node on which it wrongly runs."""
    fail_count_of: Literal["service", "container"] = "service"

    @property
    def healthy(self) -> bool:
        return self.host is not None and self.fault in {"", "unpromoted"}


@dataclass(frozen=True)
class Thing:
    """A bundle, address, other primitive or clone, with all of its parts."""

    prototype: Bundle | Primitive
    kind: Literal["bundle", "primitive", "clone"]
    parts: tuple[Part, ...]
    role: str = ""
    """It runs only on nodes with this role."""
    remote: bool = False
    """It may run on remote nodes."""
    follows: str = ""
    """It is colocated with this one."""
    ticket: str = ""
    """It runs only with this ticket."""
    disabled: bool = False
    demoted: bool = False
    """Its target-role is Unpromoted."""
    unmanaged: bool = False
    maintenance: bool = False
    banned: tuple[str, ...] = ()
    """Nodes that `pcs resource ban` excludes."""
    moved: str = ""
    """The node that `pcs resource move` prefers."""
    deleted: bool = False
    """No longer in the CIB."""
    ignored: bool = False
    """In the CIB, but crm_mon does not list it."""
    threshold: int = 0
    """The migration-threshold, 0 if none."""

    @property
    def id(self) -> str:
        return self.prototype.id

    @property
    def promoted_max(self) -> int:
        return self.prototype.promoted_max if isinstance(self.prototype, Bundle) else 0

    @property
    def per_host(self) -> int:
        return self.prototype.per_host if isinstance(self.prototype, Bundle) else 1

    def but(self, index: int, **changes: Any) -> Self:  # noqa: ANN401 - Part's fields
        parts = list(self.parts)
        parts[index] = replace(parts[index], **changes)
        return replace(self, parts=tuple(parts))


@dataclass(frozen=True)
class Exporter:
    """The exporter of a node, and how Prometheus reaches it."""

    mode: str = "up"
    """up, down, absent (no longer a target), or the outcome of failed polls."""
    cib: bool = True
    """Whether cibadmin works."""
    may_ask_corosync: bool = True
    clock: float = 0.0
    """Seconds that its clock is ahead."""
    slow: bool = False
    version: str = "1.0.0"
    knows_its_name: bool = True
    job: str = "pacemaker"
    dropped: bool = False
    """Scrapes fail, although the exporter runs."""


@dataclass(frozen=True)
class World:
    """A cluster at one moment."""

    hosts: Mapping[str, Host]
    things: Mapping[str, Thing]
    exporters: Mapping[str, Exporter]
    name: str = "tripleo_cluster"
    fencing: bool = True
    maintenance: bool = False
    stop_all: bool = False
    quorate: bool = True
    dc: str | None = "controller-0"
    frozen: bool = False
    """The partition has lost quorum and fences nobody: everything stays listed."""
    cut_off: tuple[str, ...] = ()
    """Members that see only themselves, without quorum."""
    blind: tuple[str, ...] = ()
    """Members that still see the cluster as it was, with quorum and themselves as DC."""
    before: "World | None" = None
    """What the blind ones see."""
    tickets: Mapping[str, bool] = field(default_factory=dict)
    events: tuple[tuple[str, str, str, float | None], ...] = ()
    """The fencing history: action, status, target, time of completion; newest first."""
    configured: int = 0
    """How often the configuration was changed."""

    # ---- Changes ----

    def host(self, name: str, **changes: Any) -> Self:  # noqa: ANN401 - Host's fields
        return replace(self, hosts={**self.hosts, name: replace(self.hosts[name], **changes)})

    def thing(self, name: str, **changes: Any) -> Self:  # noqa: ANN401 - Thing's fields
        things = {**self.things, name: replace(self.things[name], **changes)}
        return replace(self, things=things, configured=self.configured + 1)

    def part(self, name: str, index: int, **changes: Any) -> Self:  # noqa: ANN401 - Part's
        thing = self.things[name].but(index, **changes)
        return replace(self, things={**self.things, name: thing})

    def exporter(self, name: str, **changes: Any) -> Self:  # noqa: ANN401 - Exporter's fields
        exporters = {**self.exporters, name: replace(self.exporters[name], **changes)}
        return replace(self, exporters=exporters)

    # ---- What Pacemaker makes of it ----

    def settled(self) -> Self:
        """The same world after Pacemaker has done all that it can."""
        if self.dc is None:
            return self
        world = self._with_dc()
        for name in self.things:  # in the order of dependencies
            thing = world._settled(world.things[name])
            world = replace(world, things={**world.things, name: thing})
        return world

    def _with_dc(self) -> Self:
        dc = self.hosts.get(self.dc or "")
        if dc is not None and dc.state in {"online", "maintenance", "shutdown"}:
            return self
        able = [h.name for h in self.hosts.values() if not h.remote and h.state == "online"]
        return replace(self, dc=able[0] if able else self.dc)

    def held_back(self, thing: Thing) -> bool:
        """Whether it must not run, because of its target role or what it depends on."""
        if thing.disabled or self.stop_all or not self.quorate:
            return True
        if thing.ticket and not self.tickets.get(thing.ticket, False):
            return True
        leader = self.things.get(thing.follows)
        return leader is not None and (leader.deleted or self.held_back(leader))

    def allowed(self, thing: Thing, host: Host) -> bool:
        """Whether constraints let it run there."""
        return (
            (thing.remote or not host.remote)
            and (not thing.role or thing.role in host.roles)
            and host.name not in thing.banned
        )

    def _settled(self, thing: Thing) -> Thing:
        if thing.deleted or self.frozen:
            return thing
        managed = not (self.maintenance or thing.unmanaged or thing.maintenance)
        parts = [self._left(part) for part in thing.parts]
        if not managed:
            return replace(thing, parts=tuple(parts))
        if self.held_back(thing):
            return replace(thing, parts=tuple(self._stopped(part) for part in parts))
        parts = [self._banned(thing, part) for part in parts]
        if thing.kind == "clone":
            parts = [self._home(thing, part) for part in parts]
        else:
            for index, part in enumerate(parts):
                parts[index] = self._placed(thing, part, parts)
        return replace(thing, parts=tuple(self._promoted(thing, parts)))

    def _left(self, part: Part) -> Part:
        """Gone with its node, if that is lost."""
        if part.host is None or self.hosts[part.host].keeps:
            return part
        lasting = part.fault in {"stopped", "start failed"}
        return replace(part, host=None, role="stopped", fault="stopped" if lasting else "")

    def _stopped(self, part: Part) -> Part:
        if part.fault == "blocked" or self._kept(part):
            return part
        return replace(part, host=None, role="stopped", fault="")

    def _kept(self, part: Part) -> bool:
        """On a node where Pacemaker does nothing now."""
        return part.host is not None and self.hosts[part.host].state in {"maintenance", "unclean"}

    def _banned(self, thing: Thing, part: Part) -> Part:
        if part.host is None or self._kept(part) or part.fault == "blocked":
            return part
        moves = thing.moved and part.host != thing.moved and self.hosts[thing.moved].starts
        if moves or not self.allowed(thing, self.hosts[part.host]):
            return replace(part, host=None, role="stopped")
        return part

    def _home(self, thing: Thing, part: Part) -> Part:
        host = self.hosts[part.home]
        if part.host is None and not part.fault and host.starts and self.allowed(thing, host):
            return replace(part, host=part.home, role="started")
        return part

    def _placed(self, thing: Thing, part: Part, parts: Iterable[Part]) -> Part:
        if thing.follows and part.host is not None and part.host not in self._of_leader(thing):
            part = replace(part, host=None, role="stopped")
        if part.host is not None or part.fault == "stopped":
            return part
        taken = [other.host for other in parts]
        free = [
            host.name
            for host in self.hosts.values()
            if host.starts
            and self.allowed(thing, host)
            and taken.count(host.name) < thing.per_host
            and (not thing.follows or host.name in self._of_leader(thing))
        ]
        if not free:
            return part
        preferred = [name for name in (thing.moved, part.home) if name in free]
        role: Role = "unpromoted" if thing.promoted_max else "started"
        return replace(part, host=[*preferred, *free][0], role=role)

    def _of_leader(self, thing: Thing) -> set[str]:
        return {p.host for p in self.things[thing.follows].parts if p.healthy and p.host}

    def _promoted(self, thing: Thing, parts: list[Part]) -> list[Part]:
        if not thing.promoted_max:
            return parts
        if thing.demoted:
            return [
                replace(part, role="unpromoted") if part.role == "promoted" else part
                for part in parts
            ]
        parts = [
            replace(part, role="unpromoted")
            if part.fault == "unpromoted" and part.host is not None
            else part
            for part in parts
        ]
        missing = thing.promoted_max - sum(part.role == "promoted" for part in parts)
        for index, part in enumerate(parts):
            if missing <= 0:
                break
            if part.host and not part.fault and part.role == "unpromoted" and not self._kept(part):
                parts[index] = replace(part, role="promoted")
                missing -= 1
        return parts


def failure(task: Any, rc: int, **more: Any) -> Failure:  # noqa: ANN401 - Failure's fields
    """A failure as it is listed while it lasts."""
    return Failure(task, rc=rc, at=-30, **more)


Change = Callable[[World], World]
