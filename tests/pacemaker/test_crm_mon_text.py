"""The readers of crm_mon's text, on texts that crm_mon 2.1.5 printed.

The lines are from real runs of `crm_mon -1 --inactive`, or with --show-detail, over CIBs of
Pacemaker's scheduler suite and of tests/support/model/states.py: whole texts about bundles, cut
down to what matters, and for the rest one line of each kind put together, with other names.
"""

import pytest

from tests.support.oracle import crm_mon_text_resources
from tests.support.oracle.crm_mon_text import Bundle, Line, Replica, read
from tests.support.oracle.crm_mon_text_resources import Ban, FailCount, Failure, Listed, Node

UNCLEAN = """\
Node List:
  * Node controller-0: UNCLEAN (offline)
  * Online: [ controller-1 controller-2 ]
  * GuestOnline: [ galera-bundle-1 galera-bundle-2 rabbitmq-bundle-1 rabbitmq-bundle-2 ]

Full List of Resources:
  * Container bundle set: rabbitmq-bundle [192.168.24.1:8787/rhosp12/rabbitmq-docker:pcmklatest]:
    * rabbitmq-bundle-0\t(ocf:heartbeat:rabbitmq-cluster):\t FAILED controller-0 (UNCLEAN)
    * rabbitmq-bundle-1\t(ocf:heartbeat:rabbitmq-cluster):\t Started controller-1
    * rabbitmq-bundle-2\t(ocf:heartbeat:rabbitmq-cluster):\t Started controller-2
  * Container bundle set: galera-bundle [192.168.24.1:8787/rhosp12/mariadb-docker:pcmklatest]:
    * galera-bundle-0\t(ocf:heartbeat:galera):\t FAILED Promoted controller-0 (UNCLEAN)
    * galera-bundle-1\t(ocf:heartbeat:galera):\t Promoted controller-1
    * galera-bundle-2\t(ocf:heartbeat:galera):\t Promoted controller-2
  * ip-192.168.24.7\t(ocf:heartbeat:IPaddr2):\t Started controller-0 (UNCLEAN)

Failed Resource Actions:
  * redis 60s-interval monitor on redis-bundle-2 returned 'promoted' at Mon Sep 11 15:31:34 2017
"""

UNIQUE = """\
Full List of Resources:
  * Container bundle set: httpd-bundle [pcmktest:http] (unique):
    * httpd-bundle-0 (192.168.20.188)\t(ocf:heartbeat:apache):\t Stopped rh74-test
    * httpd-bundle-1 (192.168.20.189)\t(ocf:heartbeat:apache):\t Stopped
    * httpd-bundle-2 (192.168.20.190)\t(ocf:heartbeat:apache):\t Stopped
  * httpd\t(ocf:heartbeat:apache):\t ORPHANED Started httpd-bundle-0
"""

DETAILED = """\
Node List:
  * GuestNode httpd-bundle-0@rh74-test: online
  * GuestNode httpd-bundle-1@: OFFLINE
  * Node rh74-test (3232287163): online, feature set <3.15.1
  * RemoteNode remote-rhel7-2: UNCLEAN (offline)

Full List of Resources:
  * Container bundle set: httpd-bundle [pcmktest:http] (unique):
    * Replica[0]
      * httpd-bundle-ip-192.168.20.188\t(ocf:heartbeat:IPaddr2):\t Started rh74-test
      * httpd:0\t(ocf:heartbeat:apache):\t Stopped
      * httpd-bundle-docker-0\t(ocf:heartbeat:docker):\t Started rh74-test
      * httpd-bundle-0\t(ocf:pacemaker:remote):\t Started rh74-test
    * Replica[1]
      * httpd-bundle-ip-192.168.20.189\t(ocf:heartbeat:IPaddr2):\t Stopped
      * httpd:1\t(ocf:heartbeat:apache):\t Stopped
      * httpd-bundle-docker-1\t(ocf:heartbeat:docker):\t Stopped
      * httpd-bundle-1\t(ocf:pacemaker:remote):\t Stopped
  * httpd\t(ocf:heartbeat:apache):\t ORPHANED Started httpd-bundle-0
"""

SINGLE = """\
  * Container bundle: galera-bundle [192.168.24.1:8787/tripleoupstream/mariadb:latest]:
      * galera\t(ocf:heartbeat:galera):\t Promoted galera-bundle-0
      * galera-bundle-docker-0\t(ocf:heartbeat:docker):\t Started undercloud
      * galera-bundle-0\t(ocf:pacemaker:remote):\t Started undercloud
  * ip-192.168.122.254\t(ocf:heartbeat:IPaddr2):\t Started undercloud
  * Container bundle: haproxy-bundle [192.168.24.1:8787/tripleoupstream/haproxy:latest]:
      * haproxy-bundle-docker-0\t(ocf:heartbeat:docker):\t Started undercloud
"""

