"""Random faults, from a seed: what is done, to what and for how long. Not what comes of it."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.live.cluster import REFUSALS, Cluster, Node
from tests.live.watch import BUNDLES
from tests.support.harness.programs import eventually
from tests.support.oracle.agreement import exported

AT_ONCE = 3
"""Faults that last at the same time."""
LONGEST_PAUSE = 5.0
"""Seconds from one thing that is done to the next."""
ADDRESSES = ("ip-192.0.2.100", "ip-192.0.2.101")

Undo = Callable[[], object]
Kind = Callable[[Cluster, Node, str], Undo | None]


@dataclass(frozen=True)
class Fault:
    """One that lasts."""

    what: str
    undo: Undo


class Faults:
    """Breaks a cluster, mends it, and breaks it again."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        """Args: what to break; from where to take chance."""
        self.log: list[str] = []
        """What was done, and when."""
        self.refused = 0
        """Things that could not be done, as something was broken."""
        self._cluster = cluster
        self._random = random.Random(seed)
        self._last: list[Fault] = []
        self._deck: list[Kind] = []
        """Each kind comes once before any comes again."""

    def go_on(self, seconds: float) -> None:
        """Break and mend for so long, and undo the rest."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._step()
            time.sleep(self._random.uniform(0, LONGEST_PAUSE))
        while self._last:
            self._undo(self._last.pop())

    def _step(self) -> None:
        if len(self._last) == AT_ONCE:
            self._undo(self._last.pop(self._random.randrange(AT_ONCE)))
            return
        if not self._deck:
            self._deck = self._random.sample(_KINDS, len(_KINDS))
        kind = self._deck.pop()
        node = self._random.choice(self._cluster.nodes)
        bundle = self._random.choice(BUNDLES)
        what = f"{kind.__name__.strip('_')} {node} {bundle}"
        with self._told(what):
            undo = kind(self._cluster, node, bundle)
            if undo is not None:
                self._last.append(Fault(what, undo))

    def _undo(self, fault: Fault) -> None:
        with self._told(f"end of {fault.what}"):
            fault.undo()

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        self.log.append(f"{time.strftime('%T', time.gmtime())} {what}")
        try:
            yield
        except REFUSALS as error:
            self.refused += 1
            self.log[-1] += f": {error!r:.150}"


def _power_cut(_cluster: Cluster, node: Node, _bundle: str) -> Undo:
    node.power_off()
    return node.start_cluster


def _unplugged(_cluster: Cluster, node: Node, _bundle: str) -> Undo:
    node.unplug()
    return node.plug


def _stopped(_cluster: Cluster, node: Node, _bundle: str) -> Undo:
    node.signal("pacemakerd", "TERM")
    with contextlib.suppress(AssertionError):
        eventually(lambda: not node.runs("pacemakerd"), 15)

    def start() -> None:
        if node.runs("pacemakerd"):  # it hangs, or was fenced
            node.power_off()
        node.start_cluster()

    return start


def _corosync_killed(_cluster: Cluster, node: Node, _bundle: str) -> Undo:
    node.signal("corosync", "KILL")

    def start() -> None:
        if not node.runs("corosync"):  # nobody has fenced it, and what is left does not recover
            node.power_off()
        node.start_cluster()

    return start


def _frozen(daemon: str) -> Callable[[Cluster, Node, str], Undo]:
    def freeze(_cluster: Cluster, node: Node, _bundle: str) -> Undo:
        node.signal(daemon, "STOP")
        # It may be gone.
        return lambda: node.ask("pkill", "--signal=CONT", "--exact", daemon[:15])

    freeze.__name__ = f"{daemon} frozen"
    return freeze


def _exporter_killed(_cluster: Cluster, node: Node, _bundle: str) -> Undo:
    node.run("pkill", "--signal=KILL", "--full", "python -m exporter")
    return node.start_exporter


def _standby(cluster: Cluster, node: Node, _bundle: str) -> Undo:
    cluster.attribute("standby", "on", node)
    return lambda: cluster.attribute("standby", None, node)


def _maintenance(cluster: Cluster, node: Node, _bundle: str) -> Undo:
    cluster.attribute("maintenance", "true", node)
    return lambda: cluster.attribute("maintenance", None, node)


def _maintenance_mode(cluster: Cluster, _node: Node, _bundle: str) -> Undo:
    cluster.attribute("maintenance-mode", "true")
    return lambda: cluster.attribute("maintenance-mode", None)


