"""Daemons of Pacemaker that hang, stop and start."""

import pytest

from tests.live.cluster import NAMES, Cluster, Node
from tests.live.test_states import DEGRADED, GALERA, NO_MARGIN, OUTCOME, others
from tests.live.watch import BUNDLES, Watch, of_all
from tests.support.harness.programs import eventually
from tests.support.oracle.agreement import Labels
from tests.support.oracle.invariants import Page

pytestmark = [pytest.mark.cluster, pytest.mark.real, pytest.mark.prometheus]

ALL_READY: dict[Labels, float] = {(bundle,): 3 for bundle in BUNDLES}


def about_the_cluster(page: Page) -> set[str]:
    return {family for family in page if family.startswith(("bundle", "node", "cluster"))}


def hangs(watch: Watch, node: Node) -> None:
    """Check that scrapes continue while crm_mon hangs, and that too old data is withdrawn."""
    watch.until(lambda page: page[OUTCOME]["status", "timeout"] == 1 and not page["up"][()], node)
    watch.until(lambda page: not about_the_cluster(page), node)
    assert watch.value(node, "up") == watch.value(node, "view_trusted") == 0


def test_frozen_pacemakerd_times_out(cluster: Cluster, watch: Watch) -> None:
    node = cluster.nodes[2]
    watch.tolerated.add("PacemakerDCNotWatched")  # if it is the DC
    watch.begin()
    node.signal("pacemakerd", "STOP")
    hangs(watch, node)
    old = {"PacemakerPollsSlow controller-2", "PacemakerSnapshotOld controller-2"}
    watch.firing("PacemakerPollTimeout controller-2 timeout", frozenset(old))
    watch.notified("PacemakerPollTimeout controller-2 timeout")
    # Pacemaker itself is not concerned: the others have it online, with all that it runs.
    left = others(cluster, node)
    watch.agree(*left)
    for other in left:
        assert watch.value(other, "node_condition", node.name, "member", "online") == 1
        assert watch.page(other)["bundle_replicas_ready"] == ALL_READY
    node.signal("pacemakerd", "CONT")
    watch.until(lambda page: page["view_trusted"][()] == 1, node)
    watch.agree()
    watch.healthy()


def test_frozen_pacemaker_based_is_reported(cluster: Cluster, watch: Watch) -> None:
    """Pacemaker kills and restarts the daemon after half a minute.

    Or the other nodes see the node leave and fence it, whichever is faster.
    """
    node = cluster.nodes[2]
    watch.begin()
    frozen = node.run("pgrep", "--exact", "pacemaker-based")
    node.signal("pacemaker-based", "STOP")
    hangs(watch, node)
    # About as long as alerts wait here.
    watch.tolerated |= {
        "PacemakerPollTimeout controller-2 timeout",
        "PacemakerPollsSlow controller-2",
        "PacemakerSnapshotOld controller-2",
    }
    watch.judge()
    eventually(lambda: node.run("pgrep", "--exact", "pacemaker-based") != frozen, 120)
    watch.healthy()
    watch.agree()


def test_no_view_is_trusted_until_a_dc_is_elected(cluster: Cluster, watch: Watch) -> None:
    """The whole site had a power failure."""
    # How long nodes wait for the word of a DC before they elect one, 20 s by default.
    cluster.attribute("dc-deadtime", "45s")
    watch.begin()
    cluster.power.restarts = False  # Those that are on for longer may fence the others.
    for node in cluster.nodes:
        node.power_off()
    watch.firing("PacemakerExportersDown", of_all("PacemakerExporterDown", NAMES))
    watch.notified("PacemakerExportersDown")
    for step in (Node.boot, Node.start_corosync, Node.start_pacemaker):
        for node in cluster.nodes:
            step(node)
    cluster.power.restarts = True
    watch.until(lambda page: page["cluster_dc_elected"][()] == 0 and page["node_condition"])
    for node in cluster.nodes:
        page = watch.page(node)
        assert page["up"][()] == 1
        assert page["view_trusted"][()] == page["view_dc"][()] == 0
        assert "cluster_quorate" not in page, "nobody says"
        assert not any(page["bundle_replicas_ready"].values())
    watch.firing("PacemakerNoDC", "PacemakerNoTrustedView")
    watch.notified("PacemakerNoDC")
    watch.judge()
    watch.agree()
    watch.until(lambda page: page["view_trusted"][()] == 1)
    cluster.attribute("dc-deadtime", None)
    watch.healthy()


def test_rolling_restart_pages_nobody(cluster: Cluster, watch: Watch) -> None:
    """One node restarts at a time; no service is down."""
    watch.begin()
    for node in cluster.nodes:
        node.stop_pacemaker()
        node.stop_corosync()
        watch.until(lambda page: page[OUTCOME]["status", "not_connected"] == 1, node)
        node.start_cluster()
        watch.until(
            lambda page: (
                page["view_trusted"][()] == 1
                and page["bundle_replicas_ready"] == ALL_READY
                and page["bundle_replicas_promoted_ready"]["redis-bundle",] == 1
            )
        )
        cluster.settle()
        watch.agree()
        # Each may take longer than alerts wait here.
        watch.tolerated |= {*DEGRADED, GALERA, NO_MARGIN, f"PacemakerNodeOffline {node}"}
        watch.tolerated |= {f"PacemakerNotRunning {node} not_connected"}
        watch.tolerated |= {f"PacemakerSnapshotOld {node}", f"PacemakerNodeShutdownStuck {node}"}
    watch.healthy()
