"""States of a real cluster: metrics agree with Pacemaker's tools, and alerts fire."""

import pytest

from tests.live.cluster import NAMES, Cluster, Node
from tests.live.watch import BUNDLES, Watch, of_all
from tests.support.harness.programs import eventually
from tests.support.oracle.invariants import Page

pytestmark = [pytest.mark.cluster, pytest.mark.real, pytest.mark.prometheus]

"""Those with a service in the container."""
OUTCOME = "exporter_source_last_outcome"
ADDRESSES = ("ip-192.0.2.100", "ip-192.0.2.101")


def promoted(watch: Watch, bundle: str = "redis-bundle") -> list[str]:
    """Return the replicas of a bundle that are promoted."""
    page = watch.page(watch.cluster.any_node())
    return [s[1] for s in page["bundle_replica_role"] if s[0] == bundle and s[2] == "promoted"]


def bystander(watch: Watch) -> Node:
    """Return a node without the promoted Redis, the addresses and the fence device.

    What an alert says then does not depend on where these happen to be.
    """
    node = watch.cluster.nodes[2]
    page = watch.page(node)
    masters = {("redis-bundle", number) for number in promoted(watch)}
    busy = {s[2] for s in page["bundle_replica_node"] if s[:2] in masters}
    if node.name in busy | {s[4] for s in page["resource_role"]}:
        watch.cluster.attribute("standby", "on", node)
        watch.cluster.settle()
        watch.cluster.attribute("standby", None, node)
        watch.cluster.settle()
    watch.until(lambda page: page["bundle_replicas_ready"] == {(b,): 3 for b in BUNDLES})
    watch.begin()
    return node


def others(cluster: Cluster, *but: Node) -> tuple[Node, ...]:
    return tuple(node for node in cluster.nodes if node not in but)


def test_healthy_cluster_fires_no_alert(cluster: Cluster, watch: Watch) -> None:
    watch.agree()
    masters = [node for node in cluster.nodes if watch.value(node, "view_dc")]
    said = cluster.run("crmadmin", "--quiet", "--dc_lookup").split()
    assert [node.name for node in masters] == said[-1:]
    for node in cluster.nodes:
        assert watch.value(node, "local_node_info", node.name) == 1
    watch.quiet()
    watch.healthy()


def test_move_of_the_promoted_redis_counts_one_promotion(cluster: Cluster, watch: Watch) -> None:
    before = promoted(watch)
    target = next(n for n in "012" if [n] != before)
    counts = [watch.value(n, "bundle_promotions", "redis-bundle") for n in cluster.nodes]
    cluster.run(
        *("crm_attribute", f"--node=redis-bundle-{target}", "--lifetime=reboot"),
        *("--name=master-redis", "--update=100"),
    )
    watch.until(lambda page: page["bundle_replica_role"].get(("redis-bundle", target, "promoted")))
    cluster.settle()
    watch.agree()
    for node, count in zip(cluster.nodes, counts, strict=True):
        assert watch.value(node, "bundle_promotions", "redis-bundle") == (count or 0) + 1
    watch.quiet()
    watch.healthy()


def test_failed_service_of_a_replica_is_counted(cluster: Cluster, watch: Watch) -> None:
    replica = next(n for n in "012" if n not in promoted(watch))
    node = cluster.replica("redis-bundle", replica)
    # What the agent keeps its state in: the next monitor finds it stopped.
    forget = ("sh", "-c", "rm -v /run/Stateful-*.state")
    node.run("podman", "exec", f"redis-bundle-podman-{replica}", *forget)
    failures = ("redis", f"redis-bundle-{replica}", "redis-bundle", replica)
    watch.until(lambda page: page["resource_failures"].get(failures) == 1)
    cluster.settle()
    watch.agree()
    # It was restarted before anybody was paged.
    watch.until(lambda page: page["bundle_replicas_ready"]["redis-bundle",] == 3)
    (action,) = watch.page(node)["failed_actions"]
    assert action[:5] == (*failures, "monitor")
    watch.quiet()
    watch.healthy()


def test_killed_container_is_counted(cluster: Cluster, watch: Watch) -> None:
    node = cluster.replica("rabbitmq-bundle", "2")
    inspect = ("podman", "inspect", "--format={{.State.Pid}}", "rabbitmq-bundle-podman-2")
    node.run("kill", "-KILL", node.run(*inspect).strip())
    failures = ("rabbitmq-bundle-2", node.name, "rabbitmq-bundle", "2")
    watch.until(lambda page: page["resource_failures"].get(failures))
    cluster.settle()
    watch.until(lambda page: page["bundle_replicas_ready"]["rabbitmq-bundle",] == 3)
    watch.agree()
    assert watch.value(node, "bundle_role_changes", "rabbitmq-bundle")
    watch.quiet()
    watch.healthy()


