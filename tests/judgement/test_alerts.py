"""Every kind of problem has an alert or a reason for none, and every alert a kind or a reason."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from exporter.judgement.facts import MANY_OF_REMOTE_NODES, MANY_REMOTE_NODES
from exporter.judgement.problem import Kind
from tests.support.paths import ROOT

RULES = ROOT / "deploy" / "prometheus" / "pacemaker-alerts.rules.yml"
PREFIX = "Pacemaker"

ALERTS_OF: Mapping[Kind, tuple[str, ...] | str] = {
    Kind.NO_DC: ("NoDC", "NoTrustedView"),
    Kind.NO_QUORUM: ("QuorumLost", "NoTrustedView"),
    Kind.QUORUM_UNKNOWN: ("NoTrustedView",),
    Kind.STOP_ALL_RESOURCES: ("StopAllResources",),
    Kind.MAINTENANCE_MODE: ("MaintenanceMode", "MaintenanceModeForgotten"),
    Kind.FENCING_DISABLED: ("FencingDisabled",),
    Kind.FENCING_HISTORY_UNREAD: ("FencingHistoryUnread",),
    Kind.CONFIGURATION_NOT_CURRENT: ("CIBUnread",),
    Kind.MIXED_VERSIONS: ("MixedVersions",),
    Kind.TICKET_NOT_GRANTED: ("TicketLost",),
    Kind.SBD_WATCHDOG_MISSING: ("SbdWatchdogMissing",),
    Kind.SBD_DAEMON_DOWN: ("SbdDaemonDown",),
    Kind.COROSYNC_UNRESPONSIVE: ("CorosyncUnresponsive", "NoTrustedView"),
    Kind.QUORUM_DISAGREES: ("CorosyncQuorumDisagrees",),
    Kind.QUORUM_WITHOUT_MARGIN: ("CorosyncQuorumWithoutMargin",),
    Kind.EXPECTED_VOTES_DIFFER: ("CorosyncExpectedVotesDiffer",),
    Kind.QDEVICE_NOT_VOTING: ("CorosyncQdeviceNotVoting",),
    Kind.COROSYNC_LINK_DOWN: ("CorosyncLinkDown",),
    Kind.COROSYNC_ALL_LINKS_DOWN: ("CorosyncAllLinksDown",),
    Kind.COROSYNC_RING_FAULTY: ("CorosyncRingFaulty",),
    Kind.NODE_UNCLEAN: ("NodeUnclean",),
    Kind.NODE_OFFLINE: ("NodeOffline",),
    Kind.REMOTE_NODE_UNCLEAN: ("RemoteNodesUnclean", "ManyRemoteNodesLost"),
    Kind.REMOTE_NODE_OFFLINE: ("RemoteNodesOffline", "ManyRemoteNodesLost"),
    Kind.REMOTE_NODE_DISABLED: ("ResourceDisabled",),
    Kind.REMOTE_NODE_HELD_BACK: "what holds it back has an alert",
    Kind.NODE_PENDING: ("NodePending",),
    Kind.NODE_SHUTTING_DOWN: ("NodeShutdownStuck",),
    Kind.NODE_STANDBY_ON_FAIL: ("NodeStandbyOnFail",),
    Kind.NODE_STANDBY: ("NodeStandby",),
    Kind.NODE_MAINTENANCE: ("NodeMaintenance", "NodeMaintenanceForgotten"),
    Kind.NODE_UNHEALTHY: ("NodeUnhealthy",),
    Kind.FENCING_FAILED: ("FencingFailed", "FencingLastFailed"),
    Kind.FENCING_PENDING: ("FencingPending",),
    Kind.UNFENCING_FAILED: "the node stays offline or its resources stopped, and that has an alert",
    Kind.UNFENCING_PENDING: "the node stays offline or its resources stopped, as above",
    Kind.BUNDLE_DOWN: ("BundleDown", "BundleNotPromoted", "BundleDegraded"),
    Kind.BUNDLE_DEGRADED: (
        "BundleDegraded",
        "BundlePromotedMissing",
        "BundleReplicaBlocked",
        "BundleReplicaFailed",
        "BundleServiceDown",
        "BundleConnectionLost",
        "FailCountAtThreshold",
    ),
    Kind.BUNDLE_IGNORED: ("BundleIgnored",),
    Kind.REPLICA_ON_TWO_NODES: ("BundleReplicaOnTwoNodes", "BundleDegraded"),
    Kind.TOO_MANY_PROMOTED: ("BundleTooManyPromoted",),
    Kind.REPLICA_BLOCKED: ("BundleReplicaBlocked",),
    Kind.REPLICA_FAILED: ("BundleReplicaFailed",),
    Kind.REPLICA_ORPHANED: ("ResourceOrphaned",),
    Kind.BUNDLE_CROWDED: ("BundleCrowded",),
    Kind.BUNDLE_MARKED_FAILED: "crm_mon marks bundles that work as failed, too",
    Kind.BUNDLE_DISABLED: ("BundleDisabled",),
    Kind.BUNDLE_HELD_BACK: "what holds it back has an alert",
    Kind.BUNDLE_REDUCED: ("BundleReplicasAway",),
    Kind.BUNDLE_DEMOTED: "somebody asked for it, and the service goes on",
    Kind.BUNDLE_MAINTENANCE: ("BundleMaintenance", "BundleUnmanaged"),
    Kind.BUNDLE_UNMANAGED: ("BundleUnmanaged",),
    Kind.ADDRESS_DOWN: ("VirtualIPDown",),
    Kind.RESOURCE_DOWN: ("ResourceStopped", "ResourceFailed", "ResourceBlocked"),
    Kind.RESOURCE_BLOCKED: ("ResourceBlocked",),
    Kind.RESOURCE_FAILED: ("ResourceFailed",),
    Kind.RESOURCE_ON_SEVERAL_NODES: "Pacemaker stops it, or blocks it, which has an alert",
    Kind.RESOURCE_ORPHANED: ("ResourceOrphaned",),
    Kind.RESOURCE_DISABLED: ("ResourceDisabled",),
    Kind.RESOURCE_HELD_BACK: "what holds it back has an alert",
    Kind.RESOURCE_WITHOUT_NODE: "the nodes that are out of service have alerts",
    Kind.RESOURCE_MAINTENANCE: ("ResourceUnmanaged",),
    Kind.RESOURCE_UNMANAGED: ("ResourceUnmanaged",),
    Kind.CLONE_INCOMPLETE: ("CloneInstancesMissing", "ResourceFailed"),
    Kind.AGENT_DEGRADED: ("ResourceDegraded",),
    Kind.FAIL_COUNT_AT_THRESHOLD: ("FailCountAtThreshold",),
    Kind.FAIL_COUNT_NEAR_THRESHOLD: ("FailCountNearThreshold",),
    Kind.LEFT_OVER_CONSTRAINT: ("LeftoverConstraint",),
}
"""The alerts of each kind, without the prefix Pacemaker, or why it has none."""

_TIME = "one observation does not know what was before"
_EXPORTER = "it is about the exporter, not about the cluster"
_OTHERS = "one exporter does not know what others see"
WITHOUT_A_KIND: Mapping[str, str] = {
    "BundleCrashLooping": _TIME,
    "BundleReplicaCrashLooping": _TIME,
    "ResourceCrashLooping": _TIME,
    "BundleFlapping": _TIME,
    "BundlePromotionsFlapping": _TIME,
    "BundleGone": _TIME,
    "BundleRemoved": _TIME,
    "CorosyncLinkFlapping": _TIME,
    "CorosyncTokenLost": _TIME,
    "CorosyncPaused": _TIME,
    "CorosyncReadDenied": _EXPORTER,
    "CorosyncReadFailing": _EXPORTER,
    "SplitBrain": _OTHERS,
    "SplitView": _OTHERS,
    "ClusterNamesClash": _OTHERS,
    "ExportersDown": _OTHERS,
    "ExporterAbsent": _OTHERS,
    "JobNameDiffers": _OTHERS,
}
"""Alerts about clusters that no kind of problem can cover, and why."""

ABOUT_EXPORTERS = "pacemaker-exporter-alerts"
"""The group of alerts about exporters, not about the state of the cluster."""


def alerts() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield group["name"], rule


NAMES = {rule["alert"].removeprefix(PREFIX) for _, rule in alerts()}
USED = {name for names in ALERTS_OF.values() if not isinstance(names, str) for name in names}


def test_every_kind_of_problem_has_an_alert_or_a_reason_for_none() -> None:
    assert set(ALERTS_OF) == set(Kind)
    assert all(ALERTS_OF.values())


@pytest.mark.parametrize("name", sorted(USED | set(WITHOUT_A_KIND)))
def test_every_alert_of_the_table_exists(name: str) -> None:
    assert name in NAMES


def test_every_alert_about_the_state_of_a_cluster_has_a_kind_of_problem() -> None:
    about_clusters = {
        rule["alert"].removeprefix(PREFIX) for group, rule in alerts() if group != ABOUT_EXPORTERS
    }
    assert about_clusters - USED == set(WITHOUT_A_KIND)


def test_limits_of_lost_remote_nodes_are_those_of_the_alert() -> None:
    rules = {rule["alert"]: rule for _, rule in alerts()}
    expression = rules["PacemakerManyRemoteNodesLost"]["expr"]
    assert f"{MANY_REMOTE_NODES} <= " in expression
    assert f"{MANY_OF_REMOTE_NODES} <= " in expression