TWICE = """\
  * Container bundle: haproxy-bundle [cluster.common.tag/haproxy:pcmklatest]:
    * haproxy-bundle-podman-0\t(ocf:heartbeat:podman):\t Started [ controller-0 controller-1 ]
"""

MAINTENANCE = """\
  * 3 nodes configured
  * 3 resource instances configured

              *** Resource management is DISABLED ***
  The cluster will not attempt to start, stop or recover services

Full List of Resources:
  * Container bundle set: haproxy-bundle [cluster.common.tag/haproxy:pcmklatest] (unmanaged):
    * haproxy-bundle-podman-0\t(ocf:heartbeat:podman):\t Started controller-0 (unmanaged)
    * haproxy-bundle-podman-1\t(ocf:heartbeat:podman):\t Stopped (not installed)  (unmanaged)
    * haproxy-bundle-podman-2\t(ocf:heartbeat:podman):\t Started controller-2 (unmanaged)
"""


def lines(bundle: Bundle) -> list[Line]:
    return [line for replica in bundle.replicas for line in replica.lines]


def only_line(state: str) -> Line:
    header = "  * Container bundle: a-bundle [a]:\n"
    (bundle,) = read(f"{header}    * a-bundle-0\t(ocf:a:a):\t {state}\n").bundles
    (line,) = lines(bundle)
    return line


def test_reader_returns_bundles_and_no_other_resources() -> None:
    rabbitmq, galera = read(UNCLEAN).bundles
    assert galera.id == "galera-bundle"
    assert galera.image == "192.168.24.1:8787/rhosp12/mariadb-docker:pcmklatest"
    assert galera.managed
    assert not galera.unique
    assert [replica.index for replica in galera.replicas] == ["0", "1", "2"]
    assert len(rabbitmq.replicas) == 3


def test_failed_line_hides_every_role_except_promoted() -> None:
    rabbitmq, galera = read(UNCLEAN).bundles
    assert [line.role for line in lines(galera)] == ["Promoted"] * 3
    assert [line.role for line in lines(rabbitmq)] == [None, "Started", "Started"]
    assert [line.failed for line in lines(galera)] == [True, False, False]
    assert lines(galera)[0].hosts == ("controller-0",)
    assert lines(galera)[0].flags == {"UNCLEAN"}


def test_unique_bundle_is_read_with_its_addresses() -> None:
    (httpd,) = read(UNIQUE).bundles
    assert httpd.unique
    assert [line.address for line in lines(httpd)] == [f"192.168.20.{n}" for n in (188, 189, 190)]
    assert [line.hosts for line in lines(httpd)] == [("rh74-test",), (), ()]
    assert {line.role for line in lines(httpd)} == {"Stopped"}
    assert not any(line.orphaned for line in lines(httpd))


def test_detailed_text_has_the_components_of_replicas() -> None:
    (httpd,) = read(DETAILED).bundles
    first, second = httpd.replicas
    assert {kind: line.name for kind, line in first.components.items()} == {
        "ip": "httpd-bundle-ip-192.168.20.188",
        "service": "httpd:0",
        "container": "httpd-bundle-docker-0",
        "connection": "httpd-bundle-0",
    }
    assert first.components["service"].role == "Stopped"
    assert first.components["container"].hosts == ("rh74-test",)
    assert second.index == "1"


def test_detailed_text_has_the_states_of_nodes() -> None:
    assert read(DETAILED).nodes == {
        "httpd-bundle-0": "online",
        "httpd-bundle-1": "OFFLINE",
        "rh74-test": "online",
        "remote-rhel7-2": "UNCLEAN (offline)",
    }


def test_detailed_text_of_a_single_replica_is_read() -> None:
    galera, haproxy = read(SINGLE).bundles
    assert galera.replicas == (Replica("0", tuple(lines(galera))),)
    assert list(galera.replicas[0].components) == ["service", "container", "connection"]
    assert list(haproxy.replicas[0].components) == ["container"]


def test_replica_active_on_two_nodes_has_two_hosts() -> None:
    (haproxy,) = read(TWICE).bundles
    assert lines(haproxy)[0].hosts == ("controller-0", "controller-1")


def test_maintenance_and_a_failed_probe_are_read() -> None:
    status = read(MAINTENANCE)
    (haproxy,) = status.bundles
    assert status.maintenance
    assert not haproxy.managed
    assert [line.role for line in lines(haproxy)] == ["Started", "Stopped", "Started"]
    assert [line.hosts for line in lines(haproxy)] == [("controller-0",), (), ("controller-2",)]
    assert all(line.flags == {"unmanaged"} for line in lines(haproxy))


