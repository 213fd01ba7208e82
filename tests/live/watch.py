"""What a test of a state asks of the cluster, its exporters and its alerts."""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.live.agreement import disagreements, disagreements_on_corosync
from tests.live.cluster import NAMES, REFUSALS, Cluster, Node
from tests.live.monitoring import FOR, Monitoring
from tests.live.sampler import Sampler
from tests.support.harness.programs import eventually
from tests.support.oracle.agreement import Labels, exported
from tests.support.oracle.invariants import Page

BUNDLES = ("galera-bundle", "haproxy-bundle", "rabbitmq-bundle", "redis-bundle")
PROMOTED = {"galera-bundle": 3, "redis-bundle": 1}
"""How many replicas are, of the bundles that have such."""
PAUSE = 0.3
"""Seconds between looks at a page: reading one is dear."""


def of_all(alert: str, about: Iterable[str] = BUNDLES) -> frozenset[str]:
    """Return an alert for each of several things."""
    return frozenset(f"{alert} {name}" for name in about)


@dataclass
class Watch:
    """One test's view of everything."""

    cluster: Cluster
    monitoring: Monitoring
    sampler: Sampler
    expected: set[str] = field(default_factory=set)
    """The alerts that were to fire."""
    tolerated: set[str] = field(default_factory=set)
    """Those that may fire, or not, while things come and go."""
    restarts: set[str] = field(default_factory=set)
    """The bundles that the next clean-up restarts."""
    judged: bool = False
    """What fired has been looked at."""
    left_healthy: bool = False
    """The test came to its end."""
    started: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Look at alerts from now on only, when all is well."""
        self._until_nothing_is_wrong(90)
        eventually(lambda: self.monitoring.firing() == frozenset(), 90)
        time.sleep(3)
        self.started = time.monotonic()

    def page(self, node: Node) -> Page:
        """Return what a node's exporter says, by family without `pacemaker_`, and labels."""
        return exported(node.page(), "pacemaker_")

    def value(self, node: Node, family: str, *labels: str) -> float | None:
        """Return one sample of a node's exporter; None when there is none."""
        return self.page(node).get(family, {}).get(labels)

    def until(self, check: Callable[[Page], object], *nodes: Node, seconds: float = 90) -> None:
        """Wait until pages of nodes (of all, by default) fulfil something."""
        for node in nodes or self.cluster.nodes:
            eventually(lambda node=node: check(self.page(node)), seconds, PAUSE)  # type: ignore[misc]

    def agree(self, *nodes: Node) -> None:
        """Exporters say what the tools of Pacemaker and corosync say, on some nodes or on all."""
        for node in nodes or self.cluster.nodes:
            found = disagreements(node) + disagreements_on_corosync(node)
            assert not found, f"{node}: {found[:10]}"

    def firing(self, *expected: str | frozenset[str], seconds: float = 60) -> None:
        """Exactly these alerts come to fire, and go on for a while."""
        wanted = frozenset[str]().union(*(e if isinstance(e, frozenset) else {e} for e in expected))
        self.expected |= wanted
        until = time.monotonic() + seconds
        since = None
        while since is None or time.monotonic() < since + 3:
            found = self.monitoring.firing() - (self.tolerated - wanted)
            if found != wanted:
                since = None
                assert time.monotonic() < until, (
                    f"firing and not expected: {sorted(found - wanted)},"
                    f" expected and not firing: {sorted(wanted - found)}"
                )
            elif since is None:
                since = time.monotonic()
            time.sleep(0.5)

    def quiet(self) -> None:
        """For as long as alerts need to come, none does that was not there before."""
        before = self.monitoring.firing()
        until = time.monotonic() + FOR + 4
        while time.monotonic() < until:
            new = self.monitoring.firing() - before - self.tolerated
            assert not new, f"firing and not expected: {sorted(new)}"
            time.sleep(0.5)

    def notified(self, *expected: str | frozenset[str]) -> None:
        """Of what fires, somebody is told of these: the rest is inhibited, or only to be seen."""
        wanted = frozenset[str]().union(*(e if isinstance(e, frozenset) else {e} for e in expected))
        eventually(lambda: self.monitoring.notified() == wanted, 20)

    def clean_up(self) -> None:
        """Have Pacemaker forget failures, which it keeps until somebody does.

        A cleanup of a guest's connection would end that, a new failure: it has to be stopped.
        """
        self.cluster.run("stonith_admin", "--cleanup", "--history=*")
        page = self.page(self.cluster.any_node())
        failed = {
            labels[:3]
            for family in ("resource_failures", "failed_actions")
            for labels, count in page.get(family, {}).items()
            if count
        }
        # Kept until all is done: if anything is refused, the next clean-up begins with them.
        self.restarts |= {
            bundle for resource, _, bundle in failed if resource.startswith(f"{bundle}-")
        }
        restarts = sorted(self.restarts)
        for bundle in restarts:
            self.tolerated.add(f"PacemakerBundleDisabled {bundle}")
            self.cluster.meta(bundle, "target-role", "Stopped")
        if restarts:
            self.cluster.settle()
        for resource, node, _ in sorted(failed):
            self.cluster.run(
                "crm_resource", "--cleanup", f"--resource={resource}", f"--node={node}"
            )
        for bundle in restarts:
            self.cluster.meta(bundle, "target-role", None)
        if failed or restarts:
            self.cluster.settle()
        self.restarts.clear()

    def judge(self) -> None:
        """What fired so far was expected.

        What fires on the way back is not looked at: with the durations shipped it would not.
        """
        fired = self.monitoring.fired(time.monotonic() - self.started)
        unexpected, missing = fired - self.tolerated - self.expected, self.expected - fired
        assert not unexpected | missing, f"fired: {unexpected}, did not fire: {missing}"
        self.judged = True

    def healthy(self) -> None:
        """What fired was expected; then nothing is wrong, and nothing of what was lingers."""
        if not self.judged:
            self.judge()
        until = time.monotonic() + 300
        while left := self._left_after_a_clean_up():
            assert time.monotonic() < until, f"{left[:10]}\n{self.cluster.status()}"
        eventually(lambda: self.monitoring.firing() == frozenset(), 90)
        assert not self.sampler.wrong, self.sampler.wrong[:5]
        self.left_healthy = True

    def _until_nothing_is_wrong(self, seconds: float) -> None:
        for node in self.cluster.nodes:
            eventually(lambda node=node: not wrong(self.page(node)), seconds, PAUSE)  # type: ignore[misc]

    def _left_after_a_clean_up(self) -> list[str]:
        """Have all nodes join, clean up, and say what is wrong all the same.

        Once may not be enough: what Pacemaker ends is started again by systemd elsewhere and by
        this here, and a node may be fenced while one looks.
        """
        with contextlib.suppress(*REFUSALS):
            for node in self.cluster.nodes:
                node.start_cluster()
            eventually(lambda: self.cluster.members_online() == set(NAMES), 60)
            self.cluster.settle()
            self.clean_up()
            self._until_nothing_is_wrong(60)
            return []
        left = []
        for node in self.cluster.nodes:
            try:
                left += [f"{node}: {what}" for what in wrong(self.page(node))]
            except OSError as error:
                left.append(f"{node}: {error}")
        with contextlib.suppress(*REFUSALS):
            self.restarts |= self._bundles_without_a_score()
        return left or ["only for a moment nothing was wrong"]

    def _bundles_without_a_score(self) -> set[str]:
        """Return the bundles of which Pacemaker promotes too few replicas.

        An agent sets its promotion score when it starts. That may fail while daemons hang, and
        Pacemaker may erase the score later and still take it for written. A replica without one is
        ready and is never promoted. It failed in nothing, so a cleanup does not concern it: it has
        to be restarted. Pacemaker is asked, as a wrong page must not lead to anything.
        """
        promoted = self.cluster.promoted()
        return {bundle for bundle, count in PROMOTED.items() if promoted[bundle] < count}


