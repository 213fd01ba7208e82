"""The cloud: three controllers and 300 computes. A rack is lost, and Galera fails meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.support.model.cib import (
    Bundle,
    Clone,
    Cluster,
    Colocation,
    Failure,
    FencingLevel,
    Location,
    Node,
    Order,
    Pending,
    Primitive,
    RemoteNode,
    Replica,
    Run,
    galera,
    haproxy,
    rabbitmq,
    redis,
    virtual_ip,
)
from tools.demo.story import DAY, Frame, started

HOSTS = ("controller-0", "controller-1", "controller-2")
COMPUTES = 300
RACK = range(100, 200)
"""The computes of the rack that is lost."""
HALF = range(100, 150)
"""Those of them that come back first."""
VIRTUAL_IPS = (
    "192.0.2.10",
    "198.51.100.10",
    "198.51.100.11",
    "198.51.100.12",
    "203.0.113.10",
    "203.0.113.11",
)
BROKEN = VIRTUAL_IPS[2]
"""The address that cannot start for a while."""
GALERA = started(galera(HOSTS), -DAY)
BUNDLES = (
    started(rabbitmq(HOSTS), -DAY),
    started(redis(HOSTS), -DAY),
    started(haproxy(HOSTS), -DAY),
    *(
        Bundle(
            f"openstack-cinder-{name}",
            f"cluster.common.tag/cinder-{name}:pcmklatest",
            (Replica(host, "started", -DAY),),
        )
        for name, host in (("volume", HOSTS[0]), ("backup", HOSTS[1]))
    ),
)
HAPROXY = "haproxy-bundle"
ROLES = {
    "galera-bundle": "galera-role",
    "rabbitmq-bundle": "rabbitmq-role",
    "redis-bundle": "redis-role",
    HAPROXY: "haproxy-role",
    "openstack-cinder-volume": "cinder-volume-role",
    "openstack-cinder-backup": "cinder-backup-role",
}
"""Node attributes of the controllers that may run a bundle."""
CONTROLLER, COMPUTE = "haproxy-role", "compute-instanceha-role"
"""Node attributes that tell controllers and computes."""
EVACUATE, FENCE_NOVA, UNFENCE = "nova-evacuate", "fence-nova", "compute-unfence-trigger"
LOST = Failure(rc=1, at=56, reason="Lost connection to Pacemaker Remote node")
"""The failure of the connection to a compute of the rack."""


def name_of(compute: int) -> str:
    """Return the name of a compute."""
    return f"compute-{compute}"


@dataclass(frozen=True)
class Scene:
    """The parts of the cloud that change during the story. By default all is well."""

    galera: Bundle = GALERA
    address: Run = Run(HOSTS[2], since=-DAY)  # noqa: RUF009 - it is immutable
    """The address that cannot start for a while."""
    failed: range = range(0)
    """Computes of whose connection a failure is listed. They are unclean until they are fenced."""
    offline: range = range(0)
    """Computes that were fenced."""
    restarted: range = range(0)
    """Computes that run again."""
    restarted_at: int = 0

    @property
    def cluster(self) -> Cluster:
        """The whole cloud."""
        resources = (self.galera, *BUNDLES, *self._addresses(), *self._for_computes())
        return Cluster(
            nodes=(*self._controllers(), *map(self._compute, range(COMPUTES))),
            resources=(*resources, *self._fencing()),
            constraints=tuple(_constraints()),
            levels=tuple(
                FencingLevel(target, (f"fence-{target}", *more)) for target, more in _targets()
            ),
            name="demo-cloud",
            fencing=True,
            # crm_mon shows none of what members remember of resources that they never ran.
            probes=False,
            changed=-DAY,
        )

    def _controllers(self) -> Iterator[Node]:
        roles = dict.fromkeys(ROLES.values(), "true")
        return (Node(host, attributes=roles) for host in HOSTS)

    def _compute(self, number: int) -> RemoteNode:
        return RemoteNode(
            name_of(number),
            HOSTS[number % len(HOSTS)],
            "offline" if number in self.offline else "online",
            attributes={COMPUTE: "true"},
            failures=(LOST,) if number in self.failed else (),
            since=self._since(number),
        )

    def _since(self, number: int) -> int:
        """Return when the connection to a compute was started or stopped."""
        if number in self.restarted:
            return self.restarted_at
        return 75 if number in self.offline else -DAY

    def _addresses(self) -> Iterator[Primitive]:
        for number, address in enumerate(VIRTUAL_IPS):
            run = Run(HOSTS[number % len(HOSTS)], since=-DAY)
            runs = (self.address if address == BROKEN else run,)
            yield replace(virtual_ip(address, None), runs=runs)

    def _for_computes(self) -> Iterator[Clone | Primitive]:
        """Yield what instance HA runs: a clone on the computes, and a resource that evacuates."""
        up = (number for number in range(COMPUTES) if number not in self.offline)
        runs = tuple(Run(name_of(number), since=self._since(number) + 5) for number in up)
        yield Clone(f"{UNFENCE}-clone", Primitive(UNFENCE, runs=runs), meta={"interleave": "true"})
        yield Primitive(EVACUATE, runs=(Run(HOSTS[2], since=-DAY),))

    def _fencing(self) -> Iterator[Primitive]:
        run = Run(HOSTS[1], since=-DAY)
        yield Primitive(FENCE_NOVA, "stonith:fence_compute", (run,), monitor=60)
        for number, (target, _) in enumerate(_targets()):
            params = {
                "ip": f"198.18.{number // 250}.{number % 250 + 1}",
                "username": "admin",
                "lanplus": "true",
                "pcmk_host_list": target,
            }
            runs = (Run(HOSTS[(number + 1) % len(HOSTS)], since=-DAY),)
            yield Primitive(f"fence-{target}", "stonith:fence_ipmilan", runs, params, monitor=60)


def _targets() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each node, and the devices that fence it besides its own."""
    for host in HOSTS:
        yield host, ()
    for number in range(COMPUTES):
        yield name_of(number), (FENCE_NOVA,)