@pytest.mark.parametrize(
    ("state", "role", "hosts", "flags"),
    [
        ("Stopped (disabled)", "Stopped", (), {"disabled"}),
        ("Stopped (not installed) ", "Stopped", (), set()),
        ("FAILED controller-1 (blocked)", None, ("controller-1",), {"blocked"}),
        (
            "FAILED yingying.site (disabled, blocked)",
            None,
            ("yingying.site",),
            {"disabled", "blocked"},
        ),
        (
            "FAILED (disabled, unmanaged) [ node1 node2 ]",
            None,
            ("node1", "node2"),
            {"disabled", "unmanaged"},
        ),
        (
            "Started controller-1 (failure ignored)",
            "Started",
            ("controller-1",),
            {"failure ignored"},
        ),
        ("Started controller-2 (Monitoring)", "Started", ("controller-2",), {"Monitoring"}),
        ("Promoting controller-1", "Promoting", ("controller-1",), set()),
        ("ORPHANED Promoted [ lxc1 lxc2 ]", "Promoted", ("lxc1", "lxc2"), set()),
    ],
)
def test_role_hosts_and_flags_of_a_line_are_read(
    state: str, role: str | None, hosts: tuple[str, ...], flags: set[str]
) -> None:
    line = only_line(state)
    assert (line.role, line.hosts, line.flags) == (role, hosts, frozenset(flags))
    assert line.failed == ("FAILED" in state)
    assert line.orphaned == ("ORPHANED" in state)


def test_unknown_line_in_a_bundle_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no line of a resource: '    \* Something"):
        read("  * Container bundle: a-bundle [a]:\n    * Something new\n")


RESOURCES = """\
Cluster Summary:
  * Stack: corosync
  * Current DC: node-a (version 2.1.5-a3f44794f94) - partition WITHOUT quorum
  * Last updated: Sat Aug  1 00:00:00 2026
  * 4 nodes configured
  * 14 resource instances configured (1 DISABLED, 2 BLOCKED from further action due to failure)

Node List:
  * Node node-c: UNCLEAN (offline)
  * Node node-d: online (health is RED)
  * Online: [ node-a node-b ]
  * RemoteOFFLINE: [ far ]

Full List of Resources:
  * one\t(ocf:pacemaker:Dummy):\t Stopped node-a (LOCKED)
  * Resource Group: web (unmanaged, disabled):
    * address\t(ocf:heartbeat:IPaddr2):\t FAILED node-a (blocked)
  * Clone Set: disk-clone [disk] (promotable):
    * Resource Group: disk:0:
      * drbd\t(ocf:linbit:drbd):\t Started [ node-a node-b ]
    * Promoted: [ node-a ]
    * Stopped (not installed): [ node-c node-d ]
  * Clone Set: numbered [fence] (unique):
    * fence:0\t(stonith:ssh):\t Starting node-b
  * Container bundle: web-bundle [web:1]:
    * web-bundle-docker-0\t(ocf:heartbeat:docker):\t Started node-a
  * last\t(lsb:last):\t ORPHANED Stopped

Node Attributes:
  * Node: node-a:
    * pingd                           \t: 3         \t: Connectivity is degraded (Expected=4)
    * some-text                       \t: a b\x20\x20

Migration Summary:
  * Node: node-a:
    * fence:0: migration-threshold=3 fail-count=1000000 last-failure='Wed Feb 17 06:13:10 2038'

Failed Resource Actions:
  * address 10s-interval monitor on node-a could not be executed (Timed Out) at Fri Jan  1 2038
  * one probe on node-b returned 'not installed'

Negative Location Constraints:
  * cli-ban-one\tprevents one from running on node-b
  * other\tprevents disk-clone from running in Promoted role on node-a

Tickets:
  * ticketA: granted [standby]
  * ticketB: revoked last-granted="Tue Mar 13 20:15:36 2012"
"""

LIVE = """\
Cluster Summary:
  * Current DC: node-a (version 2.1.5-a3f44794f94) - MIXED-VERSION partition with quorum

Failed Fencing Actions:
  * reboot of node-c by node-a for pacemaker-controld.90@node-b last failed (no answer) at 17:51:59Z

Pending Fencing Actions:
  * reboot of node-b pending: client=pacemaker-controld.90, origin=node-a
"""

