"""The kinds of cluster that timelines are about, healthy."""

from collections.abc import Callable, Mapping, Sequence

from tests.support.incidents.world import Exporter, Host, Part, Thing, World
from tests.support.model.cib import (
    IPADDR2,
    Bundle,
    Primitive,
    galera,
    haproxy,
    rabbitmq,
    redis,
)

ADDRESSES = ("ip-192.0.2.10", "ip-192.0.2.11")
SIX = (
    "ip-192.0.2.42",
    "ip-198.51.100.104",
    "ip-203.0.113.19",
    "ip-203.0.113.11",
    "ip-203.0.113.13",
    "ip-192.0.2.19",
)
"""TripleO's: control plane, public, internal API, Redis, storage, storage management."""


def _bundle(made: Bundle, **more: object) -> Thing:
    parts = tuple(Part(r.host or "", r.host, r.role) for r in made.replicas)
    return Thing(made, "bundle", parts, **more)  # type: ignore[arg-type]


def _address(id_: str, host: str, agent: str = IPADDR2, **more: object) -> Thing:
    params = {"ip": id_.removeprefix("ip-"), "cidr_netmask": "32"}
    made = Primitive(id_, agent, params=params)
    return Thing(made, "primitive", (Part(host, host),), **more)  # type: ignore[arg-type]


def _plain(id_: str, host: str, agent: str = "ocf:pacemaker:Dummy", **more: object) -> Thing:
    made = Primitive(id_, agent)
    return Thing(made, "primitive", (Part(host, host),), **more)  # type: ignore[arg-type]


def _clone(id_: str, hosts: Sequence[str], **more: object) -> Thing:
    parts = tuple(Part(host, host) for host in hosts)
    return Thing(Primitive(id_), "clone", parts, **more)  # type: ignore[arg-type]


def _single(id_: str, host: str, **more: object) -> Thing:
    """openstack-cinder-volume and the like: one container on any node."""
    return _bundle(Bundle(f"{id_}", f"cluster.common.tag/{id_}:latest", haproxy((host,)).replicas),
                   **more)  # fmt: skip


def _world(hosts: Sequence[Host], things: Sequence[Thing], **more: object) -> World:
    members = [host.name for host in hosts if host.name.startswith("controller-")]
    return World(
        {host.name: host for host in hosts},
        {thing.id: thing for thing in things},
        {name: Exporter() for name in members},
        dc=members[0],
        **more,  # type: ignore[arg-type]
    )


def _controllers(count: int = 3, *roles: str) -> list[Host]:
    return [Host(f"controller-{index}", roles=frozenset(roles)) for index in range(count)]


def controllers() -> World:
    """Three controllers that run everything; two addresses, a plain resource, and a clone."""
    hosts = _controllers()
    names = [host.name for host in hosts]
    return _world(
        hosts,
        [
            *(_bundle(make(names)) for make in (galera, redis, rabbitmq, haproxy)),
            _single("openstack-cinder-volume", names[2]),
            *(_address(id_, host) for id_, host in zip(ADDRESSES, names, strict=False)),
            _plain("backup", names[0]),
            _clone("ping", names),
        ],
    )


def tripleo() -> World:
    """Composable roles: three controllers, three database and three messaging nodes.

    Only the controllers have exporters.
    """
    front = [f"controller-{index}" for index in range(3)]
    database = [f"database-{index}" for index in range(3)]
    messaging = [f"messaging-{index}" for index in range(3)]
    roles = {
        **dict.fromkeys(front, frozenset({"haproxy", "redis", "cinder-volume"})),
        **dict.fromkeys(database, frozenset({"galera"})),
        **dict.fromkeys(messaging, frozenset({"rabbitmq"})),
    }
    hosts = [Host(name, roles=roles[name]) for name in (*front, *database, *messaging)]
    return _world(
        hosts,
        [
            _bundle(galera(database), role="galera"),
            _bundle(rabbitmq(messaging), role="rabbitmq"),
            _bundle(redis(front), role="redis"),
            _bundle(haproxy(front), role="haproxy"),
            _single("openstack-cinder-volume", front[0], role="cinder-volume"),
            *(
                _address(id_, front[number % 3], role="haproxy", follows="haproxy-bundle")
                for number, id_ in enumerate(SIX)
            ),
        ],
    )


def cloud(computes: int) -> World:
    """Three controllers, and remote compute nodes with instance HA."""
    hosts = _controllers(3, "galera", "haproxy", "rabbitmq", "redis")
    names = [host.name for host in hosts]
    remotes = [
        Host(f"compute-{index}", remote=True, roles=frozenset({"compute-instanceha"}))
        for index in range(computes)
    ]
    return _world(
        [*hosts, *remotes],
        [
            _bundle(galera(names), role="galera"),
            _bundle(rabbitmq(names), role="rabbitmq"),
            _bundle(redis(names), role="redis"),
            _bundle(haproxy(names), role="haproxy"),
            *(
                _address(id_, names[number % 3], role="haproxy", follows="haproxy-bundle")
                for number, id_ in enumerate(SIX[:2])
            ),
            _clone(
                "compute-unfence-trigger",
                [host.name for host in remotes],
                role="compute-instanceha",
                remote=True,
            ),
            _plain("nova-evacuate", names[2], role="haproxy"),
        ],
    )


def geo(*, active: bool) -> World:
    """A site of a geo cluster: Redis, HAProxy and its address in Azure are where the ticket is."""
    hosts = _controllers()
    names = [host.name for host in hosts]
    world = _world(
        hosts,
        [
            _bundle(galera(names)),
            _bundle(redis(names), ticket="service"),
            _bundle(haproxy(names), ticket="service"),
            _address(ADDRESSES[0], names[0], "ocf:heartbeat:azure-lb", follows="haproxy-bundle"),
        ],
        tickets={"service": active},
    )
    return world.settled()


KINDS: Mapping[str, Callable[[], World]] = {
    "controllers": controllers,
    "tripleo": tripleo,
    "cloud": lambda: cloud(4),
    "big cloud": lambda: cloud(100),
    "active site": lambda: geo(active=True),
    "passive site": lambda: geo(active=False),
}
