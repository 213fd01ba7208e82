"""The small cluster: three nodes and five bundles. Replicas fail, a node is fenced."""

from dataclasses import dataclass, replace

from tests.support.model.cib import (
    Bundle,
    Cluster,
    Colocation,
    Failure,
    Location,
    Node,
    NodeState,
    Order,
    Pending,
    Primitive,
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
FIRST, SECOND, LOST = HOSTS
PUBLIC, INTERNAL = "192.0.2.10", "198.51.100.10"


GALERA = started(galera(HOSTS), -DAY)
REDIS = started(redis(HOSTS), -DAY)
RABBITMQ = started(rabbitmq(HOSTS), -DAY)
HAPROXY = started(haproxy(HOSTS), -DAY)
ON_FIRST, ON_SECOND, ON_LOST = (Run(host, since=-DAY) for host in HOSTS)
VOLUME = Replica(LOST, "started", -DAY)


@dataclass(frozen=True)
class Scene:
    """The parts of the cluster that change during the story. By default all is well."""

    galera: Bundle = GALERA
    redis: Bundle = REDIS
    rabbitmq: Bundle = RABBITMQ
    haproxy: Bundle = HAPROXY
    volume: Replica = VOLUME
    roaming: tuple[Run, ...] = (ON_LOST,)
    """Where the public address and the fence device of controller-1 run and ran."""
    lost: NodeState = "online"
    maintenance: bool = False
    epoch: int = 58
    changed: int = -DAY

    @property
    def cluster(self) -> Cluster:
        """The whole cluster."""
        bundles = (self.galera, self.rabbitmq, self.redis, self.haproxy)
        volume = Bundle(
            "openstack-cinder-volume",
            "cluster.common.tag/cinder-volume:pcmklatest",
            (self.volume,),
        )
        names = [*(bundle.id.removesuffix("-bundle") for bundle in bundles), "cinder-volume"]
        placed = [bundle.id for bundle in (*bundles, volume)]
        roles = {f"{name}-role": "true" for name in names}
        addresses = (
            replace(virtual_ip(PUBLIC, None), runs=self.roaming),
            replace(virtual_ip(INTERNAL, None), runs=(ON_SECOND,)),
        )
        fencing = (
            _fence(FIRST, (ON_SECOND,)),
            _fence(SECOND, self.roaming),
            _fence(LOST, (ON_FIRST,)),
        )
        return Cluster(
            nodes=(
                Node(FIRST, attributes=roles),
                Node(SECOND, attributes=roles),
                Node(LOST, self.lost, attributes=roles),
            ),
            resources=(*bundles, *addresses, volume, *fencing),
            constraints=(
                *(
                    Location(bundle, attribute=role)
                    for bundle, role in zip(placed, roles, strict=True)
                ),
                *(Colocation(address.id, self.haproxy.id) for address in addresses),
                *(Order(address.id, self.haproxy.id) for address in addresses),
            ),
            name="demo",
            fencing=True,
            maintenance=self.maintenance,
            epoch=self.epoch,
            changed=self.changed,
        )


def _fence(target: str, runs: tuple[Run, ...]) -> Primitive:
    """Return the fence device of a node: its management board."""
    params = {
        "ip": f"203.0.113.{10 + HOSTS.index(target)}",
        "username": "admin",
        "lanplus": "true",
        "pcmk_host_list": target,
    }
    return Primitive(f"fence-{target}", "stonith:fence_ipmilan", runs, params, monitor=60)


def _started(scene: Scene, **changes: object) -> Scene:
    """Return the scene with these changes to each bundle's replica on the lost node."""
    bundles = {
        name: getattr(scene, name).but(2, **changes)
        for name in ("galera", "redis", "rabbitmq", "haproxy")
    }
    return replace(scene, **bundles)


def frames() -> list[Frame]:
    """Return the story. Each frame lasts at least ten seconds, so that a poll every ten sees it."""
    story: list[Frame] = []

    def add(at: int, name: str, says: str, scene: Scene) -> Scene:
        story.append(Frame(at, name, says, scene.cluster))
        return scene

    healthy = Scene()
    add(0, "healthy", "All bundles are healthy; Redis is promoted on redis-bundle-0.", healthy)

    crash = Failure(rc=7, at=58, role="promoted", reason="Redis is not running")
    stopping = healthy.redis.but(0, failures=(crash,), pending=Pending("stop", at=59))
    add(
        60,
        "redis-failed",
        "Redis on redis-bundle-0, the promoted one, has crashed: no replica is promoted.",
        replace(healthy, redis=stopping),
    )
    back = stopping.but(0, role="unpromoted", role_since=68, pending=None)
    add(
        70,
        "redis-promoting",
        "redis-bundle-0 is back unpromoted, redis-bundle-1 is being promoted.",
        replace(healthy, redis=back.but(1, pending=Pending("promote", at=69))),
    )
    failed_over = back.but(1, role="promoted", role_since=78)
    scene = add(
        80,
        "redis-failed-over",
        "Redis is promoted on redis-bundle-1; the failure and a fail-count of 1 stay listed.",
        replace(healthy, redis=failed_over),
    )

    desync = Failure(rc=1, at=98, role="promoted", reason="local node is not synced")
    stopping = scene.galera.but(1, failures=(desync,), pending=Pending("stop", at=99))
    add(
        100,
        "galera-failed",
        "galera-bundle-1 has failed its monitor and is being stopped: two of three promoted.",
        replace(scene, galera=stopping),
    )
    starting = stopping.but(1, role="stopped", role_since=107, pending=Pending("start", at=108))
    add(
        110,
        "galera-starting",
        "galera-bundle-1 is starting again and catches up with the others.",
        replace(scene, galera=starting),
    )
    recovered = stopping.but(1, role_since=118, pending=None)
    add(
        120,
        "galera-recovered",
        "All three replicas of Galera are promoted; two failures are still listed.",
        replace(scene, galera=recovered),
    )
    scene = add(
        135,
        "cleaned-up",
        "An operator has run a cleanup: failures and fail-counts are gone.",
        replace(
            scene,
            redis=failed_over.but(0, role_since=133, failures=(), found=True),
            galera=recovered.but(1, role_since=133, failures=(), found=True),
        ),
    )

    add(
        150,
        "node-unclean",
        "controller-2 is lost and UNCLEAN: what ran there is still listed until it is fenced.",
        replace(scene, lost="unclean"),
    )
    fenced = replace(
        _started(scene, host=None, role="stopped"),
        lost="offline",
        volume=Replica(FIRST, "started", 167),
        roaming=(Run(FIRST, since=166),),
    )
    add(
        170,
        "node-fenced",
        "controller-2 was fenced: volume service, address and fence device run on controller-0.",
        fenced,
    )
    # The containers start first; nothing else of the replicas runs yet.
    add(
        200,
        "node-back",
        "controller-2 has rebooted and joined; its containers are starting.",
        replace(
            _started(
                fenced,
                host=LOST,
                since=198,
                down=("connection",),
                pending=Pending("start", at=199, of="container"),
            ),
            lost="online",
        ),
    )
    restarted = replace(fenced, lost="online")
    restarted = replace(
        restarted,
        galera=scene.galera.but(2, since=203),
        redis=scene.redis.but(2, since=203),
        rabbitmq=scene.rabbitmq.but(2, since=203),
        haproxy=scene.haproxy.but(2, since=203),
    )
    add(
        215,
        "recovered",
        "Everything runs again; the volume service and the address stay on controller-0.",
        restarted,
    )
    add(
        235,
        "maintenance",
        "The cluster is in maintenance mode: nothing is managed.",
        replace(restarted, maintenance=True, epoch=59, changed=233),
    )
    managed = add(
        265,
        "managed",
        "Maintenance is over.",
        replace(restarted, epoch=60, changed=263),
    )
    # At the start of the next loop only history jumps: times, and a node's uptime.
    add(
        280,
        "moved-back",
        "An operator has moved Redis, the volume service and the address back to where they were.",
        replace(
            managed,
            redis=managed.redis.but(0, role="promoted", role_since=276, found=False).but(
                1, role="unpromoted", role_since=275
            ),
            volume=Replica(LOST, "started", 276, left=FIRST),
            roaming=(Run(FIRST, "stopped", 273), Run(LOST, since=275)),
            epoch=66,
            changed=278,
        ),
    )
    return story
