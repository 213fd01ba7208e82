"""Stories from a fault in the cluster to the person who is paged, all on real programs.

crm_mon reads CIBs that change, three exporters poll it, Prometheus evaluates the shipped rules,
Alertmanager routes with the shipped routing. Only durations are shorter, by an override file.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.harness import see
from tests.support.harness.alerting import (
    FOR,
    KEPT,
    Monitoring,
    Notification,
    Site,
    but,
    changes,
)
from tests.support.harness.programs import eventually, get
from tests.support.model.cib import Bundle, Cluster, Failure, Node, Replica
from tests.support.model.situations import computes
from tests.support.model.states import FENCING, FIRST, SECOND, STATES, THIRD

pytestmark = [pytest.mark.real, pytest.mark.prometheus]

HEALTHY: Cluster = replace(STATES["healthy"].cluster, fencing=True).but_with(*FENCING)


def stopped(bundle: Bundle, *indices: int) -> Bundle:
    """Return the bundle with these replicas stopped, or with all of them."""
    gone = indices or range(len(bundle.replicas))
    replicas = enumerate(bundle.replicas)
    return replace(
        bundle,
        replicas=tuple(Replica(left=r.host) if index in gone else r for index, r in replicas),
    )


GALERA_LOST_ONE = but(HEALTHY, galera=lambda bundle: stopped(bundle, 1))
GALERA_DOWN = but(HEALTHY, galera=stopped)
REDIS_UNPROMOTED = but(HEALTHY, redis=lambda bundle: bundle.but(0, role="unpromoted"))
REDIS_MOVED = but(
    HEALTHY,
    redis=lambda bundle: bundle.but(0, role="unpromoted").but(1, role="promoted"),
)
REDIS_TWICE = but(HEALTHY, redis=lambda bundle: bundle.but(1, role="promoted"))
READY = "cluster_bundle:pacemaker_bundle_replicas_ready:min"
CUT_OFF = replace(
    but(HEALTHY, galera=stopped, redis=stopped, rabbitmq=stopped, haproxy=stopped),
    nodes=(Node(FIRST, "offline"), Node(SECOND, "offline"), Node(THIRD)),
    quorate=False,
    dc=THIRD,
)
"""What the third node sees when it is alone."""


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    see.need("crm_mon")
    with Monitoring(tmp_path_factory.mktemp("monitoring")).running() as monitoring:
        yield monitoring


@pytest.fixture
def site(monitoring: Monitoring, request: pytest.FixtureRequest) -> Iterator[Site]:
    with monitoring.site(request.node.name.removeprefix("test_"), HEALTHY) as site:
        assert monitoring.receiver.told(site.name) == []
        yield site


def paged(monitoring: Monitoring, site: Site, *alerts: str) -> Notification:
    """Wait for the page of exactly these alerts and return it."""
    eventually(lambda: monitoring.receiver.told(site.name), 60)
    time.sleep(FOR)  # for a second one, were there one
    (page,) = monitoring.receiver.told(site.name)
    assert (page.status, page.names()) == ("firing", set(alerts))
    return page


def resolved(monitoring: Monitoring, site: Site, *alerts: str) -> None:
    """Wait until exactly these alerts are resolved."""

    def last() -> bool:
        told = monitoring.receiver.told(site.name)[-1]
        return told.status == "resolved" and told.names("resolved") >= set(alerts)

    eventually(last, 60 + KEPT)


def nothing(monitoring: Monitoring, site: Site, seconds: float = 3 * FOR) -> None:
    """Check that nobody is paged."""
    time.sleep(seconds)
    assert monitoring.receiver.told(site.name) == []


def test_lost_galera_replica_pages(monitoring: Monitoring, site: Site) -> None:
    site.sees(GALERA_LOST_ONE)
    page = paged(monitoring, site, "PacemakerBundleDegraded")
    (alert,) = page.content["alerts"]
    assert alert["labels"] == {
        "alertname": "PacemakerBundleDegraded",
        "severity": "critical",
        "cluster": site.name,
        "bundle": "galera-bundle",
    }, "one fault seen by three nodes, and no label that only the links need"
    told = alert["annotations"]
    assert told["summary"] == f"galera-bundle in {site.name}: 1 of 3 expected replicas is missing"
    assert "pcs status --full" in told["description"]
    assert get(told["runbook_url"]).startswith(b"# PacemakerBundleDegraded")
    link = urlsplit(told["dashboard_url"])
    assert (link.netloc, link.path) == ("grafana.test", "/d/pacemaker-bundle")
    assert parse_qs(link.query) == {"var-cluster": [site.name], "var-bundle": ["galera-bundle"]}

    site.sees(HEALTHY)
    resolved(monitoring, site, "PacemakerBundleDegraded")
    assert len(monitoring.receiver.told(site.name)) == 2


@pytest.mark.story
def test_galera_that_fails_while_a_rack_is_lost_pages_again(
    monitoring: Monitoring, site: Site
) -> None:
    rack_lost = replace(HEALTHY, nodes=(*HEALTHY.nodes, *computes(4, "offline")))
    site.sees(rack_lost)
    first = paged(monitoring, site, "PacemakerManyRemoteNodesLost")
    (alert,) = first.content["alerts"]
    assert alert["annotations"]["summary"] == (
        f"4 of 16 remote nodes in {site.name} are lost: compute-0, compute-1, compute-2, compute-3"
    )

    site.sees(but(rack_lost, galera=stopped))
    eventually(lambda: len(monitoring.receiver.told(site.name)) == 2, 60)
    second = monitoring.receiver.told(site.name)[-1]
    assert second.names() == {"PacemakerBundleDown"}
    assert second.content["groupKey"] != first.content["groupKey"], "it would not ring"


@pytest.mark.story
def test_redis_without_a_promoted_replica_pages(monitoring: Monitoring, site: Site) -> None:
    site.sees(REDIS_UNPROMOTED)
    page = paged(monitoring, site, "PacemakerBundleNotPromoted")
    assert page.content["alerts"][0]["labels"]["bundle"] == "redis-bundle"
    site.sees(HEALTHY)
    resolved(monitoring, site, "PacemakerBundleNotPromoted")


@pytest.mark.story
def test_two_promoted_replicas_page(monitoring: Monitoring, site: Site) -> None:
    site.sees(REDIS_TWICE)
    page = paged(monitoring, site, "PacemakerBundleTooManyPromoted")
    assert "more replicas are promoted" in page.content["alerts"][0]["annotations"]["summary"]


@pytest.mark.story
def test_ordinary_failover_pages_nobody(monitoring: Monitoring, site: Site) -> None:
    for _ in range(3):
        for cluster in (REDIS_UNPROMOTED, REDIS_MOVED, HEALTHY):
            # The nodes learn of it one after the other: the views differ all the time.
            for node in site.nodes:
                node.sees(cluster)
                time.sleep(FOR / 8)
    promoted = f'sum(pacemaker_bundle_promotions_total{{cluster="{site.name}"}})'
    assert monitoring.prometheus.values(promoted)[()] >= 3, "the exporters have seen it"
    nothing(monitoring, site)


@pytest.mark.story
def test_isolated_node_neither_invents_nor_hides_a_fault(
    monitoring: Monitoring, site: Site
) -> None:
    third = site.nodes[2]
    third.sees(CUT_OFF)
    eventually(lambda: "PacemakerSplitView" in monitoring.firing(site.name), 60)
    nothing(monitoring, site)
    eventually(
        lambda: any(
            "PacemakerSplitView" in ticket.names()
            for ticket in monitoring.receiver.told(site.name, "tickets")
        )
    )
    # Now it thinks that all is well, as it did before, and the others know better.
    third.sees(replace(HEALTHY, quorate=False))
    for node in site.nodes[:2]:
        node.sees(GALERA_DOWN)
    paged(monitoring, site, "PacemakerBundleDown")


@pytest.mark.story
def test_worst_view_counts_when_the_dc_has_no_exporter(monitoring: Monitoring, site: Site) -> None:
    site.nodes[0].stop()
    site.nodes[2].sees(GALERA_LOST_ONE)
    paged(monitoring, site, "PacemakerBundleDegraded")


@pytest.mark.story
def test_loss_of_every_exporter_of_a_cluster_pages(monitoring: Monitoring, site: Site) -> None:
    for node in site.nodes:
        node.stop()
    paged(monitoring, site, "PacemakerExportersDown")


@pytest.mark.story
def test_alert_stays_when_its_data_is_lost(monitoring: Monitoring, site: Site) -> None:
    site.sees(GALERA_DOWN)
    paged(monitoring, site, "PacemakerBundleDown")
    for node in site.nodes:
        node.hangs()
    gone = f'absent(pacemaker_bundle_replicas{{cluster="{site.name}"}})'
    eventually(lambda: monitoring.prometheus.query(gone), 60)
    eventually(
        lambda: "PacemakerNoTrustedView" in monitoring.receiver.told(site.name)[-1].names(), 60
    )
    last = monitoring.receiver.told(site.name)[-1]
    assert last.names() == {"PacemakerBundleDown", "PacemakerNoTrustedView"}
    assert all(told.names("resolved") == set() for told in monitoring.receiver.told(site.name))


@pytest.mark.story
def test_lost_quorum_silences_the_alerts_it_causes(monitoring: Monitoring, site: Site) -> None:
    site.sees(GALERA_DOWN)
    paged(monitoring, site, "PacemakerBundleDown")
    site.sees(replace(CUT_OFF, dc=FIRST))
    eventually(
        lambda: monitoring.receiver.told(site.name)[-1].names() == {"PacemakerQuorumLost"}, 60
    )


@pytest.mark.story
def test_maintenance_mode_pages_nobody(monitoring: Monitoring, site: Site) -> None:
    site.sees(replace(HEALTHY, maintenance=True))
    eventually(lambda: "PacemakerMaintenanceMode" in monitoring.firing(site.name), 60)
    # Silenced by Alertmanager, or, where it would page, not begun.
    site.sees(replace(GALERA_DOWN, maintenance=True, fencing=False))
    eventually(lambda: "PacemakerFencingDisabled" in monitoring.firing(site.name), 60)
    nothing(monitoring, site)
    # Well again, and maintenance ends: what it had silenced is not told after all.
    site.sees(replace(HEALTHY, maintenance=True))
    ready = f'{READY}{{cluster="{site.name}",bundle="galera-bundle"}} == 3'
    eventually(lambda: monitoring.prometheus.query(ready), 60)
    site.sees(HEALTHY)
    eventually(lambda: "PacemakerMaintenanceMode" not in monitoring.firing(site.name), 60)
    nothing(monitoring, site)
    site.sees(replace(HEALTHY, maintenance=True))
    eventually(lambda: "PacemakerMaintenanceMode" in monitoring.firing(site.name), 60)
    # Nobody wants a blocked replica, maintenance or not.
    site.sees(
        replace(
            but(
                GALERA_DOWN,
                rabbitmq=lambda bundle: bundle.but(
                    1, failures=(Failure(task="stop", rc=1, at=-40, count=1_000_000),)
                ),
            ),
            maintenance=True,
            fencing=False,
        )
    )
    paged(monitoring, site, "PacemakerBundleReplicaBlocked")


@pytest.mark.story
def test_node_in_standby_opens_a_ticket(monitoring: Monitoring, site: Site) -> None:
    standby = replace(STATES["node-standby"].cluster, fencing=True).but_with(*FENCING)
    site.sees(standby)
    eventually(
        lambda: any(
            "PacemakerBundleReplicasAway" in ticket.names()
            for ticket in monitoring.receiver.told(site.name, "tickets")
        ),
        60,
    )
    nothing(monitoring, site)


@pytest.mark.story
def test_cluster_without_a_cluster_label_pages(monitoring: Monitoring) -> None:
    with monitoring.site("", HEALTHY) as site:
        site.sees(GALERA_LOST_ONE)
        page = paged(monitoring, site, "PacemakerBundleDegraded")
        alert = page.content["alerts"][0]
        assert alert["labels"].keys() == {"alertname", "severity", "bundle"}
        said = "galera-bundle: 1 of 3 expected replicas is missing"
        assert alert["annotations"]["summary"] == said


def replayed(site: Site, series: str, faster: float = 1) -> None:
    """Replay the answers of a real cluster through every crm_mon."""
    began = time.monotonic()
    for answer in sorted((see.CAPTURES / "live-2.1.5" / series).iterdir()):
        time.sleep(max(0, began + int(answer.name[:6]) / 1000 / faster - time.monotonic()))
        for node in site.nodes:
            node.answers(answer)


@pytest.mark.story
def test_manual_move_of_the_promoted_role_pages_nobody(monitoring: Monitoring, site: Site) -> None:
    replayed(site, "02-redis-moving")
    promoted = (
        f'min(pacemaker_bundle_promotions_total{{cluster="{site.name}",bundle="redis-bundle"}})'
    )
    eventually(lambda: monitoring.prometheus.values(promoted)[()] == 1)
    nothing(monitoring, site)


@pytest.mark.story
def test_container_restarted_within_seconds_pages_nobody(
    monitoring: Monitoring, site: Site
) -> None:
    # It took 8 seconds: here it is as short as all else is.
    replayed(site, "04-galera-container-killed", faster=FOR)
    failures = f'max(pacemaker_resource_failures{{cluster="{site.name}",bundle="galera-bundle"}})'
    eventually(lambda: monitoring.prometheus.values(failures)[()] >= 1)
    nothing(monitoring, site)


SCALE = 15
"""So many times faster is what follows than life, for all durations."""


@pytest.mark.story
def test_restart_of_prometheus_neither_resolves_nor_pages_again(tmp_path: Path) -> None:
    """Alertmanager hears nothing for a minute, and begins to wait for its 4 minutes."""
    see.need("crm_mon")
    flags = (
        f"--rules.alert.resend-delay={60 // SCALE}s",
        f"--rules.alert.for-grace-period={600 // SCALE}s",
        f"--query.lookback-delta={300 // SCALE}s",
    )
    faster = changes(lambda seconds: max(1, seconds / SCALE), PacemakerExporterAbsent=False)
    with (
        Monitoring(tmp_path).running(faster, *flags) as monitoring,
        monitoring.site("restarted", HEALTHY) as site,
    ):
        site.sees(but(GALERA_DOWN, rabbitmq=lambda bundle: stopped(bundle, 1)))
        told = partial(monitoring.receiver.told, site.name)
        degraded = {"PacemakerBundleDown", "PacemakerBundleDegraded"}
        eventually(lambda: told() and told()[-1].names() == degraded, 60 + 300 / SCALE)
        before = len(told())

        monitoring.stop()
        time.sleep(2)
        monitoring.start()
        # For longer than Alertmanager waits for an alert, and than an alert waits for its fault.
        time.sleep(600 / SCALE)
        assert monitoring.firing(site.name) >= degraded
        assert [page.names("resolved") for page in told()] == [set()] * before
