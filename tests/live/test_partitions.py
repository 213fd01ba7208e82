"""Network partitions: the view of each side, and which one counts."""

import pytest

from tests.live.agreement import disagreements_on_corosync
from tests.live.cluster import NAMES, Cluster, Node
from tests.live.test_states import (
    ADDRESSES,
    DEGRADED,
    GALERA,
    OUTCOME,
    alerts_of_loss,
    bystander,
    others,
)
from tests.live.watch import BUNDLES, Watch, of_all
from tests.support.oracle.invariants import Page

pytestmark = [pytest.mark.cluster, pytest.mark.real, pytest.mark.prometheus]

ANSWERS_NO_MORE = "PacemakerExporterDown controller-2"
"""What is told of a lost node only if its exporter is lost, too."""


def lost(page: Page) -> bool:
    """Whether a page of the quorate side shows the isolated node as lost."""
    return page["node_condition"]["controller-2", "member", "unclean"] == 1


def without_quorum(page: Page) -> bool:
    return page["cluster_quorate"][()] == 0 and page["cluster_dc_elected"][()] == 1


def stopped(page: Page) -> bool:
    """Whether a node without quorum has stopped what it ran, for which it may take its time."""
    return not any(page["bundle_replicas_ready"].values())


def masters(watch: Watch, *nodes: Node) -> set[str]:
    """Return the nodes that some views call the DC."""
    return {
        s[0]
        for node in nodes
        for s, holds in watch.page(node)["node_condition"].items()
        if s[2] == "dc" and holds
    }


def fence(cluster: Cluster, watch: Watch, *left: Node) -> None:
    """Let the power switch work; the node starts again with a new cable."""
    cluster.power.stuck = False
    watch.until(lambda page: not lost(page), *left)


def test_partitioned_node_is_reported_by_the_others(cluster: Cluster, watch: Watch) -> None:
    node = bystander(watch)
    left = others(cluster, node)
    told, explained = alerts_of_loss(node)
    told = told - {ANSWERS_NO_MORE} | {"PacemakerSplitView"}
    cluster.power.stuck = True
    node.unplug()
    watch.until(lost, *left)
    watch.until(without_quorum, node)
    watch.firing(told, explained)
    watch.notified(told)
    watch.until(stopped, node)
    watch.agree()
    for side in left:
        page = watch.page(side)
        assert page["view_trusted"][()] == 1
        assert page["bundle_replicas_ready"] == {(bundle,): 2 for bundle in BUNDLES}
        active = {
            s[0] for s, holds in page["resource_condition"].items() if s[5] == "active" and holds
        }
        assert active.issuperset(ADDRESSES)
    # It stopped what it ran, and calls itself the DC of a cluster of which nothing is left.
    assert watch.value(node, "up") == 1
    assert watch.value(node, "view_trusted") == watch.value(node, "view_dc") == 0
    assert masters(watch, node) == {node.name}
    (master,) = masters(watch, *left)
    assert master != node.name
    fence(cluster, watch, *left)
    watch.healthy()


def test_lost_quorum_is_reported_by_every_node(cluster: Cluster, watch: Watch) -> None:
    """The switch between the nodes fails, which isolates every node."""
    watch.begin()
    # A poll may see a node that is lost already and quorum that is not yet. The promoted Redis may
    # be on that node.
    watch.tolerated |= {*DEGRADED, GALERA, "PacemakerBundleNotPromoted redis-bundle"}
    # So may the DC, which then fences that node before it loses quorum itself.
    watch.tolerated |= of_all("PacemakerExporterDown", NAMES)
    cluster.site.switch("down")
    watch.until(without_quorum)
    watch.firing("PacemakerQuorumLost", "PacemakerNoTrustedView", "PacemakerSplitView")
    watch.notified("PacemakerQuorumLost")
    watch.until(stopped)
    watch.agree()
    for node in cluster.nodes:
        assert watch.value(node, "up") == 1
        assert watch.value(node, "view_trusted") == watch.value(node, "view_dc") == 0
        assert masters(watch, node) == {node.name}
    watch.judge()
    cluster.site.switch("up")
    watch.healthy()


def test_killed_corosync_is_reported(cluster: Cluster, watch: Watch) -> None:
    node = bystander(watch)
    left = others(cluster, node)
    told, explained = alerts_of_loss(node)
    told = told - {ANSWERS_NO_MORE} | {"PacemakerPollUnreadable controller-2 incomplete"}
    cluster.power.stuck = True
    node.signal("corosync", "KILL")
    watch.until(lost, *left)
    watch.firing(told, explained, "PacemakerSnapshotOld controller-2")
    watch.notified(told)
    watch.agree(*left)
    # Half of Pacemaker's daemons there go on, and crm_mon ends well, without anything in it.
    page = watch.page(node)
    assert page[OUTCOME]["status", "incomplete"] == 1
    assert page["up"][()] == page["view_trusted"][()] == 0
    assert not {family for family in page if family.startswith(("bundle", "node", "cluster"))}
    assert not disagreements_on_corosync(node)
    fence(cluster, watch, *left)
    watch.healthy()