def test_lost_connection_to_a_guest_is_reported(cluster: Cluster, watch: Watch) -> None:
    node = cluster.replica("galera-bundle", "0")
    # The kernel ends the connection, on either side of which nothing else happens.
    node.run("ss", "--kill", "dport", "=", "3123")
    failures = ("galera-bundle-0", node.name, "galera-bundle", "0")
    watch.until(lambda page: page["resource_failures"].get(failures))
    cluster.settle()
    watch.until(lambda page: page["bundle_replicas_ready"]["galera-bundle",] == 3)
    watch.agree()
    watch.quiet()
    watch.healthy()


def test_node_in_standby_is_reported(cluster: Cluster, watch: Watch) -> None:
    node = cluster.nodes[2]
    cluster.attribute("standby", "on", node)
    cluster.settle()
    watch.agree()
    for bundle in BUNDLES:
        assert watch.value(node, "bundle_replicas_ready", bundle) == 2
    watch.firing(of_all("PacemakerBundleReplicasAway"), "PacemakerNodeStandby controller-2")
    watch.notified(of_all("PacemakerBundleReplicasAway"), "PacemakerNodeStandby controller-2")
    cluster.attribute("standby", None, node)
    watch.healthy()


DEGRADED = of_all("PacemakerBundleDegraded")
GALERA = "PacemakerBundlePromotedMissing galera-bundle"
NO_MARGIN = "CorosyncQuorumWithoutMargin"
"""Two of three votes are left."""


def test_cleanly_stopped_node_is_reported_as_offline(cluster: Cluster, watch: Watch) -> None:
    node = bystander(watch)
    watch.tolerated.add(f"PacemakerNodeShutdownStuck {node}")  # It may take its time.
    node.stop_pacemaker()
    node.stop_corosync()
    cluster.settle()
    watch.agree(*others(cluster, node))
    stopped = watch.page(node)
    assert stopped[OUTCOME]["status", "not_connected"] == 1
    assert not {family for family in stopped if family.startswith(("bundle", "node", "cluster"))}
    told = {
        *DEGRADED,
        "PacemakerNodeOffline controller-2",
        "PacemakerNotRunning controller-2 not_connected",
        NO_MARGIN,
    }
    watch.firing(DEGRADED, frozenset(told), "PacemakerSnapshotOld controller-2")
    watch.notified(frozenset(told))
    watch.healthy()


def test_restart_of_pacemaker_alone_fires_no_alert(cluster: Cluster, watch: Watch) -> None:
    """The restart is too short for any alert."""
    node = cluster.nodes[1]
    node.stop_pacemaker()
    watch.until(lambda page: page[OUTCOME]["status", "not_connected"] == 1, node, seconds=5)
    watch.agree(*others(cluster, node))
    node.start_pacemaker()
    watch.tolerated |= {*DEGRADED, GALERA, "PacemakerNodeOffline controller-1"}
    watch.tolerated |= {"PacemakerNotRunning controller-1 not_connected"}
    watch.tolerated |= {"PacemakerNodeShutdownStuck controller-1"}
    # On a machine with much else to do it may take longer than alerts wait here.
    watch.tolerated |= {"PacemakerNodePending controller-1", "PacemakerSnapshotOld controller-1"}
    watch.tolerated |= {"PacemakerMixedVersions"}
    watch.healthy()


def alerts_of_loss(node: Node) -> tuple[frozenset[str], frozenset[str]]:
    """Return the alerts on a lost node before it is fenced, and those that they inhibit."""
    told = {
        *DEGRADED,
        f"PacemakerNodeUnclean {node}",
        f"PacemakerFencingPending {node}",
        f"PacemakerExporterDown {node}",
        NO_MARGIN,
    }
    return frozenset(told), frozenset({f"PacemakerNodeOffline {node}"})


