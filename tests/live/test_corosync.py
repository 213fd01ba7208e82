"""Corosync on a real cluster with two links: links, votes, and a node that is frozen."""

import time
from collections.abc import Mapping

import pytest

from tests.live.agreement import disagreements_on_corosync
from tests.live.cluster import EXPORTER, NAMES, SWITCHES, USER, Cluster, Node
from tests.live.monitoring import FOR
from tests.live.test_states import NO_MARGIN, OUTCOME, others
from tests.live.watch import Watch
from tests.support.harness import see
from tests.support.harness.programs import eventually
from tests.support.oracle.agreement import Labels, exported
from tests.support.oracle.invariants import Page

pytestmark = [pytest.mark.cluster, pytest.mark.real, pytest.mark.prometheus]

BROKEN = "CorosyncLinkDown 1"
UNPRIVILEGED = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups")
"""In haclient, but not as its main group."""


def corosync(node: Node) -> Page:
    """Return what a node's exporter says of corosync, by family without `corosync_`, and labels."""
    return exported(node.page(), "corosync_")


def links(node: Node) -> Mapping[Labels, float]:
    """Return which links of a node are connected, by peer and number."""
    return corosync(node)["link_connected"]


def all_links(node: Node) -> dict[Labels, float]:
    """Return the links of a node as they are when all is well."""
    peers = [name for name in NAMES if name != node.name]
    return {(peer, str(link)): 1 for peer in peers for link in range(len(SWITCHES))}


def test_links_and_votes_are_those_of_corosync(cluster: Cluster, watch: Watch) -> None:
    watch.begin()
    for node in cluster.nodes:
        assert not disagreements_on_corosync(node)
        page = corosync(node)
        assert page["quorate"] == {(): 1}
        assert page["node_votes"] == {(name,): 1 for name in NAMES}
        assert links(node) == all_links(node)
        info = {labels[0]: labels for labels in page["link_info"] if labels[2] == "1"}
        other = cluster.nodes[0] if node is cluster.nodes[1] else cluster.nodes[1]
        assert info[other.name][3:] == (node.second_address, other.second_address)
        assert all(0 < value < 1 for value in page["link_latency_average_seconds"].values())
    watch.quiet()
    watch.healthy()


def test_broken_link_opens_one_ticket(cluster: Cluster, watch: Watch) -> None:
    """All nodes lose link 1 to a node whose network card fails, and nothing else happens."""
    watch.begin()
    node = cluster.nodes[2]
    node.unplug(1)
    watch.until(lambda _: not any(links(node)[peer, "1"] for peer in NAMES[:2]), node)
    for other in others(cluster, node):
        watch.until(lambda _, other=other: not links(other)[node.name, "1"], other)  # type: ignore[misc]
    watch.firing(BROKEN)
    watch.notified(BROKEN)
    for each in cluster.nodes:
        assert not disagreements_on_corosync(each)
        assert watch.value(each, "view_trusted") == 1
        assert watch.value(each, "problems", "corosync_link_down", "warning")
    node.plug(1)
    watch.healthy()


def test_link_that_loses_packets_one_way_is_down_at_both_ends(
    cluster: Cluster, watch: Watch
) -> None:
    watch.begin()
    here, there = cluster.nodes[0], cluster.nodes[1]
    here.lose_packets_to(there)
    watch.until(lambda _: not links(here)[there.name, "1"], here)
    watch.until(lambda _: not links(there)[here.name, "1"], there)
    watch.firing(BROKEN)
    for node in (here, there):
        assert not disagreements_on_corosync(node)
    assert links(cluster.nodes[2]) == all_links(cluster.nodes[2])
    here.find_again(there)
    watch.healthy()


def test_exporter_without_the_group_has_everything_but_corosync(
    cluster: Cluster, watch: Watch
) -> None:
    """Corosync looks at the main group only."""
    node = cluster.nodes[1]
    log = "/var/log/cluster/corosync.log"
    refusals = ("grep", "--count", "Denied connection attempt", log)
    before = int(node.ask(*refusals).stdout)
    done = node.ask(*UNPRIVILEGED, *EXPORTER, "--once")
    (line,) = done.stderr.splitlines()
    assert "corosync refuses to answer" in line
    assert "Group=haclient" in line
    page = see.series(done.stdout)
    assert not [name for name in page if name.startswith("corosync_")]
    assert page["pacemaker_view_trusted"] == 1
    assert int(node.ask(*refusals).stdout) == before + 1
    watch.healthy()


def dc(watch: Watch) -> Node:
    """Return the DC."""
    (node,) = (node for node in watch.cluster.nodes if watch.value(node, "view_dc"))
    return node


def claims_to_be_well(page: Page) -> bool:
    """Whether crm_mon goes on with a DC, quorum and all nodes online."""
    of_members = [on for s, on in page["node_condition"].items() if s[1:] == ("member", "online")]
    states = (page[name][()] for name in ("cluster_quorate", "cluster_dc_elected", "up"))
    return all(states) and sum(of_members) == len(NAMES)


@pytest.mark.parametrize("is_dc", [True, False], ids=["dc", "another-node"])
def test_frozen_corosync(cluster: Cluster, watch: Watch, is_dc: bool) -> None:
    """Pacemaker there shows the last state for ever; the others take the node for lost."""
    watch.begin()
    master = dc(watch)
    node = master if is_dc else others(cluster, master)[0]
    left = others(cluster, node)
    cluster.power.stuck = True
    node.signal("corosync", "STOP")
    watch.until(lambda page: page["view_trusted"][()] == 0, node)
    watch.until(lambda page: page["node_condition"][node.name, "member", "unclean"] == 1, *left)
    told = {
        f"CorosyncUnresponsive {node} {node}",
        f"PacemakerNodeUnclean {node}",
        f"PacemakerFencingPending {node}",
        NO_MARGIN,
    }
    eventually(lambda: told <= watch.monitoring.notified(), 60)
    page = watch.page(node)
    assert claims_to_be_well(page)
    assert page["view_dc"][()] == page["view_trusted"][()] == 0
    assert page[OUTCOME]["corosync", "timeout"] == 1
    assert corosync(node) == {"up": {(): 0}}
    assert watch.value(node, "problems", "corosync_unresponsive", "critical") == 1
    watch.agree(*left)
    for other in left:
        assert watch.value(other, "view_trusted") == 1
    assert sum(watch.value(other, "view_dc") or 0 for other in left) == 1
    time.sleep(FOR)
    fired = watch.monitoring.fired(time.monotonic() - watch.started)
    assert not [alert for alert in fired if alert.startswith("PacemakerSplit")]
    # What else fires depends on what ran there.
    watch.tolerated |= fired
    watch.judge()
    node.signal("corosync", "CONT")
    cluster.power.stuck = False
    watch.healthy()