def _disabled(cluster: Cluster, _node: Node, bundle: str) -> Undo:
    cluster.meta(bundle, "target-role", "Stopped")
    return lambda: cluster.meta(bundle, "target-role", None)


def _unmanaged(cluster: Cluster, _node: Node, bundle: str) -> Undo:
    cluster.meta(bundle, "is-managed", "false")
    return lambda: cluster.meta(bundle, "is-managed", None)


def _banned(cluster: Cluster, node: Node, bundle: str) -> Undo:
    cluster.run("crm_resource", "--ban", f"--resource={bundle}", f"--node={node}")
    return lambda: cluster.run("crm_resource", "--clear", f"--resource={bundle}")


def _addresses_moved(cluster: Cluster, node: Node, _bundle: str) -> Undo:
    def clear() -> None:
        for address in ADDRESSES:
            cluster.run("crm_resource", "--clear", f"--resource={address}")

    for address in ADDRESSES:
        # Refused where it is there already.
        words = ("crm_resource", "--move", f"--resource={address}", f"--node={node}")
        cluster.any_node().ask(*words)
    return clear


def _fewer_replicas(cluster: Cluster, _node: Node, bundle: str) -> Undo:
    cluster.container(bundle, replicas="2")
    return lambda: cluster.container(bundle, replicas="3")


def _another_image(cluster: Cluster, _node: Node, _bundle: str) -> Undo:
    cluster.container("redis-bundle", image="cluster.common.tag/redis:pcmknext")
    return lambda: cluster.container("redis-bundle", image="cluster.common.tag/redis:pcmklatest")


def _removed(cluster: Cluster, _node: Node, bundle: str) -> Undo:
    """As somebody with care does it: disabled first."""
    constraints = cluster.run("cibadmin", "--query", "--scope=constraints")
    saved = cluster.run("cibadmin", "--query", f"--xpath=//bundle[@id='{bundle}']")

    def add() -> None:
        cluster.any_node().ask("cibadmin", "--create", "--scope=resources", f"--xml-text={saved}")
        cluster.run("cibadmin", "--replace", "--scope=constraints", f"--xml-text={constraints}")
        cluster.meta(bundle, "target-role", None)

    def stopped() -> bool:
        running = exported(cluster.any_node().page(), "pacemaker_")["bundle_replicas_running"]
        return running.get((bundle,)) == 0

    cluster.meta(bundle, "target-role", "Stopped")
    with contextlib.suppress(AssertionError, KeyError, OSError):
        eventually(stopped, 15)
    for element in ("rsc_location[@rsc", "rsc_colocation[@with-rsc", "rsc_order[@then"):
        xpath = f"--xpath=//{element}='{bundle}']"
        cluster.any_node().ask("cibadmin", "--delete", "--force", xpath)
    cluster.any_node().ask("cibadmin", "--delete", f"--xpath=//bundle[@id='{bundle}']")
    return add


def _promoted_elsewhere(cluster: Cluster, node: Node, _bundle: str) -> None:
    guest = f"--node=redis-bundle-{node.name[-1]}"
    score = ("--lifetime=reboot", "--name=master-redis", "--update=100")
    cluster.run("crm_attribute", guest, *score)


def _service_failed(_cluster: Cluster, node: Node, _bundle: str) -> None:
    forget = 'podman exec "$1" sh -c "rm -f /run/*.state /run/*/*.state"'
    script = f"for c in $(podman ps --quiet); do set -- $c; {forget}; done"
    node.run("sh", "-c", script)


def _container_killed(_cluster: Cluster, node: Node, bundle: str) -> None:
    script = (
        f"for c in $(podman ps --quiet --filter name={bundle}); do"
        " kill -KILL $(podman inspect --format={{.State.Pid}} $c); done"
    )
    node.run("sh", "-c", script)


def _connections_lost(_cluster: Cluster, node: Node, _bundle: str) -> None:
    node.run("ss", "--kill", "dport", "=", "3123", "or", "dport", "=", "3122")


_KINDS: tuple[Kind, ...] = (
    _power_cut,
    _unplugged,
    _stopped,
    _corosync_killed,
    _frozen("pacemakerd"),
    _frozen("pacemaker-based"),
    _frozen("pacemaker-controld"),
    _exporter_killed,
    _standby,
    _maintenance,
    _maintenance_mode,
    _disabled,
    _unmanaged,
    _banned,
    _addresses_moved,
    _fewer_replicas,
    _another_image,
    _removed,
    _promoted_elsewhere,
    _service_failed,
    _container_killed,
    _connections_lost,
)