def test_node_without_power_is_reported_as_unclean(cluster: Cluster, watch: Watch) -> None:
    node = bystander(watch)
    left = others(cluster, node)
    told, explained = alerts_of_loss(node)
    cluster.power.stuck = True
    node.power_off()
    watch.until(
        lambda page: page["node_condition"]["controller-2", "member", "unclean"] == 1, *left
    )
    watch.agree(*left)
    for bundle in BUNDLES:
        assert watch.value(left[0], "bundle_replicas_ready", bundle) == 2
    watch.firing(told, explained)
    watch.notified(told)

    cluster.power.restarts = False
    cluster.power.stuck = False
    watch.until(
        lambda page: page["node_condition"]["controller-2", "member", "unclean"] == 0, *left
    )
    cluster.settle()
    watch.agree(*left)
    assert watch.page(left[0])["fencing_actions"] == {("controller-2", "reboot", "success"): 1}
    off = {
        *DEGRADED,
        "PacemakerNodeOffline controller-2",
        "PacemakerExporterDown controller-2",
        NO_MARGIN,
    }
    watch.firing(frozenset(off))
    watch.notified(frozenset(off))
    node.start_cluster()
    watch.healthy()


def test_forgotten_maintenance_mode_is_reported(cluster: Cluster, watch: Watch) -> None:
    cluster.attribute("maintenance-mode", "true")
    cluster.settle()
    watch.agree()
    watch.firing("PacemakerMaintenanceMode", "PacemakerMaintenanceModeForgotten")
    watch.notified("PacemakerMaintenanceModeForgotten")
    cluster.attribute("maintenance-mode", None)
    watch.healthy()


def test_forgotten_node_maintenance_is_reported(cluster: Cluster, watch: Watch) -> None:
    node = bystander(watch)
    cluster.attribute("maintenance", "true", node)
    cluster.settle()
    watch.agree()
    forgotten = "PacemakerNodeMaintenanceForgotten controller-2"
    watch.firing("PacemakerNodeMaintenance controller-2", forgotten)
    watch.notified(forgotten)
    cluster.attribute("maintenance", None, node)
    watch.healthy()


def test_unmanaged_bundle_is_reported(cluster: Cluster, watch: Watch) -> None:
    cluster.meta("redis-bundle", "is-managed", "false")
    cluster.settle()
    watch.agree()
    watch.firing("PacemakerBundleUnmanaged redis-bundle")
    watch.notified("PacemakerBundleUnmanaged redis-bundle")
    cluster.meta("redis-bundle", "is-managed", None)
    watch.healthy()


def test_disabled_bundle_is_reported(cluster: Cluster, watch: Watch) -> None:
    cluster.meta("redis-bundle", "target-role", "Stopped")
    cluster.settle()
    watch.agree()
    for node in cluster.nodes:
        assert watch.value(node, "bundle_condition", "redis-bundle", "disabled") == 1
        assert watch.value(node, "bundle_state", "redis-bundle", "reduced") == 1
    watch.firing("PacemakerBundleDisabled redis-bundle")
    watch.notified("PacemakerBundleDisabled redis-bundle")
    cluster.meta("redis-bundle", "target-role", None)
    watch.healthy()


def test_bans_are_reported(cluster: Cluster, watch: Watch) -> None:
    """A bundle is banned from one node, a virtual IP from all: on purpose, but left behind."""
    address = ADDRESSES[1]
    left = set()
    for resource, names in {"haproxy-bundle": NAMES[2:], address: NAMES}.items():
        for name in names:
            cluster.run("crm_resource", "--ban", f"--resource={resource}", f"--node={name}")
            ban = f"cli-ban-{resource}-on-{name}"
            left.add(f"PacemakerLeftoverConstraint {ban} {name} {resource}")
    cluster.settle()
    watch.agree()
    watch.until(lambda page: page["bundle_replicas_ready"]["haproxy-bundle",] == 2)
    assert not any("192.0.2.101/" in node.run("ip", "address") for node in cluster.nodes)
    for node in cluster.nodes:
        assert watch.value(node, "bundle_replicas_expected", "haproxy-bundle") == 2
        assert watch.value(node, "bundle_condition", "haproxy-bundle", "too_few_nodes") == 1
    watch.firing(frozenset(left))
    watch.notified(frozenset(left))
    for resource in ("haproxy-bundle", address):
        cluster.run("crm_resource", "--clear", f"--resource={resource}")
    watch.healthy()


def test_forgotten_constraint_of_a_move_is_reported(cluster: Cluster, watch: Watch) -> None:
    address = ADDRESSES[0]
    page = watch.page(cluster.nodes[0])
    here = {s[4] for s in page["resource_role"] if s[0] == address}
    target = next(name for name in NAMES if name not in here)
    cluster.run("crm_resource", "--move", f"--resource={address}", f"--node={target}")
    cluster.settle()
    watch.agree()
    kind = ("ocf:heartbeat:IPaddr2", "", "")
    watch.until(lambda page: page["resource_role"].get((address, *kind, target, "started")) == 1)
    assert "192.0.2.100/" in cluster.node(target).run("ip", "address")
    left = f"PacemakerLeftoverConstraint cli-prefer-{address} {target} {address}"
    watch.firing(left)
    watch.notified(left)
    cluster.run("crm_resource", "--clear", f"--resource={address}")
    watch.healthy()