def _constraints() -> Iterator[Location | Colocation | Order]:
    for bundle, role in ROLES.items():
        yield Location(bundle, attribute=role)
    for address in (f"ip-{address}" for address in VIRTUAL_IPS):
        yield Location(address, attribute=CONTROLLER)
        yield Colocation(address, HAPROXY)
        yield Order(address, HAPROXY)
    for resource in (EVACUATE, FENCE_NOVA, *map(name_of, range(COMPUTES))):
        yield Location(resource, attribute=CONTROLLER)
    for target, _ in _targets():
        yield Location(f"fence-{target}", attribute=CONTROLLER)
        yield Location(f"fence-{target}", target)
    yield Location(f"{UNFENCE}-clone", attribute=COMPUTE)


def frames() -> list[Frame]:
    """Return the story. Each frame lasts at least ten seconds, so that a poll every ten sees it."""
    story: list[Frame] = []

    def add(at: int, name: str, says: str, scene: Scene) -> Scene:
        story.append(Frame(at, name, says, scene.cluster))
        return scene

    add(0, "healthy", "All bundles are healthy, and all 300 computes are online.", Scene())
    unclean = add(
        60,
        "rack-unclean",
        "A rack of 100 computes is lost: they are UNCLEAN, and are being fenced.",
        Scene(failed=RACK),
    )
    fenced = add(
        85,
        "rack-fenced",
        "The computes of the rack were fenced, and are offline.",
        replace(unclean, offline=RACK),
    )
    desync = Failure(rc=1, at=108, role="promoted", reason="local node is not synced")
    stopping = GALERA.but(1, failures=(desync,), pending=Pending("stop", at=109))
    scene = add(
        110,
        "galera-failed",
        "Meanwhile galera-bundle-1 has failed its monitor: two of three are promoted.",
        replace(fenced, galera=stopping),
    )
    broken = Failure("start", rc=6, at=127, reason="[findif] failed")
    scene = add(
        130,
        "address-stopped",
        f"The address {BROKEN} has no interface on any controller, and is stopped.",
        replace(scene, address=Run(HOSTS[2], "stopped", 128, (broken,))),
    )
    scene = add(
        165,
        "galera-recovered",
        "All three replicas of Galera are promoted; the failure is still listed.",
        replace(scene, galera=stopping.but(1, role_since=163, pending=None)),
    )
    scene = add(
        180,
        "cleaned-up",
        "An operator has brought the address back, and has cleaned up after Galera.",
        replace(
            scene,
            galera=GALERA.but(1, role_since=178, found=True),
            address=Run(HOSTS[2], since=176),
        ),
    )
    half = add(
        200,
        "rack-returning",
        "Half of the computes of the rack have booted again.",
        replace(scene, offline=range(HALF.stop, RACK.stop), restarted=HALF, restarted_at=197),
    )
    back = add(
        220,
        "rack-back",
        "All computes of the rack are online; that they were lost is still listed.",
        replace(half, offline=range(0), restarted=RACK, restarted_at=217),
    )
    add(
        240,
        "recovered",
        "An operator has run a cleanup: all is well.",
        replace(back, failed=range(0)),
    )
    return story
