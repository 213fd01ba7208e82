"""Situations for the alerting rules: what crm_mon says of a cluster, and what is added to that.

A situation is written ``STATE + EDIT + EDIT=VALUE``. The state is one of states.py, or of those
below, and is read with the real crm_mon and cibadmin; the edits are for what no CIB in a file can
show.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any

from exporter.cluster.configuration import BundleConfiguration, Configuration
from exporter.cluster.model import FencingEvent
from exporter.cluster.observation import Observation
from exporter.cluster.sbd import Sbd
from tests.support.harness import see
from tests.support.model.cib import (
    INFINITY,
    IPADDR2,
    Bundle,
    Clone,
    Cluster,
    Colocation,
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
    controllers,
    haproxy,
)
from tests.support.model.states import (
    FIRST,
    GALERA,
    HAPROXY,
    HOSTS,
    RABBITMQ,
    REDIS,
    SECOND,
    THIRD,
    UNIQUE,
    State,
    _all,
    _cluster,
    _meta,
    _third,
    _without_third,
)

ADDRESS = "ip-192.0.2.10"


def _guarded(*resources: Resource, **options: Any) -> Cluster:  # noqa: ANN401 - Cluster's fields
    """A cluster with fencing enabled: what lasts for hours must not also be without fencing."""
    return _cluster(*resources, fencing=True, **options)


def _plain(*runs: Run, **options: Any) -> Primitive:  # noqa: ANN401 - Primitive's fields
    return Primitive("backup", "ocf:pacemaker:Dummy", runs, **options)


def _virtual_ip(*runs: Run, **options: Any) -> Primitive:  # noqa: ANN401 - Primitive's fields
    return Primitive(ADDRESS, IPADDR2, runs, {"ip": "192.0.2.10"}, **options)


def _cloud_address(*runs: Run) -> Primitive:
    return Primitive("probe", "ocf:heartbeat:azure-lb", runs)


def _with_haproxy(bundle: Bundle, *runs: Run) -> Cluster:
    """A virtual IP that runs only where HAProxy does."""
    return _guarded(
        bundle, _virtual_ip(*runs), constraints=(Colocation(ADDRESS, "haproxy-bundle"),)
    )


def _clone(*nodes: str) -> Clone:
    return Clone("ping-clone", Primitive("ping", runs=tuple(map(Run, nodes))))


_NORTH = (Ticket("backup", "north"),)
"""What _plain makes runs only while the ticket is here."""


def computes(lost: int, state: str) -> Iterator[RemoteNode]:
    """Yield 16 remote nodes, of which the first are lost in some way."""
    unclean = (Failure("monitor", rc=1),)  # Pacemaker must fence a node whose connection failed
    for number in range(16):
        name = f"compute-{number}"
        if number >= lost:
            yield RemoteNode(name, FIRST)
        elif state == "unclean":
            yield RemoteNode(name, FIRST, failures=unclean)
        else:
            yield RemoteNode(name, FIRST, "offline")


def _failed(count: int, threshold: str) -> Cluster:
    """A plain resource that runs, with a fail-count from before."""
    failures = (Failure(rc=7, at=-4000, count=count),) if count else ()
    return _guarded(_plain(Run(FIRST, failures=failures), meta={"migration-threshold": threshold}))


def _stopped(bundle: Any) -> Any:  # noqa: ANN401 - a Bundle to a Bundle
    return replace(bundle, replicas=tuple(Replica(left=host) for host in HOSTS))


def _but_one(bundle: Bundle, index: int) -> tuple[Replica, ...]:
    """The replicas of a bundle, of which one is stopped."""
    host = bundle.replicas[index].host
    return bundle.but(index, host=None, role="stopped", left=host).replicas


SIX = replace(UNIQUE, replicas=(*UNIQUE.replicas, *(Replica(THIRD, "started"),) * 2))
SECOND_IN_MAINTENANCE = (controllers()[0], Node(SECOND, "maintenance"), controllers()[2])


def _composable(bundle: Bundle = GALERA, messaging: Node = Node("messaging-0")) -> Cluster:  # noqa: B008 - it is frozen
    """A bundle that may run on controllers only, by a node attribute."""
    allowed = tuple(replace(node, attributes={"galera-role": "true"}) for node in controllers())
    return _guarded(
        bundle,
        nodes=(*allowed, messaging),
        constraints=(Location("galera-bundle", attribute="galera-role"),),
    )


MORE: dict[str, State] = {
    # ---- bundles
    "guarded-redis": State("Redis, with fencing", _guarded(REDIS)),
    "guarded-redis-unmanaged": State(
        "Redis is unmanaged", _guarded(_meta(REDIS, is_managed="false"))
    ),
    "redis-demoted": State(
        "nobody may be promoted: target-role is Unpromoted",
        _cluster(_meta(REDIS.but(0, role="unpromoted"), target_role="Unpromoted")),
    ),
    "guarded-redis-disabled": State(
        "Redis is disabled", _guarded(_stopped(_meta(REDIS, target_role="Stopped")))
    ),
    "guarded-maintenance": State("maintenance-mode is on", _guarded(REDIS, maintenance=True)),
    "galera-and-redis": State("two bundles that are well", _cluster(GALERA, REDIS)),
    "galera-without-redis": State("the CIB has no redis-bundle any more", _cluster(GALERA)),
    "redis-stopped-but-one": State(
        "one replica of Redis is left, and promoted",
        _cluster(
            REDIS.but(1, host=None, role="stopped", left=SECOND).but(
                2, host=None, role="stopped", left=THIRD
            )
        ),
    ),
    "redis-failed-over": State(
        "Redis is promoted on controller-1",
        _cluster(REDIS.but(0, role="unpromoted").but(1, role="promoted")),
    ),
    "rabbitmq-standby": State(
        "controller-2 is on standby, RabbitMQ is stopped there",
        _guarded(_without_third(RABBITMQ), nodes=_third("standby")),
    ),
    "rabbitmq-standby-and-stopped": State(
        "controller-2 is on standby, and RabbitMQ is stopped on controller-1 too",
        _guarded(
            _without_third(RABBITMQ).but(1, host=None, role="stopped", left=SECOND),
            nodes=_third("standby"),
        ),
    ),
    "rabbitmq-stopped-beside-maintenance": State(
        "controller-2 is in maintenance, RabbitMQ ready there and stopped on controller-1",
        _guarded(
            RABBITMQ.but(1, host=None, role="stopped", left=SECOND), nodes=_third("maintenance")
        ),
    ),
    "guarded-rabbitmq": State("RabbitMQ, with fencing", _guarded(RABBITMQ)),
    "guarded-six": State("two replicas on each host", _guarded(SIX)),
    **{
        f"six-standby-{stopped}": State(
            f"a node is on standby, and {stopped} of the replicas are stopped",
            _guarded(
                replace(SIX, replicas=(*SIX.replicas[:-stopped], *(Replica(),) * stopped)),
                nodes=_third("standby"),
            ),
        )
        for stopped in (2, 3)
    },
    "composable": State(
        "Galera runs on controllers only, beside a node for messages", _composable()
    ),
    "composable-standby-and-galera-stopped": State(
        "the node for messages is on standby, and a replica of Galera is stopped",
        _composable(
            GALERA.but(2, host=None, role="stopped", left=THIRD), Node("messaging-0", "standby")
        ),
    ),
    "galera-standby": State(
        "controller-2 is on standby, Galera is stopped there",
        _cluster(_without_third(GALERA), nodes=_third("standby")),
    ),
    "galera-shutdown": State(
        "controller-2 is shutting down, Galera is already stopped there",
        _cluster(_without_third(GALERA), nodes=_third("shutdown")),
    ),
    "unmanaged-replica-stopped": State(
        "RabbitMQ is unmanaged, and a replica of it is stopped",
        _cluster(_meta(RABBITMQ.but(2, host=None, role="stopped", left=THIRD), is_managed="false")),
    ),
    "unmanaged-blocked": State(
        "RabbitMQ is unmanaged, and a replica of it is blocked",
        _cluster(
            _meta(
                RABBITMQ.but(1, failures=(Failure("stop", rc=1, count=INFINITY),)),
                is_managed="false",
            )
        ),
    ),
    "maintenance-blocked": State(
        "maintenance-mode is on, and a replica of RabbitMQ is blocked",
        _cluster(
            RABBITMQ.but(1, failures=(Failure("stop", rc=1, count=INFINITY),)), maintenance=True
        ),
    ),
    "crowded": State(
        "two replicas of HAProxy on one node, where one is allowed",
        _cluster(replace(HAPROXY, replicas=(Replica(FIRST, "started"),) * 2)),
    ),
    "haproxy-none": State("no replica of HAProxy runs", _cluster(_stopped(HAPROXY))),
    "haproxy": State("HAProxy, with fencing", _guarded(HAPROXY)),
    "haproxy-stopped-everywhere": State("no replica of HAProxy runs", _guarded(_stopped(HAPROXY))),
    "haproxy-disabled": State(
        "HAProxy is disabled", _guarded(_stopped(_meta(HAPROXY, target_role="Stopped")))
    ),
    "haproxy-starting": State(
        "all replicas of HAProxy are starting",
        _guarded(
            replace(
                HAPROXY,
                replicas=tuple(replace(r, pending=Pending("start")) for r in HAPROXY.replicas),
            )
        ),
    ),
    "more-replicas-and-one-stopped": State(
        "five replicas on three nodes, and the third is stopped",
        _cluster(replace(HAPROXY, replicas=(*_but_one(HAPROXY, 2), Replica(), Replica()))),
    ),
    "more-replicas-and-one-stopped-first": State(
        "five replicas on three nodes, and the first is stopped",
        _cluster(replace(HAPROXY, replicas=(*_but_one(HAPROXY, 0), Replica(), Replica()))),
    ),
    "haproxy-single": State("one replica of HAProxy", _cluster(haproxy((FIRST,)))),
    "haproxy-single-moved": State("on another node", _cluster(haproxy((SECOND,)))),
    "rabbitmq-restarting": State(
        "all replicas of RabbitMQ are stopped", _guarded(_stopped(RABBITMQ))
    ),
    "rabbitmq-stopped-once": State(
        "one replica of RabbitMQ is stopped",
        _guarded(RABBITMQ.but(2, host=None, role="stopped", left=THIRD)),
    ),
    **{
        f"rabbitmq-failing-{count}": State(
            f"a replica of RabbitMQ has recovered from {count} failures",
            _guarded(RABBITMQ.but(1, failures=(Failure(rc=7, at=-4000, count=count),))),
        )
        for count in (1, 2, 3, 4)
    },
    **{
        f"rabbitmq-without-{index}": State(
            f"replica {index} of RabbitMQ is stopped",
            _guarded(replace(RABBITMQ, replicas=_but_one(RABBITMQ, index))),
        )
        for index in range(3)
    },
    **{
        f"galera-without-{index}": State(
            f"replica {index} of Galera is stopped",
            _guarded(replace(GALERA, replicas=_but_one(GALERA, index))),
        )
        for index in range(3)
    },
    **{
        f"galera-unpromoted-{index}": State(
            f"replica {index} of Galera is not promoted",
            _guarded(GALERA.but(index, role="unpromoted")),
        )
        for index in range(3)
    },
    "galera-unmanaged-and-failed": State(
        "Galera is unmanaged, and a replica of it has failed",
        _guarded(_meta(GALERA.but(1, failures=(Failure(rc=1),)), is_managed="false")),
    ),
    "galera-failed-in-maintenance": State(
        "a replica of Galera has failed on a node in maintenance",
        _guarded(GALERA.but(1, failures=(Failure(rc=1),)), nodes=SECOND_IN_MAINTENANCE),
    ),
    "galera-stopped-in-maintenance": State(
        "the service of a replica is stopped on a node in maintenance",
        _guarded(GALERA.but(1, role="stopped"), nodes=SECOND_IN_MAINTENANCE),
    ),
    "galera-disconnected-in-maintenance": State(
        "a replica has no connection on a node in maintenance",
        _guarded(GALERA.but(1, role="stopped", down=("connection",)), nodes=SECOND_IN_MAINTENANCE),
    ),
    "guarded-galera-and-redis": State("two bundles, with fencing", _guarded(GALERA, REDIS)),
    "guarded-galera": State("Galera, with fencing", _guarded(GALERA)),
    "galera-restarting": State("all replicas of Galera are stopped", _guarded(_stopped(GALERA))),
    "guarded-redis-failed-over": State(
        "Redis is promoted on controller-1",
        _guarded(REDIS.but(0, role="unpromoted").but(1, role="promoted")),
    ),
    # ---- resources
    "address": State("a virtual IP is up", _cluster(_virtual_ip(Run(FIRST)))),
    "address-stopped": State("the virtual IP is up nowhere", _cluster(_virtual_ip())),
    "address-disabled": State(
        "the virtual IP is disabled", _cluster(_virtual_ip(meta={"target-role": "Stopped"}))
    ),
    "cloud-address": State(
        "the probe of a load balancer is answered", _cluster(_cloud_address(Run(FIRST)))
    ),
    "cloud-address-stopped": State("it is not answered", _cluster(_cloud_address())),
    "source-address-stopped": State(
        "the source address of connections is not set",
        _guarded(Primitive("source", "ocf:heartbeat:IPsrcaddr")),
    ),
    "address-with-haproxy": State(
        "a virtual IP is up beside HAProxy", _with_haproxy(HAPROXY, Run(FIRST))
    ),
    "address-waiting": State("it is up nowhere, and HAProxy runs", _with_haproxy(HAPROXY)),
    "address-held-back": State(
        "HAProxy is disabled, and the virtual IP is stopped",
        _with_haproxy(_stopped(_meta(HAPROXY, target_role="Stopped"))),
    ),
    "address-on-third": State(
        "the virtual IP is up on controller-2", _guarded(_virtual_ip(Run(THIRD)))
    ),
    "address-unclean": State(
        "the virtual IP is up on controller-2 only, which is unclean",
        _guarded(_virtual_ip(Run(THIRD)), nodes=_third("unclean")),
    ),
    "backup": State("a plain resource runs", _guarded(_plain(Run(FIRST)))),
    "backup-elsewhere": State("it runs on another node", _guarded(_plain(Run(SECOND)))),
    "backup-stopped": State("it runs nowhere", _guarded(_plain())),
    "backup-failed": State(
        "its monitor failed", _guarded(_plain(Run(FIRST, failures=(Failure(rc=1),))))
    ),
    "backup-blocked": State(
        "its stop failed, and without fencing it is blocked",
        _cluster(_plain(Run(FIRST, failures=(Failure("stop", rc=1, count=INFINITY),)))),
    ),
    "backup-disabled": State("it is disabled", _guarded(_plain(meta={"target-role": "Stopped"}))),
    "backup-unmanaged": State(
        "it is unmanaged", _guarded(_plain(Run(FIRST), meta={"is-managed": "false"}))
    ),
    "backup-maintenance": State(
        "maintenance-mode is on", _guarded(_plain(Run(FIRST)), maintenance=True)
    ),
    "backup-standby-onfail": State(
        "its monitor failed with on-fail=standby",
        _guarded(_plain(Run(FIRST, failures=(Failure(rc=1),)), on_fail={"monitor": "standby"})),
    ),
    "clone": State("a clone runs on all nodes", _guarded(_clone(FIRST, SECOND, THIRD))),
    "clone-on-two": State("it is stopped on the third node", _guarded(_clone(FIRST, SECOND))),
    "clone-stopped": State("it runs nowhere", _guarded(_clone())),
    "clone-on-two-of-two": State(
        "it runs on two nodes, and the third is on standby",
        _guarded(_clone(FIRST, SECOND), nodes=_third("standby")),
    ),
    "clone-limited": State(
        "it runs on two nodes, which is its clone-max",
        _guarded(replace(_clone(FIRST, SECOND), meta={"clone-max": "2"})),
    ),
    "clone-failed": State(
        "it has failed on the third node",
        _guarded(
            Clone(
                "ping-clone",
                Primitive(
                    "ping", runs=(Run(FIRST), Run(SECOND), Run(THIRD, failures=(Failure(rc=1),)))
                ),
            )
        ),
    ),
    "backup-degraded": State(
        "its monitor reports that it is degraded",
        _guarded(_plain(Run(FIRST, failures=(Failure(rc=190, count=0, reason="one fan left"),)))),
    ),
    "backup-degraded-never": State("its monitor reports nothing", _guarded(_plain(Run(FIRST)))),
    **{
        f"backup-failing-{count}": State(
            f"it has recovered from {count} failures, and no number is too many",
            _failed(count, "INFINITY"),
        )
        for count in (1, 2, 3, 4)
    },
    "failed-never": State("no failure", _failed(0, "3")),
    "failed-never-of-one": State("no failure, and one is too many", _failed(0, "1")),
    "failed-once": State("one failure of three", _failed(1, "3")),
    "failed-twice": State("two failures of three", _failed(2, "3")),
    "failed-thrice": State("three failures of three", _failed(3, "3")),
    "failed-ten-times": State("ten failures, and no threshold", _failed(10, "INFINITY")),
    "ban-left": State(
        "pcs resource ban has left its constraint",
        _guarded(_plain(Run(FIRST)), constraints=(Location("backup", THIRD, cli=True),)),
    ),
    "preference-left": State(
        "pcs resource move has left its constraint",
        _guarded(
            _plain(Run(FIRST)),
            constraints=(Location("backup", FIRST, score=INFINITY, cli=True),),
        ),
    ),
    "ban-configured": State(
        "somebody has configured where it must not run, as for fencing devices",
        _guarded(_plain(Run(FIRST)), constraints=(Location("backup", THIRD),)),
    ),
    # ---- nodes
    **{
        f"backup-node-{state}": State(
            f"controller-2 is {state}", _guarded(_plain(Run(FIRST)), nodes=_third(state))
        )
        for state in ("unclean", "offline", "standby", "pending", "shutdown", "maintenance")
    },
    "backup-first-unclean": State(
        "controller-0 is unclean, and controller-1 is the DC",
        _guarded(
            _plain(Run(SECOND)), nodes=(Node(FIRST, "unclean"), *controllers()[1:]), dc=SECOND
        ),
    ),
    "backup-first-alone": State(
        "controller-0 sees no other node",
        _guarded(
            _plain(),
            nodes=(Node(FIRST), Node(SECOND, "offline"), Node(THIRD, "offline")),
            quorate=False,
        ),
    ),
    "backup-alone": State(
        "controller-2 sees no other node",
        _guarded(
            _plain(),
            nodes=(Node(FIRST, "offline"), Node(SECOND, "offline"), Node(THIRD)),
            quorate=False,
            dc=THIRD,
        ),
    ),
    "backup-host-maintenance": State(
        "its node is in maintenance",
        _guarded(_plain(Run(FIRST)), nodes=(Node(FIRST, "maintenance"), *controllers()[1:])),
    ),
    "backup-red": State(
        "controller-2 reports a red disk",
        _guarded(
            _plain(Run(FIRST)),
            nodes=(*controllers()[:2], Node(THIRD, transient={"#health-disk": "red"})),
            properties={"node-health-strategy": "only-green"},
        ),
    ),
    "compute": State(
        "a remote node is online",
        _guarded(_plain(Run(FIRST)), nodes=(*controllers(), RemoteNode("compute-0", FIRST))),
    ),
    "compute-offline": State(
        "a remote node is offline",
        _guarded(
            _plain(Run(FIRST)), nodes=(*controllers(), RemoteNode("compute-0", FIRST, "offline"))
        ),
    ),
    "compute-disabled": State(
        "the connection to a remote node is disabled",
        _guarded(
            _plain(Run(FIRST)),
            nodes=(
                *controllers(),
                RemoteNode("compute-0", FIRST, "offline", meta={"target-role": "Stopped"}),
            ),
        ),
    ),
    "compute-lost": State(
        "the connection to a remote node cannot start again on any node",
        _guarded(
            _plain(Run(FIRST)),
            nodes=(
                *controllers(),
                RemoteNode(
                    "compute-0",
                    FIRST,
                    "offline",
                    failures=(Failure("start", rc=1, count=INFINITY),),
                ),
            ),
        ),
    ),
    **{
        name: State(
            what, _guarded(_plain(Run(FIRST)), nodes=(*controllers(), *computes(lost, state)))
        )
        for name, what, lost, state in (
            ("computes", "16 remote nodes are online", 0, "online"),
            ("computes-1-unclean", "one of 16 remote nodes is unclean", 1, "unclean"),
            ("computes-3-offline", "3 of 16 remote nodes are offline", 3, "offline"),
            ("computes-4-offline", "4 of 16 remote nodes are offline", 4, "offline"),
            ("computes-11-unclean", "11 of 16 remote nodes are unclean", 11, "unclean"),
        )
    },
    # ---- cluster
    "unfenced": State("fencing is disabled", _cluster(_plain(Run(FIRST)))),
    "stop-all": State(
        "stop-all-resources is set: RabbitMQ and a virtual IP are stopped",
        _guarded(_stopped(RABBITMQ), _virtual_ip(), properties={"stop-all-resources": "true"}),
    ),
    "mixed-versions": State(
        "controller-2 has an older feature set",
        _guarded(
            _plain(Run(FIRST)),
            nodes=(*controllers()[:2], Node(THIRD, transient={"#feature-set": "3.1.0"})),
        ),
    ),
    "ticket-granted": State(
        "the ticket north is here",
        _guarded(_plain(Run(FIRST)), constraints=_NORTH, tickets={"north": True}),
    ),
    **{
        f"haproxy-{'with' if granted else 'without'}-ticket": State(
            "HAProxy depends on the ticket north",
            _guarded(
                HAPROXY if granted else _stopped(HAPROXY),
                tickets={"north": granted},
                constraints=(Ticket("haproxy-bundle", "north"),),
            ),
        )
        for granted in (True, False)
    },
    "ticket-elsewhere": State(
        "the ticket north is not here",
        _guarded(_plain(), constraints=_NORTH, tickets={"north": False}),
    ),
    "everything": State("all bundles, with fencing", _all(fencing=True)),
}


# ---- What no CIB in a file can show ----


def _no_cib(seen: Observation) -> Observation:
    """The CIB could not be read."""
    return replace(seen, configuration=None, configuration_current=False)


def _old_cib(seen: Observation) -> Observation:
    """The CIB cannot be read any more, and the configuration is the one before."""
    return replace(seen, configuration_current=False)


def _dc(seen: Observation, name: str) -> Observation:
    """Another node is the DC."""
    snapshot = seen.snapshot
    nodes = tuple(replace(node, dc=node.name == name) for node in snapshot.nodes)
    cluster = replace(snapshot.cluster, dc_name=name)
    return replace(seen, snapshot=replace(snapshot, nodes=nodes, cluster=cluster))


def _no_quorum(seen: Observation) -> Observation:
    """This partition has no quorum."""
    cluster = replace(seen.snapshot.cluster, quorate=False)
    return replace(seen, snapshot=replace(seen.snapshot, cluster=cluster))


def _fencing(seen: Observation, history: str, target: str = THIRD) -> Observation:
    """The fencer remembers actions on controller-2: `ACTION STATUS SECONDS; ...`.

    Of two in the same second, the newer is first.
    """
    events = []
    for entry in history.split("; "):
        action, status, *completed = entry.split()
        time = float(completed[0]) if completed else None
        events.append(FencingEvent(target, action, status, time))
    return replace(seen, snapshot=replace(seen.snapshot, fencing=tuple(events)))


def _no_fencing_history(seen: Observation) -> Observation:
    """The fencer gave crm_mon no history."""
    return replace(seen, snapshot=replace(seen.snapshot, fencing=None))


def _maintenance_mode(seen: Observation) -> Observation:
    """The whole cluster is in maintenance mode."""
    cluster = replace(seen.snapshot.cluster, maintenance_mode=True)
    return replace(seen, snapshot=replace(seen.snapshot, cluster=cluster))


def _bundle_maintenance(seen: Observation, name: str) -> Observation:
    """A bundle is in maintenance by itself, which Pacemaker tells from 2.1.9 on."""
    bundles = tuple(
        replace(bundle, maintenance=bundle.maintenance or bundle.id == name)
        for bundle in seen.snapshot.bundles
    )
    return replace(seen, snapshot=replace(seen.snapshot, bundles=bundles))


def _failure_ignored(seen: Observation, name: str) -> Observation:
    """The failure of a resource is one that on-fail=ignore lets pass."""
    instances = tuple(
        replace(i, resource=replace(i.resource, failed=True, failure_ignored=True))
        if i.resource.id == name
        else i
        for i in seen.snapshot.instances
    )
    return replace(seen, snapshot=replace(seen.snapshot, instances=instances))


def _orphaned_replica(seen: Observation, index: str) -> Observation:
    """A replica is an orphan: of a bundle that was given fewer."""
    bundles = tuple(
        replace(
            bundle,
            replicas=tuple(
                replace(replica, container=replace(replica.container, orphaned=True))
                if replica.index == index
                else replica
                for replica in bundle.replicas
            ),
        )
        for bundle in seen.snapshot.bundles
    )
    return replace(seen, snapshot=replace(seen.snapshot, bundles=bundles))


def _cluster_name(seen: Observation, name: str) -> Observation:
    """The cluster calls itself so."""
    return replace(seen, configuration=replace(_configuration(seen), cluster_name=name))


def _named(seen: Observation, name: str) -> Observation:
    """The one bundle has a name that its schema does not allow, and that needs escaping."""
    (bundle,) = seen.snapshot.bundles
    configured = _configuration(seen).bundles[bundle.id]
    return replace(
        seen,
        snapshot=replace(seen.snapshot, bundles=(replace(bundle, id=name),)),
        configuration=replace(_configuration(seen), bundles={name: configured}),
    )


def _configured_too(seen: Observation, name: str) -> Observation:
    """The CIB has a further bundle, which crm_mon does not show."""
    configuration = _configuration(seen)
    bundles = {**configuration.bundles, name: BundleConfiguration(0, 1)}
    return replace(seen, configuration=replace(configuration, bundles=bundles))


def _configuration(seen: Observation) -> Configuration:
    assert seen.configuration is not None
    return seen.configuration


def _watchdog(seen: Observation, timeout: str, *, found: bool) -> Observation:
    """stonith-watchdog-timeout is set, and the DC found SBD running or not."""
    changed = replace(_configuration(seen), watchdog=found, watchdog_timeout=float(timeout))
    return replace(seen, configuration=changed)


def _sbd(seen: Observation, devices: str, *, running: bool) -> Observation:
    """SBD is installed on the node, with so many devices."""
    found = tuple(f"/dev/sbd{number}" for number in range(int(devices)))
    return replace(seen, facts={**seen.facts, Sbd: Sbd(found, running)})


EDITS: Mapping[str, Callable[..., Observation]] = {
    "no CIB": _no_cib,
    "old CIB": _old_cib,
    "no quorum": _no_quorum,
    "DC": _dc,
    "fencing": _fencing,
    "fencing of compute-0": partial(_fencing, target="compute-0"),
    "no fencing history": _no_fencing_history,
    "maintenance mode": _maintenance_mode,
    "bundle in maintenance": _bundle_maintenance,
    "orphaned replica": _orphaned_replica,
    "failure ignored": _failure_ignored,
    "cluster name": _cluster_name,
    "bundle name": _named,
    "configured too": _configured_too,
    "watchdog": partial(_watchdog, found=True),
    "no watchdog": partial(_watchdog, found=False),
    "SBD": partial(_sbd, running=True),
    "dead SBD": partial(_sbd, running=False),
}


@dataclass
class Situations:
    """Reads each state once, when it is first asked for."""

    directory: Path
    """Where the CIBs may be put."""
    _states: dict[str, Observation]
    """Those that were read already."""
    _situations: dict[str, Observation] = field(default_factory=dict)

    def of(self, situation: str) -> Observation:
        """What an exporter observes in a situation; one object for each, to be told by."""
        if situation not in self._situations:
            state, *edits = situation.split(" + ")
            self._situations[situation] = reduce(_edited, edits, self._state(state))
        return self._situations[situation]

    def _state(self, name: str) -> Observation:
        if name not in self._states:
            path = self.directory / f"{name}.xml"
            path.write_text(MORE[name].xml(), encoding="utf-8")
            self._states[name] = see.observe(path)
        return self._states[name]


def _edited(seen: Observation, edit: str) -> Observation:
    name, *value = edit.split("=", 1)
    return EDITS[name](seen, *value)