IN_DETAIL = """\
Cluster Summary:
  * Current DC: NONE
  * 1 node configured
  * 1 resource instance configured

Node List:
  * Node node-a (1): standby (with active resources), feature set <3.15.1
  * GuestNode web-bundle-0@: OFFLINE

Full List of Resources:
  * No resources

Operations:
  * Node: node-a (1):
    * web: migration-threshold=3:
      * (17) probe
      * (18) monitor: interval="10000ms"
    * web:1: migration-threshold=3 fail-count=2 last-failure='Wed Feb 17 06:13:10 2038':

Failed Resource Actions:
  * web_monitor_10000 on web-bundle-0 'error' (1): call=143, status='Error', queued=0ms, exec=0ms

Negative Location Constraints:
  * other\tprevents disk-clone from running on web-bundle-0@node-a
"""


def test_resources_are_read_with_their_groups_and_clones() -> None:
    rest = crm_mon_text_resources.read(RESOURCES)
    assert [(i.line.name, i.group, i.clone) for i in rest.instances] == [
        ("one", "", ""),
        ("address", "web", ""),
        ("drbd", "disk:0", "disk-clone"),
        ("fence:0", "", "numbered"),
        ("last", "", ""),
    ]
    assert [i.line.name for i in rest.instances if i.promotable] == ["drbd"]
    assert [i.line.name for i in rest.instances if i.anonymous] == ["drbd"]
    assert rest.lists == (
        Listed("disk-clone", "Promoted", ("node-a",)),
        Listed("disk-clone", "Stopped", ("node-c", "node-d")),
    )
    one, address, drbd, fence, last = (instance.line for instance in rest.instances)
    assert one.role == "Stopped"
    assert one.flags == {"LOCKED"}
    assert address.failed
    assert drbd.hosts == ("node-a", "node-b")
    assert (fence.agent, fence.role) == ("stonith:ssh", "Starting")
    assert last.orphaned


def test_summary_and_nodes_are_read() -> None:
    rest = crm_mon_text_resources.read(RESOURCES)
    assert (rest.summary.dc, rest.summary.quorum) == ("node-a", False)
    assert rest.summary.counts == {"node": 4, "resource instance": 14, "DISABLED": 1, "BLOCKED": 2}
    assert rest.nodes == (
        Node("node-c", "", "UNCLEAN (offline)", None, None, None),
        Node("node-d", "", "online", None, "RED", None),
        Node("node-a", "", "online", None, None, None),
        Node("node-b", "", "online", None, None, None),
        Node("far", "Remote", "OFFLINE", None, None, None),
    )


def test_sections_after_the_resources_are_read() -> None:
    rest = crm_mon_text_resources.read(RESOURCES)
    last = "Wed Feb 17 06:13:10 2038"
    assert rest.attributes == {("node-a", "pingd"): "3", ("node-a", "some-text"): "a b"}
    assert rest.fail_counts == (FailCount("fence:0", "node-a", 3, 1_000_000, last),)
    assert rest.failures == (
        Failure("address", "monitor", "node-a"),
        Failure("one", "probe", "node-b"),
    )
    assert rest.bans == (
        Ban("cli-ban-one", "one", "node-b", promoted=False),
        Ban("other", "disk-clone", "node-a", promoted=True),
    )
    assert rest.tickets == {"ticketA": (True, True), "ticketB": (False, False)}


def test_dc_quorum_and_fencing_of_a_live_cluster_are_read() -> None:
    rest = crm_mon_text_resources.read(LIVE)
    assert (rest.summary.dc, rest.summary.quorum) == ("node-a", True)
    assert rest.fencing == {("node-c", "reboot", "failed"), ("node-b", "reboot", "pending")}


def test_detailed_sections_are_read() -> None:
    rest = crm_mon_text_resources.read(IN_DETAIL)
    assert (rest.summary.dc, rest.summary.quorum) == (None, None)
    assert rest.nodes == (
        Node("node-a", "", "standby (with active resources)", "1", None, "<3.15.1"),
        Node("web-bundle-0", "Guest", "OFFLINE", None, None, None),
    )
    assert rest.instances == ()
    assert rest.failures == (Failure("", "web_monitor_10000", "web-bundle-0", "Error", "1"),)
    assert rest.bans == (Ban("other", "disk-clone", "web-bundle-0", promoted=False),)
    assert rest.history == (
        FailCount("web", "node-a", 3, 0, None),
        FailCount("web:1", "node-a", 3, 2, "Wed Feb 17 06:13:10 2038"),
    )
    assert rest.fail_counts == ()


@pytest.mark.parametrize(
    "text",
    [
        "Something New:\n  * of crm_mon\n",
        "Full List of Resources:\n  * Something new\n",
        "Node List:\n  * Node node-a: Something new\n",
        "Tickets:\n  * ticketA: lost\n",
    ],
)
def test_unknown_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no "):
        crm_mon_text_resources.read(text)
