"""The sentences of a story: each changes the world. tests/incidents/README.md lists them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from tests.support.incidents.world import Fault, Host, Part, Thing, World
from tests.support.model.cib import INFINITY

Step = Callable[[World, float, re.Match[str]], World]

_STEPS: list[tuple[re.Pattern[str], Step]] = []
"""Sentences by their form, in the order below."""


def _step(*forms: str) -> Callable[[Step], Step]:
    """Declare the forms of a sentence: <name> stands for a word."""

    def declared(step: Step) -> Step:
        for form in forms:
            pattern = re.compile(re.sub(r"<(\w+)>", r"(?P<\1>\\S+)", form))
            # "fencing is disabled" before "<thing> is disabled".
            _STEPS.insert(len(_STEPS) if form.startswith("<") else 0, (pattern, step))
        return step

    return declared


def after(world: World, sentence: str, at: float) -> World:
    """The world after a sentence, with all that Pacemaker does about it."""
    for pattern, step in _STEPS:
        found = pattern.fullmatch(sentence)
        if found:
            try:
                return step(world, at, found).settled()
            except LookupError as error:
                raise ValueError(f"{sentence!r}: {error}") from error
    raise ValueError(f"no such sentence: {sentence!r}")


# ---- Names ----


def _hosts(world: World, pattern: str) -> list[Host]:
    """Nodes by name: ``compute-*``, or ``compute-0..49`` for the first fifty."""
    run = re.fullmatch(r"(.*-)(\d+)\.\.(\d+)", pattern)
    if run:
        names = {f"{run[1]}{number}" for number in range(int(run[2]), int(run[3]) + 1)}
        found = [host for host in world.hosts.values() if host.name in names]
    else:
        found = [host for host in world.hosts.values() if fnmatchcase(host.name, pattern)]
    if not found:
        raise LookupError(f"no node {pattern}")
    return found


def _things(world: World, pattern: str) -> list[Thing]:
    found = [thing for thing in world.things.values() if fnmatchcase(thing.id, pattern)]
    if not found:
        raise LookupError(f"no resource {pattern}")
    return found


def _parts(world: World, name: str) -> list[tuple[str, int, Part]]:
    """A replica ``galera-bundle-1``, all of a resource, or an instance ``ping@controller-1``."""
    if "@" in name:
        id_, _, node = name.partition("@")
        parts = world.things[id_].parts
        return [(id_, n, part) for n, part in enumerate(parts) if fnmatchcase(part.home, node)]
    if name in world.things or "*" in name:
        things = _things(world, name)
        return [(t.id, number, part) for t in things for number, part in enumerate(t.parts)]
    id_, _, number = name.rpartition("-")
    return [(id_, int(number), world.things[id_].parts[int(number)])]


def _each_part(world: World, name: str, change: Callable[[Thing, Part], dict[str, Any]]) -> World:
    for id_, number, part in _parts(world, name):
        world = world.part(id_, number, **change(world.things[id_], part))
    return world


def _each_thing(world: World, pattern: str, **changes: Any) -> World:  # noqa: ANN401
    for thing in _things(world, pattern):
        world = world.thing(thing.id, **changes)
    return world


def _each_host(world: World, pattern: str, **changes: Any) -> World:  # noqa: ANN401
    for host in _hosts(world, pattern):
        world = world.host(host.name, **changes)
    return world


# ---- Nodes ----


@_step("<node> (is in standby|is taken out of standby)")
def _standby(world: World, _: float, said: re.Match[str]) -> World:
    return _each_host(world, said["node"], standby=said[2] == "is in standby")


@_step("<node> (is in maintenance|leaves maintenance)")
def _node_maintenance(world: World, at: float, said: re.Match[str]) -> World:
    begins = said[2] == "is in maintenance"
    if said["node"] == "cluster":
        return replace(world, maintenance=begins)
    if said["node"] in world.things or "bundle" in said["node"]:
        return _each_thing(world, said["node"], maintenance=begins)
    state = "maintenance" if begins else "online"
    return _each_host(world, said["node"], state=state)


@_step("<node> crashes")
def _crashes(world: World, _: float, said: re.Match[str]) -> World:
    """Its machine is off; with fencing it is unclean until that is confirmed."""
    for host in _hosts(world, said["node"]):
        state = "unclean" if world.fencing else "offline"
        world = world.host(host.name, state=state, power=False)
    return world


@_step("<node> is fenced")
def _fenced(world: World, at: float, said: re.Match[str]) -> World:
    for host in _hosts(world, said["node"]):
        world = world.host(host.name, state="offline", power=False)
        event = ("reboot", "success", host.name, at)
        world = replace(world, events=(event, *_of_others(world, host.name)))
    return world


def _of_others(world: World, target: str) -> Iterator[tuple[str, str, str, float | None]]:
    return (event for event in world.events if event[2] != target)


@_step("<node> goes down")
def _down(world: World, _: float, said: re.Match[str]) -> World:
    """In an orderly way: Pacemaker stops its resources first."""
    return _each_host(world, said["node"], state="offline", power=False)


@_step("pacemaker stops on <node>")
def _pacemaker_stops(world: World, _: float, said: re.Match[str]) -> World:
    return _each_host(world, said["node"], state="offline", power=True)


@_step("<node> hangs while shutting down")
def _shutting_down(world: World, _: float, said: re.Match[str]) -> World:
    return _each_host(world, said["node"], state="shutdown")


@_step("<node> hangs while joining")
def _joining(world: World, _: float, said: re.Match[str]) -> World:
    return _each_host(world, said["node"], state="pending", power=True)


@_step("<node> returns", "pacemaker starts on <node>")
def _returns(world: World, _: float, said: re.Match[str]) -> World:
    return _each_host(world, said["node"], state="online", power=True)


@_step("<node> connection is (disabled|enabled)")
def _connection(world: World, _: float, said: re.Match[str]) -> World:
    return _each_host(world, said["node"], enabled=said[2] == "enabled")


@_step("<node> health is (red|green)")
def _health(world: World, _: float, said: re.Match[str]) -> World:
    return _each_host(world, said["node"], red=said[2] == "red")


@_step("<node> has feature set <version>")
def _feature_set(world: World, _: float, said: re.Match[str]) -> World:
    return _each_host(world, said["node"], feature_set=said["version"])


@_step("fencing of <node> (is pending|fails|succeeds)")
def _fencing(world: World, at: float, said: re.Match[str]) -> World:
    action = "reboot"
    status = {"is pending": "pending", "fails": "failed", "succeeds": "success"}[said[2]]
    done = None if status == "pending" else at
    kept = [e for e in world.events if not (e[2] == said["node"] and e[1] == "pending")]
    return replace(world, events=((action, status, said["node"], done), *kept))


@_step("fencing history is cleaned up")
def _history(world: World, _: float, said: re.Match[str]) -> World:
    return replace(world, events=())


# ---- Replicas, addresses, other resources, instances of clones ----

_FAULTS: dict[str, Fault] = {
    "stays stopped": "stopped",
    "begins to start": "starting",
    "fails": "failed",
    "fails to start": "start failed",
    "loses its container": "container failed",
    "loses its connection": "connection lost",
    "has a failed connection": "connection failed",
    "fails to stop": "blocked",
    "is demoted": "unpromoted",
    "is degraded": "degraded",
}


@_step(f"<part> ({'|'.join(sorted(_FAULTS, key=len, reverse=True))})")
def _fault(world: World, at: float, said: re.Match[str]) -> World:
    fault = _FAULTS[said[2]]

    def changes(thing: Thing, part: Part) -> dict[str, Any]:
        host = part.host or part.home
        found: dict[str, Any] = {"fault": fault, "host": host}
        if fault == "stopped":
            found |= {"host": None, "role": "stopped"}
        elif part.host is None:
            found["role"] = "unpromoted" if thing.promoted_max else "started"
        if fault in {"start failed", "connection lost"} and thing.promoted_max:
            found["role"] = "unpromoted" if fault == "start failed" else part.role
        return found

    return _each_part(world, said["part"], changes)


@_step("<part> (recovers|starts)")
def _recovers(world: World, _: float, said: re.Match[str]) -> World:
    """Its fail-count stays."""

    def changes(thing: Thing, part: Part) -> dict[str, Any]:
        if part.fault == "stopped" or part.host is None:
            return {"fault": "", "host": None, "role": "stopped"}
        role = "unpromoted" if thing.promoted_max and part.role == "stopped" else part.role
        return {"fault": "", "role": role}

    return _each_part(world, said["part"], changes)


@_step("<part> is killed and restarts")
def _restarts(world: World, at: float, said: re.Match[str]) -> World:
    """Between two polls: nothing but its fail-count tells."""
    return _each_part(
        world, said["part"], lambda _, part: {"failures": part.failures + 1, "failed_at": at}
    )


@_step("<part> dies")
def _dies(world: World, at: float, said: re.Match[str]) -> World:
    """It is down, and its fail-count grows."""
    return _each_part(
        world,
        said["part"],
        lambda _, part: {
            "failures": part.failures + 1,
            "failed_at": at,
            "fault": "stopped",
            "host": None,
            "role": "stopped",
        },
    )


@_step("<part> has <count> failures")
def _count(world: World, at: float, said: re.Match[str]) -> World:
    count = INFINITY if said["count"] == "INFINITY" else int(said["count"])
    return _each_part(world, said["part"], lambda *_: {"failures": count, "failed_at": at})


@_step("<part> is cleaned up")
def _cleanup(world: World, at: float, said: re.Match[str]) -> World:
    world = _recovers(world, at, said)
    return _each_part(world, said["part"], lambda *_: {"failures": 0, "failed_at": None})


@_step("<part> is promoted too")
def _promoted_too(world: World, _: float, said: re.Match[str]) -> World:
    return _each_part(world, said["part"], lambda *_: {"role": "promoted"})


@_step("<part> is promoted instead")
def _promoted_instead(world: World, at: float, said: re.Match[str]) -> World:
    ((id_, _, _),) = _parts(world, said["part"])
    thing = world.things[id_]
    for number, part in enumerate(thing.parts):
        if part.role == "promoted":
            world = world.part(id_, number, role="unpromoted")
    return _promoted_too(world, at, said)


@_step("<part> runs on <node> too")
def _twice(world: World, _: float, said: re.Match[str]) -> World:
    return _each_part(world, said["part"], lambda *_: {"also_on": said["node"]})


@_step("<part> runs only once again")
def _once(world: World, _: float, said: re.Match[str]) -> World:
    return _each_part(world, said["part"], lambda *_: {"also_on": None})


@_step("<thing> is (disabled|enabled)")
def _disabled(world: World, _: float, said: re.Match[str]) -> World:
    return _each_thing(world, said["thing"], disabled=said[2] == "disabled")


@_step("<thing> is enabled, and begins to start")
def _enabled_slowly(world: World, at: float, said: re.Match[str]) -> World:
    world = _each_thing(world, said["thing"], disabled=False).settled()
    return _each_part(world, said["thing"], lambda _, part: {"fault": "starting"})


@_step("<thing> has target-role (unpromoted|promoted)")
def _target_role(world: World, _: float, said: re.Match[str]) -> World:
    return _each_thing(world, said["thing"], demoted=said[2] == "unpromoted")


@_step("<thing> is (unmanaged|managed)")
def _managed(world: World, _: float, said: re.Match[str]) -> World:
    return _each_thing(world, said["thing"], unmanaged=said[2] == "unmanaged")


@_step("<thing> is deleted from the CIB")
def _deleted(world: World, _: float, said: re.Match[str]) -> World:
    for thing in _things(world, said["thing"]):
        parts = tuple(replace(part, host=None, role="stopped") for part in thing.parts)
        world = world.thing(thing.id, deleted=True, parts=parts)
    return world


@_step("<thing> is (not shown any more|shown again)")
def _ignored(world: World, _: float, said: re.Match[str]) -> World:
    """The CIB has it, and crm_mon does not list it."""
    return _each_thing(world, said["thing"], ignored=said[2] == "not shown any more")


@_step("<thing> is created again")
def _created(world: World, _: float, said: re.Match[str]) -> World:
    return _each_thing(world, said["thing"], deleted=False)


@_step("<thing> is banned from <node>")
def _banned(world: World, _: float, said: re.Match[str]) -> World:
    nodes = tuple(host.name for host in _hosts(world, said["node"]))
    for thing in _things(world, said["thing"]):
        world = world.thing(thing.id, banned=(*thing.banned, *nodes))
    return world


@_step("<thing> is moved to <node>")
def _moved(world: World, _: float, said: re.Match[str]) -> World:
    return _each_thing(world, said["thing"], moved=said["node"])


@_step("<thing> constraints are cleared")
def _cleared(world: World, _: float, said: re.Match[str]) -> World:
    return _each_thing(world, said["thing"], moved="", banned=())


@_step("<thing> has migration-threshold <count>")
def _threshold(world: World, _: float, said: re.Match[str]) -> World:
    return _each_thing(world, said["thing"], threshold=int(said["count"]))


@_step("<thing> has <count> replicas")
def _replicas(world: World, _: float, said: re.Match[str]) -> World:
    thing = world.things[said["thing"]]
    hosts = [host.name for host in world.hosts.values() if not host.remote]
    count = int(said["count"])
    more = [Part(hosts[n % len(hosts)], None, "stopped") for n in range(len(thing.parts), count)]
    return world.thing(thing.id, parts=(*thing.parts[:count], *more))


# ---- The cluster ----


@_step("stop-all-resources is (set|unset)")
def _stop_all(world: World, _: float, said: re.Match[str]) -> World:
    return replace(world, stop_all=said[1] == "set")


@_step("fencing is (disabled|enabled)")
def _fencing_enabled(world: World, _: float, said: re.Match[str]) -> World:
    return replace(world, fencing=said[1] == "enabled")


@_step("quorum is lost")
def _quorum_lost(world: World, _: float, said: re.Match[str]) -> World:
    """All members but the first are gone, and nothing may run."""
    members = [host.name for host in world.hosts.values() if not host.remote]
    for name in members[1:]:
        world = world.host(name, state="unclean" if world.fencing else "offline", power=False)
    return replace(world, quorate=False, dc=members[0])


@_step("quorum is back")
def _quorum_back(world: World, _: float, said: re.Match[str]) -> World:
    world = replace(world, quorate=True)
    for host in world.hosts.values():
        if not host.remote:
            world = world.host(host.name, state="online", power=True)
    return world


@_step("<node> is cut off")
def _cut_off(world: World, _: float, said: re.Match[str]) -> World:
    """A partition: it sees itself alone, and the others fence it in vain or have done so."""
    names = tuple(host.name for host in _hosts(world, said["node"]))
    world = replace(world, cut_off=(*world.cut_off, *names))
    for name in names:
        world = world.host(name, state="unclean" if world.fencing else "offline", power=True)
    return world


@_step("<node> is connected again")
def _connected(world: World, _: float, said: re.Match[str]) -> World:
    names = {host.name for host in _hosts(world, said["node"])}
    world = replace(world, cut_off=tuple(n for n in world.cut_off if n not in names))
    for name in names:
        world = world.host(name, state="online", power=True)
    return world


@_step("corosync hangs on <node>")
def _corosync_hangs(world: World, at: float, said: re.Match[str]) -> World:
    """It goes on seeing the cluster as it was, with quorum."""
    before = replace(world, dc=said["node"])
    world = replace(world, blind=(said["node"],), before=before)
    return _crashes(world, at, said).host(said["node"], power=True)


@_step("the DC is <node>")
def _dc(world: World, _: float, said: re.Match[str]) -> World:
    return replace(world, dc=said["node"])


@_step("no DC is elected")
def _no_dc(world: World, _: float, said: re.Match[str]) -> World:
    return replace(world, dc=None)


@_step("ticket <ticket> is (granted|revoked)")
def _ticket(world: World, _: float, said: re.Match[str]) -> World:
    return replace(world, tickets={**world.tickets, said["ticket"]: said[2] == "granted"})


# ---- Exporters ----


@_step("exporter (?:on )?<node> (is down|is up|is absent|is slow|is fast)")
def _exporter(world: World, _: float, said: re.Match[str]) -> World:
    how = said[2].removeprefix("is ")
    if how in {"slow", "fast"}:
        return _each_exporter(world, said["node"], slow=how == "slow")
    return _each_exporter(world, said["node"], mode=how)


@_step("scrapes of <node> (fail|succeed)")
def _scrapes(world: World, _: float, said: re.Match[str]) -> World:
    return _each_exporter(world, said["node"], dropped=said[2] == "fail")


@_step("polls on <node> fail with <outcome>")
def _polls(world: World, _: float, said: re.Match[str]) -> World:
    return _each_exporter(world, said["node"], mode=said["outcome"])


@_step("cibadmin on <node> (fails|works)")
def _cibadmin(world: World, _: float, said: re.Match[str]) -> World:
    return _each_exporter(world, said["node"], cib=said[2] == "works")


@_step("corosync (refuses|allows) the exporter on <node>")
def _refuses(world: World, _: float, said: re.Match[str]) -> World:
    return _each_exporter(world, said["node"], may_ask_corosync=said[1] == "allows")


@_step("clock of <node> is <seconds>s (ahead|behind)")
def _clock(world: World, _: float, said: re.Match[str]) -> World:
    ahead = float(said["seconds"]) * (1 if said[3] == "ahead" else -1)
    return _each_exporter(world, said["node"], clock=ahead)


@_step("exporter on <node> has version <version>")
def _version(world: World, _: float, said: re.Match[str]) -> World:
    return _each_exporter(world, said["node"], version=said["version"])


@_step("exporter on <node> is scraped by job <job>")
def _job(world: World, _: float, said: re.Match[str]) -> World:
    return _each_exporter(world, said["node"], job=said["job"])


@_step("exporter on <node> does not know its name")
def _nameless(world: World, _: float, said: re.Match[str]) -> World:
    return _each_exporter(world, said["node"], knows_its_name=False)


def _each_exporter(world: World, pattern: str, **changes: Any) -> World:  # noqa: ANN401
    pattern = "*" if pattern == "every-node" else pattern
    found = [name for name in world.exporters if fnmatchcase(name, pattern)]
    if not found:
        raise LookupError(f"no exporter on {pattern}")
    for name in found:
        world = world.exporter(name, **changes)
    return world