def wrong(page: Page) -> list[str]:
    """Name what is not as it is in a healthy cluster with nothing left behind."""
    found: list[str] = []

    def want(family: str, expected: dict[Labels, float]) -> None:
        samples = page.get(family, {})
        if samples != expected:
            found.append(f"{family}: {samples}")

    def none(family: str, *conditions: str) -> None:
        """Of a family whose last label is a condition, nothing holds of some, or of all."""
        holds = [s for s, value in page.get(family, {}).items() if value]
        found.extend(f"{family} {s}" for s in holds if not conditions or s[-1] in conditions)

    of_each: dict[Labels, float] = {(bundle,): 3 for bundle in BUNDLES}
    for family in ("bundle_replicas", "bundle_replicas_ready", "bundle_running_nodes"):
        want(family, of_each)
    want("bundle_configured", dict.fromkeys(of_each, 1.0))
    want("view_trusted", {(): 1})
    want("bundle_replicas_expected", of_each)
    want("configuration_current", {(): 1})
    none("bundle_condition")
    promoted = dict.fromkeys(of_each, 0.0) | {(b,): float(n) for b, n in PROMOTED.items()}
    want("bundle_replicas_promoted_ready", promoted)
    want("bundle_promoted_max", promoted)
    want("bundle_replicas_promoted_expected", promoted)
    none("bundle_replica_condition")
    none("resource_condition", "failed", "blocked", "orphaned", "unmanaged", "maintenance")
    none("resource_condition", "disabled", "pending", "failure_ignored", "held_back", "down")
    none("node_condition", "standby", "standby_onfail", "maintenance", "pending", "unclean")
    none("node_condition", "shutdown", "out_of_service")
    none("resource_failures")
    for family in ("failed_actions", "fencing_actions", "location_ban_score"):
        want(family, {})
    online = {
        s[0] for s, value in page.get("node_condition", {}).items() if s[2] == "online" and value
    }
    guests = {f"{b}-{n}" for b in BUNDLES if b != "haproxy-bundle" for n in range(3)}
    if online != set(NAMES) | guests:
        found.append(f"online: {sorted(online)}")
    addresses = {
        s[0]: s[4]
        for s, value in page.get("resource_condition", {}).items()
        if s[5] == "active" and value
    }
    if addresses.keys() != {"ip-192.0.2.100", "ip-192.0.2.101", "fence-power"}:
        found.append(f"resources: {addresses}")
    return found
