"""Named states of a cluster, each as a real crm_mon shows it from the CIB.

Every state was looked at with crm_mon 2.1.5 (XML and text); where that cannot show from a file
what a live cluster shows, the comment beside the state says so. The base of most is one
three-node cluster with the four kinds of bundle and two virtual IPs.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.model.cib import (
    INFINITY,
    Bundle,
    Clone,
    Cluster,
    Failure,
    Group,
    Location,
    Node,
    NodeState,
    Pending,
    Primitive,
    RemoteNode,
    Replica,
    Resource,
    Run,
    Ticket,
    controllers,
    galera,
    haproxy,
    rabbitmq,
    redis,
    virtual_ip,
)

NOW = 1_767_225_600
"""2026-01-01T00:00:00Z: when every state is."""


@dataclass(frozen=True)
class State:
    """A cluster and what is to be seen in it."""

    says: str
    cluster: Cluster

    def xml(self, now: int = NOW) -> str:
        """The CIB."""
        return self.cluster.xml(now)

    def write(self, path: Path, now: int = NOW) -> Path:
        """Write the CIB into a file; return its path."""
        path.write_text(self.xml(now), encoding="utf-8")
        return path


HOSTS = tuple(node.name for node in controllers())
FIRST, SECOND, THIRD = HOSTS
HAPROXY, RABBITMQ, GALERA, REDIS = haproxy(HOSTS), rabbitmq(HOSTS), galera(HOSTS), redis(HOSTS)
ADDRESSES = (virtual_ip("192.0.2.10", FIRST), virtual_ip("192.0.2.11", SECOND))
FENCING = tuple(
    Primitive(f"fence-{host}", "stonith:fence_ipmilan", (Run(other),), monitor=60)
    for host, other in zip(HOSTS, (SECOND, THIRD, FIRST), strict=True)
)


def _cluster(*resources: Resource, **options: Any) -> Cluster:  # noqa: ANN401 -- Cluster's fields
    return Cluster(**{"nodes": controllers(), "resources": resources, **options})


def _all(**options: Any) -> Cluster:  # noqa: ANN401 -- Cluster's fields
    return _cluster(GALERA, REDIS, RABBITMQ, HAPROXY, *ADDRESSES, **options)


def _third(state: NodeState) -> tuple[Node, ...]:
    """The three controllers, the last in a state of its own."""
    return (*controllers()[:2], Node(THIRD, state))


def _meta(bundle: Bundle, **meta: str) -> Bundle:
    return replace(bundle, meta={name.replace("_", "-"): meta[name] for name in meta})


def _agent(bundle: Bundle, id_: str, agent: str) -> Bundle:
    return replace(bundle, id=f"{id_}-bundle", primitive=Primitive(id_, agent))


def _without_third(bundle: Bundle) -> Bundle:
    """The bundle with nothing left on the third controller."""
    return bundle.but(2, host=None, role="stopped")


NETWORKED = Bundle(
    "web-bundle",
    "registry.example.com/web:1.2",
    tuple(Replica(host, "started") for host in HOSTS),
    Primitive("web", "ocf:heartbeat:apache"),
    engine="docker",
    control_port=9876,
    ip_range_start="192.0.2.100",
)
UNIQUE = Bundle(
    "cache-bundle",
    "registry.example.com/cache:7",
    (
        Replica(FIRST, "started"),
        Replica(FIRST, "started"),
        Replica(SECOND, "started"),
        Replica(SECOND, "started"),
    ),
    Primitive("cache", "ocf:pacemaker:Dummy"),
    per_host=2,
    ip_range_start="192.0.2.120",
)
STANDING_BY = [_without_third(bundle) for bundle in (GALERA, REDIS, RABBITMQ, HAPROXY)]

STATES: dict[str, State] = {
    # ------------------------------------------------------------------------- healthy
    "healthy": State("all four kinds of bundle and two virtual IPs are well", _all()),
    "healthy-haproxy": State("containers only, three started", _cluster(HAPROXY)),
    "healthy-rabbitmq": State("not promotable, three started", _cluster(RABBITMQ)),
    "healthy-galera": State("three of three promoted", _cluster(GALERA)),
    "healthy-redis": State("one promoted, two unpromoted", _cluster(REDIS)),
    "healthy-docker": State(
        "the Redis bundle under docker", _cluster(replace(REDIS, engine="docker"))
    ),
    "healthy-fenced": State(
        "fencing enabled, a device per node", _all(fencing=True).but_with(*FENCING)
    ),
    "recovered": State(
        "galera-bundle-1 is promoted again; its failure and fail-count are still listed",
        _cluster(GALERA.but(1, role_since=-20, failures=(Failure(rc=7, at=-40, count=2),))),
    ),
    # ------------------------------------------------------------------------ replicas
    "replica-stopped": State(
        "rabbitmq-bundle-2 is stopped, container and all",
        _cluster(RABBITMQ.but(2, host=None, role="stopped", left=THIRD)),
    ),
    "service-stopped": State(
        "galera-bundle-1: the service is stopped inside a running container",
        _cluster(GALERA.but(1, role="stopped")),
    ),
    "connection-stopped": State(
        "galera-bundle-1: the container runs, neither its connection nor its service does",
        _cluster(GALERA.but(1, role="stopped", down=("connection",))),
    ),
    "haproxy-stopped": State(
        "haproxy-bundle-podman-1 is stopped",
        _cluster(HAPROXY.but(1, host=None, role="stopped", left=SECOND)),
    ),
    "service-failed": State(
        "the monitor of galera-bundle-1 failed (rc 1)",
        _cluster(GALERA.but(1, failures=(Failure(rc=1, reason="local node <x> & co"),))),
    ),
    "service-not-running": State(
        "the monitor of rabbitmq-bundle-1 found it not running (rc 7)",
        _cluster(RABBITMQ.but(1, failures=(Failure(rc=7),))),
    ),
    "service-start-failed": State(
        "rabbitmq-bundle-1 failed to start; its container runs",
        _cluster(
            RABBITMQ.but(
                1, failures=(Failure("start", rc=1, count=INFINITY, reason="no Erlang cookie"),)
            )
        ),
    ),
    "failure-ignored": State(
        "the monitor of rabbitmq-bundle-1 failed, which on-fail=ignore lets pass",
        _cluster(
            replace(
                RABBITMQ.but(1, failures=(Failure(rc=1),)),
                primitive=Primitive(
                    "rabbitmq", "ocf:heartbeat:rabbitmq-cluster", on_fail={"monitor": "ignore"}
                ),
            )
        ),
    ),
    "container-failed": State(
        "the container of redis-bundle-2 failed its monitor under a service still listed",
        _cluster(REDIS.but(2, failures=(Failure(rc=1, of="container"),))),
    ),
    "container-gone": State(
        "the container of haproxy-bundle's replica 1 was found not running",
        _cluster(HAPROXY.but(1, failures=(Failure(rc=7),))),
    ),
    "connection-failed": State(
        "the connection to rabbitmq-bundle-0 failed",
        _cluster(RABBITMQ.but(0, failures=(Failure(rc=1, of="connection"),))),
    ),
    "connection-elsewhere": State(
        "the connection to redis-bundle-1 is hosted by another node than its container",
        _cluster(REDIS.but(1, connection_on=THIRD)),
    ),
    "blocked": State(
        "the stop of rabbitmq-bundle-1 failed; without fencing it is blocked",
        _cluster(RABBITMQ.but(1, failures=(Failure("stop", rc=1, count=INFINITY),))),
    ),
    "blocked-container": State(
        "the container of haproxy-bundle's replica 1 failed to stop",
        _cluster(HAPROXY.but(1, failures=(Failure("stop", rc=1, count=INFINITY),))),
    ),
    "active-twice": State(
        "the container of haproxy-bundle's replica 0 is active on two nodes",
        _cluster(haproxy((FIRST,)).but(0, also_on=(SECOND,))),
    ),
    # ----------------------------------------------------------------------- promotion
    "redis-promoted-none": State(
        "Redis: no replica promoted", _cluster(REDIS.but(0, role="unpromoted"))
    ),
    "redis-promoted-two": State(
        "Redis: two replicas promoted where promoted-max is 1",
        _cluster(REDIS.but(1, role="promoted")),
    ),
    "galera-promoted-two": State(
        "Galera: two of three promoted, the third unpromoted",
        _cluster(GALERA.but(2, role="unpromoted")),
    ),
    # ---------------------------------------------------------- operations under way
    "pending-start": State(
        "galera-bundle-1 is starting",
        _cluster(GALERA.but(1, role="stopped", pending=Pending("start"))),
    ),
    "pending-promote": State(
        "redis-bundle-1 is promoting, redis-bundle-0 was demoted",
        _cluster(
            REDIS.but(0, role="unpromoted").but(1, pending=Pending("promote")),
        ),
    ),
    # While a demotion is under way, the history holds nothing but it: the service is on no node.
    "pending-demote": State(
        "redis-bundle-0 is demoting", _cluster(REDIS.but(0, pending=Pending("demote")))
    ),
    "pending-stop": State(
        "rabbitmq-bundle-2 is stopping", _cluster(RABBITMQ.but(2, pending=Pending("stop")))
    ),
    "pending-monitor": State(
        "the first monitor of rabbitmq-bundle-2 is under way",
        _cluster(RABBITMQ.but(2, pending=Pending("monitor"))),
    ),
    "pending-container": State(
        "the container of haproxy-bundle's replica 1 is starting",
        _cluster(HAPROXY.but(1, pending=Pending("start"))),
    ),
    "pending-migrate": State(
        "a plain primitive is migrating from controller-0 to controller-1",
        _cluster(
            HAPROXY,
            Primitive(
                "vm",
                "ocf:heartbeat:VirtualDomain",
                (Run(FIRST, pending=Pending("migrate_to", target=SECOND)),),
                meta={"allow-migrate": "true"},
            ),
        ),
    ),
    # -------------------------------------------------------- management, maintenance
    "bundle-unmanaged": State(
        "redis-bundle has is-managed=false", _cluster(GALERA, _meta(REDIS, is_managed="false"))
    ),
    # crm_mon 2.1.5 has no attribute for a resource's maintenance: it shows as unmanaged.
    "bundle-maintenance": State(
        "redis-bundle has maintenance=true", _cluster(GALERA, _meta(REDIS, maintenance="true"))
    ),
    "bundle-disabled": State(
        "redis-bundle has target-role=Stopped and is stopped",
        _cluster(
            GALERA,
            replace(
                _meta(REDIS, target_role="Stopped"),
                replicas=tuple(Replica(left=host) for host in HOSTS),
            ),
        ),
    ),
    "node-maintenance": State(
        "controller-2 is in maintenance, everything still runs there",
        _all(nodes=_third("maintenance")),
    ),
    "cluster-maintenance": State("maintenance-mode is on", _all(maintenance=True)),
    # --------------------------------------------------------------------------- nodes
    "node-unclean": State(
        "controller-2 is UNCLEAN, its replicas are still listed as running",
        _all(nodes=_third("unclean"), fencing=True).but_with(*FENCING),
    ),
    "node-offline": State(
        "controller-2 is offline and clean, its replicas are stopped",
        _cluster(*STANDING_BY, *ADDRESSES, nodes=_third("offline")),
    ),
    "node-standby": State(
        "controller-2 is in standby, its replicas are stopped",
        _cluster(*STANDING_BY, *ADDRESSES, nodes=_third("standby")),
    ),
    # Without fencing crm_mon calls a node that is joining offline.
    "node-pending": State(
        "controller-2 is joining the cluster",
        _cluster(*STANDING_BY, *ADDRESSES, nodes=_third("pending"), fencing=True).but_with(
            *(replace(device, runs=(Run(FIRST),)) for device in FENCING)
        ),
    ),
    "node-shutdown": State(
        "controller-2 is shutting down, nothing stopped there yet",
        _all(nodes=_third("shutdown")),
    ),
    # Without a strategy the colours have no score, and crm_mon calls every node green.
    "node-health": State(
        "controller-2 reports a red health attribute; nothing has moved away yet",
        _all(
            nodes=(*controllers()[:2], Node(THIRD, transient={"#health-disk": "red"})),
            properties={"node-health-strategy": "only-green"},
        ),
    ),
    "remote-nodes": State(
        "two remote nodes besides the guests, one of them offline; a container on the other",
        _cluster(
            haproxy((FIRST, "compute-0")),
            Primitive("agent", runs=(Run("compute-0"),)),
            nodes=(
                *controllers(),
                RemoteNode("compute-0", FIRST),
                RemoteNode("compute-1", SECOND, "offline"),
            ),
        ),
    ),
    # ------------------------------------------------------------------------- cluster
    # In life the survivors stop everything, unless fencing is enabled (then the lost nodes are
    # unclean and their resources still listed): here they have not done so yet.
    "no-quorum": State("the partition is not quorate", _all(quorate=False)),
    "no-quorum-stopped": State(
        "one node of three left, not quorate, everything stopped",
        _cluster(
            *(
                replace(bundle, replicas=(Replica(left=FIRST), Replica(), Replica()))
                for bundle in (GALERA, REDIS, RABBITMQ, HAPROXY)
            ),
            nodes=(Node(FIRST), Node(SECOND, "offline"), Node(THIRD, "offline")),
            quorate=False,
        ),
    ),
    # In life nodes show as unclean and no resources at all before a DC is elected; from a file
    # crm_mon goes by the status section and shows both as they were.
    "no-dc": State("no DC is elected", _all(dc=None)),
    "no-nodes": State("a cluster without nodes or resources", Cluster(())),
    "no-resources": State("a cluster without resources", _cluster()),
    # --------------------------------------------------------------------- odd bundles
    "unique": State("two replicas per host, each with an address of its own", _cluster(UNIQUE)),
    "networked": State("each replica has an address of its own (docker)", _cluster(NETWORKED)),
    "networked-ip-failed": State(
        "the address of web-bundle's replica 1 failed",
        _cluster(NETWORKED.but(1, failures=(Failure(rc=7, of="ip"),))),
    ),
    "service-is-ipaddr2": State(
        "the service of address-bundle is itself of the agent IPaddr2",
        _cluster(_agent(RABBITMQ, "address", "ocf:heartbeat:IPaddr2")),
    ),
    "service-is-podman": State(
        "the service of nested-bundle is itself of the agent podman",
        _cluster(_agent(RABBITMQ, "nested", "ocf:heartbeat:podman")),
    ),
    "none-running": State(
        "no replica of galera-bundle runs",
        _cluster(replace(GALERA, replicas=tuple(Replica(left=host) for host in HOSTS))),
    ),
    "never-started": State(
        "galera-bundle was configured and never started anywhere",
        _cluster(replace(GALERA, replicas=(Replica(),) * 3)),
    ),
    "more-replicas-than-nodes": State(
        "five replicas on three nodes: two stay stopped",
        _cluster(replace(HAPROXY, replicas=(*HAPROXY.replicas, Replica(), Replica()))),
    ),
    "single-replica": State(
        "openstack-cinder-volume: one container on one of three nodes",
        _cluster(
            replace(
                HAPROXY,
                id="openstack-cinder-volume",
                image="cluster.common.tag/cinder-volume:pcmklatest",
                replicas=(Replica(THIRD, "started"),),
            )
        ),
    ),
    # Without their configuration crm_mon cannot tell the parts of a bundle: they show as
    # primitives at top level, the service as one on three nodes. The guest nodes keep their
    # id_as_resource only where the history names the container, as 2.1.5 writes it.
    "orphan-bundle": State(
        "rabbitmq-bundle was removed from the configuration while running",
        _cluster(HAPROXY, orphans=(RABBITMQ,)),
    ),
    "orphan-primitive": State(
        "a primitive was removed from the configuration while running",
        _cluster(HAPROXY, orphans=(Primitive("gone", runs=(Run(SECOND),)),)),
    ),
    # ------------------------------------------------------------------ outside bundles
    "virtual-ips": State("two virtual IPs, nothing else", _cluster(*ADDRESSES)),
    "virtual-ip-failed": State(
        "one of two virtual IPs failed, one is stopped",
        _cluster(
            HAPROXY,
            replace(ADDRESSES[0], runs=(Run(FIRST, failures=(Failure(rc=1),)),)),
            virtual_ip("192.0.2.12", None),
        ),
    ),
    "clones": State(
        "a cloned group, a clone, a promotable and a unique clone, and a group, beside a bundle",
        _cluster(
            HAPROXY,
            Clone(
                "storage-clone",
                Group(
                    "storage",
                    (
                        Primitive("lock", runs=tuple(Run(host) for host in HOSTS)),
                        Primitive("mount", runs=tuple(Run(host) for host in HOSTS[:2])),
                    ),
                ),
            ),
            Clone("ping-clone", Primitive("ping", runs=tuple(Run(host) for host in HOSTS))),
            Clone(
                "drbd-clone",
                Primitive(
                    "drbd",
                    runs=(Run(FIRST, "promoted"), *(Run(h, "unpromoted") for h in HOSTS[1:])),
                ),
                promotable=True,
            ),
            Clone(
                "shard-clone",
                Primitive("shard", runs=tuple(Run(host) for host in HOSTS)),
                unique=True,
            ),
            Group(
                "web",
                (
                    Primitive("site", runs=(Run(THIRD),)),
                    Primitive("log", runs=(Run(THIRD, failures=(Failure(rc=7),)),)),
                ),
            ),
        ),
    ),
    "constraints": State(
        "a ban left by pcs, one that is configured, a preference left by pcs, a rule",
        _all(
            constraints=(
                Location("haproxy-bundle", THIRD, cli=True),
                Location("ip-192.0.2.10", THIRD, score=-100),
                Location("redis-bundle", SECOND, role="Promoted", cli=True),
                Location("ip-192.0.2.11", SECOND, score=INFINITY, cli=True),
                Location("galera-bundle", attribute="galera-role"),
            ),
            nodes=tuple(
                replace(node, attributes={"galera-role": "true"}) for node in controllers()
            ),
        ),
    ),
    "tickets": State(
        "one ticket granted, one not, of which nothing depends on the second",
        _all(
            tickets={"north": True, "south": False},
            constraints=(Ticket("redis-bundle", "north"),),
        ),
    ),
}
"""Every state by name."""