def test_removed_bundle_disappears_and_returns(cluster: Cluster, watch: Watch) -> None:
    xpath = "//bundle[@id='rabbitmq-bundle']"
    saved = cluster.run("cibadmin", "--query", f"--xpath={xpath}")
    rule = cluster.run("cibadmin", "--query", "--xpath=//rsc_location[@rsc='rabbitmq-bundle']")
    # Those 8 hours are 15 s here, and it may take as long to stop.
    watch.tolerated.add("PacemakerBundleDisabled rabbitmq-bundle")
    # Its ticket comes after 13 minutes, here after 30 s, which the steps below may take.
    watch.tolerated.add("PacemakerBundleRemoved rabbitmq-bundle")
    cluster.meta("rabbitmq-bundle", "target-role", "Stopped")
    watch.until(lambda page: page["bundle_replicas_running"]["rabbitmq-bundle",] == 0)
    matchers = 'bundle="rabbitmq-bundle",condition="disabled"'
    disabled = f"cluster_bundle:pacemaker_bundle_condition:max{{{matchers}}} == 1"
    eventually(lambda: watch.monitoring.query(disabled))
    cluster.settle()
    cluster.run("cibadmin", "--delete", "--xpath=//rsc_location[@rsc='rabbitmq-bundle']")
    cluster.run("cibadmin", "--delete", f"--xpath={xpath}")
    cluster.settle()
    watch.until(lambda page: ("rabbitmq-bundle",) not in page["bundle_replicas"])
    watch.agree()
    for node in cluster.nodes:
        assert "rabbitmq" not in node.page(), "nothing of it is left"
    watch.quiet()
    assert watch.monitoring.firing() <= watch.tolerated
    # On a machine with much else to do, three containers may take longer than 15 s to start.
    watch.judge()
    cluster.run("cibadmin", "--create", "--scope=resources", f"--xml-text={saved}")
    cluster.run("cibadmin", "--create", "--scope=constraints", f"--xml-text={rule}")
    cluster.settle()
    watch.until(lambda page: page["bundle_replicas_ready"].get(("rabbitmq-bundle",)) == 3)
    watch.agree()
    watch.healthy()


def test_replica_counts_follow_the_configuration(cluster: Cluster, watch: Watch) -> None:
    cluster.container("haproxy-bundle", replicas="2")
    cluster.settle()
    watch.until(lambda page: page["bundle_replicas"]["haproxy-bundle",] == 2)
    watch.agree()
    for node in cluster.nodes:
        replicas = {
            s[1] for s in watch.page(node)["bundle_replica_ready"] if s[0] == "haproxy-bundle"
        }
        assert replicas == {"0", "1"}
    watch.quiet()
    watch.tolerated.add("PacemakerBundleDegraded haproxy-bundle")  # as above
    cluster.container("haproxy-bundle", replicas="3")
    cluster.settle()
    watch.until(lambda page: page["bundle_replicas_ready"]["haproxy-bundle",] == 3)
    watch.agree()
    watch.healthy()


def test_changed_image_is_shown(cluster: Cluster, watch: Watch) -> None:
    def images(page: Page) -> set[str]:
        return {s[2] for s in page["bundle_info"] if s[0] == "redis-bundle"}

    (before,) = images(watch.page(cluster.nodes[0]))
    image = "cluster.common.tag/redis:pcmknext"
    cluster.container("redis-bundle", image=image)
    cluster.settle()
    watch.until(lambda page: images(page) == {image})
    watch.until(lambda page: page["bundle_replicas_ready"]["redis-bundle",] == 3)
    watch.agree()
    inspect = ("podman", "inspect", "--format={{.ImageName}}", "redis-bundle-podman-0")
    assert cluster.replica("redis-bundle", "0").run(*inspect).strip() == image
    # Pacemaker restarts all replicas at once.
    for alert in ("Degraded", "Down", "NotPromoted"):
        watch.tolerated.add(f"PacemakerBundle{alert} redis-bundle")
    cluster.container("redis-bundle", image=before)
    cluster.settle()
    watch.until(lambda page: images(page) == {before})
    watch.healthy()
