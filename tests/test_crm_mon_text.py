"""The reader of crm_mon's text, on texts that crm_mon 2.1.5 printed.

All of them are from real runs of `crm_mon -1 --inactive`, or with --show-detail, over CIBs of
Pacemaker's scheduler suite and of tests/support/states.py; cut down to the lines that matter.
"""

import pytest

from tests.support.crm_mon_text import Bundle, Line, Replica, read

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


def test_bundles_and_no_other_resources() -> None:
    rabbitmq, galera = read(UNCLEAN).bundles
    assert galera.id == "galera-bundle"
    assert galera.image == "192.168.24.1:8787/rhosp12/mariadb-docker:pcmklatest"
    assert galera.managed
    assert not galera.unique
    assert [replica.index for replica in galera.replicas] == ["0", "1", "2"]
    assert len(rabbitmq.replicas) == 3


def test_failed_hides_every_role_but_promoted() -> None:
    rabbitmq, galera = read(UNCLEAN).bundles
    assert [line.role for line in lines(galera)] == ["Promoted"] * 3
    assert [line.role for line in lines(rabbitmq)] == [None, "Started", "Started"]
    assert [line.failed for line in lines(galera)] == [True, False, False]
    assert lines(galera)[0].hosts == ("controller-0",)
    assert lines(galera)[0].flags == {"UNCLEAN"}


def test_unique_bundle_with_addresses() -> None:
    (httpd,) = read(UNIQUE).bundles
    assert httpd.unique
    assert [line.address for line in lines(httpd)] == [f"192.168.20.{n}" for n in (188, 189, 190)]
    assert [line.hosts for line in lines(httpd)] == [("rh74-test",), (), ()]
    assert {line.role for line in lines(httpd)} == {"Stopped"}
    assert not any(line.orphaned for line in lines(httpd))


def test_components_with_detail() -> None:
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


def test_nodes_with_detail() -> None:
    assert read(DETAILED).nodes == {
        "httpd-bundle-0": "online",
        "httpd-bundle-1": "OFFLINE",
        "rh74-test": "online",
        "remote-rhel7-2": "UNCLEAN (offline)",
    }


def test_single_replica_with_detail() -> None:
    galera, haproxy = read(SINGLE).bundles
    assert galera.replicas == (Replica("0", tuple(lines(galera))),)
    assert list(galera.replicas[0].components) == ["service", "container", "connection"]
    assert list(haproxy.replicas[0].components) == ["container"]


def test_active_on_two_nodes() -> None:
    (haproxy,) = read(TWICE).bundles
    assert lines(haproxy)[0].hosts == ("controller-0", "controller-1")


def test_maintenance_and_a_failed_probe() -> None:
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
def test_states_of_a_line(
    state: str, role: str | None, hosts: tuple[str, ...], flags: set[str]
) -> None:
    line = only_line(state)
    assert (line.role, line.hosts, line.flags) == (role, hosts, frozenset(flags))
    assert line.failed == ("FAILED" in state)
    assert line.orphaned == ("ORPHANED" in state)


def test_unknown_line_in_a_bundle_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no line of a resource in a bundle: '    \* Something"):
        read("  * Container bundle: a-bundle [a]:\n    * Something new\n")
